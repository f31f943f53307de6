"""Runners, on the master."""
