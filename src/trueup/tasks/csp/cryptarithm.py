"""Sums whose digits are letters, with one solution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from random import Random
from string import ascii_uppercase

from trueup.core.puzzles.families import Cryptarithm
from trueup.core.puzzles.network import Network, Relation, Searched, Tie, all_different, network, search
from trueup.tasks.csp.dials import Band, band, tried, within
from trueup.tasks.csp.made import Made

TRIES, SEARCHED_TRIES = 1_000, 5_000
DIGITS = 10
MOST_SEARCHED = 3
"""Numbers added up, where wrong turns are counted: a column of four has thousands of cases."""
FEWEST, MOST = 3, 8
"""How many different digits the numbers are written in."""


def cryptarithm(
    rng: Random, *, addends: int = 2, digits: int = 4, letters: int | None = None, backtracks: str = ""
) -> Made:
    """So many numbers of so many digits, added up; with `letters` so many different ones stand in the sum.

    `backtracks` is how many wrong turns a complete search takes over letters and columns, as 4 or 3..6, of up to three
    numbers. A diagnosis counts those of the stated sum, which is one constraint and hides what a column says.
    """
    within("cryptarithm", "addends", addends, 2, 4)
    within("cryptarithm", "digits", digits, 2, 7)
    dials = f"addends={addends} digits={digits}"
    if letters is not None:
        within("cryptarithm", "letters", letters, FEWEST, DIGITS)
        dials += f" letters={letters}"
    wanted = band("cryptarithm", backtracks)
    if not wanted.is_open:
        within("cryptarithm", "addends", addends, 2, MOST_SEARCHED)
        dials += f" backtracks={backtracks}"
    return tried(
        "cryptarithm",
        dials,
        lambda: _made(rng, addends, digits, letters, wanted),
        TRIES if wanted.is_open else SEARCHED_TRIES,
    )


def _made(rng: Random, addends: int, digits: int, letters: int | None, wanted: Band) -> Made | None:
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
    if next(found, None) is not None or not (wanted.is_open or wanted.takes(searched(puzzle))):
        return None
    return Made(puzzle, puzzle.answer(first))


def _number(pool: list[int], digits: int, rng: Random) -> int:
    first = rng.choice([digit for digit in pool if digit])
    return int("".join(map(str, [first, *rng.choices(pool, k=digits - 1)])))


def solutions(puzzle: Cryptarithm) -> Iterator[dict[str, int]]:
    """Every solution, column after column from the right."""
    yield from _below(_columns(puzzle), _leading(puzzle), {}, 0)


def searched(puzzle: Cryptarithm) -> Searched:
    """A complete search: a variable per letter, and one per column whose values are its digits and both its carries."""
    return search(_network(puzzle))


def _network(puzzle: Cryptarithm) -> Network:
    columns, places = _columns(puzzle), {letter: place for place, letter in enumerate(puzzle.letters)}
    cases = [
        _cases(column, _leading(puzzle), [0] if not at else range(len(puzzle.addends)), at + 1 == len(columns))
        for at, column in enumerate(columns)
    ]
    ties = all_different([range(len(places))], DIGITS)
    for at, (column, rows) in enumerate(zip(columns, cases, strict=True), len(places)):
        for letter in set(column) - {""}:
            digits = [known[letter] for known, _, _ in rows]
            ties += _matched(places[letter], at, range(DIGITS), digits)
    for at, (rows, above) in enumerate(pairwise(cases), len(places)):
        ties += _matched(at, at + 1, [carry for _, _, carry in rows], [carry for _, carry, _ in above])
    return network([(1 << DIGITS) - 1] * len(places) + [(1 << len(rows)) - 1 for rows in cases], ties)


def _cases(
    column: list[str], leading: frozenset[str], carries: Sequence[int], is_last: bool
) -> list[tuple[dict[str, int], int, int]]:
    """What a column's letters may be, with the carry that comes in and the one that goes out."""
    *added, total = column
    return [
        (whole, carry, amount // DIGITS)
        for carry, chosen in product(carries, list(_chosen([letter for letter in added if letter], leading, {})))
        for amount in [carry + sum(chosen[letter] for letter in added if letter)]
        for whole in _chosen([total], leading, chosen, amount % DIGITS)
        if not (is_last and amount // DIGITS)
    ]


def _matched(first: int, second: int, one: Sequence[int], other: Sequence[int]) -> tuple[Tie, Tie]:
    """Two variables whose values must agree in these features of theirs."""
    masks, back = (dict.fromkeys((*one, *other), 0) for _ in range(2))
    for place, of in enumerate(other):
        masks[of] |= 1 << place
    for place, of in enumerate(one):
        back[of] |= 1 << place
    return (
        Tie(first, second, Relation([masks[of] for of in one])),
        Tie(second, first, Relation([back[of] for of in other])),
    )


def _leading(puzzle: Cryptarithm) -> frozenset[str]:
    return frozenset(word[0] for word in (*puzzle.addends, puzzle.total))


def _columns(puzzle: Cryptarithm) -> list[list[str]]:
    """From the right, the letter of each number and then of the total; empty where a number has none."""
    words = [*puzzle.addends, puzzle.total]
    return [[word[-1 - place] if place < len(word) else "" for word in words] for place in range(len(puzzle.total))]


def _below(
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
            yield from _below(columns[1:], leading, whole, amount // DIGITS)


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
