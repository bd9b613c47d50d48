"""A training's card: what it was made from and how, what it cost, what it changed; as JSON and for a person.

`card.json` is also what a study reads (`plan/past.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trueup.core.types import Json
from trueup.plan.past import CARD, past_of

PAGE = "card.md"
VERSION = 2
"""Version 1 knew one training alone."""


def history_of(
    origin: Mapping[str, Any], replayed: tuple[Sequence[str], Sequence[str]], own: Mapping[str, Json]
) -> dict[str, Json]:
    """The card's account of its items and of what they were trained for, the trainings before this one included.

    `own` is this training's row without its marks; `replayed` are ids and marks of items of other strata.
    """
    ids, marks = replayed
    rows = [*origin["trainings"], {**own, "items": len(origin["trained_on"]), "prompts": [*origin["prompts"], *marks]}]
    past = past_of(rows)
    return {
        "data": {
            "trained_on": origin["trained_on"],
            "replayed": list(ids),
            "held_out": origin["held_out"],
            "prompts": sorted(past.prompts),
        },
        "training_usd": None if past.usd is None else str(past.usd),
        "trainings": rows,
    }


def write_card(card: Mapping[str, Any], folder: Path) -> None:
    """Write card.json and card.md; the former last, since it says that a training is done."""
    (folder / PAGE).write_text(page(card), encoding="utf-8")
    draft = folder / f"{CARD}.draft"
    draft.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    draft.replace(folder / CARD)


def page(card: Mapping[str, Any]) -> str:
    """The card in Markdown."""
    settings = " ".join(f"{key}={value}" for key, value in card["settings"].items())
    lines = [
        f"# {card['model']['name']} after {card['trainer']} on {card['task']['name']}/{card['stratum']}",
        "",
        f"{'An adapter (LoRA)' if card['adapter'] else 'Full weights'}; load it as `hf:{card['folder']}`.",
        "",
        "| | before | after | difference, points |",
        "|---|---|---|---|",
        *_rows(card["evaluation"]),
        "",
        f"Measured on items that were not trained on, {card['samples']} attempts at each; 95 % intervals over items.",
        *(f"KL to the base on the base's own words, {name}: {row['kl']:.4f} nats a token ({row['tokens']} tokens)."
          for name, row in card["distance"].items()),
        "",
        f"- trainer: `{card['trainer']} {settings}`, seed {card['seed']}, profile {card['profile']}",
        f"- base: `{card['model']['spec']}`, {card['model']['fingerprint']}",
        f"- data: {len(card['data']['trained_on'])} items trained on, {len(card['data']['replayed'])} of other strata "
        f"replayed, {len(card['data']['held_out'])} held out",
        f"- training cost: {_usd(card['training_usd'])} without evaluation; every row of it is in ledger.sqlite",
        *_steps(card["trainings"]),
        *(f"- left out: {count} items ({what}), see failures.jsonl" for what, count in card["failures"].items()),
        f"- last figures: {', '.join(f'{name} {value:.4g}' for name, value in card['figures'].items())}",
        "",
        "| ledger | rows | prompt tokens | completion tokens | seconds | TFLOPs | dollars |",
        "|---|---|---|---|---|---|---|",
        *(f"| {t['kind']} | {t['charges']} | {t['prompt_tokens']} | {t['completion_tokens']} | {t['seconds']:.1f} "
          f"| {t['megaflops'] / 1e6:.3f} | {'unknown' if t['unpriced'] else _usd(t['usd'])} |"
          for t in card["ledger"]["totals"]),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _steps(trainings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where a model was trained more than once, what each training cost; the ledgers of the earlier are elsewhere."""
    told = [f"  - {row.get('trainer', 'a training')} on {row['stratum']}: {_usd(row['usd'])}" for row in trainings]
    return told if len(told) > 1 else []


def _rows(evaluation: Mapping[str, Any]) -> list[str]:
    found = []
    for name, told in evaluation.items():
        for turn in ("first_turn", "second_turn"):
            if turn in told:
                row = told[turn]
                label = f"{name}, {turn.replace('_', ' ')} (n = {told['items']})"
                found.append(f"| {label} | {_share(row['before'])} | {_share(row['after'])} | {_points(row)} |")
    return found


def _share(row: Mapping[str, Any]) -> str:
    low, high = row["ci95"]
    return f"{row['accuracy']:.1%} ({low:.0%}-{high:.0%})"


def _points(row: Mapping[str, Any]) -> str:
    low, high = row["difference"]["ci95"]
    return f"{row['difference']['points']:+.1f} ({low:+.1f} to {high:+.1f})"


def _usd(amount: Json) -> str:
    return "unknown" if amount is None else f"${float(amount):.4g}"
