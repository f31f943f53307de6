"""Changes of a machine, written down before they are made: write-ahead record, recovery, audit log, undo."""
