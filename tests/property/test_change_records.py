"""Records of changes: what is written is read back whole, and whatever else lies there is refused in one way."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
import uuid
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mlsssl._changes.record import (
    Addition,
    Change,
    ChangeRecords,
    Mark,
    ReservationChange,
    key_text,
    record_from_dict,
    record_to_dict,
)
from mlsssl._formats.binding_keys import BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs, parse_binding_key
from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine.ports import BindingRecord, ReservationRecord
from mlsssl.errors import MalformedDataError
from mlsssl.values import Thumbprint

dwords = st.integers(0, 2**32 - 1)
ports = st.integers(1, 65535)
hosts = st.sampled_from(["a.test", "*.a.test", "*", "xn--bcher-kva.example", "host_1"])
addresses = st.ip_addresses().map(lambda one: str(one).partition("%")[0])
keys = st.one_of(
    st.builds(IpPort, addresses, ports),
    st.builds(HostnamePort, hosts, ports),
    st.builds(CcsPort, ports),
    st.builds(ScopedCcs, hosts, ports),
)
thumbprints = st.binary(min_size=20, max_size=20).map(Thumbprint)
texts = st.text(
    st.characters(exclude_characters="\0\\", exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn")), min_size=1, max_size=20
)
options = st.builds(
    BindingOptions.from_numbers,
    flags=dwords,
    check_mode=dwords,
    freshness_seconds=dwords,
    timeout_milliseconds=dwords,
    ctl_identifier=st.none() | texts,
    ctl_store_name=st.none() | texts,
)


@st.composite
def records(draw: st.DrawFn) -> BindingRecord:
    """A record of any family, with any bits."""
    key = draw(keys)
    named = key.family.has_certificate
    store = draw(texts | st.none() if isinstance(key, IpPort) else texts) if named else None
    return BindingRecord(
        key=key,
        thumbprint=draw(thumbprints) if named else None,
        store_name=store,
        app_id=draw(st.uuids()),
        options=draw(options),
    )


prefixes = st.builds(UrlPrefix, st.sampled_from(["https://+:443/", "http://*:1/a/", "https://b.test:2/C/"]))
prefixes |= st.sampled_from(["HTTPS://+:443/", "https://+:443:10.0.0.5/", "odd", "http://B.test:1/"]).map(
    UrlPrefix.as_stored
)
reservations = st.builds(ReservationRecord, url=prefixes, sddl=st.text(st.characters(exclude_characters="\0")))
reservation_changes = st.builds(
    ReservationChange, url=prefixes, before=st.none() | reservations, after=st.none() | reservations
)
changes = st.builds(
    Change,
    verb=st.sampled_from(["deploy", "renew", "undo", "update"]),
    key=keys,
    reservation=st.none() | reservation_changes,
    before=st.none() | records(),
    after=st.none() | records(),
    additions=st.lists(
        st.builds(
            Addition,
            store=texts,
            thumbprint=thumbprints,
            role=st.sampled_from(["leaf", "intermediate", "root"]),
            was=st.sampled_from(["absent", "without-key", "unusable-key", "whole"]),
            friendly_name=st.none() | st.text(),
            archived=st.booleans(),
            renewed_by=st.none() | thumbprints,
            certificate=st.none() | st.binary(max_size=50),
        ),
        max_size=2,
    ).map(tuple),
    marks=st.lists(
        st.builds(Mark, store=texts, thumbprint=thumbprints, before=st.none() | thumbprints, after=thumbprints),
        max_size=2,
    ).map(tuple),
    services=st.lists(texts, max_size=2).map(tuple),
    started=st.datetimes(timezones=st.just(dt.timezone.utc)),
    process=st.integers(1, 2**31),
    back=st.booleans(),
    audit_log=st.none() | texts.map(lambda text: Path("/var") / text.replace("/", "_")),
    bound=st.lists(thumbprints, max_size=3).map(tuple),
    also=st.lists(st.tuples(records(), records()), max_size=2).map(tuple),
)


@given(keys)
def test_every_key_has_a_text_of_its_own(key: IpPort | HostnamePort | CcsPort | ScopedCcs) -> None:
    """Two families print alike; here they do not."""
    assert parse_binding_key(key_text(key)) == key


@given(records())
def test_no_bit_of_a_record_is_lost(record: BindingRecord) -> None:
    """Through JSON and back."""
    assert record_from_dict(json.loads(json.dumps(record_to_dict(record)))) == record


@settings(deadline=None)  # each example waits for the disk several times
@given(changes)
def test_a_change_is_read_back_as_it_was_written(change: Change) -> None:
    """While it runs, when it is turned back, and as the last one of its key."""
    with tempfile.TemporaryDirectory() as folder:
        kept = ChangeRecords(Path(folder))
        assert kept.pending() == ()
        kept.begin(change)
        assert [one.change for one in kept.pending()] == [change]
        turned = kept.turn_back(change)
        assert turned.back
        assert [one.change for one in kept.pending()] == [turned]
        kept.begin(change)
        kept.finish(change)
        assert kept.pending() == ()
        assert change.key is not None
        for key in change.keys:
            here = change if key == change.key else replace(change, owed=())  # what is owed is owed once
            assert kept.last(key) == (here if change.verb in ("deploy", "renew") else None)
        kept.forget(change)
        assert [kept.last(key) for key in change.keys] == [None] * len(change.keys)


_SAMPLE = Change(
    verb="deploy",
    key=IpPort("0.0.0.0", 443),
    before=None,
    after=BindingRecord(
        key=IpPort("0.0.0.0", 443),
        thumbprint=Thumbprint(bytes(20)),
        store_name="MY",
        app_id=uuid.UUID(int=1),
        options=BindingOptions(),
    ),
    started=dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc),
    process=1,
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A record with one thing wrong: a value replaced or removed, or the text cut or changed."""
    with tempfile.TemporaryDirectory() as folder:
        ChangeRecords(Path(folder)).begin(_SAMPLE)
        text = next(Path(folder).glob("change-*.json")).read_bytes()
    if draw(st.booleans()):
        place = draw(st.integers(0, len(text) - 1))
        return text[:place] + draw(st.binary(max_size=4)) + text[place + draw(st.integers(0, 4)) :]
    read = json.loads(text)
    inner = draw(st.sampled_from([read, read["after"]]))
    name = draw(st.sampled_from(sorted(inner)))
    numbers = st.integers() | st.just(10**30) | st.floats()
    inner[name] = draw(st.one_of(st.none(), st.booleans(), numbers, st.text(), st.just([]), st.just({})))
    return json.dumps(read).encode()


@given(st.binary(max_size=200) | damaged())
def test_whatever_lies_there_is_read_or_refused_in_one_way(data: bytes) -> None:
    """MalformedDataError and nothing else; what is read can be written again. Also what an earlier version has left."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "change.json"
        path.write_bytes(data)
        kept = ChangeRecords(Path(folder))
        (found,) = kept.pending()
        assert (found.change is None) == isinstance(found.error, MalformedDataError)
        assert found.title
        if found.change is not None:
            kept.finish(found.change, keep=False, path=found.path)
            kept.begin(found.change)
            assert [one.change for one in kept.pending()] == [found.change]
        else:
            kept.abandon(found)
            assert kept.pending() == ()
