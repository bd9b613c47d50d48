"""Replies that are whole, broken or failed: what is an attempt, and what the rest is known to have used."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from studies import Exact
from toys import PRICES, item

from trueup.bench.peers import wire
from trueup.core.ledger import Ledger
from trueup.core.roles import Sampled
from trueup.core.stratum import Stratum
from trueup.core.types import Message, Sampling
from trueup.models import OpenAI
from trueup.models.completion import AS_IT_IS, read_completion
from trueup.models.stream import Reception, broken_off
from trueup.run.clerk import Clerk
from trueup.run.driver import Job, run_jobs

PROMPT = (Message("user", "2+2"),)
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
SPLITS_OF_PYTHON = ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e")
"""What `str.splitlines` takes for the end of a line, and a stream of events does not."""


def streaming(*events: str) -> AbstractContextManager[str]:
    """An endpoint that answers every call with these events, and then says no more."""

    async def answer(request: wire.Request, line: wire.Line) -> None:
        line.begin_events()
        for event in events:
            line.send_event(event)
        line.end_events()

    return wire.loopback(answer)


def replying(told: Any) -> AbstractContextManager[str]:
    """An endpoint that answers every call with this in one piece."""

    async def answer(request: wire.Request, line: wire.Line) -> None:
        line.send(200, told)

    return wire.loopback(answer)


def sample(root: str, n: int = 1, **settings: Any) -> Sampled:
    async def run() -> Sampled:
        model = OpenAI(root, "m", retries=1, **settings)
        try:
            return await model.sample(PROMPT, n, 0, Sampling(max_tokens=8))
        finally:
            await model.close()

    return asyncio.run(run())


def used(reply: Sampled) -> list[tuple[str, int | None, int | None]]:
    return [(waste.kind, waste.prompt_tokens, waste.completion_tokens) for waste in reply.waste]


def piece(text: str, **marks: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}, **marks}], "usage": USAGE})


def received(raw: bytes, size: int) -> Any:
    """The reply that a stream makes whose bytes come so many at a time."""

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(raw), size):
            yield raw[start : start + size]

    async def read() -> Any:
        reception = Reception()
        await reception.read(httpx.Response(200, headers={"content-type": "text/event-stream"}, content=parts()))
        return reception.pieces.reply()

    return asyncio.run(read())


@pytest.mark.parametrize("split", SPLITS_OF_PYTHON)
def test_a_streamed_text_may_hold_whatever_python_splits_lines_at(split: str) -> None:
    text = f"line one{split}line two"
    event = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}], "usage": USAGE}
    with streaming(json.dumps(event, ensure_ascii=False), "[DONE]") as root:
        reply = sample(root, stream=True)
    assert ([attempt.text for attempt in reply.attempts], reply.waste) == ([text], ())


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_end_at_each_of_three_ends_however_the_bytes_are_cut(end: str, size: int) -> None:
    texts = ["é", "\u2028", "\U0001f600"]
    events = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    lines = [f"data: {json.dumps(event, ensure_ascii=False)}{end}{end}" for event in events]
    (choice,) = received("".join([*lines, f": ping{end}", "data: [DONE]"]).encode(), size)["choices"]
    assert choice["message"]["content"] == "".join(texts)


@pytest.mark.parametrize("reason", ["error", "abort"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_choice_that_the_server_failed_at_is_a_failure_and_no_attempt(reason: str, stream: bool) -> None:
    choice = {"index": 0, "message": {"content": "The answer is 4"}, "finish_reason": reason}
    whole = replying({"choices": [choice], "usage": USAGE})
    with streaming(piece("The answer is 4", finish_reason=reason), "[DONE]") if stream else whole as root:
        reply = sample(root, stream=stream)
    assert (reply.attempts, used(reply)) == ((), [("failed", 3, 4)])
    assert reply.waste[0].reason == f"the server failed at this choice: finish_reason is {reason!r}"


def test_of_several_choices_the_failed_pay_their_share_and_the_first_attempt_the_prompt() -> None:
    reasons = ["abort", "stop", "error", "length", "stop"]
    choices = [{"index": i, "message": {"content": "x" * 2}, "finish_reason": end} for i, end in enumerate(reasons)]
    told = {"choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 50}}
    reply = read_completion(told, 4, 10, 5.0)
    assert [(a.index, a.finish, a.usage.completion_tokens, a.usage.leads) for a in reply.attempts] == [
        (11, "stop", 10, True),
        (13, "length", 10, False),
    ]
    assert [(w.kind, w.prompt_tokens, w.completion_tokens, w.seconds) for w in reply.waste] == [
        ("failed", 0, 10, 1.0),
        ("failed", 0, 10, 1.0),
        ("discarded", 0, 10, 1.0),
    ]
    assert reply.failed == {10, 12}


def test_a_failed_choice_is_on_the_ledger_and_neither_asked_again_nor_held_against_n(tmp_path: Path) -> None:
    calls = []

    async def answer(request: wire.Request, line: wire.Line) -> None:
        calls.append(json.loads(request.body).get("n", 1))
        ends = ["error", *["stop"] * (calls[-1] - 1)]
        choices = [{"index": i, "message": {"content": "xx"}, "finish_reason": end} for i, end in enumerate(ends)]
        line.send(200, {"choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 2 * len(ends)}})

    async def run(root: str) -> dict[str, Any]:
        model = OpenAI(root, "m")
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            jobs = (Job(Stratum("s", (), Exact()), item(name), 4) for name in "ab")
            pools = [pool async for pool in run_jobs(jobs, Clerk(model, ledger, PRICES), lanes=1)]
            await model.close()
            assert [len(pool.attempts) for pool in pools] == [3, 3]
            return {total.kind: total for total in ledger.totals() if total.kind != "evaluation"}

    with wire.loopback(answer) as root:
        totals = asyncio.run(run(root))
    assert calls == [4, 4]
    told = {kind: (total.charges, total.prompt_tokens, total.completion_tokens) for kind, total in totals.items()}
    assert told == {"sampled": (6, 6, 12), "failed": (2, 0, 4)}


ERROR = json.dumps({"error": {"message": "engine died"}, "usage": USAGE})


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (None, "the stream broke off"),
        (ERROR, "no choices: engine died"),
        ("{", "Expecting property name"),
        (piece("w", logprobs=[1]), "log-probabilities that are no list under content"),
        (piece("w", logprobs={"content": 5}), "log-probabilities that are no list under content"),
        (json.dumps({"choices": 5, "usage": USAGE}), "choices that are no list"),
        (json.dumps({"choices": [5], "usage": USAGE}), "a choice without a delta"),
    ],
)
def test_a_stream_that_breaks_is_on_record_with_what_it_had_told(event: str | None, why: str) -> None:
    with streaming(piece("w w w w"), *([event] if event else [])) as root:
        reply = sample(root, stream=True)
    assert (reply.attempts, used(reply)) == ((), [("retried", 3, 4), ("failed", 3, 4)])
    assert all(why in waste.reason and "\n" not in waste.reason for waste in reply.waste)


def test_a_connection_that_breaks_leaves_what_its_stream_had_told_and_of_which_engine() -> None:
    async def answer(request: wire.Request, line: wire.Line) -> None:
        line.begin_events()
        line.send_event(json.dumps(json.loads(piece("w w w w")) | {"system_fingerprint": "fp"}))
        raise ConnectionError

    with wire.loopback(answer) as root:
        reply = sample(root, stream=True)
    assert used(reply) == [("retried", 3, 4), ("failed", 3, 4)]
    assert all("broke off without an answer" in waste.reason and waste.engine == "fp" for waste in reply.waste)


@pytest.mark.parametrize("last", [None, "{"])
def test_what_was_finished_when_its_stream_broke_is_an_attempt(last: str | None) -> None:
    calls = []

    async def answer(request: wire.Request, line: wire.Line) -> None:
        calls.append(request)
        line.begin_events()
        line.send_event(piece("4", finish_reason="stop"))
        if last is None:
            raise ConnectionError
        line.send_event(last)
        line.end_events()

    with wire.loopback(answer) as root:
        reply = sample(root, stream=True)
    told = [(a.text, a.finish, a.usage.prompt_tokens, a.usage.completion_tokens) for a in reply.attempts]
    assert (told, reply.waste, len(calls)) == ([("4", "stop", 3, 4)], (), 1)


def test_a_finished_stream_that_then_tells_of_an_error_is_none() -> None:
    with streaming(piece("4", finish_reason="stop"), ERROR) as root:
        reply = sample(root, stream=True)
    assert (reply.attempts, used(reply)) == ((), [("retried", 3, 4), ("failed", 3, 4)])


def test_a_stream_that_was_left_once_it_was_finished_is_an_attempt() -> None:
    reception = Reception()
    reception.is_sent = True
    reception.pieces.take(f"data: {piece('4', finish_reason='stop')}")
    left = broken_off(reception, 2, 0.5, AS_IT_IS)
    assert ([(a.index, a.text, a.usage.completion_tokens) for a in left.attempts], left.waste) == ([(2, "4", 4)], ())


def test_a_whole_reply_that_cannot_be_read_is_on_record_with_what_it_told() -> None:
    with replying({"choices": [], "usage": USAGE, "system_fingerprint": "fp"}) as root:
        reply = sample(root)
    assert used(reply) == [("retried", 3, 4), ("failed", 3, 4)]
    assert {waste.engine for waste in reply.waste} == {"fp"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_of_null_is_no_empty_attempt(stream: bool) -> None:
    with replying(None) as root:
        reply = sample(root, stream=stream)
    assert (reply.attempts, used(reply)) == ((), [("retried", None, None), ("failed", None, None)])
    assert all("a reply that is no JSON object" in waste.reason for waste in reply.waste)


def test_a_stream_without_a_choice_is_no_empty_attempt() -> None:
    with streaming(json.dumps({"choices": [], "usage": USAGE}), "[DONE]") as root:
        reply = sample(root, stream=True)
    assert (reply.attempts, used(reply)) == ((), [("retried", 3, 4), ("failed", 3, 4)])
    assert all("a stream without choices" in waste.reason for waste in reply.waste)
