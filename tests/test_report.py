"""The report: exact numbers, no escape for strangers' text, nothing fetched."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from studies import measured
from studies import study as planned

from trueup.cli.summary import print_points, print_summary
from trueup.core.errors import BadInput
from trueup.plan import Wish, exact_interval
from trueup.plan.words import floored
from trueup.report import render, write_report
from trueup.report.answers import alike
from trueup.report.axes import Frame
from trueup.report.breakeven import ways
from trueup.report.costs import spent
from trueup.report.frontier import pareto
from trueup.report.labels import Box, Mark, place, stack
from trueup.report.page import LARGEST
from trueup.report.spend import axis
from trueup.report.svg import Scale, log_scale, log_ticks
from trueup.report.words import (
    as_given,
    certificate,
    dollars,
    duration,
    interval,
    per_thousand,
    percent,
    safe,
    tick_dollars,
)

FIXTURE = Path(__file__).parent / "data" / "study.json"
POISON = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m\u202e\ud800\x00</script><!--]]>"
VOID = {"meta", "wbr", "circle", "line", "path", "rect"}
Study = dict[str, Any]


class Page(HTMLParser):
    """Every element with its attributes, in order; complains where tags do not balance."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID, f"<{tag}/> does not close itself in HTML"
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"style", "script"}:
            self.texts.append(data)

    def having(self, class_: str, *names: str) -> list[dict[str, str]]:
        """The attributes of the elements of a class that carry these data."""
        return [
            found
            for _, found in self.elements
            if class_ in found.get("class", "").split() and all(f"data-{name}" in found for name in names)
        ]


@pytest.fixture(scope="module")
def study() -> Study:
    read: Study = json.loads(FIXTURE.read_text())
    return read


def value_of(found: Mapping[str, str], name: str) -> Any:
    return json.loads(found[f"data-{name}"])


def changed(study: Study, change: Callable[[Study], object]) -> Study:
    other = copy.deepcopy(study)
    change(other)
    return other


def test_every_frontier_point_carries_its_exact_numbers(study: Study) -> None:
    page = Page(render(study))
    for name, stratum in study["strata"].items():
        dots = [dot for dot in page.having("point", "accuracy") if dot["data-stratum"] == name]
        assert [
            (d["data-label"], value_of(d, "accuracy"), value_of(d, "low"), value_of(d, "high"), value_of(d, "usd"))
            for d in dots
        ] == [(p["label"], p["accuracy"], *p["ci95"], p["cost"]["usd"]) for p in stratum["points"]]


def test_every_coverage_value_is_in_its_curve(study: Study) -> None:
    page = Page(render(study))
    for name, stratum in study["strata"].items():
        knots = [knot for knot in page.having("knot", "k") if knot["data-stratum"] == name]
        assert [[value_of(k, key) for key in ("k", "pass-at-k", "low", "high")] for k in knots] == [
            [row["k"], row["pass_at_k"], *row["ci95"]] for row in stratum["coverage"]
        ]


def test_evidence_bars_carry_value_threshold_and_verdict(study: Study) -> None:
    page = Page(render(study))
    bars = [(b["data-stratum"], b["data-test"], value_of(b, "value"), value_of(b, "threshold"), value_of(b, "called"))
            for b in page.having("evidence", "test")]  # fmt: skip
    assert bars == [
        (name, row["test"], row["value"], row["threshold"], row["called"])
        for name, stratum in study["strata"].items()
        for row in stratum["diagnosis"]["evidence"]
    ]


