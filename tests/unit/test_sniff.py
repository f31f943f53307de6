"""The recogniser: what a file is, through every wrapping, and what is said of one that is not read."""

from __future__ import annotations

import base64
import contextlib
import json
import quopri
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs7,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from chains import leaf, root
from mlsssl import CertificateAuthority, CertificateRequest, MalformedDataError
from mlsssl._formats.pvk import serialize_pvk
from mlsssl._formats.sniff import Kind, recognise, take
from mlsssl._formats.text import decode_text
from mlsssl.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = root()
LEAF = leaf(ROOT)

LEAF_CERTIFICATE = LEAF.certificate()
ROOT_CERTIFICATE = ROOT.certificate()
PEM = LEAF_CERTIFICATE.public_bytes(Encoding.PEM).decode()
ROOT_DER = ROOT_CERTIFICATE.public_bytes(Encoding.DER)
_KEY = LEAF.key
CERTIFICATE = LEAF_CERTIFICATE.public_bytes(Encoding.DER)
PKCS8 = _KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
KEY_PEM = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
_SEALED = BestAvailableEncryption(b"secret")
PFX = pkcs12.serialize_key_and_certificates(b"web", _KEY, LEAF_CERTIFICATE, [ROOT_CERTIFICATE], _SEALED)
PKCS7 = pkcs7.serialize_certificates([LEAF_CERTIFICATE, ROOT_CERTIFICATE], Encoding.DER)
_CA = CertificateAuthority.create("Recogniser", key="ec-p256")
CRL = _CA.crl().to_der()
REQUEST = CertificateRequest.create("one.example", key="ec-p256").to_der()


def _armoured(label: str, data: bytes) -> str:
    body = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


BINARY = {
    Kind.CERTIFICATE: CERTIFICATE,
    Kind.PRIVATE_KEY: PKCS8,
    Kind.PFX: PFX,
    Kind.PKCS7: PKCS7,
    Kind.REVOCATION_LIST: CRL,
    Kind.REQUEST: REQUEST,
    Kind.PUBLIC_KEY: _KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
}
LABELS = {
    Kind.CERTIFICATE: ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"),
    Kind.PRIVATE_KEY: ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ANY PRIVATE KEY"),
    Kind.PFX: ("PKCS12",),
    Kind.PKCS7: ("PKCS7", "CMS", "PKCS #7 SIGNED DATA", "SIGNED DATA", "CERTIFICATE"),
    Kind.REVOCATION_LIST: ("X509 CRL", "CRL"),
    Kind.REQUEST: ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
    Kind.PUBLIC_KEY: ("PUBLIC KEY",),
}

