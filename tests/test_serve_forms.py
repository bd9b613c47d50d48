"""What a request may ask of the form of its answer, and what becomes of what cannot be had."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("starlette")
from test_serve import HTTP, Toy, assert_error_shape, at_work, body, desk, post, serving
from toys import PRICES, singly

from trueup.arms import UNHELD, holds_answer, holds_texts, make_arm
from trueup.catalog import names
from trueup.core.asks import Check, Rate, Sample
from trueup.core.errors import AskFailed, BadForm, BadInput
from trueup.core.ledger import Ledger
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Sampling, Solution, Usage
from trueup.methods.start import CHOOSERS
from trueup.run import Clerk, Tab
from trueup.serve import Desk
from trueup.serve.failure import to_failure
from trueup.solvers import program, satisfiable
from trueup.tasks import build_chat, build_prompt
from trueup.verifiers import exact, json_schema

SCHEMA = json.dumps({"type": "object"})
FORM = {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "object"}}}
TRAP = {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "string", "pattern": "^(a+)+$"}}}
TRAPPED = '"' + "a" * 40 + 'b"'
PROGRAM = "int a in 1..3\ncon a > 2"


def blame(response: httpx.Response) -> tuple[int, str | None, str | None]:
    error = assert_error_shape(response)
    return response.status_code, error["param"], error["code"]


def checking(words: str, name: str = "sums") -> Desk:
    """A desk whose attempts are checked against the request's schema."""
    stratum = Stratum(name, (), json_schema(), json_schema())
    return replace(at_work(words, name), stratum=stratum)


def test_stop_strings_of_the_recipe_end_no_answer_under_a_schema_when_studied_or_served(tmp_path: Path) -> None:
    held = Sampling(max_tokens=50, stop=("\n",)).held_to(SCHEMA, None)
    assert held.stop == ()
    toy = Toy(text=lambda i: "{}")
    recipe = Sampling(max_tokens=50, stop=("\n",))
    with serving(tmp_path, toy, at_work("once", sampling=replace(recipe, schema=SCHEMA), schema=SCHEMA)) as url:
        for more, stop in (({}, ()), ({"stop": ["x"]}, ("x",))):
            assert post(url, body(response_format=FORM, **more)).status_code == 200
            assert toy.asked[-1][1].stop == stop


def test_a_schema_that_does_not_compile_is_the_clients_to_mend_and_another_setting_ours() -> None:
    broken = BadForm("the schema '{' does not compile")
    theirs, ours = to_failure(broken, has_own_form=True), to_failure(BadInput("no such solver"), has_own_form=True)
    told = json.loads(theirs.body())["error"]
    assert (theirs.status, told["param"], told["code"]) == (400, "response_format", "schema_invalid")
    assert "does not compile" in told["message"]
    assert ours.status == to_failure(broken).status == 500


def test_a_checks_complaint_is_not_the_models_failure() -> None:
    def failed(why: str) -> AskFailed:
        error = AskFailed("verifier 'v' could not check '1'")
        error.__cause__ = BadInput(why)
        return error

    theirs = to_failure(failed("item 'request-1f': its last user message states no puzzle; take others"))
    assert (theirs.status, theirs.message) == (400, "its last user message states no puzzle; take others")
    assert to_failure(failed("a setting is wrong")).code == "server_misconfigured"


def test_one_clients_schema_keeps_no_other_waiting(tmp_path: Path) -> None:
    toy = Toy(text=lambda i: TRAPPED)
    work = checking("best_of_n n=1")
    with serving(tmp_path, toy, work, desk("puzzles")) as url, ThreadPoolExecutor(2) as pool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("trueup.run.clerk.SCHEMA_SECONDS", 4.0)
            trapped = pool.submit(post, url, body(model="mixed/sums", response_format=TRAP))
            while not toy.asked:
                time.sleep(0.01)
            time.sleep(0.2)
            assert HTTP.get(f"{url}/health").json() == {"status": "ok"}
            assert post(url, body(model="mixed/puzzles")).status_code == 200 and not trapped.done()
            assert blame(trapped.result()) == (400, "response_format", "schema_invalid")
        assert post(url, body(model="mixed/sums", response_format=FORM)).status_code == 200


def test_a_check_by_a_schema_is_graded_and_charged_apart_as_here(tmp_path: Path) -> None:
    schema = json.dumps({"type": "object", "required": ["a"]})
    problem = Problem("p", "s", (Message("user", "?"),), schema=schema, checkable=True)
    texts = ('{"a": 1}', "{}", "free")
    answers = [Attempt(i, text, "eos", Usage(1, 1), json_schema().read(text)) for i, text in enumerate(texts)]
    with Ledger(tmp_path / "l") as ledger:
        clerk = Clerk(Toy(), ledger, PRICES)
        tab = Tab(Stratum("s", (), exact(), json_schema()), Item(problem, None, "p"))

        async def graded() -> tuple[Grade, ...]:
            try:
                return await clerk.grade(answers, tab)
            finally:
                await clerk.close()

        grades = asyncio.run(graded())
    note = "$: 'a' is a required property"
    assert grades == (Grade(1.0), Grade(0.0, note=note), Grade(0.0, parsed=False, note="unparsable"))
    assert 0 < tab.cost.seconds < 1


