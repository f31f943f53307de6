"""Windows for real: Crypt32, ncrypt, advapi32 and httpapi through cffi."""
