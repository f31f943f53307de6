"""deploy, its plan, renew and audit: a warning when the server would send a chain that does not lead to a root."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from chains import NOW, intermediate, leaf, root
from mlsssl import (
    Certificate,
    CertificateAuthority,
    EmbeddedMachine,
    Finding,
    ListenerError,
    Machine,
    Plan,
    Thumbprint,
    ValidationError,
    audit,
    deploy,
    renew,
    renew_due,
)
from mlsssl._changes.roots_file import RootsFile
from mlsssl._testing.tls import tls_client
from mlsssl._validator.profiles import PROFILES
from mlsssl.testing import fake_windows_machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KEY = "0.0.0.0:443"
CODE = "issuer-not-found"
ROOT = CertificateAuthority.create("Far Root", key="ec-p256", path_length=2)
POLICY = ROOT.create_intermediate("Far Policy", key="ec-p256", path_length=1)
ISSUER = POLICY.create_intermediate("Far Issuer", key="ec-p256")
LEAF = ISSUER.issue("a.test")
ALONE = LEAF.with_chain([])
ABOVE = (ISSUER.certificate, POLICY.certificate, ROOT.certificate)
STRANGER = CertificateAuthority.create("Far Issuer", key="ec-p256")  # the same name, another key


@pytest.fixture(autouse=True)
def _few_system_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that issued nothing here: reading the operating system's 140 takes longer than a test."""
    bundle = tmp_path / "system.pem"
    bundle.write_bytes(CertificateAuthority.create("System", key="ec-p256").certificate.to_pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))


@pytest.fixture(name="machine", params=["embedded", "windows", "windows-2016"])
def _machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    if request.param == "embedded":
        with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
            yield machine
    else:
        with fake_windows_machine(release="2016" if request.param == "windows-2016" else "2019") as windows:
            yield windows.machine


def missing(findings: Iterable[Finding]) -> list[Finding]:
    """Those about a missing issuer."""
    return [finding for finding in findings if finding.code == CODE]


def audited(machine: Machine) -> list[Finding]:
    """Those of the audit."""
    return missing(finding for row in audit(machine=machine).rows for finding in row.findings)


def test_plan_deploy_and_audit_name_the_issuer_that_is_missing(machine: Machine) -> None:
    """A warning, so it is done all the same; the audit goes on saying so, until the issuers are in CA and Root."""
    plan = deploy.plan(KEY, ALONE, machine=machine)
    (planned,) = missing(plan.findings)
    assert (planned.severity.value, planned.where) == ("warning", "leaf: issuer")
    assert "CN=Far Issuer is neither with it nor in the machine's stores" in planned.found
    assert "Store.open('CA').add(issuer)" in planned.remedy
    assert plan.ok
    outcome = plan.apply()
    assert outcome.changed
    assert missing(outcome.findings) == audited(machine) == [planned]
    for store, certificate, where in (
        ("CA", ISSUER.certificate, ['intermediate "CN=Far Issuer": issuer']),
        ("CA", POLICY.certificate, ['intermediate "CN=Far Policy": issuer']),
        ("Root", ROOT.certificate, []),
    ):
        machine.store(store).add(certificate.with_chain([]))
        assert [finding.where for finding in audited(machine)] == where
    assert missing(deploy.plan("a.test:443", ALONE, machine=machine).findings) == []


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_says_so(machine: Machine, profile: str) -> None:
    """What a server sends concerns every client."""
    assert [one.severity.value for one in missing(deploy.plan(KEY, ALONE, machine=machine, profile=profile).findings)]
    deploy(KEY, ALONE, machine=machine, force=True)
    (row,) = audit(machine=machine, profile=profile).rows
    assert [finding.severity.value for finding in missing(row.findings)] == ["warning"]


