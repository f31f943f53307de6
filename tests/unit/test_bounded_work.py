"""Bytes that were made to cost much, or that no honest program makes: little time, little text, our own errors."""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chains import (
    ECDSA_SHA256,
    NOW,
    Extension,
    Made,
    ec_key,
    integer,
    intermediate,
    leaf,
    name,
    oid,
    root,
    time_of,
    tlv,
)
from mlsssl import Certificate, CertificateAuthority, InvalidInputError, MalformedDataError, cleanup
from mlsssl._embedded import stores
from mlsssl._formats import pem
from mlsssl._formats.parsed import View, issuer_view
from mlsssl._machine import trust
from mlsssl._machine.ports import TrustProblem
from mlsssl._select.ports import port_of
from mlsssl._validator import every_certificate
from mlsssl._validator.path import signature_problem
from mlsssl._validator.validate import validate
from mlsssl.testing import memory_machine

if TYPE_CHECKING:
    from types import FrameType

SOURCE = str(Path(validate.__code__.co_filename).parents[1])
ROOT = root()
HOST = "www.example.com"
SECONDS = 5.0  # each took ten times that, or ended never


def _organisational_units(count: int) -> bytes:
    units = [tlv(0x31, tlv(0x30, oid("2.5.4.11"), tlv(0x0C, b"%d" % number))) for number in range(count)]
    return tlv(0x30, *units)


def _constrained(subtrees: list[x509.GeneralName]) -> Made:
    constraints = x509.NameConstraints(permitted_subtrees=subtrees, excluded_subtrees=None)
    return intermediate(ROOT).with_extension(constraints, critical=True)


def _codes_below(authority: Made, made: Made) -> tuple[str, ...]:
    begin = time.monotonic()
    report = validate(
        made.certificate(),
        at=NOW,
        trust=[ROOT.certificate()],
        intermediates=[authority.certificate()],
        expect_key=False,
    )
    assert time.monotonic() - begin < SECONDS
    return report.codes


@pytest.mark.parametrize("units", [3000, 20_000])
def test_a_long_subject_under_many_directory_constraints_is_cheap(units: int) -> None:
    """A leaf and an issuer of 60 kB each, small enough for a handshake, cost half a minute."""
    authority = _constrained([x509.DirectoryName(x509.Name.from_rfc4514_string(f"CN={n}")) for n in range(3000)])
    made = replace(leaf(authority), subject=_organisational_units(units))
    assert "work-limit-exceeded" in _codes_below(authority, made)


def test_an_honest_directory_constraint_still_speaks() -> None:
    """The same comparison with one subtree, which the subject keeps to, or does not."""
    authority = _constrained([x509.DirectoryName(x509.Name.from_rfc4514_string("O=TEST"))])
    assert _codes_below(authority, leaf(authority)) == ()
    authority = _constrained([x509.DirectoryName(x509.Name.from_rfc4514_string("O=Other"))])
    assert _codes_below(authority, leaf(authority)) == ("name-constraints-violated",)


def test_a_long_address_under_many_constraints_is_cheap() -> None:
    """A URI of two million characters was taken apart for each of a hundred thousand constraints."""
    authority = _constrained([x509.UniformResourceIdentifier(f"n{n}.test") for n in range(100_000)])
    uri = x509.UniformResourceIdentifier("http://" + "a" * 2_000_000 + "/")
    san = x509.SubjectAlternativeName([x509.DNSName(HOST), uri])
    assert "work-limit-exceeded" in _codes_below(authority, leaf(authority).with_extension(san))


def test_a_report_does_not_repeat_what_is_huge() -> None:
    """Ten names of two million characters made a report of 22 megabytes."""
    san = x509.SubjectAlternativeName([x509.DNSName(f"{n}" + "a" * 100_000) for n in range(30)])
    certificate = replace(leaf(ROOT).with_extension(san, critical=True), subject=tlv(0x30)).certificate()
    report = validate(certificate, host=HOST, at=NOW, expect_key=False)
    malformed = report.filter(code="dns-name-malformed")
    assert len(malformed) == 25
    assert "more of the same" in malformed[-1].found
    assert len(report.to_text()) < 200_000
    assert len(report.subject) < 6000


@pytest.mark.parametrize(
    "data",
    [
        b"-----BEGIN A-----\n" * 30_000,
        b"".join(b"-----BEGIN A%d-----\n" % n for n in range(30_000)),
        b"-----BEGIN CERTIFICATE-----\n" * 30_000,
    ],
    ids=["one label", "many labels", "certificates"],
)
def test_beginnings_without_an_end_are_cheap(data: bytes) -> None:
    """Each was looked for through the rest of the file, letter by letter: minutes for half a megabyte."""
    begin = time.monotonic()
    with pytest.raises(MalformedDataError, match="does not end"):
        Certificate.from_bytes(data)
    assert time.monotonic() - begin < SECONDS


