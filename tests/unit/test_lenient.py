"""Certificates that `cryptography` refuses: read, told, checked, kept, bound and served as the octets that they are."""

from __future__ import annotations

import copy
import hashlib
import re
import socket
import ssl
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

import chains
import refused_certificates
from chains import NOW
from mlsssl import (
    Certificate,
    CertificateAuthority,
    CertificateRequest,
    MalformedDataError,
    Store,
    UnreadableCertificateError,
    UnsupportedError,
    ValidationError,
    audit,
    check_many,
    deploy,
    renew,
)
from mlsssl._formats import lenient, pem
from mlsssl._formats.parsed import OddCertificate
from mlsssl._testing.machines import memory_machine
from mlsssl.bundles import java_trust_store
from mlsssl.cli import main
from odd_certificates import HOST, PLAIN, ROOT
from programs import output, run
from refused_certificates import CERTIFICATES, STAR, TAKEN_BY_WINDOWS, odd_request, of_server, signed

ANCHOR = Certificate.from_der(ROOT.der())
T61 = of_server(**TAKEN_BY_WINDOWS["t61"])


def odd(kind: str) -> Certificate:
    return Certificate.from_der(of_server(**TAKEN_BY_WINDOWS[kind]))


# -- what is read ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "faults"),
    [
        ("t61", ["subject organizationName (O): TeletexString (T61) with octets that are no UTF-8, read as Latin-1"]),
        ("printable", ["subject commonName (CN): PrintableString with '_*&@', which it cannot have"]),
        (
            "ecdsa-null",
            ["signature algorithm: NULL, as Java 11 wrote it, behind ecdsa-with-SHA256, where nothing belongs"],
        ),
        ("utc-offset", ["notBefore: 261101000000+0100, a time with an offset; read as 2026-10-31 23:00:00 UTC"]),
    ],
)
def test_the_field_and_the_fault_in_words(kind: str, faults: list[str]) -> None:
    """`encoding_faults` and the findings say the same; everything else is told as of any certificate."""
    certificate = odd(kind)
    assert list(certificate.encoding_faults) == faults
    assert certificate.hosts == (HOST,)
    assert certificate.key_type == "rsa-2048"
    report = certificate.check(HOST, trust=[ANCHOR], at=NOW, key_expected=False)
    told = [f"{f.where.removeprefix('leaf: ')}: {f.found}" for f in report if f.code in ("encoding-odd", "date-form")]
    assert told == faults
    assert report.trusted


def test_an_ordinary_certificate_has_no_faults() -> None:
    """And is `cryptography`'s own object, as ever."""
    plain = Certificate.from_der(PLAIN.der())
    assert plain.encoding_faults == ()
    assert isinstance(plain.to_cryptography(), x509.Certificate)


def test_its_octets_are_its_own() -> None:
    """Thumbprint, DER, PEM, PKCS#7 and PFX are of what was read, never of the copy."""
    certificate = Certificate.from_der(T61).with_key(chains.rsa_key())
    assert certificate.to_der() == T61
    assert certificate.thumbprint.hex() == hashlib.sha1(T61, usedforsecurity=False).hexdigest()
    assert certificate.to_pem() == ssl.DER_cert_to_PEM_cert(T61).encode()
    inner = certificate._certificate
    assert isinstance(inner, OddCertificate)
    assert inner.fingerprint(hashes.SHA256()) == hashlib.sha256(T61).digest()
    assert inner.copy.public_bytes(Encoding.DER) != T61
    for back in (
        Certificate.from_pem(certificate.to_pem()),
        Certificate.from_bytes(certificate.to_pkcs7()),
        Certificate.from_pfx(certificate.to_pfx("secret"), "secret"),
        Certificate.from_pfx(certificate.to_pfx("secret", readable_by="openssl-3"), "secret"),
    ):
        assert back == certificate
        assert hash(back) == hash(certificate)
        assert back.to_der() == T61
    assert certificate != Certificate.from_der(PLAIN.der())
    assert Certificate.from_der(PLAIN.der()) != certificate
    assert copy.deepcopy(certificate) is certificate


