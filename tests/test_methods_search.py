"""Search over steps and retraction, on a writer of known habits and in closed form."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from dataclasses import replace
from math import comb

import pytest
from toys import PRICES, attempts, finish, problem, singly

from trueup import raters
from trueup.core.asks import Check, Rate, Sample
from trueup.core.errors import BadInput, Unavailable
from trueup.core.ledger import Ledger
from trueup.core.outcome import Outcome
from trueup.core.roles import ModelCard, Sampled
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Sampling, Usage
from trueup.methods.ab_mcts import ab_mcts
from trueup.methods.beam_search import beam_search
from trueup.methods.particle_filter import odds, particle_filter, systematic
from trueup.methods.retract import REMARK, retract
from trueup.methods.steps import begin
from trueup.methods.tree_search import tree_search
from trueup.run import Clerk, Job, run_jobs
from trueup.verifiers import constraint

SEARCHES = [beam_search, particle_filter, tree_search]
STEPS = Sampling(stop=("\n",))


def ratable(name="p", *, checkable=False, seed=0, tokens=256):
    plain = problem(name, checkable=checkable, seed=seed)
    return replace(plain, ratable=True, sampling=replace(plain.sampling, max_tokens=tokens))


def steps_of(*texts, finish="stop", answer=None, first=0, tokens=1):
    """What one ask for steps brings."""
    return tuple(Attempt(first + i, t, finish, Usage(5, tokens), answer) for i, t in enumerate(texts))


class Writer:
    """Writes four steps of one digit each, drawn evenly from a few by the beginning and the attempt's number."""

    def __init__(self, choices="0123", length=4):
        self.choices, self.length, self.asks = choices, length, []

    def sample(self, ask):
        lead = ask.prompt[-1].content if ask.prompt[-1].role == "assistant" else ""
        dice = f"{ask.prompt[0].content}:{'greedy' if ask.sampling.temperature == 0 else ''}"
        return tuple(
            self._attempt(lead, i, dice, "\n" in ask.sampling.stop) for i in range(ask.start, ask.start + ask.n)
        )

    def _attempt(self, lead, number, words, is_step):
        done = sum(map(str.isdigit, lead))
        dice = random.Random(f"{words}:{lead}:{number}")
        left = max(0, self.length - done)
        said = [dice.choice(self.choices) for _ in range(min(left, 1) if is_step else left)]
        whole = [c for c in lead + "".join(said) if c.isdigit()]
        answer = "".join(whole) if len(whole) == self.length else None
        return Attempt(number, "\n".join(said), "stop", Usage(5, 1), answer)

    def drive(self, flow, rating, grade=None):
        """Run a flow to its end with this writer, a rater of digits and a check of answers."""
        flow, reply = singly(flow), None
        try:
            while True:
                ask = flow.send(reply)
                self.asks.append(ask)
                if isinstance(ask, Sample):
                    reply = self.sample(ask)
                elif isinstance(ask, Rate):
                    reply = tuple(rating("".join(filter(str.isdigit, text))) for text in ask.texts)
                else:
                    reply = tuple(grade(a.answer) for a in ask.attempts)
        except StopIteration as end:
            return end.value


def matches(digits, right="3210"):
    """A perfect process reward: the share of a right beginning, 0 once it is wrong."""
    return len(digits) / len(right) if right.startswith(digits) else 0.0


# steps


def test_a_step_goes_on_behind_its_separator_and_two_blank_ones_end_the_turn():
    replies = [
        steps_of("a"), (0.9,), steps_of(""), (0.9,), steps_of("b"), (0.9,),
        steps_of(""), (0.9,), steps_of(" ", answer="x"), (0.9,),
    ]  # fmt: skip
    asks, answer = finish(retract(ratable()), replies)
    prompts = [ask.prompt[-1].content for ask in asks if isinstance(ask, Sample)]
    assert prompts == ["p", "a\n", "a\n\n", "a\n\nb\n", "a\n\nb\n\n"]
    assert asks[0].sampling.stop == ("\n",)
    assert (answer.text, answer.value) == ("a\n\nb", "x")


