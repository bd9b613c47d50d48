"""Any endpoint that speaks /v1/chat/completions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from trueup.core.errors import BadInput, Unavailable
from trueup.core.roles import ModelCard, Sampled, Waste
from trueup.core.types import Attempt, Prompt, Sampling
from trueup.models.completion import Completion, first_seed, read_completion, request_body
from trueup.models.endpoint import Endpoint
from trueup.models.retry import PATIENCE_SECONDS, Refusal, pause_seconds

MOST_CHOICES = 128


@dataclass(frozen=True, slots=True)
class _Ask:
    prompt: Prompt
    sampling: Sampling
    n: int
    start: int


@dataclass(slots=True)
class _Reply:
    """What calls have brought so far; `refusal` is set where the last one failed for good."""

    attempts: list[Attempt] = field(default_factory=list)
    waste: list[Waste] = field(default_factory=list)
    refusal: Refusal | None = None
    is_total: bool = True

    def add(self, other: _Reply) -> None:
        self.attempts += other.attempts
        self.waste += other.waste


class OpenAI:
    """Implements Model with one pooled client per endpoint, opened at the first sample.

    n attempts are one call where the endpoint takes `n`. The first such call finds out: if it is rejected,
    answered with fewer choices, or its tokens are counted for one choice only, that is remembered, and
    from then on every attempt is a call of its own. Every failed try is on record as waste.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        key_env: str = "OPENAI_API_KEY",
        timeout: float = 600.0,
        retries: int = 5,
        billing: str | None = None,
        lanes: int = 16,
    ) -> None:
        """Prepare for the model `name` at a base URL such as http://localhost:8000/v1, `lanes` calls at a time.

        The key is read from the environment variable `key_env`. Raises BadInput for a URL that is none.
        """
        self._endpoint = Endpoint(url, "/chat/completions", key_env=key_env, timeout=timeout, lanes=lanes)
        self._name, self._retries = name, retries
        self._probing = asyncio.Lock()
        self._takes_n: bool | None = None
        self._has_answered = False
        self.card = ModelCard(name, f"openai:{self._endpoint.base}:{name}", billing or name)

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """n attempts; those that failed for good are missing, with the reasons as waste.

        Raises Unavailable where the very first call shows that the endpoint cannot be used as it is set up,
        BadInput for a grammar, which endpoints do not take.
        """
        if sampling.grammar is not None:
            raise BadInput(f"{self._endpoint.base} takes no grammar; give a schema, or use the embedded engine")
        reply = _Reply()
        for first in range(start, start + n, MOST_CHOICES):
            ask = _Ask(prompt, sampling, min(MOST_CHOICES, start + n - first), first)
            part = await self._together(ask) if ask.n > 1 else _Reply()
            reply.add(part)
            if part.refusal is not None:
                break
            came = {attempt.index for attempt in part.attempts}
            reply.add(await self._singly(ask, [i for i in range(first, first + ask.n) if i not in came]))
        return Sampled(tuple(sorted(reply.attempts, key=lambda attempt: attempt.index)), tuple(reply.waste))

    async def close(self) -> None:
        """Close the connections; the next sample opens new ones."""
        self._probing = asyncio.Lock()
        await self._endpoint.close()

    async def _together(self, ask: _Ask) -> _Reply:
        """One call for all attempts, if the endpoint takes that; while it is not known, one call at a time."""
        if self._takes_n is None:
            async with self._probing:
                return await self._native(ask)
        return await self._native(ask)

    async def _native(self, ask: _Ask) -> _Reply:
        if self._takes_n is False:
            return _Reply()
        reply = await self._call(ask, ask.start, ask.n)
        if reply.refusal is not None:
            return await self._without_n(ask, reply) if _may_blame_n(reply.refusal) else reply
        self._takes_n = len(reply.attempts) == ask.n and reply.is_total
        return reply

    async def _without_n(self, ask: _Ask, rejected: _Reply) -> _Reply:
        """The first attempt alone, which tells whether it was `n` that was rejected, or the request itself."""
        alone = await self._call(ask, ask.start, 1)
        if alone.refusal is None:
            self._takes_n = False
            rejected.waste = [replace(waste, kind="retried") for waste in rejected.waste]
        alone.waste = rejected.waste + alone.waste
        return alone

    async def _singly(self, ask: _Ask, indices: Iterable[int]) -> _Reply:
        """A call per attempt, all at once; the endpoint's lanes bound how many are under way."""
        try:
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(self._call(ask, index, 1)) for index in indices]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        whole = _Reply()
        for call in calls:
            whole.add(call.result())
        return whole

    async def _call(self, ask: _Ask, start: int, n: int) -> _Reply:
        """One call, tried again while that can help: attempts, or the refusal that was the last."""
        body = request_body(self._name, ask.prompt, n, start, ask.sampling)
        jitter = first_seed(ask.prompt, ask.sampling.seed) + start
        reply = _Reply()
        tries = 0
        async with self._endpoint.free:
            while True:
                tries += 1
                began = time.perf_counter()
                outcome = await self._try(body, n, start)
                seconds = time.perf_counter() - began
                if isinstance(outcome, Completion):
                    self._has_answered = True
                    return replace(reply, attempts=list(outcome.attempts), is_total=outcome.is_total)
                if not self._should_repeat(outcome, tries):
                    return self._give_up(reply, outcome, seconds)
                reply.waste.append(Waste("retried", str(outcome), seconds=seconds))
                await asyncio.sleep(pause_seconds(tries, outcome.retry_after, jitter))

    async def _try(self, body: bytes, n: int, start: int) -> Completion | Refusal:
        began = time.perf_counter()
        response = await self._endpoint.post(body)
        if isinstance(response, Refusal):
            return response
        try:
            return read_completion(response.json(), n, start, time.perf_counter() - began)
        except (ValueError, RecursionError) as error:
            return self._endpoint.malformed(response, error)

    def _should_repeat(self, refusal: Refusal, tries: int) -> bool:
        """A host that was never reached gets one repetition: most likely it is not there."""
        retries = min(1, self._retries) if refusal.is_unreachable and not self._has_answered else self._retries
        return refusal.may_retry and tries <= retries and (refusal.retry_after or 0) <= PATIENCE_SECONDS

    def _give_up(self, reply: _Reply, refusal: Refusal, seconds: float) -> _Reply:
        if not self._has_answered:
            self._raise_if_unusable(refusal)
        kind = "refused" if refusal.is_for_good else "failed"
        return replace(reply, waste=[*reply.waste, Waste(kind, str(refusal), seconds=seconds)], refusal=refusal)

    def _raise_if_unusable(self, refusal: Refusal) -> None:
        if refusal.is_unreachable:
            raise Unavailable(f"{refusal}; start it, or check the URL")
        if refusal.status in (401, 403):
            raise Unavailable(f"{refusal}; put a key that may use {self._name!r} into ${self._endpoint.key_env}")
        if refusal.status is not None and (refusal.status == 404 or 300 <= refusal.status < 400):
            raise Unavailable(f"{refusal}; check the URL and the model's name {self._name!r}")


def _may_blame_n(refusal: Refusal) -> bool:
    return refusal.status in (400, 422) and refusal.param in (None, "n")
