"""An authority's own end: its successor, the cross-certificates, and what is said before and after."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import random
import warnings
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mlsssl import (
    Certificate,
    CertificateAuthority,
    CertificateRequest,
    EmbeddedMachine,
    Finding,
    InvalidInputError,
    Machine,
    RenewedAuthority,
    ShortenedWarning,
    Store,
    audit,
    deploy,
    renew,
    renew_due,
)
from mlsssl._embedded.chains import build_chain
from mlsssl._formats import pem
from mlsssl.bundles import pem_files
from mlsssl.cli import main
from mlsssl.testing import fake_windows_machine

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NOON = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.timezone.utc)
DAY = dt.timedelta(days=1)
KEY = "0.0.0.0:443"
OLD = CertificateAuthority.create(
    "Root",
    key="ec-p256",
    path_length=1,
    permitted=["corp.test", "10.0.0.0/8"],
    excluded=["secret.corp.test"],
    organization="Corp",
    at=NOON - 3000 * DAY,
    crl_url="http://pki.test/old.crl",
)
RENEWED = OLD.renew(at=NOON)
NEW = RENEWED.authority


def bridge() -> CertificateAuthority:
    """What to issue from in the meantime."""
    assert RENEWED.bridge is not None
    return RENEWED.bridge


def crosses() -> tuple[Certificate, Certificate]:
    """New with old, old with new."""
    assert RENEWED.new_with_old is not None
    assert RENEWED.old_with_new is not None
    return RENEWED.new_with_old, RENEWED.old_with_new


def ending(findings: Iterable[Finding]) -> list[str]:
    """What is said about an authority's end."""
    return [one.found for one in findings if one.code == "authority-ending"]


def test_the_successor_keeps_name_and_limits_and_has_another_key() -> None:
    """Each extension that is the authority's, in all three, critical where it was, and key identifiers."""
    old = OLD.certificate.to_cryptography()
    new = NEW.certificate.to_cryptography()
    certificates = [new, *(one.to_cryptography() for one in crosses())]
    for kind in (x509.BasicConstraints, x509.NameConstraints, x509.KeyUsage):
        expected = old.extensions.get_extension_for_class(kind)
        for one in certificates:
            found = one.extensions.get_extension_for_class(kind)
            assert (found.value, found.critical) == (expected.value, expected.critical)
    assert {one.subject for one in certificates} == {one.issuer for one in certificates} == {old.subject}
    assert [one.public_key() == old.public_key() for one in certificates] == [False, False, True]
    for one, signer in zip(certificates, (new, old, new), strict=True):
        one.verify_directly_issued_by(signer)
        pointer = one.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        own = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        assert pointer.key_identifier == own.digest
    assert NEW.path_length == bridge().path_length == 1
    assert len({one.serial_number for one in certificates}) == 3


def test_the_dates_are_those_of_rfc_4210() -> None:
    """New with old from the new key's time on, old with new from the old one's; both until the old root ends."""
    new_with_old, old_with_new = crosses()
    assert NEW.certificate.not_before == NOON - dt.timedelta(hours=1)
    old_life = OLD.certificate.not_after - OLD.certificate.not_before
    assert NEW.certificate.not_after - NEW.certificate.not_before == old_life
    assert new_with_old.not_before == NEW.certificate.not_before
    assert old_with_new.not_before == OLD.certificate.not_before
    assert new_with_old.not_after == old_with_new.not_after == OLD.certificate.not_after


def test_only_the_old_authoritys_certificate_carries_its_lists_address() -> None:
    """What the new key signs is in no list of the old one's."""
    point = x509.CRLDistributionPoints
    new_with_old, old_with_new = (one.to_cryptography().extensions for one in crosses())
    assert new_with_old.get_extension_for_class(point).value[0].full_name[0].value == "http://pki.test/old.crl"
    for extensions in (old_with_new, NEW.certificate.to_cryptography().extensions):
        with pytest.raises(x509.ExtensionNotFound):
            extensions.get_extension_for_class(point)
    assert (NEW.crl_url, bridge().crl_url) == (None, None)
    assert OLD.renew(crl_url="http://pki.test/new.crl").authority.crl_url == "http://pki.test/new.crl"


