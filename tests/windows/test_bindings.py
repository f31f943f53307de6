"""The Windows machine's bindings over a fake httpapi.dll: what the contract cannot see from outside."""

from __future__ import annotations

import logging
import re
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.httpapi import CCS, IP, SCOPED_CCS, SNI, FakeHttpApi, SslRecord
from mlsssl._formats.binding_keys import BindingFamily, BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs
from mlsssl._machine.ports import BindingRecord, Cause, Diagnosis
from mlsssl._native.cdata import ffi
from mlsssl._windows.bindings import RETRY_DELAYS, TRIAL_APPLICATION, WindowsBindings
from mlsssl._windows.failures import binding_failure, crypto_failure, service_failure
from mlsssl.errors import (
    AccessDeniedError,
    BindingError,
    InvalidInputError,
    MalformedDataError,
    NativeError,
    UnsupportedError,
    UnusableCertificateError,
)
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._native.cdata import CData

THUMBPRINT = Thumbprint(bytes(range(100, 120)))
V4_443 = b"\2\0\x01\xbb" + bytes(12)
V6_443 = b"\x17\0\x01\xbb" + bytes(24)
RECORD = BindingRecord(
    key=IpPort("0.0.0.0", 443),
    thumbprint=THUMBPRINT,
    store_name="MY",
    app_id=uuid.UUID(int=7),
    options=BindingOptions(),
)
NATIVE = SslRecord(config_id=IP, address=V4_443, digest=bytes(20))
CAUSE = Diagnosis(cause=Cause.NO_KEY, found="no key", remedy="import it")


def fakes() -> FakeDlls:
    """Fakes whose HTTP.sys takes every certificate: what a certificate needs is tested with the stores."""
    dlls = FakeDlls()
    dlls.httpapi = FakeHttpApi(dlls.calls)
    return dlls


def machine(
    dlls: FakeDlls, *, diagnosis: tuple[Diagnosis, ...] = (), waits: list[float] | None = None
) -> WindowsBindings:
    """Bindings over the fakes that never really wait."""
    waited = [] if waits is None else waits
    return WindowsBindings(dlls, lambda _thumbprint, _store: diagnosis, sleep=waited.append)


def test_a_family_is_probed_once() -> None:
    """The answer does not change while Windows runs."""
    dlls = fakes()
    bindings = machine(dlls)
    for _ in range(3):
        assert bindings.supports(BindingFamily.CCS)
    assert dlls.calls.names.count("HttpQueryServiceConfiguration") == 1
    assert dlls.calls.leaks == {}


def test_families_that_this_windows_lacks() -> None:
    """Left out of the listing, refused by name, and nothing is written."""
    dlls = fakes()
    dlls.httpapi = FakeHttpApi(dlls.calls, families=(IP, SNI))
    bindings = machine(dlls)
    assert [family for family in BindingFamily if bindings.supports(family)] == [
        BindingFamily.IP_PORT,
        BindingFamily.HOSTNAME_PORT,
    ]
    bindings.add(RECORD)
    assert bindings.all() == [RECORD]
    key = ScopedCcs("a.example", 443)
    scoped = replace(RECORD, key=key, thumbprint=None, store_name=None)
    asks: list[Callable[[], object]] = [
        lambda: bindings.find(key),
        lambda: bindings.add(scoped),
        lambda: bindings.remove(key),
    ]
    for ask in asks:
        with pytest.raises(UnsupportedError, match="scopedccs"):
            ask()
    assert dlls.calls.leaks == {}


def test_without_the_update_export() -> None:
    """Server 2016: the capability is missing, update says so, and the DLL is never called."""
    dlls = fakes()
    dlls.httpapi = FakeHttpApi(dlls.calls, has_update=False)
    bindings = machine(dlls)
    bindings.add(RECORD)
    before = list(dlls.calls.names)
    assert bindings.atomic_update is False
    with pytest.raises(UnsupportedError, match="HttpUpdateServiceConfiguration"):
        bindings.update(RECORD)
    assert dlls.calls.names == before
    assert machine(fakes()).atomic_update is True


