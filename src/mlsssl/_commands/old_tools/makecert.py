"""`mlsssl makecert`: MakeCert's command line, word for word, for what concerns server certificates.

The options are those of Microsoft's page "MakeCert" (Windows SDK) and of the help that the tool printed. What is
made is better than what MakeCert made: SHA-2, at least 2048 bits, subjectAltName, basicConstraints, key identifiers
and dates that clients accept.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from mlsssl._commands.old_tools.command_lines import Context, Option, Parsed, parse_options
from mlsssl._formats import pvk
from mlsssl._formats.subjects import parse_subject
from mlsssl._issue.keys import make_key, usual_key_type
from mlsssl._machine import files
from mlsssl._machine.kept_keys import refuse_to_lose_a_key
from mlsssl._messages.foreign_text import shown
from mlsssl.authority import CertificateAuthority
from mlsssl.certificate import Certificate
from mlsssl.errors import InvalidInputError, NotFoundError
from mlsssl.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._formats.rsa_blobs import KeySpec
    from mlsssl.machine import Machine
    from mlsssl.values import KeyType

_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
# The fields of a subject that have an option, and an argument of that name.
_FIELDS = {
    NameOID.ORGANIZATION_NAME: "organization",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "organizational_unit",
    NameOID.LOCALITY_NAME: "locality",
    NameOID.STATE_OR_PROVINCE_NAME: "state",
    NameOID.COUNTRY_NAME: "country",
}
_CONTAINER = "the private key would lie in a named container of a provider; use -sv FILE.pvk, or -ss STORE"
_ISSUER_CONTAINER = "the issuer's private key is taken from -iv FILE.pvk, or from the store of -is"

_LOCATION = Option(value="currentuser or localmachine", words=("currentuser", "localmachine"))
_KEY_SPEC = Option(value="signature or exchange", words=("signature", "exchange", "1", "2"))

OPTIONS: dict[str, Option] = {
    "n": Option(value="a name such as CN=www.example.com"),
    "pe": Option(),
    "sk": Option(value="a container", refused=_CONTAINER),
    "sr": _LOCATION,
    "ss": Option(value="a store"),
    "#": Option(value="a serial number"),
    "$": Option(value="individual or commercial", refused="it is about signing programs, not about servers"),
    "a": Option(value="sha256, sha384 or sha512"),
    "b": Option(value="a date mm/dd/yyyy"),
    "crl": Option(refused="this makes certificates; an authority's revocation list is another thing"),
    "cy": Option(value="end or authority", words=("end", "authority")),
    "d": Option(value="a name to show"),
    "e": Option(value="a date mm/dd/yyyy"),
    "eku": Option(value="object identifiers"),
    "h": Option(value="a number of levels"),
    "ic": Option(value="the issuer's certificate file"),
    "ik": Option(value="a container", refused=_ISSUER_CONTAINER),
    "iky": _KEY_SPEC,
    "in": Option(value="the issuer's common name"),
    "ip": Option(value="a provider", refused=_ISSUER_CONTAINER),
    "ir": _LOCATION,
    "is": Option(value="the issuer's store"),
    "iv": Option(value="the issuer's .pvk file"),
    "iy": Option(value="a provider type", refused=_ISSUER_CONTAINER),
    "l": Option(value="a link", refused="policy links are for signing programs"),
    "len": Option(value="2048, 3072 or 4096", words=("2048", "3072", "4096")),
    "m": Option(value="a number of months"),
    "nscp": Option(refused="the Netscape extension is read by no program of today"),
    "r": Option(),
    "sc": Option(value="a file", refused="give the key itself with -sv; a public key alone comes with a request"),
    "sky": _KEY_SPEC,
    "sp": Option(value="a provider"),
    "sv": Option(value="a .pvk file"),
    "sy": Option(value="a provider type"),
    "?": Option(),
    "!": Option(),
}
# Providers and types that tutorials name so that Schannel finds the key; keys made here it finds anyway.
_PROVIDERS = {
    "microsoft rsa schannel cryptographic provider",
    "microsoft enhanced rsa and aes cryptographic provider",
    "microsoft enhanced cryptographic provider v1.0",
    "microsoft strong cryptographic provider",
}
_PROVIDER_TYPES = {"1", "12", "24"}  # PROV_RSA_FULL, PROV_RSA_SCHANNEL, PROV_RSA_AES


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a command line asks for, checked."""

    subject: x509.Name
    client: bool
    self_signed: bool
    authority: bool
    key_type: KeyType | None
    key_spec: KeySpec
    key_file: Path | None
    certificate_file: Path | None
    store: str | None
    location: Literal["LocalMachine", "CurrentUser"]
    exportable: bool
    friendly_name: str | None
    serial: int | None
    begin: dt.datetime | None
    end: dt.datetime | None
    months: int | None
    path_length: int | None

    @property
    def common_names(self) -> tuple[str, ...]:
        """The common names of the subject, in the order written; the first is the one that counts."""
        return tuple(str(one.value) for one in self.subject.get_attributes_for_oid(NameOID.COMMON_NAME))

    def dates(self, days: int) -> tuple[dt.datetime | None, int]:
        """`at` and `days` for the library; `days` is what holds when the command line says nothing."""
        if self.begin is None and self.end is None and self.months is None:
            return None, days
        begin = self.begin or dt.datetime.now(dt.timezone.utc)
        try:
            end = self.end or (_add_months(begin, self.months) if self.months else begin + dt.timedelta(days=days))
        except (OverflowError, ValueError):
            raise InvalidInputError(f"the validity from {begin:%m/%d/%Y} would end after the year 9999") from None
        if end <= begin:
            raise InvalidInputError(f"the validity would end ({end:%m/%d/%Y}) before it begins ({begin:%m/%d/%Y})")
        # The library starts an hour before `at`, for clocks that are slow.
        return begin + dt.timedelta(hours=1), max(1, (end - begin).days)


