"""`netsh http add | update | delete | show sslcert` command lines to values and back."""

from __future__ import annotations

import base64
import contextlib
import re
import unicodedata
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from mlsssl._formats.binding_keys import (
    BindingFamily,
    BindingKey,
    BindingOptions,
    HostnamePort,
    ScopedCcs,
    parse_binding_key,
    written_host,
)
from mlsssl._machine.ports import BindingRecord
from mlsssl._messages.arguments import check_type, items_of, nearest
from mlsssl._messages.foreign_text import shown
from mlsssl._netsh.options import SWITCHES, SWITCHES_BY_PARAMETER, TIME_UNITS, WITHOUT_PARAMETER
from mlsssl.errors import InvalidInputError, MalformedDataError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Verb = Literal["add", "update", "delete", "show"]
_VERBS = get_args(Verb)
Shell = Literal["cmd", "powershell"]

LINE_LIMIT = 32_768  # what CreateProcess takes
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
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
# In the context `http`; a word may be cut as long as no other begins so (Microsoft: "netshell and command
# abbreviation").
_CONTEXT = ("add", "delete", "dump", "flush", "help", "show", "update")
# Microsoft's syntax of "add sslcert" in which each tag may be left out: the selector, then these.
_IN_ORDER = (
    "certhash",
    "appid",
    "certstorename",
    "verifyclientcertrevocation",
    "verifyrevocationwithcachedclientcertonly",
    "usagecheck",
    *_NUMBERS,
    *_TEXTS,
    "dsmapperusage",
    "clientcertnegotiation",
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
        if self.verb not in _VERBS or writes != (self.record is not None):
            raise InvalidInputError("add and update write a record, delete and show none")
        if self.key is None and self.verb != "show":
            raise InvalidInputError(f"{self.verb} needs a key")
        if self.record is not None and self.record.key != self.key:
            raise InvalidInputError(f"the record is for {self.record.key}, the command for {self.key}")


def parse_command(command: str | Sequence[str]) -> NetshCommand:
    """Read a command line, or one that a shell has split into words already.

    What netsh takes is taken: `netsh`, `-c` and `http` in front or not; words cut as long as they are unambiguous
    (`del`, `ssl`); the tags left out, in the order of Microsoft's syntax (`delete sslcert 0.0.0.0:443`). Typographic
    dashes and quotes, as web pages and word processors put them, are taken for plain ones; invisible characters are
    dropped; quotes of cmd and PowerShell, their escapes (`^` and a backtick) and continued lines are understood.

    Raises:
        MalformedDataError: it is no such command, a parameter is unknown, missing, given twice or has an impossible
            value, or PowerShell has taken the line apart at braces or parentheses; the message names it.
    """
    words = words_of(command)
    try:
        verb, rest = _split_verb(words)
        return _build(verb, _split_parameters(rest))
    except InvalidInputError as error:
        raise MalformedDataError(f"this is not a netsh http sslcert command: {error}") from None


def format_command(command: NetshCommand, *, shell: Shell = "cmd") -> str:
    """The command line, ready to be pasted into `shell`: cmd or PowerShell. What has its default is left out.

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
    return " ".join([*words, *(quote(name, value, shell) for name, value in pairs)])


def words_of(command: str | Sequence[str]) -> list[str]:
    """The words of a command line, or of one that a shell has split already; `MalformedDataError` as `split_words`."""
    if isinstance(command, str):
        return split_words(command)
    given = items_of(command, "a command is text, or a list of its words")
    return [_without_cmds_quotes(normalize(word)) for word in given]


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
    """The text with plain dashes, quotes and blanks for typographic ones; invisible format characters are dropped."""
    return text if check_type(text, str, "a command is text").isascii() else text.translate(_PLAIN)


def split_words(line: str) -> list[str]:
    """The words of a command line as cmd or PowerShell would give them; quotes group and vanish.

    Raises:
        MalformedDataError: longer than Windows allows, or a quote that does not end.
    """
    if len(line) > LINE_LIMIT:
        raise MalformedDataError(f"a command line has at most {LINE_LIMIT} characters, not {len(line)}")
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


# -- from words to values -------------------------------------------------------------------------------------------


def split_head(words: list[str], objects: str) -> tuple[Verb, str, list[str]]:
    """The verb, the word for the object behind it, and the rest. `InvalidInputError` where one of the two is missing.

    `objects` are those that may follow, for the message.
    """
    rest = [word for word in words if word != "--%"]  # PowerShell's "take the rest as it is"
    if rest and re.fullmatch(r"@?(?:.*[\\/])?netsh(?:\.exe)?", rest[0], re.IGNORECASE):
        rest = rest[1:]
    if rest and rest[0].lower() in ("-r", "-u", "-p", "-f", "-a"):
        raise InvalidInputError(
            f"netsh's own option {rest[0]} is not read; mlsssl works on the machine that it runs on"
        )
    if rest and rest[0].lower() == "-c":
        rest = rest[1:]
    if rest and abbreviates(rest[0], "http"):
        rest = rest[1:]
    if not rest or (len(rest) == 1 and verb_of(rest[0]) is not None):
        raise InvalidInputError(f"it ends before add, update, delete or show {objects}")
    verb = verb_of(rest[0])
    if verb is None:
        raise InvalidInputError(f"the verb is add, update, delete or show, not {shown(rest[0])}")
    return verb, rest[1], rest[2:]


def _split_verb(words: list[str]) -> tuple[Verb, list[str]]:
    verb, word, rest = split_head(words, "sslcert")
    if not abbreviates(word, "sslcert"):
        raise InvalidInputError(f"{shown(word)} stands where sslcert belongs; it alone is about TLS bindings")
    return verb, rest


def verb_of(word: str) -> Verb | None:
    """The verb that a word is or is short for; None when it is none, or could be another."""
    folded = word.lower()
    meant = [folded] if folded in _CONTEXT else [one for one in _CONTEXT if one.startswith(folded)]
    return next((verb for verb in _VERBS if meant == [verb]), None)


def abbreviates(word: str, full: str) -> bool:
    """Whether a word stands for `http` or `sslcert`; one letter alone could be another (`help`, `servicestate`)."""
    return len(word) >= 2 and full.startswith(word.lower())


def _split_parameters(words: list[str]) -> dict[str, str]:
    return split_parameters(words, _PARAMETERS, _without_tag)


def split_parameters(
    words: list[str], known: Sequence[str], without_tag: Callable[[int, str], tuple[str, str]]
) -> dict[str, str]:
    """The parameters behind the object, by their names in lower case, each of which is one of `known`.

    `without_tag` names a word that has no tag, of which its place and itself are given.
    """
    check_what_shells_do(words)
    parameters: dict[str, str] = {}
    tagged = False
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        name = name.strip().lower()
        if equals:
            tagged = True
        elif tagged or word.startswith("-"):
            blank = "; a value with a blank needs quotes, and so has the whole word" if tagged else ""
            raise InvalidInputError(f"{shown(word)} is not of the form name=value{blank}")
        else:
            name, value = without_tag(place, word)
        if name not in known:
            raise InvalidInputError(f"netsh has no parameter {shown(name)}; {_instead_of(name, known)}")
        if name in parameters:
            raise InvalidInputError(f"{name} is given twice")
        check_value(name, value)
        parameters[name] = value.strip()
    return parameters


def _without_tag(place: int, word: str) -> tuple[str, str]:
    """What a word means by its place, where Microsoft's syntax lets the tag be left out."""
    if place == 0:
        try:
            return parse_binding_key(word).family.value, word
        except InvalidInputError:
            raise InvalidInputError(
                f"{shown(word)} is not of the form name=value, nor an address and port (0.0.0.0:443)"
            ) from None
    if place > len(_IN_ORDER):
        raise InvalidInputError(f"{shown(word)} is one word more than there are parameters")
    return _IN_ORDER[place - 1], word


def _instead_of(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    return f"{' or '.join(near)} is meant, perhaps" if near else f"it has {', '.join(known)}"


def _without_cmds_quotes(word: str) -> str:
    """A word without single quotes around it or its value: PowerShell's, which cmd.exe does not take for quotes."""
    name, equals, value = word.partition("=")
    if len(word) > 1 and word[0] == word[-1] == "'":
        return word[1:-1]
    return f"{name}={value[1:-1]}" if equals and len(value) > 1 and value[0] == value[-1] == "'" else word


def split_at_braces(words: Sequence[str]) -> str | None:
    """What PowerShell made of braces without quotes, with the word as it has to be written; None where it did not.

    PowerShell hands a script block on as `-encodedCommand`, its text as UTF-16 in base64, and its formats. What is
    neither netsh's nor a GUID is not shown, for it may be a password.
    """
    folded = [word.lower() for word in words]
    if "-encodedcommand" not in folded:
        return None
    place = folded.index("-encodedcommand")
    tag = words[place - 1] if place and words[place - 1].endswith("=") else ""
    block = _script_block(words[place + 1 : place + 2])
    return (
        "PowerShell took the braces for a script block and put -encodedCommand in their place; with quotes it leaves "
        f'them alone: "{tag}{{{block if tag or _GUID.fullmatch(block) else "..."}}}"'
    )


def check_what_shells_do(words: list[str]) -> None:
    """Tell what PowerShell makes of braces and parentheses without quotes, and a line that another shell continues."""
    split = split_at_braces(words)
    if split is not None:
        raise InvalidInputError(split)
    for place, word in enumerate(words):
        following = words[place + 1 : place + 2]
        if word.endswith("=") and following and "=" not in following[0] and not following[0].startswith("-"):
            raise InvalidInputError(
                f"nothing stands behind {word} and {shown(following[0])} stands alone: no blank belongs there, and "
                f'PowerShell makes two words of {word}(...); with quotes it is one: "{word}$(...)"'
            )
    if words and words[-1] in ("`", "^"):
        raise InvalidInputError(
            f"it ends with {words[-1]}, and the rest of it did not arrive: a line is continued with ^ in cmd and with "
            "a backtick in PowerShell; write it on one line"
        )


def _script_block(encoded: Sequence[str]) -> str:
    """What stood between the braces; dots when that is not to be had."""
    with contextlib.suppress(ValueError):  # of both decoders
        text = base64.b64decode(encoded[0] if encoded else "", validate=True).decode("utf-16-le").strip()
        if text.isprintable():
            return text or "..."
    return "..."


def check_value(name: str, value: str) -> None:
    """`InvalidInputError` for what a shell has left in place of a value."""
    if not value.strip() and name not in _TEXTS:
        raise InvalidInputError(f"nothing stands behind {name}=, which is what a variable leaves that is not set")
    if re.search(r"\$\w|\$\{|%\w+%|%%\w|!\w+!", value):
        raise InvalidInputError(f"{name}={value}: put the value in place of the variable")
    if re.match(r"\$?\(|@[({'\"\w]", value):
        raise InvalidInputError(
            f"{name}={value}: put the value in place of the expression, which PowerShell works out inside double "
            f'quotes only: "{name}=$(...)"'
        )
    if re.search(r"\.Thumbprint$|^System\.[A-Z][\w.]*(?:\[\])?$", value):
        raise InvalidInputError(
            f"{name}={shown(value)}: PowerShell put an object here instead of its value; a property needs quotes and "
            'parentheses, such as "certhash=$($cert.Thumbprint)"'
        )


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
    if not _GUID.fullmatch(bare):
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


def quote(name: str, value: str, shell: Shell) -> str:
    """`name=value` as one word of a command line; `InvalidInputError` for what would be read otherwise."""
    if (
        any(unicodedata.category(c) in ("Zl", "Zp") or unicodedata.category(c)[0] == "C" for c in value)
        or '"' in value
        or value != normalize(value)
        or value != value.strip()
    ):
        raise InvalidInputError(f"{name}={shown(value)} cannot be written on a command line")
    check_value(name, value)
    if shell == "powershell":
        # Single quotes keep everything as it is; braces unquoted start a script block.
        plain = re.fullmatch(r"[A-Za-z0-9.:_*\[\]\-]+", value)
        return f"{name}={value}" if plain else f"'{name}={value.replace(chr(39), chr(39) * 2)}'"
    if "%" in value:
        raise InvalidInputError(f"{name}={shown(value)}: cmd would take % for a variable")
    if "{" in value or "}" in value:
        return f'"{name}={value}"'  # cmd needs no quotes here; PowerShell does, where such a line is pasted too
    return f"{name}={value}" if re.fullmatch(r"[^\s&|<>^()'`,;=]+", value) else f'{name}="{value}"'
