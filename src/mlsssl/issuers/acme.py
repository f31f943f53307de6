"""`AcmeIssuer`: certificates from any server that speaks ACME (RFC 8555), public or internal.

It needs the `acme` package: `pip install 'mlsssl[acme]'`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime as dt
import hashlib
import logging
import re
import urllib.parse
from typing import TYPE_CHECKING, Any

from cryptography import x509

from mlsssl._formats import pem
from mlsssl._formats.hosts import parse_name
from mlsssl._machine import files
from mlsssl._messages.arguments import check_callable, check_number, check_type, items_of
from mlsssl._messages.foreign_text import clean_logger, shown
from mlsssl.certificate import Certificate, check_certificate
from mlsssl.errors import InvalidInputError, IssuePendingError, IssuerError, MlssslError, UnsupportedError
from mlsssl.request import CertificateRequest
from mlsssl.values import REVOCATION_REASONS, key_holder, set_attributes

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mlsssl.issuers._acme.client import Client, Patience, Problem
    from mlsssl.issuers._acme.order import Wish
    from mlsssl.issuers._acme.state import State
    from mlsssl.issuers.challenges import ChallengeSolver

__all__ = ["DIRECTORIES", "AcmeIssuer"]

DIRECTORIES = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
"""Short names for directories (letsencrypt.org/docs/acme-protocol-updates and .../staging-environment)."""

logger = clean_logger("mlsssl.acme")
logger.addHandler(logging.NullHandler())  # a library does not write to its user's terminal

_LIMITED = (60.0, 86400.0)
"""Seconds to wait after the first rate limit that does not say how long, doubled each time; and the most."""

_FREE_FAILURES = 2
_AFTER_FAILURES = (600.0, 86400.0)
"""Failed orders in a row for the same names that may be tried again at once; then the seconds to wait, doubled each
time, and the most. Let's Encrypt allows 5 failures an hour for a name (letsencrypt.org/docs/rate-limits)."""

_ASK_AGAIN = 60.0  # seconds, at the earliest, where an order needs longer than there was time
_RENEWAL_INFO_SECONDS = 10.0
_ISSUERS_KEPT = 50


