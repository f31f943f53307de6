"""The validator as a whole: faultless chains, whole answers, and the arguments it refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku

from chains import NOW, Extension, Made, ec_key, integer, intermediate, leaf, name, oid, root, rsa_key, tlv
from mlsssl import CertificateAuthority, ServerFacts, explain_pfx
from mlsssl._validator.catalogue import RULES
from mlsssl._validator.path import TrustAnchors
from mlsssl._validator.profiles import PROFILES, days_of
from mlsssl._validator.report import Finding, Report, Severity
from mlsssl._validator.served import Served
from mlsssl._validator.validate import validate
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl._validator.validate import RuleContext

ROOT = root()
MIDDLE = intermediate(ROOT)
LEAF = leaf(MIDDLE)
HOST = "www.example.com"
TRUST = [ROOT.certificate()]
POOL = [MIDDLE.certificate()]


def test_a_faultless_chain_has_no_finding_in_private() -> None:
    """Leaf, intermediate and root as they should be: nothing to say, and the path is told."""
    report = validate(LEAF.certificate(), host=HOST, at=NOW, trust=TRUST, intermediates=POOL, private_key=ec_key(3))
    assert report.findings == ()
    assert report.trusted
    assert [step.role for step in report.path] == ["leaf", "intermediate", "root"]
    assert report.path[2].der == ROOT.der()


@pytest.mark.parametrize("trust", [[], [root("Other", 9).certificate()]])
def test_a_root_that_is_not_trusted_is_a_root_still(trust: list[x509.Certificate]) -> None:
    """In the path and in the words of a finding; what was trusted for it is said by `trusted` alone."""
    pool = [*POOL, ROOT.certificate()]
    report = validate(LEAF.certificate(), host=HOST, at=NOW, trust=trust, intermediates=pool, expect_key=False)
    assert not report.trusted
    assert [step.role for step in report.path] == ["leaf", "intermediate", "root"]
    assert [finding.where for finding in report.findings] == ['root "CN=Test Root": trust']
    assert "  root         CN=Test Root\n" in str(report)
    report = validate(LEAF.certificate(), host=HOST, at=NOW, trust=trust, intermediates=POOL, expect_key=False)
    assert [step.role for step in report.path] == ["leaf", "intermediate"]
    assert [finding.where for finding in report.findings] == ['intermediate "CN=Test Intermediate": issuer']


@pytest.mark.parametrize("host", ["other.example.com", "example.com", "a.www.example.com", "10.0.0.1"])
def test_another_name_is_a_mismatch_that_lists_the_names(host: str) -> None:
    """The failing twin: one error, with the names that the certificate does carry."""
    report = validate(LEAF.certificate(), host=host, at=NOW, trust=TRUST, intermediates=POOL, expect_key=False)
    assert report.codes == ("name-mismatch",)
    assert HOST in report.findings[0].found
    assert f'ca.issue("{host}")' in report.findings[0].remedy


def test_every_finding_is_reported_at_once() -> None:
    """Name, date, key and trust are all wrong: four errors in one report."""
    other = root("Other Root", 9)
    report = validate(
        LEAF.certificate(),
        host="nope.example.com",
        at=NOW + timedelta(days=365),
        trust=[other.certificate()],
        intermediates=POOL,
        private_key=ec_key(77),
    )
    assert {f.code for f in report.errors} == {"name-mismatch", "expired", "key-mismatch", "issuer-not-found"}
    assert "Test Root" in report.filter(code="issuer-not-found")[0].found


def test_the_missing_intermediate_is_named() -> None:
    """Without the intermediate the chain breaks off, and the report says which certificate to add."""
    report = validate(LEAF.certificate(), host=HOST, at=NOW, trust=TRUST, expect_key=False)
    assert report.codes == ("issuer-not-found",)
    assert "Test Intermediate" in report.findings[0].found
    assert "Test Intermediate" in report.findings[0].remedy


def test_a_root_of_the_same_name_and_another_key_is_told_apart() -> None:
    """A root made anew under the old name did not sign the old certificates."""
    impostor = root("Test Root", 8)
    direct = leaf(ROOT)
    report = validate(direct.certificate(), host=HOST, at=NOW, trust=[impostor.certificate()], expect_key=False)
    assert not report.ok
    assert "signature-invalid" in report.codes


def test_a_stranger_with_the_issuers_name_does_not_hide_the_issuer_who_writes_it_otherwise() -> None:
    """Names are equal whatever their octets (RFC 5280 section 7.1): what else is at hand changes no verdict."""
    printable = tlv(0x30, tlv(0x31, tlv(0x30, oid("2.5.4.3"), tlv(0x13, b"Test Root"))))
    issuer = replace(root(), subject=printable, issuer=printable)
    below = leaf(root()).certificate()  # by the same key, the name in a UTF8String
    stranger = root(number=77)
    twin = replace(root(), key=ec_key(77), signer=ec_key(77))  # with the right key identifier, too
    right = issuer.certificate()
    for odd in (stranger.certificate(), twin.certificate()):
        for trust in ([right], [right, odd], [odd, right]):
            for chain in ([], [odd], [odd, right], [right, odd]):
                report = validate(below, at=NOW, trust=trust, intermediates=chain, expect_key=False)
                assert report.trusted
                assert report.codes == ("issuer-name-encoding",)
                assert report.path[-1].der == issuer.der()
        alone = validate(below, at=NOW, trust=[odd], intermediates=[right], expect_key=False)
        assert not alone.trusted


def test_an_issuer_as_sent_belongs_to_the_chain_however_its_name_is_written() -> None:
    """No advice to leave it out, nor that the order is wrong; the twin is a stranger's."""
    middle, below = MIDDLE.certificate(), replace(LEAF, issuer=name("TEST  intermediate")).certificate()
    stranger = intermediate(root("Stranger", 20), "Stranger Intermediate", 21).certificate()
    for sent, codes in (((middle,), set()), ((middle, stranger), {"chain-unrelated"})):
        served = Served(chain=sent, protocol="TLSv1.3")
        report = validate(below, at=NOW, trust=TRUST, intermediates=sent, expect_key=False, served=served)
        assert report.trusted
        assert set(report.codes) == {"issuer-name-encoding", *codes}


