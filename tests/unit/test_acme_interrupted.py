"""An order that is interrupted anywhere is gone on with: one order, one certificate, no answer to a challenge left."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest
import requests

import acme_servers
from mlsssl import CertificateRequest
from mlsssl.errors import IssuerError
from mlsssl.issuers._acme import client, order
from mlsssl.issuers.acme import AcmeIssuer
from mlsssl.issuers.challenges import WebrootChallenge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from acme_servers import Pebble

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Pebble is a program of Debian's")

MOST = 400  # points of a sweep: more, and something goes round in circles


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    """It refuses no nonce, so that every run asks the same questions."""
    environment = {"PEBBLE_WFE_NONCEREJECT": "0"}
    with acme_servers.pebble(tmp_path_factory.mktemp("pebble"), environment=environment) as server:
        yield server


@pytest.fixture(name="web")
def _web(server: Pebble, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    with acme_servers.site(folder, server.http_port):
        yield folder


@pytest.fixture(name="hurried", autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits are looked at elsewhere."""
    monkeypatch.setattr(client.Patience, "wait", lambda self, seconds: time.sleep(min(seconds, 0.01)))
    monkeypatch.setattr(order, "FIRST_LOOK", 0.02)


def issuer_for(server: Pebble, web: Path, state: Path) -> AcmeIssuer:
    return AcmeIssuer(
        server.directory, [WebrootChallenge(web)], agree_terms=True, trust=server.trust, state=state, timeout=120
    )


def refusal(issuer: AcmeIssuer, wanted: CertificateRequest) -> IssuerError | None:
    try:
        issuer.issue(wanted)
    except IssuerError as error:
        return error
    return None


def left(web: Path) -> list[Path]:
    return [path for path in web.rglob("*") if path.is_file()]


# -- the network fails -------------------------------------------------------------------------------------------------


class Network:
    """Fails at requests of certain numbers: before they are sent, or after they were answered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self.fails: range = range(0)
        self.answered = False
        ask = requests.Session.request

        def request(session: requests.Session, *arguments: object, **options: object) -> requests.Response:
            self.number += 1
            fails = self.number in self.fails
            if fails and not self.answered:
                raise requests.ConnectionError("the line is cut")
            response = ask(session, *arguments, **options)  # type: ignore[arg-type]  # passed on as they came
            if fails:
                response.close()
                raise requests.ConnectionError("the line is cut")
            return response

        monkeypatch.setattr(requests.Session, "request", request)

    def fail(self, numbers: range, *, answered: bool) -> None:
        self.number, self.fails, self.answered = 0, numbers, answered


@pytest.mark.parametrize("answered", [False, True], ids=["before", "answer lost"])
def test_one_request_fails(
    answered: bool, server: Pebble, web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in turn: the run itself goes on, and nothing happens twice."""
    network = Network(monkeypatch)
    for point in range(1, MOST):
        orders, certificates = server.orders, server.certificates
        network.fail(range(point, point + 1), answered=answered)
        wanted = CertificateRequest.create("net.example", key="ec-p256")
        made = issuer_for(server, web, tmp_path / f"state{point}").issue(wanted)
        assert wanted.matches(made)
        assert (server.orders - orders, server.certificates - certificates) == (1, 1), point
        assert left(web) == [], point
        if network.number < point:
            break
    assert point >= 10, "too few requests failed to show anything"


