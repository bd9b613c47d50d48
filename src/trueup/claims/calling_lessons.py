"""What there is to learn calls from: a teacher's right texts, and pairs with wrong ones.

Axes: B row, P prompt token, T token, M problem, N attempt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.start import laboratory

if TYPE_CHECKING:
    from trueup.train.laboratory import Examples, Transformer
    from trueup.train.laboratory.preferences import Graded, Preferences
    from trueup.train.laboratory.tasks.calls import Calls

Tokens = NDArray[np.int64]
Flags = NDArray[np.bool_]

TEMPERATURE = 1.0
KEPT = 8
"""One request of so many is kept from training, to follow log-probabilities on."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Requests with attempts at them, and what they cost."""

    prompts_MP: Tokens
    attempts: Graded
    tokens: int
    flops: float


@dataclass(frozen=True, slots=True)
class Lessons:
    """Right texts to imitate, pairs, pairs kept aside; `negatives` counts the pairs by fault."""

    texts: Examples
    pairs: Preferences
    kept: Preferences
    negatives: Mapping[str, int]
    sampled_tokens: int
    sampling_flops: float


def sample(task: Calls, model: Transformer, prompts_MP: Tokens, n: int, seed: int) -> Sampled:
    """n attempts at each request."""
    room = laboratory()
    from trueup.train.laboratory.preferences import Graded

    out = room.generate(model, prompts_MP, most=task.longest(task.most), n=n, temperature=TEMPERATURE, seed=seed)
    right_B = task.check(prompts_MP.repeat(n, 0), out.tokens_BT)
    flops = room.sampling_flops(model, prompts_MP.shape[1], out.lengths, prompts=len(prompts_MP))
    shape = (len(prompts_MP), n)
    graded = Graded(out.tokens_BT.reshape(*shape, -1), right_B.reshape(shape))
    return Sampled(prompts_MP, graded, int(out.lengths.sum()), float(flops))


def lessons_of(task: Calls, able: Sampled, erring: Sampled, seed: int) -> Lessons:
    """Right calls of one model against wrong ones of another, or of the same, on the same requests."""
    room = laboratory()
    from trueup.train.laboratory.preferences import mined

    asked_MP, rng = able.prompts_MP, np.random.default_rng((seed, 1))
    aside_M = np.arange(len(asked_MP)) % KEPT == 0
    pairs, kept = (
        mined(asked_MP[rows_M], able.attempts.rows(rows_M), erring.attempts.rows(rows_M), rng)
        for rows_M in (~aside_M, aside_M)
    )
    right_MN = able.attempts.right_MN
    taught_M = right_MN.any(1) & ~aside_M
    texts = room.Pairs(asked_MP[taught_M], able.attempts.tokens_MNT[taught_M, right_MN[taught_M].argmax(1)])
    made = (able,) if able is erring else (able, erring)
    tokens, flops = sum(one.tokens for one in made), sum(one.flops for one in made)
    return Lessons(room.examples(texts), pairs, kept, _faults(task, pairs, asked_MP.shape[1]), tokens, flops)


def _faults(task: Calls, pairs: Preferences, P: int) -> Counter[str]:
    rows_BT = pairs.rejected.tokens_BT
    return Counter(task.faults(rows_BT[:, :P], rows_BT[:, P:]))


def at_random(lessons: Lessons, seed: int) -> Lessons:
    """The same pairs, of which a coin says which side is chosen."""
    from trueup.train.laboratory.preferences import swapped

    return replace(lessons, pairs=swapped(lessons.pairs, np.random.default_rng((seed, 2))))
