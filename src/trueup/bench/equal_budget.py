"""Every method, and those of the peers, on the same recorded attempts.

Tokens are those a provider bills: the prompt of every call begun, and what was generated, cancelled calls included.
The bar: the default adaptive method is as accurate as a peer's vote of the whole budget, the first peer's that ran (it
loses less than half a point), for at most half the tokens of the cheapest fixed-budget peer that is as accurate, and
80 % of those of the cheapest adaptive one (`bars` says which these are where that is in doubt); and nowhere does a
peer lie above its curve. The best of several votes of
the same attempts is no reference: they differ by how their ties fall, and the best would be the luckiest.
Log-probabilities cost no tokens: where they are on record (they are of no simulated problem, which has no texts to
speak of) every method gets them, a peer's too. Rows of the family `bound` are no methods: they say how few tokens no
rule for stopping could do with, whatever it knows (`bounds`), and on simulated problems how few none does with that
must find out the answer, knowing all about the population (`optimum`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean

from trueup.arms import make_arm
from trueup.bench.bars import BARS, figures, verdicts
from trueup.bench.bounds import BOUND, oracles
from trueup.bench.field import METHOD, Field, pooled
from trueup.bench.frontier import Band, difference, intervals, lead, ratio
from trueup.bench.optimum import Optimum
from trueup.bench.peers.install import Peer
from trueup.bench.peers.recorded import RUNS, run_peer
from trueup.bench.population import POPULATIONS, SIMULATED, Population, record_population
from trueup.bench.recorded import SAMPLES, Recording, read_recordings
from trueup.bench.spent import Spent, spend
from trueup.catalog import names
from trueup.core.errors import BadInput, Unavailable
from trueup.core.settings import settings_of
from trueup.core.types import Json
from trueup.methods.stopping import measured_overhead
from trueup.plan import Resampler

ITEMS = 16_000
"""As many as tell a loss of a fifth of a point from one of half a point."""
BESIDE = 4000
"""Of the simulated ones, for our methods that the bar is not about."""
SEED = 101
"""None of those that the methods' defaults were chosen on."""
ORDERS = 20
"""In how many orders the attempts on record are drawn; those of one item are one cluster."""
OPTIMA = (SAMPLES, 48, 56)
"""The most attempts of the best rules for simulated problems; more than peers have, as ours may take more."""
RECORDED = Path("results/equal-budget/recorded.json.gz")
MAKE = f"python -m trueup.bench.record examples/votes {RECORDED}"
MOST = 128
"""Attempts that ours may take of a simulated problem: it stops by what they are worth, not by their number."""
SMALL = ("price=0.006 step=2", "price=0.003 step=2", "price=0.002 step=3", "price=0.001 step=3")
"""The least budgets where an attempt is longer than its prompt; chosen on these populations with other seeds."""
SMALL_VOTES = (2, 3, 4, 6, 8)
"""And where it is shorter: votes of one call."""
PRICES = (0.003, 0.001, 0.0005, 0.00015, 0.0001)
VOTES = (2, 3, 4, 6, 8, 12, 16, 24, 32, SAMPLES)
OURS = "ours"
POOLED, UNSEEN = "all tasks", "all tasks, items that no rule was chosen on"
LOOKED_AT = 80
"""So many of each task had been looked at, or might have been, while the default method was made."""
OTHER_BUDGETS = (8, SAMPLES)
SHARED_BUDGETS = (8, 16)
"""A problem on average, of methods that share one over a batch: none takes more of a problem than is on record."""
IDLE = "it asks for no attempt at any of these problems"


def curve_of(depth: int, overhead: float = 0.0) -> list[str]:
    """The default adaptive method at many budgets, at last as it ships but for its n.

    `overhead` is the length of a prompt over that of an attempt.
    """
    n = min(MOST, depth)
    small = [f"n={k} step={k}" for k in SMALL_VOTES] if overhead > 1 else [f"n={n} {words}" for words in SMALL]
    prices = [f"n={n} price={price}" for price in PRICES]
    return [f"{METHOD} {words}" for words in ("n=1", *small, *prices, f"n={n}")]


def equal_budget(
    *,
    items: int = ITEMS,
    peers: Sequence[Peer] = tuple(RUNS),
    recorded: Path = RECORDED,
    seed: int = SEED,
    workers: int | None = None,
) -> list[dict[str, Json]]:
    """A summary row per population and task, then a row per system on each; a worker takes a population at a time."""
    sources: list[Population | str] = [*POPULATIONS, *_strata(recorded)]
    run = partial(_field_of, items=items, peers=peers, recorded=recorded, seed=seed)
    crew = min(len(sources), workers or os.cpu_count() or 1)
    if crew == 1:
        fields = list(map(run, sources))
    else:
        with ProcessPoolExecutor(crew, mp_context=get_context("spawn")) as pool:
            fields = list(pool.map(run, sources))
    tasks = [one for one in fields if one.model != SIMULATED]
    judged = [judge(one, seed) for one in [*fields, *together(tasks)]]
    missing = {"system": "embedded model", "skipped": f"no {recorded}; make it with `{MAKE}`"}
    return [
        *(summary for summary, _ in judged),
        *([] if tasks else [missing]),
        *(row for _, rows in judged for row in rows),
    ]


