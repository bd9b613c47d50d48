"""The choice by difficulty in words and rows: policies, methods, what stands in the bins."""

from __future__ import annotations

from collections.abc import Sequence

from trueup.claims.gap import Difference
from trueup.claims.search_contrasts import Factor, Found, over_fixed
from trueup.claims.search_logs import Logs
from trueup.core.types import Json
from trueup.plan import Resampler
from trueup.plan.compute_optimal import IN_SAMPLE, ORACLE, PREDICTED, RANDOM, BinCell, CurvePoint

PLACES = 3
VOTE = "vote"


def notes_of(name: str, found: Found) -> list[str]:
    """What one seed says, and its controls."""
    turn = found.interaction
    plain, charged = (_range(rows) for rows in (found.over_fixed, found.charged_over_fixed))
    controls = "; ".join(f"{name} {_range(over_fixed(found.comparison, name))}" for name in (ORACLE, IN_SAMPLE, RANDOM))
    return [
        f"{name}: one sample is right on {found.once:.1%}; as good as best-of-N weighted at B for B over "
        f"{_factor(found.factor)}, with the pilot charged {_factor(found.charged_factor)}; over the best fixed method "
        f"{plain} at {len(found.budgets)} budgets, with the pilot charged {charged}; {_spending(found)}",
        f"{name}: beams minus best-of-N {turn.easiest:+.1%} in the easiest bin, {turn.middle:+.1%} in the middle "
        f"one, p = {turn.p:.2g}; in the hardest bin the best method adds {_said(found.hardest_gain)} to one sample",
        f"{name}, controls, over the best fixed method: {controls}",
    ]


def arms_of(logs: Logs, found: Found) -> list[dict[str, Json]]:
    """Policies at the budgets of the last three sizes of best-of-N; methods; the largest of each in every bin."""
    return [*_policies(logs, found), *_methods(logs, found), *_cells(found)]


def _policies(logs: Logs, found: Found) -> list[dict[str, Json]]:
    places = range(max(0, len(found.budgets) - PLACES), len(found.budgets))
    once = sum(logs.one_off_flops.values())
    return [
        {
            "name": f"{name}, budget of N = {2**place}", "n": found.comparison.n, **_accuracy(points[place]),
            "budget_flops_per_request": points[place].budget, "inference_flops_per_request": points[place].cost,
            "one_off_flops": once,
        }
        for name, points in found.comparison.curves.items()
        for place in places
    ]  # fmt: skip


def _methods(logs: Logs, found: Found) -> list[dict[str, Json]]:
    table, n = logs.table, found.comparison.n
    draws = Resampler.of(table.clusters, seed=0, name="methods")
    return [
        {
            "name": name, "n": n, "accuracy": float(right.mean()), "ci95": list(draws.mean(right)),
            "generated_tokens_per_request": float(tokens.mean()), "inference_flops_per_request": float(cost.mean()),
            "one_off_flops": logs.one_off_flops["model"] + logs.one_off_flops["verifier"] * (not name.startswith(VOTE)),
        }
        for name, right, cost, tokens in zip(table.names, table.right, table.cost, logs.tokens_KM, strict=True)
    ]  # fmt: skip


def _cells(found: Found) -> list[dict[str, Json]]:
    methods = [cell.method for cell in found.comparison.cells if cell.bin == 1]
    largest = {method.split()[0]: method for method in methods}
    kept = {methods[0], *largest.values()}
    return [
        {
            "name": f"{cell.method}, predicted bin {cell.bin} (1 is the hardest)", "n": cell.n, **_accuracy(cell),
            "inference_flops_per_request": cell.cost,
        }
        for cell in found.comparison.cells
        if cell.method in kept
    ]  # fmt: skip


def _accuracy(at: CurvePoint | BinCell) -> dict[str, Json]:
    return {"accuracy": at.accuracy, "ci95": None if at.ci95 is None else list(at.ci95)}


def _range(rows: Sequence[Difference]) -> str:
    """The least and the most that is gained, over budgets."""
    if not rows:
        return "none is affordable"
    ends = [_said(end(rows, key=lambda row: row.value)) for end in (min, max)]
    return " to ".join(dict.fromkeys(ends))


def _spending(found: Found) -> str:
    """What the choice by predicted bins spends of its budgets."""
    points = found.comparison.curves[PREDICTED]
    shares = [point.cost / point.budget for point in points if point.cost is not None]
    return f"it spends {min(shares):.0%} to {max(shares):.0%} of them"


def _factor(found: Factor) -> str:
    return f"{found.value:.2f} [{found.ci95[0]:.2f}, {found.ci95[1]:.2f}]"


def _said(found: Difference) -> str:
    return f"{found.value:+.1%} [{found.ci95[0]:+.1%}, {found.ci95[1]:+.1%}]"
