"""Salt's modules with what its loader gives them put in by hand: plain values, test mode, secrets, states, signing."""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlsssl
from issuing import AUTHORITY
from mlsssl import Certificate, CertificateAuthority, CertificateRequest, EmbeddedMachine, Machine
from mlsssl._deploy import machines
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._windows.machine import WindowsPort
from mlsssl.cli import main
from mlsssl.saltext import _errors
from repetitions import examples
from salt_stand_in import FOLDER, CommandExecutionError, Master, Minion, deliver, install, loaded, public

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY = "0.0.0.0:443"
ROOT = AUTHORITY.certificate.without_key().to_pem().decode()
LEAF = AUTHORITY.issue("www.example.com", key="ec-p256")
WITH_KEY = LEAF.to_pem(chain=True).decode() + LEAF.private_key_pem().decode()


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    bundle = tmp_path / "system.pem"
    bundle.write_bytes(CertificateAuthority.create("System", key="ec-p256").certificate.to_pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))


@pytest.fixture(name="own")
def _own(tmp_path: Path) -> dict[str, Any]:
    """Settings with an authority on the minion itself, and one that is known by nothing but its certificate."""
    AUTHORITY.save(tmp_path / "ca.pfx", password="of the authority")
    (tmp_path / "ca-password").write_text("of the authority\n")
    return {
        "machine": str(tmp_path / "machine.sqlite"),
        "issuers": {
            "own": {"ca": str(tmp_path / "ca.pfx"), "ca_password": f"file:{tmp_path / 'ca-password'}"},
            "fleet": {"minion": "ca1", "policy": "web", "issued_by": ROOT},
            "over the master": {"master": True, "policy": "web", "issued_by": ROOT},
        },
    }


@pytest.fixture(name="minion", params=["embedded", "windows"])
def _minion(
    request: pytest.FixtureRequest, tmp_path: Path, own: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Minion]:
    """A minion without anything bound, on the embedded machine or on a Windows of fakes."""
    pillar = {"web": {"certificate": WITH_KEY, "password": "of the file"}, "root": ROOT}
    if request.param == "embedded":
        yield Minion("web1", own, pillar)
        return
    dlls = FakeDlls(Computer())
    monkeypatch.setattr(machines, "missing_file", lambda _: None)
    monkeypatch.setattr(machines, "existing", lambda _: Machine(WindowsPort(dlls, state_folder=tmp_path / "state")))
    yield Minion("web1", {**own, "machine": None}, pillar)
    assert dlls.calls.leaks == {}


def state_of(minion: Minion) -> object:
    """Everything that a function may change; nothing where there is no machine."""
    stores = {name: minion.call("mlsssl.stored", name) for name in ("MY", "CA", "Root")}
    try:
        found = [minion.call("mlsssl.bindings"), minion.call("mlsssl.reservations")]
    except CommandExecutionError:
        found = [[], []]
    return stores, found


# -- elsewhere it costs nothing ---------------------------------------------------------------------------------------


