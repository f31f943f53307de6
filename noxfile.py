"""The sessions that keep the project honest: `nox` runs them all, `nox -s tests` one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "docs"]
nox.options.error_on_external_run = True
nox.needs_version = ">=2024.10.9"

HERE = Path(__file__).parent
WINE = ("python", "tests/windows/wine.py")
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]

# Debian's names of the programs that tests/interop, tests/windows and tests/browser ask for their opinion.
APT_PACKAGES = (
    "openssl",
    "curl",
    "gnutls-bin",
    "libnss3-tools",
    "default-jdk-headless",
    "wine",
    "wine64",
    "gcc-mingw-w64-x86-64",
    "gcc-mingw-w64-i686",
    "pebble",
    "caddy",
    "chromium",
    "zsh",
    "fish",
)
PROGRAMS = (
    *("openssl", "curl", "certtool", "pk12util", "keytool", "javac"),
    *("wine", "x86_64-w64-mingw32-gcc"),
    *("pebble", "caddy", "chromium", "zsh", "fish"),
)
# The extras that ask for newer versions than the project does; their tests are skipped in the session `lowest`.
NEEDS_NEWER = ("weakkeys",)  # badkeys 0.0.21 is for cryptography 49 and newer
# What depends on a library's version: formats, the validator, the strategies, the plugin, the extras.
LOWEST = (
    *("acme_rules", "certificate", "extensions", "finding_codes", "from_type", "hostnames", "lenient"),
    *("name_constraints", "near_misses", "output", "pfx", "pkcs7", "progress", "public_api", "published_keys"),
    *("pvk", "pytest_plugin", "request", "strategies", "testing", "validate", "weak_keys"),
)
# The benchmarks that count processor time, where they take long with less work: what the session `promises` runs.
PROMISES = (
    *("certificate", "validate", "import", "completion", "cli", "deploy", "issue", "lists", "listener", "check_many"),
    *("fleet 2000", "store 20000", "strategies 200"),
)
NOT_HERE = ("-n", "auto", "--ignore=tests/browser", "--ignore=tests/fleet")  # the sessions `notebook` and `fleet`


def _install(session: nox.Session, *groups: str, project: bool = True) -> None:
    """Install the named dependency groups of pyproject.toml, and the project itself with all its extras."""
    if groups:
        session.install(*nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), *groups))
    if project:
        session.install("-e", ".[cli,testing]")


def _install_programs(session: nox.Session) -> None:
    """Install what the tests run beside us, where that can be done; say what is missing where it cannot."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if not missing:
        return
    if sys.platform == "linux" and shutil.which("apt-get") and os.geteuid() == 0:
        session.run("apt-get", "update", "-qq", external=True)
        session.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *APT_PACKAGES, external=True)
    elif os.environ.get("CI"):
        session.error(f"these programs are needed and cannot be installed here: {', '.join(missing)}")
    else:
        session.warn(f"not here, so their tests will be skipped: {', '.join(missing)}")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, and imports that go down only."""
    _install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, for linux and for win32, over everything; pyright over the public face."""
    _install(session, "types", "docs")
    for platform in ("linux", "win32"):
        session.run("mypy", "--platform", platform, "src", "tests", "benchmarks", "noxfile.py")
    session.run("pyright", "--project", "tests/typing")


@nox.session
def tests(session: nox.Session) -> None:
    """Everything under tests/ that this platform can run."""
    _install(session, "test")
    _install_programs(session)
    session.run("pytest", *(session.posargs or NOT_HERE))


@nox.session(name="tests-all", python=PYTHONS)
def tests_all(session: nox.Session) -> None:
    """The tests on every Python that is supported and installed."""
    _install(session, "test")
    session.run("pytest", *(session.posargs or NOT_HERE))


