"""Names so plain that they are read here in place of elsewhere: nothing comes out that would not come out there."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from chains import leaf, oid, root, tlv
from mlsssl import InvalidInputError
from mlsssl._formats import foreign, hosts
from mlsssl._formats.parsed import View, plain_common_name

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = root()
UTF8, PRINTABLE, T61 = 0x0C, 0x13, 0x14


def _named(text: str, tag: int = UTF8, kind: str = "2.5.4.3") -> bytes:
    return tlv(0x30, tlv(0x31, tlv(0x30, oid(kind), tlv(tag, text.encode()))))


def _as_elsewhere(subjects: Iterable[bytes]) -> int:
    """How many of these were read here; each that can be read at all is read and shown as `cryptography` does."""
    plain = 0
    for subject in subjects:
        try:
            certificate = x509.load_der_x509_certificate(replace(leaf(ROOT), subject=subject).der_of_one_use())
        except ValueError:
            continue
        view = View(certificate)
        read: x509.Name | None = foreign.read_or(None, attrgetter("subject"), certificate)
        plain += view.plain_name is not None
        if read is None:
            assert view.plain_name is None, subject
            continue
        common = [one.value for one in read.get_attributes_for_oid(NameOID.COMMON_NAME) if isinstance(one.value, str)]
        assert view.common_names == common, subject
        text = read.rfc4514_string() or "(empty name)"
        assert view.subject_text == (text if len(text) <= 200 else f"{text[:200]}…"), subject
    return plain


@pytest.mark.parametrize("tag", [UTF8, PRINTABLE])
def test_each_octet_of_a_plain_name_may_be_another(tag: int) -> None:
    """A length, a type or a letter that is not what it was: then `cryptography` reads it, or nobody does."""
    good = _named("a.b", tag)
    others = (good[:at] + bytes((octet,)) + good[at + 1 :] for at in range(len(good)) for octet in range(256))
    assert 100 < _as_elsewhere(others) < 300


def test_names_that_are_no_plain_common_name() -> None:
    """What RFC 4514 escapes, other kinds, several of them, too few and too many characters."""
    texts = ('a"', "a,b", "#a", " a", "a ", "a+b", "a\\", "a=b", "a;b", "a\0", "é", "*.a", "", "a" * 65)
    one, other = (tlv(0x30, oid(kind), tlv(UTF8, b"a")) for kind in ("2.5.4.3", "2.5.4.10"))
    several = [tlv(0x30, tlv(0x31, one, other)), tlv(0x30, tlv(0x31, one), tlv(0x31, other)), tlv(0x30)]
    kinds = [_named("a", T61), _named("a", kind="2.5.4.10"), *several]
    assert _as_elsewhere([*map(_named, texts), *kinds]) == 0
    assert _as_elsewhere(_named("a" * size, tag) for size in range(1, 65) for tag in (UTF8, PRINTABLE)) == 128
    assert plain_common_name(_named("www.example.com")) == "www.example.com"


def _meant(text: str) -> object:
    try:
        return hosts.parse_host(text)
    except InvalidInputError as error:
        return str(error)


def test_a_plain_host_is_what_it_would_be_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same host, address or complaint where none is taken as it is."""
    texts = ["".join(letters) for size in range(5) for letters in product("aZ0x.-_*[]:/ \u0130", repeat=size)]
    shortly = [_meant(text) for text in texts]
    monkeypatch.setattr(hosts, "_PLAIN", b"")
    assert shortly == [_meant(text) for text in texts]