@pytest.mark.parametrize("critical", [True, False])
def test_policy_mappings_that_cannot_be_read_are_told_wherever_they_stand(critical: bool) -> None:
    """Nobody can process them, in a server's certificate either; the twin can be read."""
    above = root()
    pair = tlv(0x30, oid("1.2.3"), oid("1.2.4"))
    for value, errors in ((b"\x05\x00", ["extension-malformed"]), (tlv(0x30, pair), [])):
        mapped = Extension("2.5.29.33", critical, value)
        for path in ((leaf(above).with_extension(mapped), above), (leaf(above), above.with_extension(mapped))):
            made, trusted = (one.certificate() for one in path)
            report = validate(made, at=NOW, trust=[trusted], expect_key=False)
            assert [finding.code for finding in report.errors] == errors


def test_an_index_of_trust_judges_as_the_list_does() -> None:
    """`TrustAnchors` serves many leaves: one below it, a trusted one itself, one of a stranger, and repeated roots."""
    alone, strange = root("alone.test", number=4), root("Stranger", number=5)
    index = TrustAnchors([*TRUST, *TRUST, alone.certificate()])
    assert len(index.views) == len(TRUST) + 1
    verdicts = []
    for certificate in (LEAF.certificate(), alone.certificate(), leaf(strange).certificate()):
        by_list, by_index = (
            validate(certificate, host=HOST, at=NOW, trust=trust, intermediates=POOL, expect_key=False)
            for trust in ([*TRUST, *TRUST, alone.certificate()], index)
        )
        assert by_index == by_list
        verdicts.append(by_index.trusted)
    assert verdicts == [True, True, False]


