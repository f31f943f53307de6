"""Asking an issuer for a certificate so that a kill or a long wait loses neither the key nor the order.

The key is made in the machine and stays there (`MachinePort.request_keys`). Its name, and then the request that it
signed, are in a private file of the machine's state folder before the issuer is asked:
`request-<digest of what it is for>.json`. What comes back is checked, and added to that file before anything on the
machine changes. The file goes when the certificate is in the store with its key. Until then every further run goes on
with the same request, which an issuer knows by its fingerprint, so that nothing is ordered twice.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlsssl._changes.record import key_text, on_disk
from mlsssl._deploy.plan import only_plan, plan_to_ask
from mlsssl._deploy.preflight import lost_names
from mlsssl._formats import pem
from mlsssl._formats.hosts import name_text, parse_name
from mlsssl._formats.parsed import issuer_view
from mlsssl._issue import lifetimes
from mlsssl._issue.keys import check_key_type
from mlsssl._issue.machine_keys import held_key
from mlsssl._machine import files, private_files, stores
from mlsssl._machine.ports import check_request_key_name, new_request_key_name
from mlsssl._messages.foreign_text import clean_logger, shown
from mlsssl._validator.path import signature_problem
from mlsssl.authority import renewal_common_name, renewal_hosts
from mlsssl.certificate import Certificate
from mlsssl.errors import BindingError, InvalidInputError, IssuerError, MalformedDataError, MlssslError, NotFoundError
from mlsssl.request import CertificateRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from cryptography import x509

    from mlsssl._deploy.apply import Outcome
    from mlsssl._deploy.plan import Plan
    from mlsssl._deploy.request import Request
    from mlsssl._deploy.snapshot import Snapshot
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.ports import KeyProvider, MachinePort
    from mlsssl.issuers import Issuer
    from mlsssl.values import KeyType, Thumbprint

_VERSION = 1
"""Of the files' format; a later one is refused, not guessed at."""

_LOCK_TIMEOUT = 60.0

