"""Generated puzzles solved from their statement, beside the solver below and beside peers.

Every family that `csp:FAMILY` makes, and two that grow. A row of ours: from a problem to an answer through a warm
worker, with the proof that it is the only one; `bare` is CP-SAT alone on the same models, built before the clock
starts, first solution and proof; `overhead_ms` the median of what lies between, reading, writing and building. A row of
a peer: from its form of a program to its first solution, in its own process, without reading a statement or a proof of
uniqueness; `n` is smaller where two problems in a row took more than ten seconds. `ratio` is our median divided by the
other's, on the same problems.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from trueup.bench.bare import LIMIT_SECONDS, bare, beside, figures
from trueup.bench.peers.install import install
from trueup.bench.peers.puzzle_form import form_of
from trueup.bench.peers.puzzle_peers import PUZZLE_PEERS, PeerSolution, PuzzlePeer, ask_puzzle_peer
from trueup.core.csp import Program, parse
from trueup.core.errors import BadInput
from trueup.core.puzzles.families import Values
from trueup.core.roles import Solver
from trueup.core.types import Json, Message, Problem
from trueup.solvers.csp import csp as solver_of
from trueup.tasks.csp import prompt, puzzles
from trueup.verifiers import constraint

ONCE = (
    "scheduling",
    "seating",
    "seating table=round",
    "bin_packing",
    "knapsack",
    "colouring",
    "cryptarithm",
    "crossword",
    "sudoku backtracks=10..30",
    "colouring backtracks=3..6",
)
GROWING = (
    *(f"sudoku size={size}" for size in (4, 6, 9, 16)),
    *(f"zebra people={size} categories={size}" for size in (4, 5, 6, 7, 8)),
)
AMOUNT, GROWING_AMOUNT = 20, 10


@dataclass(frozen=True, slots=True)
class Case:
    """Puzzles of one kind: the words that make them, as problems, as programs, and how values become an answer."""

    words: str
    problems: tuple[Problem, ...]
    programs: tuple[Program, ...]
    answers: tuple[Callable[[Values], str], ...]

    @property
    def family(self) -> str:
        """The family's name alone."""
        return self.words.split()[0]

    def is_right(self, place: int, text: str) -> bool:
        """Whether an answer to one of them is right."""
        verifier = constraint(family=self.family)
        answer = verifier.read(text)
        return answer is not None and verifier.check(answer, self.problems[place], None).is_right


def solve_generated(*, peers: bool = True) -> Iterator[dict[str, Json]]:
    """A row per kind of puzzle, and one per peer that can express it."""
    for words in (*ONCE, *GROWING):
        case = _case(words, GROWING_AMOUNT if words in GROWING else AMOUNT)
        row, seconds = asyncio.run(_own(case))
        yield row
        for peer in PUZZLE_PEERS if peers else ():
            yield _of_peer(peer, case, seconds)


def _case(words: str, amount: int) -> Case:
    made = puzzles(words, limit=amount)
    problems = tuple(Problem(words, "bench", (Message("user", prompt(one.puzzle)),)) for one in made)
    programs = tuple(parse(one.puzzle.constraints()) for one in made)
    return Case(words, problems, programs, tuple(one.puzzle.answer for one in made))


async def _own(case: Case) -> tuple[dict[str, Json], Sequence[float]]:
    """The row, and the seconds of each."""
    solver = solver_of(limit_seconds=LIMIT_SECONDS)
    bare(case.programs[0])
    try:
        await solver.solve(case.problems[0])  # both are warm from here on
        told = [
            (*await _timed(solver, case, place), bare(program))  # in turn: a busy machine then slows both
            for place, program in enumerate(case.programs)
        ]
    finally:
        await solver.close()
    exact, decided, seconds, alone = zip(*told, strict=True)
    return {"family": f"csp:{case.words}", **figures(exact, decided, seconds), **beside(seconds, alone)}, seconds


async def _timed(solver: Solver, case: Case, place: int) -> tuple[bool, bool, float]:
    """Whether an answer is right, whether there is one, and its seconds from ask to answer."""
    started = time.perf_counter()
    solution = await solver.solve(case.problems[place])
    seconds = time.perf_counter() - started
    return case.is_right(place, solution.text), solution.status == "solved", seconds


def _of_peer(peer: PuzzlePeer, case: Case, own: Sequence[float]) -> dict[str, Json]:
    names = {"system": f"{peer.peer.name} {peer.peer.version}", "family": f"csp:{case.words}"}
    try:
        forms = [form_of(program) for program in case.programs]
    except BadInput as error:
        return names | {"n": 0, "note": f"cannot be put to it: {error}"}
    if forms[0]["objective"] and not peer.optimises:
        return names | {"n": 0, "note": "cannot be put to it: it has no objective"}
    return names | _told(case, ask_puzzle_peer(peer, install(peer.peer), forms), own)


def _told(case: Case, found: Sequence[PeerSolution], own: Sequence[float]) -> dict[str, Json]:
    """The figures of what a peer found, beside our seconds on the same problems."""
    texts = ["" if one.values is None else say(one.values) for one, say in zip(found, case.answers, strict=False)]
    exact = [case.is_right(place, text) for place, text in enumerate(texts)]
    decided = [one.values is not None for one in found]
    seconds = [one.seconds for one in found]
    return figures(exact, decided, seconds) | {"ratio": median(own[: len(seconds)]) / median(seconds)}
