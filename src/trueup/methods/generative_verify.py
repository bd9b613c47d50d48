"""n attempts, each verified in writing; its yes-votes count.

Zhang et al. 2024, arXiv:2408.15240 (GenRM-CoT), section 3.3: the verifier reasons before it says yes or no, and
several reasonings are averaged. The paper takes the probability of the word yes and picks the best attempt; engines
do not all give probabilities, so we count words, and weigh the vote of answers, which one lucky text cannot win.
A model that was not trained to verify does it worse than the paper's; q0 and q1 correct for that as in `judge_best`.
Cost: n samples, k judge's texts per readable attempt.
"""

from __future__ import annotations

from trueup.core.asks import Flow, sample
from trueup.core.types import Answer, Problem
from trueup.methods.judge_best import weigh
from trueup.methods.verdicts import Bench
from trueup.methods.weighted_best_of_n import elect_by_weight

VERIFY = (
    "Verify the answer above step by step: work each step out again, and look for the first mistake. "
    "Then end with one line: Is the answer correct (yes or no)? followed by your verdict."
)


def generative_verify(
    problem: Problem, *, n: int = 8, k: int = 4, tokens: int = 256, judge_model: str = "",
    q0: float = 1.0, q1: float = 1.0,
) -> Flow[Answer]:  # fmt: skip
    """The vote of n attempts, each weighted by the share of k verifications that find it right, as corrected.

    Raises BadInput for k or tokens below 1, or rates of a verifier that is no better than chance.
    """
    bench = Bench(k, tokens, judge_model, q0, q1)
    bench.refuse_misfits("generative_verify")
    attempts = yield from sample(problem.prompt, n)
    weights = yield from weigh(problem, bench, attempts, VERIFY)
    return elect_by_weight(problem, attempts, weights)
