"""An outcome reward model of Hugging Face's form.

Anything that AutoModelForSequenceClassification loads: with one logit the rating is its logistic function (Bradley
and Terry's probability against a text of logit 0), with several the probability of a label.
Each text is read alone, so that its rating does not depend on its company. Cost: one forward pass a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.types import Problem
from trueup.raters.pretrained import Pretrained, Timed, as_read, tokenize


@dataclass(frozen=True, slots=True)
class HfReward(Timed):
    """Implements Rater by a sequence classifier; made by `hf_reward`."""

    model: Pretrained
    label: str

    @property
    def fingerprint(self) -> str:
        """The digest of the model's files, and the label."""
        return f"hf_reward:{self.model.digest()}:{self.label}"

    async def rate(self, problem: Problem, texts: Sequence[str]) -> Sequence[float]:
        """A rating per text, computed beside the event loop."""
        return await self.model.beside(lambda: [self._rate(problem, text) for text in texts])

    async def close(self) -> None:
        """Free the network."""
        self.model.drop()

    def _rate(self, problem: Problem, text: str) -> float:
        import torch

        tokenizer, network = self.model.parts()
        ids = tokenize(tokenizer, as_read(tokenizer, problem, text), return_tensors="pt")
        with torch.inference_mode():
            logits = network(**ids.to(network.device)).logits[0].float()
        place = _place(network.config, self.label)
        return float(logits.sigmoid()[0] if place is None else logits.softmax(-1)[place])


def hf_reward(*, name: str = "", label: str = "", device: str = "cpu") -> HfReward:
    """Rate by a reward model from a folder or the hub; `label` is the class that means right, where it has classes."""
    return HfReward(Pretrained("hf_reward", name, "AutoModelForSequenceClassification", device), label)


def _place(config: Any, label: str) -> int | None:
    """Which logit is meant, by the label's name or number; None for a model of one logit.

    Raises BadInput where there are several and none is named.
    """
    if config.num_labels == 1:
        return None
    names = {str(name): int(place) for place, name in config.id2label.items()}
    numbers = {str(place): place for place in names.values()}
    if label not in names | numbers:
        known = ", ".join(names)
        raise BadInput(f"rater hf_reward label is {label!r}; add label=NAME, the class that means right: {known}")
    return (numbers | names)[label]
