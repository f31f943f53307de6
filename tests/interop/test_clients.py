"""The table of clients beside the clients themselves, those that run here: what it says they refuse, they refuse.

And what it says they take, they take. Each example has one fault (tests/faults.py, and the cases below); it is moved to
the present, served, and shaken hands with. Where the table says that it does not know, nothing is claimed. Go and
Chromium were asked by hand in the same way, and Apple and Windows cannot be.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
import warnings
from base64 import encodebytes
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from socket import create_connection, create_server, socket
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku

from chains import (
    NOW,
    Extension,
    Made,
    ec_key,
    extension,
    general_names,
    intermediate,
    key_id,
    key_usage,
    leaf,
    name,
    oid,
    root,
    rsa_key,
    spki_of,
    tlv,
)
from faults import CASES, HOST, LEAF, MIDDLE, ROOT, Case
from mlsssl._validator.clients import BESIDES_CLIENTS, OPINIONS
from mlsssl._validator.validate import validate
from programs import output, require, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or ssl.OPENSSL_VERSION_INFO < (3,), reason="the table is of OpenSSL 3, and of Linux"
)

DAY = timedelta(days=1)
WEB = x509.UniformResourceIdentifier("http://ca.test/")
SHA1_RSA = bytes.fromhex("300d06092a864886f70d0101050500")
RSA_ROOT = root("RSA Root", key=rsa_key(2048, 1))
GARBAGE = b"\x04\x02ab"


def _at(place: str, change: Callable[[Made], Made]) -> Case:
    """Leaf, intermediate and root, the one in this place changed."""
    made = {"leaf": LEAF, "intermediate": MIDDLE, "root": ROOT}
    made[place] = change(made[place])
    return Case(leaf=made["leaf"], pool=(made["intermediate"],), trust=(made["root"],))


def _moved(**fields: Any) -> Callable[[Made], Made]:
    return lambda made: replace(made, **fields)


def _critical(kind: str) -> Callable[[Made], Made]:
    values: dict[str, Callable[[Made], x509.ExtensionType | Extension]] = {
        "authorityKeyIdentifier": lambda made: x509.AuthorityKeyIdentifier(key_id(spki_of(made.signer)), None, None),
        "subjectKeyIdentifier": lambda made: x509.SubjectKeyIdentifier(key_id(spki_of(made.key))),
        "issuerAltName": lambda made: x509.IssuerAlternativeName([WEB]),
        "authorityInfoAccess": lambda made: x509.AuthorityInformationAccess(
            [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, WEB)]
        ),
        "TLS feature": lambda made: x509.TLSFeature([x509.TLSFeatureType.status_request]),
        "subjectDirectoryAttributes": lambda made: Extension(
            "2.5.29.9", False, tlv(0x30, tlv(0x30, oid("1.3.6.1.5.5.7.9.4"), tlv(0x31, tlv(0x13, b"DE"))))
        ),
        "netscape": lambda made: Extension("2.16.840.1.113730.1.1", False, tlv(0x03, b"\x06\x40")),
        "unknown": lambda made: Extension("1.2.3.4.5", False, b"\x05\x00"),
        "CRL points": lambda made: x509.CRLDistributionPoints([x509.DistributionPoint([WEB], None, None, None)]),
    }

    def change(made: Made) -> Made:
        value = values[kind](made)
        plain = value if isinstance(value, Extension) else extension(value)
        return made.with_extension(replace(plain, critical=True))

    return change


def _garbage(dotted: str) -> Callable[[Made], Made]:
    return lambda made: made.with_extension(Extension(dotted, False, GARBAGE))


def _with(value: x509.ExtensionType | Extension, *, critical: bool = False) -> Callable[[Made], Made]:
    return lambda made: made.with_extension(value, critical=critical)


def _rekeyed(key: ec.EllipticCurvePrivateKey) -> Case:
    made = replace(MIDDLE, key=key).with_extension(x509.SubjectKeyIdentifier(key_id(spki_of(key))))
    return Case(leaf=leaf(made), pool=(made,))


def _small_intermediate() -> Case:
    key = rsa_key(1024, 7)
    made = replace(intermediate(RSA_ROOT), key=key).with_extension(x509.SubjectKeyIdentifier(key_id(spki_of(key))))
    return Case(leaf=leaf(made), pool=(made,), trust=(RSA_ROOT,))


def _short_path() -> Case:
    upper = intermediate(ROOT, "Upper", 12, path_length=0)
    lower = intermediate(upper, "Lower", 13)
    return Case(leaf=leaf(lower), pool=(lower, upper))


def _signing_authority(made: Made) -> Made:
    authority = made.with_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return authority.with_extension(key_usage(key_cert_sign=True), critical=True)


PLACES = ("leaf", "intermediate", "root")
MORE: dict[str, Callable[[], Case]] = {
    "not valid yet by a day": lambda: _at("leaf", lambda made: replace(made, not_before=NOW + DAY)),
    **{
        f"{code} {place}": partial(_at, place, _moved(**moved))
        for place in ("intermediate", "root")
        for code, moved in (
            ("expired", {"not_after": NOW - DAY}),
            ("not valid yet", {"not_before": NOW + DAY}),
            ("version 1", {"version": 1}),
            ("bare version 1", {"version": 1, "extensions": ()}),
        )
    },
    **{
        f"critical {kind} {place}": partial(_at, place, _critical(kind))
        for kind in (
            *("subjectKeyIdentifier", "issuerAltName", "authorityInfoAccess"),
            *("TLS feature", "netscape", "unknown"),
        )
        for place in PLACES
    },
    "critical AKI leaf": lambda: _at("leaf", _critical("authorityKeyIdentifier")),
    "critical AKI intermediate": lambda: _at("intermediate", _critical("authorityKeyIdentifier")),
    "critical attributes": lambda: _at("leaf", _critical("subjectDirectoryAttributes")),
    "critical points root": lambda: _at("root", _critical("CRL points")),
    "no basicConstraints root": lambda: _at("root", lambda made: made.without(x509.BasicConstraints)),
    "plain basicConstraints root": lambda: _at("root", _with(x509.BasicConstraints(ca=True, path_length=None))),
    "no SKI root": lambda: _at("root", lambda made: made.without(x509.SubjectKeyIdentifier)),
    "no keyUsage root": lambda: _at("root", lambda made: made.without(x509.KeyUsage)),
    "keyUsage root": lambda: _at("root", _with(key_usage(digital_signature=True), critical=True)),
    "no authority root": lambda: _at("root", _with(x509.BasicConstraints(ca=False, path_length=None), critical=True)),
    "no AKI intermediate": lambda: _at("intermediate", lambda made: made.without(x509.AuthorityKeyIdentifier)),
    "AKI without key": lambda: _at("intermediate", _with(Extension("2.5.29.35", False, tlv(0x30)))),
    "AKI without key root": lambda: _at("root", _with(Extension("2.5.29.35", False, tlv(0x30)))),
    "another AKI root": lambda: _at("root", _with(x509.AuthorityKeyIdentifier(b"x" * 20, None, None))),
    "SHA-1 by RSA": lambda: Case(
        leaf=replace(leaf(RSA_ROOT), algorithm=SHA1_RSA, digest=hashes.SHA1), pool=(), trust=(RSA_ROOT,)
    ),
    "small RSA intermediate": _small_intermediate,
    "small RSA root": lambda: Case(
        leaf=leaf(root("Small", key=rsa_key(1024, 5))), pool=(), trust=(root("Small", key=rsa_key(1024, 5)),)
    ),
    "a curve of Brainpool": lambda: _rekeyed(ec_key(7, ec.BrainpoolP256R1)),
    "P-521 intermediate": lambda: _rekeyed(ec_key(7, ec.SECP521R1)),
    "negative number": lambda: _at("leaf", lambda made: replace(made, serial=-5)),
    "keyCertSign": lambda: _at("leaf", _with(key_usage(digital_signature=True, key_cert_sign=True), critical=True)),
    "keyAgreement": lambda: _at("leaf", _with(key_usage(key_agreement=True), critical=True)),
    "authority as leaf": lambda: _at("leaf", _signing_authority),
    "version 1 by its common name": lambda: _at(
        "leaf", lambda made: replace(made, version=1, extensions=(), subject=name(HOST))
    ),
    "a common name": lambda: _at(
        "leaf", lambda made: replace(made, subject=name(HOST)).without(x509.SubjectAlternativeName)
    ),
    "an address as common name": lambda: replace(
        _at("leaf", lambda made: replace(made, subject=name("127.0.0.1")).without(x509.SubjectAlternativeName)),
        host="127.0.0.1",
    ),
    "a common name beside an address": lambda: _at(
        "leaf", lambda made: replace(made, subject=name(HOST)).with_extension(general_names("127.0.0.1"))
    ),
    "another common name": lambda: _at(
        "leaf", lambda made: replace(made, subject=name(HOST)).with_extension(general_names("other.example.com"))
    ),
    "wildcard of a top level": lambda: replace(_at("leaf", _with(general_names("*.com"))), host="example.com"),
    "an address": lambda: replace(_at("leaf", _with(general_names("127.0.0.1"))), host="127.0.0.1"),
    "path length of an intermediate": _short_path,
    "clients' root": lambda: _at("root", _with(x509.ExtendedKeyUsage([Eku.CLIENT_AUTH]))),
    "anybody's root": lambda: _at("root", _with(x509.ExtendedKeyUsage([Eku.ANY_EXTENDED_KEY_USAGE]))),
    "names of the root": lambda: _at(
        "root", _with(x509.NameConstraints([x509.DNSName("example.org")], None), critical=True)
    ),
    **{
        f"garbage in {dotted} {place}": partial(_at, place, _garbage(dotted))
        for dotted in (
            *("2.5.29.35", "2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.31", "1.3.6.1.5.5.7.1.1", "2.5.29.32"),
            *("2.5.29.36", "2.5.29.54", "2.5.29.18", "2.5.29.46", "1.3.6.1.5.5.7.1.11"),
        )
        for place in PLACES
    },
}  # fmt: skip

# Examples that show their finding and more, or only at their own moment.
NOT_ASKED = {
    "not-yet-valid": "by a second, which has passed before the handshake; a day is below",
    "name-unreadable": "depends on the name",
}


@dataclass(frozen=True)
class Example:
    """A case in the present, and where it is served; no port where OpenSSL serves no such certificate."""

    case: Case
    folder: Path
    port: int | None

    @property
    def roots(self) -> Path:
        """The trusted certificates."""
        return self.folder / "roots.pem"

    @property
    def host(self) -> str:
        """The name to ask for."""
        return self.case.host or HOST

    def ours(self, client: str) -> bool | None:
        """Whether we say that this client takes it; None where we say that it is not known."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = validate(
                self.case.leaf.certificate(),
                host=self.host,
                at=datetime.now(timezone.utc),
                trust=[made.certificate() for made in self.case.trust or ()],
                intermediates=[made.certificate() for made in self.case.pool],
                expect_key=False,
                client=client,  # type: ignore[arg-type]  # a parameter's text
            )
        return None if report.ok and report.not_known else report.ok


