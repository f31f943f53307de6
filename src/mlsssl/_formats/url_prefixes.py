"""URL prefixes as HTTP.sys writes them: `https://+:443/mls/`, what a service registers and an administrator reserves.

The rules are those of "UrlPrefix Strings" (learn.microsoft.com/windows/win32/http/urlprefix-strings).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import TYPE_CHECKING, Literal

from mlsssl._formats.binding_keys import HostnamePort
from mlsssl._messages.arguments import check_type
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError
from mlsssl.values import set_attributes

if TYPE_CHECKING:
    from typing import NoReturn

    from typing_extensions import Self

HostKind = Literal["strong wildcard", "explicit", "address", "weak wildcard"]
"""Microsoft's four categories of a prefix' host, in the order in which HTTP.sys looks through them."""

LONGEST = 16_383
"""Characters. Windows keeps a reservation as a registry value of that name, and a name has at most so many."""

_SHAPE = r"(?s)(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>\[[^\]/]*\]|[^:/\[\]]*):(?P<port>[^/:]*)(?P<path>/.*)"
_EXAMPLE = "such as 'https://+:443/mls/'"


class UrlPrefix:
    """A URL prefix as a value: scheme, host, port and path. Immutable; `str` of it is its text.

    Args:
        text: `scheme://host:port/path/`, all of it: the scheme `http` or `https` in lower case; the host `+` (every
            name, before all other prefixes: the strong wildcard), `*` (every name that no other prefix has: the weak
            wildcard), a host name, an IPv4 address or an IPv6 address in brackets; the port 1 to 65535 without leading
            zeros; and a path that begins and ends with a slash, `/` alone for everything. Host names become A-labels
            in lower case. The path is kept as it is, and compared without case, as HTTP.sys does.

    Attributes:
        scheme: `http` or `https`.
        host: The host, without brackets.
        port: The port.
        path: From the first slash to the last.
        stored: For a prefix that was read from a machine (`as_stored`), the very text that it has there; else None. It
            does not count when prefixes are compared.

    Raises:
        InvalidInputError: it breaks one of these rules, or the path has an empty, `.` or `..` segment, a query, a
            fragment, a backslash, a blank or a control character, or all is longer than 16,383 characters; the message
            says what to write instead, where that is clear.
    """

    __slots__ = ("host", "path", "port", "scheme", "stored")

    scheme: str
    host: str
    port: int
    path: str
    stored: str | None

    def __init__(self, text: str | UrlPrefix) -> None:
        if isinstance(text, UrlPrefix):
            text = str(text)
        scheme, host, port, path = _parsed(text)
        set_attributes(self, scheme=scheme, host=host, port=port, path=path, stored=None)

    @classmethod
    def as_stored(cls, text: str) -> Self:
        """The prefix of a reservation that a machine has, in the spelling in which it has it.

        Such a prefix equals the same prefix in any other spelling. What is no prefix by the rules above (another
        program's, a form that Microsoft does not document) has the whole text as `path`, no scheme and the port 0.

        Raises:
            InvalidInputError: it is empty, too long, or holds a NUL or half a surrogate pair, which no machine keeps.
        """
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
            raise InvalidInputError(f"a stored URL prefix has 1 to {LONGEST} characters, not {shown(text)}")
        if any(c == "\0" or unicodedata.category(c) == "Cs" for c in text):
            raise InvalidInputError(f"a stored URL prefix is whole characters without NUL, not {shown(text)}")
        head, separator, tail = text.partition("://")
        try:
            scheme, host, port, path = _parsed(f"{head.lower()}{separator}{tail}")
        except InvalidInputError:
            scheme, host, port, path = "", "", 0, text
        return set_attributes(cls.__new__(cls), scheme=scheme, host=host, port=port, path=path, stored=text)

    @property
    def host_kind(self) -> HostKind | None:
        """Which of HTTP.sys' four categories its host is of; None for a stored text that is no prefix."""
        if not self.scheme:
            return None
        if self.host in ("+", "*"):
            return "strong wildcard" if self.host == "+" else "weak wildcard"
        return "explicit" if _address(self.host) is None else "address"

    @property
    def written(self) -> str:
        """The text as a machine must be told it: as it was read there, else normalised."""
        return str(self) if self.stored is None else self.stored

    @property
    def folded(self) -> str:
        """What it is compared by: the normalised text in lower case."""
        return str(self).lower()

    def covers(self, other: UrlPrefix) -> bool:
        """Whether `other` lies below this one, or is it: the same scheme, host and port, and the path begins so."""
        check_type(other, UrlPrefix, "a UrlPrefix is needed")
        same = (self.scheme, self.host, self.port) == (other.scheme, other.host, other.port)
        return same and bool(self.scheme) and other.path.lower().startswith(self.path.lower())

    def __str__(self) -> str:
        if not self.scheme:
            return self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    def __repr__(self) -> str:
        if self.stored is None or self.stored == str(self) != self.path:
            return f"UrlPrefix({str(self)!r})"
        return f"UrlPrefix.as_stored({self.stored!r})"

    def __eq__(self, other: object) -> bool:
        return self.folded == other.folded if isinstance(other, UrlPrefix) else NotImplemented

    def __lt__(self, other: UrlPrefix) -> bool:
        return (self.folded, self.written) < (other.folded, other.written)

    def __hash__(self) -> int:
        return hash(self.folded)

    def __setattr__(self, name: str, _value: object) -> NoReturn:
        raise AttributeError(f"a UrlPrefix is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a UrlPrefix is immutable: {name} cannot be deleted")

    def __reduce__(self) -> tuple[object, tuple[str]]:
        if self.stored is not None:
            return UrlPrefix.as_stored, (self.stored,)
        return UrlPrefix, (str(self),)


def with_slash(text: str) -> str:
    """`text` with a slash at the end, if it has a path without one: netsh's own help shows prefixes so."""
    found = re.fullmatch(_SHAPE, text)
    return f"{text}/" if found is not None and not text.endswith("/") and not re.search(r"[?#]", text) else text


def _parsed(text: str) -> tuple[str, str, int, str]:
    if not isinstance(text, str):
        raise InvalidInputError(f"a URL prefix is text, {_EXAMPLE}, not {shown(text)}")
    if len(text) > LONGEST:
        raise InvalidInputError(f"a URL prefix has at most {LONGEST} characters, not {len(text)}")
    found = re.fullmatch(_SHAPE, text)
    if found is None:
        raise InvalidInputError(_why_not(text))
    scheme = found["scheme"]
    if scheme not in ("http", "https"):
        lower = scheme.lower()
        hint = f"; write {lower}, in lower case" if lower in ("http", "https") else ""
        raise InvalidInputError(f"the scheme of a URL prefix is http or https, not {shown(scheme)}{hint}")
    port = found["port"]
    if not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise InvalidInputError(
            f"{shown(text)}: the port of a URL prefix is a number from 1 to 65535 without leading zeros, not "
            f"{shown(port)}"
        )
    return scheme, _host(found["host"], text), int(port), _path(found["path"], text)


def _why_not(text: str) -> str:
    """What to write instead of a text that has not even the shape of a prefix."""
    match = re.fullmatch(r"(https?)://(\[[^\]/]*\]|[^:/\[\]]+)(:\d+)?(/.*)?", text, re.IGNORECASE | re.DOTALL)
    if match is None:
        return f"{shown(text)} is not a URL prefix: write scheme://host:port/path/, {_EXAMPLE}"
    scheme, host, port, path = match.groups()
    port = port or (":443" if scheme.lower() == "https" else ":80")
    whole = f"{scheme.lower()}://{host}{port}{(path or '').removesuffix('/')}/"
    return f"{shown(text)} is not a whole URL prefix; write {whole}"


def _host(host: str, text: str) -> str:
    if host in ("+", "*"):
        return host
    inside = host[1:-1] if host.startswith("[") else host
    address = _address(inside)
    if address is not None and (address.version == 6) == host.startswith("["):
        return str(address)
    if host.startswith("[") or not host:
        raise InvalidInputError(f"{shown(text)}: {shown(host)} is no host; write +, a host name or an address")
    return HostnamePort(host, 1).host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return None if "%" in host else ipaddress.ip_address(host)
    except ValueError:
        return None


def _path(path: str, text: str) -> str:
    wrong = next((c for c in path if c in "?#\\" or c.isspace() or unicodedata.category(c).startswith("C")), None)
    if wrong is not None:
        raise InvalidInputError(f"{shown(text)}: the path of a URL prefix cannot hold {shown(wrong)}")
    if not path.endswith("/"):
        # HTTP.sys answers 87 where nothing follows the port; with a path, what it does is not documented.
        raise InvalidInputError(f"{shown(text)}: a URL prefix ends with a slash; write {shown(text + '/')}")
    for segment in path[1:-1].split("/") if len(path) > 1 else ():
        if segment.lower().replace("%2e", ".") in ("", ".", ".."):
            what = "an empty segment" if not segment else f"the relative segment {shown(segment)}"
            raise InvalidInputError(f"{shown(text)}: {what} means nothing in a URL prefix; leave it out")
    return path
