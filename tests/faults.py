"""One faulty chain for each finding code: a faultless chain with one thing wrong, and the question that shows it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku
from cryptography.x509.oid import ObjectIdentifier

from chains import (
    NOW,
    Extension,
    Made,
    ec_key,
    general_names,
    intermediate,
    key_id,
    key_usage,
    leaf,
    name,
    oid,
    root,
    rsa_key,
    rsa_spki,
    spki_of,
    tlv,
)
from mlsssl._formats.pkcs12.explain import PfxExplanation, PfxReader
from mlsssl._issue.revocation_lists import build_crl
from mlsssl._validator import weak_keys
from mlsssl._validator.profiles import for_purpose
from mlsssl._validator.served import Served
from mlsssl._validator.validate import ServerFacts, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlsssl._validator.report import Report
    from mlsssl.values import Purpose

HOST = "www.example.com"
ROOT = root()
MIDDLE = intermediate(ROOT)
LEAF = leaf(MIDDLE)
UPPER = intermediate(ROOT, "Upper Intermediate", 12, path_length=1)
LOWER = intermediate(UPPER, "Lower Intermediate", 13)
DEEP_LEAF = leaf(LOWER)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A chain and a question about it."""

    leaf: Made = LEAF
    pool: tuple[Made, ...] = (MIDDLE,)
    trust: tuple[Made, ...] | None = (ROOT,)
    host: str | None = HOST
    profile: str = "private"
    purpose: Purpose = "server"
    at: datetime = NOW
    options: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> Report:
        """The report on it."""
        options = {"expect_key": False, **self.options}
        return validate(
            self.leaf.certificate(),
            host=self.host,
            at=self.at,
            trust=None if self.trust is None else [made.certificate() for made in self.trust],
            intermediates=[made.certificate() for made in self.pool],
            profile=for_purpose(self.profile, self.purpose),
            **options,
        )


@dataclass(frozen=True, kw_only=True)
class KnownKeyCase(Case):
    """The same where the leaf's key is in the list of published keys, which is an extra and stood in for here."""

    def check(self) -> Report:
        """The report on it."""
        known = self.leaf.key.public_key().public_numbers().x

        def lookup(number: int) -> object:
            return {"subtest": "debianssl"} if number == known else False

        with mock.patch.object(weak_keys, "_listed", return_value=lookup):
            return super().check()


def _san(*names: str, critical: bool = False) -> Made:
    return LEAF.with_extension(general_names(*names), critical=critical)


def _leaf(value: x509.ExtensionType | Extension, *, critical: bool = False, **case: Any) -> Case:
    return Case(leaf=LEAF.with_extension(value, critical=critical), **case)


def _under(above: Made, **case: Any) -> Case:
    """The faultless leaf directly under another root."""
    return Case(leaf=leaf(above), pool=(), trust=(above,), **case)


def _root_with(value: x509.ExtensionType | Extension, *, critical: bool = False, **case: Any) -> Case:
    return _under(root().with_extension(value, critical=critical), **case)


def _middle_with(value: x509.ExtensionType | Extension, *, critical: bool = False, **case: Any) -> Case:
    return Case(pool=(MIDDLE.with_extension(value, critical=critical),), **case)


def _with_key(key: Any, **case: Any) -> Case:
    """A leaf whose key is `key`, with the identifier that belongs to it."""
    spki = spki_of(key)
    made = replace(LEAF, key=key).with_extension(x509.SubjectKeyIdentifier(key_id(spki)))
    return Case(leaf=made, **case)


def _with_numbers(modulus: int, exponent: int = 65537, **case: Any) -> Case:
    return Case(leaf=replace(LEAF, spki=rsa_spki(modulus, exponent)), **case)


def _next_prime(number: int) -> int:
    number |= 1
    while any(pow(base, number - 1, number) != 1 for base in (2, 3, 5, 7)):
        number += 2
    return number


_PRIME = _next_prime(3 * 2**1022 + 12345)
_GOOD_MODULUS: int = rsa_key(2048).public_key().public_numbers().n


def _roca_modulus() -> int:
    """A modulus with the fingerprint: one that is 65537 modulo every prime of the test, and 1 modulo 2."""
    from mlsssl._validator.weak_keys import _ROCA_PRIMES

    product: int = 2
    for prime in _ROCA_PRIMES:
        product *= prime
    # Primes above those of the test and below 752 must not divide it, or another rule would speak first.
    factor: int = 3 << (2047 - product.bit_length())
    while True:
        modulus = product * factor + 65537
        if modulus.bit_length() == 2048 and all(modulus % p for p in range(3, 752, 2)):
            return modulus
        factor += 1


