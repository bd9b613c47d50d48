"""Think no less and no more than a budget of tokens.

Muennighoff et al. 2025, arXiv:2501.19393 (s1), section 3.1: a model that ends its turn, or its thinking, too early
reads "Wait" as its own next word and goes on; one that is still busy when the budget is spent reads a cue to answer.
The budget holds for all thinking together, and tokens that were not counted count as all that was left. We give
the cue also to a turn that ended with nothing to read. A schema or grammar binds from the cue on only.
Cost: 1 + waits samples and 1 for the cue where it is needed, each but the first with the turn so far in its prompt.
"""

from __future__ import annotations

from dataclasses import replace

from trueup.core.asks import Flow, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Message, Problem, Prompt
from trueup.methods.revise import continued
from trueup.methods.spare import spared

WAIT = "\n\nWait"
OPEN, CLOSE = "<think>", "</think>"


def budget_forcing(
    problem: Problem, *, tokens: int = 512, waits: int = 1, cue: str = "\n\nFinal answer:"
) -> Flow[Answer]:
    """One turn of at most so many tokens of thinking, made to go on `waits` times; its text is the whole turn.

    The answer behind the cue has the problem's own limit. Raises BadInput for tokens below 1 or waits below 0.
    """
    _refuse_misfits(tokens, waits)
    free = replace(problem.sampling, schema=None, grammar=None)
    turn, part, left, waited = problem.prompt, None, tokens, 0
    while True:
        prompt = continued(turn, WAIT) if waited else turn
        stop = (*free.stop, CLOSE) if waited < waits else free.stop
        said = yield from spared(sample(prompt, sampling=replace(free, max_tokens=left, stop=stop)), _read(part))
        if said is None:
            return _stands(turn, part)
        (part, *_) = said
        turn = continued(prompt, part.text)
        left -= _used(part, left)
        if waited == waits or left < 1 or part.finish == "length":
            break
        waited += 1
    is_forced = part.finish == "length" or waited < waits or part.answer is None
    if is_forced:
        prompt = continued(turn, _closing(turn) + cue)
        said = yield from spared(sample(prompt, reads_turn=False), _read(part))
        if said is None:
            return _stands(turn, part)
        (part, *_) = said
        turn = continued(prompt, part.text)
    note = f"waited {waited} times, {'answer forced' if is_forced else 'answered by itself'}"
    return Answer(turn[-1].content, part.answer, note, part.finish)


def _read(part: Attempt | None) -> list[Attempt]:
    """The turn so far, where it holds an answer."""
    return [part] if part and part.answer is not None else []


def _stands(turn: Prompt, part: Attempt | None) -> Answer:
    """The answer of the turn before an ask failed."""
    (held,) = _read(part)
    return Answer(turn[-1].content, held.answer, "an ask failed; the turn before it stands", held.finish)


def _refuse_misfits(tokens: int, waits: int) -> None:
    if tokens < 1:
        raise BadInput(f"budget_forcing tokens is {tokens}; give at least 1")
    if waits < 0:
        raise BadInput(f"budget_forcing waits is {waits}; give 0 or more")


def _used(part: Attempt, left: int) -> int:
    """The tokens that a part took of the budget; all that was left where nobody counted."""
    count = part.usage.completion_tokens
    return left if count is None else count


def _closing(prompt: Prompt) -> str:
    """What ends the thinking of a turn that has begun to think, or its answer would be read as more thinking."""
    turn: Message = prompt[-1]
    return f"\n{CLOSE}" if turn.content.rfind(OPEN) > turn.content.rfind(CLOSE) else ""
