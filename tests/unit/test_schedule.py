"""`mlsssl schedule`: the units, the crontab and the task, by their own programs or stand-ins for them."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from mlsssl import (
    CertificateAuthority,
    ExistsError,
    InvalidInputError,
    MalformedDataError,
    MlssslError,
    NativeError,
    NotFoundError,
)
from mlsssl._commands import schedule
from mlsssl._commands.schedules import systemd, task_scheduler
from mlsssl._commands.schedules.crontab import Crontab
from mlsssl._commands.schedules.job import HOURS, Job
from mlsssl._commands.schedules.systemd import Systemd
from mlsssl._commands.schedules.task_scheduler import TaskScheduler
from mlsssl.cli import main

if TYPE_CHECKING:
    from mlsssl._commands.schedules.job import Scheduler

needs_scripts = pytest.mark.skipif(sys.platform == "win32", reason="a script cannot stand in for a program there")


def job(name: str = "renew", *words: str, every: int = 6, folder: str = "/srv/my site") -> Job:
    """A job, with arguments that each scheduler has to quote."""
    command = (sys.executable, "-m", "mlsssl", "renew", "--all", "--due", *words)
    return Job(name=name, command=command, folder=Path(folder), every=every)


def stand_in(folder: Path, text: str) -> str:
    """A Python program under a name of its own."""
    path = folder / "program"
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(text)}", encoding="utf-8")
    path.chmod(0o700)
    return str(path)


class TestTheTimes:
    @pytest.mark.parametrize("every", HOURS)
    def test_a_day_has_the_same_number_of_runs_everywhere(self, every: int) -> None:
        """At the same minute of the hour, within the day."""
        times = job(every=every).times
        assert len(times) == 24 // every
        assert times == sorted(times)
        assert {hour * 60 + minute for hour, minute in times} <= set(range(24 * 60))
        assert len({minute for _, minute in times}) == 1

    def test_each_computer_has_its_own_and_keeps_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a hundred computers hardly two come at once; and each always at the same time."""
        minutes = []
        for number in range(100):
            monkeypatch.setattr(platform, "node", lambda number=number: f"host{number}")
            minutes.append(job().minute)
            assert job().minute == minutes[-1]
        assert len(set(minutes)) > 70
        assert job("other").minute != job("renew").minute

    @pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "a" * 65, "ä", "a\n"])
    def test_names_that_a_scheduler_could_not_take_are_refused(self, name: str) -> None:
        """And so are line breaks, which would begin another line of a crontab or unit."""
        with pytest.raises(InvalidInputError):
            job(name)
        with pytest.raises(InvalidInputError):
            job("renew", "--audit-log", "a\nb")


