"""Reads one expression of the line language, by binding powers (Pratt 1973)."""

from __future__ import annotations

from collections.abc import Sequence

from trueup.core.csp import build
from trueup.core.csp.lexer import Token
from trueup.core.csp.operators import OPERATORS
from trueup.core.csp.program import Const, Expr, Node
from trueup.core.csp.reader import Reader, placed, read_number
from trueup.core.errors import BadInput

SPELLINGS = {"=": "==", "->": "implies", "<->": "iff"}
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
CALLS = frozenset(name for name, operator in OPERATORS.items() if not operator.power and name != "neg")
NOT, NEG = OPERATORS["not"].power, 9
ANYTHING = 0
Places = tuple[int] | range
"""The places along one of an array's dimensions."""


def read_expression(reader: Reader, power: int = ANYTHING) -> Expr:
    """The longest expression from here whose operations bind tighter than `power`."""
    reader.depth += 1
    reader.hold("depth", reader.depth)
    column = reader.here.column
    left = _extended(reader, reader.marked(_operand(reader), column), power)
    reader.depth -= 1
    return left


def _extended(reader: Reader, left: Expr, power: int) -> Expr:
    """An expression with the operations behind it that bind tighter than `power`."""
    while (op := _infix(reader)) and OPERATORS[op].power > power:
        column = reader.here.column
        left = reader.marked(_behind(reader, left, op), column)
    return left


def read_list(reader: Reader, end: str) -> list[Expr]:
    """Expressions up to a closing mark, commas between them; a slice of an array gives all its cells."""
    found: list[Expr] = []
    while not reader.skip(end):
        found.extend(_several(reader))
        if not reader.skip(","):
            reader.want(end)
            break
    return found


def _infix(reader: Reader) -> str | None:
    token = reader.here
    op = SPELLINGS.get(token.text, token.text)
    return op if token.sort in ("mark", "name") and op in OPERATORS and OPERATORS[op].power and op != "not" else None


def _behind(reader: Reader, left: Expr, op: str) -> Expr:
    """The operation that begins with `left`; runs of one operation and chains of comparisons become one."""
    if op in COMPARISONS:
        return _comparison(reader, left)
    if op in ("and", "or"):
        return Node(op, (left, *_run(reader, op)))
    if op in ("+", "-"):
        return _sum(reader, left)
    reader.take()
    power = OPERATORS[op].power
    return Node(op, (left, read_expression(reader, power - 1 if op in ("^", "implies") else power)))


def _run(reader: Reader, op: str) -> list[Expr]:
    found = []
    while reader.skip(op):
        found.append(read_expression(reader, OPERATORS[op].power))
    return found


def _sum(reader: Reader, left: Expr) -> Expr:
    terms: list[tuple[str, Expr]] = []
    while reader.here.sort == "mark" and reader.here.text in ("+", "-"):
        sign = reader.take().text
        terms.append((sign, read_expression(reader, OPERATORS[sign].power)))
    if len(terms) == 1:
        return Node(terms[0][0], (left, terms[0][1]))
    return build.total([left, *(one if sign == "+" else build.negated(one) for sign, one in terms)])


def _comparison(reader: Reader, left: Expr) -> Expr:
    links: list[Expr] = []
    while (op := _infix(reader)) in COMPARISONS:
        column = reader.take().column
        right = read_expression(reader, OPERATORS["=="].power)
        links.append(reader.marked(Node(str(op), (left, right)), column))
        left = right
    return links[0] if len(links) == 1 else Node("and", tuple(links))


def _operand(reader: Reader) -> Expr:
    token = reader.here
    if token.sort == "number":
        return Const(read_number(reader))
    if reader.skip("("):
        inner = read_expression(reader)
        reader.want(")")
        return inner
    if reader.skip("-"):
        return build.negated(read_expression(reader, NEG))
    if reader.skip("not"):
        return Node("not", (read_expression(reader, NOT),))
    if token.sort in ("name", "quoted"):
        return _named(reader)
    raise reader.error(f"a number, a name or a bracket is wanted here, not {reader.shown()}")


