"""A clock that stands still until it is told to move."""

from __future__ import annotations

import datetime as dt

from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError


class FrozenClock:
    """A clock for whatever takes one: it says the same moment until it is moved.

    Called it gives the moment as an aware datetime, for `at=` and `clock=`; `monotonic` and `sleep` stand in for
    `time.monotonic` and `time.sleep`, so that waiting takes no time and shows in the clock.

    Args:
        at: Where it starts; aware. Noon (UTC) of 2026-01-01 when not given, which is `mlsssl.strategies.CLOCK` too.

    Raises:
        InvalidInputError: `at` has no time zone.
    """

    def __init__(self, at: dt.datetime = dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone.utc)) -> None:
        if at.tzinfo is None:
            raise InvalidInputError("a moment needs a time zone: datetime.now(timezone.utc), not datetime.now()")
        self._start = self._now = at

    def __call__(self) -> dt.datetime:
        return self._now

    @property
    def now(self) -> dt.datetime:
        """The moment it says."""
        return self._now

    def advance(self, duration: dt.timedelta | None = None, *, days: float = 0, seconds: float = 0) -> dt.datetime:
        """Move it forward by all that is given: a duration, days and seconds; returns the new moment.

        Raises:
            InvalidInputError: that would be backward, which no clock of a computer may be trusted not to do, but
                which a test should say with a new clock; beyond the year 9999; or no number.
        """
        try:
            step = (duration or dt.timedelta(0)) + dt.timedelta(days=days, seconds=seconds)
            later = self._now + step
        except (OverflowError, ValueError, TypeError):
            given = ", ".join(map(shown, (duration, days, seconds)))
            raise InvalidInputError(f"a FrozenClock goes forward up to the year 9999, not by {given}") from None
        if step < dt.timedelta(0):
            raise InvalidInputError("a FrozenClock goes forward only; make a new one for an earlier moment")
        self._now = later
        return self._now

    def monotonic(self) -> float:
        """Seconds since it was made, by itself."""
        return (self._now - self._start).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Move forward by so many seconds and return at once."""
        self.advance(seconds=seconds)

    def __repr__(self) -> str:
        return f"FrozenClock({self._now.isoformat()})"
