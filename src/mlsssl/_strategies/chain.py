"""Chains to draw: the value, how a good one is built, and what each fault changes before it is signed."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mlsssl._formats import der
from mlsssl._formats.hosts import parse_name, parse_subtree
from mlsssl._issue.keys import hash_for
from mlsssl._strategies import small_keys
from mlsssl.certificate import Certificate

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._validator.report import Report

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A server's certificate with everything that is needed to judge it.

    Attributes:
        certificate: The leaf, with its private key and, as its `chain`, the intermediates and the root it came with.
        root: What clients trust.
        host: The name that clients use.
        at: The moment to judge for.
        fault: The finding code of the one thing that is wrong under the profile `private`; None when nothing is.
    """

    certificate: Certificate
    root: Certificate
    host: str
    at: dt.datetime
    fault: str | None = None

    def check(self) -> Report:
        """What mlsssl's own validator says: `certificate.check(host, trust=[root], at=at)`."""
        return self.certificate.check(self.host, trust=[self.root], at=self.at)


@dataclass(slots=True, kw_only=True)
class Level:
    """One certificate before it is signed; faults change it."""

    subject: x509.Name
    key: PrivateKey
    not_before: dt.datetime
    not_after: dt.datetime
    serial: int
    extensions: dict[str, tuple[x509.ExtensionType, bool]] = field(default_factory=dict)
    signed_with: PrivateKey | None = None
    sha1: bool = False


@dataclass(slots=True, kw_only=True)
class Draft:
    """A chain before it is signed: the leaf first, the root last; faults change it."""

    levels: list[Level]
    host: str
    at: dt.datetime
    left_out: int | None = None
    trust_stranger: bool = False

    @property
    def leaf(self) -> Level:
        return self.levels[0]

    @property
    def root(self) -> Level:
        return self.levels[-1]


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def usage(*named: str) -> x509.KeyUsage:
    """A key usage of these of cryptography's names."""
    return x509.KeyUsage(**{bit: bit in named for bit in _USAGES})


