"""Requests to an ACME server: signed, with nonces, bounded in size and time, and every answer checked (RFC 8555)."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from acme import jws, messages
from josepy import jwa, jwk
from josepy.b64 import b64encode
from josepy.errors import DeserializationError
from josepy.json_util import decode_b64jose

from mlsssl._messages.foreign_text import message
from mlsssl._version import __version__
from mlsssl.errors import IssuerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlsssl._formats.keys import PrivateKey

_SIZE = 1024 * 1024  # bytes of one answer; chains take 5 to 20 KB
_SECONDS = 30.0  # without a byte of the answer
_NONCES = 10  # tries of one request, where the server goes on refusing nonces (RFC 8555 section 6.5)
_TRIES = 4  # of what may be asked twice, when nothing or a fault of the server comes back
_PREFIX = "urn:ietf:params:acme:error:"
_JOSE = "application/jose+json"
_TOLD = 600  # characters of what a server says that go into an error


class Problem(IssuerError):
    """What the server answered instead (RFC 7807); never leaves the package as this class.

    Attributes:
        code: The word of RFC 8555 section 6.7, such as `rateLimited`, or "".
        status: HTTP's status.
        retry_after: Seconds that the server says to wait; None when it does not.
    """

    def __init__(self, text: str, *, issuer: str, code: str, status: int, retry_after: float | None) -> None:
        super().__init__(text, issuer=issuer)
        self.code, self.status, self.retry_after = code, status, retry_after

    @property
    def limited(self) -> bool:
        """Whether it says that there were too many requests."""
        return self.code == "rateLimited" or self.status == 429

    @property
    def passing(self) -> bool:
        """Whether it is a fault of the server's, which may be over in a moment."""
        return self.status in (500, 502, 503, 504) and not self.limited


class Unreachable(IssuerError):
    """No answer came, or none that can be read; never leaves the package as this class."""


class OutOfTime(Exception):
    """The time for an order is over before the next step.

    Attributes:
        seconds: After how many it makes sense to ask again.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Patience:
    """The time that there is for an order, and every wait in it."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return self._deadline - time.monotonic()

    def wait(self, seconds: float) -> None:
        """Sleep; `OutOfTime`, at once, when there is not so much time."""
        if seconds > self.left:
            raise OutOfTime(seconds)
        time.sleep(seconds)

    def longer(self, seconds: float) -> None:
        """Time that a solver took by its own rules is not taken from the order's."""
        self._deadline += seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said.

    Attributes:
        url: To which question.
        headers: By name, without regard to case.
        body: Its bytes.
        issuer: The server, for errors.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    issuer: str

    def json(self) -> dict[str, Any]:
        """The JSON object in it; `Unreachable` when there is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Unreachable(f"{self.url} did not answer with JSON, as an ACME server does", issuer=self.issuer)
        return found

    @property
    def location(self) -> str:
        """The address of what was made; `Unreachable` when there is none."""
        if "Location" not in self.headers:
            raise Unreachable(f"{self.url} did not say where what it made is (Location)", issuer=self.issuer)
        return self.headers["Location"]

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, from 0 up; None when it does not say."""
        return retry_seconds(self.headers.get("Retry-After"))

    def links(self, relation: str) -> list[str]:
        """The addresses of this relation in its Link headers (RFC 8288)."""
        found = requests.utils.parse_header_links(self.headers.get("Link", ""))
        return [link["url"] for link in found if link.get("rel") == relation and link.get("url")]


