"""The listener: real handshakes over loopback, each success with its failing twin."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import shutil
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from made_certificates import Made, make, shared_key
from mlsssl._embedded.listener.connection import Limits
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._formats.binding_keys import BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs, parse_binding_key
from mlsssl._machine import tls_contexts
from mlsssl._machine.ports import BindingRecord
from mlsssl.errors import ClosedError, InvalidInputError, ListenerError, MalformedDataError, NotFoundError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlsssl._embedded.listener.listener import Listener
    from mlsssl._formats.binding_keys import BindingKey

ROOT = make("root", key=shared_key(10), authority=True)
OTHER_ROOT = make("other root", key=shared_key(11), authority=True)
INTERMEDIATE = make("intermediate", key=shared_key(12), issuer=ROOT, authority=True)
NAMES = ("a.example", "www.a.example", "b.example", "localhost", "127.0.0.1", "127.0.0.2", "::1")


def leaf(number: int, *names: str) -> Made:
    return make(*(names or NAMES), key=shared_key(100 + number), issuer=INTERMEDIATE)


ONE, TWO, THREE, FOUR, FIVE = (leaf(number) for number in range(5))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[EmbeddedPort]:
    port = EmbeddedPort(tmp_path / "machine.sqlite")
    put(port, INTERMEDIATE, store="CA", key=False)
    put(port, ROOT, store="Root", key=False)
    for made in (ONE, TWO, THREE, FOUR, FIVE):
        put(port, made)
    yield port
    port.close()


def put(port: EmbeddedPort, made: Made, *, store: str = "MY", key: bool = True) -> None:
    opened = port.open_store(store, "LocalMachine", write=True)
    opened.add(made.der, made.pkcs8 if key else None, friendly_name=None, exportable=False, provider=None)


def record(key: BindingKey | str, made: Made | None, **options: bool) -> BindingRecord:
    key = parse_binding_key(key)
    return BindingRecord(
        key=key,
        thumbprint=None if made is None else made.thumbprint,
        store_name=None if made is None else "MY",
        app_id=uuid.UUID(int=7),
        options=BindingOptions(**options),  # type: ignore[arg-type]
    )


def client_context(root: Made = ROOT) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=root.pem.decode())


@contextlib.contextmanager
def connected(
    port: int, name: str | None = "a.example", context: ssl.SSLContext | None = None, address: str = "127.0.0.1"
) -> Iterator[ssl.SSLSocket]:
    context = context or client_context()
    if name is None:
        context.check_hostname = False
    raw = socket.create_connection((address, port), timeout=20)
    with raw, context.wrap_socket(raw, server_hostname=name) as tls:
        yield tls


def served(
    port: int, name: str | None = "a.example", context: ssl.SSLContext | None = None, address: str = "127.0.0.1"
) -> Thumbprint:
    with connected(port, name, context, address) as tls:
        der = tls.getpeercert(binary_form=True)
        assert der
        return Thumbprint(hashlib.sha1(der).digest())


def get(tls: ssl.SSLSocket, request: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") -> tuple[bytes, bytes]:
    """One response: head and body, as long as its Content-Length says."""
    tls.sendall(request)
    received = b""
    while b"\r\n\r\n" not in received:
        data = tls.recv(65536)
        if not data:
            return received, b""
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length and not request.startswith(b"HEAD"):
        data = tls.recv(65536)
        assert data
        body += data
    return head, body


def test_right_name_and_root_are_accepted_and_nothing_else(machine: EmbeddedPort) -> None:
    """The chain is sent without the root; a wrong name and another root are refused by the client."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    with machine.listen() as listener:
        port = listener.port_of("0.0.0.0:443")
        with connected(port) as tls:
            assert tls.version() == "TLSv1.3"
            head, body = get(tls)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert str(ONE.thumbprint).encode() in body
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            served(port, "wrong.example")
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get"):
            served(port, context=client_context(OTHER_ROOT))


