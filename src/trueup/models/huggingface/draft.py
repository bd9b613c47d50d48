"""An attempt that is being written: how it grows, how it ends, and what it is when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from trueup.core.errors import one_line
from trueup.core.types import Attempt, Prompt, Sampling, Usage
from trueup.models.completion import first_seed
from trueup.models.huggingface.choose import choose, log_probability
from trueup.models.huggingface.constrain import allowed

if TYPE_CHECKING:
    from torch import Tensor

    from trueup.models.huggingface.vocabulary import Vocabulary

UNREADABLE = "\ufffd"
"""What bytes that are no character in UTF-8 are shown as; a text may also have it as a character."""
DEAD_END = "the text ended where its schema or grammar allows no end; mend the rule that nothing can complete"


@dataclass(frozen=True, slots=True)
class Ask:
    """n attempts at a prompt, numbered from `start`, until somebody has left."""

    prompt: Prompt
    n: int
    start: int
    sampling: Sampling
    has_left: Callable[[], bool] = lambda: False

    @property
    def indices(self) -> range:
        """The numbers of its attempts."""
        return range(self.start, self.start + self.n)


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before an attempt: a prompt's tokens, how many of them were cached, the last, and the room behind."""

    prompt_tokens: int
    cached_tokens: int
    last: int
    room: int


@dataclass(slots=True)
class Draft:
    """An attempt that is being written in its row, behind the prompt at its place among those read together."""

    ask: Ask
    index: int
    place: int
    row: int
    dice: Random
    matcher: Any = None
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    drawn_logprob: float = 0.0
    finish: str = ""
    fault: str = ""

    def fail(self, fault: str) -> None:
        """End it, unless it has ended or nobody waits for it any more; what it has written is no answer."""
        if not self.finish and not self.ask.has_left():
            self.finish, self.fault = "failed", fault


def new_draft(ask: Ask, index: int, place: int, row: int, matcher: Any) -> Draft:
    """An attempt with nothing in it, its random numbers those of its prompt, seed and index."""
    dice = Random(f"{first_seed(ask.prompt, ask.sampling.seed)} {index}")
    return Draft(ask, index, place, row, dice, matcher and matcher.deep_copy())


def grow(draft: Draft, logits_V: Tensor, head: Head, vocabulary: Vocabulary) -> int:
    """Choose the draft's next token, and end the draft where that ends it."""
    sampling = draft.ask.sampling
    choosable_V = logits_V if draft.matcher is None else allowed(draft.matcher, logits_V)
    drawn = draft.dice.random()
    token = choose(choosable_V, temperature=sampling.temperature, top_p=sampling.top_p, drawn=drawn)
    draft.tokens.append(token)
    if sampling.logprobs:
        draft.logprob += log_probability(logits_V, token)
        draft.drawn_logprob += log_probability(choosable_V, token, sampling.temperature)
    draft.finish = _finish(draft, head, vocabulary)
    return token


def attempt_of(draft: Draft, usage: Usage, last: int, vocabulary: Vocabulary) -> Attempt:
    """The draft as an attempt; a character that the limit has cut in two is left out, for a step behind to draw."""
    has_end = draft.tokens[-1] in vocabulary.ends
    text = vocabulary.text(draft.tokens[:-1] if has_end else draft.tokens, last)
    if draft.finish == "length" and text.endswith(UNREADABLE):
        text = vocabulary.text(vocabulary.whole(draft.tokens), last)
    kind, _, met = draft.finish.partition(":")
    text = text[: text.find(met)] if kind == "stop" else text
    told = draft.logprob, draft.drawn_logprob
    logprob, drawn = (one / len(draft.tokens) if draft.ask.sampling.logprobs else None for one in told)
    return Attempt(draft.index, text, draft.finish, usage, None, logprob, drawn_logprob=drawn)


def _finish(draft: Draft, head: Head, vocabulary: Vocabulary) -> str:
    """How the draft has ended with the token that was added, empty where it goes on."""
    token, matcher, sampling = draft.tokens[-1], draft.matcher, draft.ask.sampling
    if matcher is not None and not matcher.consume_token(token):
        draft.fault = f"the grammar's matcher gave up: {one_line(matcher.get_error())}"
        return "failed"
    if token in vocabulary.ends:
        return _end(draft)
    met = _first_stop(vocabulary.text(draft.tokens, head.last), sampling.stop) if sampling.stop else None
    if met is not None:
        return f"stop:{met}"
    if matcher is not None and matcher.is_stopped():
        return _end(draft)
    return "length" if len(draft.tokens) >= min(sampling.max_tokens, head.room) else ""


def _end(draft: Draft) -> str:
    """The end that a draft has come to; none that its schema or grammar, if it has one, does not accept."""
    if draft.matcher is None or draft.matcher.is_accepting():
        return "eos"
    draft.fault = DEAD_END
    return "failed"


def _first_stop(text: str, stops: Sequence[str]) -> str | None:
    """The stop string that comes first in a text, None where there is none."""
    places = [(place, stop) for stop in stops if stop and (place := text.find(stop)) >= 0]
    return min(places)[1] if places else None
