"""What the endpoint that knows the truth says, and how it misbehaves.

A token is a word. Texts end in a boxed number, on which most of them agree; a text that is cut never gets there.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

ANSWER = 42
AGREEMENT = 0.85
WORDS = (20, 60)
LONGEST = 64
JUDGED = re.compile(r"scale (?:from|of) 0|rate the above", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Scenario:
    """How the endpoint behaves: what it cuts, refuses, leaves out, and how long a word takes.

    `n` says what becomes of a request for several choices: `takes`, `rejects` with status 400, or `ignores`.
    One of every `refuses_every` calls of a family of runs is a 429 with Retry-After; with 0 none is. `late_tokens` are
    written, and billed, after a client has left: an engine notices that between two steps at the soonest. A request
    that `is_endless` holds of gets its text but no end of it: the call goes on until the client leaves.
    """

    cut_share: float = 0.0
    refuses_every: int = 0
    n: str = "takes"
    tells_usage: bool = True
    prefill_seconds: float = 0.0
    token_seconds: float = 0.0
    late_tokens: int = 0
    is_endless: Callable[[Mapping[str, Any]], bool] = lambda body: False


@dataclass(frozen=True, slots=True)
class Recorded:
    """A text to be replayed, and what it is billed; `tokens` None counts its words."""

    text: str
    tokens: int | None = None
    finish: str = "stop"

    def pieces(self) -> list[str]:
        """The text in as many pieces as it has tokens; where it has more tokens than letters, some are empty."""
        words = re.findall(r"\s*\S+", self.text)
        size = len(words) if self.tokens is None else self.tokens
        if size == len(words):
            return words
        bounds = [len(self.text) * place // size for place in range(size + 1)] if size else []
        return [self.text[a:b] for a, b in pairwise(bounds)]


def question(body: Mapping[str, Any]) -> str:
    """What the last user message asks."""
    asked = [_text(message) for message in body["messages"] if message.get("role") == "user"]
    return asked[-1] if asked else ""


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """The words of all messages, and one for each message's frame."""
    return sum(1 + len(_text(message).split()) for message in body["messages"])


def is_judged(body: Mapping[str, Any]) -> bool:
    """Whether the request is for a judge's rating, in the words of any of the systems that are compared."""
    return any(JUDGED.search(_text(message)) for message in body["messages"] if message.get("role") != "assistant")


def rating(body: Mapping[str, Any]) -> Recorded:
    """A judge's number from 0 to 10, in JSON where JSON is asked for."""
    number = random.Random(json.dumps(body["messages"])).randint(0, 10)
    if body.get("response_format"):
        return Recorded(json.dumps({"score": number, "reasoning": "the steps were looked at one by one"}))
    return Recorded(str(number))


def solution(body: Mapping[str, Any], scenario: Scenario, seed: int) -> Recorded:
    """A text about the question, drawn from the messages and a seed."""
    drawn = random.Random(f"{json.dumps(body['messages'])} {seed}")
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or LONGEST
    words = [f"w{drawn.randint(0, 999)}" for _ in range(drawn.randint(*WORDS))]
    answer = ANSWER if drawn.random() < AGREEMENT else drawn.randint(0, 9)
    if drawn.random() < scenario.cut_share or len(words) >= limit:
        words += [f"w{drawn.randint(0, 999)}" for _ in range(min(limit, LONGEST))]
        return Recorded(" ".join(words[: min(limit, LONGEST)]), finish="length")
    return Recorded(" ".join([*words[:-1], rf"\boxed{{{answer}}}"]))


def next_recorded(recorded: Mapping[str, Sequence[Recorded]], asked: str, taken: dict[str, int]) -> Recorded | None:
    """The next text on record for a question, which other words may surround; None where there is none (left)."""
    known = asked if asked in recorded else next((one for one in recorded if one in asked), None)
    if known is None:
        return None
    place = taken.get(known, 0)
    taken[known] = place + 1
    return recorded[known][place] if place < len(recorded[known]) else None


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""
