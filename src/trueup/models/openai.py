"""Any endpoint that speaks /v1/chat/completions."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import httpx

from trueup.core.errors import AskFailed, BadInput
from trueup.core.roles import ModelCard, Sampled, Waste
from trueup.core.together import together
from trueup.core.types import Attempt, Prompt, Sampling
from trueup.models.completion import (
    NEXT_TOKEN,
    Completion,
    Reading,
    first_seed,
    next_token_body,
    read_completion,
    read_next_token,
    request_body,
)
from trueup.models.endpoint import Endpoint
from trueup.models.manner import Manner, Together
from trueup.models.retry import PATIENCE_SECONDS, Refusal, pause_seconds
from trueup.models.servers import find_server, require_read
from trueup.models.stream import Reception, broken_off, priced

MOST_CHOICES = 128


@dataclass(frozen=True, slots=True)
class _Ask:
    prompt: Prompt
    sampling: Sampling
    n: int
    start: int


@dataclass(slots=True)
class _Reply:
    """What calls have brought so far; `refusal` is set where the last one failed for good.

    `failed` is the indices of choices that came and are no attempts; they are not asked for again.
    """

    attempts: list[Attempt] = field(default_factory=list)
    waste: list[Waste] = field(default_factory=list)
    refusal: Refusal | None = None
    is_total: bool = True
    failed: frozenset[int] = frozenset()

    def add(self, other: _Reply | Sampled) -> None:
        self.attempts += other.attempts
        self.waste += other.waste

    @property
    def is_apart(self) -> bool:
        """Whether there are several attempts, and each has come by a call of its own."""
        return len(self.attempts) > 1 and all(attempt.usage.leads for attempt in self.attempts)

    def sampled(self) -> Sampled:
        return Sampled(tuple(sorted(self.attempts, key=lambda attempt: attempt.index)), tuple(self.waste))

    def left(self, gone: asyncio.CancelledError) -> asyncio.CancelledError:
        """The cancellation that carries all this besides; asyncio lets pass its own type of error alone."""
        self.add(_told(gone))
        return asyncio.CancelledError(self.sampled())


class OpenAI:
    """Implements Model with one pooled client per endpoint, opened at the first sample.

    n attempts are one call where the endpoint takes `n`. The first such call finds out: if it is rejected,
    answered with fewer choices, or its tokens are counted for one choice only, that is remembered, and
    from then on every attempt is a call of its own. Where it did take `n`, what a later call misses is asked for
    singly, and only several such calls in a row are held against it. Every failed try is on record as waste.

    A sample that is cancelled raises a CancelledError that carries, as a Sampled, what had come by then and what was
    wasted: attempts that were paid for, tries, and the calls that were really under way. With `stream` single attempts
    come in pieces, so that an endpoint that counts as it goes (vLLM, SGLang) tells what a cancelled call had used when
    it was broken off; what it may write until it notices is not in that.
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
        stream: bool = False,
        server: str = "",
    ) -> None:
        """Prepare for the model `name` at a base URL such as http://localhost:8000/v1, `lanes` calls at a time.

        The key is read from the environment variable `key_env`. With `server` (vllm, sglang, llamacpp) its own
        samplers are turned off and a grammar reaches it. Raises BadInput for a URL that is none, lanes below 1, retries
        below 0 or a timeout of no seconds, UnknownName for a server that there is not.
        """
        _check(timeout, retries, lanes)
        self._manner = Manner(find_server(server))
        self._endpoint = Endpoint(url, "/chat/completions", key_env=key_env, timeout=timeout, lanes=lanes)
        self._name, self.retries, self._streams = name, retries, stream
        self._probing = asyncio.Lock()
        self._together = Together()
        self._has_answered = False
        kind = f":{server}" if server else ""
        self.card = ModelCard(
            name, f"openai:{self._endpoint.base}:{name}{kind}", billing or name, per_call=MOST_CHOICES
        )

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """n attempts; those that failed for good are missing, with the reasons as waste.

        Raises Unavailable where the very first call shows that the endpoint cannot be used as it is set up,
        BadInput for a grammar where no `server` is set that takes one, or in another notation than its own.
        """
        if sampling.grammar is not None:
            require_read(self._manner.server, self._endpoint.base, sampling.grammar)
        reply = _Reply()
        try:
            for first in range(start, start + n, MOST_CHOICES):
                ask = _Ask(prompt, sampling, min(MOST_CHOICES, start + n - first), first)
                part = await self._several(ask) if ask.n > 1 else _Reply()
                reply.add(part)
                if part.refusal is not None:
                    break
                came = {attempt.index for attempt in part.attempts} | part.failed
                reply.add(await self._singly(ask, [i for i in range(first, first + ask.n) if i not in came]))
        except asyncio.CancelledError as gone:
            raise reply.left(gone) from None
        found = reply.sampled()
        if self._together.takes_n is False or reply.is_apart:
            alone = tuple(replace(a, usage=replace(a.usage, takes_n=False)) for a in found.attempts)
            return replace(found, attempts=alone)
        return found

    async def next_token(self, prompt: Prompt, k: int = 20) -> Mapping[str, float]:
        """The k likeliest tokens behind a prompt, as text, with their natural log-probabilities.

        Raises AskFailed where the endpoint does not answer, or does not tell them.
        """
        response = await self._likely(prompt, k, self._manner)
        if isinstance(response, Refusal):
            raise AskFailed(str(response))
        try:
            return read_next_token(response.json())
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise AskFailed(str(self._endpoint.malformed(response, error))) from None

    async def _likely(self, prompt: Prompt, k: int, manner: Manner) -> httpx.Response | Refusal:
        response = await self._endpoint.post(next_token_body(self._name, prompt, k, manner))
        field = manner.blamed(response, NEXT_TOKEN) if isinstance(response, Refusal) else None
        return response if field is None else await self._likely(prompt, k, manner.without(field))

    async def close(self) -> None:
        """Close the connections; the next sample opens new ones."""
        self._probing = asyncio.Lock()
        await self._endpoint.close()

    async def _several(self, ask: _Ask) -> _Reply:
        """One call for all attempts, if the endpoint takes that; while it is not known, one call at a time."""
        if self._together.takes_n is None:
            async with self._probing:
                if self._together.takes_n is None:
                    return await self._native(ask)
        return await self._native(ask)

    async def _native(self, ask: _Ask) -> _Reply:
        if self._together.takes_n is False:
            return _Reply()
        reply = await self._call(ask, ask.start, ask.n)
        if reply.refusal is not None:
            return await self._without_n(ask, reply) if reply.refusal.may_blame("n") else reply
        self._together.learn(len(reply.attempts) + len(reply.failed) == ask.n and reply.is_total)
        return reply

    async def _without_n(self, ask: _Ask, rejected: _Reply) -> _Reply:
        """The first attempt alone, which tells whether it was `n` that was rejected, or the request itself."""
        try:
            alone = await self._call(ask, ask.start, 1)
        except asyncio.CancelledError as gone:
            raise rejected.left(gone) from None
        if alone.refusal is None:
            self._together.learn(False)
            rejected.waste = [replace(waste, kind="retried") for waste in rejected.waste]
        alone.waste = rejected.waste + alone.waste
        return alone

    async def _singly(self, ask: _Ask, indices: Iterable[int]) -> _Reply:
        """A call per attempt, all at once; the endpoint's lanes bound how many are under way."""
        whole = _Reply()

        async def one(index: int) -> None:
            try:
                whole.add(await self._call(ask, index, 1))
            except asyncio.CancelledError as gone:
                whole.add(_told(gone))
                raise

        try:
            await together(one(index) for index in indices)
        except asyncio.CancelledError as gone:
            raise whole.left(gone) from None
        return whole

    async def _call(self, ask: _Ask, start: int, n: int, manner: Manner | None = None) -> _Reply:
        """One call; where the endpoint rejects a field that can be done without, once more so, and so from then on."""
        manner = manner or self._manner
        reply = await self._tried(ask, start, n, manner)
        field = manner.blamed(reply.refusal, ask.sampling, is_streamed=self._streams and n == 1)
        if field is None:
            return reply
        try:
            again = await self._call(ask, start, n, manner.without(field))
        except asyncio.CancelledError as gone:
            raise reply.left(gone) from None
        if again.refusal is None or again.refusal.blames_another(field):
            self._manner = self._manner.without(field)
            reply.waste = [replace(waste, kind="retried") for waste in reply.waste]
        return replace(again, waste=[*reply.waste, *again.waste])

    async def _tried(self, ask: _Ask, start: int, n: int, manner: Manner) -> _Reply:
        """One call, tried again while that can help: attempts, or the refusal that was the last."""
        body = request_body(self._name, ask.prompt, n, start, ask.sampling, manner)
        if self._streams and n == 1:
            body = json.dumps(json.loads(body) | manner.streamed()).encode()
        jitter = first_seed(ask.prompt, ask.sampling.seed) + start
        by = Reading.of(ask.prompt, ask.sampling, manner.server)
        reply, tries = _Reply(), 0
        async with self._endpoint.free:
            while True:
                tries += 1
                began = time.perf_counter()
                try:
                    outcome = await self._try(body, n, start, by)
                except asyncio.CancelledError as gone:
                    raise reply.left(gone) from None
                seconds = time.perf_counter() - began
                if isinstance(outcome, Completion):
                    self._has_answered = True
                    waste = [*reply.waste, *outcome.waste]
                    return _Reply([*outcome.attempts], waste, None, outcome.is_total, outcome.failed)
                if not self._should_repeat(outcome, tries):
                    return self._give_up(reply, outcome, seconds)
                reply.waste.append(outcome.waste("retried", seconds))
                try:
                    await asyncio.sleep(pause_seconds(tries, outcome.retry_after, jitter))
                except asyncio.CancelledError as gone:
                    raise reply.left(gone) from None

    async def _try(self, body: bytes, n: int, start: int, by: Reading) -> Completion | Refusal:
        began, reception, endpoint = time.perf_counter(), Reception(), self._endpoint
        is_streamed = self._streams and n == 1
        try:
            response = await (endpoint.receive if is_streamed else endpoint.post)(body, reception)
        except asyncio.CancelledError:
            raise asyncio.CancelledError(broken_off(reception, start, time.perf_counter() - began, by)) from None
        if isinstance(response, Refusal):
            return priced(response, reception.pieces)
        try:
            if not is_streamed:
                reception.pieces.take_whole(response.json())
            return read_completion(reception.pieces.reply(), n, start, time.perf_counter() - began, by)
        except (ValueError, RecursionError) as error:
            return priced(endpoint.malformed(response, error), reception.pieces)

    def _should_repeat(self, refusal: Refusal, tries: int) -> bool:
        """A host that was never reached gets one repetition: most likely it is not there."""
        retries = min(1, self.retries) if refusal.is_unreachable and not self._has_answered else self.retries
        return refusal.may_retry and tries <= retries and (refusal.retry_after or 0) <= PATIENCE_SECONDS

    def _give_up(self, reply: _Reply, refusal: Refusal, seconds: float) -> _Reply:
        if not self._has_answered:
            self._endpoint.require_usable(refusal, self._name)
        kind = "refused" if refusal.is_for_good else "failed"
        return replace(reply, waste=[*reply.waste, refusal.waste(kind, seconds)], refusal=refusal)


def _told(gone: asyncio.CancelledError) -> Sampled:
    """What had come by the time of a cancellation."""
    return next((told for told in gone.args if isinstance(told, Sampled)), Sampled(()))


def _check(timeout: float, retries: int, lanes: int) -> None:
    if not timeout > 0:
        raise BadInput(f"openai timeout is {timeout}; give more than 0 seconds")
    if retries < 0:
        raise BadInput(f"openai retries is {retries}; give at least 0")
    if lanes < 1:
        raise BadInput(f"openai lanes is {lanes}; give at least 1")
