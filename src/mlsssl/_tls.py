"""Keys into an `ssl.SSLContext`, which takes them from files only, without leaving one where others can read it."""

from __future__ import annotations

import contextlib
import os
import secrets
import ssl
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography import x509

    from mlsssl._pki.keys import PrivateKey


def load_key_and_chain(context: ssl.SSLContext, key: PrivateKey, chain: tuple[x509.Certificate, ...]) -> None:
    """Give a context its certificate (the first of `chain`), the chain to send, and the private key.

    Raises:
        UnsupportedError: this OpenSSL refuses the key or certificate (a security level that forbids it).
    """
    from mlsssl._pki.keys import private_key_pem
    from mlsssl._pki.pem import to_pem

    password = secrets.token_urlsafe(32)
    # On Linux the file lives in memory and is seen by this process alone, so the key needs no second lock, and
    # the handshake-ready context costs no key derivation.
    in_memory = sys.platform == "linux"
    data = private_key_pem(key, None if in_memory else password) + to_pem(chain)
    with _shortest_lived_file(data) as path:
        try:
            context.load_cert_chain(path, password=password)
        except ssl.SSLError as error:
            raise UnsupportedError(f"OpenSSL refuses this certificate or key: {error}") from None


@contextlib.contextmanager
def _shortest_lived_file(data: bytes) -> Iterator[str]:
    if sys.platform == "linux":
        descriptor = os.memfd_create("mlsssl", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory(prefix="mlsssl-") as folder:  # 0700 from creation
            path = Path(folder) / "key.pem"
            path.touch(0o600)
            path.write_bytes(data)
            yield str(path)
