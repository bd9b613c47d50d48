"""Claims on the command line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from trueup.claims import CLAIMS, SCALES, Pieces, Verdict
from trueup.claims.books import post
from trueup.claims.published import beside
from trueup.claims.verdict import place_in, save_rows
from trueup.cli.jobs import helped, module_of, pieces_of, size_by
from trueup.cli.order import demand_seed
from trueup.cli.pipeline import price_list
from trueup.cli.screen import aside, screen, table, warn
from trueup.core.charge import PICO, Total
from trueup.core.errors import BadInput, LedgerError, UnknownName
from trueup.core.types import Json
from trueup.report.words import duration

RESULTS = Path("results/claims")
WORK = Path("out/claims")
COLUMNS = 7
INTERVAL = "ci95"
SEEDS = 5
"""No claim takes more from its first one on."""

FORM = {
    "claim": str, "scale": str, "verdict": str, "criterion": str, "date": str, "n": int, "seeds": list, "arms": list,
}  # fmt: skip
"""What every verdict has, in its file."""
LATER = {"seconds": int | float | None, "cpu_seconds": int | float | None, "untimed_parts": int, "jobs": int}
"""What older verdicts have not."""
SHOWN_CHARS = 40

Name = Annotated[str, typer.Argument(help="A claim; `trueup claims list` names all.")]
Scale = Annotated[str, typer.Option(help="smoke (two minutes), cpu (up to five core-hours) or gpu.")]
Seed = Annotated[int, typer.Option(help="The first of the seeds.")]
Out = Annotated[Path, typer.Option(help="Where finished parts are kept; a run resumes what it finds there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Save = Annotated[Path | None, typer.Option(help="Keep NAME/SCALE.json in this folder, raw rows beside it.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes that share work and cores, each with a model of its own.")]
Place = Annotated[
    Path, typer.Argument(help="Where results are kept, a claim there, or a file.", metavar="DIR|NAME|FILE")
]

rooms = typer.Typer(no_args_is_help=True, help="Findings of the literature, put to the test.")


def add_commands(app: typer.Typer) -> None:
    """Put `trueup claims` on the command line."""
    rooms.command("list", epilog="Example: trueup claims list")(list_claims)
    rooms.command("run", epilog="Example: trueup claims run internal-external --scale smoke")(run_claim)
    rooms.command("show", epilog="Example: trueup claims show think-or-answer")(show_claims)
    app.add_typer(rooms, name="claims")


def list_claims() -> None:
    """The claims, and what each says."""
    rows = table(("claim", "what it says"))
    for name, claim in CLAIMS.items():
        rows.add_row(name, (claim.__doc__ or "").partition("\n")[0])
    screen().print(rows)


def run_claim(
    name: Name,
    scale: Scale = "smoke",
    seed: Seed = 0,
    out: Out = WORK,
    as_json: AsJson = False,
    save: Save = None,
    jobs: Jobs = 1,
    quiet: Quiet = False,
) -> None:
    """Run a claim and say whether its criterion, fixed before, is met; a killed run goes on where it was."""
    if name not in CLAIMS:
        raise UnknownName("claim", name, CLAIMS, hint="(`trueup claims list` names all)")
    if scale not in SCALES:
        raise UnknownName("scale", scale, SCALES)
    demand_seed("--seed", seed, seeds=SEEDS)
    if save is not None:
        place_in(save, name)
    pieces = pieces_of(name, scale, seed, out, (lambda *_: None) if quiet else _say, jobs=jobs)
    with helped(name, scale, seed, out, jobs):
        verdict = replace(CLAIMS[name](scale, seed, pieces).timed(pieces), size=size_by(name, scale))
    if save is not None:
        verdict.save(save)
        save_rows(save, verdict, pieces)
    print(verdict.text(), end="") if as_json else _print(verdict)
    try:
        totals = post(pieces, f"claim {name} at {scale}, seed {seed}", None if scale == "gpu" else price_list(None))
    except LedgerError as error:
        warn([f"not booked: {error}"])
    else:
        _print_books(pieces, totals)


def _print_books(pieces: Pieces, totals: Sequence[Total]) -> None:
    """What the parts spent in all, as far as they were made while books were kept."""
    tokens = sum(total.prompt_tokens + total.completion_tokens for total in totals)
    usd = "unknown dollars" if any(t.unpriced for t in totals) else f"${sum(t.picodollars for t in totals) / PICO:.4f}"
    spent = f"{tokens:,} tokens, {sum(total.megaflops for total in totals) / 1e6:,.2f} TFLOPs, {usd}"
    aside().print(f"ledger: {pieces.folder} ({spent}; `trueup ledger show` tells of what kind)", soft_wrap=True)


def show_claims(place: Place = RESULTS, as_json: AsJson = False) -> None:
    """The verdicts kept in a folder, or, whole, those of one claim or file."""
    place = RESULTS / place if str(place) in CLAIMS and not place.exists() else place
    many = sorted(place.glob("*/*.json"))
    read = [_read(path) for path in many or ([place] if place.is_file() else sorted(place.glob("*.json")))]
    found = [one for one in read if one is not None]
    kept = [{**verdict, "published": beside(verdict["claim"], verdict["arms"])} for verdict in found]
    if not kept:
        raise BadInput(f"no verdict in {str(place)!r}; `trueup claims run NAME --save DIR` keeps one in DIR")
    if as_json:
        print(json.dumps(kept, indent=1))
    elif many:
        _print_list(kept)
    else:
        for row in kept:
            _print(replace(Verdict.of_json(row), verdict=_verdict(row)))


def _read(path: Path) -> dict[str, Json] | None:
    """The verdict in a file; None where it holds something else. Raises BadInput where it is malformed."""
    try:
        table = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {str(path)!r} as a verdict: {error}") from error
    if not isinstance(table, dict) or "claim" not in table:
        return None
    if wrong := _malformed(table):
        raise BadInput(f"cannot read {str(path)!r} as a verdict: {wrong}; save it again, or delete it")
    return table


def _malformed(table: Mapping[str, Json]) -> str:
    """What of a verdict's table is missing or no such thing, in words; empty where all is well."""
    for name, kinds in (FORM | LATER).items():
        if name in FORM and name not in table:
            return f"it has no {name!r}"
        if name in table and not isinstance(table[name], kinds):
            return f"its {name!r} is {str(table[name])[:SHOWN_CHARS]!r}"
    if not all(isinstance(arm, dict) and "name" in arm for arm in table["arms"]):
        return "an arm of it has no name"
    return ""


