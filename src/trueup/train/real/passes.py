"""What a step's tokens cost: counts and FLOPs by kind.

FLOPs follow `dense-v1` (core/cost.py), with F = 2 N T + 2 l d T^2 for a forward pass over T tokens of a sequence:
`prefill` F of the prompt, `sampled` the decoding behind it, `reference` and `old_policy` F of the whole sequence each.
`trained` is F, once more F where activations are recomputed, then the backward pass: through the activations
2 N T + 4 l d T^2, for the weights 2 N_trained T. So full training is 3 F, and LoRA, with few N_trained, about 2 F.
Padding is not counted, nor is the language head that some passes leave out on the prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trueup.core.cost import sample_flops
from trueup.core.roles import ModelCard
from trueup.core.types import Usage
from trueup.train.job import Passes
from trueup.train.real.episodes import Record
from trueup.train.texts import Tokens


@dataclass(frozen=True, slots=True)
class Size:
    """What the formula takes: all weights and the trained ones among them, layers, heads x head size."""

    parameters: int
    trained: int
    layers: int
    width: int

    @property
    def base(self) -> Size:
        """The model without its adapter; the same where everything is trained."""
        frozen = self.parameters - self.trained
        return Size(frozen or self.parameters, 0, self.layers, self.width)

    def forward(self, tokens: int) -> int:
        """FLOPs of reading so many tokens."""
        return self._flops(tokens, 0, with_prompt=True)

    def decode(self, behind: int, tokens: int) -> int:
        """FLOPs of sampling so many tokens behind a prompt."""
        return self._flops(behind, tokens, with_prompt=False)

    def training(self, tokens: int, *, recompute: bool) -> int:
        """FLOPs of a forward and a backward pass over a sequence."""
        forward = self.forward(tokens)
        attention = forward - 2 * self.parameters * tokens
        backward = 2 * self.parameters * tokens + 2 * attention + 2 * self.trained * tokens
        return forward * (2 if recompute else 1) + backward

    def _flops(self, prompt: int, completion: int, *, with_prompt: bool) -> int:
        card = ModelCard("", "", "", self.parameters, self.layers, self.width)
        flops = sample_flops(card, Usage(prompt, completion), with_prompt=with_prompt)
        assert flops is not None
        return flops


@dataclass(frozen=True, slots=True)
class Ways:
    """Which passes a step makes, and whether the n attempts of a prompt share its reading.

    A step that `samples` is the first on its batch; the others only train on it.
    """

    samples: bool
    reference: bool
    old_policy: bool
    recompute: bool
    shared_prompt: int = 1


def passes(
    step: int,
    records: Sequence[Record],
    size: Size,
    ways: Ways,
    seconds: Mapping[str, float],
    replayed: Sequence[Tokens] = (),
) -> Iterator[Passes]:
    """All passes of one step; seconds that are not told of a kind are 0. What is `replayed` is trained on alone."""

    def of(kind: str, prompt: int, completion: int, flops: int) -> Passes:
        return Passes(kind, step, prompt, completion, flops, seconds.get(kind, 0.0))

    kept_tokens = sum(sum(r.lengths) for r in records)
    asked_tokens = sum(r.tokens for r in records) - kept_tokens
    again = sum(text.start for text in replayed), sum(text.targets for text in replayed)
    lengths = [*(r.tokens for r in records), *(len(text.ids) for text in replayed)]
    flops = sum(size.training(length, recompute=ways.recompute) for length in lengths)
    yield of("trained", asked_tokens + again[0], kept_tokens + again[1], flops)
    if not ways.samples:
        return
    first = records[:: ways.shared_prompt]
    read = [r.contexts[0] for r in first] + [c for r in records for c in r.contexts[1:]]
    yield of("prefill", sum(read), 0, sum(map(size.forward, read)))
    drawn = [(c, kept) for r in records for c, kept in zip(r.contexts, r.lengths, strict=True)]
    yield of("sampled", 0, sum(kept for _, kept in drawn), sum(size.decode(*one) for one in drawn))
    lost = [(c + kept, cut) for r in records for c, kept, cut in zip(r.contexts, r.lengths, r.cuts, strict=True)]
    if any(cut for _, cut in lost):
        yield of("discarded", 0, sum(cut for _, cut in lost), sum(size.decode(*one) for one in lost))
    if ways.reference:
        yield of("reference", asked_tokens, kept_tokens, sum(size.base.forward(r.tokens) for r in records))
    if ways.old_policy:
        yield of("old_policy", asked_tokens, kept_tokens, sum(size.forward(r.tokens) for r in records))
    yield of("check", 0, 0, 0)
