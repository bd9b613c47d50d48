"""Rules of the puzzle that the problem's own prompt states; needs no reference."""

from __future__ import annotations

from dataclasses import dataclass

from trueup.core.csp import parse
from trueup.core.csp.values import broken, value_of
from trueup.core.errors import BadInput, UnknownName
from trueup.core.grid import givens_of
from trueup.core.puzzles.families import FAMILIES, Puzzle, Values, said_grid
from trueup.core.types import Grade, Json, Problem, last_asked
from trueup.verifiers.marks import spoken
from trueup.verifiers.sudoku_rules import broken_rule

SUDOKU = "sudoku"


@dataclass(frozen=True, slots=True)
class Constraint:
    """Implements Verifier for sudoku, by its own rules; made by `constraint`."""

    name: str
    needs_reference: bool = False

    def read(self, text: str) -> str | None:
        """The filled grid, a line per row and a space between numbers."""
        said = spoken(text)
        return None if said is None else said_grid(said)

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 where the givens stand and no row, column or box repeats a number; the note says what is broken first."""
        givens = givens_of(problem)
        grid = tuple(tuple(map(int, line.split())) for line in answer.splitlines())
        rule = broken_rule(grid, givens)
        return Grade(1.0) if rule is None else Grade(0.0, note=rule)


@dataclass(frozen=True, slots=True)
class Stated:
    """Implements Verifier for the other families, by the constraints that the statement comes to."""

    family: str
    name: str
    needs_reference: bool = False

    def read(self, text: str) -> str | None:
        """The answer in its canonical form."""
        said = spoken(text)
        return None if said is None else FAMILIES[self.family].said(said)

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 where every clue holds and nothing could be better; the note says what is broken first.

        Raises BadInput where the problem states no puzzle of the family.
        """
        puzzle = self._puzzle(problem)
        values = puzzle.values(answer)
        fault = "does not say exactly what is asked" if values is None else _fault(puzzle, values)
        return Grade(1.0) if fault is None else Grade(0.0, note=fault)

    def _puzzle(self, problem: Problem) -> Puzzle:
        puzzle = FAMILIES[self.family].stated(last_asked(problem.prompt))
        if puzzle is None:
            raise BadInput(
                f"item {problem.id!r}: its last user message states no {self.family} puzzle; take items of "
                f"csp:{self.family}, or another verifier"
            )
        return puzzle


def constraint(*, family: str = SUDOKU) -> Constraint | Stated:
    """Check a puzzle's answer against the rules of its family, of which `sudoku` has 4, 6, 9 or 16 rows."""
    if family not in FAMILIES:
        raise UnknownName("family of constraint", family, FAMILIES)
    name = f"constraint family={family}"
    return Constraint(name) if family == SUDOKU else Stated(family, name)


def _fault(puzzle: Puzzle, values: Values) -> str | None:
    """The first clue that values break, or that something better exists."""
    program = parse(puzzle.constraints())
    fault = next(broken(program, values), None)
    if fault is not None or program.objective is None:
        return fault
    reached, best = value_of(program.objective.expr, values), puzzle.optimum()
    return None if reached == best else f"comes to {reached}; {best} can be had"
