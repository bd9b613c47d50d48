"""Votes that weigh what another attempt is worth: exact posteriors, look-ahead, one budget for many problems."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import product
from math import factorial, sqrt

import pytest
from toys import attempts, finish, item, problem

from trueup.bench.toy import Whole
from trueup.core.asks import Sample
from trueup.core.cost import Cost
from trueup.core.errors import BadInput
from trueup.core.outcome import Measured, Pool
from trueup.core.stratum import Stratum
from trueup.core.types import Grade, Message, Sampling, Usage
from trueup.methods.adaptive_vote import adaptive_vote
from trueup.methods.bayes_vote import bayes_vote
from trueup.methods.blend_asc import beta_at_half, blend_asc, least_sure
from trueup.methods.frequencies import mode_probability, read_library, usual_library
from trueup.methods.lookahead_vote import gain_of_block, gain_per_sample, lookahead_vote
from trueup.methods.probability_vote import probability_vote
from trueup.methods.rightness import CALIBRATED, leader_frequency, read_table, right
from trueup.methods.stopping import Votes, expected_overhead, measured_overhead
from trueup.plan.frequencies import save_frequencies, shares, tallies
from trueup.plan.replay import replay
from trueup.plan.rightness import fit_rightness

MIXED = ((0.5, 0.3, 0.15, 0.05), (0.4, 0.25, 0.2, 0.15), (0.9, 0.1, 0.0, 0.0))


def pools(*rows):
    """A stratum whose items had these answers, of which `right` is right."""
    made = []
    for place, row in enumerate(rows):
        tries = attempts(*row)
        made.append(Pool(item(f"p{place}"), tries, tuple(Grade(float(a.answer == "right")) for a in tries), Cost()))
    return Measured(Stratum("s", tuple(pool.item for pool in made), Whole()), (), tuple(made), ())


# bayes_vote


def enumerated(first, second, rest, library):
    """The posterior by listing every way in which the answers can share the votes; ties fall by lot."""
    n, seen, mode = first + second + rest, 0.0, 0.0
    for p in library:
        for counts in product(range(n + 1), repeat=len(p)):
            ranked = sorted(counts, reverse=True)
            if sum(counts) != n or ranked[:2] != [first, second]:
                continue
            chance = float(factorial(n))
            for count, share in zip(counts, p, strict=True):
                chance *= share**count / factorial(count)
            seen += chance
            mode += chance / counts.count(first) if counts[0] == first else 0.0
    return mode / seen


@pytest.mark.parametrize(
    "counts",
    [(1, 0, 0), (3, 0, 0), (1, 1, 0), (2, 1, 0), (2, 1, 1), (1, 1, 1), (2, 2, 1), (2, 2, 2), (3, 2, 2), (3, 2, 3)],
)  # fmt: skip
def test_the_posterior_is_that_of_listing_all_counts(counts):
    assert mode_probability(*counts, MIXED) == pytest.approx(enumerated(*counts, MIXED), abs=1e-12)


def test_with_two_answers_of_known_chances_the_posterior_is_the_likelihood_ratio():
    p, q, first, second = 0.7, 0.3, 5, 3
    wanted = 1 / (1 + (q / p) ** (first - second))
    assert mode_probability(first, second, 0, ((p, q),)) == pytest.approx(wanted)


def test_counts_that_no_vector_allows_have_no_posterior_and_sampling_goes_on():
    assert mode_probability(1, 1, 3, ((0.6, 0.4),)) == 0.0
    assert mode_probability(0, 0, 0, MIXED) == 0.0


def test_the_usual_library_is_the_same_every_time_and_its_vectors_fall():
    library = usual_library()
    assert library == usual_library.__wrapped__()
    assert all(list(p) == sorted(p, reverse=True) and sum(p) == pytest.approx(1) for p in library)
    assert min(p[0] for p in library) < 0.25 and max(p[0] for p in library) > 0.99


def test_where_two_answers_are_equally_frequent_either_is_the_mode():
    tied = ((1.0, 0.0), (0.5, 0.5))
    assert mode_probability(3, 3, 0, tied) == mode_probability(6, 4, 0, tied) == 1.0
    assert mode_probability(2, 1, 1, ((0.4, 0.4, 0.2),)) == pytest.approx(1 - 1 / 5)


def test_the_posterior_of_hundreds_of_votes_is_that_of_the_likelihoods():
    p, q, first, second = 0.51, 0.49, 260, 240
    wanted = 1 / (1 + (q / p) ** (first - second))
    assert mode_probability(first, second, 0, ((p, q),)) == pytest.approx(wanted)
    assert mode_probability(171, 171, 170, ((0.4, 0.3, 0.3),)) == pytest.approx(4 / 11)
    assert mode_probability(26, 26, 204, ((0.1,) * 10,)) == pytest.approx(1.0)


def test_bayes_vote_refuses_more_votes_than_it_can_weigh():
    with pytest.raises(BadInput, match="bayes_vote n is 513; give at most 512"):
        next(bayes_vote(problem(), n=513))


def test_bayes_vote_stops_once_the_posterior_is_sure(tmp_path):
    """With chances of 0.7 and 0.3 it takes a lead of 4: (3 / 7)^4 = 0.034, while a lead of 3 leaves 0.073 of doubt."""
    save_frequencies([[0.7, 0.3]], tmp_path / "library.json")
    flow = bayes_vote(problem(), step=1, library=str(tmp_path / "library.json"))
    asks, answer = finish(flow, [attempts(*"aaba"), attempts("a", "a")])
    assert [(ask.start, ask.n) for ask in asks] == [(0, 4), (4, 2)]
    assert answer.note == "5 of 6 votes"


def test_bayes_vote_knows_that_scattered_answers_make_a_leader_safe():
    """The same two leading counts; where the rest is spread thin the leader is the mode more surely."""
    usual = usual_library()
    assert mode_probability(4, 1, 6, usual) > mode_probability(4, 3, 4, usual)
    assert mode_probability(4, 0, 0, usual) > 0.95


@pytest.mark.parametrize("text", ["{", "[]", '{"frequencies": [[0.5, 0.1]]}', '{"frequencies": []}'])
def test_a_library_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "library.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="library"):
        next(bayes_vote(problem(), library=str(path)))


def test_a_library_holds_sorted_shares_without_what_could_not_be_read():
    logged = pools(["a", "b", "a", None] * 6, [None, "c"], ["d", "e"] * 8)
    assert [shares(votes) for votes in tallies(logged)] == [[2 / 3, 1 / 3], [0.5, 0.5]]


def test_a_library_of_many_problems_is_drawn_and_the_same_seed_draws_the_same():
    logged = pools(*([["a"] * n + ["b"] for n in range(15, 44)]))
    assert len(tallies(logged, most=5)) == 5
    assert tallies(logged, most=5, seed=1) == tallies(logged, most=5, seed=1) != tallies(logged, most=5)


def test_a_library_takes_twelve_readable_attempts_of_a_problem():
    """Of 8 the leader looks so common that what is 95 % sure is right in 88 %."""
    for rows, found in (((["a"], [None, None]), 1), ((["a", "b"] * 4, ["a"] * 11 + [None]), 11), ((), 0)):
        told = rf"'s' has {found} readable attempts at a problem at most, a library takes 12 or more; sample more, 40"
        with pytest.raises(BadInput, match=told):
            tallies(pools(*rows))
    assert tallies(pools(["a"] * 11 + ["b"], ["c"] * 11)) == [[11, 1]]


def test_a_saved_library_tells_how_many_attempts_its_vectors_are_of(tmp_path):
    save_frequencies([[1.0], [0.75, 0.25]], tmp_path / "l.json", attempts=[16, 40])
    assert json.loads((tmp_path / "l.json").read_text())["attempts"] == [16, 40]
    assert len(read_library(str(tmp_path / "l.json"))) == 2


def drawn(dice):
    """The chances of 2 to 5 answers."""
    raw = [dice.gammavariate(2.0, 1.0) for _ in range(dice.randint(2, 5))]
    return [part / sum(raw) for part in raw]


def share_right(library, dice, size=200):
    """Of problems whose leader `bayes_vote` comes to be 95 % sure of, the share in which it is the mode."""
    sure = right = 0
    for _ in range(size):
        chances, votes = drawn(dice), [0] * 5
        for _ in range(40):
            votes[dice.choices(range(len(chances)), chances)[0]] += 1
            first, second, *rest = sorted(votes, reverse=True)
            if mode_probability(first, second, sum(rest), library) >= 0.95:
                sure, right = sure + 1, right + (votes.index(first) == chances.index(max(chances)))
                break
    return right / sure


@pytest.mark.parametrize(("attempts_each", "least", "most"), [(2, 0.4, 0.65), (16, 0.88, 1.0)])
def test_a_library_of_small_pools_is_surer_than_it_is_right(tmp_path, attempts_each, least, most):
    dice, rows = random.Random(1), []
    for _ in range(250):
        chances = drawn(dice)
        rows.append(shares(tallied(dice.choices(range(len(chances)), chances, k=attempts_each))))
    save_frequencies(rows, tmp_path / "l.json")
    assert least < share_right(read_library(str(tmp_path / "l.json")), dice) < most


def tallied(answers):
    return sorted((answers.count(answer) for answer in set(answers)), reverse=True)


def test_a_saved_library_is_read_back_with_vectors_of_one_width(tmp_path):
    save_frequencies([[1.0], [0.75, 0.25]], tmp_path / "l.json")
    assert read_library(str(tmp_path / "l.json")) == ((1.0, 0.0), (0.75, 0.25))


# lookahead_vote


def test_the_gain_of_one_more_vote_at_one_each_by_hand():
    """Beta(2, 2): one vote in two makes it 2/5 to 3/5; of a share of 2/3, so that it takes 1.5 samples."""
    assert gain_per_sample(Votes(1, 1, 0, 0, 1)) == pytest.approx((2 / 3) * 0.1 / 1.5)


def test_one_vote_cannot_turn_a_lead_of_two_but_a_block_can():
    assert gain_per_sample(Votes(3, 1, 0, 0, 1)) == 0.0
    assert gain_per_sample(Votes(3, 1, 0, 0, 8)) > 0.0


def test_the_gain_falls_as_the_leader_gets_safer_and_as_answers_scatter():
    leads = [gain_per_sample(Votes(k, 1, 0, 0, 60)) for k in range(1, 12)]
    rests = [gain_per_sample(Votes(2, 1, k, 0, 60)) for k in range(12)]
    assert leads == sorted(leads, reverse=True)
    assert rests == sorted(rests, reverse=True)


def test_the_gain_of_a_block_is_that_of_drawing_it():
    """E[(q2 - q1)+] after 5 more votes at 2 : 1, by simulation."""
    dice, total, draws = random.Random(0), 0.0, 20_000
    for _ in range(draws):
        p = dice.betavariate(3, 2)
        k = sum(dice.random() < p for _ in range(5))
        total += max(0.0, (2 + 5 - k) - (3 + k)) / (3 + 2 + 5)
    assert gain_of_block(2, 1, 5, 1.0, CALIBRATED) == pytest.approx(total / draws, rel=0.05)


def test_lookahead_vote_stops_early_on_agreement_and_asks_in_blocks():
    asks, answer = finish(lookahead_vote(problem()), [attempts(*"aaaa")])
    assert [(ask.start, ask.n) for ask in asks] == [(0, 4)]
    assert answer.note == "4 of 4 votes"


def test_lookahead_vote_gives_up_where_no_two_attempts_agree():
    found = replay(lookahead_vote(problem(), price=0.001), attempts(*map(str, range(128))), problem())
    assert found.taken < 40


def test_where_nothing_can_be_read_sampling_ends_once_an_answer_would_be_too_rare():
    """An answer of frequency f = 1 / (taken + 2) is worth f^2, at the price of it and of a prompt of 5/8 attempts.

    At 0.002 that is too little from 16 attempts on.
    """
    found = replay(lookahead_vote(problem(), price=0.002, step=1), attempts(*[None] * 128), problem())
    assert found.value.value is None
    assert 16 <= found.taken < 20


def test_where_samples_are_free_all_are_taken_until_nothing_can_change():
    dice = random.Random(3)
    tries = attempts(*(dice.choice("ab") for _ in range(40)))
    found = replay(lookahead_vote(problem(), n=40, price=0.0, step=1), tries, problem())
    votes = Votes.of(tries[: found.taken], 40)
    assert votes.is_decided or gain_per_sample(votes) == 0.0
    assert found.taken > 30


def test_dearer_samples_are_fewer():
    dice = random.Random(5)
    rows = [attempts(*(dice.choice("aab") for _ in range(128))) for _ in range(20)]
    taken = [
        sum(replay(lookahead_vote(problem(), price=price), row, problem()).taken for row in rows)
        for price in (1e-4, 3e-4, 1e-3, 5e-3)
    ]
    assert taken == sorted(taken, reverse=True)
    assert taken[0] > 1.5 * taken[-1]


def test_an_answer_that_is_too_seldom_right_is_withheld():
    replies = [attempts(*"aabc"), attempts(*"adef")]
    kept = finish(lookahead_vote(problem(), n=8, price=0.0, step=4), replies)[1]
    withheld = finish(lookahead_vote(problem(), n=8, price=0.0, step=4, abstain_below=0.5), replies)[1]
    assert (kept.value, withheld.value) == ("a", None)
    assert (kept.text, withheld.text, withheld.finish) == ("<a>", "", "stop")
    assert withheld.note == "3 of 8 votes; right with 30% only"


def test_what_nobody_could_read_is_withheld_where_doubt_is_and_stands_where_it_is_not():
    replies = [attempts(None, None)]
    assert finish(lookahead_vote(problem(), n=2), replies)[1].text == "<None>"
    assert finish(lookahead_vote(problem(), n=2, abstain_below=0.5), replies)[1].text == ""


@pytest.mark.parametrize("least", [-0.1, 1.5])
@pytest.mark.parametrize("method", [lookahead_vote, probability_vote])
def test_a_chance_to_abstain_below_is_from_0_to_1(method, least):
    with pytest.raises(BadInput, match=rf"{method.__name__} abstain_below is {least}; it takes 0 .* to 1"):
        next(method(problem(), abstain_below=least))
    for end in (0.0, 1.0):
        assert isinstance(next(method(problem(), abstain_below=end)), Sample)


def test_a_table_of_a_calibrated_model_changes_nothing_and_a_flat_one_ends_sampling(tmp_path):
    same, flat = tmp_path / "same.json", tmp_path / "flat.json"
    same.write_text(json.dumps({"frequency": [0.0, 0.5, 1.0], "right": [0.0, 0.5, 1.0]}))
    flat.write_text(json.dumps({"frequency": [0.0, 1.0], "right": [0.6, 0.6]}))
    for votes in (Votes(2, 1, 3, 0, 60), Votes(5, 4, 0, 1, 60), Votes(1, 0, 0, 0, 60)):
        assert gain_per_sample(votes, read_table(str(same))) == pytest.approx(gain_per_sample(votes))
        assert gain_per_sample(votes, read_table(str(flat))) == 0.0


def test_between_points_and_beyond_them_a_table_is_read_off_lines():
    points = ((0.2, 0.4, 0.4, 0.8), (0.1, 0.3, 0.5, 0.9))
    read = [right(x, points) for x in (0.0, 0.3, 0.4, 0.6, 0.9)]
    assert read == pytest.approx([0.1, 0.2, 0.5, 0.7, 0.9])


@pytest.mark.parametrize(
    "text", ["nought", '{"frequency": [0, 1], "right": [1, 0]}', '{"frequency": [0], "right": []}']
)
def test_a_table_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="table"):
        next(lookahead_vote(problem(), table=str(path)))


def test_the_leaders_frequency_is_its_posterior_mean():
    """Three of five attempts are among the two leaders, a posterior share of 3/6, of which the leader has 3/5."""
    assert leader_frequency(attempts("a", "a", "b", "c", None)) == pytest.approx(0.5 * 0.6)


# what was logged says how often a leader is right


def test_the_fit_pools_what_does_not_rise():
    """One attempt each, so one frequency, and two of three are right."""
    found = fit_rightness(pools(["right"], ["right"], ["wrong"]), leader_frequency, orders=1)
    assert found.right == pytest.approx([2 / 3])
    assert found.frequency == pytest.approx([1 / 3])
    assert found.problems == 3


def test_a_rarer_leader_that_is_right_more_often_is_pooled_with_the_commoner_one():
    """Frequencies 1/4 (seen twice, right twice) and 3/4 (seen twice, right once) make one step of 3/4."""
    logged = pools(["right"], ["right"], ["wrong", "x"], ["right", "x"])
    rank = {1: 0.25, 2: 0.75}
    found = fit_rightness(logged, lambda tries: rank[len(tries)], orders=4)
    assert len(set(found.right)) == 1


def test_on_answers_that_are_right_as_often_as_given_the_fit_is_near_the_diagonal():
    dice = random.Random(1)
    rows = []
    for _ in range(600):
        p = dice.random()
        flip = dice.random() < p
        names = ("right", "wrong") if flip else ("wrong", "right")
        rows.append([names[dice.random() >= p] for _ in range(12)])
    found = fit_rightness(pools(*rows), leader_frequency, orders=2)
    assert list(found.right) == sorted(found.right)
    assert right(0.85, (found.frequency, found.right)) == pytest.approx(0.85, abs=0.12)


def test_a_fit_is_saved_as_a_table_that_the_method_reads(tmp_path):
    found = fit_rightness(pools(["right"] * 4, ["wrong", "x", "y", "right"]), leader_frequency)
    found.save(tmp_path / "table.json")
    assert read_table(str(tmp_path / "table.json")) == (found.frequency, found.right)


def test_a_stratum_without_attempts_has_no_fit():
    with pytest.raises(BadInput, match="no attempts to fit to"):
        fit_rightness(pools(), leader_frequency)


# blend_asc


def drive(flow, answers, failing=()):
    """Run a batch flow where attempt i at problem k is the i-th of answers[k]; returns the rounds and the answers."""
    rounds = []
    try:
        asks = next(flow)
        while True:
            rounds.append([place for place, _ in asks])
            asks = flow.send(tuple(
                () if (place, ask.start) in failing else attempts(*answers[place])[ask.start : ask.start + ask.n]
                for place, ask in asks
            ))  # fmt: skip
    except StopIteration as end:
        return rounds, end.value


def test_blend_asc_spends_the_budget_to_the_last_sample_where_the_vote_is_close():
    rounds, found = drive(blend_asc([problem("p"), problem("q")], budget=4), ["aaaaaaaa", "abababaa"])
    assert rounds[0] == [0, 1]
    spent = [place for round_ in rounds for place in round_]
    assert len(spent) == 8
    assert spent.count(1) > spent.count(0)
    assert found[0].note == f"{spent.count(0)} of {spent.count(0)} votes"


def test_blend_asc_asks_for_the_next_attempt_of_each_problem():
    flow = blend_asc([problem("p")], budget=2)
    assert next(flow) == ((0, Sample(problem("p").prompt, 1, 0)),)
    assert flow.send((attempts("a"),)) == ((0, Sample(problem("p").prompt, 1, 1)),)


def test_blend_asc_never_exceeds_a_budget_that_a_round_would():
    problems = [problem(str(k)) for k in range(20)]
    rounds, found = drive(blend_asc(problems, budget=2), ["ab" * 20] * 20)
    assert sum(map(len, rounds)) == 40
    assert [len(r) for r in rounds[1:]] == [3] * 6 + [2]
    assert len(found) == 20


def test_votes_of_any_number_can_be_ranked():
    assert least_sure([attempts(*"ab" * 600), attempts(*"ab" * 599, "a")], 0.5, 1) == [0]
    assert beta_at_half(600, 600) == pytest.approx(27.6, abs=0.1)


def test_blend_asc_takes_no_more_than_n_of_a_problem_and_the_others_get_the_rest():
    rounds, found = drive(blend_asc([problem("p"), problem("q")], budget=4, n=5), ["aaaaaaaa", "abababaa"])
    assert sorted(place for round_ in rounds for place in round_) == [0] * 3 + [1] * 5
    rounds, found = drive(blend_asc([problem("p"), problem("q")], budget=4, n=3), ["aaaaaaaa", "abababaa"])
    assert sorted(place for round_ in rounds for place in round_) == [0] * 3 + [1] * 3
    assert [answer.note for answer in found] == ["3 of 3 votes", "2 of 3 votes"]


def test_a_problem_whose_sample_failed_gets_no_more_and_the_others_get_its_share():
    rounds, found = drive(blend_asc([problem("p"), problem("q")], budget=3), ["aaaaaa", "bbbbbb"], failing={(1, 0)})
    assert [place for round_ in rounds for place in round_] == [0, 1, 0, 0, 0, 0]
    assert (found[0].note, found[1].value) == ("5 of 5 votes", None)


def test_early_ranks_are_the_posteriors_and_late_ones_the_densities():
    """1 : 1 and 5 : 5 are equally unsure by P(p1 > p2) = 1/2, but their densities at 1/2 are 1.5 and 2.7."""
    few, many = attempts(*"ab"), attempts(*"ababababab")
    assert (beta_at_half(1, 1), beta_at_half(5, 5)) == (1.5, pytest.approx(11 * 252 / 1024))
    assert least_sure([many, few], 0.0, 1) == [1]
    assert least_sure([many, few], 1.0, 1) == [0]


@pytest.mark.parametrize("settings", [{"budget": 0}, {"n": 0}])
def test_a_budget_of_nought_is_refused(settings):
    with pytest.raises(BadInput, match=f"{next(iter(settings))} is 0"):
        next(blend_asc([problem()], **settings))


def test_blocks_grow_with_the_root_of_what_a_call_costs_for_its_prompt():
    """A prompt of 64 tokens is worth 8 attempts of 8: 2 * sqrt(1 + 8) = 6 attempts a call, once that is known."""
    tries = tuple(replace(attempt, usage=Usage(64, 8)) for attempt in attempts(*"abcdefghijklmnop"))
    asks, _ = finish(adaptive_vote(problem(), n=16, step=2), [tries[:4], tries[4:10], tries[10:]])
    assert [(ask.start, ask.n) for ask in asks] == [(0, 4), (4, 6), (10, 6)]
    assert measured_overhead(tries) == 8
    assert measured_overhead([replace(tries[0], usage=Usage(None, 8))]) == measured_overhead([]) == 0


def test_the_first_block_goes_by_the_length_of_the_models_turns_in_the_prompt():
    """Four messages of 40, 16, 40 and 16 letters are 28 tokens and 16 around them, a turn of the model 4: 44 / 4."""
    shown = tuple(Message(role, "x" * size) for role, size in [("user", 40), ("assistant", 16)] * 2)
    short = replace(problem(), prompt=shown)
    assert expected_overhead(short) == 11
    assert next(lookahead_vote(short)).n == int(4 * sqrt(12))
    assert (
        expected_overhead(replace(problem(), prompt=(Message("user", "x" * 400),), sampling=Sampling(max_tokens=8)))
        == 13
    )


def test_what_a_call_costs_for_its_prompt_is_weighed_against_what_it_brings():
    bare, dear = Votes(3, 2, 1, 0, 60), Votes(3, 2, 1, 0, 60, overhead=7.0)
    assert 0 < gain_per_sample(dear) < gain_per_sample(bare)
    assert gain_per_sample(Votes(0, 0, 0, 2, 6, overhead=1.0)) == pytest.approx(
        gain_per_sample(Votes(0, 0, 0, 2, 6)) / 2
    )
