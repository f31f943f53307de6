"""Odd certificates through every call of the public face: a result, or an error of mlsssl's own, and no warning."""

from __future__ import annotations

import ast
import contextlib
import datetime as dt
import hashlib
import json
import ssl
import sys
import threading
import traceback
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from cryptography import x509

import odd_certificates
import refused_certificates
from chains import NOW, ec_key
from mlsssl import (
    Certificate,
    CertificateAuthority,
    EmbeddedMachine,
    InvalidInputError,
    MalformedDataError,
    MlssslError,
    Store,
    Thumbprint,
    audit,
    cleanup,
    deploy,
    renew_due,
    timeline,
)
from mlsssl._fakes.computer import LOCAL_MACHINE, Entry
from mlsssl._formats import foreign
from mlsssl.cli import main
from mlsssl.testing import FrozenClock, fake_windows_machine, memory_machine
from repetitions import LESS_OFTEN
from unit.test_wrong_arguments import CALLS, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SOURCES = Path(foreign.__file__).parents[1]
CA = CertificateAuthority.create("Own errors", key="ec-p256")
GOOD = CA.issue("good.example.com")
DEAR = 16  # what costs tens of milliseconds sees one odd certificate in so many, another call the next ones
DEAR_CALLS = (
    *("bundles.", "ccs.", "deploy", "renew", "Certificate.from_pfx", "Certificate.load", "Certificate.save"),
    *("Certificate.to_pfx", "explain_pfx", "PfxExplanation.", "Store.import_pfx", "CertificateAuthority.", "Listener."),
)


def _loaded(der: bytes) -> Certificate:
    """The certificate, with its private key where that is at hand."""
    certificate = Certificate.from_der(der)
    for key in (ec_key(3), odd_certificates.ROOT.key):
        with contextlib.suppress(MlssslError):
            return certificate.with_key(key)
    return certificate


def _readable() -> Iterator[tuple[str, Certificate]]:
    for label, der in CORPUS.items():
        with contextlib.suppress(MalformedDataError):
            yield label, _loaded(der)


CORPUS = odd_certificates.CERTIFICATES | {
    f"refused {label}": der for label, der in refused_certificates.CERTIFICATES.items()
}
READABLE = dict(_readable())
UNREADABLE = {label: der for label, der in CORPUS.items() if label not in READABLE}


def _offences(calls: dict[str, Callable[[], object]]) -> list[str]:
    """Each call that something else than a result or an error of mlsssl's own comes out of, in words."""
    found = []
    for label, call in calls.items():
        try:
            call()
        except MlssslError:
            continue
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            where = traceback.extract_tb(error.__traceback__)[-1]
            found.append(f"{label}: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
    return found


class OddWorld(World):
    """A world whose certificate is an odd one; it knows whether a call had to do with that."""

    odd: Certificate
    asked = False

    @property
    def certificate(self) -> Certificate:  # type: ignore[override]
        self.asked = True
        return self.odd

    @cached_property
    def pfx(self) -> bytes:  # type: ignore[override]
        return self.certificate.to_pfx("secret")


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OddWorld]:
    monkeypatch.chdir(tmp_path)
    with memory_machine() as machine, contextlib.ExitStack() as opened:
        yield OddWorld(tmp_path, machine, opened)


# -- every public call ------------------------------------------------------------------------------------------------


def test_the_corpus_is_what_it_says() -> None:
    """Hundreds of certificates that can be read, some that cannot, each of them different."""
    assert len(READABLE) > 400
    assert len(UNREADABLE) > 40
    assert len(set(CORPUS.values())) > len(CORPUS) - 10


@pytest.mark.parametrize("name", CALLS)
def test_every_call_with_every_odd_certificate(name: str, world: OddWorld) -> None:
    """`CALLS` has every public call (a test of its table sees to it); those without a certificate run once."""

    def one(certificate: Certificate) -> None:
        world.__dict__.pop("pfx", None)
        world.odd = certificate
        CALLS[name](world).make()

    step = (DEAR if name.startswith(DEAR_CALLS) else 2) * LESS_OFTEN
    calls: dict[str, Callable[[], object]] = {}
    for label, certificate in list(READABLE.items())[list(CALLS).index(name) % step :: step]:
        calls[f"{name} of {label}"] = lambda certificate=certificate: one(certificate)  # type: ignore[misc]
        if len(calls) == 1:
            _offences(calls)
            if not world.asked:
                break
    assert _offences(calls) == []


