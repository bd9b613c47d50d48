"""Pairs of a right and a wrong completion, and training on them by DPO.

Rafailov et al. 2023, arXiv:2305.18290. The wrong ones are mined: sampled, and told by a checker. The reference's
log-probabilities are taken once for each pair, before training.
Cost: 6 N FLOPs a token of either completion and its prompt; 2 N a token of every pair for the reference.
Axes: B pair or row, M problem, N attempt, T token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trueup.core.errors import BadInput
from trueup.train.laboratory.costs import reading, reading_flops
from trueup.train.laboratory.examples import Examples, Pairs, examples, widen
from trueup.train.laboratory.loop import Loss, Recipe, Spent, fit
from trueup.train.laboratory.supervised import to_tensors
from trueup.train.laboratory.transformer import Transformer
from trueup.train.laboratory.vocabulary import PAD, Flags, Tokens, token_count
from trueup.train.losses.dpo import dpo_loss, dpo_nll_loss, sequence_logp

BLOCK_ROWS = 512

LogProbabilities = NDArray[np.float32]
Watch = Callable[[], None]
"""Called before each step."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Rows of prompt and completion, the chosen and the rejected of each pair at the same place."""

    chosen: Examples
    rejected: Examples

    def __len__(self) -> int:
        return len(self.chosen.tokens_BT)

    def take(self, rows_B: Tokens) -> Preferences:
        """These pairs alone."""
        return Preferences(_rows(self.chosen, rows_B), _rows(self.rejected, rows_B))


@dataclass(frozen=True, slots=True)
class Graded:
    """Attempts at each problem, and which of them are right."""

    tokens_MNT: Tokens
    right_MN: Flags

    def rows(self, rows_M: Flags) -> Graded:
        """Those of some problems."""
        return Graded(self.tokens_MNT[rows_M], self.right_MN[rows_M])


def mined(prompts_MP: Tokens, able: Graded, erring: Graded, rng: np.random.Generator) -> Preferences:
    """A right completion of one model against a wrong one of another, or of the same, on the same prompt.

    A pair for each prompt that has both, each drawn evenly.
    """
    kept_B = np.flatnonzero(able.right_MN.any(1) & ~erring.right_MN.all(1))

    def drawn(tokens_MNT: Tokens, flags_MN: Flags) -> Examples:
        place_B = (rng.random((len(kept_B), flags_MN.shape[1])) * flags_MN[kept_B]).argmax(1)
        return examples(Pairs(prompts_MP[kept_B], tokens_MNT[kept_B, place_B]))

    return Preferences(drawn(able.tokens_MNT, able.right_MN), drawn(erring.tokens_MNT, ~erring.right_MN))


def swapped(pairs: Preferences, rng: np.random.Generator) -> Preferences:
    """Pairs of which a coin says which is chosen: a control that carries no preference."""
    length = max(side.tokens_BT.shape[1] for side in (pairs.chosen, pairs.rejected))
    coin_B1 = rng.random((len(pairs), 1)) < 0.5

    def pick(first: Examples, second: Examples) -> Examples:
        tokens, learned = (
            np.where(coin_B1, widen(getattr(second, name), length), widen(getattr(first, name), length))
            for name in ("tokens_BT", "learned_BT")
        )
        return Examples(tokens, learned)

    return Preferences(pick(pairs.chosen, pairs.rejected), pick(pairs.rejected, pairs.chosen))


def train_dpo(
    model: Transformer,
    reference: Transformer,
    pairs: Preferences,
    recipe: Recipe,
    *,
    beta: float = 0.1,
    nll: float = 0.0,
    watch: Watch = lambda: None,
    checkpoint: Path | None = None,
) -> Spent:
    """Train a model in place on pairs, `recipe.rows` of them a step, and say what that cost, the reference's included.

    `nll` is the weight of the chosen completions' likelihood beside the preference.
    """
    if not len(pairs):
        raise BadInput("no pairs to learn from: no prompt has both a right and a wrong completion; sample more")
    held = [log_probabilities(reference, side, "reference") for side in (pairs.chosen, pairs.rejected)]

    def loss_of(rng: np.random.Generator) -> Loss:
        watch()
        rows_B = rng.integers(0, len(pairs), recipe.rows)
        drawn = pairs.take(rows_B)
        ours = [_log_probability(model, side) for side in (drawn.chosen, drawn.rejected)]
        theirs = [torch.from_numpy(logp_B[rows_B]).to(model.device) for logp_B in held]
        tokens = token_count(drawn.chosen.tokens_BT) + token_count(drawn.rejected.tokens_BT)
        if not nll:
            return Loss(dpo_loss(ours[0], ours[1], theirs[0], theirs[1], beta=beta), tokens)
        length_B = torch.from_numpy(drawn.chosen.learned_BT.sum(1)).to(model.device)
        value = dpo_nll_loss(ours[0], ours[1], theirs[0], theirs[1], length_B, beta=beta, alpha=nll)
        return Loss(value, tokens)

    spent = fit(model, loss_of, recipe, checkpoint=checkpoint)
    return replace(spent, flops=spent.flops + reference_flops(reference, pairs))


def reference_flops(reference: Transformer, pairs: Preferences) -> int:
    """What its log-probabilities of all pairs cost."""
    return reading_flops(reference, token_count(pairs.chosen.tokens_BT) + token_count(pairs.rejected.tokens_BT))


@torch.no_grad()
def log_probabilities(model: Transformer, rows: Examples, kind: str = "prefill") -> LogProbabilities:
    """The log-probability of each row's learned tokens; the pass is told as work of a kind."""
    rows_B = np.arange(len(rows.tokens_BT))
    blocks = [_rows(rows, rows_B[at : at + BLOCK_ROWS]) for at in range(0, len(rows_B), BLOCK_ROWS)]
    with reading(model, rows.tokens_BT, kind):
        logps: list[LogProbabilities] = [_log_probability(model, block).cpu().numpy() for block in blocks]
    return np.concatenate([np.zeros(0, np.float32), *logps])


def _log_probability(model: Transformer, rows: Examples) -> Tensor:
    tokens_BT, learned_BT = to_tensors(rows, model.device)
    return sequence_logp(model(tokens_BT[:, :-1]), tokens_BT[:, 1:], learned_BT[:, 1:])


def _rows(rows: Examples, at_B: Tokens) -> Examples:
    tokens_BT, learned_BT = rows.tokens_BT[at_B], rows.learned_BT[at_B]
    length = int((tokens_BT != PAD).any(0).sum())
    return Examples(tokens_BT[:, :length], learned_BT[:, :length])
