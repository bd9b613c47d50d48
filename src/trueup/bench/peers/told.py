"""What a system says that a request has cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """A system's own figures for one request, None where it gives none; `failure` says why there is no reply."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    calls: int | None = None
    text: str = ""
    failure: str = ""