def test_headline_names_the_choice_of_every_stratum_and_the_bill(study: Study) -> None:
    page = Page(render(study))
    rows = [found for tag, found in page.elements if tag == "tr" and "data-cause" in found]
    choices = study["plan"]["choices"]
    assert [(r["data-stratum"], r["data-label"], value_of(r, "accuracy"), value_of(r, "usd")) for r in rows] == [
        (name, choice["label"], choice["accuracy"], choice["usd"]) for name, choice in choices.items()
    ]
    figures = {
        key: json.loads(value) for _, found in page.elements for key, value in found.items() if "-cost-per" in key
    }
    assert figures == {
        "data-cost-per-request": study["plan"]["cost_per_request"],
        "data-cost-per-volume": study["plan"]["cost_per_volume"],
    }
    assert "1 of 3 strata reaches the 90\u202f% target, at $0.024 per 1,000 requests" in page.texts


def test_break_even_volumes_are_marked_and_the_rest_is_explained(study: Study) -> None:
    page = Page(render(study))
    rows = study["plan"]["breakeven"]
    crossings = [(c["data-stratum"], c["data-b"], value_of(c, "volume")) for c in page.having("crossing", "volume")]
    assert crossings == [(row["stratum"], row["b"], row["volume"]) for row in rows if row["volume"]]
    shown = "".join(page.texts).replace("\u202f", " ")
    assert [row["note"] for row in rows if row["note"].replace("`", "") not in shown] == []


def test_training_line_meets_every_arm_at_its_break_even_volume(study: Study) -> None:
    rows = [row for row in study["plan"]["breakeven"] if row["stratum"] == "arithmetic"]
    training, *arms = ways(rows, study["strata"]["arithmetic"]["points"], study["plan"])
    each = {arm.label: arm for arm in arms}
    crossings = [row for row in rows if row["volume"]]
    assert len(crossings) == 3
    for row in crossings:
        assert training.total(row["volume"]) == pytest.approx(each[row["b"]].total(row["volume"]), rel=1e-6)
    assert (training.fixed, {arm.fixed for arm in arms}) == (12.0, {0.0})


def test_training_line_counts_errors_where_the_plan_did() -> None:
    # After training: $2 a request, right 90 %, an error at $10: 3 in all; a costs 4 + 5, b 6 + 2. Training is $12.
    points = [{"label": n, "accuracy": a, "cost": {"usd": u}} for n, a, u in (("a", 0.5, 4.0), ("b", 0.8, 6.0))]
    rows = [{"a": "training", "b": "a", "volume": 12 / 6}, {"a": "training", "b": "b", "volume": 12 / 5}]
    training, *arms = ways(rows, points, {"training_usd": 12.0, "error_usd": 10.0})
    assert [round(arm.each, 9) for arm in arms] == [9.0, 8.0]
    assert training.each == pytest.approx(3.0)


def test_losses_are_shared_out_along_a_strip(study: Study) -> None:
    parts = [found for _, found in Page(render(study)).elements if "data-loss" in found]
    assert [(p["data-stratum"], p["data-cause"], value_of(p, "loss")) for p in parts] == [
        (name, row["test"], row["loss"])
        for name, stratum in study["strata"].items()
        for row in stratum["diagnosis"]["evidence"]
        if row["loss"] > 0.0005
    ]


def test_cost_bars_carry_the_ledger_totals(study: Study) -> None:
    bars = {bar["data-kind"]: value_of(bar, "usd") for bar in Page(render(study)).having("share", "kind")}
    assert {kind: usd for kind, usd in bars.items() if kind != "all"} == {
        total["kind"]: total["usd"] for total in study["ledger"]["totals"]
    }


def test_report_is_one_small_file_that_fetches_nothing(study: Study) -> None:
    html = render(study)
    page = Page(html)
    loads = [
        v for _, found in page.elements for k, v in found.items() if k in {"src", "href", "srcset", "data", "action"}
    ]
    assert loads
    assert all(target.startswith("#") for target in loads)
    assert not re.search(r"url\(|@import|https?://|<link|<iframe", html)
    assert len(html.encode()) < LARGEST
    assert not page.open


def test_script_is_small(study: Study) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", render(study), flags=re.DOTALL)
    assert [len(script) < 5_000 for script in scripts] == [True]


