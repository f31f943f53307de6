"""Many certificates checked on every core."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import pickle
import sys
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mlsssl._formats import pem
from mlsssl._formats.foreign import call
from mlsssl._formats.parsed import LARGEST_KEPT, MOST_KEPT
from mlsssl._messages.arguments import check_callable, check_whole, items_of
from mlsssl._select.trust import read_once, report_on
from mlsssl._validator.path import TrustAnchors, signature_problem
from mlsssl._validator.profiles import find_profile, for_purpose
from mlsssl._validator.report import PathStep, Report
from mlsssl._validator.validate import (
    Question,
    check_crls,
    check_extra_rules,
    check_silence,
    check_strictness,
    question,
)
from mlsssl.certificate import Certificate, check_certificate, x509_chain
from mlsssl.errors import InvalidInputError, MlssslError, UnsupportedError
from mlsssl.values import check_moment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mlsssl._formats.parsed import View
    from mlsssl._select.trust import Roots, TrustAnchor
    from mlsssl._validator.path import SignatureProblem
    from mlsssl._validator.profiles import Profile
    from mlsssl._validator.validate import UserRule
    from mlsssl.revocation_list import AnyList
    from mlsssl.values import ClientName, Purpose

__all__ = ["check_many"]

# So many certificates go to a worker at once: some 20 ms of work, so that the trip is cheap and progress still shows.
_BATCH = 128
# With fewer than this, starting processes costs more than the checks.
_FEWEST = 64

# Of so many issuers one call remembers whether their own issuer signed them.
_MOST_SIGNED = 64

_Item = tuple[Certificate, "str | None"]
_Travelling = tuple[bytes, bool, tuple[bytes, ...], "str | None"]
_Packed = tuple[str, bool, "list[tuple[str, str, bytes | None]]", "tuple[tuple[Any, ...], ...] | None"]
_Parsed = Question | tuple["Roots", "list[x509.CertificateRevocationList]"]


def check_many(
    certificates: Iterable[Certificate | tuple[Certificate, str | None]],
    *,
    trust: Iterable[TrustAnchor] | Literal["system"] | None = "system",
    at: dt.datetime | None = None,
    profile: str | Profile = "private",
    client: ClientName | None = None,
    purpose: Purpose = "server",
    crls: Sequence[AnyList] = (),
    revocation: Literal["soft", "hard"] = "soft",
    silence: Mapping[str, str] | None = None,
    extra_rules: Sequence[UserRule] = (),
    workers: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Iterator[Report]:
    """Check many certificates, on as many processes as there are cores, and yield the reports in order.

    Certificates are taken as they are needed, so that an endless supply is no harm; only public parts leave this
    process, and private keys are not looked at.

    Args:
        certificates: The certificates, each alone or with the host name to check it for.
        trust: As in `Certificate.check`, for all of them.
        at: As in `Certificate.check`; the same moment for all.
        profile: As in `Certificate.check`.
        client: As in `Certificate.check`.
        purpose: As in `Certificate.check`, for all of them.
        crls: As in `Certificate.check`, for all of them.
        revocation: As in `Certificate.check`.
        silence: As in `Certificate.check`.
        extra_rules: As in `Certificate.check`; with more than one worker they are functions of a module, since
            they travel to the workers by name.
        workers: How many processes, 1 to 1024; 1 checks in this one; as many as there are cores when not given.
        progress: Called in this process with the number of reports so far, after each one.

    Returns:
        An iterator of reports. Closing it, or leaving it to the garbage collector, ends the workers.

    Raises:
        InvalidInputError: an argument that means nothing; raised at the call for arguments common to all, and in
            its turn for a certificate or a host name.
        MalformedDataError: a certificate whose fields cannot be read at all: in its turn, or at the call where it is
            one of `trust`.
        NotFoundError: `trust="system"`, and no CA bundle is installed.
        NativeError: `trust="system"` on Windows, and its chain engine could not build a chain at all, in its turn.
        UnsupportedError: worker processes cannot run here; `workers=1` can.

    On Windows and macOS, and wherever this process has several threads, workers are started afresh and import the
    main script: that needs its `if __name__ == "__main__":`, as everything with processes does in Python.
    """
    count = _cores() if workers is None else check_whole(workers, 1, 1024, "workers is a number from 1 to 1024")
    check_callable(progress, "progress is a function of the number of reports so far")
    anchors = read_once(trust)
    common = _Common(
        trust=None if anchors is None else tuple("system" if isinstance(a, str) else pem.to_der(a) for a in anchors),
        at=check_moment(at).astimezone(timezone.utc),
        profile=for_purpose(find_profile(profile, client), purpose),
        crls=tuple(crl.public_bytes(Encoding.DER) for crl in check_crls(crls)),
        revocation=check_strictness(revocation),
        silence=check_silence(silence),
        extra_rules=check_extra_rules(extra_rules),
    )
    items = _in_turn(items_of(certificates, "certificates is a list of them, or of (certificate, host)"))
    parsed = common.parsed()  # here in any case, so that what is wrong with it is said here
    first = list(itertools.islice(items, _FEWEST))
    if count == 1 or len(first) < _FEWEST:
        return _here(common, parsed, itertools.chain(first, items), progress)
    try:
        pickle.dumps(common)
    except Exception as error:  # noqa: BLE001 - pickle raises whatever the methods of the objects raise
        raise InvalidInputError(
            f"extra_rules and profile must be values that travel to other processes, or use workers=1: {error}"
        ) from None
    return _elsewhere(common, itertools.chain(first, items), count, progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """What is the same for all certificates of one call."""

    trust: tuple[bytes | Literal["system"], ...] | None
    at: dt.datetime
    profile: Profile
    crls: tuple[bytes, ...]
    revocation: Literal["soft", "hard"]
    silence: dict[str, str]
    extra_rules: tuple[UserRule, ...]

    def parsed(self) -> _Parsed:
        """What is asked, with all that is trusted and revoked parsed: once in each process.

        Where the operating system judges, what is trusted and revoked alone, for `report_on`.
        """
        crls = [call(x509.load_der_x509_crl, crl) for crl in self.crls]  # whatever in it the check cannot read
        anchors: Roots = ["system" if isinstance(one, str) else pem.load_der(one) for one in self.trust or ()]
        if "system" in anchors:
            return anchors, crls
        asked = question(
            at=self.at,
            trust=None if self.trust is None else TrustAnchors(one for one in anchors if not isinstance(one, str)),
            profile=self.profile,
            crls=crls,
            revocation=self.revocation,
            silence=self.silence,
            extra_rules=self.extra_rules,
        )
        return asked._replace(between_issuers=_remembering())

    def check(
        self,
        certificate: x509.Certificate,
        chain: Sequence[x509.Certificate],
        der: bytes,
        host: str | None,
        parsed: _Parsed,
    ) -> Report:
        """One report."""
        if isinstance(parsed, Question):
            return parsed.report(certificate, der=der, host=host, intermediates=chain, expect_key=False)
        anchors, crls = parsed
        return report_on(
            certificate,
            chain,
            host,
            der=der,
            trust=anchors,
            at=self.at,
            profile=self.profile,
            client=None,  # the profile is made for it already
            crls=crls,
            revocation=self.revocation,
            silence=self.silence,
            extra_rules=self.extra_rules,
        )


def _remembering() -> SignatureProblem:
    """`signature_problem`, asked once of two certificates; each time of large ones, which would fill the memory."""
    known = lru_cache(maxsize=_MOST_SIGNED)(signature_problem)

    def problem(child: View, issuer: View) -> str:
        small = len(child.signed) <= LARGEST_KEPT and len(issuer.signed) <= LARGEST_KEPT
        return known(child, issuer) if small else signature_problem(child, issuer)

    return problem


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _item(given: Certificate | tuple[Certificate, str | None]) -> _Item:
    if isinstance(given, tuple) and len(given) != 2:
        raise InvalidInputError(f"a certificate with its host name is a tuple of two, not of {len(given)}")
    certificate, host = given if isinstance(given, tuple) else (given, None)
    return check_certificate(certificate), host


def _in_turn(certificates: Iterable[Certificate | tuple[Certificate, str | None]]) -> Iterator[_Item | Exception]:
    """The items; last, instead of one that is none, why, and likewise what getting the next one raised."""
    try:
        for given in certificates:
            yield _item(given)
    except Exception as error:  # noqa: BLE001 - it is raised when its turn comes
        yield error


def _travelling(item: _Item) -> _Travelling:
    certificate, host = item
    plain = isinstance(pem.x509_of(certificate), x509.Certificate)
    return certificate.to_der(), plain, tuple(map(pem.to_der, x509_chain(certificate))), host


def _packed(report: Report, der: bytes) -> _Packed:
    """What a report on the certificate `der` says beyond what was asked: as a whole it takes a tenth of a check more.

    That is for pickle to ask dataclasses for their fields, and for certificates that are where it goes already.
    """
    path = [(step.role, step.subject, None if step.der == der else step.der) for step in report.path]
    rest = report.findings, report.attempts, report.silenced, report.not_known
    return report.subject, report.trusted, path, rest if any(rest) else None


def _unpacked(packed: _Packed, common: _Common, asked: _Travelling) -> Report:
    """The report that was packed."""
    subject, trusted, path, rest = packed
    der, _, _, host = asked
    findings, attempts, silenced, not_known = rest or ((), (), (), ())
    steps = [PathStep(role=role, subject=name, der=der if above is None else above) for role, name, above in path]
    return Report(
        findings=findings,
        profile=common.profile.name,
        host=host,
        at=common.at,
        subject=subject,
        path=tuple(steps),
        trusted=trusted,
        attempts=attempts,
        silenced=silenced,
        client=common.profile.client,
        not_known=not_known,
    )


def _here(
    common: _Common,
    parsed: _Parsed,
    items: Iterable[_Item | Exception],
    progress: Callable[[int], object] | None,
) -> Iterator[Report]:
    for number, item in enumerate(items, 1):
        if isinstance(item, Exception):
            raise item
        certificate, host = item
        report = common.check(pem.x509_of(certificate), x509_chain(certificate), certificate.to_der(), host, parsed)
        if progress is not None:
            progress(number)
        yield report


def _elsewhere(
    common: _Common, items: Iterator[_Item | Exception], workers: int, progress: Callable[[int], object] | None
) -> Iterator[Report]:
    number = 0
    with ProcessPoolExecutor(workers, mp_context=_context(), initializer=_start, initargs=(common,)) as pool:
        pending: deque[tuple[list[_Travelling], Future[list[_Packed | Exception]]]] = deque()
        ended_by: Exception | None = None
        try:
            while True:
                # Two batches for each worker keep it busy, and the memory small.
                while len(pending) < 2 * workers and (batch := list(itertools.islice(items, _BATCH))):
                    if isinstance(batch[-1], Exception):
                        ended_by = batch[-1]
                    travelling = [_travelling(item) for item in batch if not isinstance(item, Exception)]
                    pending.append((travelling, pool.submit(_check_batch, travelling)))
                if not pending:
                    if ended_by is not None:
                        raise ended_by
                    return
                travelling, future = pending.popleft()
                for asked, packed in zip(travelling, future.result(), strict=True):  # an error is the last, and raised
                    if isinstance(packed, Exception):
                        raise packed
                    number += 1
                    if progress is not None:
                        progress(number)
                    yield _unpacked(packed, common, asked)
        except BrokenProcessPool:
            raise UnsupportedError(
                "the worker processes died; if the main script has no 'if __name__ == \"__main__\":', give it one, or "
                "use workers=1"
            ) from None
        finally:
            for _, future in pending:
                future.cancel()


def _context() -> multiprocessing.context.BaseContext:
    """How to start workers: forking is fast, and safe only while there is one thread (Python issue 84559)."""
    if sys.platform == "linux" and threading.active_count() == 1:
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context("spawn")


def _load(der: bytes) -> x509.Certificate:
    """An issuer, parsed once: most certificates of one call have the same ones."""
    return _kept(der) if len(der) <= LARGEST_KEPT else pem.load_der(der)


@lru_cache(maxsize=MOST_KEPT)
def _kept(der: bytes) -> x509.Certificate:
    return pem.load_der(der)


_common: tuple[_Common, _Parsed] | None = None


def _start(common: _Common) -> None:
    """In a worker: keep what is the same for all certificates."""
    global _common
    _common = common, common.parsed()
    gc.freeze()  # what was there before the fork: to look for garbage in it would copy every page of it


def _check_batch(batch: list[_Travelling]) -> list[_Packed | Exception]:
    """The reports; the last may be the error of the one that was checked last."""
    assert _common is not None
    common, parsed = _common
    packed: list[_Packed | Exception] = []
    for der, plain, chain, host in batch:
        try:
            # Of one that `cryptography` reads every field was read before it was sent here.
            certificate = call(x509.load_der_x509_certificate, der) if plain else pem.load_der(der)
            report = common.check(certificate, [_load(one) for one in chain], der, host, parsed)
        except MlssslError as error:
            packed.append(error)
            break
        packed.append(_packed(report, der))
    return packed
