"""A served policy, through the clients that people use."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from mock_endpoint import MockEndpoint, error, loopback
from toys import PRICES

from trueup.arms import make_arm
from trueup.core.asks import Flow, check
from trueup.core.errors import BadInput, Unavailable
from trueup.core.ledger import Ledger, verify
from trueup.core.roles import Model, ModelCard, Sampled, Waste
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Attempt, Grade, Json, Message, Problem, Prompt, Sampling, Solution, Usage
from trueup.methods import best_of_n, constrained, formalise_and_solve, greedy, once, solve, vote
from trueup.models.openai import OpenAI
from trueup.plan.policy import Policy, PolicyStratum
from trueup.run import Clerk
from trueup.serve import Desk, check_exposure, create_app, run_server
from trueup.serve.desk import check_desks
from trueup.serve.server import listen
from trueup.serve.service import Text, visible_tokens
from trueup.solvers import program

HTTP = httpx.Client()


@dataclass
class Toy:
    """Attempt i says "i"; 10 tokens in, 3 out; may be slow, fail, or be cut."""

    pause_seconds: float = 0.0
    failure: str | None = None
    finish: str = "stop"
    tokens: int | None = 3
    text: Callable[[int], str] = str
    asked: list[tuple[Prompt, Sampling]] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    card: ModelCard = field(default_factory=lambda: ModelCard("toy", "toy:1", "cpu"))

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        self.asked.append((prompt, sampling))
        try:
            await asyncio.sleep(self.pause_seconds)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.failure is not None:
            return Sampled((), (Waste("failed", self.failure),))
        usages = [Usage(10, self.tokens, decode_seconds=1.0, leads=i == 0) for i in range(n)]
        return Sampled(tuple(Attempt(i, self.text(i), self.finish, u) for i, u in enumerate(usages, start)))

    async def close(self) -> None:
        self.closed.set()


class Largest:
    """Grades a larger number higher; refuses to be asked without a reference if it needs one."""

    def __init__(self, *, needs_reference: bool) -> None:
        self.name, self.needs_reference = "largest", needs_reference

    def read(self, text: str) -> str | None:
        return text.strip() or None

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        assert not self.needs_reference, "an oracle was asked while serving"
        return Grade(min(1.0, int(answer) / 10))


class Echo:
    """Solves everything by saying the question."""

    fingerprint = "echo:1"

    async def solve(self, problem: Problem) -> Solution:
        return Solution("solved", problem.prompt[-1].content, None, 0.5)

    async def close(self) -> None:
        pass


def sneak(problem: Problem) -> Flow[Answer]:
    """A method that checks nothing but sums."""
    if "+" not in problem.prompt[-1].content:
        return Answer("", None)
    grades = yield from check(problem, (Attempt(0, "1", "stop", Usage(0, 0), "1"),))
    return Answer(str(grades), None)


def build(question: str) -> Prompt:
    shots = (Message("user", "Q: 1+1"), Message("assistant", "2"))
    return (Message("system", "Add."), *shots, Message("user", f"Q: {question}"))


def desk(name: str, method: str = "once", *, has_check: bool = False, has_solver: bool = False, n: int = 4) -> Desk:
    starts: dict[str, Callable[[Problem], Flow[Answer]]] = {
        "once": once,
        "greedy": greedy,
        "vote": lambda problem: vote(problem, n=n),
        "best_of_n": lambda problem: best_of_n(problem, n=n),
        "constrained": constrained,
        "formalise_and_solve": lambda problem: formalise_and_solve(problem, repairs=0),
        "solve": solve,
        "sneak": sneak,
    }
    check_ = Largest(needs_reference=False) if has_check else None
    stratum = Stratum(name, (), Largest(needs_reference=True), check_, Echo() if has_solver else None)
    return Desk(stratum, Arm(method, {}, starts[method]), build, Sampling(temperature=0.7, max_tokens=50))


def policy(*desks: Desk) -> Policy:
    strata = tuple(PolicyStratum(d.stratum.name, d.arm.method, {}, {}) for d in desks)
    return Policy("mixed", "toy", "toy:1", 0.9, "2026-01-01", {}, strata)


@contextlib.contextmanager
def serving(path: Path, model: Model, *desks: Desk, **settings: Any) -> Iterator[str]:
    """The root URL of a policy of these desks, which counts its seeds from 0: what is drawn is the same each time."""

    def make(stack: ExitStack) -> Any:
        ledger = stack.enter_context(Ledger(path / "ledger.sqlite"))
        named = {d.stratum.name: d for d in desks}
        return create_app(policy(*desks), named, Clerk(model, ledger, PRICES), **{"first_seed": 0} | settings)

    with loopback(make) as root:
        yield root


def client(root: str, **settings: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{root}/v1", **{"api_key": "none", "max_retries": 0} | settings)


def ask(root: str, question: str = "2+2", model: str = "mixed", **settings: Any) -> Any:
    """A completion, or the chunks of one."""
    messages: Any = [{"role": "user", "content": question}]
    with client(root) as api:
        reply: Any = api.chat.completions.create(model=model, messages=messages, **settings)
        return list(reply) if settings.get("stream") else reply


def post(root: str, content: bytes | dict[str, Any], **headers: str) -> httpx.Response:
    data = json.dumps(content).encode() if isinstance(content, dict) else content
    return HTTP.post(
        f"{root}/v1/chat/completions", content=data, headers={"content-type": "application/json"} | headers
    )


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "mixed", "messages": [{"role": "user", "content": "2+2"}]} | fields


def assert_error_shape(response: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and isinstance(error["message"], str)
    assert error["code"] is None or isinstance(error["code"], str)
    return error


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for requests that change nothing: two strata of a quick model."""
    with serving(tmp_path_factory.mktemp("serve"), Toy(), desk("sums"), desk("puzzles", "vote")) as url:
        yield url


