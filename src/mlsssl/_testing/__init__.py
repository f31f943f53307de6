"""What `mlsssl.testing` is made of: a clock, TLS at both ends, machines to throw away, Windows without Windows."""
