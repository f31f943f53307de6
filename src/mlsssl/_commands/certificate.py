"""`check`, `show`, `explain`, `pfx`: certificate files; and how every command reads and writes one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import mlsssl
from mlsssl._commands.addresses import endpoint_of
from mlsssl._commands.parser import PASSWORD_HELP, command, given
from mlsssl._commands.terminal import note, read_password
from mlsssl._formats import sniff
from mlsssl._formats.sniff import Kind
from mlsssl._machine import files
from mlsssl._messages.foreign_text import shown
from mlsssl._messages.output import as_dict
from mlsssl.errors import (
    ExistsError,
    InvalidInputError,
    MalformedDataError,
    NotFoundError,
    UnreadableCertificateError,
    WrongPasswordError,
)
from mlsssl.values import Purpose, Strictness, is_thumbprint

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal
    from mlsssl._formats.sniff import Recognised
    from mlsssl._select.trust import TrustAnchor
    from mlsssl.revocation_list import RevocationList

_MOST_LEFT_OUT = 20
_SUFFIXES = (".pfx", ".p12", ".pem", ".crt", ".cer", ".der", ".p7b", ".p7c", ".spc")


def add_commands(commands: Commands) -> None:
    """Add the parsers of this module's commands."""
    summary = "check a certificate file, or what a server sends"
    shared = ("--key", "--password", "--alias", "--profile", "--client")
    parser = command(commands, "check", check, summary, *shared, library="Certificate.check")
    parser.add_argument("target", metavar="FILE|HOST:PORT|URL")
    parser.add_argument("--host", help="the name that clients connect to")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="FILE|system", help="trusted root; may be given again"
    )
    parser.add_argument(
        "--crl", action="append", default=[], metavar="FILE", help="revocation list; may be given again"
    )
    parser.add_argument("--revocation", choices=get_args(Strictness), help="hard: a missing or stale list is an error")
    parser.add_argument("--purpose", choices=get_args(Purpose), help="client: it shows a server who its owner is")
    parser.add_argument("--at", metavar="MOMENT", help="check for this moment (2027-01-31T12:00:00Z) instead of now")
    parser.add_argument("--no-key", action="store_true", help="no private key is expected")

    command(commands, "show", show, "show what a certificate file says", "file", "--key", "--password", "--alias")

    parser = command(commands, "explain", explain, "say what is in a PFX and who can read it")
    parser.share("file", metavar="FILE.pfx")
    parser.share("--password", help=f"to look inside: {PASSWORD_HELP}")
    parser.share("--alias", help="of several private keys, whose to tell: friendly name (Java: alias) or thumbprint")
    parser.add_argument("--readable-by", metavar="SYSTEM", help="exit code 1 if this system is not known to read it")

    summary = "turn a certificate with its key into a PFX"
    options = ("--key", "--alias", "--friendly-name", "--overwrite", "--force")
    parser = command(commands, "pfx", pfx, summary, "file", *options)
    parser.add_argument("--in-password", metavar="SOURCE", help=f"for FILE: {PASSWORD_HELP}")
    parser.add_argument("--out", required=True, metavar="FILE.pfx")
    parser.share("--password", help=f"for --out: {PASSWORD_HELP}")
    parser.share("--no-password")
    parser.add_argument("--readable-by", metavar="SYSTEM", help="the oldest system that must read it")


def describe(certificate: mlsssl.Certificate) -> dict[str, object]:
    """A certificate as plain values, ready for JSON."""
    return {
        **as_dict(certificate, "subject", "issuer", "names"),
        "serial_number": f"{certificate.serial_number:x}",
        **as_dict(certificate, "not_before", "not_after", "days_left", "key_type", "signature_hash", "key_usages"),
        **as_dict(certificate, "extended_key_usages", "is_ca", "has_private_key", "friendly_name"),
        **as_dict(certificate, "thumbprint", "sha256"),
        "chain": [one.subject for one in certificate.chain],
        **_faults(certificate),
    }


def _faults(what: mlsssl.Certificate | mlsssl.CertificateRequest) -> dict[str, object]:
    """Hardly anything has any, so that they have no line of their own there."""
    return {"encoding_faults": [*what.encoding_faults]} if what.encoding_faults else {}


def describe_crl(crl: RevocationList) -> dict[str, object]:
    """A revocation list as plain values, ready for JSON."""
    return {
        "sha1": str(crl.thumbprint),
        **as_dict(crl, "issuer", "number"),
        "this_update": f"{crl.this_update:%Y-%m-%d %H:%M}",
        "next_update": None if crl.next_update is None else f"{crl.next_update:%Y-%m-%d %H:%M}",
        "entries": len(crl),
    }


def load(
    path: str,
    source: str | None,
    *,
    key: str | None = None,
    alias: str | None = None,
    purpose: str | None = None,
    option: str = "alias",
) -> mlsssl.Certificate:
    """Load a file, asking for its password only when it needs one, and say what of it is left out.

    `option` is what `--alias` is called in the command, for its errors.
    """
    try:
        certificate = load_quietly(path, source, key=key, alias=alias, purpose=purpose)
    except MalformedDataError as error:
        raise type(error)(str(error).replace(" alias=...", f" {option}=...")) from None
    tell_left_out(path, certificate)
    return certificate


