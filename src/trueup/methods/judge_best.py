"""n attempts, each judged by itself; the verdicts vote.

Pointwise judging after Zheng et al. 2023, arXiv:2306.05685, with the judge's verdicts corrected for its error rates
(Lee et al. 2025, arXiv:2511.21140): with q1 the share of right answers it passes and q0 the share of wrong ones it
rejects, a share p of yes-votes stands for (p + q0 - 1) / (q0 + q1 - 1) right attempts, without bias, so the sum over
the attempts of an answer estimates how many of them are right. With q0 = q1 = 1 the judge is believed. Measure both
on graded attempts, per model that is judged: `trueup learn judge`. Attempts that cannot be read are not judged.
Cost: n samples, k judge's texts per readable attempt.
"""

from __future__ import annotations

from trueup.core.asks import Flow, sample
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.revise import ask_again
from trueup.methods.spare import each
from trueup.methods.verdicts import Bench, hear_bench, share_of
from trueup.methods.weighted_best_of_n import elect_by_weight

ASK = "Is the final answer above right? Reply with one word, yes or no."
WORDS = ("yes", "no")


def judge_best(
    problem: Problem, *, n: int = 8, k: int = 1, tokens: int = 16, judge_model: str = "",
    q0: float = 1.0, q1: float = 1.0,
) -> Flow[Answer]:  # fmt: skip
    """The answer with the highest sum of corrected verdicts; equal ones fall by votes.

    Raises BadInput for k or tokens below 1, or rates of a judge that is no better than chance.
    """
    bench = Bench(k, tokens, judge_model, q0, q1)
    bench.refuse_misfits("judge_best")
    attempts = yield from sample(problem.prompt, n)
    weights = yield from weigh(problem, bench, attempts, ASK)
    return elect_by_weight(problem, attempts, weights)


def weigh(problem: Problem, bench: Bench, attempts: tuple[Attempt, ...], request: str) -> Flow[list[float]]:
    """The corrected verdict on each attempt; 0 for one that cannot be read, or whose judge cannot, or failed.

    Raises AskFailed where every judge failed.
    """
    readable = [attempt for attempt in attempts if attempt.answer is not None]
    told = yield from each(hear(problem, bench, attempt, request) for attempt in readable)
    shares = {a.index: share_of(said or (), WORDS) for a, said in zip(readable, told, strict=True)}
    found = [shares.get(attempt.index) for attempt in attempts]
    return [0.0 if share is None else bench.corrected(share) for share in found]


def hear(problem: Problem, bench: Bench, attempt: Attempt, request: str) -> Flow[list[str]]:
    """What the bench says of one attempt.

    Texts are numbered by their attempt, so that attempts in the same words are judged independently.
    """
    prompt = ask_again(problem.prompt, attempt.text, request)
    said = yield from hear_bench(problem, bench, prompt, WORDS, start=attempt.index * bench.k)
    return said
