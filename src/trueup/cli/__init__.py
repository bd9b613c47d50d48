"""The command line."""

from trueup.cli.start import main

__all__ = ["main"]
