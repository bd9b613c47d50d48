"""A constraint program as JSON, both ways.

    {"variables": [{"name": "a", "type": "int", "low": 1, "high": 4}, {"name": "front", "type": "Colour"}],
     "enums": {"Colour": ["red", "green"]},
     "constraints": [{"expr": ["<", "a", 3], "clue": "1"}, {"expr": ["==", "front", ["label", "Colour", "red"]]}],
     "objective": {"sense": "minimize", "expr": "a"}}

An expression is a number, a variable's name, or a list: an operation and its arguments; `["label", ENUM, NAME]` is a
label and `["table", [COLUMN, ...], [[NUMBER, ...], ...]]` a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueup.core.csp.expressions import LARGEST
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
from trueup.core.csp.scope import LETTER, Domain, Scope, bool_domain, range_domain, set_domain
from trueup.core.csp.types import verified
from trueup.core.errors import BadInput
from trueup.core.types import Json

SHOWN_CHARS = 60


def from_json(value: Json, limits: Limits = LIMITS) -> Program:
    """The program that JSON states.

    Raises BadInput, saying where, for what it may not hold or what exceeds the limits.
    """
    table = _is(dict, value, "the program")
    scope = Scope(limits)
    for name, labels in _is(dict, table.get("enums", {}), "enums").items():
        scope.enumerate(name, [_is(str, label, f"enums.{name}") for label in _is(list, labels, f"enums.{name}")])
    for i, row in enumerate(_is(list, table.get("variables", []), "variables")):
        row = _is(dict, row, f"variables[{i}]")
        scope.declare(_is(str, row.get("name"), f"variables[{i}].name"), (), _domain(scope, row, f"variables[{i}]"))
    if not scope.variables:
        raise BadInput("variables: there are none; give at least one")
    rows = _is(list, table.get("constraints", []), "constraints")
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
            return ["label", enum, labels[enum][int(value)]] if enum else value
        case Ref(name):
            return name
        case Table(columns, rows):
            return ["table", [_written(column, labels) for column in columns], [list(row) for row in rows]]
        case Node(op, args):
            return [op, *(_written(arg, labels) for arg in args)]


def _domain(scope: Scope, row: Mapping[str, Json], where: str) -> Domain:
    kind = _is(str, row.get("type"), f"{where}.type")
    try:
        if kind == BOOL:
            return bool_domain()
        if kind not in (INT, FLOAT):
            return scope.domain_of(kind)
        if kind == INT and "values" in row:
            return set_domain([_is(int, v, f"{where}.values") for v in _is(list, row["values"], where)], scope.limits)
        low, high = _number(row.get("low"), f"{where}.low"), _number(row.get("high"), f"{where}.high")
        return range_domain(kind, low, high, scope.limits)
    except BadInput as error:
        raise error if str(error).startswith(where) else BadInput(f"{where}: {error}") from None


def _constraint(scope: Scope, row: Json, where: str) -> Constraint:
    row = _is(dict, row, where)
    line = _is(int, row.get("line", 0), f"{where}.line")
    return Constraint(_expr(scope, row.get("expr"), f"{where}.expr", 1), str(row.get("clue", "")), line)


def _objective(scope: Scope, row: Json) -> Objective:
    row = _is(dict, row, "objective")
    if row.get("sense") not in (MINIMIZE, MAXIMIZE):
        raise BadInput(f"objective.sense is {row.get('sense')!r}; write {MINIMIZE} or {MAXIMIZE}")
    return Objective(row["sense"], _expr(scope, row.get("expr"), "objective.expr", 1))


def _expr(scope: Scope, value: Json, where: str, depth: int) -> Expr:
    scope.limits.hold("depth", depth)
    if isinstance(value, str):
        return Ref(value)
    if not isinstance(value, list):
        return Const(_number(value, where))
    if not value or not isinstance(value[0], str):
        raise BadInput(f"{where}: a list begins with the name of an operation, not {value[:1]!r}")
    op, args = value[0], value[1:]
    if op == "label":
        if len(args) != 2 or not all(isinstance(arg, str) for arg in args):
            raise BadInput(f'{where}: a label is written ["label", ENUM, NAME]')
        return scope.label(args[0], args[1])
    if op == "table":
        return _table(scope, args, where, depth)
    return Node(op, tuple(_expr(scope, arg, f"{where}[{i}]", depth + 1) for i, arg in enumerate(args, 1)))


def _table(scope: Scope, args: Sequence[Json], where: str, depth: int) -> Table:
    if len(args) != 2:
        raise BadInput(f'{where}: a table is written ["table", [COLUMN, ...], [[NUMBER, ...], ...]]')
    columns = _is(list, args[0], f"{where}[1]")
    rows = [_is(list, row, f"{where}[2]") for row in _is(list, args[1], f"{where}[2]")]
    return Table(
        tuple(_expr(scope, column, f"{where}[1]", depth + 1) for column in columns),
        tuple(tuple(_is(int, number, f"{where}[2]") for number in row) for row in rows),
    )


def _number(value: Json, where: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise BadInput(f"{where} is {_short(value)}; write a number of at most {LARGEST:,}")
    number: int | float = value
    return number


def _is(kind: type, value: Json, where: str) -> Any:
    names = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadInput(f"{where} is {_short(value)}; write {names[kind]}")
    return value


def _short(value: Json) -> str:
    shown = (
        repr(value) if not isinstance(value, int) or isinstance(value, bool) or abs(value) <= LARGEST else "too large"
    )
    return shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}..."
