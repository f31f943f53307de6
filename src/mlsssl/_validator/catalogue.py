"""The rule table: every finding code, what it means under each profile, and the standard behind it.

It is data: no rule is repeated elsewhere, and the documentation's table of finding codes is generated from it. A rule
is an error under every profile by default; the five letters of its `levels` are its severity under procedure, private,
public, windows and legacy, and a single letter is the same under each. A standard that begins with `mlsssl: docs/` is
a page of this library's documentation, where no standard says so.
"""

from __future__ import annotations

from datetime import date
from functools import partial

from mlsssl._validator.rules import NEW_AUTHORITY, Rule, rule

_BR = "CA/Browser Forum TLS BR"
_APPLE = "Apple support article 103769"
_BR_START = {"public": date(2012, 7, 1)}

_modern = partial(rule, levels="W E E W W")  # what clients of today refuse, and old ones and Windows let pass
_strict = partial(rule, levels="- W E - -")  # what a standard demands, and only strict clients and programmes look at
_authority = partial(rule, remedy=NEW_AUTHORITY)
_rsa = partial(rule, remedy='issue with a new key: ca.issue(..., key="rsa-2048")')

_KEY = (
    rule(
        "key-missing",
        "The private key is not with the certificate.",
        levels="E N N E N",
        expected="the private key together with the certificate",
        remedy="load the .pfx instead of the .cer: Certificate.load('server.pfx', password=...)",
        standard="RFC 8446 section 4.4.3",
    ),
    rule(
        "key-mismatch",
        "The private key belongs to another certificate.",
        expected="the private key whose public half is in the certificate",
        remedy="load the key that was made for this certificate, or issue a new pair: ca.issue(...)",
        standard="RFC 8446 section 4.4.3",
    ),
    rule(
        "key-unreadable",
        "The public key is of a kind or an encoding that cannot be read.",
        expected="an RSA or EC public key, encoded as RFC 3279 and RFC 5480 say",
        standard="RFC 5280 section 4.1.2.7",
    ),
    _modern(
        "key-type",
        "The public key is of a type that TLS servers of today cannot use.",
        expected="an RSA or EC key",
        remedy='issue with another key: ca.issue(..., key="ec-p256")',
        standard=f"{_BR} section 6.1.5",
    ),
    rule(
        "key-type-eddsa",
        "Ed25519 and Ed448 are not supported by browsers; support by Schannel is not verified.",
        levels="W W E W W",
        expected="an RSA or EC key",
        remedy='issue with another key: ca.issue(..., key="ec-p256")',
        standard=f"{_BR} section 6.1.5",
    ),
    rule(
        "ec-curve",
        "The elliptic curve is not one of the NIST prime curves that TLS clients support.",
        levels="W E E E W",
        expected="P-256 or P-384",
        remedy='issue with another key: ca.issue(..., key="ec-p256")',
        standard=f"{_BR} section 6.1.5; RFC 8446 section 4.2.3",
    ),
    rule(
        "ec-curve-p521",
        "Chromium-based browsers do not accept P-521 keys of servers.",
        levels="- W N - -",
        expected="P-256 or P-384",
        remedy='issue with another key: ca.issue(..., key="ec-p384")',
        standard="RFC 8446 section 9.1",
    ),
    _rsa(
        "rsa-unusable",
        "The RSA key has fewer than 1024 bits, which every current TLS library refuses.",
        expected="at least 2048 bits",
        standard="NIST SP 800-57 part 1; Windows security advisory 2661254",
    ),
    _modern(
        "rsa-too-small",
        "The RSA key is too small for the clients of today.",
        expected="at least 2048 bits",
        remedy='issue with a new key: ca.issue(..., key="rsa-2048")',
        standard=f"{_BR} section 6.1.5; {_APPLE}",
    ),
    _rsa(
        "rsa-modulus-bits",
        "The size of the RSA modulus is not a whole number of octets.",
        levels="- N E - -",
        expected="a modulus of a multiple of 8 bits",
        standard=f"{_BR} section 6.1.5",
    ),
    _rsa(
        "rsa-exponent",
        "The RSA public exponent is even or below 3, so that signatures are worthless.",
        expected="an odd exponent, 65537 by custom",
        standard=f"{_BR} section 6.1.6; RFC 8017 section 3.1",
    ),
    _rsa(
        "rsa-exponent-small",
        "The RSA public exponent is smaller than recommended.",
        levels="- N W - -",
        expected="65537 or more",
        standard=f"{_BR} section 6.1.6",
    ),
    _rsa(
        "rsa-small-factor",
        "The RSA modulus has a small prime factor: anyone can compute the private key.",
        expected="a product of two large primes",
        standard=f"{_BR} section 6.1.6; NIST SP 800-89 section 5.3.3",
    ),
    _rsa(
        "rsa-close-primes",
        "The primes of the RSA modulus are so close that Fermat's method finds them: the private key is public.",
        expected="two primes far apart",
        standard=f"{_BR} section 6.1.1.3; CVE-2022-26320",
    ),
    _rsa(
        "rsa-roca",
        "The RSA modulus has the fingerprint of the ROCA weakness: the private key can be computed.",
        expected="a key from a generator without CVE-2017-15361",
        standard=f"{_BR} section 6.1.1.3; CVE-2017-15361",
    ),
    rule(
        "key-compromised",
        "The private key is public knowledge: one of Debian's weak keys of 2006 to 2008, or published elsewhere.",
        expected="a key that nobody else has",
        remedy='issue with a new key, and revoke what has the old one: ca.issue(..., key="rsa-2048")',
        standard=f"{_BR} section 6.1.1.3; CVE-2008-0166",
    ),
)

_SIGNATURE = (
    _modern(
        "signature-hash",
        "The signature is over SHA-1, for which collisions are made in practice.",
        expected="SHA-256, SHA-384 or SHA-512",
        standard=f"{_BR} section 7.1.3.2; {_APPLE}",
    ),
    rule(
        "signature-hash-broken",
        "The signature is over MD2, MD4 or MD5, which anyone can forge.",
        levels="W E E E E",
        expected="SHA-256, SHA-384 or SHA-512",
        standard=f"RFC 6151; {_BR} section 7.1.3.2",
    ),
    _strict(
        "signature-algorithm",
        "The signature algorithm, or the way it is encoded, is not one that clients are required to know.",
        expected="RSA (PKCS #1 v1.5 or PSS) or ECDSA with SHA-256, SHA-384 or SHA-512",
        remedy='issue from an authority with such a key: CertificateAuthority.create(..., key="ec-p256")',
        standard=f"{_BR} section 7.1.3.2",
    ),
    rule(
        "signature-algorithm-mismatch",
        "The certificate names two different signature algorithms, inside and outside its signed part.",
        expected="the same algorithm in signatureAlgorithm and in the signed part",
        standard="RFC 5280 section 4.1.1.2",
    ),
    rule(
        "ecdsa-hash",
        "The hash of an ECDSA signature does not fit the issuer's curve.",
        levels="- - W - -",
        expected="SHA-256 from P-256, SHA-384 from P-384, SHA-512 from P-521",
        standard=f"{_BR} section 7.1.3.2.2",
    ),
    rule(
        "signature-invalid",
        "The signature was not made by the key of the issuer of that name.",
        expected="a signature by the issuer's key",
        remedy="give the issuer that really signed it, chain=[...] or trust=[...], or issue a new certificate",
        standard="RFC 5280 section 6.1.3 (a)(1)",
    ),
)