def field(recording: Recording, peers: Sequence[Peer], bounds: Sequence[Spent] = ()) -> Field:
    """Run every system on a recording."""
    curve = [spend(make_arm(arm), OURS, recording.cases) for arm in curve_of(recording.depth, _overhead(recording))]
    systems, skipped, whole = [*curve, *bounds], {}, recording.first(SAMPLES)
    for peer in peers:
        try:
            systems += run_peer(peer, whole)
        except Unavailable as error:
            skipped[peer.name] = str(error)
    few = whole.cases[:BESIDE] if recording.model == SIMULATED else whole.cases
    beside, left_out = _others(replace(whole, cases=few))
    clusters = [case.cluster for case in recording.cases]
    return Field(recording.name, recording.model, clusters, systems, skipped, beside, left_out)


def together(tasks: Sequence[Field]) -> list[Field]:
    """All tasks as one, and what no rule was chosen on, where every task has such items."""
    unseen = [task.since(LOOKED_AT) for task in tasks]
    is_known = bool(tasks) and all(one.clusters for one in unseen)
    return [*([pooled(POOLED, tasks)] if tasks else []), *([pooled(UNSEEN, unseen)] if is_known else [])]


def judge(field: Field, seed: int = SEED) -> tuple[dict[str, Json], list[dict[str, Json]]]:
    """The bar's verdicts on a field, and a row per system."""
    draws = Resampler.of(field.clusters, seed=seed, name=field.name)
    rivals = [system for system in field.systems if system.family in BARS]
    leads = dict(zip((rival.system for rival in rivals), lead(field.curve, rivals, draws), strict=True))
    pairs = {rival.system: _pair(field.curve[-1], rival, leads[rival.system], draws) for rival in rivals}
    about = {"population": field.name, "model": field.model, "n": len(field.clusters), "items": draws.weights.shape[1]}
    summary = about | {"skipped": list(field.skipped)} | verdicts(field, rivals, leads, draws)
    skipped = [{"system": name, "skipped": why} for name, why in {**field.skipped, **field.left_out}.items()]
    rows = [
        _row(system, *bands) | pairs.get(system.system, {})
        for system, bands in zip(field.systems, intervals(field.systems, draws), strict=True)
    ]
    known = [{"system": name, "family": BOUND, **asdict(least)} for name, least in field.least.items()]
    return summary, [about | row for row in [*skipped, *rows, *known]] + _rows_beside(field, about, seed)


def _pair(ours: Spent, rival: Spent, ahead: Band, draws: Resampler) -> dict[str, float]:
    """How the curve and its last point stand to a rival."""
    gain, tokens = difference(ours, rival, draws), ratio(ours, rival, draws)
    return {**figures("lead", ahead), **figures("gain", gain), **figures("ratio", tokens)}


def _rows_beside(field: Field, about: Mapping[str, Json], seed: int) -> list[dict[str, Json]]:
    if not field.beside:
        return []
    draws = Resampler.of(field.clusters[: len(field.beside[0].right)], seed=seed, name=field.name)
    sizes = {"n": len(draws.codes), "items": draws.weights.shape[1]}
    bands = intervals(field.beside, draws)
    return [{**about, **sizes, **_row(one, *pair)} for one, pair in zip(field.beside, bands, strict=True)]


def _strata(recorded: Path) -> list[str]:
    return [recording.name for recording in read_recordings(recorded)] if recorded.exists() else []


def _field_of(source: Population | str, *, items: int, peers: Sequence[Peer], recorded: Path, seed: int) -> Field:
    """A population, or a stratum of the recordings by its name, in as many orders."""
    if isinstance(source, Population):
        recording = record_population(source, items, seed, MOST)
        least = {f"optimal stop of {n}": Optimum(source, n).least_of_vote(SAMPLES) for n in OPTIMA}
    else:
        plain = next(one for one in read_recordings(recorded) if one.name == source)
        recording, least = plain.reordered(ORDERS, seed), {}
    return replace(field(recording, peers, oracles(recording.cases, SAMPLES)), least=least)


def _overhead(recording: Recording) -> float:
    return fmean(measured_overhead(case.attempts) for case in recording.cases)


def _others(recording: Recording) -> tuple[list[Spent], dict[str, str]]:
    """Every other method that needs nothing but attempts, or grades of them; and why the rest cannot be replayed."""
    found: list[Spent] = []
    left_out: dict[str, str] = {}
    for arms in _other_arms(recording.depth):
        for arm in arms:
            try:
                spent = spend(make_arm(arm), OURS, recording.cases)
            except BadInput as error:
                left_out[f"trueup {arm}"] = str(error)
                break
            if not spent.calls.any():
                left_out[spent.system] = IDLE
                break
            found.append(spent)
    return found, left_out


def _other_arms(depth: int) -> Iterator[list[str]]:
    """The arms of each method, by their budgets from the smallest; what asks another model asks the one on record."""
    for name, maker in names("methods").items():
        known = settings_of(maker)
        if name == METHOD:
            continue
        if "budget" in known:
            yield [f"{name} budget={budget} n={depth}" for budget in SHARED_BUDGETS]
        elif "n" in known:
            own = " to=" if "to" in known else ""
            yield [f"{name} n={n}{own}" for n in (VOTES if name == "vote" else OTHER_BUDGETS)]
        else:
            yield [name]


def _row(spent: Spent, accuracy: Band, tokens: Band) -> dict[str, Json]:
    return {
        "system": spent.system,
        "family": spent.family,
        **figures("accuracy", accuracy),
        **figures("tokens", tokens),
        "prompt_tokens": float(spent.prompt_tokens.mean()),
        "completion_tokens": float(spent.completion_tokens.mean()),
        "calls": float(spent.calls.mean()),
    }
