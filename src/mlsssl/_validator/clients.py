"""Which TLS client refuses what: each client, and what it does with each finding; a dated table with its sources.

It is data; the documentation's page of clients is generated from it, and tests/interop runs the clients that can be
run here against it. "Takes" means: takes a certificate with this finding and no other fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, get_args

from mlsssl.values import ClientName

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A TLS client, as it is without settings of its own.

    Attributes:
        title: What it is, from which version on.
        asked: How it was asked, or what was read about it.
        source: Where that can be read again.
        seen: The day of looking.
        accepts_common_name: Whether a host name in the subject's CN counts where the certificate has no other name;
            true also where that is not known.
        beside_addresses: Whether it counts also beside addresses in subjectAltName.
    """

    title: str
    asked: str
    source: str
    seen: date
    accepts_common_name: bool = False
    beside_addresses: bool = False


_SEEN = date(2026, 11, 29)
_HANDSHAKE = "tests/interop/test_clients.py; measured"

CLIENTS: Mapping[str, Client] = {
    "python-3.13": Client(
        title="Python 3.13 and later: ssl.create_default_context(), and with it urllib and most libraries",
        asked="a TLS handshake by Python 3.13.0 on OpenSSL 3.0.22; the flags are X509_STRICT and PARTIAL_CHAIN",
        source=f"{_HANDSHAKE}; python/cpython issue 107361 (flags of the default context)",
        seen=_SEEN,
        accepts_common_name=True,
        beside_addresses=True,
    ),
    "openssl-strict": Client(
        title="OpenSSL 3 with X509_V_FLAG_X509_STRICT",
        asked="openssl verify -x509_strict -purpose sslserver -auth_level 2 of OpenSSL 3.0.22; handshakes for keys",
        source=f"{_HANDSHAKE}; openssl-verification-options(1)",
        seen=_SEEN,
        accepts_common_name=True,
        beside_addresses=True,
    ),
    "openssl": Client(
        title="OpenSSL 3 as it is at security level 2 (the default from 3.2 on, and earlier in Debian and Ubuntu), and "
        "with it Python up to 3.12, Ruby and PHP; curl is the same but for leaf-is-anchor and anchor-not-root",
        asked="a TLS handshake by Python 3.12.1 on OpenSSL 3.0.22, and openssl verify",
        source=f"{_HANDSHAKE}; openssl-verification-options(1)",
        seen=_SEEN,
        accepts_common_name=True,
        beside_addresses=True,
    ),
    "gnutls": Client(
        title="GnuTLS 3.7, and with it Debian's wget",
        asked="a TLS handshake by gnutls-cli 3.7.9",
        source=_HANDSHAKE,
        seen=_SEEN,
        accepts_common_name=True,
    ),
    "go": Client(
        title="Go (crypto/tls, crypto/x509): no common name from 1.15, no SHA-1 from 1.18, no negative serial number "
        "from 1.23 on",
        asked="a TLS handshake by Go 1.27.3 with the root in RootCAs",
        source="measured; golang/go issues 51852 (SHA-1) and 8265 (negative numbers)",
        seen=_SEEN,
    ),
    "java": Client(
        title="Java 17 and later (JSSE, PKIX) with a trust store of one's own",
        asked="a TLS handshake with endpoint identification HTTPS by OpenJDK 17.0.15 and Temurin 25.0.3",
        source=f"{_HANDSHAKE}; java.security: jdk.certpath.disabledAlgorithms",
        seen=_SEEN,
        accepts_common_name=True,
        beside_addresses=True,
    ),
    "chrome": Client(
        title="Chrome and Chromium",
        asked="a page loaded by Chromium 156 on Linux with the root trusted by the user; limits for public roots read",
        source="measured; Chromium: net/cert/cert_verify_proc.cc; Chrome Certificate Transparency Policy",
        seen=_SEEN,
    ),
    "apple": Client(
        title="iOS 13, macOS 10.15 and later: Safari and all that asks the system",
        asked="not run: what Apple has published",
        source="Apple support articles 103769 and 102028; Apple: Secure Transport result codes",
        seen=_SEEN,
    ),
    "schannel": Client(
        title="Windows: Schannel and the chain engine of Crypt32",
        asked="not run: what Microsoft has published; check(trust='system') on Windows asks Windows itself",
        source="Windows: CERT_TRUST_STATUS, CERT_CHAIN_POLICY_STATUS, CertGetEnhancedKeyUsage; security advisory "
        "2661254",
        seen=_SEEN,
        accepts_common_name=True,
    ),
}
"""Each client by its name, in the order of the table's columns."""
assert tuple(CLIENTS) == get_args(ClientName)

BESIDES_CLIENTS = frozenset(
    {
        *("key-missing", "key-mismatch", "key-not-persisted", "key-not-machine", "pfx-unreadable", "not-a-pfx"),
        *("rsa-exponent", "rsa-small-factor", "rsa-close-primes", "rsa-roca", "key-compromised"),
        *("revoked", "crl-not-found", "crl-expired", "crl-invalid", "revocation-pointer-missing"),
        *("eku-client-auth-missing", "trust-not-asked", "work-limit-exceeded", "protocol-obsolete", "user-rule-failed"),
    }
)
"""What matters whichever client asks: the server's own affairs, keys that others have, revocation, limits of ours."""

