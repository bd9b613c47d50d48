"""A begun turn at an endpoint: what its reply adds, whether or not the server says the turn again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trueup.core.types import Message, Sampling
from trueup.models.completion import Reading, read_completion
from trueup.models.servers import find_server
from trueup.models.stream import Pieces

LONG, SHORT = "the answer", "1"
TIMINGS = {"timings": {"predicted_n": 5}}


def added(turn: str, text: str, server: str = "", *, beside: dict[str, Any] | None = None, **marks: Any) -> str:
    """What is read of a reply that goes on with a turn."""
    prompt = (Message("user", "?"), Message("assistant", turn))
    by = Reading.of(prompt, Sampling(), find_server(server))
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop", **marks}
    return read_completion({"choices": [choice], **(beside or {})}, 1, 0, 0.0, by).attempts[0].text


@pytest.mark.parametrize(("server", "text"), [("llamacpp", " is 12"), ("vllm", f"{LONG} is 12"), ("", " is 12")])
def test_a_turn_that_is_said_again_is_cut_to_what_is_new_but_where_the_server_does_not(server: str, text: str) -> None:
    assert added(LONG, f"{LONG} is 12", server) == text


@pytest.mark.parametrize("server", ["", "llamacpp", "vllm"])
def test_what_goes_on_is_left_as_it_is(server: str) -> None:
    assert added(LONG, " is 12, the answer", server) == " is 12, the answer"


@pytest.mark.parametrize(
    ("server", "beside", "text"),
    [("", {}, "1 + 1"), ("", TIMINGS, " + 1"), ("llamacpp", {}, " + 1"), ("sglang", {}, "1 + 1")],
)
def test_a_short_turn_may_be_met_by_chance_and_is_cut_only_where_llamacpp_is_known(
    server: str, beside: dict[str, Any], text: str
) -> None:
    assert added(SHORT, "1 + 1", server, beside=beside) == text


@pytest.mark.parametrize("mark", ["stop_reason", "matched_stop"])
def test_a_server_whose_marks_tell_that_it_repeats_nothing_is_believed(mark: str) -> None:
    assert added(LONG, f"{LONG} is 12", **{mark: None}) == f"{LONG} is 12"


def test_a_reply_to_a_prompt_without_a_begun_turn_is_left_as_it_is() -> None:
    by = Reading.of((Message("user", LONG),), Sampling(), None)
    choice = {"index": 0, "message": {"content": f"{LONG} is 12"}}
    assert read_completion({"choices": [choice]}, 1, 0, 0.0, by).attempts[0].text == f"{LONG} is 12"


def test_a_stream_tells_the_timings_of_llamacpp_too() -> None:
    pieces = Pieces()
    last = {"choices": [{"delta": {"content": "1 + 1"}, "finish_reason": "stop"}], **TIMINGS}
    for event in (json.dumps(last), "[DONE]"):
        pieces.take(f"data: {event}")
    (attempt,) = read_completion(pieces.reply(), 1, 0, 0.0, Reading(turn=SHORT)).attempts
    assert attempt.text == " + 1"
