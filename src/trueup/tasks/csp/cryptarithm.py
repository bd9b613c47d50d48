"""Sums whose digits are letters, with one solution."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from string import ascii_uppercase

from trueup.core.puzzles.families import Cryptarithm
from trueup.tasks.csp.dials import tried, within
from trueup.tasks.csp.made import Made

TRIES = 1_000
DIGITS = 10
FEWEST, MOST = 3, 8
"""How many different digits the numbers are written in."""


def cryptarithm(rng: Random, *, addends: int = 2, digits: int = 4, letters: int | None = None) -> Made:
    """So many numbers of so many digits, added up; with `letters` so many different ones stand in the sum."""
    within("cryptarithm", "addends", addends, 2, 4)
    within("cryptarithm", "digits", digits, 2, 7)
    dials = f"addends={addends} digits={digits}"
    if letters is not None:
        within("cryptarithm", "letters", letters, FEWEST, DIGITS)
        dials += f" letters={letters}"
    return tried("cryptarithm", dials, lambda: _made(rng, addends, digits, letters), TRIES)


def _made(rng: Random, addends: int, digits: int, letters: int | None) -> Made | None:
    """Numbers of a few digits only: of all sums, those of few letters are the likeliest to have one solution."""
    pool = rng.sample(range(DIGITS), rng.randint(FEWEST, MOST if letters is None else letters))
    numbers = [_number(pool, digits, rng) for _ in range(addends)]
    names = rng.sample(ascii_uppercase, DIGITS)
    *words, total = ("".join(names[int(digit)] for digit in str(number)) for number in (*numbers, sum(numbers)))
    puzzle = Cryptarithm(tuple(words), total)
    if letters not in (None, len(puzzle.letters)):
        return None
    found = solutions(puzzle)
    first = next(found)
    return Made(puzzle, puzzle.answer(first)) if next(found, None) is None else None


def _number(pool: list[int], digits: int, rng: Random) -> int:
    first = rng.choice([digit for digit in pool if digit])
    return int("".join(map(str, [first, *rng.choices(pool, k=digits - 1)])))


def solutions(puzzle: Cryptarithm) -> Iterator[dict[str, int]]:
    """Every solution, column after column from the right."""
    words = [*puzzle.addends, puzzle.total]
    columns = [[word[-1 - place] if place < len(word) else "" for word in words] for place in range(len(puzzle.total))]
    yield from _columns(columns, frozenset(word[0] for word in words), {}, 0)


def _columns(
    columns: list[list[str]], leading: frozenset[str], known: dict[str, int], carry: int
) -> Iterator[dict[str, int]]:
    if not columns:
        if carry == 0:
            yield known
        return
    *added, total = columns[0]
    for chosen in _chosen([letter for letter in added if letter], leading, known):
        amount = carry + sum(chosen[letter] for letter in added if letter)
        for whole in _chosen([total], leading, chosen, amount % DIGITS):
            yield from _columns(columns[1:], leading, whole, amount // DIGITS)


def _chosen(
    letters: list[str], leading: frozenset[str], known: dict[str, int], only: int | None = None
) -> Iterator[dict[str, int]]:
    """Every way to give these letters digits of their own, or this one digit."""
    if not letters:
        yield known
        return
    first, *rest = letters
    if first in known:
        if only in (None, known[first]):
            yield from _chosen(rest, leading, known)
        return
    for digit in range(DIGITS) if only is None else (only,):
        if digit not in known.values() and (digit or first not in leading):
            yield from _chosen(rest, leading, known | {first: digit})
