"""What Jupyter shows: cards, their contents, and timelines; nothing here knows a public noun."""
