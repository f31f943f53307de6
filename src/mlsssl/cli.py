"""The command line: parsing and dispatch only. `--version`, `--help` and completion import no cryptography."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from mlsssl import errors
from mlsssl._messages import foreign_text
from mlsssl._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from mlsssl._commands.terminal import Terminal

    Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"  # noqa: SLF001  # typeshed has no other name

# The most specific class that fits wins; 1 is a negative answer (a check with errors), 2 argparse's own.
EXIT_CODES: tuple[tuple[type[errors.MlssslError], int], ...] = (
    (errors.ValidationError, 1),
    (errors.InvalidInputError, 2),
    (errors.NotFoundError, 3),
    (errors.ExistsError, 4),
    (errors.AccessDeniedError, 5),
    (errors.MalformedDataError, 6),
    (errors.UnsupportedError, 7),
    (errors.UnusableCertificateError, 8),
    (errors.MlssslError, 9),
)
KEY_TYPES = ("rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384")
# MakeCert, Pvk2Pfx and netsh as they were, with one word put in front.
OLD_COMMANDS = ("makecert", "pvk2pfx", "netsh")
REASONS = (
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "privilegeWithdrawn",
)
PROFILES = ("private", "public", "procedure", "windows", "legacy")
_SECRET_HELP = "where the password comes from: env:NAME, file:PATH, stdin or prompt (never the password itself)"  # noqa: S105

_JSON_HELP = "print the result as one JSON document"

_EPILOG = """\
exit codes:
  0 done   1 the answer is no   2 wrong usage or input   3 not found   4 exists already   5 access denied
  6 unreadable file or wrong password   7 not supported here   8 certificate unusable for HTTP.sys   9 other failure
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments without the program's name; `sys.argv` when not given.

    Returns:
        The exit code; `mlsssl --help` lists them.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    _write_what_the_terminal_can()
    if words and words[0] in OLD_COMMANDS:
        # Their words are not argparse's: -opt, /opt, name=value, typographic dashes.
        return _run(argparse.Namespace(json=False, run=("mlsssl._commands.old_tools.scripts", "run_old"), words=words))
    parser = build_parser()
    try:
        arguments, rest = parser.parse_known_args(words)
        if rest:
            # Of an option not its value: --pasword hunter2 would show what --password hides.
            options = [word.partition("=")[0] for word in rest if word.startswith("-")]
            parser.error(f"unrecognized arguments: {' '.join(options or rest)}")
    except _UsageError as error:
        if "--json" in words:
            _print_json({"error": "UsageError", "message": str(error), "exit_code": 2})
        _complain(str(error))
        return 2
    if not hasattr(arguments, "run"):
        parser.print_help()
        return 2
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from mlsssl._commands.terminal import Terminal

    terminal = Terminal(as_json=arguments.json)
    module, name = arguments.run
    try:
        try:
            code = int(getattr(import_module(module), name)(arguments, terminal))
        except errors.MlssslError as error:
            code = _tell(error, arguments, terminal)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk or a reader that went away can still be told
    except BrokenPipeError:  # `mlsssl … | head`
        _forget_output()
        return 141
    except OSError as error:
        _complain(f"mlsssl: {error}")
        _forget_output()
        return 9
    except KeyboardInterrupt:
        _complain("mlsssl: interrupted")
        return 130
    except Exception:  # noqa: BLE001 -- Python's own way out ends with 1, which means "the answer is no" here
        import traceback

        _complain(f"mlsssl: this is a defect of mlsssl; please report it\n{traceback.format_exc().rstrip()}")
        return 9
    return code


# What we print beyond ASCII, for terminals without it: Windows' code pages 437 and 1252, the locale C.
_PLAIN = {"→": "->", "…": "...", "–": "-", "—": "-", "’": "'", "“": '"', "”": '"', "·": "-", "×": "x", "²": "2"}


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    written = "".join(
        _PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode("ascii")
        for c in error.object[error.start : error.end]
    )
    return written, error.end


