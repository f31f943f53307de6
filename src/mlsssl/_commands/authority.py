"""`ca create`, `ca issue-client`, `ca crl`, `issue`: what a certification authority does."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import mlsssl
from mlsssl._commands.certificate import describe, describe_crl, free_place, free_place_for_both, load, save
from mlsssl._commands.parser import PASSWORD_HELP, SUBJECT, command, given, group
from mlsssl._machine import files
from mlsssl.errors import InvalidInputError
from mlsssl.values import REVOCATION_REASONS, KeyType

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from mlsssl._commands.parser import Commands, Parser
    from mlsssl._commands.terminal import Terminal

AUTHORITY_OPTIONS = ("--ca", "--ca-key", "--ca-password", "--ca-alias")


def add_commands(commands: Commands) -> None:
    """Add the parsers of this module's commands."""
    ca = group(commands, "ca", "certification authorities")
    summary = "create a root, or an intermediate under --issuer"
    parser = command(ca, "create", create, summary, library="CertificateAuthority.create")
    parser.add_argument("name", help="its common name")
    parser.share(*SUBJECT)
    _add_new_key(parser)
    parser.add_argument("--certificate-out", metavar="FILE", help="also write the certificate alone, for clients")
    parser.add_argument("--days", type=int, help="validity; below an issuer at most half of the default")
    parser.add_argument(
        "--path-length",
        type=int,
        help="authorities that may stand below it; any number, or with --issuer one less than the issuer's or 0",
    )
    for name in ("--permitted", "--excluded"):
        parser.add_argument(name, action="append", metavar="DOMAIN|NETWORK", help="name constraint")
    parser.add_argument("--issuer", metavar="FILE", help="the authority above it")
    parser.add_argument("--issuer-password", metavar="SOURCE", help=PASSWORD_HELP)
    parser.add_argument("--issuer-alias", metavar="NAME", help="which one, where the issuer's file has several")
    parser.add_argument("--crl-url", metavar="URL", help="where the issuer's revocation list is published")

    summary = "issue a client certificate, with which a person or program shows a server who it is"
    library = "CertificateAuthority.issue_client"
    parser = command(ca, "issue-client", issue_client, summary, *AUTHORITY_OPTIONS, library=library)
    parser.add_argument("name", help="its common name: whom it is for")
    parser.add_argument("--email", action="append", dest="emails", metavar="ADDRESS", help="may be given again")
    parser.add_argument(
        "--host", action="append", dest="hosts", metavar="NAME", help="of its computer; may be repeated"
    )
    parser.add_argument("--user-principal-name", metavar="USER@DOMAIN", help="of its account in Active Directory")
    parser.share(*SUBJECT)
    _add_new_key(parser)
    parser.add_argument("--days", type=int, help="validity")
    parser.add_argument("--crl-url", metavar="URL", help="where the authority's revocation list is published")

    summary = "make an authority's revocation list"
    parser = command(
        ca,
        "crl",
        revocation_list,
        summary,
        *AUTHORITY_OPTIONS,
        "--overwrite",
        "--force",
        library="CertificateAuthority.crl",
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="a new file: .pem, else DER")
    parser.add_argument(
        "--previous",
        metavar="FILE",
        help="its list until now: what that revokes stays revoked (else it counts as good)",
    )
    parser.add_argument(
        "--revoke", action="append", default=[], metavar="FILE|SERIAL", help="revoke this one too; may be given again"
    )
    parser.add_argument("--reason", choices=REVOCATION_REASONS, help="why, for all of --revoke")
    parser.add_argument("--days", type=int, help="how long the list is current")
    parser.add_argument("--number", type=int, help="the list's number, which must grow; made from the time by default")

    summary = "issue a server certificate"
    parser = command(commands, "issue", issue, summary, *AUTHORITY_OPTIONS, library="CertificateAuthority.issue")
    parser.add_argument("names", nargs="+", metavar="NAME", help="host names and IP addresses")
    _add_new_key(parser)
    parser.add_argument("--days", type=int, help="validity")
    parser.add_argument("--common-name", help="the common name; the first name by default, '' for none")
    parser.share(*SUBJECT)
    parser.add_argument("--crl-url", metavar="URL", help="where the authority's revocation list is published")


def _add_new_key(parser: Parser) -> None:
    parser.add_argument("--key", choices=get_args(KeyType), help="type of the private key to make")
    parser.add_argument("--out", required=True, metavar="FILE", help="where to; the suffix chooses the format")
    parser.share("--password", help=f"for --out: {PASSWORD_HELP}")
    parser.share("--no-password", "--overwrite", "--force")


def load_authority(
    path: str, source: str | None, key: str | None = None, alias: str | None = None, *, option: str = "ca_alias"
) -> mlsssl.CertificateAuthority:
    """An authority from its file, asking for its password only when it needs one; `option` as for `load`."""
    purpose = f"the password of the authority {path}"
    return mlsssl.CertificateAuthority(load(path, source, key=key, alias=alias, purpose=purpose, option=option))