def test_a_profile_of_ones_own_may_weigh_it_otherwise(machine: Machine) -> None:
    """As an error it stops a deployment; left out, it is not looked for."""
    strict = PROFILES["private"].with_severity("strict", issuer_not_found="error")
    with pytest.raises(ValidationError, match="Far Issuer"):
        deploy(KEY, ALONE, machine=machine, profile=strict)
    assert list(machine.bindings) == []
    lax = PROFILES["private"].with_severity("lax", issuer_not_found=None)
    assert missing(deploy(KEY, ALONE, machine=machine, profile=lax).findings) == []
    (row,) = audit(machine=machine, profile=lax).rows
    assert missing(row.findings) == []


@pytest.mark.parametrize("kept", [(0, 1, 2), (2, 0, 1)])
def test_with_its_chain_nothing_is_missing_in_whatever_order(machine: Machine, kept: tuple[int, ...]) -> None:
    """Nor later: that the root of a deployed certificate is one is remembered, though it is not trusted here."""
    whole = LEAF.with_chain([ABOVE[number] for number in kept])
    assert missing(deploy(KEY, whole, machine=machine).findings) == []
    assert audited(machine) == []
    assert len(RootsFile(machine.state_folder).read()) == 1
    names = machine.store_names()
    assert "Root" not in names or len(machine.store("Root")) == 0
    deploy("b.test:443", POLICY.issue("b.test"), machine=machine)  # whose root is the same one
    assert len(RootsFile(machine.state_folder).read()) == 1


@pytest.mark.parametrize(
    ("chain", "where"),
    [
        ((1, 2), ["leaf: issuer"]),
        ((0, 2), ['intermediate "CN=Far Issuer": issuer']),
        ((0, 1), ['intermediate "CN=Far Policy": issuer']),
        ((0,), ['intermediate "CN=Far Issuer": issuer']),
    ],
)
def test_a_gap_anywhere_is_found(machine: Machine, chain: tuple[int, ...], where: list[str]) -> None:
    """The issuer that is missing is the one above where the way breaks off; a root somewhere in the file mends nothing.

    Where only the root is missing nobody can tell that it is one: neither the file nor the stores know it.
    """
    given = LEAF.with_chain([ABOVE[number] for number in chain])
    assert [one.where for one in missing(deploy.plan(KEY, given, machine=machine).findings)] == where
    deploy(KEY, given, machine=machine)
    assert [one.where for one in audited(machine)] == where


def test_an_issuer_of_the_same_name_with_another_key_is_not_it(machine: Machine) -> None:
    """An authority that was made anew under its name: by name alone the way would seem whole."""
    machine.store("CA").add(STRANGER.certificate)
    (found,) = missing(deploy(KEY, ALONE, machine=machine).findings)
    assert found.found.startswith("the certificate of its issuer CN=Far Issuer is neither with it")
    assert "has another key" in found.found
    assert [one.found for one in audited(machine)] == [found.found]


def test_the_address_in_the_certificate_is_told(machine: Machine) -> None:
    """CaIssuers says where the authority offers it; an OCSP address does not."""
    above = intermediate(root())
    methods = (AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS)
    for count, told in ((1, False), (2, True)):
        access = x509.AuthorityInformationAccess(
            x509.AccessDescription(method, x509.UniformResourceIdentifier(f"http://ca.test/{number}.cer"))
            for number, method in enumerate(methods[:count])
        )
        made = leaf(above).with_extension(access)
        certificate = Certificate(made.certificate(), private_key=made.key)
        (found,) = missing(deploy.plan(KEY, certificate, machine=machine, at=NOW).findings)
        assert ("(its authority offers it at http://ca.test/1.cer)" in found.remedy) is told
        assert "http://ca.test/0.cer" not in found.remedy


def test_a_self_signed_certificate_misses_nobody(machine: Machine) -> None:
    """It is not good, but for other reasons."""
    made = root()
    certificate = Certificate(made.certificate(), private_key=made.key)
    plan = deploy.plan(KEY, certificate, machine=machine, at=NOW, force=True)
    assert missing(plan.findings) == []


