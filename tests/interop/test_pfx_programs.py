"""A PFX of ours is read by others, theirs by us, and a wrong password is refused by both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.conftest import PASSWORD
from mlsssl import Certificate, WrongPasswordError
from programs import output, run

if TYPE_CHECKING:
    from pathlib import Path

    from interop.conftest import Issued


def _secret(tmp_path: Path, password: str) -> Path:
    """Passwords go through files here too: an argument would be read by others."""
    file = tmp_path / "password.txt"
    file.write_text(password, encoding="utf-8")
    return file


@pytest.mark.parametrize("target", [None, "windows-server-2016", "openssl-3"])
def test_openssl_reads_ours(issued: Issued, tmp_path: Path, target: str | None) -> None:
    """Key, certificate and both issuers; not with another password."""
    file = tmp_path / "ours.pfx"
    issued.leaf.save(file, password=PASSWORD, readable_by=target)
    right = run("openssl", "pkcs12", "-in", file, "-nodes", "-legacy", "-passin", f"file:{_secret(tmp_path, PASSWORD)}")
    assert right.returncode == 0, output(right)
    assert right.stdout.count(b"BEGIN CERTIFICATE") == 3
    assert right.stdout.count(b"PRIVATE KEY-----") == 2
    wrong = run("openssl", "pkcs12", "-in", file, "-nodes", "-legacy", "-passin", f"file:{_secret(tmp_path, 'no')}")
    assert wrong.returncode != 0


def test_we_read_openssls(issued: Issued, tmp_path: Path) -> None:
    """Modern encryption, with a friendly name."""
    file = tmp_path / "theirs.pfx"
    made = run(
        "openssl", "pkcs12", "-export", "-inkey", issued.file("leaf.key"), "-in", issued.file("full.crt"),
        "-name", "theirs", "-out", file, "-passout", f"file:{_secret(tmp_path, PASSWORD)}",
    )  # fmt: skip
    assert made.returncode == 0, output(made)
    read = Certificate.load(file, password=PASSWORD)
    assert (read, read.chain, read.has_private_key) == (issued.leaf, issued.leaf.chain, True)
    assert read.friendly_name == "theirs"
    with pytest.raises(WrongPasswordError):
        Certificate.load(file, password="no")


def test_gnutls_reads_ours_and_we_read_theirs(issued: Issued, tmp_path: Path) -> None:
    """By certtool; its passwords must be ASCII on the command line, so a plain one is used."""
    plain = "certtool-5"
    ours, theirs = tmp_path / "ours.pfx", tmp_path / "theirs.pfx"
    issued.leaf.save(ours, password=plain)
    read = run("certtool", "--p12-info", "--inder", "--infile", ours, "--password", plain)
    assert read.returncode == 0, output(read)
    assert b"BEGIN CERTIFICATE" in read.stdout
    refused = run("certtool", "--p12-info", "--inder", "--infile", ours, "--password", "no")
    assert "BEGIN PRIVATE KEY" not in output(refused)
    assert refused.returncode != 0 or "MAC: " in output(refused)
    made = run(
        "certtool", "--to-p12", "--load-certificate", issued.file("leaf.crt"), "--load-privkey",
        issued.file("leaf.key"), "--p12-name", "theirs", "--outder", "--outfile", theirs, "--password", plain,
    )  # fmt: skip
    assert made.returncode == 0, output(made)
    assert Certificate.load(theirs, password=plain) == issued.leaf
    with pytest.raises(WrongPasswordError):
        Certificate.load(theirs, password="no")


def test_nss_reads_ours_and_we_read_theirs(issued: Issued, tmp_path: Path) -> None:
    """By pk12util into a fresh database, and out of it again."""
    database = tmp_path / "nss"
    database.mkdir()
    store = f"sql:{database}"
    assert run("certutil", "-N", "-d", store, "--empty-password").returncode == 0
    secret = _secret(tmp_path, PASSWORD)
    ours, theirs = tmp_path / "ours.pfx", tmp_path / "theirs.pfx"
    issued.leaf.with_friendly_name("ours").save(ours, password=PASSWORD)
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("no", encoding="utf-8")
    assert run("pk12util", "-i", ours, "-d", store, "-w", wrong).returncode != 0
    taken = run("pk12util", "-i", ours, "-d", store, "-w", secret)
    assert taken.returncode == 0, output(taken)
    given = run("pk12util", "-o", theirs, "-n", "ours", "-d", store, "-w", secret)
    assert given.returncode == 0, output(given)
    assert Certificate.load(theirs, password=PASSWORD) == issued.leaf


def test_keytool_reads_ours_and_we_read_theirs(issued: Issued, tmp_path: Path) -> None:
    """Java's own reader and writer."""
    ours, theirs = tmp_path / "ours.pfx", tmp_path / "theirs.pfx"
    plain = "keytool-56"  # keytool wants six characters at least
    issued.leaf.with_friendly_name("ours").save(ours, password=plain)
    environment = {"STOREPASS": plain, "WRONGPASS": "not-this-one"}
    listed = run(
        "keytool", "-list", "-v", "-storetype", "PKCS12", "-keystore", ours, "-storepass:env", "STOREPASS",
        environment=environment,
    )  # fmt: skip
    assert listed.returncode == 0, output(listed)
    assert b"PrivateKeyEntry" in listed.stdout
    assert b"Certificate chain length: 3" in listed.stdout
    refused = run(
        "keytool", "-list", "-storetype", "PKCS12", "-keystore", ours, "-storepass:env", "WRONGPASS",
        environment=environment,
    )  # fmt: skip
    assert refused.returncode != 0
    copied = run(
        "keytool", "-importkeystore", "-noprompt", "-srckeystore", ours, "-srcstoretype", "PKCS12",
        "-srcstorepass:env", "STOREPASS", "-destkeystore", theirs, "-deststoretype", "PKCS12",
        "-deststorepass:env", "STOREPASS", environment=environment,
    )  # fmt: skip
    assert copied.returncode == 0, output(copied)
    assert Certificate.load(theirs, password=plain) == issued.leaf
