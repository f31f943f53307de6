"""Private keys and passwords given in the wrong place: no error, log or line of output ever shows them."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from test_wrong_arguments import CALLS, Call, World
from test_wrong_arguments import _world as _world  # the fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KEY = World.certificate.private_key
assert _KEY is not None
_PEM = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
_DER = _KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
_RSA = rsa.generate_private_key(65537, 2048)
_TEXTS = (
    _PEM,
    _PEM.replace("\n", "\r\n"),
    _PEM.replace("\n", " "),
    _PEM.split("-----")[2],
    _RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")).decode(),
)
_SECRETS: tuple[object, ...] = (
    *_TEXTS,
    _PEM.encode(),
    _DER,
    Path(_PEM),
    [_PEM],
    {_PEM: _PEM},
    Exception(_PEM),
)


def _pieces(secret: object) -> Iterator[str]:
    """Sixteen characters of a key each, as text or as the `repr` of bytes; without what all keys begin with."""
    for text in (_TEXTS[-1], _PEM):
        body = "".join(text.split("-----")[2].split("\n\n")[-1].split())[48:]
        yield from (body[at : at + 16] for at in range(0, len(body) - 15, 4))
    binary = repr(_DER[36:])[2:-1]
    yield from (binary[at : at + 24] for at in range(0, len(binary) - 24, 4))


_PIECES = [piece.casefold() for piece in _pieces(None)]


def _shows_a_key(text: str) -> bool:
    bare = re.sub(r"\\+[nr]|\s", "", text).casefold()
    return any(piece in bare or piece in text.casefold() for piece in _PIECES)


def _leaks(name: str, call: Callable[[], Call]) -> list[str]:
    found = []
    for argument, parameter in call().signature.parameters.items():
        for number, secret in enumerate(_SECRETS):
            wrong = call()
            several = parameter.kind is parameter.VAR_POSITIONAL
            keywords = parameter.kind is parameter.VAR_KEYWORD
            wrong.bound.arguments[argument] = (secret,) if several else {"expired": secret} if keywords else secret
            try:
                wrong.make()
            except Exception as error:  # noqa: BLE001 -- test_wrong_arguments.py is about which ones
                told = "".join(traceback.format_exception(error)) + repr(error) + repr(error.args)
                if _shows_a_key(told):
                    found.append(f"{name}({argument}=secret {number}): {type(error).__name__}: {error}"[:600])
    return found


@pytest.mark.parametrize("name", CALLS)
def test_no_error_shows_a_private_key(name: str, world: World) -> None:
    """Given as any argument of any public call, in any shape; causes and contexts are looked at too."""
    assert _leaks(name, lambda: CALLS[name](world)) == []
