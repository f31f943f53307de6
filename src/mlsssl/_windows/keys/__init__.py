"""Private keys in Windows: CNG and CSP, their BLOBs, PFX import, and what an unfinished import leaves over."""