def _constraints(*, permitted: tuple[str, ...] = (), excluded: tuple[str, ...] = ()) -> x509.NameConstraints:
    return x509.NameConstraints(
        [x509.DNSName(n) for n in permitted] or None, [x509.DNSName(n) for n in excluded] or None
    )


def _policies(*oids: str) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(ObjectIdentifier(o), None) for o in oids])


ANY_POLICY = "2.5.29.32.0"


def _mapping(issuer: str, subject: str) -> bytes:
    return tlv(0x30, tlv(0x30, oid(issuer), oid(subject)))


def _distant() -> Extension:
    """A permitted subtree with maximum 3, which cryptography reads and cannot write."""
    subtree = tlv(0x30, tlv(0x82, b"example.com"), tlv(0x81, b"\x03"))
    return Extension("2.5.29.30", True, tlv(0x30, tlv(0xA0, subtree)))


def _long_chain() -> Case:
    made = [root()]
    for number in range(10):
        made.append(intermediate(made[-1], f"Intermediate {number}", 100 + number, path_length=None))
    return Case(leaf=leaf(made[-1]), pool=tuple(made[1:]))


def _heavy_constraints() -> Case:
    above = root().with_extension(_constraints(permitted=tuple(f"d{n}.example.com" for n in range(600))), critical=True)
    names = [f"x.d{n}.example.com" for n in range(600)]
    return Case(leaf=leaf(above, *names), pool=(), trust=(above,), host="x.d0.example.com")


def _unreadable_subject() -> bytes:
    """An X.500 unique identifier that is no BIT STRING, which cryptography reads with a TypeError or ValueError."""
    return tlv(0x30, tlv(0x31, tlv(0x30, oid("2.5.4.45"), tlv(0x0C, b"\xff\xfe"))))


def _pfx() -> PfxExplanation:
    reader = PfxReader(name="windows-server-2016", title="Windows Server 2016", reads=False, reason="AES-256")
    return PfxExplanation(
        size=1,
        mac=None,
        parts=(),
        iterations=(),
        password="right",
        key=None,
        certificates=(),
        findings=(),
        readers=(reader,),
    )


def _crl(made: Made, *serials: int, at: datetime = NOW - timedelta(hours=1)) -> x509.CertificateRevocationList:
    return build_crl(made.certificate(), made.key, [(s, NOW, None) for s in serials], at=at, number=1, days=30)


def _self_signed() -> Made:
    return replace(LEAF, issuer=LEAF.subject, signer=LEAF.key).without(x509.AuthorityKeyIdentifier)


def _impostor_crl() -> x509.CertificateRevocationList:
    other = replace(MIDDLE, key=ec_key(50), signer=ec_key(51))
    return build_crl(other.certificate(), ec_key(50), [], at=NOW, number=1)


def _raise(context: object) -> list[Any]:
    raise RuntimeError(str(type(context)))


def _public(made: Made | None = None, **changes: Any) -> Case:
    return Case(leaf=made or LEAF, profile="public", **changes)


_DAY = timedelta(days=1)
_UNREADABLE_KEY = tlv(0x30, tlv(0x30, oid("1.2.3.4")), tlv(0x03, b"\0\0"))

# Codes of the parts that the faultless chain lacks on purpose in `public`: no public authority issued it.
NOT_PUBLIC = {"policies-missing", "aia-missing", "sct-missing", "revocation-pointer-missing"}

