"""The task that comes with the house: what every model should still know after a training."""

from __future__ import annotations

from pathlib import Path

GENERAL = Path(__file__).parent / "general"
"""A folder with task.toml; its name is what a user types."""
