"""Errors as Salt's own, in words that fit what was called."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from mlsssl.errors import MlssslError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ABANDON = re.compile(r"`?\bmlsssl recover --abandon ([^\s`]{1,300})`?")
_RECOVER = re.compile(r"`?\bmlsssl recover\b`?")
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]{0,40})")


def in_salt(text: str) -> str:
    """A message of the library for somebody at Salt: commands become functions, and options arguments."""
    text = _ABANDON.sub(r"`salt-call mlsssl.recover abandon=\1`", text)
    text = _RECOVER.sub("`salt-call mlsssl.recover`", text)
    return _OPTION.sub(lambda option: option[1].replace("-", "_"), text)


@contextlib.contextmanager
def as_salts_own() -> Iterator[None]:
    """Turn what the library raises in here into Salt's `CommandExecutionError`."""
    try:
        yield
    except MlssslError as error:
        from salt.exceptions import CommandExecutionError

        raise CommandExecutionError(in_salt(str(error))) from error