def run(argv: Sequence[str], context: Context) -> int:
    """Run the words after `makecert`; `InvalidInputError` names an option that cannot be honoured."""
    out = context.out
    parsed = parse_options("makecert", argv, OPTIONS)
    if parsed.flag("?") or parsed.flag("!"):
        out("makecert [options] outputCertificateFile")
        for name, option in OPTIONS.items():
            out(f"  -{name} {option.value or ''}{' (refused)' if option.refused else ''}".rstrip())
        return 0
    request = _check(parsed)
    if (request.authority or request.client) and len(request.common_names) > 1:
        out(f"note: it has one common name, and these are left out: {', '.join(request.common_names[1:])}")
    if context.explain_only:
        return _explain(request, parsed, context)
    key = _existing_key(request, context)
    if request.certificate_file is not None and request.certificate_file == request.key_file:
        raise InvalidInputError("makecert -sv and the output file are two files: one would replace the other")
    if request.certificate_file is not None and not context.overwrite:
        refuse_to_lose_a_key(request.certificate_file, key=None, password=None)
    certificate = _make(request, key, parsed, context)
    if request.key_file is not None and key is None:
        _write_key(request, certificate, context)
        out(f"private key: {request.key_file}")
    if request.certificate_file is not None:
        files.write(request.certificate_file, certificate.to_der(), private=False)
        out(f"certificate: {request.certificate_file}")
    if request.store is not None:
        context.add_to_machine(lambda machine: _add(request, certificate, machine))
        out(f"store: {request.location}\\{request.store}")
        if request.location == "CurrentUser":
            out("note: HTTP.sys reads LocalMachine only; say -sr localmachine for a server certificate")
    out(f"thumbprint: {certificate.thumbprint}")
    out("Succeeded")
    return 0


def _add(request: Request, certificate: Certificate, machine: Machine) -> None:
    assert request.store is not None
    with machine.store(request.store, location=request.location, create=True) as store:
        store.add(certificate, exportable=request.exportable)


def _existing_key(request: Request, context: Context) -> PrivateKey | None:
    """The key in the file of -sv, when it is there already: MakeCert takes it."""
    if request.key_file is None:
        return None
    try:
        data = files.read(request.key_file)
    except NotFoundError:
        return None
    return pvk.load_pvk(data, context.pvk_password(request.key_file, data)).private_key


