"""Folders of a Central Certificate Store (CCS): one PFX file for each host name, as IIS and HTTP.sys look for them.

A CCS binding names no certificate. Windows takes the host name of the connection and reads `www.example.com.pfx`, or
`_.example.com.pfx` for the wildcard above it, from the shared folder; one password opens all files (Microsoft:
"IIS 8.0 Centralized SSL Certificate Support").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from mlsssl._formats.hosts import any_matches, parse_name
from mlsssl._machine import files
from mlsssl._messages.arguments import check_password
from mlsssl._messages.foreign_text import printable, shown
from mlsssl.certificate import Certificate, check_certificate
from mlsssl.errors import InvalidInputError, MlssslError, NotFoundError, WrongPasswordError
from mlsssl.values import check_moment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["CcsFinding", "check_folder", "file_name", "write_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CcsFinding:
    """Something wrong with one file of a folder.

    Attributes:
        path: The file.
        problem: What was found.
        remedy: What to do.
    """

    path: Path
    problem: str
    remedy: str

    def __str__(self) -> str:
        return printable(f"{self.path.name}: {self.problem} → {self.remedy}")


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


def check_folder(folder: str | Path, password: str | None, *, at: dt.datetime | None = None) -> tuple[CcsFinding, ...]:
    """Read every file of a folder as the store would, and say what is wrong with each.

    Looked at: the name, whether the password opens it, whether there is a private key, whether the certificate is
    for the name, and its dates. Not looked at: trust and revocation (`Certificate.check`), subfolders, who may read
    the files.

    Args:
        folder: The folder.
        password: The one password of the store, or None.
        at: The moment to check dates for, aware; now when not given.

    Returns:
        The findings, sorted by file name; empty when all is well.

    Raises:
        InvalidInputError: it is no folder, or `at` is naive.
        AccessDeniedError: this user may not look into it.
    """
    where = files.path_of(folder)
    check_password(password)
    moment = check_moment(at)
    try:
        paths = files.entries(where)
    except NotFoundError:
        raise InvalidInputError(f"{where} is not a folder") from None
    return tuple(finding for path in paths for finding in _check_file(path, password, moment))


def _check_file(path: Path, password: str | None, moment: dt.datetime) -> Iterator[CcsFinding]:
    def found(problem: str, remedy: str) -> CcsFinding:
        return CcsFinding(path=path, problem=problem, remedy=remedy)

    if files.is_folder(path):
        return
    host = _host_of(path)
    if host is None:
        yield found("the name is not HOST.pfx, so the store never reads it", "rename it, or take it out of the folder")
        return
    try:
        certificate = Certificate.from_pfx(files.read_found(path), password)
    except WrongPasswordError as error:
        yield found(str(error), "write it anew with the store's password: mlsssl.ccs.write_files")
        return
    except MlssslError as error:
        yield found(str(error), "replace it: mlsssl.ccs.write_files")
        return
    if not certificate.has_private_key:
        yield found("it holds no private key", "export the certificate together with its key")
    wanted = parse_name(host.replace("*", "any", 1))
    if not any_matches(certificate.hosts, wanted):
        shown = ", ".join(certificate.names[:5]) or certificate.subject
        yield found(f"its certificate is for {shown}, not for {host}", "issue one for this name, or rename the file")
    if not certificate.not_before <= moment <= certificate.not_after:
        dates = f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
        yield found(f"its certificate is valid from {dates} only", "renew it")


def _host_of(path: Path) -> str | None:
    """The host name that a file is for, or None when its name is not of the form."""
    if path.suffix.lower() != ".pfx":
        return None
    stem = path.name[: -len(".pfx")].lower()
    host = f"*{stem[1:]}" if stem.startswith("_.") else stem
    return host if _name_or_none(host) == f"{stem}.pfx" else None


def _name_or_none(host: str) -> str | None:
    """The name of the file for a host; None for what has none."""
    try:
        return file_name(host)
    except InvalidInputError:
        return None
