"""`Certificate`: reading by content, writing whole and private, saying what is in it."""

from __future__ import annotations

import os
import pickle
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsssl import (
    Certificate,
    CertificateAuthority,
    CertificateRequest,
    EmbeddedMachine,
    InvalidInputError,
    MalformedDataError,
    NotFoundError,
    UnsupportedError,
    WrongPasswordError,
)
from mlsssl._formats import pem
from repetitions import examples

if TYPE_CHECKING:
    from pathlib import Path

CA = CertificateAuthority.create("Unit Root", key="ec-p256")
SUB = CA.create_intermediate("Unit Intermediate")
LEAF = SUB.issue("server-name.com", "10.0.0.5")


@pytest.mark.parametrize("suffix", ["pfx", "p12", "pem", "crt", "cer", "der", "p7b", "spc"])
def test_each_format_comes_back(tmp_path: Path, suffix: str) -> None:
    """Told by content: the suffix is changed before reading."""
    password = "Geheim ☃" if suffix in ("pfx", "p12", "pem") else None
    saved = LEAF.save(tmp_path / f"x.{suffix}", password=password)
    other = saved.rename(tmp_path / "x.dat")
    read = Certificate.load(other, password=password)
    assert read == LEAF
    assert read.has_private_key == (password is not None)
    assert len(read.chain) == (0 if suffix in ("cer", "der") else 2)
    assert read.chain == LEAF.chain[: len(read.chain)]


