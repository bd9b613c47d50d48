"""Sampling rows of one prompt or several, in batches of a fixed shape.

A matrix product rounds by the number of its rows, so attempt i at a prompt that is read alone always runs in row
i mod `rows` of a batch of that many; rows that nobody asked for, or that have ended, run along. Then an attempt is the
same bytes alone and in a batch, on one machine with one number of threads. That is what a sample alone pays for;
`rows=1` does not pay it. Prompts that are read together fill the rows one after the other, and each of their attempts
is the same up to rounding. They are only as far as the longest of them and the longest answer that one may have fit the
context: a row that has ended runs along, and would run out of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

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
Reply = Sampled | Exception
"""What an ask comes to; an error where it cannot even be begun, as by a form that does not compile."""


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

    @property
    def contexts(self) -> Sequence[int]:
        """The tokens of the longest text that each of its networks reads."""
        ...

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
    """An ask whose prompt can be read, what holds its texts to a form, and the seconds that it took to find out."""

    ask: Ask
    tokens: Tokens
    matcher: Any
    seconds: float

    @property
    def length(self) -> int:
        """The tokens of its prompt's longest reading."""
        return max(map(len, self.tokens))


@dataclass(frozen=True, slots=True)
class Share:
    """Core-seconds of a prompt, and of each token written."""

    prompt: float
    token: float


def sample_from(source: Source, asks: Sequence[Ask], pace: Pace) -> list[Reply]:
    """What each ask comes to, as many as can be behind one reading of their prompts.

    Seconds are core-seconds: those of a prompt on every attempt at it, shared by the prompts' tokens, the rest shared
    by tokens sampled. Where torch gives up, what it had not written is a failure on record.
    """
    replies = [_take(source, ask) for ask in asks]
    taken = {place: one for place, one in enumerate(replies) if isinstance(one, Taken)}
    for group in _groups(taken, source.contexts):
        sampled = _sample(source, [taken[place] for place in group], pace)
        for place, reply in zip(group, sampled, strict=True):
            replies[place] = reply
    return [reply for reply in replies if not isinstance(reply, Taken)]


def _take(source: Source, ask: Ask) -> Taken | Reply:
    """The ask, begun; whatever stands in its way is its own error, and no other's."""
    try:
        matcher = source.vocabulary.matcher(ask.sampling)
        began = time.perf_counter()
        tokens = source.fitting(ask.prompt)
        return Taken(ask, tokens, matcher, time.perf_counter() - began)
    except Refused as error:
        return Sampled((), (Waste("refused", str(error), 0, 0),))
    except Exception as error:
        return error


def _groups(taken: Mapping[int, Taken], contexts: Sequence[int]) -> list[list[int]]:
    """The places of asks to be read together, each in the first group that it fits into."""
    groups: list[list[int]] = []
    for place, one in taken.items():
        fitting = (group for group in groups if _fit([*(taken[other] for other in group), one], contexts))
        group = next(fitting, None)
        if group is None:
            groups.append([place])
        else:
            group.append(place)
    return groups


def _fit(group: Sequence[Taken], contexts: Sequence[int]) -> bool:
    """Whether every context holds the longest prompt of a group and the longest answer that one of it may have."""
    steps = max(one.ask.sampling.max_tokens for one in group)
    return all(
        max(len(one.tokens[network]) for one in group) + steps <= context for network, context in enumerate(contexts)
    )


def _sample(source: Source, taken: Sequence[Taken], pace: Pace) -> list[Sampled]:
    began = time.perf_counter()
    try:
        stream = source.begin([one.tokens for one in taken])
    except RuntimeError as error:
        lost = _prefills(taken, time.perf_counter() - began, pace.cores)
        return [Sampled((), (Waste("failed", gave_up(error), seconds=seconds),)) for seconds in lost]
    read = time.perf_counter()
    drafts = _drafts(taken, pace.rows)
    try:
        _write_all(source, stream, drafts, pace.rows)
    except RuntimeError as error:
        for draft in drafts:
            draft.fail(gave_up(error))
    written = max(1, sum(len(draft.tokens) for draft in drafts))
    token = (time.perf_counter() - read) * pace.cores / written
    shares = [Share(prefill, token) for prefill in _prefills(taken, read - began, pace.cores)]
    return [
        _sampled([draft for draft in drafts if draft.place == place], head, source.vocabulary, share)
        for place, (head, share) in enumerate(zip(stream.heads, shares, strict=True))
    ]


def _prefills(taken: Sequence[Taken], seconds: float, cores: int) -> list[float]:
    """The core-seconds of each prompt: its share by tokens of a pass over all, and what finding them out took."""
    total = sum(one.length for one in taken)
    return [cores * (one.seconds + seconds * one.length / total) for one in taken]


def _drafts(taken: Sequence[Taken], rows: int) -> list[Draft]:
    """An attempt for each that is asked for, its row by its index where one prompt is read, else by its turn."""
    numbered = [(place, index) for place, one in enumerate(taken) for index in one.ask.indices]
    is_alone = len(taken) == 1
    return [
        new_draft(taken[place].ask, index, place, (index if is_alone else turn) % rows, taken[place].matcher)
        for turn, (place, index) in enumerate(numbered)
    ]


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
    heads, asks = stream.heads, {draft.place: draft.ask for draft in drafts}
    while True:
        awaited = {place for place, ask in asks.items() if not ask.has_left()}
        going = [draft for draft in drafts if not draft.finish and draft.place in awaited]
        tokens = [head.last for head in heads]
        can_go_on_B = are_numbers(stream.logits_BV)
        for draft in going:
            if can_go_on_B[draft.row]:
                tokens[draft.row] = grow(draft, stream.logits_BV[draft.row], heads[draft.row], vocabulary)
            else:
                draft.fail(NO_NUMBERS)
        if all(draft.finish for draft in going):
            return
        stream.step(tokens)


def are_numbers(logits_BV: Tensor) -> list[bool]:
    """Whether each row has a likeliest token: none that is no number or +inf, and not all of them at -inf."""
    told: list[bool] = logits_BV.amax(-1).isfinite().tolist()
    return told


def _sampled(drafts: Sequence[Draft], head: Head, vocabulary: Vocabulary, share: Share) -> Sampled:
    """What became of the drafts of a prompt."""
    attempts: list[Attempt] = []
    waste: list[Waste] = []
    for draft in drafts:
        leads = not attempts and not waste
        own = share.token * len(draft.tokens)
        if draft.finish not in ("", "failed"):
            usage = Usage(head.prompt_tokens, len(draft.tokens), head.cached_tokens, share.prompt, own, leads)
            attempts.append(attempt_of(draft, usage, head.last, vocabulary))
        elif draft.tokens or leads or (draft.fault and not waste):
            kind, reason = ("failed", draft.fault) if draft.fault else ("cancelled", "the caller left before the reply")
            prompt_tokens, seconds = (head.prompt_tokens, share.prompt + own) if leads else (0, own)
            waste.append(Waste(kind, reason, prompt_tokens, len(draft.tokens), seconds))
    return Sampled(tuple(attempts), tuple(waste))
