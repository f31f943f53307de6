"""The ACME protocol (RFC 8555) behind `mlsssl.issuers.acme`, and the answers to its challenges."""
