"""Coverage-guided fuzzing of every reader of foreign bytes, with atheris.

    python tests/fuzz/fuzz.py all --seconds 30        each target for so long, one after the other
    python tests/fuzz/fuzz.py load_pfx --seconds 600  one of them
    python tests/fuzz/fuzz.py load_pfx FILE           one input again, such as a crash file

Whatever a reader raises besides `MalformedDataError` is a crash; so is more than ten seconds or 1 GiB for one input. A
crash is written to a file `crash-…` in the folder given by `--findings`; what it finds becomes a test. Seeds are the
good files that the property tests start from, written to a folder of their own at every start.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

EXPENSIVE_INPUT_SECONDS = 10
MEMORY_MEGABYTES = 1024
LONGEST_INPUT = 8192


def main() -> int:
    """Parse the command line, and run one target or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("file", nargs="?", type=Path, help="run this input once instead of fuzzing")
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where crashes are written")
    arguments = parser.parse_args()
    if arguments.target == "all":
        return _run_all(arguments.seconds, arguments.findings)
    return _run_one(arguments.target, arguments.file, arguments.seconds, arguments.findings)


def _run_all(seconds: int, findings: Path) -> int:
    from foreign_bytes import READERS

    failed = []
    for target in READERS:
        print(f"== {target}, {seconds} s", flush=True)
        command = [sys.executable, __file__, target, "--seconds", str(seconds), "--findings", str(findings)]
        if subprocess.run(command, check=False).returncode:
            failed.append(target)
    print(f"== {len(failed)} of {len(READERS)} targets failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def _run_one(target: str, file: Path | None, seconds: int, findings: Path) -> int:
    import atheris

    # Before anything imports them, so that every branch in them counts.
    with atheris.instrument_imports(include=["mlsssl"]):
        from foreign_bytes import EXPECTED, READERS
        from mlsssl.errors import MalformedDataError

    read, seeds = READERS[target]
    expected = EXPECTED.get(target, (MalformedDataError,))

    def one_input(data: bytes) -> None:
        with contextlib.suppress(*expected):
            read(data)

    if file is not None:
        one_input(file.read_bytes())
        return 0
    findings.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder)
        for number, seed in enumerate(seeds):
            one_input(seed)
            (corpus / f"seed-{number}").write_bytes(seed)
        options = [
            f"-max_total_time={seconds}",
            f"-timeout={EXPENSIVE_INPUT_SECONDS}",
            f"-rss_limit_mb={MEMORY_MEGABYTES}",
            f"-max_len={LONGEST_INPUT}",
            f"-artifact_prefix={findings}/{target}-",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        atheris.Setup([sys.argv[0], *options, str(corpus)], one_input)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
