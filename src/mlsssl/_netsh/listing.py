"""`netsh http show sslcert` listings of any Windows version and display language to records.

Labels are translated, so records are found by the shape of values: every record has an application id in braces,
its certificate's hash stands before that, its key before the hash. The ten fields after it have kept their places
since Windows 7; those that came later are taken by their English labels, for builds leave some out.
"""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlsssl._formats.binding_keys import (
    BindingKey,
    BindingOptions,
    CcsPort,
    HostnamePort,
    ScopedCcs,
    parse_binding_key,
)
from mlsssl._formats.sniff import recognise
from mlsssl._formats.text import decode_unicode, has_netsh_heading
from mlsssl._machine.ports import BindingRecord
from mlsssl._messages.arguments import check_data
from mlsssl._messages.foreign_text import shown
from mlsssl._netsh.as_json import records_of
from mlsssl._netsh.command import normalize
from mlsssl._netsh.options import SWITCHES, TIME_UNITS, Switch
from mlsssl.errors import InvalidInputError, MalformedDataError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE_LIMIT = 16 * 1024 * 1024
_FIELDS = 10  # that follow the application id in each release since Windows 7: store, switches, times, list, switches
_LINE_LIMIT = 4096  # a label, a colon, and a name of at most 255 characters
_SEPARATOR = re.compile(r"^(.*?\S)\s+:(?:\s+(.*))?$")
_GUID = re.compile(r"\{[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}")
_HASH = re.compile(r"[0-9a-fA-F]{40}")
_KEY = re.compile(r"(?:\S(?:.*\S)?:)?\d{1,5}")
_PROMPT = re.compile(r"(?:PS )?[A-Za-z]:\\[^>]*>.*|netsh.*>.*")  # of a session that was copied whole
# What netsh says, after its heading or without, when nothing is bound to the key that it was asked for: Windows' text
# of error 2, ERROR_FILE_NOT_FOUND, as far as it is known.
NOTHING_AT_THE_KEY = {
    "the system cannot find the file specified.",
    "das system kann die angegebene datei nicht finden.",
    "le fichier spécifié est introuvable.",
    "el sistema no puede encontrar el archivo especificado.",
    "impossibile trovare il file specificato.",
    "o sistema não pode encontrar o arquivo especificado.",
    "het systeem kan het opgegeven bestand niet vinden.",
    "nie można odnaleźć określonego pliku.",
    "не удается найти указанный файл.",
    "系统找不到指定的文件。",
    "系統找不到指定的檔案。",
    "指定されたファイルが見つかりません。",
}

# "Enabled" and "Disabled", "Set" and "Not Set" as Windows' display languages have them, as far as they are known.
# Every other word is inferred from the defaults, with a note.
_YES = {"enabled", "set", "aktiviert", "festgelegt", "activé", "habilitado", "abilitato", "ativado", "ingeschakeld"}
_NO = {"disabled", "not set", "deaktiviert", "nicht festgelegt", "désactivé", "deshabilitado", "disabilitato"}
_YES |= {"已启用", "已啟用", "有効", "включено", "włączone", "aktiverad", "aktiveret"}
_NO |= {
    "已禁用",
    "已停用",
    "無効",
    "отключено",
    "wyłączone",
    "inaktiverad",
    "deaktiveret",
    "desativado",
    "uitgeschakeld",
}

