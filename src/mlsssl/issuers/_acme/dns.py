"""dns-01: a record in DNS, put there and taken away by the user's own functions or program."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from typing import TYPE_CHECKING, Literal

from mlsssl._machine import programs
from mlsssl._messages.arguments import check_callable, check_number, items_of
from mlsssl._messages.foreign_text import message
from mlsssl.errors import InvalidInputError, IssuerError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Self

_WHO = "the dns-01 hook"
_LOOK = 2.0  # seconds between two looks whether a record can be found
_OUTPUT = 1024 * 1024  # bytes that a program may write
_WORDS = "a command is the path of a program, or a list that begins with it"
_TOLD = 500  # characters of what a program says that go into the error


class DnsChallenge:
    """dns-01 by two functions of the user's: one puts a TXT record into DNS, one takes it away.

    It is the only way to a wildcard, and needs no port. Several records of one name may stand at once, for
    `example.com` and `*.example.com`: add and remove the one value, and leave others.

    Args:
        present: Called with the record's name (`_acme-challenge.example.com`) and its value; also when the record
            may be there already.
        cleanup: Called with the same; also when the record may be gone.
        wait: Seconds until a record can be found by everybody, 0 to 3600. They begin when the last one was put there.
        check: Called with name and value again and again, until it says True: a look-up at the zone's own servers,
            say. None for none.
        timeout: Seconds for `check` to say True, above 0, to 86400.

    Raises:
        InvalidInputError: an argument that cannot be.
    """

    type: Literal["dns-01"] = "dns-01"

    def __init__(
        self,
        present: Callable[[str, str], object],
        cleanup: Callable[[str, str], object],
        *,
        wait: float = 0.0,
        check: Callable[[str, str], bool] | None = None,
        timeout: float = 600.0,
    ) -> None:
        for function in (present, cleanup):
            if not callable(function):
                raise InvalidInputError(
                    f"present and cleanup are functions of a record's name and value, not {type(function).__name__}; "
                    "DnsChallenge.by_command takes a program"
                )
        check_callable(check, "check is a function of a record's name and value")
        self._present, self._cleanup, self._check = present, cleanup, check
        self._wait = check_number(wait, 0, 3600, "wait is a number of seconds from 0 to 3600")
        limits = "a time-out is a number of seconds above 0, to 86400"
        self._timeout = check_number(timeout, 0, 86400, limits, above=True)
        self._changed = 0.0  # by time.monotonic

    @classmethod
    def by_command(
        cls,
        command: str | os.PathLike[str] | Sequence[str],
        *,
        wait: float = 0.0,
        check: Callable[[str, str], bool] | None = None,
        timeout: float = 600.0,
    ) -> Self:
        """The same by a program, which is run as `PROGRAM present NAME VALUE` and `PROGRAM cleanup NAME VALUE`.

        No shell is between. It ends with code 0 when it has done it, also when nothing was to do; otherwise what it
        writes to its error stream is in the error.

        Args:
            command: The program's path, or that and its first arguments.
            wait: As for the class.
            check: As for the class.
            timeout: As for the class; also what one run may take.

        Raises:
            InvalidInputError: an argument that cannot be.
        """
        given = [command] if isinstance(command, (str, os.PathLike)) else items_of(command, _WORDS)
        words = [str(word) if isinstance(word, os.PathLike) else word for word in given]
        run = _Command(programs.checked_command(words), timeout)
        return cls(
            lambda name, value: run("present", name, value),
            lambda name, value: run("cleanup", name, value),
            wait=wait,
            check=check,
            timeout=timeout,
        )

    def present(self, domain: str, token: str, key_authorization: str) -> None:
        """As `ChallengeSolver.present`.

        Raises:
            NotFoundError: there is no such program.
            IssuerError: the program failed, or took too long; or a function raised, whose error is the cause.
        """
        self._call(self._present, domain, key_authorization, "put into DNS")
        self._changed = time.monotonic()

    def settle(self, domain: str, token: str, key_authorization: str) -> None:
        """As `SettlingSolver.settle`.

        Raises:
            IssuerError: `check` did not say True in time, or raised.
        """
        time.sleep(max(0.0, self._changed + self._wait - time.monotonic()))
        deadline = time.monotonic() + self._timeout
        while self._check is not None and not self._call(self._check, domain, key_authorization, "looked up"):
            if time.monotonic() + _LOOK >= deadline:
                raise IssuerError(
                    f"the record _acme-challenge.{domain} was not found within {self._timeout:g} seconds; look at the "
                    "zone, or give it longer (timeout)",
                    issuer=_WHO,
                )
            time.sleep(_LOOK)

    def cleanup(self, domain: str, token: str, key_authorization: str) -> None:
        """As `ChallengeSolver.cleanup`; errors as `present`."""
        self._call(self._cleanup, domain, key_authorization, "removed from DNS")

    def _call(self, function: Callable[[str, str], object], domain: str, key_authorization: str, done: str) -> object:
        name, value = f"_acme-challenge.{domain}", txt_value(key_authorization)
        try:
            return function(name, value)
        except MlssslError:
            raise
        except Exception as error:
            raise IssuerError(
                f"the record {name} could not be {done}: {type(error).__name__}: {message(str(error))[:_TOLD]}",
                issuer=_WHO,
            ) from error

    def __repr__(self) -> str:
        return "<DnsChallenge>"


class _Command:
    def __init__(self, words: list[str], timeout: float) -> None:
        self._words, self._timeout = words, timeout

    def __call__(self, *arguments: str) -> None:
        words = [*self._words, *arguments]
        ended = programs.run(words, input=b"", timeout=self._timeout, environment=None, limit=_OUTPUT)
        if ended.code != 0:
            how = ended.stopped or f"ended with code {ended.code}"
            said = message(ended.error.decode("utf-8", "replace").strip())[:_TOLD]
            raise IssuerError(
                f"{self._words[0]} {' '.join(arguments[:2])}: it {how}" + (f": {said}" if said else ""), issuer=_WHO
            )


def txt_value(key_authorization: str) -> str:
    """What stands in the TXT record (RFC 8555 section 8.4)."""
    digest = hashlib.sha256(key_authorization.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
