"""Draft, then revise; select over the whole chain.

Madaan et al. 2023, arXiv:2303.17651 (Self-Refine, feedback and revision in one turn); selection over the
chain instead of its last link after Snell et al. 2024, arXiv:2408.03314, section 6: a right draft is often
revised into a wrong one.
Cost: 1 + rounds samples, each with the chain so far as its prompt; with a check as many checks, and the end with the
first that passes.
"""

from __future__ import annotations

from trueup.core.asks import Flow, check, sample
from trueup.core.types import Answer, Attempt, Grade, Message, Problem, Prompt, begun_turn
from trueup.methods.spare import spared
from trueup.methods.tally import count, elect

REQUEST = "Check your answer step by step for mistakes. Then give the corrected answer in the same form as before."


def revise(problem: Problem, *, rounds: int = 2) -> Flow[Answer]:
    """A chain of revisions; the check picks from it where there is one in production, else the vote.

    With a check the chain ends at the first attempt that passes, and in any case before a revision that fails.
    """
    chain: list[Attempt] = []
    grades: list[Grade] = []
    prompt = problem.prompt
    for turn in range(rounds + 1):
        revision = yield from spared(sample(prompt, start=turn), count(chain))
        if revision is None:
            break
        chain.append(revision[0])
        if problem.checkable:
            grades += yield from check(problem, revision)
            if grades[-1].is_right:
                break
        prompt = ask_again(prompt, revision[0].text)
    return Answer.best(chain, grades) if problem.checkable else elect(problem, chain)


def ask_again(prompt: Prompt, text: str, request: str = REQUEST) -> Prompt:
    """The chat with the model's reply to the prompt, and a request behind it."""
    return (*continued(prompt, text), Message("user", request))


def opened(prompt: Prompt) -> Prompt:
    """The chat as it stands before the model's turn, where the prompt has begun that."""
    return prompt[:-1] if prompt and prompt[-1].role == "assistant" else prompt


def continued(prompt: Prompt, text: str) -> Prompt:
    """The chat with a text of the model's behind it, in the turn that the prompt has begun where it has."""
    return (*opened(prompt), Message("assistant", begun_turn(prompt) + text))