def _present(case: Case) -> Case:
    """The same case, at the same distance from now: clients have no other clock."""
    moved = datetime.now(timezone.utc).replace(microsecond=0) - case.at

    def move(made: Made) -> Made:
        return replace(made, not_before=made.not_before + moved, not_after=made.not_after + moved)

    trust = None if case.trust is None else tuple(map(move, case.trust))
    return replace(case, leaf=move(case.leaf), pool=tuple(map(move, case.pool)), trust=trust, at=case.at + moved)


def _pem(*made: Made) -> bytes:
    label = b"-----%s CERTIFICATE-----\n"
    return b"".join(label % b"BEGIN" + encodebytes(one.der()) + label % b"END" for one in made)


def _answer(listener: socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # it was closed: the tests are over
        with suppress(OSError), connection:
            connection.settimeout(10)
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(100)
                secured.sendall(b"hello")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Example]]:
    """Every example, served."""
    found: dict[str, Example] = {}
    listeners: list[socket] = []
    base = tmp_path_factory.mktemp("clients")
    asked = {code: make for code, make in CASES.items() if code not in BESIDES_CLIENTS and code not in NOT_ASKED}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, (label, make) in enumerate({"faultless": Case, **asked, **MORE}.items()):
            case = _present(make())
            folder = base / str(number)
            folder.mkdir()
            (folder / "leaf.pem").write_bytes(_pem(case.leaf))
            (folder / "pool.pem").write_bytes(_pem(*case.pool))
            (folder / "chain.pem").write_bytes(_pem(case.leaf, *case.pool))
            (folder / "roots.pem").write_bytes(_pem(*(case.trust or ())))
            key = case.leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (folder / "key.pem").write_bytes(key)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_ciphers("ALL:@SECLEVEL=0")
            port = None
            with suppress(ssl.SSLError):
                context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
                listeners.append(create_server(("127.0.0.1", 0)))
                port = listeners[-1].getsockname()[1]
                threading.Thread(target=_answer, args=(listeners[-1], context), daemon=True).start()
            found[label] = Example(case, folder, port)
    yield found
    for listener in listeners:
        listener.close()


