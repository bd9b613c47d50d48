"""What a model does on problems apart, and what it took to teach it.

Axes: B row, P prompt token, T token, M item, N attempt, K turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.self_correction_base import Size, split
from trueup.core.types import Json

if TYPE_CHECKING:
    from trueup.train.laboratory import Transformer

FLAT = 0.02
"""An arm whose pilot moves by less from one mark to the next has stopped learning."""
FLAGS = ("first_M", "second_M", "edited_M", "fixed_M")


@dataclass(frozen=True, slots=True)
class Taught:
    """What it took: `sampled_tokens` of its own attempts, None where they were not counted.

    `curve` holds the pilot's both turns, a row per mark, the end included; `is_flat` says whether it ends level.
    """

    updates: int
    tokens: int
    flops: int
    sampled_tokens: int | None = None
    curve: tuple[tuple[float, float], ...] = ()
    is_flat: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model does on the test items, greedily.

    `fixed_M` is whether its second attempt is right behind the base's first one instead of its own. `distances` counts
    edited tokens between its two attempts.
    """

    first_M: NDArray[np.bool_]
    second_M: NDArray[np.bool_]
    edited_M: NDArray[np.bool_]
    fixed_M: NDArray[np.bool_]
    distances: tuple[int, ...]
    lengths: tuple[float, float]
    taught: Taught

    def to_json(self) -> Json:
        """As JSON: flags as text of 0 and 1."""
        flags = {name: "".join("01"[int(x)] for x in getattr(self, name)) for name in FLAGS}
        return {
            **flags, "distances": list(self.distances), "lengths": list(self.lengths), "taught": asdict(self.taught)
        }  # fmt: skip

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Seen:
        """What `to_json` gave."""
        flags = {name: np.array([x == "1" for x in table[name]], bool) for name in FLAGS}
        taught = {**table["taught"], "curve": tuple(map(tuple, table["taught"]["curve"]))}
        return cls(
            **flags, distances=tuple(table["distances"]), lengths=tuple(table["lengths"]), taught=Taught(**taught)
        )  # fmt: skip


def see(size: Size, model: Transformer, base: Transformer, taught: Taught) -> Seen:
    """Both attempts at the test items, greedily, behind its own first ones and behind the base's."""
    from trueup.train.laboratory import greedy
    from trueup.train.laboratory.turns import answered, episodes
    from trueup.train.laboratory.vocabulary import PAD

    two_turns, test_BP = size.two_turns, split(size).test_BP
    own = episodes(model, two_turns, test_BP, temperature=0.0)
    first_BT = greedy(base, test_BP, most=two_turns.most).tokens_BT
    fixed = answered(model, two_turns, test_BP, first_BT, temperature=0.0)
    distance_M = distances(own.first_BT, own.second_BT)
    lengths = [float((attempt_BT != PAD).sum(1).mean()) for attempt_BT in (own.first_BT, own.second_BT)]
    return Seen(
        own.right_BK[:, 0], own.right_BK[:, 1], distance_M > 0, fixed.right_BK[:, 1],
        tuple(np.bincount(distance_M, minlength=2 * two_turns.most + 1).tolist()), (lengths[0], lengths[1]), taught,
    )  # fmt: skip


def pilot(size: Size, model: Transformer) -> tuple[float, float]:
    """How often each turn is right on the pilot, greedily."""
    from trueup.train.laboratory.turns import episodes

    right_BK = episodes(model, size.two_turns, split(size).pilot_BP, temperature=0.0).right_BK
    return float(right_BK[:, 0].mean()), float(right_BK[:, 1].mean())


def flat(curve: Sequence[Sequence[float]], turn: int) -> bool:
    """Whether the pilot moved by less than FLAT between the last two marks, at the turn that counts (0 or 1)."""
    return len(curve) > 1 and abs(curve[-1][turn] - curve[-2][turn]) < FLAT


def pass_at(size: Size, model: Transformer, n: int, *, seed: int) -> tuple[float, float]:
    """How often a sampled first attempt is right, and one of n."""
    from trueup.train.laboratory import generate

    two_turns, test_BP = size.two_turns, split(size).test_BP
    out = generate(model, test_BP, most=two_turns.most, n=n, seed=seed)
    right_MN = two_turns.right(test_BP.repeat(n, 0), out.tokens_BT).reshape(-1, n)
    return float(right_MN.mean()), float(right_MN.any(1).mean())


def distances(first_BT: NDArray[np.int64], second_BT: NDArray[np.int64]) -> NDArray[np.int64]:
    """Levenshtein's distance between the rows, padding left out."""
    B, T = first_BT.shape
    ends = (first_BT != 0).sum(1), (second_BT != 0).sum(1)
    table_BTT = np.zeros((B, T + 1, T + 1), np.int64)
    table_BTT[:, :, 0], table_BTT[:, 0, :] = np.arange(T + 1), np.arange(T + 1)
    for i in range(1, T + 1):
        for j in range(1, T + 1):
            changed_B = first_BT[:, i - 1] != second_BT[:, j - 1]
            either_B = 1 + np.minimum(table_BTT[:, i - 1, j], table_BTT[:, i, j - 1])
            table_BTT[:, i, j] = np.minimum(table_BTT[:, i - 1, j - 1] + changed_B, either_B)
    out: NDArray[np.int64] = table_BTT[np.arange(B), ends[0], ends[1]]
    return out
