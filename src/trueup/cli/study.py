"""The main job and its stages: study, sample, measure, diagnose, plan, report."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from trueup.cli.pipeline import Findings, gather, split_sets
from trueup.cli.request import Request, dollars, split_models
from trueup.cli.screen import screen, warn
from trueup.cli.summary import print_diagnosis, print_differences, print_points, print_summary
from trueup.core.errors import BadInput
from trueup.core.files import write_whole
from trueup.core.settings import split_parts
from trueup.plan import Wish, assess, write_policy
from trueup.plan.assess import describe
from trueup.plan.choose import NoneDeployable
from trueup.report import write_report

STUDY_FILE, REPORT_FILE, POLICY_FILE = "study.json", "report.html", "policy.toml"

Folder = Annotated[Path, typer.Argument(help="The folder of a study.", metavar="DIR")]
TaskPath = Annotated[str, typer.Argument(help="A task: a folder with task.toml, a .toml file or a .jsonl file.")]
Model = Annotated[
    str, typer.Option(help="smollm2, openai:URL#NAME, hf:FOLDER, a training's folder; see `trueup list models`.")
]
With = Annotated[list[str] | None, typer.Option("--with", help="NAME=MODEL that methods may ask; repeatable.")]
Samples = Annotated[int, typer.Option(help="Attempts per item in the pool that coverage is read from.")]
Limit = Annotated[int | None, typer.Option(help="Items per stratum, at most.")]
Methods = Annotated[str, typer.Option(help="Methods with settings, comma-separated: once,vote n=8.")]
Target = Annotated[float, typer.Option(help="Accuracy to reach per stratum.")]
Volume = Annotated[float, typer.Option(help="Requests that the plan is to serve.")]
OtherTarget = Annotated[float | None, typer.Option("--target", help="Another accuracy to reach.")]
OtherVolume = Annotated[float | None, typer.Option("--volume", help="Another number of requests.")]
PriceFile = Annotated[Path | None, typer.Option("--prices", help="A dated price file (TOML).")]
Out = Annotated[Path | None, typer.Option(help="Folder for the results; a run resumes what it finds there.")]
Seed = Annotated[int | None, typer.Option(help="Seed of items and samples; default: the task's.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="STRATUM.key=value or model.key=value; repeatable.")]
TrainingUsd = Annotated[str | None, typer.Option(help="Fixed cost of training in dollars, where it is known.")]
ErrorUsd = Annotated[str | None, typer.Option(help="What a wrong answer costs you in dollars.")]
Record = Annotated[Path | None, typer.Option(help="Keep every new reply in this file, for --model replay:FILE.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def add_commands(app: typer.Typer) -> None:
    """Put the study and its stages on the command line."""
    app.command(epilog="Example: trueup study examples/mixed --target 0.9 --volume 1e6")(study)
    app.command(epilog="Example: trueup sample examples/mixed --samples 32 --out out/mixed")(sample)
    app.command(epilog="Example: trueup measure out/mixed --json")(measure)
    app.command(epilog="Example: trueup diagnose out/mixed")(diagnose)
    app.command(epilog="Example: trueup plan out/mixed --target 0.8 --volume 5e6 --training-usd 400")(plan)
    app.command(epilog="Example: trueup report out/mixed")(report)


def study(
    task: TaskPath,
    model: Model = "smollm2",
    models: With = None,
    samples: Samples = 16,
    limit: Limit = None,
    methods: Methods = "",
    target: Target = 0.9,
    volume: Volume = 1e6,
    prices: PriceFile = None,
    out: Out = None,
    seed: Seed = None,
    sets: Sets = None,
    training_usd: TrainingUsd = None,
    error_usd: ErrorUsd = None,
    record: Record = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure a model on a task, name the causes of its errors, try the corrections, plan and report.

    A killed run goes on where it stopped; a finished one ends in seconds without a model call.
    """
    request = Request(
        task, model, samples, limit, split_parts(methods), seed, tuple(sets or ()),
        None if prices is None else str(prices), target, volume, training_usd, error_usd, models=tuple(models or ()),
    ).check()  # fmt: skip
    folder = out or default_folder(task)
    findings = gather(request, folder, sealed=False, quiet=quiet, tape=record, to_plan=True)
    result = conclude(request, findings, folder)
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        print_summary(result, folder, findings.fresh_calls, findings.seconds)
        print_trainings(result)


