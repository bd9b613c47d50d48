"""n plans, one solution by each, vote.

Wang et al. 2023, arXiv:2305.04091 (Plan-and-Solve), in two turns instead of one, so that plans can differ;
Wang et al. 2024, arXiv:2409.03733 (PlanSearch) searches over plans, too. We draw plans independently and do not
combine observations. A plan is written freely even where the answer is held to a schema or grammar, or ended by a
stop string.
Cost: n judge's texts, n samples with the plan in the prompt.
"""

from __future__ import annotations

from dataclasses import replace

from trueup.core.asks import Flow, judge, sample
from trueup.core.types import Answer, Problem
from trueup.methods.reread import put_behind
from trueup.methods.revise import ask_again, opened
from trueup.methods.spare import each
from trueup.methods.tally import elect

PLAN = "Do not solve this yet. Write a short plan first: what is wanted, what is known, and the steps between them."
SOLVE = "Now carry out that plan step by step, and give the answer in the form that was asked for."


def plan_then_solve(problem: Problem, *, n: int = 4) -> Flow[Answer]:
    """The vote of one solution by each of n plans.

    A solution has its plan's number, so that plans in the same words still bring independent solutions. A turn that the
    problem has begun is the solution's.
    """
    wish = put_behind(opened(problem.prompt), PLAN)
    begun = problem.prompt[len(wish) :]
    free = replace(problem.sampling, stop=(), schema=None, grammar=None)
    plans = yield from judge(wish, n, sampling=free)
    solutions = yield from each(
        sample((*ask_again(wish, plan.text, SOLVE), *begun), start=plan.index) for plan in plans
    )
    return elect(problem, [attempt for solution in solutions for attempt in solution or ()])