def test_plain_reply_counts_every_token_and_says_what_served_it(tmp_path: Path) -> None:
    toy = Toy()
    with serving(tmp_path, toy, desk("sums", "best_of_n", has_check=True)) as url, client(url) as api:
        raw = api.chat.completions.with_raw_response.create(model="mixed", messages=body()["messages"])
        reply = raw.parse()
    assert reply.choices[0].message.content == "3" and reply.choices[0].finish_reason == "stop"
    assert reply.model == "mixed" and reply.object == "chat.completion" and reply.id.startswith("chatcmpl-")
    assert reply.usage and (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (10, 12)
    assert reply.usage.total_tokens == 22
    assert reply.usage.completion_tokens_details and reply.usage.completion_tokens_details.reasoning_tokens == 9
    headers = raw.headers
    assert (headers["x-trueup-method"], headers["x-trueup-stratum"]) == ("best_of_n", "sums")
    assert (headers["x-trueup-samples"], headers["x-trueup-from-ledger"]) == ("4", "false")
    assert Decimal(headers["x-trueup-usd"]) >= PRICES.compute(4.0) > 0


def test_stream_is_role_text_finish_usage_done(tmp_path: Path) -> None:
    text = "4 " * 100
    with serving(tmp_path, Toy(text=lambda i: text), desk("sums", "vote")) as url, client(url) as api:
        wanted: Any = {"model": "mixed", "messages": body()["messages"], "stream": True}
        chunks = list(api.chat.completions.create(**wanted, stream_options={"include_usage": True}))
        bare = list(api.chat.completions.create(**wanted))
        raw = post(url, wanted).text
    assert len({chunk.id for chunk in chunks}) == 1 and chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].delta.role for chunk in chunks[1:-1]] == [None] * (len(chunks) - 2)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == text
    finishes = [chunk.choices[0].finish_reason for chunk in chunks[:-1]]
    assert finishes == [None] * (len(finishes) - 1) + ["stop"]
    assert chunks[-1].choices == [] and chunks[-1].usage and chunks[-1].usage.completion_tokens == 12
    assert all(chunk.usage is None and chunk.choices for chunk in bare)
    assert raw.endswith("data: [DONE]\n\n") and '"usage"' not in raw and ": ping" not in raw


