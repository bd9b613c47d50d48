"""The loop of the offline trainers: batches by the seed, a step, a charge, now and then a checkpoint.

A plain loop and not TRL's: SFTTrainer takes a loss of ours only with a second forward pass for its own figures, and
DPOTrainer takes none. That ours are equal to theirs is tested. Where several processes train, each reads its share of
a step's texts, and the gradients are added up.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TypeVar
from zipfile import is_zipfile

import torch
from torch import Tensor

from trueup.core.errors import BadInput
from trueup.train.everywhere import add_up, everywhere, in_turns
from trueup.train.failures import in_one_line, require_finite
from trueup.train.job import Job, Passes, Progress
from trueup.train.network import Trainee
from trueup.train.offline.own import demand_share
from trueup.train.offline.sharded import is_sharded, put_back, whole, whole_state
from trueup.train.profiles import is_main
from trueup.train.texts import Tokens

T = TypeVar("T")
CLIP = 1.0
WARM_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Course:
    """How long, how fast and how far a training goes; what every offline trainer lets a user set.

    `steps` of `batch` texts each; `lora_rank` 0 trains all weights.
    `kl` weighs the distance to the base on the texts trained on, `replay` is the share of texts that are the base's own
    answers to other strata. A checkpoint is written every `save_every` steps.
    """

    steps: int
    batch: int
    lr: float
    lora_rank: int
    kl: float
    replay: float
    save_every: int

    def __post_init__(self) -> None:
        """Raise BadInput where a number makes no sense."""
        for name in ("steps", "batch", "save_every"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} is {getattr(self, name)}; give at least 1")
        if not 0 < self.lr < 1:
            raise BadInput(f"lr is {self.lr}; give a learning rate above 0 and below 1")
        if not self.kl >= 0:
            raise BadInput(f"kl is {self.kl}; give a weight of 0 or more")
        demand_share(self.replay)


@dataclass(frozen=True, slots=True)
class Part:
    """The mean loss of some of a batch's texts, what it is a mean of, and means to be shown.

    `counts` says what a figure is a mean of where that is less than all of the texts.
    """

    loss: Tensor
    weight: int
    figures: Mapping[str, float]
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Objective(Generic[T]):
    """What is minimised: a loss of some texts, the tokens in each of them, and whether the reference reads them too."""

    part: Callable[[Sequence[T]], Part]
    weight: Callable[[T], int]
    tokens: Callable[[T], Sequence[Tokens]]
    asks_reference: bool = False


def fit(
    job: Job, trainee: Trainee, texts: Sequence[T], objective: Objective[T], course: Course,
    *, state: Path, first: int = 0, last: int | None = None,
) -> dict[str, float]:  # fmt: skip
    """Train for a course on these texts and return the last figures; goes on from the state that a killed run left.

    Where all steps are done in it, the figures are those that were kept with it. `first` is the number of the first
    step among all of a training's, `last` their number. No process begins before all have read the state, or returns.
    Raises BadInput where what they read differs or a loss is no number, Unavailable where memory or the disk runs out;
    the last checkpoint stays.
    """
    optimizer = torch.optim.AdamW(trainee.weights, lr=course.lr, weight_decay=0.0)
    done, figures = _restore(job, state, trainee, optimizer)
    if len({*everywhere([done])}) > 1:
        raise BadInput(f"processes have read different checkpoints at {str(state)!r}; run them all on one machine")
    kept = done

    def goes_on() -> str:
        return f"step {first + kept} is kept" if first + kept else "no checkpoint was kept yet"

    with in_one_line(job.out, goes_on), interrupts_wait() as is_interrupted:
        for step in range(done, course.steps):
            started = trainee.clock()
            picked = [texts[place] for place in picks(len(texts), course.batch, step, job.seed)]
            for group in optimizer.param_groups:
                group["lr"] = course.lr * _warmth(step, course.steps)
            figures = _step(trainee, optimizer, objective, picked, job.profile.rows)
            seconds = sum(everywhere([trainee.clock() - started]))
            _charge(job, trainee, objective, picked, first + step, seconds)
            job.watch(Progress(first + step + 1, last or course.steps, figures))
            require_finite(first + step + 1, figures, goes_on)
            ends = any(everywhere([is_interrupted()]))
            if (step + 1) % course.save_every == 0 or ends:
                _keep(state, step + 1, figures, whole_state(trainee.network, optimizer))
                kept = step + 1
            if ends:
                raise KeyboardInterrupt
    return figures


def picks(size: int, batch: int, step: int, seed: int) -> list[int]:
    """The texts of a step: every text once, in an order by the seed, before any comes again."""
    places = range(step * batch, (step + 1) * batch)
    orders = {epoch: _order(size, epoch, seed) for epoch in {place // size for place in places}}
    return [orders[place // size][place % size] for place in places]


def _order(size: int, epoch: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed((seed << 20) + epoch)
    order: list[int] = torch.randperm(size, generator=generator).tolist()
    return order


def _step(
    trainee: Trainee, optimizer: torch.optim.Optimizer, objective: Objective[T], picked: Sequence[T], rows: int
) -> dict[str, float]:
    """One update by the mean over the whole batch, however few rows go through a network at a time, in how many.

    Where it is cut all processes go through it as often, one that has no rows left for nothing.
    """
    optimizer.zero_grad(set_to_none=True)
    total, is_cut = sum(objective.weight(text) for text in picked), is_sharded(trainee.network)
    told: list[tuple[str, float, int]] = []
    for own in in_turns(picked, rows, alike=is_cut):
        part = objective.part(own or picked[:1])
        (part.loss * (part.weight / total if own else 0.0)).backward()  # type: ignore[no-untyped-call]
        told += _figures(part) if own else []
    if not is_cut:
        add_up(trainee.weights)
    figures = _means(everywhere(told))
    figures["grad_norm"] = float(whole(torch.nn.utils.clip_grad_norm_(trainee.weights, CLIP)))
    optimizer.step()
    return figures


def _figures(part: Part) -> list[tuple[str, float, int]]:
    """Each figure of a part with its name, and what it is a mean of."""
    means = [(name, mean, part.counts.get(name, part.weight)) for name, mean in part.figures.items()]
    return [("loss", float(part.loss.detach()), part.weight), *means]


def _means(told: Sequence[tuple[str, float, int]]) -> dict[str, float]:
    """One mean of each name, of all those that parts tell."""
    counts: Counter[str] = Counter()
    for name, _, count in told:
        counts[name] += count
    return {name: sum(mean * count for one, mean, count in told if one == name) / counts[name] for name in counts}


def _charge(
    job: Job, trainee: Trainee, objective: Objective[T], picked: Sequence[T], step: int, seconds: float
) -> None:
    """Book the step; the reference's part of its seconds by its part of the FLOPs."""
    texts = [tokens for text in picked for tokens in objective.tokens(text)]
    lengths = [len(text.ids) for text in texts]
    prompt, target = sum(text.start for text in texts), sum(text.targets for text in texts)
    spent = {"trained": trainee.trained_flops(lengths)}
    if objective.asks_reference:
        spent["reference"] = trainee.forward_flops(lengths)
    for kind, flops in spent.items():
        part = flops / max(1, sum(spent.values()))
        job.charge(Passes(kind, step, prompt, target, flops, seconds * part))


