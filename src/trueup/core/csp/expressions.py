"""Reads one expression of the line language, by binding powers (Pratt 1973)."""

from __future__ import annotations

from collections.abc import Sequence

from trueup.core.csp import build
from trueup.core.csp.operators import OPERATORS, Operator
from trueup.core.csp.program import Const, Expr, Node
from trueup.core.csp.reader import Reader, read_number
from trueup.core.csp.scope import whole_place
from trueup.core.errors import BadInput

INFIXES = {name: operator for name, operator in OPERATORS.items() if operator.power and name != "not"}
INFIXES |= {"=": OPERATORS["=="], "->": OPERATORS["implies"], "<->": OPERATORS["iff"]}
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
CALLS = frozenset(name for name, operator in OPERATORS.items() if not operator.power and name != "neg")
NOT, NEG = OPERATORS["not"].power, 9
ANYTHING, ENDS = 0, (",", ")", "]")
Places = tuple[int] | range
"""The places along one of an array's dimensions."""


def read_expression(reader: Reader, power: int = ANYTHING) -> Expr:
    """The longest expression from here whose operations bind tighter than `power`."""
    reader.depth += 1
    reader.hold("depth", reader.depth)
    place = reader.place
    left = _extended(reader, reader.marked(_operand(reader), place), power)
    reader.depth -= 1
    return left


def _extended(reader: Reader, left: Expr, power: int) -> Expr:
    """An expression with the operations behind it that bind tighter than `power`."""
    while (infix := _infix(reader)) and infix.power > power:
        place = reader.place
        left = reader.marked(_behind(reader, left, infix), place)
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


def _infix(reader: Reader) -> Operator | None:
    """The infix operation whose sign comes next."""
    return INFIXES.get(reader.text) if reader.sort != "quoted" else None


def _behind(reader: Reader, left: Expr, infix: Operator) -> Expr:
    """The operation that begins with `left`; runs of one operation and chains of comparisons become one."""
    op = infix.name
    if op in COMPARISONS:
        return _comparison(reader, left)
    if op in ("and", "or"):
        return Node(op, (left, *_run(reader, op)))
    if op in ("+", "-"):
        return _sum(reader, left)
    reader.take()
    return Node(op, (left, read_expression(reader, infix.power - (op in ("^", "implies")))))


def _run(reader: Reader, op: str) -> list[Expr]:
    found = []
    while reader.skip(op):
        found.append(read_expression(reader, OPERATORS[op].power))
    return found


def _sum(reader: Reader, left: Expr) -> Expr:
    terms: list[tuple[str, Expr]] = []
    while reader.sort == "mark" and reader.text in ("+", "-"):
        sign = reader.take()
        terms.append((sign, read_expression(reader, OPERATORS[sign].power)))
    if len(terms) == 1:
        return Node(terms[0][0], (left, terms[0][1]))
    return build.total([left, *(one if sign == "+" else build.negated(one) for sign, one in terms)])


def _comparison(reader: Reader, left: Expr) -> Expr:
    links: list[Expr] = []
    while (infix := _infix(reader)) and infix.name in COMPARISONS:
        place = reader.place
        reader.take()
        right = read_expression(reader, infix.power)
        links.append(reader.marked(Node(infix.name, (left, right)), place))
        left = right
    return links[0] if len(links) == 1 else Node("and", tuple(links))


def _operand(reader: Reader) -> Expr:
    if reader.sort == "number":
        return Const(read_number(reader))
    if reader.skip("("):
        inner = read_expression(reader)
        reader.want(")")
        return inner
    if reader.skip("-"):
        return build.negated(read_expression(reader, NEG))
    if reader.skip("not"):
        return Node("not", (read_expression(reader, NOT),))
    if reader.is_named:
        return _named(reader)
    raise reader.error(f"a number, a name or a bracket is wanted here, not {reader.shown()}")


def _named(reader: Reader) -> Expr:
    place, is_quoted = reader.place, reader.sort == "quoted"
    try:
        return _meant(reader, reader.take(), is_quoted=is_quoted)
    except BadInput as error:
        raise reader.placed(error, place) from None


def _meant(reader: Reader, name: str, *, is_quoted: bool) -> Expr:
    """What a name stands for, with what belongs to it."""
    if name in ("true", "false") and not is_quoted:
        return build.truth(name == "true")
    if reader.sort != "mark":
        return reader.scope.expr(name)
    if reader.text == "(" and not is_quoted:
        return _call(reader, name)
    if reader.skip("["):
        return _one(_cells(reader, name), name)
    if reader.skip("."):
        return reader.scope.label(name, reader.take())
    return reader.scope.expr(name)


def _call(reader: Reader, name: str) -> Expr:
    reader.want("(")
    if name == "spells":
        lexicon = reader.take()
        reader.want(",")
        return build.spells(reader.scope, lexicon, read_list(reader, ")"))
    if name == "table":
        return _table(reader)
    if name not in CALLS:
        offered = ", ".join(sorted(CALLS | {"spells", "table"}))
        raise BadInput(f"there is no {name!r}; known: {offered}")
    return Node(name, tuple(read_list(reader, ")")))


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
    if reader.is_named and reader.ahead == "[":
        return _slice(reader)
    if reader.is_named and reader.text in reader.scope.arrays and reader.ahead in ENDS:
        return [*reader.scope.all_cells(reader.take())]
    return [read_expression(reader)]


def _slice(reader: Reader) -> list[Expr]:
    """The cells of a slice that is a whole argument; where more follows, the expression that begins with the cell."""
    place, name = reader.place, reader.take()
    reader.want("[")
    try:
        cells = _cells(reader, name)
        if reader.text in ENDS:
            return cells
        first = reader.marked(_one(cells, name), place)
    except BadInput as error:
        raise reader.placed(error, place) from None
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
    if reader.sort == "number" and reader.ahead in (",", "]"):
        return (whole_place(read_number(reader)),)
    place = read_expression(reader)
    if not isinstance(place, Const):
        return place
    if reader.skip(".."):
        last = read_expression(reader)
        if not isinstance(last, Const):
            raise reader.error("a range of cells runs between numbers")
        return range(whole_place(place.value), whole_place(last.value) + 1)
    return (whole_place(place.value),)