def test_heartbeats_come_while_the_method_works(tmp_path: Path) -> None:
    with serving(tmp_path, Toy(pause_seconds=0.25), desk("sums"), heartbeat_seconds=0.05) as url:
        response = post(url, body(stream=True))
        chunks = ask(url, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-trueup-method"] == "once" and "x-trueup-usd" not in response.headers
    assert response.text.count(": ping\n\n") >= 2 and ": trueup usd=0.000013888889 samples=1\n" in response.text
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "0"


def test_failure_before_a_stream_is_a_status_and_within_it_an_event(tmp_path: Path) -> None:
    toy = Toy(failure="http://10.0.0.7/v1 answered 503: down")
    with serving(tmp_path, toy, desk("sums"), heartbeat_seconds=0.25) as url:
        with pytest.raises(openai.InternalServerError):
            ask(url, stream=True)
        toy.pause_seconds = 0.4
        with pytest.raises(openai.APIError, match="the endpoint answered 503: down"):
            ask(url, stream=True)
        text = post(url, body(stream=True)).text
        counted = HTTP.get(f"{url}/metrics").text
    assert text.endswith("data: [DONE]\n\n") and '"error":{' in text and "10.0.0.7" not in text
    assert 'trueup_errors_total{stratum="sums",code="502"} 3' in counted
    assert 'trueup_requests_total{stratum="sums",code="200"} 2' in counted


def test_models_are_the_policy_and_its_strata(root: str) -> None:
    with client(root) as api:
        assert [model.id for model in api.models.list()] == ["mixed", "mixed/sums", "mixed/puzzles"]
        assert api.models.retrieve("mixed/sums").owned_by == "trueup"
        with pytest.raises(openai.NotFoundError) as caught:
            api.models.retrieve("gpt")
    assert caught.value.code == "model_not_found" and caught.value.request_id


def test_request_finds_its_stratum(root: str) -> None:
    def samples(**fields: Any) -> str:
        return post(root, body(**fields)).headers["x-trueup-samples"]

    assert samples(model="mixed/sums") == "1" and samples(model="mixed/puzzles") == "4"
    assert samples(metadata={"stratum": "puzzles", "more": "ignored"}) == "4"
    for fields, param, told in (
        ({}, "model", "strata sums, puzzles"),
        ({"metadata": {"stratum": "x"}}, "metadata.stratum", "known: sums, puzzles"),
        ({"metadata": {"stratum": ["x"]}}, "metadata.stratum", "unknown stratum"),
        ({"model": "mixed/sums", "metadata": {"stratum": "puzzles"}}, "metadata.stratum", "metadata 'puzzles'"),
    ):
        response = post(root, body(**fields))
        error = assert_error_shape(response)
        assert response.status_code == 400 and error["param"] == param and told in error["message"]
    for name in ("mixed/x", "other", "other/sums", ""):
        with pytest.raises(openai.NotFoundError, match="known: mixed, mixed/sums, mixed/puzzles"):
            ask(root, model=name)


def test_only_stratum_needs_no_name_and_recipe_wraps_the_question(tmp_path: Path) -> None:
    toy = Toy()
    messages: Any = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "3"}, {"type": "text", "text": "+3"}]},
        {"role": "assistant", "content": "6"},
        {"role": "user", "content": "4+4"},
    ]
    with serving(tmp_path, toy, desk("sums")) as url, client(url) as api:
        api.chat.completions.create(model="mixed", messages=messages)
        ask(url, "5+5")
    long, short = (prompt for prompt, _ in toy.asked)
    assert [(m.role, m.content) for m in long] == [
        ("system", "Be kind."),
        ("user", "Q: 1+1"),
        ("assistant", "2"),
        ("user", "3+3"),
        ("assistant", "6"),
        ("user", "Q: 4+4"),
    ]
    assert short == build("5+5")


def test_client_settings_replace_the_recipes(tmp_path: Path) -> None:
    toy = Toy()
    with serving(tmp_path, toy, desk("sums"), first_seed=100) as url:
        ask(url)
        ask(url, temperature=0, top_p=0.5, max_tokens=9, stop="\n", seed=-7)
        ask(url, max_tokens=9, max_completion_tokens=8, stop=["a", "b"])
    assert [settings for _, settings in toy.asked] == [
        Sampling(temperature=0.7, max_tokens=50, seed=100),
        Sampling(temperature=0, top_p=0.5, max_tokens=9, stop=("\n",), seed=-7),
        Sampling(temperature=0.7, max_tokens=8, stop=("a", "b"), seed=101),
    ]


def test_greedy_is_so_whatever_temperature_the_client_wants_and_says_so(tmp_path: Path) -> None:
    toy = Toy()
    with serving(tmp_path, toy, desk("sums", "greedy")) as url:
        response = post(url, body(temperature=0.9, top_p=0.5, seed=3))
    assert [settings for _, settings in toy.asked] == [Sampling(temperature=0, top_p=0.5, max_tokens=50, seed=3)]
    assert response.headers["x-trueup-note"] == "at temperature 0"


def test_given_seed_is_answered_from_the_ledger_and_no_seed_afresh(tmp_path: Path) -> None:
    toy = Toy()
    with serving(tmp_path, toy, desk("sums", "best_of_n", has_check=True)) as url:
        replies = [post(url, body(seed=5)) for _ in range(2)]
        assert len(toy.asked) == 1
        post(url, body())
        post(url, body())
    assert [reply.headers["x-trueup-from-ledger"] for reply in replies] == ["false", "true"]
    assert replies[0].json()["choices"] == replies[1].json()["choices"]
    assert replies[0].json()["usage"] == replies[1].json()["usage"]
    assert len(toy.asked) == 3 and len({settings.seed for _, settings in toy.asked}) == 3


