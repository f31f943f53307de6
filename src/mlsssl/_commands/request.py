"""`request create`, `show`, `sign`, `complete`: certificate requests (PKCS#10, RFC 2986), from both sides."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, get_args

import mlsssl
from mlsssl._commands.authority import AUTHORITY_OPTIONS, load_authority, telling_shortened
from mlsssl._commands.certificate import describe, free_place, load_quietly, save, tell_left_out
from mlsssl._commands.parser import PASSWORD_HELP, SUBJECT, command, given, group, machine_of, machine_to_add_to
from mlsssl._commands.terminal import note, read_password
from mlsssl._messages.output import as_dict
from mlsssl.errors import InvalidInputError, NotFoundError, WrongPasswordError
from mlsssl.values import KeyType

if TYPE_CHECKING:
    from argparse import Namespace

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal

_LIMIT = 1024 * 1024


_MAKING = "making the key and its request"


def add_commands(commands: Commands) -> None:
    """Add the parsers of this module's commands."""
    requests = group(commands, "request", "certificate requests (CSR)")
    summary = "make a private key, and the request that asks an authority for its certificate"
    parser = command(
        requests,
        "create",
        create,
        summary,
        *SUBJECT,
        "--machine",
        "--overwrite",
        "--force",
        library="CertificateRequest.create",
    )
    parser.add_argument("hosts", nargs="*", metavar="HOST", help="host names and IP addresses; or --for-binding")
    parser.add_argument(
        "--for-binding", metavar="KEY", help="instead of names: a renewal of what is bound there, names and subject"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the request, which travels: .der, else PEM")
    parser.add_argument("--key-out", required=True, metavar="FILE", help="the private key, which stays: PEM, private")
    parser.share("--password", help=f"encrypts --key-out: {PASSWORD_HELP}")
    parser.add_argument(
        "--key", choices=get_args(KeyType), help="type of the private key to make; with --for-binding the old one's"
    )
    parser.add_argument("--common-name", help="the common name; the first name by default, '' for none")
    parser.add_argument("--template", metavar="NAME", help="for AD Certificate Services: the template, as WebServer")

    command(requests, "show", show, "show what a request asks for", "file")

    summary = "issue the certificate that a request asks for, as an authority of your own"
    parser = command(
        requests,
        "sign",
        sign,
        summary,
        *AUTHORITY_OPTIONS,
        *SUBJECT,
        "--overwrite",
        "--force",
        library="CertificateAuthority.sign",
    )
    parser.share("file", metavar="REQUEST", help="its file; - for standard input")
    parser.add_argument(
        "--out", metavar="FILE", help="the certificate; standard output, as PEM with its chain, if not given"
    )
    parser.add_argument("--days", type=int, help="validity")
    parser.add_argument("--common-name", help="the common name; the first name by default, '' for none")
    parser.add_argument("--crl-url", metavar="URL", help="where the authority's revocation list is published")
    parser.add_argument(
        "--strict", action="store_true", help="refuse a request for more than names, which is passed over otherwise"
    )
    parser.add_argument("--no-wildcards", action="store_true", help="refuse names such as *.example.com")
    parser.add_argument("--minimum-rsa-bits", type=int, metavar="BITS", help="refuse smaller RSA keys (default: 2048)")

    summary = "join the authority's answer with the private key of its request"
    shared = ("--friendly-name", "--machine", "--no-password", "--overwrite", "--force")
    parser = command(requests, "complete", complete, summary, *shared)
    parser.share("file", help="the answer: the certificate, best with its chain, as PEM, DER or PKCS#7")
    parser.add_argument("--key", required=True, metavar="FILE", help="the private key that request create has written")
    parser.add_argument("--key-password", metavar="SOURCE", help=PASSWORD_HELP)
    parser.add_argument("--chain", action="append", default=[], metavar="FILE", help="what the answer lacks above it")
    parser.add_argument("--out", metavar="FILE", help="where to; the suffix chooses the format: .pfx, .pem")
    parser.share("--password", help=f"for --out: {PASSWORD_HELP}")
    parser.add_argument(
        "--store", metavar="NAME", help="instead of --out: the LocalMachine store to put it into, as MY"
    )


def create(arguments: Namespace, terminal: Terminal) -> int:
    """`request create NAME… --out FILE --key-out FILE`."""
    out = free_place(arguments.out, force=arguments.force)
    key_out = free_place(arguments.key_out, force=arguments.force)
    if out.absolute() == key_out.absolute():
        raise InvalidInputError("--key-out is another file than --out: the request travels, and the key does not")
    own = ("hosts", "for_binding", "out", "key_out", "password", "force")
    options = given(arguments, *own)
    if bool(arguments.hosts) == (arguments.for_binding is not None):
        raise InvalidInputError("request create takes names, or --for-binding KEY, whose certificate is to be renewed")
    if arguments.for_binding is None:
        if arguments.machine is not None:
            raise InvalidInputError("--machine goes with --for-binding, which looks up what is bound there")
        with terminal.working(_MAKING):
            request = mlsssl.CertificateRequest.create(*arguments.hosts, **options)
    else:
        with terminal.working(_MAKING):
            request = mlsssl.CertificateRequest.for_renewal(_bound(arguments), **_of_renewal(options))
    password = None
    if arguments.password is not None:
        password = read_password(arguments.password, f"a password for {key_out}", new=True)
    request.save_key(key_out, password=password, overwrite=arguments.force)
    request.save(out, overwrite=arguments.force)
    terminal.result(
        {**_described(request), "file": str(out), "key_file": str(key_out)},
        [
            repr(request),
            f"The request is in {out}: hand it to the authority.",
            f"Its private key is in {key_out}: keep it; mlsssl request complete joins it with the answer.",
        ],
    )
    return 0


def _bound(arguments: Namespace) -> mlsssl.Certificate:
    with machine_of(arguments) as machine:
        certificate = mlsssl.Binding.get(arguments.for_binding, machine=machine).certificate
    if certificate is None:
        raise NotFoundError(f"the certificate that is bound to {arguments.for_binding} is not in its store; give names")
    return certificate


def _of_renewal(options: dict[str, Any]) -> dict[str, Any]:
    other = next((name for name in options if name not in ("key", "template")), None)
    if other is not None:
        raise InvalidInputError(
            f"--{other.replace('_', '-')} goes with names; with --for-binding the subject is the old certificate's"
        )
    return options


def show(arguments: Namespace, terminal: Terminal) -> int:
    """`request show FILE`: what `show FILE` says, for a request alone, and its fingerprint."""
    terminal.facts({**_described(mlsssl.CertificateRequest.load(arguments.file)), "file": arguments.file})
    return 0


def _described(request: mlsssl.CertificateRequest) -> dict[str, object]:
    return as_dict(request, "subject", "names", "key_type", "fingerprint")


def sign(arguments: Namespace, terminal: Terminal) -> int:
    """`request sign FILE --ca FILE`: a certificate on standard output unless --out names a file."""
    out = None if arguments.out is None else free_place(arguments.out, force=arguments.force)
    request = _request(arguments.file)
    limits = {} if arguments.minimum_rsa_bits is None else {"minimum_rsa_bits": arguments.minimum_rsa_bits}
    policy = mlsssl.RequestPolicy(
        other_requests="refuse" if arguments.strict else "ignore", wildcards=not arguments.no_wildcards, **limits
    )
    authority = load_authority(arguments.ca, arguments.ca_password, arguments.ca_key, arguments.ca_alias)
    own = ("file", "ca", "ca_key", "ca_password", "ca_alias", "out", "force", "strict", "no_wildcards")
    options = given(arguments, *own, "minimum_rsa_bits", "crl_url")
    with telling_shortened() as notes:
        certificate = authority.with_crl_url(arguments.crl_url).sign(request, policy=policy, **options)
    ignored = list(request.honoured_by(policy).ignored)
    told = {**describe(certificate), "ignored": ignored, "warnings": notes}
    if out is None:
        for one in ignored:
            note(f"passed over: {one}")  # standard output is the certificate
        pem = certificate.to_pem(chain=True).decode("ascii")
        terminal.product({**told, "pem": pem}, pem.rstrip("\n"))
        return 0
    certificate.save(out, overwrite=arguments.force)
    terminal.result(
        {**told, "file": str(out)},
        [repr(certificate), *(f"Passed over: {one}" for one in ignored), f"Saved to {out}."],
    )
    return 0


def _request(place: str) -> mlsssl.CertificateRequest:
    if place != "-":
        return mlsssl.CertificateRequest.load(place)
    if sys.stdin is None:
        raise InvalidInputError("the request is to come from standard input, which is closed")
    data = sys.stdin.buffer.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise InvalidInputError(f"standard input is larger than {_LIMIT} bytes; no request is")
    return mlsssl.CertificateRequest.from_bytes(data)


def complete(arguments: Namespace, terminal: Terminal) -> int:
    """`request complete ANSWER --key FILE`: into a file by --out, or into a store of the machine by --store."""
    if (arguments.out is None) == (arguments.store is None):
        raise InvalidInputError("request complete takes --out FILE.pfx, or --store MY for a store of this machine")
    if arguments.store is None and arguments.machine is not None:
        raise InvalidInputError("--machine goes with --store")
    if arguments.out is not None:
        free_place(arguments.out, force=arguments.force)
    elif arguments.password is not None or arguments.no_password:
        raise InvalidInputError("--password and --no-password are for --out; a store needs none")
    certificate = _joined(arguments)
    if arguments.store is None:
        no_password = arguments.no_password
        target = save(certificate, arguments.out, arguments.password, force=arguments.force, no_password=no_password)
        place = {"file": str(target)}
        line = f"Saved to {target}."
    else:

        def add(machine: mlsssl.Machine) -> mlsssl.StoreEntry:
            with machine.store(arguments.store) as store:
                return store.add(certificate)

        with machine_to_add_to(arguments, add) as machine:
            add(machine)
            place = {"store": arguments.store}
        line = f"Added to the store {place['store']}: deploy KEY --thumbprint {certificate.thumbprint} binds it."
    terminal.result({**describe(certificate), **place}, [repr(certificate), line])
    return 0


def _joined(arguments: Namespace) -> mlsssl.Certificate:
    answer = load_quietly(arguments.file, None)
    tell_left_out(arguments.file, answer)
    above = [one for path in arguments.chain for one in mlsssl.Certificate.load_all(path)]
    if above:
        answer = answer.with_chain([*answer.chain, *above])
    password = None
    if arguments.key_password is not None:
        password = read_password(arguments.key_password, f"the password of {arguments.key}")
    try:
        joined = answer.with_key(arguments.key, password=password)
    except WrongPasswordError:
        if password is not None:
            raise
        joined = answer.with_key(arguments.key, password=read_password(None, f"the password of {arguments.key}"))
    return joined if arguments.friendly_name is None else joined.with_friendly_name(arguments.friendly_name)