def _make(request: Request, key: PrivateKey | None, parsed: Parsed, context: Context) -> Certificate:
    first = request.common_names[0]
    if request.self_signed:
        private_key = key or make_key(request.key_type or ("rsa-3072" if request.authority else "rsa-2048"))
        made = _self_signed(request, private_key)
    else:
        issuer = _issuer(parsed, context)
        # A .pvk holds RSA keys only, whatever the issuer's kind.
        kind = "rsa-2048" if request.key_file else usual_key_type(issuer.key_type, "rsa-2048")
        private_key = key or make_key(request.key_type or kind)
        at, days = request.dates(1826 if request.authority else 199)
        if request.authority:
            below = issuer.create_intermediate(
                first,
                key=private_key,
                days=days,
                subject=request.subject,
                at=at,
                serial=request.serial,
                path_length=request.path_length,
            )
            made = below.certificate.with_key(private_key)
        else:
            made = _end_entity(request, issuer, private_key, days, at)
    return made.with_friendly_name(request.friendly_name) if request.friendly_name else made


def _self_signed(request: Request, key: PrivateKey) -> Certificate:
    first = request.common_names[0]
    at, days = request.dates(3652 if request.authority else 199)
    at = at or dt.datetime.now(dt.timezone.utc)  # one moment for both certificates, or the second outlives the first
    root = CertificateAuthority.create(
        first,
        key=key,
        days=days,
        subject=request.subject,
        at=at,
        serial=request.serial,
        path_length=request.path_length,
    )
    if request.authority:
        return root.certificate.with_key(key)
    # An authority and what it issues, of one name and one key: the certificate is its own issuer.
    return Certificate(_end_entity(request, root, key, days, at).to_cryptography(), private_key=key)


def _end_entity(
    request: Request, issuer: CertificateAuthority, key: PrivateKey, days: int, at: dt.datetime | None
) -> Certificate:
    names, subject, serial = request.common_names, request.subject, request.serial
    if request.client:
        return issuer.issue_client(names[0], key=key, days=days, subject=subject, at=at, serial=serial)
    return issuer.issue(*names, key=key, days=days, common_name=names[0], subject=subject, at=at, serial=serial)


def _issuer(parsed: Parsed, context: Context) -> CertificateAuthority:
    certificate_file, key_file = parsed.text("ic"), parsed.text("iv")
    if certificate_file is not None:
        if key_file is None:
            raise InvalidInputError("makecert -ic needs -iv FILE.pvk, the issuer's private key")
        password = context.pvk_password(key_file, files.read(Path(key_file)))
        return CertificateAuthority.load(certificate_file, key=key_file, key_password=password)
    name = parsed.text("in")
    location: Literal["LocalMachine", "CurrentUser"] = (
        "LocalMachine" if parsed.text("ir") == "localmachine" else "CurrentUser"
    )
    with Store.open(parsed.text("is") or "MY", location=location, machine=context.machine()) as store:
        found = [entry for entry in store if entry.certificate.is_ca and name in (None, entry.certificate.common_name)]
        if len(found) != 1:
            raise NotFoundError(
                f"{len(found)} authorities in {location}\\{store.name} fit -in {shown(name)}; exactly one has to"
            )
        return CertificateAuthority(store.export(found[0].thumbprint))


def _write_key(request: Request, certificate: Certificate, context: Context) -> None:
    assert request.key_file is not None
    key = certificate.private_key
    if not isinstance(key, rsa.RSAPrivateKey):
        raise InvalidInputError(f"{request.key_file}: a .pvk holds RSA keys only")
    password = context.ask_password(f"new password for {request.key_file}", new=True)
    files.write(request.key_file, pvk.serialize_pvk(key, password, key_spec=request.key_spec), private=True)


