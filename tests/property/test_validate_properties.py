"""What holds for every certificate: a report and nothing else, no verdict milder than its faults, bounded work."""

from __future__ import annotations

import functools
import ipaddress
import time
import warnings
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chains import NOW, Made, ec_key, intermediate, leaf, root
from faults import CASES, HOST, LEAF, MIDDLE, ROOT
from mlsssl._formats.hosts import dns_problem, matches_any, parse_host
from mlsssl._validator.leaf import _common_name_matches
from mlsssl._validator.name_constraints import Budget, find_forbidden, names_by_kind
from mlsssl._validator.report import Report
from mlsssl._validator.validate import validate
from mlsssl._validator.weak_keys import find_close_primes, has_roca_fingerprint
from mlsssl.errors import InvalidInputError, MalformedDataError
from mlsssl.values import PROFILE_NAMES
from repetitions import examples

TRUST = [ROOT.certificate()]
POOL = [MIDDLE.certificate()]


@functools.cache
def _seeds() -> list[bytes]:
    """The certificates of all examples: mutations start from every kind of oddity."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [make() for make in CASES.values()]
        return sorted({made.der() for case in cases for made in (case.leaf, *case.pool)})


_LABELS = st.text("aZ09-_*.\u3002\uff0e\uff21\uff11\u00fcx[]: ", min_size=1, max_size=12)
_COMMON_NAMES = st.one_of(
    st.tuples(_LABELS, st.sampled_from(["", ".test", ".TEST.", ".b\u00fccher.test", ".1", "\u3002test"])).map("".join),
    st.sampled_from(["0x7f.1", "127.0.0.1.", "[::1]", "1", "*.test", "*.a.test", "a.test..", "\uff11.2.3.4"]),
)


@settings(max_examples=examples(200), deadline=None)
@given(common=_COMMON_NAMES, asked=st.data())
def test_no_spelling_of_a_common_name_matches_a_host_that_constraints_do_not_see(
    common: str, asked: st.DataObject
) -> None:
    """Whatever host a common name matches, an exclusion of that host stops it, and a permission of another one does."""
    text = asked.draw(st.one_of(st.just(common), st.just(common.replace("*", "w")), _COMMON_NAMES), label="host")
    try:
        host = parse_host(text)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
    except (InvalidInputError, ValueError):
        return
    if "*" in str(host) or not _common_name_matches([common], host):
        return  # no client asks for a name with an asterisk, and no constraint can hold one
    names = names_by_kind((), subject, common_names=[common])
    tree = x509.DNSName(host) if isinstance(host, str) else x509.IPAddress(ipaddress.ip_network(host))
    other = x509.DNSName("other.invalid"), x509.IPAddress(ipaddress.ip_network("192.0.2.77/32"))
    for constraints in (x509.NameConstraints(None, [tree]), x509.NameConstraints(other, None)):
        forbidden = find_forbidden(names, constraints, Budget())
        assert forbidden is not None
        assert forbidden[0] == "name-constraints-violated"


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), profile=st.sampled_from(PROFILE_NAMES))
def test_any_octets_give_a_report_or_malformed_data(data: st.DataObject, profile: str) -> None:
    """Mutated certificates in every role; whatever cryptography still loads must not raise anything else here."""
    der = bytearray(data.draw(st.sampled_from(_seeds())))
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            odd = x509.load_der_x509_certificate(bytes(der))
        except Exception:  # noqa: BLE001 - what cannot be loaded is the loader's matter
            return
        good = LEAF.certificate()
        for certificate, trust, pool in (
            (odd, TRUST, POOL),
            (good, TRUST, [odd]),
            (good, [odd], POOL),
            (odd, [odd], []),
        ):
            try:
                report = validate(certificate, host=HOST, at=NOW, trust=trust, intermediates=pool, profile=profile)
            except MalformedDataError:
                continue
            assert isinstance(report, Report)
            assert report.to_text()
            assert report.to_json()
            assert "<script" not in report._repr_html_()


# Faults of the leaf's fields that do not hide one another.
_LEAF_FAULTS = {
    "expired": lambda made: replace(made, not_after=NOW - timedelta(seconds=1)),
    "serial-not-positive": lambda made: replace(made, serial=0),
    "eku-missing": lambda made: made.without(x509.ExtendedKeyUsage),
    "aki-missing": lambda made: made.without(x509.AuthorityKeyIdentifier),
    "key-usage-missing": lambda made: made.without(x509.KeyUsage),
    "leaf-is-ca": lambda made: made.with_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True),
    "signature-algorithm-mismatch": lambda made: replace(
        made, outer_algorithm=bytes.fromhex("300a06082a8648ce3d040303")
    ),
    "leaf-ski-missing": lambda made: made.without(x509.SubjectKeyIdentifier),
}


@settings(max_examples=examples(60), deadline=None)
@given(codes=st.sets(st.sampled_from(sorted(_LEAF_FAULTS)), min_size=1))
def test_faults_add_up(codes: set[str]) -> None:
    """Any set of faults gives every one of their findings: none hides another."""
    made: Made = LEAF
    for code in sorted(codes):
        made = _LEAF_FAULTS[code](made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        certificate = made.certificate()
    report = validate(certificate, host=HOST, at=NOW, trust=TRUST, intermediates=POOL, expect_key=False)
    assert codes <= set(report.codes)


_LABEL = st.text("abcxyz019-", min_size=1, max_size=8).filter(lambda s: s[0] != "-" and s[-1] != "-" and s[2:4] != "--")
_NAME = st.lists(_LABEL, min_size=2, max_size=4).map(".".join).filter(lambda name: not name.split(".")[-1].isdigit())


@given(name=_NAME, label=_LABEL)
def test_a_wildcard_stands_for_exactly_one_label(name: str, label: str) -> None:
    """`*.x` matches one label before x, neither x itself nor two labels, and case does not matter."""
    assert matches_any(parse_host(f"{label}.{name}"), [f"*.{name.upper()}"], [])
    assert not matches_any(parse_host(name), [f"*.{name}"], [])
    assert not matches_any(parse_host(f"a.{label}.{name}"), [f"*.{name}"], [])
    assert matches_any(parse_host(name), [name], [])


@given(st.text(max_size=40))
def test_any_text_is_a_host_or_invalid_input(text: str) -> None:
    """Nothing else comes out of parsing what a user typed, and presented names of any form have a verdict."""
    assert dns_problem(text) is None or isinstance(dns_problem(text), str)
    try:
        host = parse_host(text)
    except InvalidInputError:
        return
    assert matches_any(host, [text], []) in (True, False)


@settings(max_examples=examples(40), deadline=None)
@given(
    invalid=st.sets(st.integers(0, 11)),
    edges=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3)), min_size=1, max_size=12),
    fault=st.sampled_from(["expired", "constraint", "usage", "no authority"]),
)
def test_paths_are_found_wherever_cryptography_finds_them(
    invalid: set[int], edges: list[tuple[int, int]], fault: str
) -> None:
    """Random graphs of cross-signed authorities, some edges faulty: the same verdict as cryptography's verifier."""
    authorities = [root(f"Node {number}", 60 + number) for number in range(4)]
    pool = []
    for position, (above, below) in enumerate(edges):
        issuer = ROOT if above < 0 else authorities[above]
        made = intermediate(issuer, f"Node {below}", 60 + below, path_length=None)
        pool.append((_spoil(made, fault) if position in invalid else made).certificate())
    end = leaf(authorities[0]).certificate()
    report = validate(end, host=HOST, at=NOW, trust=TRUST, intermediates=pool, expect_key=False)
    if not _cryptography_accepts(end, pool):
        # Its verifier gives up on some large graphs; shown only the path that was found here, it has to agree.
        found = [x509.load_der_x509_certificate(step.der) for step in report.path[1:-1]]
        assert not report.ok or _cryptography_accepts(end, found)
    else:
        assert report.ok, report.to_text()


