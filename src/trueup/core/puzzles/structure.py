"""How a constraint program is built, and how far propagation alone gets with it.

What makes a problem hard for whoever cannot take an answer back: read off the statement, never off the solution.
Propagation is arc consistency of what ties two variables (see `network.py`), and for a wider constraint the values
that occur in one of its cases, where few enough are open. `undone` counts the decisions below which there was no
solution, in a search for two solutions that takes the variable with the fewest values next; it is cut off at
so many decisions, and what cannot be searched (fractions, wide domains) has the counts alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import log2, prod
from statistics import fmean

from trueup.core.csp import read_program
from trueup.core.csp.limits import Limits
from trueup.core.csp.program import Constraint, Expr, Node, Program, Ref, Variable, conjuncts, nodes
from trueup.core.csp.values import value_of
from trueup.core.errors import BadInput
from trueup.core.puzzles.families import stated
from trueup.core.puzzles.network import Effort, Network, Tie, domain_of, network, steps_of, ties_of

MOST_DECISIONS = 200
CASES = 256
"""Of a constraint that ties more than two variables so many combinations are tried at most."""
ALL_CASES, ALL_TIES = 50_000, 12_000
"""As many of all such constraints together, and ties of two variables: beyond them there is no propagation."""
ALL_STEPS = 2_000_000
"""Steps of trying the cases of all constraints: beyond them there is no propagation either."""
SEARCHED = Limits(characters=100_000, variables=512, constraints=2_000, nodes=20_000)
WIDEST_DOMAIN = 64


@dataclass(frozen=True, slots=True)
class Structure:
    """Counts of a program: `bits` are the mean of the binary logarithm of domain sizes, arities are of constraints.

    `rounds` of propagation lead from the statement to where nothing more follows; both that and `undone` are None
    where the program was not searched, and `undone` is what there was until the search was cut off.
    """

    variables: int
    bits: float
    constraints: int
    arity: float
    widest: int
    rounds: int | None = None
    undone: int | None = None


@dataclass(frozen=True, slots=True)
class Wide:
    """A constraint on more than two variables: their places, names and least values; `steps` are those of a case."""

    expr: Expr
    steps: int
    places: tuple[int, ...]
    names: tuple[str, ...]
    lows: tuple[int, ...]

    def left(self, domains: Sequence[int], effort: Effort) -> list[int] | None:
        """The values of its variables that occur in a case that it allows; None where there are too many cases."""
        masks = [domains[place] for place in self.places]
        cases = prod(mask.bit_count() for mask in masks)
        if cases > CASES or not effort.takes(cases * self.steps):
            return None
        found = [0] * len(masks)
        for case in product(*map(_places, masks)):
            values = {name: low + at for name, low, at in zip(self.names, self.lows, case, strict=True)}
            if value_of(self.expr, values) == 1:
                found = [mask | 1 << at for mask, at in zip(found, case, strict=True)]
        return found


@dataclass(slots=True)
class Hunt:
    """A search for solutions: decisions and steps left, how many were found, and decisions undone."""

    tied: Network
    wide: Sequence[Wide]
    left: int
    effort: Effort
    found: int = 0
    undone: int = 0
    cases: int = ALL_CASES
    by_place: dict[int, list[Wide]] = field(default_factory=dict)

    def settle(self, domains: list[int], changed: Iterable[int]) -> int | None:
        """Propagate in place; the rounds that changed something, None for a contradiction."""
        waiting, rounds = sorted(changed), 0
        while waiting:
            news: set[int] = set()
            for place, mask in self._narrowed(domains, waiting):
                if mask == 0:
                    return None
                domains[place] = mask
                news.add(place)
            waiting, rounds = sorted(news), rounds + bool(news)
        return rounds

    def _narrowed(self, domains: Sequence[int], waiting: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Places with what these changes leave of them, where that is less than before."""
        for first in waiting:
            for tie in self.tied.ties[first]:
                mask = domains[tie.second] & tie.relation.reach(domains[first])
                if mask != domains[tie.second]:
                    yield tie.second, mask
        touched = {id(wide): wide for first in waiting for wide in self.by_place.get(first, ())}
        for wide in touched.values():
            self.cases -= CASES
            if self.cases < 0:
                return
            for place, mask in zip(wide.places, wide.left(domains, self.effort) or (), strict=False):
                if domains[place] & mask != domains[place]:
                    yield place, domains[place] & mask

    def below(self, domains: list[int]) -> bool:
        """Search a settled state; whether it holds a solution."""
        open_ = [(mask.bit_count(), place) for place, mask in enumerate(domains) if mask & (mask - 1)]
        if not open_:
            self.found += 1
            return True
        chosen, before = min(open_)[1], self.found
        for at in _places(domains[chosen]):
            if self.left <= 0 or self.found >= 2:
                break
            self.left -= 1
            taken = [*domains[:chosen], 1 << at, *domains[chosen + 1 :]]
            if self.settle(taken, [chosen]) is None or not self.below(taken):
                self.undone += 1
        return self.found > before