@needs_scripts
class TestCrontab:
    CRONTAB = """
        import sys
        from pathlib import Path
        file = Path(__file__).with_name("table")
        if sys.argv[1:] == ["-l"]:
            if not file.exists():
                sys.exit("no crontab for root")
            sys.stdout.buffer.write(file.read_bytes())
        else:
            assert sys.argv[1:] == ["-"]
            file.write_bytes(sys.stdin.buffer.read())
    """
    OTHERS = b"# mine\n\n5 4 * * * /usr/bin/backup --all \xff\n@reboot x"

    def test_it_stands_between_marks_and_the_rest_stays(self, tmp_path: Path) -> None:
        """Put in twice it is there once; taken out, the file is as it was, but for a line end at its end."""
        (tmp_path / "table").write_bytes(self.OTHERS)
        crontab = Crontab(stand_in(tmp_path, self.CRONTAB))
        crontab.install(job())
        once = (tmp_path / "table").read_bytes()
        assert once.startswith(self.OTHERS + b"\n# BEGIN mlsssl schedule renew\n")
        crontab.install(job())
        assert (tmp_path / "table").read_bytes() == once
        crontab.install(job(every=12))
        changed = (tmp_path / "table").read_bytes()
        assert changed != once
        assert changed.count(b"BEGIN") == 1
        crontab.install(job("other"))
        assert crontab.remove("renew")
        assert crontab.remove("renew") is None
        assert b"mlsssl schedule other" in (tmp_path / "table").read_bytes()
        crontab.remove("other")
        assert (tmp_path / "table").read_bytes() == self.OTHERS + b"\n"

    def test_without_a_crontab_one_is_made(self, tmp_path: Path) -> None:
        """And nothing is shown or removed before."""
        crontab = Crontab(stand_in(tmp_path, self.CRONTAB))
        assert crontab.show("renew") is None
        assert crontab.remove("renew") is None
        assert not (tmp_path / "table").exists()
        crontab.install(job())
        shown = crontab.show("renew")
        assert shown is not None
        assert shown.definition == (tmp_path / "table").read_text(encoding="utf-8")

    def test_the_line_is_what_cron_and_its_shell_read_as_meant(self, tmp_path: Path) -> None:
        """Five fields, then a command: once cron has read its escapes, a POSIX shell splits it into our words."""
        crontab = Crontab(stand_in(tmp_path, self.CRONTAB))
        awkward = job("renew", "--audit-log", "100% $HOME 'x'.jsonl", every=12)
        crontab.install(awkward)
        line = (tmp_path / "table").read_text(encoding="utf-8").splitlines()[1]
        *fields, command = line.split(" ", 5)
        assert fields == [str(awkward.times[0][1]), f"{awkward.times[0][0]},{awkward.times[1][0]}", "*", "*", "*"]
        assert "%" not in command.replace("\\%", "")
        words = shlex.split(command.replace("\\%", "%"))
        assert words == ["cd", "/srv/my site", "&&", *awkward.command, "2>&1", "|", "logger", "-t", "mlsssl-renew"]

    @pytest.mark.parametrize(
        "table",
        [b"# BEGIN mlsssl schedule renew\nx\n", b"# END mlsssl schedule renew\n# BEGIN mlsssl schedule renew\n"],
    )
    def test_a_mark_that_is_missing_is_for_a_person(self, tmp_path: Path, table: bytes) -> None:
        """Nobody can say where our lines end; nothing is written."""
        (tmp_path / "table").write_bytes(table)
        crontab = Crontab(stand_in(tmp_path, self.CRONTAB))
        with pytest.raises(MalformedDataError, match="put that right"):
            crontab.install(job())
        with pytest.raises(MalformedDataError, match="put that right"):
            crontab.remove("renew")
        assert (tmp_path / "table").read_bytes() == table

    def test_a_crontab_that_cannot_be_read_is_not_taken_for_an_empty_one(self, tmp_path: Path) -> None:
        """Or all that is in it would be lost."""
        crontab = Crontab(stand_in(tmp_path, "import sys; sys.exit('you are not allowed to use this program')"))
        with pytest.raises(NativeError, match="you are not allowed"):
            crontab.install(job())


