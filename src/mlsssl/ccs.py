"""Folders of a Central Certificate Store (CCS): one PFX file for each host name, as IIS and HTTP.sys look for them.

A CCS binding names no certificate. Windows takes the host name of the connection and reads `www.example.com.pfx`, or
`_.example.com.pfx` for the wildcard above it, from the shared folder; one password opens all files (Microsoft:
"IIS 8.0 Centralized SSL Certificate Support").
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from mlsssl._formats.hosts import any_matches, parse_name
from mlsssl._formats.pkcs12.explain import readers_from_outside
from mlsssl._formats.pkcs12.targets import find_target
from mlsssl._formats.sniff import recognise
from mlsssl._machine import files
from mlsssl._messages.arguments import check_password
from mlsssl._messages.foreign_text import printable, shown
from mlsssl._messages.output import as_dict
from mlsssl._validator.findings import machine_finding
from mlsssl._validator.report import Severity
from mlsssl.certificate import Certificate, check_certificate
from mlsssl.errors import InvalidInputError, MalformedDataError, MlssslError, NotFoundError, WrongPasswordError
from mlsssl.values import check_moment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["CcsFile", "CcsFinding", "check_folder", "file_name", "read_folder", "write_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CcsFinding:
    """Something wrong with one file of a folder.

    Attributes:
        path: The file.
        code: Stable kebab-case name, in the table of finding codes.
        severity: An error when clients of a host do not get this certificate.
        problem: What was found.
        remedy: What to do.
    """

    path: Path
    code: str
    severity: Severity
    problem: str
    remedy: str

    def __str__(self) -> str:
        return printable(f"{self.path.name}: {self.problem} → {self.remedy}")

    def to_dict(self) -> dict[str, object]:
        """The five fields as text, ready for JSON."""
        return as_dict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CcsFile:
    """One file of a folder, as the store would read it.

    Attributes:
        path: The file.
        host: The host that it serves, `*.example.com` for a wildcard; None when the store never looks for its name.
        certificate: What is in it, with its private key if that is there; None when it could not be read.
        findings: What is wrong with it.
    """

    path: Path
    host: str | None
    certificate: Certificate | None
    findings: tuple[CcsFinding, ...]

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON: of the certificate its names, dates, thumbprint and whether it has its key."""
        parts = ("names", "not_before", "not_after", "days_left", "has_private_key", "thumbprint")
        found = dict.fromkeys(parts) if self.certificate is None else as_dict(self.certificate, *parts)
        return {"file": self.path.name, "host": self.host, **found, **as_dict(self, "findings")}


def file_name(host: str) -> str:
    """The name of the file for a host name: `www.example.com.pfx`, and `_.example.com.pfx` for `*.example.com`.

    Args:
        host: A DNS name, in any spelling that a certificate may have; internationalised names become A-labels.

    Raises:
        InvalidInputError: no DNS name. An address has no file: a client that connects to one sends no name.
    """
    name = parse_name(host)
    if isinstance(name, x509.IPAddress):
        raise InvalidInputError(f"{shown(host)} is an address; the Central Certificate Store goes by host names only")
    return f"{name.value.replace('*', '_', 1)}.pfx"


def write_files(
    folder: str | Path, certificate: Certificate, password: str, *, readable_by: str | None = None
) -> tuple[Path, ...]:
    """Write a certificate with its key and chain under every DNS name it has; files that are there are replaced.

    Args:
        folder: The folder that the store reads; it must exist.
        certificate: With its private key.
        password: The one password of the store.
        readable_by: The oldest system that must read it, as in `Certificate.to_pfx`.

    Returns:
        The paths, in the order of the names; each file is readable by its owner only until you share it.

    Raises:
        InvalidInputError: no private key, an empty password, or no DNS name.
        NotFoundError: the folder is not there.
        AccessDeniedError: it may not be written.
    """
    where = files.path_of(folder)
    if not check_certificate(certificate).has_private_key:
        raise InvalidInputError(f"there is no private key with {certificate!r}; the store needs it in every file")
    names = [name for name in map(_name_or_none, certificate.hosts) if name is not None]
    if not names:
        raise InvalidInputError(f"{certificate!r} has no DNS name, so there is no file to write")
    data = certificate.to_pfx(password, readable_by=readable_by)
    paths = tuple(where / name for name in names)
    for path in paths:
        files.write(path, data, private=True)
    return paths