def load_quietly(
    path: str, source: str | None, *, key: str | None = None, alias: str | None = None, purpose: str | None = None
) -> mlsssl.Certificate:
    """As `load`, for who says himself what is left out; the file with the key is asked for its own password."""
    purpose = purpose or f"the password of {path}"
    if source is not None:
        return mlsssl.Certificate.load(path, password=read_password(source, purpose), key=key, alias=alias)
    passwords: dict[str, str] = {}
    while True:
        try:
            return mlsssl.Certificate.load(path, key=key, alias=alias, **passwords)
        except WrongPasswordError:
            of_key = key is not None and _opens(path, passwords.get("password"), alias)
            locked = "key_password" if of_key else "password"
            if locked in passwords:
                raise
            passwords[locked] = read_password(None, f"the password of {key}" if of_key else purpose)


def _opens(path: str, password: str | None, alias: str | None) -> bool:
    try:
        mlsssl.Certificate.load(path, password=password, alias=alias)
    except WrongPasswordError:
        return False
    return True


def tell_left_out(path: str, certificate: mlsssl.Certificate) -> None:
    """Name what the file holds besides, on standard error."""
    left_out = certificate.left_out
    more = [f"and {len(left_out) - _MOST_LEFT_OUT} more"] if len(left_out) > _MOST_LEFT_OUT else []
    for one in (*left_out[:_MOST_LEFT_OUT], *more):
        note(f"{path}: left out: {one}")


def free_place(out: str, *, force: bool) -> Path:
    """Where a file may be written: nothing is there, or `force` says to replace it."""
    target = files.path_of(out)
    if not out or files.is_folder(target):
        raise InvalidInputError(f"{shown(out)} is a folder; name a file" if out else "a file's name is needed, not ''")
    if files.exists(target) and not force:
        raise ExistsError(f"{target} is there already; --overwrite replaces it, and a private key in it is lost")
    return target


def free_place_for_both(out: str, *, force: bool, certificate_elsewhere: bool = False) -> None:
    """Refuse, before anything is made, a place that would lose the new private key or its certificate."""
    suffix = free_place(out, force=force).suffix.lower()
    missing = {".key": "certificate", ".pvk": "certificate"}.get(suffix) if not certificate_elsewhere else None
    if suffix in (".crt", ".cer", ".der", ".p7b", ".spc"):
        missing = "private key"
    if missing is not None:
        raise InvalidInputError(
            f"a {suffix} file holds no {missing}, and the new one would be lost: write .pfx, .p12 or .pem, which hold "
            "both"
        )


def save(
    what: mlsssl.Certificate | mlsssl.CertificateAuthority,
    out: str,
    source: str | None,
    *,
    force: bool,
    no_password: bool = False,
    readable_by: str | None = None,
) -> Path:
    """Save; only `force` replaces a file that is there, for it may hold the only copy of a key."""
    target = free_place(out, force=force)
    has_key = isinstance(what, mlsssl.CertificateAuthority) or what.has_private_key
    password = new_password([target] if has_key else [], source, no_password=no_password, purpose=f"for {target}")
    return what.save(target, password=password, no_password=no_password, readable_by=readable_by, overwrite=force)


def new_password(targets: Sequence[Path], source: str | None, *, no_password: bool, purpose: str) -> str | None:
    """The password to write these files with private keys with: the one given, or asked for where one is a PFX."""
    if source is not None and no_password:
        raise InvalidInputError("--no-password is to write without a password, and --password gives one")
    asked = not no_password and any(target.suffix.lower() in (".pfx", ".p12") for target in targets)
    if source is None and not asked:
        return None
    instead = "; --no-password writes a file that everybody can read"
    return read_password(source, f"a password {purpose}", new=True, instead=instead)


def show(arguments: Namespace, terminal: Terminal) -> int:
    """`show FILE`: what the file is, and what the certificate, request, key or revocation list in it says."""
    recognised = recognise(arguments.file)
    data: dict[str, object] = {}
    left_out: tuple[str, ...] = ()
    if recognised.of(Kind.CERTIFICATE, Kind.PKCS7, Kind.PFX):
        certificate = load(arguments.file, arguments.password, key=arguments.key, alias=arguments.alias)
        data |= describe(certificate)
        left_out = certificate.left_out
    elif recognised.of(Kind.REQUEST):
        request = mlsssl.CertificateRequest.load(arguments.file)
        data |= {**as_dict(request, "subject", "names", "key_type"), **_faults(request)}
    elif recognised.of(Kind.REVOCATION_LIST):
        from mlsssl.revocation_list import given_lists, wrapped_lists

        data["revocation_lists"] = [describe_crl(crl) for crl in wrapped_lists(given_lists(Path(arguments.file)))]
    elif recognised.of(Kind.PRIVATE_KEY, Kind.PVK):
        data["key_type"] = _key_type(arguments.file, arguments.password)
    data |= {"file": arguments.file, "holds": str(recognised), "wrapped_in": list(recognised.wrappings)}
    terminal.facts(data, left_out=list(left_out))
    return 0


