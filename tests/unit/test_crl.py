"""Revocation lists: made here, read by openssl's rules, and heard by the validator."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding

from chains import NOW, ec_key, intermediate, key_usage, leaf, name, oid, root, rsa_key, tlv
from mlsssl._formats import der, identifiers
from mlsssl._formats.crl import load_crls
from mlsssl._formats.pkcs7 import load_pkcs7
from mlsssl._issue.revocation_lists import build_crl, entries_to_keep
from mlsssl._validator.validate import validate
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from chains import Made
    from mlsssl._validator.report import Report

ROOT = root()
MIDDLE = intermediate(ROOT)
LEAF = leaf(MIDDLE)


def check(*crls: x509.CertificateRevocationList, revocation: str = "soft") -> Report:
    return validate(
        LEAF.certificate(),
        at=NOW,
        trust=[ROOT.certificate()],
        intermediates=[MIDDLE.certificate()],
        expect_key=False,
        crls=crls,
        revocation=revocation,  # type: ignore[arg-type]
    )


def by_middle(*serials: int, at: datetime = NOW - timedelta(hours=1), days: int = 30) -> x509.CertificateRevocationList:
    revoked = [(serial, NOW - timedelta(days=1), "keyCompromise") for serial in serials]
    return build_crl(MIDDLE.certificate(), ec_key(2), revoked, at=at, number=1, days=days)


def by_root(*serials: int) -> x509.CertificateRevocationList:
    revoked = [(serial, NOW - timedelta(days=1), None) for serial in serials]
    return build_crl(ROOT.certificate(), ec_key(1), revoked, at=NOW - timedelta(hours=1), number=2)


def test_a_certificate_that_no_list_names_has_no_finding() -> None:
    """Both lists at hand and current: nothing to say."""
    assert check(by_middle(), by_root()).findings == ()


def test_a_revoked_leaf_and_a_revoked_intermediate_are_errors() -> None:
    """The failing twins, with the reason told where there is one."""
    report = check(by_middle(7, LEAF.serial), by_root())
    assert [f.code for f in report.errors] == ["revoked"]
    assert "keyCompromise" in report.errors[0].found
    upper = replace(MIDDLE, serial=99)
    other = validate(
        LEAF.certificate(),
        at=NOW,
        trust=[ROOT.certificate()],
        intermediates=[upper.certificate()],
        expect_key=False,
        crls=[by_middle(), by_root(99)],
    )
    assert [f.code for f in other.errors] == ["revoked"]
    assert "Test Intermediate" in other.errors[0].where


def test_a_list_of_another_issuer_with_the_same_serial_revokes_nothing() -> None:
    """Serial numbers mean something only together with their issuer."""
    assert check(by_middle(), by_root(LEAF.serial + 1)).ok
    stranger = root("Stranger", 30)
    foreign = build_crl(stranger.certificate(), ec_key(30), [(LEAF.serial, NOW, None)], at=NOW, number=1)
    assert check(foreign, by_middle(), by_root()).findings == ()


def test_a_list_by_another_key_under_the_issuers_name_is_not_believed() -> None:
    """Neither to revoke nor to clear."""
    impostor = replace(MIDDLE, key=ec_key(40), signer=ec_key(41)).with_extension(x509.SubjectKeyIdentifier(b"x" * 20))
    forged = build_crl(impostor.certificate(), ec_key(40), [(LEAF.serial, NOW, None)], at=NOW, number=1)
    report = check(forged, by_root())
    assert report.ok
    assert report.codes == ("crl-invalid",)


def signed_anew(crl: x509.CertificateRevocationList, key: Any, identifier: str, digest: hashes.HashAlgorithm) -> bytes:
    """The list, signed by another algorithm; `cryptography` makes none by the old ones."""
    null = b"" if isinstance(key, ec.EllipticCurvePrivateKey) else tlv(0x05)
    algorithm = tlv(0x30, oid(identifier), null)
    version, _, *rest = (one.raw for one in der.members(der.only(crl.tbs_certlist_bytes), der.SEQUENCE, most=10))
    signed = tlv(0x30, version, algorithm, *rest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        signature = key.sign(signed, ec.ECDSA(digest))
    else:
        signature = key.sign(signed, padding.PKCS1v15(), digest)
    return tlv(0x30, signed, algorithm, tlv(0x03, b"\0", signature))


@pytest.mark.parametrize(
    ("key", "identifier", "digest"),
    [
        (ec_key(1), "1.2.840.10045.4.1", hashes.SHA1()),
        (rsa_key(), "1.2.840.113549.1.1.5", hashes.SHA1()),
        (rsa_key(), "1.2.840.113549.1.1.4", hashes.MD5()),
    ],
)
def test_lists_signed_by_old_hashes_are_not_told_to_be_anothers(
    key: Any, identifier: str, digest: hashes.HashAlgorithm
) -> None:
    """Authorities of Windows Server 2008 sign by SHA-1, and OpenSSL and Windows believe it; MD5 nobody should."""
    issuer = root(key=key)
    below = leaf(issuer)
    signer = issuer.certificate()
    for serial in (below.serial, 5):
        crl = build_crl(signer, key, [(serial, NOW, None)], at=NOW, number=1)
        (old,) = load_crls(signed_anew(crl, key, identifier, digest))
        (forged,) = load_crls(signed_anew(crl, ec_key(9), "1.2.840.10045.4.1", hashes.SHA1()))
        report, other = (
            validate(below.certificate(), at=NOW, trust=[signer], expect_key=False, crls=[one], revocation="hard")
            for one in (old, forged)
        )
        if isinstance(digest, hashes.MD5):
            assert "by MD5" in report.filter(code="crl-invalid")[0].found
        else:
            assert report.codes == (("revoked",) if serial == below.serial else ())
            assert entries_to_keep(old, signer, besides=()) != ()
        assert "did not sign it" in other.filter(code="crl-invalid")[0].found
        with pytest.raises(InvalidInputError, match="did not sign it"):
            entries_to_keep(forged, signer, besides=())


def test_stale_and_missing_lists_are_warnings_or_errors_as_asked() -> None:
    """Soft lets pass, hard does not."""
    stale = by_middle(at=NOW - timedelta(days=40), days=30)
    soft = check(stale)
    assert soft.ok
    assert set(soft.codes) == {"crl-expired", "crl-not-found"}
    hard = check(stale, revocation="hard")
    assert {f.code for f in hard.errors} == {"crl-expired", "crl-not-found"}
    assert check(by_middle(), by_root(), revocation="hard").ok


def test_of_several_lists_of_one_line_the_newest_counts() -> None:
    """A hold that was lifted is lifted; a later list revokes; what a forger dates later hides nothing."""
    older = by_middle(LEAF.serial, at=NOW - timedelta(hours=9))
    newer = by_middle(at=NOW - timedelta(hours=1))
    assert check(older, newer, by_root()).findings == ()
    assert check(newer, older, by_root()).findings == ()
    assert check(by_middle(at=NOW - timedelta(hours=9)), by_middle(LEAF.serial), by_root()).codes == ("revoked",)
    future = by_middle(at=NOW + timedelta(hours=1))
    assert check(future, by_middle(LEAF.serial), by_root()).codes == ("revoked",)
    impostor = replace(MIDDLE, key=ec_key(40), signer=ec_key(41))
    forged = build_crl(impostor.certificate(), ec_key(40), [], at=NOW, number=9)
    assert check(forged, by_middle(LEAF.serial), by_root()).codes == ("revoked",)
    assert check(forged, by_middle(), by_root(), revocation="hard").findings == ()


def scoped(
    revoked: int, *, url: str | None = None, users: bool = False, authorities: bool = False
) -> x509.CertificateRevocationList:
    """A list of the intermediate's that covers a part of its certificates only."""
    scope = x509.IssuingDistributionPoint(
        full_name=None if url is None else [x509.UniformResourceIdentifier(url)],
        relative_name=None,
        only_contains_user_certs=users,
        only_contains_ca_certs=authorities,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    entry = x509.RevokedCertificateBuilder(serial_number=revoked, revocation_date=NOW - timedelta(days=1)).build()
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=MIDDLE.certificate().subject,
        last_update=NOW - timedelta(days=1),
        next_update=NOW + timedelta(days=1),
        revoked_certificates=[entry],
    )
    return builder.add_extension(scope, critical=True).sign(ec_key(2), hashes.SHA256())


