"""`ca create`, `ca crl`, `issue`, `check`, `show`, `explain`, `pfx`: what needs no machine."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from mlsssl._commands.terminal import read_password
from mlsssl._formats.pkcs12.explain import explain_pfx
from mlsssl._machine import files
from mlsssl._machine.revocation_lists import given, issuer_of, number_of, thumbprint_of
from mlsssl._messages.foreign_text import shown
from mlsssl._messages.output import as_dict
from mlsssl.authority import CertificateAuthority
from mlsssl.certificate import Certificate
from mlsssl.errors import ExistsError, InvalidInputError, MalformedDataError, WrongPasswordError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from cryptography import x509

    from mlsssl._commands.terminal import Terminal
    from mlsssl._select.trust import TrustAnchor


# A file of such a name wins; a Windows path (C:\\x.pfx) has more than digits behind its colon.
_ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\\/:]+):[0-9]{1,5}")


def describe(certificate: Certificate) -> dict[str, object]:
    """A certificate as plain values, ready for JSON."""
    return {
        **as_dict(certificate, "subject", "issuer", "names"),
        "serial_number": f"{certificate.serial_number:x}",
        **as_dict(certificate, "not_before", "not_after", "days_left", "key_type", "signature_hash", "key_usages"),
        **as_dict(certificate, "extended_key_usages", "is_ca", "has_private_key", "friendly_name"),
        **as_dict(certificate, "thumbprint", "sha256"),
        "chain": [one.subject for one in certificate.chain],
    }


def load(path: str, source: str | None, *, key: str | None = None, purpose: str | None = None) -> Certificate:
    """Load a file, asking for its password only when it needs one."""
    if source is None:
        try:
            return Certificate.load(path, key=key)
        except WrongPasswordError:
            pass
    return Certificate.load(path, password=read_password(source, purpose or f"the password of {path}"), key=key)


def free_place(out: str, *, force: bool) -> Path:
    """Where a file may be written: nothing is there, or `force` says to replace it."""
    target = Path(out)
    if not out or files.is_folder(target):
        raise InvalidInputError(f"{shown(out)} is a folder; name a file" if out else "a file's name is needed, not ''")
    if files.exists(target) and not force:
        raise ExistsError(f"{target} is there already; --force replaces it, and the private key in it is lost")
    return target


def _place_for_both(out: str, *, force: bool, certificate_elsewhere: bool = False) -> None:
    """Refuse, before anything is made, a place that would lose the new private key or its certificate."""
    target = free_place(out, force=force)
    suffix = target.suffix.lower()
    if suffix in (".crt", ".cer", ".der", ".p7b", ".spc"):
        raise InvalidInputError(f"a {suffix} file holds no private key, and the new one would be lost: {_BOTH}")
    if suffix in (".key", ".pvk") and not certificate_elsewhere:
        raise InvalidInputError(f"a {suffix} file holds no certificate, and the new one would be lost: {_BOTH}")


_BOTH = "write .pfx, .p12 or .pem, which hold both"


def save(
    what: Certificate | CertificateAuthority,
    out: str,
    source: str | None,
    *,
    force: bool,
    readable_by: str | None = None,
) -> Path:
    """Save, refusing to overwrite unless told to, for the file there may hold the only copy of a key."""
    target = free_place(out, force=force)
    password = None
    has_key = isinstance(what, CertificateAuthority) or what.has_private_key
    if source is not None or (has_key and target.suffix.lower() in (".pfx", ".p12")):
        password = read_password(source, f"a password for {target}", confirm=True)
    return what.save(target, password=password, readable_by=readable_by)


def create_authority(arguments: Namespace, terminal: Terminal) -> int:
    """`ca create NAME --out FILE`."""
    certificate_file = None
    if arguments.certificate_out is not None:
        certificate_file = free_place(arguments.certificate_out, force=arguments.force)
    _place_for_both(arguments.out, force=arguments.force, certificate_elsewhere=certificate_file is not None)
    if arguments.issuer:
        issuer = load_authority(arguments.issuer, arguments.issuer_password).with_crl_url(arguments.crl_url)
        authority = issuer.create_intermediate(
            arguments.name,
            key=arguments.key,
            days=arguments.days,
            path_length=arguments.path_length,
            permitted=arguments.permitted,
            excluded=arguments.excluded,
        )
    else:
        if arguments.crl_url is not None:
            raise InvalidInputError(
                "--crl-url is the address of the issuer's list, and a root has no issuer; give it to issue"
            )
        authority = CertificateAuthority.create(
            arguments.name,
            key=arguments.key or "rsa-3072",
            days=3652 if arguments.days is None else arguments.days,
            path_length=1 if arguments.path_length is None else arguments.path_length,
            permitted=arguments.permitted,
            excluded=arguments.excluded,
        )
    saved = save(authority, arguments.out, arguments.password, force=arguments.force)
    if certificate_file is not None:
        save(authority.certificate, str(certificate_file), None, force=arguments.force)
    clients = f"; clients trust {certificate_file}" if certificate_file else ""
    terminal.result(
        {**describe(authority.certificate), "file": str(saved), "certificate_file": arguments.certificate_out},
        [repr(authority), f"The authority with its private key is in {saved}: keep it to yourself{clients}."],
    )
    return 0


def load_authority(path: str, source: str | None, key: str | None = None) -> CertificateAuthority:
    """An authority from its file, asking for its password only when it needs one."""
    return CertificateAuthority(load(path, source, key=key, purpose=f"the password of the authority {path}"))


def revocation_list(arguments: Namespace, terminal: Terminal) -> int:
    """`ca crl --ca FILE --out FILE`: the authority's next revocation list."""
    target = free_place(arguments.out, force=arguments.force)
    previous = None
    if arguments.previous is not None:
        previous, *more = given(arguments.previous)
        if more:
            raise InvalidInputError(f"{arguments.previous} holds {1 + len(more)} lists; give the authority's one")
    now = dt.datetime.now(dt.timezone.utc)
    revoked = [(_serial_of(one), now, arguments.reason) for one in arguments.revoke]
    authority = load_authority(arguments.ca, arguments.ca_password, arguments.ca_key)
    crl = authority.crl(revoked, days=arguments.days, number=arguments.number, at=now, previous=previous)
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
    return Certificate.load(given_as).serial_number


