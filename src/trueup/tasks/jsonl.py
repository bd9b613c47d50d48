"""Items from a JSONL file: {"id", "prompt" or "messages", "reference"}, one a line.

A row may add `schema` (a JSON schema of the answer), `grammar` (GBNF) and `cluster` (rows that are not independent
share it, and those with the same prompt do anyway), null being none; other keys are the author's own. A row without a
cluster is one of its own, by the name of its id, which no other row may give as its cluster.

A row with a `stratum`, an `answer` and `usd` is traffic that `trueup serve` wrote: it is of its own stratum alone, and
left out while it has no reference and others have.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.types import Item, Message, Problem, Prompt
from trueup.tasks.draw import drawn

ROLES = ("system", "user", "assistant")
SHOWN_CHARS = 60
FORM = '{"id", "prompt", "reference"}'
SERVED = {"stratum", "answer", "usd"}
"""The keys of a row that `trueup serve` wrote."""

Rows = Sequence[tuple[str, Mapping[str, Any]]]


def jsonl(path: str, *, stratum: str, limit: int | None = None, seed: int = 0) -> tuple[Item, ...]:
    """The items of a file; where a limit takes fewer, they are drawn by the seed and keep the file's order.

    Warns of traffic that is left out for want of a reference. Raises BadInput, with the file and line, for what cannot
    be used.
    """
    items: dict[str, Item] = {}
    rows = _of_stratum(read_rows(path, FORM), path, stratum)
    for place, row in rows:
        item = read_item(row, place, stratum)
        if item.problem.id in items:
            raise BadInput(f"{place}: the id {item.problem.id!r} is taken by a row above; every row needs its own")
        items[item.problem.id] = item
    _refuse_taken_names(rows)
    everything = list(items.values())
    return tuple(everything[place] for place in drawn(len(everything), limit, seed))


def read_rows(path: str, form: str, instead: str = "") -> Rows:
    """Each row of a JSONL file with its place, FILE:LINE.

    `form` is what a row looks like, `instead` what may be given for a file. Raises BadInput where a row is no object,
    there is none, or the file cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise BadInput(f"no file {path!r}; give the path of a JSONL file{instead}") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path!r}: {error}; give a JSONL file in UTF-8") from None
    places = ((f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip())
    rows = [(place, _row(line, place)) for place, line in places]
    if not rows:
        raise BadInput(f"{path}: no rows; write one {form} a line")
    return rows


def strata_served(path: str) -> list[str]:
    """The strata whose traffic is in a file, in its order; none where the file is no traffic."""
    rows = read_rows(path, FORM)
    return list(dict.fromkeys(row["stratum"] for _, row in rows if _is_traffic(row)))


def read_item(row: Mapping[str, Any], place: str, stratum: str) -> Item:
    """The item of a row; raises BadInput, with its place, for what cannot be used."""
    for key in ("id", "reference"):
        if key not in row:
            raise BadInput(f"{place}: no {key!r}; add one to the row")
    if not isinstance(row["id"], (str, int)) or isinstance(row["id"], bool) or row["id"] == "":
        raise BadInput(f"{place}: id is {row['id']!r}; it takes a string or an integer")
    name, schema, grammar = str(row["id"]), row.get("schema"), row.get("grammar")
    cluster = name if row.get("cluster") is None else row["cluster"]
    if schema is not None and grammar is not None:
        raise BadInput(f"{place}: both schema and grammar; a row takes one of them")
    if not (grammar is None or isinstance(grammar, str)):
        raise BadInput(f"{place}: grammar is {str(grammar)[:SHOWN_CHARS]!r}; it takes a grammar's text")
    if isinstance(cluster, (list, dict)):
        raise BadInput(f"{place}: cluster is {str(cluster)[:SHOWN_CHARS]!r}; it takes a name or a number")
    form = None if schema is None else json.dumps(schema, separators=(",", ":"))
    problem = Problem(name, stratum, _prompt(row, place), schema=form, grammar=grammar)
    return Item(problem, row["reference"], str(cluster))


def _is_traffic(row: Mapping[str, Any]) -> bool:
    return row.keys() >= SERVED and isinstance(row["stratum"], str)


def _of_stratum(rows: Rows, path: str, stratum: str) -> Rows:
    """The author's own rows, and the traffic of this stratum; raises BadInput where there is neither.

    Traffic without a reference is left out where any row has one, and what a verifier that needs none grades otherwise.
    """
    own = [(place, row) for place, row in rows if not _is_traffic(row) or row["stratum"] == stratum]
    if not own:
        served = ", ".join(repr(name) for name in dict.fromkeys(row["stratum"] for _, row in rows))
        raise BadInput(f"{path}: no row is of stratum {stratum!r}; give the stratum the name of its traffic, {served}")
    told = [(place, row) for place, row in own if not _is_traffic(row) or row.get("reference") is not None]
    if not told:
        return [(place, {"reference": None, **row}) for place, row in own]
    if lacking := len(own) - len(told):
        left_out = f"{path}: {lacking} of {len(own)} rows of stratum {stratum!r} are left out, having no reference"
        warnings.warn(left_out, stacklevel=3)
    return told


def _refuse_taken_names(rows: Rows) -> None:
    """Raise BadInput where an id, which names the cluster of a row without one, is a cluster that others give."""
    given = {str(row["cluster"]): place for place, row in reversed(rows) if row.get("cluster") is not None}
    for place, row in rows:
        name = str(row["id"])
        if row.get("cluster") is None and name in given:
            raise BadInput(
                f"{place}: no cluster, and the id {name!r} is the cluster of {given[name]}; "
                f'add "cluster": {json.dumps(name)} if the rows belong together, or another name if not'
            )


def _row(line: str, place: str) -> Mapping[str, Any]:
    try:
        number = partial(_number, place=place)
        row = json.loads(line, parse_constant=number, parse_float=number)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{place}: not valid JSON: {error}: {line.strip()[:SHOWN_CHARS]!r}") from None
    if not isinstance(row, dict):
        raise BadInput(f"{place}: a row must be an object, not {line.strip()[:SHOWN_CHARS]!r}")
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise BadInput(f"{place}: {half!r} is half a character; write the whole one, or leave it out") from None
    return row


def _number(text: str, place: str) -> float:
    """A number of a row; raises BadInput for NaN, Infinity and one too large to hold."""
    number = float(text)
    if not math.isfinite(number):
        raise BadInput(f"{place}: {text[:SHOWN_CHARS]} is no number; write one, or leave the row out")
    return number


def _prompt(row: Mapping[str, Any], place: str) -> Prompt:
    prompt, messages = row.get("prompt"), row.get("messages")
    if (prompt is None) == (messages is None):
        raise BadInput(f"{place}: a row takes 'prompt' or 'messages', one of them")
    messages = [{"role": "user", "content": prompt}] if messages is None else messages
    if not isinstance(messages, list) or not messages:
        raise BadInput(f"{place}: messages must be a list of one or more")
    turns = tuple(_message(message, place) for message in messages)
    if turns[-1].role != "user":
        raise BadInput(f"{place}: the last message is from {turns[-1].role!r}; it must be the user's")
    return turns


def _message(message: Any, place: str) -> Message:
    role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
    if role not in ROLES or not isinstance(content, str) or not content:
        raise BadInput(
            f"{place}: a message is {str(message)[:SHOWN_CHARS]!r}; "
            f"it takes a role ({', '.join(ROLES)}) and content, a string that is not empty"
        )
    return Message(role, content)
