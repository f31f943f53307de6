"""No message has the words of a parser's inside: every reader over everything malformed that the tests know.

`cryptography` names fields of its Rust program, points to its documentation, dumps OpenSSL's errors and writes numbers
of hundreds of digits. `foreign.reason` turns all that into words; here every message that the corpora cause is read.
"""

from __future__ import annotations

import contextlib
import random
import re
import ssl
import warnings
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

import odd_certificates
import refused_certificates
from chains import NOW, ec_key
from foreign_bytes import LEAF, READERS, ROOT
from mlsssl import Certificate, MlssslError, explain_pfx
from mlsssl._formats import foreign
from mlsssl.cli import main
from repetitions import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INSIDE = re.compile(
    r"ParseError|ParseLocation|InvalidValue|ShortData|ExtraData|UnexpectedTag|EncodedDefault|InvalidSetOrdering"
    r"|kind: [A-Z]|location: \[|asn1 value|[A-Za-z]::[A-Za-z]"
    r"|\b(?:raw|tbs|csr|extn|crl|signature|subject|issuer)_[a-z_]+|InvalidVersion"
    r"|OpenSSLError|openssl error|PanicException|InternalError|KeyError|TypeError|ValueError|Rust"
    r"|cryptography\.io|FAQ|https?://(?!odd|ca\.example|\[)|<[A-Za-z_.]+ object|\b[bB]'|\\x[0-9a-f]{2}.*\\x[0-9a-f]{2}"
    r"|[0-9]{41}",
    re.ASCII,
)
"""What no message of ours has in it."""

QUOTED = re.compile(r"""'[^']*'|"[^"]*"|'[^']*$""")
"""What a message quotes from a file or an argument is the file's own."""


def told(call: Callable[[], object]) -> str:
    """What comes out in words: the error's message, else nothing."""
    try:
        call()
    except MlssslError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def offences(texts: dict[str, str]) -> dict[str, str]:
    """The texts in which a word of the inside stands."""
    return {label: text for label, text in texts.items() if INSIDE.search(QUOTED.sub("''", text))}


def mutants(data: bytes, count: int) -> Iterator[bytes]:
    """`data` cut off, and with one octet changed, at places that are the same in every run."""
    yield from (data[:-1], data[: len(data) // 2], data[:1], data + b"\0", b"")
    chance = random.Random(len(data))
    for _ in range(count):
        at = chance.randrange(len(data))
        yield data[:at] + bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF, data[at] ^ 1))]) + data[at + 1 :]


def _certificates() -> Iterator[tuple[str, bytes]]:
    yield from odd_certificates.CERTIFICATES.items()
    for label, der in refused_certificates.CERTIFICATES.items():
        yield f"refused {label}", der
    for number, der in enumerate(mutants(LEAF.der, 400)):
        yield f"mutant {number}", der


PROPERTIES = (
    *(
        "subject",
        "issuer",
        "common_name",
        "serial_number",
        "names",
        "hosts",
        "not_before",
        "key_type",
        "signature_hash",
    ),
    *("key_usages", "extended_key_usages", "is_ca", "encoding_faults"),
)


def _said_of(der: bytes) -> Iterator[tuple[str, str]]:
    """All that is said of a certificate: refusal, errors of its properties, faults and findings."""
    pem = ssl.DER_cert_to_PEM_cert(der).encode()
    yield "from_der", told(lambda: Certificate.from_der(der))
    yield "from_bytes", told(lambda: Certificate.from_bytes(der))
    yield "from_pem", told(lambda: Certificate.from_pem(LEAF.pem + pem))
    with contextlib.suppress(MlssslError):
        certificate = Certificate.from_der(der)
        for name in PROPERTIES:
            yield name, told(lambda name=name: getattr(certificate, name))  # type: ignore[misc]
        yield "faults", "; ".join(certificate.encoding_faults)
        yield "to_cryptography", told(certificate.to_cryptography)
        report = certificate.check(odd_certificates.HOST, trust=[ROOT.certificate], at=NOW, profile="public")
        for finding in report:
            yield finding.code, f"{finding.where}: {finding.found}"
        for attempt in report.attempts:
            yield "attempt", attempt.stopped_by


def test_certificates() -> None:
    """Loading, asking and checking."""
    texts = {f"{label}: {what}": text for label, der in _certificates() for what, text in _said_of(der)}
    assert len([text for text in texts.values() if text]) > 1000
    assert offences(texts) == {}


