"""CurrentUser's Root, which no program changes: every public way into it is refused before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlsssl import CertificateAuthority, EmbeddedMachine, UnsupportedError
from mlsssl.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CA = CertificateAuthority.create("User's root", key="ec-p256")
MIDDLE = CA.create_intermediate("Below it", key="ec-p256")
LEAF = MIDDLE.issue("a.example")


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Iterator[EmbeddedMachine]:
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        yield machine


def everything(machine: EmbeddedMachine) -> list[tuple[str, int]]:
    """What the user's stores hold."""
    stores = [machine.store(name, location="CurrentUser") for name in machine.store_names("CurrentUser")]
    return [(store.name, len(list(store))) for store in stores]


def test_nothing_goes_into_the_users_root(machine: EmbeddedMachine) -> None:
    """Neither the store itself nor `trust_root` from beside it; and nothing of the chain went in before."""
    root = machine.store("Root", location="CurrentUser", create=True)
    my = machine.store("MY", location="CurrentUser", create=True)
    before = everything(machine)
    pfx = LEAF.to_pfx("secret")
    asked: list[Callable[[], object]] = [
        lambda: root.add(CA.certificate),
        lambda: root.add(LEAF),
        lambda: root.import_pfx(pfx, "secret"),
        lambda: my.add(LEAF, trust_root=True),
        lambda: my.import_pfx(pfx, "secret", trust_root=True),
        lambda: root.remove(CA.certificate.thumbprint),
    ]
    for ask in asked:
        with pytest.raises(UnsupportedError, match="dialog"):
            ask()
        assert everything(machine) == before


def test_the_machines_root_and_the_users_other_stores_take_it(machine: EmbeddedMachine) -> None:
    """The dialog is of that one store only."""
    assert machine.store("MY").add(LEAF, trust_root=True).has_private_key
    assert CA.certificate.thumbprint in machine.store("Root")
    assert machine.store("MY", location="CurrentUser", create=True).add(LEAF).has_private_key
    machine.store("Root").remove(CA.certificate.thumbprint)
    assert CA.certificate.thumbprint not in machine.store("Root")


def test_the_command_line_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused with a non-zero exit, not hung in a dialog."""
    file = tmp_path / "root.pem"
    CA.certificate.save(file)
    words = ["store", "add", str(file), "--store", "Root", "--location", "CurrentUser"]
    assert main([*words, "--machine", str(tmp_path / "machine.sqlite")]) != 0
    said = capsys.readouterr().err
    assert "dialog" in said
    assert "certutil -user -addstore Root" in said
