"""The embedded engine: llama.cpp inside this process, on CPU.

Set up so that an attempt does not depend on what was asked before or is in the batch: a KV cache per slot, no flash
attention, one call at a time, and no prompt cache from call to call (behind a cached prompt an attempt can differ).
Then attempt i is the same bytes whether it was sampled alone, among sixteen, or after a restart, which is what lets
a killed study end as an uninterrupted one.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

from trueup.core.errors import AskFailed, BadInput, Unavailable
from trueup.core.roles import ModelCard, Sampled, Waste
from trueup.core.types import Attempt, Prompt, Sampling, Usage, chat_of
from trueup.models.gguf_file import GgufFile
from trueup.models.llamacpp_grammar import require_compiles, rules
from trueup.models.tokens import Tally, Told, by_likelihood
from trueup.models.weights import Weights

SLOTS = 16
CONTEXT_TOKENS = 2048
IDLE_PROBE_SECONDS = 0.2
SEED_SPAN = 1 << 31
LIKELIEST = 10
"""Of so many next tokens it is asked how likely they were, where that of the one drawn at its temperature is wanted."""

_TEMPLATE_GAVE_UP = re.compile(
    r"Unable to generate parser for this template.*\nError: (?:Jinja Exception: )?", re.DOTALL
)


class LlamaCpp:
    """Implements Model; the server starts at the first sample, so a resumed study need not load it."""

    def __init__(self, weights: Weights | GgufFile, *, threads: int | None = None, slots: int = SLOTS) -> None:
        """Prepare for weights on so many threads (none or 0: the cores that are idle now).

        Raises BadInput for slots below 1 or threads below 0.
        """
        _check(threads, slots)
        self._weights = weights
        self._slots = slots
        self._threads = threads or idle_cores()
        self._turn = asyncio.Lock()
        self._server: Any = None
        self._http: httpx.AsyncClient | None = None
        self._compiled: set[tuple[str | None, str | None]] = set()
        engine = f"xllamacpp-{version('xllamacpp')}"
        self.card = ModelCard(
            name=weights.name,
            fingerprint=f"{weights.name}:{weights.gguf_sha256[:16]}:{engine}:noflash-nocache",
            billing="cpu",
            parameters=weights.parameters,
            layers=weights.layers,
            width=weights.width,
            per_call=slots,
        )

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """n attempts, in calls of at most as many as there are slots; one call at a time.

        Seconds are core-seconds: those of the prompt for its call, the rest shared by tokens sampled. Raises BadForm
        for a schema or grammar that does not compile, before anything is sampled under it. A cancelled sample
        raises a CancelledError that carries, as a Sampled, what had come and the call that was under way.
        """
        attempts: list[Attempt] = []
        try:
            async with self._turn:
                http = self._http or await self._start()
                await self._try(http, sampling)
                text = await _render(http, prompt)
                if isinstance(text, Waste):
                    return Sampled((), (text,))
                for offset in range(0, n, self._slots):
                    size = min(self._slots, n - offset)
                    reply = await self._call(http, text, size, start + offset, sampling)
                    if isinstance(reply, Waste):
                        return Sampled(tuple(attempts), (reply,))
                    attempts += reply
        except asyncio.CancelledError as gone:
            raise asyncio.CancelledError(_left(attempts, gone)) from None
        return Sampled(tuple(attempts))

    async def next_token(self, prompt: Prompt, k: int = 20) -> Mapping[str, float]:
        """The k likeliest tokens behind a prompt, as text, with their natural log-probabilities at temperature 1.

        Raises AskFailed for a prompt that the engine does not take, or behind which half a character is likeliest.
        """
        async with self._turn:
            http = self._http or await self._start()
            text = await _render(http, prompt)
            if isinstance(text, Waste):
                raise AskFailed(text.reason)
            body = {"prompt": text, "n_predict": 1, "n_probs": k, "cache_prompt": False}
            response = await http.post("/completion", json=body | {"temperature": 0.0})
        if response.status_code != httpx.codes.OK:
            raise AskFailed(_reason(response))
        told = response.json().get("completion_probabilities")
        if not told:
            raise AskFailed("llama.cpp does not tell how likely half a character is; ask about another prompt")
        return by_likelihood((token["token"], token["logprob"]) for token in told[0]["top_logprobs"])

    async def close(self) -> None:
        """Stop the engine and free its memory."""
        if self._http is not None:
            await self._http.aclose()
        self._http = self._server = None

    async def _start(self) -> httpx.AsyncClient:
        path = await asyncio.to_thread(self._weights.fetch)
        self._server = await asyncio.to_thread(start_server, path, self._threads, self._slots)
        self._http = httpx.AsyncClient(base_url=self._server.listening_address, timeout=None, trust_env=False)
        return self._http

    async def _try(self, http: httpx.AsyncClient, sampling: Sampling) -> None:
        constraint = (sampling.schema, sampling.grammar)
        if constraint == (None, None) or constraint in self._compiled:
            return
        await require_compiles(http, sampling)
        self._compiled.add(constraint)

    async def _call(
        self, http: httpx.AsyncClient, text: str, n: int, start: int, sampling: Sampling
    ) -> list[Attempt] | Waste:
        body = request_body(text, n, start, sampling)
        started = time.perf_counter()
        try:
            response = await http.post("/completion", json=body)
        except asyncio.CancelledError:
            seconds = (time.perf_counter() - started) * self._threads
            lost = Waste("cancelled", "the caller left before the reply", seconds=seconds)
            raise asyncio.CancelledError(lost) from None
        seconds = time.perf_counter() - started
        if response.status_code != httpx.codes.OK:
            return _waste(response, seconds * self._threads)
        reply = response.json()
        choices = reply if isinstance(reply, list) else [reply]
        return _attempts(sorted(choices, key=lambda c: c["index"]), start, seconds, self._threads, sampling.temperature)


def _check(threads: int | None, slots: int) -> None:
    if slots < 1:
        raise BadInput(f"llamacpp slots is {slots}; give at least 1")
    if threads is not None and threads < 0:
        raise BadInput(f"llamacpp threads is {threads}; give at least 1, or 0 for the cores that are idle")


def start_server(path: Path, threads: int, slots: int, *, reproducible: bool = True) -> Any:
    """llama.cpp's own server in this process, on a free loopback port; as it ships where not reproducible."""
    try:
        import xllamacpp
    except ImportError as error:
        raise Unavailable(f"the embedded engine cannot be loaded: {error}; pip install xllamacpp") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_parallel = slots
    params.n_ctx = slots * CONTEXT_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity = -1
    if reproducible:
        params.kv_unified = False
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.cache_ram_mib = 0
    return xllamacpp.Server(params)


