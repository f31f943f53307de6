"""Answers to tls-alpn-01 (RFC 8737), as whoever orders a certificate leaves them for a machine's own TLS server.

The two may be different processes, so an answer is a private file of the machine's state folder.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import ssl
from typing import TYPE_CHECKING

from mlsssl._machine import files, private_files, tls_contexts
from mlsssl.errors import MalformedDataError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

PROTOCOL = "acme-tls/1"
"""What the client names in ALPN, and nothing beside it."""

_FOLDER = "acme-tls-alpn"


def leave_answer(state_folder: Path, domain: str, certificate: bytes, private_key: bytes) -> None:
    """Put a certificate (DER) and its key (PKCS#8 DER) where `context_for` finds them; replaces an older one.

    Raises:
        MlssslError: as `files.write`.
    """
    private_files.private_folder(state_folder / _FOLDER)
    parts = {"certificate": certificate, "key": private_key}
    data = json.dumps({name: base64.b64encode(part).decode() for name, part in parts.items()}).encode()
    files.write(_path(state_folder, server_name_of(domain)), data, private=True)


def remove_answer(state_folder: Path, domain: str) -> None:
    """Take an answer away, with what a killed process left half-written of it; nothing when there is none."""
    path = _path(state_folder, server_name_of(domain))
    if files.is_folder(path.parent):
        for left in path.parent.glob(f".{path.name}.*"):
            files.remove(left)
        files.remove(path)


def server_name_of(domain: str) -> str:
    """What the server that validates asks for: the name, or an address' name in DNS (RFC 8738 section 6)."""
    try:
        return ipaddress.ip_address(domain).reverse_pointer
    except ValueError:
        return domain.lower()


def context_for(state_folder: Path, server_name: str) -> ssl.SSLContext | None:
    """What answers a client that speaks `PROTOCOL` and asks for this name; None when there is nothing.

    Raises:
        MlssslError: the file is not ours, or cannot be read.
    """
    try:
        data = private_files.read_private(_path(state_folder, server_name), limit=65536)
    except NotFoundError:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8737 section 3
    context.set_alpn_protocols([PROTOCOL])
    try:
        parts = json.loads(data)
        certificate, key = (base64.b64decode(parts[name], validate=True) for name in ("certificate", "key"))
        tls_contexts.load_der(context, [certificate], key)
    except (ValueError, KeyError, TypeError, RecursionError, ssl.SSLError):
        raise MalformedDataError(f"the answer to tls-alpn-01 for {server_name} cannot be read") from None
    return context


def _path(state_folder: Path, server_name: str) -> Path:
    # A client chooses the name, so it does not become a file's.
    return state_folder / _FOLDER / f"{hashlib.sha256(server_name.encode('utf-8')).hexdigest()}.json"
