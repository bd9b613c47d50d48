"""How a model answers held-out items: how often with thinking, how well and how long either way.

The mode is an attempt's first token, which its text need not show: it is drawn once more by the same dice. Items are
told apart by how often the base was right on them. Cost: one pass over each prompt, charged as evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from trueup.core.cost import sample_flops
from trueup.core.types import Attempt, Json, Prompt, Sampling, Usage
from trueup.models.huggingface.decode import Pace, Stream, Tokens, sample_from
from trueup.models.huggingface.draft import Ask, Draft
from trueup.plan.bins import bin_edges, bin_of
from trueup.train.ask import Graded
from trueup.train.books import EVALUATION
from trueup.train.control_tokens import KEYS
from trueup.train.exam import Sitting
from trueup.train.job import Passes

if TYPE_CHECKING:
    from trueup.models import HuggingFace
    from trueup.models.huggingface.engine import Loaded

MODES = ("think", "short")
BINS = 3
Moded = tuple[Graded, int]
"""An attempt with its first token."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Stands for a vocabulary: a text is the numbers of its tokens, and nothing ends it."""

    ends: frozenset[int] = frozenset()

    def text(self, ids: Sequence[int], after: int) -> str:
        """The numbers."""
        return " ".join(map(str, ids))

    def matcher(self, sampling: Sampling) -> None:
        """Nothing holds them to anything."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """Implements Source: a model whose texts are numbers."""

    model: Loaded
    vocabulary: Any = Numbers()

    @property
    def contexts(self) -> Sequence[int]:
        """The model's."""
        return self.model.contexts

    def fitting(self, prompt: Prompt) -> Tokens:
        """The prompt's tokens; raises Refused where it cannot be read."""
        return self.model.fitting(prompt)

    def begin(self, prompts: Sequence[Tokens]) -> Stream:
        """Prompts, read in a row each."""
        return self.model.begin(prompts)

    def keep(self, stream: Stream, drafts: Sequence[Draft]) -> None:
        """Take no notice."""


def control_tokens(
    figures: Mapping[str, Any], settings: Mapping[str, Json], engine: HuggingFace
) -> dict[str, int] | None:
    """The first token of each mode, as a trainer has told it or was told its name; None for a trainer without modes."""
    if all(key in figures for key in KEYS):
        return {mode: int(figures[key]) for mode, key in zip(MODES, KEYS, strict=True)}
    if not all(settings.get(mode) for mode in MODES):
        return None
    tokenizer = engine.load().vocabulary.tokenizer
    return {mode: tokenizer(settings[mode], add_special_tokens=False)["input_ids"][0] for mode in MODES}


def moded(engine: HuggingFace, sitting: Sitting, charge: Callable[[Passes], None], step: int) -> list[list[Moded]]:
    """A sitting's first attempts with their first tokens, for each item; `step` tells the charge from others.

    Those whose first token could not be drawn are left out.
    """
    found: list[list[Moded]] = []
    lengths, seconds = [0], 0.0
    for item, attempts in zip(sitting.stratum.items, sitting.attempts, strict=True):
        sampling = replace(item.problem.sampling, max_tokens=1, stop=(), logprobs=False)
        ask = Ask(item.problem.prompt, max((one.attempt.index + 1 for one in attempts), default=0), 0, sampling)
        drawn = _drawn(engine, ask) if ask.n else ()
        first = {attempt.index: int(attempt.text) for attempt in drawn}
        found.append([(one, first[one.attempt.index]) for one in attempts if one.attempt.index in first])
        lengths += [one.usage.prompt_tokens or 0 for one in drawn[:1]]
        seconds += sum(one.usage.prefill_seconds for one in drawn[:1])
    flops = sum(sample_flops(engine.card, Usage(length, 0), with_prompt=True) or 0 for length in lengths)
    charge(Passes(EVALUATION, step, sum(lengths), 0, flops, seconds))
    return found


def _drawn(engine: HuggingFace, ask: Ask) -> tuple[Attempt, ...]:
    (reply,) = sample_from(Numbered(engine.load()), [ask], Pace(engine.rows, engine.cores))
    if isinstance(reply, Exception):
        raise reply
    return reply.attempts


def mode_table(
    before: Sequence[Sequence[Moded]], after: Sequence[Sequence[Moded]], tokens: Mapping[str, int]
) -> dict[str, Json]:
    """Both models' modes, and the trained one's by the base's share of right attempts; the first bin is the hardest."""
    told: dict[str, Json] = {"tokens": dict(tokens)}
    told |= {"before": _modes(before, tokens), "after": _modes(after, tokens), "by_ease": []}
    both = [place for place, (a, b) in enumerate(zip(before, after, strict=True)) if a and b]
    if both:
        ease = np.array([fmean(one.grade.is_right for one, _ in before[place]) for place in both])
        bins = bin_of(ease, bin_edges(ease, BINS))
        for number in range(int(bins.max()) + 1):
            here = [place for place, its in zip(both, bins.tolist(), strict=True) if its == number]
            rate = float(ease[bins == number].mean())
            told["by_ease"].append({"items": len(here), "right_before": rate}
                                   | _modes([after[place] for place in here], tokens))  # fmt: skip
    return told


def _modes(items: Sequence[Sequence[Moded]], tokens: Mapping[str, int]) -> dict[str, Json]:
    """The share of each mode among all attempts, of its own the right ones and the mean tokens."""
    everything = [one for item in items for one in item]
    told: dict[str, Json] = {"attempts": len(everything)}
    for mode, token in tokens.items():
        own = [one for one, first in everything if first == token]
        told[f"{mode}_rate"] = len(own) / len(everything) if everything else None
        told[mode] = {
            "attempts": len(own),
            "accuracy": fmean(one.grade.is_right for one in own) if own else None,
            "length": fmean(one.attempt.usage.completion_tokens or 0 for one in own) if own else None,
        }
    return told
