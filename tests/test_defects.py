"""Fifteen defects that servers and libraries of this kind have, and ours must not: each tested from the outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mock_endpoint import MockEndpoint, error, loopback
from test_serve import ask, assert_error_shape, body, build, chained, post, serving

from trueup.bench.ledger_truth import judged_best, race
from trueup.bench.peers import Recorded, Scenario, Served, Truth
from trueup.core.asks import Flow
from trueup.core.charge import Charge
from trueup.core.ledger import read_charges, verify
from trueup.core.roles import Verifier
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Grade, Json, Message, Problem, Sampling
from trueup.methods import beam_search, particle_filter, reset_and_discard, tree_search, vote
from trueup.models import OpenAI
from trueup.models.completion import first_seed
from trueup.serve import Desk
from trueup.verifiers import exact, math, number

Start = Callable[[Problem], Flow[Answer]]


def vote_of(n: int) -> Start:
    return lambda problem: vote(problem, n=n)


@contextmanager
def served(
    path: Path,
    start: Start,
    scenario: Scenario | None = None,
    *,
    texts: Sequence[str] = (),
    verifier: Verifier | None = None,
    host: str = "127.0.0.1",
    **settings: Any,
) -> Iterator[tuple[str, Truth]]:
    """A method behind our server, in front of an endpoint that knows the truth; texts answer the question 2+2."""
    truth = Truth({"": scenario or Scenario()}, {"2+2": [Recorded(text) for text in texts]} if texts else {})
    desk = Desk(Stratum("sums", (), verifier or number()), Arm("method", {}, start), build, Sampling(max_tokens=64))
    with truth.serving() as root:
        model = OpenAI(root.replace("127.0.0.1", host), "m", **settings)
        with serving(path, model, desk) as url:
            yield url, truth


def used(calls: Sequence[Served]) -> tuple[int, int]:
    return sum(call.prompt_tokens for call in calls), sum(call.completion_tokens for call in calls)


def told(response: httpx.Response) -> tuple[int, int]:
    usage = response.json()["usage"]
    return usage["prompt_tokens"], usage["completion_tokens"]


def charges(path: Path) -> list[Charge]:
    return list(read_charges(path / "ledger.sqlite"))


def elected(path: Path, texts: Sequence[str], verifier: Verifier | None = None) -> str:
    """What a vote on these texts returns."""
    with served(path, vote_of(len(texts)), texts=texts, verifier=verifier) as (url, _):
        content: str = post(url, body()).json()["choices"][0]["message"]["content"]
    return content


def test_1_truncated_samples_are_billed(tmp_path: Path) -> None:
    with served(tmp_path, vote_of(8), Scenario(cut_share=0.5)) as (url, truth):
        response = post(url, body())
    cut = [text for call in truth.calls for text in call.texts if "boxed" not in text]
    assert 0 < len(cut) < 8 and told(response) == used(truth.calls)
    rows = charges(tmp_path)
    assert all(row.completion_tokens for row in rows if row.finish == "length")
    assert sum(row.completion_tokens or 0 for row in rows) == used(truth.calls)[1]


def test_2_prompt_tokens_of_every_call_are_billed(tmp_path: Path) -> None:
    with served(tmp_path, vote_of(8), Scenario(n="rejects")) as (url, truth):
        response = post(url, body())
    rows = charges(tmp_path)
    answered = [call for call in truth.calls if call.end == "whole"]
    assert len(answered) == 8 and sum(row.prompt_tokens or 0 for row in rows if row.leads) == used(answered)[0]
    assert told(response) == used(answered)


def test_3_a_judges_tokens_are_in_the_same_total(tmp_path: Path) -> None:
    with served(tmp_path, judged_best) as (url, truth):
        response = post(url, body())
    assert [call.is_judge for call in truth.calls] == [False, True, True, True, True]
    assert told(response) == used(truth.calls)
    assert {row.kind for row in charges(tmp_path)} == {"sampled", "judge"}


def is_late(request: Mapping[str, Any]) -> bool:
    """Whether a request is for one of the last eight of sixteen attempts: their seeds follow each other."""
    prompt = [Message(message["role"], message["content"]) for message in request["messages"]]
    return bool(request["seed"] >= first_seed(tuple(prompt), 0) + 8)


@pytest.mark.parametrize("stream", [False, True])
def test_4_calls_cancelled_on_the_way_are_billed(tmp_path: Path, stream: bool) -> None:
    with served(tmp_path, race, Scenario(is_endless=is_late), texts=["so #### 42"] * 16, stream=stream) as (url, truth):
        assert post(url, body(seed=0)).status_code == 200
        calls = truth.of("")
    rows = charges(tmp_path)
    late = [row for row in rows if row.kind == "cancelled"]
    assert late and len(rows) == len(calls) == 16 and sum(row.prompt_tokens or 0 for row in rows) == used(calls)[0]
    assert all(row.is_estimated for row in late)
    if stream:
        assert sum(row.completion_tokens or 0 for row in rows) == used(calls)[1]
    else:
        assert all(row.completion_tokens is None for row in late)


@pytest.mark.parametrize("n", ["takes", "rejects"])
def test_5_usage_that_is_not_told_is_unknown_never_zero(tmp_path: Path, n: str) -> None:
    with served(tmp_path, vote_of(4), Scenario(n=n, tells_usage=False)) as (url, _):
        response = post(url, body())
    assert response.json()["usage"] is None and response.headers["x-trueup-usd"] == "unknown"
    rows = [row for row in charges(tmp_path) if row.kind == "sampled"]
    assert [(row.prompt_tokens, row.completion_tokens) for row in rows] == [(None, None)] * 4
    total = {total.kind: total for total in verify(tmp_path / "ledger.sqlite").totals}["sampled"]
    assert total.unknown_tokens == total.charges == 4


def test_5_reasoning_that_only_the_total_counts_is_billed(tmp_path: Path) -> None:
    response, _ = chained(tmp_path, mock := MockEndpoint(hidden_tokens=100))
    assert told(response) == mock.truth() and told(response)[1] > 800


def test_6_what_cannot_be_read_has_no_vote(tmp_path: Path) -> None:
    texts = ["I do not know", "I cannot say", "no idea", r"so \boxed{42}", r"thus \boxed{42}"]
    assert "42" in elected(tmp_path, texts)


@pytest.mark.parametrize(
    ("verifier", "alike", "other"),
    [
        (number(), [r"\boxed{42}", "#### 42", "The answer is 42.0"], r"\boxed{41}"),
        (number(), [r"\boxed{1/2}", "#### 0.5", r"The answer is $\frac{1}{2}$"], "#### 2"),
        (number(units=True), ["#### 5 kg", "The answer is 5.0 kg.", r"\boxed{5 kg}"], "#### 5 lb"),
        (math(), [r"\boxed{\frac{1}{2}}", r"\boxed{0.5}", r"\boxed{2/4}"], r"\boxed{2}"),
        (exact(), [r"\boxed{B}", "#### (b)", r"so \boxed{(B)}"], r"\boxed{A}"),
    ],
)
def test_7_equivalent_answers_vote_together(tmp_path: Path, verifier: Verifier, alike: list[str], other: str) -> None:
    assert elected(tmp_path, [other, alike[0], other, *alike[1:]], verifier) in alike


def test_8_like_texts_with_different_numbers_are_different_answers(tmp_path: Path) -> None:
    text = "We add both sides and divide by the factor in front of it, which leaves us with #### {}"
    assert elected(tmp_path, [text.format(n) for n in (7, 9, 7, 9, 9)]).endswith("9")


def test_9_ties_fall_by_the_seed(tmp_path: Path) -> None:
    def replies(folder: str) -> list[str]:
        with served(tmp_path / folder, vote_of(4), texts=["#### 7", "#### 9"] * 32) as (url, _):
            return [post(url, body(seed=seed)).json()["choices"][0]["message"]["content"] for seed in range(12)]

    first, again = replies("first"), replies("again")
    assert first == again and set(first) == {"#### 7", "#### 9"}


def test_10_a_budget_of_64_at_a_hostname_and_eight_times_eight_do_not_hang(tmp_path: Path) -> None:
    scenario = Scenario(n="rejects", prefill_seconds=0.01)
    with served(tmp_path / "64", vote_of(64), scenario, host="localhost") as (url, truth):
        assert httpx.post(f"{url}/v1/chat/completions", json=body(), timeout=8).status_code == 200
    assert sum(call.end == "whole" for call in truth.calls) == 64
    with (
        served(tmp_path / "8x8", vote_of(8), scenario, host="localhost") as (url, truth),
        ThreadPoolExecutor(8) as pool,
    ):
        asked = [body(seed=seed) for seed in range(8)]
        posts = pool.map(lambda fields: httpx.post(f"{url}/v1/chat/completions", json=fields, timeout=8), asked)
        assert [response.status_code for response in posts] == [200] * 8
    assert sum(call.end == "whole" for call in truth.calls) == 64


def test_11_status_codes_are_kept_and_one_bad_sample_is_not_the_end(tmp_path: Path) -> None:
    busy = MockEndpoint(refuse=lambda place, told: error(429, "slow down", headers={"retry-after": "500"}))
    response, _ = chained(tmp_path / "429", busy)
    assert response.status_code == 429 and response.headers["retry-after"] == "500"
    response, calls = chained(tmp_path / "400", MockEndpoint(refuse=lambda place, told: error(400, "no", param="stop")))
    assert (
        response.status_code == 400 and calls == 1 and assert_error_shape(response)["type"] == "invalid_request_error"
    )
    lame = MockEndpoint(takes_n="rejects", refuse=lambda place, told: error(500, "broken") if place == 3 else None)
    response, _ = chained(tmp_path / "500", lame, retries=0)
    assert response.status_code == 200 and response.headers["x-trueup-samples"] == "7"
    kinds = [row.kind for row in charges(tmp_path / "500")]
    assert (kinds.count("sampled"), kinds.count("failed"), kinds.count("retried")) == (7, 1, 1)


class Steady:
    """A rater that likes everything alike."""

    fingerprint = "steady"

    async def rate(self, problem: Problem, texts: Sequence[str]) -> Sequence[float]:
        return [0.5] * len(texts)

    async def close(self) -> None:
        pass


class Seven:
    """A check that passes 7."""

    name, needs_reference = "seven", False

    def read(self, text: str) -> str | None:
        return number().read(text)

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        return Grade(float(answer == "7"))


@pytest.mark.parametrize("lost", [[1], [2], [1, 2], range(1, 99)], ids=str)
@pytest.mark.parametrize(
    "start",
    [
        lambda problem: beam_search(problem, n=4, width=2),
        lambda problem: particle_filter(problem, n=2),
        lambda problem: tree_search(problem, n=6, width=2),
    ],
    ids=["beam_search", "particle_filter", "tree_search"],
)
def test_11_a_search_goes_on_from_a_bad_sample_and_answers_from_what_it_has(
    tmp_path: Path, start: Start, lost: Sequence[int]
) -> None:
    def say(request: dict[str, Any]) -> str:
        return "" if request["messages"][-1]["role"] == "assistant" else "so #### 4"

    lame = MockEndpoint(refuse=lambda place, told: error(500, "broken") if place in lost else None, reply=say)
    desk = Desk(Stratum("sums", (), number(), rater=Steady()), Arm("m", {}, start), build, Sampling(max_tokens=64))
    with loopback(lame.app) as upstream, serving(tmp_path, OpenAI(upstream, "far", retries=0), desk) as url:
        response = post(url, body())
    assert response.status_code == 200
    assert response.json()["choices"][0]["message"]["content"].strip() == "so #### 4"
    assert any(call.status == 500 for call in lame.calls)


def test_11_a_try_that_fails_is_not_the_last(tmp_path: Path) -> None:
    def say(request: dict[str, Any]) -> str:
        return f"#### {4 + len(lame.calls)}"

    lame = MockEndpoint(refuse=lambda place, told: error(500, "broken") if place == 1 else None, reply=say)
    arm = Arm("m", {}, lambda problem: reset_and_discard(problem, n=8))
    desk = Desk(Stratum("sums", (), number(), Seven()), arm, build, Sampling(max_tokens=64))
    with loopback(lame.app) as upstream, serving(tmp_path, OpenAI(upstream, "far", retries=0), desk) as url:
        response = post(url, body())
    assert response.status_code == 200 and response.json()["choices"][0]["message"]["content"] == "#### 7"
    assert [call.status for call in lame.calls] == [200, 500, 200, 200]


def test_12_the_clients_parameters_reach_the_endpoint_or_are_refused(tmp_path: Path) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "integer"}}}
    wanted = {"temperature": 0.3, "top_p": 0.9, "max_tokens": 7, "stop": ["\n"], "response_format": form}
    with served(tmp_path, vote_of(2)) as (url, truth):
        seeds = [5, 5, 6]
        for seed in seeds:
            assert post(url, body(seed=seed, **wanted)).status_code == 200
        refused = post(url, body(tools=[{"type": "function", "function": {"name": "f"}}]))
    sent = truth.calls[0].body
    assert {name: sent[name] for name in ("temperature", "top_p", "max_tokens", "stop")} == {
        name: wanted[name] for name in ("temperature", "top_p", "max_tokens", "stop")
    }
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "integer"}
    assert len(truth.calls) == len({call.body["seed"] for call in truth.calls}) == len(set(seeds))
    assert refused.status_code == 400 and assert_error_shape(refused)["param"] == "tools"


def test_13_a_stream_ends_with_usage_and_a_cut_answer_says_length(tmp_path: Path) -> None:
    with served(tmp_path, vote_of(3), Scenario(cut_share=1.0)) as (url, truth):
        chunks = ask(url, stream=True, stream_options={"include_usage": True})
        whole = post(url, body()).json()
        calls = truth.calls[:1]
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:-1]] == ["length"]
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == used(calls)
    assert whole["choices"][0]["finish_reason"] == "length"


def test_14_an_endpoint_without_n_is_probed_once_and_the_probe_is_on_record(tmp_path: Path) -> None:
    with served(tmp_path, vote_of(4), Scenario(n="rejects")) as (url, truth):
        for seed in range(3):
            assert post(url, body(seed=seed)).status_code == 200
    assert len(truth.calls) == 1 + 3 * 4 and sum(call.body.get("n", 1) > 1 for call in truth.calls) == 1
    kinds = [row.kind for row in charges(tmp_path)]
    assert len(kinds) == len(truth.calls) and kinds.count("retried") == 1


def test_15_one_client_serves_all_requests_to_an_endpoint(tmp_path: Path) -> None:
    with served(tmp_path, vote_of(4)) as (url, truth):
        for seed in range(6):
            assert post(url, body(seed=seed)).status_code == 200
    assert len(truth.calls) == 6 and {call.connection for call in truth.calls} == {0}


def test_a_sample_that_is_cancelled_tells_what_had_come_and_which_calls_were_made() -> None:
    scenario, sampling = Scenario(n="rejects", token_seconds=0.002), Sampling(max_tokens=64)
    prompt, truth = (Message("user", "2+2"),), Truth({"": scenario})

    async def leave(root: str) -> tuple[Any, ...]:
        model = OpenAI(root, "m", lanes=4)
        await model.sample(prompt, 2, 0, sampling)
        work = asyncio.create_task(model.sample(prompt, 12, 2, sampling))
        before = len(truth.calls)
        while sum(call.end == "whole" for call in truth.calls[before:]) < 3:
            await asyncio.sleep(0.001)
        work.cancel()
        with pytest.raises(asyncio.CancelledError) as gone:
            await work
        await model.close()
        return gone.value.args

    with truth.serving() as root:
        (left,) = asyncio.run(leave(root))
        made = len(truth.of("")) - 3
    assert len(left.attempts) >= 2 and {waste.kind for waste in left.waste} == {"cancelled"}
    assert len(left.attempts) + len(left.waste) == made < 12
    assert {attempt.text for attempt in left.attempts} < {text for call in truth.calls for text in call.texts}