@pytest.mark.parametrize("suffix", ["pfx", "pem", "key"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has access lists instead of modes; see tests/windows")
def test_a_file_with_a_key_is_private_from_the_start(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0600, under the laxest umask, and at the moment of its creation."""
    modes: list[int] = []
    real_open = os.open

    def spy(path: str, flags: int, mode: int = 0o777, **options: int | None) -> int:
        descriptor = real_open(path, flags, mode, **options)
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    old = os.umask(0)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", spy)
            saved = LEAF.save(tmp_path / f"x.{suffix}", password="p")
        public = LEAF.save(tmp_path / "x.crt")
    finally:
        os.umask(old)
    assert modes[0] == 0o600
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert stat.S_IMODE(public.stat().st_mode) == 0o666


def test_saving_replaces_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash before the rename leaves the old file and nothing beside it."""
    target = LEAF.save(tmp_path / "x.pem")
    before = target.read_bytes()

    def crash(source: str, target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        CA.issue("other.example").save(target, overwrite=True)
    assert target.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["x.pem"]


@pytest.mark.parametrize(
    ("name", "password", "message"),
    [
        ("x.pfx", None, "needs a password"),
        ("x.crt", "secret-word", "holds no secret"),
        ("x.txt", None, "suffix"),
        ("x", None, "suffix"),
        ("x.pem", "", "at least one character"),
    ],
)
def test_saving_says_what_is_wrong(tmp_path: Path, name: str, password: str | None, message: str) -> None:
    """And writes nothing."""
    with pytest.raises(InvalidInputError, match=message) as caught:
        LEAF.save(tmp_path / name, password=password)
    assert "secret-word" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_saving_into_no_folder_says_so(tmp_path: Path) -> None:
    """A clear word instead of FileNotFoundError."""
    with pytest.raises(NotFoundError, match="no folder"):
        LEAF.save(tmp_path / "no" / "x.crt")


def test_passwords_that_are_wrong_or_missing(tmp_path: Path) -> None:
    """Both are WrongPasswordError, for PFX and for PEM."""
    for suffix in ("pfx", "pem"):
        file = LEAF.save(tmp_path / f"x.{suffix}", password="right")
        for password in ("guess-7", None):
            with pytest.raises(WrongPasswordError, match=rf"x\.{suffix}: ") as caught:
                Certificate.load(file, password=password)
            assert "guess-7" not in str(caught.value)


def test_a_pem_in_any_order_finds_its_leaf_by_the_key() -> None:
    """Root first, leaf last, key in the middle."""
    parts = [LEAF.chain[1].to_pem(), LEAF.chain[0].to_pem(), LEAF.private_key_pem(), LEAF.to_pem()]
    read = Certificate.from_pem(b"some text\n" + b"\n".join(parts))
    assert (read, read.chain, read.has_private_key) == (LEAF, LEAF.chain, True)


def test_a_key_of_its_own_file_joins(tmp_path: Path) -> None:
    """And a key of another certificate does not."""
    certificate = LEAF.save(tmp_path / "x.cer")
    key = LEAF.save(tmp_path / "x.key", password="p")
    assert Certificate.load(certificate, key=key, key_password="p").has_private_key
    other = CA.issue("other.example").save(tmp_path / "other.key")
    with pytest.raises(MalformedDataError, match="belongs to none"):
        Certificate.load(certificate, key=other)
    with pytest.raises(InvalidInputError, match="not this certificate's"):
        LEAF.without_key().with_key(other)
    assert LEAF.without_key().with_key(key, password="p").has_private_key


def test_an_old_root_is_carried_over(tmp_path: Path) -> None:
    """The .cer and .pvk of MakeCert, with the password of the latter; the wrong one is told."""
    root = CertificateAuthority.create("SelfIssuedCA", key="rsa-2048")
    certificate = root.certificate.save(tmp_path / "SelfIssuedCA.cer")
    key = root.save(tmp_path / "SelfIssuedCA.pvk", password="old-secret")
    carried = CertificateAuthority.load(certificate, key=key, password="old-secret")
    assert carried == root
    assert carried.issue("server-name.com").chain == (root.certificate,)
    with pytest.raises(WrongPasswordError):
        CertificateAuthority.load(certificate, key=key, password="wrong")
    with pytest.raises(InvalidInputError, match="RSA keys only"):
        LEAF.save(tmp_path / "x.pvk")


@pytest.mark.parametrize("suffix", ["pvk", "pfx"])
def test_a_password_that_no_encoding_carries_is_refused(tmp_path: Path, suffix: str) -> None:
    """Half a surrogate pair, or a NUL; nothing is written."""
    root = CertificateAuthority.create("R", key="rsa-2048")
    for password in ("half \ud800", "n\0l"):
        with pytest.raises(InvalidInputError, match="surrogate"):
            root.save(tmp_path / f"x.{suffix}", password=password)
    assert not list(tmp_path.iterdir())


def test_it_says_what_is_in_it() -> None:
    """Names, dates, usages, prints."""
    assert LEAF.names == LEAF.hosts == ("server-name.com", "10.0.0.5")
    assert (LEAF.subject, LEAF.issuer) == ("CN=server-name.com", "CN=Unit Intermediate")
    assert (LEAF.key_type, LEAF.signature_hash) == ("ec-p256", "sha256")
    assert len(LEAF.thumbprint) == 20
    assert len(LEAF.sha256) == 64
    assert 197 < LEAF.days_left < 199
    assert not LEAF.is_ca
    assert CA.certificate.is_ca
    assert CA.certificate.is_self_issued
    assert "server-name.com" in repr(LEAF)
    assert "by Unit Intermediate" in repr(LEAF)


def test_it_is_an_immutable_value() -> None:
    """Equal by DER, hashable, not to be set, not to be pickled with its key."""
    twin = Certificate.from_der(LEAF.to_der())
    assert (twin, hash(twin)) == (LEAF, hash(LEAF))
    assert twin != SUB.issue("server-name.com", "10.0.0.5")
    with pytest.raises(AttributeError):
        LEAF.friendly_name = "x"  # type: ignore[misc]
    with pytest.raises(InvalidInputError, match="private key"):
        pickle.dumps(LEAF)


def test_hostile_names_cannot_reach_the_terminal() -> None:
    """Escape sequences and bidirectional overrides are shown, not sent."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "\x1b[31mevil\u202e")])
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(LEAF.not_before)
        .not_valid_after(LEAF.not_after)
        .sign(key, hashes.SHA256())
    )
    shown = repr(Certificate(made))
    assert shown.isprintable()
    assert "evil" in shown


def test_the_wrong_type_is_told_what_to_call() -> None:
    """A path given to the constructor, text given to from_bytes."""
    with pytest.raises(InvalidInputError, match=r"Certificate\.load"):
        Certificate("x.pfx")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"Certificate\.load"):
        Certificate.from_bytes("x.pfx")  # type: ignore[arg-type]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_certificate_or_our_error(data: bytes) -> None:
    """Foreign bytes raise MalformedDataError or its child, nothing else."""
    with pytest.raises(MalformedDataError):
        Certificate.from_bytes(data, password="x")


@settings(max_examples=examples(300))
@given(st.sampled_from(["der", "pem", "pfx"]), st.data())
def test_damaged_files_raise_our_errors_only(kind: str, data: st.DataObject) -> None:
    """A few bytes changed, cut or doubled; what still loads must also print."""
    original = {"der": LEAF.to_der(), "pem": LEAF.to_pem(chain=True), "pfx": _PFX}[kind]
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    try:
        read = Certificate.from_bytes(bytes(damaged), password="p")
    except (MalformedDataError, UnsupportedError):
        return
    assert repr(read)


_PFX = LEAF.to_pfx("p")


def test_an_error_about_the_bytes_of_a_file_names_the_file(tmp_path: Path) -> None:
    """Whoever reads it: certificates, keys, requests, revocation lists, PFX files."""
    wrong, page = tmp_path / "wrong.csr", tmp_path / "page.key"
    certificate = CertificateAuthority.create("Names", key="ec-p256").issue("a.test")
    wrong.write_bytes(CertificateRequest.create("a.test", key="ec-p256").to_pem())
    page.write_bytes(b"<!DOCTYPE html>")
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        for about, call in (
            (wrong, lambda: Certificate.load(wrong)),
            (wrong, lambda: Certificate.load_all(wrong)),
            (wrong, lambda: CertificateAuthority.load(wrong)),
            (page, lambda: CertificateRequest.load(page)),
            (f"{wrong} with {page}", lambda: CertificateRequest.load(wrong, key=page)),
            (page, lambda: certificate.with_key(page)),
            (wrong, lambda: machine.store("CA").add_crl(wrong)),
            (wrong, lambda: machine.store().import_pfx(wrong, None)),
        ):
            with pytest.raises(MalformedDataError) as caught:
                call()
            assert str(caught.value).startswith(f"{about}: ")
            assert str(caught.value).count(wrong.name) <= 1


@settings(max_examples=examples(300))
@given(data=st.data())
def test_a_certificate_keeps_the_bytes_it_was_read_from(data: st.DataObject) -> None:
    """Also a damaged one that can still be read; `cryptography` gives the same back, on whatever way it was loaded."""
    der = bytearray(LEAF.to_der())
    for _ in range(data.draw(st.integers(0, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = Certificate.from_der(bytes(der))
    except MalformedDataError:
        return
    assert read.to_der() == bytes(der)
    assert pem.to_der(pem.load_der(bytes(der))) == bytes(der)


def test_its_extensions_are_read_once() -> None:
    """Whichever field asks first; one that is not there is none each time."""
    read = Certificate.from_der(CertificateAuthority.create("Root", key="ec-p256").certificate.to_der())
    assert (read.is_ca, read.key_usages, read.names, read.names) == (True, ("keyCertSign", "cRLSign"), (), ())
    assert (read.extended_key_usages, read.is_ca) == ((), True)
