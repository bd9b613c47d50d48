"""Put the question twice, n attempts, vote (RE2).

Xu et al. 2023, arXiv:2309.06275: a decoder reads the question's second copy knowing the whole of the
first. The paper's prompt stands in the last user's message; what else that message says is repeated with it.
Cost: n samples, with the question's tokens twice in the prompt.
"""

from __future__ import annotations

from trueup.core.asks import Flow, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Message, Problem, Prompt
from trueup.methods.tally import elect

AGAIN = "Read the question again: {question}"


def reread(problem: Problem, *, n: int = 1) -> Flow[Answer]:
    """The vote of n attempts at the question said twice.

    Raises BadInput for a problem without a user's message.
    """
    question = problem.prompt[last_question(problem.prompt)].content
    attempts = yield from sample(put_behind(problem.prompt, AGAIN.format(question=question)), n)
    return elect(problem, attempts)


def put_behind(prompt: Prompt, words: str) -> Prompt:
    """The chat with more words at the end of its last user's message, so that roles go on taking turns."""
    place = last_question(prompt)
    fuller = Message("user", f"{prompt[place].content}\n\n{words}")
    return (*prompt[:place], fuller, *prompt[place + 1 :])


def last_question(prompt: Prompt) -> int:
    """Where the last user's message stands.

    Raises BadInput where there is none.
    """
    places = [place for place, message in enumerate(prompt) if message.role == "user"]
    if not places:
        roles = ", ".join(message.role for message in prompt) or "nothing"
        raise BadInput(f"the prompt has no user's message, only {roles}; put the question into one")
    return places[-1]
