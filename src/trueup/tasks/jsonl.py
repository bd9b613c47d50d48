"""Items from a JSONL file: {"id", "prompt" or "messages", "reference"}, one a line.

A row may add `schema` (a JSON schema of the answer), `grammar` (GBNF) and `cluster` (rows that are not independent
share it, and those with the same prompt do anyway), null being none; other keys are the author's own. A row without a
cluster is one of its own, by the name of its id, which no other row may give as its cluster.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.types import Item, Message, Problem, Prompt
from trueup.tasks.draw import drawn

ROLES = ("system", "user", "assistant")
SHOWN_CHARS = 60


def jsonl(path: str, *, stratum: str, limit: int | None = None, seed: int = 0) -> tuple[Item, ...]:
    """The items of a file; where a limit takes fewer, they are drawn by the seed and keep the file's order.

    Raises BadInput with the file and line of what cannot be used.
    """
    items: dict[str, Item] = {}
    rows = read_rows(path, '{"id", "prompt", "reference"}')
    for place, row in rows:
        item = read_item(row, place, stratum)
        if item.problem.id in items:
            raise BadInput(f"{place}: the id {item.problem.id!r} is taken by a row above; every row needs its own")
        items[item.problem.id] = item
    _refuse_taken_names(rows)
    everything = list(items.values())
    return tuple(everything[place] for place in drawn(len(everything), limit, seed))


def read_rows(path: str, form: str, instead: str = "") -> list[tuple[str, Mapping[str, Any]]]:
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


def _refuse_taken_names(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
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
        row = json.loads(line)
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
