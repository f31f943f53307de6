"""What the three old commands share: words as pasted from web pages, and our own options among theirs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mlsssl._formats.contents import read_private_key
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError, MlssslError, WrongPasswordError
from mlsssl.netsh import normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlsssl.machine import Machine


class AskPassword(Protocol):
    """Gives the password for a purpose, or None for "no password"; `new` ones are asked for twice."""

    def __call__(self, purpose: str, *, new: bool) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an old command works with."""

    machine: Callable[[], Machine]  # opens the one that is meant; NotFoundError unless it is there
    add_to_machine: Callable[[Callable[[Machine], object]], object]  # the same for what may make a new one
    ask_password: AskPassword
    out: Callable[[str], object]
    overwrite: bool = False  # replace a file although a private key in it is lost
    explain_only: bool = False  # print the modern call and do nothing else

    def pvk_password(self, path: str | Path, data: bytes) -> str | None:
        """Ask for a key file's password if it needs one; another fault of the file is found where it is read."""
        try:
            read_private_key(data, None)
        except WrongPasswordError:
            return self.ask_password(f"password of {path}", new=False)
        except MlssslError:
            pass
        return None

    def explain(self, command_line: str, python: str, *better: str) -> int:
        """Print the modern call, as a command line and in Python, and what is `better` about it."""
        lines = ["The same with mlsssl:", f"  {command_line}", "In Python:"]
        lines += [f"  {line}" for line in python.splitlines()]
        for line in (*lines, "What is better about it:", *(f"  - {line}" for line in better)):
            self.out(line)
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of an old command."""

    value: str | None = None  # what its value is called in messages; None when it takes none
    words: tuple[str, ...] | None = None  # all that it can be, in lower case; it is taken without regard to case
    refused: str | None = None  # why it cannot be honoured


@dataclass(slots=True)
class Parsed:
    """A command line taken apart: values by option name, or True where it takes none; and all that is no option."""

    options: dict[str, str | bool] = field(default_factory=dict)
    operands: list[str] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        """The value of an option, or None when it was not given."""
        value = self.options.get(name)
        return value if isinstance(value, str) else None

    def flag(self, name: str) -> bool:
        """Whether an option without a value was given."""
        return self.options.get(name) is True


def parse_options(
    program: str, words: Sequence[str], known: Mapping[str, Option], *, raw: frozenset[str] = frozenset()
) -> Parsed:
    """Take a command line apart as Windows' old tools do: `-opt value` or `/opt value`, without regard to case.

    Typographic dashes and quotes of pasted lines are understood, but in the values of `raw` options: passwords. A word
    that starts with a slash is an option only when there is one of that name, for paths may start so as well.
    """
    parsed = Parsed()
    queue = list(words)
    while queue:
        word = queue.pop(0)
        name = _option_name(word, known)
        if name is None:
            parsed.operands.append(unquote(word, queue))
            continue
        option = known.get(name)
        if option is None:
            raise InvalidInputError(f"{program} has no option {word}; it has {', '.join(f'-{one}' for one in known)}")
        if option.refused is not None:
            raise InvalidInputError(f"{program} -{name} cannot be honoured: {option.refused}")
        if name in parsed.options:
            raise InvalidInputError(f"{program} -{name} is given twice")
        if option.value is None:
            parsed.options[name] = True
        elif not queue or _option_name(queue[0], known) in known:
            raise InvalidInputError(f"{program} -{name} needs a value: {option.value}")
        else:
            value = queue.pop(0)
            value = value if name in raw else unquote(value, queue)
            if option.words is not None:
                value = value.lower()
                if value not in option.words:
                    raise InvalidInputError(f"{program} -{name} is {' or '.join(option.words)}, not {shown(value)}")
            parsed.options[name] = value
    return parsed


def _option_name(word: str, known: Mapping[str, Option]) -> str | None:
    plain = normalize(word)
    name = plain[1:].lower()
    if plain.startswith("/"):
        return name if name in known else None
    return name if plain.startswith("-") and len(plain) > 1 else None


def unquote(word: str, queue: list[str]) -> str:
    """A word without the typographic quotes around it; a shell splits between those, so words are joined again."""
    plain = normalize(word)
    if plain == word or plain[:1] not in ('"', "'"):
        return word
    quote = plain[0]
    while not (plain.endswith(quote) and len(plain) > 1):
        if not queue:
            raise InvalidInputError(f"a quote does not end: {word}")
        plain = f"{plain} {normalize(queue.pop(0))}"
    return plain[1:-1]
