"""Keys that a machine makes for certificate requests: what every machine does with them."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import NameOID

from made_certificates import make, shared_key
from mlsssl._issue.machine_keys import held_key
from mlsssl._machine.ports import check_request_key_name, new_request_key_name
from mlsssl.errors import AccessDeniedError, ExistsError, InvalidInputError, NotFoundError, UnsupportedError
from mlsssl.request import CertificateRequest
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from contract.subjects.kinds import StoresSubject
    from mlsssl._issue.machine_keys import HashName
    from mlsssl._machine.ports import KeyProvider, StorePort
    from mlsssl.values import KeyType, Location

HASHES: dict[HashName, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


@pytest.fixture(autouse=True)
def _released(stores_subject: StoresSubject) -> Iterator[None]:
    """No key stays on the machine of a test, which may be a real one."""
    yield
    for record in list(opened(stores_subject).records()):
        opened(stores_subject).remove(thumbprint(record.certificate), delete_key=True)
    for name in stores_subject.machine.request_keys.names():
        stores_subject.machine.request_keys.release(name)


def made(
    subject: StoresSubject,
    key_type: KeyType = "rsa-2048",
    *,
    exportable: bool = False,
    provider: KeyProvider | None = None,
) -> tuple[str, bytes]:
    """A new key of the machine: its name, and its public half."""
    name = new_request_key_name()
    return name, subject.machine.request_keys.make(name, key_type, exportable=exportable, provider=provider)


def certificate_for(public: bytes) -> bytes:
    """What an authority makes of such a key, DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "held.example")])
    key = serialization.load_der_public_key(public)
    assert isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey))
    now = dt.datetime.now(dt.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .sign(shared_key(), hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def opened(subject: StoresSubject, location: Location = "LocalMachine") -> StorePort:
    return subject.machine.open_store(subject.my, location, write=True)


def add(store: StorePort, der: bytes, name: str | None) -> bool:
    """Put a certificate in with a request's key; whether it has a usable one then."""
    record = store.add(der, None, friendly_name=None, exportable=False, provider=None, request_key=name)
    return record.key is not None and record.key.usable and record.key.machine_keyset


def count_keys(subject: StoresSubject, expected: int) -> None:
    if subject.keys is not None:
        assert subject.keys() == expected


def thumbprint(der: bytes) -> Thumbprint:
    return Thumbprint(hashlib.sha1(der).digest())


# ---- making, finding, signing ----


def test_a_key_is_made_found_and_released(stores_subject: StoresSubject) -> None:
    """Another process finds it by its name; released, it is gone, and so is its name."""
    keys = stores_subject.machine.request_keys
    name, public = made(stores_subject)
    assert isinstance(serialization.load_der_public_key(public), rsa.RSAPublicKey)
    elsewhere = stores_subject.another_process().request_keys
    assert elsewhere.public_key(name) == public
    assert elsewhere.names() == keys.names() == [name]
    count_keys(stores_subject, 1)
    elsewhere.release(name)
    assert (keys.public_key(name), keys.names()) == (None, [])
    count_keys(stores_subject, 0)
    keys.release(name)
    assert stores_subject.machine.recover() == []


@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("provider", [None, "csp"])
def test_it_signs_digests(stores_subject: StoresSubject, hash_name: HashName, provider: KeyProvider | None) -> None:
    """RSA by PKCS#1 v1.5, in either storage; the signature is over that digest and no other."""
    name, public = made(stores_subject, provider=provider)
    key = serialization.load_der_public_key(public)
    assert isinstance(key, rsa.RSAPublicKey)
    digest = hashlib.new(hash_name, b"signed").digest()
    signature = stores_subject.machine.request_keys.sign(name, digest, hash_name)
    key.verify(signature, digest, padding.PKCS1v15(), Prehashed(HASHES[hash_name]))
    with pytest.raises(InvalidSignature):
        key.verify(signature, b"other", padding.PKCS1v15(), HASHES[hash_name])


@pytest.mark.parametrize(("key_type", "curve"), [("ec-p256", ec.SECP256R1), ("ec-p384", ec.SECP384R1)])
def test_a_curve_signs_too(stores_subject: StoresSubject, key_type: KeyType, curve: type[ec.EllipticCurve]) -> None:
    """An Ecdsa-Sig-Value that `cryptography` accepts; where the machine has no such keys, it says so and keeps none."""
    if stores_subject.ec_keys:
        with pytest.raises(UnsupportedError, match="EC keys"):
            made(stores_subject, key_type)
        assert stores_subject.machine.request_keys.names() == []
        count_keys(stores_subject, 0)
        return
    name, public = made(stores_subject, key_type)
    key = serialization.load_der_public_key(public)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, curve)
    digest = hashlib.sha384(b"signed").digest()
    key.verify(
        stores_subject.machine.request_keys.sign(name, digest, "sha384"), digest, ec.ECDSA(Prehashed(hashes.SHA384()))
    )


def test_a_request_is_signed_in_place(stores_subject: StoresSubject) -> None:
    """What travels is signed by the machine, and the key object gives nothing away."""
    name, public = made(stores_subject)
    key = held_key(name, public, stores_subject.machine.request_keys.sign)
    request = CertificateRequest.create("held.example", key=key)
    assert CertificateRequest.from_bytes(request.to_pem()) == request
    with pytest.raises(AccessDeniedError, match="does not leave"):
        key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@pytest.mark.parametrize(
    "name", ["", "mine", "mlsssl-", "mlsssl-11111111-2222-3333-4444-555555555555x", "mlsssl-../../etc", None, 7]
)
def test_only_names_of_ours(stores_subject: StoresSubject, name: str) -> None:
    """A name may become a file's or a container's: no other than those that are made for it."""
    keys = stores_subject.machine.request_keys
    calls: list[Callable[[], object]] = [
        lambda: keys.make(name, "rsa-2048", exportable=False, provider=None),
        lambda: keys.public_key(name),
        lambda: keys.sign(name, bytes(32), "sha256"),
        lambda: keys.release(name),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError, match="not the name of a request's key"):
            call()


def test_names_are_new() -> None:
    """Each time another, and fit to be one."""
    names = {check_request_key_name(new_request_key_name()) for _ in range(100)}
    assert len(names) == 100


def test_what_cannot_be_made(stores_subject: StoresSubject) -> None:
    """A type or a storage that does not exist, and EC in the storage that has none; nothing is left of it."""
    keys = stores_subject.machine.request_keys
    for key_type, provider, expected in (
        ("rsa-1024", None, InvalidInputError),
        ("rsa-2048", "tpm", InvalidInputError),
        ("ec-p256", "csp", UnsupportedError),
    ):
        with pytest.raises(expected):
            keys.make(new_request_key_name(), key_type, exportable=False, provider=provider)  # type: ignore[arg-type]
    assert keys.names() == []
    count_keys(stores_subject, 0)


def test_a_name_is_used_once(stores_subject: StoresSubject) -> None:
    """A second key of one name is refused, and the first stays."""
    name, public = made(stores_subject)
    with pytest.raises(ExistsError, match="release it first"):
        stores_subject.machine.request_keys.make(name, "rsa-2048", exportable=False, provider=None)
    assert stores_subject.machine.request_keys.public_key(name) == public


def test_what_is_not_there(stores_subject: StoresSubject) -> None:
    """No key of this name: none to look at, and an error to sign with or to add."""
    keys, name = stores_subject.machine.request_keys, new_request_key_name()
    assert keys.public_key(name) is None
    with pytest.raises(NotFoundError, match=name):
        keys.sign(name, bytes(32), "sha256")
    with pytest.raises(NotFoundError, match=name):
        add(opened(stores_subject), make("a.example", key=shared_key()).der, name)
    assert list(opened(stores_subject).records()) == []


# ---- with its certificate ----


def test_the_certificate_gets_the_key(stores_subject: StoresSubject) -> None:
    """It is usable there, for another process too, is no copy, and stays when its name is released."""
    name, public = made(stores_subject)
    der = certificate_for(public)
    assert add(opened(stores_subject), der, name)
    assert stores_subject.machine.request_keys.public_key(name) == public
    count_keys(stores_subject, 1)
    elsewhere = stores_subject.another_process()
    elsewhere.request_keys.release(name)
    assert elsewhere.recover() == []
    record = elsewhere.open_store(stores_subject.my, "LocalMachine").find(thumbprint(der))
    assert record is not None
    assert record.key is not None
    assert record.key.usable
    assert record.key.exportable is False
    assert elsewhere.request_keys.names() == []
    count_keys(stores_subject, 1)
    opened(stores_subject).remove(thumbprint(der), delete_key=True)
    count_keys(stores_subject, 0)


def test_adding_twice_is_adding_once(stores_subject: StoresSubject) -> None:
    """As after a kill: the key stays the one."""
    name, public = made(stores_subject)
    der = certificate_for(public)
    assert add(opened(stores_subject), der, name)
    assert add(opened(stores_subject), der, name)
    assert len(list(opened(stores_subject).records())) == 1
    count_keys(stores_subject, 1)


def test_a_certificate_that_was_there_without_key_gets_it(stores_subject: StoresSubject) -> None:
    """Somebody imported the authority's answer by hand."""
    name, public = made(stores_subject)
    der = certificate_for(public)
    assert not add(opened(stores_subject), der, None)
    assert add(opened(stores_subject), der, name)


def test_a_removal_leaves_what_a_request_holds(stores_subject: StoresSubject) -> None:
    """A deployment that is taken back removes the certificate; the next one comes for the same key."""
    name, public = made(stores_subject)
    der = certificate_for(public)
    add(opened(stores_subject), der, name)
    opened(stores_subject).remove(thumbprint(der), delete_key=True)
    assert stores_subject.machine.recover() == []
    assert stores_subject.machine.request_keys.public_key(name) == public
    assert add(opened(stores_subject), der, name)
    opened(stores_subject).remove(thumbprint(der), delete_key=True)
    stores_subject.machine.request_keys.release(name)
    count_keys(stores_subject, 0)


def test_recovery_leaves_what_a_request_holds(stores_subject: StoresSubject) -> None:
    """No certificate has it yet, on purpose: the authority may take a week."""
    name, public = made(stores_subject)
    assert stores_subject.another_process().recover() == []
    assert stores_subject.machine.request_keys.public_key(name) == public


def test_another_certificate_does_not_get_it(stores_subject: StoresSubject) -> None:
    """The answer to somebody else's request; nothing is added."""
    name, _ = made(stores_subject)
    other = make("other.example", key=shared_key())
    with pytest.raises(InvalidInputError, match="another key"):
        add(opened(stores_subject), other.der, name)
    assert opened(stores_subject).find(other.thumbprint) is None


def test_arguments_that_do_not_go_together(stores_subject: StoresSubject) -> None:
    """Two private keys for one certificate; and a machine's key for a user's store."""
    name, public = made(stores_subject)
    der = certificate_for(public)
    with pytest.raises(InvalidInputError, match="private_key or request_key"):
        opened(stores_subject).add(
            der,
            make("a.example", key=shared_key()).pkcs8,
            friendly_name=None,
            exportable=False,
            provider=None,
            request_key=name,
        )
    with pytest.raises(InvalidInputError, match="LocalMachine"):
        add(opened(stores_subject, "CurrentUser"), der, name)


@pytest.mark.parametrize("provider", [None, "csp"])
@pytest.mark.parametrize("exportable", [False, True])
def test_it_leaves_only_if_it_was_made_so(
    stores_subject: StoresSubject, exportable: bool, provider: KeyProvider | None
) -> None:
    """Not exportable by default, and then nobody gets it out; exportable, it is the very key."""
    name, public = made(stores_subject, exportable=exportable, provider=provider)
    der = certificate_for(public)
    store = opened(stores_subject)
    add(store, der, name)
    if not exportable:
        with pytest.raises(AccessDeniedError, match="may not leave"):
            store.export_key(thumbprint(der))
        return
    key = serialization.load_der_private_key(store.export_key(thumbprint(der)), None)
    found = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert found == public