CUT = "stop:\n"


def test_where_the_engine_tells_blank_lines_are_steps_and_the_models_end_is_the_turns():
    replies = [
        steps_of("a", finish=CUT), (0.9,), *[steps_of("", finish=CUT), (0.9,)] * 3,
        steps_of("b", finish="eos", answer="x"), (0.9,),
    ]  # fmt: skip
    asks, answer = finish(retract(ratable()), replies)
    prompts = [ask.prompt[-1].content for ask in asks if isinstance(ask, Sample)]
    assert prompts == ["p", "a\n", "a\n\n", "a\n\n\n", "a\n\n\n\n"]
    assert (answer.text, answer.value, answer.finish) == ("a\n\n\n\nb", "x", "eos")


def test_an_end_behind_a_separator_leaves_no_blank_line_and_one_step_may_be_all():
    replies = [steps_of("a", finish=CUT), (0.9,), steps_of("", finish="eos", answer="x"), (0.9,)]
    assert finish(retract(ratable()), replies)[1].text == "a"
    _, answer = finish(retract(ratable()), [steps_of("ab", finish="eos", answer="x"), (0.9,)])
    assert (answer.text, answer.value) == ("ab", "x")


def test_a_stop_string_of_the_problems_own_ends_the_turn():
    asked = ratable()
    asked = replace(asked, sampling=replace(asked.sampling, stop=("Q:",)))
    asks, answer = finish(retract(asked), [steps_of("a", finish="stop:Q:", answer="x"), (0.9,)])
    assert (asks[0].sampling.stop, answer.text) == (("Q:", "\n"), "a")
    untold = [steps_of("a"), (0.9,), *[steps_of("", answer="x"), (0.9,)] * 2]
    assert finish(retract(asked), untold)[1].text == "a"


def test_the_end_of_a_steps_grammar_is_not_the_turns():
    """An engine that is held to one step ends each of them with the end of its text."""
    replies = [steps_of("a", finish="eos"), (0.9,), steps_of("b", finish="eos"), (0.9,)]
    replies += [steps_of("", finish="eos", answer="x"), (0.9,)] * 2
    asks, answer = finish(retract(ratable(), grammar="root ::= [ab]?"), replies)
    assert [ask.prompt[-1].content for ask in asks if isinstance(ask, Sample)] == ["p", "a\n", "a\nb\n", "a\nb\n\n"]
    assert answer.text == "a\nb"


def test_tree_search_counts_turns_that_the_model_ended_and_grows_no_further_there():
    """Both children are over at once, so that nothing is left to do after two of ten steps."""
    flow = tree_search(ratable(), n=10, width=2)
    replies = [
        steps_of("a", finish="eos", answer="1"),
        (0.4,),
        steps_of("b", finish="eos", answer="2", first=1),
        (0.6,),
    ]
    asks, answer = finish(flow, replies)
    assert (len(asks), answer.value) == (4, "2")


def test_a_beam_keeps_a_turn_that_is_over_and_votes_among_those_alone():
    first = (*steps_of("a", finish="eos", answer="1"), *steps_of("b", finish=CUT, first=1))
    replies = [first, (0.5, 0.9), steps_of("c", finish=CUT), (0.8,)]
    _, answer = finish(beam_search(ratable(), n=2, width=1, depth=2), replies)
    assert (answer.value, answer.text) == ("1", "a") and "1 of 2 turns over" in answer.note


