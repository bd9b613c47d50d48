"""Small grids to fill from a list of words, every second row and column.

Words are common ones of the package wordfreq (Speer 2022), which is no part of this project.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from random import Random
from string import ascii_lowercase

from trueup.core.errors import BadInput, Unavailable
from trueup.core.puzzles.families import Fill
from trueup.core.puzzles.families.crossword import BLACK, SIZES, WHITE
from trueup.core.puzzles.network import Network, Relation, Searched, Tie, all_different, network, search
from trueup.tasks.csp.dials import TRIES, Band, band, tried, within
from trueup.tasks.csp.made import Made

COMMON = 4_000
"""Words are among so many of the most common."""
COARSE = frozenset({"ass", "sex", "bitch", "pussy", "asshole", "fucking"})
"""Common words that a puzzle goes without."""
DECISIONS, SEARCHED_TRIES = 300, 600
DECOYS, MANY_DECOYS = 6, 30
Place = tuple[int, int]
"""Row and column of a cell, from 0."""


def crossword(rng: Random, *, size: int = 5, decoys: int | None = None, backtracks: str = "") -> Made:
    """A square grid of 3, 5 or 7 rows; `decoys` are words of the list that have no place in it, usually 6.

    `backtracks` is how many wrong turns a complete search over the words takes, as 4 or 3..6. Few grids take any, and
    more with many decoys, which are then 30; a diagnosis counts those of the stated letters.
    """
    if size not in SIZES:
        raise BadInput(f"csp:crossword size is {size}; it takes {', '.join(map(str, SIZES))}")
    words, wanted = common_words(size), band("crossword", backtracks)
    if decoys is None:
        decoys = MANY_DECOYS if wanted.low else DECOYS
    within("crossword", "decoys", decoys, 0, MANY_DECOYS)
    dials = f"size={size} decoys={decoys}" + f" backtracks={backtracks}" * bool(backtracks)
    tries = TRIES if wanted.is_open else SEARCHED_TRIES
    return tried("crossword", dials, lambda: _made(rng, words, size, decoys, wanted), tries)


def common_words(length: int) -> list[str]:
    """Common words of a length, in alphabetical order.

    Raises Unavailable where wordfreq is not installed.
    """
    try:
        from wordfreq import top_n_list
    except ImportError:
        raise Unavailable("csp:crossword takes its words from wordfreq; pip install 'trueup[words]'") from None
    common = (one for one in top_n_list("en", COMMON) if len(one) == length and one not in COARSE)
    return sorted(one for one in common if one.isascii() and one.isalpha())


def _made(rng: Random, words: Sequence[str], size: int, decoys: int, wanted: Band) -> Made | None:
    tied = _network(words, size)
    found = search(tied, solutions=1, decisions=DECISIONS, rng=rng).solutions
    if not found:
        return None
    used = [words[place] for place in found[0]]
    others = [word for word in words if word not in used]
    listed = sorted([*used, *rng.sample(others, decoys)])
    full = _printed(used, size)
    of_list = _network(listed, size)
    given = _letters_needed(of_list, full, listed, rng)
    if given is None or not (wanted.is_open or wanted.holds(_searched(of_list, full, listed, given).undone)):
        return None
    rows = tuple(
        "".join(one if one == BLACK or (r, c) in given else WHITE for c, one in enumerate(row))
        for r, row in enumerate(full)
    )
    return Made(Fill(rows, tuple(listed)), "\n".join(" ".join(row) for row in full))


def _network(words: Sequence[str], size: int) -> Network:
    """A variable per word across, then per word down, in every second row and column; no word twice."""
    half, count = size // 2 + 1, len(words)
    with_letter = [
        {letter: _mask([word[at] == letter for word in words]) for letter in ascii_lowercase} for at in range(size)
    ]
    ties = all_different([range(2 * half)], count)
    for i, j in product(range(half), repeat=2):
        across, down, at, below = i, half + j, 2 * j, 2 * i
        ties.append(Tie(across, down, Relation([with_letter[below][word[at]] for word in words])))
        ties.append(Tie(down, across, Relation([with_letter[at][word[below]] for word in words])))
    return network([(1 << count) - 1] * (2 * half), ties)


def _printed(used: Sequence[str], size: int) -> list[str]:
    half = size // 2 + 1
    across, down = used[:half], used[half:]
    return [
        across[r // 2] if r % 2 == 0 else "".join(BLACK if c % 2 else down[c // 2][r] for c in range(size))
        for r in range(size)
    ]


def _letters_needed(tied: Network, full: Sequence[str], listed: Sequence[str], rng: Random) -> frozenset[Place] | None:
    """Cells whose letters leave one way to fill the grid from the list, none of which can be left out."""
    cells = [(r, c) for r, row in enumerate(full) for c, one in enumerate(row) if one != BLACK]
    rng.shuffle(cells)

    def is_unique(given: Sequence[Place]) -> bool:
        return _searched(tied, full, listed, given).is_unique

    amount = next((n for n in range(len(cells) + 1) if is_unique(cells[:n])), None)
    if amount is None:
        return None
    kept = cells[:amount]
    for cell in cells[:amount]:
        fewer = [one for one in kept if one != cell]
        kept = fewer if is_unique(fewer) else kept
    return frozenset(kept)


def _searched(tied: Network, full: Sequence[str], listed: Sequence[str], given: Iterable[Place]) -> Searched:
    domains = list(tied.domains)
    for r, c in given:
        if r % 2 == 0:
            domains[r // 2] &= _mask([word[c] == full[r][c] for word in listed])
        if c % 2 == 0:
            domains[len(full) // 2 + 1 + c // 2] &= _mask([word[r] == full[r][c] for word in listed])
    return search(tied, domains, decisions=DECISIONS)


def _mask(row: Sequence[bool]) -> int:
    return sum(1 << place for place, is_in in enumerate(row) if is_in)
