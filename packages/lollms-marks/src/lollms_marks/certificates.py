"""A certificate for trials: signed by an authority that nobody knows, made here and forgotten at once."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE, KEY, TRUST = "certificate.pem", "key.pem", "trust.pem"
_LONGEST = 64 - len(" (trial authority)")


def new_certificate(folder: Path, name: str, *, days: int = 90) -> tuple[Path, Path, Path]:
    """Write a certificate with its authority's, its key, and the authority's alone, to be given to ``--trust``.

    The profile is that of C2PA: a leaf for signatures with the usage "e-mail protection" under an authority.

    Args:
        folder: where; made where it is not there.
        name: who signs, in 1 to 46 characters: with what is added a certificate holds no more.
        days: how long it is valid.

    Raises:
        ValueError: such a name cannot stand in a certificate.
        FileExistsError: one of the files is there.
        OSError: they cannot be written.
    """
    name = name.strip()
    if not 0 < len(name) <= _LONGEST or not name.isprintable():
        raise ValueError(f"a name has 1 to {_LONGEST} characters that can be printed")
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
    end = begin + datetime.timedelta(days=days)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = _name(f"{name} (trial authority)")
    authority = (
        _begun(authority_name, authority_name, authority_key, begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        _begun(_name(f"{name} (for trials)"), authority_name, key, begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    trust = authority.public_bytes(Encoding.PEM)
    written = []
    for file, data, rights in (
        (CERTIFICATE, leaf.public_bytes(Encoding.PEM) + trust, 0o644),
        (KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600),
        (TRUST, trust, 0o644),
    ):
        with open(os.open(folder / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, rights), "wb") as out:
            out.write(data)
        written.append(folder / file)
    return written[0], written[1], written[2]


def _name(text: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, text), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begin: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=not signs, crl_sign=not signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip
