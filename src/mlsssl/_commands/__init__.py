"""The command line's commands, a module per family; `cli` parses and calls them."""
