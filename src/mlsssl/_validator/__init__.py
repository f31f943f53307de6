"""Is this certificate right for this purpose (RFC 5280 and what browsers and Windows add): pure."""