def describe_crl(crl: x509.CertificateRevocationList) -> dict[str, object]:
    """A revocation list as plain values, ready for JSON."""
    until = crl.next_update_utc
    return {
        "sha1": str(thumbprint_of(crl)),
        "issuer": issuer_of(crl),
        "number": number_of(crl),
        "this_update": f"{crl.last_update_utc:%Y-%m-%d %H:%M}",
        "next_update": None if until is None else f"{until:%Y-%m-%d %H:%M}",
        "entries": len(crl),
    }


def issue(arguments: Namespace, terminal: Terminal) -> int:
    """`issue NAME… --ca FILE --out FILE`."""
    _place_for_both(arguments.out, force=arguments.force)
    authority = load_authority(arguments.ca, arguments.ca_password, arguments.ca_key).with_crl_url(arguments.crl_url)
    certificate = authority.issue(
        *arguments.names, key=arguments.key, days=arguments.days, common_name=arguments.common_name
    )
    saved = save(certificate, arguments.out, arguments.password, force=arguments.force)
    terminal.result(
        {**describe(certificate), "file": str(saved)},
        [repr(certificate), f"Thumbprint {certificate.thumbprint}", f"Saved to {saved}."],
    )
    return 0


def show(arguments: Namespace, terminal: Terminal) -> int:
    """`show FILE`."""
    certificate = load(arguments.file, arguments.password, key=arguments.key)
    data = describe(certificate)
    width = max(map(len, data))
    lines = []
    for name, value in data.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        lines.append(f"{name.replace('_', ' '):<{width}}  {'-' if shown in ('', None) else shown}")
    terminal.result(data, lines)
    return 0


def pfx(arguments: Namespace, terminal: Terminal) -> int:
    """`pfx FILE --out FILE.pfx`: any format in, PFX out."""
    certificate = load(arguments.file, arguments.in_password, key=arguments.key)
    target = Path(arguments.out)
    if target.suffix.lower() not in (".pfx", ".p12"):
        raise InvalidInputError(f"--out is a .pfx or .p12 file, not {target}")
    if not certificate.has_private_key:
        raise InvalidInputError(f"there is no private key with {arguments.file}; give its file with --key")
    if arguments.friendly_name is not None:
        certificate = certificate.with_friendly_name(arguments.friendly_name)
    save(certificate, arguments.out, arguments.password, force=arguments.force, readable_by=arguments.readable_by)
    terminal.result({**describe(certificate), "file": str(target)}, [repr(certificate), f"Saved to {target}."])
    return 0


def explain(arguments: Namespace, terminal: Terminal) -> int:
    """`explain FILE.pfx`: 6 when the password given is wrong, 1 when `--readable-by` is not known to read it."""
    password = None
    if arguments.password is not None:
        password = read_password(arguments.password, f"the password of {arguments.file}")
    try:
        found = explain_pfx(files.read(files.path_of(arguments.file)), password)
    except MalformedDataError as error:
        raise type(error)(f"{arguments.file}: {error}") from None
    reads = None if arguments.readable_by is None else found.readable_by(arguments.readable_by)
    terminal.result({"file": arguments.file, **found.to_dict()}, str(found))
    if found.password == "wrong":  # noqa: S105 -- a verdict, no password
        return 6  # what a wrong password is to every command, although most of it could be explained
    return 0 if reads or arguments.readable_by is None else 1


def check(arguments: Namespace, terminal: Terminal) -> int:
    """`check FILE` or `check HOST:PORT`: 0 when nothing forbids the use, 1 when something does."""
    at = _parse_moment(arguments.at)
    trust = [root for path in arguments.trust or ["system"] for root in _load_anchors(path)]
    crls = [crl for path in arguments.crl for crl in given(path)]
    if _ENDPOINT.fullmatch(arguments.target) and not files.exists(Path(arguments.target)):
        from mlsssl.endpoint import check_endpoint

        seen = check_endpoint(
            arguments.target,
            host=arguments.host,
            trust=trust,
            at=at,
            profile=arguments.profile,
            crls=crls,
            revocation=arguments.revocation,
        )
        terminal.result(seen.to_dict(), str(seen))
        return 0 if seen.report.ok else 1
    certificate = load(arguments.target, arguments.password, key=arguments.key)
    report = certificate.check(
        arguments.host,
        trust=trust,
        at=at,
        profile=arguments.profile,
        key_expected=not arguments.no_key,
        crls=crls,
        revocation=arguments.revocation,
    )
    terminal.result(report.to_dict(), str(report))
    return 0 if report.ok else 1


def _load_anchors(path: str) -> Sequence[TrustAnchor]:
    """Every certificate in a file without secrets, as OpenSSL takes a CAfile; `system` is the operating system's."""
    if path == "system":
        return ["system"]
    try:
        first = Certificate.load(path)
    except WrongPasswordError:
        raise InvalidInputError(
            f"{path} is locked with a password; trust the authority's certificate file (.cer), not the one with its key"
        ) from None
    return [first, *first.chain]


def _parse_moment(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InvalidInputError(
            f"a moment is written as 2027-01-31 or 2027-01-31T12:00:00Z, not {shown(text)}"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)
