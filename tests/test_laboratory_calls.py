"""Calls in the laboratory: notation, tools, checker, and a sampler held to what is offered."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from trueup.core.errors import BadInput
from trueup.train.laboratory import Shape, Transformer, generate, greedy
from trueup.train.laboratory.constrained import Constrained
from trueup.train.laboratory.grammar import Call, Grammar, Place, parse, write
from trueup.train.laboratory.tasks.call_checker import FORM, RIGHT, fault_of
from trueup.train.laboratory.tasks.call_tools import MODULUS, TOOLS, execute
from trueup.train.laboratory.tasks.calls import Calls, grammars, read, text_of
from trueup.train.laboratory.vocabulary import SIZE, encode_rows, token

ASKED = "bsmv?3+4*2....k="
WANTED = "v?:k;b?3;m?4;2!;0!!"


def test_a_call_is_read_as_it_was_written():
    call = Call("v", (":k", Call("b", (3, Call("m", (4, 2)), 0))))
    assert write(call) == WANTED and parse(WANTED) == call


@pytest.mark.parametrize(
    "text", ["", "f", "f?", "f?!", "f?1", "f?1;!", "f?1!!", "f?1!2", "1", "f1!", "f?:!", "f?1234!", "f?g!"]
)
def test_what_is_no_call_is_not_read(text):
    assert parse(text) is None


def test_a_request_wants_products_first_then_from_left_to_right():
    assert write(read(ASKED).call()) == WANTED
    assert write(read("admu?9-1-2*3...g=").call()) == "u?d?m?2;3!;d?1;9!!;:g!"


def test_the_wanted_call_returns_what_arithmetic_says():
    task, rng = Calls(4), np.random.default_rng(0)
    prompts = np.concatenate([task.prompts(rng, 50, dial) for dial in (1, 2, 3, 4)])
    for prompt, returned in zip(prompts, task.answers(prompts), strict=True):
        asked = read(text_of(prompt))
        terms, total = asked.infix.replace("-", "+-").split("+"), 0
        for term in terms:
            total += (-1 if term[0] == "-" else 1) * int(np.prod([int(x) for x in term.strip("-").split("*")]))
        assert returned == total * (ord(asked.unit) - ord("a") + 1) % MODULUS
    assert task.check(prompts, task.targets(prompts)).all()
    assert task.targets(prompts).shape[1] <= task.longest(4)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (WANTED, RIGHT),
        ("v?:k;b?m?4;2!;3;0!!", RIGHT),
        ("v?:k;b?3;m?4;2!;0!", "unparsable"),
        (None, "unparsable"),
        ("v?:k;a?3;m?4;2!!!", "not offered"),
        ("v?:k;b?3;m?4;2!!!", "wrong count"),
        ("v?b?3;m?4;2!;0!;:k!", "wrong type"),
        ("v?:k;s?3;m?4;2!!!", "wrong function"),
        ("v?:k;b?3;m?4;3!;0!!", "wrong value"),
        ("v?:l;b?3;m?4;2!;0!!", "wrong value"),
    ],
)
def test_a_fault_is_the_first_that_applies(text, fault):
    asked = read(ASKED)
    assert fault_of(text, asked.call(), asked.offered) == fault


def test_a_completion_without_its_end_is_unparsable():
    prompts = encode_rows([ASKED] * 2)
    assert Calls(4).faults(prompts, encode_rows([WANTED + "$", WANTED])) == [RIGHT, "unparsable"]


def test_tools_do_what_their_twins_do():
    for prompt in ("asmu?9-1*2+3..g=", "bdtv?9-1*2+3..g="):
        assert execute(read(prompt).call()) == (9 - 2 + 3) * 7
    assert len({tool.does for tool in TOOLS.values()}) == 4


def test_a_grammar_allows_what_ends_in_the_room_that_is_left():
    grammar = Grammar({"f": "nw"})
    place = Place()
    for character in "f?":
        assert character in grammar.allowed(place, 8)
        place = grammar.after(place, character)
    assert grammar.least(place) == len("1;:k!$")
    assert "f" not in grammar.allowed(place, 6) and "7" in grammar.allowed(place, 6)
    assert "f" in grammar.allowed(place, 13)
    with pytest.raises(BadInput, match="no call of f ends within 7 tokens"):
        grammar.allowed(Place(), 7)


def test_a_grammar_leads_every_wanted_call_to_its_end():
    task, of = Calls(3), grammars()
    prompts = task.prompts(np.random.default_rng(1), 40, 3)
    for prompt, call in zip(prompts, task.calls(prompts), strict=True):
        grammar, place, text = of(text_of(prompt)), Place(), write(call) + "$"
        for at, character in enumerate(text):
            assert character in grammar.allowed(place, len(text) - at)
            place = grammar.after(place, character)
        assert place.due == "over" and grammar.allowed(place, 0) == ("$",)


def test_a_signature_of_unknown_types_is_refused():
    with pytest.raises(BadInput, match="signature 'nq' of 'f'"):
        Grammar({"f": "nq"})


def test_a_model_held_to_the_grammar_writes_well_formed_calls_of_what_is_offered():
    task = Calls(2)
    prompts = task.prompts(np.random.default_rng(2), 40, 2)
    model = Transformer(Shape(width=16, layers=1, heads=2, context=48), seed=0)
    most = task.longest(2)
    free = generate(model, prompts, most=most, n=3)
    assert set(task.faults(prompts.repeat(3, 0), free.tokens_BT)) == {"unparsable"}
    held = generate(Constrained(model, grammars()), prompts, most=most, n=3)
    assert not set(task.faults(prompts.repeat(3, 0), held.tokens_BT)) & set(FORM)


class Echo:
    """Says a given text at the same pace, and a second choice where that is taken from it."""

    parameter_count = 0

    def __init__(self, text, second):
        self.text, self.second = text, second

    def begin(self, rows, length, seen_BT=None):
        return [0]

    def __call__(self, tokens_BT, cache):
        logits = torch.zeros(*tokens_BT.shape, SIZE)
        logits[:, -1, token(self.second)] = 1.0
        logits[:, -1, token(self.text[min(cache[0], len(self.text) - 1)])] = 2.0
        cache[0] += 1
        return logits


def test_what_the_grammar_allows_is_left_as_the_model_has_it():
    prompts = encode_rows([ASKED])
    out = greedy(Constrained(Echo(WANTED + "$", "7"), grammars()), prompts, most=len(WANTED) + 1)
    assert text_of(out.tokens_BT[0]) == WANTED + "$"


def test_where_the_first_choice_is_forbidden_the_likeliest_allowed_one_is_taken():
    prompts = encode_rows([ASKED])
    out = greedy(Constrained(Echo("s?+;+!$", "7"), grammars()), prompts, most=7)
    assert text_of(out.tokens_BT[0]) == "s?7;7!$"


def test_requests_of_no_such_length_are_refused():
    with pytest.raises(BadInput, match="a request of 5 operators; this task has 1 to 4"):
        Calls(4).prompts(np.random.default_rng(0), 1, 5)