@pytest.mark.parametrize("kind", [Certificate, CertificateAuthority])
def test_every_property_and_every_way_to_show_it(kind: type) -> None:
    """Properties take no argument, so the table of calls has none; nor has it what notebooks and prompts ask for."""
    properties = [name for name, one in vars(kind).items() if isinstance(one, property)]
    assert "key_type" in properties
    calls: dict[str, Callable[[], object]] = {}
    for label, certificate in READABLE.items():
        try:
            shown = kind(certificate) if kind is CertificateAuthority else certificate
        except MlssslError:
            continue
        for name in (*properties, "to_der", "to_pem", "to_pkcs7", "_repr_html_", "__repr__", "__hash__", "__str__"):
            take = getattr(kind, name, None)
            if take is not None:
                get = take.fget if isinstance(take, property) else take
                calls[f"{label}: {name}"] = lambda get=get, shown=shown: get(shown)  # type: ignore[misc]
    assert len(calls) > 100
    assert _offences(calls) == []


def test_a_report_says_something_of_each() -> None:
    """`check` never raises over a certificate that could be loaded, and has text, HTML and JSON of what it found."""
    for label, certificate in READABLE.items():
        report = certificate.check(odd_certificates.HOST, trust=[Certificate.from_der(odd_certificates.ROOT.der())])
        assert all((str(report), report._repr_html_(), json.loads(report.to_json()))), label


# -- one odd certificate among others ----------------------------------------------------------------------------------


@pytest.fixture(name="crowded", scope="module")
def _crowded() -> Iterator[EmbeddedMachine]:
    """A machine with everything odd in the stores MY, CA and Root, and one good certificate that is bound."""
    with memory_machine() as machine:
        deploy("0.0.0.0:443", GOOD, machine=machine, verify=False)
        for number, (store, step) in enumerate({"MY": 1, "CA": 7, "Root": 7}.items()):
            with contextlib.closing(machine.port.open_store(store, "LocalMachine", write=True)) as port:
                for der in list(CORPUS.values())[number::step]:
                    with contextlib.suppress(MalformedDataError):
                        port.add(der, None, friendly_name=None, exportable=False, provider=None)
        for certificate in list(READABLE.values())[::12]:
            machine.store().add(certificate)  # with its key, if it has one
        yield machine


def test_listings_have_all_the_others(crowded: EmbeddedMachine) -> None:
    """One bad certificate never breaks what is said about the others."""
    store = crowded.store()
    listed = {entry.thumbprint for entry in store}
    assert {one.thumbprint for one in READABLE.values()} | {GOOD.thumbprint} <= listed
    found = store.find(host="good.example.com")
    assert found is not None
    assert found.certificate == GOOD
    assert len(store.find_all(host=odd_certificates.HOST)) > 100
    assert store._repr_html_().count("<tr>") > 100
    assert found.check("good.example.com", trust=[CA]).ok


