"""Whether a model that answers at once iterates inside, or matches what it has seen.

Bernier et al. 2026, arXiv:2603.23004: language models keep the bounds of an optimal power flow and miss its equations,
at every size and after fine-tuning, as if they matched templates. No probe was published. Here on box-constrained
quadratic programs and three-bus DC power flows of two unknowns, whose text is as long however many Gauss-Seidel sweeps
the solution takes. Departure from a plain reading of "constraint satisfaction": equations and limits are scored apart,
since their mean sits near a half where all limits and no equations hold. Chosen on a seed that is not among the
verdict's (100).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trueup.claims.gap import Difference
from trueup.claims.latent_found import MARGIN, Answers, Found, apart, causes, latent, paired_over
from trueup.claims.latent_models import (
    DIRECT,
    HELD,
    MEAN,
    NEAREST,
    WRITTEN,
    Flags,
    Seen,
    Size,
    Tokens,
    Trial,
    Values,
    read,
)
from trueup.claims.latent_predictors import Neighbours, mean_values, nearest
from trueup.claims.latent_rows import arms_of, notes_of
from trueup.claims.latent_solver import ac_power_flows, solved
from trueup.claims.pieces import Pieces
from trueup.claims.start import laboratory
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED, Verdict, size_of
from trueup.core.types import Json
from trueup.plan import Resampler
from trueup.plan.estimate import exact_interval

NAME = "latent-iteration"
SEEDS = 3
KEPT = 0.95
SHARP = 0.2
ABLE = 0.5
SOLVER = "constraint solver"
AC_TOLERANCE = 0.01
CRITERION = (
    f"In each of {SEEDS} seeds, 95 % limits, on problems of as many sweeps as were trained. Reproduced where of the "
    "direct models (a) the largest's error goes more with distance to the nearest lesson than with sweeps needed "
    "(partial rank correlations, lower limit of the difference over 0), (b) each's equations hold (both within .01) "
    f"no more than {MARGIN:.0%} oftener than the nearest lesson's answer (upper limit) while both limits are kept "
    f"{KEPT:.0%} of the time, (c) equations hold no more than {MARGIN:.0%} oftener in the largest than in the "
    "smallest, and in each than in its base held to the form (upper limits), and (d) written sweeps add at least "
    f"{SHARP:.0%} in each (lower limit). Refuted where, of one size in every seed, a ridge probe of an inner layer "
    f"tells some sweep better than the solution by {MARGIN} of held-out R2 (lower limit), more than in a model that "
    "learned nothing, and later layers tell no earlier sweep; or where equations hold on more sweeps than were "
    f"trained no more than {MARGIN:.0%} less often than at the most trained (lower limit), there at least "
    f"{ABLE:.0%}. Inconclusive otherwise, and unless all of the solver's answers are feasible, AC power flows of three "
    "buses included."
)
SIZES = {
    "smoke": Size(
        shapes={"S": (16, 1), "M": (16, 2), "L": (16, 3)}, most=5, trained=3, lessons=600, base_steps=30,
        direct_steps=60, written_steps=40, updates=4, items=20, probe_items=200, ac_items=5, rows=64,
    ),
    "cpu": Size(
        shapes={"S": (32, 2), "M": (64, 2), "L": (64, 4)}, most=7, trained=4, lessons=8000, base_steps=1000,
        direct_steps=800, written_steps=1500, updates=100, items=250, probe_items=3000, ac_items=200,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """One seed's arms by name, what their models cost, and what the comparisons came to."""

    arms: Mapping[str, Answers]
    seen: Mapping[str, Seen]
    found: Found


def latent_iteration(scale: str, seed: int, pieces: Pieces) -> Verdict:
    """Without written steps a model matches templates; it does not iterate."""
    return put_to_test(scale, size_of(NAME, scale, SIZES), range(seed, seed + SEEDS), pieces)


