"""What a machine has to keep and answer, and what both machines share: files, rights, locks, precedence, handshakes."""
