"""`mlsssl dsc`: bindings as a resource of DSC v3, its manifest, and what its commands read, print and end with."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import fields
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

import mlsssl
from mlsssl import BindingOptions, Certificate, CertificateAuthority, EmbeddedMachine, deploy, renew
from mlsssl._commands import dsc
from mlsssl.cli import EXIT_CODES, main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, list[dict[str, Any]], str]]

KEY = "127.0.0.1:8443"
URL = "https://+:8443/mls/"
PASSWORD = "dsc-hunter-23"

# What a manifest of a command resource may say, as far as ours does: our own words for what DSC 3.1's schema demands
# (https://aka.ms/dsc/schemas/v3/bundled/resource/manifest.json; PowerShell/DSC, commit 861df43, August 2026).
_URI = "https://aka.ms/dsc/schemas/v3/"
_ARGUMENT = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "required": ["jsonInputArg"],
            "properties": {"jsonInputArg": {"type": "string"}, "mandatory": {"type": "boolean"}},
            "additionalProperties": False,
        },
    ]
}


def _method(*more: str) -> dict[str, Any]:
    """A command: it must be given its instance one way or another."""
    own = {
        "executable": {"type": "string"},
        "args": {"type": "array", "items": _ARGUMENT},
        "input": {"enum": ["stdin", "env"]},
        "return": {"enum": ["state", "stateAndDiff"]},
        "implementsPretest": {"type": "boolean"},
        "handlesExist": {"type": "boolean"},
    }
    return {
        "type": "object",
        "required": ["executable"],
        "properties": {name: own[name] for name in ("executable", "args", "input", *more)},
        "additionalProperties": False,
        "anyOf": [
            {"required": ["input"]},
            {
                "required": ["args"],
                "properties": {"args": {"contains": {"type": "object"}, "minContains": 1, "maxContains": 1}},
            },
        ],
    }


def _canonical(name: str) -> dict[str, Any]:
    return {"const": {"$ref": f"{_URI}resource/properties/{name}.json"}}


MANIFEST_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["$schema", "type", "version", "get"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"const": f"{_URI}bundled/resource/manifest.json"},
        "type": {"type": "string", "pattern": r"^\w+(\.\w+){0,3}/\w+$"},
        "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "description": {"type": "string"},
        "tags": {"type": "array", "uniqueItems": True, "items": {"type": "string", "pattern": r"^\w+$"}},
        "get": _method(),
        "set": _method("return", "implementsPretest", "handlesExist"),
        "whatIf": _method("return", "implementsPretest", "handlesExist"),
        "test": _method("return"),
        "export": _method(),
        "exitCodes": {
            "type": "object",
            "propertyNames": {"pattern": "^-?[0-9]+$"},
            "additionalProperties": {"type": "string"},
        },
        "schema": {
            "type": "object",
            "required": ["embedded"],
            "additionalProperties": False,
            "properties": {
                "embedded": {
                    "type": "object",
                    "required": ["$schema", "type", "properties"],
                    "properties": {
                        "$schema": {"const": "https://json-schema.org/draft/2020-12/schema"},
                        "type": {"const": "object"},
                        "properties": {
                            "minProperties": 1,
                            "properties": {
                                "_exist": _canonical("exist"),
                                "_inDesiredState": _canonical("inDesiredState"),
                            },
                        },
                    },
                },
            },
        },
    },
}
MANIFEST = dsc.manifest()
INSTANCE = MANIFEST["schema"]["embedded"]


def _faults(document: object, schema: dict[str, Any]) -> list[str]:
    checker = jsonschema.Draft202012Validator(schema)
    return [f"{one.json_path}: {one.message}" for one in checker.iter_errors(document)]


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with server.pfx and newer.pfx of one authority, and a machine without bindings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSC_PW", PASSWORD)
    ca = CertificateAuthority.create("DSC", key="ec-p256")
    ca.save("ca.pfx", password=PASSWORD)
    ca.issue("server.test", days=30).save("server.pfx", password=PASSWORD)
    ca.issue("server.test", days=60).save("newer.pfx", password=PASSWORD)
    ca.issue("other.test", days=60).save("other.pfx", password=PASSWORD)
    EmbeddedMachine("m.sqlite").close()
    return tmp_path


@pytest.fixture(name="call")
def _call(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """The commands as DSC calls them; every answer is looked at by the schema of instances."""

    def call(*words: str, **instance: object) -> tuple[int, list[dict[str, Any]], str]:
        given = json.dumps(instance, separators=(",", ":")).encode()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given), isatty=lambda: False))
        capsys.readouterr()
        code = main(["dsc", *words, "--machine", str(place / "m.sqlite")])
        captured = capsys.readouterr()
        lines = [json.loads(line) for line in captured.out.splitlines()]
        for line in lines:
            assert _faults(line, INSTANCE) == []
        assert PASSWORD not in captured.out + captured.err
        return code, lines, captured.err

    return call


PFX = {"file": "server.pfx", "password": "env:DSC_PW"}


def thumbprint(place: Path, name: str = "server.pfx") -> str:
    return str(Certificate.load(place / name, password=PASSWORD).thumbprint)


def test_the_manifest_is_as_the_published_schema_demands() -> None:
    assert _faults(MANIFEST, MANIFEST_SCHEMA) == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("type",), "mlsssl"),
        (("version",), "1"),
        (("get", "executable"), None),
        (("get", "input"), "file"),
        (("export", "args"), ["dsc", "export"]),
        (("set", "return"), "diff"),
        (("tags",), ["http.sys"]),
        (("exitCodes",), {"0x1": "no"}),
        (("schema", "embedded", "properties", "_exist"), {"type": "boolean"}),
        (("schema", "embedded", "type"), "array"),
    ],
)
def test_a_faulty_manifest_is_noticed(where: tuple[str, ...], value: object) -> None:
    faulty = json.loads(json.dumps(MANIFEST))
    place = faulty
    for name in where[:-1]:
        place = place[name]
    place[where[-1]] = value
    assert _faults(faulty, MANIFEST_SCHEMA)


def test_the_manifest_is_true_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command line that it names is one; its options are all there are; its exit codes are the common ones."""
    for method in ("get", "set", "whatIf", "test", "export"):
        words = [one if isinstance(one, str) else one["jsonInputArg"] for one in MANIFEST[method]["args"]]
        with pytest.raises(SystemExit) as stopped:
            main([word for word in words if word != "--input"] + ["--help"])
        assert stopped.value.code == 0
        assert all(word in capsys.readouterr().out for word in words if word.startswith("--"))
    assert {*INSTANCE["properties"]["options"]["properties"]} == {one.name for one in fields(BindingOptions)}
    for name, one in INSTANCE["properties"]["options"]["properties"].items():
        default = getattr(BindingOptions(), name)
        assert (one["type"] == "boolean") == (isinstance(default, bool) or name == "use_revocation_freshness_time")
    issuers = {11, 12, 13}  # this resource asks none, and has no steps after it
    assert {int(code) for code in MANIFEST["exitCodes"]} == {0, *(code for _, code in EXIT_CODES)} - issuers