WRAPPINGS: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "UTF-8 with byte order mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16, little end first": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "CR LF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR alone": lambda text: text.replace("\n", "\r").encode(),
    "blank lines": lambda text: text.replace("\n", "\n\n").encode(),
    "indented": lambda text: textwrap.indent(text, "      ").encode(),
    "a tab before": lambda text: textwrap.indent(text, "\t").encode(),
    "blanks behind": lambda text: text.replace("\n", "   \n").encode(),
    "quoted in a mail": lambda text: textwrap.indent(text, "> ").encode(),
    "quoted twice": lambda text: textwrap.indent(text, ">> ").encode(),
    "literal backslash-n": lambda text: text.replace("\n", "\\n").encode(),
    "literal backslash-r-n, in quotes": lambda text: ('"' + text.replace("\n", "\\r\\n") + '"').encode(),
    "strings of a program": lambda text: "\n".join(f'  "{line}" +' for line in text.splitlines()).encode(),
    "one line": lambda text: text.replace("\n", " ").encode(),
    "no line break in the middle": lambda text: (
        text.split("\n")[0] + "\n" + "".join(text.splitlines()[1:-1]) + "\n" + text.splitlines()[-1]
    ).encode(),
    "typographic dashes": lambda text: text.replace("-----", "\u2014\u2014\u2014\u2014\u2014").encode(),
    "en dashes": lambda text: text.replace("-----", "\u2013\u2013\u2013\u2013\u2013").encode(),
    "four dashes": lambda text: text.replace("-----", "----").encode(),
    "invisible characters": lambda text: text.replace("\n", "\u200b\n\u200e").encode(),
    "no-break blanks": lambda text: text.replace("\n", "\u00a0\n").encode(),
    "text before and behind": lambda text: f"subject=CN = one\nissuer=CN = two\n{text}\nthat was it\n".encode(),
    "base64 of the PEM": lambda text: base64.b64encode(text.encode()),
    "a Kubernetes secret in YAML": lambda text: (
        f"kind: Secret\ndata:\n  tls.crt: {base64.b64encode(text.encode()).decode()}\n".encode()
    ),
    "a Kubernetes secret in YAML, its data first": lambda text: (
        f"data:\n  tls.crt: {base64.b64encode(text.encode()).decode()}\nkind: Secret\n".encode()
    ),
    "a Kubernetes secret in YAML, a blank line first": lambda text: (
        f"data:\n  tls.crt: {base64.b64encode(f'{chr(10)}{text}'.encode()).decode()}\n".encode()
    ),
    "a Kubernetes secret in YAML, text of OpenSSL first": lambda text: (
        f"data:\n  tls.crt: {base64.b64encode(f'subject=CN=a1{chr(10)}{text}'.encode()).decode()}\n".encode()
    ),
    "a Kubernetes secret in YAML, of UTF-16": lambda text: (
        f"data:\n  tls.crt: {base64.b64encode(text.encode('utf-16')).decode()}\n".encode()
    ),
    "a Kubernetes secret in YAML, folded": lambda text: (
        f"data:\n  tls.crt: >-\n{textwrap.indent(base64.encodebytes(text.encode()).decode(), '    ')}kind: a\n".encode()
    ),
    "zero bytes behind": lambda text: text.encode() + bytes(512),
    "strings of a program with their line breaks": lambda text: "\n".join(
        f'  "{line}\\n" \\' for line in text.splitlines()
    ).encode(),
    "a field of a form": lambda text: f"a=b&cert={quote_plus(text)}".encode(),
    "an attribute in XML": lambda text: f"<add value='{text}'/>".replace("\n", "&#xA;").encode(),
    "an HTTP header": lambda text: quote(text).encode(),
    "a mail in quoted-printable": lambda text: quopri.encodestring(text.encode()),
    "a JSON field": lambda text: json.dumps({"data": {"certificate": text, "serial_number": "39:dd:2e"}}).encode(),
    "a JSON field, as a Kubernetes secret": lambda text: json.dumps(
        {"kind": "Secret", "data": {"tls.crt": base64.b64encode(text.encode()).decode()}}
    ).encode(),
}


@pytest.mark.parametrize("kind", BINARY)
def test_binary_is_told_by_its_content(kind: Kind) -> None:
    found = recognise(BINARY[kind])
    assert [(item.kind, item.data, item.trailing) for item in found.items] == [(kind, BINARY[kind], 0)]
    assert found.wrappings == ()


@pytest.mark.parametrize("kind", BINARY)
def test_bytes_behind_the_end_are_counted(kind: Kind) -> None:
    """A shorter file written over a longer one, and the like: read, and said."""
    (item,) = recognise(BINARY[kind] + b"\1\0\0").items
    assert (item.kind, item.data, item.trailing) == (kind, BINARY[kind], 3)


@pytest.mark.parametrize("kind", [kind for kind in BINARY if kind is not Kind.PUBLIC_KEY])
def test_what_is_cut_off_says_so(kind: Kind) -> None:
    with pytest.raises(MalformedDataError, match=r"cut off: 5 bytes are missing"):
        recognise(BINARY[kind][:-5])


@pytest.mark.parametrize(("kind", "label"), [(kind, label) for kind in BINARY for label in LABELS[kind]])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_text_is_unwrapped(kind: Kind, label: str, wrapping: str) -> None:
    """Every kind, under every label it is met with, in every wrapping."""
    data = WRAPPINGS[wrapping](_armoured(label, BINARY[kind]))
    (item,) = recognise(data).items
    assert (item.kind, item.data) == (kind, BINARY[kind])
    assert label in item.place


