"""Completion in shells: each has a short script, which asks `candidates` at every Tab; that imports next to nothing."""
