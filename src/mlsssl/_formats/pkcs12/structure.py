"""A PFX taken apart: its safes, bags, MAC and ciphers, as far as they show without and with the password."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from mlsssl._formats import der, identifiers
from mlsssl._formats.budget import PKCS12_OPENSSL
from mlsssl._formats.choice import HeldCertificate
from mlsssl._formats.foreign import UNREADABLE, call, needed_fields_of
from mlsssl._formats.key_files import check_size, looks_like_key
from mlsssl._formats.pem import public_key_bytes
from mlsssl._formats.pkcs12.encryption import Encryption, Mac, read_encryption, read_mac
from mlsssl.errors import MalformedDataError, WrongPasswordError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from mlsssl._formats.budget import Cost, WorkBudget
    from mlsssl._formats.der import Element

SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes of a PFX. A key with a long chain has some ten thousand."""
_BAG_LIMIT = 10_000
_DEPTH_LIMIT = 4
_SMALL_KEY = 350
_MOST_KEY_ID = 20  # SHA-1, which is the longest that is in use
_BLOCK = 8
_DATA = der.write_oid(identifiers.DATA)
_MOST_ATTRIBUTES = 1_000
_MOST_OF_KEY = 16  # PKCS#8 has five

BagKind = Literal["key", "encrypted key", "certificate", "revocation list", "secret", "other"]
_BAG_KINDS: dict[str, BagKind] = {
    identifiers.KEY_BAG: "key",
    identifiers.ENCRYPTED_KEY_BAG: "encrypted key",
    identifiers.CERTIFICATE_BAG: "certificate",
    identifiers.REVOCATION_LIST_BAG: "revocation list",
    identifiers.SECRET_BAG: "secret",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bag:
    """One bag: PKCS#8 DER of a key, EncryptedPrivateKeyInfo of an encrypted one, DER of a certificate; else no value.

    The last four are its attributes (RFC 7292, section 4.2, and Microsoft's two).
    """

    kind: BagKind
    value: bytes = field(repr=False)
    encryption: Encryption | None = None
    encrypted_key: bytes = field(default=b"", repr=False)
    friendly_name: str | None = None
    local_key_id: bytes | None = None
    provider: str | None = None
    machine_keyset: bool = False

    def private_keys(self, password: str | None, budget: WorkBudget) -> Iterator[bytes]:
        """What may be the PKCS#8 DER of the key in it, likeliest first."""
        if self.encryption is None:
            yield self.value
        else:
            yield from self.encryption.attempts(self.encrypted_key, password, budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    """One ContentInfo of the AuthenticatedSafe, `raw` as it stands; `encryption` is None when it lies open.

    An encrypted one has its bags only after `open_safe`; one encrypted to a certificate has a `refusal` and never has.
    """

    encryption: Encryption | None
    bags: tuple[Bag, ...]
    encrypted: bytes = field(default=b"", repr=False)
    refusal: str | None = None
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A PFX without its password; `authenticated` is what the MAC is about."""

    version: int
    safes: tuple[Safe, ...]
    mac: Mac | None
    authenticated: bytes = field(repr=False)

    @property
    def bags(self) -> list[Bag]:
        """Every bag that shows."""
        return [bag for safe in self.safes for bag in safe.bags]

    @property
    def costs(self) -> Iterator[Cost]:
        """What each part costs that is protected by the password, for one spelling of it."""
        if self.mac is not None:
            yield self.mac.cost, self.mac
        for safe in self.safes:
            for encryption in (safe.encryption, *(bag.encryption for bag in safe.bags)):
                if encryption is not None:
                    yield encryption.cost, encryption


def read_structure(data: bytes) -> Structure:
    """Take a PFX apart as far as it goes without a password. No hashing is done.

    `MalformedDataError`: too large, not a PFX, damaged, or protected by a certificate instead of a password.
    """
    if len(data) > SIZE_LIMIT:
        raise MalformedDataError(f"{len(data)} bytes are too many for a PFX; at most {SIZE_LIMIT} are read")
    with der.decoding("a PFX (PKCS#12)"):
        number, info, *mac_data = der.fields(der.only(data), 2, 1)
        version = der.number(number)
        content_type, content = _read_content_info(info)
        if content_type == identifiers.SIGNED_DATA:
            raise MalformedDataError(
                "this PFX is protected by a signature instead of a password, which this library does not read"
            )
        if content_type != identifiers.DATA:
            raise MalformedDataError(f"this is not a PFX (PKCS#12): its content is {content_type}")
        authenticated = der.octets(_given(content))
        mac = read_mac(mac_data[0]) if mac_data else None
        infos = der.members(der.only(authenticated), der.SEQUENCE, most=_BAG_LIMIT)
        safes: list[Safe] = []
        count = 0
        for info in infos:
            safes.append(_read_safe(info))
            count += len(safes[-1].bags)
            if count > _BAG_LIMIT:
                raise MalformedDataError(f"this PFX has more than the {_BAG_LIMIT} bags allowed")
    return Structure(version=version, safes=tuple(safes), mac=mac, authenticated=authenticated)


def _read_content_info(info: Element) -> tuple[str, Element | None]:
    content_type, *content = der.fields(info, 1, 1)
    return der.oid(content_type), der.inside(content[0]) if content else None


def _given(content: Element | None) -> Element:
    if content is None:
        raise MalformedDataError("this PFX lacks a content")
    return content


def _read_safe(info: Element) -> Safe:
    content_type, content = _read_content_info(info)
    if content_type == identifiers.DATA:
        return Safe(encryption=None, bags=_read_bags(der.octets(_given(content))), raw=info.raw)
    if content_type == identifiers.ENCRYPTED_DATA:
        data = der.Fields(_given(content))
        der.number(data.take())
        inner_type, algorithm, encrypted = der.fields(data.take(), 3)
        data.optional(der.CONTEXT_1, der.CONTEXT_1 | der.CONSTRUCTED)  # attributes, which are not protected
        data.end()
        der.oid(inner_type)
        octets = der.octets(encrypted, der.CONTEXT_0)
        return Safe(encryption=read_encryption(algorithm), bags=(), encrypted=octets, raw=info.raw)
    refusal = f"a part of it has the unknown type {content_type}"
    if content_type == identifiers.ENVELOPED_DATA:
        refusal = "a part of it is encrypted to a certificate, not by a password"
    return Safe(encryption=None, bags=(), refusal=refusal)


def _read_bags(data: bytes) -> tuple[Bag, ...]:
    bags = tuple(islice(_walk_bags(der.only(data), depth=0), _BAG_LIMIT + 1))
    if len(bags) > _BAG_LIMIT:
        raise MalformedDataError(f"this PFX has more than the {_BAG_LIMIT} bags allowed")
    return bags


def _walk_bags(contents: Element, depth: int) -> Iterator[Bag]:
    if depth > _DEPTH_LIMIT:
        raise MalformedDataError("this PFX has bags nested too deep")
    for bag in der.members(contents, der.SEQUENCE, most=_BAG_LIMIT):
        kind, content, *attributes = der.fields(bag, 2, 1)
        identifier, value = der.oid(kind), der.inside(content)
        if identifier == identifiers.SAFE_CONTENTS_BAG:
            yield from _walk_bags(value, depth + 1)
        else:
            yield _read_bag(_BAG_KINDS.get(identifier, "other"), value, attributes)


def _read_bag(kind: BagKind, content: Element, attributes: list[Element]) -> Bag:
    value, encryption, encrypted_key = b"", None, b""
    if kind in ("key", "encrypted key"):
        value = content.raw
        if kind == "encrypted key":
            algorithm, octets = der.fields(content, 2)
            encryption, encrypted_key = read_encryption(algorithm), der.octets(octets)
        else:
            der.fields(content, 0, _MOST_OF_KEY)
        check_size(len(value))
    elif kind == "certificate":
        certificate_type, inner = der.fields(content, 2)
        identifier, inner = der.oid(certificate_type), der.inside(inner)
        if identifier == identifiers.X509_CERTIFICATE:
            value = der.octets(inner)
        else:
            kind = "other"  # an SDSI certificate
    names = _read_attributes(attributes[0]) if attributes else {}
    return Bag(kind=kind, value=value, encryption=encryption, encrypted_key=encrypted_key, **names)


def _read_attributes(attributes: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute in der.members(attributes, der.SET, most=_MOST_ATTRIBUTES):
        kind, members = der.fields(attribute, 2)
        identifier, values = der.oid(kind), der.members(members, der.SET, most=_MOST_ATTRIBUTES)
        if identifier == identifiers.MACHINE_KEYSET:
            found["machine_keyset"] = True
        elif identifier == identifiers.FRIENDLY_NAME and values:
            found["friendly_name"] = _text(values[0])
        elif identifier == identifiers.PROVIDER_NAME and values:
            found["provider"] = _text(values[0])
        elif identifier == identifiers.LOCAL_KEY_ID and values:
            with contextlib.suppress(ValueError):  # of another type it is none: as in `_text`
                found["local_key_id"] = der.octets(values[0])
    return found


# RFC 2985, section 5.5.1 wants a BMPString. OpenSSL shows these too, and reads the file whatever stands there.
_STRINGS = {der.BMP_STRING: "utf-16-be", 0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii"}


def _text(value: Element) -> str | None:
    """A string, with surrogate pairs as Windows writes them; half of one becomes U+FFFD. None when it is no string."""
    encoding = _STRINGS.get(value.tag)
    return None if encoding is None else value.contents.decode(encoding, "replace").removesuffix("\0")


def open_safe(safe: Safe, password: str | None, budget: WorkBudget) -> Safe:
    """The safe with its bags.

    Raises:
        WrongPasswordError: this password does not open it, or it is damaged: without the MAC nobody can say.
        MalformedDataError: it is open and damaged, no password opens it, its cipher is not read, or it costs too much
            work.
    """
    if safe.refusal:
        raise MalformedDataError(safe.refusal)
    if safe.encryption is None:
        return safe
    for plain in safe.encryption.attempts(safe.encrypted, password, budget):
        try:
            with der.decoding("the contents of a PFX"):
                bags = _read_bags(plain)
        except MalformedDataError:
            if _is_sequence(plain):
                raise  # so the password was right
            continue
        return Safe(encryption=safe.encryption, bags=bags, encrypted=safe.encrypted)
    raise WrongPasswordError("this password does not open the PFX")


def _is_sequence(plain: bytes) -> bool:
    try:
        return der.only(plain).tag == der.SEQUENCE
    except ValueError:
        return False


def is_small_alone(structure: Structure, bag: Bag) -> bool:
    """Whether OpenSSL may be given this key: too small for primes that take long to prove, one of two parts by itself.

    The other part is encrypted.
    """
    return (
        len(bag.value) <= _SMALL_KEY
        and (bag.encryption is None or quicker_outside(bag.encryption))
        and sorted((safe.encryption is not None, len(safe.bags)) for safe in structure.safes) == [(False, 1), (True, 0)]
    )


def load_outside(
    safe: Safe, password: str, budget: WorkBudget, *, key_safe: Safe | None = None, whole: bytes | None = None
) -> pkcs12.PKCS12KeyAndCertificates | None:
    """What OpenSSL finds in a part that is `quicker_outside`, in a fifth of our time; None when it fails.

    OpenSSL proves RSA keys and derives what it likes, so that it gets the one part alone, behind an unencrypted key of
    ours or a small one of the file: having one, it looks at no other. `certificates_alone` says whether there is more.

    Args:
        safe: The part.
        password: Not empty.
        budget: Pays for it.
        key_safe: The part with the file's one key, which `is_small_alone`; without it there is a key of ours.
        whole: The file, when OpenSSL meets no other key in it before: then its MAC is looked at, too.
    """
    assert safe.encryption is not None
    budget.spend(safe.encryption.outside(PKCS12_OPENSSL), safe.encryption)
    if whole is None:
        authenticated = der.write_sequence(_own_key() if key_safe is None else key_safe.raw, safe.raw)
        whole = der.write_sequence(der.write_number(3), open_part(authenticated))
    try:
        # cryptography warns about BER, which RFC 7292 allows
        return call(pkcs12.load_pkcs12, whole, password.encode())
    except UNREADABLE:
        return None


def certificates_alone(
    part: Safe, loaded: pkcs12.PKCS12KeyAndCertificates | None, key_id: bytes | None
) -> list[HeldCertificate] | None:
    """The certificates that `load_outside` found in an encrypted part; None when there may be more than it tells.

    OpenSSL tells of one key only, leaves out bags that it does not know and names that it cannot convert, and
    cryptography gives no localKeyID. But a part that holds these certificates with their names, and nothing else, has
    one size; and another one if one of them has the localKeyID of the key in sight, as programs write it. A part of
    neither size is not taken. The size is the least that DER and BER allow for what OpenSSL has seen, so that anything
    else has to fit into the padding, 7 bytes at most, or in place of the localKeyID, 47 at most with the padding. A bag
    of any kind takes 19, and one with a private key 48: Diffie-Hellman, with prime, base and exponent of one byte; 50
    on a curve, 65 with Ed25519, and encrypted more. So no key hides. What does fit is not seen: up to 7 bytes behind a
    certificate, or in longer forms of lengths than DER has, which OpenSSL writes anew.

    Args:
        part: Encrypted in blocks of 8 (`quicker_outside`).
        loaded: What OpenSSL found in it, and in no other part.
        key_id: The localKeyID of the key in sight.
    """
    if loaded is None:
        return None
    found = loaded.additional_certs if loaded.cert is None else [loaded.cert, *loaded.additional_certs]
    if len(found) >= _BAG_LIMIT:
        return None
    held: list[HeldCertificate] = []
    sizes: list[_Sizes] = []
    moments: set[object] = set()
    try:
        for one in found:
            certificate, name = one.certificate, one.friendly_name
            moments.add(call(needed_fields_of, certificate)[3:])  # `lenient` may know more of what cannot be read
            text = None if name is None else name.decode()
            held.append(HeldCertificate(certificate, None if text is None else text.removesuffix("\0")))
            names = () if text is None else (len(text.encode("utf-16-be")),)
            sizes.append((len(certificate.public_bytes(Encoding.DER)), *names))
    except UNREADABLE:
        return None
    if len(moments) < len(held) > len({public_key_bytes(one.certificate) for one in held}):
        return None  # `choose` may want to know which of two for one key has the localKeyID
    size = len(part.encrypted)
    return held if any(0 < size - _least(contents) <= _BLOCK for contents in _contents(sizes, key_id)) else None


_Sizes: TypeAlias = "tuple[int, ...]"
"""Bytes of a certificate, and of the values of its bag's attributes."""


def _contents(certificates: list[_Sizes], key_id: bytes | None) -> Iterator[int]:
    """Bytes that their bags take together, with the localKeyID at one of them and without."""
    bags = [_least_bag(one) for one in certificates]
    plain = sum(bags)
    if key_id is not None and len(key_id) <= _MOST_KEY_ID:
        for one, bag in zip(certificates, bags, strict=True):
            yield plain - bag + _least_bag((*one, len(key_id)))
    yield plain


def _least_bag(sizes: _Sizes) -> int:
    """Bytes of the bag of one certificate: object identifiers have 13, 12 and, for an attribute, 11."""
    certificate, *values = sizes
    value = _least(12 + _least(_least(certificate)))
    attributes = sum(_least(11 + _least(_least(size))) for size in values)
    return _least(13 + _least(value) + (_least(attributes) if values else 0))


def _least(contents: int) -> int:
    """The least bytes of an element with so many in it; an indefinite length takes 4 for itself, whatever it is."""
    return contents + (2 if contents < 0x80 else 3 if contents < 0x100 else 4)


@lru_cache(maxsize=1)
def _own_key() -> bytes:
    """A ContentInfo with an unencrypted private key in it: Ed25519 (RFC 8410, section 7), which is loaded quickest."""
    pkcs8 = bytes.fromhex("302e020100300506032b657004220420") + bytes(range(32))
    bag = der.write_sequence(der.write_oid(identifiers.KEY_BAG), der.write(der.EXPLICIT_0, pkcs8))
    return open_part(der.write_sequence(bag))


def open_part(contents: bytes) -> bytes:
    """A ContentInfo of type data, around what is written already: it lies open."""
    return der.write_sequence(_DATA, der.write(der.EXPLICIT_0, der.write(der.OCTET_STRING, contents)))


def encrypted_part(algorithm: bytes, encrypted: bytes) -> bytes:
    """A ContentInfo of type encryptedData (RFC 5652, section 8)."""
    content = der.write_sequence(_DATA, algorithm, der.write(der.CONTEXT_0, encrypted))
    data = der.write_sequence(der.write_number(0), content)
    return der.write_sequence(der.write_oid(identifiers.ENCRYPTED_DATA), der.write(der.EXPLICIT_0, data))


def quicker_outside(encryption: Encryption) -> bool:
    """Whether it is PKCS#12's derivation, a loop in Python here, with a cipher that OpenSSL has in every build."""
    kdf = encryption.kdf
    return kdf is not None and kdf.kind == "PKCS12" and encryption.cipher in ("3DES-CBC", "RC2-40-CBC")


def password_opens_a_part(structure: Structure, password: str | None, budget: WorkBudget) -> bool:
    """Whether anything in the file decrypts to what it should be: proof of the password when the MAC fails."""
    for safe in structure.safes:
        with contextlib.suppress(MalformedDataError):
            if safe.encryption and open_safe(safe, password, budget).bags:
                return True
    for bag in structure.bags:
        with contextlib.suppress(MalformedDataError):
            if bag.encryption and any(map(looks_like_key, bag.private_keys(password, budget))):
                return True
    return False
