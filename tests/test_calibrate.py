"""Thresholds of stopping rules: replayed on logged attempts, accepted only where the harm is proved small."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace
from math import comb, exp, log

import pytest
from terminal import trueup
from toys import attempts, item, problem

from trueup import methods
from trueup.arms import make_arm
from trueup.bench.toy import Whole
from trueup.cli import main
from trueup.cli.half import open_half
from trueup.core.asks import sample
from trueup.core.cost import Cost
from trueup.core.errors import BadInput
from trueup.core.outcome import Measured, Pool
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Grade
from trueup.plan.calibrate import calibrate, hoeffding_bentkus
from trueup.plan.replay import replay

FAILED = "failed"
WHOLE = Arm("vote", {"n": 16}, lambda p: methods.vote(p, n=16))

ONE = Arm("vote", {"n": 1}, lambda p: methods.vote(p, n=1))


def ladder(*steps):
    """adaptive_vote at these confidences."""
    return [
        Arm("adaptive_vote", {"confidence": c}, lambda p, c=c: methods.adaptive_vote(p, n=16, confidence=c, step=1))
        for c in steps
    ]


def pools(*rows):
    """A stratum whose items had these answers, of which `right` is right; of FAILED attempts nothing came."""
    made = []
    for place, row in enumerate(rows):
        tries = tuple(a for a in attempts(*row) if a.answer != FAILED)
        made.append(Pool(item(f"p{place}"), tries, tuple(Grade(float(a.answer == "right")) for a in tries), Cost()))
    return Measured(Stratum("s", tuple(pool.item for pool in made), Whole()), (), tuple(made), ())


def grouped(*sizes):
    """Items with one right attempt each, in clusters of these sizes; and who is in which."""
    found = pools(*([["right"]] * sum(sizes)))
    names = [name for name, size in enumerate(sizes) for _ in range(size)]
    made = (
        replace(pool, item=replace(pool.item, cluster=f"c{name}"))
        for pool, name in zip(found.pools, names, strict=True)
    )
    return replace(found, pools=tuple(made))


def wrong_on(*places):
    """An arm that takes one attempt, and turns these items wrong."""

    def start(problem):
        (attempt,) = yield from sample(problem.prompt)
        return Answer("", None) if problem.id in {f"p{place}" for place in places} else Answer.of(attempt)

    return Arm("wrong_on", {}, start)


def drawn(share, n, seed):
    """n items whose 16 attempts are each right with a chance of their own, wrong in one way only."""
    dice = random.Random(f"{share}:{seed}")
    return pools(*(["right" if dice.random() < share else "wrong" for _ in range(16)] for _ in range(n)))


def test_the_p_value_without_any_loss_is_the_chance_of_none():
    assert hoeffding_bentkus(0.0, 50, 0.1) == pytest.approx(0.9**50)
    assert hoeffding_bentkus(0.2, 50, 0.1) == 1.0


def test_the_p_value_is_the_smaller_of_both_bounds_by_hand():
    """n = 10, one loss, margin 0.5: Hoeffding exp(-10 (.1 log .2 + .9 log 1.8)), Bentkus e P(Bin(10, .5) <= 1)."""
    hoeffding = exp(-10 * (0.1 * log(0.2) + 0.9 * log(1.8)))
    bentkus = exp(1) * (1 + 10) / 2**10
    assert hoeffding_bentkus(0.1, 10, 0.5) == pytest.approx(min(hoeffding, bentkus))


@pytest.mark.parametrize(("n", "margin"), [(20, 0.1), (60, 0.05)])
def test_the_p_value_is_valid_for_losses_of_zero_or_one(n, margin):
    """At a true loss of exactly the margin, p <= 0.05 comes with a chance of 0.05 at most."""
    chance = sum(
        comb(n, k) * margin**k * (1 - margin) ** (n - k)
        for k in range(n + 1)
        if hoeffding_bentkus(k / n, n, margin) <= 0.05
    )
    assert chance <= 0.05


def test_replay_takes_what_the_method_would_have_taken():
    tries = attempts("a", "a", "a", "a", "b", "b")
    found = replay(methods.adaptive_vote(problem(), n=6, step=2), tries, problem())
    assert (found.value.value, found.taken, found.calls) == ("a", 4, 1)


def test_replay_refuses_what_a_pool_cannot_answer():
    with pytest.raises(BadInput, match="asks for 8 attempts, the pool holds 2"):
        replay(methods.vote(problem(), n=8), attempts("a", "b"), problem())
    with pytest.raises(BadInput, match="nothing but attempts"):
        replay(methods.best_of_n(problem(), n=2), attempts("a", "b"), problem())
    for other in (methods.revise(problem()), methods.cascade(problem(), n=2), methods.reread(problem())):
        with pytest.raises(BadInput, match="nothing but attempts"):
            replay(other, attempts("a", "b", "a", "b"), problem())


def test_a_failed_attempt_is_missing_from_its_call_and_a_call_of_nothing_else_ends_the_flow():
    first, _, third = attempts("a", FAILED, "a")
    found = replay(methods.vote(problem(), n=3), [first, None, third], problem())
    assert (found.value.value, found.taken) == ("a", 2)
    assert replay(methods.vote(problem(), n=1), [None, third], problem()).value is None


def test_a_failed_attempt_is_not_taken_wherever_it_comes():
    a, b, c = attempts("a", "b", "c")
    for tries, n in [((None, a, b, c), 4), ((a, None, b, c), 4), ((a, b, None, c), 2), ((None, None, a), 3)]:
        asks = sample(problem().prompt, n, until=lambda came: len(came) == 2)
        found = replay(asks, tries, problem())
        came = tuple(one for one in tries if one is not None)[:2]
        assert (found.value, found.taken, found.calls) == (came, len(came), 1)
    assert replay(methods.early_stop_vote(problem(), n=4, window=2), [None, a, a, None], problem()).taken == 2


def test_a_method_that_goes_by_log_probabilities_is_replayed_where_they_are_on_record():
    tries = attempts("a", "b", "b")
    logprobs = [-0.01 if attempt.answer == "a" else -9.0 for attempt in tries]
    told = [replace(one, logprob=p, drawn_logprob=p) for one, p in zip(tries, logprobs, strict=True)]
    assert replay(methods.probability_vote(problem(), n=3), told, problem()).value.value == "a"
    with pytest.raises(BadInput, match=r"'p' were sampled without; run `trueup sample` again with the method among"):
        replay(methods.probability_vote(problem(), n=3), tries, problem())


def test_unanimous_items_accept_every_threshold_and_save_attempts():
    found = calibrate(pools(*([["right"] * 16] * 80)), WHOLE, ladder(0.99, 0.9, 0.7), margin=0.05, delta=0.05)
    assert [trial.harm for trial in found.trials] == [0, 0, 0]
    assert found.chosen == "adaptive_vote confidence=0.7"
    assert found.whole.attempts == 16
    assert found.trials[-1].attempts < found.trials[0].attempts < 8


@pytest.mark.parametrize("steps", [(0.99, 0.6), (0.6, 0.99), (0.9, 0.6, 0.99)])
def test_of_the_accepted_the_one_of_fewest_attempts_is_chosen_wherever_it_stands(steps):
    found = calibrate(pools(*([["right"] * 16] * 80)), WHOLE, ladder(*steps), margin=0.05, delta=0.05)
    assert [trial.accepted for trial in found.trials] == [True] * len(steps)
    assert found.chosen == "adaptive_vote confidence=0.6"


def test_an_item_with_a_failed_attempt_is_calibrated_on_as_it_would_have_been_answered():
    rows = [*[["right"] * 16] * 80, ["right"] * 15 + [FAILED]]
    found = calibrate(pools(*rows), WHOLE, ladder(0.9), margin=0.05, delta=0.05)
    assert (found.chosen, found.n) == ("adaptive_vote confidence=0.9", 81)
    assert found.whole.attempts == pytest.approx(16 - 1 / 81)


def test_harm_in_a_few_large_clusters_is_not_hidden_by_many_small_ones():
    found = calibrate(grouped(*[1] * 300, *[100] * 4), ONE, [wrong_on(*range(300, 333))], margin=0.02, delta=0.05)
    assert found.trials[0].harm == pytest.approx(33 / 700)
    assert (found.trials[0].p, found.chosen) == (1.0, None)


@pytest.mark.parametrize("size", [1, 3])
def test_the_p_value_of_clusters_of_one_size_is_that_of_their_means(size):
    found = calibrate(grouped(*[size] * 60), ONE, [wrong_on(0, size)], margin=0.2, delta=0.05).trials[0]
    assert found.p == hoeffding_bentkus(2 / size / 60, 60, 0.2)


def test_harm_at_the_margin_in_the_largest_clusters_is_accepted_as_seldom_as_delta_says():
    """Of 12 triples each is harmed as a whole by chance, so that 0.2 of all 56 items are; 20 single ones never are."""
    margin, chance, triples = 0.2, 0.2 * 56 / 36, 12
    measured = grouped(*[1] * 20, *[3] * triples)
    accepted = 0.0
    for harmed in range(triples + 1):
        arm = wrong_on(*range(20, 20 + 3 * harmed))
        if calibrate(measured, ONE, [arm], margin=margin, delta=0.1).chosen is not None:
            accepted += comb(triples, harmed) * chance**harmed * (1 - chance) ** (triples - harmed)
    assert 0 < accepted <= 0.1


def test_too_few_items_accept_nothing_and_say_how_many_it_takes():
    found = calibrate(pools(*([["right"] * 16] * 20)), WHOLE, ladder(0.99), margin=0.05, delta=0.05)
    assert (found.chosen, found.n, found.needs) == (None, 20, 59)


def test_the_sequence_ends_at_the_first_failure():
    """Stopping at once harms every second item here; what comes behind it is not accepted, however safe."""
    found = calibrate(drawn(0.7, 200, 1), WHOLE, ladder(0.99, 0.5, 0.99), margin=0.03, delta=0.1)
    assert [trial.accepted for trial in found.trials][1:] == [False, False]


def test_a_threshold_that_harms_more_than_the_margin_is_seldom_accepted():
    """The harm of one attempt instead of sixteen, at p = 0.8: right after sixteen, wrong at first. About 0.2."""
    one = ladder(0.5)
    harm = calibrate(drawn(0.8, 1500, 0), WHOLE, one, margin=0.5, delta=0.05).trials[0].harm
    accepted = [
        calibrate(drawn(0.8, 60, seed), WHOLE, one, margin=harm - 0.02, delta=0.1).chosen is not None
        for seed in range(24)
    ]
    assert sum(accepted) <= 5


@pytest.mark.parametrize(("margin", "delta", "named"), [(0.0, 0.05, "margin"), (0.1, 1.5, "delta")])
def test_shares_outside_their_range_are_named(margin, delta, named):
    with pytest.raises(BadInput, match=f"{named} is"):
        calibrate(drawn(0.8, 4, 0), WHOLE, ladder(0.9), margin=margin, delta=delta)


def test_the_command_reads_a_studys_samples_and_asks_nothing(tmp_path, monkeypatch, capsys):
    rows = [{"id": f"a{i}", "prompt": f"problem {i}", "reference": "right"} for i in range(140)]
    (tmp_path / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["trueup", *words])
        main()
        return capsys.readouterr().out

    run("sample", "w.jsonl", "--model", "toy:1.0", "--out", "o", "--samples", "8", "--methods", "once", "--quiet")
    found = json.loads(run("calibrate", "o", "--margin", "0.05", "--json"))["w"]
    assert found["chosen"] == "adaptive_vote n=8 confidence=0.6"
    assert found["whole"]["attempts"] == 8
    assert found["n"] == 70, "the other half certifies"
    assert "turns at most 5.0% of requests from right to wrong" in run("calibrate", "o", "--margin", "0.05")
    told = run("calibrate", "o", "--margin", "0.0512", "--delta", "0.025")
    assert "turns at most 5.2% of requests from right to wrong (97.5% confidence" in told, "no more than is proved"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A study of thirty problems in the folder o, and the half of them that a plan is chosen on."""
    rows = [{"id": f"q{i}", "prompt": f"problem {i}", "reference": "right"} for i in range(30)]
    (tmp_path / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    trueup(
        monkeypatch,
        "sample",
        "w.jsonl",
        "--model",
        "toy:0.7",
        "--out",
        "o",
        "--samples",
        "8",
        "--methods",
        "once",
        "-q",
    )
    return tmp_path / "o"


def test_the_half_that_certifies_has_no_say_in_a_threshold(folder, monkeypatch, capsys):
    capsys.readouterr()
    trueup(monkeypatch, "calibrate", "o", "--values", "0.9,0.6", "--margin", "0.3", "--json")
    found = json.loads(capsys.readouterr().out)["w"]
    half, whole = open_half(folder, None), make_arm("vote n=8")
    arms = [make_arm(f"adaptive_vote n=8 confidence={step}") for step in (0.9, 0.6)]
    alone = calibrate(half.measured, whole, arms, margin=0.3, delta=0.05, seed=half.seed)
    assert found == json.loads(json.dumps(asdict(alone)))
    assert found["n"] == 15


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--method", "blend_asc", "--setting", "budget", "--values", "8,4"), "'blend_asc' spends one budget"),
        (("--method", "greedy_allocate", "--setting", "budget", "--values", "8"), "such as adaptive_vote"),
        (("--method", ""), "--method is empty"),
    ],
)  # fmt: skip
def test_a_method_without_a_threshold_of_its_own_is_one_line(folder, monkeypatch, capsys, words, told):
    capsys.readouterr()
    trueup(monkeypatch, "calibrate", "o", *words, code=2)
    line = capsys.readouterr().err
    assert told in line and line.count("\n") == 1
