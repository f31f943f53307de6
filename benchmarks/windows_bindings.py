"""What the Windows machine adds to bare cffi calls: one binding read and written, a listing, and its import.

Run it on Windows as administrator, or here under Wine:

    python tests/windows/wine.py run -- benchmarks/windows_bindings.py

It uses ports 20000 to 20999 of the scoped central certificate store and removes what it adds. It ends with 1 when a
bound is broken: 3 times the bare call for a read or a write, a listing that costs per binding what the bare calls
cost, 30 ms for the import. Bare means: initialised once, structures filled in once, nothing decoded.
"""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING

from ratios import Ratio, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._windows.dlls import HttpApi

MOST_RATIO = 3.0
MOST_IMPORT = 30.0  # milliseconds; under Wine, by the clock, 33 came out, and what Windows takes is not known
MOST_GROWTH = 1.5  # of the cost of one more binding over that of the bare calls, from 100 bindings to 1,000


def best(act: Callable[[], object], *, repeat: int = 15, number: int = 20) -> float:
    """Seconds of one run: the least of many rounds, for everything else is other people's work."""
    rounds = []
    for _ in range(repeat):
        begin = time.perf_counter()
        for _ in range(number):
            act()
        rounds.append((time.perf_counter() - begin) / number)
    return min(rounds)


def import_cost(module: str) -> float:
    """Seconds that a module of the Windows machine takes on top of `import mlsssl`, in fresh processes."""
    code = (
        f"import time, mlsssl, mlsssl.machine; begin = time.perf_counter(); import {module}; "
        "print(time.perf_counter() - begin)"
    )
    command = [sys.executable, "-c", code]
    runs = [
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
        for _ in range(10)
    ]
    return min(map(float, runs))


def main() -> int:
    """Measure and judge."""
    from mlsssl._formats.binding_keys import BindingFamily, BindingOptions, ScopedCcs
    from mlsssl._machine.ports import BindingRecord
    from mlsssl._native.cdata import NULL, ffi
    from mlsssl._windows import binding_records as codec
    from mlsssl._windows.bindings import WindowsBindings
    from mlsssl._windows.dlls import SystemDlls

    def record(port: int) -> BindingRecord:
        key = ScopedCcs("benchmark.example", port)
        options = BindingOptions(http2=False)
        return BindingRecord(key=key, thumbprint=None, store_name=None, app_id=uuid.UUID(int=1), options=options)

    dlls = SystemDlls()
    api: HttpApi = dlls.httpapi
    bindings = WindowsBindings(dlls, lambda _thumbprint, _store: ())
    family = codec.FAMILIES[BindingFamily.SCOPED_CCS]
    first = record(20000)
    set_structure, _set_owners = codec.encode(first)
    key_structure, _key_owners = codec.encode_key(first.key)
    exact, _exact_owners = codec.encode_query(first.key)
    following = ffi.new(f"{family.query_type} *", {"QueryDesc": 1})
    set_size, query_size = ffi.sizeof(family.set_type), ffi.sizeof(family.query_type)
    buffer, needed = ffi.new("uint64_t[]", 64), ffi.new("ULONG *")
    assert not api.HttpInitialize(ffi.new("HTTPAPI_VERSION *", (1, 0))[0], 2, NULL)

    def bare_read() -> int:
        return api.HttpQueryServiceConfiguration(NULL, family.config_id, exact, query_size, buffer, 512, needed, NULL)

    def bare_write() -> None:
        assert not api.HttpSetServiceConfiguration(NULL, family.config_id, set_structure, set_size, NULL)
        assert not api.HttpDeleteServiceConfiguration(NULL, family.config_id, key_structure, set_size, NULL)

    def bare_listing() -> None:
        following.dwToken = 0
        while not api.HttpQueryServiceConfiguration(
            NULL, family.config_id, following, query_size, buffer, 512, needed, NULL
        ):
            following.dwToken += 1

    def write() -> None:
        bindings.add(first)
        bindings.remove(first.key)

    found: list[Ratio] = []
    present = [one.key for one in bindings.all() if one.key.family is BindingFamily.SCOPED_CCS]
    if present:
        print(f"this machine has scoped CCS bindings of its own: {', '.join(map(str, present))}", file=sys.stderr)
        return 2
    added: list[BindingRecord] = []
    try:
        bare, ours = best(bare_write), best(write)
        detail = f"{ours * 1e6:.1f} µs against {bare * 1e6:.1f} µs"
        found.append(Ratio("a binding added and removed / bare calls", ours / bare, MOST_RATIO, detail=detail))
        bindings.add(first)
        added.append(first)
        assert bare_read() == 0
        bare, ours = best(bare_read), best(lambda: bindings.find(first.key))
        detail = f"{ours * 1e6:.1f} µs against {bare * 1e6:.1f} µs"
        found.append(Ratio("a binding read / bare calls", ours / bare, MOST_RATIO, detail=detail))
        shares = []
        for count in (100, 1000):
            for port in range(20000 + len(added), 20000 + count):
                bindings.add(record(port))
                added.append(record(port))
            bare, ours = best(bare_listing, repeat=3, number=1), best(bindings.all, repeat=3, number=1)
            shares.append((ours - bare) / count)
            print(
                f"list {count}: bare {bare * 1e3:.1f} ms, library {ours * 1e3:.1f} ms, {shares[-1] * 1e6:.1f} µs each"
            )
        detail = f"{shares[1] * 1e6:.1f} µs against {shares[0] * 1e6:.1f} µs"
        found.append(Ratio("listing, a binding of 1,000 / of 100", shares[1] / shares[0], MOST_GROWTH, detail=detail))
    finally:
        for each in added:
            bindings.remove(each.key)
        api.HttpTerminate(2, NULL)
    imported = import_cost("mlsssl._windows.machine") * 1e3
    found.append(Ratio("ms to import the Windows machine", imported, MOST_IMPORT))
    stores = import_cost("mlsssl._windows.machine, mlsssl._windows.stores")
    print(f"import of the Windows machine and, as the first use of a store does, of its stores: {stores * 1e3:.1f} ms")
    return report(found)


if __name__ == "__main__":
    raise SystemExit(main())
