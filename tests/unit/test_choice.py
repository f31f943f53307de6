"""Which certificate and key of a file are taken, whatever its format; and that the rest is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from made_certificates import Made, make, shared_key
from mlsssl import Certificate, CertificateAuthority, deploy
from mlsssl._formats.choice import HeldCertificate, HeldKey, choose, is_container
from mlsssl._formats.keys import private_key_pem
from mlsssl._formats.pkcs7 import serialize_pkcs7
from mlsssl._formats.pkcs12.write import serialize_pfx
from mlsssl.errors import InvalidInputError, MalformedDataError, NotFoundError, WrongPasswordError
from mlsssl.testing import fake_windows_machine, memory_machine
from pfx_material import rebuild

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROOT = make("Root", key=shared_key(1), authority=True)
MIDDLE = make("Middle", key=shared_key(2), authority=True, issuer=ROOT)
OLD = make("www.example.com", key=shared_key(3), issuer=MIDDLE, days=2)
NEW = make("www.example.com", key=shared_key(3), issuer=MIDDLE, days=90)
OTHER = make("other.example.com", key=shared_key(4), issuer=MIDDLE)


def pem(*made: Made, keys: tuple[Any, ...] = (), password: str | None = None) -> bytes:
    return b"".join(private_key_pem(key, password) for key in keys) + b"".join(one.pem for one in made)


def pfx(*made: Made, keys: tuple[Any, ...] = ()) -> bytes:
    """Certificates and keys without names, each part by itself, as nobody's tool pairs them."""
    parts = [serialize_pfx(key, None, [], None) for key in keys]
    parts += [serialize_pfx(None, None, [one.certificate], None) for one in made]
    data = parts[0]
    for part in parts[1:]:
        data = rebuild(data, extra=part, password="secret")
    return data


def named(name: str | None, one: Made, *chain: Made) -> bytes:
    return serialize_pfx(
        one.key, one.certificate, [above.certificate for above in chain], None, friendly_name=name, iterations=1
    )


FORMATS: list[Callable[..., bytes]] = [pem, pfx]


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("order", [(OLD, NEW, MIDDLE, ROOT), (ROOT, NEW, MIDDLE, OLD)])
def test_the_longest_of_two_certificates_for_one_key(write: Callable[..., bytes], order: tuple[Made, ...]) -> None:
    """The renewed one is taken wherever it stands; the old one is named, and no part of the chain."""
    loaded = Certificate.from_bytes(write(*order, keys=(NEW.key,)), password="secret" if write is pfx else None)
    assert loaded.to_cryptography() == NEW.certificate
    assert [one.to_cryptography() for one in loaded.chain] == [MIDDLE.certificate, ROOT.certificate]
    (told,) = loaded.left_out
    assert str(OLD.thumbprint) in told
    assert "for the same key, and it ends sooner" in told


@pytest.mark.parametrize("order", [(OLD, NEW, MIDDLE), (MIDDLE, NEW, OLD)])
def test_the_longest_without_a_key(order: tuple[Made, ...]) -> None:
    """PEM without a key, and PKCS#7, which is sorted by its bytes."""
    for data in (pem(*order), serialize_pkcs7([one.certificate for one in order])):
        loaded = Certificate.from_bytes(data)
        assert loaded.to_cryptography() == NEW.certificate
        assert len(loaded.left_out) == 1


def test_the_end_of_a_chain_is_no_authority() -> None:
    """A root that issued nothing in the file stood first, and was taken for the server's certificate."""
    stranger = make("Stranger", key=shared_key(7), authority=True)
    assert Certificate.from_bytes(pem(stranger, MIDDLE, NEW)).to_cryptography() == NEW.certificate
    roots = Certificate.from_bytes(pem(stranger, ROOT))
    assert roots.to_cryptography() == stranger.certificate
    assert [one.to_cryptography() for one in roots.chain] == [ROOT.certificate]


