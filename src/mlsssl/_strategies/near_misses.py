"""What each near miss changes in a chain that is right, before it is signed.

Each is one that some program has taken for right; what it must cause is a finding code of the validator.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku
from cryptography.x509.oid import NameOID

from mlsssl._strategies import small_keys
from mlsssl._strategies.chain import DAY, common_name, stranger, usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._strategies.chain import Draft, Level

SECOND = dt.timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """One way to be wrong.

    Attributes:
        code: The finding that it is.
        change: What it does to a draft that is right.
        authorities: How many the chain must have for it.
        also: The errors that follow from it.
        warnings: The warnings that follow from it.
    """

    code: str
    change: Callable[[Draft], None]
    authorities: int = 1
    also: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


# -- names ------------------------------------------------------------------------------------------------------------


def _set_san(plan: Draft, *names: x509.GeneralName) -> None:
    plan.leaf.extensions["san"] = (x509.SubjectAlternativeName(names), plan.leaf.subject == x509.Name([]))


def _add(name: x509.GeneralName, host: str | None = None) -> Callable[[Draft], None]:
    """Add this name to those that are right; ask for this host."""

    def change(plan: Draft) -> None:
        san = plan.leaf.extensions["san"][0]
        assert isinstance(san, x509.SubjectAlternativeName)
        _set_san(plan, *san, name)
        if host is not None:
            plan.host = host

    return change


def _dns(name: str, host: str | None = None) -> Callable[[Draft], None]:
    return _add(x509.DNSName(name), host)


def _another_host(plan: Draft) -> None:
    plan.host = "another-host.test"


def _common_name_only(plan: Draft) -> None:
    del plan.leaf.extensions["san"]
    plan.host = "common-name.test"
    plan.leaf.subject = common_name(plan.host)


def _common_name_beside_san(plan: Draft) -> None:
    plan.host = "common-name.test"
    plan.leaf.subject = common_name(plan.host)
    san = plan.leaf.extensions["san"][0]
    assert isinstance(san, x509.SubjectAlternativeName)
    _set_san(plan, *san)


def _common_name_in_text(plan: Draft) -> None:
    """For who looks for `CN=` in the subject's text, as the Apache HTTP client did."""
    plan.host = "common-name.test"
    attribute = x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"foo, CN={plan.host}")
    plan.leaf.subject = x509.Name([attribute])
    san = plan.leaf.extensions["san"][0]
    assert isinstance(san, x509.SubjectAlternativeName)
    _set_san(plan, *san)


# -- dates ------------------------------------------------------------------------------------------------------------


def _expired(plan: Draft) -> None:
    plan.leaf.not_before, plan.leaf.not_after = plan.at - 29 * DAY, plan.at - SECOND


def _expired_at(height: int) -> Callable[[Draft], None]:
    def change(plan: Draft) -> None:
        plan.levels[height].not_after = plan.at - SECOND

    return change


def _not_yet_valid(plan: Draft) -> None:
    plan.leaf.not_before = plan.at + SECOND
    plan.leaf.not_after += 2 * DAY


def _issuer_not_yet_valid(plan: Draft) -> None:
    plan.levels[1].not_before = plan.at + SECOND


def _too_long(plan: Draft) -> None:
    plan.leaf.not_after = plan.leaf.not_before + 826 * DAY


# -- signatures and keys ----------------------------------------------------------------------------------------------

_OTHER = small_keys.EC_KEYS + 2


def _other_key(number: int = _OTHER) -> ec.EllipticCurvePrivateKey:
    return small_keys.ec_key(ec.SECP256R1, number)


def _key_identifier(key: PrivateKey) -> tuple[x509.ExtensionType, bool]:
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False


def _authority_key_identifier(key: PrivateKey) -> tuple[x509.ExtensionType, bool]:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False


def _signed_by_another(height: int) -> Callable[[Draft], None]:
    """Whoever signed it names the right issuer, and the key identifier of its key."""

    def change(plan: Draft) -> None:
        plan.levels[height].signed_with = _other_key()

    return change


def _self_made(level: Level) -> None:
    level.signed_with = level.key
    level.extensions["aki"] = _authority_key_identifier(level.key)


def _self_signed(plan: Draft) -> None:
    plan.leaf.subject = plan.leaf.issuer = common_name("Self-signed")
    san = plan.leaf.extensions["san"][0]
    plan.leaf.extensions["san"] = (san, False)
    _self_made(plan.leaf)