def test_steps_of_so_many_tokens_end_the_turn_where_the_model_does():
    replies = [steps_of("ab", finish="length", tokens=2), (0.9,), steps_of("c", answer="abc"), (0.9,)]
    asks, answer = finish(retract(ratable(), separator="", tokens=2), replies)
    assert [ask.sampling.max_tokens for ask in asks if isinstance(ask, Sample)] == [2, 2]
    assert [ask.sampling.stop for ask in asks if isinstance(ask, Sample)] == [(), ()]
    assert (asks[2].prompt[-1], answer.text) == (Message("assistant", "ab"), "abc")


def test_a_turn_is_never_longer_than_the_problem_allows_and_uncounted_tokens_are_all():
    replies = [steps_of("abc", tokens=3), (0.9,), steps_of("de", tokens=None, finish="length", answer="x"), (0.9,)]
    asks, answer = finish(retract(ratable(tokens=5)), replies)
    assert [ask.sampling.max_tokens for ask in asks if isinstance(ask, Sample)] == [5, 2]
    assert (answer.text, answer.finish) == ("abc\nde", "length")


@pytest.mark.parametrize("method", [*SEARCHES, retract, ab_mcts])
def test_a_search_needs_something_that_values_beginnings(method):
    with pytest.raises(BadInput, match="no rater"):
        next(method(problem()))


@pytest.mark.parametrize("method", [*SEARCHES, retract])
def test_a_separator_that_ends_answers_anyway_is_refused(method):
    line = replace(ratable(), sampling=replace(problem().sampling, stop=("\n",)))
    with pytest.raises(BadInput, match=r"separator '\\n' ends the answers"):
        next(method(line, separator=r"\n"))
    with pytest.raises(BadInput, match="give a separator"):
        next(method(ratable(), separator=""))


@pytest.mark.parametrize(
    "flow",
    [
        beam_search(ratable(), n=6, width=4),
        beam_search(ratable(), n=8, width=4, subtrees=3),
        beam_search(ratable(), lookahead=-1),
        particle_filter(ratable(), temperature=0.0),
        tree_search(ratable(), width=0),
        retract(ratable(), patience=0),
    ],
)
def test_settings_that_cannot_be_are_refused(flow):
    with pytest.raises(BadInput):
        next(flow)


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_a_threshold_that_no_rating_can_tell_is_refused(threshold):
    with pytest.raises(BadInput, match=rf"retract threshold is {threshold}; it takes 0 .* to 1, as ratings do"):
        next(retract(ratable(), threshold=threshold))
    for end in (0.0, 1.0):
        assert isinstance(next(retract(ratable(), threshold=end)), Sample)


def test_schema_and_grammar_do_not_bind_steps():
    held = replace(ratable(), sampling=replace(problem().sampling, schema="{}"))
    steps = begin("x", held, "\n", 0)
    assert next(steps.extend(steps.root, 1)).sampling.schema is None


# beam_search


def test_beam_search_with_a_perfect_rater_keeps_every_right_beginning():
    """It fails only where a level draws no right step: all its beams are then right ones, n of four digits each."""
    n, right, runs = 8, 0, 300
    for seed in range(runs):
        target = "".join(random.Random(seed).choices("0123", k=4))
        flow = beam_search(ratable(str(seed)), n=n, width=4)
        found = Writer().drive(flow, lambda digits, target=target: matches(digits, target))
        right += found.value == target
    kept = [_right_of(n)]
    for _ in range(3):
        kept.append(_next_level(kept[-1]))
    wanted = 1 - kept[-1][0]
    assert right / runs == pytest.approx(wanted, abs=4 * (wanted * (1 - wanted) / runs) ** 0.5)


def _right_of(n):
    """The distribution of right ones among n draws, cut at the two that are kept and alike."""
    return [comb(n, k) * 0.25**k * 0.75 ** (n - k) for k in range(n + 1)]


def _next_level(before):
    """The right ones among four draws from each right beam that was kept; alike in text, they draw on."""
    after = [0.0] * 9
    for k, p in enumerate(before):
        draws = 4 * min(k, 2)
        for j in range(draws + 1):
            after[j] += p * comb(draws, j) * 0.25**j * 0.75 ** (draws - j)
    return after


