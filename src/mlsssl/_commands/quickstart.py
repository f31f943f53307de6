"""`quickstart NAME`: the whole procedure on this computer, each step beside the old tool's command."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import mlsssl
from mlsssl._commands.parser import SUBJECT, command, given
from mlsssl._machine.files import write
from mlsssl._machine.private_files import private_folder
from mlsssl.errors import ExistsError, ListenerError, MlssslError
from mlsssl.values import KeyType

if TYPE_CHECKING:
    import ssl
    from argparse import Namespace
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal
    from mlsssl._testing.tls import TlsConnection


def add_commands(commands: Commands) -> None:
    """Add the parser of this module's command."""
    parser = command(commands, "quickstart", quickstart, "the whole procedure, shown on this computer")
    parser.add_argument("name", metavar="HOST", help="the server's name, such as server-name.com")
    parser.add_argument("--keep", metavar="DIR", help="keep the files in this folder")
    parser.add_argument("--key", choices=get_args(KeyType), help="type of the server's key; rsa-2048 by default")
    parser.share(*SUBJECT)


def _other_name(host: str) -> str:
    """A name that no certificate for `host` is for, not even one with a wildcard."""
    return "some-other-name.example" if not host.endswith(".example") else "some-other-name.test"


class QuickstartError(MlssslError):
    """A step did not do what it must; the message says which and how."""


