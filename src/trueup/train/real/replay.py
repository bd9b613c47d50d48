"""What an online trainer reads beside its rollouts: the base's own answers to other strata.

They are gathered once before the first step and kept where a card looks for them. Which of them a step reads hangs on
its number and the seed alone, so neither a kill nor the number of processes changes it.
B is texts, T tokens, V the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trueup.core.errors import BadInput
from trueup.core.stratum import Stratum
from trueup.core.types import Prompt
from trueup.models.huggingface.vocabulary import Refused, Vocabulary
from trueup.train.ask import Graded
from trueup.train.exam import Sitting
from trueup.train.job import Job, Passes
from trueup.train.losses import sft_loss
from trueup.train.mode_exam import moded
from trueup.train.offline.loop import picks
from trueup.train.offline.own import as_said, asker_of, others_of, own_answers, replayed_beside
from trueup.train.offline.supervised import ROUNDS, as_read, keep_examples, read_examples
from trueup.train.real.objective import Recipe
from trueup.train.texts import Tokens, batch_of

BEFORE = -1
"""The step of what is done before the first one; of each further stratum one less."""


@dataclass(frozen=True, slots=True)
class Place:
    """A micro-batch of a step: its number, of how many, in which process, of how many."""

    part: int
    parts: int
    process: int
    processes: int


@dataclass(frozen=True, slots=True)
class Replay:
    """The texts, how many of them a step reads, and how much these weigh in its loss."""

    share: float
    count: int
    texts: tuple[Tokens, ...]
    seed: int
    padding: int
    device: torch.device

    def of_step(self, step: int) -> list[Tokens]:
        """The texts of a step: every one once, in an order by the seed, before any comes again."""
        return [self.texts[place] for place in picks(len(self.texts), self.count, step, self.seed)]

    def loss(self, network: Any, step: int, place: Place) -> Tensor:
        """A place's part of a step's mean negative log-likelihood a target token.

        Averaged over processes and summed over parts, as gradients are, these are the whole. Where one process reads
        in a part all do, since sharded weights come to all at once: without a text of its own it reads another's, at
        weight 0.
        """
        texts, slots = self.of_step(step), place.parts * place.processes
        first = place.part * place.processes
        here, anywhere = texts[first + place.process :: slots], texts[first::slots]
        if not anywhere:
            return torch.zeros((), device=self.device)
        batch = batch_of(here or anywhere[:1], self.padding, self.device)
        reply = network(input_ids=batch.ids_BT, attention_mask=batch.attended_BT, use_cache=False)
        share = place.processes * _targets(here) / _targets(texts)
        return share * sft_loss(reply.logits.float(), batch.target_BT, batch.mask_BT)


def count_of(recipe: Recipe) -> int:
    """How many texts a step reads beside its rollouts."""
    return max(1, replayed_beside(recipe.batch, recipe.replay))


def gather(job: Job, recipe: Recipe, *, has_modes: bool) -> None:
    """Sample what is to be replayed, at most as much as all steps read, unless a run before has kept it.

    With modes each answer is kept behind the token that chose its own.
    """
    path = _path(job)
    if not path.exists():
        found = own_answers(job, recipe.replay, count_of(recipe) * recipe.steps)
        names = _hidden_firsts(job, found) if has_modes else [""] * len(found)
        pairs = zip(found, names, strict=True)
        keep_examples(path, [replace(as_said(one), target=name + one.attempt.text) for one, name in pairs])


def read_replay(job: Job, recipe: Recipe, vocabulary: Vocabulary, limit: int, device: torch.device) -> Replay:
    """What was gathered, as a model that reads so many tokens does.

    Raises BadInput where nothing fits.
    """
    texts = tuple(text for text in as_read(job, vocabulary, limit, read_examples(_path(job))) if text)
    if not texts:
        raise BadInput(f"no text to replay fits the model's {limit:,} tokens; take shorter items, or set replay=0")
    padding = vocabulary.tokenizer.eos_token_id
    return Replay(recipe.replay, count_of(recipe), texts, job.seed, padding, device)


def longest_replayed(job: Job, share: float, vocabulary: Vocabulary, limit: int) -> int:
    """How many tokens a text may have that is replayed; what the template refuses is not."""
    longest = 0
    for problem in (item.problem for stratum in others_of(job, share) for item in stratum.items):
        with suppress(Refused):
            longest = max(longest, len(vocabulary.ids(problem.prompt)) + problem.sampling.max_tokens + 1)
    return min(limit, longest)


def _path(job: Job) -> Path:
    return job.out / ROUNDS / "replay" / "examples.jsonl"


def _targets(texts: Sequence[Tokens]) -> int:
    return sum(text.targets for text in texts)


def _hidden_firsts(job: Job, found: Sequence[Graded]) -> list[str]:
    """The name of each attempt's first token where its text does not show it, drawn once more by the same dice."""
    engine = asker_of(job).engine.open(job.model)
    vocabulary, tokens = engine.load().vocabulary, dict[Prompt, int]()

    def charge(passes: Passes) -> None:
        job.charge(replace(passes, kind="prefill"))

    for number, stratum in enumerate(job.others):
        drawn = moded(engine, _freely_said(stratum, found), charge, BEFORE - number)
        tokens |= {one.prompt: token for item in drawn for one, token in item}
    names = []
    for one in found:
        token = tokens.get(one.prompt)
        is_hidden = token is not None and not vocabulary.text([token], vocabulary.ids(one.prompt)[-1])
        names.append(vocabulary.tokenizer.decode([token]) if is_hidden and token not in vocabulary.ends else "")
    return names


def _freely_said(stratum: Stratum, found: Sequence[Graded]) -> Sitting:
    """The attempts at a stratum's items, but for those that a grammar held, which begin with no mode."""
    by_prompt = {one.prompt: (one,) for one in found}
    free = tuple(item for item in stratum.items if not (item.problem.sampling.schema or item.problem.sampling.grammar))
    rows = tuple(by_prompt.get(item.problem.prompt, ()) for item in free)
    return Sitting(replace(stratum, items=free), rows)
