"""Settings of engines that cannot be: one line that names the value and the mend, before anything is asked."""

from __future__ import annotations

from typing import Any

import pytest

from trueup.core.errors import BadInput
from trueup.models import SMOLLM2, LlamaCpp, OpenAI


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"slots": 0}, "llamacpp slots is 0; give at least 1"),
        ({"slots": -1}, "llamacpp slots is -1; give at least 1"),
        ({"threads": -1}, "llamacpp threads is -1; give at least 1, or 0 for the cores that are idle"),
    ],
)
def test_the_embedded_engine_refuses_slots_and_threads_that_cannot_be(settings: dict[str, int], told: str) -> None:
    with pytest.raises(BadInput) as refused:
        LlamaCpp(SMOLLM2, **settings)
    assert str(refused.value) == told


@pytest.mark.parametrize("threads", [None, 0])
def test_no_threads_are_the_cores_that_are_idle(threads: int | None) -> None:
    assert LlamaCpp(SMOLLM2, threads=threads)._threads >= 1


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"lanes": 0}, "openai lanes is 0; give at least 1"),
        ({"lanes": -1}, "openai lanes is -1; give at least 1"),
        ({"retries": -1}, "openai retries is -1; give at least 0"),
        ({"timeout": 0.0}, "openai timeout is 0.0; give more than 0 seconds"),
        ({"timeout": -1.0}, "openai timeout is -1.0; give more than 0 seconds"),
        ({"timeout": float("nan")}, "openai timeout is nan; give more than 0 seconds"),
    ],
)
def test_an_endpoint_refuses_lanes_retries_and_a_timeout_that_cannot_be(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput) as refused:
        OpenAI("http://localhost:8000/v1", "m", **settings)
    assert str(refused.value) == told


def test_one_lane_and_no_retries_are_settings_like_any() -> None:
    assert OpenAI("http://localhost:8000/v1", "m", lanes=1, retries=0, timeout=0.5).retries == 0
