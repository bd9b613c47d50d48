"""Grids of reasoning-gym read from their questions into constraint programs.

Stojanovski et al. 2025, arXiv:2505.24760: n_queens, futoshiki, kakurasu, survo, graph_color. Nothing of an entry is
read but its question; what is a program's is in the line language, and what is an answer's as the question asks for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

Values = Mapping[str, int]
DIGITS = re.compile(r"\d+")
QUEENS = re.compile(r"board of size \d+ x \d+ .*\n((?:[_Q](?: [_Q])*\n?)+)")
FUTOSHIKI = re.compile(r"following (\d+)x\d+ Futoshiki puzzle:\n\n(.*?)\n\nEnsure", re.DOTALL)
CELL, BETWEEN, EMPTY = re.compile(r"[0-9]{1,2}|_"), re.compile(r" [<> ] "), "_"
FUTOSHIKI_ROW = re.compile(rf"(?:{CELL.pattern})(?:{BETWEEN.pattern}(?:{CELL.pattern}))*")
ABOVE, BELOW = "\u2227", "\u2228"
"""The signs between two rows: the upper cell is the smaller one, or the greater."""
KAKURASU = re.compile(
    r"Kukurasu .*?[rR]ow sums(?: are|:)? \[([\d, ]+)\](?: and|\.)(?: the)? [cC]olumn sums(?: are|:)? \[([\d, ]+)\]"
)
SURVO = re.compile(r"(\d+)\*\1 .*?:\n((?:\d+(?: \d+)+\n)+)([^\[]*?)\[([\d, ]+)\]", re.DOTALL)
LAST_IS_SUM = re.compile(r"last (?:number|element) (?:in|of) each row and column")
COLOURING = re.compile(r"Vertices: \[([\d, ]+)\]\nEdges: \[([\d, ()]*)\]\nPossible colors: \[([\d, ]+)\]")
MOST_SIZE = 30


@dataclass(frozen=True, slots=True)
class Posed:
    """A question as a program, and its answer in the question's form; without `unique` any solution is right."""

    program: str
    answer: Callable[[Values], str]
    unique: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A printed row: what stands in its cells, and in the gaps between them."""

    cells: Sequence[str]
    signs: Sequence[str]


def queens(text: str) -> Posed | None:
    """Queens on a board, some of them placed."""
    found = QUEENS.search(text)
    board = [line.split() for line in found[1].strip().split("\n")] if found else []
    size = len(board)
    if not 1 < size <= MOST_SIZE or any(len(row) != size for row in board):
        return None
    names = [f"q[{row}]" for row in range(1, size + 1)]
    placed = [f"con q[{r}] == {row.index('Q') + 1}" for r, row in enumerate(board, 1) if "Q" in row]
    slants = [", ".join(f"{name} {sign} {row}" for row, name in enumerate(names)) for sign in "+-"]
    lines = [f"int q[{size}] in 1..{size}", *(f"con alldifferent({apart})" for apart in ("q[*]", *slants))]

    def answer(values: Values) -> str:
        return "\n".join(
            " ".join("Q" if values[name] == column else "_" for column in range(1, size + 1)) for name in names
        )

    return Posed("\n".join([*lines, *placed]), answer, unique=False)


def futoshiki(text: str) -> Posed | None:
    """Numbers each once in row and column, some given, some neighbours ordered."""
    found = FUTOSHIKI.search(text)
    if not found or not 1 < int(found[1]) <= MOST_SIZE:
        return None
    size, printed = int(found[1]), found[2].split("\n")
    rows = [row for line in printed[::2] if (row := _row(line, size)) is not None]
    below = [signs for line in printed[1::2] if (signs := _signs(line, size)) is not None]
    if len(printed) != 2 * size - 1 or len(rows) + len(below) != len(printed):
        return None
    lines = _latin(size)
    for r, row in enumerate(rows, 1):
        lines += [f"con x[{r},{c}] == {cell}" for c, cell in enumerate(row.cells, 1) if cell != EMPTY]
        lines += [f"con x[{r},{c}] {sign} x[{r},{c + 1}]" for c, sign in enumerate(row.signs, 1) if sign != " "]
    for r, signs in enumerate(below, 1):
        lines += [f"con x[{r},{c}] {sign} x[{r + 1},{c}]" for c, sign in signs.items()]

    def answer(values: Values) -> str:
        filled = list(printed)
        for r, row in enumerate(rows):
            cells = [str(values[f"x[{r + 1},{c}]"]) for c in range(1, size + 1)]
            filled[2 * r] = " ".join([*chain.from_iterable(zip(cells, row.signs, strict=False)), cells[-1]])
        return "\n".join(filled)

    return Posed("\n".join(lines), answer)


def kakurasu(text: str) -> Posed | None:
    """Ones whose places add up to what each row and column says."""
    found = KAKURASU.search(text)
    if not found:
        return None
    rows, columns = (_numbers(part) for part in found.groups())
    height, width = len(rows), len(columns)
    if max(height, width) > MOST_SIZE:
        return None
    lines = [f"int x[{height},{width}] in 0..1"]
    for r, total in enumerate(rows, 1):
        lines.append(f"con {' + '.join(f'{c} * x[{r},{c}]' for c in range(1, width + 1))} == {total}")
    for c, total in enumerate(columns, 1):
        lines.append(f"con {' + '.join(f'{r} * x[{r},{c}]' for r in range(1, height + 1))} == {total}")
    return Posed("\n".join(lines), lambda values: _printed(values, height, width), unique=False)


def survo(text: str) -> Posed | None:
    """A matrix with its sums, whose gaps take numbers that are listed, each as often as it is."""
    found = SURVO.search(text) if LAST_IS_SUM.search(text) else None
    if not found:
        return None
    grid, numbers = [_numbers(line) for line in found[2].strip().split("\n")], _numbers(found[4])
    size = len(grid)
    gaps = [f"x[{r},{c}]" for r, row in enumerate(grid, 1) for c, value in enumerate(row, 1) if value == 0]
    if not 2 < size <= MOST_SIZE or any(len(row) != size for row in grid) or len(gaps) != len(numbers):
        return None
    lines = [f"int x[{size},{size}] in 0..{max(map(max, grid))}"]
    lines += [f"con x[{r},{c}] == {value}" for r, row in enumerate(grid, 1) for c, value in enumerate(row, 1) if value]
    for number in sorted(set(numbers)):
        lines.append(f"con count({', '.join(f'{gap} == {number}' for gap in gaps)}) == {numbers.count(number)}")
    for i in range(1, size + 1):
        lines.append(f"con sum({', '.join(f'x[{i},{c}]' for c in range(1, size))}) == x[{i},{size}]")
        lines.append(f"con sum({', '.join(f'x[{r},{i}]' for r in range(1, size))}) == x[{size},{i}]")
    return Posed("\n".join(lines), lambda values: _printed(values, size, size))


def colouring(text: str) -> Posed | None:
    """Colours for the vertices of a graph, any that tell neighbours apart."""
    found = COLOURING.search(text)
    if not found:
        return None
    vertices, ends, colours = (_numbers(part) for part in found.groups())
    if len(ends) % 2:
        return None
    edges = list(zip(ends[::2], ends[1::2], strict=True))
    lines = [f"int v{vertex} in {{{', '.join(map(str, colours))}}}" for vertex in vertices]
    lines += [f"con v{a} != v{b}" for a, b in edges]
    return Posed(
        "\n".join(lines),
        lambda values: json.dumps({str(vertex): values[f"v{vertex}"] for vertex in vertices}),
        unique=False,
    )


def _row(line: str, size: int) -> Row | None:
    """So many cells of one or two digits or empty, and between them a sign or a space; None where not so."""
    line = line.rstrip()
    cells = CELL.findall(line) if FUTOSHIKI_ROW.fullmatch(line) else ()
    return Row(cells, [sign[1] for sign in BETWEEN.findall(line)]) if len(cells) == size else None


def _signs(line: str, size: int) -> Mapping[int, str] | None:
    """By column the signs under a row, four characters a column however wide the cells above; None where not so."""
    told = {place: sign for place, sign in enumerate(line) if sign != " "}
    if any(place % 4 or place // 4 >= size or sign not in (ABOVE, BELOW) for place, sign in told.items()):
        return None
    return {place // 4 + 1: "<" if sign == ABOVE else ">" for place, sign in told.items()}


def _latin(size: int) -> list[str]:
    each = [f"con alldifferent(x[{i},*])\ncon alldifferent(x[*,{i}])" for i in range(1, size + 1)]
    return [f"int x[{size},{size}] in 1..{size}", *"\n".join(each).split("\n")]


def _printed(values: Values, height: int, width: int) -> str:
    return "\n".join(" ".join(str(values[f"x[{r},{c}]"]) for c in range(1, width + 1)) for r in range(1, height + 1))


def _numbers(text: str) -> Sequence[int]:
    return [int(number) for number in DIGITS.findall(text)]