def _print_list(kept: Sequence[Mapping[str, Json]]) -> None:
    rows = table(("claim", "scale", "verdict", "date"), ("n", "took", "of CPUs"))
    for row in kept:
        known = row.get("untimed_parts", 0), row.get("jobs", 1)
        took = (_took(row.get(key), *known) for key in ("seconds", "cpu_seconds"))
        rows.add_row(row["claim"], row["scale"], _verdict(row), row["date"], f"{row['n']:,}", *took)
    screen().print(rows)
    for row in kept:
        _print_published(f"{row['claim']} at {row['scale']}", row["published"])


def _verdict(row: Mapping[str, Json]) -> str:
    """The verdict; one by a criterion or at a size that the code no longer has is marked."""
    claim, scale = str(row["claim"]), str(row["scale"])
    if claim in CLAIMS and row["criterion"] != module_of(claim).CRITERION:
        return f"{row['verdict']}, by an earlier criterion"
    is_of_now = claim not in CLAIMS or row.get("size", "") in ("", size_by(claim, scale))
    return f"{row['verdict']}{'' if is_of_now else ', at an earlier size'}"


def _took(seconds: float | None, untimed_parts: int, jobs: int) -> str:
    """A time of all processes together, as far as it is known; older verdicts say nothing of it."""
    if seconds is None:
        return "unknown"
    return f"{'at least ' if untimed_parts else ''}{duration(seconds)}{f' of {jobs} processes' if jobs > 1 else ''}"


def _say(name: str, seconds: float) -> None:
    told = f"done in {seconds:.0f} s" if seconds else "done before"
    aside().print(f"  {name}: {told}")


def _print(verdict: Verdict) -> None:
    figures = _columns(verdict.arms)
    rows = table(("arm",), tuple(key.replace("_", " ") for key in figures), title=f"{verdict.claim} at {verdict.scale}")
    for arm in verdict.arms:
        rows.add_row(str(arm["name"]), *(_figure(arm.get(key), is_interval=key.endswith(INTERVAL)) for key in figures))
    screen().print(rows)
    screen().print("  more figures of every arm: --json")
    _print_published(verdict.claim, beside(verdict.claim, verdict.arms))
    for note in verdict.notes:
        screen().print(f"  {note}", soft_wrap=True)
    screen().print(f"criterion: {verdict.criterion}", soft_wrap=True)
    known = verdict.untimed_parts, verdict.jobs
    took, of_cpus = (_took(spent, *known) for spent in (verdict.seconds, verdict.cpu_seconds))
    screen().print(f"took: {took}, {of_cpus} of CPUs")
    screen().print("verdict:", Text(verdict.verdict, "bold"))


def _print_published(title: str, tables: Sequence[Json]) -> None:
    """The papers' figures, ours in brackets behind them."""
    for told in tables:
        figures = told["columns"]
        rows = table(("their arm", "our arm"), tuple(figures), title=f"{title}, as published (in brackets ours)")
        for row in told["rows"]:
            cells = (_beside(row["figures"].get(name), row.get("our_figures", {}).get(name)) for name in figures)
            rows.add_row(row["arm"], row.get("our_arm", ""), *cells)
        if told["rows"]:
            screen().print(rows)
        said = f"  {told['source']}: {told['model']}; {told['task']}; {told['caveat']}"
        screen().print(f"{said}; {told['note']}" if told["note"] else said, soft_wrap=True)


def _beside(theirs: float | None, ours: float | None) -> str:
    return _figure(theirs) if ours is None else f"{_figure(theirs)} ({_figure(ours)})"


def _columns(arms: Sequence[Mapping[str, Json]]) -> list[str]:
    """The figures that most arms have, and their intervals, as many as a screen is wide for."""
    common = Counter(key for arm in arms for key, value in arm.items() if key != "name" and _is_shown(value))
    kept = {key for key, times in common.items() if 2 * times >= len(arms) or key == INTERVAL}
    return [key for key in common if key in kept or key.removesuffix(f"_{INTERVAL}") in kept][:COLUMNS]


def _is_shown(value: object) -> bool:
    """A table of many figures has no room here; a share with its interval has."""
    return not isinstance(value, dict) or INTERVAL in value


def _figure(value: object, *, is_interval: bool = False) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return f"{_figure(value['share'])} ({_figure(value[INTERVAL], is_interval=True)})"
    if isinstance(value, list | tuple):
        return ("-" if is_interval else ", ").join(_figure(one) or "-" for one in value)
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"
    return str(value)
