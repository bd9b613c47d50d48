"""n proposals, merged by layers of aggregators.

Wang et al. 2024, arXiv:2406.04692, section 2.2: each layer's aggregators read the proposals of the layer before, the
last layer has one. With `models` the n proposals of every layer come from these in turn and the last word is the
study's own model's (Multiple-Proposer of section 3.3); without, one model takes all places (Single-Proposer). Proposals
follow the question in the user's message instead of a system message, which not every model takes. Proposals in the
same words are shown once. Cost: n * layers + 1 samples, all but the first n with up to n proposals in the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from trueup.core.asks import Flow, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Problem, Prompt
from trueup.methods.reread import put_behind
from trueup.methods.spare import each, spared
from trueup.methods.tally import count, elect

MERGE = (
    "Below are answers that others proposed; some may be wrong. Weigh them against each other and against the "
    "question, work out what is right, and give one answer of your own in the form that was asked for."
)


def mixture_of_agents(problem: Problem, *, n: int = 4, layers: int = 1, models: str = "") -> Flow[Answer]:
    """What the last of so many layers of aggregators makes of n proposals, by further models if `models` names any.

    Their names stand between `+`, in a task file between commas too. Where the last word fails or cannot be read, the
    vote over all that was proposed. Raises BadInput for fewer than one layer, and for names that cannot each propose.
    """
    if layers < 1:
        raise BadInput(f"mixture_of_agents layers is {layers}; give at least 1, or use vote for none")
    names = _names(models, n)
    proposals = yield from _propose(problem.prompt, n, names, 0)
    heard = list(proposals)
    for layer in range(layers - 1):
        merged = yield from spared(_propose(_merge(problem, proposals), n, names, layer * n), count(heard))
        proposals = merged or proposals
        heard += merged or ()
    last = (yield from spared(sample(_merge(problem, proposals), start=(layers - 1) * n), count(heard))) or ()
    return Answer.of(last[0]) if count(last) else elect(problem, [*heard, *last])


def _names(models: str, n: int) -> Sequence[str]:
    """The models that propose; the study's own where none is named."""
    names = re.split("[+,]", models)
    if len(set(names)) < len(names) or len(names) > n or (models and "" in names):
        raise BadInput(
            f"mixture_of_agents has models={models} and n={n}; name each once, at most n of them: strong+weak"
        )
    return names


def _propose(prompt: Prompt, n: int, names: Sequence[str], start: int) -> Flow[Sequence[Attempt]]:
    """n attempts by these models in turn, in that order."""
    replies = yield from each(
        sample(prompt, len(range(place, n, len(names))), start=start, model=name) for place, name in enumerate(names)
    )
    proposals = [attempt for reply in replies for attempt in reply or ()]
    return sorted(proposals, key=lambda proposal: proposal.index)


def _merge(problem: Problem, proposals: Sequence[Attempt]) -> Prompt:
    """The question with the distinct proposals behind it.

    Two layers may come to the same prompt, hence numbers that do not repeat from layer to layer.
    """
    texts = dict.fromkeys(proposal.text.strip() for proposal in proposals)
    shown = [f"Proposal {number}:\n{text}" for number, text in enumerate(texts, start=1)]
    return put_behind(problem.prompt, "\n\n".join([MERGE, *shown]))
