"""`trust="system"` off Windows: the bundle that OpenSSL would read, and what happens where there is none."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from mlsssl import CertificateAuthority, NotFoundError
from mlsssl._machine import system_roots
from programs import output, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has a chain engine of its own to ask")

CA = CertificateAuthority.create("Trusted Root", key="ec-p256")
OTHER = CertificateAuthority.create("Another Root", key="ec-p256")
LEAF = CA.issue("a.example")


def test_a_bundle_named_by_the_environment_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With comments and a damaged block in it, as bundles have; without our root the answer turns."""
    damaged = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"# Trusted Root\n" + damaged + CA.certificate.to_pem() + OTHER.certificate.to_pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert LEAF.check("a.example", trust="system")
    bundle.write_bytes(OTHER.certificate.to_pem())
    report = LEAF.check("a.example", trust="system")
    assert [finding.code for finding in report.errors] == ["root-not-trusted"]


@pytest.mark.parametrize(
    ("settings", "trusted"),
    [
        ([], True),
        (["-setalias", "ours"], True),
        (["-addtrust", "serverAuth"], True),
        (["-addtrust", "emailProtection", "-addtrust", "anyExtendedKeyUsage"], True),
        (["-addreject", "emailProtection"], True),
        (["-addtrust", "clientAuth"], False),
        (["-addreject", "serverAuth"], False),
        (["-addtrust", "serverAuth", "-addreject", "serverAuth"], False),
    ],
)
def test_what_openssl_trusts_with_settings_of_its_own_is_trusted_as_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: list[str], trusted: bool
) -> None:
    """A `TRUSTED CERTIFICATE`, as Fedora's bundle for OpenSSL has them; OpenSSL is asked, too."""
    bundle, leaf = tmp_path / "bundle.pem", tmp_path / "leaf.pem"
    leaf.write_bytes(LEAF.to_pem())
    made = run("openssl", "x509", "-trustout", *settings, stdin=CA.certificate.to_pem())
    assert made.returncode == 0, output(made)
    bundle.write_bytes(OTHER.certificate.to_pem() + made.stdout)
    assert b"BEGIN TRUSTED CERTIFICATE" in made.stdout
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert LEAF.check("a.example", trust="system").trusted is trusted
    verified = run("openssl", "verify", "-purpose", "sslserver", "-CAfile", bundle, leaf)
    assert (verified.returncode == 0) is trusted
    bundle.write_bytes(OTHER.certificate.to_pem() + made.stdout.replace(b"TRUSTED ", b"X509 "))
    assert LEAF.check("a.example", trust="system").trusted is (settings == [])


def test_folders_of_hash_named_files_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`c_rehash` names; other names in the folder are not roots, and a dangling link takes none away."""
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "0a1b2c3d.0").write_bytes(CA.certificate.to_pem())
    (folder / "notes.pem").write_bytes(OTHER.certificate.to_pem())
    (folder / "ffffffff.0").symlink_to(tmp_path / "nowhere")
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([str(folder), str(tmp_path / "missing")]))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert system_roots.system_roots() == [CA.certificate.to_der()]


def test_a_folder_that_cannot_be_takes_no_other_root_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name too long, or a pipe under a hashed name, which would be waited for."""
    (tmp_path / "0a1b2c3d.0").write_bytes(CA.certificate.to_pem())
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "0a1b2c3d.1")
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(["n" * 300, str(tmp_path)]))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert system_roots.system_roots() == [CA.certificate.to_der()]


def test_without_a_bundle_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of trusting nothing, which would read like a fault of the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with pytest.raises(NotFoundError, match="ca-certificates"):
        LEAF.check("a.example", trust="system")


def test_the_systems_own_bundle_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment says nothing: many roots, or a clear word."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    try:
        roots = system_roots.system_roots()
    except NotFoundError:
        pytest.skip("no CA bundle is installed here")
    assert len(roots) > 50


def test_the_systems_roots_and_others_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either is enough; a third authority is still a stranger."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(OTHER.certificate.to_pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    theirs = OTHER.issue("a.example")
    for leaf in (LEAF, theirs):
        assert leaf.check("a.example", trust=["system", CA])
    assert not LEAF.check("a.example", trust=["system"])
    assert not theirs.check("a.example", trust=[CA])
    third = CertificateAuthority.create("Third Root", key="ec-p256").issue("a.example")
    assert not third.check("a.example", trust=["system", CA])