@nox.session
def lowest(session: nox.Session) -> None:
    """What a user meets with the lowest versions that the project and its extras allow, on this Python."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = [name for name in project["optional-dependencies"] if name not in NEEDS_NEWER]
    lists = (project["dependencies"], *(project["optional-dependencies"][name] for name in extras))
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text("".join(f"{one.replace('>=', '==')}\n" for one in chain(*lists)), encoding="utf-8")
    session.install("-e", f".[{','.join(extras)}]", "pytest-xdist", "pyyaml", "--constraint", str(constraints))
    session.env["CI"] = ""  # what is not installed here is left out, with its reason
    session.run(
        "pytest",
        "-n",
        "auto",
        "--hypothesis-profile=lowest",
        *(session.posargs or [f"tests/unit/test_{name}.py" for name in LOWEST]),
    )


@nox.session(name="tests-at-hand", python=False)
def tests_at_hand(session: nox.Session) -> None:
    """`tests-all` on every supported Python that is installed here; at the end the others are named, loudly."""
    for version in PYTHONS:
        if _has_python(version):
            session.notify(f"tests-all-{version}", session.posargs or None)
    session.notify("missing-pythons")


@nox.session(name="missing-pythons", python=False)
def missing_pythons(session: nox.Session) -> None:
    """What `tests-at-hand` did not test, said after all the rest."""
    absent = [version for version in PYTHONS if not _has_python(version)]
    if absent:
        line = "!" * 100
        session.warn(f"\n{line}\nNOT TESTED, as no such Python is installed here: {', '.join(absent)}\n{line}")


def _has_python(version: str) -> bool:
    """Whether `python3.x` is here and starts: what stands on the PATH may be a stub for a version that is missing."""
    if shutil.which("pyenv"):  # its stubs start only the versions that are named
        listed = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=False).stdout
        os.environ["PYENV_VERSION"] = ":".join(reversed(listed.split()))
    program = shutil.which(f"python{version}")
    if program is None:
        return False
    code = f"import sys; raise SystemExit('{version}' != '%d.%d' % sys.version_info[:2])"
    return subprocess.run([program, "-c", code], capture_output=True, check=False).returncode == 0


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings as errors, and run its examples."""
    _install(session, "docs", "test")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "doctest", "docs", "docs/_build/doctest")


@nox.session
def notebook(session: nox.Session) -> None:
    """Cards in JupyterLab, Notebook, nbconvert and this documentation, and the report page, by Chromium's measure."""
    _install(session, "test", "notebook")
    _install_programs(session)
    session.run("pytest", *(session.posargs or ["tests/browser", "--durations=5"]))


@nox.session
def fleet(session: nox.Session) -> None:
    """Salt itself: a master and eleven minions on loopback, with clients outside while they renew."""
    _install(session, "fleet")
    session.run("pytest", *(session.posargs or ["tests/fleet", "--exitfirst", "--durations=0"]))


@nox.session
def windows(session: nox.Session) -> None:
    """The tests under Windows' own CPython, in Wine, with a real Crypt32 and a stand-in for HTTP.sys."""
    _install_programs(session)
    session.install("pip")  # which wine.py downloads Windows' wheels with
    _install(session, "test")
    session.run(*WINE, "prepare", "--install")
    if not session.posargs:
        session.run("pytest", "tests/windows/test_wine.py")  # the harness itself, from outside
        command = [*WINE, "suite", "--timeout", "1500", "--", "--durations=10"]
    else:
        command = [*WINE, "run", "--timeout", "1900", "--", "-m", "pytest", *session.posargs]
    session.run(*command, interrupt_timeout=60, terminate_timeout=60)  # Wine has to be ended first


@nox.session
def wines(session: nox.Session) -> None:
    """The Windows half under Debian 13's Wine beside this system's: what differs, or why it cannot be had here."""
    _install_programs(session)
    session.install("pip")
    _install(session, "test")
    session.run(*WINE, "prepare", "--install")
    session.run("python", "tests/windows/wines.py", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Every speed promise as a ratio against a peer in the same run; fails where one is missed. `-- cli`: that one."""
    _install(session, "benchmarks")
    scripts = {script.stem.removeprefix("bench_"): script for script in sorted(Path("benchmarks").glob("bench_*.py"))}
    for name in session.posargs or scripts:
        if name not in scripts:
            session.error(f"no benchmark is called {name}; there are {', '.join(scripts)}")
        session.run("python", str(scripts[name]))
    if sys.platform == "linux" and not session.posargs:
        session.install("pip")
        session.run(*WINE, "prepare", "--install")
        session.run(*WINE, "run", "--timeout", "600", "--", "benchmarks/windows_bindings.py")


@nox.session
def promises(session: nox.Session) -> None:
    """What CI runs of them: those by processor time, some with less work, in minutes; bounds have a tenth of room."""
    _install(session)
    for name, *arguments in map(str.split, PROMISES):
        session.run("python", f"benchmarks/bench_{name}.py", *arguments, env={"MLSSSL_BENCHMARK_ROOM": "1.1"})


@nox.session
def fuzz(session: nox.Session) -> None:
    """Coverage-guided fuzzing of every reader of foreign bytes, half a minute each; more with `-- --seconds N`."""
    _install(session, "fuzz")
    session.run("python", "tests/fuzz/fuzz.py", "all", *(session.posargs or ["--seconds", "30"]))
