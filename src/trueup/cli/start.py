"""Where a command starts: from the first moment on Ctrl-C is one line, and a warning too."""

from __future__ import annotations

import sys
import warnings

INTERRUPTED = "interrupted; what was paid is kept: run the same command again to go on"


def main() -> None:
    """Read the command line in, which takes a second, and run it."""
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        from trueup.cli.app import main as run

        run()
    except KeyboardInterrupt:
        print(f"error: {INTERRUPTED}", file=sys.stderr)
        sys.exit(2)