@pytest.mark.parametrize("kind", BINARY)
@pytest.mark.parametrize(
    "encode",
    [
        base64.b64encode,
        base64.encodebytes,
        base64.urlsafe_b64encode,
        lambda data: base64.b64encode(data).rstrip(b"="),
        lambda data: b'"' + base64.b64encode(data) + b'"\r\n',
        lambda data: b"\xff\xfe" + base64.b64encode(data).decode().encode("utf-16-le"),
        lambda data: data.hex().encode(),
        lambda data: data.hex(" ", 1).encode(),
        lambda data: ", ".join(f"0x{one:02x}" for one in data).encode(),
        lambda data: "\r\n".join(map(str, data)).encode("utf-16"),
        lambda data: b"data:application/octet-stream;base64," + base64.b64encode(data),
        lambda data: b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(data),
        lambda data: data.hex("-", 1).upper().encode(),
        lambda data: json.dumps(list(data)).encode(),
        lambda data: b"dn: CN=a\nuserCertificate;binary:: " + base64.encodebytes(data).replace(b"\n", b"\n ") + b"\n",
        lambda data: b"Subject: a\n\n--b\n\nHello\n--b\nContent-Type: a\n\n" + base64.encodebytes(data) + b"\n--b--\n",
        lambda data: b"<a><b c='d'>" + base64.encodebytes(data) + b"</b></a>",
        lambda data: b"name,file\r\none," + base64.b64encode(data) + b"\r\n",
        lambda data: json.dumps(
            {"value": base64.b64encode(data).decode(), "contentType": "application/x-pkcs12"}
        ).encode(),
    ],
    ids=[
        "one line",
        "lines",
        "letters of URLs",
        "no padding",
        "quotes",
        "UTF-16",
        "hex",
        "hex bytes",
        "C",
        "PowerShell",
        "data URL",
        "mail",
        "BitConverter",
        "JSON numbers",
        "LDIF",
        "mail of several parts",
        "XML",
        "CSV",
        "key vault",
    ],
)
def test_bare_base64_is_decoded(kind: Kind, encode: Callable[[bytes], bytes]) -> None:
    """As a key vault, `certutil -encode` and web forms give it."""
    (item,) = recognise(encode(BINARY[kind])).items
    assert (item.kind, item.data) == (kind, BINARY[kind])


def test_der_files_one_behind_another_are_all_read() -> None:
    """`copy /b root.cer+leaf.cer both.cer`."""
    items = recognise(ROOT_DER + CERTIFICATE + PKCS8 + b"\r\n").items
    assert [item.data for item in items] == [ROOT_DER, CERTIFICATE, PKCS8]
    (first, second) = recognise(ROOT_DER + CERTIFICATE + b"0").items
    assert (first.trailing, second.trailing) == (0, 1)


def test_what_is_not_wanted_is_named() -> None:
    with pytest.raises(MalformedDataError, match=r"^a private key is needed, and this is 2 certificates$"):
        take(ROOT_DER + CERTIFICATE, Kind.PRIVATE_KEY)
    with pytest.raises(MalformedDataError, match=r"^3 bytes stand behind the end of the PFX$"):
        take(PFX + b"end", Kind.PFX)


def test_a_file_of_several_keeps_its_order() -> None:
    text = KEY_PEM + PEM + _armoured("X509 CRL", CRL)
    found = recognise(text.encode())
    assert [item.kind for item in found.items] == [Kind.PRIVATE_KEY, Kind.CERTIFICATE, Kind.REVOCATION_LIST]
    assert found.items[1].place == f"PEM block 2 (CERTIFICATE, line {KEY_PEM.count(chr(10)) + 1})"


def test_an_encrypted_key_keeps_its_headers() -> None:
    """Proc-Type and DEK-Info say how it is encrypted (RFC 1421), so the PEM text is handed on, cleaned."""
    old = _KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, _SEALED).decode()
    (item,) = recognise(WRAPPINGS["quoted in a mail"](old)).items
    assert item.kind is Kind.PRIVATE_KEY
    assert load_pem_private_key(item.data, b"secret").public_key() == _KEY.public_key()


def test_what_openssl_puts_behind_a_trusted_certificate_is_no_rest() -> None:
    (item,) = recognise(
        _armoured("TRUSTED CERTIFICATE", CERTIFICATE + bytes.fromhex("3006300406022a03")).encode()
    ).items
    assert (item.data, item.trailing) == (CERTIFICATE, 0)
    (item,) = recognise(_armoured("CERTIFICATE", CERTIFICATE + b"\1").encode()).items
    assert item.trailing == 1