def test_not_an_administrator() -> None:
    """The right is named, and the call is the cause."""
    dlls = fakes()
    dlls.httpapi = FakeHttpApi(dlls.calls, administrator=False)
    dlls.httpapi.put(NATIVE)
    bindings = machine(dlls)
    asks: list[tuple[Callable[[], None], str]] = [
        (lambda: bindings.add(RECORD), "HttpSetServiceConfiguration"),
        (lambda: bindings.update(RECORD), "HttpUpdateServiceConfiguration"),
        (lambda: bindings.remove(RECORD.key), "HttpDeleteServiceConfiguration"),
    ]
    for ask, function in asks:
        with pytest.raises(AccessDeniedError, match="administrator") as caught:
            ask()
        assert caught.value.right == "administrator"
        cause = caught.value.__cause__
        assert isinstance(cause, NativeError)
        assert (cause.function, cause.code, cause.code_name) == (function, 5, "ERROR_ACCESS_DENIED")
    assert dlls.calls.leaks == {}


def test_a_record_that_grows_between_two_calls_is_read_again() -> None:
    """The size asked for is a beginning only."""
    dlls = fakes()
    bindings = machine(dlls)
    dlls.httpapi.put(replace(NATIVE, texts={"pSslCertStoreName": "MY"}))
    lengths = iter([2_000, 9_000])

    def grow(function: str) -> None:
        if function == "HttpQueryServiceConfiguration":
            name = "I" * next(lengths, 9_000)
            dlls.httpapi.put(replace(NATIVE, texts={"pSslCertStoreName": "MY", "pDefaultSslCtlIdentifier": name}))

    assert bindings.supports(BindingFamily.IP_PORT)
    dlls.calls.before = grow
    found = bindings.find(RECORD.key)
    assert found is not None
    assert found.options.ctl_identifier == "I" * 9_000


class LyingHttpApi(FakeHttpApi):
    """Answers 122 for ever, or success with nothing, or with pointers to anywhere."""

    lie = ""

    def HttpQueryServiceConfiguration(
        self, a: CData, b: int, c: CData, d: int, output: CData, size: int, needed: CData, h: CData, /
    ) -> int:
        code = super().HttpQueryServiceConfiguration(a, b, c, d, output, size, needed, h)
        if code or not self.lie:
            return code
        structure = ffi.cast("HTTP_SERVICE_CONFIG_SSL_SET *", output)
        if self.lie == "grow":
            needed[0] = 2**32 - 1
            return 122
        if self.lie == "nothing":
            ffi.memmove(output, bytes(size), size)
        elif self.lie == "address":
            structure.KeyDesc.pIpPort = ffi.cast("SOCKADDR *", 16)
        elif self.lie == "hash":
            structure.ParamDesc.SslHashLength = 2**32 - 1
        elif self.lie == "text":
            structure.ParamDesc.pDefaultSslCtlIdentifier = ffi.cast("WCHAR *", 2**47 - 2)
        return code


@pytest.mark.parametrize("lie", ["nothing", "address", "hash", "text"])
def test_pointers_and_lengths_of_an_answer_are_not_trusted(lie: str, caplog: pytest.LogCaptureFixture) -> None:
    """A bad answer is our error, never a crash; a listing leaves it out and says so."""
    dlls = fakes()
    dlls.httpapi = api = LyingHttpApi(dlls.calls)
    api.put(NATIVE)
    bindings = machine(dlls)
    assert bindings.find(RECORD.key) is not None
    api.lie = lie
    with pytest.raises(MalformedDataError):
        bindings.find(RECORD.key)
    with caplog.at_level(logging.WARNING, logger="mlsssl"):
        assert bindings.all() == []
    assert "left out of the listing" in caplog.text
    assert dlls.calls.leaks == {}


def test_a_size_that_no_record_needs_ends_the_loop() -> None:
    """Bounded memory, whatever is asked for."""
    dlls = fakes()
    dlls.httpapi = api = LyingHttpApi(dlls.calls)
    api.put(NATIVE)
    bindings = machine(dlls)
    api.lie = "grow"
    with pytest.raises(NativeError, match="4294967295 bytes"):
        bindings.find(RECORD.key)
    assert dlls.calls.leaks == {}


