"""What a Tab costs as a process: words of the command line, and keys from a machine's file, against starting Python.

Processor time of whole processes, in turns. For what a machine has, 1.6 times `python -c pass` cannot be: importing
`sqlite3`, which the file is read with, takes 1.5 times as long (measured here too). So that promise is put on that.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ratios import Ratio, report

from mlsssl import Binding, EmbeddedMachine

ROUNDS = 25
BINDINGS = 100


def cost(command: list[str], environment: dict[str, str]) -> float:
    """Seconds of processor time that a process takes."""
    if sys.platform == "win32":
        raise NotImplementedError
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Exit code 0 when every bound is kept."""
    program = str(Path(sys.executable).with_name("mlsssl"))  # as pip installs it
    with TemporaryDirectory() as folder:
        with EmbeddedMachine(f"{folder}/m.sqlite") as machine:
            for number in range(BINDINGS):
                Binding(f"scopedccs=host-{number}.example:443", machine=machine).add()
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPYCACHEPREFIX": f"{folder}/compiled", "MLSSSL_MACHINE": f"{folder}/m.sqlite"}
        tab = [program, "completion", "--candidates", "zsh"]
        commands = {
            "python": [sys.executable, "-c", "pass"],
            "sqlite3": [sys.executable, "-c", "import sqlite3"],
            "words": [*tab, "store", "li"],
            "keys": [*tab, "binding", "remove", ""],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(ROUNDS + 1):
            for name, command in commands.items():
                seconds = cost(command, environment)
                if number:  # the first round compiles
                    taken[name].append(seconds)
    median = {name: statistics.median(values) for name, values in taken.items()}
    floor = median["sqlite3"] / median["python"]
    print(f"python -c pass takes {median['python'] * 1e3:.1f} ms here; import sqlite3 is {floor:.2f} times that")
    return report(
        [
            Ratio("completion of words / python -c pass", median["words"] / median["python"], 1.6),
            Ratio(f"completion of {BINDINGS} keys / import sqlite3", median["keys"] / median["sqlite3"], 1.6),
        ]
    )


if __name__ == "__main__":
    sys.exit(main() if sys.platform != "win32" else 0)
