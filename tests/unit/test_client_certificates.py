"""Client certificates: what is in them, what is refused, and what `check(purpose="client")` says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku
from hypothesis import given
from hypothesis import strategies as st

from chains import NOW, Extension, Made, intermediate, key_usage, leaf, rsa_key, tlv
from faults import ROOT
from mlsssl import (
    CertificateAuthority,
    EmbeddedMachine,
    InvalidInputError,
    check_many,
)
from mlsssl._validator.profiles import PROFILES, for_purpose
from mlsssl._validator.report import Severity
from mlsssl._validator.validate import validate
from mlsssl.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from mlsssl import Report

CA = CertificateAuthority.create("Clients Root", key="ec-p256")
UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


def _extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.Extension[Any]:
    return certificate.extensions.get_extension_for_class(kind)


@pytest.mark.parametrize("key", ["rsa-2048", "ec-p256", "ec-p384"])
def test_what_a_client_certificate_has(key: Any) -> None:
    """For clients alone; it signs, whatever its key is; no subjectAltName where there is no name for it."""
    made = CA.issue_client("Alice Example", key=key, organization="Example", country="DE")
    assert made.subject == "CN=Alice Example,O=Example,C=DE"
    assert (made.extended_key_usages, made.key_usages, made.key_type) == (("clientAuth",), ("digitalSignature",), key)
    assert (made.is_ca, made.names, made.has_private_key) == (False, (), True)
    plain = made.to_cryptography()
    assert {extension.oid for extension in plain.extensions} == {
        kind.oid
        for kind in (
            x509.BasicConstraints,
            x509.KeyUsage,
            x509.ExtendedKeyUsage,
            x509.SubjectKeyIdentifier,
            x509.AuthorityKeyIdentifier,
        )
    }
    assert made.chain == (CA.certificate,)
    assert round(made.days_left) == 199


def test_names_of_a_client() -> None:
    """Mail, hosts and the account of Windows, each once and in the octets that RFC 5280 and Microsoft want."""
    made = CA.issue_client(
        "Alice",
        emails=["alice@bücher.example", "alice@xn--bcher-kva.example"],
        hosts=["pc-7.example", "10.0.0.7"],
        user_principal_name="alice@corp.example",
    )
    assert made.names == (
        "email:alice@xn--bcher-kva.example",
        "pc-7.example",
        "10.0.0.7",
        "UPN:alice@corp.example",
    )
    assert made.hosts == ("pc-7.example", "10.0.0.7")
    san = _extension(made.to_cryptography(), x509.SubjectAlternativeName)
    assert not san.critical
    assert san.value.get_values_for_type(x509.OtherName) == [x509.OtherName(UPN, b"\x0c\x12alice@corp.example")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"common_name": ""}, "needs a name"),
        ({"common_name": "x" * 65}, "at most 64"),
        ({"emails": "alice@example.com"}, "put it into a list"),
        ({"emails": ["alice"]}, "such as alice@example.com"),
        ({"emails": ["@example.com"]}, "such as alice@example.com"),
        ({"emails": ["alice@"]}, "labels? of a DNS name"),
        ({"emails": ["alice@*.example.com"]}, "such as alice@example.com"),
        ({"emails": ["jürgen@example.com"]}, "in ASCII before the @"),
        ({"emails": ["a b@example.com"]}, "such as alice@example.com"),
        ({"emails": ["a" * 65 + "@example.com"]}, "such as alice@example.com"),
        ({"emails": [5]}, "such as alice@example.com"),
        ({"hosts": "pc-7"}, "put it into a list"),
        ({"hosts": ["pc 7"]}, "letters, digits"),
        ({"user_principal_name": "alice"}, "user principal name"),
        ({"user_principal_name": ""}, "user principal name"),
        ({"user_principal_name": "alice@corp\n"}, "user principal name"),
        ({"user_principal_name": "a" * 1024 + "@c"}, "at most 1024"),
        ({"user_principal_name": 5}, "user principal name"),
        ({"key": "ed25519"}, "key is one of"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        CA.issue_client(**{"common_name": "Alice", **arguments})


def test_name_constraints_hold_for_clients_too() -> None:
    bound = CertificateAuthority.create("Bound", key="ec-p256", permitted=["corp.test"])
    assert bound.issue_client("Alice", hosts=["pc.corp.test"]).check(trust=[bound], purpose="client").ok
    with pytest.raises(InvalidInputError, match="name constraints"):
        bound.issue_client("Alice", hosts=["pc.other.test"])


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_a_name_or_refused(email: str, principal: str) -> None:
    """Every refusal is ours; what is taken can be read back."""
    choices: list[dict[str, Any]] = [{"emails": [email]}, {"user_principal_name": principal}]
    for arguments in choices:
        try:
            made = CA.issue_client("Alice", **arguments)
        except InvalidInputError:
            continue
        assert len(made.names) == 1


# -- the verdict ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
def test_a_client_certificate_is_good_for_clients_only(profile: str) -> None:
    """Under every profile, but for what only a public authority has; a server's is none for clients."""
    client = CA.issue_client("Alice", emails=["alice@example.com"])
    report = client.check(trust=[CA], purpose="client", profile=profile)
    assert report.ok
    assert set(report.codes) <= {"revocation-pointer-missing"}
    assert report.profile == f"{profile}-client"
    as_server = client.check(trust=[CA], profile=profile)
    assert "eku-server-auth-missing" in [finding.code for finding in as_server.errors]
    server = CA.issue("www.example.com").check(trust=[CA], purpose="client", profile=profile)
    (error,) = server.errors
    assert (error.code, "ca.issue_client" in error.remedy) == ("eku-client-auth-missing", True)


