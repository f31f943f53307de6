"""HTML and SVG for Jupyter: cards, their contents, and timelines, from plain values."""
