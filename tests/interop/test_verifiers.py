"""What we issue is accepted by other verifiers, and refused by them for the right reason when something is wrong."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

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


# What only a public CA has, or what the procedure and this library's contract ask for against its advice.
_PUBLIC_ONLY = {
    "cabf.serverauth.dv.common_name_attribute_present",  # the procedure: the CN equals the name
    "cabf.serverauth.subscriber.authority_info_access_extension_absent",  # a public CA's repository
    "cabf.serverauth.subscriber.certificate_policies_extension_absent",  # a public CA's policy
    "cabf.serverauth.subscriber.revocation_information_absent",  # a public CA's revocation service
    "msft.end_entity.revocation_information_absent",
    "cabf.serverauth.subscriber.subject_key_identifier_extension_present",  # RFC 5280: SHOULD be there
    "cabf.serverauth.subscriber_rsa_digitalsignature_and_keyencipherment_present",  # TLS 1.2 with RSA key exchange
}


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


@pytest.mark.parametrize("key", ["ec-p256", "rsa-2048"])
def test_pkilint_finds_nothing_that_is_not_a_public_cas(tmp_path: Path, key: str) -> None:
    """No error and no warning of the RFC 5280 lints on root, leaf and pair; nothing unexpected of the BR's."""
    root = CertificateAuthority.create("Lint Root", key=key)  # type: ignore[arg-type]  # a parameter's text
    leaf = root.issue("server-name.com", "www.server-name.com")
    for name, one in (("root", root.certificate), ("leaf", leaf.without_key())):
        (tmp_path / f"{name}.crt").write_bytes(one.to_pem())
        assert _pkilint("lint_pkix_cert", tmp_path / f"{name}.crt") == set()
    pair = (tmp_path / "root.crt", tmp_path / "leaf.crt")
    assert _pkilint("lint_pkix_signer_signee_cert_chain", *pair) == set()
    server = _pkilint("lint_cabf_serverauth_cert", "-t", "DV-FINAL-CERTIFICATE", tmp_path / "leaf.crt")
    assert server <= _PUBLIC_ONLY
    assert server, "the linter says nothing at all, so it may not have run"
