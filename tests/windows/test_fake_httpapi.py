"""The fake httpapi.dll answers as the stand-in under Wine does, wrong questions above all.

Both are driven through the same Protocol with the same structures; off Windows only the fake has its turn. So two
people's reading of Microsoft's reference, in two languages, is compared.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from mlsssl._fakes.calls import Calls, Misuse
from mlsssl._fakes.httpapi import FakeHttpApi
from mlsssl._native.cdata import NULL, exports, ffi, wide
from mlsssl._windows.dlls import SystemDlls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import HttpApi

SET_TYPES = {1: "SSL", 5: "SSL_SNI", 6: "SSL_CCS", 11: "SSL_SNI"}
NOT_NULL = ffi.cast("void *", 8)


def version(major: int, minor: int) -> CData:
    pointer = ffi.new("HTTPAPI_VERSION *", (major, minor))
    return pointer[0]  # type: ignore[no-any-return]


@pytest.fixture(name="raw", params=["fake", "dll"] if sys.platform == "win32" else ["fake"])
def _raw(request: pytest.FixtureRequest) -> Iterator[HttpApi]:
    if request.param == "fake":
        # Only this machine's certificates are unusable; which ones a machine has is not compared here.
        yield FakeHttpApi(Calls(), check_certificate=lambda _digest, _store: 1312)
        return
    from windows import raw_httpapi, witness_log

    if witness_log.present():  # a third reading, by a third person
        yield SystemDlls().httpapi
        assert witness_log.open_count() == 0
        return
    standin = raw_httpapi.StandIn()
    if not standin.exports("StandinReset"):
        pytest.skip("this httpapi.dll is Windows' own; the stand-in is used only under Wine")
    standin.reset()
    yield SystemDlls().httpapi
    standin.reset()
    assert standin.open_count() == 0


@pytest.fixture(name="api")
def _api(raw: HttpApi) -> Iterator[HttpApi]:
    assert raw.HttpInitialize(version(1, 0), 2, NULL) == 0
    yield raw
    assert raw.HttpTerminate(2, NULL) == 0


@dataclass
class Question:
    """A good SET structure for a family, to be spoilt, and all that goes beside it."""

    family: int
    structure: Any = field(init=False)
    handle: Any = NULL
    overlapped: Any = NULL
    more: int = 0
    keep: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.structure = ffi.new(f"HTTP_SERVICE_CONFIG_{SET_TYPES[self.family]}_SET *")
        self.fill(self.structure.KeyDesc)
        if self.family in (1, 5):
            digest, store = ffi.from_buffer("BYTE[]", bytes(20)), wide("MY")
            self.keep += [digest, store]
            param = self.structure.ParamDesc
            param.SslHashLength, param.pSslHash, param.pSslCertStoreName = 20, digest, store

    def fill(self, desc: CData) -> None:
        """Fill in a good key."""
        if self.family == 1:
            address = ffi.new("SOCKADDR_IN *", {"sin_family": 2, "sin_port": b"\x11\x5c", "sin_addr": b"\x7f\0\0\1"})
            self.keep.append(address)
            desc.pIpPort = ffi.cast("SOCKADDR *", address)
            return
        inline = self.inline(desc)
        inline.sin_family, inline.sin_port = 2, b"\x11\x5c"
        if self.family != 6:
            self.keep.append(wide("a.example"))
            desc.Host = self.keep[-1]

    def inline(self, desc: Any = None) -> CData:
        """The address inside the key."""
        desc = self.structure.KeyDesc if desc is None else desc
        return ffi.cast("SOCKADDR_IN *", ffi.addressof(desc.LocalAddress if self.family == 6 else desc.IpPort))

    def address(self) -> CData:
        """The address that the IP key points to."""
        return self.keep[0]  # type: ignore[no-any-return]

    def text(self, name: str, text: str) -> None:
        """Set a text of the record."""
        self.keep.append(wide(text))
        setattr(self.structure.ParamDesc, name, self.keep[-1])

    def ask(self, call: Callable[..., int], *, key_only: bool = False) -> int:
        """Make the call; `key_only` clears the rest of the record first, as a deletion wants it."""
        size = ffi.sizeof(f"HTTP_SERVICE_CONFIG_{SET_TYPES[self.family]}_SET")
        if key_only:
            param = ffi.addressof(self.structure, "ParamDesc")
            ffi.memmove(
                param, bytes(ffi.sizeof("HTTP_SERVICE_CONFIG_SSL_PARAM")), ffi.sizeof("HTTP_SERVICE_CONFIG_SSL_PARAM")
            )
        return call(self.handle, self.family, self.structure, size + self.more, self.overlapped)


def spoil(what: str, question: Question) -> None:
    """Make one thing wrong."""
    param, key = question.structure.ParamDesc, question.structure.KeyDesc
    if what == "handle":
        question.handle = NOT_NULL
    elif what == "overlapped":
        question.overlapped = NOT_NULL
    elif what == "too short":
        question.more = -1
    elif what == "too long":
        question.more = 1
    elif what == "nothing":
        question.structure = NULL
    elif what == "no address":
        key.pIpPort = NULL
    elif what == "Linux's AF_INET6":
        question.address().sin_family = 10
    elif what == "port 0":
        (question.address() if question.family == 1 else question.inline()).sin_port = b"\0\0"
    elif what == "sin_zero":
        (question.address() if question.family == 1 else question.inline()).sin_zero = b"\0\0\0\0\0\0\0\1"
    elif what == "an address in a host's key":
        question.inline().sin_addr = b"\x7f\0\0\1"
    elif what == "AF_INET6 in a host's key":
        question.inline().sin_family = 23
    elif what == "the last byte of the address":
        ffi.buffer(ffi.cast("BYTE *", question.inline()), 128)[127] = b"\1"  # type: ignore[call-overload]
    elif what == "no host":
        key.Host = NULL
    elif what == "an empty host":
        question.keep.append(wide(""))
        key.Host = question.keep[-1]
    elif what == "a hash of 19":
        param.SslHashLength = 19
    elif what == "a hash of 32":
        param.SslHashLength = 32
    elif what == "no hash":
        param.pSslHash = NULL
    elif what == "a hash":
        question.keep.append(ffi.from_buffer("BYTE[]", bytes(20)))
        param.SslHashLength, param.pSslHash = 20, question.keep[-1]
    elif what == "no store":
        param.pSslCertStoreName = NULL
    elif what == "an empty store":
        question.text("pSslCertStoreName", "")
    elif what == "a store":
        question.text("pSslCertStoreName", "MY")
    elif what == "a flag":
        param.DefaultFlags = 0x10
    elif what == "a check mode":
        param.DefaultCertCheckMode = 1
    elif what == "a list":
        question.text("pDefaultSslCtlIdentifier", "issuers")
    else:
        raise AssertionError(what)


EVERYWHERE = {
    "handle": 6,
    "overlapped": 87,
    "too short": 122,
    "too long": 87,
    "nothing": 87,
    "port 0": 87,
    "sin_zero": 87,
}
INLINE = {
    "an address in a host's key": 87,
    "AF_INET6 in a host's key": 87,
    "the last byte of the address": 87,
}
WRONG: dict[int, dict[str, int]] = {
    1: {
        **EVERYWHERE,
        "no address": 87,
        "Linux's AF_INET6": 87,
        "a hash of 19": 87,
        "a hash of 32": 87,
        "no hash": 87,
        "an empty store": 87,
        "no store": 1312,  # means MY, where the certificate is not
    },
    5: {
        **EVERYWHERE,
        **INLINE,
        "no host": 87,
        "an empty host": 87,
        "a hash of 19": 87,
        "no hash": 87,
        "no store": 87,
        "an empty store": 87,
        "a flag": 1312,  # fine, so the certificate is what is wrong
    },
    6: {**EVERYWHERE, **INLINE, "a hash": 87, "a store": 87, "a flag": 87, "a check mode": 87, "a list": 87},
    11: {
        **EVERYWHERE,
        **INLINE,
        "no host": 87,
        "a hash": 87,
        "a store": 87,
        "a flag": 0,
        "a list": 0,
        "a check mode": 0,
    },
}
CASES = [(family, what, code) for family, wrong in WRONG.items() for what, code in wrong.items()]


@pytest.mark.parametrize(("family", "what", "code"), CASES)
def test_a_wrong_record_is_answered_alike(api: HttpApi, family: int, what: str, code: int) -> None:
    """One thing wrong, one documented code."""
    question = Question(family)
    spoil(what, question)
    assert question.ask(api.HttpSetServiceConfiguration) == code
    if not code:
        assert question.ask(api.HttpDeleteServiceConfiguration, key_only=True) == 0


@pytest.mark.parametrize("family", [1, 5, 6, 11])
def test_a_right_record_is_answered_alike(api: HttpApi, family: int) -> None:
    """The twin without a fault: taken where no certificate is needed, refused for the certificate where one is."""
    question = Question(family)
    named, updates = family in (1, 5), exports(api, "HttpUpdateServiceConfiguration")
    assert question.ask(api.HttpSetServiceConfiguration) == (1312 if named else 0)
    assert question.ask(api.HttpSetServiceConfiguration) == (1312 if named else 183)
    if not named:
        assert not updates or question.ask(api.HttpUpdateServiceConfiguration) == 0
        question.text("pDefaultSslCtlIdentifier", "left over")
        assert question.ask(api.HttpDeleteServiceConfiguration) == 87
        assert question.ask(api.HttpDeleteServiceConfiguration, key_only=True) == 0
    assert question.ask(api.HttpDeleteServiceConfiguration, key_only=True) == 2
    assert not updates or Question(family).ask(api.HttpUpdateServiceConfiguration) == 2


@pytest.mark.parametrize("family", [-1, 0, 2, 3, 4, 7, 8, 9, 10, 12, 13])
def test_families_that_are_none_of_the_four(api: HttpApi, family: int) -> None:
    """87, whatever the structure."""
    question = Question(6)
    size = ffi.sizeof("HTTP_SERVICE_CONFIG_SSL_CCS_SET")
    assert api.HttpSetServiceConfiguration(NULL, family, question.structure, size, NULL) == 87


def query(
    api: HttpApi, question: Question, size: int, *, kind: int = 0, token: int = 0, more: int = 0
) -> tuple[int, int]:
    """Ask for the question's record; the code, and the size that was answered."""
    name = f"HTTP_SERVICE_CONFIG_{SET_TYPES[question.family]}_QUERY"
    structure = ffi.new(f"{name} *", {"QueryDesc": kind, "dwToken": token})
    question.fill(structure.KeyDesc)
    needed = ffi.new("ULONG *")
    buffer: Any = ffi.new("uint64_t[]", size // 8) if size else NULL
    length = ffi.sizeof(name) + more
    code = api.HttpQueryServiceConfiguration(NULL, question.family, structure, length, buffer, size, needed, NULL)
    return code, int(needed[0])


def test_queries_are_answered_alike(api: HttpApi) -> None:
    """Missing, by position, past the end, too small, just enough, a length too much, a kind that does not exist."""
    question = Question(11)
    assert query(api, question, 0) == (2, 0)
    assert query(api, question, 512) == (2, 0)
    assert query(api, question, 0, kind=1) == (259, 0)
    assert question.ask(api.HttpSetServiceConfiguration) == 0
    code, needed = query(api, question, 0)
    assert code == 122
    assert needed >= ffi.sizeof("HTTP_SERVICE_CONFIG_SSL_SNI_SET") + len("a.example\0") * 2
    assert query(api, question, 8) == (122, needed)
    assert query(api, question, (needed + 7) // 8 * 8) == (0, needed)
    assert query(api, question, 512, kind=1) == (0, needed)
    assert query(api, question, 512, kind=1, token=1) == (259, 0)
    assert query(api, question, 512, kind=2) == (87, 0)
    assert query(api, question, 512, more=-1) == (122, 0)
    assert query(api, question, 512, more=1) == (87, 0)
    assert question.ask(api.HttpDeleteServiceConfiguration, key_only=True) == 0
    assert query(api, question, 512) == (2, 0)


def test_a_host_in_another_spelling_is_another_record(api: HttpApi) -> None:
    """Whether Windows compares names without case is not documented; the stricter side is byte by byte."""
    question = Question(11)
    assert question.ask(api.HttpSetServiceConfiguration) == 0
    upper = Question(11)
    upper.keep.append(wide("A.Example"))
    upper.structure.KeyDesc.Host = upper.keep[-1]
    assert upper.ask(api.HttpDeleteServiceConfiguration, key_only=True) == 2
    assert upper.ask(api.HttpSetServiceConfiguration) == 0
    assert upper.ask(api.HttpDeleteServiceConfiguration, key_only=True) == 0
    assert question.ask(api.HttpDeleteServiceConfiguration, key_only=True) == 0


@pytest.mark.parametrize(
    ("major", "minor", "flags", "code"),
    [
        (1, 0, 2, 0),
        (2, 0, 2, 0),
        (1, 0, 1, 0),
        (1, 0, 3, 0),
        (3, 0, 2, 87),
        (1, 1, 2, 87),
        (1, 0, 0, 87),
        (1, 0, 4, 87),
    ],
)
def test_initialising_is_answered_alike(raw: HttpApi, major: int, minor: int, flags: int, code: int) -> None:
    """Versions 1.0 and 2.0, server and configuration, nothing else."""
    assert raw.HttpInitialize(version(major, minor), flags, NULL) == code
    if not code:
        assert raw.HttpTerminate(flags, NULL) == 0


def test_the_fake_refuses_what_windows_would_not_survive() -> None:
    """Calls for which no code is documented are bugs of the caller, and say so at once."""
    fake = FakeHttpApi(Calls())
    with pytest.raises(Misuse, match="HttpInitialize"):
        Question(6).ask(fake.HttpSetServiceConfiguration)
    with pytest.raises(Misuse, match="not open"):
        fake.HttpTerminate(2, NULL)
    fake.HttpInitialize(version(1, 0), 2, NULL)
    with pytest.raises(Misuse, match="SSL_CCS_SET"):
        fake.HttpSetServiceConfiguration(NULL, 6, Question(11).structure, 208, NULL)
    with pytest.raises(Misuse, match="were promised"):
        query_too_small(fake)


def query_too_small(fake: FakeHttpApi) -> None:
    """Promise more room than there is."""
    question = Question(6)
    assert question.ask(fake.HttpSetServiceConfiguration) == 0
    structure = ffi.new("HTTP_SERVICE_CONFIG_SSL_CCS_QUERY *")
    question.fill(structure.KeyDesc)
    fake.HttpQueryServiceConfiguration(
        NULL, 6, structure, ffi.sizeof("HTTP_SERVICE_CONFIG_SSL_CCS_QUERY"), ffi.new("BYTE[]", 16), 512, NULL, NULL
    )