def recognise(path: str) -> Recognised:
    """What a file is; the error for one that is not read names it."""
    data = files.read(files.path_of(path))
    with files.naming(path):
        return sniff.recognise(data)


def _key_type(path: str, source: str | None) -> str:
    from mlsssl._formats.contents import read_private_key
    from mlsssl._formats.keys import key_type_name

    data = files.read(files.path_of(path))
    if source is None:
        try:
            return key_type_name(read_private_key(data, None).public_key())
        except WrongPasswordError:
            pass
    return key_type_name(read_private_key(data, read_password(source, f"the password of {path}")).public_key())


def pfx(arguments: Namespace, terminal: Terminal) -> int:
    """`pfx FILE --out FILE.pfx`: any format in, PFX out."""
    certificate = load(arguments.file, arguments.in_password, key=arguments.key, alias=arguments.alias)
    target = files.path_of(arguments.out)
    if target.suffix.lower() not in (".pfx", ".p12"):
        raise InvalidInputError(f"--out is a .pfx or .p12 file, not {target}")
    if not certificate.has_private_key:
        raise InvalidInputError(f"there is no private key with {arguments.file}; give its file with --key")
    if arguments.friendly_name is not None:
        certificate = certificate.with_friendly_name(arguments.friendly_name)
    options = {"no_password": arguments.no_password, "readable_by": arguments.readable_by}
    save(certificate, arguments.out, arguments.password, force=arguments.force, **options)
    terminal.result({**describe(certificate), "file": str(target)}, [repr(certificate), f"Saved to {target}."])
    return 0


def explain(arguments: Namespace, terminal: Terminal) -> int:
    """`explain FILE.pfx`: 6 when the password given is wrong, 1 when `--readable-by` is not known to read it."""
    password = None
    if arguments.password is not None:
        password = read_password(arguments.password, f"the password of {arguments.file}")
    data = files.read(files.path_of(arguments.file))
    with files.naming(arguments.file):
        found = mlsssl.explain_pfx(data, password, alias=arguments.alias)
    reads = None if arguments.readable_by is None else found.readable_by(arguments.readable_by)
    terminal.result({"file": arguments.file, **found.to_dict()}, str(found))
    if found.password == "wrong":  # noqa: S105 -- a verdict, no password
        return 6  # what a wrong password is to every command, although most of it could be explained
    return 0 if reads or arguments.readable_by is None else 1


def check(arguments: Namespace, terminal: Terminal) -> int:
    """`check FILE` or `check HOST:PORT`: 0 when nothing forbids the use, 1 when something does."""
    from mlsssl.revocation_list import given_lists

    options = {
        **given(arguments, "target", "crl", "key", "no_key", "password", "alias"),
        "at": parse_moment(arguments.at),
        "trust": [root for path in arguments.trust or ["system"] for root in load_anchors(path)],
        "crls": [crl for path in arguments.crl for crl in given_lists(path)],
    }
    is_file = files.exists(files.path_of(arguments.target))
    endpoint = None if is_file else endpoint_of(arguments.target)
    try:
        if endpoint is not None:
            if options.pop("purpose", "server") == "client":
                raise InvalidInputError("--purpose client is for a certificate file; what a server sends is a server's")
            with terminal.working("asking the server"):
                seen = mlsssl.check_endpoint(endpoint, **options)
            terminal.report(seen.to_dict(), str(seen))
            return 0 if seen.report.ok else 1
        try:
            certificate = load(arguments.target, arguments.password, key=arguments.key, alias=arguments.alias)
        except NotFoundError as error:
            suffix = files.path_of(arguments.target).suffix.lower()
            might_be_host = suffix not in _SUFFIXES and not is_thumbprint(arguments.target)
            if not is_file and might_be_host and endpoint_of(f"{arguments.target}:443") is not None:
                raise NotFoundError(f"{error}; a server is given with its port: {arguments.target}:443") from None
            raise
        report = certificate.check(key_expected=not arguments.no_key, **options)
    except UnreadableCertificateError as error:
        from mlsssl._validator.validate import report_on_unreadable

        report = report_on_unreadable(str(error), **{name: options.get(name) for name in ("host", "at", "profile")})
    terminal.report(report.to_dict(), str(report))
    return 0 if report.ok else 1


def load_anchors(path: str) -> Sequence[TrustAnchor]:
    """Every certificate in a file without secrets, as OpenSSL takes a CAfile; `system` is the operating system's."""
    if path == "system":
        return ["system"]
    try:
        return mlsssl.Certificate.load_all(path)
    except WrongPasswordError:
        raise InvalidInputError(
            f"{path} is locked with a password; trust the authority's certificate file (.cer), not the one with its key"
        ) from None


def parse_moment(text: str | None) -> dt.datetime | None:
    """A moment as the command line takes it, UTC unless it says otherwise; None for none."""
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InvalidInputError(
            f"a moment is written as 2027-01-31 or 2027-01-31T12:00:00Z, not {shown(text)}"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)
