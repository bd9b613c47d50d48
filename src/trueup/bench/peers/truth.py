"""An OpenAI-compatible endpoint on loopback that knows the truth.

It keeps a ledger of every call: its prompt, every token generated until the reply was whole or the client had gone, its
status. A model's name `m@RUN` says to which run a call belongs; the first word of NAME.FAMILY.RUN may name a scenario,
and refusals are counted out over what stands before the last dot.
`GET /ledger?run=RUN&reset=1` tells the calls whose run begins so (all without `run`), and forgets them.
Texts are drawn from the messages and the client's seed, or replayed: the i-th text asked for about a question in a run
is the i-th on record. Nothing here asks for a package.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlsplit

from trueup.bench.peers import words
from trueup.bench.peers.wire import Line, Request, loopback
from trueup.bench.peers.words import Recorded, Scenario
from trueup.core.types import Json

RETRY_MILLISECONDS = 20
PATIENCE_SECONDS = 10.0


@dataclass(slots=True)
class Served:
    """One call, what it truly used and the texts it was to bring.

    `end` is `whole`, `refused` or `cancelled`, empty while it is under way.
    """

    run: str
    body: Mapping[str, Any]
    status: int = 200
    prompt_tokens: int = 0
    completion_tokens: int = 0
    is_judge: bool = False
    connection: int = 0
    texts: tuple[str, ...] = ()
    end: str = ""


@dataclass(slots=True)
class Truth:
    """The endpoint: its scenarios by name, `` the default one, and the texts to replay by question."""

    scenarios: Mapping[str, Scenario] = field(default_factory=dict)
    recorded: Mapping[str, Sequence[Recorded]] = field(default_factory=dict)
    calls: list[Served] = field(default_factory=list)
    _root: str = ""
    _asked: dict[str, dict[str, int]] = field(default_factory=dict)
    _places: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve until the end of the block; the root URL, to which clients add /v1."""
        with loopback(self._answer) as self._root:
            yield self._root

    def of(self, run: str) -> list[Served]:
        """The calls of the runs that begin so, once none of them is under way; to be asked while serving.

        What a client sent before it left is read here before what is sent now.
        """
        began = time.perf_counter()
        while True:
            self._knock()
            calls = [call for call in self.calls if call.run.startswith(run)]
            if all(call.end for call in calls):
                return calls
            assert time.perf_counter() < began + PATIENCE_SECONDS, f"the calls of {run!r} do not end"
            time.sleep(0.005)

    def _knock(self) -> None:
        line = HTTPConnection(urlsplit(self._root).netloc)
        for _ in range(2):
            line.request("GET", "/v1/models")
            line.getresponse().read()
        line.close()

    async def _answer(self, request: Request, line: Line) -> None:
        path = urlsplit(request.target)
        if path.path == "/ledger":
            line.send(200, self._ledger({name: value[-1] for name, value in parse_qs(path.query).items()}))
        elif path.path == "/v1/chat/completions" and request.method == "POST":
            await self._chat(json.loads(request.body), line)
        elif path.path == "/v1/models":
            line.send(200, {"object": "list", "data": []})
        else:
            line.send(404, _error("no such route", None))

    def _ledger(self, query: Mapping[str, str]) -> Json:
        run = query.get("run", "")
        told = [call for call in self.calls if call.run.startswith(run)]
        if query.get("reset") == "1":
            self.calls = [call for call in self.calls if not call.run.startswith(run)]
        totals = {name: sum(getattr(call, name) for call in told) for name in ("prompt_tokens", "completion_tokens")}
        return {"calls": [asdict(call) for call in told], "totals": {"calls": len(told)} | totals}

    async def _chat(self, body: Mapping[str, Any], line: Line) -> None:
        run = str(body["model"]).partition("@")[2]
        scenario = self.scenarios.get(run.partition(".")[0]) or self.scenarios.get("") or Scenario()
        call = Served(run, body, is_judge=words.is_judged(body), connection=line.number)
        self.calls.append(call)
        if self._refuses(call, scenario, line):
            return
        call.prompt_tokens = words.prompt_tokens(body)
        n = 1 if scenario.n == "ignores" else int(body.get("n") or 1)
        choices = [self._text(call, scenario, place) for place in range(n)]
        call.texts = tuple(choice.text for choice in choices)
        if body.get("stream"):
            await _streamed(call, choices[0], scenario, line)
        else:
            await _whole(call, choices, scenario, line)

    def _refuses(self, call: Served, scenario: Scenario, line: Line) -> bool:
        family = call.run.rpartition(".")[0]
        place = self._places[family] = self._places.get(family, -1) + 1
        if scenario.refuses_every and place % scenario.refuses_every == scenario.refuses_every // 2:
            wait = {"retry-after": "1", "retry-after-ms": str(RETRY_MILLISECONDS)}
            call.status, call.end = 429, "refused"
            line.send(429, _error("slow down", None), wait)
        elif scenario.n == "rejects" and int(call.body.get("n") or 1) > 1:
            call.status, call.end = 400, "refused"
            line.send(400, _error("'n' : number must be at most 1", "n"))
        return bool(call.end)

    def _text(self, call: Served, scenario: Scenario, place: int) -> Recorded:
        if call.is_judge:
            return words.rating(call.body)
        asked, taken = words.question(call.body), self._asked.setdefault(call.run, {})
        known = words.next_recorded(self.recorded, asked, taken)
        if known is not None:
            return known
        seed = call.body.get("seed")
        if seed is None:
            seed, place = taken.get(asked, 0), 0
            taken[asked] = seed + 1
        return words.solution(call.body, scenario, int(seed) + place)


