"""A corpus of PFX files, made on the spot by five programs and by ourselves: what we take of it, and what nobody may.

Every file that is taken has two twins that must not be: a wrong password, and one changed bit in what the MAC protects.
The figures stand in `docs/formats.md`; a test compares them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from made_certificates import make
from mlsssl._formats import der
from mlsssl._formats.pkcs12 import read
from mlsssl._formats.pkcs12.encryption import KeyDerivation
from mlsssl._formats.pkcs12.read import load_pfx
from mlsssl._formats.pkcs12.structure import read_structure
from mlsssl._formats.pkcs12.write import serialize_pfx
from mlsssl.errors import MalformedDataError, WrongPasswordError
from pfx_material import authenticated_safe, pbmac1, rebuild
from programs import output, require, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD = "corpus-56"
ROOT = make("Corpus Root", authority=True)
LEAF = make("corpus.example.com", issuer=ROOT)
BOTH = ("-provider", "legacy", "-provider", "default")

Verdict = Literal["taken", "refused"]


@dataclass(frozen=True)
class Vector:
    """One file: who makes it and how, what opens it, and what we are to say."""

    group: str
    name: str
    make: Callable[[Path], bytes]
    verdict: Verdict = "taken"
    password: str | None = PASSWORD

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"


def _pem(folder: Path) -> tuple[Path, Path]:
    key, chain = folder / "leaf.key", folder / "leaf.pem"
    key.write_bytes(
        LEAF.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    chain.write_bytes(LEAF.pem + ROOT.pem)
    return key, chain


def _made_by(folder: Path, *command: Any, environment: dict[str, str] | None = None) -> bytes:
    done = run(*command, environment=environment)
    assert done.returncode == 0, output(done)
    return (folder / "out.p12").read_bytes()


def _openssl(folder: Path, *options: str, password: str = PASSWORD) -> bytes:
    key, chain = _pem(folder)
    (folder / "password").write_text(password + "\n")
    return _made_by(
        folder, "openssl", "pkcs12", "-export", "-inkey", key, "-in", chain, "-out", folder / "out.p12", "-passout",
        f"file:{folder / 'password'}", *options, *BOTH,
    )  # fmt: skip


def _certtool(folder: Path, *options: str, password: tuple[str, ...] = ("--password", PASSWORD)) -> bytes:
    key, chain = _pem(folder)
    return _made_by(
        folder, "certtool", "--to-p12", "--load-privkey", key, "--load-certificate", chain, "--p12-name", "corpus",
        "--outder", "--outfile", folder / "out.p12", *password, *options,
    )  # fmt: skip


def _keytool(folder: Path, *options: str, command: tuple[str, ...] = ("-genkeypair", "-keyalg", "EC")) -> bytes:
    named = ("-dname", "CN=corpus.example.com") if command[0] == "-genkeypair" else ()
    return _made_by(
        folder, "keytool", *command, "-alias", "corpus", *named, "-storetype", "PKCS12", "-keystore",
        folder / "out.p12", "-storepass:env", "STOREPASS", *options, environment={"STOREPASS": PASSWORD},
    )  # fmt: skip


def _keytools_trust(folder: Path) -> bytes:
    (folder / "root.pem").write_bytes(ROOT.pem)
    return _keytool(folder, "-noprompt", "-file", str(folder / "root.pem"), command=("-importcert",))


def _nss(folder: Path, *options: str) -> bytes:
    require("pk12util")
    database = f"sql:{folder}"
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "in.p12").write_bytes(LEAF.pfx(PASSWORD, ROOT, friendly_name=b"corpus"))
    assert run("certutil", "-N", "-d", database, "--empty-password").returncode == 0
    taken = run("pk12util", "-i", folder / "in.p12", "-d", database, "-w", folder / "password")
    assert taken.returncode == 0, output(taken)
    out = ("-o", folder / "out.p12", "-n", "corpus", "-d", database, "-w", folder / "password")
    return _made_by(folder, "pk12util", *out, *options)


def _cryptography(_folder: Path, algorithm: pkcs12.PBES, hash_function: hashes.HashAlgorithm) -> bytes:
    encryption = serialization.PrivateFormat.PKCS12.encryption_builder().kdf_rounds(100)
    protection = encryption.key_cert_algorithm(algorithm).hmac_hash(hash_function).build(PASSWORD.encode())
    return pkcs12.serialize_key_and_certificates(b"corpus", LEAF.key, LEAF.certificate, [ROOT.certificate], protection)


def _ours(**options: Any) -> bytes:
    options = {"iterations": 20, **options}
    return serialize_pfx(LEAF.key, LEAF.certificate, [ROOT.certificate], PASSWORD, **options)


def _with_pbmac1(_folder: Path, **options: Any) -> bytes:
    return pbmac1(_ours(readable_by="openssl-3.4"), PASSWORD, **options)


def _with_mac(_folder: Path, change: Callable[[bytes], bytes]) -> bytes:
    """A MAC of RFC 7292 with something in it changed; the contents lie open, so that nothing else tells."""
    return change(_open_file())


def _open_file() -> bytes:
    plain = serialize_pfx(LEAF.key, LEAF.certificate, [ROOT.certificate], None)
    return rebuild(
        plain, password=PASSWORD, kdf=KeyDerivation(kind="PKCS12", hash_name="SHA-256", salt=b"8 bytes!", iterations=9)
    )


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        mac = der.members(der.only(data), der.SEQUENCE, most=3)[2].raw
        assert mac.count(old) == 1
        changed = mac.replace(old, new)
        return _put_together(data, changed)

    return change


def _digest(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        info, *rest = der.members(der.members(der.only(data), der.SEQUENCE, most=3)[2], der.SEQUENCE, most=3)
        algorithm, digest = der.members(info, der.SEQUENCE, most=2)
        octets = der.write(der.OCTET_STRING, change(digest.contents))
        written = der.write_sequence(der.write_sequence(algorithm.raw, octets), *(one.raw for one in rest))
        return _put_together(data, written)

    return changed


def _put_together(data: bytes, mac: bytes) -> bytes:
    version, content, _ = der.members(der.only(data), der.SEQUENCE, most=3)
    return der.write_sequence(version.raw, content.raw, mac)


def _vectors() -> Iterator[Vector]:
    read = ("AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "PBE-SHA1-3DES", "PBE-SHA1-2DES", "PBE-SHA1-RC2-40",
            "PBE-SHA1-RC2-128", "PBE-SHA1-RC4-128", "PBE-SHA1-RC4-40", "DES-EDE3-CBC")  # fmt: skip
    for cipher in read:
        yield Vector("OpenSSL", cipher, partial(_made, _openssl, "-keypbe", cipher, "-certpbe", cipher))
    for cipher in ("CAMELLIA-256-CBC", "ARIA-128-CBC", "BF-CBC", "CAST5-CBC", "SEED-CBC", "PBE-MD5-RC2-64"):
        yield Vector("OpenSSL", cipher, partial(_made, _openssl, "-keypbe", cipher, "-certpbe", cipher), "refused")
    sha2 = ("sha1", "sha224", "sha256", "sha384", "sha512", "sha512-224", "sha512-256")
    for mac in (*sha2, "sha3-224", "sha3-256", "sha3-384", "sha3-512"):
        yield Vector("OpenSSL", f"MAC {mac}", partial(_made, _openssl, "-macalg", mac))
    yield Vector("OpenSSL", "MAC md5", partial(_made, _openssl, "-macalg", "md5"), "refused")
    yield Vector("OpenSSL", "no MAC", partial(_made, _openssl, "-nomac"))
    yield Vector("OpenSSL", "nothing encrypted", partial(_made, _openssl, "-keypbe", "NONE", "-certpbe", "NONE"))
    yield Vector("OpenSSL", "key alone encrypted", partial(_made, _openssl, "-certpbe", "NONE"))
    no_mac = ("-certpbe", "NONE", "-nomac")
    yield Vector("OpenSSL", "key alone encrypted, no MAC", partial(_made, _openssl, *no_mac))
    yield Vector("OpenSSL", "one round", partial(_made, _openssl, "-iter", "1"))
    yield Vector("OpenSSL", "a MAC of one round", partial(_made, _openssl, "-nomaciter"))
    yield Vector("OpenSSL", "empty password", partial(_made_empty, _openssl), password="")
    yield Vector("OpenSSL", "umlauts", partial(_made_with, _openssl, "pässwörd"), password="pässwörd")

    for cipher in ("aes-128", "aes-192", "aes-256", "rc2-40"):
        yield Vector("GnuTLS", cipher, partial(_made, _certtool, "--pkcs-cipher", cipher))
    for cipher in ("3des-pkcs12", "arcfour"):
        # Each certificate in a part of its own, of 600 000 rounds of PKCS#12's derivation: more than the budget.
        yield Vector("GnuTLS", cipher, partial(_made, _certtool, "--pkcs-cipher", cipher), "refused")
    yield Vector("GnuTLS", "empty password", partial(_certtool_with, ("--empty-password",)), password="")
    yield Vector("GnuTLS", "null password", partial(_certtool_with, ("--null-password",)), password=None)

    properties: dict[str, tuple[str, ...]] = {
        "as it comes": (),
        "legacy": ("-J-Dkeystore.pkcs12.legacy",),
        "MAC HmacPBESHA512": ("-J-Dkeystore.pkcs12.macAlgorithm=HmacPBESHA512",),
        "MAC HmacPBESHA512/256": ("-J-Dkeystore.pkcs12.macAlgorithm=HmacPBESHA512/256",),
        "certificates open": ("-J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE",),
        "no MAC, certificates open": (
            "-J-Dkeystore.pkcs12.macAlgorithm=NONE", "-J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE",
        ),
    }  # fmt: skip
    for name, options in properties.items():
        yield Vector("keytool", name, partial(_made, _keytool, *options))
    yield Vector("keytool", "trusted certificates", _keytools_trust)

    nss_old = "PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC"
    for cipher in ("AES-128-CBC", "AES-192-CBC", "AES-256-CBC", nss_old):
        yield Vector("NSS", cipher, partial(_made, _nss, "-c", cipher, "-C", cipher))
    for cipher in ("CAMELLIA-128-CBC",):
        yield Vector("NSS", cipher, partial(_made, _nss, "-c", cipher, "-C", cipher), "refused")
    yield Vector("NSS", "certificates open", partial(_made, _nss, "-C", "NONE"))

    for algorithm in pkcs12.PBES:
        for function in (hashes.SHA1(), hashes.SHA256(), hashes.SHA512()):
            name = f"{algorithm.name}, {function.name}"
            yield Vector("cryptography", name, partial(_cryptography, algorithm=algorithm, hash_function=function))

    yield from _pbmac1_vectors()
    yield from _mac_vectors()


def _made(maker: Callable[..., bytes], *options: str, folder: Path | None = None) -> bytes:
    """`partial` puts the folder last."""
    assert isinstance(options[-1], Path) or folder is not None
    *words, place = options
    return maker(place, *words)


def _made_empty(maker: Callable[..., bytes], folder: Path) -> bytes:
    return maker(folder, password="")


def _made_with(maker: Callable[..., bytes], password: str, folder: Path) -> bytes:
    return maker(folder, password=password)


def _certtool_with(password: tuple[str, ...], folder: Path) -> bytes:
    return _certtool(folder, password=password)


def _pbmac1_vectors() -> Iterator[Vector]:
    """RFC 9879: its good files, and those that must not pass for whole; the names of its appendix where it has them."""
    good: dict[str, dict[str, Any]] = {
        "SHA-256 HMAC and PRF (A.1)": {},
        "SHA-256 HMAC, SHA-512 PRF (A.2)": {"prf": "sha512"},
        "SHA-512 HMAC and PRF (A.3)": {"hash_name": "sha512", "said_length": 64},
        "SHA-1": {"hash_name": "sha1", "said_length": 20},
        "SHA-224": {"hash_name": "sha224", "said_length": 28},
        "SHA-384": {"hash_name": "sha384", "said_length": 48},
        "SHA-512/256": {"hash_name": "sha512_256"},
        "SHA3-256": {"hash_name": "sha3_256"},
        "the shortest key": {"said_length": 20},
        "a key of 33 bytes": {"said_length": 33},
        "a key of 64 bytes for SHA-256": {"said_length": 64},
        "a key of 32 bytes for SHA-512": {"hash_name": "sha512", "said_length": 32},
        "a key of 256 bytes": {"said_length": 256},
    }
    bad: dict[str, dict[str, Any]] = {
        "wrong iteration count (A.4)": {"said_iterations": 99},
        "wrong salt (A.5)": {"said_salt": b"tlas-of-pbmac1"},
        "no key length (A.6)": {"said_length": None},
        "key length 0": {"said_length": 0, "length": 32},
        "key length 1": {"said_length": 1},
        "key length 16": {"said_length": 16},
        "key length 19": {"said_length": 19},
        "key length -1": {"said_length": -1, "length": 32},
        "key length 31 for a key of 32": {"said_length": 31, "length": 32},
        "key length 33 for a key of 32": {"said_length": 33, "length": 32},
        "key length 64 for a key of 32": {"said_length": 64, "length": 32},
        "key length 20 for a key of 32": {"said_length": 20, "length": 32},
        "key length 2^31": {"said_length": 2**31, "length": 32},
        "key length 2^70": {"said_length": 2**70, "length": 32},
        "iteration count 0": {"said_iterations": 0},
        "iteration count -1": {"said_iterations": -1},
        "another HMAC": {"said_hash": "sha224"},
        "another PRF": {"said_prf": "sha224"},
        "HMAC with MD5": {"hash_name": "md5", "prf": "sha256", "said_length": 20},
        "no digest": {"digest": lambda _: b""},
        "half a digest": {"digest": lambda whole: whole[:16]},
        "a digest too long": {"digest": lambda whole: whole + b"\0"},
        "a wrong digest": {"digest": lambda whole: bytes(len(whole))},
    }
    for name, options in good.items():
        yield Vector("PBMAC1", name, partial(_with_pbmac1, **options))
    for name, options in bad.items():
        yield Vector("PBMAC1", name, partial(_with_pbmac1, **options), "refused")


def _mac_vectors() -> Iterator[Vector]:
    """The MAC of RFC 7292, with one thing wrong."""
    sha256 = der.write_oid("2.16.840.1.101.3.4.2.1")
    bad = {
        "another hash": _replaced(sha256, der.write_oid("2.16.840.1.101.3.4.2.8")),
        "an unknown hash": _replaced(sha256, der.write_oid("1.2.840.113549.2.5")),
        "another salt": _replaced(b"8 bytes!", b"8 Bytes!"),
        "another count": _replaced(b"8 bytes!\x02\x01\x09", b"8 bytes!\x02\x01\x08"),
        "a count of 0": _replaced(b"8 bytes!\x02\x01\x09", b"8 bytes!\x02\x01\x00"),
        "a count below 0": _replaced(b"8 bytes!\x02\x01\x09", b"8 bytes!\x02\x01\xff"),
        "no digest": _digest(lambda _: b""),
        "half a digest": _digest(lambda whole: whole[:16]),
        "a digest too long": _digest(lambda whole: whole + b"\0"),
        "a wrong digest": _digest(lambda whole: bytes(len(whole))),
    }
    yield Vector("MAC", "as it should be", partial(_with_mac, change=bytes))
    for name, change in bad.items():
        yield Vector("MAC", name, partial(_with_mac, change=change), "refused")


VECTORS = list(_vectors())
# With PKCS#12's own derivation: theirs have one part, of the size that certificates alone have.
BY_OPENSSL = (
    "OpenSSL: PBE-SHA1-3DES",
    "OpenSSL: PBE-SHA1-RC2-40",
    "GnuTLS: rc2-40",
    "keytool: legacy",
    "NSS: PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC",
    "cryptography: PBESv1SHA1And3KeyTripleDESCBC, sha1",
)


@pytest.mark.parametrize("vector", [one for one in VECTORS if str(one) in BY_OPENSSL], ids=str)
def test_what_programs_write_is_read_by_openssl(
    vector: Vector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fifth of the time that our own derivation would take."""
    data = vector.make(tmp_path)
    monkeypatch.setattr(read, "open_safes", None)
    assert load_pfx(data, vector.password).private_key is not None