def test_every_client_finds_its_way_and_none_without_the_cross_certificate() -> None:
    """Old leaf and new leaf, before clients with the old, the new and both roots; each with its twin that fails."""
    new_with_old, old_with_new = crosses()
    before, after = OLD.issue("a.corp.test", at=NOON), bridge().issue("a.corp.test", at=NOON)
    assert after.chain[0] == new_with_old
    sent = before.with_chain([old_with_new])
    for trust in ([OLD], [NEW], [OLD, NEW]):
        for one in (sent, after):
            report = one.check("a.corp.test", trust=trust, at=NOON)
            assert report.ok, str(report)
            assert not {finding.code for finding in report} - {"anchor-not-root"}
    assert not before.with_chain([]).check("a.corp.test", trust=[NEW], at=NOON)
    assert not after.with_chain([]).check("a.corp.test", trust=[OLD], at=NOON)
    assert not after.check("a.corp.test", trust=[OLD], at=OLD.certificate.not_after + DAY)


def test_the_limits_bind_the_successor_too() -> None:
    """One intermediate below the bridge, no name beyond the constraints; by its own refusal and by `check`."""
    below = bridge().create_intermediate("Below", at=NOON)
    assert below.path_length == 0
    report = below.issue("a.corp.test", at=NOON).check("a.corp.test", trust=[OLD], at=NOON)
    assert report.ok, str(report)  # the cross-certificate is self-issued, and counts nothing (RFC 5280, 4.2.1.9)
    for authority in (NEW, bridge(), below):
        with pytest.raises(InvalidInputError, match=r"its name constraints"):
            authority.issue("a.secret.corp.test", at=NOON)


def test_the_same_key_needs_no_cross_certificates() -> None:
    """Either root accepts what the other has issued."""
    renewed = OLD.renew(reuse_key=True, at=NOON, days=4000)
    again = renewed.authority
    assert renewed == RenewedAuthority(authority=again)
    assert again.certificate.not_after > OLD.certificate.not_after
    assert again.crl_url == OLD.crl_url
    for issuer, trusted in ((OLD, again), (again, OLD)):
        assert issuer.issue("a.corp.test", at=NOON).with_chain([]).check("a.corp.test", trust=[trusted], at=NOON)


def test_an_intermediate_is_certified_by_who_stands_above() -> None:
    """Also below the successor of its root; with its own key or a new one."""
    middle = OLD.create_intermediate("Middle", at=NOON, permitted=["dev.corp.test"])
    for issuer, trusted in ((OLD, OLD), (bridge(), OLD), (bridge(), NEW), (NEW, NEW)):
        for reuse_key in (True, False):
            renewed = middle.renew(issuer=issuer, reuse_key=reuse_key, at=NOON)
            assert (renewed.bridge, renewed.authority.name, renewed.authority.path_length) == (None, "Middle", 0)
            leaf = renewed.authority.issue("a.dev.corp.test", at=NOON)
            assert leaf.check("a.dev.corp.test", trust=[trusted], at=NOON)
            with pytest.raises(InvalidInputError, match="name constraints"):
                renewed.authority.issue("a.corp.test", at=NOON)
    kept = middle.renew(issuer=bridge(), reuse_key=True, at=NOON).authority
    assert (
        middle.issue("a.dev.corp.test", at=NOON)
        .with_chain([kept.certificate, crosses()[0]])
        .check("a.dev.corp.test", trust=[OLD], at=NOON)
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"key": "ec-p256", "reuse_key": True}, "reuse_key keeps the key"),
        ({"issuer": NEW}, "nothing stands above"),
        ({"days": 0}, "from 1 to 36500"),
        ({"key": "dsa"}, "key is one of"),
        ({"at": OLD.certificate.not_after + DAY}, "itself has ended"),
        ({"at": OLD.certificate.not_before - DAY}, "not valid before"),
        ({"crl_url": ""}, "ASCII URL"),
    ],
)
def test_what_is_refused(arguments: dict[str, object], words: str) -> None:
    """With the words that help; a root that is over can still be made longer with its own key."""
    with pytest.raises(InvalidInputError, match=words):
        OLD.renew(**arguments)  # type: ignore[arg-type]
    late = OLD.certificate.not_after + DAY
    assert OLD.renew(reuse_key=True, at=late).authority.certificate.not_after > late