def test_the_wheel_puts_it_beside_the_program() -> None:
    """DSC looks on the PATH; hatchling's table says so, and the name is one that DSC knows."""
    from pathlib import Path

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"src/mlsssl/_commands/{dsc.MANIFEST}" = "{dsc.MANIFEST}"' in text
    assert dsc.MANIFEST.endswith(".dsc.resource.json")


def test_a_binding_from_nothing_to_nothing(place: Path, call: Call) -> None:
    """Get, test, what-if, set, again, changed, exported, removed."""
    wanted: dict[str, Any] = {"key": KEY, **PFX, "options": {"http2": False, "revocation_freshness_time": 60}}
    assert call("get", key=KEY)[:2] == (0, [{"key": KEY, "_exist": False}])
    assert call("test", **wanted)[:2] == (0, [{"key": KEY, "_exist": False, "_inDesiredState": False}])
    code, [expected], _ = call("set", "--what-if", **wanted)
    assert code == 0
    assert expected["_exist"]
    assert call("get", key=KEY)[1] == [{"key": KEY, "_exist": False}]

    code, [state], _ = call("set", **wanted)
    assert code == 0
    assert state["thumbprint"] == thumbprint(place) == expected["thumbprint"]
    assert state["options"]["http2"] is False
    assert state["options"]["revocation_freshness_time"] == 60
    assert state["options"]["tls13"] is True
    assert call("get", key=KEY)[1] == [state]
    assert call("test", **wanted)[1] == [{**state, "_inDesiredState": True}]
    before = (place / "m.sqlite").read_bytes()
    assert call("set", **wanted)[1] == [state]
    assert (place / "m.sqlite").read_bytes() == before

    changed = {**wanted, "options": {"http2": True}}
    assert call("test", **changed)[1][0]["_inDesiredState"] is False
    code, [after], _ = call("set", **changed)
    assert after["options"]["http2"] is True
    assert after["options"]["revocation_freshness_time"] == 60  # not named, so it stays
    assert after["appId"] == state["appId"]

    assert call("export")[1] == [after]
    assert call("export", "--input", json.dumps({"key": KEY}))[1] == [after]
    assert call("export", "--input", json.dumps({"key": "127.0.0.1:1"}))[1] == []
    assert call("test", **after)[1][0]["_inDesiredState"] is True  # what was exported is a desired state

    gone = {"key": KEY, "_exist": False}
    assert call("test", **gone)[1][0]["_inDesiredState"] is False
    assert call("set", "--what-if", **gone)[1] == [gone]
    assert call("get", key=KEY)[1] == [after]
    assert call("set", **gone)[1] == [gone]
    assert call("set", **gone)[1] == [gone]
    assert call("test", **gone)[1] == [{**gone, "_inDesiredState": True}]