def test_without_its_intermediate_the_chain_does_not_reach_the_root(machine: EmbeddedPort) -> None:
    """So it is really found in the store; put back, it is sent at once."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    machine.open_store("CA", "LocalMachine", write=True).remove(INTERMEDIATE.thumbprint, delete_key=True)
    with machine.listen() as listener:
        port = listener.port_of(443)
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            served(port)
        put(machine, INTERMEDIATE, store="CA", key=False)
        assert served(port) == ONE.thumbprint


def test_precedence_over_real_sockets(machine: EmbeddedPort, tmp_path: Path) -> None:
    """Exact address, SNI, CCS, wildcard address: each answers once those before it are gone."""
    folder = tmp_path / "ccs"
    folder.mkdir()
    (folder / "a.example.pfx").write_bytes(THREE.pfx("x", INTERMEDIATE))
    machine.set_central_store(folder, "x")
    records = [
        record("127.0.0.1:443", ONE),
        record("a.example:443", TWO),
        record(CcsPort(443), None),
        record("0.0.0.0:443", FOUR),
    ]
    for each in records:
        machine.bindings.add(each)
    with machine.listen() as listener:
        port = listener.port_of(443)
        for each, expected in zip(records, (ONE, TWO, THREE, FOUR), strict=True):
            assert served(port) == expected.thumbprint
            machine.bindings.remove(each.key)
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            served(port)
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            served(port, None)


@pytest.mark.skipif(sys.platform == "darwin", reason="127.0.0.2 is not set up there")
def test_a_record_for_an_address_answers_on_that_address_only(machine: EmbeddedPort) -> None:
    """One number on several addresses; IPv6 has its own wildcard."""
    machine.bindings.add(record("127.0.0.2:443", ONE))
    machine.bindings.add(record("0.0.0.0:443", TWO))
    machine.bindings.add(record("[::]:443", THREE))
    hosts = ["127.0.0.1", "127.0.0.2"] + (["::1"] if has_ipv6() else [])
    with machine.listen(host=hosts) as listener:
        port = listener.port_of("127.0.0.2:443")
        assert [(a.host, a.port, a.binding_port) for a in listener.addresses] == [(h, port, 443) for h in hosts]
        assert served(port, address="127.0.0.2") == ONE.thumbprint
        assert served(port, address="127.0.0.1") == TWO.thumbprint
        if has_ipv6():
            assert served(port, address="::1") == THREE.thumbprint
            machine.bindings.remove(IpPort("::", 443))
            assert served(port, address="::1") == TWO.thumbprint


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_a_changed_binding_answers_the_next_handshake_and_old_connections_go_on(machine: EmbeddedPort) -> None:
    """Updated, removed and added by this process."""
    key = "0.0.0.0:443"
    machine.bindings.add(record(key, ONE))
    with machine.listen() as listener:
        port = listener.port_of(key)
        with connected(port) as old:
            assert str(ONE.thumbprint).encode() in get(old)[1]
            machine.bindings.update(record(key, TWO))
            assert served(port) == TWO.thumbprint
            machine.bindings.remove(parse_binding_key(key))
            with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
                served(port)
            machine.bindings.add(record(key, THREE))
            assert served(port) == THREE.thumbprint
            assert str(ONE.thumbprint).encode() in get(old)[1]


def test_a_change_by_another_process_is_served_too(machine: EmbeddedPort) -> None:
    """The very next handshake after the other process is done."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    script = """
        import sys
        from dataclasses import replace
        from mlsssl._embedded.port import EmbeddedPort
        from mlsssl._formats.binding_keys import IpPort
        from mlsssl.values import Thumbprint
        machine = EmbeddedPort(sys.argv[1])
        old = machine.bindings.find(IpPort("0.0.0.0", 443))
        machine.bindings.update(replace(old, thumbprint=Thumbprint(sys.argv[2])))
    """
    with machine.listen() as listener:
        port = listener.port_of(443)
        for made in (TWO, THREE):
            subprocess.run(
                [sys.executable, "-c", textwrap.dedent(script), str(machine.path), str(made.thumbprint)],
                check=True,
                timeout=60,
            )
            assert served(port) == made.thumbprint


def test_a_certificate_removed_from_its_store_is_not_served(machine: EmbeddedPort) -> None:
    """The record stays, handshakes fail, and work again when it is put back."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    with machine.listen() as listener:
        port = listener.port_of(443)
        assert served(port) == ONE.thumbprint
        machine.open_store("MY", "LocalMachine", write=True).remove(ONE.thumbprint, delete_key=True)
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            served(port)
        put(machine, ONE)
        assert served(port) == ONE.thumbprint


