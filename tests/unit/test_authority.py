"""Authorities: what they put into certificates, and what they refuse."""

from __future__ import annotations

import datetime as dt
from itertools import count
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from mlsssl import (
    Certificate,
    CertificateAuthority,
    CertificateRequest,
    InvalidInputError,
    KeyType,
    NotFoundError,
    RequestPolicy,
    ShortenedWarning,
    WrongPasswordError,
)

if TYPE_CHECKING:
    from pathlib import Path

NOON = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.timezone.utc)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def extension(certificate: Certificate, kind: type[x509.ExtensionType]) -> x509.Extension[x509.ExtensionType]:
    """An extension with its criticality."""
    return certificate.to_cryptography().extensions.get_extension_for_class(kind)


@pytest.fixture(scope="module")
def ca() -> CertificateAuthority:
    """A root on P-256, made at noon."""
    return CertificateAuthority.create("Unit Root", key="ec-p256", at=NOON)


@pytest.mark.parametrize("key", ["rsa-2048", "rsa-3072", "ec-p256", "ec-p384"])
def test_a_root_is_what_rfc_5280_wants(key: KeyType) -> None:
    """Critical basicConstraints without a path length, critical keyUsage, both key identifiers; ten years."""
    root = CertificateAuthority.create("Root", key=key, at=NOON).certificate
    assert root.key_type == key
    constraints = extension(root, x509.BasicConstraints)
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(ca=True, path_length=None))
    assert extension(root, x509.KeyUsage).critical
    assert root.key_usages == ("keyCertSign", "cRLSign")
    ski = x509.SubjectKeyIdentifier.from_public_key(root.to_cryptography().public_key())
    assert extension(root, x509.SubjectKeyIdentifier).value == ski
    pointer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)
    assert (extension(root, x509.AuthorityKeyIdentifier).critical, pointer) == (
        False,
        extension(root, x509.AuthorityKeyIdentifier).value,
    )
    assert root.not_before == NOON - HOUR
    assert 3650 * DAY < root.not_after - root.not_before < 3653 * DAY
    assert root.signature_hash == ("sha384" if key == "ec-p384" else "sha256")


@pytest.mark.parametrize("key", ["rsa-2048", "ec-p256", "ec-p384"])
def test_a_server_certificate_is_what_rfc_5280_wants(ca: CertificateAuthority, key: KeyType) -> None:
    """Each extension, its criticality, and the key usage that fits the key."""
    leaf = ca.issue("server-name.com", "10.0.0.5", key=key, at=NOON)
    constraints = extension(leaf, x509.BasicConstraints)
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(ca=False, path_length=None))
    assert extension(leaf, x509.KeyUsage).critical
    expected = ("digitalSignature", "keyEncipherment") if key.startswith("rsa") else ("digitalSignature",)
    assert leaf.key_usages == expected
    usage = extension(leaf, x509.ExtendedKeyUsage)
    assert (usage.critical, usage.value) == (False, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))
    assert not extension(leaf, x509.SubjectAlternativeName).critical
    assert leaf.names == ("server-name.com", "10.0.0.5")
    assert leaf.common_name == "server-name.com"
    issuer_ski = extension(ca.certificate, x509.SubjectKeyIdentifier).value
    aki = extension(leaf, x509.AuthorityKeyIdentifier).value
    assert isinstance(aki, x509.AuthorityKeyIdentifier)
    assert isinstance(issuer_ski, x509.SubjectKeyIdentifier)
    assert aki.key_identifier == issuer_ski.digest
    assert leaf.not_before == NOON - HOUR
    assert leaf.not_after - leaf.not_before == 199 * DAY - dt.timedelta(seconds=1)
    assert 0 < leaf.serial_number < 1 << 159
    leaf.to_cryptography().verify_directly_issued_by(ca.certificate.to_cryptography())


def test_an_empty_subject_makes_the_names_critical(ca: CertificateAuthority) -> None:
    """RFC 5280 section 4.2.1.6."""
    leaf = ca.issue("a.example", common_name="", key="ec-p256")
    assert leaf.subject == ""
    assert extension(leaf, x509.SubjectAlternativeName).critical


