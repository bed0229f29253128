"""A real time-stamp authority (RFC 3161), OpenSSL's behind HTTP on loopback; and certificates that end soon."""

from __future__ import annotations

import datetime
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from lollms_marks.certificates import new_certificate

_CONFIGURATION = """
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


@contextmanager
def time_stamping(folder: Path) -> Iterator[tuple[str, list[bytes]]]:
    """An authority's address, and the requests that it has answered."""
    key, certificate, root = _certificates(folder)
    configuration = folder / "openssl.cnf"
    configuration.write_text(_CONFIGURATION.format(folder=folder))
    (folder / "serial").write_text("01\n")
    answered: list[bytes] = []
    turn = threading.Lock()  # its file of serial numbers is one

    class Authority(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = folder / "query.tsq"
            with turn:
                query.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
                reply = subprocess.run(
                    ["openssl", "ts", "-reply", "-config", str(configuration), "-queryfile", str(query), "-inkey", str(key),
                     "-signer", str(certificate), "-chain", str(root)],
                    check=True, capture_output=True,
                ).stdout  # fmt: skip
                answered.append(query.read_bytes())
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Authority)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", answered
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certificate_for(folder: Path, *, days: float) -> dict[str, str]:
    """Settings of a certificate for signing that ends in so many days from now."""
    paths = new_certificate(folder, "Short Ltd", days=1)
    key = serialization.load_pem_private_key(paths[1].read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    old = x509.load_pem_x509_certificates(paths[0].read_bytes())[0]
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer).public_key(key.public_key())
        .serial_number(5).not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
    )  # fmt: skip
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM) + paths[2].read_bytes())
    return {"certificate": str(paths[0]), "key": str(paths[1])}


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """A key, its certificate, which is for time-stamps alone as C2PA asks, and that of who gave it."""
    above, key = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
    root = _certificate("Root of trials", above, "Root of trials", above)
    leaf = _certificate("Time of trials", key, "Root of trials", above)
    paths = folder / "authority.key", folder / "authority.pem", folder / "root.pem"
    form = serialization.PrivateFormat.TraditionalOpenSSL
    paths[0].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    for path, made in zip(paths[1:], (leaf, root), strict=True):
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return paths


def _certificate(name: str, key: rsa.RSAPrivateKey, issuer: str, above: rsa.RSAPrivateKey) -> x509.Certificate:
    is_root, now = key is above, datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(not is_root, False, False, False, False, is_root, is_root, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(usage, critical=True)
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False)
    )
    if not is_root:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return builder.sign(above, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
