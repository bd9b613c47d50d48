"""Proxy-tuning: a large model steered by what tuning did to a small one.

Liu et al. 2024, arXiv:2401.08565: the next token is drawn from softmax(base + alpha (expert - antiexpert)), where the
expert is a small model after its tuning and the antiexpert the same one before. Temperature, top-p and a grammar come
after the arithmetic. A text ends where the model that it equals would end it, which is the base at alpha 0 and where
expert and antiexpert are alike, the expert at alpha 1 where base and antiexpert are; any other at the base's ends and
the expert's. Each model reads the prompt in its own template and has a KV cache of its own. The three share a
tokenizer, token by token; rows of an embedding beyond its tokens are padding, of which each may have as much as it
likes. Attempts at one prompt go through each model together, `rows` at a time, behind one reading of the prompt, and so
do those at up to `prompts` others: each model pads their left to the longest of its own readings.

Cost: three passes a token, all of them charged. The card adds up parameters and layers x width, in both of which the
FLOP formula is linear, and a prompt counts by the longest of its three readings: exact where the templates agree in
length, an upper bound where they do not. Seconds are measured around all three.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from trueup.core.errors import BadInput
from trueup.core.roles import ModelCard, Sampled
from trueup.core.types import Prompt, Sampling
from trueup.models.huggingface.decode import Pace, Stream, Tokens, sample_from
from trueup.models.huggingface.draft import Draft, Head
from trueup.models.huggingface.engine import HuggingFace, likeliest
from trueup.models.huggingface.folder import read_ends
from trueup.models.huggingface.network import Network, Text
from trueup.models.huggingface.vocabulary import PLAIN, NoTemplate, Vocabulary
from trueup.models.huggingface.worker import Worker
from trueup.models.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class ProxyTuned:
    """Implements Model over three; the base decides on rows and threads."""

    def __init__(self, base: HuggingFace, expert: HuggingFace, antiexpert: HuggingFace, *, alpha: float = 1.0) -> None:
        """Raises BadInput for an alpha that is not finite."""
        if not math.isfinite(alpha):
            raise BadInput(f"proxy alpha is {alpha}; give a finite number, 1 as in the paper")
        self._models, self._alpha = (base, expert, antiexpert), alpha
        pace = Pace(base.rows, base.cores)
        card = _card(base.card, expert.card, antiexpert.card, alpha)
        self._worker = Worker(lambda asks: sample_from(self._load(), asks, pace), card.prompts)
        self._source: _Trio | None = None
        self._enders = _enders(base.card, expert.card, antiexpert.card, alpha)
        told = [read_ends(model.folder) for model in (base, expert)]
        has_other_ends = _union(told, self._enders) != told[0]
        self.card = replace(card, fingerprint=f"{card.fingerprint}:ends") if has_other_ends else card

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """n attempts, behind one reading of the prompt by each model.

        Raises BadInput where the three do not share a vocabulary.
        """
        return await self._worker.sample(prompt, n, start, sampling)

    async def next_token(self, prompt: Prompt, k: int = 20) -> Mapping[str, float]:
        """The k likeliest tokens behind a prompt, as text, with their natural log-probabilities."""
        return await self._worker.run(lambda: likeliest(self._load(), prompt, k))

    async def close(self) -> None:
        """Free the memory of all three."""
        self._worker.close()
        self._source = None
        for model in self._models:
            await model.close()

    def _load(self) -> _Trio:
        """All three; the base comes last, for the last one loaded decides on threads."""
        base, expert, antiexpert = self._models
        others = _network(expert, "expert_template"), _network(antiexpert, "antiexpert_template")
        network = _network(base, "template")
        self._source = self._source or _Trio(network, *others, self._alpha, self._enders)
        return self._source


def proxy(
    base: str | Weights,
    expert: str | Weights,
    antiexpert: str | Weights,
    *,
    alpha: float = 1.0,
    device: str = "cpu",
    dtype: str = "float32",
    rows: int = 8,
    prompts: int = 1,
    threads: int = 1,
    template: str = "",
    expert_template: str = "",
    antiexpert_template: str = "",
    billing: str | None = None,
) -> ProxyTuned:
    """A base steered by an expert and its antiexpert: three folders, or names on the hub.

    `template` is the base's, `expert_template` the expert's, and the antiexpert's too unless `antiexpert_template` is
    given; a model that was never taught to chat takes `plain`.
    """
    templates = (template, expert_template, antiexpert_template or expert_template)
    models = [
        HuggingFace(
            name, device=device, dtype=dtype, rows=rows, prompts=prompts, threads=threads, template=own, billing=billing
        )
        for name, own in zip((base, expert, antiexpert), templates, strict=True)
    ]
    return ProxyTuned(*models, alpha=alpha)


class _Trio:
    """Implements Source over three networks of one vocabulary."""

    def __init__(
        self, base: Network, expert: Network, antiexpert: Network, alpha: float, enders: Sequence[int]
    ) -> None:
        for role, other in (("expert", expert), ("antiexpert", antiexpert)):
            _require_same(base.vocabulary, other.vocabulary, role)
        self._networks, self._alpha = (base, expert, antiexpert), alpha
        own = base.vocabulary
        ends = _union([own.ends, expert.vocabulary.ends], enders)
        self.vocabulary = Vocabulary(own.tokenizer, ends, own.width, template=PLAIN, name=base.name)  # reads no prompt

    @property
    def contexts(self) -> Sequence[int]:
        """The context of each."""
        return [network.context_tokens for network in self._networks]

    def fitting(self, prompt: Prompt) -> Tokens:
        """The prompt as each of the three reads it; raises Refused where it does not fit one of them."""
        return [network.fitting(prompt) for network in self._networks]

    def begin(self, prompts: Sequence[Tokens]) -> _Chord:
        """The prompts, read by all three."""
        texts = zip(self._networks, zip(*prompts, strict=True), strict=True)
        base, expert, antiexpert = (network.begin(own) for network, own in texts)
        return _Chord((base, expert, antiexpert), self._alpha)

    def keep(self, stream: Stream, drafts: Sequence[Draft]) -> None:
        """Nothing is kept."""


class _Chord:
    """Implements Stream: the same texts read by three networks, their logits combined."""

    def __init__(self, texts: tuple[Text, Text, Text], alpha: float) -> None:
        self._texts, self._alpha = texts, alpha
        self._combine()

    @property
    def heads(self) -> list[Head]:
        """What stands in each row: the longest reading, the base's last token, and the room that all have."""
        rows = zip(*(text.heads for text in self._texts), strict=True)
        return [
            Head(max(head.prompt_tokens for head in row), 0, row[0].last, min(head.room for head in row))
            for row in rows
        ]

    def spread(self, places: Sequence[int]) -> _Chord:
        twin = copy.copy(self)
        base, expert, antiexpert = (text.spread(places) for text in self._texts)
        twin._texts = (base, expert, antiexpert)
        twin._combine()
        return twin

    def step(self, tokens: Sequence[int]) -> None:
        for text in self._texts:
            text.step(tokens)
        self._combine()

    def _combine(self) -> None:
        self.logits_BV = steered(*(text.logits_BV for text in self._texts), alpha=self._alpha)


