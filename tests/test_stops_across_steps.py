"""A stop string that begins in one step and ends in another ends the turn, as it ends an attempt in one piece."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from toys import PRICES, finish

from trueup.bench.toy import Whole
from trueup.core.asks import Rate, Read, Sample
from trueup.core.ledger import Ledger
from trueup.core.roles import ModelCard, Sampled
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Sampling, Usage, begun_turn
from trueup.methods import beam_search, once, particle_filter, retract, tree_search
from trueup.methods.steps import begin
from trueup.run import Clerk
from trueup.run.driver import answer as drive
from trueup.run.tab import Tab

MOST = 24
HELLO = (Message("user", "hello"),)
SEARCHES = [(retract, {"n": 16}), (beam_search, {"n": 2, "width": 2}), (particle_filter, {"n": 2})]
SEARCHES += [(tree_search, {"n": 16, "width": 1})]


class Endless:
    """Writes one text over and over, a character a token, up to a stop string, which it tells or not."""

    def __init__(self, text, *, tells=True):
        self.text, self.tells = text * MOST, tells
        self.card = ModelCard("endless", f"endless:{text}:{tells}", "cpu")

    async def sample(self, prompt, n, start, sampling):
        said = ""
        finish = "length"
        for sign in self.text[len(begun_turn(prompt)) :][: sampling.max_tokens]:
            said += sign
            met = [stop for stop in sampling.stop if said.endswith(stop)]
            if met:
                finish = f"stop:{max(met, key=len)}" if self.tells else "stop"
                return self._reply(said[: -len(max(met, key=len))], finish, len(said), n, start)
        return self._reply(said, finish, len(said), n, start)

    def _reply(self, text, finish, tokens, n, start):
        attempts = (Attempt(start + i, text, finish, Usage(5, tokens, leads=i == 0)) for i in range(n))
        return Sampled(tuple(attempts))

    async def close(self):
        pass


class Notes:
    """Rates everything 1, and keeps what it was shown."""

    fingerprint = "notes"

    def __init__(self):
        self.shown = []

    async def rate(self, problem, texts):
        self.shown += texts
        return [1.0] * len(texts)

    async def close(self):
        pass


def asked(*stop, ratable=True, checkable=False, prompt=HELLO):
    sampling = Sampling(temperature=0, max_tokens=MOST, stop=stop)
    return Problem("p", "s", prompt, sampling, ratable=ratable, checkable=checkable)


def driven(tmp_path, model, method, problem, rater=None, check=None, **settings):
    """The answer of a method, and its tab."""

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            tab = Tab(Stratum("s", (), Whole(), check, rater=rater), Item(problem, "right", "p"))
            return await drive(method(problem, **settings), tab, Clerk(model, ledger, PRICES)), tab.cost

    return asyncio.run(go())


CASES = [
    ("4\nQ:", {}, ("\nQ:",)),
    ("4\nQ:", {}, ("\n\nQ:", "\nQ:")),
    ("so\n4\n\nQ:", {}, ("\n\n",)),
    ("4\nQ:", {"separator": "", "tokens": 2}, ("\nQ:",)),
    ("so\n4\nQ:", {"separator": "", "tokens": 3}, ("4\nQ",)),
    ("so\n4\nQ:", {"tokens": 1}, ("\n4\nQ",)),
]


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize(("text", "steps", "stop"), CASES)
@pytest.mark.parametrize(("method", "settings"), SEARCHES)
def test_a_turn_written_in_steps_ends_where_one_in_one_piece_does(tmp_path, method, settings, text, steps, stop, tells):
    plain, problem = driven(tmp_path, Endless(text), once, asked(*stop))[0], asked(*stop)
    found, cost = driven(tmp_path, Endless(text, tells=tells), method, problem, Notes(), **settings, **steps)
    assert (found.text, found.value) == (plain.text, plain.value) and plain.text
    assert plain.finish == f"stop:{stop[-1]}" and found.finish in (plain.finish, *([] if tells else ["stop"]))
    assert cost.completion_tokens >= len(plain.text)


@pytest.mark.parametrize(("method", "settings"), SEARCHES)
def test_what_is_rated_and_read_is_what_is_left_of_the_turn(tmp_path, method, settings):
    rater = Notes()
    found, _ = driven(tmp_path, Endless("so\n4\nQ:"), method, asked("4\nQ"), rater, **settings)
    assert (found.text, found.value) == ("so\n", "so\n")
    assert rater.shown[-1] == "so\n" and not any("Q" in text for text in rater.shown)


def test_a_turn_that_is_written_to_its_end_for_its_worth_is_cut_too(tmp_path):
    """With a check alone a beginning is worth the grade of the whole turn, which may end behind its first separator."""
    problem = asked("\nQ:", ratable=False, checkable=True)
    found, _ = driven(tmp_path, Endless("right\nQ:"), beam_search, problem, check=Whole(), n=1, width=1)
    assert (found.text, found.value, found.note) == ("right", "right", "passed the check")
    steps = begin("beam_search", problem, "\n", 0)
    first = replace(steps.root, turn=replace(steps.root.turn, text="4", finish="stop"), is_parted=True)
    rest = Attempt(0, "Q: 5", "length", Usage(5, 4), "5")
    asks, whole = finish(steps.write_out(first), [(rest,), ("4",), (Grade(0.0),)])
    assert asks[1] == Read(("4",))
    assert (whole.text, whole.turn.answer, whole.turn.finish, whole.is_over) == ("4", "4", "stop:\nQ:", True)


def test_a_turn_that_was_begun_is_read_with_its_beginning():
    problem = asked("\nQ:", prompt=(Message("user", "2+2?"), Message("assistant", "It is ")))
    replies = [(Attempt(0, "4", "stop:\n", Usage(5, 2), "4"),), (1.0,)]
    replies += [(Attempt(0, "Q: 3+3", "eos", Usage(5, 6), "3"),), ("It is 4",), (1.0,)]
    asks, answer = finish(retract(problem), replies)
    assert [type(ask) for ask in asks] == [Sample, Rate, Sample, Read, Rate]
    assert asks[3] == Read(("It is 4",))
    assert (answer.text, answer.value, answer.finish) == ("4", "It is 4", "stop:\nQ:")


def test_an_end_that_the_engine_does_not_tell_from_a_separator_takes_nothing_back():
    """`4` and then nothing: the model has ended, and no line break stands behind it that `4\\n` would be cut for."""
    last, blank = (Attempt(0, "4", "stop", Usage(5, 2), "4"),), (Attempt(0, "", "stop", Usage(5, 1), "4"),)
    _, answer = finish(retract(asked("4\n")), [last, (1.0,), blank, (1.0,), blank, (1.0,)])
    assert (answer.text, answer.value) == ("4", "4")


def test_what_a_remark_of_ours_says_ends_no_turn():
    replies = [(Attempt(0, "bad", "stop:\n", Usage(5, 2)),), (0.0,)]
    replies += [(Attempt(0, "4", "eos", Usage(5, 2), "4"),), (1.0,)]
    _, answer = finish(retract(asked("That was"), delete=False), replies)
    assert answer.finish == "eos" and answer.text.endswith("\n4")
