"""Where a training leaves what it made."""

from __future__ import annotations

CARD = "card.json"
"""In its folder: what was trained, on what, and what it cost."""
MADE = ("adapter", "model")
"""Below its folder: an adapter, or whole weights."""