def create(arguments: Namespace, terminal: Terminal) -> int:
    """`ca create NAME --out FILE`."""
    certificate_file = None
    if arguments.certificate_out is not None:
        certificate_file = free_place(arguments.certificate_out, force=arguments.force)
        if certificate_file.absolute() == files.path_of(arguments.out).absolute():
            raise InvalidInputError("--certificate-out is another file than --out: it would replace the private key")
    free_place_for_both(arguments.out, force=arguments.force, certificate_elsewhere=certificate_file is not None)
    own = ("name", "out", "password", "no_password", "force", "certificate_out", "crl_url")
    options = given(arguments, *own, "issuer", "issuer_password", "issuer_alias")
    if arguments.issuer:
        issuer = load_authority(
            arguments.issuer, arguments.issuer_password, alias=arguments.issuer_alias, option="issuer_alias"
        )
        authority = issuer.with_crl_url(arguments.crl_url).create_intermediate(arguments.name, **options)
    elif arguments.crl_url is not None:
        raise InvalidInputError(
            "--crl-url is the address of the issuer's list, and a root has no issuer; give it to issue"
        )
    else:
        authority = mlsssl.CertificateAuthority.create(arguments.name, **options)
    saved = save(authority, arguments.out, arguments.password, force=arguments.force, no_password=arguments.no_password)
    if certificate_file is not None:
        save(authority.certificate, str(certificate_file), None, force=arguments.force)
    clients = f"; clients trust {certificate_file}" if certificate_file else ""
    terminal.result(
        {**describe(authority.certificate), "file": str(saved), "certificate_file": arguments.certificate_out},
        [repr(authority), f"The authority with its private key is in {saved}: keep it to yourself{clients}."],
    )
    return 0


def revocation_list(arguments: Namespace, terminal: Terminal) -> int:
    """`ca crl --ca FILE --out FILE`: the authority's next revocation list."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from mlsssl._machine import revocation_lists

    target = free_place(arguments.out, force=arguments.force)
    own = ("ca", "ca_key", "ca_password", "ca_alias", "out", "force", "previous", "revoke", "reason")
    options = given(arguments, *own)
    if arguments.previous is not None:
        options["previous"], *more = revocation_lists.given(arguments.previous)
        if more:
            raise InvalidInputError(f"{arguments.previous} holds {1 + len(more)} lists; give the authority's one")
    now = dt.datetime.now(dt.timezone.utc)
    revoked = [(_serial_of(one), now, arguments.reason) for one in arguments.revoke]
    authority = load_authority(arguments.ca, arguments.ca_password, arguments.ca_key, arguments.ca_alias)
    crl = authority.crl(revoked, at=now, **options)
    pem = target.suffix.lower() == ".pem"
    files.write(target, crl.public_bytes(Encoding.PEM if pem else Encoding.DER), private=False)
    row = describe_crl(crl)
    line = f"{row['issuer']}, number {row['number']}, current until {row['next_update']} UTC, revokes {row['entries']}"
    terminal.result({**row, "file": str(target)}, [line, f"Saved to {target}."])
    return 0


def _serial_of(given_as: str) -> int:
    """A certificate file's serial number, or one in hexadecimal as `show` prints it; a file of such a name wins."""
    if not files.exists(Path(given_as)):
        digits = given_as.replace(":", "").removeprefix("0x")
        if digits and set(digits) <= set("0123456789abcdefABCDEF"):
            return int(digits, 16)
    return mlsssl.Certificate.load(given_as).serial_number


def issue(arguments: Namespace, terminal: Terminal) -> int:
    """`issue NAME… --ca FILE --out FILE`."""
    return _issue(arguments, terminal, "names", lambda ca, options: ca.issue(*arguments.names, **options))


def issue_client(arguments: Namespace, terminal: Terminal) -> int:
    """`ca issue-client NAME --ca FILE --out FILE`."""
    return _issue(arguments, terminal, "name", lambda ca, options: ca.issue_client(arguments.name, **options))


def _issue(
    arguments: Namespace,
    terminal: Terminal,
    names: str,
    make: Callable[[mlsssl.CertificateAuthority, dict[str, Any]], mlsssl.Certificate],
) -> int:
    free_place_for_both(arguments.out, force=arguments.force)
    authority = load_authority(arguments.ca, arguments.ca_password, arguments.ca_key, arguments.ca_alias)
    own = (names, "ca", "ca_key", "ca_password", "ca_alias", "out", "password", "no_password", "force", "crl_url")
    certificate = make(authority.with_crl_url(arguments.crl_url), given(arguments, *own))
    saved = save(
        certificate, arguments.out, arguments.password, force=arguments.force, no_password=arguments.no_password
    )
    terminal.result(
        {**describe(certificate), "file": str(saved)},
        [repr(certificate), f"Thumbprint {certificate.thumbprint}", f"Saved to {saved}."],
    )
    return 0
