"""`netsh http add | delete | show urlacl | iplisten | timeout | cacheparam | setting` command lines to values and back.

Microsoft's page "netsh http" (learn.microsoft.com/windows-server/administration/windows-commands/netsh-http) has their
syntax; the tags may be left out in its order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from mlsssl._formats.url_prefixes import UrlPrefix, with_slash
from mlsssl._machine.ports import HttpNumber, listen_address
from mlsssl._messages.arguments import check_type
from mlsssl._messages.foreign_text import shown
from mlsssl._netsh.command import Shell, quote, split_head, split_parameters, words_of
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

HttpVerb = Literal["add", "delete", "show"]
HttpObject = Literal["urlacl", "iplisten", "timeout", "cacheparam", "setting"]

_PARAMETERS: dict[HttpObject, tuple[str, ...]] = {
    "urlacl": ("url", "user", "listen", "delegate", "sddl"),
    "iplisten": ("ipaddress",),
    "timeout": ("timeouttype", "value"),
    "cacheparam": ("type", "value"),
    "setting": ("settingtype", "value"),
}
_KEYS: dict[HttpObject, tuple[str, ...]] = {
    "urlacl": ("url",),
    "iplisten": ("ipaddress",),
    "timeout": ("timeouttype",),
    "cacheparam": ("type",),
    "setting": ("settingtype",),
}
# What else may stand behind each verb: a word is short for one only as long as no other begins so.
_OTHERS = ("sslcert", "servicestate", "cachestate", "cache", "sslpropertyex", "logbuffer")
NUMBERS: dict[HttpObject, dict[str, HttpNumber]] = {
    "timeout": {
        "idleconnectiontimeout": HttpNumber.IDLE_CONNECTION_SECONDS,
        "headerwaittimeout": HttpNumber.HEADER_WAIT_SECONDS,
    },
    "cacheparam": {
        "maxcacheresponsesize": HttpNumber.MAX_CACHE_RESPONSE_BYTES,
        "cacherangechunksize": HttpNumber.CACHE_RANGE_CHUNK_BYTES,
    },
    "setting": {"sslthrottle": HttpNumber.TLS_THROTTLE},
}
"""netsh's words for the numbers, by its words for their kinds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCommand:
    """One command of `netsh http` about something else than TLS bindings.

    Attributes:
        verb: `add`, `delete` or `show`.
        object: `urlacl`, `iplisten`, `timeout`, `cacheparam` or `setting`.
        url: Of a reservation; None for a `show` of all.
        user: Whom to allow, as it was written.
        listen: Whether the user may listen.
        delegate: Whether the user may delegate.
        sddl: The access list; netsh takes it where a user is given too.
        address: Of the listen list.
        number: Which number; None for a `show` of all.
        value: What it is set to.
    """

    verb: HttpVerb
    object: HttpObject
    url: UrlPrefix | None = None
    user: str | None = None
    listen: bool = True
    delegate: bool = False
    sddl: str | None = None
    address: str | None = None
    number: HttpNumber | None = None
    value: int | None = None


def object_of(command: str | Sequence[str]) -> str:
    """Netsh's whole word for what a command line is about: `sslcert` or one of `HttpCommand.object`.

    `MalformedDataError` when it is about something else, or no such command.
    """
    try:
        return _object(split_head(words_of(command), "sslcert, urlacl, iplisten or timeout")[1])
    except InvalidInputError as error:
        raise MalformedDataError(f"this is not a netsh http command: {error}") from None


def object_named(word: str) -> str | None:
    """Netsh's whole word that a word is or is short for, as `object_of`; None for what else stands behind a verb."""
    try:
        return _object(word)
    except InvalidInputError:
        return None


def _object(word: str) -> str:
    known = ("sslcert", *get_args(HttpObject))
    folded = word.lower()
    meant = [folded] if folded in known else [one for one in (*known, *_OTHERS[1:]) if one.startswith(folded)]
    if len(folded) >= 2 and folded in "sslcert" and folded.startswith("ss"):
        return "sslcert"
    if len(meant) != 1 or meant[0] not in known or len(folded) < 2:
        raise InvalidInputError(f"{shown(word)} stands where one of {', '.join(known)} belongs; mlsssl knows these")
    return meant[0]


def parse_http_command(command: str | Sequence[str]) -> HttpCommand:
    """Read a command line about reservations, the listen list or numbers; words and quotes as `parse_command` does.

    A prefix with a path that lacks the slash at its end, as netsh's own help writes it, gets one: that is how HTTP.sys
    lists it.

    Raises:
        MalformedDataError: it is none, a parameter is unknown, missing, given twice or has an impossible value.
    """
    words = words_of(command)
    try:
        verb, word, rest = split_head(words, "urlacl, iplisten or timeout")
        name = _object(word)
        if name == "sslcert":
            raise InvalidInputError("it is about TLS bindings; parse_command reads those")
        about: HttpObject = next(one for one in get_args(HttpObject) if one == name)
        if verb == "update":
            raise InvalidInputError(f"netsh http update knows no {about}: delete it and add it")
        known = _PARAMETERS[about] if verb == "add" else () if about != "urlacl" and verb == "show" else _KEYS[about]
        return _build(verb, about, split_parameters(rest, known, lambda place, text: _without_tag(known, place, text)))
    except InvalidInputError as error:
        raise MalformedDataError(f"this is not a netsh http command: {error}") from None


