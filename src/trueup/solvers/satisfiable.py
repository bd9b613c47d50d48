"""Whether the constraints that a problem states can still be met behind the beginning of an answer.

A critic for search and retraction that needs no training: 0 for a beginning that no answer continues, which one rule
at a time does not show, else 1. It reads the last user message and nothing else of an item. Propagation and a bounded
search come first; what they leave open a solver decides within its limits, and what stays open is rated 1.
Cost: a search of microseconds a text, else a call of the solver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trueup.core.csp import Const, Constraint, Limits, Node, Program, Ref, parse, read_program
from trueup.core.csp.program import nodes
from trueup.core.errors import BadInput, UnknownName
from trueup.core.puzzles.families import Puzzle, stated
from trueup.core.puzzles.network import Effort, Network, network_of, search
from trueup.core.types import Problem, last_asked
from trueup.solvers.backends import CP_SAT
from trueup.solvers.beginnings import READERS, Begun, begun_answer, begun_values
from trueup.solvers.program import ProgramSolver
from trueup.solvers.worker import open_worker

DECISIONS = 500
WIDEST, MOST = 64, 600
"""The values of a variable and the variables that a search in this process takes on."""
MOST_CASES, MOST_STEPS = 500_000, 2_000_000
"""Pairs of variables times pairs of values that are tied in this process, and steps of trying them."""
KEPT = 256
LIMITS = Limits(characters=100_000, variables=2_000, constraints=5_000, nodes=100_000, table_cells=2_000_000)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a message states: a program, the puzzle that it comes from, and its network where it has one."""

    program: Program
    puzzle: Puzzle | None
    tied: Network | None

    def begun(self, text: str) -> Begun:
        """What a text gives the variables."""
        return begun_values(self.program, text) if self.puzzle is None else begun_answer(self.puzzle, text)


class Satisfiable:
    """Implements Rater; made by `satisfiable`. Its `seconds` are the solver's, of what it decided in its process."""

    def __init__(self, solver: ProgramSolver) -> None:
        """Ask this solver where the search in this process does not come to an end."""
        self._solver = solver
        self._known: dict[str, Asked] = {}
        self.seconds = 0.0
        self.fingerprint = f"satisfiable {solver.fingerprint}"

    async def rate(self, problem: Problem, texts: Sequence[str]) -> Sequence[float]:
        """0 for each text that leaves the constraints no solution, else 1."""
        asked = self._asked(problem)
        return [float(await self._holds(asked, asked.begun(text))) for text in texts]

    async def close(self) -> None:
        """Kill the solver's process."""
        await self._solver.close()

    async def _holds(self, asked: Asked, begun: Begun) -> bool:
        values = {name: value for name, value in begun.items() if value is not None}
        if len(values) < len(begun):
            return False
        found = None if asked.tied is None else _searched(asked.tied, asked.program, values)
        if found is not None:
            return found
        enums = {variable.name: variable.enum for variable in asked.program.variables}
        said = (Node("==", (Ref(name), Const(value, enums[name]))) for name, value in values.items())
        constraints = (*asked.program.constraints, *map(Constraint, said))
        further = replace(asked.program, constraints=constraints, objective=None)
        reply = await self._solver.decide(further, unique=False)
        self.seconds += reply["seconds"]
        return bool(reply["status"] != "unsatisfiable")

    def _asked(self, problem: Problem) -> Asked:
        text = last_asked(problem.prompt)
        if text not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[text] = _read(text, problem.id)
        return self._known[text]


def satisfiable(*, limit_seconds: float = 1.0, memory_megabytes: int = 1024) -> Satisfiable:
    """Rate beginnings by whether the constraints that the prompt states, as a puzzle or a program, can still be met."""
    return Satisfiable(ProgramSolver(open_worker(limit_seconds, memory_megabytes), CP_SAT))


def _read(text: str, item: str) -> Asked:
    """What a message states.

    Raises BadInput where it is nothing that a beginning of an answer could be checked against.
    """
    found = stated(text)
    if found is not None and type(found[1]) not in READERS:
        raise UnknownName("family of satisfiable", found[0], sorted(kind.__name__.lower() for kind in READERS))
    try:
        program = parse(found[1].constraints()) if found else read_program(text, LIMITS)
    except BadInput as error:
        raise BadInput(f"item {item!r}: its last user message states no puzzle and no program ({error})") from None
    if program.is_continuous:
        raise BadInput(f"item {item!r}: its program has fractions, which satisfiable does not take; scale them")
    return Asked(program, found[1] if found else None, _network(program))


def _network(program: Program) -> Network | None:
    """The program for the search in this process; None where it is too large, or ties more than two variables."""
    widths = [variable.high - variable.low for variable in program.variables]
    if len(widths) > MOST or max(widths) >= WIDEST or _pairs(program) * (max(widths) + 1) ** 2 > MOST_CASES:
        return None
    try:
        return network_of(program, Effort(MOST_STEPS))
    except BadInput:
        return None


def _pairs(program: Program) -> int:
    """How many pairs of variables its constraints tie, at the most."""
    counts = (sum(isinstance(one, Ref) for one in nodes(each.expr)) for each in program.constraints)
    return sum(count * (count - 1) // 2 for count in counts)


def _searched(tied: Network, program: Program, values: Begun) -> bool | None:
    """Whether a solution has these values; None where the search does not come to an end."""
    domains = list(tied.domains)
    for place, variable in enumerate(program.variables):
        value = values.get(variable.name)
        if value is not None:
            low = int(variable.low)
            domains[place] &= 1 << (value - low) if low <= value <= variable.high else 0
    if not all(domains):
        return False
    found = search(tied, domains, solutions=1, decisions=DECISIONS)
    return True if found.solutions else False if found.is_whole else None