_KEPT_ANSWER = dt.timedelta(days=7)
"""How long a certificate that was issued and not deployed is tried again, before the issuer is asked for another.

A preflight that refuses it refuses it the next night too, and an authority that limits duplicates (Let's Encrypt: five
in seven days) would soon give none.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a certificate is asked for.

    Attributes:
        key: The binding; the first to have it, where several share one.
        store: The LocalMachine store that it goes into.
        older: What is bound there; None when nothing is.
        renewal: Whether it is the successor of `older`, on whatever binding; else it is for the key, whatever it has.
    """

    key: BindingKey
    store: str
    older: Thumbprint | None
    renewal: bool

    @property
    def digest(self) -> str:
        """What its file and its lock are called by."""
        text = f"successor of {self.older}" if self.renewal else key_text(self.key)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the request says (names as A-labels and addresses, subject as `create` takes it), how its key is made."""

    hosts: tuple[str, ...]
    key_type: KeyType = "rsa-2048"
    common_name: str | None = None
    subject: x509.Name | None = None
    exportable: bool = False
    provider: KeyProvider | None = None

    def to_dict(self) -> dict[str, object]:
        """Plain values, to compare with those of a request that was kept."""
        return {
            "hosts": list(self.hosts),
            "key_type": self.key_type,
            "common_name": self.common_name,
            "subject": None if self.subject is None else self.subject.public_bytes().hex(),
            "exportable": self.exportable,
            "provider": self.provider,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """The file's contents; `request` is None until its key was made, `answer` until the issuer has answered.

    Attributes:
        key: The name of its key in `MachinePort.request_keys`.
        request: With that key, as long as the machine has it.
    """

    target: Target
    wanted: dict[str, object]
    issuer: str
    key: str
    begun: dt.datetime
    request: CertificateRequest | None = None
    answer: Certificate | None = None
    answered: dt.datetime | None = None


def successor_of(old: Certificate, key_type: KeyType, *, exportable: bool, provider: KeyProvider | None) -> Wanted:
    """What a renewal asks for: by the same rules as from an authority of one's own.

    `InvalidInputError` for names or a kind of key that no request here has.
    """
    hosts = renewal_hosts(old)
    if not hosts:
        raise InvalidInputError(f"{old!r} names no host, so nobody knows what to ask for; deploy one for its names")
    return Wanted(
        hosts=tuple(name_text(parse_name(host)) for host in hosts),
        key_type=key_type,
        common_name=renewal_common_name(old, hosts),
        subject=pem.x509_of(old).subject,
        exportable=exportable,
        provider=provider,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A certificate that an issuer is asked for.

    Attributes:
        port: The machine.
        old: The certificate that is replaced; None for the first.
        at: The moment to check the dates for; now when None.
        together: Other bindings that are given the same certificate in turn, so that its file has to stay until then.
    """

    port: MachinePort
    target: Target
    wanted: Wanted
    issuer: Issuer
    old: Certificate | None
    at: dt.datetime | None
    together: Collection[BindingKey] = ()

    @contextlib.contextmanager
    def certificate(self) -> Iterator[Certificate]:
        """Have the issuer's certificate, with its private key, while the body deploys it.

        Afterwards the file goes if the certificate is in the store with its key and none of the bindings `together`
        still has the old one. It stays when the body raises.

        Raises:
            BindingError: somebody else has been asking for this certificate for a minute; or the binding was changed.
            IssuePendingError: there is no answer yet; the next call goes on with the same request.
            IssuerError: the issuer refuses, or what it gave does not answer the request.
            MlssslError: whatever else the issuer raises; or the file cannot be written.
        """
        port, target = self.port, self.target
        path = _path(port, target)
        # One of 256 files: as many locks as there are certificates in ten years would fill the folder.
        with port.lock(f"request-{target.digest[:2]}", timeout=_LOCK_TIMEOUT):
            record = port.bindings.find(target.key)
            if (None if record is None else record.thumbprint) != target.older:
                raise BindingError(
                    f"{target.key} was changed before its new certificate was asked for; nothing was done"
                )
            _tidy_up(port, besides=path)
            moment = self._moment
            kept, request = _begun(port, path, target, self.wanted, self.issuer, moment)
            if kept.answer is None:
                kept = _asked(path, kept, request, self.issuer, self.old, moment)
            answer = kept.answer
            assert answer is not None
            yield request.complete(answer)
            try:
                if _is_stored(port, target.store, answer) and not _is_bound(port, target.older, self.together):
                    _forget(port, path, kept)
            except MlssslError as error:  # the deployment is done; the next request on this machine tidies up
                clean_logger("mlsssl").warning("the request for %s stays in %s: %s", target.key, path, error)

    def plan(
        self,
        request: Callable[[Certificate | None], Request],
        later: Callable[[], Outcome],
        *,
        snapshot: Snapshot | None = None,
    ) -> Plan:
        """A plan that orders nothing: with what was issued and is not deployed yet, or with a step that asks.

        Args:
            request: What is to be deployed, with this certificate or with one that is still to be issued.
            later: What applying such a plan does.
            snapshot: As in `only_plan`.
        """
        answered = self._answered()
        if answered is not None:
            return only_plan(request(answered), snapshot=snapshot)
        return plan_to_ask(request(None), self.issuer.name, self.wanted.hosts, later, snapshot=snapshot)

    @property
    def _moment(self) -> dt.datetime:
        return self.at or dt.datetime.now(dt.timezone.utc)

    def _answered(self) -> Certificate | None:
        try:
            kept = _read(self.port, _path(self.port, self.target))
        except MalformedDataError:
            return None
        if kept is None or kept.answer is None or kept.request is None or kept.issuer != self.issuer.name:
            return None
        if kept.request.private_key is None or _why_given_up(kept, self.wanted, self._moment) is not None:
            return None
        return kept.request.complete(kept.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A request that waits for its certificate.

    Attributes:
        hosts: Its names.
        key_type: Of its private key.
        renewal: Whether the certificate shall follow the one that is bound.
        first: Where it shall not: the arguments of `deploy` that it was made with, besides the names.
        request: With its private key.
    """

    hosts: tuple[str, ...]
    key_type: KeyType
    renewal: bool
    first: dict[str, object]
    request: CertificateRequest

    def checked(self, answer: Certificate) -> Certificate:
        """The answer joined with the private key; `IssuerError` when it does not answer the request."""
        wrong = what_is_wrong(answer, self.request, dt.datetime.now(dt.timezone.utc))
        if wrong is not None:
            raise IssuerError(f"this certificate does not answer the request: {wrong}", issuer=answer.issuer)
        return self.request.complete(answer)


def waiting_for(port: MachinePort, key: BindingKey, answer: Certificate) -> Waiting:
    """The request of this key, for what is bound or whatever is, that `answer` is for; the machine is only looked at.

    `NotFoundError` when none waits, or those that do are for another key.
    """
    record = port.bindings.find(key)
    older = None if record is None else record.thumbprint
    targets = [
        Target(key=key if record is None else record.key, store="", older=older, renewal=renewal)
        for renewal in (False, True)
    ]
    found = [kept for target in targets if (kept := _read(port, _path(port, target))) is not None]
    waiting = [kept for kept in found if kept.request is not None and kept.request.private_key is not None]
    for kept in waiting:
        request = kept.request
        if request is not None and request.matches(answer):
            first = {name: kept.wanted.get(name) for name in ("key_type", "exportable", "provider")}
            return Waiting(
                hosts=request.names,
                key_type=check_key_type(request.key_type),
                renewal=kept.target.renewal,
                first={**first, "store": kept.target.store},
                request=request,
            )
    if waiting:
        raise NotFoundError(f"the request for {key} that waits here is for another private key than this certificate")
    raise NotFoundError(f"no request for {key} waits for its certificate: request one first")


# -- the request and its answer -----------------------------------------------------------------------------------


def _made(port: MachinePort, name: str, wanted: Wanted) -> CertificateRequest:
    """The request, signed by a key that the machine makes: the one place where a key for an issuer is made."""
    keys = port.request_keys
    public = keys.public_key(name)
    if public is None:  # else a process was killed after the key was made
        keys.release(name)
        public = keys.make(name, wanted.key_type, exportable=wanted.exportable, provider=wanted.provider)
    return CertificateRequest.create(
        *wanted.hosts,
        key=held_key(name, public, keys.sign),
        common_name=wanted.common_name,
        subject=wanted.subject,
    )


def _begun(
    port: MachinePort, path: Path, target: Target, wanted: Wanted, issuer: Issuer, moment: dt.datetime
) -> tuple[_Kept, CertificateRequest]:
    """The request that was kept, if it still fits, else a new one, on the disk."""
    logger = clean_logger("mlsssl")
    try:
        kept = _read(port, path)
    except _LaterVersionError:
        raise
    except MalformedDataError as error:
        logger.warning("%s; another request is made", error)
        kept = None
    if kept is not None:
        why = _why_given_up(kept, wanted, moment)
        if why is None and kept.request is not None and kept.request.private_key is None:
            why = f"its private key {kept.key} is not on this machine any more"
        if why is None:
            if kept.answer is not None and kept.issuer != issuer.name:  # a staging server's, when the real one is asked
                told = "what %s issued for %s on %s and was not deployed is left aside, for now it is %s that is asked"
                logger.warning(told, kept.issuer, target.key, f"{kept.answered:%Y-%m-%d}", issuer.name)
                kept = replace(kept, issuer=issuer.name, answer=None, answered=None)
            if kept.answer is not None and not _is_stored(port, target.store, kept.answer):
                told = "using what %s issued for %s on %s and was not deployed then; to ask for another, remove %s"
                logger.warning(told, kept.issuer, target.key, f"{kept.answered:%Y-%m-%d}", path)
            request = kept.request or _made(port, kept.key, wanted)
            if kept.target != target or kept.request is None:
                kept = replace(kept, target=target, request=request)
                _write(path, kept)
            return kept, request
        if kept.request is not None:
            told = "giving up the request for %s that was made for %s on %s: %s"
            logger.warning(told, target.key, kept.issuer, f"{kept.begun:%Y-%m-%d}", why)
    kept = _Kept(target=target, wanted=wanted.to_dict(), issuer=issuer.name, key=new_request_key_name(), begun=moment)
    _write(path, kept)  # the name before the key: killed in between, the next call knows it
    _release_unnamed(port)
    request = _made(port, kept.key, wanted)
    kept = replace(kept, request=request)
    _write(path, kept)
    return kept, request


def _forget(port: MachinePort, path: Path, kept: _Kept) -> None:
    """The key first: as long as it is held, a file knows its name."""
    port.request_keys.release(kept.key)
    files.remove(path)


def _release_unnamed(port: MachinePort) -> None:
    """Let go of every key that no file names: of a request that was given up, or whose file was damaged or deleted.

    The names first, then the files: a file names its key before that is there, and until it was let go of.
    """
    try:
        names = port.request_keys.names()
        named = b"".join(_bytes_of(path) for path in files.entries(port.state_folder) if path.match("request-*.json"))
        for name in names:
            if name.encode("ascii") not in named:
                port.request_keys.release(name)
    except MlssslError as error:  # the next request on this machine tries again
        clean_logger("mlsssl").warning("a private key that no request needs may be left on this machine: %s", error)


def _bytes_of(path: Path) -> bytes:
    try:
        return private_files.read_private(path)
    except NotFoundError:  # done with since the folder was listed
        return b""


def _why_given_up(kept: _Kept, wanted: Wanted, moment: dt.datetime) -> str | None:
    """Why a kept request is not gone on with, in words; None when it is."""
    fields = wanted.to_dict()
    changed = [name for name, value in fields.items() if kept.wanted.get(name) != value]
    if changed:
        words = {
            "hosts": "names",
            "key_type": "type of key",
            "common_name": "common name",
            "exportable": "whether the key may leave",
            "provider": "key storage",
        }
        what = ", ".join(words.get(name, name) for name in changed)
        return f"what is wanted has changed since ({what})"
    if kept.answer is None or kept.answered is None:
        return None
    until = min(kept.answered + _KEPT_ANSWER, kept.answer.renewal_time(jitter=0))
    return None if moment < until else "what was issued for it was never deployed, and is not tried any longer"


def _asked(
    path: Path,
    kept: _Kept,
    request: CertificateRequest,
    issuer: Issuer,
    old: Certificate | None,
    moment: dt.datetime,
) -> _Kept:
    """With the issuer's answer, checked and on the disk."""
    name = issuer.name
    try:
        with lifetimes.noted():  # the finding `authority-ending` says it
            answer = issuer.issue(request.without_key(), old=None if old is None else old.without_key())
    except MlssslError:
        raise
    except Exception as error:
        raise IssuerError(f"{name} failed: {type(error).__name__}: {error}", issuer=name) from error
    if not isinstance(answer, Certificate):
        raise IssuerError(f"{name} gave {type(answer).__name__}, not a Certificate", issuer=name)
    answer = answer.without_key()
    wrong = what_is_wrong(answer, request, moment)
    if wrong is not None:
        raise IssuerError(f"what {name} gave does not answer the request: {wrong}; nothing was done", issuer=name)
    answered = replace(kept, issuer=name, answer=answer, answered=moment)
    _write(path, answered)
    return answered


def what_is_wrong(answer: Certificate, request: CertificateRequest, at: dt.datetime) -> str | None:
    """Why a certificate is no answer to a request, in words: key, names, dates, chain; None when it is one."""
    try:
        if not request.matches(answer):
            return "it is for another key"
        lost = lost_names(answer.hosts, request.names)
        if lost:
            return f"it is not for {', '.join(lost)}"
        if at > answer.not_after:
            return f"it is over since {answer.not_after:%Y-%m-%d %H:%M} UTC"
        leaf = issuer_view(pem.x509_of(answer))
        above = [issuer_view(pem.x509_of(one)) for one in answer.chain]
        issuers = [one for one in above if one.subject == leaf.issuer]
        if above and not leaf.self_issued:
            if not issuers:
                return f"the certificate of its issuer {leaf.issuer_text} is not among those that came with it"
            if all(signature_problem(leaf, one) for one in issuers):
                return f"the certificate of {leaf.issuer_text} that came with it did not sign it"
    except MalformedDataError as error:
        return str(error)
    return None


# -- the file -----------------------------------------------------------------------------------------------------


class _LaterVersionError(MalformedDataError):
    """Written by a later version of this library; another request is not made in its place."""


def _path(port: MachinePort, target: Target) -> Path:
    return port.state_folder / f"request-{target.digest}.json"


def _write(path: Path, kept: _Kept) -> None:
    target = kept.target
    data = {
        "version": _VERSION,
        "key_of_binding": key_text(target.key),
        "store": target.store,
        "older": None if target.older is None else str(target.older),
        "renewal": target.renewal,
        "wanted": kept.wanted,
        "issuer": kept.issuer,
        "begun": kept.begun.isoformat(),
        "private_key": kept.key,
        "request": None if kept.request is None else kept.request.to_pem().decode("ascii"),
        "answer": None if kept.answer is None else kept.answer.to_pem(chain=True).decode("ascii"),
        "answered": None if kept.answered is None else kept.answered.isoformat(),
    }
    with on_disk("write"):
        files.write(path, json.dumps(data, indent=1).encode("ascii") + b"\n", private=True)


def _read(port: MachinePort, path: Path) -> _Kept | None:
    """What is kept there; None when nothing is. `MalformedDataError` when it is damaged."""
    from mlsssl._formats.binding_keys import parse_binding_key
    from mlsssl.values import Thumbprint

    try:
        data = private_files.read_private(path)
    except NotFoundError:
        return None
    try:
        read = json.loads(data)
        if int(read["version"]) > _VERSION:
            raise _LaterVersionError(f"{path} was written by a later version of mlsssl, which can read it")
        older, answer, answered = read["older"], read["answer"], read["answered"]
        begun = dt.datetime.fromisoformat(str(read["begun"]))
        moment = None if answered is None else dt.datetime.fromisoformat(str(answered))
        if begun.tzinfo is None or (moment is not None and moment.tzinfo is None):
            raise ValueError("a moment without a time zone")
        return _Kept(
            target=Target(
                key=parse_binding_key(str(read["key_of_binding"])),
                store=str(read["store"]),
                older=None if older is None else Thumbprint(str(older)),
                renewal=bool(read["renewal"]),
            ),
            wanted=dict(read["wanted"]),
            issuer=str(read["issuer"]),
            key=check_request_key_name(read["private_key"]),
            request=None if read["request"] is None else _with_key(port, str(read["request"]), read["private_key"]),
            begun=begun,
            answer=None if answer is None else Certificate.from_pem(str(answer)),
            answered=moment,
        )
    except _LaterVersionError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MalformedDataError(f"{path} is damaged ({type(error).__name__})") from None


def _with_key(port: MachinePort, request: str, name: str) -> CertificateRequest:
    """The request with the key that the machine has of this name; without, when it has none."""
    public = port.request_keys.public_key(name)
    read = CertificateRequest.from_bytes(request)
    if public is None:
        return read
    return CertificateRequest(read.to_cryptography(), private_key=held_key(name, public, port.request_keys.sign))


def _is_stored(port: MachinePort, store: str, certificate: Certificate) -> bool:
    """Whether it is in this store with a key that can be used."""
    found = stores.certificate(port, store, certificate.thumbprint)
    return found is not None and found.key is not None and found.key.usable


def _is_bound(port: MachinePort, thumbprint: Thumbprint | None, keys: Collection[BindingKey]) -> bool:
    return bool(keys) and any(one.thumbprint == thumbprint and one.key in keys for one in port.bindings.all())


def _tidy_up(port: MachinePort, *, besides: Path) -> None:
    """Remove what nobody goes on with: a kill just after a deployment leaves a file, one while writing half of one."""
    for path in files.entries(port.state_folder):
        half = path.name.startswith(".request-")
        lock = path.name[half : half + len("request-00")]
        if path == besides or not lock.startswith("request-") or path.suffix == ".lock":
            continue
        # Who holds the lock is still at it; what cannot be read is told when it is needed.
        with contextlib.suppress(MlssslError), contextlib.ExitStack() as held:
            if not besides.name.startswith(lock):
                held.enter_context(port.lock(lock, timeout=0))
            if half:
                files.remove(path)
            elif (kept := _read(port, path)) is not None:
                _remove_if_over(port, path, kept)
    _release_unnamed(port)


def _remove_if_over(port: MachinePort, path: Path, kept: _Kept) -> None:
    target = kept.target
    bound = [one for one in port.bindings.all() if one.key == target.key or target.renewal]
    superseded = all(one.thumbprint != target.older for one in bound) and (bool(bound) or target.older is not None)
    if kept.answer is not None and _is_stored(port, target.store, kept.answer):
        over = superseded or dt.datetime.now(dt.timezone.utc) >= (kept.answered or kept.begun) + _KEPT_ANSWER
    else:
        over = superseded
        if over:
            clean_logger("mlsssl").warning(
                "giving up the request for %s that was made for %s on %s: another certificate is bound by now",
                *(shown(str(target.key)), kept.issuer, f"{kept.begun:%Y-%m-%d}"),
            )
    if over:
        _forget(port, path, kept)
