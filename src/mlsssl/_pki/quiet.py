"""Foreign bytes are judged by findings and errors, not by warnings that `cryptography` prints about them."""

from __future__ import annotations

import contextlib
import threading
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# catch_warnings swaps a process-wide list (before Python 3.14), so two threads must not do it at once.
_lock = threading.RLock()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop the warnings raised inside: about serial numbers that are not positive, about BER where DER should be.

    Where warnings are errors (`-W error`), a certificate from elsewhere would otherwise end the program.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
