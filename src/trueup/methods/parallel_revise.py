"""Several chains of revisions: parallel and sequential mixed.

Snell et al. 2024, arXiv:2408.03314, section 6: at equal cost the best ratio of chains to revisions depends on how
hard the problem is. As there, a revision sees the last four links of its chain, a check picks the best of each
chain and then the best of these, and without one all links vote. The paper's verifier is learned and noisy, so it
weighs answers by summed grades; a check is not, so the highest grade wins and chains vote among equals.
Cost: chains * (1 + rounds) samples, the revisions' with up to four links as their prompt; with a check as many checks,
and the end with the first round in which a link passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trueup.core.asks import Flow, check, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Grade, Problem, Prompt
from trueup.methods.revise import ask_again
from trueup.methods.spare import each
from trueup.methods.tally import count, elect

LINKS = 4
UNGRADED = Grade(0.0)


@dataclass(frozen=True, slots=True)
class Link:
    """An attempt of a chain, with its grade where there is a check."""

    attempt: Attempt
    grade: Grade = UNGRADED


def parallel_revise(problem: Problem, *, chains: int = 4, rounds: int = 3) -> Flow[Answer]:
    """`chains` drafts, each revised `rounds` times; the check picks where there is one in production, else the vote.

    Drafts are the attempts 0 to chains - 1 of the problem; a revision is numbered by its round and chain, so that
    two chains, or two rounds, that come to the same prompt still draw apart. A revision that fails leaves its chain
    as it is. Raises BadInput for chains below 1.
    """
    if chains < 1:
        raise BadInput(f"parallel_revise chains is {chains}; give at least 1")
    drafts = yield from sample(problem.prompt, chains)
    links = yield from _grade(problem, drafts)
    strands = [[link] for link in links]
    for turn in range(1, rounds + 1):
        if any(link.grade.is_right for link in links):
            break
        asks = [
            sample(_so_far(problem, strand), start=turn * chains + draft.index)
            for draft, strand in zip(drafts, strands, strict=True)
        ]
        replies = yield from each(asks, count(drafts))
        revised = [(strand, reply[0]) for strand, reply in zip(strands, replies, strict=True) if reply]
        if not revised:
            break
        links = yield from _grade(problem, [revision for _, revision in revised])
        for (strand, _), link in zip(revised, links, strict=True):
            strand.append(link)
    if problem.checkable:
        return _best(strands)
    return elect(problem, [link.attempt for strand in strands for link in strand])


def _grade(problem: Problem, attempts: Sequence[Attempt]) -> Flow[list[Link]]:
    if not problem.checkable:
        return [Link(attempt) for attempt in attempts]
    grades = yield from check(problem, attempts)
    return [Link(attempt, grade) for attempt, grade in zip(attempts, grades, strict=True)]


def _so_far(problem: Problem, strand: Sequence[Link]) -> Prompt:
    """The problem, and the last links of a chain, each with the request to mend it."""
    prompt = problem.prompt
    for link in strand[-LINKS:]:
        prompt = ask_again(prompt, link.attempt.text)
    return prompt


def _best(strands: Sequence[Sequence[Link]]) -> Answer:
    """The best of the chains' best links: by grade, then by how many chains chose its answer, then the first."""
    tops = [max(strand, key=_worth) for strand in strands]
    votes = count([top.attempt for top in tops])
    winner = max(tops, key=lambda top: (_worth(top), votes.get(top.attempt.answer or "", 0)))
    return Answer.of(winner.attempt)


def _worth(link: Link) -> tuple[bool, float]:
    return link.grade.parsed, link.grade.value
