"""Where the program starts: `mlsssl` and `python -m mlsssl`.

Each Tab of a shell is answered here: argparse alone takes longer to import than Python to start.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line with the arguments of this process; its exit code."""
    if sys.argv[1:3] == ["completion", "--candidates"] and len(sys.argv) > 3:
        from mlsssl._commands.completion import candidates

        return candidates.main(sys.argv[3], sys.argv[4:])
    from mlsssl.cli import main as command_line

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
