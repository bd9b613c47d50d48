"""How many crosswords and acrostics are filled without a mistake by candidates of known quality.

No model is asked, and nothing here is a solver's rate: the gold is used to make the candidates. A clue's are answers to
other clues of its length (`others` of them on average), the right one among them with a chance of `RECALL`, weights no
better than a weak proposer's: what is measured is the assignment, not the proposals. Every puzzle is filled `SEEDS`
times with other candidates; the interval is over puzzles, by bootstrap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from trueup.core.lexicon import load_lexicon
from trueup.core.puzzles.acrostic import read_acrostic
from trueup.core.puzzles.assign import Candidates, Place, assign
from trueup.core.puzzles.crossword import read_crossword
from trueup.core.puzzles.quotation import fill_acrostic, places_of
from trueup.core.puzzles.widen import fill_crossword
from trueup.core.types import Item, Json, last_asked
from trueup.plan.resample import cluster_bootstrap

RECALL, PROPOSED, SPREAD = 0.9, 20, 1.0
SEEDS, ACROSTIC_SEEDS = 8, 2
MILLI = 1000.0
Fill = Callable[[Mapping[str, Candidates]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Clued:
    """A puzzle with its gold by clue, the cells of each clue, and what fills it; `right` are the parts that count."""

    name: str
    gold: Mapping[str, str]
    cells: Mapping[str, tuple[Place, ...]]
    fill: Fill
    right: Mapping[str, str]

    @property
    def level(self) -> str:
        """The benchmark's word for its size."""
        return self.name.split("/")[1]


@dataclass(frozen=True, slots=True)
class Filling:
    """How one filling went: the share of its parts that are right, what its candidates were like, its seconds."""

    puzzle: str
    share: float
    leads: float
    others: float
    seconds: float


def crosswords(items: Sequence[Item], *, seeds: int = SEEDS) -> list[dict[str, Json]]:
    """Two rows per size of LR²Bench's crosswords: with a lexicon's words beside the candidates, and by these alone."""
    with_words = "belief propagation with a lexicon's words beside the candidates, local search"
    fills: Mapping[str, tuple[Fill, str]] = {
        "simulated candidates": (partial(fill_crossword, lexicon=load_lexicon()), with_words),
        "simulated candidates alone": (assign, "belief propagation, local search"),
    }
    return [
        row
        for told, (fill, how) in fills.items()
        for row in _rows("crossword", told, how, [_crossword(item, fill) for item in items], seeds)
    ]


def acrostics(items: Sequence[Item], *, seeds: int = ACROSTIC_SEEDS) -> list[dict[str, Json]]:
    """A row per level of LR²Bench's acrostics; here a part is a cell."""
    by = "belief propagation with the quotation's words from a lexicon, local search with word pairs"
    return _rows("acrostic", "simulated candidates", by, [_acrostic(item) for item in items], seeds)


def _crossword(item: Item, fill: Fill) -> Clued:
    crossword = read_crossword(last_asked(item.problem.prompt))
    assert crossword is not None
    gold = {name: word.upper().replace(" ", "") for name, word in item.reference["answer"].items()}
    return Clued(item.problem.id, gold, {slot.name: slot.cells for slot in crossword.slots}, fill, gold)


def _acrostic(item: Item) -> Clued:
    acrostic = read_acrostic(last_asked(item.problem.prompt))
    assert acrostic is not None
    letters = {cell: letter.upper() for cell, letter in item.reference["answer"].items()}
    gold = {clue.name: "".join(letters[str(cell)] for cell in clue.cells) for clue in acrostic.clues}
    lexicon = load_lexicon()

    def fill(candidates: Mapping[str, Candidates]) -> dict[str, str]:
        return {str(cell): letter for cell, letter in fill_acrostic(acrostic, candidates, lexicon).items()}

    return Clued(item.problem.id, gold, {clue.name: places_of(clue.cells) for clue in acrostic.clues}, fill, letters)


def _rows(family: str, told: str, by: str, puzzles: Sequence[Clued], seeds: int) -> list[dict[str, Json]]:
    pool: dict[int, list[str]] = {}
    for word in sorted({word for one in puzzles for word in one.gold.values()}):
        pool.setdefault(len(word), []).append(word)
    by_level: dict[str, list[Filling]] = {}
    for number, one in enumerate(puzzles):
        drawn = [_filling(one, pool, np.random.default_rng([seed, number])) for seed in range(seeds)]
        by_level.setdefault(one.level, []).extend(drawn)
    return [_row(f"{family} {level}, {told}", by, fillings) for level, fillings in by_level.items()]


def _filling(one: Clued, pool: Mapping[int, Sequence[str]], rng: np.random.Generator) -> Filling:
    candidates = {name: proposed(one.cells[name], word, pool[len(word)], rng) for name, word in one.gold.items()}
    leads = [
        given.words[int(np.argmax(given.weights))] == one.gold[name]
        for name, given in candidates.items()
        if given.words
    ]
    others = [len(given.words) - (one.gold[name] in given.words) for name, given in candidates.items()]
    started = time.process_time()
    found = one.fill(candidates)
    seconds = time.process_time() - started
    right = [found[part] == gold for part, gold in one.right.items()]
    return Filling(one.name, float(np.mean(right)), float(np.mean(leads)), float(np.mean(others)), seconds)


def proposed(cells: tuple[Place, ...], word: str, alike: Sequence[str], rng: np.random.Generator) -> Candidates:
    """Candidates for a clue whose answer is `word`, out of answers of its length."""
    others = [other for other in alike if other != word]
    is_known = bool(rng.random() < RECALL)
    words = list(map(str, rng.choice(others, min(len(others), PROPOSED - is_known), replace=False))) if others else []
    grades = rng.normal(size=len(words))
    if is_known:
        words.append(word)
        grades = np.append(grades, rng.normal() + SPREAD)
    weights = np.exp(SPREAD * grades)
    return Candidates(cells, tuple(words), tuple((RECALL * weights / weights.sum()).tolist()) if words else ())


def _row(family: str, by: str, told: Sequence[Filling]) -> dict[str, Json]:
    exact = np.array([float(one.share == 1.0) for one in told])
    seconds = np.array([one.seconds for one in told])
    low, high = cluster_bootstrap(exact, [one.puzzle for one in told], seed=0)
    leads, others = (float(np.mean([getattr(one, name) for one in told])) for name in ("leads", "others"))
    return {
        "family": family,
        "by": f"{by}; recall@{PROPOSED} {RECALL}, the likeliest right {leads:.0%}, {others:.1f} others a clue",
        "n": len({one.puzzle for one in told}),
        "fillings": len(told),
        "exact_match": float(exact.mean()),
        "exact_match_low": low,
        "exact_match_high": high,
        "decided": 1.0,
        "s_acc": float(np.mean([one.share for one in told])),
        "per_second": float(len(told) / seconds.sum()),
        "median_ms": float(np.median(seconds) * MILLI),
        "p99_ms": float(np.quantile(seconds, 0.99) * MILLI),
    }