def test_nothing_is_handed_out_that_lies() -> None:
    """`cryptography` has no object for it, and what stands in for one answers only what it knows."""
    certificate = Certificate.from_der(T61)
    with pytest.raises(UnsupportedError, match=r"to_der\(\) gives: subject organizationName \(O\)"):
        certificate.to_cryptography()
    with pytest.raises(AttributeError, match="tbs_precertificate_bytes"):
        certificate._certificate.tbs_precertificate_bytes  # noqa: B018


def test_a_certificate_that_cryptography_refuses_late() -> None:
    """It has taken the bytes, and refuses the subject when it is asked for: the constructor reads it all the same."""
    taken = x509.load_der_x509_certificate(T61)
    assert Certificate(taken, private_key=chains.rsa_key()) == Certificate.from_der(T61)
    below = Certificate.from_der(PLAIN.der())
    assert Certificate(below.to_cryptography(), chain=[taken]).chain[0].to_der() == T61
    assert below.with_chain([Certificate.from_der(T61)]).chain[0].to_der() == T61


def test_the_signature_is_checked_over_what_was_signed() -> None:
    """The copy was signed by nobody; and a change in the odd field is seen."""
    assert Certificate.from_der(T61).check(trust=[ANCHOR], at=NOW).trusted
    changed = Certificate.from_der(T61.replace("Söhne".encode("latin-1"), "Töchn".encode("latin-1")))
    assert "Töchn" in changed.subject
    assert "signature-invalid" in changed.check(trust=[ANCHOR], at=NOW).codes


def test_authorities_above_it() -> None:
    """An odd root and intermediate are found by their names, and their faults told with their names."""
    name = refused_certificates.attributes(("2.5.4.10", 0x14, b"M\xfcller"), ("2.5.4.3", 0x0C, b"Odd CA"))
    above = replace(ROOT, subject=name, issuer=name)
    null = chains.tlv(0x30, chains.oid("1.2.840.10045.4.3.2"), b"\5\0")
    middle = replace(chains.intermediate(above), algorithm=null)
    below = Certificate.from_der(chains.leaf(middle, HOST).der()).with_chain([Certificate.from_der(middle.der())])
    report = below.check(HOST, trust=[Certificate.from_der(above.der())], at=NOW, key_expected=False)
    assert report.ok
    assert report.trusted
    told = {finding.where for finding in report.filter(code="encoding-odd")}
    assert len(told) == 4  # the intermediate's issuer and algorithm, the root's subject and issuer
    assert any("Odd CA" in where for where in told)


@pytest.mark.parametrize("label", ["extension-basic-false", "extension-basic-true-1"])
def test_what_stands_in_basic_constraints(label: str) -> None:
    """FALSE in so many words, and TRUE as 1, are read; anything else in there is not."""
    certificate = Certificate.from_der(CERTIFICATES[label])
    assert certificate.is_ca is (label == "extension-basic-true-1")
    report = certificate.check(HOST, trust=[ANCHOR], at=NOW, key_expected=False)
    assert "encoding-odd" in report.codes
    assert "extension-malformed" not in report.codes
    broken = Certificate.from_der(CERTIFICATES[label].replace(b"\x30\x03\x01\x01", b"\x30\x03\x02\x01"))
    with pytest.raises(MalformedDataError, match="an extension of this certificate cannot be read"):
        broken.is_ca  # noqa: B018


# -- what other programs say -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", CERTIFICATES)
def test_openssl_reads_what_is_only_odd(label: str) -> None:
    """What OpenSSL shows is read; what it refuses is not, or broken; what it calls a bad time is no date."""
    der = CERTIFICATES[label]
    if label.endswith(("-octets", "-time")) and label != "serial-octets":
        return  # in a name: cryptography takes what OpenSSL refuses
    shown = run("openssl", "x509", "-inform", "DER", "-noout", "-subject", "-dates", "-nameopt", "RFC2253", stdin=der)
    text = output(shown)
    reads = shown.returncode == 0 and "Bad time value" not in text
    try:
        certificate = Certificate.from_der(der)
    except MalformedDataError:
        assert not reads or label.startswith("trailing") or label == "begin-year-0"
        return
    faults = pem.faults_of(certificate._certificate)
    broken = any(fault.code == lenient.BROKEN for fault in faults)
    if not reads:
        assert broken or label.startswith(("key-", "algorithm-"))
        return
    assert not broken or label == "signature-spare-bits"
    begin = re.search(r"notBefore=(.*?)(?:\.[0-9]+)?( GMT)?$", text, re.MULTILINE)
    assert begin is not None
    assert f"{certificate.not_before:%b %_d %H:%M}" in begin[1]


