"""One order, from its first step or from wherever a former process left it, to the certificate (RFC 8555 section 7.4).

The record of the order is written before and after whatever the server or a solver is asked to do. So a process that is
killed anywhere goes on with the same order, and what was presented for a challenge is known until it is taken away.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlsssl._messages.foreign_text import clean_logger, message
from mlsssl.certificate import Certificate
from mlsssl.errors import IssuerError, MlssslError
from mlsssl.issuers._acme import chains
from mlsssl.issuers._acme.client import OutOfTime, Problem, Unreachable, problem_text
from mlsssl.issuers._acme.state import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlsssl.issuers._acme.client import Answer, Client, Patience
    from mlsssl.issuers._acme.state import State
    from mlsssl.issuers.challenges import ChallengeSolver
    from mlsssl.request import CertificateRequest

FIRST_LOOK, LAST_LOOK = 0.25, 10.0
"""Seconds between two looks at an order: each half as long again, where the server does not say (Retry-After)."""

KEPT = dt.timedelta(days=7)
"""How long the answer to a request is kept, for a process that is killed before it has stored it."""

_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.timezone.utc)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,512}")  # section 8.3; it becomes a file's name
_PAGES = 100  # of an account's list of orders
_LOOKS, _LOOK_AGAIN = 3, 2.0  # times that a server is asked to look for an answer, and seconds between, doubled
_FORGET = 10.0  # seconds to wait for an order whose certificate was revoked
_LOST = 3  # answers that may get lost on the way through an order
_PEM = "application/pem-certificate-chain"


class FailedOrder(IssuerError):
    """The server will not fulfil this order; never leaves the package as this class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is ordered.

    Attributes:
        request: The request.
        identifiers: Its names: pairs of `dns` or `ip` and what it is called there.
        replaces: The identifier of the certificate that is replaced (RFC 9773 section 4.1); None for none.
        profile: The profile of the server's, or None.
        preferred_chain: The common name of the topmost issuer that the chain should have, or None.
    """

    request: CertificateRequest
    identifiers: tuple[tuple[str, str], ...]
    replaces: str | None
    profile: str | None
    preferred_chain: str | None

    @property
    def names(self) -> str:
        """Its names, for people."""
        return ", ".join(value for _, value in self.identifiers)


class _Look:
    """How often the server was asked to look for an answer, and when it may be asked again."""

    def __init__(self) -> None:
        self.times = 0
        self._next = 0.0

    def asked(self) -> None:
        self.times += 1
        self._next = time.monotonic() + _LOOK_AGAIN * 2 ** (self.times - 1)

    @property
    def is_time(self) -> bool:
        return time.monotonic() >= self._next


class Order:
    """The order for a request; the caller holds its lock.

    Args:
        wish: What is ordered.
        state: Where its record is kept.
        client: Signs as the account.
        solvers: In the order in which they are preferred.
        patience: The time there is.
        tell: Is told of each step, in words.
    """

    def __init__(
        self,
        wish: Wish,
        *,
        state: State,
        client: Client,
        solvers: Sequence[ChallengeSolver],
        patience: Patience,
        tell: Callable[[str], None],
    ) -> None:
        self._wish, self._state, self._client, self._solvers = wish, state, client, solvers
        self._patience, self._tell = patience, tell
        self._name = name_of(wish.request)
        self._record = state.read(self._name)
        self._answered: dict[str, _Look] = {}  # by the challenge's address, in this run
        self._placed = self._sent = False  # by this run: the order, and the request to it
        self._pause = FIRST_LOOK
        if "certificate" in self._record:  # of which the caller wants the successor
            self._abandon()

    def fulfil(self) -> Certificate:
        """Go on until there is a certificate.

        Raises:
            FailedOrder: the server will not make one; what was presented was taken away, and the order is forgotten.
            Problem, Unreachable: the server refuses a step, or does not answer; the next run goes on.
            OutOfTime: the order needs longer; the next run goes on.
            MlssslError: what a solver or the disk says; the next run goes on.
        """
        lost = 0
        while True:
            try:
                found = self._step()
            except Unreachable:
                # Which of the two did not arrive, the question or the answer, is not known: the order itself tells.
                lost += 1
                pause = self._next_pause(None)
                if lost > _LOST or pause > self._patience.left:
                    raise
                self._patience.wait(pause)
                continue
            except FailedOrder as error:
                if self._placed:
                    self._abandon()
                    raise
                # It failed, or ran out, while nobody was looking.
                self._tell(f"the order of a former run is over ({error}); placing a new one")
                self._abandon()
                continue
            if found is not None:
                return found

    # -- steps --------------------------------------------------------------------------------------------------

    def _step(self) -> Certificate | None:
        answer = self._look() if "order" in self._record else self._place()
        body = answer.json()
        status = body.get("status")
        if status == "pending":
            self._authorize(body)
        elif status == "ready":
            self._finalize(body)
        elif status == "valid":
            return self._download(body)
        elif status == "invalid":
            self._fail(body)
        elif status != "processing":
            raise FailedOrder(f"{self._client.directory} says that the order is {status!r}", issuer=self._issuer)
        self._patience.wait(self._next_pause(answer.retry_after))
        return None

    @property
    def _issuer(self) -> str:
        return self._client.directory

    def _look(self) -> Answer:
        try:
            return self._client.read(self._record["order"])
        except Problem as problem:
            if problem.status in (403, 404, 410) or problem.code in ("malformed", "unauthorized"):
                raise FailedOrder(f"the server does not know it any more: {problem}", issuer=self._issuer) from None
            raise

    def _place(self) -> Answer:
        """The order of a run that was killed before it knew the order's address; else a new one."""
        found = self._find_placed() if "placing" in self._record else None
        if found is None:
            self._check_profile()
            names = [list(one) for one in self._wish.identifiers]
            self._clean()
            self._save({**self._left(), "placing": _now().isoformat(), "names": names})
            self._tell(f"ordering a certificate for {self._wish.names}")
            self._placed = True
            answer = self._new_order()
            found = answer.location
            self._save({**self._record, "order": found, "expires": answer.json().get("expires")})
            return answer
        self._tell(f"going on with the order {found}, which a former run placed")
        self._save({**self._record, "order": found})
        return self._look()

    def _check_profile(self) -> None:
        """Whether the server offers the profile: one that knows of none would make its usual certificate instead.

        draft-ietf-acme-profiles, section 3: it lists them in its directory.
        """
        wanted, listed = self._wish.profile, self._client.meta("profiles")
        offered = sorted(map(str, listed)) if isinstance(listed, dict) else []
        if wanted is not None and wanted not in offered:
            names = f"it has {', '.join(offered[:20])}" if offered else "it has none, so leave it out"
            raise IssuerError(message(f"{self._issuer} offers no profile {wanted}: {names}"), issuer=self._issuer)

    def _new_order(self) -> Answer:
        wish, client = self._wish, self._client
        payload: dict[str, Any] = {"identifiers": [{"type": kind, "value": value} for kind, value in wish.identifiers]}
        if wish.profile is not None:
            payload["profile"] = wish.profile
        url = client.needed("newOrder")
        try:
            if wish.replaces is not None and client.resource("renewalInfo") is not None:
                try:
                    return client.post(url, {**payload, "replaces": wish.replaces})
                except Problem as problem:
                    # Another order has replaced it already, or it is not this account's (RFC 9773 section 5): the new
                    # certificate is wanted all the same.
                    if problem.status not in (400, 403, 404, 409) or problem.limited:
                        raise
                    self._tell(f"the server does not let this order replace the old certificate ({problem})")
            return client.post(url, payload)
        except Problem as problem:
            if problem.limited or problem.passing or problem.code == "accountDoesNotExist":
                raise
            text = str(problem)
            if problem.code in ("unsupportedIdentifier", "rejectedIdentifier", "malformed") and any(
                kind == "ip" for kind, _ in wish.identifiers
            ):
                text += "; few servers make certificates for IP addresses (RFC 8738): ask for names only"
            raise FailedOrder(text, issuer=self._issuer) from None

    def _find_placed(self) -> str | None:
        """The newest order of the account's for these names that nobody has finalized and that no other record has."""
        account = self._client.account
        assert account is not None
        try:
            return self._find_listed(account)
        except Problem as problem:  # Let's Encrypt has no list, and gives the pending order to who asks for it again
            if problem.limited or problem.passing or problem.code == "accountDoesNotExist":
                raise
            return None

    def _find_listed(self, account: str) -> str | None:
        url = self._client.read(account).json().get("orders")
        known = {self._state.read(name).get("order") for name in self._state.names("order")}
        wanted = sorted(map(list, self._wish.identifiers))
        found = None
        for _ in range(_PAGES):
            if not isinstance(url, str):
                break
            answer = self._client.read(url)
            for one in texts(answer.json().get("orders")):
                if one not in known and self._is_ours(one, wanted):
                    found = one
            url = next(iter(answer.links("next")), None)
        return found

    def _is_ours(self, url: str, wanted: list[list[str]]) -> bool:
        try:
            body = self._client.read(url).json()
        except Problem:
            return False
        names = [[one.get("type"), one.get("value")] for one in objects(body.get("identifiers"))]
        return body.get("status") in ("pending", "ready") and sorted(names, key=str) == sorted(wanted, key=str)

    def _authorize(self, body: dict[str, Any]) -> None:
        """Present an answer to every challenge that has none, then have the server look at them."""
        asked: list[tuple[ChallengeSolver, str, tuple[str, str, str]]] = []
        looked_for: list[tuple[ChallengeSolver, str, tuple[str, str, str]]] = []
        for url in texts(body.get("authorizations")):
            authorization = self._client.read(url).json()
            status, identifier = authorization.get("status"), authorization.get("identifier")
            if status == "valid":
                continue
            if status != "pending":
                raise FailedOrder(self._why([authorization]), issuer=self._issuer)
            domain = identifier.get("value") if isinstance(identifier, dict) else None
            if domain not in {value.removeprefix("*.") for _, value in self._wish.identifiers}:
                raise Unreachable(
                    f"{self._issuer} wants control over a name nobody asked for shown", issuer=self._issuer
                )
            solver, challenge = self._choose(authorization)
            address, token = challenge.get("url"), challenge.get("token")
            if not isinstance(address, str) or not isinstance(token, str) or not _TOKEN.fullmatch(token):
                raise Unreachable(f"{self._issuer} gave a challenge that is none", issuer=self._issuer)
            if (look := self._answered.get(address)) is not None and not self._again(look, authorization, challenge):
                continue
            what = (domain, token, self._client.key_authorization(token))
            if challenge.get("status") == "pending":
                asked.append((solver, address, what))
            elif challenge.get("status") == "processing":  # a former run has asked, and may have taken its port along
                looked_for.append((solver, address, what))
        self._present([(solver, what) for solver, _, what in asked + looked_for])
        for _, address, (domain, _, _) in asked:
            self._tell(f"the server is to look for the answer of {domain}")
            try:
                self._client.post(address, {})
            except Problem as problem:
                if problem.limited or problem.passing:
                    raise
                # It has looked already, say. What became of it the authorization tells.
                raise Unreachable(str(problem), issuer=self._issuer) from None
            self._pause = FIRST_LOOK
            self._answered.setdefault(address, _Look()).asked()
        for _, address, _ in looked_for:
            self._answered.setdefault(address, _Look())

    def _again(self, look: _Look, authorization: dict[str, Any], challenge: dict[str, Any]) -> bool:
        """Whether to ask the server to look once more: one that found nothing may leave that to us (section 8.2)."""
        if challenge.get("status") != "pending" or not isinstance(challenge.get("error"), dict):
            return False
        if look.times >= _LOOKS:
            raise FailedOrder(self._why([{**authorization, "status": "invalid"}]), issuer=self._issuer)
        return look.is_time

    def _choose(self, authorization: dict[str, Any]) -> tuple[ChallengeSolver, dict[str, Any]]:
        identifier, challenges = authorization.get("identifier"), objects(authorization.get("challenges"))
        domain = identifier.get("value") if isinstance(identifier, dict) else None
        offered = {challenge.get("type"): challenge for challenge in challenges}
        fitting = [solver for solver in self._solvers if solver.type in offered]
        for solver in fitting:
            # Where one has failed, some servers let the others be tried, and some say that it is over.
            if offered[solver.type].get("status") != "invalid":
                return solver, offered[solver.type]
        if fitting:
            raise FailedOrder(self._why([{**authorization, "status": "invalid"}]), issuer=self._issuer)
        raise IssuerError(
            f"the server offers {' and '.join(sorted(map(str, offered))) or 'nothing'} to show control over {domain}; "
            f"here is {' and '.join(sorted({solver.type for solver in self._solvers}))}",
            issuer=self._issuer,
        )

    def _present(self, answers: list[tuple[ChallengeSolver, tuple[str, str, str]]]) -> None:
        if not answers:
            return
        presented = self._presented()
        for solver, what in answers:
            if (entry := [solver.type, *what]) not in presented:
                presented.append(entry)
        self._save({**self._record, "presented": presented})
        for solver, what in answers:
            solver.present(*what)
        for solver, what in answers:
            settle = getattr(solver, "settle", None)
            if settle is not None:
                self._tell(f"waiting until the answer of {what[0]} can be found")
                began = time.monotonic()
                settle(*what)
                self._patience.longer(time.monotonic() - began)

    def _finalize(self, body: dict[str, Any]) -> None:
        url = body.get("finalize")
        if not isinstance(url, str):
            raise Unreachable(f"{self._issuer} does not say where to send the request", issuer=self._issuer)
        self._tell("the server knows us for these names; sending the request")
        encoded = base64.urlsafe_b64encode(self._wish.request.to_der()).rstrip(b"=").decode("ascii")
        try:
            self._client.post(url, {"csr": encoded})
        except Problem as problem:
            # A former run, or an answer that was lost, has sent it already (section 7.4).
            if problem.limited or problem.passing:
                raise
            if problem.code != "orderNotReady":
                raise FailedOrder(str(problem), issuer=self._issuer) from None
        if not self._sent:
            self._sent, self._pause = True, FIRST_LOOK

    def _download(self, body: dict[str, Any]) -> Certificate:
        url = body.get("certificate")
        if not isinstance(url, str):
            raise Unreachable(f"{self._issuer} does not say where the certificate is", issuer=self._issuer)
        answer = self._client.read(url, _PEM)
        try:
            found = chains.read(answer.body, self._wish.request, self._issuer)
        except IssuerError as error:
            raise FailedOrder(str(error), issuer=self._issuer) from None
        preferred = self._wish.preferred_chain
        if preferred is not None and chains.topmost_issuer(found) != preferred:
            for other in answer.links("alternate")[:20]:
                one = chains.read(self._client.read(other, _PEM).body, self._wish.request, self._issuer)
                if chains.topmost_issuer(one) == preferred:
                    found = one
                    break
            else:
                text = f"the server has no chain up to {preferred}; taking its own choice"
                clean_logger("mlsssl.acme").warning("%s", text)
                self._tell(text)
        kept = _now() + KEPT
        self._save({**self._record, "certificate": found.to_pem(chain=True).decode("ascii"), "kept": kept.isoformat()})
        self._tell(f"the certificate {found.thumbprint} is there")
        self._clean()
        return found

    # -- failure ------------------------------------------------------------------------------------------------

    def _fail(self, body: dict[str, Any]) -> None:
        found = []
        for url in texts(body.get("authorizations")):
            try:
                found.append(self._client.read(url).json())
            except (Problem, Unreachable, OutOfTime):  # the order's own error says something as well
                continue
        why, text = self._why(found), problem_text(body.get("error"))
        # Most servers give the order the error of its challenge.
        raise FailedOrder(f"{why}; {text}" if text and text not in why else why, issuer=self._issuer)

    def _why(self, authorizations: list[dict[str, Any]]) -> str:
        told = []
        for authorization in authorizations:
            identifier, status = authorization.get("identifier"), authorization.get("status")
            if status in ("valid", "pending"):
                continue
            name = identifier.get("value") if isinstance(identifier, dict) else "?"
            errors = [
                f"{one.get('type')}: {text}"
                for one in objects(authorization.get("challenges"))
                if (text := problem_text(one.get("error")))
            ]
            told.append(message(f"control over {name} was not shown ({', '.join(errors) or status})"))
        return "; ".join(told) or f"{self._issuer} has given the order up"

    def _abandon(self) -> None:
        """Take what was presented away, then forget the order: in this order, whatever happens between."""
        self._clean()
        self._save(self._left())
        self._answered.clear()

    def _left(self) -> dict[str, Any]:
        """What a new record takes over: answers that could not be taken away, whatever order they were for."""
        return {"presented": left} if (left := self._presented()) else {}

    # -- what was presented --------------------------------------------------------------------------------------

    def _presented(self) -> list[list[str]]:
        return presented_of(self._record)

    def _clean(self) -> None:
        if self._presented():
            self._save(clean(self._record, self._solvers, self._tell))

    def _save(self, record: dict[str, Any]) -> None:
        self._state.write(self._name, record)
        self._record = record

    def _next_pause(self, retry_after: float | None) -> float:
        pause, self._pause = self._pause, min(LAST_LOOK, self._pause * 1.5)
        return pause if retry_after is None else max(pause, retry_after)


