"""Salt's own loader and `salt-call --local`: what they find, what a state does, and where no secret may stand."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mlsssl import CertificateAuthority

pytestmark = [
    # A folder of this name on the path, such as this one, is found without Salt too, but is no file.
    pytest.mark.skipif(getattr(find_spec("salt"), "origin", None) is None, reason="Salt is not installed"),
    pytest.mark.filterwarnings("default"),  # Salt's own
]

KEY = "0.0.0.0:443"
PASSWORD = "correct horse battery"
AUTHORITY = CertificateAuthority.create("Loader root", key="ec-p256")
LEAF = AUTHORITY.issue("www.example.com", key="ec-p256")


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    """The folder of a masterless minion's configuration, with pillar and states beside it."""
    settings = {
        "id": "web1",
        "root_dir": str(tmp_path / "root"),
        "file_client": "local",
        "log_level_logfile": "garbage",
        "log_file": str(tmp_path / "root" / "minion.log"),
        "file_roots": {"base": [str(tmp_path / "states")]},
        "pillar_roots": {"base": [str(tmp_path / "pillar")]},
        "cache_jobs": True,
        "mlsssl": {"machine": str(tmp_path / "machine.sqlite")},
    }
    LEAF.save(tmp_path / "www.pfx", password=PASSWORD)
    # Not in the pillar: a minion without master compiles it itself, and Salt logs what it compiles at level debug.
    (tmp_path / "password").write_text(PASSWORD)
    pillar = {
        "mlsssl": {"names": ["www.example.com"]},
        "root": AUTHORITY.certificate.to_pem().decode(),
    }
    state = {
        KEY: {
            "mlsssl.deployed": [
                {"file": str(tmp_path / "www.pfx")},
                {"password": f"file:{tmp_path / 'password'}"},
                {"options": {"tls12": False}},
            ]
        },
        "root": {"mlsssl.trusted": [{"pillar": "root"}]},
        "0.0.0.0:8443": {"mlsssl.absent": []},
    }
    for name, content in {
        "minion": settings,
        "pillar/top.sls": {"base": {"web1": ["web"]}},
        "pillar/web.sls": pillar,
        "states/web.sls": state,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")  # which is YAML too
    return tmp_path


def call(config: Path, *words: str) -> Any:
    """What `salt-call --local` returns; what it says on standard error where it returns nothing."""
    command = [str(Path(sys.executable).parent / "salt-call"), "-c", str(config), "--local", "--out=json", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert PASSWORD not in done.stdout + done.stderr
    return json.loads(done.stdout)["local"] if done.stdout else done.stderr


def test_the_loader_finds_functions_states_and_runners(config: Path) -> None:
    """By the entry point of the installed package; `mlsssl_ca` where policies are, and nothing that is not meant."""
    import salt.config
    import salt.loader

    options = salt.config.minion_config(str(config / "minion"))
    functions = salt.loader.minion_mods(options)
    found = {name for name in functions if name.startswith("mlsssl.")}
    assert {"mlsssl_root.look", "mlsssl_root.changeover"} <= {*functions}  # what `rotate_root` asks of a minion
    assert "mlsssl_ca.sign_request" not in functions
    from mlsssl.saltext.modules import mlsssl as module
    from mlsssl.saltext.states import mlsssl as states

    assert found == {f"mlsssl.{name}" for name in module.__load__}
    loaded = salt.loader.states(options, functions, salt.loader.utils(options), None)
    assert {name for name in loaded if name.startswith("mlsssl")} == {f"mlsssl.{name}" for name in states.__load__}
    options["mlsssl"]["policies"] = {"web": {}}
    functions = salt.loader.minion_mods(options)
    assert "mlsssl_ca.sign_request" in functions
    assert "refused" in functions["mlsssl_ca.sign_request"]("web", "PEM", __pub_id="web1")


def test_the_masters_runner_compiles_the_pillar_of_a_minion(config: Path, tmp_path: Path) -> None:
    """Anew, with what the master has; a minion that the pillar says nothing of has no names."""
    import salt.config
    import salt.loader

    (tmp_path / "master").write_text(
        json.dumps({"root_dir": str(tmp_path / "master-root"), "pillar_roots": {"base": [str(config / "pillar")]}})
    )
    options = salt.config.master_config(str(tmp_path / "master"))
    runners = salt.loader.runner(options)
    assert runners["mlsssl_ca.names"]("web1", "fqdn") == {"pillar": ["www.example.com"], "grain": []}
    assert runners["mlsssl_ca.names"]("web2") == {"pillar": [], "grain": []}


def test_states_by_salt_call_and_no_secret_anywhere(config: Path) -> None:
    """Planned, done, met; in everything that Salt has written, job cache and log of every level, no secret stands."""
    results = []
    for words in (["test=True"], [], []):
        found = call(config, "state.apply", "web", *words)
        results.append([(one["result"], bool(one["changes"])) for one in found.values()])
    assert results == [
        [(None, True), (None, True), (True, False)],
        [(True, True), (True, True), (True, False)],
        [(True, False), (True, False), (True, False)],
    ]
    bound = call(config, "mlsssl.bindings")
    assert [(one["key"], one["thumbprint"]) for one in bound] == [(KEY, str(LEAF.thumbprint))]
    wrong = call(config, "mlsssl.deploy", KEY, str(config / "www.pfx"), "password=file:/nowhere")
    assert "Error running 'mlsssl.deploy': " in wrong
    assert "/nowhere" in wrong
    key = LEAF.private_key_pem().decode().splitlines()[1]
    written = [path for path in (config / "root").rglob("*") if path.is_file()]
    assert len(written) > 1
    for path in written:
        data = path.read_bytes()
        assert PASSWORD.encode() not in data, path
        assert key.encode() not in data, path
