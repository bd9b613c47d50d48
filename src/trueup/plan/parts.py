"""Sub-answers of an arm's replies: how many are right.

Chen et al. 2025, arXiv:2502.17848: S-Acc is the share of all sub-answers that are right, those of unread
replies among them, and PM-0.5 that of the replies of which at least half is right. CR, the replies with an answer, is
what a study calls decided, and EM its accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from trueup.core.outcome import Outcome
from trueup.core.roles import Verifier
from trueup.core.types import Json
from trueup.plan.estimate import Codes
from trueup.plan.shares import Share, share_of


@runtime_checkable
class CountsParts(Protocol):
    """A verifier whose answers have parts, each right or wrong."""

    def parts(self, answer: str | None, reference: Json) -> tuple[int, int] | None:
        """How many parts of an answer are right, and how many there are; a None is no answer, or no such reference."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Of all sub-answers the right ones, and of all replies those that are right by half or more."""

    s_acc: Share
    pm_half: Share


def parts_of(outcomes: Sequence[Outcome], codes: Codes, verifier: Verifier) -> Parts | None:
    """How much of an arm's answers is right; None where those of some item have no parts.

    A failed item has none right.
    """
    if not isinstance(verifier, CountsParts):
        return None
    answers = [None if one.answer is None else one.answer.value for one in outcomes]
    counts = [verifier.parts(answer, one.item.reference) for answer, one in zip(answers, outcomes, strict=True)]
    told = [count for count in counts if count is not None]
    if len(told) < len(counts) or not told:
        return None
    right, total = np.array(told).T
    # Sub-answers of one reply hang together: each stands in the cluster of its item.
    each = np.concatenate([np.arange(of) < count for count, of in told]).astype(float)
    return Parts(share_of(each, np.repeat(codes, total)), share_of((2 * right >= total).astype(float), codes))
