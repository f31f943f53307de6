"""Keys that are weak by their numbers, whatever their algorithm identifier says that they are for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from chains import PSS_SHA256, Made, extension, integer, key_usage, leaf, oid, root, rsa_key, rsa_spki, spki_of, tlv
from faults import CASES, LEAF, Case
from mlsssl._validator import weak_keys
from mlsssl._validator.catalogue import RULES
from mlsssl._validator.weak_keys import rsa_numbers
from mlsssl.values import PROFILE_NAMES

if TYPE_CHECKING:
    from mlsssl._validator.report import Severity

PSS = "1.2.840.113549.1.1.10"  # id-RSASSA-PSS
WEAK = [code for code in RULES if code.startswith("rsa-")]


def pss_spki(modulus: int, exponent: int = 65537) -> bytes:
    """The SubjectPublicKeyInfo of any two numbers as a key for RSASSA-PSS alone (RFC 4055 section 1.2)."""
    numbers = tlv(0x30, integer(modulus), integer(exponent))
    return tlv(0x30, tlv(0x30, oid(PSS)), tlv(0x03, b"\0", numbers))


def as_pss(made: Made) -> Made:
    """The same certificate and numbers, under the other identifier."""
    numbers = rsa_numbers(made.spki or spki_of(made.key))
    assert numbers is not None
    return replace(made, spki=pss_spki(*numbers))


def rsa_codes(case: Case) -> set[tuple[str, Severity]]:
    return {(f.code, f.severity) for f in case.check().findings if f.code.startswith(("rsa-", "key-"))}


@pytest.mark.parametrize("profile", PROFILE_NAMES)
@pytest.mark.parametrize("code", WEAK)
def test_a_weak_key_for_pss_is_as_weak_as_any(code: str, profile: str) -> None:
    """Size, exponent, factors, ROCA and close primes are found under id-RSASSA-PSS as under rsaEncryption."""
    case = replace(CASES[code](), profile=profile)
    found = rsa_codes(replace(case, leaf=as_pss(case.leaf)))
    assert found == rsa_codes(case)
    assert (code in {name for name, _ in found}) is (profile in RULES[code].severities)


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_a_good_key_for_pss_has_none_of_these_findings(profile: str) -> None:
    """The twin: 2048 bits, 65537."""
    case = Case(leaf=as_pss(replace(LEAF, key=rsa_key(2048))), profile=profile)
    assert rsa_codes(case) == set()


def test_a_published_key_is_known_under_the_other_identifier_too() -> None:
    """Looked up by its modulus, in a list that is stood in for here."""
    made = as_pss(replace(LEAF, key=rsa_key(2048)))
    modulus = rsa_key(2048).public_key().public_numbers().n
    for listed, expected in ((modulus, ("key-compromised",)), (modulus + 2, ())):

        def lookup(number: int, listed: int = listed) -> object:
            return {"subtest": "firmware"} if number == listed else False

        with mock.patch.object(weak_keys, "_listed", return_value=lookup):
            assert tuple(f.code for f in Case(leaf=made).check().errors) == expected


def test_a_weak_issuer_for_pss_is_found() -> None:
    """The key of each issuer is looked at as the leaf's is; the twin has enough bits."""
    for bits, expected in ((1024, {"rsa-too-small"}), (2048, set())):
        above = _pss_root(bits)
        made = replace(leaf(above), algorithm=PSS_SHA256)
        found = {f.code for f in Case(leaf=made, pool=(), trust=(above,)).check().errors}
        assert found == expected


def test_a_key_for_pss_makes_no_other_signatures() -> None:
    """RFC 4055 section 1.2: a PKCS #1 v1.5 signature of such a key is none."""
    above = _pss_root(2048)
    report = Case(leaf=leaf(above), pool=(), trust=(above,)).check()
    (finding,) = report.errors
    assert finding.code == "signature-invalid"
    assert "RSASSA-PSS signatures only" in finding.found


def test_a_key_for_pss_cannot_take_part_in_rsa_key_exchange() -> None:
    """Encipherment alone lets an RSA key serve old TLS, and leaves a PSS key nothing to do."""
    plain = replace(LEAF, key=rsa_key(2048)).with_extension(extension(key_usage(key_encipherment=True), critical=True))
    assert "key-usage-unsuitable" not in Case(leaf=plain).check().codes
    assert "key-usage-unsuitable" in Case(leaf=as_pss(plain)).check().codes


def test_an_unreadable_key_is_told_whatever_else_was_found() -> None:
    """A notice about something else once hid that the key cannot be read at all."""
    numbers = tlv(0x30, integer(rsa_key(2048).public_key().public_numbers().n), integer(65537), integer(1))
    unreadable = tlv(0x30, bytes.fromhex("300d06092a864886f70d0101010500"), tlv(0x03, b"\0", numbers))
    for serial in (LEAF.serial, 2**161):
        report = Case(leaf=replace(LEAF, spki=unreadable, serial=serial)).check()
        assert "key-unreadable" in report.codes
    readable = rsa_spki(rsa_key(2048).public_key().public_numbers().n, 65537)
    assert "key-unreadable" not in Case(leaf=replace(LEAF, spki=readable, serial=2**161)).check().codes


def _pss_root(bits: int) -> Made:
    return as_pss(root("PSS Root", key=rsa_key(bits)))
