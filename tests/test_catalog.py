"""Names and settings as a user types them, and the contract that every entry keeps."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from scripted import Rates, Solves
from toys import PRICES, Ending, item

from trueup import arms, catalog
from trueup.bench.toy import Whole
from trueup.cli.citations import citations
from trueup.core.errors import BadInput, UnknownName
from trueup.core.ledger import Ledger
from trueup.core.outcome import Outcome
from trueup.core.settings import fit_settings, split_words
from trueup.core.stratum import Stratum
from trueup.core.versions import has_wal_reset_bug
from trueup.models import Toy
from trueup.models.toy import TOKENS
from trueup.run import Clerk, Job, run_job
from trueup.run.batch import run_batch


def maker(*, n: int = 1, share: float = 0.5, wide: bool = False, name: str | None = None) -> tuple[object, ...]:
    return n, share, wide, name


def test_settings_take_the_types_of_the_signature():
    given = fit_settings("maker", maker, {"n": "3", "share": "1", "wide": "yes", "name": "x"})
    assert given == {"n": 3, "share": 1.0, "wide": True, "name": "x"}
    assert fit_settings("maker", maker, {"wide": False, "name": None}) == {"wide": False, "name": None}
    whole = fit_settings("maker", maker, {"n": 700.0, "share": 1, "name": 4})
    assert whole == {"n": 700, "share": 1.0, "name": "4"} and type(whole["n"]) is int


@pytest.mark.parametrize(
    "given",
    [{"n": "1.5"}, {"n": 700.9}, {"n": True}, {"share": "half"}, {"share": False}, {"wide": "maybe"}, {"name": True}],
)
def test_a_setting_of_the_wrong_type_is_named(given):
    with pytest.raises(BadInput, match=f"maker {next(iter(given))} is"):
        fit_settings("maker", maker, given)


def test_words_split_into_a_name_and_its_settings():
    assert split_words("vote n=8 step=2") == ("vote", {"n": "8", "step": "2"})
    with pytest.raises(BadInput, match="write name=value"):
        split_words("vote 8")


def test_every_kind_offers_the_nearest_name():
    assert str(UnknownName("name", "?", (f"v{i:04}" for i in range(10_000)))).endswith("v0078, v0079 and 9,920 more")
    with pytest.raises(UnknownName, match="did you mean 'adaptive_vote'"):
        arms.make_arm("adaptive_votes")
    with pytest.raises(UnknownName, match="did you mean 'step'"):
        arms.make_arm("adaptive_vote stop=2")
    with pytest.raises(UnknownName, match="did you mean 'verifiers'"):
        catalog.names("verifier")


def test_usual_arms_are_those_that_apply():
    bare = Stratum("s", (item(),), Whole())
    assert [arm.method for arm in arms.arms_of(bare, 8)] == ["once", "greedy", "vote", "vote", *ADAPTIVE, "revise"]
    with pytest.raises(BadInput, match="none of the methods solve"):
        arms.arms_of(bare, 8, ["solve"])
    with pytest.raises(BadInput, match="it has no solver"):
        arms.arms_of(Stratum("s", (item(),), Whole(), recipe={"methods": ["solve"]}), 8)


@pytest.mark.parametrize(
    ("given", "more"),
    [
        ({"rater": Rates({})}, ["best_of_majority"]),
        ({"check": Ending()}, ["best_of_n", "reset_and_discard", "best_of_majority"]),
        ({"solver": Solves({})}, ["solve"]),
    ],
    ids=["a rater", "a check", "a solver"],
)
def test_usual_arms_take_up_what_the_stratum_has(given, more):
    bare, has = (Stratum("s", (item(),), Whole(), **extra) for extra in ({}, given))
    usual, wider = ([arm.method for arm in arms.arms_of(one, 8)] for one in (bare, has))
    assert sorted(wider) == sorted([*usual, *more])


def test_where_an_arm_goes_by_log_probabilities_all_attempts_tell_them():
    bare = Stratum("s", (item(),), Whole())
    both, none = (
        arms.telling(bare, [arms.make_arm(name) for name in of]) for of in (("once", "probability_vote"), ("vote",))
    )
    assert [one.problem.sampling.logprobs for one in both.items] == [True] and none is bare
    ask = next(arms.make_arm("probability_vote").start(both.items[0].problem))
    assert ask.sampling is None


def test_an_arm_named_twice_runs_once():
    assert len(arms.arms_of(Stratum("s", (item(),), Whole()), 8, ["vote n=4", "vote n=4"])) == 1


ADAPTIVE = ("adaptive_vote", "probability_vote")
APART = {
    "formalise_and_solve",
    "solve",
    "constrained",
    "reason_then_constrain",
    "retract",
    "route",
    "compute_optimal",
    "propose_and_assign",
    "decode_with_lexicon",
    "run_stored",
}
"""Methods that the toy cannot answer by: each has tests of its own."""
BATCH = {name for name in catalog.METHODS if arms.make_arm(name).is_batch}


@pytest.mark.parametrize("name", sorted(catalog.METHODS.keys() - APART - BATCH))
def test_every_method_answers_a_problem_and_is_charged(tmp_path, name):
    stratum = Stratum("toy", (), Ending(), Ending())

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            job = Job(stratum, item(checkable=True), arms.make_arm(name))
            return await run_job(job, Clerk(Toy(1.0), ledger, PRICES))

    outcome = asyncio.run(go())
    assert isinstance(outcome, Outcome)
    assert outcome.grade.is_right
    assert outcome.cost.completion_tokens and outcome.cost.calls


def test_every_name_says_what_it_does_and_sets_by_keyword():
    for kind in catalog.KINDS:
        for entry in catalog.describe(kind):
            assert entry.about.endswith("."), f"{kind} {entry.name} has no first line"
    for name, verifier in catalog.VERIFIERS.items():
        assert all(p.kind is p.KEYWORD_ONLY for p in inspect.signature(verifier).parameters.values()), name
        made = verifier()
        assert isinstance(made.name, str) and isinstance(made.needs_reference, bool)
        assert made.read("") is None, f"{name} reads an answer out of nothing"


UNCITED = {"once", "greedy", "decode_with_lexicon"}
"""Of no paper, and of papers that are not on arXiv."""


def test_every_method_cites_a_paper_where_there_is_one():
    cited = {citation.method for citation in citations(catalog.METHODS, catalog.METHODS)}
    assert cited == set(catalog.METHODS) - UNCITED
    (paper,) = citations(["best_of_n"], catalog.METHODS)
    assert (paper.authors, paper.year, paper.arxiv) == ("Cobbe et al.", 2021, "2110.14168")


def test_the_wal_bug_is_known_by_version():
    assert has_wal_reset_bug((3, 40, 1)) and has_wal_reset_bug((3, 51, 2)) and has_wal_reset_bug((3, 50, 6))
    assert not has_wal_reset_bug((3, 51, 3)) and not has_wal_reset_bug((3, 50, 7)) and not has_wal_reset_bug((3, 53, 0))


@pytest.mark.parametrize("name", sorted(BATCH))
def test_every_batch_method_answers_all_problems_within_its_budget(tmp_path, name):
    items = tuple(item(f"p{number}") for number in range(12))
    arm = arms.make_arm(f"{name} budget=3")

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            return await run_batch(arm, Stratum("toy", items, Ending()), Clerk(Toy(0.7), ledger, PRICES))

    outcomes = asyncio.run(go())
    assert [outcome.item for outcome in outcomes] == list(items)
    assert all(outcome.answer is not None and outcome.failure is None for outcome in outcomes)
    assert sum(outcome.cost.completion_tokens or 0 for outcome in outcomes) <= 3 * len(items) * TOKENS
