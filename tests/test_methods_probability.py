"""A vote that knows how likely texts are: what is seen counts in full, what is not is split by votes."""

from __future__ import annotations

import random
from dataclasses import replace
from math import exp, log

import pytest
from toys import attempts, finish, problem

from trueup.core.types import Attempt, Sampling, Usage
from trueup.methods.lookahead_vote import gain_of_block, lookahead_vote
from trueup.methods.probability_vote import (
    Belief,
    Share,
    believe,
    best_block,
    chances,
    probability_vote,
    votes_for_unseen,
)
from trueup.methods.rightness import CALIBRATED
from trueup.methods.vote import vote

TOKENS = 8


def told(*drawn: tuple[str | None, float], texts: str = "") -> tuple[Attempt, ...]:
    """Attempts of these answers and chances; their texts are the answers', or one letter each."""
    made = attempts(*(answer for answer, _ in drawn))
    return tuple(
        replace(attempt, drawn_logprob=log(p) / TOKENS, text=texts[place : place + 1] or attempt.text)
        for place, (attempt, (_, p)) in enumerate(zip(made, drawn, strict=True))
    )


def play(flow, tries):
    """What a flow returns that is given attempt after attempt of these, how many it took and in how many calls."""
    taken = calls = 0
    try:
        ask = next(flow)
        while True:
            taken, calls = ask.start + ask.n, calls + 1
            ask = flow.send(tries[ask.start : taken])
    except StopIteration as end:
        return end.value, taken, calls


def plain(name: str = "p"):
    """A problem whose model is sampled as it is."""
    return replace(problem(name), sampling=Sampling(temperature=1.0))


# how likely a text was to be drawn


def test_at_temperature_1_a_text_is_as_likely_as_its_tokens_say():
    assert chances(told(("a", 0.3), ("b", 0.1), ("a", 0.3))) == pytest.approx({"<a>": 0.3, "<b>": 0.1})


def test_a_text_that_came_in_two_lengths_is_as_likely_as_both():
    some = told(("a", 0.3), ("a", 0.3), ("b", 0.1))
    longer = replace(some[0], usage=Usage(5, 2 * TOKENS), drawn_logprob=log(0.2) / (2 * TOKENS))
    assert chances((*some, longer)) == pytest.approx({"<a>": 0.5, "<b>": 0.1})


def fork(
    rng: random.Random, q: float, temperature: float, lengths: tuple[int, int], bits: tuple[int, int], n: int = 40
):
    """Attempts of an engine whose first token, by q, is `a` or `b`, each with so many fair coins behind it."""
    roots = q ** (1 / temperature), (1 - q) ** (1 / temperature)
    chance = roots[0] / sum(roots), roots[1] / sum(roots)
    made = []
    for index in range(n):
        side = int(rng.random() >= chance[0])
        coins, usage = rng.getrandbits(64) % (1 << bits[side]), Usage(5, lengths[side])
        told = (log(chance[side]) - bits[side] * log(2)) / lengths[side]
        made.append(Attempt(index, f"{'ab'[side]} {coins}", "eos", usage, "ab"[side], drawn_logprob=told))
    return tuple(made)


def test_a_text_drawn_too_rarely_for_its_chance_is_not_believed_nor_any_beside_it():
    """Of two chances of .9 and .05 the first came once in eight: by .9 that happens once in 13,000 times."""
    assert chances(told(("a", 0.9), *[("b", 0.05)] * 7)) == {}
    assert chances(told(("a", 0.5), *[("b", 0.05)] * 7)) == pytest.approx({"<a>": 0.5, "<b>": 0.05})


def test_counts_alone_do_not_touch_what_is_told():
    assert chances(told(("a", 0.9), ("b", 0.05), ("b", 0.05), ("b", 0.05)))["<a>"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("lengths", "bits"), [((2, 50), (0, 0)), ((50, 50), (20, 0)), ((50, 50), (3, 3)), ((50, 2), (3, 0))]
)
@pytest.mark.parametrize("temperature", [0.3, 0.7, 0.8, 1.0])
@pytest.mark.parametrize("q", [0.6, 0.7])
def test_the_likelier_answer_wins_whatever_the_lengths_and_the_doubts_of_its_texts(q, lengths, bits, temperature):
    """At least as often as by a vote of the same 16, for fewer attempts, below temperature 1 as at it."""
    rng, rows, taken, right = random.Random(1), 200, 0, {probability_vote: 0, vote: 0}
    asked = replace(problem(), sampling=Sampling(temperature=temperature))
    for _ in range(rows):
        tries = fork(rng, q, temperature, lengths, bits, n=16)
        for method in right:
            answer, count, _ = play(method(asked, n=16), tries)
            right[method] += answer.value == "a"
            taken += count * (method is probability_vote)
    assert right[probability_vote] >= right[vote] - 0.01 * rows and taken < 13 * rows


