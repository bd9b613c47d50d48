"""The endpoint model against a mock that keeps books: our ledger must equal them, token by token."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mock_endpoint import Call, MockEndpoint, error, loopback
from starlette.responses import PlainTextResponse, Response
from toys import PRICES, item

from trueup.core.errors import AskFailed, BadInput, Unavailable, UnknownName
from trueup.core.ledger import Ledger
from trueup.core.roles import Sampled
from trueup.core.stratum import Stratum
from trueup.core.types import Message, Prompt, Sampling
from trueup.models.completion import Reading, first_seed, read_completion, read_next_token
from trueup.models.openai import OpenAI
from trueup.models.retry import Refusal, may_retry, pause_seconds, read_refusal, retry_after
from trueup.models.servers import find_server
from trueup.models.stream import Pieces
from trueup.run.clerk import Clerk
from trueup.run.driver import Job, run_jobs

PROMPT = (Message("system", "be brief"), Message("user", "two words"))
SAMPLING = Sampling(max_tokens=20)


class Reader:
    """Reads nothing and grades nothing right."""

    name, needs_reference = "reader", True

    def read(self, text: str) -> str | None:
        return None

    def check(self, answer: str, problem: Any, reference: Any) -> Any:
        raise AssertionError("nothing was read")


def sample(
    mock: MockEndpoint,
    *,
    n: int = 8,
    start: int = 0,
    sampling: Sampling = SAMPLING,
    prompt: Prompt = PROMPT,
    **settings: Any,
) -> Sampled:
    """What the mock brings through our model."""

    async def run(root: str) -> Sampled:
        model = OpenAI(root, "toy", **settings)
        try:
            return await model.sample(prompt, n, start, sampling)
        finally:
            await model.close()

    with loopback(mock.app) as root:
        return asyncio.run(run(root))


def ledger_totals(mock: MockEndpoint, path: Path, *, n: int = 8, items: int = 6, **settings: Any) -> dict[str, Any]:
    """The ledger's totals by kind after pools of n for some items."""

    async def run(root: str) -> dict[str, Any]:
        model = OpenAI(root, "toy", **settings)
        stratum = Stratum("s", (), Reader())
        with Ledger(path / "ledger.sqlite") as ledger:
            jobs = (Job(stratum, item(f"item {i}"), n) for i in range(items))
            pools = [pool async for pool in run_jobs(jobs, Clerk(model, ledger, PRICES))]
            await model.close()
            assert len(pools) == items
            return {total.kind: total for total in ledger.totals()}

    with loopback(mock.app) as root:
        return asyncio.run(run(root))


def too_many(place: int, body: dict[str, Any]) -> Response | None:
    return error(429, "slow down", headers={"retry-after-ms": "5"}) if place % 10 == 3 else None


def test_tokens_equal_the_endpoints_own_books(tmp_path: Path) -> None:
    mock = MockEndpoint()
    sampled = ledger_totals(mock, tmp_path)["sampled"]
    assert (sampled.prompt_tokens, sampled.completion_tokens) == mock.truth()
    assert len(mock.calls) == 6 and sampled.charges == 48 and sampled.unknown_tokens == 0


@pytest.mark.parametrize("n", [1, 8])
def test_choices_that_nobody_asked_for_are_paid_and_no_attempts(tmp_path: Path, n: int) -> None:
    mock = MockEndpoint(takes_n="adds one")
    totals = ledger_totals(mock, tmp_path, n=n)
    sampled, discarded = totals["sampled"], totals["discarded"]
    assert sampled.prompt_tokens + discarded.prompt_tokens == mock.truth()[0]
    assert sampled.completion_tokens + discarded.completion_tokens == mock.truth()[1]
    assert (sampled.charges, discarded.charges, len(mock.calls)) == (6 * n, 6, 6)
    extra = sample(MockEndpoint(takes_n="adds one"), n=n).waste
    assert [waste.reason for waste in extra] == [f"{n + 1} choices came where {n} were asked for"]


def test_truncated_samples_are_billed_in_full(tmp_path: Path) -> None:
    mock = MockEndpoint(cut_share=0.5)
    sampled = ledger_totals(mock, tmp_path)["sampled"]
    assert (sampled.prompt_tokens, sampled.completion_tokens) == mock.truth()
    reply = sample(MockEndpoint(cut_share=0.5), n=16)
    assert {attempt.finish for attempt in reply.attempts} == {"length", "stop"}


