"""An authority that certifies clients; what it issues may be wrong in one way."""

import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
DAY = datetime.timedelta(days=1)


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """ECDSA P-256; its files lie in `folder`."""

    def __init__(self, folder):
        self.folder = folder
        self.path = f"{folder}/clients.crt"
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.issued = 0
        certificate = (
            self._builder("clients", self.key.public_key(), -1, 30)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        with open(self.path, "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, name, key, first, last):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named("clients"))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + first * DAY)
            .not_valid_after(now + last * DAY)
        )

    def issue(self, uri, usage=CLIENT, first=-1, last=1):
        """The paths of a certificate and its key, and its serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder("batch", key.public_key(), first, last)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        self.issued += 1
        start = f"{self.folder}/client-{self.issued}"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for path, text in ((f"{start}.crt", certificate.public_bytes(serialization.Encoding.PEM)), (f"{start}.key", private)):
            with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
                file.write(text)
        return f"{start}.crt", f"{start}.key", certificate.serial_number

    def revoke(self, *serials):
        """The path of a revocation list."""
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(named("clients"))
            .last_update(now - DAY)
            .next_update(now + DAY)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - DAY)
            builder = builder.add_revoked_certificate(revoked.build())
        path = f"{self.folder}/clients.crl"
        with open(path, "wb") as file:
            file.write(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path
