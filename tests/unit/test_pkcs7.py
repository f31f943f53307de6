"""Bags of certificates in and out, and the leaf found by its key."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from made_certificates import make, shared_key
from mlsssl._formats.choice import HeldCertificate, HeldKey, choose
from mlsssl._formats.pkcs7 import load_pkcs7, serialize_pkcs7
from mlsssl.errors import InvalidInputError, MalformedDataError, UnreadableCertificateError
from pfx_material import ber

ROOT = make("Root", key=shared_key(1), authority=True)
LEAF = make("www.example.com", key=shared_key(2), issuer=ROOT)
CERTIFICATES = [LEAF.certificate, ROOT.certificate]


@pytest.mark.parametrize("encoding", ["der", "pem"])
def test_both_ways(encoding: str) -> None:
    """What is written is read, and the leaf is found whatever the order."""
    data = serialize_pkcs7(CERTIFICATES, encoding=encoding)  # type: ignore[arg-type]
    found = load_pkcs7(data)
    assert set(found) == set(CERTIFICATES)
    held = [HeldCertificate(one) for one in found]
    assert choose(held).certificate == LEAF.certificate
    assert choose(held, [HeldKey(LEAF.key)]).certificate == LEAF.certificate
    assert choose(held, [HeldKey(ROOT.key)]).certificate == ROOT.certificate
    assert choose(held, [HeldKey(shared_key(3))]).certificate is None


@pytest.mark.parametrize("label", ["PKCS7", "CMS", "PKCS #7 SIGNED DATA", "CERTIFICATE"])
def test_pem_labels(label: str) -> None:
    """Each name under which such files travel, with text around it."""
    body = base64.encodebytes(serialize_pkcs7(CERTIFICATES)).decode()
    text = f"Bag Attributes\n-----BEGIN {label}-----\r\n{body}-----END {label}-----\nmore\n"
    assert set(load_pkcs7(text.encode())) == set(CERTIFICATES)
    with pytest.raises(MalformedDataError, match="base64"):
        load_pkcs7(text.replace(body[:4], "?!?!").encode())


def test_ber_and_signed_files() -> None:
    """Indefinite lengths are read; so is a file that somebody signed."""
    assert set(load_pkcs7(ber(serialize_pkcs7(CERTIFICATES), depth=4))) == set(CERTIFICATES)
    signed = (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(b"data")
        .add_signer(LEAF.certificate, LEAF.key, hashes.SHA256())
        .add_certificate(ROOT.certificate)
        .sign(serialization.Encoding.DER, [])
    )
    assert set(load_pkcs7(signed)) == set(CERTIFICATES)


@pytest.mark.parametrize("data", [b"", b"\x30", b"text", LEAF.der, b"-----BEGIN PKCS7-----\n-----END PKCS7-----\n"])
def test_other_bytes(data: bytes) -> None:
    """Whatever is no bag of certificates says so."""
    with pytest.raises(MalformedDataError):
        load_pkcs7(data)


def test_every_cut_and_an_empty_bag() -> None:
    """A file cut short is damaged; one without a certificate is no use."""
    data = serialize_pkcs7(CERTIFICATES)
    for end in range(0, len(data), 29):
        with pytest.raises(MalformedDataError):
            load_pkcs7(data[:end])
    empty = bytes.fromhex("3023 06092a864886f70d010702 a016 3014 020101 3100 300b 06092a864886f70d010701 3100")
    with pytest.raises(MalformedDataError, match="no certificate"):
        load_pkcs7(empty)


def test_a_certificate_that_cannot_be_read() -> None:
    """It is named by its place, and the field with it."""
    damaged = serialize_pkcs7([LEAF.certificate]).replace(b"\x17\x0d2", b"\x17\x0d?")
    with pytest.raises(UnreadableCertificateError, match=r"certificate 1 in the PKCS#7 file .* notBefore is no date"):
        load_pkcs7(damaged)


def test_a_name_that_cryptography_refuses() -> None:
    """It looks at names late; found by fuzzing, a UTF-8 name that is none left as a ValueError. It is Latin-1."""
    (found,) = load_pkcs7(serialize_pkcs7([LEAF.certificate]).replace(b"www.example.com", b"www.\xffxample.com"))
    assert found.subject.rfc4514_string() == "CN=www.\xffxample.com"


def test_what_the_writer_refuses() -> None:
    """No certificate, or another encoding."""
    with pytest.raises(InvalidInputError):
        serialize_pkcs7([])
    with pytest.raises(InvalidInputError):
        serialize_pkcs7(CERTIFICATES, encoding="ber")  # type: ignore[arg-type]
