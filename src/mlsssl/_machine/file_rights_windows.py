"""Who may read, change and own a file by Windows' access lists; the functions of `file_rights`.

Files and folders get their list as they are made. Python's own mode bits do nothing for files on Windows, and for
folders only since 3.12.4. Only Windows has anything in here.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import contextlib
    import msvcrt
    import os
    import stat
    import uuid
    from functools import lru_cache
    from pathlib import Path
    from typing import TYPE_CHECKING, Any

    from mlsssl._machine import accounts
    from mlsssl._messages.foreign_text import shown
    from mlsssl._native.cdata import NULL, Buffer, address_of, ffi, load, os_error, set_guid, text_at, wide
    from mlsssl.errors import InvalidInputError

    if TYPE_CHECKING:
        from collections.abc import Iterator

        from mlsssl._native.cdata import CData

    # Security descriptor strings (SDDL). P: what the parent would hand down stays out. FA: full access.
    # BA, SY: the administrators' group, LocalSystem. OICI: handed down to what is made inside. The user is named by
    # SID, not as owner (OW): what an elevated process makes belongs to the administrators' group, to which the same
    # user does not belong unelevated.
    _ADMINISTRATORS_FOLDER = "O:BAD:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)"

    _ADMINISTRATORS, _SYSTEM = "S-1-5-32-544", "S-1-5-18"
    _GENERIC_READ, _GENERIC_WRITE, _FILE_APPEND_DATA = 0x8000_0000, 0x4000_0000, 0x4
    _READ_CONTROL, _SYNCHRONIZE = 0x2_0000, 0x10_0000
    _CREATE_NEW, _OPEN_EXISTING, _OPEN_ALWAYS = 1, 3, 4
    _FILE_ATTRIBUTE_NORMAL, _OPEN_REPARSE_POINT, _BACKUP_SEMANTICS = 0x80, 0x20_0000, 0x200_0000
    _OWNER, _DACL, _PROTECTED_DACL = 0x1, 0x4, 0x8000_0000  # SECURITY_INFORMATION
    _SE_FILE_OBJECT = 1
    _TOKEN_QUERY, _TOKEN_USER = 0x8, 1
    _NAME_SURROGATE = 0x2000_0000  # IsReparseTagNameSurrogate: a link or junction, not a file kept in another way
    _PROGRAM_DATA = uuid.UUID("62AB5D82-FDC1-4DC3-A9DD-070D1D495D97")  # FOLDERID_ProgramData
    _SID_LENGTH, _PATH_LENGTH = 256, 32_768  # code units of the longest as text

    # FILE_SHARE_READ, _WRITE and _DELETE, as Python's own open does. Alone with the file, even for a moment, we would
    # turn away another process that opens the same machine now: SQLite then opens it read-only, and stays so.
    _SHARED = 0x1 | 0x2 | 0x4

    @lru_cache
    def _dll(name: str) -> Any:
        return load(f"{name}.dll")

    def create(path: str | Path, *, private: bool) -> int:
        """Make a new file (private: for this user, administrators and SYSTEM); a descriptor open for writing."""
        if private:
            return _opened(path, _GENERIC_WRITE, _CREATE_NEW, _FILE_ATTRIBUTE_NORMAL, os.O_WRONLY)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_BINARY, 0o666)

    def open_private(path: Path, flags: int) -> int:
        """Open a file without following a link in its place; made as by `create` when missing and `flags` say so.

        Args:
            path: The file.
            flags: As for `os.open`: O_RDONLY, or O_CREAT with O_RDWR, and O_APPEND with those.
        """
        if flags & os.O_APPEND:
            access = _GENERIC_READ | _FILE_APPEND_DATA | _SYNCHRONIZE
        else:
            access = _GENERIC_READ | (_GENERIC_WRITE if flags & os.O_RDWR else 0)
        how = _FILE_ATTRIBUTE_NORMAL
        with contextlib.suppress(OSError):
            # A file that a file system filter keeps in another place (deduplication) is no link, but opened past the
            # filter it would be empty.
            status = path.lstat()
            how |= _OPEN_REPARSE_POINT if is_link(status) or not status.st_reparse_tag else 0
        kept = flags & (os.O_RDWR | os.O_WRONLY | os.O_APPEND)
        disposition = _OPEN_ALWAYS if flags & os.O_CREAT else _OPEN_EXISTING
        return _opened(path, access | _READ_CONTROL, disposition, how, kept)

    def make_folder(path: Path, *, administrators: bool) -> None:
        """Make a folder for this user, administrators and SYSTEM, or only for the latter two."""
        make_listed_folder(path, _ADMINISTRATORS_FOLDER if administrators else private_folder_list())

    def close_folder(path: Path, *, administrators: bool) -> None:
        """Give a folder that was there before the access list of `make_folder`."""
        with _descriptor(_ADMINISTRATORS_FOLDER if administrators else private_folder_list()) as attributes:
            wanted = _DACL | _PROTECTED_DACL
            if not _dll("advapi32").SetFileSecurityW(_wide(path), wanted, attributes.lpSecurityDescriptor):
                raise os_error(path)

    def owner_of(path: Path, status: os.stat_result) -> str:
        """The owner's SID of a file or folder; of a link itself, not of what it leads to."""
        how = _OPEN_REPARSE_POINT | _BACKUP_SEMANTICS
        handle = _file_handle(path, _READ_CONTROL, NULL, _OPEN_EXISTING, how)
        try:
            return _owner_of_handle(handle)
        finally:
            _dll("kernel32").CloseHandle(handle)

    def owner_of_open(descriptor: int, status: os.stat_result) -> str:
        """The owner's SID of an open file."""
        return _owner_of_handle(ffi.cast("void *", msvcrt.get_osfhandle(descriptor)))

    def is_ours(account: str) -> bool:
        """Whether it is this user's, the administrators' or SYSTEM's."""
        return account in (_ADMINISTRATORS, _SYSTEM, user())

    def this_account() -> str:
        """This user in words."""
        return account_name(user())

    def account_name(account: str) -> str:
        r"""An account as people know it, with its SID: `HOST\name (S-1-5-...)`."""
        binary = ffi.new("void **")
        if not _dll("advapi32").ConvertStringSidToSidW(wide(account), binary):
            return account
        try:
            name, domain, use = ffi.new("WCHAR[]", 257), ffi.new("WCHAR[]", 257), ffi.new("int32_t *")
            sizes = ffi.new("DWORD *", 257), ffi.new("DWORD *", 257)
            look_up = _dll("advapi32").LookupAccountSidW
            if not look_up(NULL, binary[0], name, sizes[0], domain, sizes[1], use):
                return account
            return f"{text_at(domain, 257)}\\{text_at(name, 257)} ({account})"
        finally:
            _dll("kernel32").LocalFree(binary[0])

    def let_read(path: Path, account: str) -> None:
        """Add an account, by its name or SID, to the access list of a private file, for reading.

        `InvalidInputError` when there is no such account.
        """
        with _descriptor(f"{private_file_list()}(A;;FR;;;{_sid_of(account)})") as attributes:
            if not _dll("advapi32").SetFileSecurityW(
                _wide(path), _DACL | _PROTECTED_DACL, attributes.lpSecurityDescriptor
            ):
                raise os_error(path)

    def _sid_of(account: str) -> str:
        """The SID, as text, of an account given by name or SID."""
        binary, advapi32 = ffi.new("void **"), _dll("advapi32")
        known = accounts.known(account)  # by its English name, whatever the language of this Windows
        account = account if known is None else known.sid
        if advapi32.ConvertStringSidToSidW(wide(account), binary):
            try:
                return _sid_text(binary[0])  # as it is written out, whatever short form was given
            finally:
                _dll("kernel32").LocalFree(binary[0])
        sid, domain = Buffer("LookupAccountNameW", 68), ffi.new("WCHAR[]", 257)  # SECURITY_MAX_SID_SIZE
        sizes, use = (ffi.new("DWORD *", sid.size), ffi.new("DWORD *", 257)), ffi.new("int32_t *")
        if not advapi32.LookupAccountNameW(NULL, wide(account), sid.memory, sizes[0], domain, sizes[1], use):
            raise InvalidInputError(f"there is no account {shown(account)} on this computer")
        return _sid_text(sid.memory)

    def why_not_private(status: os.stat_result, *, secret: bool) -> str | None:
        """None: the mode says nothing here."""
        return None

    def is_link(status: os.stat_result) -> bool:
        """Whether `os.lstat` saw a link or a junction."""
        return stat.S_ISLNK(status.st_mode) or bool(status.st_reparse_tag & _NAME_SURROGATE)

    def others_may_add_beside(path: Path) -> bool:
        """False: the access list of the folder is not looked at."""
        return False

    def share_as(path: Path, other: Path) -> None:
        """Let those read and write `path`, which SQLite has made, who may do so with `other`."""
        # Not always possible: another process did it, and this one may not; or there are no lists here.
        advapi32, source, needed = _dll("advapi32"), _wide(other), ffi.new("DWORD *")
        advapi32.GetFileSecurityW(source, _DACL, NULL, 0, needed)
        buffer = Buffer("GetFileSecurityW", needed[0])
        if advapi32.GetFileSecurityW(source, _DACL, buffer.memory, needed[0], needed):
            advapi32.SetFileSecurityW(_wide(path), _DACL | _PROTECTED_DACL, buffer.memory)

    def sync_folder(path: str | Path) -> None:
        """Windows has no such call; the rename is journalled by NTFS."""

    def program_data() -> Path:
        """The folder for data of all users, %ProgramData%, as the system says it, not the environment."""
        identifier, text = ffi.new("GUID *"), ffi.new("WCHAR **")
        set_guid(identifier[0], _PROGRAM_DATA)
        code = _dll("shell32").SHGetKnownFolderPath(identifier, 0, NULL, text)
        try:
            if code:
                raise os_error(None, code)
            return Path(text_at(text[0], _PATH_LENGTH))
        finally:
            _dll("ole32").CoTaskMemFree(text[0])

    def private_file_list() -> str:
        """The access list of a file for this user, administrators and SYSTEM."""
        return f"D:P(A;;FA;;;{user()})(A;;FA;;;BA)(A;;FA;;;SY)"

    def private_folder_list() -> str:
        """The same for a folder, handed down to what is made inside."""
        return f"D:P(A;OICI;FA;;;{user()})(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)"

    def make_listed_folder(path: Path, sddl: str) -> None:
        """Make a folder with this access list."""
        with _descriptor(sddl) as attributes:
            if not _dll("kernel32").CreateDirectoryW(_wide(path), attributes):
                raise os_error(path)

    @lru_cache(maxsize=1)
    def user() -> str:
        """This process's user as a SID."""
        kernel32, advapi32, token = _dll("kernel32"), _dll("advapi32"), ffi.new("void **")
        if not advapi32.OpenProcessToken(kernel32.GetCurrentProcess(), _TOKEN_QUERY, token):
            raise os_error(None)
        try:
            buffer = Buffer("GetTokenInformation", 256)  # TOKEN_USER, and a SID of 68 bytes at most
            needed = ffi.new("DWORD *")
            if not advapi32.GetTokenInformation(token[0], _TOKEN_USER, buffer.memory, buffer.size, needed):
                raise os_error(None)
            return _sid_text(buffer.view("TOKEN_USER").User.Sid)
        finally:
            kernel32.CloseHandle(token[0])

    @contextlib.contextmanager
    def _descriptor(sddl: str) -> Iterator[CData]:
        """SECURITY_ATTRIBUTES with this access list."""
        attributes, descriptor = ffi.new("SECURITY_ATTRIBUTES *"), ffi.new("void **")
        convert = _dll("advapi32").ConvertStringSecurityDescriptorToSecurityDescriptorW
        if not convert(wide(sddl), 1, descriptor, NULL):
            raise os_error(None)
        try:
            attributes.nLength = ffi.sizeof("SECURITY_ATTRIBUTES")
            attributes.lpSecurityDescriptor = descriptor[0]
            yield attributes
        finally:
            _dll("kernel32").LocalFree(descriptor[0])

    def _opened(path: str | Path, access: int, disposition: int, how: int, flags: int) -> int:
        with _descriptor(private_file_list()) as attributes:
            handle = _file_handle(path, access, attributes, disposition, how)
        try:
            return msvcrt.open_osfhandle(address_of(handle), flags | os.O_BINARY | os.O_NOINHERIT)
        except BaseException:
            _dll("kernel32").CloseHandle(handle)
            raise

    def _wide(path: str | Path) -> CData:
        if "\0" in str(path):
            raise ValueError("embedded null character")  # as Python's own functions do
        return wide(str(path))

    def _file_handle(path: str | Path, access: int, attributes: CData, disposition: int, how: int) -> CData:
        create_file = _dll("kernel32").CreateFileW
        handle: CData = create_file(_wide(path), access, _SHARED, attributes, disposition, how, NULL)
        if handle == ffi.cast("void *", -1):  # INVALID_HANDLE_VALUE
            raise os_error(path)
        return handle

    def _owner_of_handle(handle: CData) -> str:
        owner, descriptor = ffi.new("void **"), ffi.new("void **")
        look = _dll("advapi32").GetSecurityInfo
        code = look(handle, _SE_FILE_OBJECT, _OWNER, owner, NULL, NULL, NULL, descriptor)
        if code:
            raise os_error(None, code)
        try:
            return _sid_text(owner[0])
        finally:
            _dll("kernel32").LocalFree(descriptor[0])

    def _sid_text(sid: CData) -> str:
        text = ffi.new("WCHAR **")
        if not _dll("advapi32").ConvertSidToStringSidW(sid, text):
            raise os_error(None)
        try:
            return text_at(text[0], _SID_LENGTH)
        finally:
            _dll("kernel32").LocalFree(text[0])
