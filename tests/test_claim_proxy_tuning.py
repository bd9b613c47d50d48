"""Steering: exact at its limits, matched at equal skill, judged by its criterion alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trueup.claims.equal_skill import SLACK, Found, Match, at_equal_skill, compare
from trueup.claims.gap import Difference
from trueup.claims.pieces import Pieces
from trueup.claims.proxy_tuning import EQUAL, decide, gap_verdict, knowledge_verdict, proxy_tuning, put_to_test
from trueup.claims.steered_models import ARMS, FULL, REPLAY, Seen, Trial, watched
from trueup.claims.steered_size import Pace, Size
from trueup.core.errors import BadInput

MINI = Size(
    modulus=3, most=2, facts=20, small=8, large=16, pace=Pace(4, 2), tuning_steps=4, held=16, items=24,
    alphas=(0.0, 1.0), rows=8, stop_ratio=2.0,
)  # fmt: skip


def around(value: float, half: float = 0.01) -> Difference:
    return Difference(value, (value - half, value + half))


EVEN = around(0.0)


def seen(setting: float, held: float, skill: float = 0.5, facts: float = 0.5, n: int = 100) -> Seen:
    rows = [np.arange(n) < round(share * n) for share in (held, skill, facts)]
    return Seen(setting, *rows, 10.0, 5.0, 1500.0, 0.0)


def match(facts: Difference, skill: Difference = EVEN) -> Match:
    return Match(seen(1.0, 0.5), seen(1.0, 0.5), skill, facts, facts)


def found(**changes) -> Found:
    usual = Found(0.9, around(0.4), around(0.8), around(0.1), {name: match(around(0.2)) for name in ARMS}, 0.9, 0.8)
    return replace(usual, **changes)


def with_arm(name: str, one: Match) -> Found:
    return found(matches={**found().matches, name: one})


def test_both_halves_reproduced_reproduce_the_claim():
    assert decide([found()] * 3) == "reproduced"


def test_half_the_gap_is_enough_and_less_is_not():
    assert gap_verdict([found(closed=Difference(0.5, (0.4, 0.6)))] * 3) == "reproduced"
    assert gap_verdict([found(closed=Difference(0.499, (0.4, 0.6)))] * 3) == "inconclusive"
    assert gap_verdict([found(closed=Difference(0.45, (0.4, 0.499)))] * 3) == "refuted"


def test_a_proxy_no_better_than_its_expert_refutes_the_gap():
    assert gap_verdict([found(over_expert=Difference(-0.01, (-0.02, 0.0)))] * 3) == "refuted"
    assert gap_verdict([found(over_expert=Difference(0.01, (-0.01, 0.03)))] * 3) == "inconclusive"


def test_an_expert_at_the_ceiling_refutes_nothing_by_being_no_worse():
    level = found(over_expert=Difference(-0.01, (-0.02, 0.0)), expert_once=0.951)
    assert gap_verdict([level] * 3) == "inconclusive"
    assert gap_verdict([replace(level, expert_once=0.95)] * 3) == "refuted"
    assert gap_verdict([replace(level, closed=around(0.2))] * 3) == "refuted"


def test_an_expert_that_has_not_learned_leaves_both_halves_open():
    """A proxy that beats it shows nothing, and nor does one that fails with it."""
    for seed in (found(taught=0.49), found(taught=0.1, closed=around(0.2), over_expert=around(-0.1))):
        assert gap_verdict([seed] * 3) == knowledge_verdict([seed] * 3) == "inconclusive"
        assert decide([found(), found(), seed]) == "inconclusive"
    assert decide([found(taught=0.5)] * 3) == "reproduced"


def test_one_seed_that_disagrees_leaves_the_gap_open():
    low = found(closed=around(0.2))
    assert gap_verdict([found(), found(), low]) == "inconclusive"


def test_a_control_that_keeps_as_many_facts_refutes():
    as_many = with_arm(REPLAY, match(Difference(0.0, (-0.02, EQUAL - 0.001))))
    assert knowledge_verdict([as_many] * 3) == "refuted"
    assert decide([as_many] * 3) == "refuted"
    assert knowledge_verdict([as_many, as_many, found()]) == "inconclusive"


def test_a_control_that_keeps_facts_by_learning_less_refutes_nothing():
    less = match(around(-0.1), skill=Difference(0.05, (0.02, EQUAL)))
    assert knowledge_verdict([with_arm(REPLAY, less)] * 3) == "inconclusive"


def test_a_proxy_that_keeps_facts_by_being_less_skilled_reproduces_nothing():
    less = match(around(0.2), skill=Difference(-0.1, (-0.12, -0.08)))
    assert knowledge_verdict([with_arm(FULL, less)] * 3) == "inconclusive"


def test_plain_tuning_that_keeps_more_refutes():
    assert knowledge_verdict([with_arm(FULL, match(Difference(-0.1, (-0.15, -0.01))))] * 3) == "refuted"


def test_different_controls_in_different_seeds_refute_nothing():
    mixed = [with_arm(name, match(around(0.0))) for name in ARMS if name != FULL]
    assert knowledge_verdict(mixed) == "inconclusive"


@pytest.mark.parametrize("changes", [{"gained": Difference(0.01, (0.0, 0.02))}, {"known": 0.49}])
def test_without_its_conditions_the_knowledge_half_stays_open(changes):
    assert knowledge_verdict([found(**changes)] * 3) == "inconclusive"


def test_both_sides_take_the_least_setting_that_reaches_the_lower_best():
    proxy = [seen(0.0, 0.2), seen(0.5, 0.6), seen(1.0, 0.9)]
    arm = [seen(10, 0.3), seen(20, 0.58), seen(40, 0.6)]
    first, second = at_equal_skill(proxy, arm)
    assert (first.setting, second.setting) == (0.5, 40)
    near = seen(20, 0.6 - SLACK / 2, n=200)
    assert at_equal_skill(proxy, [near, seen(40, 0.6)])[1] is near
    first, second = at_equal_skill(proxy, [seen(10, 0.95)])
    assert (first.setting, second.setting) == (1.0, 10)


def test_the_share_of_the_gap_is_that_of_the_accuracies():
    base, tuned, steered = seen(0, 0.2, skill=0.2), seen(40, 0.8, skill=0.8), seen(1.0, 0.8, skill=0.5)
    trial = Trial(base, seen(40, 0.4, skill=0.4), base, {name: [tuned] for name in ARMS}, [seen(0.0, 0.2), steered])
    one = compare(trial, 0)
    assert one.closed.value == pytest.approx(0.5)
    assert (one.over_expert.value, one.taught) == pytest.approx((0.1, 1 / 3))
    assert one.expert_once == trial.expert.skill_M.mean()
    assert one.matches[FULL].skill.value == pytest.approx(-0.3)


def test_facts_that_the_base_never_knew_are_not_kept_by_who_learns_them():
    """Of 100 facts the base knows the first 50, the proxy those, replay half of those and all others."""
    base, replayed = seen(0, 0.2, facts=0.5), replace(seen(40, 0.8), facts_F=np.arange(100) >= 25)
    proxy = seen(1.0, 0.8, facts=0.5)
    one = compare(Trial(base, base, base, {name: [replayed] for name in ARMS}, [proxy]), 0).matches[REPLAY]
    assert (one.facts.value, one.known.value) == pytest.approx((-0.25, 0.5))
    assert one.facts.ci95[1] < 0 < one.known.ci95[0]


def test_of_a_base_that_knows_nothing_no_fact_can_be_kept():
    base, tuned = seen(0, 0.2, facts=0.0), seen(1.0, 0.8)
    one = compare(Trial(base, base, base, {name: [tuned] for name in ARMS}, [tuned]), 0).matches[FULL]
    assert (one.known.value, one.known.ci95) == (0.0, (-1.0, 1.0))


def test_a_watched_source_looks_before_the_batch_behind_each_stop():
    at = []
    source = watched(lambda rng, n: n, [1, 3], at.append)
    assert [source(None, 5) for _ in range(5)] == [5] * 5
    assert at == [1, 3]


def test_stops_rise_to_the_end_of_tuning():
    assert MINI.stops == [1, 2, 4]


def test_a_claim_has_no_scale_that_it_was_not_written_for(tmp_path):
    with pytest.raises(BadInput, match="it has smoke, cpu, gpu"):
        proxy_tuning("tpu", 0, Pieces(tmp_path, "x"))


def test_a_whole_run_is_the_same_twice_and_exact_at_alpha_0(tmp_path):
    pytest.importorskip("torch")
    verdicts = [put_to_test("mini", MINI, [0, 1], Pieces(tmp_path / name, "x")) for name in "ab"]
    assert verdicts[0].arms == verdicts[1].arms and verdicts[0].notes == verdicts[1].notes
    arms = {arm["name"]: arm for arm in verdicts[0].arms}
    for key in ("skill_accuracy", "facts_accuracy", "generated_tokens_per_request"):
        assert arms["proxy, alpha 0"][key] == arms["L"][key]
    assert arms["proxy, alpha 1"]["flops_per_token_over_large"] > 1 == arms["L"]["flops_per_token_over_large"]
    assert arms["L"]["n"] == 48 and arms["L"]["facts_n"] == 40
    assert arms["L+ LoRA"]["training_flops"] < arms["L+ full"]["training_flops"]
    assert "gap claim: inconclusive; knowledge claim: inconclusive" in verdicts[0].notes[0]


def test_a_steered_model_is_its_base_or_its_expert_at_the_limits():
    torch = pytest.importorskip("torch")
    from trueup.train.laboratory import Shape, Steered, Transformer

    small, expert, large = (Transformer(Shape(width=8, layers=1, heads=2, context=8), seed=seed) for seed in range(3))
    tokens = torch.tensor([[3, 4, 5]])

    def logits(base, plus, minus, alpha):
        model = Steered(base, plus, minus, alpha)
        return model(tokens, model.begin(1, 8))

    with torch.inference_mode():
        assert torch.equal(logits(large, expert, small, 0.0), large(tokens, large.begin(1, 8)))
        assert torch.equal(logits(large, small, small, 1.0), large(tokens, large.begin(1, 8)))
        assert torch.allclose(logits(small, expert, small, 1.0), expert(tokens, expert.begin(1, 8)), atol=1e-5)
