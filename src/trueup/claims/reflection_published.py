"""LR²Bench's exact matches: the published ones, and those of the solver route without a language model.

Chen et al. 2025, arXiv:2502.17848, the table of its repository. The published mean is over six families; over the 850
puzzles it is another. Acrostic is 0 for everybody: long texts, all or nothing, a floor and no measurement. No sudoku of
the benchmark needs a wrong turn: all 200 are solved by propagation, so that it cannot show backtracking.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from trueup.core.types import Json

SOLVED = Path("results/bench/solve.json")
FAMILIES = ("crossword", "acrostic", "logic", "cryptogram", "sudoku", "drop")
PUZZLES = (150, 100, 200, 100, 200, 100)
PUBLISHED: Mapping[str, Sequence[float]] = {
    "o1-preview": (24.7, 0.0, 41.0, 13.0, 50.0, 13.0),
    "DeepSeek-R1": (16.7, 0.0, 42.5, 4.0, 50.0, 7.0),
    "o1-mini": (1.3, 0.0, 23.5, 1.0, 27.0, 2.0),
    "QwQ-32B-Preview": (0.0, 0.0, 19.5, 0.0, 31.5, 0.0),
    "Gemini-2.0-flash-thinking": (1.3, 0.0, 8.0, 0.0, 16.5, 0.0),
    "GPT-4o": (1.3, 0.0, 3.5, 0.0, 14.5, 0.0),
    "Mistral-Large-2411": (2.0, 0.0, 3.0, 0.0, 10.0, 0.0),
    "Qwen2.5-7B": (0.0, 0.0, 0.0, 0.0, 1.5, 0.0),
}
"""Exact matches in percent, in the order of the families."""
SHARES: Mapping[str, Sequence[float]] = {
    "o1-preview": (77.7, 67.2, 68.8, 34.8, 65.1, 38.8),
    "DeepSeek-R1": (75.4, 62.2, 69.4, 26.0, 70.3, 47.3),
}
"""Parts of answers that are right (S-Acc) in percent, where the table was read."""
CAVEATS = (
    "published rows: acrostic is 0 for every model, and no sudoku needs a wrong turn (propagation solves all 200); the "
    "mean of families and the mean of puzzles differ",
)


def published_rows() -> list[dict[str, Json]]:
    """A row for each model of the table."""
    return [
        _row(f"LR²Bench, published: {name}", percent, PUZZLES, SHARES.get(name)) for name, percent in PUBLISHED.items()
    ]


def solver_row(path: Path = SOLVED) -> list[dict[str, Json]]:
    """The solver route's row as `trueup bench solve` measured it; none where that file is not at hand."""
    if not path.exists():
        return []
    found = {row["family"]: row for row in json.loads(path.read_text())["results"] if row.get("family") in FAMILIES}
    if len(found) < len(FAMILIES):
        return []
    exact, shares = ([100 * found[name][key] for name in FAMILIES] for key in ("exact_match", "s_acc"))
    return [_row("LR²Bench, ours: solver, no language model", exact, [found[name]["n"] for name in FAMILIES], shares)]


def macro(percent: Sequence[float]) -> float:
    """The mean of the families."""
    return sum(percent) / len(percent)


def per_puzzle(percent: Sequence[float], puzzles: Sequence[int]) -> float:
    """The mean of the puzzles."""
    return sum(one * n for one, n in zip(percent, puzzles, strict=True)) / sum(puzzles)


def _row(
    name: str, percent: Sequence[float], puzzles: Sequence[int], shares: Sequence[float] | None
) -> dict[str, Json]:
    row: dict[str, Json] = {
        "name": name, "n": sum(puzzles), "exact_match_macro": round(macro(percent) / 100, 4),
        "exact_match": round(per_puzzle(percent, puzzles) / 100, 4),
        "by_family": {family: round(one / 100, 4) for family, one in zip(FAMILIES, percent, strict=True)},
    }  # fmt: skip
    if shares is None:
        return row
    return row | {"s_acc_macro": round(macro(shares) / 100, 4), "s_acc": round(per_puzzle(shares, puzzles) / 100, 4)}