def test_a_chain_to_a_root_that_nobody_trusts_says_so() -> None:
    """The root is there and whole, but not in trust=."""
    pool = [*POOL, ROOT.certificate()]
    report = validate(LEAF.certificate(), host=HOST, at=NOW, trust=[], intermediates=pool, expect_key=False)
    assert report.codes == ("root-not-trusted",)
    assert not report.trusted


def test_without_trust_the_question_is_left_open() -> None:
    """trust=None asks nothing about issuers, and the report says that it did not."""
    report = validate(LEAF.certificate(), host=HOST, at=NOW, trust=None, expect_key=False)
    assert report.ok
    assert report.codes == ("trust-not-asked",)


def test_a_self_signed_leaf_trusted_on_purpose_is_a_finding() -> None:
    """No crash and no refusal in private; an error where an authority is demanded."""
    alone = replace(LEAF, issuer=LEAF.subject, signer=LEAF.key).without(x509.AuthorityKeyIdentifier)
    trusted = validate(alone.certificate(), host=HOST, at=NOW, trust=[alone.certificate()], expect_key=False)
    assert trusted.ok
    assert trusted.codes == ("self-signed-leaf",)
    refused = validate(alone.certificate(), host=HOST, at=NOW, trust=TRUST, expect_key=False)
    assert [f.code for f in refused.errors] == ["self-signed-not-trusted"]
    procedure = validate(
        alone.certificate(), host=HOST, at=NOW, trust=[alone.certificate()], expect_key=False, profile="procedure"
    )
    assert [f.code for f in procedure.errors] == ["self-signed-leaf"]


def test_the_order_of_the_chain_and_strangers_in_it_do_not_matter() -> None:
    """Any order, the root and the leaf among the intermediates, and certificates of others."""
    stranger = intermediate(root("Stranger", 20), "Strange Intermediate", 21)
    pool = [stranger.certificate(), ROOT.certificate(), LEAF.certificate(), MIDDLE.certificate()]
    report = validate(LEAF.certificate(), host=HOST, at=NOW, trust=TRUST, intermediates=pool, expect_key=False)
    assert report.findings == ()


def test_an_expired_cross_sign_does_not_hide_the_way_that_is_whole() -> None:
    """Two certificates for one intermediate: the path takes the one that is valid, in either order."""
    expired = replace(MIDDLE, not_after=NOW - timedelta(days=1), serial=77)
    for pool in ([expired, MIDDLE], [MIDDLE, expired]):
        report = validate(
            LEAF.certificate(),
            host=HOST,
            at=NOW,
            trust=TRUST,
            intermediates=[made.certificate() for made in pool],
            expect_key=False,
        )
        assert report.findings == ()
    alone = validate(
        LEAF.certificate(), host=HOST, at=NOW, trust=TRUST, intermediates=[expired.certificate()], expect_key=False
    )
    assert [f.code for f in alone.errors] == ["expired"]
    assert "Test Intermediate" in alone.errors[0].where
    assert alone.attempts


def test_public_limits_fall_on_their_dates_by_themselves() -> None:
    """The same rule data gives 398, 200, 100 and 47 days by the day of issue."""
    limits = [(2026, 3, 14, 398), (2026, 3, 15, 200), (2027, 3, 15, 100), (2029, 3, 15, 47)]
    for year, month, day, days in limits:
        start = datetime(year, month, day, tzinfo=timezone.utc)
        for excess, expected in ((0, False), (1, True)):
            end = start + timedelta(days=days + excess, seconds=-1)
            made = replace(leaf(ROOT), not_before=start, not_after=end)
            report = validate(
                made.certificate(), at=start + timedelta(days=1), trust=None, profile="public", expect_key=False
            )
            assert ("validity-too-long" in report.codes) is expected, (year, days, excess)


def test_days_count_both_ends() -> None:
    """One second more than a whole number of days is another day."""
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert days_of(start, start + timedelta(days=200, seconds=-1)) == 200
    assert days_of(start, start + timedelta(days=200)) == 201


