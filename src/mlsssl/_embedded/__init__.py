"""The embedded machine: one SQLite file and a real TLS listener."""
