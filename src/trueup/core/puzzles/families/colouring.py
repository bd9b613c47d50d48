"""A map to colour, some of it coloured already."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trueup.core.puzzles.families.puzzle import Values
from trueup.core.puzzles.families.words import rows_of, said_rows, table

HEAD = re.compile(r"Colour every region so that no two neighbours have the same colour\. The colours are ([a-z, ]+)\.")
REGION = re.compile(r"^(R\d+): ([a-z]+|_)$", re.MULTILINE)
NEIGHBOURS = re.compile(r"^neighbours: (.+)$", re.MULTILINE)
NAMED = re.compile(r"(?:region )?(r\d+)")
BORDER = re.compile(r"R(\d+)-R(\d+)")
DIGITS = 4
"""What the number of a region may have."""


@dataclass(frozen=True, slots=True)
class Colouring:
    """`given` has a colour for each region R1, R2, ..., or nothing; `borders` are pairs counted from 0."""

    colours: tuple[str, ...]
    given: tuple[str, ...]
    borders: tuple[tuple[int, int], ...]

    def statement(self) -> str:
        """The colours, the regions with what is given, the neighbours."""
        return (
            f"Colour every region so that no two neighbours have the same colour. The colours are "
            f"{', '.join(self.colours)}.\n\n"
            + "\n".join(f"R{i}: {colour or '_'}" for i, colour in enumerate(self.given, 1))
            + f"\n\nneighbours: {', '.join(f'R{a + 1}-R{b + 1}' for a, b in self.borders)}\n\n"
            + "Answer with a line per region, the coloured ones too, as `R1: red`."
        )

    def constraints(self) -> str:
        """A colour per region."""
        lines = [f"enum Colour: {', '.join(self.colours)}"]
        lines += [f"var {', '.join(f'R{i}' for i in range(1, len(self.given) + 1))} in Colour"]
        lines += [f"con R{a + 1} != R{b + 1} #R{a + 1} and R{b + 1} are neighbours" for a, b in self.borders]
        lines += [f"con R{i} == {one} #R{i} is {one}" for i, one in enumerate(self.given, 1) if one]
        return "\n".join(lines)

    def answer(self, values: Values) -> str:
        """A line per region."""
        return "\n".join(f"R{i}: {self.colours[values[f'R{i}']]}" for i in range(1, len(self.given) + 1))

    def values(self, answer: str) -> Values | None:
        """The colour of each region."""
        rows = {name.upper(): row for name, row in rows_of(answer).items()}
        named = {name: row[0] for name, row in rows.items() if len(row) == 1 and row[0] in self.colours}
        regions = [f"R{i}" for i in range(1, len(self.given) + 1)]
        if not all(region in named for region in regions):
            return None
        return {region: self.colours.index(named[region]) for region in regions}

    def optimum(self) -> int | None:
        """There is nothing to optimise."""
        return None


def stated_colouring(text: str) -> Colouring | None:
    """The last map that a text states."""
    heads = list(HEAD.finditer(text))
    if not heads:
        return None
    body, colours = text[heads[-1].end() :], tuple(heads[-1][1].split(", "))
    given, named = REGION.findall(body), NEIGHBOURS.search(body)
    if not given or named is None:
        return None
    ends = BORDER.findall(named[1])
    if any(max(map(len, pair)) > DIGITS for pair in ends):
        return None
    borders = tuple((int(a) - 1, int(b) - 1) for a, b in ends)
    return Colouring(colours, tuple(colour if colour != "_" else "" for _, colour in given), borders)


def said_colours(text: str) -> str | None:
    """The colour of each region of the last list of regions."""
    return table(said_rows(text, NAMED))