def test_a_certificate_in_json_and_again_in_its_chain_is_one() -> None:
    answer = json.dumps({"certificate": PEM, "ca_chain": [ROOT_CERTIFICATE.public_bytes(Encoding.PEM).decode(), PEM]})
    assert [item.data for item in recognise(answer.encode()).items] == [CERTIFICATE, ROOT_DER]


def test_a_key_in_base64_beside_plain_pem_is_not_left_out() -> None:
    text = f'CERT="{PEM}"\nKEY={base64.b64encode(KEY_PEM.encode()).decode()}\n'
    assert [item.data for item in recognise(text.encode()).items] == [CERTIFICATE, PKCS8]


def test_a_damaged_secret_beside_a_whole_one_is_told() -> None:
    """In JSON it was passed over, so that the authority's certificate was taken for the server's."""
    cut_off = PEM.partition("-----END")[0].encode()
    fields = {"tls.crt": base64.b64encode(cut_off).decode(), "ca.crt": base64.b64encode(PEM.encode()).decode()}
    for text in (json.dumps(fields), "\n".join(f"{name}: {value}" for name, value in fields.items())):
        with pytest.raises(MalformedDataError, match="does not end"):
            recognise(text.encode())


@pytest.mark.parametrize(
    "second",
    [
        PEM.replace("-----", "---"),
        PEM.replace("-----", ""),
        PEM.replace("BEGIN CERTIFICATE", "begin certificate").replace("END CERTIFICATE", "end certificate"),
    ],
    ids=["three hyphens", "no hyphens", "small letters"],
)
def test_a_block_that_begins_oddly_is_not_left_out_in_silence(second: str) -> None:
    with pytest.raises(MalformedDataError, match="write BEGIN CERTIFICATE in capital letters, with five hyphens"):
        recognise((KEY_PEM + second).encode())
    prose = "The line\nBEGIN CERTIFICATE\nbegins it, and -----BEGIN a block----- does not.\n"
    assert len(recognise((prose + PEM).encode()).items) == 1


def test_saml_metadata() -> None:
    element = f"<ds:X509Certificate>\n{base64.encodebytes(CERTIFICATE).decode()}</ds:X509Certificate>"
    text = f"<md:KeyDescriptor>{element}</md:KeyDescriptor>"
    found = recognise(text.encode())
    assert ([item.data for item in found.items], found.wrappings) == ([CERTIFICATE], ("XML",))


