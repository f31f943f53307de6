"""Private keys of stored certificates: persisted under a name of ours, opened and compared, read back, deleted."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import rsa

from mlsssl._formats.keys import private_key_der, spki
from mlsssl._machine.ports import KeyState, check_provider
from mlsssl._windows import certificates, system_stores
from mlsssl._windows.failures import NO_SUCH_KEY, NTE_NOT_SUPPORTED, code_of, in_words
from mlsssl._windows.keys import blobs, cng, csp
from mlsssl.errors import (
    AccessDeniedError,
    MalformedDataError,
    MlssslError,
    NativeError,
    StoreError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._issue.machine_keys import HashName
    from mlsssl._machine.ports import KeyProvider
    from mlsssl._windows.certificates import KeyLink
    from mlsssl._windows.dlls import CertContext, Dlls
    from mlsssl.values import KeyType, Location

    ResultT = TypeVar("ResultT")

NAME_PREFIX = "mlsssl-"
"""How the container names begin that this library made up: nobody else's key has such a name."""


def new_name() -> str:
    """A container name that nothing has."""
    return f"{NAME_PREFIX}{uuid.uuid4()}"


def possible_links(name: str, *, machine: bool) -> list[KeyLink]:
    """Everywhere that `persist` may put a key of this name."""
    return [cng.link_to(name, machine=machine), csp.link_to(name, machine=machine)]


def persist(
    dlls: Dlls,
    name: str,
    key: PrivateKey,
    *,
    machine: bool,
    exportable: bool,
    provider: KeyProvider | None,
) -> KeyLink:
    """Keep a key under a name that nothing has, and see that it is kept: opened again, it is the same key.

    The caller has written the name down before. Without `provider` CNG is tried, then, for RSA, the older provider.

    Raises:
        AccessDeniedError: not an administrator, for the machine's keys.
        UnsupportedError: no storage of this Windows keeps such a key.
        NativeError: a call failed.
    """
    is_rsa = isinstance(key, rsa.RSAPrivateKey)
    public = spki(key.public_key())

    def in_cng() -> KeyLink:
        return cng.create(dlls, name, key, machine=machine, exportable=exportable)

    def in_csp() -> KeyLink:
        assert isinstance(key, rsa.RSAPrivateKey)
        return csp.create(dlls, name, key, machine=machine, exportable=exportable)

    return _kept(dlls, name, in_cng, in_csp, public, machine=machine, is_rsa=is_rsa, provider=provider)[0]


def make(
    dlls: Dlls, name: str, key_type: KeyType, *, machine: bool, exportable: bool, provider: KeyProvider | None
) -> bytes:
    """Have Windows make a key under a name that nothing has, and see that it is kept; its public half.

    As `persist`, but the private key is in no memory of ours.
    """

    def in_cng() -> KeyLink:
        return cng.make(dlls, name, key_type, machine=machine, exportable=exportable)

    def in_csp() -> KeyLink:
        return csp.make(dlls, name, key_type, machine=machine, exportable=exportable)

    is_rsa = key_type.startswith("rsa-")
    return _kept(dlls, name, in_cng, in_csp, None, machine=machine, is_rsa=is_rsa, provider=provider)[1]


def _kept(
    dlls: Dlls,
    name: str,
    in_cng: Callable[[], KeyLink],
    in_csp: Callable[[], KeyLink],
    public: bytes | None,
    *,
    machine: bool,
    is_rsa: bool,
    provider: KeyProvider | None,
) -> tuple[KeyLink, bytes]:
    """A key by the storage that was asked for, else by the first that keeps it; where it is, and its public half."""
    check_provider(provider, is_rsa=is_rsa)
    refusal: MlssslError | None = None
    if provider != "csp":
        try:
            return _seen(dlls, in_cng(), public)
        except (NativeError, StoreError, UnsupportedError) as error:
            refusal = error
        if getattr(refusal, "function", "") != "NCryptOpenStorageProvider":  # something may have been begun
            with contextlib.suppress(UnsupportedError):
                cng.delete(dlls, cng.link_to(name, machine=machine))
    if provider == "cng" or not is_rsa:
        what = "keys" if provider == "cng" else "EC keys, and no other storage has them"
        raise UnsupportedError(f"CNG of this Windows does not keep {what} ({refusal})") from refusal
    return _seen(dlls, in_csp(), public)


def _seen(dlls: Dlls, link: KeyLink, expected: bytes | None) -> tuple[KeyLink, bytes]:
    # Success codes are not proof: there are systems whose CNG answers 0 to everything and keeps nothing.
    try:
        public, _ = look(dlls, link)
    except NativeError as error:
        raise StoreError(f"{link.provider} reported success, yet the key does not open: {in_words(error)}") from error
    if expected not in (None, public):
        raise StoreError(f"{link.provider} reported success, yet the key under the name is another")
    return link, public