def clean(record: dict[str, Any], solvers: Sequence[ChallengeSolver], tell: Callable[[str], None]) -> dict[str, Any]:
    """Take away what a record says was presented; the record without that, and with what could not be taken away."""
    left = []
    for entry in presented_of(record):
        kind, *what = entry
        solver = next((one for one in solvers if one.type == kind), None)
        if solver is None:
            tell(f"the answer of {what[0]} to {kind} stays where it is: nobody here answers that kind any more")
            continue
        try:
            solver.cleanup(*what)
        except MlssslError as error:
            tell(f"the answer of {what[0]} could not be taken away ({error}); the next run tries again")
            left.append(entry)
    return {
        **{name: value for name, value in record.items() if name != "presented"},
        **({"presented": left} if left else {}),
    }


def presented_of(record: dict[str, Any]) -> list[list[str]]:
    """Kind of challenge, domain, token and key authorization of each answer that is where a server looks for it."""
    found = record.get("presented")
    return [one for one in found if isinstance(one, list) and len(texts(one)) == 4] if isinstance(found, list) else []


def name_of(request: CertificateRequest) -> str:
    """The name of the record of a request's order."""
    return f"order-{request.fingerprint}"


def names_digest(identifiers: Sequence[tuple[str, str]]) -> str:
    """What failures for these names are kept under, whatever request they are in."""
    return hashlib.sha256(json.dumps(sorted(identifiers)).encode()).hexdigest()[:32]


