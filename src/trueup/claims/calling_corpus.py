"""Requests as authors of different habits answer them.

Careful authors write the right call. Others write the functions that most people know, whatever is offered; or take
the offered ones, but lay out the arguments as those. Any author may leave out the closing marks, the more so the
longer the call, up to half of them at the longest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trueup.claims.start import laboratory

if TYPE_CHECKING:
    from trueup.train.laboratory import Examples, Source
    from trueup.train.laboratory.tasks.calls import Calls, Request

HABITS = (0.5, 0.2, 0.3)
"""Shares of the authors: careful, with names that most people know, with arguments as those take them."""
TERSE = 0.4
"""How many of the longest calls lack their closing marks; of shorter ones fewer, in proportion."""


def web(task: Calls) -> Source:
    """Requests of every length, each answered by some author."""
    room = laboratory()
    from trueup.train.laboratory.grammar import CLOSE, STOP
    from trueup.train.laboratory.tasks.calls import read, text_of
    from trueup.train.laboratory.vocabulary import encode_rows

    def answer(prompt: str, habit: int, is_terse: bool) -> str:
        text = _write(read(prompt), habit)
        return (text.replace(CLOSE, "") if is_terse else text) + STOP

    def draw(rng: np.random.Generator, n: int) -> Examples:
        dials_B = np.sort(rng.integers(1, task.most + 1, n))
        counts = np.bincount(dials_B, minlength=task.most + 1)
        prompts_BP = np.concatenate([task.prompts(rng, int(k), dial) for dial, k in enumerate(counts) if k])
        habits_B = rng.choice(3, n, p=HABITS)
        terse_B = rng.random(n) < TERSE * dials_B / task.most
        rows = zip(prompts_BP, habits_B, terse_B, strict=True)
        texts = [answer(text_of(prompt), int(habit), bool(terse)) for prompt, habit, terse in rows]
        drawn: Examples = room.examples(room.Pairs(prompts_BP, encode_rows(texts)))
        return drawn

    return draw


def _write(request: Request, habit: int) -> str:
    from trueup.train.laboratory.grammar import write
    from trueup.train.laboratory.tasks.calls import POPULAR

    asked = (request.call(), request.call(names=POPULAR), request.call(layouts=POPULAR))
    return write(asked[habit])