def test_silenced_findings_stay_in_the_report_with_their_reason() -> None:
    """Silencing changes the verdict and is not forgotten."""
    report = validate(
        LEAF.certificate(),
        host="other.test",
        at=NOW,
        trust=TRUST,
        intermediates=POOL,
        expect_key=False,
        silence={"name-mismatch": "the proxy renames it"},
    )
    assert report.ok
    assert report.silenced[0].finding.code == "name-mismatch"
    assert "the proxy renames it" in report.to_text()
    for silence in ({"no-such-code": "why"}, {"expired": ""}, {"Bad Code": "why"}):
        with pytest.raises(InvalidInputError):
            validate(LEAF.certificate(), at=NOW, trust=TRUST, silence=silence)


def test_rules_of_ones_own_are_heard_and_cannot_break_the_report() -> None:
    """A rule yields findings; one that raises becomes a finding itself."""

    def at_most_ninety_days(context: RuleContext) -> Iterator[Finding]:
        days = days_of(context.certificate.not_valid_before_utc, context.certificate.not_valid_after_utc)
        if days > 90:
            yield Finding(
                code="house-rule-ninety-days",
                severity=Severity.ERROR,
                where="leaf: validity",
                found=f"{days} days",
                expected="at most 90 days",
                remedy="ca.issue(..., days=90)",
                standard="our own",
            )

    def broken(context: RuleContext) -> list[Finding]:
        raise KeyError(context.profile.name)

    def thief(context: RuleContext) -> list[Finding]:
        del context
        return [replace(next(iter(at_most_ninety_days_findings)), code="expired")]

    at_most_ninety_days_findings = validate(
        LEAF.certificate(), at=NOW, trust=None, extra_rules=[at_most_ninety_days]
    ).filter(code="house-rule-ninety-days")
    report = validate(
        LEAF.certificate(),
        at=NOW,
        trust=TRUST,
        intermediates=POOL,
        expect_key=False,
        extra_rules=[at_most_ninety_days, broken, thief],
    )
    assert [f.code for f in report.errors] == ["house-rule-ninety-days", "user-rule-failed", "user-rule-failed"]
    assert "KeyError" in report.errors[1].found


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("severity", "fatal", "'fatal' is not a valid Severity"), ("found", None, "found is text, not NoneType")],
)
def test_a_finding_of_ones_own_that_no_report_can_hold_is_told(field: str, value: object, said: str) -> None:
    """It came out of `check` as an AttributeError, or later out of the report; a severity by its name is taken."""

    def rule(severity: object = "error", **others: object) -> Report:
        texts = dict.fromkeys(("where", "found", "expected", "remedy", "standard"), "\x1b[31m")
        made = Finding(code="house", **{**texts, "severity": severity, **others})  # type: ignore[arg-type]
        return validate(LEAF.certificate(), at=NOW, expect_key=False, extra_rules=[lambda _context: [made]])

    good = rule()
    assert good.errors[0].severity is Severity.ERROR
    assert "\x1b" not in str(good)
    wrong = rule(**{field: value})
    assert wrong.errors[0].code == "user-rule-failed"
    assert said in wrong.errors[0].found


def test_a_profile_of_ones_own_changes_severities() -> None:
    """An error becomes a notice, a rule goes, and the report names the profile."""
    lenient = PROFILES["private"].with_severity("house", name_mismatch="notice", outlives_issuer=None)
    report = validate(
        LEAF.certificate(), host="x.test", at=NOW, trust=TRUST, intermediates=POOL, expect_key=False, profile=lenient
    )
    assert report.ok
    assert report.profile == "house"
    with pytest.raises(InvalidInputError):
        PROFILES["private"].with_severity("house", expired="fatal")
    with pytest.raises(InvalidInputError, match="no finding code 'name-missmatch'"):
        PROFILES["private"].with_severity("house", name_missmatch="warning")


