"""A constraint program as lines of the language, which `parse` reads back as the same program.

Variables of arrays are written one by one, their names in quotes, since by then the array is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from trueup.core.csp.expressions import NEG
from trueup.core.csp.operators import OPERATORS
from trueup.core.csp.program import BOOL, Const, Expr, Node, Program, Ref, Table, Variable
from trueup.core.csp.scope import LETTER, RESERVED

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TIGHTEST = 11


def write(program: Program) -> str:
    """The program, a statement a line."""
    labels = {variable.enum: variable.labels for variable in program.variables if variable.enum}
    lines = [f"enum {quoted(name)}: {', '.join(map(quoted, labels[name]))}" for name in labels if name != LETTER]
    lines += [_declared(variable) for variable in program.variables]
    for constraint in program.constraints:
        clue = f" #{constraint.clue}" if constraint.clue else ""
        lines.append(f"con {write_expression(constraint.expr, labels)}{clue}")
    if program.objective is not None:
        lines.append(f"{program.objective.sense} {write_expression(program.objective.expr, labels)}")
    return "\n".join(lines)


def quoted(name: str) -> str:
    """A name as it may stand in a line."""
    if NAME.fullmatch(name) and name not in RESERVED and name not in OPERATORS:
        return name
    return '"' + name.replace('"', '""') + '"'


def write_expression(expr: Expr, labels: Mapping[str, Sequence[str]], power: int = 0) -> str:
    """An expression, in brackets where it binds looser than what is around it."""
    match expr:
        case Const(value, enum):
            if enum in labels:
                name = enum if enum == LETTER else quoted(enum)
                return f"{name}.{quoted(labels[enum][int(value)])}"
            # A label of an enumeration that no variable takes is compared with its like alone: its number will do.
            return f"({value!r})" if value < 0 and power >= NEG else repr(value)
        case Ref(name):
            return quoted(name)
        case Table(columns, rows):
            head = [write_expression(column, labels) for column in columns]
            return f"table({', '.join(_listed(row) for row in (head, *(map(str, row) for row in rows)))})"
        case Node(op, args):
            text, binds = _operation(op, args, labels)
            return f"({text})" if binds <= power else text


def _listed(row: Iterable[str]) -> str:
    return f"({', '.join(row)})"


def _operation(op: str, args: Sequence[Expr], labels: Mapping[str, Sequence[str]]) -> tuple[str, int]:
    operator = OPERATORS[op]
    if op == "not":
        return f"not {write_expression(args[0], labels, operator.power - 1)}", operator.power
    if op == "neg":
        return f"-{write_expression(args[0], labels, operator.power + TIGHTEST)}", OPERATORS["*"].power
    if not operator.power:
        return f"{op}({', '.join(write_expression(arg, labels) for arg in args)})", TIGHTEST
    return f" {op} ".join(write_expression(arg, labels, operator.power) for arg in args), operator.power


def _declared(variable: Variable) -> str:
    name = quoted(variable.name)
    if variable.enum:
        return f"letter {name}" if variable.enum == LETTER else f"var {name} in {quoted(variable.enum)}"
    if variable.kind == BOOL:
        return f"bool {name}"
    if variable.values:
        return f"int {name} in {{{', '.join(map(str, variable.values))}}}"
    return f"{variable.kind} {name} in {variable.low!r}..{variable.high!r}"
