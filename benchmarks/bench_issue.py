"""Issuing, PFX writing and reading against the same steps in bare `cryptography`; issue_many on two cores.

Issuing with a given key is promised at 1.1 times the bare work for RSA-2048 and 1.3 for P-256, root, leaf and PFX at
1.05.
"""

from __future__ import annotations

import datetime as dt
import hmac
import math
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from ratios import Ratio, compare, report, settled, spread

from mlsssl import Certificate, CertificateAuthority
from mlsssl._formats.budget import WorkBudget
from mlsssl._formats.foreign import needed_fields_of
from mlsssl._formats.pkcs12.encryption import pkcs12_kdf
from mlsssl._formats.pkcs12.read import bags_of, open_safes
from mlsssl._formats.pkcs12.structure import read_structure

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._formats.pkcs12.encryption import Encryption
    from mlsssl._formats.pkcs12.structure import Structure

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
HOST = "server-name.com"
PROMISED = {"3DES": 1.2, "AES": 1.1, "3DES, key first": 1.2}
PFX_LIMITS = {
    "3DES": "a part before the key may hide one with rounds for minutes, so OpenSSL sees it alone first: with that 1.5",
    "AES": "cryptography's and hashlib's work alone is 1.1 ('the least' below); the key of the MAC is made in Python",
    "3DES, key first": "cryptography's work alone is 1.1 ('the least' below); taking the file apart is another 0.1",
}