def test_a_reservation_comes_and_goes_with_it(call: Call) -> None:
    wanted = {"key": KEY, **PFX, "reservation": {"url": URL, "users": ["NT AUTHORITY\\NETWORK SERVICE"]}}
    code, [state], _ = call("set", **wanted)
    assert code == 0
    assert state["reservation"] == {"url": URL, "sddl": "D:(A;;GX;;;S-1-5-20)"}
    assert call("test", **wanted)[1][0]["_inDesiredState"] is True
    other = {**wanted, "reservation": {"url": URL, "users": ["SYSTEM"]}}
    assert call("test", **other)[1][0]["_inDesiredState"] is False
    gone = {"key": KEY, "_exist": False, "reservation": {"url": URL}}
    assert call("set", **gone)[1] == [{"key": KEY, "_exist": False}]
    assert call("test", **gone)[1][0]["_inDesiredState"] is True
    code, _, told = call("set", key=KEY, **PFX, reservation={"url": URL})
    assert code == 2
    assert "users" in told


@pytest.mark.parametrize("named_by", ["file", "thumbprint"])
def test_a_renewal_is_not_taken_back(place: Path, call: Call, named_by: str) -> None:
    """The configuration goes on naming the first certificate; only who says so gets it again."""
    with EmbeddedMachine("m.sqlite") as machine:
        deploy(KEY, Certificate.load("server.pfx", password=PASSWORD), machine=machine)
        renew(KEY, Certificate.load("newer.pfx", password=PASSWORD), machine=machine)
    named = PFX if named_by == "file" else {"thumbprint": thumbprint(place)}
    wanted: dict[str, Any] = {"key": KEY, **named}
    newer = thumbprint(place, "newer.pfx")
    assert call("test", **wanted)[1][0]["_inDesiredState"] is True
    assert call("set", **wanted)[1][0]["thumbprint"] == newer
    assert call("set", **wanted, options={"http2": False})[1][0]["thumbprint"] == newer
    exact = {**wanted, "acceptRenewed": False}
    assert call("test", **exact)[1][0]["_inDesiredState"] is False
    assert call("set", **exact)[1][0]["thumbprint"] == thumbprint(place)
    # For other names, it is no renewal.
    assert call("set", key=KEY, file="other.pfx", password="env:DSC_PW")[1][0]["thumbprint"] != newer


