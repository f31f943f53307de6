"""`reservation …`: URL reservations of HTTP.sys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlsssl
from mlsssl._commands.parser import command, group, machine_of, machine_to_add_to
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from argparse import Namespace

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal

_COLUMNS = {"url": "URL", "who": "WHO", "sddl": "SDDL"}


def add_commands(commands: Commands) -> None:
    """Add the parsers of this module's commands."""
    reservations = group(commands, "reservation", "URL reservations of HTTP.sys: who may listen where")
    command(reservations, "list", list_reservations, "list every reservation", "--machine")
    for name, run, summary in (
        ("add", add, "let an account listen on a URL"),
        ("update", update, "replace who may listen on a URL"),
        ("remove", remove, "remove a reservation"),
    ):
        parser = command(reservations, name, run, summary, "--machine")
        parser.add_argument("url", metavar="URL", help="the prefix: https://+:443/mls/")
        if run is not remove:
            parser.add_argument(
                "--user",
                action="append",
                metavar="ACCOUNT",
                help=r"whom to allow: NT SERVICE\name, DOMAIN\user, a SID; may be given again",
            )
            parser.add_argument("--sddl", metavar="SDDL", help="the access list itself, instead of --user")
            parser.add_argument("--delegate", action="store_true", help="also let them reserve parts of it for others")
            parser.add_argument("--no-listen", action="store_true", help="only let them do that, not listen")


def reservation_row(reservation: mlsssl.UrlReservation) -> dict[str, object]:
    """A reservation as it is listed: with who may do what."""
    from mlsssl.reservation import words_of  # here, for help and completion load no cryptography

    return {**reservation.to_dict(), "who": words_of(reservation)}


def _reserved(made: mlsssl.UrlReservation, terminal: Terminal) -> None:
    row = reservation_row(made)
    terminal.result(row, f"Reserved {made.url}: {row['who']}.")


def list_reservations(arguments: Namespace, terminal: Terminal) -> int:
    """`reservation list`."""
    with machine_of(arguments) as machine:
        rows = [reservation_row(reservation) for reservation in machine.reservations]
    terminal.table(rows, _COLUMNS, empty="Nothing is reserved.")
    return 0


def _made(arguments: Namespace, machine: mlsssl.Machine) -> mlsssl.UrlReservation:
    from mlsssl.reservation import prefix_of

    if (arguments.user is None) == (arguments.sddl is None):
        raise InvalidInputError("a reservation takes --user, whom to allow, or --sddl, the access list; one of the two")
    if arguments.sddl is not None and (arguments.delegate or arguments.no_listen):
        raise InvalidInputError("--sddl says itself who may listen and delegate: leave out --delegate and --no-listen")
    if arguments.no_listen and not arguments.delegate:
        raise InvalidInputError("--no-listen allows nothing without --delegate")
    return mlsssl.UrlReservation(
        prefix_of(arguments.url, machine),
        user=arguments.user,
        listen=not arguments.no_listen,
        delegate=arguments.delegate,
        sddl=arguments.sddl,
        machine=machine,
    )


def add(arguments: Namespace, terminal: Terminal) -> int:
    """`reservation add URL --user ACCOUNT`."""
    with machine_to_add_to(arguments, lambda machine: _made(arguments, machine).add()) as machine:
        _reserved(_made(arguments, machine).add(), terminal)
    return 0


def update(arguments: Namespace, terminal: Terminal) -> int:
    """`reservation update URL --user ACCOUNT`."""
    with machine_of(arguments) as machine:
        _reserved(_made(arguments, machine).update(), terminal)
    return 0


def remove(arguments: Namespace, terminal: Terminal) -> int:
    """`reservation remove URL`."""
    with machine_of(arguments) as machine:
        found = machine.reservations[arguments.url]
        found.remove()
        terminal.result({"removed": found.url.written}, f"Removed the reservation of {found.url}.")
    return 0
