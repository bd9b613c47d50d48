"""Whole-number variables tied in pairs: every solution, and the wrong turns.

Arc consistency after each decision (Mackworth 1977, AC-3), the variable with the fewest values next, the first of
equals, its values from the least. An exact counter for puzzles, and the measure of how hard they are: `undone` is the
number of decisions, over the whole search, below which there was no solution. Searching the whole tree makes it
independent of the order and the names of values; it is 0 where propagation alone solves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf
from random import Random

from trueup.core.csp.program import Constraint, Expr, Node, Program, Ref, Table, Variable, conjuncts, nodes
from trueup.core.csp.values import in_domain, value_of
from trueup.core.errors import BadInput

MOST_DECISIONS = 20_000
ROWS = 10
"""So many rows of a table are looked through in the time of one operation."""
Domains = Sequence[int]
"""A bit mask of values per variable, the lowest bit its least value."""


@dataclass(slots=True)
class Effort:
    """How many steps are left for trying values; `steps_of` counts those of an expression."""

    left: float = inf

    def takes(self, steps: int) -> bool:
        """Whether so many are left, which are then taken."""
        self.left -= steps
        return self.left >= 0

    def spend(self, steps: int) -> None:
        """Take so many.

        Raises BadInput where fewer are left.
        """
        if not self.takes(steps):
            raise BadInput("its constraints have too many cases to be tried one by one; a solver takes them")


class Relation:
    """What one variable leaves of another: per value of the first, the values of the second that go with it."""

    def __init__(self, rows: Sequence[int]) -> None:
        """Row v is the mask that goes with value v."""
        self._rows = rows
        self._reached: dict[int, int] = {}

    def reach(self, mask: int) -> int:
        """The values of the second that go with any of these values of the first."""
        reached = self._reached.get(mask)
        if reached is None:
            reached, left = 0, mask
            while left:
                low = left & -left
                reached |= self._rows[low.bit_length() - 1]
                left ^= low
            self._reached[mask] = reached
        return reached


@dataclass(frozen=True, slots=True)
class Tie:
    """What a constraint leaves of `second` for each value of `first`; on one variable the two are the same."""

    first: int
    second: int
    relation: Relation


@dataclass(frozen=True, slots=True)
class Network:
    """Domains, and per variable what it leaves of others."""

    domains: tuple[int, ...]
    ties: tuple[tuple[Tie, ...], ...]


@dataclass(frozen=True, slots=True)
class Searched:
    """Solutions as places in the domains; `is_whole` says that the tree was searched to its end."""

    solutions: tuple[tuple[int, ...], ...]
    undone: int
    is_whole: bool

    @property
    def is_unique(self) -> bool:
        """Exactly one solution, and proof that there is no other."""
        return self.is_whole and len(self.solutions) == 1


def network(domains: Domains, ties: Iterable[Tie]) -> Network:
    """Variables with these domains, tied so."""
    masks = list(domains)
    by_first: list[list[Tie]] = [[] for _ in masks]
    for tie in ties:
        if tie.second == tie.first:
            masks[tie.first] &= tie.relation.reach(masks[tie.first])
        else:
            by_first[tie.first].append(tie)
    return Network(tuple(masks), tuple(map(tuple, by_first)))


def all_different(groups: Iterable[Sequence[int]], size: int) -> list[Tie]:
    """No two variables of a group take one value, each of so many."""
    relation = Relation([((1 << size) - 1) ^ (1 << value) for value in range(size)])
    pairs = {pair for group in groups for pair in combinations(sorted(group), 2)}
    return [tie for a, b in sorted(pairs) for tie in (Tie(a, b, relation), Tie(b, a, relation))]


def network_of(program: Program, effort: Effort | None = None) -> Network:
    """A program whose constraints each hold at most two variables, or are `alldifferent`.

    Raises BadInput for any other, and where it takes more than this effort.
    """
    domains = [domain_of(variable) for variable in program.variables]
    ties = (tie for one in program.constraints for tie in ties_of(one, program.variables, effort))
    return network(domains, ties)


def ties_of(constraint: Constraint, variables: Sequence[Variable], effort: Effort | None = None) -> list[Tie]:
    """What one constraint comes to; BadInput is raised where that takes more than this effort."""
    places, left = {variable.name: place for place, variable in enumerate(variables)}, effort or Effort()
    return [tie for expr in conjuncts(constraint.expr) for tie in _ties(expr, variables, places, left)]


def _ties(expr: Expr, variables: Sequence[Variable], places: Mapping[str, int], effort: Effort) -> list[Tie]:
    """One relation for all pairs of an `alldifferent` over distinct variables that begin and end alike."""
    if isinstance(expr, Node) and expr.op == "alldifferent":
        group = [places[arg.name] for arg in expr.args if isinstance(arg, Ref)]
        bounds = {(variables[place].low, variables[place].high) for place in group}
        if len(set(group)) == len(expr.args) and len(bounds) == 1:
            low, high = bounds.pop()
            effort.spend(ROWS * len(group) ** 2)
            return all_different([group], int(high) - int(low) + 1)
    return [tie for part in _pairs(expr) for tie in _tied(part, variables, places, effort)]


def search(
    tied: Network,
    domains: Domains | None = None,
    *,
    solutions: int = 2,
    decisions: int = MOST_DECISIONS,
    rng: Random | None = None,
) -> Searched:
    """Up to so many solutions, within a number of decisions; with `rng` values are tried in random order."""
    state = _Search(tied, solutions, decisions, rng)
    start = list(tied.domains if domains is None else domains)
    if _settle(tied, start, range(len(start))):
        state.below(start)
    is_whole = state.left > 0 and len(state.found) < solutions
    return Searched(tuple(state.found), state.undone, is_whole)


class _Search:
    """What a search has found so far, and how many decisions it has left."""

    def __init__(self, tied: Network, solutions: int, decisions: int, rng: Random | None) -> None:
        self.tied, self.wanted, self.left, self.rng = tied, solutions, decisions, rng
        self.found: list[tuple[int, ...]] = []
        self.undone = 0

    def below(self, domains: list[int]) -> bool:
        """Search a consistent state to its end; whether it holds a solution."""
        open_ = [(mask.bit_count(), i) for i, mask in enumerate(domains) if mask & (mask - 1)]
        if not open_:
            self.found.append(tuple(mask.bit_length() - 1 for mask in domains))
            return True
        chosen, before = min(open_)[1], len(self.found)
        for bit in self._bits(domains[chosen]):
            if self.left <= 0 or len(self.found) >= self.wanted:
                break
            self.left -= 1
            taken = [*domains[:chosen], bit, *domains[chosen + 1 :]]
            if not (_settle(self.tied, taken, [chosen]) and self.below(taken)):
                self.undone += 1
        return len(self.found) > before

    def _bits(self, mask: int) -> list[int]:
        bits = [1 << place for place in range(mask.bit_length()) if mask >> place & 1]
        if self.rng is not None:
            self.rng.shuffle(bits)
        return bits


def _settle(tied: Network, domains: list[int], changed: Iterable[int]) -> bool:
    """Make domains arc-consistent in place; whether none became empty."""
    waiting = dict.fromkeys(changed)
    while waiting:
        first = next(iter(waiting))
        del waiting[first]
        mask = domains[first]
        for tie in tied.ties[first]:
            left = domains[tie.second] & tie.relation.reach(mask)
            if left == domains[tie.second]:
                continue
            if not left:
                return False
            domains[tie.second] = left
            waiting[tie.second] = None
    return all(domains)


def domain_of(variable: Variable) -> int:
    """The values that a variable may take, as a mask."""
    low, high = int(variable.low), int(variable.high)
    return sum(1 << value - low for value in range(low, high + 1) if in_domain(variable, value))


def steps_of(expr: Expr) -> int:
    """What it takes to work out an expression: its operations and operands, and the rows of its tables."""
    return sum(1 + (len(one.rows) // ROWS if isinstance(one, Table) else 0) for one in nodes(expr))


def _pairs(expr: Expr) -> Iterator[Expr]:
    """An expression itself, or an `alldifferent` as its pairs."""
    if isinstance(expr, Node) and expr.op == "alldifferent":
        yield from (Node("!=", pair) for pair in combinations(expr.args, 2))
    else:
        yield expr


def _tied(expr: Expr, variables: Sequence[Variable], places: Mapping[str, int], effort: Effort) -> list[Tie]:
    names = sorted({one.name for one in nodes(expr) if isinstance(one, Ref)}, key=places.__getitem__)
    if not 1 <= len(names) <= 2:
        raise BadInput(f"a constraint holds {len(names)} variables; a network takes those of one or two")
    a, b = names[0], names[-1]
    lows = [int(variables[places[name]].low) for name in (a, b)]
    sizes = [int(variables[places[name]].high) - low + 1 for name, low in zip((a, b), lows, strict=True)]
    effort.spend(steps_of(expr) * (sizes[0] if a == b else sizes[0] * sizes[1]))
    allowed = [
        [(a != b or i == j) and value_of(expr, {a: lows[0] + i, b: lows[1] + j}) == 1 for j in range(sizes[1])]
        for i in range(sizes[0])
    ]
    forth = Relation([_mask(row) for row in allowed])
    if a == b:
        return [Tie(places[a], places[a], forth)]
    back = Relation([_mask(column) for column in zip(*allowed, strict=True)])
    return [Tie(places[a], places[b], forth), Tie(places[b], places[a], back)]


def _mask(row: Sequence[bool]) -> int:
    return sum(1 << place for place, is_in in enumerate(row) if is_in)
