"""A program of whole variables as CP-SAT takes it: whole constants, and no sum beyond 64 bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import lcm

from trueup.core.csp.operators import OPERATORS, TRUTH
from trueup.core.csp.program import Const, Expr, Node, Objective, Program, Ref, Variable, children, nodes
from trueup.core.csp.values import interval_of, named
from trueup.core.errors import BadInput

LARGEST = 2**62
"""What the terms of a comparison may come to together in CP-SAT."""
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
Terms = dict[Expr, Fraction]
"""How often each is counted in a sum; `ONE` is counted as often as the constant says."""
ONE = Const(1)


def in_whole_numbers(program: Program) -> Program:
    """The program with comparisons and an objective that count terms by fractions scaled until they do not.

    What is no such sum, as max(0.5 * x, 1), is left as it is.
    """
    scaled = tuple(replace(one, expr=_scaled(one.expr)) if _is_scaled(one.expr) else one for one in program.constraints)
    goal = program.objective
    if goal is not None and _is_scaled(goal.expr):
        terms = _terms(goal.expr)
        goal = Objective(goal.sense, _sum(terms, _denominator(terms)))
    return replace(program, constraints=scaled, objective=goal)


def hold_in_64_bits(program: Program) -> None:
    """Raise BadInput for the first constraint whose terms can come to more than CP-SAT counts to."""
    variables = {variable.name: variable for variable in program.variables}
    for constraint in program.constraints:
        _most(constraint.expr, variables, named(constraint))
    if program.objective is not None:
        _most(program.objective.expr, variables, "the objective")


def _most(expr: Expr, variables: Mapping[str, Variable], where: str) -> int:
    """How far from 0 an expression can come with all its terms of one sign."""
    match expr:
        case Const(value, _):
            return int(abs(value))
        case Ref(name):
            return int(max(abs(variables[name].low), abs(variables[name].high)))
    parts = [_most(part, variables, where) for part in children(expr)]
    is_truth = False
    match expr:
        case Node("+" | "-" | "neg" | "sum", _):
            most = sum(parts)
        case Node("*", (a, b)) if isinstance(a, Const) or isinstance(b, Const):
            most = parts[0] * parts[1]
        case Node(op, _) if OPERATORS[op].gives != TRUTH:
            most = int(max(map(abs, interval_of(expr, variables))))
        case _:
            is_truth, most = True, sum(sorted(parts)[-2:])
    if most > LARGEST:
        raise BadInput(
            f"{where}: its terms can come to {most:,}, and cp-sat counts to {LARGEST:,};"
            " give its variables smaller bounds, or use z3"
        )
    return 1 if is_truth else most


def _is_scaled(expr: Expr) -> bool:
    """Whether a number in it is a fraction, or may be."""
    return any(
        isinstance(one.value, float) if isinstance(one, Const) else isinstance(one, Node) and one.op == "/"
        for one in nodes(expr)
    )


def _scaled(expr: Expr) -> Expr:
    """The expression with every comparison in it of whole terms, where those are a sum."""
    match expr:
        case Node(op, (a, b)) if op in COMPARISONS:
            terms = _added([(_terms(a), 1), (_terms(b), -1)])
            return Node(op, (_sum(terms, _denominator(terms)), Const(0)))
        case Node(op, args):
            return Node(op, tuple(map(_scaled, args)))
        case _:
            return expr


def _terms(expr: Expr) -> Terms:
    match expr:
        case Const(value, _):
            return {ONE: Fraction(repr(value))}
        case Node("+" | "sum", args):
            return _added([(_terms(arg), 1) for arg in args])
        case Node("-", (a, b)):
            return _added([(_terms(a), 1), (_terms(b), -1)])
        case Node("neg", (a,)):
            return _added([(_terms(a), -1)])
        case Node("*", (Const(factor, _), a)) | Node("*", (a, Const(factor, _))):
            return _added([(_terms(a), Fraction(repr(factor)))])
        case Node("/", (a, Const(divisor, _))) if divisor:
            return _added([(_terms(a), 1 / Fraction(repr(divisor)))])
        case _:
            return {_scaled(expr): Fraction(1)}


def _added(parts: list[tuple[Terms, Fraction | int]]) -> Terms:
    total: Terms = {}
    for terms, factor in parts:
        for term, count in terms.items():
            total[term] = total.get(term, Fraction(0)) + factor * count
    return total


def _denominator(terms: Terms) -> int:
    return lcm(*(count.denominator for count in terms.values()))


def _sum(terms: Terms, factor: int) -> Expr:
    return Node("sum", tuple(Node("*", (Const(int(count * factor)), term)) for term, count in terms.items()))
