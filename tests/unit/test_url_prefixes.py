"""URL prefixes by HTTP.sys' rules: read strictly from people, kept as they are from machines."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl import InvalidInputError, UrlPrefix, strategies
from mlsssl._formats.url_prefixes import with_slash


@pytest.mark.parametrize(
    ("text", "parts", "kind"),
    [
        ("https://+:443/mls/", ("https", "+", 443, "/mls/"), "strong wildcard"),
        ("http://*:80/", ("http", "*", 80, "/"), "weak wildcard"),
        ("https://WWW.Example.com:8443/A/b/", ("https", "www.example.com", 8443, "/A/b/"), "explicit"),
        ("https://bücher.example:443/", ("https", "xn--bcher-kva.example", 443, "/"), "explicit"),
        ("http://*.example.com:80/", ("http", "*.example.com", 80, "/"), "explicit"),
        ("http://10.0.0.5:65535/x/", ("http", "10.0.0.5", 65535, "/x/"), "address"),
        ("http://[FE80:0::1]:1/", ("http", "fe80::1", 1, "/"), "address"),
    ],
)
def test_what_microsoft_calls_well_formed_is_read(text: str, parts: tuple[object, ...], kind: str) -> None:
    """All four categories of hosts; hosts normalised, the path as it is."""
    prefix = UrlPrefix(text)
    assert (prefix.scheme, prefix.host, prefix.port, prefix.path) == parts
    assert prefix.host_kind == kind
    assert prefix.stored is None
    assert UrlPrefix(str(prefix)) == prefix == UrlPrefix(prefix)
    assert repr(prefix) == f"UrlPrefix('{prefix}')"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://+:443/mls", r"ends with a slash; write 'https://\+:443/mls/'"),
        ("https://+:443", "write https://\\+:443/$"),
        ("https://+/mls/", "write https://\\+:443/mls/$"),
        ("http://example.com", "write http://example.com:80/$"),
        ("HTTPS://+:443/", "write https, in lower case"),
        ("ftp://+:443/", "http or https, not 'ftp'"),
        ("+:443/", "is not a URL prefix: write scheme://host:port/path/"),
        ("", "is not a URL prefix"),
        ("https://:443/", "no host; write \\+"),
        ("https://[::1:443/", "is not a URL prefix"),
        ("https://[www.example.com]:443/", "no host"),
        ("https://::1:443/", "is not a URL prefix"),
        ("https://a b:443/", "not a host name"),
        ("https://1.2.3.256:443/", "looks like an IP address"),
        ("https://[fe80::1%eth0]:443/", "no host"),
        ("https://+:0443/", "without leading zeros, not '0443'"),
        ("https://+:0/", "1 to 65535"),
        ("https://+:65536/", "1 to 65535"),
        ("https://+:*/", "1 to 65535"),
        ("https://+:443/a//b/", "an empty segment"),
        ("https://+:443//", "an empty segment"),
        ("https://+:443/a/../b/", "relative segment '..'"),
        ("https://+:443/./", "relative segment '.'"),
        ("https://+:443/%2e%2E/", "relative segment '%2e%2E'"),
        ("https://+:443/a/?q/", "cannot hold '\\?'"),
        ("https://+:443/a#b/", "cannot hold '#'"),
        ("https://+:443/a\\b/", "cannot hold"),
        ("https://+:443/a b/", "cannot hold ' '"),
        ("https://+:443/a\nb/", "cannot hold"),
        (f"https://+:443/{'a' * 17_000}/", "at most 16383 characters"),
        (None, "is text"),
    ],
)
def test_what_it_is_not_is_refused_in_words(text: str, said: str) -> None:
    """The message says what to write where that is clear."""
    with pytest.raises(InvalidInputError, match=said):
        UrlPrefix(text)


def test_prefixes_are_compared_without_case() -> None:
    """Host and path, as HTTP.sys does; the scheme is lower case anyway, the port is a number."""
    assert UrlPrefix("https://+:443/Mls/") == UrlPrefix("https://+:443/mls/")
    assert len({UrlPrefix("https://A.example:443/X/"), UrlPrefix("https://a.example:443/x/")}) == 1
    assert UrlPrefix("https://+:443/") != UrlPrefix("https://*:443/")
    assert UrlPrefix("https://+:443/") != "https://+:443/"
    assert min(UrlPrefix("https://+:443/b/"), UrlPrefix("https://+:443/A/")).path == "/A/"


def test_one_prefix_covers_what_lies_below_it() -> None:
    """The same scheme, host and port: the categories of hosts are apart from each other."""
    whole = UrlPrefix("https://+:443/")
    assert whole.covers(UrlPrefix("https://+:443/mls/"))
    assert not UrlPrefix("https://+:443/mls/").covers(whole)
    assert UrlPrefix("https://+:443/MLS/").covers(UrlPrefix("https://+:443/mls/x/"))
    assert not UrlPrefix("https://+:443/mls/").covers(UrlPrefix("https://+:443/mls2/"))
    assert not whole.covers(UrlPrefix("https://*:443/"))
    assert not UrlPrefix.as_stored("nothing").covers(UrlPrefix.as_stored("nothing"))


@pytest.mark.parametrize("text", ["HTTPS://+:443/Mls/", "https://WWW.example.com:443/mls/"])
def test_a_stored_prefix_equals_the_normalised_one(text: str) -> None:
    """And keeps the machine's spelling, which goes back to the machine."""
    stored = UrlPrefix.as_stored(text)
    assert stored == UrlPrefix(str(stored))
    assert stored.written == stored.stored == text
    assert eval(repr(stored)) == stored
    assert pickle.loads(pickle.dumps(stored)).written == text


