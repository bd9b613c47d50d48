"""What kind of thing an expression is, and whether a program makes sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trueup.core.csp.limits import LIMITS, Limits
from trueup.core.csp.operators import NUMBER, OPERATORS, TRUTH
from trueup.core.csp.program import BOOL, Const, Expr, Node, Program, Ref, Table, Variable, height, nodes
from trueup.core.errors import BadInput, UnknownName

MATCHED = frozenset({"==", "!=", "<", ">", "<=", ">=", "alldifferent", "increasing", "adjacent", "oneof"})
"""Operations whose arguments must be of one enumeration, or of none."""
SHIFTS = frozenset({"+", "-"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A number or a truth; a number may count the labels of an enumeration."""

    base: str
    enum: str = ""


def kind_of(expr: Expr, variables: Mapping[str, Variable]) -> Kind:
    """The kind of an expression.

    Raises BadInput where an operation is given what it does not take, UnknownName for a variable that there is not.
    """
    match expr:
        case Const(_, enum):
            return Kind(NUMBER, enum)
        case Ref(name):
            if name not in variables:
                raise UnknownName("variable", name, variables)
            variable = variables[name]
            return Kind(TRUTH if variable.kind == BOOL else NUMBER, variable.enum)
        case Table(columns, rows):
            return _kind_of_table(columns, rows, variables)
        case Node(op, args):
            return _kind_of_node(op, [kind_of(arg, variables) for arg in args])


def verified(program: Program, limits: Limits = LIMITS) -> Program:
    """The program, if it is within the limits and every expression makes sense.

    Raises BadInput, with the line where it is known, for the first that does not.
    """
    limits.hold("variables", len(program.variables))
    limits.hold("constraints", len(program.constraints))
    variables = {variable.name: variable for variable in program.variables}
    total = 0
    for constraint in program.constraints:
        try:
            total += _measured(constraint.expr, limits)
            if kind_of(constraint.expr, variables).base != TRUTH:
                raise BadInput("this is a number, not something that holds or does not; compare it with something")
        except BadInput as error:
            raise BadInput(f"line {constraint.line}: {error}") if constraint.line else error from None
    if program.objective is not None:
        total += _measured(program.objective.expr, limits)
        kind_of(program.objective.expr, variables)
    limits.hold("nodes", total)
    return program


def _measured(expr: Expr, limits: Limits) -> int:
    limits.hold("height", height(expr))
    cells = sum(len(one.rows) * len(one.columns) for one in nodes(expr) if isinstance(one, Table))
    limits.hold("table_cells", cells)
    return sum(1 for _ in nodes(expr))


def _kind_of_table(columns: Sequence[Expr], rows: Sequence[Sequence[int]], variables: Mapping[str, Variable]) -> Kind:
    for column in columns:
        kind_of(column, variables)
    wrong = next((row for row in rows if len(row) != len(columns)), None)
    if wrong is not None:
        raise BadInput(f"a row of the table has {len(wrong)} values for {len(columns)} columns")
    return Kind(TRUTH)


def _kind_of_node(op: str, args: Sequence[Kind]) -> Kind:
    if op not in OPERATORS:
        raise UnknownName("operation", op, OPERATORS)
    operator = OPERATORS[op]
    if len(args) < operator.least or (operator.most is not None and len(args) > operator.most):
        wants = operator.least if operator.least == operator.most else f"at least {operator.least}"
        raise BadInput(f"{op!r} takes {wants} arguments, not {len(args)}")
    if operator.takes == TRUTH and any(arg.base != TRUTH for arg in args):
        raise BadInput(f"{op!r} takes what holds or does not, not a number; compare the number with something")
    return Kind(operator.gives, _enum_of(op, args))


def _enum_of(op: str, args: Sequence[Kind]) -> str:
    """The enumeration that the result counts in; none for most operations."""
    if op in MATCHED or op == "element":
        compared = args[1:] if op == "element" else args
        for a, b in pairwise(compared):
            if a.enum != b.enum:
                raise BadInput(f"{op!r} compares {_named(a)} with {_named(b)}; both must be of one kind")
        return compared[0].enum if op == "element" else ""
    if op in SHIFTS:
        enums = [arg.enum for arg in args]
        if op == "+" and all(enums):
            raise BadInput(f"two values of {enums[0]} cannot be added; add a number to one of them")
        return enums[0] if op == "-" and not enums[1] else enums[0] or enums[1] if op == "+" else ""
    return ""


def _named(kind: Kind) -> str:
    return f"a value of {kind.enum}" if kind.enum else "a number"
