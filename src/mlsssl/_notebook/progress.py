"""A progress bar for what takes a `progress=` function, in terminals and notebooks; needs the extra `progress`."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from typing import TYPE_CHECKING

from mlsssl._messages.arguments import check_number, check_type
from mlsssl._messages.foreign_text import printable
from mlsssl.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_bar"]


@contextlib.contextmanager
def progress_bar(
    total: int | None = None, *, description: str = "", unit: str = "certificates"
) -> Iterator[Callable[[int], None]]:
    """Show how far bulk work is, by tqdm: a line in a terminal, and in a notebook, with ipywidgets there, a widget.

    Args:
        total: How many there will be; None shows a count alone.
        description: What stands in front of the bar.
        unit: What is counted.

    Yields:
        The function to give to `progress=`: it takes the number done so far.

    Raises:
        InvalidInputError: `total` is no number, or another argument no text.
        UnsupportedError: tqdm is not installed.
    """
    if total is not None:
        check_number(total, 0, 2**53, "total is a number from 0 up to 2^53, or None")  # tqdm divides as float does
    check_type(description, str, "description is text")
    check_type(unit, str, "unit is text")
    # Without ipywidgets `tqdm.auto` warns, and its line is red as an error is: a notebook's standard error.
    widgets = importlib.util.find_spec("ipywidgets") is not None
    try:
        tqdm = importlib.import_module("tqdm.auto" if widgets else "tqdm").tqdm
    except ImportError:
        raise UnsupportedError("a progress bar needs tqdm; run: pip install 'mlsssl[progress]'") from None
    # Whether ipykernel was imported says nothing: what builds documentation imports it and runs its cells elsewhere.
    notebook = type(sys.stderr).__module__ == "ipykernel.iostream"
    stream = sys.stdout if notebook and not widgets else None
    with tqdm(total=total, desc=printable(description) or None, unit=f" {printable(unit)}", file=stream) as bar:

        def advance(done: int) -> None:
            bar.update(done - bar.n)

        yield advance
