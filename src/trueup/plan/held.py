"""Wrong answers that hold the reference among other words.

What was compared is then more than the answer, and the grades say how a model puts it rather than what it can do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trueup.core.outcome import Pool
from trueup.core.types import Json
from trueup.plan.estimate import Column
from trueup.plan.resample import Interval
from trueup.plan.sheet import Sheet, mean, share
from trueup.plan.words import many

BEFORE, AFTER = r"(?<![\w\-\u2212.,/])", r"(?![.,:/-]?\w)"
"""The ends of a word or a number: `12` stands in neither `112`, `-12`, `12.5` nor `1,512`."""
NUMBER = re.compile(r"[-+]?[\d.,]*\d")


@dataclass(frozen=True, slots=True)
class Held:
    """How many of each item's attempts hold the reference and are wrong, and their share of all with its interval.

    `mend` is what to do about it.
    """

    count: Column
    value: float
    ci95: Interval
    wrong: int
    mend: str

    @property
    def told(self) -> str:
        """The finding and the mend, in a line."""
        return (
            f"the reference stands among other words in {many(self.count.sum())} of {many(self.wrong)} answers graded "
            f"wrong; `exact` compares the whole text: {self.mend}"
        )


def held_by(sheet: Sheet, least: float) -> Held | None:
    """What holds the reference and was graded wrong; None where that is no more than `least`, or than is unread.

    An answer that is right on another item is one, and no sentence: so the answers of a closed list count for nothing.
    Where not texts but what they stand for is compared, a formula or a number within another one is a wrong answer.
    """
    if not sheet.compares_text:
        return None
    words = [_words(pool) for pool in sheet.pools]
    answers = {word for accepted in words for word in accepted}
    count = np.array([_count(*row, answers) for row in zip(sheet.pools, words, strict=True)], dtype=float)
    ci95 = sheet.draws.ratio(count, sheet.attempts)
    if ci95[0] <= least or count.sum() <= sheet.unread.sum():
        return None
    wrong = int((sheet.attempts - sheet.right).sum())
    return Held(count, float(count.sum() / sheet.attempts.sum()), ci95, wrong, _mend(sheet, answers))


def with_held(losses: Mapping[str, float], sheet: Sheet, held: Held | None) -> Mapping[str, float]:
    """The losses with what these attempts would have won put down to format, and less to all others in proportion."""
    if held is None:
        return losses
    total, won = sum(losses.values()), mean(share(held.count, sheet.attempts)) or 0.0
    if won <= losses["format"]:
        return losses
    scale = (total - won) / (total - losses["format"])
    return {cause: won if cause == "format" else loss * scale for cause, loss in losses.items()}


def _count(pool: Pool | None, words: list[str], answers: set[str]) -> int:
    if pool is None or not words:
        return 0
    within = re.compile("|".join(f"{BEFORE}{re.escape(word)}{AFTER}" for word in words))
    said = [
        _normal(attempt.answer)
        for attempt, grade in zip(pool.attempts, pool.grades, strict=True)
        if attempt.answer is not None and not grade.is_right
    ]
    return sum(answer not in answers and within.search(answer) is not None for answer in said)


def _words(pool: Pool | None) -> list[str]:
    """What an item's reference accepts, as far as it is texts and numbers."""
    told = None if pool is None else pool.item.reference
    each = told if isinstance(told, list) else [told]
    return [word for one in each if (word := _normal(_spelled(one)))]


def _spelled(one: Json) -> str:
    if isinstance(one, bool) or not isinstance(one, (str, int, float)):
        return ""
    return str(int(one)) if isinstance(one, float) and one.is_integer() else str(one)


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _mend(sheet: Sheet, answers: set[str]) -> str:
    if not all(NUMBER.fullmatch(answer) for answer in answers):
        return "give it a pattern, or ask for the answer alone"
    name = next(pool.item.problem.stratum for pool in sheet.pools if pool is not None)
    return f"--set {name}.verifier=number, or a pattern"