_DATES = (
    rule(
        "expired",
        "The certificate's validity is over.",
        expected="a notAfter that is not past",
        remedy="issue a new one, ca.issue(...), or renew the binding: renew(binding, ca)",
        standard="RFC 5280 sections 4.1.2.5 and 6.1.3 (a)(2)",
    ),
    rule(
        "not-yet-valid",
        "The certificate's validity has not begun, or a clock is wrong.",
        expected="a notBefore that is not in the future",
        remedy="wait, or set the clock right; ca.issue(...) dates certificates one hour back for this",
        standard="RFC 5280 sections 4.1.2.5 and 6.1.3 (a)(2)",
    ),
    rule(
        "dates-reversed",
        "The certificate ends before it begins.",
        expected="notAfter after notBefore",
        standard="RFC 5280 section 4.1.2.5",
    ),
    rule(
        "validity-too-long",
        "The certificate is valid for longer than clients accept.",
        levels="- E E - -",
        expected="a validity within the limit of its day of issue",
        remedy="issue a shorter one: ca.issue(..., days=199)",
        standard=f"{_BR} section 6.3.2; {_APPLE}",
    ),
    rule(
        "validity-backdated",
        "The certificate is very long-lived, and escapes the limit only by a notBefore from before there was one.",
        levels="- N W - -",
        expected="a notBefore that is the day of issue, and a validity within its limit",
        remedy="issue an honest one: ca.issue(..., days=199)",
        standard=f"{_BR} sections 6.3.2 and 7.1.2.7; {_APPLE}",
    ),
    rule(
        "validity-above-recommended",
        "The certificate is valid for exactly the limit, one day more than recommended.",
        levels="- - W - -",
        expected="one day less than the limit, so that a leap second or a rounding breaks nothing",
        remedy="issue a shorter one: ca.issue(..., days=199)",
        standard=f"{_BR} section 6.3.2",
    ),
    rule(
        "expires-soon",
        "Less than a tenth of the certificate's validity is left.",
        levels="N",
        expected="a renewal after two thirds of the validity",
        remedy="renew it: renew(binding, ca)",
        standard="mlsssl: docs/howto-renew-for-ever",
    ),
    rule(
        "outlives-issuer",
        "The certificate is valid for longer than the authority that issued it.",
        levels="- W W N -",
        expected="a notAfter not later than the issuer's",
        standard="RFC 5280 section 6.1.3 (a)(2)",
    ),
    _strict(
        "date-encoding",
        "A date is not encoded as its year demands.",
        expected="UTCTime until 2049, GeneralizedTime from 2050",
        standard="RFC 5280 section 4.1.2.5",
    ),
)

_ENCODING = (
    rule(
        "encoding-odd",
        "A field is encoded as DER or RFC 5280 do not allow: OpenSSL takes it, and strict readers, Python's "
        "cryptography among them, refuse the whole certificate.",
        levels="W W E W N",
        expected="every field encoded as DER and RFC 5280 say",
        remedy="have it issued anew by a tool of today: ca.issue(...)",
        standard="RFC 5280 section 4.1; X.690 (DER)",
    ),
    rule(
        "encoding-broken",
        "A field is encoded so that OpenSSL, too, refuses the whole certificate.",
        expected="every field encoded as DER and RFC 5280 say",
        remedy="have it issued anew by a tool of today: ca.issue(...)",
        standard="RFC 5280 section 4.1; X.690 (DER)",
    ),
    _modern(
        "date-form",
        "A date has an offset, a fraction of a second or no seconds: OpenSSL shows it, and refuses the certificate "
        "when it verifies it.",
        expected="YYMMDDHHMMSSZ as UTCTime until 2049, YYYYMMDDHHMMSSZ as GeneralizedTime from 2050",
        remedy="have it issued anew by a tool of today: ca.issue(...)",
        standard="RFC 5280 sections 4.1.2.5.1 and 4.1.2.5.2",
    ),
)

_NAMES = (
    rule(
        "name-mismatch",
        "The certificate is not for the name that clients use.",
        expected="a subjectAltName that matches the name asked about",
        remedy="issue one for this name: ca.issue(name, ...)",
        standard="RFC 9525 section 6",
    ),
    _modern(
        "common-name-only",
        "The name stands in the subject's common name only, which clients have ignored since 2017.",
        expected="every name in subjectAltName",
        remedy="issue one for these names: ca.issue(name, ...) puts them into subjectAltName",
        standard=f"RFC 9525 section 2; {_APPLE}; {_BR} section 7.1.2.7.12",
    ),
    rule(
        "san-missing",
        "The certificate has neither subjectAltName nor common name: it is for no name at all.",
        expected="every name in subjectAltName",
        remedy="issue one for its names: ca.issue(name, ...)",
        standard=f"RFC 9525 section 2; {_BR} section 7.1.2.7.12",
    ),
    _modern(
        "san-without-host",
        "The subjectAltName holds no DNS name and no IP address.",
        expected="at least one dNSName or iPAddress",
        remedy="issue one for its names: ca.issue(name, ...)",
        standard=f"RFC 9525 section 2; {_BR} section 7.1.2.7.12",
        since=_BR_START,
    ),
    rule(
        "san-type",
        "The subjectAltName holds something other than DNS names and IP addresses.",
        levels="- - E - -",
        expected="only dNSName and iPAddress",
        remedy="issue one for its host names only: ca.issue(name, ...)",
        standard=f"{_BR} section 7.1.2.7.12",
        since=_BR_START,
    ),
    rule(
        "san-critical",
        "The subjectAltName is critical although there is a subject.",
        levels="- N E - -",
        expected="a subjectAltName that is critical only when the subject is empty",
        standard=f"RFC 5280 section 4.2.1.6; {_BR} section 7.1.2.7.12",
    ),
    _strict(
        "san-not-critical",
        "The subject is empty and the subjectAltName is not critical; strict OpenSSL (Python 3.13 and later) refuses "
        "that.",
        expected="a critical subjectAltName when the subject is empty",
        standard="RFC 5280 sections 4.1.2.6 and 4.2.1.6",
    ),
    _strict(
        "common-name-spelling",
        "The common name is one of the certificate's names in another spelling.",
        expected="a character-for-character copy of a name in subjectAltName",
        remedy='issue without a common name, or with a listed one: ca.issue("name", common_name="name")',
        standard=f"{_BR} section 7.1.4.3",
    ),
    _strict(
        "common-name-other-host",
        "The common name is a host that the subjectAltName does not have, so that people and clients disagree.",
        expected="a common name that is one of the names in subjectAltName",
        remedy='issue without a common name, or with a listed one: ca.issue("name", common_name="name")',
        standard=f"{_BR} section 7.1.4.3",
    ),
    rule(
        "common-name-not-in-san",
        "The common name is not one of the names in subjectAltName.",
        levels="- N W - -",
        expected="a common name that is one of the names in subjectAltName, or none",
        remedy='issue without a common name, or with a listed one: ca.issue("name", common_name="name")',
        standard=f"{_BR} section 7.1.4.3",
    ),
    _modern(
        "dns-name-malformed",
        "A DNS name in subjectAltName is not a host name.",
        expected="labels of 1 to 63 letters, digits and hyphens, 253 characters in all, no dot at either end",
        remedy="issue one for the right names: ca.issue(name, ...)",
        standard="RFC 5280 section 4.2.1.6; RFC 1034 section 3.5",
    ),
    _strict(
        "dns-name-underscore",
        "A DNS name in subjectAltName has an underscore, which host names cannot have.",
        expected="letters, digits and hyphens only",
        remedy="give the server a host name without underscore and issue for it: ca.issue(name, ...)",
        standard="RFC 5280 section 4.2.1.6; RFC 1034 section 3.5",
    ),
    rule(
        "dns-name-idna",
        "An internationalised DNS name in subjectAltName is not a valid A-label.",
        levels="- N W - -",
        expected="A-labels that IDNA 2008 can decode",
        remedy="issue one for the name as people write it: ca.issue('bücher.example') encodes it",
        standard=f"RFC 5280 section 7.2; RFC 5891; {_BR} section 7.1.2.7.12",
    ),
    rule(
        "ip-as-dns-name",
        "An IP address stands in subjectAltName as a DNS name, where clients do not look for it.",
        levels="W W E W W",
        expected="an IP address as iPAddress",
        remedy='issue one for the address: ca.issue("10.0.0.5") puts it into the right place',
        standard=f"RFC 9525 section 6.5; {_BR} section 7.1.4.2",
    ),
    _modern(
        "ip-malformed",
        "An IP address in subjectAltName does not have 4 or 16 octets.",
        expected="4 octets for IPv4, 16 for IPv6, no mask",
        remedy='issue one for the address: ca.issue("10.0.0.5")',
        standard="RFC 5280 section 4.2.1.6",
    ),
    rule(
        "wildcard-malformed",
        "A wildcard is not the whole leftmost label, so that no client matches it.",
        levels="W W E W W",
        expected="a name of the form *.example.com",
        remedy='issue one with a wildcard as the whole first label: ca.issue("*.example.com")',
        standard="RFC 9525 section 6.3",
    ),
    _modern(
        "wildcard-top-level",
        "A wildcard stands for every name of a top-level domain; browsers refuse it.",
        expected="at least two labels after the asterisk",
        remedy='issue one for names of your own domain: ca.issue("*.corp.example")',
        standard=f"RFC 9525 section 7.1; {_BR} section 3.2.2.6",
    ),
    _strict(
        "wildcard-public-suffix",
        "The name asked about is matched only by a wildcard for every name of a public suffix, under which strangers "
        "register names.",
        expected="a wildcard below a domain of your own",
        remedy='issue one for names of your own domain: ca.issue("*.corp.example")',
        standard=f"{_BR} section 3.2.2.6; publicsuffix.org",
    ),
    rule(
        "wildcard-public-suffix-unmatched",
        "A wildcard stands for every name of a public suffix; it is not what matches the name asked about, if any was.",
        levels="- N W - -",
        expected="wildcards below domains of your own; the owner of the suffix, such as a cloud provider, may have one",
        remedy='leave it out, unless the suffix is yours: ca.issue("www.corp.example")',
        standard=f"{_BR} section 3.2.2.6; publicsuffix.org",
    ),
    rule(
        "internal-name",
        "A DNS name does not end in a public top-level domain: no public authority may issue for it.",
        levels="- - W - -",
        expected="names that end in a public top-level domain",
        remedy='keep such names to a private authority, and check with profile="private"',
        standard=f"{_BR} section 4.2.2",
        since={"public": date(2015, 11, 1)},
    ),
    rule(
        "reserved-ip",
        "An IP address is reserved for private use: no public authority may issue for it.",
        levels="- - W - -",
        expected="addresses that are routed on the internet",
        remedy='keep such addresses to a private authority, and check with profile="private"',
        standard=f"{_BR} section 4.2.2",
        since={"public": date(2015, 11, 1)},
    ),
    rule(
        "reverse-zone-name",
        "A DNS name ends in .arpa, the zone of reverse look-ups.",
        levels="- - E - -",
        expected="names of hosts",
        remedy="issue one for the host's name: ca.issue(name, ...)",
        standard=f"{_BR} section 4.2.2 (ballot SC-085)",
        since={"public": date(2026, 3, 15)},
    ),
)