NOT_READ: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the file is empty"),
    "blanks": (b" \r\n\t ", "only blanks"),
    "zero bytes": (bytes(4096), "only zero bytes"),
    "JKS": (b"\xfe\xed\xfe\xed\0\0\0\2", "keytool -importkeystore"),
    "JCEKS": (b"\xce\xce\xce\xce\0\0\0\2", "-srcstoretype JCEKS"),
    "sst": (b"\0\0\0\0CERT" + CERTIFICATE, r"\.sst"),
    "MSBLOB, private": (b"\x07\x02\0\0\0\xa4\0\0RSA2", "openssl rsa -inform MSBLOB"),
    "MSBLOB, public": (b"\x06\x02\0\0\0\xa4\0\0RSA1", "public key as Microsoft's MSBLOB"),
    "OpenSSH": (
        _armoured("OPENSSH PRIVATE KEY", b"openssh-key-v1\0" + bytes(90)).encode(),
        "ssh-keygen -p",
    ),
    "a listing of netsh": (
        "\r\nSSL-Zertifikatbindungen:\r\n-------------------------\r\n\r\n".encode("utf-16"),
        "a listing of netsh http show sslcert",
    ),
    "SSH public": (b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ me@here", "SSH public key"),
    "PuTTY": (b"PuTTY-User-Key-File-3: ssh-rsa\n", "puttygen"),
    "OpenPGP": (
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxsBN\n-----END PGP PUBLIC KEY BLOCK-----\n",
        "OpenPGP",
    ),
    "ZIP": (b"PK\x03\x04" + bytes(99), "unpack it"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "PDF"),
    "a program": (b"MZ\x90\0" + bytes(60), "Windows program"),
    "SQLite": (b"SQLite format 3\0" + bytes(99), "--machine"),
    "an HTML page": (b"<!DOCTYPE html><title>Log\n in</title>", "HTML page.*Log in"),
    "XML": (b"<?xml version='1.0'?><a/>", "X509Certificate"),
    "JSON": (b'{"errors": ["permission denied, sorry"]}', "JSON without"),
    "a URL": (b"https://example.com/ca.crt\n", "URL"),
    "registry": ("Windows Registry Editor Version 5.00\r\n".encode("utf-16"), "export of the registry"),
    "certreq's instructions": (b"[NewRequest]\r\nSubject=CN=a\r\n", "certreq -new"),
    "text of OpenSSL": (b"Certificate:\n    Data:\n        Version: 3 (0x2)\n", "openssl x509 gives it as PEM"),
    "a PowerShell type": (b"System.Byte[]\r\n", "WriteAllBytes"),
    "JWK": (b'{"kty": "RSA", "n": "AQAB"}', "JSON Web Key"),
    "prose": (b"The certificate is attached.", "text, but no PEM"),
    "a data: URL without data": (b"data:,", "text, but no PEM"),
    "the beginning of one": (b"data:\n", "text, but no PEM"),
    "no hyphens": (b"BEGIN CERTIFICATE\nMIIB\nEND CERTIFICATE\n", "lost its hyphens"),
    "no END": (PEM.partition("-----END")[0].encode(), "begins in line 1 and does not end"),
    "no BEGIN": (PEM.partition("\n")[2].encode(), "beginning is missing"),
    "a key cut off behind a certificate": (
        (PEM + KEY_PEM.partition("-----END")[0]).encode(),
        r"PRIVATE KEY\) begins in line \d+ and does not end",
    ),
    "another END": (PEM.replace("END CERTIFICATE", "END PRIVATE KEY").encode(), "its end says"),
    "a line missing": (
        ("\n".join(PEM.splitlines()[:3] + PEM.splitlines()[4:])).encode(),
        "PEM block 1",
    ),
    "not base64": (PEM.replace("\nMII", "\nM!I").encode(), "no base64"),
    "UTF-16 with other text behind": (PEM.encode("utf-16") + PEM.encode(), "each in the same encoding"),
    "an immense character reference": (f"{PEM}&#{'9' * 5000};-----BEGIN A-----".encode(), "does not end"),
    "DER as PowerShell writes text": (CERTIFICATE.decode("cp437").encode("utf-16"), "-OutFile"),
    "DER as UTF-8": (CERTIFICATE.decode("utf-8", "replace").encode(), "cannot be undone"),
    "DER sent as text": (
        CERTIFICATE.replace(b"\n", b"\r\n"),
        "in binary mode",
    ),  # 0A is the length of ecdsa-with-SHA256
    "a dump": (b"00000000: 3082 02d7 3082 01bf a003 0201 0202 1453  0...0..........S\n", "xxd -r"),
    "certutil's dump": (b"0000  30 82 02 d7 30 82 01 bf  a0 03 02 01 02 02 14 53   0...0\r\n", "certutil -decodehex"),
    "BKS": (b"\0\0\0\2\0\0\0\x14" + bytes(range(60)), "-srcstoretype BKS"),
    "a keychain": (b"kych\0\1\0\0" + bytes(60), "security export"),
    "a key of a TPM": (_armoured("TSS2 PRIVATE KEY", b"\x30\x03\2\1\0").encode(), "TPM"),
    "an ECC blob": (b"ECS2\x20\0\0\0" + bytes(96), "BCRYPT_ECCPRIVATE_BLOB"),
    "noise": (bytes(range(1, 256)), "neither text nor"),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_what_is_not_read_is_named(name: str) -> None:
    data, words = NOT_READ[name]
    with pytest.raises(MalformedDataError, match=words):
        recognise(data)


@pytest.mark.parametrize("text", ["plain", "grün", "日本"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_decoded(text: str, encoding: str) -> None:
    """What Notepad and PowerShell write."""
    assert decode_text((text * 4).encode(encoding)) == text * 4


def test_windows_1252_is_decoded_and_binary_is_not() -> None:
    assert decode_text("grün".encode("cp1252")) == "grün"
    assert decode_text(PFX) is None


@given(st.binary(max_size=400))
def test_any_bytes_are_recognised_or_refused(data: bytes) -> None:
    """Nothing but our own error, and never an empty answer."""
    with contextlib.suppress(MalformedDataError):
        assert recognise(data).items


@given(
    st.sampled_from(sorted(WRAPPINGS)),
    st.integers(0, 4000),
    st.binary(min_size=1, max_size=8),
)
def test_damaged_text_is_recognised_or_refused(wrapping: str, position: int, damage: bytes) -> None:
    data = WRAPPINGS[wrapping](PEM + KEY_PEM)
    position %= len(data)
    with contextlib.suppress(MalformedDataError):
        assert recognise(data[:position] + damage + data[position + len(damage) :]).items


def test_a_certificate_that_cannot_be_parsed_is_still_one() -> None:
    """What is wrong inside is for the readers to say."""
    inner = bytearray(CERTIFICATE)
    inner[len(inner) // 2] ^= 0xFF
    (item,) = recognise(bytes(inner)).items
    assert item.kind is Kind.CERTIFICATE
    assert x509.load_der_x509_certificate(CERTIFICATE) == LEAF_CERTIFICATE


_RSA = rsa.generate_private_key(65537, 2048)
_ENVELOPED = bytes.fromhex("300b06092a864886f70d010703")

# What docs/formats.md lists: a file, and what `mlsssl show` says of it, in these very words.
TABLE: dict[str, tuple[bytes, str]] = {
    "certificate, DER": (CERTIFICATE, "a certificate"),
    "certificate, PEM": (PEM.encode(), "a certificate"),
    "certificates one behind another, DER or PEM": (ROOT_DER + CERTIFICATE, "2 certificates"),
    "certificate with its private key": ((PEM + KEY_PEM).encode(), "a certificate and a private key"),
    "`BEGIN TRUSTED CERTIFICATE` (OpenSSL)": (_armoured("TRUSTED CERTIFICATE", CERTIFICATE).encode(), "a certificate"),
    "PKCS#7 (`.p7b`, `.spc`), DER": (PKCS7, "a PKCS#7 file"),
    "PKCS#7 under `PKCS7`, `CMS`, `SIGNED DATA` or `CERTIFICATE`": (
        _armoured("CERTIFICATE", PKCS7).encode(),
        "a PKCS#7 file",
    ),
    "PFX (PKCS#12)": (PFX, "a PFX"),
    "PFX in base64, as a key vault gives it": (base64.b64encode(PFX), "a PFX"),
    "certificate request, also certreq's": (
        _armoured("NEW CERTIFICATE REQUEST", REQUEST).encode(),
        "a certificate request",
    ),
    "revocation list": (CRL, "a revocation list"),
    "private key, PKCS#8, PKCS#1 or SEC 1": (KEY_PEM.encode(), "a private key"),
    "private key encrypted by OpenSSL's old way": (
        _KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, _SEALED),
        "a private key",
    ),
    "PVK (MakeCert)": (serialize_pvk(_RSA, None), "a PVK private key"),
    "public key": (BINARY[Kind.PUBLIC_KEY], "a public key"),
    "`EC PARAMETERS`, `DH PARAMETERS`": (
        _armoured("EC PARAMETERS", bytes.fromhex("06082a8648ce3d030107")).encode(),
        "key parameters",
    ),
    "UTF-16 (PowerShell 5.1's `>`)": (PEM.encode("utf-16"), "UTF-16 text"),
    "base64 of PEM": (base64.b64encode(PEM.encode()), "base64"),
    "hexadecimal digits": (CERTIFICATE.hex(" ").encode(), "hexadecimal"),
    "PowerShell 5.1's `$certificate.RawData > FILE`": (
        "\r\n".join(map(str, CERTIFICATE)).encode("utf-16"),
        "decimal numbers",
    ),
    "JSON of a vault or a cloud manager": (json.dumps({"certificate": PEM}).encode(), "JSON"),
    "Kubernetes secret, YAML": (WRAPPINGS["a Kubernetes secret in YAML"](PEM), "base64"),
    "base64 inside other text: LDIF, a mail of several parts, CSV": (
        f"name,file\none,{base64.b64encode(CERTIFICATE).decode()}\n".encode(),
        "base64",
    ),
    "SAML metadata": (
        f"<a><X509Certificate>{base64.b64encode(CERTIFICATE).decode()}</X509Certificate></a>".encode(),
        "XML",
    ),
    "an HTTP header of a proxy": (WRAPPINGS["an HTTP header"](PEM), "percent-encoding"),
    "an environment variable with literal `\\n`": (WRAPPINGS["literal backslash-n"](PEM), "backslash-n"),
    "Java keystore, JKS": (*NOT_READ["JKS"][:1], "keytool -importkeystore"),
    "Java keystore, JCEKS": (*NOT_READ["JCEKS"][:1], "-srcstoretype JCEKS"),
    "Bouncy Castle keystore, BKS": (*NOT_READ["BKS"][:1], "-srcstoretype BKS"),
    "keychain of macOS": (*NOT_READ["a keychain"][:1], "security export"),
    "OpenSSH private key": (*NOT_READ["OpenSSH"][:1], "ssh-keygen -p -m PEM"),
    "PuTTY private key": (*NOT_READ["PuTTY"][:1], "puttygen"),
    "SSH public key": (*NOT_READ["SSH public"][:1], "an SSH public key, which is no certificate"),
    "listing of `netsh http show sslcert`": (*NOT_READ["a listing of netsh"][:1], "mlsssl audit --listing FILE"),
    "export of the registry (`.reg`)": (*NOT_READ["registry"][:1], "an export of the registry"),
    "certreq's instructions (`.inf`)": (*NOT_READ["certreq's instructions"][:1], "certreq -new FILE request.csr"),
    "what `openssl x509 -text` prints": (*NOT_READ["text of OpenSSL"][:1], "openssl x509 gives it as PEM"),
    "JSON Web Key": (*NOT_READ["JWK"][:1], "a JSON Web Key (RFC 7517)"),
    "OpenPGP key or message": (*NOT_READ["OpenPGP"][:1], "OpenPGP"),
    "Microsoft's MSBLOB": (*NOT_READ["MSBLOB, private"][:1], "openssl rsa -inform MSBLOB"),
    "Windows' `BCRYPT_RSAPRIVATE_BLOB`": (b"RSA2" + bytes(20), "export it as a PFX or as PKCS#8"),
    "serialized certificate store (`.sst`)": (*NOT_READ["sst"][:1], "a serialized certificate store (.sst)"),
    "encrypted PKCS#7 (enveloped data)": (_ENVELOPED, "encrypted (enveloped) data"),
    "OCSP response": (bytes.fromhex("30090a0100a0043002 0500"), "an OCSP response"),
    "ZIP, gzip, 7-Zip, cabinet": (*NOT_READ["ZIP"][:1], "unpack it, and give the file inside"),
    "PDF, picture, Office document, program": (*NOT_READ["PDF"][:1], "a PDF document"),
    "an embedded machine's file, NSS's `cert9.db`": (
        *NOT_READ["SQLite"][:1],
        "an embedded machine, given with --machine",
    ),
    "HTML page in place of a download": (*NOT_READ["an HTML page"][:1], "a server answered with a page"),
    "a URL": (*NOT_READ["a URL"][:1], "download it first"),
    "empty, blanks or zero bytes": (b"", "the file is empty"),
    "a hexadecimal dump (`xxd`, `certutil -encodehex`)": (*NOT_READ["a dump"][:1], "a hexadecimal dump"),
    "DER that PowerShell's `>` wrote as text": (
        *NOT_READ["DER as PowerShell writes text"][:1],
        "that cannot be undone",
    ),
    "a PEM block without its END": (*NOT_READ["no END"][:1], "the file is cut off, or its END line is missing"),
    "DER cut off": (CERTIFICATE[:-9], "cut off: 9 bytes are missing at its end"),
    "other text": (*NOT_READ["prose"][:1], "no PEM, base64 or JSON with a certificate or key in it"),
}


@pytest.mark.parametrize("name", TABLE)
def test_show_names_every_file_of_the_docs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, words = TABLE[name]
    path = tmp_path / "given"
    path.write_bytes(data)
    monkeypatch.setenv("SECRET", "secret")
    code = main(["show", str(path), "--password", "env:SECRET"])
    out, error = capsys.readouterr()
    assert words in out + error
    assert (code == 0) is (error == "")
    assert "Traceback" not in error


def test_the_table_of_the_docs_is_this_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "formats.md"
    begin, rows = "| a file that is, or is in | `mlsssl show` says |", [f"| {k} | {v[1]} |" for k, v in TABLE.items()]
    assert "\n".join([begin, "|---|---|", *rows, ""]) in page.read_text(encoding="utf-8")
