"""What a file really is, told by its content; and PEM text, which may hold certificates and a private key alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cryptography import x509

from mlsssl._formats import pem
from mlsssl._formats.budget import WorkBudget
from mlsssl._formats.foreign import read
from mlsssl.errors import MalformedDataError, UnsupportedError, WrongPasswordError

if TYPE_CHECKING:
    from mlsssl._formats.keys import PrivateKey
    from mlsssl.errors import MlssslError


def format_of(data: bytes) -> Literal["pem", "pfx", "pkcs7", "certificate"]:
    """Which format the bytes claim to be in, by their first element; `certificate` when nothing is known.

    All three binary ones are an ASN.1 SEQUENCE. Its first element is the version number 3 in a PFX (RFC 7292),
    an object identifier in PKCS#7 (RFC 2315), and another SEQUENCE in a certificate (RFC 5280).
    """
    if b"-----BEGIN" in data:
        return "pem"
    if data[:1] == b"\x30" and len(data) > 2:
        length_octets = data[1] & 0x7F if data[1] > 0x80 else 0
        first = data[2 + length_octets : 5 + length_octets]
        if first == b"\x02\x01\x03":
            return "pfx"
        if first[:1] == b"\x06":
            return "pkcs7"
    return "certificate"


def load_pem(
    data: bytes, password: str | None, budget: WorkBudget | None = None
) -> tuple[list[x509.Certificate], list[PrivateKey], list[MlssslError]]:
    """The certificates and the private keys in file order, paid for from the budget.

    Returns:
        Third, why other private keys could not be read that are whole: a wrong password, or a kind that is not used.
        For `choice.choose`.

    Raises:
        MalformedDataError: a block is damaged, or there is no certificate and no key.
    """
    budget = budget or WorkBudget()
    certificates: list[x509.Certificate] = []
    keys: list[PrivateKey] = []
    unread: list[MlssslError] = []
    for count, (label, block) in enumerate(pem.blocks(data)):
        if label in (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"):
            what = f"PEM block {count + 1} is no certificate"
            certificates.append(read(what, x509.load_pem_x509_certificate, block))
            pem.probe(certificates[-1], what)
        elif label.endswith(b"PRIVATE KEY"):
            from mlsssl._formats.key_files import load_private_key  # as much to import as all the rest here

            try:
                keys.append(load_private_key(block, password, budget))
            except (WrongPasswordError, UnsupportedError) as error:
                unread.append(error)
    if not certificates and not keys and not unread:
        raise MalformedDataError("no certificate and no private key between BEGIN and END lines in this PEM text")
    return certificates, keys, unread
