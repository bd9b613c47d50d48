"""What the beginning of an answer says already, as values of a constraint program's variables.

Lines such as `x = 3` for a program that the prompt states itself; for the generated families their own layout. What
names no variable is passed over; a value that its variable cannot take is None. The last line is read as if it were
whole, so a beginning should end with a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from trueup.core.csp.program import BOOL, FLOAT, Program, Variable
from trueup.core.csp.scope import cell
from trueup.core.csp.values import in_domain
from trueup.core.puzzles.families import Colouring, Cryptarithm, Scheduling, Seating, Sudoku, Zebra
from trueup.core.puzzles.families.colouring import said_colours
from trueup.core.puzzles.families.cryptarithm import said_digits
from trueup.core.puzzles.families.scheduling import NAMED, hours_of
from trueup.core.puzzles.families.seating import said_names
from trueup.core.puzzles.families.sudoku import begun_rows
from trueup.core.puzzles.families.words import rows_of, said_rows
from trueup.core.puzzles.families.zebra import said_houses

Begun = Mapping[str, int | None]
LOST: Begun = {"": None}
"""What no answer begins with."""
FRAME = " \t`*-"
"""What a model puts around a line."""
WHOLE = re.compile(r"[+-]?\d{1,12}")


def begun_values(program: Program, text: str) -> Begun:
    """What lines like `x = 3` give a program's variables; a later line of one name goes before an earlier one."""
    variables = {variable.name: variable for variable in program.variables}
    lines = (line.strip(FRAME).split("=") for line in text.splitlines())
    sides = [(line[0].rstrip(), line[1].strip().rstrip(FRAME + ".;")) for line in lines if len(line) == 2]
    pairs = [(name, said) for name, said in sides if said and name in variables]
    return {name: _value(variables[name], said) for name, said in pairs if variables[name].kind != FLOAT}


def begun_answer(puzzle: Any, text: str) -> Begun:
    """What a text gives the variables of a generated puzzle."""
    return READERS[type(puzzle)](puzzle, text)


def _value(variable: Variable, said: str) -> int | None:
    """A value in the program's words as a number."""
    if variable.labels:
        return variable.labels.index(said) if said in variable.labels else None
    if variable.kind == BOOL and said in ("true", "false"):
        return int(said == "true")
    value = int(said) if WHOLE.fullmatch(said) else None
    return value if value is not None and in_domain(variable, value) else None


def _sudoku(puzzle: Sudoku, text: str) -> Begun:
    size = len(puzzle.grid)
    rows = begun_rows(text, size)
    if len(rows) > size or any(len(row) > size for row in rows) or any(len(row) < size for row in rows[:-1]):
        return LOST
    cells = {(r, c): number for r, row in enumerate(rows, 1) for c, number in enumerate(row, 1)}
    return {cell("grid", place): number if 1 <= number <= size else None for place, number in cells.items()}


def _colouring(puzzle: Colouring, text: str) -> Begun:
    regions = {f"r{i}": f"R{i}" for i in range(1, len(puzzle.given) + 1)}
    return {
        regions[name]: puzzle.colours.index(row[0]) if len(row) == 1 and row[0] in puzzle.colours else None
        for name, row in rows_of(said_colours(text) or "").items()
        if name in regions and row
    }


def _scheduling(puzzle: Scheduling, text: str) -> Begun:
    rows = said_rows(text, NAMED)
    hours = hours_of(rows)
    return {job.name: hours.get(name) for job in puzzle.jobs if rows.get(name := job.name.casefold())}


def _zebra(puzzle: Zebra, text: str) -> Begun:
    spelt = {one.casefold(): one for _, values in puzzle.categories for one in values}
    found: dict[str, int | None] = {}
    for name, row in rows_of(said_houses(text) or "").items():
        for one in row:
            if one in spelt:
                found[spelt[one]] = None if spelt[one] in found else int(name.split()[1])
    return found


def _seating(puzzle: Seating, text: str) -> Begun:
    spelt = {name.casefold(): name for name in puzzle.people}
    order = said_names(text)
    return {spelt[one]: seat if order.count(one) == 1 else None for seat, one in enumerate(order, 1) if one in spelt}


def _cryptarithm(puzzle: Cryptarithm, text: str) -> Begun:
    pairs = [pair.split("=") for pair in (said_digits(text) or "").split()]
    return {letter: int(digit) for letter, digit in pairs if letter in puzzle.letters}


READERS: dict[type, Callable[[Any, str], Begun]] = {
    Sudoku: _sudoku, Colouring: _colouring, Scheduling: _scheduling, Zebra: _zebra, Seating: _seating,
    Cryptarithm: _cryptarithm,
}  # fmt: skip
