"""Tiny models that reason and reflect in writing, on structure that they know and on structure that they do not.

They are taught strips of 3 and 5 cells with their searches, and to judge one more kind of tie that no search of theirs
has met. All that is asked has a search no longer than those learned, and no token that was not seen. Training goes on
in rounds until a pilot finds familiar strips solved. Axes: B row, T token, M item, N attempt at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueup.claims.chains import HELD_OUT
from trueup.claims.pieces import Pieces
from trueup.claims.start import laboratory
from trueup.core.types import Json
from trueup.plan.estimate import Column

if TYPE_CHECKING:
    from trueup.train.laboratory import Spent, Transformer
    from trueup.train.laboratory.examples import Examples, Source
    from trueup.train.laboratory.tasks.strip import Strip

Tokens = NDArray[np.int64]
Right = NDArray[np.bool_]

KNOWN, NEW = "+-*g", ":"
TAUGHT = (3, 5)
FAMILIAR, BETWEEN, BEYOND, KIND = "familiar", "size between", "size beyond", "kind of tie"
GROUPS: Mapping[str, tuple[int, str]] = {
    FAMILIAR: (5, KNOWN), BETWEEN: (4, KNOWN), BEYOND: (6, KNOWN), KIND: (5, KNOWN + NEW),
}  # fmt: skip
"""Cells, and what may be said of them; a strip of the last has at least one tie of the new kind."""
TAUGHT_ONCE, SHOWN = "taught", "shown the rest"
BUCKETS, JUDGED_SHARE, SMALL_SHARE, JUDGED_STEPS = 4, 0.2, 0.2, 10
PILOT_ITEMS, SOLVED, SLACK_TOKENS = 200, 0.97, 40


@dataclass(frozen=True, slots=True)
class Size:
    """How large the laboratory is: up to `rounds` rounds of `steps` updates, then `shown` with everything in them.

    Strips whose searches take more than `longest` tokens are left out everywhere. `pool` strips are learned from,
    `items` of each group asked, the first `sampled` of them `attempts` times over.
    """

    width: int
    layers: int
    steps: int
    rounds: int
    shown: int
    pool: int
    items: int
    sampled: int
    attempts: int = 4
    rows: int = 64
    lr: float = 4e-3
    longest: int = 110


@dataclass(frozen=True, slots=True)
class Group:
    """What a model wrote for the items of one group, greedily; `needed` is what the search takes that it was taught.

    `share_M` is the part of the cells that is right, `marks_M` counts reflections, `undone_M` take-backs that the
    search needs, `length_M` its tokens; `true_M` says that the whole search was written as it should be.
    """

    right_M: Right
    share_M: Column
    marks_M: Tokens
    tokens_M: Tokens
    true_M: Right
    needed_M: Tokens
    undone_M: Tokens
    length_M: Tokens
    right_MN: Right
    marks_MN: Tokens

    def to_json(self) -> Json:
        """This, as JSON."""
        return {name: np.asarray(getattr(self, name)).tolist() for name in self.__slots__}

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Group:
        """What `to_json` wrote."""
        return cls(**{name: np.array(value) for name, value in table.items()})


@dataclass(frozen=True, slots=True)
class Seen:
    """A model on every group; `judged` is the part of its verdicts on ties of the new kind that is right."""

    groups: Mapping[str, Group]
    judged: float
    steps: int
    flops: float

    def to_json(self) -> Json:
        """This, as JSON."""
        groups = {name: group.to_json() for name, group in self.groups.items()}
        return {"groups": groups, "judged": self.judged, "steps": self.steps, "flops": self.flops}

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Seen:
        """What `to_json` wrote."""
        return cls(**{**table, "groups": {name: Group.of_json(group) for name, group in table["groups"].items()}})


def run_seed(size: Size, seed: int, first: int, pieces: Pieces) -> dict[str, Seen]:
    """The model as it was taught, and after it was shown strips of every group; the items are those of all seeds."""
    room = laboratory()
    asked = {name: draw(size, name, size.items, Random(f"items:{HELD_OUT + first}:{name}")) for name in GROUPS}

    def make(name: str) -> Json:
        model, spent = taught(size, seed, pieces, asked[FAMILIAR])
        if name == SHOWN:
            model = deepcopy(model)
            recipe = room.Recipe(size.shown, size.rows, size.lr / 2, seed=seed + HELD_OUT)
            spent += room.train(model, everything(size, seed, asked), recipe)
        return look(size, model, asked, seed, spent).to_json()

    return {
        name: Seen.of_json(pieces.get(f"seed{seed}-{name.replace(' ', '-')}", partial(make, name)))
        for name in (TAUGHT_ONCE, SHOWN)
    }


def draw(size: Size, group: str, count: int, rng: Random, *, cells: int = 0) -> list[Strip]:
    """So many strips of a group, or of another number of cells with what may be said in it.

    The search of every second one takes something back.
    """
    from trueup.train.laboratory.tasks.strip import UNDONE, draw_strip

    own, kinds = GROUPS[group]

    def wanted(strip: Strip, *, is_second: bool) -> bool:
        if NEW in kinds and NEW not in strip.kinds():
            return False
        search = strip.worked
        return len(search) <= size.longest and (UNDONE in search or not is_second)

    return [
        draw_strip(rng, cells or own, kinds, wanted=partial(wanted, is_second=place % 2 == 1)) for place in range(count)
    ]


def taught(size: Size, seed: int, pieces: Pieces, asked: Sequence[Strip]) -> tuple[Transformer, Spent]:
    """A model that learned to search familiar strips, and to judge the new kind of tie without a search."""
    from trueup.train.laboratory.tasks.strip import PROMPT_TOKENS, judged_rows, worked_rows

    room, rng = laboratory(), Random(f"taught:{seed}")
    small = round(SMALL_SHARE * size.pool)
    strips = draw(size, FAMILIAR, small, rng, cells=TAUGHT[0])
    strips += others(draw(size, FAMILIAR, size.pool - small, rng), asked)
    judged = judged_rows(rng, draw(size, KIND, size.pool // 4, rng), JUDGED_STEPS)
    shape = room.Shape(width=size.width, layers=size.layers, context=PROMPT_TOKENS + size.longest + SLACK_TOKENS)
    model, spent = room.Transformer(shape, seed=seed), room.Spent()
    source = mixed(worked_rows(strips), judged)
    pilot = others(draw(size, FAMILIAR, PILOT_ITEMS, Random(f"pilot:{seed}")), asked)
    for number in range(size.rounds):
        recipe = room.Recipe(size.steps, size.rows, size.lr, seed=seed + 1000 * number)
        spent += room.train(model, source, recipe, checkpoint=pieces.file(f"seed{seed}-{number}.pt"), every_steps=100)
        if read(size, model, pilot, seed).right_M.mean() >= SOLVED:
            break
    return model, spent


def everything(size: Size, seed: int, asked: Mapping[str, Sequence[Strip]]) -> Source:
    """Searches of every group, in equal parts."""
    from trueup.train.laboratory.tasks.strip import judged_rows, worked_rows

    rng, each = Random(f"shown:{seed}"), size.pool // len(GROUPS)
    strips = {name: others(draw(size, name, each, rng), asked[name]) for name in GROUPS}
    judged = judged_rows(rng, strips[KIND], JUDGED_STEPS)
    return mixed(worked_rows([strip for group in strips.values() for strip in group]), judged)


def others(strips: Sequence[Strip], asked: Sequence[Strip]) -> list[Strip]:
    """The strips that are not asked later."""
    held = {strip.prompt for strip in asked}
    return [strip for strip in strips if strip.prompt not in held]


def mixed(worked: Examples, judged: Examples) -> Source:
    """Batches of rows of about one length, or of verdicts; a batch is as wide as its longest row."""
    from trueup.train.laboratory.vocabulary import PAD

    order = np.argsort((worked.tokens_BT != PAD).sum(1), kind="stable")
    buckets = np.array_split(order, BUCKETS)

    def source(rng: np.random.Generator, n: int) -> Examples:
        if rng.random() < JUDGED_SHARE:
            return _rows(judged, rng.integers(0, len(judged.tokens_BT), n))
        bucket = buckets[rng.integers(0, BUCKETS)]
        return _rows(worked, bucket[rng.integers(0, len(bucket), n)])

    return source


def look(size: Size, model: Transformer, asked: Mapping[str, Sequence[Strip]], seed: int, spent: Spent) -> Seen:
    """What a model writes for every group, and how it judges the new kind of tie."""
    groups = {name: read(size, model, strips, seed, size.sampled) for name, strips in asked.items()}
    return Seen(groups, judging(model, asked[KIND], seed), spent.steps, float(spent.flops))


def read(size: Size, model: Transformer, strips: Sequence[Strip], seed: int, sampled: int = 0) -> Group:
    """What a model writes for strips: once greedily for each, several times for the first ones."""
    from trueup.train.laboratory.tasks.strip import END, REFLECTIONS, UNDONE
    from trueup.train.laboratory.vocabulary import decode, encode_rows

    room, most = laboratory(), size.longest + SLACK_TOKENS
    prompts_BP = encode_rows([strip.prompt for strip in strips])
    said = [decode(row) for row in room.greedy(model, prompts_BP, most=most).tokens_BT]
    drawn = room.generate(model, prompts_BP[:sampled], most=most, n=size.attempts, seed=seed).tokens_BT
    again, N = [decode(row) for row in drawn], size.attempts
    searches = [strip.worked for strip in strips]
    share_M = np.array([_share(text, strip.solution) for text, strip in zip(said, strips, strict=True)])
    return Group(
        np.array([_answer(text) == strip.solution for text, strip in zip(said, strips, strict=True)]),
        share_M, _count(said, REFLECTIONS), np.array([len(text) + 1 for text in said]),
        np.array([text + END == search for text, search in zip(said, searches, strict=True)]),
        _count(searches, REFLECTIONS), _count(searches, UNDONE), np.array([len(search) for search in searches]),
        np.array([_answer(text) == strips[i // N].solution for i, text in enumerate(again)], bool).reshape(-1, N),
        _count(again, REFLECTIONS).reshape(-1, N),
    )  # fmt: skip


def judging(model: Transformer, strips: Sequence[Strip], seed: int) -> float:
    """The part of verdicts on ties of the new kind that is right; as many hold as do not, by weight."""
    import torch

    from trueup.train.laboratory.costs import reading
    from trueup.train.laboratory.tasks.strip import judged_rows

    rows = judged_rows(Random(f"judged:{seed}"), strips, JUDGED_STEPS // 2, ties=NEW)
    with torch.no_grad(), reading(model, rows.tokens_BT[:, :-1]):
        said_BT = model(torch.from_numpy(rows.tokens_BT[:, :-1])).argmax(-1).numpy()
    learned_BT, true_BT = rows.learned_BT[:, 1:], rows.tokens_BT[:, 1:]
    right, mark = (said_BT == true_BT)[learned_BT], true_BT[learned_BT]
    return float(np.mean([right[mark == one].mean() for one in np.unique(mark)]))


def _rows(examples: Examples, chosen: Any) -> Examples:
    from trueup.train.laboratory.examples import Examples as Rows
    from trueup.train.laboratory.vocabulary import PAD

    tokens_BT = examples.tokens_BT[chosen]
    width = int((tokens_BT != PAD).sum(1).max())
    return Rows(tokens_BT[:, :width], examples.learned_BT[chosen][:, :width])


def _share(text: str, solution: str) -> float:
    """The part of the cells that an answer has right, however many it fills."""
    return sum(a == b for a, b in zip(_answer(text), solution, strict=False)) / len(solution)


def _answer(text: str) -> str:
    return text.partition("#")[2]


def _count(texts: Sequence[str], marks: str) -> Tokens:
    return np.array([sum(text.count(mark) for mark in marks) for text in texts], np.int64)