def test_beam_search_keeps_the_best_and_continues_each_so_often():
    seconds = [steps_of("x", "y", answer="1"), steps_of("z", "w", answer="2")]
    replies = [steps_of(*"abcd"), (0.1, 0.9, 0.3, 0.8), *seconds, (0.5, 0.6, 0.4, 0.9)]
    asks, answer = finish(beam_search(ratable(), n=4, width=2, depth=2), replies)
    assert [ask.n for ask in asks if isinstance(ask, Sample)] == [4, 2, 2]
    assert [ask.prompt[-1].content for ask in asks if isinstance(ask, Sample)] == ["p", "b\n", "d\n"]
    assert asks[-1].texts == ("b\nx", "b\ny", "d\nz", "d\nw")
    assert (answer.value, answer.text) == ("2", "d\nw")


def test_subtrees_are_never_compared_with_each_other():
    """a and c make one tree and are the best of all; b and d make the other, which goes on with its own best."""
    flow = singly(beam_search(ratable(), n=4, width=2, subtrees=2, depth=2))
    next(flow)
    flow.send(steps_of(*"abcd"))
    asked = flow.send((0.9, 0.8, 0.1, 0.2))
    assert asked.prompt[-1].content == "a\n"
    assert flow.send(steps_of("x", "y")).prompt[-1].content == "d\n"


def test_lookahead_rates_what_greedy_steps_lead_to():
    flow = beam_search(ratable(), n=1, width=1, lookahead=2, depth=1)
    asks, answer = finish(flow, [steps_of("a"), steps_of("b"), steps_of("c", answer="far"), (0.7,)])
    assert [ask.sampling.temperature for ask in asks[:3]] == [0.8, 0.0, 0.0]
    assert asks[3].texts == ("a\nb\nc",)
    assert answer.text == "a"


@pytest.mark.parametrize("method", SEARCHES)
def test_without_a_rater_beginnings_are_written_to_their_end_and_one_that_passes_ends_it(method):
    writer = Writer()
    found = writer.drive(method(problem(checkable=True), n=8), None, lambda a: Grade(float(a.count("3") > 1)))
    assert found.value.count("3") > 1 and found.note == "passed the check"
    assert not any(isinstance(ask, Rate) for ask in writer.asks)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (beam_search, {"n": 16}),
        (beam_search, {"n": 16, "subtrees": 4}),
        (particle_filter, {"n": 16}),
        (tree_search, {"n": 96, "width": 10, "c": 0.1}),
    ],
)
def test_a_perfect_rater_beats_a_blind_one(method, settings):
    """Against a rater that calls everything alike, on the same writer and with the same settings."""
    right = Counter()
    for seed in range(60):
        for name, rating in (("perfect", matches), ("blind", lambda _: 0.5)):
            found = Writer().drive(method(ratable(str(seed), seed=seed), **settings), rating)
            right[name] += found.value == "3210"
    assert right["perfect"] >= 30 > 6 >= right["blind"]


# particle_filter


def test_equal_weights_keep_every_particle():
    for n in (1, 3, 8):
        for start in (0.001, 0.37, 0.999):
            assert systematic([0.3] * n, n, start) == list(range(n))


def test_systematic_resampling_is_unbiased_and_never_off_by_one_or_more():
    weights, n, comb_of = [0.1, 0.45, 0.0, 0.25, 0.2], 7, 2000
    counts = Counter()
    for tooth in range(comb_of):
        drawn = Counter(systematic(weights, n, (tooth + 0.5) / comb_of))
        assert all(abs(drawn[i] - n * w) < 1 for i, w in enumerate(weights))
        counts.update(drawn)
    assert [counts[i] / comb_of for i in range(5)] == pytest.approx([n * w for w in weights], abs=0.002)