def test_chances_are_never_more_than_1_together():
    known = chances(told(("a", 0.55), ("b", 0.5)))
    assert sum(known.values()) == pytest.approx(1)
    assert known["<a>"] / known["<b>"] == pytest.approx(0.55 / 0.5)


def test_chances_that_cannot_be_of_one_distribution_are_not_believed():
    """As of an endpoint whose certain texts differ at temperature 0: the answer given most often is the answer."""
    assert chances(told(("a", 0.9), ("b", 0.8))) == {}
    tries = told(("b", 1.0), *[("a", 1.0)] * 7)
    asked = replace(problem(), sampling=Sampling(temperature=0.0))
    answers = {play(method(asked, n=8), tries)[0].value for method in (probability_vote, lookahead_vote)}
    assert answers == {"a"} and chances(tries[1:]) == {"<a>": 1.0}


def test_of_many_attempts_a_chance_is_still_believed():
    tries = told(*[("a", 0.45), ("b", 0.5)] * 1500)
    assert chances(tries) == pytest.approx({"<a>": 0.45, "<b>": 0.5})


def test_of_two_spellings_as_long_the_likelier_tells_however_they_come():
    some = told(("a", 0.02), ("a", 1e-9), texts="xx")
    assert chances(some) == chances(some[::-1]) == pytest.approx({"x": 0.02})


def test_an_engine_that_does_not_tell_of_every_text_tells_nothing():
    some = told(("a", 0.5), ("b", 0.1))
    assert chances((some[0], replace(some[1], drawn_logprob=None))) == {}
    assert chances(tuple(replace(one, drawn_logprob=None, logprob=-0.1) for one in some)) == {}
    assert chances((some[0], replace(some[1], usage=Usage(5, None)))) == {}
    assert believe(attempts(*"aab")) is None
    assert believe(told(("a", 0.3), ("a", 0.3), texts="xx")) is not None


# what is known, and votes for the rest


@pytest.mark.parametrize("p", [1e-9, 0.01, 0.3, 0.9])
@pytest.mark.parametrize("n", [1, 4, 40])
def test_a_text_and_its_votes_weigh_as_horvitz_and_thompson_say(p, n):
    assert p + votes_for_unseen(p, n) / n == pytest.approx(p / (1 - (1 - p) ** n), rel=1e-6)


def test_an_unlikely_text_has_one_vote_and_a_sure_one_none():
    assert [votes_for_unseen(p, 7) for p in (0.0, 1e-12, 1.0)] == pytest.approx([1, 1, 0])


def test_the_weights_are_right_on_average():
    """Over all draws of three from texts of .5 (answer a), .3 (b) and .2 (a): E[sum of p / pi] is .7 for a."""
    texts = (("x", "a", 0.5), ("y", "b", 0.3), ("z", "a", 0.2))
    mean = 0.0
    for i in texts:
        for j in texts:
            for k in texts:
                for _, answer, p in {i, j, k}:
                    mean += i[2] * j[2] * k[2] * (p + votes_for_unseen(p, 3) / 3) * (answer == "a")
    assert mean == pytest.approx(0.7)


def test_texts_of_one_answer_add_up_and_repeats_do_not():
    belief = believe(told(("a", 0.3), ("a", 0.3), ("a", 0.2), ("b", 0.1), texts="xxyz"))
    assert belief is not None
    assert belief.shares["a"].known == pytest.approx(0.5)
    assert belief.shares["a"].votes == pytest.approx(votes_for_unseen(0.3, 4) + votes_for_unseen(0.2, 4))
    assert belief.unseen == pytest.approx(0.4)


def test_what_cannot_be_read_is_known_as_well_and_goes_to_no_answer():
    belief = believe(told((None, 0.6), ("a", 0.1)))
    assert belief is not None
    assert belief.unseen == pytest.approx(0.3)
    assert list(belief.shares) == ["a"]
    assert belief.votes > belief.shares["a"].votes


def test_masses_are_what_is_known_and_a_part_of_the_rest_by_votes():
    belief = Belief({"a": Share(0.4, 1.0), "b": Share(0.1, 2.0)}, 0.4, 3.0)
    assert belief.masses == pytest.approx({"a": 0.4 + 0.1, "b": 0.1 + 0.2})