def test_a_beginning_without_an_end_is_not_passed_over() -> None:
    """What it began is missing, and may be the private key; so may be what ends without a beginning."""
    good = Certificate.from_der(leaf(ROOT).der())
    for before in (b"-----BEGIN NOTHING-----\n", b"x-----BEGIN NOTHING-----BEGIN A"):
        with pytest.raises(MalformedDataError, match="does not end"):
            Certificate.from_pem(before + good.to_pem())
    with pytest.raises(MalformedDataError, match="has not begun"):
        Certificate.from_pem(good.to_pem() + b"-----END CERTIFICATE-----\n" + good.to_pem())


def test_a_long_chain_is_put_in_order_in_no_time() -> None:
    """Two thousand issuers, the last first: comparing each with each took seconds."""
    made = [ROOT]
    for number in range(2000):
        made.append(replace(intermediate(ROOT, f"Issuer {number}"), issuer=made[-1].subject))
    given = [one.certificate() for one in made[1:]]
    end = replace(leaf(ROOT), issuer=made[-1].subject).certificate()
    begin = time.process_time()
    assert pem.order_chain(end, given) == tuple(reversed(given))
    assert time.process_time() - begin < 1.5


def test_a_chain_with_an_unreadable_name_is_taken() -> None:
    """Cryptography loads such a certificate, and raises TypeError when its name is asked for; OpenSSL shows it."""
    unreadable = tlv(0x30, tlv(0x31, tlv(0x30, oid("2.5.4.3"), tlv(0x03, b"\0\1"))))
    odd = replace(ROOT, subject=unreadable, issuer=unreadable).certificate()
    good = leaf(ROOT).certificate()
    for certificate in (Certificate(good, chain=[odd]), Certificate(good).with_chain([odd])):
        assert certificate.chain[0].common_name == "#03020001"
        assert certificate.chain[0].to_der() == pem.to_der(odd)


def test_huge_issuers_are_not_kept() -> None:
    """What is looked at once must not fill the memory of a service for good; what is usual is kept."""
    usual = ROOT.certificate()
    assert issuer_view(usual) is issuer_view(usual)
    huge = ROOT.with_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\0" * 100_000))
    assert issuer_view(huge.certificate()) is not issuer_view(huge.certificate())


def test_what_is_remembered_of_algorithms_is_what_is_listed() -> None:
    """An algorithm is as many octets as somebody likes, and there are as many of them."""
    issuer = View(ROOT.certificate())
    usual, odd = leaf(ROOT), tlv(0x30, oid("1.2.840.10045.4.3.2"), tlv(0x04, b"\0" * 1000))
    assert signature_problem(View(usual.certificate()), issuer) == ""
    signature_problem(View(replace(usual, algorithm=odd).certificate()), issuer)
    assert ECDSA_SHA256 in every_certificate._PARAMETERS
    assert odd not in every_certificate._PARAMETERS


def _crl_of(serial: int) -> x509.CertificateRevocationList:
    entry = tlv(0x30, integer(serial), time_of(NOW - timedelta(days=2)))
    times = time_of(NOW - timedelta(days=1)) + time_of(NOW + timedelta(days=9))
    signed = tlv(0x30, integer(1), ECDSA_SHA256, name("Test Root"), times, tlv(0x30, entry))
    signature = ec_key(1).sign(signed, ec.ECDSA(hashes.SHA256()))
    return x509.load_der_x509_crl(tlv(0x30, signed, ECDSA_SHA256, tlv(0x03, b"\0", signature)))


def test_a_negative_serial_number_is_looked_up_too() -> None:
    """It said that the list could not be read, and a certificate that the list names was not found."""
    certificate = pem.load_der(replace(leaf(ROOT), serial=-5).der())

    def codes(serial: int) -> tuple[str, ...]:
        crls = [_crl_of(serial)]
        return validate(certificate, at=NOW, trust=[ROOT.certificate()], crls=crls, expect_key=False).codes

    assert set(codes(-5)) == {"serial-not-positive", "revoked"}
    assert set(codes(-6)) == {"serial-not-positive"}


@pytest.mark.parametrize("serial", [5, None], ids=["one entry", "empty"])
def test_one_list_instead_of_a_list_of_lists_is_refused(serial: int | None) -> None:
    """A revocation list is a sequence of what is revoked: an empty one counted as "no lists", and nothing was said."""
    crl = _crl_of(5)
    if serial is None:
        builder = x509.CertificateRevocationListBuilder(crl.issuer, NOW, NOW + timedelta(days=1))
        crl = builder.sign(ec_key(1), hashes.SHA256())
    certificate = Certificate.from_der(leaf(ROOT).der())
    with pytest.raises(InvalidInputError, match="not one alone; put it into a list"):
        certificate.check(HOST, trust=None, crls=crl)  # type: ignore[arg-type]


