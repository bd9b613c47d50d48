"""Maps with wrong turns, their searches in text, and the decoder that deletes."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from trueup.core.csp import parse
from trueup.core.csp.values import holds
from trueup.core.errors import BadInput
from trueup.core.puzzles.families.colouring import stated_colouring
from trueup.train.laboratory import Shape, Transformer
from trueup.train.laboratory.deletion import generate_deleting, generate_steered
from trueup.train.laboratory.tasks.maps import (
    MARKS,
    NONE,
    Map,
    Maps,
    answer_rows,
    colours_said,
    every_shade,
    is_right,
    ordered,
    passages,
    program_rows,
    program_said,
    prompts_of,
    search_rows,
    standing_rows,
    text_of,
)  # fmt: skip
from trueup.train.laboratory.vocabulary import END, PAD, SIZE, decode, encode, token

EARLIER = ((), (), (0,), (1, 2), (2, 3), (1, 3, 4), (2, 4, 5), (1, 4, 6), (0, 7))
MAP = Map(EARLIER, (3, 1, 2, 3, 1, 2, 3, 2, 1), 2, 3)
"""By hand: c takes 1, d 2, e 3, and then f has none left; e has no other, d takes 3, ..."""
SEARCH = "c1d2e3f!e!d3e2f!e!d!c2d3e1f2g3h2i1"
ANSWER = "c2d3e1f2g3h2i1"
TASK = Maps()


class Told:
    """A model that says what a table tells it of the text so far; its cache holds nothing."""

    def __init__(self, says):
        self.says, self.inner = says, Transformer(Shape(16, 1, 2, context=200))
        self.seen = []

    def begin(self, rows, length, seen_BT=None):
        return self.inner.begin(rows, length, seen_BT)

    def __call__(self, tokens_BT, cache):
        """Reads the text out of the cache, where it leaves each token as its key."""
        start = cache.length
        cache.keys_LBHTD[0, :, 0, start : start + tokens_BT.shape[1], 0] = tokens_BT.float()
        cache.length += tokens_BT.shape[1]
        texts = [decode(row.long().numpy()) for row in cache.keys_LBHTD[0, :, 0, : cache.length, 0]]
        self.seen += texts
        logits = torch.zeros(len(texts), tokens_BT.shape[1], SIZE)
        for row, text in enumerate(texts):
            for rank, character in enumerate(self.says(text)):
                logits[row, -1, token(character)] = 9.0 - rank
        return logits


# maps


def test_a_map_is_said_in_one_length_and_keeps_its_neighbours():
    assert MAP.prompt() == "c64d74e74fo4go4h96i5l=a3b1"
    assert {len(one.prompt()) for one in every_shade([MAP])} == {26}
    assert [MARKS.index("o"), MARKS.index("l")] == [0b1011, 0b1000]
    assert MAP.key() == MAP.recoloured((2, 3, 1)).key() != Map(EARLIER, MAP.colours, 3, 3).key()


def test_the_search_in_words_takes_the_least_colour_and_goes_back_where_none_is_left():
    assert text_of(MAP.steps()) == SEARCH
    assert colours_said(SEARCH + "$") == colours_said(ANSWER + "$")
    assert is_right(MAP, SEARCH + "$") and is_right(MAP, ANSWER + "$")
    assert not is_right(MAP, SEARCH) and not is_right(MAP, ANSWER.replace("i1", "i2") + "$")


def test_what_a_deleting_decoder_shows_is_the_same_search_without_what_was_undone():
    assert list(passages(MAP)) == [
        ("", "c1d2e3f!e!"), ("c1d2e!", "d3"), ("c1d3", "e2f!e!"), ("c1d3e!", "d!"), ("c1d!", "c2"),
        ("c2", "d3e1f2g3h2i1$"),
    ]  # fmt: skip


@pytest.mark.parametrize(("band", "low", "high"), [("0", 0, 0), ("1..2", 1, 2), ("3..9", 3, 9)])
def test_a_drawn_map_has_one_solution_its_wrong_turns_and_a_text_that_finds_it(band, low, high):
    one = TASK.draw(f"test:{band}", band)
    shades = [one.colours[:2] + rest for rest in product((1, 2, 3), repeat=7)]
    sound = [of for of in shades if all(of[i] != of[j] for i, before in enumerate(one.earlier) for j in before)]
    assert sound == [one.colours]
    assert low <= one.undone <= high
    steps = list(one.steps())
    assert is_right(one, text_of(steps) + "$")
    undone = sum(said == NONE for _, said in steps)
    assert len(steps) == 7 + 2 * undone and (undone == 0 or low > 0)
    assert sum(map(len, one.earlier)) == 16


def test_the_order_of_regions_knows_no_solution():
    """Turning round the names of the colours turns round which is tried first, so an order that follows the right
    colours alone would never change; a search's does where its first turn was wrong in one of the two."""
    changed = 0
    for i in range(6):
        puzzle = TASK.draw(f"order:{i}", "1..2").puzzle()
        turned = replace(puzzle, given=tuple({"red": "blue", "blue": "red"}.get(name, name) for name in puzzle.given))
        changed += ordered(puzzle).earlier != ordered(turned).earlier
    assert changed > 0