def idle_cores() -> int:
    """The cores that this process may use and that stood idle for a moment, at least one.

    llama.cpp's threads wait for each other by spinning: one more than there are free cores is far slower.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        busy, total = _cpu_ticks()
        time.sleep(IDLE_PROBE_SECONDS)
        busy_later, total_later = _cpu_ticks()
    except OSError:
        return allowed
    share = (busy_later - busy) / max(1, total_later - total)
    return max(1, min(allowed, round(allowed - share * (os.cpu_count() or 1))))


def _cpu_ticks() -> tuple[int, int]:
    ticks = [int(tick) for tick in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


async def _render(http: httpx.AsyncClient, prompt: Prompt) -> str | Waste:
    """The prompt in the model's own chat template, or the refusal of one that it does not take."""
    response = await http.post("/apply-template", json={"messages": chat_of(prompt)})
    if response.status_code != httpx.codes.OK:
        return _waste(response)
    text: str = response.json()["prompt"]
    return text


def request_body(text: str, n: int, start: int, sampling: Sampling) -> dict[str, Any]:
    """The body of a /completion request for n attempts numbered from `start`, at a prompt in the model's template."""
    body: dict[str, Any] = {
        "prompt": text,
        "n": n,
        "n_predict": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "seed": _first_seed(text, sampling.seed) + start,
        "stop": list(sampling.stop),
        "cache_prompt": False,
    }
    if sampling.logprobs:
        body["n_probs"] = LIKELIEST if 0 < sampling.temperature < 1 else 1
    if sampling.schema is not None:
        body["json_schema"] = json.loads(sampling.schema)
    if sampling.grammar is not None:
        body["grammar"] = rules(sampling.grammar)
    return body


def _first_seed(text: str, seed: int) -> int:
    """A seed per prompt, so that problems do not share their random numbers; llama.cpp adds the index."""
    digest = blake2b(f"{seed}\0{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % SEED_SPAN


def _attempts(
    choices: Sequence[dict[str, Any]], start: int, seconds: float, threads: int, temperature: float
) -> list[Attempt]:
    leader = max(choices, key=lambda choice: choice["timings"]["prompt_n"])
    prefill = min(seconds, leader["timings"]["prompt_ms"] / 1000)
    tallies = [_tally(choice, temperature) for choice in choices]
    tokens = sum(tally.tokens or 0 for tally in tallies)
    return [
        Attempt(
            index=start + place,
            text=choice["content"],
            finish=_finish(choice),
            usage=Usage(
                prompt_tokens=choice["tokens_evaluated"],
                completion_tokens=tally.tokens,
                cached_tokens=leader["timings"]["cache_n"],
                prefill_seconds=prefill * threads,
                decode_seconds=(seconds - prefill) * threads * (tally.tokens or 0) / max(1, tokens),
                leads=place == 0,
            ),
            logprob=tally.logprob,
            drawn_logprob=tally.drawn_logprob,
        )
        for place, (choice, tally) in enumerate(zip(choices, tallies, strict=True))
    ]


def _left(attempts: Sequence[Attempt], gone: asyncio.CancelledError) -> Sampled:
    """What had come by a cancellation, and the call that it met, if any; its prompt is as long as its siblings'."""
    length = attempts[0].usage.prompt_tokens if attempts else None
    met = tuple(replace(told, prompt_tokens=length) for told in gone.args if isinstance(told, Waste))
    return Sampled(tuple(attempts), met)


def _finish(choice: dict[str, Any]) -> str:
    """How a choice ended, in the words of `Attempt.finish`."""
    kind = choice["stop_type"]
    return f"stop:{choice['stopping_word']}" if kind == "word" else {"eos": "eos", "limit": "length"}.get(kind, "stop")


def _tally(choice: dict[str, Any], temperature: float) -> Tally:
    """The tokens of a choice, with their mean log-probabilities where these were asked for."""
    told = choice.get("completion_probabilities", ())
    return Told.of(told, temperature).over(choice["tokens_predicted"], len(told))


def _waste(response: httpx.Response, seconds: float = 0.0) -> Waste:
    """What an answer amounts to that is none: refused where the request is at fault."""
    kind = "refused" if response.status_code == httpx.codes.BAD_REQUEST else "failed"
    return Waste(kind, _reason(response), seconds=seconds)


def _reason(response: httpx.Response) -> str:
    """What llama.cpp says, on one line; of a template that gave up its own words, without the code around them."""
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text[:200]
    told = _TEMPLATE_GAVE_UP.sub("the model's chat template does not take this prompt: ", str(message))
    return f"llama.cpp answered {response.status_code}: {' '.join(told.split())}"
