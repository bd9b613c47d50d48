"""Expressions that both syntaxes build alike: words in a lexicon, tables, cells chosen by a variable."""

from __future__ import annotations

from collections.abc import Sequence

from trueup.core.csp.program import Const, Expr, Node, Ref, Table
from trueup.core.csp.scope import LETTER, Scope
from trueup.core.errors import BadInput


def spells(scope: Scope, lexicon: str, letters: Sequence[Expr]) -> Table:
    """The letters make one of a lexicon's words of their number."""
    rows = scope.words(lexicon, len(letters))
    odd = next((one for one in letters if not _is_letter(scope, one)), None)
    if odd is not None:
        raise BadInput("spells takes variables declared as letter, behind the lexicon's name")
    return Table(tuple(letters), rows)


def table(columns: Sequence[Expr], rows: Sequence[Sequence[Expr]]) -> Table:
    """The columns together are one of the rows."""
    if any(not isinstance(one, Const) or not isinstance(one.value, int) for row in rows for one in row):
        raise BadInput("a row of a table holds whole numbers or labels")
    numbers = tuple(tuple(int(one.value) for one in row if isinstance(one, Const)) for row in rows)
    return Table(tuple(columns), numbers)


def element(scope: Scope, name: str, places: Sequence[Expr]) -> Node:
    """A cell whose places are expressions: the one at the number that they come to, row after row."""
    sizes, place = scope.sizes(name, len(places)), places[0]
    for size, further in zip(sizes[1:], places[1:], strict=True):
        before = Node("*", (Node("-", (place, Const(1))), Const(size)))
        place = Node("sum", (before, further))
    return Node("element", (place, *scope.all_cells(name)))


def negated(expr: Expr) -> Expr:
    """An expression with the other sign; a number is one still."""
    return Const(-expr.value) if isinstance(expr, Const) and not expr.enum else Node("neg", (expr,))


def truth(value: bool) -> Node:
    """What always holds, or never does."""
    return Node("==", (Const(0), Const(0 if value else 1)))


def total(terms: Sequence[Expr]) -> Expr:
    """Terms added up."""
    if len(terms) > 2:
        return Node("sum", tuple(terms))
    return Node("+", (terms[0], terms[1])) if len(terms) == 2 else terms[0]


def _is_letter(scope: Scope, one: Expr) -> bool:
    if isinstance(one, Ref):
        return one.name in scope.variables and scope.variables[one.name].enum == LETTER
    return isinstance(one, Const) and one.enum == LETTER
