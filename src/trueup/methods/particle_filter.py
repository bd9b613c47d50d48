r"""Particles of steps, drawn anew by their ratings.

Puri et al. 2025, arXiv:2502.01618: after every step n particles are resampled in proportion to the softmax of the
reward model's scores. Its scores are logits, ours are probabilities r, so the weights are (r / (1 - r)) ** (1 /
temperature). Resampling is systematic: without bias as the paper's multinomial draw, with less noise, and with
equal weights every particle lives. Turns that are over are drawn with the others. The last particles vote by weight.
What a step, an end and a worth are: `steps.py`. Write \n for a line break.
Cost: up to n * depth samples of one step, times 1 + lookahead, and a rating of each beginning; with only a check, a
whole greedy turn and a grade for each instead.
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
from trueup.methods.steps import Path, Steps, begin, conclude, passed

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
    particles = yield from steps.extend(steps.root, n)
    for level in range(depth):
        found = yield from steps.value(particles)
        if answer := passed(found):
            return answer
        weights = odds([valued.value for valued in found], temperature)
        if level == depth - 1 or all(valued.path.is_over for valued in found):
            break
        drawn = systematic(weights, len(found), dice.random())
        particles = yield from _moved(steps, [found[place].path for place in drawn])
    return conclude(problem, found, weights)


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


def _moved(steps: Steps, particles: Sequence[Path]) -> Flow[list[Path]]:
    """Every particle one step on; those that share a beginning are asked for together."""
    moved: list[Path] = []
    alike = Counter(path.text for path in particles)
    for path in {path.text: path for path in particles}.values():
        same = alike[path.text]
        moved += [path] * same if path.is_over else (yield from steps.extend(path, same))
    return moved
