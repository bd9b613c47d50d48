"""Attempts in one call: what an endpoint is learned to take, and what unlearns it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from mock_endpoint import MockEndpoint, loopback

from trueup.core.roles import Sampled
from trueup.core.types import Message, Sampling
from trueup.models.manner import MISSES
from trueup.models.openai import OpenAI

PROMPT = (Message("user", "two words"),)
SAMPLING = Sampling(max_tokens=20)
N = 8


def asked_in_turn(*ways: str) -> tuple[list[Sampled], list[list[int]]]:
    """What one model brings of an endpoint that takes `n` this way and that, and how it asks, ask by ask."""
    mock, sizes = MockEndpoint(), []

    async def run(root: str) -> list[Sampled]:
        model, found = OpenAI(root, "toy"), []
        for place, way in enumerate(ways):
            mock.takes_n = way
            before = len(mock.calls)
            found.append(await model.sample(PROMPT, N, 0, replace(SAMPLING, seed=place)))
            sizes.append([call.body.get("n", 1) for call in mock.calls[before:]])
        await model.close()
        return found

    with loopback(mock.app) as root:
        return asyncio.run(run(root)), sizes


@pytest.mark.parametrize(("odd", "calls"), [("ignores", [N, *[1] * (N - 1)]), ("rejects", [N, *[1] * N])])
def test_one_call_that_misses_some_is_made_up_for_and_not_held_against_n(odd: str, calls: list[int]) -> None:
    found, sizes = asked_in_turn("yes", odd, "yes")
    assert sizes == [[N], calls, [N]]
    assert [len(reply.attempts) for reply in found] == [N] * 3
    taken = [{attempt.usage.takes_n for attempt in reply.attempts} for reply in found]
    assert taken == [{True}, {False}, {True}]


def test_an_ask_that_came_in_part_together_took_n() -> None:
    found, sizes = asked_in_turn("yes", "adds one")
    assert sizes == [[N], [N]] and {attempt.usage.takes_n for attempt in found[1].attempts} == {True}


@pytest.mark.parametrize("odd", ["ignores", "rejects", "counts one"])
def test_calls_that_miss_some_in_a_row_end_the_asking_for_several(odd: str) -> None:
    _, sizes = asked_in_turn("yes", *[odd] * MISSES, "yes")
    assert [asked[0] for asked in sizes] == [N] * (MISSES + 1) + [1]


def test_calls_that_miss_some_now_and_then_do_not() -> None:
    _, sizes = asked_in_turn("yes", *["ignores"] * (MISSES - 1), "yes", *["ignores"] * (MISSES - 1), "yes")
    assert [asked[0] for asked in sizes] == [N] * (2 * MISSES + 1)


def test_once_the_first_call_has_told_the_others_of_its_wave_go_side_by_side() -> None:
    mock = MockEndpoint(pause_seconds=0.1)

    async def run(root: str) -> list[Sampled]:
        model = OpenAI(root, "toy")
        asks = (model.sample(PROMPT, N, 0, replace(SAMPLING, seed=seed)) for seed in range(6))
        found = await asyncio.gather(*asks)
        await model.close()
        return found

    with loopback(mock.app) as root:
        assert [len(reply.attempts) for reply in asyncio.run(run(root))] == [N] * 6
    assert mock.most_in_flight > 1 and [call.body["n"] for call in mock.calls] == [N] * 6


def test_while_no_call_has_told_they_go_one_at_a_time() -> None:
    mock = MockEndpoint(takes_n="rejects", pause_seconds=0.02)

    async def run(root: str) -> None:
        model = OpenAI(root, "toy")
        await asyncio.gather(*(model.sample(PROMPT, 2, 0, replace(SAMPLING, seed=seed)) for seed in range(6)))
        await model.close()

    with loopback(mock.app) as root:
        asyncio.run(run(root))
    assert [call.body.get("n") for call in mock.calls].count(2) == 1
