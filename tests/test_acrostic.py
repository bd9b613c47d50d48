"""Acrostics: what the quotation's words and the clues say of each other, and the method that asks clue by clue."""

from __future__ import annotations

import json
from importlib.util import find_spec
from math import log

import pytest
from toys import attempts, finish

from trueup.core.lexicon import lexicon_of
from trueup.core.puzzles.acrostic import read_acrostic
from trueup.core.puzzles.assign import Candidates
from trueup.core.puzzles.quotation import fill_acrostic, places_of, quotation_runs
from trueup.core.puzzles.respell import Page, respelled, spelled
from trueup.core.types import Message, Problem
from trueup.methods import propose_and_assign
from trueup.verifiers import lr2bench

HAS_WORDS = all(find_spec(name) for name in ("wordfreq", "symspellpy"))
NIGHT = """Here is an acrostic puzzle:
PUZZLE:
1 2 3 # 4 5 6 7 8 # 9 10 11 # 12 13 14 15 .

CLUES:
A
15 4 5 6 2 1 11
Men of the Round Table (1 word, 7 letters)
B
9 14 3 10 8 7
Ring of flowers (1 word, 6 letters)
C
13 12
Good mark and a bad one (2 words, 2 letters)"""
NIGHT_GOLD = dict(zip(map(str, range(1, 16)), "THENIGHTWASDARK", strict=True))
CUP = "PUZZLE:\n1 2 3 # 4 5 # 6 7 8 .\n\nCLUES:\nA\n5\nNote (1 word, 1 letter)\nB\n1 2 3 4 6 7 8\n? (1 word, 7 letters)"


def lexicon(pairs=(), **shares):
    """Words and how common they are, with pairs that are as common as the rarer word."""
    return lexicon_of({word: log(share) for word, share in shares.items()}, {pair: log(0.001) for pair in pairs})


@pytest.mark.skipif(not HAS_WORDS, reason="the extra words is not installed")
def test_an_acrostic_is_asked_clue_by_clue_and_filled_by_its_quotation_too():
    problem = Problem("a", "s", (Message("user", NIGHT),))
    said = [["SOLDIER", "KNIGHTS"], ["FLOWER", "A garland"], ["A D", "AD"]]
    asks, answer = finish(propose_and_assign(problem, n=2), [attempts(*texts) for texts in said])
    assert [ask.prompt[-1].content.splitlines() for ask in asks] == [
        [f"Crossword clue: {clue}", f"The answer has {size}. Reply with the answer alone, in capital letters."]
        for clue, size in (
            ("Men of the Round Table", "7 letters"),
            ("Ring of flowers", "6 letters"),
            ("Good mark and a bad one", "2 words and 2 letters in all"),
        )
    ]
    assert json.loads(answer.value) == NIGHT_GOLD
    assert lr2bench().read(answer.text) == answer.value
    assert answer.note == "3 of 3 clues had a proposal of the right length"


@pytest.mark.skipif(not HAS_WORDS, reason="the extra words is not installed")
def test_an_acrostic_without_a_proposal_is_not_answered():
    problem = Problem("a", "s", (Message("user", NIGHT),))
    _, answer = finish(propose_and_assign(problem, n=1), [attempts("?")] * 3)
    assert (answer.value, answer.note) == (None, "0 of 3 clues had a proposal of the right length")


def filled(words, proposals, text=CUP):
    acrostic = read_acrostic(text)
    given = {
        clue.name: Candidates(
            places_of(clue.cells), tuple(proposals.get(clue.name, ())), (0.9,) * len(proposals.get(clue.name, ()))
        )
        for clue in acrostic.clues
    }
    letters = fill_acrostic(acrostic, given, words)
    return [spelled(run.form, letters) for run in quotation_runs(acrostic)]


def test_what_stands_beside_a_word_decides_between_it_and_a_commoner_one():
    shares = {"CUP": 0.001, "TEA": 0.001, "OF": 0.01, "ON": 0.02}
    assert filled(lexicon(**shares), {"B": ["CUPOTEA"]}) == ["CUP", "ON", "TEA"]
    assert filled(lexicon([("CUP", "OF")], **shares), {"B": ["CUPOTEA"]}) == ["CUP", "OF", "TEA"]


def test_a_proposal_outweighs_a_commoner_word_of_the_quotation():
    shares = {"CUP": 0.001, "TEA": 0.001, "OF": 0.01, "ON": 0.02}
    assert filled(lexicon(**shares), {"A": ["F"], "B": ["CUPOTEA"]}) == ["CUP", "OF", "TEA"]


def test_a_clue_that_nobody_answered_is_spelled_again_at_several_cells_at_once():
    forms = ((1, 2, 3, 4), (5, 6, 7, 8), (9,), (10, 11))
    text = (
        "PUZZLE:\n1 2 3 4 # 5 6 7 8 # 9 # 10 11\n\nCLUES:\nA\n1 6 9 10\nPut (1 word, 4 letters)\nB\n2 3 4 5 7 8 11\n?"
    )
    shares = {"LAWN": 0.001, "DAWN": 0.002, "PAST": 0.001, "POST": 0.002, "I": 0.01, "DO": 0.01, "LAID": 0.0001}
    start = dict(zip(range(1, 12), "DAWNPOSTIDO", strict=True))
    for words, wanted in ((lexicon(**shares), "LAWNPASTIDO"), (lexicon(**{**shares, "LAID": 1e-12}), "DAWNPOSTIDO")):
        page = Page(forms, (False,) * 4, ((),) * 4, read_acrostic(text).clues, {"B": {"AWNPSTO": 0.9}}, words)
        assert "".join(respelled(page, start).values()) == wanted


def test_the_quotation_is_read_word_by_word():
    text = "PUZZLE:\n' 1 2 ' 3 # 4 5 , # 6 7 - 8 9 # 10 ' # 11 .\n\nCLUES:\nA\n1 2\n?"
    runs = quotation_runs(read_acrostic(text))
    assert [run.form for run in runs] == [(1, 2, "'", 3), (4, 5), (6, 7), (8, 9), (10,), (11,)]
    assert [run.follows for run in runs] == [False, True, False, False, True, False]


@pytest.mark.parametrize(
    "clues",
    [
        "A\n99 98\n? (1 word, 2 letters)",
        "A\n1 2 3\n?\nB\n3 2 1\n?",
        "A\n1 1 1\n? (3 words, 3 letters)",
        "A\n1 2\n? (999999999 words, 2 letters)",
        "A\n1 2\n? (0 words, 2 letters)",
        f"A\n{' '.join(str(i % 8 + 1) for i in range(200))}\n? (60 words, 200 letters)",
    ],
)
def test_clues_that_do_not_fit_the_quotation_still_leave_a_letter_in_every_cell(clues):
    text = CUP.partition("CLUES:")[0] + f"CLUES:\n{clues}"
    words = filled(lexicon(CUP=0.001, OF=0.01, TEA=0.001), {}, text)
    assert "".join(words).isalpha() and list(map(len, words)) == [3, 2, 3]
