r"""Particles of steps, drawn anew by their ratings.

Puri et al. 2025, arXiv:2502.01618: after every step n particles are resampled in proportion to the softmax of the
reward model's scores. Its scores are logits, ours are probabilities r, so the weights are (r / (1 - r)) ** (1 /
temperature). Resampling is systematic: without bias as the paper's multinomial draw, with less noise, and with
equal weights every particle lives. Turns that are over are drawn with the others. The last particles vote by weight.
What a step, an end and a worth are: `steps.py`. Write \n for a line break. Particles whose step fails are lost, and
their places drawn among the others; where all are, those before them vote.
Cost: up to n * depth samples of one step, times 1 + lookahead, and a rating of each beginning; with only a check, a
whole greedy turn for each instead; with a check, a grade of each new answer on the way.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from math import log

from trueup.core.asks import Flow
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Problem
from trueup.methods.spare import each, spared
from trueup.methods.steps import Path, Steps, Valued, begin, conclude, passed, readable

EDGE = 1e-6
FAR = 600.0
"""Natural logarithms up to which a weight is taken as it is."""


def particle_filter(
    problem: Problem, *, n: int = 8, temperature: float = 1.0, lookahead: int = 0, depth: int = 40,
    separator: str = "\n", tokens: int = 0,
) -> Flow[Answer]:  # fmt: skip
    """The vote of n particles by their weights; a turn that passes the check at once.

    Raises BadInput for a temperature that is not above 0, or where nothing can value a beginning.
    """
    if n < 1 or depth < 1 or temperature <= 0:
        raise BadInput(f"particle_filter has n={n}, depth={depth}, temperature={temperature}; all must be above 0")
    steps = begin("particle_filter", problem, separator, tokens, lookahead)
    dice = random.Random(f"{problem.sampling.seed}:{problem.id}")
    firsts = yield from steps.extend(steps.root, n)
    found = yield from steps.value(firsts)
    weights = odds([valued.value for valued in found], temperature)
    for _ in range(depth - 1):
        if passed(found) or all(valued.path.is_over for valued in found):
            break
        drawn = systematic(weights, n, dice.random())
        moved = yield from spared(_moved(steps, [found[place].path for place in drawn]), readable(found))
        if moved is None:
            break
        found, weights = moved, odds([valued.value for valued in moved], temperature)
    return passed(found) or conclude(problem, found, weights)


def odds(ratings: Sequence[float], temperature: float) -> list[float]:
    """Weights of ratings, exponentials of their logits over the temperature.

    Where floats could not hold the greatest it is 1, and the others stand to it as they would.
    """
    kept = [min(1 - EDGE, max(EDGE, rating)) for rating in ratings]
    raw = [rating / (1 - rating) for rating in kept]
    unit = 1.0 if abs(log(max(raw))) < FAR * temperature else max(raw)
    return [float((one / unit) ** (1 / temperature)) for one in raw]


def systematic(weights: Sequence[float], n: int, start: float) -> list[int]:
    """n places in proportion to weights, on a comb that `start`, between 0 and 1, shifts.

    The expected number of place i is n * weight i / their sum, its real number never further from that than 1.
    """
    reach = list(accumulate(weights))
    teeth = [(start + tooth) * reach[-1] / n for tooth in range(n)]
    places, place = [], 0
    for tooth in teeth:
        while tooth >= reach[place] and place < len(weights) - 1:
            place += 1
        places.append(place)
    return places


def _moved(steps: Steps, particles: Sequence[Path]) -> Flow[list[Valued]]:
    """Every particle one step on; those that share a beginning are asked for together."""
    alike = Counter(path.beginning for path in particles)
    firsts = {path.beginning: path for path in particles}
    moved = yield from each(_onward(steps, path, alike[beginning]) for beginning, path in firsts.items())
    return (yield from steps.value([path for paths in moved for path in paths or ()]))


def _onward(steps: Steps, path: Path, n: int) -> Flow[list[Path]]:
    """n next steps of a beginning; a turn that is over stays so often."""
    return [path] * n if path.is_over else (yield from steps.extend(path, n))