def test_the_weight_of_a_rating_is_the_exponential_of_its_logit():
    assert odds([0.8], 1.0) == pytest.approx([4.0])
    assert odds([0.8], 2.0) == pytest.approx([2.0])
    least, most = odds([0.0, 1.0], 1.0)
    assert 0 < least < 1e-5 < 1e5 < most < float("inf")


def test_at_any_temperature_the_weights_stand_to_each_other_as_they_should():
    """(.9999 / .0001) and (.999 / .001) to the hundredth are a factor of 10^100 apart, beyond floats either way."""
    high, low = odds([1 - 1e-5, 1 - 1e-5 * 1.01], 0.01), odds([1e-5, 1e-5 / 1.01], 0.01)
    assert high == pytest.approx([1.0, 1.01**-100], rel=1e-3) and low == pytest.approx([1.0, 1.01**-100], rel=1e-3)
    assert odds([0.0, 0.0, 0.0], 0.001) == [1.0] * 3


def test_particles_that_share_a_beginning_are_asked_for_together_and_drawn_on():
    """One of two has all the weight, so both go on from it; alike, they go on from the same place again."""
    flow = particle_filter(ratable(), n=2)
    next(flow)
    flow.send(steps_of("a", "b"))
    asked = flow.send((1.0, 0.0))
    assert (asked.n, asked.start, asked.prompt[-1].content) == (2, 0, "a\n")


def test_a_particle_filter_of_equal_ratings_is_a_vote():
    """With equal weights nothing is drawn anew: each particle goes where its own first step led."""
    for seed in range(30):
        drawn = Writer("01", length=1).drive(particle_filter(ratable(str(seed)), n=5), lambda _: 0.5)
        firsts = Writer("01", length=1).sample(replace(Sample(ratable(str(seed)).prompt, 5), sampling=STEPS))
        assert drawn.value == max("01", key=[first.answer for first in firsts].count)


def test_a_particle_filter_draws_the_same_with_the_same_seed():
    runs = [Writer().drive(particle_filter(ratable(seed=7), n=4), lambda d: 0.2 + 0.6 * ("3" in d)) for _ in range(2)]
    assert runs[0] == runs[1]


# tree_search


def test_tree_search_follows_the_bound_into_the_better_child():
    """By hand, c = 0: after a (.2) and b (.9) the third step goes under b, whose mean leads."""
    flow = tree_search(ratable(), n=3, width=2, c=0.0)
    replies = [
        steps_of("a"),
        (0.2,),
        steps_of("b", first=1),
        (0.9,),
        steps_of("c", answer="bc"),
        (0.5,),
        steps_of("d", answer="x"),
    ]
    asks, answer = finish(flow, replies)
    drawn = [ask for ask in asks if isinstance(ask, Sample)]
    assert [(ask.prompt[-1].content, ask.start) for ask in drawn[:3]] == [("p", 0), ("p", 1), ("b\n", 0)]
    assert answer.note == "no turn was over; the best beginning, written out"
    assert (drawn[3].prompt[-1].content, drawn[3].sampling.temperature, answer.text) == ("b\n", 0.0, "b\nd")


@pytest.mark.parametrize(("c", "place"), [(1.0, "b\n"), (0.5, "a\n")])
def test_tree_search_follows_the_mean_and_the_logarithm_of_its_parents_visits(c, place):
    """By hand: a was visited twice, worth .6 and 1, b once, worth .5, and ln 3 = 1.0986.

    At c = 1 the bounds are .8 + .741 < .5 + 1.048; with 1 for the logarithm a would lead by 1.507 to 1.5. At c = 1/2
    they are 1.171 > 1.024; with the greatest worth over the visits for the mean b would lead by 1.024 to .871.
    """
    replies = [steps_of("a"), (0.6,), steps_of("b", first=1), (0.5,), steps_of("c"), (1.0,)]
    flow = tree_search(ratable(), n=4, width=2, c=c)
    asked = next(flow)
    for reply in replies:
        asked = flow.send(reply)
    assert asked.prompt[-1].content == place


