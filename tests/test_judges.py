"""Judges and checks of known rates, measured on a study; what they are asked is what methods ask."""

from __future__ import annotations

import json

import pytest
from mock_endpoint import MockEndpoint, error, loopback
from terminal import trueup
from toys import attempts, finish, problem

from trueup.core.asks import Check, Sample
from trueup.core.types import Attempt, Grade, Usage
from trueup.methods.generative_verify import VERIFY, generative_verify
from trueup.methods.hearing import Verdict, hear_check, hear_judge
from trueup.methods.judge_best import judge_best
from trueup.methods.judge_pairwise import PAIR
from trueup.methods.verdicts import Bench
from trueup.plan import measure_judge

ODD = tuple("13579")
RIGHT, WRONG, UNREAD = Grade(1.0), Grade(0.0), Grade(0.0, parsed=False)


def said(*texts):
    """What judges said."""
    return tuple(Attempt(i, text, "stop", Usage(5, 1)) for i, text in enumerate(texts))


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def go(*words, code=0):
        trueup(monkeypatch, *words, code=code)
        return capsys.readouterr()

    return go


@pytest.fixture
def study(run, tmp_path):
    """A study of twenty problems that a toy answers right half of the time, in the folder o."""
    rows = [{"id": f"q{i}", "prompt": f"problem {i}", "reference": "right"} for i in range(20)]
    (tmp_path / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("study", "w.jsonl", "--model", "toy:0.5", "--samples", "4", "--methods", "once", "--out", "o", "-q")
    return run


def shown(call):
    """The attempt that a judge was shown."""
    return call.body["messages"][-2]["content"]


def lax(body):
    """Passes all that is right, and what is wrong where its number is even."""
    text = body["messages"][-2]["content"]
    return "Yes." if text == "right" or text[-1] in "02468" else "I say no"


# what is asked


def test_a_judge_hears_what_judge_best_asks():
    """The very same asks, so that what was measured is paid for when the method runs."""
    drawn, bench = attempts("a", None, "b"), Bench(2, 16, "big")
    asks, verdicts = finish(
        hear_judge("judge_best", problem("q"), bench, drawn, (RIGHT, UNREAD, WRONG)),
        [said("yes", "no"), said("yes", "so so")],
    )
    told = [drawn, said("yes", "no"), said("yes", "no")]
    assert asks == finish(judge_best(problem("q"), n=3, k=2, judge_model="big"), told)[0][1:]
    assert verdicts == [Verdict(True, True), Verdict(False, True), Verdict(True, False), Verdict(None, False)]


def test_a_verifier_in_writing_hears_what_generative_verify_asks():
    drawn = attempts("a", "b")
    asks, _ = finish(
        hear_judge("generative_verify", problem("q"), Bench(1, 99, ""), drawn, (RIGHT, WRONG)), [said("yes")] * 2
    )
    assert asks == finish(generative_verify(problem("q"), n=2, k=1, tokens=99), [drawn, said("no"), said("no")])[0][1:]
    assert asks[0].prompt[-1].content == VERIFY


def test_pairs_of_a_right_and_a_wrong_answer_are_heard_in_both_places():
    drawn = attempts("a", "b", "a", None, "c")
    asks, verdicts = finish(
        hear_judge("judge_pairwise", problem("q"), Bench(1, 16, ""), drawn, (RIGHT, WRONG, RIGHT, UNREAD, WRONG)),
        [said(letter) for letter in "ABAA"],
    )
    places = [("<a>", "<b>"), ("<b>", "<a>"), ("<a>", "<c>"), ("<c>", "<a>")]
    wanted = [f"q\n\n{PAIR.format(first=first, second=second)}" for first, second in places]
    assert [(ask.prompt[-1].content, ask.start, ask.kind) for ask in asks] == [(text, 0, "judge") for text in wanted]
    assert verdicts == [Verdict(True, True), Verdict(False, False), Verdict(True, True), Verdict(True, False)]


def test_a_check_hears_every_attempt_and_what_cannot_be_read_is_wrong():
    asks, verdicts = finish(
        hear_check(problem("q"), attempts("a", None, "b"), (RIGHT, UNREAD, WRONG)), [(WRONG, UNREAD, RIGHT)]
    )
    assert asks == [Check(problem("q"), attempts("a", None, "b"))]
    assert verdicts == [Verdict(False, True), Verdict(False, False), Verdict(True, False)]


def test_no_ask_of_a_hearing_is_a_sample_of_the_problem():
    asks, _ = finish(hear_judge("judge_best", problem(), Bench(1, 8, ""), attempts("a"), (RIGHT,)), [said("no")])
    assert all(isinstance(ask, Sample) and ask.kind == "judge" for ask in asks)


# rates


def test_rates_have_exact_intervals_that_clusters_widen():
    """Clopper and Pearson on 9 of 10 is (.555, .9975); ten verdicts on two problems say less."""
    passed, right = [True] * 9 + [False] + [False] * 10, [True] * 10 + [False] * 10
    alone = measure_judge(passed, right)
    assert (alone.q1, alone.q0) == (pytest.approx(0.9), 1.0)
    assert alone.q1_ci95 == pytest.approx((0.555, 0.9975), abs=1e-3)
    assert alone.q0_ci95 == pytest.approx((0.6915, 1.0), abs=1e-3) and not alone.may_be_chance
    tied = measure_judge(passed, right, [*"aaaaabbbbb", *"aaaaabbbbb"])
    assert (tied.q0, tied.q1, tied.m0, tied.m1) == (alone.q0, alone.q1, 10, 10)
    assert tied.q0_ci95[0] < 0.2 and tied.may_be_chance


# the command


def test_a_judge_of_known_rates_is_measured_and_charged(study):
    judge = MockEndpoint(reply=lax)
    with loopback(judge.app) as url:
        words = ("learn", "judge", "o", "--model", f"openai:{url}/v1#j", "--json", "-q")
        found = json.loads(study(*words).out)
        again = json.loads(study(*words).out)
    wrong = [shown(call) for call in judge.calls if shown(call) != "right"]
    assert found["q0"]["value"] == pytest.approx(sum(text[-1] in "13579" for text in wrong) / len(wrong))
    assert 0 < found["q0"]["value"] < 1 and found["q1"]["value"] == 1
    assert (found["q0"]["n"], found["q1"]["n"]) == (len(wrong), 40 - len(wrong))
    assert found["problems"] == 10 and found["new_calls"] == len(judge.calls) == 40
    assert again == found | {"new_calls": 0}
    rows = {row["kind"]: row["charges"] for row in json.loads(study("ledger", "show", "o", "--json").out)}
    assert rows["judge"] == 40


def test_the_line_to_paste_runs_and_finds_its_judgements_paid_for(study):
    judge = MockEndpoint(reply=lax)
    with loopback(judge.app) as url:
        spec = f"openai:{url}/v1#j"
        said = " ".join(
            study("learn", "judge", "o", "--with", f"j={spec}", "--method", "judge_best n=4", "-q").out.split()
        )
        use = said.partition("use it as ")[2]
        rate = use.partition("q0=")[2].partition(" ")[0]
        assert use == f'--with j={spec} --methods "judge_best n=4 judge_model=j q0={rate} q1=1"'
        arm = use.partition('"')[2].rstrip('"')
        study("study", "w.jsonl", "--model", "toy:0.5", "--samples", "4", "--out", "o", "-q",
              "--with", f"j={spec}", "--methods", arm)  # fmt: skip
        points = json.loads(study("measure", "o", "--json").out)["w"]["points"]
        assert len(judge.calls) == 80, "40 attempts of the half were judged before, the other 40 now"
        study(
            "learn", "judge", "o", "--model", spec, "--with", f"j={spec}", "--method", "judge_best judge_model=j", "-q"
        )
    assert [point["method"] for point in points] == ["judge_best"] and len(judge.calls) == 80


def test_a_limit_asks_about_fewer_problems_and_more_of_them_go_on_from_there(study):
    judge = MockEndpoint(reply=lax)
    with loopback(judge.app) as url:
        words = ("learn", "judge", "o", "--model", f"openai:{url}/v1#j", "--json", "-q", "--limit")
        few, more = (json.loads(study(*words, limit).out) for limit in (3, 6))
    assert (few["problems"], few["new_calls"], more["problems"], more["new_calls"]) == (3, 12, 6, 12)


def test_a_judge_that_prefers_a_place_tells_nothing_and_there_is_no_line_to_paste(study):
    judge = MockEndpoint(reply=lambda body: "A")
    with loopback(judge.app) as url:
        words = ("learn", "judge", "o", "--model", f"openai:{url}/v1#j", "--method", "judge_pairwise", "-q")
        found = json.loads(study(*words, "--json").out)
        told = study(*words).out
    assert (found["q0"]["value"], found["q1"]["value"], found["use"]) == (0, 1, None)
    assert found["q0"]["n"] == found["q1"]["n"]
    assert "no better than chance" in told and "use it as" not in told


def test_a_judge_that_knows_pairs_gets_its_line(study):
    knows = MockEndpoint(reply=lambda body: "A" if "Answer A:\nright" in body["messages"][-1]["content"] else "B")
    with loopback(knows.app) as url:
        words = ("learn", "judge", "o", "--model", f"openai:{url}/v1#j", "--method", "judge_pairwise k=2", "-q")
        told = " ".join(study(*words).out.split())
    assert '--methods "judge_pairwise k=2 judge_model=judge q0=1 q1=1"' in told


def test_what_the_judge_did_not_answer_is_left_out_and_counted(study):
    def refuse(place, body):
        return error(400, "too long") if body["messages"][0]["content"].endswith(ODD) else None

    judge = MockEndpoint(reply=lax, refuse=refuse)
    with loopback(judge.app) as url:
        found = json.loads(study("learn", "judge", "o", "--model", f"openai:{url}/v1#j", "--json", "-q").out)
    assert found["failed"] and found["problems"] + len(found["failed"]) == 10
    assert all(name.endswith(ODD) and "too long" in why for name, why in found["failed"].items())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--model", "toy:1"), "none of 40 texts is a verdict; give a judge more tokens="),
        (("--method", "judge_bets"), "unknown method 'judge_bets'; did you mean 'judge_best'?"),
        (("--method", "vote"), "unknown judge 'vote'"),
        (("--method", "judge_best tokens=0"), "judge_best tokens is 0; give at least 1 token per text"),
        (("--method", "judge_best q0=0.8"), "sets q0, which is measured here; leave it out"),
        (("--method", "judge_best model=j"), "sets model, which would have others attempt the problems"),
        (("--method", "judge_best judge_model=strong"), "unknown model 'strong'"),
        (("--with", "a=toy:1", "--with", "b=toy:0"), "--with names a, b; say which one judges"),
        (("--set", "strong.lanes=2"), "unknown --set 'strong'"),
        (("--limit", "0"), "--limit is 0; ask about at least 1 problem"),
        (("--stratum", "v"), "unknown stratum 'v'"),
    ],
)
def test_what_cannot_be_measured_is_one_line(study, words, told):
    line = study("learn", "judge", "o", "-q", *words, code=2).err
    assert told in line and line.count("\n") == 1


