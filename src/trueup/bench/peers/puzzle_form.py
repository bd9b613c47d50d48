"""A constraint program in the few forms that other solvers take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from trueup.core.csp import Const, Expr, Node, Objective, Program, Ref, Variable
from trueup.core.csp.program import conjuncts, nodes
from trueup.core.csp.values import in_domain, value_of
from trueup.core.errors import BadInput

Form = dict[str, Any]
CONSTANT = ""
"""Under this name a linear sum keeps what no variable is in."""
MIRRORED = {"<": -1, "<=": 0, "==": 0, ">=": 0, ">": 1}
"""What a strict comparison of whole numbers shifts its bound by."""
AT_MOST, EQUAL, AT_LEAST = "<=", "==", ">="
SENSES = {"<": AT_MOST, "<=": AT_MOST, "==": EQUAL, ">=": AT_LEAST, ">": AT_LEAST}


def form_of(program: Program) -> Form:
    """Variables with their values, and constraints that are `different`, `linear`, or `rows` of one or two variables.

    Raises BadInput for a program that holds anything else.
    """
    variables = {variable.name: variable for variable in program.variables}
    constraints = [
        one
        for constraint in program.constraints
        for expr in conjuncts(constraint.expr)
        for one in _formed(expr, variables)
    ]
    domains = {name: _domain(variable) for name, variable in variables.items()}
    for one in [one for one in constraints if one["kind"] == "rows" and len(one["vars"]) == 1]:
        domains[one["vars"][0]] = [value for value in domains[one["vars"][0]] if [value] in one["rows"]]
    kept = [one for one in constraints if one["kind"] != "rows" or len(one["vars"]) > 1]
    return {"domains": domains, "constraints": kept, "objective": _objective(program.objective)}


def _formed(expr: Expr, variables: Mapping[str, Variable]) -> Iterator[Form]:
    names = sorted({one.name for one in nodes(expr) if isinstance(one, Ref)})
    if isinstance(expr, Node) and expr.op in ("alldifferent", "!=") and _are_refs(expr.args):
        yield {"kind": "different", "vars": names}
    elif isinstance(expr, Node) and expr.op in SENSES and len(names) > 1 and (terms := _compared(expr)) is not None:
        bound = -terms.pop(CONSTANT, 0) + MIRRORED[expr.op]
        yield {"kind": "linear", "terms": terms, "sense": SENSES[expr.op], "bound": bound}
    elif len(names) <= 2:
        domains = [_domain(variables[name]) for name in names]
        rows = [row for row in product(*domains) if value_of(expr, dict(zip(names, row, strict=True))) == 1]
        yield {"kind": "rows", "vars": names, "rows": [list(row) for row in rows]}
    else:
        raise BadInput("a constraint is neither linear nor of two variables")


def _are_refs(args: Sequence[Expr]) -> bool:
    return all(isinstance(arg, Ref) for arg in args)


def _compared(expr: Node) -> dict[str, int] | None:
    """Left less right as a linear sum."""
    return _sum([_linear(expr.args[0]), _scaled(_linear(expr.args[1]), -1)])


def _linear(expr: Expr) -> dict[str, int] | None:
    match expr:
        case Const(value, _):
            return {CONSTANT: int(value)}
        case Ref(name):
            return {name: 1}
        case Node("+" | "sum", args):
            return _sum([_linear(arg) for arg in args])
        case Node("-", (a, b)):
            return _sum([_linear(a), _scaled(_linear(b), -1)])
        case Node("neg", (a,)):
            return _scaled(_linear(a), -1)
        case Node("*", (Const(value, _), a)) | Node("*", (a, Const(value, _))):
            return _scaled(_linear(a), int(value))
    return None


def _sum(parts: Sequence[dict[str, int] | None]) -> dict[str, int] | None:
    total: dict[str, int] = {}
    for part in parts:
        if part is None:
            return None
        for name, factor in part.items():
            total[name] = total.get(name, 0) + factor
    return total


def _scaled(terms: dict[str, int] | None, factor: int) -> dict[str, int] | None:
    return None if terms is None else {name: factor * value for name, value in terms.items()}


def _objective(objective: Objective | None) -> Form | None:
    if objective is None:
        return None
    terms = _linear(objective.expr)
    if terms is None:
        raise BadInput("the objective is not linear")
    return {"sense": objective.sense, "terms": {name: value for name, value in terms.items() if name != CONSTANT}}


def _domain(variable: Variable) -> list[int]:
    return [value for value in range(int(variable.low), int(variable.high) + 1) if in_domain(variable, value)]