@pytest.mark.parametrize(
    ("server", "marks", "finish"),
    [
        ("vllm", {"stop_reason": "\n"}, "stop:\n"),
        ("vllm", {"stop_reason": None}, "eos"),
        ("vllm", {"stop_reason": 151643}, "eos"),
        ("vllm", {}, "stop"),
        ("sglang", {"matched_stop": "\n"}, "stop:\n"),
        ("sglang", {"matched_stop": 2}, "eos"),
        ("sglang", {"matched_stop": None}, "stop"),
        ("llamacpp", {}, "stop"),
        ("llamacpp", {"stop_reason": None}, "stop"),
        ("", {"stop_reason": "\n"}, "stop:\n"),
        ("", {"matched_stop": 2}, "eos"),
        ("", {"stop_reason": None}, "stop"),
        ("", {"stop_reason": "end_turn"}, "stop"),
    ],
)
def test_an_attempt_says_how_it_ended_where_its_server_does(server: str, marks: dict[str, Any], finish: str) -> None:
    """A word of some gateway's own is no stop string, and a null that nobody vouches for is nothing."""
    lines = Sampling(max_tokens=20, stop=("\n",))
    reply = sample(MockEndpoint(marks=marks), n=2, sampling=lines, server=server)
    assert {attempt.finish for attempt in reply.attempts} == {finish}


def test_an_attempt_that_was_cut_at_the_limit_says_so_whatever_its_server_adds() -> None:
    reply = sample(MockEndpoint(marks={"stop_reason": None}, cut_share=1.0), n=2, server="vllm")
    assert {attempt.finish for attempt in reply.attempts} == {"length"}


def test_how_a_streamed_attempt_ended_is_in_its_last_piece() -> None:
    pieces, last = Pieces(), {"delta": {"content": "b"}, "finish_reason": "stop", "stop_reason": "\n"}
    for choice in ({"delta": {"content": "a"}, "stop_reason": None}, last):
        pieces.take(f"data: {json.dumps({'choices': [choice]})}")
    pieces.take("data: [DONE]")
    (attempt,) = read_completion(pieces.reply(), 1, 0, 0.0, Reading(stops=("\n",))).attempts
    assert (attempt.text, attempt.finish) == ("ab", "stop:\n")


def test_refused_calls_are_tried_again_and_on_record(tmp_path: Path) -> None:
    mock = MockEndpoint(takes_n="rejects", refuse=too_many)
    totals = ledger_totals(mock, tmp_path)
    assert (totals["sampled"].prompt_tokens, totals["sampled"].completion_tokens) == mock.truth()
    refused = len(mock.calls) - len(mock.served)
    assert totals["retried"].charges == refused == totals["retried"].unknown_tokens
    assert totals["sampled"].charges == 48


def test_missing_usage_is_unknown_never_zero(tmp_path: Path) -> None:
    mock = MockEndpoint(omits_usage=True)
    sampled = ledger_totals(mock, tmp_path)["sampled"]
    assert sampled.unknown_tokens == sampled.charges == 48
    usages = [attempt.usage for attempt in sample(mock).attempts]
    assert {(u.prompt_tokens, u.completion_tokens, u.cached_tokens) for u in usages} == {(None, None, None)}


def test_endpoint_without_n_is_probed_once(tmp_path: Path) -> None:
    for takes_n, calls, retried in (("rejects", 49, 1), ("ignores", 48, 0)):
        mock = MockEndpoint(takes_n=takes_n)
        folder = tmp_path / takes_n
        totals = ledger_totals(mock, folder)
        sampled = totals["sampled"]
        assert (sampled.prompt_tokens, sampled.completion_tokens) == mock.truth()
        assert len(mock.calls) == calls and sampled.charges == 48
        assert sum(call.body.get("n", 1) > 1 for call in mock.calls) == 1
        assert (totals["retried"].charges if "retried" in totals else 0) == retried


def test_an_endpoint_without_logprobs_is_asked_once_more_and_never_again() -> None:
    mock = MockEndpoint(takes_logprobs=False)

    async def run(root: str) -> tuple[Sampled, Sampled]:
        model = OpenAI(root, "toy")
        told = replace(SAMPLING, logprobs=True)
        first, second = await model.sample(PROMPT, 2, 0, told), await model.sample(PROMPT, 2, 2, told)
        await model.close()
        return first, second

    with loopback(mock.app) as root:
        first, second = asyncio.run(run(root))
    assert [attempt.logprob for attempt in (*first.attempts, *second.attempts)] == [None] * 4
    assert [waste.kind for waste in (*first.waste, *second.waste)] == ["retried"]
    assert [bool(call.body.get("logprobs")) for call in mock.calls] == [True, False, False]


TEMPERED = Sampling(0.5, max_tokens=4, logprobs=True)