def test_each_program_is_among_them() -> None:
    """Names that are no vector's would be passed over."""
    assert set(BY_OPENSSL) <= set(map(str, VECTORS))


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_vector(vector: Vector, tmp_path: Path) -> None:
    """Taken or refused as it must be, and its two twins refused."""
    data = vector.make(tmp_path)
    if vector.verdict == "refused":
        with pytest.raises(MalformedDataError):
            load_pfx(data, vector.password)
        return
    loaded = load_pfx(data, vector.password)
    assert loaded.certificate is not None
    assert (loaded.private_key is None) == (vector.name == "trusted certificates")
    has_mac = read_structure(data).mac is not None
    if has_mac or "no MAC" in vector.name:
        with pytest.raises(WrongPasswordError):
            load_pfx(data, "not this one")
    if has_mac:
        with pytest.raises(MalformedDataError):
            load_pfx(_with_a_changed_bit(data), vector.password)


def _with_a_changed_bit(data: bytes) -> bytes:
    contents = authenticated_safe(data)
    place = data.index(contents[-40:]) + 20
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("vector", [one for one in VECTORS if one.group in ("PBMAC1", "MAC")], ids=str)
def test_openssl_thinks_the_same(vector: Vector, tmp_path: Path) -> None:
    """Of the files that no program writes: that of the OpenSSL in cryptography, which has read PBMAC1 since 3.4."""
    theirs = {
        "a key of 256 bytes": "refused",  # it has room for 64 bytes (OpenSSL issue 30246)
        "HMAC with MD5": "taken",  # which RFC 8018 does not list
    }
    data = vector.make(tmp_path)
    try:
        pkcs12.load_pkcs12(data, PASSWORD.encode())
        verdict = "taken"
    except ValueError:
        verdict = "refused"
    assert verdict == theirs.get(vector.name, vector.verdict)


def test_the_figures_in_the_documentation() -> None:
    """`docs/formats.md` says how many files of each group are taken and refused."""
    text = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    told = {
        name: (int(taken), int(refused))
        for name, taken, refused in re.findall(r"^\| ([^|]+?) \| (\d+) \| (\d+) \|", text, re.MULTILINE)
    }
    counted = Counter((vector.group, vector.verdict) for vector in VECTORS)
    groups = {vector.group for vector in VECTORS}
    assert {group: told.get(group) for group in groups} == {
        group: (counted[group, "taken"], counted[group, "refused"]) for group in groups
    }
