"""Certificates and tokens that live as long as the tests: an authority, a server, clients."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ..bootstrap import LOCALHOST

SECRET = b"a secret of the tests, at least 32 bytes"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates into a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        self.certificate = directory / "authority.pem"
        built = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.certificate.write_bytes(self._signed(built))

    def server(self) -> Pair:
        """For 127.0.0.1 and localhost."""
        names = [x509.IPAddress(ip_address(LOCALHOST)), x509.DNSName("localhost")]
        return self._issue("server", names)

    def client(self, *, uri: str, dns: str) -> Pair:
        """A client's, with two alternative names."""
        return self._issue("client", [x509.UniformResourceIdentifier(uri), x509.DNSName(dns)])

    def server_tls(self, pair: Pair, *, clients: bool) -> dict[str, Any]:
        """Envoy's TLS settings for a listener."""
        chain = {"filename": str(pair.certificate)}
        context: dict[str, Any] = {
            "tls_certificates": [{"certificate_chain": chain, "private_key": {"filename": str(pair.key)}}]
        }
        if clients:
            context["validation_context"] = {"trusted_ca": {"filename": str(self.certificate)}}
        return {"common_tls_context": context, "require_client_certificate": clients}

    def _issue(self, name: str, names: list[x509.GeneralName]) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = self._builder(subject, key).add_extension(x509.SubjectAlternativeName(names), critical=False)
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        pair.certificate.write_bytes(self._signed(built))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return pair

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=12))
        )

    def _signed(self, built: x509.CertificateBuilder) -> bytes:
        return built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def jwks() -> str:
    """The key of `token`, as Envoy's `jwt_authn` wants it."""
    key = {"kty": "oct", "alg": "HS256", "kid": "tests", "k": _base64(SECRET)}
    return json.dumps({"keys": [key]})


def token(**claims: Any) -> str:
    """A signed JWT with these claims."""
    head = {"alg": "HS256", "kid": "tests", "typ": "JWT"}
    parts = [_base64(json.dumps(part).encode()) for part in (head, {"iss": "tests", **claims})]
    signed = ".".join(parts)
    return f"{signed}.{_base64(hmac.digest(SECRET, signed.encode(), hashlib.sha256))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