def test_links_within_the_page_lead_somewhere(study: Study) -> None:
    page = Page(render(study))
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    assert {found["href"][1:] for _, found in page.elements if "href" in found} <= set(ids)


def test_same_study_gives_the_same_bytes(study: Study) -> None:
    assert render(study) == render(json.loads(json.dumps(study)))


def poisoned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: poisoned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [poisoned(inner) for inner in value]
    return value + POISON if isinstance(value, str) else value


def test_no_string_of_a_study_becomes_markup(study: Study) -> None:
    bad = poisoned(study)
    bad["prices"] |= {"core_hour": "0.05", "models": {POISON: {"prompt": "1", "completion": "2", "cached": "0.5"}}}
    for group in (bad["strata"], bad["plan"]["choices"], bad["plan"]["shares"], bad["plan"]["certificate"]):
        for name in list(group):
            group[name + POISON] = group.pop(name)
    html = render(bad)
    page = Page(html)
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not [tag for tag, _ in page.elements if tag in {"img", "iframe", "object", "embed"}]
    assert not [key for _, found in page.elements for key in found if key.startswith("on")]
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", html)
    html.encode("utf-8")
    assert "⟨ESC⟩[31m⟨U+202E⟩⟨U+D800⟩⟨NUL⟩" in html
    assert json.loads(embedded(html)) == bad


def embedded(html: str) -> str:
    found = re.search(r'<script type="application/json" id="study">(.*?)</script>', html, flags=re.DOTALL)
    assert found
    return found[1]


def test_raw_study_is_embedded_whole(study: Study) -> None:
    raw = embedded(render(study))
    assert json.loads(raw) == study
    assert not set("<>&") & set(raw)


def test_wrong_answers_are_shown_verbatim(study: Study) -> None:
    texts = "".join(Page(render(study)).texts)
    for stratum in study["strata"].values():
        for example in stratum["examples"]:
            for answer in example["answers"]:
                assert (
                    answer["text"].replace("\x1b", "⟨ESC⟩").replace("\u202e", "⟨U+202E⟩").replace("\u202c", "⟨U+202C⟩")
                    in texts
                )


def test_alike_answers_are_shown_once_under_all_their_arms() -> None:
    one, other = {"text": "4", "value": "4", "right": True}, {"text": "5", "value": "5", "right": False}
    rows = [one | {"label": "a"}, other | {"label": "b"}, one | {"label": "c"}]
    assert [(labels, answer["text"]) for labels, answer in alike(rows)] == [(["a", "c"], "4"), (["b"], "5")]


def test_every_drawing_is_well_formed(study: Study) -> None:
    drawings = re.findall(r"<svg.*?</svg>", render(study), flags=re.DOTALL)
    assert len(drawings) > 30
    for drawing in drawings:
        for element in ElementTree.fromstring(drawing).iter():
            assert "nan" not in " ".join(element.attrib.values())


def no_prices(study: Study) -> None:
    for stratum in study["strata"].values():
        for point in stratum["points"]:
            point["cost"] |= {"usd": None, "flops": None}
    for choice in study["plan"]["choices"].values():
        choice["usd"] = None
    for total in study["ledger"]["totals"]:
        total |= {"unpriced": total["charges"], "usd": 0}
    study["plan"] |= {"cost_per_request": None, "cost_per_volume": None, "volume": None, "breakeven": []}


def nothing_known(study: Study) -> None:
    no_prices(study)
    study["ledger"] = {"charges": 0, "totals": []}
    study["model"] |= {"parameters": None, "layers": None, "width": None}
    for stratum in study["strata"].values():
        stratum["examples"] = []
        stratum["coverage"] = stratum["coverage"][:1]
        for point in stratum["points"]:
            point["cost"] |= {"prompt_tokens": None, "completion_tokens": None}
        for row in stratum["diagnosis"]["evidence"]:
            row |= {"value": None, "ci95": None, "threshold": None, "called": False}


