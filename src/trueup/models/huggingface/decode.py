"""Sampling rows of one prompt, in batches of a fixed shape.

A matrix product rounds by the number of its rows, so attempt i always runs in row i mod `rows` of a batch of that
many; rows that nobody asked for, or that have ended, run along. Then an attempt is the same bytes alone and in a
batch, on one machine with one number of threads. That is what a sample alone pays for; `rows=1` does not pay it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from trueup.core.errors import one_line
from trueup.core.roles import Sampled, Waste
from trueup.core.types import Attempt, Prompt, Sampling, Usage
from trueup.models.completion import first_seed
from trueup.models.huggingface.choose import choose, log_probability
from trueup.models.huggingface.constrain import allowed
from trueup.models.huggingface.trouble import gave_up

if TYPE_CHECKING:
    from torch import Tensor

    from trueup.models.huggingface.vocabulary import Vocabulary


UNREADABLE = "\ufffd"
"""What bytes that are no character in UTF-8 are shown as; a text may also have it as a character."""
DEAD_END = "the text ended where its schema or grammar allows no end; mend the rule that nothing can complete"
NO_NUMBERS = "the model's logits are no numbers; set dtype=float32, and a smaller alpha where models are mixed"


class Stream(Protocol):
    """A text that has been read so far, in one row or in several alike."""

    prompt_tokens: int
    cached_tokens: int
    room: int
    last: int
    logits_BV: Tensor

    def spread(self, rows: int) -> Stream:
        """The same text in so many rows; this one stays as it is."""
        ...

    def step(self, tokens: Sequence[int]) -> None:
        """Read one more token in each row."""
        ...


class Source(Protocol):
    """Where a text's next tokens come from."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    def begin(self, prompt: Prompt) -> Stream:
        """The prompt, read in one row; raises Refused where it cannot be."""
        ...

    def keep(self, stream: Stream, drafts: Sequence[Draft]) -> None:
        """Take notice of the rows that these drafts have ended in."""
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """n attempts at a prompt, numbered from `start`."""

    prompt: Prompt
    n: int
    start: int
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Pace:
    """So many rows at a time on so many cores, until somebody has left."""

    rows: int
    cores: int
    has_left: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class Draft:
    """An attempt that is being written, in its row."""

    index: int
    row: int
    dice: Random
    matcher: Any = None
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    drawn_logprob: float = 0.0
    finish: str = ""
    fault: str = ""


def sample_from(source: Source, ask: Ask, pace: Pace) -> Sampled:
    """The attempts that are asked for, all behind one reading of the prompt.

    Seconds are core-seconds: those of the prompt on every attempt, the rest shared by tokens sampled. Where torch gives
    up, what it had not written is a failure on record.
    """
    matcher = source.vocabulary.matcher(ask.sampling)
    began = time.perf_counter()
    try:
        stream = source.begin(ask.prompt)
    except RuntimeError as error:
        lost = Waste("failed", gave_up(error), seconds=(time.perf_counter() - began) * pace.cores)
        return Sampled((), (lost,))
    prefill = time.perf_counter() - began
    drafts = [_draft(ask, index, matcher, pace.rows) for index in range(ask.start, ask.start + ask.n)]
    try:
        _write_all(source, stream, drafts, ask.sampling, pace)
    except RuntimeError as error:
        for draft in drafts:
            if not draft.finish:
                draft.finish, draft.fault = "failed", gave_up(error)
    decode = time.perf_counter() - began - prefill
    return _sampled(drafts, stream, source.vocabulary, ask.sampling, (prefill * pace.cores, decode * pace.cores))


def _draft(ask: Ask, index: int, matcher: Any, rows: int) -> Draft:
    dice = Random(f"{first_seed(ask.prompt, ask.sampling.seed)} {index}")
    return Draft(index, index % rows, dice, matcher and matcher.deep_copy())