@pytest.mark.parametrize("words", ["solve", "budget_forcing", "formalise_and_solve", "cascade to=solver", "run_stored"])
def test_a_schema_that_a_method_would_not_answer_under_is_refused(tmp_path: Path, words: str) -> None:
    toy, work = Toy(), at_work(words)
    served = replace(work, stratum=replace(work.stratum, solver=program()))
    with serving(tmp_path, toy, served) as url:
        for form in (FORM, {"type": "json_object"}):
            assert blame(post(url, body(response_format=form))) == (400, "response_format", "unsupported_parameter")
    assert not toy.asked


def test_free_text_may_be_asked_for_anywhere(tmp_path: Path) -> None:
    with serving(tmp_path, Toy(), at_work("budget_forcing")) as url:
        assert post(url, body(response_format={"type": "text"})).status_code == 200


def played(words: str, problem: Problem, answer: Any) -> tuple[bool, bool]:
    """Whether a method samples under the problem's schema, and whether its answer is such a text, or none."""
    arm, held, number = make_arm(words), [""], 0
    flow = singly(arm.start(problem))
    reply: Any = None
    while True:
        try:
            ask = flow.send(reply)
        except StopIteration as end:
            return len(held) > 1, end.value.text in held
        if isinstance(ask, Sample):
            texts = [f"text {number + place}" for place in range(ask.n)]
            number += ask.n
            held += texts if (ask.sampling or problem.sampling).schema and ask.kind == "sampled" else []
            reply = tuple(
                Attempt(i, text, "eos", Usage(1, 1), answer(i), logprob=-0.5) for i, text in enumerate(texts, ask.start)
            )
        elif isinstance(ask, Check):
            reply = (Grade(0.0),) * len(ask.attempts)
        else:
            reply = (0.5,) * len(ask.texts) if isinstance(ask, Rate) else Solution("solved", "#### 3", "3")


SINGLE = [n for n, start in names("methods").items() if n not in CHOOSERS and "problem" in signature(start).parameters]


@pytest.mark.parametrize("words", [*SINGLE, "cascade to=solver"])
def test_what_is_said_of_methods_and_forms_is_what_they_do(words: str) -> None:
    if words == "ab_mcts":
        pytest.importorskip("treequest")
    base = Problem("p", "s", (Message("user", PROGRAM),), Sampling(schema=SCHEMA), SCHEMA, ratable=True)
    answers = (str, lambda i: "1", lambda i: None)
    found = [
        played(words, replace(base, checkable=checkable), answer) for checkable in (True, False) for answer in answers
    ]
    arm = make_arm(words)
    assert any(is_held for is_held, _ in found) <= holds_texts(arm)
    if holds_answer(arm):
        assert all(is_answer for _, is_answer in found)
    if arm.method in UNHELD:
        assert not any(is_held for is_held, _ in found)


@pytest.mark.parametrize("words", ["once", "vote n=2", "budget_forcing", "vote_calls n=2"])
def test_rows_held_to_their_own_schemas_are_served_under_one_too(tmp_path: Path, words: str) -> None:
    toy, work = Toy(finish="length"), at_work(words)
    held = replace(work, stratum=replace(work.stratum, recipe={"constrain": True}))
    ruled = replace(at_work(words, "ruled", grammar='root ::= "a"'), sampling=Sampling(grammar='root ::= "a"'))
    ruled = replace(ruled, stratum=replace(ruled.stratum, recipe={"constrain": True}))
    with serving(tmp_path, toy, held, ruled) as url:
        bare = post(url, body(model="mixed/sums"))
        assert blame(bare) == (400, "response_format", "schema_needed") and not toy.asked
        assert post(url, body(model="mixed/sums", response_format=FORM)).status_code == 200
        assert any(sampling.schema == SCHEMA for _, sampling in toy.asked)
        assert post(url, body(model="mixed/ruled")).status_code == 200


def test_a_solver_needs_no_schema_where_rows_are_held_to_one(tmp_path: Path) -> None:
    work = desk("sums", "solve", has_solver=True)
    with serving(tmp_path, Toy(), replace(work, stratum=replace(work.stratum, recipe={"constrain": True}))) as url:
        assert post(url, body()).status_code == 200


RECIPE = {"system": "Recipe.", "template": "Q: {question}", "shots": [{"question": "1+1", "answer": "2"}]}


