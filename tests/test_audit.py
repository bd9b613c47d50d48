"""What is served is held against what was proved: the evidence in closed form, the rows, the command line."""

from __future__ import annotations

import asyncio
import json
import logging
from itertools import product
from math import exp, inf, prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from terminal import at_problems, trueup
from test_serve import ask, desk, serving

from trueup.core.errors import BadInput
from trueup.core.types import Message, Problem, Solution
from trueup.models import Toy
from trueup.plan.alarm import anytime_interval, hold_against, log_evidence
from trueup.serve import Traffic
from trueup.solvers import sudoku
from trueup.tasks import csp, jsonl

DELTA = 0.05


def evidence(rights: list[bool], allowed: float) -> float:
    return exp(log_evidence(rights, allowed)[-1])


@pytest.mark.parametrize("allowed", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("rights", [[True], [False], [True, False, False, True, False], [False] * 4])
def test_the_evidence_is_the_mixed_likelihood_ratio(rights: list[bool], allowed: float) -> None:
    width = (1 - allowed) / 100_000
    chance = allowed + width * (np.arange(100_000) + 0.5)
    ratio = prod(((1 - chance) / (1 - allowed) if right else chance / allowed for right in rights), start=1.0)
    assert evidence(rights, allowed) == pytest.approx(float(np.mean(ratio)), rel=1e-6)


@pytest.mark.parametrize("wrong", [0.3, 0.2, 0.05])
def test_its_mean_is_one_at_the_limit_and_less_below(wrong: float) -> None:
    """Over all sequences of six answers, where 0.3 of them may be wrong."""
    met = [
        (wrong ** one.count(False) * (1 - wrong) ** one.count(True), evidence(list(one), 0.3))
        for one in product([True, False], repeat=6)
    ]
    mean = sum(chance * told for chance, told in met)
    assert mean == pytest.approx(1.0) if wrong == 0.3 else 0.1 < mean < 0.8


def test_false_alarms_are_as_rare_as_promised_and_falls_are_found() -> None:
    rng = np.random.default_rng(0)

    def alarms(accuracy: float, runs: int) -> float:
        looks = ((rng.random(400) < accuracy).tolist() for _ in range(runs))
        return float(np.mean([hold_against(look, 0.9, DELTA).alarm_at is not None for look in looks]))

    assert alarms(0.9, 1000) <= DELTA
    assert alarms(0.8, 200) > 0.95


def test_what_was_promised_without_fail_is_refuted_by_one_answer() -> None:
    assert hold_against([True, True, False, True], 1.0, DELTA).alarm_at == 3
    assert hold_against([True] * 50, 1.0, DELTA).alarm_at is None


@pytest.mark.parametrize("proved", [None, 0.0])
def test_without_a_proof_there_is_no_alarm(proved: float | None) -> None:
    told = hold_against([False] * 50, proved, DELTA)
    assert (told.alarm_at, told.evidence, told.right) == (None, 0.0, 0)


def test_nothing_graded_is_no_evidence() -> None:
    told = hold_against([], 0.9, DELTA)
    assert (told.n, told.interval, told.evidence, told.alarm_at) == (0, (0.0, 1.0), 0.0, None)


def test_nothing_speaks_against_an_accuracy_that_allows_everything() -> None:
    assert log_evidence([False, False], 1.0).tolist() == [0.0, 0.0]
    assert log_evidence([False], 0.0).tolist() == [inf]


@pytest.mark.parametrize(("right", "n"), [(30, 60), (1, 9), (8, 9), (0, 12), (12, 12)])
def test_the_limits_are_where_evidence_reaches_twenty(right: int, n: int) -> None:
    def mixed(p: float) -> float:
        chance = (np.arange(200_000) + 0.5) / 200_000
        return float(np.mean((chance / p) ** right * ((1 - chance) / (1 - p)) ** (n - right)))

    low, high = anytime_interval(right, n)
    assert (low == 0.0) == (right == 0) and (high == 1.0) == (right == n) and low < right / n + 1e-9
    assert all(mixed(end) == pytest.approx(20, rel=1e-3) for end in (low, high) if 0 < end < 1)


def kept(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_answers_are_kept_as_rows_that_a_task_can_read(tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    with Traffic(path) as traffic, serving(tmp_path, Toy(1.0), desk("sums"), traffic=traffic) as root:
        ask(root, "2+2", extra_body={"metadata": {}})
        ask(root, "ü \u2028", stream=True)
    first, second = kept(path)
    assert first["messages"] == [{"role": "user", "content": "2+2"}] and first["stratum"] == "sums"
    assert first["answer"] == "right" and first["usd"] is not None and first["schema"] is None
    assert second["messages"] == [{"role": "user", "content": "ü \u2028"}]
    path.write_text("".join(json.dumps(row | {"reference": "right"}) + "\n" for row in (first, second)))
    assert [item.problem.prompt[0].content for item in jsonl(str(path), stratum="sums")] == ["2+2", "ü \u2028"]


def test_a_share_of_them_is_kept_and_earlier_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    path.write_text("{}\n")
    with Traffic(path, 1e-9) as traffic, serving(tmp_path, Toy(1.0), desk("sums"), traffic=traffic) as root:
        ask(root)
    assert kept(path) == [{}]
    for share in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(BadInput, match="share of the traffic"):
            Traffic(path, share)
    with pytest.raises(BadInput, match="cannot keep traffic in"):
        Traffic(tmp_path / "none" / "traffic.jsonl")


def test_the_file_is_its_owners_and_a_row_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    with Traffic(path):
        assert path.stat().st_mode & 0o077 == 0
    path.write_text('{}\n{"id": "cut o')
    with Traffic(path) as traffic, serving(tmp_path, Toy(1.0), desk("sums"), traffic=traffic) as root:
        ask(root)
    first, torn, last = path.read_text().splitlines()
    assert (first, torn) == ("{}", '{"id": "cut o') and json.loads(last)["answer"] == "right"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_costs_no_client_its_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    with Traffic(Path("/dev/full")) as traffic, serving(tmp_path, Toy(1.0), desk("sums"), traffic=traffic) as root:
        assert ask(root).choices[0].message.content == "right"
    assert "could not be kept: [Errno 28]" in caplog.text


@pytest.fixture
def audit(tmp_path, monkeypatch, capsys):
    """Audit these rows of a policy that promises 60 %, on the command line."""
    go = at_problems(tmp_path, monkeypatch, capsys, [f"problem {i}" for i in range(40)])
    go("study", "w.jsonl", "--model", "toy:0.95", "--methods", "once", "--samples", "2", "--target", "0.6", "-q")

    def audited(rows, *words, code=0):
        (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return go("audit", "out/w/policy.toml", "t.jsonl", *words, code=code)

    return audited


def row(number: int, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"asked {number}"}]
    return {"id": number, "stratum": "w", "messages": messages, "answer": "right", "usd": 1e-5} | more


def test_what_holds_is_said_to_hold(audit):
    rows = [row(i, reference="right") for i in range(20)] + [row(i) for i in range(20, 25)]
    told = audit(rows).out
    cells = told.splitlines()[2].split()
    assert cells[:4] == ["w", "25", "20", "100%"] and cells[7:] == ["60%", "$0.01", "$0.01-$0.01", "$0"]
    assert "w: holds so far; evidence against 60 % was" in told and "alarm at 20" in told


def test_a_fall_is_an_alarm_and_an_exit_code(audit):
    rows = [row(i, reference="right", answer="wrong" if i % 3 else "right") for i in range(60)]
    told = audit(rows, code=3).out
    assert "w: ALARM at graded answer" in told and "(jsonl:t.jsonl)" in told
    found = json.loads(audit(rows, "--json", code=3).out)["strata"]["w"]
    assert found["standing"]["right"] == 20 and found["standing"]["alarm_at"] < 60 and found["rows"] == 60
    assert found["usd"] == pytest.approx(1e-5) and found["standing"]["proved"] == 0.6
    audit(rows, "--promise", "0.2")


def test_a_question_counts_whenever_it_is_asked_and_a_person_may_judge(audit):
    rows = [row(1, right=True, reference="wrong")] + [row(0, right=False)] * 30
    found = json.loads(audit(rows, "--json", code=3).out)["strata"]["w"]
    assert (found["standing"]["n"], found["standing"]["right"]) == (31, 1) and 2 < found["standing"]["alarm_at"] < 31


def asked_often(at: int, rng: np.random.Generator, breaks_at: float = inf) -> dict[str, Any]:
    """A request, 85 % of them of ten popular questions: right until they break; the others are right in 70 %."""
    is_popular = rng.random() < 0.85
    right = at < breaks_at if is_popular else rng.random() < 0.7
    return row(int(rng.integers(10)) if is_popular else 1000 + at, right=bool(right))


def test_popular_questions_weigh_as_they_are_asked(audit):
    """Of the requests 95.5 % are right: more than 90 %, though fewer of the questions are."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        found = audit([asked_often(at, rng) for at in range(400)], "--promise", "0.9", "--json").out
        assert json.loads(found)["strata"]["w"]["standing"]["alarm_at"] is None


def test_popular_questions_that_break_are_an_alarm(audit):
    rng = np.random.default_rng(0)
    rows = [asked_often(at, rng, breaks_at=500) for at in range(1000)]
    found = json.loads(audit(rows, "--promise", "0.9", "--json", code=3).out)["strata"]["w"]
    assert 500 < found["standing"]["alarm_at"] < 600


def test_nothing_graded_says_what_to_do(audit):
    assert "nothing is graded; add a reference to rows of t.jsonl" in audit([row(0, usd=None)]).out
    assert "nothing was proved" not in audit([row(0)]).out


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ({"stratum": "v"}, "unknown stratum 'v'"),
        ({"stratum": ["w"]}, "unknown stratum \"['w']\""),
        ({"right": 1}, "t.jsonl:1: right is 1; it takes true or false"),
        ({"answer": None, "reference": "right"}, "t.jsonl:1: answer is None"),
        ({"usd": "1"}, "t.jsonl:1: usd is '1'"),
        ({"usd": 10**400}, "t.jsonl:1: usd is 1000"),
        ({"usd": float("inf")}, "t.jsonl:1: Infinity is no number"),
        ({"reference": float("nan")}, "t.jsonl:1: NaN is no number"),
        ({"messages": [], "reference": "right"}, "t.jsonl:1: messages must be a list"),
    ],
)
def test_a_row_that_cannot_be_used_is_one_line(audit, broken, line):
    assert line in audit([row(0, **broken)], code=2).err


def test_a_long_template_is_a_template_and_no_file(audit, tmp_path):
    policy = tmp_path / "out" / "w" / "policy.toml"
    template = f'template = "{"Think first. " * 40}{{question}}"'
    policy.write_text(policy.read_text().replace("[stratum.recipe]", f"[stratum.recipe]\n{template}"))
    assert "w: holds so far" in audit([row(0, reference="right")]).out


def test_a_row_without_a_stratum_is_of_the_only_one(audit):
    found = json.loads(audit([row(0, stratum=None, reference="right")], "--json").out)["strata"]
    assert found["w"]["standing"]["n"] == 1


@pytest.mark.parametrize("words", [("--promise", "1.5"), ("--promise", "0"), ("--delta", "1")])
def test_a_number_that_is_no_chance_is_one_line(audit, words):
    assert "give a number between 0 and 1" in audit([row(0)], *words, code=2).err


async def solved(question: str) -> Solution:
    solver = sudoku()
    try:
        return await solver.solve(Problem("one", "grids", (Message("user", question),)))
    finally:
        await solver.close()


def test_what_needs_no_reference_is_graded_without(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    stratum = (
        '[[stratum]]\nname = "grids"\nsource = "csp:sudoku4"\nlimit = 4\nverifier = "constraint"\nsolver = "sudoku"\n'
    )
    (tmp_path / "task.toml").write_text(f'[task]\nname = "four"\n{stratum}template = "Solve this. {{question}}"\n')
    words = ("--model", "toy:0.5", "--methods", "solve", "--samples", "1", "--out", "o", "-q")
    trueup(monkeypatch, "study", "task.toml", *words)
    question = csp("sudoku4", stratum="grids", limit=1)[0].problem.prompt[-1].content
    solution = asyncio.run(solved(question))
    rows = [
        {"id": i, "prompt": question + " " * i, "answer": answer} for i, answer in enumerate((solution.text, "none"))
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    capsys.readouterr()
    trueup(monkeypatch, "audit", "o/policy.toml", "t.jsonl", "--json")
    found = json.loads(capsys.readouterr().out)["strata"]["grids"]
    assert (found["standing"]["n"], found["standing"]["right"], found["usd"], found["priced"]) == (2, 1, None, 0)