def _named(reader: Reader) -> Expr:
    token = reader.take()
    try:
        return _meant(reader, token)
    except BadInput as error:
        raise placed(error, token.column) from None


def _meant(reader: Reader, token: Token) -> Expr:
    """What a name stands for, with what belongs to it."""
    if token.sort == "name" and token.text in ("true", "false"):
        return build.truth(token.text == "true")
    if token.sort == "name" and reader.here.text == "(" and reader.here.sort == "mark":
        return _call(reader, token)
    if reader.skip("["):
        return _one(_cells(reader, token.text), token.text)
    if reader.skip("."):
        return reader.scope.label(token.text, reader.take().text)
    return reader.scope.expr(token.text)


def _call(reader: Reader, token: Token) -> Expr:
    reader.want("(")
    if token.text == "spells":
        lexicon = reader.take().text
        reader.want(",")
        return build.spells(reader.scope, lexicon, read_list(reader, ")"))
    if token.text == "table":
        return _table(reader)
    if token.text not in CALLS:
        offered = ", ".join(sorted(CALLS | {"spells", "table"}))
        raise BadInput(f"there is no {token.text!r}; known: {offered}")
    return Node(token.text, tuple(read_list(reader, ")")))


def _table(reader: Reader) -> Expr:
    reader.want("(")
    columns, rows = read_list(reader, ")"), []
    while reader.skip(","):
        reader.want("(")
        rows.append(read_list(reader, ")"))
    reader.want(")")
    return build.table(columns, rows)


def _several(reader: Reader) -> list[Expr]:
    """One argument: an expression, a list in brackets, or the cells of a slice."""
    if reader.skip("["):
        return read_list(reader, "]")
    ahead = reader.tokens[reader.place + 1] if reader.here.sort != "end" else reader.here
    if reader.here.sort in ("name", "quoted") and ahead.text == "[":
        return _slice(reader)
    if (
        reader.here.sort in ("name", "quoted")
        and reader.here.text in reader.scope.arrays
        and ahead.text in (",", ")", "]")
    ):
        return [*reader.scope.all_cells(reader.take().text)]
    return [read_expression(reader)]


def _slice(reader: Reader) -> list[Expr]:
    """The cells of a slice that is a whole argument; where more follows, the expression that begins with the cell."""
    token = reader.take()
    reader.want("[")
    try:
        cells = _cells(reader, token.text)
        if reader.here.text in (",", ")", "]"):
            return cells
        first = reader.marked(_one(cells, token.text), token.column)
    except BadInput as error:
        raise placed(error, token.column) from None
    return [_extended(reader, first, ANYTHING)]


def _one(cells: Sequence[Expr], name: str) -> Expr:
    if len(cells) != 1:
        raise BadInput(f"these are {len(cells)} cells of {name!r}; one is wanted here")
    return cells[0]


def _cells(reader: Reader, name: str) -> list[Expr]:
    """The cells that places in brackets name: numbers, `*`, ranges, or expressions, which choose one cell."""
    places: list[Places | Expr] = []
    while True:
        places.append(_place(reader, name, len(places)))
        if not reader.skip(","):
            reader.want("]")
            break
    named = [place for place in places if isinstance(place, tuple | range)]
    if len(named) == len(places):
        return [*reader.scope.cells(name, named)]
    if any(len(place) != 1 for place in named):
        raise BadInput(f"a slice of {name!r} and a place that is not a number cannot go together")
    chosen = [Const(place[0]) if isinstance(place, tuple | range) else place for place in places]
    return [build.element(reader.scope, name, chosen)]


def _place(reader: Reader, name: str, axis: int) -> Places | Expr:
    if reader.skip("*"):
        return reader.scope.along(name, axis)
    if reader.here.sort == "number" and reader.tokens[reader.place + 1].text in (",", "]"):
        return (int(read_number(reader)),)
    place = read_expression(reader)
    if not isinstance(place, Const):
        return place
    if reader.skip(".."):
        last = read_expression(reader)
        if not isinstance(last, Const):
            raise reader.error("a range of cells runs between numbers")
        return range(int(place.value), int(last.value) + 1)
    return (int(place.value),)
