"""Rounds of supervised fine-tuning: gather texts, train on them, save what the next round starts from.

B is texts, T tokens, V the vocabulary.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trueup.core.errors import BadInput
from trueup.core.stratum import Stratum
from trueup.core.types import Message, Prompt
from trueup.models.huggingface.folder import find_folder
from trueup.models.huggingface.network import context_of
from trueup.models.huggingface.vocabulary import Refused, Vocabulary
from trueup.train.job import ADAPTER, MODEL, Job, Trained, save
from trueup.train.losses import kl_loss, sft_loss
from trueup.train.network import Trainee, demand_shape, merged
from trueup.train.offline.company import Learned, Lesson, open_trainee, taught
from trueup.train.offline.loop import Course, Objective, Part
from trueup.train.offline.sharded import is_sharded, sharded
from trueup.train.texts import ENDED, Example, Tokens, TooLong, Unsaid, batch_of, tokens_of

ROUNDS, FIGURES = "rounds", "figures.json"
TOO_LONG = "texts too long for the model"
LEFT_OUT = {TooLong: TOO_LONG, Unsaid: "texts without a word", Refused: "prompts that the template refuses"}
Gather = Callable[[Path, int], Sequence[Example]]
"""(folder of the weights as they are, number of the round): what to train on next."""


@dataclass(frozen=True, slots=True)
class Plan:
    """So many rounds, of so many steps each; `afresh` each starts from the base, not from the last one's end."""

    course: Course
    rounds: int = 1
    afresh: bool = False


def train_rounds(job: Job, gather: Gather, plan: Plan) -> Trained:
    """Train round by round and save the last one's weights; a killed run goes on in the round it was in."""
    folder, figures = run_rounds(job, gather, plan)
    return publish(job, folder, round(figures["rounds"]) * plan.course.steps, figures)


def run_rounds(job: Job, gather: Gather, plan: Plan) -> tuple[Path, dict[str, float]]:
    """The folder of the last round's weights, and its figures; a round that finds nothing to learn from is the end.

    Raises BadInput where the first one does, and of a model whose FLOPs cannot be counted before anything is sampled.
    """
    if plan.rounds < 1:
        raise BadInput(f"rounds is {plan.rounds}; give at least 1")
    demand_shape(job.model)
    folder, figures = job.model, {"rounds": 0.0}
    for number in range(plan.rounds):
        target = job.out / ROUNDS / str(number + 1)
        if not (target / FIGURES).exists():
            examples = _gathered(job, gather, folder, number, target)
            if not examples and number:
                break
            if not examples:
                raise BadInput(_nothing(job.stratum))
            _train(job, job.model if plan.afresh else folder, examples, plan, number, target)
            gc.collect()  # a network that is cut refers to itself
        folder = find_folder(str(target))
        figures = {"rounds": number + 1.0, **json.loads((target / FIGURES).read_text())}
    return folder, figures


def _nothing(stratum: Stratum) -> str:
    return (
        f"nothing to train on: of {len(stratum.items)} items of {stratum.name!r} none gave an example; "
        f"take more samples an item, more items or another trainer"
    )