def put_to_test(scale: str, size: Size, seeds: Sequence[int], pieces: Pieces) -> Verdict:
    """The claim at any size."""
    laboratory()
    trials = [Trial(size, seed, seeds[0], pieces) for seed in seeds]
    sweeps_M = np.repeat(np.arange(1, size.most + 1), size.items)
    solver = _solver(trials[0], pieces)
    measured = pieces.over(trials, lambda trial: measure(trial, sweeps_M))
    found = [one.found for one in measured]
    within = sweeps_M <= size.trained
    arms = [dict(one.arms) for one in measured]
    arms[0] |= {SOLVER: solver}
    feasible_M = (solver.equal_M * solver.bounded_M) > 0
    ac_held = pieces.get("ac", lambda: ac_power_flows(size.ac_items, seeds[0], AC_TOLERANCE))
    notes = [part_note(found), _solver_note(feasible_M, ac_held, size.ac_items)]
    for seed, one in zip(seeds, measured, strict=True):
        notes += notes_of(seed, one.arms, one.found, within)
    rows = arms_of(arms, [one.seen for one in measured], sweeps_M, size.trained, seeds[0])
    verdict = decide(found, is_feasible=bool(feasible_M.all()) and ac_held[-1] == size.ac_items)
    return Verdict(NAME, scale, verdict, CRITERION, int(within.sum()), tuple(seeds), rows, notes)


def decide(seeds: Sequence[Found], *, is_feasible: bool) -> str:
    """The verdict, by the criterion alone."""
    if not is_feasible:
        return INCONCLUSIVE
    if iterates(seeds) or extrapolates(seeds):
        return REFUTED
    return REPRODUCED if all(all(part(seed) for seed in seeds) for part in PARTS.values()) else INCONCLUSIVE


def iterates(seeds: Sequence[Found]) -> bool:
    """Whether the probes find sweeps inside one size of model."""
    return any(all(seed.latent[name].is_shown for seed in seeds) for name in seeds[0].latent)


def extrapolates(seeds: Sequence[Found]) -> bool:
    """Whether one size of model stays as good on more sweeps than were trained."""

    def stays(seed: Found, name: str) -> bool:
        return seed.edge[name] >= ABLE and seed.beyond[name].ci95[0] > -MARGIN

    return any(all(stays(seed, name) for seed in seeds) for name in seeds[0].edge)


def goes_with_distance(seed: Found) -> bool:
    """Part (a): the largest model's error goes more with distance than with sweeps."""
    return seed.causes.more.ci95[0] > 0


def is_like_nearest(seed: Found) -> bool:
    """Part (b): direct models keep limits, and equations as rarely as the nearest lesson's answer."""
    near = all(gap.ci95[1] < MARGIN for gap in seed.nearest.values())
    return near and min(seed.bounded.values()) >= KEPT


def is_moved_by_nothing(seed: Found) -> bool:
    """Part (c): neither more weights nor training on the answers makes equations hold."""
    return all(gap.ci95[1] < MARGIN for gap in (seed.grown, *seed.taught.values()))


def gains_by_writing(seed: Found) -> bool:
    """Part (d): the same weights to begin with, sweeps written out, do sharply better."""
    return all(gap.ci95[0] >= SHARP for gap in seed.written.values())


PARTS: Mapping[str, Callable[[Found], bool]] = {
    "(a) error goes with distance": goes_with_distance,
    "(b) no better than the nearest lesson, limits kept": is_like_nearest,
    "(c) moved by neither size nor SFT": is_moved_by_nothing,
    "(d) written sweeps help": gains_by_writing,
}


def part_note(found: Sequence[Found]) -> str:
    """How many seeds each part holds in, and in how many its contrary is shown."""
    held = [f"{name}: {sum(map(part, found))} of {len(found)} seeds" for name, part in PARTS.items()]
    against = {
        "better than the nearest lesson": sum(_all_above(seed.nearest) for seed in found),
        "better for SFT": sum(_all_above(seed.taught) for seed in found),
        "better for size": sum(_all_above({"": seed.grown}) for seed in found),
    }
    shown = ", ".join(f"{name} in {count}" for name, count in against.items())
    told = f"probes find sweeps: {iterates(found)}; as good beyond training: {extrapolates(found)}"
    return "; ".join([*held, f"against (b) and (c), lower limits over {MARGIN:.0%}: {shown}", told])


