"""An issuer elsewhere: what it is sent, what of its answer is taken, and what is kept while there is none."""

from __future__ import annotations

import datetime as dt
import json
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from issuing import AUTHORITY, REFUSED, DistantIssuer, TimedIssuer
from mlsssl import (
    AccessDeniedError,
    Binding,
    BindingError,
    BindingExistsError,
    BindingOptions,
    Certificate,
    CertificateAuthority,
    CertificateRequest,
    EmbeddedMachine,
    InvalidInputError,
    IssuePendingError,
    Issuer,
    IssuerError,
    RenewalTimes,
    Store,
    ValidationError,
    deploy,
    renew,
    renew_due,
)
from mlsssl._machine import files
from mlsssl.cli import EXIT_CODES
from mlsssl.hooks.files import PfxFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlsssl import Machine

KEY = "0.0.0.0:443"
OTHER = "127.0.0.1:8443"
DAY = dt.timedelta(days=1)
STRANGER = CertificateAuthority.create("Stranger", key="ec-p256")
AGED = CertificateAuthority.create("Distant CA", key="ec-p256", at=dt.datetime.now(dt.timezone.utc) - 400 * DAY)
NAMESAKE = CertificateAuthority.create("Distant CA", key="ec-p256")


pytestmark = pytest.mark.usefixtures("few_system_roots")


@pytest.fixture(name="machine")
def _machine(each_machine: Machine) -> Machine:
    return each_machine


@pytest.fixture(name="issuer")
def _issuer(tmp_path: Path) -> TimedIssuer:
    return TimedIssuer(tmp_path / "issuer")


def bound(machine: Machine, key: str = KEY) -> Certificate:
    """The certificate that is bound."""
    found = Binding.get(key, machine=machine).certificate
    assert found is not None
    return found


def kept(machine: Machine) -> list[Path]:
    """The requests in the state folder."""
    return sorted(machine.state_folder.glob("request-*.json"))


def old_one(*hosts: str, days: int = 90) -> Certificate:
    """A certificate of the issuer's with a key that is quickly made."""
    return AUTHORITY.issue(*(hosts or ("a.test", "www.a.test")), key="ec-p256", days=days)


# -- an authority of one's own ---------------------------------------------------------------------------------------


def test_an_authority_is_an_issuer() -> None:
    """Names and key of the request; the rest by the rules of a renewal, whatever the request asks for."""
    old = AUTHORITY.issue("a.test", "b.test", key="ec-p256", common_name="b.test", organization="Example", days=30)
    request = CertificateRequest.create(
        "a.test", "b.test", key="ec-p256", organization="Impostor", common_name="a.test"
    )
    assert isinstance(AUTHORITY, Issuer)
    assert not isinstance(AUTHORITY, RenewalTimes)
    new = AUTHORITY.issue(request, old=old)
    assert request.matches(new)
    assert not new.has_private_key
    assert (new.names, new.subject) == (old.names, old.subject)
    assert abs((new.not_after - new.not_before) - (old.not_after - old.not_before)) < DAY
    first = AUTHORITY.issue(request, old=None)
    assert (first.subject, first.names) == ("CN=a.test", old.names)
    assert AUTHORITY.issued(new)
    assert not CertificateAuthority.create("Another", key="ec-p256").issued(new)


def test_an_authority_refuses_what_no_renewal_gives() -> None:
    asks_to_issue = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = CertificateRequest.create("a.test", key="ec-p256")
    assert request.private_key is not None
    signed = asks_to_issue.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(
        x509.SubjectAlternativeName([x509.DNSName("a.test")]), critical=False
    )
    with pytest.raises(InvalidInputError, match="asks to be an authority"):
        AUTHORITY.issue(CertificateRequest(signed.sign(request.private_key, hashes.SHA256())), old=None)
    with pytest.raises(InvalidInputError, match="sign"):
        AUTHORITY.issue(request, days=5)  # type: ignore[call-overload]
    with pytest.raises(InvalidInputError, match="sign"):
        AUTHORITY.issue(request, request)  # type: ignore[call-overload]
    with pytest.raises(InvalidInputError, match="goes with a request"):
        AUTHORITY.issue("a.test", old=old_one())  # type: ignore[call-overload]


# -- renew -----------------------------------------------------------------------------------------------------------


