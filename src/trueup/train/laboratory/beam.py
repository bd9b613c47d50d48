"""Beam search over worked steps, for whole arrays of problems.

Snell et al. 2024, arXiv:2408.03314: N beams, the best N/width kept after each step by the verifier's rating of what is
begun, each continued width times; the answer is that of best-of-N weighted over the last beams.
Cost: N samples of one step per problem and round, and a rating of each.
Axes: M problem, N beam, T token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trueup.core.errors import BadInput
from trueup.train.laboratory.costs import sampling_flops
from trueup.train.laboratory.decoder import Decoder
from trueup.train.laboratory.sampling import generate
from trueup.train.laboratory.verifier import Ratings, Verifier, rate
from trueup.train.laboratory.vocabulary import END, PAD, Tokens


@dataclass(frozen=True, slots=True)
class Beams:
    """The last beams of each problem, their ratings, and what was spent; a token is rated once, as with a cache."""

    completions_MNT: Tokens
    ratings_MN: Ratings
    sampled_tokens: int
    rated_tokens: int
    flops: int


def beam_search(
    model: Decoder,
    verifier: Verifier,
    prompts_MP: Tokens,
    *,
    n: int = 16,
    width: int = 4,
    step_tokens: int = 2,
    most: int = 32,
    temperature: float = 1.0,
    seed: int = 0,
) -> Beams:
    """n beams per problem, in rounds of `step_tokens` tokens, up to `most` in all."""
    if n % width:
        raise BadInput(f"beam search n={n} does not divide by width={width}; change either")
    M, P = prompts_MP.shape
    text_BT = np.empty((M * n, 0), np.int64)
    prompt_BP = prompts_MP.repeat(n, 0)
    nothing = np.zeros(0, np.int64)
    flops = sum(sampling_flops(one, P, nothing, prompts=M) for one in (model, verifier))
    sampled = 0
    while True:
        begun, room = text_BT.shape[1], min(step_tokens, most - text_BT.shape[1])
        text_BT, lengths = _extend(model, prompt_BP, text_BT, room, temperature, seed)
        sampled += int(lengths.sum())
        flops += sum(sampling_flops(one, P + begun, lengths, prompts=0) for one in (model, verifier))
        ratings_MN = rate(verifier, prompt_BP, text_BT).reshape(M, n)
        if (text_BT == END).any(1).all() or text_BT.shape[1] >= most:
            return Beams(text_BT.reshape(M, n, -1), ratings_MN, sampled, M * P + sampled, flops)
        kept_MK = np.argsort(-ratings_MN, 1, kind="stable")[:, : n // width]
        rows_B = (kept_MK + np.arange(M)[:, None] * n).repeat(width, 1).reshape(-1)
        text_BT, seed = text_BT[rows_B], seed + 1


def _extend(
    model: Decoder, prompt_BP: Tokens, text_BT: Tokens, most: int, temperature: float, seed: int
) -> tuple[Tokens, Tokens]:
    """Each row that has not ended goes on by up to `most` tokens, and how many each of those took."""
    open_rows = np.flatnonzero(~(text_BT == END).any(1))
    begun_BT = np.concatenate([prompt_BP, text_BT], 1)[open_rows]
    more = generate(model, begun_BT, most=most, temperature=temperature, seed=seed)
    longer_BT = np.pad(text_BT, ((0, 0), (0, most)), constant_values=PAD)
    longer_BT[open_rows, text_BT.shape[1] :] = more.tokens_BT
    return longer_BT, more.lengths