def test_same_seeded_request_at_once_is_paid_once(tmp_path: Path) -> None:
    toy = Toy(pause_seconds=0.05)
    with serving(tmp_path, toy, desk("sums", "best_of_n", has_check=True)) as url, ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: post(url, body(seed=1)).status_code, range(4)))
    assert replies == [200] * 4 and len(toy.asked) == 1


def test_solver_answers_without_a_token(tmp_path: Path) -> None:
    toy = Toy()
    with serving(tmp_path, toy, desk("sums", "solve", has_solver=True)) as url:
        response = post(url, body())
    told = response.json()
    assert told["choices"][0]["message"]["content"] == "Q: 2+2" and not toy.asked
    assert (told["usage"]["total_tokens"], told["usage"]["completion_tokens_details"]) == (0, {"reasoning_tokens": 0})
    assert response.headers["x-trueup-note"] == "solved"
    assert Decimal(response.headers["x-trueup-usd"]) == round(PRICES.compute(0.5), 12)


def test_hostile_programs_end_in_abstentions_and_the_next_request_is_answered(tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    programs = {
        f"int a in 1..3\n__import__('os').system('touch {owned}')": "1 unreadable",
        "int a in 1..3\ncon " + "(" * 20_000 + "a" + ")" * 20_000 + " == 1": "1 unreadable",
        "int a[99999,99999] in 1..9\ncon alldifferent(a[*,*])": "1 unreadable",
        "int a, b, c in 1..100000\ncon a*a*a + b*b*b == c*c*c": "1 timeout",
        "int a, answer in 1..3\ncon a == 2\ncon answer == a + 1": "1 of 1 votes; of 1 program 1 solved",
    }
    said = iter(f"```\n{text}\n```" for text in programs)
    work = desk("sums", "formalise_and_solve")
    served = replace(work, stratum=replace(work.stratum, solver=program(limit_seconds=3.0)))
    with (
        serving(tmp_path, Toy(text=lambda i: next(said)), served, desk("puzzles")) as url,
        httpx.Client(timeout=60) as api,
    ):
        replies = [api.post(f"{url}/v1/chat/completions", json=body(model="mixed/sums")) for _ in programs]
        assert api.get(f"{url}/health").status_code == 200
    for reply, told in zip(replies, programs.values(), strict=True):
        assert (reply.status_code, reply.headers["x-trueup-note"].removeprefix("of 1 program ")) == (200, told)
    assert [reply.json()["choices"][0]["message"]["content"] for reply in replies[:-1]] == [""] * 4
    assert "#### 3" in replies[-1].json()["choices"][0]["message"]["content"]
    assert not owned.exists()


def test_cut_answer_says_length_and_unknown_tokens_are_null(tmp_path: Path) -> None:
    with serving(tmp_path, Toy(finish="length", tokens=None), desk("sums")) as url:
        reply = ask(url)
        chunks = ask(url, stream=True, stream_options={"include_usage": True})
        counted = HTTP.get(f"{url}/metrics").text
    assert reply.choices[0].finish_reason == "length" and reply.usage is None
    assert chunks[-2].choices[0].finish_reason == "length" and chunks[-1].usage is None
    assert 'trueup_unknown_tokens_total{stratum="sums"} 2' in counted


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"top_k": 5}, "top_k"),
        ({"min_p": 0.1}, "min_p"),
        *(
            ({name: is_it}, name)
            for name in ("temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "top_k", "min_p", "n")
            for is_it in (True, False)
        ),
        ({"top_logprobs": False}, "top_logprobs"),
        ({"frequency_penalty": False}, "frequency_penalty"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant"}]}, "messages[1].role"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": ""}, "stop[0]"),
        ({"seed": 2**63}, "seed"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"model": None}, "model"),
    ],
)
def test_bad_request_names_the_parameter(root: str, fields: dict[str, Any], param: str) -> None:
    response = post(root, body() | {"model": "mixed/sums"} | fields)
    assert response.status_code == 400 and assert_error_shape(response)["param"] == param


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "u"},
        {"n": 1, "logprobs": False, "presence_penalty": 0.0},
        {"tools": [], "tool_choice": "auto"},
        {"top_k": -1, "min_p": 0.0},
        {"top_k": 0},
        {"store": False},
    ],
)
def test_harmless_and_unknown_fields_are_tolerated(root: str, fields: dict[str, Any]) -> None:
    assert post(root, body(model="mixed/sums", **fields)).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 200_000,
        b"\xff",
        b'{"x": "\\ud83d"}',
        b'{"x": NaN}',
        b'{"seed": ' + b"1" * 5000 + b"}",
    ],
)
def test_malformed_body_is_a_400(root: str, content: bytes) -> None:
    response = post(root, content)
    assert response.status_code == 400 and assert_error_shape(response)["type"] == "invalid_request_error"


