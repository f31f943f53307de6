"""renew, renew_due and cleanup: the same names for ever, and nothing left behind."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from mlsssl import (
    AccessDeniedError,
    Binding,
    BindingError,
    BindingNotFoundError,
    BindingOptions,
    Certificate,
    CertificateAuthority,
    EmbeddedMachine,
    InvalidInputError,
    MalformedDataError,
    Severity,
    StoreNotFoundError,
    Thumbprint,
    ValidationError,
    cleanup,
    deploy,
    renew,
    renew_due,
)
from mlsssl._changes.superseded_file import Superseded, SupersededFile
from mlsssl._formats import pem
from mlsssl._formats.subjects import parse_subject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "0.0.0.0:443"
STRANGE = BindingOptions(http2=False, unknown_flags=0x4000_0000, unknown_check_modes=0x20)
DAY = dt.timedelta(days=1)


def now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


@pytest.fixture(name="ca", scope="module")
def _ca() -> CertificateAuthority:
    return CertificateAuthority.create("Renewal tests", key="ec-p256")


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Iterator[EmbeddedMachine]:
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        yield machine


def bound(machine: EmbeddedMachine, key: str = KEY) -> Certificate:
    """The certificate that is bound."""
    found = Binding.get(key, machine=machine).certificate
    assert found is not None
    return found


# -- renew ----------------------------------------------------------------------------------------------------------


def test_renew_keeps_everything_but_the_key(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Names, subject, key type, lifetime, friendly name, store, owner and options, unknown bits too."""
    old = ca.issue("a.test", "*.a.test", "10.0.0.5", days=30, common_name="a.test")
    owner = uuid.uuid4()
    with machine.store("WebHosting", create=True):
        deploy(KEY, old, machine=machine, store="WebHosting", app_id=owner, options=STRANGE, friendly_name="Maps")
    outcome = renew(KEY, ca, machine=machine)
    new = bound(machine)
    assert outcome.changed
    assert new != old
    assert new.names == old.names
    assert new.subject == old.subject
    assert new.key_type == old.key_type
    assert abs((new.not_after - new.not_before) - (old.not_after - old.not_before)) <= DAY
    assert new.to_cryptography().public_key() != old.to_cryptography().public_key()
    after = Binding.get(KEY, machine=machine)
    assert (after.store_name, after.app_id, after.options) == ("WebHosting", owner, STRANGE)
    with machine.store("WebHosting") as store:
        assert store[new.thumbprint].friendly_name == "Maps"
        assert store[old.thumbprint].renewed_by == new.thumbprint
        assert store[new.thumbprint].renewed_by is None
        assert store[old.thumbprint].has_private_key


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("C=DE, ST=Bayern, L=Fürth, O=Example, OU=IT, CN=a.test", None),
        ("CN=a.test; O=Example; OU=one; OU=two; E=it@a.test; DC=test", None),
        ("O=Example, CN=10.0.0.5", None),
        ("O=Example", None),
        ("O=Example, CN=My Server, C=DE", "O=Example, CN=a.test, C=DE"),
    ],
)
@pytest.mark.parametrize("due", [False, True])
def test_renew_keeps_the_subject(
    ca: CertificateAuthority, machine: EmbeddedMachine, line: str, kept: str | None, due: bool
) -> None:
    """Every field in its order; only a common name that is none of the names gives way to the first of them."""
    subject = parse_subject(line)
    common = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    old = ca.issue("a.test", "10.0.0.5", common_name="a.test" if common else "", subject=subject)
    if common:  # as another authority, or MakeCert, wrote it
        old = _with_subject(ca, old, subject)
    deploy(KEY, old, machine=machine)
    if due:
        (result,) = renew_due(ca, machine=machine, due_only=False)
        assert result.error is None
    else:
        renew(KEY, ca, machine=machine)
    assert bound(machine).thumbprint != old.thumbprint
    assert bound(machine).to_cryptography().subject == parse_subject(kept or line)


def test_an_address_that_none_may_have_is_not_kept(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """A certificate from elsewhere, or from before such an address was refused, is renewed all the same."""
    named = ca.with_crl_url("http://crl.test/a.crl").issue("a.test")
    odd = x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier("nonsense")], None, None, None)]
    )
    old = _with_subject(ca, named, named.to_cryptography().subject, odd)
    deploy(KEY, old, machine=machine)
    renew(KEY, ca, machine=machine)
    assert bound(machine).thumbprint != old.thumbprint
    assert pem.find_extension(bound(machine).to_cryptography(), x509.CRLDistributionPoints) is None


