"""Solves logic over fractions and whole numbers by Z3, through its API.

Runs in the child process only. Z3's own text parser is never given anything: it reads and writes files on command.
Polynomials are exact; sine, cosine, exponentials and logarithms are not taken. A place outside of `element`, a division
by zero or a root of what is below it breaks the constraint that it stands in, wherever it stands there. A best value is
called one when a second query finds none better: Z3's own word for it is at times wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trueup.core.csp.operators import EXACT_POWER
from trueup.core.csp.program import MAXIMIZE, Const, Expr, Node, Objective, Program, nodes
from trueup.core.csp.values import named
from trueup.core.errors import Unavailable
from trueup.solvers.backends import UNREACHED, WORTHLESS
from trueup.solvers.clock import Clock
from trueup.solvers.conflict import smallest_conflict
from trueup.solvers.smt_terms import DIGITS, Terms

MILLISECONDS = 1000
TRIES = 20
"""How often its optimiser may name a best value that is none, each time held to a better one."""
REFUSED = frozenset({"sqrt", "sin", "cos", "exp", "log"})
GAVE_UP = "z3 could not decide the program; choose another back-end"
UNPROVED = "z3 could not tell whether the solution that it found is the only one; take any"
UNCONFIRMED = "z3 found no best value that a second query confirms; choose another back-end"


def is_taken(program: Program) -> bool:
    """Whether Z3 has all operations of a program, and may come to an end with them."""
    goal = () if program.objective is None else (program.objective.expr,)
    every = (*(constraint.expr for constraint in program.constraints), *goal)
    return not any(_is_refused(one) for expr in every for one in nodes(expr))


def _is_refused(expr: Expr) -> bool:
    match expr:
        case Node("^", (_, exponent)):
            return not (isinstance(exponent, Const) and abs(exponent.value) <= EXACT_POWER)
        case Node(op, _):
            return op in REFUSED
        case _:
            return False


def solve_smt(program: Program, limit_seconds: float, *, unique: bool = True) -> dict[str, Any]:
    """The status, a solution and, without an objective, another one; or the constraints in conflict.

    Raises Unavailable without Z3, BadInput for an operation that it does not take.
    """
    try:
        import z3
    except ImportError:
        raise Unavailable(
            "the program wants the back-end z3, whose package is not installed; pip install 'trueup[smt]'"
        ) from None
    search = Search(z3, program, limit_seconds)
    found = search.check(*search.names)
    if found == z3.unsat:
        return {"status": "unsatisfiable", "conflict": search.conflict()}
    if found != z3.sat:
        return search.unknown()
    if program.objective is not None:
        return search.best(program.objective)
    return search.another() if unique else {"status": "solved", "values": search.values(search.solver.model())}


class Search:
    """A program before Z3, its constraints each behind a switch."""

    def __init__(self, z3: Any, program: Program, limit_seconds: float) -> None:
        """Post the domains and the constraints, and start the clock."""
        self.z3, self.clock, self.solver, self.terms = z3, Clock(limit_seconds), z3.Solver(), Terms(z3, program)
        self._variables = program.variables
        self.names: dict[Any, str] = {}
        for variable in program.variables:
            self.solver.add(*self.terms.domain(variable))
        for i, constraint in enumerate(program.constraints):
            switch = z3.Bool(f"constraint {i}")
            holds = self.terms.truth(constraint.expr)
            self.solver.add(z3.Implies(switch, z3.And(holds, *self.terms.inside())))
            self.names[switch] = named(constraint)

    def check(self, *switches: Any, by: Any = None) -> Any:
        """Whether what is posted holds together with these, in the time that is left."""
        solver = self.solver if by is None else by
        solver.set("timeout", max(1, round(self.clock.left * MILLISECONDS)))
        return solver.check(*switches)

    def holds(self, *further: Any) -> Any:
        """Whether a solution has this, too."""
        self.solver.push()
        self.solver.add(*further)
        found = self.check(*self.names)
        self.solver.pop()
        return found

    def unknown(self, said: str = GAVE_UP, *, by: Any = None) -> dict[str, Any]:
        """The reply where Z3 does not know; it says so and why."""
        reason = (self.solver if by is None else by).reason_unknown()
        if not self.clock.left or reason in ("timeout", "canceled"):
            return {"status": "timeout"}
        return {"status": "undecided", "reason": f"{said} (its reason: {reason})" if reason else said}

    def conflict(self) -> list[str]:
        """The names of constraints that contradict each other, none of which can be left out."""
        core = {self.names[switch] for switch in self.solver.unsat_core()}

        def contradicts(kept: Sequence[str]) -> bool:
            return bool(self.check(*(one for one, name in self.names.items() if name in kept)) == self.z3.unsat)

        suspects = [name for name in dict.fromkeys(self.names.values()) if name in core]
        return smallest_conflict(suspects, contradicts, lambda: self.clock.left > 0)

    def values(self, model: Any) -> dict[str, int | float]:
        """The value of each variable in a model."""
        of = self.terms
        return {v.name: of.read(model.eval(of.vars[v.name], model_completion=True), v) for v in self._variables}

    def another(self) -> dict[str, Any]:
        """The reply for the solution that was found: whether there is a second one."""
        model = self.solver.model()
        first = self.values(model)
        apart = [self._apart(var, model.eval(var, model_completion=True)) for var in self.terms.vars.values()]
        self.solver.add(self.z3.Or(apart))
        found = self.check(*self.names)
        if found == self.z3.unsat:
            return {"status": "solved", "values": first}
        if found != self.z3.sat:
            return {"values": first} | self.unknown(UNPROVED)
        other = self.values(self.solver.model())
        differing = {name: value for name, value in other.items() if value != first[name]}
        return {"status": "not_unique", "values": first, "other": differing}

    def best(self, objective: Objective) -> dict[str, Any]:
        """The solution with the least or greatest value of an objective."""
        goal, is_greatest = self.terms.number(objective.expr), objective.sense == MAXIMIZE
        self.solver.add(*self.names, *self.terms.inside())
        found = self.check()
        if found != self.z3.sat:
            return self.unknown() if found != self.z3.unsat else {"status": "undecided", "reason": WORTHLESS}
        optimiser = self.z3.Optimize()
        optimiser.add(*self.solver.assertions())
        bound = (optimiser.maximize if is_greatest else optimiser.minimize)(goal)
        for _ in range(TRIES):
            if self.check(by=optimiser) != self.z3.sat:
                return self.unknown(by=optimiser)
            low, high = self._around(optimiser.model().eval(goal, model_completion=True))
            better = goal > high if is_greatest else goal < low
            found = self.holds(better)
            if found == self.z3.unsat:
                return {"status": "solved", "values": self.values(optimiser.model())}
            if found != self.z3.sat:
                break
            if self._is_approached(goal, bound, 1 if is_greatest else -1):
                return {"status": "undecided", "reason": UNREACHED}
            optimiser.add(better)
        return {"status": "undecided", "reason": UNCONFIRMED} if self.clock.left else {"status": "timeout"}

    def _is_approached(self, goal: Any, bound: Any, sign: int) -> bool:
        """Whether an objective comes close to a bound that it never reaches, upwards for a sign of 1."""
        infinite, limit, _ = bound.upper_values()
        near = self.z3.Q(1, 10**DIGITS)
        return bool(
            self.z3.is_rational_value(limit)
            and str(infinite) == "0"
            and self.holds(sign * (goal - limit) >= 0) == self.z3.unsat
            and self.holds(sign * (goal - limit) > -near) == self.z3.sat
        )

    def _apart(self, var: Any, value: Any) -> Any:
        """That a variable has another value."""
        low, high = self._around(value)
        return var != value if low is high else self.z3.Or(var < low, var > high)

    def _around(self, value: Any) -> tuple[Any, Any]:
        """Bounds of a value: itself, or for an irrational one what lies close to it."""
        if not hasattr(value, "approx"):
            return value, value
        near, middle = self.z3.Q(1, 10**DIGITS), value.approx(2 * DIGITS)
        return middle - near, middle + near
