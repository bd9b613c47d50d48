"""What a reply tells of its tokens: how many there are, and how likely they were."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

TOKENS_AT_MOST = 1 << 32
"""A count beyond it is a mistake of who told it, and sums of such counts fit no ledger."""
LOGPROB_LEAST, LOGPROB_ROUNDING = -1e39, 1e-3
"""llama.cpp's server says the least float of 32 bits for probability 0; rounded, a certain token may lie above 0."""
REASONING = ("reasoning_content", "reasoning")
"""Where a message tells what was thought before its content; some tell the same under both names."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many tokens a choice has, and their mean log-probability as told and at a temperature; None is unknown."""

    tokens: int | None
    logprob: float | None = None
    drawn_logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """The log-probability of each token of a choice, as told and at a temperature."""

    own: Sequence[float | None]
    drawn: Sequence[float | None]

    @classmethod
    def of(cls, tokens: Sequence[Mapping[str, Any]], temperature: float) -> Told:
        """Out of what is told of each token: its own `logprob`, and under `top_logprobs` those of the likeliest."""
        own = [log_probability(token.get("logprob")) for token in tokens]
        drawn = [
            None if one is None else drawn_logprob(one, _likeliest(token), temperature)
            for one, token in zip(own, tokens, strict=True)
        ]
        return cls(own, drawn)

    def over(self, tokens: int | None, count: int) -> Tally:
        """The tally of so many tokens, whose means are over `count`."""
        return Tally(tokens, _mean(self.own, count), _mean(self.drawn, count))


def tally(
    choices: Sequence[Mapping[str, Any]],
    texts: Sequence[str],
    completion: int | None,
    lot: str,
    temperature: float = 1.0,
) -> list[Tally]:
    """The tokens of each choice, where all together have this many.

    Where the log-probabilities of tokens account for the sum, they tell the counts. Else the only choice has all, and
    one of several a share by how many of its tokens are told, or by the length of its text and reasoning; of a share
    nobody knows what part the log-probabilities are of, and they are None. The shares add up to the sum.
    """
    told = [Told.of(told_tokens(choice), temperature) for choice in choices]
    lengths = [len(one.own) for one in told]
    if completion is None:
        return [one.over(None, length) for one, length in zip(told, lengths, strict=True)]
    is_told = all(length or not text for length, text in zip(lengths, texts, strict=True))
    counts = _told_counts(choices, lengths, completion) if is_told else None
    if counts is not None:
        return [one.over(count, count) for count, one in zip(counts, told, strict=True)]
    if len(choices) == 1:
        return [told[0].over(completion, lengths[0])]
    letters = [len(text) + _reasoning(choice) for text, choice in zip(texts, choices, strict=True)]
    return [Tally(part) for part in share(completion, lengths if is_told and any(lengths) else letters, lot)]


def share(total: int, weights: Sequence[int], lot: str) -> list[int]:
    """A total split in proportion to weights, by largest remainder, ties by lot; evenly where all weights are 0."""
    weights = weights if sum(weights) else [1] * len(weights)
    whole, drawn = sum(weights), random.Random(lot)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), drawn.random()))
    for place in by_remainder[: total - sum(parts)]:
        parts[place] += 1
    return parts


def count_tokens(usage: object) -> tuple[int | None, int | None, int | None]:
    """Prompt, completion and cached tokens; reasoning that only the total counts is added to the completion."""
    if not isinstance(usage, Mapping):
        return None, None, None
    prompt, completion, total = (_count(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
    if prompt is not None and completion is not None and total is not None:
        completion = max(completion, total - prompt)
    details = usage.get("prompt_tokens_details")
    return prompt, completion, _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None


def told_tokens(choice: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What is told of each token of a choice; nothing where it is not told."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    tokens = content if isinstance(content, list) else []
    return [token for token in tokens if isinstance(token, Mapping)]


def log_probability(told: object) -> float | None:
    """The natural log-probability that is told, None where it can be none."""
    if type(told) not in (int, float):
        return None
    assert isinstance(told, int | float)
    return min(float(told), 0.0) if LOGPROB_LEAST <= told <= LOGPROB_ROUNDING else None


def drawn_logprob(own: float, likeliest: Sequence[float], temperature: float) -> float | None:
    """The log-probability of a token after temperature, or less, by its own before and what some of the likeliest had.

    Each token that is not told of is taken to have had as much as it can: no more than any of the likeliest that are
    told, of which the one drawn may be none, and all together no more than is left. At temperature 0 the one drawn is
    certain. None above 1, where they would have most if they were very many, and nobody tells how many they are.
    """
    if temperature in (0.0, 1.0):
        return own * temperature
    if temperature > 1:
        return None
    others = [*likeliest]
    if own in others:
        others.remove(own)
    rest, inverse = 1.0 - exp(own) - sum(map(exp, others)), 1 / temperature
    parts = [one * inverse for one in (own, *others)]
    if rest > 0:
        parts.append(log(rest) + min([log(rest), *others]) * (inverse - 1))
    most = max(parts)
    return own * inverse - most - log(sum(exp(part - most) for part in parts))


def by_likelihood(tokens: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Texts of tokens with their log-probabilities, the likeliest first; of tokens that look alike, the likelier."""
    likelier_last = dict(sorted(tokens, key=lambda token: token[1]))
    return dict(sorted(likelier_last.items(), key=lambda token: -token[1]))


def _likeliest(token: Mapping[str, Any]) -> list[float]:
    """The log-probabilities of the likeliest tokens at a token's place, as far as they are told."""
    top = token.get("top_logprobs")
    found = (
        [log_probability(one.get("logprob")) for one in top if isinstance(one, Mapping)]
        if isinstance(top, list)
        else []
    )
    return [one for one in found if one is not None]


def _told_counts(choices: Sequence[Mapping[str, Any]], lengths: Sequence[int], completion: int) -> list[int] | None:
    """The count of each choice, where what is told adds up; the ends of texts may be counted and not told."""
    with_ends = [
        length + (choice.get("finish_reason") != "length") for choice, length in zip(choices, lengths, strict=True)
    ]
    return next((counts for counts in ([*lengths], with_ends) if sum(counts) == completion), None)


def _mean(told: Sequence[float | None], count: int) -> float | None:
    """The mean over so many tokens; an end that is not told is taken for certain."""
    known = [one for one in told if one is not None]
    return sum(known) / count if known and len(known) == len(told) else None


def _reasoning(choice: Mapping[str, Any]) -> int:
    """The letters of a choice's reasoning, as far as it is told."""
    told = [choice["message"].get(name) for name in REASONING]
    return max(len(text) if isinstance(text, str) else 0 for text in told)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= TOKENS_AT_MOST else None
