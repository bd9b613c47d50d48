"""Function-calling questions out of the bfcl-eval wheel: `calls:simple_python`.

Patil et al. 2025 (Berkeley Function Calling Leaderboard), Apache-2.0. Only the questions are read, nothing is
imported. A figure from them is BFCL-derived, not a place on that leaderboard, and they are test questions: a model
that was trained on them says nothing.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from trueup.core.cache import BFCL, fetch_wheel
from trueup.core.errors import UnknownName
from trueup.core.types import Item, Json, Message, Problem, Prompt
from trueup.tasks.call_schema import call_schema
from trueup.tasks.draw import drawn

LABEL = "BFCL-derived"
DATA = "bfcl_eval/data"
CATEGORIES = (
    "simple_python", "multiple", "parallel", "parallel_multiple",
    "live_simple", "live_multiple", "live_parallel", "live_parallel_multiple",
)  # fmt: skip


def calls(category: str, *, stratum: str, limit: int | None = None, seed: int = 0) -> tuple[Item, ...]:
    """Questions of a category, drawn by the seed; the wheel is fetched on first use.

    The reference holds the functions and the accepted values; Problem.schema describes a well-formed call.
    """
    if category not in CATEGORIES:
        raise UnknownName("category of calls", category, CATEGORIES)
    wheel = fetch_wheel(*BFCL)
    questions = _rows(wheel, f"{DATA}/BFCL_v4_{category}.json")
    accepted = {
        row["id"]: row["ground_truth"] for row in _rows(wheel, f"{DATA}/possible_answer/BFCL_v4_{category}.json")
    }
    chosen = [questions[place] for place in drawn(len(questions), limit, seed)]
    return tuple(_item(row, accepted[row["id"]], stratum, "parallel" in category) for row in chosen)


def _rows(wheel: Path, member: str) -> list[dict[str, Any]]:
    with zipfile.ZipFile(wheel) as archive:
        return [json.loads(line) for line in archive.read(member).decode().splitlines() if line.strip()]


def _item(row: dict[str, Any], accepted: Json, stratum: str, has_several: bool) -> Item:
    name = f"{LABEL}/{row['id']}"
    schema = json.dumps(call_schema(row["function"], several=has_several), separators=(",", ":"))
    problem = Problem(name, stratum, _prompt(row), schema=schema)
    return Item(problem, {"function": row["function"], "ground_truth": accepted}, name)


def _prompt(row: dict[str, Any]) -> Prompt:
    """The question's own turns, with the functions set out before the last."""
    turns = [Message(turn["role"], turn["content"]) for turn in row["question"][0]]
    functions = "\n".join(_described(function) for function in row["function"])
    return (*turns[:-1], Message("user", f"{functions}\nRequest: {turns[-1].content}"))


def _described(function: dict[str, Any]) -> str:
    parameters = function["parameters"]
    required = parameters.get("required", [])
    lines = [f"Function {function['name']}: {function['description']}"]
    for name, parameter in parameters.get("properties", {}).items():
        kind = _kind(parameter) + ("" if name in required else ", optional")
        choices = f" One of {json.dumps(parameter['enum'])}." if "enum" in parameter else ""
        lines.append(f"- {name} ({kind}): {parameter.get('description', '')}{choices}")
    return "\n".join(lines)


def _kind(parameter: dict[str, Any]) -> str:
    """The type in words, down to what a dict or an array holds."""
    if parameter.get("properties"):
        inner = ", ".join(f"{name}: {_kind(part)}" for name, part in parameter["properties"].items())
        return f"{parameter['type']} of {inner}"
    if "type" in parameter.get("items", {}):
        return f"{parameter['type']} of {_kind(parameter['items'])}"
    kind: str = parameter["type"]
    return kind
