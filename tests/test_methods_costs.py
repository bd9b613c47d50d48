"""What methods say that they cost, held against what they ask of a supply that never ends and never satisfies."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from dataclasses import replace

import pytest
from toys import problem, singly

from trueup import methods
from trueup.core.asks import Check, Rate, Sample
from trueup.core.types import Attempt, Grade, Usage

TOKENS = 8
NOTHING, CHECK, RATER = "nothing", "check", "rater"
FORM = '{"type":"string"}'


def asked(flow):
    """How many samples, judge's texts, checks and ratings a flow asks for; no two attempts are alike, none passes."""
    flow, counts, reply = singly(flow), Counter(), None
    while True:
        try:
            ask = flow.send(reply)
        except StopIteration:
            return dict(counts)
        if isinstance(ask, Sample):
            counts["judged" if ask.kind == "judge" else "samples"] += ask.n
            reply = tuple(said(ask, place, counts.total()) for place in range(ask.n))
        elif isinstance(ask, Check):
            counts["checks"] += len(ask.attempts)
            reply = (Grade(0.0),) * len(ask.attempts)
        else:
            assert isinstance(ask, Rate)
            counts["ratings"] += len(ask.texts)
            reply = tuple(0.5 + i / 100 for i in range(len(ask.texts)))


def said(ask, place, total):
    """A text of its own, with questions in it; a judge's holds no verdict, and no answer."""
    word = f"{total}.{place}"
    answer = None if ask.kind == "judge" else word
    return Attempt(ask.start + place, f"1. Is it {word}?\n2. Or not {word}?", "stop", Usage(5, TOKENS), answer)


def offering(has):
    one = problem(checkable=CHECK in has, schema=FORM)
    return replace(one, ratable=RATER in has, sampling=replace(one.sampling, max_tokens=4 * TOKENS))