def no_points(study: Study) -> None:
    for stratum in study["strata"].values():
        stratum |= {"points": [], "coverage": []}
        stratum["diagnosis"]["evidence"] = []
    study["plan"] |= {"choices": {}, "certificate": {}, "shares": {}, "breakeven": []}


def one_stratum(study: Study) -> None:
    for name in ("calls", "sudoku"):
        for group in (study["strata"], study["plan"]["choices"], study["plan"]["certificate"], study["plan"]["shares"]):
            del group[name]
    study["plan"]["breakeven"] = study["plan"]["breakeven"][:2]


def free_and_unknown(study: Study) -> None:
    points = study["strata"]["arithmetic"]["points"]
    points[0]["cost"]["usd"], points[1]["cost"]["usd"] = 0.0, None


def beyond_shares(study: Study) -> None:
    study["strata"]["calls"]["diagnosis"]["evidence"][0] |= {"value": -0.2, "ci95": [-0.4, 0.1], "threshold": 1.5}


def twelve_strata(study: Study) -> None:
    groups = (study["strata"], study["plan"]["choices"], study["plan"]["certificate"], study["plan"]["shares"])
    for group in groups:
        first = group["arithmetic"]
        group.clear()
        for number in range(12):
            group[f"stratum_number_{number:02}_" + "with_a_name_that_does_not_end"] = copy.deepcopy(first)
    study["plan"]["breakeven"] = [
        row | {"stratum": name} for row in study["plan"]["breakeven"][:2] for name in groups[0]
    ]


ODD = [no_prices, nothing_known, no_points, one_stratum, free_and_unknown, beyond_shares, twelve_strata]


@pytest.mark.parametrize("change", ODD)
def test_odd_studies_render_small_and_well_formed(study: Study, change: Callable[[Study], object]) -> None:
    other = changed(study, change)
    html = render(other)
    page = Page(html)
    assert not page.open
    assert len(html.encode()) < max(LARGEST, 45_000 * len(other["strata"]))
    for drawing in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        ElementTree.fromstring(drawing)
    assert len(page.having("point", "accuracy")) == sum(len(s["points"]) for s in other["strata"].values())


def test_unknown_prices_are_called_unknown_never_nothing(study: Study) -> None:
    texts = Page(render(changed(study, no_prices))).texts
    assert "No stratum" not in texts[0]
    assert "1 of 3 strata reaches the 90\u202f% target, at a cost not known" in texts
    assert "tokens per request" in texts
    assert "$0" not in texts


def test_long_texts_are_cut_before_the_file_grows_large(study: Study) -> None:
    def lengthen(study: Study) -> None:
        for stratum in study["strata"].values():
            for example in stratum["examples"]:
                for number, answer in enumerate(example["answers"]):
                    answer["text"] = f"{number} word" * 700

    html = render(changed(study, lengthen))
    assert len(html) < LARGEST
    assert "more characters in the raw study below" in html


@pytest.mark.parametrize(
    ("change", "words"),
    [({"version": 2}, "version 2, this trueup reads 1"), ({"plan": None}, "has no 'plan'; run `trueup plan`")],
)
def test_a_study_that_cannot_be_shown_is_refused_in_one_line(study: Study, change: Study, words: str) -> None:
    with pytest.raises(BadInput, match=re.escape(words)):
        render(study | change)


@pytest.mark.parametrize("content", [[], [1], "x", 3, None])
def test_what_is_no_study_is_refused_in_one_line(content: object, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"study.json is a {type(content).__name__}, no table; run `trueup study` again"):
        write_report(content, tmp_path / "report.html")


def test_a_study_as_the_plan_makes_it_is_shown(tmp_path: Path) -> None:
    arms = {"once": "raa?", "vote n=4": "rra?", "best_of_n n=4": "rrr!"}
    usd = {"once": "0.001", "vote n=4": "0.004", "best_of_n n=4": None}
    pools = measured(["rraa", "arrr", "aaar", "a?-A"], arms, usd=usd, oracles=["best_of_n n=4"])
    made = planned(pools, wish=Wish(training_usd=Decimal(30)), samples=4)
    page = Page(render(made))
    assert [dot["data-label"] for dot in page.having("point", "accuracy")] == list(arms)
    assert [value_of(crossing, "volume") for crossing in page.having("crossing", "volume")] == [10_000]
    assert "no answer: 500 from upstream" in page.texts


