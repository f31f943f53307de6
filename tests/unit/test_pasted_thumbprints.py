"""A thumbprint where a file, a store or a binding's key is due: said to be one, with what takes it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlsssl import (
    Binding,
    Certificate,
    CertificateAuthority,
    CertificateRequest,
    EmbeddedMachine,
    InvalidInputError,
    MlssslError,
    Store,
)
from mlsssl._machine import files
from mlsssl._windows.failures import ERROR_FILE_NOT_FOUND, crypto_failure
from mlsssl.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = "AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDDDDDDDDD"
PASTED = (
    PLAIN,
    "\u200eaa aa aa aa aa bb bb bb bb bb cc cc cc cc cc dd dd dd dd dd",  # out of Windows' dialog
    "AA:AA:AA:AA:AA:BB:BB:BB:BB:BB:CC:CC:CC:CC:CC:DD:DD:DD:DD:DD",  # out of OpenSSL
)
FOR_FILES = (
    *("show", "check", "explain", "pfx --out x.pfx --no-password", "store add", "store import", "store add-crl"),
    *("request show", "request sign --ca ca.pem --out x.pem", "request complete --key ca.pem --out x.pem"),
    *("revoke --acme https://acme.test/", "audit --from", "renew 0.0.0.0:443 --certificate", "check ca.pem --trust"),
    "issue a.test --out x.pem --ca",
)
TAKES_ONE = "'mlsssl store export MY --out FILE' writes them to a file, and 'mlsssl deploy' takes --thumbprint"
HAS_IT = "that is a thumbprint: Store.open('MY')[thumbprint].certificate has it"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority and a machine."""
    folder = tmp_path_factory.mktemp("pasted")
    CertificateAuthority.create("Pasted", key="ec-p256").save(folder / "ca.pem")
    EmbeddedMachine(folder / "m.sqlite").close()
    return folder


@pytest.fixture(autouse=True)
def _there(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("MLSSSL_MACHINE", "m.sqlite")


@pytest.mark.parametrize("pasted", PASTED)
@pytest.mark.parametrize("words", [*FOR_FILES, "store export --out x.pem", "store list --store"])
def test_a_command_that_takes_none(capsys: pytest.CaptureFixture[str], words: str, pasted: str) -> None:
    """It says that this is a thumbprint, and what has the certificate of one."""
    assert main([*words.split(), pasted]) in (2, 3)
    error = capsys.readouterr().err
    assert "; that is a thumbprint: 'mlsssl store list' shows a store's certificates" in error
    assert error.endswith(f"{TAKES_ONE}\n")


@pytest.mark.parametrize("pasted", PASTED)
def test_a_command_with_an_option_for_it(capsys: pytest.CaptureFixture[str], pasted: str) -> None:
    """That option, with the thumbprint as it is written there."""
    assert main(["deploy", "0.0.0.0:443", pasted]) == 3
    assert f"; a thumbprint is given as --thumbprint {PLAIN.lower()}\n" in capsys.readouterr().err


@pytest.mark.parametrize("pasted", PASTED)
@pytest.mark.parametrize("words", ["undo", "renew --ca ca.pem", "binding remove"])
def test_a_command_that_wants_a_key(capsys: pytest.CaptureFixture[str], words: str, pasted: str) -> None:
    """It says what a binding's key looks like."""
    assert main([*words.split(), pasted]) == 2
    assert "is a thumbprint; a binding is named by its key: '0.0.0.0:443'" in capsys.readouterr().err


@pytest.mark.parametrize("pasted", PASTED)
@pytest.mark.parametrize(
    "load",
    [
        Certificate.load,
        CertificateAuthority.load,
        CertificateRequest.load,
        lambda name: Store.open(name, machine=EmbeddedMachine("m.sqlite")),
        lambda name: Store.open("Root", machine=EmbeddedMachine("m.sqlite")).add_crl(name),
    ],
)
def test_the_library(load: Callable[[str], object], pasted: str) -> None:
    """In its own words."""
    with pytest.raises(MlssslError, match="that is a thumbprint") as caught:
        load(pasted)
    assert str(caught.value).endswith(HAS_IT)


def test_the_librarys_keys() -> None:
    """A binding is not found by its certificate's thumbprint."""
    with pytest.raises(InvalidInputError, match="is a thumbprint; a binding is named by its key"):
        Binding.get(PLAIN, machine=EmbeddedMachine("m.sqlite"))


def test_where_windows_says_something_else() -> None:
    """A name with colons can be none there; a store that is not there has a message of its own."""
    refused = files.unnamed("open", Path(PASTED[2]), OSError(errno.EINVAL, "Invalid argument"))
    assert str(refused).endswith(HAS_IT)
    missing = crypto_failure("CertOpenStore", ERROR_FILE_NOT_FOUND, store=f"LocalMachine\\{PLAIN}")
    assert str(missing).endswith(HAS_IT)


@pytest.mark.parametrize("name", ["nowhere.pem", "abc", "0" * 39, "0" * 64])
def test_a_name_that_is_none(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Nothing is said of thumbprints."""
    assert main(["show", name]) == 3
    assert capsys.readouterr().err == f"mlsssl: there is no file {name}\n"