ROWS = [
    ("once", {}, NOTHING, "1 sample", {"samples": 1}),
    ("greedy", {}, NOTHING, "1 sample", {"samples": 1}),
    ("vote", {"n": 5}, NOTHING, "n samples", {"samples": 5}),
    ("reread", {"n": 5}, NOTHING, "n samples", {"samples": 5}),
    ("constrained", {"n": 5}, NOTHING, "n samples", {"samples": 5}),
    ("reason_then_constrain", {"n": 5}, NOTHING, "n + n samples", {"samples": 10}),
    ("vote_calls", {"n": 5}, NOTHING, "n samples", {"samples": 5}),
    ("vote_calls", {"n": 5, "side_effects": True}, NOTHING, "1 with side_effects", {"samples": 1}),
    ("best_of_n", {"n": 5}, NOTHING, "n checks", {"samples": 5, "checks": 5}),
    ("best_of_n", {"n": 5}, CHECK, "n samples, n checks", {"samples": 5, "checks": 5}),
    ("best_of_n", {"n": 5}, RATER, "n checks or ratings", {"samples": 5, "ratings": 5}),
    ("best_of_n", {"n": 5}, CHECK + RATER, "n samples, n checks", {"samples": 5, "checks": 5}),
    ("weighted_best_of_n", {"n": 5}, CHECK, "n ratings or checks", {"samples": 5, "checks": 5}),
    ("weighted_best_of_n", {"n": 5}, RATER, "n ratings or checks", {"samples": 5, "ratings": 5}),
    ("best_of_majority", {"n": 5}, CHECK, "up to n ratings or checks", {"samples": 5, "checks": 5}),
    ("best_of_majority", {"n": 5}, RATER, "up to n ratings or checks", {"samples": 5, "ratings": 5}),
    ("reset_and_discard", {"n": 5}, CHECK, "a sample and a check per try", {"samples": 5, "checks": 5}),
    ("confidence_vote", {"n": 5}, NOTHING, "n judge's texts besides", {"samples": 5, "judged": 5}),
    ("generative_verify", {"n": 5, "k": 3}, NOTHING, "k judge's texts per readable", {"samples": 5, "judged": 15}),
    ("judge_best", {"n": 5, "k": 3}, NOTHING, "k judge's texts per readable", {"samples": 5, "judged": 15}),
    ("judge_pairwise", {"n": 5, "k": 3}, NOTHING, "k judge's texts a match", {"samples": 5, "judged": 4 * 3}),
    (
        "judge_pairwise",
        {"n": 5, "by": "round_robin"},
        NOTHING,
        "`round_robin` d (d - 1) / 2",
        {"samples": 5, "judged": 10},
    ),
    ("plan_then_solve", {"n": 5}, NOTHING, "n judge's texts, n samples", {"samples": 5, "judged": 5}),
    ("mixture_of_agents", {"n": 3, "layers": 2}, NOTHING, "n * layers + 1 samples", {"samples": 7}),
    ("budget_forcing", {"waits": 3}, NOTHING, "1 + waits samples", {"samples": 4}),
    ("chain_of_verification", {}, NOTHING, "2 samples, 1 judge's text and 1 per", {"samples": 2, "judged": 3}),
    ("chain_of_verification", {}, CHECK, "with a check 2 checks", {"samples": 2, "judged": 3, "checks": 2}),
    ("revise", {"rounds": 3}, NOTHING, "1 + rounds samples", {"samples": 4}),
    ("revise", {"rounds": 3}, CHECK, "with a check as many checks", {"samples": 4, "checks": 4}),
    ("parallel_revise", {"chains": 3, "rounds": 2}, NOTHING, "chains * (1 + rounds) samples", {"samples": 9}),
    ("parallel_revise", {"chains": 3, "rounds": 2}, CHECK, "with a check as many", {"samples": 9, "checks": 9}),
    ("cascade", {"n": 3, "then": 2}, NOTHING, "n samples, and `then` samples", {"samples": 5}),
    ("cascade", {"n": 3, "then": 2}, CHECK, "a check per attempt", {"samples": 5, "checks": 5}),
    ("ab_mcts", {"n": 5}, RATER, "n ratings or checks", {"samples": 5, "ratings": 5}),
    ("ab_mcts", {"n": 5}, CHECK, "n ratings or checks", {"samples": 5, "checks": 5}),
    ("retract", {"n": 3}, RATER, "n samples of one step, and a rating of each", {"samples": 3, "ratings": 3}),
    ("retract", {"n": 3}, CHECK + RATER, "a grade of each new answer", {"samples": 3, "ratings": 3, "checks": 3}),
]
"""Method, settings, what the stratum has, words of its docstring, and by hand what that makes."""
SEARCHES = [
    ("beam_search", {"n": 4, "width": 2, "depth": 3}, 12, "n * depth samples of one step"),
    ("particle_filter", {"n": 4, "depth": 3}, 12, "n * depth samples of one step"),
    ("tree_search", {"n": 6}, 6, "n samples of one step"),
]
"""Method, settings, its samples of a step, and words of its docstring; no turn is over before all are drawn."""


@pytest.mark.parametrize(("name", "settings", "has", "stated", "wanted"), ROWS)
def test_a_method_asks_for_as_much_as_it_says(name, settings, has, stated, wanted):
    if name == "ab_mcts":
        pytest.importorskip("treequest")
    assert asked(getattr(methods, name)(offering(has), **settings)) == wanted
    assert stated in told(name)


@pytest.mark.parametrize(("name", "settings", "steps", "stated"), SEARCHES)
def test_a_search_asks_for_its_steps_and_what_values_them(name, settings, steps, stated):
    """With a rater tree_search writes its best beginning out, with a check alone it has whole turns to vote."""
    search, last = getattr(methods, name), int(name == "tree_search")
    assert asked(search(offering(RATER), **settings)) == {"samples": steps + last, "ratings": steps}
    ahead = asked(search(offering(RATER), **settings, lookahead=1))
    assert ahead == {"samples": 2 * steps + last, "ratings": steps}
    both = asked(search(offering(CHECK + RATER), **settings))
    assert both == {"samples": steps + last, "ratings": steps, "checks": steps + last}
    assert asked(search(offering(CHECK), **settings)) == {"samples": 2 * steps, "checks": 2 * steps}
    for words in (
        stated, "times 1 + lookahead", "a rating of each", "with only a check, a whole greedy turn",
        "with a check, a grade of each new answer",
    ):  # fmt: skip
        assert words in told(name)


def told(name):
    """What the method's file says, on one line."""
    return re.sub(r"\s+", " ", inspect.getmodule(getattr(methods, name)).__doc__)
