"""Strategies for keys, names, authorities, certificates, chains and PFX files."""

from __future__ import annotations

import functools
import ipaddress
import string
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from mlsssl._formats.pkcs12.targets import find_target
from mlsssl._strategies import small_keys
from mlsssl._strategies.chain import Chain, draft, finish
from mlsssl._strategies.common import CLOCK, check_clock, check_range, integers, or_default, sampled, subset
from mlsssl._strategies.near_misses import NEAR_MISSES as _NEAR_MISSES
from mlsssl.authority import CertificateAuthority
from mlsssl.values import KeyType

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

    from mlsssl._formats.keys import PrivateKey
    from mlsssl.certificate import Certificate

NEAR_MISSES: Mapping[str, str] = MappingProxyType({name: one.code for name, one in _NEAR_MISSES.items()})
"""The ways in which `faulty_chains` are wrong, each with its finding code, the simplest first."""

FAULT_CODES = tuple(dict.fromkeys(NEAR_MISSES.values()))
"""The finding codes that `faulty_chains` can cause, the simplest first."""

NameKind = Literal["dns", "wildcard", "idn", "ipv4", "ipv6", "underscore"]
"""Kinds of name for `names`."""

_NAME_KINDS: tuple[NameKind, ...] = ("dns", "wildcard", "idn", "ipv4", "ipv6")
_KEY_TYPES: tuple[KeyType, ...] = ("ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096")
_AUTHORITY_KEY_TYPES: tuple[KeyType, ...] = ("ec-p256", "ec-p384", "rsa-2048")
_LABEL = string.ascii_lowercase + string.digits + "-"
# Letters that IDNA 2008 takes in any place of a label; from left-to-right scripts, so that any mixture is a label.
_IDN_LABEL = "äöüßéñøčłžбджяλπω日本語中文한국"
# Reserved for tests and private use (RFC 6761, RFC 6762 appendix G, ICANN 2024): no name drawn is anybody's.
_TOP_LABELS = ("test", "example", "internal", "lan")
_COMMON_NAMES = (
    "Test CA",
    "SelfIssuedCA",
    "Zertifizierungsstelle für Prüfungen",
    "認証局",
    "سلطة التصديق",
    'O\'Brien, "Root" + Sons; CN=x\\y',
    "#leading number sign and trailing blank ",
    "<script>alert(1)</script>&amp;",
    "\u202egnp.exe",
    "x" * 64,
)


# -- keys and names ---------------------------------------------------------------------------------------------------


@st.composite
def keys(draw: DrawFn, *, types: Iterable[KeyType] = _KEY_TYPES) -> PrivateKey:
    """Private keys, a few hundred of them, each made once in a process. Shrinks to P-256 with the private value 1.

    Args:
        types: Which types.
    """
    chosen = subset(types, get_args(KeyType), "types")
    # One choice for both, with every type as likely: choices, not keys, are what a draw costs.
    kind, number = divmod(draw(integers(0, len(chosen) * small_keys.EC_KEYS - 1)), small_keys.EC_KEYS)
    return small_keys.key(chosen[kind], number % small_keys.key_count(chosen[kind]))


@st.composite
def names(draw: DrawFn, *, kinds: Iterable[NameKind] = _NAME_KINDS) -> str:
    """What `CertificateAuthority.issue` takes as a name, as people write it. Shrinks to `0.test`.

    Args:
        kinds: `dns`; `wildcard`: `*.` and at least two labels; `idn`: with letters beyond ASCII; `ipv4`, `ipv6`;
            and, only when asked for, `underscore`: Windows' host names may have one, the DNS's may not.
    """
    chosen = subset(kinds, get_args(NameKind), "kinds")
    # One number for all three, so that `0.test` takes no more choices than an address: fewest is what "simplest" means.
    number, further, top = draw(_SHAPES[len(chosen)])
    kind = chosen[number]
    if kind in ("ipv4", "ipv6"):
        network = draw(_NETWORKS[kind])
        return str(network[draw(integers(0, network.num_addresses - 1))])
    labels = [draw(_IDN_LABELS) if kind == "idn" else _label(draw(_LABELS))]
    labels += [_label(draw(_LABELS)) for _ in range(further)]
    if kind == "underscore":
        half = labels[0][:31].rstrip("-")
        labels[0] = f"{half}_{half}"
    name = ".".join([*labels, top])
    return f"*.{name}" if kind == "wildcard" else name


