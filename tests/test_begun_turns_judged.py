"""A row that begins the answer's turn: judges and planners write in turns of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toys import attempts, finish, problem

from trueup.core.asks import Sample
from trueup.core.types import Attempt, Message, Usage
from trueup.methods.chain_of_verification import APART, chain_of_verification
from trueup.methods.judge_pairwise import PAIR, judge_pairwise
from trueup.methods.plan_then_solve import PLAN, SOLVE, plan_then_solve

BEGUN = Message("assistant", "The answer is")
ROW = replace(problem("2+2?"), prompt=(Message("user", "2+2?"), BEGUN))


def said(*texts):
    """What the model added to a turn, or said in one of its own."""
    return tuple(Attempt(i, text, "stop", Usage(5, 1), text.strip()) for i, text in enumerate(texts))


@pytest.mark.parametrize("beginning", ["The answer is", ""])
def test_the_judge_of_a_pair_sees_whole_turns_and_writes_in_its_own(beginning):
    row = replace(ROW, prompt=(ROW.prompt[0], Message("assistant", beginning)))
    (drawn, heard), _ = finish(judge_pairwise(row, n=2), [said(" 4.", " 5."), said("A")])
    pairs = [
        PAIR.format(first=f"{beginning} {a}.".strip(), second=f"{beginning} {b}.".strip()) for a, b in ("45", "54")
    ]
    assert drawn == Sample(row.prompt, 2)
    assert heard.prompt in [(Message("user", f"2+2?\n\n{pair}"),) for pair in pairs]


def test_questions_about_a_draft_are_answered_in_a_turn_of_their_own():
    replies = [said(" 4."), said("Is it even?"), said("Yes."), said("It is 4.")]
    asks, _ = finish(chain_of_verification(ROW), replies)
    assert asks[0].prompt == ROW.prompt
    assert asks[1].prompt[:2] == (ROW.prompt[0], Message("assistant", "The answer is 4."))
    assert asks[2].prompt == (Message("user", f"2+2?\n\n{APART.format(question='Is it even?')}"),)


def test_a_plan_has_a_turn_of_its_own_and_its_solution_the_one_that_the_row_begins():
    asks, answer = finish(plan_then_solve(ROW, n=1), [said("add"), attempts("4")])
    wish = Message("user", f"2+2?\n\n{PLAN}")
    assert asks[0].prompt == (wish,)
    assert asks[1].prompt == (wish, Message("assistant", "add"), Message("user", SOLVE), BEGUN)
    assert answer.value == "4"
