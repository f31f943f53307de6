"""A root change as OpenSSL and GnuTLS see it: which clients find their way with which cross-certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlsssl import Certificate, CertificateAuthority
from programs import output, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = "a.corp.test"
# Leaf, what is sent with it, what the client trusts, and whether it can accept that.
WAYS = [
    ("before", "", "old", True),
    ("before", "", "new", False),
    ("before", "old-with-new", "new", True),
    ("before", "old-with-new", "old", True),
    ("after", "new-with-old", "old", True),
    ("after", "new-with-old", "new", True),
    ("after", "", "new", True),
    ("after", "", "old", False),
    ("below", "middle", "old", False),
    ("below", "middle new-with-old", "old", True),
    ("below", "middle new-with-old", "new", True),
    ("beyond", "new-with-old", "old", False),  # outside of the name constraints, which the cross-certificate keeps
    ("kept", "", "old", True),  # by the same key under new dates
    ("before", "", "longer", True),
]


@pytest.fixture(name="folder", scope="module", params=["ec-p256", "rsa-2048"])
def _folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every certificate of a root change as PEM."""
    folder = tmp_path_factory.mktemp("root-change")
    old = CertificateAuthority.create("Changing Root", key=request.param, permitted=["corp.test"], path_length=1)
    renewed = old.renew()
    assert renewed.bridge is not None
    assert renewed.new_with_old is not None
    assert renewed.old_with_new is not None
    longer = old.renew(reuse_key=True, days=5000).authority
    middle = renewed.bridge.create_intermediate("Middle")
    new_key = Certificate.load(renewed.authority.save(folder / "new-with-key.pem")).private_key
    assert new_key is not None
    unlimited = CertificateAuthority.create("Changing Root", key=new_key)
    made = {
        "old": old.certificate,
        "new": renewed.authority.certificate,
        "longer": longer.certificate,
        "new-with-old": renewed.new_with_old,
        "old-with-new": renewed.old_with_new,
        "middle": middle.certificate,
        "before": old.issue(HOST),
        "after": renewed.bridge.issue(HOST),
        "kept": longer.issue(HOST),
        "below": middle.issue(HOST),
        "beyond": unlimited.issue("a.other.test"),
    }
    for name, certificate in made.items():
        (folder / f"{name}.pem").write_bytes(certificate.to_pem())
    return folder


def _openssl(folder: Path, leaf: str, sent: str, trusted: str) -> tuple[bool, str]:
    untrusted = [word for one in sent.split() for word in ("-untrusted", str(folder / f"{one}.pem"))]
    result = run(
        "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-no-CAstore", "-no-CApath",
        "-CAfile", folder / f"{trusted}.pem", *untrusted, folder / f"{leaf}.pem",
    )  # fmt: skip
    return result.returncode == 0, output(result)


def _gnutls(folder: Path, leaf: str, sent: str, trusted: str) -> tuple[bool, str]:
    chain = folder / f"{leaf}-{trusted}-{len(sent)}-chain.pem"
    chain.write_bytes(b"".join((folder / f"{one}.pem").read_bytes() for one in (leaf, *sent.split())))
    result = run(
        "certtool", "--verify", "--verify-profile", "medium", "--verify-purpose", "1.3.6.1.5.5.7.3.1",
        "--load-ca-certificate", folder / f"{trusted}.pem", "--infile", chain,
    )  # fmt: skip
    return result.returncode == 0, output(result)


@pytest.mark.parametrize("verify", [_openssl, _gnutls])
@pytest.mark.parametrize(("leaf", "sent", "trusted", "accepted"), WAYS)
def test_each_client_of_a_root_change(
    folder: Path,
    verify: Callable[[Path, str, str, str], tuple[bool, str]],
    leaf: str,
    sent: str,
    trusted: str,
    accepted: bool,
) -> None:
    """With only the old root, only the new one, and the old key under new dates; each with its failing twin."""
    if verify is _gnutls and (leaf, trusted) == ("below", "old"):
        accepted = False  # GnuTLS 3.7 counts the cross-certificate in the path length, unlike RFC 5280
    found, text = verify(folder, leaf, sent, trusted)
    assert found is accepted, text
