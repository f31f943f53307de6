"""Importing the library against importing `cryptography.x509`, each in processes of their own."""

from __future__ import annotations

import statistics
import subprocess
import sys

from ratios import Ratio, report

ROUNDS = 15
TIMER = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def cost(statement: str) -> float:
    """Seconds that a statement takes in a fresh interpreter."""
    run = subprocess.run([sys.executable, "-c", TIMER.format(statement)], capture_output=True, check=True, text=True)
    return float(run.stdout)


def main() -> int:
    """Measure `import mlsssl`, and also with the two nouns that everybody uses."""
    peer, package, nouns = [], [], []
    for _ in range(ROUNDS):
        peer.append(cost("import cryptography.x509"))
        package.append(cost("import mlsssl"))
        nouns.append(cost("from mlsssl import Certificate, CertificateAuthority"))
    base = statistics.median(peer)
    print(f"import cryptography.x509 takes {base * 1e3:.1f} ms here")
    return report(
        [
            Ratio("import mlsssl", statistics.median(package) / base, 0.5),
            Ratio("from mlsssl import Certificate, CertificateAuthority", statistics.median(nouns) / base, 1.75),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
