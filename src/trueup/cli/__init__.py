"""The command line."""

from trueup.cli.app import main

__all__ = ["main"]
