"""What commands cost as processes: `--version`, `show`, and `audit` and `binding list` of 1,000 bindings.

Processor time of whole processes, in turns. Most of a command's time is Python's start and imports, so what a command
imports is what it costs; tests/unit/test_command_imports.py holds that too.

`show FILE` was to take at most 2.5 times what `openssl x509 -text` takes. That cannot be: to import `cryptography.x509`
alone, which every certificate is read with, takes 2.6 times as long, and with `serialization`, which every private key
is read with, 3.2 times (measured here too). So the bounds are put on the first. Where the milliseconds go, the least of
41 turns on a machine where `openssl x509 -text` takes 25.0; the file of `show` has a key, as a server's:

    python -c pass                                              10.3
    cryptography.x509                                           45.2   what it brings of Python included
    argparse, pathlib                                            2.7
    33 modules of mlsssl                                         9.3
    the parser of the command and its neighbours                 2.4
    reading a certificate, and showing it                        2.0
    show of a certificate alone                                 71.9
    cryptography's serialization                                11.0   with SSH, ciphers, dataclasses and inspect
    reading the key, and trying it out                           2.8
    show                                                        85.7

By itself Python looks through what it imports for garbage, which takes 10.5 more for `cryptography.x509` alone;
`__main__.py` has it do without, so that a whole `show` can take little more than that import.

At most 1.5 seconds of processor time are promised for an audit of 1,000 bindings. Beside that the ratio to reading them
with their certificates is told, which another machine does not change.
"""

from __future__ import annotations

import math
import shutil
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from machines import fill
from processes import PYTHON, compare, compiled, cost
from ratios import Ratio, report

BINDINGS = 1_000
SHOW_LIMIT = "to import cryptography.x509 is 2.2 to 2.6, the key's serialization 0.4; argparse, ours and reading 0.6"
SERIALIZATION = "import cryptography.x509, cryptography.hazmat.primitives.serialization"
AUDIT_SECONDS = 1.5
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
        machine, leaf, alone = (f"{folder}/{name}" for name in ("machine.sqlite", "leaf.pem", "leaf.crt"))
        certificate = fill(Path(machine), BINDINGS).issue("leaf.example")
        certificate.save(leaf, no_password=True)
        certificate.save(alone)
        mlsssl, python = str(program), [PYTHON, "-c"]
        start, x509, keys = ([*python, code] for code in ("pass", "import cryptography.x509", SERIALIZATION))

        def ratio(name: str, ours: list[str], peer: list[str], bound: float, rounds: int = 9) -> Ratio:
            return compare(name, ours, peer, bound=bound, environment=environment, rounds=rounds)

        show, show_alone = [mlsssl, "show", leaf], [mlsssl, "show", alone]
        audit, listing = [mlsssl, "audit", "--machine", machine], [mlsssl, "binding", "list", "--machine", machine]
        read = [*python, READ, machine]
        found = [
            ratio("mlsssl --version / python -c pass", [mlsssl, "--version"], start, 1.25).with_promise(1.6),
            ratio("mlsssl show / import cryptography.x509", show, x509, 1.5).with_promise(math.inf),
            ratio("mlsssl show, no key / import cryptography.x509", show_alone, x509, 1.25).with_promise(math.inf),
            ratio(f"mlsssl audit / reading {BINDINGS} bindings", audit, read, 4.8, 3).with_promise(math.inf),
            ratio(f"mlsssl binding list / reading {BINDINGS} bindings", listing, read, 1.5, 3).with_promise(math.inf),
        ]
        spent = statistics.median(cost(audit, environment) for _ in range(3))
        name = f"seconds of processor time, mlsssl audit of {BINDINGS} bindings"
        found.append(Ratio(name, spent, AUDIT_SECONDS))
        if openssl is not None:
            text = [openssl, "x509", "-in", leaf, "-noout", "-text"]
            of_openssl = {
                "python -c pass": start,
                "import cryptography.x509": x509,
                "import of it and of serialization": keys,
                "mlsssl show, no key": show_alone,
                "mlsssl show": show,
            }
            for name, command in of_openssl.items():
                found.append(ratio(f"{name} / openssl x509 -text", command, text, math.inf))
            found[-1] = found[-1].with_promise(2.5, SHOW_LIMIT)
    return report(found)


if __name__ == "__main__":
    sys.exit(main())
