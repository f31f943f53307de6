"""Text about TLS bindings: netsh's command lines, its listings, and JSON. `mlsssl.netsh` is the public door."""