_USAGE = (
    rule(
        "eku-missing",
        "The certificate has no extended key usage.",
        levels="E E E W W",
        expected="extendedKeyUsage with serverAuth (1.3.6.1.5.5.7.3.1)",
        remedy="issue a new certificate: ca.issue(...) sets serverAuth",
        standard=f"{_APPLE}; {_BR} section 7.1.2.7.10",
        since={"private": date(2019, 7, 2), **_BR_START},
    ),
    rule(
        "eku-server-auth-missing",
        "The extended key usage does not allow TLS servers.",
        expected="extendedKeyUsage with serverAuth (1.3.6.1.5.5.7.3.1)",
        remedy="issue a new certificate: ca.issue(...) sets serverAuth",
        standard="RFC 5280 section 4.2.1.12",
    ),
    rule(
        "eku-client-auth-missing",
        "The extended key usage of a client's certificate does not allow TLS clients, so that servers refuse it.",
        expected="extendedKeyUsage with clientAuth (1.3.6.1.5.5.7.3.2)",
        remedy="issue a new certificate: ca.issue_client(...) sets clientAuth",
        standard="RFC 5280 section 4.2.1.12",
    ),
    rule(
        "eku-any",
        "The extended key usage allows everything (anyExtendedKeyUsage).",
        levels="E W E N N",
        expected="serverAuth and nothing wider",
        remedy="issue a new certificate: ca.issue(...) sets serverAuth only",
        standard=f"{_BR} section 7.1.2.7.10",
    ),
    rule(
        "eku-any-only",
        "The extended key usage allows everything (anyExtendedKeyUsage) and does not name TLS servers; OpenSSL, with "
        "curl and Python on it, refuses that.",
        levels="E E E N N",
        expected="serverAuth",
        remedy="issue a new certificate: ca.issue(...) sets serverAuth",
        standard=f"RFC 5280 section 4.2.1.12; {_BR} section 7.1.2.7.10; openssl-verification-options(1)",
    ),
    _strict(
        "eku-other-usage",
        "The extended key usage also allows signing code, mail, time stamps or OCSP answers.",
        expected="serverAuth, and clientAuth where it is needed",
        remedy="issue a new certificate: ca.issue(...) sets serverAuth only",
        standard=f"{_BR} section 7.1.2.7.10",
    ),
    rule(
        "eku-client-auth",
        "The extended key usage also allows TLS clients, which public programmes are ending.",
        levels="- - W - -",
        expected="serverAuth only",
        remedy="issue a new certificate: ca.issue(...) sets serverAuth only",
        standard="Chrome Root Program Policy 1.8",
        since={"public": date(2027, 3, 15)},
    ),
    rule(
        "eku-critical",
        "The extended key usage is critical.",
        levels="- N E - -",
        expected="extendedKeyUsage that is not critical",
        standard=f"{_BR} section 7.1.2.7.6",
    ),
    _modern(
        "netscape-type",
        "The Netscape certificate type does not allow TLS servers, and OpenSSL still looks at it.",
        expected="a certificate without that extension of the nineties, or one with the bit for TLS servers",
        standard="openssl-verification-options(1), Certificate Extensions",
    ),
    rule(
        "issuer-eku",
        "An issuer's extended key usage does not allow issuing for TLS servers.",
        levels="E E E E W",
        expected="no extendedKeyUsage in the issuer, or one with serverAuth",
        remedy="make an intermediate without that limit: ca.create_intermediate(...)",
        standard=f"{_BR} section 7.1.2.10.6; Windows: CertGetEnhancedKeyUsage",
    ),
    _modern(
        "issuer-eku-any",
        "An issuer's extended key usage allows everything (anyExtendedKeyUsage) and does not name TLS servers; OpenSSL "
        "refuses what is below it.",
        expected="no extendedKeyUsage in the issuer, or one with serverAuth",
        remedy="make an intermediate without that limit: ca.create_intermediate(...)",
        standard=f"{_BR} section 7.1.2.10.6; openssl-verification-options(1)",
    ),
    _authority(
        "root-eku",
        "The root has an extended key usage: OpenSSL and Windows hold everything below to it, and public roots must "
        "not have one.",
        levels="- N E N -",
        expected="a root without extendedKeyUsage",
        standard=f"{_BR} section 7.1.2.1.2; RFC 5280 section 4.2.1.12; openssl-verification-options(1); "
        "Windows: CertGetEnhancedKeyUsage",
    ),
    rule(
        "key-usage-unsuitable",
        "The key usage forbids what a TLS server does with its key.",
        expected="digitalSignature",
        remedy="issue a new certificate: ca.issue(...) sets digitalSignature",
        standard="RFC 8446 section 4.4.2.2; RFC 5246 section 7.4.2",
    ),
    rule(
        "key-usage-no-signature",
        "The key usage allows key encipherment only: neither TLS 1.3 nor forward secrecy is possible.",
        levels="W W W W N",
        expected="digitalSignature as well",
        remedy="issue a new certificate: ca.issue(...) sets digitalSignature",
        standard="RFC 8446 section 4.4.2.2",
    ),
    rule(
        "key-usage-missing",
        "The certificate does not say what its key is for.",
        levels="- N N - -",
        expected="keyUsage with digitalSignature",
        remedy="issue a new certificate: ca.issue(...) sets it",
        standard=f"RFC 5280 section 4.2.1.3; {_BR} section 7.1.2.7.6",
    ),
    _strict(
        "key-usage-empty",
        "The key usage allows nothing.",
        expected="at least one bit set",
        remedy="issue a new certificate: ca.issue(...) sets digitalSignature",
        standard="RFC 5280 section 4.2.1.3",
    ),
    _strict(
        "key-usage-cert-sign",
        "The key usage of a server allows signing certificates or revocation lists; strict OpenSSL (Python 3.13 and "
        "later) refuses the former.",
        expected="neither keyCertSign nor cRLSign",
        remedy="issue a new certificate: ca.issue(...) sets what a server needs",
        standard=f"RFC 5280 section 4.2.1.9; {_BR} section 7.1.2.7.11",
    ),
    _strict(
        "key-usage-ec-encipherment",
        "The key usage of an EC key allows key encipherment, which EC keys cannot do.",
        expected="digitalSignature without keyEncipherment and dataEncipherment",
        remedy="issue a new certificate: ca.issue(...) sets what the key can do",
        standard=f"RFC 8813 section 3; {_BR} section 7.1.2.7.11",
    ),
    rule(
        "key-usage-not-critical",
        "The key usage is not critical.",
        levels="- N W - -",
        expected="a critical keyUsage",
        standard=f"RFC 5280 section 4.2.1.3; {_BR} section 7.1.2.7.6",
    ),
    _modern(
        "leaf-is-ca",
        "The server's certificate is an authority: Firefox refuses it, and whoever steals its key can issue.",
        expected="basicConstraints with CA:FALSE",
        standard=f"RFC 5280 section 4.2.1.9; {_BR} section 7.1.2.7.8",
    ),
)

