"""The retraction benchmark: its tasks' rules, its count of true tokens, its comparison at equal tokens."""

from __future__ import annotations

import asyncio
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from trueup.arms import make_arm
from trueup.bench.lists import FAMILIES, ListCritic, Rules, list_stratum
from trueup.bench.result import Result
from trueup.bench.retraction import DELETION, Spending, Trial, cap_at, compare, retraction, row, run_trial
from trueup.core.errors import UnknownName
from trueup.core.roles import ModelCard, Sampled
from trueup.core.types import Attempt, Prompt, Sampling, Usage

RISING = Rules(3, "[1-4]", "2", rises=True)
"""1, 3 and 4 are the one list that keeps them."""


def trial(system: str, *rows: tuple[bool, int]) -> Trial:
    spent = (Spending(str(i), right, tokens, 0, 0, 0, 0.0, 0.0, "") for i, (right, tokens) in enumerate(rows))
    return Trial("f", system, tuple(spent))


# rules


def test_the_rules_of_a_list_are_kept_by_the_beginnings_of_lists_that_keep_them_and_some_that_are_doomed() -> None:
    kept = {lines for size in range(4) for lines in product("1234", repeat=size) if RISING.are_kept(lines)}
    right = ("1", "3", "4")
    assert {lines for lines in kept if len(lines) == 3} == {right}
    assert {right[:size] for size in range(4)} < kept
    assert kept - {right[:size] for size in range(4)} == {("3",), ("4",), ("1", "4"), ("3", "4")}


@pytest.mark.parametrize(
    ("text", "rating"),
    [("1", 2 / 3), ("1\n3", 5 / 6), ("1\n3\n4", 1.0), ("4", 2 / 3), ("1\n2", 0), ("3\n1", 0), ("1\n", 0), ("", 0)],
)
def test_the_critic_rates_a_beginning_by_its_rules_and_its_length_and_knows_no_answer(text: str, rating: float) -> None:
    stratum = list_stratum("digits", 1)
    problem = stratum.items[0].problem
    found = asyncio.run(ListCritic({problem.id: RISING}).rate(problem, [text]))
    assert found == pytest.approx([rating])


@pytest.mark.parametrize("name", FAMILIES)
def test_every_example_keeps_the_rules_that_it_is_an_example_of(name: str) -> None:
    """Which are those of the family's own lists, told apart by the banned characters in the request."""
    family = FAMILIES[name]()
    for request, answer in family.shown:
        banned = request.removesuffix(".").rpartition("without ")[2].removeprefix("the letter ").replace(" and ", "")
        own = family.listings[0].rules
        assert Rules(own.count, own.line, banned, own.rises).are_kept(answer.split("\n"))
        assert len(answer.split("\n")) == own.count
    assert len({listing.request for listing in family.listings}) == len(family.listings) >= 40
    assert not {listing.request for listing in family.listings} & {request for request, _ in family.shown}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_stratum_draws_the_same_items_each_time_and_its_check_reads_the_first_lines(name: str) -> None:
    stratum = list_stratum(name, 3)
    assert [i.problem.id for i in stratum.items] == [i.problem.id for i in list_stratum(name, 3).items]
    verifier, problem = stratum.verifier, stratum.items[0].problem
    rules = next(listing.rules for listing in FAMILIES[name]().listings if listing.request == problem.id)
    lines = [c * 3 for c in "cdfgh"] if name == "letters" else [c for c in "123456789" if c not in rules.banned]
    whole = "\n".join(lines[: rules.count])
    for text, right in ((whole, True), (f"{whole}\nand more", True), (whole.rpartition("\n")[0], False)):
        answer = verifier.read(text)
        assert answer is not None and verifier.check(answer, problem, None).is_right == right
    assert verifier.read(" \n") is None


def test_a_family_that_is_none_is_named() -> None:
    with pytest.raises(UnknownName, match="did you mean 'letters'"):
        list_stratum("leters", 1)


# counting


