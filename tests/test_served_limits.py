"""What a client can shorten, and cannot lengthen or lift, of what was studied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
from mock_endpoint import MockEndpoint, error, loopback
from test_serve import Toy, assert_error_shape, at_work, body, post, serving

from trueup.core.types import Sampling
from trueup.models.openai import OpenAI

RECIPE = Sampling(max_tokens=12, stop=("\n", "END"))


@pytest.mark.parametrize(
    ("fields", "limit", "stop"),
    [
        ({}, 12, ("\n", "END")),
        ({"max_tokens": 4096}, 12, ("\n", "END")),
        ({"max_tokens": 5, "max_completion_tokens": 4096}, 12, ("\n", "END")),
        ({"max_tokens": 5}, 5, ("\n", "END")),
        ({"stop": []}, 12, ("\n", "END")),
        ({"stop": ["#", "\n", "#"]}, 12, ("\n", "END", "#")),
        ({"stop": ["a", "b", "c", "d"]}, 12, ("\n", "END", "a", "b", "c", "d")),
    ],
)
def test_the_recipes_limit_and_stops_stand(
    tmp_path: Path, fields: dict[str, Any], limit: int, stop: tuple[str, ...]
) -> None:
    toy = Toy()
    with serving(tmp_path, toy, at_work("vote n=4", sampling=RECIPE)) as url:
        assert post(url, body(**fields)).status_code == 200
    assert {(sampling.max_tokens, sampling.stop) for _, sampling in toy.asked} == {(limit, stop)}


def test_more_stops_than_the_endpoint_takes_are_a_400_that_says_so(tmp_path: Path) -> None:
    def refuse(place: int, told: dict[str, Any]) -> Any:
        return error(400, "at most 4 stop sequences", param="stop") if len(told["stop"]) > 4 else None

    with loopback(MockEndpoint(refuse=refuse).app) as upstream:
        model = OpenAI(f"{upstream}/v1", "far")
        with serving(tmp_path, model, at_work("once", sampling=RECIPE)) as url:
            taken, refused = (post(url, body(stop=stop)) for stop in (["a", "b"], ["a", "b", "c"]))
    assert (taken.status_code, refused.status_code) == (200, 400)
    told = assert_error_shape(refused)["message"]
    assert "at most 4 stop sequences; leave stop out of" in told and "\n" not in told