def common_name(text: str) -> x509.Name:
    """A name of this one attribute; checks nothing, for faults are wrong on purpose."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, _validate=False)] if text else [])


def draft(*, hosts: list[str], host: str, keys: list[PrivateKey], serial: int, days: int, at: dt.datetime) -> Draft:
    """A chain that is right in every way: a leaf and, for each further key, an authority above it."""
    begun = at - 30 * DAY
    san = x509.SubjectAlternativeName([parse_name(name) for name in hosts])
    leaf = Level(
        subject=x509.Name([]),
        key=keys[0],
        not_before=at - dt.timedelta(hours=1),
        not_after=at + days * DAY,
        serial=serial,
        extensions={
            "basic": (x509.BasicConstraints(ca=False, path_length=None), True),
            "usage": (usage("digital_signature"), True),
            "eku": (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            "san": (san, True),
        },
    )
    levels = [leaf]
    for height, key in enumerate(keys[1:]):
        levels.append(
            Level(
                subject=common_name(f"Authority {height}"),
                key=key,
                not_before=begun,
                not_after=at + 3650 * DAY,
                serial=(1 << 80) + height,
                extensions={
                    "basic": (x509.BasicConstraints(ca=True, path_length=height), True),
                    "usage": (usage("key_cert_sign", "crl_sign"), True),
                },
            )
        )
    for level, above in zip(levels, [*levels[1:], levels[-1]], strict=True):
        level.extensions["ski"] = (x509.SubjectKeyIdentifier.from_public_key(level.key.public_key()), False)
        if level is not above:
            aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key())
            level.extensions["aki"] = (aki, False)
    return Draft(levels=levels, host=host, at=at)


def finish(plan: Draft, fault: str | None) -> Chain:
    """Sign it, from the root down."""
    made: list[x509.Certificate] = []
    for level, above in reversed(list(zip(plan.levels, [*plan.levels[1:], plan.root], strict=True))):
        made.insert(0, _sign(level, above))
    leaf, *others = made
    kept = [c for depth, c in enumerate(others, start=1) if depth != plan.left_out]
    root = Certificate(made[-1])
    if plan.trust_stranger:
        root = Certificate(_sign(*[_stranger(plan)] * 2))
    certificate = Certificate(leaf, private_key=plan.leaf.key, chain=kept)
    return Chain(certificate=certificate, root=root, host=plan.host, at=plan.at, fault=fault)


def _sign(level: Level, above: Level) -> x509.Certificate:
    key = level.signed_with or above.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(level.subject)
        .issuer_name(above.subject)
        .public_key(level.key.public_key())
        .serial_number(level.serial)
        .not_valid_before(level.not_before)
        .not_valid_after(level.not_after)
    )
    for extension, critical in level.extensions.values():
        builder = builder.add_extension(extension, critical)
    if isinstance(key, rsa.RSAPrivateKey):
        made = builder.sign(key, hash_for(key))
    else:
        made = builder.sign(key, hash_for(key), ecdsa_deterministic=_deterministic())
    return _signed_anew_with_sha1(made, key) if level.sha1 else made


@functools.cache
def _deterministic() -> bool:
    """Whether the OpenSSL under `cryptography` makes RFC 6979 signatures (3.2 and newer); random ones are valid too."""
    try:
        ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    except UnsupportedAlgorithm:
        return False
    return True


def _signed_anew_with_sha1(certificate: x509.Certificate, key: PrivateKey) -> x509.Certificate:
    """The same certificate with a SHA-1 signature, which `cryptography` no longer makes for certificates."""
    is_rsa = isinstance(key, rsa.RSAPrivateKey)
    with_rsa = der.write_oid("1.2.840.113549.1.1.5") + der.write(der.NULL)
    algorithm = der.write_sequence(with_rsa if is_rsa else der.write_oid("1.2.840.10045.4.1"))
    fields = [field.raw for field in der.members(der.only(certificate.tbs_certificate_bytes), der.SEQUENCE, most=10)]
    data = der.write_sequence(*fields[:2], algorithm, *fields[3:])  # after the version and the serial number
    sha1 = hashes.SHA1()  # noqa: S303 -- the fault itself
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(data, padding.PKCS1v15(), sha1)
    else:
        signature = key.sign(data, ec.ECDSA(sha1, deterministic_signing=_deterministic()))
    return x509.load_der_x509_certificate(der.write_sequence(data, algorithm, der.write(0x03, b"\0", signature)))


def _stranger(plan: Draft) -> Level:
    """A root of another name and key than the chain's, and right in itself."""
    key = small_keys.ec_key(ec.SECP256R1, small_keys.EC_KEYS + 1)
    return Level(
        subject=common_name("Another authority"),
        key=key,
        not_before=plan.root.not_before,
        not_after=plan.root.not_after,
        serial=1 << 90,
        extensions={
            **{name: plan.root.extensions[name] for name in ("basic", "usage")},
            "ski": (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        },
    )


# -- the faults -------------------------------------------------------------------------------------------------------


def _with(
    height: int, name: str, value: x509.ExtensionType | None, *, critical: bool = True
) -> Callable[[Draft], None]:
    """Give the certificate at this height (the leaf is 0, its issuer 1) this extension in place of its own, or none."""

    def change(plan: Draft) -> None:
        extensions = plan.levels[height].extensions
        if value is None:
            del extensions[name]
        else:
            extensions[name] = (value, critical)

    return change


def _set(**attributes: object) -> Callable[[Draft], None]:
    """Set these attributes of the draft itself."""

    def change(plan: Draft) -> None:
        for name, value in attributes.items():
            setattr(plan, name, value)

    return change


def _san(plan: Draft, *names: x509.GeneralName) -> None:
    plan.leaf.extensions["san"] = (x509.SubjectAlternativeName(names), plan.leaf.subject == x509.Name([]))


def _dns(plan: Draft, name: str) -> None:
    """Add a DNS name that is wrong to those that are right."""
    san = plan.leaf.extensions["san"][0]
    assert isinstance(san, x509.SubjectAlternativeName)
    _san(plan, *san, x509.DNSName(name))


def _expired(plan: Draft) -> None:
    plan.leaf.not_before, plan.leaf.not_after = plan.at - 29 * DAY, plan.at - dt.timedelta(seconds=1)


def _not_yet_valid(plan: Draft) -> None:
    plan.leaf.not_before = plan.at + dt.timedelta(seconds=1)
    plan.leaf.not_after += 2 * DAY


def _too_long(plan: Draft) -> None:
    plan.leaf.not_after = plan.leaf.not_before + 826 * DAY


def _common_name_only(plan: Draft) -> None:
    del plan.leaf.extensions["san"]
    plan.host = "common-name.test"
    plan.leaf.subject = common_name(plan.host)


def _signature(plan: Draft) -> None:
    plan.leaf.signed_with = small_keys.ec_key(ec.SECP256R1, small_keys.EC_KEYS + 2)


def _sha1(plan: Draft) -> None:
    plan.leaf.sha1 = True


def _wrong_dns(name: str) -> Callable[[Draft], None]:
    return lambda plan: _dns(plan, name)


def _aki(plan: Draft) -> None:
    stranger = small_keys.ec_key(ec.SECP256R1, small_keys.EC_KEYS + 3).public_key()
    plan.leaf.extensions["aki"] = (x509.AuthorityKeyIdentifier.from_issuer_public_key(stranger), False)


def _constraints(plan: Draft) -> None:
    forbidden = x509.NameConstraints(None, [parse_subtree("forbidden.test")])
    plan.levels[1].extensions["constraints"] = (forbidden, True)
    _dns(plan, "www.forbidden.test")


def _curve(plan: Draft) -> None:
    _leaf_key(plan, ec.derive_private_key(7, ec.SECP256K1()))


def _small_rsa(plan: Draft) -> None:
    _leaf_key(plan, small_keys.rsa_key(1024, 0))


def _leaf_key(plan: Draft, key: PrivateKey) -> None:
    plan.leaf.key = key
    plan.leaf.extensions["ski"] = (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to be wrong: how it changes a draft that is right, how many authorities it needs, what else follows."""

    change: Callable[[Draft], None]
    authorities: int = 1
    also: tuple[str, ...] = ()


_UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
FAULTS: dict[str, Fault] = {
    "expired": Fault(change=_expired),
    "not-yet-valid": Fault(change=_not_yet_valid),
    "name-mismatch": Fault(change=_set(host="another-host.test")),
    "root-not-trusted": Fault(change=_set(trust_stranger=True)),
    "issuer-not-found": Fault(change=_set(left_out=1), authorities=2),
    "signature-invalid": Fault(change=_signature),
    "signature-hash": Fault(change=_sha1),
    "validity-too-long": Fault(change=_too_long),
    "common-name-only": Fault(change=_common_name_only, also=("name-mismatch",)),
    "dns-name-malformed": Fault(change=_wrong_dns("-hyphen-.test")),
    "wildcard-top-level": Fault(change=_wrong_dns("*.test")),
    "eku-missing": Fault(change=_with(0, "eku", None)),
    "eku-server-auth-missing": Fault(
        change=_with(0, "eku", x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    ),
    "key-usage-unsuitable": Fault(change=_with(0, "usage", usage("content_commitment"))),
    "leaf-is-ca": Fault(change=_with(0, "basic", x509.BasicConstraints(ca=True, path_length=None))),
    "ec-curve": Fault(change=_curve),
    "rsa-too-small": Fault(change=_small_rsa),
    "aki-mismatch": Fault(change=_aki),
    "extension-unknown-critical": Fault(change=_with(0, "unknown", _UNKNOWN)),
    "issuer-not-ca": Fault(change=_with(1, "basic", x509.BasicConstraints(ca=False, path_length=None)), authorities=2),
    "intermediate-basic-constraints-missing": Fault(change=_with(1, "basic", None), authorities=2),
    "issuer-key-usage": Fault(change=_with(1, "usage", usage("crl_sign"))),
    # The authority above the leaf's issuer may have none below it, and has that issuer.
    "path-length-exceeded": Fault(
        change=_with(2, "basic", x509.BasicConstraints(ca=True, path_length=0)), authorities=2
    ),
    "name-constraints-violated": Fault(change=_constraints, authorities=2),
}
"""Finding code to what causes it, the simplest first. All are errors under the profile `private`."""
