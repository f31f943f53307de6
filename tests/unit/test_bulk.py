"""Many certificates at once: the same reports as one by one, in order, from any number of processes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from chains import NOW, ec_key, intermediate, leaf, root, tlv
from faults import HOST
from mlsssl import Certificate, InvalidInputError, MalformedDataError, check_many
from mlsssl._formats.parsed import LARGEST_KEPT
from mlsssl._issue.revocation_lists import build_crl
from mlsssl._validator.path import signature_problem
from mlsssl._validator.report import Finding, Severity
from odd_certificates import revocation_lists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl._formats.parsed import View
    from mlsssl._validator.validate import RuleContext

ROOT = root()
MIDDLE = intermediate(ROOT)
GOOD = Certificate.from_der(leaf(MIDDLE).der()).with_chain([MIDDLE.certificate()])
SERIAL = 0x1234_5678_9ABC_DEF0_1234_5678
SHORT = GOOD.with_chain([])


def always(context: RuleContext) -> list[Finding]:
    """A rule that workers find by its name."""
    return [
        Finding(
            code="house-rule",
            severity=Severity.NOTICE,
            where="leaf: all",
            found=context.profile.name,
            expected="nothing",
            remedy="none",
            standard="none",
        )
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_revocation_lists_go_to_every_worker(workers: int) -> None:
    """What they name is revoked, and what they do not is not; without any, `hard` refuses all."""
    other = Certificate.from_der(replace(leaf(MIDDLE), serial=SERIAL).der()).with_chain([MIDDLE.certificate()])
    lists = [
        build_crl(MIDDLE.certificate(), ec_key(2), [(SERIAL, NOW, None)], at=NOW, number=1),
        build_crl(ROOT.certificate(), ec_key(1), [], at=NOW, number=1),
    ]

    def check(crls: list[x509.CertificateRevocationList]) -> set[tuple[str, ...]]:
        given = [GOOD, other] * 100
        reports = check_many(given, trust=[ROOT.certificate()], at=NOW, crls=crls, revocation="hard", workers=workers)
        return {(str(number % 2), *report.codes) for number, report in enumerate(reports)}

    assert check(lists) == {("0",), ("1", "revoked")}
    assert check([]) == {("0", "crl-not-found"), ("1", "crl-not-found")}


@pytest.mark.parametrize("workers", [1, 2])
def test_reports_come_in_order_with_their_hosts_and_progress(workers: int) -> None:
    """Every third certificate is for another name and every fifth lacks its chain: each report says which."""
    count = 300
    given = [(SHORT if number % 5 == 0 else GOOD, "other.test" if number % 3 == 0 else HOST) for number in range(count)]
    seen: list[int] = []
    reports = list(
        check_many(
            given,
            trust=[ROOT.certificate()],
            at=NOW,
            workers=workers,
            progress=seen.append,
            extra_rules=[always],
        )
    )
    assert seen == list(range(1, count + 1))
    for number, report in enumerate(reports):
        expected = {"name-mismatch"} if number % 3 == 0 else set()
        expected |= {"issuer-not-found"} if number % 5 == 0 else set()
        assert {f.code for f in report.errors} == expected, number
        assert "house-rule" in report.codes


def test_reports_from_workers_lose_nothing() -> None:
    """Every field of every report is the same from two processes as from this one: path, attempts, silenced, time."""
    elsewhere = root()
    given = [(GOOD, HOST), (SHORT, HOST), (GOOD, "other.test"), (GOOD, None)] * 50
    for trust in ([ROOT.certificate()], [elsewhere.certificate()], [ROOT.certificate()] * 2, []):
        alone, shared = (
            list(
                check_many(
                    given,
                    trust=trust,
                    at=NOW.astimezone(timezone(timedelta(hours=2))),
                    workers=workers,
                    extra_rules=[always],
                    silence={"name-mismatch": "renamed on purpose"},
                )
            )
            for workers in (1, 2)
        )
        assert shared == alone
        assert {report.at.utcoffset() for report in shared} == {timedelta(0)}
        assert [report.path[0].der for report in shared] == [certificate.to_der() for certificate, _ in given]
        assert any(report.silenced for report in shared)
        whole = ROOT.certificate() in trust
        assert [report.ok for report in shared[:4]] == [whole, False, whole, whole]


def test_an_endless_supply_is_taken_as_needed() -> None:
    """The first report comes long before the last certificate, and leaving early ends the work."""
    taken = 0

    def supply() -> Iterator[Certificate]:
        nonlocal taken
        while True:
            taken += 1
            yield GOOD

    reports = check_many(supply(), trust=[ROOT.certificate()], at=NOW, workers=2)
    assert next(reports).ok
    reports.close()  # type: ignore[attr-defined]
    assert taken < 2000


class _LostError(Exception):
    """Of the caller's own."""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("place", [3, 70, 200])