@pytest.mark.parametrize(("trust", "rule"), [([], "root_not_trusted"), (TRUST, "issuer_not_found")])
def test_a_profile_can_leave_out_why_a_path_ends(trust: list[x509.Certificate], rule: str) -> None:
    """The report is without the finding, and the certificate no more trusted for it."""
    profile = PROFILES["private"].with_severity("house", **{rule: None})
    pool = [] if trust else [*POOL, *TRUST]
    report = validate(LEAF.certificate(), at=NOW, trust=trust, intermediates=pool, expect_key=False, profile=profile)
    assert not report.trusted
    assert rule.replace("_", "-") not in report.codes


def test_arguments_that_mean_nothing_are_refused() -> None:
    """Naive moments, unknown profiles, names that are none, depths out of range."""
    certificate = LEAF.certificate()
    with pytest.raises(InvalidInputError, match="aware"):
        validate(certificate, at=datetime(2026, 1, 1), trust=TRUST)  # noqa: DTZ001
    with pytest.raises(InvalidInputError, match="profile"):
        validate(certificate, at=NOW, trust=TRUST, profile="webtrust")
    for host in ("", "a b", "https://x/", "[::1", "example.com:443"):
        with pytest.raises(InvalidInputError):
            validate(certificate, host=host, at=NOW, trust=TRUST)
    for depth in (-1, 256, True):
        with pytest.raises(InvalidInputError, match="max_depth"):
            validate(certificate, at=NOW, trust=TRUST, max_depth=depth)


def test_the_depth_limit_counts_intermediates() -> None:
    """Zero allows root and leaf only."""
    arguments = {"host": HOST, "at": NOW, "trust": TRUST, "expect_key": False}
    direct = validate(leaf(ROOT).certificate(), max_depth=0, **arguments)  # type: ignore[arg-type]
    assert direct.ok
    deep = validate(LEAF.certificate(), intermediates=POOL, max_depth=0, **arguments)  # type: ignore[arg-type]
    assert [f.code for f in deep.errors] == ["path-too-long"]


def test_an_rsa_chain_is_faultless_too() -> None:
    """The same with RSA keys and signatures."""
    above = root("RSA Root", key=rsa_key(2048, 1))
    made = leaf(above, "rsa.example.com", key=rsa_key(2048, 2))
    report = validate(
        made.certificate(), host="rsa.example.com", at=NOW, trust=[above.certificate()], private_key=rsa_key(2048, 2)
    )
    assert report.findings == ()


def test_every_certificate_below_the_root_needs_a_revocation_pointer_on_windows() -> None:
    """Schannel asks for intermediates too; a distribution point in both makes it quiet, and so does a short life."""
    uri = x509.UniformResourceIdentifier("http://crl.example.com/ca.crl")
    points = x509.CRLDistributionPoints([x509.DistributionPoint([uri], None, None, None)])

    def asked(made: Made, middle: Made) -> list[str]:
        report = validate(
            made.certificate(),
            at=NOW,
            trust=TRUST,
            intermediates=[middle.certificate()],
            expect_key=False,
            profile="windows",
        )
        assert all("0x80092012" in RULES[f.code].title for f in report.findings)
        return [f.where.partition(":")[0] for f in report.findings]

    with_pointer = LEAF.with_extension(points)
    assert asked(LEAF, MIDDLE) == ["leaf", 'intermediate "CN=Test Intermediate"']
    assert asked(with_pointer, MIDDLE) == ['intermediate "CN=Test Intermediate"']
    assert asked(with_pointer, MIDDLE.with_extension(points)) == []
    short = replace(LEAF, not_after=LEAF.not_before + timedelta(days=6))
    assert asked(short, MIDDLE.with_extension(points)) == []


def test_a_curve_written_out_is_refused() -> None:
    """CVE-2020-0601: parameters that happen to be P-256's are still not its name."""
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    coefficient = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    generator = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    point = LEAF.key.public_key()
    shape = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    parameters = tlv(
        0x30,
        integer(1),
        tlv(0x30, oid("1.2.840.10045.1.1"), integer(prime)),
        tlv(0x30, tlv(4, (prime - 3).to_bytes(32, "big")), tlv(4, coefficient.to_bytes(32, "big"))),
        tlv(4, generator.public_bytes(*shape)),
        integer(order),
        integer(1),
    )
    spki = tlv(0x30, tlv(0x30, oid("1.2.840.10045.2.1"), parameters), tlv(3, b"\0", point.public_bytes(*shape)))
    made = replace(LEAF, spki=spki)
    report = validate(made.certificate(), host=HOST, at=NOW, trust=TRUST, intermediates=POOL, expect_key=False)
    assert [f.code for f in report.errors] in (["ec-curve"], ["key-unreadable"])