def test_a_list_of_another_scope_says_nothing() -> None:
    """Of other kinds of certificates, or of another distribution point: neither revoked nor cleared."""
    assert check(scoped(LEAF.serial, users=True), by_root()).codes == ("revoked",)
    assert check(scoped(LEAF.serial, authorities=True), by_root()).codes == ("crl-invalid",)
    here, there = "http://crl.test/1.crl", "http://crl.test/2.crl"
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(here)], None, None, None)
    pointed = LEAF.with_extension(x509.CRLDistributionPoints([point]))

    def of_partition(made: Made, url: str) -> tuple[str, ...]:
        return validate(
            made.certificate(),
            at=NOW,
            trust=[ROOT.certificate()],
            intermediates=[MIDDLE.certificate()],
            expect_key=False,
            crls=[scoped(LEAF.serial, url=url), by_root()],
        ).codes

    assert of_partition(pointed, here) == ("revoked",)
    assert of_partition(pointed, there) == ("crl-invalid",)
    assert of_partition(LEAF, here) == ("crl-invalid",)


def test_an_entry_with_something_critical_and_unknown_spoils_the_list() -> None:
    """RFC 5280 section 5.3, wherever the entry stands; what is not critical does no harm."""

    def having(*, critical: bool) -> x509.CertificateRevocationList:
        other = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55738.1"), b"\x05\x00")
        odd = x509.RevokedCertificateBuilder(serial_number=99, revocation_date=NOW).add_extension(other, critical)
        named = x509.RevokedCertificateBuilder(serial_number=LEAF.serial, revocation_date=NOW)
        return x509.CertificateRevocationListBuilder(
            issuer_name=MIDDLE.certificate().subject,
            last_update=NOW - timedelta(days=1),
            next_update=NOW + timedelta(days=1),
            revoked_certificates=[named.build(), odd.build()],
        ).sign(ec_key(2), hashes.SHA256())

    assert check(having(critical=False), by_root()).codes == ("revoked",)
    report = check(having(critical=True), by_root())
    assert report.codes == ("crl-invalid",)
    assert "1.3.6.1.4.1.55738.1" in report.findings[0].found


