"""Sampling rows of one prompt or several, in batches of a fixed shape.

A matrix product rounds by the number of its rows, so attempt i at a prompt that is read alone always runs in row
i mod `rows` of a batch of that many; rows that nobody asked for, or that have ended, run along. Then an attempt is the
same bytes alone and in a batch, on one machine with one number of threads. That is what a sample alone pays for;
`rows=1` does not pay it. Prompts that are read together fill the rows one after the other, and each of their attempts
is the same up to rounding.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from trueup.core.errors import TrueupError
from trueup.core.roles import Sampled, Waste
from trueup.core.types import Attempt, Prompt, Usage
from trueup.models.huggingface.draft import Ask, Draft, Head, attempt_of, grow, new_draft
from trueup.models.huggingface.trouble import gave_up
from trueup.models.huggingface.vocabulary import Refused

if TYPE_CHECKING:
    from torch import Tensor

    from trueup.models.huggingface.vocabulary import Vocabulary

NO_NUMBERS = "the model's logits are no numbers; set dtype=float32, and a smaller alpha where models are mixed"
Tokens = Sequence[Sequence[int]]
"""A prompt, as each network of a source reads it."""
Reply = Sampled | TrueupError
"""What an ask comes to; the error of a form that does not compile, or that cannot be kept to."""


class Stream(Protocol):
    """Texts that have been read so far, one in each row."""

    logits_BV: Tensor

    @property
    def heads(self) -> Sequence[Head]:
        """What stands in each row."""
        ...

    def spread(self, places: Sequence[int]) -> Stream:
        """A row for each of these places, a copy of the text there; this one stays as it is."""
        ...

    def step(self, tokens: Sequence[int]) -> None:
        """Read one more token in each row."""
        ...


class Source(Protocol):
    """Where a text's next tokens come from."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    def fitting(self, prompt: Prompt) -> Tokens:
        """The prompt's tokens; raises Refused where it cannot be read."""
        ...

    def begin(self, prompts: Sequence[Tokens]) -> Stream:
        """Prompts that fit, read in a row each."""
        ...

    def keep(self, stream: Stream, drafts: Sequence[Draft]) -> None:
        """Take notice of the rows that these drafts have ended in."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """So many rows at a time on so many cores."""

    rows: int
    cores: int


@dataclass(frozen=True, slots=True)
class Taken:
    """An ask whose prompt can be read, and what holds its texts to a form."""

    ask: Ask
    tokens: Tokens
    matcher: Any


@dataclass(slots=True)
class Clock:
    """Core-seconds of reading and of writing."""

    prefill: float
    decode: float = 0.0


def sample_from(source: Source, asks: Sequence[Ask], pace: Pace) -> list[Reply]:
    """What each ask comes to, all of them behind one reading of their prompts.

    Seconds are core-seconds: those of a prompt on every attempt at it, shared by the prompts' tokens, the rest shared
    by tokens sampled. Where torch gives up, what it had not written is a failure on record.
    """
    found = [_take(source, ask) for ask in asks]
    taken = [one for one in found if isinstance(one, Taken)]
    sampled = iter(_sample(source, taken, pace) if taken else ())
    return [next(sampled) if isinstance(one, Taken) else one for one in found]


def _take(source: Source, ask: Ask) -> Taken | Reply:
    try:
        matcher = source.vocabulary.matcher(ask.sampling)
        return Taken(ask, source.fitting(ask.prompt), matcher)
    except Refused as error:
        return Sampled((), (Waste("refused", str(error), 0, 0),))
    except TrueupError as error:
        return error


def _sample(source: Source, taken: Sequence[Taken], pace: Pace) -> list[Sampled]:
    began = time.perf_counter()
    try:
        stream = source.begin([one.tokens for one in taken])
    except RuntimeError as error:
        lost = Waste("failed", gave_up(error), seconds=(time.perf_counter() - began) * pace.cores / len(taken))
        return [Sampled((), (lost,)) for _ in taken]
    clock = Clock(prefill=(time.perf_counter() - began) * pace.cores)
    drafts = _drafts(taken, pace.rows)
    try:
        _write_all(source, stream, drafts, pace.rows)
    except RuntimeError as error:
        for draft in drafts:
            draft.fail(gave_up(error))
    clock.decode = (time.perf_counter() - began) * pace.cores - clock.prefill
    return _shared_out(drafts, stream.heads, source.vocabulary, clock)


def _drafts(taken: Sequence[Taken], rows: int) -> list[Draft]:
    """An attempt for each that is asked for, its row by its index where one prompt is read, else by its turn."""
    numbered = [(place, index) for place, one in enumerate(taken) for index in _indices(one.ask)]
    is_alone = len(taken) == 1
    return [
        new_draft(taken[place].ask, index, place, (index if is_alone else turn) % rows, taken[place].matcher)
        for turn, (place, index) in enumerate(numbered)
    ]


def _indices(ask: Ask) -> range:
    return range(ask.start, ask.start + ask.n)


def _write_all(source: Source, stream: Stream, drafts: Sequence[Draft], rows: int) -> None:
    """Write all drafts, a batch at a time."""
    for batch in _batches(drafts):
        places = {draft.row: draft.place for draft in batch}
        running = stream.spread([places.get(row, 0) for row in range(rows)])
        _write(running, batch, source.vocabulary)
        source.keep(running, batch)


def _batches(drafts: Sequence[Draft]) -> list[list[Draft]]:
    """The drafts in their order; a row that comes again begins another batch."""
    batches: list[list[Draft]] = []
    for draft in drafts:
        if not batches or draft.row <= batches[-1][-1].row:
            batches.append([])
        batches[-1].append(draft)
    return batches


def _write(stream: Stream, drafts: Sequence[Draft], vocabulary: Vocabulary) -> None:
    """Write all drafts of a batch to their ends."""
    heads = stream.heads
    while True:
        tokens = [head.last for head in heads]
        can_go_on_B = are_numbers(stream.logits_BV)
        for draft in drafts:
            if draft.is_over:
                continue
            if can_go_on_B[draft.row]:
                tokens[draft.row] = grow(draft, stream.logits_BV[draft.row], heads[draft.row], vocabulary)
            else:
                draft.fail(NO_NUMBERS)
        if all(draft.is_over for draft in drafts):
            return
        stream.step(tokens)


def are_numbers(logits_BV: Tensor) -> list[bool]:
    """Whether each row has a likeliest token: none that is no number or +inf, and not all of them at -inf."""
    told: list[bool] = logits_BV.amax(-1).isfinite().tolist()
    return told


def _shared_out(drafts: Sequence[Draft], heads: Sequence[Head], vocabulary: Vocabulary, clock: Clock) -> list[Sampled]:
    """The drafts by their prompts, each with its share of the seconds."""
    by_place: defaultdict[int, list[Draft]] = defaultdict(list)
    for draft in drafts:
        by_place[draft.place].append(draft)
    read = sum(head.prompt_tokens for head in heads)
    written = max(1, sum(len(draft.tokens) for draft in drafts))
    return [
        _sampled(
            by_place[place], head, vocabulary, Clock(clock.prefill * head.prompt_tokens / read, clock.decode / written)
        )
        for place, head in enumerate(heads)
    ]


def _sampled(drafts: Sequence[Draft], head: Head, vocabulary: Vocabulary, clock: Clock) -> Sampled:
    """What became of the drafts of a prompt; the clock tells the seconds of the prompt, and of a token."""
    attempts: list[Attempt] = []
    waste: list[Waste] = []
    for draft in drafts:
        leads = not attempts and not waste
        share = clock.decode * len(draft.tokens)
        if draft.finish not in ("", "failed"):
            usage = Usage(head.prompt_tokens, len(draft.tokens), head.cached_tokens, clock.prefill, share, leads)
            attempts.append(attempt_of(draft, usage, head.last, vocabulary))
        elif draft.tokens or leads or (draft.fault and not waste):
            kind, reason = ("failed", draft.fault) if draft.fault else ("cancelled", "the caller left before the reply")
            prompt_tokens, seconds = (head.prompt_tokens, clock.prefill + share) if leads else (0, share)
            waste.append(Waste(kind, reason, prompt_tokens, len(draft.tokens), seconds))
    return Sampled(tuple(attempts), tuple(waste))