@needs_scripts
class TestSystemd:
    SYSTEMCTL = """
        import sys
        from pathlib import Path
        with open(Path(__file__).with_name("calls"), "a") as file:
            file.write(" ".join(word for word in sys.argv[1:] if word != "--user") + "\\n")
        if "show" in sys.argv:
            print("Mon 2026-11-30 03:12:00 UTC")
    """

    @pytest.fixture(name="there")
    def _there(self, tmp_path: Path) -> tuple[Systemd, Path, Path]:
        units = tmp_path / "units"
        return Systemd(units, stand_in(tmp_path, self.SYSTEMCTL)), units, tmp_path / "calls"

    def test_both_units_are_written_and_the_timer_is_started(self, there: tuple[Systemd, Path, Path]) -> None:
        """Shown with the next run; removed with both files, and only once."""
        scheduler, units, calls = there
        assert scheduler.show("renew") is None
        scheduler.install(job())
        scheduler.install(job())
        assert {one.name for one in units.iterdir()} == {"mlsssl-renew.service", "mlsssl-renew.timer"}
        words = ["daemon-reload", "enable mlsssl-renew.timer", "restart mlsssl-renew.timer"]
        assert calls.read_text(encoding="utf-8").splitlines() == words * 2
        shown = scheduler.show("renew")
        assert shown is not None
        assert shown.next_run == "Mon 2026-11-30 03:12:00 UTC"
        assert "ExecStart=" in shown.definition
        assert scheduler.remove("renew")
        assert [*units.iterdir()] == []
        assert "disable --now mlsssl-renew.timer" in calls.read_text(encoding="utf-8")
        assert scheduler.remove("renew") is None

    def test_a_unit_of_somebody_else_is_left_alone(self, there: tuple[Systemd, Path, Path]) -> None:
        """Neither replaced nor removed."""
        scheduler, units, _ = there
        units.mkdir()
        (units / "mlsssl-renew.timer").write_text("[Timer]\n", encoding="utf-8")
        with pytest.raises(ExistsError, match="has not made it"):
            scheduler.install(job())
        assert scheduler.show("renew") is None
        assert scheduler.remove("renew") is None
        assert (units / "mlsssl-renew.timer").read_text(encoding="utf-8") == "[Timer]\n"
        assert not (units / "mlsssl-renew.service").exists()

    def test_a_folder_that_cannot_be_made_is_an_error_of_ours(self, there: tuple[Systemd, Path, Path]) -> None:
        """A file is in its place, or in the place of what it should be in; nothing is started."""
        scheduler, units, calls = there
        units.write_text("")
        with pytest.raises(MlssslError, match="units"):
            scheduler.install(job())
        with pytest.raises(MlssslError, match="units"):
            Systemd(units / "user", scheduler._systemctl[0]).install(job())
        assert not calls.exists()

    def test_a_user_without_a_home_is_an_error_of_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whom the system does not list, as in a container; with XDG_CONFIG_HOME it needs none."""

        def no_home() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", no_home)
        monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        with pytest.raises(NotFoundError, match="set HOME"):
            Systemd()
        monkeypatch.setenv("XDG_CONFIG_HOME", str(Path.cwd()))
        Systemd()

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
    @pytest.mark.parametrize("every", HOURS)
    def test_systemd_itself_finds_nothing_to_complain_of(self, tmp_path: Path, every: int) -> None:
        """With arguments that have to be quoted; and a unit with a fault is noticed, so silence means something."""
        made = job("renew", "--audit-log", '100% $HOME "x" \\y.jsonl', every=every, folder=str(tmp_path))
        (tmp_path / "mlsssl-renew.service").write_text(systemd.service_unit(made), encoding="utf-8")
        (tmp_path / "mlsssl-renew.timer").write_text(systemd.timer_unit(made), encoding="utf-8")
        assert self.verified(tmp_path) == (0, "")
        (tmp_path / "mlsssl-renew.service").write_text(
            systemd.service_unit(made).replace("[Service]", "[Service]\nNonsense=yes"), encoding="utf-8"
        )
        assert "Nonsense" in self.verified(tmp_path)[1]

    @staticmethod
    def verified(folder: Path) -> tuple[int, str]:
        """What `systemd-analyze verify` says of the units in a folder, without what it says of all others."""
        units = [str(folder / f"mlsssl-renew.{kind}") for kind in ("service", "timer")]
        command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return ended.returncode, "\n".join(line for line in ended.stderr.splitlines() if "mlsssl-renew" in line)

    def test_what_is_no_failure_is_none_there_either(self) -> None:
        """Nothing due, no answer yet; all else is tried again."""
        text = systemd.service_unit(job())
        assert "SuccessExitStatus=10 13\n" in text
        assert "Restart=on-failure\n" in text


# The Task Scheduler schema (Microsoft Learn): a sequence is in this order, of an `all` any order will do.
SEQUENCES = {
    "CalendarTrigger": [
        *("Enabled", "StartBoundary", "EndBoundary", "Repetition", "ExecutionTimeLimit"),
        *("RandomDelay", "ScheduleByDay"),
    ],
    "Repetition": ["Interval", "Duration", "StopAtDurationEnd"],
    "RestartOnFailure": ["Interval", "Count"],
}
ALL = {
    "Task": {"RegistrationInfo", "Triggers", "Settings", "Data", "Principals", "Actions"},
    "RegistrationInfo": {"Date", "Author", "Version", "Description", "URI", "SecurityDescriptor", "Source"},
    "Triggers": {"CalendarTrigger", "TimeTrigger"},
    "ScheduleByDay": {"DaysInterval"},
    "Principals": {"Principal"},
    "Principal": {"UserId", "LogonType", "GroupId", "DisplayName", "RunLevel"},
    "Settings": {
        *("AllowStartOnDemand", "RestartOnFailure", "MultipleInstancesPolicy", "DisallowStartIfOnBatteries"),
        *("StopIfGoingOnBatteries", "AllowHardTerminate", "StartWhenAvailable", "Enabled", "Hidden", "Priority"),
        *("ExecutionTimeLimit", "WakeToRun", "IdleSettings", "RunOnlyIfIdle", "DeleteExpiredTaskAfter"),
    },
    "Actions": {"Exec"},
    "Exec": {"Command", "Arguments", "WorkingDirectory"},
}
NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def schema_faults(root: ET.Element) -> list[str]:
    """What the schema has against a task."""
    found = [] if root.tag == f"{NAMESPACE}Task" else ["the root"]
    for element in root.iter():
        name, children = element.tag.removeprefix(NAMESPACE), [one.tag.removeprefix(NAMESPACE) for one in element]
        if name in SEQUENCES:
            order = SEQUENCES[name]
            if any(child not in order for child in children) or children != sorted(children, key=order.index):
                found.append(f"{name}: {children}")
        elif name in ALL:
            if not set(children) <= ALL[name] or (len(children) != len(set(children)) and name != "Triggers"):
                found.append(f"{name}: {children}")
        elif children:
            found.append(f"{name} is not known")
    ids = {one.get("id") for one in root.iter(f"{NAMESPACE}Principal")}
    found += [
        f"Context {one.get('Context')}" for one in root.iter(f"{NAMESPACE}Actions") if one.get("Context") not in ids
    ]
    return found


class TestTaskScheduler:
    @pytest.mark.parametrize("every", HOURS)
    def test_the_task_is_what_the_schema_allows(self, every: int) -> None:
        """UTF-16 with its mark, as its declaration says; as SYSTEM, each day, and again within the day."""
        data = task_scheduler.definition(job(every=every))
        assert data[:2] in (b"\xff\xfe", b"\xfe\xff")
        root = ET.fromstring(data)
        assert schema_faults(root) == []
        text = {element.tag.removeprefix(NAMESPACE): element.text for element in root.iter()}
        assert text["UserId"] == "S-1-5-18"
        assert text["StartWhenAvailable"] == "true"
        assert (text.get("Interval"), "Repetition" in text) == ("PT15M", every != 24)
        assert text["Command"] == sys.executable
        assert text["WorkingDirectory"] == str(Path("/srv/my site"))

    def test_a_fault_of_order_or_name_is_noticed(self) -> None:
        """The check can fail."""
        for old, new in (
            ("<Enabled>true</Enabled>", ""),
            ("<ScheduleByDay>", "<Sometimes/><ScheduleByDay>"),
            ('Context="Author"', 'Context="Nobody"'),
            ("<Settings>", "<Settings><Colour/>"),
        ):
            text = task_scheduler.definition(job()).decode("utf-16").replace(old, new, 1)
            if old.startswith("<Enabled"):
                text = text.replace("<ScheduleByDay>", f"{old}<ScheduleByDay>")
            assert schema_faults(ET.fromstring(text.encode("utf-16"))), new

    def test_arguments_are_quoted_by_windows_rules(self) -> None:
        """What CommandLineToArgvW takes apart: quotes, blanks, a backslash before a quote, an ampersand in XML."""
        data = task_scheduler.definition(job("renew", "--audit-log", 'C:\\a b\\ & "c".jsonl'))
        arguments = ET.fromstring(data).findtext(f".//{NAMESPACE}Arguments")
        assert arguments == '-m mlsssl renew --all --due --audit-log "C:\\a b\\ & \\"c\\".jsonl"'

    SCHTASKS = """
        import sys
        from pathlib import Path
        file = Path(__file__).with_name("task.xml")
        words = sys.argv[1:]
        with open(Path(__file__).with_name("calls"), "a") as calls:
            calls.write(" ".join(words[:1] + [word for word in words[3:] if not word.endswith(".xml")]) + "\\n")
        assert words[1:3] == ["/TN", "\\\\mlsssl\\\\renew"]
        if words[0] == "/Create":
            file.write_bytes(Path(words[4]).read_bytes())
        elif not file.exists():
            sys.exit("ERROR: The system cannot find the file specified.")
        elif words[0] == "/Delete":
            file.unlink()
        elif "/XML" in words:
            sys.stdout.buffer.write(file.read_bytes().decode("utf-16").encode("cp1252"))
        else:
            print('"\\\\mlsssl\\\\renew","30.11.2026 03:12:00","Bereit"')
    """

    @needs_scripts
    def test_it_is_created_shown_replaced_and_deleted(self, tmp_path: Path) -> None:
        """By schtasks, which answers in the code page of the console and in its own language."""
        scheduler = TaskScheduler(stand_in(tmp_path, self.SCHTASKS))
        assert scheduler.show("renew") is None
        assert scheduler.remove("renew") is None
        scheduler.install(job())
        scheduler.install(job(every=12))
        shown = scheduler.show("renew")
        assert shown is not None
        assert shown.next_run == "30.11.2026 03:12:00"
        assert "PT12H" in shown.definition
        assert scheduler.remove("renew") == "the task \\mlsssl\\renew"
        calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
        assert calls.count("/Create /XML /F") == 2
        assert calls[-1] == "/Delete /F"

    @needs_scripts
    def test_a_task_of_somebody_else_is_left_alone(self, tmp_path: Path) -> None:
        """Neither replaced nor deleted."""
        scheduler = TaskScheduler(stand_in(tmp_path, self.SCHTASKS))
        foreign = task_scheduler.definition(job()).decode("utf-16").replace("mlsssl schedule<", "Somebody<")
        (tmp_path / "task.xml").write_bytes(foreign.encode("utf-16"))
        with pytest.raises(ExistsError, match="has not made it"):
            scheduler.install(job())
        assert scheduler.remove("renew") is None
        assert (tmp_path / "task.xml").exists()

    @needs_scripts
    def test_what_windows_refuses_is_told(self, tmp_path: Path) -> None:
        """An elevated process is needed, say."""
        scheduler = TaskScheduler(stand_in(tmp_path, "import sys; sys.exit('ERROR: Access is denied.')"))
        with pytest.raises(NativeError, match="Access is denied"):
            scheduler.install(job())


class TestTheCommand:
    RENEW = ("renew", "--all", "--due", "--ca", "ca.pfx", "--ca-password", "file:pw")
    ACME = (*RENEW[:3], "--acme", "https://ca.example/dir", "--acme-webroot", ".", "--acme-eab-id", "x")

    @pytest.fixture(name="place")
    def _place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("MLSSSL_MACHINE", raising=False)
        (tmp_path / "pw").write_text("hunter-22\n", encoding="utf-8")
        ca = CertificateAuthority.create("Schedule", key="ec-p256")
        ca.save("ca.pfx", password="hunter-22")
        ca.save("plain.pem", no_password=True)
        return tmp_path

    @pytest.fixture(name="units")
    def _units(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        if sys.platform == "win32":
            pytest.skip("a script cannot stand in for a program there")
        scheduler: Scheduler = Systemd(place / "units", stand_in(place, TestSystemd.SYSTEMCTL))
        monkeypatch.setattr(schedule, "_scheduler", lambda _: scheduler)
        return place / "units"

    def test_install_show_remove(self, place: Path, units: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The command runs by the whole path of this interpreter, in this folder, with no secret in it."""
        assert main(["schedule", "install", "--every", "12", *self.RENEW]) == 0
        assert "scheduled in" in capsys.readouterr().out
        text = (units / "mlsssl-renew.service").read_text(encoding="utf-8")
        assert f'ExecStart="{sys.executable}" "-m" "mlsssl" "renew" "--all"' in text
        assert f"WorkingDirectory={place}\n" in text
        assert "hunter-22" not in text
        assert main(["schedule", "show", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["next_run"].startswith("Mon 2026")
        assert main(["schedule", "remove"]) == 0
        assert main(["schedule", "remove"]) == 3
        assert main(["schedule", "show"]) == 3
        assert "nothing is scheduled" in capsys.readouterr().err

    def test_the_machine_of_the_environment_is_named(
        self, place: Path, units: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The scheduler's process has not this environment."""
        monkeypatch.setenv("MLSSSL_MACHINE", "machine.sqlite")
        assert main(["schedule", "install", "--", "renew", "--all", "--due", "--ca", "plain.pem"]) == 0
        text = (units / "mlsssl-renew.service").read_text(encoding="utf-8")
        assert f'"--machine" "{place / "machine.sqlite"}"' in text

    @pytest.mark.parametrize("kept", ["acme", "adcs"])
    def test_what_was_kept_for_this_user_is_found_by_the_schedulers(
        self, place: Path, units: Path, monkeypatch: pytest.MonkeyPatch, kept: str
    ) -> None:
        """Whose environment is another one: the machine, the ACME account, the requests that are pending."""
        monkeypatch.delenv("MLSSSL_MACHINE", raising=False)
        monkeypatch.setenv("XDG_DATA_HOME", str(place / "data"))
        monkeypatch.setenv("PATH", f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}")
        (place / "bin").mkdir()
        (place / "bin" / "certreq").write_text("#!/bin/sh\n", encoding="utf-8")
        (place / "bin" / "certreq").chmod(0o755)
        issuers = {
            "acme": ["--acme", "https://ca.example/dir", "--acme-webroot", "."],
            "adcs": ["--adcs", "host\\CA"],
        }
        assert main(["schedule", "install", "renew", "--all", "--due", *issuers[kept]]) == 0
        text = (units / "mlsssl-renew.service").read_text(encoding="utf-8")
        assert f'"--machine" "{place}/data/mlsssl/machine.sqlite" "--{kept}-state" "{place}/data/mlsssl/{kept}"' in text
        assert main(["schedule", "install", "renew", "--all", "--due", *issuers[kept], f"--{kept}-state", "mine"]) == 0
        assert "data/mlsssl/" + kept not in (units / "mlsssl-renew.service").read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([], "takes a renew command"),
            (["deploy", "0.0.0.0:443", "x.pfx"], "takes a renew command"),
            (["renew", "--al"], "is no renew command"),
            (["renew", "--all", "--ca", "ca.pfx"], "renew with --due"),
            ([*RENEW, "--plan"], "without --plan"),
            ([*RENEW, "--watch"], "never ends"),
            ([*RENEW[:-1], "env:PW"], "--ca-password is to be file:PATH"),
            ([*RENEW[:-1], "hunter-22"], "--ca-password is to be file:PATH"),
            (RENEW[:-2], "--ca-password file:PATH says it"),
            ([*RENEW, "--after", "pfx=a.pfx", "--after-password", "env:PW"], "--after-password is to be file:PATH"),
            ([*RENEW, "--after", 'x "'], "do not match"),
            ([*ACME, "--acme-eab-key", "env:PW"], "--acme-eab-key is to be file:PATH"),
            ([*ACME, "--acme-eab-key", "stdin"], "--acme-eab-key is to be file:PATH"),
            (ACME, "belong together"),
            (RENEW[:3], "names an issuer: --ca"),
            ([*RENEW[:3], "--acme", "letsencrypt"], "needs a way to show control"),
            ([*RENEW, "--audit-log", "a\nb"], "line break"),
        ],
    )
    def test_what_could_not_run_at_night_is_refused_now(
        self, units: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
    ) -> None:
        """Exit code 2; nothing is written, and no password shown."""
        assert main(["schedule", "install", *words]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert "hunter-22" not in error
        assert not units.exists()

    def test_a_wrong_password_and_a_missing_file_are_said_now(
        self, place: Path, units: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With the codes that they always have."""
        (place / "pw").write_text("wrong\n", encoding="utf-8")
        assert main(["schedule", "install", *self.RENEW]) == 6
        assert main(["schedule", "install", "renew", "--all", "--due", "--ca", "absent.pem"]) == 3
        assert main(["schedule", "install", "--name", "../x", "renew", "--all", "--due", "--ca", "plain.pem"]) == 2
        assert not units.exists()

    def test_another_systems_scheduler_is_refused(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 7."""
        other = "systemd" if sys.platform == "win32" else "task"
        assert main(["schedule", "show", "--system", other]) == 7
        assert "is not of this operating system" in capsys.readouterr().err