_ISSUERS = (
    rule(
        "issuer-not-ca",
        "An issuer is no certification authority.",
        expected="basicConstraints with CA:TRUE in every issuer",
        remedy="issue from an authority: CertificateAuthority.create(...) or ca.create_intermediate(...)",
        standard="RFC 5280 section 6.1.4 (k)",
    ),
    rule(
        "intermediate-basic-constraints-missing",
        "An intermediate does not say that it is a certification authority.",
        expected="critical basicConstraints with CA:TRUE",
        remedy="make a new intermediate: ca.create_intermediate(...)",
        standard="RFC 5280 sections 4.2.1.9 and 6.1.4 (k)",
    ),
    _modern(
        "root-basic-constraints-missing",
        "The root does not say that it is an authority; Firefox and strict OpenSSL (Python 3.13 and later) refuse it.",
        expected="critical basicConstraints with CA:TRUE",
        remedy=NEW_AUTHORITY,
        standard="RFC 5280 section 4.2.1.9",
    ),
    _strict(
        "basic-constraints-not-critical",
        "The basic constraints of an authority are not critical; strict OpenSSL (Python 3.13 and later) refuses that.",
        expected="critical basicConstraints",
        remedy=NEW_AUTHORITY,
        standard="RFC 5280 section 4.2.1.9",
    ),
    rule(
        "path-length-exceeded",
        "There are more intermediates below an issuer than it allows.",
        expected="at most as many intermediates as pathLenConstraint says",
        remedy="issue from the authority whose path length allows it, or make one: create(..., path_length=...)",
        standard="RFC 5280 sections 4.2.1.9 and 6.1.4 (l), (m)",
    ),
    _authority(
        "issuer-key-usage",
        "The key usage of an issuer does not allow signing certificates.",
        expected="keyUsage with keyCertSign",
        standard="RFC 5280 sections 4.2.1.3 and 6.1.4 (n)",
    ),
    _strict(
        "issuer-key-usage-missing",
        "An issuer does not say what its key is for; strict OpenSSL (Python 3.13 and later) refuses that.",
        expected="critical keyUsage with keyCertSign and cRLSign",
        remedy=NEW_AUTHORITY,
        standard=f"RFC 5280 section 4.2.1.3; {_BR} section 7.1.2.1.2",
    ),
    _modern(
        "issuer-subject-empty",
        "An issuer has no name.",
        expected="a subject in every issuer",
        remedy=NEW_AUTHORITY,
        standard="RFC 5280 section 4.1.2.6",
    ),
    _modern(
        "issuer-empty",
        "The certificate does not name its issuer.",
        expected="the issuer's name",
        standard="RFC 5280 section 4.1.2.4",
    ),
    _strict(
        "issuer-name-encoding",
        "The issuer's name is encoded in another way than in the issuer's own certificate.",
        expected="the octets of the issuer's subject",
        standard=f"RFC 5280 section 4.1.2.6; {_BR} section 7.1.4.1",
    ),
    _strict(
        "aki-missing",
        "The certificate does not say which key signed it; strict OpenSSL (Python 3.13 and later) refuses it.",
        expected="authorityKeyIdentifier with the issuer's key identifier",
        remedy="issue a new certificate: ca.issue(...) sets it",
        standard="RFC 5280 section 4.2.1.1",
    ),
    rule(
        "anchor-aki-missing",
        "A certificate that is trusted by itself, and did not sign itself, does not say which key signed it; nobody "
        "looks for that key, since the path ends here.",
        levels="- N N - -",
        expected="trust in the root, or a trusted certificate with authorityKeyIdentifier",
        remedy="trust the root instead: check(..., trust=[ca])",
        standard="RFC 5280 sections 4.2.1.1 and 6.1.1 (d)",
    ),
    rule(
        "anchor-not-root",
        "The path ends at a trusted certificate that did not sign itself; OpenSSL refuses that unless it is told to "
        "take partial chains, as curl and Python from 3.13 on tell it.",
        levels="- N N - -",
        expected="trust in the root",
        remedy="trust the root instead: check(..., trust=[ca])",
        standard="RFC 5280 section 6.1.1 (d); openssl-verification-options(1), -partial_chain",
    ),
    _strict(
        "aki-no-key-identifier",
        "The authority key identifier has no key identifier; strict OpenSSL (Python 3.13 and later) refuses that.",
        expected="authorityKeyIdentifier with keyIdentifier",
        remedy="issue a new certificate: ca.issue(...) sets it",
        standard="RFC 5280 section 4.2.1.1",
    ),
    rule(
        "aki-mismatch",
        "The authority key identifier points to another issuer; OpenSSL refuses it.",
        levels="- E E W -",
        expected="the subjectKeyIdentifier of the issuer",
        remedy="issue a new certificate: ca.issue(...) sets it",
        standard="RFC 5280 sections 4.2.1.1 and 4.2.1.2",
    ),
    rule(
        "aki-issuer-serial",
        "The authority key identifier names the issuer's issuer and serial number, which breaks cross-signing.",
        levels="- - E - -",
        expected="authorityKeyIdentifier with keyIdentifier only",
        remedy="issue a new certificate: ca.issue(...) sets it",
        standard=f"{_BR} section 7.1.2.11.1",
    ),
    _strict(
        "issuer-ski-missing",
        "An issuer has no subject key identifier; strict OpenSSL (Python 3.13 and later) refuses that.",
        expected="subjectKeyIdentifier in every issuer",
        remedy=NEW_AUTHORITY,
        standard="RFC 5280 section 4.2.1.2",
    ),
    rule(
        "leaf-ski-missing",
        "The certificate has no subject key identifier.",
        levels="- N - - -",
        expected="subjectKeyIdentifier",
        remedy="issue a new certificate: ca.issue(...) sets it",
        standard="RFC 5280 section 4.2.1.2",
    ),
)

