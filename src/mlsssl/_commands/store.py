"""`store …`: certificates and revocation lists in a machine's stores."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import mlsssl
from mlsssl._commands.certificate import describe_crl, free_place, load_quietly, tell_left_out
from mlsssl._commands.parser import command, given, group, machine_of, machine_to_add_to
from mlsssl._commands.terminal import note, read_password
from mlsssl._machine import files
from mlsssl.errors import (
    AccessDeniedError,
    InvalidInputError,
    MalformedDataError,
    NotFoundError,
    UnsupportedError,
    WrongPasswordError,
)
from mlsssl.values import Location

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator, Sequence

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal

_Added = TypeVar("_Added")

_ADDING = "adding the certificate with its key and chain"


def add_commands(commands: Commands) -> None:
    """Add the parsers of this module's commands."""
    stores = group(commands, "store", "certificate stores")
    new = ("file", "--password", "--alias", "--friendly-name", "--exportable", "--trust-root")
    command(stores, "list", list_entries, "list a store")
    command(stores, "add", add, "add a certificate with its key and chain", *new, "--key")
    command(stores, "import", import_pfx, "import a PFX as the wizard does", *new)
    parser = command(stores, "remove", remove, "remove a certificate and its key")
    parser.add_argument("thumbprint", metavar="THUMBPRINT")
    parser.add_argument("--keep-key", action="store_true", help="leave the private key on the machine")
    parser.share("--force", help="also when a binding uses it or a pending change needs it")
    command(stores, "crls", list_crls, "list a store's revocation lists")
    command(stores, "add-crl", add_crl, "add revocation lists in place of older ones", "file")
    command(stores, "remove-crl", remove_crl, "remove a revocation list").add_argument("crl", metavar="SHA1|FILE")
    parser = command(stores, "export", export, "write a store's certificates into a file, without any private key")
    parser.add_argument("store", metavar="STORE", help="its name: MY, CA, Root and so on")
    parser.add_argument("--out", required=True, metavar="FILE", help="the file; .pem, .crt or .p7b says in which form")
    parser.add_argument("--format", choices=get_args(_Form), help="when the name of the file does not say it")
    parser.share("--overwrite", "--force")
    for name, run, summary in (
        ("access", access, "say who may read a private key"),
        ("grant", grant, "let an account read a private key"),
        ("revoke", revoke, "take from an account what lets it read a private key"),
    ):
        parser = command(stores, name, run, summary)
        parser.add_argument("thumbprint", metavar="THUMBPRINT", help="the certificate's")
        if name != "access":
            parser.add_argument(
                "account",
                metavar="ACCOUNT",
                help="its name, such as 'NETWORK SERVICE', 'NT SERVICE\\W3SVC', 'DOMAIN\\user', or its SID",
            )
    for name, parser in stores.choices.items():
        if name != "export":
            # On Windows revocation lists lie beside the intermediates.
            parser.add_argument("--store", default="CA" if "crl" in name else "MY", help="the store's name")
        parser.add_argument("--location", choices=get_args(Location), default=get_args(Location)[0])
        parser.share("--machine")


@contextlib.contextmanager
def _opened(arguments: Namespace) -> Iterator[tuple[mlsssl.Machine, mlsssl.Store]]:
    with (
        machine_of(arguments) as machine,
        machine.store(arguments.store, location=arguments.location) as store,
    ):
        yield machine, store


def _added(arguments: Namespace, add: Callable[[mlsssl.Store], _Added]) -> _Added:
    def add_to(machine: mlsssl.Machine) -> _Added:
        with machine.store(arguments.store, location=arguments.location) as store:
            return add(store)

    with machine_to_add_to(arguments, add_to) as machine:
        return add_to(machine)


def names_of(certificate: mlsssl.Certificate) -> list[str]:
    """Its names for a list: none where they cannot be read, for the others are to be listed all the same."""
    try:
        return list(certificate.names)
    except MalformedDataError:
        return []