def test_attempts_that_are_all_right_cannot_measure_a_judge(run, study):
    run("study", "w.jsonl", "--model", "toy:1", "--samples", "4", "--methods", "once", "--out", "all", "-q")
    judge = MockEndpoint(reply=lax)
    with loopback(judge.app) as url:
        line = run("learn", "judge", "all", "--model", f"openai:{url}/v1#j", "-q", code=2).err
    assert "here are 40 and 0: sample more problems" in line and line.count("\n") == 1


def test_a_check_of_known_rates_is_measured_without_a_call(run, tmp_path):
    """The model writes an object of the schema, right or wrong, or one that breaks it."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    rows = [{"id": f"w{i}", "prompt": f"{i}?", "reference": '{"a":1}', "schema": schema} for i in range(12)]
    (tmp_path / "j.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "task.toml").write_text(
        '[task]\nname="j"\n[[stratum]]\nname="j"\nsource="jsonl:j.jsonl"\nverifier="exact"\ncheck="json_schema"\n'
    )
    texts = ['{"a":1}', '{"a":2}', '{"a":"x"}', '{"a":"y"}']
    model = MockEndpoint(reply=lambda body: texts[body["seed"] % 4], takes_n="rejects")
    with loopback(model.app) as url:
        spec = f"openai:{url}/v1#m"
        run("study", "task.toml", "--model", spec, "--samples", "4", "--methods", "once", "--out", "c", "-q")
        before = len(model.calls)
        found = json.loads(run("learn", "check", "c", "--json", "-q").out)
        told = " ".join(run("learn", "check", "c", "-q").out.split())
    assert len(model.calls) == before and found["new_calls"] == 0
    assert found["true_positive_rate"]["value"] == 1 and found["true_positive_rate"]["n"] == 6
    assert found["false_positive_rate"]["value"] == pytest.approx(1 / 3) and found["false_positive_rate"]["n"] == 18
    low, high = found["false_positive_rate"]["ci95"]
    assert 0 < low < 1 / 3 < high < 1
    assert '--methods "reset_and_discard true_positive_rate=1 false_positive_rate=0.333"' in told


def test_a_stratum_without_a_check_says_so(study):
    line = study("learn", "check", "o", code=2).err
    assert "stratum 'w' has no check to measure; name one that needs no reference in the task" in line