_EXTENSIONS = (
    rule(
        "extension-malformed",
        "An extension cannot be read.",
        expected="an extension encoded as its standard says",
        standard="RFC 5280 section 4.2",
    ),
    rule(
        "extension-duplicate",
        "An extension is there more than once.",
        expected="each extension at most once",
        standard="RFC 5280 section 4.2",
    ),
    rule(
        "extension-unknown-critical",
        "A critical extension is unknown here, as it will be to clients.",
        expected="no critical extension that clients do not know",
        remedy="issue without it, or not critical",
        standard="RFC 5280 section 4.2",
    ),
    rule(
        "extension-critical",
        "An extension is critical that must or should not be: clients need not process it, and OpenSSL, with curl, "
        "Python, Ruby and PHP on it, refuses the certificate.",
        expected="the extension, not critical",
        standard="RFC 5280 sections 4.2, 4.2.1.1, 4.2.1.2, 4.2.1.7, 4.2.1.8, 4.2.1.15 and 4.2.2; RFC 7633",
    ),
    _strict(
        "crl-points-critical",
        "The CRL distribution points are critical, which Chrome and Java refuse; clients need not process them.",
        expected="cRLDistributionPoints that are not critical",
        standard="RFC 5280 section 4.2.1.13",
    ),
    _strict(
        "extension-not-critical",
        "An extension is not critical that must be.",
        expected="the extension, critical",
        remedy=NEW_AUTHORITY,
        standard="RFC 5280 sections 4.2.1.10, 4.2.1.11 and 4.2.1.14",
    ),
    rule(
        "precertificate",
        "This is a precertificate for transparency logs, not a certificate.",
        expected="the certificate that was issued after it",
        remedy="load the certificate that the authority sent at the end",
        standard="RFC 6962 section 3.1",
    ),
    _strict(
        "version",
        "The certificate is not of version 3.",
        expected="version 3",
        standard="RFC 5280 section 4.1.2.1",
    ),
    _modern(
        "version-extensions",
        "The certificate has extensions, and says that it is of a version without them; strict OpenSSL (Python 3.13 "
        "and later) and cryptography refuse it.",
        expected="version 3",
        standard="RFC 5280 sections 4.1.2.1 and 4.1.2.9",
    ),
    _modern(
        "proxy-certificate",
        "The certificate is a proxy certificate, which OpenSSL refuses as a server's and as an authority's.",
        expected="a certificate without proxyCertInfo",
        standard="RFC 3820 sections 3.8 and 4.1; openssl-verification-options(1)",
    ),
    _modern(
        "serial-not-positive",
        "The serial number is zero or negative.",
        expected="a positive serial number",
        standard="RFC 5280 section 4.1.2.2",
    ),
    _strict(
        "serial-too-long",
        "The serial number is longer than 20 octets.",
        expected="at most 20 octets",
        standard="RFC 5280 section 4.1.2.2",
    ),
    rule(
        "serial-predictable",
        "The serial number is too short to hold 64 random bits.",
        levels="- N W - -",
        expected="at least 64 bits from a random generator",
        remedy="issue a new certificate: ca.issue(...) draws 159 bits",
        standard=f"{_BR} section 7.1.2.7.1",
    ),
    _strict(
        "unique-id",
        "The certificate has an issuer or subject unique identifier.",
        expected="neither of these fields of X.509 version 2",
        standard="RFC 5280 section 4.1.2.8",
    ),
    _modern(
        "name-unreadable",
        "The subject cannot be read.",
        expected="a distinguished name encoded as X.501 says",
        standard="RFC 5280 sections 4.1.2.4 and 4.1.2.6",
    ),
    _strict(
        "common-name-too-long",
        "The common name is longer than 64 characters.",
        expected="at most 64 characters; longer names belong into subjectAltName only",
        remedy="issue without a common name: ca.issue(name)",
        standard="RFC 5280 appendix A.1 (ub-common-name)",
    ),
    rule(
        "subject-ou",
        "The subject has an organizational unit.",
        levels="- - E - -",
        expected="no organizationalUnitName",
        standard=f"{_BR} section 7.1.2.7.4",
        since={"public": date(2022, 9, 1)},
    ),
    rule(
        "policies-missing",
        "The certificate does not name the policy it was issued under.",
        levels="- - W - -",
        expected="certificatePolicies with one of the reserved identifiers, such as 2.23.140.1.2.1",
        remedy='only a public authority can issue such a certificate; check with profile="private" otherwise',
        standard=f"{_BR} section 7.1.2.7.9",
        since=_BR_START,
    ),
    rule(
        "aia-missing",
        "The certificate does not say where its issuer's certificate can be fetched.",
        levels="- - W - -",
        expected="authorityInfoAccess with caIssuers",
        remedy='only a public authority can issue such a certificate; check with profile="private" otherwise',
        standard=f"{_BR} section 7.1.2.7.7",
        since=_BR_START,
    ),
    rule(
        "sct-missing",
        "The certificate carries no proof of transparency; Chrome and Safari want one from public authorities.",
        levels="- - W - -",
        expected="signed certificate timestamps of two logs, here or in the handshake",
        remedy='only a public authority can issue such a certificate; check with profile="private" otherwise',
        standard="RFC 6962 section 3.3; Chrome Certificate Transparency Policy",
        since={"public": date(2018, 4, 30)},
    ),
)

_CONSTRAINTS = (
    rule(
        "name-constraints-violated",
        "A name is outside the names that an issuer may issue for.",
        expected="names within the issuer's name constraints",
        remedy="issue from an authority whose name constraints allow it",
        standard="RFC 5280 sections 4.2.1.10 and 6.1.3 (b), (c)",
    ),
    _modern(
        "name-constraints-common-name",
        "The common name looks like a DNS name that an issuer may not issue for; OpenSSL, with curl and Python on it, "
        "reads it so where subjectAltName has no DNS name, an address included.",
        expected="no common name, or one within the issuer's name constraints",
        remedy='leave the common name out: ca.issue("10.0.0.5", common_name="")',
        standard="RFC 5280 section 4.2.1.10; RFC 6125 section 6.4.4; OpenSSL: NAME_CONSTRAINTS_check_CN",
    ),
    _authority(
        "name-constraints-unsupported",
        "An issuer constrains a kind of name that cannot be compared, and a certificate below has such a name.",
        expected="constraints on DNS names, IP addresses, mail, URIs and directory names",
        standard="RFC 5280 section 4.2.1.10",
    ),
    _authority(
        "name-constraints-malformed",
        "A name constraint is not written as its standard says.",
        levels="W W E W W",
        expected="a domain without asterisk or leading dot, an address with a contiguous mask",
        standard="RFC 5280 section 4.2.1.10",
    ),
    _authority(
        "name-constraints-not-critical",
        "The name constraints are not critical, so that a client that does not know them lets everything pass.",
        levels="- N W - -",
        expected="critical nameConstraints",
        standard=f"RFC 5280 section 4.2.1.10; {_BR} section 7.1.2.10.8",
    ),
    _authority(
        "name-constraints-distance",
        "A name constraint has a minimum or maximum, which clients do not process and therefore refuse.",
        expected="subtrees without minimum and maximum",
        standard="RFC 5280 section 4.2.1.10",
    ),
    _strict(
        "leaf-name-constraints",
        "A certificate that is no authority has name constraints.",
        expected="nameConstraints in authorities only",
        standard=f"RFC 5280 section 4.2.1.10; {_BR} section 7.1.2.7.6",
    ),
    rule(
        "policy-required",
        "An issuer demands a certificate policy that the path does not have.",
        expected="a policy that every certificate of the path names",
        remedy="issue with the policy that the authority demands",
        standard="RFC 5280 section 6.1.5 (g)",
    ),
    _authority(
        "policy-mappings-any",
        "An issuer maps a policy to or from anyPolicy, which ends the processing of the path.",
        expected="mappings between named policies",
        standard="RFC 5280 sections 4.2.1.5 and 6.1.4 (a)",
    ),
)

