"""Answering requests through HTTP.sys, over the fakes: what shares a port, who may, how it ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.http_requests import FakeHttpDriver, FakeResponse
from mlsssl._windows.http_requests import PrefixListener
from mlsssl.errors import AccessDeniedError, ListenerError, NativeError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "http://+:80/.well-known/acme-challenge/"
PATH = "/.well-known/acme-challenge/"
IIS = FakeResponse(status=200, body=b"IIS", content_type="text/html")


@pytest.fixture
def driver() -> FakeHttpDriver:
    """HTTP.sys with a site of IIS on port 80."""
    driver = FakeHttpDriver()
    driver.add_site("http://*:80/", lambda _path: IIS)
    return driver


@pytest.fixture
def dlls(driver: FakeHttpDriver) -> Iterator[FakeDlls]:
    """One process on that computer, which closes all that it opens."""
    dlls = FakeDlls(driver=driver)
    yield dlls
    assert dlls.calls.leaks == {}


def answer(path: str) -> bytes | None:
    """One token is known."""
    return b"token.thumbprint" if path == f"{PATH}token" else None


def test_what_is_known_is_answered_beside_iis(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """With the content type of RFC 8555; a site on the same port keeps everything else, and all of it afterwards."""
    with PrefixListener(dlls, PREFIX, answer) as listener:
        for query in ("", "?a=b"):
            response = driver.request(f"{PATH}token{query}")
            assert response == FakeResponse(
                status=200, body=b"token.thumbprint", content_type="application/octet-stream"
            )
        assert driver.request("/") == IIS
        assert driver.request("/.well-known/other") == IIS
        assert listener.failure is None
    assert driver.request(f"{PATH}token") == IIS


@pytest.mark.parametrize(
    ("path", "method"),
    [("other", "GET"), ("", "GET"), ("token/", "GET"), ("TOKEN", "GET"), ("\ud800", "GET"), ("token", "POST")],
)
def test_everything_else_is_not_found(driver: FakeHttpDriver, dlls: FakeDlls, path: str, method: str) -> None:
    """Another token, and another method; the listener goes on."""
    with PrefixListener(dlls, PREFIX, answer):
        assert driver.request(f"{PATH}{path}", method=method) == FakeResponse(status=404)
        assert driver.request(f"{PATH}token") != FakeResponse(status=404)


def test_requests_are_answered_one_after_the_other(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """Those that come together wait their turn: an authority asks from several places at once."""
    got: list[FakeResponse | None] = []
    with PrefixListener(dlls, PREFIX, answer):
        clients = [
            threading.Thread(target=lambda: got.append(driver.request(f"{PATH}token")), daemon=True) for _ in range(8)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert [response and response.status for response in got] == [200] * 8


def test_headers_that_are_too_long_are_refused(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """More than the buffer holds is a bad request, and the next one is served."""
    with PrefixListener(dlls, PREFIX, answer):
        assert driver.request(f"{PATH}token", headers=100_000) == FakeResponse(status=400)
        assert driver.request(f"{PATH}token", headers=30_000) == driver.request(f"{PATH}token")


def test_a_client_that_went_away_is_no_matter(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """While it was being answered (64 and 1229 are what Windows says then); the next one is served."""
    dlls.httpapi_requests.sent_late += [64, 1229]
    with PrefixListener(dlls, PREFIX, answer) as listener:
        driver.request(f"{PATH}token")
        driver.request(f"{PATH}token")
        response = driver.request(f"{PATH}token")
        assert response is not None
        assert response.status == 200
        assert listener.failure is None


def test_closing_ends_the_thread_that_waits(dlls: FakeDlls) -> None:
    """At once, as often as one likes, and it is no failure."""
    listener = PrefixListener(dlls, PREFIX, answer)
    listener.close()
    listener.close()
    assert listener.failure is None
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mlsssl http://")]


# ---- who may, and who is there already ----


def test_without_the_right_it_says_how_to_get_it(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """5: elevate, or reserve the prefix; nothing is left registered."""
    driver.administrator = False
    with pytest.raises(AccessDeniedError, match=r"netsh http add urlacl url=http://\+:80/\.well-known") as raised:
        PrefixListener(dlls, PREFIX, answer)
    assert raised.value.right == "administrator"
    assert PREFIX not in driver.registered


def test_a_reservation_is_enough(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """The twin: the same user, with the prefix reserved."""
    driver.administrator, driver.reserved = False, frozenset({PREFIX})
    with PrefixListener(dlls, PREFIX, answer):
        assert PREFIX in driver.registered


def test_two_do_not_share_a_prefix(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """183 for the second, who is told how to find the first; the first goes on."""
    second = FakeDlls(driver=driver)
    with PrefixListener(dlls, PREFIX, answer):
        with pytest.raises(ListenerError, match="netsh http show servicestate"):
            PrefixListener(second, PREFIX, answer)
        response = driver.request(f"{PATH}token")
        assert response is not None
        assert response.status == 200
    assert second.calls.leaks == {}
    PrefixListener(second, PREFIX, answer).close()


def test_the_end_of_the_other_is_waited_for(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """Two runs of one scheduled task: the second has its turn when the first is done."""
    first = PrefixListener(FakeDlls(driver=driver), PREFIX, answer)
    tries = iter(range(1000))

    def end_the_first(function: str) -> None:
        if function == "HttpAddUrlToUrlGroup" and next(tries) == 2:
            first.close()

    dlls.calls.before = end_the_first
    with PrefixListener(dlls, PREFIX, answer, timeout=60):
        assert dlls.calls.names.count("HttpAddUrlToUrlGroup") == 3


def test_a_port_of_another_server_is_named(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """32: Apache has it, so a folder is the way."""
    driver.taken_ports = frozenset({80})
    with pytest.raises(ListenerError, match=r"has port 80, such as Apache .*from a folder"):
        PrefixListener(dlls, PREFIX, answer)
    PrefixListener(dlls, PREFIX.replace(":80/", ":81/"), answer).close()


def test_a_killed_process_leaves_nothing(driver: FakeHttpDriver, dlls: FakeDlls) -> None:
    """The registration ends with its handles: the next run has the prefix, and IIS had it meanwhile."""
    killed = FakeDlls(driver=driver)
    left = PrefixListener(killed, PREFIX, answer)
    killed.httpapi_requests.kill()
    assert driver.request(f"{PATH}token") == IIS
    with PrefixListener(dlls, PREFIX, answer):
        response = driver.request(f"{PATH}token")
        assert response is not None
        assert response.status == 200
    left.close()  # only here, where the thread of the killed process lives on


# ---- every call that can fail ----


def calls_of_a_whole_run(driver: FakeHttpDriver) -> list[str]:
    """The names of the calls from the making to the first answer."""
    dlls = FakeDlls(driver=driver)
    with PrefixListener(dlls, PREFIX, answer):
        driver.request(f"{PATH}token")
        return list(dlls.calls.names)


def test_a_failure_while_it_is_made_leaves_nothing(driver: FakeHttpDriver) -> None:
    """Each call in turn; whatever was made before it is unmade, and the error names the call."""
    names = calls_of_a_whole_run(driver)
    made = names[: names.index("HttpReceiveHttpRequest")]
    assert len(made) >= 8
    for number, name in enumerate(made):
        dlls = FakeDlls(driver=driver)
        dlls.calls.faults[number] = 1359
        with pytest.raises(NativeError, match=name):
            PrefixListener(dlls, PREFIX, answer)
        assert dlls.calls.leaks == {}
        assert PREFIX not in driver.registered


@pytest.mark.parametrize("name", ["HttpReceiveHttpRequest", "WaitForMultipleObjects", "GetOverlappedResult"])
def test_a_failure_while_it_waits_is_told(driver: FakeHttpDriver, name: str) -> None:
    """The thread ends, it says why, and closing leaves nothing."""
    dlls = FakeDlls(driver=driver)
    seen: set[str] = set()

    def fail(function: str) -> None:
        if function == name and function not in seen:
            seen.add(function)
            dlls.calls.faults[len(dlls.calls.names)] = 1359

    dlls.calls.before = fail
    listener = PrefixListener(dlls, PREFIX, answer)
    if name == "GetOverlappedResult":
        with pytest.raises(AssertionError, match="not answered"):
            driver.request(f"{PATH}token", patience=0.2)
    listener._thread.join(30)
    assert (name if name != "GetOverlappedResult" else "HttpReceiveHttpRequest") in str(listener.failure)
    dlls.calls.before = None
    listener.close()
    assert dlls.calls.leaks == {}
