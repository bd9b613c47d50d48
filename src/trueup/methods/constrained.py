"""Sample only well-formed answers: grammar or JSON-schema constrained decoding.

Willard and Louf 2023, arXiv:2307.09702. It mends form, not content: a well-formed wrong answer stays wrong.
Cost: n samples.
"""

from __future__ import annotations

from trueup.core.asks import Flow, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Problem, Sampling
from trueup.methods.tally import elect


def constrained(problem: Problem, *, n: int = 1) -> Flow[Answer]:
    """The vote of n attempts that cannot leave the problem's grammar or schema.

    Raises BadInput for a problem that has neither.
    """
    if problem.schema is None and problem.grammar is None:
        raise BadInput(
            f"stratum {problem.stratum!r} has no schema or grammar to constrain by; "
            f"add `grammar` to it in the task file, or leave `constrained` out of its methods"
        )
    attempts = yield from sample(problem.prompt, n, sampling=held(problem))
    return elect(problem, attempts)


def held(problem: Problem) -> Sampling:
    """The problem's settings under its schema or grammar."""
    return problem.sampling.held_to(problem.schema, problem.grammar)
