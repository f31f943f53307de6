"""HTTPS for a Windows service, renewed for ever, in one call."""
