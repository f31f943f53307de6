"""`python -m mlsssl`."""

from __future__ import annotations

import sys

from mlsssl.cli import main

if __name__ == "__main__":
    sys.exit(main())
