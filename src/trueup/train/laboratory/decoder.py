"""What tokens are drawn from."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Decoder(Protocol):
    """What logits come from: a model, or several behind one face."""

    @property
    def parameter_count(self) -> int: ...

    def begin(self, rows: int, length: int, seen_BT: Tensor | None = None) -> Any: ...

    def __call__(self, tokens_BT: Tensor, cache: Any) -> Tensor: ...


def device_of(model: Decoder) -> torch.device:
    """Where a model is; the CPU where it does not say."""
    device: torch.device = getattr(model, "device", torch.device("cpu"))
    return device
