"""Training: `trueup train`, from a task's checked answers to a model that a study takes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from trueup.catalog import names
from trueup.cli.order import Order, split_trainer_sets
from trueup.cli.screen import screen, table
from trueup.core.errors import UnknownName
from trueup.core.settings import fit_settings, settings_of
from trueup.models.huggingface.vocabulary import PLAIN
from trueup.train.card import TURNS, gain_of
from trueup.train.profiles import require_packages

Trainer = Annotated[str, typer.Argument(help="A trainer: `trueup list trainers` names all.", metavar="METHOD")]
TaskPath = Annotated[str, typer.Option("--task", help="A folder with task.toml, a .toml file or a .jsonl file.")]
Model = Annotated[str, typer.Option(help="What to train: smollm2, hf:FOLDER, or the folder of an earlier training.")]
Out = Annotated[Path, typer.Option(help="Folder for the result; a run goes on with what it finds there.")]
ProfileName = Annotated[str, typer.Option("--profile", help="cpu, gpu, torchrun-N, gpu-N, fsdp2-N or zero3+vllm-N.")]
Only = Annotated[str | None, typer.Option("--stratum", help="The stratum to train on, where there are several.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="setting=value, or STRATUM.key=value; repeatable.")]
With = Annotated[list[str] | None, typer.Option("--with", help="NAME=MODEL to learn from; repeatable.")]
Limit = Annotated[int | None, typer.Option(help="Items per stratum, at most; about half of them are trained on.")]
Seed = Annotated[int | None, typer.Option(help="Seed of items, samples and order; default: the task's.")]
Samples = Annotated[int, typer.Option(help="Attempts an item in the evaluation before and after.")]
Guard = Annotated[
    Path | None,
    typer.Option(
        help="JSONL or task of what must not be forgotten, or `general`, the one that comes with trueup; "
        "default: the other strata.",
    ),
]
PriceFile = Annotated[Path | None, typer.Option("--prices", help="A dated price file (TOML).")]
Gguf = Annotated[str | None, typer.Option(help="Also write model.gguf for the embedded engine: f16 or q8_0.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the card as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]

EPILOG = (
    "Examples: trueup train sft --task examples/mixed --stratum arithmetic --out out/tuned --set steps=50 "
    "--guard general | "
    'trueup train expert_iteration --task questions.jsonl --model hf:FOLDER --out out/tuned --set "teacher=vote n=8"'
)


def add_commands(app: typer.Typer) -> None:
    """Put `trueup train` on the command line."""
    app.command(epilog=EPILOG)(train)


def train(
    method: Trainer,
    task: TaskPath,
    out: Out,
    model: Model = "smollm2",
    profile: ProfileName = "cpu",
    stratum: Only = None,
    sets: Sets = None,
    models: With = None,
    limit: Limit = None,
    seed: Seed = None,
    samples: Samples = 4,
    guard: Guard = None,
    prices: PriceFile = None,
    gguf: Gguf = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a model on one half of a task's items, and say on the other half what came of it.

    A killed run goes on where it stopped. OUT gets the weights (adapter/ or model/, safetensors), card.md, card.json
    and ledger.sqlite; `trueup study TASK --model OUT` takes it as a model, `--with tuned=OUT` beside another.
    """
    require_packages("training")
    from trueup.cli.training import conduct
    from trueup.train.export import check_kind

    if gguf is not None:
        check_kind(gguf, model)
    own, strata = split_trainer_sets(sets or ())
    template = strata.get("model", {}).pop("template", "")
    if left := strata.pop("model", {}):
        raise UnknownName("setting of the model in training", next(iter(left)), ["template"])
    order = Order(
        method, _settings(method, own), task, model, profile, stratum, limit, seed, samples, strata, template,
        None if guard is None else str(guard), None if prices is None else str(prices), tuple(models or ()), _threads(),
    ).check()  # fmt: skip
    card = conduct(order, out, arguments=sys.argv[1:], quiet=quiet, gguf=gguf)
    if as_json:
        print(json.dumps(card, indent=1))
    else:
        _print(card, out)


