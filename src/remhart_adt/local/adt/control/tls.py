"""Certificates for https on this machine: an authority of this server's own, and a certificate that it signed.

Both are made once and kept in a folder. Clients are told to trust `ca.pem`; it stays the same while it is valid, when
the server's own certificate is renewed or covers one more name. Private keys are readable by their owner only.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from remhart_adt.errors import LocalServerError

__all__ = ["ALWAYS", "Certificates", "checked_name"]

ALWAYS: Final = ("localhost", "127.0.0.1", "::1", "*.localhost")
_CA_DAYS: Final = 730
_LEAF_DAYS: Final = 365
# A certificate that ends within this time is made anew at the start, so that none ends while a server runs for weeks.
_RENEW_BEFORE: Final = timedelta(days=30)
_BACKDATED: Final = timedelta(hours=1)  # clients' clocks may be behind
_DNS: Final = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]{0,62}\.)*[a-z0-9-]{0,62}[a-z0-9]", re.ASCII)
# The server's key and certificate share a file, so that one never stands there without the other.
_FILES: Final = ("ca.pem", "ca-key.pem", "server.pem")

_Key = ec.EllipticCurvePrivateKey


def checked_name(name: str) -> str:
    """A host name, `*.` and one, or an address, for a certificate; raises LocalServerError."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    lower = name.lower()
    if len(lower) > 253 or _DNS.fullmatch(lower) is None:
        remedy = "Use a name such as lab.api.weu.digitaltwins.azure.net or *.api.weu.digitaltwins.azure.net"
        raise LocalServerError(f"{name[:80]!r} is not a host name", where="--tls-name", remedy=remedy)
    return lower


class Certificates:
    """The files in `folder`, and `context`, the TLS settings that a server's listeners share."""

    def __init__(self, folder: Path, names: Iterable[str] = ()) -> None:
        """Make what is missing, ended, or does not cover all of `ALWAYS` and `names`. Raises LocalServerError when
        the folder cannot be written or holds other files under these names."""
        self.folder = folder
        self.ca, self._ca_key, self._leaf = (folder / name for name in _FILES)
        self._names = list(dict.fromkeys([*ALWAYS, *(checked_name(name) for name in names)]))
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_authority()
            self._make_leaf()
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.minimum_version = ssl.TLSVersion.TLSv1_2
            self.context.set_alpn_protocols(["http/1.1"])
            self.context.load_cert_chain(self._leaf)
        except (OSError, ValueError, TypeError) as error:
            remedy = "Name a folder that can be written, or remove the .pem files in it"
            raise LocalServerError(f"cannot set up https: {error}", where=str(folder), remedy=remedy) from error

    def cover(self, name: str) -> None:
        """Have the certificate hold for one more name, for the connections that are made from now on. Raises
        LocalServerError when it cannot be made."""
        checked = checked_name(name)
        if checked in self._names:
            return
        self._names.append(checked)
        try:
            self._make_leaf()
            self.context.load_cert_chain(self._leaf)
        except (OSError, ValueError, TypeError) as error:
            self._names.remove(checked)
            raise LocalServerError(f"cannot make a certificate for {name}: {error}", where=str(self.folder)) from error

    def _make_authority(self) -> None:
        if self.ca.exists() and self._ca_key.exists() and not _ends(_certificate(self.ca)):
            return
        key = ec.generate_private_key(ec.SECP256R1())
        # The number keeps apart the authorities of two folders in one client's list.
        name = _name(f"remhart-adt local CA {x509.random_serial_number() % 1_000_000:06d}")
        usage = _usage(key_cert_sign=True, crl_sign=True)
        signed = (
            _builder(name, name, key.public_key(), _CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        _write(self._ca_key, _pem(key), 0o600)
        _write(self.ca, signed.public_bytes(serialization.Encoding.PEM), 0o644)

    def _make_leaf(self) -> None:
        authority = _certificate(self.ca)
        if self._leaf.exists():
            old = _certificate(self._leaf)
            if _signed_by(authority, old):  # names that it got earlier stay covered
                known = _names_of(old)
                self._names = list(dict.fromkeys([*known, *self._names]))
                if not _ends(old) and len(self._names) == len(known):
                    return
        ca_key = serialization.load_pem_private_key(self._ca_key.read_bytes(), None)
        if not isinstance(ca_key, _Key):
            raise ValueError(f"{self._ca_key.name} is no key of this server")
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_general(name) for name in self._names])
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        signed = (
            _builder(_name("remhart-adt local server"), authority.subject, key.public_key(), _LEAF_DAYS)
            .add_extension(alternatives, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        _write(self._leaf, _pem(key) + signed.public_bytes(serialization.Encoding.PEM), 0o600)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*map(str, found.get_values_for_type(x509.DNSName)), *map(str, found.get_values_for_type(x509.IPAddress))]


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def _signed_by(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _ends(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc < datetime.now(UTC) + _RENEW_BEFORE


def _pem(key: _Key) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _write(file: Path, content: bytes, mode: int) -> None:
    """In place of what is there at once, and never with another mode in between."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
