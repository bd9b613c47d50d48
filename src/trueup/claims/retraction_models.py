"""Tiny models that colour maps: forward, by a search in text, by one that is deleted, by writing constraints.

All learn from the same maps, for as many training tokens, along a learning curve: first a ninth of the maps and tokens,
then a third, then all. All are tried on the same items, and none may write more tokens than another.
Axes: M item, B row, P prompt token, T token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.chains import HELD_OUT
from trueup.claims.pieces import Pieces
from trueup.claims.retraction_formal import Decided, of_programs
from trueup.claims.start import laboratory
from trueup.core.puzzles.network import all_different, network, search
from trueup.core.types import Json

if TYPE_CHECKING:
    from trueup.train.laboratory import Examples, Spent, Transformer
    from trueup.train.laboratory.tasks.maps import Map

Right = NDArray[np.bool_]
Tokens = NDArray[np.int64]

FORWARD, APPEND, DELETE, FORMAL = "forward only", "append-only search", "true deletion", "formalise and solve"
TAUGHT = (FORWARD, APPEND, DELETE, FORMAL)
GREEDY, PASSING = "forward only, one greedy answer", "forward only, until an answer passes the check"
STEERED = "forward only, true deletion by an exact critic"
SAME_WEIGHTS = "append-only search's weights, true deletion"
BANDS = ("0", "1..2", "3..99")
BEFORE, LAST = "a third", "all"
POINTS: Mapping[str, int] = {"a ninth": 9, BEFORE: 3, LAST: 1}
"""The learning curve: one of so many parts of the data, the smallest first."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large the laboratory is.

    `maps` and `items` are those of each band of wrong turns, to learn from and to be tried on; `tokens` are what each
    model is trained on in all, `most` what it may write of an item.
    """

    maps: int
    items: int
    width: int
    tokens: int
    layers: int = 3
    regions: int = 9
    borders: int = 16
    given: int = 2
    rows: int = 64
    lr: float = 4e-3
    most: int = 126

    @property
    def program(self) -> int:
        """The tokens of the longest program, its end mark with it: 3 a region and one a border."""
        return 3 * self.regions + self.borders + 1


@dataclass(frozen=True, slots=True)
class Seen:
    """A way of answering on the items: which are right, and how many tokens it wrote of each.

    `read` are tokens that it read a second time, `faults` how often a program failed, by the way it did.
    """

    right_M: Right
    written_M: Tokens
    read: float = 0.0
    faults: Mapping[str, int] | None = None
    training_tokens: int = 0
    training_flops: int = 0

    def to_json(self) -> Json:
        """This, as JSON."""
        bits = "".join("1" if right else "0" for right in self.right_M)
        rest = [self.read, self.faults, self.training_tokens, self.training_flops]
        return [bits, self.written_M.tolist(), *rest]

    @classmethod
    def of_json(cls, row: Sequence[Json]) -> Seen:
        """What `to_json` wrote."""
        bits, written, *rest = row
        return cls(np.array([bit == "1" for bit in bits], bool), np.array(written, np.int64), *rest)


def maps_of(size: Size, seed: int, pieces: Pieces) -> tuple[list[Map], list[Map]]:
    """The maps to learn from and the items, band after band; no map is among the items in other colours."""
    laboratory()
    from trueup.train.laboratory.tasks.maps import Map, Maps

    task = Maps(size.regions, size.borders, size.given, (size.most - 1) // 2)

    def drawn(kind: str, count: int, first: int) -> list[Map]:
        def make(band: str) -> Json:
            maps = (task.draw(f"{first}:{band}:{i}", band) for i in range(count))
            return [[one.earlier, one.colours, one.given, one.undone] for one in maps]

        rows = [row for band in BANDS for row in pieces.get(f"{kind}-{band}", partial(make, band))]
        return [Map(tuple(map(tuple, earlier)), tuple(colours), *rest) for earlier, colours, *rest in rows]

    items = drawn("items", size.items, HELD_OUT + seed)
    taken = {one.key() for one in items}
    return [one for one in drawn("maps", size.maps, seed) if one.key() not in taken], items


def run_seed(
    size: Size, seed: int, maps: Sequence[Map], items: Sequence[Map], gold: Sequence[Decided], pieces: Pieces
) -> dict[str, dict[str, Seen]]:
    """Every way of answering at each point of the learning curve, of models that began from this seed."""

    def make(arm: str) -> Json:
        found: dict[str, Json] = {}
        for point, model, spent in taught(size, arm, maps, seed, pieces):
            seen = look(size, arm, model, items, gold, seed, is_last=point == LAST)
            found[point] = {name: [*one.to_json()[:-2], spent.tokens, spent.flops] for name, one in seen.items()}
        return found

    parts = [pieces.get(f"seed{seed}-{arm.replace(' ', '-')}", partial(make, arm)) for arm in TAUGHT]
    return {point: {name: Seen.of_json(row) for part in parts for name, row in part[point].items()} for point in POINTS}


def taught(
    size: Size, arm: str, maps: Sequence[Map], seed: int, pieces: Pieces
) -> list[tuple[str, Transformer, Spent]]:
    """The model at each point, as its checkpoints left it, and what it had taken by then."""
    room = laboratory()
    learned = {point: rows_of(arm, first_part(maps, of)) for point, of in POINTS.items()}
    context = max(learned[LAST].tokens_BT.shape[1], len(maps[0].prompt()) + 2 * size.most)
    model = room.Transformer(room.Shape(width=size.width, layers=size.layers, context=context), seed=seed)
    spent, found, had = room.Spent(), [], 0.0
    for number, (point, rows) in enumerate(learned.items()):
        share, had = 1 / POINTS[point] - had, 1 / POINTS[point]
        recipe = room.Recipe(steps_of(rows, size, share), size.rows, size.lr, seed=seed + 1000 * number)
        file = pieces.file(f"seed{seed}-{arm.replace(' ', '-')}-{number}.pt")
        spent += room.train(model, room.resampled(rows), recipe, checkpoint=file, every_steps=100)
        room.save_model(model, file.with_suffix(".model"))
        found.append((point, room.load_model(file.with_suffix(".model")), spent))
    return found


def first_part(maps: Sequence[Map], of: int) -> list[Map]:
    """One of so many parts of the maps of each band; they lie band after band."""
    edges = [0, *(i for i in range(1, len(maps)) if _band(maps[i]) != _band(maps[i - 1])), len(maps)]
    parts = [maps[begin:end] for begin, end in pairwise(edges)]
    return [one for part in parts for one in part[: max(1, len(part) // of)]]


def rows_of(arm: str, maps: Sequence[Map]) -> Examples:
    """What an arm learns from maps, in every naming of their colours."""
    from trueup.train.laboratory.tasks import maps as task

    kinds = {
        FORWARD: task.answer_rows, APPEND: task.search_rows, DELETE: task.standing_rows, FORMAL: task.program_rows
    }  # fmt: skip
    return kinds[arm](task.every_shade(maps))


def steps_of(rows: Examples, size: Size, share: float) -> int:
    """The updates that take a share of the training tokens."""
    from trueup.train.laboratory.vocabulary import PAD

    mean = float((rows.tokens_BT != PAD).sum() / len(rows.tokens_BT))
    return ceil(share * size.tokens / (size.rows * mean))


def look(
    size: Size, arm: str, model: Transformer, items: Sequence[Map], gold: Sequence[Decided], seed: int, *, is_last: bool
) -> dict[str, Seen]:
    """Every way in which this model may answer the items."""
    from trueup.train.laboratory.tasks.maps import prompts_of

    prompts_MP = prompts_of(items)
    if arm == FORWARD:
        return _forward(size, model, items, prompts_MP, seed, is_last=is_last)
    if arm == APPEND:
        return {arm: _appended(size, model, items, prompts_MP), SAME_WEIGHTS: _deleted(size, model, items, prompts_MP)}
    if arm == DELETE:
        return {arm: _deleted(size, model, items, prompts_MP)}
    texts, written_M = _texts(model, prompts_MP, size.program)
    right_M, faults = of_programs(texts, items, gold)
    return {arm: Seen(right_M, written_M, faults=faults)}


def _forward(
    size: Size, model: Transformer, items: Sequence[Map], prompts_MP: Tokens, seed: int, *, is_last: bool
) -> dict[str, Seen]:
    """One greedy answer, and the vote of as many sampled ones as may be written."""
    room, longest = laboratory(), 2 * (size.regions - size.given) + 1
    n = size.most // longest
    texts, written_M = _texts(model, prompts_MP, longest)
    sampled = room.generate(model, prompts_MP, most=longest, n=n, seed=seed)
    right_MN = _graded([one for one in items for _ in range(n)], _spelt(sampled.tokens_BT)).reshape(-1, n)
    answers = np.array(_spelt(sampled.tokens_BT)).reshape(-1, n)
    spent_MN = sampled.lengths.reshape(-1, n)
    voted_M = np.array([right[_first_of_most(said)] for right, said in zip(right_MN, answers.tolist(), strict=True)])
    found = {FORWARD: Seen(voted_M, spent_MN.sum(1)), GREEDY: Seen(_graded(items, texts), written_M)}
    if is_last:
        drawn_M = np.where(right_MN.any(1), right_MN.argmax(1) + 1, n)
        written_M = np.where(np.arange(n) < drawn_M[:, None], spent_MN, 0).sum(1)
        found |= {
            PASSING: Seen(np.asarray(right_MN.any(1)), written_M),
            STEERED: _steered(size, model, items, prompts_MP),
        }
    return found


def _first_of_most(said: Sequence[str]) -> int:
    """The place of the commonest answer, of equals the first."""
    _, places, counts = np.unique(said, return_index=True, return_counts=True)
    return int(places[np.lexsort((places, -counts))[0]])


def _appended(size: Size, model: Transformer, items: Sequence[Map], prompts_MP: Tokens) -> Seen:
    texts, written_M = _texts(model, prompts_MP, size.most)
    return Seen(_graded(items, texts), written_M)


def _deleted(size: Size, model: Transformer, items: Sequence[Map], prompts_MP: Tokens) -> Seen:
    from trueup.train.laboratory.deletion import generate_deleting
    from trueup.train.laboratory.tasks.maps import NONE
    from trueup.train.laboratory.vocabulary import token

    room = 2 * (size.regions - size.given) + 6
    found = generate_deleting(model, prompts_MP, most=size.most, room=room, undo=token(NONE))
    return Seen(_graded(items, _spelt(found.tokens_BT)), found.written_B, float(found.reread_B.mean()))


def _steered(size: Size, model: Transformer, items: Sequence[Map], prompts_MP: Tokens) -> Seen:
    """The critic knows the constraints alone, and whether what stands can still be completed."""
    from trueup.train.laboratory.deletion import generate_steered
    from trueup.train.laboratory.tasks.maps import SHADES, colours_said

    ties = [all_different([(j, i) for i, of in enumerate(one.earlier) for j in of], SHADES) for one in items]
    whole = (1 << SHADES) - 1
    tied = [network([whole] * len(one.earlier), pairs) for one, pairs in zip(items, ties, strict=True)]

    def allows(row: int, text: str) -> bool:
        one, said = items[row], colours_said(text + "$")
        shades = [str(shade) if i < one.given else said.get(name) for i, (name, shade) in enumerate(_named(one))]
        domains = [whole if shade is None else _bit(shade) for shade in shades]
        return all(domains) and bool(search(tied[row], domains, solutions=1).solutions)

    found = generate_steered(model, prompts_MP, allows, most=size.most, steps=size.regions - size.given)
    texts = [text + "$" for text in _spelt(found.tokens_BT)]
    return Seen(_graded(items, texts), found.written_B, float(found.reread_B.mean()))


def _named(one: Map) -> list[tuple[str, int]]:
    from trueup.train.laboratory.tasks.maps import NAMES

    return list(zip(NAMES, one.colours, strict=False))


def _bit(shade: str) -> int:
    return 1 << (int(shade) - 1) if shade in "123" else 0


def _texts(model: Transformer, prompts_MP: Tokens, most: int) -> tuple[list[str], Tokens]:
    """The likeliest completions, and their lengths."""
    found = laboratory().greedy(model, prompts_MP, most=most)
    return _spelt(found.tokens_BT), found.lengths


def _spelt(tokens_BT: Tokens) -> list[str]:
    """Rows as texts, their end mark with them."""
    from trueup.train.laboratory.vocabulary import END, decode

    return [decode(row) + "$" * bool((row == END).any()) for row in tokens_BT]


def _graded(items: Sequence[Map], texts: Sequence[str]) -> Right:
    from trueup.train.laboratory.tasks.maps import is_right

    return np.array([is_right(one, text) for one, text in zip(items, texts, strict=True)], bool)


def _band(one: Map) -> str:
    return BANDS[min(2, (one.undone + 1) // 2)]
