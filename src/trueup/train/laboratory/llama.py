"""Blocks of a Llama, for weights that were trained elsewhere.

Touvron et al. 2023, arXiv:2302.13971: SwiGLU, several heads of queries for one of keys and values, no biases.
On CUDA, and on a CPU where a shape asks for it, its matrix products and rotations are in bfloat16; on CUDA attention is
too. There a layer without a cache is compiled once for all layers and shapes: at this width it is many small kernels
otherwise. Torch's own TORCH_COMPILE_DISABLE=1 turns that off, and where there is no compiler torch says so and goes on
kernel by kernel.
Axes: B batch, T token, C width, H head, D head size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache as once

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention as _attention

from trueup.train.laboratory.transformer import Cache, Shape, rotate, turns


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaShape(Shape):
    """How large a Llama is; `key_heads` have keys and values of their own, `inner` is the width between up and down.

    One that is `half` computes in bfloat16 on a CPU too.
    """

    key_heads: int
    inner: int
    rotary_base: float
    epsilon: float
    half: bool = False

    @property
    def stored_heads(self) -> int:
        """How many heads have keys and values of their own."""
        return self.key_heads

    def block(self) -> nn.Module:
        """A layer."""
        return LlamaBlock(self)

    def norm(self) -> nn.RMSNorm:
        """A norm of the stream."""
        return nn.RMSNorm(self.width, self.epsilon)

    def turns(self) -> Tensor:
        """Cosines, then sines, of a position's angles, axes TD."""
        return turns(self, self.rotary_base)

    def precision(self, device: torch.device) -> torch.dtype:
        """What its blocks compute in."""
        return torch.bfloat16 if self.half or device.type == "cuda" else torch.float32


class LlamaAttention(nn.Module):
    """Causal self-attention in which heads share keys and values."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.size = shape.width // shape.heads
        shared = shape.key_heads * self.size
        self.q = nn.Linear(shape.width, shape.width, bias=False)
        self.k = nn.Linear(shape.width, shared, bias=False)
        self.v = nn.Linear(shape.width, shared, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x_BTC: Tensor, turn_TD: Tensor, layer: int, cache: Cache | None, mask: Tensor | None) -> Tensor:
        B, T, C = x_BTC.shape
        q, k, v = (part(x_BTC).view(B, T, -1, self.size).transpose(1, 2) for part in (self.q, self.k, self.v))
        heads = [q.shape[1], k.shape[1]]
        q, k = torch.split(rotate(torch.cat([q, k], 1), turn_TD), heads, 1)
        # A mask costs the fast kernels: at the beginning of unpadded rows causal says the same.
        is_causal = cache is None or (cache.length == 0 and not cache.padded)
        if cache is not None:
            k, v = cache.take(layer, k, v)
        y = attend(q, k, v, None if is_causal else mask, is_causal=is_causal)
        out: Tensor = self.out(y.transpose(1, 2).reshape(B, T, C))
        return out


class LlamaBlock(nn.Module):
    """Attention and a gated feed-forward layer, each behind a norm and added to the stream."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.norm1 = shape.norm()
        self.attention = LlamaAttention(shape)
        self.norm2 = shape.norm()
        self.gate = nn.Linear(shape.width, shape.inner, bias=False)
        self.up = nn.Linear(shape.width, shape.inner, bias=False)
        self.down = nn.Linear(shape.inner, shape.width, bias=False)

    def forward(self, x_BTC: Tensor, turn_TD: Tensor, layer: int, cache: Cache | None, mask: Tensor | None) -> Tensor:
        if cache is None and x_BTC.is_cuda:
            return compiled()(self, x_BTC, turn_TD)
        return self.step(x_BTC, turn_TD, layer, cache, mask)

    def step(self, x_BTC: Tensor, turn_TD: Tensor, layer: int, cache: Cache | None, mask: Tensor | None) -> Tensor:
        """What it does, kernel by kernel."""
        x_BTC = x_BTC + self.attention(_rounded(self.norm1(x_BTC)), turn_TD, layer, cache, mask)
        h_BTC = _rounded(self.norm2(x_BTC))
        out: Tensor = x_BTC + self.down(functional.silu(self.gate(h_BTC)) * self.up(h_BTC))
        return out


@once
def compiled(backend: str | Callable[..., object] = "inductor") -> Callable[[LlamaBlock, Tensor, Tensor], Tensor]:
    """A layer's step without a cache, compiled for rows of any number and length."""
    import torch._dynamo

    torch._dynamo.config.suppress_errors = True

    def step(block: LlamaBlock, x_BTC: Tensor, turn_TD: Tensor) -> Tensor:
        return block.step(x_BTC, turn_TD, 0, None, None)

    return torch.compile(step, dynamic=True, backend=backend)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, is_causal: bool) -> Tensor:
    """Attention, axes BHTD; on a CPU in float32: torch takes twice as long for it in bfloat16, backwards five times."""
    if q.is_cuda:
        return _attention(q, k, v, attn_mask=mask, is_causal=is_causal, enable_gqa=True)
    with torch.autocast(q.device.type, enabled=False):
        q, k, v = q.float(), k.float(), v.float()
        return _attention(q, k, v, attn_mask=mask, is_causal=is_causal, enable_gqa=True)


def _rounded(x_BTC: Tensor) -> Tensor:
    """In the precision of the matrix products, once for all that take it."""
    device = x_BTC.device.type
    return x_BTC.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x_BTC