def _warmth(step: int, steps: int) -> float:
    """The learning rate grows over the first tenth, then stays."""
    return min(1.0, (step + 1) / max(1.0, WARM_SHARE * steps))


def _keep(state: Path, step: int, figures: Mapping[str, float], learnt: Mapping[str, Any]) -> None:
    """Write the state, which the main process has whole and the others have not."""
    if not is_main():
        return
    state.parent.mkdir(parents=True, exist_ok=True)
    draft = state.with_suffix(".draft")
    try:
        with draft.open("wb") as file:
            torch.save({"step": step, "figures": dict(figures), **learnt}, file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    draft.replace(state)


def _restore(job: Job, state: Path, trainee: Trainee, optimizer: torch.optim.Optimizer) -> tuple[int, dict[str, float]]:
    """The steps that were done and the last one's figures, which older states lack.

    None where nothing was kept, or it is damaged, which is told.
    """
    if not state.exists():
        return 0, {}
    if not is_zipfile(state):
        job.tell(f"the checkpoint {str(state)!r} is damaged; its steps are done again")
        return 0, {}
    table: dict[str, Any] = torch.load(state, weights_only=True, map_location="cpu", mmap=True)
    put_back(trainee.network, optimizer, table)
    return table["step"], table.get("figures", {})


@contextmanager
def interrupts_wait() -> Iterator[Callable[[], bool]]:
    """Let a step end before Ctrl-C is obeyed, so that weights are never kept half updated; a second one is at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGINT, before)
