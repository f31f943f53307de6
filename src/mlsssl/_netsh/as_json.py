"""Bindings as JSON, for keeping, comparing and carrying them from one machine to another."""

from __future__ import annotations

import json
import uuid
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mlsssl._formats.binding_keys import BindingOptions, parse_binding_key
from mlsssl._machine.ports import BindingRecord
from mlsssl._messages.arguments import check_data, check_type, items_of
from mlsssl._messages.foreign_text import shown
from mlsssl._netsh.options import TIME_UNITS, changed_options
from mlsssl.errors import InvalidInputError, MalformedDataError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FORMAT = "mlsssl-bindings"
_VERSION = 1
_SIZE_LIMIT = 16 * 1024 * 1024
_MEMBERS = {"key", "thumbprint", "store_name", "app_id", "options"}


def records_of(records: Iterable[BindingRecord]) -> Iterator[BindingRecord]:
    """Each of the records; `InvalidInputError` for something else."""
    expected = "a list of records (Binding.record) is needed"
    for record in items_of(records, expected):
        yield check_type(record, BindingRecord, expected)


def to_json(records: Iterable[BindingRecord]) -> str:
    """The records as ASCII JSON text; of the options only what differs from the defaults, times as whole numbers.

    `revocation_freshness_time` is in seconds and `url_retrieval_timeout` in milliseconds, as Windows keeps them.
    """
    bindings = [_to_object(record) for record in records_of(records)]
    return json.dumps({"format": _FORMAT, "version": _VERSION, "bindings": bindings}, indent=2)


def from_json(text: str | bytes) -> tuple[BindingRecord, ...]:
    """The records in a text that `to_json` wrote, in order.

    Raises:
        MalformedDataError: not JSON, not of this form or version, a member that is unknown or impossible, a key
            twice, or more than 16 MiB.
    """
    text = text if isinstance(text, str) else check_data(text, "JSON is text or bytes")
    if len(text) > _SIZE_LIMIT:
        raise MalformedDataError(f"a JSON text of {len(text)} characters is too long; at most {_SIZE_LIMIT} are read")
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise MalformedDataError(f'this JSON does not say that it holds bindings ("format": "{_FORMAT}")')
        if document.get("version") != _VERSION:
            raise MalformedDataError(f"version {shown(document.get('version'))} of the form is not known; 1 is")
        bindings = document.get("bindings")
        if not isinstance(bindings, list):
            raise MalformedDataError("its bindings are not a list")
        records = tuple(_from_object(one) for one in bindings)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        if isinstance(error, MalformedDataError):
            raise
        raise MalformedDataError(f"this is not a JSON text of bindings: {str(error)[:200]}") from None
    keys = [record.key for record in records]
    if len(set(keys)) != len(keys):
        raise MalformedDataError("a key occurs twice in this JSON text")
    return records


def _to_object(record: BindingRecord) -> dict[str, Any]:
    options = changed_options(record.options)
    # Its default depends on the time: netsh sets it exactly when that is not zero.
    used = record.options.use_revocation_freshness_time
    if used != bool(record.options.revocation_freshness_time):
        options["use_revocation_freshness_time"] = used
    else:
        options.pop("use_revocation_freshness_time", None)
    family = record.key.family
    key = str(record.key)
    return {
        "key": key if not family.has_certificate else f"{family.value}={key}",
        "thumbprint": None if record.thumbprint is None else str(record.thumbprint),
        "store_name": record.store_name,
        "app_id": str(record.app_id),
        "options": options,
    }


def _from_object(found: Any) -> BindingRecord:
    if not isinstance(found, dict) or set(found) - _MEMBERS or not {"key", "app_id"} <= set(found):
        raise MalformedDataError(f"a binding has the members {', '.join(sorted(_MEMBERS))}, and no others")
    options = found.get("options") or {}
    known = {one.name for one in fields(BindingOptions)}
    if not isinstance(options, dict) or set(options) - known:
        raise MalformedDataError(f"options that are not known: {sorted(set(options) - known)}")
    values = {name: _option(name, value) for name, value in options.items()}
    thumbprint = found.get("thumbprint")
    if not isinstance(found["key"], str) or not isinstance(found["app_id"], str):
        raise InvalidInputError("key and app_id are texts")
    return BindingRecord(
        key=parse_binding_key(found["key"]),
        thumbprint=None if thumbprint is None else Thumbprint(thumbprint),
        store_name=found.get("store_name"),
        app_id=uuid.UUID(found["app_id"]),
        options=BindingOptions(**values),
    )


def _option(name: str, value: Any) -> Any:
    default = getattr(BindingOptions(), name)
    if name in TIME_UNITS:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidInputError(f"{name} is a whole number, not {shown(value)}")
        return value * TIME_UNITS[name]
    if isinstance(default, bool) != isinstance(value, bool):
        raise InvalidInputError(f"{name} cannot be {shown(value)}")
    return value
