"""Fit the example head on the rows of results/mixed.

It prints what such a head is worth on items that it has not seen.
Usage: python tools/fit_head.py [--rows FILE] [--items FILE] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from trueup.core.cost import Cost
from trueup.core.outcome import Pool
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Usage
from trueup.raters import learn_head
from trueup.verifiers import number

ROOT = Path(__file__).parent.parent
STRATUM, ATTEMPTS, MODEL = "arithmetic", 16, "smollm2"


def pools(rows: Path, items: Path) -> list[Pool]:
    """The pool of every item, out of a ledger's exported rows.

    Rows carry no prompts: a call of sixteen attempts is a pool, and belongs to the question most of its replies begin
    with.
    """
    questions = {row["prompt"]: row for row in map(json.loads, items.read_text().splitlines())}
    made = []
    for replies in _calls(rows):
        asked = Counter(q for q in questions for reply in replies if reply.startswith(q)).most_common(1)
        if len(replies) == ATTEMPTS and asked:
            made.append(_pool(questions[asked[0][0]], replies))
    return made


def _calls(rows: Path) -> list[list[str]]:
    calls: list[list[str]] = []
    for row in map(json.loads, rows.read_text().splitlines()):
        if row["stratum"] == STRATUM and row["kind"] == "sampled":
            if row["leads"]:
                calls.append([])
            calls[-1].append(row["reply"])
    return calls


def _pool(row: Mapping[str, object], replies: Sequence[str]) -> Pool:
    verifier = number()
    problem = Problem(str(row["id"]), STRATUM, (Message("user", str(row["prompt"])),))
    attempts = [Attempt(i, text, "stop", Usage(None, None), verifier.read(text)) for i, text in enumerate(replies)]
    grades = [
        Grade(0.0, parsed=False) if a.answer is None else verifier.check(a.answer, problem, row["reference"])
        for a in attempts
    ]
    return Pool(Item(problem, row["reference"], problem.id), tuple(attempts), tuple(grades), Cost())


def main() -> None:
    """Fit, measure, write."""
    asks = argparse.ArgumentParser()
    asks.add_argument("--rows", type=Path, default=ROOT / "results" / "mixed" / "rows.jsonl")
    asks.add_argument("--items", type=Path, default=ROOT / "examples" / "mixed" / "arithmetic.jsonl")
    asks.add_argument("--out", type=Path, default=ROOT / "src" / "trueup" / "raters" / "head.json")
    given = asks.parse_args()
    made = learn_head(pools(given.rows, given.items), f"the sums of examples/mixed, sampled from {MODEL}")
    made.save(given.out)
    print(made.about)


if __name__ == "__main__":
    main()
