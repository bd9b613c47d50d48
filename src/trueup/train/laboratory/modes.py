"""Two modes of answering: the first token that a model samples says whether it thinks.

After THINK come worked steps, after SHORT the answer at once. No prompt holds either, so the choice is the model's. An
attempt that is called short must be: one that is longer than the longest direct answer is wrong, or SHORT would soon
stand before worked steps. Axes: B row, P prompt token, T token, M item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trueup.train.laboratory.costs import reading
from trueup.train.laboratory.examples import Examples, Pairs, Source, examples, stack
from trueup.train.laboratory.sampling import generate
from trueup.train.laboratory.tasks.carries import Carries
from trueup.train.laboratory.transformer import Transformer
from trueup.train.laboratory.vocabulary import END, PAD, Flags, Tokens, token

THINK, SHORT = token(":"), token("!")

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Modes:
    """The task in both forms, of the same prompts, answers and dials."""

    direct: Carries
    worked: Carries

    @property
    def most(self) -> int:
        """How many tokens a completion may take, its mode included."""
        return 1 + max(self.direct.longest(1), self.worked.longest(1))

    @property
    def short_most(self) -> int:
        """How many tokens of those a short one may take."""
        return 1 + self.direct.longest(1)

    def prompts(self, rng: np.random.Generator, n: int, shares: Sequence[float]) -> Tokens:
        """n prompts whose dials, from 1 on, are drawn by these shares."""
        counts = rng.multinomial(n, np.array(shares) / sum(shares))
        parts = [self.direct.prompts(rng, int(k), dial) for dial, k in enumerate(counts, 1) if k]
        return np.concatenate(parts)

    def paired(self, shares: Sequence[float]) -> Source:
        """Examples in pairs: each prompt once with its direct answer, once with its worked one."""

        def draw(rng: np.random.Generator, n: int) -> Examples:
            prompts_BP = self.prompts(rng, (n + 1) // 2, shares)
            return stack([examples(self._moded(task, prompts_BP, mode)) for task, mode in self._forms])

        return draw

    def named(self, completions_BT: Tokens) -> Flags:
        """Whether each completion is called short, and whether it thinks; axes B2."""
        named_B2: Flags = completions_BT[:, :1] == np.array([SHORT, THINK])
        return named_B2

    def lengths(self, completions_BT: Tokens) -> Tokens:
        """Tokens of each completion, its mode and its end included."""
        lengths_B: Tokens = (completions_BT != PAD).sum(1)
        return lengths_B

    def is_cut(self, completions_BT: Tokens) -> Flags:
        """Whether each completion ran into the limit without an end."""
        cut_B: Flags = ~(completions_BT == END).any(1)
        return cut_B

    def check(self, prompts_BP: Tokens, completions_BT: Tokens) -> Flags:
        """Whether each completion names a mode, keeps to its length, and is right."""
        short_B, think_B = self.named(completions_BT).T
        kept_B = think_B | (short_B & (self.lengths(completions_BT) <= self.short_most))
        right_B: Flags = kept_B & self.direct.check(prompts_BP, completions_BT)
        return right_B

    def reward(self, prompts_BP: Tokens, completions_BT: Tokens, *, gamma: float = 0.5) -> Numbers:
        """1 for what is right and short, 1 - gamma for what is right and thought about, -1 for all else."""
        worth_B = np.where(self.named(completions_BT)[:, 1], 1.0 - gamma, 1.0)
        return np.where(self.check(prompts_BP, completions_BT), worth_B, -1.0).astype(np.float32)

    def answered(self, model: Transformer, prompts_BP: Tokens, mode: int) -> Tokens:
        """The likeliest completion in a mode that is given, which is its first token."""
        begun_BT = np.concatenate([prompts_BP, np.full((len(prompts_BP), 1), mode)], 1)
        out = generate(model, begun_BT, most=self.most - 1, temperature=0.0)
        return np.concatenate([begun_BT[:, -1:], out.tokens_BT], 1)

    @property
    def _forms(self) -> tuple[tuple[Carries, int], tuple[Carries, int]]:
        return (self.direct, SHORT), (self.worked, THINK)

    @staticmethod
    def _moded(task: Carries, prompts_BP: Tokens, mode: int) -> Pairs:
        targets_BT = task.targets(prompts_BP)
        return Pairs(prompts_BP, np.concatenate([np.full((len(prompts_BP), 1), mode), targets_BT], 1))


@torch.inference_mode()
def mode_chances(model: Transformer, prompts_BP: Tokens) -> Numbers:
    """How likely the model is to begin with SHORT and with THINK behind each prompt, axes 2B."""
    with reading(model, prompts_BP):
        logits_BV: Tensor = model(torch.from_numpy(prompts_BP).to(model.device))[:, -1].clone()
    logits_BV[:, PAD] = -torch.inf
    chances_2B: Numbers = logits_BV.softmax(-1)[:, [SHORT, THINK]].T.cpu().numpy()
    return chances_2B
