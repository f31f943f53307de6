"""`mlsssl makecert | pvk2pfx | netsh …`: the command lines of the tools that the manual procedure uses."""
