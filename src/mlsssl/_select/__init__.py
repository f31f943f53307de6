"""Choose the machine, and who checks certificates on it."""
