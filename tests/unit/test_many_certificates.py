"""Files with many certificates: every one is read, and goes into the store that it belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from chains import intermediate, leaf, root
from mlsssl import Certificate, EmbeddedMachine, InvalidInputError, MalformedDataError, UnsupportedError
from mlsssl.cli import main

ROOTS = [Certificate.from_der(root(f"Root {n}").der()) for n in range(4)]
_ISSUER = intermediate(root("Root 0"), "Issuer")
ISSUER = Certificate.from_der(_ISSUER.der())
LEAF = Certificate.from_der(leaf(_ISSUER).der())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", "machine.sqlite")
    return tmp_path


def _write(name: str, *certificates: Certificate) -> str:
    joined = certificates[0].with_chain(certificates[1:])
    Path(name).write_bytes(joined.to_pkcs7() if name.endswith("p7b") else joined.to_pem(chain=True))
    return name


def _held(place: Path, store: str) -> set[str]:
    with EmbeddedMachine(place / "machine.sqlite") as machine:
        return {entry.certificate.subject for entry in machine.store(store)}


@pytest.mark.parametrize("name", ["roots.pem", "roots.p7b"])
def test_every_root_of_a_bundle_goes_in(place: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "add", _write(name, *ROOTS), "--store", "Root"]) == 0
    out = capsys.readouterr().out
    assert all(str(one.thumbprint) in out for one in ROOTS)
    assert _held(place, "Root") == {one.subject for one in ROOTS}
    assert main(["store", "add", name, "--store", "Root"]) == 0
    assert _held(place, "Root") == {one.subject for one in ROOTS}


def test_an_intermediate_in_a_bundle_for_root_goes_to_ca_and_that_is_said(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """IIS refuses clients while Root holds a certificate that is not self-signed."""
    assert main(["store", "add", _write("all.pem", ISSUER, *ROOTS), "--store", "root"]) == 0
    assert "1 of them are not self-signed" in capsys.readouterr().out
    assert (_held(place, "Root"), _held(place, "CA")) == ({one.subject for one in ROOTS}, {ISSUER.subject})


def test_a_chain_without_a_key_is_still_one_certificate(place: Path) -> None:
    assert main(["store", "add", _write("chain.pem", LEAF, ISSUER, ROOTS[0])]) == 0
    assert (_held(place, "MY"), _held(place, "CA"), _held(place, "Root")) == ({LEAF.subject}, {ISSUER.subject}, set())


def test_certificates_that_are_no_chain_all_go_in(place: Path) -> None:
    assert main(["store", "add", _write("peers.pem", LEAF, ROOTS[2], ROOTS[3])]) == 0
    assert _held(place, "MY") == {LEAF.subject, ROOTS[2].subject, ROOTS[3].subject}


def test_pkcs7_is_written_in_both_encodings(place: Path) -> None:
    """`openssl pkcs7` reads both; see tests/interop."""
    joined = LEAF.with_chain([ISSUER])
    pem, der = joined.to_pkcs7(encoding="pem"), joined.to_pkcs7()
    assert pem.startswith(b"-----BEGIN PKCS7-----")
    assert Certificate.from_bytes(pem) == Certificate.from_bytes(der) == LEAF
    assert Certificate.from_bytes(pem).chain == (ISSUER,)
    with pytest.raises(InvalidInputError, match="encoding"):
        joined.to_pkcs7(encoding="PEM")  # type: ignore[arg-type]


def test_load_all_gives_each_once_with_its_key(place: Path) -> None:
    whole = leaf(_ISSUER)
    owner = Certificate(whole.certificate(), private_key=whole.key)
    text = ROOTS[1].to_pem() + owner.private_key_pem() + ROOTS[1].to_pem() + owner.to_pem()
    (place / "all.pem").write_bytes(text)
    found = Certificate.load_all(place / "all.pem")
    assert found == (ROOTS[1], owner)
    assert [one.has_private_key for one in found] == [False, True]
    assert all(one.chain == () for one in found)
    (place / "key.pem").write_bytes(owner.private_key_pem())
    with pytest.raises(MalformedDataError, match="no certificate"):
        Certificate.load_all(place / "key.pem")


def test_add_all_returns_entries_where_they_are(tmp_path: Path) -> None:
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        entries = machine.store("Root").add_all([ISSUER, ROOTS[3], ROOTS[3]])
        assert [(one.store_name, one.certificate) for one in entries] == [
            ("CA", ISSUER),
            ("Root", ROOTS[3]),
            ("Root", ROOTS[3]),
        ]
        assert machine.store("MY").add_all([]) == ()
        with pytest.raises(InvalidInputError, match="load_all"):
            machine.store("MY").add_all(["roots.pem"])  # type: ignore[list-item]
        with pytest.raises(UnsupportedError):
            machine.store("Root", location="CurrentUser", create=True).add_all(ROOTS)
        assert {one.certificate for one in machine.store("Root")} == {ROOTS[3]}