def test_tree_search_explores_a_poor_child_where_c_is_large():
    flow = tree_search(ratable(), n=4, width=2, c=50.0)
    replies = [
        steps_of("a"),
        (0.2,),
        steps_of("b", first=1),
        (0.9,),
        steps_of("c"),
        (0.9,),
        steps_of("d"),
        (0.1,),
        steps_of("e"),
    ]
    asks, _ = finish(flow, replies)
    drawn = [ask.prompt[-1].content for ask in asks if isinstance(ask, Sample)]
    assert drawn[2:4] == ["b\n", "a\n"]


def test_a_step_drawn_twice_is_one_child_and_rated_once():
    flow = tree_search(ratable(), n=3, width=2, c=0.0)
    replies = [steps_of("a"), (0.9,), steps_of("a", first=1), steps_of("b"), (0.5,), steps_of("c", answer="x")]
    asks, _ = finish(flow, replies)
    assert [type(ask) for ask in asks] == [Sample, Rate, Sample, Sample, Rate, Sample]


def test_tree_search_ends_where_every_turn_is_over():
    writer = Writer("01", length=1)
    found = writer.drive(tree_search(ratable(), n=500, width=2), lambda digits: 0.9 if digits == "1" else 0.1)
    assert sum(isinstance(ask, Sample) for ask in writer.asks) < 20
    assert found.value in ("0", "1")


# retract


def test_a_rejected_step_is_deleted_and_drawn_anew():
    replies = [steps_of("a"), (0.9,), steps_of("bad"), (0.1,), steps_of("b", first=1), (0.9,), *_end("ab")]
    asks, answer = finish(retract(ratable()), replies)
    drawn = [ask for ask in asks if isinstance(ask, Sample)]
    assert [(ask.prompt[-1].content, ask.start) for ask in drawn[1:4]] == [("a\n", 0), ("a\n", 1), ("a\nb\n", 0)]
    assert (answer.text, answer.note) == ("a\nb", "1 steps rejected")


def test_append_only_keeps_the_rejected_step_in_the_text_and_rates_what_stands():
    replies = [steps_of("a"), (0.9,), steps_of("bad"), (0.1,), steps_of("b"), (0.9,), *_end("ab")]
    asks, answer = finish(retract(ratable(), delete=False), replies)
    drawn = [ask.prompt[-1].content for ask in asks if isinstance(ask, Sample)]
    assert drawn[2] == f"a\nbad\n{REMARK}\na\n"
    assert [ask.texts for ask in asks if isinstance(ask, Rate)][:3] == [("a",), ("a\nbad",), ("a\nb",)]
    assert answer.text == f"a\nbad\n{REMARK}\na\nb"


def test_both_ways_ask_for_as_many_steps_and_the_critic_reads_the_same():
    replies = [steps_of("bad"), (0.1,), steps_of("worse"), (0.2,), steps_of("a"), (0.9,), *_end("a")]
    deleted, _ = finish(retract(ratable()), replies)
    appended, _ = finish(retract(ratable(), delete=False), replies)
    assert [ask for ask in deleted if isinstance(ask, Rate)][:3] == [a for a in appended if isinstance(a, Rate)][:3]
    assert len(deleted) == len(appended)
    assert appended[4].prompt[-1].content == f"bad\n{REMARK}\nworse\n{REMARK}\n"


def test_patience_spent_takes_the_step_before_back_too_and_never_takes_it_again():
    replies = [
        steps_of("a"), (0.9,), *[steps_of("x"), (0.1,)] * 2, steps_of("a"), (0.9,), steps_of("b"), (0.9,), *_end("b"),
    ]  # fmt: skip
    asks, answer = finish(retract(ratable(), patience=2), replies)
    drawn = [(ask.prompt[-1].content, ask.start) for ask in asks if isinstance(ask, Sample)]
    assert drawn[:5] == [("p", 0), ("a\n", 0), ("a\n", 1), ("p", 1), ("p", 2)]
    assert answer.text == "b"