# One letter for each client, in the order of CLIENTS: R refuses; r refuses, but not in a trusted root; l refuses in the
# leaf, elsewhere not known; P refuses from public authorities (the profile public), takes from others; a takes; ? not
# known, or it depends on more than the finding says. A code may have rows for its cases, which are named behind a
# slash; the row without a case is for the rest. Python, OpenSSL strict, OpenSSL, GnuTLS; Go, Java, Chrome; Apple,
# Schannel.
_TABLE = """
key-unreadable                              RRRR RRR ??
key-type                                    llll lll ??
key-type-eddsa                              aaaa aaR ??
ec-curve                                    llll lRR ??
ec-curve-p521                               aaaa aaR ??
rsa-unusable                                RRRR RRR RR
rsa-too-small                               RRRa aaa R?
rsa-modulus-bits                            aaaa aaa ??
rsa-exponent-small                          aaaa aaa ??

signature-hash                              RRRR RaR R?
signature-hash-broken                       RRRR RRR R?
signature-algorithm                         ???? ??? ??
signature-algorithm-mismatch                RRRR RRR ??
ecdsa-hash                                  aaaa aaa ??
signature-invalid                           RRRR RRR RR

expired                                     RRRR RrR RR
not-yet-valid                               RRRR RrR RR
dates-reversed                              RRRR RrR RR
validity-too-long                           aaaa aaP R?
validity-backdated                          aaaa aaa a?
validity-above-recommended                  aaaa aaa a?
expires-soon                                aaaa aaa aa
outlives-issuer                             aaaa aaa ??
date-encoding                               aaaa aaa ??

name-mismatch                               RRRR RRR RR
common-name-only                            aaaa RaR R?
san-missing                                 RRRR RRR R?
san-without-host                            ???? R?R R?
san-type                                    aaaa aaa ??
san-critical                                aaaa aaa ??
san-not-critical                            RRaa aRR ??
common-name-spelling                        aaaa aaa ??
common-name-other-host                      aaaa aaa ??
common-name-not-in-san                      aaaa aaa ??
dns-name-malformed                          aaaa aaa ??
dns-name-underscore                         aaaa a?a ??
dns-name-idna                               aaaa aaa ??
ip-as-dns-name                              aaaa aaa ??
ip-malformed                                aaaa RaR ??
wildcard-malformed                          aaaa aaa ??
wildcard-top-level                          aaaa aaa ??
wildcard-top-level/decisive                 RRRR aaR ??
wildcard-public-suffix                      aaaa aaR ??
wildcard-public-suffix-unmatched            aaaa aaa ??
internal-name                               aaaa aa? ??
reserved-ip                                 aaaa aaa ??
reverse-zone-name                           aaaa aaa ??

eku-missing                                 aaaa aaa Ra
eku-server-auth-missing                     RRRR RRR RR
eku-server-auth-missing/empty               RRRa aRR R?
eku-any                                     aaaa aaa aa
eku-any-only                                RRRa aaa R?
eku-other-usage                             aaaa aaa a?
eku-client-auth                             aaaa aaa a?
eku-critical                                aaaa aaa ??
netscape-type                               RRRa aRa ??
issuer-eku                                  RRRr RaR ?R
issuer-eku-any                              RRRr aaa ??
root-eku                                    aaaa aaa ??
key-usage-unsuitable                        RRRR aRR ??
key-usage-unsuitable/key exchange           aaaR aRR ??
key-usage-unsuitable/empty                  RRRa aRR ??
key-usage-no-signature                      aaaR aRR ??
key-usage-missing                           aaaa aaa ??
key-usage-empty                             RRRa aRR ??
key-usage-cert-sign                         aaaa aaa ??
key-usage-cert-sign/keyCertSign             RRaa aaa ??
key-usage-ec-encipherment                   aaaa aaa ??
key-usage-not-critical                      aaaa aaa ??
leaf-is-ca                                  aaaa aaa ??
leaf-is-ca/no server                        RRRR aRR ??

issuer-not-ca                               RRRR RRR ?R
intermediate-basic-constraints-missing      RRRR RRR ??
root-basic-constraints-missing              RRaa RRa ??
root-basic-constraints-missing/version 1    RRaa aaa ??
basic-constraints-not-critical              RRaa aaa ??
path-length-exceeded                        RRRR RrR ?R
issuer-key-usage                            RRRR RRR ??
issuer-key-usage-missing                    RRaa aaa ??
issuer-subject-empty                        RRaa aRa ??
issuer-empty                                RRaa aRa ??
issuer-name-encoding                        aaaR Ra? ??
aki-missing                                 RRaa aaa ??
aki-missing/version 1                       aaaa aaa ??
anchor-aki-missing                          aaaa aaa ??
anchor-not-root                             aRRa aaa ??
aki-no-key-identifier                       rraa aaa ??
aki-mismatch                                rRR? a?a ??
aki-issuer-serial                           aaaa aaa ??
issuer-ski-missing                          RRaa aaa ??
leaf-ski-missing                            aaaa aaa ??

extension-malformed                         ???? ??? ??
extension-malformed/empty                   aaaa aa? ??
extension-malformed/authorityInfoAccess     aaaa RaR ??
extension-malformed/authorityKeyIdentifier  RRRa RaR ??
extension-malformed/basicConstraints        RRR? R?R ??
extension-malformed/cRLDistributionPoints   RRRa Raa ??
extension-malformed/certificatePolicies     aaaa RaR ??
extension-malformed/extKeyUsage             RRR? ??R ??
extension-malformed/freshestCRL             aaaa aaa ??
extension-malformed/inhibitAnyPolicy        aaaa RaR ??
extension-malformed/issuerAltName           aaaR aaa ??
extension-malformed/keyUsage                RRR? RaR ??
extension-malformed/nameConstraints         ???? R?R ??
extension-malformed/netscapeCertType        RRRa aaa ??
extension-malformed/policyConstraints       aaaa RaR ??
extension-malformed/policyMappings          aaaa RaR ??
extension-malformed/subjectAltName          RRRR R?R ??
extension-malformed/subjectInfoAccess       aaaa aaa ??
extension-malformed/subjectKeyIdentifier    RRRa RaR ??
extension-duplicate                         RRRR RRR ??
extension-duplicate/unknown                 aaaR RRR ??
extension-unknown-critical                  RRRR RrR ?R
extension-unknown-critical/2.16.840.1.113730.1.1  aaaR RrR ??
extension-critical                          RRRR RrR ??
extension-critical/authorityInfoAccess      RRRa RrR ??
extension-critical/authorityKeyIdentifier   RRRa RrR ??
extension-critical/issuerAltName            RRRa RrR ??
extension-critical/subjectKeyIdentifier     RRRa RrR ??
crl-points-critical                         aaaa arR ??
extension-not-critical                      aaaa aaa ??
precertificate                              RRRR RRR ??
version                                     aaaa aaa ??
version-extensions                          RRaR rRR ??
proxy-certificate                           RRRa aaa ??
serial-not-positive                         aaaa aaa ??
serial-not-positive/negative                aaaa Raa ??
serial-too-long                             aaaa aaa ??
serial-predictable                          aaaa aaa ??
unique-id                                   aaaa aaa ??
name-unreadable                             ???? ??? ??
common-name-too-long                        aaaa aaa ??
subject-ou                                  aaaa aaa ??
policies-missing                            aaaa aaa ??
aia-missing                                 aaaa aaa ??
sct-missing                                 aaaa aa? ??

name-constraints-violated                   RRRR RrR ?R
name-constraints-common-name                RRRR aaa ??
name-constraints-unsupported                RRRR R?R ?R
name-constraints-malformed                  aaa? ?a? ??
name-constraints-not-critical               aaaa aaa ??
name-constraints-distance                   RRRa arR ??
leaf-name-constraints                       aaaa aaa ??
policy-required                             aaaR RRR ?R
policy-mappings-any                         aaa? aaR ??

issuer-not-found                            RRRR RRR RR
root-not-trusted                            RRRR RRR RR
self-signed-not-trusted                     RRRR RRR RR
self-signed-leaf                            aaaa aa? ??
leaf-is-anchor                              aRRa aa? ??
path-too-long                               aaa? a?? ??

chain-order                                 aaaa aaa ??
chain-unrelated                             aaaa aaa ??
chain-sends-root                            aaaa aaa ??
"""


