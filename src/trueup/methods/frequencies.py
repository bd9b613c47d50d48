"""P(the leader is the true mode), exactly, over a library of answer frequencies.

Huang, Ma and Zhou 2026, arXiv:2602.05395, L = 3: of the votes only the two greatest counts n1 >= n2 and the sum T of
the others are kept. Given a vector of frequencies p the chance of that, with answer i leading and j second, is
p_i^n1 p_j^n2 times the coefficient of x^T in the product over the other answers of the truncated exponentials
sum_{r <= n2} (p_k x)^r / r!: no other answer has more votes than the second. Where m of them have just as many, the
second was drawn among them by lot, which weighs 1 / C(c + m, c), c = 2 where the leader is tied too, else 1.
A weight is the integral of c (1 - u)^(c - 1) u^m over [0, 1], a polynomial, so that Gauss nodes u give it exactly and
ties need no axis of their own. A pass over the answers from either end sums over all j with each i left out, so that
n1 comes in last. Where several answers of a vector are equally frequent and none is more so, each is a mode.
Shapes: S vectors, A answers, U nodes, T + 1 powers of x.
"""

from __future__ import annotations

import json
import random
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from trueup.core.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.float64]

Library = tuple[tuple[float, ...], ...]
ANSWERS = 48
CONCENTRATIONS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
DRAWS = 20
LEAST = 1e-4
MOST = 512
CELLS = 1 << 21
"""How many numbers an array of vectors may have; as many as fit are taken along."""
SEED = 20260205


@lru_cache(maxsize=1)
def usual_library() -> Library:
    """Frequencies where nothing was logged: a mixture of sparse Dirichlet priors, drawn once and for all.

    20 vectors of 48 answers from each symmetric Dirichlet of total concentration 1/4 to 8, from models that nearly
    always say the same to models that hardly ever do; answers rarer than 1 in 10,000 are left out.
    """
    dice = random.Random(SEED)
    return tuple(_draw(dice, total / ANSWERS) for total in CONCENTRATIONS for _ in range(DRAWS))


@lru_cache(maxsize=16)
def read_library(path: str) -> Library:
    """The vectors of a file {"frequencies": [[...], ...]}, each falling; the usual ones where no file is named.

    Raises BadInput for a file that holds none.
    """
    if not path:
        return usual_library()
    try:
        rows = [sorted(map(float, row), reverse=True) for row in json.loads(Path(path).read_text())["frequencies"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"library {path!r} cannot be read ({error}); write one with `trueup learn library`") from error
    if not rows or any(not row or row[-1] < 0 or not abs(sum(row) - 1) < 1e-6 for row in rows):
        raise BadInput(f"library {path!r} holds a vector that is no distribution; make it again")
    width = max(map(len, rows))
    return tuple(tuple(row) + (0.0,) * (width - len(row)) for row in rows)


@lru_cache(maxsize=1 << 16)
def mode_probability(first: int, second: int, rest: int, library: Library) -> float:
    """The posterior chance that no answer is more frequent than the leader, every vector equally likely before.

    0 where there is no vote, or where no vector of the library allows such counts. Floats hold it for up to `MOST`
    votes.
    """
    if first == 0:
        return 0.0
    p = _falling_widths(library)
    others = _others(second, rest, first == second, library) if second else 1.0
    chances = (p * ((first + second + rest) / first)) ** first * others
    return float(chances[p == p[:, :1]].sum() / chances.sum()) if chances.sum() > 0 else 0.0


@lru_cache(maxsize=16)
def _falling_widths(library: Library) -> Column:
    """The vectors as rows, those with the most answers first, so that few are left when it comes to the rarest."""
    import numpy as np

    p = np.array(library)
    return p[np.argsort(-(p > 0).sum(axis=1), kind="stable")]


@lru_cache(maxsize=64)
def _others(second: int, rest: int, is_tied: bool, library: Library) -> Column:
    """SA: the chance, up to a factor, of the second's and all others' counts where each answer in turn leads."""
    import numpy as np

    p, (nodes, weights) = _falling_widths(library), _nodes(second, rest, 2 if is_tied else 1)
    rows = max(1, CELLS // (p.shape[1] * len(nodes) * (rest + 1)))
    parts = (_without_each(p[place : place + rows], second, rest, nodes) for place in range(0, len(p), rows))
    return np.concatenate([part @ weights for part in parts])


def _without_each(p: Column, second: int, rest: int, nodes: Column) -> Column:
    """SAU: the coefficient of x^rest with one second chosen, by the series of the answers before each and behind it."""
    import numpy as np

    behind = np.zeros((2, len(p), len(nodes), rest + 1))
    behind[0, ..., 0] = 1.0
    before = [behind]
    for q in p.T[:-1]:
        before.append(_joined(before[-1], q, second, nodes))
    found = np.zeros((*p.shape, len(nodes)))
    for place in reversed(range(p.shape[1])):
        found[:, place] = np.einsum("isut,isut->su", before[place], behind[::-1, ..., ::-1])
        behind = _joined(behind, p[:, place], second, nodes)
    return found


def _joined(grown: Column, q: Column, second: int, nodes: Column) -> Column:
    """The series with s = 0 or 1 seconds chosen, times that of one more answer, which may be the second.

    x is counted in 1 / rest, and a second's chance in what it is about: neither changes a quotient of chances.
    """
    rest, live = grown.shape[-1] - 1, grown[:, : (q > 0).sum()]
    q = q[q > 0][:, None, None]
    out = grown.copy()
    longer = out[:, : live.shape[1]]
    longer[1] += live[0] * (q * ((2 * second + rest) / second)) ** second
    factor = 1.0
    for r in range(1, min(second, rest) + 1):
        factor = factor * q * (rest / r)
        longer[..., r:] += live[..., : rest + 1 - r] * (factor * nodes[:, None] if r == second else factor)
    return out


def _nodes(second: int, rest: int, tied: int) -> tuple[Column, Column]:
    """Gauss nodes and weights on [0, 1] that weigh ties; one will do where all others have a vote and so are tied."""
    import numpy as np

    if second == 1:
        return np.ones(1), np.ones(1)
    at, weights = np.polynomial.legendre.leggauss((rest // second + tied) // 2 + 1)
    u = (at + 1) / 2
    return u, weights / 2 * tied * (1 - u) ** (tied - 1)


def _draw(dice: random.Random, concentration: float) -> tuple[float, ...]:
    """A Dirichlet draw, its greatest first; powers of uniforms keep tiny concentrations from all being nought."""
    raw = [dice.gammavariate(concentration + 1, 1.0) * dice.random() ** (1 / concentration) for _ in range(ANSWERS)]
    kept = [x if x >= LEAST * sum(raw) else 0.0 for x in raw]
    return tuple(sorted((x / sum(kept) for x in kept), reverse=True))