def _networks(everywhere: str, special: Sequence[str]) -> SearchStrategy[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return st.sampled_from([ipaddress.ip_network(text) for text in (*[everywhere] * len(special), *special)])


def _label(text: str) -> str:
    # No hyphen at either end (RFC 1123), and none twice, which is kept for A-labels (RFC 5890 section 2.3.1).
    while "--" in text:
        text = text.replace("--", "-")
    return text.strip("-") or "a"


# For each number of kinds: which of them, how many labels more, and the last label.
_SHAPES = [
    st.sampled_from([(kind, further, top) for kind in range(count) for further in range(3) for top in _TOP_LABELS])
    for count in range(1, len(get_args(NameKind)) + 1)
]
_SHAPES.insert(0, st.nothing())
_LABELS = st.text(_LABEL, min_size=1, max_size=63)
_IDN_LABELS = st.text(_IDN_LABEL, min_size=1, max_size=8)
# Half of all addresses come from everywhere, half from ranges that mean something (RFC 6890, RFC 4291). Hypothesis'
# own `ip_addresses` makes a strategy for each address that it draws.
_NETWORKS = {
    "ipv4": _networks(
        "0.0.0.0/0",
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.2.0/24",
            "192.168.0.0/16",
            "224.0.0.0/4",
            "255.255.255.255/32",
        ),
    ),
    "ipv6": _networks(
        "::/0",
        (
            "::/128",
            "::1/128",
            "::ffff:0:0/96",
            "64:ff9b::/96",
            "2001:db8::/32",
            "2002::/16",
            "fc00::/7",
            "fe80::/10",
            "ff00::/8",
        ),
    ),
}


def _client_of(name: str) -> str:
    """A host that a certificate for this name is good for."""
    return f"a{name[1:]}" if name.startswith("*.") else name


# -- certificates -----------------------------------------------------------------------------------------------------


@st.composite
def authorities(
    draw: DrawFn,
    *,
    keys: SearchStrategy[PrivateKey] | None = None,
    common_names: SearchStrategy[str] | None = None,
    max_intermediates: int = 0,
    at: dt.datetime = CLOCK,
) -> CertificateAuthority:
    """Authorities, valid for ten years from `at`. Shrinks to a P-256 root called `Test CA`.

    Args:
        keys: Their keys; P-256, P-384 and RSA-2048 when not given, for larger RSA keys sign slowly.
        common_names: Their names; when not given, a few that have broken programs: other scripts, mark-up, the
            punctuation of distinguished names, 64 characters.
        max_intermediates: How many authorities may stand between the root and the one drawn; 0 to 8.
        at: The moment they are made.
    """
    check_range(0, max_intermediates, least=0, most=8, what="max_intermediates")
    check_clock(at)
    wanted = or_default(keys, _AUTHORITY_KEYS, "keys")
    named = or_default(common_names, sampled(_COMMON_NAMES), "common_names")
    depth = draw(integers(0, max_intermediates)) if max_intermediates else 0
    authority = _root(draw(named), draw(wanted), depth or None, at)
    for below in range(depth):
        authority = authority.create_intermediate(
            f"Intermediate {below + 1}", key=draw(wanted), at=at, serial=below + 2
        )
    return authority


@functools.lru_cache(1024)
def _root(common_name: str, key: PrivateKey, path_length: int | None, at: dt.datetime) -> CertificateAuthority:
    return CertificateAuthority.create(common_name, key=key, at=at, serial=1, path_length=path_length)


# Few enough that most roots of a run are made only once; RSA-4096 signs a hundred times slower than P-256.
_AUTHORITY_KEYS = st.sampled_from([(kind, number) for kind in _AUTHORITY_KEY_TYPES for number in range(12)]).map(
    lambda place: small_keys.key(place[0], place[1] % small_keys.key_count(place[0]))
)
_ALL_KEYS = keys()
_P256_KEYS = keys(types=("ec-p256",))
_NAMES = names()


