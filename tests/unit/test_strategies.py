"""The strategies: what they draw is legal, shrinks to the simplest, and is refused when asked for nonsense."""

from __future__ import annotations

import datetime as dt
import gc
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from mlsssl import strategies
from mlsssl._formats.binding_keys import BindingFamily, BindingOptions, HostnamePort, IpPort
from mlsssl._formats.hosts import parse_name
from mlsssl._strategies import small_keys
from mlsssl._strategies.chain import _signed_anew_with_sha1
from mlsssl._strategies.near_misses import NEAR_MISSES
from mlsssl.authority import CertificateAuthority
from mlsssl.certificate import Certificate
from mlsssl.netsh import parse_command
from mlsssl.reservation import UrlReservation
from mlsssl.values import Thumbprint
from repetitions import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from mlsssl.binding import Binding
    from mlsssl.machine import EmbeddedMachine
    from mlsssl.strategies import Chain

T = TypeVar("T")
some = settings(max_examples=examples(50), deadline=None)


def minimal(strategy: SearchStrategy[T], condition: Callable[[T], bool] = lambda _: True) -> T:
    """What the strategy shrinks to."""
    phases = (Phase.generate, Phase.shrink)  # "explain" would hand us what it tried last
    # Most are found among the first hundred; Hypothesis 6.100 draws a long text so rarely that 1,000 were not enough.
    options = settings(max_examples=20_000, deadline=None, database=None, phases=phases)
    return find(strategy, condition, settings=options)


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_every_rsa_key_of_the_pool_is_one(bits: int) -> None:
    """Each signs what its public half verifies, has the size it is called by, and differs from the others."""
    moduli = set()
    for number in range(small_keys.rsa_keys(bits)):
        key = small_keys.rsa_key(bits, number)
        signature = key.sign(b"text", padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, b"text", padding.PKCS1v15(), hashes.SHA256())
        assert key.key_size == bits
        moduli.add(key.public_key().public_numbers().n)
    assert len(moduli) == small_keys.rsa_keys(bits) >= 3


def test_the_primes_of_the_pool_are_primes() -> None:
    """OpenSSL's own check of the keys, which drawing leaves out, accepts them all."""
    for bits in (1024, 2048):
        for number in range(small_keys.rsa_keys(bits)):
            numbers = small_keys.rsa_key(bits, number).private_numbers()
            assert numbers.private_key(unsafe_skip_rsa_key_validation=False).key_size == bits
            assert pow(3, numbers.p - 1, numbers.p) == pow(3, numbers.q - 1, numbers.q) == 1


def test_keys_shrink_to_the_first_p256_key() -> None:
    """The simplest key is on P-256 and has the private value 1."""
    key = minimal(strategies.keys())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert (key.curve.name, key.private_numbers().private_value) == ("secp256r1", 1)


def test_keys_of_a_type_are_of_that_type() -> None:
    """The argument narrows; the failing twin draws something else without it."""
    key = minimal(strategies.keys(types=["rsa-3072"]))
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072
    assert minimal(strategies.keys(), lambda k: isinstance(k, rsa.RSAPrivateKey)).key_size == 2048


# -- names ------------------------------------------------------------------------------------------------------------


@given(name=strategies.names(kinds=["dns", "wildcard", "idn", "ipv4", "ipv6", "underscore"]))
def test_every_name_can_be_issued_for(name: str) -> None:
    """What is drawn, `issue` takes."""
    assert parse_name(name).value


@pytest.mark.parametrize(
    ("kind", "simplest"),
    [
        ("dns", "0.test"),
        ("wildcard", "*.0.test"),
        ("idn", "ß.test"),
        ("ipv4", "0.0.0.0"),
        ("ipv6", "::"),
        ("underscore", "0_0.test"),
    ],
)
def test_names_shrink(kind: Any, simplest: str) -> None:
    """Every kind has its simplest name; that of all kinds is a host's."""
    assert minimal(strategies.names(kinds=[kind])) == simplest
    assert minimal(strategies.names()) == "0.test"


def test_names_reach_their_limits() -> None:
    """Long labels, several labels and every kind do come up."""
    assert len(minimal(strategies.names(kinds=["dns"]), lambda name: len(name) > 60)) > 60
    assert minimal(strategies.names(kinds=["dns"]), lambda name: name.count(".") == 3) == "0.0.0.test"
    # Of all addresses, one in 16 million is such a one: they come from the ranges that mean something.
    assert minimal(strategies.names(kinds=["ipv4"]), lambda name: name.startswith("192.0.2.")) == "192.0.2.0"
    assert minimal(strategies.names(kinds=["ipv6"]), lambda name: name.startswith("2001:db8:")) == "2001:db8::"


