r"""Beams of steps, the best kept, in one tree or in several.

Snell et al. 2024, arXiv:2408.03314, section 5.2: of n beams the best n / width are kept after every step and each is
continued `width` times; `lookahead` rates a beginning after so many more greedy steps. With `subtrees` the beams
are parted for good (diverse verifier tree search, Beeching et al. 2024, HF search-and-learn): subtrees = n / width
keeps the best of each alone. The turns left at the end vote by their ratings. What a step, an end and a worth are:
`steps.py`. Write \n for a line break. A beam whose step fails is given up; where all do, those before them vote.
Cost: up to n * depth samples of one step, times 1 + lookahead, and a rating of each; with only a check, a whole greedy
turn for each beginning instead; with a check, a grade of each new answer on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from trueup.core.asks import Flow
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Problem
from trueup.methods.spare import each, spared
from trueup.methods.steps import Path, Steps, Valued, begin, conclude, passed, readable


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
    trees = yield from _valued(steps, [firsts[place::subtrees] for place in range(subtrees)])
    found = list(chain(*trees))
    for _ in range(depth - 1):
        if passed(found) or all(valued.path.is_over for valued in found):
            break
        longer = yield from spared(_level(steps, trees, n // (width * subtrees), width), readable(found))
        if longer is None:
            break
        trees, found = longer, list(chain(*longer))
    return passed(found) or conclude(problem, found)


def _valued(steps: Steps, trees: Sequence[Sequence[Path]]) -> Flow[list[list[Valued]]]:
    found = yield from steps.value([path for tree in trees for path in tree])
    known = {id(valued.path): valued for valued in found}
    return [[known[id(path)] for path in tree if id(path) in known] for tree in trees]


def _level(steps: Steps, trees: Sequence[Sequence[Valued]], kept: int, width: int) -> Flow[list[list[Valued]]]:
    """The best of each tree, continued; the first of equals goes before."""
    best = [sorted(tree, key=lambda valued: -valued.value)[:kept] for tree in trees]
    longer = iter((yield from each(_onward(steps, valued.path, width) for tree in best for valued in tree)))
    return (yield from _valued(steps, [[path for _ in tree for path in next(longer) or ()] for tree in best]))


def _onward(steps: Steps, path: Path, width: int) -> Flow[list[Path]]:
    """The next steps of a beginning; a turn that is over keeps its place."""
    return [path] if path.is_over else (yield from steps.extend(path, width))