@st.composite
def certificates(
    draw: DrawFn,
    *,
    names: SearchStrategy[str] | None = None,
    keys: SearchStrategy[PrivateKey] | None = None,
    authorities: SearchStrategy[CertificateAuthority] | None = None,
    min_names: int = 1,
    max_names: int = 3,
    min_days: int = 1,
    max_days: int = 398,
    at: dt.datetime = CLOCK,
) -> Certificate:
    """Server certificates with their private key and chain, as `CertificateAuthority.issue` makes them.

    Shrinks to one for `0.test` with a P-256 key, valid for `min_days`, from the simplest authority.

    Args:
        names: What they are for; each is drawn `min_names` to `max_names` times, and repetitions count once.
        keys: Their keys; of every type when not given.
        authorities: Who issues; a root when not given.
        min_names: At least 1.
        max_names: At most 100.
        min_days: The shortest validity, in days of 86,400 seconds.
        max_days: The longest; 3,000 at most.
        at: The moment of issuing. Authorities given must have been made at it or before.
    """
    check_range(min_names, max_names, least=1, most=100, what="the number of names")
    check_range(min_days, max_days, least=1, most=3000, what="the validity in days")
    check_clock(at)
    wanted = or_default(names, _NAMES, "names")
    authority = draw(or_default(authorities, _default_authorities(at), "authorities"))
    count = min_names if min_names == max_names else draw(integers(min_names, max_names))
    return authority.issue(
        *(draw(wanted) for _ in range(count)),
        key=draw(or_default(keys, _ALL_KEYS, "keys")),
        days=draw(integers(min_days, max_days)),
        serial=draw(integers(1, (1 << 159) - 1)),
        at=at,
    )


def _default_authorities(at: dt.datetime) -> SearchStrategy[CertificateAuthority]:
    return _AUTHORITIES if at is CLOCK else authorities(at=at)


_AUTHORITIES = authorities()


@st.composite
def chains(
    draw: DrawFn,
    *,
    names: SearchStrategy[str] | None = None,
    keys: SearchStrategy[PrivateKey] | None = None,
    max_intermediates: int = 2,
    at: dt.datetime = CLOCK,
) -> Chain:
    """Chains that are right in every way: a leaf, its authorities, the host and the moment to judge for.

    They are built with `cryptography` alone, not by this library's own issuing code, so that a validator is tested by
    somebody else's certificates. Shrinks to a root and a leaf for `0.test`, all P-256.

    Args:
        names: What the leaf is for; 1 to 3 of them.
        keys: All keys; P-256 when not given.
        max_intermediates: How many authorities may stand between the root and the leaf; 0 to 8.
        at: The moment to judge for; the leaf is valid from an hour before it for 1 to 397 days.
    """
    return _draw_chain(draw, None, names, keys, max_intermediates, at)


@st.composite
def faulty_chains(
    draw: DrawFn,
    *,
    codes: Iterable[str] | None = None,
    near_misses: Iterable[str] | None = None,
    names: SearchStrategy[str] | None = None,
    keys: SearchStrategy[PrivateKey] | None = None,
    max_intermediates: int = 2,
    at: dt.datetime = CLOCK,
) -> Chain:
    """Chains that are right but for one thing: `near_miss` says which, `fault` is the finding code that it must cause.

    Every fault is an error under the profile `private`: whoever accepts such a chain has a bug. With neither `names`
    nor `keys` the first examples of a run are the simplest chain of each near miss, in random order; all others vary.
    Shrinks to the simplest chain for the first near miss that still fails.

    Args:
        codes: Which faults; all of `FAULT_CODES` when not given.
        near_misses: Which ways to be wrong, of those with one of the `codes`; all of `NEAR_MISSES` when not given.
        names: As in `chains`; most near misses of a name bring their own besides, those of name constraints instead.
        keys: As in `chains`; a fault about keys brings its own.
        max_intermediates: As in `chains`; faults that need an intermediate have one even with 0.
        at: As in `chains`.
    """
    wanted = subset(FAULT_CODES if codes is None else codes, FAULT_CODES, "codes")
    known = tuple(NEAR_MISSES)
    among = subset(known if near_misses is None else near_misses, known, "near_misses")
    chosen = tuple(name for name in among if NEAR_MISSES[name] in wanted)
    if not chosen:
        raise InvalidArgument(f"none of these near misses has one of the codes {', '.join(wanted)}")
    if names is None and keys is None:
        # One choice and no more: Hypothesis tries nothing twice, so these are all tried before most of the others.
        number = draw(integers(0, len(chosen)))
        if number < len(chosen):
            return _plain_chain(chosen[number], at)
    return _draw_chain(draw, draw(sampled(chosen)), names, keys, max_intermediates, at)


