"""Crossing slots: what belief propagation picks, and the method that proposes to it."""

from __future__ import annotations

import json
import random
import sys
from math import log

import lr2bench_folder as made
import pytest
from toys import attempts, finish, singly

from trueup.core.errors import AskFailed, BadInput, Unavailable
from trueup.core.lexicon import lexicon_of
from trueup.core.puzzles.assign import Candidates, assign
from trueup.core.puzzles.widen import widened
from trueup.core.types import Message, Problem
from trueup.methods import propose_and_assign
from trueup.verifiers import lr2bench

SQUARE = ("HEART", "EMBER", "ABUSE", "RESIN", "TREND")
"""A word square: its rows are its columns."""
NOISE = ("STONE", "PLANT", "HOUSE", "MUSIC", "TRAIN", "WATER", "EARTH", "RIVER", "LIGHT", "NIGHT", "BREAD", "CHAIR")


def square(seed, missing=()):
    """The square's ten slots, each with its word among noise and no likelier than the rest."""
    rng = random.Random(seed)
    slots = {}
    for way in ("ACROSS", "DOWN"):
        for i, word in enumerate(SQUARE):
            words = rng.sample(NOISE, 6)
            if (way, i) not in missing:
                words.insert(rng.randrange(7), word)
            cells = tuple((i, k) if way == "ACROSS" else (k, i) for k in range(5))
            slots[f"{i}-{way}"] = Candidates(cells, tuple(words), (0.9 / len(words),) * len(words))
    return slots


def test_crossings_pick_the_words_that_weights_cannot():
    for seed in range(10):
        assert assign(square(seed)) == {
            f"{i}-{way}": word for way in ("ACROSS", "DOWN") for i, word in enumerate(SQUARE)
        }


def test_a_word_that_nobody_proposed_is_spelled_by_its_crossings():
    for seed in range(10):
        found = assign(square(seed, missing={("ACROSS", 2), ("DOWN", 4)}))
        assert (found["2-ACROSS"], found["4-DOWN"]) == (SQUARE[2], SQUARE[4])


def test_every_cell_has_one_letter_whatever_is_proposed():
    rng = random.Random(1)
    slots = {
        name: Candidates(one.cells, tuple(rng.sample(NOISE, rng.randint(0, 4))), ()) for name, one in square(0).items()
    }
    slots = {name: Candidates(s.cells, s.words, (0.2,) * len(s.words)) for name, s in slots.items()}
    letters = {}
    for name, word in assign(slots).items():
        for cell, letter in zip(slots[name].cells, word, strict=True):
            assert letters.setdefault(cell, letter) == letter


def test_a_clue_that_cannot_be_asked_has_no_proposals():
    flow = singly(propose_and_assign(Problem("c", "s", (Message("user", f"Solve:\n{made.CROSSWORD}"),)), n=1))
    flow.send(None)
    flow.throw(AskFailed("the endpoint answered 500"))
    _, answer = finish(resumed(flow), [attempts(text) for text in ("AGE", "TEN", "CAT", "AGO", "TEN")])
    assert answer.note.startswith("5 of 6 clues had a proposal")
    assert json.loads(answer.value) == made.CROSSWORD_GOLD


def resumed(flow):
    """A flow that was begun, from its next reply on."""
    reply = yield
    while True:
        try:
            reply = yield flow.send(reply)
        except StopIteration as end:
            return end.value


def test_a_crossword_is_asked_clue_by_clue_and_filled_by_what_crosses():
    problem = Problem("c", "s", (Message("user", f"Solve:\n{made.CROSSWORD}"),))
    said = [
        ["PET", "CAT"], ["AGE", "OLD"], ["TEN", "TEN"],
        ["The answer: cat.", "CAT"], ["AGE", "AGO"], ["A number", "TEN"],
    ]  # fmt: skip
    replies = [attempts(*texts) for texts in said]
    asks, answer = finish(propose_and_assign(problem, n=2), replies)
    assert [ask.prompt[-1].content.splitlines()[0] for ask in asks][:2] == [
        "Crossword clue: Pet",
        "Crossword clue: Gone by",
    ]
    assert "3 letters" in asks[0].prompt[-1].content
    assert json.loads(answer.value) == made.CROSSWORD_GOLD
    assert lr2bench().read(answer.text) == answer.value
    assert answer.note == "6 of 6 clues had a proposal of the right length"