def steered(base_BV: Tensor, expert_BV: Tensor, antiexpert_BV: Tensor, *, alpha: float) -> Tensor:
    """base + alpha (expert - antiexpert), in the width that all three have.

    What lies beyond it is padding that no token names, and that not every model could read if it were drawn.
    """
    width = min(logits.shape[-1] for logits in (base_BV, expert_BV, antiexpert_BV))
    base_BV, expert_BV, antiexpert_BV = (logits[:, :width] for logits in (base_BV, expert_BV, antiexpert_BV))
    return base_BV + alpha * (expert_BV - antiexpert_BV)


def _network(model: HuggingFace, key: str) -> Network:
    """A model's network; the setting that gives it the template that it lacks is called `key` here."""
    try:
        return model.load().network
    except NoTemplate as error:
        raise NoTemplate(error.name, key) from None


def _require_same(base: Vocabulary, other: Vocabulary, role: str) -> None:
    """Raise BadInput unless both have the same tokens under the same ids, and the other a logit for each."""
    ours, theirs = base.tokenizer.get_vocab(), other.tokenizer.get_vocab()
    strayed = [t for t in ours | theirs if ours.get(t) != theirs.get(t) or ours[t] >= other.width]
    if strayed:
        raise BadInput(
            f"proxy-tuning needs token ids that agree: the base has {len(ours):,} tokens, its {role} {len(theirs):,}, "
            f"and {len(strayed):,} differ ({min(strayed)!r} is one); take models of one tokenizer"
        )


def _enders(base: ModelCard, expert: ModelCard, antiexpert: ModelCard, alpha: float) -> tuple[int, ...]:
    """Whose ends end a text: the base's (0), the expert's (1), or those of both."""
    if alpha == 0 or expert.fingerprint == antiexpert.fingerprint:
        return (0,)
    return (1,) if alpha == 1 and base.fingerprint == antiexpert.fingerprint else (0, 1)


def _union(ends: Sequence[frozenset[T]], enders: Sequence[int]) -> frozenset[T]:
    return frozenset[T]().union(*(ends[place] for place in enders))


def _card(base: ModelCard, expert: ModelCard, antiexpert: ModelCard, alpha: float) -> ModelCard:
    cards = (base, expert, antiexpert)
    parameters = [card.parameters for card in cards if card.parameters]
    reaches = [card.layers * card.width for card in cards if card.layers and card.width]
    return ModelCard(
        name=f"{base.name}+{alpha:g}({expert.name}-{antiexpert.name})",
        fingerprint=f"proxy:{alpha!r}:" + "|".join(card.fingerprint for card in cards),
        billing=base.billing,
        parameters=sum(parameters) if len(parameters) == 3 else None,
        layers=1 if len(reaches) == 3 else None,
        width=sum(reaches) if len(reaches) == 3 else None,
        prompts=min(card.prompts for card in cards),
    )