@pytest.mark.parametrize(
    ("native", "key"),
    [
        (replace(NATIVE, digest=b""), RECORD.key),
        (replace(NATIVE, digest=bytes(32)), RECORD.key),
        (replace(NATIVE, address=V6_443[:24] + b"\5\0\0\0"), IpPort("::", 443)),
    ],
    ids=["no certificate", "a SHA-256", "a scope id"],
)
def test_records_of_others_that_ours_cannot_hold(
    native: SslRecord, key: IpPort, caplog: pytest.LogCaptureFixture
) -> None:
    """The listing goes on without them and says which; finding one says why it cannot be read."""
    dlls = fakes()
    dlls.httpapi.put(native)
    dlls.httpapi.put(replace(NATIVE, address=V4_443[:3] + b"\xbc" + bytes(12)))
    bindings = machine(dlls)
    with caplog.at_level(logging.WARNING, logger="mlsssl"):
        assert [record.key for record in bindings.all()] == [IpPort("0.0.0.0", 444)]
    assert "left out of the listing" in caplog.text
    if native.address == V4_443:
        with pytest.raises(MalformedDataError, match=r"0\.0\.0\.0:443"):
            bindings.find(key)


def test_a_host_name_in_any_case_is_one_key() -> None:
    """IIS writes names as they were typed; we read them as DNS compares them."""
    dlls = fakes()
    dlls.httpapi.put(replace(NATIVE, config_id=SNI, host="SNI.IIS8.com"))
    found = machine(dlls).find(HostnamePort("sni.iis8.com", 443))
    assert found is not None
    assert found.key == HostnamePort("sni.iis8.com", 443)
    assert found.store_name == "MY"


def test_a_central_store_record_reads_without_a_certificate() -> None:
    """Whatever hash it holds means nothing there."""
    dlls = fakes()
    dlls.httpapi.put(SslRecord(config_id=CCS, address=V4_443))
    dlls.httpapi.put(SslRecord(config_id=SCOPED_CCS, address=V4_443, host="a.example", digest=bytes(20)))
    records = machine(dlls).all()
    assert [record.key for record in records] == [CcsPort(443), ScopedCcs("a.example", 443)]
    assert all(record.thumbprint is None for record in records)


def refusing(dlls: FakeDlls, *codes: int) -> None:
    """Let HTTP.sys answer these codes to its first looks at a certificate, then 0."""
    left = list(codes)
    dlls.httpapi.check_certificate = lambda _digest, _store: left.pop(0) if left else 0


def test_1312_carries_the_diagnosis() -> None:
    """The message and the attribute say what was found; the cause names call and code."""
    dlls = fakes()
    refusing(dlls, 1312)
    with pytest.raises(UnusableCertificateError, match="no key → import it") as caught:
        machine(dlls, diagnosis=(CAUSE,)).add(RECORD)
    assert caught.value.diagnosis == (CAUSE,)
    assert isinstance(caught.value.__cause__, NativeError)
    assert caught.value.__cause__.code_name == "ERROR_NO_SUCH_LOGON_SESSION"
    assert dlls.calls.leaks == {}


def test_1312_may_come_from_the_trust_list_that_the_binding_names() -> None:
    """Said when nothing is wrong with the certificate; a cause that holds goes before what may be."""
    for options in (BindingOptions(ctl_identifier="Clients"), BindingOptions(ctl_store_name="Issuers")):
        dlls = fakes()
        refusing(dlls, 1312, 1312, 1312)
        record = replace(RECORD, options=options)
        with pytest.raises(UnusableCertificateError, match="trust list") as caught:
            machine(dlls).add(record)
        (cause,) = caught.value.diagnosis
        assert isinstance(cause, Diagnosis)
        assert cause.cause is Cause.UNUSABLE_CTL
        with pytest.raises(UnusableCertificateError) as caught:
            machine(dlls, diagnosis=(CAUSE,)).add(record)
        assert caught.value.diagnosis == (CAUSE,)
        with pytest.raises(UnusableCertificateError) as caught:
            machine(dlls).add(RECORD)
        assert caught.value.diagnosis == ()


@pytest.mark.parametrize("code", [5, 740, 1300, 1307, 1314, 0x80070005, 0x80070522, 0x80090010])
def test_every_code_for_a_missing_right_is_one_error(code: int) -> None:
    """Of bindings, services, stores and files; the call that said so is the cause."""
    for failure in (
        binding_failure("f", code),
        binding_failure("f", code, RECORD.key),
        service_failure("f", code, "W3SVC"),
        crypto_failure("f", code),
        crypto_failure("f", code, store="LocalMachine\\MY"),
    ):
        assert isinstance(failure, AccessDeniedError)
        assert failure.right == "administrator"
        assert isinstance(failure.__cause__, NativeError)
        assert failure.__cause__.code == code


