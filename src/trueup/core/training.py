"""Where a training leaves its files."""

from __future__ import annotations

BEGUN = "train.json"
"""In its folder from its beginning on: what it was asked to do."""
CARD = "card.json"
"""There at its end: what was trained, on what, and what it cost."""
MADE = ("adapter", "model")
"""Below its folder: an adapter, or whole weights."""