def _explain(request: Request, parsed: Parsed, context: Context) -> int:
    first = request.common_names[0]
    names = ", ".join(f'"{name}"' for name in request.common_names)
    where = request.certificate_file or Path("certificate.cer")
    pfx = where.with_suffix(".pfx")
    options, arguments, better = _explain_subject(request.subject)
    if request.self_signed and request.authority:
        return context.explain(
            f'mlsssl ca create "{first}"{options} --out {pfx} --certificate-out {where}',
            f'ca = CertificateAuthority.create("{first}"{arguments})\nca.save("{pfx}", password=...)',
            "the root says that it is an authority (basicConstraints), which clients other than Windows want",
            "certificate and private key are in one file, readable by its owner only",
            "the key is encrypted after thousands of rounds of hashing; a .pvk uses RC4 after one",
            "name constraints can limit what it may issue for (permitted=, excluded=)",
            *better,
        )
    issuer = parsed.text("ic") or "ca.pfx"
    authority = f" --ca {issuer}" + (f" --ca-key {parsed.text('iv')}" if parsed.text("iv") else "")
    if request.client:
        return context.explain(
            f'mlsssl ca issue-client "{first}"{options}{authority} --out {pfx}',
            f'cert = ca.issue_client("{first}"{arguments})\ncert.save("{pfx}", password=...)',
            "mail addresses and a Windows account go into subjectAltName (emails=, user_principal_name=)",
            "199 days instead of the year 2039",
            "no .pvk, no pvk2pfx: save('….pfx') writes what Windows imports",
            *better,
        )
    return context.explain(
        f"mlsssl issue {' '.join(request.common_names)}{options}{authority} --out {pfx}",
        f'cert = ca.issue({names}{arguments})\ncert.save("{pfx}", password=...)\ndeploy("0.0.0.0:443", cert)',
        "the names are in subjectAltName too, where clients look; MakeCert wrote the common name only",
        "as many names and addresses as needed: issue('www.example.com', '10.0.0.5')",
        "199 days instead of the year 2039, which Apple's clients refuse; renew() makes the successor",
        "no .pvk, no pvk2pfx: save('….pfx') writes what Windows imports",
        *better,
    )


def _explain_subject(subject: x509.Name) -> tuple[str, str, tuple[str, ...]]:
    """The fields beside the common name as options, as arguments, and what there is to say about those without one."""
    fields: dict[str, str] = {}
    others = []
    for attribute in subject:
        name = _FIELDS.get(attribute.oid)
        if name is not None and name not in fields:
            fields[name] = str(attribute.value)
        elif attribute.oid != NameOID.COMMON_NAME:
            others.append(attribute.rfc4514_string())
    options = "".join(f' --{name.replace("_", "-")} "{value}"' for name, value in fields.items())
    arguments = "".join(f', {name}="{value}"' for name, value in fields.items())
    note = f"for {', '.join(others)} give a whole name in Python (subject=); the command line has no option for that"
    return options, arguments, (note,) if others else ()


