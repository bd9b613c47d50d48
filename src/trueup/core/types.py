"""What flows through the house: problems, attempts, grades, answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Json = Any
"""A value that JSON can carry."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat: who speaks, and what is said."""

    role: str
    content: str


Prompt = tuple[Message, ...]


def chat_of(turns: Iterable[Message]) -> list[dict[str, str]]:
    """As OpenAI's endpoints and chat templates take them."""
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def last_asked(prompt: Prompt) -> str:
    """What the user said last, empty where the user said nothing."""
    return next((message.content for message in reversed(prompt) if message.role == "user"), "")


def begun_turn(prompt: Prompt) -> str:
    """The beginning of the assistant's turn that a prompt ends with, empty where it has begun none."""
    return prompt[-1].content if prompt and prompt[-1].role == "assistant" else ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model is asked to sample; part of every ledger key.

    `schema` is a JSON schema as canonical JSON text, `grammar` a grammar in the engine's own notation (GBNF or Lark);
    both constrain decoding and at most one may be set. With `logprobs` an attempt says how likely it was.
    """

    temperature: float = 0.8
    top_p: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    schema: str | None = None
    grammar: str | None = None
    seed: int = 0
    logprobs: bool = False

    def held_to(self, schema: str | None, grammar: str | None) -> Sampling:
        """The same under a schema, which ends by itself and may have the stop strings in it, or under a grammar."""
        return replace(self, schema=schema, grammar=grammar, stop=self.stop if schema is None else ())


@dataclass(frozen=True, slots=True)
class Problem:
    """What a method may see of one item; the reference answer is not in it.

    `checkable` says that the stratum has a check that needs no reference, so that a method may rely on
    grades in production too, `ratable` that it has a reward model. `schema` (JSON schema as canonical JSON
    text) or `grammar` (GBNF or Lark) describes a well-formed answer, where there is such a thing. `side_effects`
    says that what is sampled gets run, so that an attempt is an act: one at a time, and none behind one that could
    be read.
    """

    id: str
    stratum: str
    prompt: Prompt
    sampling: Sampling = Sampling()
    schema: str | None = None
    grammar: str | None = None
    checkable: bool = False
    ratable: bool = False
    side_effects: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A problem with its reference answer; `cluster` groups items that are not independent."""

    problem: Problem
    reference: Json
    cluster: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What one sample used; None is unknown, never 0.

    `prompt_tokens` is the length of the context and stands on every sample of a call, so that any subset
    can be priced as if it had been asked for alone; `leads` marks the one sample that the ledger charges it to, and
    without `takes_n` the engine makes a call for every sample, so that each of them pays the prompt.
    Seconds are core-seconds where the engine runs here, waiting time where it is bought.
    """

    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None = None
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    leads: bool = True
    takes_n: bool = True


@dataclass(frozen=True, slots=True)
class Attempt:
    """One model output; `answer` is its canonical form, None where nothing could be read out of it.

    `finish` is `eos` (the model ended, or its schema or grammar did), `stop:X` (cut at the stop string X), `stop` (one
    of these, and the engine does not tell which), `length` (cut at the token limit) or `cancelled`. `logprob` is the
    mean natural log-probability of its tokens as the engine tells it, most of them before temperature; `drawn_logprob`
    that with which they were drawn, or less where it can only be bounded; both None unless they were asked for and the
    engine tells. `engine` is what an endpoint calls the engine behind its address, None where it does not say.
    """

    index: int
    text: str
    finish: str
    usage: Usage
    answer: str | None = None
    logprob: float | None = None
    engine: str | None = field(default=None, kw_only=True)
    drawn_logprob: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Grade:
    """A verifier's number in [0, 1], and why; an unparsable answer is a fact of its own."""

    value: float
    parsed: bool = True
    note: str = ""

    @property
    def is_right(self) -> bool:
        """Full marks, and nothing less."""
        return self.parsed and self.value >= 0.99


@dataclass(frozen=True, slots=True)
class Solution:
    """What a solver says of a problem.

    `status` is `solved`, `unsatisfiable`, `not_unique`, `undecided`, `unreadable`, `timeout` or `crashed`; `text` is
    the answer in the words a model would use, empty unless solved. `conflict` names the clues that contradict each
    other where there is no solution, `reason` says why a statement could not be read.
    """

    status: str
    text: str = ""
    answer: str | None = None
    seconds: float = 0.0
    conflict: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method returns for a problem; `value` is None when it abstains or nothing could be read."""

    text: str
    value: str | None
    note: str = ""
    finish: str = "stop"

    @classmethod
    def of(cls, attempt: Attempt, note: str = "") -> Answer:
        """The answer that this attempt gives."""
        return cls(attempt.text, attempt.answer, note, attempt.finish)

    @classmethod
    def best(cls, attempts: Sequence[Attempt], grades: Sequence[Grade]) -> Answer:
        """The first attempt of the highest grade; a parsed one before an unparsable one."""
        ranked = [(grade.parsed, grade.value) for grade in grades]
        winner = max(range(len(attempts)), key=lambda i: (*ranked[i], -i))
        return cls.of(attempts[winner])
