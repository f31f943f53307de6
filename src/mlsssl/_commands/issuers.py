"""The options of `renew` and `deploy` that say who makes the certificate, and the issuer that they name.

A further issuer is an entry in `_ISSUERS`: the option that chooses it, and what makes it of the arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlsssl
from mlsssl._commands.acme import ACME_ARGUMENTS, acme_issuer, add_acme_options
from mlsssl._commands.authority import load_authority
from mlsssl._commands.parser import seconds
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
        "--adcs",
        metavar="HOST\\CA",
        help="instead of --ca: AD Certificate Services, by certreq, as its console names it",
    )
    parser.add_argument("--adcs-template", metavar="NAME", help="for --adcs: the template, such as WebServer")
    parser.add_argument(
        "--adcs-request-id",
        type=int,
        metavar="NUMBER",
        help="for --adcs: the number of a request that was handed in before, where it is not known here; 0 to hand the "
        "request in again",
    )
    parser.add_argument(
        "--adcs-state", metavar="FOLDER", help="for --adcs: where the numbers of requests are kept; this user's own"
    )
    parser.add_argument(
        "--issued-by",
        metavar="FILE",
        help="for --issuer-command and --adcs: the certificate of the authority that signs",
    )
    parser.add_argument(
        "--issuer-timeout", type=seconds, metavar="SECONDS", help="how long --issuer-command, or certreq, may take"
    )
    add_acme_options(parser)


def names_issuer(arguments: Namespace) -> bool:
    """Whether the options name an issuer.

    `InvalidInputError` when they name several, or an option goes with none of those that are named.
    """
    chosen = [name for name in _ISSUERS if getattr(arguments, name) is not None]
    if len(chosen) > 1:
        raise InvalidInputError(f"{' and '.join(map(_option, chosen))} each name an issuer; give one of them")
    for other in (name for name in ISSUER_ARGUMENTS if name not in _ISSUERS and getattr(arguments, name) is not None):
        users = [name for name, (_, others) in _ISSUERS.items() if other in others]
        if not set(users) & set(chosen):
            raise InvalidInputError(f"{_option(other)} is for {' or '.join(map(_option, users))}, which is not given")
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
    command = split_command(arguments.issuer_command, "--issuer-command")
    return mlsssl.CommandIssuer(command, issued_by=mlsssl.Certificate.load_all(arguments.issued_by), **_time(arguments))


def _adcs(arguments: Namespace) -> mlsssl.Issuer:
    return mlsssl.AdcsIssuer(
        arguments.adcs,
        template=arguments.adcs_template,
        issued_by=() if arguments.issued_by is None else mlsssl.Certificate.load_all(arguments.issued_by),
        request_id=arguments.adcs_request_id,
        state=arguments.adcs_state,
        **_time(arguments),
    )


def _time(arguments: Namespace) -> dict[str, Any]:
    return {} if arguments.issuer_timeout is None else {"timeout": arguments.issuer_timeout}


_ISSUERS: dict[str, tuple[Callable[[Namespace], mlsssl.Issuer], tuple[str, ...]]] = {
    "ca": (_authority, ("ca_key", "ca_password", "ca_alias")),
    "issuer_command": (_program, ("issued_by", "issuer_timeout")),
    "acme": (acme_issuer, ACME_ARGUMENTS),
    "adcs": (_adcs, ("adcs_template", "adcs_request_id", "adcs_state", "issued_by", "issuer_timeout")),
}
"""By the argument that chooses it: what makes the issuer, and the other arguments that are for it."""

ISSUER_ARGUMENTS = tuple(name for chooser, (_, others) in _ISSUERS.items() for name in (chooser, *others))
"""The names of all these arguments, which no function of the library takes."""

ISSUERS = "--ca, --issuer-command, --adcs or --acme"
"""The options that choose one, in words."""


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