class _Steps:
    """Prints numbered steps, and keeps them for JSON."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.done: list[dict[str, object]] = []

    def show(self, what: str, result: str, *, instead_of: str) -> None:
        """A step that has been done."""
        self.done.append({"step": what, "result": result, "instead_of": instead_of})
        self._terminal.say(f"{len(self.done):>2}. {what}")
        self._terminal.say(f"    {result}", style="ok")
        self._terminal.say(f"    instead of: {instead_of}")


def quickstart(arguments: Namespace, terminal: Terminal) -> int:
    """Run every step of the procedure; any failure is an error with its reason."""
    with _folder(arguments.keep) as folder:
        steps = _Steps(terminal)
        _run(arguments.name, arguments.key, folder, steps, given(arguments, "name", "keep", "key"))
        files = sorted(str(file) for file in folder.iterdir() if file.is_file())
        kept = arguments.keep is not None
        if kept:
            ending = "The files are in " + str(folder) + ":\n" + "\n".join(f"  {Path(file).name}" for file in files)
        else:
            ending = f"The files were in {folder} and are gone now; --keep DIR keeps them."
        terminal.result({"ok": True, "steps": steps.done, "folder": str(folder), "files": files, "kept": kept}, ending)
    return 0


@contextlib.contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="mlsssl-quickstart-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
        return
    chosen = Path(keep)
    if chosen.is_dir() and any(chosen.iterdir()):
        raise ExistsError(f"{chosen} is not empty; quickstart writes keys, and replaces none: name a new folder")
    yield chosen if chosen.is_dir() else private_folder(chosen)


def _run(name: str, key: mlsssl.KeyType | None, folder: Path, steps: _Steps, subject: dict[str, Any]) -> None:
    password = secrets.token_urlsafe(18)
    ca = mlsssl.CertificateAuthority.create("SelfIssuedCA", **subject)
    ca.certificate.save(folder / "SelfIssuedCA.cer")
    ca.save(folder / "SelfIssuedCA.pfx", password=password)
    steps.show(
        "Create a root authority",
        f"{ca.name}, {ca.key_type}, valid to {ca.certificate.not_after:%Y-%m-%d}",
        instead_of='makecert -n "CN=SelfIssuedCA" -a sha256 -r -sv SelfIssuedCA.pvk SelfIssuedCA.cer',
    )

    certificate = ca.issue(name, key=key, **subject)
    host = certificate.hosts[0]
    # What a client connects to: a wildcard stands for any one label.
    client_name = f"www{host[1:]}" if host.startswith("*.") else host
    steps.show(
        "Issue the server certificate",
        f"{', '.join(certificate.names)}, {certificate.key_type}, valid to {certificate.not_after:%Y-%m-%d}",
        instead_of=f'makecert -pe -iv SelfIssuedCA.pvk -n "CN={host}" -eku 1.3.6.1.5.5.7.3.1 -a sha256 -sky exchange '
        "-ic SelfIssuedCA.cer -sv SelfIssuedSSL.pvk SelfIssuedSSL.cer",
    )

    pfx = certificate.save(folder / "SelfIssuedSSL.pfx", password=password)
    loaded = mlsssl.Certificate.load(pfx, password=password)
    if loaded != certificate or not loaded.has_private_key:
        raise QuickstartError(f"{pfx} does not hold what was written into it")
    write(folder / "password.txt", f"{password}\n".encode(), private=True)
    steps.show(
        "Write the .pfx and read it back",
        f"{pfx.name}: certificate, private key and {len(loaded.chain)} certificate above it",
        instead_of="pvk2pfx -pvk SelfIssuedSSL.pvk -spc SelfIssuedSSL.cer -pfx SelfIssuedSSL.pfx -pi password",
    )

    report = loaded.check(client_name, trust=[ca])
    report.raise_for_errors()
    steps.show(
        "Check everything that clients and Windows check",
        f"no error, {len(report.warnings)} warnings, {len(report.notices)} notices",
        instead_of='opening the certificate and reading "You have a private key that corresponds to this certificate"',
    )

    with mlsssl.EmbeddedMachine(folder / "machine.sqlite") as machine, machine.store("MY") as store:
        entry = store.import_pfx(pfx, password, friendly_name=f"{host} (quickstart)")
        if not entry.has_private_key:
            raise QuickstartError("the store holds the certificate without a usable private key")
        steps.show(
            "Add it to the machine's store",
            f"LocalMachine\\MY holds {len(store)} certificate; its private key opens and matches",
            instead_of="mmc: Certificates snap-in, computer account, Personal, Import (25 clicks)",
        )
        steps.show("Take its thumbprint", str(entry.thumbprint), instead_of="mmc: Details, Thumbprint, copy by hand")

        app_id = uuid.uuid4()
        binding = mlsssl.Binding("0.0.0.0:443", entry, app_id=app_id, machine=machine).add()
        steps.show(
            "Bind it to the port with a fresh GUID",
            f"{binding.key} answers with it; owner {{{app_id}}}",
            instead_of=f'netsh http add sslcert ipport=0.0.0.0:443 certhash={entry.thumbprint} "appid={{{app_id}}}"',
        )

        with machine.listen() as listener:
            port = listener.port_of(binding.key)
            steps.show(
                "Serve TLS on loopback",
                f"https://127.0.0.1:{port}/ stands for port 443",
                instead_of="starting the service",
            )
            _prove(ca, client_name, port, entry.thumbprint)
            steps.show(
                "Prove it with a client that trusts only this root",
                f"{client_name} accepted; {_other_name(client_name)} refused; "
                "a client that trusts another root refused it",
                instead_of="a browser, once the root is in its store",
            )
            with _client(ca, client_name, port) as old_connection:
                renewed = _renew(binding, ca, machine)
                steps.show(
                    "Renew it while the listener runs",
                    f"{entry.thumbprint} → {renewed}, same names, same options, new key; the old connection "
                    f"{'goes on' if _answers(old_connection.session, client_name) else 'was cut'}",
                    instead_of="stop the service; netsh http delete sslcert ipport=0.0.0.0:443; add again; start",
                )
            _prove(ca, client_name, port, renewed)
            steps.show(
                "Prove the new one",
                f"new handshakes get {renewed}; the wrong name and the other root are refused again",
                instead_of="waiting for a customer to call",
            )


def _renew(
    binding: mlsssl.Binding, ca: mlsssl.CertificateAuthority, machine: mlsssl.EmbeddedMachine
) -> mlsssl.Thumbprint:
    outcome = mlsssl.renew(binding.key, ca, machine=machine)
    after = mlsssl.Binding.get(binding.key, machine=machine)
    if not outcome.changed or after.thumbprint is None or after.thumbprint == binding.thumbprint:
        raise QuickstartError("the renewal left the old certificate bound")
    if (after.app_id, after.options) != (binding.app_id, binding.options):
        raise QuickstartError("the renewal changed the owner or the options of the binding")
    return after.thumbprint


def _client(ca: mlsssl.CertificateAuthority, host: str, port: int) -> AbstractContextManager[TlsConnection]:
    from mlsssl._testing.tls import tls_client

    return tls_client(("127.0.0.1", port), trust=[ca], host=host, timeout=10)


def _answers(connection: ssl.SSLSocket, host: str) -> bool:
    try:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("ascii"))
        return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _prove(ca: mlsssl.CertificateAuthority, host: str, port: int, expected: mlsssl.Thumbprint) -> None:
    """The right name gets the expected certificate; a wrong name and another root are refused, for that reason."""
    try:
        with _client(ca, host, port) as connection:
            if connection.certificate.thumbprint != expected:
                raise QuickstartError(f"the listener serves {connection.certificate.thumbprint}, not {expected}")
            if not _answers(connection.session, host):
                raise QuickstartError("the listener gave no page over the connection")
    except ListenerError as error:
        raise QuickstartError(f"a client that trusts the root was refused: {error}") from error
    stranger = mlsssl.CertificateAuthority.create("Somebody else's CA", key="ec-p256")
    for authority, name, reason in (
        (ca, _other_name(host), "mismatch"),
        (stranger, host, "unable to get local issuer"),
    ):
        try:
            with _client(authority, name, port):
                pass
        except ListenerError as error:
            if reason not in str(error).lower():
                raise QuickstartError(f"refused, but not for the reason it should: {error}") from error
        else:
            raise QuickstartError(f"a client that trusts {authority.name} accepted {name}, which it must refuse")