def _compare(client: str, examples: dict[str, Example], verdict: Callable[[Example], str | None]) -> None:
    """`verdict` is an empty text for what the client takes, its words for what it refuses, None where not asked."""
    wrong, taken, refused = {}, 0, 0
    for label, example in examples.items():
        ours = example.ours(client)
        theirs = None if ours is None else verdict(example)
        if theirs is None:
            continue
        taken, refused = taken + (not theirs), refused + bool(theirs)
        if ours is bool(theirs):
            wrong[label] = theirs or "taken"
    assert wrong == {}
    assert taken > 50
    assert refused > 40


def _handshake(example: Example, flags: ssl.VerifyFlags) -> str | None:
    if example.port is None:
        return None
    context = ssl.create_default_context(cafile=example.roots if example.case.trust else None)
    context.verify_flags = flags
    try:
        with (
            create_connection(("127.0.0.1", example.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=example.host) as secured,
        ):
            secured.sendall(b"hello")
            secured.recv(100)
    except ssl.SSLError as error:
        return str(error) or "refused"
    return ""


STRICT = ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_TRUSTED_FIRST
PYTHON_313 = STRICT | getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000)


@pytest.mark.parametrize(
    ("client", "flags"),
    [("python-3.13", PYTHON_313), ("openssl-strict", STRICT), ("openssl", ssl.VERIFY_X509_TRUSTED_FIRST)],
)
def test_pythons_handshake_takes_and_refuses_what_the_table_says(
    client: str, flags: ssl.VerifyFlags, examples: dict[str, Example]
) -> None:
    """With the flags that Python 3.13 sets by default, with the strict one alone, and with those of Python 3.12."""
    if ssl.OPENSSL_VERSION_INFO >= (3, 1):
        pytest.skip("another OpenSSL than the table's")
    _compare(client, examples, lambda example: _handshake(example, flags))


