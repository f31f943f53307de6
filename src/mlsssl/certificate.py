"""`Certificate`: an X.509 certificate, with its private key and the chain above it if they are at hand."""

from __future__ import annotations

import datetime as dt
import hashlib
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mlsssl._formats import contents, foreign, keys, pem
from mlsssl._formats.budget import WorkBudget
from mlsssl._formats.hosts import hosts_among, name_text
from mlsssl._formats.sniff import Kind
from mlsssl._formats.text import decode_text
from mlsssl._machine.files import naming, path_of, read, write
from mlsssl._messages.arguments import check_data, check_number, check_password, check_type, items_of
from mlsssl._messages.foreign_text import printable, shown
from mlsssl._messages.output import as_dict, as_json
from mlsssl.errors import (
    InvalidInputError,
    MalformedDataError,
    UnsupportedError,
)
from mlsssl.values import Thumbprint, check_friendly_name, check_moment, key_holder, set_attributes

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Literal

    from cryptography.hazmat.primitives import hashes

    from mlsssl._formats.described import CertificateDiff
    from mlsssl._formats.keys import PrivateKey
    from mlsssl._notebook.cards import Validity
    from mlsssl._notebook.timeline import Timeline
    from mlsssl._select.trust import TrustAnchor
    from mlsssl._validator.profiles import Profile
    from mlsssl._validator.report import Report
    from mlsssl._validator.validate import ServerFacts, UserRule
    from mlsssl.revocation_list import AnyList
    from mlsssl.values import ClientName, Purpose

__all__ = ["Certificate"]

E = TypeVar("E", bound=x509.ExtensionType)

_BOTH_PASSWORDS = "no_password is to write without a password, and one is given"
_OTHER_KEY = "; look for the key that was made with the certificate request"
_signature_hash_of = attrgetter("signature_hash_algorithm")

_EKU_NAMES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.CODE_SIGNING: "codeSigning",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "emailProtection",
    ExtendedKeyUsageOID.TIME_STAMPING: "timeStamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSPSigning",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "anyExtendedKeyUsage",
}
# RFC 5280 section 4.2.1.3's names, in bit order, with cryptography's attribute for each.
_KEY_USAGES = (
    ("digitalSignature", "digital_signature"),
    ("nonRepudiation", "content_commitment"),
    ("keyEncipherment", "key_encipherment"),
    ("dataEncipherment", "data_encipherment"),
    ("keyAgreement", "key_agreement"),
    ("keyCertSign", "key_cert_sign"),
    ("cRLSign", "crl_sign"),
)