@pytest.mark.parametrize(
    "turns",
    [
        [("user", "2+2")],
        [("system", "Own."), ("user", "2+2")],
        [("user", "1+2"), ("assistant", "3"), ("user", "2+2")],
        [("system", "Own."), ("user", "1+2"), ("assistant", "3"), ("system", "More."), ("user", "2+2")],
    ],
)
def test_a_chat_is_asked_as_served_as_it_was_when_studied(tmp_path: Path, turns: list[tuple[str, str]]) -> None:
    toy = Toy()
    served = replace(desk("sums"), build=lambda question: build_prompt(RECIPE, question))
    with serving(tmp_path, toy, served) as url:
        post(url, body(messages=[{"role": role, "content": text} for role, text in turns]))
    studied = build_chat(RECIPE, tuple(Message(*turn) for turn in turns))
    assert toy.asked[0][0] == studied
    own = "\n\n".join(text for role, text in turns if role == "system")
    assert [m.content for m in studied if m.role == "system"] == [own or "Recipe."]


@pytest.mark.parametrize("words", ["best_of_n n=2", "revise", "beam_search"])
def test_a_check_by_a_schema_wants_a_schema_before_anything_is_asked(tmp_path: Path, words: str) -> None:
    toy = Toy(text=lambda i: "{}")
    invalid = {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "objekt"}}}
    with serving(tmp_path, toy, checking(words)) as url:
        assert blame(post(url, body())) == (400, "response_format", "schema_needed")
        response = post(url, body(response_format=invalid))
        assert blame(response) == (400, "response_format", "schema_invalid") and not toy.asked
        assert "'objekt' is not valid" in response.json()["error"]["message"]
        assert post(url, body(response_format=FORM)).status_code == 200


def test_a_method_that_checks_nothing_needs_no_schema_for_its_check(tmp_path: Path) -> None:
    with serving(tmp_path, Toy(), checking("once")) as url:
        assert post(url, body()).status_code == 200


@pytest.mark.parametrize("words", ["best_of_majority n=2", "beam_search n=2 width=1 depth=2", "tree_search", "retract"])
def test_a_prompt_that_the_rater_cannot_take_is_the_clients_to_mend(tmp_path: Path, words: str) -> None:
    work = at_work(words, has_check=True)
    served = replace(work, stratum=replace(work.stratum, rater=satisfiable()))
    with serving(tmp_path, Toy(), served) as url:
        response = post(url, body(messages=[{"role": "user", "content": "say right or wrong"}]))
    assert blame(response) == (400, "messages", "invalid_prompt")
    assert response.json()["error"]["message"].startswith("its last user message states no puzzle and no program")


@pytest.mark.parametrize(
    ("turns", "param"),
    [
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([{"role": "system", "content": None}, {"role": "user", "content": "x"}], "messages[0].content"),
        ([{"role": "user", "content": "x"}, {"role": "assistant"}, {"role": "user", "content": "y"}],
         "messages[1].content"),
        ([{"role": "user", "content": None, "refusal": "no"}], "messages[0].content"),
    ],
)  # fmt: skip
def test_a_message_without_content_is_refused(tmp_path: Path, turns: list[dict[str, Any]], param: str) -> None:
    toy = Toy()
    with serving(tmp_path, toy, desk("sums")) as url:
        assert blame(post(url, body(messages=turns))) == (400, param, "invalid_value")
    assert not toy.asked


def test_what_an_assistant_said_in_refusing_is_what_it_said(tmp_path: Path) -> None:
    toy = Toy()
    refused = {"role": "assistant", "content": None, "refusal": "I will not."}
    with serving(tmp_path, toy, desk("sums")) as url:
        turns = [{"role": "user", "content": "x"}, refused, {"role": "user", "content": "y"}]
        assert post(url, body(messages=turns)).status_code == 200
    assert Message("assistant", "I will not.") in toy.asked[0][0]


def test_top_p_of_nothing_is_the_likeliest_token(tmp_path: Path) -> None:
    toy = Toy()
    with serving(tmp_path, toy, desk("sums")) as url:
        assert post(url, body(top_p=0, seed=1)).status_code == 200
    assert [sampling for _, sampling in toy.asked] == [Sampling(temperature=0.0, top_p=1.0, max_tokens=50, seed=1)]


@pytest.mark.parametrize(
    ("name", "asks", "nothing"),
    [
        ("repetition_penalty", 1.2, 1.0),
        ("best_of", 4, 1),
        ("min_tokens", 5, 0),
        ("ignore_eos", True, False),
        ("guided_json", {"type": "object"}, None),
        ("guided_regex", "a+", None),
        ("structured_outputs", {"regex": "a+"}, None),
        ("grammar", 'root ::= "a"', ""),
    ],
)
def test_settings_of_other_servers_are_refused_where_they_ask_for_something(
    tmp_path: Path, name: str, asks: Any, nothing: Any
) -> None:
    with serving(tmp_path, Toy(), desk("sums")) as url:
        assert blame(post(url, body(**{name: asks}))) == (400, name, "unsupported_parameter")
        assert post(url, body(**{name: nothing})).status_code == 200
