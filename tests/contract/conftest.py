"""The machines that the contract holds for: every module of `subjects` adds its own."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.subjects.kinds import BindingsSubject, HttpSubject, ServicesSubject, StoresSubject


def _makers(attribute: str) -> list[Any]:
    makers: dict[str, Any] = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent / "subjects")]):
        makers.update(getattr(importlib.import_module(f"contract.subjects.{module.name}"), attribute, {}))
    return [pytest.param(maker, id=name) for name, maker in sorted(makers.items())]


@pytest.fixture(name="bindings_subject", params=_makers("BINDINGS"))
def _bindings_subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BindingsSubject]:
    with request.param(tmp_path) as subject:
        yield subject


@pytest.fixture(name="http_subject", params=_makers("HTTP"))
def _http_subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HttpSubject]:
    with request.param(tmp_path) as subject:
        yield subject


@pytest.fixture(name="services_subject", params=_makers("SERVICES"))
def _services_subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServicesSubject]:
    with request.param(tmp_path) as subject:
        yield subject


@pytest.fixture(name="stores_subject", params=_makers("STORES"))
def _stores_subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoresSubject]:
    with request.param(tmp_path) as subject:
        yield subject
