"""http-01 through HTTP.sys: the solver over the fake driver; its listener: tests/windows/test_http_requests.py."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from mlsssl import AcmeIssuer
from mlsssl._commands.remedies import in_commands
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.http_requests import FakeHttpDriver, FakeResponse
from mlsssl._windows.http_requests import PrefixListener
from mlsssl.errors import AccessDeniedError, InvalidInputError, ListenerError, NativeError, UnsupportedError
from mlsssl.issuers._acme import http_sys
from mlsssl.issuers.challenges import ChallengeSolver, HttpSysChallenge

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/.well-known/acme-challenge/"
IIS = FakeResponse(status=200, body=b"IIS")
MISSING = FakeResponse(status=404)


@pytest.fixture
def driver() -> FakeHttpDriver:
    """HTTP.sys with a site of IIS on port 80."""
    driver = FakeHttpDriver()
    driver.add_site("http://*:80/", lambda _path: IIS)
    return driver


@pytest.fixture
def dlls(driver: FakeHttpDriver, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDlls]:
    """The DLLs of the process in which the solvers of a test run; it leaves nothing open."""
    dlls = FakeDlls(driver=driver)
    monkeypatch.setattr(http_sys, "http_prefix_listener", partial(PrefixListener, dlls))
    yield dlls
    assert dlls.calls.leaks == {}


def found(body: bytes) -> FakeResponse:
    return FakeResponse(status=200, body=body, content_type="application/octet-stream")


@pytest.mark.usefixtures("dlls")
def test_the_tokens_present_are_answered(driver: FakeHttpDriver) -> None:
    """Each with its own key authorization, from `present` to `cleanup`; IIS has the rest, and all of it at the end."""
    solver = HttpSysChallenge()
    assert isinstance(solver, ChallengeSolver)
    assert driver.request(f"{PATH}one") == IIS
    solver.present("a.example", "one", "one.thumbprint")
    solver.present("b.example", "two", "two.thumbprint")
    assert driver.request(f"{PATH}one") == found(b"one.thumbprint")
    assert driver.request(f"{PATH}two") == found(b"two.thumbprint")
    assert driver.request(f"{PATH}three") == MISSING
    assert driver.request(f"{PATH}one/two") == MISSING
    assert driver.request("/") == IIS
    solver.cleanup("a.example", "one", "one.thumbprint")
    assert driver.request(f"{PATH}one") == MISSING
    assert driver.request(f"{PATH}two") == found(b"two.thumbprint")
    solver.cleanup("b.example", "two", "two.thumbprint")
    assert driver.request(f"{PATH}two") == IIS


@pytest.mark.usefixtures("dlls")
def test_both_may_be_called_again(driver: FakeHttpDriver) -> None:
    """As the Protocol has it: a second `present`, a `cleanup` of what was never presented, and the next order."""
    solver = HttpSysChallenge()
    solver.cleanup("a.example", "one", "one.thumbprint")
    for _ in range(2):
        solver.present("a.example", "one", "one.thumbprint")
        solver.present("a.example", "one", "one.thumbprint")
        assert driver.request(f"{PATH}one") == found(b"one.thumbprint")
        solver.cleanup("a.example", "one", "one.thumbprint")
        solver.cleanup("a.example", "one", "one.thumbprint")
        assert driver.request(f"{PATH}one") == IIS


def test_a_refusal_leaves_nothing(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """The next `present` begins again, and works once the right is there."""
    solver = HttpSysChallenge()
    driver.administrator = False
    with pytest.raises(AccessDeniedError, match="netsh http add urlacl"):
        solver.present("a.example", "one", "one.thumbprint")
    assert dlls.calls.leaks == {}
    driver.administrator = True
    solver.present("a.example", "one", "one.thumbprint")
    assert driver.request(f"{PATH}one") == found(b"one.thumbprint")
    solver.cleanup("a.example", "one", "one.thumbprint")


@pytest.mark.usefixtures("dlls")
def test_another_order_has_the_prefix(driver: FakeHttpDriver) -> None:
    """Told after the time-out; the first one is not disturbed."""
    first, second = HttpSysChallenge(), HttpSysChallenge(timeout=0.2)
    first.present("a.example", "one", "one.thumbprint")
    with pytest.raises(ListenerError, match="another program listens for"):
        second.present("b.example", "two", "two.thumbprint")
    assert driver.request(f"{PATH}one") == found(b"one.thumbprint")
    first.cleanup("a.example", "one", "one.thumbprint")
    second.present("b.example", "two", "two.thumbprint")
    assert driver.request(f"{PATH}two") == found(b"two.thumbprint")
    second.cleanup("b.example", "two", "two.thumbprint")


def test_a_listener_that_ended_by_itself_is_told(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """Else an authority's "not found" would be all that anybody hears; the next challenge has a new one."""
    solver = HttpSysChallenge()
    fail = True

    def refuse(function: str) -> None:
        if fail and function == "HttpReceiveHttpRequest":
            dlls.calls.faults[len(dlls.calls.names)] = 1359

    def ended() -> None:
        assert solver._listener is not None
        solver._listener._thread.join(30)

    dlls.calls.before = refuse
    solver.present("a.example", "one", "one.thumbprint")
    ended()
    with pytest.raises(NativeError, match="HttpReceiveHttpRequest"):
        solver.cleanup("a.example", "one", "one.thumbprint")
    assert dlls.calls.leaks == {}
    solver.present("a.example", "one", "one.thumbprint")
    ended()
    fail = False
    solver.present("b.example", "two", "two.thumbprint")
    assert driver.request(f"{PATH}one") == found(b"one.thumbprint")
    for token in ("one", "two"):
        solver.cleanup("a.example", token, f"{token}.thumbprint")