def saved_answer(state: State, request: CertificateRequest, old: Certificate | None) -> Certificate | None:
    """The certificate that this request has been answered with already, unless that is the one to be replaced."""
    text = state.read(name_of(request)).get("certificate")
    if not isinstance(text, str):
        return None
    found = Certificate.from_pem(text)
    kept = moment(state.read(name_of(request)).get("kept")) or _LONG_AGO
    is_old = (old is not None and found.thumbprint == old.thumbprint) or kept < _now()
    return found if not is_old and request.matches(found) and found.not_after > _now() else None


def forget_answer(state: State, certificate: Certificate) -> None:
    """Give a certificate that was revoked to nobody again."""
    for name in state.names("order"):
        text = state.read(name).get("certificate")
        if isinstance(text, str) and Certificate.from_pem(text).thumbprint == certificate.thumbprint:
            with state.locked(name, timeout=_FORGET):
                state.write(name, {**state.read(name), "kept": _LONG_AGO.isoformat()})


def sweep(state: State, mine: str, solvers: Sequence[ChallengeSolver], tell: Callable[[str], None]) -> None:
    """Forget orders of other requests that are over, and take away what was presented for them; and old back-offs.

    A set of names that is ordered no more, since a name was added say, would keep its limit and its failures for ever.
    """
    for kind in ("limit", "failures"):
        state.forget_past(kind, "not_before", now=_now())
    for name in state.names("order"):
        if name == mine or not _is_over(state.read(name)):
            continue
        try:
            with state.locked(name, timeout=0):
                record = state.read(name)
                if not _is_over(record):
                    continue
                left = clean(record, solvers, tell)
                if presented_of(left):
                    state.write(name, left)
                else:
                    state.remove(name)
        except TimeoutError:  # its own process is at work on it
            continue


def _is_over(record: dict[str, Any]) -> bool:
    """Whether its certificate was fetched long ago, or the order cannot be fulfilled any more."""
    if "certificate" in record:
        ends = [moment(record.get("kept"))]
        if presented_of(record):
            return True
    else:
        placed = moment(record.get("placing"))
        ends = [moment(record.get("expires")) or placed, placed and placed + KEPT]
    return min((end for end in ends if end is not None), default=_LONG_AGO) < _now()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


def texts(value: object) -> list[str]:
    """The texts in what should be a list of texts; at most 1000."""
    return [one for one in value[:1000] if isinstance(one, str)] if isinstance(value, list) else []


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in what should be a list of objects; at most 1000."""
    return [one for one in value[:1000] if isinstance(one, dict)] if isinstance(value, list) else []
