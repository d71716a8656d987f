"""Keep a smart grid's Azure Digital Twins graph true."""

__all__ = ["__version__"]

__version__ = "0.1.0"