def test_long_body_other_types_and_other_routes_are_errors_in_the_same_shape(root: str) -> None:
    assert [
        (response.status_code, assert_error_shape(response)["param"])
        for response in (
            post(root, b" " * (5 << 20)),
            post(root, b"{}", **{"content-type": "text/plain"}),
            HTTP.get(f"{root}/v1/chat/completions"),
            HTTP.post(f"{root}/v1/responses"),
            HTTP.get(f"{root}/v1/models/x"),
        )
    ] == [(413, None), (415, None), (405, None), (404, None), (404, "model")]


def leave(root: str, *, is_streamed: bool) -> None:
    """Ask, read for a moment, and go."""
    began = time.perf_counter()
    url, wanted = f"{root}/v1/chat/completions", body(stream=is_streamed)
    with (
        httpx.Client(timeout=0.2) as api,
        contextlib.suppress(httpx.ReadTimeout),
        api.stream("POST", url, json=wanted) as response,
    ):
        for _ in response.iter_bytes():
            if time.perf_counter() > began + 0.2:
                return


@pytest.mark.parametrize("is_streamed", [False, True])
def test_client_that_leaves_cancels_the_work(tmp_path: Path, is_streamed: bool) -> None:
    toy = Toy(pause_seconds=30)
    with serving(tmp_path, toy, desk("sums"), heartbeat_seconds=0.05) as url:
        leave(url, is_streamed=is_streamed)
        assert toy.cancelled.wait(2) and len(toy.asked) == 1


def test_full_queue_is_a_429_with_a_time_to_wait(tmp_path: Path) -> None:
    toy = Toy(pause_seconds=0.4)
    with serving(tmp_path, toy, desk("sums"), lanes=1, max_queue=1) as url, ThreadPoolExecutor(2) as pool:
        served = [pool.submit(post, url, body()) for _ in range(2)]
        while "trueup_waiting_requests 1" not in HTTP.get(f"{url}/metrics").text:
            assert not all(reply.done() for reply in served)
        refused = post(url, body())
        assert [reply.result().status_code for reply in served] == [200, 200]
        counted = HTTP.get(f"{url}/metrics").text
    assert refused.status_code == 429 and assert_error_shape(refused)["code"] == "rate_limit_exceeded"
    assert int(refused.headers["retry-after"]) >= 1 and int(refused.headers["retry-after-ms"]) > 0
    assert "trueup_active_requests 0" in counted and "trueup_waiting_requests 0" in counted


def test_key_guards_everything_but_health(tmp_path: Path) -> None:
    with serving(tmp_path, Toy(), desk("sums"), key="sk-1") as url:
        with client(url, api_key="sk-1") as api:
            assert api.models.list().data
        for key in ("sk-2", "sk-11", "Sk-1"):
            with client(url, api_key=key) as api, pytest.raises(openai.AuthenticationError) as caught:
                api.models.list()
            assert caught.value.code == "invalid_api_key"
        assert HTTP.get(f"{url}/health").json() == {"status": "ok"}
        codes = [HTTP.get(f"{url}{path}").status_code for path in ("/metrics", "/v1/models", "/v1/models/mixed")]
        assert codes == [401, 401, 401] and post(url, body()).status_code == 401