@key_holder
class AcmeIssuer:
    """Certificates from an ACME server: an `Issuer` for `renew`, `renew_due` and `deploy`, with `RenewalTimes`.

    The account is made with the first order and kept, with its key, in `state`; so is every order, under the request
    it is for: the same request goes on with the same order, in another process too. What fails is not tried in a
    tight loop: rate limits and failures are remembered, across processes, and say from when on the next try makes
    sense. Names and addresses are taken from the request.

    Args:
        directory: The address of the server's directory (https), or one of `DIRECTORIES`. A staging directory gives
            certificates that no client trusts; the log says so.
        solvers: How control over the names is shown, the preferred first; see `mlsssl.issuers.challenges`.
        contact: E-mail addresses for the server to write to; or none.
        agree_terms: Whether you agree to the server's terms of service. Where it has some, no account is made before.
        external_account: The key identifier and the HMAC key (base64url) of an account that the server knows already
            (external account binding, section 7.3.4), where it wants them.
        trust: A file with the roots that this server's own HTTPS certificate is verified with, instead of the usual
            ones: for internal servers.
        preferred_chain: The common name of the root, or other topmost issuer, that the chain should lead to, where the
            server offers several; another chain is taken, and the log says so, when it does not offer that one.
        profile: The name of a profile that the server offers (`shortlived`, say), or None for its default.
        timeout: Seconds that one call of `issue` may take, above 0, to 86400, besides what a solver waits for DNS.
        state: The folder for account and orders; private to this user, made when missing. `mlsssl/acme` in the user's
            application data when not given.
        progress: Is told of each step, in words; the log (`mlsssl.acme`) is told in any case.

    Raises:
        InvalidInputError: an argument that cannot be.
        UnsupportedError: the `acme` package is not installed.
        NotFoundError: there is no `trust` file; or no `state`, and this user has no home folder.
        MalformedDataError: the `trust` file holds no certificate.
    """

    __slots__ = (
        "_agree_terms",
        "_contact",
        "_directory",
        "_external",
        "_preferred_chain",
        "_profile",
        "_progress",
        "_solvers",
        "_state_folder",
        "_timeout",
        "_trust",
    )  # fmt: skip

    _agree_terms: bool
    _contact: tuple[str, ...]
    _directory: str
    _external: tuple[str, str] | None
    _preferred_chain: str | None
    _profile: str | None
    _progress: Callable[[str], object] | None
    _solvers: tuple[ChallengeSolver, ...]
    _state_folder: Path
    _timeout: float
    _trust: bytes | None

    def __init__(
        self,
        directory: str,
        solvers: Sequence[ChallengeSolver] = (),
        *,
        contact: Sequence[str] = (),
        agree_terms: bool = False,
        external_account: tuple[str, str] | None = None,
        trust: str | os.PathLike[str] | None = None,
        preferred_chain: str | None = None,
        profile: str | None = None,
        timeout: float = 300.0,
        state: str | os.PathLike[str] | None = None,
        progress: Callable[[str], object] | None = None,
    ) -> None:
        _need_package()
        address = _checked_directory(directory)
        external = _checked_external(external_account)
        check_callable(progress, "progress is a function of a text")
        for text, what in ((preferred_chain, "preferred_chain is a common name"), (profile, "profile is a name")):
            if text is not None:
                check_type(text, str, f"{what}, or None")
        folder = files.absolute(state) if state is not None else files.issuer_folder("acme")
        # An external account is another account, and so is one of another directory.
        digest = hashlib.sha256(repr((address, external and external[0])).encode()).hexdigest()[:16]
        host = re.sub(r"[^a-z0-9.-]", "-", urllib.parse.urlsplit(address).hostname or "")[:60]
        set_attributes(
            self,
            _directory=address,
            _solvers=_checked_solvers(solvers),
            _contact=_checked_contact(contact),
            _agree_terms=check_type(agree_terms, bool, "agree_terms is True or False"),
            _external=external,
            _trust=None if trust is None else _roots(files.path_of(trust)),
            _preferred_chain=preferred_chain,
            _profile=profile,
            _timeout=check_number(timeout, 0, 86400, "timeout is a number of seconds above 0, to 86400", above=True),
            _state_folder=folder / f"{host}-{digest}",
            _progress=progress,
        )

    @property
    def name(self) -> str:
        """The directory's address."""
        return self._directory

    @property
    def state_folder(self) -> Path:
        """Where the account and its orders are kept: in a folder of `state`, one for each directory and account."""
        return self._state_folder

    def issue(self, request: CertificateRequest, *, old: Certificate | None = None) -> Certificate:
        """A certificate for the key and names of this request, with the chain that the server gives.

        The key and the names are checked; whether a client trusts the chain is not. A request that was answered in the
        last 7 days is given the same answer again, without the server, unless that is `old`.

        Args:
            request: Its names are the identifiers that are ordered.
            old: The certificate that is replaced; the server is told, where it wants to know (RFC 9773).

        Raises:
            InvalidInputError: the request has a name that ACME does not know, or none of the solvers can show control
                over one: a wildcard needs dns-01, an address http-01 or tls-alpn-01. Nothing was asked then.
            IssuePendingError: the time was not enough, there were too many requests or failures, or another process is
                at work on the same request; `.not_before` says when to ask again.
            IssuerError: the server refuses, or could not be reached; the message says why.
            MlssslError: what a solver raises; or the state cannot be read or written.
        """
        from mlsssl.issuers._acme import order
        from mlsssl.issuers._acme.client import Patience

        check_type(request, CertificateRequest, "a CertificateRequest is needed (CertificateRequest.load reads one)")
        if old is not None:
            check_certificate(old)
        identifiers = _identifiers(request)
        self._check_showable(identifiers)
        patience, state = Patience(self._timeout), self._state()
        name = order.name_of(request)
        with self._in_words(state, identifiers), state.locked(name, timeout=self._timeout):
            answer = order.saved_answer(state, request, old)
            if answer is None:
                self._refuse_too_early(state, identifiers)
            # What a killed process left of other orders, and of this one when it has its answer.
            order.sweep(state, name, self._solvers, self._tell)
            if answer is not None:
                record = state.read(name)
                if order.presented_of(record):
                    state.write(name, order.clean(record, self._solvers, self._tell))
                self._note_issuer(state, answer)
                return answer
            if "staging" in self._directory:
                self._tell(f"{self._directory} is a staging server: no client trusts its certificates")
            replaces = None if old is None or not self.issued(old) else _replaced(old)
            wish = order.Wish(
                request=request,
                identifiers=identifiers,
                replaces=replaces,
                profile=self._profile,
                preferred_chain=self._preferred_chain,
            )
            with self._client(state, patience) as client:
                made = self._ordered(state, client, wish, patience)
            digest = order.names_digest(identifiers)
            for record_of in ("limit", f"limit-{digest}", f"failures-{digest}"):
                state.remove(record_of)
            self._note_issuer(state, made)
            return made

    def issued(self, certificate: Certificate) -> bool:
        """Whether this server has issued it, as far as is known here: its issuer has signed what was ordered here.

        So a certificate that another program ordered, or this one before its state was lost, is none of its own until
        the first renewal; `any_issuer` renews it.
        """
        from mlsssl.issuers._acme import chains

        check_certificate(certificate)
        if not files.is_folder(self._state_folder):
            return False
        return chains.issuer_of(certificate) in self._state().read("issuers").get("issuers", [])

    def renewal_time(self, certificate: Certificate) -> dt.datetime | None:
        """From when on the server wants it renewed (RFC 9773): a moment in its window, the same one each time.

        The server is asked when what it said before is as old as it wants (Retry-After, from a minute to a day), for
        10 seconds at most.

        Returns:
            The moment, aware; None where the server says nothing of this certificate, or could not be asked.
        """
        from mlsssl.issuers._acme.client import Patience
        from mlsssl.issuers._acme.renewal_info import renewal_time

        check_certificate(certificate)
        with contextlib.ExitStack() as opened:
            try:
                state = self._state()
                with state.locked("renewal", timeout=_RENEWAL_INFO_SECONDS):
                    return renewal_time(
                        certificate,
                        state=state,
                        client=lambda: opened.enter_context(self._client(state, Patience(_RENEWAL_INFO_SECONDS))),
                        now=dt.datetime.now(dt.timezone.utc),
                    )
            except (MlssslError, TimeoutError) as error:
                self._tell(f"{self._directory} could not be asked when to renew: {error}")
                return None

    def revoke(self, certificate: Certificate, reason: str | None = None) -> None:
        """Revoke a certificate; one that is revoked already stays so.

        By the account; where that may not do it, by the certificate's own private key, when it is there.

        Args:
            certificate: With its private key, if another account has ordered it.
            reason: A name of RFC 5280 section 5.3.1, such as `keyCompromise`, or None.

        Raises:
            InvalidInputError: no such reason.
            IssuerError: the server refuses, or could not be reached.
            MlssslError: the state cannot be read or written.
        """
        check_certificate(certificate)
        if reason is not None and reason not in REVOCATION_REASONS:
            raise InvalidInputError(f"a reason is one of {', '.join(REVOCATION_REASONS)}, or None, not {shown(reason)}")
        from mlsssl.issuers._acme.client import Patience, Problem
        from mlsssl.issuers._acme.order import forget_answer

        payload: dict[str, Any] = {"certificate": base64.urlsafe_b64encode(certificate.to_der()).rstrip(b"=").decode()}
        if reason is not None:
            payload["reason"] = _REASON_CODES[reason]
        patience, state = Patience(self._timeout), self._state()
        with self._in_words(state, ()), self._client(state, patience) as client:
            self._register(state, client, patience, anew=False)
            url = client.needed("revokeCert")
            try:
                client.post(url, payload, repeatable=True)
            except Problem as problem:
                if problem.code != "alreadyRevoked":
                    if problem.status not in (401, 403) or certificate.private_key is None:
                        raise
                    client.post(url, payload, repeatable=True, key=certificate.private_key)
            forget_answer(state, certificate)

    def __repr__(self) -> str:
        return f"<AcmeIssuer {self._directory}>"

    # -- the parts of an order ------------------------------------------------------------------------------------

    def _ordered(self, state: State, client: Client, wish: Wish, patience: Patience) -> Certificate:
        from mlsssl.issuers._acme.client import Problem
        from mlsssl.issuers._acme.order import FailedOrder, Order, names_digest

        anew = False
        while True:
            self._register(state, client, patience, anew=anew)
            try:
                return Order(
                    wish, state=state, client=client, solvers=self._solvers, patience=patience, tell=self._tell
                ).fulfil()
            except Problem as problem:
                # The server has lost the account, or somebody has put the state of another server here. The key is
                # the same, so that nothing is lost by registering it again; the user has agreed to the terms.
                if problem.limited:
                    # Most limits of orders are those of a name; others go on.
                    raise self._note_limit(state, problem, f"limit-{names_digest(wish.identifiers)}") from None
                if problem.code != "accountDoesNotExist" or anew:
                    raise
                self._tell(f"{self._directory} does not know the account any more; registering it again")
                anew = True
            except FailedOrder as error:
                self._note_failure(state, wish.identifiers, str(error))
                raise

    def _register(self, state: State, client: Client, patience: Patience, *, anew: bool) -> None:
        from mlsssl.issuers._acme.account import register

        register(
            state,
            client,
            contact=self._contact,
            external=self._external,
            agree_terms=self._agree_terms,
            anew=anew,
            timeout=max(1.0, patience.left),
        )

    def _state(self) -> State:
        from mlsssl._machine.private_files import private_folder
        from mlsssl.issuers._acme.state import State

        private_folder(self._state_folder.parent)
        return State(self._state_folder)

    @contextlib.contextmanager
    def _client(self, state: State, patience: Patience) -> Iterator[Client]:
        from mlsssl.issuers._acme.account import account_key
        from mlsssl.issuers._acme.client import Client

        trust = None
        if self._trust is not None:  # requests takes a file only, and only PEM
            trust = state.folder / "trust.pem"
            with state.locked("trust", timeout=max(1.0, patience.left)):
                if not files.is_file(trust) or files.read(trust) != self._trust:
                    files.write(trust, self._trust, private=True)
        key = account_key(state, timeout=max(1.0, patience.left))
        client = Client(self._directory, trust=trust, key=key, patience=patience)
        try:
            yield client
        finally:
            client.close()

    @contextlib.contextmanager
    def _in_words(self, state: State, identifiers: tuple[tuple[str, str], ...]) -> Iterator[None]:
        """What ends an order, in the two classes that callers know."""
        from mlsssl.issuers._acme.client import OutOfTime, Problem, Unreachable
        from mlsssl.issuers._acme.order import FailedOrder

        names = ", ".join(value for _, value in identifiers)
        try:
            yield
        except OutOfTime as out:
            raise IssuePendingError(
                f"{self._directory} has no certificate for {names} yet; the next try goes on with the same order",
                issuer=self.name,
                not_before=_now() + dt.timedelta(seconds=max(_ASK_AGAIN, min(out.seconds, 7 * 86400.0))),
            ) from None
        except TimeoutError as error:
            raise IssuePendingError(
                f"another process is at work with {self._directory}: {error}",
                issuer=self.name,
                not_before=_now() + dt.timedelta(seconds=_ASK_AGAIN),
            ) from None
        except Problem as problem:
            if problem.limited:
                raise self._note_limit(state, problem, "limit") from None
            raise IssuerError(str(problem), issuer=self.name) from None
        except (Unreachable, FailedOrder) as error:
            raise IssuerError(str(error), issuer=self.name) from None

    # -- what was learnt, across processes ------------------------------------------------------------------------

    def _refuse_too_early(self, state: State, identifiers: tuple[tuple[str, str], ...]) -> None:
        from mlsssl.issuers._acme.order import names_digest
        from mlsssl.issuers._acme.state import moment

        digest = names_digest(identifiers)
        for record in ("limit", f"limit-{digest}", f"failures-{digest}"):
            found = state.read(record)
            until, why = moment(found.get("not_before")), found.get("why")
            if until is not None and until > _now():
                raise IssuePendingError(
                    f"{self._directory} is not asked again before {until:%Y-%m-%d %H:%M} UTC: {_text(why)}",
                    issuer=self.name,
                    not_before=until,
                )

    def _note_limit(self, state: State, problem: Problem, record: str) -> IssuePendingError:
        count = _count(state.read(record)) + 1
        wait = problem.retry_after if problem.retry_after is not None else _growing(_LIMITED, count)
        until = (_now() + dt.timedelta(seconds=min(wait, 30 * 86400.0))).replace(microsecond=0)
        state.write(record, {"not_before": until.isoformat(), "count": count, "why": str(problem)})
        return IssuePendingError(
            f"{problem}; not again before {until:%Y-%m-%d %H:%M} UTC", issuer=self.name, not_before=until
        )

    def _note_failure(self, state: State, identifiers: tuple[tuple[str, str], ...], why: str) -> None:
        from mlsssl.issuers._acme.order import names_digest

        record = f"failures-{names_digest(identifiers)}"
        count = _count(state.read(record)) + 1
        wait = _growing(_AFTER_FAILURES, count - _FREE_FAILURES) if count > _FREE_FAILURES else 0.0
        until = _now() + dt.timedelta(seconds=wait)
        why = f"{count} orders in a row have failed, the last one so: {why}"
        state.write(record, {"not_before": until.isoformat(), "count": count, "why": why})

    def _note_issuer(self, state: State, made: Certificate) -> None:
        from mlsssl.issuers._acme import chains

        with state.locked("issuers", timeout=self._timeout):
            known = state.read("issuers").get("issuers", [])
            if (one := chains.issuer_of(made)) not in known:
                state.write("issuers", {"issuers": [*known, one][-_ISSUERS_KEPT:]})

    def _check_showable(self, identifiers: tuple[tuple[str, str], ...]) -> None:
        kinds = {solver.type for solver in self._solvers}
        for kind, value in identifiers:
            fitting = {"dns-01"} if value.startswith("*.") else {"http-01", "tls-alpn-01"} if kind == "ip" else None
            if not kinds or (fitting is not None and not kinds & fitting):
                needed = " or ".join(sorted(fitting or {"http-01", "dns-01", "tls-alpn-01"}))
                here = " and ".join(sorted(kinds)) or "nothing"
                raise InvalidInputError(
                    f"to show control over {value}, {needed} is needed, and here is {here}: give a ChallengeSolver of "
                    "that kind"
                )

    def _tell(self, text: str) -> None:
        logger.info("%s", text)
        if self._progress is not None:
            self._progress(text)


