"""Where commands write: the terminal's width, or a fixed one where the output goes elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 118


def verbatim(**settings: Any) -> Console:
    """A console that writes every text as it stands: brackets and colons in a name are part of it."""
    return Console(markup=False, emoji=False, **settings)


def screen() -> Console:
    """Standard output."""
    console = verbatim(soft_wrap=False)
    return console if console.is_terminal else verbatim(width=PIPED_WIDTH)


def aside() -> Console:
    """Standard error, for what is no result."""
    return verbatim(stderr=True, soft_wrap=True)


def warn(lines: Iterable[str]) -> None:
    """Warnings on standard error, where they are in the way of no result."""
    for line in lines:
        aside().print(f"  {line}", style="yellow", highlight=False)


def table(left: tuple[str, ...], right: tuple[str, ...] = (), *, title: str | None = None) -> Table:
    """A plain table: words to the left, figures to the right."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in left:
        made.add_column(heading)
    for heading in right:
        made.add_column(heading, justify="right")
    return made
