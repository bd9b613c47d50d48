"""What kind of thing an expression is, and whether a program makes sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from trueup.core.csp.limits import LIMITS, Limits
from trueup.core.csp.operators import NUMBER, OPERATORS, TRUTH
from trueup.core.csp.program import BOOL, Const, Expr, Node, Program, Ref, Table, Variable, children
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


class SenselessError(BadInput):
    """An operation that is given what it does not take; `expr` is the operation."""

    def __init__(self, reason: str, expr: Expr) -> None:
        """Say why."""
        super().__init__(reason)
        self.expr = expr


def kind_of(expr: Expr, variables: Mapping[str, Variable]) -> Kind:
    """The kind of an expression.

    Raises SenselessError where an operation is given what it does not take, UnknownName for a variable or an operation
    that there is not.
    """
    if isinstance(expr, Ref):
        variable = variables.get(expr.name)
        if variable is None:
            raise UnknownName("variable", expr.name, variables)
        return _kind(TRUTH if variable.kind == BOOL else NUMBER, variable.enum)
    if isinstance(expr, Const):
        return _kind(NUMBER, expr.enum)
    args = expr.columns if isinstance(expr, Table) else expr.args
    kinds = [kind_of(arg, variables) for arg in args]
    return _kind_of_table(expr) if isinstance(expr, Table) else _kind_of_node(expr, kinds)


@dataclass(slots=True)
class Meter:
    """How large a program has become; it stays within its limits."""

    limits: Limits = LIMITS
    nodes: int = 0
    table_cells: int = 0

    def add(self, expr: Expr) -> None:
        """Count an expression in, level by level, however high it is.

        Raises BadInput as soon as there is more than is allowed.
        """
        level, tall = [expr], 0
        self.nodes += 1
        while level:
            tall += 1
            self.table_cells += sum(len(one.rows) * len(one.columns) for one in level if isinstance(one, Table))
            self.limits.hold("table_cells", self.table_cells)
            parts = [below for one in level if (below := children(one))]
            self.nodes += sum(map(len, parts))
            self.limits.hold("nodes", self.nodes)
            level = list(chain.from_iterable(parts))
        self.limits.hold("height", tall)


def verified(program: Program, limits: Limits = LIMITS) -> Program:
    """The program, if it is within the limits and every expression makes sense.

    Raises BadInput, with the line or the place where it is known, for the first that does not.
    """
    limits.hold("variables", len(program.variables))
    limits.hold("constraints", len(program.constraints))
    variables = {variable.name: variable for variable in program.variables}
    meter = Meter(limits)
    for i, constraint in enumerate(program.constraints):
        try:
            verify_truth(constraint.expr, variables, meter)
        except BadInput as error:
            where = f"line {constraint.line}" if constraint.line else f"constraints[{i}]"
            raise BadInput(f"{where}: {error}") from None
    if program.objective is not None:
        try:
            verify(program.objective.expr, variables, meter)
        except BadInput as error:
            raise BadInput(f"objective: {error}") from None
    return program


def verify_truth(expr: Expr, variables: Mapping[str, Variable], meter: Meter) -> None:
    """Raise BadInput for an expression that makes no sense as a constraint, or is one too many for the limits."""
    if verify(expr, variables, meter).base != TRUTH:
        raise BadInput("this is a number, not something that holds or does not; compare it with something")


def verify(expr: Expr, variables: Mapping[str, Variable], meter: Meter) -> Kind:
    """The kind of an expression.

    Raises BadInput for one that makes no sense, or is one too many for the limits.
    """
    meter.add(expr)
    return kind_of(expr, variables)


def _kind_of_table(table: Table) -> Kind:
    wide = len(table.columns)
    wrong = next((row for row in table.rows if len(row) != wide), None)
    if wrong is not None:
        raise SenselessError(f"a row of the table has {len(wrong)} values for {wide} columns", table)
    return A_TRUTH


def _kind_of_node(node: Node, args: Sequence[Kind]) -> Kind:
    op = node.op
    if op not in OPERATORS:
        raise UnknownName("operation", op, OPERATORS)
    operator = OPERATORS[op]
    if len(args) < operator.least or (operator.most is not None and len(args) > operator.most):
        wants = operator.least if operator.least == operator.most else f"at least {operator.least}"
        raise SenselessError(f"{op!r} takes {wants} arguments, not {len(args)}", node)
    if operator.takes == TRUTH and any(arg.base != TRUTH for arg in args):
        raise SenselessError(
            f"{op!r} takes what holds or does not, not a number; compare the number with something", node
        )
    return _kind(operator.gives, _enum_of(node, args))


def _enum_of(node: Node, args: Sequence[Kind]) -> str:
    """The enumeration that the result counts in; none for most operations."""
    op = node.op
    if op in MATCHED or op == "element":
        compared = args[1:] if op == "element" else args
        for a, b in pairwise(compared):
            if a.enum != b.enum:
                raise SenselessError(f"{op!r} compares {_named(a)} with {_named(b)}; both must be of one kind", node)
        return compared[0].enum if op == "element" else ""
    if op in SHIFTS:
        enums = [arg.enum for arg in args]
        if op == "+" and all(enums):
            raise SenselessError(f"two values of {enums[0]} cannot be added; add a number to one of them", node)
        return enums[0] if op == "-" and not enums[1] else enums[0] or enums[1] if op == "+" else ""
    return ""


def _kind(base: str, enum: str) -> Kind:
    """Most kinds are one of two, which need not be made again for every operand."""
    return Kind(base, enum) if enum else A_NUMBER if base == NUMBER else A_TRUTH


def _named(kind: Kind) -> str:
    return f"a value of {kind.enum}" if kind.enum else "a number"
