"""Where commands write: the terminal's width, or a fixed one where the output goes elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 118


def screen() -> Console:
    """Standard output."""
    console = Console(soft_wrap=False, emoji=False)
    return console if console.is_terminal else Console(width=PIPED_WIDTH, emoji=False)


def aside() -> Console:
    """Standard error, for what is no result."""
    return Console(stderr=True, soft_wrap=True, emoji=False)


def warn(lines: Iterable[str]) -> None:
    """Warnings on standard error, where they are in the way of no result."""
    for line in lines:
        aside().print(f"  {line}", style="yellow", markup=False, highlight=False)


def table(left: tuple[str, ...], right: tuple[str, ...] = (), *, title: str | None = None) -> Table:
    """A plain table: words to the left, figures to the right."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in left:
        made.add_column(heading)
    for heading in right:
        made.add_column(heading, justify="right")
    return made