def test_a_renewal_sends_a_request_and_keeps_what_a_renewal_keeps(machine: Machine, issuer: DistantIssuer) -> None:
    """The key is new and stays here; names, subject, key type and options are the old one's."""
    old = AUTHORITY.issue("a.test", "b.test", key="rsa-2048", common_name="b.test", organization="Example", days=90)
    deploy(KEY, old, machine=machine, options=BindingOptions(http2=False), friendly_name="Maps")
    outcome = renew(KEY, issuer, machine=machine)
    new = bound(machine)
    assert outcome.changed
    assert new != old
    assert (new.names, new.subject, new.key_type) == (old.names, old.subject, old.key_type)
    ((request, given),) = issuer.asked
    assert given == old
    assert request.matches(new)
    after = Binding.get(KEY, machine=machine)
    assert not after.options.http2
    entry = machine.store()[new.thumbprint]
    assert entry.has_private_key
    assert entry.friendly_name == "Maps"
    assert machine.store()[old.thumbprint].renewed_by == new.thumbprint
    assert kept(machine) == []
    renew(KEY, issuer, machine=machine)
    assert len(set(issuer.orders)) == 2


def test_a_key_type_may_be_chosen_and_nothing_else(machine: Machine, issuer: DistantIssuer) -> None:
    deploy(KEY, old_one(), machine=machine)
    with pytest.raises(InvalidInputError, match="Distant makes its own choice"):
        renew(KEY, issuer, machine=machine, days=5)
    with pytest.raises(InvalidInputError, match="Distant makes its own choice"):
        renew(KEY, issuer, machine=machine, reuse_key=True)
    assert issuer.asked == []
    renew(KEY, issuer, machine=machine, key_type="rsa-2048")
    assert bound(machine).key_type == "rsa-2048"


def test_without_an_answer_the_next_call_goes_on_with_the_same_request(machine: Machine, issuer: DistantIssuer) -> None:
    """One key, one order, however often it is asked; and nothing is changed meanwhile."""
    deploy(KEY, old_one(), machine=machine)
    before = bound(machine)
    issuer.waits = 2
    for _ in range(2):
        with pytest.raises(IssuePendingError, match="not approved"):
            renew(KEY, issuer, machine=machine)
        assert bound(machine) == before
        assert len(kept(machine)) == 1
    renew(KEY, issuer, machine=machine)
    assert len(issuer.asked) == 3
    assert len(issuer.orders) == 1
    assert issuer.asked[0][0].matches(bound(machine))
    assert kept(machine) == []


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files; access lists have tests of their own")
def test_what_is_kept_is_private_and_holds_no_key(issuer: DistantIssuer, tmp_path: Path) -> None:
    """The file names the key that the machine has; the key itself is in none."""
    issuer.waits = 1
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        deploy(KEY, old_one(), machine=machine)
        with pytest.raises(IssuePendingError):
            renew(KEY, issuer, machine=machine)
        (file,) = kept(machine)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        text = file.read_text()
        assert "PRIVATE KEY" not in text
        assert machine.port.request_keys.names() == [json.loads(text)["private_key"]]


def test_the_key_does_not_leave_the_machine(issuer: DistantIssuer, machine: Machine) -> None:
    """Nor does the new certificate give it away; the old one could be exported, the next one can be too then."""
    deploy(KEY, old_one(), machine=machine)
    outcome = renew(KEY, issuer, machine=machine)
    assert outcome.changed
    store = Store.open("MY", machine=machine)
    with pytest.raises(AccessDeniedError, match="may not leave"):
        store.export(bound(machine).thumbprint)
    assert machine.port.request_keys.names() == []
    deploy(KEY, old_one(), machine=machine, exportable=True)
    renew(KEY, issuer, machine=machine)
    assert store.export(bound(machine).thumbprint).has_private_key


