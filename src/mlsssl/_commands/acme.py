"""The options that name an ACME server, and `revoke`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import mlsssl
from mlsssl._commands.certificate import load_quietly
from mlsssl._commands.parser import PASSWORD_HELP, command, machine_of, seconds
from mlsssl._commands.terminal import note, read_password
from mlsssl._machine.programs import split_command
from mlsssl.errors import InvalidInputError
from mlsssl.values import REVOCATION_REASONS

if TYPE_CHECKING:
    from argparse import Namespace

    from mlsssl._commands.parser import Commands, Parser
    from mlsssl._commands.terminal import Terminal

_SOLVERS = ("acme_webroot", "acme_listen", "acme_http_sys", "acme_dns_hook", "acme_tls_alpn")

ACME_ARGUMENTS = (
    *("acme_agree_terms", "acme_contact", "acme_eab_id", "acme_eab_key", "acme_trust", *_SOLVERS, "acme_dns_wait"),
    *("acme_preferred_chain", "acme_profile", "acme_timeout", "acme_state"),
)
"""The names of the arguments that are for `--acme` alone."""


def add_commands(commands: Commands) -> None:
    """Add the parser of `revoke`."""
    summary = "have an ACME server revoke a certificate that it issued"
    parser = command(commands, "revoke", revoke, summary, "file", "--password", "--alias")
    add_account_options(parser, required=True)
    parser.add_argument("--key", dest="key_file", metavar="FILE", help="its private key, where another account has it")
    parser.add_argument("--reason", choices=REVOCATION_REASONS, help="why")


def add_account_options(parser: Parser, *, required: bool = False) -> None:
    """Add the options that name a server and the account there."""
    parser.add_argument(
        "--acme",
        metavar="DIRECTORY",
        required=required,
        help="an ACME server: the address of its directory, letsencrypt, or letsencrypt-staging",
    )
    parser.add_argument(
        "--acme-agree-terms", action="store_const", const=True, help="you agree to the server's terms of service"
    )
    parser.add_argument("--acme-contact", action="append", metavar="ADDRESS", help="e-mail; may be given again")
    parser.add_argument("--acme-eab-id", metavar="ID", help="key identifier of an account that the server knows")
    parser.add_argument(
        "--acme-eab-key", metavar="SOURCE", help=f"that account's HMAC key: as a password, {PASSWORD_HELP}"
    )
    parser.add_argument("--acme-trust", metavar="FILE", help="roots to verify an internal server's HTTPS with")
    parser.add_argument("--acme-timeout", type=seconds, metavar="SECONDS", help="for one order (default: 300)")
    parser.add_argument("--acme-state", metavar="FOLDER", help="where account and orders are kept; this user's own")


def add_acme_options(parser: Parser) -> None:
    """Add the options of an issuer."""
    add_account_options(parser)
    parser.add_argument("--acme-webroot", metavar="FOLDER", help="http-01: the root of the site on port 80")
    parser.add_argument("--acme-listen", metavar="ADDRESS:PORT", help="http-01: listen there meanwhile, 0.0.0.0:80 say")
    parser.add_argument(
        "--acme-http-sys",
        action="store_const",
        const=True,
        help="http-01 on Windows: share port 80 with IIS through HTTP.sys",
    )
    parser.add_argument(
        "--acme-dns-hook", metavar="COMMAND", help="dns-01: run as COMMAND present|cleanup NAME VALUE; no shell"
    )
    parser.add_argument("--acme-dns-wait", type=float, metavar="SECONDS", help="until everybody finds a new record")
    parser.add_argument(
        "--acme-tls-alpn",
        action="store_const",
        const=True,
        help="tls-alpn-01: by the embedded machine's own listener (serve), on port 443",
    )
    parser.add_argument("--acme-preferred-chain", metavar="NAME", help="common name of the root to lead to")
    parser.add_argument("--acme-profile", metavar="NAME", help="a profile that the server offers, shortlived say")


def acme_issuer(arguments: Namespace) -> mlsssl.Issuer:
    """The issuer that the options describe.

    Raises:
        InvalidInputError: options that do not go together, or one that cannot be.
        MlssslError: as `AcmeIssuer`.
    """
    from mlsssl.issuers.challenges import (
        DnsChallenge,
        HttpSysChallenge,
        SocketChallenge,
        TlsAlpnChallenge,
        WebrootChallenge,
    )

    solvers: list[Any] = []
    if arguments.acme_webroot is not None:
        solvers.append(WebrootChallenge(arguments.acme_webroot))
    if arguments.acme_listen is not None:
        solvers.append(SocketChallenge(arguments.acme_listen))
    if arguments.acme_http_sys:
        solvers.append(HttpSysChallenge())
    if arguments.acme_tls_alpn:
        with machine_of(arguments) as machine:
            if not isinstance(machine, mlsssl.EmbeddedMachine):
                raise InvalidInputError("--acme-tls-alpn is for an embedded machine: --machine FILE")
            solvers.append(TlsAlpnChallenge(machine))
    if arguments.acme_dns_hook is not None:
        wait = {} if arguments.acme_dns_wait is None else {"wait": arguments.acme_dns_wait}
        hook = split_command(arguments.acme_dns_hook, "--acme-dns-hook")
        solvers.append(DnsChallenge.by_command(hook, **wait))
    elif arguments.acme_dns_wait is not None:
        raise InvalidInputError("--acme-dns-wait is for --acme-dns-hook, which is not given")
    if not solvers:
        raise InvalidInputError(
            "--acme needs a way to show control over the names: --acme-webroot FOLDER, --acme-listen ADDRESS:PORT, "
            "--acme-http-sys, --acme-dns-hook COMMAND or --acme-tls-alpn"
        )
    return _account(arguments, solvers, preferred_chain=arguments.acme_preferred_chain, profile=arguments.acme_profile)


def _account(arguments: Namespace, solvers: list[Any], **more: Any) -> mlsssl.AcmeIssuer:
    if (arguments.acme_eab_id is None) != (arguments.acme_eab_key is None):
        raise InvalidInputError("--acme-eab-id and --acme-eab-key belong together")
    external = None
    if arguments.acme_eab_id is not None:
        external = (arguments.acme_eab_id, read_password(arguments.acme_eab_key, "the external account's HMAC key"))
    given = {
        "agree_terms": arguments.acme_agree_terms,
        "contact": arguments.acme_contact,
        "external_account": external,
        "trust": arguments.acme_trust,
        "timeout": arguments.acme_timeout,
        "state": arguments.acme_state,
        "progress": _tell if sys.stderr is not None and sys.stderr.isatty() else None,
        **more,
    }
    return mlsssl.AcmeIssuer(
        arguments.acme, solvers, **{name: value for name, value in given.items() if value is not None}
    )


def _tell(text: str) -> None:
    """What an order waits for, to a person at a terminal."""
    note(text)


def revoke(arguments: Namespace, terminal: Terminal) -> int:
    """`revoke FILE --acme DIRECTORY`."""
    certificate = load_quietly(arguments.file, arguments.password, key=arguments.key_file, alias=arguments.alias)
    if certificate.left_out and arguments.alias is None:  # nobody takes a revocation back
        raise InvalidInputError(
            f"{arguments.file} has other certificates too: give the thumbprint of the one to revoke, --alias THUMBPRINT"
        )
    _account(arguments, []).revoke(certificate, arguments.reason)
    terminal.result(
        {"revoked": str(certificate.thumbprint), "reason": arguments.reason},
        f"{arguments.acme} has revoked {certificate.thumbprint}; renew what is bound to it, for it is served on",
    )
    return 0
