"""What a direct model's states tell of the sweeps: ridge regression, layer by layer.

Probed is the stream at the last token of the prompt and at `#`, from which the first value is read. Targets are the
first unknown after each sweep, in fractions, and the solution, each less what is linear in the numbers of the prompt;
the rest cannot be read off the input. Half of the problems fit the probe, half of them judge it.
Axes: B problem, H held-out problem, F feature, K target (sweep 2, 3, ..., then the solution),
L layer (0 the embedding).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.core.types import Json

if TYPE_CHECKING:
    from trueup.train.laboratory import Transformer
    from trueup.train.laboratory.tasks.coupled import Systems

Numbers = NDArray[np.float64]
PENALTIES = tuple(10.0**power for power in range(-4, 5))
PLACES = 2
"""The last two tokens: the end of the prompt and the mark of the answer."""


@dataclass(frozen=True, slots=True)
class Probed:
    """Squared errors of held-out targets in units of their variance: by the taught model's states, by a blank one's."""

    taught_LKH: Numbers
    blank_LKH: Numbers

    @property
    def sweeps(self) -> tuple[int, ...]:
        """Which sweeps there are beside the solution."""
        return tuple(range(2, self.taught_LKH.shape[1] + 1))

    def to_json(self) -> Json:
        """This, as JSON."""
        return [np.round(part, 6).tolist() for part in (self.taught_LKH, self.blank_LKH)]

    @classmethod
    def of_json(cls, parts: Json) -> Probed:
        """What `to_json` wrote."""
        return cls(*(np.array(part) for part in parts))


def probed(taught: Transformer, blank: Transformer, prompts_BP: NDArray[np.int64], sweeps: int) -> Probed:
    """Probe both models on problems of so many sweeps; the last sweep is as good as the solution and is left out."""
    from trueup.train.laboratory.tasks.coupled import read_systems

    systems = read_systems(prompts_BP)
    target_BK = _beyond_linear(_targets(systems, sweeps - 1), _numbers(systems))
    errors = [
        np.stack([_held_out_errors(state_BF, target_BK) for state_BF in _states(model, prompts_BP)])
        for model in (taught, blank)
    ]
    return Probed(*errors)


def _targets(systems: Systems, sweeps: int) -> Numbers:
    """The first unknown after sweeps 2 to `sweeps`, without rounding, and at the solution."""
    values_B2, columns = np.zeros((len(systems), 2)), []
    for _ in range(sweeps):
        for place in (0, 1):
            values_B2[:, place] = systems.implied(values_B2)[:, place]
        columns.append(values_B2[:, 0].copy())
    return np.column_stack([*columns[1:], systems.solutions()[:, 0]])


def _numbers(systems: Systems) -> Numbers:
    """The numbers of the prompt, of each kind of problem apart, and a one."""
    numbers_BF = np.column_stack([np.ones(len(systems)), systems.share_B2, systems.given_B2, systems.limit_B])
    kind_B1 = systems.held_B[:, None]
    return np.concatenate([numbers_BF * kind_B1, numbers_BF * ~kind_B1], 1)


def _beyond_linear(target_BK: Numbers, numbers_BF: Numbers) -> Numbers:
    left_BK = target_BK - numbers_BF @ np.linalg.lstsq(numbers_BF, target_BK, rcond=None)[0]
    return np.asarray(left_BK / left_BK.std(0))


def _states(model: Transformer, prompts_BP: NDArray[np.int64]) -> list[Numbers]:
    """The stream behind the embedding and behind each block, at the last places."""
    import torch

    from trueup.train.laboratory.costs import reading
    from trueup.train.laboratory.vocabulary import ANSWER

    rows_BT = torch.from_numpy(np.pad(prompts_BP, ((0, 0), (0, 1)), constant_values=ANSWER))
    streams = []

    def keep(module: torch.nn.Module, inputs: object, stream_BTC: torch.Tensor) -> None:
        streams.append(stream_BTC[:, -PLACES:].flatten(1).double().numpy())

    hooks = [part.register_forward_hook(keep) for part in (model.embedding, *model.blocks)]
    with torch.inference_mode(), reading(model, rows_BT.numpy()):
        model.states(rows_BT)
    for hook in hooks:
        hook.remove()
    return streams


def _held_out_errors(state_BF: Numbers, target_BK: Numbers) -> Numbers:
    """Squared errors on the second half of a ridge that was fitted to the first, axes KH.

    Each target has the penalty that leaves the least error when a problem is left out of the fit.
    """
    half = len(state_BF) // 2
    middle_F, spread_F = state_BF[:half].mean(0), state_BF[:half].std(0) + 1e-9
    state_BF = (state_BF - middle_F) / spread_F
    target_K = target_BK[:half].mean(0)
    wanted_BK = target_BK[:half] - target_K
    left, size, right = np.linalg.svd(state_BF[:half], full_matrices=False)
    best_K, fitted_FK = np.full(target_BK.shape[1], np.inf), np.zeros((state_BF.shape[1], target_BK.shape[1]))
    for penalty in PENALTIES:
        shrunk = size**2 / (size**2 + penalty * half)
        error_BK = (wanted_BK - left * shrunk @ (left.T @ wanted_BK)) / (1 - (left**2 @ shrunk))[:, None]
        loss_K = (error_BK**2).mean(0)
        weight_FK = right.T @ ((shrunk / np.maximum(size, 1e-12))[:, None] * (left.T @ wanted_BK))
        better_K = loss_K < best_K
        fitted_FK[:, better_K], best_K = weight_FK[:, better_K], np.minimum(best_K, loss_K)
    errors_HK = (target_BK[half:] - target_K - state_BF[half:] @ fitted_FK) ** 2
    return np.asarray(errors_HK.T)