@pytest.mark.parametrize("answered", [False, True], ids=["before", "answer lost"])
@pytest.mark.parametrize("forgotten", [False, True], ids=["same order", "order forgotten"])
def test_the_network_fails_for_good(
    answered: bool, forgotten: bool, server: Pebble, web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From each request on: an error that says so; the next run goes on with the same order.

    Where the server does not know that order any more, another one is placed, and what was presented for the first
    is gone as well.
    """
    network = Network(monkeypatch)
    failed = 0
    for point in range(1, MOST):
        orders, certificates = server.orders, server.certificates
        issuer = issuer_for(server, web, tmp_path / f"state{point}")
        wanted = CertificateRequest.create("net.example", key="ec-p256")
        network.fail(range(point, 10**6), answered=answered)
        said = refusal(issuer, wanted)
        network.fail(range(0), answered=answered)
        if said is None:
            break
        assert type(said) is IssuerError
        assert "cannot be reached: the line is cut" in str(said)
        failed += 1
        record = issuer.state_folder / f"order-{wanted.fingerprint}.json"
        again = False
        if forgotten and record.exists() and "order" in (kept := json.loads(record.read_text())):
            record.write_text(json.dumps({**kept, "order": kept["order"] + "x"}))
            again = True
        assert wanted.matches(issuer.issue(wanted))
        assert server.orders - orders == (2 if again else 1), point
        assert server.certificates - certificates in ((1, 2) if again else (1,)), point
        assert left(web) == [], point
    assert failed >= 10, "too few requests failed to show anything"


# -- the process is killed ---------------------------------------------------------------------------------------------

# It forks once for each run, so that the modules are loaded only once. An audit hook (PEP 578) hears of everything
# that changes a file or goes over the network before it is done, and ends the process there.
RUNS = """
import json, os, sys
from pathlib import Path
from mlsssl import CertificateRequest
from mlsssl.issuers._acme import order
from mlsssl.issuers.acme import AcmeIssuer
from mlsssl.issuers.challenges import WebrootChallenge
import acme.jws, requests, mlsssl.issuers._acme.client, mlsssl.issuers._acme.account

order.FIRST_LOOK = 0.02
directory, trust, web = sys.argv[1:]
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

def run(state, request, left):
    count = 0
    def hook(event, arguments):
        nonlocal count
        if event == "open":
            if not (isinstance(arguments[2], int) and arguments[2] & WRITES) or str(arguments[0]).startswith("/dev"):
                return
        elif event not in ("os.rename", "os.remove", "os.mkdir", "os.chmod", "socket.connect", "http.client.send"):
            return
        count += 1
        if count > left:
            os._exit(9)
    issuer = AcmeIssuer(directory, [WebrootChallenge(web)], agree_terms=True, trust=trust, state=state, timeout=120)
    wanted = CertificateRequest.load(request)
    sys.addaudithook(hook)
    made = issuer.issue(wanted, old=None)
    assert wanted.matches(made)
    assert issuer.issued(made)
    os._exit(0)

for line in sys.stdin:
    state, request, left = json.loads(line)
    child = os.fork()
    if child == 0:
        try:
            run(state, request, left)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_killed_at_every_network_call_and_every_change_of_a_file(server: Pebble, web: Path, tmp_path: Path) -> None:
    """Killed there, and then run again to its end: one account, one order, one certificate, and nothing left over."""
    errors = (tmp_path / "errors").open("w+")
    runs = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUNS), server.directory, str(server.trust), str(web)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    assert runs.stdin is not None
    assert runs.stdout is not None

    def run(state: Path, request: Path, left: int) -> str:
        assert runs.stdin is not None
        assert runs.stdout is not None
        print(json.dumps([str(state), str(request), left]), file=runs.stdin, flush=True)
        return runs.stdout.readline().strip()

    killed = 0
    request = tmp_path / "request.pem"
    with runs, errors:
        for point in range(MOST):
            before = (server.log.count("accounts in memory"), server.orders, server.certificates)
            CertificateRequest.create("killed.example", key="ec-p256").save(request, overwrite=True)
            state = tmp_path / f"state{point}"
            ended = run(state, request, point)
            if ended == "0":
                break
            killed += 1
            said = (tmp_path / "errors").read_text()
            assert ended == "9", said
            assert run(state, request, 10**9) == "0", f"{point}: {said}"
            after = (server.log.count("accounts in memory"), server.orders, server.certificates)
            assert [now - then for then, now in zip(before, after, strict=True)] == [1, 1, 1], point
            assert left(web) == [], point
            names = [path.name for path in state.rglob("*") if path.is_file()]
            assert [name for name in names if name.startswith(".")] == [], "half-written files stay"
            assert len([name for name in names if name.startswith("order-") and name.endswith(".json")]) == 1
        runs.stdin.close()
    assert killed > 40, "too few points to show anything"