def test_a_reader_that_does_not_exist_is_refused() -> None:
    """A misspelt system found nothing wrong with a .pfx that no system had been asked about."""
    authority = CertificateAuthority.create("Root", key="ec-p256")
    made = authority.issue("a.test")
    explained = explain_pfx(made.to_pfx("x", readable_by="windows-server-2016"), "x")
    facts = ServerFacts(pfx=explained, readable_by="Windows-Server-2016 ")
    assert "pfx-unreadable" not in made.check(trust=[authority], profile="windows", facts=facts).codes
    with pytest.raises(InvalidInputError, match=r"a system is one of .*windows-server-2016"):
        made.check(trust=[authority], facts=ServerFacts(pfx=explained, readable_by="windows-server-1999"))


def test_the_common_name_counts_only_where_the_profile_says_so() -> None:
    """For old clients, and in the procedure, whose page asks for it; with a name in subjectAltName nowhere."""
    bare = leaf(ROOT, "x", common="old.example.com")
    without = replace(bare, extensions=tuple(one for one in bare.extensions if one.oid != "2.5.29.17"))

    def refused(made: Made) -> set[str]:
        found = {}
        for profile in PROFILES:
            report = validate(made.certificate(), host="old.example.com", at=NOW, expect_key=False, profile=profile)
            found[profile] = "name-mismatch" in report.codes
        return {profile for profile, wrong in found.items() if wrong}

    assert refused(without) == {"private", "public", "windows"}
    assert refused(leaf(ROOT, "other.example.com", common="old.example.com")) == set(PROFILES)


@pytest.mark.parametrize(
    ("names", "host", "refused"),
    [
        (["*.s3.amazonaws.com"], "bucket.s3.amazonaws.com", True),
        (["*.S3.amazonaws.com", "other.s3.amazonaws.com"], "bucket.s3.amazonaws.com", True),
        (["*.s3.amazonaws.com", "bucket.s3.amazonaws.com"], "bucket.s3.amazonaws.com", False),
        (["s3.amazonaws.com", "*.s3.amazonaws.com"], "s3.amazonaws.com", False),
        (["*.s3.amazonaws.com", "*.bucket.s3.amazonaws.com"], "x.bucket.s3.amazonaws.com", False),
        (["*.s3.amazonaws.com", "10.0.0.5"], "10.0.0.5", False),
        (["*.s3.amazonaws.com"], None, False),
    ],
)
def test_a_wildcard_over_a_public_suffix_counts_where_it_is_what_matches(
    names: list[str], host: str | None, refused: bool
) -> None:
    """Cloud providers list their own suffix beside the exact name; a stranger's name must not rest on it."""
    made = leaf(MIDDLE, *names)
    report = validate(
        made.certificate(), host=host, at=NOW, trust=TRUST, intermediates=POOL, expect_key=False, profile="public"
    )
    assert {f.code for f in report.errors} == ({"wildcard-public-suffix"} if refused else set())
    other = report.filter(code="wildcard-public-suffix-unmatched")
    assert [f.severity for f in other] == ([] if refused else [Severity.WARNING])


