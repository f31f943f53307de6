r"""A task in the folder `\mlsssl` of Windows' Task Scheduler, which runs as SYSTEM."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

from mlsssl._commands.schedules import job as jobs
from mlsssl._formats.text import decode_unicode

_NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_SOURCE = "mlsssl schedule"
_SYSTEM = "S-1-5-18"


class TaskScheduler:
    """By `schtasks` (Microsoft Learn), with the task as XML of the Task Scheduler schema."""

    def __init__(self, program: str | None = None) -> None:
        system = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32"
        self._program = program or str(system / "schtasks.exe")

    def install(self, job: jobs.Job) -> str:
        """Create the task, or replace it."""
        name = _task(job.name)
        if self._query(job.name) is not None and self.show(job.name) is None:
            raise jobs.refuse_stranger(f"the task {name}")
        with tempfile.TemporaryDirectory(prefix="mlsssl-", ignore_cleanup_errors=True) as folder:
            file = Path(folder) / "task.xml"
            file.write_bytes(definition(job))
            jobs.run([self._program, "/Create", "/TN", name, "/XML", str(file), "/F"])
        return f"the task {name}"

    def show(self, name: str) -> jobs.Installed | None:
        """The task's XML, and when Windows says it runs next (in the words of its language)."""
        text = self._query(name)
        if text is None or not _is_ours(text):
            return None
        finished = jobs.run([self._program, "/Query", "/TN", _task(name), "/FO", "CSV", "/NH"], may_fail=True)
        # TaskName, Next Run Time, Status (schtasks /query): the columns' names are of the system's language.
        rows = [row for row in csv.reader(io.StringIO(finished.output.decode("utf-8", "replace"))) if len(row) >= 3]
        return jobs.Installed(
            where=f"the task {_task(name)}",
            definition=text,
            next_run=rows[0][1] if finished.code == 0 and rows else None,
        )

    def remove(self, name: str) -> str | None:
        """Delete the task."""
        if self.show(name) is None:
            return None
        jobs.run([self._program, "/Delete", "/TN", _task(name), "/F"])
        return f"the task {_task(name)}"

    def _query(self, name: str) -> str | None:
        """The XML of a task, whoever made it; None without."""
        finished = jobs.run([self._program, "/Query", "/TN", _task(name), "/XML"], may_fail=True)
        if finished.code != 0:
            return None  # 1 for a task that is not there, and for all else; what follows would fail with its reason
        return decode_unicode(finished.output) or finished.output.decode("cp1252", "replace")


def _task(name: str) -> str:
    return f"\\mlsssl\\{name}"


def _is_ours(text: str) -> bool:
    try:
        # Its declaration says UTF-16, which was right in the file; a text that is decoded must not have one.
        root = ET.fromstring(text[text.index("<Task") :])  # noqa: S314 -- the system's own, by an administrator
    except (ValueError, ET.ParseError):
        return False
    return root.findtext(f"{{{_NAMESPACE}}}RegistrationInfo/{{{_NAMESPACE}}}Source") == _SOURCE


def definition(job: jobs.Job) -> bytes:
    """The task as the Task Scheduler schema (Microsoft Learn, "Task Scheduler Schema") has it, UTF-16 with its mark.

    A run that was missed is made up for (StartWhenAvailable); two never run side by side.
    """
    hour, minute = job.times[0]
    parts: dict[str, object] = {
        "RegistrationInfo": {"Source": _SOURCE, "Description": job.title},
        "Triggers": {
            "CalendarTrigger": {
                # The order of triggerBaseType and calendarTriggerType, which are sequences.
                "Enabled": "true",
                "StartBoundary": f"2026-01-01T{hour:02}:{minute:02}:00",  # without a zone: by the clock on the wall
                **({} if job.every == 24 else {"Repetition": {"Interval": f"PT{job.every}H", "Duration": "P1D"}}),
                "ScheduleByDay": {"DaysInterval": "1"},
            }
        },
        "Principals": {"Principal": {"UserId": _SYSTEM, "RunLevel": "HighestAvailable"}},
        "Settings": {
            "MultipleInstancesPolicy": "IgnoreNew",
            "DisallowStartIfOnBatteries": "false",
            "StopIfGoingOnBatteries": "false",
            "StartWhenAvailable": "true",
            "ExecutionTimeLimit": "PT2H",
            "RestartOnFailure": {"Interval": "PT15M", "Count": "3"},
        },
        "Actions": {
            "Exec": {
                "Command": job.command[0],
                "Arguments": subprocess.list2cmdline(job.command[1:]),
                "WorkingDirectory": str(job.folder),
            }
        },
    }
    root = ET.Element("Task", {"version": "1.2", "xmlns": _NAMESPACE})
    _add(root, parts)
    principal, actions = root.find("Principals/Principal"), root.find("Actions")
    assert principal is not None
    assert actions is not None
    principal.set("id", "Author")
    actions.set("Context", "Author")
    ET.indent(root)
    text = '<?xml version="1.0" encoding="UTF-16"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
    return text.encode("utf-16")


def _add(parent: ET.Element, parts: dict[str, object]) -> None:
    for name, value in parts.items():
        child = ET.SubElement(parent, name)
        if isinstance(value, dict):
            _add(child, value)
        else:
            child.text = str(value)