@pytest.mark.parametrize("param", ["top_logprobs", "logprobs", None])
def test_an_endpoint_without_the_likeliest_tokens_is_asked_for_the_drawn_ones_alone(param: str | None) -> None:
    """vLLM blames `logprobs` where more are asked for than it was set up to tell."""

    def refuse(place: int, body: dict[str, Any]) -> Any:
        return error(400, "5 is greater than max allowed: 0", param=param) if body.get("top_logprobs") else None

    mock = MockEndpoint(refuse=refuse)
    first, second = ask_reasoner(mock, TEMPERED, replace(TEMPERED, seed=1))
    assert [waste.kind for waste in (*first.waste, *second.waste)] == ["retried"]
    told = [(call.status, call.body.get("logprobs"), call.body.get("top_logprobs")) for call in mock.calls]
    assert told == [(400, True, 5), (200, True, None), (200, True, None)]


def test_where_a_temperature_changes_chances_the_likeliest_tokens_are_asked_for_too() -> None:
    """Above 1 they would not help; and a refusal is not put down to what was not asked for."""
    asked = {}
    for temperature in (0.0, 0.5, 1.0, 1.5):
        mock = MockEndpoint(takes_logprobs=False)
        sample(mock, n=1, sampling=replace(TEMPERED, temperature=temperature))
        assert [call.status for call in mock.calls] == [400, 200]
        assert not {"logprobs", "top_logprobs"} & set(mock.calls[1].body)
        asked[temperature] = mock.calls[0].body.get("top_logprobs")
    assert asked == {0.0: None, 0.5: 5, 1.0: None, 1.5: None}


