"""Making certificate requests (PKCS#10, RFC 2986), and what an authority honours of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mlsssl._formats.csr import requested_names
from mlsssl._formats.der import write_bmp_string
from mlsssl._formats.foreign import read
from mlsssl._formats.hosts import name_text, parse_name
from mlsssl._formats.keys import key_type_name
from mlsssl._issue.certificates import SERVER_AUTH, server_usage
from mlsssl._issue.keys import hash_for, is_usable
from mlsssl._messages.arguments import check_number, check_type
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._issue.certificates import PublicKey

# Microsoft's szOID_ENROLL_CERTTYPE_EXTENSION: the template that AD Certificate Services is to use.
_TEMPLATE = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2")


def build_request(
    names: Sequence[x509.GeneralName],
    private_key: PrivateKey,
    *,
    subject: x509.Name,
    template: str | None = None,
) -> x509.CertificateSigningRequest:
    """A request for a TLS server certificate: names, serverAuth, and the key usage that goes with the key, which signs.

    The subject may be empty; `template` is the name of an AD Certificate Services template, such as `WebServer`.
    """
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.SubjectAlternativeName(names), critical=not list(subject))
        .add_extension(server_usage(private_key.public_key()), critical=True)
        .add_extension(SERVER_AUTH, critical=False)
    )
    if template is not None:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(_TEMPLATE, write_bmp_string(template)), critical=False
        )
    return builder.sign(private_key, hash_for(private_key))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPolicy:
    """What an authority honours of a request.

    The public key and the host names it may take; all else is decided by the authority itself, as for any
    certificate that it issues.

    Attributes:
        other_requests: What to do with an extension or subject field that is not honoured: `ignore` it, or
            `refuse` the whole request. Asking to be an authority is always refused.
        minimum_rsa_bits: 2048 to 8192.
        wildcards: Whether `*.example.com` may be asked for.
    """

    other_requests: Literal["ignore", "refuse"] = "ignore"
    minimum_rsa_bits: int = 2048
    wildcards: bool = True

    def __post_init__(self) -> None:
        if self.other_requests not in ("ignore", "refuse"):
            raise InvalidInputError(f"other_requests is 'ignore' or 'refuse', not {shown(self.other_requests)}")
        check_number(self.minimum_rsa_bits, 2048, 8192, "minimum_rsa_bits is a number from 2048 to 8192")


@dataclass(frozen=True, slots=True, kw_only=True)
class HonouredRequest:
    """What is left of a request after the policy.

    Attributes:
        public_key: RSA or EC.
        names: DNS names and IP addresses, in the order asked for, each once.
        ignored: What was asked for and is not honoured, in words.
    """

    public_key: PublicKey
    names: tuple[x509.GeneralName, ...]
    ignored: tuple[str, ...]


def honour(request: x509.CertificateSigningRequest, policy: RequestPolicy) -> HonouredRequest:
    """Apply a policy to a request whose signature was verified.

    Raises:
        InvalidInputError: the policy refuses it; the message says what and why.
    """
    check_type(policy, RequestPolicy, "a policy is a RequestPolicy")
    names = []
    for name in requested_names(request):
        if not isinstance(name, (x509.DNSName, x509.IPAddress)):
            raise InvalidInputError(
                f"the request asks for {name_text(name)}; a server's names are DNS names and addresses"
            )
        names.append(parse_name(name_text(name)))
        if name_text(name).startswith("*.") and not policy.wildcards:
            raise InvalidInputError(f"the request asks for {name_text(name)}, and this policy allows no wildcard")
    if not names:
        raise InvalidInputError("the request names no host: neither a subjectAltName nor a common name that is one")
    ignored = _not_honoured(request, names)
    if ignored and policy.other_requests == "refuse":
        raise InvalidInputError(f"the request asks for what this policy does not give: {'; '.join(ignored)}")
    return HonouredRequest(
        public_key=_acceptable_key(request, policy), names=tuple(dict.fromkeys(names)), ignored=tuple(ignored)
    )


def _acceptable_key(request: x509.CertificateSigningRequest, policy: RequestPolicy) -> PublicKey:
    try:
        key = read("the request's public key cannot be used", request.public_key)
    except MalformedDataError as error:
        raise InvalidInputError(str(error)) from None
    if isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)) and is_usable(key, bits=policy.minimum_rsa_bits):
        return key
    if isinstance(key, rsa.RSAPublicKey):
        raise InvalidInputError(
            f"the request's key is {key_type_name(key)} with exponent {key.public_numbers().e}; RSA keys have at least "
            f"{policy.minimum_rsa_bits} bits"
        )
    raise InvalidInputError(f"the request's key is {key_type_name(key)}; RSA and the NIST curves are accepted")


def _not_honoured(request: x509.CertificateSigningRequest, names: Sequence[x509.GeneralName]) -> list[str]:
    """What is asked for beyond a key and these names, in words. Asking for what is given anyway is nothing."""
    found = []
    for extension in request.extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise InvalidInputError(
                "the request asks to be an authority (basicConstraints CA); make an intermediate instead"
            )
        if isinstance(value, x509.KeyUsage) and (value.key_cert_sign or value.crl_sign):
            raise InvalidInputError("the request asks for keyCertSign or cRLSign, which only authorities have")
        if isinstance(value, x509.ExtendedKeyUsage):
            others = [oid.dotted_string for oid in value if oid != ExtendedKeyUsageOID.SERVER_AUTH]
            if others:
                found.append(f"extended key usages {', '.join(others)}")
        elif not isinstance(value, (x509.SubjectAlternativeName, x509.BasicConstraints, x509.KeyUsage)):
            found.append(f"the extension {extension.oid.dotted_string}")
    fields = (attribute for attribute in request.subject if not _is_named(attribute, names))
    return found + [f"the subject field {attribute.rfc4514_string()}" for attribute in fields]


def _is_named(attribute: x509.NameAttribute[str | bytes], names: Sequence[x509.GeneralName]) -> bool:
    """Whether it is a common name that stands among the names, and so in the certificate."""
    if attribute.oid != x509.NameOID.COMMON_NAME:
        return False
    try:
        return parse_name(str(attribute.value)) in names
    except InvalidInputError:
        return False