def test_hard_without_any_list_refuses() -> None:
    """Asked to be sure and given nothing to be sure with."""
    assert check().findings == ()
    hard = check(revocation="hard")
    assert [f.code for f in hard.errors] == ["crl-not-found", "crl-not-found"]
    assert "was given" in hard.errors[0].found


def test_lists_count_where_trust_is_not_asked() -> None:
    """As far up as the chain at hand leads; without the issuer a list is not believed, and that is said."""

    def untrusted(*chain: x509.Certificate, crls: list[x509.CertificateRevocationList]) -> Report:
        return validate(LEAF.certificate(), at=NOW, intermediates=chain, expect_key=False, crls=crls)

    middle, top = MIDDLE.certificate(), ROOT.certificate()
    both = untrusted(top, middle, crls=[by_middle(LEAF.serial), by_root(MIDDLE.serial)])
    assert [f.code for f in both.errors] == ["revoked", "revoked"]
    assert untrusted(top, middle, crls=[by_middle(), by_root()]).ok
    alone = untrusted(crls=[by_middle(LEAF.serial)])
    assert "crl-invalid" in alone.codes
    assert "without that certificate" in alone.filter(code="crl-invalid")[0].found
    assert "revoked" not in alone.codes


def test_lists_count_where_an_issuers_name_is_written_otherwise() -> None:
    """Without the question of trust as with it, and whoever else has the name."""
    below = replace(LEAF, issuer=name("TEST  intermediate"))
    assert below.issuer != MIDDLE.subject
    impostor = replace(MIDDLE, subject=below.issuer, key=ec_key(40))
    for chain in ([MIDDLE], [impostor, MIDDLE], [MIDDLE, impostor]):
        for trust in (None, [ROOT.certificate()]):
            report = validate(
                below.certificate(),
                at=NOW,
                trust=trust,
                intermediates=[one.certificate() for one in chain],
                expect_key=False,
                crls=[by_middle(LEAF.serial), by_root()],
            )
            assert "revoked" in {finding.code for finding in report.errors}


