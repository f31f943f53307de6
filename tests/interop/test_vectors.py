"""Files of every kind that other programs write, made on the spot and read by us; ours read by them.

Each has its twin with a wrong password. What OpenSSL keeps in its legacy provider is asked for with both providers
named, for with the legacy one alone it cannot even read the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from mlsssl import Certificate
from mlsssl._formats.choice import HeldCertificate, HeldKey, choose
from mlsssl._formats.key_files import load_private_key
from mlsssl._formats.pkcs7 import load_pkcs7, serialize_pkcs7
from mlsssl._formats.pkcs12.explain import explain_pfx
from mlsssl._formats.pkcs12.read import load_pfx
from mlsssl._formats.pkcs12.targets import TARGETS
from mlsssl._formats.pkcs12.write import serialize_pfx
from mlsssl._formats.pvk import load_pvk, serialize_pvk
from mlsssl.bundles import java_trust_store, write_pem_files
from mlsssl.errors import MalformedDataError, WrongPasswordError
from mlsssl.request import CertificateRequest
from pfx_material import load_pfx_entries, pbmac1
from programs import output, run

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "Tür-5-auf!"
BOTH = ("-provider", "legacy", "-provider", "default")


@dataclass(frozen=True)
class Material:
    """A key, its certificate and its issuer's, made by OpenSSL."""

    key: rsa.RSAPrivateKey
    leaf: x509.Certificate
    root: x509.Certificate
    folder: Path

    def file(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """By `openssl req` and `openssl x509`, as an administrator would."""
    folder = tmp_path_factory.mktemp("vectors")
    commands: list[tuple[Any, ...]] = [
        ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Vector Root", "-days", "30",
         "-keyout", folder / "root.key", "-out", folder / "root.pem"),
        ("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server-name.com", "-addext",
         "subjectAltName=DNS:server-name.com,IP:10.0.0.5", "-keyout", folder / "leaf.key", "-out", folder / "leaf.csr"),
        ("x509", "-req", "-in", folder / "leaf.csr", "-CA", folder / "root.pem", "-CAkey", folder / "root.key",
         "-CAcreateserial", "-days", "20", "-out", folder / "leaf.pem"),
    ]  # fmt: skip
    for command in commands:
        result = run("openssl", *command)
        assert result.returncode == 0, output(result)
    key = serialization.load_pem_private_key((folder / "leaf.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    leaf, root = (x509.load_pem_x509_certificate((folder / name).read_bytes()) for name in ("leaf.pem", "root.pem"))
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    (folder / "wrong").write_text("wrong", encoding="utf-8")
    return Material(key, leaf, root, folder)


def _openssl_pfx(made: Material, *options: str) -> bytes:
    out = made.file("out.pfx")
    result = run(
        "openssl", "pkcs12", "-export", *BOTH, "-inkey", made.file("leaf.key"), "-in", made.file("leaf.pem"),
        "-certfile", made.file("root.pem"), "-name", "Wéb", "-passout", f"file:{made.file('password')}",
        *options, "-out", out,
    )  # fmt: skip
    assert result.returncode == 0, output(result)
    return out.read_bytes()


CIPHERS = [
    "PBE-SHA1-3DES",
    "PBE-SHA1-2DES",
    "PBE-SHA1-RC2-40",
    "PBE-SHA1-RC2-128",
    "PBE-SHA1-RC4-40",
    "PBE-SHA1-RC4-128",
    "AES-128-CBC",
    "AES-192-CBC",
    "AES-256-CBC",
    "DES-EDE3-CBC",
]


@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_cipher_of_openssl(made: Material, cipher: str) -> None:
    """For key and certificates, by OpenSSL and by our own decryption; a wrong password is told."""
    data = _openssl_pfx(made, "-keypbe", cipher, "-certpbe", cipher)
    for loaded in (load_pfx(data, PASSWORD), *load_pfx_entries(data, PASSWORD)):
        assert (loaded.certificate, loaded.others, loaded.friendly_name) == (made.leaf, (made.root,), "Wéb")
        assert loaded.private_key is not None
        assert loaded.private_key.public_key() == made.key.public_key()
    assert explain_pfx(data, PASSWORD).password == "right"
    with pytest.raises(WrongPasswordError):
        load_pfx(data, "wrong")


@pytest.mark.parametrize(
    "options",
    [
        ("-macalg", "sha1"),
        ("-macalg", "sha224"),
        ("-macalg", "sha384"),
        ("-macalg", "sha512"),
        ("-nomac",),
        ("-nomaciter", "-noiter"),
        ("-iter", "50000"),
        ("-legacy",),
        ("-keypbe", "NONE", "-certpbe", "NONE"),
        ("-keypbe", "NONE"),
        ("-certpbe", "NONE"),
        ("-LMK", "-CSP", "Microsoft Software Key Storage Provider"),
        ("-keysig",),
        ("-nocerts",),
    ],
    ids=" ".join,
)
def test_every_option_of_openssl(made: Material, options: tuple[str, ...]) -> None:
    """MACs, counts, parts in the clear, Microsoft's attributes."""
    data = _openssl_pfx(made, *options)
    loaded = load_pfx(data, PASSWORD)
    assert loaded.private_key is not None
    if "-nocerts" not in options:
        assert loaded.certificate == made.leaf
    if "-LMK" in options:
        parts = explain_pfx(data, PASSWORD).parts
        key = next(bag for part in parts for bag in part.bags or () if "key" in bag.kind)
        assert (key.machine_keyset, key.provider) == (True, "Microsoft Software Key Storage Provider")
    with pytest.raises(WrongPasswordError):
        load_pfx(data, "wrong")


@pytest.mark.parametrize("target", [None, *TARGETS])
def test_openssl_reads_ours_for_every_target(made: Material, target: str | None) -> None:
    """Without the legacy provider; not with a wrong password. Java takes ASCII only."""
    password = "store-secret" if target and target.startswith("java") else PASSWORD
    data = serialize_pfx(
        made.key, made.leaf, [made.root], password, friendly_name="ours", readable_by=target, machine_keyset=True,
        provider="Microsoft Software Key Storage Provider",
    )  # fmt: skip
    file, right = made.file("ours.pfx"), made.file("password-of-ours")
    file.write_bytes(data)
    right.write_text(password, encoding="utf-8")
    read = run("openssl", "pkcs12", "-in", file, "-nodes", "-info", "-passin", f"file:{right}")
    assert read.returncode == 0, output(read)
    assert read.stdout.count(b"BEGIN CERTIFICATE") == 2
    assert b"Microsoft Local Key set" in read.stdout
    refused = run("openssl", "pkcs12", "-in", file, "-nodes", "-passin", f"file:{made.file('wrong')}")
    assert refused.returncode != 0


@pytest.mark.parametrize("target", [None, "java-8", "java-17"])
def test_keytool_reads_ours_and_we_read_its_stores(made: Material, target: str | None, tmp_path: Path) -> None:
    """One store with a key of ours and one of keytool's: two entries, each with its name."""
    store = tmp_path / "store.p12"
    secret = {"STOREPASS": "store-secret"}
    store.write_bytes(
        serialize_pfx(
            made.key, made.leaf, [made.root], "store-secret", friendly_name="ours", readable_by=target,
            machine_keyset=True, provider="Microsoft Software Key Storage Provider",
        )
    )  # fmt: skip
    added = run(
        "keytool", "-genkeypair", "-alias", "theirs", "-keyalg", "EC", "-dname", "CN=theirs.test", "-keystore", store,
        "-storetype", "PKCS12", "-storepass:env", "STOREPASS", environment=secret,
    )  # fmt: skip
    assert added.returncode == 0, output(added)
    entries = load_pfx_entries(store.read_bytes(), "store-secret")
    assert {entry.friendly_name for entry in entries} == {"ours", "theirs"}
    assert made.leaf in [entry.certificate for entry in entries]
    with pytest.raises(MalformedDataError, match="2 private keys"):
        load_pfx(store.read_bytes(), "store-secret")
    with pytest.raises(WrongPasswordError):
        load_pfx_entries(store.read_bytes(), "other-secret")


def test_keytools_trust_store(made: Material, tmp_path: Path) -> None:
    """A PKCS#12 store with trusted certificates only."""
    store = tmp_path / "trust.p12"
    result = run(
        "keytool", "-importcert", "-noprompt", "-alias", "root", "-file", made.file("root.pem"), "-keystore", store,
        "-storetype", "PKCS12", "-storepass:env", "STOREPASS", environment={"STOREPASS": "store-secret"},
    )  # fmt: skip
    assert result.returncode == 0, output(result)
    loaded = load_pfx(store.read_bytes(), "store-secret")
    assert (loaded.private_key, loaded.certificate, loaded.friendly_name) == (None, made.root, "root")


def test_openssl_private_keys(made: Material) -> None:
    """Each encryption of PKCS#8 and of old PEM that OpenSSL writes and this library reads."""
    kinds = [
        ("pkcs8", "-topk8"),
        ("pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512", "-iter", "210000"),
        ("pkcs8", "-topk8", "-v2", "des3"),
        ("pkcs8", "-topk8", "-iter", "1000000"),
        ("pkcs8", "-topk8", "-scrypt"),
        ("pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"),
        ("pkcs8", "-topk8", "-v1", "PBE-SHA1-RC2-40"),
        ("pkcs8", "-topk8", "-v1", "PBE-SHA1-RC4-128"),
        ("pkcs8", "-topk8", "-v1", "PBE-MD5-DES"),
        ("rsa", "-traditional", "-aes256"),
        ("rsa", "-traditional", "-des3"),
    ]
    for kind in kinds:
        for form in ("PEM", "DER") if kind[0] == "pkcs8" else ("PEM",):
            out = made.file("encrypted.key")
            result = run(
                "openssl", *kind, "-in", made.file("leaf.key"), "-out", out, "-outform", form, "-passout",
                f"file:{made.file('password')}", *BOTH,
            )  # fmt: skip
            assert result.returncode == 0, output(result)
            assert load_private_key(out.read_bytes(), PASSWORD).private_numbers() == made.key.private_numbers(), kind
            with pytest.raises(WrongPasswordError):
                load_private_key(out.read_bytes(), "wrong")


def test_gnutls_ciphers(made: Material) -> None:
    """Each that certtool offers."""
    for cipher in ("3des-pkcs12", "aes-128", "aes-192", "aes-256", "rc2-40", "arcfour"):
        out = made.file("gnutls.pfx")
        result = run(
            "certtool", "--to-p12", "--load-certificate", made.file("leaf.pem"), "--load-privkey",
            made.file("leaf.key"), "--p12-name", "theirs", "--outder", "--outfile", out, "--password", "certtool-5",
            "--pkcs-cipher", cipher,
        )  # fmt: skip
        assert result.returncode == 0, output(result)
        assert load_pfx(out.read_bytes(), "certtool-5").certificate == made.leaf, cipher
        with pytest.raises(WrongPasswordError):
            load_pfx(out.read_bytes(), "wrong")


def test_nss_ciphers(made: Material, tmp_path: Path) -> None:
    """By pk12util: our file in, theirs out in several ciphers."""
    database = f"sql:{tmp_path}"
    assert run("certutil", "-N", "-d", database, "--empty-password").returncode == 0
    ours = made.file("for-nss.pfx")
    ours.write_bytes(serialize_pfx(made.key, made.leaf, [made.root], PASSWORD, friendly_name="ours"))
    taken = run("pk12util", "-i", ours, "-d", database, "-w", made.file("password"))
    assert taken.returncode == 0, output(taken)
    for cipher in ("AES-128-CBC", "AES-256-CBC", "PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC"):
        theirs = tmp_path / "theirs.pfx"
        given = run(
            "pk12util", "-o", theirs, "-n", "ours", "-d", database, "-w", made.file("password"), "-c", cipher, "-C",
            cipher,
        )  # fmt: skip
        assert given.returncode == 0, output(given)
        loaded = load_pfx(theirs.read_bytes(), PASSWORD)
        assert (loaded.certificate, loaded.others) == (made.leaf, (made.root,))
        with pytest.raises(WrongPasswordError):
            load_pfx(theirs.read_bytes(), "wrong")


def test_pbmac1(made: Material) -> None:
    """RFC 9879: a MAC with PBKDF2, as OpenSSL 3.4 writes; OpenSSL inside cryptography judges our reading of it."""
    data = pbmac1(serialize_pfx(made.key, made.leaf, [], PASSWORD, readable_by="openssl-3.4"), PASSWORD)
    theirs = pkcs12.load_pkcs12(data, PASSWORD.encode())
    assert theirs.cert is not None
    assert theirs.cert.certificate == made.leaf
    (entry,) = load_pfx_entries(data, PASSWORD)
    assert entry.certificate == made.leaf
    explained = explain_pfx(data)
    assert explained.mac is not None
    assert explained.mac.startswith("PBMAC1")
    assert explained.readable_by("openssl-3.4") is True
    assert explained.readable_by("openssl-3") is False
    assert explained.readable_by("windows-server-2025") is None
    with pytest.raises(WrongPasswordError):
        load_pfx_entries(data, "wrong")


@pytest.mark.parametrize("form", ["none", "strong", "weak"])
def test_pvk_of_openssl(made: Material, form: str) -> None:
    """All three forms, both ways, with the twin of a wrong password."""
    out = made.file("theirs.pvk")
    secret = () if form == "none" else ("-passout", f"file:{made.file('password')}")
    written = run(
        "openssl", "rsa", *BOTH, "-in", made.file("leaf.key"), "-outform", "PVK", f"-pvk-{form}", *secret, "-out", out
    )
    assert written.returncode == 0, output(written)
    password = None if form == "none" else PASSWORD
    loaded = load_pvk(out.read_bytes(), password)
    assert loaded.private_key.private_numbers() == made.key.private_numbers()
    assert (loaded.protection, loaded.key_spec) == (form, "exchange")
    ours = made.file("ours.pvk")
    for spec in ("exchange", "signature"):
        strength: Any = "weak" if form == "weak" else "strong"
        ours.write_bytes(serialize_pvk(made.key, password, key_spec=spec, protection=strength))
        secret = ("-passin", f"file:{made.file('password' if password else 'wrong')}")
        read = run("openssl", "rsa", *BOTH, "-inform", "PVK", "-in", ours, *secret, "-noout", "-check")
        assert read.returncode == 0, output(read)
    if password is not None:
        with pytest.raises(WrongPasswordError):
            load_pvk(out.read_bytes(), "wrong")
        wrong = run("openssl", "rsa", *BOTH, "-inform", "PVK", "-in", ours, "-passin", f"file:{made.file('wrong')}")
        assert wrong.returncode != 0


@pytest.mark.parametrize("encoding", ["DER", "PEM"])
def test_pkcs7_of_openssl(made: Material, encoding: str) -> None:
    """`.p7b` and `.spc`, both ways."""
    out = made.file("theirs.p7b")
    written = run(
        "openssl", "crl2pkcs7", "-nocrl", "-certfile", made.file("root.pem"), "-certfile", made.file("leaf.pem"),
        "-outform", encoding, "-out", out,
    )  # fmt: skip
    assert written.returncode == 0, output(written)
    found = load_pkcs7(out.read_bytes())
    assert set(found) == {made.leaf, made.root}
    assert choose(map(HeldCertificate, found), [HeldKey(made.key)]).certificate == made.leaf
    ours = made.file("ours.p7b")
    lower: Any = encoding.lower()
    ours.write_bytes(serialize_pkcs7([made.leaf, made.root], encoding=lower))
    read = run("openssl", "pkcs7", "-inform", encoding, "-in", ours, "-print_certs")
    assert read.returncode == 0, output(read)
    assert read.stdout.count(b"BEGIN CERTIFICATE") == 2


def test_java_reads_our_pkcs7(made: Material) -> None:
    """And refuses half of it."""
    ours = made.file("for-java.p7b")
    ours.write_bytes(serialize_pkcs7([made.leaf, made.root]))
    printed = run("keytool", "-printcert", "-file", ours)
    assert printed.returncode == 0, output(printed)
    assert b"CN=server-name.com" in printed.stdout
    ours.write_bytes(ours.read_bytes()[:-20])
    assert b"CN=server-name.com" not in run("keytool", "-printcert", "-file", ours).stdout


def test_requests_of_openssl_keytool_and_certtool(made: Material, tmp_path: Path) -> None:
    """OpenSSL's is read by us; ours is verified by OpenSSL, keytool and certtool."""
    theirs = CertificateRequest.load(made.file("leaf.csr"), key=made.file("leaf.key"))
    assert theirs.names == ("server-name.com", "10.0.0.5")
    ours = CertificateRequest.create("server-name.com", "10.0.0.5", key="ec-p256", template="WebServer")
    file = ours.save(tmp_path / "ours.csr")
    for command in (
        ("openssl", "req", "-in", file, "-verify", "-noout"),
        ("certtool", "--crq-info", "--infile", file),
        ("keytool", "-printcertreq", "-file", file),
    ):
        read = run(*command)
        assert read.returncode == 0, output(read)
    forged = tmp_path / "forged.csr"
    forged.write_bytes(ours.to_der().replace(b"server-name.com", b"server-name.org"))
    refused = run("openssl", "req", "-inform", "DER", "-in", forged, "-verify", "-noout")
    assert "failure" in output(refused)


@pytest.mark.parametrize("target", [None, "java-8"])
def test_keytool_trusts_our_trust_store(made: Material, tmp_path: Path, target: str | None) -> None:
    """Its entries are trusted ones; those of an ordinary PFX are not."""
    store = tmp_path / "trust.p12"
    secret = {"STOREPASS": "store-secret", "WRONGPASS": "other-secret"}
    command = ("keytool", "-list", "-storetype", "PKCS12", "-keystore", store)
    store.write_bytes(java_trust_store({"vector root": Certificate(made.root)}, "store-secret", readable_by=target))
    listed = run(*command, "-storepass:env", "STOREPASS", environment=secret)
    assert listed.returncode == 0, output(listed)
    assert b"vector root" in listed.stdout
    assert b"trustedCertEntry" in listed.stdout
    assert run(*command, "-storepass:env", "WRONGPASS", environment=secret).returncode != 0
    store.write_bytes(serialize_pfx(None, None, [made.root], "store-secret", readable_by="java-17"))
    ordinary = run(*command, "-storepass:env", "STOREPASS", environment=secret)
    assert b"trustedCertEntry" not in ordinary.stdout


def test_openssl_verifies_our_bundles(made: Material, tmp_path: Path) -> None:
    """Key and certificate of a bundle belong together, in the eyes of OpenSSL."""
    leaf = Certificate(made.leaf, private_key=made.key, chain=[made.root])
    (single,) = write_pem_files(tmp_path, leaf, "haproxy")
    of_key = run("openssl", "pkey", "-in", single, "-pubout")
    of_certificate = run("openssl", "x509", "-in", single, "-pubkey", "-noout")
    assert of_key.stdout == of_certificate.stdout != b""