def _entry_row(entry: mlsssl.StoreEntry) -> dict[str, object]:
    certificate = entry.certificate
    return {
        "thumbprint": str(entry.thumbprint),
        "names": names_of(certificate) or [certificate.subject],
        "friendly_name": entry.friendly_name,
        "not_after": f"{certificate.not_after:%Y-%m-%d}",
        "days_left": certificate.days_left,
        "has_private_key": entry.has_private_key,
        "key_problem": entry.key.problem if entry.key else None,
        "issuer": certificate.issuer,
        "renewed_by": None if entry.renewed_by is None else str(entry.renewed_by),
    }


_ENTRY_COLUMNS = {
    "thumbprint": "THUMBPRINT",
    "names": "NAMES",
    "not_after": "NOT AFTER",
    "days_left": "DAYS",
    "has_private_key": "KEY",
    "use": "USE",
    "friendly_name": "FRIENDLY NAME",
}


def list_entries(arguments: Namespace, terminal: Terminal) -> int:
    """`store list`."""
    with _opened(arguments) as (machine, store), terminal.working("reading the store"):
        keys = _bound_keys(machine, store)
        rows = [_entry_row(entry) for entry in sorted(store, key=lambda entry: entry.certificate.not_after)]
    for row in rows:
        bound = None if keys is None else keys.get(str(row["thumbprint"]), [])
        uses = [f"bound to {', '.join(bound)}"] if bound else []
        uses += ["superseded"] if row["renewed_by"] is not None else []
        row |= {"bound": bound, "use": "; ".join(uses) or None}
    terminal.table(rows, _ENTRY_COLUMNS, empty=f"{arguments.location}\\{arguments.store} is empty.")
    return 0


def _bound_keys(machine: mlsssl.Machine, store: mlsssl.Store) -> dict[str, list[str]] | None:
    """The keys that each certificate of a store is bound to, by its thumbprint; None, and a note, if it is not told."""
    found: dict[str, list[str]] = {}
    if store.location != "LocalMachine":  # the only place that HTTP.sys looks at
        return found
    try:
        for binding in machine.bindings:
            if (binding.store_name or "MY").upper() == store.name.upper():
                found.setdefault(str(binding.thumbprint), []).append(str(binding.key))
    except (AccessDeniedError, UnsupportedError) as error:
        note(f"note: what is bound is not known: {error}")
        return None
    return found


def add(arguments: Namespace, terminal: Terminal) -> int:
    """`store add FILE`."""
    certificate = load_quietly(arguments.file, arguments.password, key=arguments.key, alias=arguments.alias)
    if _is_bundle(certificate, arguments):
        return _add_bundle(mlsssl.Certificate.load_all(arguments.file), arguments, terminal)
    tell_left_out(arguments.file, certificate)
    options = _entry_options(arguments)
    with terminal.working(_ADDING):
        entry = _added(arguments, lambda store: store.add(certificate, **options))
    return _tell_added(entry, terminal)


def _is_bundle(certificate: mlsssl.Certificate, arguments: Namespace) -> bool:
    """Whether all of a file is to go in, and not one certificate with what stands above it."""
    if certificate.has_private_key or arguments.friendly_name is not None or arguments.alias is not None:
        return False
    several = arguments.store.upper() != "MY" or not _is_one_chain(certificate)
    return bool(certificate.left_out) or (bool(certificate.chain) and several)


def _is_one_chain(certificate: mlsssl.Certificate) -> bool:
    """Whether each certificate above it issued the one below."""
    path = (certificate, *certificate.chain)
    return all(lower.issuer == upper.subject for lower, upper in itertools.pairwise(path))


def _add_bundle(bundle: Sequence[mlsssl.Certificate], arguments: Namespace, terminal: Terminal) -> int:
    with terminal.working("adding certificates", len(bundle)) as progress:
        entries = _added(arguments, lambda store: store.add_all(bundle, progress=progress))
    lines = [f"Added {entry.thumbprint} to {entry.store_name}: {entry.certificate.subject}" for entry in entries]
    if moved := sum(entry.store_name != arguments.store for entry in entries):
        lines.append(f"{moved} of them are not self-signed, and went to CA: IIS wants none such in Root.")
    terminal.result([_entry_row(entry) for entry in entries], lines)
    return 0


