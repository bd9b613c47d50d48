"""The prompt that a recipe makes of a question: system, examples, template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trueup.core.types import Json, Message, Prompt

BLANK = "{question}"


def build_prompt(recipe: Mapping[str, Json], question: str) -> Prompt:
    """The chat that asks a question the way a stratum's recipe says.

    `system` comes first, each of `shots` becomes a user's and an assistant's turn, and `template` is put around every
    question, the examples' too.
    """
    return build_chat(recipe, (Message("user", question),))


def build_chat(recipe: Mapping[str, Json], turns: Prompt) -> Prompt:
    """The same for a chat under way: its own system message goes before the recipe's."""
    own = turns[:1] if turns[0].role == "system" else ()
    system = own or tuple(Message("system", recipe["system"]) for _ in range("system" in recipe))
    shots = [
        message
        for shot in recipe.get("shots", ())
        for message in (Message("user", _asked(recipe, shot["question"])), Message("assistant", shot["answer"]))
    ]
    last = replace(turns[-1], content=_asked(recipe, turns[-1].content))
    return (*system, *shots, *turns[len(own) : -1], last)


def _asked(recipe: Mapping[str, Json], question: str) -> str:
    template: str = recipe.get("template", BLANK)
    return template.replace(BLANK, question)
