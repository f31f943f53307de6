"""One client asked for, the clients that findings name, and the remedies of what stands at an issuer."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku

import mlsssl
from chains import NOW, general_names, intermediate, key_usage, leaf, name, root, rsa_key
from faults import CASES, HOST, LEAF, MIDDLE, ROOT, Case
from mlsssl import PROFILES, CertificateAuthority, EmbeddedMachine, Finding, Severity
from mlsssl._validator.catalogue import RULES
from mlsssl._validator.clients import BESIDES_CLIENTS, CLIENTS, OPINIONS, opinions
from mlsssl._validator.rules import ISSUER_REMEDIES
from mlsssl.cli import main
from mlsssl.errors import InvalidInputError
from mlsssl.values import ClientName

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STRICT = ("python-3.13", "openssl-strict")
OTHERS = ("openssl", "gnutls", "go", "java", "chrome")


def test_the_table_is_about_every_code_that_clients_look_at() -> None:
    """And about no other: each row has its rule, a letter for each client, and each client a day and a source."""
    assert {key.partition("/")[0] for key in OPINIONS} | BESIDES_CLIENTS == set(RULES)
    assert tuple(CLIENTS) == get_args(ClientName)
    assert all(re.fullmatch(r"[RrlPa?]{9}", letters) for letters in OPINIONS.values())
    for client in CLIENTS.values():
        assert client.title
        assert client.asked
        assert client.source
        assert client.seen >= date(2026, 11, 29)


# Field reports: what Python 3.13 refuses by its strict flag, and other clients take.
SEVEN = (
    *("basic-constraints-not-critical", "aki-missing", "issuer-ski-missing", "issuer-key-usage-missing"),
    *("san-not-critical", "root-basic-constraints-missing", "aki-no-key-identifier"),
)


@pytest.mark.parametrize("code", SEVEN)
def test_a_strict_refusal_is_named_and_is_an_error_for_that_client_alone(code: str) -> None:
    """Under the profile private too; for OpenSSL without the flag the report is ok."""
    case = CASES[code]()
    (finding,) = case.check().filter(code=code)
    assert set(STRICT) <= set(finding.refused_by)
    assert "openssl" in finding.taken_by
    assert not set(finding.refused_by) & set(finding.taken_by)
    for client in STRICT:
        report = replace(case, options={"client": client}).check()
        assert not report.ok
        assert report.errors[0].code == code
        assert report.client == client
    assert replace(case, options={"client": "openssl"}).check().ok


@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize("client", get_args(ClientName))
def test_the_faultless_chain_is_taken_by_every_client(profile: str, client: str) -> None:
    """And an expired one by none, whatever the profile."""
    assert Case(profile=profile, options={"client": client}).check().ok
    expired = Case(
        leaf=replace(LEAF, not_after=NOW - timedelta(seconds=1)), profile=profile, options={"client": client}
    )
    assert "expired" in {finding.code for finding in expired.check().errors}


def test_what_is_not_known_is_said_and_is_no_error() -> None:
    """In the report's text, its JSON and its card."""
    case = CASES["signature-algorithm-mismatch"]()
    report = replace(CASES["leaf-is-ca"](), options={"client": "apple"}).check()
    assert report.ok
    assert report.not_known == ("leaf-is-ca",)
    assert "not known: whether apple refuses leaf-is-ca" in str(report)
    assert report.to_dict()["not_known"] == ["leaf-is-ca"]
    assert "not known of this client" in report._repr_html_()
    assert replace(case, options={"client": "chrome"}).check().not_known == ()
    assert case.check().not_known == ()
    assert "not known" not in str(case.check())


def _of_the_house(refused_by: Any) -> Finding:
    texts = dict.fromkeys(("where", "found", "expected", "remedy", "standard"), "text")
    fields: dict[str, Any] = {**texts, "code": "house", "severity": Severity.ERROR, "refused_by": refused_by}
    return Finding(**fields)


def test_silenced_findings_and_rules_of_the_caller_are_not_asked_of_the_client() -> None:
    """What was silenced is not said to be unknown; a rule of the caller's keeps its severity."""

    def always(context: object) -> list[Finding]:
        del context
        return [_of_the_house(("go",))]

    quiet = replace(CASES["leaf-is-ca"](), options={"client": "apple", "silence": {"leaf-is-ca": "on purpose"}})
    assert quiet.check().not_known == ()
    report = Case(options={"client": "go", "extra_rules": [always]}).check()
    assert not report.ok
    assert report.not_known == ()
    assert report.errors[0].refused_by == ("go",)


