"""What a model sampled while it was taught when to think.

Axes: U update, D dial, 2 mode (short, think).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueup.core.types import Json
from trueup.plan.estimate import Column

if TYPE_CHECKING:
    from trueup.train.laboratory.modes import Modes

Counts = NDArray[np.int64]
Reward = Callable[[Counts, Counts], Any]
END = 0.1
"""The last part of the updates: what a policy has come to."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Counts of each update: samples and those that think by dial, then samples, right ones and tokens by mode.

    `cut_U` are those that ran into the limit; what names no mode is in no mode's count.
    """

    rows_UD: Counts
    think_UD: Counts
    rows_U2: Counts
    right_U2: Counts
    tokens_U2: Counts
    cut_U: Counts

    def think(self, part: slice = slice(None)) -> float:
        """The share of samples that think, in a part of the updates."""
        return float(self.think_UD[part].sum() / self.rows_UD[part].sum())

    def minority(self) -> float:
        """The share of samples of the rarer mode at the end."""
        part = self.end
        return float(self.rows_U2[part].sum(0).min() / self.rows_UD[part].sum())

    @property
    def end(self) -> slice:
        """The last updates."""
        return slice(-max(1, round(END * len(self.rows_UD))), None)

    def course(self, points: int) -> list[float]:
        """The share that thinks, over so many equal parts of the updates."""
        parts = np.array_split(np.arange(len(self.rows_UD)), points)
        return [self.think(slice(part[0], part[-1] + 1)) for part in parts if len(part)]

    def by_mode(self, part: slice) -> tuple[Column, Column]:
        """Accuracy and mean length of each mode; not a number for a mode that never came."""
        rows_2 = self.rows_U2[part].sum(0)
        seen_2 = np.where(rows_2 > 0, rows_2, np.nan)
        return self.right_U2[part].sum(0) / seen_2, self.tokens_U2[part].sum(0) / seen_2

    def to_json(self) -> Json:
        """This, as JSON."""
        return {f.name: getattr(self, f.name).tolist() for f in fields(self)}

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Trace:
        """What `to_json` wrote."""
        return cls(**{name: np.array(value, np.int64) for name, value in table.items()})


def pooled(traces: Sequence[Trace]) -> Trace:
    """The counts of several runs of as many updates, added up."""
    return Trace(*(sum(getattr(trace, f.name) for trace in traces) for f in fields(Trace)))


class Watched:
    """A reward that counts what it is shown: it is asked once an update, for all of its samples."""

    def __init__(self, modes: Modes, most: int, reward: Reward) -> None:
        self._modes, self._most, self._reward = modes, most, reward
        self._rows: list[Sequence[Any]] = []

    def __call__(self, prompts_BP: Counts, completions_BT: Counts) -> Any:
        """The reward of each completion."""
        modes, dial_B = self._modes, self._modes.direct.dials(prompts_BP)
        mode_B2 = modes.named(completions_BT)
        right_B, length_B = modes.check(prompts_BP, completions_BT), modes.lengths(completions_BT)
        dials = np.arange(1, self._most + 1)
        at_BD = dial_B[:, None] == dials
        self._rows.append((
            at_BD.sum(0), (at_BD & mode_B2[:, 1:]).sum(0), mode_B2.sum(0), (mode_B2 & right_B[:, None]).sum(0),
            (mode_B2 * length_B[:, None]).sum(0), modes.is_cut(completions_BT).sum(),
        ))  # fmt: skip
        return self._reward(prompts_BP, completions_BT)

    @property
    def trace(self) -> Trace:
        """All updates so far."""
        return Trace(*(np.array(column) for column in zip(*self._rows, strict=True)))