def _write_all(source: Source, stream: Stream, drafts: Sequence[Draft], sampling: Sampling, pace: Pace) -> None:
    """Write all drafts, a batch at a time."""
    for block in sorted({draft.index // pace.rows for draft in drafts}):
        batch = [draft for draft in drafts if draft.index // pace.rows == block]
        rows = stream.spread(pace.rows)
        _write(rows, batch, source.vocabulary, sampling, pace)
        source.keep(rows, batch)


def _write(stream: Stream, drafts: Sequence[Draft], vocabulary: Vocabulary, sampling: Sampling, pace: Pace) -> None:
    """Write all drafts of a batch to their ends."""
    limit = min(sampling.max_tokens, stream.room)
    while not pace.has_left():
        tokens = [stream.last] * pace.rows
        can_go_on = are_numbers(stream.logits_BV)
        for draft in drafts:
            if not can_go_on and not draft.finish:
                draft.finish, draft.fault = "failed", NO_NUMBERS
            elif not draft.finish:
                tokens[draft.row] = _add(draft, stream.logits_BV[draft.row], sampling)
                draft.finish = _finish(draft, stream.last, vocabulary, sampling, limit)
        if all(draft.finish for draft in drafts):
            return
        stream.step(tokens)


def are_numbers(logits_BV: Tensor) -> bool:
    """Whether every row has a likeliest token: none that is no number or +inf, and not all of them at -inf."""
    return bool(logits_BV.amax(-1).isfinite().all())


def _add(draft: Draft, logits_V: Tensor, sampling: Sampling) -> int:
    """Choose the draft's next token."""
    choosable_V = logits_V if draft.matcher is None else allowed(draft.matcher, logits_V)
    drawn = draft.dice.random()
    token = choose(choosable_V, temperature=sampling.temperature, top_p=sampling.top_p, drawn=drawn)
    draft.tokens.append(token)
    if sampling.logprobs:
        draft.logprob += log_probability(logits_V, token)
        draft.drawn_logprob += log_probability(choosable_V, token, sampling.temperature)
    return token


def _finish(draft: Draft, last: int, vocabulary: Vocabulary, sampling: Sampling, limit: int) -> str:
    """How the draft has ended with the token that was added, empty where it goes on."""
    token, matcher = draft.tokens[-1], draft.matcher
    if matcher is not None and not matcher.consume_token(token):
        draft.fault = f"the grammar's matcher gave up: {one_line(matcher.get_error())}"
        return "failed"
    if token in vocabulary.ends:
        return _end(draft)
    met = _first_stop(vocabulary.text(draft.tokens, last), sampling.stop) if sampling.stop else None
    if met is not None:
        return f"stop:{met}"
    if matcher is not None and matcher.is_stopped():
        return _end(draft)
    return "length" if len(draft.tokens) >= limit else ""


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


def _sampled(
    drafts: Sequence[Draft], stream: Stream, vocabulary: Vocabulary, sampling: Sampling, seconds: tuple[float, float]
) -> Sampled:
    prefill, decode = seconds
    total = max(1, sum(len(draft.tokens) for draft in drafts))
    attempts: list[Attempt] = []
    waste: list[Waste] = []
    for draft in drafts:
        leads = not attempts and not waste
        share = decode * len(draft.tokens) / total
        if draft.finish not in ("", "failed"):
            usage = Usage(stream.prompt_tokens, len(draft.tokens), stream.cached_tokens, prefill, share, leads)
            attempts.append(_attempt(draft, usage, vocabulary, stream.last, sampling))
        elif draft.tokens or leads or (draft.fault and not waste):
            kind, reason = ("failed", draft.fault) if draft.fault else ("cancelled", "the caller left before the reply")
            prompt_tokens, seconds_spent = (stream.prompt_tokens, prefill + share) if leads else (0, share)
            waste.append(Waste(kind, reason, prompt_tokens, len(draft.tokens), seconds_spent))
    return Sampled(tuple(attempts), tuple(waste))


def _attempt(draft: Draft, usage: Usage, vocabulary: Vocabulary, last: int, sampling: Sampling) -> Attempt:
    """The draft as an attempt; a character that the limit has cut in two is left out, for a step behind to draw."""
    has_end = draft.tokens[-1] in vocabulary.ends
    text = vocabulary.text(draft.tokens[:-1] if has_end else draft.tokens, last)
    if draft.finish == "length" and text.endswith(UNREADABLE):
        text = vocabulary.text(vocabulary.whole(draft.tokens), last)
    kind, _, met = draft.finish.partition(":")
    text = text[: text.find(met)] if kind == "stop" else text
    told = draft.logprob, draft.drawn_logprob
    logprob, drawn = (one / len(draft.tokens) if sampling.logprobs else None for one in told)
    return Attempt(draft.index, text, draft.finish, usage, None, logprob, drawn_logprob=drawn)