def test_a_server_that_tells_of_after_temperature_is_taken_at_its_word() -> None:
    """Two tokens of .9 and .1 at temperature 1/2: drawn with .988, unless .9 is that already."""
    tokens = [{"token": "a", "logprob": math.log(0.9), "top_logprobs": [{"token": "b", "logprob": math.log(0.1)}]}]
    choice = {"index": 0, "message": {"content": "a"}, "finish_reason": "length", "logprobs": {"content": tokens}}
    reply = {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    drawn = {}
    for name in ("", "vllm", "sglang"):
        by = Reading.of(PROMPT, TEMPERED, find_server(name))
        (attempt,) = read_completion(reply, 1, 0, 0.0, by).attempts
        assert attempt.logprob == pytest.approx(math.log(0.9)) and attempt.drawn_logprob is not None
        drawn[name] = math.exp(attempt.drawn_logprob)
    assert drawn == pytest.approx({"": 0.81 / 0.82, "vllm": 0.81 / 0.82, "sglang": 0.9})


@pytest.mark.parametrize("top", [None, 3, ["x"], [{"logprob": "x"}, {"token": "b"}, {"logprob": math.nan}]])
def test_likeliest_tokens_that_are_none_are_passed_over(top: Any) -> None:
    tokens = [{"token": "a", "logprob": math.log(0.9), "top_logprobs": top}]
    choice = {"index": 0, "message": {"content": "a"}, "logprobs": {"content": tokens}}
    by = Reading.of(PROMPT, TEMPERED, None)
    (attempt,) = read_completion({"choices": [choice]}, 1, 0, 0.0, by).attempts
    assert attempt.drawn_logprob == pytest.approx(math.log(0.81 / 0.82))


def ask_reasoner(mock: MockEndpoint, *asks: Sampling) -> list[Sampled]:
    """What one model brings of a reasoning model for these asks of two attempts, in order."""

    async def run(root: str) -> list[Sampled]:
        model = OpenAI(root, "toy")
        try:
            return [await model.sample(PROMPT, 2, 0, sampling) for sampling in asks]
        finally:
            await model.close()

    with loopback(mock.app) as root:
        return asyncio.run(run(root))


def test_a_reasoning_model_is_asked_by_the_names_it_takes_and_not_again_by_others() -> None:
    """Temperature and top-p of 1 are what it samples at by itself, so that they may go unsaid."""
    mock, told = MockEndpoint(is_reasoner=True, takes_logprobs=False), Sampling(1.0, max_tokens=20, logprobs=True)
    first, second = ask_reasoner(mock, told, replace(told, seed=1))
    assert (len(first.attempts), len(second.attempts)) == (2, 2)
    assert [waste.kind for waste in (*first.waste, *second.waste)] == ["retried"] * 4
    assert [call.status for call in mock.calls] == [400, 400, 400, 400, 200, 200]
    fields = {"max_tokens", "max_completion_tokens", "logprobs", "temperature", "top_p"}
    assert [fields & set(call.body) for call in mock.served] == [{"max_completion_tokens"}] * 2
    assert {call.body["max_completion_tokens"] for call in mock.served} == {20}


@pytest.mark.parametrize(
    ("sampling", "mend"),
    [
        (Sampling(0.8, max_tokens=20), r"; set temperature to 1 in the task or the request"),
        (Sampling(1.0, top_p=0.9, max_tokens=20), r"; set top_p to 1 in the task or the request"),
        (Sampling(1.0, max_tokens=20, stop=("\n",)), r"; leave stop out of the task or the request"),
    ],
)
def test_settings_that_a_reasoning_model_rejects_are_refused_with_the_mend(sampling: Sampling, mend: str) -> None:
    """Also behind asks that were answered without them; the names it takes are kept all the same."""
    mock = MockEndpoint(is_reasoner=True)
    first, taken, again = ask_reasoner(mock, sampling, Sampling(1.0, max_tokens=20), sampling)
    for reply in (first, again):
        *retried, refused = reply.waste
        assert reply.attempts == () and {waste.kind for waste in retried} <= {"retried"} and refused.kind == "refused"
        assert mend in refused.reason and read_refusal(refused.reason) == (400, None)
    assert len(taken.attempts) == 2 and len(again.waste) == 1
    assert ["max_tokens" in call.body for call in mock.calls].count(True) == 1


def test_a_limit_that_is_too_great_is_not_asked_for_under_another_name() -> None:
    told = "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum context length is 2048"
    mock = MockEndpoint(refuse=lambda place, body: error(400, told, param="max_tokens"))
    reply = sample(mock, n=2)
    assert [waste.kind for waste in reply.waste] == ["refused"] and len(mock.calls) == 1


def fail_at_next_token(mock: MockEndpoint) -> None:
    """Ask an endpoint that tells no log-probabilities for the likeliest next tokens."""

    async def run(root: str) -> None:
        model = OpenAI(root, "toy")
        try:
            await model.next_token(PROMPT, 5)
        finally:
            await model.close()

    with loopback(mock.app) as root, pytest.raises(AskFailed, match="a reply without log-probabilities"):
        asyncio.run(run(root))


def test_next_tokens_are_asked_for_by_the_limit_that_a_reasoning_model_takes() -> None:
    mock = MockEndpoint(is_reasoner=True, cut_share=1)
    fail_at_next_token(mock)
    (body,) = (call.body for call in mock.served)
    assert (body["top_logprobs"], body["max_completion_tokens"], body["logprobs"]) == (5, 1, True)


def test_count_of_one_choice_is_unknown_and_not_asked_for_again() -> None:
    mock = MockEndpoint(takes_n="counts one")

    async def run(root: str) -> tuple[Sampled, Sampled]:
        model = OpenAI(root, "toy")
        first = await model.sample(PROMPT, 4, 0, SAMPLING)
        second = await model.sample(PROMPT, 4, 4, SAMPLING)
        await model.close()
        return first, second

    with loopback(mock.app) as root:
        first, second = asyncio.run(run(root))
    assert [attempt.usage.completion_tokens for attempt in first.attempts] == [None] * 4
    counted = [attempt.usage.completion_tokens for attempt in second.attempts]
    assert counted == [call.completion_tokens for call in mock.calls[1:]] and len(mock.calls) == 5


def test_same_attempt_is_the_same_text_however_it_is_asked_for() -> None:
    together = sample(MockEndpoint(), n=8)
    apart = sample(MockEndpoint(takes_n="rejects"), n=8)
    later = sample(MockEndpoint(), n=3, start=5)
    assert [(a.index, a.text) for a in together.attempts] == [(a.index, a.text) for a in apart.attempts]
    assert [(a.index, a.text) for a in together.attempts[5:]] == [(a.index, a.text) for a in later.attempts]


def test_one_attempt_of_a_call_leads_and_singles_all_do() -> None:
    together, apart = sample(MockEndpoint(), n=4), sample(MockEndpoint(takes_n="ignores"), n=4)
    assert [attempt.usage.leads for attempt in together.attempts] == [True, False, False, False]
    assert [attempt.usage.leads for attempt in apart.attempts] == [True] * 4


def test_settings_reach_the_endpoint() -> None:
    mock = MockEndpoint()
    schema = '{"type":"object","properties":{},"additionalProperties":false}'
    settings = Sampling(temperature=0.3, top_p=0.9, max_tokens=7, stop=("\n",), schema=schema, seed=5)
    sample(mock, n=2, start=3, sampling=settings)
    body = mock.calls[0].body
    assert body["seed"] == first_seed(PROMPT, 5) + 3 and body["n"] == 2 and body["model"] == "toy"
    assert (body["temperature"], body["top_p"], body["max_tokens"], body["stop"]) == (0.3, 0.9, 7, ["\n"])
    assert body["response_format"]["json_schema"] == {"name": "answer", "schema": json.loads(schema), "strict": True}
    assert body["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "two words"}]


def test_a_turn_to_be_continued_says_so() -> None:
    mock = MockEndpoint()
    begun = (*PROMPT, Message("assistant", "one,"))
    sample(mock, n=1, prompt=begun)
    sample(mock, n=1)
    assert (mock.calls[0].body["continue_final_message"], mock.calls[0].body["add_generation_prompt"]) == (True, False)
    assert "continue_final_message" not in mock.calls[1].body


def test_repetitions_with_the_next_seed_share_no_attempt() -> None:
    seeds = {first_seed(PROMPT, seed) + index for seed in range(4) for index in range(16)}
    assert len(seeds) == 64


def test_bad_request_is_one_call_and_an_error() -> None:
    mock = MockEndpoint(refuse=lambda place, body: error(400, "prompt too long", param="messages"))
    for n in (1, 8):
        mock.calls.clear()
        reply = sample(mock, n=n)
        assert len(mock.calls) == 1 and reply.attempts == ()
        assert [(w.kind, read_refusal(w.reason)[0]) for w in reply.waste] == [("refused", 400)]
        assert "prompt too long" in reply.waste[0].reason


def test_bad_request_that_blames_nothing_does_not_forbid_n() -> None:
    mock = MockEndpoint(refuse=lambda place, body: error(400, "no") if place < 2 else None)

    async def run(root: str) -> tuple[Sampled, Sampled]:
        model = OpenAI(root, "toy")
        first = await model.sample(PROMPT, 4, 0, SAMPLING)
        second = await model.sample(PROMPT, 4, 0, SAMPLING)
        await model.close()
        return first, second

    with loopback(mock.app) as root:
        first, second = asyncio.run(run(root))
    assert [w.kind for w in first.waste] == ["refused", "refused"] and len(second.attempts) == 4
    assert [call.body.get("n") for call in mock.calls] == [4, None, 4]


def test_lasting_overload_ends_as_a_failure_with_its_status_and_wait() -> None:
    mock = MockEndpoint(refuse=lambda place, body: error(429, "slow down", headers={"retry-after-ms": "2"}))
    reply = sample(mock, n=1, retries=2)
    assert reply.attempts == () and [w.kind for w in reply.waste] == ["retried", "retried", "failed"]
    assert read_refusal(reply.waste[-1].reason) == (429, 0.002)
    assert all(w.prompt_tokens is None and w.completion_tokens is None for w in reply.waste)


def test_wait_beyond_patience_is_not_waited() -> None:
    mock = MockEndpoint(refuse=lambda place, body: error(429, "quota", headers={"retry-after": "3600"}))
    reply = sample(mock, n=1)
    assert len(mock.calls) == 1 and read_refusal(reply.waste[0].reason) == (429, 3600.0)


def test_html_in_place_of_json_is_tried_again() -> None:
    page = "<html>starting up</html>"
    mock = MockEndpoint(refuse=lambda place, body: PlainTextResponse(page) if place == 0 else None)
    reply = sample(mock, n=1)
    assert len(reply.attempts) == 1 and "starting up" in reply.waste[0].reason


def test_localhost_with_a_budget_of_64_does_not_hang() -> None:
    mock = MockEndpoint(takes_n="rejects", pause_seconds=0.01)

    async def run(root: str) -> Sampled:
        model = OpenAI(root.replace("127.0.0.1", "localhost"), "toy")
        async with asyncio.timeout(8):
            reply = await model.sample(PROMPT, 64, 0, SAMPLING)
        await model.close()
        return reply

    with loopback(mock.app) as root:
        reply = asyncio.run(run(root))
    assert len(reply.attempts) == 64 and 1 < mock.most_in_flight <= 16


def test_key_is_sent_and_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_KEY", "sk-very-secret\n")
    mock = MockEndpoint(refuse=lambda place, body: error(400, "key sk-very-secret is odd", param="messages"))
    reply = sample(mock, n=1, key_env="TOY_KEY")
    assert mock.calls[0].authorization == "Bearer sk-very-secret"
    assert "secret" not in reply.waste[0].reason and "***" in reply.waste[0].reason


@pytest.mark.parametrize(("status", "mend"), [(401, r"\$TOY_KEY"), (403, r"\$TOY_KEY"), (404, "model's name 'toy'")])
def test_first_call_says_what_is_wrong_with_the_endpoint(status: int, mend: str) -> None:
    mock = MockEndpoint(refuse=lambda place, body: error(status, "no"))
    with pytest.raises(Unavailable, match=rf"http://127.0.0.1:\d+/v1 answered {status}: no; .*{mend}"):
        sample(mock, n=8, key_env="TOY_KEY")
    assert len(mock.calls) == 1


def test_redirect_is_not_followed() -> None:
    moved = Response(status_code=307, headers={"location": "http://127.0.0.1:1/v1"})
    with pytest.raises(Unavailable, match=r"answered 307: http://127.0.0.1:1/v1; check the URL"):
        sample(MockEndpoint(refuse=lambda place, body: moved), n=1)


def test_later_refusal_of_the_key_fails_one_ask_only() -> None:
    mock = MockEndpoint(takes_n="rejects", refuse=lambda place, body: error(401, "gone") if place == 3 else None)
    reply = sample(mock, n=4)
    assert len(reply.attempts) == 3 and [w.kind for w in reply.waste] == ["retried", "failed"]


def test_absent_endpoint_is_unavailable_in_one_line() -> None:
    async def run() -> None:
        await OpenAI("http://127.0.0.1:9", "toy").sample(PROMPT, 1, 0, SAMPLING)

    with pytest.raises(Unavailable, match=r"^http://127.0.0.1:9/v1 cannot be reached: .*; start it") as caught:
        asyncio.run(run())
    assert "\n" not in str(caught.value)


def test_cancelled_sample_leaves_nothing_running() -> None:
    mock = MockEndpoint(takes_n="rejects", pause_seconds=0.3)

    async def run(root: str) -> int:
        model = OpenAI(root, "toy")
        task = asyncio.create_task(model.sample(PROMPT, 8, 0, SAMPLING))
        while mock.in_flight < 7:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await model.close()
        return len(asyncio.all_tasks()) - 1

    with loopback(mock.app) as root:
        assert asyncio.run(run(root)) == 0


def test_tries_are_told_also_when_the_caller_leaves_during_the_pause_before_the_next() -> None:
    mock = MockEndpoint(refuse=lambda place, body: error(500, "broken") if place == 0 else None)

    async def run(root: str) -> Sampled:
        model = OpenAI(root, "toy")
        task = asyncio.create_task(model.sample(PROMPT, 1, 0, SAMPLING))
        while not mock.calls:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as left:
            await task
        await model.close()
        told = left.value.args[0]
        assert isinstance(told, Sampled)
        return told

    with loopback(mock.app) as root:
        assert [waste.kind for waste in asyncio.run(run(root)).waste] == ["retried"]


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", "http://u:p@x/v1", "http://x/v1?key=1", "::"])
def test_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="no base URL") as caught:
        OpenAI(url, "toy")
    assert "p@" not in str(caught.value) and "key=1" not in str(caught.value)


def test_card_names_url_and_model() -> None:
    for url in ("http://x:1", "http://x:1/v1/", "http://x:1/v1/chat/completions"):
        card = OpenAI(url, "toy").card
        assert card.fingerprint == "openai:http://x:1/v1:toy" and card.billing == "toy" and card.parameters is None
    assert OpenAI("http://x", "toy", billing="list-price").card.billing == "list-price"


def test_grammar_is_refused_where_no_server_is_known_to_take_it() -> None:
    with pytest.raises(BadInput, match=r"takes no grammar unless server=vllm\|sglang\|llamacpp is set"):
        asyncio.run(OpenAI("http://x", "toy").sample(PROMPT, 1, 0, Sampling(grammar="root ::= [0-9]")))


@pytest.mark.parametrize("server", ["sglang", "llamacpp"])
def test_a_grammar_in_another_notation_than_the_servers_is_refused_before_it_is_asked(server: str) -> None:
    told = r"takes grammars in GBNF, and 'start: /\[0-9\]/' has no rule NAME ::= .*write it so"
    with pytest.raises(BadInput, match=told):
        asyncio.run(OpenAI("http://x", "toy", server=server).sample(PROMPT, 1, 0, Sampling(grammar="start: /[0-9]/")))


def test_vllm_reads_lark_and_llamacpps_server_lark_that_says_so() -> None:
    mock, lark = MockEndpoint(), "start: /[0-9]/"
    sample(mock, n=1, sampling=Sampling(grammar=lark), server="vllm")
    sample(mock, n=1, sampling=Sampling(grammar=f"%llguidance {{}}\n{lark}"), server="llamacpp")
    assert mock.calls[0].body["structured_outputs"] == {"grammar": lark}
    assert mock.calls[1].body["grammar"].endswith(lark)


@pytest.mark.parametrize(
    ("server", "fields"),
    [
        ("vllm", {"structured_outputs": {"grammar": "root ::= [0-9]"}, "top_k": -1, "repetition_penalty": 1.0}),
        ("sglang", {"ebnf": "root ::= [0-9]", "top_k": -1, "repetition_penalty": 1.0}),
        ("llamacpp", {"grammar": "root ::= [0-9]", "top_k": 0, "repeat_penalty": 1.0}),
    ],
)
def test_a_grammar_reaches_a_server_and_its_own_samplers_are_off(server: str, fields: dict[str, Any]) -> None:
    mock = MockEndpoint()
    sample(mock, n=1, sampling=Sampling(grammar="root ::= [0-9]"), server=server)
    body = mock.calls[0].body
    assert {name: body.get(name) for name in fields} == fields and body["min_p"] == 0
    sample(mock, n=1, server=server)
    assert not {"structured_outputs", "ebnf", "grammar"} & set(mock.calls[1].body)


def test_an_unknown_endpoint_gets_openai_fields_only() -> None:
    mock = MockEndpoint()
    sample(mock, n=1)
    assert not {"top_k", "min_p", "repetition_penalty", "logprobs"} & set(mock.calls[0].body)


def test_a_server_is_part_of_the_fingerprint_and_must_be_known() -> None:
    assert OpenAI("http://x/v1", "toy", server="vllm").card.fingerprint == "openai:http://x/v1:toy:vllm"
    with pytest.raises(UnknownName, match="unknown server 'vlm'; did you mean 'vllm'"):
        OpenAI("http://x/v1", "toy", server="vlm")


def test_log_probabilities_are_asked_for_and_averaged() -> None:
    mock = MockEndpoint()
    sample(mock, n=1, sampling=Sampling(logprobs=True))
    assert mock.calls[0].body["logprobs"] is True
    message = {"role": "assistant", "content": "two words"}
    tokens = [{"token": "two", "logprob": -0.5}, {"token": " words", "logprob": -1.5}]
    told = {"index": 0, "message": message, "logprobs": {"content": tokens}}
    for choice, logprob in (
        (told, -1.0),
        (told | {"logprobs": None}, None),
        (told | {"logprobs": {"content": 3}}, None),
    ):
        assert read_completion({"choices": [choice]}, 1, 0, 0.0).attempts[0].logprob == logprob


@pytest.mark.parametrize(
    ("told", "logprob"),
    [
        (float("inf"), None),
        (float("nan"), None),
        (float("-inf"), None),
        (-(10**400), None),
        (10**400, None),
        (0.5, None),
        (True, None),
        ("-1", None),
        (1e-6, -0.5),
        (0, -0.5),
        (-9999.0, -5000.0),
    ],
)
def test_what_can_be_no_log_probability_is_unknown(told: Any, logprob: float | None) -> None:
    message = {"role": "assistant", "content": "two words"}
    content = [{"token": "two", "logprob": -1.0}, {"token": " words", "logprob": told}]
    choice = {"index": 0, "message": message, "logprobs": {"content": content}}
    assert read_completion({"choices": [choice]}, 1, 0, 0.0).attempts[0].logprob == logprob


@pytest.mark.parametrize("told", [float("inf"), float("nan"), 10**400, 0.5])
def test_next_tokens_of_no_log_probability_are_not_read(told: Any) -> None:
    top = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": told}]
    choice = {"index": 0, "message": {"content": "a"}, "logprobs": {"content": [top[0] | {"top_logprobs": top}]}}
    with pytest.raises(ValueError, match="a log-probability that is none"):
        read_next_token({"choices": [choice]})
    top[1]["logprob"] = float("-inf")
    assert read_next_token({"choices": [choice]}) == {"a": -0.1}


@pytest.mark.parametrize("count", [10**19, 1 << 63, -1, 1.5, True])
def test_a_count_that_cannot_be_booked_is_unknown(count: Any) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "a"}}
    for name, known in (("prompt_tokens", (None, 3)), ("completion_tokens", (7, None))):
        usage = {"prompt_tokens": 7, "completion_tokens": 3} | {name: count}
        (attempt,) = read_completion({"choices": [choice], "usage": usage}, 1, 0, 0.0).attempts
        assert (attempt.usage.prompt_tokens, attempt.usage.completion_tokens) == known


