"""What a Tab costs as a process: words of the command line, and keys from a machine's file, against starting Python.

Processor time of whole processes, in turns. For what a machine has, 1.6 times `python -c pass` cannot be: importing
`sqlite3`, which the file is read with, takes 1.5 to 1.6 times as long (measured here too), and there is no other public
way to read such a file. So the bound is put on that. Where the milliseconds go, the median of 61 turns:

    python -c pass                  10.1
    sqlite3                          6.2   of which its extension 2.5, datetime and collections 3.2
    12 small modules of mlsssl       2.0   the words of the command line are answered with nine of them, in 1.7
    opening, asking, 100 rows        1.0
    completion of 100 keys          19.3
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import PYTHON, compare, compiled
from ratios import Ratio, report

from mlsssl import Binding, EmbeddedMachine

BINDINGS = 100
LIMIT = "to import sqlite3 alone, which the machine's file is read with, takes nearly as long as was promised"


def main() -> int:
    """Exit code 0 when every bound is kept."""
    if sys.platform == "win32":
        print("not measured: Windows tells no parent what a child has cost")
        return 0
    tab = [str(Path(PYTHON).with_name("mlsssl")), "completion", "--candidates", "zsh"]  # as pip installs it
    start, sqlite = [PYTHON, "-c", "pass"], [PYTHON, "-c", "import sqlite3"]
    with TemporaryDirectory() as folder, compiled() as environment:
        path = f"{folder}/machine.sqlite"
        with EmbeddedMachine(path) as machine:
            for number in range(BINDINGS):
                Binding(f"scopedccs=host-{number}.example:443", machine=machine).add()
        environment["MLSSSL_MACHINE"] = path
        words, keys = [*tab, "store", "li"], [*tab, "binding", "remove", ""]

        def ratio(name: str, ours: list[str], peer: list[str], bound: float) -> Ratio:
            return compare(name, ours, peer, bound=bound, environment=environment)

        found = [
            ratio("completion of words / python -c pass", words, start, 1.3).with_promise(1.6),
            ratio("import sqlite3 / python -c pass", sqlite, start, math.inf),
            ratio(f"completion of {BINDINGS} keys / python -c pass", keys, start, math.inf).with_promise(1.6, LIMIT),
            ratio(f"completion of {BINDINGS} keys / import sqlite3", keys, sqlite, 1.35).with_promise(math.inf),
        ]
    return report(found)


if __name__ == "__main__":
    sys.exit(main())