def test_what_an_arm_decided_and_decided_wrongly_is_shown_beside_its_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = planned(measured(["rraa"] * 4, {"once": "raaa", "solve": "rra_"}), samples=4)
    page = Page(render(made))
    (line,) = [text for text in page.texts if "abstained on" in text]
    shown = "solve abstained on 1 of 4: it decided 3 ({}; {}), and 1 ({}; {}) wrongly"
    three, one = (exact_interval(count, 4) for count in (3, 1))
    assert line == shown.format(percent(0.75), interval(list(three)), percent(0.25), interval(list(one)))
    assert {"decided", "decided wrongly", "abstained", "unreadable"} <= set(page.texts)
    assert "Answers in parts" not in page.texts
    whole = made | {"left_out": {}, "models": {}}
    print_summary(whole, tmp_path, 0, 1.0)
    print_points(whole["strata"])
    told = "s, solve: decided 3 of 4 (19%-99%), wrong though decided 1 of 4 (1%-81%)"
    out = capsys.readouterr().out
    assert out.count(told) == 2 and "s, once: decided" not in out


def test_answers_with_parts_have_a_table_of_the_benchmarks_measures() -> None:
    made = planned(measured(["rraa"] * 4, {"once": "raaa"}), samples=4)
    share = {"count": 30, "n": 40, "value": 0.75, "ci95": [0.5, 0.9]}
    made["strata"]["s"]["points"][0]["parts"] = {"s_acc": share, "pm_half": share | {"value": 0.6}}
    page = Page(render(made))
    assert "Answers in parts" in page.texts
    assert {"answered (CR)", "sub-answers right (S-Acc)", "right by half or more (PM-0.5)"} <= set(page.texts)
    assert {percent(0.75), percent(0.6), interval([0.5, 0.9])} <= set(page.texts)


def test_report_is_written_whole_or_refused(study: Study, tmp_path: Path) -> None:
    write_report(study, tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text() == render(study)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="choose another --out"):
        write_report(study, tmp_path / "file" / "report.html")


def test_frontier_leaves_out_the_beaten_and_the_oracle() -> None:
    rows = [("a", 1e-6, 0.5, False), ("b", 2e-6, 0.4, False), ("c", 3e-6, 0.9, True), ("d", 4e-6, 0.6, False)]
    cost = {"prompt_tokens": 1, "completion_tokens": 1}
    points = [{"label": n, "accuracy": a, "oracle": o, "cost": cost | {"usd": u}} for n, u, a, o in rows]
    assert [point["label"] for point in pareto(points, axis(points, Frame()))] == ["a", "d"]


def test_labels_of_a_crowd_do_not_overlap() -> None:
    marks = [Mark(200 + 3 * i, 300 - i, 320, 250, f"adaptive_vote n={i}") for i in range(14)]
    placed = place(marks, Box(46, 20, 470, 312))
    assert len(placed) == 14
    assert sum(a.box.overlap(b.box) for a in placed for b in placed if a is not b) == 0


def test_stacked_names_keep_their_distance_and_their_middle() -> None:
    assert stack([100, 104, 200], [20, 20, 20], 300) == [92, 112, 200]
    assert stack([290, 295], [20, 20], 300) == [270, 290]


def test_scale_of_logarithms_puts_the_middle_between() -> None:
    scale = Scale(1, 100, 0, 50, log=True)
    assert [scale.at(value) for value in (1, 10, 100)] == pytest.approx([0, 25, 50])
    assert log_ticks(log_scale([2.0], 0, 1)) == [1, 2]
    assert log_ticks(Scale(0.01, 1e6, 0, 1, log=True)) == [0.01, 1, 100, 10_000, 1_000_000]