def test_of_next_tokens_that_look_alike_the_likelier_is_kept() -> None:
    top = [{"token": text, "logprob": told} for text, told in (("\ufffd", -0.1), ("a", -3.0), ("\ufffd", -7.0))]
    choice = {"index": 0, "message": {"content": "a"}, "logprobs": {"content": [top[0] | {"top_logprobs": top}]}}
    assert list(read_next_token({"choices": [choice]}).items()) == [("\ufffd", -0.1), ("a", -3.0)]


def test_next_tokens_are_read_and_a_reply_without_them_fails() -> None:
    top = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -2.5}]
    message = {"role": "assistant", "content": "a"}
    choice = {"index": 0, "message": message, "logprobs": {"content": [top[0] | {"top_logprobs": top}]}}
    assert read_next_token({"choices": [choice]}) == {"a": -0.1, "b": -2.5}
    mock = MockEndpoint(cut_share=1)
    fail_at_next_token(mock)
    assert (mock.calls[0].body["top_logprobs"], mock.calls[0].body["max_tokens"]) == (5, 1)


def test_a_turn_that_a_server_says_again_is_cut_to_what_is_new() -> None:
    turn = (*PROMPT, Message("assistant", "the answer"))
    for server, text in (("llamacpp", " is 12"), ("", " is 12"), ("vllm", "the answer is 12")):
        reply = sample(MockEndpoint(reply=lambda body: "the answer is 12"), n=2, prompt=turn, server=server)
        assert {attempt.text for attempt in reply.attempts} == {text}


