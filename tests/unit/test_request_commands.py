"""`mlsssl request`: made where the service runs, signed elsewhere, joined again."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlsssl import Binding, Certificate, CertificateAuthority, CertificateRequest, EmbeddedMachine, deploy
from mlsssl.cli import main

CA = CertificateAuthority.create("Organisation Root", key="ec-p256")
KEY = "0.0.0.0:443"


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PW", "correct horse")
    CA.save("ca.pfx", password="correct horse")


def created(*words: str, key: str = "ec-p256") -> int:
    return main(["request", "create", *words, "--key", key, "--out", "server.csr", "--key-out", "server.key"])


def test_from_request_to_pfx(capsys: pytest.CaptureFixture[str]) -> None:
    assert created("server-name.com", "10.0.0.5", "--organization", "Example") == 0
    assert "hand it to the authority" in capsys.readouterr().out
    if sys.platform != "win32":
        assert Path("server.key").stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in Path("server.csr").read_bytes()
    assert main(["request", "show", "server.csr"]) == 0
    shown = capsys.readouterr().out
    assert "CN=server-name.com,O=Example" in shown
    assert "server-name.com, 10.0.0.5" in shown
    assert CertificateRequest.load("server.csr").fingerprint in shown
    sign = ["request", "sign", "server.csr", "--ca", "ca.pfx", "--ca-password", "env:PW"]
    assert main([*sign, "--out", "server.cer", "--days", "30"]) == 0
    assert "Passed over: " in capsys.readouterr().out, "the organization is the authority's word"
    assert main(sign) == 0
    printed = capsys.readouterr()
    assert "passed over: the subject field O=Example" in printed.err, "also where the certificate is the output"
    assert "assed over" not in printed.out
    complete = ["request", "complete", "server.cer", "--key", "server.key"]
    assert main([*complete, "--out", "server.pfx", "--password", "env:PW"]) == 0
    joined = Certificate.load("server.pfx", password="correct horse")
    assert joined.has_private_key
    assert joined.names == ("server-name.com", "10.0.0.5")
    assert joined.check("server-name.com", trust=[CA]).ok
    assert main([*complete, "--store", "MY", "--machine", "m.sqlite", "--friendly-name", "by hand"]) == 0
    assert str(joined.thumbprint) in capsys.readouterr().out
    with EmbeddedMachine("m.sqlite") as machine:
        assert machine.store()[joined.thumbprint].friendly_name == "by hand"


def test_for_what_is_bound(capsys: pytest.CaptureFixture[str]) -> None:
    """Names, subject and type of key are the old one's; the answer renews it."""
    with EmbeddedMachine("m.sqlite") as machine:
        deploy(KEY, CA.issue("a.test", "b.test", organization="Example", key="ec-p384"), machine=machine)
    files = ["--out", "new.csr", "--key-out", "new.key", "--password", "env:PW"]
    bound = ["request", "create", "--for-binding", KEY, "--machine", "m.sqlite"]
    assert main([*bound, *files, "--template", "WebServer"]) == 0
    request = CertificateRequest.load("new.csr")
    assert request.names == ("a.test", "b.test")
    assert request.key_type == "ec-p384"
    assert "O=Example" in request.subject
    assert main([*bound, *files]) == 4, "nothing that may be a key's only copy is replaced"
    CA.sign(request).save("new.p7b")
    complete = ["request", "complete", "new.p7b", "--key", "new.key", "--key-password", "env:PW"]
    assert main([*complete, "--out", "new.pem", "--no-password"]) == 0
    assert main(["renew", KEY, "--certificate", "new.pem", "--machine", "m.sqlite"]) == 0
    with EmbeddedMachine("m.sqlite") as machine:
        assert Binding.get(KEY, machine=machine).thumbprint == Certificate.load("new.pem").thumbprint
    capsys.readouterr()
    assert main([*bound[:2], "--for-binding", "127.0.0.1:1", *bound[4:], "--out", "x.csr", "--key-out", "x.key"]) == 3
    assert not Path("x.key").exists()


def test_sign_reads_and_writes_the_standard_streams(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it can be the program of --issuer-command."""
    middle = CA.create_intermediate("Issuing", key="ec-p256")
    middle.save("issuing.pem", no_password=True)
    request = CertificateRequest.create("a.test", key="ec-p256")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(request.to_pem())))
    assert main(["request", "sign", "-", "--ca", "issuing.pem"]) == 0
    answer = Certificate.from_pem(capsys.readouterr().out)
    assert request.matches(answer)
    assert middle.certificate in answer.chain
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(request.to_pem())))
    assert main(["--json", "request", "sign", "-", "--ca", "issuing.pem"]) == 0
    assert request.matches(Certificate.from_pem(json.loads(capsys.readouterr().out)["pem"]))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"x" * (1 << 21))))
    assert main(["request", "sign", "-", "--ca", "issuing.pem"]) == 2
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["request", "sign", "-", "--ca", "issuing.pem"]) == 2


@pytest.mark.parametrize(
    ("asked", "policy", "message"),
    [
        (["*.a.test"], "--no-wildcards", "wildcard"),
        (["a.test", "--organization", "Example"], "--strict", "the subject field O=Example"),
        (["a.test"], "--minimum-rsa-bits 3072", "2048"),
    ],
)
def test_the_policy_refuses(capsys: pytest.CaptureFixture[str], asked: list[str], policy: str, message: str) -> None:
    """And without it the same request is signed."""
    assert created(*asked, key="rsa-2048") == 0
    sign = ["request", "sign", "server.csr", "--ca", "ca.pfx", "--ca-password", "env:PW", "--out", "server.cer"]
    assert main([*sign, *policy.split()]) == 2
    assert message in capsys.readouterr().err
    assert not Path("server.cer").exists()
    assert main(sign) == 0


def test_what_does_not_fit_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert created("a.test") == 0
    CA.issue("a.test").without_key().save("other.cer")
    complete = ["request", "complete", "other.cer", "--key", "server.key"]
    wrong = {
        "not this certificate's": [*complete, "--out", "x.pfx", "--password", "env:PW"],
        "--out FILE.pfx, or --store": complete,
        "goes with --store": [*complete, "--out", "x.pem", "--machine", "m.sqlite"],
        "are for --out": [*complete, "--store", "MY", "--no-password"],
        "takes names, or --for-binding": ["request", "create", "--out", "x.csr", "--key-out", "x.key"],
        "goes with --for-binding": ["request", "create", "a", "--machine", "m", "--out", "x", "--key-out", "y"],
        "another file than --out": ["request", "create", "a.test", "--out", "x.csr", "--key-out", "x.csr"],
        "subject is the old": [
            *("request", "create", "--for-binding", KEY, "--country", "DE", "--machine", "m.sqlite"),
            *("--out", "x", "--key-out", "y"),
        ],
    }
    with EmbeddedMachine("m.sqlite") as machine:
        deploy(KEY, CA.issue("a.test"), machine=machine)
    for message, words in wrong.items():
        assert main(words) == 2, message
        assert message in capsys.readouterr().err
    assert main(["request", "show", "other.cer"]) == 6
    assert not [path for path in ("x", "y", "x.csr", "x.key", "x.pfx", "x.pem") if Path(path).exists()]
