"""A policy that was priced by another list than serves it says so when it is served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from terminal import at_problems

import trueup.cli.serve as cli_serve

pytest.importorskip("starlette")
PRICES = 'date = "{}"\ncore_hour = 1.0\n'
TOLD = "was planned by prices of 2026-01-01, and those of {} book what is served; serve with the plan's --prices\n"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What `trueup serve` says at its start, of a policy that was planned at prices of 2026-01-01."""
    go = at_problems(tmp_path, monkeypatch, capsys, ["problem 1", "problem 2"])
    for name, date in (("mine", "2026-01-01"), ("late", "2026-02-02")):
        (tmp_path / f"{name}.toml").write_text(PRICES.format(date))
    go("study", "w.jsonl", "--model", "toy:0.9", "--methods", "once", "--samples", "2", "--prices", "mine.toml", "-q")
    monkeypatch.setattr(cli_serve, "run_server", lambda *rest, **more: None)

    def order(*words: Any) -> str:
        return str(go("serve", "out/w/policy.toml", *words).err)

    return order


def test_prices_of_another_date_than_the_plans_are_said_in_one_line(opened: Callable[..., str]) -> None:
    told = opened("--prices", "late.toml")
    assert told.endswith(TOLD.format("2026-02-02")) and told.count("\n") == 1
    shipped = opened()
    assert "by prices of 2026-01-01" in shipped and shipped.count("\n") == 1
    assert opened("--prices", "late.toml", "--model", "toy:0.8").count("\n") == 2


def test_the_plans_prices_and_a_plan_without_a_date_say_nothing(opened: Callable[..., str], tmp_path: Path) -> None:
    assert opened("--prices", "mine.toml") == ""
    policy = tmp_path / "out" / "w" / "policy.toml"
    policy.write_text(policy.read_text().replace('prices_date = "2026-01-01"\n', ""))
    assert opened() == ""
