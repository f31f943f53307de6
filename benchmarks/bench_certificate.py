"""Reading a certificate and each of its fields, against the same fields by bare `cryptography`.

Both give what a program shows: names as text, usages by name, digests. `cryptography` is asked for each field once;
here every property reads what it needs. Promised: at most twice the time; the bound is what is true with a margin.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from ratios import Ratio, compare, report

from mlsssl import Certificate, CertificateAuthority

if TYPE_CHECKING:
    from mlsssl import KeyType

BOUND, PROMISED = 1.45, 2.0
FIELDS = (
    *("subject", "issuer", "common_name", "serial_number", "names", "hosts", "not_before", "not_after", "key_type"),
    *("signature_hash", "key_usages", "extended_key_usages", "is_ca", "is_self_issued", "thumbprint", "sha256"),
    *("encoding_faults", "friendly_name", "has_private_key", "chain"),
)
USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign"),
)


def bare(der: bytes) -> list[object]:
    """The fields by `cryptography`."""
    certificate = x509.load_der_x509_certificate(der)
    subject, issuer, extensions = certificate.subject, certificate.issuer, certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    key, algorithm = certificate.public_key(), certificate.signature_hash_algorithm
    return [
        subject.rfc4514_string(),
        issuer.rfc4514_string(),
        subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value,
        certificate.serial_number,
        [name.value for name in names],
        names.get_values_for_type(x509.DNSName) + [str(ip) for ip in names.get_values_for_type(x509.IPAddress)],
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        f"rsa-{key.key_size}" if isinstance(key, rsa.RSAPublicKey) else getattr(key, "curve", None),
        algorithm and algorithm.name,
        [name for name in USAGES if getattr(usage, name)],
        [purpose.dotted_string for purpose in purposes],
        extensions.get_extension_for_class(x509.BasicConstraints).value.ca,
        subject == issuer,
        certificate.fingerprint(hashes.SHA1()),  # the thumbprint
        certificate.fingerprint(hashes.SHA256()).hex(),
    ]


def ours(der: bytes) -> list[object]:
    """The fields by `Certificate`."""
    certificate = Certificate.from_der(der)
    return [getattr(certificate, field) for field in FIELDS]


def measure(key: KeyType) -> Ratio:
    """The ratio for one type of key."""
    der = CertificateAuthority.create("SelfIssuedCA", key=key).issue("server-name.com", key=key).to_der()
    assert [ours(der)[place] for place in (0, 1, 2, 3, 15)] == [bare(der)[place] for place in (0, 1, 2, 3, 15)]
    name = f"load and read every field, {key}"
    ratio = compare(name, lambda: ours(der), lambda: bare(der), bound=BOUND, repeat=20, rounds=101)
    return ratio.with_promise(PROMISED)


def main() -> int:
    """Exit code 0 when every bound is kept."""
    return report([measure("rsa-2048"), measure("ec-p256")])


if __name__ == "__main__":
    sys.exit(main())
