"""A chat endpoint on loopback that keeps its own books of what it was asked and what it told."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from socket import IPPROTO_TCP, TCP_NODELAY, create_server
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass(frozen=True)
class Call:
    """What one request was, and what it truly used."""

    body: dict[str, Any]
    authorization: str | None
    status: int
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class MockEndpoint:
    """Answers with as many words as it bills tokens; each knob spoils one thing."""

    takes_logprobs: bool = True
    is_reasoner: bool = False
    takes_n: str = "yes"  # or "rejects", "ignores", "counts one", "adds one"
    cut_share: float = 0.0
    refuse: Callable[[int, dict[str, Any]], Response | None] = lambda place, body: None
    omits_usage: bool = False
    cached_tokens: int | None = None
    hidden_tokens: int = 0
    reply: Callable[[dict[str, Any]], str] | None = None
    marks: dict[str, Any] = field(default_factory=dict)
    engines: tuple[str, ...] = ()
    pause_seconds: float = 0.0
    calls: list[Call] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    @property
    def served(self) -> list[Call]:
        return [call for call in self.calls if call.status == 200]

    def truth(self) -> tuple[int, int]:
        """Prompt and completion tokens of everything that was served."""
        return sum(c.prompt_tokens for c in self.served), sum(c.completion_tokens for c in self.served)

    def app(self, _: object = None) -> Starlette:
        return Starlette(routes=[Route("/v1/chat/completions", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            body = await request.json()
            await asyncio.sleep(self.pause_seconds)
            return self._reply(body, request.headers.get("authorization"))
        finally:
            self.in_flight -= 1

    def _reply(self, body: dict[str, Any], authorization: str | None) -> Response:
        refusal = self.refuse(len(self.calls), body)
        n = body.get("n", 1)
        if refusal is None and body.get("logprobs") and not self.takes_logprobs:
            refusal = error(400, "logprobs are not supported", param="logprobs")
        if refusal is None and self.is_reasoner:
            refusal = refuse_as_reasoner(body)
        if refusal is None and n > 1 and self.takes_n == "rejects":
            refusal = error(400, "'n' : number must be at most 1", param="n")
        if refusal is not None:
            self.calls.append(Call(body, authorization, refusal.status_code))
            return refusal
        size = {"ignores": 1, "adds one": n + 1}.get(self.takes_n, n)
        choices = [self._choice(body, place) for place in range(size)]
        prompt = sum(len(message["content"].split()) for message in body["messages"])
        tokens = [len(choice["message"]["content"].split()) + self.hidden_tokens for choice in choices]
        self.calls.append(Call(body, authorization, 200, prompt, sum(tokens)))
        told: dict[str, Any] = {"id": "1", "object": "chat.completion", "model": body["model"], "choices": choices}
        if self.engines:
            told["system_fingerprint"] = self.engines[(len(self.served) - 1) % len(self.engines)]
        if not self.omits_usage:
            told |= self._usage(prompt, tokens)
        return JSONResponse(told)

    def _usage(self, prompt: int, tokens: list[int]) -> dict[str, Any]:
        visible = sum(tokens) - self.hidden_tokens * len(tokens)
        usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": visible}
        usage["total_tokens"] = prompt + sum(tokens)
        if self.takes_n == "counts one":
            usage |= {"completion_tokens": tokens[0], "total_tokens": prompt + tokens[0]}
            return {"usage": usage, "timings": {"predicted_n": tokens[0]}}
        if self.cached_tokens is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self.cached_tokens}
        return {"usage": usage}

    def _choice(self, body: dict[str, Any], place: int) -> dict[str, Any]:
        """A text that depends on the prompt and on seed + place alone, as an engine's does."""
        drawn = random.Random(f"{body['messages']} {body.get('seed', 0) + place}")
        is_cut = drawn.random() < self.cut_share
        limit = body["max_completion_tokens" if self.is_reasoner else "max_tokens"]
        size = limit if is_cut else drawn.randint(1, limit - 1)
        text = self.reply(body) if self.reply else " ".join(f"w{drawn.randint(0, 999)}" for _ in range(size))
        message = {"role": "assistant", "content": text}
        return {"index": place, "message": message, "finish_reason": "length" if is_cut else "stop", **self.marks}


def error(status: int, message: str, *, param: str | None = None, headers: dict[str, str] | None = None) -> Response:
    """An error in OpenAI's shape."""
    told = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return JSONResponse({"error": told}, status, headers)


def refuse_as_reasoner(body: dict[str, Any]) -> Response | None:
    """What a reasoning model of OpenAI's says to its first field that it does not take, o3-mini to settings at all."""
    if "max_tokens" in body:
        told = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        return error(400, f"Unsupported parameter: {told}", param="max_tokens")
    if body.get("temperature", 1) != 1:
        told = "'temperature' does not support 0.8 with this model. Only the default (1) value is supported."
        return error(400, f"Unsupported value: {told}", param="temperature")
    rejected = next((name for name in ("temperature", "top_p", "stop") if name in body), None)
    told = f"Unsupported parameter: '{rejected}' is not supported with this model."
    return error(400, told, param=rejected) if rejected else None


@contextmanager
def loopback(make: Callable[[ExitStack], Any]) -> Iterator[str]:
    """Serve an app, made in the thread that serves it, on a free port; its root URL.

    At the end the thread is told to stop and not waited for; it closes the stack that `make` was given.
    """
    socket = create_server(("127.0.0.1", 0))
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    servers: list[uvicorn.Server] = []

    def run() -> None:
        with ExitStack() as stack:
            config = uvicorn.Config(make(stack), log_level="error", ws="none", timeout_graceful_shutdown=1)
            servers.append(uvicorn.Server(config))
            servers[0].run([socket])

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while not (servers and servers[0].started):
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        servers[0].should_exit = True
