"""Rollouts: a prompt, a turn of the policy's, and perhaps a request and another turn.

The second turn is asked for as `revise` asks at inference: the same chat, the same words, and nothing about whether the
first was right. The first turn's tokens stay the sampled ones, its end of turn included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trueup.core.errors import BadInput
from trueup.core.types import Prompt
from trueup.methods.revise import ask_again, continued
from trueup.models.huggingface.vocabulary import Vocabulary

SENTINEL = "x"


@dataclass(frozen=True, slots=True)
class Turn:
    """What the policy said behind `context`; `cut` tokens were sampled behind a stop string and thrown away.

    `logprobs` are the sampler's own, where it is another program than the trainer.
    """

    context: tuple[int, ...]
    ids: tuple[int, ...]
    text: str
    cut: int
    is_clipped: bool
    logprobs: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Episode:
    """One attempt at an item, in all its turns."""

    item: int
    turns: tuple[Turn, ...]

    @property
    def prompt_ids(self) -> list[int]:
        """The tokens before the policy's first."""
        return list(self.turns[0].context)

    @property
    def tokens(self) -> list[tuple[int, int]]:
        """All tokens behind the prompt, each with the number of its turn, 0 where it is not the policy's."""
        found: list[tuple[int, int]] = []
        for number, turn in enumerate(self.turns, 1):
            begun = len(self.turns[0].context) + len(found)
            found += [(token, 0) for token in turn.context[begun:]]
            found += [(token, number) for token in turn.ids]
        return found

    @property
    def logprobs(self) -> list[float | None]:
        """The sampler's log-probabilities of all tokens behind the prompt, 0 for those that it did not sample."""
        found: list[float | None] = []
        for turn in self.turns:
            begun = len(self.turns[0].context) + len(found)
            found += [0.0] * (len(turn.context) - begun) + list(turn.logprobs)
        return found


@dataclass(frozen=True, slots=True)
class Record:
    """The numbers of an episode: a tuple holds one a turn, `tokens` counts the whole sequence.

    `first` is the first sampled token; `edited` says whether the last turn's text is another than the first's.
    """

    contexts: tuple[int, ...]
    lengths: tuple[int, ...]
    cuts: tuple[int, ...]
    clipped: tuple[bool, ...]
    rights: tuple[bool, ...]
    rewards: tuple[float, ...]
    tokens: int
    first: int
    edited: bool = False

    @classmethod
    def of(cls, episode: Episode, rights: Sequence[bool], rewards: Sequence[float]) -> Record:
        """The numbers of an episode."""
        turns = episode.turns
        return cls(
            tuple(len(turn.context) for turn in turns),
            tuple(len(turn.ids) for turn in turns),
            tuple(turn.cut for turn in turns),
            tuple(turn.is_clipped for turn in turns),
            tuple(rights),
            tuple(rewards),
            len(turns[-1].context) + len(turns[-1].ids),
            turns[0].ids[0],
            turns[-1].text != turns[0].text,
        )


def ended(
    context: Sequence[int],
    ids: Sequence[int],
    stops: Sequence[str],
    vocabulary: Vocabulary,
    logprobs: Sequence[float | None] = (),
) -> Turn:
    """A turn out of sampled tokens, which go on behind its first stop string where nobody stopped them there.

    Tokens that only fill the batch behind an ended row are no tokens of its own, and not counted.
    """
    kept = _until_stop(ids, stops, vocabulary, context[-1])
    is_stopped = kept is not None
    own = tuple(ids if kept is None else ids[:kept])
    fillers = vocabulary.ends | {vocabulary.tokenizer.pad_token_id}
    cut = sum(token not in fillers for token in ids[len(own) :])
    has_end = own[-1] in vocabulary.ends
    text = vocabulary.text(own[:-1] if has_end else own, context[-1])
    for stop in stops:
        text = text.partition(stop)[0] if stop else text
    return Turn(tuple(context), own, text, cut, not has_end and not is_stopped, tuple(logprobs[: len(own)]))


def request_after(prompt: Prompt, vocabulary: Vocabulary) -> tuple[int, ...]:
    """The tokens between a first turn and the second, the end of the first included.

    Raises BadInput where the template writes a turn otherwise once another follows.
    """
    before = vocabulary.ids(continued(prompt, SENTINEL))
    whole = vocabulary.ids(ask_again(prompt, SENTINEL))
    if whole[: len(before)] != before:
        raise BadInput("the chat template rewrites a turn that another follows; name another with template=FILE")
    return tuple(whole[len(before) :])


def second_context(first: Turn, request: Sequence[int], ends: frozenset[int]) -> tuple[int, ...]:
    """The tokens before a second turn; an end that the first has sampled itself is not written twice."""
    if first.ids[-1] in ends and request and request[0] in ends:
        request = request[1:]
    return (*first.context, *first.ids, *request)


def _until_stop(ids: Sequence[int], stops: Sequence[str], vocabulary: Vocabulary, after: int) -> int | None:
    """How many tokens it takes until the first stop string is complete, None where none ever is."""

    def has_stop(count: int) -> bool:
        text = vocabulary.text(ids[:count], after)
        return any(stop in text for stop in stops if stop)

    low, high = 1, len(ids)
    if not stops or not has_stop(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if has_stop(middle) else (middle + 1, high)
    return low