def test_moments_that_utc_has_not_and_empty_brackets_are_refused() -> None:
    """They raised OverflowError and IndexError."""
    certificate = Certificate.from_der(leaf(ROOT).der())
    early = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    late = datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))
    for moment in (early, late):
        with pytest.raises(InvalidInputError, match="the years 1 to 9999"):
            certificate.check(trust=None, at=moment)
    assert certificate.check(trust=None, at=datetime.min.replace(tzinfo=timezone.utc)).codes[0] == "not-yet-valid"
    with pytest.raises(InvalidInputError, match="not a DNS name"):
        certificate.check("[]", trust=None)


# x400Address and ediPartyName: RFC 5280 has them, cryptography has a class of exceptions of its own for them.
@pytest.mark.parametrize("kind", [0xA3, 0xA5])
def test_a_kind_of_name_that_cannot_be_read_is_our_error_or_a_finding(kind: int) -> None:
    """It came out of the properties, the repr, the cards and the stores as UnsupportedGeneralNameType."""
    names = tlv(0x30, tlv(0x82, HOST.encode()), tlv(kind, b"\x30\x00"))
    odd = Certificate.from_der(leaf(ROOT).with_extension(Extension("2.5.29.17", False, names)).der())
    for what in ("names", "hosts"):
        with pytest.raises(MalformedDataError, match="cannot be read"):
            getattr(odd, what)
    assert (odd.key_usages, odd.extended_key_usages, odd.is_ca) == (("digitalSignature",), ("serverAuth",), False)
    assert odd.check(HOST, trust=None, at=NOW).codes[:2] == ("name-mismatch", "extension-malformed")
    assert HOST not in repr(odd)
    assert "cannot be read" in odd._repr_html_()
    with memory_machine() as machine, machine.store("MY") as store:
        good = store.add(Certificate.from_der(leaf(ROOT).der()))
        store.add(odd)
        assert len(list(store)) == 2
        assert store.find_all(host=HOST) == [good]


def test_an_odd_name_is_indexed_and_shown_all_the_same() -> None:
    """What another program put into a store has to be found again there, whatever its subject is."""
    unreadable = tlv(0x30, tlv(0x31, tlv(0x30, oid("2.5.4.3"), tlv(0x03, b"\0\1"))))
    der = replace(ROOT, subject=unreadable, issuer=unreadable).der()
    assert stores.subject_digest(x509.load_der_x509_certificate(der)) == b""
    with memory_machine() as machine:
        authority = CertificateAuthority.create("Root", key="ec-p256")
        good = machine.store("MY").add(authority.issue(HOST), trust_root=True)
        for name_of_store in ("MY", "CA", "Root"):
            with closing(port_of(machine).open_store(name_of_store, "LocalMachine", write=True)) as port:
                port.add(der, None, friendly_name=None, exportable=False, provider=None)
        assert machine.store("MY").find(host=HOST) == good
        assert [one for one in machine.store("MY") if one != good][0].certificate.to_der() == der  # noqa: RUF015
        assert len(machine.store("MY")) == 2
        machine.store("MY")._repr_html_()
        cleanup(machine=machine)
        thumbprint = next(one for one in machine.store("MY").thumbprints() if one != good.thumbprint)
        assert "CN=" in machine.store("MY")[thumbprint].certificate.subject
        machine.store("MY").remove(thumbprint)
        assert list(machine.store("MY").thumbprints()) == [good.thumbprint]
        assert good.check(HOST, trust=["system"]).codes == ()
    problem = TrustProblem(name="CERT_TRUST_IS_UNTRUSTED_ROOT", code=0x20, text="is odd", position=1, certificate=der)
    assert next(one.found for one in trust.findings([problem])).startswith("CN=\\#03020001 is odd")


MOST_CALLS = 97


@pytest.mark.parametrize("key", ["ec-p256", "rsa-2048"])
def test_a_check_is_few_calls(key: str) -> None:
    """Of functions of ours, under all rules of `private`; there were 153 and 157, and now are 94 and 97.

    What a check of a good certificate costs beyond the calls of `cryptography` is these calls, and a rule that builds
    what nobody asks for shows here. From Python 3.12 on there are fewer: a comprehension is no call any more.
    """
    authority = CertificateAuthority.create("Root", key=key)  # type: ignore[arg-type]
    certificate = authority.issue("a.test")
    anchor, private = authority.certificate.to_cryptography(), certificate.private_key
    at = datetime.now(timezone.utc)
    called: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(SOURCE):
            called[frame.f_code.co_name] += 1

    for _ in range(2):  # the second time the root is known
        called.clear()
        leaf = x509.load_der_x509_certificate(certificate.to_der())
        former = sys.getprofile()
        sys.setprofile(note)
        try:
            report = validate(leaf, der=certificate.to_der(), host="a.test", at=at, trust=[anchor], private_key=private)
        finally:
            sys.setprofile(former)
        assert report.trusted
        assert report.codes == ()
    assert called["check_leaf"] == 1
    assert sum(called.values()) <= MOST_CALLS, called.most_common(20)
