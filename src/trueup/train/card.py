"""A training's card: what it was made from and how, what it cost, what it changed; as JSON and for a person.

`card.json` is also what a study reads (`plan/past.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trueup.core.training import CARD
from trueup.core.types import Json
from trueup.models.huggingface.vocabulary import PLAIN
from trueup.plan.past import past_of

PAGE = "card.md"
TURNS = ("first_turn", "second_turn")
VERSION = 3
"""Version 1 knew one training alone, version 2 neither form and content apart nor the half trained on."""
GROUPS, FLAT_GROUPS = "groups", "flat_groups"
"""Figures of a whole online training: its groups of attempts, and those among them that were all credited alike."""
FLAT = (
    "no group had both right and wrong attempts: nothing was learned; "
    "take easier items, more n, or a higher temperature"
)
UNGUARDED = "nothing guards what must not be forgotten: give --guard TASK, or --guard general, which comes with trueup"


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


def notes_of(figures: Mapping[str, float], *, is_guarded: bool) -> list[str]:
    """What a person should know of a training before its weights are used."""
    is_flat = 0 < figures.get(GROUPS, 0) == figures[FLAT_GROUPS]
    return [FLAT] * is_flat + [UNGUARDED] * (not is_guarded)


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
        *(f"On the items that were trained on: {label} {_share(row['before'])} before, {_share(row['after'])} after."
          for label, row in _turns(card["trained_half"])),
        *(f"KL to the base on the base's own words, {name}: {row['kl']:z.4f} nats a token ({row['tokens']} tokens)."
          for name, row in card["distance"].items()),
        "",
        "| share of attempts | before | after |",
        "|---|---|---|",
        *_form_rows(card["evaluation"], ""),
        *_form_rows(card["trained_half"], " trained on"),
        "",
        *_mode_rows(card.get("modes")),
        *(f"**Note:** {note}\n" for note in card["notes"]),
        f"- trainer: `{card['trainer']} {settings}`, seed {card['seed']}, profile {card['profile']}",
        *_template(card["template"]),
        f"- base: `{card['model']['spec']}`, {card['model']['fingerprint']}",
        f"- data: {len(card['data']['trained_on'])} items trained on, {len(card['data']['replayed'])} of other strata "
        f"replayed, {len(card['data']['held_out'])} held out",
        f"- training cost: {_usd(card['training_usd'])} without evaluation; every row of it is in ledger.sqlite",
        *_steps(card["trainings"]),
        *(f"- left out: {count} items ({what}), see failures.jsonl" for what, count in card["failures"].items()),
        f"- gradient tokens: {card['gradient_tokens']:,} (targets that were trained on, each time that they were)",
        *_flat(card["figures"]),
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


def _template(template: str) -> list[str]:
    """The chat template where it was not the model's own; a file's text is saved with the tokenizer."""
    if template == PLAIN:
        return [f"- template: `{PLAIN}`, which is not saved: whatever asks the model must set it too"]
    return [f"- template: `{template}`, saved with the tokenizer"] if template else []


def _steps(trainings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where a model was trained more than once, what each training cost; the ledgers of the earlier are elsewhere."""
    told = [f"  - {row.get('trainer', 'a training')} on {row['stratum']}: {_usd(row['usd'])}" for row in trainings]
    return told if len(told) > 1 else []


def _rows(evaluation: Mapping[str, Any]) -> list[str]:
    return [
        f"| {label} | {_share(row['before'])} | {_share(row['after'])} | {_points(row)} |"
        for label, row in _turns(evaluation)
    ]


def _turns(evaluation: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Every turn that was measured, in words."""
    return [
        (f"{name}, {turn.replace('_', ' ')} (n = {told['items']})", told[turn])
        for name, told in evaluation.items() for turn in TURNS if turn in told
    ]  # fmt: skip


def _form_rows(evaluation: Mapping[str, Any], half: str) -> list[str]:
    """What could not be read, what was right of the rest, each kind of error."""
    found = []
    for name, told in evaluation.items():
        for turn, form in told["form"].items():
            if not form:
                continue
            rows = {"unparsable": form["unparsable"], "right where it could be read": form["right_of_read"]}
            rows |= {f"error: {_cell(kind)}": row for kind, row in form["errors"].items() if kind != "unparsable"}
            label = f"{name}{half}, {turn.replace('_', ' ')}"
            found += [f"| {label}: {what} | {_percent(row['before'])} | {_percent(row['after'])} |"
                      for what, row in rows.items()]  # fmt: skip
            found.append(f"| {label}: {gain_of(form)} | | |")
    return found


def _cell(note: str) -> str:
    """A verifier's note as one cell of a table."""
    return " ".join(note.replace("|", "/").split())


def _mode_rows(modes: Mapping[str, Any] | None) -> list[str]:
    """How often, how well and how long held-out items are answered in each mode; after training also by their ease."""
    if modes is None:
        return []
    rows = {"before": modes["before"], "after": modes["after"]}
    rows |= {f"after, where the base was right {row['right_before']:.0%} (n = {row['items']})": row
             for row in modes["by_ease"]}  # fmt: skip
    names = list(modes["tokens"])
    heads = " | ".join(f"{name} | right | tokens" for name in names)
    return [
        f"| first token | {heads} |",
        "|---" * (1 + 3 * len(names)) + "|",
        *(f"| {label} | " + " | ".join(_mode(row, name) for name in names) + " |" for label, row in rows.items()),
        "",
    ]


def _mode(row: Mapping[str, Any], name: str) -> str:
    length = row[name]["length"]
    shares = (_percent(row[f"{name}_rate"]), _percent(row[name]["accuracy"]))
    return " | ".join((*shares, "none" if length is None else f"{length:.1f}"))


def gain_of(form: Mapping[str, Any]) -> str:
    """How the points that were gained divide into form and content, in words."""
    points = form["points"]
    return f"{sum(points.values()):+.1f} points, {points['form']:+.1f} of form, {points['content']:+.1f} of content"


def _flat(figures: Mapping[str, float]) -> list[str]:
    """How many groups taught nothing, where there were groups."""
    if GROUPS not in figures:
        return []
    told = f"{figures[FLAT_GROUPS]:.0f} of {figures[GROUPS]:.0f}"
    return [f"- flat groups: {told} (all attempts were credited alike, so nothing is learned from them)"]


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"


def _share(row: Mapping[str, Any]) -> str:
    low, high = row["ci95"]
    return f"{row['accuracy']:.1%} ({low:.0%}-{high:.0%})"


def _points(row: Mapping[str, Any]) -> str:
    low, high = row["difference"]["ci95"]
    return f"{row['difference']['points']:+.1f} ({low:+.1f} to {high:+.1f})"


def _usd(amount: Json) -> str:
    return "unknown" if amount is None else f"${float(amount):.4g}"