CASES: dict[str, Callable[[], Case]] = {
    # The key
    "key-missing": lambda: Case(options={"expect_key": True}),
    "key-mismatch": lambda: Case(options={"private_key": ec_key(99)}),
    "key-unreadable": lambda: Case(leaf=replace(LEAF, spki=_UNREADABLE_KEY)),
    "key-type": lambda: _with_key(dsa.generate_private_key(1024)),
    "key-type-eddsa": lambda: _with_key(ed25519.Ed25519PrivateKey.from_private_bytes(b"1" * 32)),
    "ec-curve": lambda: _with_key(ec_key(3, ec.SECP256K1)),
    "ec-curve-p521": lambda: _with_key(ec_key(3, ec.SECP521R1)),
    "rsa-unusable": lambda: _with_numbers(_next_prime(3 << 382) * _next_prime(7 << 381)),
    "rsa-too-small": lambda: _with_key(rsa_key(1024)),
    "rsa-modulus-bits": lambda: _with_key(rsa_key(2052), profile="public"),
    "rsa-exponent": lambda: _with_numbers(_GOOD_MODULUS, 65536),
    "rsa-exponent-small": lambda: _with_key(rsa_key(2048, exponent=3)),
    "rsa-small-factor": lambda: _with_numbers(_PRIME * 641 * 2**1018 + 641),
    "rsa-close-primes": lambda: _with_numbers(_PRIME * _next_prime(_PRIME + 1000)),
    "rsa-roca": lambda: _with_numbers(_roca_modulus()),
    "key-compromised": KnownKeyCase,
    # The signature
    "signature-hash": lambda: Case(
        leaf=replace(LEAF, algorithm=bytes.fromhex("300906072a8648ce3d0401"), digest=hashes.SHA1)
    ),
    "signature-hash-broken": lambda: _md5(),
    "signature-algorithm": lambda: Case(
        leaf=replace(LEAF, algorithm=bytes.fromhex("300a06082a8648ce3d040301"), digest=hashes.SHA224)
    ),
    "signature-algorithm-mismatch": lambda: Case(
        leaf=replace(LEAF, outer_algorithm=bytes.fromhex("300a06082a8648ce3d040303"))
    ),
    "ecdsa-hash": lambda: _public(
        replace(LEAF, algorithm=bytes.fromhex("300a06082a8648ce3d040303"), digest=hashes.SHA384)
    ),
    "signature-invalid": lambda: Case(leaf=replace(LEAF, signer=ec_key(98))),
    # Dates
    "expired": lambda: Case(leaf=replace(LEAF, not_after=NOW - timedelta(seconds=1))),
    "not-yet-valid": lambda: Case(leaf=replace(LEAF, not_before=NOW + timedelta(seconds=1))),
    "dates-reversed": lambda: Case(leaf=replace(LEAF, not_before=NOW + _DAY, not_after=NOW - _DAY)),
    "validity-too-long": lambda: Case(leaf=replace(LEAF, not_after=NOW + 826 * _DAY)),
    "validity-above-recommended": lambda: _public(
        replace(LEAF, not_before=NOW - _DAY, not_after=NOW + 199 * _DAY - timedelta(seconds=1))
    ),
    "validity-backdated": lambda: Case(
        leaf=replace(LEAF, not_before=datetime(2019, 1, 1, tzinfo=timezone.utc), not_after=NOW + 1400 * _DAY)
    ),
    "expires-soon": lambda: Case(leaf=replace(LEAF, not_before=NOW - 180 * _DAY, not_after=NOW + 10 * _DAY)),
    "outlives-issuer": lambda: Case(pool=(replace(MIDDLE, not_after=NOW + 100 * _DAY),)),
    "date-encoding": lambda: Case(leaf=replace(LEAF, time_tags=(0x18, None))),
    # Names
    "name-mismatch": lambda: Case(host="other.example.com"),
    "common-name-only": lambda: Case(
        leaf=replace(LEAF, subject=name(HOST)).without(x509.SubjectAlternativeName), profile="legacy"
    ),
    "san-missing": lambda: Case(leaf=LEAF.without(x509.SubjectAlternativeName), host=None),
    "san-without-host": lambda: _leaf(
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier("https://x.test/")]), host=None
    ),
    "san-type": lambda: _public(
        LEAF.with_extension(x509.SubjectAlternativeName([x509.DNSName(HOST), x509.RFC822Name("a@example.com")]))
    ),
    "san-critical": lambda: Case(leaf=_san(HOST, critical=True)),
    "san-not-critical": lambda: Case(leaf=replace(LEAF, subject=name())),
    "common-name-spelling": lambda: Case(leaf=replace(LEAF, subject=name("WWW.Example.COM"))),
    "common-name-other-host": lambda: Case(leaf=replace(LEAF, subject=name("www.example.org"))),
    "common-name-not-in-san": lambda: Case(leaf=replace(LEAF, subject=name("My Web Server"))),
    "dns-name-malformed": lambda: Case(leaf=_san(HOST, ".example.com")),
    "dns-name-underscore": lambda: Case(leaf=_san(HOST, "my_host.example.com")),
    "dns-name-idna": lambda: Case(leaf=_san(HOST, "xn--zzzzzzzzz-99999.example.com")),
    "ip-as-dns-name": lambda: Case(
        leaf=LEAF.with_extension(x509.SubjectAlternativeName([x509.DNSName(HOST), x509.DNSName("10.0.0.5")]))
    ),
    "ip-malformed": lambda: _leaf(
        x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_network("10.0.0.0/24"))])
    ),
    "wildcard-malformed": lambda: Case(leaf=_san(HOST, "w*.example.com")),
    "wildcard-top-level": lambda: Case(leaf=_san(HOST, "*.com")),
    "wildcard-public-suffix": lambda: Case(leaf=_san("*.co.uk"), host="www.co.uk"),
    "wildcard-public-suffix-unmatched": lambda: Case(leaf=_san(HOST, "*.co.uk")),
    "internal-name": lambda: _public(_san(HOST, "server.corp")),
    "reserved-ip": lambda: _public(_san(HOST, "10.0.0.5")),
    "reverse-zone-name": lambda: _public(_san(HOST, "5.0.0.10.in-addr.arpa")),
    # What it may be used for
    "eku-missing": lambda: Case(leaf=LEAF.without(x509.ExtendedKeyUsage)),
    "eku-server-auth-missing": lambda: _leaf(x509.ExtendedKeyUsage([Eku.CLIENT_AUTH])),
    "eku-client-auth-missing": lambda: Case(leaf=leaf(ROOT), pool=(), host=None, purpose="client"),
    "eku-any": lambda: _leaf(x509.ExtendedKeyUsage([Eku.ANY_EXTENDED_KEY_USAGE, Eku.SERVER_AUTH])),
    "eku-any-only": lambda: _leaf(x509.ExtendedKeyUsage([Eku.ANY_EXTENDED_KEY_USAGE])),
    "eku-other-usage": lambda: _leaf(x509.ExtendedKeyUsage([Eku.SERVER_AUTH, Eku.CODE_SIGNING])),
    "eku-client-auth": lambda: _public(
        replace(
            LEAF.with_extension(x509.ExtendedKeyUsage([Eku.SERVER_AUTH, Eku.CLIENT_AUTH])),
            not_before=datetime(2027, 3, 15, tzinfo=timezone.utc),
            not_after=datetime(2027, 5, 15, tzinfo=timezone.utc),
        ),
        at=datetime(2027, 3, 20, tzinfo=timezone.utc),
    ),
    "eku-critical": lambda: _leaf(x509.ExtendedKeyUsage([Eku.SERVER_AUTH]), critical=True),
    "netscape-type": lambda: _leaf(Extension("2.16.840.1.113730.1.1", False, tlv(0x03, b"\x05\x20"))),
    "issuer-eku": lambda: _middle_with(x509.ExtendedKeyUsage([Eku.EMAIL_PROTECTION])),
    "issuer-eku-any": lambda: _middle_with(x509.ExtendedKeyUsage([Eku.ANY_EXTENDED_KEY_USAGE])),
    "root-eku": lambda: _root_with(x509.ExtendedKeyUsage([Eku.SERVER_AUTH])),
    "key-usage-unsuitable": lambda: _leaf(key_usage(content_commitment=True), critical=True),
    "key-usage-no-signature": lambda: Case(
        leaf=leaf(MIDDLE, key=rsa_key(2048)).with_extension(key_usage(key_encipherment=True), critical=True)
    ),
    "key-usage-missing": lambda: Case(leaf=LEAF.without(x509.KeyUsage)),
    "key-usage-empty": lambda: _leaf(Extension("2.5.29.15", True, bytes.fromhex("03020700"))),
    "key-usage-cert-sign": lambda: _leaf(key_usage(digital_signature=True, crl_sign=True), critical=True),
    "key-usage-ec-encipherment": lambda: _leaf(key_usage(digital_signature=True, key_encipherment=True), critical=True),
    "key-usage-not-critical": lambda: _leaf(key_usage(digital_signature=True)),
    "leaf-is-ca": lambda: _leaf(x509.BasicConstraints(ca=True, path_length=None), critical=True),
    # Issuers
    "issuer-not-ca": lambda: _middle_with(x509.BasicConstraints(ca=False, path_length=None), critical=True),
    "intermediate-basic-constraints-missing": lambda: Case(pool=(MIDDLE.without(x509.BasicConstraints),)),
    "root-basic-constraints-missing": lambda: _under(root().without(x509.BasicConstraints)),
    "basic-constraints-not-critical": lambda: _middle_with(x509.BasicConstraints(ca=True, path_length=0)),
    "path-length-exceeded": lambda: _root_with_path_length(),
    "issuer-key-usage": lambda: _middle_with(key_usage(digital_signature=True), critical=True),
    "issuer-key-usage-missing": lambda: Case(pool=(MIDDLE.without(x509.KeyUsage),)),
    "issuer-subject-empty": lambda: _nameless_root(),
    "issuer-empty": lambda: _nameless_root(),
    "issuer-name-encoding": lambda: Case(leaf=replace(LEAF, issuer=name("TEST  intermediate"))),
    "anchor-aki-missing": lambda: Case(pool=(), trust=(MIDDLE.without(x509.AuthorityKeyIdentifier),)),
    "anchor-not-root": lambda: Case(pool=(), trust=(MIDDLE,)),
    "aki-missing": lambda: Case(leaf=LEAF.without(x509.AuthorityKeyIdentifier)),
    "aki-no-key-identifier": lambda: _leaf(Extension("2.5.29.35", False, tlv(0x30))),
    "aki-mismatch": lambda: _leaf(x509.AuthorityKeyIdentifier(b"x" * 20, None, None)),
    "aki-issuer-serial": lambda: _leaf(
        x509.AuthorityKeyIdentifier(
            key_id(spki_of(MIDDLE.key)), [x509.DirectoryName(ROOT.certificate().subject)], MIDDLE.serial
        ),
        profile="public",
    ),
    "issuer-ski-missing": lambda: Case(pool=(MIDDLE.without(x509.SubjectKeyIdentifier),)),
    "leaf-ski-missing": lambda: Case(leaf=LEAF.without(x509.SubjectKeyIdentifier)),
    # Extensions and form
    "extension-malformed": lambda: _leaf(Extension("1.3.6.1.5.5.7.1.1", False, b"\x30\x00")),
    "extension-duplicate": lambda: Case(leaf=replace(LEAF, extensions=(*LEAF.extensions, LEAF.extensions[0]))),
    "extension-unknown-critical": lambda: _leaf(Extension("1.2.3.4.5", True, b"\x05\x00")),
    "extension-critical": lambda: _leaf(x509.SubjectKeyIdentifier(key_id(spki_of(LEAF.key))), critical=True),
    "crl-points-critical": lambda: _leaf(
        x509.CRLDistributionPoints(
            [x509.DistributionPoint([x509.UniformResourceIdentifier("http://ca.test/crl")], None, None, None)]
        ),
        critical=True,
    ),
    "extension-not-critical": lambda: _middle_with(x509.InhibitAnyPolicy(1)),
    "precertificate": lambda: _leaf(x509.PrecertPoison(), critical=True),
    "version": lambda: Case(leaf=replace(LEAF, version=1, extensions=()), host=None, profile="public"),
    "version-extensions": lambda: Case(leaf=replace(LEAF, version=1)),
    "proxy-certificate": lambda: _leaf(
        Extension("1.3.6.1.5.5.7.1.14", False, tlv(0x30, tlv(0x30, oid("1.3.6.1.5.5.7.21.1"))))
    ),
    "serial-not-positive": lambda: Case(leaf=replace(LEAF, serial=0)),
    "serial-too-long": lambda: Case(leaf=replace(LEAF, serial=2**161)),
    "serial-predictable": lambda: Case(leaf=replace(LEAF, serial=1)),
    "unique-id": lambda: Case(leaf=replace(LEAF, unique_id=tlv(0x82, b"\0\xff"))),
    "name-unreadable": lambda: Case(leaf=replace(LEAF, subject=_unreadable_subject())),
    "common-name-too-long": lambda: _long_common_name(),
    "subject-ou": lambda: _public(replace(LEAF, subject=name(ORGANIZATIONAL_UNIT_NAME="IT"))),
    "policies-missing": lambda: _public(),
    "aia-missing": lambda: _public(),
    "sct-missing": lambda: _public(),
    # Constraints
    "name-constraints-violated": lambda: _middle_with(_constraints(permitted=("example.org",)), critical=True),
    "name-constraints-common-name": lambda: _constrained_common_name(),
    "name-constraints-unsupported": lambda: _unsupported_constraint(),
    "name-constraints-malformed": lambda: _middle_with(_constraints(excluded=(".example.org",)), critical=True),
    "name-constraints-not-critical": lambda: _middle_with(_constraints(permitted=("example.com",))),
    "name-constraints-distance": lambda: _middle_with(_distant(), critical=True),
    "leaf-name-constraints": lambda: _leaf(_constraints(permitted=("example.com",)), critical=True),
    "policy-required": lambda: _middle_with(x509.PolicyConstraints(0, None), critical=True),
    "policy-mappings-any": lambda: _middle_with(Extension("2.5.29.33", True, _mapping(ANY_POLICY, "1.2.3.4"))),
    # Trust
    "trust-not-asked": lambda: Case(trust=None),
    "issuer-not-found": lambda: Case(pool=()),
    "root-not-trusted": lambda: Case(pool=(MIDDLE, ROOT), trust=()),
    "self-signed-not-trusted": lambda: Case(leaf=_self_signed()),
    "self-signed-leaf": lambda: Case(leaf=_self_signed(), trust=(_self_signed(),)),
    "leaf-is-anchor": lambda: Case(trust=(LEAF,), pool=()),
    "path-too-long": _long_chain,
    "work-limit-exceeded": _heavy_constraints,
    # Revocation
    "revoked": lambda: Case(options={"crls": [_crl(MIDDLE, LEAF.serial), _crl(ROOT)]}),
    "crl-not-found": lambda: Case(options={"crls": [_crl(ROOT)]}),
    "crl-expired": lambda: Case(options={"crls": [_crl(MIDDLE, at=NOW - 31 * _DAY), _crl(ROOT)]}),
    "crl-invalid": lambda: Case(options={"crls": [_impostor_crl(), _crl(ROOT)]}),
    "revocation-pointer-missing": lambda: Case(profile="windows"),
    # Windows
    "key-not-persisted": lambda: Case(profile="windows", options={"facts": ServerFacts(key_persisted=False)}),
    "key-not-machine": lambda: Case(profile="windows", options={"facts": ServerFacts(key_of_machine=False)}),
    "pfx-unreadable": lambda: Case(
        profile="windows", options={"facts": ServerFacts(pfx=_pfx(), readable_by="windows-server-2016")}
    ),
    "not-a-pfx": lambda: Case(profile="procedure", options={"facts": ServerFacts(from_pfx=False)}),
    # What a live server sends
    "chain-order": lambda: _served(UPPER, LOWER, leaf=DEEP_LEAF),
    "chain-unrelated": lambda: _served(MIDDLE, intermediate(root("Stranger", 20), "Stranger Intermediate", 21)),
    "chain-sends-root": lambda: _served(MIDDLE, ROOT),
    "protocol-obsolete": lambda: _served(MIDDLE, protocol="TLSv1.1"),
    "user-rule-failed": lambda: Case(options={"extra_rules": [_raise]}),
}


