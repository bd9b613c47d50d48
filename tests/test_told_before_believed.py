"""What keeps the grades from saying what a model can do is told beside the cause, or takes its place."""

from __future__ import annotations

import asyncio
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from studies import measured, study
from terminal import at_problems
from toys import PRICES

from trueup.bench.toy import Whole, toy_item
from trueup.cli.summary import AGAIN, print_points, print_summary
from trueup.core.cost import Cost
from trueup.core.ledger import Ledger
from trueup.core.outcome import Measured, Pool
from trueup.core.roles import Verifier
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Sampling, Usage
from trueup.models import Toy
from trueup.plan import diagnose, lay_out
from trueup.plan.diagnose import COPIES, Diagnosis
from trueup.plan.held import held_by
from trueup.report import render
from trueup.run import Clerk, collect
from trueup.verifiers import exact, math
from trueup.verifiers import number as number_verifier

LABELS = ("agree", "strongly agree", "disagree")


def found(
    pools: list[tuple[object, list[str]]], *, temperature: float = 0.8, verifier: Verifier | None = None
) -> Diagnosis:
    """The diagnosis of texts that `exact` graded unless told otherwise, each pool with its item's reference."""
    verifier, made = verifier or exact(), []
    for number, (reference, texts) in enumerate(pools):
        prompt = (Message("user", f"what is {number}?"),)
        problem = Problem(f"i{number}", "s", prompt, Sampling(temperature=temperature))
        tries = tuple(
            Attempt(place, text, "stop", Usage(5, 1), verifier.read(text)) for place, text in enumerate(texts)
        )
        grades = tuple(
            Grade(0.0, parsed=False) if one.answer is None else verifier.check(one.answer, problem, reference)
            for one in tries
        )
        made.append(Pool(Item(problem, reference, problem.id), tries, grades, Cost()))
    whole = Measured(Stratum("s", tuple(pool.item for pool in made), verifier), (), tuple(made), ())
    return diagnose(lay_out(whole, seed=0), 0.9)


def sentences(right: int, of: int = 8) -> list[tuple[object, list[str]]]:
    told = [f"The sum is {{}}, since {place} tens and the ones are added." for place in range(40, 40 + of)]
    return [
        (str(sum_), [text.format(sum_ + (place >= right) * 5) for place, text in enumerate(told)])
        for sum_ in range(500, 540)
    ]


def test_answers_in_sentences_are_a_matter_of_format_with_the_mend_beside_it():
    told = found(sentences(right=5))
    assert (told.cause, told.lever) == ("format", "prompt or constrained decoding")
    line = (
        "the reference stands among other words in 200 of 320 answers graded wrong; `exact` compares the whole text: "
        "--set s.verifier=number, or a pattern"
    )
    assert told.caveat == line and line[1:] in told.summary and "62 % of all attempts" in told.summary


def test_their_loss_is_that_of_format_and_the_losses_still_add_up():
    told = found(sentences(right=5))
    losses = {row.test: row.loss for row in told.evidence}
    assert losses["format"] == pytest.approx(5 / 8) and sum(losses.values()) == pytest.approx(1.0)
    (row,) = [row for row in told.evidence if row.test == "format"]
    assert row.called and row.value == pytest.approx(5 / 8) and row.ci95 is not None and row.ci95[0] > row.threshold


def test_a_model_that_is_seldom_right_in_sentences_lacks_capability_and_its_grader_is_told_of():
    told = found(sentences(right=1))
    assert told.cause == "capability" and "Also called: format." in told.summary
    assert told.caveat.startswith("the reference stands among other words in 40 of 320")


def test_words_for_a_reference_are_read_by_a_pattern_and_no_number():
    pools: list[tuple[object, list[str]]] = [
        (f"town{i}", [f"It is town{i}.", f"I would say town{i}, sir."]) for i in range(20)
    ]
    assert found(pools).caveat.endswith("the whole text: give it a pattern, or ask for the answer alone")


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("12", "112"), ("12", "12.5"), ("12", "-12"), ("12", "1,512"), ("12", "12,000"), ("12", "3/12"),
        ("12", "12:30"), ("12", "x12"), ("no", "nothing"), ("right", "right-hand"),
        (True, "so true"), ({"a": 1}, "a 1"), (None, "none of it"),
    ],
)  # fmt: skip
def test_a_reference_within_another_number_or_word_does_not_stand_there(reference, text):
    sheet = lay_out(measured(["wwww"] * 20, {}), seed=0)
    pools = tuple(
        replace(
            pool,
            item=replace(pool.item, reference=reference),
            attempts=tuple(replace(attempt, answer=text) for attempt in pool.attempts),
        )
        for pool in sheet.pools
        if pool is not None
    )
    assert held_by(replace(sheet, pools=pools), 0.02) is None


def test_the_answers_of_a_closed_list_are_no_sentences():
    pools: list[tuple[object, list[str]]] = [(LABELS[i % 3], ["strongly agree"] * 2) for i in range(30)]
    told = found(pools)
    assert (told.cause, told.caveat) == ("capability", "")


@pytest.mark.parametrize(
    ("verifier", "says"),
    [(math(), "\\boxed{{\\frac{{1}}{{{0}}}}}"), (number_verifier(), "#### {0}%")],
)
def test_a_reference_within_another_formula_or_number_is_a_wrong_answer_and_no_form(verifier, says):
    """A twelfth is read as \\frac{1}{12}, twelve per cent as 12%: both hold the text `12`."""
    pools: list[tuple[object, list[str]]] = [(str(i), [says.format(i)] * 4 + [str(i + 5)] * 4) for i in range(101, 131)]
    told = found(pools, verifier=verifier)
    assert (told.cause, told.caveat) == ("capability", "")
    assert next(row for row in told.evidence if row.test == "format").value == 0.0


