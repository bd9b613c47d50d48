"""Low-rank adapters on the linear layers of a tiny model.

Hu et al. 2021, arXiv:2106.09685: y = W x + (alpha / rank) B A x with W frozen and B zero at the start.
"""

from __future__ import annotations

import copy
from math import sqrt

import torch
from torch import Tensor, nn

from trueup.train.laboratory.transformer import Transformer


class Adapted(nn.Module):
    """A frozen linear layer with an adapter beside it."""

    def __init__(self, frozen: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        self.frozen = frozen
        device = frozen.weight.device
        down_RI = torch.randn(rank, frozen.in_features, generator=generator) / sqrt(frozen.in_features)
        self.down = nn.Parameter(down_RI.to(device))
        self.up = nn.Parameter(torch.zeros(frozen.out_features, rank, device=device))
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.frozen(x) + self.scale * (x @ self.down.T @ self.up.T)
        return out

    def merged(self) -> nn.Linear:
        """The layer with its adapter added to its weights."""
        with torch.no_grad():
            self.frozen.weight += self.scale * self.up @ self.down
        return self.frozen


def adapted(model: Transformer, *, rank: int = 4, alpha: float = 8.0, seed: int = 0) -> Transformer:
    """A copy of a model in which only adapters on the blocks' linear layers can be trained."""
    model, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    model.requires_grad_(False)
    for parent in list(model.blocks.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, Adapted(child, rank, alpha, generator))
    return model


def merged(model: Transformer) -> Transformer:
    """A copy of an adapted model with its adapters added to the weights: the same function, the old size."""
    model = copy.deepcopy(model)
    for parent in list(model.blocks.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Adapted):
                setattr(parent, name, child.merged())
    return model.requires_grad_(True)
