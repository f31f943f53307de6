"""Files for other servers: PEM in the order that nginx, Apache and HAProxy want, and trust stores for Java."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mlsssl._formats import pem
from mlsssl._machine.files import path_of, write
from mlsssl._machine.kept_keys import refuse_to_lose_a_key
from mlsssl._messages.arguments import check_type, items_of
from mlsssl._messages.foreign_text import shown
from mlsssl.certificate import check_certificate
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsssl.certificate import Certificate

__all__ = ["Server", "java_trust_store", "pem_files", "write_pem_files"]

Server = Literal["nginx", "apache", "haproxy"]
"""The servers whose files are known."""


def pem_files(
    certificate: Certificate, server: Server, *, name: str = "server", password: str | None = None
) -> dict[str, bytes]:
    """The PEM files that a server wants, by file name.

    * nginx: `server.crt` (`ssl_certificate`): certificate, then intermediates upwards; `server.key`.
    * apache (2.4.8 and later): the same two (`SSLCertificateFile`, `SSLCertificateKeyFile`).
    * haproxy: `server.pem` (`crt`): certificate, intermediates, private key, all in one.

    The root is left out: clients have it or do not trust it (RFC 8446, section 4.4.2).

    Args:
        certificate: With its private key and chain.
        server: `nginx`, `apache` or `haproxy`.
        name: The files' name without suffix.
        password: Encrypts the private key; the server then asks for it at every start. HAProxy cannot ask.

    Raises:
        InvalidInputError: no private key, an unknown server, a name with a path in it, a password for HAProxy.
    """
    if server not in get_args(Server):
        raise InvalidInputError(f"server is one of {', '.join(get_args(Server))}, not {shown(server)}")
    if not check_type(name, str, "name is a file's name without a path") or Path(name).name != name or "\\" in name:
        raise InvalidInputError(f"name is a file's name without a path, not {shown(name)}")
    if server == "haproxy" and password is not None:
        raise InvalidInputError("HAProxy reads the private key unencrypted only; protect the file instead")
    key = check_certificate(certificate).private_key_pem(password)
    sent = [certificate, *(one for one in certificate.chain if not pem.is_root(pem.x509_of(one)))]
    chain = b"".join(one.to_pem() for one in sent)
    return {f"{name}.pem": chain + key} if server == "haproxy" else {f"{name}.crt": chain, f"{name}.key": key}


def write_pem_files(
    folder: str | Path,
    certificate: Certificate,
    server: Server,
    *,
    name: str = "server",
    password: str | None = None,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write what `pem_files` gives; whatever holds the private key is readable by its owner only.

    Arguments as `pem_files`; `overwrite` as in `Certificate.save`; a renewal into the old certificate's files needs it.

    Raises:
        ExistsError: as `Certificate.save`; nothing was written.
        InvalidInputError: as `pem_files`.
        NotFoundError: the folder is not there.
        AccessDeniedError: it may not be written.
    """
    files = pem_files(certificate, server, name=name, password=password)
    where = path_of(folder)
    paths = {where / file: data for file, data in files.items()}
    for path, data in paths.items():
        if not overwrite:
            key = certificate.private_key if _holds_key(data) else None
            refuse_to_lose_a_key(path, key=key, password=password)
    for path, data in paths.items():
        write(path, data, private=_holds_key(data))
    return tuple(paths)


def _holds_key(data: bytes) -> bool:
    return b"PRIVATE KEY-----" in data


def java_trust_store(
    certificates: Iterable[Certificate] | Mapping[str, Certificate], password: str, *, readable_by: str | None = None
) -> bytes:
    """A PKCS#12 trust store for Java (`-Djavax.net.ssl.trustStore=…`): certificates to be trusted, without keys.

    An ordinary PFX will not do: Java takes for trusted only what carries an attribute of its own
    (2.16.840.1.113894.746875.1.1). `cryptography` writes it.

    Args:
        certificates: Roots, or other certificates to trust, by alias; without aliases each gets its common name.
        password: At least six characters, as keytool demands, and of printable ASCII, or Java does not open it.
        readable_by: `java-8` for releases before 8u301; AES-256 and SHA-256 otherwise.

    Raises:
        UnsupportedError: a certificate that `Certificate.to_cryptography` refuses.
        InvalidInputError: no certificate, an alias twice (Java ignores case), a short password or one outside ASCII, an
            unknown target.
    """
    from cryptography.hazmat.primitives.serialization import pkcs12

    from mlsssl._formats.pkcs12.encryption import check_password
    from mlsssl._formats.pkcs12.targets import check_readable, find_target
    from mlsssl._formats.pkcs12.write import MODERN_ROUNDS, encryption_for

    check_password(password)
    if not isinstance(password, str) or len(password) < 6:
        raise InvalidInputError("a Java key store's password has at least six characters")
    target = find_target(readable_by or "java-17")
    check_readable(password, target)
    named = dict(certificates) if isinstance(certificates, Mapping) else _by_common_name(certificates)
    for alias, one in named.items():
        check_type(alias, str, "an alias is text")
        check_certificate(one)
    if not named:
        raise InvalidInputError("a trust store holds at least one certificate")
    if len({alias.lower() for alias in named}) != len(named):
        raise InvalidInputError(f"Java ignores the case of aliases, and these are equal then: {', '.join(named)}")
    encryption = encryption_for(password, MODERN_ROUNDS, aes=target.aes)
    entries = [pkcs12.PKCS12Certificate(one.to_cryptography(), alias.encode()) for alias, one in named.items()]
    return pkcs12.serialize_java_truststore(entries, encryption)


def _by_common_name(certificates: Iterable[Certificate]) -> dict[str, Certificate]:
    named: dict[str, Certificate] = {}
    for certificate in items_of(certificates, "a list of certificates, or certificates by alias, is needed"):
        alias = check_certificate(certificate).common_name or certificate.sha256
        if alias.lower() in {other.lower() for other in named}:
            alias = f"{alias} {certificate.sha256[:16]}"
        named[alias] = certificate
    return named