def test_numbers_are_written_for_people() -> None:
    assert per_thousand(0.00012) == "$0.12"
    assert [dollars(usd) for usd in (0, 0.0034, 0.5, 31.86, 12345.6, 4.1e-9, None)] == [
        "$0", "$0.0034", "$0.50", "$31.86", "$12,346", "$4.1 \u00d7 10⁻⁹", "unknown",
    ]  # fmt: skip
    assert [tick_dollars(usd) for usd in (0.005, 0.1, 1, 20_000)] == ["$0.005", "$0.1", "$1", "$20k"]
    assert [percent(share) for share in (0.5, 1, 0.996, 0, 0.004, 0.0001, None)] == [
        "50\u202f%", "100\u202f%", "99.6\u202f%", "0\u202f%", "0.4\u202f%", "<\u202f0.1\u202f%", "unknown",
    ]  # fmt: skip
    assert interval([0.31, 0.69]) == "31\u2009\u2013\u200969\u202f%"
    assert interval([-0.1, 0.2]) == "-10 to 20\u202f%"
    assert [duration(s) for s in (0.0117, 12, 5400, None)] == ["11.7\u202fms", "12\u202fs", "1.5\u202fh", "unknown"]


def test_what_is_promised_is_never_rounded_up() -> None:
    shares = (0, 0.0004, 0.0049, 0.1697, 0.1938, 1 - 0.07, 0.975, 0.8985, 0.9012, 0.9949, 0.99996, 1)
    assert [floored(share, "%") for share in shares] == [
        "0%", "0%", "0.4%", "16.9%", "19%", "93%", "97.5%", "89.8%", "90%", "99.4%", "99.9%", "100%",
    ]  # fmt: skip


def test_a_target_keeps_its_own_digits(study: Study) -> None:
    assert [as_given(share) for share in (0.9, 0.995, 0.57, 1, 1.0, 0.12345)] == [
        "90\u202f%", "99.5\u202f%", "57\u202f%", "100\u202f%", "100\u202f%", "12.345\u202f%",
    ]  # fmt: skip
    page = render(study | {"plan": study["plan"] | {"target": 0.895, "delta": 0.025}})
    texts = Page(page).texts
    assert "certified at 89.5\u202f%" in texts and "97.5\u202f% confidence" in texts
    assert "target 89.5\u202f%" in texts and "target 90\u202f%" not in page


def test_certificates_are_written_in_plain_words() -> None:
    row = {
        "status": "uncertified",
        "target": 0.9,
        "bound": 0.8,
        "n": 20,
        "right": 19,
        "delta": 0.05,
        "needs": 141,
        "note": "",
    }
    assert certificate(row) == "uncertified: needs 141 items, looked at once"
    assert certificate(row | {"needs": None}) == "uncertified: 19 of 20 held-out items right"
    assert certificate(row | {"needs": None, "n": 0}) == "uncertified: no item was held out"
    assert certificate(row | {"status": "certified", "bound": 0.91}) == (
        "certified: at least 91\u202f% right with 95\u202f% confidence"
    )
    assert certificate(row | {"status": "certified", "bound": 0.8985, "delta": 0.025}) == (
        "certified: at least 89.8\u202f% right with 97.5\u202f% confidence"
    )


def test_dollars_that_are_partly_unknown_are_a_lower_bound() -> None:
    total = {"kind": "sampled", "charges": 3, "usd": 0.5, "unpriced": 1}
    assert spent(total) == "≥ $0.50"
    assert spent(total | {"unpriced": 3, "usd": 0}) == "unknown"


def test_hidden_characters_are_made_visible() -> None:
    assert safe("a\x1b[1m\u200b<b>\r\n\té\u05d0") == "a⟨ESC⟩[1m⟨U+200B⟩&lt;b&gt;⟨CR⟩\n\té\u05d0"
