"""The ledger on the command line: show, export, verify."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from trueup.cli.screen import screen, table
from trueup.core.charge import MICRO, PICO, Charge
from trueup.core.errors import BadInput, LedgerError
from trueup.core.ledger import read_charges, verify

Where = Annotated[Path, typer.Argument(help="A study's folder, or a ledger file.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Format = Annotated[str, typer.Option("--format", help="jsonl or csv.")]

ledger = typer.Typer(no_args_is_help=True, help="What every ask has cost: totals, rows, and the proof of the totals.")


def add_commands(app: typer.Typer) -> None:
    """Put `trueup ledger` on the command line."""
    ledger.command("show", epilog="Example: trueup ledger show out/mixed")(show)
    ledger.command("export", epilog="Example: trueup ledger export out/mixed --format csv > rows.csv")(export)
    ledger.command("verify", epilog="Example: trueup ledger verify out/mixed")(check)
    app.add_typer(ledger, name="ledger")


def show(where: Where, as_json: AsJson = False) -> None:
    """Totals by kind of charge."""
    verdict = verify(_file(where))
    if as_json:
        print(json.dumps([{f.name: getattr(t, f.name) for f in fields(t)} for t in verdict.totals], indent=1))
        return
    tokens, unknown = ("prompt", "cached", "completion"), ("unknown", "unpriced")
    rows = table(("kind",), ("charges", *tokens, "core-s", "GFLOP", "USD", *unknown))
    for total in verdict.totals:
        rows.add_row(
            total.kind, f"{total.charges:,}", f"{total.prompt_tokens:,}", f"{total.cached_tokens:,}",
            f"{total.completion_tokens:,}", f"{total.micros / MICRO:,.2f}", f"{total.megaflops / 1000:,.0f}",
            f"{total.picodollars / PICO:.6f}" if total.unpriced < max(1, total.charges) else "unknown",
            str(total.unknown_tokens), str(total.unpriced),
        )  # fmt: skip
    screen().print(rows)
    screen().print("USD at the prices when each charge was paid")


def export(where: Where, form: Format = "jsonl") -> None:
    """Every row, in the order of writing."""
    if form not in ("jsonl", "csv"):
        raise BadInput(f"--format is {form!r}; write jsonl or csv")
    rows = (_plain(charge) for charge in read_charges(_file(where)))
    if form == "jsonl":
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    writer = csv.DictWriter(sys.stdout, [field.name for field in fields(Charge)])
    writer.writeheader()
    writer.writerows(rows)


def check(where: Where, as_json: AsJson = False) -> None:
    """Recompute every total from the rows; exit code 2 where one does not follow."""
    verdict = verify(_file(where))
    if as_json:
        print(json.dumps({"charges": verdict.charges, "discrepancies": verdict.discrepancies}, indent=1))
    if verdict.discrepancies:
        raise LedgerError(f"{len(verdict.discrepancies)} totals do not follow: {'; '.join(verdict.discrepancies)}")
    if not as_json:
        kinds = ", ".join(f"{total.charges:,} {total.kind}" for total in verdict.totals)
        screen().print(
            f"proved: every total follows from {verdict.charges:,} rows ({kinds}); pages are sound", soft_wrap=True
        )


def _file(where: Path) -> Path:
    return where / "ledger.sqlite" if where.is_dir() else where


def _plain(charge: Charge) -> dict[str, object]:
    row = {field.name: getattr(charge, field.name) for field in fields(charge)}
    return row | {"key": charge.key.hex(), "usd": None if charge.usd is None else str(charge.usd)}
