"""Episodes of two turns, sampled from a tiny model: attempt, request, attempt.

Both attempts are sampled behind a cache, prompts read once per problem and once per first attempt.
Axes: B row, P prompt token, T token, K turn, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueup.train.laboratory.costs import sampling_flops
from trueup.train.laboratory.sampling import generate
from trueup.train.laboratory.tasks.two_turns import TwoTurns
from trueup.train.laboratory.transformer import Transformer
from trueup.train.laboratory.vocabulary import Flags, Tokens


@dataclass(frozen=True, slots=True)
class Episodes:
    """Two attempts at each problem, the rows of a group next to each other; `right_BK` grades them."""

    prompts_BP: Tokens
    first_BT: Tokens
    second_BT: Tokens
    right_BK: Flags
    flops: int = 0

    def rows(self, two_turns: TwoTurns) -> Tokens:
        """Whole rows: problem, first attempt, request, second attempt."""
        return np.concatenate([two_turns.again(self.prompts_BP, self.first_BT), self.second_BT], 1)

    def turns(self, two_turns: TwoTurns) -> Tokens:
        """Whose attempt each token of a whole row is."""
        return two_turns.turns(self.prompts_BP, self.first_BT, self.second_BT)

    def only(self, kept_B: Flags | NDArray[np.int64]) -> Episodes:
        """Some of the rows; what sampling them cost stays with the whole."""
        return Episodes(self.prompts_BP[kept_B], self.first_BT[kept_B], self.second_BT[kept_B], self.right_BK[kept_B])


def episodes(
    model: Transformer, two_turns: TwoTurns, prompts_PT: Tokens, *, n: int = 1, temperature: float = 1.0, seed: int = 0
) -> Episodes:
    """n episodes of each problem, both attempts the model's own."""
    first = generate(model, prompts_PT, most=two_turns.most, n=n, temperature=temperature, seed=seed)
    flops = sampling_flops(model, prompts_PT.shape[1], first.lengths, prompts=len(prompts_PT))
    out = answered(model, two_turns, prompts_PT.repeat(n, 0), first.tokens_BT, temperature=temperature, seed=seed + 1)
    return Episodes(out.prompts_BP, out.first_BT, out.second_BT, out.right_BK, flops + out.flops)


def answered(
    model: Transformer,
    two_turns: TwoTurns,
    prompts_BP: Tokens,
    first_BT: Tokens,
    *,
    temperature: float = 1.0,
    seed: int = 0,
) -> Episodes:
    """A second attempt behind each first one, whoever made that."""
    again_BP = two_turns.again(prompts_BP, first_BT)
    second = generate(model, again_BP, most=two_turns.most, temperature=temperature, seed=seed)
    flops = sampling_flops(model, again_BP.shape[1], second.lengths, prompts=len(again_BP))
    right = [two_turns.right(prompts_BP, attempt_BT) for attempt_BT in (first_BT, second.tokens_BT)]
    return Episodes(prompts_BP, first_BT, second.tokens_BT, np.stack(right, 1), flops)
