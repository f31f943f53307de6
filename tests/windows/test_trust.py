"""Windows' chain engine, as the library asks it: the fake one anywhere, the real one (or Wine's) on Windows."""

from __future__ import annotations

import datetime as dt
import functools
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from made_certificates import Made, make, shared_key
from mlsssl import check_endpoint, check_many, endpoint
from mlsssl._fakes.computer import LOCAL_MACHINE, Entry
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._machine.ports import TrustProblem
from mlsssl._select import ports
from mlsssl._windows import trust
from mlsssl._windows.dlls import SystemDlls
from mlsssl.authority import CertificateAuthority
from mlsssl.certificate import Certificate
from mlsssl.errors import InvalidInputError, NativeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl._windows.dlls import Dlls
    from mlsssl.values import Purpose

ROOT = make("root", authority=True, key=shared_key(1))
MIDDLE = make("middle", issuer=ROOT, authority=True, key=shared_key(2))
LEAF = make("one.example", issuer=MIDDLE, key=shared_key(3))
NOW = dt.datetime.now(dt.timezone.utc)
LATER = NOW + dt.timedelta(days=365)


@pytest.fixture(params=["fakes", "real"])
def dlls(request: pytest.FixtureRequest) -> Iterator[Dlls]:
    if request.param == "real":
        if sys.platform != "win32":
            pytest.skip("this is not Windows")
        yield SystemDlls()
        return
    fakes = FakeDlls()
    yield fakes
    assert fakes.calls.leaks == {}


def names(
    dlls: Dlls,
    leaf: Made = LEAF,
    others: tuple[Made, ...] = (MIDDLE,),
    host: str | None = "one.example",
    at: dt.datetime = NOW,
    roots: tuple[Made, ...] | None = (ROOT,),
) -> set[tuple[str, int]]:
    """What is wrong: names and positions."""
    given = None if roots is None else [root.der for root in roots]
    found = trust.verify(dlls, leaf.der, [other.der for other in others], host, at, roots=given)
    assert all(item.text and item.certificate for item in found)
    return {(item.name, item.position) for item in found}


def test_a_good_chain_has_no_problems(dlls: Dlls) -> None:
    """Given the root, the intermediate and the right name."""
    assert names(dlls) == set()
    assert names(dlls, host=None) == set()
    assert names(dlls, host="10.0.0.5") == set()  # an address is not asked about


def test_a_wrong_name_is_a_problem_of_the_leaf(dlls: Dlls) -> None:
    """The one thing that only the TLS policy says."""
    assert names(dlls, host="other.example") == {("CERT_E_CN_NO_MATCH", 0)}


def test_every_problem_is_found_not_the_first(dlls: Dlls) -> None:
    """Expired leaf and authorities, an unknown root and a wrong name, all at once."""
    found = names(dlls, host="other.example", at=LATER, roots=None, others=(MIDDLE, ROOT))
    expired = {("CERT_TRUST_IS_NOT_TIME_VALID", position) for position in range(3)}
    assert found == expired | {("CERT_TRUST_IS_UNTRUSTED_ROOT", 2), ("CERT_E_CN_NO_MATCH", 0)}


def test_a_missing_intermediate_is_a_partial_chain(dlls: Dlls) -> None:
    """Said of the certificate whose issuer is missing."""
    assert names(dlls, others=()) == {("CERT_TRUST_IS_PARTIAL_CHAIN", 0)}


def test_another_root_of_the_same_name_is_no_root(dlls: Dlls) -> None:
    """The name alone is nobody's proof."""
    impostor = make("root", authority=True, key=shared_key(9))
    assert any(position > 0 for _, position in names(dlls, roots=(impostor,)))