@pytest.mark.parametrize("write", FORMATS)
def test_an_authority_with_the_key_of_its_server(write: Callable[..., bytes]) -> None:
    """It lasts longer, and is the issuer all the same."""
    leaf = make("www.example.com", key=ROOT.key, issuer=ROOT, days=1)
    for order in ((ROOT, leaf), (leaf, ROOT)):
        loaded = Certificate.from_bytes(write(*order, keys=(ROOT.key,)), password="secret")
        assert loaded.to_cryptography() == leaf.certificate
        assert [one.to_cryptography() for one in loaded.chain] == [ROOT.certificate]
        assert loaded.left_out == ()


@pytest.mark.parametrize("write", FORMATS)
def test_twice_the_same_is_one(write: Callable[..., bytes]) -> None:
    """Key and certificate."""
    loaded = Certificate.from_bytes(write(NEW, NEW, keys=(NEW.key, NEW.key)), password="secret")
    assert loaded.has_private_key
    assert (loaded.to_cryptography(), loaded.chain, loaded.left_out) == (NEW.certificate, (), ())


@pytest.mark.parametrize("write", FORMATS)
def test_a_key_without_a_certificate_is_no_obstacle(write: Callable[..., bytes]) -> None:
    """It is named; only where no key has one, it is an error."""
    for keys in ((OTHER.key, NEW.key), (NEW.key, OTHER.key)):
        loaded = Certificate.from_bytes(write(NEW, keys=keys), password="secret")
        assert loaded.to_cryptography() == NEW.certificate
        assert loaded.left_out == ("a private key (ec-p256) without a certificate",)
    with pytest.raises(MalformedDataError, match="2 private keys, and a certificate of none"):
        Certificate.from_bytes(write(NEW, keys=(OTHER.key, ROOT.key)), password="secret")
    with pytest.raises(MalformedDataError, match="belongs to none"):
        Certificate.from_bytes(write(NEW, keys=(OTHER.key,)), password="secret")


@pytest.mark.parametrize("write", FORMATS)
def test_several_keys_with_certificates_need_an_alias(write: Callable[..., bytes]) -> None:
    """The error names them and the argument; the thumbprint is an alias in every format."""
    data = write(NEW, OTHER, MIDDLE, keys=(OTHER.key, NEW.key))
    words = rf"2 private keys, each .*{OTHER.thumbprint}.*{NEW.thumbprint}.*alias="
    with pytest.raises(MalformedDataError, match=words):
        Certificate.from_bytes(data, password="secret")
    for one, left in ((NEW, OTHER), (OTHER, NEW)):
        for alias in (str(one.thumbprint), one.thumbprint.hex(":").upper()):
            loaded = Certificate.from_bytes(data, password="secret", alias=alias)
            assert loaded.to_cryptography() == one.certificate
            assert loaded.has_private_key
            assert [above.to_cryptography() for above in loaded.chain] == [MIDDLE.certificate]
            assert len(loaded.left_out) == 1
            assert f"{left.thumbprint}: another server's, with its private key" in loaded.left_out[0]
    with pytest.raises(NotFoundError, match=f"alias 'www'; there is .*{NEW.thumbprint}"):
        Certificate.from_bytes(data, password="secret", alias="www")
    with pytest.raises(NotFoundError, match="alias"):
        Certificate.from_bytes(data, password="secret", alias="0" * 40)


def test_aliases_of_a_pfx(tmp_path: Path) -> None:
    """By friendly name, in any case where that leaves no doubt; a name twice needs the thumbprint."""
    data = rebuild(named("web", NEW, MIDDLE), extra=named("WEB", OTHER), password="secret")
    assert Certificate.from_pfx(data, "secret", alias="WEB").to_cryptography() == OTHER.certificate
    assert Certificate.from_pfx(data, "secret", alias="web").to_cryptography() == NEW.certificate
    with pytest.raises(MalformedDataError, match=r"several .* 'Web'.*thumbprint"):
        Certificate.from_pfx(data, "secret", alias="Web")
    twice = rebuild(named("web", NEW), extra=named("web", OTHER), password="secret")
    with pytest.raises(MalformedDataError, match=rf"'web'.*{NEW.thumbprint}.*{OTHER.thumbprint}"):
        Certificate.from_pfx(twice, "secret", alias="web")
    chosen = Certificate.from_pfx(twice, "secret", alias=str(OTHER.thumbprint))
    assert (chosen.to_cryptography(), chosen.friendly_name) == (OTHER.certificate, "web")
    file = tmp_path / "two.pfx"
    file.write_bytes(data)
    assert Certificate.load(file, password="secret", alias="WEB") == Certificate(OTHER.certificate)
    with pytest.raises(NotFoundError, match=r"two\.pfx: nothing in this file has the alias 'nobody'"):
        Certificate.load(file, password="secret", alias="nobody")
    with pytest.raises(InvalidInputError, match="an alias is text"):
        Certificate.load(file, password="secret", alias=5)  # type: ignore[arg-type]


