"""Generated constraint puzzles, a file a family."""

from trueup.tasks.csp.source import csp, prompt, puzzles

__all__ = ["csp", "prompt", "puzzles"]