def sample(
    task: TaskPath,
    model: Model = "smollm2",
    models: With = None,
    samples: Samples = 16,
    limit: Limit = None,
    methods: Methods = "",
    prices: PriceFile = None,
    out: Out = None,
    seed: Seed = None,
    sets: Sets = None,
    record: Record = None,
    quiet: Quiet = False,
) -> None:
    """Collect the samples of a study and stop there; the other stages read them from the ledger."""
    request = Request(
        task, model, samples, limit, split_parts(methods), seed, tuple(sets or ()),
        None if prices is None else str(prices), models=tuple(models or ()),
    ).check()  # fmt: skip
    folder = out or default_folder(task)
    findings = gather(request, folder, sealed=False, quiet=quiet, tape=record)
    screen().print(
        f"{findings.ledger['charges']:,} charges in {folder / 'ledger.sqlite'}, {findings.fresh_calls} new calls; "
        f"next: trueup plan {folder}",
        soft_wrap=True,
    )


def measure(folder: Folder, as_json: AsJson = False) -> None:
    """Accuracy, cost and coverage of every method, from the samples in the ledger."""
    result = _again(folder)
    strata = result["strata"]
    if as_json:
        print(json.dumps({n: {k: s[k] for k in ("points", "coverage")} for n, s in strata.items()}, indent=1))
    else:
        print_points(strata)
        print_differences(result["plan"])


def diagnose(folder: Folder, as_json: AsJson = False) -> None:
    """The main cause of each stratum's errors, with the evidence, from the samples in the ledger."""
    strata = _again(folder)["strata"]
    if as_json:
        print(json.dumps({name: stratum["diagnosis"] for name, stratum in strata.items()}, indent=1))
    else:
        print_diagnosis(strata)


def plan(
    folder: Folder,
    target: OtherTarget = None,
    volume: OtherVolume = None,
    prices: PriceFile = None,
    training_usd: TrainingUsd = None,
    error_usd: ErrorUsd = None,
    as_json: AsJson = False,
) -> None:
    """Plan again from the same samples: another target, volume, price list or cost of training.

    A certificate keeps its promise for one look: decide how many items, then look once. `trueup audit` holds at any
    number of looks.
    """
    old = Request.load(folder)
    request = replace(
        old,
        target=old.target if target is None else target,
        volume=old.volume if volume is None else volume,
        prices=old.prices if prices is None else str(prices.absolute()),
        training_usd=training_usd or old.training_usd,
        error_usd=error_usd or old.error_usd,
    ).check()
    findings = gather(request, folder, sealed=True, booked=True, quiet=True)
    result = conclude(request, findings, folder)
    request.save(folder)
    if as_json:
        print(json.dumps(result["plan"], indent=1))
    else:
        print_summary(result, folder, findings.fresh_calls, findings.seconds)
        print_trainings(result)


def report(folder: Folder) -> None:
    """Write report.html again from study.json."""
    path = folder / STUDY_FILE
    try:
        result = json.loads(path.read_text())
    except FileNotFoundError:
        raise BadInput(f"no {STUDY_FILE} in {str(folder)!r}; run `trueup study TASK --out {folder}` first") from None
    except NotADirectoryError:
        raise BadInput(f"{str(folder)!r} is a file; give the folder of a study") from None
    except ValueError as error:
        raise BadInput(f"{path} is no JSON: {error}; run `trueup study` again") from error
    write_report(result, folder / REPORT_FILE)
    screen().print(f"report: {folder / REPORT_FILE}", soft_wrap=True)


