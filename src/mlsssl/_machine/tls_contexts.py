"""Contexts for TLS (`ssl.SSLContext`): clients by what they trust, servers by what they serve; how keys get in.

A context takes keys from files only; none is left where others can read it.
"""

from __future__ import annotations

import os
import secrets
import ssl
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography import x509

    from mlsssl._formats.keys import PrivateKey


def accepting_anything() -> ssl.SSLContext:
    """A client that accepts whatever a server can send: which certificate it is, good or bad, is the question."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Python's own default is TLS 1.2, and a server that speaks nothing newer than TLS 1.1 is to be told so.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    try:
        # OpenSSL's security levels refuse small keys, SHA-1 and old protocols before anyone has seen them.
        context.set_ciphers("ALL:@SECLEVEL=0")
    except ssl.SSLError:
        context.set_ciphers("DEFAULT")
    return context


def trusting(anchors: Iterable[bytes], *, partial_chain: bool) -> ssl.SSLContext:
    """A client that trusts these certificates alone, and checks chain, names and dates as Python does.

    Args:
        anchors: DER.
        partial_chain: Whether an intermediate among them is enough; OpenSSL wants to go on to a root by default.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust(context, anchors, partial_chain=partial_chain)
    return context


def trust(context: ssl.SSLContext, anchors: Iterable[bytes], *, partial_chain: bool) -> None:
    """Have a context check the other side by these certificates; a server then asks each client for one."""
    for anchor in anchors:
        context.load_verify_locations(cadata=anchor)
    if partial_chain:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_mode = ssl.CERT_REQUIRED


def serving(key: PrivateKey, chain: Sequence[x509.Certificate]) -> ssl.SSLContext:
    """A server with this key, its certificate (the first of `chain`) and the chain to send: TLS 1.2 and newer.

    Raises:
        UnsupportedError: this OpenSSL refuses the key or certificate (a security level that forbids it).
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    from mlsssl._formats.keys import private_key_der

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        load_der(context, [certificate.public_bytes(Encoding.DER) for certificate in chain], private_key_der(key))
    except ssl.SSLError as error:
        raise UnsupportedError(f"OpenSSL refuses this certificate or key: {error}") from None
    return context


def load_der(context: ssl.SSLContext, chain: Sequence[bytes], private_key: bytes) -> None:
    """Give a context its certificate, chain and key.

    On Linux the file is one without a name, in memory (memfd_create), that this process alone has open. Elsewhere it
    lies in a new folder for this user only, the key encrypted under a random password, and is deleted at once.

    Args:
        context: A server's, or a client's that has a certificate.
        chain: DER certificates, the key's own first.
        private_key: PKCS#8 DER, unencrypted.

    Raises:
        ssl.SSLError: OpenSSL does not like them, or they do not belong together.
    """
    certificates = "".join(ssl.DER_cert_to_PEM_cert(der) for der in chain).encode()
    if sys.platform == "linux" and _load_from_memory(context, certificates, private_key):
        return
    from cryptography.hazmat.primitives import serialization

    from mlsssl._formats.foreign import read

    password = secrets.token_urlsafe(32)
    load = serialization.load_der_private_key
    key = read("this is no private key", load, private_key, None, unsafe_skip_rsa_key_validation=True)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )
    with tempfile.TemporaryDirectory(prefix="mlsssl-") as folder:  # 0700 from creation
        path = Path(folder) / "key.pem"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(encrypted + certificates)
        context.load_cert_chain(path, password=password)


if sys.platform == "linux":

    def _load_from_memory(context: ssl.SSLContext, certificates: bytes, private_key: bytes) -> bool:
        """Whether it worked: not without /proc."""
        descriptor = os.memfd_create("mlsssl", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            path = f"/proc/self/fd/{descriptor}"
            if not Path(path).exists():
                return False
            # PEM's armour around the bytes as they are (RFC 7468): parsing an RSA key only for that costs milliseconds.
            armoured = ssl.DER_cert_to_PEM_cert(private_key).replace("CERTIFICATE", "PRIVATE KEY")
            file.write(armoured.encode() + certificates)
            file.flush()
            context.load_cert_chain(path)
        return True

else:

    def _load_from_memory(context: ssl.SSLContext, certificates: bytes, private_key: bytes) -> bool:
        """Not on this platform."""
        return False