def structure_of(program: Program, *, decisions: int = MOST_DECISIONS) -> Structure:
    """How a program is built, and what a search of at most so many decisions makes of it."""
    arities = [len(_names(constraint.expr)) for constraint in program.constraints]
    sizes = [_size(variable) for variable in program.variables]
    counts = Structure(
        len(program.variables), fmean(map(log2, sizes)), len(arities), fmean(arities or [0]), max(arities, default=0)
    )
    if program.is_continuous or max(sizes) > WIDEST_DOMAIN or len(sizes) > SEARCHED.variables:
        return counts
    try:
        hunt = _hunt(program, decisions)
    except BadInput:
        return counts
    if sum(map(len, hunt.tied.ties)) > ALL_TIES:
        return counts
    domains = list(hunt.tied.domains)
    rounds = hunt.settle(domains, range(len(domains)))
    if rounds is not None:
        hunt.below(domains)
    return Structure(
        counts.variables, counts.bits, counts.constraints, counts.arity, counts.widest, rounds or 0, hunt.undone
    )


def structure_stated(text: str) -> Structure | None:
    """The structure of the puzzle or program that a text states; None where it states none, or a large one."""
    if len(text) > SEARCHED.characters:
        return None
    puzzle = stated(text)
    try:
        program = read_program(text if puzzle is None else puzzle[1].constraints(), SEARCHED)
    except BadInput:
        return None
    return structure_of(program)


def _hunt(program: Program, decisions: int) -> Hunt:
    effort = Effort(ALL_STEPS)
    ties: list[Tie] = []
    wide: list[Wide] = []
    places = {variable.name: place for place, variable in enumerate(program.variables)}
    for constraint in program.constraints:
        for expr in conjuncts(constraint.expr):
            if _is_narrow(expr):
                ties += ties_of(Constraint(expr), program.variables, effort)
            elif names := _names(expr):
                at = tuple(places[name] for name in names)
                lows = tuple(int(program.variables[place].low) for place in at)
                wide.append(Wide(expr, steps_of(expr), at, names, lows))
    hunt = Hunt(network([domain_of(variable) for variable in program.variables], ties), wide, decisions, effort)
    for one in wide:
        for place in one.places:
            hunt.by_place.setdefault(place, []).append(one)
    return hunt


def _is_narrow(expr: Expr) -> bool:
    parts = expr.args if isinstance(expr, Node) and expr.op == "alldifferent" else None
    return 1 <= len(_names(expr)) <= 2 or (parts is not None and all(isinstance(part, Ref) for part in parts))


def _names(expr: Expr) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.name for one in nodes(expr) if isinstance(one, Ref)))


def _size(variable: Variable) -> float:
    return len(variable.values) or max(1.0, float(variable.high) - float(variable.low) + 1)


def _places(mask: int) -> list[int]:
    return [place for place in range(mask.bit_length()) if mask >> place & 1]
