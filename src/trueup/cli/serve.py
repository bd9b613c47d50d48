"""Serve a policy from the command line."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from trueup.arms import has_side_effects, make_arm
from trueup.catalog import open_model, open_stratum
from trueup.cli.pipeline import price_list
from trueup.cli.screen import screen
from trueup.core.ledger import Ledger
from trueup.plan import PolicyStratum, read_policy
from trueup.run import Clerk
from trueup.serve import Desk, check_exposure, create_app, run_server
from trueup.tasks import build_prompt, sampling_of

PolicyPath = Annotated[Path, typer.Argument(help="A policy.toml that a study wrote.", metavar="POLICY")]
Host = Annotated[str, typer.Option(help="Address to listen on; beyond this machine only with a key.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")]
Model = Annotated[str | None, typer.Option(help="Another model than the policy's.")]
PriceFile = Annotated[Path | None, typer.Option("--prices", help="A dated price file (TOML).")]
LedgerFile = Annotated[Path | None, typer.Option("--ledger", help="Ledger of what is served; default: beside POLICY.")]
ApiKey = Annotated[str | None, typer.Option(help="Key that clients must send; default: $TRUEUP_API_KEY.")]
Waiting = Annotated[int, typer.Option(help="Requests that may wait before others are turned away with 429.")]


def add_commands(app: typer.Typer) -> None:
    """Put `trueup serve` on the command line."""
    app.command(epilog="Example: trueup serve out/mixed/policy.toml --port 8321")(serve)


def serve(
    policy: PolicyPath,
    host: Host = "127.0.0.1",
    port: Port = 8321,
    model: Model = None,
    prices: PriceFile = None,
    ledger: LedgerFile = None,
    api_key: ApiKey = None,
    max_queue: Waiting = 64,
) -> None:
    """Answer /v1/chat/completions with the plan's method for each request's stratum."""
    plan = read_policy(policy)
    key = os.environ.get("TRUEUP_API_KEY") if api_key is None else api_key
    check_exposure(host, key)
    desks = {stratum.name: _desk(stratum) for stratum in plan.strata}
    with Ledger(ledger or policy.with_name("served.sqlite")) as book:
        repeats = not any(has_side_effects(desk.stratum) for desk in desks.values())
        others = {name: open_model(spec, repeats=repeats) for name, spec in plan.models.items()}
        prices_now = price_list(None if prices is None else str(prices))
        clerk = Clerk(open_model(model or plan.model, repeats=repeats), book, prices_now, others)
        app = create_app(plan, desks, clerk, key=key, max_queue=max_queue)
        run_server(app, host, port, announce=lambda url: _announce(url, plan.name, list(desks)))


def _desk(row: PolicyStratum) -> Desk:
    """The stratum's recipe at work, with the arm that the plan chose."""
    arm = make_arm(" ".join([row.method, *(f"{key}={value}" for key, value in row.settings.items())]))
    sampling = sampling_of(row.recipe)
    grammar = row.recipe.get("grammar")
    return Desk(open_stratum(row.name, row.recipe), arm, partial(build_prompt, row.recipe), sampling, grammar=grammar)


def _announce(url: str, name: str, strata: list[str]) -> None:
    screen().print(f"serving {name} at {url}/v1  (Ctrl-C stops)", soft_wrap=True)
    screen().print(f"models: {', '.join(f'{name}/{stratum}' for stratum in strata)}", soft_wrap=True)
