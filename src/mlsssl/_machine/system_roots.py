"""The roots that the operating system trusts, as DER, off Windows: the CA bundle that its OpenSSL reads."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from pathlib import Path

from mlsssl._formats import der, pem, text
from mlsssl._machine.files import entries, is_file, read_found
from mlsssl.errors import MalformedDataError, MlssslError, NotFoundError

# Where distributions keep the bundle, for Pythons whose OpenSSL was built to look elsewhere (pyenv, conda):
# Debian and Ubuntu, Fedora and RHEL, openSUSE, Alpine and macOS, FreeBSD.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
)
_MOST_ROOTS = 100_000
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")


def system_roots() -> list[bytes]:
    """The trusted roots: of `SSL_CERT_FILE` and `SSL_CERT_DIR` when set, else of OpenSSL's and the usual places.

    Raises:
        NotFoundError: no bundle was found; the message lists where it was looked for.
    """
    paths = ssl.get_default_verify_paths()
    named = os.environ.get(paths.openssl_cafile_env)
    folder = os.environ.get(paths.openssl_capath_env)
    if named or folder:
        files = [Path(named)] if named else []
    else:
        candidates = [Path(p) for p in (paths.openssl_cafile, *_BUNDLES)]
        files = [path for path in candidates if is_file(path)][:1]
        folder = paths.openssl_capath if not files else None
    if folder:
        # Hash-named links, as OpenSSL's own look-up by subject wants them; several folders may be listed.
        for one in folder.split(os.pathsep):
            with contextlib.suppress(MlssslError):  # as OpenSSL, which passes over a folder that it cannot read
                files += [path for path in entries(Path(one)) if _HASHED_NAME.fullmatch(path.name)]
    roots: dict[bytes, None] = {}
    for file in files:
        for root in _read(file):
            roots.setdefault(root)
    if not roots:
        raise NotFoundError(
            "the operating system's CA bundle was not found; install the package ca-certificates, or name the file "
            f"in {paths.openssl_cafile_env} (looked at {', '.join(map(str, files or _BUNDLES))})"
        )
    return list(roots)


def _read(path: Path) -> list[bytes]:
    try:
        data = read_found(path)
    except MlssslError:
        return []  # a dangling link in a folder of hashes is common, and takes no other root away
    roots = []
    with contextlib.suppress(MalformedDataError):  # a block without its end: what stood before it counts
        for label, _line, body in text.blocks(data.decode("latin-1"), most=_MOST_ROOTS):
            with contextlib.suppress(MalformedDataError):  # likewise a root that cannot be read here
                if label in _LABELS and (root := text.base64_bytes("".join(body.split()))):
                    roots += _trusted(root) if label == "TRUSTED CERTIFICATE" else [pem.to_der(pem.load_der(root))]
    return roots


_LABELS = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")  # as OpenSSL reads them
_SERVER_AUTH, _ANY = "1.3.6.1.5.5.7.3.1", "2.5.29.37.0"


def _trusted(data: bytes) -> list[bytes]:
    """The root of a `TRUSTED CERTIFICATE`, if what stands behind it trusts it for servers, as OpenSSL judges.

    That is nothing, or X509_CERT_AUX of OpenSSL's x_x509a.c: what it is trusted for, and in [0] what it is refused for.
    """
    with der.decoding("a trusted certificate of OpenSSL"):
        end = der.end_of(data)
        settings = der.members(der.only(data[end:]), der.SEQUENCE, most=5) if data[end:] else []
        purposes = {one.tag: {der.oid(purpose) for purpose in _purposes(one)} for one in settings[:2]}
    trusted, rejected = purposes.get(der.SEQUENCE), purposes.get(der.EXPLICIT_0, set())
    if _SERVER_AUTH in rejected or not (trusted is None or trusted & {_SERVER_AUTH, _ANY}):
        return []
    return [pem.to_der(pem.load_der(data[:end]))]


def _purposes(one: der.Element) -> list[der.Element]:
    return der.members(one, one.tag, most=1000) if one.tag in (der.SEQUENCE, der.EXPLICIT_0) else []