# -- certificates -----------------------------------------------------------------------------------------------------


@some
@given(certificate=strategies.certificates())
def test_certificates_come_with_key_and_chain(certificate: Certificate) -> None:
    """They are what `issue` returns, at the fixed moment."""
    assert certificate.has_private_key
    assert certificate.chain[0].is_ca
    assert certificate.not_before <= strategies.CLOCK <= certificate.not_after
    assert 1 <= len(certificate.hosts) <= 3


def test_certificates_shrink() -> None:
    """One name, one day, serial number 1, the first key, the plainest authority."""
    certificate = minimal(strategies.certificates())
    assert certificate.hosts == ("0.test",)
    assert certificate.serial_number == 1
    assert certificate.key_type == "ec-p256"
    assert certificate.chain[0].common_name == "Test CA"
    assert certificate.not_after - certificate.not_before < dt.timedelta(days=1)


def test_certificates_shrink_to_what_matters() -> None:
    """With a condition, everything else still becomes simple."""
    certificate = minimal(strategies.certificates(), lambda one: any(host.startswith("*.") for host in one.hosts))
    assert certificate.hosts == ("*.0.test",)


def test_the_same_choices_give_the_same_bytes() -> None:
    """Nothing random is left: keys come from numbers and signatures are deterministic."""
    first, second = (minimal(strategies.certificates()) for _ in range(2))
    assert first.to_der() == second.to_der()


@some
@given(data=st.data())
def test_arguments_of_certificates(data: st.DataObject) -> None:
    """Names, keys, authorities, days and the moment are the caller's to choose."""
    at = dt.datetime(2031, 5, 6, tzinfo=dt.timezone.utc)
    authority = CertificateAuthority.create("Mine", key=small_keys.key("ec-p256", 0), at=at)
    drawn = strategies.certificates(
        names=st.just("www.example.com"),
        keys=strategies.keys(types=["ec-p384"]),
        authorities=st.just(authority),
        min_days=7,
        max_days=7,
        at=at,
    )
    certificate = data.draw(drawn)
    assert certificate.hosts == ("www.example.com",)
    assert certificate.key_type == "ec-p384"
    assert certificate.chain == (authority.certificate,)
    assert certificate.not_after - certificate.not_before == dt.timedelta(days=7, seconds=-1)


@some
@given(authority=strategies.authorities(max_intermediates=2))
def test_authorities_can_issue(authority: CertificateAuthority) -> None:
    """Whatever its name, key and depth, a drawn authority issues."""
    certificate = authority.issue("www.example.com", key=small_keys.key("ec-p256", 0), at=strategies.CLOCK)
    assert certificate.chain[0] == authority.certificate


def test_authorities_shrink() -> None:
    """To a root; with intermediates asked for, to a root still."""
    authority = minimal(strategies.authorities(max_intermediates=3))
    assert (authority.name, authority.key_type, authority.certificate.is_self_issued) == ("Test CA", "ec-p256", True)


# -- chains -----------------------------------------------------------------------------------------------------------


@some
@given(chain=strategies.chains())
def test_chains_are_right(chain: Chain) -> None:
    """The validator finds neither an error nor a warning."""
    report = chain.check()
    assert report.ok, report.to_text()
    assert report.warnings == ()
    assert chain.fault is None