def test_other_codes_are_no_missing_right() -> None:
    """Nor is what only looks alike: 5 in another number space."""
    for code in (6, 1312, 0x80090005, 0x80040005):
        assert not isinstance(binding_failure("f", code), AccessDeniedError)
        assert not isinstance(crypto_failure("f", code), AccessDeniedError)


def test_central_store_options_are_refused_before_windows_is_asked() -> None:
    """A Windows might keep what nobody honours."""
    dlls = fakes()
    bindings = machine(dlls)
    record = replace(RECORD, key=CcsPort(443), thumbprint=None, store_name=None)
    bindings.add(record)
    for change in (bindings.add, bindings.update):
        with pytest.raises(InvalidInputError, match="no options"):
            change(replace(record, options=BindingOptions(http2=False)))
    assert dlls.calls.names.count("HttpSetServiceConfiguration") == 1
    assert "HttpUpdateServiceConfiguration" not in dlls.calls.names
    assert dlls.calls.leaks == {}


def test_1312_without_a_known_cause_says_where_to_look() -> None:
    """Every check passed, and still it is refused."""
    dlls = fakes()
    refusing(dlls, 1312)
    with pytest.raises(UnusableCertificateError, match="rights on the private key") as caught:
        machine(dlls).add(RECORD)
    assert caught.value.diagnosis == ()


def test_1312_whose_diagnosis_fails_is_still_1312() -> None:
    """A store that cannot be opened does not hide what happened."""

    def diagnose(_thumbprint: Thumbprint, _store_name: str) -> tuple[Diagnosis, ...]:
        raise AccessDeniedError("no rights on MY", right="read")

    dlls = fakes()
    refusing(dlls, 1312)
    with pytest.raises(UnusableCertificateError, match="looking for the cause failed: no rights on MY"):
        WindowsBindings(dlls, diagnose).add(RECORD)


def test_a_key_installed_moments_ago_is_waited_for() -> None:
    """87 goes away by itself then: the write is tried again, a bounded number of times."""
    dlls, waits = fakes(), list[float]()
    refusing(dlls, 87, 87)
    machine(dlls, waits=waits).add(RECORD)
    assert waits == list(RETRY_DELAYS[:2])
    assert dlls.calls.names.count("HttpSetServiceConfiguration") == 3
    assert dlls.calls.leaks == {}