@pytest.mark.parametrize("profile", PROFILES)
def test_a_trusted_certificate_is_not_asked_who_signed_it(profile: str) -> None:
    """An intermediate, or the leaf, that is trusted by itself needs no authorityKeyIdentifier; untrusted, it does."""
    for made in (MIDDLE, LEAF):
        bare = made.without(x509.AuthorityKeyIdentifier)
        below = LEAF if made is MIDDLE else bare
        report = validate(
            below.certificate(), host=HOST, at=NOW, trust=[bare.certificate()], expect_key=False, profile=profile
        )
        assert report.ok
        assert report.trusted
        expected = {"anchor-aki-missing": Severity.NOTICE} if profile in ("private", "public") else {}
        assert {f.code: f.severity for f in report.findings if "aki" in f.code} == expected
        pool = [bare.certificate()] if made is MIDDLE else POOL
        judged = validate(
            below.certificate(),
            host=HOST,
            at=NOW,
            trust=TRUST,
            intermediates=pool,
            expect_key=False,
            profile=profile,
        )
        severity = RULES["aki-missing"].severities.get(profile)
        assert [f.severity for f in judged.filter(code="aki-missing")] == ([severity] if severity else [])
        assert not judged.filter(code="anchor-aki-missing")


SERVER, CLIENT, EVERYTHING = Eku.SERVER_AUTH, Eku.CLIENT_AUTH, Eku.ANY_EXTENDED_KEY_USAGE


@pytest.mark.parametrize(
    ("usages", "in_root", "in_middle", "in_leaf"),
    [
        ([SERVER], {"root-eku"}, set(), set()),
        ([SERVER, CLIENT], {"root-eku"}, set(), set()),
        ([SERVER, EVERYTHING], {"root-eku"}, set(), {"eku-any"}),
        ([EVERYTHING], {"root-eku", "issuer-eku-any"}, {"issuer-eku-any"}, {"eku-any-only"}),
        ([CLIENT], {"root-eku", "issuer-eku"}, {"issuer-eku"}, {"eku-server-auth-missing"}),
    ],
)
def test_extended_key_usages_hold_in_every_place_of_the_path(
    usages: list[x509.ObjectIdentifier], in_root: set[str], in_middle: set[str], in_leaf: set[str]
) -> None:
    """In private: a notice in a root, nothing in an intermediate; without serverAuth an error wherever it stands."""
    value = x509.ExtendedKeyUsage(usages)
    for place, expected in (("root", in_root), ("middle", in_middle), ("leaf", in_leaf)):
        above = root().with_extension(value) if place == "root" else root()
        middle = intermediate(above).with_extension(value) if place == "middle" else intermediate(above)
        made = leaf(middle).with_extension(value) if place == "leaf" else leaf(middle)
        report = validate(
            made.certificate(),
            host=HOST,
            at=NOW,
            trust=[above.certificate()],
            intermediates=[middle.certificate()],
            expect_key=False,
        )
        assert set(report.codes) == expected
        assert report.ok is (SERVER in usages)
        assert all(f.severity is Severity.NOTICE for f in report.filter(code="root-eku"))


def test_a_missing_extended_key_usage_is_judged_as_each_profile_documents() -> None:
    """RFC 5280 and Windows take it for every usage; Apple, the Baseline Requirements and the procedure do not."""
    bare = LEAF.without(x509.ExtendedKeyUsage)
    found = {}
    for profile in PROFILES:
        for moment in (NOW, datetime(2019, 7, 1, tzinfo=timezone.utc)):
            made = replace(bare, not_before=moment - timedelta(hours=1), not_after=moment + timedelta(days=90))
            above = replace(MIDDLE, not_before=moment - timedelta(days=1))
            top = replace(ROOT, not_before=moment - timedelta(days=1))
            report = validate(
                made.certificate(),
                host=HOST,
                at=moment,
                trust=[top.certificate()],
                intermediates=[above.certificate()],
                expect_key=False,
                profile=profile,
            )
            found[profile, moment.year] = [str(f.severity) for f in report.filter(code="eku-missing")]
    assert found == {
        ("procedure", 2026): ["error"],
        ("procedure", 2019): ["error"],
        ("private", 2026): ["error"],
        ("private", 2019): ["notice"],
        ("public", 2026): ["error"],
        ("public", 2019): ["error"],
        ("windows", 2026): ["warning"],
        ("windows", 2019): ["warning"],
        ("legacy", 2026): ["warning"],
        ("legacy", 2019): ["warning"],
    }
