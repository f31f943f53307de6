"""Saving over a file with a private key: only the same key, or when asked; whatever format the file is of."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization as s

import programs
from mlsssl import (
    AccessDeniedError,
    Certificate,
    CertificateAuthority,
    CertificateRequest,
    ExistsError,
)
from mlsssl._formats.held_keys import held_keys
from mlsssl._formats.keys import spki
from mlsssl.bundles import java_trust_store, write_pem_files
from mlsssl.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "hunter-22"
CA = CertificateAuthority.create("Kept", key="rsa-2048")
OLD = CA.issue("old.test", key="rsa-2048")
NEW = CA.issue("new.test", key="ec-p256")
PEM = OLD.private_key_pem()
assert OLD.private_key is not None
PUBLIC = spki(OLD.private_key.public_key())
PFX = OLD.to_pfx(PASSWORD)


def old_key(encoding: s.Encoding, form: s.PrivateFormat, password: bytes | None = None) -> bytes:
    """The old key, written by cryptography."""
    assert OLD.private_key is not None
    encryption = s.BestAvailableEncryption(password) if password else s.NoEncryption()
    return OLD.private_key.private_bytes(encoding, form, encryption)


# What holds a key, and whether it can be read with PASSWORD.
HOLDING: dict[str, tuple[bytes, bool]] = {
    "pem": (PEM, True),
    "pem with certificate": (OLD.to_pem() + PEM, True),
    "encrypted pem": (OLD.private_key_pem(PASSWORD), True),
    "encrypted pem, another password": (OLD.private_key_pem("unknown"), False),
    "pkcs1 pem": (old_key(s.Encoding.PEM, s.PrivateFormat.TraditionalOpenSSL), True),
    "openssh": (old_key(s.Encoding.PEM, s.PrivateFormat.OpenSSH), False),
    "pkcs8 der": (old_key(s.Encoding.DER, s.PrivateFormat.PKCS8), True),
    "pkcs1 der": (old_key(s.Encoding.DER, s.PrivateFormat.TraditionalOpenSSL), True),
    "encrypted der": (old_key(s.Encoding.DER, s.PrivateFormat.PKCS8, b"unknown"), False),
    "pfx": (PFX, True),
    "pfx, another password": (OLD.to_pfx("unknown"), False),
    "pvk": (OLD.private_key_pvk(), True),
    "encrypted pvk": (OLD.private_key_pvk("unknown"), False),
    "CryptoAPI blob": (OLD.private_key_pvk()[24:], False),
    "jks": (b"\xfe\xed\xfe\xed\0\0\0\2" + bytes(40), False),
    "jceks": (b"\xce\xce\xce\xce\0\0\0\2" + bytes(40), False),
    "putty": (b"PuTTY-User-Key-File-3: ssh-rsa\n", False),
    "utf-16": (PEM.decode().encode("utf-16"), True),
    "utf-8 with mark": (b"\xef\xbb\xbf" + PEM, True),
    "a hyphen lost": (PEM.replace(b"-----BEGIN", b"----BEGIN"), True),
    "cut off": (PEM[:400], False),
    "literal line ends": (PEM.replace(b"\n", b"\\n"), True),
    "base64 of a pfx": (base64.b64encode(PFX), True),
    "base64 of a pfx, in lines": (base64.encodebytes(PFX), True),
    "base64 of pem": (base64.b64encode(PEM), True),
    "json of a vault": (json.dumps({"id": "x", "value": base64.b64encode(PFX).decode()}).encode(), True),
    "json with pem": (json.dumps({"key": PEM.decode()}).encode(), True),
}
HOLDING_NONE: dict[str, bytes] = {
    "nothing": b"",
    "text": b"no key\n",
    "certificate": OLD.to_pem(),
    "der": OLD.to_der(),
    "p7b": OLD.to_pkcs7(),
    "pfx without key": OLD.without_key().to_pfx(PASSWORD),
    "trust store": java_trust_store([CA.certificate], PASSWORD),
    "request": CertificateRequest.create("a.test", key="ec-p256").to_der(),
    "base64 of a certificate": base64.b64encode(OLD.to_der()),
    "public key": OLD.private_key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo),
    "public key, der": OLD.private_key.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.PKCS1),
    "revocation list": CA.crl().to_der(),
    "noise": bytes(range(256)) * 10,
}


@pytest.mark.parametrize("kind", HOLDING)
def test_another_private_key_is_not_replaced_unless_asked(tmp_path: Path, kind: str) -> None:
    """By a new certificate with its key, nor by a certificate alone; the file stays as it was, to the octet."""
    data, readable = HOLDING[kind]
    for name in ("server.pfx", "server.pem", "server.key", "server.crt", "server.der", "server.p7b"):
        file = tmp_path / name
        file.write_bytes(data)
        password = PASSWORD if name.endswith(("pfx", "pem", "key")) else None
        told = "with another private key" if readable and password else "private key"
        with pytest.raises(ExistsError, match=f"{name} is there already, .*{told}.*overwrite=True") as caught:
            NEW.save(file, password=password)
        assert PASSWORD not in str(caught.value)
        assert file.read_bytes() == data
        assert [one.name for one in tmp_path.iterdir()] == [name]
        NEW.save(file, password=password, overwrite=True)
        assert file.read_bytes() != data
        file.unlink()


@pytest.mark.parametrize("kind", HOLDING)
def test_the_same_key_is_written_again_where_it_can_be_seen_to_be_the_same(tmp_path: Path, kind: str) -> None:
    """A renewed certificate for the same key, another format, another file name."""
    data, readable = HOLDING[kind]
    held = held_keys(data, PASSWORD)
    assert held is not None
    assert held.public_keys == ((PUBLIC,) if readable else (None,))
    file = tmp_path / "server.pfx"
    file.write_bytes(data)
    assert OLD.private_key is not None
    again = CA.issue("old.test", key=OLD.private_key)
    if readable:
        again.save(file, password=PASSWORD)
        assert Certificate.load(file, password=PASSWORD) == again
    else:
        with pytest.raises(ExistsError, match="which is not opened here"):
            again.save(file, password=PASSWORD)
        assert file.read_bytes() == data


@pytest.mark.parametrize("kind", HOLDING_NONE)
def test_what_holds_no_private_key_is_replaced(tmp_path: Path, kind: str) -> None:
    """As ever: certificates, requests, lists, trust stores, anything else."""
    file = tmp_path / "server.pfx"
    file.write_bytes(HOLDING_NONE[kind])
    NEW.save(file, password=PASSWORD)
    assert Certificate.load(file, password=PASSWORD) == NEW


def test_a_trust_store_with_an_unknown_password_may_hold_a_key(tmp_path: Path) -> None:
    """Nobody can tell, so it is not replaced."""
    file = tmp_path / "trust.p12"
    file.write_bytes(java_trust_store([CA.certificate], "unknown"))
    with pytest.raises(ExistsError, match="a PFX with a private key, which is not opened here"):
        NEW.save(file, password=PASSWORD)


def test_of_several_keys_one_that_differs_is_enough(tmp_path: Path) -> None:
    """The file's other key would be lost."""
    file = tmp_path / "both.pem"
    for data in (PEM + NEW.private_key_pem(), NEW.private_key_pem() + PEM):
        file.write_bytes(data)
        with pytest.raises(ExistsError, match="another private key"):
            OLD.save(file)
    file.write_bytes(PEM + PEM)
    OLD.save(file)
    assert file.read_bytes().count(b"PRIVATE KEY") == 2