@pytest.mark.parametrize("text", ["https://+:443:10.0.0.5/mls/", "whatever", "http://+:80/x"])
def test_what_is_no_prefix_is_kept_whole(text: str) -> None:
    """Another program's form has no scheme and no port, but its text."""
    stored = UrlPrefix.as_stored(text)
    assert (stored.scheme, stored.port, stored.path, stored.host_kind) == ("", 0, text, None)
    assert str(stored) == stored.written == text
    assert eval(repr(stored)) == stored


@pytest.mark.parametrize("text", ["", "a\0b", "a\ud800", "a" * 17_000, None])
def test_no_machine_keeps_such_a_text(text: str) -> None:
    """What could not go back to Windows."""
    with pytest.raises(InvalidInputError, match="stored URL prefix"):
        UrlPrefix.as_stored(text)


def test_a_prefix_is_immutable() -> None:
    """A value; it is pickled as its text."""
    prefix = UrlPrefix("https://+:443/mls/")
    with pytest.raises(AttributeError, match="immutable"):
        prefix.port = 444
    with pytest.raises(AttributeError, match="immutable"):
        del prefix.port
    assert pickle.loads(pickle.dumps(prefix)) == prefix


def test_netshs_own_examples_get_their_slash() -> None:
    """Its help shows prefixes without; where nothing follows the port, HTTP.sys answers 87, and so do we."""
    assert with_slash("http://+:80/MyUri") == "http://+:80/MyUri/"
    assert with_slash("http://+:80/MyUri/") == "http://+:80/MyUri/"
    assert with_slash("http://+:80") == "http://+:80"
    assert with_slash("http://+:80/a?b") == "http://+:80/a?b"


@given(strategies.url_prefixes())
def test_any_prefix_is_read_back_from_its_text(prefix: UrlPrefix) -> None:
    """Whatever the strategy draws is one by the parser."""
    again = UrlPrefix(str(prefix))
    assert (again, str(again)) == (prefix, str(prefix))
    assert UrlPrefix.as_stored(str(prefix)) == prefix


@given(st.text(max_size=60) | st.from_regex(r"https?://\S{0,12}:\d{0,6}/\S{0,12}"))
def test_any_text_is_a_prefix_or_refused(text: str) -> None:
    """Nothing but our own error; what is read is written in a form that is read again."""
    try:
        prefix = UrlPrefix(text)
    except InvalidInputError:
        return
    assert UrlPrefix(str(prefix)) == prefix
