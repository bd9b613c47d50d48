"""A teacher, a small model, and each way of teaching it calls: trained, asked, looked at.

Pre-training is a web in small: the same requests, answered by authors of other habits too, so that the base has wrong
forms from them and wrong contents from its own size. The teacher is larger, and then taught right calls alone; it
errs all the same. Pretrained, both begin as the same weights: the teacher is ahead by what it was taught. Its right
samples are what the small model learns from, its wrong ones the negatives.
Axes: B row, P prompt token, T token, M item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.calling_corpus import web
from trueup.claims.calling_lessons import KEPT, Lessons, Sampled, lessons_of, sample
from trueup.claims.calling_seen import KINDS, Seen
from trueup.claims.chains import HELD_OUT
from trueup.claims.pieces import Pieces
from trueup.claims.start import SCRATCH, Start, Trained, kept, laboratory, weights_of
from trueup.core.types import Json

if TYPE_CHECKING:
    from trueup.train.laboratory import Examples, Recipe, Spent, Transformer
    from trueup.train.laboratory.decoder import Decoder
    from trueup.train.laboratory.preferences import Preferences
    from trueup.train.laboratory.tasks.calls import Calls

Tokens = NDArray[np.int64]

WARMUP_STEPS = 10
LOOKS = 6
"""How often training is looked at."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large the models, their training and the trial are.

    The teacher samples `attempts` calls for each of `requests`; a way of teaching takes `steps` of `rows` completions,
    or twice that, at each of its learning rates, of which the requests kept aside choose one: `sft_rates` for imitation
    from the base, `second_sft_rates` for more of it behind that, `dpo_rates` for pairs. The trial is on `items` others,
    of one to `most` operators in equal parts. `small` and `large` are widths from scratch.
    """

    most: int
    small: int
    large: int
    web_steps: int
    teacher_steps: int
    requests: int
    attempts: int
    steps: int
    items: int
    rows: int = 64
    lr: float = 4e-3
    sft_rates: Sequence[float] = (4e-3, 8e-3, 1.6e-2, 3.2e-2, 6.4e-2)
    second_sft_rates: Sequence[float] = (1e-3, 4e-3, 1.6e-2, 3.2e-2, 6.4e-2)
    dpo_rates: Sequence[float] = (1e-7, 1e-6, 1e-5, 1e-4)
    beta: float = 0.1
    start: Start = SCRATCH

    @property
    def task(self) -> Calls:
        """The requests."""
        laboratory()
        from trueup.train.laboratory.tasks.calls import Calls

        return Calls(self.most)

    def problems(self, count: int, seed: int) -> Tokens:
        """So many requests, those of each length in equal parts and one after the other."""
        rng, task = np.random.default_rng(seed), self.task
        counts = [len(part) for part in np.array_split(np.arange(count), self.most)]
        return np.concatenate([task.prompts(rng, k, dial) for dial, k in enumerate(counts, 1)])


@dataclass(frozen=True, slots=True)
class Run:
    """A trained copy, what that took, and where the log-probabilities of pairs kept aside went."""

    model: Transformer
    spent: Spent
    path: list[list[float]]


@dataclass(frozen=True)
class Trial:
    """One seed's models and lessons, made when first asked for (hence without slots)."""

    size: Size
    seed: int
    first: int
    pieces: Pieces

    @cached_property
    def items(self) -> Tokens:
        """The test items, the same in every seed."""
        return self.size.problems(self.size.items, HELD_OUT + self.first)

    @cached_property
    def base(self) -> Trained:
        """The small model behind pre-training."""
        return self._pretrain("base", self.size.small, 0)

    @cached_property
    def teacher(self) -> Trained:
        """The large model, which was shown right calls alone after pre-training."""
        return self._pretrain("teacher", self.size.large, self.size.teacher_steps)

    @cached_property
    def taught(self) -> Transformer:
        """The base behind SFT."""
        return weights_of(self.taught_file, self.size.start.device)

    @cached_property
    def samples(self) -> Sampled:
        """The teacher's."""
        return self._sample(self.teacher.model)

    @cached_property
    def lessons(self) -> Lessons:
        """Of the teacher alone."""
        return lessons_of(self.size.task, self.samples, self.samples, self.seed)

    def own_lessons(self) -> Lessons:
        """With negatives of the model itself, as it is behind SFT; pairs kept aside stay the teacher's."""
        lessons = lessons_of(self.size.task, self.samples, self._sample(self.taught), self.seed)
        return replace(lessons, kept=self.lessons.kept)

    def look(self, model: Decoder, **costs: Json) -> Seen:
        """A model on the test items."""
        room, task, most = laboratory(), self.size.task, self.size.task.longest(self.size.most)
        from trueup.train.laboratory.constrained import Constrained
        from trueup.train.laboratory.tasks.calls import grammars

        free = room.greedy(model, self.items, most=most)
        held = room.greedy(Constrained(model, grammars()), self.items, most=most)
        drawn = room.generate(model, self.items, most=most, seed=self.seed)
        free_M, held_M, drawn_M = (_numbers(task.faults(self.items, out.tokens_BT)) for out in (free, held, drawn))
        flops = room.sampling_flops(model, self.items.shape[1], free.lengths, prompts=len(self.items))
        each = flops / len(self.items)
        return Seen(free_M, held_M, drawn_M, float(free.lengths.mean()), each, **costs)

    def imitate(
        self, begin: Transformer, texts: Examples, steps: int, *, rates: Sequence[float], file: Path | None = None
    ) -> Seen:
        """Train copies on texts and look at the best; with a file its weights stay there."""
        from trueup.train.laboratory.examples import resampled

        draw = resampled(texts)

        def run(rate: float) -> Run:
            model = deepcopy(begin)
            path, watch = _follow(model, self.lessons.kept, steps)

            def watched(rng: np.random.Generator, n: int) -> Examples:
                watch()
                return draw(rng, n)

            spent = laboratory().train(model, watched, self._recipe(steps, self.size.rows, rate))
            watch()
            return Run(model, spent, path)

        best, tried = self._best(rates, run)
        if file is not None:
            laboratory().save_model(best.model, file)
        return self.look(best.model, **tried, **_costs(best.spent, self.lessons, 0), path=best.path)

    def prefer(
        self, begin: Transformer, lessons: Lessons, steps: int, *, rates: Sequence[float], nll: float = 0.0
    ) -> Seen:
        """Train copies on pairs and look at the best; a step has as many completions as one of imitation."""
        from trueup.train.laboratory.preferences import reference_flops, train_dpo

        def run(rate: float) -> Run:
            model = deepcopy(begin)
            path, watch = _follow(model, lessons.kept, steps)
            recipe = self._recipe(steps, self.size.rows // 2, rate)
            spent = train_dpo(model, begin, lessons.pairs, recipe, beta=self.size.beta, nll=nll, watch=watch)
            watch()
            return Run(model, spent, path)

        best, tried = self._best(rates, run)
        costs = _costs(best.spent, lessons, reference_flops(begin, lessons.pairs))
        return self.look(best.model, **tried, **costs, negatives=lessons.negatives, path=best.path)

    def _best(self, rates: Sequence[float], run: Callable[[float], Run]) -> tuple[Run, dict[str, Json]]:
        """The run that succeeds most on the requests kept aside, and what was tried; the others are charged apart."""
        runs = {rate: run(rate) for rate in rates}
        pilots = {rate: self._pilot(one.model) for rate, one in runs.items()} if len(rates) > 1 else {}
        best = max(pilots, key=lambda rate: pilots[rate][0]) if pilots else rates[0]
        tuning = sum(one.spent.flops for rate, one in runs.items() if rate != best)
        tuning += sum(flops for _, flops in pilots.values())
        tried = [[rate, success] for rate, (success, _) in pilots.items()]
        return runs[best], {"rate": best, "tried": tried, "tuning_flops": float(tuning)}

    def _pilot(self, model: Transformer) -> tuple[float, int]:
        """Its success on the requests kept aside, and the FLOPs of that."""
        room, task, size = laboratory(), self.size.task, self.size
        asked_BP = self.samples.prompts_MP[::KEPT]
        out = room.greedy(model, asked_BP, most=task.longest(size.most))
        flops = room.sampling_flops(model, asked_BP.shape[1], out.lengths, prompts=len(asked_BP))
        return float(task.check(asked_BP, out.tokens_BT).mean()), flops

    @property
    def taught_file(self) -> Path:
        """Where the weights behind SFT are."""
        return self.pieces.file(f"seed{self.seed}-taught.pt")

    def _recipe(self, steps: int, rows: int, lr: float) -> Recipe:
        recipe: Recipe = laboratory().Recipe(steps, rows, lr, warmup_steps=WARMUP_STEPS, seed=self.seed + 1)
        return recipe

    def _sample(self, model: Transformer) -> Sampled:
        size = self.size
        asked_MP = size.problems(size.requests, 2 * HELD_OUT + self.seed)
        return sample(size.task, model, asked_MP, size.attempts, HELD_OUT + self.seed)

    def _pretrain(self, name: str, width: int, teaching_steps: int) -> Trained:
        files = self.pieces.file(f"seed{self.seed}-{name}")
        return kept(self.size.start, files, lambda: self._pretrained(files, width, teaching_steps))

    def _pretrained(self, files: Path, width: int, teaching_steps: int) -> Trained:
        room, size = laboratory(), self.size
        from trueup.train.laboratory.tasks import source_of

        model, spent = size.start.model(width=width, context=9 * size.most + 16, seed=self.seed), room.Spent()
        right = source_of(size.task, range(1, size.most + 1))
        stages = ((web(size.task), size.web_steps), (right, teaching_steps))
        for number, (source, steps) in enumerate(stages):
            if steps:
                recipe = room.Recipe(steps, size.rows, size.lr, seed=self.seed)
                file = None if size.start.weights else files.with_name(f"{files.name}-{number}.pt")
                spent += room.train(model, source, recipe, checkpoint=file)
        return Trained(model, spent.flops)


def _costs(spent: Spent, lessons: Lessons, reference: int) -> dict[str, Json]:
    return {
        "gradient_tokens": spent.tokens, "training_flops": float(spent.flops - reference),
        "reference_flops": float(reference), "sampled_tokens": lessons.sampled_tokens,
        "sampling_flops": lessons.sampling_flops,
    }  # fmt: skip


def _follow(model: Transformer, kept: Preferences, steps: int) -> tuple[list[list[float]], Callable[[], None]]:
    """Where the log-probabilities of the pairs kept aside have gone, and what is to be called before each step."""
    from trueup.train.laboratory.preferences import log_probabilities

    path: list[list[float]] = []
    looks, step = {round(steps * i / LOOKS) for i in range(LOOKS + 1)}, 0

    def watch() -> None:
        nonlocal step
        if step in looks and len(kept):
            sides = (log_probabilities(model, side) for side in (kept.chosen, kept.rejected))
            path.append([step, *(float(logp_B.mean()) for logp_B in sides)])
        step += 1

    return path, watch


def _numbers(faults: Sequence[str]) -> Tokens:
    return np.array([KINDS.index(fault) for fault in faults], np.int64)