def check_folder(
    folder: str | Path, password: str | None, *, at: dt.datetime | None = None, readable_by: str | None = None
) -> tuple[CcsFinding, ...]:
    """Read every file of a folder as the store would, and say what is wrong with each.

    Looked at: the name, whether the password opens it, whether there is a private key, whether the certificate is
    for the name, its dates, and which servers can read the file. Not looked at: trust and revocation
    (`Certificate.check`), subfolders, who may read the files.

    Args:
        folder: The folder.
        password: The one password of the store, or None.
        at: The moment to check dates for, aware; now when not given.
        readable_by: The oldest system that must read the files, as in `Certificate.to_pfx`. Without it a file that
            a Windows Server of those known does not read has a notice.

    Returns:
        The findings, sorted by file name; empty when all is well. Their codes are in the table of finding codes.

    Raises:
        InvalidInputError: it is no folder, `at` is naive, or `readable_by` is no known system.
        AccessDeniedError: this user may not look into it.
    """
    found = read_folder(folder, password, at=at, readable_by=readable_by)
    return tuple(finding for file in found for finding in file.findings)


def read_folder(
    folder: str | Path, password: str | None, *, at: dt.datetime | None = None, readable_by: str | None = None
) -> tuple[CcsFile, ...]:
    """Every file of a folder with its certificate and what is wrong with it; arguments and errors of `check_folder`.

    Returns:
        The files, sorted by name, those that the store never reads too; subfolders are left out.
    """
    where = files.path_of(folder)
    check_password(password)
    if readable_by is not None:
        find_target(readable_by)
    moment = check_moment(at)
    try:
        paths = files.entries(where)
    except NotFoundError:
        raise InvalidInputError(f"{where} is not a folder") from None
    return tuple(_read_file(path, password, moment, readable_by) for path in paths if not files.is_folder(path))


def _read_file(path: Path, password: str | None, moment: dt.datetime, readable_by: str | None) -> CcsFile:
    found: list[CcsFinding] = []

    def add(code: str, problem: str, *, remedy: str | None = None, severity: Severity | None = None) -> None:
        made = machine_finding(code, path.name, problem, remedy=remedy, severity=severity)
        found.append(CcsFinding(path=path, code=code, severity=made.severity, problem=made.found, remedy=made.remedy))

    host, data, certificate = _host_of(path), b"", None
    hosts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    trouble: tuple[str, str] | None = None
    if path.suffix.lower() in _SUFFIXES:
        try:
            data = files.read_found(path)
            _check_binary(data)
            certificate = Certificate.from_pfx(data, password)
            hosts, names = certificate.hosts, certificate.names
        except WrongPasswordError as error:
            trouble = "ccs-password", str(error)
        except MlssslError as error:
            certificate, trouble = None, ("ccs-unreadable", str(error))
    wrong = _wrong_name(path, host, hosts)
    if wrong is not None:
        add(wrong.code, wrong.problem, remedy=wrong.remedy, severity=wrong.severity)
    # What else is wrong with a file that is never read is told when it has its name.
    if host is not None and trouble is not None:
        add(*trouble)
    if host is not None and certificate is not None:
        if not certificate.has_private_key:
            add("ccs-no-key", "it holds no private key")
        if wrong is None and not any_matches(hosts, parse_name(host.replace("*", "any", 1))):
            own = next((name for name in map(_name_or_none, hosts) if name is not None), None)
            remedy = own and f"issue one for this name, or rename the file to {own}"
            problem = f"its certificate is for {', '.join(names[:5]) or certificate.subject}, not for {host}"
            add("ccs-host", problem, remedy=remedy)
        if not certificate.not_before <= moment <= certificate.not_after:
            dates = f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
            add("ccs-dates", f"its certificate is valid from {dates} only")
        for problem, severity in _about_readers(data, readable_by):
            add("ccs-reader", problem, severity=severity)
    return CcsFile(path=path, host=host, certificate=certificate, findings=tuple(found))


def _check_binary(data: bytes) -> None:
    """`MalformedDataError` for a PFX inside text: `Certificate.load` reads it, the store of Windows does not."""
    recognised = recognise(data)
    if recognised.wrappings or recognised.items[0].place:
        raise MalformedDataError(f"it is text with {recognised} in it, and the store reads a PFX as it is (DER) only")


def _about_readers(data: bytes, readable_by: str | None) -> Iterator[tuple[str, Severity]]:
    """Which systems do not read the file: the one asked for, or else any Windows Server."""
    readers = {reader.name: reader for reader in readers_from_outside(data)}
    if readable_by is not None:
        reader = readers[find_target(readable_by).name]
        if reader.reads is False:
            yield f"{reader.title} does not read it: {reader.reason}", Severity.ERROR
        elif reader.reads is None:
            yield f"it is not known whether {reader.title} reads it: {reader.reason}", Severity.WARNING
        return
    refusing = [one for name, one in readers.items() if name.startswith("windows-server") and one.reads is False]
    if refusing:
        yield f"{' and '.join(one.title for one in refusing)} do not read it: {refusing[0].reason}", Severity.NOTICE


