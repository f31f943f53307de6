"""In a folder where another account may make entries, nothing of that account is believed, followed or written to.

Another account takes root to become it, so these tests run where the suite runs as root, and are reported as skipped
elsewhere. Everything is done as in the field: the other account is a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlsssl import Binding, CertificateAuthority, EmbeddedMachine, cleanup, deploy, recover, renew
from mlsssl._changes.record import Change, ChangeRecords
from mlsssl._changes.superseded_file import SupersededFile
from mlsssl._embedded import database
from mlsssl.errors import AccessDeniedError, DeploymentError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if sys.platform == "win32" or os.geteuid() != 0:
    pytest.skip("NOT RUN: only root can become another account", allow_module_level=True)

if sys.platform != "win32":
    NOBODY = 65534
    KEY = "0.0.0.0:443"

    def as_nobody(script: str, *arguments: str | Path) -> None:
        """Run a line of shell as the other account."""
        subprocess.run(
            ["/bin/sh", "-c", f"umask 022; {script}", "sh", *map(str, arguments)],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            check=True,
            timeout=30,
        )

    @pytest.fixture
    def shared() -> Iterator[Path]:
        """A folder like /tmp: everybody makes entries, and removes only his own."""
        folder = Path(tempfile.mkdtemp(prefix="mlsssl-shared-", dir="/tmp"))
        folder.chmod(0o1777)
        yield folder
        shutil.rmtree(folder)

    @pytest.fixture
    def precious(tmp_path: Path) -> Path:
        """A file of root's that nobody else may read or write."""
        path = tmp_path / "precious"
        path.write_text("precious\n")
        path.chmod(0o600)
        return path

    @pytest.fixture(scope="module")
    def ca() -> CertificateAuthority:
        return CertificateAuthority.create("Other accounts", key="ec-p256")

    @pytest.fixture
    def machine(shared: Path, ca: CertificateAuthority) -> Iterator[EmbeddedMachine]:
        """Root's machine in the shared folder, with a binding."""
        machine = EmbeddedMachine(shared / "m.sqlite")
        deploy(KEY, ca.issue("a.test", key="ec-p256"), machine=machine, verify=False)
        yield machine
        machine.close()

    def refused(path: Path, call: Callable[[], object]) -> None:
        """It names the file and its owner, by name and number."""
        with pytest.raises(AccessDeniedError, match=rf"{path.name}.*uid {NOBODY}") as caught:
            call()
        assert str(path) in str(caught.value)
        assert caught.value.right == "owner"

    def given_away(path: Path) -> None:
        """As if the other account had made it."""
        os.chown(path, NOBODY, NOBODY)

    def test_a_machine_file_that_another_account_made_is_refused(shared: Path) -> None:
        """It could read every key that is put in: it made the file, and keeps it open."""
        path = shared / "m.sqlite"
        as_nobody('umask 077; : > "$1"', path)
        refused(path, lambda: EmbeddedMachine(path))
        assert path.read_bytes() == b""

    def test_an_account_finds_its_own_machine_and_roots(shared: Path) -> None:
        """The twin: the other account itself has no trouble with its own file, and is refused root's by the system."""
        path = shared / "m.sqlite"
        path.write_bytes(b"")
        given_away(path)
        path.chmod(0o600)
        script = """
            import os, sys
            from mlsssl._embedded.port import EmbeddedPort  # now: that account may not read it
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            EmbeddedPort(sys.argv[1]).state_folder  # made on first use
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(path)], check=True, timeout=60)
        assert path.with_name("m.sqlite.state").stat().st_uid == NOBODY

    def test_a_link_to_a_machine_that_another_account_made_is_not_followed(shared: Path, tmp_path: Path) -> None:
        """To root's own machine, which would be changed in another one's place; a link of root's own is followed."""
        EmbeddedMachine(tmp_path / "mine.sqlite").close()
        path = shared / "m.sqlite"
        as_nobody('ln -s "$2" "$1"', path, tmp_path / "mine.sqlite")
        refused(path, lambda: EmbeddedMachine(path))
        os.lchown(path, 0, 0)
        machine = EmbeddedMachine(path)
        assert machine.path == tmp_path / "mine.sqlite"
        machine.close()

    @pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
    @pytest.mark.parametrize("planted", [': > "$1"', 'ln -s "$2" "$1"', 'mkdir "$1"'])
    def test_what_lies_beside_a_machine_file_is_looked_at(
        shared: Path, precious: Path, suffix: str, planted: str
    ) -> None:
        """SQLite would play back, or write to, whatever lies there under the right name."""
        EmbeddedMachine(shared / "m.sqlite").close()
        companion = shared / f"m.sqlite{suffix}"
        as_nobody(planted, companion, precious)
        if planted.startswith("mkdir"):
            with pytest.raises(InvalidInputError, match=f"m.sqlite{suffix} is a folder"):
                EmbeddedMachine(shared / "m.sqlite")
            return
        refused(companion, lambda: EmbeddedMachine(shared / "m.sqlite"))
        assert precious.read_text() == "precious\n"

    @pytest.mark.parametrize("suffix", ["-wal", "-journal"])
    def test_sqlite_meets_nothing_that_was_put_there_in_the_last_moment(
        shared: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
    ) -> None:
        """The other account waits until everything was looked at; the names are taken by then."""
        path = shared / "m.sqlite"
        with closing(EmbeddedMachine(path)) as machine, machine.store("MY"):
            pass
        real = sqlite3.connect
        outcomes: list[bool] = []

        def connect(*arguments: object, **options: object) -> sqlite3.Connection:
            try:
                as_nobody('set -C; echo planted > "$1"', shared / f"m.sqlite{suffix}")
                outcomes.append(True)
            except subprocess.CalledProcessError:
                outcomes.append(False)
            return real(*arguments, **options)  # type: ignore[call-overload, no-any-return]

        monkeypatch.setattr(sqlite3, "connect", connect)
        for _ in range(2):
            with closing(EmbeddedMachine(path)) as machine:
                assert "MY" in machine.store_names()
        assert outcomes == [False, False]

    @pytest.mark.parametrize("suffix", ["-wal", "-shm"])
    def test_what_sqlite_has_opened_is_looked_at_once_more(
        shared: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
    ) -> None:
        """Before a new machine's first key is written to it."""
        companion = shared / f"m.sqlite{suffix}"
        real = database._do_steps

        def steps(*arguments: Any) -> None:
            real(*arguments)
            given_away(companion)  # as if it had been there first

        monkeypatch.setattr(database, "_do_steps", steps)
        refused(companion, lambda: EmbeddedMachine(shared / "m.sqlite"))

    def test_a_state_folder_that_another_account_made_is_refused(
        shared: Path, precious: Path, ca: CertificateAuthority
    ) -> None:
        """With a lock that is a link: root would write its process id over the file that it leads to."""
        state = shared / "m.sqlite.state"
        as_nobody('mkdir "$1" && ln -s "$2" "$1/change.lock"', state, precious)
        machine = EmbeddedMachine(shared / "m.sqlite")
        refused(state, lambda: deploy(KEY, ca.issue("a.test", key="ec-p256"), machine=machine, verify=False))
        assert precious.read_text() == "precious\n"
        assert Binding.all(machine=machine) == []
        machine.close()

    def test_a_planted_write_ahead_record_unbinds_nothing(shared: Path, ca: CertificateAuthority) -> None:
        """Taken back, it would remove the binding, the certificate and its key."""
        machine = EmbeddedMachine(shared / "m.sqlite")
        with machine.store("MY") as store:
            thumbprint = store.add(ca.issue("a.test", key="ec-p256")).thumbprint
        Binding(KEY, thumbprint, machine=machine, app_id="4dc3e181-e14b-4a21-b022-59fc669b0914").add()
        shutil.rmtree(shared / "m.sqlite.state", ignore_errors=True)
        record = Binding.get(KEY, machine=machine).record
        folder = shared / "elsewhere"
        folder.mkdir()
        ChangeRecords(folder).begin(Change("deploy", record.key, after=record))
        (made,) = folder.iterdir()
        data = json.loads(made.read_text()) | {"back": True}
        state = shared / "m.sqlite.state"
        as_nobody('mkdir -m 0777 "$1" && printf %s "$2" > "$3"', state, json.dumps(data), state / made.name)
        refused(state, lambda: recover(machine=machine))
        assert Binding.get(KEY, machine=machine).record == record
        assert len(machine.store("MY")) == 1
        machine.close()

    def test_each_file_in_the_state_folder_is_looked_at(
        machine: EmbeddedMachine, ca: CertificateAuthority, precious: Path
    ) -> None:
        """The folder may have been open once: what another account left in it then is still refused."""
        folder = machine.state_folder
        renew(KEY, ca, machine=machine, verify=False)
        (last,) = folder.glob("last-*.json")
        record = Binding.get(KEY, machine=machine).record
        ChangeRecords(folder).begin(Change("deploy", record.key, after=record))
        (pending,) = folder.glob("change-*.json")
        pending.unlink()

        def recovered() -> None:
            with pytest.raises(DeploymentError) as told:  # of one record, which is in no other's way
                recover(machine=machine)
            assert told.value.__cause__ is not None
            raise told.value.__cause__

        uses: dict[str, Callable[[], object]] = {
            pending.name: recovered,
            "change.lock": lambda: recover(machine=machine),
            last.name: lambda: ChangeRecords(folder).last(record.key),
            "superseded.jsonl": lambda: cleanup(machine=machine),
        }
        for name, use in uses.items():
            path = folder / name
            if name == pending.name:
                ChangeRecords(folder).begin(Change("deploy", record.key, after=record))
            given_away(path)
            refused(path, use)
            kept = path.read_bytes()
            path.unlink()
            path.symlink_to(precious)
            os.lchown(path, NOBODY, NOBODY)
            refused(path, use)
            path.unlink()
            assert precious.read_text() == "precious\n"
            path.write_bytes(kept)
            path.chmod(0o600)
            if name == pending.name:
                path.unlink()
        assert Binding.get(KEY, machine=machine).record == record
        assert SupersededFile(folder).read()  # ours again, and taken

    def test_an_audit_log_of_another_account_is_neither_followed_nor_written(
        machine: EmbeddedMachine, ca: CertificateAuthority, shared: Path, precious: Path
    ) -> None:
        """Refused before anything is changed; a file of our own beside it is written."""
        before = Binding.get(KEY, machine=machine).record
        certificate = ca.issue("b.test", key="ec-p256")
        linked, owned = shared / "linked.jsonl", shared / "owned.jsonl"
        as_nobody('ln -s "$3" "$1" && : > "$2"', linked, owned, precious)
        for path in (linked, owned):
            refused(path, partial(deploy, KEY, certificate, machine=machine, verify=False, audit_log=path))
        assert precious.read_text() == "precious\n"
        assert owned.read_bytes() == b""
        assert Binding.get(KEY, machine=machine).record == before
        deploy(KEY, certificate, machine=machine, verify=False, audit_log=shared / "mine.jsonl")
        assert (shared / "mine.jsonl").read_text().count("\n") == 1

    def test_an_audit_log_named_by_a_record_is_looked_at_too(
        machine: EmbeddedMachine, shared: Path, precious: Path
    ) -> None:
        """Recovery writes to the log that the record names, long after it was checked."""
        record = Binding.get(KEY, machine=machine).record
        log = shared / "log.jsonl"
        ChangeRecords(machine.state_folder).begin(
            Change("deploy", record.key, before=record, after=record, audit_log=log)
        )
        as_nobody('ln -s "$2" "$1"', log, precious)
        with pytest.raises(Exception, match=rf"log\.jsonl is a link \(of .*uid {NOBODY}"):
            recover(machine=machine)
        assert precious.read_text() == "precious\n"

    def test_saving_over_a_link_of_another_account_replaces_the_link(
        shared: Path, precious: Path, ca: CertificateAuthority
    ) -> None:
        """As for every file: a new one is renamed over what is there."""
        as_nobody('ln -s "$2" "$1"', shared / "out.pfx", precious)
        ca.issue("a.test", key="ec-p256").save(shared / "out.pfx", password="x")
        assert precious.read_text() == "precious\n"
        status = (shared / "out.pfx").lstat()
        assert (status.st_uid, status.st_mode & 0o777) == (0, 0o600)

    @pytest.mark.parametrize("mode", [0o660, 0o620, 0o604, 0o602])
    def test_a_machine_file_that_others_may_change_is_refused(shared: Path, mode: int) -> None:
        """The group may read it, for a service of its own; not write it."""
        path = shared / "m.sqlite"
        EmbeddedMachine(path).close()
        path.chmod(mode)
        with pytest.raises(AccessDeniedError, match="chmod 600") as caught:
            EmbeddedMachine(path)
        assert caught.value.right == "private file"
        path.chmod(0o640)
        EmbeddedMachine(path).close()