def test_metrics_add_up(tmp_path: Path) -> None:
    with serving(tmp_path, Toy(), desk("sums", "vote"), desk('o"d\\d', "once")) as url:
        for model in ("mixed/sums", "mixed/sums", 'mixed/o"d\\d', "mixed"):
            post(url, body(model=model, seed=1))
        text = HTTP.get(f"{url}/metrics").text
    for line in (
        'trueup_requests_total{stratum="sums",code="200"} 2',
        'trueup_requests_total{stratum="o\\"d\\\\d",code="200"} 1',
        'trueup_requests_total{stratum="",code="400"} 1',
        'trueup_errors_total{stratum="",code="400"} 1',
        'trueup_tokens_total{stratum="sums",kind="prompt"} 20',
        'trueup_tokens_total{stratum="sums",kind="completion"} 24',
        'trueup_seconds_total{stratum="sums"} 8.0',
        'trueup_from_ledger_total{stratum="sums"} 1',
        'trueup_from_ledger_total{stratum="o\\"d\\\\d"} 1',
        "# TYPE trueup_usd_total counter",
    ):
        assert line in text.splitlines()
    dollars = next(line for line in text.splitlines() if line.startswith('trueup_usd_total{stratum="sums"}'))
    assert float(dollars.split()[-1]) == pytest.approx(8 / 3600 * 0.05)


def chained(path: Path, mock: MockEndpoint, question: str = "2+2", **settings: Any) -> tuple[httpx.Response, int]:
    """A request through the server to a mock endpoint, and how often that was called."""
    with loopback(mock.app) as upstream:
        model = OpenAI(upstream, "far", retries=settings.pop("retries", 1))
        with serving(path, model, desk("sums", "vote", n=8)) as url:
            response = post(url, body(messages=[{"role": "user", "content": question}], **settings))
    return response, len(mock.calls)


def test_served_usage_and_ledger_equal_the_upstreams_books(tmp_path: Path) -> None:
    mock = MockEndpoint(takes_n="rejects", cut_share=0.5)
    response, _ = chained(tmp_path, mock, max_tokens=30)
    prompt, completion = mock.truth()
    totals = {total.kind: total for total in verify(tmp_path / "ledger.sqlite").totals}
    sampled = totals["sampled"]
    assert (sampled.prompt_tokens, sampled.completion_tokens) == (prompt, completion)
    usage = response.json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (prompt, completion)
    assert {call.body["max_tokens"] for call in mock.calls} == {30}
    assert response.headers["x-trueup-usd"] == "unknown"


def test_upstream_overload_stays_a_429_with_its_wait(tmp_path: Path) -> None:
    def refuse(place: int, told: dict[str, Any]) -> Any:
        return error(429, "slow down", headers={"retry-after": "500"})

    response, calls = chained(tmp_path, MockEndpoint(refuse=refuse))
    assert response.status_code == 429 and response.headers["retry-after"] == "500" and calls == 1
    assert assert_error_shape(response)["type"] == "rate_limit_error"


def test_upstream_complaint_stays_a_400_and_breakdown_is_not_tried_again(tmp_path: Path) -> None:
    mock = MockEndpoint(refuse=lambda place, told: error(400, "prompt too long", param="messages"))
    response, calls = chained(tmp_path / "400", mock)
    assert response.status_code == 400 and "prompt too long" in assert_error_shape(response)["message"] and calls == 1
    mock = MockEndpoint(refuse=lambda place, told: error(500, "broken"))
    response, calls = chained(tmp_path / "500", mock, retries=0)
    assert response.status_code == 502 and response.headers["x-should-retry"] == "false" and calls == 1
    mock = MockEndpoint(refuse=lambda place, told: error(401, "bad key"))
    response, _ = chained(tmp_path / "401", mock)
    assert response.status_code == 503 and "127.0.0.1" not in assert_error_shape(response)["message"]


def test_method_that_would_check_against_the_reference_is_not_served(tmp_path: Path) -> None:
    def refusal(*desks: Desk, known: Policy | None = None) -> str:
        named = {d.stratum.name: d for d in desks}
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            clerk = Clerk(Toy(), ledger, PRICES)
            with pytest.raises(BadInput) as caught:
                create_app(known or policy(*desks), named, clerk)
        return str(caught.value)

    assert "add `check` to the stratum" in refusal(desk("sums", "best_of_n"))
    assert "has no solver" in refusal(desk("sums", "solve"))
    assert "that nothing serves" in refusal(desk("sums"), known=policy(desk("sums"), desk("puzzles")))
    with serving(tmp_path / "sneak", Toy(), desk("sums", "sneak")) as url:
        response = post(url, body())
    assert response.status_code == 500 and assert_error_shape(response)["code"] == "server_misconfigured"


def at_work(words: str, name: str = "sums", *, has_check: bool = False, **settings: Any) -> Desk:
    """A desk whose arm is made as a policy's is."""
    stratum = replace(desk(name).stratum, check=Largest(needs_reference=False) if has_check else None)
    return replace(desk(name), stratum=stratum, arm=make_arm(words), **settings)