def test_a_first_name_too_long_for_a_common_name_leaves_the_next(ca: CertificateAuthority) -> None:
    """X.520 allows 64 characters; the SAN has no such limit."""
    long = "a" * 60 + ".example"
    assert ca.issue(long, "b.example").common_name == "b.example"
    assert ca.issue(long).common_name is None


def test_the_common_name_must_be_one_of_the_names(ca: CertificateAuthority) -> None:
    """Clients look at the names only, so a CN of its own would be a trap."""
    with pytest.raises(InvalidInputError, match="not among the names"):
        ca.issue("a.example", common_name="b.example")


def test_serials_differ_and_carry_random_bits(ca: CertificateAuthority) -> None:
    """Over two hundred of them every one of the top 64 bits is seen both ways."""
    serials = [ca.issue("a.example").serial_number for _ in range(200)]
    assert len(set(serials)) == 200
    for bit in range(95, 159):
        assert {serial >> bit & 1 for serial in serials} == {0, 1}


def test_issuing_is_repeatable_byte_for_byte() -> None:
    """Clock, serial and key given: EC by RFC 6979, RSA by PKCS#1."""
    ec_key = ec.derive_private_key(5, ec.SECP256R1())
    rsa_key = rsa.generate_private_key(65537, 2048)
    for key in (ec_key, rsa_key):
        twins = [
            CertificateAuthority.create("Root", key=key, at=NOON, serial=7).issue(
                "a.example", key=ec_key, at=NOON, serial=8
            )
            for _ in range(2)
        ]
        assert twins[0].to_der() == twins[1].to_der()
        assert twins[0].chain[0].to_der() == twins[1].chain[0].to_der()


@pytest.mark.parametrize("serial", [0, -1, 1 << 159, True])
def test_serials_out_of_range_are_refused(ca: CertificateAuthority, serial: int) -> None:
    """At most 20 octets with the sign bit clear, and positive."""
    with pytest.raises(InvalidInputError, match="serial"):
        ca.issue("a.example", serial=serial)


def test_a_certificate_never_outlives_its_issuer(ca: CertificateAuthority) -> None:
    """It ends with it, and a warning of its own kind says so; one that fits says nothing."""
    end = ca.certificate.not_after
    with pytest.warns(
        ShortenedWarning, match=r"ends on .*, when Unit Root itself ends, and not after 11 days.* ca\.renew\(\)"
    ):
        shortened = ca.issue("a.example", days=11, at=end - 10 * DAY + 2 * HOUR)
    assert shortened.not_after == end
    with pytest.raises(InvalidInputError, match="itself has ended on"):
        ca.issue("a.example", days=1, at=end + HOUR)
    fits = ca.issue("a.example", days=9, at=end - 10 * DAY + 2 * HOUR)
    assert fits.not_after <= end
    with pytest.raises(InvalidInputError, match="not valid before"):
        ca.issue("a.example", at=NOON - 2 * HOUR)


def test_a_fresh_authority_can_issue_at_once() -> None:
    """One hour back would be before the authority's own first second; the start moves up to it."""
    root = CertificateAuthority.create("Root", key="ec-p256", at=NOON)
    leaf = root.issue("a.example", at=NOON - dt.timedelta(minutes=30))
    assert leaf.not_before == root.certificate.not_before


def test_path_lengths_stay_consistent() -> None:
    """1 → 0 → no further; more than allowed is refused; a root without a limit gives 0 unless more is asked for."""
    ca = CertificateAuthority.create("One", key="ec-p256", path_length=1)
    below = ca.create_intermediate("Below")
    assert below.path_length == 0
    with pytest.raises(InvalidInputError, match="path length 0"):
        below.create_intermediate("Too deep")
    with pytest.raises(InvalidInputError, match="at most 0"):
        ca.create_intermediate("Too long", path_length=1)
    unlimited = CertificateAuthority.create("Free", key="ec-p256")
    assert unlimited.path_length is None
    assert unlimited.create_intermediate("Shallow").path_length == 0
    assert unlimited.create_intermediate("Deep", path_length=5).create_intermediate("Deeper").path_length == 4