_TRUST = (
    rule(
        "trust-not-asked",
        "No trusted root was given, so that the chain was not checked.",
        levels="N",
        expected="the roots that clients trust",
        remedy='say which: check(..., trust=[ca]) or trust="system"',
        standard="RFC 5280 section 6.1.1 (d)",
    ),
    rule(
        "issuer-not-found",
        "The chain breaks off: an issuer's certificate is missing.",
        expected="every certificate between the leaf and a trusted root",
        remedy="add the missing certificate to the chain, cert.with_chain([...]), or to trust=[...] if it is the root",
        standard="RFC 5280 section 6.1; RFC 8446 section 4.4.2",
    ),
    rule(
        "root-not-trusted",
        "The chain is whole, and ends at a root that is not trusted.",
        expected="a root that clients trust",
        remedy="trust the root, check(..., trust=[root]), and add it to the store Root of each client: "
        "Store.open('Root').add(root)",
        standard="RFC 5280 section 6.1.1 (d)",
    ),
    rule(
        "self-signed-not-trusted",
        "The certificate signed itself and is not trusted.",
        expected="a certificate issued by an authority that clients trust",
        remedy="make an authority and issue from it: CertificateAuthority.create(...).issue(...)",
        standard="RFC 5280 section 6.1.1 (d)",
    ),
    rule(
        "self-signed-leaf",
        "The certificate signed itself and is trusted on purpose: it cannot be renewed without touching every client.",
        levels="E W E W W",
        expected="a certificate issued by an authority that clients trust",
        remedy="make an authority and issue from it: CertificateAuthority.create(...).issue(...)",
        standard="RFC 5280 section 3.2",
    ),
    rule(
        "leaf-is-anchor",
        "The certificate itself is trusted on purpose; its issuers were not checked.",
        levels="N N W N N",
        expected="trust in the root only",
        remedy="trust the root instead: check(..., trust=[ca])",
        standard="RFC 5280 section 6.1.1 (d)",
    ),
    rule(
        "path-too-long",
        "A chain to a trusted root would need more intermediates than allowed.",
        expected="no more intermediates than the limit given",
        remedy="issue from an authority nearer to the root",
        standard="RFC 5280 section 6.1",
    ),
    rule(
        "work-limit-exceeded",
        "Checking was given up: these certificates demand more work than any honest chain does.",
        expected="a chain that is checked within the limits",
        remedy="send only the certificates of the chain; do not trust whoever made these",
        standard="CVE-2018-16875; CVE-2024-0567",
    ),
)

_REVOCATION = (
    rule(
        "revoked",
        "The certificate, or one of its issuers, is revoked.",
        expected="a certificate that its issuer's revocation list does not name",
        remedy="issue a new one with a new key, ca.issue(...), and bind it: renew(binding, ca)",
        standard="RFC 5280 section 6.3",
    ),
    rule(
        "crl-not-found",
        "No revocation list given is by the issuer of this certificate.",
        levels="W",
        expected="a current list by its issuer",
        remedy="give the issuer's list, crls=[ca.crl(...)], or add it: Store.open('CA').add_crl(ca.crl(...))",
        standard="RFC 5280 section 6.3.3",
    ),
    rule(
        "crl-expired",
        "The revocation list is not current.",
        levels="W",
        expected="a list between its thisUpdate and nextUpdate",
        remedy="get the issuer's current list; if the authority is yours, issue one: ca.crl(...)",
        standard="RFC 5280 sections 5.1.2.4 and 5.1.2.5",
    ),
    rule(
        "crl-invalid",
        "A revocation list cannot be used.",
        levels="W",
        expected="a list signed by the issuer, without critical extensions unknown here",
        remedy="get the issuer's current list; if the authority is yours, issue one: ca.crl(...)",
        standard="RFC 5280 section 6.3.3",
    ),
    rule(
        "revocation-pointer-missing",
        "The certificate does not say where its revocation can be asked; Schannel clients that check for it (curl.exe, "
        "git) stop with 0x80092012, CRYPT_E_NO_REVOCATION_CHECK.",
        levels="- - W W -",
        expected="a CRL distribution point or an OCSP address",
        remedy="let each authority put one in, create(..., crl_url=...) or ca.create_intermediate(..., crl_url=...), "
        "and publish its ca.crl(...) there; or tell the client: "
        "curl --ssl-no-revoke, git config http.schannelCheckRevoke false",
        standard=f"RFC 5280 section 4.2.1.13; {_BR} section 7.1.2.11.2; Windows: CertGetCertificateChain",
        since=_BR_START,
    ),
)

_WINDOWS = (
    rule(
        "key-not-persisted",
        "The private key is not kept by Windows, so that HTTP.sys cannot open it (1312).",
        levels="E - - E -",
        expected="a key in a key container of the machine",
        remedy="import the .pfx into the machine's store: Store.open('MY').import_pfx(data, password=...)",
        standard="Windows: HttpSetServiceConfiguration, PFXImportCertStore",
    ),
    rule(
        "key-not-machine",
        "The private key is kept for one user, and services cannot open it (1312).",
        levels="E - - E -",
        expected="a key in a key container of the machine (CRYPT_MACHINE_KEYSET)",
        remedy="import the .pfx into the machine's store: Store.open('MY').import_pfx(data, password=...)",
        standard="Windows: PFXImportCertStore",
    ),
    rule(
        "pfx-unreadable",
        "The .pfx is encrypted in a way that its importer cannot read; Windows then says that the password is wrong.",
        levels="W - - E -",
        expected="encryption that the release can read",
        remedy='save it for that release: cert.save("server.pfx", password=..., readable_by="windows-server-2016")',
        standard="Windows: PFX with AES-256 and SHA-256 from Windows 10 1709 and Server 2019 on",
    ),
    rule(
        "not-a-pfx",
        "The certificate did not come as a .pfx, which the manual procedure needs.",
        levels="W - - - -",
        expected="certificate, key and chain in one .pfx",
        remedy='save it as one: cert.save("server.pfx", password=...)',
        standard="RFC 7292",
    ),
)

