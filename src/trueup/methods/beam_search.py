r"""Beams of steps, the best kept, in one tree or in several.

Snell et al. 2024, arXiv:2408.03314, section 5.2: of n beams the best n / width are kept after every step and each is
continued `width` times; `lookahead` rates a beginning after so many more greedy steps. With `subtrees` the beams
are parted for good (diverse verifier tree search, Beeching et al. 2024, HF search-and-learn): subtrees = n / width
keeps the best of each alone. The turns left at the end vote by their ratings. What a step, an end and a worth are:
`steps.py`. Write \n for a line break.
Cost: up to n * depth samples of one step, times 1 + lookahead, and a rating of each; with only a check, a whole greedy
turn and a grade for each beginning instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from trueup.core.asks import Flow
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Problem
from trueup.methods.steps import Path, Steps, Valued, begin, conclude, passed


def beam_search(
    problem: Problem, *, n: int = 16, width: int = 4, subtrees: int = 1, lookahead: int = 0, depth: int = 40,
    separator: str = "\n", tokens: int = 0,
) -> Flow[Answer]:  # fmt: skip
    """The vote of the last n beams; a turn that passes the check at once.

    Raises BadInput where n does not part into subtrees of whole beams, or nothing can value a beginning.
    """
    if min(width, subtrees, depth) < 1 or n < 1 or n % (width * subtrees):
        raise BadInput(
            f"beam_search has n={n}, width={width}, subtrees={subtrees}, depth={depth}; "
            f"give at least 1 of each, and an n that width * subtrees divides"
        )
    steps = begin("beam_search", problem, separator, tokens, lookahead)
    firsts = yield from steps.extend(steps.root, n)
    trees = [firsts[place::subtrees] for place in range(subtrees)]
    for level in range(depth):
        found = yield from steps.value([path for tree in trees for path in tree])
        if answer := passed(found):
            return answer
        if level == depth - 1 or all(valued.path.is_over for valued in found):
            break
        trees = yield from _continued(steps, _parted(found, trees), n // (width * subtrees), width)
    return conclude(problem, found)


def _parted(found: Sequence[Valued], trees: Sequence[Sequence[Path]]) -> list[list[Valued]]:
    waiting = iter(found)
    return [[next(waiting) for _ in tree] for tree in trees]


def _continued(steps: Steps, trees: Sequence[Sequence[Valued]], kept: int, width: int) -> Flow[list[list[Path]]]:
    """The best of each tree, continued; a turn that is over keeps its place, the first of equals goes before."""
    longer: list[list[Path]] = []
    for tree in trees:
        longer.append([])
        for valued in sorted(tree, key=lambda valued: -valued.value)[:kept]:
            if valued.path.is_over:
                longer[-1].append(valued.path)
            else:
                longer[-1] += yield from steps.extend(valued.path, width)
    return longer