def _impostor(plan: Draft) -> None:
    """An authority with the name of the leaf's own and another key; the leaf names that key."""
    impostor = _other_key()
    plan.levels[1].key = impostor
    plan.levels[1].extensions["ski"] = _key_identifier(impostor)
    plan.levels[1].signed_with = impostor
    plan.leaf.extensions["aki"] = _authority_key_identifier(impostor)


def _issuer_of_another_name(plan: Draft) -> None:
    """The authority's key made the signature, and the leaf names an authority that is not there."""
    plan.leaf.issuer = common_name("Authority of another name")


def _strange_root(plan: Draft) -> None:
    plan.trusted = stranger(plan, common_name("Another authority"))


def _root_of_the_same_name(plan: Draft) -> None:
    plan.trusted = stranger(plan, plan.root.subject)


def _sha1_at(height: int) -> Callable[[Draft], None]:
    def change(plan: Draft) -> None:
        plan.levels[height].sha1 = True

    return change


def _aki(plan: Draft) -> None:
    plan.leaf.extensions["aki"] = _authority_key_identifier(_other_key(small_keys.EC_KEYS + 3))


def _leaf_key(key: Callable[[], PrivateKey]) -> Callable[[Draft], None]:
    def change(plan: Draft) -> None:
        plan.leaf.key = key()
        plan.leaf.extensions["ski"] = _key_identifier(plan.leaf.key)

    return change


# -- authorities and extensions ---------------------------------------------------------------------------------------


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


def _server_as_issuer(plan: Draft) -> None:
    """A server's certificate signs another: what everybody can do who has one."""
    issuer = plan.levels[1]
    issuer.extensions |= {
        "basic": (x509.BasicConstraints(ca=False, path_length=None), True),
        "usage": (usage("digital_signature"), True),
        "eku": (x509.ExtendedKeyUsage([Eku.SERVER_AUTH]), False),
    }


def _version_1(plan: Draft) -> None:
    plan.levels[1].version1 = True
    del plan.leaf.extensions["aki"]  # that there is none to point to would be another fault