def retry_seconds(text: str | None) -> float | None:
    """What Retry-After says, in seconds from now (RFC 9110 section 10.2.3: a number, or a date); None for nonsense."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text.strip()[:12])
    try:
        when = email.utils.parsedate_to_datetime(text)
        aware = when if when.tzinfo is not None else when.replace(tzinfo=dt.timezone.utc)
        return max(0.0, (aware - dt.datetime.now(dt.timezone.utc)).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class Client:
    """One server, one account's key, a few requests; close it.

    Args:
        directory: The directory's address, https.
        trust: A PEM file with the roots that are trusted instead of the usual ones; None for those.
        key: The account's.
        patience: What waits between tries are taken from.
    """

    def __init__(self, directory: str, *, trust: Path | None, key: PrivateKey, patience: Patience) -> None:
        self.directory = directory
        self.account: str | None = None
        """The account's address, which signs in the place of its key (RFC 8555 section 6.2)."""
        self._key, self._algorithm = _signing(key)
        self._patience = patience
        self._resources: dict[str, Any] | None = None
        self._nonces: list[bytes] = []
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"mlsssl/{__version__}"
        self._verify: bool | str = True if trust is None else str(trust)

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    # -- what the directory says --------------------------------------------------------------------------------

    def resource(self, name: str) -> str | None:
        """The address of a resource (`newOrder`, `renewalInfo`, …), or None where the server has none."""
        found = self._listed().get(name)
        return found if isinstance(found, str) else None

    def needed(self, name: str) -> str:
        """The same, of one that every server has."""
        found = self.resource(name)
        if found is None:
            raise Unreachable(
                f"{self.directory} is no directory of an ACME server: it has no {name}", issuer=self.directory
            )
        return found

    def meta(self, name: str) -> Any:
        """What the directory says of itself (RFC 8555 section 9.7.6), or None."""
        found = self._listed().get("meta")
        return found.get(name) if isinstance(found, dict) else None

    def _listed(self) -> dict[str, Any]:
        if self._resources is None:
            self._resources = self.get(self.directory).json()
        return self._resources

    # -- requests -----------------------------------------------------------------------------------------------

    def get(self, url: str) -> Answer:
        """A request that nobody signs; errors as `post`."""
        return self._again(lambda: self._send("GET", url))

    def read(self, url: str, accept: str = "application/json") -> Answer:
        """POST-as-GET (RFC 8555 section 6.3); errors as `post`."""
        return self._again(lambda: self._post(url, b"", accept=accept))

    def post(
        self, url: str, payload: Mapping[str, Any], *, repeatable: bool = False, key: PrivateKey | None = None
    ) -> Answer:
        """A signed request that changes something.

        Args:
            url: Where.
            payload: What, JSON.
            repeatable: Whether it does no harm twice, so that it is sent again when no answer came.
            key: Signs in the place of the account: the certificate's own, to revoke it.

        Raises:
            Problem: the server refuses.
            Unreachable: no answer came, or none that can be read.
            OutOfTime: a wait between two tries is longer than the time there is.
        """
        data = json.dumps(dict(payload)).encode("ascii")
        if not repeatable:
            return self._post(url, data, key=key)
        return self._again(lambda: self._post(url, data, key=key))

    def register(self, payload: dict[str, Any], external: tuple[str, str] | None) -> Answer:
        """Make the account of this key, or find the one that it has (RFC 8555 section 7.3)."""
        url = self.needed("newAccount")
        if external is not None:
            binding = messages.ExternalAccountBinding.from_data(
                self._key.public_key(), external[0], external[1], messages.Directory({"newAccount": url})
            )
            payload = {**payload, "externalAccountBinding": binding}
        self.account = None
        return self.post(url, payload, repeatable=True)

    def key_authorization(self, token: str) -> str:
        """What shows control over a name together with its token (RFC 8555 section 8.1)."""
        return f"{token}.{b64encode(self._key.thumbprint()).decode('ascii')}"

    def _again(self, ask: Callable[[], Answer]) -> Answer:
        for number in range(_TRIES):
            pause = 0.25 * 2**number
            try:
                return ask()
            except Unreachable:
                if number == _TRIES - 1 or pause > self._patience.left:
                    raise
            except Problem as problem:
                pause = max(pause, problem.retry_after or 0.0)
                if not problem.passing or number == _TRIES - 1 or pause > self._patience.left:
                    raise
            self._patience.wait(pause)
        raise AssertionError("the last try returns or raises")

    def _post(
        self, url: str, data: bytes, *, key: PrivateKey | None = None, accept: str = "application/json"
    ) -> Answer:
        signer, algorithm = (self._key, self._algorithm) if key is None else _signing(key)
        account = self.account if key is None else None
        for number in range(_NONCES):
            nonce = self._nonces.pop() if self._nonces else self._new_nonce()
            signed = jws.JWS.sign(data, key=signer, alg=algorithm, nonce=nonce, url=url, kid=account)
            try:
                headers = {"Content-Type": _JOSE, "Accept": accept}
                return self._send("POST", url, data=signed.json_dumps(), headers=headers)
            except Problem as problem:
                # The refusal has brought a fresh nonce, which the next try takes (RFC 8555 section 6.5).
                if problem.code != "badNonce" or number == _NONCES - 1:
                    raise
        raise AssertionError("the last try returns or raises")

    def _new_nonce(self) -> bytes:
        self._send("HEAD", self.needed("newNonce"))
        if not self._nonces:
            raise Unreachable(f"{self.directory} gave no nonce", issuer=self.directory)
        return self._nonces.pop()

    def _send(
        self, method: str, url: str, *, data: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        if not url.startswith("https://"):
            raise Unreachable(f"{url!r} is no https address, and ACME has no others (RFC 8555)", issuer=self.directory)
        seconds = max(1.0, min(_SECONDS, self._patience.left))
        try:
            with self._session.request(
                method,
                url,
                data=data,
                headers=headers,
                timeout=seconds,
                verify=self._verify,
                stream=True,
                allow_redirects=method != "POST",
            ) as response:
                body = _body(response)
        except requests.exceptions.SSLError as error:
            raise Unreachable(
                f"{self.directory} cannot be trusted: {_innermost(error)}; if it is an internal server, give the file "
                "with its root: AcmeIssuer(trust='root.pem')",
                issuer=self.directory,
            ) from None
        except (requests.RequestException, OSError) as error:
            raise Unreachable(f"{url} cannot be reached: {_innermost(error)}", issuer=self.directory) from None
        if body is None:
            raise Unreachable(f"{url} answered with more than {_SIZE} bytes", issuer=self.directory)
        self._keep_nonce(response.headers.get("Replay-Nonce"))
        if response.status_code >= 400:
            raise self._problem(response, body)
        if response.status_code >= 300:
            raise Unreachable(f"{url} leads elsewhere (status {response.status_code})", issuer=self.directory)
        return Answer(url=url, headers=response.headers, body=body, issuer=self.directory)

    def _keep_nonce(self, nonce: str | None) -> None:
        if nonce is not None:
            try:
                self._nonces.append(decode_b64jose(nonce))
            except DeserializationError:
                return  # one that cannot be is as good as none

    def _problem(self, response: requests.Response, body: bytes) -> Problem:
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            said = None
        status = response.status_code
        text = problem_text(said) or f"HTTP status {status}"
        kind = said.get("type") if isinstance(said, dict) else None
        code = kind.removeprefix(_PREFIX) if isinstance(kind, str) and kind.startswith(_PREFIX) else ""
        return Problem(
            f"{self.directory} refuses: {text}",
            issuer=self.directory,
            code=code,
            status=status,
            retry_after=retry_seconds(response.headers.get("Retry-After")),
        )


def problem_text(said: object) -> str:
    """What a problem document (RFC 7807, RFC 8555 section 6.7.1) says, in one line; "" for none."""
    if not isinstance(said, dict):
        return ""
    kind, detail, parts = (said.get(name) for name in ("type", "detail", "subproblems"))
    texts = [
        detail if isinstance(detail, str) else "",
        f"({kind.removeprefix(_PREFIX)})" if isinstance(kind, str) else "",
    ]
    if isinstance(parts, list):
        texts += [problem_text(part) for part in parts[:10] if isinstance(part, dict) and "subproblems" not in part]
    return message(" ".join(text for text in texts if text))[:_TOLD]


def _body(response: requests.Response) -> bytes | None:
    parts, size = [], 0
    for part in response.iter_content(16384):
        size += len(part)
        if size > _SIZE:
            return None
        parts.append(part)
    return b"".join(parts)


def _innermost(error: BaseException) -> str:
    """The reason at the bottom: requests and urllib3 wrap it in three classes and their reprs."""
    seen = 0
    while seen < 10:
        inner = getattr(error, "reason", None)
        below = (
            inner
            if isinstance(inner, BaseException)
            else next((one for one in error.args if isinstance(one, BaseException)), None)
        )
        if below is None:
            break
        error, seen = below, seen + 1
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return message(_OF_A_POOL.sub("", text))[:_TOLD]


# How urllib3 names a connection before it says what is wrong, and how it writes the system's error number.
_OF_A_POOL = re.compile(r"^<?[\w.]*Connection(?:Pool)?(?:\(.{0,300}?\)| object at 0x[0-9a-f]+>): |\[Errno -?\d+\] ")


def _signing(key: PrivateKey) -> tuple[jwk.JWK, jwa.JWASignature]:
    from cryptography.hazmat.primitives.asymmetric import ec

    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return jwk.JWKRSA(key=key), jwa.RS256
    algorithms: Sequence[tuple[int, jwa.JWASignature]] = (
        (256, jwa.ES256),
        (384, jwa.ES384),
        (521, jwa.ES512),
    )
    return jwk.JWKEC(key=key), dict(algorithms)[key.curve.key_size]