def test_an_alias_chooses_between_two_certificates_for_one_key() -> None:
    """Also the one that ends sooner, if that is the one named; the key's own name chooses the longest."""
    old = serialize_pfx(None, OLD.certificate, [], None, friendly_name="old")
    data = rebuild(named("new", NEW), extra=old, password="secret")
    loaded = Certificate.from_pfx(data, "secret", alias="old")
    assert (loaded.to_cryptography(), loaded.has_private_key, loaded.friendly_name) == (OLD.certificate, True, "old")
    assert "later, but is not the one asked for" in loaded.left_out[0]
    assert Certificate.from_pfx(data, "secret", alias="new").to_cryptography() == NEW.certificate


def test_an_alias_of_a_certificate_alone() -> None:
    """In a trust store there is no key to choose."""
    store = rebuild(
        serialize_pfx(None, ROOT.certificate, [], None, friendly_name="root"),
        extra=serialize_pfx(None, MIDDLE.certificate, [], None, friendly_name="middle"),
        password="secret",
    )
    loaded = Certificate.from_pfx(store, "secret", alias="middle")
    assert (loaded.to_cryptography(), loaded.has_private_key) == (MIDDLE.certificate, False)


def test_the_key_in_a_file_of_its_own(tmp_path: Path) -> None:
    """It counts in place of those beside the certificates; of several in its file the one that fits is taken."""
    data = pem(NEW, OTHER, keys=(NEW.key,))
    loaded = Certificate.from_bytes(data, key=pem(keys=(ROOT.key, OTHER.key)))
    assert (loaded.to_cryptography(), loaded.has_private_key) == (OTHER.certificate, True)
    with pytest.raises(MalformedDataError, match="no certificate with its private key that has the alias"):
        Certificate.from_bytes(data, key=pem(keys=(OTHER.key,)), alias=str(NEW.thumbprint))
    with pytest.raises(MalformedDataError, match="2 private keys, and one is wanted"):
        Certificate(OTHER.certificate).with_key(pem(keys=(ROOT.key, OTHER.key)))
    both = tmp_path / "ca.pem"
    both.write_bytes(pem(ROOT, OTHER, keys=(ROOT.key, OTHER.key)))
    authority = CertificateAuthority.load(both, alias=str(ROOT.thumbprint))
    assert authority.certificate.to_cryptography() == ROOT.certificate


def test_a_key_that_cannot_be_read() -> None:
    """Of another kind, or under another password: named where it is not needed, else the error."""
    exchange: Any = x25519.X25519PrivateKey.generate()
    signing: Any = ed25519.Ed25519PrivateKey.generate()
    for key in (exchange, signing):
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        loaded = Certificate.from_bytes(text + pem(NEW, keys=(NEW.key,)))
        assert loaded.to_cryptography() == NEW.certificate
        assert "a private key that could not be read: " in loaded.left_out[0]
    locked = pem(keys=(OTHER.key,), password="not this one")
    loaded = Certificate.from_bytes(locked + pem(NEW, keys=(NEW.key,)))
    assert loaded.has_private_key
    assert "encrypted" in loaded.left_out[0]
    with pytest.raises(WrongPasswordError):
        Certificate.from_bytes(locked + pem(OTHER))
    with pytest.raises(WrongPasswordError):
        Certificate.from_bytes(locked + pem(OTHER, NEW, keys=(NEW.key,)), alias=str(OTHER.thumbprint))