def _check(parsed: Parsed) -> Request:
    """What a command line asks for. `InvalidInputError` when that cannot be, or cannot be honoured."""
    if len(parsed.operands) > 1:
        raise InvalidInputError(f"makecert writes one certificate file, not {len(parsed.operands)}: {parsed.operands}")
    self_signed = parsed.flag("r")
    has_issuer = any(parsed.text(name) for name in ("ic", "is", "in"))
    if self_signed and (has_issuer or parsed.text("iv")):
        raise InvalidInputError("makecert -r signs by itself, so -ic, -iv, -is and -in have no meaning with it")
    if not self_signed and not has_issuer:
        raise InvalidInputError(
            "makecert needs an issuer: -ic FILE.cer -iv FILE.pvk, or -is STORE -in NAME, or -r for a self-signed one; "
            "the test root that it used without is trusted by nobody"
        )
    key_file = parsed.text("sv")
    if key_file is None and parsed.text("ss") is None:
        raise InvalidInputError("makecert -sv FILE.pvk or -ss STORE is needed, or the private key would be lost")
    if not parsed.operands and parsed.text("ss") is None:
        raise InvalidInputError("makecert needs an output file for the certificate, or -ss STORE")
    _check_words(parsed)
    eku = parsed.text("eku")
    if eku is not None and {one.strip() for one in eku.split(",")} not in ({_SERVER_AUTH}, {_CLIENT_AUTH}):
        raise InvalidInputError(
            f"makecert -eku {eku} cannot be honoured: certificates are made for servers ({_SERVER_AUTH}) or for "
            f"clients ({_CLIENT_AUTH}), each for one alone, as today's clients and servers want them"
        )
    kind = parsed.text("cy")
    # -r without more is how MakeCert's users made their roots.
    authority = kind == "authority" or (kind is None and self_signed and eku is None)
    if authority and eku is not None:
        raise InvalidInputError("makecert -cy authority and -eku exclude each other: drop -eku")
    key_length = parsed.text("len")
    sky = parsed.text("sky")
    location = parsed.text("sr")
    request = Request(
        subject=_subject(parsed.text("n")),
        client=eku is not None and _CLIENT_AUTH in eku,
        self_signed=self_signed,
        authority=authority,
        key_type=None if key_length is None else cast("KeyType", f"rsa-{key_length}"),
        key_spec="exchange" if sky in ("exchange", "1") else "signature",
        key_file=Path(key_file) if key_file is not None else None,
        certificate_file=Path(parsed.operands[0]) if parsed.operands else None,
        store=parsed.text("ss"),
        location="LocalMachine" if location == "localmachine" else "CurrentUser",
        exportable=parsed.flag("pe"),
        friendly_name=parsed.text("d"),
        serial=_number(parsed, "#", 1, 2**31 - 1),
        begin=_date(parsed, "b"),
        end=_date(parsed, "e"),
        months=_number(parsed, "m", 1, 1200),
        path_length=_number(parsed, "h", 0, 99),
    )
    request.dates(1)  # before a key is made, which takes its time
    return request


def _check_words(parsed: Parsed) -> None:
    algorithm = parsed.text("a")
    if algorithm is not None and algorithm.lower() not in ("sha256", "sha384", "sha512"):
        raise InvalidInputError(
            f"makecert -a {algorithm} cannot be honoured: MD5 and SHA-1 signatures are forged, and clients refuse "
            "them; say -a sha256"
        )
    provider, kind = parsed.text("sp"), parsed.text("sy")
    if (provider is not None and provider.lower() not in _PROVIDERS) or (
        kind is not None and kind not in _PROVIDER_TYPES
    ):
        raise InvalidInputError(
            "makecert -sp and -sy cannot be honoured for this provider: the machine chooses one that Schannel can use"
        )
    if parsed.text("m") and parsed.text("e"):
        raise InvalidInputError("makecert -m and -e exclude each other")


def _number(parsed: Parsed, name: str, low: int, high: int) -> int | None:
    value = parsed.text(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and low <= int(value[:20]) <= high):
        raise InvalidInputError(f"makecert -{name} is a number from {low} to {high}, not {shown(value)}")
    return int(value)


def _date(parsed: Parsed, name: str) -> dt.datetime | None:
    value = parsed.text(name)
    if value is None:
        return None
    try:
        return dt.datetime.strptime(value, "%m/%d/%Y").replace(tzinfo=dt.timezone.utc)
    except ValueError:
        raise InvalidInputError(f"makecert -{name} is a date mm/dd/yyyy, not {shown(value)}") from None


def _add_months(begin: dt.datetime, months: int) -> dt.datetime:
    year, month = divmod(begin.year * 12 + begin.month - 1 + months, 12)
    for day in range(begin.day, 27, -1):
        try:
            return begin.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return begin.replace(year=year, month=month + 1)


def _subject(text: str | None) -> x509.Name:
    """The X.500 name of -n, which has a common name at least."""
    if text is None:
        raise InvalidInputError('makecert -n is needed: -n "CN=www.example.com"')
    try:
        subject = parse_subject(text)
    except InvalidInputError as error:
        raise InvalidInputError(f'makecert -n is a name such as "CN=www.example.com, O=Example": {error}') from None
    if not subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        raise InvalidInputError(
            f'makecert -n needs a common name, such as "CN=www.example.com": {shown(text)} has none'
        )
    return subject