def test_nothing_else_imports_it() -> None:
    """Neither the library nor its command line, also when they do their work."""
    code = """
import sys
import mlsssl.cli
from mlsssl import CertificateAuthority, audit, deploy, renew_due
mlsssl.cli.main(["--version"])
assert not [name for name in sys.modules if "saltext" in name or name == "salt"]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_it_is_imported_without_salt() -> None:
    """Salt's own modules are needed by what Salt calls alone; without them `__virtual__` still answers."""
    code = f"""
import sys
sys.modules["salt"] = None
sys.path.insert(0, {str(FOLDER.parent.parent)!r})
import mlsssl.saltext
assert not [name for name in sys.modules if name.startswith("mlsssl.saltext.") or name == "cryptography"]
from mlsssl.saltext.modules import mlsssl as functions, mlsssl_ca
from mlsssl.saltext.states import mlsssl as states
from mlsssl.saltext.runners import mlsssl_ca as runner
assert functions.__virtual__() == "mlsssl"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_salt_finds_it_by_its_entry_point() -> None:
    """The entry point names the package; `modules/`, `states/` and `runners/` stand beside it."""
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["salt.loader"] == {"mlsssl": "mlsssl.saltext"}
    assert project["optional-dependencies"]["salt"] == []
    assert all((FOLDER / kind).is_dir() for kind in ("modules", "states", "runners"))


@pytest.mark.parametrize(("kind", "name"), [("modules", "mlsssl"), ("modules", "mlsssl_ca"), ("states", "mlsssl")])
def test_nothing_but_what_is_meant_is_offered(kind: str, name: str) -> None:
    """Each name of `__load__` is a function with a text for people; of an execution module with an example."""
    module = loaded(kind, name, __opts__={}, __pillar__={}, __salt__={}, __context__={})
    assert sorted(module.__load__) == module.__load__
    for function in public(module):
        text = getattr(module, function.partition(".")[2]).__doc__
        assert ("CLI Example" if kind == "modules" else "Example:") in text


def test_what_is_missing_in_salts_python_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """`__virtual__` gives the reason in place of a module that fails at each call."""
    module = loaded("modules", "mlsssl", __opts__={}, __pillar__={}, __salt__={}, __context__={})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "cffi" else object())
    assert module.__virtual__() == (False, "Salt's Python has no cffi: salt-pip install mlsssl")


# -- execution functions ----------------------------------------------------------------------------------------------


def test_deploy_renew_undo_and_cleanup(minion: Minion) -> None:
    """The whole life of a binding, each step with the values of the command line."""
    first = minion.call("mlsssl.deploy", KEY, issuer="own", host="www.example.com", key_type="ec-p256")
    assert first["changed"] is True
    assert minion.context["retcode"] == 0
    again = minion.call("mlsssl.deploy", KEY, issuer="own", host="www.example.com", key_type="ec-p256")
    assert again["changed"] is False
    second = minion.call("mlsssl.renew", KEY, "own", grace=0)
    assert (second["before"], second["after"]["app_id"]) == (first["after"], first["after"]["app_id"])
    due = minion.call("mlsssl.renew_due", "own")
    assert (due["exit_code"], due["results"][0]["result"], minion.context["retcode"]) == (10, "skipped", 0)
    third = minion.call("mlsssl.renew_due", "own", due_only=False, grace=0)
    assert (third["exit_code"], third["results"][0]["result"]) == (0, "renewed")
    would = minion.call("mlsssl.undo", KEY, test=True)
    undone = minion.call("mlsssl.undo", KEY)
    assert {name: undone[name] for name in would} == would
    assert undone["after"] == second["after"]
    gone = minion.call("mlsssl.cleanup")
    assert [one["thumbprint"] for one in gone["removed"]] == [first["after"]["thumbprint"]]
    assert minion.call("mlsssl.audit")["rows"][0]["thumbprint"] == second["after"]["thumbprint"]
    assert minion.call("mlsssl.recover") == {"done": []}


@pytest.mark.parametrize("command", ["binding list", "reservation list", "audit", "cleanup --dry-run"])
def test_a_return_is_the_json_of_the_command_line(
    own: dict[str, Any], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Word for word, but for the moment."""
    minion = Minion("web1", own)
    minion.call(
        "mlsssl.deploy", KEY, issuer="own", host="a.test", key_type="ec-p256", reserve="https://+:443/a/", user="USERS"
    )
    names = {"binding list": "bindings", "reservation list": "reservations", "audit": "audit"}
    options = {"test": True} if "cleanup" in command else {}
    returned = minion.call(f"mlsssl.{names.get(command, 'cleanup')}", **options)
    main([*command.split(), "--machine", own["machine"], "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert _without_clock(returned) == _without_clock(printed)


def _without_clock(value: object) -> object:
    """The value without what passes between two looks."""
    if isinstance(value, list):
        return [_without_clock(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: _without_clock(one) for name, one in value.items() if name not in ("at", "days_left")}


def test_a_plan_is_the_json_of_the_command_line(
    own: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`test=True` is `--plan`; the owner of a new binding is the same each time, and another for another minion."""
    (tmp_path / "www.pem").write_text(WITH_KEY)
    minion = Minion("web1", own)
    plan = minion.call("mlsssl.deploy", KEY, str(tmp_path / "www.pem"), test=True)
    owner = plan["after"]["app_id"]
    main(["deploy", KEY, str(tmp_path / "www.pem"), "--plan", "--app-id", owner, "--machine", own["machine"], "--json"])
    assert plan == json.loads(capsys.readouterr().out)
    other = Minion("web2", own).call("mlsssl.deploy", KEY, str(tmp_path / "www.pem"), test=True)
    assert other["after"]["app_id"] != owner
    assert minion.call("mlsssl.deploy", KEY, str(tmp_path / "www.pem"))["after"] == plan["after"]


@pytest.mark.parametrize("by", ["argument", "configuration"])
def test_test_mode_changes_nothing(minion: Minion, by: str) -> None:
    """Neither by the argument nor by the minion's own mode; first where nothing is, then where all is."""
    calls: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
        ("deploy", (KEY,), {"issuer": "own", "host": "b.test", "key_type": "ec-p256", "options": {"tls12": False}}),
        ("request", ("0.0.0.0:444",), {"host": "c.test", "key_type": "ec-p256"}),
        ("trust", (), {"pillar": "root"}),
        ("remove", (KEY,), {}),
        ("renew_due", ("own",), {"due_only": False}),
        ("renew", (KEY, "own"), {}),
        ("undo", (KEY,), {}),
        ("cleanup", (), {"grace": 0}),
        ("recover", (), {}),
        ("remove", (), {"url": "https://+:443/a/"}),
        ("remove", (), {"thumbprint": str(AUTHORITY.certificate.thumbprint), "store": "Root"}),
    ]
    options = {"test": True} if by == "argument" else {}

    def all_of(chosen: list[tuple[str, tuple[str, ...], dict[str, Any]]]) -> None:
        before = state_of(minion)
        minion.opts["test"] = by == "configuration"
        for function, args, more in chosen:
            minion.call(f"mlsssl.{function}", *args, **more, **options)
        minion.opts["test"] = False
        assert state_of(minion) == before

    all_of(calls[:5])
    reserve = {"reserve": "https://+:443/a/", "user": "USERS"}
    minion.call("mlsssl.deploy", KEY, issuer="own", host="a.test", key_type="ec-p256", **reserve)
    minion.call("mlsssl.renew", KEY, "own", grace=0)
    minion.call("mlsssl.trust", pillar="root")
    all_of(calls)
    for function, args, more in calls[5:]:  # and each of them does something when it is meant
        before = state_of(minion)
        minion.call(f"mlsssl.{function}", *args, **more, test=False)
        assert state_of(minion) != before or function in ("recover", "cleanup")


def test_a_machine_that_is_not_there_is_made_by_what_adds_to_it_alone(
    own: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As on the command line; a deployment that cannot be leaves none behind."""
    minion = Minion("web1", own)
    with pytest.raises(CommandExecutionError, match="there is no machine"):
        minion.call("mlsssl.audit")
    minion.pillar["root"] = ROOT
    with pytest.raises(CommandExecutionError, match="private key"):
        minion.call("mlsssl.deploy", KEY, pillar="root")
    assert not (tmp_path / "machine.sqlite").exists()
    assert caplog.messages == []
    minion.call("mlsssl.trust", pillar="root")
    assert caplog.messages == [f"a new machine was made in {tmp_path / 'machine.sqlite'}"]
    assert (tmp_path / "machine.sqlite").exists()
    elsewhere = tmp_path / "other.sqlite"
    minion.call("mlsssl.trust", pillar="root", machine=str(elsewhere))
    assert elsewhere.exists()


def test_options_are_those_of_a_binding_by_name(minion: Minion) -> None:
    """Those not named stay; a wrong one is refused with the names that there are."""
    deploy = ("mlsssl.deploy", KEY)
    minion.call(*deploy, pillar="web:certificate", options={"tls12": False, "revocation_freshness_time": 60})
    done = minion.call(*deploy, pillar="web:certificate", options={"http2": False})
    assert (done["before"]["options"]["flags"], done["after"]["options"]["flags"]) == (0x1000, 0x1010)
    with pytest.raises(CommandExecutionError, match="tls12"):
        minion.call(*deploy, pillar="web:certificate", options={"tls14": True})


def test_one_source_has_to_be_named(minion: Minion) -> None:
    """None and two are refused, and no function says that Python was called wrongly."""
    for options in ({}, {"file": "a.pfx", "pillar": "web:certificate"}, {"issuer": "own", "thumbprint": "00" * 20}):
        with pytest.raises(CommandExecutionError, match="one of file, pillar, thumbprint, issuer is needed"):
            minion.call("mlsssl.deploy", KEY, **options)
    with pytest.raises(CommandExecutionError, match="mlsssl:issuers:'no'; there are fleet, over the master, own"):
        minion.call("mlsssl.renew_due", "no")
    minion.opts["mlsssl"]["issuers"]["typo"] = {"acme_webrot": "/srv"}
    with pytest.raises(CommandExecutionError, match="'typo' has settings that are none: 'acme_webrot'"):
        minion.call("mlsssl.renew_due", "typo")


def test_the_pillar_goes_before_the_configuration(own: dict[str, Any], tmp_path: Path) -> None:
    """By name: an issuer of the pillar hides the one of the configuration, and leaves the others."""
    AUTHORITY.save(tmp_path / "plain.pfx", no_password=True)
    pillar = {"mlsssl": {"issuers": {"own": {"ca": str(tmp_path / "plain.pfx"), "ca_password": "nothing"}}}}
    minion = Minion("web1", own, pillar)
    with pytest.raises(CommandExecutionError, match="none of these"):
        minion.call("mlsssl.deploy", KEY, issuer="own", host="a.test")
    del pillar["mlsssl"]["issuers"]["own"]["ca_password"]
    assert minion.call("mlsssl.deploy", KEY, issuer="own", host="a.test", key_type="ec-p256")["changed"]


def test_check_of_a_server_and_of_a_file(minion: Minion, tmp_path: Path) -> None:
    """With Salt's return code; a certificate for another name fails."""
    (tmp_path / "root.pem").write_text(ROOT)
    (tmp_path / "www.pem").write_text(WITH_KEY)
    trust = str(tmp_path / "root.pem")
    checked = ("mlsssl.check", str(tmp_path / "www.pem"))
    assert minion.call(*checked, trust=trust, host="www.example.com")["ok"]
    assert minion.context["retcode"] == 0
    assert not minion.call(*checked, trust=[trust], host="else.example.com")["ok"]
    assert minion.context["retcode"] == 1
    with mlsssl.EmbeddedMachine(tmp_path / "served.sqlite") as machine:
        mlsssl.deploy("127.0.0.1:443", LEAF, machine=machine, verify=False)
        with machine.listen() as listener:
            port = listener.port_of("127.0.0.1:443")
            seen = minion.call("mlsssl.check", f"127.0.0.1:{port}", host="www.example.com", trust=trust)
    assert seen["ok"]


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_is_returned_or_logged(minion: Minion, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the password nor the private key, also where the password is wrong or given in clear by mistake."""
    caplog.set_level(logging.DEBUG)
    password = "correct horse battery"
    file = tmp_path / "www.pfx"
    LEAF.save(file, password=password)
    minion.pillar["pfx"] = base64.b64encode(file.read_bytes()).decode()
    minion.pillar["secret"] = password
    (tmp_path / "password").write_text(f"{password}\n")
    minion.functions["sdb.get"] = lambda uri: password if uri == "sdb://vault/pfx" else None
    said = []
    for source in ("pillar:secret", f"file:{tmp_path / 'password'}", "sdb://vault/pfx"):
        said += [minion.call("mlsssl.deploy", KEY, str(file), password=source)]
        said += [minion.call("mlsssl.deploy", KEY, pillar="pfx", password=source, test=True)]
    assert [one.get("changed", one.get("changes")) for one in said] == [True, False, False, False, False, False]
    for source in (password, "pillar:", "pillar:web:password", "sdb://vault/none", "env:HOME", "prompt", "stdin"):
        with pytest.raises(CommandExecutionError) as raised:
            minion.call("mlsssl.deploy", KEY, str(file), password=source)
        said.append(str(raised.value))
    with pytest.raises(CommandExecutionError, match="this minion's pillar has no text at 'web'"):
        minion.call("mlsssl.deploy", KEY, pillar="web")
    key = LEAF.private_key_pem().decode().splitlines()[1]
    for secret in (password, key, "of the file", "of the authority"):
        assert secret not in json.dumps(said)
        assert secret not in caplog.text


def test_a_key_that_is_made_for_a_request_stays_on_the_minion(minion: Minion) -> None:
    """What is returned is the request, which says its public key; the same until it is completed."""
    asked = minion.call("mlsssl.request", KEY, host=["a.test", "b.test"], key_type="ec-p256")
    assert asked["names"] == ["a.test", "b.test"]
    assert "PRIVATE" not in json.dumps(asked)
    assert minion.call("mlsssl.request", KEY, host=["a.test", "b.test"], key_type="ec-p256") == asked
    request = CertificateRequest.from_bytes(asked["request"])
    assert request.fingerprint == asked["fingerprint"]
    answer = AUTHORITY.sign(request).to_pem(chain=True).decode()
    for wrong, why in (
        (LEAF.to_pem().decode(), "another private key"),
        (AUTHORITY.sign(CertificateRequest.create("a.test", key="ec-p256")).to_pem().decode(), "another private key"),
    ):
        with pytest.raises(CommandExecutionError, match=why):
            minion.call("mlsssl.complete", KEY, wrong)
    plan = minion.call("mlsssl.complete", KEY, answer, options={"tls12": False}, test=True)
    done = minion.call("mlsssl.complete", KEY, answer, options={"tls12": False})
    assert plan["after"] == done["after"]
    assert plan["after"]["thumbprint"] == str(Certificate.from_text(answer).thumbprint)
    with pytest.raises(CommandExecutionError, match=r"no request for 0\.0\.0\.0:443 waits"):
        minion.call("mlsssl.complete", KEY, answer)


def test_a_request_for_what_is_bound_follows_it(minion: Minion) -> None:
    """Without `host` the names are those bound, and the certificate takes the old one's place."""
    minion.call("mlsssl.deploy", KEY, pillar="web:certificate")
    asked = minion.call("mlsssl.request", KEY)
    assert asked["names"] == ["www.example.com"]
    answer = AUTHORITY.sign(CertificateRequest.from_bytes(asked["request"])).to_pem(chain=True).decode()
    with pytest.raises(CommandExecutionError, match="trust_root stay as they are"):
        minion.call("mlsssl.complete", KEY, answer, trust_root=True)
    plan = minion.call("mlsssl.complete", KEY, answer, test=True)
    done = minion.call("mlsssl.complete", KEY, answer)
    assert (done["verb"], done["before"], done["after"]) == ("renew", plan["before"], plan["after"])


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("begun and not ended: run `mlsssl.recover()`", "begun and not ended: run `salt-call mlsssl.recover`"),
        (
            "when that cannot be, `mlsssl.recover(abandon='0.0.0.0:443')` leaves the machine as it is",
            "when that cannot be, `salt-call mlsssl.recover abandon=0.0.0.0:443` leaves the machine as it is",
        ),
        (
            "recover(); else recover(abandon='change.json')",
            "salt-call mlsssl.recover; else salt-call mlsssl.recover abandon=change.json",
        ),
        ("recovery() and my.recover(1)", "recovery() and my.recover(1)"),
        ("--acme needs --acme-agree-terms", "acme needs acme_agree_terms"),
        ("a-b --- c", "a-b --- c"),
    ],
)
def test_remedies_are_in_salts_words(said: str, expected: str) -> None:
    """Commands become functions, and options arguments."""
    assert _errors.in_salt(said) == expected


def test_a_change_that_did_not_end_is_told_with_the_function_that_ends_it(own: dict[str, Any]) -> None:
    """The remedy can be typed; `test` of `recover` tells the same and does nothing."""
    minion = Minion("web1", own)
    minion.pillar["c"] = WITH_KEY
    minion.call("mlsssl.deploy", KEY, pillar="c")
    with EmbeddedMachine(own["machine"]) as machine:
        last = next(path for path in machine.state_folder.glob("last-*.json"))
        (machine.state_folder / last.name.replace("last-", "change-")).write_bytes(last.read_bytes())
    assert "salt-call mlsssl.recover" in minion.call("mlsssl.recover", test=True)["pending"][0]
    with pytest.raises(CommandExecutionError, match=r"run `salt-call mlsssl\.recover`"):
        minion.call("mlsssl.renew", KEY, "own", test=True)
    assert minion.call("mlsssl.recover")["done"] != []
    assert minion.call("mlsssl.recover", test=True) == {"done": [], "pending": []}


# -- states -----------------------------------------------------------------------------------------------------------


def test_deployed_is_met_by_its_own_run(minion: Minion) -> None:
    """First would change, then changes, then is met; the same without an issuer."""
    wanted: dict[str, Any] = {
        "pillar": "web:certificate",
        "options": {"tls12": False},
        "reserve": "https://+:443/app/",
        "user": "NETWORK SERVICE",
        "key_access": ["NETWORK SERVICE"],
        "trust_root": True,
    }
    would = minion.state("mlsssl.deployed", KEY, test=True, **wanted)
    assert would["result"] is None
    done = minion.state("mlsssl.deployed", KEY, **wanted)
    assert (done["result"], done["changes"]) == (True, would["changes"])
    assert done["changes"]["thumbprint"] == {"old": None, "new": str(LEAF.thumbprint)}
    assert done["changes"]["options"] == {"old": None, "new": "tls12=False"}
    assert {"reserve", "trust-root", "key_access", "app_id", "store"} <= done["changes"].keys()
    for test in (True, False):
        again = minion.state("mlsssl.deployed", KEY, test=test, **wanted)
        assert (again["result"], again["changes"]) == (True, {})
    one = minion.state("mlsssl.deployed", KEY, **{**wanted, "options": {"tls12": True}})
    assert one["changes"] == {"options": {"old": "tls12=False", "new": "default"}}


def test_deployed_from_an_issuer_says_what_is_not_known_yet(minion: Minion) -> None:
    """But for the thumbprint, test mode says what the run says."""
    wanted: dict[str, Any] = {"issuer": "own", "host": "a.test", "key_type": "ec-p256"}
    would = minion.state("mlsssl.deployed", KEY, test=True, **wanted)
    done = minion.state("mlsssl.deployed", KEY, **wanted)
    assert would["changes"].pop("thumbprint")["new"] == "of a certificate that own is still to issue"
    bound = minion.call("mlsssl.bindings")[0]["thumbprint"]
    assert done["changes"].pop("thumbprint") == {"old": None, "new": bound}
    assert done["changes"] == would["changes"]
    assert minion.state("mlsssl.deployed", KEY, **wanted)["changes"] == {}


def test_a_state_that_cannot_be_is_one_report_and_changes_nothing(minion: Minion) -> None:
    """In test mode too: refused by the preflight, an unknown option, a missing file, no machine to renew on."""
    before = state_of(minion)
    for test in (True, False):
        refused = minion.state("mlsssl.deployed", KEY, test=test, pillar="web:certificate", host="else.example")
        assert (refused["result"], refused["changes"]) == (False, {})
        assert "else.example" in refused["comment"]
        unknown = minion.state("mlsssl.deployed", KEY, test=test, pilar="web:certificate")
        assert (unknown["result"], unknown["changes"]) == (False, {})
        assert "no option is called pilar; there are after," in unknown["comment"]
        missing = minion.state("mlsssl.deployed", KEY, test=test, file="/nowhere/www.pfx")
        assert (missing["result"], missing["changes"]) == (False, {})
        nobody = minion.state("mlsssl.renewed", "nobody", test=test)
        assert (nobody["result"], nobody["changes"]) == (False, {})
        leaf = minion.state("mlsssl.trusted", "leaf", test=test, pillar="web:certificate")
        assert (leaf["result"], leaf["changes"]) == (False, {})
        assert "is no root" in leaf["comment"]
    assert state_of(minion) == before


def test_renewed(minion: Minion) -> None:
    """What is due is renewed, as test mode says; what is not stays; a failure of one is told beside the others."""
    assert minion.state("mlsssl.renewed", "own", test=True)["changes"] == {}
    for key in (KEY, "0.0.0.0:444"):
        minion.call("mlsssl.deploy", key, issuer="own", host="a.test", key_type="ec-p256")
    not_due = minion.state("mlsssl.renewed", "due ones", issuer="own")
    assert (not_due["result"], not_due["changes"]) == (True, {})
    old = {one["key"]: one["thumbprint"] for one in minion.call("mlsssl.bindings")}
    would = minion.state("mlsssl.renewed", "own", test=True, due_only=False)
    assert would["result"] is None
    done = minion.state("mlsssl.renewed", "own", due_only=False)
    new = {one["key"]: one["thumbprint"] for one in minion.call("mlsssl.bindings")}
    assert done["result"] is True
    assert done["changes"] == {key: {"old": old[key], "new": new[key]} for key in old}
    assert {key: one["old"] for key, one in would["changes"].items()} == old
    assert {one["new"] for one in would["changes"].values()} == {"of a certificate that own is still to issue"}
    minion.opts["mlsssl"]["issuers"]["own"] = {"minion": "ca1", "policy": "web", "issued_by": ROOT}
    minion.functions["publish.publish"] = lambda *_, **__: {}
    failed = minion.state("mlsssl.renewed", "own", due_only=False)
    assert (failed["result"], failed["changes"]) == (False, {})
    assert failed["comment"].count("ca1 gave no answer") == 2
    assert {one["key"]: one["thumbprint"] for one in minion.call("mlsssl.bindings")} == new


def test_an_issuer_without_an_answer_yet_is_no_failure_while_there_is_time(minion: Minion) -> None:
    """The state says pending; once the certificate is near its end it is a failure."""
    issuer = ["-c", "import sys; sys.exit(13)"]
    minion.call("mlsssl.deploy", KEY, issuer="own", host="a.test", key_type="ec-p256")
    command = " ".join(f'"{word}"' for word in (sys.executable, *issuer))
    root = minion.opts["mlsssl"]["issuers"]["own"]["ca"].replace("ca.pfx", "root.pem")
    Path(root).write_text(ROOT)
    minion.opts["mlsssl"]["issuers"]["program"] = {"issuer_command": command, "issued_by": root}
    waits = minion.state("mlsssl.renewed", "program", due_only=False)
    assert (waits["result"], waits["changes"]) == (True, {})
    assert "pending: " in waits["comment"]
    before = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=88)
    old = CertificateAuthority.create("Old", key="ec-p256", at=before)
    late = old.issue("a.test", key="ec-p256", days=90, at=before)
    Path(root).write_text(ROOT + old.certificate.to_pem().decode())
    minion.pillar["late"] = late.to_pem(chain=True).decode() + late.private_key_pem().decode()
    minion.call("mlsssl.deploy", KEY, pillar="late")
    fails = minion.state("mlsssl.renewed", "program")
    assert (fails["result"], fails["changes"]) == (False, {})


def test_trusted_and_absent(minion: Minion) -> None:
    """A root comes and goes; a binding, a reservation and a certificate go with it; each is met by its own run."""
    minion.call("mlsssl.deploy", KEY, pillar="web:certificate", reserve="https://+:443/app/", user="USERS")
    root = str(AUTHORITY.certificate.thumbprint)
    leaf = str(LEAF.thumbprint)
    steps: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        ("trusted", "fleet root", {"pillar": "root"}, {"Root": {"old": None, "new": root}}),
        ("absent", "gone", {"url": "https://+:443/app/"}, {}),
        ("absent", KEY, {}, {}),
        ("absent", "leaf", {"thumbprint": leaf}, {leaf: {"old": {"thumbprint": leaf, "store": "MY"}, "new": None}}),
        (
            "absent",
            "old root",
            {"thumbprint": root, "store": "Root"},
            {root: {"old": {"thumbprint": root, "store": "Root"}, "new": None}},
        ),
    ]
    bound = minion.state("mlsssl.absent", "leaf", thumbprint=leaf)
    assert (bound["result"], bound["changes"]) == (False, {})
    assert "is bound to 0.0.0.0:443" in bound["comment"]
    for state, name, options, changes in steps:
        would = minion.state(f"mlsssl.{state}", name, test=True, **options)
        done = minion.state(f"mlsssl.{state}", name, **options)
        assert (would["result"], done["result"]) == (None, True)
        assert would["changes"] == done["changes"] != {}
        assert not changes or changes == done["changes"]
        again = minion.state(f"mlsssl.{state}", name, **options)
        assert (again["result"], again["changes"]) == (True, {})
    assert minion.call("mlsssl.bindings") == []
    assert minion.call("mlsssl.reservations") == []
    assert leaf not in minion.call("mlsssl.stored")
    assert root not in minion.call("mlsssl.stored", "Root")


CERTIFICATES = {
    name: one.to_pem(chain=True).decode() + one.private_key_pem().decode()
    for name, one in {"one": LEAF, "two": AUTHORITY.issue("www.example.com", "b.test", key="ec-p256")}.items()
}
WANTED = st.fixed_dictionaries(
    {"pillar": st.sampled_from(sorted(CERTIFICATES))},
    optional={
        "options": st.dictionaries(st.sampled_from(["tls12", "tls13", "http2", "legacy_tls"]), st.booleans()),
        "app_id": st.just("4dc3e181-e14b-4a21-b022-59fc669b0914"),
        "trust_root": st.booleans(),
        "friendly_name": st.just("web"),
        "key_access": st.sampled_from([["NETWORK SERVICE"], "keep"]),
        "on_conflict": st.sampled_from(["replace", "keep", "fail"]),
        "host": st.sampled_from(["www.example.com", "b.test"]),
        "force": st.booleans(),
    },
)


@settings(max_examples=examples(40), deadline=None)
@given(before=st.lists(WANTED, max_size=2), wanted=WANTED)
def test_test_mode_says_exactly_what_the_run_does(before: list[dict[str, Any]], wanted: dict[str, Any]) -> None:
    """Whatever was deployed before: the same changes, or the same refusal; then nothing more to do."""
    import tempfile

    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as folder:
        install(patched)
        minion = Minion("web1", {"machine": f"{folder}/machine.sqlite"}, CERTIFICATES)
        for one in before:
            minion.state("mlsssl.deployed", KEY, **{**one, "on_conflict": "replace"})
        there = state_of(minion)
        would = minion.state("mlsssl.deployed", KEY, test=True, **wanted)
        assert state_of(minion) == there
        done = minion.state("mlsssl.deployed", KEY, **wanted)
        assert done["changes"] == would["changes"]
        assert done["result"] is (would["result"] if would["result"] is False else True)
        assert (would["result"] is None) == bool(would["changes"])
        if done["changes"]:
            bound = minion.call("mlsssl.bindings")[0]
            shown = {"thumbprint": bound["thumbprint"], "app_id": f"{{{bound['app_id']}}}", "store": bound["store"]}
            for name, value in shown.items():
                assert name not in done["changes"] or done["changes"][name]["new"] == value
        else:
            assert state_of(minion) == there
        again = minion.state("mlsssl.deployed", KEY, **wanted)
        assert again["changes"] == {}
        assert again["result"] is done["result"]


# -- issuing for the fleet --------------------------------------------------------------------------------------------


@pytest.fixture(name="policy")
def _policy(tmp_path: Path, own: Mapping[str, Any]) -> dict[str, Any]:
    """A policy for minions whose names are made of their ids."""
    del own  # which has written the files
    return {
        "ca": str(tmp_path / "ca.pfx"),
        "ca_password": f"file:{tmp_path / 'ca-password'}",
        "minions": "web*",
        "names": ["{id}.example.com"],
        "days": 47,
        "key_types": ["ec-p256"],
    }


@pytest.fixture(name="fleet")
def _fleet(policy: dict[str, Any], own: dict[str, Any], tmp_path: Path) -> Master:
    """A signing minion, two that are signed for, and one that is not."""
    master = Master({"policies": {"web": policy}})
    Minion("ca1", {"policies": {"web": policy}}, master=master)
    for one in ("web1", "web2", "db1"):
        Minion(one, {**own, "machine": str(tmp_path / f"{one}.sqlite")}, master=master)
    return master


@pytest.mark.parametrize("issuer", ["fleet", "over the master"])
def test_a_minion_is_signed_for_under_the_policy(fleet: Master, issuer: str) -> None:
    """Its own name, the policy's days; the private key never travels; then it is met, and renewed from there."""
    minion = fleet.minions["web1"]
    wanted: dict[str, Any] = {"issuer": issuer, "host": "web1.example.com", "key_type": "ec-p256"}
    would = minion.state("mlsssl.deployed", KEY, test=True, **wanted)
    unknown = {"thumbprint": {"old": None, "new": f"of a certificate that {issuer} is still to issue"}}
    assert (would["result"], would["changes"], fleet.seen) == (None, unknown, [])
    done = minion.state("mlsssl.deployed", KEY, **wanted)
    assert done["result"] is True, done["comment"]
    assert done["changes"].keys() == {"thumbprint"}
    assert [(who, fun) for who, fun, _, _ in fleet.seen] == [("web1", "mlsssl_ca.sign_request")]
    assert "PRIVATE" not in json.dumps([[arg, answer] for _, _, arg, answer in fleet.seen])
    with EmbeddedMachine(minion.opts["mlsssl"]["machine"]) as machine:
        issued = machine.bindings[KEY].certificate
        assert issued is not None
        assert issued.not_after - issued.not_before == dt.timedelta(days=47, seconds=-1)
        assert issued.names == ("web1.example.com",)
        assert AUTHORITY.issued(issued)
    assert minion.state("mlsssl.deployed", KEY, **wanted)["changes"] == {}
    renewed = minion.state("mlsssl.renewed", issuer, due_only=False)
    assert (renewed["result"], len(renewed["changes"])) == (True, 1)
    assert len(fleet.seen) == 2


@pytest.mark.parametrize("issuer", ["fleet", "over the master"])
@pytest.mark.parametrize(
    ("who", "names", "why"),
    [
        ("web2", ["web1.example.com"], "web1.example.com: not among the names of web2, which are web2.example.com"),
        ("web2", ["web2.example.com", "web1.example.com"], "web1.example.com: not among the names of web2"),
        ("web2", ["*.example.com"], r"\*.example.com: not among"),
        ("web2", ["a.web2.example.com"], "a.web2.example.com: not among"),
        ("web2", ["10.0.0.1"], "10.0.0.1: not among"),
        ("db1", ["db1.example.com"], "there is no policy 'web' that db1 may use"),
    ],
)
def test_a_name_that_is_not_its_own_is_refused(
    fleet: Master, issuer: str, who: str, names: list[str], why: str
) -> None:
    """Whoever asks, for whatever: nothing is signed, nothing bound, and the reason told on both sides."""
    with pytest.raises(CommandExecutionError, match=why):
        fleet.minions[who].call("mlsssl.deploy", KEY, issuer=issuer, host=names, key_type="ec-p256")
    assert all("certificate" not in str(answer) for _, _, _, answer in fleet.seen)
    assert fleet.minions[who].state("mlsssl.deployed", KEY, issuer=issuer, host=names)["result"] is False
    assert state_of(fleet.minions[who]) == ({"MY": [], "CA": [], "Root": []}, [[], []])


PEM = CertificateRequest.create("web1.example.com", key="ec-p256").to_pem().decode()
CALL = ["web", PEM]


@pytest.mark.parametrize(
    ("arg", "published"),
    [
        (CALL, {}),
        (CALL, {"id": ""}),
        ([*CALL, {"__kwarg__": True, "__pub_id": "web1"}], {}),
        ([*CALL, {"__kwarg__": True, "__pub_id": "web1", "__pub_arg": CALL}], {}),
        ([{"__kwarg__": True, "policy": "web", "request": PEM, "__pub_id": "web1"}], {}),
        ([*CALL, {"__kwarg__": True, "__pub_id": "web1"}], {"id": "web2"}),
        (CALL, {"id": "web1", "fun": ["mlsssl_ca.sign_request", "test.ping"]}),
    ],
)
def test_who_asks_is_what_salt_says_and_nothing_else(fleet: Master, arg: list[Any], published: dict[str, Any]) -> None:
    """A caller that names itself in its arguments is refused, also where Salt says nothing of who calls."""
    answer = deliver(fleet.minions["ca1"], "mlsssl_ca.sign_request", arg, published)
    assert isinstance(answer, dict)
    assert "Salt does not say which minion asks" in answer["refused"]
    right = deliver(fleet.minions["ca1"], "mlsssl_ca.sign_request", CALL, {"id": "web1"})
    assert isinstance(right, dict)
    assert Certificate.from_text(right["certificate"]).names == ("web1.example.com",)


def signed(
    fleet: Master, request: CertificateRequest | str, who: str = "web1", policy: object = "web"
) -> dict[str, str]:
    """What the signing minion answers."""
    text = request if isinstance(request, str) else request.to_pem().decode()
    answer = deliver(fleet.minions["ca1"], "mlsssl_ca.sign_request", [policy, text], {"id": who})
    assert isinstance(answer, dict)
    assert answer.keys() in ({"certificate"}, {"refused"})
    return answer


def test_nothing_but_key_and_names_is_taken_of_a_request(fleet: Master) -> None:
    """Subject and other extensions are the signing side's."""
    asked = CertificateRequest.create(
        "web1.example.com", key="ec-p256", organization="Somebody Else", common_name="admin.example.com", template="CA"
    )
    answer = signed(fleet, asked)
    certificate = Certificate.from_text(answer["certificate"])
    assert certificate.subject == "CN=web1.example.com"
    assert certificate.extended_key_usages == AUTHORITY.issue("a.test", key="ec-p256").extended_key_usages
    assert not certificate.is_ca


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (
            CertificateRequest.create("web1.example.com", key="ec-p384").to_pem().decode(),
            "ec-p384; this policy is for ec",
        ),
        ("no request", "."),
        ("", "."),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "."),
        (PEM + "A" * 70_000, "at most 65536 characters"),
    ],
)
def test_a_request_that_cannot_be_is_refused(fleet: Master, request_: str, why: str) -> None:
    """With the reason; nothing is raised, for that would end as a traceback in the job's record."""
    refused = signed(fleet, request_)["refused"]
    assert why in refused or (why == "." and refused)


