"""Taking a step back against appending, beams, trees and fresh starts, on a model.

Each method works alone, with an engine and a ledger of its own, item after item, so that what its engine finds in the
KV cache is what that method itself has left there: on deletion the cache is cropped to what stands. A true token is one
that the model read or wrote: the prompts less what was in the cache, and the texts. The examples before every question
are read once, before the first item, and are in nobody's count. What a provider would bill, with every prompt in full,
stands beside it, and so do the critic's calls and seconds.

Methods are compared on the same items at equal true tokens: the richer of two is held to a cap per item, at which it
takes as many as the poorer on average, and what it had not answered by then is wrong. What goes one step after another
can be held so. A beam or a sample has its budget in its size and is taken as it is: deletion is held to it, and where
deletion is the poorer one the difference is at unequal tokens, which the row shows.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from trueup.arms import make_arm
from trueup.bench.lists import FAMILIES, list_stratum
from trueup.core.charge import Total
from trueup.core.cost import Prices
from trueup.core.errors import Unavailable
from trueup.core.ledger import Ledger
from trueup.core.outcome import Outcome
from trueup.core.roles import Model
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Json
from trueup.models import SMOLLM2, HuggingFace
from trueup.models.weights import Weights
from trueup.plan import Resampler
from trueup.plan.estimate import Column
from trueup.plan.paired import paired
from trueup.run import Clerk, Job, run_job

ITEMS = 40
ROWS = {"beam_search": 4, "best_of_n": 4, "tree_search": 4}
"""Attempts that an engine samples side by side, and conversations that it keeps; one where a method draws one."""
DELETION = "retract n=48"
ARMS = (
    DELETION,
    "retract n=16 delete=False",
    "retract n=16 patience=1",
    "reset_and_discard n=8",
    "tree_search n=24",
    "beam_search n=8 width=4 depth=6",
    "beam_search n=4 width=2 depth=6",
    "best_of_n n=8",
    "once",
)
"""Deletion has steps enough to be held to the tokens of any other; append-only reads so much that 16 outlast them.

With patience=1 a rejected step starts the turn afresh, and the beginning it was behind is not taken again.
"""
SIZED = ("beam_search", "best_of_n", "once")
CAPS = (25, 50, 75, 100, 150, 200)
MEANS = ("true_tokens", "billed_tokens", "asks", "ratings", "critic_seconds", "seconds")
SEED = 7


@dataclass(frozen=True, slots=True)
class Spending:
    """One method on one item: whether it was right, and what its ledger says that it took."""

    item: str
    right: bool
    true_tokens: int
    billed_tokens: int
    asks: int
    ratings: int
    critic_seconds: float
    seconds: float
    note: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One method on all items of a family, which come in the same order to every method."""

    family: str
    system: str
    spendings: tuple[Spending, ...]

    @property
    def right(self) -> Column:
        """1 for right, 0 for wrong, per item."""
        return np.array([spending.right for spending in self.spendings], float)

    @property
    def tokens(self) -> Column:
        """True tokens per item."""
        return np.array([spending.true_tokens for spending in self.spendings], float)

    @property
    def is_sized(self) -> bool:
        """Whether its settings are its budget, and it is not to be stopped midway."""
        return self.system.split()[0] in SIZED

    def held(self, cap: float) -> Column:
        """What is right where no item may take more tokens than the cap."""
        return self.right * (self.tokens <= cap)


def retraction(
    *,
    items: int = ITEMS,
    families: Sequence[str] = tuple(FAMILIES),
    arms: Sequence[str] = ARMS,
    weights: Weights | str = SMOLLM2,
    workers: int | None = None,
) -> list[dict[str, Json]]:
    """Deletion against every other method, a row per family and rival, then a row per family and method."""
    try:
        _engine(weights)
    except Unavailable as error:
        return [{"system": DELETION, "skipped": str(error)}]
    jobs = [(list_stratum(family, items), make_arm(arm), weights) for family in families for arm in arms]
    workers = workers or len(os.sched_getaffinity(0))
    if workers == 1:
        trials = [try_alone(*job) for job in jobs]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            trials = list(pool.map(try_alone, *zip(*jobs, strict=True)))
    own = {trial.family: trial for trial in trials if trial.system == DELETION}
    rivals = [trial for trial in trials if trial.family in own and trial.system != DELETION]
    return [*(compare(own[rival.family], rival) for rival in rivals), *(row(trial) for trial in trials)]