_SERVED = (
    rule(
        "chain-order",
        "The server sends its chain in an order in which not each certificate certifies the one before it.",
        levels="W",
        expected="the leaf first, then its issuer, then that one's issuer",
        remedy="bind a certificate with its chain in order: Certificate.load(...) sorts it, cert.save(...) keeps it",
        standard="RFC 5246 section 7.4.2; RFC 8446 section 4.4.2",
    ),
    rule(
        "chain-unrelated",
        "The server sends a certificate that has nothing to do with its own.",
        levels="W",
        expected="only certificates of its own chain",
        remedy="leave it out of the chain, cert.with_chain([...])",
        standard="RFC 5246 section 7.4.2; RFC 8446 section 4.4.2",
    ),
    rule(
        "chain-sends-root",
        "The server sends its root, which clients have or do not trust anyway.",
        levels="N",
        expected="the chain without its root",
        remedy="leave it out of the chain, cert.with_chain([...])",
        standard="RFC 8446 section 4.4.2",
    ),
    rule(
        "protocol-obsolete",
        "The server speaks no newer protocol than TLS 1.1, which clients of today refuse.",
        levels="W E E W N",
        expected="TLS 1.2 or TLS 1.3",
        remedy="allow it on the server: BindingOptions(tls12=True, tls13=True)",
        standard="RFC 8996",
    ),
)

_OWN = (
    rule(
        "user-rule-failed",
        "A rule that the caller added raised an exception.",
        expected="a rule that yields findings",
        remedy="mend the rule",
        standard="mlsssl: docs/validator",
    ),
)

_KEY_ACCESS = "CNG: NCRYPT_SECURITY_DESCR_PROPERTY; CryptoAPI: PP_KEYSET_SEC_DESCR"
_SSL_PARAM = "HTTP Server API: HTTP_SERVICE_CONFIG_SSL_PARAM, AppId"
_EXISTS = "HTTP Server API: HttpSetServiceConfiguration, ERROR_ALREADY_EXISTS (183)"
_1312 = (
    "HTTP Server API: HttpSetServiceConfiguration, ERROR_NO_SUCH_LOGON_SESSION (1312); mlsssl: docs/explanation-1312"
)
_PRECEDENCE = "AD FS documentation: precedence of TLS bindings in HTTP.sys; mlsssl: docs/explanation-http-sys"

_DEPLOYMENTS = (
    rule(
        "no-private-key",
        "The certificate comes without its private key, and the store has none.",
        expected="a private key among the machine's keys, linked to the certificate",
        remedy="give the certificate together with its private key (Certificate.load of the .pfx, or with_key)",
        standard=_1312,
    ),
    rule(
        "private-key-unusable",
        "The private key in the store does not open, or lies among a user's keys.",
        expected="a private key among the machine's keys, linked to the certificate",
        remedy="give the certificate together with its private key (Certificate.load of the .pfx, or with_key)",
        standard=_1312,
    ),
    rule(
        "certificate-unreadable",
        "A field of the certificate cannot be read.",
        expected="a certificate that can be read",
        remedy="issue a new one",
        standard="RFC 5280 section 4.1",
    ),
    rule(
        "issuer-not-found",
        "An issuer is neither with the certificate nor in the machine's stores: clients that do not fetch it refuse.",
        levels="W",
        expected="every certificate between this one and a root that clients trust",
        remedy="get the issuer's certificate from the authority, and give it with the certificate, in one file; or "
        "add it to the store CA: Store.open('CA').add(issuer)",
        standard="RFC 8446 section 4.4.2; RFC 5280 section 6.1",
    ),
    rule(
        "issuer-changes",
        "A renewal would come from another authority, whose root nothing here says that clients trust.",
        levels="W",
        expected="an authority that the clients of the old certificate trust",
        remedy="give clients the new root first, or renew from the authority of the old certificate; where clients "
        "have it, add it to the machine too, and this ends: Store.open('Root').add(root)",
        standard="RFC 5280 section 6.1.1 (d); mlsssl: docs/howto-renew-for-ever",
    ),
    rule(
        "authority-ending",
        "The authority ends before the next certificate can have its full life, or within 180 days, or a third of its "
        "own life where that is less.",
        levels="W",
        expected="an authority whose successor clients have long before it ends",
        remedy="make its successor, ca.renew(), and give it to the clients now; if the authority is somebody else's, "
        "ask there which one follows",
        standard="RFC 4210 section 4.4; mlsssl: docs/howto-root-change",
    ),
    rule(
        "superseded-elsewhere",
        "Other bindings still have the certificate that a renewal replaces here.",
        levels="W",
        expected="the new certificate wherever the old one is bound",
        remedy="renew those bindings too, or deploy the new certificate there; everywhere=True takes them along",
        standard="mlsssl: docs/howto-renew-for-ever",
    ),
    rule(
        "names-lost",
        "A renewal would lose a name that the old certificate has.",
        expected="every name of the certificate that it renews",
        remedy="issue one for these names too",
        standard="RFC 9525 section 6",
    ),
    rule(
        "binding-exists",
        "The key has another binding, and was to be bound only if it had none.",
        expected="no other binding",
        remedy="on_conflict='replace' replaces it",
        standard=_EXISTS,
    ),
    rule(
        "binding-kept",
        "The key has another binding, which stays, as was asked; nothing is done.",
        levels="N",
        expected="no other binding",
        remedy="on_conflict='replace' replaces it",
        standard=_EXISTS,
    ),
    rule(
        "owner-changes",
        "The binding would get another owner: tools find their record by it.",
        levels="W",
        expected="a binding of the owner given",
        remedy="leave app_id out to keep the owner: tools find their record by it; or on_conflict='fail'",
        standard=_SSL_PARAM,
    ),
    rule(
        "key-access-lost",
        "Accounts that may read the old private key could not read the new one.",
        levels="W",
        expected="a new key that the same accounts may read",
        remedy="give them the right on the new key, key_access='keep'; if none of them needs it, go on",
        standard=_KEY_ACCESS,
    ),
    rule(
        "owner-known",
        "The binding belongs to IIS, AD FS or another known program.",
        levels="N",
        expected="a change that its owner knows of",
        remedy="look at it in that program afterwards; it may write its own record again",
        standard=_SSL_PARAM,
    ),
    rule(
        "binding-shadowed",
        "Another record answers some clients in place of this one; a warning for an address over a host name.",
        levels="N",
        expected="a binding that answers all that it matches",
        remedy="remove the other if nobody needs it, or deploy to it too",
        standard=_PRECEDENCE,
    ),
    rule(
        "binding-shadows",
        "This record answers some clients in place of another; a warning for an address over a host name.",
        levels="N",
        expected="a binding in whose place no other answers",
        remedy="bind to a narrower key if that is not meant",
        standard=_PRECEDENCE,
    ),
    rule(
        "ends-before-the-old-one",
        "The new certificate ends before the bound one.",
        levels="W",
        expected="a certificate that lasts longer than the one it replaces",
        remedy="look whether the two were mixed up",
        standard="mlsssl: docs/howto-replace-live",
    ),
    rule(
        "served-another",
        "A handshake after the change showed another certificate.",
        expected="the bound certificate",
        remedy="restart the service that listens there (restart=[...]), or look whether it uses HTTP.sys at all",
        standard="mlsssl: docs/explanation-http-sys",
    ),
    rule(
        "served-nothing",
        "Something listens there after the change, but there was no handshake.",
        expected="the bound certificate",
        remedy="restart the service that listens there (restart=[...]), or look whether it uses HTTP.sys at all",
        standard="mlsssl: docs/explanation-http-sys",
    ),
    rule(
        "after-failed",
        "The change is done, but a step after it failed.",
        expected="every step done",
        remedy="remove the reason; the next deploy(...), renew(...) or renew_due(...) of this key with the same steps, "
        "hooks=[...], goes on with it",
        standard="mlsssl: docs/howto-after-renewal",
    ),
    rule(
        "after-owed",
        "Steps after the last change are still to be run, or were not run for an undo.",
        levels="W",
        expected="every step done",
        remedy="renew(...) or renew_due(...) of this key with the same steps, hooks=[...], which are run then although "
        "nothing is due",
        standard="mlsssl: docs/howto-after-renewal",
    ),
)