@pytest.mark.parametrize("label", CERTIFICATES)
def test_openssl_verifies_what_no_error_is_found_in(label: str, tmp_path: Path) -> None:
    """A certificate without an error under the profile private is one that OpenSSL verifies."""
    try:
        certificate = Certificate.from_der(CERTIFICATES[label])
    except MalformedDataError:
        return
    if label.endswith(("-octets", "-time")):
        return  # in a name: cryptography takes what OpenSSL refuses
    if not certificate.check(HOST, trust=[ANCHOR], at=NOW, key_expected=False).ok:
        return
    (tmp_path / "root.pem").write_bytes(ANCHOR.to_pem())
    (tmp_path / "leaf.pem").write_bytes(certificate.to_pem())
    moment = str(int(NOW.timestamp()))
    said = run("openssl", "verify", "-attime", moment, "-CAfile", tmp_path / "root.pem", tmp_path / "leaf.pem")
    assert said.returncode == 0, output(said)


@pytest.mark.parametrize("parameters", [b"", b"\x05\0", b"\x30\0", b"\x04\1a", b"\x05\1\0"])
def test_parameters_behind_rsa_as_openssl_takes_them(parameters: bytes, tmp_path: Path) -> None:
    """It does not look at them, whatever they are; but a NULL that is not empty it does not read."""
    above = chains.root("RSA root", key=chains.rsa_key())
    algorithm = chains.tlv(0x30, chains.oid("1.2.840.113549.1.1.11"), parameters)
    certificate = Certificate.from_der(replace(chains.leaf(above, HOST), algorithm=algorithm).der())
    (tmp_path / "root.pem").write_text(ssl.DER_cert_to_PEM_cert(above.der()))
    (tmp_path / "leaf.pem").write_bytes(certificate.to_pem())
    moment = str(int(NOW.timestamp()))
    said = run("openssl", "verify", "-attime", moment, "-CAfile", tmp_path / "root.pem", tmp_path / "leaf.pem")
    report = certificate.check(HOST, trust=[Certificate.from_der(above.der())], at=NOW, key_expected=False)
    assert report.ok is (said.returncode == 0) is (parameters != b"\x05\1\0"), output(said)
    assert "signature-invalid" not in report.codes


# -- requests ----------------------------------------------------------------------------------------------------------

ECDSA_NULL = TAKEN_BY_WINDOWS["ecdsa-null"]["algorithm"]


@pytest.mark.parametrize("algorithm", [chains.ECDSA_SHA256, ECDSA_NULL])
def test_requests_of_old_tools(algorithm: bytes) -> None:
    """A `*` in a PrintableString, Latin-1 in a TeletexString and NULL behind ECDSA: read, verified, and honoured."""
    der = odd_request(STAR, algorithm)
    assert run("openssl", "req", "-inform", "DER", "-verify", "-noout", stdin=der).returncode == 0
    request = CertificateRequest.from_bytes(der)
    assert request.to_der() == der
    assert request.subject == "CN=*.example.com,O=Müller"
    assert request.names == ("*.example.com",)
    assert len(request.encoding_faults) == (2 if algorithm == chains.ECDSA_SHA256 else 3)
    assert CertificateRequest.from_bytes(request.to_pem()) == request
    with pytest.raises(UnsupportedError, match="cryptography refuses this request"):
        request.to_cryptography()
    issued = CertificateAuthority.create("Root", key="ec-p256").sign(request)
    assert issued.hosts == ("*.example.com",)
    assert request.matches(issued)


def test_a_request_that_was_changed_or_cannot_be_read() -> None:
    """The signature is over what was signed; and a name that is none is named."""
    with pytest.raises(MalformedDataError, match="signature does not fit"):
        CertificateRequest.from_bytes(odd_request(STAR).replace(b"M\xfcller", b"M\xfcllxr"))
    pss = chains.tlv(0x30, chains.oid("1.2.840.113549.1.1.10"), b"\x05\0")
    with pytest.raises(MalformedDataError, match="parameters that do not belong behind"):
        CertificateRequest.from_bytes(odd_request(STAR, pss))
    with pytest.raises(MalformedDataError, match="subject: an attribute that is not a type and a value"):
        CertificateRequest.from_bytes(odd_request(chains.tlv(0x30, chains.tlv(0x31, chains.tlv(0x30)))))


