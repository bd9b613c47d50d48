"""What is seen of a model that writes calls: its faults item by item, and what it cost.

Axes: M item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from trueup.core.types import Json

Tokens = NDArray[np.int64]
Flags = NDArray[np.bool_]

KINDS = ("right", "unparsable", "not offered", "wrong count", "wrong type", "wrong function", "wrong value")
"""What may be wrong with a call: first faults of form, of which the first is that it cannot be parsed."""
FORM = 4
COUNTS = ("free_M", "held_M", "sampled_M")


@dataclass(frozen=True, slots=True)
class Seen:
    """A model on the test items, and what its training took; pre-training counts for the base and the teacher alone.

    Faults are places in `KINDS`: `free_M` of its likeliest calls, `held_M` of those within the grammar of what was
    offered, `sampled_M` of one draw each. `path` has rows of a step, and mean log-probabilities of the chosen and the
    rejected of pairs kept aside, `tried` of a learning rate and the success on requests kept aside; `tuning_flops` are
    those of the rates that were not taken, and of asking.
    """

    free_M: Tokens
    held_M: Tokens
    sampled_M: Tokens
    generated_tokens: float
    request_flops: float
    gradient_tokens: int = 0
    training_flops: float = 0.0
    reference_flops: float = 0.0
    sampled_tokens: int = 0
    sampling_flops: float = 0.0
    rate: float = 0.0
    tried: Sequence[Sequence[float]] = ()
    tuning_flops: float = 0.0
    negatives: Mapping[str, int] | None = None
    path: Sequence[Sequence[float]] = ()

    def to_json(self) -> Json:
        """This, as JSON."""
        counts = {name: getattr(self, name).tolist() for name in COUNTS}
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, **counts}

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Seen:
        """What `to_json` wrote."""
        return cls(**{**table, **{name: np.array(table[name], np.int64) for name in COUNTS}})


def form_faults(faults_M: Tokens) -> Flags:
    """Calls that cannot be parsed, or do not fit what was offered."""
    return (faults_M > 0) & (faults_M <= FORM)


def content_faults(faults_M: Tokens) -> Flags:
    """Calls that can be made, and return something else."""
    return faults_M > FORM
