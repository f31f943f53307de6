"""Importing the library against importing `cryptography.x509`, each in processes of their own.

Processor time of the statement, in turns, from compiled files, as an installed package has them. 1.75 was promised
for the two classes; 1.4 comes out.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from processes import PYTHON, compiled
from ratios import Ratio, report, settled, spread

ROUNDS = 15
TWO = "from mlsssl import Certificate, CertificateAuthority"
PEER = "import cryptography.x509"
TIMER = "import time; start = time.process_time(); {}; print(time.process_time() - start)"


def cost(statement: str, environment: dict[str, str]) -> float:
    """Seconds of processor time that a statement takes in a fresh interpreter."""
    command = [PYTHON, "-c", TIMER.format(statement)]
    return float(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)


def compare(statement: str, bound: float, environment: dict[str, str]) -> Ratio:
    """The median ratio over rounds in which it and its peer have their turn."""
    rows = [(cost(statement, environment), cost(PEER, environment)) for _ in range(ROUNDS + 1)][1:]  # one compiles
    ratios = [ours / peer for ours, peer in rows]
    ours, peer = (statistics.median(column) * 1e3 for column in zip(*rows, strict=True))
    detail = f"{ours:.1f} ms against {peer:.1f} ms; {spread(ratios)}"
    return Ratio(f"{statement} / {PEER}", statistics.median(ratios), bound, detail=detail)


def main() -> int:
    """Measure `import mlsssl`, and also with the two classes that everybody uses."""
    with compiled() as environment:
        return report(
            [
                settled(lambda: compare("import mlsssl", 0.02, environment)).with_promise(0.5),
                settled(lambda: compare(TWO, 1.6, environment)).with_promise(1.75),
            ]
        )


if __name__ == "__main__":
    sys.exit(main())
