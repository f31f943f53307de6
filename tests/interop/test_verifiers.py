"""What we issue is accepted by other verifiers, and refused by them for the right reason when something is wrong."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509 import verification

from mlsssl import CertificateAuthority
from programs import output, run

if TYPE_CHECKING:
    from interop.conftest import Issued


def _openssl(issued: Issued, *options: str, trusted: str = "root.crt") -> str:
    result = run(
        "openssl", "verify", "-x509_strict", "-purpose", "sslserver", *options,
        "-CAfile", issued.file(trusted), "-untrusted", issued.file("intermediate.crt"), issued.file("leaf.crt"),
    )  # fmt: skip
    return "OK" if result.returncode == 0 else output(result)


@pytest.mark.parametrize("host", ["server-name.com", "any.wild.example", "xn--bcher-kva.example"])
def test_openssl_accepts_each_name(issued: Issued, host: str) -> None:
    """Strict, for the purpose of a TLS server."""
    assert _openssl(issued, "-verify_hostname", host) == "OK"


def test_openssl_accepts_the_addresses(issued: Issued) -> None:
    """IPv4 and IPv6."""
    assert _openssl(issued, "-verify_ip", "10.0.0.5") == "OK"
    assert _openssl(issued, "-verify_ip", "fe80::5") == "OK"


def test_openssl_refuses_what_is_wrong(issued: Issued) -> None:
    """Another name, another address, two labels under the wildcard, another root, another time."""
    assert "hostname mismatch" in _openssl(issued, "-verify_hostname", "other.example")
    assert "IP address mismatch" in _openssl(issued, "-verify_ip", "10.0.0.6")
    assert "hostname mismatch" in _openssl(issued, "-verify_hostname", "a.b.wild.example")
    assert "unable to get local issuer" in _openssl(
        issued, "-verify_hostname", "server-name.com", trusted="stranger.crt"
    )
    later = int((issued.leaf.not_after + dt.timedelta(days=1)).timestamp())
    assert "expired" in _openssl(issued, "-attime", str(later))


def _certtool(issued: Issued, host: str, trusted: str = "root.crt") -> tuple[int, str]:
    result = run(
        "certtool", "--verify", "--verify-profile", "medium", "--verify-hostname", host, "--verify-purpose",
        "1.3.6.1.5.5.7.3.1", "--load-ca-certificate", issued.file(trusted), "--infile", issued.file("full.crt"),
    )  # fmt: skip
    return result.returncode, output(result)


def test_gnutls_accepts_it_and_refuses_its_twins(issued: Issued) -> None:
    """By `certtool --verify`, with host name and purpose."""
    assert _certtool(issued, "server-name.com")[0] == 0
    code, text = _certtool(issued, "other.example")
    assert code != 0
    assert "does not match" in text
    code, text = _certtool(issued, "server-name.com", "stranger.crt")
    assert code != 0
    assert "not trusted" in text or "issuer" in text


def test_cryptographys_verifier_accepts_it_and_refuses_its_twins(issued: Issued) -> None:
    """Its default policy is the web's."""

    def verify(host: str, root: CertificateAuthority) -> int:
        store = verification.Store([root.certificate.to_cryptography()])
        verifier = verification.PolicyBuilder().store(store).build_server_verifier(x509.DNSName(host))
        return len(verifier.verify(issued.leaf.to_cryptography(), [issued.intermediate.certificate.to_cryptography()]))

    assert verify("server-name.com", issued.root) == 3
    with pytest.raises(verification.VerificationError):
        verify("other.example", issued.root)
    with pytest.raises(verification.VerificationError):
        verify("server-name.com", issued.stranger)


# What only a public CA has: its repository, its policy, its revocation service.
_PUBLIC_ONLY = {
    "cabf.serverauth.subscriber.authority_info_access_extension_absent",
    "cabf.serverauth.subscriber.certificate_policies_extension_absent",
    "cabf.serverauth.subscriber.revocation_information_absent",
    "msft.end_entity.revocation_information_absent",
    "cabf.serverauth.ca.authority_info_access_extension_absent",
    "cabf.serverauth.ca.certificate_policies_extension_absent",
    "cabf.serverauth.ca.crl_distribution_points_extension_absent",
    "cabf.serverauth.ca.extended_key_usage_extension_absent",  # which would bind a private CA to servers alone
    "e_missing_crl_distrib_point",  # from here on zlint's names for the same
    "e_sub_cert_aia_missing",
    "e_sub_cert_cert_policy_empty",
    "e_sub_cert_certificate_policies_missing",
    "w_sub_cert_aia_does_not_contain_issuing_ca_url",
    "e_invalid_ca_certificate_policies",
    "e_sub_ca_certificate_policies_missing",
    "e_sub_ca_crl_distribution_points_missing",
    "w_sub_ca_aia_missing",
}
# What the BR advise against and is done here all the same: warnings, never errors.
_OTHERWISE = {
    "common name": {  # the procedure: the common name equals the name; IIS and mmc show nothing else
        "cabf.serverauth.dv.common_name_attribute_present",
        "cabf.serverauth.ov.common_name_attribute_present",
        "w_subject_common_name_included",
    },
    "subjectKeyIdentifier of a leaf": {  # RFC 5280 section 4.2.1.2: SHOULD be there
        "cabf.serverauth.subscriber.subject_key_identifier_extension_present",
        "w_ext_subject_key_identifier_not_recommended_subscriber",
    },
    "keyEncipherment": {  # TLS 1.2 with RSA key exchange, SQL Server; and makecert -sky exchange means it
        "cabf.serverauth.subscriber_rsa_digitalsignature_and_keyencipherment_present",
    },
}
_ORGANIZATION: dict[str, Any] = {"organization": "Example", "locality": "Fürth", "country": "DE"}