def import_pfx(arguments: Namespace, terminal: Terminal) -> int:
    """`store import FILE.pfx`: the file as it is, the way the import wizard takes it."""
    options = {**_entry_options(arguments), "alias": arguments.alias}
    source = arguments.password
    password = None if source is None else read_password(source, "the password")

    def add_to(store: mlsssl.Store) -> mlsssl.StoreEntry:
        nonlocal password
        try:
            return store.import_pfx(arguments.file, password, **options)
        except WrongPasswordError:
            if password is not None:
                raise
            password = read_password(None, f"the password of {arguments.file}")
            return store.import_pfx(arguments.file, password, **options)

    with terminal.working(_ADDING):
        entry = _added(arguments, add_to)
    tell_left_out(arguments.file, mlsssl.Certificate.load(arguments.file, password=password, alias=arguments.alias))
    return _tell_added(entry, terminal)


def _entry_options(arguments: Namespace) -> dict[str, Any]:
    return given(arguments, "file", "key", "password", "alias", "store", "location")


def _tell_added(entry: mlsssl.StoreEntry, terminal: Terminal) -> int:
    terminal.result(_entry_row(entry), [repr(entry), f"Thumbprint {entry.thumbprint}"])
    return 0


def remove(arguments: Namespace, terminal: Terminal) -> int:
    """`store remove THUMBPRINT`."""
    with _opened(arguments) as (machine, store):
        machine_wide = arguments.location == "LocalMachine"
        removed = take_out(
            arguments.thumbprint,
            store,
            machine if machine_wide else None,  # a user's own store holds nothing that is bound
            delete_key=not arguments.keep_key,
            force=arguments.force,
        )
    terminal.result({"removed": str(removed), "key_deleted": not arguments.keep_key}, f"Removed {removed}.")
    return 0


def take_out(
    thumbprint: str, store: mlsssl.Store, machine: mlsssl.Machine | None, *, delete_key: bool, force: bool
) -> mlsssl.Thumbprint:
    """Remove a certificate unless a binding of the machine or a pending change needs it, or `force` says so."""
    from mlsssl._changes.recovery import changing
    from mlsssl.superseded import needed_by_pending

    # So that it is not bound between the look and the removal.
    with contextlib.nullcontext() if machine is None else changing(machine.port) as records:
        entry = store[thumbprint]
        needed = None if records is None else needed_by_pending(records).get(entry.thumbprint)
        if needed and not force:
            raise InvalidInputError(f"{entry.thumbprint} stays: {needed}; --force removes it all the same")
        bindings = () if machine is None else tuple(machine.bindings)
        bound = [str(b.key) for b in bindings if b.thumbprint == entry.thumbprint]
        if bound and not force:
            raise InvalidInputError(
                f"{entry.thumbprint} is bound to {', '.join(bound)}; --force removes it all the same"
            )
        store.remove(entry.thumbprint, delete_key=delete_key)
    return entry.thumbprint


_ACCESS_COLUMNS = {"name": "ACCOUNT", "sid": "SID", "right": "RIGHT", "inherited": "INHERITED"}


def access(arguments: Namespace, terminal: Terminal) -> int:
    """`store access THUMBPRINT`."""
    with _opened(arguments) as (_, store):
        entry = store[arguments.thumbprint]
        if not entry.has_private_key:
            raise NotFoundError(
                f"{entry.thumbprint} in {arguments.location}\\{arguments.store} has no usable private key"
            )
        found = entry.key_access
    _tell_access(found, terminal)
    return 0


def grant(arguments: Namespace, terminal: Terminal) -> int:
    """`store grant THUMBPRINT ACCOUNT`."""
    with _opened(arguments) as (_, store):
        _tell_access(store.grant_key_access(arguments.thumbprint, arguments.account), terminal)
    return 0


def revoke(arguments: Namespace, terminal: Terminal) -> int:
    """`store revoke THUMBPRINT ACCOUNT`."""
    with _opened(arguments) as (_, store):
        _tell_access(store.revoke_key_access(arguments.thumbprint, arguments.account), terminal)
    return 0


