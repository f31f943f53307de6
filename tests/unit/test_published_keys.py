"""Keys that are public knowledge: looked up by badkeys itself, in a process of its own, in a list of its format."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from chains import NOW, Made, ec_key, intermediate, leaf, root, rsa_key
from faults import HOST
from mlsssl._validator import weak_keys
from mlsssl._validator.validate import validate
from mlsssl.values import PROFILE_NAMES
from programs import require_package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KNOWN_RSA = rsa_key(2048)
OTHER_RSA = rsa_key(2048, exponent=3)
KNOWN_ED = ed25519.Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)

# The check as a user has it: what the report of each chain says of known keys, and whether badkeys was imported.
SCRIPT = """
import json, sys
from pathlib import Path
from cryptography import x509
from datetime import datetime
{before}
from mlsssl._validator.validate import validate
moment, host, *files = sys.argv[1:]
reports = []
for file in files:
    chain = x509.load_pem_x509_certificates(Path(file).read_bytes())
    report = validate(chain[0], host=host, at=datetime.fromisoformat(moment), trust=chain[-1:],
                      intermediates=chain[1:-1], expect_key=False)
    reports.append([[f.where, f.found] for f in report.filter(code="key-compromised")])
json.dump({{"reports": reports, "imported": "badkeys" in sys.modules}}, sys.stdout)
"""


def _number(key: object) -> int:
    """What badkeys' documentation of its format says of each kind of key."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.public_key().public_numbers().n
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.public_key().public_numbers().x
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return int.from_bytes(key.public_key().public_bytes_raw(), "big")


