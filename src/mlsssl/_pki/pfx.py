"""PFX (PKCS#12, RFC 7292) in and out: bytes to a key with its certificates, and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from mlsssl.errors import InvalidInputError, MalformedDataError, WrongPasswordError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12PrivateKeyTypes


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPfx:
    """What a PFX holds.

    Attributes:
        private_key: The private key, or None when there is none (a trust store).
        certificate: The certificate of that key, or None.
        additional: Every other certificate, in the order of the file.
        friendly_name: The name on the certificate, else on the key, or None.
    """

    private_key: PKCS12PrivateKeyTypes | None = field(repr=False)
    certificate: x509.Certificate | None
    additional: tuple[x509.Certificate, ...]
    friendly_name: str | None


def load_pfx(data: bytes, password: str | None) -> LoadedPfx:
    """Read a PFX.

    Args:
        data: The whole file.
        password: None when there is none; many programs write an empty one for that, so both are tried.

    Raises:
        WrongPasswordError: it is whole, and this password does not open it.
        MalformedDataError: it is not a PFX, or it is damaged.
    """
    try:
        loaded = pkcs12.load_pkcs12(data, None if password is None else password.encode())
    except ValueError as error:
        if "password" in str(error):
            raise WrongPasswordError("this password does not open the PFX") from None
        raise MalformedDataError(f"not a PFX, or damaged: {error}") from None
    name = loaded.cert.friendly_name if loaded.cert else None
    return LoadedPfx(
        private_key=loaded.key,  # type: ignore[arg-type]
        certificate=loaded.cert.certificate if loaded.cert else None,
        additional=tuple(other.certificate for other in loaded.additional_certs),
        friendly_name=name.decode("utf-8", "replace") if name else None,
    )


def serialize_pfx(
    private_key: PKCS12PrivateKeyTypes | None,
    certificate: x509.Certificate | None,
    chain: Sequence[x509.Certificate] = (),
    password: str | None = None,
    *,
    friendly_name: str | None = None,
    readable_by: str | None = None,
) -> bytes:
    """Write a PFX.

    Args:
        private_key: The private key; None writes certificates only.
        certificate: Its certificate.
        chain: Further certificates, issuer first, written in this order.
        password: One or more characters, or None for no encryption at all.
        friendly_name: Shown in lists of certificates.
        readable_by: The program that must be able to read it; None suits every supported Windows.

    Raises:
        InvalidInputError: an empty password, or an unknown target.
    """
    encryption: serialization.KeySerializationEncryption
    if password is None:
        encryption = serialization.NoEncryption()
    elif not password:
        raise InvalidInputError("an empty password protects nothing; give None to write the PFX without encryption")
    else:
        encryption = (
            serialization.PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(20_000)
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(hashes.SHA1())  # noqa: S303 -- all that Server 2016 reads
            .build(password.encode())
        )
    name = friendly_name.encode() if friendly_name else None
    return pkcs12.serialize_key_and_certificates(name, private_key, certificate, list(chain) or None, encryption)
