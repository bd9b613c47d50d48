"""The claim function-calling: its criterion on made-up figures, and a run of seconds."""

from __future__ import annotations

import sys
from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest

from trueup.claims import Pieces
from trueup.claims.calling_arms import ARMS, BASE, DPO, DPO_RANDOM, LONG, ON_PAIRS, SECOND, SFT, TEACHER
from trueup.claims.calling_models import Size
from trueup.claims.calling_seen import KINDS, Seen, content_faults, form_faults
from trueup.claims.function_calling import NAME, SIZES, Compared, compare, decide, function_calling, match_verdict
from trueup.claims.function_calling import put_to_test as run
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED
from trueup.core.errors import BadInput, Unavailable
from trueup.plan.paired import Paired

N = 1000
MINI = Size(
    most=1, small=16, large=32, web_steps=5, teacher_steps=250, requests=48, attempts=4, steps=4, items=20, rows=32,
    lr=8e-3, sft_rates=(1e-3,), second_sft_rates=(2e-3,), dpo_rates=(1e-5, 1e-3),
)  # fmt: skip


def arm(difference, *, ci95=None, p=1e-6):
    won = max(0, round(difference * N))
    return Paired(N, won, max(0, -round(difference * N)), p, ci95 or (difference - 0.01, difference + 0.01))


GOOD = Compared(0.3, 0.3, arm(0.1), 0.6, arm(-0.3), arm(-0.1))


def test_a_gain_made_half_of_form_reproduces_in_every_seed_only():
    assert decide([GOOD] * 3) == REPRODUCED
    for worse in (
        replace(GOOD, form_share=0.49),
        replace(GOOD, form_share=nan),
        replace(GOOD, longer=arm(0.1, p=0.01)),
        replace(GOOD, longer=arm(-0.1)),
    ):
        assert decide([GOOD, GOOD, worse]) == INCONCLUSIVE


def test_a_grammar_that_does_as_well_without_training_refutes_in_all_seeds_only():
    as_good = replace(GOOD, grammar=arm(0.0, ci95=(-0.019, 0.019)))
    better = replace(GOOD, grammar=arm(0.3))
    assert decide([as_good, better, as_good]) == REFUTED
    assert decide([as_good, as_good, GOOD]) == REPRODUCED
    assert decide([replace(GOOD, grammar=arm(0.0, ci95=(-0.02, 0.02)))] * 3) == REPRODUCED


@pytest.mark.parametrize("name", ["form", "content"])
def test_a_base_without_faults_of_either_sort_shows_nothing(name):
    assert decide([GOOD, GOOD, replace(GOOD, **{name: 0.09})]) == INCONCLUSIVE


def test_matching_the_teacher_is_an_equivalence_in_every_seed():
    equal = replace(GOOD, teacher=arm(0.0, ci95=(-0.019, 0.019)))
    assert match_verdict([equal] * 3) == REPRODUCED
    assert match_verdict([equal, equal, replace(GOOD, teacher=arm(0.0, ci95=(-0.03, 0.01)))]) == INCONCLUSIVE
    assert match_verdict([equal, equal, replace(GOOD, teacher=arm(0.03, ci95=(0.01, 0.05)))]) == INCONCLUSIVE
    assert match_verdict([GOOD] * 3) == REFUTED
    assert match_verdict([GOOD, GOOD, equal]) == INCONCLUSIVE


def seen(**counts):
    """A model with so many items of each kind of fault, the rest right; greedy unless it is said for `held`."""
    rows = {}
    for name in ("free", "held"):
        faults = [kind for kind, n in counts.get(name, {}).items() for _ in range(n)]
        rows[name] = np.array([KINDS.index(f) for f in faults] + [0] * (100 - len(faults)))
    return Seen(rows["free"], rows["held"], rows["free"], 1.0, 1.0)


def test_the_gain_is_split_into_form_and_content():
    arms = {
        BASE: seen(free={"unparsable": 30, "wrong value": 20}, held={"wrong value": 25}),
        LONG: seen(free={"wrong type": 12, "wrong value": 10}),
        DPO: seen(free={"wrong count": 3, "wrong function": 9}),
        TEACHER: seen(free={"wrong value": 2}),
    }
    found = compare(arms)
    assert (found.form, found.content, found.form_share) == pytest.approx((0.3, 0.2, 0.9))
    differences = [found.longer, found.grammar, found.teacher]
    assert [x.difference for x in differences] == pytest.approx([0.1, -0.13, -0.1])
    flipped = compare({**arms, DPO: arms[LONG], LONG: arms[DPO]})
    assert isnan(flipped.form_share)


def test_every_fault_is_of_form_or_content_and_named_as_the_checker_does():
    pytest.importorskip("torch")
    from trueup.train.laboratory.tasks import call_checker

    kinds = np.arange(len(KINDS))
    assert (form_faults(kinds) ^ content_faults(kinds) ^ (kinds == 0)).all()
    assert call_checker.KINDS == KINDS
    assert tuple(np.array(KINDS)[form_faults(kinds)]) == call_checker.FORM


def test_a_model_comes_back_from_json_as_it_went():
    made = replace(seen(free={"wrong value": 3}), path=[[0, -1.0, -2.0]], negatives={"wrong type": 2})
    assert Seen.of_json(made.to_json()).to_json() == made.to_json()


def test_a_scale_that_it_has_none_of_is_named(tmp_path):
    with pytest.raises(BadInput, match=f"claim '{NAME}' has no scale 'tpu'; it has smoke, cpu, gpu"):
        function_calling("tpu", 0, Pieces(tmp_path, "x"))


def test_without_torch_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trueup.train", None)
    with pytest.raises(Unavailable, match=r"is missing; pip install 'trueup\[hf\]'"):
        function_calling("smoke", 0, Pieces(tmp_path, "x"))


def test_a_tiny_run_gives_the_same_figures_again_and_from_its_parts(tmp_path):
    pytest.importorskip("torch")
    first = run("smoke", MINI, (0,), Pieces(tmp_path / "a", "x"))
    again = run("smoke", MINI, (0,), Pieces(tmp_path / "b", "x"))
    for lost in ("seed0-sft-dpo.json", "seed0-sft.json"):
        (tmp_path / "a" / lost).unlink()
    made = []
    kept = run("smoke", MINI, (0,), Pieces(tmp_path / "a", "x", lambda name, s: made.append(name) if s else None))
    assert first.text() == again.text() == kept.text()
    assert made == ["seed0-sft", "seed0-sft-dpo"]
    rows = {row["name"]: row for row in first.arms}
    assert set(rows) == {name + way for name in ARMS for way in ("", ", constrained", ", sampled")}
    assert rows["base, constrained"]["schema_valid"] == 1.0 and rows[DPO]["n"] == MINI.items
    assert all(rows[name]["gradient_tokens"] > 1.9 * rows[SFT]["gradient_tokens"] for name in SECOND)
    assert rows[ON_PAIRS]["rates"] == [2e-3] and rows[SFT]["rates"] == [1e-3] and rows[SFT]["tuning_flops"] == 0
    assert rows[DPO]["rates"] == rows[DPO_RANDOM]["rates"] and rows[DPO]["tuning_flops"] > 0
    tried = dict(rows[DPO]["rates_tried"][0])
    assert tried[rows[DPO]["rates"][0]] == max(tried.values())
    assert rows[DPO]["reference_flops"] > 0 == rows[LONG]["reference_flops"]
    assert SIZES["smoke"].items < SIZES["cpu"].items