def _cryptography_accepts(end: x509.Certificate, pool: list[x509.Certificate]) -> bool:
    builder = PolicyBuilder().store(Store(TRUST)).time(NOW)
    try:
        builder.build_server_verifier(x509.DNSName(HOST)).verify(end, pool)
    except VerificationError:
        return False
    return True


def _spoil(made: Made, fault: str) -> Made:
    if fault == "expired":
        return replace(made, not_after=NOW - timedelta(days=1))
    if fault == "constraint":
        return made.with_extension(x509.NameConstraints([x509.DNSName("example.org")], None), critical=True)
    if fault == "usage":
        return made.with_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.EMAIL_PROTECTION]))
    return made.with_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)


@given(st.integers(2**100, 2**512), st.integers(0, 2**40))
def test_fermat_finds_close_factors_and_nothing_else(base: int, gap: int) -> None:
    """Factors near each other are found and multiply to the modulus; what is found is always right."""
    first = base | 1
    second = first + 2 * (gap % 1000)
    if second != first:
        assert find_close_primes(first * second) == (first, second)
    factors = find_close_primes(base)
    assert factors is None or factors[0] * factors[1] == base


@given(st.integers(0, 2**64))
def test_the_roca_fingerprint_holds_for_powers_of_its_generator(exponent: int) -> None:
    """Powers of 65537 have it; a multiple of three does not."""
    assert has_roca_fingerprint(pow(65537, exponent % 5000))
    assert not has_roca_fingerprint(3 * exponent + 3)


HOSTILE = 40


@pytest.mark.parametrize("with_way_out", [False, True])
def test_hundreds_of_cross_signed_issuers_end_in_bounded_time(with_way_out: bool) -> None:
    """Every authority has signed every other one: the search stops by counting, and still finds a short way."""
    authorities = [root(f"Hostile {number}", 200 + number) for number in range(HOSTILE)]
    pool = [
        intermediate(above, f"Hostile {below}", 200 + below, path_length=None).certificate()
        for position, above in enumerate(authorities)
        for below in range(HOSTILE)
        if below != position
    ]
    if with_way_out:
        pool.append(intermediate(ROOT, f"Hostile {HOSTILE - 1}", 199 + HOSTILE, path_length=None).certificate())
    start = time.perf_counter()
    report = validate(
        leaf(authorities[0]).certificate(), host=HOST, at=NOW, trust=TRUST, intermediates=pool, expect_key=False
    )
    assert time.perf_counter() - start < 5
    assert len(pool) >= 1500
    assert report.ok is with_way_out
    if not with_way_out:
        assert "work-limit-exceeded" in report.codes
        assert len(report.to_text()) < 100_000


def test_one_name_and_hundreds_of_keys_end_in_bounded_time() -> None:
    """Issuers that only a signature can tell apart cost one signature each, and those are counted."""
    pool = [
        replace(intermediate(ROOT, "Same", 300 + n), issuer=leaf(ROOT).subject, signer=ec_key(301 + n))
        .without(x509.AuthorityKeyIdentifier, x509.SubjectKeyIdentifier)
        .certificate()
        for n in range(200)
    ]
    made = replace(leaf(ROOT), issuer=intermediate(ROOT, "Same").subject, signer=ec_key(99)).without(
        x509.AuthorityKeyIdentifier
    )
    start = time.perf_counter()
    report = validate(made.certificate(), at=NOW, trust=TRUST, intermediates=pool, expect_key=False)
    assert time.perf_counter() - start < 5
    assert "work-limit-exceeded" in report.codes
