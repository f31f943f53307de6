"""PEM files for other servers, and trust stores for Java."""

from __future__ import annotations

import re
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from made_certificates import shared_key
from mlsssl import Certificate, CertificateAuthority
from mlsssl._formats.pkcs12.read import load_pfx
from mlsssl.bundles import Server, java_trust_store, pem_files, write_pem_files
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

ROOT = CertificateAuthority.create("Root", key=shared_key(1))
BELOW = ROOT.create_intermediate("Below", key=shared_key(2))
LEAF = BELOW.issue("www.example.com", key=shared_key(3))


def _labels(data: bytes) -> list[str]:
    return re.findall(r"-----BEGIN ([A-Z ]+)-----", data.decode())


def _subjects(data: bytes) -> list[str | None]:
    blocks = re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", data, re.DOTALL)
    return [Certificate.from_pem(block).common_name for block in blocks]


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_two_files(server: Server) -> None:
    """Certificate, intermediates upwards, no root; the key beside it."""
    files = pem_files(LEAF, server, name="www")
    assert list(files) == ["www.crt", "www.key"]
    assert _subjects(files["www.crt"]) == ["www.example.com", "Below"]
    assert _labels(files["www.key"]) == ["PRIVATE KEY"]
    encrypted = pem_files(LEAF, server, password="secret")["server.key"]
    assert _labels(encrypted) == ["ENCRYPTED PRIVATE KEY"]
    assert serialization.load_pem_private_key(encrypted, b"secret").public_key() == shared_key(3).public_key()
    with pytest.raises(ValueError):
        serialization.load_pem_private_key(encrypted, b"wrong")


def test_one_file() -> None:
    """HAProxy wants everything in one."""
    files = pem_files(LEAF, "haproxy")
    assert _labels(files["server.pem"]) == ["CERTIFICATE", "CERTIFICATE", "PRIVATE KEY"]


def test_files_on_disk(tmp_path: Path) -> None:
    """What holds the key is private."""
    certificate, key = write_pem_files(tmp_path, LEAF, "nginx")
    assert certificate.read_bytes() == pem_files(LEAF, "nginx")["server.crt"]
    if sys.platform != "win32":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (single,) = write_pem_files(tmp_path, LEAF, "haproxy")
    if sys.platform != "win32":
        assert stat.S_IMODE(single.stat().st_mode) == 0o600


def test_bad_arguments() -> None:
    """Unknown server, a path for a name, a password that nobody can give, no key."""
    with pytest.raises(InvalidInputError, match="server is one of"):
        pem_files(LEAF, "iis")  # type: ignore[arg-type]
    for name in ("", "../x", "a/b", "a\\b"):
        with pytest.raises(InvalidInputError, match="without a path"):
            pem_files(LEAF, "nginx", name=name)
    with pytest.raises(InvalidInputError, match="HAProxy"):
        pem_files(LEAF, "haproxy", password="secret")
    with pytest.raises(InvalidInputError, match="no private key"):
        pem_files(LEAF.without_key(), "nginx")


def test_trust_stores() -> None:
    """Every certificate is in it; names are aliases."""
    for target in (None, "java-8"):
        data = java_trust_store([ROOT.certificate, BELOW.certificate], "secret-word", readable_by=target)
        loaded = load_pfx(data, "secret-word")
        assert loaded.private_key is None
        assert {loaded.certificate, *loaded.others} == {
            ROOT.certificate.to_cryptography(),
            BELOW.certificate.to_cryptography(),
        }
    named = load_pfx(java_trust_store({"my root": ROOT.certificate}, "secret-word"), "secret-word")
    assert named.friendly_name == "my root"


def test_trust_stores_that_cannot_be() -> None:
    """Java's own rules."""
    with pytest.raises(InvalidInputError, match="six"):
        java_trust_store([ROOT.certificate], "short")
    with pytest.raises(InvalidInputError, match="at least one"):
        java_trust_store([], "secret-word")
    with pytest.raises(InvalidInputError, match="case of aliases"):
        java_trust_store({"a": ROOT.certificate, "A": BELOW.certificate}, "secret-word")
    with pytest.raises(InvalidInputError, match="readable_by"):
        java_trust_store([ROOT.certificate], "secret-word", readable_by="java-1")
