"""The structures of crypt32, ncrypt and advapi32 are laid out as mingw-w64's headers lay them out, 64 and 32 bit.

The text of our declarations itself is compiled beside the headers, every structure under a second name, and sizes
and offsets are compared by static assertion; then cffi's own numbers are compared with the 64-bit ones.
"""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mlsssl._native import declarations
from mlsssl._native.cdata import ffi
from mlsssl._windows.keys import blobs
from windows import mingw

pytestmark = pytest.mark.skipif(
    bool(mingw.missing_compilers()), reason=f"cross compilers not installed: {mingw.missing_compilers()}"
)

# The newest forms of structures that grew; ncrypt.h has none of its own types without the Vista target.
HEADERS = """
#define WINVER 0x0A00
#define _WIN32_WINNT 0x0A00
#define NTDDI_VERSION 0x0A000000
#define CERT_CHAIN_PARA_HAS_EXTRA_FIELDS
#include <stddef.h>
#include <stdint.h>
#include <windows.h>
#include <wincrypt.h>
#include <bcrypt.h>
#include <ncrypt.h>
"""
TEXTS = ("crypt32", "ncrypt", "advapi32_crypto")
STRUCTURE = re.compile(r"typedef struct (?:\w+ )?\{(?P<body>[^}]*)\} (?P<name>\w+);")
FIELD = re.compile(r"(\w+);")


def structures() -> dict[str, list[str]]:
    """Each structure of our texts with its fields."""
    found: dict[str, list[str]] = {}
    for text in TEXTS:
        plain = re.sub(r"/\*.*?\*/", "", declarations.read(text), flags=re.DOTALL)
        for match in STRUCTURE.finditer(plain):
            found[match["name"]] = FIELD.findall(match["body"])
    return found


STRUCTURES = structures()


def comparison() -> str:
    """C that holds only when our texts and the headers agree."""
    lines = [HEADERS]
    lines += [f"typedef {name} theirs_{name};" for name in STRUCTURES]
    lines += [f"#define {name} ours_{name}" for name in STRUCTURES]
    for text in TEXTS:
        plain = re.sub(r"/\*.*?\*/", "", declarations.read(text), flags=re.DOTALL)
        # Handles have the headers' own types here: they are pointers or integers of pointer size.
        lines += [match[0] for match in STRUCTURE.finditer(plain)]
    for name, fields in STRUCTURES.items():
        lines.append(f'_Static_assert(sizeof({name}) == sizeof(theirs_{name}), "sizeof {name}");')
        for field in fields:
            ours, theirs = f"offsetof({name}, {field})", f"offsetof(theirs_{name}, {field})"
            lines.append(f'_Static_assert({ours} == {theirs}, "{name}.{field}");')
            sizes = f"sizeof((({name} *)0)->{field}) == sizeof(((theirs_{name} *)0)->{field})"
            lines.append(f'_Static_assert({sizes}, "size of {name}.{field}");')
    return "\n".join(lines) + "\n"


def test_every_structure_is_looked_at() -> None:
    """The pattern finds as many structures as the texts have, so none is left unchecked."""
    written = sum(len(re.findall(r"^\} ", declarations.read(text), flags=re.MULTILINE)) for text in TEXTS)
    assert len(STRUCTURES) == written >= 20
    assert all(STRUCTURES.values())


@pytest.mark.parametrize("target", mingw.TARGETS)
def test_the_headers_agree(target: mingw.Target) -> None:
    """Size of the structure, and offset and size of every field."""
    assert mingw.static_assert(comparison(), target) is None


@pytest.mark.parametrize("target", mingw.TARGETS)
def test_a_shifted_field_is_noticed(target: mingw.Target) -> None:
    """The failing twin: one field of ours a little wider, and the comparison refuses it by name."""
    shifted = comparison().replace("    DWORD dwProvType;", "    ULONGLONG dwProvType;")
    said = mingw.static_assert(shifted, target)
    assert said is not None
    assert "CRYPT_KEY_PROV_INFO" in said


@pytest.mark.skipif(ffi.sizeof("void *") != 8, reason="a 32-bit Python has the other layout")
def test_cffi_agrees_with_the_64_bit_headers() -> None:
    """What cffi computes from the same text, here or on Windows, is what the cross compiler computes."""
    lines = [HEADERS]
    for name, fields in STRUCTURES.items():
        lines.append(f'_Static_assert(sizeof({name}) == {ffi.sizeof(name)}, "sizeof {name}");')
        lines += [
            f'_Static_assert(offsetof({name}, {field}) == {ffi.offsetof(name, field)}, "{name}.{field}");'
            for field in fields
        ]
    assert mingw.static_assert("\n".join(lines) + "\n", "x86_64") is None


def test_handles_of_two_kinds_do_not_mix() -> None:
    """A key is no provider, a store is no engine: cffi refuses the one for the other."""
    handles = [ffi.cast(name, 8) for name in ("HCERTSTORE", "HCERTCHAINENGINE", "HCRYPTPROV", "HCRYPTKEY")]
    handles += [ffi.cast(name, 8) for name in ("NCRYPT_PROV_HANDLE", "NCRYPT_KEY_HANDLE")]
    assert len({str(ffi.typeof(handle)) for handle in handles}) == len(handles)
    with pytest.raises(TypeError):
        ffi.new("HCERTSTORE *")[0] = ffi.cast("HCRYPTKEY", 8)


def test_blob_headers_written_by_hand_have_the_structures_size() -> None:
    """key_blobs packs them without cffi, so that it stays pure; the structures say how long they are."""
    key = rsa.generate_private_key(65537, 1024)
    numbers = key.private_numbers()
    e_bytes = (numbers.public_numbers.e.bit_length() + 7) // 8
    cng = len(blobs.cng_private(key)) - (e_bytes + 2 * 128 + 5 * 64)
    assert cng == ffi.sizeof("BCRYPT_RSAKEY_BLOB")
    assert len(blobs.csp_private(key)) - (2 * 128 + 5 * 64) == ffi.sizeof("BLOBHEADER") + ffi.sizeof("RSAPUBKEY")
    curve = ec.derive_private_key(5, ec.SECP256R1())
    assert len(blobs.cng_private(curve)) - 3 * 32 == ffi.sizeof("BCRYPT_ECCKEY_BLOB")
