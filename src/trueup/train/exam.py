"""A model before and after its training, on items that it was not trained on.

Every item weighs the same; intervals are the cluster bootstrap's, and the difference is taken item by item. Cost: n
samples and a check an item, as many again for the second turn; one pass of both models over the held texts for the
distance. All of it is charged as evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from trueup.core.asks import Sample
from trueup.core.stratum import Stratum
from trueup.core.types import Json
from trueup.methods.revise import ask_again
from trueup.models.huggingface.network import UNBOUNDED
from trueup.plan.estimate import Column
from trueup.plan.resample import Resampler
from trueup.run import Clerk, Tab
from trueup.train.ask import Asker, Graded, NothingSampled, graded
from trueup.train.books import EVALUATION
from trueup.train.form import Grades, form_of
from trueup.train.job import Passes
from trueup.train.losses import kl_loss
from trueup.train.network import load
from trueup.train.offline.own import Trace, as_said
from trueup.train.texts import CUT, Tokens, batch_of, tokens_of

T = TypeVar("T")
ROWS = 8


@dataclass(frozen=True, slots=True)
class Sitting:
    """One model's attempts at a stratum's items; where it was asked again, the second turn stands beside each."""

    stratum: Stratum
    attempts: tuple[tuple[Graded, ...], ...]
    traces: tuple[tuple[Trace, ...], ...] = ()

    @property
    def first(self) -> Column:
        """The share of right first attempts, an entry an item; NaN where none came."""
        return np.array([_share([one.grade.is_right for one in item]) for item in self.attempts])

    @property
    def second(self) -> Column:
        """The share of right second turns."""
        return np.array([_share([trace.second.grade.is_right for trace in item]) for item in self.traces])

    @property
    def grades(self) -> dict[str, Grades]:
        """Every attempt's grade, by turn."""
        told: dict[str, Grades] = {"first_turn": [[one.grade for one in item] for item in self.attempts]}
        if self.traces:
            told["second_turn"] = [[trace.second.grade for trace in item] for item in self.traces]
        return told

    def at(self, places: Sequence[int]) -> Sitting:
        """What of it was at the items in these places."""
        stratum = replace(self.stratum, items=_some(self.stratum.items, places))
        return Sitting(stratum, _some(self.attempts, places), _some(self.traces, places) if self.traces else ())

    def turns(self, is_so: Callable[[Trace], bool]) -> float:
        """The share of traces of which something is so."""
        return _share([is_so(trace) for item in self.traces for trace in item])


def sit(asker: Asker, folder: Path, stratum: Stratum, n: int, *, turns: int, what: str) -> Sitting:
    """Ask the model in a folder n attempts an item, and with two turns to revise each."""

    async def work(clerk: Clerk, tab: Tab) -> tuple[tuple[Graded, ...], tuple[Trace, ...]]:
        first = await graded(clerk, tab, Sample(tab.item.problem.prompt, n, kind=EVALUATION), kind=EVALUATION)
        traces = []
        for one in first if turns == 2 else ():
            ask = Sample(ask_again(one.prompt, one.attempt.text), 1, one.attempt.index, kind=EVALUATION)
            (second,) = await graded(clerk, tab, ask, kind=EVALUATION)
            traces.append(Trace(one, second))
        return tuple(first), tuple(traces)

    found = asker.each(folder, stratum, work, what)
    nothing: tuple[tuple[Graded, ...], tuple[Trace, ...]] = ((), ())
    both = [item if item is not None else nothing for item in found]
    return Sitting(stratum, tuple(a for a, _ in both), tuple(t for _, t in both) if turns == 2 else ())


def together(sittings: Sequence[Sitting], name: str) -> Sitting:
    """One model's first attempts at all of some strata under one name, every item weighing the same."""
    items = [
        replace(item, cluster=f"{one.stratum.name}/{item.cluster}") for one in sittings for item in one.stratum.items
    ]
    stratum = replace(sittings[0].stratum, name=name, items=tuple(items))
    return Sitting(stratum, tuple(attempts for one in sittings for attempts in one.attempts))