def _report(made: Made, *pool: Made, profile: str = "private") -> Report:
    return validate(
        made.certificate(),
        at=NOW,
        trust=[ROOT.certificate()],
        intermediates=[one.certificate() for one in pool],
        profile=for_purpose(profile, "client"),
        expect_key=False,
    )


MIDDLE = intermediate(ROOT).without(x509.ExtendedKeyUsage)
CLIENT = leaf(MIDDLE).with_extension(x509.ExtendedKeyUsage([Eku.CLIENT_AUTH]))


@pytest.mark.parametrize(
    ("made", "codes"),
    [
        (CLIENT, set()),
        (CLIENT.with_extension(x509.ExtendedKeyUsage([Eku.CLIENT_AUTH, Eku.SERVER_AUTH])), set()),
        (CLIENT.with_extension(x509.ExtendedKeyUsage([Eku.ANY_EXTENDED_KEY_USAGE])), {"eku-any-only"}),
        (CLIENT.with_extension(x509.ExtendedKeyUsage([Eku.SERVER_AUTH])), {"eku-client-auth-missing"}),
        (
            CLIENT.with_extension(x509.ExtendedKeyUsage([Eku.EMAIL_PROTECTION])),
            {"eku-client-auth-missing", "eku-other-usage"},
        ),
        (CLIENT.without(x509.ExtendedKeyUsage), {"eku-missing"}),
        (CLIENT.without(x509.SubjectAlternativeName), set()),
        (
            replace(CLIENT, key=rsa_key()).with_extension(key_usage(key_encipherment=True), critical=True),
            {"key-usage-unsuitable"},
        ),
        (CLIENT.with_extension(Extension("2.16.840.1.113730.1.1", False, tlv(0x03, b"\x06\x40"))), {"netscape-type"}),
        (CLIENT.with_extension(Extension("2.16.840.1.113730.1.1", False, tlv(0x03, b"\x07\x80"))), set()),
    ],
)
def test_what_is_found_in_a_clients_certificate(made: Made, codes: set[str]) -> None:
    found = _report(made, MIDDLE)
    assert set(found.codes) == codes
    for finding in found.filter(code="eku-any-only"):
        assert "clientAuth" in finding.expected
    for finding in found.filter(code="eku-missing"):
        assert (finding.severity, "clientAuth" in finding.expected) == (Severity.WARNING, True)


