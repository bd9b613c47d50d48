"""Counters of what was served, in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from trueup.core.cost import Cost

COUNTERS = {
    "trueup_requests_total": "Requests answered, by stratum and status code.",
    "trueup_errors_total": "Requests answered with an error, by stratum and status code.",
    "trueup_tokens_total": "Tokens of requests, answered or not, those of discarded attempts included.",
    "trueup_unknown_tokens_total": "Requests whose tokens the model's endpoint did not tell.",
    "trueup_seconds_total": "Seconds of compute, or of waiting for what is bought, that requests took.",
    "trueup_usd_total": "Dollars that requests cost, answered or not, priced as if nothing had come from the ledger.",
    "trueup_unpriced_total": "Requests whose price is not known.",
    "trueup_from_ledger_total": "Answers for which the model was not called.",
}
GAUGES = {
    "trueup_active_requests": "Requests being worked on.",
    "trueup_waiting_requests": "Requests waiting for a lane.",
}

Labels = tuple[tuple[str, str], ...]


class Meter:
    """Adds up; never forgets, until the process ends."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._sums: dict[str, dict[Labels, Decimal]] = {name: {} for name in COUNTERS}

    def request(self, stratum: str, status: int) -> None:
        """A request was answered with this status; `stratum` is empty where it never got to one."""
        self._add("trueup_requests_total", 1, stratum=stratum, code=str(status))
        if status >= 400:
            self.error(stratum, status)

    def error(self, stratum: str, status: int) -> None:
        """A request failed so, be it in the middle of its stream."""
        self._add("trueup_errors_total", 1, stratum=stratum, code=str(status))

    def spend(self, stratum: str, cost: Cost) -> None:
        """A method has ended at this cost, with an answer or without; of a call broken off only the ledger knows."""
        if cost.prompt_tokens is None or cost.completion_tokens is None:
            self._add("trueup_unknown_tokens_total", 1, stratum=stratum)
        self._add("trueup_tokens_total", cost.prompt_tokens or 0, stratum=stratum, kind="prompt")
        self._add("trueup_tokens_total", cost.completion_tokens or 0, stratum=stratum, kind="completion")
        self._add("trueup_seconds_total", Decimal(repr(cost.seconds)), stratum=stratum)
        self._add("trueup_usd_total", cost.usd or 0, stratum=stratum)
        self._add("trueup_unpriced_total", int(cost.usd is None), stratum=stratum)

    def answer(self, stratum: str, *, is_fresh: bool) -> None:
        """A method has answered; fresh is what the model was called for."""
        self._add("trueup_from_ledger_total", int(not is_fresh), stratum=stratum)

    def text(self, gauges: Mapping[str, int]) -> str:
        """Everything, as a scraper reads it."""
        lines: list[str] = []
        for name, told in GAUGES.items():
            lines += [f"# HELP {name} {told}", f"# TYPE {name} gauge", f"{name} {gauges[name]}"]
        for name, told in COUNTERS.items():
            lines += [f"# HELP {name} {told}", f"# TYPE {name} counter"]
            lines += [f"{name}{{{_labels(labels)}}} {amount:f}" for labels, amount in self._sums[name].items()]
        return "\n".join(lines) + "\n"

    def _add(self, counter: str, amount: Decimal | int, **labels: str) -> None:
        sums, key = self._sums[counter], tuple(labels.items())
        sums[key] = sums.get(key, Decimal(0)) + amount


def _labels(labels: Labels) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