def _write_list(cache: Path, keys: Iterable[object]) -> Path:
    """A list in badkeys' format 0: sorted records of 15 octets of SHA-256 and the number of the collection."""
    folder = cache / "badkeys"
    folder.mkdir(parents=True)
    numbers = [_number(key) for key in keys]
    digests = [hashlib.sha256(n.to_bytes((n.bit_length() + 7) // 8, "big")).digest()[:15] for n in numbers]
    strangers = [hashlib.sha256(bytes([i])).digest()[:15] for i in range(50)]
    records = sorted([digest + b"\x01" for digest in digests] + [digest + b"\x02" for digest in strangers])
    (folder / "blocklist.dat").write_bytes(b"".join(records))
    lists = [{"id": 1, "name": "debianssl", "type": "github"}, {"id": 2, "name": "rfc", "type": "github"}]
    (folder / "badkeysdata.json").write_text(json.dumps({"bkformat": 0, "blocklists": lists}), encoding="utf-8")
    return folder


def _check(cache: Path, *chains: tuple[Made, ...], before: str = "") -> tuple[list[list[list[str]]], bool]:
    """What is said of known keys for each chain (leaf first), and whether the library was imported."""
    files = []
    for number, chain in enumerate(chains):
        file = cache / f"chain{number}.pem"
        file.write_bytes(b"".join(made.certificate().public_bytes(Encoding.PEM) for made in chain))
        files.append(str(file))
    source = str(Path(weak_keys.__file__).parents[2])
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": source}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(before=before), NOW.isoformat(), HOST, *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    said = json.loads(done.stdout)
    return said["reports"], said["imported"]


def _chain(*, leaf_key: Any = None, middle: int = 2, root_key: Any = None) -> tuple[Made, ...]:
    top = root(key=root_key)
    between = intermediate(top, number=middle)
    return (leaf(between, key=leaf_key), between, top)


def test_a_listed_key_is_found_wherever_it_stands_in_the_chain(tmp_path: Path) -> None:
    """RSA by its modulus, EC by its x, EdDSA by its octets; leaf, intermediate and root; other keys are not found."""
    require_package("badkeys")
    _write_list(tmp_path, [KNOWN_RSA, ec_key(501), KNOWN_ED])
    reports, imported = _check(
        tmp_path,
        _chain(leaf_key=KNOWN_RSA),
        _chain(leaf_key=ec_key(501)),
        _chain(leaf_key=KNOWN_ED),
        _chain(middle=501),
        _chain(root_key=KNOWN_RSA),
        _chain(leaf_key=OTHER_RSA, middle=502, root_key=OTHER_RSA),
    )
    assert imported
    what = "a key of the published collection 'debianssl'"
    part = "subjectPublicKeyInfo"
    assert reports == [
        [[f"leaf: {part}", what]],
        [[f"leaf: {part}", what]],
        [[f"leaf: {part}", what]],
        [[f'intermediate "CN=Test Intermediate": {part}', what]],
        [[f'root "CN=Test Root": {part}', what]],
        [],
    ]


def test_without_its_list_the_library_is_not_even_imported(tmp_path: Path) -> None:
    """No finding, no error, nothing on the screen, and no time for an import that could not help."""
    assert _check(tmp_path, _chain(leaf_key=KNOWN_RSA)) == ([[]], False)


def test_half_a_list_is_none(tmp_path: Path) -> None:
    """The library would end the program when one of its two files is missing."""
    folder = _write_list(tmp_path, [KNOWN_RSA])
    (folder / "badkeysdata.json").unlink()
    assert _check(tmp_path, _chain(leaf_key=KNOWN_RSA)) == ([[]], False)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "badkeysdata.json").write_text("{", encoding="utf-8"),
        lambda folder: (folder / "badkeysdata.json").write_text("[]", encoding="utf-8"),
        lambda folder: (folder / "blocklist.dat").write_bytes(b""),
    ],
    ids=["no JSON", "other JSON", "empty"],
)
def test_a_damaged_list_finds_nothing_and_breaks_nothing(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    """Whatever the library raises stays inside."""
    require_package("badkeys")
    damage(_write_list(tmp_path, [KNOWN_RSA]))
    assert _check(tmp_path, _chain(leaf_key=KNOWN_RSA)) == ([[]], True)


def test_without_the_library_a_list_is_no_use(tmp_path: Path) -> None:
    """It is an extra: absent, no key is known."""
    _write_list(tmp_path, [KNOWN_RSA])
    absent = "sys.modules['badkeys'] = None  # what an import of a missing package comes to"
    reports, _ = _check(tmp_path, _chain(leaf_key=KNOWN_RSA), before=absent)
    assert reports == [[]]


@pytest.mark.parametrize("error", [SystemExit(1), OSError("gone"), KeyError("name")])
def test_what_the_library_raises_stays_inside(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Also its way to end the program, when a file disappears between the look at it and its use."""

    def lookup(number: int) -> object:
        raise error

    monkeypatch.setattr(weak_keys, "_listed", lambda: lookup)
    assert weak_keys.find_collection(lambda: 15) is None


def test_only_what_the_library_calls_found_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers False for others; a number that no key has is not asked for; a long name is cut."""
    asked: list[int] = []

    def lookup(number: int) -> object:
        asked.append(number)
        return {"subtest": "x" * 1000} if number == 15 else False

    monkeypatch.setattr(weak_keys, "_listed", lambda: lookup)
    assert weak_keys.find_collection(lambda: 15) == "x" * 60
    assert weak_keys.find_collection(lambda: 16) is None
    assert weak_keys.find_collection(lambda: None) is None
    assert weak_keys.find_collection(lambda: -15) is None
    assert asked == [15, 16]


def test_the_number_is_not_computed_without_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check costs nothing more where there is no list."""
    monkeypatch.setattr(weak_keys, "_listed", lambda: None)
    assert weak_keys.find_collection(lambda: pytest.fail("computed")) is None


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_a_listed_key_is_refused_by_every_profile(monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    """As the other weaknesses that give the private key away."""
    known = _number(ec_key(3))
    monkeypatch.setattr(weak_keys, "_listed", lambda: lambda number: {"subtest": "rfc"} if number == known else False)
    end, between, top = (made.certificate() for made in _chain())
    report = validate(end, host=HOST, at=NOW, trust=[top], intermediates=[between], profile=profile, expect_key=False)
    assert [f.code for f in report.errors] == ["key-compromised"]
