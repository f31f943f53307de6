"""Where the program starts: `mlsssl` and `python -m mlsssl`.

`--version` and each Tab of a shell are answered here: argparse alone takes longer to import than Python to start.
"""

from __future__ import annotations

import sys

from mlsssl._version import __version__


def main() -> int:
    """Run the command line with the arguments of this process; its exit code."""
    if sys.argv[1:] == ["--version"] and sys.stdout is not None:
        try:
            sys.stdout.write(f"mlsssl {__version__}\n")
            sys.stdout.flush()
        except OSError:
            pass  # which the command line below tells
        else:
            return 0
    if sys.argv[1:3] == ["completion", "--candidates"] and len(sys.argv) > 3:
        from mlsssl._commands.completion import candidates

        return candidates.main(sys.argv[3], sys.argv[4:])
    import gc

    # Imports make objects by the ten thousand, and they stay: to look for garbage among them, again and again and three
    # times at the end, takes a sixth of `show`. What a command makes is still looked through, by so many at a time.
    gc.set_threshold(50_000)
    try:
        from mlsssl.cli import main as command_line
    except KeyboardInterrupt:  # which tells of it later
        return 130

    code = command_line()
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(main())