@key_holder
class Certificate:
    """An X.509 certificate, with its private key and chain when they are at hand. Immutable; equal by its DER.

    Make one with `load`, `from_bytes`, `from_text`, `from_pem`, `from_der`, `from_pfx` or `CertificateAuthority.issue`.
    Nothing is checked on loading but that the bytes are a certificate; `check` says what it is worth.

    Args:
        certificate: The certificate as `cryptography` holds it.
        private_key: Its RSA or EC private key, or None.
        chain: The certificates above it, in any order; kept from the issuer upwards.
        friendly_name: The name that Windows shows for it, or None.

    Raises:
        InvalidInputError: an argument of another type, or a private key that is not this certificate's.
        MalformedDataError: a field of the certificate cannot be read.
    """

    __slots__ = ("_certificate", "_chain", "_der", "_extensions", "_friendly_name", "_key", "_left_out", "_thumbprint")

    _certificate: x509.Certificate
    _chain: tuple[x509.Certificate, ...]
    _der: bytes | None
    _extensions: dict[type[x509.ExtensionType], x509.ExtensionType] | None
    _friendly_name: str | None
    _key: PrivateKey | None
    _left_out: tuple[str, ...]
    _thumbprint: Thumbprint | None

    def __init__(
        self,
        certificate: x509.Certificate,
        *,
        private_key: PrivateKey | None = None,
        chain: Iterable[x509.Certificate | Certificate] = (),
        friendly_name: str | None = None,
    ) -> None:
        expected = "a cryptography.x509.Certificate is needed (Certificate.load reads a file, from_bytes bytes)"
        check_type(certificate, x509.Certificate, expected)
        certificate = pem.usable(certificate)
        if private_key is not None:
            check_key(private_key, pem.public_key_bytes(certificate), "certificate", _OTHER_KEY)
        name = check_friendly_name(friendly_name)
        ordered = pem.order_chain(certificate, _all_x509(chain))
        assemble(certificate, private_key, ordered, name, into=self)

    # -- reading ------------------------------------------------------------------------------------------------

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        password: str | None = None,
        key: str | Path | None = None,
        key_password: str | None = None,
        alias: str | None = None,
    ) -> Certificate:
        """Read a certificate file; the format is told by content, never by suffix.

        A file may hold more than one certificate and key. A key without a certificate counts only if there is no
        other; of two certificates for one key the one that lasts longer is taken. Certificates that may issue are the
        `chain`; whatever else there is, `left_out` says.

        Args:
            path: A PEM, DER, PFX (PKCS#12) or PKCS#7 (.p7b, .spc) file of at most 64 MiB, also in UTF-16, bare base64,
                JSON and what else people wrap around one.
            password: For a PFX, or for an encrypted private key inside the file.
            key: A file with the private key (PEM, DER or PVK), when it is not in the same file.
            key_password: For that file; `password` when not given.
            alias: Which one, where the file has several private keys with a certificate each: the friendly name
                (Java calls it alias) of the certificate or its key, or the certificate's thumbprint.

        Returns:
            The certificate that belongs to the private key, or without one the one that issued none of the others.

        Raises:
            NotFoundError: there is no such file, or nothing in it has this alias.
            AccessDeniedError: it may not be read.
            InvalidInputError: it is a folder, larger than that, or no path that can be.
            NativeError: it cannot be read for another reason, such as a failing disk.
            WrongPasswordError: a password is missing or wrong.
            UnreadableCertificateError: a field of a certificate cannot be read, not even as OpenSSL does.
            MalformedDataError: the bytes are none of these formats (the message names some twenty others, with the
                command that converts them), are cut off, the key belongs to no certificate, or there are several keys
                with a certificate each and no `alias`; the message lists them.
            UnsupportedError: a private key that is neither RSA nor EC.
        """
        data = read(path_of(path))
        key_data = None if key is None else read(path_of(key))
        with naming(path, key):
            return cls.from_bytes(data, password=password, key=key_data, key_password=key_password, alias=alias)

    @classmethod
    def load_all(cls, path: str | Path, *, password: str | None = None) -> tuple[Certificate, ...]:
        """Read every certificate in a file, such as a bundle of roots, each by itself and once.

        Args:
            path: As in `load`.
            password: As in `load`.

        Returns:
            The certificates in the file's order, without chains; one whose private key is in the file has it.

        Raises:
            As `load`; a private key that belongs to none of the certificates is passed over.
        """
        data = read(path_of(path))
        with naming(path):
            return certificates_in(data, password)

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        *,
        password: str | None = None,
        key: bytes | None = None,
        key_password: str | None = None,
        alias: str | None = None,
    ) -> Certificate:
        """As `load`, from the bytes of such a file, `data`."""
        data = check_data(data, "bytes are needed (Certificate.load takes a path)")
        budget = WorkBudget()
        found = contents.read_contents(data, password, budget)
        if key is not None:
            key = check_data(key, "a private key's file is bytes (Certificate.load takes paths)")
            own = contents.read_private_keys(key, password if key_password is None else key_password, budget)
            found.private_keys, found.unread = own.private_keys, own.unread
        return _chosen(found, alias, needs_key=key is not None)

    @classmethod
    def from_pem(cls, data: bytes | str, *, password: str | None = None, alias: str | None = None) -> Certificate:
        """From text, pasted or read: certificates in any order, and private keys if there are any.

        `data` is PEM, also as mails and programs have it; bare base64; JSON. The rest, and errors, as `load`.
        """
        text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        text = check_data(text, "text or bytes are needed (Certificate.load takes a path)")
        if decode_text(text) is None:
            raise MalformedDataError("this is not PEM: it is no text (Certificate.from_bytes reads every format)")
        return cls.from_bytes(text, password=password, alias=alias)

    @classmethod
    def from_text(cls, text: str, *, password: str | None = None, alias: str | None = None) -> Certificate:
        """From what was pasted: PEM with whatever stands around it, bare base64 or hexadecimal digits. As `from_pem`.

        Raises:
            InvalidInputError: not text, or what `load` says.
            MalformedDataError, WrongPasswordError, NotFoundError, UnsupportedError: as `load`.
        """
        check_type(text, str, "text is needed (Certificate.from_bytes takes bytes)")
        if "." in text and len(text.split()) == 1:  # no base64, no digits, no PEM
            raise MalformedDataError("this is no certificate; if it is the name of a file, Certificate.load reads it")
        return cls.from_pem(text, password=password, alias=alias)

    @classmethod
    def from_der(cls, data: bytes) -> Certificate:
        """From `data`, the DER of one certificate. `MalformedDataError` when it is none."""
        data = check_data(data, "bytes are needed (Certificate.load takes a path)")
        return assemble(pem.load_der(data), None, (), der=data)

    @classmethod
    def from_pfx(cls, data: bytes, password: str | None, *, alias: str | None = None) -> Certificate:
        """From `data`, a PFX (PKCS#12, RFC 7292). Arguments and errors as `load`."""
        data = check_data(data, "bytes are needed (Certificate.load takes a path)")
        return _chosen(contents.read_contents(data, password, WorkBudget(), needed=Kind.PFX), alias)

    # -- writing ------------------------------------------------------------------------------------------------

    def save(
        self,
        path: str | Path,
        *,
        password: str | None = None,
        no_password: bool = False,
        readable_by: str | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write a file whole or not at all; whatever holds a private key is readable by its owner only.

        Args:
            path: The suffix chooses the format. `.pfx`, `.p12`: certificate, key and chain. `.pem`: private key
                if there is one, certificate, chain. `.crt`: certificate and chain, PEM. `.cer`, `.der`: the
                certificate alone, DER. `.key`: the private key alone, PKCS#8 PEM. `.pvk`: the private key
                alone, Microsoft's old format. `.p7b`, `.spc`: certificate and chain, PKCS#7 DER. A file that is
                there is replaced, unless it holds another private key than the one written.
            password: Encrypts the private key. A `.pfx` with a key needs one, or `no_password`; `.pem`, `.key` and
                `.pvk` may do without.
            no_password: Write a private key so that everybody who gets the file can read it; as in `to_pfx`.
            readable_by: With `.pfx` and `.p12`: the oldest system that must read it, as in `to_pfx`.
            overwrite: Replace a file also when the private key in it is lost by that: another one, or one that
                `password` does not open, so that it cannot be compared. Keys are known by their formats: PEM, DER, PFX,
                PVK, and what is not read here, such as Java keystores and OpenSSH keys.

        Returns:
            The path.

        Raises:
            ExistsError: a file is there whose private key would be lost, and `overwrite` is False.
            InvalidInputError: another suffix, no password where one is needed, a password where nothing is
                encrypted, a private key asked for that is not there, or a path that cannot be.
            NotFoundError: the folder is not there.
            AccessDeniedError: it may not be written.
            NativeError: it cannot be written for another reason, such as a full disk.
        """
        target = path_of(path)
        suffix = target.suffix.lower()
        private = suffix in (".pfx", ".p12", ".pvk", ".key") or (suffix == ".pem" and self._key is not None)
        if (password is not None or no_password) and suffix in (".crt", ".cer", ".der", ".p7b", ".spc"):
            raise InvalidInputError(f"a {suffix} file holds no secret, so a password would do nothing")
        if password is not None and no_password:
            raise InvalidInputError(_BOTH_PASSWORDS)
        match suffix:
            case ".pfx" | ".p12":
                data = self.to_pfx(password, no_password=no_password, readable_by=readable_by)
            case ".pvk":
                data = self.private_key_pvk(password)
            case ".key":
                data = self.private_key_pem(password)
            case ".pem":
                data = (self.private_key_pem(password) if private else b"") + self.to_pem(chain=True)
            case ".crt":
                data = self.to_pem(chain=True)
            case ".cer" | ".der":
                data = self.to_der()
            case ".p7b" | ".spc":
                data = self.to_pkcs7()
            case _:
                known = ".pfx .p12 .pem .crt .cer .der .key .pvk .p7b .spc"
                what = f"{suffix!r} is not one" if suffix else f"{shown(target.name)} has none"
                raise InvalidInputError(f"the suffix of a file chooses its format, and {what}: {known}")
        if not overwrite:
            from mlsssl._machine.kept_keys import refuse_to_lose_a_key

            refuse_to_lose_a_key(target, key=self._key if private else None, password=password)
        write(target, data, private=private)
        return target

    def to_der(self) -> bytes:
        """The certificate's DER."""
        if self._der is None:
            set_attributes(self, _der=pem.to_der(self._certificate))
            assert self._der is not None
        return self._der

    def to_pem(self, *, chain: bool = False) -> bytes:
        """The certificate as PEM, with `chain` the certificates above it too; never the private key."""
        return pem.to_pem((self._certificate, *self._chain) if chain else (self._certificate,))

    def to_pkcs7(self, *, encoding: Literal["der", "pem"] = "der") -> bytes:
        """Certificate and chain as a certificates-only PKCS#7 SignedData (RFC 2315): what `.p7b` and `.spc` hold.

        Args:
            encoding: `der`, which every reader takes and `save` writes, or `pem` (BEGIN PKCS7).

        Raises:
            InvalidInputError: another encoding.
        """
        from mlsssl._formats import pkcs7

        return pkcs7.serialize_pkcs7((self._certificate, *self._chain), encoding=encoding)

    def to_pfx(
        self,
        password: str | None,
        *,
        no_password: bool = False,
        friendly_name: str | None = None,
        readable_by: str | None = None,
        provider: str | None = None,
        machine_keyset: bool = False,
    ) -> bytes:
        """Certificate, private key and chain as a PFX (PKCS#12, RFC 7292).

        Args:
            password: Any Unicode text; for Java printable ASCII. None only when there is no private key, or with
                `no_password`.
            no_password: Write private key and all so that everybody who gets the file can read it: encrypted with the
                empty password, which is what other programs write for none (`openssl pkcs12 -passout pass:`, Azure Key
                Vault) and read when they are given none. For tools that take no other; keep such a file off every disk.
            friendly_name: What Windows will show; the certificate's own `friendly_name` when not given.
            readable_by: The oldest system that must read it, such as `"windows-server-2016"` or `"openssl-3"`;
                an unknown name's error lists all. Not given: every supported Windows.
            provider: Where Windows is to keep the key, such as `"Microsoft Software Key Storage Provider"`
                (attribute 1.3.6.1.4.1.311.17.1); its own choice when not given.
            machine_keyset: Ask Windows to put the key among the machine's (1.3.6.1.4.1.311.17.2).

        Raises:
            InvalidInputError: no password for a private key, one that this system does not take, one together with
                `no_password`, a friendly name that lists cannot show, or an unknown target.
        """
        from mlsssl._formats.pkcs12 import write

        if no_password:
            if password is not None:
                raise InvalidInputError(_BOTH_PASSWORDS)
            password = ""
        elif self._key is not None and not password:
            raise InvalidInputError(
                "a PFX with a private key needs a password; no_password=True writes one that everybody can open"
            )
        elif password == "":
            raise InvalidInputError("an empty password protects nothing; None writes certificates without encryption")
        if provider is not None:
            expected = "provider is the name of a key storage provider, or None"
            try:
                check_type(provider, str, expected).encode()
            except UnicodeEncodeError:  # half a surrogate pair
                raise InvalidInputError(f"{expected}, not {shown(provider)}") from None
        name = self._friendly_name if friendly_name is None else check_friendly_name(friendly_name)
        return write.serialize_pfx(
            self._key,
            self._certificate,
            self._chain,
            password,
            friendly_name=name,
            readable_by=readable_by,
            provider=provider,
            machine_keyset=machine_keyset,
        )

    def private_key_pem(self, password: str | None = None) -> bytes:
        """The private key as PKCS#8 PEM, encrypted when a password is given.

        Raises:
            InvalidInputError: there is no private key.
        """
        return keys.private_key_pem(self._need_key(), password)

    def private_key_pvk(self, password: str | None = None) -> bytes:
        """The private key in Microsoft's PVK format (RSA only), encrypted (RC4: weak) when a password is given.

        Raises:
            InvalidInputError: there is no private key, or it is not RSA.
        """
        from mlsssl._formats import pvk

        key = self._need_key()
        if not isinstance(key, rsa.RSAPrivateKey):
            raise InvalidInputError("a PVK file holds RSA keys only; save this one as .pfx or .key")
        return pvk.serialize_pvk(key, password)

    def _need_key(self) -> PrivateKey:
        if self._key is None:
            raise InvalidInputError(f"there is no private key with {self!r}")
        return self._key

    def with_key(self, key: PrivateKey | bytes | str | Path, *, password: str | None = None) -> Certificate:
        """The same certificate joined with its private key: what comes back from an authority meets its request.

        Args:
            key: The key, its bytes (PEM, DER, PVK) or the path of its file.
            password: For encrypted bytes or files.

        Raises:
            InvalidInputError: the key is not this certificate's.
            WrongPasswordError, MalformedDataError, NotFoundError, AccessDeniedError: as `load`.
        """
        check_password(password)
        if isinstance(key, (str, Path)):
            file, key = key, read(path_of(key))
        else:
            file = None
        if isinstance(key, bytes):
            with naming(file):
                key = contents.read_private_key(key, password)
        check_key(key, pem.public_key_bytes(self._certificate), "certificate", _OTHER_KEY)
        return self._with(_key=key)

    def with_chain(self, chain: Iterable[Certificate | x509.Certificate]) -> Certificate:
        """The same certificate and key with these certificates as its chain, put into order.

        Raises:
            InvalidInputError: something else than certificates.
        """
        return self._with(_chain=pem.order_chain(self._certificate, _all_x509(chain)))

    def with_friendly_name(self, friendly_name: str | None) -> Certificate:
        """The same with this `friendly_name`, or with none; `InvalidInputError` for one that lists cannot show."""
        return self._with(_friendly_name=check_friendly_name(friendly_name))

    def without_key(self) -> Certificate:
        """The same without the private key: what may be shown to others."""
        return self._with(_key=None)

    def _with(self, **changes: object) -> Certificate:
        present = {name: getattr(self, name) for name in Certificate.__slots__}
        return set_attributes(Certificate.__new__(Certificate), **{**present, **changes})

    # -- what it says -------------------------------------------------------------------------------------------

    def to_cryptography(self) -> x509.Certificate:
        """The certificate as `cryptography` holds it.

        Raises:
            UnsupportedError: `cryptography` refuses it for one of its `encoding_faults`; `to_der` gives its bytes.
        """
        if faults := "; ".join(self.encoding_faults):
            raise UnsupportedError(f"cryptography refuses this certificate, whose bytes to_der() gives: {faults}")
        return self._certificate

    @property
    def private_key(self) -> PrivateKey | None:
        """The private key as `cryptography` holds it, or None."""
        return self._key

    @property
    def has_private_key(self) -> bool:
        """Whether the private key is here."""
        return self._key is not None

    @property
    def chain(self) -> CertificateChain:
        """The certificates above it, its issuer first; empty when none came with it."""
        return CertificateChain(assemble(c, None, ()) for c in self._chain)

    @property
    def friendly_name(self) -> str | None:
        """The name that Windows shows for it; not part of the certificate."""
        return self._friendly_name

    @property
    def left_out(self) -> tuple[str, ...]:
        """What the file that it was read from holds besides, and nothing here has: a line in words for each.

        Another certificate for the same key that ends sooner, one of another server, a key without a certificate.
        """
        return self._left_out

    @property
    def thumbprint(self) -> Thumbprint:
        """The SHA-1 of the DER: Windows' name for it, and what HTTP.sys wants."""
        if self._thumbprint is None:
            set_attributes(self, _thumbprint=Thumbprint(hashlib.sha1(self.to_der(), usedforsecurity=False).digest()))
            assert self._thumbprint is not None
        return self._thumbprint

    @property
    def sha256(self) -> str:
        """The SHA-256 of the DER, 64 lower-case hex digits: for comparing."""
        return hashlib.sha256(self.to_der()).hexdigest()

    @property
    def subject(self) -> str:
        """The subject as RFC 4514 text; empty when there is none."""
        return foreign.name_text(self._certificate.subject)

    @property
    def issuer(self) -> str:
        """The issuer as RFC 4514 text."""
        return foreign.name_text(self._certificate.issuer)

    @property
    def common_name(self) -> str | None:
        """The subject's (first) common name, or None."""
        return _common_name(self._certificate.subject)

    @property
    def encoding_faults(self) -> tuple[str, ...]:
        """What is encoded otherwise than the standards say, and how it was read, in words; empty for nearly all.

        Such a certificate is refused by `cryptography` and other strict readers, and most are taken by OpenSSL and
        Windows. `check` says the same as findings, and who refuses it. Not looked into here is what stands in the
        extensions, which are read when they are asked for.
        """
        return tuple(f"{fault.part}: {fault.found}" for fault in pem.faults_of(self._certificate))

    @property
    def serial_number(self) -> int:
        """The serial number."""
        number: int = foreign.read("the serial number cannot be read", foreign.serial_of, self._certificate)
        return number

    @property
    def names(self) -> tuple[str, ...]:
        """Every subjectAltName entry as text, in order: host names and addresses bare, other kinds marked.

        `MalformedDataError` when the extension cannot be read.
        """
        san = self._extension(x509.SubjectAlternativeName)
        return tuple(name_text(name) for name in san) if san is not None else ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names and IP addresses among `names`: what a client may connect to. Errors as `names`."""
        san = self._extension(x509.SubjectAlternativeName)
        return hosts_among(san) if san is not None else ()

    @property
    def not_before(self) -> dt.datetime:
        """The first second of validity, UTC."""
        return self._certificate.not_valid_before_utc

    @property
    def not_after(self) -> dt.datetime:
        """The last second of validity, UTC."""
        return self._certificate.not_valid_after_utc

    @property
    def days_left(self) -> float:
        """Days until `not_after` by this computer's clock, to a hundredth; negative when it is over."""
        left = self.not_after - dt.datetime.now(dt.timezone.utc)
        return round(left / dt.timedelta(days=1), 2)

    @property
    def key_type(self) -> str:
        """What key it certifies: `rsa-2048`, `ec-p256` and so on. `MalformedDataError` when it cannot be read."""
        return keys.key_type_name(foreign.public_key_of(self._certificate))

    @property
    def signature_hash(self) -> str | None:
        """The hash it was signed with (`sha256`), or None when the signature has none (Ed25519)."""
        algorithm: hashes.HashAlgorithm | None = foreign.read_or(None, _signature_hash_of, self._certificate)
        return None if algorithm is None else algorithm.name

    @property
    def key_usages(self) -> tuple[str, ...]:
        """RFC 5280's names of the key usages it allows; empty when it does not say. Errors as `names`."""
        usage = self._extension(x509.KeyUsage)
        return () if usage is None else tuple(name for name, attribute in _KEY_USAGES if getattr(usage, attribute))

    @property
    def extended_key_usages(self) -> tuple[str, ...]:
        """Names (`serverAuth`) or dotted numbers of the purposes it allows; empty when it does not say.

        Errors as `names`.
        """
        usage = self._extension(x509.ExtendedKeyUsage)
        return () if usage is None else tuple(_EKU_NAMES.get(oid, oid.dotted_string) for oid in usage)

    @property
    def is_ca(self) -> bool:
        """Whether its basicConstraints say that it may issue certificates. Errors as `names`."""
        constraints = self._extension(x509.BasicConstraints)
        return constraints is not None and constraints.ca

    def _extension(self, kind: type[E]) -> E | None:
        """The extension of this kind, or None; all that can be read are kept. Errors as `names`."""
        if self._extensions is None:
            set_attributes(self, _extensions=pem.extensions_by_kind(self._certificate))
            assert self._extensions is not None
        if not self._extensions:  # there are none, or one of them cannot be read
            return pem.find_extension(self._certificate, kind)
        return cast("E | None", self._extensions.get(kind))

    @property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer are the same name; the signature is not looked at.

        A root is, and so is a cross-certificate between two keys of one authority.
        """
        return self._certificate.subject == self._certificate.issuer

    def renewal_time(self, fraction: float = 2 / 3, *, jitter: float = 1 / 20) -> dt.datetime:
        """When to renew it: after `fraction` of its lifetime, less a part of `jitter` that is its own.

        A share of the lifetime, not a number of days, for lifetimes shrink. The jitter spreads the renewals of
        many certificates that were issued together; it comes from the certificate's SHA-256, so that every run of every
        machine sees the same moment.

        Args:
            fraction: Above 0, up to 1.
            jitter: From 0 up to `fraction`: the largest share of the lifetime to be early by.

        Returns:
            The moment, UTC, to the second.

        Raises:
            InvalidInputError: one of them is out of its range.
        """
        check_shares(fraction, jitter)
        share = int.from_bytes(hashlib.sha256(self.to_der()).digest()[:6], "big") / 2**48
        lifetime = self.not_after - self.not_before
        return (self.not_before + lifetime * (fraction - jitter * share)).replace(microsecond=0)

    def renewal_due(self, fraction: float = 2 / 3, *, at: dt.datetime | None = None, jitter: float = 1 / 20) -> bool:
        """Whether it is time to renew it: `renewal_time` has come.

        Args:
            fraction: As in `renewal_time`.
            at: The moment asked about, aware; now when not given.
            jitter: As in `renewal_time`.

        Raises:
            InvalidInputError: out of range, or a naive `at`.
        """
        return check_moment(at) >= self.renewal_time(fraction, jitter=jitter)

    # -- using it -----------------------------------------------------------------------------------------------

    def check(
        self,
        host: str | None = None,
        *,
        trust: Iterable[TrustAnchor] | Literal["system"] | None = "system",
        at: dt.datetime | None = None,
        profile: str | Profile = "private",
        client: ClientName | None = None,
        purpose: Purpose = "server",
        key_expected: bool = True,
        crls: Sequence[AnyList] = (),
        revocation: Literal["soft", "hard"] = "soft",
        facts: ServerFacts | None = None,
        silence: Mapping[str, str] | None = None,
        extra_rules: Sequence[UserRule] = (),
        max_depth: int = 8,
    ) -> Report:
        """Check everything that a client or Windows will check, and report every finding.

        Args:
            host: The name or address that clients connect to; None leaves names unmatched.
            trust: The roots that clients trust: authorities or certificates; `"system"` for the operating
                system's; both in one list, as `["system", ca]`; None leaves the question of trust out.
            at: The moment to check for; aware; now when not given.
            profile: Whose rules: `"private"` (a private authority and today's clients), `"public"` (the CA/Browser
                Forum's), `"procedure"`, `"windows"`, `"legacy"`, or a `Profile`.
            client: The one client to ask for, such as `"python-3.13"`: the report is ok exactly when that client takes
                the certificate, as far as known, and `report.not_known` has the codes of which it is not. What else
                the profile calls an error is a warning then, but for what no client looks at: the private key, keys
                that others have, revocation.
            purpose: `"server"`, or `"client"` for the certificate with which a client shows a server who it is: without
                a host, and without the rules about names of hosts and lifetimes that hold for servers alone.
            key_expected: Whether a missing private key is a finding: True for what a server will use, False for
                what a client has received.
            crls: Revocation lists to look the chain up in, in any order. A certificate that is in a store has those
                in the stores looked at by `StoreEntry.check`; `Store.crls` gives them.
            revocation: `"soft"`: a list that is missing, stale or unusable is a warning, and without any list
                nothing is looked up; `"hard"`: an error, also when no list is given.
            facts: What is known about the server's key storage and .pfx, for `procedure` and `windows`.
            silence: Codes of findings to leave out, each with the reason, which the report keeps.
            extra_rules: Rules of your own.
            max_depth: How many intermediates there may be between this certificate and a trusted one; 0 to 255.

        Returns:
            A report; true when nothing forbids the use.

        Raises:
            InvalidInputError: a host name that is none, a naive moment, an unknown profile, client, purpose or code; a
                host for a client's certificate.
            MalformedDataError: the certificate's fields cannot be read at all.
            NotFoundError: `trust="system"`, and no CA bundle is installed.
            NativeError: `trust="system"` on Windows, and its chain engine could not build a chain at all.

        With `trust="system"` on Windows it is Windows' own chain engine that judges (its findings have the codes
        `windows-...`, after its own names), and it may fetch missing issuers; elsewhere the validator judges, with the
        roots of the operating system's CA bundle. With both, a certificate for which Windows finds no way to a root, or
        only to one that it does not trust, is judged by the validator with the roots given, and with no others;
        whatever else Windows holds against it, such as a place in Disallowed or a signature too weak, stands.

        Not checked: anything that needs the network. Standards: RFC 5280, RFC 9525, and what each finding names.
        """
        from mlsssl._select.trust import report_on
        from mlsssl._validator.profiles import for_purpose

        return report_on(
            self._certificate,
            self._chain,
            host,
            der=self.to_der(),
            private_key=self._key,
            key_expected=key_expected,
            trust=trust,
            at=check_moment(at),
            client=client,
            profile=for_purpose(profile, purpose),
            crls=crls,
            revocation=revocation,
            facts=facts,
            silence=silence,
            extra_rules=extra_rules,
            max_depth=max_depth,
        )

    # -- looking into it ----------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, object]:
        """What it says, as plain values, ready for JSON; never its private key.

        `extensions` are dicts with `oid`, `name` (None for one that is not known), `critical` and `value`: text,
        numbers, lists and dicts of them, and octets as hexadecimal digits; one that cannot be read has its reason as
        `unreadable` in place of a `value`. A field that cannot be read is None. Moments are ISO 8601 text, serial
        numbers hexadecimal.
        """
        from mlsssl._formats import described

        def read(name: str) -> object:
            return as_json(foreign.read_or(None, attrgetter(name), self))

        number = foreign.read_or(None, attrgetter("serial_number"), self)
        return {
            **{name: read(name) for name in ("subject", "issuer", "names")},
            "serial_number": None if number is None else f"{number:x}",
            **{name: read(name) for name in ("not_before", "not_after", "key_type", "signature_hash")},
            **as_dict(self, "thumbprint", "sha256"),
            "chain": [one.subject for one in self.chain],
            **as_dict(self, "has_private_key", "friendly_name", "encoding_faults"),
            "extensions": described.extensions(self._certificate, _KEY_USAGES, _EKU_NAMES),
        }

    def diff(self, other: Certificate) -> CertificateDiff:
        """What `other` says otherwise: fields and extensions. Chains, private keys and friendly names are left out.

        Args:
            other: The certificate to compare with, such as the one that was bound before.

        Returns:
            The differing fields with both values; true when there are any. A card in notebooks, lines when printed.

        Raises:
            InvalidInputError: `other` is no `Certificate`.
        """
        from mlsssl._formats.described import CertificateDiff, flat

        both = [flat(one.to_dict()) for one in (self, check_certificate(other))]
        left_out = ("chain", "has_private_key", "friendly_name")
        names = [one for one in dict.fromkeys((*both[0], *both[1])) if one not in left_out]
        changed = [(one, both[0].get(one), both[1].get(one)) for one in names]
        return CertificateDiff((card_title(self), card_title(other)), tuple(one for one in changed if one[1] != one[2]))

    def asn1(self) -> str:
        """Its DER element by element, as text: place, length, kind and value of each, indented by depth.

        What is wrapped in OCTET STRINGs and BIT STRINGs is shown too. At most 5000 elements, 32 levels, and 32 octets
        of a value (256 of a text); what is left out is marked by an ellipsis.
        """
        from mlsssl._formats.described import asn1_lines

        return asn1_lines(self.to_der())

    def ssl_context(self) -> ssl.SSLContext:
        """A TLS server context with this certificate, its chain and key: TLS 1.2 and newer, Python's defaults.

        Raises:
            InvalidInputError: there is no private key.
            UnsupportedError: the OpenSSL under Python refuses the key.
        """
        from mlsssl._machine import tls_contexts

        # Without self-signed roots, which a server need not send (RFC 8446 section 4.4.2).
        sent = (one for one in self._chain if not pem.is_root(one))
        return tls_contexts.serving(self._need_key(), (self._certificate, *sent))

    # -- being a value ------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return self._certificate == other._certificate if isinstance(other, Certificate) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._certificate)

    def __repr__(self) -> str:
        shown = ", ".join(self._shown_names()) or self.subject or "no name"
        issuer = "self-issued" if self.is_self_issued else f"by {_common_name(self._certificate.issuer) or self.issuer}"
        try:
            kind = self.key_type
        except MalformedDataError:
            kind = "unreadable key"
        key = "with private key" if self._key is not None else "no private key"
        text = f"{shown}; {issuer}; {self.not_before:%Y-%m-%d} to {self.not_after:%Y-%m-%d}; {kind}; {key}"
        return f"<Certificate {printable(text)[:500]}>"

    @staticmethod
    def timeline(certificates: Iterable[Certificate], *, at: dt.datetime | None = None) -> Timeline:
        """Certificates on one axis of time; as `mlsssl.timeline`."""
        from mlsssl._notebook.timeline import timeline

        return timeline(certificates, at=at)

    def _repr_html_(self) -> str:
        return self._card()

    def _card(self, kind: str = "", more: Sequence[tuple[str, str]] = ()) -> str:
        """A card for notebooks, with the chain as a tree; never the private key."""
        from mlsssl._notebook.cards import card, code, facts, faint, level, or_why, part, sign, text, tree

        validity = card_validity(self)
        levels = [level(card_title(one), _role(one), card_validity(one).bar) for one in reversed(self.chain)]
        role = "authority" if foreign.read_or(False, attrgetter("is_ca"), self) else "server"
        here = sign("ok", "private key here") if self.has_private_key else faint("no private key")
        rows = [
            ("names", or_why(lambda: ", ".join(self.names))),
            ("subject", text(self.subject)),
            ("issuer", text(self.issuer) + (" (itself)" if self.is_self_issued else "")),
            ("valid", validity.dates_and_bar),
            ("key", f"{or_why(lambda: self.key_type)} · {here}"),
            ("usages", or_why(lambda: ", ".join((*self.key_usages, *self.extended_key_usages)))),
            ("thumbprint", code(self.thumbprint, whole=True)),
            ("SHA-256", code(self.sha256)),
            ("friendly name", text(self.friendly_name or "")),
            *(("encoding", text(fault)) for fault in self.encoding_faults),
        ]
        path = tree([*levels, level(card_title(self), role, "this one")]) if levels else ""
        title = f"{text(kind)} {text(card_title(self))}" if kind else text(card_title(self))
        return card(title, facts([*rows, *more]), part("chain", path))

    def _shown_names(self) -> Sequence[str]:
        try:
            shown = self.names
        except MalformedDataError:
            return ()
        if not shown:
            return (self.common_name,) if self.common_name else ()
        return shown if len(shown) <= 4 else (*shown[:3], f"… {len(shown) - 3} more")

    def __copy__(self) -> Certificate:
        return self

    def __deepcopy__(self, memo: object) -> Certificate:
        return self


class CertificateChain(tuple[Certificate, ...]):
    """What stands above a certificate, its issuer first; a tuple that notebooks show as a card."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import code, listing, text

        rows = [
            [text(card_title(one)), _role(one), card_validity(one).bar, code(one.thumbprint, whole=True)]
            for one in self
        ]
        return listing("Chain", "certificate", ["", "role", "valid", "thumbprint"], rows, empty="nothing came with it")


def _role(certificate: Certificate) -> str:
    return "root" if pem.is_root(pem.x509_of(certificate)) else "intermediate"


def _chosen(found: contents.Contents, alias: str | None, *, needs_key: bool = False) -> Certificate:
    """The certificate that is meant, of all that a file holds; errors as `Certificate.load`."""
    if not found.certificates:
        raise MalformedDataError("there is a private key in this file, but no certificate")
    chosen = found.chosen(alias)
    if chosen.certificate is None or (needs_key and chosen.private_key is None):
        raise MalformedDataError(
            "the private key belongs to none of the certificates in this file"
            if alias is None
            else f"there is no certificate with its private key that has the alias {shown(alias)}"
        )
    return assemble(
        chosen.certificate,
        None if chosen.private_key is None else contents.usable(chosen.private_key),
        pem.order_chain(chosen.certificate, chosen.others),
        chosen.friendly_name,
        der=chosen.der,
        left_out=chosen.left_out,
    )


def assemble(
    certificate: x509.Certificate,
    key: PrivateKey | None,
    chain: tuple[x509.Certificate, ...],
    friendly_name: str | None = None,
    *,
    der: bytes | None = None,
    left_out: tuple[str, ...] = (),
    into: Certificate | None = None,
) -> Certificate:
    """A Certificate from parts known to fit: no checks, for they cost as much as a P-256 signature. Private.

    `der` is what the certificate was read from, where that is at hand.
    """
    made = Certificate.__new__(Certificate) if into is None else into
    return set_attributes(
        made,
        _certificate=certificate,
        _key=key,
        _chain=chain,
        _friendly_name=friendly_name,
        _left_out=left_out,
        _der=der,
        _extensions=None,
        _thumbprint=None,
    )


def x509_chain(certificate: Certificate) -> tuple[x509.Certificate, ...]:
    """`Certificate.chain` as `cryptography` has it, for who looks at it only. Private."""
    return certificate._chain  # noqa: SLF001 -- our own


def extension_of(certificate: Certificate, kind: type[E]) -> E | None:
    """The extension of this kind, or None; `MalformedDataError` when it cannot be read. Private."""
    return certificate._extension(kind)  # noqa: SLF001 -- our own


def card_title(certificate: Certificate) -> str:
    """Its first name and how many more there are, else its subject, also when names cannot be read. Private."""
    hosts: tuple[str, ...] | None = foreign.read_or(None, attrgetter("hosts"), certificate)
    if hosts:
        return hosts[0] if len(hosts) == 1 else f"{hosts[0]} and {len(hosts) - 1} more"
    return (hosts is not None and certificate.common_name) or certificate.subject or "no name"


def card_validity(certificate: Certificate) -> Validity:
    """When it is valid, for a card. Private."""
    from mlsssl._notebook.cards import Validity

    return Validity(start=certificate.not_before, end=certificate.not_after, at=check_moment(None))


def _common_name(name: x509.Name) -> str | None:
    for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME):
        return attribute.value if isinstance(attribute.value, str) else attribute.value.decode("latin-1")
    return None


