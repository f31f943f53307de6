"""http-01 by a small web server of our own, for as long as an order has unanswered challenges."""

from __future__ import annotations

import contextlib
import errno
import http.server
import os
import socket
import threading
import time
from typing import Literal

from mlsssl._formats.binding_keys import IpPort, parse_binding_key
from mlsssl._messages.arguments import check_number
from mlsssl._messages.foreign_text import shown, system_reason
from mlsssl.errors import AccessDeniedError, InvalidInputError, ListenerError
from mlsssl.issuers._acme.folder import WELL_KNOWN

_ONE_REQUEST = 10.0  # seconds that a client has for it
_CLIENTS = 64  # at once; more wait in the system's queue


class SocketChallenge:
    """http-01 by a web server of its own, which listens while an order has challenges and answers nothing else.

    The server that validates comes to port 80 of the name; another port is for a router or a proxy that sends its
    requests on. Where HTTP.sys has port 80, it cannot be opened: share it by `HttpSysChallenge`.

    Args:
        address: Where to listen: `0.0.0.0:80`, `10.0.0.5:8080`; `[::]:80` answers IPv4 and IPv6 clients.
        timeout: Seconds to wait for a port that another order of this computer has open, 0 to 3600.

    Raises:
        InvalidInputError: no address with a port.
    """

    type: Literal["http-01"] = "http-01"

    def __init__(self, address: str = "0.0.0.0:80", *, timeout: float = 30.0) -> None:
        key = parse_binding_key(address) if isinstance(address, str) else address
        if not isinstance(key, IpPort):
            raise InvalidInputError(f"an address with a port is needed, such as 0.0.0.0:80, not {shown(address)}")
        self._address = key
        self._timeout = check_number(timeout, 0, 3600, "a time-out is a number of seconds from 0 to 3600")
        self._answers: dict[str, bytes] = {}
        self._server: _Server | None = None
        self._lock = threading.Lock()

    def present(self, domain: str, token: str, key_authorization: str) -> None:
        """As `ChallengeSolver.present`.

        Raises:
            ListenerError: the port is in use, or the address is not this computer's.
            AccessDeniedError: this user may not use it: those below 1024 are for root on Linux.
        """
        with self._lock:
            self._answers[token] = key_authorization.encode("ascii")
            if self._server is None:
                self._server = self._started()

    def cleanup(self, domain: str, token: str, key_authorization: str) -> None:
        """As `ChallengeSolver.cleanup`; the port is closed after the last one."""
        with self._lock:
            self._answers.pop(token, None)
            if self._server is not None and not self._answers:
                self._server.shutdown()
                self._server.server_close()
                self._server = None

    def _started(self) -> _Server:
        server = self._opened()
        threading.Thread(target=server.serve_forever, args=(0.05,), name="mlsssl-http-01", daemon=True).start()
        return server

    def _opened(self) -> _Server:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return _Server(self._address, self._answers)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                    raise self._refused(error) from None
            time.sleep(0.1)

    def _refused(self, error: OSError) -> ListenerError | AccessDeniedError:
        if isinstance(error, PermissionError) and os.name != "nt":
            return AccessDeniedError(
                f"this user may not listen on {self._address}; run it as root, or let a proxy on port 80 send "
                f"{WELL_KNOWN} to a port above 1023 that is given here",
                right="administrator",
            )
        if isinstance(error, PermissionError) or error.errno == errno.EADDRINUSE:  # Windows says EACCES for both
            return ListenerError(
                f"{self._address} is in use by another program: let that one serve a folder (WebrootChallenge), or "
                "share HTTP.sys' port with it (HttpSysChallenge)"
            )
        return ListenerError(f"cannot listen on {self._address}: {system_reason(error)}")

    def __repr__(self) -> str:
        return f"<SocketChallenge {self._address}>"


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # On Windows the option would let us take a port that another program has open.
    allow_reuse_address = os.name != "nt"
    request_queue_size = 128

    def __init__(self, address: IpPort, answers: dict[str, bytes]) -> None:
        self.answers = answers
        self.address_family = socket.AF_INET6 if ":" in address.address else socket.AF_INET
        self._free = threading.BoundedSemaphore(_CLIENTS)
        super().__init__((address.address, address.port), _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            with contextlib.suppress(OSError, AttributeError):
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not HTTPServer's own, which asks DNS for this computer's name.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1) if self.allow_reuse_address else None
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: object, client_address: object) -> None:
        self._free.acquire()
        super().process_request(request, client_address)  # type: ignore[arg-type]  # what socketserver's stubs name privately

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]  # as above
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client that went away is no news, and socketserver would write to the terminal."""


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _ONE_REQUEST
    server: _Server

    def do_GET(self) -> None:
        token = self.path.partition("?")[0].removeprefix(WELL_KNOWN)
        answer = self.server.answers.get(token) if self.path.startswith(WELL_KNOWN) else None
        self.send_response(404 if answer is None else 200)
        self.send_header("Content-Type", "application/octet-stream")  # RFC 8555 section 8.3
        self.send_header("Content-Length", str(len(answer or b"")))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer or b"")

    def version_string(self) -> str:
        return "mlsssl"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        """Nothing: http.server would write to the terminal."""
