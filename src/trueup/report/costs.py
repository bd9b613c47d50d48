"""What the study itself cost, by kind of charge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueup.report import tables
from trueup.report.svg import el
from trueup.report.words import DASH, count, dollars, duration, operations, percent, plural, safe

Total = Mapping[str, Any]
GROUPS = (
    ("model calls", ("sampled", "prefill", "judge", "proxy", "teacher")),
    ("checks", ("check", "rated", "verifier")),
    ("solver", ("solve",)),
    ("grading against the reference", ("evaluation",)),
    ("training", ("trained", "reference", "old_policy")),
    ("paid for nothing", ("failed", "refused", "retried", "cancelled", "discarded")),
)
REST = "other"
SUMMED = (
    "charges", "prompt_tokens", "cached_tokens", "completion_tokens", "seconds", "megaflops", "usd", "unknown_tokens",
    "unpriced",
)  # fmt: skip


HEADS = (
    "dollars", "time", "charges", "tokens in", "cached", "tokens out", "compute", "unknown", "unpriced",
)  # fmt: skip


def section(ledger: Mapping[str, Any]) -> str:
    """The tree of costs: a bar and a row per kind, under its group."""
    totals: Sequence[Total] = ledger["totals"]
    if not totals:
        return el("p", "The ledger holds no charges.", class_="reading")
    by = "usd" if any(known_usd(total) for total in totals) else "seconds"
    rest, rows = whole(totals), []
    for group, members in grouped(totals):
        alone = len(members) == 1
        first = members[0] if alone else _sum(group, members)
        rows.append(_row(first, _branch(group, first["kind"] if alone else ""), by, rest[by]))
        if not alone:
            rows += [_row(member, _twig(member["kind"]), by, rest[by]) for member in members]
    rows.append(_row(rest, _branch("all", ""), by, rest[by]))
    heads = ("kind of charge", f"share of {'dollars' if by == 'usd' else 'seconds'}", *HEADS)
    caption = el("figcaption", el("b", "Cost of this study by kind"), el("span", plural(ledger["charges"], "charge")))
    grid = tables.table(heads, rows, label="Cost of this study by kind", sortable=False)
    return el("figure", caption, grid, _reading(by), class_="costs")


def whole(totals: Sequence[Total]) -> dict[str, Any]:
    """All kinds in one."""
    return _sum("all", totals)


def grouped(totals: Sequence[Total]) -> list[tuple[str, list[Total]]]:
    """The kinds under their groups, in the order of the groups; a kind we do not know is `other`."""
    place = {kind: group for group, kinds in GROUPS for kind in kinds}
    found: dict[str, list[Total]] = {group: [] for group in (*(group for group, _ in GROUPS), REST)}
    for total in totals:
        found[place.get(total["kind"], REST)].append(total)
    return [(group, members) for group, members in found.items() if members]


def known_usd(total: Total) -> bool:
    """Whether any charge of a kind has a price."""
    return total["usd"] is not None and total["unpriced"] < max(1, total["charges"])


def spent(total: Total) -> str:
    """The dollars of a kind; at least so much where some charges have no price."""
    if not known_usd(total):
        return "unknown"
    return ("≥ " if total["unpriced"] else "") + dollars(total["usd"])


def _sum(name: str, members: Sequence[Total]) -> dict[str, Any]:
    return {"kind": name} | {key: sum(member[key] or 0 for member in members) for key in SUMMED}


def _branch(group: str, kind: str) -> tables.Cell:
    return tables.Cell(safe(group) + el("small", safe(kind)) if kind else safe(group), class_="group")


def _twig(kind: str) -> tables.Cell:
    return tables.Cell(safe(kind), class_="kind")


def _row(total: Total, name: tables.Cell, by: str, rest: float) -> list[tables.Cell]:
    return [
        name,
        tables.Cell(_bar(total, by, rest), class_="strip"),
        tables.figure(spent(total), total["usd"]),
        tables.figure(duration(total["seconds"]), total["seconds"]),
        tables.figure(count(total["charges"]), total["charges"]),
        _tokens(total, "prompt_tokens"),
        _tokens(total, "cached_tokens"),
        _tokens(total, "completion_tokens"),
        tables.figure(operations(1e6 * total["megaflops"]) if total["megaflops"] else DASH, total["megaflops"]),
        tables.figure(count(total["unknown_tokens"]), total["unknown_tokens"]),
        tables.figure(count(total["unpriced"]), total["unpriced"]),
    ]


def _tokens(total: Total, key: str) -> tables.Cell:
    """Tokens that are known; none known of charges that have unknown ones is unknown, not nothing."""
    if not total["unknown_tokens"] or key == "cached_tokens":
        return tables.figure(count(total[key]), total[key])
    return tables.figure(f"≥ {count(total[key])}" if total[key] else "unknown", total[key])


def _bar(total: Total, by: str, rest: float) -> str:
    share = (total[by] or 0) / rest if rest else 0.0
    parts = (
        el("rect", class_="track", x="0", y="6", width="120", height="8"),
        el("rect", class_="fill", x="0", y="6", width=120.0 * share, height="8"),
    )
    drawn = el("svg", *parts, viewBox="0 0 120 20", class_="share", aria_hidden="true",
               data_kind=total["kind"], data_usd=total["usd"], data_seconds=total["seconds"])  # fmt: skip
    return drawn + el("small", percent(share))


def _reading(by: str) -> str:
    basis = (
        "dollars, each charge at the prices when it was paid" if by == "usd" else "seconds, as no charge has a price"
    )
    sentence = (
        f"Bars are shares of {basis}. Checks and solves use seconds and no tokens; grading against the reference is "
        "a price of the study, never of serving. “Unknown” and “unpriced” count charges without a token count or a "
        "price; a “≥” marks a sum that leaves them out. Time on this machine is that of one core."
    )
    return el("p", sentence, class_="reading")
