"""AD Certificate Services by a stand-in `certreq`: approved, pending, denied; never handed in twice."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import certreq
from mlsssl import (
    AdcsIssuer,
    Binding,
    CertificateAuthority,
    CertificateRequest,
    EmbeddedMachine,
    InvalidInputError,
    IssuePendingError,
    Issuer,
    IssuerError,
    MalformedDataError,
    NotFoundError,
    UnsupportedError,
    deploy,
    renew,
)
from mlsssl._formats import cmc
from mlsssl.cli import main
from mlsssl.issuers import adcs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = r"CA-HOST\Issuing CA 1"
REQUEST = CertificateRequest.create("a.test", key="ec-p256").without_key()
COMMAND = [sys.executable, certreq.__file__]


@pytest.fixture(name="authority")
def _authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in's folder."""
    folder = tmp_path / "authority"
    monkeypatch.setenv("STAND_IN_CA", str(folder))
    bundle = tmp_path / "system.pem"
    bundle.write_bytes(CertificateAuthority.create("System", key="ec-p256").certificate.to_pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    certreq.prepare(folder)
    return folder


def issuer(authority: Path, **options: object) -> AdcsIssuer:
    """One that asks the stand-in."""
    return AdcsIssuer(CONFIG, command=COMMAND, state=authority.parent / "state", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["pem", "der", "p7b"])
def test_an_approved_request_is_a_certificate_with_its_chain(authority: Path, form: str) -> None:
    certreq.prepare(authority, form=form)
    asked = issuer(authority, template="WebServer")
    assert isinstance(asked, Issuer)
    answer = asked.issue(REQUEST, old=None)
    assert REQUEST.matches(answer)
    assert [one.common_name for one in answer.chain][:1] == ["Issuing CA 1"]
    assert asked.issued(answer)
    assert not asked.issued(CertificateAuthority.create("Else", key="ec-p256").issue("a.test"))
    told = json.loads((authority / "5.json").read_text())
    assert told == {"-attrib": "CertificateTemplate:WebServer", "-config": CONFIG}
    assert asked.issue(REQUEST, old=None) == answer, "the same request again is the same certificate"
    assert len(certreq.requests(authority)) == 1


@pytest.mark.parametrize("token", ["little", "big", "text"])
def test_a_pending_request_is_collected_when_it_is_approved(authority: Path, token: str) -> None:
    """By its number, in whatever encoding the authority's response has it; nothing is handed in twice."""
    certreq.prepare(authority, answer="pend", token=token)
    for _ in range(2):
        with pytest.raises(IssuePendingError, match="has not issued request 5 yet: Zur Verarb"):
            issuer(authority).issue(REQUEST, old=None)
    other = CertificateRequest.create("b.test", key="ec-p256").without_key()
    with pytest.raises(IssuePendingError, match="request 6"):
        issuer(authority).issue(other, old=None)
    (authority / "5.approved").touch()
    assert REQUEST.matches(issuer(authority).issue(REQUEST, old=None))
    assert len(certreq.requests(authority)) == 2


@pytest.mark.parametrize("strange", [{"response": False}, {"token": "strange"}])
def test_a_number_that_nobody_knows_is_asked_for(authority: Path, strange: dict[str, object]) -> None:
    """Where certreq writes no response, or one whose token means nothing here; another request's is refused."""
    certreq.prepare(authority, answer="pend", **strange)
    for _ in range(2):
        with pytest.raises(IssuePendingError, match=r"number is not known here; look it up .* as request_id"):
            issuer(authority).issue(REQUEST, old=None)
    certreq.prepare(authority, answer="approve")
    issuer(authority).issue(CertificateRequest.create("b.test", key="ec-p256"), old=None)
    with pytest.raises(IssuerError, match="request 6 is for another key"):
        issuer(authority, request_id=6).issue(REQUEST, old=None)
    assert REQUEST.matches(issuer(authority, request_id=5).issue(REQUEST, old=None))
    assert len(certreq.requests(authority)) == 2


@pytest.mark.parametrize("response", [True, False])
def test_a_refusal_is_said_and_the_next_try_asks_again(authority: Path, response: bool) -> None:
    certreq.prepare(authority, answer="deny", response=response)
    message = "refuses the request: Vom Richtlinien" if response else r"ended with 20 \(Anforderungs-ID: 5\)"
    with pytest.raises(IssuerError, match=message) as raised:
        issuer(authority).issue(REQUEST, old=None)
    assert not isinstance(raised.value, IssuePendingError)
    certreq.prepare(authority, answer="approve")
    assert REQUEST.matches(issuer(authority).issue(REQUEST, old=None))


def test_a_request_that_is_denied_later(authority: Path) -> None:
    certreq.prepare(authority, answer="pend")
    with pytest.raises(IssuePendingError):
        issuer(authority).issue(REQUEST, old=None)
    certreq.prepare(authority, answer="unreachable")
    with pytest.raises(IssuerError, match="ended with 186"):
        issuer(authority).issue(REQUEST, old=None)
    assert len(certreq.requests(authority)) == 1
    certreq.prepare(authority, answer="deny")
    with pytest.raises(IssuerError, match="refuses the request"):
        issuer(authority).issue(REQUEST, old=None)


def test_an_authority_that_cannot_be_reached(authority: Path) -> None:
    certreq.prepare(authority, answer="unreachable")
    with pytest.raises(IssuerError, match=r"certreq ended with 186 \(Der RPC-Server"):
        issuer(authority).issue(REQUEST, old=None)
    certreq.prepare(authority, answer="approve")
    issuer(authority).issue(REQUEST, old=None)
    assert len(certreq.requests(authority)) == 1


def test_a_time_out_leaves_it_open_who_has_the_request(authority: Path) -> None:
    """Then nothing is handed in again until somebody says so."""
    certreq.prepare(authority, waits=True)
    with pytest.raises(IssuerError, match=r"nobody knows whether .* has the request"):
        issuer(authority, timeout=8).issue(REQUEST, old=None)
    assert len(certreq.requests(authority)) == 1
    certreq.prepare(authority)
    with pytest.raises(IssuePendingError, match=r"was handed the request on .* its number is not known here"):
        issuer(authority).issue(REQUEST, old=None)
    assert REQUEST.matches(issuer(authority, request_id=0).issue(REQUEST, old=None))
    assert len(certreq.requests(authority)) == 2


KILLED = """
import sys
from mlsssl import AdcsIssuer, CertificateRequest
AdcsIssuer(sys.argv[1], command=sys.argv[4:], state=sys.argv[2]).issue(CertificateRequest.load(sys.argv[3]), old=None)
"""


@pytest.mark.parametrize("answered", [True, False])
def test_killed_between_handing_in_and_the_answer(authority: Path, answered: bool) -> None:
    """What certreq writes after that is read by the next run; and where it wrote nothing, nothing is handed in."""
    certreq.prepare(authority, waits=True)
    request = REQUEST.save(authority / "request.pem")
    state = authority.parent / "state"
    process = subprocess.Popen([sys.executable, "-c", KILLED, CONFIG, str(state), str(request), *COMMAND])
    until(lambda: bool(certreq.requests(authority)))
    process.kill()
    process.wait()
    if answered:
        (authority / "go").touch()
        until(lambda: bool(list(state.glob("*.p7b"))))
        assert REQUEST.matches(issuer(authority).issue(REQUEST, old=None))
    else:
        with pytest.raises(IssuePendingError, match="look it up"):
            issuer(authority).issue(REQUEST, old=None)
        (authority / "go").touch()
    assert len(certreq.requests(authority)) == 1


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_renewal_waits_for_a_manager(authority: Path, tmp_path: Path) -> None:
    certreq.prepare(authority, answer="pend")
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        old = CertificateAuthority.create("Issuing CA 1", key="ec-p256").issue("a.test")
        deploy("0.0.0.0:443", old, machine=machine)
        with pytest.raises(IssuePendingError):
            renew("0.0.0.0:443", issuer(authority), machine=machine)
        (authority / "5.approved").touch()
        assert renew("0.0.0.0:443", issuer(authority), machine=machine).changed
        intermediates = [entry.certificate.common_name for entry in machine.store("CA")]
    assert "Issuing CA 1" in intermediates
    assert len(certreq.requests(authority)) == 1


def test_what_is_kept_is_private_and_goes_in_the_end(authority: Path) -> None:
    certreq.prepare(authority, answer="pend")
    with pytest.raises(IssuePendingError):
        issuer(authority).issue(REQUEST, old=None)
    state = authority.parent / "state"
    (record,) = state.glob("*.json")
    if sys.platform != "win32":
        assert state.stat().st_mode & 0o777 == 0o700
        assert record.stat().st_mode & 0o777 == 0o600
    record.write_text("{")
    with pytest.raises(MalformedDataError, match="is damaged"):
        issuer(authority).issue(REQUEST, old=None)
    for path in state.iterdir():
        os.utime(path, (0, 0))
    certreq.prepare(authority)
    issuer(authority).issue(CertificateRequest.create("b.test", key="ec-p256"), old=None)
    assert not record.exists()


def test_an_answer_of_another_authority_is_refused(authority: Path) -> None:
    with pytest.raises(IssuerError, match=r"CN=Issuing CA 1.* which is another authority than CA in HOST"):
        AdcsIssuer(r"CA-HOST\Else", command=COMMAND, state=authority.parent / "s").issue(REQUEST, old=None)
    own = CertificateAuthority.load(authority / "ca.pem").certificate
    named = AdcsIssuer(r"CA-HOST\Else", command=COMMAND, state=authority.parent / "s", issued_by=own)
    assert REQUEST.matches(named.issue(REQUEST, old=None))


def test_what_is_no_certificate_is_said(authority: Path) -> None:
    kept = authority.parent / "state"
    certreq.prepare(authority, answer="pend")
    with pytest.raises(IssuePendingError):
        issuer(authority).issue(REQUEST, old=None)
    (record,) = kept.glob("*.json")
    record.with_suffix(".cer").write_bytes(b"<html>")
    with pytest.raises(IssuerError, match=r"no certificate of .* that can be read"):
        issuer(authority).issue(REQUEST, old=None)
    record.with_suffix(".cer").unlink()
    record.with_suffix(".rsp").write_bytes(b"garbage")
    with pytest.raises(IssuerError, match=r"the response of .* cannot be read"):
        issuer(authority).issue(REQUEST, old=None)


def test_arguments_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for config in ("", "CA-HOST", "-", "\\CA", 'A\\B"', 5):
        with pytest.raises(InvalidInputError, match="HOST"):
            AdcsIssuer(config, command=COMMAND)  # type: ignore[arg-type]
    for template in ("", "A:B", "A\\nB", "x" * 300):
        with pytest.raises(InvalidInputError, match="template"):
            AdcsIssuer(CONFIG, template=template, command=COMMAND)
    with pytest.raises(InvalidInputError, match="request_id"):
        AdcsIssuer(CONFIG, request_id=-1, command=COMMAND)
    with pytest.raises(NotFoundError, match="there is no program"):
        AdcsIssuer(CONFIG, command=[str(tmp_path / "none")], state=tmp_path / "s").issue(REQUEST, old=None)
    assert list((tmp_path / "s").glob("*.json")) == []
    if sys.platform != "win32":
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(UnsupportedError, match="a program of Windows"):
            AdcsIssuer(CONFIG)


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"-----BEGIN PKCS7-----\n-----END PKCS7-----"])
def test_a_response_that_cannot_be_read(data: bytes) -> None:
    with pytest.raises(MalformedDataError):
        cmc.load_status(data)


