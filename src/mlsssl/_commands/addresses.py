"""What a user writes for a server or a binding: HOST:PORT, or a URL as a browser shows it."""

from __future__ import annotations

import re

from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

_URL = r"(?is)([a-z][a-z0-9+.-]*)://([^/?#\\]*)(?:[/?#].*)?"
_WITH_PORT = r"(\[[0-9A-Fa-f:.]+\]|[^\\/:]+):[0-9]{1,5}"
_EVERY_HOST = r"[+*](?=:)"


def endpoint_of(text: str) -> str | None:
    """`HOST:PORT` for a server's address or URL; None for what can only be a file's name.

    Raises:
        InvalidInputError: a URL that is not https, or has a user's name or password in it, which is not shown.
    """
    if (url := re.fullmatch(_URL, text)) is None:
        return text if re.fullmatch(_WITH_PORT, text) else None
    scheme, place = url.groups()
    if "@" in place:
        raise InvalidInputError("a URL is taken without a user's name and password: https://HOST or https://HOST:PORT")
    if scheme.lower() != "https" or not place:
        raise InvalidInputError(f"{shown(text)} is no https URL: write https://HOST, https://HOST:PORT or HOST:PORT")
    return place if re.fullmatch(_WITH_PORT, place) else f"{place.removesuffix(':')}:443"


def key_of(text: str) -> str:
    """A binding's key as the library reads it, for a key or the URL that it answers: https://+/ is 0.0.0.0:443.

    Raises:
        InvalidInputError: a URL, as `endpoint_of`.
    """
    if "://" not in text:
        return text
    return re.sub(_EVERY_HOST, "0.0.0.0", endpoint_of(text) or text, count=1)  # noqa: S104 -- a key's text
