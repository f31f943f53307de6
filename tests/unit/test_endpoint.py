"""Live servers: real TLS on loopback, right and wrong, and things that are no TLS server at all."""

from __future__ import annotations

import _ssl as ssl_internals
import contextlib
import hashlib
import socket
import ssl
import threading
import time
import warnings
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chains import NOW, Made, ec_key, intermediate, leaf, root
from mlsssl import (
    EndpointError,
    InvalidInputError,
    MalformedDataError,
    Thumbprint,
    UnsupportedError,
    check_endpoint,
)
from mlsssl._machine import handshake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = root()
MIDDLE = intermediate(ROOT)
LEAF = leaf(MIDDLE, "localhost", "127.0.0.1")


@contextlib.contextmanager
def serving(folder: Path, *sent: Made, newest: ssl.TLSVersion | None = None) -> Iterator[int]:
    """A TLS server on loopback that sends these certificates in this order; yields its port."""
    file = folder / "server.pem"
    key = ec_key(3).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(key + b"".join(made.certificate().public_bytes(Encoding.PEM) for made in sent))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if newest is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = newest
        context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    connection.settimeout(5)
                    with context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            ended.set()
            thread.join()


def test_a_faultless_server_has_no_error_and_its_chain_is_told(tmp_path: Path) -> None:
    """Leaf and intermediate as sent, the protocol, the name and the address."""
    with serving(tmp_path, LEAF, MIDDLE) as port:
        seen = check_endpoint(f"localhost:{port}", trust=[ROOT.certificate()], at=NOW)
        by_address = check_endpoint(f"127.0.0.1:{port}", trust=[ROOT.certificate()], at=NOW)
    assert seen.ok
    assert seen
    assert seen.report.codes == ()
    assert seen.protocol == "TLSv1.3"
    assert seen.address == "127.0.0.1"
    assert seen.certificate.to_der() == LEAF.der()
    assert [one.to_der() for one in seen.certificate.chain] == [MIDDLE.der()]
    assert f"localhost:{port}" in str(seen)
    assert seen.to_dict()["protocol"] == "TLSv1.3"
    assert by_address.ok


def test_a_missing_intermediate_a_wrong_name_and_another_root_are_errors(tmp_path: Path) -> None:
    """The failing twins, each by itself."""
    with serving(tmp_path, LEAF) as port:
        short = check_endpoint(f"localhost:{port}", trust=[ROOT.certificate()], at=NOW)
    assert not short
    assert [f.code for f in short.report.errors] == ["issuer-not-found"]
    with serving(tmp_path, LEAF, MIDDLE) as port:
        named = check_endpoint(f"127.0.0.1:{port}", host="www.example.com", trust=[ROOT.certificate()], at=NOW)
        strange = check_endpoint(f"localhost:{port}", trust=[root("Other", 9).certificate()], at=NOW)
    assert [f.code for f in named.report.errors] == ["name-mismatch"]
    assert named.server_name == "www.example.com"
    assert [f.code for f in strange.report.errors] == ["issuer-not-found"]


def test_the_order_and_the_strangers_in_a_chain_are_told(tmp_path: Path) -> None:
    """A root too many, a certificate of somebody else, and the wrong order, over a real wire."""
    upper = intermediate(ROOT, "Upper", 12, path_length=1)
    lower = intermediate(upper, "Lower", 13)
    deep = leaf(lower, "localhost")
    stranger = intermediate(root("Stranger", 20), "Strange", 21)
    with serving(tmp_path, deep, upper, lower, ROOT, stranger) as port:
        seen = check_endpoint(f"localhost:{port}", trust=[ROOT.certificate()], at=NOW)
    assert seen.ok
    assert set(seen.report.codes) == {"chain-order", "chain-unrelated", "chain-sends-root"}


