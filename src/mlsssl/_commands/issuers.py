"""The options of `renew` and `deploy` that say who makes the certificate, and the issuer that they name.

A further issuer is an entry in `_ISSUERS`: the option that chooses it, and what makes it of the arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlsssl
from mlsssl._commands.acme import ACME_ARGUMENTS, acme_issuer, add_acme_options
from mlsssl._commands.authority import load_authority
from mlsssl._machine.programs import split_command
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from mlsssl._commands.parser import Parser


def add_issuer_options(parser: Parser) -> None:
    """Add the options of every issuer."""
    parser.share("--ca", required=False)
    parser.share("--ca-key", "--ca-password", "--ca-alias")
    parser.add_argument(
        "--issuer-command",
        metavar="COMMAND",
        help="instead of --ca: a program, with arguments, that reads a request and writes the certificate; no shell",
    )
    parser.add_argument(
        "--issued-by", metavar="FILE", help="for --issuer-command: the certificate of the authority that signs"
    )
    parser.add_argument("--issuer-timeout", type=float, metavar="SECONDS", help="how long --issuer-command may take")
    add_acme_options(parser)


def names_issuer(arguments: Namespace) -> bool:
    """Whether the options name an issuer.

    `InvalidInputError` when they name several, or an option goes with none of those that are named.
    """
    chosen = [name for name in _ISSUERS if getattr(arguments, name) is not None]
    if len(chosen) > 1:
        raise InvalidInputError(f"{' and '.join(map(_option, chosen))} each name an issuer; give one of them")
    for name, (_, others) in _ISSUERS.items():
        stray = next((other for other in others if getattr(arguments, other) is not None), None)
        if stray is not None and name not in chosen:
            raise InvalidInputError(f"{_option(stray)} is for {_option(name)}, which is not given")
    return bool(chosen)


def issuer_of(arguments: Namespace) -> mlsssl.Issuer | None:
    """The issuer that the options name, which may ask for its password; None when they name none.

    Errors as `names_issuer`, and as what reads or makes the issuer.
    """
    if not names_issuer(arguments):
        return None
    return next(make(arguments) for name, (make, _) in _ISSUERS.items() if getattr(arguments, name) is not None)


def _authority(arguments: Namespace) -> mlsssl.Issuer:
    return load_authority(arguments.ca, arguments.ca_password, arguments.ca_key, arguments.ca_alias)


def _program(arguments: Namespace) -> mlsssl.Issuer:
    if arguments.issued_by is None:
        raise InvalidInputError(
            "--issuer-command needs --issued-by FILE, the certificate of the authority that signs: by it the command's "
            "own certificates are told from others"
        )
    options = {} if arguments.issuer_timeout is None else {"timeout": arguments.issuer_timeout}
    command = split_command(arguments.issuer_command, "--issuer-command")
    return mlsssl.CommandIssuer(command, issued_by=mlsssl.Certificate.load_all(arguments.issued_by), **options)


_ISSUERS: dict[str, tuple[Callable[[Namespace], mlsssl.Issuer], tuple[str, ...]]] = {
    "ca": (_authority, ("ca_key", "ca_password", "ca_alias")),
    "issuer_command": (_program, ("issued_by", "issuer_timeout")),
    "acme": (acme_issuer, ACME_ARGUMENTS),
}
"""By the argument that chooses it: what makes the issuer, and the arguments that are for it alone."""

ISSUER_ARGUMENTS = tuple(name for chooser, (_, others) in _ISSUERS.items() for name in (chooser, *others))
"""The names of all these arguments, which no function of the library takes."""

ISSUERS = "--ca, --issuer-command or --acme"
"""The options that choose one, in words."""


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