def test_renewals_under_load_fail_no_handshake(machine: EmbeddedPort) -> None:
    """Old certificates are removed right after each; every client sees the old or the new one."""
    made = [leaf(200 + n) for n in range(25)]
    put(machine, made[0])
    machine.bindings.add(record("0.0.0.0:443", made[0]))
    seen: set[Thumbprint] = set()
    errors: list[BaseException] = []
    finished = threading.Event()

    def run(port: int) -> None:
        context = client_context()
        while not finished.is_set():
            try:
                seen.add(served(port, context=context))
            except BaseException as error:  # noqa: BLE001 -- shown below
                errors.append(error)

    with machine.listen() as listener:
        threads = [threading.Thread(target=run, args=(listener.port_of(443),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        store = machine.open_store("MY", "LocalMachine", write=True)
        for old, new in itertools.pairwise(made):
            put(machine, new)
            machine.bindings.update(record("0.0.0.0:443", new))
            store.remove(old.thumbprint, delete_key=True)
            time.sleep(0.01)
        finished.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert seen <= {one.thumbprint for one in made}
    assert len(seen) > 3


@pytest.mark.parametrize(
    ("options", "works", "fails"),
    [
        ({"tls13": False}, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3),
        ({"tls12": False}, ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2),
    ],
)
def test_a_version_switched_off_is_not_spoken(
    machine: EmbeddedPort, options: dict[str, bool], works: ssl.TLSVersion, fails: ssl.TLSVersion
) -> None:
    """By this binding; another one on the same port still does."""
    machine.bindings.add(record("a.example:443", ONE, **options))
    machine.bindings.add(record("b.example:443", TWO))
    with machine.listen() as listener:
        port = listener.port_of(443)
        for version, name, expected in (
            (works, "a.example", ONE),
            (fails, "a.example", None),
            (works, "b.example", TWO),
            (fails, "b.example", TWO),
        ):
            context = client_context()
            context.minimum_version = context.maximum_version = version
            if expected is None:
                with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
                    served(port, name, context)
            else:
                assert served(port, name, context) == expected.thumbprint


def test_with_both_versions_off_nothing_is_spoken(machine: EmbeddedPort) -> None:
    """And the client is told why."""
    machine.bindings.add(record("0.0.0.0:443", ONE, tls12=False, tls13=False))
    with machine.listen() as listener, pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        served(listener.port_of(443))


def openssl(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl here")
    return subprocess.run(
        [program, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "a.example", *arguments],
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_legacy_versions_are_spoken_only_when_both_switches_allow_it(machine: EmbeddedPort) -> None:
    """The listener's, which is off, and the binding's."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    old = ("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    with machine.listen() as listener:
        assert "alert protocol version" in openssl(listener.port_of(443), *old).stderr
    with machine.listen(allow_legacy_tls=True) as listener:
        port = listener.port_of(443)
        assert "Protocol  : TLSv1.1" in openssl(port, *old).stdout
        machine.bindings.update(record("0.0.0.0:443", ONE, legacy_tls=False))
        assert "alert protocol version" in openssl(port, *old).stderr
        assert served(port) == ONE.thumbprint


def test_openssl_verifies_what_is_served(machine: EmbeddedPort, tmp_path: Path) -> None:
    """Another client, strict; with the wrong name it does not."""
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    machine.bindings.add(record("0.0.0.0:443", ONE))
    strict = ("-CAfile", str(tmp_path / "root.pem"), "-x509_strict", "-verify_return_error", "-verify_hostname")
    with machine.listen() as listener:
        port = listener.port_of(443)
        assert "Verify return code: 0 (ok)" in openssl(port, *strict, "a.example").stdout
        assert "hostname mismatch" in openssl(port, *strict, "wrong.example").stderr


def test_curl_gets_the_page(machine: EmbeddedPort, tmp_path: Path) -> None:
    """By name and by address; from another root it does not."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("no curl here")
    for name, made in (("root.pem", ROOT), ("other.pem", OTHER_ROOT)):
        (tmp_path / name).write_bytes(made.pem)
    machine.bindings.add(record("0.0.0.0:443", ONE))
    with machine.listen() as listener:
        port = listener.port_of(443)

        def curl(root: str, host: str) -> subprocess.CompletedProcess[str]:
            command = [program, "--silent", "--show-error", "--noproxy", "*", "--cacert", str(tmp_path / root)]
            command += ["--resolve", f"a.example:{port}:127.0.0.1", f"https://{host}:{port}/"]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        assert str(ONE.thumbprint) in curl("root.pem", "a.example").stdout
        assert str(ONE.thumbprint) in curl("root.pem", "127.0.0.1").stdout
        assert curl("other.pem", "a.example").returncode == 60
        assert curl("root.pem", "wrong.example").returncode != 0


def test_a_client_certificate_is_asked_for_where_the_binding_says_so(machine: EmbeddedPort) -> None:
    """None is fine, one from the machine's roots is shown, one from elsewhere is refused."""
    machine.bindings.add(record("a.example:443", ONE, negotiate_client_certificate=True))
    machine.bindings.add(record("b.example:443", TWO))
    known = make("Ada <Lovelace>", key=shared_key(50), issuer=ROOT, usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    unknown = make("Eve", key=shared_key(51), issuer=OTHER_ROOT, usage=ExtendedKeyUsageOID.CLIENT_AUTH)

    def with_certificate(made: Made) -> ssl.SSLContext:
        context = client_context()
        tls_contexts.load_der(context, [made.der], made.pkcs8)
        return context

    with machine.listen() as listener:
        port = listener.port_of(443)
        with connected(port) as tls:
            assert b"Ada" not in get(tls)[1]
        with connected(port, context=with_certificate(known)) as tls:
            body = get(tls)[1]
        assert b"CN=Ada \\&lt;Lovelace\\&gt;" in body
        with pytest.raises((ssl.SSLError, ConnectionError)), connected(port, context=with_certificate(unknown)) as tls:
            get(tls)
        with connected(port, "b.example", with_certificate(known)) as tls:
            assert b"Ada" not in get(tls)[1]
        put(machine, OTHER_ROOT, store="Root", key=False)
        with connected(port, context=with_certificate(unknown)) as tls:
            assert b"CN=Eve" in get(tls)[1]


def test_a_rejecting_binding_ends_the_connection(machine: EmbeddedPort) -> None:
    """Without a word, before any TLS."""
    machine.bindings.add(record("a.example:443", ONE, reject_connections=True))
    machine.bindings.add(record("0.0.0.0:443", TWO))
    with machine.listen() as listener:
        port = listener.port_of(443)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            served(port)
        assert served(port, "b.example") == TWO.thumbprint


def resumed(port: int, version: ssl.TLSVersion) -> bool:
    context = client_context()
    context.minimum_version = context.maximum_version = version
    with connected(port, context=context) as first:
        # Ended properly, for OpenSSL forgets the sessions of connections that just stop.
        get(first, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        session = first.session
    return reused(port, context, session)


def reused(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> bool:
    raw = socket.create_connection(("127.0.0.1", port), timeout=20)
    with raw, context.wrap_socket(raw, server_hostname="a.example", session=session) as tls:
        return bool(tls.session_reused)


@pytest.mark.parametrize(
    ("options", "with_tls12", "with_tls13"),
    [
        ({}, True, False),  # by session id, which TLS 1.3 does not have
        ({"session_tickets": True}, True, True),
        ({"session_id": False}, False, False),
    ],
)
def test_sessions_are_resumed_as_the_options_say(
    machine: EmbeddedPort, options: dict[str, bool], with_tls12: bool, with_tls13: bool
) -> None:
    """By ticket, by id, or not at all."""
    machine.bindings.add(record("0.0.0.0:443", ONE, **options))
    with machine.listen() as listener:
        port = listener.port_of(443)
        assert resumed(port, ssl.TLSVersion.TLSv1_2) is with_tls12
        assert resumed(port, ssl.TLSVersion.TLSv1_3) is with_tls13


def test_no_resumed_session_hides_a_new_certificate(machine: EmbeddedPort) -> None:
    """A session of the old binding is not taken up by the new one's context."""
    machine.bindings.add(record("0.0.0.0:443", ONE, session_tickets=True))
    context = client_context()
    with machine.listen() as listener:
        port = listener.port_of(443)
        with connected(port, context=context) as first:
            get(first, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            session = first.session
        assert reused(port, context, session)
        machine.bindings.update(record("0.0.0.0:443", TWO, session_tickets=True))
        assert not reused(port, context, session)


def test_the_central_store_is_read_by_host_name(machine: EmbeddedPort, tmp_path: Path) -> None:
    """Exact, then wildcard file; missing, changed and unreadable files; nothing outside the folder."""
    folder = tmp_path / "ccs"
    folder.mkdir()
    (folder / "a.example.pfx").write_bytes(ONE.pfx("secret", INTERMEDIATE, ROOT))
    (folder / "_.a.example.pfx").write_bytes(TWO.pfx("secret", INTERMEDIATE))
    (tmp_path / "b.example.pfx").write_bytes(THREE.pfx("secret", INTERMEDIATE))
    machine.bindings.add(record(ScopedCcs("a.example", 443), None))
    machine.bindings.add(record(CcsPort(443), None))
    with machine.listen() as listener:
        port = listener.port_of(443)
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):  # no folder yet
            served(port)
        machine.set_central_store(folder, "secret")
        assert served(port) == ONE.thumbprint
        assert served(port, "www.a.example") == TWO.thumbprint
        for missing in ("b.example", "x.www.a.example"):
            with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
                served(port, missing)
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):  # no name, so nothing to look up
            served(port, None)
        time.sleep(0.01)
        (folder / "a.example.pfx").write_bytes(FOUR.pfx("secret", INTERMEDIATE))
        assert served(port) == FOUR.thumbprint
        machine.set_central_store(folder, "wrong")
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            served(port)
        machine.set_central_store(folder, "secret")
        (folder / "a.example.pfx").write_bytes(b"no PFX")
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            served(port)
        assert served(port, "www.a.example") == TWO.thumbprint


def test_the_central_store_is_a_setting_of_the_machine(machine: EmbeddedPort, tmp_path: Path) -> None:
    """Kept, replaced, cleared; its password in no repr."""
    assert machine.central_store is None
    machine.set_central_store(tmp_path, "geheim")
    other = EmbeddedPort(machine.path)
    found = other.central_store
    assert found is not None
    assert (found.folder, found.password) == (tmp_path, "geheim")
    assert "geheim" not in repr(found)
    other.set_central_store(tmp_path)
    assert machine.central_store is not None
    assert machine.central_store.password is None
    other.set_central_store(None)
    assert machine.central_store is None
    other.close()
    with pytest.raises(NotFoundError):
        machine.set_central_store(tmp_path / "nosuch")


@pytest.mark.parametrize("host", ["..", "../b.example", "/etc/passwd", "a..example", "*.a.example", "_.a.example"])
def test_a_name_leads_out_of_no_folder(machine: EmbeddedPort, tmp_path: Path, host: str) -> None:
    """Whatever is no host name has no file; the wildcard's own file is not asked for by its name."""
    folder = tmp_path / "ccs"
    folder.mkdir()
    (tmp_path / "b.example.pfx").write_bytes(b"")
    machine.set_central_store(folder)
    assert machine.central_store is not None
    assert machine.central_store.find(host) is None


def test_ports_bound_later_are_opened(machine: EmbeddedPort) -> None:
    """At once for who asks, and soon by themselves; a listener for named ports leaves them alone."""
    with machine.listen() as listener, machine.listen(ports={8443: 0}) as named:
        with pytest.raises(ListenerError, match="443 of the binding table is not served"):
            listener.port_of(443)
        machine.bindings.add(record("0.0.0.0:443", ONE))
        assert served(listener.port_of("a.example:443")) == ONE.thumbprint
        machine.bindings.add(record("0.0.0.0:444", TWO))
        deadline = time.monotonic() + 10
        while len(listener.addresses) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [address.binding_port for address in listener.addresses] == [443, 444]
        with pytest.raises(ListenerError, match="these are: 8443"):
            named.port_of(443)
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            served(named.port_of(8443))
        machine.bindings.add(record("0.0.0.0:8443", THREE))
        assert served(named.port_of(8443)) == THREE.thumbprint


def test_a_port_in_use_says_what_to_do(machine: EmbeddedPort) -> None:
    """And leaves nothing open behind."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        listener = machine.listen(ports={443: number})
        with pytest.raises(ListenerError, match="another program listens there; choose another port"):
            listener.start()
        with pytest.raises(ClosedError):
            listener.start()
    with machine.listen(ports={443: number}) as listener:
        assert listener.port_of(443) == number
        assert served(number) == ONE.thumbprint


def test_an_address_of_somebody_else_is_refused(machine: EmbeddedPort) -> None:
    """As are names without an address and arguments that mean nothing."""
    with pytest.raises(ListenerError, match="no address of this computer"):
        machine.listen(host="192.0.2.1", ports={443: 0}).start()
    with pytest.raises(ListenerError, match="no address for the host"):
        machine.listen(host="nosuch.invalid", ports={443: 0}).start()
    for host in ([], "", [""]):
        with pytest.raises(InvalidInputError):
            machine.listen(host=host)
    for ports in ({0: 0}, {443: 65536}, {443: -1}):
        with pytest.raises(InvalidInputError):
            machine.listen(ports=ports)


def test_the_machine_s_errors_come_out_of_start(machine: EmbeddedPort) -> None:
    """They are told where the listener is started, not in its thread."""
    listener = machine.listen()
    machine.close()
    for path in (machine.path, *machine.path.parent.glob("*-wal"), *machine.path.parent.glob("*-shm")):
        path.unlink(missing_ok=True)
    machine.path.write_bytes(b"something else" * 1000)
    machine.path.chmod(0o600)
    with pytest.raises(MalformedDataError):
        listener.start()


def test_it_closes_cleanly(machine: EmbeddedPort) -> None:
    """Open connections are told goodbye, the port is free, the thread is gone, and closing again is nothing."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    listener = machine.listen().start()
    assert listener.start() is listener
    port = listener.port_of(443)
    with connected(port) as tls:
        get(tls)
        listener.close()
        assert tls.recv(10) == b""
    listener.close()
    assert listener.addresses == ()
    with pytest.raises(ListenerError, match="does not run"):
        listener.port_of(443)
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port))
    assert not [thread for thread in threading.enumerate() if thread.name == "mlsssl-listener"]
    assert "closed" in repr(listener)


def test_closing_waits_for_no_stubborn_client(machine: EmbeddedPort) -> None:
    """One that never finishes its handshake, and one that never reads."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    listener = machine.listen().start()
    with socket.create_connection(("127.0.0.1", listener.port_of(443))) as silent:
        silent.sendall(b"\x16\x03\x01")
        time.sleep(0.05)
        begin = time.monotonic()
        listener.close(timeout=0.2)
        assert time.monotonic() - begin < 3


def test_it_is_used_from_asyncio_in_the_same_way(machine: EmbeddedPort) -> None:
    """`async with` and `await`, without blocking the caller's loop."""
    machine.bindings.add(record("0.0.0.0:443", ONE))

    async def use() -> list[Listener]:
        async with machine.listen() as first:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", first.port_of(443), ssl=client_context(), server_hostname="a.example"
            )
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert b"200 OK" in await reader.read()
            writer.close()
            await writer.wait_closed()
        second = await machine.listen()
        assert await asyncio.to_thread(served, second.port_of(443)) == ONE.thumbprint
        await asyncio.to_thread(second.close)
        return [first, second]

    for listener in asyncio.run(use()):
        assert listener.addresses == ()


def test_http_is_answered_within_its_rules(machine: EmbeddedPort) -> None:
    """Kept alive, HEAD without a body, pipelined, refused with a status, and closed when asked."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    with machine.listen() as listener:
        port = listener.port_of(443)
        with connected(port) as tls:
            head, body = get(tls)
            assert get(tls) == (head, body)
            only_head, nothing = get(tls, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (only_head, nothing) == (head, b"")
            assert get(tls, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)[1][: len(body)] == body
        for request, status in (
            (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
            (b"GET / HTTP/1.1\r\n\r\n", b"400"),
            (b"nonsense\r\n\r\n", b"400"),
            (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"505"),
            (b"GET / HTTP/1.1\r\nA: " + b"b" * 20_000, b"431"),
        ):
            with connected(port) as tls:
                assert get(tls, request)[0].split(b" ")[1] == status
                assert tls.recv(100) == b""
        with connected(port) as tls:
            assert b"Connection: close" in get(tls, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[0]
            assert tls.recv(100) == b""


def test_what_comes_from_outside_is_escaped(machine: EmbeddedPort) -> None:
    """A certificate's subject is anybody's text."""
    nasty = make("<script>alert(1)</script>", "a.example", key=shared_key(60), issuer=INTERMEDIATE)
    put(machine, nasty)
    machine.bindings.add(record("0.0.0.0:443", nasty))
    with machine.listen() as listener, connected(listener.port_of(443)) as tls:
        body = get(tls)[1]
    assert b"<script" not in body
    assert b"&lt;script" in body
    assert b"29 days left" in body


def test_plain_http_gets_a_hint_and_noise_nothing(machine: EmbeddedPort) -> None:
    """A browser without https:// shows a page that says so."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    with machine.listen() as listener:
        for sent, expected in ((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"speaks HTTPS"), (b"\x00" * 50, b"")):
            with socket.create_connection(("127.0.0.1", listener.port_of(443)), timeout=20) as plain:
                plain.sendall(sent)
                received = b""
                with contextlib.suppress(ConnectionError):
                    while data := plain.recv(4096):
                        received += data
            assert expected in received
            assert bool(received) == bool(expected)


def test_slow_clients_are_cut_off(machine: EmbeddedPort) -> None:
    """In the ClientHello, in the handshake, in a request, and between two."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    quick = Limits(handshake=0.3, request=0.3, idle=0.3, write=0.3)
    with machine.listen(limits=quick) as listener:
        port = listener.port_of(443)
        for sent in (b"", b"\x16\x03\x01\x02\x00\x01\x00"):
            begin = time.monotonic()
            with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
                slow.sendall(sent)
                with contextlib.suppress(ConnectionError):
                    assert slow.recv(100) == b""
            assert time.monotonic() - begin < 5
        with connected(port) as tls:
            tls.sendall(b"GET / HT")
            assert b"408" in tls.recv(4096)
        with connected(port) as tls:
            get(tls)
            assert tls.recv(100) == b""


def test_connections_and_requests_are_bounded(machine: EmbeddedPort) -> None:
    """One too many is closed; the ones before it work, and its place is free again afterwards."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    with machine.listen(limits=Limits(connections=2, requests=3)) as listener:
        port = listener.port_of(443)
        with connected(port) as first, connected(port):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                served(port)
            assert b"keep-alive" in get(first)[0]
            assert b"keep-alive" in get(first)[0]
            assert b"close" in get(first)[0]
        deadline = time.monotonic() + 10
        while True:
            try:
                assert served(port) == ONE.thumbprint
                break
            except (ssl.SSLError, ConnectionError):
                assert time.monotonic() < deadline
                time.sleep(0.02)


def test_a_client_that_does_not_read_is_not_read_from(machine: EmbeddedPort) -> None:
    """Thousands of pipelined requests wait in its own buffers, not in ours, until it reads the answers."""
    machine.bindings.add(record("0.0.0.0:443", ONE))
    requests = 3000
    with machine.listen(limits=Limits(requests=100_000)) as listener, connected(listener.port_of(443)) as tls:
        request = b"GET / HTTP/1.1\r\nHost: x\r\nX-Padding: " + b"x" * 2000 + b"\r\n\r\n"
        sender = threading.Thread(target=lambda: tls.sendall(request * requests))
        sender.start()
        time.sleep(0.3)
        answers, tail = 0, b""
        while answers < requests:
            data = tls.recv(65536)
            assert data
            answers += (tail + data).count(b"HTTP/1.1 200 OK")
            tail = data[-14:]
        sender.join()
    assert answers == requests


def test_a_key_is_loaded_without_a_file_that_others_can_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no file in memory it is a private one, encrypted, and gone afterwards."""
    looked_at: list[str] = []

    class Watched(ssl.SSLContext):
        def load_cert_chain(self, certfile, keyfile=None, password=None):  # type: ignore[no-untyped-def]
            looked_at.append(str(certfile))
            if sys.platform != "win32":
                status = certfile.stat()
                assert status.st_mode & 0o777 == 0o600
                assert certfile.parent.stat().st_mode & 0o777 == 0o700
            content = certfile.read_bytes()
            assert b"ENCRYPTED PRIVATE KEY" in content
            assert b"BEGIN PRIVATE KEY" not in content
            super().load_cert_chain(certfile, keyfile, password)

    monkeypatch.setattr(tls_contexts, "_load_from_memory", lambda *_: False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    context = Watched(ssl.PROTOCOL_TLS_SERVER)
    tls_contexts.load_der(context, [ONE.der], ONE.pkcs8)
    assert len(looked_at) == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ssl.SSLError):
        tls_contexts.load_der(context, [ONE.der], TWO.pkcs8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="memfd_create is Linux'")
def test_on_linux_the_key_touches_no_folder_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way through the file system is not even taken."""
    monkeypatch.setattr("tempfile.TemporaryDirectory", None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls_contexts.load_der(context, [ONE.der], ONE.pkcs8)
    with pytest.raises(ssl.SSLError):
        tls_contexts.load_der(context, [ONE.der], TWO.pkcs8)


def test_a_certificate_that_openssl_will_not_serve_refuses_only_its_own_clients(machine: EmbeddedPort) -> None:
    """A key that does not fit was possible when the record was set; the others go on."""
    machine.bindings.add(record(HostnamePort("a.example", 443), ONE))
    machine.bindings.add(record("0.0.0.0:443", TWO))
    machine._database.query(
        "UPDATE key_material SET pkcs8 = ? WHERE container = (SELECT container FROM certificates WHERE thumbprint = ?)",
        (TWO.pkcs8, bytes(ONE.thumbprint)),
    )
    with machine.listen() as listener:
        port = listener.port_of(443)
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            served(port)
        assert served(port, "b.example") == TWO.thumbprint


def test_the_families_that_the_machine_does_not_know_are_not_served(machine: EmbeddedPort) -> None:
    """An imitated Windows 7 answers by IP records only."""
    machine.bindings.add(record("a.example:443", ONE))
    machine.bindings.add(record("0.0.0.0:443", TWO))
    old = EmbeddedPort(machine.path, families=[IpPort.family])
    with old.listen() as listener:
        assert served(listener.port_of(443)) == TWO.thumbprint
    old.close()
    assert replace(record("0.0.0.0:443", TWO), app_id=uuid.uuid4()) != record("0.0.0.0:443", TWO)
