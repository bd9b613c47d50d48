"""How an endpoint is asked: what it rejects is said otherwise, or left out.

OpenAI's reasoning models take no `max_tokens` and tell no log-probabilities; some reject sampling settings even where
they are its own defaults.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from trueup.core.types import Sampling
from trueup.models.retry import Refusal
from trueup.models.servers import Server, temperature_behind

MAX_TOKENS, LIMIT_INSTEAD = "max_tokens", "max_completion_tokens"
LOGPROBS, TOP_LOGPROBS = "logprobs", "top_logprobs"
LIKELIEST = 5
"""Of so many next tokens a reply is to tell what they had, where a temperature changes it; many tell of no more."""
STREAM_OPTIONS, CONTINUOUS = "stream_options", "continuous_usage_stats"
DEFAULTS = {"temperature": 1.0, "top_p": 1.0}
"""What OpenAI's API samples by where a request is silent; elsewhere silence may mean the model's own settings."""

MISSES = 3
"""So many calls for several that miss some, one behind the other, are no chance."""

_INSTEAD = re.compile(rf"{LIMIT_INSTEAD}\W+instead")
_TOO_MANY = re.compile("max|at most|greater|exceed", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Manner:
    """What server it is, what it calls the token limit, and the fields that are left unsaid."""

    server: Server | None = None
    limit: str = MAX_TOKENS
    unsaid: frozenset[str] = frozenset()

    def without(self, field: str) -> Manner:
        """The manner for an endpoint that rejects this field too."""
        if field == MAX_TOKENS:
            return replace(self, limit=LIMIT_INSTEAD)
        too = {TOP_LOGPROBS} if field == LOGPROBS else set()
        return replace(self, unsaid=self.unsaid | {field} | too)

    def said(self, body: dict[str, Any]) -> dict[str, Any]:
        """The fields of a request that are said: a setting is left unsaid only at OpenAI's default."""
        return {
            name: value for name, value in body.items() if name not in self.unsaid or value != DEFAULTS.get(name, value)
        }

    def telling(self, sampling: Sampling) -> dict[str, Any]:
        """The fields by which a reply tells of its tokens."""
        if not sampling.logprobs:
            return {}
        is_changed = 0 < temperature_behind(self.server, sampling.temperature) < 1
        return {LOGPROBS: True} | ({TOP_LOGPROBS: LIKELIEST} if is_changed else {})

    def streamed(self) -> dict[str, Any]:
        """The fields that a request for a stream has besides: usage at its end, and with every piece where told."""
        options = {"include_usage": True} | ({} if CONTINUOUS in self.unsaid else {CONTINUOUS: True})
        return {"stream": True} | ({} if STREAM_OPTIONS in self.unsaid else {STREAM_OPTIONS: options})

    def blamed(self, refusal: Refusal | None, sampling: Sampling, *, is_streamed: bool = False) -> str | None:
        """The field that a refusal may be for, where the same can be asked without it."""
        if refusal is None:
            return None
        if self.limit == MAX_TOKENS and refusal.may_blame(MAX_TOKENS) and _INSTEAD.search(refusal.detail):
            return MAX_TOKENS
        options = [name for name in (CONTINUOUS, STREAM_OPTIONS) if is_streamed and name not in self.unsaid]
        if options and _names_stream_options(refusal):
            return options[0]
        telling = [name for name in reversed(self.telling(sampling)) if name not in self.unsaid]
        if TOP_LOGPROBS in telling and refusal.may_blame(LOGPROBS) and _TOO_MANY.search(refusal.detail):
            return TOP_LOGPROBS
        for name in filter(refusal.may_blame, telling):
            return name
        if options and refusal.may_blame(STREAM_OPTIONS):
            return options[0]
        settings = {name for name, value in DEFAULTS.items() if getattr(sampling, name) == value} - self.unsaid
        return refusal.param if refusal.param in settings and refusal.may_blame(refusal.param) else None


def _names_stream_options(refusal: Refusal) -> bool:
    """Whether a refusal is for them, by whatever path it names them."""
    told = refusal.param or refusal.detail
    return refusal.may_blame(refusal.param or STREAM_OPTIONS) and (STREAM_OPTIONS in told or CONTINUOUS in told)


@dataclass(slots=True)
class Together:
    """Whether an endpoint takes `n`: its first call for several tells, and a row of them that failed takes it back."""

    takes_n: bool | None = None
    _misses: int = 0

    def learn(self, is_whole: bool) -> None:
        """Note whether a call for several brought them all, with a count for all."""
        self._misses = 0 if is_whole else self._misses + 1
        if self.takes_n is None or self._misses == MISSES:
            self.takes_n = is_whole
