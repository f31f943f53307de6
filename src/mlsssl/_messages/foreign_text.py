"""Make foreign text safe for messages, logs and terminals: one line, no control characters, no secrets."""

from __future__ import annotations

import contextlib
import enum
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator

_SHOWN_LIMIT = 300  # a host's name has up to 253 characters
_MESSAGE_LIMIT = 4000

# A PEM block, whole or cut at either end; with its line ends, or with those of a repr (\n as two characters). Whatever
# the text, each character is looked at a few times only.
_BODY = r"-----BEGIN [-\sA-Za-z0-9+/=:,\\]*"
_END = r"-----END [A-Z0-9 ]*-----"
_TAIL = r"(?<![A-Za-z0-9+/=\\\r\n])[A-Za-z0-9+/=\\\r\n]*[ ]?"
_PEM = rf"(?i){_BODY}?{_END}|{_BODY}|{_TAIL}{_END}"
# A piece of one, without its first line: two thirds of a line of base64 and more. As a path on Windows it has
# backslashes for its slashes.
_BASE64 = r"(?:[A-Za-z0-9+/]|(?:\\{1,4}|[\r\n])(?=[A-Za-z0-9+/])){32,}={0,2}"
_LINE_OR_FOLDER = r"[/\\\r\n]+"
_WORD = r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+"
_LONG = r"\S{400,}"  # longer than any file's name or host's name


def printable(text: str) -> str:
    r"""`text` on one line, with everything that is not printable written as `\xNN`, `\n`, `\uNNNN` or `\UNNNNNNNN`.

    Names in certificates, in requests of clients and of files are chosen by strangers: a line end or an escape
    sequence in one, or a right-to-left override, must not reach a terminal, a log or a page. Doing it twice changes
    nothing more.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def printable_lines(text: str) -> str:
    """`text` with its line ends, and each line `printable`."""
    return "\n".join(map(printable, text.split("\n")))


def without_secrets(text: str) -> str:
    """`text` without what may be a private key: PEM blocks, whole or cut, and runs of base64 that only keys have."""
    if len(text) < 32:
        return text
    return re.sub(_BASE64, _unless_key, re.sub(_PEM, "(PEM text, not shown)", text))


def _unless_key(match: re.Match[str]) -> str:
    # Thumbprints, identifiers, paths and host names are made of the same letters. They lack one kind, or have short
    # folders only (or escapes, such as \U0001f600), or are made of words. What passes for a word in base64 of random
    # octets has two characters on average, and what is between two slashes or line ends of it has sixty.
    found = match.group()
    long = "".join(part for part in re.split(_LINE_OR_FOLDER, found) if len(part) >= 10)
    kinds = any(c.islower() for c in long), any(c.isupper() for c in long), any(c.isdigit() for c in long)
    if not all(kinds) or not long.strip("0123456789abcdefABCDEF") or len(re.findall(_WORD, long)) * 4 < len(long):
        return found
    return "(base64 text, not shown)"


def message(text: str) -> str:
    """A message of an error or a log: one printable line without secrets; a very long word in it, or all, is cut."""
    text = re.sub(_LONG, lambda found: f"{found[0][:100]}…{found[0][-20:]}", without_secrets(printable(text)))
    return text if len(text) <= _MESSAGE_LIMIT else f"{text[: _MESSAGE_LIMIT - 1000]} … {text[-900:]}"


def message_lines(text: str) -> str:
    """A message of several lines, none of whose line ends is a stranger's; each as `message`."""
    return "\n".join(map(message, without_secrets(text).split("\n")))


def shown(value: object) -> str:
    """What a caller gave, for a message: its `repr` without secrets, cut at 300 characters.

    Of what is no text, number, date, path or the like only the type is shown: a `repr` of somebody else's object may
    hold a password, be very long, or fail.
    """
    if isinstance(value, str):
        return _quoted(without_secrets(value[:10_000]))
    # Here, for `mlsssl --version` needs none of them.
    import datetime as dt
    import uuid
    from pathlib import PurePath

    plain = (int, float, type(None), dt.date, dt.timedelta, dt.tzinfo, uuid.UUID, PurePath, enum.Enum)
    if not isinstance(value, plain):
        return type(value).__name__
    try:
        return _cut(without_secrets(repr(value)))
    except ValueError:  # a whole number of more digits than Python writes (sys.set_int_max_str_digits)
        return f"{type(value).__name__} that is too long to show"


def system_reason(error: OSError | ValueError) -> str:
    """Why the system refused something, without the paths that it adds: they may be ours, made of what was given."""
    return getattr(error, "strerror", None) or str(error)


def _quoted(text: str) -> str:
    """The text's `repr`; a long text is cut before that, so that the quote ends and no escape is cut in two."""
    quoted = repr(text)
    if len(quoted) <= _SHOWN_LIMIT:
        return quoted
    while len(quoted) >= _SHOWN_LIMIT:
        # An escape has at most ten characters ("\U0001f600"): never more is taken away than must be.
        text = text[: len(text) - 1 - (len(quoted) - _SHOWN_LIMIT) // 10]
        quoted = repr(text)
    return f"{quoted[:-1]}…{quoted[-1]}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_LIMIT else f"{text[: _SHOWN_LIMIT - 1]}…"


_listeners: list[Callable[[logging.Logger], object]] = []


@contextlib.contextmanager
def before_records(listen: Callable[[logging.Logger], object]) -> Iterator[None]:
    """Meanwhile call `listen` with the logger of this package before anything is logged, from any thread, maybe often.

    For who tells records, of which there are seldom any: `logging` is imported with the first.
    """
    if "logging" in sys.modules:
        listen(clean_logger("mlsssl"))
    _listeners.append(listen)
    try:
        yield
    finally:
        _listeners.remove(listen)


def clean_logger(name: str) -> logging.Logger:
    """The logger of this name, whose records are cleaned before any handler sees them."""
    import logging  # rarely needed, and not free to import

    for listen in _listeners:
        listen(logging.getLogger("mlsssl"))
    found = logging.getLogger(name)
    found.addFilter(_clean)  # adds it once only
    return found


def log_step(text: str, *arguments: object) -> None:
    """Log a step of what is being done, for who follows it; where nobody has imported `logging`, nobody does."""
    if (logging := sys.modules.get("logging")) is not None and logging.getLogger("mlsssl").isEnabledFor(logging.INFO):
        clean_logger("mlsssl").info(text, *arguments)


def _clean(record: logging.LogRecord) -> bool:
    """Make a record harmless: a client chooses its server name, and a line end in it would begin a forged record."""
    record.msg = message(str(record.msg))
    if isinstance(record.args, tuple):
        record.args = tuple(one if isinstance(one, (int, float)) else message(str(one)) for one in record.args)
    if record.exc_info and not record.exc_text:
        import traceback

        text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        # Formatters take the text that is there already. Indented, no line of it can pass for the next record.
        record.exc_text = "\n".join(f"  {line}" for line in printable_lines(without_secrets(text)).split("\n"))
    return True