def _settings(method: str, given: dict[str, str]) -> dict[str, Any]:
    """All of a trainer's settings, those given in their types."""
    known = names("trainers")
    if method not in known:
        raise UnknownName("trainer", method, known, hint="(`trueup list trainers` names all)")
    usual = {name: setting.default for name, setting in settings_of(known[method]).items()}
    return usual | fit_settings(method, known[method], given)


def _threads() -> int:
    """As many threads as the user says, or as cores are idle."""
    from trueup.models.llamacpp import idle_cores

    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdigit() and int(told) else idle_cores()


def _print(card: dict[str, Any], out: Path) -> None:
    console = screen()
    n = len(card["data"]["trained_on"])
    told = (
        f" after {card['trainer']} on {card['stratum']}: trained on {n} items, the choosing half; "
        "measured on items that were not trained on\n"
    )
    console.print(Text.assemble("\n", (card["model"]["name"], "bold"), told))
    rows = table(("what",), ("n", "before", "after", "points", "95 %"))
    for part, told in _parts(card).items():
        for turn in TURNS:
            if turn in told:
                rows.add_row(f"{part}, {turn.replace('_', ' ')}", str(told["items"]), *_turn(told[turn]))
    console.print(rows)
    for part, told in _parts(card).items():
        for line in _form(part, told):
            console.print(line, soft_wrap=True)
    for name, row in card["distance"].items():
        console.print(f"KL to the base on {name}: {row['kl']:.3g} nats a token")
    for what, count in card.get("failures", {}).items():
        console.print(f"{what}: {count} item{'s' * (count > 1)} left out, see {out / 'failures.jsonl'}", soft_wrap=True)
    if "modes" in card:
        console.print(_thinking(card["modes"]), soft_wrap=True)
    for note in card.get("notes", ()):
        console.print(f"note: {note}", soft_wrap=True)
    usd, earlier = card["training_usd"], len(card.get("trainings", ())) - 1
    console.print(
        f"\ntraining cost {'an unknown amount' if usd is None else f'${float(usd):.3g}'} "
        + (f"with the {earlier} before it " if earlier > 0 else "")
        + f"({card['ledger']['charges']:,} charges with the evaluation)"
        + (f"; {card['gradient_tokens']:,} gradient tokens" if "gradient_tokens" in card else "")
    )
    console.print(f"card:  {out / 'card.md'}", soft_wrap=True)
    template = f" --set model.template={PLAIN}" if card.get("template") == PLAIN else ""
    console.print(f"model: {out}  (trueup study {card['task']['path']} --model {out}{template})", soft_wrap=True)


def _parts(card: dict[str, Any]) -> dict[str, Any]:
    """All that was measured; cards before the third version have no half trained on."""
    seen = {f"{name} trained on": told for name, told in card.get("trained_half", {}).items()}
    return {**card["evaluation"], **seen}


def _form(part: str, told: dict[str, Any]) -> Iterator[str]:
    """What the points are made of, where anything could not be read."""
    for turn, form in told.get("form", {}).items():
        before, after = (form["unparsable"][when] for when in ("before", "after")) if form else (0, 0)
        if before or after:
            name = f"{part}, {turn.replace('_', ' ')}"
            yield f"{name}: unparsable {before:.1%} before, {after:.1%} after; {gain_of(form)}"


def _thinking(modes: dict[str, Any]) -> str:
    """How often held-out items are thought about."""
    rates = [f"{modes[when]['think_rate']:.0%} {when}" for when in ("before", "after") if modes[when]["attempts"]]
    ease = [f"{row['think_rate']:.0%} where the base was right {row['right_before']:.0%}" for row in modes["by_ease"]]
    return f"thinks about held-out items: {', '.join(rates)}" + (f"; after, {', '.join(ease)}" if ease else "")


def _turn(row: dict[str, Any]) -> tuple[str, str, str, str]:
    before, after = (f"{row[when]['accuracy']:.1%}" for when in ("before", "after"))
    low, high = row["difference"]["ci95"]
    return before, after, f"{row['difference']['points']:+.1f}", f"{low:+.1f} to {high:+.1f}"