@dataclass(frozen=True, slots=True, kw_only=True)
class _WrongName:
    """What is wrong with the name of a file."""

    code: str
    problem: str
    remedy: str | None = None
    severity: Severity | None = None


_SUFFIXES = (".pfx", ".p12")
_NEVER_READ = "the name is not HOST.pfx, so the store never reads it"
# How the file of a wildcard is named by those who do not know; `*` cannot be in the name of a file on Windows.
_MISSPELT_WILDCARD = re.compile(
    r"(?:\*|%2a|[_.-]?(?:wildcard|wild|star|any|all|asterisk)|__?|[+#@~!])[._-](.+)|_([^._].*)"
)


def _wrong_name(path: Path, host: str | None, hosts: tuple[str, ...]) -> _WrongName | None:
    """What is wrong with the name of a file with a certificate for these hosts; None when nothing is."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        return _WrongName(code="ccs-name", problem=_NEVER_READ, severity=Severity.NOTICE)
    stem = path.name[: -len(suffix)].lower()
    hosts = tuple(map(str.lower, hosts))
    if host is not None and host in hosts:
        return None
    if _is_address(stem):
        problem = "it is named for an address, and a client that connects to one sends no name"
        return _WrongName(code="ccs-address", problem=problem)
    wildcard = _meant_wildcard(stem, hosts)
    if wildcard is not None:
        return _misnamed_wildcard(path, wildcard, host)
    if host is not None and not stem.endswith(_SUFFIXES):
        return None
    # Its certificate's name will do, or its own as a host's: .p12, letters beyond ASCII, .pfx twice.
    own = stem.removesuffix(".pfx").removesuffix(".p12")
    better = next((name for name in map(_name_or_none, (own, *hosts)) if name is not None), None)
    return _WrongName(code="ccs-name", problem=_NEVER_READ, remedy=better and f"rename it to {better}")


def _misnamed_wildcard(path: Path, wildcard: str, host: str | None) -> _WrongName | None:
    name = file_name(wildcard)
    code, remedy = "ccs-wildcard-name", f"rename it to {name}"
    if host is None or not host[0].isalnum() or not any_matches([wildcard], parse_name(host)):
        return _WrongName(code=code, problem=f"the file for {wildcard} is named {name}", remedy=remedy)
    # A host may be called "star"; so it is when the wildcard has its own file.
    if files.exists(path.with_name(name)):
        return None
    problem = f"it serves {host} only; the file for {wildcard} is named {name}"
    severity = None if host.startswith(("wildcard", "asterisk")) else Severity.WARNING
    return _WrongName(code=code, problem=problem, remedy=remedy, severity=severity)


def _is_address(stem: str) -> bool:
    try:
        ipaddress.ip_address(stem.strip("[]"))
    except ValueError:
        return False
    return True


def _meant_wildcard(stem: str, hosts: tuple[str, ...]) -> str | None:
    """The wildcard that a name means which is not spelt as the store wants it; None when it means none."""
    if stem.startswith("_.") and _name_or_none(f"*{stem[1:]}") is not None:
        return None
    if f"*.{stem}" in hosts:  # under the bare name of its domain
        return f"*.{stem}"
    match = _MISSPELT_WILDCARD.fullmatch(stem)
    if match is None:
        return None
    domain = match[1] or match[2]
    for spelled in (domain, domain.replace("_", "."), domain.replace("-", ".")):
        if f"*.{spelled}" in hosts:
            return f"*.{spelled}"
    wildcards = [name for name in hosts if name.startswith("*.")]
    if len(wildcards) == 1 and not stem[0].isalnum():
        return wildcards[0]
    # With a certificate for others, or one that could not be read, it may be a host; not so with such a beginning.
    return f"*.{domain}" if not stem[0].isalnum() and _name_or_none(f"*.{domain}") is not None else None


def _host_of(path: Path) -> str | None:
    """The host name that a file is for, or None when its name is not of the form."""
    if path.suffix.lower() != ".pfx":
        return None
    stem = path.name[: -len(".pfx")].lower()
    if _is_address(stem):
        return None
    host = f"*{stem[1:]}" if stem.startswith("_.") else stem
    return host if _name_or_none(host) == f"{stem}.pfx" else None


def _name_or_none(host: str) -> str | None:
    """The name of the file for a host; None for what has none."""
    try:
        return file_name(host)
    except InvalidInputError:
        return None