def test_an_authority_rewrites_its_own_file_only(tmp_path: Path) -> None:
    """The same authority with its own password; another one, and another password, are refused."""
    file = CA.save(tmp_path / "ca.pfx", password=PASSWORD)
    CA.save(file, password=PASSWORD)
    other = CertificateAuthority.create("Kept", key="ec-p256")
    with pytest.raises(ExistsError):
        other.save(file, password=PASSWORD)
    with pytest.raises(ExistsError):
        CA.save(file, password="another password")
    assert CertificateAuthority.load(file, password=PASSWORD) == CA
    CA.save(file, password="another password", overwrite=True)
    other.save(file, password=PASSWORD, overwrite=True)
    assert CertificateAuthority.load(file, password=PASSWORD) == other


def test_requests_and_pem_files_keep_the_rule(tmp_path: Path) -> None:
    """A request over a key, a new key over an old one; the files for another server, all or none."""
    request = CertificateRequest.create("a.test", key="ec-p256")
    file = request.save_key(tmp_path / "a.key")
    request.save_key(file)
    other = CertificateRequest.create("a.test", key="ec-p256")
    writers: tuple[Callable[..., object], ...] = (other.save_key, other.save)
    for write in writers:
        before = file.read_bytes()
        with pytest.raises(ExistsError, match="overwrite=True"):
            write(file)
        assert file.read_bytes() == before
    other.save_key(file, overwrite=True)
    other.save(file, overwrite=True)

    crt, key = write_pem_files(tmp_path, OLD, "nginx")
    write_pem_files(tmp_path, OLD, "nginx")
    kept = crt.read_bytes(), key.read_bytes()
    with pytest.raises(ExistsError, match=r"server\.key"):
        write_pem_files(tmp_path, NEW, "nginx")
    assert (crt.read_bytes(), key.read_bytes()) == kept
    write_pem_files(tmp_path, NEW, "nginx", overwrite=True)
    assert key.read_bytes() == NEW.private_key_pem()


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    """So no key is lost by it."""
    target = tmp_path / "real.key"
    target.write_bytes(PEM)
    link = tmp_path / "server.key"
    link.symlink_to(target)
    NEW.save(link)
    assert (target.read_bytes(), link.is_symlink()) == (PEM, False)