def _usages(*allowed: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage(allowed)


def _constraints(
    *, permitted: x509.GeneralName | None = None, excluded: x509.GeneralName | None = None
) -> x509.NameConstraints:
    return x509.NameConstraints(None if permitted is None else [permitted], None if excluded is None else [excluded])


def _constrained(
    height: int, constraints: x509.NameConstraints, *names: x509.GeneralName, host: str
) -> Callable[[Draft], None]:
    """Of the authority at this height; the leaf has these names and no others."""

    def change(plan: Draft) -> None:
        plan.levels[height].extensions["constraints"] = (constraints, True)
        _set_san(plan, *names)
        plan.host = host

    return change


def _address(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(text))


def _network(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_network(text))


def _revoked(height: int) -> Callable[[Draft], None]:
    def change(plan: Draft) -> None:
        plan.revoked = height

    return change


def _left_out(plan: Draft) -> None:
    plan.left_out = 1


_OUTLIVES = ("outlives-issuer",)  # what is still valid, and its issuer no more
_UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
_FORBIDDEN = _constraints(excluded=x509.DNSName("forbidden.test"))
_ALLOWED = _constraints(permitted=x509.DNSName("allowed.test"))

NEAR_MISSES: dict[str, NearMiss] = {
    "expired": NearMiss(code="expired", change=_expired),
    "not-yet-valid": NearMiss(code="not-yet-valid", change=_not_yet_valid),
    "another-host": NearMiss(code="name-mismatch", change=_another_host),
    "another-root": NearMiss(code="root-not-trusted", change=_strange_root),
    "issuer-left-out": NearMiss(code="issuer-not-found", change=_left_out, authorities=2),
    "signed-by-another-key": NearMiss(code="signature-invalid", change=_signed_by_another(0)),
    # Dates, above the leaf
    "issuer-expired": NearMiss(code="expired", change=_expired_at(1), authorities=2, warnings=_OUTLIVES),
    "root-expired": NearMiss(code="expired", change=_expired_at(-1), warnings=_OUTLIVES),
    "issuer-not-yet-valid": NearMiss(code="not-yet-valid", change=_issuer_not_yet_valid, authorities=2),
    "validity-too-long": NearMiss(code="validity-too-long", change=_too_long),
    # Names
    "sibling": NearMiss(code="name-mismatch", change=_dns("www.near.test", "mail.near.test")),
    "parent": NearMiss(code="name-mismatch", change=_dns("www.near.test", "near.test")),
    "child": NearMiss(code="name-mismatch", change=_dns("near.test", "www.near.test")),
    "suffix-without-dot": NearMiss(code="name-mismatch", change=_dns("near.test", "notnear.test")),
    "prefix": NearMiss(code="name-mismatch", change=_dns("near.test", "near.test.attacker.example")),
    "wildcard-over-two-labels": NearMiss(code="name-mismatch", change=_dns("*.near.test", "a.b.near.test")),
    "wildcard-over-no-label": NearMiss(code="name-mismatch", change=_dns("*.near.test", "near.test")),
    "wildcard-inside-a-label": NearMiss(
        code="name-mismatch", change=_dns("w*.near.test", "www.near.test"), warnings=("wildcard-malformed",)
    ),
    "wildcard-not-leftmost": NearMiss(
        code="name-mismatch", change=_dns("www.*.test", "www.near.test"), warnings=("wildcard-malformed",)
    ),
    "wildcard-in-an-a-label": NearMiss(
        code="name-mismatch", change=_dns("xn--n*.near.test", "xn--nr-via.near.test"), warnings=("wildcard-malformed",)
    ),
    "wildcard-top-level": NearMiss(code="wildcard-top-level", change=_dns("*.test")),
    "dns-name-malformed": NearMiss(code="dns-name-malformed", change=_dns("-hyphen-.test")),
    "name-cut-at-a-nul": NearMiss(
        code="name-mismatch", change=_dns("near.test\0.attacker.example", "near.test"), also=("dns-name-malformed",)
    ),
    "address-as-dns-name": NearMiss(
        code="name-mismatch", change=_dns("192.0.2.1", "192.0.2.1"), warnings=("ip-as-dns-name",)
    ),
    "address-as-a-prefix": NearMiss(code="name-mismatch", change=_add(_address("192.0.2.1"), "192.0.2.10")),
    "wildcard-for-an-address": NearMiss(
        code="name-mismatch", change=_dns("*.0.2.1", "192.0.2.1"), also=("dns-name-malformed",)
    ),
    "uri-for-a-host": NearMiss(
        code="name-mismatch", change=_add(x509.UniformResourceIdentifier("https://near.test/"), "near.test")
    ),
    "common-name-only": NearMiss(code="common-name-only", change=_common_name_only, also=("name-mismatch",)),
    "common-name-beside-san": NearMiss(code="name-mismatch", change=_common_name_beside_san),
    "common-name-in-the-subjects-text": NearMiss(code="name-mismatch", change=_common_name_in_text),
    # Signatures and trust
    "issuer-signed-by-another-key": NearMiss(code="signature-invalid", change=_signed_by_another(1), authorities=2),
    "issuer-of-the-same-name": NearMiss(code="signature-invalid", change=_impostor, authorities=2),
    "issuer-of-another-name": NearMiss(code="issuer-not-found", change=_issuer_of_another_name, authorities=2),
    "root-of-the-same-name": NearMiss(code="signature-invalid", change=_root_of_the_same_name),
    "self-signed": NearMiss(code="self-signed-not-trusted", change=_self_signed),
    "sha1": NearMiss(code="signature-hash", change=_sha1_at(0)),
    "issuer-sha1": NearMiss(code="signature-hash", change=_sha1_at(1), authorities=2),
    "curve": NearMiss(code="ec-curve", change=_leaf_key(lambda: ec.derive_private_key(7, ec.SECP256K1()))),
    "small-rsa": NearMiss(code="rsa-too-small", change=_leaf_key(lambda: small_keys.rsa_key(1024, 0))),
    "aki-mismatch": NearMiss(code="aki-mismatch", change=_aki),
    # What a certificate is for
    "eku-missing": NearMiss(code="eku-missing", change=_with(0, "eku", None)),
    "client-as-server": NearMiss(
        code="eku-server-auth-missing", change=_with(0, "eku", _usages(Eku.CLIENT_AUTH), critical=False)
    ),
    "issuer-for-clients-only": NearMiss(
        code="issuer-eku", change=_with(1, "eku", _usages(Eku.CLIENT_AUTH), critical=False), authorities=2
    ),
    "key-usage-unsuitable": NearMiss(
        code="key-usage-unsuitable", change=_with(0, "usage", usage("content_commitment"))
    ),
    "leaf-is-ca": NearMiss(
        code="leaf-is-ca", change=_with(0, "basic", x509.BasicConstraints(ca=True, path_length=None))
    ),
    "unknown-critical-extension": NearMiss(code="extension-unknown-critical", change=_with(0, "unknown", _UNKNOWN)),
    "unknown-critical-extension-of-issuer": NearMiss(
        code="extension-unknown-critical", change=_with(1, "unknown", _UNKNOWN), authorities=2
    ),
    # Authorities
    "issuer-not-ca": NearMiss(
        code="issuer-not-ca",
        change=_with(1, "basic", x509.BasicConstraints(ca=False, path_length=None)),
        authorities=2,
    ),
    "server-as-issuer": NearMiss(
        code="issuer-not-ca", change=_server_as_issuer, authorities=2, also=("issuer-key-usage",)
    ),
    "issuer-without-basic-constraints": NearMiss(
        code="intermediate-basic-constraints-missing", change=_with(1, "basic", None), authorities=2
    ),
    "issuer-of-version-1": NearMiss(
        code="intermediate-basic-constraints-missing",
        change=_version_1,
        authorities=2,
        warnings=("aki-missing", "issuer-key-usage-missing", "issuer-ski-missing", "version"),
    ),
    "issuer-may-not-sign": NearMiss(code="issuer-key-usage", change=_with(1, "usage", usage("crl_sign"))),
    # The authority above the leaf's issuer may have none below it, and has that issuer.
    "path-too-long-for-root": NearMiss(
        code="path-length-exceeded",
        change=_with(-1, "basic", x509.BasicConstraints(ca=True, path_length=0)),
        authorities=2,
    ),
    "path-too-long-for-issuer": NearMiss(
        code="path-length-exceeded",
        change=_with(2, "basic", x509.BasicConstraints(ca=True, path_length=0)),
        authorities=3,
    ),
    # Name constraints
    "excluded-name": NearMiss(
        code="name-constraints-violated",
        change=_constrained(1, _FORBIDDEN, x509.DNSName("www.forbidden.test"), host="www.forbidden.test"),
        authorities=2,
    ),
    "excluded-name-in-capitals": NearMiss(
        code="name-constraints-violated",
        change=_constrained(1, _FORBIDDEN, x509.DNSName("WWW.Forbidden.TEST"), host="www.forbidden.test"),
        authorities=2,
    ),
    "excluded-by-the-root": NearMiss(
        code="name-constraints-violated",
        change=_constrained(-1, _FORBIDDEN, x509.DNSName("www.forbidden.test"), host="www.forbidden.test"),
        authorities=2,
    ),
    "wildcard-over-an-excluded-name": NearMiss(
        code="name-constraints-violated",
        change=_constrained(
            1,
            _constraints(excluded=x509.DNSName("www.forbidden.test")),
            x509.DNSName("*.forbidden.test"),
            host="www.forbidden.test",
        ),
        authorities=2,
    ),
    "not-permitted-name": NearMiss(
        code="name-constraints-violated",
        change=_constrained(1, _ALLOWED, x509.DNSName("www.near.test"), host="www.near.test"),
        authorities=2,
    ),
    "permitted-suffix-without-dot": NearMiss(
        code="name-constraints-violated",
        change=_constrained(1, _ALLOWED, x509.DNSName("notallowed.test"), host="notallowed.test"),
        authorities=2,
    ),
    "second-name-not-permitted": NearMiss(
        code="name-constraints-violated",
        change=_constrained(
            1, _ALLOWED, x509.DNSName("www.allowed.test"), x509.DNSName("www.near.test"), host="www.near.test"
        ),
        authorities=2,
    ),
    "address-outside-the-mask": NearMiss(
        code="name-constraints-violated",
        change=_constrained(
            1, _constraints(permitted=_network("192.0.2.0/28")), _address("192.0.2.16"), host="192.0.2.16"
        ),
        authorities=2,
    ),
    # Revocation
    "revoked": NearMiss(code="revoked", change=_revoked(0)),
    "issuer-revoked": NearMiss(code="revoked", change=_revoked(1), authorities=2),
}
"""Name of each to what it is, the simplest first. All their codes are errors under the profile `private`."""