def test_a_path_length_of_the_root_binds_a_loaded_intermediate(tmp_path: Path) -> None:
    """What stands above counts, also after saving and loading."""
    root = CertificateAuthority.create("Root", key="ec-p256", path_length=2)
    middle = root.create_intermediate("Middle", path_length=1)
    middle.save(tmp_path / "middle.pfx", password="x")
    loaded = CertificateAuthority.load(tmp_path / "middle.pfx", password="x")
    assert (loaded, loaded.path_length) == (middle, 1)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("corp.test", True),
        ("a.b.corp.test", True),
        ("*.corp.test", True),
        ("10.1.2.3", True),
        ("notcorp.test", False),
        ("secret.corp.test", False),
        ("x.secret.corp.test", False),
        ("11.0.0.1", False),
        ("fe80::1", False),
    ],
)
def test_name_constraints_are_kept(host: str, allowed: bool) -> None:
    """Permitted and excluded, names and networks; an intermediate below inherits them."""
    root = CertificateAuthority.create(
        "Constrained", key="ec-p256", permitted=["corp.test", "10.0.0.0/8"], excluded=["secret.corp.test"]
    )
    for authority in (root, root.create_intermediate("Below")):
        if allowed and host != "*.corp.test":
            assert authority.issue(host).names == (host,)
        else:
            with pytest.raises(InvalidInputError, match=r"permitted|excluded"):
                authority.issue(host)