def _pkilint(linter: str, *arguments: str | Path) -> set[str]:
    script = Path(sys.executable).parent / linter
    result = run(str(script), "lint", "-s", "WARNING", "-f", "JSON", *arguments)
    report = json.loads(result.stdout)
    return {
        finding["code"]
        for outcome in report["results"]
        for finding in outcome["finding_descriptions"]
        if finding["severity"] in ("WARNING", "ERROR", "FATAL")
    }


def _zlint(file: Path) -> set[str]:
    results = json.loads(run("zlint", file).stdout)
    return {name for name, lint in results.items() if lint["result"] in ("warn", "error", "fatal")}


@pytest.fixture(scope="module", params=["ec-p256", "rsa-2048"])
def linted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a root, an intermediate, two server certificates and a client's, to be linted."""
    folder = tmp_path_factory.mktemp("linted")
    root = CertificateAuthority.create("Lint Root", key=request.param, **_ORGANIZATION)
    made = {
        "root": root.certificate,
        "intermediate": root.create_intermediate("Lint Intermediate", **_ORGANIZATION).certificate,
        "leaf": root.issue("server-name.com", "www.server-name.com"),
        "organization": root.issue("server-name.com", **_ORGANIZATION),
        "client": root.issue_client("Alice", emails=["alice@example.com"], **_ORGANIZATION),
    }
    for name, one in made.items():
        (folder / f"{name}.crt").write_bytes(one.to_pem())
    return folder


def _check_against_the_br(found: dict[str, set[str]]) -> None:
    """Nothing in the authorities, at most these three warnings in the leaves, beyond what only a public CA has."""
    beyond = {name: codes - _PUBLIC_ONLY for name, codes in found.items()}
    assert (beyond["root"], beyond["intermediate"]) == (set(), set())
    for name in ("leaf", "organization"):
        assert beyond[name] <= set().union(*_OTHERWISE.values())
        assert 2 <= len(beyond[name]) <= 3, "the linter says nothing at all, so it may not have run"


def test_pkilint_finds_nothing_against_rfc_5280(linted: Path) -> None:
    """No error and no warning of its RFC 5280 lints in anything that is issued, nor in a pair."""
    for file in sorted(linted.iterdir()):
        assert _pkilint("lint_pkix_cert", file) == set(), file.name
    pair = (linted / "root.crt", linted / "leaf.crt")
    assert _pkilint("lint_pkix_signer_signee_cert_chain", *pair) == set()


def test_pkilint_finds_little_against_the_br(linted: Path) -> None:
    """Its lints of the TLS BR, with organization and country given."""
    kinds = {
        "root": "ROOT-CA",
        "intermediate": "INTERNAL-UNCONSTRAINED-TLS-CA",
        "leaf": "DV-FINAL-CERTIFICATE",
        "organization": "OV-FINAL-CERTIFICATE",
    }
    _check_against_the_br(
        {
            name: _pkilint("lint_cabf_serverauth_cert", "-t", kind, linted / f"{name}.crt")
            for name, kind in kinds.items()
        }
    )


def test_pkilint_misses_organization_and_country_of_an_authority(tmp_path: Path) -> None:
    """The failing twin: without them a root has exactly those two errors."""
    CertificateAuthority.create("Lint Root", key="ec-p256").certificate.save(tmp_path / "root.crt")
    assert _pkilint("lint_cabf_serverauth_cert", "-t", "ROOT-CA", tmp_path / "root.crt") == {
        "cabf.serverauth.ca.country_attribute_absent",
        "cabf.serverauth.ca.organization_name_attribute_absent",
    }


@pytest.mark.skipif(shutil.which("zlint") is None, reason="zlint, a program in Go that no package has, is not on PATH")
def test_zlint_finds_little_against_the_br(linted: Path) -> None:
    """Another linter, of zmap.io: the same, in its own names."""
    _check_against_the_br(
        {name: _zlint(linted / f"{name}.crt") for name in ("root", "intermediate", "leaf", "organization")}
    )