_AUDITS = (
    rule(
        "renewal-due",
        "The bound certificate should have been renewed by now; a notice in the first third of the time from then to "
        "its end, a warning in the second, an error in the last.",
        levels="W",
        expected="a certificate that is renewed in time",
        remedy="renew_due(authority), or renew(key, authority)",
        standard="mlsssl: docs/howto-renew-for-ever",
    ),
    rule(
        "superseded-bound",
        "The certificate was renewed, but is still bound.",
        levels="N",
        expected="the certificate that renewed it",
        remedy="deploy the newer one here too",
        standard="Windows: CERT_RENEWAL_PROP_ID; mlsssl: docs/howto-renew-for-ever",
    ),
    rule(
        "reservation-unbound",
        "An https URL is reserved on a port to which nothing is bound.",
        levels="W",
        expected="a binding on the port of every https reservation",
        remedy="deploy a certificate to that port, or remove the reservation if its service is gone",
        standard="Microsoft: UrlPrefix Strings; mlsssl: docs/howto-url-reservation",
    ),
    rule(
        "reservation-for-anybody",
        "Every user of the computer may listen on this URL, and so receive what clients send there.",
        levels="W",
        expected="a reservation for the account that the service runs as",
        remedy="let that account alone listen: UrlReservation.get(url).with_user(account).update()",
        standard="Microsoft: HTTP_SERVICE_CONFIG_URLACL_PARAM; mlsssl: docs/howto-url-reservation",
    ),
    rule(
        "binding-unreserved",
        "No https URL is reserved on this port, while one is on a port that is not bound: one of the two may be "
        "mistyped. Of an administrator or LocalSystem, who needs no reservation, this says nothing.",
        levels="N",
        expected="binding and reservation on the same port",
        remedy="compare the two ports",
        standard="Microsoft: UrlPrefix Strings; mlsssl: docs/howto-url-reservation",
    ),
    rule(
        "change-pending",
        "A change was killed and is not recovered; a notice while another process is changing the machine, for it may "
        "be that change.",
        expected="every change finished or taken back",
        remedy="recover()",
        standard="mlsssl: docs/explanation-atomic",
    ),
)


_CCS_FILES = "Microsoft: IIS 8.0 Centralized SSL Certificate Support; mlsssl: docs/howto-iis"

_CCS = (
    rule(
        "ccs-name",
        "The store never looks for a file of this name; an error where a PFX is meant, else a notice.",
        expected="HOST.pfx, and _.DOMAIN.pfx for a wildcard",
        remedy="rename it, or take it out of the folder",
        standard=_CCS_FILES,
    ),
    rule(
        "ccs-wildcard-name",
        "The file of a wildcard is named otherwise than _.DOMAIN.pfx, so it serves none of its hosts.",
        expected="_.DOMAIN.pfx for a wildcard",
        remedy="rename it",
        standard=_CCS_FILES,
    ),
    rule(
        "ccs-address",
        "The file is named for an address; a client that connects to one sends no name to look for.",
        expected="a host name",
        remedy="bind the certificate to the address itself (deploy), and take the file out of the folder",
        standard=f"RFC 6066 section 3; {_CCS_FILES}",
    ),
    rule(
        "ccs-password",
        "The store's password does not open the file.",
        expected="the one password of the store",
        remedy="write it anew with the store's password: ccs.write_files(...)",
        standard=_CCS_FILES,
    ),
    rule(
        "ccs-unreadable",
        "The file is no PFX that can be read.",
        expected="a PFX with a certificate and its private key",
        remedy="replace it: ccs.write_files(...)",
        standard="RFC 7292",
    ),
    rule(
        "ccs-no-key",
        "The file holds no private key.",
        expected="a PFX with a certificate and its private key",
        remedy="export the certificate together with its key",
        standard=_CCS_FILES,
    ),
    rule(
        "ccs-host",
        "The certificate is not for the host that the file is named for.",
        expected="a certificate for the host in the name",
        remedy="issue one for this name, or rename the file",
        standard="RFC 9525 section 6",
    ),
    rule(
        "ccs-dates",
        "The certificate is not valid at this time.",
        expected="a certificate that is valid now",
        remedy="renew it",
        standard="RFC 5280 section 4.1.2.5",
    ),
    rule(
        "ccs-reader",
        "A server cannot read the file: it was written for newer ones. A notice when it was not said which servers "
        "have to, a warning when it is not known whether that one can.",
        expected="3DES and SHA-1 for Windows Server 2016 and older, which read nothing newer",
        remedy="write it anew for the oldest server: readable_by='windows-server-2016'",
        standard="Microsoft: Can't import an AES256-SHA256-encrypted PFX certificate; mlsssl: docs/formats",
    ),
)

# What is wrong in each case, and what to do about it exactly, is told by the machine that looked.
_CAUSES = tuple(
    rule(
        code,
        title,
        expected="a certificate that HTTP.sys can use",
        remedy="add the certificate again together with its private key: store.add(certificate)",
        standard=_1312,
    )
    for code, title in (
        ("not-in-store", "The certificate is in no store of this machine."),
        ("wrong-store", "The certificate is in LocalMachine, but in another store than the binding names."),
        ("wrong-location", "The certificate is in CurrentUser, where HTTP.sys never looks."),
        ("no-key", "The certificate is in the store, without a private key."),
        ("key-not-found", "The certificate names a private key that is gone."),
        ("user-keyset", "The private key lies among a user's keys, which HTTP.sys cannot open."),
        ("key-not-persisted", "The private key ended with the process that loaded it."),
        ("key-mismatch", "The private key that the certificate names is another certificate's."),
        ("unusable-ctl", "None of these, and the binding names a trust list; found only when a record is set."),
    )
)

WINDOWS_VERDICT = rule(
    "windows-verdict",
    "Windows' own chain engine holds something against the certificate; the code has Windows' name for it.",
    expected="a chain that this Windows trusts for TLS servers",
    standard="Windows: CERT_TRUST_STATUS and CERT_CHAIN_POLICY_SSL (learn.microsoft.com)",
)
"""The rule behind every code `windows-...`."""

RULE_GROUPS: dict[str, tuple[Rule, ...]] = {
    "The key": _KEY,
    "The signature": _SIGNATURE,
    "The dates": _DATES,
    "Fields in another form than the standards have": _ENCODING,
    "The names": _NAMES,
    "What it may be used for": _USAGE,
    "Issuers and the links between certificates": _ISSUERS,
    "Extensions, serial number and form": _EXTENSIONS,
    "Name constraints and policies": _CONSTRAINTS,
    "The path and trust": _TRUST,
    "Revocation": _REVOCATION,
    "The key and the .pfx on Windows": _WINDOWS,
    "What a live server sends": _SERVED,
    "Rules of your own": _OWN,
}
"""The rules under the headings of the documentation, in its order."""

RULES: dict[str, Rule] = {entry.code: entry for group in RULE_GROUPS.values() for entry in group}
"""Every rule by its code."""

MACHINE_RULE_GROUPS: dict[str, tuple[Rule, ...]] = {
    "What a deployment can find, before and after": _DEPLOYMENTS,
    "What an audit can find": _AUDITS,
    "What a check of a Central Certificate Store's folder can find": _CCS,
    "Causes of 1312": _CAUSES,
}
"""The rules about bindings, changes and machines, under the headings of the documentation, in its order."""

MACHINE_RULES: dict[str, Rule] = {entry.code: entry for group in MACHINE_RULE_GROUPS.values() for entry in group}
"""Every one of these by its code; two causes of 1312 have the code of a rule about certificates."""
