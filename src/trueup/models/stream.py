"""A completion that comes in pieces, and what it has used so far.

A single attempt that is asked for as a stream can be broken off at a known price: vLLM and SGLang tell the usage with
every piece (`continuous_usage_stats`), and a client that hangs up by half still hears what had been said by then.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx

from trueup.core.roles import Sampled, Waste
from trueup.core.types import Json
from trueup.models.completion import Reading, content_text, name_engine, read_completion
from trueup.models.retry import Refusal
from trueup.models.servers import MARKS
from trueup.models.tokens import count_tokens

LAST_WORDS_SECONDS = 2.0
LINE_END = re.compile(r"\r\n|\r|\n")
"""Of a stream of events; a text may hold any other character that Python splits lines at."""


class Pieces:
    """Puts the events of a stream together as the reply that would have come in one piece."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.is_whole = False
        self.usage: Json = None
        self.engine: Json = None
        self._timings: Json = None
        self._text: list[str] = []
        self._logprobs: list[Json] = []
        self._finish: str | None = None
        self._marks: dict[str, Json] = {}
        self._error: Json = None
        self._has_choice = False
        self._reply: Mapping[str, Any] | None = None

    def take(self, line: str) -> None:
        """One line of the stream.

        Raises ValueError for an event that is no JSON object, or has a choice that is none; what it tells of its use
        is noted all the same.
        """
        if not line.startswith("data:"):
            return
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            self.is_whole = True
            return
        event = json.loads(data)
        if not isinstance(event, Mapping):
            raise ValueError("an event that is no JSON object")
        self._note(event)
        self._error = event.get("error") or self._error
        choices = event.get("choices") or []
        if not isinstance(choices, list):
            raise ValueError("choices that are no list")
        for choice in choices:
            if not isinstance(choice, Mapping) or not isinstance(choice.get("delta") or {}, Mapping):
                raise ValueError("a choice without a delta")
            self._add(choice)

    def take_whole(self, reply: Json) -> None:
        """The reply where it comes in one piece.

        Raises ValueError for one that is no JSON object.
        """
        if not isinstance(reply, Mapping):
            raise ValueError("a reply that is no JSON object")
        self._note(reply)
        self._reply, self.is_whole = reply, True

    @property
    def is_finished(self) -> bool:
        """Whether all of a reply has come, even if the stream then broke off."""
        return self.is_whole or (self._finish is not None and self._error is None)

    def reply(self) -> Json:
        """The reply.

        Raises ValueError where the stream ended before it was whole, or without a choice.
        """
        if self._reply is not None:
            return self._reply
        if self._error is not None:
            return {"error": self._error}
        if not self.is_finished:
            raise ValueError("the stream broke off")
        if not self._has_choice:
            raise ValueError("a stream without choices")
        message = {"role": "assistant", "content": "".join(self._text)}
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        logprobs = {"logprobs": {"content": self._logprobs}} if self._logprobs else {}
        return {
            "choices": [choice | self._marks | logprobs], "usage": self.usage, "system_fingerprint": self.engine,
            "timings": self._timings,
        }  # fmt: skip

    def _note(self, told: Mapping[str, Any]) -> None:
        self.usage = told.get("usage") or self.usage
        self.engine = told.get("system_fingerprint") or self.engine
        self._timings = told.get("timings") or self._timings

    def _add(self, choice: Mapping[str, Any]) -> None:
        self._has_choice = True
        self._text.append(content_text((choice.get("delta") or {}).get("content")))
        self._logprobs += _logprobs(choice)
        if choice.get("finish_reason"):
            self._finish = choice["finish_reason"]
            self._marks = {mark: choice[mark] for mark in MARKS if mark in choice}


class Reception:
    """One call under way: whether it has been made, and what has come of it.

    `has_last_words` once the endpoint has ended what it had to say after a hang-up.
    """

    def __init__(self) -> None:
        """Nothing has been sent or has come yet."""
        self.pieces = Pieces()
        self.is_sent = False
        self.has_last_words = False
        self._response: httpx.Response | None = None

    async def watch(self, event: str, about: Mapping[str, Any]) -> None:
        """Be told by the HTTP client how far it has got; before its body is out no endpoint acts on a request."""
        self.is_sent = self.is_sent or event.endswith("send_request_body.complete")

    async def read(self, response: httpx.Response) -> None:
        """Read a response of status 200 to its end; behind that the connection is no longer ours.

        What breaks once the reply is finished is let pass.
        """
        self._response = response
        try:
            if "event-stream" not in response.headers.get("content-type", ""):
                await response.aread()
                self.pieces.take_whole(response.json())
                return
            rest = ""
            async for text in response.aiter_text():
                *lines, rest = LINE_END.split(rest + text)
                for line in lines:
                    self.pieces.take(line)
            self.pieces.take(rest)
        except (httpx.RequestError, ValueError, RecursionError):
            if not self.pieces.is_finished:
                raise
        finally:
            self._response = None

    async def hang_up(self, reading: asyncio.Task[Any]) -> None:
        """Say that nobody listens for more, and hear the last words that were on their way."""
        line = None if self.pieces.is_whole or reading.done() else self._half_close()
        try:
            if line is not None or self.pieces.is_whole or reading.done():
                await asyncio.wait({reading}, timeout=LAST_WORDS_SECONDS)
                self.has_last_words = reading.done()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            if line is not None:
                await line.aclose()

    def _half_close(self) -> Any:
        """Close our direction of the connection and return it, never to be used again.

        Not possible under TLS, where it breaks the other direction too.
        """
        line = self._response.extensions.get("network_stream") if self._response is not None else None
        if line is None or line.get_extra_info("ssl_object") is not None:
            return None
        try:
            line.get_extra_info("socket").shutdown(socket.SHUT_WR)
        except (OSError, AttributeError):
            return None
        return line


def priced(refusal: Refusal, pieces: Pieces) -> Refusal:
    """A refusal with what its reply had told by then of its use and its engine."""
    prompt, completion, _ = count_tokens(pieces.usage)
    return replace(refusal, prompt_tokens=prompt, completion_tokens=completion, engine=name_engine(pieces.engine))


def broken_off(reception: Reception, start: int, seconds: float, by: Reading) -> Sampled:
    """A call that was cancelled, if it had been made: its attempt after all, or what it used if it was heard out."""
    if not reception.is_sent:
        return Sampled(())
    if reception.pieces.is_finished:
        with suppress(ValueError, RecursionError):
            whole = read_completion(reception.pieces.reply(), 1, start, seconds, by)
            return Sampled(whole.attempts, whole.waste)
    prompt, completion, _ = count_tokens(reception.pieces.usage if reception.has_last_words else None)
    engine = name_engine(reception.pieces.engine)
    return Sampled((), (Waste("cancelled", "the caller left before the reply", prompt, completion, seconds, engine),))


def _logprobs(choice: Mapping[str, Any]) -> list[Json]:
    logprobs = choice.get("logprobs") or {}
    content = (logprobs.get("content") or []) if isinstance(logprobs, Mapping) else None
    if not isinstance(content, list):
        raise ValueError("log-probabilities that are no list under content")
    return content