def _served(*chain: Made, leaf: Made = LEAF, protocol: str = "TLSv1.3") -> Case:
    served = Served(chain=tuple(made.certificate() for made in chain), protocol=protocol)
    return Case(leaf=leaf, pool=chain, options={"served": served})


def _md5() -> Case:
    above = root("RSA Root", key=rsa_key(2048, 1))
    md5 = bytes.fromhex("300d06092a864886f70d0101040500")
    return Case(leaf=replace(leaf(above), algorithm=md5, digest=hashes.MD5), pool=(), trust=(above,))


def _root_with_path_length() -> Case:
    above = root().with_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    middle = intermediate(above)
    return Case(leaf=leaf(middle), pool=(middle,), trust=(above,))


def _nameless_root() -> Case:
    return _under(replace(root(), subject=name(), issuer=name()))


def _long_common_name() -> Case:
    long = "a" * 60 + ".example.com"
    subject = tlv(0x30, tlv(0x31, tlv(0x30, oid("2.5.4.3"), tlv(0x0C, long.encode()))))
    return Case(leaf=replace(_san(long), subject=subject), host=long)


def _constrained_common_name() -> Case:
    above = root().with_extension(_constraints(permitted=("example.com",)), critical=True)
    return Case(leaf=leaf(above, "10.0.0.5", common="10.0.0.5"), pool=(), trust=(above,), host="10.0.0.5")


def _unsupported_constraint() -> Case:
    other = x509.RegisteredID(ObjectIdentifier("1.2.3"))
    above = root().with_extension(x509.NameConstraints(None, [other]), critical=True)
    made = leaf(above).with_extension(x509.SubjectAlternativeName([x509.DNSName(HOST), other]))
    return Case(leaf=made, pool=(), trust=(above,))
