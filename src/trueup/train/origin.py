"""What a training was begun with: its items, its model, the trainings before it.

Written down before the first step, so that its card tells what was trained on, and not what the task says at the end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Json
from trueup.models.huggingface.folder import digest
from trueup.plan.past import Past, marks

KEY = "origin"
"""Where it stands beside the order in the training's first file."""
GROUPS = {"training": "trained on", "held_out": "held out", "others": "of the other strata", "guards": "of the guard"}


def origin_of(
    training: Stratum, held_out: Stratum, others: Sequence[Stratum], guards: Sequence[Stratum], base: Path,
    past: Past | None,
) -> dict[str, Json]:  # fmt: skip
    """All that a card and a resumed run must know of the beginning, as JSON."""
    groups = {"training": [training], "held_out": [held_out], "others": others, "guards": guards}
    return {
        "trained_on": [item.problem.id for item in training.items],
        "held_out": [item.problem.id for item in held_out.items],
        "prompts": [mark for item in training.items for mark in marks(item, training.recipe)],
        "items": {name: [items_digest(stratum) for stratum in strata] for name, strata in groups.items()},
        "model": digest(base),
        "trainings": [dict(row) for row in past.trainings] if past else [],
    }


def keep_origin(path: Path, origin: Mapping[str, Json], *, task: str, model: str) -> dict[str, Any]:
    """Put an origin beside the order in a file, or take up the one that is there if it tells of the same.

    Raises BadInput where a run would go on with other items or with another model.
    """
    table: dict[str, Any] = json.loads(path.read_bytes())
    if KEY not in table:
        draft = path.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(json.dumps(table | {KEY: origin}, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
        return dict(origin)
    kept: dict[str, Any] = table[KEY]
    again = f"what {str(path.parent)!r} was begun with; put it back, or choose another --out"
    if changed := changes(kept, origin):
        raise BadInput(f"the items {changed} in {task!r} are not {again}")
    if kept["model"] != origin["model"]:
        raise BadInput(f"the weights of {model!r} are not {again}")
    return kept


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Which items are not what they were, in words; empty where all are."""
    return " and ".join(told for name, told in GROUPS.items() if before["items"][name] != now["items"][name])


def items_digest(stratum: Stratum) -> str:
    """The digest of a stratum's items: what is asked and how, what is right, what says so."""
    rows = [_row(item) for item in stratum.items]
    words = json.dumps([stratum.verifier.name, rows], default=str)
    return blake2b(words.encode(), digest_size=8).hexdigest()


def replayed(strata: Sequence[Stratum], folder: Path) -> tuple[list[str], list[str]]:
    """The ids of other strata's items that a training has learned from, and their marks."""
    prompts = {
        json.dumps(json.loads(line)["messages"])
        for file in sorted(folder.glob("*/examples.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    found = [(item, stratum.recipe) for stratum in strata for item in stratum.items if _messages(item) in prompts]
    return [item.problem.id for item, _ in found], [mark for item, recipe in found for mark in marks(item, recipe)]


def _messages(item: Item) -> str:
    return json.dumps([[message.role, message.content] for message in item.problem.prompt])


def _row(item: Item) -> list[Json]:
    problem = item.problem
    return [problem.id, _messages(item), repr(problem.sampling), problem.schema, problem.grammar, item.reference]
