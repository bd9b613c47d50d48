"""The meter counts what a request cost, be there an answer or none."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("starlette")
from test_serve import HTTP, Toy, at_work, body, leave, post, serving
from toys import PRICES

from trueup.core.roles import Sampled, Waste
from trueup.core.types import Prompt, Sampling


@dataclass
class Second(Toy):
    """Its first call is answered; the second fails, or takes longer than anyone waits."""

    fails: bool = True

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        if self.asked and self.fails:
            return Sampled((), (Waste("failed", "http://10.0.0.7/v1 answered 400: too long"),))
        self.pause_seconds = 30.0 if self.asked else 0.0
        return await super().sample(prompt, n, start, sampling)


def counted(url: str, is_there: Callable[[str], bool]) -> list[str]:
    """The lines of /metrics once it says what is waited for."""
    deadline = time.monotonic() + 10
    while not is_there(text := HTTP.get(f"{url}/metrics").text):
        assert time.monotonic() < deadline
    return text.splitlines()


def assert_first_call_is_counted(lines: list[str]) -> None:
    assert 'trueup_tokens_total{stratum="sums",kind="prompt"} 10' in lines
    assert 'trueup_tokens_total{stratum="sums",kind="completion"} 3' in lines
    dollars = next(line for line in lines if line.startswith('trueup_usd_total{stratum="sums"}'))
    assert float(dollars.split()[-1]) == pytest.approx(float(PRICES.compute(1.0)))
    assert not any(line.startswith("trueup_from_ledger_total{") for line in lines)


def test_a_request_that_fails_has_cost_what_was_paid_before(tmp_path: Path) -> None:
    with serving(tmp_path, Second(), at_work("plan_then_solve n=1")) as url:
        assert post(url, body()).status_code == 400
        assert_first_call_is_counted(counted(url, lambda text: 'code="400"} 1' in text))


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_client_that_leaves_has_cost_what_was_paid_before(tmp_path: Path, is_streamed: bool) -> None:
    with serving(tmp_path, Second(fails=False), at_work("revise rounds=2"), heartbeat_seconds=0.05) as url:
        leave(url, is_streamed=is_streamed)
        assert_first_call_is_counted(counted(url, lambda text: "trueup_usd_total{" in text))


def test_an_answered_request_is_counted_once(tmp_path: Path) -> None:
    with serving(tmp_path, Toy(), at_work("once")) as url:
        assert post(url, body()).status_code == 200
        lines = counted(url, lambda text: 'code="200"} 1' in text)
    assert 'trueup_tokens_total{stratum="sums",kind="completion"} 3' in lines
    assert 'trueup_from_ledger_total{stratum="sums"} 0' in lines