def test_a_rule_of_the_caller_names_clients_in_a_tuple() -> None:
    """Anything else becomes a finding about the rule."""

    def wrong(context: object) -> list[Finding]:
        del context
        return [_of_the_house("go")]

    assert "user-rule-failed" in Case(options={"extra_rules": [wrong]}).check().codes


def test_a_severity_of_ones_own_stands_over_the_client() -> None:
    """Also one given after the client was named."""
    lenient = PROFILES["private"].with_severity("ours", aki_missing="notice")
    for profile in (lenient.for_client("python-3.13"), lenient):
        report = replace(CASES["aki-missing"](), profile=profile, options={"client": "python-3.13"}).check()  # type: ignore[arg-type]
        assert report.ok
        assert report.profile == "ours"


@pytest.mark.parametrize("code", sorted(BESIDES_CLIENTS - {"trust-not-asked", "eku-client-auth-missing"}))
def test_what_no_client_looks_at_weighs_as_the_profile_weighs_it(code: str) -> None:
    """A key that others have is no better for a client that does not look."""
    case = CASES[code]()
    asked = replace(case, options={**case.options, "client": "python-3.13"})
    found = [[f.severity for f in one.check().filter(code=code)] for one in (case, asked)]
    assert found[0] == found[1]


def test_apple_refuses_by_the_day_of_issue() -> None:
    """From the day after 1 July 2019 on, and a validity above 825 days only then."""
    assert opinions("eku-missing", (), "leaf", date(2019, 7, 2), public=False)["apple"]
    assert not opinions("eku-missing", (), "leaf", date(2019, 7, 1), public=False)["apple"]
    long = replace(LEAF, not_after=NOW + timedelta(days=826))
    for profile in ("private", "windows", "legacy"):
        assert not Case(leaf=long, profile=profile, options={"client": "apple"}).check().ok
        assert Case(leaf=long, profile=profile, options={"client": "chrome"}).check().ok
    # Public authorities' certificates Chrome holds to the limits of the Baseline Requirements.
    assert not Case(leaf=long, profile="public", options={"client": "chrome"}).check().ok


def test_clients_that_read_the_common_name_read_host_names_there_and_no_addresses() -> None:
    """OpenSSL, GnuTLS and Java do; Go, Chrome and Apple do not."""
    named = Case(leaf=replace(LEAF, subject=name(HOST)).without(x509.SubjectAlternativeName))
    address = replace(
        named, leaf=replace(LEAF, subject=name("10.0.0.5")).without(x509.SubjectAlternativeName), host="10.0.0.5"
    )
    for client in ("python-3.13", "openssl", "gnutls", "java"):
        assert replace(named, options={"client": client}).check().ok
        assert not replace(address, options={"client": client}).check().ok
    for client in ("go", "chrome", "apple"):
        assert not replace(named, options={"client": client}).check().ok
    beside = replace(named, leaf=replace(LEAF, subject=name(HOST)).with_extension(general_names("10.0.0.5")))
    for client, taken in (("python-3.13", True), ("java", True), ("gnutls", False), ("go", False)):
        assert replace(beside, options={"client": client}).check().ok is taken
    assert not replace(beside, profile="legacy").check().ok


def test_a_client_that_there_is_not_is_told() -> None:
    """With those that there are; whatever type the wrong name has."""
    for wrong in ("python", "Python-3.13", "", 313, b"go", ["go"]):
        with pytest.raises(InvalidInputError, match=r"a client is one of python-3\.13, openssl-strict"):
            Case(options={"client": wrong}).check()
        with pytest.raises(InvalidInputError, match="a client is one of"):
            PROFILES["private"].for_client(wrong)  # type: ignore[arg-type]


def test_a_clients_certificate_is_shown_to_servers_and_no_tls_client_is_asked() -> None:
    """Whichever comes first; and its findings name no clients."""
    ca = CertificateAuthority.create("Test CA", key="ec-p256")
    cert = ca.issue_client("alice")
    with pytest.raises(InvalidInputError, match="about servers' certificates only"):
        cert.check(trust=[ca], purpose="client", client="go")
    with pytest.raises(InvalidInputError, match="about servers' certificates only"):
        next(mlsssl.check_many([cert], trust=[ca], purpose="client", client="go"))
    report = ca.issue(HOST).check(trust=[], purpose="client")
    assert not report.ok
    assert all((finding.refused_by, finding.taken_by) == ((), ()) for finding in report)


