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
from trueup.models.servers import Server

MAX_TOKENS, LIMIT_INSTEAD = "max_tokens", "max_completion_tokens"
LOGPROBS = "logprobs"
DEFAULTS = {"temperature": 1.0, "top_p": 1.0}
"""What OpenAI's API samples by where a request is silent; elsewhere silence may mean the model's own settings."""

_INSTEAD = re.compile(rf"{LIMIT_INSTEAD}\W+instead")


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
        return replace(self, unsaid=self.unsaid | {field})

    def said(self, body: dict[str, Any]) -> dict[str, Any]:
        """The fields of a request that are said: a setting is left unsaid only at OpenAI's default."""
        return {
            name: value for name, value in body.items() if name not in self.unsaid or value != DEFAULTS.get(name, value)
        }

    def blamed(self, refusal: Refusal | None, sampling: Sampling) -> str | None:
        """The field that a refusal may be for, where the same can be asked without it."""
        if refusal is None:
            return None
        if self.limit == MAX_TOKENS and refusal.may_blame(MAX_TOKENS) and _INSTEAD.search(refusal.detail):
            return MAX_TOKENS
        if sampling.logprobs and LOGPROBS not in self.unsaid and refusal.may_blame(LOGPROBS):
            return LOGPROBS
        settings = {name for name, value in DEFAULTS.items() if getattr(sampling, name) == value} - self.unsaid
        return refusal.param if refusal.param in settings and refusal.may_blame(refusal.param) else None
