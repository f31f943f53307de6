"""How long a certificate may live: no longer than its authority, and what is said where that shortens it."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl._issue import certificates
from mlsssl._messages.foreign_text import message
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator


class ShortenedWarning(UserWarning):
    """A certificate was asked for that would outlive its authority, and ends with it instead.

    Clients refuse every certificate of an authority that is over, so the rest of the time would be worth nothing.
    Python shows a warning once for each place in a program; `warnings.simplefilter("error", ShortenedWarning)` makes an
    error of it, raised before anything is issued. `renew`, `renew_due` and `deploy` raise none: there it is the finding
    `authority-ending`, which no filter of warnings turns into a failure.
    """

    __module__ = "mlsssl"


_PACKAGE = str(Path(__file__).parent.parent)
_notes: ContextVar[list[str] | None] = ContextVar("mlsssl_shortened", default=None)


@contextmanager
def noted() -> Iterator[list[str]]:
    """What is shortened in here stands in this list, for who says it himself; there is no `ShortenedWarning`."""
    notes: list[str] = []
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)


def within(
    at: dt.datetime, days: int, *, begins: dt.datetime, ends: dt.datetime, authority: str
) -> tuple[dt.datetime, dt.datetime]:
    """First and last second of validity, as `certificates.validity`, within the life of the authority of this name.

    Raises:
        InvalidInputError: as `certificates.validity`; or the authority is not valid at that moment.
    """
    not_before, not_after = certificates.validity(at, days, earliest=begins)
    if not_before < begins:
        raise InvalidInputError(f"{authority} is not valid before {begins:%Y-%m-%d %H:%M} UTC")
    if at > ends:
        raise InvalidInputError(
            f"{authority} itself has ended on {ends:%Y-%m-%d %H:%M} UTC, and clients refuse whatever it issues; make a "
            "new one with CertificateAuthority.create(...)"
        )
    if not_after > ends:
        asked = "1 day" if days == 1 else f"{days} days"
        _tell(
            f"the certificate ends on {ends:%Y-%m-%d %H:%M} UTC, when {authority} itself ends, and not after {asked}, "
            f"on {not_after:%Y-%m-%d}; make the authority's successor, ca.renew()"
        )
    return not_before, min(not_after, ends)


def _tell(text: str) -> None:
    notes = _notes.get()
    if notes is None:
        warnings.warn(message(text), ShortenedWarning, stacklevel=_caller())
    else:
        notes.append(text)


def _caller() -> int:
    """The `stacklevel` of the first function outside the library, counted from `_tell`."""
    level, frame = 1, sys._getframe(1)  # noqa: SLF001  # documented, and what warnings.warn counts
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
