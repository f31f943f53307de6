"""The numbers in the modules about stores and keys are those of mingw-w64's headers, by name."""

from __future__ import annotations

import pytest

from mlsssl._formats import rsa_blobs
from mlsssl._native.codes import code_name
from mlsssl._windows import certificates, failures, system_stores, trust
from mlsssl._windows.keys import access, blobs, cng, csp, descriptors, pfx
from windows import mingw

HEADERS = """
#define WINVER 0x0A00
#define _WIN32_WINNT 0x0A00
#define NTDDI_VERSION 0x0A000000
#include <windows.h>
#include <wincrypt.h>
#include <bcrypt.h>
#include <ncrypt.h>
#include <wininet.h>
#include <wchar.h>
"""

_ALGORITHMS = {use: number for number, use in rsa_blobs.ALGORITHMS.items()}
NUMBERS = {
    "CERT_KEY_PROV_INFO_PROP_ID": certificates.KEY_PROV_INFO,
    "CERT_FRIENDLY_NAME_PROP_ID": certificates.FRIENDLY_NAME,
    "CERT_ARCHIVED_PROP_ID": certificates.ARCHIVED,
    "CERT_RENEWAL_PROP_ID": certificates.RENEWAL,
    "X509_ASN_ENCODING | PKCS_7_ASN_ENCODING": certificates.ENCODING,
    "CRYPT_MACHINE_KEYSET": certificates.MACHINE_KEYSET,
    "NCRYPT_MACHINE_KEY_FLAG": certificates.MACHINE_KEYSET,
    "CERT_SYSTEM_STORE_CURRENT_USER": system_stores._LOCATIONS["CurrentUser"],
    "CERT_SYSTEM_STORE_LOCAL_MACHINE": system_stores._LOCATIONS["LocalMachine"],
    "(ULONG_PTR)CERT_STORE_PROV_SYSTEM_W": system_stores._PROVIDER_SYSTEM,
    "(ULONG_PTR)CERT_STORE_PROV_MEMORY": trust._PROVIDER_MEMORY,
    "CERT_STORE_READONLY_FLAG": system_stores._READONLY,
    "CERT_STORE_OPEN_EXISTING_FLAG": system_stores._OPEN_EXISTING,
    "CERT_STORE_ENUM_ARCHIVED_FLAG": system_stores._ENUM_ARCHIVED,
    "CERT_STORE_CTRL_COMMIT": system_stores._COMMIT,
    "CERT_STORE_CTRL_COMMIT_FORCE_FLAG": system_stores._FORCE,
    "CERT_FIND_SHA1_HASH": system_stores._FIND_SHA1_HASH,
    "CERT_STORE_ADD_NEW": system_stores._ADD_NEW,
    "PROV_RSA_AES": csp.PROVIDER_TYPE,
    "CRYPT_NEWKEYSET": csp._NEWKEYSET,
    "CRYPT_DELETEKEYSET": csp._DELETEKEYSET,
    "CRYPT_SILENT": csp._SILENT,
    "CRYPT_VERIFYCONTEXT": csp._VERIFYCONTEXT,
    "AT_KEYEXCHANGE": csp._AT_KEYEXCHANGE,
    "CRYPT_EXPORTABLE": csp._EXPORTABLE,
    "PUBLICKEYBLOB": csp._PUBLICKEYBLOB,
    "PRIVATEKEYBLOB": csp._PRIVATEKEYBLOB,
    "KP_PERMISSIONS": csp._KP_PERMISSIONS,
    "CRYPT_EXPORT": csp._CRYPT_EXPORT,
    "PP_ENUMCONTAINERS": csp._PP_ENUMCONTAINERS,
    "PP_KEYSET_SEC_DESCR": csp._PP_KEYSET_SEC_DESCR,
    "DACL_SECURITY_INFORMATION": csp._DACL,
    "(DWORD)GENERIC_READ": access._GENERIC_READ,
    "GENERIC_ALL": access._GENERIC_ALL,
    "FILE_GENERIC_READ": access._FILE_GENERIC_READ,
    "FILE_ALL_ACCESS": access._FILE_ALL_ACCESS,
    "FILE_READ_DATA": access._FILE_READ_DATA,
    "ACCESS_ALLOWED_ACE_TYPE": descriptors.ALLOW,
    "ACCESS_DENIED_ACE_TYPE": descriptors.DENY,
    "ACCESS_ALLOWED_CALLBACK_ACE_TYPE": descriptors.ALLOW_CALLBACK,
    "ACCESS_DENIED_CALLBACK_ACE_TYPE": descriptors.DENY_CALLBACK,
    "INHERIT_ONLY_ACE": descriptors.INHERIT_ONLY,
    "INHERITED_ACE": descriptors.INHERITED,
    "SE_DACL_PRESENT": descriptors._DACL_PRESENT,
    "SE_SELF_RELATIVE": descriptors._SELF_RELATIVE,
    "CRYPT_FIRST": csp._FIRST,
    "CRYPT_NEXT": csp._NEXT,
    "CALG_RSA_KEYX": _ALGORITHMS["exchange"],
    "CALG_RSA_SIGN": _ALGORITHMS["signature"],
    "CALG_SHA_256": csp._HASHES["sha256"],
    "CALG_SHA_384": csp._HASHES["sha384"],
    "CALG_SHA_512": csp._HASHES["sha512"],
    "HP_HASHVAL": csp._HP_HASHVAL,
    "BCRYPT_PAD_PKCS1": cng._PAD_PKCS1,
    "CUR_BLOB_VERSION": rsa_blobs.CUR_BLOB_VERSION,
    "BCRYPT_RSAPUBLIC_MAGIC": int.from_bytes(blobs.RSA_PUBLIC, "little"),
    "BCRYPT_RSAPRIVATE_MAGIC": int.from_bytes(blobs.RSA_PRIVATE, "little"),
    "BCRYPT_RSAFULLPRIVATE_MAGIC": int.from_bytes(blobs.RSA_FULL_PRIVATE, "little"),
    "NCRYPT_SILENT_FLAG": cng._SILENT,
    "NCRYPT_ALLOW_EXPORT_FLAG": cng._ALLOW_EXPORT,
    "NCRYPT_ALLOW_PLAINTEXT_EXPORT_FLAG": cng._ALLOW_PLAINTEXT_EXPORT,
    "NCRYPTBUFFER_PKCS_ALG_OID": cng._PKCS_ALG_OID,
    "NCRYPTBUFFER_PKCS_ALG_PARAM": cng._PKCS_ALG_PARAM,
    "NCRYPTBUFFER_PKCS_SECRET": cng._PKCS_SECRET,
    "NCRYPT_MAX_KEY_NAME_LENGTH": cng._NAME_LIMIT,
    "PKCS12_IMPORT_SILENT": pfx._IMPORT_SILENT,
    "PKCS12_ALWAYS_CNG_KSP": pfx._ALWAYS_CNG,
    "CRYPT_USER_KEYSET": pfx._USER_KEYSET,
    "(ULONG_PTR)HCCE_LOCAL_MACHINE": trust._LOCAL_MACHINE_ENGINE,
    "CERT_CHAIN_EXCLUSIVE_ENABLE_CA_FLAG": trust._EXCLUSIVE_ENABLE_CA,
    "(ULONG_PTR)CERT_CHAIN_POLICY_SSL": trust._POLICY_SSL,
    "AUTHTYPE_CLIENT": trust._AUTHTYPES["client"],
    "AUTHTYPE_SERVER": trust._AUTHTYPES["server"],
    "SECURITY_FLAG_IGNORE_REVOCATION | SECURITY_FLAG_IGNORE_UNKNOWN_CA | SECURITY_FLAG_IGNORE_WRONG_USAGE"
    " | SECURITY_FLAG_IGNORE_CERT_DATE_INVALID": trust._ALL_BUT_THE_NAME,
}
TEXTS = {
    "MS_ENH_RSA_AES_PROV_W": csp.PROVIDER,
    "MS_KEY_STORAGE_PROVIDER": cng.PROVIDER,
    "NCRYPT_EXPORT_POLICY_PROPERTY": cng._EXPORT_POLICY,
    "NCRYPT_LENGTH_PROPERTY": cng._LENGTH,
    "BCRYPT_SHA256_ALGORITHM": cng._HASHES["sha256"],
    "BCRYPT_SHA384_ALGORITHM": cng._HASHES["sha384"],
    "BCRYPT_SHA512_ALGORITHM": cng._HASHES["sha512"],
    "NCRYPT_SECURITY_DESCR_PROPERTY": cng._SECURITY_DESCRIPTOR,
    "BCRYPT_RSAFULLPRIVATE_BLOB": "RSAFULLPRIVATEBLOB",
    "BCRYPT_ECCPRIVATE_BLOB": "ECCPRIVATEBLOB",
    "BCRYPT_PUBLIC_KEY_BLOB": "PUBLICBLOB",
    "NCRYPT_PKCS8_PRIVATE_KEY_BLOB": "PKCS8_PRIVATEKEY",
    "BCRYPT_RSA_ALGORITHM": "RSA",
    "BCRYPT_ECDSA_P256_ALGORITHM": "ECDSA_P256",
    "BCRYPT_ECDSA_P384_ALGORITHM": "ECDSA_P384",
    "BCRYPT_ECDSA_P521_ALGORITHM": "ECDSA_P521",
}


