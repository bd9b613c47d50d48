"""What kind of thing an expression is, and whether a program makes sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trueup.core.csp.limits import LIMITS, Limits
from trueup.core.csp.operators import NUMBER, OPERATORS, TRUTH
from trueup.core.csp.program import BOOL, Const, Expr, Node, Program, Ref, Table, Variable
from trueup.core.errors import BadInput, UnknownName

MATCHED = frozenset({"==", "!=", "<", ">", "<=", ">=", "alldifferent", "increasing", "adjacent", "oneof"})
"""Operations whose arguments must be of one enumeration, or of none."""
SHIFTS = frozenset({"+", "-"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A number or a truth; a number may count the labels of an enumeration."""

    base: str
    enum: str = ""


A_NUMBER, A_TRUTH = Kind(NUMBER), Kind(TRUTH)


def kind_of(expr: Expr, variables: Mapping[str, Variable]) -> Kind:
    """The kind of an expression.

    Raises BadInput where an operation is given what it does not take, UnknownName for a variable that there is not.
    """
    if isinstance(expr, Ref):
        variable = variables.get(expr.name)
        if variable is None:
            raise UnknownName("variable", expr.name, variables)
        return _kind(TRUTH if variable.kind == BOOL else NUMBER, variable.enum)
    if isinstance(expr, Node):
        return _kind_of_node(expr.op, [kind_of(arg, variables) for arg in expr.args])
    return _kind(NUMBER, expr.enum) if isinstance(expr, Const) else _kind_of_table(expr.columns, expr.rows, variables)


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
    """The operations and operands of an expression, which is walked level by level, however high it is."""
    level, tall, count, cells = [expr], 0, 0, 0
    while level:
        tall, count = tall + 1, count + len(level)
        below: list[Expr] = []
        for one in level:
            if isinstance(one, Node):
                below += one.args
            elif isinstance(one, Table):
                below += one.columns
                cells += len(one.rows) * len(one.columns)
        level = below
    limits.hold("height", tall)
    limits.hold("table_cells", cells)
    return count


def _kind_of_table(columns: Sequence[Expr], rows: Sequence[Sequence[int]], variables: Mapping[str, Variable]) -> Kind:
    for column in columns:
        kind_of(column, variables)
    wrong = next((row for row in rows if len(row) != len(columns)), None)
    if wrong is not None:
        raise BadInput(f"a row of the table has {len(wrong)} values for {len(columns)} columns")
    return A_TRUTH


def _kind_of_node(op: str, args: Sequence[Kind]) -> Kind:
    if op not in OPERATORS:
        raise UnknownName("operation", op, OPERATORS)
    operator = OPERATORS[op]
    if len(args) < operator.least or (operator.most is not None and len(args) > operator.most):
        wants = operator.least if operator.least == operator.most else f"at least {operator.least}"
        raise BadInput(f"{op!r} takes {wants} arguments, not {len(args)}")
    if operator.takes == TRUTH and any(arg.base != TRUTH for arg in args):
        raise BadInput(f"{op!r} takes what holds or does not, not a number; compare the number with something")
    return _kind(operator.gives, _enum_of(op, args))


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


def _kind(base: str, enum: str) -> Kind:
    """Most kinds are one of two, which need not be made again for every operand."""
    return Kind(base, enum) if enum else A_NUMBER if base == NUMBER else A_TRUTH


def _named(kind: Kind) -> str:
    return f"a value of {kind.enum}" if kind.enum else "a number"
