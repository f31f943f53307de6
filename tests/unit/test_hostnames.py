"""Names: what clients ask, what certificates present, and public suffixes with and without the library."""

from __future__ import annotations

import ipaddress
import sys
from types import ModuleType

import pytest

from chains import NOW, Extension, leaf, root, tlv
from made_certificates import make, shared_key
from mlsssl import Certificate
from mlsssl._deploy import preflight
from mlsssl._formats.binding_keys import parse_binding_key
from mlsssl._formats.hosts import (
    any_matches,
    dns_problem,
    filed_under,
    idna_problem,
    lenient_address,
    matches_any,
    parse_host,
    parse_name,
)
from mlsssl._validator import public_suffixes
from mlsssl._validator.leaf import is_internal
from mlsssl.errors import InvalidInputError


@pytest.mark.parametrize("presented", ["www.example.com", "WWW.example.com", "www.example.com.", "*.example.com", "*."])
@pytest.mark.parametrize("asked", ["www.example.com", "www.example.com.", "example.com", "com"])
def test_stores_are_searched_by_the_rule_of_the_validator(presented: str, asked: str) -> None:
    """What `Store.find` gives for a host is for this host."""
    found = any_matches([presented], parse_name(asked))
    assert found == matches_any(parse_host(asked), [presented], [])


def test_odd_names_of_the_bound_certificate_do_not_stop_a_change() -> None:
    """No client can ask for them, so nobody misses them; the others are missed."""
    older = Certificate(make("a b", "*", "www.example.com", key=shared_key()).certificate)
    same = Certificate(make("www.example.com", key=shared_key()).certificate)
    other = Certificate(make("other.example.com", key=shared_key()).certificate)
    assert list(preflight.about_lost_names(same, older)) == []
    (finding,) = preflight.about_lost_names(other, older)
    assert "not for www.example.com, as" in finding.found


def test_a_wildcard_is_found_by_its_own_name() -> None:
    """Though no client asks for it."""
    assert any_matches(["*.Example.com"], parse_name("*.example.com"))
    assert not any_matches(["*.example.com"], parse_name("*.example.org"))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("WWW.Example.COM.", "www.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("my_host", "my_host"),
        ("10.0.0.5", ipaddress.ip_address("10.0.0.5")),
        ("[2001:DB8::1]", ipaddress.ip_address("2001:db8::1")),
        ("::1", ipaddress.ip_address("::1")),
        ("1.2.3.4.5", "1.2.3.4.5"),
    ],
)
def test_what_users_type_is_understood(text: str, meant: object) -> None:
    """Case, a trailing dot, brackets and U-labels do not matter."""
    assert parse_host(text) == meant


def test_a_wildcard_stands_for_a_label() -> None:
    """One, and a label is not empty."""
    for host, matches in (("a.example.com", True), (".example.com", False), ("a.b.example.com", False)):
        assert matches_any(host, ["*.example.com"], []) is matches


def test_addresses_and_names_never_match_each_other() -> None:
    """An address in a dNSName is no address, and an address matches by value, not by spelling."""
    address = parse_host("2001:db8::1")
    assert matches_any(address, [], [ipaddress.ip_address("2001:DB8:0::1")])
    assert not matches_any(parse_host("10.0.0.5"), ["10.0.0.5", "*.0.0.5"], [])
    assert not matches_any("10.0.0.5", [], [ipaddress.ip_address("10.0.0.5")])


