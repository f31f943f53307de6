"""What `mlsssl.strategies` is made of: keys from numbers, names, and chains with one fault."""