def test_the_verbs_work_beside_them(crowded: EmbeddedMachine) -> None:
    """Audit, timeline, deploy, cleanup and renewal look at every store."""
    looked = audit(machine=crowded, unbound=True)
    assert len(looked.rows) > 20
    assert all((str(looked), looked.to_json(), looked._repr_html_()))
    assert timeline(READABLE.values()).to_svg()
    deploy("0.0.0.0:444", CA.issue("more.example.com"), machine=crowded, verify=False).undo()
    cleanup(machine=crowded)
    (renewal,) = renew_due(CA, machine=crowded, due_only=False)
    assert renewal.error is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["store", "list"],
        ["store", "list", "--json"],
        ["binding", "list"],
        ["audit"],
        ["audit", "--unbound", "--json"],
        ["cleanup"],
        ["recover"],
    ],
)
def test_the_command_line_beside_them(
    arguments: list[str], crowded: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exit code, and no traceback."""
    monkeypatch.setenv("MLSSSL_MACHINE", str(crowded.path))
    assert main(arguments) in (0, 1)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "check"])
def test_the_command_line_about_each(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with any of them is shown, checked or refused."""
    file = tmp_path / "odd.cer"
    extra = ["--trust", str(file)] if command == "check" else []

    def one(der: bytes) -> None:
        file.write_bytes(der)
        assert main([command, str(file), *extra]) in (0, 1, 6)

    some = list(odd_certificates.CERTIFICATES.items())[:: 5 * LESS_OFTEN]
    assert _offences({label: lambda der=der: one(der) for label, der in some}) == []  # type: ignore[misc]
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["show", "NAME"], 2),
        (["check", "NAME:443"], 2),
        (["ca", "create", "Test", "--out", "NAME.pem", "--password", "env:PASSWORD"], 2),
        (["store", "remove-crl", "NAME"], 2),
        (["pvk2pfx", "-pvk", "a.pvk", "-spc", "a.cer", "-pfx", "NAME"], 3),
    ],
)
def test_the_command_line_with_a_name_that_no_file_has(
    command: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too long for the system, whose own error would end as a defect of ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "machine.sqlite"))
    EmbeddedMachine().close()
    monkeypatch.setenv("PASSWORD", "secret")
    assert main([word.replace("NAME", "n" * 300) for word in command]) == code
    assert "File name too long" not in capsys.readouterr().err


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_the_command_line_with_a_closed_stream(
    stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python has None for it. What cannot be said is not said; a password cannot come from there."""
    file = tmp_path / "server.pfx"
    GOOD.save(file, password="secret")
    monkeypatch.setenv("PASSWORD", "secret")
    monkeypatch.setattr(sys, stream, None)
    assert main(["show", str(file), "--password", "env:PASSWORD"]) == 0
    assert main(["show", str(tmp_path / "nothing")]) == 3
    if stream == "stdin":
        assert main(["show", str(file), "--password", "stdin"]) == 2
        assert main(["show", str(file)]) == 2
        assert "which is closed" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n", b"\xef\xbb\xbf\r\nsecret"])
def test_a_password_file_without_a_password(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file may begin with the mark of UTF-8, and may hold no more than that."""
    (tmp_path / "password").write_bytes(content)
    arguments = ["ca", "create", "x", "--out", str(tmp_path / "ca.pfx"), "--key", "ec-p256"]
    assert main([*arguments, "--password", f"file:{tmp_path / 'password'}"]) == 2
    assert " is empty; --no-password writes" in capsys.readouterr().err
    (tmp_path / "password").write_bytes(b"\xef\xbb\xbfsecret\r\n")
    assert main([*arguments, "--password", f"file:{tmp_path / 'password'}"]) == 0
    assert Certificate.load(tmp_path / "ca.pfx", password="secret").has_private_key


SHORT_KEYS = {
    "ed25519": "302d020100300506032b657004210" + "41f" + "11" * 31,
    "ed448": "302e020100300506032b6571042204" + "20" + "11" * 32,
    "x25519": "302d020100300506032b656e0421041f" + "11" * 31,
    "x448": "302e020100300506032b656f04220420" + "11" * 32,
}


@pytest.mark.parametrize("kind", SHORT_KEYS)
def test_a_private_key_that_is_too_short(kind: str) -> None:
    """`cryptography` raises its InternalError, which is for defects of its own."""
    der = bytes.fromhex(SHORT_KEYS[kind])
    der = bytes((0x30, len(der) - 2)) + der[2:]
    armoured = ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "PRIVATE KEY").encode()
    for data in (der, armoured):
        with pytest.raises(MalformedDataError, match="no private key that can be read"):
            GOOD.with_key(data)
    with pytest.raises(MalformedDataError):
        Certificate.from_bytes(GOOD.to_pem() + armoured)