def test_a_turn_that_ends_without_an_answer_is_rejected():
    replies = [steps_of("a"), (0.9,), steps_of(""), (0.9,), steps_of(""), (0.9,), steps_of("b"), (0.9,), *_end("ab")]
    _, answer = finish(retract(ratable()), replies)
    assert (answer.value, answer.note) == ("ab", "1 steps rejected")


def test_retraction_ends_at_its_budget_with_what_stands():
    asks, answer = finish(retract(ratable(), n=2), [steps_of("a"), (0.9,), steps_of("x"), (0.1,)])
    assert len(asks) == 4
    assert (answer.text, answer.value, answer.note) == ("a", None, "not over after 2 steps, 1 rejected")


def test_a_turn_that_passes_the_check_ends_it_unrated():
    replies = [steps_of("a", answer="a"), (Grade(1.0),)]
    asks, answer = finish(retract(ratable(checkable=True)), replies)
    assert [type(ask) for ask in asks] == [Sample, Check]
    assert answer.value == "a"


def _end(answer):
    return [steps_of("", answer=answer), (0.9,), steps_of("", answer=answer), (0.9,)]


class Rows:
    """A model that fills each row of a 4 x 4 sudoku at random, and so is right with probability 24 ** -4."""

    card = ModelCard("rows", "rows", "cpu", parameters=1000, layers=1, width=8)

    async def sample(self, prompt, n, start, sampling):
        lead = prompt[-1].content if prompt[-1].role == "assistant" else ""
        return Sampled(tuple(self._attempt(lead, i) for i in range(start, start + n)))

    async def close(self):
        pass

    def _attempt(self, lead, number):
        row = random.Random(f"{lead}:{number}").sample("1234", 4)
        return Attempt(number, " ".join(row), "stop", Usage(5, 4))


GIVENS = ["1 _ 3 _\n_ 4 _ 2\n2 _ 4 _\n_ 3 _ 1", "_ 2 _ 4\n3 _ 1 _\n_ 1 _ 3\n4 _ 2 _"]


def test_retraction_solves_a_puzzle_that_its_model_cannot(tmp_path):
    """A right row comes once in at most 24 draws, so four take some 60 of 400 steps; sampling needs 331,776."""

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            arm = Arm("retract", {}, lambda q: retract(q, n=400, patience=60))
            found = [
                o async for o in run_jobs((Job(stratum, item, arm) for item in items), Clerk(Rows(), ledger, PRICES))
            ]
            return [o for o in found if isinstance(o, Outcome)]

    puzzles = [
        Problem(str(i), "s", (Message("user", grid),), checkable=True, ratable=True) for i, grid in enumerate(GIVENS)
    ]
    items = [Item(puzzle, None, puzzle.id) for puzzle in puzzles]
    rules = constraint()
    stratum = Stratum("s", tuple(items), rules, rules, rater=raters.constraint_prefix())
    outcomes = asyncio.run(go())
    assert [o.grade.is_right for o in outcomes] == [True, True]
    assert all(o.cost.calls > 40 for o in outcomes)


# ab_mcts


def climb(n, *, seed, wide, deep):
    """The asks of a search of n answers whose drafts are worth `wide` and whose revisions `deep`, and its answer."""
    flow, asks, reply = ab_mcts(ratable(seed=seed), n=n), [], None
    try:
        while True:
            ask = flow.send(reply)
            if isinstance(ask, Sample):
                asks.append(ask)
                kind = "deep" if len(ask.prompt) > 1 else "wide"
                reply = (replace(attempts(kind)[0], index=ask.start),)
            else:
                reply = tuple(deep if "deep" in text else wide for text in ask.texts)
    except StopIteration as end:
        return asks, end.value