def test_an_answer_is_elected_by_all_that_is_unseen_and_said_to_be_as_likely_as_its_part_with_one_more_vote():
    """Three unlikely texts against a known .4: .6 of 3/3.24 beat it, .6 of 3/4.24 would not."""
    tries = told(("a", 1e-6), ("a", 2e-6), ("a", 3e-6), ("b", 0.4), texts="xyzb")
    belief = believe(tries)
    assert belief is not None and belief.strengths["a"] > 0.5 > belief.masses["b"] > belief.masses["a"] > 0.42
    assert play(probability_vote(plain(), n=4), tries)[0].value == "a"
    assert Belief({"a": Share(1.0, 0.0)}, 0.0, 0.0).strengths == {"a": 1.0}


# when to stop


def test_the_gain_of_a_block_beside_a_known_lead_by_hand():
    """Beta(2, 2) over a half: one vote makes it .2 to .3, which a known lead of .06 leaves at .04."""
    assert gain_of_block(1, 1, 1, 0.5, CALIBRATED, (0.06, 0.0)) == pytest.approx(0.5 * (0.1 - 0.06))
    assert gain_of_block(1, 1, 1, 0.5, CALIBRATED, (0.1, 0.0)) == 0.0
    assert gain_of_block(1, 1, 1, 0.5, CALIBRATED, (0.0, 0.0)) == gain_of_block(1, 1, 1, 0.5, CALIBRATED)


@pytest.mark.parametrize("seed", range(20))
def test_a_lead_that_all_the_unseen_could_not_make_up_for_is_worth_no_attempt(seed):
    dice = random.Random(seed)
    second = dice.uniform(0, 0.3)
    unseen = dice.uniform(0, 1 - 2 * second) / 2
    first = 1 - second - unseen
    shares = {"a": Share(first, dice.random()), "b": Share(second, dice.random() * 3)}
    assert first - second >= unseen
    assert best_block(Belief(shares, unseen, 4.0), 100, 2.0) == (0.0, 0)


def test_more_is_at_stake_the_more_is_unseen_and_the_smaller_the_lead():
    def rate(first: float, unseen: float) -> float:
        return best_block(Belief({"a": Share(first, 0.8), "b": Share(0.1, 0.9)}, unseen, 2.0), 60, 1.0)[0]

    assert [rate(0.2, u) for u in (0.2, 0.4, 0.6)] == sorted(rate(0.2, u) for u in (0.2, 0.4, 0.6))
    assert rate(0.15, 0.4) > rate(0.25, 0.4) > rate(0.35, 0.4)


def test_an_answer_not_yet_seen_may_overtake_a_leader_that_is_alone():
    """The one text seen is .3 likely: with .7 unseen the next attempt is worth having, with .1 unread it is not."""
    alone = Belief({"a": Share(0.3, votes_for_unseen(0.3, 1))}, 0.7, votes_for_unseen(0.3, 1))
    assert best_block(alone, 40, 0.0)[0] > 0.0005
    assert best_block(replace(alone, unseen=0.1), 40, 0.0)[0] == 0.0


def test_a_longer_prompt_makes_for_larger_blocks_that_bring_less_a_sample():
    belief = believe(told(("a", 0.2), ("b", 0.1), ("c", 0.05), ("d", 0.02)))
    assert belief is not None
    found = [best_block(belief, 124, overhead) for overhead in (0.0, 4.0, 20.0)]
    assert [size for _, size in found] == sorted(size for _, size in found)
    assert found[0][1] < found[-1][1]
    assert found[0][0] > found[1][0] > found[2][0]


def test_no_block_is_larger_than_what_is_left():
    belief = believe(told(("a", 0.1), ("b", 0.09)))
    assert belief is not None
    for left in (0, 1, 2, 5):
        rate, size = best_block(belief, left, 3.0)
        assert size <= left
        assert (rate == 0.0) == (size == 0)


# the whole conversation


def test_one_likely_text_outvotes_three_unlikely_ones_and_four_attempts_suffice():
    asks, answer = finish(probability_vote(plain()), [told(("b", 0.1), ("b", 0.1), ("a", 0.6), ("b", 0.1))])
    assert [(ask.start, ask.n, ask.sampling.logprobs) for ask in asks] == [(0, 4, True)]
    assert answer.value == "a"
    assert answer.note == "61% likely by 4 attempts"


def test_where_likelier_texts_may_be_unseen_it_asks_for_more():
    first = told(("a", 0.05), ("b", 0.04), ("c", 0.02), ("d", 0.01))
    more = told(*[("e", 0.7)] * 128)
    flow = probability_vote(plain())
    assert flow.send(None).n == 4
    ask = flow.send(first)
    assert (ask.start, ask.n, ask.sampling) == (4, 4, Sampling(temperature=1.0, logprobs=True))
    with pytest.raises(StopIteration) as end:
        flow.send(more[: ask.n])
    assert end.value.value.value == "e"