@pytest.mark.parametrize("name", READERS)
def test_every_reader(name: str) -> None:
    """Each over mutants of what it reads, over odd certificates, and over what is something else."""
    read, samples = READERS[name]
    data = [one for sample in samples for one in mutants(sample, examples(60))]
    data += [sample for _, others in READERS.values() for sample in others]
    data += [*refused_certificates.CERTIFICATES.values()][:40]
    data += [b"<html>", b"-----BEGIN X-----\nAA==\n-----END X-----\n", bytes(200), b"\x30\x80" + bytes(50)]
    texts = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, one in enumerate(data):
            with contextlib.suppress(Exception):  # an HTTP request's and a ClientHello's own errors
                texts[f"{number}"] = told(lambda one=one: read(one))  # type: ignore[misc]
    assert offences(texts) == {}


def test_revocation_lists() -> None:
    """Odd ones, and with one octet changed."""
    read, samples = READERS["load_crls"]
    lists = [*odd_certificates.revocation_lists().values(), *mutants(samples[0], 300)]
    texts = {str(number): told(lambda one=one: read(one)) for number, one in enumerate(lists)}  # type: ignore[misc]
    assert sum(map(bool, texts.values())) > 50
    assert offences(texts) == {}


def test_keys() -> None:
    """Open, encrypted, in PEM with wrong labels, and damaged."""
    key = ec_key(3)
    locked = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    traditional = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret"))
    plain = ssl.DER_cert_to_PEM_cert(LEAF.pkcs8)
    read = READERS["private_key"][0]
    data = [*mutants(locked, 200), *mutants(traditional, 200), *mutants(LEAF.pkcs8, 300)]
    for label in ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"):
        data += mutants(plain.replace("CERTIFICATE", label).encode(), 40)
    texts = {str(number): told(lambda one=one: read(one)) for number, one in enumerate(data)}  # type: ignore[misc]
    assert sum(map(bool, texts.values())) > 100
    assert offences(texts) == {}


def test_what_cryptography_says() -> None:
    """The translation itself: fields by the names of their standard, nothing for programmers."""
    said = {
        'error parsing asn1 value: ParseError { kind: InvalidValue, location: ["Certificate::tbs_cert", '
        '"TbsCertificate::validity", "Validity::not_before", "Time::UtcTime"] }': (
            "validity, notBefore, UTCTime: a value that is not allowed there"
        ),
        "error parsing asn1 value: ParseError { kind: ExtraData }": "there are bytes behind its end",
        "error parsing asn1 value: ParseError { kind: UnexpectedTag { actual: Tag { value: 4, constructed: false, "
        'class: Universal } }, location: ["CertificateRevocationList::tbs_cert_list", "TBSCertList::next_update"] }': (
            "nextUpdate: something of another type than belongs there"
        ),
        'error parsing asn1 value: ParseError { kind: NewKind, location: ["New::some_field"] }': (
            "some field: something that is not read"
        ),
        "Unable to load PEM file. See https://cryptography.io/en/latest/faq/#why-can-t-i-import-my-pem-file for more "
        "details. MalformedFraming": (
            "the text between its BEGIN and END lines is damaged, or another thing than they say"
        ),
        f"{'9' * 190} is not a valid X509 version": "a number of 190 digits is not a valid X509 version",
        "Unknown OpenSSL error. [<OpenSSLError(code=503841036)>]": "it is damaged, or of a form that is not read",
        "something in plain words": "something in plain words",
        "": "ValueError",
    }
    assert {text: foreign.reason(ValueError(text)) for text in said} == said


def test_the_pattern_finds_what_it_is_for() -> None:
    """`cryptography` does say such things, as it is here; else this file tests nothing."""
    texts = {}
    for label, der in refused_certificates.CERTIFICATES.items():
        try:
            certificate = x509.load_der_x509_certificate(der)
            foreign.needed_fields_of(certificate)
        except Exception as error:  # noqa: BLE001 -- whatever it raises
            texts[label] = str(error)
    assert len(texts) > 100
    assert len(offences(texts)) > 80


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` and `show`, whichever place of the chain is odd."""
    chosen = [*refused_certificates.CERTIFICATES.items()][::3] + [*odd_certificates.CERTIFICATES.items()][::25]
    file = tmp_path / "chain.pem"
    texts = {}
    for number, (label, der) in enumerate(chosen):
        block = ssl.DER_cert_to_PEM_cert(der).encode()
        file.write_bytes(LEAF.pem + block if number % 2 else block + ROOT.pem)
        for command in (["check", str(file), "--trust", str(file)], ["show", str(file)]):
            with contextlib.suppress(SystemExit):
                main(command)
            captured = capsys.readouterr()
            lines = (captured.out + captured.err).splitlines()
            texts[f"{label} {command[0]}"] = "\n".join(line for line in lines if not line.startswith("serial number"))
    assert offences(texts) == {}


def test_a_pfx_with_an_odd_certificate() -> None:
    """Its explanation, too."""
    pfx = READERS["explain_pfx"][1][0]
    texts = {str(number): told(lambda one=one: str(explain_pfx(one))) for number, one in enumerate(mutants(pfx, 100))}  # type: ignore[misc]
    assert offences(texts) == {}