class Counting:
    """A model that writes one digit a step, the numbers of the attempts in turn, and keeps all that it has read."""

    card = ModelCard("counting", "counting", "cpu", parameters=1000, layers=1, width=8)

    def __init__(self) -> None:
        self.read: set[str] = set()
        self.spent: list[int] = []

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        said = [str((start + i) % 9 + 1) for i in range(n)]
        whole = "|".join(message.content for message in prompt)
        known = max((len(text) for text in self.read if whole.startswith(text)), default=0)
        self.read |= {whole, *(whole + digit for digit in said)}
        self.spent.append(len(whole) - known + n)
        usages = [Usage(len(whole), 1, known, leads=i == 0) for i in range(n)]
        return Sampled(tuple(Attempt(start + i, said[i], "stop:\n", usage) for i, usage in enumerate(usages)))

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("system", [DELETION, "beam_search n=8 width=4 depth=6", "tree_search n=24"])
def test_true_tokens_are_what_the_model_read_anew_and_wrote(system: str, tmp_path: Path) -> None:
    """The examples, which it reads first, are in nobody's count."""
    model, stratum = Counting(), list_stratum("digits", 4)
    found = asyncio.run(run_trial(model, stratum, make_arm(system), tmp_path / "ledger"))
    assert sum(spending.true_tokens for spending in found.spendings) == sum(model.spent[1:])
    assert all(spending.true_tokens < spending.billed_tokens for spending in found.spendings)
    assert [spending.item for spending in found.spendings] == [item.problem.id for item in stratum.items]
    assert all(spending.ratings and spending.asks > spending.ratings for spending in found.spendings)


# comparing


def test_a_cap_holds_the_richer_method_to_the_tokens_of_the_poorer() -> None:
    """By hand: 10 + 20 + 2 * 30 = 4 * 22.5, 10 + 3 * 12 = 4 * 11.5, 4 * 9."""
    tokens = np.array([40.0, 10.0, 30.0, 20.0])
    assert [cap_at(tokens, level) for level in (25.0, 22.5, 11.5, 9.0)] == [np.inf, 30.0, 12.0, 9.0]


def test_methods_are_compared_at_equal_tokens_on_the_same_items() -> None:
    """Held to 25 an item the richer one takes 20 on average and keeps two: by hand 2 won, 1 lost, 1 alike."""
    ours = trial(DELETION, (True, 20), (True, 20), (False, 20), (True, 20))
    rival = trial("tree_search n=24", (True, 10), (False, 30), (True, 20), (True, 100))
    found = compare(ours, rival)
    assert (found["true_tokens"], found["against_true_tokens"]) == (20.0, 20.0)
    assert (found["accuracy"], found["against_accuracy"], found["difference"]) == (0.75, 0.5, 0.25)
    assert found["verdict"] == "open" and found["difference_low"] < 0.25 < found["difference_high"]
    turned = compare(rival, ours)
    assert turned["difference"] == -0.25 and turned["difference_low"] == pytest.approx(-found["difference_high"])


@pytest.mark.parametrize("system", ["best_of_n n=8", "beam_search n=8 width=4", "once"])
def test_what_has_its_budget_in_its_size_is_not_cut_midway(system: str) -> None:
    """Deletion is held to it where it is the richer one."""
    poor, rich, rival = trial(DELETION, (True, 5)), trial(DELETION, (True, 60)), trial(system, (True, 50))
    found = compare(poor, rival)
    assert (found["true_tokens"], found["against_true_tokens"], found["difference"]) == (5.0, 50.0, 0.0)
    found = compare(rich, rival)
    assert (found["true_tokens"], found["against_true_tokens"], found["difference"]) == (50.0, 50.0, -1.0)


def test_a_row_keeps_every_item_and_what_caps_would_have_left_right() -> None:
    told = row(trial("retract n=24", (True, 20), (True, 60), (False, 80)))
    assert (told["accuracy_at_25"], told["accuracy_at_75"], told["true_tokens"]) == (1 / 3, 2 / 3, 160 / 3)
    assert [kept[:3] for kept in told["items"]] == [["0", 1, 20], ["1", 1, 60], ["2", 0, 80]]
    assert "accuracy_at_25" not in row(trial("once", (True, 20)))


def test_the_benchmark_runs_whole_on_a_tiny_network(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from tiny import save_tiny

    folder = save_tiny(tmp_path / "tiny", 1, max_position_embeddings=4096)
    rows = retraction(items=2, families=["digits"], arms=[DELETION, "once"], weights=str(folder), workers=1)
    assert [told.get("against") for told in rows] == ["once", None, None]
    assert all(told["n"] == 2 and told["true_tokens"] > 0 for told in rows)
    assert json.loads(Result.now("retraction", rows).text())["results"] == rows