@pytest.mark.parametrize(
    "words",
    ["best_of_n", "best_of_majority", "weighted_best_of_n", "reset_and_discard", "best_of_n model=far"],
)
def test_what_may_ask_for_a_check_is_served_with_one_only(words: str) -> None:
    with pytest.raises(BadInput, match="checks attempts, and there is no check without the reference"):
        check_desks(policy(at_work(words)), {"sums": at_work(words)})
    check_desks(policy(at_work(words)), {"sums": at_work(words, has_check=True)})


@pytest.mark.parametrize("words", ["once", "vote", "revise", "cascade", "parallel_revise", "best_of_majority n=1"])
def test_what_asks_for_no_check_is_served_without(words: str) -> None:
    check_desks(policy(at_work(words)), {"sums": at_work(words)})


def test_what_a_table_may_choose_is_looked_at_too(tmp_path: Path) -> None:
    bins, router = tmp_path / "bins.json", tmp_path / "router.json"
    bins.write_text(
        json.dumps({"pilot": 4, "signal": "agreement", "edges": [0.4, 0.6], "methods": ["once", "best_of_n", "vote"]})
    )
    knots: dict[str, Any] = {"threshold": 0.5, "bias": 0.0, "weights": {}, "logits": [], "shares": []}
    router.write_text(json.dumps({"cheap": "once", "costly": "reset_and_discard"} | knots))
    for words, met in ((f"compute_optimal table={bins}", "best_of_n"), (f"route router={router}", "reset_and_discard")):
        with pytest.raises(BadInput, match=f"method '{met}' of stratum 'sums' checks attempts"):
            check_desks(policy(at_work(words)), {"sums": at_work(words)})
        check_desks(policy(at_work(words)), {"sums": at_work(words, has_check=True)})


@pytest.mark.parametrize(
    ("words", "need"),
    [("cascade to=solver", "solver"), ("beam_search", "rater and no check"), ("retract", "rater"), ("solve", "solver")],
)
def test_what_lacks_its_solver_or_critic_is_not_served(words: str, need: str) -> None:
    with pytest.raises(BadInput, match=f"but has no {need}; plan again"):
        check_desks(policy(at_work(words)), {"sums": at_work(words)})