def numbers() -> dict[str, int]:
    """All numbers by the headers' name."""
    found = dict(NUMBERS)
    found |= {name: bit for bit, (name, _) in trust.STATUS.items()}
    found |= {
        f"(DWORD){name}": value for name, value in vars(failures).items() if name.isupper() and type(value) is int
    }
    for purpose, word in ((b"ECS", "ECDSA"), (b"ECK", "ECDH")):
        for kind, table in (("PUBLIC", blobs._ECC_PUBLIC), ("PRIVATE", blobs._ECC_PRIVATE)):
            found |= {
                f"BCRYPT_{word}_{kind}_{curve}_MAGIC": int.from_bytes(magic, "little")
                for magic, curve in table.items()
                if magic.startswith(purpose)
            }
    return found


@pytest.mark.usefixtures("compilers")
def test_every_number_is_the_headers() -> None:
    """By static assertion; one that the headers lack is an error too."""
    lines = [HEADERS, *(f'_Static_assert(({name}) == {value:#x}, "{name}");' for name, value in numbers().items())]
    assert mingw.static_assert("\n".join(lines) + "\n", "x86_64") is None


@pytest.mark.usefixtures("compilers")
def test_every_text_is_the_headers() -> None:
    """The source of the literal, as the preprocessor sees it, for C compares no strings at compile time else."""
    lines = [HEADERS, "#define SOURCE_(text) #text", "#define SOURCE(text) SOURCE_(text)"]
    for name, text in TEXTS.items():
        source = f'L\\"{text}\\"'
        lines.append(f'_Static_assert(__builtin_strcmp(SOURCE({name}), "{source}") == 0, "{name}");')
    assert mingw.static_assert("\n".join(lines) + "\n", "x86_64") is None


@pytest.mark.usefixtures("compilers")
def test_a_wrong_number_is_noticed() -> None:
    """The failing twin."""
    said = mingw.static_assert(HEADERS + '_Static_assert(CRYPT_SILENT == 0x41, "CRYPT_SILENT");\n', "x86_64")
    assert said is not None
    assert "CRYPT_SILENT" in said


def test_every_code_that_is_looked_for_has_its_name() -> None:
    """So that no message of a store or key shows a bare number."""
    found = {name: value for name, value in vars(failures).items() if name.isupper() and type(value) is int}
    assert len(found) > 10
    assert {name: code_name(value) for name, value in found.items()} == {name: name for name in found}