def test_where_two_slots_that_nobody_knows_cross_a_lexicon_says_the_letter(monkeypatch):
    """The B of EMBER and ABUSE is in no proposal, and no common letter: of the words that fit, two agree on it."""
    monkeypatch.setattr("trueup.core.puzzles.widen.ENOUGH", 4)
    given = square(0, missing={("ACROSS", 1), ("DOWN", 2)})
    words = lexicon_of({word: log(0.01) for word in ("EMBER", "ABUSE", "AROSE", "EATEN")}, {})
    alone, wide = assign(given), assign({name: widened(slot, words) for name, slot in given.items()})
    assert alone["1-ACROSS"] != "EMBER"
    assert wide == {f"{i}-{way}": word for way in ("ACROSS", "DOWN") for i, word in enumerate(SQUARE)}


def test_a_lexicon_takes_a_share_of_what_proposals_leave_open_and_no_more(monkeypatch):
    slot = Candidates(((0, 0), (0, 1), (0, 2)), ("CAT", "AGO"), (0.5, 0.2))
    words = lexicon_of({"CAT": log(0.04), "DOG": log(0.01), "IT'S": 0.0, "ON'": 0.0, "LONGER": 0.0}, {})

    def told(slot, words):
        wide = widened(slot, words)
        return dict(zip(wide.words, wide.weights, strict=True))

    monkeypatch.setattr("trueup.core.puzzles.widen.ENOUGH", 2)
    assert told(slot, words) == pytest.approx({"CAT": 0.5 + 0.1, "DOG": 0.05, "AGO": 0.2})
    monkeypatch.setattr("trueup.core.puzzles.widen.ENOUGH", 20)
    assert told(slot, words) == pytest.approx({"CAT": 0.5 + 0.01, "DOG": 0.005, "AGO": 0.2}), "few words, little chance"
    sure = Candidates(slot.cells, ("CAT", "AGO"), (0.9, 0.2))
    assert told(sure, words) == {"CAT": 0.9, "DOG": 0.0, "AGO": 0.2}, "no weight is below zero"
    assert widened(slot, lexicon_of({"LONGER": 0.0}, {})) == slot


@pytest.mark.parametrize("trust", [-0.1, 1.5])
def test_a_trust_that_is_no_chance_is_refused(trust):
    with pytest.raises(BadInput, match=f"trust is {trust}"):
        finish(propose_and_assign(Problem("c", "s", (Message("user", made.CROSSWORD),)), trust=trust), [])


def test_without_a_lexicon_a_crossword_is_filled_by_proposals_alone_and_says_so(monkeypatch):
    def missing():
        raise Unavailable("no words here")

    monkeypatch.setattr(sys.modules["trueup.methods.propose_and_assign"], "load_lexicon", missing)
    problem = Problem("c", "s", (Message("user", f"Solve:\n{made.CROSSWORD}"),))
    replies = [attempts(made.CROSSWORD_GOLD[name]) for name in made.CROSSWORD_GOLD]
    _, answer = finish(propose_and_assign(problem, n=1), replies)
    assert json.loads(answer.value) == made.CROSSWORD_GOLD
    assert answer.note.endswith("right length; without words of its own: no words here")


def test_what_is_no_crossword_and_no_acrostic_is_not_answered():
    asks, answer = finish(propose_and_assign(Problem("p", "s", (Message("user", "2 + 2?"),))), [])
    assert (asks, answer.value, answer.note) == ([], None, "states no crossword and no acrostic")