def _rows() -> dict[str, str]:
    rows = {}
    for line in filter(None, _TABLE.splitlines()):
        key, *letters = line.rsplit(None, 3)
        rows[key] = "".join(letters)
    return rows


OPINIONS: Mapping[str, str] = _rows()
"""Letters by code, or by `code/case`."""
assert all(len(letters) == len(CLIENTS) for letters in OPINIONS.values())

# From which day of issue (notBefore) on a client refuses.
_SINCE = {
    ("apple", code): date(2019, 7, 2)
    for code in ("eku-missing", "eku-server-auth-missing", "eku-any-only", "validity-too-long")
}


def opinions(code: str, cases: tuple[str, ...], role: str, issued: date, *, public: bool) -> dict[str, bool]:
    """By client whether it refuses a certificate with this finding; a client of whom it is not known is left out.

    Args:
        code: The finding's code.
        cases: Names of cases of it; the first that has a row counts.
        role: Where it stands: "leaf", "intermediate" or "root".
        issued: The day of issue of the certificate that it stands at.
        public: Whether the path is judged as a public authority's.
    """
    rows = (OPINIONS.get(f"{code}/{case}") for case in cases)
    letters = next(filter(None, rows), OPINIONS.get(code, ""))
    found = {}
    for client, letter in zip(CLIENTS, letters, strict=False):
        since = _SINCE.get((client, code))
        if letter == "?" or (letter == "l" and role != "leaf"):
            continue
        refuses = letter in "Rl" or (letter == "r" and role != "root") or (letter == "P" and public)
        found[client] = refuses and (since is None or issued >= since)
    return found