@pytest.mark.parametrize("presented", ["www.ban\u212a.example", "*.ban\u212a.example", "\u212aWWW.bank.example"])
def test_the_kelvin_sign_is_no_k(presented: str) -> None:
    """Though its small letter is one: a name that is not ASCII matches nothing, as with every client (RFC 9525)."""
    for host in ("www.bank.example", "kwww.bank.example"):
        assert not matches_any(host, [presented], [])
        assert matches_any(host, [presented.lower(), "*.bank.example"], [])
    wanted = parse_name("www.bank.example")
    assert not any_matches([presented], wanted)
    assert filed_under(presented) is None
    assert dns_problem(presented) == "dns-name-malformed"
    issuer = root()
    san = tlv(0x30, tlv(0x82, presented.encode()))
    made = leaf(issuer).with_extension(Extension("2.5.29.17", False, san))
    report = Certificate.from_der(made.der()).check("www.bank.example", trust=[issuer.certificate()], at=NOW)
    assert {"name-mismatch", "dns-name-malformed"} <= {finding.code for finding in report.errors}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("www.example.com", None),
        ("localhost", None),
        ("*.example.com", None),
        ("*", "wildcard-malformed"),
        ("*.*.example.com", "wildcard-malformed"),
        ("w*.example.com", "wildcard-malformed"),
        ("www.*.com", "wildcard-malformed"),
        ("*.com", "wildcard-top-level"),
        ("a_b.example.com", "dns-name-underscore"),
        ("10.0.0.1", "ip-as-dns-name"),
        ("a.b.1", "dns-name-malformed"),
        ("", "dns-name-malformed"),
        (".example.com", "dns-name-malformed"),
        ("example.com.", "dns-name-malformed"),
        ("a..b", "dns-name-malformed"),
        ("-a.example.com", "dns-name-malformed"),
        ("a-.example.com", "dns-name-malformed"),
        ("a b.example.com", "dns-name-malformed"),
        ("a.example.com\n", "dns-name-malformed"),
        (f"{'a' * 64}.example.com", "dns-name-malformed"),
        (".".join(["abcdefghi"] * 26), "dns-name-malformed"),
    ],
)
def test_presented_names_are_judged_by_their_form(name: str, problem: str | None) -> None:
    """RFC 1034's letters, digits and hyphens, whole labels, and a wildcard as the first label only."""
    assert dns_problem(name) == problem


def test_a_labels_are_decoded_to_be_believed() -> None:
    """Real ones pass, invented ones do not, others are not asked."""
    assert idna_problem("xn--bcher-kva.example") is None
    assert idna_problem("plain.example") is None
    assert idna_problem("xn--99999999-zz.example")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("0xC0000201", "192.0.2.1"),
        ("192.000.002.001", "192.0.2.1"),
        ("3221225985", "192.0.2.1"),
        ("192.0.513", "192.0.2.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("www.example.com", None),
        ("1.2.3.4.5", None),
        ("256.1.1.1", None),
        ("", None),
    ],
)
def test_odd_spellings_of_addresses_are_recognised(text: str, address: str | None) -> None:
    """As some resolver somewhere would read them."""
    found = lenient_address(text)
    assert found == (None if address is None else ipaddress.ip_address(address))


def test_hosts_that_are_none_are_refused() -> None:
    """With a message that names what was given."""
    for text in ("", "a b", "host:443", "https://x", "user@host", "\u2603" * 300, "a" * 2000):
        with pytest.raises(InvalidInputError):
            parse_host(text)


def test_a_url_is_told_that_it_is_one() -> None:
    """It is what stands in a browser's address line; "no IPv6 address" was no answer."""
    for call in (parse_host, parse_binding_key):
        with pytest.raises(InvalidInputError, match=r"'https://www\.example\.com/a=b' is a URL; write its host"):
            call("https://www.example.com/a=b")


def test_the_rule_of_thumb_for_public_suffixes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library: customary second levels and well-known hosting domains, and nothing else."""
    monkeypatch.setattr(public_suffixes, "_listed", lambda: None)
    for domain in ("com", "co.uk", "com.au", "github.io", "s3.amazonaws.com"):
        assert public_suffixes.is_public_suffix(domain), domain
    for domain in ("example.com", "corp.example", "example.co.uk", "bucket.s3.amazonaws.com", "co.example"):
        assert not public_suffixes.is_public_suffix(domain), domain


def test_the_library_decides_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through its own interface, stood in for here: what it calls a suffix is one."""

    class PublicSuffixList:
        def publicsuffix(self, domain: str) -> str:
            return "wild.example" if domain.endswith("wild.example") else domain.rpartition(".")[2]

    module = ModuleType("publicsuffixlist")
    module.PublicSuffixList = PublicSuffixList  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "publicsuffixlist", module)
    public_suffixes._listed.cache_clear()
    try:
        assert public_suffixes.is_public_suffix("wild.example")
        assert not public_suffixes.is_public_suffix("co.uk")
    finally:
        public_suffixes._listed.cache_clear()


def test_internal_names_are_those_that_no_public_authority_certifies() -> None:
    """One label, and the endings that were set aside."""
    assert all(map(is_internal, ("server", "server.local", "a.corp", "x.home", "y.internal", "localhost")))
    assert not any(map(is_internal, ("server-name.com", "a.example", "x.co.uk")))