def test_an_authority_is_not_taken_for_the_server_whose_key_cannot_be_read() -> None:
    """The authority's certificate and key were taken, as of all keys only its own could be read."""
    sealed = private_key_pem(NEW.key, "secret")
    data = pem(ROOT, MIDDLE, NEW, keys=(ROOT.key,)) + sealed
    with pytest.raises(WrongPasswordError, match="give its password"):
        Certificate.from_bytes(data)
    with pytest.raises(MalformedDataError, match="2 private keys, each with its certificate"):
        Certificate.from_bytes(data, password="secret")
    assert Certificate.from_bytes(data, alias=ROOT.certificate.fingerprint(SHA1()).hex()).has_private_key
    loaded = Certificate.from_bytes(pem(ROOT, MIDDLE, keys=(ROOT.key,)) + sealed)  # an authority's own file
    assert loaded.to_cryptography() == ROOT.certificate


def test_no_leaf_in_the_store_of_intermediates() -> None:
    """Neither by deploy nor by add or import_pfx; also where the chain was given by hand."""
    data = pem(OLD, OTHER, NEW, MIDDLE, ROOT, keys=(NEW.key,))
    loaded = Certificate.from_bytes(data)
    by_hand = loaded.with_chain([MIDDLE.certificate, OLD.certificate, OTHER.certificate])
    for certificate in (loaded, by_hand):
        with memory_machine() as machine:
            deploy("0.0.0.0:443", certificate, machine=machine, force=True)
            assert {entry.thumbprint for entry in machine.store("CA")} == {MIDDLE.thumbprint}
            assert {entry.thumbprint for entry in machine.store("MY")} == {NEW.thumbprint}
        with memory_machine() as machine:
            machine.store("MY").add(certificate)
            assert {entry.thumbprint for entry in machine.store("CA")} == {MIDDLE.thumbprint}
    file = rebuild(named("web", NEW, MIDDLE), extra=named("other", OTHER), password="secret")
    with fake_windows_machine() as windows:
        entry = windows.machine.store("MY").import_pfx(file, "secret", alias="web")
        assert (entry.thumbprint, entry.has_private_key) == (NEW.thumbprint, True)
        assert {one.thumbprint for one in windows.machine.store("MY")} == {NEW.thumbprint}
    with memory_machine() as machine:
        entry = machine.store("MY").import_pfx(file, "secret", alias="web")
        assert (entry.thumbprint, entry.has_private_key) == (NEW.thumbprint, True)
        assert {one.thumbprint for one in machine.store("CA")} == {MIDDLE.thumbprint}
        with pytest.raises(MalformedDataError, match="alias="):
            machine.store("MY").import_pfx(file, "secret")


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("PvkTmp:8c1c4d9e", True),
        ("tp-7f6d3a10-9c1b-4e0e-8a52-1f0f3a1b2c3d", True),
        ("te-7f6d3a10-9c1b-4e0e-8a52-1f0f3a1b2c3d", True),
        ("{7F6D3A10-9C1B-4E0E-8A52-1F0F3A1B2C3D}", True),
        ("d1c4e0b2a3948576d1c4e0b2a3948576_7f6d3a10-9c1b-4e0e-8a52-1f0f3a1b2c3d", True),
        ("web server", False),
        ("tp-link", False),
        ("7f6d3a10", False),
    ],
)
def test_names_of_containers(name: str, *, container: bool) -> None:
    """What Windows calls a key's container is no friendly name of the certificate; it is one where it stands there."""
    assert is_container(name) is container
    certificate, key = HeldCertificate(NEW.certificate), HeldKey(NEW.key, name)
    assert choose([certificate], [key]).friendly_name == (None if container else name)
    assert choose([certificate], [key], alias=name).certificate == NEW.certificate
    assert choose([certificate._replace(name=name)], [key]).friendly_name == name


def test_what_is_left_out_stays_with_the_certificate() -> None:
    """Through every `with_` and `without_`; a certificate that was not read has left nothing out."""
    loaded = Certificate.from_bytes(pem(OLD, NEW, keys=(NEW.key,)))
    for other in (
        loaded.without_key(),
        loaded.with_chain([]),
        loaded.with_friendly_name("x"),
        loaded.with_key(NEW.key),
    ):
        assert other.left_out == loaded.left_out != ()
    assert Certificate(NEW.certificate).left_out == ()
