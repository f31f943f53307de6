"""A small ACME server of the tests, for what neither Pebble nor Caddy does: renewal information, rate limits, slowness.

It validates nothing: a challenge is fulfilled when the client says so. Any of its answers can be replaced.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import ssl
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlsssl import CertificateAuthority, CertificateRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Reply:
    """What the server says: JSON or bytes, a status, headers."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def problem(code: str, status: int, **headers: str) -> Reply:
    """A problem document (RFC 8555 section 6.7)."""
    body = {"type": f"urn:ietf:params:acme:error:{code}", "detail": f"because of {code}"}
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class StandIn:
    """The server.

    Attributes:
        directory: Its address.
        trust: A file with the root of its own HTTPS certificate.
        ca: What issues.
        asked: How often each path was asked.
        instead: For a path or the beginning of one: a function of the payload that gives a reply in the place of the
            usual one; None for the usual.
        orders: Each order, by its number.
        meta: What the directory says of the server.
        seen: Every payload, with its path.
    """

    directory: str
    trust: Path
    ca: CertificateAuthority
    asked: Counter[str] = field(default_factory=Counter)
    instead: dict[str, Callable[[Any], Reply | None]] = field(default_factory=dict)
    orders: list[dict[str, Any]] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[str, Any]] = field(default_factory=list)

    def reply(self, path: str, payload: Any) -> Reply:
        """The answer to a request."""
        kind = "/" + path.split("/")[1]
        self.asked[kind] += 1
        self.seen.append((path, payload))
        for beginning, function in self.instead.items():
            if path.startswith(beginning) and (given := function(payload)) is not None:
                return given
        method: Callable[[str, Any], Reply] = getattr(self, "_" + kind[1:].replace("-", "_"))
        return method(path.rpartition("/")[2], payload)

    def _at(self, path: str) -> str:
        return self.directory.removesuffix("/dir") + path

    def _dir(self, _last: str, _payload: Any) -> Reply:
        names = {"newNonce": "nonce", "newAccount": "account", "newOrder": "new-order", "revokeCert": "revoke"}
        names["renewalInfo"] = "renewal"
        return Reply({**{name: self._at(f"/{path}") for name, path in names.items()}, "meta": self.meta})

    def _nonce(self, _last: str, _payload: Any) -> Reply:
        return Reply()

    def _account(self, _last: str, _payload: Any) -> Reply:
        return Reply({"status": "valid"}, headers={"Location": self._at("/account/1")})

    def _new_order(self, _last: str, payload: Any) -> Reply:
        self.orders.append({"status": "pending", "identifiers": payload["identifiers"]})
        number = len(self.orders) - 1
        return Reply(self._shown(number), 201, {"Location": self._at(f"/order/{number}")})

    def _shown(self, number: int) -> dict[str, Any]:
        order = self.orders[number]
        shown = {name: value for name, value in order.items() if name != "chain"}
        shown["authorizations"] = [self._at(f"/authorization/{number}")]
        shown["finalize"] = self._at(f"/finalize/{number}")
        if order["status"] == "valid":
            shown["certificate"] = self._at(f"/certificate/{number}")
        return shown

    def _order(self, last: str, _payload: Any) -> Reply:
        return Reply(self._shown(int(last)))

    def _authorization(self, last: str, _payload: Any) -> Reply:
        order = self.orders[int(last)]
        status = "pending" if order["status"] == "pending" else "valid"
        challenge = {"type": "http-01", "url": self._at(f"/challenge/{last}"), "token": f"token-{last}"}
        return Reply(
            {"status": status, "identifier": order["identifiers"][0], "challenges": [{**challenge, "status": status}]}
        )

    def _challenge(self, last: str, _payload: Any) -> Reply:
        self.orders[int(last)]["status"] = "ready"
        return Reply({"type": "http-01", "status": "valid", "url": self._at(f"/challenge/{last}")})

    def _finalize(self, last: str, payload: Any) -> Reply:
        request = CertificateRequest.from_bytes(decoded(payload["csr"]))
        self.orders[int(last)] |= {"status": "valid", "chain": self.ca.sign(request).to_pem()}
        return Reply(self._shown(int(last)))

    def _certificate(self, last: str, _payload: Any) -> Reply:
        return Reply(self.orders[int(last)]["chain"], headers={"Content-Type": "application/pem-certificate-chain"})

    def _revoke(self, _last: str, _payload: Any) -> Reply:
        return Reply()

    def _renewal(self, _last: str, _payload: Any) -> Reply:
        return problem("malformed", 404)


def decoded(text: str) -> bytes:
    """Base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@contextlib.contextmanager
def stand_in(folder: Path) -> Iterator[StandIn]:
    """The server, until the end of the block."""
    root = CertificateAuthority.create("Stand-in's own", key="ec-p256")
    (folder / "stand-in.pem").write_bytes(root.certificate.to_pem())
    numbers = iter(range(10**9))

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60
        wbufsize = -1  # head and body in one packet: otherwise each answer waits 40 ms for the other side's ACK

        def answer(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            payload: Any = None
            if data:
                text = decoded(json.loads(data)["payload"])
                payload = json.loads(text) if text else None
            reply = made.reply(self.path, payload)
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Replay-Nonce": f"{next(numbers):08}", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_POST = do_HEAD = answer  # noqa: N815 -- http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away."""

        def finish_request(self, request: Any, client_address: Any) -> None:
            with context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)

    root.issue("localhost", "127.0.0.1", key="ec-p256").save(folder / "stand-in-server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "stand-in-server.pem")
    server = Server(("127.0.0.1", 0), Handler)
    made = StandIn(
        directory=f"https://127.0.0.1:{server.server_address[1]}/dir",
        trust=folder / "stand-in.pem",
        ca=CertificateAuthority.create("Stand-in", key="ec-p256"),
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