def _tell_access(found: Sequence[mlsssl.KeyAccess], terminal: Terminal) -> None:
    rows: list[dict[str, object]] = [
        {"name": one.name, "sid": one.sid, "right": one.right, "inherited": one.inherited} for one in found
    ]
    terminal.table(rows, _ACCESS_COLUMNS, empty="nobody may read it")


_Form = Literal["pem", "p7b"]
_FORMS: dict[str, _Form] = {".pem": "pem", ".crt": "pem", ".p7b": "p7b", ".p7c": "p7b", ".spc": "p7b"}


def export(arguments: Namespace, terminal: Terminal) -> int:
    """`store export STORE --out FILE`."""
    from mlsssl._formats.pem import x509_of
    from mlsssl._formats.pkcs7 import serialize_pkcs7  # which loads cryptography

    target = free_place(arguments.out, force=arguments.force)
    form = arguments.format or _FORMS.get(target.suffix.lower())
    if form is None:
        raise InvalidInputError(
            f"a {target.suffix} file holds one certificate, or it is not known what it holds: name it .pem or .p7b, or "
            "say --format"
        )
    with _opened(arguments) as (_, store), terminal.working("reading the store"):
        entries = sorted(store, key=lambda entry: str(entry.thumbprint))
        readable = [x509_of(entry.certificate) for entry in entries]
        total, crls = len(store), len(store.crls())
        data = store.to_pem() if form == "pem" else serialize_pkcs7(readable) if readable else b""
    where = f"{arguments.location}\\{arguments.store}"
    if not data:
        raise NotFoundError(f"{where} has no certificate that can be written; there is no new file")
    files.write(target, data, private=False)
    written = total if form == "pem" else len(readable)
    left_out = {
        "private_keys": sum(entry.key is not None for entry in entries),
        "revocation_lists": crls,
        "unreadable": total - written,
    }
    words = {
        "private_keys": "private key",
        "revocation_lists": "revocation list",
        "unreadable": "unreadable certificate",
    }
    told = ", ".join(_counted(count, words[name]) for name, count in left_out.items() if count)
    terminal.result(
        {"file": str(target), "format": form, "store": where, "certificates": written, "left_out": left_out},
        [f"Wrote {_counted(written, 'certificate')} of {where} to {target}.", f"Left out: {told or 'nothing'}."],
    )
    return 0


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


_CRL_COLUMNS = {
    "sha1": "SHA-1",
    "issuer": "ISSUER",
    "number": "NUMBER",
    "this_update": "THIS UPDATE",
    "next_update": "NEXT UPDATE",
    "entries": "ENTRIES",
}


def list_crls(arguments: Namespace, terminal: Terminal) -> int:
    """`store crls`."""
    with _opened(arguments) as (_, store), terminal.working("reading the store"):
        rows = [describe_crl(crl) for crl in store.crls()]
    rows.sort(key=lambda row: (str(row["issuer"]), str(row["this_update"])))
    terminal.table(
        rows, _CRL_COLUMNS, empty=f"There are no revocation lists in {arguments.location}\\{arguments.store}."
    )
    return 0


def add_crl(arguments: Namespace, terminal: Terminal) -> int:
    """`store add-crl FILE`."""
    with terminal.working("adding the revocation lists"):
        rows = [describe_crl(crl) for crl in _added(arguments, lambda store: store.add_crl(arguments.file))]
    lines = [f"Added the revocation list {row['sha1']} of {row['issuer']}." for row in rows]
    terminal.result(rows, lines or "Nothing to add: what is in the file is there already.")
    return 0


def remove_crl(arguments: Namespace, terminal: Terminal) -> int:
    """`store remove-crl SHA1|FILE`: a file of such a name wins."""
    wanted: mlsssl.Thumbprint | str = arguments.crl
    if not files.exists(Path(arguments.crl)):
        with contextlib.suppress(InvalidInputError):
            wanted = mlsssl.Thumbprint(arguments.crl)
    with _opened(arguments) as (_, store):
        store.remove_crl(wanted)
    terminal.result({"removed": str(wanted)}, f"Removed the revocation list {wanted}.")
    return 0
