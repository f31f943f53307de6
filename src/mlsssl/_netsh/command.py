"""`netsh http add | update | delete | show sslcert` command lines to values and back."""

from __future__ import annotations

import re
import unicodedata
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from mlsssl._machine.ports import BindingRecord
from mlsssl._messages.arguments import check_type, items_of
from mlsssl._messages.foreign_text import shown
from mlsssl._netsh.options import SWITCHES, SWITCHES_BY_PARAMETER, TIME_UNITS, WITHOUT_PARAMETER
from mlsssl.errors import InvalidInputError, MalformedDataError
from mlsssl.values import (
    BindingFamily,
    BindingKey,
    BindingOptions,
    HostnamePort,
    ScopedCcs,
    Thumbprint,
    parse_binding_key,
    written_host,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Verb = Literal["add", "update", "delete", "show"]
Shell = Literal["cmd", "powershell"]

_LINE_LIMIT = 32_768  # what CreateProcess takes
_SCRIPT_LIMIT = 16 * 1024 * 1024
_FAMILIES = tuple(family.value for family in BindingFamily)
_NUMBERS = {field.replace("_", ""): (field, unit) for field, unit in TIME_UNITS.items()}
_TEXTS = {"sslctlidentifier": "ctl_identifier", "sslctlstorename": "ctl_store_name"}
_PARAMETERS = (
    *_FAMILIES,
    "certhash",
    "appid",
    "certstorename",
    *_NUMBERS,
    *_TEXTS,
    *SWITCHES_BY_PARAMETER,
    "json",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetshCommand:
    """One command of `netsh http … sslcert`.

    Attributes:
        verb: `add`, `update`, `delete` or `show`.
        key: What it is about; None for a `show` of everything.
        record: What it writes; None for `delete` and `show`.
    """

    verb: Verb
    key: BindingKey | None
    record: BindingRecord | None = None

    def __post_init__(self) -> None:
        writes = self.verb in ("add", "update")
        if self.verb not in get_args(Verb) or writes != (self.record is not None):
            raise InvalidInputError("add and update write a record, delete and show none")
        if self.key is None and self.verb != "show":
            raise InvalidInputError(f"{self.verb} needs a key")
        if self.record is not None and self.record.key != self.key:
            raise InvalidInputError(f"the record is for {self.record.key}, the command for {self.key}")


def parse_command(command: str | Sequence[str]) -> NetshCommand:
    """Read a command line, or one that a shell has split into words already.

    `netsh` and `http` in front may be missing, and verbs may be cut as netsh allows (`del`). Typographic dashes and
    quotes, as web pages and word processors put them, are taken for plain ones; invisible characters are dropped;
    quotes of cmd and PowerShell, their escapes (`^` and a backtick) and continued lines are understood.

    Raises:
        MalformedDataError: it is no such command, a parameter is unknown, missing, given twice or has an impossible
            value; the message names it.
    """
    if isinstance(command, str):
        words = split_words(command)
    else:
        words = [normalize(word) for word in items_of(command, "a command is text, or a list of its words")]
    try:
        verb, rest = _split_verb(words)
        parameters = _split_parameters(rest)
        return _build(verb, parameters)
    except InvalidInputError as error:
        raise MalformedDataError(f"this is not a netsh http sslcert command: {error}") from None


def parse_script(text: str) -> tuple[NetshCommand, ...]:
    """Every `netsh http … sslcert` command in a script, in order; all other lines are passed over.

    Raises:
        MalformedDataError: such a command cannot be read, and the message names the line; or more than 16 million
            characters.
    """
    if len(check_type(text, str, "a script is text")) > _SCRIPT_LIMIT:
        raise MalformedDataError(f"a script of {len(text)} characters is too long; at most {_SCRIPT_LIMIT} are read")
    found = []
    for number, line in _join_lines(text):
        if "sslcert" not in line.lower():
            continue
        bare = normalize(line).strip()
        match = re.search(r"\bnetsh(?:\.exe)?[\"']?\s+http\s+\w+\s+sslcert\b", bare, re.IGNORECASE)
        if match is None or re.match(r"(?:#|::|rem\b)", bare, re.IGNORECASE):
            continue
        command = bare[match.start() :]
        end = re.search(r"\s(?:[|;&]|\d?>)", _mask_quotes(command))
        try:
            found.append(parse_command(command[: end.start()] if end else command))
        except MalformedDataError as error:
            raise MalformedDataError(f"line {number}: {error}") from None
    return tuple(found)


def format_command(command: NetshCommand, *, shell: Shell = "cmd") -> str:
    """The command line, ready to be pasted into cmd or PowerShell. What has its default is left out.

    An explicit 0 for a time is never written: Windows Server 2025 answers "the parameter is incorrect" to it.

    Raises:
        InvalidInputError: the record has something that netsh has no parameter for; the message names it.
    """
    if shell not in get_args(Shell):
        raise InvalidInputError(f"shell is 'cmd' or 'powershell', not {shown(shell)}")
    check_type(command, NetshCommand, "a NetshCommand is needed (parse_command makes one)")
    words = ["netsh", "http", command.verb, "sslcert"]
    pairs = [] if command.key is None else [_key_pair(command.key)]
    if command.record is not None:
        pairs += _record_pairs(command.record)
    return " ".join([*words, *(_quote(name, value, shell) for name, value in pairs)])


# -- words ----------------------------------------------------------------------------------------------------------


class _Plain(dict[int, str]):
    """A table for `str.translate` that finds out about a character when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        plain = " " if category == "Zs" else "" if category == "Cf" else character
        self[code] = plain
        return plain


_PLAIN = _Plain(
    dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63, 0xFF0D), "-")
    | dict.fromkeys(map(ord, "“”„‟«»″＂"), '"')
    | dict.fromkeys(map(ord, "‘’‚‛‹›′"), "'")
)


def normalize(text: str) -> str:
    """Plain dashes, quotes and blanks for typographic ones; invisible format characters dropped."""
    return text if check_type(text, str, "a command is text").isascii() else text.translate(_PLAIN)


def split_words(line: str) -> list[str]:
    """The words of a command line as cmd or PowerShell would give them; quotes group and vanish.

    Raises:
        MalformedDataError: longer than Windows allows, or a quote that does not end.
    """
    if len(line) > _LINE_LIMIT:
        raise MalformedDataError(f"a command line has at most {_LINE_LIMIT} characters, not {len(line)}")
    line = re.sub(r"[\^`][ \t]*\r?\n", " ", normalize(line))
    words: list[str] = []
    current: str | None = None
    quote = ""
    at = 0
    while at < len(line):
        character, following = line[at], line[at + 1 : at + 2]
        at += 1
        if quote and character == quote and following == quote:
            current, at = (current or "") + quote, at + 1  # a doubled quote inside quotes stands for itself
        elif quote and character == quote:
            quote = ""
        elif quote:
            current = (current or "") + character
        elif character in "\"'":
            quote, current = character, current or ""
        elif character in "^`":
            current, at = (current or "") + following, at + 1
        elif character.isspace():
            if current is not None:
                words.append(current)
            current = None
        else:
            current = (current or "") + character
    if quote:
        raise MalformedDataError(f"a quote ({quote}) does not end in this command line")
    return words if current is None else [*words, current]


def _join_lines(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers, continued ones (`^` or a backtick at the end) put together."""
    joined: list[tuple[int, str]] = []
    pending, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        began = began or number
        stripped = line.rstrip()
        if stripped.endswith(("^", "`")):
            pending += stripped[:-1] + " "
            continue
        joined.append((began, pending + line))
        pending, began = "", 0
    return [*joined, (began, pending)] if pending else joined


def _mask_quotes(text: str) -> str:
    """The same length, with everything between quotes blanked out."""
    return re.sub(r"\"[^\"]*\"|'[^']*'", lambda match: "x" * len(match.group()), text)


# -- from words to values -------------------------------------------------------------------------------------------


def _split_verb(words: list[str]) -> tuple[Verb, list[str]]:
    rest = [word for word in words if word != "--%"]  # PowerShell's "take the rest as it is"
    if rest and rest[0].lower().rsplit("\\", 1)[-1] in ("netsh", "netsh.exe"):
        rest = rest[1:]
    if rest and rest[0].lower() == "http":
        rest = rest[1:]
    if len(rest) < 2:
        raise InvalidInputError("it ends before add, update, delete or show sslcert")
    verbs = [verb for verb in get_args(Verb) if len(rest[0]) >= 2 and verb.startswith(rest[0].lower())]
    if not verbs:
        raise InvalidInputError(f"the verb is add, update, delete or show, not {shown(rest[0])}")
    if rest[1].lower() != "sslcert":
        raise InvalidInputError(f"{shown(rest[1])} stands where sslcert belongs; other netsh contexts are not read")
    return verbs[0], rest[2:]


def _split_parameters(words: list[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().lower()
        if not equals:
            raise InvalidInputError(f"{shown(word)} is not of the form name=value")
        if name not in _PARAMETERS:
            raise InvalidInputError(f"netsh has no parameter {shown(name)}; it has {', '.join(_PARAMETERS)}")
        if name in parameters:
            raise InvalidInputError(f"{name} is given twice")
        if re.search(r"\$\w|\$\{|%\w+%", value):
            raise InvalidInputError(f"{name}={value}: put the value in place of the variable")
        parameters[name] = value.strip()
    return parameters


def _build(verb: Verb, parameters: dict[str, str]) -> NetshCommand:
    if "json" in parameters:
        raise InvalidInputError("json= is not read, for its form is not documented; mlsssl has a JSON form of its own")
    selectors = [family for family in _FAMILIES if family in parameters]
    if len(selectors) > 1:
        raise InvalidInputError(f"{' and '.join(selectors)} exclude each other")
    key = parse_binding_key(f"{selectors[0]}={parameters.pop(selectors[0])}") if selectors else None
    if key is None and verb != "show":
        raise InvalidInputError(f"one of {', '.join(_FAMILIES)} is needed")
    if verb in ("delete", "show") or key is None:
        if parameters:
            raise InvalidInputError(f"{verb} takes no {next(iter(parameters))}")
        return NetshCommand(verb=verb, key=key)
    if "appid" not in parameters:
        raise InvalidInputError("appid is needed: any GUID in braces that names the owner of the binding")
    if key.family.has_certificate and "certhash" not in parameters:
        raise InvalidInputError(f"certhash is needed for {key}")
    certhash = parameters.pop("certhash", None)
    record = BindingRecord(
        key=key,
        thumbprint=None if certhash is None else Thumbprint(certhash),
        store_name=parameters.pop("certstorename", None),
        app_id=_parse_guid(parameters.pop("appid")),
        options=_parse_options(parameters),
    )
    return NetshCommand(verb=verb, key=key, record=record)


def _parse_guid(text: str) -> uuid.UUID:
    bare = text.strip().removeprefix("{").removesuffix("}").strip()
    if not re.fullmatch(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", bare):
        raise InvalidInputError(f"appid is a GUID such as {{4dc3e181-e14b-4a21-b022-59fc669b0914}}, not {shown(text)}")
    return uuid.UUID(bare)


def _parse_options(parameters: dict[str, str]) -> BindingOptions:
    fields: dict[str, Any] = {}
    for name, value in parameters.items():
        if name in _NUMBERS:
            field, unit = _NUMBERS[name]
            if not (value.isascii() and value.isdigit() and len(value) <= 10):
                raise InvalidInputError(f"{name} is a whole number, not {shown(value)}")
            fields[field] = int(value) * unit
        elif name in _TEXTS:
            fields[_TEXTS[name]] = value or None
        else:
            switch = SWITCHES_BY_PARAMETER[name]
            if value.lower() not in ("enable", "disable"):
                raise InvalidInputError(f"{name} is enable or disable, not {shown(value)}")
            fields[switch.field] = (value.lower() == "enable") != switch.inverted
    return BindingOptions(**fields)


# -- from values to words -------------------------------------------------------------------------------------------


def _key_pair(key: BindingKey) -> tuple[str, str]:
    if isinstance(key, (HostnamePort, ScopedCcs)):
        return key.family.value, f"{written_host(key)}:{key.port}"  # netsh finds no other spelling than the stored one
    return key.family.value, str(key).removeprefix("ccs=")


def _record_pairs(record: BindingRecord) -> list[tuple[str, str]]:
    options, default = record.options, BindingOptions()
    for field, unset in WITHOUT_PARAMETER:
        if getattr(options, field) != unset:
            raise InvalidInputError(f"netsh has no parameter for {field}={shown(getattr(options, field))}")
    if options.use_revocation_freshness_time != bool(options.revocation_freshness_time):
        raise InvalidInputError(
            "netsh sets use_revocation_freshness_time exactly when revocationfreshnesstime is given"
        )
    pairs = []
    if record.thumbprint is not None:
        pairs.append(("certhash", str(record.thumbprint)))
    pairs.append(("appid", f"{{{record.app_id}}}"))
    if record.store_name is not None:
        pairs.append(("certstorename", record.store_name))
    for switch in SWITCHES:
        value = getattr(options, switch.field)
        if value != getattr(default, switch.field):
            pairs.append((switch.parameter, "enable" if value != switch.inverted else "disable"))
    pairs += [
        (name, str(getattr(options, field) // unit))
        for name, (field, unit) in _NUMBERS.items()
        if getattr(options, field)
    ]
    pairs += [(name, getattr(options, field)) for name, field in _TEXTS.items() if getattr(options, field)]
    return pairs


def _quote(name: str, value: str, shell: Shell) -> str:
    if any(unicodedata.category(c).startswith("C") for c in value) or '"' in value or value != normalize(value):
        raise InvalidInputError(f"{name}={shown(value)} cannot be written on a command line")
    if shell == "powershell":
        # Single quotes keep everything as it is; braces unquoted start a script block.
        plain = re.fullmatch(r"[A-Za-z0-9.:_*\[\]\-]+", value)
        return f"{name}={value}" if plain else f"'{name}={value.replace(chr(39), chr(39) * 2)}'"
    if "%" in value:
        raise InvalidInputError(f"{name}={shown(value)}: cmd would take % for a variable")
    return f"{name}={value}" if re.fullmatch(r"[^\s&|<>^()'`,;=]+", value) else f'{name}="{value}"'
