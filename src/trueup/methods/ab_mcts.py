"""Wider or deeper: another draft, or a revision of one.

Inoue et al. 2025, arXiv:2503.04412 (AB-MCTS-A), by their own library treequest: Thompson sampling decides at every
answer in the tree whether a new one is drawn there or one below it is revised, by what the reward model, or else the
check, said of them. All answers vote by their worth. Needs `pip install 'trueup[search]'`.
Cost: n samples, the deeper ones with the drafts above them in the prompt, and n ratings or checks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

from trueup.core.asks import Flow, sample
from trueup.core.errors import BadInput, Unavailable
from trueup.core.types import Answer, Attempt, Problem, Prompt
from trueup.methods.appraise import appraise
from trueup.methods.revise import ask_again
from trueup.methods.spare import spared
from trueup.methods.tally import count
from trueup.methods.weighted_best_of_n import elect_by_weight

ACTION = "answer"
Chain = tuple[Attempt, ...]
"""A draft and its revisions, up to the answer that a node of the tree stands for."""


def ab_mcts(problem: Problem, *, n: int = 16) -> Flow[Answer]:
    """The vote by worth of n answers; one that passes the check, where there is one and no reward model, at once.

    It ends before an answer that fails. Raises BadInput for a stratum with neither, Unavailable without treequest.
    """
    if not (problem.ratable or problem.checkable):
        raise BadInput(f"stratum {problem.stratum!r} has no rater and no check for ab_mcts to search by; name one")
    library = _treequest()
    search = library.ABMCTSA(dist_type="beta")
    tree, dice = search.init_tree(), _dice(problem)
    drawn: Counter[Prompt] = Counter()
    attempts: list[Attempt] = []
    worths: list[float] = []
    for _ in range(n):
        with _seeded(dice):
            tree, trial = search.ask(tree, [ACTION])
        chain: Chain = trial.parent_state or ()
        prompt = _prompt(problem, chain)
        more = yield from spared(sample(prompt, start=drawn[prompt]), count(attempts))
        if more is None:
            break
        attempt = more[0]
        drawn[prompt] += 1
        (worth,) = yield from appraise(problem, [attempt])
        if worth >= 0.99 and not problem.ratable:
            return Answer.of(attempt, "passed the check")
        tree = search.tell(tree, trial.trial_id, ((*chain, attempt), worth))
        attempts.append(attempt)
        worths.append(worth)
    return elect_by_weight(problem, attempts, worths)


def _prompt(problem: Problem, chain: Chain) -> Prompt:
    prompt = problem.prompt
    for attempt in chain:
        prompt = ask_again(prompt, attempt.text)
    return prompt


def _treequest() -> Any:
    try:
        import treequest
    except ImportError:
        raise Unavailable("ab_mcts needs treequest; pip install 'trueup[search]'") from None
    return treequest


def _dice(problem: Problem) -> Any:
    from numpy.random import RandomState

    words = f"{problem.sampling.seed}:{problem.id}".encode()
    return RandomState(int.from_bytes(blake2b(words, digest_size=4).digest(), "little"))


@contextmanager
def _seeded(dice: Any) -> Iterator[None]:
    """numpy's global dice, which treequest throws, in the state of our own for as long as this lasts."""
    import numpy as np

    others = np.random.get_state()
    np.random.set_state(dice.get_state())
    try:
        yield
    finally:
        dice.set_state(np.random.get_state())
        np.random.set_state(others)