def test_reasoning_that_only_the_total_counts_is_billed() -> None:
    mock = MockEndpoint(hidden_tokens=100, cached_tokens=3)
    reply = sample(mock, n=4)
    assert sum(a.usage.completion_tokens or 0 for a in reply.attempts) == mock.truth()[1]
    assert {a.usage.cached_tokens for a in reply.attempts} == {3}


def test_tokens_are_shared_by_length_and_add_up() -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 7}
    choices = [{"index": i, "message": {"content": "x" * size}} for i, size in ((1, 10), (0, 30), (2, 0))]
    completion = read_completion({"choices": choices, "usage": usage}, 3, 5, 6.0)
    told = [(a.index, len(a.text), a.usage.completion_tokens, a.usage.decode_seconds) for a in completion.attempts]
    assert told == [(5, 30, 5, 2.0), (6, 10, 2, 2.0), (7, 0, 0, 2.0)]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ([], "no JSON object"),
        ({"choices": []}, "without choices"),
        ({"error": {"message": "overloaded", "code": 429}}, "no choices: overloaded"),
        ({"choices": [{"text": "old style"}]}, "without a message"),
    ],
)
def test_reply_that_is_no_completion_says_why(reply: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_completion(reply, 1, 0, 0.0)


def test_half_characters_and_odd_contents_become_plain_text() -> None:
    contents = ["a\ud83d", None, [{"type": "text", "text": "b"}, {"type": "image"}, {"type": "text", "text": "c"}]]
    reply = {"choices": [{"message": {"content": content}} for content in contents]}
    texts = [attempt.text for attempt in read_completion(reply, 3, 0, 0.0).attempts]
    assert texts == ["a?", "", "bc"]


def test_retry_after_is_read_as_milliseconds_seconds_or_date() -> None:
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}, 0.0) == 0.25
    assert retry_after({"retry-after": "1.5"}, 0.0) == 1.5
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 48.0) == 12.0
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 90.0) == 0.0
    assert retry_after({"retry-after": "soon"}, 0.0) is None and retry_after({}, 0.0) is None
    assert retry_after({"retry-after": "-1"}, 0.0) is None and retry_after({"retry-after": "nan"}, 0.0) is None


