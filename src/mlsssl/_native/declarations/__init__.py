"""The C declarations of Windows' DLLs, one text per DLL, and the generator of the module that holds them compiled.

`python -m mlsssl._native.declarations` writes `_native/_generated.py` anew; a test compares the two. Generated,
because parsing the texts at every start would cost some 60 ms (pycparser and the structures), the generated
module 1 ms.
"""

from __future__ import annotations

import tempfile
from importlib import resources
from pathlib import Path

TEXTS = ("common", "kernel32", "httpapi", "rights", "advapi32_services", "crypt32", "ncrypt", "advapi32_crypto")
"""The texts in the order in which they build on each other."""

_HEADER = '''\
"""Generated from declarations/*.h by `python -m mlsssl._native.declarations`; do not edit."""

# ruff: noqa
# mypy: ignore-errors
'''


def read(name: str) -> str:
    """The C text of one DLL."""
    return resources.files(__name__).joinpath(f"{name}.h").read_text(encoding="utf-8")


def generate() -> str:
    """The Python text of `_generated.py`: one FFI for all DLLs, for types of two FFIs do not mix."""
    import cffi

    ffi = cffi.FFI()
    for name in TEXTS:
        ffi.cdef(read(name))
    ffi.set_source("mlsssl._native._generated", None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "_generated.py"
        ffi.emit_python_code(str(path))
        return _HEADER + path.read_text(encoding="utf-8")


def generated_path() -> Path:
    """Where the generated module lies in a source tree."""
    return Path(__file__).parent.parent / "_generated.py"
