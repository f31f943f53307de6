"""What a benchmark has measured, as a line of JSON in the file that `MLSSSL_BENCHMARK_RESULTS` names, if it does.

docs/performance.py makes a table of those lines.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import re
import shutil
import sqlite3
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

VARIABLE = "MLSSSL_BENCHMARK_RESULTS"


def write(figures: list[dict[str, Any]]) -> None:
    """Add the figures of the script that runs, with the day, the machine and the versions."""
    if VARIABLE not in os.environ:
        return
    today = dt.datetime.now(dt.timezone.utc).date().isoformat()
    line = {"benchmark": Path(sys.argv[0]).stem, "day": today, "on": surroundings(), "figures": figures}
    with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of such a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def surroundings() -> dict[str, str]:
    """The machine and the versions that figures depend on, each with its name."""
    import cryptography
    from cryptography.hazmat.backends.openssl import backend

    found = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": _system(),
        "Python": platform.python_version(),
        "cryptography": f"{cryptography.__version__} with OpenSSL {_number(backend.openssl_version_text())}",
        "Python's OpenSSL": _number(ssl.OPENSSL_VERSION),
        "SQLite": sqlite3.sqlite_version,
    }
    if program := shutil.which("openssl"):
        told = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
        found["the command openssl"] = _number(told)
    return found


def _system() -> str:
    if sys.platform == "win32":
        import ctypes

        wine = hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
        return platform.platform() + (", as Wine shows it" if wine else "")
    try:
        name, kernel = platform.freedesktop_os_release()["PRETTY_NAME"], platform.release().split(".")[:2]
    except OSError:
        return platform.platform()
    return f"{name}, {platform.system()} {'.'.join(kernel)}"


def _number(version: str) -> str:
    return version.split()[1]  # OpenSSL 3.0.22 25 Aug 2026


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
