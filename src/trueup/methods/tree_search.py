r"""Monte Carlo tree search over steps.

Kocsis and Szepesvari 2006 (UCT); Hao et al. 2023, arXiv:2305.14992 (RAP) for steps of a language model. From the root
the child with the highest mean + c * sqrt(ln visits / own visits) is followed to a beginning that was given
fewer than `width` next steps; it is given one more, whose worth is added to every beginning on the way. A step that
was drawn before leads into the same child. The turns that are over vote by their worth; where none is, the best
beginning is written to its end. What a step, an end and a worth are: `steps.py`. Write \n for a line break. A step
that fails behind another is one of the n, and the search goes on.
Cost: n samples of one step, times 1 + lookahead, a rating of each, and 1 sample where no turn was over; with only a
check, a whole greedy turn for each beginning instead; with a check, a grade of each new answer on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, log, sqrt

from trueup.core.asks import Flow
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Problem
from trueup.methods.spare import spared
from trueup.methods.steps import Beginning, Path, Steps, Valued, begin, conclude, passed, readable


@dataclass(eq=False, slots=True)
class Node:
    """A beginning in the tree; `draws` counts its next steps, also those that were drawn twice."""

    path: Path
    parent: Node | None = None
    valued: Valued | None = None
    children: dict[Beginning, Node] = field(default_factory=dict)
    draws: int = 0
    visits: int = 0
    total: float = 0.0
    is_spent: bool = False


def tree_search(
    problem: Problem, *, n: int = 32, width: int = 4, c: float = 1.0, lookahead: int = 0,
    separator: str = "\n", tokens: int = 0,
) -> Flow[Answer]:  # fmt: skip
    """The vote of the turns that n steps brought to their end; a turn that passes the check at once.

    Raises BadInput for settings below their least, or where nothing can value a beginning.
    """
    if n < 1 or width < 1 or c < 0:
        raise BadInput(f"tree_search has n={n}, width={width}, c={c}; give at least 1, 1 and 0")
    steps = begin("tree_search", problem, separator, tokens, lookahead)
    root, nodes = Node(steps.root), list[Node]()
    for _ in range(n):
        node = select(root, width, c)
        if node is None:
            break
        child = yield from spared(_grown(steps, node), nodes)
        if child is None:
            continue
        nodes.append(child)
        if child.valued and (answer := passed([child.valued])):
            return answer
        _back_up(child, width)
    found = {id(node): node.valued for node in nodes if node.valued}
    return (yield from _concluded(steps, list(found.values())))


def select(root: Node, width: int, c: float) -> Node | None:
    """The beginning to be given another step, None where every turn is over."""
    if root.is_spent:
        return None
    node = root
    while node.draws >= width:
        open_ones = [child for child in node.children.values() if not child.is_spent]
        node = max(open_ones, key=lambda child: _bound(child, c))
    return node


def _bound(node: Node, c: float) -> float:
    """The upper confidence bound of a child; of one that was never visited, infinity."""
    if not node.visits or node.parent is None:
        return inf
    return node.total / node.visits + c * sqrt(log(node.parent.visits) / node.visits)


def _grown(steps: Steps, node: Node) -> Flow[Node]:
    """The child that one more step leads to."""
    (path,) = yield from steps.extend(node.path, 1)
    child = node.children.get(path.beginning)
    if child is None:
        (valued,) = yield from steps.value([path])
        child = node.children[path.beginning] = Node(path, node, valued, is_spent=path.is_over)
    node.draws += 1
    return child


def _concluded(steps: Steps, found: Sequence[Valued]) -> Flow[Answer]:
    """The vote of the turns that are over; of all beginnings where none is and the best could not be written out."""
    over = [valued for valued in found if valued.path.is_over or valued.seen.is_over]
    if over:
        return conclude(steps.problem, over)
    best = max(found, key=lambda valued: valued.value)
    whole = yield from spared(steps.write_out(best.path), readable(found))
    if whole is None:
        return conclude(steps.problem, found)
    return Answer.of(whole.turn, "no turn was over; the best beginning, written out")


def _back_up(child: Node, width: int) -> None:
    """Add the child's worth to all above it, and close those under which nothing is left to do."""
    worth = child.valued.value if child.valued else 0.0
    node: Node | None = child
    while node is not None:
        node.visits += 1
        node.total += worth
        if node.draws >= width and all(below.is_spent for below in node.children.values()):
            node.is_spent = True
        node = node.parent
