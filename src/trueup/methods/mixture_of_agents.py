"""n proposals, merged by layers of aggregators.

Wang et al. 2024, arXiv:2406.04692, section 2.2, with one model in all places (Single-Proposer of section 3.3): each
layer's aggregators read the proposals of the layer before, the last layer has one. Proposals follow the question
in the user's message instead of a system message, which not every model takes. Proposals in the same words are
shown once. Cost: n * layers + 1 samples, all but the first n with up to n proposals in the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from trueup.core.asks import Flow, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Problem, Prompt
from trueup.methods.reread import put_behind
from trueup.methods.tally import elect

MERGE = (
    "Below are answers that others proposed; some may be wrong. Weigh them against each other and against the "
    "question, work out what is right, and give one answer of your own in the form that was asked for."
)


def mixture_of_agents(problem: Problem, *, n: int = 4, layers: int = 1) -> Flow[Answer]:
    """What the last of so many layers of aggregators makes of n proposals.

    Where it cannot be read, the vote over all that was proposed. Raises BadInput for fewer than one layer.
    """
    if layers < 1:
        raise BadInput(f"mixture_of_agents layers is {layers}; give at least 1, or use vote for none")
    proposals = yield from sample(problem.prompt, n)
    heard = list(proposals)
    for layer in range(layers):
        size = 1 if layer == layers - 1 else n
        proposals = yield from sample(_merge(problem, proposals), size, start=layer * n)
        heard += proposals
    final = proposals[0]
    return elect(problem, heard) if final.answer is None else Answer.of(final)


def _merge(problem: Problem, proposals: Sequence[Attempt]) -> Prompt:
    """The question with the distinct proposals behind it.

    Two layers may come to the same prompt, hence numbers that do not repeat from layer to layer.
    """
    texts = dict.fromkeys(proposal.text.strip() for proposal in proposals)
    shown = [f"Proposal {number}:\n{text}" for number, text in enumerate(texts, start=1)]
    return put_behind(problem.prompt, "\n\n".join([MERGE, *shown]))
