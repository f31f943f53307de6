"""Fakes of Windows' DLLs for tests on any system: same codes, same strictness, faults on demand.

Each imitates one Protocol of `mlsssl._windows.dlls` on cffi's own data, counts what is open, records the calls, and
fails at a chosen call with a chosen code.
"""
