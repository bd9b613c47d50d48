"""A decoder-only transformer of 0.1 to 2 M parameters.

Pre-norm with RMSNorm, rotary positions, GELU, tied embeddings; its shape may have blocks of another kind (`llama.py`).
Positions are relative, so a row may be padded on the left: only the mask changes. It runs where its weights are.
Axes: B batch, T token, V vocabulary, C width, H head, D head size, L layer.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from trueup.core.errors import BadInput
from trueup.train.laboratory.vocabulary import SIZE

# A row has some forty tokens: slower rotations than these would not tell its places apart.
ROTARY_BASE = 50.0
EMBEDDING_SPREAD = 0.1
# Rotary attention by place alone needs a part of query and key that every token shares. Drawn large it is there from
# the first step; without it a model stays for thousands of steps where it finds no second operation.
BIAS_SPREAD = 1.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a transformer is; `context` is the longest row in tokens."""

    width: int = 64
    layers: int = 2
    heads: int = 4
    context: int = 64
    vocabulary: int = SIZE

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width // self.heads % 2:
            raise BadInput(f"width {self.width} does not divide into {self.heads} heads of even size; change either")

    @property
    def stored_heads(self) -> int:
        """How many heads have keys and values of their own."""
        return self.heads

    def block(self) -> nn.Module:
        """A layer."""
        return Block(self)

    def norm(self) -> nn.RMSNorm:
        """A norm of the stream."""
        return nn.RMSNorm(self.width)

    def turns(self) -> Tensor:
        """Cosines, then sines, of a position's angles, axes TD."""
        return turns(self, ROTARY_BASE)

    def precision(self, device: torch.device) -> torch.dtype:
        """What its blocks compute in."""
        return torch.float32


@dataclass(slots=True)
class Cache:
    """Keys and values of the tokens seen so far, in room for all that may come; `seen_BT` is false at padding."""

    keys_LBHTD: Tensor
    values_LBHTD: Tensor
    seen_BT: Tensor
    padded: bool
    length: int = 0

    def repeat(self, n: int) -> Cache:
        """Each row n times over, next to itself."""
        return Cache(
            self.keys_LBHTD.repeat_interleave(n, 1),
            self.values_LBHTD.repeat_interleave(n, 1),
            self.seen_BT.repeat_interleave(n, 0),
            self.padded,
            self.length,
        )

    def take(self, layer: int, key_BHTD: Tensor, value_BHTD: Tensor) -> tuple[Tensor, Tensor]:
        """Take up a layer's keys and values, and return all of them so far."""
        end = self.length + key_BHTD.shape[2]
        self.keys_LBHTD[layer, :, :, self.length : end] = key_BHTD
        self.values_LBHTD[layer, :, :, self.length : end] = value_BHTD
        return self.keys_LBHTD[layer, :, :, :end], self.values_LBHTD[layer, :, :, :end]

    def mask(self, T: int) -> Tensor | None:
        """What T new tokens may look at, of all with them; None where that is everything."""
        if T == 1 and not self.padded:
            return None
        total = self.length + T
        causal_TT = torch.ones(T, total, dtype=torch.bool, device=self.seen_BT.device).tril(self.length)
        return causal_TT & self.seen_BT[:, None, None, :total] if self.padded else causal_TT


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x_BTC: Tensor, turn_TD: Tensor, layer: int, cache: Cache | None, mask: Tensor | None) -> Tensor:
        B, T, C = x_BTC.shape
        q, k, v = self.qkv(x_BTC).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(q, turn_TD), rotate(k, turn_TD)
        if cache is not None:
            k, v = cache.take(layer, k, v)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=cache is None)
        out: Tensor = self.out(y.transpose(1, 2).reshape(B, T, C))
        return out


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a norm and added to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(shape.width)
        self.attention = Attention(shape)
        self.norm2 = nn.RMSNorm(shape.width)
        self.up = nn.Linear(shape.width, 4 * shape.width, bias=False)
        self.down = nn.Linear(4 * shape.width, shape.width, bias=False)

    def forward(self, x_BTC: Tensor, turn_TD: Tensor, layer: int, cache: Cache | None, mask: Tensor | None) -> Tensor:
        x_BTC = x_BTC + self.attention(self.norm1(x_BTC), turn_TD, layer, cache, mask)
        out: Tensor = x_BTC + self.down(functional.gelu(self.up(self.norm2(x_BTC)), approximate="tanh"))
        return out


