"""What the library says, in Salt's words: errors as Salt's own, calls of Python as functions to call."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from mlsssl.errors import MlssslError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Pieces are bounded, for names that strangers chose stand in messages too.
_CALL = re.compile(r"(?<![\w.])(?:mlsssl\.)?(audit|cleanup|deploy|recover|renew|renew_due)\(([^()]{0,400})\)")
_ARGUMENT = re.compile(r"""(\w{1,40}=)?(["'])([^"'\s]{0,300})\2,?""")
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]{0,40})")


def in_salt(text: str) -> str:
    """A message of the library for somebody at Salt: calls become functions, and options arguments."""
    text = _CALL.sub(_function, text)
    return _OPTION.sub(lambda option: option[1].replace("-", "_"), text)


def _function(call: re.Match[str]) -> str:
    arguments = _ARGUMENT.sub(lambda one: f"{one[1] or ''}{one[3]}", call[2])
    return f"salt-call mlsssl.{call[1]} {arguments}".strip()


@contextlib.contextmanager
def as_salts_own() -> Iterator[None]:
    """Turn what the library raises in here into Salt's `CommandExecutionError`."""
    try:
        yield
    except MlssslError as error:
        from salt.exceptions import CommandExecutionError

        raise CommandExecutionError(in_salt(str(error))) from error
