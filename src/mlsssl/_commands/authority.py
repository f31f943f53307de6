"""`ca create`, `ca renew`, `ca issue-client`, `ca crl`, `issue`: what a certification authority does."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import mlsssl
from mlsssl._commands.certificate import (
    describe,
    describe_crl,
    free_place,
    free_place_for_both,
    load,
    new_password,
    save,
)
from mlsssl._commands.parser import PASSWORD_HELP, SUBJECT, command, given, group
from mlsssl._commands.remedies import in_commands
from mlsssl._commands.terminal import note
from mlsssl._machine import files
from mlsssl.errors import InvalidInputError, WrongPasswordError
from mlsssl.values import REVOCATION_REASONS, KeyType

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from mlsssl._commands.parser import Commands, Parser
    from mlsssl._commands.terminal import Terminal

_Format = Literal["pfx", "pem"]
_MAKING = "making the key and its certificate"

AUTHORITY_OPTIONS = ("--ca", "--ca-key", "--ca-password", "--ca-alias")


def add_commands(commands: Commands) -> None:
    """Add the parsers of this module's commands."""
    ca = group(commands, "ca", "certification authorities")
    summary = "create a root, or an intermediate under --issuer"
    parser = command(ca, "create", create, summary, library="CertificateAuthority.create")
    parser.add_argument("name", metavar="NAME", help="its common name")
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
    _add_issuer(parser, "the authority above it")
    parser.add_argument("--crl-url", metavar="URL", help="where the issuer's revocation list is published")

    summary = "make an authority's successor: the same name and limits, new dates, a new key"
    library = "CertificateAuthority.renew"
    parser = command(ca, "renew", renew, summary, *AUTHORITY_OPTIONS, library=library)
    parser.add_argument(
        "--bridge-out",
        metavar="FILE",
        help="of a root: where to write what to issue from until all clients have the new one",
    )
    parser.add_argument("--certificate-out", metavar="FILE", help="also write the new certificate alone, for clients")
    parser.add_argument(
        "--old-with-new-out", metavar="FILE", help="of a root: where to write the old key's certificate by the new one"
    )
    parser.add_argument("--reuse-key", action="store_true", help="certify the old key again")
    _add_new_key(parser)
    parser.add_argument("--days", type=int, help="validity; as long as the old one's by default")
    _add_issuer(parser, "of an intermediate: the authority above it")
    parser.add_argument("--crl-url", metavar="URL", help="where the successor's own revocation list will be published")

    summary = "issue a client certificate, with which a person or program shows a server who it is"
    library = "CertificateAuthority.issue_client"
    parser = command(ca, "issue-client", issue_client, summary, *AUTHORITY_OPTIONS, library=library)
    parser.add_argument("name", metavar="NAME", help="its common name: whom it is for")
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

    summary = "issue a server certificate, or many"
    parser = command(commands, "issue", issue, summary, *AUTHORITY_OPTIONS, library="CertificateAuthority.issue")
    parser.add_argument("names", nargs="*", metavar="HOST", help="host names and IP addresses")
    parser.add_argument(
        "--names",
        dest="names_file",
        metavar="FILE",
        help="many: a certificate for the names on each line of this file, into the folder --out; files that are there "
        "are left, so that the same command goes on after an interruption",
    )
    parser.add_argument("--format", choices=get_args(_Format), help="with --names: what to write (default: pfx)")
    parser.add_argument("--plan", action="store_true", help="with --names: only say which files would be written")
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


def _add_issuer(parser: Parser, text: str) -> None:
    parser.add_argument("--issuer", metavar="FILE", help=text)
    parser.add_argument("--issuer-password", metavar="SOURCE", help=PASSWORD_HELP)
    parser.add_argument("--issuer-alias", metavar="NAME", help="which one, where the issuer's file has several")


@contextlib.contextmanager
def telling_shortened() -> Iterator[list[str]]:
    """Say on standard error which certificates end with their authority; they are in the list as well."""
    from mlsssl._issue import lifetimes  # which brings cryptography along

    with lifetimes.noted() as notes:
        yield notes
    notes[:] = dict.fromkeys(notes)  # of many the same is to be said of each
    for one in notes:
        note(f"warning: {in_commands(one)}")


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
        issuer = _load_issuer(arguments)
        with telling_shortened(), terminal.working(_MAKING):
            authority = issuer.with_crl_url(arguments.crl_url).create_intermediate(arguments.name, **options)
    elif arguments.crl_url is not None:
        raise InvalidInputError(
            "--crl-url is the address of the issuer's list, and a root has no issuer; give it to issue"
        )
    else:
        with terminal.working(_MAKING):
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


