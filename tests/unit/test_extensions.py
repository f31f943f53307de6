"""Extensions that clients refuse for being critical, or for what stands in them, in every place of the path."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, SubjectInformationAccessOID

from chains import Extension, Made, extension, intermediate, key_id, leaf, oid, root, spki_of, tlv
from faults import Case
from mlsssl.values import PROFILE_NAMES

MAPPINGS, CONSTRAINTS = "2.5.29.33", "2.5.29.30"
A, B, ANY = "1.3.6.1.4.1.99999.1", "1.3.6.1.4.1.99999.2", "2.5.29.32.0"
HERE = x509.UniformResourceIdentifier("http://ca.example.com/")
POINT = x509.DistributionPoint([HERE], None, None, None)


def chain(place: str, change: Extension) -> Case:
    """A faultless chain in which one certificate has this extension."""
    above = root()
    if place == "root":
        above = above.with_extension(change)
    middle = intermediate(above)
    if place == "intermediate":
        middle = middle.with_extension(change)
    made = leaf(middle)
    if place == "leaf":
        made = made.with_extension(change)
    return Case(leaf=made, pool=(middle,), trust=(above,))


def codes(case: Case, profile: str) -> set[str]:
    """Those of the errors."""
    return {f.code for f in Case(leaf=case.leaf, pool=case.pool, trust=case.trust, profile=profile).check().errors}


def _key_id_of(place: str) -> Made:
    above = root()
    return {"root": above, "intermediate": intermediate(above), "leaf": leaf(intermediate(above))}[place]


def _never_critical(place: str) -> dict[str, x509.ExtensionType]:
    made = _key_id_of(place)
    signer = key_id(spki_of(made.signer))
    return {
        "issuerAltName": x509.IssuerAlternativeName([HERE]),
        "TLS feature": x509.TLSFeature([x509.TLSFeatureType.status_request]),
        "authorityInfoAccess": x509.AuthorityInformationAccess(
            [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, HERE)]
        ),
        "subjectInfoAccess": x509.SubjectInformationAccess(
            [x509.AccessDescription(SubjectInformationAccessOID.CA_REPOSITORY, HERE)]
        ),
        "freshestCRL": x509.FreshestCRL([POINT]),
        "authorityKeyIdentifier": x509.AuthorityKeyIdentifier(signer, None, None),
        "subjectKeyIdentifier": x509.SubjectKeyIdentifier(key_id(spki_of(made.key))),
    }


@pytest.mark.parametrize("profile", PROFILE_NAMES)
@pytest.mark.parametrize("place", ["leaf", "intermediate", "root"])
@pytest.mark.parametrize("name", list(_never_critical("leaf")))
def test_what_clients_need_not_process_may_not_be_critical(name: str, place: str, profile: str) -> None:
    """An error in every profile, wherever it stands; the twin is not critical."""
    value = _never_critical(place)[name]
    assert codes(chain(place, extension(value)), profile) == set()
    assert codes(chain(place, extension(value, critical=True)), profile) == {"extension-critical"}


def _constraints(tag: int, domain: str, *distances: bytes) -> Extension:
    subtree = tlv(0x30, tlv(0x82, domain.encode()), *distances)
    return Extension(CONSTRAINTS, True, tlv(0x30, tlv(tag, subtree)))


MINIMUM, MAXIMUM = tlv(0x80, b"\x01"), tlv(0x81, b"\x02")


@pytest.mark.parametrize("profile", PROFILE_NAMES)
@pytest.mark.parametrize("place", ["intermediate", "root"])
@pytest.mark.parametrize(("tag", "domain"), [(0xA0, "example.com"), (0xA1, "example.org")])
def test_constraints_with_a_distance_are_refused(tag: int, domain: str, place: str, profile: str) -> None:
    """RFC 5280 forbids minimum and maximum, and cryptography drops them in silence; the twin has neither."""
    assert codes(chain(place, _constraints(tag, domain)), profile) == set()
    for distances in ((MINIMUM,), (MAXIMUM,), (MINIMUM, MAXIMUM)):
        assert codes(chain(place, _constraints(tag, domain, *distances)), profile) == {"name-constraints-distance"}


def test_a_distance_in_the_last_of_many_subtrees_is_found() -> None:
    """Each of them is looked at, in both lists."""
    plain = b"".join(tlv(0x30, tlv(0x82, f"n{number}.example.org".encode())) for number in range(6000))
    last = tlv(0x30, tlv(0x82, b"last.example.org"), MAXIMUM)
    permitted = tlv(0xA0, tlv(0x30, tlv(0x82, b"example.com")))
    for tail, expected in ((b"", set()), (last, {"name-constraints-distance"})):
        change = Extension(CONSTRAINTS, True, tlv(0x30, permitted, tlv(0xA1, plain, tail)))
        assert codes(chain("root", change), "private") == expected


def _mappings(*pairs: tuple[str, str]) -> Extension:
    return Extension(MAPPINGS, True, tlv(0x30, *(tlv(0x30, oid(left), oid(right)) for left, right in pairs)))


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_mappings_from_or_to_any_policy_are_refused(profile: str) -> None:
    """RFC 5280 section 6.1.4 (a), also when nobody demands a policy; the twin maps one policy to another."""
    assert codes(chain("intermediate", _mappings((A, B))), profile) == set()
    for pairs in ([(A, ANY)], [(ANY, B)], [(A, B)] * 300 + [(B, ANY)]):
        assert codes(chain("intermediate", _mappings(*pairs)), profile) == {"policy-mappings-any"}


@pytest.mark.parametrize(
    "value",
    [b"", b"\x05\x00", tlv(0x30), tlv(0x30, tlv(0x30, oid(A))), tlv(0x30, tlv(0x30, oid(A), b"\x05\x00")),
     tlv(0x30, oid(A), oid(B)), tlv(0x30, tlv(0x30, oid(A), oid(B), oid(A))), tlv(0x30, tlv(0x30, oid(A), oid(B)))[:-1],
     tlv(0x30, tlv(0x30, oid(A), oid(B))) + b"\x05\x00"],
    ids=bytes.hex,
)  # fmt: skip
def test_mappings_that_cannot_be_read_are_refused(value: bytes) -> None:
    """They once mapped nothing, in silence."""
    assert codes(chain("intermediate", Extension(MAPPINGS, True, value)), "private") == {"extension-malformed"}


def test_every_mapping_counts_however_many_there_are() -> None:
    """The three-hundredth is as good as the first."""
    fillers = [(f"{A}.{number}", f"{B}.{number}") for number in range(300)]
    above = root()
    demand = extension(x509.PolicyConstraints(0, None), critical=True)
    for mapped, expected in (
        ([*fillers, (A, B)], set()),
        ([(A, B), (B, A)], set()),  # two policies that change places
        (fillers, {"policy-required"}),
    ):
        middle = intermediate(above)
        for part in (_policies(A, B) if (B, A) in mapped else _policies(A), demand, _mappings(*mapped)):
            middle = middle.with_extension(part)
        made = leaf(middle).with_extension(_policies(B))
        assert codes(Case(leaf=made, pool=(middle,), trust=(above,)), "private") == expected


def _policies(*policies: str) -> Extension:
    return extension(
        x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in policies])
    )