def test_lists_that_an_authority_may_not_sign_are_not_made() -> None:
    """CRLSign is demanded, and the right key, and arguments in range."""
    mute = MIDDLE.with_extension(key_usage(key_cert_sign=True), critical=True)
    with pytest.raises(InvalidInputError, match="cRLSign"):
        build_crl(mute.certificate(), ec_key(2), [], at=NOW, number=1)
    with pytest.raises(InvalidInputError, match="not the one"):
        build_crl(MIDDLE.certificate(), ec_key(3), [], at=NOW, number=1)
    good = MIDDLE.certificate()
    for arguments in ({"number": -1}, {"number": 2**159}, {"days": 0}, {"at": NOW.replace(tzinfo=None)}):
        with pytest.raises(InvalidInputError):
            build_crl(good, ec_key(2), [], **{"at": NOW, "number": 1, **arguments})  # type: ignore[arg-type]
    for entry in ((0, NOW, None), (1, NOW.replace(tzinfo=None), None), (1, NOW, "because")):
        with pytest.raises(InvalidInputError):
            build_crl(good, ec_key(2), [entry], at=NOW, number=1)
    with pytest.raises(InvalidInputError, match="twice"):
        build_crl(good, ec_key(2), [(5, NOW, None), (5, NOW, None)], at=NOW, number=1)


def _in_pkcs7(*crls: x509.CertificateRevocationList) -> bytes:
    """As `openssl crl2pkcs7 -in ca.crl` and certutil write them (RFC 5652, section 5.1)."""
    signed = der.write_sequence(
        der.write_number(1),
        der.write(der.SET),
        der.write_sequence(der.write_oid(identifiers.DATA)),
        der.write(0xA1, *(crl.public_bytes(Encoding.DER) for crl in crls)),
        der.write(der.SET),
    )
    return der.write_sequence(der.write_oid(identifiers.SIGNED_DATA), der.write(der.EXPLICIT_0, signed))


def test_lists_come_back_from_der_and_pem() -> None:
    """One in DER, several in PEM with other blocks between, and nothing else."""
    first, second = by_middle(3, 4), by_root()
    assert load_crls(first.public_bytes(Encoding.DER)) == (first,)
    mixed = (
        first.public_bytes(Encoding.PEM)
        + LEAF.certificate().public_bytes(Encoding.PEM)
        + second.public_bytes(Encoding.PEM)
    )
    assert load_crls(mixed) == (first, second)
    assert load_crls(_in_pkcs7(first, second)) == (first, second)
    with pytest.raises(MalformedDataError, match="a revocation list is needed, and this is a PKCS#7 file"):
        load_crls(_in_pkcs7())
    with pytest.raises(MalformedDataError, match="no certificate, but revocation lists"):
        load_pkcs7(_in_pkcs7(first))
    assert [entry.serial_number for entry in first] == [3, 4]
    for bad in (b"", b"\x30\x03\x02\x01\x01", LEAF.der(), b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"):
        with pytest.raises(MalformedDataError):
            load_crls(bad)


def test_rsa_authorities_and_big_curves_sign_lists_too() -> None:
    """The hash follows the key."""
    above = root("RSA Root", key=rsa_key(2048, 1))
    crl = build_crl(above.certificate(), rsa_key(2048, 1), [], at=NOW, number=0)
    assert crl.is_signature_valid(rsa_key(2048, 1).public_key())
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 0
