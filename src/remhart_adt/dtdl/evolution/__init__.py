"""How models change: what is different between two sets, and from one DTDL version to the next."""
