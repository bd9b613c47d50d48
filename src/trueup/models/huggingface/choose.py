"""The next token, out of logits and one uniform number.

V is the vocabulary. Everything here is for one row, in float64, so that no row can depend on another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def choose(logits_V: Tensor, *, temperature: float, top_p: float, drawn: float) -> int:
    """The token whose share of the distribution function `drawn`, from [0, 1), falls into; the likeliest at 0."""
    if temperature == 0:
        return int(logits_V.argmax())
    p_V = (logits_V.double() / temperature).softmax(-1)
    if top_p < 1:
        p_V = nucleus(p_V, top_p)
    reach_V = p_V.cumsum(-1)
    place = int((reach_V <= drawn * reach_V[-1]).sum())
    return min(place, int(p_V.nonzero()[-1]))


def nucleus(p_V: Tensor, top_p: float) -> Tensor:
    """The likeliest tokens that together reach `top_p`, the others at 0 (Holtzman et al. 2020, arXiv:1904.09751)."""
    sorted_V, order_V = p_V.sort(descending=True, stable=True)
    before_V = sorted_V.cumsum(-1) - sorted_V
    kept_V = sorted_V.where(before_V < top_p, 0.0)
    return p_V.new_zeros(p_V.shape).scatter(-1, order_V, kept_V)


def log_probability(logits_V: Tensor, token: int, temperature: float = 1.0) -> float:
    """The natural log-probability of a token at a temperature, before top-p; at 0 the one chosen is certain."""
    if temperature == 0:
        return 0.0
    logits_V = logits_V.double() / temperature
    return float(logits_V[token] - logits_V.logsumexp(-1))