def find(dlls: Dlls, name: str, *, machine: bool) -> tuple[KeyLink, bytes] | None:
    """The key that `persist` or `make` put under this name, and its public half; None when there is none."""
    for link in possible_links(name, machine=machine):
        try:
            public = identity(dlls, link)
        except (NativeError, UnsupportedError) as error:
            # No such storage here, or one that opens no key by its name: then it has none.
            if not isinstance(error, UnsupportedError) and code_of(error) != NTE_NOT_SUPPORTED:
                raise
            continue
        if public is not None:
            return link, public
    return None


def sign(dlls: Dlls, link: KeyLink, digest: bytes, hash_name: HashName) -> bytes:
    """The signature of a digest by the key that a link names; see `RequestKeysPort.sign`."""
    return cng.sign(dlls, link, digest, hash_name) if link.is_cng else csp.sign(dlls, link, digest, hash_name)


def look(dlls: Dlls, link: KeyLink) -> tuple[bytes, bool]:
    """Open the key that a link names: its public half (`keys.spki`), and whether it may leave.

    Not by CryptAcquireCertificatePrivateKey, whose search for other containers ("healing") would find a key that
    the link does not name.
    """
    return cng.look(dlls, link) if link.is_cng else csp.look(dlls, link)


def state(dlls: Dlls, link: KeyLink, certificate: bytes) -> KeyState:
    """What is found at the end of a certificate's link."""
    public, exportable, problem = None, None, None
    try:
        public, exportable = look(dlls, link)
    except (NativeError, AccessDeniedError, UnsupportedError, MalformedDataError) as error:
        problem = in_words(error)
    return KeyState(
        provider=link.provider,
        container=link.container,
        machine_keyset=link.is_machine,
        persisted=problem is None,
        matches=None if public is None else public == blobs.certificate_identity(certificate),
        exportable=exportable,
        problem=problem,
    )


def fits(found: KeyState | None, location: Location) -> bool:
    """Whether a certificate in a store there has a key that serves: it opens, matches, and is the machine's."""
    return found is not None and found.usable and (found.machine_keyset or location == "CurrentUser")


def export(dlls: Dlls, link: KeyLink) -> bytes:
    """The private key as PKCS#8 DER.

    Raises:
        AccessDeniedError: it may not leave.
        NativeError: it does not open.
    """
    exportable = look(dlls, link)[1]
    if not exportable:
        raise AccessDeniedError(
            f"the private key {link.container} may not leave the machine; it was added without exportable=True",
            right="exportable key",
        )
    return private_key_der(cng.export(dlls, link) if link.is_cng else csp.export(dlls, link))


def identity(dlls: Dlls, link: KeyLink) -> bytes | None:
    """The public half of the key that a link names; None when there is none."""
    try:
        return look(dlls, link)[0]
    except NativeError as error:
        if code_of(error) in NO_SUCH_KEY:
            return None
        raise


def is_ours(link: KeyLink) -> bool:
    """Whether the container has a name that this library made up."""
    return is_our_name(link.container)


def is_our_name(name: str) -> bool:
    """Whether a container's name is one that this library made up."""
    return name.startswith(NAME_PREFIX)


def delete(dlls: Dlls, link: KeyLink) -> bool:
    """Delete the key behind a link; False when there is none."""
    return cng.delete(dlls, link) if link.is_cng else csp.delete(dlls, link)


def containers(dlls: Dlls, *, machine: bool) -> list[KeyLink]:
    """Every key container of the machine or the user, as far as the providers list theirs.

    Raises:
        NativeError, AccessDeniedError: a provider that lists its containers did not.
    """
    try:
        found = cng.containers(dlls, machine=machine)
    except NativeError as error:
        if error.code != NTE_NOT_SUPPORTED:  # a provider that finds no key by its name has none to list
            raise
        found = []
    return found + csp.containers(dlls, machine=machine)


def places_in_use(dlls: Dlls) -> tuple[frozenset[tuple[str, bool, bool]], dict[str, MlssslError]]:
    """`KeyLink.place` of every key that a certificate of this computer names.

    And, by name, each store that was not looked into: what is not in the first value may be in use there.
    """
    links, unread = _everywhere(dlls, certificates.key_link)
    return frozenset(link.place for link in links if link is not None), unread


def serves_another(dlls: Dlls, link: KeyLink, certificate: bytes) -> bool:
    """Whether a certificate other than this one needs the key behind its link, as far as the stores can be read.

    It does when it names the container, or when it has the same key and names none: so a renewal that kept its key
    may look.
    """
    identity = blobs.certificate_identity(certificate)
    others, _ = _everywhere(
        dlls, lambda dlls, context: (certificates.key_link(dlls, context), certificates.encoded(context))
    )
    for other_link, other in others:
        if other == certificate:
            continue
        if other_link.place == link.place if other_link else blobs.certificate_identity(other) == identity:
            return True
    return False


def _everywhere(
    dlls: Dlls, look_at: Callable[[Dlls, CertContext], ResultT]
) -> tuple[list[ResultT], dict[str, MlssslError]]:
    """What `look_at` makes of every certificate of every store, archived ones included; and the stores not read."""
    found, unread = system_stores.look_everywhere(
        dlls, lambda store: system_stores.all_of(dlls, store, lambda context: look_at(dlls, context))
    )
    return [result for _, _, results in found for result in results], unread
