"""Windows' DLLs through cffi, for whatever needs one: C declarations, the one FFI, error codes by name."""
