"""Private keys and passwords given in the wrong place: no error, log or line of output ever shows them."""

from __future__ import annotations

import argparse
import ast
import base64
import contextlib
import errno
import hashlib
import os
import re
import traceback
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from mlsssl import MlssslError
from mlsssl._machine import file_rights
from mlsssl._messages.foreign_text import message, message_lines, shown, without_secrets
from mlsssl.cli import build_parser, main
from unit.test_wrong_arguments import CALLS, Call, World
from unit.test_wrong_arguments import _world as _world  # the fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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


def _shows_a_key(text: str, pieces: Sequence[str] = _PIECES) -> bool:
    bare = re.sub(r"\\+[nr]|\s", "", text).casefold()
    return any(piece in bare or piece in text.casefold() for piece in pieces)


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


# -- as a path, which a slash in base64 splits ------------------------------------------------------------------------

_LETTERS = base64.b64encode(b"".join(hashlib.sha256(bytes([n])).digest() for n in range(9))).decode().replace("/", "a")
_SPLITS = [
    *([at] for at in range(40, 384, 7)),
    *([200, 384 - last] for last in range(9, 40)),
    *([at, at + 20, 384 - 31, 384 - 12] for at in range(48, 320, 13)),
]


def _split(places: list[int]) -> tuple[str, str, list[str]]:
    """A PEM text whose base64 has slashes at these places only, what is between its armour, and what must not show."""
    letters = list(_LETTERS)
    for place in places:
        letters[place] = "/"
    text = "".join(letters)
    body = "\n".join(text[at : at + 64] for at in range(0, 384, 64))
    pieces = [piece[at : at + 16] for piece in text.split("/") for at in range(0, len(piece) - 15, 4)]
    return f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n", body, [p.casefold() for p in pieces]


@pytest.mark.parametrize("kind", [PurePosixPath, PureWindowsPath])
@pytest.mark.parametrize("folder", ["", "/a/b/c/d/e/f/g/h/i/j/k/l", "C:/Users/erika"])
def test_a_key_that_became_a_path_is_not_shown(kind: type[PurePath], folder: str) -> None:
    """With Windows' separators too, and whichever part of it a message names: all, its folder, or its end."""
    for places in _SPLITS:
        pem, body, pieces = _split(places)
        for text in (pem, body, pem.replace("\n", "\r\n"), pem.replace("\n", " "), pem[:-20]):
            path = kind(folder) / text
            for told in (
                message(f"there is no {path}; make it first"),
                message(f"{str(path)!r} cannot be"),
                message(f"there is no folder {path.parent}"),
                message(repr(f"{path!r} cannot be")),
                message_lines(f"certificate:\n  there is no {path}"),
                shown(path),
            ):
                assert not _shows_a_key(told, pieces), told
        for told in (f"there is no {kind(folder) / pem[120:]}", f"there is no {pem.rpartition('/')[2]}"):
            assert not _shows_a_key(message(told), pieces), told