def test_an_intermediate_without_its_issuer_is_refused() -> None:
    """And below one that may have no authorities; the twin is above."""
    middle = OLD.create_intermediate("Middle", at=NOON)
    with pytest.raises(InvalidInputError, match=r"is an intermediate: give the authority above it, CN=Root"):
        middle.renew()
    narrow = CertificateAuthority.create("Narrow", key="ec-p256", path_length=0)
    with pytest.raises(InvalidInputError, match="path length 0"):
        middle.renew(issuer=narrow)
    elsewhere = CertificateAuthority.create("Elsewhere", key="ec-p256", permitted=["other.test"])
    wide = CertificateAuthority.create("W", key="ec-p256", path_length=1, permitted=["corp.test"])
    with pytest.raises(InvalidInputError, match="outside"):
        wide.create_intermediate("Part", permitted=["a.corp.test"]).renew(issuer=elsewhere)


def test_a_root_of_makecert_gets_what_it_lacks() -> None:
    """No basicConstraints, no key identifiers: the successor has them, and is RSA of a size that is made today."""
    key = ec.generate_private_key(ec.SECP521R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Old Root")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOON - DAY)
        .not_valid_after(NOON + 100 * DAY)
        .sign(key, hashes.SHA256())
    )
    renewed = CertificateAuthority(Certificate(made, private_key=key)).renew(at=NOON)
    assert renewed.authority.key_type == "rsa-3072"
    for one in (renewed.authority.certificate, renewed.new_with_old, renewed.old_with_new):
        assert one is not None
        assert one.is_ca
        assert "keyCertSign" in one.key_usages


def test_files_keep_the_bridge_together_in_any_order(tmp_path: Path) -> None:
    """Several certificates of one name: key identifiers say which follows which."""
    path = bridge().save(tmp_path / "bridge.pfx", password="x")
    again = CertificateAuthority.load(path, password="x")
    assert again.issue("a.corp.test", at=NOON).chain == (*crosses()[:1], OLD.certificate)
    leaf = again.issue("a.corp.test", at=NOON)
    pool = [OLD.certificate, NEW.certificate, crosses()[0], crosses()[1]]
    for seed in range(24):
        mixed = random.Random(seed).sample(pool, len(pool))
        assert leaf.with_chain(mixed).check("a.corp.test", trust=[OLD], at=NOON)
        first = leaf.with_chain(mixed).chain[0]
        assert first in (NEW.certificate, crosses()[0])


def test_servers_send_the_cross_certificate_and_no_root() -> None:
    """In files for nginx and the like, which sent nothing of the authority's own name before."""
    sent = pem_files(bridge().issue("a.corp.test", at=NOON), "nginx")["server.crt"]
    assert sent.count(b"BEGIN CERTIFICATE") == 2
    assert crosses()[0].to_pem() in sent
    assert pem_files(OLD.issue("a.corp.test", at=NOON), "nginx")["server.crt"].count(b"BEGIN CERTIFICATE") == 1


@pytest.mark.parametrize("kind", ["embedded", "windows"])
def test_a_deployment_puts_the_cross_certificate_into_ca_and_not_into_root(kind: str, tmp_path: Path) -> None:
    """And a renewal from the bridge is no change of the authority to clients; from the successor it is one."""
    old = CertificateAuthority.create("Root", key="ec-p256", days=400)
    renewed = old.renew(days=4000)
    assert renewed.bridge is not None
    assert renewed.new_with_old is not None
    with contextlib.ExitStack() as stack:
        machine: Machine
        if kind == "embedded":
            machine = stack.enter_context(EmbeddedMachine(tmp_path / "m.sqlite"))
        else:
            machine = stack.enter_context(fake_windows_machine()).machine
        deploy(KEY, old.issue("a.test", key="ec-p256"), machine=machine, trust_root=True)
        findings = renew.plan(KEY, renewed.authority, machine=machine).findings
        assert "issuer-changes" in {one.code for one in findings}
        findings = renew(KEY, renewed.bridge, machine=machine).findings
        assert "issuer-changes" not in {one.code for one in findings}
        assert renewed.new_with_old.thumbprint in Store.open("CA", machine=machine)
        assert renewed.new_with_old.thumbprint not in Store.open("Root", machine=machine)


