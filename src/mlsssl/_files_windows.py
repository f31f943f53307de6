"""Windows' half of `_files`: files and folders whose access list is set as they are made, not after.

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
    from ctypes import wintypes
    from pathlib import Path
    from typing import TYPE_CHECKING

    from mlsssl.errors import AccessDeniedError

    if TYPE_CHECKING:
        from collections.abc import Iterator

    # Security descriptor strings (SDDL). P: what the parent would hand down stays out. FA: full access.
    # OW, BA, SY: owner rights, the administrators' group, LocalSystem. OICI: handed down to what is made inside.
    PRIVATE_FILE = "D:P(A;;FA;;;OW)(A;;FA;;;BA)(A;;FA;;;SY)"
    PRIVATE_FOLDER = "D:P(A;OICI;FA;;;OW)(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)"
    ADMINISTRATORS_FOLDER = "O:BAD:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)"

    _ADMINISTRATORS, _SYSTEM = "S-1-5-32-544", "S-1-5-18"
    _GENERIC_WRITE, _CREATE_NEW, _FILE_ATTRIBUTE_NORMAL = 0x4000_0000, 1, 0x80
    _INVALID_HANDLE = ctypes.c_void_p(-1).value
    _OWNER, _DACL, _PROTECTED_DACL = 0x1, 0x4, 0x8000_0000  # SECURITY_INFORMATION
    _SE_FILE_OBJECT = 1
    _TOKEN_QUERY, _TOKEN_USER = 0x8, 1
    _REPARSE_POINT = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT: a link or junction
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
    _advapi32.GetNamedSecurityInfoW.argtypes = (
        wintypes.LPCWSTR,
        ctypes.c_int,
        wintypes.DWORD,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.c_void_p),
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

    def create_private(path: Path) -> int:
        """Make a new file for its owner, administrators and SYSTEM; a descriptor open for writing.

        Raises:
            OSError: the subclass that Python's `open` would raise.
        """
        with _descriptor(PRIVATE_FILE) as attributes:
            handle = _kernel32.CreateFileW(
                str(path), _GENERIC_WRITE, _SHARED, attributes, _CREATE_NEW, _FILE_ATTRIBUTE_NORMAL, None
            )
            if handle == _INVALID_HANDLE:
                raise _failed(path)
        try:
            return msvcrt.open_osfhandle(handle, os.O_WRONLY | os.O_BINARY | os.O_NOINHERIT)
        except BaseException:
            _kernel32.CloseHandle(handle)
            raise

    def make_private_folder(path: Path, sddl: str = PRIVATE_FOLDER) -> None:
        """Make a folder with this access list.

        Raises:
            OSError: the subclass that `Path.mkdir` would raise.
        """
        with _descriptor(sddl) as attributes:
            if not _kernel32.CreateDirectoryW(str(path), attributes):
                raise _failed(path)

    def claim_folder(path: Path) -> None:
        """Make a folder that was there before safe for administrators' use, or refuse it.

        Everybody may make folders in %ProgramData%, so one made by somebody else before us could be a trap: its
        owner can always let himself in.

        Raises:
            AccessDeniedError: it belongs to somebody else, or is a link to another place.
        """
        if path.lstat().st_file_attributes & _REPARSE_POINT:
            raise AccessDeniedError(f"{path} is a link to another place; remove it", right="owner")
        owner = _owner(path)
        if owner not in (_ADMINISTRATORS, _SYSTEM, _this_user()):
            raise AccessDeniedError(
                f"{path} belongs to somebody else ({owner}); look into it and remove it", right="owner"
            )
        with _descriptor(ADMINISTRATORS_FOLDER) as attributes:
            wanted = _DACL | _PROTECTED_DACL
            if not _advapi32.SetFileSecurityW(str(path), wanted, attributes.lpSecurityDescriptor):
                raise _failed(path)

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

    def _owner(path: Path) -> str:
        owner, descriptor = ctypes.c_void_p(), ctypes.c_void_p()
        code = _advapi32.GetNamedSecurityInfoW(
            str(path), _SE_FILE_OBJECT, _OWNER, ctypes.byref(owner), None, None, None, ctypes.byref(descriptor)
        )
        if code:
            raise ctypes.WinError(code)
        try:
            return _sid_text(owner)
        finally:
            _kernel32.LocalFree(descriptor)

    def _this_user() -> str:
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
