"""LR²Bench, read where it lies: `lr2bench:PATH`, with `shots=2` for its two-shot prompts.

Chen et al. 2025, arXiv:2502.17848. PATH is the benchmark's data folder, one family of it or one level. The data has no
licence and is for evaluation alone. A row holds its own answer under several names: nothing of a row but the text that
the benchmark prints reaches a problem, and the gold comes from answer.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.settings import split_words
from trueup.core.types import Item, Json, Message, Problem, Prompt
from trueup.tasks.draw import drawn

GOLD, ROWS, PROMPT = "answer.json", "data.jsonl", "prompt.json"
SHOTS = {"0": "zero_shot", "2": "two_shot"}
FAMILIES = ("crossword", "acrostic", "logic", "cryptogram", "sudoku", "drop")


def lr2bench(argument: str, *, stratum: str, limit: int | None = None, seed: int = 0) -> tuple[Item, ...]:
    """The items of all levels below a folder; where a limit takes fewer, they are drawn by the seed.

    Raises BadInput where the folder holds no level, or a row has no gold.
    """
    words, settings = _split(argument)
    folder, shots = Path(words).expanduser(), settings.pop("shots", "0")
    if shots not in SHOTS or settings:
        raise BadInput(f"lr2bench:{argument}: it takes shots=0 or shots=2 behind the path, and nothing else")
    levels = sorted(path.parent for path in folder.rglob(ROWS))
    if not levels:
        raise BadInput(f"lr2bench: no {ROWS} below {str(folder)!r}; give the data folder of LR²Bench or a part of it")
    gold = _gold(folder)
    items = [item for level in levels for item in _items(level, gold, stratum, SHOTS[shots])]
    return tuple(items[place] for place in drawn(len(items), limit, seed))


def _split(argument: str) -> tuple[str, dict[str, str]]:
    path, mark, rest = argument.partition(" shots=")
    return path, dict(split_words(f"lr2bench shots={rest}")[1]) if mark else {}


def _gold(folder: Path) -> dict[tuple[str, str, str], Json]:
    """Gold by family, level and tag, from the nearest answer.json at or above a folder."""
    found = next((path / GOLD for path in (folder, *folder.resolve().parents) if (path / GOLD).is_file()), None)
    if found is None:
        raise BadInput(f"lr2bench: no {GOLD} in {str(folder)!r} or above it; it belongs into the data folder")
    table = json.loads(found.read_text(encoding="utf-8"))
    return {
        (family, row["level"], str(row["tag"])): json.loads(row["answer"]) for family in table for row in table[family]
    }


def _items(level: Path, gold: dict[tuple[str, str, str], Json], stratum: str, shots: str) -> Iterator[Item]:
    family = level.resolve().parent.name.partition("-")[2]
    if family not in FAMILIES:
        raise BadInput(f"lr2bench: {level.parent.name!r} is no family; known: {', '.join(FAMILIES)}")
    turns = json.loads((level / PROMPT).read_text(encoding="utf-8"))[shots]
    for line in (level / ROWS).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        tag = str(row["tag"])
        if (family, level.name, tag) not in gold:
            raise BadInput(f"lr2bench: {GOLD} has nothing for {family} {level.name} {tag}; take both from one release")
        name = f"{family}/{level.name}/{tag}"
        problem = Problem(name, stratum, _prompt(turns, row["example_text"]))
        yield Item(problem, {"family": family, "answer": gold[family, level.name, tag]}, name)


def _prompt(turns: list[dict[str, Any]], puzzle: str) -> Prompt:
    return tuple(Message(turn["role"], turn["content"].replace("<example>", puzzle)) for turn in turns)