async def run_trial(model: Model, stratum: Stratum, arm: Arm, ledger: Path) -> Trial:
    """One method on every item of a stratum, by a model that has read the examples; the model is closed.

    What came to nothing, as where a text outgrows the context, is wrong and says why.
    """
    spendings, first = [], stratum.items[0].problem
    try:
        await model.sample(first.prompt[:-1], 1, 0, replace(first.sampling, max_tokens=1))
        with Ledger(ledger) as book:
            clerk, known = Clerk(model, book, Prices("bench", Decimal(0))), _by_kind(book)
            for item in stratum.items:
                outcome = await run_job(Job(stratum, item, arm), clerk)
                assert isinstance(outcome, Outcome)
                before, known = known, _by_kind(book)
                spendings.append(_spending(outcome, before, known))
    finally:
        await model.close()
    return Trial(stratum.name, arm.label, tuple(spendings))


def compare(ours: Trial, rival: Trial) -> dict[str, Json]:
    """Deletion and a rival on the same items at equal true tokens."""
    level = min(ours.tokens.mean(), rival.tokens.mean())
    columns, tokens = [], []
    for trial in (ours, rival):
        cap = np.inf if trial.is_sized else cap_at(trial.tokens, level)
        columns.append(trial.held(cap))
        tokens.append(float(np.minimum(trial.tokens, cap).mean()))
    found = paired(columns[0] > 0, columns[1] > 0)
    low, high = found.ci95
    return {
        "system": ours.system,
        "family": ours.family,
        "against": rival.system,
        "n": found.n,
        "true_tokens": tokens[0],
        "against_true_tokens": tokens[1],
        "accuracy": float(columns[0].mean()),
        "against_accuracy": float(columns[1].mean()),
        "difference": found.difference,
        "difference_low": low,
        "difference_high": high,
        "p": found.p,
        "verdict": "more right" if low > 0 else "fewer right" if high < 0 else "open",
    }


def cap_at(tokens: Column, level: float) -> float:
    """The cap per item that holds the mean to `level`; infinite where it is no higher anyway.

    With the k smallest of n below it, the others at it: their sum + (n - k) cap = n level.
    """
    if tokens.mean() <= level:
        return np.inf
    ordered = np.sort(tokens)
    n, k = len(ordered), np.arange(len(ordered))
    caps = (n * level - (np.cumsum(ordered) - ordered)) / (n - k)
    return float(caps[np.argmax(caps <= ordered)])


def row(trial: Trial) -> dict[str, Json]:
    """A method's figures, what it would have had right under caps of true tokens, and every item."""
    draws = Resampler.of([spending.item for spending in trial.spendings], seed=SEED, name=trial.family)
    low, high = draws.mean(trial.right)
    means = {name: float(np.mean([getattr(one, name) for one in trial.spendings])) for name in MEANS}
    return {
        "system": trial.system,
        "family": trial.family,
        "n": len(trial.spendings),
        "accuracy": float(trial.right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        **means,
        **({} if trial.is_sized else {f"accuracy_at_{cap}": float(trial.held(cap).mean()) for cap in CAPS}),
        "items": [[s.item, int(s.right), s.true_tokens, s.billed_tokens, s.asks, s.note] for s in trial.spendings],
    }


def try_alone(stratum: Stratum, arm: Arm, weights: Weights | str) -> Trial:
    """A trial on an engine and a ledger of its own."""
    with TemporaryDirectory() as folder:
        return asyncio.run(run_trial(_engine(weights, arm.method), stratum, arm, Path(folder) / "ledger.sqlite"))


def _engine(weights: Weights | str, method: str = "") -> HuggingFace:
    return HuggingFace(weights, rows=ROWS.get(method, 1), threads=1, keep_cache=True)


def _by_kind(book: Ledger) -> Mapping[str, Total]:
    return {total.kind: total for total in book.totals()}


def _spending(outcome: Outcome, before: Mapping[str, Total], after: Mapping[str, Total]) -> Spending:
    """What the ledger has more than before."""

    def more(kind: str, column: str) -> int:
        then = before.get(kind)
        return int(getattr(after[kind], column)) - (int(getattr(then, column)) if then else 0) if kind in after else 0

    prompt, completion = more("sampled", "prompt_tokens"), more("sampled", "completion_tokens")
    critic = (more("rated", "micros") + more("check", "micros")) / 1e6
    return Spending(
        item=outcome.item.problem.id,
        right=outcome.grade.is_right,
        true_tokens=prompt - more("sampled", "cached_tokens") + completion,
        billed_tokens=prompt + completion,
        asks=outcome.cost.calls,
        ratings=more("rated", "charges"),
        critic_seconds=critic,
        seconds=more("sampled", "micros") / 1e6 + critic,
        note=outcome.answer.note if outcome.answer else outcome.failure or "",
    )