# -- what cannot be read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "fault"),
    [
        ("begin-letters", "validity: notBefore is no date: 'notatimehere'"),
        ("begin-hour-24", "validity: notBefore is no date"),
        ("validity-one", "validity: two dates belong there"),
        ("version-empty", "version: no number"),
        ("serial-octets", "serial number: no number"),
        ("subject-no-value", "subject: an attribute that is not a type and a value"),
        ("extension-no-value", "extensions: an extension that is not a number, a critical flag and a value"),
        ("unknown-field", "a field with the tag 0xa4"),
    ],
)
def test_the_field_that_cannot_be_read_is_named(label: str, fault: str) -> None:
    """And what to do."""
    with pytest.raises(UnreadableCertificateError, match=re.escape(fault)) as caught:
        Certificate.from_der(CERTIFICATES[label])
    assert "ask whoever issued it for a new one" in str(caught.value)


def test_what_is_no_certificate_is_not_called_one() -> None:
    """Only what has the form of a certificate is one with an unreadable field."""
    for data in (b"", b"x", b"\x30\0", PLAIN.der()[:-1], PLAIN.der() + PLAIN.der(), bytes(lenient.LARGEST + 1)):
        with pytest.raises(MalformedDataError) as caught:
            Certificate.from_der(data)
        assert not isinstance(caught.value, UnreadableCertificateError)