@settings(max_examples=examples(50), deadline=None)
@given(policy=st.one_of(st.text(), st.none(), st.integers(), st.lists(st.text())), request_=st.text())
def test_whatever_is_sent_is_answered(policy: object, request_: str) -> None:
    """Text and other values from a minion that is no friend."""
    with pytest.MonkeyPatch.context() as patched:
        install(patched)
        master = Master()
        Minion("ca1", {"policies": {"web": {"ca": "/nowhere", "minions": "*"}}}, master=master)
        for name in (policy, "web"):
            answer = signed(master, request_, policy=name)
            assert "refused" in answer


def test_the_signing_sides_own_faults_are_told_there_alone(
    fleet: Master, policy: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets no path, no name of a setting; the log of the signing side has them."""
    for change in (
        {"ca": "/nowhere/secret-place.pfx"},
        {"ca_password": "clear text"},
        {"days": 0},
        {"days": "47"},
        {"key_types": ["rsa-1024"]},
        {"grain": "fqdn"},
        {"within": ["example.com"]},
        {"names": "web1.example.com"},
        {"names": ["{id}..example"]},
        {"typo": 1},
        {"pillar": "yes"},
        {"minions": None},
        {"ca": None},
        {"names_of": ["web1"]},
        {"grain": "fqdn", "within": ["*.example.com"]},
    ):
        caplog.clear()
        fleet.minions["ca1"].opts["mlsssl"]["policies"]["web"] = {**policy, **change}
        assert signed(fleet, PEM) == {"refused": "the signing side could not answer; its log says why"}, change
        assert "the request of minion web1 under policy 'web' was not answered" in caplog.text
        assert "clear text" not in caplog.text


def test_names_by_minion_pillar_and_grain(fleet: Master, policy: dict[str, Any]) -> None:
    """Each only where the policy says so; what a grain claims only where it may lie, and never a wildcard."""
    ca = fleet.minions["ca1"]
    asked = CertificateRequest.create("www.example.com", key="ec-p256")
    fleet.names["web1"] = {"pillar": ["www.example.com"], "grain": []}
    assert "not among the names" in signed(fleet, asked)["refused"]
    ca.opts["mlsssl"]["policies"]["web"] = {**policy, "pillar": True}
    assert "certificate" in signed(fleet, asked)
    assert "not among the names" in signed(fleet, asked, "web2")["refused"]
    ca.opts["mlsssl"]["policies"]["web"] = {**policy, "names_of": {"web2": ["www.example.com"]}}
    assert "certificate" in signed(fleet, asked, "web2")
    assert "not among the names" in signed(fleet, asked, "web1")["refused"]
    fleet.names["web1"] = {
        "pillar": [],
        "grain": [
            "www.example.com",
            "10.1.2.3",
            "*.example.com",
            "evil.test",
            "badexample.com",
            "no name",
            "10.0.0.0/8",
        ],
    }
    ca.opts["mlsssl"]["policies"]["web"] = {**policy, "grain": "fqdn", "within": ["example.com", "10.0.0.0/8"]}
    for name, given_ in {
        "www.example.com": True,
        "10.1.2.3": True,
        "*.example.com": False,
        "evil.test": False,
        "badexample.com": False,
    }.items():
        answer = signed(fleet, CertificateRequest.create(name, key="ec-p256"))
        assert ("certificate" in answer) is given_, (name, answer)


def test_a_policy_is_for_those_that_it_admits(fleet: Master, policy: dict[str, Any]) -> None:
    """Globs, several, or a compound expression, which the master looks at; without its answer nobody is admitted."""
    ca = fleet.minions["ca1"]
    for minions, admitted in (
        ("web1", True),
        ("WEB1", False),
        (["db*", "web[12]"], True),
        ("I@role:web and web1", True),
        ("I@role:db and web1", False),
        ("*", True),
    ):
        ca.opts["mlsssl"]["policies"]["web"] = {**policy, "minions": minions}
        assert ("certificate" in signed(fleet, PEM)) is admitted, minions
    ca.opts["mlsssl"]["policies"]["web"] = {**policy, "minions": "I@role:web and web1"}
    ca.functions["publish.runner"] = lambda fun, arg=None: {}
    assert signed(fleet, PEM) == {"refused": "the signing side could not answer; its log says why"}


def test_an_authority_that_was_exchanged_signs_at_once(fleet: Master, policy: dict[str, Any], tmp_path: Path) -> None:
    """It is read once for many requests, and again when its file is another."""
    signed(fleet, PEM)
    other = CertificateAuthority.create("Next", key="ec-p256")
    other.save(tmp_path / "ca.pfx", password="of the authority", overwrite=True)
    assert Certificate.from_text(signed(fleet, PEM)["certificate"]).issuer == "CN=Next"
    assert policy["ca"] == str(tmp_path / "ca.pfx")


def test_only_a_minion_with_policies_signs(own: dict[str, Any]) -> None:
    """The module is not loaded elsewhere, and says why."""
    module = loaded("modules", "mlsssl_ca", __opts__={"mlsssl": own}, __pillar__={}, __salt__={})
    loads, why = module.__virtual__()
    assert loads is False
    assert "signs for nobody" in why
    assert "mlsssl_ca.sign_request" not in Minion("web1", own).functions


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({}, "ca1 gave no answer: whether it is up"),
        ("publish timed out", "gave no answer but 'publish timed out'"),
        ({"ca1": "'mlsssl_ca.sign_request' is not available."}, "is not available"),
        ({"ca2": {"certificate": ROOT}}, "ca1 gave no answer"),
        ({"ca1": {"certificate": "none"}}, "no certificate that can be read"),
        ({"ca1": {"certificate": LEAF.to_pem().decode()}}, "it is for another key"),
        ({"ca1": {"refused": "no" * 100_000}}, "ca1 refuses: nono"),
        ({"ca1": {"certificate": 7}}, "ca1 gave no answer"),
    ],
)
def test_what_a_signing_side_may_answer(fleet: Master, answer: object, why: str) -> None:
    """It is believed no more than any issuer; nothing is bound."""
    minion = fleet.minions["web1"]
    minion.functions["publish.publish"] = lambda *_, **__: answer
    with pytest.raises(CommandExecutionError, match=why) as raised:
        minion.call("mlsssl.deploy", KEY, issuer="fleet", host="web1.example.com", key_type="ec-p256")
    assert len(str(raised.value)) < 3000
    assert state_of(minion) == ({"MY": [], "CA": [], "Root": []}, [[], []])


def test_settings_of_a_peer_that_cannot_be(own: dict[str, Any]) -> None:
    """Told with the setting's name before anybody is asked."""
    minion = Minion("web1", own)
    right = dict(own["issuers"]["fleet"])
    for change, why in (
        ({"master": True}, "either minion: ID, or master: true"),
        ({"issued_by": None}, "issued_by of the issuer 'fleet' is the authority's certificate"),
        ({"policy": None}, "policy is the name of a policy"),
        ({"timeout": 0}, "timeout is a number of seconds"),
        ({"acme": "letsencrypt"}, "has settings that are none: 'acme'"),
    ):
        minion.opts["mlsssl"]["issuers"]["fleet"] = {**right, **change}
        with pytest.raises(CommandExecutionError, match=why):
            minion.call("mlsssl.deploy", KEY, issuer="fleet", host="a.test")