def _write_what_the_terminal_can() -> None:
    codecs.register_error("mlsssl.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="mlsssl.plain")


def _forget_output() -> None:
    # What is left in the buffer has nowhere to go; Python would try, and complain, at exit.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str) -> None:
    from mlsssl._commands.terminal import write

    write(foreign_text.without_secrets(text), to=sys.stderr)


def _print_json(data: object) -> None:
    from mlsssl._commands.terminal import Terminal

    Terminal(as_json=True).result(data)


def _tell(error: errors.MlssslError, arguments: argparse.Namespace, terminal: Terminal) -> int:
    # A deployment that stopped ends with the code of what stopped it.
    cause = error.__cause__ if isinstance(error, errors.DeploymentError) else None
    reason = cause if isinstance(cause, errors.MlssslError) else error
    code = next(code for kind, code in EXIT_CODES if isinstance(reason, kind))
    if arguments.json:
        told: dict[str, object] = {"error": type(error).__name__, "message": str(error), "exit_code": code}
        for name in ("failure", "report"):
            value = getattr(error, name, None)
            if value is not None:
                told[name] = value.to_dict()
        terminal.result(told)
    _complain(f"mlsssl: {error}")
    causes = [str(item) for item in getattr(reason, "diagnosis", ())]
    for item in causes if len(causes) > 1 else ():  # a single one is in the message
        _complain(f"  - {item}")
    return code


class _UsageError(Exception):
    """Words that are no command line of ours; never leaves this module."""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that says where help is, and abbreviates nothing."""

    def __init__(self, *args: object, **options: object) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        # argparse would take the value of an option that it does not know for the command's name, and show it.
        for word in args or () if self._subparsers is not None else ():
            name = word.partition("=")[0]
            if not word.startswith("-") or word == "--":
                break
            if name not in self._option_string_actions:
                self.error(f"{name} is no option here; options follow the command: {self.prog} COMMAND {name} ...")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{self.prog}: {foreign_text.message(message)}\nTry '{self.prog} --help'.")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="mlsssl",
        description="HTTPS for a Windows service, renewed for ever.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"mlsssl {__version__}")
    parser.add_argument("--json", action="store_true", help=_JSON_HELP)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_certificate_commands(commands)
    _add_machine_commands(commands)
    _add_deployment_commands(commands)
    _add_quickstart(commands)
    for name in OLD_COMMANDS:
        commands.add_parser(name, help=f"{name}'s own command line, word for word; '{name} --help' says more")
    completion = _command(commands, "completion", "mlsssl._commands.completion:completion", "print a completion script")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return parser


def _command(
    commands: Commands,
    name: str,
    run: str,
    summary: str,
    *,
    machine: bool = False,
) -> _Parser:
    module, _, function = run.partition(":")
    parser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=(module, function))
    _add_json(parser)
    if machine:
        parser.add_argument("--machine", metavar="FILE", help="an embedded machine's file, instead of this computer")
    return parser


def _add_json(parser: _Parser) -> None:
    # A default here would undo a --json that stood further in front.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=_JSON_HELP)


def _group(commands: Commands, name: str, summary: str) -> Commands:
    parser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    _add_json(parser)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _add_key_options(parser: _Parser) -> None:
    parser.add_argument("--key", choices=KEY_TYPES, help="type of the private key to make")
    parser.add_argument("--out", required=True, metavar="FILE", help="where to; the suffix chooses the format")
    parser.add_argument("--password", metavar="SOURCE", help=f"for --out: {_SECRET_HELP}")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def _add_authority(parser: _Parser) -> None:
    parser.add_argument("--ca", required=True, metavar="FILE", help="the authority, with its private key")
    parser.add_argument("--ca-key", metavar="FILE", help="its private key, when that is a file of its own (.pvk, .key)")
    parser.add_argument("--ca-password", metavar="SOURCE", help=_SECRET_HELP)


def _add_certificate_commands(commands: Commands) -> None:
    room = "mlsssl._commands.certificates"
    ca = _group(commands, "ca", "certification authorities")
    parser = _command(ca, "create", f"{room}:create_authority", "create a root, or an intermediate under --issuer")
    parser.add_argument("name", help="its common name")
    _add_key_options(parser)
    parser.add_argument("--certificate-out", metavar="FILE", help="also write the certificate alone, for clients")
    parser.add_argument("--days", type=int, help="validity; ten years unless said")
    parser.add_argument("--path-length", type=int, help="authorities that may stand below it; 1 unless said")
    parser.add_argument("--permitted", action="append", default=[], metavar="DOMAIN|NETWORK", help="name constraint")
    parser.add_argument("--excluded", action="append", default=[], metavar="DOMAIN|NETWORK", help="name constraint")
    parser.add_argument("--issuer", metavar="FILE", help="the authority above it")
    parser.add_argument("--issuer-password", metavar="SOURCE", help=_SECRET_HELP)
    parser.add_argument("--crl-url", metavar="URL", help="where the issuer's revocation list is published")

    parser = _command(ca, "crl", f"{room}:revocation_list", "make an authority's revocation list")
    _add_authority(parser)
    parser.add_argument("--out", required=True, metavar="FILE", help="a new file: .pem, else DER")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.add_argument(
        "--previous",
        metavar="FILE",
        help="its list until now: what that revokes stays revoked (else it counts as good)",
    )
    parser.add_argument(
        "--revoke", action="append", default=[], metavar="FILE|SERIAL", help="revoke this one too; may be given again"
    )
    parser.add_argument("--reason", choices=REASONS, help="why, for all of --revoke")
    parser.add_argument("--days", type=int, default=30, help="how long the list is current; 30 unless said")
    parser.add_argument("--number", type=int, help="the list's number, which must grow; made from the time unless said")

    parser = _command(commands, "issue", f"{room}:issue", "issue a server certificate")
    parser.add_argument("names", nargs="+", metavar="NAME", help="host names and IP addresses")
    _add_authority(parser)
    _add_key_options(parser)
    parser.add_argument("--days", type=int, default=199, help="validity; 199 unless said")
    parser.add_argument("--common-name", help="the subject; the first name unless said, '' for none")
    parser.add_argument("--crl-url", metavar="URL", help="where the authority's revocation list is published")

    parser = _command(commands, "check", f"{room}:check", "check a certificate file, or what a server sends")
    parser.add_argument("target", metavar="FILE|HOST:PORT")
    parser.add_argument("--host", help="the name that clients connect to")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="FILE|system", help="trusted root; may be given again"
    )
    parser.add_argument(
        "--crl", action="append", default=[], metavar="FILE", help="revocation list; may be given again"
    )
    parser.add_argument(
        "--revocation", choices=("soft", "hard"), default="soft", help="hard: a missing or stale list is an error"
    )
    parser.add_argument("--profile", choices=PROFILES, default="private", help="whose rules; private unless said")
    parser.add_argument("--at", metavar="MOMENT", help="check for this moment (2027-01-31T12:00:00Z) instead of now")
    parser.add_argument("--key", metavar="FILE", help="its private key, when that is a file of its own")
    parser.add_argument("--no-key", action="store_true", help="no private key is expected")
    parser.add_argument("--password", metavar="SOURCE", help=_SECRET_HELP)

    parser = _command(commands, "show", f"{room}:show", "show what a certificate file says")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--key", metavar="FILE", help="its private key, when that is a file of its own")
    parser.add_argument("--password", metavar="SOURCE", help=_SECRET_HELP)

    parser = _command(commands, "explain", f"{room}:explain", "say what is in a PFX and who can read it")
    parser.add_argument("file", metavar="FILE.pfx")
    parser.add_argument("--password", metavar="SOURCE", help=f"to look inside: {_SECRET_HELP}")
    parser.add_argument("--readable-by", metavar="SYSTEM", help="1 unless this system is known to read it")

    parser = _command(commands, "pfx", f"{room}:pfx", "turn a certificate with its key into a PFX")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--key", metavar="FILE", help="its private key, when that is a file of its own")
    parser.add_argument("--in-password", metavar="SOURCE", help=f"for FILE: {_SECRET_HELP}")
    parser.add_argument("--out", required=True, metavar="FILE.pfx")
    parser.add_argument("--password", metavar="SOURCE", help=f"for --out: {_SECRET_HELP}")
    parser.add_argument("--friendly-name", help="the name that Windows shows")
    parser.add_argument("--readable-by", metavar="SYSTEM", help="the oldest system that must read it")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def _add_machine_commands(commands: Commands) -> None:
    room = "mlsssl._commands.machines"
    store = _group(commands, "store", "certificate stores")
    parsers = {
        "list": _command(store, "list", f"{room}:store_list", "list a store", machine=True),
        "add": _command(store, "add", f"{room}:store_add", "add a certificate with its key and chain", machine=True),
        "import": _command(store, "import", f"{room}:store_import", "import a PFX as the wizard does", machine=True),
        "remove": _command(store, "remove", f"{room}:store_remove", "remove a certificate and its key", machine=True),
    }
    lists = {
        "crls": _command(store, "crls", f"{room}:store_crls", "list a store's revocation lists", machine=True),
        "add-crl": _command(
            store, "add-crl", f"{room}:store_add_crl", "add revocation lists in place of older ones", machine=True
        ),
        "remove-crl": _command(
            store, "remove-crl", f"{room}:store_remove_crl", "remove a revocation list", machine=True
        ),
    }
    # On Windows revocation lists lie beside the intermediates.
    for default, group in (("MY", parsers), ("CA", lists)):
        for parser in group.values():
            parser.add_argument("--store", default=default, help=f"the store's name; {default} unless said")
            parser.add_argument("--location", choices=("LocalMachine", "CurrentUser"), default="LocalMachine")
    lists["add-crl"].add_argument("file", metavar="FILE")
    lists["remove-crl"].add_argument("crl", metavar="SHA1|FILE")
    for name in ("add", "import"):
        parser = parsers[name]
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--password", metavar="SOURCE", help=_SECRET_HELP)
        parser.add_argument("--friendly-name", help="shown in lists")
        parser.add_argument("--exportable", action="store_true", help="let the private key be read back later")
        parser.add_argument("--trust-root", action="store_true", help="put the chain's root into the store Root")
    parsers["add"].add_argument("--key", metavar="FILE", help="the private key, when that is a file of its own")
    parsers["remove"].add_argument("thumbprint")
    parsers["remove"].add_argument("--keep-key", action="store_true", help="leave the private key on the machine")
    parsers["remove"].add_argument(
        "--force", action="store_true", help="also when a binding uses it or a pending change needs it"
    )

    binding = _group(commands, "binding", "TLS bindings of HTTP.sys")
    _command(binding, "list", f"{room}:binding_list", "list every binding", machine=True)
    keyed = {
        "add": _command(binding, "add", f"{room}:binding_add", "bind a certificate to a key", machine=True),
        "update": _command(binding, "update", f"{room}:binding_update", "change a binding in one step", machine=True),
        "remove": _command(binding, "remove", f"{room}:binding_remove", "remove a binding", machine=True),
    }
    for parser in keyed.values():
        parser.add_argument("key", metavar="KEY", help="0.0.0.0:443, [::]:443, host:443, ccs=443, scopedccs=host:443")
    for name in ("add", "update"):
        parser = keyed[name]
        parser.add_argument("thumbprint", nargs="?", help="the certificate; none for the two CCS families")
        parser.add_argument("--store", help="the LocalMachine store it is in; MY unless said")
        parser.add_argument(
            "--option", action="append", default=[], metavar="NAME=VALUE", help="tls13=no and so on; may be given again"
        )
    keyed["add"].add_argument("--app-id", metavar="GUID", help="the owner; a new random GUID unless said")

    parser = _command(commands, "serve", f"{room}:serve", "serve an embedded machine's bindings", machine=True)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 127.0.0.1 unless said")
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="BOUND=ACTUAL",
        help="443=8443, may be given again; all unless said",
    )
    parser.add_argument("--seconds", type=float, help="stop after this long")


def _add_deployment_commands(commands: Commands) -> None:
    room = "mlsssl._commands.deployment"
    key_help = "0.0.0.0:443, [::]:443, www.example.com:443"
    parser = _command(commands, "deploy", f"{room}:deploy", "bind a certificate, whatever was there", machine=True)
    parser.add_argument("key", metavar="KEY", help=key_help)
    parser.add_argument("file", metavar="FILE", nargs="?", help="the certificate with its private key")
    parser.add_argument("--thumbprint", help="instead of FILE: one that is in the store with its key")
    parser.add_argument(
        "--key", dest="key_file", metavar="FILE", help="its private key, when that is a file of its own"
    )
    parser.add_argument("--password", metavar="SOURCE", help=_SECRET_HELP)
    parser.add_argument("--plan", action="store_true", help="only say what would be done; 1 when something forbids it")
    parser.add_argument("--store", help="the LocalMachine store; MY unless said")
    parser.add_argument("--app-id", metavar="GUID", help="the owner; unless said the present one, or a new random GUID")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="tls13=no and so on")
    parser.add_argument(
        "--on-conflict",
        choices=("replace", "fail", "keep", "replace-if-same-app"),
        default="replace",
        help="when the key has another binding; replace unless said",
    )
    parser.add_argument("--trust-root", action="store_true", help="put the chain's root into the store Root")
    parser.add_argument("--friendly-name", help="shown in lists")
    parser.add_argument("--exportable", action="store_true", help="let the private key be read back later")
    parser.add_argument("--host", help="the name that clients connect to, to check the certificate for")
    parser.add_argument("--profile", choices=PROFILES, default="private", help="whose rules; private unless said")
    parser.add_argument("--force", action="store_true", help="go on although the preflight found errors")
    parser.add_argument("--no-verify", action="store_true", help="no TLS handshake afterwards")
    _add_change_options(parser)

    parser = _command(commands, "renew", f"{room}:renew", "renew bound certificates in place", machine=True)
    parser.epilog = (
        "exit codes besides the common ones:\n  0 renewed   1 renewed, but the port serves another certificate; with\n"
        "  --plan, something forbids it\n"
        "  9 at least one failed   10 nothing was due"
    )
    parser.add_argument("keys", nargs="*", metavar="KEY", help=key_help)
    parser.add_argument("--all", action="store_true", help="every binding whose certificate this authority issued")
    parser.add_argument("--due", action="store_true", help="only those that are due")
    parser.add_argument("--ca", metavar="FILE", help="the authority, with its private key")
    parser.add_argument("--ca-key", metavar="FILE", help="its private key, when that is a file of its own (.pvk, .key)")
    parser.add_argument("--ca-password", metavar="SOURCE", help=_SECRET_HELP)
    parser.add_argument("--certificate", metavar="FILE", help="instead of --ca: the new certificate with its key")
    parser.add_argument("--password", metavar="SOURCE", help=f"for --certificate: {_SECRET_HELP}")
    parser.add_argument("--key", choices=KEY_TYPES, help="type of the new private key; the old one's unless said")
    parser.add_argument("--days", type=int, help="validity; the old one's, at most 199, unless said")
    parser.add_argument("--grace", type=float, default=30, metavar="DAYS", help="keep the old ones; 30 unless said")
    parser.add_argument("--fraction", type=float, default=2 / 3, help="share of the lifetime to use; 2/3 unless said")
    parser.add_argument("--jitter", type=float, default=1 / 20, help="earlier by up to this share; 1/20 unless said")
    parser.add_argument("--any-issuer", action="store_true", help="also certificates that somebody else issued")
    parser.add_argument("--plan", action="store_true", help="only say what would be done")
    _add_change_options(parser)

    parser = _command(commands, "undo", f"{room}:undo", "take the last deploy or renew of a key back", machine=True)
    parser.add_argument("key", metavar="KEY", help=key_help)
    parser = _command(
        commands, "recover", f"{room}:recover", "finish or take back what a killed process left", machine=True
    )
    parser.add_argument(
        "--abandon",
        metavar="KEY",
        help="give the change of this key up if it can be neither finished nor taken back; the machine stays as it is",
    )
    parser = _command(commands, "cleanup", f"{room}:cleanup", "remove superseded certificates and keys", machine=True)
    parser.add_argument("--grace", type=float, metavar="DAYS", help="since they were replaced; as renew was told")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser = _command(commands, "audit", f"{room}:audit", "every binding, certificate, key and finding", machine=True)
    parser.add_argument("--profile", choices=PROFILES, default="private", help="whose rules; private unless said")
    parser.add_argument("--unbound", action="store_true", help="also certificates that nothing is bound to")
    parser.add_argument("--remedies", action="store_true", help="each finding in full, with what to do")


def _add_change_options(parser: _Parser) -> None:
    parser.add_argument(
        "--restart", action="append", default=[], metavar="SERVICE", help="stop it meanwhile, and start it again"
    )
    parser.add_argument("--audit-log", metavar="FILE", help="add a JSON line for each change to this file")
    parser.add_argument("--trail", dest="audit_log", metavar="FILE", help=argparse.SUPPRESS)  # its former name


def _add_quickstart(commands: Commands) -> None:
    parser = _command(
        commands, "quickstart", "mlsssl._commands.quickstart:quickstart", "the whole procedure, shown on this computer"
    )
    parser.add_argument("name", metavar="NAME", help="the server's name, such as server-name.com")
    parser.add_argument("--keep", metavar="DIR", help="keep the files in this folder")
    parser.add_argument("--key", choices=KEY_TYPES, default="rsa-2048", help="type of the server's key")
