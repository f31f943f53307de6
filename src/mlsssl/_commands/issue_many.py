"""`issue --names FILE`: a certificate for each line of a file, each in a file of its own."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsssl._formats.hosts import parse_name
from mlsssl._formats.text import decode_unicode
from mlsssl._machine import files
from mlsssl._machine.private_files import private_folder
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cryptography import x509

    import mlsssl
    from mlsssl._commands.terminal import Terminal

MOST_BYTES = 16 * 1024 * 1024
_LONGEST = 200  # characters of a file's name: most file systems take 255 bytes, and a file being written has some more
_MOST_TOLD = 20
# What Windows takes for a device, whatever stands behind the first dot (learn.microsoft.com, "Naming Files").
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?=\.|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One certificate to issue.

    Attributes:
        line: Where it stands in the file, from 1.
        names: What it is for, as they stand there.
        file: The name of the file to write.
    """

    line: int
    names: tuple[str, ...]
    file: str

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return {"line": self.line, "names": list(self.names), "file": self.file}


def read_names(path: Path, suffix: str) -> list[Wanted]:
    """What the lines of a file want: names separated by blanks or commas; from `#` on it is a comment.

    Raises:
        InvalidInputError: a line that cannot be used, with its number and those of the others; or no text, more than
            16 MiB, or no names at all.
    """
    text = decode_unicode(files.read(path, limit=MOST_BYTES))
    if text is None:
        raise InvalidInputError(f"{path} is no UTF-8 or UTF-16 text; it has the names of one certificate on each line")
    found: list[Wanted] = []
    lines_of: dict[str, int] = {}
    problems: dict[int, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        names = tuple(re.split(r"[\s,]+", line.partition("#")[0].strip(" \t\r,")))
        if names == ("",):
            continue
        try:
            first, *_ = [parse_name(name) for name in names]
            file = file_for(first, suffix)
        except InvalidInputError as error:
            problems[number] = f"{error}; names are separated by blanks or commas"
            continue
        if lines_of.setdefault(file, number) != number:
            problems[number] = (
                f"it begins with {shown(names[0])} as line {lines_of[file]} does, and both would be written to {file}: "
                "leave one out, or put another name first"
            )
            continue
        found.append(Wanted(line=number, names=names, file=file))
    if problems:
        at, *others = problems
        more = f" (and {len(others) - _MOST_TOLD} more)" if len(others) > _MOST_TOLD else ""
        lines = ", ".join(map(str, others[:_MOST_TOLD]))
        raise InvalidInputError(
            f"{path}, line {at}: {problems[at]}"
            + (f"; lines that cannot be used either: {lines}{more}" if others else "")
            + ". Nothing was issued"
        )
    if not found:
        raise InvalidInputError(f"{path} has no names; it has those of one certificate on each line")
    return found


def file_for(name: x509.DNSName | x509.IPAddress, suffix: str) -> str:
    """The name of the file: as IIS' central store wants it, `_.example.com.pfx` for a wildcard; `-` for a colon."""
    stem = str(name.value).replace("*", "_", 1).replace(":", "-")
    if _DEVICE.match(stem):
        stem = f"_{stem}"
    if len(stem) > _LONGEST:
        digest = hashlib.sha256(stem.encode("ascii")).hexdigest()
        stem = f"{stem[: _LONGEST - 17]}-{digest[:16]}"
    return stem + suffix


def folder_for(given: str, *, make: bool) -> Path:
    """Where the files go: a folder that is there, or a new one that only this user may read."""
    folder = files.path_of(given)
    if files.exists(folder) and not files.is_folder(folder):
        raise InvalidInputError(f"{folder} is a file; with --names, --out is the folder that the files go into")
    if not given:
        raise InvalidInputError("a folder's name is needed, not ''")
    return private_folder(folder) if make and not files.exists(folder) else folder


def issue_all(
    wanted: Sequence[Wanted],
    authority: mlsssl.CertificateAuthority,
    folder: Path,
    terminal: Terminal,
    *,
    source: Path,
    options: dict[str, object],
    password: str | None,
    no_password: bool,
    overwrite: bool,
) -> list[dict[str, object]]:
    """Issue on every core and write each as it comes, whole: after a kill the same call goes on where it stopped.

    Raises:
        InvalidInputError: one cannot be issued, with its line; those before it are written.
        ExistsError: a file came meanwhile whose private key would be lost.
    """
    done: list[dict[str, object]] = []
    with terminal.working("issuing", len(wanted)) as progress:
        made = authority.issue_many([one.names for one in wanted], **options)  # type: ignore[arg-type]
        try:
            for certificate in made:
                one = wanted[len(done)]
                certificate.save(folder / one.file, password=password, no_password=no_password, overwrite=overwrite)
                done.append({**one.to_dict(), "thumbprint": str(certificate.thumbprint)})
                terminal.say([f"{one.file}: {certificate.thumbprint}"])
                progress(len(done))
        except InvalidInputError as error:
            raise InvalidInputError(
                f"{source}, line {wanted[len(done)].line}: {error}. {len(done)} were issued before it; mend the line "
                "and give the same command again"
            ) from None
    return done
