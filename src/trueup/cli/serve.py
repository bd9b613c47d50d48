"""Serve a policy from the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from trueup.arms import has_side_effects, make_arm
from trueup.catalog import open_model, open_stratum
from trueup.cli.pipeline import price_list, split_sets
from trueup.cli.request import find_files, find_model
from trueup.cli.screen import screen, warn
from trueup.core.cost import Prices
from trueup.core.errors import BadInput, UnknownName
from trueup.core.ledger import Ledger
from trueup.core.roles import Model
from trueup.core.settings import join_words
from trueup.plan import Policy, PolicyStratum, read_policy
from trueup.run import Clerk
from trueup.serve import LANES, Desk, Traffic, check_exposure, create_app, run_server
from trueup.tasks import build_prompt, sampling_of

PolicyPath = Annotated[Path, typer.Argument(help="A policy.toml that a study wrote.", metavar="POLICY")]
Host = Annotated[str, typer.Option(help="Address to listen on; beyond this machine only with a key.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")]
Other = Annotated[
    str | None, typer.Option("--model", help="Another model than the policy's, with no settings but those of --set.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", help="model.key=value, or NAME.key=value of a further model; goes over the policy's."),
]
PriceFile = Annotated[Path | None, typer.Option("--prices", help="A dated price file (TOML).")]
LedgerFile = Annotated[Path | None, typer.Option("--ledger", help="Ledger of what is served; default: beside POLICY.")]
ApiKey = Annotated[str | None, typer.Option(help="Key that clients must send; default: $TRUEUP_API_KEY.")]
Lanes = Annotated[
    int | None, typer.Option(help=f"Requests to be worked on at a time; default: the model's lanes, else {LANES}.")
]
Waiting = Annotated[int, typer.Option(help="Requests that may wait before others are turned away with 429.")]
TrafficFile = Annotated[
    Path | None,
    typer.Option("--traffic", help="JSONL file that questions and answers are added to, for `trueup audit`."),
]
Share = Annotated[float, typer.Option("--traffic-share", help="The share of them that is kept, drawn at random.")]
ALL = 1.0
OWN = "model"
"""What --set calls the policy's own model."""


def add_commands(app: typer.Typer) -> None:
    """Put `trueup serve` on the command line."""
    app.command(epilog="Example: trueup serve out/mixed/policy.toml --port 8321")(serve)


def serve(
    policy: PolicyPath,
    host: Host = "127.0.0.1",
    port: Port = 8321,
    model: Other = None,
    sets: Sets = None,
    prices: PriceFile = None,
    ledger: LedgerFile = None,
    api_key: ApiKey = None,
    lanes: Lanes = None,
    max_queue: Waiting = 64,
    traffic: TrafficFile = None,
    traffic_share: Share = ALL,
) -> None:
    """Answer /v1/chat/completions with the plan's method for each request's stratum."""
    plan = _as_told(_found(read_policy(policy)), model, split_sets(sets or ()))
    if traffic is None and traffic_share != ALL:
        raise BadInput(f"--traffic-share is {traffic_share:g}, and nothing is kept without --traffic FILE; add it")
    key = os.environ.get("TRUEUP_API_KEY") if api_key is None else api_key
    check_exposure(host, key)
    desks = {stratum.name: _desk(stratum) for stratum in plan.strata}
    kept = nullcontext() if traffic is None else Traffic(traffic, traffic_share)
    with Ledger(ledger or policy.with_name("served.sqlite")) as book, kept as file:
        repeats = not any(has_side_effects(desk.stratum) for desk in desks.values())
        others = {name: open_model(spec, plan.settings[name], repeats=repeats) for name, spec in plan.models.items()}
        prices_now = price_list(None if prices is None else str(prices))
        own = open_model(plan.model, plan.settings[OWN], repeats=repeats)
        warn(_differences(plan, own, prices_now))
        clerk = Clerk(own, book, prices_now, others)
        width = int(plan.settings[OWN].get("lanes", LANES)) if lanes is None else lanes
        app = create_app(plan, desks, clerk, key=key, lanes=width, max_queue=max_queue, traffic=file)
        status = run_server(app, host, port, announce=lambda url: _announce(url, plan.name, list(desks)))
    if status:
        sys.exit(status)


def _found(plan: Policy) -> Policy:
    """The policy, with what it names by relative paths where its study had it."""
    origin = plan.started_in
    return replace(
        plan,
        model=find_model(plan.model, origin),
        models={name: find_model(spec, origin) for name, spec in plan.models.items()},
        settings={name: find_files(row, origin) for name, row in plan.settings.items()},
        strata=tuple(replace(row, settings=find_files(row.settings, origin)) for row in plan.strata),
    )


def _as_told(plan: Policy, model: str | None, sets: Mapping[str, Mapping[str, str]]) -> Policy:
    """The policy with another model, which has none of its settings, and other settings.

    Raises UnknownName for settings of a model that it does not ask.
    """
    owners = (OWN, *plan.models)
    for owner in sets.keys() - {*owners}:
        raise UnknownName("--set", owner, owners)
    kept = {owner: row for owner, row in plan.settings.items() if owner != OWN or model is None}
    settings = {owner: {**kept.get(owner, {}), **sets.get(owner, {})} for owner in owners}
    return replace(plan, model=plan.model if model is None else model, settings=settings)


def _differences(plan: Policy, own: Model, prices: Prices) -> list[str]:
    """What to say where the policy was measured on another model, or priced by another list, than serve it."""
    told = []
    if own.card.fingerprint != plan.fingerprint:
        measured = f"measured on {plan.fingerprint!r}, and {own.card.fingerprint!r} serves it"
        mend = "study again on this one, or serve with the study's --model and --set"
        told.append(f"what this policy certifies was {measured}; {mend}")
    if plan.prices_date not in ("", prices.date):
        priced = f"by prices of {plan.prices_date}, and those of {prices.date} book what is served"
        told.append(f"what this policy costs was planned {priced}; serve with the plan's --prices")
    return told


def _desk(row: PolicyStratum) -> Desk:
    """The stratum's recipe at work, with the arm that the plan chose."""
    arm = make_arm(join_words(row.method, row.settings))
    sampling = sampling_of(row.recipe)
    grammar = row.recipe.get("grammar")
    return Desk(open_stratum(row.name, row.recipe), arm, partial(build_prompt, row.recipe), sampling, grammar=grammar)


def _announce(url: str, name: str, strata: list[str]) -> None:
    screen().print(f"serving {name} at {url}/v1  (Ctrl-C stops)", soft_wrap=True)
    screen().print(f"models: {', '.join(f'{name}/{stratum}' for stratum in strata)}", soft_wrap=True)
