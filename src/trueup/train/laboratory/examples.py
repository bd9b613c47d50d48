"""Rows to learn from: prompts and targets as token arrays.

Axes: B row, P prompt token, T token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueup.core.errors import BadInput
from trueup.train.laboratory.vocabulary import PAD, Flags, Tokens


@dataclass(frozen=True, slots=True)
class Pairs:
    """Prompts of one length and the targets that answer them; targets end in END and are padded behind it."""

    prompts_BP: Tokens
    targets_BT: Tokens


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows of tokens padded on the right; `learned_BT` marks the tokens whose prediction is trained."""

    tokens_BT: Tokens
    learned_BT: Flags


Source = Callable[[np.random.Generator, int], Examples]
"""Draws so many examples."""


def examples(pairs: Pairs) -> Examples:
    """Prompts with their targets behind them, which alone are learned."""
    tokens_BT = np.concatenate([pairs.prompts_BP, pairs.targets_BT], 1)
    learned_BT = tokens_BT != PAD
    learned_BT[:, : pairs.prompts_BP.shape[1]] = False
    return Examples(tokens_BT, learned_BT)


def stack(parts: Sequence[Examples]) -> Examples:
    """Examples under one another, padded to the longest."""
    length = max(part.tokens_BT.shape[1] for part in parts)
    return Examples(
        np.concatenate([widen(part.tokens_BT, length) for part in parts]),
        np.concatenate([widen(part.learned_BT, length) for part in parts]),
    )


def mixture(sources: Sequence[Source], shares: Sequence[float]) -> Source:
    """Batches of several sources, each row's source drawn by its share."""
    total = sum(shares)

    def draw(rng: np.random.Generator, n: int) -> Examples:
        counts = rng.multinomial(n, [share / total for share in shares])
        return stack([source(rng, int(k)) for source, k in zip(sources, counts, strict=True) if k])

    return draw


def resampled(rows: Examples) -> Source:
    """Rows of a fixed set, drawn with replacement; raises BadInput where there are none."""
    if not len(rows.tokens_BT):
        raise BadInput("no text to learn from: no problem has a right one; sample more, or from a model taught longer")

    def draw(rng: np.random.Generator, n: int) -> Examples:
        picked = rng.integers(0, len(rows.tokens_BT), n)
        return Examples(rows.tokens_BT[picked], rows.learned_BT[picked])

    return draw


def widen(rows: Any, length: int) -> Any:
    """Rows padded on the right."""
    return np.pad(rows, ((0, 0), (0, length - rows.shape[1])))