def certificates_in(data: bytes, password: str | None = None) -> tuple[Certificate, ...]:
    """Every certificate in these bytes, as `Certificate.load_all` says; errors too. Private."""
    found = contents.read_contents(data, password, WorkBudget(), exact_order=True)
    if not found.certificates:
        raise MalformedDataError("there is a private key, but no certificate")
    owners = {keys.spki(one.key.public_key()): contents.usable(one.key) for one in found.private_keys}
    certificates = dict.fromkeys(one.certificate for one in found.certificates)
    return tuple(assemble(one, owners.get(pem.public_key_bytes(one) or b""), ()) for one in certificates)


def check_certificate(certificate: Certificate) -> Certificate:
    """Return `certificate` if it is one; `InvalidInputError` otherwise. Private."""
    needed = "a Certificate is needed (Certificate.load reads one from a file; of an authority it is .certificate)"
    return check_type(certificate, Certificate, needed)


def check_key(private_key: PrivateKey, public_key: bytes | None, whose: str, hint: str = "") -> None:
    """`InvalidInputError` unless it is a private key, and that of this public key (SubjectPublicKeyInfo). Private."""
    if not keys.is_private_key(private_key):
        raise InvalidInputError(f"a private key is RSA or EC, not {type(private_key).__name__}")
    if keys.spki(private_key.public_key()) != public_key:
        raise InvalidInputError(f"the private key is not this {whose}'s: their public keys differ{hint}")


def _all_x509(chain: Iterable[Certificate | x509.Certificate]) -> list[x509.Certificate]:
    return [pem.usable(pem.x509_of(one)) for one in items_of(chain, "a chain is a list of certificates")]


def check_shares(fraction: float, jitter: float) -> None:
    """`InvalidInputError` for what are no shares of a lifetime, see `Certificate.renewal_time`. Private."""
    check_number(fraction, 0, 1, "fraction is a share of the lifetime, above 0 up to 1", above=True)
    check_number(jitter, 0, fraction, f"jitter is a share of the lifetime, 0 up to fraction ({fraction:g})")