def test_server_that_strangers_reach_needs_a_key(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"):
        check_exposure(host, None)
    for host in ("0.0.0.0", "::", "", "192.168.0.1", "example.org"):
        check_exposure(host, "sk-1")
        with pytest.raises(BadInput, match=r"can be reached from outside; give an --api-key"):
            check_exposure(host, None)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        app = create_app(policy(), {}, Clerk(Toy(), ledger, PRICES))
        with pytest.raises(BadInput, match="can be reached from outside"):
            run_server(app, "0.0.0.0", 0)
        with loopback(MockEndpoint().app) as root, pytest.raises(Unavailable, match="choose another --port"):
            run_server(app, "127.0.0.1", int(root.rsplit(":", 1)[1]))
        with pytest.raises(BadInput, match="API key is empty"):
            create_app(policy(), {}, Clerk(Toy(), ledger, PRICES), key="")


def test_shutting_down_closes_the_model(tmp_path: Path) -> None:
    toy = Toy()
    with serving(tmp_path, toy, desk("sums")) as url:
        assert HTTP.get(f"{url}/health").status_code == 200 and not toy.closed.is_set()
    assert toy.closed.wait(5)


def test_connections_send_at_once() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_server_says_where_it_is_and_ends_when_interrupted(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from test_serve import PRICES, Clerk, Ledger, Toy, create_app, desk, policy, run_server
        with Ledger(Path(sys.argv[1])) as ledger:
            sums = desk("sums")
            app = create_app(policy(sums), {"sums": sums}, Clerk(Toy(), ledger, PRICES))
            run_server(app, port=0)
        print("ended")"""
    command = [sys.executable, "-c", code, str(tmp_path / "ledger.sqlite")]
    here = Path(__file__).parent
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout
        url = server.stdout.readline().strip()
        assert post(url, body()).json()["choices"][0]["message"]["content"] == "0"
        server.send_signal(signal.SIGINT)
        out, complaints = server.communicate(timeout=10)
    assert (server.returncode, out, complaints) == (0, "ended\n", "")


def test_room_is_entered_without_its_packages() -> None:
    code = "import sys, trueup.serve; print([m for m in ('pydantic', 'starlette', 'uvicorn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_clients_schema_constrains_the_samples(tmp_path: Path) -> None:
    model, schema = Toy(), {"type": "object", "properties": {"a": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}
    with serving(tmp_path, model, desk("sums", "constrained")) as url:
        ask(url, response_format=wanted)
        bare = post(url, body() | {"model": "mixed/sums"})
    assert [json.loads(sampling.schema or "") for _, sampling in model.asked] == [schema]
    assert bare.status_code == 400 and assert_error_shape(bare)["param"] == "response_format"


def test_a_clients_schema_takes_the_place_of_the_recipes_grammar(tmp_path: Path) -> None:
    model, schema = Toy(), {"type": "object"}
    wanted = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}
    held = Sampling(grammar='root ::= "a"')
    free, bound = (
        at_work(words, name, sampling=held, grammar=held.grammar)
        for words, name in (("vote", "free"), ("constrained", "bound"))
    )
    with serving(tmp_path, model, free, bound) as url:
        for form in (wanted, {"type": "json_object"}, {"type": "text"}, None):
            for name in ("mixed/free", "mixed/bound"):
                assert post(url, body(model=name, response_format=form)).status_code == 200
    forms = [(sampling.schema and json.loads(sampling.schema), sampling.grammar) for _, sampling in model.asked]
    assert forms == [(schema, None)] * 4 + [(None, held.grammar)] * 4


def test_reasoning_in_front_of_a_form_asks_for_the_form_too(tmp_path: Path) -> None:
    with serving(tmp_path, Toy(), at_work("reason_then_constrain")) as url:
        bare = post(url, body())
        formed = post(url, body(response_format={"type": "json_object"}))
    assert (bare.status_code, assert_error_shape(bare)["param"], formed.status_code) == (400, "response_format", 200)


def details(response: httpx.Response) -> tuple[str, int, int]:
    """The content, all tokens written, and those that the client does not see."""
    told = response.json()
    usage = told["usage"]
    content = told["choices"][0]["message"]["content"]
    return content, usage["completion_tokens"], usage["completion_tokens_details"]["reasoning_tokens"]


def test_reasoning_tokens_are_those_that_the_client_does_not_see(tmp_path: Path) -> None:
    said = iter(("thought", "more", "4"))
    toy = Toy(text=lambda i: next(said))
    with serving(tmp_path, toy, at_work("budget_forcing")) as url:
        whole = details(post(url, body()))
    assert whole == ("thought\n\nWaitmore", 6, 0)
    said = iter(("thought", "4"))
    with serving(tmp_path / "block", toy, at_work("reason_then_constrain")) as url:
        block = details(post(url, body(response_format={"type": "json_object"})))
    assert block == ("4", 6, 3)


def test_of_a_turn_written_step_by_step_only_its_own_steps_are_seen() -> None:
    def text(begun: str, said: str, tokens: int | None) -> Text:
        return Text(begun, Attempt(0, said, "stop", Usage(1, tokens)))

    seen = [text("", "a", 1), text("", "ab", 2), text("", "x", 4), text("ab\n", "c", 8), text("x\n", "c", 16)]
    assert visible_tokens(Answer("ab\nc", None), seen) == 10
    assert visible_tokens(Answer("x\nc", None), seen) == 20
    assert visible_tokens(Answer("c", None), seen) == 8
    assert visible_tokens(Answer("abc", None), seen) == visible_tokens(Answer("", None), seen) == 0
    assert visible_tokens(Answer("ab\nc", None), [*seen[:1], text("", "ab", None), *seen[2:]]) is None
    cut = [text("", "x=1 E", 2), text("x=1 E", "ND tail", 4), text("", "other", 8)]
    assert visible_tokens(Answer("x=1 ", None, finish="stop:END"), cut) > 0
    assert visible_tokens(Answer("", None, finish="stop:END"), cut) == 0
    assert visible_tokens(Answer("x=1 ", None), cut) == 0, "a solver wrote it"


def test_no_text_is_longer_than_the_client_allows(tmp_path: Path) -> None:
    def lengths(**fields: Any) -> list[int]:
        toy.asked.clear()
        for name in ("mixed/forced", "mixed/judged"):
            assert post(url, body(model=name, **fields)).status_code == 200
        return [sampling.max_tokens for _, sampling in toy.asked]

    toy = Toy()
    with serving(tmp_path, toy, at_work("budget_forcing", "forced"), at_work("judge_best n=1", "judged")) as url:
        assert lengths(max_tokens=5) == lengths(max_tokens=9, max_completion_tokens=5) == [5, 5, 5, 5]
        assert lengths(max_tokens=9999) == [512, 509, 50, 16]
        assert lengths() == [512, 509, 50, 16]