def _all_above(gaps: Mapping[str, Difference]) -> bool:
    return all(gap.ci95[0] > MARGIN for gap in gaps.values())


def measure(trial: Trial, sweeps_M: Tokens) -> Measured:
    """Everything about one seed."""
    lessons = read(trial.lessons)
    near = nearest(trial.systems, lessons)
    seen = {
        f"{name} {arm}": one for name in trial.size.shapes for arm, one in trial.seen(name).items()
    }  # fmt: skip
    values = {MEAN: mean_values(trial.systems, lessons), NEAREST: near.values_M2}
    values |= {name: one.values_M2 for name, one in seen.items()}
    arms = {name: answers(trial, values_M2) for name, values_M2 in values.items()}
    return Measured(arms, seen, find(trial, arms, near, sweeps_M))


def answers(trial: Trial, values_M2: Values) -> Answers:
    """What an arm's answers come to, item by item."""
    from trueup.train.laboratory.tasks.coupled import is_within, keeps_limit

    equal_M2 = is_within(trial.systems.residuals(values_M2))
    bounded_M2 = keeps_limit(trial.systems.excess(values_M2))
    satisfied_M = np.concatenate([equal_M2, bounded_M2], 1).mean(1)
    off_M = np.abs(values_M2 - trial.solutions).max(1)
    return Answers(equal_M2.all(1).astype(float), bounded_M2.all(1).astype(float), satisfied_M, off_M)


def find(trial: Trial, arms: Mapping[str, Answers], near: Neighbours, sweeps_M: Tokens) -> Found:
    """One seed's comparisons."""
    size, names = trial.size, list(trial.size.shapes)
    within, edge = sweeps_M <= size.trained, sweeps_M == size.trained
    draws = Resampler.of([str(i) for i in range(len(sweeps_M))], seed=trial.seed, name="items")
    halves = Resampler.of(
        [str(i) for i in range(size.probe_items - size.probe_items // 2)], seed=trial.seed, name="probe"
    )
    direct = {name: arms[f"{name} {DIRECT}"] for name in names}

    def minus(first: str, second: str) -> Mapping[str, Json]:
        return {
            n: paired_over(draws, arms[first.format(n)].equal_M, arms[second.format(n)].equal_M, within) for n in names
        }

    largest, smallest = direct[names[-1]], direct[names[0]]
    error_M = np.where(within, largest.off_M, np.nan)
    return Found(
        causes(error_M, near.distance_M, sweeps_M.astype(float), draws),
        {name: float(one.bounded_M[within].mean()) for name, one in direct.items()},
        minus(f"{{}} {DIRECT}", NEAREST),
        minus(f"{{}} {DIRECT}", f"{{}} {HELD}"),
        minus(f"{{}} {WRITTEN}", f"{{}} {DIRECT}"),
        paired_over(draws, largest.equal_M, smallest.equal_M, within),
        {name: float(one.equal_M[edge].mean()) for name, one in direct.items()},
        {name: apart(draws, one.equal_M, ~within, edge) for name, one in direct.items()},
        {name: latent(trial.probed(name), halves) for name in names if size.shapes[name][1] > 1},
    )


def _solver(trial: Trial, pieces: Pieces) -> Answers:
    """The solver's answers to all items."""

    def make() -> Json:
        return [[None if np.isnan(value) else value for value in row] for row in solved(trial.systems).tolist()]

    return answers(trial, np.array(pieces.get("solver", make), float))


def _solver_note(feasible_M: Flags, ac_held: Sequence[int], ac_items: int) -> str:
    n, equal, bounded = len(feasible_M), *ac_held[:2]
    low, high = exact_interval(float(feasible_M.sum()), n)
    return (
        f"{SOLVER}: equations and limits hold on {feasible_M.sum()} of {n} items [{low:.1%}, {high:.1%}]; on AC power "
        f"flows of three buses, which no model was asked, all equations on {equal}, all bounds on {bounded} of "
        f"{ac_items}"
    )
