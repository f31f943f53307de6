"""A Salt master and its minions on loopback, each a process of its own with its own folders, ports and machine.

Everything is started in the foreground of this process, by the programs beside this Python, and ended by its own id.
Paths are short, for a socket's has at most 107 characters.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acme_servers import free_port
from mlsssl import Certificate, EmbeddedMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from typing_extensions import Self

    from mlsssl import CertificateAuthority

PROGRAMS = Path(sys.executable).parent
PATIENCE = 240.0  # seconds for ten minions to start on a loaded machine
LOOPBACK = "127.0.0.1"
HASH_SEED = "0"
"""Of the command `salt`, whose batches take the minions in the order of a set."""
_NOT_HERE = "a master of Salt runs on Linux"
_ENDED = "ZXx"
"""States of a process in its `stat` (proc(5)) that runs no more."""


@dataclass
class Process:
    """A program that runs, with all that it has started: they are one session of the kernel's.

    By an environment or a command line they could not be told, for Salt writes titles over both.
    """

    words: list[str]
    log: Path
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what it says is added to the log."""
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
            )

    def family(self) -> list[int]:
        """The ids of the program and of what it has started, that run now."""
        found: list[int] = []
        if self.running is None:
            return found
        for place in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, _, session = place.read_text(errors="replace").rpartition(")")[2].split()[:4]
                if int(session) == self.running.pid and state not in _ENDED:
                    found.append(int(place.parent.name))
        return found

    def _send(self, how: signal.Signals) -> None:
        for one in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, how)

    def ask(self) -> None:
        """Ask it to end."""
        if self.running is not None:
            self.running.terminate()

    def end(self, *, patience: float = 20) -> None:
        """Ask it to end; what has not ended after so many seconds is killed."""
        if self.running is not None:
            self.ask()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.running.wait(patience)
            self.kill()

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """Meanwhile it and all that it has started do nothing."""
        if sys.platform == "win32":
            raise AssertionError(_NOT_HERE)
        self._send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._send(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL for it and all that it has started, at once."""
        if sys.platform == "win32":
            raise AssertionError(_NOT_HERE)
        if self.running is not None:
            while self.family():  # what was started meanwhile is in the next list
                self._send(signal.SIGKILL)
                self.running.poll()
                time.sleep(0.02)
            self.running.wait()
            self.running = None


@dataclass
class Minion:
    """A minion with its machine, and the listener that serves what is bound there."""

    name: str
    folder: Path
    port: int
    process: Process
    listener: Process

    @property
    def host(self) -> str:
        """The name that its certificate is for."""
        return f"{self.name}.fleet.test"

    @property
    def key(self) -> str:
        """The key of its binding."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def machine(self) -> Path:
        """The file of its embedded machine."""
        return self.folder / "machine" / "m.sqlite"

    @property
    def state(self) -> Path:
        """The folder with the records of changes and requests."""
        return self.machine.with_name("m.sqlite.state")

    def served(self, *trust: Certificate | CertificateAuthority) -> Certificate:
        """What a client that trusts this is served, after a whole handshake; `OSError` when it refuses."""
        context = ssl.create_default_context(cadata="".join(_pem(one) for one in trust))
        with (
            socket.create_connection((LOOPBACK, self.port), timeout=30) as connection,
            context.wrap_socket(connection, server_hostname=self.host) as tls,
        ):
            certificate = tls.getpeercert(binary_form=True)
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert tls.recv(1)
        assert certificate is not None
        return Certificate.from_der(certificate)

    def bound(self) -> str:
        """The thumbprint of what is bound, as the machine's file has it."""
        with EmbeddedMachine(self.machine, create=False) as machine:
            return str(machine.bindings[self.key].thumbprint)


def _pem(one: Certificate | CertificateAuthority) -> str:
    certificate = one if isinstance(one, Certificate) else one.certificate
    return certificate.to_pem().decode()


@dataclass
class Fleet:
    """The master, the minions, and the commands of an administrator at the master."""

    folder: Path
    names: Sequence[str]
    master_options: Mapping[str, object]
    small: str | None = None
    """Whose machine is in a file system of a few megabytes, where this user may make one."""
    mounted: Path | None = None
    minions: dict[str, Minion] = field(default_factory=dict)
    master: Process = field(init=False)
    publish_port: int = 0
    ret_port: int = 0

    def __post_init__(self) -> None:
        if sys.platform == "win32":
            raise AssertionError(_NOT_HERE)
        self.publish_port, self.ret_port = free_port(), free_port()
        for name in ("master", "pillar", "states", "made"):
            (self.folder / name).mkdir(mode=0o700)
        self._write(
            "master/master",
            {
                **self._common("master"),
                "interface": LOOPBACK,
                "publish_port": self.publish_port,
                "ret_port": self.ret_port,
                # A worker waits with every minion that asks the issuing one, and the answer needs one more.
                "worker_threads": 6,
                "auto_accept": True,  # every minion on this loopback is ours
                "pillar_roots": {"base": [str(self.folder / "pillar")]},
                "file_roots": {"base": [str(self.folder / "states")]},
                **self.master_options,
                "log_level": "info",
                "timeout": 60,
                "gather_job_timeout": 15,
            },
        )
        self.master = Process(self._program("salt-master", "master"), self.folder / "master" / "out")
        for name in self.names:
            self._add(name)
        if self.small is not None and os.geteuid() == 0:
            folder = self.minions[self.small].machine.parent
            words = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
            if subprocess.run(words, capture_output=True, check=False).returncode == 0:
                self.mounted = folder

    def _common(self, name: str) -> dict[str, Any]:
        folder = self.folder / name
        return {
            "root_dir": str(folder),
            "sock_dir": str(folder / "s"),
            "pki_dir": str(folder / "pki"),
            "cachedir": str(folder / "cache"),
            "log_file": str(folder / "log"),
            "pidfile": str(folder / "pid"),
            "extension_modules": str(folder / "ext"),
            "user": _user(),
            "log_level_logfile": "debug",
        }

    def _add(self, name: str) -> None:
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        port = free_port()
        process = Process(self._program("salt-minion", name), folder / "out")
        words = ["mlsssl", "serve", "--machine", str(folder / "machine" / "m.sqlite"), "--host", LOOPBACK]
        words = [sys.executable, "-m", *words, "--port", f"{port}={port}"]
        self.minions[name] = Minion(name, folder, port, process, Process(words, folder / "listener"))
        (folder / "machine").mkdir()
        self._write(
            f"{name}/minion",
            {
                **self._common(name),
                "id": name,
                "master": LOOPBACK,
                "publish_port": self.publish_port,
                "master_port": self.ret_port,
                "acceptance_wait_time": 1,
                "master_tries": -1,
                "request_channel_timeout": 60,
                "recon_default": 200,
                "recon_max": 1000,
                "enable_fqdns_grains": False,
                "enable_gpu_grains": False,
                "grains": {"server_id_use_crc": "adler32"},
                "master_alive_interval": 0,
                "mlsssl": {"machine": str(self.minions[name].machine)},
            },
        )

    def _program(self, name: str, folder: str) -> list[str]:
        return [sys.executable, str(PROGRAMS / name), "-c", str(self.folder / folder)]

    def _write(self, name: str, content: object) -> None:
        path = self.folder / name
        path.write_text(json.dumps(content))  # which is YAML too
        path.chmod(0o600)

    def pillar(self, of: Mapping[str, object]) -> None:
        """Give each minion its own pillar, and nobody else's."""
        self._write("pillar/top.sls", {"base": {name: [f"of_{name}"] for name in of}})
        for name, content in of.items():
            self._write(f"pillar/of_{name}.sls", content)

    def state(self, name: str, content: object) -> None:
        """Write a state file."""
        self._write(f"states/{name}.sls", content)

    def start(self) -> None:
        """Start all of it, and wait until every minion answers."""
        self.master.start()
        for minion in self.minions.values():
            EmbeddedMachine(minion.machine).close()
            minion.process.start()
            minion.listener.start()
        self.wait_for(*self.minions)

    def wait_for(self, *names: str) -> None:
        """Wait until these answer."""
        end = time.monotonic() + PATIENCE
        missing = set(names)
        while not all(map(self._says_it_is_ready, names)) and time.monotonic() < end - PATIENCE / 2:
            self._alive(*names)  # a ping that comes too early would wait for its whole time
            time.sleep(0.2)
        while missing and time.monotonic() < end:
            self._alive(*names)
            answers = self.salt(",".join(sorted(missing)), "test.ping", "-L", "-t", "10", check=False).answers
            missing -= {name for name, answer in answers.items() if answer is True}
        assert not missing, f"{', '.join(sorted(missing))} did not answer within {PATIENCE} s\n{self.logs()}"

    def _says_it_is_ready(self, name: str) -> bool:
        """Whether the log has it, of a process that runs now."""
        log = self.folder / name / "log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        ready = [line for line in lines if "Minion is ready to receive requests" in line]
        return any(f"[{one}]" in line for one in self.minions[name].process.family() for line in ready)

    def _alive(self, *names: str) -> None:
        """A minion that ended, since a loaded master was too slow for it, is started again, as a service is."""
        for process in (self.master, *(self.minions[name].process for name in names)):
            ended = None if process.running is None else process.running.poll()
            if ended is not None:
                assert process is not self.master, f"the master ended with {ended}:\n{self.logs()}"
                process.kill()
                process.start()

    def end(self) -> None:
        """End everything: asked all at once, killed a few seconds later."""
        every = [one for minion in self.minions.values() for one in (minion.process, minion.listener)]
        for process in (*every, self.master):
            process.ask()
        end = time.monotonic() + 5
        for process in (*every, self.master):
            process.end(patience=max(0.0, end - time.monotonic()))
        if self.mounted is not None:
            subprocess.run(["umount", "-l", str(self.mounted)], check=True)
            self.mounted = None

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """Meanwhile the machine of `small` finds no room: its file system is full, or else its files may not grow."""
        if sys.platform == "win32":
            raise AssertionError(_NOT_HERE)
        import resource  # Windows has none

        assert self.small is not None
        minion = self.minions[self.small]
        if self.mounted is None:
            assert minion.process.running is not None
            every = minion.process.family()
            before = {one: resource.prlimit(one, resource.RLIMIT_FSIZE) for one in every}
            for one, (_, hard) in before.items():
                resource.prlimit(one, resource.RLIMIT_FSIZE, (12 * 1024, hard))
            try:
                yield
            finally:
                for one, limits in before.items():
                    resource.prlimit(one, resource.RLIMIT_FSIZE, limits)
            return
        filler = self.mounted / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)
        try:
            yield
        finally:
            filler.unlink()

    def logs(self) -> str:
        """The end of each log, for an error."""
        found = [self.folder / "master" / "out", *(self.folder / name / "out" for name in self.names)]
        return "\n".join(f"{path}: {path.read_text(errors='replace')[-600:]}" for path in found if path.exists())

    def salt_command(self, target: str, function: str, *words: str) -> list[str]:
        """The command line `salt TARGET FUNCTION …`; options are words that begin with a dash."""
        options = list(_options(words))
        arguments = [word for word in words if word not in options]
        return [
            *self._program("salt", "master"),
            "--out=json",
            "--out-indent=-1",
            *options,
            target,
            function,
            *arguments,
        ]

    def salt(self, target: str, function: str, *words: str, check: bool = True, limit: float = 300) -> Answers:
        """Run that command."""
        command = self.salt_command(target, function, *words)
        environment = {**os.environ, "PYTHONHASHSEED": HASH_SEED}
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False, env=environment)
        answered = {name: one for name, one in _documents(done.stdout).items() if name in self.minions}
        answers = Answers(done.returncode, answered, done.stdout + done.stderr)
        assert not check or done.returncode == 0, f"{function} on {target}: {answers.said}\n{self.logs()}"
        return answers

    def run(self, function: str, *words: str, check: bool = True, limit: float = 300) -> Answers:
        """`salt-run FUNCTION …`, whose answer is under the name `runner`."""
        command = [*self._program("salt-run", "master"), "--out=json", function, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
        try:
            found = json.loads(done.stdout)
        except ValueError:
            found = None
        answers = Answers(done.returncode, {"runner": found}, done.stdout + done.stderr)
        assert not check or done.returncode == 0, f"{function}: {answers.said}"
        return answers


@dataclass(frozen=True)
class Answers:
    """What a command of Salt ended with, and what each minion answered."""

    code: int
    answers: dict[str, Any]
    said: str


def _options(words: Sequence[str]) -> Iterator[str]:
    """The options, with their values."""
    takes_value = False
    for word in words:
        if takes_value or word.startswith("-"):
            takes_value = word in ("-b", "-t", "--batch-safe-limit") and not takes_value
            yield word


def _documents(text: str) -> dict[str, Any]:
    """Salt writes a JSON document for each minion, one on a line, in a batch with more in it; and says other things."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            document = json.loads(line)
            if isinstance(document, dict):
                found.update(document)
    return found


def _user() -> str:
    if sys.platform == "win32":
        raise AssertionError(_NOT_HERE)
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


class Handshakes:
    """Clients from outside that connect to minions again and again, each connection a full handshake."""

    def __init__(self, minions: Sequence[Minion], *trust: Certificate | CertificateAuthority) -> None:
        self._minions, self._trust = minions, trust
        self.seen: dict[str, list[str]] = {one.name: [] for one in minions}
        self.failed: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._connect, args=(some,)) for some in (minions[::2], minions[1::2])]

    def _connect(self, minions: Sequence[Minion]) -> None:
        last = False
        while not last:
            last = self._ended.is_set()  # one more round after the end, so that what is served then is seen
            for minion in minions:
                try:
                    thumbprint = str(minion.served(*self._trust).thumbprint)
                except (OSError, AssertionError) as error:
                    self.failed.append(f"{minion.name}: {error!r}")
                    continue
                if thumbprint not in self.seen[minion.name][-1:]:
                    self.seen[minion.name].append(thumbprint)
            self._ended.wait(0.05)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        while not self.failed and not all(self.seen.values()):  # what is served before is seen of each
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def fleet_of(
    names: Sequence[str],
    master_options: Mapping[str, object],
    prepare: Callable[[Fleet], object],
    *,
    small: str | None = None,
) -> Iterator[Fleet]:
    """A fleet in a folder with a short path; `prepare` writes its pillar before it starts."""
    for program in ("salt", "salt-master", "salt-minion", "salt-run"):
        assert (PROGRAMS / program).exists(), f"{program} is not beside {sys.executable}: `nox -s fleet` installs Salt"
    folder = Path(tempfile.mkdtemp(prefix="ms-", dir="/tmp"))
    fleet = Fleet(folder, names, master_options, small)
    try:
        prepare(fleet)
        fleet.start()
        yield fleet
    finally:
        fleet.end()
        shutil.rmtree(folder, ignore_errors=True)
