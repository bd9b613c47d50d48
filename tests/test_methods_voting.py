"""Votes that stop: golden conversations, and exact enumeration on populations of two answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, product
from math import exp, log

import pytest
from toys import attempts, finish, problem

from trueup.core.asks import Check, Sample
from trueup.core.errors import BadInput
from trueup.core.types import Grade, Message, Sampling
from trueup.methods.adaptive_vote import adaptive_vote, beta_lead, lead_probability
from trueup.methods.beta_vote import beta_vote
from trueup.methods.confidence_vote import ASK, confidence_vote, most_confident, read_confidence, softmax
from trueup.methods.early_stop_vote import early_stop_vote
from trueup.methods.reset_and_discard import gains_of_tries, reset_and_discard, tries_that_pay
from trueup.methods.stopping import Votes, block
from trueup.plan.replay import replay

RIGHT, WRONG = Grade(1.0), Grade(0.0)


def likelihood(answers, p):
    """The chance of this sequence where `a` comes with chance p, `b` else."""
    return p ** answers.count("a") * (1 - p) ** answers.count("b")


def expected(method, n, p):
    """Expected attempts and calls of a method, over all sequences of two answers."""
    rows = [
        (likelihood(row, p), replay(method(problem()), attempts(*row), problem())) for row in product("ab", repeat=n)
    ]
    return sum(chance * run.taken for chance, run in rows), sum(chance * run.calls for chance, run in rows)


# blocks


def test_votes_count_the_leader_the_second_the_rest_and_what_could_not_be_read():
    assert Votes.of(attempts("a", "b", "a", None, "c"), 8) == Votes(2, 1, 1, 1, 3, overhead=5 / 8)


def test_a_block_is_what_the_leader_needs_at_least():
    """To start with four equal answers are the first lead over 0.95; after 3:1 it is 6:1."""

    def rule(votes):
        return beta_lead(votes.first, votes.second) >= 0.95

    assert block(Votes(0, 0, 0, 0, 40), rule, 1) == 4
    assert block(Votes(3, 1, 0, 0, 36), rule, 1) == 3
    assert block(Votes(3, 1, 0, 0, 36), rule, 5) == 5
    assert block(Votes(3, 1, 0, 0, 2), rule, 5) == 2


def test_a_block_counts_on_the_others_only_for_a_rule_that_gives_up():
    def rule(votes):
        return votes.rest >= 5

    assert block(Votes(1, 1, 0, 0, 20), rule, 1, gives_up=True) == 5
    assert block(Votes(1, 1, 0, 0, 20), rule, 1) == 11  # then the leader cannot be overtaken


# adaptive_vote


def one_by_one(row, n, confidence):
    """How many attempts the Beta rule takes where it asks one by one."""
    for taken in range(1, n + 1):
        votes = sorted((row[:taken].count("a"), row[:taken].count("b")))
        if beta_lead(votes[1], votes[0]) >= confidence or votes[1] - votes[0] > n - taken:
            return taken
    return n


@pytest.mark.parametrize(("p", "confidence"), [(0.8, 0.95), (0.6, 0.9), (0.5, 0.8)])
def test_adaptive_vote_takes_what_asking_one_by_one_takes_in_fewer_calls(p, confidence):
    n = 10
    wanted = sum(likelihood(row, p) * one_by_one(row, n, confidence) for row in product("ab", repeat=n))
    taken, calls = expected(lambda q: adaptive_vote(q, n=n, confidence=confidence, step=1), n, p)
    assert taken == pytest.approx(wanted)
    assert calls < taken / 2


def test_adaptive_vote_ends_where_the_leader_cannot_be_overtaken():
    asks, answer = finish(adaptive_vote(problem(), n=7, confidence=0.999, step=1), [attempts(*"aaaa")])
    assert [ask.n for ask in asks] == [4]
    assert answer.note == "4 of 4 votes"


def test_adaptive_vote_goes_on_where_attempts_failed():
    asks, answer = finish(adaptive_vote(problem(), n=8, step=4), [attempts("a", "b"), attempts(*"aab")])
    assert [(ask.start, ask.n) for ask in asks] == [(0, 4), (4, 4)]
    assert answer.note == "3 of 5 votes"


def test_a_window_with_a_failed_attempt_is_not_unanimous():
    asks, answer = finish(early_stop_vote(problem(), n=8, window=3), [attempts("a", "a"), attempts(*"aaa")])
    assert [(ask.start, ask.n) for ask in asks] == [(0, 3), (3, 3)]
    assert answer.note == "5 of 5 votes"


# beta_vote


def test_beta_vote_asks_for_all_at_once_and_stops_at_the_first_safe_beginning():
    asks, answer = finish(beta_vote(problem(), n=16), [attempts(*"aaaa")])
    (ask,) = asks
    assert (ask.n, ask.start) == (16, 0)
    assert [ask.until(attempts(*"aabaaaa")[:n]) for n in range(1, 8)] == [False] * 6 + [True]
    assert answer.note == "4 of 4 votes"


@pytest.mark.parametrize("p", [0.9, 0.6])
def test_beta_vote_and_adaptive_vote_stop_at_the_same_attempt(p):
    """But for the end, where only the latter knows that nothing can change."""
    n = 12
    for row in product("ab", repeat=9):
        tries = attempts(*row, *"aab")
        (ask,), _ = finish(beta_vote(problem(), n=n), [tries])
        safe = next((taken for taken in range(1, n + 1) if ask.until(tries[:taken])), n)
        found = replay(adaptive_vote(problem(), n=n, step=1), tries, problem()).taken
        assert found == safe or (found < safe and not ask.until(tries[:found]))


def test_lead_probability_of_no_votes_is_a_half():
    assert lead_probability(attempts(None, None)) == 0.5


# early_stop_vote


def test_early_stop_vote_stops_at_a_unanimous_window_and_all_windows_vote():
    asks, answer = finish(early_stop_vote(problem(), n=40, window=3), [attempts(*"abb"), attempts(*"aaa")])
    assert [(ask.start, ask.n) for ask in asks] == [(0, 3), (3, 3)]
    assert (answer.value, answer.note) == ("a", "4 of 6 votes")


def test_a_window_with_an_unparsable_attempt_is_not_unanimous():
    replies = [attempts("a", "a", None), attempts(None, None, None), attempts("b", "a")]
    asks, answer = finish(early_stop_vote(problem(), n=8, window=3), replies)
    assert [ask.n for ask in asks] == [3, 3, 2]
    assert answer.note == "3 of 8 votes"


@pytest.mark.parametrize(("p", "w", "windows"), [(0.7, 3, 4), (0.5, 2, 6)])
def test_early_stop_vote_takes_the_windows_of_its_closed_form(p, w, windows):
    """A window agrees with chance s = p^w + (1 - p)^w, so (1 - (1 - s)^L) / s windows of at most L."""
    s = p**w + (1 - p) ** w
    taken, calls = expected(lambda q: early_stop_vote(q, n=w * windows, window=w), w * windows, p)
    assert calls == pytest.approx((1 - (1 - s) ** windows) / s)
    assert taken == pytest.approx(w * calls)


# confidence_vote


def sure(*pairs):
    """Attempts with an answer and a probability per token each."""
    tries = attempts(*(answer for answer, _ in pairs))
    return tuple(replace(a, logprob=log(p)) for a, (_, p) in zip(tries, pairs, strict=True))


def test_confidence_vote_asks_for_logprobs_and_lets_one_sure_attempt_outvote_two():
    asks, answer = finish(confidence_vote(problem(), n=3, temperature=0.1), [sure(("a", 0.5), ("a", 0.5), ("b", 0.9))])
    assert asks == [Sample(problem().prompt, 3, sampling=Sampling(logprobs=True))]
    share = exp(4) / (exp(4) + 2)
    assert (answer.value, answer.note) == ("b", f"{share:.0%} of the weight of 3 attempts")


def test_a_great_temperature_makes_it_the_vote():
    _, answer = finish(confidence_vote(problem(), n=3, temperature=1e6), [sure(("a", 0.1), ("a", 0.1), ("b", 1.0))])
    assert answer.value == "a"


def test_keep_lets_the_most_confident_share_vote_alone():
    """a has most of all votes and c the surest; of the surer half b has two of three."""
    tries = sure(("a", 0.1), ("b", 0.7), ("a", 0.3), ("c", 0.9), ("a", 0.2), ("b", 0.8))
    won = {}
    for keep in (1.0, 0.5, 0.1):
        _, answer = finish(confidence_vote(problem(), n=6, temperature=1e6, keep=keep), [tries])
        won[keep] = (answer.value, answer.note)
    assert won[1.0] == ("a", "50% of the weight of 6 attempts")
    assert won[0.5] == ("b", "67% of the weight of the 3 most confident of 6 attempts")
    assert won[0.1] == ("c", "100% of the weight of the 1 most confident of 6 attempts")


def test_the_most_confident_are_a_share_rounded_up_and_of_equals_the_first():
    assert most_confident([0.2, 0.9, 0.9, 0.1], 0.25) == [1]
    assert most_confident([0.2, 0.9, 0.9, 0.1], 0.3) == [1, 2]
    assert most_confident([0.1] * 10, 0.1 * 3) == [0, 1, 2]
    assert most_confident([0.2, 0.9], 1.0) == [0, 1]


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_to_keep_is_above_nought_and_at_most_all(keep):
    with pytest.raises(BadInput, match="confidence_vote keep is"):
        next(confidence_vote(problem(), keep=keep))


def test_without_logprobs_the_model_is_asked_how_sure_it_is_in_free_text():
    held = replace(problem("2?"), sampling=Sampling(schema="{}"))
    replies = [attempts("a", "b", None), attempts("20"), attempts("I am 95 % sure")]
    asks, answer = finish(confidence_vote(held, n=3), replies)
    free = Sampling()
    chat = (Message("user", "2?"), Message("assistant", "<b>"), Message("user", ASK))
    assert asks[2] == Sample(chat, 1, 1, free, "judge")
    assert len(asks) == 3
    assert answer.value == "b"


def test_a_stop_string_of_the_answers_does_not_end_what_is_said_of_confidence():
    ending = replace(problem("2?"), sampling=Sampling(stop=("\n",)))
    asks, _ = finish(confidence_vote(ending, n=1), [attempts("a"), attempts("20")])
    assert [ask.sampling.stop for ask in asks] == [("\n",), ()]


def test_one_attempt_without_logprob_has_all_of_them_asked():
    mixed = (*sure(("a", 0.9)), *attempts("a", "b")[1:])
    asks, _ = finish(confidence_vote(problem(), n=2), [mixed, attempts("50"), attempts("50")])
    assert [ask.kind for ask in asks] == ["sampled", "judge", "judge"]


def test_a_confidence_that_cannot_be_read_counts_as_the_mean_of_the_others():
    """a has 0.9 and 0.7, the mean of 0.9 and 0.5; b has 0.5."""
    replies = [attempts(None), attempts(None), attempts(None)]
    said = [
        tuple(replace(a, text=text) for a in reply) for reply, text in zip(replies, ["90", "sure", "50"], strict=True)
    ]
    _, answer = finish(confidence_vote(problem(), n=3, temperature=1.0), [attempts("a", "a", "b"), *said])
    share = (exp(0.9) + exp(0.7)) / (exp(0.9) + exp(0.7) + exp(0.5))
    assert answer.note == f"{share:.0%} of the weight of 3 attempts"


def test_where_no_confidence_can_be_read_it_is_a_plain_vote_and_says_so():
    tries = attempts("b", "a", "a")
    _, answer = finish(confidence_vote(problem(), n=3, temperature=0.1), [tries, *[attempts(None)] * 3])
    assert (answer.value, answer.note) == ("a", "2 of 3 votes; no confidence could be read, so each counts alike")


def test_confidence_vote_of_unparsable_attempts_abstains_and_asks_nothing_more():
    asks, answer = finish(confidence_vote(problem(), n=2), [attempts(None, None)])
    assert (len(asks), answer.value) == (1, None)


def test_confidences_are_read_between_nought_and_a_hundred():
    assert [read_confidence(t) for t in ("85/100", "1000, no: 7.5 %", "none", "100")] == [0.85, 0.075, None, 1.0]


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        ("<think>There are 2 steps, 3 checks.</think>\n95", 0.95),
        ("The answer 4 is right: 95", 0.95),
        ("On a scale of 0 to 100 I say 90", 0.9),
        ("90 on a scale from 0 (surely wrong) to 100 (surely right)", 0.9),
        ("I am 85 out of 100 sure", 0.85),
        ("95\n\nThere are 2 steps, both easy.", 0.95),
        ("**70%**", 0.7),
        ("<think>There are 2 steps", None),
        ("I'd say 90 out of 100, because 7*6=42", 0.9),
        ("I am 80 percent sure the answer is 12.", 0.8),
        ("Confidence: 85\nAnswer: 42", 0.85),
        ("Of 20 % I am unsure, so I am 70% confident in 3", 0.7),
        ("My confidence is 65/100; the sum is 12", 0.65),
        ("I'm not 100% sure, maybe 60", 0.6),
        ("I can't be 100% certain, but 85", 0.85),
        ("90% (I am not 100% sure)", 0.9),
        ("not sure 50", 0.5),
        ("Sure: 42 is right. 95", 0.95),
        ("I am certain of 12: 90", 0.9),
        ("Since 20% of 50 is 10, the answer is right: 99", 0.99),
        ("The answer is a 20% increase. 95", 0.95),
    ],
)
def test_a_confidence_is_said_last_or_on_a_line_of_its_own_behind_the_thinking(text, confidence):
    assert read_confidence(text) == confidence


def test_softmax_by_hand():
    assert softmax([0.0, 1.0], 1.0) == pytest.approx([1 / (1 + exp(1)), exp(1) / (1 + exp(1))])


def test_a_temperature_of_nought_is_refused():
    with pytest.raises(BadInput, match="temperature is 0"):
        next(confidence_vote(problem(), temperature=0))


# reset_and_discard


def test_reset_and_discard_tries_afresh_until_a_try_passes():
    asks, answer = finish(
        reset_and_discard(problem(checkable=True), n=4), [attempts("a"), (WRONG,), attempts("b"), (RIGHT,)]
    )
    assert [ask.start for ask in asks if isinstance(ask, Sample)] == [0, 1]
    assert all(ask.prompt == problem().prompt for ask in asks if isinstance(ask, Sample))
    assert [len(ask.attempts) for ask in asks if isinstance(ask, Check)] == [1, 1]
    assert (answer.value, answer.note) == ("b", "passed at try 2")


def test_reset_and_discard_abstains_at_the_cap():
    _, answer = finish(reset_and_discard(problem(), n=2), [attempts("a"), (WRONG,), attempts("b"), (WRONG,)])
    assert (answer.value, answer.text) == (None, "")


def test_a_check_that_is_never_wrong_pays_to_the_end():
    assert tries_that_pay(32, 0.7, 0.0, 100.0, (0.2, 3.0)) == 32


def test_where_even_the_first_try_loses_nothing_is_asked():
    """Beta(1, 1): the first try is worth 1/2 - cost * FPR / 2, so it pays below cost * FPR = 1 only."""
    assert next(gains_of_tries(1.0, 0.1, 5.0, (1, 1))) == pytest.approx(0.25)
    assert tries_that_pay(16, 1.0, 0.1, 11.0, (1, 1)) == 0
    asks, answer = finish(reset_and_discard(problem(), false_positive_rate=0.1, cost_of_wrong=11.0), [])
    assert (asks, answer.value) == ([], None)


@pytest.mark.parametrize("k", [1, 2, 5, 12, 300])
def test_what_a_try_adds_is_its_integral(k):
    """Against quadrature of E[r^(k-1) (p TPR - cost (1 - p) FPR)] over the prior."""
    integrate, special = pytest.importorskip("scipy.integrate"), pytest.importorskip("scipy.special")
    tpr, fpr, cost, a, b = 0.9, 0.05, 3.0, 2.0, 3.0

    def density(p):
        r = p * (1 - tpr) + (1 - p) * (1 - fpr)
        gain = p * tpr - cost * (1 - p) * fpr
        return p ** (a - 1) * (1 - p) ** (b - 1) / special.beta(a, b) * r ** (k - 1) * gain

    (gain,) = islice(gains_of_tries(tpr, fpr, cost, (a, b)), k - 1, k)
    assert gain == pytest.approx(integrate.quad(density, 0, 1)[0])


def test_as_many_tries_as_a_user_likes_can_be_weighed():
    assert tries_that_pay(1100, 1.0, 0.0, 1.0, (1, 1)) == 1100
    assert tries_that_pay(100_000, 0.9, 0.1, 1.0, (1, 1)) == tries_that_pay(64, 0.9, 0.1, 1.0, (1, 1))


def test_the_cap_falls_as_wrong_answers_get_dearer():
    caps = [tries_that_pay(64, 1.0, 0.05, cost, (1, 1)) for cost in (0.5, 1, 2, 4, 8, 16, 32)]
    assert caps == sorted(caps, reverse=True)
    assert caps[0] > caps[3] > caps[-1] == 0


@pytest.mark.parametrize(
    ("setting", "named"),
    [({"false_positive_rate": 1.5}, "false_positive_rate is 1.5"), ({"cost_of_wrong": -1.0}, "cost_of_wrong is -1"),
     ({"prior_right": 0.0}, "prior is Beta")],
)  # fmt: skip
def test_rates_and_priors_that_make_no_sense_are_named(setting, named):
    with pytest.raises(BadInput, match=named):
        next(reset_and_discard(problem(), **setting))


def test_tries_that_pay_have_the_greatest_sum_of_all():
    gains = list(islice(gains_of_tries(0.95, 0.1, 1.5, (1.0, 2.0)), 40))
    sums = [sum(gains[:k]) for k in range(41)]
    assert tries_that_pay(40, 0.95, 0.1, 1.5, (1.0, 2.0)) == sums.index(max(sums))