def test_without_a_wrong_turn_each_colour_is_the_only_one_that_its_earlier_neighbours_leave():
    for i in range(5):
        one = TASK.draw(f"easy:{i}", "0")
        for here in range(2, 9):
            assert len({one.colours[j] for j in one.earlier[here]}) == 2


def test_statements_come_to_the_puzzles_own_constraints_and_nothing_else_is_taken():
    program = parse(program_said(MAP.statements() + "$"))
    values = dict(zip("abcdefghi", MAP.colours, strict=True))
    assert all(holds(one, values) for one in program.constraints)
    assert len(program.constraints) == 2 + 16
    stated = stated_colouring(MAP.puzzle().statement())
    assert stated == MAP.puzzle()
    assert {tuple(sorted(pair)) for pair in stated.borders} == {(j, i) for i, of in enumerate(EARLIER) for j in of}
    for wrong in ("a3;b1;c:a", "a3;b1;c:a;", "a4;$", "a3;c:!;$", "a3;;$", "$"):
        with pytest.raises(BadInput):
            program_said(wrong)


def test_rows_learn_what_is_written_and_not_what_stands():
    for rows, texts in (
        (answer_rows([MAP]), [ANSWER + "$"]),
        (search_rows([MAP]), [SEARCH + "$"]),
        (program_rows([MAP]), [MAP.statements() + "$"]),
        (standing_rows([MAP]), [said for _, said in passages(MAP)]),
    ):
        learned = [row[marks].tolist() for row, marks in zip(rows.tokens_BT, rows.learned_BT, strict=True)]
        assert learned == [encode(text) for text in texts]
        assert not rows.learned_BT[:, :26].any()


def test_a_size_that_the_marks_cannot_tell_is_refused():
    with pytest.raises(BadInput, match="10 regions"):
        Maps(10)
    with pytest.raises(BadInput, match="searches of 6 steps"):
        Maps(steps=6)


def test_no_drawn_map_takes_a_longer_search_than_the_size_allows():
    seed = next(f"long:{i}" for i in range(20) if _longest(TASK.draw(f"long:{i}", "1..2")) > 20)
    assert _longest(Maps(steps=20).draw(seed, "1..2")) <= 20


def _longest(one):
    return max(len(list(named.steps())) for named in every_shade([one]))


# the decoder


def deleting(says, *, most=126, room=20, maps=(MAP,)):
    model = Told(says)
    return model, generate_deleting(model, prompts_of(maps), most=most, room=room, undo=token(NONE))


def writer(*maps):
    """Goes on as the passages of these maps do; no context comes up twice in a search."""
    known = {
        one.prompt() + stands + said[:end]: said[end]
        for one in maps
        for stands, said in passages(one)
        for end in range(len(said))
    }
    return lambda shown: known.get(shown, "_")