def _plain_chain(near_miss: str, at: dt.datetime) -> Chain:
    """The simplest chain with this near miss."""
    check_clock(at)
    miss = _NEAR_MISSES[near_miss]
    chain_keys = [small_keys.key("ec-p256", height) for height in range(miss.authorities + 1)]
    plan = draft(hosts=[_PLAIN_HOST], host=_PLAIN_HOST, keys=chain_keys, serial=1 << 64, days=1, at=at)
    miss.change(plan)
    return finish(plan, near_miss=near_miss, fault=miss.code)


_PLAIN_HOST = "0.test"


def _draw_chain(
    draw: DrawFn,
    near_miss: str | None,
    names: SearchStrategy[str] | None,
    keys: SearchStrategy[PrivateKey] | None,
    max_intermediates: int,
    at: dt.datetime,
) -> Chain:
    check_range(0, max_intermediates, least=0, most=8, what="max_intermediates")
    check_clock(at)
    wanted = or_default(names, _NAMES, "names")
    miss = None if near_miss is None else _NEAR_MISSES[near_miss]
    least = miss.authorities if miss else 1
    authority_count = draw(integers(least, max(least, max_intermediates + 1)))
    if keys is None:
        # All different, for a key in two places would be a second fault.
        first = draw(integers(0, small_keys.EC_KEYS - 1 - authority_count))
        chain_keys = [small_keys.key("ec-p256", first + height) for height in range(authority_count + 1)]
    else:
        chain_keys = [draw(or_default(keys, _P256_KEYS, "keys")) for _ in range(authority_count + 1)]
    hosts = list(dict.fromkeys(draw(wanted) for _ in range(draw(integers(1, 3)))))
    plan = draft(
        hosts=hosts,
        host=_client_of(hosts[0]),
        keys=chain_keys,
        # At least 64 bits, as the Baseline Requirements' generators give them.
        serial=draw(integers(1 << 64, (1 << 159) - 1)),
        days=draw(integers(1, 397)),
        at=at,
    )
    if miss is not None:
        miss.change(plan)
    return finish(plan, near_miss=near_miss, fault=miss.code if miss else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PfxFile:
    """A PFX as bytes, and what is known of it.

    Attributes:
        data: The file.
        password: What opens it.
        certificate: What is in it.
    """

    data: bytes = field(repr=False)
    password: str
    certificate: Certificate


@st.composite
def pfx_files(
    draw: DrawFn,
    *,
    certificates: SearchStrategy[Certificate] | None = None,
    passwords: SearchStrategy[str] | None = None,
    readable_by: Iterable[str] | None = None,
) -> PfxFile:
    """PFX files with private key and chain. Shrinks to the simplest certificate under the password `0`.

    Each takes milliseconds, which is what its format spends on turning the password into a key.

    Args:
        certificates: What goes in; must have private keys.
        passwords: Any Unicode text of at least one character; for Java of printable ASCII.
        readable_by: Which targets of `Certificate.to_pfx`; its default alone when not given.
    """
    target = None if readable_by is None else draw(sampled(tuple(readable_by) or (None,)))
    certificate = draw(or_default(certificates, CERTIFICATES, "certificates"))
    plain = target is not None and find_target(target).plain_passwords
    password = draw(or_default(passwords, _PLAIN_PASSWORDS if plain else _PASSWORDS, "passwords"))
    data = certificate.to_pfx(password, readable_by=target)
    return PfxFile(data=data, password=password, certificate=certificate)


CERTIFICATES = certificates()
# No NUL, which ends a BMPString password for Windows; no surrogates, which UTF-16 cannot spell alone.
_PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=32)
_PLAIN_PASSWORDS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=32)
