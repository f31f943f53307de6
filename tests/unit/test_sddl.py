"""Access lists in SDDL: what they say, and that what is none is refused in bounded time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl import MalformedDataError
from mlsssl._formats import sddl


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("D:(A;;GX;;;S-1-5-20)", [("S-1-5-20", True, False)]),
        ("D:(A;;GW;;;WD)", [("S-1-1-0", False, True)]),
        ("D:(A;;GA;;;BU)(a;;gx;;;ns)", [("S-1-5-32-545", True, True), ("S-1-5-20", True, False)]),
        ("D:(A;;GXGW;;;S-1-5-80-0)", [("S-1-5-80-0", True, True)]),
        ("D:(A;;0x20000000;;;SY)", [("S-1-5-18", True, False)]),
        ("D:(A;;536870912;;;SY)", [("S-1-5-18", True, False)]),
        ("D:(A;;04000000000;;;SY)", [("S-1-5-18", True, False)]),
        ("D:(A;;FA;;;SY)", [("S-1-5-18", False, False)]),
        ("D:(A;;GX;;;LA)", [(None, True, False)]),
        ("O:BAG:SYD:PAI(A;CI;GX;;;WD)S:(AU;;GA;;;WD)", [("S-1-1-0", True, False)]),
        (" D:(A;;GX;;;WD)\n  (A;;GX;;;BU) ", [("S-1-1-0", True, False), ("S-1-5-32-545", True, False)]),
        ("D:", []),
        ("D:NO_ACCESS_CONTROL", []),
    ],
)
def test_an_access_list_is_read_entry_by_entry(text: str, said: list[tuple[str | None, bool, bool]]) -> None:
    """Generic rights as HTTP.sys takes them, aliases and SIDs, numbers in three bases; audit entries are no matter."""
    assert [(entry.sid, entry.listens, entry.delegates) for entry in sddl.entries(text)] == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "everyone",
        "O:BAG:SY",
        "S:(AU;;GA;;;WD)",
        "D:(A;;GX;;;Everyone)",
        "D:(A;;GX;;;DOMAIN\\user)",
        "D:(A;;GX;;;S-1)",
        "D:(A;;GX;;;)",
        "D:(A;;GX;;S-1-5-20)",
        "D:(A;;GX;;;S-1-5-20",
        "D:A;;GX;;;S-1-5-20",
        "D:(A;;GX;;;S-1-5-20)x",
        "D:" + "(A;;GX;;;WD)" * 10_000,
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    """One error, of few words however long the text."""
    with pytest.raises(MalformedDataError) as caught:
        sddl.entries(text)
    assert len(str(caught.value)) < 1000


def test_a_long_text_costs_little() -> None:
    """No pattern of ours goes back over what it has read."""
    for text in ("D:" + "(" * 60_000, "D:" + "(A;;GX;;;WD" * 5000, "D:" + " " * 60_000 + "x", "O:" + "S-1-" * 15_000):
        started = time.process_time()
        with pytest.raises(MalformedDataError):
            sddl.entries(text)
        assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("D:(A;;GX;;;WD)", "D:(A;;GX;;;S-1-1-0)"),
        ("D:(A;;GX;;;WD)", "d:(a;;gx;;;wd)"),
        ("D:(A;;GXGW;;;WD)", "D:(A;;GWGX;;;WD)"),
        ("D:(A;;0x20000000;;;WD)", "D:(A;;GX;;;WD)"),
        ("D:(A;;GX;;;WD)", "O:BAG:SYD:(A;;GX;;;WD)"),
        ("nonsense", "nonsense"),
    ],
)
def test_two_texts_may_say_the_same(one: str, other: str) -> None:
    """A machine may give a list back in other words than it took."""
    assert sddl.same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("D:(A;;GX;;;WD)", "D:(D;;GX;;;WD)"),
        ("D:(A;;GX;;;WD)", "D:(A;;GA;;;WD)"),
        ("D:(A;;GX;;;WD)", "D:(A;;GX;;;BU)"),
        ("D:(A;;GX;;;WD)(A;;GX;;;BU)", "D:(A;;GX;;;BU)(A;;GX;;;WD)"),
        ("D:(A;;GX;;;WD)", "D:P(A;;GX;;;WD)"),
        ("D:(A;;GX;;;WD)", "D:(A;CI;GX;;;WD)"),
        ("D:(A;;GX;;;WD)", "D:(A;;GX;;;WD)S:(AU;;GA;;;WD)"),
        ("nonsense", "Nonsense"),
    ],
)
def test_and_what_differs_does_not(one: str, other: str) -> None:
    """Order counts too: the first entry that fits decides."""
    assert not sddl.same(one, other)


SIDS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=6).map(
    lambda numbers: "-".join(["S-1-5", *map(str, numbers)])
)


@given(st.lists(st.tuples(SIDS, st.sampled_from([(True, False), (True, True), (False, True)])), min_size=1, max_size=5))
def test_what_is_written_says_what_was_meant(grants: list[tuple[str, tuple[bool, bool]]]) -> None:
    """Every grant is one plain entry."""
    text = sddl.write((sid, *rights) for sid, rights in grants)
    found = sddl.entries(text)
    assert [(entry.sid, (entry.listens, entry.delegates)) for entry in found] == grants
    assert all(entry.is_plain for entry in found)


@given(st.text(max_size=80) | st.from_regex(r"D:\w{0,6}(\([^()]{0,30}\)){0,3}"))
def test_any_text_is_a_list_or_refused(text: str) -> None:
    """Nothing but our own error; comparing it with itself says that it is the same."""
    assert sddl.same(text, text)
    try:
        found = sddl.entries(text)
    except MalformedDataError:
        return
    for entry in found:
        assert entry.mask is None or 0 <= entry.mask < 1 << 32
        assert isinstance(entry.is_plain, bool)
