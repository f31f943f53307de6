"""What is said to the user: foreign text made harmless, arguments that are wrong, HTML and JSON."""
