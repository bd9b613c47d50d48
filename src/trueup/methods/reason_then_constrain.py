r"""Reason freely, then answer under the grammar; n times.

Banerjee et al. 2025, arXiv:2502.09061 (CRANE): a grammar that holds from the first token on takes away the room to
reason in, so only the answer is held to it. There the model opens the constrained block by a delimiter whenever it
likes; here once, with the words of `cue`, which are put behind the reasoning whether or not it came to them. The
stratum's own stop strings end answers, so they do not end the reasoning, and nothing under a schema. The answer's text
is the block alone.
Cost: n + n samples, the second n with the reasoning in their prompts.
"""

from __future__ import annotations

from dataclasses import replace

from trueup.core.asks import Flow, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Problem
from trueup.methods.constrained import held
from trueup.methods.reread import put_behind
from trueup.methods.revise import continued
from trueup.methods.spare import each
from trueup.methods.tally import elect

THINK = "Think about it step by step first, in a few sentences. Then write {cue!r} and the answer alone."


def reason_then_constrain(
    problem: Problem, *, n: int = 1, tokens: int = 256, cue: str = "Final answer:"
) -> Flow[Answer]:
    """The vote of n answers that cannot leave the problem's grammar or schema, each behind its own reasoning.

    Raises BadInput for a problem that has neither, an empty cue or fewer than one token to reason in.
    """
    if problem.schema is None and problem.grammar is None:
        raise BadInput(
            f"stratum {problem.stratum!r} has no schema or grammar to constrain by; "
            f"add `grammar` to it in the task file, or leave reason_then_constrain out of its methods"
        )
    if not cue.strip() or tokens < 1:
        raise BadInput(f"reason_then_constrain has cue={cue!r} and tokens={tokens}; give some words and at least 1")
    wish = put_behind(problem.prompt, THINK.format(cue=cue))
    free = replace(problem.sampling, max_tokens=tokens, stop=(cue,), schema=None, grammar=None)
    thoughts = yield from sample(wish, n, sampling=free)
    turns = [continued(wish, f"{thought.text.rstrip()}\n\n{cue}\n") for thought in thoughts]
    blocks = yield from each(
        sample(turn, sampling=held(problem), start=thought.index, reads_turn=False)
        for turn, thought in zip(turns, thoughts, strict=True)
    )
    return elect(problem, [attempt for block in blocks for attempt in block or ()])