def test_audit_and_plans_say_in_time_that_the_authority_ends(tmp_path: Path) -> None:
    """Not while there is a whole life and half a year left; then always, until its successor is trusted here."""
    root = CertificateAuthority.create("Ending", key="ec-p256", days=1000, at=NOON)
    end = root.certificate.not_after
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        for days, at, words in (
            (90, NOON, None),
            (199, end - 340 * DAY, None),
            (199, end - 300 * DAY, "whole 199 days"),
            (30, end - 185 * DAY, None),
            (30, end - 179 * DAY, "in 179 days, and what it issues ends with it"),
        ):
            plan = deploy.plan(KEY, root.issue("a.test", days=days, at=at), machine=machine, at=at)
            assert [(words or "") in one for one in ending(plan.findings)] == ([] if words is None else [True])
        at = end - 300 * DAY
        deploy(KEY, root.issue("a.test", at=at), machine=machine, at=at)
        assert len(ending(audit(machine=machine, at=at).rows[0].findings)) == 1
        successor = root.renew(at=at, days=3000, reuse_key=True).authority
        Store.open("Root", machine=machine).add(successor.certificate)
        assert ending(audit(machine=machine, at=at).rows[0].findings) == []


def test_a_renewal_is_shortened_in_words_and_never_by_a_python_warning(tmp_path: Path) -> None:
    """Warnings are errors here, as for users with -W error: their renewals go on all the same."""
    root = CertificateAuthority.create("Ending", key="ec-p256", days=100)
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        deploy(KEY, root.issue("a.test", days=90), machine=machine)
        at = root.certificate.not_after - 40 * DAY
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            outcome = renew(KEY, root, machine=machine, at=at)
            (again,) = renew_due(root, machine=machine, at=at, due_only=False)
        assert outcome.after.certificate is not None
        assert outcome.after.certificate.not_after == root.certificate.not_after
        assert ending(outcome.findings)
        assert again.outcome is not None
        assert ending(again.outcome.findings)


def test_the_warning_points_to_the_caller() -> None:
    """To the line that asked for too much, from every call that issues."""
    root = CertificateAuthority.create("Ending", key="ec-p256", days=10)
    for ask in (
        lambda: root.issue("a.test"),
        lambda: root.issue_client("Alice"),
        lambda: root.create_intermediate("Below", days=100),
        lambda: list(root.issue_many(["a.test"], workers=1)),
    ):
        with pytest.warns(ShortenedWarning, match="199 days|100 days") as seen:
            ask()
        assert "mlsssl/" not in seen[0].filename.replace("\\", "/").partition("src/")[2]
    with warnings.catch_warnings():
        warnings.simplefilter("error", ShortenedWarning)
        with pytest.raises(ShortenedWarning):
            root.issue("a.test")