@pytest.mark.parametrize("verifier", [exact(case=True), exact(pattern="(.*)")])
def test_exact_compares_texts_with_any_settings(verifier):
    assert found(sentences(right=5), verifier=verifier).cause == "format"


def test_whole_numbers_and_lists_of_references_stand_in_a_text_as_well():
    for reference in (12.0, ["a dozen", "12"], 12):
        assert found([(reference, [f"It is 12 by rule {i}."]) for i in range(20)]).cause == "format"


def copied(temperature: float) -> Diagnosis:
    return found([(str(i), [str(i + i % 2)] * 8) for i in range(2, 26)], temperature=temperature)


def test_copies_at_temperature_0_do_not_tell_capability_from_extraction():
    told = copied(0.0)
    assert (told.cause, told.lever, told.caveat) == ("unknown", "a temperature above 0", COPIES)
    assert told.summary.startswith("Attempts are copies at temperature 0: set a temperature above 0")
    assert copied(0.8).cause == "capability"


def test_attempts_that_differ_at_temperature_0_are_no_copies():
    """As where an endpoint takes no temperature and samples by its own."""
    pools: list[tuple[object, list[str]]] = [(str(i), [str(i + 1), str(i + 2), str(i + 3)]) for i in range(30, 60)]
    assert found(pools, temperature=0.0).cause == "capability"


def test_a_limit_of_form_is_told_at_temperature_0_too():
    assert found([(str(i), [""] * 8) for i in range(20)], temperature=0.0).cause == "format"


def gathered(tmp_path: Path, temperature: float, samples: int) -> list[str]:
    one = toy_item(1)
    item = replace(one, problem=replace(one.problem, sampling=Sampling(temperature=temperature)))
    stratum = Stratum("toy", (item,), Whole(), Whole())

    async def go() -> None:
        with Ledger(tmp_path / f"{temperature}-{samples}") as ledger:
            await collect([stratum], {"toy": ()}, samples, Clerk(Toy(1.0), ledger, PRICES), lanes=1)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(go())
    return [str(one.message) for one in told]


def test_copies_are_warned_of_before_they_are_drawn(tmp_path):
    (line,) = gathered(tmp_path, 0.0, 8)
    assert line == (
        "stratum 'toy': at temperature 0 the 8 samples of an item are copies; set a temperature above 0, or --samples 1"
    )
    assert gathered(tmp_path, 0.0, 1) == gathered(tmp_path, 0.8, 8) == []


def printed(capsys: pytest.CaptureFixture[str], tmp_path: Path, whole: dict[str, Any]) -> str:
    print_summary(whole | {"left_out": {}, "models": {}}, tmp_path, 0, 1.0)
    return capsys.readouterr().out


def test_what_failed_is_said_to_be_asked_again_by_the_same_study(capsys, tmp_path):
    whole = study(measured(["rraa"] * 10, {"once": "rrrrr!!!!!"}))
    said = printed(capsys, tmp_path, whole)
    assert said.count(f"  s: {AGAIN}\n") == 1
    print_points(whole["strata"])
    assert AGAIN in capsys.readouterr().out
    assert AGAIN not in printed(capsys, tmp_path, study(measured(["rraa"] * 10, {"once": "rrrrraaaaa"})))


def test_a_cause_of_few_of_the_items_or_that_is_not_established_says_so_beside_it(capsys, tmp_path):
    few = study(measured(["raaa"] * 4 + [""] * 6, {"once": "rrrr!!!!!!"}))
    assert "the cause is that of 4 of 10 items; the others have no attempt\n" in printed(capsys, tmp_path, few)
    doubtful = study(measured(["r" * 16] * 5 + ["abcdefghijklmnop"], {"once": "rrrrra"}))
    line = "  s: the cause is not established: with 6 items no test clears its threshold"
    assert line in printed(capsys, tmp_path, doubtful)
    sure = study(measured(["aaaa"] * 30, {"once": "a" * 30}))
    assert sure["strata"]["s"]["diagnosis"]["caveat"] == "" and "the cause is" not in printed(capsys, tmp_path, sure)


def test_a_study_of_an_older_version_has_no_caveat(capsys, tmp_path):
    whole = study(measured(["aaaa"] * 4, {"once": "a" * 4}))
    del whole["strata"]["s"]["diagnosis"]["caveat"]
    assert "the cause is" not in printed(capsys, tmp_path, whole)


def test_the_report_draws_a_cause_that_is_unknown():
    whole = study(measured(["aaaa"] * 30, {"once": "a" * 30}))
    whole["strata"]["s"]["diagnosis"] |= {"cause": "unknown", "lever": "a temperature above 0"}
    assert "the cause: unknown" in render(whole | {"left_out": {}, "models": {}})


def test_the_summary_names_what_graded_a_lone_file(tmp_path, monkeypatch, capsys):
    go = at_problems(tmp_path, monkeypatch, capsys, [f"problem {i}" for i in range(4)])
    words = ("--model", "toy:0.5", "--methods", "once", "--samples", "2", "-q")
    assert "  w: graded by `exact`; --set w.verifier=NAME takes another\n" in go("study", "w.jsonl", *words).out
    (tmp_path / "task.toml").write_text('[[stratum]]\nname = "w"\nsource = "jsonl:w.jsonl"\n')
    assert "graded by" not in go("study", "task.toml", *words, "--out", "o").out
    assert json.loads((tmp_path / "o" / "study.json").read_text())["strata"]["w"]["verifier"] == "exact"
