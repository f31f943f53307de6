"""`CertificateRequest`: a request for a certificate (PKCS#10, RFC 2986), with its private key if that is at hand."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mlsssl._formats import contents, csr, foreign, keys, pem
from mlsssl._formats.hosts import name_text, parse_name
from mlsssl._issue import requests, subjects
from mlsssl._issue.keys import make_key, same_key_type
from mlsssl._issue.requests import RequestPolicy
from mlsssl._machine import files
from mlsssl._machine.kept_keys import refuse_to_lose_a_key
from mlsssl._messages.arguments import check_data, check_type
from mlsssl._messages.foreign_text import shown
from mlsssl.certificate import check_certificate, check_key
from mlsssl.errors import InvalidInputError, UnsupportedError
from mlsssl.values import key_holder, set_attributes

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._issue.requests import HonouredRequest
    from mlsssl.certificate import Certificate
    from mlsssl.values import KeyType

__all__ = ["CertificateRequest", "RequestPolicy"]


_KEY = "the request's public key cannot be read"


@key_holder
class CertificateRequest:
    """A request for a TLS server certificate, with its private key if that is known. Immutable.

    How it is used: `create` it where the service runs and save its key; give the request to the authority; join what
    comes back with the key by `Certificate.load(...).with_key(...)`. The private key never leaves the machine.

    Args:
        request: A request whose signature fits.
        private_key: Its private key, or None.

    Raises:
        InvalidInputError: an argument of another type, or a private key that is not this request's.
        MalformedDataError: the signature does not fit.
    """

    __slots__ = ("_key", "_request")

    _key: PrivateKey | None
    _request: x509.CertificateSigningRequest

    def __init__(self, request: x509.CertificateSigningRequest, *, private_key: PrivateKey | None = None) -> None:
        from cryptography import x509

        expected = "a cryptography CertificateSigningRequest is needed (CertificateRequest.load reads a file)"
        check_type(request, x509.CertificateSigningRequest, expected)
        request = csr.load_request(csr.to_pem(request))
        if private_key is not None:
            check_key(private_key, keys.spki(foreign.read(_KEY, request.public_key)), "request")
        set_attributes(self, _request=request, _key=private_key)

    # -- making and reading -------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        *hosts: str,
        key: KeyType | PrivateKey = "rsa-2048",
        common_name: str | None = None,
        organization: str | None = None,
        organizational_unit: str | None = None,
        locality: str | None = None,
        state: str | None = None,
        country: str | None = None,
        subject: x509.Name | None = None,
        template: str | None = None,
    ) -> CertificateRequest:
        """Make a request, and a new private key unless one is given.

        Args:
            *hosts: What clients connect to: DNS names, wildcards, internationalised names, IPv4 and IPv6 addresses;
                at least one, repetitions dropped.
            key: A key type to make (`rsa-2048`, `rsa-3072`, `rsa-4096`, `ec-p256`, `ec-p384`), or a private key.
            common_name: The subject's common name. When not given, the first name that fits into 64 characters;
                `""` for none.
            organization: As in `CertificateAuthority.create`, like the next five. A public authority puts there what it
                has verified, or nothing.
            organizational_unit: As in `CertificateAuthority.create`.
            locality: As in `CertificateAuthority.create`.
            state: As in `CertificateAuthority.create`.
            country: As in `CertificateAuthority.create`.
            subject: As in `CertificateAuthority.create`.
            template: For AD Certificate Services: the name of the template, such as `WebServer`.

        Raises:
            InvalidInputError: no name, a name that cannot be, or another argument out of its range.
        """
        if not hosts:
            raise InvalidInputError("a request needs at least one name: CertificateRequest.create('www.example.com')")
        if template is not None and not (
            isinstance(template, str) and template and template.isascii() and len(template) <= 255
        ):
            raise InvalidInputError(f"a template's name has 1 to 255 ASCII characters, not {shown(template)}")
        others = subjects.beside(organization, organizational_unit, locality, state, country, subject)
        wanted: list[x509.GeneralName] = list(dict.fromkeys(parse_name(host) for host in hosts))
        if common_name is None:
            common_name = subjects.fitting(name_text(name) for name in wanted)
        private_key = make_key(key)
        request = requests.build_request(
            wanted, private_key, subject=subjects.named(common_name, others), template=template
        )
        return _assemble(request, private_key)

    @classmethod
    def for_renewal(
        cls, certificate: Certificate, *, key: KeyType | PrivateKey | None = None, template: str | None = None
    ) -> CertificateRequest:
        """A request for the successor of a certificate: the same names and subject, a new private key.

        Args:
            certificate: What is to be renewed; it must name at least one host.
            key: A key type or a private key; a new key of the same type when not given.
            template: As in `create`.

        Raises:
            InvalidInputError: the certificate names no host, or its kind of key is not made here.
        """
        if not check_certificate(certificate).names:
            raise InvalidInputError(f"{certificate!r} names no host in its subjectAltName; create a request with names")
        wanted = same_key_type(certificate.key_type, "key") if key is None else key
        common_name = certificate.common_name or ""
        subject = pem.x509_of(certificate).subject
        return cls.create(*certificate.names, key=wanted, common_name=common_name, subject=subject, template=template)

    @classmethod
    def load(
        cls, path: str | Path, *, key: str | Path | None = None, key_password: str | None = None
    ) -> CertificateRequest:
        """Read a request from a file, and its private key from another.

        Args:
            path: PEM (also certreq's `NEW CERTIFICATE REQUEST`) or DER, told by content, wrapped as
                `Certificate.load` takes it.
            key: The private key's file (PEM, DER or PVK), or None.
            key_password: For an encrypted private key.

        Raises:
            NotFoundError: there is no such file.
            AccessDeniedError: it may not be read.
            MalformedDataError: no request, or its signature does not fit.
            WrongPasswordError: the key's password is missing or wrong.
            InvalidInputError: the private key is not this request's.
        """
        key_data = None if key is None else files.read(files.path_of(key))
        data = files.read(files.path_of(path))
        with files.naming(path, key):
            return cls.from_bytes(data, key=key_data, key_password=key_password)

    @classmethod
    def from_bytes(
        cls, data: bytes | str, *, key: bytes | None = None, key_password: str | None = None
    ) -> CertificateRequest:
        """As `load`, from `data`: PEM text or bytes, or DER."""
        text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        raw = check_data(text, "a request is text or bytes (CertificateRequest.load takes a path)")
        private_key = None
        if key is not None:
            key = check_data(key, "a private key's file is bytes (CertificateRequest.load takes paths)")
            private_key = contents.read_private_key(key, key_password)
        request = csr.load_request(raw)
        return cls(request, private_key=private_key) if private_key else _assemble(request, None)

    # -- writing ------------------------------------------------------------------------------------------------

    def to_pem(self) -> bytes:
        """The request as PEM: what an authority's form or `certreq -submit` takes. Never the private key."""
        return csr.to_pem(self._request)

    def to_der(self) -> bytes:
        """The request as DER."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self._request.public_bytes(Encoding.DER)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the request, whole or not at all: DER for `.der`, PEM for every other suffix.

        `overwrite` as in `Certificate.save`.

        Raises:
            ExistsError: as `Certificate.save`.
            NotFoundError: the folder is not there.
            AccessDeniedError: it may not be written.
        """
        target = files.path_of(path)
        data = self.to_der() if target.suffix.lower() == ".der" else self.to_pem()
        if not overwrite:
            refuse_to_lose_a_key(target, key=None, password=None)
        files.write(target, data, private=False)
        return target

    def save_key(self, path: str | Path, *, password: str | None = None, overwrite: bool = False) -> Path:
        """Write the private key as PKCS#8 PEM, readable by its owner only, encrypted when a password is given.

        `overwrite` as in `Certificate.save`.

        Raises:
            ExistsError: as `Certificate.save`.
            InvalidInputError: there is no private key, or an empty password.
            NotFoundError, AccessDeniedError: as `save`.
        """
        if self._key is None:
            raise InvalidInputError(f"there is no private key with {self!r}")
        target = files.path_of(path)
        data = keys.private_key_pem(self._key, password)
        if not overwrite:
            refuse_to_lose_a_key(target, key=self._key, password=password)
        files.write(target, data, private=True)
        return target

    # -- what it says -------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """The names asked for; an old tool's common name when it asks by that alone."""
        return tuple(name_text(name) for name in csr.requested_names(self._request))

    @property
    def subject(self) -> str:
        """The subject as text (RFC 4514)."""
        return self._request.subject.rfc4514_string()

    @property
    def encoding_faults(self) -> tuple[str, ...]:
        """What is encoded otherwise than the standards say, and how it was read; as `Certificate.encoding_faults`."""
        return tuple(f"{fault.part}: {fault.found}" for fault in pem.faults_of(self._request))

    @property
    def key_type(self) -> str:
        """`rsa-2048`, `ec-p256` and so on."""
        return keys.key_type_name(foreign.read(_KEY, self._request.public_key))

    @property
    def private_key(self) -> PrivateKey | None:
        """The private key, or None."""
        return self._key

    def without_key(self) -> CertificateRequest:
        """The same without the private key: what an issuer is given."""
        return _assemble(self._request, None)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the request in DER, in lower-case hexadecimal: what an issuer knows a request by."""
        return hashlib.sha256(self.to_der()).hexdigest()

    def matches(self, certificate: Certificate) -> bool:
        """Whether `certificate` is for this request's key. Names are not compared: authorities may change them."""
        theirs = pem.public_key_bytes(pem.x509_of(check_certificate(certificate)))
        return keys.spki(foreign.read(_KEY, self._request.public_key)) == theirs

    def complete(self, certificate: Certificate) -> Certificate:
        """What the authority sent back, joined with the private key of this request.

        Raises:
            InvalidInputError: there is no private key, or the certificate is for another one.
        """
        if self._key is None:
            raise InvalidInputError(f"there is no private key with {self!r}; load it with key=")
        return check_certificate(certificate).with_key(self._key)

    def to_cryptography(self) -> x509.CertificateSigningRequest:
        """The request as `cryptography` has it.

        Raises:
            UnsupportedError: `cryptography` refuses it for one of its `encoding_faults`; `to_der` gives its bytes.
        """
        if faults := "; ".join(self.encoding_faults):
            raise UnsupportedError(f"cryptography refuses this request, whose bytes to_der() gives: {faults}")
        return self._request

    def honoured_by(self, policy: RequestPolicy) -> HonouredRequest:
        """What an authority with this policy takes from the request: key and names.

        Raises:
            InvalidInputError: the policy refuses it; the message says what and why.
        """
        return requests.honour(self._request, policy)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CertificateRequest):
            return NotImplemented
        return self.to_der() == other.to_der()

    def __hash__(self) -> int:
        return hash(self.to_der())

    def _repr_html_(self) -> str:
        """A card for notebooks; never the private key."""
        from mlsssl._notebook.cards import card, code, facts, faint, or_why, sign, text

        here = sign("ok", "private key here") if self._key is not None else faint("no private key")
        rows = [
            ("names", or_why(lambda: ", ".join(self.names))),
            ("subject", text(self.subject)),
            ("key", f"{or_why(lambda: self.key_type)} · {here}"),
            ("SHA-256", code(self.fingerprint)),
            *(("encoding", text(fault)) for fault in self.encoding_faults),
        ]
        return card("certificate request", facts(rows))

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:3]) + (" …" if len(self.names) > 3 else "")
        return f"<CertificateRequest {shown or self.subject!r}, {self.key_type}>"


def _assemble(request: x509.CertificateSigningRequest, private_key: PrivateKey | None) -> CertificateRequest:
    """A request whose parts are known to fit; nothing is verified again."""
    return set_attributes(CertificateRequest.__new__(CertificateRequest), _request=request, _key=private_key)
