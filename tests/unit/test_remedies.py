"""What to do, in the words of each surface: calls in Python, commands on the command line and on its report page."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mlsssl
from mlsssl import CertificateAuthority, EmbeddedMachine
from mlsssl._commands.remedies import in_commands
from mlsssl._validator.catalogue import MACHINE_RULES, RULES
from mlsssl.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator


PYTHON = re.compile(
    r"""\w\(\.\.\.|\w\(\)|\b\w+=(?=[\[{"'A-Z.,)]|$)|\b(ca|cert|store|machine|ccs)\.[a-z_]+\b(?!\.)"""
    r"""|\b(Store|Certificate|CertificateAuthority|UrlReservation)\.|\b[a-z]+_[a-z_]+\b"""
)
OPTION = re.compile(r"--option \w+=\w*")
COMMANDS = re.compile(r"\bmlsssl [a-z]|(?<!\w)--(?!ssl-no-revoke)[a-z]")
ROOT = Path(mlsssl.__file__).parent


def text_of(node: ast.AST) -> str | None:
    """A text in the source, with NAME where it is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "NAME" for one in node.values)
    return None


def remedies() -> Iterator[tuple[str, str]]:
    """Every remedy in the source with its place: of rules, of checks that say it more exactly, of diagnoses."""
    for rule in (*RULES.values(), *MACHINE_RULES.values()):
        yield rule.code, rule.remedy
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found: list[ast.AST] = []
            if isinstance(node, ast.keyword) and node.arg == "remedy":
                found = [node.value]
            elif isinstance(node, ast.Assign) and "remed" in ast.unparse(node.targets[0]).lower():
                found = [node.value, *(node.value.values if isinstance(node.value, ast.Dict) else ())]
            for one in found:
                text = text_of(one)
                if text is not None:
                    yield f"{path.relative_to(ROOT)}:{one.lineno}", text  # type: ignore[attr-defined]  # expressions


def test_a_remedy_is_in_the_words_of_its_surface() -> None:
    """None mixes them: the library's has no command in it, and none of its calls is left on the command line."""
    found = dict(remedies())
    assert len(found) > 200
    assert any(place.startswith("auditing.py") for place in found)
    wrong = [f"{place}: {text}" for place, text in found.items() if COMMANDS.search(text)]
    wrong += [
        f"{place}: {turned}"
        for place, text in found.items()
        if PYTHON.search(OPTION.sub("", turned := in_commands(text)))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "ca.issue(...)",
        "key='keep'",
        "hooks=[...]",
        "hooks=, --after",
        "renew_due of this",
        "UrlReservation.update",
        "x()",
    ],
)
def test_words_of_python_are_seen(text: str) -> None:
    """By the test above."""
    assert PYTHON.search(f"do {text}, say")


def test_titles_are_in_the_words_of_no_surface() -> None:
    """They stand in tables that both read."""
    for rule in (*RULES.values(), *MACHINE_RULES.values()):
        assert not re.search(r"\w=|--[a-z]|\bon_[a-z]+", rule.title), rule.code


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        (
            MACHINE_RULES["after-owed"].remedy,
            "mlsssl renew or mlsssl renew --all --due of this key with the same steps",
        ),
        (MACHINE_RULES["after-failed"].remedy, "the same steps, --after STEP, goes on with it"),
        (MACHINE_RULES["reservation-for-anybody"].remedy, "mlsssl reservation update URL --user ACCOUNT"),
        (MACHINE_RULES["key-access-lost"].remedy, "--key-access keep"),
        (
            "recover(); if not, recover(abandon='0.0.0.0:443') does",
            "mlsssl recover; if not, mlsssl recover --abandon 0.0",
        ),
        ("take it out, store.remove_crl(...)", "take it out, mlsssl store remove-crl"),
        ("reuse_key keeps the key, so key cannot be another", "--reuse-key keeps the key, so key cannot be another"),
        ("key_type is for an issuer", "--key-type is for an issuer"),
    ],
)
def test_what_is_turned(text: str, turned: str) -> None:
    assert turned in in_commands(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ca", "renew", "--ca", "ca.pem", "--out", "x.pem", "--reuse-key", "--key", "ec-p256"], "--reuse-key keeps"),
        (["deploy", "0.0.0.0:443", "a.pem", "--key-type", "ec-p256"], "--key-type is for an issuer"),
        (["show", "listing.txt"], "read it with mlsssl audit --listing FILE"),
    ],
)
def test_errors_are_in_commands(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    """As they are reached from the command line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "m.sqlite"))
    EmbeddedMachine().close()
    ca = CertificateAuthority.create("Words", key="ec-p256")
    ca.save("ca.pem")
    ca.issue("a.test").save("a.pem")
    Path("listing.txt").write_text(
        "\nSSL Certificate bindings:\n-------------------------\n\n    IP:port : 0.0.0.0:443\n"
    )
    assert main(words) in (2, 6)
    error = capsys.readouterr().err
    assert said in error
    assert not PYTHON.search(error.replace(str(tmp_path), "")), error
