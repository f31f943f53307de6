"""The embedded machine's TLS listener: connections, ClientHello, HTTP, and what answers."""