def test_a_strangers_certificate_on_windows() -> None:
    """Windows keeps what `cryptography` does not read at all; whatever is done with another goes well beside it."""
    ours, other = CA.issue("ours.example.com"), CA.issue("other.example.com")
    with fake_windows_machine() as windows:
        store = Store.open("MY", machine=windows.machine)
        entry = store.add(ours)
        store.add(other)
        for place in ("my", "root", "ca"):
            windows.dlls.computer.stores[LOCAL_MACHINE, place].entries += map(Entry, UNREADABLE.values())
        assert {one.certificate for one in store} == {ours, other}
        assert audit(machine=windows.machine, unbound=True).rows
        found = store.find(host="other.example.com")
        assert found is not None
        assert found.check("other.example.com", trust=[CA]).ok
        store.remove(entry.thumbprint)
        for der in UNREADABLE.values():
            thumbprint = Thumbprint(hashlib.sha1(der, usedforsecurity=False).digest())
            assert thumbprint in store
            with pytest.raises(MalformedDataError):
                store[thumbprint]
            store.remove(thumbprint)
        assert [one.certificate for one in store] == [other]


def test_what_is_no_key_is_in_nothing() -> None:
    """`in` answers; it is `find` that says what is wrong with a key."""
    with memory_machine() as machine:
        store = machine.store()
        entry = store.add(GOOD)
        machine.bindings.add("0.0.0.0:443", entry)
        assert entry.thumbprint in store
        assert str(entry.thumbprint) in store
        assert "0.0.0.0:443" in machine.bindings
        for nothing in ("x", b"x", 5, None, "", "\0", "ü:443", "0.0.0.0:0"):
            assert nothing not in store
            assert nothing not in machine.bindings


# -- revocation lists -------------------------------------------------------------------------------------------------


def test_every_odd_revocation_list() -> None:
    """Loaded, added to a store, looked up in, or gone on from: no panic of the Rust half is seen outside."""
    leaf = Certificate.from_der(odd_certificates.PLAIN.der())
    authority = CertificateAuthority(_loaded(odd_certificates.ROOT.der()))
    with memory_machine() as machine:
        store = machine.store("CA")

        def use(der: bytes) -> None:
            (crl,) = store.add_crl(der)
            with contextlib.suppress(MlssslError):
                authority.crl(previous=crl)
            leaf.check(trust=[authority], crls=[crl], revocation="hard")

        lists = odd_certificates.revocation_lists()
        assert _offences({label: lambda der=der: use(der) for label, der in lists.items()}) == []  # type: ignore[misc]
        assert store.crls()


OLD = dt.datetime(1949, 12, 31, 23, 59, 59, tzinfo=dt.timezone.utc)
LAST = dt.datetime.max.replace(tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CertificateAuthority.create("x", key="ec-p256", at=OLD),
        lambda: CertificateAuthority.create("x", key="ec-p256", at=OLD + dt.timedelta(minutes=59)),
        lambda: CA.crl(at=OLD),
        lambda: CA.crl([(5, OLD, None)]),
    ],
)
def test_certificates_and_lists_begin_in_1950(make: Callable[[], object]) -> None:
    """`cryptography` raises ValueError for some of these, and for others its Rust half panics."""
    with pytest.raises(InvalidInputError, match="before 1950"):
        make()


def test_certificates_and_lists_do_begin_in_1950() -> None:
    """The first moment that can be written is."""
    first = OLD + dt.timedelta(seconds=1)
    made = CertificateAuthority.create("x", key="ec-p256", at=first + dt.timedelta(hours=1), days=36_500)
    assert made.certificate.not_before == first
    assert made.crl([(5, first, None)], at=first).this_update == first


def test_a_grace_without_end() -> None:
    """What is to be kept for ever is kept, at any moment asked about; and a clock stops at the end of the calendar."""
    with memory_machine() as machine:
        store = machine.store()
        old, new = store.add(GOOD), store.add(CA.issue("good.example.com"))
        store.set_renewed_by(old.thumbprint, new.thumbprint)
        (kept,) = cleanup(machine=machine, grace=dt.timedelta.max, at=LAST).kept
        assert kept.reason == "its grace lasts beyond the year 9999"
        assert cleanup(machine=machine, grace=dt.timedelta(0), at=LAST, dry_run=True).removed
    with pytest.raises(InvalidInputError, match="beyond the year 9999"):
        CA.crl(at=LAST)
    for wrong in (1e300, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="up to the year 9999"):
            FrozenClock().advance(days=wrong)