@pytest.mark.parametrize("place", [1, 2])
def test_check_reports_a_certificate_that_cannot_be_read(
    place: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For the leaf and for any other of the chain: which of them, the field, and the fault; the exit code of errors."""
    bad = ssl.DER_cert_to_PEM_cert(CERTIFICATES["begin-letters"]).encode()
    good = ANCHOR.to_pem()
    file = tmp_path / "chain.pem"
    file.write_bytes(bad + good if place == 1 else good + bad)
    assert main(["check", str(file), "--trust", "system", "--host", HOST]) == 1
    told = capsys.readouterr().out
    assert "NOT ok" in told
    assert "error: certificate-unreadable" in told
    assert f"PEM block {place} (" in told
    assert "notBefore is no date: 'notatimehere'" in told
    assert main(["show", str(file)]) == 6
    file.write_bytes(b"<html>")
    assert main(["check", str(file)]) == 6


# -- stores, bindings and the rest -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TAKEN_BY_WINDOWS)
def test_it_is_deployed_and_served(kind: str) -> None:
    """Preflight says what is odd and lets it pass; a client receives the octets."""
    certificate = odd(kind).with_key(chains.rsa_key())
    with memory_machine() as machine:
        refused = kind == "utc-offset"  # by OpenSSL's clients, if not by Windows
        if refused:
            with pytest.raises(ValidationError, match="date-form"):
                deploy("0.0.0.0:443", certificate, machine=machine, at=NOW, verify=False)
        outcome = deploy("0.0.0.0:443", certificate, machine=machine, at=NOW, verify=False, force=refused)
        told = {finding.code for finding in outcome.findings}
        assert refused or "encoding-odd" in told
        with Store.open("MY", machine=machine) as store:
            (entry,) = store
            assert entry.certificate == certificate
        rows = audit(machine=machine, at=NOW).rows
        assert "certificate-unreadable" not in {finding.code for row in rows for finding in row.findings}
        with machine.listen() as listener:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with (
                socket.create_connection(("127.0.0.1", listener.port_of(443)), timeout=10) as connection,
                context.wrap_socket(connection, server_hostname=HOST) as session,
            ):
                assert session.getpeercert(binary_form=True) == certificate.to_der()


def test_it_is_renewed_and_exported(tmp_path: Path) -> None:
    """A request and a renewal keep its subject, now encoded as it should be; a store's export has its octets."""
    certificate = Certificate.from_der(T61).with_key(chains.rsa_key())
    request = CertificateRequest.for_renewal(certificate, key=chains.ec_key(3))
    assert request.subject == certificate.subject
    assert request.encoding_faults == ()
    machine = str(tmp_path / "machine.sqlite")
    pem_file, bundle = tmp_path / "odd.pem", tmp_path / "all.p7b"
    pem_file.write_bytes(certificate.to_pem())
    assert main(["store", "add", str(pem_file), "--machine", machine]) == 0
    assert main(["store", "export", "MY", "--out", str(bundle), "--machine", machine]) == 0
    assert Certificate.load(bundle) == certificate
    with memory_machine() as there:
        deploy("0.0.0.0:443", certificate, machine=there, at=NOW, verify=False)
        authority = CertificateAuthority.create("Root", key="ec-p256")
        renew("0.0.0.0:443", authority, machine=there, verify=False)
        with Store.open("MY", machine=there) as store:
            (new,) = [entry.certificate for entry in store if entry.certificate != certificate]
        assert new.subject == certificate.subject
        assert new.encoding_faults == ()


def test_nobody_inside_asks_for_what_may_be_refused() -> None:
    """`pem.x509_of` gives what stands in for one, too; `to_cryptography` raises, and is for users."""
    sources = Path(lenient.__file__).parents[1]
    callers = {
        file.name for file in sources.rglob("*.py") if ".to_cryptography()" in file.read_text(encoding="utf-8")
    } - {file.name for file in (sources / "_strategies").glob("*.py")}
    # An authority's own certificate, Java's trust store, MakeCert's, a kept request: ours; a revocation list,
    # of which nothing is refused; and where it is asked of strangers.
    ours = {"authority.py", "bundles.py", "makecert.py", "obtain.py"}
    assert callers == {*ours, "revocation_list.py", "pem.py"}


@pytest.mark.parametrize("workers", [1, 2])
def test_many_are_checked_alike(workers: int) -> None:
    """In bulk they travel as octets, to other processes too, among others that are not odd."""
    found = [odd(kind) for kind in TAKEN_BY_WINDOWS] + [Certificate.from_der(PLAIN.der())]
    found *= 1 + 64 // len(found)
    reports = list(check_many([(one, HOST) for one in found], trust=[ANCHOR], at=NOW, workers=workers))
    assert reports == [one.check(HOST, trust=[ANCHOR], at=NOW, key_expected=False) for one in found]


def test_an_odd_root_is_trusted_as_an_object_as_from_its_octets() -> None:
    """`cryptography` gives the object out, and refuses its name only when asked; alone and among many."""
    odd_root = replace(ROOT, subject=T61_NAME, issuer=T61_NAME)
    certificate = Certificate.from_der(replace(PLAIN, issuer=T61_NAME).der())
    as_octets = certificate.check(HOST, trust=[Certificate.from_der(odd_root.der())], at=NOW, key_expected=False)
    assert as_octets.trusted
    assert as_octets.codes == ("encoding-odd",)
    an_object = x509.load_der_x509_certificate(odd_root.der())
    assert certificate.check(HOST, trust=[an_object], at=NOW, key_expected=False) == as_octets
    assert [*check_many([(certificate, HOST)], trust=[an_object], at=NOW)] == [as_octets]


def test_what_is_refused_for_it() -> None:
    """An authority whose name would be written in other octets, and a trust store that `cryptography` writes."""
    authority = Certificate.from_der(replace(ROOT, subject=T61_NAME, issuer=T61_NAME).der())
    with pytest.raises(UnsupportedError, match="cryptography refuses"):
        CertificateAuthority(authority.with_key(ROOT.key))
    with pytest.raises(UnsupportedError, match="cryptography refuses"):
        java_trust_store([Certificate.from_der(T61)], "changeit")


T61_NAME = refused_certificates.attributes(("2.5.4.3", 0x14, b"M\xfcller"))


def test_no_warning_comes_out() -> None:
    """Not of a serial number that is not positive."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        certificate = Certificate.from_der(signed(serial=chains.integer(-5), subject=T61_NAME))
        assert certificate.serial_number == -5


def test_work_is_bounded() -> None:
    """A name of as many attributes as fit, and an encoding as deep as fits, are a matter of a second."""
    many = chains.tlv(0x30, T61_NAME[2:] * 15_000)
    assert len(many) < lenient.LARGEST
    assert len(Certificate.from_der(signed(subject=many)).encoding_faults) == 1
    deep = b"\x30\x80" * 60_000 + b"\0\0" * 60_000
    with pytest.raises(MalformedDataError):
        Certificate.from_der(signed(subject=deep))
