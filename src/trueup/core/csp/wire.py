"""A constraint program as JSON, both ways.

    {"variables": [{"name": "a", "type": "int", "low": 1, "high": 4}, {"name": "front", "type": "Colour"},
                   {"name": "grid", "type": "int", "values": [1, 2, 4], "size": [2, 3]},
                   {"name": "x", "type": "letter"}],
     "enums": {"Colour": ["red", "green"]},
     "lexicons": {"short": ["a", "I"]},
     "constraints": [{"expr": ["<", "a", 3], "clue": "1"}, {"expr": ["==", "front", ["label", "Colour", "red"]]},
                     {"expr": ["alldifferent", ["cell", "grid", 1, "*"], ["cell", "grid", "a", 2]]},
                     {"expr": ["spells", "short", "x"]}],
     "objective": {"sense": "minimize", "expr": ["sum", "grid"]}}

An expression is a number, true, false, a variable's name, or a list: an operation and its arguments. `["label", ENUM,
NAME]` is a label, `["table", [COLUMN, ...], [[NUMBER, ...], ...]]` a table, `["spells", LEXICON, LETTER, ...]` a word.
A place in `["cell", ARRAY, PLACE, ...]` is an expression, "*" for all or `["..", FIRST, LAST]`; several cells, or an
array's name alone, are as many arguments. What a key says that is not known here is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trueup.core.csp import build
from trueup.core.csp.json_values import line_at, number_at, object_at, of_kind, placed_at, shortened
from trueup.core.csp.limits import LIMITS, Limits
from trueup.core.csp.program import (
    BOOL,
    FLOAT,
    INT,
    MAXIMIZE,
    MINIMIZE,
    Const,
    Constraint,
    Expr,
    Node,
    Objective,
    Program,
    Ref,
    Table,
)  # fmt: skip
from trueup.core.csp.scope import LETTER, Domain, Scope, bool_domain, range_domain, set_domain, whole_place
from trueup.core.csp.types import verified
from trueup.core.errors import BadInput
from trueup.core.types import Json

PROGRAM = ("variables", "enums", "lexicons", "constraints", "objective")
BOUNDS = {BOOL: (), INT: ("low", "high"), FLOAT: ("low", "high")}
"""What a variable of each type says beside its name and sizes; others take no bounds."""


def from_json(value: Json, limits: Limits = LIMITS) -> Program:
    """The program that JSON states.

    Raises BadInput, saying where, for what it may not hold or what exceeds the limits.
    """
    table = object_at(value, "the program", PROGRAM)
    scope = Scope(limits)
    _list(table, "enums", scope.enumerate)
    _list(table, "lexicons", scope.list_words)
    for i, row in enumerate(of_kind(list, table.get("variables", []), "variables")):
        _declare(scope, row, f"variables[{i}]")
    if not scope.variables:
        raise BadInput("variables: there are none; give at least one")
    rows = of_kind(list, table.get("constraints", []), "constraints")
    limits.hold("constraints", len(rows))
    constraints = tuple(_constraint(scope, row, f"constraints[{i}]") for i, row in enumerate(rows))
    objective = _objective(scope, table["objective"]) if table.get("objective") is not None else None
    return verified(Program(tuple(scope.variables.values()), constraints, objective), limits)


def to_json(program: Program) -> dict[str, Any]:
    """The JSON that `from_json` reads back as the same program."""
    enums = {v.enum: list(v.labels) for v in program.variables if v.enum and v.enum != LETTER}
    table: dict[str, Any] = {"enums": enums} if enums else {}
    labels = {v.enum: v.labels for v in program.variables if v.enum}
    table["variables"] = [_variable(variable) for variable in program.variables]
    table["constraints"] = [
        {"expr": _written(one.expr, labels), **({"clue": one.clue} if one.clue else {}),
         **({"line": one.line} if one.line else {})}
        for one in program.constraints
    ]  # fmt: skip
    if program.objective is not None:
        table["objective"] = {
            "sense": program.objective.sense,
            "expr": _written(program.objective.expr, labels),
        }
    return table


def _variable(variable: Any) -> dict[str, Any]:
    if variable.enum:
        return {"name": variable.name, "type": variable.enum}
    if variable.kind == BOOL:
        return {"name": variable.name, "type": BOOL}
    if variable.values:
        return {"name": variable.name, "type": INT, "values": list(variable.values)}
    return {"name": variable.name, "type": variable.kind, "low": variable.low, "high": variable.high}


def _written(expr: Expr, labels: Mapping[str, Sequence[str]]) -> Json:
    match expr:
        case Const(value, enum):
            # A label of an enumeration that no variable takes is compared with its like alone: its number will do.
            return ["label", enum, labels[enum][int(value)]] if enum in labels else value
        case Ref(name):
            return name
        case Table(columns, rows):
            return ["table", [_written(column, labels) for column in columns], [list(row) for row in rows]]
        case Node(op, args):
            return [op, *(_written(arg, labels) for arg in args)]


def _list(table: Mapping[str, Json], part: str, take: Callable[[str, Sequence[str]], None]) -> None:
    """The names in a part of the program, each with its texts, taken up."""
    for name, texts in of_kind(dict, table.get(part, {}), part).items():
        where = f"{part}.{line_at(name, part)}"
        found = [line_at(of_kind(str, text, where), where) for text in of_kind(list, texts, where)]
        try:
            take(name, found)
        except BadInput as error:
            raise placed_at(error, where) from None


def _declare(scope: Scope, row: Json, where: str) -> None:
    row = of_kind(dict, row, where)
    name = line_at(of_kind(str, row.get("name"), f"{where}.name"), f"{where}.name")
    kind = of_kind(str, row.get("type"), f"{where}.type")
    bounds = ("values",) if kind == INT and "values" in row else BOUNDS.get(kind, ())
    object_at(row, where, ("name", "type", "size", *bounds))
    sizes = [of_kind(int, size, f"{where}.size") for size in of_kind(list, row.get("size", []), f"{where}.size")]
    if not all(size > 0 for size in sizes):
        raise BadInput(f"{where}.size is {shortened(sizes)}; a size is at least 1")
    try:
        scope.declare(name, sizes, _domain(scope, row, kind, where))
    except BadInput as error:
        raise placed_at(error, where) from None


def _domain(scope: Scope, row: Mapping[str, Json], kind: str, where: str) -> Domain:
    if kind == BOOL:
        return bool_domain()
    if kind not in (INT, FLOAT):
        return scope.domain_of(kind)
    if "values" in row:
        values = of_kind(list, row["values"], f"{where}.values")
        return set_domain([of_kind(int, value, f"{where}.values") for value in values], scope.limits)
    low, high = number_at(row.get("low"), f"{where}.low"), number_at(row.get("high"), f"{where}.high")
    return range_domain(kind, low, high, scope.limits)


def _constraint(scope: Scope, row: Json, where: str) -> Constraint:
    row = object_at(row, where, ("expr", "clue", "line"))
    clue = row.get("clue", "")
    if isinstance(clue, bool) or not isinstance(clue, str | int):
        raise BadInput(f"{where}.clue is {shortened(clue)}; write a text or a whole number")
    line = of_kind(int, row.get("line", 0), f"{where}.line")
    clue = line_at(str(clue), f"{where}.clue")
    return Constraint(_expr(scope, row.get("expr"), f"{where}.expr", 1), clue.strip(), line)


def _objective(scope: Scope, row: Json) -> Objective:
    row = object_at(row, "objective", ("sense", "expr"))
    if row.get("sense") not in (MINIMIZE, MAXIMIZE):
        raise BadInput(f"objective.sense is {row.get('sense')!r}; write {MINIMIZE} or {MAXIMIZE}")
    return Objective(row["sense"], _expr(scope, row.get("expr"), "objective.expr", 1))


def _expr(scope: Scope, value: Json, where: str, depth: int) -> Expr:
    """One expression; several cells are none.

    Raises BadInput where there is not one.
    """
    found = _several(scope, value, where, depth)
    if len(found) != 1:
        raise BadInput(f"{where}: these are {len(found)} cells; one is wanted here")
    return found[0]


def _several(scope: Scope, value: Json, where: str, depth: int) -> list[Expr]:
    """An argument: an expression, or all cells of an array or of a slice.

    Raises BadInput, saying where, for what is neither.
    """
    try:
        return _meant(scope, value, where, depth)
    except BadInput as error:
        raise placed_at(error, where) from None


def _meant(scope: Scope, value: Json, where: str, depth: int) -> list[Expr]:
    scope.limits.hold("depth", depth)
    if isinstance(value, str):
        return [*scope.all_cells(value)] if value in scope.arrays else [Ref(value)]
    if isinstance(value, bool):
        return [build.truth(value)]
    if not isinstance(value, list):
        return [Const(number_at(value, where))]
    if not value or not isinstance(value[0], str):
        raise BadInput(f"{where}: a list begins with the name of an operation, not {value[:1]!r}")
    op, args = value[0], value[1:]
    if op == "cell":
        return _cells(scope, args, where, depth)
    return [_operation(scope, op, args, where, depth)]


def _operation(scope: Scope, op: str, args: Sequence[Json], where: str, depth: int) -> Expr:
    if op == "label":
        if len(args) != 2 or not all(isinstance(arg, str) for arg in args):
            raise BadInput(f'{where}: a label is written ["label", ENUM, NAME]')
        return scope.label(args[0], args[1])
    if op == "table":
        return _table(scope, args, where, depth)
    if op == "spells":
        return build.spells(
            scope, of_kind(str, next(iter(args), None), f"{where}[1]"), _args(scope, args[1:], where, depth, 2)
        )
    found = _args(scope, args, where, depth, 1)
    return build.negated(found[0]) if op == "neg" and len(found) == 1 else Node(op, tuple(found))


def _args(scope: Scope, args: Sequence[Json], where: str, depth: int, first: int) -> list[Expr]:
    return [one for i, arg in enumerate(args, first) for one in _several(scope, arg, f"{where}[{i}]", depth + 1)]


def _cells(scope: Scope, args: Sequence[Json], where: str, depth: int) -> list[Expr]:
    """The cells of an array at places, of which those that are not numbers choose one cell."""
    name = of_kind(str, next(iter(args), None), f"{where}[1]")
    places = [_place(scope, name, i, arg, f"{where}[{i + 2}]", depth + 1) for i, arg in enumerate(args[1:])]
    named = [place for place in places if isinstance(place, range)]
    if len(named) == len(places):
        return [*scope.cells(name, named)]
    if any(len(place) != 1 for place in named):
        raise BadInput(f"{where}: a slice of {name!r} and a place that is not a number cannot go together")
    return [build.element(scope, name, [Const(one[0]) if isinstance(one, range) else one for one in places])]


def _place(scope: Scope, name: str, axis: int, value: Json, where: str, depth: int) -> range | Expr:
    if value == "*":
        return scope.along(name, axis)
    if isinstance(value, list) and value[:1] == [".."]:
        if len(value) != 3:
            raise BadInput(f'{where}: a range of cells is written ["..", FIRST, LAST]')
        return range(of_kind(int, value[1], where), of_kind(int, value[2], where) + 1)
    if isinstance(value, int | float) and not isinstance(value, bool):
        place = whole_place(number_at(value, where))
        return range(place, place + 1)
    return _expr(scope, value, where, depth)


def _table(scope: Scope, args: Sequence[Json], where: str, depth: int) -> Table:
    if len(args) != 2:
        raise BadInput(f'{where}: a table is written ["table", [COLUMN, ...], [[NUMBER, ...], ...]]')
    columns = of_kind(list, args[0], f"{where}[1]")
    rows = [of_kind(list, row, f"{where}[2]") for row in of_kind(list, args[1], f"{where}[2]")]
    return Table(
        tuple(_args(scope, columns, f"{where}[1]", depth, 0)),
        tuple(tuple(of_kind(int, number, f"{where}[2]") for number in row) for row in rows),
    )