def compared(before: Sitting, after: Sitting, *, seed: int) -> dict[str, Json]:
    """Accuracy before and after with intervals, the paired difference, form and content; of the second turn too.

    All of the items that were attempted both times; raises NothingSampled where there is none.
    """
    before, after = _both(before, after)
    draws = Resampler.of([item.cluster for item in before.stratum.items], seed=seed, name=before.stratum.name)
    told: dict[str, Json] = {
        "items": len(before.stratum.items),
        "attempts": max((len(item) for item in before.attempts), default=0),
        "first_turn": _against(draws, before.first, after.first),
        "form": {turn: form_of(draws, grades, after.grades[turn]) for turn, grades in before.grades.items()},
    }
    if before.traces:
        told["second_turn"] = _against(draws, before.second, after.second)
        told["correction"] = {"before": _correction(draws, before), "after": _correction(draws, after)}
    return told


def _both(before: Sitting, after: Sitting) -> tuple[Sitting, Sitting]:
    """The sittings at the items that have attempts in each; raises NothingSampled where there is none."""
    places = [place for place, pair in enumerate(zip(before.attempts, after.attempts, strict=True)) if all(pair)]
    if not places:
        told = f"no item of {before.stratum.name!r} was answered both before and after the training"
        raise NothingSampled(f"{told}; failures.jsonl says why, run again to ask anew")
    return before.at(places), after.at(places)


def _some(row: Sequence[T], places: Sequence[int]) -> tuple[T, ...]:
    return tuple(row[place] for place in places)


def distance(
    base: Path, trained: Path, sittings: Sequence[Sitting], *, device: str, template: str,
    charge: Callable[[Passes], None],
) -> dict[str, Json]:  # fmt: skip
    """Mean KL(trained || base) in nats a token on what the base wrote, first attempts, by stratum."""
    networks = {
        folder: load(folder, device=device, dtype="float32", lora_rank=0, template=template, seed=0)
        for folder in (base, trained)
    }
    told: dict[str, Json] = {}
    for number, sitting in enumerate(sittings):
        started = networks[base].clock()
        said = [as_said(item[0]) for item in sitting.attempts if item]
        texts = [
            tokens_of(one, networks[base].vocabulary, UNBOUNDED) for one in said if one.target or one.finish != CUT
        ]
        if not texts:
            continue
        sums = [_kl(networks[base].network, networks[trained].network, some, networks[base].device)
                for some in (texts[at : at + ROWS] for at in range(0, len(texts), ROWS))]  # fmt: skip
        tokens = sum(text.targets for text in texts)
        told[sitting.stratum.name] = {"kl": sum(sums) / tokens, "texts": len(texts), "tokens": tokens}
        seconds = networks[base].clock() - started
        flops = sum(network.forward_flops([len(text.ids) for text in texts]) for network in networks.values())
        charge(Passes(EVALUATION, number, 2 * sum(text.start for text in texts), 2 * tokens, flops, seconds))
    return told


@torch.no_grad()
def _kl(base: torch.nn.Module, trained: torch.nn.Module, texts: Sequence[Tokens], device: torch.device) -> float:
    """The summed KL of a few texts' target tokens."""
    batch = batch_of(texts, 0, device)
    ours, theirs = (
        network(input_ids=batch.ids_BT, attention_mask=batch.attended_BT, use_cache=False).logits.float()
        for network in (trained, base)
    )
    return float(kl_loss(ours, theirs, batch.mask_BT)) * int(batch.mask_BT.sum())


def _against(draws: Resampler, before: Column, after: Column) -> dict[str, Json]:
    low, high = draws.difference(after, before)
    return {
        "before": {"accuracy": float(np.nanmean(before)), "ci95": list(draws.mean(before))},
        "after": {"accuracy": float(np.nanmean(after)), "ci95": list(draws.mean(after))},
        "difference": {"points": 100 * float(np.nanmean(after - before)), "ci95": [100 * low, 100 * high]},
    }


def _correction(draws: Resampler, sitting: Sitting) -> dict[str, Json]:
    """What became of the first attempts: how many were changed, mended, spoilt."""
    low, high = draws.difference(sitting.second, sitting.first)
    return {
        "edited": sitting.turns(lambda t: t.first.attempt.text != t.second.attempt.text),
        "wrong_to_right": sitting.turns(lambda t: t.second.grade.is_right and not t.first.grade.is_right),
        "right_to_wrong": sitting.turns(lambda t: t.first.grade.is_right and not t.second.grade.is_right),
        "points": 100 * float(np.nanmean(sitting.second - sitting.first)),
        "ci95": [100 * low, 100 * high],
    }


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else float("nan")
