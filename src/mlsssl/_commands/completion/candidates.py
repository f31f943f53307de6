"""What can stand where the cursor is: the words of `table`, or what `machine` finds on the machine that is meant.

Called at every Tab, so it imports no argparse, no pathlib, no re. It answers and never complains: a machine that is not
there, or cannot be read, has no candidates.

The first line of the answer tells the shell whether names of `files` or `folders` fit too; each line after it is a
candidate, for all shells but Bash with a tab and what it is behind it.
"""

from __future__ import annotations

import os

from mlsssl._commands.completion.table import COMMANDS, SUMMARIES

MOST = 1000
_LONGEST = 300  # characters of a candidate
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+.,:/@%=")
_SOURCES = ("env:", "file:", "prompt", "stdin")

Candidates = list[tuple[str, str]]


def main(shell: str, words: list[str]) -> int:
    """Answer one Tab.

    Args:
        shell: `bash`, which gives its line up to the cursor, and its COMP_WORDBREAKS; `powershell`, which gives the
            words in MLSSSL_COMPLETING, a line each, for version 5.1 loses empty arguments; or another, which gives
            them as they are.
        words: Those behind the program's name; the last is what is written of the one to complete.
    """
    words = [os.fsencode(word).decode("utf-8", "replace") for word in words]
    raw, breaks = None, ""
    if shell == "bash":
        line, breaks = [*words, "", ""][:2]
        words, raw = split(line)
    elif shell == "powershell":
        words = os.environ.get("MLSSSL_COMPLETING", "").split("\n")
    besides, found = complete(words[:-1], words[-1] if words else "")
    if shell == "powershell":  # which reads what programs print in the console's code page
        found = [(text, told.encode("ascii", "replace").decode()) for text, told in found if text.isascii()]
    lines = [besides]
    for text, told in found[:MOST]:
        if raw is None:
            lines.append(f"{text}\t{told}" if told else text)
        elif (written := for_bash(text, raw, breaks)) is not None:
            lines.append(written)
    try:
        with open(1, "wb", closefd=False) as out:
            out.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
    except OSError:  # nobody reads it
        return 1
    return 0


def complete(before: list[str], word: str) -> tuple[str, Candidates]:
    """The candidates for `word` behind the words `before`, each with what it is; and `files` or `folders` if such fit.

    No candidate has a character that is not printable, or begins as an option does without being one.
    """
    path, place, options_over, waiting, name = "", 0, False, "", ""
    given: dict[str, str] = {}
    for one in before:
        positionals, options = COMMANDS[path]
        if waiting and not (waiting.endswith("*") and one.startswith("-")):
            given[name] = one
            waiting = waiting if waiting.endswith("*") else ""
        elif one == "--" and not options_over:
            options_over, waiting = True, ""
        elif one.startswith("-") and not options_over:
            name, equals, value = one.partition("=")
            waiting = "" if equals else options.get(name, "")
            if equals:
                given[name] = value
        else:
            kind = _at(positionals, place)
            waiting, place = "", place + 1
            if kind.startswith(">"):  # of `schedule install renew ...` the rest is a line of ours again
                path, place, options_over = (one if kind == _LINE else f"{path} {one}".lstrip()), 0, False
                if path not in COMMANDS:
                    return "", []
    positionals, options = COMMANDS[path]
    prefix = ""
    if waiting and not (waiting.endswith("*") and word.startswith("-")):
        kind = waiting
    elif word.startswith("-") and not options_over:
        name, equals, value = word.partition("=")
        if not equals:
            return "", [(one, "") for one in options if one.startswith(word)]
        kind, prefix, word = options.get(name, ""), f"{name}=", value
    else:
        kind = _at(positionals, place)
    besides, found = "", []
    for part in kind.rstrip("*").split("|"):
        if part in ("files", "folders"):
            besides = part
        else:
            found += [(prefix + text, told) for text, told in _of_kind(part, path, given) if text.startswith(word)]
    return besides, found


_LINE = ">renew"


def _at(positionals: tuple[str, ...], place: int) -> str:
    if place < len(positionals):
        return positionals[place]
    return positionals[-1] if positionals and positionals[-1].endswith("*") else ""


def _of_kind(kind: str, path: str, given: dict[str, str]) -> Candidates:
    if kind.startswith("="):
        return [(one, "") for one in kind[1:].split()]
    if kind.startswith(">"):
        return [(one, SUMMARIES.get(f"{path} {one}".lstrip(), "")) for one in kind[1:].split()]
    if kind == "sources":
        return [(one, "") for one in _SOURCES]
    if kind in ("", "?"):
        return []
    from mlsssl._commands.completion import machine  # with SQLite, which is not free

    found = machine.found(kind, given.get("--machine"), given.get("--store"), most=MOST)
    return [
        (text, "".join(c if c.isprintable() else "?" for c in told)[:_LONGEST])
        for text, told in found
        if text.isprintable() and not text.startswith("-") and 0 < len(text) <= _LONGEST
    ]


def split(line: str) -> tuple[list[str], str]:
    """The words behind the program's name on a line of Bash's, and the last of them as it is written there.

    Quotes and backslashes are taken away; nothing is expanded but `~/`, for that would run what is written.
    """
    words: list[str] = []
    current: str | None = None
    quote, escaped, start = "", False, len(line)
    for at, c in enumerate(line):
        if current is None:
            if c.isspace():
                continue
            current, start = "", at
        if escaped:
            current, escaped = current + c, False
        elif c == "\\" and quote != "'":
            escaped = True
        elif quote:
            current, quote = (current, "") if c == quote else (current + c, quote)
        elif c in "\"'":
            quote = c
        elif c.isspace():
            words.append(_home(current, line[start]))
            current, start = None, len(line)
        else:
            current += c
    words.append("" if current is None else current)
    return words[1:], line[start:]


def _home(word: str, first: str) -> str:
    return os.path.expanduser(word) if first == "~" and word.startswith("~/") else word  # noqa: PTH111


def for_bash(text: str, raw: str, breaks: str) -> str | None:
    """What Bash is to put in place of its part of `raw`, which is what is written of `text`; None for what it cannot.

    Bash cuts words at COMP_WORDBREAKS and replaces only what is behind the last cut. What it is given it puts into the
    line as it is, so that every character with a meaning has a backslash.
    """
    if raw[:1] in ("'", '"'):  # in quotes nothing is cut, and backslashes are no help
        return text if all(c in _SAFE or c == " " for c in text) else None
    cuts = [at for at, c in enumerate(raw, 1) if c in breaks and c not in "\"'\\" and raw[at - 2 : at - 1] != "\\"]
    skipped = len(split(f"x {raw[: cuts[-1]]}")[0][-1]) if cuts else 0
    return "".join(c if c in _SAFE or not c.isascii() else f"\\{c}" for c in text[skipped:])