def _load_issuer(arguments: Namespace) -> mlsssl.CertificateAuthority:
    return load_authority(
        arguments.issuer, arguments.issuer_password, alias=arguments.issuer_alias, option="issuer_alias"
    )


def renew(arguments: Namespace, terminal: Terminal) -> int:
    """`ca renew --ca FILE --out FILE`: the successor, and what leads clients from one root to the other."""
    places = {
        name: free_place(value, force=arguments.force)
        for name in ("out", "bridge_out", "certificate_out", "old_with_new_out")
        if (value := getattr(arguments, name)) is not None
    }
    if len({place.absolute() for place in places.values()}) < len(places):
        raise InvalidInputError("each of the files to write needs a name of its own, or one would replace another")
    for name in ("out", "bridge_out"):
        if name in places:
            free_place_for_both(str(places[name]), force=arguments.force)
    authority = load_authority(arguments.ca, arguments.ca_password, arguments.ca_key, arguments.ca_alias)
    own = ("ca", "ca_key", "ca_password", "ca_alias", "out", "bridge_out", "certificate_out", "old_with_new_out")
    options = given(arguments, *own, "password", "no_password", "force", "issuer", "issuer_password", "issuer_alias")
    issuer = _load_issuer(arguments) if arguments.issuer else None
    with terminal.working(_MAKING):
        made = authority.renew(issuer=issuer, **options)
    if made.bridge is not None and "bridge_out" not in places:
        raise InvalidInputError(
            "clients that have only the old root refuse what the new key signs: --bridge-out FILE is the authority to "
            "issue from until all have the new one; or --reuse-key keeps the key"
        )
    if made.bridge is None and {"bridge_out", "old_with_new_out"} & places.keys():
        raise InvalidInputError("only a root with a new key has cross-certificates: leave their files out")
    keys = [places[name] for name in ("out", "bridge_out") if name in places]
    password = new_password(
        keys, arguments.password, no_password=arguments.no_password, purpose=f"for {' and '.join(map(str, keys))}"
    )
    protected = {"password": password, "no_password": arguments.no_password, "overwrite": arguments.force}
    lines = [repr(made.authority)]
    made.authority.save(places["out"], **protected)
    lines.append(f"The successor with its private key is in {places['out']}: keep it to yourself.")
    if made.bridge is not None:
        made.bridge.save(places["bridge_out"], **protected)
        lines.append(f"Issue from {places['bridge_out']} until every client has the new root; keep it to yourself too.")
    if "certificate_out" in places:
        made.authority.certificate.save(places["certificate_out"], overwrite=arguments.force)
        lines.append(f"Clients are to trust {places['certificate_out']} beside the old one.")
    if made.old_with_new is not None and "old_with_new_out" in places:
        made.old_with_new.save(places["old_with_new_out"], overwrite=arguments.force)
        lines.append(f"{places['old_with_new_out']} is for the servers: add it to their store CA.")
    files_written = {name.removesuffix("_out"): str(place) for name, place in places.items() if name != "out"}
    terminal.result({**describe(made.authority.certificate), "file": str(places["out"]), "files": files_written}, lines)
    return 0


def revocation_list(arguments: Namespace, terminal: Terminal) -> int:
    """`ca crl --ca FILE --out FILE`: the authority's next revocation list."""
    from mlsssl.revocation_list import given_lists

    target = free_place(arguments.out, force=arguments.force)
    own = ("ca", "ca_key", "ca_password", "ca_alias", "out", "force", "previous", "revoke", "reason")
    options = given(arguments, *own)
    if arguments.previous is not None:
        options["previous"], *more = given_lists(arguments.previous)
        if more:
            raise InvalidInputError(f"{arguments.previous} holds {1 + len(more)} lists; give the authority's one")
    if arguments.reason is not None and not arguments.revoke:
        raise InvalidInputError("--reason is why --revoke revokes, and nothing is to be revoked: --revoke FILE|SERIAL")
    now = dt.datetime.now(dt.timezone.utc)
    revoked = [(_serial_of(one), now, arguments.reason) for one in arguments.revoke]
    authority = load_authority(arguments.ca, arguments.ca_password, arguments.ca_key, arguments.ca_alias)
    crl = authority.crl(revoked, at=now, **options)
    pem = target.suffix.lower() == ".pem"
    files.write(target, crl.to_pem() if pem else crl.to_der(), private=False)
    row = describe_crl(crl)
    line = f"{row['issuer']}, number {row['number']}, current until {row['next_update']} UTC, revokes {row['entries']}"
    terminal.result({**row, "file": str(target)}, [line, f"Saved to {target}."])
    return 0


