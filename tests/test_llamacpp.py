"""The embedded engine, on the real model: attempts that do not depend on the batch, tokens that add up."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace

import pytest

from trueup.core.cache import check_digest
from trueup.core.errors import BadInput, Unavailable
from trueup.core.types import Message, Sampling
from trueup.models import SMOLLM2, LlamaCpp

pytestmark = pytest.mark.network

SUM = (Message("user", "Q: 21 + 34\nA: 55\nQ: 52 + 17\nA: 69\nQ: 23 + 45\nA:"),)
SHORT = Sampling(temperature=0.8, max_tokens=12)
LONGER = Sampling(temperature=0.8, max_tokens=40)


def ask(*asks):
    """The replies of one fresh engine to these asks, in order."""

    async def go():
        model = LlamaCpp(SMOLLM2)
        try:
            return [await model.sample(*one) for one in asks]
        finally:
            await model.close()

    return asyncio.run(go())


@pytest.mark.usefixtures("weights")
def test_an_attempt_is_the_same_alone_in_a_batch_and_after_a_restart():
    """Also after other prompts, of which it is the beginning, or which begin like it."""
    longer = (Message("user", SUM[0].content + " 68\nQ: 14 + 31\nA:"),)
    (batch,) = ask((SUM, 16, 0, LONGER))
    texts = [a.text for a in batch.attempts]
    _, tail, _, alone, again = ask(
        (longer, 3, 0, LONGER), (SUM, 3, 5, LONGER), (longer, 1, 9, SHORT), (SUM, 1, 2, LONGER), (SUM, 16, 0, LONGER)
    )
    assert [a.text for a in tail.attempts] == texts[5:8]
    assert [a.text for a in alone.attempts] == [texts[2]]
    assert [a.text for a in again.attempts] == texts
    assert len(set(texts)) > 1


@pytest.mark.usefixtures("weights")
def test_a_token_is_told_with_the_chance_it_was_drawn_with_or_hardly_less():
    """Against all that the engine tells of the place, at two temperatures; at 1 there is nothing to reckon."""

    turns = (
        "What is 38 + 25?",
        "38 + 25 = 63.",
        "What is 69 + 93?",
        "69 + 93 = 162.",
        "What is 48 + 76?",
        "48 + 76 = 1",
    )
    shown = tuple(Message(("user", "assistant")[place % 2], turn) for place, turn in enumerate(turns))

    async def go():
        model = LlamaCpp(SMOLLM2)
        try:
            whole = await model.next_token(shown, 20_000)
            return whole, [
                (await model.sample(shown, 16, 0, Sampling(t, max_tokens=1, logprobs=True))).attempts
                for t in (0.4, 0.8, 1.0)
            ]
        finally:
            await model.close()

    whole, (cold, warm, plain) = asyncio.run(go())
    for temperature, attempts in ((0.4, cold), (0.8, warm)):
        norm = math.log(sum(math.exp(told / temperature) for told in whole.values()))
        for attempt in attempts:
            assert -0.05 < attempt.drawn_logprob - (attempt.logprob / temperature - norm) < 0.005
    assert all(attempt.drawn_logprob == attempt.logprob for attempt in plain)


@pytest.mark.usefixtures("weights")
def test_every_choice_has_its_own_tokens_and_the_seconds_add_up():
    (reply,) = ask((SUM, 4, 0, SHORT))
    tokens = [a.usage.completion_tokens for a in reply.attempts]
    assert all(1 <= n <= 12 for n in tokens)
    assert [a.finish == "length" for a in reply.attempts] == [n == 12 for n in tokens]
    assert [a.usage.leads for a in reply.attempts] == [True, False, False, False]
    assert len({a.usage.prompt_tokens for a in reply.attempts}) == 1
    rates = {round(a.usage.decode_seconds / a.usage.completion_tokens, 9) for a in reply.attempts}
    assert len(rates) == 1


@pytest.mark.usefixtures("weights")
def test_an_attempt_says_whether_the_model_ended_it_and_at_which_stop_string_it_was_cut():
    count, hello = (Message("user", "Count from 1 to 9, with commas."),), (Message("user", "Say hi."),)
    greedy = Sampling(temperature=0.0, max_tokens=64, stop=("Q:", "3"))
    cut, ended, limited = ask(
        (count, 1, 0, greedy), (hello, 1, 0, greedy), (hello, 1, 0, replace(greedy, max_tokens=2))
    )
    assert (cut.attempts[0].finish, "2" in cut.attempts[0].text, "3" in cut.attempts[0].text) == ("stop:3", True, False)
    assert (ended.attempts[0].finish, limited.attempts[0].finish) == ("eos", "length")


@pytest.mark.usefixtures("weights")
def test_a_schema_leaves_no_malformed_attempt():
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    sampling = Sampling(temperature=1.0, max_tokens=32, schema=json.dumps(schema))
    (reply,) = ask((SUM, 6, 0, sampling))
    whole = [json.loads(a.text) for a in reply.attempts if a.finish == "eos"]
    assert whole
    assert all(isinstance(one["sum"], int) for one in whole)


@pytest.mark.usefixtures("weights")
def test_a_grammar_holds_in_gbnf_and_in_lark_and_trying_one_changes_no_other_attempt():
    gbnf, lark = 'root ::= "sum " [0-9]', 'start: "sum " /[0-9]/'
    said = "%llguidance {}\n" + lark
    free, *held, again = ask(
        (SUM, 2, 0, SHORT),
        *((SUM, 2, 0, replace(SHORT, grammar=g)) for g in (gbnf, lark, said, gbnf)),
        (SUM, 2, 0, SHORT),
    )
    texts = [[a.text for a in reply.attempts] for reply in held]
    assert all(len(text) == 5 and text[:4] == "sum " and text[4].isdigit() for pair in texts for text in pair)
    assert texts[0] == texts[3] and texts[1] == texts[2]
    assert [a.text for a in again.attempts] == [a.text for a in free.attempts]


@pytest.mark.usefixtures("weights")
def test_what_does_not_compile_is_named_instead_of_letting_any_text_through():
    faults = [
        ({"grammar": "root ::= [0-9"}, "grammar 'root ::= [0-9' does not compile as GBNF: "),
        ({"grammar": "root ::= digit"}, "grammar 'root ::= digit' does not compile as GBNF: "),
        (
            {"grammar": "start: /[0-9/"},
            "grammar 'start: /[0-9/' does not compile as Lark (GBNF has rules NAME ::= ...): ",
        ),
        (
            {"grammar": "start: digit"},
            "grammar 'start: digit' does not compile as Lark (GBNF has rules NAME ::= ...): ",
        ),
        ({"schema": '{"type":"nosuch"}'}, """schema '{"type":"nosuch"}' does not compile: """),
        ({"schema": '{"type":"string","pattern":"[a"}'}, "schema "),
    ]

    async def go():
        model = LlamaCpp(SMOLLM2)
        try:
            for constraint, told in faults:
                with pytest.raises(BadInput) as raised:
                    await model.sample(SUM, 1, 0, replace(SHORT, **constraint))
                assert str(raised.value).startswith(f"the {told}") and str(raised.value).endswith("; mend it")
                assert "\n" not in str(raised.value)
        finally:
            await model.close()

    asyncio.run(go())


@pytest.mark.usefixtures("weights")
def test_a_prompt_that_does_not_fit_is_a_recorded_failure_and_the_engine_goes_on():
    long, short = ask(((Message("user", "a " * 4000),), 1, 0, SHORT), (SUM, 1, 0, SHORT))
    assert long.attempts == ()
    assert "context" in long.waste[0].reason
    assert len(short.attempts) == 1


def test_a_wrong_checksum_says_what_to_do(tmp_path):
    (tmp_path / "weights.gguf").write_bytes(b"not these")
    with pytest.raises(Unavailable, match="delete it and run again"):
        check_digest(tmp_path / "weights.gguf", SMOLLM2.gguf_sha256)


@pytest.mark.usefixtures("weights")
def test_log_probabilities_come_with_the_same_attempts_and_a_likely_text_has_a_higher_one():
    greedy = replace(SHORT, temperature=0.0, logprobs=True)
    plain, told, best = ask((SUM, 8, 0, SHORT), (SUM, 8, 0, replace(SHORT, logprobs=True)), (SUM, 1, 0, greedy))
    assert [a.text for a in plain.attempts] == [a.text for a in told.attempts]
    assert {a.logprob for a in plain.attempts} == {None}
    assert all(a.logprob is not None and a.logprob < 0 for a in told.attempts)
    (likely,) = best.attempts
    assert likely.logprob > min(a.logprob for a in told.attempts)
