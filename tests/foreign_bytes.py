"""Every reader of foreign bytes, by name, with files that it reads: for the properties and the fuzzers."""

from __future__ import annotations

import contextlib
import datetime as dt
import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from made_certificates import make, shared_key
from mlsssl import Certificate
from mlsssl._embedded.listener.client_hello import ClientHelloReader
from mlsssl._embedded.listener.http import BadRequestError, parse_request
from mlsssl._formats import sddl
from mlsssl._formats.crl import load_crls
from mlsssl._formats.csr import load_request
from mlsssl._formats.key_files import load_private_key
from mlsssl._formats.keys import private_key_pem
from mlsssl._formats.pkcs7 import load_pkcs7, serialize_pkcs7
from mlsssl._formats.pkcs12.explain import explain_pfx
from mlsssl._formats.pkcs12.read import load_pfx
from mlsssl._formats.pkcs12.write import serialize_pfx
from mlsssl._formats.pvk import load_pvk, serialize_pvk
from mlsssl.errors import MalformedDataError, UnsupportedError
from mlsssl.netsh import (
    from_json,
    parse_command,
    parse_http_command,
    parse_listing,
    parse_script,
    parse_urlacl_listing,
    to_json,
)
from mlsssl.request import CertificateRequest
from pfx_material import ber, load_pfx_entries, rebuild
from refused_certificates import TAKEN_BY_WINDOWS, odd_request, of_server

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = make("Root", key=shared_key(1), authority=True)
LEAF = make("www.example.com", key=shared_key(2), issuer=ROOT)
RSA_KEY = rsa.generate_private_key(65537, 1024)

_PFX = serialize_pfx(LEAF.key, LEAF.certificate, [ROOT.certificate], "secret", friendly_name="web", iterations=1)
_AES = serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", readable_by="windows-11", iterations=1)
_OPEN = rebuild(serialize_pfx(LEAF.key, LEAF.certificate, [ROOT.certificate], None, iterations=1), password="secret")
_LISTING = b"""
SSL Certificate bindings:
-------------------------

    IP:port                      : 0.0.0.0:443
    Certificate Hash             : 18e1628ac1cd7cae3495e718f87e5b6188193c81
    Application ID               : {9168e8b4-df4b-497c-918e-36ebc2c69732}
    Certificate Store Name       : (null)
    Verify Client Certificate Revocation : Enabled
    Verify Revocation Using Cached Client Certificate Only : Disabled
    Usage Check                  : Enabled
    Revocation Freshness Time    : 0
    URL Retrieval Timeout        : 0
    Ctl Identifier               : (null)
    Ctl Store Name               : (null)
    DS Mapper Usage              : Disabled
    Negotiate Client Certificate : Disabled
"""
_COMMAND = (
    "netsh http add sslcert hostnameport=www.example.com:443 certhash=18e1628ac1cd7cae3495e718f87e5b6188193c81 "
    "appid={9168e8b4-df4b-497c-918e-36ebc2c69732} certstorename=MY disabletls13=enable"
)


_SDDL = "O:BAG:SYD:PAI(A;;GX;;;S-1-5-80-1-2-3-4-5)(D;CI;0x20000000;;;WD)S:(AU;;GA;;;WD)"
_RESERVATIONS = f"""
URL Reservations:
-----------------

    Reserved URL            : https://+:443/mls/
        User: \\Everyone
            Listen: Yes
            Delegate: No
            SDDL: {_SDDL}
""".encode()


def _crl() -> bytes:
    at = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    entry = x509.RevokedCertificateBuilder().serial_number(5).revocation_date(at).build()
    builder = x509.CertificateRevocationListBuilder().issuer_name(ROOT.certificate.subject)
    builder = builder.last_update(at).next_update(at).add_revoked_certificate(entry)
    return builder.sign(ROOT.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _hello(server_name: str | None) -> bytes:
    """What Python's own client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=server_name).do_handshake()
    return outgoing.read()


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(data.decode("utf-8", "surrogateescape"))


EXPECTED: dict[str, tuple[type[Exception], ...]] = {
    # A private key of a kind that is not used is no malformed file.
    "certificate": (MalformedDataError, UnsupportedError),
    "private_key": (MalformedDataError, UnsupportedError),
    "http_request": (BadRequestError,),
}
"""What a reader may raise, where that is more than `MalformedDataError`."""

READERS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "load_pfx": (lambda data: load_pfx(data, "secret"), [_PFX, _AES, _OPEN, ber(_PFX)]),
    "load_pfx_entries": (lambda data: load_pfx_entries(data, "secret"), [_PFX, _AES, _OPEN, ber(_OPEN)]),
    "explain_pfx": (lambda data: str(explain_pfx(data, "secret")), [_PFX, _AES, _OPEN, ber(_AES)]),
    "certificate": (
        lambda data: Certificate.from_bytes(data, password="secret"),
        [
            LEAF.der,
            LEAF.pem + private_key_pem(LEAF.key, None),
            of_server(**TAKEN_BY_WINDOWS["t61"]),
            of_server(**TAKEN_BY_WINDOWS["utc-offset"]),
            _PFX,
            serialize_pkcs7([LEAF.certificate, ROOT.certificate]),
        ],
    ),
    "load_crls": (load_crls, [_crl()]),
    "client_hello": (lambda data: ClientHelloReader().feed(data), [_hello("www.example.com"), _hello(None)]),
    "http_request": (
        lambda data: parse_request(bytearray(data)),
        [b"GET /a?b=c HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"],
    ),
    "private_key": (lambda data: load_private_key(data, "secret"), [LEAF.pkcs8, private_key_pem(LEAF.key, None)]),
    "load_pvk": (
        lambda data: load_pvk(data, "secret"),
        [serialize_pvk(RSA_KEY, None), serialize_pvk(RSA_KEY, "secret")],
    ),
    "load_pkcs7": (
        load_pkcs7,
        [
            serialize_pkcs7([LEAF.certificate, ROOT.certificate]),
            serialize_pkcs7([LEAF.certificate], encoding="pem"),
            ber(serialize_pkcs7([LEAF.certificate]), depth=4),
        ],
    ),
    "load_request": (
        load_request,
        [
            CertificateRequest.create("www.example.com", "10.0.0.5", key=LEAF.key).to_der(),
            CertificateRequest.create("www.example.com", key=LEAF.key).to_pem(),
            odd_request(),
        ],
    ),
    "parse_listing": (parse_listing, [_LISTING]),
    "parse_command": (_text(parse_command), [_COMMAND.encode()]),
    "parse_urlacl_listing": (parse_urlacl_listing, [_RESERVATIONS]),
    "parse_http_command": (
        _text(parse_http_command),
        [f'netsh http add urlacl url=https://+:443/mls/ sddl="{_SDDL}"'.encode(), b"netsh http sh timeout"],
    ),
    "access_list": (_text(sddl.entries), [_SDDL.encode()]),
    "parse_script": (_text(parse_script), [_COMMAND.encode()]),
    "from_json": (from_json, [to_json(parse_listing(_LISTING).records).encode()]),
}