def _without_tag(known: tuple[str, ...], place: int, word: str) -> tuple[str, str]:
    if place >= len(known):
        raise InvalidInputError(f"{shown(word)} is one word more than there are parameters")
    return known[place], word


def _build(verb: HttpVerb, about: HttpObject, parameters: dict[str, str]) -> HttpCommand:
    needed = _PARAMETERS[about] if verb == "add" and about != "urlacl" else () if verb == "show" else _KEYS[about]
    for name in needed:
        if name not in parameters:
            raise InvalidInputError(f"{name}= is needed")
    if about == "urlacl":
        return _urlacl(verb, parameters)
    if about == "iplisten":
        address = parameters.get("ipaddress")
        return HttpCommand(verb=verb, object=about, address=None if address is None else listen_address(address))
    kind = parameters.get(_KEYS[about][0])
    if kind is None:
        return HttpCommand(verb=verb, object=about)
    numbers = NUMBERS[about]
    if kind.lower() not in numbers:
        raise InvalidInputError(f"{_KEYS[about][0]} is {' or '.join(numbers)}, not {shown(kind)}")
    which = numbers[kind.lower()]
    value = None if verb != "add" else _value(parameters["value"], which)
    return HttpCommand(verb=verb, object=about, number=which, value=value)


def _urlacl(verb: HttpVerb, parameters: dict[str, str]) -> HttpCommand:
    if verb != "add":
        return HttpCommand(verb=verb, object="urlacl", url=_looked_for(parameters.get("url")))
    if "url" not in parameters:
        raise InvalidInputError("url= is needed, such as url=https://+:443/mls/")
    url = UrlPrefix(with_slash(parameters["url"]))
    if "user" not in parameters and "sddl" not in parameters:
        raise InvalidInputError(r"user= or sddl= is needed: who may listen there, such as user=NT SERVICE\MLS")
    if "sddl" in parameters and ("listen" in parameters or "delegate" in parameters):
        raise InvalidInputError("sddl= says itself who may listen and delegate; these exclude each other")
    listen, delegate = _yes(parameters, "listen", default=True), _yes(parameters, "delegate", default=False)
    if not (listen or delegate):
        raise InvalidInputError("listen=no allows nothing without delegate=yes")
    return HttpCommand(
        verb=verb,
        object="urlacl",
        url=url,
        user=parameters.get("user"),
        listen=listen,
        delegate=delegate,
        sddl=parameters.get("sddl"),
    )


def _looked_for(text: str | None) -> UrlPrefix | None:
    """The prefix to show or delete, which may be in a form that other programs alone write."""
    if text is None:
        return None
    try:
        return UrlPrefix(with_slash(text))
    except InvalidInputError:
        stored = UrlPrefix.as_stored(text)
        if "://" not in text or not text.endswith("/"):
            raise
        return stored


def _yes(parameters: dict[str, str], name: str, *, default: bool) -> bool:
    value = parameters.get(name)
    if value is None:
        return default
    if value.lower() not in ("yes", "no"):
        raise InvalidInputError(f"{name} is yes or no, not {shown(value)}")
    return value.lower() == "yes"


def _value(text: str, which: HttpNumber) -> int:
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10}", text):
        raise InvalidInputError(f"value is a whole number, or 0x and hexadecimal digits, not {shown(text)}")
    value = int(text, 16 if text[:2].lower() == "0x" else 10)
    if not which.least <= value <= which.most:
        raise InvalidInputError(f"value is {which.least} to {which.most} here, not {value}")
    return value


def format_http_command(command: HttpCommand, *, shell: Shell = "cmd") -> str:
    """The command line, ready to be pasted into cmd or PowerShell. What has its default is left out.

    Raises:
        InvalidInputError: no command line can hold one of its values, or no such shell.
    """
    if shell not in get_args(Shell):
        raise InvalidInputError(f"shell is 'cmd' or 'powershell', not {shown(shell)}")
    check_type(command, HttpCommand, "an HttpCommand is needed (parse_http_command makes one)")
    pairs: list[tuple[str, str]] = []
    if command.url is not None:
        pairs.append(("url", command.url.written))
    if command.user is not None:
        pairs.append(("user", command.user))
    if command.sddl is not None:
        pairs.append(("sddl", command.sddl))
    elif command.object == "urlacl" and command.verb == "add":
        pairs += [("listen", "no")] if not command.listen else []
        pairs += [("delegate", "yes")] if command.delegate else []
    if command.address is not None:
        pairs.append(("ipaddress", command.address))
    if command.number is not None:
        word = next(name for name, which in NUMBERS[command.object].items() if which is command.number)
        pairs.append((_KEYS[command.object][0], word))
    if command.value is not None:
        pairs.append(("value", str(command.value)))
    words = ["netsh", "http", command.verb, command.object]
    return " ".join([*words, *(quote(name, value, shell) for name, value in pairs)])