# -- the seam ---------------------------------------------------------------------------------------------------------


class PanicException(BaseException):
    """Named as pyo3's, which cannot be imported."""


def _raising(error: BaseException) -> Callable[[], NoReturn]:
    def function() -> NoReturn:
        raise error

    return function


@pytest.mark.parametrize(
    "error", [KeyError(37), x509.InvalidVersion("5", 5), PanicException("a panic"), OverflowError()]
)
def test_whatever_is_raised_is_translated(error: BaseException) -> None:
    """Also what is no `Exception`; the message says what could not be read, and why."""
    with pytest.raises(MalformedDataError, match=r"^it cannot be read: .+"):
        foreign.read("it cannot be read", _raising(error))
    assert foreign.read_or(5, _raising(error)) == 5
    with pytest.raises(ValueError, match=type(error).__name__):
        foreign.call(_raising(error))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), MemoryError(), MlssslError("ours")])
def test_what_is_nobodys_bytes_comes_through(error: BaseException) -> None:
    """An interrupt is the user's, and our own error says more already."""
    with pytest.raises(type(error)):
        foreign.read("it cannot be read", _raising(error))


def test_warnings_are_dropped_where_they_are_errors() -> None:
    """The same findings with and without `-W error`, word for word."""
    odd = [one for label, one in READABLE.items() if label.startswith(("serial", "subject", "issuer", "extension"))]
    anchors = [Certificate.from_der(odd_certificates.ROOT.der())]

    def said(action: str) -> list[object]:
        with warnings.catch_warnings():
            warnings.simplefilter(action)  # type: ignore[arg-type]
            fresh = [Certificate.from_der(one.to_der()) for one in odd]
            at = NOW
            return [(one.serial_number, str(one.check(odd_certificates.HOST, trust=anchors, at=at))) for one in fresh]

    assert said("error") == said("ignore")


def test_warnings_of_other_threads_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of filters is the whole process's, so nothing is changed in it while a certificate is read."""
    load = x509.load_der_x509_certificate

    def meanwhile(data: bytes) -> x509.Certificate:
        other = threading.Thread(target=lambda: warnings.warn("somebody else's", UserWarning, stacklevel=1))
        other.start()
        other.join()
        return load(data)

    monkeypatch.setattr(x509, "load_der_x509_certificate", meanwhile)
    with pytest.warns(UserWarning, match="somebody else's"):
        Certificate.from_der(GOOD.to_der())


LOADERS = ("load_der_", "load_pem_", "load_pkcs12")
OUTSIDE = ("_fakes", "_strategies", "strategies.py")  # what users' tests import; it reads what it made itself


def _calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name)):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id


def test_nothing_is_loaded_past_the_seam() -> None:
    """`cryptography`'s loaders are handed to `call` or `read`, never called; nor are warnings muted elsewhere."""
    ours = {"load_der_crl"}
    found = []
    for file in sorted(SOURCES.rglob("*.py")):
        if file.relative_to(SOURCES).parts[0] in OUTSIDE:
            continue
        names = set(_calls(ast.parse(file.read_text(encoding="utf-8"))))
        wrong = {name for name in names if name.startswith(LOADERS)} - ours | names & {"catch_warnings", "simplefilter"}
        found += [f"{file.name}: {name}" for name in sorted(wrong)]
    assert found == []


def test_a_loader_called_past_the_seam_is_seen() -> None:
    """What the test above looks for."""
    assert list(_calls(ast.parse("a = x509.load_der_x509_certificate(b'')"))) == ["load_der_x509_certificate"]
    assert "load_der_x509_certificate" not in _calls(ast.parse("read('', x509.load_der_x509_certificate, b'')"))
