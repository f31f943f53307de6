"""Text that users see: foreign text made harmless, messages about wrong arguments, HTML and JSON."""