_REASON_CODES = {
    "keyCompromise": 1,
    "cACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "privilegeWithdrawn": 9,
}  # RFC 5280 section 5.3.1


def _need_package() -> None:
    try:
        import acme  # noqa: F401
        import josepy  # noqa: F401
        import requests  # noqa: F401
    except ImportError:
        raise UnsupportedError("ACME needs the package acme; run: pip install 'mlsssl[acme]'") from None


def _checked_directory(directory: str) -> str:
    expected = "a directory is an address such as https://ca.example/acme/directory"
    address = DIRECTORIES.get(check_type(directory, str, expected), directory)
    try:
        parts = urllib.parse.urlsplit(address)
        fits = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits, parts = False, urllib.parse.urlsplit("")
    if not fits or not address.isascii() or any(sign.isspace() for sign in address):
        raise InvalidInputError(f"{expected}, or {' or '.join(DIRECTORIES)}; not {shown(directory)}")
    if parts.username is not None or parts.password is not None:
        raise InvalidInputError(
            "a directory's address holds no user name or password; ACME has external_account for it"
        )
    return address


def _checked_external(external: tuple[str, str] | None) -> tuple[str, str] | None:
    """Never shown: the second is a secret."""
    if external is None:
        return None
    expected = "external_account is a key identifier and an HMAC key in base64url, two texts"
    if (
        not isinstance(external, (tuple, list))
        or len(external) != 2
        or not all(isinstance(one, str) and one for one in external)
    ):
        raise InvalidInputError(expected)
    key = external[1].rstrip("=")
    try:
        decoded = base64.b64decode(key.translate(str.maketrans("-_", "+/")) + "=" * (-len(key) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInputError(expected) from None
    if not decoded:
        raise InvalidInputError(expected)
    return external[0], key.translate(str.maketrans("+/", "-_"))


def _checked_solvers(solvers: Sequence[ChallengeSolver]) -> tuple[ChallengeSolver, ...]:
    from mlsssl.issuers.challenges import ChallengeSolver

    expected = "solvers is a list of solvers, such as WebrootChallenge(folder)"
    found = tuple(check_type(one, ChallengeSolver, expected) for one in items_of(solvers, expected))  # type: ignore[type-abstract]  # a Protocol that can be asked at run time
    for one in found:
        if isinstance(one, type):
            raise InvalidInputError(f"{expected}; {one.__name__} is a class, give one that was made of it")
        if one.type not in ("http-01", "dns-01", "tls-alpn-01"):
            raise InvalidInputError(f"a solver's type is http-01, dns-01 or tls-alpn-01, not {shown(one.type)}")
    return found


def _checked_contact(contact: Sequence[str]) -> tuple[str, ...]:
    expected = "contact is a list of e-mail addresses"
    found = []
    for one in items_of(contact, expected):
        address = check_type(one, str, expected).removeprefix("mailto:")
        if "@" not in address or any(sign.isspace() or sign in "?,<>" for sign in address):
            raise InvalidInputError(f"{expected}, and {shown(one)} is none")
        found.append(f"mailto:{address}")
    return tuple(found)


def _roots(path: Path) -> bytes:
    return pem.to_pem(pem.x509_of(one) for one in Certificate.load_all(path))


def _identifiers(request: CertificateRequest) -> tuple[tuple[str, str], ...]:
    """The request's names as a server wants them: A-labels, addresses in their shortest form (RFC 8738)."""
    found = []
    for text in request.names:
        try:
            name = parse_name(text)
        except InvalidInputError:
            raise InvalidInputError(
                f"ACME knows DNS names and IP addresses only, and the request has {shown(text)}"
            ) from None
        found.append(("ip", str(name.value)) if isinstance(name, x509.IPAddress) else ("dns", str(name.value).lower()))
    if not found:
        raise InvalidInputError(f"{request!r} asks for no name; create one with names")
    return tuple(dict.fromkeys(found))


def _replaced(old: Certificate) -> str | None:
    from mlsssl.issuers._acme import chains

    return chains.identifier(old)


def _text(why: object) -> str:
    return why if isinstance(why, str) else "it was asked too often"


def _growing(bounds: tuple[float, float], count: int) -> float:
    first, most = bounds
    return float(min(most, first * 2 ** min(count - 1, 30)))


def _count(record: dict[str, Any]) -> int:
    found = record.get("count")
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 10**6 else 0


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)