def _foreign(constraints: x509.NameConstraints | None) -> CertificateAuthority:
    """An authority that another program made, with constraints in forms that we do not write."""
    key = ec.derive_private_key(5, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Foreign Root")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOON - DAY)
        .not_valid_after(NOON + 3000 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    return CertificateAuthority(Certificate(builder.sign(key, hashes.SHA256()), private_key=key))


@pytest.mark.parametrize(
    ("permitted", "excluded"),
    [
        ([x509.DNSName(".corp.test")], None),
        ([x509.DNSName("CORP.test")], None),
        (None, [x509.DNSName(".corp.test")]),
        (None, [x509.DNSName("corp.test.")]),
        ([x509.DNSName("corp.test."), x509.DNSName("")], None),
        ([x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Corp")]))], None),
        ([x509.UniformResourceIdentifier("corp.test")], None),
    ],
)
@pytest.mark.parametrize("host", ["corp.test", "a.corp.test", "*.corp.test", "other.test", "10.0.0.5"])
def test_an_authority_issues_what_its_own_check_accepts_and_nothing_else(
    permitted: list[x509.GeneralName] | None, excluded: list[x509.GeneralName] | None, host: str
) -> None:
    """By one engine, whatever another program wrote into its constraints; judged beside an unconstrained twin."""
    authority = _foreign(x509.NameConstraints(permitted, excluded))
    report = _foreign(None).issue(host, at=NOON).check(trust=[authority], at=NOON)
    accepted = not report.filter(code="name-constraints-violated")
    if accepted:
        assert authority.issue(host, at=NOON).check(host.replace("*", "x"), trust=[authority], at=NOON)
    else:
        with pytest.raises(InvalidInputError, match=r"name constraints"):
            authority.issue(host, at=NOON)


def test_a_constraint_with_a_leading_dot_is_for_the_names_below() -> None:
    """Neither the domain itself nor an authority for all of it; the twins below it are issued."""
    authority = _foreign(x509.NameConstraints([x509.DNSName(".corp.test")], None))
    for host in ("a.corp.test", "*.corp.test"):
        assert authority.issue(host, at=NOON).check("a.corp.test", trust=[authority], at=NOON)
    with pytest.raises(InvalidInputError, match=r"'corp\.test' is in no permitted subtree"):
        authority.issue("corp.test", at=NOON)
    assert (
        authority.create_intermediate("Below", permitted=["a.corp.test"], at=NOON).issue("a.corp.test", at=NOON).names
    )
    with pytest.raises(InvalidInputError, match="outside"):
        authority.create_intermediate("Beside", permitted=["corp.test"], at=NOON)


def test_an_address_below_dns_constraints_gets_no_common_name_that_clients_refuse() -> None:
    """Nobody asked for one; who does is told why not. The twins: a DNS name beside it, no DNS constraints.

    An IPv4 address is a DNS name to OpenSSL there, an IPv6 one to GnuTLS (certtool --verify of 3.7).
    """
    networks = ["10.0.0.0/8"]
    bound = CertificateAuthority.create("Bound", key="ec-p256", permitted=["corp.test", "2001:db8::/32", *networks])
    assert bound.issue("10.0.0.5").common_name is None
    assert bound.issue("2001:db8::5", "10.0.0.5").common_name is None
    assert bound.issue("10.0.0.5").check("10.0.0.5", trust=[bound])
    assert bound.issue("10.0.0.5", "a.corp.test").common_name == "10.0.0.5"
    with pytest.raises(InvalidInputError, match=r"the common name '10\.0\.0\.5' is in no permitted subtree"):
        bound.issue("10.0.0.5", common_name="10.0.0.5")
    free = CertificateAuthority.create("Free", key="ec-p256", permitted=networks)
    assert free.issue("10.0.0.5").common_name == "10.0.0.5"


@pytest.mark.parametrize("argument", ["permitted", "excluded"])
def test_a_leading_dot_is_not_dropped_in_silence(argument: str) -> None:
    """Without it the domain itself would be meant too; the twin says so."""
    with pytest.raises(InvalidInputError, match="no leading dot"):
        CertificateAuthority.create("Dotted", key="ec-p256", **{argument: [".corp.test"]})  # type: ignore[arg-type]
    assert CertificateAuthority.create("Plain", key="ec-p256", **{argument: ["corp.test"]}).certificate.is_ca  # type: ignore[arg-type]


def test_more_names_and_constraints_than_a_check_compares_are_not_issued() -> None:
    """The same budget on both sides; a tenth of them is fine."""
    domains = [x509.DNSName(f"d{number}.corp.test") for number in range(600)]
    authority = _foreign(x509.NameConstraints(domains, None))
    assert authority.issue(*(f"x.d{number}.corp.test" for number in range(60)), at=NOON).names
    with pytest.raises(InvalidInputError, match="more names and name constraints"):
        authority.issue(*(f"x.d{number}.corp.test" for number in range(600)), at=NOON)


def test_an_intermediate_cannot_widen_its_issuers_constraints() -> None:
    """Narrower is fine."""
    root = CertificateAuthority.create("Root", key="ec-p256", permitted=["corp.test"])
    assert root.create_intermediate("Narrow", permitted=["dev.corp.test"]).issue("a.dev.corp.test").names
    with pytest.raises(InvalidInputError, match="outside"):
        root.create_intermediate("Wide", permitted=["test"])


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", "-a.example", "a-.example", "*", "*.", "*.com", "a.*.example", "w*.example", "a b.example",
     "https://a.example", "a.example/x", "a.example:443", "a" * 64 + ".example", ".".join(["a" * 50] * 6),
     "1.2.3", "1.2.3.4.5", "fe80::1%eth0", "10.0.0.0/8", "ex\u200bample.com\u0000", "☃☃..example"],
)  # fmt: skip
def test_names_that_cannot_be_are_refused(ca: CertificateAuthority, name: str) -> None:
    """With our own error, whatever library says no."""
    with pytest.raises(InvalidInputError):
        ca.issue(name)


@given(st.text(max_size=70))
def test_any_text_is_a_name_or_our_error(text: str) -> None:
    """No other exception, and what is accepted is ASCII."""
    root = _ROOT
    try:
        leaf = root.issue(text, key=_KEY)
    except InvalidInputError:
        return
    assert all(name.isascii() for name in leaf.names)


_ROOT = CertificateAuthority.create("Root", key=ec.derive_private_key(3, ec.SECP256R1()))
_KEY = ec.derive_private_key(4, ec.SECP256R1())


def test_internationalised_names_become_a_labels(ca: CertificateAuthority) -> None:
    """By the IDNA library; case and full-width characters folded."""
    assert ca.issue("BÜCHER.example", "faß.de", "*.bücher.example").names == (
        "xn--bcher-kva.example", "xn--fa-hia.de", "*.xn--bcher-kva.example",
    )  # fmt: skip


def test_a_naive_moment_is_refused(ca: CertificateAuthority) -> None:
    """It would mean another time on another computer."""
    with pytest.raises(InvalidInputError, match="time zone"):
        ca.issue("a.example", at=dt.datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("days", [0, -1, 36_501, True, 1.5])
def test_days_are_a_whole_number_in_range(ca: CertificateAuthority, days: int) -> None:
    """Far outside, the calendar ends."""
    with pytest.raises(InvalidInputError, match="days"):
        ca.issue("a.example", days=days)


def test_issue_many_keeps_the_order_and_reports_progress(ca: CertificateAuthority) -> None:
    """One name or several; a callback after each."""
    seen: list[int] = []
    wanted = ["a.example", ["b.example", "10.0.0.1"], ("c.example",)]
    made = list(ca.issue_many(wanted, workers=2, progress=seen.append, key="ec-p256"))
    assert [one.names for one in made] == [("a.example",), ("b.example", "10.0.0.1"), ("c.example",)]
    assert seen == [1, 2, 3]
    assert len({one.serial_number for one in made}) == 3


def test_issue_many_yields_as_it_goes(ca: CertificateAuthority) -> None:
    """From an endless iterator, only a bounded number ahead of the caller."""
    taken = 0

    def endless() -> object:
        nonlocal taken
        for number in count():
            taken += 1
            yield f"h{number}.example"

    stream = ca.issue_many(endless(), workers=2, key="ec-p256")  # type: ignore[arg-type]  # typed as object above
    assert [next(stream).names[0] for _ in range(3)] == ["h0.example", "h1.example", "h2.example"]
    assert taken <= 3 + 4 * 2
    stream.close()  # type: ignore[attr-defined]  # it is a generator


def test_issue_many_stops_at_the_item_that_is_wrong(ca: CertificateAuthority) -> None:
    """Those before it have been yielded."""
    stream = ca.issue_many(["a.example", "not a name", "c.example"], key="ec-p256")
    assert next(stream).names == ("a.example",)
    with pytest.raises(InvalidInputError, match="not a name"):
        next(stream)


def test_what_is_no_authority_is_refused(ca: CertificateAuthority, tmp_path: Path) -> None:
    """A server certificate, a certificate without key, a missing file, a wrong password."""
    leaf = ca.issue("a.example")
    with pytest.raises(InvalidInputError, match="no authority"):
        CertificateAuthority(leaf)
    with pytest.raises(InvalidInputError, match="private key"):
        CertificateAuthority(ca.certificate)
    with pytest.raises(NotFoundError):
        CertificateAuthority.load(tmp_path / "nowhere.pfx")
    file = ca.save(tmp_path / "ca.pfx", password="right")
    with pytest.raises(WrongPasswordError):
        CertificateAuthority.load(file, password="wrong")
    assert CertificateAuthority.load(file, password="right") == ca


def test_an_authority_shows_no_secret_and_cannot_be_pickled(ca: CertificateAuthority) -> None:
    """Its key would go along in silence."""
    import copy
    import pickle

    assert "PRIVATE" not in repr(ca)
    with pytest.raises(InvalidInputError):
        pickle.dumps(ca)
    with pytest.raises(AttributeError):
        ca.crl_url = "x"
    assert copy.copy(ca.certificate) is not None


def test_a_request_is_signed_and_meets_its_key() -> None:
    """The organisation's path: the key never leaves the one who asks."""
    request = CertificateRequest.create("server-name.com", "10.0.0.5", key="ec-p256")
    answer = _ROOT.sign(request)
    assert answer.names == ("server-name.com", "10.0.0.5")
    assert not answer.has_private_key
    assert request.complete(answer).has_private_key
    assert answer.check("server-name.com", trust=[_ROOT], key_expected=False)
    with pytest.raises(InvalidInputError, match="wildcard"):
        _ROOT.sign(CertificateRequest.create("*.example.com", key="ec-p256"), policy=RequestPolicy(wildcards=False))


def test_a_revoked_certificate_is_found_out() -> None:
    """By the list of its authority; its sister is not on it."""
    bad, good = _ROOT.issue("bad.example", key=_KEY), _ROOT.issue("good.example", key=_KEY)
    crl = _ROOT.crl([(bad, dt.datetime.now(dt.timezone.utc), "keyCompromise")])
    assert not bad.check("bad.example", trust=[_ROOT], crls=[crl])
    assert good.check("good.example", trust=[_ROOT], crls=[crl])


def test_a_distribution_point_is_put_into_what_is_issued() -> None:
    """Of servers and intermediates, for the root itself has no one above it."""
    root = CertificateAuthority.create("Root", key=_KEY, crl_url="http://crl.corp.test/root.crl")
    for one in (root.issue("a.example", key=_KEY), root.create_intermediate("Below", key=_KEY).certificate):
        points = extension(one, x509.CRLDistributionPoints).value
        assert isinstance(points, x509.CRLDistributionPoints)
        assert points[0].full_name == [x509.UniformResourceIdentifier("http://crl.corp.test/root.crl")]


def test_a_chain_through_an_intermediate_can_have_every_revocation_pointer() -> None:
    """Each authority names its own list; without one for the intermediate, what it issues has none."""
    root = CertificateAuthority.create("Root", key=_KEY, crl_url="http://crl.corp.test/root.crl")
    middle = root.create_intermediate("Middle", key=_KEY, crl_url="http://crl.corp.test/middle.crl")
    silent = root.create_intermediate("Silent", key=_KEY)
    assert middle.issue("a.test", key=_KEY).check("a.test", trust=[root], profile="windows").codes == ()
    codes = silent.issue("a.test", key=_KEY).check("a.test", trust=[root], profile="windows").codes
    assert codes == ("revocation-pointer-missing",)


def test_the_next_list_keeps_what_the_previous_one_revoked(ca: CertificateAuthority) -> None:
    """With moments and reasons; an entry given anew replaces the old one; the number grows even from a larger one."""
    first, second, third = (ca.issue("a.example") for _ in range(3))
    then = dt.datetime(2026, 5, 1, tzinfo=dt.timezone.utc)
    old = ca.crl([(first, then, "keyCompromise"), (second, then, None)], at=then, number=2**70)
    new = ca.crl([(second, then, "superseded"), third], previous=old)
    entries = {entry.serial_number: entry for entry in new.entries}
    assert set(entries) == {first.serial_number, second.serial_number, third.serial_number}
    assert (entries[first.serial_number].at, entries[first.serial_number].reason) == (then, "keyCompromise")
    assert entries[second.serial_number].reason == "superseded"
    assert entries[third.serial_number].reason == "not given"
    assert new.number == 2**70 + 1
    assert new.revokes(third.serial_number)
    assert not old.revokes(third.serial_number)
    assert len(ca.crl([third])) == 1


def test_a_list_that_is_not_the_authoritys_full_one_is_not_gone_on_from(ca: CertificateAuthority) -> None:
    """Somebody else's, also under the same name; a list of a part; a number that does not grow."""
    stranger = CertificateAuthority.create(ca.name, key="ec-p256")
    for other in (stranger.crl(), CertificateAuthority.create("Other", key="ec-p256").crl()):
        with pytest.raises(InvalidInputError, match="another authority's"):
            ca.crl(previous=other)
    with pytest.raises(InvalidInputError, match="at least"):
        ca.crl(previous=ca.crl(number=7), number=7)
    with pytest.raises(InvalidInputError, match="previous"):
        ca.crl(previous=b"x")  # type: ignore[arg-type]


def test_an_authority_with_another_address_of_its_list() -> None:
    """Only what it issues from then on names it; the first one is as it was."""
    ca = CertificateAuthority.create("Addresses", key=_KEY)
    named = ca.with_crl_url("http://crl.corp.test/ca.crl")
    points = named.issue("a.example").to_cryptography().extensions.get_extension_for_class(x509.CRLDistributionPoints)
    assert points.value[0].full_name == [x509.UniformResourceIdentifier("http://crl.corp.test/ca.crl")]
    assert named.certificate == ca.certificate
    assert ca.crl_url is None
    assert named.with_crl_url(None).crl_url is None


@pytest.mark.parametrize("url", ["", "nonsense", "ca.crl", "//crl.test/a", "http:", "http://a b/ca.crl", "http://ä", 5])
def test_an_address_of_a_list_is_absolute(url: str) -> None:
    """RFC 5280 section 4.2.1.6: a name as it stands on a command line after a slip would be in each certificate."""
    ca = CertificateAuthority.create("Addresses", key=_KEY)
    with pytest.raises(InvalidInputError, match="CRL's address"):
        ca.with_crl_url(url)


@pytest.mark.parametrize(
    "url", ["http://ca.test/a.crl", "ldap:///CN=a,DC=test?certificateRevocationList", "file:////s/a.crl"]
)
def test_every_scheme_is_taken_for_the_address_of_a_list(url: str) -> None:
    """AD Certificate Services writes all three."""
    assert CertificateAuthority.create("Addresses", key=_KEY).with_crl_url(url).crl_url == url


def test_a_list_revokes_what_its_authority_issued(ca: CertificateAuthority) -> None:
    """The serial number of another authority's certificate is somebody else's here, and that one would stay good."""
    other = CertificateAuthority.create("Other", key=_KEY)
    for revoked in ([other.issue("a.example", key=_KEY)], [(other.certificate, NOON, "keyCompromise")]):
        with pytest.raises(InvalidInputError, match="not issued by Unit Root, whose list says nothing about it"):
            ca.crl(revoked)
    successor = ca.renew().authority
    assert successor.crl([ca.issue("a.example", key=_KEY)]), "by its name, for both keys are the authority's"


def test_a_moment_of_revocation_beyond_the_calendar_is_refused(ca: CertificateAuthority) -> None:
    last = dt.datetime(9999, 12, 31, 23, 59, tzinfo=dt.timezone(-5 * HOUR))
    with pytest.raises(InvalidInputError, match="the moment of a revocation lies outside the years 1 to 9999 of UTC"):
        ca.crl([(5, last, None)])


@pytest.mark.parametrize("tree", ["fe80::%eth0/64", "::1%1/128", "fe80::1%3"])
@pytest.mark.parametrize("argument", ["permitted", "excluded"])
def test_a_scope_of_a_constraint_is_not_dropped_in_silence(argument: str, tree: str) -> None:
    """In a certificate there is no place for it; without it the network would be another one."""
    with pytest.raises(InvalidInputError, match="a certificate cannot carry an IPv6 scope id"):
        CertificateAuthority.create("Scoped", key=_KEY, **{argument: [tree]})  # type: ignore[arg-type]


def test_an_authority_whose_kind_of_key_is_not_made_here_issues_all_the_same() -> None:
    """Nobody asked for a key of its type, so none is refused."""
    large = CertificateAuthority.create("Large", key=ec.generate_private_key(ec.SECP521R1()))
    assert large.key_type == "ec-p521"
    leaf = large.issue("a.example")
    assert (leaf.key_type, large.create_intermediate("Below").key_type) == ("ec-p384", "rsa-3072")
    assert leaf.check("a.example", trust=[large])
    assert large.issue_client("Alice").key_type == "ec-p384"


def _for_purposes(*usages: x509.ObjectIdentifier, above: CertificateAuthority | None = None) -> CertificateAuthority:
    """An authority whose certificate is for these purposes alone: a root, or one below `above`."""
    made = CertificateAuthority.create("Purposes", key=_KEY) if above is None else above.create_intermediate("Purposes")
    plain, key = made.certificate.to_cryptography(), made._certificate.private_key
    assert key is not None
    builder = x509.CertificateBuilder(
        plain.issuer,
        plain.subject,
        plain.public_key(),
        plain.serial_number,
        plain.not_valid_before_utc,
        plain.not_valid_after_utc,
        [*plain.extensions, x509.Extension(x509.ExtendedKeyUsage.oid, False, x509.ExtendedKeyUsage(usages))],
    )
    signer = key if above is None else above._certificate.private_key
    assert signer is not None
    chain = () if above is None else (above.certificate,)
    return CertificateAuthority(Certificate(builder.sign(signer, hashes.SHA256()), private_key=key, chain=chain))


def test_an_authority_issues_for_its_purposes_alone() -> None:
    """Clients hold what it issues to its extendedKeyUsage, and so does `check`: issuer-eku. So for those above it."""
    root = CertificateAuthority.create("Top", key="ec-p256")
    for clients in (
        _for_purposes(ExtendedKeyUsageOID.CLIENT_AUTH),
        _for_purposes(ExtendedKeyUsageOID.CLIENT_AUTH, above=root),
    ):
        assert clients.issue_client("Alice").check(purpose="client", trust=[root, clients])
        for issue in (clients.issue, lambda host, ca=clients: ca.sign(CertificateRequest.create(host, key="ec-p256"))):
            with pytest.raises(InvalidInputError, match="Purposes may not issue server certificates"):
                issue("a.example")
    servers = _for_purposes(ExtendedKeyUsageOID.SERVER_AUTH, above=root)
    assert servers.issue("a.example").check("a.example", trust=[root])
    with pytest.raises(InvalidInputError, match=r"may not issue client certificates: .* lacks clientAuth"):
        servers.issue_client("Alice")
    upper = _for_purposes(ExtendedKeyUsageOID.CLIENT_AUTH)
    with pytest.raises(InvalidInputError, match="Below may not issue server certificates"):
        upper.create_intermediate("Below").issue("a.example")
    anything = _for_purposes(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    assert "issuer-eku-any" in anything.issue("a.example").check("a.example", trust=[anything]).codes, "some take it"


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (rsa.generate_private_key(65537, 1024), "rsa-1024"),
        (ec.derive_private_key(5, ec.SECP256K1()), "ec-secp256k1"),
        (ec.derive_private_key(5, ec.SECP224R1()), "ec-secp224r1"),
    ],
)
def test_no_certificate_is_made_for_a_key_that_every_check_refuses(
    ca: CertificateAuthority, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, named: str
) -> None:
    """As of a request: `check` finds rsa-too-small and ec-curve. The twin is a curve that is not made, but taken."""
    for make in (
        lambda: ca.issue("a.example", key=key),
        lambda: ca.issue_client("Alice", key=key),
        lambda: ca.create_intermediate("Below", key=key),
        lambda: ca.renew(key=key),
        lambda: CertificateAuthority.create("Root", key=key),
        lambda: CertificateRequest.create("a.example", key=key),
    ):
        with pytest.raises(InvalidInputError, match=f"the key is {named}, which clients refuse"):
            make()
    large = ca.issue("a.example", key=ec.derive_private_key(5, ec.SECP521R1()))
    assert large.check("a.example", trust=[ca])


def test_a_clients_common_name_meets_dns_constraints_where_it_counts_as_a_host() -> None:
    """Without a name beside it OpenSSL holds it to them, and so does `check`. An authority's is nobody's host."""
    bound = CertificateAuthority.create("Bound", key=_KEY, permitted=["corp.test"])
    with pytest.raises(InvalidInputError, match=r"the common name 'other\.test' is in no permitted subtree"):
        bound.issue_client("other.test")
    for name in ("a.corp.test", "Alice Example"):
        assert bound.issue_client(name).check(purpose="client", trust=[bound])
    assert bound.issue_client("other.test", hosts=["a.corp.test"]).check(purpose="client", trust=[bound])
    below = bound.create_intermediate("other.test")
    assert below.issue("a.corp.test").check("a.corp.test", trust=[bound])