def name(text: str) -> x509.Name:
    """A common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(*, ca: bool, encipherment: bool) -> x509.KeyUsage:
    """The key usage of a CA or a server."""
    return x509.KeyUsage(not ca, False, encipherment, False, False, ca, ca, False, False)


def bare_root(key: Key) -> x509.Certificate:
    """A root as `CertificateAuthority.create` makes it."""
    now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(name("Root"))
        .issuer_name(name("Root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=3652))
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(usage(ca=True, encipherment=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def bare_leaf(root: x509.Certificate, root_key: Key, key: Key) -> x509.Certificate:
    """A server certificate as `issue` makes it."""
    now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
    ski = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateBuilder()
        .subject_name(name(HOST))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=199))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(ca=False, encipherment=isinstance(key, rsa.RSAPrivateKey)), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski), critical=False)
        .sign(root_key, hashes.SHA256())
    )


def bare_pfx(key: Key, leaf: x509.Certificate, root: x509.Certificate) -> bytes:
    """A PFX with the encryption and the rounds of ours."""
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2048)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())  # what Server 2016 can read
        .build(b"password")
    )
    return pkcs12.serialize_key_and_certificates(None, key, leaf, [root], encryption)


def issuing() -> list[Ratio]:
    """A certificate with given keys."""
    ratios = []
    kinds: list[tuple[str, Key, float, int]] = [
        ("RSA-2048", rsa.generate_private_key(65537, 2048), 1.1, 40),
        ("P-256", ec.generate_private_key(ec.SECP256R1()), 1.3, 400),
    ]
    for label, key, bound, repeat in kinds:
        ratios.append(_issuing(label, key, bound, repeat))
    return ratios


def _issuing(label: str, key: Key, bound: float, repeat: int) -> Ratio:
    ca = CertificateAuthority.create("Root", key=key)
    root = ca.certificate.to_cryptography()
    return compare(
        f"issue, {label}, key given",
        lambda: ca.issue(HOST, key=key),
        lambda: bare_leaf(root, key, key),
        bound=bound,
        repeat=repeat,
    )


def files() -> Ratio:
    """Root, leaf and PFX in one go."""
    root_key, key = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)

    def ours() -> bytes:
        return CertificateAuthority.create("Root", key=root_key).issue(HOST, key=key).to_pfx("password")

    def bare() -> bytes:
        root = bare_root(root_key)
        return bare_pfx(key, bare_leaf(root, root_key, key), root)

    return compare("root + leaf + PFX, keys given", ours, bare, bound=1.05, repeat=20, rounds=21)


def loading() -> list[Ratio]:
    """Reading a PFX: RSA, whose primes OpenSSL proves and we do not; and EC, where what is checked beforehand shows.

    An encrypted part is taken as OpenSSL reads it where its size leaves no room for what OpenSSL does not tell. Where
    the key comes first, as from Windows, one call of OpenSSL does it. Where certificates come first, as from OpenSSL
    and from here, that part is seen by itself before.

    Promised for EC are 1.2 with 3DES and 1.1 with AES. That is not kept, and the bounds are what is true with a margin.

    - 3DES, certificates first: one call for all would decrypt a key that the part hides, with as many rounds as that
      says: 2^31 take ten minutes, and nothing ends a call. Nothing about the part is known before its decryption, which
      takes 0.5; the call for all then 1.0. Without the MAC OpenSSL may read the key first, in one call (0.9), but the
      MAC's key then takes 0.7 in Python: 450 ns a round, all of it `hashlib`, where OpenSSL needs 95.
    - 3DES, key first: 1.0 is OpenSSL's call, and 1.1 with the names, dates and public keys by which the certificate of
      the key is found (`the_least`). What is left of 1.2 is less than taking the structure apart takes. That is 29
      calls of one loop over tags and lengths; to give places instead of copies saves a tenth of it, which is 0.01; to
      compare public keys as they stand instead of reading them saves 0.03.
    - AES: PBKDF2 is 0.91 of the bare reading and the MAC's key in Python 0.13, and 1.1 with what cryptography has to do
      besides (`the_least`). OpenSSL checks the MAC only where it decrypts all; before that, the part with certificates
      has to be seen alone, as with 3DES: 1.5 together.
    """
    ratios = []
    for key_type, bounds in (("rsa-2048", (0.4, 0.4, 0.4)), ("ec-p256", (2.2, 1.35, 1.6))):
        root = CertificateAuthority.create("Root", key=key_type)  # type: ignore[arg-type]  # a Literal of two
        certificate = root.issue(HOST, key=key_type)  # type: ignore[call-overload]  # likewise
        provider = "Microsoft Software Key Storage Provider"
        kinds: list[tuple[str, str, bytes, float]] = [
            ("3DES", "password", certificate.to_pfx("password"), bounds[0]),
            ("3DES", "pässwörd", certificate.to_pfx("pässwörd"), bounds[0]),
            ("3DES", "密码", certificate.to_pfx("密码"), bounds[0]),
            ("AES", "password", certificate.to_pfx("password", readable_by="windows-server-2019"), bounds[1]),
            ("3DES, key first", "password", certificate.to_pfx("password", provider=provider), bounds[2]),
        ]
        for kind, password, data, bound in kinds:
            ratio = _loading(f"load a PFX, {key_type}, {kind}, {password!r}", data, password, bound)
            promised = PROMISED[kind] if key_type == "ec-p256" else bound
            ratios.append(ratio.with_promise(promised, PFX_LIMITS[kind]))
    return ratios


def the_least() -> list[Ratio]:
    """What `cryptography` and `hashlib` do when an EC PFX is read, with nothing around it.

    The arguments are ready, and nothing is taken apart, counted or chosen. Where this is more than a promise, or leaves
    less than the rest takes, no order of our own steps keeps that promise.
    """
    certificate = CertificateAuthority.create("Root", key="ec-p256").issue(HOST, key="ec-p256")
    first = certificate.to_pfx("password", provider="Microsoft Software Key Storage Provider")
    aes = certificate.to_pfx("password", readable_by="windows-server-2019")
    with_aes = partial(_steps_with_aes, *_opened(aes))
    return [
        _beside("load a PFX, ec-p256, 3DES, key first: the least", partial(_steps_key_first, first), first, "password"),
        _beside("load a PFX, ec-p256, AES: the least", with_aes, aes, "password"),
    ]


def _steps_key_first(data: bytes) -> None:
    loaded = pkcs12.load_pkcs12(data, b"password")
    assert isinstance(loaded.key, ec.EllipticCurvePrivateKey)
    assert loaded.cert is not None
    _spki(loaded.key)
    for one in (loaded.cert, *loaded.additional_certs):
        _needed(one.certificate)


def _opened(data: bytes) -> tuple[Structure, list[tuple[Encryption, bytes]], list[bytes], bytes]:
    """A PFX taken apart, what is encrypted in it, its certificates and its key."""
    structure = read_structure(data)
    bags = bags_of(open_safes(structure, "password", WorkBudget()))
    (key,) = (bag for bag in bags if bag.kind == "encrypted key")
    parts = [(safe.encryption, safe.encrypted) for safe in structure.safes] + [(key.encryption, key.encrypted_key)]
    encrypted = [(encryption, octets) for encryption, octets in parts if encryption is not None]
    certificates = [bag.value for bag in bags if bag.kind == "certificate"]
    return structure, encrypted, certificates, next(key.private_keys("password", WorkBudget()))


def _steps_with_aes(
    structure: Structure, encrypted: list[tuple[Encryption, bytes]], certificates: list[bytes], plain_key: bytes
) -> None:
    mac = structure.mac
    assert mac is not None
    assert mac.kdf is not None
    password = "password\0".encode("utf-16-be")
    key = pkcs12_kdf(mac.hash_name, password, mac.kdf.salt, mac.kdf.iterations, purpose=3, length=mac.key_length)
    hmac.digest(key, structure.authenticated, "sha256")
    for encryption, octets in encrypted:
        assert encryption.kdf is not None
        kdf = PBKDF2HMAC(hashes.SHA256(), 32, encryption.kdf.salt, encryption.kdf.iterations)
        decryptor = Cipher(algorithms.AES(kdf.derive(b"password")), modes.CBC(encryption.iv or b"")).decryptor()
        decryptor.update(octets)
        decryptor.finalize()
    private_key = serialization.load_der_private_key(plain_key, None)
    assert isinstance(private_key, ec.EllipticCurvePrivateKey)
    _spki(private_key)
    for data in certificates:
        _needed(x509.load_der_x509_certificate(data))


def _spki(holder: ec.EllipticCurvePrivateKey | x509.Certificate) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return holder.public_key().public_bytes(serialization.Encoding.DER, form)


def _needed(certificate: x509.Certificate) -> None:
    """What is read of each: the key that it certifies, who issued whom, how long it is valid."""
    _spki(certificate)
    needed_fields_of(certificate)


def _loading(label: str, data: bytes, password: str, bound: float) -> Ratio:
    return _beside(label, lambda: Certificate.from_pfx(data, password), data, password, bound)


def _beside(label: str, work: Callable[[], object], data: bytes, password: str, bound: float = math.inf) -> Ratio:
    """Some work against bare reading."""
    bare = partial(pkcs12.load_key_and_certificates, data, password.encode())
    return compare(label, work, bare, bound=bound, repeat=4, rounds=31)


def bulk() -> Ratio:
    """issue_many with its default keys (RSA-2048): what two workers cost against one.

    That two are 1.9 times as fast on two quiet cores is that both take at most 1.05 times the processor time of one;
    what a key costs differs so much that two runs of 600 certificates each differ by 0.03 by chance. So all turns are
    summed.
    """
    ca = CertificateAuthority.create("Root", key="rsa-2048")
    hosts = [f"h{number}.example" for number in range(200)]

    def run(workers: int) -> tuple[float, float]:
        start, processor = time.perf_counter(), time.process_time()
        assert sum(1 for _ in ca.issue_many(hosts, workers=workers)) == len(hosts)
        return time.perf_counter() - start, time.process_time() - processor

    turns = [(run(1), run(2)) for _ in range(3)]
    faster = min(one[0] for one, _ in turns) / min(two[0] for _, two in turns)
    alone, shared = (sum(turn[workers][1] for turn in turns) for workers in (0, 1))
    detail = (
        f"{shared / len(turns) / len(hosts) * 1e3:.1f} ms each against {alone / len(turns) / len(hosts) * 1e3:.1f} ms; "
        f"{spread([two[1] / one[1] for one, two in turns])}; by the clock {faster:.2f} times as fast"
    )
    return Ratio("issue_many, processor time of two workers / of one", shared / alone, 1.05, detail=detail)


def main() -> int:
    """Measure everything."""
    return report([*issuing(), files(), *loading(), *the_least(), settled(bulk)])


if __name__ == "__main__":
    sys.exit(main())