def test_a_client_certificate_does_not_serve(dlls: Dlls) -> None:
    """Its extended key usage is another."""
    client = make("one.example", issuer=MIDDLE, key=shared_key(4), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    assert ("CERT_TRUST_IS_NOT_VALID_FOR_USAGE", 0) in names(dlls, leaf=client)


def test_what_the_computer_trusts_is_trusted() -> None:
    """Without roots of one's own: LocalMachine's Root store (fakes only; nobody's real trust is touched)."""
    fakes = FakeDlls()
    assert names(fakes, roots=None, others=(MIDDLE, ROOT)) == {("CERT_TRUST_IS_UNTRUSTED_ROOT", 2)}
    fakes.computer.stores[LOCAL_MACHINE, "root"].entries.append(Entry(ROOT.der))
    assert names(fakes, roots=None) == set()
    assert fakes.calls.leaks == {}


def test_the_trusted_roots_are_listed_without_the_distrusted() -> None:
    """One root, one of them distrusted on purpose; a computer without the second store has the first."""
    fakes = FakeDlls()
    other = make("other root", authority=True, key=shared_key(8))
    fakes.computer.stores[LOCAL_MACHINE, "root"].entries += [Entry(ROOT.der), Entry(other.der)]
    fakes.computer.stores[LOCAL_MACHINE, "disallowed"].entries.append(Entry(other.der))
    assert trust.roots(fakes) == [ROOT.der]
    del fakes.computer.stores[LOCAL_MACHINE, "disallowed"]
    assert trust.roots(fakes) == [ROOT.der, other.der]
    assert fakes.calls.leaks == {}


@pytest.mark.skipif(sys.platform != "win32", reason="this is not Windows")
def test_this_windows_lists_roots_that_can_be_read() -> None:
    """Wine takes them from the bundle of the system around it."""
    found = ports.system_roots()
    assert len(found) > 10
    assert all(root[0] == 0x30 for root in found)


def test_an_unknown_bit_is_told_and_not_lost() -> None:
    """A Windows newer than the table: the bit itself is the name."""
    found = list(trust._problems(0x40000001, 0, b"x"))
    assert [item.code for item in found] == [0x1, 0x40000000]
    assert found[1].name == "CERT_TRUST_BIT_40000000"


def test_each_call_failing_in_turn_leaves_nothing_open() -> None:
    """An error names the call; a chain that could not be judged is never a good one."""
    fakes = FakeDlls()
    names(fakes)
    for number, function in enumerate(fakes.calls.names):
        failing = FakeDlls()
        failing.calls.faults = {number: 14}
        if function in ("CertFreeCertificateContext", "CertFreeCertificateChain", "CertFreeCertificateChainEngine"):
            continue  # they have no way to fail
        with pytest.raises(NativeError) as caught:
            names(failing)
        assert caught.value.function == function
        assert failing.calls.leaks == {}


def test_a_check_against_the_system_asks_its_chain_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificate.check turns each problem into a finding, under the same silence as all others."""
    fakes = FakeDlls()
    monkeypatch.setattr(ports, "system_judge", lambda: functools.partial(trust.verify, fakes))
    certificate = Certificate.from_pem(LEAF.pem + MIDDLE.pem + ROOT.pem)
    report = certificate.check("one.example", key_expected=False)
    assert "windows-cert-trust-is-untrusted-root" in report.codes
    assert not report
    assert not report.trusted
    silenced = certificate.check(
        "one.example", key_expected=False, silence={"windows-cert-trust-is-untrusted-root": "a root of our own"}
    )
    assert "windows-cert-trust-is-untrusted-root" not in silenced.codes
    fakes.computer.stores[LOCAL_MACHINE, "root"].entries.append(Entry(ROOT.der))
    report = certificate.check("one.example", key_expected=False)
    assert report.trusted
    assert report.errors == ()
    assert not certificate.check("other.example", key_expected=False)
    with pytest.raises(InvalidInputError, match="aware"):
        certificate.check(at=dt.datetime(2026, 1, 1))  # noqa: DTZ001
    assert fakes.calls.leaks == {}


def test_a_clients_certificate_is_judged_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows is asked for the usage clientAuth; a server's certificate is refused for it, and the other way round."""
    fakes = FakeDlls()
    fakes.computer.stores[LOCAL_MACHINE, "root"].entries.append(Entry(ROOT.der))
    monkeypatch.setattr(ports, "system_judge", lambda: functools.partial(trust.verify, fakes))
    client = make("client", issuer=MIDDLE, key=shared_key(4), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    certificate = Certificate.from_pem(client.pem + MIDDLE.pem)
    report = certificate.check(purpose="client", key_expected=False)
    assert (report.errors, report.trusted) == ((), True)
    wrong = "windows-cert-trust-is-not-valid-for-usage"
    assert {wrong, "eku-server-auth-missing"} <= set(certificate.check(key_expected=False).codes)
    server = Certificate.from_pem(LEAF.pem + MIDDLE.pem)
    assert {wrong, "eku-client-auth-missing"} <= set(server.check(purpose="client", key_expected=False).codes)
    assert fakes.calls.leaks == {}


def test_the_system_and_roots_of_ones_own_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Windows trusts is settled; what it does not is judged with the roots given."""
    fakes = FakeDlls()
    monkeypatch.setattr(ports, "system_judge", lambda: functools.partial(trust.verify, fakes))
    monkeypatch.setattr(ports, "system_roots", lambda: trust.roots(fakes))
    certificate = Certificate.from_pem(LEAF.pem + MIDDLE.pem + ROOT.pem)
    root = Certificate.from_der(ROOT.der)
    stranger = CertificateAuthority.create("Stranger", key="ec-p256")
    assert not certificate.check("one.example", trust=["system"], key_expected=False)
    assert certificate.check("one.example", trust=["system", root], key_expected=False).trusted
    assert not certificate.check("one.example", trust=["system", stranger], key_expected=False)
    fakes.computer.stores[LOCAL_MACHINE, "root"].entries.append(Entry(ROOT.der))
    assert certificate.check("one.example", trust=["system", stranger], key_expected=False).trusted


def _judge_saying(*codes: int, asked: list[tuple[bytes, ...]] | None = None) -> object:
    """A chain engine that holds these against the leaf."""

    def judge(
        leaf: bytes, others: list[bytes], host: str | None, at: dt.datetime, purpose: Purpose
    ) -> tuple[TrustProblem, ...]:
        del host, at, purpose
        if asked is not None:
            asked.append(tuple(others))
        named = (trust.STATUS.get(code, (f"CODE_{code:X}", "is refused")) for code in codes)
        return tuple(
            TrustProblem(code=code, name=name, position=0, certificate=leaf, text=text)
            for code, (name, text) in zip(codes, named, strict=True)
        )

    return judge


PATH_ENDED = {0x20, 0x10000, 0x800B0109, 0x800B010A}
POLICY = (0x800B0109, 0x800B010A, 0x800B010F, 0x800B0110, 0x80096004, 0x80096019, 0x800B0101, 0x40000000)


@pytest.mark.parametrize("code", [*trust.STATUS, *POLICY], ids=hex)
def test_roots_of_ones_own_answer_only_that_windows_knows_no_way(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Distrust, revocation, weak signatures and all the rest stand, alone and beside an unknown root."""
    root = Certificate.from_der(ROOT.der)
    certificate = Certificate.from_pem(LEAF.pem + MIDDLE.pem)
    for said in ((code,), (code, 0x20)):
        monkeypatch.setattr(ports, "system_judge", lambda said=said: _judge_saying(*said))
        report = certificate.check("one.example", trust=["system", root], key_expected=False)
        assert (report.trusted, bool(report)) == (code in PATH_ENDED,) * 2, report.codes
        told = [finding for finding in report.findings if f"{code:#x})" in finding.found]
        assert len(told) == (code not in PATH_ENDED)


@pytest.mark.parametrize("code", sorted(PATH_ENDED), ids=hex)
def test_where_windows_knows_no_way_only_the_roots_given_are_one(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Not those of the store Root, which Windows' engine has just passed over; the twin gives the right root."""
    stranger = CertificateAuthority.create("Stranger", key="ec-p256")
    certificate = Certificate.from_pem(LEAF.pem + MIDDLE.pem)
    monkeypatch.setattr(ports, "system_judge", lambda: _judge_saying(code))
    monkeypatch.setattr(ports, "system_roots", lambda: [ROOT.der])
    report = certificate.check("one.example", trust=["system", stranger], key_expected=False)
    assert not report.trusted
    assert report.codes == ("issuer-not-found",)
    root = Certificate.from_der(ROOT.der)
    assert certificate.check("one.example", trust=["system", stranger, root], key_expected=False).trusted


def test_windows_sees_the_roots_given_and_may_distrust_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A root in Disallowed that the server does not send is looked at all the same."""
    asked: list[tuple[bytes, ...]] = []
    monkeypatch.setattr(ports, "system_judge", lambda: _judge_saying(0x20, asked=asked))
    certificate = Certificate.from_pem(LEAF.pem + MIDDLE.pem)
    assert certificate.check("one.example", trust=["system", Certificate.from_der(ROOT.der)], key_expected=False)
    certificate.check("one.example", trust="system", key_expected=False)
    assert asked == [(MIDDLE.der, ROOT.der), (MIDDLE.der,)]


def distrusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Windows whose roots have ROOT, and whose engine nevertheless holds something against its certificates."""
    fakes = FakeDlls()
    fakes.computer.stores[LOCAL_MACHINE, "root"].entries.append(Entry(ROOT.der))

    def judge(leaf: bytes, *_rest: object) -> tuple[TrustProblem, ...]:
        name, text = trust.STATUS[0x4000000]
        return (TrustProblem(code=0x4000000, name=name, position=0, certificate=leaf, text=text),)

    monkeypatch.setattr(ports, "system_judge", lambda: judge)
    monkeypatch.setattr(ports, "system_roots", lambda: trust.roots(fakes))


def test_many_certificates_are_judged_by_the_chain_engine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one; a list of Windows' roots would know nothing of what Windows distrusts on purpose."""
    certificate = Certificate.from_pem(LEAF.pem + MIDDLE.pem)
    distrusting(monkeypatch)
    for asked in ("system", ["system"]):
        (report,) = check_many([(certificate, "one.example")], trust=asked, workers=1)  # type: ignore[arg-type]
        assert report.codes == ("windows-cert-trust-is-explicit-distrust",)
        assert not report.trusted
        assert report == certificate.check("one.example", trust=asked, key_expected=False, at=report.at)  # type: ignore[arg-type]
    monkeypatch.setattr(ports, "system_judge", lambda: lambda *_: ())
    (report,) = check_many([(certificate, "one.example")], workers=1)
    assert report.trusted
    assert report.ok


def test_a_live_server_is_judged_by_the_chain_engine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it sent, and under the name that was asked for."""
    taken = endpoint._Taken(
        certificates=[LEAF.der, MIDDLE.der], address="127.0.0.1", protocol="TLSv1.3", cipher="TLS_AES_128_GCM_SHA256"
    )
    monkeypatch.setattr(endpoint, "_shake_hands", lambda *_: taken)
    distrusting(monkeypatch)
    report = check_endpoint("one.example:443").report
    assert report.codes == ("windows-cert-trust-is-explicit-distrust",)
    assert not report.trusted
    fakes = FakeDlls()
    monkeypatch.setattr(ports, "system_judge", lambda: functools.partial(trust.verify, fakes))
    assert check_endpoint("one.example:443").report.codes == ("windows-cert-trust-is-partial-chain",)
    fakes.computer.stores[LOCAL_MACHINE, "root"].entries.append(Entry(ROOT.der))
    assert check_endpoint("one.example:443").ok
    assert fakes.calls.leaks == {}


def test_revocation_lists_count_where_windows_judges_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its engine is not asked about revocation; the lists given are looked up all the same."""
    fakes = FakeDlls()
    monkeypatch.setattr(ports, "system_judge", lambda: functools.partial(trust.verify, fakes))
    monkeypatch.setattr(ports, "system_roots", lambda: trust.roots(fakes))
    ca = CertificateAuthority.create("Lists and Windows", key="ec-p256")
    fakes.computer.stores[LOCAL_MACHINE, "root"].entries.append(Entry(ca.certificate.to_der()))
    leaf = ca.issue("one.example").with_chain([])
    assert leaf.check("one.example", crls=[ca.crl()]).findings == ()
    assert leaf.check("one.example", crls=[ca.crl([leaf])]).codes == ("revoked",)
    assert leaf.check("one.example", revocation="hard").codes == ("crl-not-found",)


@pytest.mark.skipif(sys.platform != "win32", reason="this is not Windows")
def test_this_windows_does_not_trust_a_root_made_here() -> None:
    """The whole way, from the public method to the system's own engine."""
    report = Certificate.from_pem(LEAF.pem + MIDDLE.pem + ROOT.pem).check("one.example", key_expected=False)
    assert "windows-cert-trust-is-untrusted-root" in report.codes
    assert not report.trusted
