"""Write docs/reference.md from the code, or check that it is fresh.

Usage: python tools/make_docs.py [--check]
"""

from __future__ import annotations

import html
import subprocess
import sys
from pathlib import Path

from trueup.catalog import KINDS, describe

TARGET = Path(__file__).parent.parent / "docs" / "reference.md"
HEAD = """# Reference

Made from the code by `make docs`; `make check` fails where it is stale.
"""


def page() -> str:
    """The whole reference: every name with its settings, then every command."""
    return "\n".join([HEAD, *(_names(kind) for kind in KINDS), "## Commands\n", _commands()])


def _names(kind: str) -> str:
    rows = [f"## {kind.capitalize()}\n", "| name | settings | what it does |", "|---|---|---|"]
    for row in describe(kind):
        settings = ", ".join(f"`{key}={_visible(value)}`" for key, value in row.settings.items())
        rows.append(f"| `{row.name}` | {settings} | {row.about.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


def _visible(value: object) -> str:
    return str(value).replace("\n", "\\n")


def _commands() -> str:
    command = [sys.executable, "-m", "typer", "trueup.cli.app", "utils", "docs", "--name", "trueup"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.rstrip() for line in html.unescape(done.stdout).splitlines()]
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in lines).strip() + "\n"


def main() -> int:
    """Write the page, or say whether it is fresh."""
    text = page()
    if "--check" not in sys.argv:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    print(f"{TARGET.name} is stale; run `make docs`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
