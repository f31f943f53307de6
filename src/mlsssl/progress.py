"""A progress bar for what takes a `progress=` function, in terminals and notebooks; needs the extra `progress`."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING

from mlsssl.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_bar"]


@contextlib.contextmanager
def progress_bar(
    total: int | None = None, *, description: str = "", unit: str = "certificates"
) -> Iterator[Callable[[int], None]]:
    """Show how far bulk work is, by tqdm: a line in a terminal, a widget in a notebook.

    Args:
        total: How many there will be; None shows a count alone.
        description: What stands in front of the bar.
        unit: What is counted.

    Yields:
        The function to give to `progress=`: it takes the number done so far.

    Raises:
        UnsupportedError: tqdm is not installed.
    """
    try:
        tqdm = importlib.import_module("tqdm.auto").tqdm
    except ImportError:
        raise UnsupportedError("a progress bar needs tqdm; run: pip install 'mlsssl[progress]'") from None
    with tqdm(total=total, desc=description or None, unit=f" {unit}") as bar:

        def advance(done: int) -> None:
            bar.update(done - bar.n)

        yield advance