@pytest.mark.skipif(sys.platform == "win32", reason="the roots of Windows are in its store Root, not in a file")
def test_roots_of_the_operating_system_count(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file as public authorities give it, leaf and intermediate: its root is in no store of an embedded machine."""
    given = LEAF.with_chain(ABOVE[:2])
    bundle = tmp_path / "bundle.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    bundle.write_bytes(STRANGER.certificate.to_pem())
    assert missing(deploy.plan(KEY, given, machine=machine).findings)
    bundle.write_bytes(ROOT.certificate.to_pem())
    assert missing(deploy.plan(KEY, given, machine=machine).findings) == []
    assert missing(deploy.plan(KEY, ALONE, machine=machine).findings)


def test_what_is_in_disallowed_is_nobodys_issuer(machine: Machine) -> None:
    """As Windows has it."""
    machine.store("CA").add(LEAF.chain[0].with_chain(ABOVE[1:]))
    machine.store("Root").add(ROOT.certificate)
    assert missing(deploy.plan(KEY, ALONE, machine=machine).findings) == []
    machine.store("Disallowed", create=True).add(ISSUER.certificate.with_chain([]))
    assert [one.where for one in missing(deploy.plan(KEY, ALONE, machine=machine).findings)] == ["leaf: issuer"]


def test_a_certificate_of_the_store_by_its_thumbprint_is_looked_at_too(machine: Machine) -> None:
    """It comes without its chain; what store add put into CA is found there."""
    machine.store().add(LEAF.with_chain(ABOVE[:2]))
    machine.store("Root").add(ROOT.certificate)
    assert missing(deploy(KEY, Thumbprint(LEAF.thumbprint), machine=machine).findings) == []
    other = ISSUER.issue("b.test").with_chain([])
    machine.store().add(other)
    machine.store("CA").remove(ISSUER.certificate.thumbprint)
    assert missing(deploy("b.test:443", other.thumbprint, machine=machine).findings)


def test_a_renewal_and_its_plan_say_so(machine: Machine) -> None:
    """A new certificate from elsewhere, without its chain; an authority's own brings it along."""
    deploy(KEY, LEAF, machine=machine)
    other = ROOT.create_intermediate("Other Issuer", key="ec-p256").issue("a.test")
    assert missing(renew.plan(KEY, other.with_chain([]), machine=machine).findings)
    assert missing(renew.plan(KEY, other, machine=machine).findings) == []
    (planned,) = renew_due(ISSUER, machine=machine, due_only=False, dry_run=True)
    assert isinstance(planned.plan, Plan)
    assert missing(planned.plan.findings) == []
    assert missing(renew(KEY, other.with_chain([]), machine=machine).findings)


def test_a_damaged_or_forbidden_file_of_roots_stops_nothing(machine: Machine) -> None:
    """It is a note; the worst without it is a warning more, and the next deployment writes it again."""
    deploy(KEY, LEAF, machine=machine)
    file = machine.state_folder / "roots.json"
    for damaged in (b"", b"[", b"7", b"[7]", b'["?"]', b'["AAAA"]'):
        file.write_bytes(damaged)
        assert [one.where for one in audited(machine)] == ['intermediate "CN=Far Policy": issuer']
    deploy(KEY, POLICY.issue("a.test"), machine=machine)
    assert audited(machine) == []


def test_a_client_that_fetches_nothing_thinks_the_same(tmp_path: Path) -> None:
    """OpenSSL, by the same listener: refused while there is the finding, accepted when there is none."""
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        deploy(KEY, ALONE, machine=machine)
        with machine.listen() as listener:
            address = ("127.0.0.1", listener.port_of(KEY))
            assert audited(machine)
            with (
                pytest.raises(ListenerError, match="unable to get local issuer"),
                tls_client(address, trust=[ROOT], host="a.test"),
            ):
                pass
            deploy(KEY, LEAF, machine=machine)
            assert audited(machine) == []
            with tls_client(address, trust=[ROOT], host="a.test"):
                pass