class Transformer(nn.Module):
    """Next-token logits for rows of tokens; the same seed gives the same weights."""

    def __init__(self, shape: Shape, *, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(shape.block() for _ in range(shape.layers))
        self.norm = shape.norm()
        self.turn_TD: Tensor
        self.register_buffer("turn_TD", shape.turns(), persistent=False)
        self._draw(torch.Generator().manual_seed(seed))

    @property
    def parameter_count(self) -> int:
        """All its weights, adapters included."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.embedding.weight.device

    def begin(self, rows: int, length: int, seen_BT: Tensor | None = None) -> Cache:
        """An empty cache for rows of up to `length` tokens; `seen_BT` is false at the padding on the left."""
        s = self.shape
        if length > s.context:
            raise BadInput(f"a row of {length} tokens does not fit a context of {s.context}; shorten it")
        size = (2, s.layers, rows, s.stored_heads, length, s.width // s.heads)
        keys, values = torch.zeros(size, dtype=s.precision(self.device), device=self.device)
        every_BT = torch.ones(rows, length, dtype=torch.bool, device=self.device)
        if seen_BT is not None:
            every_BT[:, : seen_BT.shape[1]] = seen_BT
        return Cache(keys, values, every_BT, padded=not bool(every_BT.all()))

    def states(self, tokens_BT: Tensor, cache: Cache | None = None) -> Tensor:
        """The stream behind the last norm, axes BTC; a cache takes the tokens up."""
        T = tokens_BT.shape[1]
        start = cache.length if cache else 0
        if start + T > self.shape.context:
            raise BadInput(f"a row of {start + T} tokens does not fit a context of {self.shape.context}; shorten it")
        turn_TD = self.turn_TD[start : start + T].to(self.shape.precision(self.device))
        mask = cache.mask(T) if cache else None
        x_BTC: Tensor = self.embedding(tokens_BT)
        with self.precision():
            for layer, block in enumerate(self.blocks):
                x_BTC = block(x_BTC, turn_TD, layer, cache, mask)
        if cache:
            cache.length += T
        with self.precision(rounds=False):
            out: Tensor = self.norm(x_BTC)
        return out

    def forward(self, tokens_BT: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits for the token behind each, axes BTV."""
        return self.logits(self.states(tokens_BT, cache))

    def logits(self, state_BTC: Tensor) -> Tensor:
        """What the states say of the next token, axes BTV."""
        with self.precision(rounds=False):
            return functional.linear(state_BTC, self.embedding.weight)

    def precision(self, *, rounds: bool = True) -> AbstractContextManager[object]:
        """Matrix products in the shape's precision; without `rounds` in float32, as the last norm and the logits are.

        Around several calls it rounds each weight once for all of them.
        """
        dtype = self.shape.precision(self.device)
        return nullcontext() if dtype == torch.float32 else torch.autocast(self.device.type, dtype, enabled=rounds)

    def _draw(self, generator: torch.Generator) -> None:
        """Draw every matrix: spread 1/sqrt(inputs), what adds to the stream scaled down with the depth."""
        depth = sqrt(2 * self.shape.layers)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.dim() == 2:
                    spread = 1 / sqrt(weight.shape[1])
                    spread = spread / depth if name.endswith(("out.weight", "down.weight")) else spread
                    weight.normal_(0.0, spread, generator=generator)
                elif name.endswith("qkv.bias"):
                    weight.zero_()
                    weight[: 2 * self.shape.width].normal_(0.0, BIAS_SPREAD, generator=generator)
            self.embedding.weight.normal_(0.0, EMBEDDING_SPREAD, generator=generator)


def turns(shape: Shape, base: float) -> Tensor:
    """Cosines, then sines, of a position's angles, the first pair of dimensions turning by one radian a token."""
    half = shape.width // shape.heads // 2
    rate_D = base ** (-torch.arange(half) / half)
    angle_TD = torch.arange(shape.context)[:, None] * rate_D
    return torch.cat([angle_TD.cos(), angle_TD.sin()], -1)


def rotate(x_BHTD: Tensor, turn_TD: Tensor) -> Tensor:
    """Turn each half of a head's dimensions against the other."""
    cos_TD, sin_TD = turn_TD.chunk(2, -1)
    a, b = x_BHTD.chunk(2, -1)
    return torch.cat([a * cos_TD - b * sin_TD, b * cos_TD + a * sin_TD], -1)
