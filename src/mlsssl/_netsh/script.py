"""The `netsh http` commands in scripts of any kind, and what was passed over on the way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsssl._formats.text import decode_text
from mlsssl._messages.arguments import check_data
from mlsssl._messages.foreign_text import printable, without_secrets
from mlsssl._netsh.command import LINE_LIMIT, NetshCommand, normalize, parse_command, verb_of
from mlsssl._netsh.http_command import HttpCommand, object_named, parse_http_command
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from typing_extensions import Self

_SCRIPT_LIMIT = 16 * 1024 * 1024
_TEXT_LIMIT = 200
_COMMENT = re.compile(r"(?:@?rem\b|::|#|//)", re.IGNORECASE)
_PRINTS = re.compile(r"@?(?:echo|write-(?:host|output|verbose|information|warning|debug))\b", re.IGNORECASE)
_NETSH = re.compile(r"\bnetsh(?:\.exe)?\b", re.IGNORECASE)
_NAMES_HTTP = re.compile(r"\bhttp\b(?!:/)", re.IGNORECASE)
# The words may be an array of quoted ones: "http", "add", "sslcert".
_HTTP = re.compile(r"""\bhttp\b["']?[\s,]+["']?([a-z]+)["']?[\s,]+["']?([a-z]+)""", re.IGNORECASE)
_WITHOUT_NETSH = re.compile(
    r"(?:add|update|delete|del|show)\s+(?:ssl(?:cert)?|urlacl|iplisten|timeout)\s+\S*=", re.IGNORECASE
)
_MENTIONS = ("http", "sslcert", "urlacl", "iplisten")
_END = re.compile(r"\s\d?>|[|;&>]")
_LATE_COMMENT = re.compile(r"\s#")  # PowerShell's behind a command, and that of the languages that look like it
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_ACE = re.compile(r"\([AD];[^()\s]*\)", re.IGNORECASE)  # of sddl=, whose semicolons end no command
_REMOTE = re.compile(r"\s-r\s", re.IGNORECASE)
_PASSWORD = re.compile(r"(\s-p\s+)\S+", re.IGNORECASE)  # netsh's option, and that of many tools
_NEXT_ITEM = re.compile(r"""\s*,\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)')""")


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A line of a script that has to do with netsh http and was not read as a command.

    Attributes:
        line: Its number, from 1; of a continued line the first one.
        text: The line, printable, at most 200 characters of it.
        reason: Why it was passed over.
    """

    line: int
    text: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line} was passed over: {self.reason}: {self.text}"


class Script(tuple["NetshCommand | HttpCommand", ...]):  # noqa: SLOT001 -- a tuple has no slots for what its heirs add
    """The commands of a script in their order: a tuple of `NetshCommand` (`sslcert`) and `HttpCommand` (the others).

    Attributes:
        passed_over: The lines about netsh http that were not read as such a command, in their order; empty when
            there are none.
    """

    passed_over: tuple[PassedOver, ...]

    def __new__(
        cls, commands: Iterable[NetshCommand | HttpCommand] = (), passed_over: Iterable[PassedOver] = ()
    ) -> Self:
        made = super().__new__(cls, commands)
        made.passed_over = tuple(passed_over)
        return made

    def __getnewargs__(self) -> tuple[tuple[NetshCommand | HttpCommand, ...], tuple[PassedOver, ...]]:
        return tuple(self), self.passed_over

    def __repr__(self) -> str:
        commands = super().__repr__()
        return f"Script({commands}, passed_over={self.passed_over!r})" if self.passed_over else commands


def parse_script(text: str | bytes) -> Script:
    """Every `netsh http` command about bindings, reservations, the listen list and numbers in a script, in order.

    Batch files, PowerShell and other languages are searched line by line, also inside quotes
    (`Start-Process netsh -ArgumentList "http add sslcert …"`), several commands on a line too. A script of netsh's own
    (`netsh -f`) is read where its lines begin with `http`. Comments are passed over in silence, as is all that does not
    mention netsh http.

    Args:
        text: The script; its bytes may be UTF-8, UTF-16 or Windows-1252.

    Returns:
        A tuple of the commands, `NetshCommand` for `sslcert` and `HttpCommand` for `urlacl`, `iplisten` and the like;
        its `passed_over` has each line about netsh http that is none of them: what is only printed, other objects
        (`servicestate`), commands that are put together elsewhere.

    Raises:
        MalformedDataError: such a command cannot be read, and the message names the line; bytes that are no text;
            or more than 16 million characters.
    """
    given = text if isinstance(text, str) else decode_text(check_data(text, "a script is text or bytes"))
    if given is None:
        raise MalformedDataError("these bytes are no text, and no script")
    text = given
    if len(text) > _SCRIPT_LIMIT:
        raise MalformedDataError(f"a script of {len(text)} characters is too long; at most {_SCRIPT_LIMIT} are read")
    found: list[NetshCommand | HttpCommand] = []
    passed_over: list[PassedOver] = []
    for number, line in _join_lines(text):
        folded = line.lower()
        if not any(word in folded for word in _MENTIONS):
            continue
        bare = normalize(line).strip()
        if _COMMENT.match(bare):
            continue
        if comment := _LATE_COMMENT.search(_masked(bare)):
            bare = bare[: comment.start()]
        commands, reason = _commands_in(bare)
        for about, command in commands:
            try:
                found.append(parse_command(command) if about == "sslcert" else parse_http_command(command))
            except MalformedDataError as error:
                raise MalformedDataError(f"line {number}: {error}") from None
        if reason is not None:
            shown = without_secrets(printable(_PASSWORD.sub(r"\1…", bare)))
            shown = shown if len(shown) <= _TEXT_LIMIT else f"{shown[: _TEXT_LIMIT - 1]}…"
            passed_over.append(PassedOver(line=number, text=shown, reason=reason))
    return Script(found, passed_over)


def _commands_in(line: str) -> tuple[list[tuple[str, str]], str | None]:
    """The commands of a line, each behind what it is about, and why something in it is none; None when all are."""
    netsh = _NETSH.search(line)
    if len(line) > LINE_LIMIT:
        return [], f"it has more than {LINE_LIMIT} characters, which no command line has" if netsh else None
    masked = _masked(line)
    remote = _REMOTE.search(line, netsh.end()) if netsh else None
    found: list[tuple[str, str]] = []
    reason, at = None, 0
    while match := _HTTP.search(line, at):
        at = match.end()
        if verb_of(match[1]) is None:
            continue
        about = object_named(match[2])
        if about is None:
            known = "bindings, reservations, the listen list or numbers"
            reason = f"{match[1]} {match[2]} is not about {known}" if netsh else reason
        elif _PRINTS.match(line):
            reason = "it is printed, not run"
        elif match.start() > 0 and (netsh is None or netsh.start() > match.start()):
            reason = "netsh is not in this line"
        elif remote and remote.start() < match.start():
            reason = "netsh -r is about another computer"
        else:
            command, at = _command_at(line, masked, match)
            found.append((about, command))
    if not found and reason is None:
        if netsh and _NAMES_HTTP.search(line, netsh.end()):
            reason = "no verb and object follow netsh http in this line"
        elif _WITHOUT_NETSH.match(line):
            reason = "netsh http is not in front of it"
    return found, reason


def _masked(text: str) -> str:
    """A text of the same length, in which what is between two quotes is replaced by the quote, and an entry of SDDL."""
    bare = _QUOTED.sub(lambda match: match[0][0] * len(match[0]), text)
    return _ACE.sub(lambda match: "x" * len(match[0]), bare)


def _command_at(line: str, masked: str, match: re.Match[str]) -> tuple[str, int]:
    """The command that begins with a match, and where it ends: with its quotes, its array, or what ends a command."""
    start = match.start()
    quote = masked[start] if masked[start] in "\"'" else ""
    if not quote:
        end = _end_of(masked, start)
        return line[start:end].rstrip("^"), end
    end = _closing(line, quote, start)
    words = [line[start:end]]
    while item := _NEXT_ITEM.match(line, end + 1):
        word = item[1] if item[1] is not None else item[2]
        # An item is one word, blanks and all; what has quotes of its own says itself where it ends.
        words.append(f"{quote}{word}{quote}" if " " in word and quote not in word else word)
        end = item.end() - 1
    if len(words) == 1 and end < match.end():  # only the word http was in quotes
        rest = _end_of(masked, end + 1)
        return f"{line[start:end]}{line[end + 1 : rest]}", rest
    text = re.sub(rf"[\\`]{quote}|{quote}{quote}", quote, " ".join(words))
    return text[: _end_of(_masked(text), 0)].rstrip("^"), end + 1


def _closing(line: str, quote: str, start: int) -> int:
    """Where the quote ends that is open at `start`; a doubled or escaped one does not end it."""
    for found in re.finditer(rf"[\\`]{quote}|{quote}{quote}?", line[start:]):
        if found[0] == quote:
            return start + found.start()
    return len(line)


def _end_of(masked: str, start: int) -> int:
    """Where a command ends: at an operator, or at a bracket that was opened before it."""
    end = _END.search(masked, start)
    stop = end.start() if end else len(masked)
    depth = 0
    for place in range(start, stop):
        depth += (masked[place] in "({") - (masked[place] in ")}")
        if depth < 0:
            return place
    return stop


def _join_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, continued ones (`^` or a backtick at the end) put together."""
    pending: list[str] = []
    began = 0
    for number, line in enumerate(text.splitlines(), 1):
        began = began or number
        stripped = line.rstrip()
        if stripped.endswith(("^", "`")):
            pending.append(stripped[:-1])
            continue
        yield began, " ".join([*pending, line])
        pending, began = [], 0
    if pending:
        yield began, " ".join(pending)
