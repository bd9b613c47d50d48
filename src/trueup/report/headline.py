"""The answer first: what to do in each stratum, what it costs, how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueup.plan.engines import MIXED
from trueup.report import costs
from trueup.report.svg import Scale, el, number, tip
from trueup.report.words import (
    DASH,
    as_given,
    breakable,
    certificate,
    count,
    dollars,
    duration,
    interval,
    per_thousand,
    percent,
    plural,
    safe,
)

Study = Mapping[str, Any]
LENGTH = 168.0


def finding(study: Study) -> str:
    """The title of the report: what the plan reaches, and what it costs."""
    plan = study["plan"]
    met, of = sum(choice["meets_target"] for choice in plan["choices"].values()), len(study["strata"])
    verb = "reaches" if met <= 1 else "reach"
    where = _where([choice.get("n") for choice in plan["choices"].values()])
    who = "No stratum" if met == 0 else "The one stratum" if of == 1 else f"{met} of {of} strata"
    usd = plan["cost_per_request"]
    price = "at a cost not known" if usd is None else f"at {per_thousand(usd)} per 1,000 requests"
    return f"{who} {verb} the {as_given(plan['target'])} target{where}, {price}"


def _where(counts: Sequence[int | None]) -> str:
    """On how many held-out items it does; nothing of a study that is older than that."""
    known = [n for n in counts if n is not None]
    if len(known) < len(counts) or not known:
        return ""
    return f" on {plural(sum(known), 'held-out item')}" if any(known) else " (no item was held out)"


def facts(study: Study) -> str:
    """Three figures to take away: the bill, the proof, the price of knowing."""
    plan, spent = study["plan"], costs.whole(study["ledger"]["totals"])
    target, of = as_given(plan["target"]), len(study["strata"])
    certified = sum(row["status"] == "certified" for row in plan["certificate"].values())
    return el(
        "dl",
        _bill(plan),
        _fact(f"{certified} of {of}", f"certified at {target}", data_certified=certified),
        _fact(costs.spent(spent), f"spent on this study, in {duration(spent['seconds'])} of compute"),
        class_="facts",
    )  # fmt: skip


def decisions(study: Study) -> str:
    """One line per stratum: cause, lever, method, accuracy, cost, certificate."""
    plan = study["plan"]
    heads = ("stratum", "why it fails, and what to do", _accuracy_head(plan["target"]), "per 1,000", "certificate")
    head = el("tr", *(el("th", text, scope="col", class_="num" if text == "per 1,000" else None) for text in heads))
    strata = zip(anchors(study).items(), study["strata"].values(), strict=True)
    body = "".join(_decision(name, stratum, plan, anchor) for (name, anchor), stratum in strata)
    return el("div", el("table", el("thead", head), el("tbody", body), class_="decisions"), class_="wide")


def chain(diagnosis: Mapping[str, Any], choice: Mapping[str, Any] | None) -> str:
    """Cause, lever and method, with arrows."""
    arrow = el("span", "→", class_="arrow", aria_label="so")
    method = breakable(choice["label"]) if choice else "no method"
    method = f"until then {method}" if choice and choice.get("is_interim") else method
    steps = (("cause", safe(_cause(diagnosis["cause"]))), ("lever", safe(diagnosis["lever"])), ("method", method))
    return arrow.join(el("span", text, class_=class_) for class_, text in steps)


def _cause(cause: str) -> str:
    return "nothing to mend" if cause == "none" else cause


def _bill(plan: Mapping[str, Any]) -> str:
    if not plan["volume"]:
        return _fact(per_thousand(plan["cost_per_request"]), "per 1,000 requests, no volume being given")
    volume = f"for {count(plan['volume'])} requests"
    return _fact(dollars(plan["cost_per_volume"]), volume, data_cost_per_volume=plan["cost_per_volume"])


def _fact(text: str, words: str, **data: object) -> str:
    return el("div", el("dt", safe(words)), el("dd", safe(text), **data))


def _accuracy_head(target: float) -> str:
    return f"right answers, target {as_given(target)}"


def _decision(name: str, stratum: Mapping[str, Any], plan: Mapping[str, Any], anchor: str) -> str:
    choice, share = plan["choices"].get(name), plan["shares"].get(name)
    proof = plan["certificate"].get(name)
    traffic = el("small", f"{percent(share)} of requests" if share is not None else "")
    return el(
        "tr",
        el("th", el("a", breakable(name), href=f"#{anchor}"), traffic, scope="row"),
        el("td", chain(stratum["diagnosis"], choice), class_="chain"),
        el("td", _accuracy(choice, plan["target"]), class_="accuracy"),
        el("td", _cost(choice), class_="num cost"),
        el("td", _badge(proof, is_mixed=bool(stratum.get("engines"))), class_="proof"),
        data_stratum=name, data_cause=stratum["diagnosis"]["cause"], data_lever=stratum["diagnosis"]["lever"],
        data_label=choice["label"] if choice else None, data_accuracy=choice["accuracy"] if choice else None,
        data_usd=choice["usd"] if choice else None,
    )  # fmt: skip


def anchors(study: Study) -> dict[str, str]:
    """The id of each stratum's section: its place, so that any name will do."""
    return {name: f"stratum-{place}" for place, name in enumerate(study["strata"], 1)}


def _accuracy(choice: Mapping[str, Any] | None, target: float) -> str:
    if choice is None:
        return "not measured"
    if choice["accuracy"] is None:
        return "unknown: no item was held out"
    of = f" of {plural(choice['n'], 'held-out item')}" if "n" in choice else ""
    text = el("b", percent(choice["accuracy"])) + el("small", f"95 %: {interval(choice['ci95'])}{of}")
    return _strip(choice, target) + el("span", text, class_="value")


def _strip(choice: Mapping[str, Any], target: float) -> str:
    scale = Scale(0.0, 1.0, 5.0, LENGTH - 5)
    low, high = (scale.at(end) for end in choice["ci95"])
    at, goal = scale.at(choice["accuracy"]), scale.at(target)
    return el(
        "svg", tip(f"{percent(choice['accuracy'])} ({interval(choice['ci95'])}), target {as_given(target)}"),
        el("line", class_="rule", x1=scale.start, x2=scale.end, y1="10", y2="10"),
        el("line", class_="span", x1=low, x2=high, y1="10", y2="10"),
        el("line", class_="goal", x1=goal, x2=goal, y1="2", y2="18"),
        el("circle", class_="at", cx=at, cy="10", r="5"),
        viewBox=f"0 0 {number(LENGTH)} 20", class_="gauge", role="img",
    )  # fmt: skip


def _cost(choice: Mapping[str, Any] | None) -> str:
    return el("b", per_thousand(choice["usd"]) if choice else DASH) + el("small", "per 1,000 requests")


def _badge(proof: Mapping[str, Any] | None, *, is_mixed: bool) -> str:
    status, _, rest = certificate(proof).partition(": ")
    rest = MIXED if is_mixed else rest
    class_ = "badge certified" if status == "certified" else "badge"
    return el("span", safe(status), class_=class_) + el("small", safe(rest))