@pytest.mark.parametrize("refused", [errno.EINVAL, errno.ENAMETOOLONG, errno.EIO, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("name", [name for name in CALLS if name.rpartition(".")[2] in ("save", "save_key")])
def test_what_the_system_refuses_is_not_shown_by_its_temporary_name(
    name: str, refused: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's own error names the file beside the one asked for: a dot, what was given, and a random end."""

    def refuse(path: Path, *, private: bool) -> int:
        raise OSError(refused, os.strerror(refused), str(path))

    monkeypatch.setattr(file_rights, "create", refuse)
    for places in _SPLITS:
        pem, body, pieces = _split(places)
        for text in (pem, body):
            call = CALLS[name](world)
            call.bound.arguments["path"] = text
            with pytest.raises(MlssslError) as caught:
                call.make()
            assert not _shows_a_key("".join(traceback.format_exception(caught.value)), pieces), str(caught.value)


# -- the command line -------------------------------------------------------------------------------------------------


def _commands(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield words, parser
    for action in inner:
        for name, one in action.choices.items():
            yield from _commands(one, (*words, name))


_COMMANDS = {
    " ".join(words): parser
    for words, parser in _commands(build_parser())
    if words[0] not in ("completion", "quickstart")
}
_LINES = {
    "ca create": ["Root", "--out", "made.pem"],
    "serve": ["--seconds", "0"],
    "makecert": ["-n", "CN=a.test", "-sv", "a.pvk", "a.cer"],
    "pvk2pfx": ["-pvk", "a.pvk", "-spc", "a.cer", "-pfx", "a.pfx"],
    "netsh": ["http", "delete", "sslcert", "ipport=0.0.0.0:443"],
}


def _lines(words: str, secret: str) -> Iterator[list[str]]:
    """The command with the secret as each of its words: every positional, every option, and one word more."""
    parser = _COMMANDS[words]
    plain = {"key": "0.0.0.0:443", "thumbprint": "0" * 40, "file": "ca.pem", "names": "a.test", "target": "ca.pem"}
    positionals = [a for a in parser._actions if not a.option_strings and a.dest != "help"]
    given = [plain.get(a.dest, "ca.pem") for a in positionals]
    required = [
        word for a in parser._actions if a.required and a.option_strings for word in (a.option_strings[0], "ca.pem")
    ]
    base = [*words.split(), *_LINES.get(words, [*given, *required])]
    for at in range(len(words.split()), len(base)):
        yield [*base[:at], secret, *base[at + 1 :]]
        if "=" in base[at]:
            yield [*base[:at], f"{base[at].partition('=')[0]}={secret}", *base[at + 1 :]]
    for action in parser._actions:
        if action.option_strings and action.nargs != 0:
            yield [*base, action.option_strings[-1], secret]
            yield [*base, f"{action.option_strings[-1]}={secret}"]
    yield from ([*base, secret], [*base, "--unknown", secret], [*base, f"--unknown={secret}"], [*words.split(), secret])


@pytest.fixture(name="here")
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "machine.sqlite"))
    World.ca.save("ca.pem")
    return tmp_path


# A path with a slash has a folder that is not there: without one the file is really made, and its name is told.
_ONE_NAME = [text.replace("/", "A") for text in (_TEXTS[3], _TEXTS[2])]


@pytest.mark.parametrize("secret", [_PEM, _TEXTS[3], *_ONE_NAME], ids=["PEM", "base64", "no slash", "PEM, no slash"])
@pytest.mark.parametrize("words", _COMMANDS)
def test_no_command_shows_a_private_key(
    here: Path, capsys: pytest.CaptureFixture[str], words: str, secret: str
) -> None:
    """As any word of any command; nothing on either stream."""
    for line in _lines(words, secret):
        with contextlib.suppress(SystemExit):
            main(line)
        said = capsys.readouterr()
        assert not _shows_a_key(said.out + said.err), line


@pytest.mark.parametrize("option", ["--password", "--password=", "--pasword", "--pasword="])
def test_a_password_given_as_such_is_not_echoed(here: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    """Neither what should have named its source, nor the value of a misspelt option."""
    for json in ([], ["--json"]):
        words = [f"{option}hunter2"] if option.endswith("=") else [option, "hunter2"]
        assert main(["show", "ca.pem", *words, *json]) == 2
        said = capsys.readouterr()
        assert "hunter2" not in said.out + said.err
        assert "--pasword" in said.err or "env:NAME" in said.err


@pytest.mark.parametrize("groups", [[], ["ca"], ["store"]])
@pytest.mark.parametrize("option", ["--password", "--password=", "--pasword"])
def test_a_password_in_front_of_the_command_is_not_taken_for_it(
    here: Path, capsys: pytest.CaptureFixture[str], groups: list[str], option: str
) -> None:
    """It was shown as a command that is none; what the error names is the option, and where it belongs."""
    words = [f"{option}hunter2"] if option.endswith("=") else [option, "hunter2"]
    assert main([*groups, *words, "show", "ca.pem"]) == 2
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert f"COMMAND {option.rstrip('=')} ..." in said.err
    assert main([*groups, "--json", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_the_rest_of_a_password_without_quotes_is_not_echoed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A word more than the old command has is shown, unless it may belong to a password."""
    assert main(["pvk2pfx", "-pvk", "a.pvk", "-po", "my", "hunter2", "-spc", "a.cer", "-pfx", "a.pfx"]) == 2
    assert "hunter2" not in capsys.readouterr().err
    assert main(["pvk2pfx", "-pvk", "a.pvk", "extra", "-spc", "a.cer", "-pfx", "a.pfx"]) == 2
    assert "extra" in capsys.readouterr().err


# -- the functions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "5af285243813bd3c185eb5d584121465f1233b99",
        "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "4dc3e181-e14b-4a21-b022-59fc669b0914",
        "/home/User/Documents/Projects2/Company/Certificates/Production/Server1/www",
        r"C:\ProgramData\mlsssl\machine1\state\journal.json",
        "HttpServiceConfigSslScopedCcsCertInfoEx",
        "/Users/erika/Certificates2026/ProductionServers/new",
        r"C:\Users\x\TempFolderForTheProductionSystem2026Backup\a.pfx",
        "MyVeryLongServiceName2ForProductionEnvironment.example.com",
        "https://pki.example.com/very/LongPathSegments2026/WithManyLettersAndDigits99/crl.crl",
    ],
)
def test_thumbprints_paths_and_names_are_shown(text: str) -> None:
    """What looks a little like base64 stays; an error without the path or thumbprint helps nobody."""
    assert without_secrets(text) == text
    assert text in message(f"there is no {text}; make it first")


def test_messages_keep_their_own_words() -> None:
    """Only the key goes, whether quoted or not, and a very long word is cut in its middle."""
    assert message(f"{_PEM.strip()!r} is no host") == "'(PEM text, not shown)' is no host"
    assert message(f"a host, not {_TEXTS[3]!r}; look").endswith("; look")
    assert message(f"'{'n' * 5000}' is too long").endswith("nnn' is too long")
    assert len(message("a b " * 1_000_000)) < 4100
    assert str(MlssslError(_PEM.strip(), 5)) == "('(PEM text, not shown)', 5)"


def test_other_objects_are_named_by_their_type() -> None:
    """Their repr may show a password, fail or never end."""

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    assert shown(Odd()) == "Odd"
    assert shown({"password": "hunter2"}) == "dict"
    assert shown(10**5000) == "int that is too long to show"
    assert (shown("a"), shown(1.5), shown(None)) == ("'a'", "1.5", "None")
    assert shown("x" * 10**6) == f"'{'x' * 297}…'"


def test_a_long_text_is_cut_between_characters_and_its_quote_ends() -> None:
    """Whatever its characters become in a `repr`, as octets that are no text do."""
    for character in ("\x00", "\udcf1", "\U000e0001", "'", "\\", "x"):
        for before in range(12):
            text = "a" * before + '"' + character * 400
            told = shown(text)
            assert 280 < len(told) <= 300
            assert told[-2:] == f"…{told[0]}"
            assert text.startswith(ast.literal_eval(told).removesuffix("…"))
