"""Whether two engines say the same, by their next tokens.

Engines read weights, templates and tokenizers each in its own way, and one that reads them wrongly still writes fluent
text. So what two engines have sampled is pooled only where their log-probabilities agree on a fixed set of prompts.
The embedded engine and `hf` on its weights do not: llama.cpp rounds activations to 8 bits for weights in 4, which moves
SmolLM2's likeliest tokens by up to 0.41 on the prompts below, and doing the same in `hf` moves them as far.
The gate compares two models that can both be asked. An endpoint may also change the engine behind one model: it cannot
be asked which one is to answer, so nothing is compared then; a study counts its attempts by the engine that each reply
names (`Attempt.engine`), and certifies nothing where these are several.
Cost: one pass over each prompt by each engine, of which nothing is kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from trueup.core.errors import BadInput
from trueup.core.roles import Model, ModelCard
from trueup.core.types import Message, Prompt

TOLERANCE = 0.1
"""Natural log-probability: other orders of summation stay a thousand times below, misread weights go far above."""


class Foretelling(Protocol):
    """A model that says how likely the next token is."""

    @property
    def card(self) -> ModelCard: ...

    async def next_token(self, prompt: Prompt, k: int = 20) -> Mapping[str, float]:
        """The k likeliest tokens behind a prompt, as text, with their natural log-probabilities."""
        ...


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two engines were apart: at most, on which of so many prompts, over which token; and on average.

    `worst` is infinite where the likeliest token of one is not among those that the other named; of so many tokens,
    `unnamed`, the mean knows nothing, and without any other it is infinite too.
    """

    first: str
    second: str
    prompts: int
    worst: float
    prompt: int
    token: str
    tolerance: float
    mean: float
    tokens: int
    unnamed: int = 0

    @property
    def agrees(self) -> bool:
        """Whether they differed nowhere by more than the tolerance."""
        return self.worst <= self.tolerance

    def __str__(self) -> str:
        """What was compared, and what came of it."""
        verdict = "agree" if self.agrees else "disagree"
        where = f"prompt {self.prompt + 1} of {self.prompts}, token {self.token!r}"
        apart = (
            f"{self.worst:.3f} apart at most ({where}), {self.mean:.3f} on average of {self.tokens} likeliest tokens"
        )
        unnamed = f", {self.unnamed} of which one engine did not name" if self.unnamed else ""
        return f"{self.first} and {self.second} {verdict}: {apart}{unnamed}"


async def agreement(
    first: Foretelling,
    second: Foretelling,
    prompts: Sequence[Prompt] | None = None,
    *,
    tolerance: float = TOLERANCE,
    k: int = 20,
) -> Agreement:
    """Compare what two engines take for the likeliest next token, each engine's on each prompt.

    Raises BadInput where there is no prompt, or the tolerance is negative.
    """
    prompts = fixed_prompts() if prompts is None else prompts
    if not prompts or not tolerance >= 0:
        raise BadInput(f"no gate from {len(prompts)} prompts and tolerance {tolerance}; give a prompt, and at least 0")
    apart = []
    for place, prompt in enumerate(prompts):
        ours, theirs = await first.next_token(prompt, k), await second.next_token(prompt, k)
        apart += [(difference(ours, theirs, token), -place, token) for token in {_likeliest(ours), _likeliest(theirs)}]
    worst, place, token = max(apart)
    known = sorted(distance for distance, _, _ in apart if distance < math.inf)
    return Agreement(
        first.card.fingerprint, second.card.fingerprint, len(prompts), worst, -place, token, tolerance,
        sum(known) / len(known) if known else math.inf, len(apart), len(apart) - len(known),
    )  # fmt: skip


def foretelling(model: Model) -> Foretelling:
    """The model, if it says how likely the next token is; BadInput otherwise."""
    if not callable(getattr(model, "next_token", None)):
        name = model.card.fingerprint
        raise BadInput(
            f"{name!r} tells no log-probabilities of a next token; compare smollm2, gguf, hf, proxy or openai"
        )
    return cast(Foretelling, model)


def difference(ours: Mapping[str, float], theirs: Mapping[str, float], token: str) -> float:
    """How far apart two engines are on a token; infinite where one did not name it."""
    return abs(ours[token] - theirs[token]) if token in ours and token in theirs else math.inf


def may_pool(first: ModelCard, second: ModelCard, measured: Agreement | None = None) -> bool:
    """Whether what these two have sampled may be taken together: they are the same, or were measured to agree."""
    if first.fingerprint == second.fingerprint:
        return True
    is_theirs = measured is not None and {measured.first, measured.second} == {first.fingerprint, second.fingerprint}
    return measured is not None and is_theirs and measured.agrees


def require_poolable(first: ModelCard, second: ModelCard, measured: Agreement | None = None) -> None:
    """Raise BadInput unless what these two have sampled may be taken together."""
    if may_pool(first, second, measured):
        return
    if measured is None or {measured.first, measured.second} != {first.fingerprint, second.fingerprint}:
        found = "they were never compared"
    elif measured.worst == math.inf:
        found = f"{measured.token!r} is likeliest to one on prompt {measured.prompt + 1}, and unlikely to the other"
    else:
        found = f"their log-probabilities are {measured.worst:.3f} apart, more than {measured.tolerance:g}"
    raise BadInput(
        f"samples of {first.fingerprint!r} and {second.fingerprint!r} cannot be pooled: {found}; keep them apart"
    )


def fixed_prompts() -> tuple[Prompt, ...]:
    """The prompts of the gate: prose, sums, code, a system's turn, and other alphabets."""
    questions = (
        "What is the capital of France?",
        "Q: 21 + 34\nA: 55\nQ: 52 + 17\nA: 69\nQ: 23 + 45\nA:",
        "Continue: def add(a, b):\n    return",
        "Write the days of the week, separated by commas.",
        "Qu'est-ce que « bonjour » en anglais ?",
        "2, 4, 8, 16,",
    )
    alone = tuple((Message("user", question),) for question in questions)
    return (*alone, (Message("system", "Answer with one word."), Message("user", "Is fire hot or cold?")))


def _likeliest(told: Mapping[str, float]) -> str:
    return max(told, key=lambda token: told[token])
