"""Which system reads which PFX, as data with its sources; writer and explanation both ask here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

Feature = Literal[
    "3DES-CBC",
    "2-key 3DES-CBC",
    "RC2-40-CBC",
    "RC2-128-CBC",
    "RC4-40",
    "RC4-128",
    "AES-CBC",
    "scrypt",
    "MAC SHA-1",
    "MAC SHA-2",
    "MAC SHA-3",
    "MAC SHA-512/t",
    "PBMAC1",
    "no MAC",
]
"""What a PFX can ask of its reader."""

_OLD: frozenset[Feature] = frozenset({"3DES-CBC", "2-key 3DES-CBC", "RC2-40-CBC", "RC2-128-CBC", "RC4-40", "RC4-128"})
_ALL_OLD: frozenset[Feature] = _OLD | {"MAC SHA-1"}
_MODERN: frozenset[Feature] = frozenset({"AES-CBC", "MAC SHA-2"})
_OPENSSL_3: frozenset[Feature] = _MODERN | {
    *("3DES-CBC", "2-key 3DES-CBC", "MAC SHA-1", "MAC SHA-3", "MAC SHA-512/t", "scrypt", "no MAC")
}
_OPENSSL_LEGACY: frozenset[Feature] = frozenset({"RC2-40-CBC", "RC2-128-CBC", "RC4-40", "RC4-128"})
_GNUTLS: frozenset[Feature] = _MODERN | {"3DES-CBC", "RC2-40-CBC", "RC4-128", "MAC SHA-1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One system that reads PFX files.

    Attributes:
        name: What `readable_by` takes.
        title: What people call it.
        reads: Features that it is known to read.
        refuses: Features that it is known not to read. What is in neither set is not known.
        symptom: What it says about a PFX that it cannot read.
        plain_passwords: Whether it takes passwords of printable ASCII only.
        aes: Whether a PFX made for it uses AES-256 and SHA-256; else 3DES and SHA-1.
    """

    name: str
    title: str
    reads: frozenset[Feature]
    refuses: frozenset[Feature] = frozenset()
    symptom: str = ""
    plain_passwords: bool = False
    aes: bool = True


_WINDOWS_SYMPTOM = "The password you entered is incorrect"
_JAVA_SYMPTOM = "keystore password was incorrect"
_OPENSSL_SYMPTOM = "unsupported: Algorithm (RC2-40-CBC : 0)"


def _windows(name: str, title: str, *, aes: bool) -> Target:
    return Target(
        name=name,
        title=title,
        reads=_ALL_OLD | _MODERN if aes else _ALL_OLD,
        refuses=frozenset() if aes else _MODERN | {"PBMAC1", "scrypt"},
        symptom=_WINDOWS_SYMPTOM,
        aes=aes,
    )


def _java(name: str, title: str) -> Target:
    return Target(
        name=name,
        title=title,
        reads=_ALL_OLD | _MODERN | {"MAC SHA-512/t"},
        refuses=frozenset({"scrypt", "MAC SHA-3"}),
        symptom=_JAVA_SYMPTOM,
        plain_passwords=True,
    )


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        # learn.microsoft.com, Windows troubleshooting: Can't import an AES256-SHA256-encrypted PFX certificate
        # (2025-01-15); for Windows 10 dsccommunity/CertificateDsc issue 153 (export in 2018).
        _windows("windows-server-2012-r2", "Windows Server 2012 R2", aes=False),
        _windows("windows-server-2016", "Windows Server 2016", aes=False),
        _windows("windows-server-2019", "Windows Server 2019", aes=True),
        _windows("windows-server-2022", "Windows Server 2022", aes=True),
        _windows("windows-server-2025", "Windows Server 2025", aes=True),
        _windows("windows-10", "Windows 10, version 1809 and later", aes=True),
        _windows("windows-11", "Windows 11", aes=True),
        # OpenSSL 3.0 migration guide (RC2, RC4 in the legacy provider); OpenSSL 3.4 NEWS (PBMAC1); measured.
        Target(
            name="openssl-1.1",
            title="OpenSSL 1.1",
            reads=_ALL_OLD | _MODERN | {"scrypt", "no MAC"},
            refuses=frozenset({"PBMAC1"}),
            symptom="Mac verify error: invalid password?",
        ),
        Target(
            name="openssl-3",
            title="OpenSSL 3.0 to 3.3, without its legacy provider",
            reads=_OPENSSL_3,
            refuses=_OPENSSL_LEGACY | {"PBMAC1"},
            symptom=_OPENSSL_SYMPTOM,
        ),
        Target(
            name="openssl-3.4",
            title="OpenSSL 3.4 and later, without its legacy provider",
            reads=_OPENSSL_3 | {"PBMAC1"},
            refuses=_OPENSSL_LEGACY,
            symptom=_OPENSSL_SYMPTOM,
        ),
        # bugs.java.com JDK-8267701 (HmacPBESHA256 new in 8u301, 11.0.12 and 12), JDK-8343232 (PBMAC1 in 26); measured
        # with keytool 17, whose PBEKey says "Password is not ASCII" to the password of a key or of certificates.
        Target(
            name="java-8",
            title="Java 8 before 8u301",
            reads=_ALL_OLD,
            refuses=frozenset({"MAC SHA-2", "MAC SHA-3", "MAC SHA-512/t", "PBMAC1", "scrypt"}),
            symptom=_JAVA_SYMPTOM,
            plain_passwords=True,
            aes=False,
        ),
        _java("java-11", "Java 11.0.12 and later"),
        _java("java-17", "Java 17"),
        _java("java-21", "Java 21"),
        # Measured with pk12util of NSS 3.87 and certtool of GnuTLS 3.7.
        Target(
            name="nss",
            title="NSS (Firefox, pk12util)",
            reads=_ALL_OLD | _MODERN,
            refuses=frozenset({"MAC SHA-3", "MAC SHA-512/t"}),
            symptom="SEC_ERROR_BAD_PASSWORD",
        ),
        Target(
            name="gnutls",
            title="GnuTLS",
            reads=_GNUTLS,
            refuses=frozenset({"MAC SHA-3", "MAC SHA-512/t"}),
            symptom="MAC verification failed",
        ),
        # github.com pyca/cryptography issue 7293, ruby/openssl issue 654.
        Target(
            name="macos",
            title="macOS keychain",
            reads=frozenset({"3DES-CBC", "RC2-40-CBC", "MAC SHA-1"}),
            refuses=frozenset({"MAC SHA-2", "PBMAC1"}),
            symptom="MAC verification failed during PKCS12 import (wrong password?)",
            aes=False,
        ),
    )
}
"""By name, in the order in which an explanation lists them."""


def find_target(name: str) -> Target:
    """The target of this name, without regard to case.

    Raises:
        InvalidInputError: there is none; the message lists all.
    """
    target = TARGETS.get(name.strip().lower()) if isinstance(name, str) else None
    if target is None:
        raise InvalidInputError(f"readable_by is one of {', '.join(TARGETS)}; not {shown(name)}")
    return target


def is_plain(password: str) -> bool:
    """Whether it is of printable ASCII only, which is all that Java takes (`plain_passwords`)."""
    return password.isascii() and password.isprintable()


def check_readable(password: str | None, target: Target) -> None:
    """`InvalidInputError` for a password that this system does not take."""
    if password and target.plain_passwords and not is_plain(password):
        raise InvalidInputError(
            f"{target.title} reads no file whose password has other characters than the printable ones of ASCII; it "
            f"says {target.symptom!r}. Choose another password, or another system with readable_by=..."
        )