async def _whole(call: Served, choices: Sequence[Recorded], scenario: Scenario, line: Line) -> None:
    """The reply in one piece; all its choices grow together, a token of each at a time, until the client goes."""
    sizes = [len(choice.pieces()) for choice in choices]
    await asyncio.sleep(scenario.prefill_seconds)
    for step in range(max(sizes)):
        if scenario.token_seconds:
            await asyncio.sleep(scenario.token_seconds)
        if line.has_left:
            call.completion_tokens += sum(min(scenario.late_tokens, max(0, size - step)) for size in sizes)
            call.end = "cancelled"
            return
        call.completion_tokens += sum(step < size for size in sizes)
    if await _is_left(call, scenario, line):
        return
    told = [
        {"index": place, "message": {"role": "assistant", "content": choice.text}, "finish_reason": choice.finish}
        for place, choice in enumerate(choices)
    ]
    usage = {"usage": _usage(call)} if scenario.tells_usage else {}
    line.send(200, _frame(call, "chat.completion") | {"choices": told} | usage)


async def _streamed(call: Served, choice: Recorded, scenario: Scenario, line: Line) -> None:
    """The reply a token at a time; with `continuous_usage_stats` every event tells the usage so far, as vLLM's do."""
    options = call.body.get("stream_options") or {}
    told_at_end = scenario.tells_usage and bool(options.get("include_usage"))
    told_so_far = told_at_end and bool(options.get("continuous_usage_stats"))

    def send(choices: list[Json], *, with_usage: bool) -> None:
        usage = {"usage": _usage(call)} if with_usage else {}
        line.send_event(json.dumps(_frame(call, "chat.completion.chunk") | {"choices": choices} | usage))

    line.begin_events()
    await asyncio.sleep(scenario.prefill_seconds)
    send([_delta({"role": "assistant", "content": ""})], with_usage=told_so_far)
    pieces = choice.pieces()
    for place, piece in enumerate(pieces):
        await asyncio.sleep(scenario.token_seconds)
        if line.has_left:
            call.completion_tokens += min(scenario.late_tokens, len(pieces) - place)
            call.end = "cancelled"
            return
        call.completion_tokens += 1
        send([_delta({"content": piece})], with_usage=told_so_far)
    if await _is_left(call, scenario, line):
        return
    send([_delta({}, choice.finish)], with_usage=told_so_far)
    if told_at_end:
        send([], with_usage=True)
    line.send_event("[DONE]")
    line.end_events()


async def _is_left(call: Served, scenario: Scenario, line: Line) -> bool:
    """Whether a call whose text is written ends by its client's going; else it is whole."""
    is_endless = scenario.is_endless(call.body)
    if is_endless:
        await line.left()
    call.end = "cancelled" if is_endless else "whole"
    return is_endless


def _frame(call: Served, kind: str) -> dict[str, Json]:
    return {"id": "chatcmpl-truth", "object": kind, "created": int(time.time()), "model": call.body["model"]}


def _usage(call: Served) -> dict[str, int]:
    prompt, completion = call.prompt_tokens, call.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _delta(delta: Mapping[str, str], finish: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _error(message: str, param: str | None) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}