def test_a_key_that_is_lost_is_made_anew(
    issuer: DistantIssuer, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody cleaned up the machine's keys: the order for it is of no use any more, and that is said."""
    deploy(KEY, old_one(), machine=machine)
    issuer.waits = 1
    with pytest.raises(IssuePendingError):
        renew(KEY, issuer, machine=machine)
    (name,) = machine.port.request_keys.names()
    machine.port.request_keys.release(name)
    renew(KEY, issuer, machine=machine)
    assert f"its private key {name} is not on this machine any more" in caplog.text
    assert len(issuer.orders) == 2
    assert machine.port.request_keys.names() == []
    assert machine.port.recover() == []


def test_a_file_that_was_deleted_leaves_no_key(
    issuer: DistantIssuer, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody cleaned up the folder. The next request on this machine sees to the key; but not to that of another."""
    deploy(KEY, old_one(), machine=machine)
    deploy(OTHER, old_one("b.test"), machine=machine)
    issuer.waits = 2
    with pytest.raises(IssuePendingError):
        renew(KEY, issuer, machine=machine)
    (lost,) = machine.port.request_keys.names()
    files.remove(kept(machine)[0])
    with pytest.raises(IssuePendingError):
        renew(OTHER, issuer, machine=machine)
    (waiting,) = machine.port.request_keys.names()
    assert waiting != lost
    issuer.waits = 1
    with pytest.raises(IssuePendingError):
        renew(KEY, issuer, machine=machine)
    assert len(machine.port.request_keys.names()) == 2
    renew(OTHER, issuer, machine=machine)
    renew(KEY, issuer, machine=machine)
    assert machine.port.request_keys.names() == []
    assert len(issuer.orders) == 3
    assert "private key" not in caplog.text


@pytest.mark.parametrize(
    "damage", [lambda _: "", lambda text: text[:-20], lambda text: text.replace("mlsssl", "other")]
)
def test_a_damaged_file_leaves_no_key(issuer: DistantIssuer, machine: Machine, damage: Callable[[str], str]) -> None:
    """A key that no file names any more is let go of by the next request."""
    deploy(KEY, old_one(), machine=machine)
    issuer.waits = 1
    with pytest.raises(IssuePendingError):
        renew(KEY, issuer, machine=machine)
    (file,) = kept(machine)
    files.write(file, damage(file.read_text()).encode(), private=True)
    renew(KEY, issuer, machine=machine)
    assert machine.port.request_keys.names() == []
    assert machine.port.recover() == []
    assert len(machine.store()) == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda _, request: AUTHORITY.issue(*request.names, key="ec-p256"), "for another key"),
        (lambda _, request: AUTHORITY.sign(request).without_key(), None),
        (lambda _, request: AGED.sign(request, at=AGED.certificate.not_before + DAY, days=100), "is over since"),
        (lambda _, request: "PEM", "gave str, not a Certificate"),
        (
            lambda certificate, _: certificate.with_chain(
                [CertificateAuthority.create("X", key="ec-p256").certificate]
            ),
            "the certificate of its issuer CN=Distant CA is not among those that came with it",
        ),
        (
            lambda certificate, _: certificate.with_chain([NAMESAKE.certificate]),
            "did not sign it",
        ),
    ],
    ids=["key", "good", "dates", "type", "chain", "signature"],
)
def test_an_answer_is_checked_before_anything_changes(
    issuer: DistantIssuer,
    tmp_path: Path,
    changed: Callable[[Certificate, CertificateRequest], Certificate],
    message: str | None,
) -> None:
    """And the request is kept: the issuer may yet give what was asked for."""
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        deploy(KEY, old_one(), machine=machine)
        before = [entry.thumbprint for entry in machine.store()]
        issuer.changed = changed
        if message is None:
            renew(KEY, issuer, machine=machine)
            return
        with pytest.raises(IssuerError, match=message):
            renew(KEY, issuer, machine=machine)
        assert [entry.thumbprint for entry in machine.store()] == before
        issuer.changed = lambda certificate, _: certificate
        renew(KEY, issuer, machine=machine)
        assert len(issuer.orders) == 1
        assert kept(machine) == []


def test_an_answer_without_a_name_is_refused(machine: Machine, issuer: DistantIssuer) -> None:
    deploy(KEY, old_one("a.test", "b.test"), machine=machine)

    def shorter(_: Certificate, request: CertificateRequest) -> Certificate:
        key = request.to_cryptography().public_key()
        builder = x509.CertificateBuilder().subject_name(x509.Name([])).public_key(key)
        issuing = AUTHORITY._certificate
        now = dt.datetime.now(dt.timezone.utc)
        made = (
            builder.issuer_name(issuing.to_cryptography().subject)
            .serial_number(5)
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.test")]), critical=True)
            .sign(issuing.private_key, hashes.SHA256())  # type: ignore[arg-type]
        )
        return Certificate(made)

    issuer.changed = shorter
    with pytest.raises(IssuerError, match=r"it is not for b\.test"):
        renew(KEY, issuer, machine=machine)
    assert bound(machine).names == ("a.test", "b.test")


def test_a_refusal_keeps_the_request_and_foreign_errors_are_named(machine: Machine, issuer: DistantIssuer) -> None:
    deploy(KEY, old_one(), machine=machine)
    issuer.refuses = REFUSED
    with pytest.raises(IssuerError, match="not yours"):
        renew(KEY, issuer, machine=machine)
    issuer.refuses = KeyError("boom")
    with pytest.raises(IssuerError, match="Distant failed: KeyError") as raised:
        renew(KEY, issuer, machine=machine)
    assert raised.value.issuer == "Distant"
    assert isinstance(raised.value.__cause__, KeyError)
    issuer.refuses = None
    renew(KEY, issuer, machine=machine)
    assert len({request.fingerprint for request, _ in issuer.asked}) == 1


def test_a_request_that_no_longer_fits_is_given_up_and_said_so(
    machine: Machine, issuer: DistantIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    deploy(KEY, old_one(), machine=machine)
    issuer.waits = 1
    with pytest.raises(IssuePendingError):
        renew(KEY, issuer, machine=machine)
    renew(KEY, issuer, machine=machine, key_type="ec-p384")
    assert "giving up the request" in caplog.text
    assert "type of key" in caplog.text
    assert bound(machine).key_type == "ec-p384"
    assert kept(machine) == []


def test_a_step_that_writes_the_key_reads_it_from_the_store(issuer: DistantIssuer, tmp_path: Path) -> None:
    """It was made in the machine: where it is exportable, it is in the file; else the step says that it is not."""
    hook = PfxFile(tmp_path / "service.pfx", password="one-1")
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        made = deploy(KEY, issuer, host="a.test", exportable=True, machine=machine, hooks=[hook])
        assert not [one for one in made.findings if one.code == "after-failed"]
        renewed = renew(KEY, issuer, machine=machine, hooks=[hook])
        written = Certificate.load(tmp_path / "service.pfx", password="one-1")
        assert written.thumbprint == renewed.after.thumbprint
        assert written.has_private_key
        closed = deploy("0.0.0.0:444", issuer, host="b.test", machine=machine, hooks=[hook])
        (failed,) = [one for one in closed.findings if one.code == "after-failed"]
        assert "exportable" in failed.found
        assert Certificate.load(tmp_path / "service.pfx", password="one-1").thumbprint == written.thumbprint


def test_a_class_is_no_issuer(tmp_path: Path) -> None:
    """It has every name that `Issuer` asks for, and can be called; said before anything is looked for or kept."""
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        deploy(KEY, old_one(), machine=machine)
        for call in (renew, renew.plan):
            with pytest.raises(InvalidInputError, match="DistantIssuer is a class; give an issuer"):
                call(KEY, DistantIssuer, machine=machine)  # type: ignore[arg-type]  # which is what is tried
        with pytest.raises(InvalidInputError, match="DistantIssuer is a class; give an issuer"):
            renew_due(DistantIssuer, machine=machine)  # type: ignore[arg-type]  # which is what is tried
        with pytest.raises(InvalidInputError):
            deploy(KEY, DistantIssuer, host="a.test", machine=machine)  # type: ignore[arg-type]  # here too
        assert kept(machine) == []


def test_what_another_issuer_gave_is_left_aside(
    issuer: DistantIssuer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who names the real server does not want what the staging one gave; request and key go on."""

    class Staging(DistantIssuer):
        name = "Staging"

    staging = Staging(tmp_path / "staging")
    staging.changed = lambda _, request: AUTHORITY.sign(request, days=500)
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        deploy(KEY, old_one(), machine=machine)
        with pytest.raises(ValidationError):
            renew(KEY, staging, machine=machine, profile="public")
        assert renew.plan(KEY, issuer, machine=machine).after is None  # it will be asked
        outcome = renew(KEY, issuer, machine=machine)
        assert "Staging issued for 0.0.0.0:443" in caplog.text
        assert "is left aside, for now it is Distant that is asked" in caplog.text
        assert len(issuer.orders) == 1
        assert issuer.orders == staging.orders  # the same request
        assert bound(machine).thumbprint == outcome.after.thumbprint
        assert (bound(machine).not_after - bound(machine).not_before).days < 400
        assert kept(machine) == []


def test_one_answer_for_several_bindings_is_no_surprise(
    issuer: DistantIssuer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that share a certificate share the next one: nothing is left over, and nothing said to be."""
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        shared = old_one()
        for key in (KEY, "[::]:443"):
            deploy(key, shared, machine=machine)
        results = renew_due(issuer, machine=machine, any_issuer=True, due_only=False)
        assert len({one.outcome.after.thumbprint for one in results if one.outcome is not None}) == 1
        assert len(issuer.orders) == 1
        assert "was not deployed" not in caplog.text
        assert kept(machine) == []


def test_an_answer_that_cannot_be_deployed_is_not_asked_for_again(
    issuer: DistantIssuer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another try deploys the very same; a week later another one is asked for."""
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        deploy(KEY, old_one(), machine=machine)
        issuer.changed = lambda _, request: AUTHORITY.sign(request, days=500)
        with pytest.raises(ValidationError):
            renew(KEY, issuer, machine=machine, profile="public")
        with pytest.raises(ValidationError):
            renew(KEY, issuer, machine=machine, profile="public")
        assert len(issuer.asked) == 1
        assert f"was not deployed then; to ask for another, remove {kept(machine)[0]}" in caplog.text
        later = dt.datetime.now(dt.timezone.utc) + 8 * DAY
        with pytest.raises(ValidationError):
            renew(KEY, issuer, machine=machine, profile="public", at=later)
        assert len(issuer.orders) == 2
        assert "never deployed" in caplog.text
        (file,) = kept(machine)
        planned = renew.plan(KEY, issuer, machine=machine)
        assert planned.after is not None
        assert planned.after.thumbprint == Certificate.from_pem(json.loads(file.read_text())["answer"]).thumbprint
        planned.apply()
        assert len(issuer.asked) == 2
        assert bound(machine).thumbprint == planned.after.thumbprint


def test_a_damaged_file_is_said_and_another_request_made(
    machine: Machine, issuer: DistantIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    deploy(KEY, old_one(), machine=machine)
    issuer.waits = 2
    with pytest.raises(IssuePendingError):
        renew(KEY, issuer, machine=machine)
    (file,) = kept(machine)
    text = file.read_text()
    file.write_text(text[: len(text) // 2])
    with pytest.raises(IssuePendingError):
        renew(KEY, issuer, machine=machine)
    assert "is damaged" in caplog.text
    file.write_text(json.dumps({**json.loads(text), "version": 2}))
    with pytest.raises(ValueError, match="later version of mlsssl"):
        renew(KEY, issuer, machine=machine)
    assert json.loads(file.read_text())["version"] == 2


def test_what_is_bound_meanwhile_stays(issuer: DistantIssuer, tmp_path: Path) -> None:
    """Somebody deploys another certificate while the issuer thinks; the next call tidies the request up."""
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        deploy(KEY, old_one(), machine=machine)
        theirs = old_one("a.test")

        def meanwhile(certificate: Certificate, _: CertificateRequest) -> Certificate:
            deploy(KEY, theirs, machine=machine)
            return certificate

        issuer.changed = meanwhile
        with pytest.raises(BindingError, match="was changed while"):
            renew(KEY, issuer, machine=machine)
        assert bound(machine) == theirs
        assert len(kept(machine)) == 1
        issuer.changed = lambda certificate, _: certificate
        renew(KEY, issuer, machine=machine)
        assert kept(machine) == []


# -- plans -----------------------------------------------------------------------------------------------------------


def test_a_plan_orders_nothing(machine: Machine, issuer: DistantIssuer) -> None:
    """It says that the issuer is asked when it is applied, and does that then."""
    deploy(KEY, old_one(), machine=machine)
    before = bound(machine)
    plan = renew.plan(KEY, issuer, machine=machine)
    assert issuer.asked == []
    assert kept(machine) == []
    assert plan.steps[0].action == "ask-issuer"
    assert "ask Distant for a certificate for a.test, www.a.test" in str(plan)
    assert plan.changes
    assert plan.ok
    assert plan.after is None
    assert plan.diff == (("thumbprint", str(before.thumbprint), "of the certificate that is issued then"),)
    assert json.loads(plan.to_json())["steps"][0]["action"] == "ask-issuer"
    assert "ask Distant" in plan._repr_html_()
    assert plan.report.ok
    outcome = plan.apply()
    assert outcome.after.thumbprint == bound(machine).thumbprint
    assert bound(machine) != before
    with pytest.raises(BindingError, match="since this plan was made"):
        plan.apply()
    assert len(issuer.orders) == 1


# -- renew_due -------------------------------------------------------------------------------------------------------


def test_renew_due_asks_any_issuer_for_what_is_its_own_and_due(machine: Machine, issuer: TimedIssuer) -> None:
    """When the issuer says so; where it says nothing, after the share of the lifetime."""
    deploy(KEY, old_one(), machine=machine)
    deploy(OTHER, CertificateAuthority.create("Else", key="ec-p256").issue("b.test"), machine=machine)
    now = dt.datetime.now(dt.timezone.utc)
    results = {str(one.key): one for one in renew_due(issuer, machine=machine)}
    assert (results[KEY].skipped or "").startswith("not due before")
    assert results[OTHER].skipped == "issued by CN=Else, not by Distant"
    issuer.when = now + 5 * DAY
    (result,) = renew_due(issuer, machine=machine, only=[KEY])
    assert result.skipped == f"not due before {issuer.when:%Y-%m-%d %H:%M} UTC"
    issuer.when = now - DAY
    (planned,) = renew_due(issuer, machine=machine, only=[KEY], dry_run=True)
    assert planned.plan is not None
    assert planned.plan.steps[0].action == "ask-issuer"
    assert issuer.asked == []
    (result,) = renew_due(issuer, machine=machine, only=[KEY])
    assert result.outcome is not None
    assert len(issuer.orders) == 1
    issuer.when = None
    (result,) = renew_due(issuer, machine=machine, only=[KEY], at=now + 85 * DAY)
    assert result.outcome is not None
    with pytest.raises(InvalidInputError, match="makes its own choice"):
        renew_due(issuer, machine=machine, days=3, due_only=False)


def test_bindings_that_share_a_certificate_share_one_order(machine: Machine, issuer: DistantIssuer) -> None:
    """Also when the run was killed between them: the next one takes what was issued."""
    old = old_one()
    for key in (KEY, OTHER):
        deploy(key, old, machine=machine)
    results = renew_due(issuer, machine=machine, due_only=False)
    assert all(one.outcome is not None for one in results)
    assert bound(machine) == bound(machine, OTHER) != old
    assert len(issuer.asked) == 1
    assert kept(machine) == []


def test_a_pending_answer_does_not_stop_the_others(issuer: DistantIssuer, tmp_path: Path) -> None:
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        deploy(KEY, old_one(), machine=machine)
        deploy(OTHER, old_one("b.test"), machine=machine)
        issuer.waits = 1
        first, second = renew_due(issuer, machine=machine, due_only=False)
        assert isinstance(first.error, IssuePendingError)
        assert first.to_dict()["result"] == "pending"
        assert second.outcome is not None
        assert len(kept(machine)) == 1


def test_the_command_line_has_codes_of_its_own_for_issuers() -> None:
    """11 for a refusal, 13 while there is no answer; the narrower one first."""
    codes = dict(EXIT_CODES)
    assert (codes[IssuePendingError], codes[IssuerError]) == (13, 11)
    kinds = [kind for kind, _ in EXIT_CODES]
    assert kinds.index(IssuePendingError) < kinds.index(IssuerError)


# -- deploy ----------------------------------------------------------------------------------------------------------


def test_the_first_certificate_comes_from_an_issuer(machine: Machine, issuer: DistantIssuer) -> None:
    """Names by host; again changes nothing, while it is the issuer's own, for these names, and not due."""
    planned = deploy.plan(KEY, issuer, machine=machine, host=["A.test", "10.0.0.5"])
    assert planned.diff == (("thumbprint", None, "of the certificate that is issued then"),)
    assert issuer.asked == []
    outcome = deploy(KEY, issuer, machine=machine, host=["A.test", "10.0.0.5"])
    new = bound(machine)
    assert outcome.changed
    assert new.names == ("a.test", "10.0.0.5")
    assert issuer.asked[0][1] is None
    assert kept(machine) == []
    again = deploy(KEY, issuer, machine=machine, host=["a.test", "10.0.0.5"])
    assert not again.changed
    changed = deploy(KEY, issuer, machine=machine, host="a.test", options=BindingOptions(http2=False))
    assert changed.changed
    assert bound(machine) == new
    assert len(issuer.asked) == 1
    deploy(KEY, issuer, machine=machine, host="b.test")
    assert bound(machine).names == ("b.test",)
    assert issuer.asked[1][1] == new
    deploy(KEY, issuer, machine=machine, host="b.test", at=dt.datetime.now(dt.timezone.utc) + 190 * DAY)
    assert len(issuer.orders) == 3


def test_a_name_in_the_key_is_the_name_of_the_certificate(machine: Machine, issuer: DistantIssuer) -> None:
    deploy("www.a.test:443", issuer, machine=machine)
    assert bound(machine, "www.a.test:443").names == ("www.a.test",)
    nothing: list[str] = []
    for host in (None, nothing):
        with pytest.raises(InvalidInputError, match=r"host='www\.example\.com'"):
            deploy(KEY, issuer, machine=machine, host=host)
    with pytest.raises(InvalidInputError, match="several names in host are for an issuer"):
        deploy(KEY, old_one(), machine=machine, host=["a.test"])
    assert len(issuer.asked) == 1


def test_the_first_key_is_of_the_type_that_is_asked_for(machine: Machine, issuer: DistantIssuer) -> None:
    deploy(KEY, issuer, machine=machine, host="a.test", key_type="ec-p384")
    assert bound(machine).key_type == "ec-p384"
    deploy(KEY, AUTHORITY, machine=machine, host="b.test", key_type="rsa-2048")
    assert bound(machine).key_type == "rsa-2048"
    with pytest.raises(InvalidInputError, match="key_type is for an issuer"):
        deploy(KEY, old_one(), machine=machine, key_type="ec-p256")
    with pytest.raises(InvalidInputError, match="ec-p256"):
        deploy.plan(KEY, issuer, machine=machine, host="a.test", key_type="ec-p999")  # type: ignore[arg-type]


def test_deploy_from_an_own_authority(machine: Machine) -> None:
    deploy(KEY, AUTHORITY, machine=machine, host="a.test")
    new = bound(machine)
    assert AUTHORITY.issued(new)
    assert not deploy(KEY, AUTHORITY, machine=machine, host="a.test").changed
    assert bound(machine) == new
    planned = deploy.plan(KEY, AUTHORITY, machine=machine, host="b.test")
    assert planned.after is not None
    planned.apply()
    assert bound(machine).names == ("b.test",)


def test_deploy_goes_on_with_the_request_that_was_kept(machine: Machine, issuer: DistantIssuer) -> None:
    issuer.waits = 1
    with pytest.raises(IssuePendingError):
        deploy(KEY, issuer, machine=machine, host="a.test")
    assert Binding.find(KEY, machine=machine) is None
    assert len(kept(machine)) == 1
    deploy(KEY, issuer, machine=machine, host="a.test")
    assert len(issuer.orders) == 1
    assert kept(machine) == []


def test_on_conflict_is_looked_at_before_anybody_is_asked(machine: Machine, issuer: DistantIssuer) -> None:
    theirs = CertificateAuthority.create("Else", key="ec-p256").issue("a.test")
    deploy(KEY, theirs, machine=machine)
    with pytest.raises(BindingExistsError):
        deploy(KEY, issuer, machine=machine, host="a.test", on_conflict="fail")
    outcome = deploy(
        KEY, issuer, machine=machine, host="a.test", on_conflict="keep", options=BindingOptions(http2=False)
    )
    assert not outcome.changed
    assert "binding-kept" in [finding.code for finding in outcome.findings]
    plan = deploy.plan(KEY, issuer, machine=machine, host="a.test", on_conflict="keep")
    assert not plan.changes
    assert not deploy.plan(KEY, issuer, machine=machine, host="a.test", on_conflict="fail").ok
    assert issuer.asked == []
    assert bound(machine) == theirs