@pytest.mark.parametrize("port", [0, 65536, -1, "80", True, 80.0])
def test_a_port_is_a_port(port: int) -> None:
    """Checked when the solver is made."""
    with pytest.raises(InvalidInputError, match="from 1 to 65535"):
        HttpSysChallenge(port)


def test_a_time_out_is_a_number() -> None:
    """Of seconds, up to an hour."""
    with pytest.raises(InvalidInputError, match="seconds from 0 to 3600"):
        HttpSysChallenge(timeout=4000)


@pytest.mark.skipif(sys.platform == "win32", reason="there it works")
def test_elsewhere_there_is_no_http_sys() -> None:
    """Told at once."""
    with pytest.raises(UnsupportedError, match="a part of Windows"):
        HttpSysChallenge().present("a.example", "one", "one.thumbprint")


def test_its_repr_says_where() -> None:
    """The prefix as `netsh http show servicestate` shows it."""
    assert repr(HttpSysChallenge(8080)) == "<HttpSysChallenge http://+:8080/.well-known/acme-challenge/>"


def test_the_command_line_has_it() -> None:
    """`--acme-http-sys` is this solver; without any the error names it."""
    pytest.importorskip("acme")
    from mlsssl._commands.acme import acme_issuer
    from mlsssl.cli import build_parser

    words = ["renew", "0.0.0.0:443", "--acme", "https://127.0.0.1:1/dir", "--acme-agree-terms"]
    issuer = acme_issuer(build_parser().parse_args([*words, "--acme-http-sys"]))
    assert isinstance(issuer, AcmeIssuer)
    assert [repr(one) for one in issuer._solvers] == [repr(HttpSysChallenge())]
    with pytest.raises(InvalidInputError, match="--acme-http-sys"):
        acme_issuer(build_parser().parse_args(words))


def test_its_errors_at_the_command_line() -> None:
    """The folder that a program should serve is an option there."""
    driver = FakeHttpDriver(taken_ports=frozenset({80}))
    with pytest.raises(ListenerError) as raised:
        PrefixListener(FakeDlls(driver=driver), f"http://+:80{PATH}", lambda _path: None)
    assert "from a folder instead (WebrootChallenge)" in str(raised.value)
    assert in_commands(str(raised.value)).endswith("from a folder instead: --acme-webroot FOLDER")