def test_ab_mcts_draws_wide_and_deep_and_the_same_with_the_same_seed():
    asks, answer = climb(12, seed=1, wide=0.2, deep=0.9)
    assert (asks, answer) == climb(12, seed=1, wide=0.2, deep=0.9)
    assert asks != climb(12, seed=2, wide=0.2, deep=0.9)[0]
    assert (asks[0].prompt, asks[0].start) == (ratable(seed=1).prompt, 0)
    assert len(asks) == 12 and {len(ask.prompt) > 1 for ask in asks[1:]} == {True, False}
    assert answer.value == "deep"


def test_ab_mcts_goes_deep_where_revising_pays_and_wide_where_it_spoils():
    def depth(wide, deep):
        return sum(len(ask.prompt) > 1 for seed in range(8) for ask in climb(16, seed=seed, wide=wide, deep=deep)[0])

    pays, spoils = depth(0.1, 0.9), depth(0.9, 0.1)
    assert pays > 2 * spoils and pays > 8 * 16 / 2 > spoils


def test_ab_mcts_never_asks_for_an_attempt_twice_and_shows_a_revision_the_drafts_above_it():
    asks, _ = climb(16, seed=3, wide=0.2, deep=0.9)
    numbers = {}
    for ask in asks:
        numbers.setdefault(ask.prompt, []).append(ask.start)
    assert all(found == list(range(len(found))) for found in numbers.values())
    for prompt in numbers:
        shown = [message.content for message in prompt[1::2]]
        assert shown == ["<wide>", *["<deep>"] * 16][: len(shown)]
        assert [message.role for message in prompt] == ["user", *["assistant", "user"] * len(shown)]


def test_ab_mcts_ends_where_the_check_is_passed():
    replies = [attempts("a"), (Grade(0.0),), attempts("b"), (Grade(1.0),)]
    asks, answer = finish(ab_mcts(problem(checkable=True), n=9), replies)
    assert [type(ask) for ask in asks] == [Sample, Check, Sample, Check]
    assert (answer.value, answer.note) == ("b", "passed the check")


def test_ab_mcts_without_its_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "treequest", None)
    with pytest.raises(Unavailable, match=r"ab_mcts needs treequest; pip install 'trueup\[search\]'"):
        next(ab_mcts(problem(checkable=True)))


def test_ab_mcts_leaves_the_global_dice_as_they_were():
    import numpy as np

    before = np.random.get_state()[1].tolist()
    flow = ab_mcts(problem(checkable=True), n=3)
    next(flow)
    flow.send(attempts("a"))
    flow.send((Grade(0.0),))
    assert np.random.get_state()[1].tolist() == before


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("search", [particle_filter, tree_search])
def test_a_turn_that_is_over_is_not_a_beginning_of_the_same_words(search, first):
    """What says 42 ends its turn half the time, and is rated .9; what follows behind it otherwise is rated .1."""
    answer = driven(search(ratable(), n=8), first)
    assert answer.value == "42"
    assert search is tree_search or answer.note.startswith("weight 36 of 36.4, 4 of 8 votes")


def driven(flow, first):
    reply = None
    while True:
        try:
            ask = flow.send(reply)
        except StopIteration as end:
            return end.value
        reply = tuple(0.9 if t == "42" else 0.1 for t in ask.texts) if isinstance(ask, Rate) else wrote(ask, first)


def wrote(ask, first):
    """Its numbers even or odd, an attempt at the first step ends its turn; at the second one all do."""
    if ask.prompt[-1].role == "assistant":
        return tuple(Attempt(ask.start + i, "no 7", "eos", Usage(5, 1), "7") for i in range(ask.n))
    ends = ["eos" if (ask.start + i) % 2 == first else "stop:\n" for i in range(ask.n)]
    return tuple(Attempt(ask.start + i, "42", end, Usage(5, 1), "42") for i, end in enumerate(ends))
