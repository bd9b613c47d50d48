"""Tables: right-set numbers, sortable columns, a box of their own to scroll in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trueup.report.svg import el
from trueup.report.words import safe


@dataclass(frozen=True, slots=True)
class Cell:
    """Markup for a cell and what sorting goes by; a cell without a class is a number, and set to the right."""

    markup: str
    order: str | float | None = None
    class_: str | None = None


def words(text: object, *, class_: str = "words") -> Cell:
    """A cell of text."""
    return Cell(safe(text), str(text), class_)


def figure(text: str, value: float | None) -> Cell:
    """A cell of a number, as people read it and as it is."""
    return Cell(safe(text), value)


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, label: str, sortable: bool = True) -> str:
    """A table that scrolls inside its box; the first column names the row."""
    head = el("tr", *(_head(text, rows, place, sortable) for place, text in enumerate(heads)))
    body = "".join(el("tr", *(_cell(cell, place == 0, sortable) for place, cell in enumerate(row))) for row in rows)
    grid = el("table", el("thead", head), el("tbody", body), class_="sortable" if sortable else None)
    return el("div", grid, class_="scroll", tabindex="0", role="region", aria_label=label)


def folded(summary: str, *content: str) -> str:
    """Content behind a line that opens it."""
    return el("details", el("summary", safe(summary)), *content, class_="numbers")


def _head(text: str, rows: Sequence[Sequence[Cell]], place: int, sortable: bool) -> str:
    is_number = place > 0 and bool(rows) and rows[0][place].class_ is None
    kept = el("button", safe(text), type="button") if sortable else safe(text)
    return el("th", kept, scope="col", class_=None if is_number else "words")


def _order(cell: Cell) -> str | None:
    return cell.order if cell.order is None or isinstance(cell.order, str) else f"{cell.order:.6g}"


def _cell(cell: Cell, is_name: bool, sortable: bool) -> str:
    order = _order(cell) if sortable else None
    data = {} if order is None or safe(order) == cell.markup else {"data_order": order}
    if is_name:
        return el("th", cell.markup, scope="row", class_=cell.class_, **data)
    return el("td", cell.markup, class_=cell.class_, **data)