def test_pause_doubles_to_a_limit_and_differs_by_seed() -> None:
    for tries, longest in ((1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (9, 8.0)):
        assert 0.75 * longest <= pause_seconds(tries, None, 7) <= longest
    assert pause_seconds(3, None, 7) == pause_seconds(3, None, 7) != pause_seconds(3, None, 8)
    assert 5.0 <= pause_seconds(1, 5.0, 7) <= 5.5


def test_statuses_worth_another_try() -> None:
    assert [s for s in (400, 401, 403, 404, 408, 409, 422, 429, 500, 503) if may_retry(s, {})] == [
        408, 409, 429, 500, 503
    ]  # fmt: skip
    assert may_retry(400, {"x-should-retry": "true"}) and not may_retry(503, {"x-should-retry": "false"})


def test_refusal_is_read_back_from_its_line() -> None:
    told = str(Refusal("http://x/v1", 429, "slow", may_retry=True, retry_after=1.5))
    assert told == "http://x/v1 answered 429: slow (retry after 1.500 s)" and read_refusal(told) == (429, 1.5)
    lost = Refusal("http://x/v1", None, "cannot be reached: refused", may_retry=True)
    assert read_refusal(str(lost)) == (None, None)


def test_call_record_is_complete() -> None:
    mock = MockEndpoint()
    sample(mock, n=2)
    assert mock.calls == [Call(mock.calls[0].body, None, 200, 4, mock.truth()[1])]