@pytest.mark.parametrize("wrong", ["host", "certificate", "supply"])
def test_an_error_comes_in_its_turn(wrong: str, place: int, workers: int) -> None:
    """After the reports on all certificates before, from however many processes."""

    def supply() -> Iterator[object]:
        yield from [(GOOD, HOST)] * place
        if wrong == "supply":
            raise _LostError
        yield (GOOD, "no host") if wrong == "host" else GOOD.to_der()
        yield from [(GOOD, HOST)] * 300

    reports = check_many(supply(), trust=[ROOT.certificate()], at=NOW, workers=workers)  # type: ignore[arg-type]
    assert all(next(reports).ok for _ in range(place))
    with pytest.raises(_LostError if wrong == "supply" else InvalidInputError):
        next(reports)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_list_that_cannot_be_read_is_passed_over_as_by_a_single_check(workers: int) -> None:
    """`cryptography` gives out lists whose issuer it then cannot read: nobody's lists."""
    odd = x509.load_der_x509_crl(revocation_lists()["issuer-general"])
    right = build_crl(MIDDLE.certificate(), ec_key(2), [(leaf(MIDDLE).serial, NOW, None)], at=NOW, number=1)
    alone = GOOD.check(HOST, trust=[ROOT.certificate()], at=NOW, key_expected=False, crls=[odd, right])
    assert "revoked" in alone.codes
    given = [(GOOD, HOST)] * 70
    reports = check_many(given, trust=[ROOT.certificate()], at=NOW, crls=[odd, right], workers=workers)
    assert {report.codes for report in reports} == {alone.codes}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_trusted_and_cannot_be_read_is_told_at_the_call(workers: int) -> None:
    """And not that the workers died."""
    odd = x509.load_der_x509_certificate(replace(ROOT, begin=tlv(0x18, b"00000101000000Z")).der())
    with pytest.raises(MalformedDataError, match=r"notBefore|year 0"):
        check_many([(GOOD, HOST)] * 70, trust=[odd], at=NOW, workers=workers)
    with pytest.raises(MalformedDataError):
        GOOD.check(HOST, trust=[odd], at=NOW)


def test_arguments_that_mean_nothing_are_refused() -> None:
    """Numbers of workers out of range, things that are no certificates, rules that cannot travel."""
    for workers in (0, -1, 1025, True):
        with pytest.raises(InvalidInputError, match="workers"):
            check_many([GOOD], trust=None, workers=workers)
    with pytest.raises(InvalidInputError, match="Certificate"):
        list(check_many([b"x"], trust=None))  # type: ignore[list-item]
    with pytest.raises(InvalidInputError, match="travel"):
        check_many([GOOD] * 100, trust=None, workers=2, extra_rules=[lambda context: always(context)])
    with pytest.raises(InvalidInputError, match="aware"):
        list(check_many([GOOD], trust=None, at=NOW.replace(tzinfo=None)))
    assert list(check_many([], trust=None)) == []


def test_issuers_that_certificates_share_are_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one call, and again in the next: what is remembered ends with the call."""
    asked: list[tuple[str, str]] = []

    def counted(child: View, issuer: View) -> str:
        asked.append((child.subject_text, issuer.subject_text))
        return signature_problem(child, issuer)

    monkeypatch.setattr("mlsssl.bulk.signature_problem", counted)
    der = GOOD.chain[0].to_der()
    again = Certificate.from_der(der)
    forged = Certificate.from_der(der[:-1] + bytes((der[-1] ^ 1,)))
    given = [GOOD, GOOD.with_chain([again]), GOOD.with_chain([forged])] * 10
    alone = [one.check(trust=[ROOT.certificate()], at=NOW, key_expected=False) for one in given]
    for _ in range(2):
        asked.clear()
        assert [*check_many(given, trust=[ROOT.certificate()], at=NOW, workers=1)] == alone
        assert len(asked) == 2
    assert {report.codes for report in alone} == {(), ("signature-invalid",)}


def test_of_huge_issuers_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are parsed anew for each certificate, so that it would only fill memory."""
    asked: list[View] = []

    def counted(child: View, issuer: View) -> str:
        asked.append(child)
        return signature_problem(child, issuer)

    monkeypatch.setattr("mlsssl.bulk.signature_problem", counted)
    filling = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\0" * LARGEST_KEPT)
    huge = MIDDLE.with_extension(filling)
    given = [Certificate.from_der(leaf(huge).der()).with_chain([huge.certificate()])] * 3
    assert all(check_many(given, trust=[ROOT.certificate()], at=NOW, workers=1))
    assert len(set(asked)) == 3
