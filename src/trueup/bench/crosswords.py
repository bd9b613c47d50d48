"""How many crosswords are filled without a mistake when each clue has candidates of known quality.

No model is asked. A slot's candidates are answers of other clues of its length, the right one among them with a chance
of `RECALL`, weights no better than a weak proposer's: what is measured is the assignment, not the proposals.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from trueup.core.puzzles.assign import Candidates, assign
from trueup.core.puzzles.crossword import Slot, read_crossword
from trueup.core.types import Item, Json, last_asked

RECALL, PROPOSED, SPREAD = 0.9, 20, 1.0
MILLI = 1000.0


def crosswords(items: Sequence[Item]) -> list[dict[str, Json]]:
    """A row per size of LR²Bench's crosswords."""
    answers = [_plain(item.reference["answer"]) for item in items]
    pool: dict[int, list[str]] = {}
    for word in sorted({word for gold in answers for word in gold.values()}):
        pool.setdefault(len(word), []).append(word)
    by_level: dict[str, list[tuple[float, float, float, float]]] = {}
    for number, (item, gold) in enumerate(zip(items, answers, strict=True)):
        level = item.problem.id.split("/")[1]
        by_level.setdefault(level, []).append(_filled(item, gold, pool, np.random.default_rng(number)))
    return [_row(level, np.array(told)) for level, told in by_level.items()]


def _plain(gold: Mapping[str, str]) -> dict[str, str]:
    return {name: word.upper().replace(" ", "") for name, word in gold.items()}


def _filled(
    item: Item, gold: Mapping[str, str], pool: Mapping[int, Sequence[str]], rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Whether all slots are right, how many are, how often the right word had the most weight, and seconds."""
    crossword = read_crossword(last_asked(item.problem.prompt))
    assert crossword is not None
    candidates = {slot.name: _proposed(slot, gold[slot.name], pool, rng) for slot in crossword.slots}
    leads = [one.words[int(np.argmax(one.weights))] == gold[name] for name, one in candidates.items()]
    started = time.process_time()
    found = assign(candidates)
    seconds = time.process_time() - started
    right = [found[name] == word for name, word in gold.items()]
    return float(all(right)), float(np.mean(right)), float(np.mean(leads)), seconds


def _proposed(slot: Slot, word: str, pool: Mapping[int, Sequence[str]], rng: np.random.Generator) -> Candidates:
    others = [other for other in pool[len(word)] if other != word]
    is_known = bool(rng.random() < RECALL)
    words = list(map(str, rng.choice(others, min(len(others), PROPOSED - is_known), replace=False)))
    grades = rng.normal(size=len(words))
    if is_known:
        words.append(word)
        grades = np.append(grades, rng.normal() + SPREAD)
    weights = np.exp(SPREAD * grades)
    return Candidates(slot.cells, tuple(words), tuple((RECALL * weights / weights.sum()).tolist()))


def _row(level: str, told: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> dict[str, Json]:
    return {
        "family": f"crossword {level}, simulated candidates",
        "by": f"belief propagation; recall@{PROPOSED} {RECALL}, the likeliest candidate right {told[:, 2].mean():.0%}",
        "n": len(told),
        "exact_match": float(told[:, 0].mean()),
        "decided": 1.0,
        "s_acc": float(told[:, 1].mean()),
        "median_ms": float(np.median(told[:, 3]) * MILLI),
        "p99_ms": float(np.quantile(told[:, 3], 0.99) * MILLI),
    }