_CACHE_CLIENT_HELLO = Switch("", "cache_client_hello", False, "Enable Caching Client Hello")
_USE_FRESHNESS = Switch("", "use_revocation_freshness_time", False, "Use Revocation Freshness Time")
_BY_LABEL = {switch.label.casefold(): switch for switch in (*SWITCHES, _CACHE_CLIENT_HELLO, _USE_FRESHNESS)}
_TEXTS_BY_LABEL = {"ctl identifier": "ctl_identifier", "ctl store name": "ctl_store_name"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a listing says.

    Attributes:
        records: In the order of the listing.
        notes: What had to be inferred or could not be read, and that netsh was asked for one key and found nothing
            there; empty for an English listing of a whole machine.
    """

    records: tuple[BindingRecord, ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Block:
    """The lines of one record, in their order: label and value."""

    key: str
    certificate: str | None
    app_id: str
    fields: list[tuple[str, str]] = field(default_factory=list)


def parse_listing(text: str | bytes) -> Listing:
    """Read the output of `netsh http show sslcert`, in any display language.

    A listing of a machine on which nothing is bound is a heading over a line of dashes; its `records` are empty. Text
    with neither that nor a record is an error: an empty file, an error message, a web page.

    Args:
        text: The output, whole or in part. Bytes may be UTF-8 or UTF-16, with a byte order mark or without, as cmd and
            PowerShell write them; else they are taken for an OEM code page, in which the parts that matter are ASCII.

    Raises:
        MalformedDataError: it is no such listing; or a record has values that cannot be; or more than 16 MiB.
    """
    text = text if isinstance(text, str) else check_data(text, "a listing is text or bytes")
    if len(text) > SIZE_LIMIT:
        raise MalformedDataError(f"a listing of {len(text)} characters is too long; at most {SIZE_LIMIT} are read")
    decoded = decode(text)
    pairs = _pairs(decoded.splitlines())
    blocks = _find_blocks(pairs)
    if not blocks:
        return Listing(records=(), notes=_notes_of_empty(decoded, text))
    reader = _Reader(blocks)
    records = tuple(reader.record(block) for block in blocks)
    return Listing(records=records, notes=tuple(dict.fromkeys([*reader.notes, *_notes_of_cuts(pairs, blocks)])))


def has_bindings(given: str | bytes) -> bool:
    """Whether a text has anything that `parse_listing` takes for a record."""
    return bool(_find_blocks(_pairs(decode(given).splitlines())))


def decode(given: str | bytes) -> str:
    """A listing as text: bytes as cmd and PowerShell write them, else of an OEM code page."""
    if isinstance(given, str):
        return given
    text = decode_unicode(given)
    return given.decode("cp437") if text is None else text


def _notes_of_empty(text: str, given: str | bytes) -> tuple[str, ...]:
    """The notes on a listing without a record; `MalformedDataError` when it is something else."""
    lines = (normalize(line[:_LINE_LIMIT]).strip(" \t\x1a\0") for line in text.splitlines())
    bare = [line for line in lines if line and not _PROMPT.fullmatch(line)]
    if not bare:
        raise MalformedDataError(f"this is empty; {_WITHOUT_BINDINGS}")
    if has_netsh_heading("\n".join(bare[:2])):
        bare = bare[2:]
    if not bare:
        return ()
    if any(map(_SEPARATOR.match, bare)):
        raise MalformedDataError("this is not a listing of netsh http show sslcert: no record has an application id")
    if len(bare) == 1 and bare[0].casefold() in NOTHING_AT_THE_KEY:
        return ("netsh was asked for one key, and nothing is bound to it",)
    if bare[0].startswith(("{", "[")):
        raise MalformedDataError("this is JSON; a listing is what netsh http show sslcert prints without json=enable")
    raise MalformedDataError(f"this is {_what_else(given, bare[0])}; {_WITHOUT_BINDINGS}")


_WITHOUT_BINDINGS = "netsh prints its heading over a line of dashes even when nothing is bound"


def _what_else(given: str | bytes, first: str) -> str:
    """What a text is that is no listing. Only a sentence of it is shown, for it may be somebody's password."""
    with contextlib.suppress(MalformedDataError):
        return f"{recognise(given if isinstance(given, bytes) else given.encode('utf-8', 'replace'))}, not a listing"
    if first.startswith("<"):
        return "a web page or XML, not a listing of netsh http show sslcert"
    sentence = re.fullmatch(r"(?:\S+ ){2,}\S*[.:,。)]|\S+。", first)
    said = f"; it says {shown(first[:200])}" if sentence else ""
    return f"not a listing of netsh http show sslcert{said}"


def _pairs(lines: list[str]) -> list[tuple[str, str] | None]:
    """Label and value of each line that is not empty; None for a heading."""
    bare = (normalize(line[:_LINE_LIMIT]).strip() for line in lines)
    return [_pair(line) for line in bare if line]


def _find_blocks(pairs: list[tuple[str, str] | None]) -> list[_Block]:
    """Records by the shape of their values; a heading inside one (extended properties) ends its fields."""
    starts = [(_start_of(pairs, index), index) for index, pair in enumerate(pairs) if pair and _GUID.fullmatch(pair[1])]
    found = [(start, index) for start, index in starts if start is not None]
    blocks = []
    for number, (start, index) in enumerate(found):
        end = found[number + 1][0] if number + 1 < len(found) else len(pairs)
        block = _Block(
            _value(pairs, start), _value(pairs, start + 1) if index - start == 2 else None, _value(pairs, index)
        )
        for pair in pairs[index + 1 : end]:
            if pair is None:
                break
            block.fields.append(pair)
        blocks.append(block)
    return blocks


def _notes_of_cuts(pairs: list[tuple[str, str] | None], blocks: list[_Block]) -> list[str]:
    """What is missing where a listing was copied in part: of the last record its end, of others the application id."""
    found = Counter(block.key for block in blocks)
    # A port alone, as CCS has it, could be any other number in a label that is not known.
    numbers = _KEY_LABELS["ccs"]
    keys = [one for one in pairs if one and (":" in one[1] or one[0] == numbers) and _KEY.fullmatch(one[1])]
    labels = {label for label, key in keys if key in found} | set(_KEY_LABELS.values())
    left = Counter(key for label, key in keys if label in labels) - found
    notes = [f"{key}: its record has no application id, and was left out; the listing may be cut" for key in left]
    last = blocks[-1]
    if last.certificate is not None and not _absent(last.certificate) and len(last.fields) < _FIELDS:
        notes.append(
            f"{last.key}: the listing ends {_FIELDS - len(last.fields)} lines before the end of its record; defaults "
            "were assumed for what they say"
        )
    return notes


def _pair(line: str) -> tuple[str, str] | None:
    """Label and value of a line, normalised and without blanks around it; None for a heading."""
    if not _SEPARATOR.match(line):
        return None
    # The last separator counts: a translated label may have one of its own.
    *front, value = re.split(r"\s+:(?:\s+|$)", line)
    return " : ".join(front), value.strip()


def _start_of(pairs: list[tuple[str, str] | None], index: int) -> int | None:
    """Where the record begins whose application id is at `index`."""
    before = _value(pairs, index - 1) if index >= 1 else ""
    if index >= 2 and (_HASH.fullmatch(before) or _absent(before)) and _KEY.fullmatch(_value(pairs, index - 2)):
        return index - 2
    return index - 1 if index >= 1 and _KEY.fullmatch(before) else None


def _value(pairs: list[tuple[str, str] | None], index: int) -> str:
    pair = pairs[index]
    return pair[1] if pair else ""


def _absent(value: str) -> bool:
    return value in ("", "(null)")


def _words_for_on_and_off(blocks: list[_Block]) -> tuple[dict[str, bool], list[str]]:
    """What each word for on and off means in this listing, and a note when that had to be inferred."""
    words = dict.fromkeys(_YES, True) | dict.fromkeys(_NO, False)
    # Known places: 1 verify revocation, 2 cached only, 3 usage check; by default on, off, on.
    on = Counter(block.fields[i][1].casefold() for block in blocks if len(block.fields) > 3 for i in (1, 3))
    off = Counter(block.fields[2][1].casefold() for block in blocks if len(block.fields) > 2)
    unknown = {word for word in (*on, *off) if word not in words}
    if not unknown:
        return words, []
    likely_on = max(on, key=lambda word: on[word], default=None)
    likely_off = max(off, key=lambda word: off[word], default=None)
    if likely_on is None or likely_off is None or likely_on == likely_off or len(unknown) > 2:
        raise MalformedDataError(
            f"this listing's words for on and off are not known ({', '.join(sorted(unknown))}); run netsh on a system "
            f"in English, or read the bindings with mlsssl there"
        )
    note = f"{likely_on!r} was taken for enabled and {likely_off!r} for disabled, because of where they stand"
    return words | {likely_on: True, likely_off: False}, [note]


class _Reader:
    """Makes records of blocks, and keeps what it had to infer as notes."""

    def __init__(self, blocks: list[_Block]) -> None:
        self._words, self.notes = _words_for_on_and_off(blocks)

    def record(self, block: _Block) -> BindingRecord:
        try:
            return self._record(block)
        except InvalidInputError as error:
            raise MalformedDataError(f"the record for {shown(block.key)} cannot be: {error}") from None

    def _record(self, block: _Block) -> BindingRecord:
        certificate = None if block.certificate is None or _absent(block.certificate) else Thumbprint(block.certificate)
        key = _parse_key(block.key, has_certificate=certificate is not None)
        store_name = _text(block.fields[0][1]) if block.fields and certificate is not None else None
        if store_name is None and key.family.value == "hostnameport":
            self.notes.append(f"{key}: its store is not named; MY was assumed")
            store_name = "MY"
        return BindingRecord(
            key=key,
            thumbprint=certificate,
            store_name=store_name,
            app_id=uuid.UUID(block.app_id),
            options=self._options(key, block.fields[1:]),
        )

    def _options(self, key: BindingKey, lines: list[tuple[str, str]]) -> BindingOptions:
        fields: dict[str, Any] = {}
        numbers = [index for index, (_, value) in enumerate(lines) if value.isascii() and value.isdigit()]
        first = next((index for index in numbers if index + 1 in numbers), None)
        if first is not None:
            for (name, unit), (_, value) in zip(TIME_UNITS.items(), lines[first : first + 2], strict=True):
                fields[name] = _number(value) * unit
        if any(label.casefold() in _BY_LABEL for label, _ in lines):
            fields |= self._by_label(key, lines)
        elif first is not None:
            fields |= self._by_place(key, lines, first)
        return BindingOptions(**fields)

    def _by_label(self, key: BindingKey, lines: list[tuple[str, str]]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for label, value in lines:
            name = label.casefold()
            if name in _TEXTS_BY_LABEL:
                fields[_TEXTS_BY_LABEL[name]] = _text(value)
            elif name in _BY_LABEL:
                fields[_BY_LABEL[name].field] = self._boolean(key, label, value) != _BY_LABEL[name].inverted
            elif value.casefold() in self._words:
                self.notes.append(f"{key}: the option {label!r} is not known and was left out")
        return fields

    def _by_place(self, key: BindingKey, lines: list[tuple[str, str]], first: int) -> dict[str, Any]:
        """A translated record: three switches before the two numbers, two texts and two switches after them."""
        rest = lines[first + 2 :]
        texts = {name: _text(value) for name, (_, value) in zip(_TEXTS_BY_LABEL.values(), rest[:2], strict=False)}
        switches = [*zip(SWITCHES[:3], lines[:first], strict=False), *zip(SWITCHES[3:5], rest[2:4], strict=False)]
        # After that builds differ. By default all of it is off, in at most two words (Disabled, Not Set).
        tail = [self._words.get(value.casefold()) for _, value in rest[4:]]
        if any(verdict is not False for verdict in tail):
            self.notes.append(
                f"{key}: its last {len(tail)} options could not be read in this language; defaults were assumed"
            )
        return texts | {switch.field: self._boolean(key, *line) for switch, line in switches}

    def _boolean(self, key: BindingKey, label: str, value: str) -> bool:
        found = self._words.get(value.casefold())
        if found is None:
            raise MalformedDataError(f"{key}: {shown(label)} is {shown(value)}, which means neither on nor off")
        return found


def _parse_key(text: str, *, has_certificate: bool) -> BindingKey:
    if text.isascii() and text.isdigit():
        return CcsPort(int(text))
    host, _, port = text.rpartition(":")
    if port.isascii() and re.search(r"[^\d.]", host) and host[0] != "[":
        # As the machine has it, whoever wrote it there: netsh finds it in no other spelling.
        return (HostnamePort if has_certificate else ScopedCcs).as_stored(host, int(port))
    key = parse_binding_key(text)
    return key if has_certificate else CcsPort(key.port)


def _number(text: str) -> int:
    if len(text) > 10:  # a DWORD at most; many more digits overflow what takes them
        raise InvalidInputError(f"a time is a number of at most 10 digits, not of {len(text)}")
    return int(text)


def format_listing(records: Iterable[BindingRecord]) -> str:
    """The records as a current Windows in English prints them, without extended properties.

    `parse_listing` reads it back; what no line says (unknown flags, `raw_filter` and the like) is lost. A name that
    would not come back as it is, such as one with a line end, is written in quotes as a JSON string.
    """
    lines = ["", "SSL Certificate bindings:", "-" * 25, ""]
    for record in records_of(records):
        options = record.options
        family = record.key.family.value
        label, key = _KEY_LABELS[family], str(record.key).removeprefix(f"{family}=")
        pairs = [
            (label, key),
            ("Certificate Hash", _shown(record.thumbprint)),
            ("Application ID", f"{{{record.app_id}}}"),
            ("Certificate Store Name", _written(record.store_name)),
            *((one.label, _word(options, one, "Enabled", "Disabled")) for one in SWITCHES[:3]),
            ("Revocation Freshness Time", str(options.freshness_seconds)),
            ("URL Retrieval Timeout", str(options.timeout_milliseconds)),
            ("Ctl Identifier", _written(options.ctl_identifier)),
            ("Ctl Store Name", _written(options.ctl_store_name)),
            *((one.label, _word(options, one, "Enabled", "Disabled")) for one in SWITCHES[3:6]),
            *((one.label, _word(options, one, "Set", "Not Set")) for one in SWITCHES[6:]),
            (_CACHE_CLIENT_HELLO.label, _word(options, _CACHE_CLIENT_HELLO, "Set", "Not Set")),
        ]
        if options.use_revocation_freshness_time:
            pairs.append((_USE_FRESHNESS.label, "Enabled"))
        lines += [f"    {name:<28} : {value}" for name, value in pairs]
        lines.append("")
    return "\n".join(lines)


_KEY_LABELS = {
    "ipport": "IP:port",
    "hostnameport": "Hostname:port",
    "ccs": "Central Certificate Store",
    "scopedccs": "Scoped Central Certificate Store",
}


def _written(value: str | None) -> str:
    if value is None or (_fits_a_line(value) and _text(value) == value):
        return _shown(value)
    return json.dumps(value).replace(" ", "\\u0020")  # a blank before a colon would end the label


def _text(value: str) -> str | None:
    """A name as a line has it: nothing, the name itself, or `_written`'s JSON string of one that no line can hold."""
    if _absent(value):
        return None
    if value.startswith('"') and value.endswith('"'):
        with contextlib.suppress(ValueError):
            name = json.loads(value)
            if isinstance(name, str) and (not _fits_a_line(name) or _text(name) != name):
                return name
    return value


def _fits_a_line(value: str) -> bool:
    line = f"Name : {value}"
    return line.splitlines() == [line] == [normalize(line)] and value.isprintable() and _pair(line) == ("Name", value)


def _shown(value: object) -> str:
    return "(null)" if value is None else str(value)


def _word(options: BindingOptions, switch: Switch, on: str, off: str) -> str:
    return on if bool(getattr(options, switch.field)) != switch.inverted else off
