"""The prompt that a recipe makes of a question: system, examples, template."""

from __future__ import annotations

from collections.abc import Mapping

from trueup.core.types import Json, Message, Prompt

BLANK = "{question}"
SYSTEM = ("system", "developer")


def build_prompt(recipe: Mapping[str, Json], question: str) -> Prompt:
    """The chat that asks a question the way a stratum's recipe says.

    `system` comes first, each of `shots` becomes a user's and an assistant's turn, and `template` is put around every
    question, the examples' too.
    """
    system = [Message("system", recipe["system"])] if "system" in recipe else []
    shots = [
        message
        for shot in recipe.get("shots", ())
        for message in (Message("user", _asked(recipe, shot["question"])), Message("assistant", shot["answer"]))
    ]
    return (*system, *shots, Message("user", _asked(recipe, question)))


def build_chat(recipe: Mapping[str, Json], turns: Prompt) -> Prompt:
    """The same for a chat under way, whose last turn is the question."""
    return join_turns(turns[:-1], build_prompt(recipe, turns[-1].content))


def join_turns(earlier: Prompt, asked: Prompt) -> Prompt:
    """A question as its recipe asks it, with the turns before it between the examples and the question.

    The chat's own system messages take the place of the recipe's, as one: many templates take no more.
    """
    *before, question = asked
    own = [turn.content for turn in earlier if turn.role in SYSTEM]
    if own:
        before = [Message("system", "\n\n".join(own)), *(turn for turn in before if turn.role not in SYSTEM)]
    return (*before, *(turn for turn in earlier if turn.role not in SYSTEM), question)


def _asked(recipe: Mapping[str, Json], question: str) -> str:
    template: str = recipe.get("template", BLANK)
    return template.replace(BLANK, question)