def test_each_way_of_checking_takes_a_client(tmp_path: Path) -> None:
    """A certificate, many, one in a store, and by way of the profile what takes a profile alone."""
    ca = CertificateAuthority.create("Test CA", key="ec-p256")
    cert = ca.issue(HOST, days=900)
    assert cert.check(HOST, trust=[ca], client="python-3.13").ok
    assert not cert.check(HOST, trust=[ca], client="apple").ok
    for client, ok in (("python-3.13", True), ("apple", False)):
        reports = mlsssl.check_many([(cert, HOST)] * 70, trust=[ca], client=client, workers=2)  # type: ignore[arg-type]
        assert {(report.ok, report.client) for report in reports} == {(ok, client)}
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        entry = machine.store("MY").add(cert)
        assert entry.check(HOST, trust=[ca], client="openssl").ok
        assert not entry.check(HOST, trust=[ca], client="apple").ok
        plan = mlsssl.deploy.plan("0.0.0.0:443", cert, machine=machine, profile=PROFILES["private"].for_client("apple"))
        assert "validity-too-long" in {f.code for f in plan.findings if f.severity is Severity.ERROR}


def test_the_command_line_asks_for_a_client(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is the client's verdict; the report names the clients and what is not known."""
    above = root().with_extension(x509.BasicConstraints(ca=True, path_length=None))
    (tmp_path / "leaf.crt").write_bytes(leaf(above).der())
    (tmp_path / "root.crt").write_bytes(above.der())
    line = _line(tmp_path)
    assert main(line) == 0
    out = capsys.readouterr().out
    assert "clients:  refused by python-3.13, openssl-strict; taken by openssl, gnutls, go, java, chrome\n" in out
    assert main([*line, "--client", "openssl"]) == 0
    capsys.readouterr()
    assert main([*line, "--client", "python-3.13", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["client"] == "python-3.13"
    assert told["findings"][0]["refused_by"] == list(STRICT)
    assert told["findings"][0]["taken_by"] == list(OTHERS)
    assert main([*line, "--client", "python"]) != 0
    assert "python-3.13" in capsys.readouterr().err


def test_the_command_line_asks_for_a_client_where_a_profile_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`deploy --plan` and `audit`; with a profile and without."""
    ca = CertificateAuthority.create("Test CA", key="ec-p256")
    ca.issue(HOST, days=900).save(tmp_path / "leaf.pem")
    machine = tmp_path / "m.sqlite"
    EmbeddedMachine(machine).close()  # deploy makes none
    line = ["deploy", "0.0.0.0:443", str(tmp_path / "leaf.pem"), "--machine", str(machine), "--plan"]
    assert main([*line, "--client", "python-3.13"]) == 0
    assert main([*line, "--client", "apple", "--profile", "windows"]) == 1
    assert main([*line[:-1], "--client", "python-3.13", "--no-verify"]) == 0
    capsys.readouterr()
    assert main(["audit", "--machine", str(machine), "--json"]) is not None
    assert "validity-too-long" in capsys.readouterr().out
    main(["audit", "--machine", str(machine), "--json", "--client", "go"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    found = [f for row in rows for f in row["findings"] if f["code"] == "validity-too-long"]
    assert [f["severity"] for f in found] == ["warning"]


def test_what_every_client_refuses_is_said_without_a_list() -> None:
    """Nine names would be noise; the fields and the JSON have them."""
    (finding,) = CASES["expired"]().check().filter(code="expired")
    assert finding.refused_by == get_args(ClientName)
    assert finding.clients_text() == "refused by every client that is known here"
    assert finding.taken_by == ()


def test_a_card_names_the_clients() -> None:
    """Under the finding; none where none is known."""
    assert "refused by python-3.13, openssl-strict" in CASES["aki-missing"]().check()._repr_html_()
    assert "refused by" not in CASES["key-usage-missing"]().check()._repr_html_()


# What stands at an issuer ------------------------------------------------------------------------------------------


def _moved(**fields: object) -> Callable[[str], Case]:
    def at(place: str) -> Case:
        if place == "intermediate":
            return Case(pool=(replace(MIDDLE, **fields),))  # type: ignore[arg-type]
        return Case(trust=(replace(ROOT, **fields),))  # type: ignore[arg-type]

    return at


def _small(place: str) -> Case:
    if place == "root":
        above = root("Small", key=rsa_key(1024, 5))
        return Case(leaf=leaf(above), pool=(), trust=(above,))
    middle = replace(intermediate(ROOT), key=rsa_key(1024, 6)).without(x509.SubjectKeyIdentifier)
    return Case(leaf=leaf(middle), pool=(middle,))


def _with(value: x509.ExtensionType) -> Callable[[str], Case]:
    def at(place: str) -> Case:
        if place == "intermediate":
            return Case(pool=(MIDDLE.with_extension(value, critical=True),))
        return Case(trust=(ROOT.with_extension(value, critical=True),))

    return at


def _bare(kind: type[x509.ExtensionType]) -> Callable[[str], Case]:
    def at(place: str) -> Case:
        if place == "intermediate":
            return Case(pool=(MIDDLE.without(kind),))
        return Case(trust=(ROOT.without(kind),))

    return at


@pytest.mark.parametrize("place", ["intermediate", "root"])
@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("expired", _moved(not_after=NOW - timedelta(days=1))),
        ("dates-reversed", _moved(not_before=NOW + timedelta(days=1), not_after=NOW - timedelta(days=1))),
        ("version-extensions", _moved(version=1)),
        ("unique-id", _moved(unique_id=b"\x82\x02\x00\xff")),
        ("rsa-too-small", _small),
        ("issuer-key-usage-missing", _bare(x509.KeyUsage)),
        ("issuer-ski-missing", _bare(x509.SubjectKeyIdentifier)),
        ("issuer-key-usage", _with(key_usage(digital_signature=True))),
        ("issuer-eku", _with(x509.ExtendedKeyUsage([Eku.EMAIL_PROTECTION]))),
    ],
)
def test_a_finding_at_an_issuer_says_what_helps_there(code: str, make: Callable[[str], Case], place: str) -> None:
    """The authority's new intermediate, or its newer root: a new leaf changes nothing. At a leaf the rule's remedy."""
    (finding,) = make(place).check().filter(code=code)
    assert finding.where.startswith(place)
    assert finding.remedy == ISSUER_REMEDIES[place]
    if code in ("expired", "dates-reversed"):
        (at_leaf,) = CASES[code]().check().filter(code=code)
        assert at_leaf.remedy == RULES[code].remedy


@pytest.mark.parametrize("code", ["not-yet-valid", "name-constraints-violated", "name-constraints-common-name"])
def test_a_remedy_that_helps_at_an_issuer_too_stays(code: str) -> None:
    """To set a clock, to leave a name out: another authority would change nothing."""
    case = CASES[code]()
    if code == "not-yet-valid":
        case = Case(pool=(replace(MIDDLE, not_before=NOW + timedelta(days=1)),))
    (finding,) = case.check().filter(code=code)
    assert not finding.where.startswith("leaf")
    assert finding.remedy == RULES[code].remedy


def test_an_authority_that_outlives_its_issuer_has_its_own_remedy() -> None:
    """At the intermediate; at the leaf a new leaf helps."""
    above = Case(pool=(replace(MIDDLE, not_after=ROOT.not_after + timedelta(days=1)),))
    (finding,) = above.check().filter(code="outlives-issuer")
    assert finding.remedy == ISSUER_REMEDIES["intermediate"]
    (at_leaf,) = CASES["outlives-issuer"]().check().filter(code="outlives-issuer")
    assert "ca.issue(" in at_leaf.remedy


def test_the_command_line_says_it_in_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of Python is left in the remedies at an issuer."""
    middle = replace(MIDDLE, not_after=NOW - timedelta(days=1))
    both = [made.certificate().public_bytes(Encoding.PEM) for made in (LEAF, middle)]
    (tmp_path / "leaf.crt").write_bytes(b"".join(both))
    (tmp_path / "root.crt").write_bytes(replace(ROOT, not_after=NOW - timedelta(days=1)).der())
    line = _line(tmp_path)
    assert main(line) == 1
    remedies = [words for words in capsys.readouterr().out.splitlines() if "remedy:" in words]
    assert len(remedies) == 3  # the third is the leaf's own
    assert "get the authority's new intermediate" in remedies[0]
    assert "mlsssl ca create --issuer FILE" in remedies[0]
    assert "mlsssl store add FILE --store Root" in remedies[1]
    assert "--trust FILE" in remedies[1]
    assert not any("(" in words for words in remedies)


def _line(folder: Path) -> list[str]:
    files = (str(folder / "leaf.crt"), "--trust", str(folder / "root.crt"))
    return ["check", *files, "--no-key", "--at", "2026-11-24"]
