"""Cryptograms and drop quotes by a lexicon's decodings, with a model as the judge of their words."""

from __future__ import annotations

import asyncio
import importlib.util
import json

import lr2bench_folder as made
import pytest
from toys import finish

from trueup.core.asks import Sample, Solve
from trueup.core.errors import AskFailed, BadInput
from trueup.core.puzzles.decoding import Decoding, plain_words, read_decodings, written
from trueup.core.types import Attempt, Message, Problem, Solution, Usage
from trueup.methods.decode_with_lexicon import decode_with_lexicon
from trueup.solvers import lr2bench
from trueup.verifiers import lr2bench as verifier_of
from trueup.verifiers.lr2bench_score import extract

HAS_WORDS = all(importlib.util.find_spec(name) for name in ("wordfreq", "symspellpy"))
PUZZLE = Problem("p", "s", (Message("user", "decipher the cryptogram:\nAB C.\n— Nobody"),))
FIRST, SECOND = ({"A": "I", "B": "T", "C": "X"}, {"A": "I", "B": "S", "C": "A"})
FOUND = Solution("solved", written([Decoding(-20.0, "Mapping", FIRST), Decoding(-21.0, "Mapping", SECOND)]), "read")


def judged(logprob, tokens=4, finish="eos"):
    return (Attempt(0, "", finish, Usage(10, tokens), None, logprob),)


def test_the_lexicons_worth_and_the_models_are_added_in_nats():
    asks, answer = finish(decode_with_lexicon(PUZZLE, weight=0.5), [FOUND, judged(-5.0), judged(-4.0)])
    assert json.loads(answer.value) == SECOND
    assert answer.note == "number 2 of 2 by the lexicon, with the model the likeliest"
    assert asks[0] == Solve(PUZZLE)
    _, answer = finish(decode_with_lexicon(PUZZLE, weight=0.5), [FOUND, judged(-5.0), judged(-4.6)])
    assert json.loads(answer.value) == FIRST


def test_the_model_is_held_to_the_words_and_nothing_else():
    asks, _ = finish(decode_with_lexicon(PUZZLE), [FOUND, judged(-5.0), judged(-5.0)])
    first, second = asks[1:]
    assert isinstance(first, Sample) and first.kind == second.kind == "judge"
    assert json.loads(first.sampling.schema) == {"const": "It x."}
    assert json.loads(second.sampling.schema) == {"const": "Is a."}
    assert first.sampling.logprobs and first.sampling.temperature == 0 and first.prompt == second.prompt
    assert "Nobody" not in first.prompt[0].content and "AB" not in first.prompt[0].content


def test_where_the_model_cannot_be_asked_the_lexicons_likeliest_stands():
    flow = decode_with_lexicon(PUZZLE)
    flow.send(None)
    flow.send(FOUND)
    with pytest.raises(StopIteration) as end:
        flow.throw(AskFailed("the endpoint answered 500"))
    assert json.loads(end.value.value.value) == FIRST
    assert end.value.value.note.endswith("by the lexicon; the model's ask failed")


def test_without_a_weight_or_a_choice_no_model_is_asked():
    asks, answer = finish(decode_with_lexicon(PUZZLE, weight=0), [FOUND])
    assert (len(asks), json.loads(answer.value)) == (1, FIRST)
    asks, answer = finish(decode_with_lexicon(PUZZLE, k=1), [FOUND])
    assert (len(asks), json.loads(answer.value)) == (1, FIRST)
    alone = Solution("solved", "<Answer>[[1]]</Answer>", "[[1]]")
    asks, answer = finish(decode_with_lexicon(PUZZLE), [alone])
    assert (len(asks), answer.text, answer.value) == (1, alone.text, "[[1]]")


@pytest.mark.parametrize("silent", [judged(None), judged(-5.0, tokens=None), judged(-5.0, finish="length")])
def test_an_engine_that_tells_no_probabilities_leaves_the_lexicons_choice(silent):
    _, answer = finish(decode_with_lexicon(PUZZLE), [FOUND, silent])
    assert json.loads(answer.value) == FIRST
    assert answer.note.endswith("the engine tells no probabilities")


def test_it_abstains_where_the_lexicon_has_no_decoding():
    asks, answer = finish(decode_with_lexicon(PUZZLE), [Solution("undecided")])
    assert (len(asks), answer.text, answer.value, answer.note) == (1, "", None, "undecided")


def test_settings_below_their_least_are_refused():
    for settings in ({"k": 0}, {"weight": -1.0}):
        with pytest.raises(BadInput, match="decode_with_lexicon k="):
            next(decode_with_lexicon(PUZZLE, **settings))
    with pytest.raises(BadInput, match="decodings is 0; give at least 1"):
        lr2bench(decodings=0)


def test_decodings_are_read_back_as_they_were_written_and_the_likeliest_is_the_last_of_the_text():
    decodings = (Decoding(-20.5, "Mapping", FIRST), Decoding(-21.25, "Mapping", SECOND))
    assert read_decodings(written(decodings)) == decodings
    assert extract(written(decodings), "cryptogram") == FIRST
    assert read_decodings("worth -1.0\n<Mapping>\n{}") == read_decodings(written([])) == ()


def test_an_answer_becomes_a_sentence():
    assert plain_words(made.CRYPTOGRAM, made.CRYPTOGRAM_GOLD) == ("When the cat is away from home, the mice will play.")
    mouse = made.DROP.replace("'#', '4'", "',', '4'")
    assert plain_words(mouse, [["I", "T", ",", "I", "S"], ["N", "O", "W", "#", "#"]]) == "It, isnow"
    assert plain_words(made.ACROSTIC, made.ACROSTIC_GOLD) is None
    assert plain_words(made.CRYPTOGRAM, made.DROP_GOLD) is None


@pytest.mark.skipif(not HAS_WORDS, reason="the extra words is not installed")
@pytest.mark.parametrize(
    ("statement", "gold", "family"),
    [(made.DROP, made.DROP_GOLD, "drop"), (made.CRYPTOGRAM, made.CRYPTOGRAM_GOLD, "cryptogram")],
)
def test_the_solver_gives_several_decodings_and_the_method_chooses_among_them(statement, gold, family):
    problem = Problem("p", "s", (Message("user", statement),))

    async def ask(decodings):
        solver = lr2bench(decodings=decodings)
        solution = await solver.solve(problem)
        await solver.close()
        return solution

    one, several = asyncio.run(ask(1)), asyncio.run(ask(5))
    found = read_decodings(several.text)
    assert 2 <= len(found) <= 5
    assert extract(one.text, family) == found[0].answer == gold
    assert [decoding.worth for decoding in found] == sorted((d.worth for d in found), reverse=True)
    asks, answer = finish(decode_with_lexicon(problem), [several, *[judged(-3.0)] * len(found)])
    assert len(asks) == 1 + len(found)
    assert answer.value == verifier_of().read(answer.text)
