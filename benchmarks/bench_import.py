"""Importing the library against importing `cryptography.x509`, each in processes of their own.

Both from compiled files, as an installed package has them, also where the environment says not to write any.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from ratios import Ratio, report

ROUNDS = 15
TIMER = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def cost(statement: str, compiled: str) -> float:
    """Seconds that a statement takes in a fresh interpreter, which keeps compiled files in the folder `compiled`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-c", TIMER.format(statement)],
        env=environment | {"PYTHONPYCACHEPREFIX": compiled},
        capture_output=True,
        check=True,
        text=True,
    )
    return float(run.stdout)


def main() -> int:
    """Measure `import mlsssl`, and also with the two classes that everybody uses."""
    peer, package, classes = [], [], []
    with tempfile.TemporaryDirectory() as compiled:
        for _ in range(ROUNDS):
            peer.append(cost("import cryptography.x509", compiled))
            package.append(cost("import mlsssl", compiled))
            classes.append(cost("from mlsssl import Certificate, CertificateAuthority", compiled))
    base = statistics.median(peer)
    print(f"import cryptography.x509 takes {base * 1e3:.1f} ms here")
    return report(
        [
            Ratio("import mlsssl", statistics.median(package) / base, 0.5),
            Ratio("from mlsssl import Certificate, CertificateAuthority", statistics.median(classes) / base, 1.75),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
