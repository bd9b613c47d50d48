"""Programs that a model once wrote, from a file in Logic-LM's layout: `stored-programs:PATH`.

Pan et al. 2023, arXiv:2305.12295, `outputs/logic_programs`: a JSON list of {"id", "context", "question", "answer",
"options", "raw_logic_programs": [program]}. The program is the prompt, so that what is measured is what was written.
Options are capital letters: the verifier is `exact case=true`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.types import Item, Message, Problem
from trueup.tasks.draw import drawn

PROGRAMS, ANSWER = "raw_logic_programs", "answer"


def stored_programs(path: str, *, stratum: str, limit: int | None = None, seed: int = 0) -> tuple[Item, ...]:
    """The programs of a file; where a limit takes fewer, they are drawn by the seed and keep the file's order.

    Raises BadInput with the file and the place of what cannot be used.
    """
    rows = _rows(path)
    items = [_item(row, f"{path}, entry {number}", stratum) for number, row in enumerate(rows, 1)]
    names = [item.problem.id for item in items]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"{path}: the id {twice!r} comes twice; give every entry its own")
    return tuple(items[place] for place in drawn(len(items), limit, seed))


def _rows(path: str) -> list[Any]:
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"no file {path!r}; give the path of a JSON list of stored programs") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"cannot read {path!r}: {error}; give a JSON list of stored programs in UTF-8") from None
    if not isinstance(rows, list) or not rows:
        raise BadInput(f'{path}: no list of entries; write [{{"id", "{ANSWER}", "{PROGRAMS}": ["..."]}}]')
    return rows


def _item(row: Any, place: str, stratum: str) -> Item:
    programs = row.get(PROGRAMS) if isinstance(row, Mapping) else None
    if not isinstance(programs, list) or not programs or not isinstance(programs[0], str):
        raise BadInput(f"{place}: {PROGRAMS!r} is {str(programs)[:60]!r}; it takes a list with one program")
    for key in ("id", ANSWER):
        if not isinstance(row.get(key), str) or not row[key]:
            raise BadInput(f"{place}: {key!r} is {row.get(key)!r}; it takes a text")
    problem = Problem(row["id"], stratum, (Message("user", programs[0]),))
    return Item(problem, row[ANSWER].strip(), row["id"])