def _with_subject(
    ca: CertificateAuthority, old: Certificate, subject: x509.Name, points: x509.CRLDistributionPoints | None = None
) -> Certificate:
    """The same certificate with another subject, or another address of its list, signed by the same authority."""
    plain = old.to_cryptography()
    issuer = ca._certificate.private_key
    assert isinstance(issuer, ec.EllipticCurvePrivateKey)
    builder = x509.CertificateBuilder(
        plain.issuer, subject, plain.public_key(), 5, plain.not_valid_before_utc, plain.not_valid_after_utc
    )
    for extension in plain.extensions:
        value = points if points and isinstance(extension.value, x509.CRLDistributionPoints) else extension.value
        builder = builder.add_extension(value, extension.critical)
    return Certificate(builder.sign(issuer, hashes.SHA256()), private_key=old.private_key, chain=old.chain)


def test_renew_keeps_the_address_of_the_revocation_list(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """The authority is loaded from a file, which has none; one that names another wins; another authority's is not."""
    url = "http://crl.corp.test/ca.crl"

    def address() -> str | None:
        points = pem.find_extension(bound(machine).to_cryptography(), x509.CRLDistributionPoints)
        return None if points is None else str((points[0].full_name or [])[0].value)

    deploy(KEY, ca.with_crl_url(url).issue("a.test"), machine=machine)
    renew(KEY, ca, machine=machine)
    assert address() == url
    renew(KEY, ca.with_crl_url(url + "2"), machine=machine)
    assert address() == url + "2"
    renew(KEY, CertificateAuthority.create("Another", key="ec-p256"), machine=machine)
    assert address() is None


def test_a_renewal_drops_a_common_name_that_openssl_would_refuse(machine: EmbeddedMachine) -> None:
    """An address in it, below an authority with DNS constraints, from before; other common names are kept."""
    ca = CertificateAuthority.create("Constrained", key="ec-p256", permitted=["corp.test", "10.0.0.0/8"])
    for hosts, expected in ((("10.0.0.5",), None), (("a.corp.test", "10.0.0.5"), "a.corp.test")):
        old = CertificateAuthority.create("Free", key="ec-p256").issue(*hosts)
        assert old.common_name == hosts[0]
        deploy(KEY, old, machine=machine)
        renew(KEY, ca, machine=machine)
        assert (bound(machine).names, bound(machine).common_name) == (hosts, expected)


def test_undoing_a_renewal_brings_the_old_certificate_back(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Binding and mark; the new certificate is gone."""
    old = ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    outcome = renew(KEY, ca, machine=machine)
    new = bound(machine)
    outcome.undo()
    assert bound(machine) == old
    with machine.store() as store:
        assert store[old.thumbprint].renewed_by is None
        assert new.thumbprint not in store


def test_renew_from_a_certificate_or_a_function(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Both are taken as they are; the function is given the old certificate, and its errors are its own."""
    old, given = ca.issue("a.test"), ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    assert renew(KEY, given, machine=machine).changed
    assert bound(machine) == given
    assert not renew(KEY, given, machine=machine).changed
    seen = []

    def source(certificate: Certificate) -> Certificate:
        seen.append(certificate)
        return ca.issue(*certificate.hosts)

    assert renew(KEY, source, machine=machine).changed
    assert seen == [given]

    def broken(_: Certificate) -> Certificate:
        raise ZeroDivisionError

    before = bound(machine)
    with pytest.raises(ZeroDivisionError):
        renew(KEY, broken, machine=machine)
    with pytest.raises(InvalidInputError, match="returned str"):
        renew(KEY, lambda _: "x", machine=machine)  # type: ignore[arg-type, return-value]
    with pytest.raises(InvalidInputError, match="is an authority"):
        renew(KEY, "ca.pfx", machine=machine)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="for an authority"):
        renew(KEY, given, machine=machine, key_type="ec-p256")
    assert bound(machine) == before


def test_a_renewal_that_loses_a_name_is_refused(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """One name less is an error; a wildcard that covers it is none."""
    deploy(KEY, ca.issue("a.test", "www.a.test"), machine=machine)
    with pytest.raises(ValidationError, match=r"names-lost.*www\.a\.test"):
        renew(KEY, ca.issue("a.test"), machine=machine)
    assert renew(KEY, ca.issue("a.test", "*.a.test"), machine=machine).changed


def test_renew_with_the_same_key_needs_one_that_may_leave(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """An exportable key is certified again and stays exportable; another one is refused."""
    old = ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    with pytest.raises(AccessDeniedError):
        renew(KEY, ca, machine=machine, reuse_key=True)
    deploy(KEY, ca.issue("a.test"), machine=machine, exportable=True)
    old = bound(machine)
    renew(KEY, ca, machine=machine, reuse_key=True)
    new = bound(machine)
    assert new != old
    assert new.to_cryptography().public_key() == old.to_cryptography().public_key()
    with machine.store() as store:
        assert store.export(new.thumbprint).has_private_key


@pytest.mark.parametrize(("provider", "kind"), [("csp", "Cryptographic Provider"), ("cng", "Key Storage Provider")])
def test_renew_keeps_the_kind_of_key_storage(
    provider: str, kind: str, ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """A program that can read one kind only goes on reading."""
    deploy(KEY, ca.issue("a.test", key="rsa-2048"), machine=machine, provider=provider)  # type: ignore[arg-type]
    renew(KEY, ca, machine=machine)
    key = machine.store()[bound(machine).thumbprint].key
    assert key is not None
    assert key.provider.endswith(kind)


def test_renew_needs_a_binding_and_its_certificate(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Nothing bound, or a certificate that is gone: nobody knows the names, and the message says to deploy."""
    with pytest.raises(BindingNotFoundError):
        renew(KEY, ca, machine=machine)
    old = ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    machine.store().remove(old.thumbprint)
    with pytest.raises(StoreNotFoundError, match="deploy"):
        renew(KEY, ca, machine=machine)


def test_a_planned_renewal_does_nothing_until_it_is_applied(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """The plan shows the new certificate and holds it; apply binds that very one, and cleanup knows the grace."""
    old = ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    plan = renew.plan(KEY, ca, machine=machine, grace=3 * DAY)
    assert [step.action for step in plan.steps] == ["add-certificate", "update", "mark-renewed"]
    assert [name for name, _, _ in plan.diff] == ["thumbprint"]
    assert (plan.ok, plan.owner_is_new) == (True, False)
    assert bound(machine) == old
    assert len(machine.store()) == 1
    outcome = plan.apply()
    assert outcome.verb == "renew"
    assert outcome.after == plan.after
    assert bound(machine).hosts == old.hosts
    assert machine.store()[old.thumbprint].renewed_by == bound(machine).thumbprint
    assert cleanup(machine=machine, at=now() + 2 * DAY).removed == ()
    assert [one.thumbprint for one in cleanup(machine=machine, at=now() + 4 * DAY).removed] == [old.thumbprint]


def test_a_planned_renewal_that_the_machine_has_outrun_is_refused(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """Another certificate in between, a certificate for other names: nothing is done, nor noted for cleanup."""
    old = ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    plan = renew.plan(KEY, ca, machine=machine)
    wrong = renew.plan(KEY, ca.issue("b.test"), machine=machine)
    assert "names-lost" in [finding.code for finding in wrong.findings]
    with pytest.raises(ValidationError, match="names-lost"):
        wrong.apply()
    assert not (machine.state_folder / "superseded.jsonl").exists()
    other = ca.issue("a.test")
    deploy(KEY, other, machine=machine)
    with pytest.raises(BindingError, match="was changed"):
        plan.apply()
    assert bound(machine) == other
    with pytest.raises(BindingNotFoundError):
        renew.plan("[::]:443", ca, machine=machine)


def test_renew_notices_a_binding_that_changed_while_the_certificate_was_made(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """The slow part runs without a lock, so it is checked afterwards that the binding is still that one."""
    deploy(KEY, ca.issue("a.test"), machine=machine)

    def source(certificate: Certificate) -> Certificate:
        deploy(KEY, ca.issue("a.test"), machine=machine)
        return ca.issue(*certificate.hosts)

    with pytest.raises(BindingError, match="changed while"):
        renew(KEY, source, machine=machine)


# -- when -----------------------------------------------------------------------------------------------------------


@given(fraction=st.floats(0.05, 1), jitter=st.floats(0, 0.05), days=st.integers(1, 4000))
def test_the_renewal_time_is_inside_its_window(fraction: float, jitter: float, days: int) -> None:
    """Never after the fraction, never earlier than the jitter allows; the same every time."""
    certificate = _PAIR[0]
    start, lifetime = certificate.not_before, certificate.not_after - certificate.not_before
    moment = certificate.renewal_time(fraction, jitter=jitter)
    assert start + lifetime * (fraction - jitter) - dt.timedelta(seconds=1) <= moment <= start + lifetime * fraction
    assert moment == certificate.renewal_time(fraction, jitter=jitter)
    assert certificate.renewal_due(fraction, at=moment, jitter=jitter)
    assert not certificate.renewal_due(fraction, at=moment - dt.timedelta(seconds=1), jitter=jitter)
    assert certificate.renewal_due(fraction, at=moment + days * DAY, jitter=jitter)


_AUTHORITY = CertificateAuthority.create("Jitter", key="ec-p256")
_PAIR = tuple(_AUTHORITY.issue("a.test") for _ in range(8))


def test_the_jitter_is_each_certificates_own() -> None:
    """Certificates issued together are not renewed together; without jitter they are."""
    assert len({one.renewal_time() for one in _PAIR}) > 1
    assert len({one.renewal_time(jitter=0) for one in _PAIR}) <= 2  # the second may have turned in between


@pytest.mark.parametrize(("fraction", "jitter"), [(0, 0), (1.1, 0), (0.5, 0.6), (0.5, -0.1), (float("nan"), 0)])
def test_shares_out_of_range_are_refused(fraction: float, jitter: float) -> None:
    """And a naive moment is."""
    with pytest.raises(InvalidInputError):
        _PAIR[0].renewal_time(fraction, jitter=jitter)
    with pytest.raises(InvalidInputError, match="aware"):
        _PAIR[0].renewal_due(at=dt.datetime(2026, 1, 1))  # noqa: DTZ001 - the point


# -- all that are due -----------------------------------------------------------------------------------------------


def test_renew_due_does_what_is_due_and_no_more(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Its own due certificates only; two bindings of one certificate share the new one."""
    other = CertificateAuthority.create("Another", key="ec-p256")
    shared, young, theirs = ca.issue("a.test", days=10), ca.issue("b.test", days=100), other.issue("c.test", days=10)
    for key, certificate in ((KEY, shared), ("[::]:443", shared), ("b.test:443", young), ("c.test:443", theirs)):
        deploy(key, certificate, machine=machine)
    assert all(one.skipped for one in renew_due(ca, machine=machine))
    later = now() + 8 * DAY
    results = {str(one.key): one for one in renew_due(ca, machine=machine, at=later)}
    assert {key for key, one in results.items() if one.outcome is not None} == {KEY, "[::]:443"}
    assert "not due" in (results["b.test:443"].skipped or "")
    assert "Another" in (results["c.test:443"].skipped or "")
    assert [one.severity for one in results["c.test:443"].findings] == [Severity.WARNING]
    assert bound(machine) == bound(machine, "[::]:443") != shared
    assert json.dumps([one.to_dict() for one in results.values()])
    again = renew_due(ca, machine=machine, at=later)
    assert all(one.outcome is None for one in again)
    forced = renew_due(ca, machine=machine, only=["c.test:443"], due_only=False, any_issuer=True)
    assert forced[0].outcome is not None
    assert bound(machine, "c.test:443").issuer == ca.certificate.subject


def test_renew_due_says_what_it_would_do(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """With `dry_run` the machine is as before, and a plan can be applied; two bindings still share one certificate."""
    shared = ca.issue("a.test", days=10)
    for key in (KEY, "[::]:443"):
        deploy(key, shared, machine=machine)
    later = now() + 9 * DAY
    with machine.port.lock("renew", timeout=0):  # who only looks waits for nobody
        results = renew_due(ca, machine=machine, at=later, dry_run=True)
    assert [(one.outcome, one.plan is not None and one.plan.ok) for one in results] == [(None, True), (None, True)]
    assert json.loads(json.dumps([one.to_dict() for one in results]))[0]["result"] == "planned"
    assert bound(machine) == shared
    assert len(machine.store()) == 1
    first, second = (one.plan for one in results)
    assert first is not None
    assert second is not None
    first.apply()
    assert bound(machine) != bound(machine, "[::]:443") == shared
    assert second.after is not None
    assert second.after.thumbprint == bound(machine).thumbprint
    with pytest.raises(BindingError, match="plan again"):  # the certificate is in the store already
        second.apply()


def test_renew_due_goes_on_after_a_failure(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """A binding whose certificate is gone fails, the other one is renewed."""
    gone, fine = ca.issue("a.test"), ca.issue("b.test")
    deploy("a.test:443", gone, machine=machine)
    deploy("b.test:443", fine, machine=machine)
    machine.store().remove(gone.thumbprint)
    results = {str(one.key): one for one in renew_due(ca, machine=machine, due_only=False)}
    assert isinstance(results["a.test:443"].error, StoreNotFoundError)
    assert results["b.test:443"].outcome is not None


def test_renew_due_runs_once_at_a_time(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """The second one says who runs, and does nothing."""
    deploy(KEY, ca.issue("a.test"), machine=machine)
    with machine.port.lock("renew", timeout=0), pytest.raises(BindingError, match="process"):
        renew_due(ca, machine=machine)


def test_many_renewals_at_once_are_each_whole(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Four threads renew one binding: each succeeds or says that somebody was faster, and nothing is orphaned."""
    deploy(KEY, ca.issue("a.test"), machine=machine)
    wins: list[Thumbprint] = []

    def work() -> None:
        for _ in range(5):
            try:
                outcome = renew(KEY, ca, machine=machine)
            except BindingError:
                continue
            assert outcome.after is not None
            assert outcome.after.thumbprint is not None
            wins.append(outcome.after.thumbprint)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bound(machine).thumbprint in wins
    with machine.store() as store:
        assert {entry.thumbprint for entry in store} >= set(wins)
        assert all(entry.has_private_key for entry in store)
        assert len(store) == len(wins) + 1


# -- cleanup --------------------------------------------------------------------------------------------------------


def test_cleanup_waits_for_the_grace_and_takes_the_key_too(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Not a day before; afterwards certificate and key are gone, and the bound one is not."""
    old = ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    renew(KEY, ca, machine=machine, grace=10 * DAY)
    early = cleanup(machine=machine, at=now() + 9 * DAY)
    assert early.removed == ()
    assert [one.reason.split()[1] for one in early.kept] == ["grace"]
    dry = cleanup(machine=machine, at=now() + 11 * DAY, dry_run=True)
    assert [one.thumbprint for one in dry.removed] == [old.thumbprint]
    with machine.store() as store:
        assert old.thumbprint in store
        done = cleanup(machine=machine, at=now() + 11 * DAY)
        assert [one.thumbprint for one in done.removed] == [old.thumbprint]
        assert [one.thumbprint for one in store] == [bound(machine).thumbprint]
    assert machine.recover() == []
    assert json.loads(done.to_json())["removed"][0]["thumbprint"] == str(old.thumbprint)
    assert str(cleanup(machine=machine, grace=dt.timedelta(0))) == "no certificate was superseded"


def test_cleanup_never_takes_what_a_binding_of_any_family_uses(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """The old certificate is bound to another key still: it stays, whatever the grace."""
    old = ca.issue("a.test")
    deploy("a.test:443", old, machine=machine)
    deploy(KEY, old, machine=machine)
    renew(KEY, ca, machine=machine, grace=dt.timedelta(0))
    kept = cleanup(machine=machine, grace=dt.timedelta(0))
    assert kept.removed == ()
    assert kept.kept[0].reason == "bound to a.test:443"
    renew("a.test:443", ca, machine=machine)
    assert len(cleanup(machine=machine, grace=dt.timedelta(0)).removed) == 1


def test_cleanup_keeps_the_old_while_the_new_one_is_not_usable(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """The newer certificate was removed by hand: the old one may be all there is."""
    deploy(KEY, ca.issue("a.test"), machine=machine)
    renew(KEY, ca, machine=machine)
    machine.store().remove(bound(machine).thumbprint)
    kept = cleanup(machine=machine, grace=dt.timedelta(0))
    assert kept.removed == ()
    assert "not there" in kept.kept[0].reason


def test_cleanup_takes_a_whole_line_of_superseded_ones(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """One that was replaced by one that goes too goes with it, whichever of them a listing has first."""
    deploy(KEY, ca.issue("www.example.com"), machine=machine)
    for _ in range(6):
        renew(KEY, ca, machine=machine)
    assert len(cleanup(machine=machine, grace=dt.timedelta(0)).removed) == 6
    assert [entry.thumbprint for entry in machine.store()] == [bound(machine).thumbprint]


def test_cleanup_leaves_alone_what_nobody_has_renewed(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Unbound is not superseded: somebody may be about to bind it."""
    machine.store().add(ca.issue("a.test"))
    assert cleanup(machine=machine, grace=dt.timedelta(0)).removed == ()
    assert len(machine.store()) == 1


def test_cleanup_without_its_notes_counts_from_the_newer_certificate(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """Marks made by others (Windows' own tools) have no note; a damaged note is said, and stops no renewal."""
    old = ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    renew(KEY, ca, machine=machine, grace=dt.timedelta(0))
    notes = machine.state_folder / "superseded.jsonl"
    former = machine.state_folder / "superseded.json"
    for path, damaged in ((notes, b'{"store": 1}\n'), (former, b'[{"store": 1}]')):
        path.touch(0o600)
        path.write_bytes(damaged)
        with pytest.raises(MalformedDataError, match=rf"{path.name} is damaged"):
            cleanup(machine=machine)
        path.unlink()
    assert cleanup(machine=machine, at=now() + 29 * DAY).removed == ()
    assert [one.thumbprint for one in cleanup(machine=machine, at=now() + 31 * DAY).removed] == [old.thumbprint]
    notes.touch(0o600)
    notes.write_bytes(b"[")
    assert renew(KEY, ca, machine=machine).changed


def test_notes_of_an_earlier_version_count_and_a_line_that_was_cut_off_does_not(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """They were one array in a file of another name; a full disk cuts a line off, and the next one follows it."""
    old = [deploy(KEY, ca.issue("a.test"), machine=machine).after.thumbprint]
    old.append(renew(KEY, ca, machine=machine, grace=dt.timedelta(0)).after.thumbprint)
    notes = machine.state_folder / "superseded.jsonl"
    former = machine.state_folder / "superseded.json"
    former.touch(0o600)
    former.write_bytes(b"[" + notes.read_bytes() + b"]")
    notes.write_bytes(b'{"store": "MY", "thumb')
    renew(KEY, ca, machine=machine, grace=dt.timedelta(0))
    assert len(notes.read_bytes().splitlines()) == 2
    assert {one.thumbprint for one in cleanup(machine=machine).removed} == set(old)
    assert not former.exists()
    assert notes.read_bytes() == b""


def test_a_note_that_was_cut_off_anywhere_is_passed_over(tmp_path: Path) -> None:
    """Also in the name of a store with a brace, which is how a whole line ends; the next one is whole again."""
    notes, path = SupersededFile(tmp_path), tmp_path / "superseded.jsonl"
    entry = Superseded(store="a}b", thumbprint=Thumbprint("ab" * 20), at=now(), grace=DAY)
    notes.add(entry)
    line = path.read_bytes()
    for length in range(len(line) - 1):
        path.write_bytes(line[:length])
        assert notes.read() == {}
        notes.add(entry)
        assert notes.read() == {entry.key: entry}


def test_an_archived_old_certificate_is_found_by_its_note(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Archived certificates are in no listing; they are taken out all the same."""
    old = ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    renew(KEY, ca, machine=machine)
    machine.store().set_archived(old.thumbprint)
    assert [one.thumbprint for one in cleanup(machine=machine, grace=dt.timedelta(0)).removed] == [old.thumbprint]


def test_naive_moments_and_negative_graces_are_refused(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Before anything is looked at."""
    with pytest.raises(InvalidInputError, match="aware"):
        cleanup(machine=machine, at=dt.datetime(2026, 1, 1))  # noqa: DTZ001 - the point
    with pytest.raises(InvalidInputError, match="grace"):
        cleanup(machine=machine, grace=-DAY)
    with pytest.raises(InvalidInputError, match="grace"):
        renew(KEY, ca, machine=machine, grace=-DAY)


def test_a_key_of_a_kind_that_is_not_made_is_told_with_what_to_give(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """The message is about the old key and the argument, not about a key type that nobody has given."""
    key = ec.derive_private_key(99, ec.SECP521R1())
    deploy("0.0.0.0:443", ca.issue("www.example.com", key=key), machine=machine, verify=False)
    with pytest.raises(InvalidInputError, match=r"the old key is ec-p521, and none .* choose with key_type one of"):
        renew("0.0.0.0:443", ca, machine=machine, verify=False)
    renew("0.0.0.0:443", ca, key_type="ec-p384", machine=machine, verify=False)
    assert "ec-p384" in {entry.certificate.key_type for entry in machine.store("MY")}