def test_the_newest_protocol_of_an_old_server_is_told(tmp_path: Path) -> None:
    """TLS 1.2 is fine; the protocol stands in the result."""
    with serving(tmp_path, LEAF, MIDDLE, newest=ssl.TLSVersion.TLSv1_2) as port:
        assert check_endpoint(f"localhost:{port}", trust=[ROOT.certificate()], at=NOW).protocol == "TLSv1.2"


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a_server_of_yesterday_is_told_that_its_protocol_is_obsolete(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    """Its certificate is fine, and no client of today comes so far as to see it; the handshake failed here too."""
    with serving(tmp_path, LEAF, MIDDLE, newest=newest) as port:
        seen = check_endpoint(f"localhost:{port}", trust=[ROOT.certificate()], at=NOW)
    assert seen.protocol == newest.name.replace("_", ".")
    assert [f.code for f in seen.report.errors] == ["protocol-obsolete"]


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_the_handshake_after_a_change_sees_a_server_of_yesterday_too(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    """It is verified like any other; "served-nothing", an error after a good deploy, is for what serves nothing."""
    with serving(tmp_path, LEAF, MIDDLE, newest=newest) as port:
        served = handshake.ask(("127.0.0.1", port), "localhost")
    assert served == handshake.Served(thumbprint=Thumbprint(hashlib.sha1(LEAF.der()).digest()))


def test_what_stands_above_a_missing_intermediate_is_not_called_a_stranger(tmp_path: Path) -> None:
    """The remedy was to leave it out; now it is to send the missing one first. With that one there, all is well."""
    upper = intermediate(ROOT, "Upper", 12, path_length=1)
    lower = intermediate(upper, "Lower", 13)
    deep = leaf(lower, "localhost")
    with serving(tmp_path, deep, upper) as port:
        broken = check_endpoint(f"localhost:{port}", trust=[ROOT.certificate()], at=NOW)
    with serving(tmp_path, deep, lower, upper) as port:
        whole = check_endpoint(f"localhost:{port}", trust=[ROOT.certificate()], at=NOW)
    assert broken.report.codes == ("issuer-not-found", "chain-unrelated")
    unrelated = broken.report.findings[1]
    assert unrelated.found == "CN=Upper, unless it stands above CN=Lower, which is not sent"
    assert unrelated.remedy.startswith("send the certificate of CN=Lower first, cert.with_chain([...]);")
    assert whole.report.codes == ()


def test_what_is_no_tls_server_is_an_endpoint_error() -> None:
    """A closed port, a silent one, one that talks another protocol: our error, with the endpoint, in time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        start = time.monotonic()
        with pytest.raises(EndpointError, match="did not finish") as caught:
            check_endpoint(f"127.0.0.1:{port}", trust=None, timeout=0.3)
        assert time.monotonic() - start < 5
        assert caught.value.endpoint == f"127.0.0.1:{port}"

        def greet() -> None:
            for _ in range(2):  # the silent client of before, and the next one
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" * 4)
                    connection.recv(4096)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(EndpointError, match="TLS handshake failed"):
            check_endpoint(f"127.0.0.1:{port}", trust=None, timeout=5)
        thread.join()
    with pytest.raises(EndpointError, match="nothing listens"):
        check_endpoint(f"127.0.0.1:{port}", trust=None, timeout=5)


@pytest.mark.parametrize(
    "endpoint", ["", "https://localhost/", "localhost:0", "localhost:http", "localhost:70000", ":443", "[::1"]
)
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    """Nothing is connected to for text that means nothing."""
    with pytest.raises(InvalidInputError):
        check_endpoint(endpoint, trust=None)


@pytest.mark.parametrize("timeout", [0, -1, 3601, True, float("nan")])
def test_timeouts_out_of_range_are_refused(timeout: float) -> None:
    """So are timeouts that would never end, or never begin."""
    with pytest.raises(InvalidInputError, match="timeout"):
        check_endpoint("localhost:1", trust=None, timeout=timeout)


def test_the_chain_is_taken_from_both_shapes_of_the_ssl_module() -> None:
    """Octets from the public method of Python 3.13, objects from the inner one before; neither is our own error."""

    class Inner:
        def __init__(self, ders: list[bytes]) -> None:
            self.ders = ders

        def public_bytes(self, encoding: int) -> bytes:
            assert encoding == ssl_internals.ENCODING_DER
            return self.ders[0]

        def get_unverified_chain(self) -> list[Inner]:
            return [Inner([der]) for der in self.ders]

    class New:
        def get_unverified_chain(self) -> list[bytes]:
            return [b"one", b"two"]

    class Old:
        _sslobj = Inner([b"one", b"two"])

    class Silent:
        def get_unverified_chain(self) -> list[bytes]:
            return []

    class Without:
        _sslobj = None

    assert handshake.sent_chain(New()) == [b"one", b"two"]  # type: ignore[arg-type]
    assert handshake.sent_chain(Old()) == [b"one", b"two"]  # type: ignore[arg-type]
    with pytest.raises(MalformedDataError):
        handshake.sent_chain(Silent())  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError):
        handshake.sent_chain(Without())  # type: ignore[arg-type]
