"""A systemd service and its timer: for all users as root, else for this user (which runs while the user lingers)."""

from __future__ import annotations

import os
from pathlib import Path

from mlsssl._commands.schedules import job as jobs
from mlsssl._machine import files
from mlsssl.errors import NotFoundError

_MARK = "# Made by: mlsssl schedule"


class Systemd:
    """Units in files of their own, `mlsssl-NAME.service` and `.timer`."""

    def __init__(self, folder: Path | None = None, program: str = "systemctl") -> None:
        everybody = hasattr(os, "geteuid") and os.geteuid() == 0
        self._systemctl = [program] if everybody else [program, "--user"]
        self._folder = folder or (Path("/etc/systemd/system") if everybody else _user_folder())

    def install(self, job: jobs.Job) -> str:
        """Write both units and start the timer."""
        service, timer = self._paths(job.name)
        for path in (service, timer):
            if self._read(path) is None and files.exists(path):
                raise jobs.refuse_stranger(str(path))
        with files.translated("mkdir", self._folder, right="write"):
            self._folder.mkdir(parents=True, exist_ok=True)
        files.write(service, service_unit(job).encode("utf-8", "surrogateescape"), private=False)
        files.write(timer, timer_unit(job).encode("ascii"), private=False)
        self._run("daemon-reload")
        self._run("enable", timer.name)
        self._run("restart", timer.name)
        return str(timer)

    def show(self, name: str) -> jobs.Installed | None:
        """The units, and when the timer says it fires next."""
        service, timer = self._paths(name)
        texts = [text for text in map(self._read, (service, timer)) if text is not None]
        if not texts:
            return None
        command = [*self._systemctl, "show", "--property=NextElapseUSecRealtime", "--value", timer.name]
        finished = jobs.run(command, may_fail=True)
        following = finished.output.decode("utf-8", "replace").strip() if finished.code == 0 else ""
        return jobs.Installed(where=str(timer), definition="\n".join(texts), next_run=following or None)

    def remove(self, name: str) -> str | None:
        """Stop the timer and delete the units; a renewal that runs just now ends by itself."""
        service, timer = self._paths(name)
        there = [path for path in (timer, service) if self._read(path) is not None]
        if not there:
            return None
        if timer in there:
            self._run("disable", "--now", timer.name)
        for path in there:
            files.remove(path)
        self._run("daemon-reload")
        return str(timer)

    def _run(self, *words: str) -> None:
        jobs.run([*self._systemctl, *words])

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self._folder / f"mlsssl-{name}.service", self._folder / f"mlsssl-{name}.timer"

    @staticmethod
    def _read(path: Path) -> str | None:
        """The unit's text if it is one of ours."""
        if not files.is_file(path):
            return None
        text = files.read(path, limit=1024 * 1024).decode("utf-8", "replace")
        return text if text.startswith(_MARK) else None


def service_unit(job: jobs.Job) -> str:
    """The service (systemd.service, systemd.exec): one run, again after a quarter of an hour when it failed."""
    # 10: nothing was due; 13: an issuer has no answer yet. Neither is a failure, and the timer comes again.
    return f"""{_MARK}
[Unit]
Description={job.title}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=2h
StartLimitBurst=4

[Service]
Type=oneshot
WorkingDirectory={str(job.folder).replace("%", "%%")}
ExecStart={" ".join(map(_quoted, job.command))}
SuccessExitStatus=10 13
Restart=on-failure
RestartSec=15min
"""


def timer_unit(job: jobs.Job) -> str:
    """The timer (systemd.timer, systemd.time); a run that was missed while the computer was off is made up for."""
    times = "\n".join(f"OnCalendar=*-*-* {hour:02}:{minute:02}:00" for hour, minute in job.times)
    return f"""{_MARK}
[Unit]
Description={job.title}

[Timer]
{times}
Persistent=true

[Install]
WantedBy=timers.target
"""


def _quoted(word: str) -> str:
    r"""A word as systemd reads it (systemd.service, "COMMAND LINES"): quoted, and `\`, `%` and `$` doubled."""
    doubled = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{doubled}"'


def is_running() -> bool:
    """Whether this system was started by systemd (sd_booted(3))."""
    return files.is_folder(Path("/run/systemd/system"))


def _user_folder() -> Path:
    configured = Path(os.environ.get("XDG_CONFIG_HOME") or "")
    try:
        return (configured if configured.is_absolute() else Path.home() / ".config") / "systemd" / "user"
    except RuntimeError:  # what Path.home says for a user whom the system does not list
        raise NotFoundError("this user has no home folder, which systemd's units of a user are in: set HOME") from None