def _serial_of(given_as: str) -> int:
    """A certificate file's serial number, or one in hexadecimal as `show` prints it; a file of such a name wins."""
    if not files.exists(Path(given_as)):
        digits = given_as.replace(":", "").removeprefix("0x")
        if digits and set(digits) <= set("0123456789abcdefABCDEF"):
            # A positive number of at most 20 bytes (RFC 5280 section 4.1.2.2) is none.
            if len(digits) == 40 and digits[0] > "7":
                raise InvalidInputError(
                    f"{given_as} is no serial number but a thumbprint, perhaps; give the certificate's file, or its "
                    "serial number as mlsssl show prints it"
                )
            return int(digits, 16)
    try:
        return mlsssl.Certificate.load(given_as).serial_number
    except WrongPasswordError:
        raise InvalidInputError(
            f"{given_as} is locked with a password; give the certificate's file without its key (.cer), or its serial "
            "number"
        ) from None


_OWN = ("ca", "ca_key", "ca_password", "ca_alias", "out", "password", "no_password", "force", "crl_url")


def issue(arguments: Namespace, terminal: Terminal) -> int:
    """`issue NAME… --ca FILE --out FILE`, or `issue --names FILE --ca FILE --out FOLDER`."""
    if bool(arguments.names) == (arguments.names_file is not None):
        raise InvalidInputError("issue takes the names of one certificate, or --names FILE with those of many")
    if arguments.names_file is not None:
        return _issue_many(arguments, terminal)
    if arguments.format is not None or arguments.plan:
        raise InvalidInputError("--format and --plan go with --names; of one certificate --out says the format")
    return _issue(arguments, terminal, "names", lambda ca, options: ca.issue(*arguments.names, **options))


def _issue_many(arguments: Namespace, terminal: Terminal) -> int:
    """`issue --names FILE --ca FILE --out FOLDER`."""
    from mlsssl._commands import issue_many  # which brings cryptography along

    if arguments.common_name is not None:
        raise InvalidInputError("--common-name is for one certificate; with --names each has its first name")
    source = files.path_of(arguments.names_file)
    wanted = issue_many.read_names(source, f".{arguments.format or 'pfx'}")
    folder = issue_many.folder_for(arguments.out, make=not arguments.plan)
    there = {one for one in wanted if not arguments.force and files.exists(folder / one.file)}
    left, todo = [one for one in wanted if one in there], [one for one in wanted if one not in there]
    done, notes = [one.to_dict() for one in todo], []
    if todo and not arguments.plan:
        authority = load_authority(arguments.ca, arguments.ca_password, arguments.ca_key, arguments.ca_alias)
        targets = [folder / one.file for one in todo]
        purpose = f"for the files in {folder}"
        password = new_password(targets, arguments.password, no_password=arguments.no_password, purpose=purpose)
        with telling_shortened() as notes:
            done = issue_many.issue_all(
                todo,
                authority.with_crl_url(arguments.crl_url),
                folder,
                terminal,
                source=source,
                options=given(arguments, "names", "names_file", "format", "plan", "common_name", *_OWN),
                password=password,
                no_password=arguments.no_password,
                overwrite=arguments.force,
            )
    elif arguments.plan:
        terminal.say([f"{one.file}: {', '.join(one.names)}" for one in todo])
    terminal.result(
        {
            "folder": str(folder),
            "plan": arguments.plan,
            "issued": done,
            "left": [one.to_dict() for one in left],
            "warnings": notes,
        },
        [
            *(f"{one.file}: is there already, and is left" for one in left),
            f"{'Would issue' if arguments.plan else 'Issued'} {len(done)}, left {len(left)}, in {folder}.",
        ],
    )
    return 0


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
    own = (names, "names_file", "format", "plan", *_OWN)
    with telling_shortened() as notes, terminal.working(_MAKING):
        certificate = make(authority.with_crl_url(arguments.crl_url), given(arguments, *own))
    saved = save(
        certificate, arguments.out, arguments.password, force=arguments.force, no_password=arguments.no_password
    )
    terminal.result(
        {**describe(certificate), "file": str(saved), "warnings": notes},
        [repr(certificate), f"Thumbprint {certificate.thumbprint}", f"Saved to {saved}."],
    )
    return 0