@pytest.mark.parametrize(
    ("usage", "codes"),
    [
        (Eku.SERVER_AUTH, ["issuer-eku"]),
        (Eku.CLIENT_AUTH, []),
        (Eku.ANY_EXTENDED_KEY_USAGE, ["issuer-eku-any"]),
    ],
)
def test_an_issuer_for_servers_is_none_for_clients(usage: x509.ObjectIdentifier, codes: list[str]) -> None:
    middle = MIDDLE.with_extension(x509.ExtendedKeyUsage([usage]))
    found = _report(CLIENT, middle)
    assert list(found.codes) == codes
    assert all("clientAuth" in finding.expected for finding in found)


def test_one_issuer_is_judged_for_each_purpose() -> None:
    """What was found about it for servers does not stand for clients, although an issuer is kept."""
    middle = MIDDLE.with_extension(x509.ExtendedKeyUsage([Eku.SERVER_AUTH])).certificate()
    for _ in range(2):
        for purpose, made in (("server", leaf(MIDDLE)), ("client", CLIENT)):
            found = validate(
                made.certificate(),
                at=NOW,
                trust=[ROOT.certificate()],
                intermediates=[middle],
                profile=for_purpose("private", purpose),  # type: ignore[arg-type]  # one of two texts
                expect_key=False,
            )
            assert ("issuer-eku" in found.codes) is (purpose == "client")


def test_a_host_and_an_unknown_purpose_are_refused() -> None:
    made = CA.issue_client("Alice")
    with pytest.raises(InvalidInputError, match="leave the host out"):
        made.check("alice", trust=[CA], purpose="client")
    with pytest.raises(InvalidInputError, match="'server' or 'client'"):
        made.check(trust=[CA], purpose="clients")  # type: ignore[arg-type]  # the mistake


def test_ones_own_severities_stay() -> None:
    """A profile with severities of one's own keeps them for clients; one that is for clients already stays itself."""
    strict = PROFILES["private"].with_severity("mine", eku_missing="error", san_missing="notice")
    made = for_purpose(strict, "client")
    assert (made.name, made.overrides["eku-missing"], made.overrides["san-missing"]) == (
        "mine-client",
        Severity.ERROR,
        Severity.NOTICE,
    )
    assert for_purpose(made, "client") is made
    assert for_purpose(strict, "server") is strict


def test_in_a_store_and_in_bulk(tmp_path: Path) -> None:
    client, server = CA.issue_client("Alice"), CA.issue("www.example.com")
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine, machine.store("MY") as store:
        assert store.add(client).check(trust=[CA], purpose="client").ok
        assert not store.add(server).check(trust=[CA], purpose="client").ok
    reports = list(check_many([client, server], trust=[CA], purpose="client", workers=1))
    assert [report.ok for report in reports] == [True, False]


def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ca issue-client` makes it, `check --purpose client` judges it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pw").write_text("secret")
    CA.save("ca.pfx", password="secret")
    CA.certificate.save("ca.cer")
    words = ["ca", "issue-client", "Alice Example", "--ca", "ca.pfx", "--ca-password", "file:pw", "--out", "alice.pem"]
    words += ["--email", "a@example.com", "--email", "b@example.com", "--host", "pc-7", "--organization", "Example"]
    words += ["--user-principal-name", "a@corp.example", "--country", "de", "--days", "30"]
    assert main(words) == 0
    assert "Saved to alice.pem" in capsys.readouterr().out
    assert main(["check", "alice.pem", "--trust", "ca.cer", "--purpose", "client"]) == 0
    assert main(["check", "alice.pem", "--trust", "ca.cer"]) == 1
    assert "mlsssl issue" in capsys.readouterr().out
    CA.issue("www.example.com").save("www.pem")
    assert main(["check", "www.pem", "--trust", "ca.cer", "--purpose", "client"]) == 1
    assert "mlsssl ca issue-client" in capsys.readouterr().out
    assert main(["check", "127.0.0.1:9", "--purpose", "client"]) != 0
    assert "certificate file" in capsys.readouterr().err
    assert main(["show", "alice.pem"]) == 0
    shown = capsys.readouterr().out
    assert "CN=Alice Example,O=Example,C=DE" in shown
    assert "email:a@example.com, email:b@example.com, pc-7, UPN:a@corp.example" in shown
