"""Windows' half of `_files`: files and folders whose access list is set as they are made; whose a file is.

Through ctypes, for `_files` lies below the Windows storey and importing mlsssl must not load cffi. Python's own mode
bits do nothing for files on Windows, and for folders only since 3.12.4. Only Windows has anything in here.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import contextlib
    import ctypes
    import msvcrt
    import os
    import stat
    from ctypes import wintypes
    from functools import lru_cache
    from pathlib import Path
    from typing import TYPE_CHECKING

    if TYPE_CHECKING:
        from collections.abc import Iterator

    # Security descriptor strings (SDDL). P: what the parent would hand down stays out. FA: full access.
    # BA, SY: the administrators' group, LocalSystem. OICI: handed down to what is made inside. The user is named by
    # SID, not as owner (OW): what an elevated process makes belongs to the administrators' group, to which the same
    # user does not belong unelevated.
    ADMINISTRATORS_FOLDER = "O:BAD:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)"

    ADMINISTRATORS, SYSTEM = "S-1-5-32-544", "S-1-5-18"
    _GENERIC_READ, _GENERIC_WRITE, _FILE_APPEND_DATA = 0x8000_0000, 0x4000_0000, 0x4
    _READ_CONTROL, _SYNCHRONIZE = 0x2_0000, 0x10_0000
    _CREATE_NEW, _OPEN_EXISTING, _OPEN_ALWAYS = 1, 3, 4
    _FILE_ATTRIBUTE_NORMAL, _OPEN_REPARSE_POINT, _BACKUP_SEMANTICS = 0x80, 0x20_0000, 0x200_0000
    _INVALID_HANDLE = ctypes.c_void_p(-1).value
    _OWNER, _DACL, _PROTECTED_DACL = 0x1, 0x4, 0x8000_0000  # SECURITY_INFORMATION
    _SE_FILE_OBJECT = 1
    _TOKEN_QUERY, _TOKEN_USER = 0x8, 1
    _NAME_SURROGATE = 0x2000_0000  # IsReparseTagNameSurrogate: a link or junction, not a file kept in another way
    _PROGRAM_DATA = "{62AB5D82-FDC1-4DC3-A9DD-070D1D495D97}"  # FOLDERID_ProgramData

    # System32 only, as for every DLL; these three are in each process or among Windows' known DLLs anyway.
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True, winmode=0x800)
    _advapi32 = ctypes.WinDLL("advapi32", use_last_error=True, winmode=0x800)

    class _SecurityAttributes(ctypes.Structure):
        _fields_ = (
            ("nLength", wintypes.DWORD),
            ("lpSecurityDescriptor", ctypes.c_void_p),
            ("bInheritHandle", wintypes.BOOL),
        )

    _kernel32.CreateFileW.restype = ctypes.c_void_p
    _kernel32.CreateFileW.argtypes = (
        wintypes.LPCWSTR,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.POINTER(_SecurityAttributes),
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.c_void_p,
    )
    _kernel32.CloseHandle.argtypes = (ctypes.c_void_p,)
    _kernel32.CreateDirectoryW.argtypes = (wintypes.LPCWSTR, ctypes.POINTER(_SecurityAttributes))
    _kernel32.LocalFree.argtypes = (ctypes.c_void_p,)
    _kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW.argtypes = (
        wintypes.LPCWSTR,
        wintypes.DWORD,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_void_p,
    )
    _advapi32.SetFileSecurityW.argtypes = (wintypes.LPCWSTR, wintypes.DWORD, ctypes.c_void_p)
    _advapi32.GetFileSecurityW.argtypes = (
        wintypes.LPCWSTR,
        wintypes.DWORD,
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    )
    _advapi32.GetSecurityInfo.argtypes = (
        ctypes.c_void_p,
        ctypes.c_int,
        wintypes.DWORD,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.c_void_p),
    )
    _advapi32.ConvertStringSidToSidW.argtypes = (wintypes.LPCWSTR, ctypes.POINTER(ctypes.c_void_p))
    _advapi32.LookupAccountSidW.argtypes = (
        wintypes.LPCWSTR,
        ctypes.c_void_p,
        wintypes.LPWSTR,
        ctypes.POINTER(wintypes.DWORD),
        wintypes.LPWSTR,
        ctypes.POINTER(wintypes.DWORD),
        ctypes.POINTER(ctypes.c_int),
    )
    _advapi32.ConvertSidToStringSidW.argtypes = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
    _advapi32.OpenProcessToken.argtypes = (ctypes.c_void_p, wintypes.DWORD, ctypes.POINTER(ctypes.c_void_p))
    _advapi32.GetTokenInformation.argtypes = (
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    )

    # FILE_SHARE_READ, _WRITE and _DELETE, as Python's own open does. Alone with the file, even for a moment, we would
    # turn away another process that opens the same machine now: SQLite then opens it read-only, and stays so.
    _SHARED = 0x1 | 0x2 | 0x4

    def private_file_list() -> str:
        """The access list of a file for this user, administrators and SYSTEM."""
        return f"D:P(A;;FA;;;{user()})(A;;FA;;;BA)(A;;FA;;;SY)"

    def private_folder_list() -> str:
        """The same for a folder, handed down to what is made inside."""
        return f"D:P(A;OICI;FA;;;{user()})(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)"

    def create_private(path: Path) -> int:
        """Make a new file for this user, administrators and SYSTEM; a descriptor open for writing.

        Raises:
            OSError: the subclass that Python's `open` would raise.
        """
        return _opened(path, _GENERIC_WRITE, _CREATE_NEW, _FILE_ATTRIBUTE_NORMAL, os.O_WRONLY)

    def open_private(path: Path, flags: int) -> int:
        """Open a file without following a link in its place; made as by `create_private` when missing.

        Args:
            path: The file.
            flags: As for `os.open`: O_RDONLY, or O_CREAT with O_RDWR, and O_APPEND with those.

        Raises:
            OSError: the subclass that Python's `open` would raise.
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

    def make_private_folder(path: Path, sddl: str) -> None:
        """Make a folder with this access list.

        Raises:
            OSError: the subclass that `Path.mkdir` would raise.
        """
        with _descriptor(sddl) as attributes:
            if not _kernel32.CreateDirectoryW(str(path), attributes):
                raise _failed(path)

    def close_folder(path: Path, sddl: str) -> None:
        """Give a folder that was there before this access list.

        Raises:
            OSError: the system refuses.
        """
        with _descriptor(sddl) as attributes:
            wanted = _DACL | _PROTECTED_DACL
            if not _advapi32.SetFileSecurityW(str(path), wanted, attributes.lpSecurityDescriptor):
                raise _failed(path)

    def copy_access_list(source: Path, target: Path) -> None:
        """Give a file the access list of another one.

        Raises:
            OSError: the system refuses.
        """
        needed = wintypes.DWORD()
        _advapi32.GetFileSecurityW(str(source), _DACL, None, 0, ctypes.byref(needed))
        buffer = ctypes.create_string_buffer(needed.value)
        if not _advapi32.GetFileSecurityW(str(source), _DACL, buffer, needed, ctypes.byref(needed)):
            raise _failed(source)
        if not _advapi32.SetFileSecurityW(str(target), _DACL | _PROTECTED_DACL, buffer):
            raise _failed(target)

    def is_link(status: os.stat_result) -> bool:
        """Whether `os.lstat` saw a link or a junction."""
        return stat.S_ISLNK(status.st_mode) or bool(status.st_reparse_tag & _NAME_SURROGATE)

    def owner_of(path: Path) -> str:
        """The owner's SID of a file or folder; of a link itself, not of what it leads to.

        Raises:
            OSError: the system refuses.
        """
        how = _OPEN_REPARSE_POINT | _BACKUP_SEMANTICS
        handle = _kernel32.CreateFileW(str(path), _READ_CONTROL, _SHARED, None, _OPEN_EXISTING, how, None)
        if handle == _INVALID_HANDLE:
            raise _failed(path)
        try:
            return owner_of_handle(handle)
        finally:
            _kernel32.CloseHandle(handle)

    def owner_of_handle(handle: int) -> str:
        """The owner's SID of an open file or folder.

        Raises:
            OSError: the system refuses.
        """
        owner, descriptor = ctypes.c_void_p(), ctypes.c_void_p()
        code = _advapi32.GetSecurityInfo(
            handle, _SE_FILE_OBJECT, _OWNER, ctypes.byref(owner), None, None, None, ctypes.byref(descriptor)
        )
        if code:
            raise ctypes.WinError(code)
        try:
            return _sid_text(owner)
        finally:
            _kernel32.LocalFree(descriptor)

    def account_name(sid: str) -> str:
        r"""An account as people know it, with its SID: `HOST\name (S-1-5-...)`."""
        binary = ctypes.c_void_p()
        if not _advapi32.ConvertStringSidToSidW(sid, ctypes.byref(binary)):
            return sid
        try:
            name, domain = ctypes.create_unicode_buffer(257), ctypes.create_unicode_buffer(257)
            lengths = wintypes.DWORD(257), wintypes.DWORD(257)
            use = ctypes.c_int()
            if not _advapi32.LookupAccountSidW(
                None, binary, name, ctypes.byref(lengths[0]), domain, ctypes.byref(lengths[1]), ctypes.byref(use)
            ):
                return sid
            return f"{domain.value}\\{name.value} ({sid})"
        finally:
            _kernel32.LocalFree(binary)

    def program_data() -> Path:
        """The folder for data of all users, %ProgramData%, as the system says it, not the environment."""
        shell32 = ctypes.WinDLL("shell32", winmode=0x800)
        ole32 = ctypes.WinDLL("ole32", winmode=0x800)
        ole32.CoTaskMemFree.argtypes = (ctypes.c_void_p,)
        identifier = (ctypes.c_byte * 16)()
        ole32.CLSIDFromString(ctypes.c_wchar_p(_PROGRAM_DATA), identifier)
        text = ctypes.c_void_p()
        code = shell32.SHGetKnownFolderPath(identifier, 0, None, ctypes.byref(text))
        try:
            if code:
                raise ctypes.WinError(code)
            return Path(ctypes.wstring_at(text.value or 0))
        finally:
            ole32.CoTaskMemFree(text)

    @contextlib.contextmanager
    def _descriptor(sddl: str) -> Iterator[_SecurityAttributes]:
        descriptor = ctypes.c_void_p()
        convert = _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW
        if not convert(sddl, 1, ctypes.byref(descriptor), None):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            yield _SecurityAttributes(ctypes.sizeof(_SecurityAttributes), descriptor.value, False)
        finally:
            _kernel32.LocalFree(descriptor)

    def _opened(path: Path, access: int, disposition: int, how: int, flags: int) -> int:
        with _descriptor(private_file_list()) as attributes:
            handle = _kernel32.CreateFileW(str(path), access, _SHARED, attributes, disposition, how, None)
            if handle == _INVALID_HANDLE:
                raise _failed(path)
        try:
            return msvcrt.open_osfhandle(handle, flags | os.O_BINARY | os.O_NOINHERIT)
        except BaseException:
            _kernel32.CloseHandle(handle)
            raise

    @lru_cache(maxsize=1)
    def user() -> str:
        """This process's user as a SID."""
        token = ctypes.c_void_p()
        if not _advapi32.OpenProcessToken(_kernel32.GetCurrentProcess(), _TOKEN_QUERY, ctypes.byref(token)):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            buffer = ctypes.create_string_buffer(256)  # TOKEN_USER: a pointer, flags, and a SID of 68 bytes at most
            needed = wintypes.DWORD()
            if not _advapi32.GetTokenInformation(
                token, _TOKEN_USER, buffer, ctypes.sizeof(buffer), ctypes.byref(needed)
            ):
                raise ctypes.WinError(ctypes.get_last_error())
            return _sid_text(ctypes.c_void_p.from_buffer(buffer))
        finally:
            _kernel32.CloseHandle(token)

    def _sid_text(sid: ctypes.c_void_p) -> str:
        text = ctypes.c_void_p()
        if not _advapi32.ConvertSidToStringSidW(sid, ctypes.byref(text)):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            return ctypes.wstring_at(text.value or 0)
        finally:
            _kernel32.LocalFree(text)

    def _failed(path: Path) -> OSError:
        error = ctypes.WinError(ctypes.get_last_error())
        return type(error)(error.errno, error.strerror, str(path), error.winerror)