def test_what_cannot_be_looked_at_may_hold_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that this user may not read, in a folder where he may replace it."""
    file = tmp_path / "server.key"
    file.write_bytes(b"no key")

    def forbidden(path: Path) -> bytes:
        raise AccessDeniedError(f"this user may not read {path}", right="read")

    monkeypatch.setattr("mlsssl._machine.kept_keys.files.read", forbidden)
    with pytest.raises(ExistsError, match="may hold a private key, for it cannot be looked at"):
        NEW.save(file)


def test_keys_of_other_programs_are_known(tmp_path: Path) -> None:
    """What openssl and keytool write."""
    made: dict[str, list[str]] = {
        "genpkey.pem": ["openssl", "genpkey", "-algorithm", "ED25519", "-out", "genpkey.pem"],
        "ec.der": ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-outform", "DER", "-out", "ec.der"],
        "store.jks": [
            *("keytool", "-genkeypair", "-alias", "a", "-keyalg", "EC", "-storetype", "JKS", "-dname", "CN=a"),
            *("-storepass", PASSWORD, "-keypass", PASSWORD, "-keystore", "store.jks"),
        ],
    }
    for name, (program, *words) in made.items():
        subprocess.run([programs.require(program), *words], cwd=tmp_path, check=True, capture_output=True)
        assert held_keys((tmp_path / name).read_bytes(), None) is not None, name


def test_the_command_line_replaces_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By --overwrite or --force; the old tools' lines too, which have no such option of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PW", PASSWORD)
    CA.save("ca.pfx", password=PASSWORD)
    OLD.save("old.pem")
    authority = ["--ca", "ca.pfx", "--ca-password", "env:PW"]
    writers = [
        ["issue", "a.test", *authority, "--key", "ec-p256", "--out", "kept.pem"],
        ["ca", "create", "Other", "--key", "ec-p256", "--out", "kept.pem"],
        ["ca", "create", "Other", "--key", "ec-p256", "--out", "o.pem", "--certificate-out", "kept.pem", "--overwrite"],
        ["ca", "crl", *authority, "--out", "kept.pem"],
        ["pfx", "old.pem", "--password", "env:PW", "--out", "kept.pfx"],
        ["makecert", "-r", "-n", "CN=a.test", "-ss", "my", "kept.pem", "--machine", "m.sqlite"],
        ["makecert", "-r", "-n", "CN=a.test", "-sv", "a.pvk", "kept.pem", "--password", "none"],
    ]
    for words in writers:
        file = Path(next(word for word in words if word.startswith("kept.")))
        file.write_bytes(NEW.to_pfx("unknown") if file.suffix == ".pfx" else NEW.private_key_pem())
        before = file.read_bytes()
        asked = "--overwrite" in words
        if not asked:
            assert main(words) == 4, words
            assert "--overwrite replaces it" in capsys.readouterr().err
            assert file.read_bytes() == before
            assert main([*words, "--overwrite"]) == 0, words
        else:
            assert main(words) == 0
        assert file.read_bytes() != before
    assert main(["issue", "a.test", *authority, "--out", "old.pem", "--force"]) == 0


def test_one_file_for_the_key_and_the_certificate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second would replace the first, asked or not."""
    monkeypatch.chdir(tmp_path)
    for words in (
        ["ca", "create", "A", "--out", "a.pem", "--certificate-out", "./a.pem"],
        ["ca", "create", "A", "--out", "a.pem", "--certificate-out", str(tmp_path / "a.pem"), "--overwrite"],
        ["makecert", "-r", "-n", "CN=a.test", "-sv", "a.pem", "a.pem", "--password", "none", "--overwrite"],
    ):
        assert main(words) == 2
        assert "would replace" in capsys.readouterr().err
        assert not [*tmp_path.iterdir()]
