"""Methods that choose among attempts, one conversation at a time, and what they know of their judges."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from toys import attempts, finish, problem, singly

from trueup.core.asks import Check, Rate, Sample
from trueup.core.errors import BadInput, UnknownName
from trueup.core.types import Attempt, Grade, Message, Sampling, Usage
from trueup.methods.best_of_majority import best_of_majority
from trueup.methods.constrained import constrained
from trueup.methods.generative_verify import VERIFY, generative_verify
from trueup.methods.judge_best import ASK, judge_best
from trueup.methods.judge_pairwise import PAIR, judge_pairwise
from trueup.methods.reason_then_constrain import THINK, reason_then_constrain
from trueup.methods.verdicts import Bench, last_word
from trueup.methods.weighted_best_of_n import elect_by_weight, weighted_best_of_n
from trueup.plan.judge import correct_judged, measure_judge


def ratable(name="p", **settings):
    return replace(problem(name, **settings), ratable=True)


def said(*texts):
    """What judges said."""
    return tuple(Attempt(i, text, "stop", Usage(5, 1)) for i, text in enumerate(texts))


# weighted_best_of_n


def test_weighted_best_of_n_sums_ratings_per_answer():
    """By hand: a has .9, b has .5 + .45 = .95."""
    asks, answer = finish(weighted_best_of_n(ratable(), n=3), [attempts("a", "b", "b"), (0.9, 0.5, 0.45)])
    assert asks[1] == Rate(ratable(), ("<a>", "<b>", "<b>"))
    assert (answer.value, answer.note) == ("b", "weight 0.95 of 1.85, 2 of 3 votes")


def test_weighted_best_of_n_asks_the_check_where_there_is_no_rater():
    replies = [attempts("a", "b"), (Grade(0.0), Grade(1.0))]
    asks, answer = finish(weighted_best_of_n(problem(checkable=True), n=2), replies)
    assert isinstance(asks[1], Check)
    assert answer.value == "b"


def test_equal_ratings_make_a_weighted_vote_a_vote():
    for answers in (("a", "b", "b"), ("a", None, "a", "b"), ("c", "b", "b", "c", "c")):
        most = max(set(answers) - {None}, key=answers.count)
        assert elect_by_weight(problem(), attempts(*answers), [0.3] * len(answers)).value == most


def test_what_cannot_be_read_has_no_weight_and_ties_fall_by_votes_and_seed():
    assert elect_by_weight(problem(), attempts(None, "b"), [9.0, 0.1]).value == "b"
    assert elect_by_weight(problem(), attempts(None, None), [1.0, 1.0]).value is None
    assert elect_by_weight(problem(), attempts("a", "b", "b"), [1.0, 0.5, 0.5]).value == "b"
    winners = [elect_by_weight(problem(seed=s), attempts("a", "b"), [0.5, 0.5]).value for s in range(40)]
    assert 8 <= winners.count("a") <= 32


def test_the_winner_speaks_in_the_words_of_its_weightiest_attempt():
    two = (replace(attempts("a")[0], text="first"), replace(attempts("a")[0], text="second", index=1))
    assert elect_by_weight(problem(), two, [0.1, 0.2]).text == "second"


# best_of_majority


def test_best_of_majority_never_lets_a_rare_answer_win():
    """c is rated highest by far; with one vote of ten it stays below a share of .2 and is not even rated."""
    drawn = attempts(*"aaaaabbbbc")
    asks, answer = finish(best_of_majority(ratable(), n=10, share=0.2), [drawn, (0.2,) * 5 + (0.6,) * 4])
    assert asks[1].texts == ("<a>",) * 5 + ("<b>",) * 4
    assert answer.value == "b"


def test_best_of_majority_takes_the_mean_rating_so_votes_do_not_count_twice():
    _, answer = finish(best_of_majority(ratable(), n=5, share=0.3), [attempts(*"aaabb"), (0.5, 0.5, 0.5, 0.6, 0.6)])
    assert answer.value == "b"


@pytest.mark.parametrize(("share", "n"), [(0.28, 25), (0.14, 50), (0.28, 50)])
def test_an_answer_of_exactly_the_share_may_win(share, n):
    votes = round(share * n)
    drawn = attempts(*"a" * votes, *"b" * (n - votes))
    ratings = [0.9 if attempt.answer == "a" else 0.1 for attempt in drawn]
    assert finish(best_of_majority(ratable(), n=n, share=share), [drawn, ratings])[1].value == "a"


def test_best_of_majority_rates_nothing_where_one_answer_alone_is_frequent():
    asks, answer = finish(best_of_majority(ratable(), n=4, share=0.5), [attempts("a", "a", "a", "b")])
    assert (len(asks), answer.value, answer.note) == (1, "a", "3 of 4 votes")


def test_best_of_majority_falls_back_on_the_most_frequent_where_none_is_frequent():
    asks, answer = finish(best_of_majority(ratable(), n=5, share=0.9), [attempts(*"aabbc"), (0.1, 0.1, 0.7, 0.7)])
    assert (len(asks[1].texts), answer.value) == (4, "b")


def test_best_of_majority_of_nothing_readable_abstains_and_a_share_above_one_is_refused():
    assert finish(best_of_majority(ratable(), n=2), [attempts(None, None)])[1].value is None
    with pytest.raises(BadInput, match=r"share is 1\.5"):
        next(best_of_majority(problem(), share=1.5))


# judges


def test_judge_best_asks_about_each_readable_attempt_apart():
    replies = [attempts("a", None, "b"), said("no"), said("Yes.")]
    asks, answer = finish(judge_best(problem("2?"), n=3, judge_model="big"), replies)
    chat = (Message("user", "2?"), Message("assistant", "<b>"), Message("user", ASK))
    assert asks[2] == Sample(chat, 1, 2, Sampling(max_tokens=16), "judge", "big")
    assert answer.value == "b"


def test_judge_best_counts_a_no_of_a_harsh_judge_for_less_than_a_yes():
    """q0 = 1, q1 = .5: a yes is worth 2 right attempts and a no none, so one yes of two beats a vote of one yes."""
    replies = [attempts("a", "b", "b"), said("yes"), said("yes"), said("no")]
    assert finish(judge_best(problem(), n=3, q0=1.0, q1=0.5), replies)[1].note.startswith("weight 2 of 4")


def test_judge_best_holds_a_no_against_an_answer_where_the_judge_is_lax():
    """q0 = .6, q1 = 1: yes is 1, no is -2/3; uncorrected, a would win 2 to 1, corrected b does by 1 to 2/3."""
    replies = [attempts("a", "a", "a", "a", "b"), *map(said, ["yes", "yes", "no", "no"]), said("yes")]
    assert finish(judge_best(problem(), n=5), replies)[1].value == "a"
    _, answer = finish(judge_best(problem(), n=5, q0=0.6, q1=1.0), replies)
    assert (answer.value, answer.note) == ("b", "weight 1 of 1.67, 1 of 5 votes")


def test_corrected_verdicts_are_right_on_average():
    """E[corrected | right] = 1 and E[corrected | wrong] = 0, whatever q0 and q1 are."""
    for q0, q1 in ((0.9, 0.7), (0.55, 0.6), (1.0, 0.2)):
        bench = Bench(1, 8, "", q0, q1)
        assert q1 * bench.corrected(1) + (1 - q1) * bench.corrected(0) == pytest.approx(1)
        assert (1 - q0) * bench.corrected(1) + q0 * bench.corrected(0) == pytest.approx(0)


@pytest.mark.parametrize(("many", "few", "rating"), [(3, 2, 0.9), (6, 2, 0.9), (12, 4, 0.9), (49, 15, 1.0)])
def test_equal_mean_ratings_fall_by_votes(many, few, rating):
    n = many + few
    replies = [attempts(*"a" * many, *"b" * few), (rating,) * n]
    assert finish(best_of_majority(replace(problem(), ratable=True), n=n), replies)[1].value == "a"


def test_verdicts_that_cannot_be_read_weigh_nothing():
    replies = [attempts("a", "b"), said("perhaps"), said("yes")]
    assert finish(judge_best(problem(), n=2), replies)[1].value == "b"


@pytest.mark.parametrize(
    ("text", "words", "word"),
    [
        ("No wait. YES!", ("yes", "no"), "yes"),
        ("<think>yes yes</think> no", ("yes", "no"), "no"),
        ("Nobody knows", ("yes", "no"), None),
        ("A is a better answer than b", ("A", "B"), "A"),
        ("The last step is fine. Is the answer correct (yes or no)?", ("yes", "no"), None),
        ("Is the answer correct (yes or no)? **Yes**. Any mistake? No.", ("yes", "no"), "yes"),
        ("Yes, there is no mistake.", ("yes", "no"), "yes"),
        ("In step 2 there is no mistake in", ("yes", "no"), None),
        ("The verdict: B. A closer look shows it.", ("A", "B"), "B"),
        ("B is right. A is wrong.", ("A", "B"), None),
        ("Answer A is better than Answer B.", ("A", "B"), "A"),
        ("Answer B is right, not A.", ("A", "B"), "B"),
        ("I prefer A over B.", ("A", "B"), "A"),
        ("Answer B is nearer to it than answer A", ("A", "B"), "B"),
        ("A is no better than B.", ("A", "B"), "B"),
        ("A is worse than B.", ("A", "B"), "B"),
        ("A makes more mistakes than B.", ("A", "B"), "B"),
        ("The error is in A, not B", ("A", "B"), "B"),
        ("A is longer than B, so B", ("A", "B"), "B"),
        ("A is better than B in clarity, but B is correct.", ("A", "B"), None),
        ("A is wrong, so the answer is B", ("A", "B"), "B"),
        ("Since A is incorrect, the better answer is B.", ("A", "B"), "B"),
        ("Verdict: A, since B is wrong.", ("A", "B"), "A"),
        ("The better answer is B, as A does not answer the question.", ("A", "B"), "B"),
        ("A good answer is B", ("A", "B"), "B"),
        ("I would go with A, since B makes an arithmetic error.", ("A", "B"), "A"),
        ("Answer: B (not A)", ("A", "B"), "B"),
        ("B is clearly more accurate than A.", ("A", "B"), "B"),
        ("Neither A nor B", ("A", "B"), None),
        ("Compared with A, B is better", ("A", "B"), None),
        ("Answer A is wrong.", ("A", "B"), None),
        ("**A**\n\nA holds what was asked while B does not.", ("A", "B"), "A"),
        ("Verdict: B\nA over B was close.", ("A", "B"), "B"),
    ],
)
def test_the_last_word_is_the_verdict(text, words, word):
    assert last_word(said(text)[0], words) == word


@pytest.mark.parametrize("method", [judge_best, judge_pairwise, generative_verify])
def test_a_judge_has_at_least_a_token_and_a_text(method):
    with pytest.raises(BadInput, match=f"{method.__name__} tokens is 0; give at least 1 token per text"):
        next(method(problem(), tokens=0))
    with pytest.raises(BadInput, match=f"{method.__name__} k is 0; give at least 1 text"):
        next(method(problem(), k=0))


@pytest.mark.parametrize(("q0", "q1"), [(0.5, 0.5), (0.2, 0.3), (1.1, 0.9)])
def test_a_judge_no_better_than_chance_is_refused(q0, q1):
    for method in (judge_best, judge_pairwise):
        with pytest.raises(BadInput, match="no better than chance"):
            next(method(problem(), q0=q0, q1=q1))


def test_generative_verify_weighs_by_the_share_of_yes():
    """By hand: a has 1/4; b has 2/4 + 0 of its unread one."""
    replies = [attempts("a", "b", "b"), said("yes", "no", "no", "no"), said("no", "no", "yes", "yes"), said(*"????")]
    asks, answer = finish(generative_verify(problem("2?"), n=3, k=4, tokens=99), replies)
    chat = (Message("user", "2?"), Message("assistant", "<b>"), Message("user", VERIFY))
    assert asks[2] == Sample(chat, 4, 4, Sampling(max_tokens=99), "judge")
    assert (answer.value, answer.note) == ("b", "weight 0.5 of 0.75, 2 of 3 votes")


def pairwise(flow, drawn, better):
    """Drive a pairwise flow with a judge who knows which of two answers is better; the matches, and the answer."""
    flow, matches = singly(flow), []
    next(flow)
    try:
        ask = flow.send(drawn)
        while True:
            shown = ask.prompt[-1].content
            first, second = shown.split("Answer A:\n<")[1][0], shown.split("Answer B:\n<")[1][0]
            matches.append((first, second))
            ask = flow.send(said(*["A" if better(first, second) else "B"] * ask.n))
    except StopIteration as end:
        return matches, end.value


@pytest.mark.parametrize(("by", "games"), [("knockout", 4), ("round_robin", 10)])
def test_pairwise_finds_the_answer_that_beats_all_others(by, games):
    for seed in range(12):
        flow = judge_pairwise(problem(seed=seed), n=6, by=by)
        matches, answer = pairwise(flow, attempts(*"dbaace"), lambda x, y: x > y)
        assert (answer.value, len(matches)) == ("e", games)


def test_who_stands_first_is_drawn_by_the_seed():
    firsts = [pairwise(judge_pairwise(problem(seed=s), n=2), attempts("a", "b"), min)[0] for s in range(60)]
    assert firsts == [pairwise(judge_pairwise(problem(seed=s), n=2), attempts("a", "b"), min)[0] for s in range(60)]
    assert 15 <= sum(match == [("a", "b")] for match in firsts) <= 45


def test_places_are_drawn_match_by_match():
    """Three pairs stand in 8 ways, two of which no order of the three answers has.

    Of 400 seeds each way takes 50, within four standard deviations 24 to 76, and each place of a pair 160 to 240.
    """
    ways = Counter()
    for seed in range(400):
        matches, _ = pairwise(judge_pairwise(problem(seed=seed), n=3, by="round_robin"), attempts(*"abc"), min)
        ways[tuple(sorted(matches))] += 1
    assert len(ways) == 8 and all(24 <= seen <= 76 for seen in ways.values())
    for pair in (("a", "b"), ("a", "c"), ("b", "c")):
        assert 160 <= sum(seen for way, seen in ways.items() if pair in way) <= 240


def test_who_meets_whom_is_drawn_too_and_so_is_who_wins_a_tie():
    """Of 300 seeds each first match, and each winner, takes 100, within four standard deviations 67 to 133."""
    firsts, winners = Counter(), Counter()
    for seed in range(300):
        asks, answer = finish(judge_pairwise(problem(seed=seed), n=3), [attempts(*"abc"), said("?"), said("?")])
        firsts[frozenset(answer for answer in "abc" if f"<{answer}>" in asks[1].prompt[-1].content)] += 1
        winners[answer.value] += 1
    for drawn in (firsts, winners):
        assert len(drawn) == 3 and all(67 <= seen <= 133 for seen in drawn.values())


@pytest.mark.parametrize(("for_first", "winner"), [(7, 1), (9, 0)])
def test_a_liking_for_the_first_place_is_corrected(for_first, winner):
    """At q1 = .9 and q0 = .3 the first must have more than .8 of the verdicts to lead; 7 of 10 speak for the second."""
    for seed in range(8):
        flow = judge_pairwise(problem(seed=seed), n=2, k=10, q0=0.3, q1=0.9)
        next(flow)
        shown = flow.send(attempts("a", "b")).prompt[-1].content
        order = sorted("ab", key=lambda answer: shown.index(f"<{answer}>"))
        with pytest.raises(StopIteration) as end:
            flow.send(said(*["A"] * for_first + ["B"] * (10 - for_first)))
        assert end.value.value.value == order[winner]


def test_an_unread_match_goes_to_the_answer_with_more_votes():
    for seed in range(8):
        _, answer = finish(judge_pairwise(problem(seed=seed), n=3), [attempts("a", "b", "b"), said("neither")])
        assert answer.value == "b"


@pytest.mark.parametrize("rate", [0.7, 0.8, 0.9])
def test_a_tie_of_a_corrected_judge_falls_by_votes_and_not_by_rounding(rate):
    """Each of five answers beats the two behind it, in a ring, or all matches are drawn; a has three votes."""
    ring = {("abcde"[k], "abcde"[(k + step) % 5]) for k in range(5) for step in (1, 2)}
    for seed in range(20):
        flow = judge_pairwise(problem(seed=seed), n=7, by="round_robin", q0=rate, q1=rate)
        assert pairwise(flow, attempts(*"abcdeaa"), lambda x, y: (x, y) in ring)[1].value == "a"
        flow = judge_pairwise(problem(seed=seed), n=5, k=2, q0=rate, q1=rate)
        assert finish(flow, [attempts(*"abaaa"), said("A", "B")])[1].value == "a"


def test_pairwise_judges_nothing_where_all_agree_and_refuses_another_way_to_pair():
    asks, answer = finish(judge_pairwise(problem(), n=3), [attempts("a", "a", None)])
    assert (len(asks), answer.value) == (1, "a")
    assert finish(judge_pairwise(problem(), n=1), [attempts(None)])[1].value is None
    with pytest.raises(UnknownName, match="did you mean 'knockout'"):
        next(judge_pairwise(problem(), by="knock_out"))


def test_the_pair_is_put_into_the_users_message():
    flow = judge_pairwise(problem("2?"), n=2)
    next(flow)
    ask = flow.send(attempts("a", "b"))
    texts = [("<a>", "<b>"), ("<b>", "<a>")]
    assert ask.prompt[0].content in [f"2?\n\n{PAIR.format(first=x, second=y)}" for x, y in texts]
    assert ask.kind == "judge"


# plan.judge


def test_a_judge_is_measured_on_right_and_wrong_answers():
    rates = measure_judge([True, True, False, True, False, False], [True, True, True, False, False, False])
    assert (rates.q0, rates.q1, rates.m0, rates.m1) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 3, 3)
    with pytest.raises(BadInput, match="2 and 0"):
        measure_judge([True, False], [True, True])


def test_correction_is_the_papers_formula():
    """q0 = .9 of 100, q1 = .8 of 50, p = .45 of 200: (.45 - .1) / .7 = .5, and the variance by hand."""
    rates = measure_judge([False] * 90 + [True] * 10 + [True] * 40 + [False] * 10, [False] * 100 + [True] * 50)
    found = correct_judged(0.45, 200, rates)
    assert found.value == pytest.approx(0.5)
    by_hand = (0.45 * 0.55 / 200 + 0.25 * 0.9 * 0.1 / 100 + 0.25 * 0.8 * 0.2 / 50) / 0.49
    assert found.variance == pytest.approx(by_hand)
    assert found.ci95[0] < 0.5 < found.ci95[1]


def test_a_perfect_judge_needs_no_correction():
    found = correct_judged(0.3, 100, measure_judge([True] * 9 + [False] * 9, [True] * 9 + [False] * 9))
    assert (found.value, found.variance) == (pytest.approx(0.3), pytest.approx(0.3 * 0.7 / 100))


def test_corrected_intervals_cover_the_truth():
    """theta = .4, q0 = .8, q1 = .7: of 1,000 studies about 95 % of intervals hold it, and the mean is on it."""
    dice, held, total = random.Random(0), 0, 0.0
    for _ in range(1000):
        passed = [dice.random() < 0.7 for _ in range(150)] + [dice.random() < 0.2 for _ in range(150)]
        rates = measure_judge(passed, [True] * 150 + [False] * 150)
        judged = sum(dice.random() < 0.4 * 0.7 + 0.6 * 0.2 for _ in range(300)) / 300
        found = correct_judged(judged, 300, rates)
        held += found.ci95[0] <= 0.4 <= found.ci95[1]
        total += found.value
    assert 0.93 <= held / 1000 <= 0.975
    assert total / 1000 == pytest.approx(0.4, abs=0.01)


def test_a_judge_of_no_edge_cannot_be_corrected():
    with pytest.raises(BadInput, match="no better than chance"):
        correct_judged(0.5, 10, measure_judge([True, False], [False, True]))


# reason_then_constrain


def test_reasoning_is_free_and_the_answer_is_held():
    sums = problem("2?", schema="{}")
    held = replace(sums, sampling=Sampling(stop=("\n",), schema="{}"))
    thoughts = (*said("It is\nfour. "), replace(said("so")[0], index=2))
    asks, answer = finish(
        reason_then_constrain(held, n=3, tokens=40, cue="So:"), [thoughts, attempts("4"), attempts("4")]
    )
    wish = Message("user", "2?\n\n" + THINK.format(cue="So:"))
    assert asks[0] == Sample((wish,), 3, 0, Sampling(max_tokens=40, stop=("So:",)))
    turn = Message("assistant", "It is\nfour.\n\nSo:\n")
    assert asks[1] == Sample((wish, turn), 1, 0, Sampling(schema="{}"), reads_turn=False)
    assert asks[2].start == 2
    assert (answer.text, answer.value) == ("<4>", "4")


@pytest.mark.parametrize("method", [constrained, reason_then_constrain])
def test_stop_strings_end_what_a_grammar_holds_and_nothing_that_a_schema_does(method):
    """A schema ends by itself, and a line break may stand in it."""
    for form in ({"schema": "{}"}, {"grammar": "start: /a/"}):
        one = replace(problem("2?"), sampling=Sampling(stop=("\n",)), **form)
        asks, _ = finish(method(one), [said("so"), attempts("4")][method is constrained :])
        assert asks[-1].sampling == Sampling(stop=() if "schema" in form else ("\n",), **form)


def test_reason_then_constrain_refuses_what_has_no_form_and_an_empty_cue():
    with pytest.raises(BadInput, match="no schema or grammar"):
        next(reason_then_constrain(problem()))
    with pytest.raises(BadInput, match="cue=' '"):
        next(reason_then_constrain(problem(schema="{}"), cue=" "))
