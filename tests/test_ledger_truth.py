"""The endpoint that knows the truth, and our ledger against it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from trueup.bench.ledger_truth import SCENARIOS, Figure, _compared, _error, _figures, ledger_truth
from trueup.bench.peers import Recorded, Scenario, Served, Truth
from trueup.bench.peers.words import question, rating
from trueup.core.charge import Charge

HTTP = httpx.Client()


def chat(root: str, model: str = "m@a.b", asked: str = "2+2", **fields: object) -> httpx.Response:
    told = {"model": model, "messages": [{"role": "user", "content": asked}]} | fields
    return HTTP.post(f"{root}/v1/chat/completions", json=told)


def test_our_ledger_is_wrong_by_nothing_in_any_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = ledger_truth(problems=3, peers=False)
    assert {row["scenario"] for row in rows} == set(SCENARIOS)
    assert {(row["call_error"], row["failed_requests"]) for row in rows} == {(0, 0)}
    assert all(row["token_error"] == (None if row["scenario"] == "no-usage" else 0) for row in rows)
    assert {row["scenario"] for row in rows if row["tokens_not_told"] > row["true_tokens"] / 50} <= {
        "cancel",
        "no-usage",
    }
    streamed = next(row for row in rows if row["method"].endswith("streamed"))
    assert streamed["scenario"] == "cancel" and streamed["tokens_not_told"] <= streamed["true_tokens"] / 50
    assert all(row["true_calls"] == row["told_calls"] > 0 for row in rows)
    assert {row["scenario"] for row in rows if not row["told_tokens"]} == {"no-usage"}
    assert {row["told_tokens"] for row in rows if row["scenario"] == "no-usage"} == {None}
    estimates = {row["scenario"]: row["estimate_error"] for row in rows if row["estimate_error"]}
    assert estimates.keys() == {"cancel-late"} and estimates["cancel-late"] < 3 * 16


def test_peer_that_cannot_be_had_is_a_row_that_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRUEUP_PEERS", str(tmp_path / "file" / "peers"))
    skipped = [row for row in ledger_truth(problems=1) if "skipped" in row]
    assert [row["system"] for row in skipped] == ["optillm 0.4.0", "its_hub 1.2.0"]
    assert all("cannot be installed" in row["skipped"] for row in skipped)


@pytest.mark.network
def test_peers_lose_what_their_sources_say_they_lose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = {(row["system"], row["scenario"]): row for row in ledger_truth(problems=2) if "skipped" not in row}
    if not rows.keys() >= {("its_hub 1.2.0", "judge"), ("optillm 0.4.0", "cut")}:
        pytest.skip("the peers cannot be installed here")
    judged, cut = rows["its_hub 1.2.0", "judge"], rows["optillm 0.4.0", "cut"]
    assert judged["call_error"] == judged["true_calls"] // 2 and judged["token_error"] > 0
    assert cut["token_error"] > 0 and cut["tokens_not_told"] > 0 and cut["call_error"] is None


def test_errors_add_up_and_what_is_not_told_is_no_error() -> None:
    assert _error([Figure(3, 5), Figure(7, 5), Figure(None, 9)]) == 4
    assert _error([Figure(None, 9)]) is None and _error([Figure(0, 9)]) == 9
    least = [Figure(6, 9, is_least=True), Figure(9, 6, is_least=True)]
    assert [figure.error for figure in least] == [0, 3] and [figure.not_told for figure in least] == [3, 0]


def test_an_excess_at_one_request_makes_up_for_no_lack_at_another() -> None:
    def row(asked: str, tokens: int) -> Charge:
        return Charge(asked.encode(), "sampled", "m", asked, prompt_tokens=3, completion_tokens=tokens, reply="text")

    def call(asked: str) -> Served:
        body = {"messages": [{"role": "user", "content": asked}, {"role": "user", "content": "rate"}]}
        return Served("clean.x.", body, prompt_tokens=3, completion_tokens=10, texts=("text",), end="whole")

    both = _compared(["a", "b"], [row("a", 15), row("b", 5)], [call("a"), call("b")])
    assert (_figures(*both)["token_error"], _figures(*both)["call_error"]) == (10, 0)
    strayed = _compared(["a", "b"], [row("a", 10), row("a", 10)], [call("a"), call("b")])
    assert (_figures(*strayed)["token_error"], _figures(*strayed)["call_error"]) == (26, 2)


def test_an_end_that_no_call_came_to_says_nothing_of_tokens_that_are_not_told() -> None:
    body = {"messages": [{"role": "user", "content": "a"}]}
    row = Charge(b"a", "sampled", "m", "a", prompt_tokens=None, completion_tokens=None, reply="text")
    call = Served("no-usage.x.", body, prompt_tokens=3, completion_tokens=10, texts=("text",), end="whole")
    figures = _figures(*_compared(["a"], [row], [call]))
    assert (figures["told_tokens"], figures["tokens_not_told"], figures["token_error"]) == (None, 13, None)
    lost = _figures(*_compared(["a"], [], [call]))
    assert (lost["told_tokens"], lost["token_error"], lost["call_error"]) == (0, 13, 1)


def test_a_client_that_leaves_is_billed_what_was_generated_until_then() -> None:
    truth = Truth({"": Scenario(token_seconds=0.01)})
    with truth.serving() as root:
        wanted = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
        told = {"model": "m@a.b", "messages": [{"role": "user", "content": "2+2"}]} | wanted
        with HTTP.stream("POST", f"{root}/v1/chat/completions", json=told) as response:
            lines = (line for line in response.iter_lines() if line)
            events = [json.loads(next(lines).removeprefix("data: ")) for _ in range(5)]
        (call,) = truth.of("a.")
    assert [event["usage"]["completion_tokens"] for event in events] == [0, 1, 2, 3, 4]
    assert call.end == "cancelled" and 4 <= call.completion_tokens < len(call.texts[0].split())
    assert call.prompt_tokens == events[0]["usage"]["prompt_tokens"] == 2


def test_streamed_and_whole_replies_are_the_same_text_and_usage() -> None:
    truth = Truth()
    with truth.serving() as root:
        whole = chat(root, seed=7).json()
        streamed = chat(root, seed=7, stream=True, stream_options={"include_usage": True}).text
    events = [json.loads(line.removeprefix("data: ")) for line in streamed.split("\n\n") if "{" in line]
    text = "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"])
    assert text == whole["choices"][0]["message"]["content"] and events[-1]["usage"] == whole["usage"]


def test_recorded_texts_are_handed_out_in_order_a_run_at_a_time() -> None:
    truth = Truth(recorded={"2+2": [Recorded("four"), Recorded("4 of course", tokens=9, finish="length")]})
    with truth.serving() as root:
        first, second = (chat(root, "m@run1", "Please: 2+2 =").json() for _ in range(2))
        other = chat(root, "m@run2", n=2).json()
    assert [first["choices"][0]["message"]["content"], first["usage"]["completion_tokens"]] == ["four", 1]
    assert [second["choices"][0]["finish_reason"], second["usage"]["completion_tokens"]] == ["length", 9]
    assert [choice["message"]["content"] for choice in other["choices"]] == ["four", "4 of course"]


def test_ledger_tells_the_calls_of_a_run_and_forgets_them() -> None:
    truth = Truth({"busy": Scenario(refuses_every=3), "plain": Scenario(n="rejects")})
    with truth.serving() as root:
        statuses = [chat(root, f"m@busy.x.{place}").status_code for place in range(6)]
        assert chat(root, "m@plain.x.0", n=2).json()["error"]["param"] == "n"
        told = HTTP.get(f"{root}/ledger?run=busy.&reset=1").json()
        rest = HTTP.get(f"{root}/ledger").json()
    assert statuses == [200, 429, 200, 200, 429, 200] and told["totals"]["calls"] == 6
    assert [call["end"] for call in told["calls"]].count("refused") == 2
    assert told["totals"]["completion_tokens"] == sum(call["completion_tokens"] for call in told["calls"]) > 0
    assert [call["run"] for call in rest["calls"]] == ["plain.x.0"] and rest["totals"]["completion_tokens"] == 0


def test_tokens_of_a_recorded_text_are_its_pieces() -> None:
    assert Recorded("a  b\nc").pieces() == ["a", "  b", "\nc"] and Recorded("").pieces() == []
    assert len(Recorded("four", tokens=9).pieces()) == 9 and "".join(Recorded("four", tokens=9).pieces()) == "four"


def test_judges_are_known_by_what_they_are_asked() -> None:
    asked = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "rate"}, {"type": "text", "text": "it"}]}]
    }
    assert question(asked) == "rate it" and rating(asked).text.isdigit()
    assert 0 <= json.loads(rating(asked | {"response_format": {"type": "json_schema"}}).text)["score"] <= 10