def publish(job: Job, folder: Path, steps: int, figures: dict[str, float]) -> Trained:
    """Put the weights of the last round where a training leaves them, whole or not at all."""
    is_adapter = folder.name == ADAPTER
    target = job.out / (ADAPTER if is_adapter else MODEL)
    draft = target.with_name(f"{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(folder, draft)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(draft, target)
    return Trained(steps, figures, is_adapter)


def supervised(trainee: Trainee, course: Course, base: Path) -> Objective[Tokens]:
    """The likelihood of the targets, less `kl` times the distance to the base where that is weighed."""
    reference = Reference.of(trainee, base) if course.kl else None

    def part(texts: Sequence[Tokens]) -> Part:
        batch = batch_of(texts, trainee.vocabulary.tokenizer.eos_token_id, trainee.device)
        logits_BTV = logits_of(trainee, trainee.network, batch.ids_BT, batch.attended_BT)
        loss, figures = sft_loss(logits_BTV, batch.target_BT, batch.mask_BT), {}
        if reference is not None:
            kl = kl_loss(logits_BTV, reference.logits(batch.ids_BT, batch.attended_BT), batch.mask_BT)
            figures["kl"] = float(kl.detach())
            loss = loss + course.kl * kl
        return Part(loss, sum(text.targets for text in texts), figures)

    return Objective(part, lambda text: text.targets, lambda text: [text], asks_reference=reference is not None)


@dataclass(frozen=True, slots=True)
class Reference:
    """The base's logits: the network without its adapter, or a second network where all weights learn."""

    trainee: Trainee
    network: Any | None

    @classmethod
    def of(cls, trainee: Trainee, base: Path) -> Reference:
        if trainee.is_adapter:
            return cls(trainee, None)
        network = merged(base)[0].eval().requires_grad_(False)
        if is_sharded(trainee.network):
            return cls(trainee, sharded(network, trainee.device, trainee.dtype))
        return cls(trainee, network.to(trainee.device))

    def logits(self, ids_BT: Tensor, attended_BT: Tensor) -> Tensor:
        """Logits without gradients, axes BTV."""
        with torch.no_grad(), _without_adapter(self.trainee, self.network):
            return logits_of(self.trainee, self.network or self.trainee.network, ids_BT, attended_BT)


def logits_of(trainee: Trainee, network: Any, ids_BT: Tensor, attended_BT: Tensor) -> Tensor:
    """The logits behind every token, in float32, axes BTV."""
    is_half = trainee.dtype != torch.float32
    with torch.autocast(trainee.device.type, dtype=torch.bfloat16, enabled=is_half):
        reply = network(input_ids=ids_BT, attention_mask=attended_BT, use_cache=False)
    logits_BTV: Tensor = reply.logits.float()
    return logits_BTV


@contextmanager
def _without_adapter(trainee: Trainee, network: Any | None) -> Iterator[None]:
    if network is not None:
        yield
        return
    with trainee.network.disable_adapter():
        yield


def in_tokens(job: Job, trainee: Trainee, examples: Sequence[Example]) -> list[Tokens | None]:
    """Each example as the model reads it; None where it cannot be learned from, which is told by its item."""
    return as_read(job, trainee.vocabulary, context_of(trainee.network.config), examples)


def as_read(job: Job, vocabulary: Vocabulary, limit: int, examples: Sequence[Example]) -> list[Tokens | None]:
    """The same of a model with this vocabulary that reads so many tokens."""
    texts = list[Tokens | None]()
    for example in examples:
        try:
            texts.append(tokens_of(example, vocabulary, limit))
        except (TooLong, Unsaid, Refused) as error:
            texts.append(None)
            job.failed(LEFT_OUT[type(error)], _item_of(job, example.prompt), str(error))
    return texts


def _item_of(job: Job, prompt: Prompt) -> str:
    """The item whose prompt this is, or begins it; its last words where there is none."""
    problems = (item.problem for stratum in (job.stratum, *job.others) for item in stratum.items)
    return next((one.id for one in problems if prompt[: len(one.prompt)] == one.prompt), prompt[-1].content[-40:])


def nothing_fits(job: Job, trainee: Trainee) -> BadInput:
    """What to say where no text can be trained on."""
    room = context_of(trainee.network.config)
    told = f"no text of {job.stratum.name!r} can be learned from by a model that reads {room:,} tokens"
    return BadInput(f"{told}; failures.jsonl says why of each, take other items")


def leave(job: Job, trainee: Trainee, target: Path, learned: Learned, about: Mapping[str, float]) -> None:
    """Save a round's weights, then the figures that say it is done and what it was about, and drop its checkpoint."""
    save(trainee.network, trainee.vocabulary.tokenizer, target, learned.weights)
    draft = (target / FIGURES).with_suffix(".draft")
    draft.write_text(json.dumps({**about, **learned.figures}) + "\n")
    draft.replace(target / FIGURES)
    shutil.rmtree(job.checkpoints, ignore_errors=True)


def _train(job: Job, start: Path, examples: Sequence[Example], plan: Plan, number: int, target: Path) -> None:
    course = plan.course
    trainee = open_trainee(job, start, course)
    texts = [text for text in in_tokens(job, trainee, examples) if text]
    if not texts:
        raise nothing_fits(job, trainee)
    lesson = Lesson(
        start, texts, partial(supervised, course=course, base=job.model), course,
        state=job.checkpoints / f"round-{number + 1}.pt", first=number * course.steps,
        last=plan.rounds * course.steps,
    )  # fmt: skip
    leave(job, trainee, target, taught(job, trainee, lesson), {"texts": len(texts)})


def _gathered(job: Job, gather: Gather, folder: Path, number: int, target: Path) -> list[Example]:
    """The round's examples, gathered or as they were kept."""
    path = target / "examples.jsonl"
    if not path.exists():
        keep_examples(path, gather(folder, number))
    return read_examples(path)


def keep_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write what is trained on, a line each, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"messages": [[m.role, m.content] for m in e.prompt], "target": e.target, "finish": e.finish} for e in examples
    ]
    draft = path.with_suffix(".draft")
    draft.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    draft.replace(path)


def read_examples(path: Path) -> list[Example]:
    """The examples in a file."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Example(tuple(Message(*turn) for turn in row["messages"]), row["target"], row.get("finish", ENDED))
        for row in rows
    ]
