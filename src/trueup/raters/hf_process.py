r"""A process reward model of Hugging Face's form.

Lightman et al. 2023, arXiv:2305.20050, score every step. Two forms are read: a token classifier, as TRL trains them,
whose label `label` is the probability that the step is right; and, with `good` and `bad`, a causal model that says
so with one of two tokens, as Math-Shepherd does (Wang et al. 2023, arXiv:2312.08935: tag=" ки\n" good=+ bad=-). A
step is scored at the last token of the `tag` that is put behind it, blanks that end the tag not counted.
A beginning is worth its last step by default, which Snell et al. 2024, arXiv:2408.03314, found better than
the least and the product. Models that bring their own code are not run. Cost: one forward pass a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from trueup.core.errors import BadInput, UnknownName
from trueup.core.types import Problem
from trueup.raters.pretrained import Pretrained, Timed, as_read, tokenize

AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "last": lambda scores: scores[-1],
    "min": min,
    "prod": prod,
}


@dataclass(frozen=True, slots=True)
class HfProcess(Timed):
    """Implements Rater by a model that scores steps; made by `hf_process`."""

    model: Pretrained
    separator: str
    tag: str
    aggregate: str
    label: int
    marks: tuple[str, str] | None

    @property
    def fingerprint(self) -> str:
        """The digest of the model's files, and the settings."""
        settings = (self.separator, self.tag, self.aggregate, self.label, self.marks)
        return f"hf_process:{self.model.digest()}:{settings!r}"

    async def rate(self, problem: Problem, texts: Sequence[str]) -> Sequence[float]:
        """A rating per text, computed beside the event loop; 0 for a text without a step."""
        return await self.model.beside(lambda: [self._rate(problem, text) for text in texts])

    async def close(self) -> None:
        """Free the network."""
        self.model.drop()

    def scores(self, problem: Problem, text: str) -> list[float]:
        """The probability that each step is right, as the model sees it with all steps before it."""
        import torch

        steps = [step for step in text.split(self.separator) if step.strip()]
        if not steps:
            return []
        tokenizer, network = self.model.parts()
        places, ids = self._places(tokenizer, problem, steps)
        with torch.inference_mode():
            logits_TV = network(input_ids=torch.tensor([ids], device=network.device)).logits[0].float()
        logits_SV = logits_TV[places]
        if self.marks is None:
            chosen = logits_SV.softmax(-1)[:, self.label]
        else:
            chosen = logits_SV[:, [_token(tokenizer, mark) for mark in self.marks]].softmax(-1)[:, 0]
        return [float(score) for score in chosen]

    def _rate(self, problem: Problem, text: str) -> float:
        scores = self.scores(problem, text)
        return float(AGGREGATES[self.aggregate](scores)) if scores else 0.0

    def _places(self, tokenizer: Any, problem: Problem, steps: Sequence[str]) -> tuple[list[int], list[int]]:
        """The token at which each step is scored, never a special one, which spans nothing; and all tokens."""
        whole = "".join(step + self.tag for step in steps)
        read = as_read(tokenizer, problem, whole)
        start = read.rfind(whole.rstrip() if self.tag.strip() else whole)
        if start < 0:
            raise BadInput(
                f"rater hf_process: the chat template changes what a tag {self.tag!r} ends; take another tag"
            )
        coded = tokenize(tokenizer, read, return_offsets_mapping=True)
        ends, reach, mark = [], start, len(self.tag.rstrip() or self.tag)
        for step in steps:
            ends.append(reach + len(step) + mark - 1)
            reach += len(step) + len(self.tag)
        spans = coded["offset_mapping"]
        places = [max(i for i, (first, last) in enumerate(spans) if first <= end < last) for end in ends]
        return places, list(coded["input_ids"])


def hf_process(
    *, name: str = "", separator: str = "\n", tag: str = "\n", aggregate: str = "last", label: int = 1,
    good: str = "", bad: str = "", device: str = "cpu",
) -> HfProcess:  # fmt: skip
    r"""Rate beginnings by a process reward model from a folder or the hub; write \n for a line break.

    Raises UnknownName for another aggregate than last, min and prod, BadInput for one of `good` and `bad` alone.
    """
    if aggregate not in AGGREGATES:
        raise UnknownName("hf_process aggregate", aggregate, AGGREGATES)
    if bool(good) != bool(bad):
        raise BadInput(f"rater hf_process has good={good!r} and bad={bad!r}; give both, or neither for a classifier")
    separator, tag = (words.replace(r"\n", "\n") for words in (separator, tag))
    if not separator or not tag:
        raise BadInput(f"rater hf_process has separator={separator!r} and tag={tag!r}; neither may be empty")
    kind = "AutoModelForCausalLM" if good else "AutoModelForTokenClassification"
    marks = (good, bad) if good else None
    return HfProcess(Pretrained("hf_process", name, kind, device), separator, tag, aggregate, label, marks)


def _token(tokenizer: Any, mark: str) -> int:
    """The one token that a mark is, where a tokenizer may put a blank before it."""
    for text in (mark, f" {mark}"):
        ids = tokenizer.encode(text, add_special_tokens=False)
        if len(ids) == 1:
            return int(ids[0])
    ids = [i for i in tokenizer.encode(mark, add_special_tokens=False) if tokenizer.decode([i]).strip()]
    if len(ids) != 1:
        raise BadInput(f"rater hf_process: {mark!r} is {len(ids)} tokens of this model; good and bad are one each")
    return int(ids[0])