@pytest.mark.skipif(sys.version_info < (3, 13), reason="older Pythons have other flags")
def test_the_flags_are_those_of_this_python() -> None:
    """From 3.13 on."""
    assert ssl.create_default_context().verify_flags == PYTHON_313


@pytest.mark.parametrize(
    ("client", "options"),
    [
        ("python-3.13", ("-x509_strict", "-partial_chain")),
        ("openssl-strict", ("-x509_strict",)),
        ("openssl", ()),
    ],
)
def test_openssl_verify_takes_and_refuses_what_the_table_says(
    client: str, options: tuple[str, ...], examples: dict[str, Example]
) -> None:
    """Also what no server of OpenSSL would serve; not the keys that only a handshake refuses."""
    if not run("openssl", "version").stdout.startswith(b"OpenSSL 3.0."):
        pytest.skip("another OpenSSL than the table's")

    def verify(example: Example) -> str | None:
        if example is examples["ec-curve"] or example is examples["key-type"]:
            return None
        asked = "-verify_ip" if example.host[0].isdigit() else "-verify_hostname"
        pool = ("-untrusted", example.folder / "pool.pem") if example.case.pool else ()
        result = run(
            "openssl", "verify", *options, "-auth_level", "2", "-purpose", "sslserver", asked, example.host,
            "-CAfile", example.roots, *pool, example.folder / "leaf.pem",
        )  # fmt: skip
        return output(result) if result.returncode else ""

    _compare(client, examples, verify)


def test_gnutls_takes_and_refuses_what_the_table_says(examples: dict[str, Example]) -> None:
    """By gnutls-cli."""

    def connect(example: Example) -> str | None:
        if example.port is None:
            return None
        result = run(
            "gnutls-cli", "--x509cafile", example.roots, "--verify-hostname", example.host,
            "--sni-hostname", example.host, "-p", str(example.port), "127.0.0.1",
        )  # fmt: skip
        text = output(result)
        return "" if "The certificate is trusted" in text and result.returncode == 0 else text[-300:]

    _compare("gnutls", examples, connect)


def test_java_takes_and_refuses_what_the_table_says(examples: dict[str, Example], tmp_path: Path) -> None:
    """By a class of one handshake, with endpoint identification as HTTPS has it."""
    source = Path(__file__).with_name("TlsClient.java")
    compiled = run("javac", "-d", tmp_path, source)
    assert compiled.returncode == 0, output(compiled)
    served = [example for example in examples.values() if example.port is not None]
    (tmp_path / "asked").write_text("".join(f"{one.port} {one.host} {one.roots}\n" for one in served))
    command = [require("java"), "-cp", str(tmp_path), "TlsClient", str(tmp_path / "asked")]
    told = subprocess.run(command, capture_output=True, timeout=300, check=True).stdout.decode()
    verdicts = dict(zip((one.folder for one in served), told.splitlines(), strict=True))

    def verdict(example: Example) -> str | None:
        words = verdicts.get(example.folder)
        return None if words is None else "" if words == "taken" else words

    _compare("java", examples, verdict)


def test_every_row_of_the_table_has_an_example(examples: dict[str, Example]) -> None:
    """Or a reason why it has none; what no client looks at has no row."""
    asked = {key.partition("/")[0] for key in OPINIONS}
    assert asked - set(examples) == set(NOT_ASKED)
    assert not BESIDES_CLIENTS & asked
