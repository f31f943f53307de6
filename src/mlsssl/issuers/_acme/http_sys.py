"""http-01 on Windows beside IIS: port 80 is shared through HTTP.sys, which has it already."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

from mlsssl._messages.arguments import check_number
from mlsssl._messages.foreign_text import shown
from mlsssl._select.ports import http_prefix_listener
from mlsssl.errors import InvalidInputError
from mlsssl.issuers._acme.folder import WELL_KNOWN

if TYPE_CHECKING:
    from mlsssl._windows.http_requests import PrefixListener


class HttpSysChallenge:
    r"""http-01 by a listener of its own that shares the port with IIS and whatever else listens through HTTP.sys.

    HTTP.sys gives a request to whoever registered the longest prefix of its path, and `+` comes before host names: so
    `http://+:80/.well-known/acme-challenge/` gets the requests of the authority, and every site keeps the rest. It is
    registered while an order has challenges, answers their tokens and nothing else, and ends with the process.

    It takes an administrator, or a reservation that one has made once for the account:
    `netsh http add urlacl url=http://+:80/.well-known/acme-challenge/ user=DOMAIN\USER`. A program that has port 80
    without HTTP.sys (Apache, nginx) is no case for it: let that program serve a folder (`WebrootChallenge`).

    Shown under Wine with its own HTTP.sys driver, validated by Pebble, and over the library's fakes; not yet beside an
    IIS.

    Args:
        port: Where the requests come in, 1 to 65535; an authority asks port 80 of the name, so another one is for a
            router or proxy that sends its requests on.
        timeout: Seconds to wait for another order of this computer that has the prefix, 0 to 3600.

    Raises:
        InvalidInputError: an argument out of its range.
    """

    type: Literal["http-01"] = "http-01"

    def __init__(self, port: int = 80, *, timeout: float = 30.0) -> None:
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
            raise InvalidInputError(f"a port is a number from 1 to 65535, not {shown(port)}")
        self._prefix = f"http://+:{port}{WELL_KNOWN}"
        self._timeout = check_number(timeout, 0, 3600, "a time-out is a number of seconds from 0 to 3600")
        self._answers: dict[str, bytes] = {}
        self._listener: PrefixListener | None = None
        self._lock = threading.Lock()

    def present(self, domain: str, token: str, key_authorization: str) -> None:
        """As `ChallengeSolver.present`.

        Raises:
            UnsupportedError: this is not Windows.
            AccessDeniedError: neither an administrator nor a reservation.
            ListenerError: another program has the prefix, or the port without HTTP.sys.
            NativeError: another call of Windows failed.
        """
        with self._lock:
            if self._listener is not None and self._listener.failure is not None:  # it ended by itself: anew
                self._listener.close()
                self._listener = None
            if self._listener is None:
                self._listener = http_prefix_listener(self._prefix, self._answer, timeout=self._timeout)
            self._answers[token] = key_authorization.encode("ascii")

    def cleanup(self, domain: str, token: str, key_authorization: str) -> None:
        """As `ChallengeSolver.cleanup`; the prefix is given back after the last one.

        Raises:
            NativeError: the listener had ended by itself; the prefix is given back all the same.
        """
        with self._lock:
            self._answers.pop(token, None)
            if self._listener is not None and not self._answers:
                listener, self._listener = self._listener, None
                listener.close()
                if listener.failure is not None:
                    raise listener.failure

    def _answer(self, path: str) -> bytes | None:
        # In the listener's thread, without the lock that `cleanup` holds while it waits for that thread's end.
        return self._answers.get(path.removeprefix(WELL_KNOWN)) if path.startswith(WELL_KNOWN) else None

    def __repr__(self) -> str:
        return f"<HttpSysChallenge {self._prefix}>"
