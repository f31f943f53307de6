"""Write `_native/_generated.py` anew from the C texts."""

from __future__ import annotations

from mlsssl._native.declarations import generate, generated_path

if __name__ == "__main__":
    generated_path().write_text(generate(), encoding="utf-8", newline="\n")