@pytest.mark.parametrize("near_miss", strategies.NEAR_MISSES)
def test_a_near_miss_is_found_and_nothing_else(near_miss: str) -> None:
    """Each causes its code, what is said to follow from it, and nothing else; without it all is well."""
    expected = NEAR_MISSES[near_miss]

    @settings(max_examples=examples(8), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(chain=strategies.faulty_chains(near_misses=[near_miss]))
    def check(chain: Chain) -> None:
        report = chain.check()
        errors = Counter(finding.code for finding in report.errors)
        assert (chain.near_miss, chain.fault) == (near_miss, strategies.NEAR_MISSES[near_miss])
        assert errors == Counter([expected.code, *expected.also]), report.to_text()
        assert {finding.code for finding in report.warnings} == set(expected.warnings)

    check()


def test_near_misses_and_codes_narrow_each_other() -> None:
    """Both can be given; nothing is left where they have nothing in common."""
    chain = minimal(strategies.faulty_chains(codes=["expired"], near_misses=["sibling", "issuer-expired"]))
    assert (chain.near_miss, chain.fault) == ("issuer-expired", "expired")
    with pytest.raises(InvalidArgument, match="none of these near misses"):
        minimal(strategies.faulty_chains(codes=["expired"], near_misses=["sibling"]))


def test_faulty_chains_shrink() -> None:
    """To the first fault, a leaf and as few authorities as the fault needs."""
    chain = minimal(strategies.faulty_chains())
    assert (chain.fault, chain.host, len(chain.certificate.chain)) == ("expired", "0.test", 1)
    deeper = minimal(strategies.faulty_chains(codes=["path-length-exceeded"], max_intermediates=0))
    assert len(deeper.certificate.chain) == 2


def test_a_validator_that_forgets_dates_is_found_out() -> None:
    """What the strategy is for: a wrong validator accepts a chain, and the smallest such chain is the answer."""

    def wrong(chain: Chain) -> bool:
        return not [code for code in chain.check().codes if code not in ("expired", "expires-soon")]

    assert minimal(strategies.faulty_chains(), wrong).fault == "expired"
    with pytest.raises(AssertionError):
        # the right validator is never caught: nothing is found
        _never(strategies.faulty_chains(), lambda chain: not chain.check().ok)


def _never(strategy: SearchStrategy[T], condition: Callable[[T], bool]) -> None:
    @settings(max_examples=examples(30), deadline=None, database=None)
    @given(drawn=strategy)
    def check(drawn: T) -> None:
        assert not condition(drawn)

    check()


@some
@given(chain=strategies.chains(keys=strategies.keys(types=["rsa-2048", "ec-p384"]), max_intermediates=1))
def test_chains_of_other_keys(chain: Chain) -> None:
    """Keys of other types make right chains too."""
    assert chain.check().ok


@settings(max_examples=examples(5), deadline=None)
@given(pfx=strategies.pfx_files())
def test_pfx_files_open_with_their_password_only(pfx: strategies.PfxFile) -> None:
    """What went in comes out; the repr shows no bytes of it."""
    opened = Certificate.from_pfx(pfx.data, pfx.password)
    assert opened == pfx.certificate
    assert opened.chain == pfx.certificate.chain
    assert "data" not in repr(pfx)


# -- thumbprints and bindings -----------------------------------------------------------------------------------------


@given(data=st.data(), thumbprint=strategies.thumbprints())
def test_spellings_are_the_thumbprint(data: st.DataObject, thumbprint: Thumbprint) -> None:
    """Whatever was pasted is it again."""
    assert Thumbprint(data.draw(strategies.thumbprint_texts(thumbprint=thumbprint))) == thumbprint


def test_spellings_shrink_and_reach_the_odd_ones() -> None:
    """Simplest: digits alone. Among the others: the certificate dialog's invisible mark."""
    assert minimal(strategies.thumbprint_texts()) == "0" * 40
    assert minimal(strategies.thumbprint_texts(), lambda text: text.startswith("\u200e")) == "\u200e" + "0" * 40


def test_binding_keys_shrink() -> None:
    """To every address and port 1; each family to its own."""
    assert minimal(strategies.binding_keys()) == IpPort("0.0.0.0", 1)
    assert minimal(strategies.binding_keys(families=[BindingFamily.HOSTNAME_PORT])) == HostnamePort("0.test", 1)


def test_binding_options_shrink_to_the_defaults() -> None:
    """And one flag to that flag alone."""
    assert minimal(strategies.binding_options()) == BindingOptions()
    assert minimal(strategies.binding_options(), lambda options: not options.tls13) == BindingOptions(tls13=False)


@given(options=strategies.binding_options(unknown_bits=True))
def test_options_survive_as_numbers(options: BindingOptions) -> None:
    """Bits without a name come up, and are kept."""
    again = BindingOptions.from_numbers(
        flags=options.flags,
        check_mode=options.check_mode,
        freshness_seconds=options.freshness_seconds,
        timeout_milliseconds=options.timeout_milliseconds,
        ctl_identifier=options.ctl_identifier,
        ctl_store_name=options.ctl_store_name,
    )
    assert again == options


def test_bindings_shrink() -> None:
    """To zeros everywhere, and no option set."""
    binding = minimal(strategies.bindings())
    assert (binding.key, binding.thumbprint) == (IpPort("0.0.0.0", 1), Thumbprint(bytes(20)))
    assert (binding.store_name, binding.app_id.int, binding.options) == ("MY", 0, BindingOptions())


@given(binding=strategies.bindings(certificates=strategies.certificates()))
def test_bindings_name_a_certificate_where_their_family_does(binding: Binding) -> None:
    """The CCS families have none."""
    assert (binding.thumbprint is not None) == binding.family.has_certificate


def test_prefixes_and_reservations_shrink() -> None:
    """To the strong wildcard on port 1, for NETWORK SERVICE; each kind of host to its own."""
    assert str(minimal(strategies.url_prefixes())) == "https://+:1/"
    assert str(minimal(strategies.url_prefixes(schemes=["http"], hosts=["address"]))) == "http://0.0.0.0:1/"
    assert str(minimal(strategies.url_prefixes(), lambda prefix: prefix.host_kind == "explicit")) == "https://0.test:1/"
    assert minimal(strategies.reservations()) == UrlReservation("https://+:1/", user="NETWORK SERVICE")


@given(drawn=strategies.reservations(urls=strategies.url_prefixes(hosts=["weak wildcard"])))
def test_reservations_have_the_prefixes_that_were_asked_for(drawn: UrlReservation) -> None:
    """And access lists that the library writes itself, unless foreign ones were."""
    assert drawn.url.host == "*"
    assert drawn.is_plain


@given(line=strategies.netsh_lines())
def test_netsh_lines_mean_their_command(line: strategies.NetshLine) -> None:
    """Plain or mangled by a word processor."""
    assert parse_command(line.text) == line.command


def test_netsh_lines_shrink() -> None:
    """To the command of the tutorials."""
    line = minimal(strategies.netsh_lines())
    zeros = "00000000-0000-0000-0000-000000000000"
    expected = "netsh http add sslcert ipport=0.0.0.0:1 certhash=" + "0" * 40
    assert line.text == f'{expected} "appid={{{zeros}}}" certstorename=MY'


@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
@given(machine=strategies.machines())
def test_machines_are_consistent(machine: EmbeddedMachine) -> None:
    """Every binding that names a certificate names one that is there, with its key."""
    for binding in machine.bindings:
        assert binding.family.has_certificate == (binding.certificate is not None)
        assert binding.diagnose() == ()
    assert len(machine.store("MY")) <= 3


def test_machines_shrink_and_vanish() -> None:
    """To an empty machine; and to one certificate and one binding where a binding is needed. No file stays."""
    empty = minimal(strategies.machines())
    assert (len(empty.store("MY")), len(empty.bindings)) == (0, 0)
    bound = minimal(strategies.machines(), lambda one: any(b.thumbprint for b in one.bindings))
    assert [str(binding.key) for binding in bound.bindings] == ["0.0.0.0:1"]
    assert [entry.certificate.hosts for entry in bound.store("MY")] == [("0.test",)]
    folder = bound.path.parent
    assert folder.is_dir()
    del bound
    gc.collect()
    assert not folder.exists()


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: strategies.keys(types=[]),
        lambda: strategies.keys(types=cast("Any", ["rsa-512"])),
        lambda: strategies.names(kinds=cast("Any", ["email"])),
        lambda: strategies.authorities(max_intermediates=-1),
        lambda: strategies.authorities(keys=cast("Any", "ec-p256")),
        lambda: strategies.certificates(min_names=2, max_names=1),
        lambda: strategies.certificates(names=cast("Any", "www.example.com")),
        lambda: strategies.certificates(at=dt.datetime(2026, 1, 1)),  # noqa: DTZ001 -- the point of it
        lambda: strategies.certificates(max_days=10_000),
        lambda: strategies.chains(max_intermediates=9),
        lambda: strategies.faulty_chains(codes=["no-such-code"]),
        lambda: strategies.faulty_chains(near_misses=["no-such-near-miss"]),
        lambda: strategies.thumbprint_texts(thumbprint=cast("Any", "00")),
        lambda: strategies.binding_keys(families=[]),
        lambda: strategies.machines(max_bindings=-1),
        lambda: strategies.url_prefixes(schemes=cast("Any", ["ftp"])),
        lambda: strategies.url_prefixes(hosts=cast("Any", [])),
        lambda: strategies.reservations(urls=cast("Any", "https://+:1/")),
        lambda: strategies.netsh_lines(verbs=cast("Any", ["delete", "destroy"])),
    ],
)
def test_nonsense_is_refused_when_drawn(make: Callable[[], SearchStrategy[object]]) -> None:
    """Making the strategy is fine, as everywhere in Hypothesis; drawing from it says what is wrong."""
    strategy = make()
    with pytest.raises(InvalidArgument, match=r"not|no part"):
        minimal(strategy)


def test_a_sha1_signature_can_stand_under_any_name() -> None:
    """`xn--zca` (ß) is fine in IDNA 2008, and Python's own IDNA 2003 codec cannot decode it."""
    ca = CertificateAuthority.create("Root", key=ec.derive_private_key(9, ec.SECP256R1()))
    key = ec.derive_private_key(9, ec.SECP256R1())
    made = _signed_anew_with_sha1(ca.issue("ß.example", key=key).to_cryptography(), key)
    assert Certificate(made).names == ("xn--zca.example",)
    assert Certificate(made).signature_hash == "sha1"
    key.public_key().verify(made.signature, made.tbs_certificate_bytes, ec.ECDSA(hashes.SHA1()))