def judge(request: Request, findings: Findings) -> dict[str, Any]:
    """The study.json of what was found."""
    result = assess(
        findings.measured, findings.card, findings.prices, _wish(request, findings),
        task=findings.task, samples=request.samples, ledger=findings.ledger,
    )  # fmt: skip
    result["model"]["spec"] = request.model
    result["models"] = {name: {"spec": spec} for name, spec in split_models(request.models).items()}
    for name, past in findings.pasts.items():
        usd = None if past.usd is None else float(past.usd)
        (result["models"][name] if name else result["model"])["training"] = {"stratum": past.stratum, "usd": usd}
    result["left_out"] = {name: count for name, count in findings.left_out.items() if count}
    return result


def _wish(request: Request, findings: Findings) -> Wish:
    return Wish(
        target=request.target,
        volume=request.volume,
        seed=findings.task["seed"],
        training_usd=dollars("--training-usd", request.training_usd),
        error_usd=dollars("--error-usd", request.error_usd),
        trained={name: past.usd for name, past in findings.pasts.items()},
    )


def print_trainings(result: dict[str, Any]) -> None:
    """What the trainings behind the models cost, and which items were left out for them."""
    for name, model in {result["model"]["name"]: result["model"], **result["models"]}.items():
        if "training" in model:
            usd = model["training"]["usd"]
            cost = "an unknown amount" if usd is None else f"${usd:.3g}"
            screen().print(f"{name}: its training on {model['training']['stratum']} cost {cost}", soft_wrap=True)
    for name, count in result["left_out"].items():
        screen().print(f"{name}: {count} items are left out, since a model was trained on them", soft_wrap=True)


def conclude(request: Request, findings: Findings, folder: Path) -> dict[str, Any]:
    """Assess what was found and write study.json, report.html and policy.toml."""
    result = judge(request, findings)
    write_whole(folder / STUDY_FILE, json.dumps(result, indent=1) + "\n")
    write_report(result, folder / REPORT_FILE)
    recipes = {m.stratum.name: dict(m.stratum.recipe) for m in findings.measured}
    settings = _settings_of_models(request)
    write_policy(result, recipes, folder / POLICY_FILE, settings=settings, started_in=request.origin())
    return result


def _settings_of_models(request: Request) -> dict[str, dict[str, str]]:
    """What --set says of a study's models; a `key_env` that may be a key, and no name of one, is left out and told."""
    owners = {"model", *split_models(request.models)}
    settings = {owner: row for owner, row in split_sets(request.sets).items() if owner in owners}
    for owner, row in settings.items():
        if not _is_variable(row.get("key_env", "")):
            del row["key_env"]
            told = f"{owner}.key_env is left out of {POLICY_FILE}, for it may be a key itself"
            warn([f"{told}; set it to the name of an environment variable"])
    return settings


def _is_variable(name: str) -> bool:
    """Whether a word is the name of an environment variable, as far as can be told, or empty."""
    return not name or name in os.environ or (name.isidentifier() and name.isupper())


def default_folder(task: str) -> Path:
    """Where a study goes that names no --out: out/ and the task's own name."""
    path = Path(task)
    if path.name == "task.toml":
        return Path("out") / path.parent.name
    return Path("out") / (path.name if path.is_dir() else path.stem)


def _again(folder: Path) -> dict[str, Any]:
    """The study of a folder, assessed anew from its ledger; nothing is written.

    Where no method can be deployed its strata alone.
    """
    request = Request.load(folder)
    findings = gather(request, folder, sealed=True, quiet=True)
    try:
        return judge(request, findings)
    except NoneDeployable as error:
        warn([f"no plan: {error}"])
        return {"strata": describe(findings.measured, _wish(request, findings), samples=request.samples), "plan": {}}
