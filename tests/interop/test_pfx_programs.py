"""A PFX of ours is read by others, theirs by us, and a wrong password is refused by both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.conftest import PASSWORD
from mlsssl import Certificate, InvalidInputError, WrongPasswordError, explain_pfx
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


_READS_BY_JAVA = """
import java.io.FileInputStream;
import java.security.KeyStore;
class Reads {
    public static void main(String[] words) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        char[] password = words[1].equals("none") ? null
            : words[1].equals("empty") ? new char[0] : "p\\u00e4ss".toCharArray();
        store.load(new FileInputStream(words[0]), password);
        String alias = store.aliases().nextElement();
        System.out.println("key " + (store.getKey(alias, password == null ? new char[0] : password) != null));
    }
}
"""


@pytest.mark.parametrize("target", [None, "openssl-3", "java-17"])
def test_others_read_what_we_write_without_a_password(issued: Issued, tmp_path: Path, target: str | None) -> None:
    """With none and with the empty one; and not with another."""
    file = issued.leaf.with_friendly_name("open").save(tmp_path / "open.pfx", no_password=True, readable_by=target)
    for password, code in (("", 0), ("x", 1)):
        done = run("openssl", "pkcs12", "-in", file, "-nodes", "-passin", f"pass:{password}")
        assert (done.returncode, b"BEGIN PRIVATE KEY" in done.stdout) == (code, code == 0)
    listed = run("certtool", "--p12-info", "--inder", "--infile", file, "--empty-password")
    assert b"BEGIN CERTIFICATE" in listed.stdout, output(listed)
    database = f"sql:{tmp_path}"
    assert run("certutil", "-N", "-d", database, "--empty-password").returncode == 0
    assert run("pk12util", "-i", file, "-d", database, "-W", "x").returncode != 0
    taken = run("pk12util", "-i", file, "-d", database, "-W", "")
    assert taken.returncode == 0, output(taken)
    source = tmp_path / "Reads.java"
    source.write_text(_READS_BY_JAVA)
    for word in ("none", "empty"):
        done = run("java", source, file, word)
        assert b"key true" in done.stdout, output(done)
    assert b"key true" not in run("java", source, file, "other").stdout


@pytest.mark.parametrize("target", ["java-8", "java-17"])
def test_java_takes_no_password_outside_ascii(
    issued: Issued, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What we refuse to write for it, it does not read; OpenSSL does."""
    with pytest.raises(InvalidInputError, match="ASCII"):
        issued.leaf.to_pfx("p\u00e4ss", readable_by=target)
    monkeypatch.setattr("mlsssl._formats.pkcs12.write.check_readable", lambda *_: None)
    file = tmp_path / "umlaut.pfx"
    file.write_bytes(issued.leaf.to_pfx("p\u00e4ss", readable_by=target))
    source = tmp_path / "Reads.java"
    source.write_text(_READS_BY_JAVA)
    secret = _secret(tmp_path, "p\u00e4ss")
    refused = run("java", source, file, "umlaut")
    assert refused.returncode != 0
    assert "Password is not ASCII" in output(refused)
    read = run("openssl", "pkcs12", "-in", file, "-noout", "-passin", f"file:{secret}")
    assert read.returncode == 0, output(read)


@pytest.mark.parametrize(
    ("mac", "openssl", "java", "gnutls"),
    [("sha512-256", True, True, False), ("sha3-256", True, False, False), ("sha256", True, True, True)],
)
def test_who_reads_rare_macs(
    issued: Issued, tmp_path: Path, mac: str, *, openssl: bool, java: bool, gnutls: bool
) -> None:
    """The table of targets says what the programs do."""
    file, secret = tmp_path / "mac.p12", _secret(tmp_path, "keytool-56")
    made = run(
        "openssl", "pkcs12", "-export", "-inkey", issued.file("leaf.key"), "-in", issued.file("leaf.crt"), "-name", "x",
        "-macalg", mac, "-out", file, "-passout", f"file:{secret}",
    )  # fmt: skip
    assert made.returncode == 0, output(made)
    explained = explain_pfx(file.read_bytes(), "keytool-56")
    assert run("openssl", "pkcs12", "-in", file, "-noout", "-passin", f"file:{secret}").returncode == 0
    assert explained.readable_by("openssl-3") is openssl
    listed = run(
        "keytool", "-list", "-keystore", file, "-storepass:env", "STOREPASS", environment={"STOREPASS": "keytool-56"}
    )
    assert (listed.returncode == 0) is java is explained.readable_by("java-17")
    info = run("certtool", "--p12-info", "--inder", "--infile", file, "--password", "keytool-56")
    assert ("verify_mac" not in output(info)) is gnutls is explained.readable_by("gnutls")
    database = f"sql:{tmp_path}"
    assert run("certutil", "-N", "-d", database, "--empty-password").returncode == 0
    taken = run("pk12util", "-i", file, "-d", database, "-w", secret)
    assert (taken.returncode == 0) is gnutls is explained.readable_by("nss")