def test_options_alone_keep_the_certificate(place: Path, call: Call) -> None:
    code, _, told = call("set", key=KEY, options={"http2": False})
    assert code == 2
    assert "name a certificate" in told
    call("set", key=KEY, **PFX)
    code, [state], _ = call("set", key=KEY, options={"http2": False})
    assert (code, state["thumbprint"], state["options"]["http2"]) == (0, thumbprint(place), False)


def test_a_certificate_that_is_refused_changes_nothing(place: Path, call: Call) -> None:
    """Exit code 1, which DSC takes for an error; what-if says the same beforehand."""
    call("set", key=KEY, **PFX)
    before = call("get", key=KEY)[1]
    for words in (["set", "--what-if"], ["set"]):
        code, lines, told = call(*words, key="www.wrong.test:8443", **PFX)
        assert (code, lines) == (1, [])
        assert "www.wrong.test" in told
    assert call("export")[1] == before


WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "no key": ({}, 2, "has no key"),
    "key of another type": ({"key": 443}, 2, "key is of type string"),
    "unknown property": ({"key": KEY, "pasword": PASSWORD}, 2, "no property 'pasword'"),
    "unknown option": ({"key": KEY, "options": {"http4": True}}, 2, "no property 'http4'"),
    "option of another type": ({"key": KEY, "options": {"http2": 1}}, 2, "http2 is of type boolean"),
    "negative time": ({"key": KEY, **PFX, "options": {"url_retrieval_timeout": -1}}, 2, "at least 0"),
    "two certificates": ({"key": KEY, "thumbprint": "0" * 40, **PFX}, 2, "not by both"),
    "password itself": ({"key": KEY, "file": "server.pfx", "password": PASSWORD}, 2, "is not shown"),
    "password without file": ({"key": KEY, "password": "env:DSC_PW"}, 2, "is for file"),
    "no such file": ({"key": KEY, "file": "absent.pfx", "password": "env:DSC_PW"}, 3, "absent.pfx"),
    "no such thumbprint": ({"key": KEY, "thumbprint": "0" * 40}, 3, "0000"),
    "wrong password": ({"key": KEY, "file": "server.pfx", "password": "env:HOME"}, 6, "password"),
    "a CCS key": ({"key": "ccs=443"}, 2, ""),
    "a mistyped key": ({"key": "nonsense"}, 2, "nonsense"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_refused_with_its_code(
    place: Path, call: Call, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing on standard output, nothing changed."""
    monkeypatch.setenv("HOME", "no-password-of-ours")
    instance, expected, words = WRONG[case]
    code, lines, told = call("set", **instance)
    assert (code, lines) == (expected, [])
    assert words in told
    assert call("export")[1] == []


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"key":"' + b"a" * 2_000_000 + b'"}'])
def test_what_is_no_instance_is_refused(
    place: Path, text: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text), isatty=lambda: False))
    assert main(["dsc", "get", "--machine", "m.sqlite"]) in (2, 6)
    assert capsys.readouterr().out == ""


def test_standard_input_that_is_closed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["dsc", "get", "--machine", "m.sqlite"]) == 2


@pytest.mark.slow
def test_as_a_program(place: Path) -> None:
    """As DSC runs it: a process with the instance on standard input, UTF-8 with a mark from PowerShell included."""

    def run(*words: str, instance: bytes) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "mlsssl", "dsc", *words, "--machine", "m.sqlite"]
        return subprocess.run(command, input=instance, capture_output=True, check=False)

    wanted = json.dumps({"key": KEY, **PFX}).encode()
    done = run("set", instance=wanted)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["thumbprint"] == thumbprint(place)
    again = run("test", instance=b"\xef\xbb\xbf" + wanted)
    assert json.loads(again.stdout)["_inDesiredState"] is True
    refused = run("test", instance=b"{}")
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert mlsssl.EmbeddedMachine("m.sqlite").bindings
