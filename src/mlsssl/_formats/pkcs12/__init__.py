"""PKCS#12 (RFC 7292), the format of .pfx and .p12 files."""
