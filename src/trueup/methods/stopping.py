"""Sample in blocks until a rule about the votes says stop.

A block is as large as the rule needs at the very least: the fewest attempts after which it could stop if all of them
join the leader or, for a rule that gives up, if none does. So blocks take hardly an attempt that asking one by one
would not have taken. Where a call costs as much as v attempts for its prompt alone, a block has at least
step * sqrt(1 + v) attempts, the square-root law of lot sizes (Harris 1913): on simulated models it was as good as any
law tried, from prompts a fifth as long as an attempt to ones seven times as long. Where the leader can no longer be
overtaken, or a whole block failed, sampling ends in any case. An attempt that failed is taken from the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean

from trueup.core.asks import Flow, sample
from trueup.core.types import Attempt, Problem
from trueup.methods.spare import spared
from trueup.methods.tally import count

LETTERS_A_TOKEN = 4
TOKENS_A_MESSAGE = 4
"""What a chat template puts around a message."""


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes of the leader, of the runner-up, of all others, attempts that could not be read, attempts still allowed.

    `overhead` is what another call costs for its prompt, counted in attempts.
    """

    first: int
    second: int
    rest: int
    unread: int
    left: int
    overhead: float = 0.0

    @classmethod
    def of(cls, attempts: Sequence[Attempt], n: int) -> Votes:
        """The votes of these attempts out of n at most."""
        votes = count(attempts)
        first, second = (*sorted(votes.values(), reverse=True), 0, 0)[:2]
        cast = votes.total()
        return cls(
            first, second, cast - first - second, len(attempts) - cast, n - len(attempts), measured_overhead(attempts)
        )

    @property
    def taken(self) -> int:
        """Attempts so far."""
        return self.first + self.second + self.rest + self.unread

    @property
    def is_decided(self) -> bool:
        """Whether what is still allowed cannot change the leader, or nothing is."""
        return self.left <= 0 or self.first - self.second > self.left

    def for_leader(self, k: int) -> Votes:
        """The same with k more attempts, all for the leader."""
        return replace(self, first=self.first + k, left=self.left - k)

    def for_others(self, k: int) -> Votes:
        """The same with k more attempts, all for answers that were not among the first two."""
        return replace(self, rest=self.rest + k, left=self.left - k)


Rule = Callable[[Votes], bool]


def sample_until(problem: Problem, rule: Rule, *, n: int, step: int, gives_up: bool = False) -> Flow[list[Attempt]]:
    """Attempts up to the first block after which the rule is satisfied, or that failed whole; n asked for at most."""
    attempts: list[Attempt] = []
    asked, votes = 0, replace(Votes.of(attempts, n), overhead=expected_overhead(problem))
    while asked < n:
        size = block(votes, rule, step, gives_up=gives_up)
        more = (yield from spared(sample(problem.prompt, size, start=asked), count(attempts))) or ()
        asked += size
        attempts += more
        votes = Votes.of(attempts, n - asked + len(attempts))
        if not more or votes.is_decided or rule(votes):
            break
    return attempts


def measured_overhead(attempts: Sequence[Attempt]) -> float:
    """The tokens of the prompt over those of a mean attempt; 0 where nobody counted."""
    usages = [attempt.usage for attempt in attempts]
    lengths = [usage.completion_tokens for usage in usages if usage.completion_tokens is not None]
    prompt = usages[0].prompt_tokens if usages else None
    return prompt * len(lengths) / sum(lengths) if prompt and sum(lengths) else 0.0


def expected_overhead(problem: Problem) -> float:
    """The same before the first call: an attempt is as long as the model's turns in the prompt, or as it may be."""
    shown = [len(message.content) / LETTERS_A_TOKEN for message in problem.prompt if message.role == "assistant"]
    prompt = sum(len(message.content) / LETTERS_A_TOKEN + TOKENS_A_MESSAGE for message in problem.prompt)
    most = problem.sampling.max_tokens
    return prompt / max(1.0, min(fmean(shown), most) if shown else most)


def block(votes: Votes, rule: Rule, step: int, *, gives_up: bool = False) -> int:
    """How many attempts to ask for now: the fewest that could satisfy the rule, but as many as make up for a call."""
    least = int(step * sqrt(1 + votes.overhead))
    for k in range(max(1, min(least, votes.left)), votes.left):
        ahead, behind = votes.for_leader(k), votes.for_others(k)
        if ahead.is_decided or rule(ahead) or (gives_up and votes.first and rule(behind)):
            return k
    return votes.left