def test_waiting_for_a_key_ends() -> None:
    """Still 87 after the last try: the error says what else it may be."""
    dlls, waits = fakes(), list[float]()
    refusing(dlls, *[87] * 100)
    with pytest.raises(NativeError, match="may not know one of the options") as caught:
        machine(dlls, waits=waits).add(RECORD)
    assert (caught.value.function, caught.value.code) == ("HttpSetServiceConfiguration", 87)
    assert waits == list(RETRY_DELAYS)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (IpPort("0.0.0.0", 443), r"127\.\d+\.\d+\.\d+:1022"),
        (IpPort("::", 443), r"127\.\d+\.\d+\.\d+:1022"),
        (HostnamePort("a.test", 443), r"[0-9a-f]{16}\.invalid:1022"),
        (CcsPort(443), "ccs=1022"),
        (ScopedCcs("a.test", 443), r"scopedccs=[0-9a-f]{16}\.invalid:1022"),
    ],
)
def test_a_record_is_tried_out_under_a_key_that_answers_nobody(
    key: BindingKey, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no record is for the port: on an address of this computer alone, or for a name that cannot be found.

    The certificate and everything else is what HTTP.sys is to look at, and the record is gone afterwards.
    """
    dlls = fakes()
    bindings = machine(dlls)
    bindings.add(replace(RECORD, key=CcsPort(1023), thumbprint=None, store_name=None))
    before, seen = bindings.all(), list[BindingRecord]()
    delete = dlls.httpapi.HttpDeleteServiceConfiguration

    def look(handle: CData, number: int, structure: CData, length: int, overlapped: CData) -> int:
        seen.extend(record for record in machine(dlls).all() if record not in before)
        return delete(handle, number, structure, length, overlapped)

    monkeypatch.setattr(dlls.httpapi, "HttpDeleteServiceConfiguration", look)
    named = key.family.has_certificate
    wanted = replace(RECORD, key=key, thumbprint=THUMBPRINT if named else None, store_name="MY" if named else None)
    bindings.try_out(wanted)
    (trial,) = seen
    assert re.fullmatch(shown, str(trial.key))
    assert replace(trial, key=key, app_id=wanted.app_id) == wanted
    assert bindings.all() == before
    assert dlls.calls.leaks == {}


def test_a_trial_waits_for_a_new_key_and_tells_of_the_key_that_is_wanted() -> None:
    """As `add` does, and with its errors; nothing is left when it ends."""
    dlls, waits = fakes(), list[float]()
    refusing(dlls, 87, 87)
    machine(dlls, waits=waits).try_out(RECORD)
    assert waits == list(RETRY_DELAYS[:2])
    dlls = fakes()
    refusing(dlls, 87)
    with pytest.raises(UnusableCertificateError, match=r"for 0\.0\.0\.0:443: no key"):
        machine(dlls, diagnosis=(CAUSE,)).try_out(RECORD)
    assert machine(dlls).all() == []


def test_recovery_takes_out_what_was_only_tried() -> None:
    """By its owner, which nobody else has; records of others stay, and again is nothing."""
    dlls = fakes()
    bindings = machine(dlls)
    bindings.add(RECORD)
    left = replace(RECORD, key=IpPort("127.9.9.9", 1023), app_id=TRIAL_APPLICATION)
    bindings.add(left)
    assert bindings.recover() == ["removed the record of 127.9.9.9:1023, which only tried a certificate out"]
    assert bindings.all() == [RECORD]
    assert bindings.recover() == []


def test_who_adds_while_a_record_is_being_replaced_does_not_wait() -> None:
    """Clients would wait too."""
    dlls, waits = fakes(), list[float]()
    refusing(dlls, 87)
    with pytest.raises(NativeError, match="87"):
        machine(dlls, waits=waits).add(RECORD, retry=False)
    assert waits == []


def test_87_with_a_known_cause_is_not_waited_for() -> None:
    """A certificate without its key does not get one by waiting."""
    dlls, waits = fakes(), list[float]()
    refusing(dlls, 87)
    with pytest.raises(UnusableCertificateError, match="no key"):
        machine(dlls, diagnosis=(CAUSE,), waits=waits).add(RECORD)
    assert waits == []


def test_87_turning_into_1312_is_diagnosed() -> None:
    """The last answer counts."""
    dlls = fakes()
    refusing(dlls, 87, 1312)
    with pytest.raises(UnusableCertificateError, match="every known cause"):
        machine(dlls).add(RECORD)


def test_2_means_the_store_when_something_is_bound() -> None:
    """For a Set, and for an Update of what is there, only the certificate can be what is not found."""
    dlls = fakes()
    bindings = machine(dlls, diagnosis=(CAUSE,))
    refusing(dlls, 2)
    with pytest.raises(UnusableCertificateError):
        bindings.add(RECORD)
    bindings.add(RECORD)
    refusing(dlls, 2)
    with pytest.raises(UnusableCertificateError):
        bindings.update(RECORD)
    assert bindings.find(RECORD.key) == RECORD


def test_an_option_that_this_windows_does_not_know() -> None:
    """87, named and explained, and nothing is bound."""
    dlls = fakes()
    dlls.httpapi = FakeHttpApi(dlls.calls, known_flags=0x1FFF)
    bindings = machine(dlls)
    with pytest.raises(NativeError, match="may not know one of the options"):
        bindings.add(replace(RECORD, options=BindingOptions(session_id=False)))
    assert bindings.find(RECORD.key) is None


def test_an_unknown_code_is_a_native_error() -> None:
    """No code is swallowed; it comes as a number with the binding in the message."""
    dlls = fakes()
    refusing(dlls, 4711)
    with pytest.raises(NativeError, match=r"4711: while working on 0\.0\.0\.0:443") as caught:
        machine(dlls).add(RECORD)
    assert not isinstance(caught.value, BindingError)


def test_a_failing_terminate_is_told_but_what_was_done_stays_done() -> None:
    """It is the only sign of a count out of step; the record is there."""
    dlls = fakes()
    bindings = machine(dlls)
    assert bindings.supports(BindingFamily.IP_PORT)
    dlls.calls.faults[len(dlls.calls.names) + 2] = 87
    with pytest.raises(NativeError, match=r"HttpTerminate failed .* was done before"):
        bindings.add(RECORD)
    assert [record.digest for record in dlls.httpapi.records.values()] == [bytes(THUMBPRINT)]
