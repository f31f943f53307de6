"""What a machine's stores know of a certificate: issuers, revocation lists and roots, in every check of it."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING

import pytest

from chains import NOW, ec_key, leaf, root
from mlsssl import (
    Certificate,
    CertificateAuthority,
    ClosedError,
    EmbeddedMachine,
    RevocationList,
    StoreEntry,
    ValidationError,
    audit,
    deploy,
)
from mlsssl._deploy.issuers import KnownIssuers
from mlsssl._formats.parsed import View
from mlsssl._issue.revocation_lists import build_crl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlsssl.values import Location

ROOT = CertificateAuthority.create("Stored Root", key="ec-p256")
ISSUER = ROOT.create_intermediate("Stored Issuer", key="ec-p256")
STRANGER = CertificateAuthority.create("Stored Issuer", key="ec-p256")  # the same name, another key
LEAF = ISSUER.issue("a.test")


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Iterator[EmbeddedMachine]:
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        yield machine


def added(machine: EmbeddedMachine, *, trust_root: bool = True, location: Location = "LocalMachine") -> StoreEntry:
    """The leaf in MY, its issuer in CA, and the root in Root when it is to be trusted."""
    return machine.store(location=location).add(LEAF, trust_root=trust_root)


def add_list(
    machine: EmbeddedMachine,
    crl: RevocationList,
    store: str = "CA",
    location: Location = "LocalMachine",
) -> None:
    """Into a store, as an administrator does it."""
    with machine.store(store, location=location) as opened:
        opened.add_crl(crl)


def test_issuers_and_roots_come_from_the_stores(machine: EmbeddedMachine) -> None:
    """The entry itself has no chain; the root counts because it is in Root, and only then."""
    entry = added(machine)
    assert entry.certificate.chain == ()
    report = entry.check("a.test")
    assert report.trusted
    assert report.findings == ()
    assert len(report.path) == 3
    with machine.store("Root") as roots:
        roots.remove(ROOT.certificate.thumbprint)
    assert entry.check("a.test").codes == ("issuer-not-found",)
    assert entry.check("a.test", trust=[ROOT]).findings == ()
    assert entry.check("a.test", trust=["system", ROOT]).findings == ()
    with machine.store("CA") as authorities:
        authorities.remove(ISSUER.certificate.thumbprint)
    assert entry.check("a.test", trust=[ROOT]).codes == ("issuer-not-found",)


def test_what_is_disallowed_is_nobodys_issuer(machine: EmbeddedMachine) -> None:
    """Neither a root nor an intermediate."""
    entry = added(machine)
    assert entry.check("a.test")
    with machine.store("Disallowed") as disallowed:
        disallowed.add(ISSUER.certificate)
        assert not entry.check("a.test")
        disallowed.remove(ISSUER.certificate.thumbprint)
        assert entry.check("a.test")
        disallowed.add(ROOT.certificate)
        assert not entry.check("a.test")


def test_what_is_disallowed_is_not_trusted_because_the_operating_system_does(
    machine: EmbeddedMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor because the caller does, as on Windows; another root beside it still is, and one that was archived there."""
    bundle = tmp_path / "roots.pem"
    bundle.write_bytes(
        CertificateAuthority.create("Other", key="ec-p256").certificate.to_pem() + ROOT.certificate.to_pem()
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    entry = added(machine, trust_root=False)
    issuers = KnownIssuers(machine.port)
    root = View(ROOT.certificate.to_cryptography())
    read_here = sys.platform != "win32"  # where the system's own chain engine reads no bundle
    assert entry.check("a.test").trusted == read_here
    assert entry.check("a.test", trust=[ROOT])
    assert issuers.trusts(root) == read_here
    with machine.store("Disallowed") as disallowed:
        disallowed.add(ROOT.certificate)
        assert not entry.check("a.test").trusted
        assert not entry.check("a.test", trust=[ROOT]).trusted
        assert not KnownIssuers(machine.port).trusts(root)
        machine.port.open_store("Disallowed", "LocalMachine", write=True).set_archived(
            ROOT.certificate.thumbprint, True
        )
        assert entry.check("a.test").trusted == read_here
        assert entry.check("a.test", trust=[ROOT])


@pytest.mark.parametrize("store", ["MY", "CA", "Root"])
def test_a_list_in_a_store_revokes(machine: EmbeddedMachine, store: str) -> None:
    """Wherever of the three it lies; a list that names others does not, nor one of a namesake's key."""
    entry = added(machine)
    add_list(machine, ISSUER.crl([(LEAF, dt.datetime.now(dt.timezone.utc), "keyCompromise")]), store)
    add_list(machine, ROOT.crl(), "Root")
    report = entry.check("a.test")
    assert [finding.code for finding in report.errors] == ["revoked"]
    assert "keyCompromise" in report.errors[0].found
    assert entry.check("a.test", trust=[ROOT]).codes == ("revoked",)
    assert entry.check("a.test", trust=None).errors


def test_a_list_that_does_not_name_it_is_no_finding(machine: EmbeddedMachine) -> None:
    """The failing twins of the test above."""
    entry = added(machine)
    add_list(machine, ISSUER.crl([LEAF.serial_number + 1]))
    add_list(machine, ROOT.crl([LEAF.serial_number]), "Root")
    assert entry.check("a.test", revocation="hard").findings == ()


def test_a_namesakes_list_is_not_believed(machine: EmbeddedMachine) -> None:
    """Its key is another one: a warning, and with `hard` an error, but never revoked."""
    entry = added(machine)
    add_list(machine, STRANGER.crl([LEAF.serial_number]))
    add_list(machine, ROOT.crl())
    assert entry.check("a.test").codes == ("crl-invalid",)
    assert [finding.code for finding in entry.check("a.test", revocation="hard").errors] == ["crl-invalid"]


def test_a_revoked_issuer_is_found_too(machine: EmbeddedMachine) -> None:
    """Each certificate of the path below the root is looked up."""
    entry = added(machine)
    add_list(machine, ISSUER.crl())
    add_list(machine, ROOT.crl([ISSUER.certificate]))
    (error,) = entry.check("a.test").errors
    assert (error.code, "Stored Issuer" in error.where) == ("revoked", True)


def test_without_lists_hard_refuses_and_given_ones_count(machine: EmbeddedMachine) -> None:
    """Lists given and lists found are one collection."""
    entry = added(machine)
    assert {finding.code for finding in entry.check("a.test", revocation="hard").errors} == {"crl-not-found"}
    add_list(machine, ROOT.crl())
    assert entry.check("a.test", crls=[ISSUER.crl()], revocation="hard").findings == ()
    assert entry.check("a.test", crls=[ISSUER.crl([LEAF])]).codes == ("revoked",)


def test_a_user_sees_the_machines_stores_too(machine: EmbeddedMachine) -> None:
    """CurrentUser's stores stand in front of LocalMachine's, as on Windows; not the other way round."""
    machine.store("Root").add(ROOT.certificate)
    machine.store("CA").add(ISSUER.certificate)
    add_list(machine, ISSUER.crl([LEAF]))
    add_list(machine, ROOT.crl())
    of_user = machine.store(location="CurrentUser").add(LEAF.with_chain([]))
    assert of_user.check("a.test").codes == ("revoked",)


def test_what_only_a_user_knows_says_nothing_to_the_machine(machine: EmbeddedMachine) -> None:
    """The other way round."""
    entry = added(machine)
    add_list(machine, ISSUER.crl([LEAF]), location="CurrentUser")
    assert entry.check("a.test").findings == ()


def test_foreign_certificates_and_lists_in_the_stores_stop_nothing(machine: EmbeddedMachine) -> None:
    """Other names, other keys: passed over."""
    entry = added(machine)
    other = CertificateAuthority.create("Somebody Else", key="ec-p256")
    machine.store("Root").add(other.certificate)
    machine.store("CA").add(STRANGER.certificate)
    add_list(machine, other.crl([LEAF.serial_number]))
    assert entry.check("a.test").findings == ()


def test_a_closed_machine_is_told(machine: EmbeddedMachine) -> None:
    """Rather than a verdict without what its stores would have said."""
    entry = added(machine)
    machine.close()
    with pytest.raises(ClosedError):
        entry.check("a.test")


def test_deploy_refuses_what_a_list_in_the_store_revokes(machine: EmbeddedMachine) -> None:
    """Nothing is changed; with a list that names another one it is deployed."""
    add_list(machine, ROOT.crl())
    add_list(machine, ISSUER.crl([LEAF]))
    with pytest.raises(ValidationError, match="revoked"):
        deploy("0.0.0.0:443", LEAF, machine=machine)
    assert list(machine.bindings) == []
    assert len(machine.store()) == 0
    deploy("0.0.0.0:443", ISSUER.issue("a.test"), machine=machine)
    assert len(list(machine.bindings)) == 1


def test_audit_tells_of_a_bound_certificate_that_was_revoked(machine: EmbeddedMachine) -> None:
    """From the day its issuer's list is in a store."""
    deploy("0.0.0.0:443", LEAF, machine=machine)
    add_list(machine, ROOT.crl())
    assert audit(machine=machine).ok
    add_list(machine, ISSUER.crl([LEAF]))
    (row,) = audit(machine=machine).rows
    assert "revoked" in [finding.code for finding in row.findings]
    assert not audit(machine=machine).ok


def test_two_lists_made_within_a_second_are_older_and_newer(machine: EmbeddedMachine) -> None:
    """Their dates have whole seconds; the number of a list of ours tells them apart."""
    entry = added(machine)
    first, second = ISSUER.crl(), ISSUER.crl([LEAF])
    with machine.store("CA") as authorities:
        authorities.add_crl(ROOT.crl())
        authorities.add_crl(first)
        assert entry.check("a.test").findings == ()
        authorities.add_crl(second)
        assert entry.check("a.test").codes == ("revoked",)
        assert len(authorities.crls()) == 2


def test_names_in_stores_compare_as_rfc_5280_says(machine: EmbeddedMachine) -> None:
    """Without case and runs of blanks: the issuer and its list are found though their octets differ."""
    upper = root("SPACED  Root", 60)
    below = leaf(root("Spaced root", 60), "a.test")
    machine.store("Root").add(Certificate.from_der(upper.der()))
    entry = machine.store().add(Certificate.from_der(below.der()))
    report = entry.check("a.test", at=NOW)
    assert report.trusted
    revoked = build_crl(upper.certificate(), ec_key(60), [(below.serial, NOW, None)], at=NOW, number=1)
    add_list(machine, RevocationList(revoked))
    assert "revoked" in entry.check("a.test", at=NOW).codes
