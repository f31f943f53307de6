"""HTML and SVG for Jupyter: the pieces that cards are made of, and timelines, from plain values."""