def test_a_response_cut_anywhere_is_our_own_error() -> None:
    from mlsssl._formats.sniff import Kind, take

    whole = take(certreq._response(3, "pending", b"\x05\0\0\0"), Kind.PKCS7)[0].data
    assert cmc.load_status(whole) == cmc.Status(code=3, text="pending", token=b"\x05\0\0\0")
    for end in range(len(whole)):
        with pytest.raises(MalformedDataError):
            cmc.load_status(whole[:end])
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 0x21
        with contextlib.suppress(MalformedDataError):
            cmc.load_status(bytes(changed))
    assert cmc.load_status(CertificateAuthority.create("A", key="ec-p256").certificate.to_pkcs7()) is None


@pytest.mark.parametrize(
    ("token", "numbers"),
    [
        (b"\x07\0\0\0", (7, 0x07000000)),
        (b"12", (12,)),
        (b"1\x002\0", (12,)),
        (b"", ()),
        (b"\0\0\0\0", ()),
        (b"x" * 9, ()),
        (b"9" * 30, ()),
    ],
)
def test_what_a_token_may_mean(token: bytes, numbers: tuple[int, ...]) -> None:
    assert adcs._numbers_in(token) == numbers


def test_the_command_line(authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """13 until a manager has approved it, or somebody has said the number; then 0."""
    monkeypatch.setattr(adcs, "_certreq", lambda: COMMAND)
    monkeypatch.setenv("XDG_DATA_HOME" if sys.platform != "win32" else "LOCALAPPDATA", str(tmp_path / "data"))
    certreq.prepare(authority, answer="pend", response=False)
    machine = str(tmp_path / "m.sqlite")
    old = CertificateAuthority.create("Issuing CA 1", key="ec-p256").issue("a.test")
    with EmbeddedMachine(machine) as there:
        deploy("0.0.0.0:443", old, machine=there)
    words = ["renew", "--all", "--machine", machine, "--adcs", CONFIG, "--adcs-template", "WebServer"]
    assert main(words) == 13
    assert main([*words, "--due"]) == 10
    (authority / "5.approved").touch()
    assert main(words) == 13
    assert main([*words, "--adcs-request-id", "5"]) == 0
    assert main(["renew", "--all", "--machine", machine, "--adcs-template", "WebServer"]) == 2
    with EmbeddedMachine(machine) as there:
        bound = Binding.get("0.0.0.0:443", machine=there).certificate
        assert bound is not None
        assert bound.chain or bound.issuer == "CN=Issuing CA 1"
        assert bound != old
    assert len(certreq.requests(authority)) == 1
