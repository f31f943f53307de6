"""dns-01: a record in DNS, put there and taken away by the user's own functions or program."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import time
from typing import TYPE_CHECKING, Literal

from mlsssl._messages.arguments import check_callable, check_number, items_of
from mlsssl._messages.foreign_text import message, shown, system_reason
from mlsssl.errors import InvalidInputError, IssuerError, MlssslError, NotFoundError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from typing_extensions import Self

_WHO = "the dns-01 hook"
_LOOK = 2.0  # seconds between two looks whether a record can be found
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
        words = [command] if not isinstance(command, (list, tuple)) else list(items_of(command, "a command"))
        if not words or not all(isinstance(word, str) or hasattr(word, "__fspath__") for word in words):
            raise InvalidInputError(
                f"a command is the path of a program, or a list that begins with it, not {shown(command)}"
            )
        run = _Command([str(word) for word in words], timeout)
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
        program = self._words[0]
        try:
            done = subprocess.run(  # noqa: S603 -- the program is the user's choice, and no shell is between
                [*self._words, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=self._timeout,
                check=False,
            )
        except FileNotFoundError:
            raise NotFoundError(f"there is no program {program}") from None
        except subprocess.TimeoutExpired:
            raise IssuerError(
                f"{program} {' '.join(arguments[:2])} did not end within {self._timeout:g} seconds", issuer=_WHO
            ) from None
        except (OSError, ValueError) as error:
            raise IssuerError(f"{program} cannot be run: {system_reason(error)}", issuer=_WHO) from None
        if done.returncode != 0:
            said = message(done.stderr.decode("utf-8", "replace").strip())[:_TOLD]
            raise IssuerError(
                f"{program} {' '.join(arguments[:2])} ended with code {done.returncode}"
                + (f": {said}" if said else ""),
                issuer=_WHO,
            )


def txt_value(key_authorization: str) -> str:
    """What stands in the TXT record (RFC 8555 section 8.4)."""
    digest = hashlib.sha256(key_authorization.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