@pytest.mark.parametrize("seed", range(12))
def test_without_probabilities_it_is_lookahead_vote(seed):
    dice = random.Random(seed)
    tries = attempts(*(dice.choice([*"aaabbcd", None]) for _ in range(128)))
    for price in (0.001, 0.00025):
        ours, theirs = (play(f(problem(), price=price), tries) for f in (probability_vote, lookahead_vote))
        assert ours == theirs


@pytest.mark.parametrize("seed", range(6))
def test_of_long_texts_it_is_lookahead_vote_too(seed):
    dice = random.Random(seed)
    tries = attempts(*(dice.choice("aaabbcd") for _ in range(128)))
    long = tuple(replace(attempt, text=str(place), drawn_logprob=-3.0) for place, attempt in enumerate(tries))
    assert play(probability_vote(problem()), long) == play(lookahead_vote(problem()), long)


def test_of_two_texts_four_attempts_find_the_likelier_with_the_chance_of_seeing_it():
    """.7 and .3: right unless all four are the rarer text, and then .7 are unseen and it goes on until it has it."""
    dice, right, rows = random.Random(1), 0, 400
    for _ in range(rows):
        tries = told(*(("a", 0.7) if dice.random() < 0.7 else ("b", 0.3) for _ in range(40)))
        answer, count, _ = play(probability_vote(plain(), n=40), tries)
        right += answer.value == "a"
        assert count == 4 or {attempt.answer for attempt in tries[:4]} == {"b"}
    assert right == rows


def test_it_needs_a_fraction_of_the_attempts_that_counts_need_for_an_answer_as_likely():
    """Answers a and b of .3 and .25 in three texts each, and a tail of others."""
    texts = [("a", p) for p in (0.15, 0.1, 0.05)] + [("b", p) for p in (0.12, 0.08, 0.05)]
    texts += [(f"c{place}", 0.009) for place in range(50)]
    names = [str(place) for place in range(len(texts))]
    taken = {probability_vote: 0, lookahead_vote: 0}
    likely = dict.fromkeys(taken, 0.0)
    for seed in range(40):
        places = random.Random(seed).choices(range(len(texts)), [p for _, p in texts], k=128)
        tries = tuple(replace(a, text=names[i]) for a, i in zip(told(*(texts[i] for i in places)), places, strict=True))
        for method in taken:
            answer, count, _ = play(method(plain()), tries)
            taken[method] += count
            likely[method] += {"a": 0.3, "b": 0.25}.get(answer.value, 0.009) / 40
    assert taken[probability_vote] < 0.6 * taken[lookahead_vote]
    assert likely[probability_vote] > likely[lookahead_vote] - 0.005


def test_a_likely_answer_is_kept_and_an_unlikely_one_withheld():
    reply = [told(("a", 0.3), ("b", 0.1))]
    kept = finish(probability_vote(plain(), n=2, step=2), reply)[1]
    withheld = finish(probability_vote(plain(), n=2, step=2, abstain_below=0.5), reply)[1]
    assert (kept.value, withheld.value, withheld.text) == ("a", None, "")
    assert withheld.note.startswith("44% likely by 2 attempts; right with 44% only")


def test_where_nothing_can_be_read_the_first_text_stands():
    _, answer = finish(probability_vote(plain(), n=2, step=2), [told((None, 0.6), (None, 0.2))])
    assert (answer.value, answer.note) == (None, "no attempt could be read")


def test_it_makes_do_with_fewer_attempts_than_it_asked_for():
    replies = [told(("a", 0.1), ("b", 0.05)), told(("a", 0.1))]
    asks, answer = finish(probability_vote(plain(), n=8), replies)
    assert [(ask.start, ask.n) for ask in asks] == [(0, 4), (4, 4)]
    assert answer.value == "a" and answer.note.endswith("likely by 3 attempts")


def test_a_calibrated_table_changes_nothing(tmp_path):
    path = tmp_path / "same.json"
    path.write_text('{"frequency": [0.0, 1.0], "right": [0.0, 1.0]}')
    belief = believe(told(("a", 0.1), ("b", 0.08), ("c", 0.05)))
    assert belief is not None
    same = best_block(belief, 60, 2.0, ((0.0, 1.0), (0.0, 1.0)))
    assert same == pytest.approx(best_block(belief, 60, 2.0), rel=0.05)
    flow = probability_vote(plain(), table=str(path))
    assert flow.send(None).n == 4


def test_exponents_stay_finite_however_long_the_texts():
    long = Attempt(0, "x", "eos", Usage(5, 100_000), "a", drawn_logprob=-2.0)
    assert chances((long, replace(long, text="y", drawn_logprob=-9.0)))["y"] == 0.0
    assert exp(-700) > 0.0
