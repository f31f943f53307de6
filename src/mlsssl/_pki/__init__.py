"""Pure certificate logic: values and bytes in, values and bytes out; no file, clock or operating system."""
