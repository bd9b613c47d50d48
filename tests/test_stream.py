"""Single attempts asked for as a stream: the same attempts, and a known price when they are broken off."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from mock_endpoint import MockEndpoint, error, loopback

from trueup.bench.peers import Scenario, Truth, wire
from trueup.core.roles import Sampled
from trueup.core.types import Message, Sampling
from trueup.models import OpenAI
from trueup.models.stream import Pieces

PROMPT = (Message("user", "2+2"),)
SAMPLING = Sampling(max_tokens=64)


def sample(root: str, n: int = 1, **settings: Any) -> Sampled:
    async def run() -> Sampled:
        model = OpenAI(root, "m", **settings)
        try:
            return await model.sample(PROMPT, n, 0, SAMPLING)
        finally:
            await model.close()

    return asyncio.run(run())


def facts(reply: Sampled) -> list[tuple[Any, ...]]:
    return [
        (a.index, a.text, a.finish, a.usage.prompt_tokens, a.usage.completion_tokens, a.usage.leads)
        for a in reply.attempts
    ]


def test_streamed_attempts_are_the_same() -> None:
    truth = Truth({"": Scenario(n="rejects", cut_share=0.3)})
    with truth.serving() as root:
        assert facts(sample(root, 8, stream=True)) == facts(sample(root, 8))
    assert [bool(call.body.get("stream")) for call in truth.calls] == [False] + [True] * 8 + [False] * 9


def test_endpoint_that_does_not_stream_is_read_all_the_same() -> None:
    with loopback(MockEndpoint().app) as root:
        assert facts(sample(root, stream=True)) == facts(sample(root))


def test_refusal_of_a_stream_is_a_refusal() -> None:
    with loopback(MockEndpoint(refuse=lambda place, body: error(400, "too long", param="messages")).app) as root:
        reply = sample(root, stream=True)
    assert [waste.kind for waste in reply.waste] == ["refused"] and "400: too long" in reply.waste[0].reason


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (None, "the stream broke off"),
        ('{"error": {"message": "out of memory"}}', "out of memory"),
        ("{", "Expecting property name"),
    ],
)
def test_stream_that_fails_on_the_way_is_tried_again(end: str | None, why: str) -> None:
    calls = []

    async def answer(request: wire.Request, line: wire.Line) -> None:
        calls.append(request)
        line.begin_events()
        line.send_event(json.dumps({"choices": [{"index": 0, "delta": {"content": "four"}}]}))
        if len(calls) > 1:
            line.send_event(json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
            line.send_event("[DONE]")
        elif end is not None:
            line.send_event(end)
        line.end_events()

    with wire.loopback(answer) as root:
        reply = sample(root, stream=True, retries=1)
    assert [attempt.text for attempt in reply.attempts] == ["four"]
    assert [waste.kind for waste in reply.waste] == ["retried"] and why in reply.waste[0].reason


STRICT = {
    "named": (
        400,
        "Unknown parameter: 'stream_options.continuous_usage_stats'.",
        "stream_options.continuous_usage_stats",
    ),
    "told": (422, "body.stream_options.continuous_usage_stats: Extra inputs are not permitted", None),
    "unsaid": (400, "bad request", None),
}


@pytest.mark.parametrize(("status", "told", "param"), STRICT.values(), ids=STRICT)
@pytest.mark.parametrize(
    ("rejected", "options"), [("continuous_usage_stats", {"include_usage": True}), ("include_usage", None)]
)
def test_a_strict_endpoint_is_streamed_from_without_the_options_that_it_rejects(
    status: int, told: str, param: str | None, rejected: str, options: Any
) -> None:
    def refuse(place: int, body: dict[str, Any]) -> Any:
        is_rejected = rejected in body.get("stream_options", {})
        return error(status, told, param=param) if is_rejected else None

    async def run(root: str) -> list[Sampled]:
        model = OpenAI(root, "m", stream=True)
        try:
            asks = (replace(SAMPLING, seed=seed, logprobs=True) for seed in range(2))
            return [await model.sample(PROMPT, 1, 0, sampling) for sampling in asks]
        finally:
            await model.close()

    mock = MockEndpoint(refuse=refuse)
    with loopback(mock.app) as root:
        first, second = asyncio.run(run(root))
    assert [len(reply.attempts) for reply in (first, second)] == [1, 1] and second.waste == ()
    assert {waste.kind for waste in first.waste} == {"retried"}
    assert [call.body.get("stream_options") for call in mock.served] == [options] * 2
    assert all(call.body["stream"] for call in mock.calls)


def test_an_endpoint_that_takes_the_options_keeps_them_behind_a_request_that_it_refuses() -> None:
    mock = MockEndpoint(refuse=lambda place, body: error(400, "no") if place < 3 else None)

    async def run(root: str) -> tuple[Sampled, Sampled]:
        model = OpenAI(root, "m", stream=True)
        try:
            return await model.sample(PROMPT, 1, 0, SAMPLING), await model.sample(PROMPT, 1, 1, SAMPLING)
        finally:
            await model.close()

    with loopback(mock.app) as root:
        first, second = asyncio.run(run(root))
    assert {waste.kind for waste in first.waste} == {"refused"} and len(second.attempts) == 1
    assert mock.calls[-1].body["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


def test_pieces_of_parts_make_the_text_of_a_reply_of_parts() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    pieces = Pieces()
    for content in ([thought], [{"type": "text", "text": "4"}], "2", [{"type": "text", "text": "!"}, thought]):
        pieces.take(f"data: {json.dumps({'choices': [{'delta': {'content': content}}]})}")
    pieces.take("data: [DONE]")
    assert pieces.reply()["choices"][0]["message"]["content"] == "42!"


def test_pieces_make_the_reply_that_would_have_come_at_once() -> None:
    pieces = Pieces()
    for choice in (
        {"delta": {"role": "assistant", "content": ""}},
        {"delta": {"content": "a"}, "logprobs": {"content": [{"logprob": -1.0}]}},
        {"delta": {"content": "b"}, "logprobs": {"content": [{"logprob": -2.0}]}, "finish_reason": "length"},
    ):
        pieces.take(f"data: {json.dumps({'choices': [choice], 'usage': None})}")
    pieces.take(": ping")
    pieces.take('data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}')
    assert not pieces.is_whole
    pieces.take("data: [DONE]")
    (choice,) = pieces.reply()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("ab", "length") and pieces.is_whole
    assert [token["logprob"] for token in choice["logprobs"]["content"]] == [-1.0, -2.0]
    assert pieces.reply()["usage"] == {"prompt_tokens": 3, "completion_tokens": 2}


def test_a_call_that_was_never_sent_is_none() -> None:
    async def leave(root: str) -> tuple[Any, ...]:
        model = OpenAI(root, "m", lanes=1)
        works = [asyncio.create_task(model.sample(PROMPT, 1, index, SAMPLING)) for index in range(2)]
        while not truth.calls:
            await asyncio.sleep(0.001)
        for work in works:
            work.cancel()
        left = []
        for work in works:
            with pytest.raises(asyncio.CancelledError) as gone:
                await work
            left += gone.value.args
        await model.close()
        return tuple(left)

    truth = Truth({"": Scenario(prefill_seconds=0.2)})
    with truth.serving() as root:
        made, waiting = asyncio.run(leave(root))
        assert len(truth.of("")) == 1
    assert [waste.kind for waste in made.waste] == ["cancelled"] and waiting == Sampled(())


def test_a_stream_that_is_broken_off_names_the_engine_that_it_had_told() -> None:
    begun, left = threading.Event(), threading.Event()

    async def answer(request: wire.Request, line: wire.Line) -> None:
        line.begin_events()
        line.send_event(json.dumps({"choices": [{"index": 0, "delta": {"content": "a"}}], "system_fingerprint": "fp"}))
        begun.set()
        await asyncio.to_thread(left.wait, 5)
        line.end_events()

    async def leave(root: str) -> Any:
        model = OpenAI(root, "m", stream=True)
        work = asyncio.create_task(model.sample(PROMPT, 1, 0, SAMPLING))
        await asyncio.to_thread(begun.wait, 5)
        work.cancel()
        asyncio.get_running_loop().call_later(0.05, left.set)
        with pytest.raises(asyncio.CancelledError) as gone:
            await work
        await model.close()
        return gone.value.args[0]

    with wire.loopback(answer) as root:
        assert [(waste.kind, waste.engine) for waste in asyncio.run(leave(root)).waste] == [("cancelled", "fp")]


@pytest.mark.parametrize("event", ['{"choices": [null]}', '{"choices": [{"delta": "x"}]}', "[]", "{"])
def test_an_event_that_is_none_is_refused(event: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Pieces().take(f"data: {event}")