def test_a_model_that_learned_the_passages_comes_to_the_solution_and_sees_nothing_undone():
    model, found = deleting(writer(MAP))
    assert decode(found.tokens_BT[0]) == ANSWER
    assert is_right(MAP, decode(found.tokens_BT[0]) + "$")
    assert found.written_B.tolist() == [len(SEARCH) + 1]
    assert found.reread_B.tolist() == [5]
    shown = [text.removeprefix(MAP.prompt()) for text in model.seen if len(text) > 26]
    assert max(map(len, shown)) == len(ANSWER) and all(text.count("!") <= 2 for text in shown)


def test_rows_of_different_lengths_do_not_disturb_each_other():
    other = MAP.recoloured((2, 1, 3))
    _, both = deleting(writer(MAP, other), maps=(MAP, other, MAP))
    assert [is_right(one, decode(row) + "$") for one, row in zip((MAP, other, MAP), both.tokens_BT, strict=True)] == [
        True, True, True,
    ]  # fmt: skip
    assert both.written_B[0] == both.written_B[2] == len(SEARCH) + 1
    assert both.written_B[1] == len(text_of(other.steps())) + 1


def test_a_row_ends_at_its_budget_at_its_room_and_where_nothing_is_left_to_undo():
    _, short = deleting(writer(MAP), most=12)
    assert short.written_B.tolist() == [12] and not (short.tokens_BT == END).any()
    _, endless = deleting(lambda shown: "c1"[len(shown) % 2])
    assert endless.written_B.tolist() == [20]
    _, lost = deleting(lambda shown: "c!"[len(shown) % 2])
    assert lost.written_B.tolist() == [4]


def test_it_writes_what_greedy_sampling_does_as_long_as_nothing_is_undone():
    """On a network of random weights that never says the undo mark."""
    from trueup.train.laboratory import greedy

    model = Transformer(Shape(16, 2, 2, context=60), seed=3)
    with torch.no_grad():
        model.embedding.weight[token(NONE)] = 0.0
    maps = every_shade([MAP])
    found = generate_deleting(model, prompts_of(maps), most=14, room=14, undo=token(NONE))
    plain = greedy(model, prompts_of(maps), most=14)
    rows = (plain.tokens_BT != token(NONE)).all(1)
    assert rows.any() and np.array_equal(found.tokens_BT[rows], plain.tokens_BT[rows])


def test_a_critic_lets_a_step_stand_or_the_next_likeliest_is_tried():
    """The model says 3, 2, 1 in this order; the critic wants the solution, which takes 4 - k draws of colour k."""
    model = Told(lambda shown: "cdefghi"[(len(shown) - 26) // 2] if len(shown) % 2 == 0 else "321")
    found = generate_steered(
        model, prompts_of([MAP]), lambda row, text: ANSWER.startswith(text), most=60, steps=7
    )  # fmt: skip
    assert decode(found.tokens_BT[0]) == ANSWER
    assert found.written_B.tolist() == [2 * sum(4 - shade for shade in MAP.colours[2:])]


def test_a_critic_cannot_be_asked_beyond_the_budget():
    model = Told(lambda shown: "cdefghi"[(len(shown) - 26) // 2] if len(shown) % 2 == 0 else "321")
    found = generate_steered(model, prompts_of([MAP]), lambda row, text: ANSWER.startswith(text), most=9, steps=7)
    assert decode(found.tokens_BT[0]) == "c2d3" and found.written_B.tolist() == [8]


def test_where_a_critic_allows_nothing_a_row_ends_and_the_others_go_on():
    model = Told(lambda shown: "cdefghi"[(len(shown) - 26) // 2] if len(shown) % 2 == 0 else "321")
    found = generate_steered(
        model, prompts_of([MAP, MAP]), lambda row, text: row == 1 or len(text) < 4, most=300, steps=7
    )
    assert decode(found.tokens_BT[0]) == "c3" and decode(found.tokens_BT[1]) == "c3d3e3f3g3h3i3"
    assert (found.tokens_BT[0, 2:] == PAD).all()
