"""Import of a PFX by Windows itself, the way its import wizard does it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlsssl._native.cdata import ffi, wide_or_null
from mlsssl._windows import certificates, system_stores
from mlsssl._windows.certificates import MACHINE_KEYSET
from mlsssl._windows.keys import stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl._windows.certificates import KeyLink, StoredCertificate
    from mlsssl._windows.dlls import Dlls
    from mlsssl._windows.keys.pending import Note
    from mlsssl.values import Location

# wincrypt.h. PKCS12_ALLOW_OVERWRITE_KEY is never among them: it can destroy somebody's key of the same name.
_EXPORTABLE = 0x1
_IMPORT_SILENT, _ALWAYS_CNG, _USER_KEYSET = 0x40, 0x200, 0x1000


def import_key(
    dlls: Dlls,
    data: bytes,
    password: str | None,
    certificate: bytes,
    note: Note,
    *,
    location: Location,
    exportable: bool,
) -> KeyLink | None:
    """Have Windows import a PFX that we can read, and look where it put the key.

    The caller has read the file, so it is neither damaged nor is the password wrong.

    Args:
        dlls: Windows.
        data: The file.
        password: Its password, or None.
        certificate: DER of the certificate with the key.
        note: Where the containers that Windows chose are added, so that none is left over.
        location: Whose keys it belongs among.
        exportable: Whether it may be read back.

    Returns:
        Where the key is. None when Windows does not take the file (Server 2016 knows no AES, and calls the
        password wrong; other systems know no EC keys), or when what it made of it does not serve: some put every
        key into one container named after the user, so that the last import wins, or name the wrong key set.
    """
    for imported in _attempts(dlls, data, password, location, exportable=exportable):
        link = next((item.link for item in imported if item.der == certificate), None)
        if link is None:
            continue
        # As it is named and, should that be wrong, where it was asked to go.
        asked = replace(link, flags=link.flags | MACHINE_KEYSET) if location == "LocalMachine" else link
        before = note.pending.before or frozenset()
        shared = False
        if link.container in before:  # a container that was there may serve another certificate; a new one cannot
            taken, unread = stored.places_in_use(dlls)
            shared = bool(unread) or link.place in taken
        fresh = {candidate for candidate in (link, asked) if candidate.container not in before}
        note.write(replace(note.pending, links=(*note.pending.links, *sorted(fresh, key=repr))))
        if not shared and stored.fits(stored.state(dlls, link, certificate), location):
            return link
        return None
    return None


def _attempts(
    dlls: Dlls, data: bytes, password: str | None, location: Location, *, exportable: bool
) -> Iterator[list[StoredCertificate]]:
    """What was imported, by each way that Windows takes."""
    keyset = MACHINE_KEYSET if location == "LocalMachine" else _USER_KEYSET
    extra = _EXPORTABLE if exportable else 0
    passwords = [password, "" if password is None else None] if not password else [password]
    content = ffi.from_buffer("BYTE[]", data)
    blob = ffi.new("CRYPT_DATA_BLOB *")
    blob.cbData, blob.pbData = len(data), content
    # CNG whatever provider the file names, for the older default provider cannot sign with SHA-2; then without the
    # newer flags, for where they are refused.
    for flags in (keyset | _ALWAYS_CNG | _IMPORT_SILENT | extra, keyset & MACHINE_KEYSET | extra):
        for attempt in passwords:
            store = dlls.crypt32.PFXImportCertStore(blob, wide_or_null(attempt), flags)
            if store:
                with system_stores.closing_store(dlls, store):
                    imported = system_stores.all_of(dlls, store, lambda context: certificates.read(dlls, context))
                yield imported