# -- the command line ----------------------------------------------------------------------------------------------


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has ca.pem, a root of ten days, and sub.pem below it."""
    monkeypatch.chdir(tmp_path)
    root = CertificateAuthority.create("Short", key="ec-p256", days=10)
    root.save("ca.pem")
    root.create_intermediate("Sub").save("sub.pem")
    return tmp_path


def test_the_command_makes_all_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is written leads clients with either root to what either has issued."""
    words = ["ca", "renew", "--ca", "ca.pem", "--out", "new.pfx", "--bridge-out", "bridge.pfx", "--days", "900"]
    words += ["--certificate-out", "new.cer", "--old-with-new-out", "cross.cer", "--password", "file:pw", "--json"]
    (folder / "pw").write_text("secret words\n")
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == {"bridge": "bridge.pfx", "certificate": "new.cer", "old_with_new": "cross.cer"}
    old = CertificateAuthority.load("ca.pem")
    issuer = CertificateAuthority.load("bridge.pfx", password="secret words")
    new = CertificateAuthority.load("new.pfx", password="secret words")
    assert new.certificate == Certificate.load("new.cer")
    with pytest.warns(ShortenedWarning):
        leaf, before = issuer.issue("a.test"), old.issue("a.test")
    before = before.with_chain([Certificate.load("cross.cer")])
    assert all(one.check("a.test", trust=[root]) for one in (leaf, before) for root in (old, new))
    assert main(words) == 4
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "new.pem"], "--bridge-out FILE is the authority to issue from"),
        (["--out", "new.pem", "--reuse-key", "--bridge-out", "b.pem"], "leave their files out"),
        (["--out", "new.pem", "--bridge-out", "new.pem"], "needs a name of its own"),
        (["--out", "new.cer", "--bridge-out", "b.pem"], "holds no private key"),
    ],
)
def test_the_command_writes_nothing_that_would_be_lost(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    """Refused before anything is written."""
    there = sorted(folder.iterdir())
    assert main(["ca", "renew", "--ca", "ca.pem", *words]) == 2
    assert told in capsys.readouterr().err
    assert sorted(folder.iterdir()) == there


def test_the_command_renews_an_intermediate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its issuer; without it is told whose."""
    assert main(["ca", "renew", "--ca", "sub.pem", "--out", "new.pem"]) == 2
    assert "give the authority above it, CN=Short" in capsys.readouterr().err
    assert main(["ca", "renew", "--ca", "sub.pem", "--issuer", "ca.pem", "--out", "new.pem"]) == 0
    assert CertificateAuthority.load("new.pem").name == "Sub"


@pytest.mark.parametrize("words", [["issue", "a.test"], ["ca", "issue-client", "Alice"], ["request", "sign", "a.csr"]])
def test_the_command_line_says_what_was_shortened(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """On standard error, in commands, and in the JSON; exit code 0. What fits says nothing."""
    CertificateRequest.create("a.test", key="ec-p256").save(folder / "a.csr")
    assert main([*words, "--ca", "ca.pem", "--out", "a.pem", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("mlsssl: warning: 199 days reach to ")
    assert captured.err.rstrip().endswith("make the authority's successor, mlsssl ca renew")
    assert json.loads(captured.out)["warnings"]
    assert main([*words, "--ca", "ca.pem", "--out", "b.pem", "--days", "9", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out)["warnings"] == []
    assert (folder / "b.pem").exists()


@pytest.mark.parametrize("plan", [[], ["--plan"]])
def test_deploy_says_it_as_a_finding(folder: Path, capsys: pytest.CaptureFixture[str], plan: list[str]) -> None:
    """And by no warning of Python's, which is an error here. What an authority of many years issues has none."""
    CertificateAuthority.create("Long", key="ec-p256").save(folder / "long.pem")
    words = ["deploy", KEY, "--host", "a.test", "--machine", "m.sqlite", "--no-verify", "--json", *plan]
    for authority, expected in (("ca.pem", True), ("long.pem", False)):
        assert main([*words, "--ca", authority]) == 0
        captured = capsys.readouterr()
        assert ("authority-ending" in captured.out) is expected
        assert "199 days" not in captured.err


def test_a_new_key_does_not_get_the_old_keys_list(tmp_path: Path) -> None:
    """A renewal keeps the address of its own authority's list, and not that of the key before."""
    listed = CertificateAuthority.create("Listed", key="ec-p256", crl_url="http://pki.test/old.crl")
    plain = listed.with_crl_url(None)
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        deploy(KEY, listed.issue("a.test"), machine=machine)
        for source, addresses in ((plain, 1), (plain.renew().bridge, 0)):
            assert source is not None
            made = renew(KEY, source, machine=machine).after.certificate
            assert made is not None
            text = made.to_der()
            assert text.count(b"http://pki.test/old.crl") == addresses


def _all(certificates: list[x509.Certificate], _: x509.Certificate) -> list[x509.Certificate]:
    return certificates


def test_a_server_with_both_roots_still_sends_the_cross_certificate() -> None:
    """And no longer once it is over, when the new root is the only way; what it sends is found by signatures."""
    now = dt.datetime.now(dt.timezone.utc)
    for days, sends in ((120, True), (99, False)):
        old = CertificateAuthority.create("Both", key="ec-p256", days=days, at=now - 100 * DAY)
        renewed = old.renew(at=now - 50 * DAY, days=1000)
        assert renewed.bridge is not None
        assert renewed.new_with_old is not None
        assert renewed.old_with_new is not None
        stored = [old, renewed.authority, renewed.new_with_old, renewed.old_with_new]
        ways = [(renewed.bridge.issue("a.test", days=1, at=now - 50 * DAY), renewed.new_with_old)]
        if sends:  # what the old root has issued is over together with it
            ways.append((old.issue("a.test", days=1, at=now - 50 * DAY), renewed.old_with_new))
        for leaf, cross in ways:
            for order in (stored, stored[::-1]):
                certificates = [pem.x509_of(one) for one in order]
                sent = build_chain(leaf.to_cryptography(), functools.partial(_all, certificates))
                expected = [leaf, cross] if sends else [leaf]
                assert sent == [one.to_cryptography() for one in expected]
