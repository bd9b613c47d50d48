"""How many tokens each choice of a call has, and what its log-probabilities may then be used for."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from math import exp, log
from statistics import fmean
from typing import Any

import httpx
import pytest

from trueup.core.types import Attempt, Message, Problem, Sampling, Usage
from trueup.methods.probability_vote import chances, probability_vote
from trueup.models import SMOLLM2, LlamaCpp
from trueup.models.completion import Completion, read_completion
from trueup.models.tokens import by_likelihood, drawn_logprob, share

ENDED = [("7", [0.5, 1.0]), ("forty-two thousand", [0.3, 1.0]), ("", [0.02]), ("7", [0.5, 1.0])]
"""Texts and the chances of their tokens, the end among them."""


def choice(place: int, text: str, chances: list[float], finish: str = "stop", **said: str) -> dict[str, Any]:
    told = [{"token": "t", "logprob": log(p)} for p in chances]
    message = {"role": "assistant", "content": text, **said}
    return {"index": place, "message": message, "finish_reason": finish, "logprobs": {"content": told}}


def read(choices: list[dict[str, Any]], tokens: int) -> Completion:
    usage = {"prompt_tokens": 10, "completion_tokens": tokens}
    return read_completion({"choices": choices, "usage": usage}, len(choices), 0, 0.0)


def counts(completion: Completion) -> list[int | None]:
    return [attempt.usage.completion_tokens for attempt in completion.attempts]


def test_where_log_probabilities_add_up_they_tell_the_counts_and_a_text_its_chance() -> None:
    told = read([choice(place, text, p) for place, (text, p) in enumerate(ENDED)], 7)
    assert counts(told) == [2, 2, 1, 2]
    assert chances(told.attempts) == pytest.approx({"7": 0.5, "forty-two thousand": 0.3, "": 0.02})


def test_an_end_that_is_counted_and_not_told_is_a_token_and_certain() -> None:
    """Of three texts the first two ended; the third was cut at the limit."""
    choices = [choice(0, "7", [0.5]), choice(1, "forty two", [0.5, 0.6]), choice(2, "and so on", [0.1] * 3, "length")]
    told = read(choices, 8)
    assert counts(told) == [2, 3, 3]
    assert chances(told.attempts) == pytest.approx({"7": 0.5, "forty two": 0.3, "and so on": 0.001})
    (alone,) = read(choices[:1], 2).attempts
    assert (alone.usage, alone.logprob) == (replace(told.attempts[0].usage), told.attempts[0].logprob)


def test_an_empty_reply_of_which_nothing_is_told_has_its_end_alone() -> None:
    told = read([choice(0, "7", [0.5]), choice(1, "", [])], 3)
    assert counts(told) == [2, 1] and told.attempts[1].logprob is None
    assert chances(told.attempts) == {}


def test_a_split_that_nothing_bears_out_tells_no_chance() -> None:
    """Hidden reasoning: twenty tokens, of which six are told."""
    told = read([choice(0, "7", [0.5, 1.0]), choice(1, "forty-two", [0.3, 0.9, 1.0, 1.0])], 20)
    assert counts(told) == [7, 13]
    assert chances(told.attempts) == {} and {attempt.logprob for attempt in told.attempts} == {None}


def test_a_single_choice_has_all_the_tokens_and_the_mean_of_those_told() -> None:
    (attempt,) = read([choice(0, "7", [0.25, 1.0])], 20).attempts
    assert attempt.usage.completion_tokens == 20 and attempt.logprob == pytest.approx(log(0.5))


def test_a_count_below_the_tokens_told_is_not_of_all_choices() -> None:
    told = read([choice(0, "7", [0.5, 1.0]), choice(1, "8", [0.5, 1.0])], 2)
    assert counts(told) == [None, None] and not told.is_total


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_untold_tokens_are_shared_by_reasoning_too(name: str) -> None:
    choices = [choice(0, "a" * 10, [], **{name: "r" * 70}), choice(1, "a" * 20, [])]
    assert counts(read(choices, 50)) == [40, 10]
    choices[0]["message"] |= {"reasoning_content": "r" * 70, "reasoning": "r" * 70}
    assert counts(read(choices, 50)) == [40, 10]


def test_thoughts_that_were_cut_before_any_answer_share_by_their_length() -> None:
    choices = [choice(place, "", [], "length", reasoning="r" * length) for place, length in enumerate((100, 300))]
    assert counts(read(choices, 400)) == [100, 300]


def test_a_total_is_shared_in_proportion_and_adds_up() -> None:
    assert share(7, [30, 10, 0], "") == [5, 2, 0]
    assert sorted(share(5, [0, 0], "")) == [2, 3]
    for lot in "abc":
        assert share(11, [3, 1, 4, 1, 5], lot) == share(11, [3, 1, 4, 1, 5], lot)
        assert sum(share(11, [1] * 7, lot)) == 11


def test_what_is_left_over_goes_to_no_place_in_particular() -> None:
    """35 tokens for 16 texts of one length are 35/16 each, whichever place a text has; one more goes to 3 of 16."""
    parts = [share(35, [1] * 16, str(lot)) for lot in range(4000)]
    means = [fmean(part[place] for part in parts) for place in range(16)]
    assert means == pytest.approx([35 / 16] * 16, abs=0.03)


def test_a_reply_is_shared_alike_whenever_it_is_read() -> None:
    choices = [choice(place, str(place), []) for place in range(8)]
    assert counts(read(choices, 11)) == counts(read(choices, 11))


def test_texts_of_no_tokens_tell_no_chance() -> None:
    """Such a count was some share of a total, for even an empty text has its end."""
    whole = Attempt(0, "7", "stop", Usage(10, 2), "7", log(0.5))
    assert chances((whole, Attempt(1, "", "stop", Usage(10, 0), None, log(0.02)))) == {}


@pytest.mark.parametrize("seed", range(20))
def test_a_vote_is_the_same_whether_the_endpoint_takes_n_or_not(seed: int) -> None:
    """Two likely answers in as many tokens, of different lengths, empty replies and a tail, drawn by index."""
    drawn = [("4", 0.35, 2), ("forty", 0.4, 2), ("", 0.05, 1), *((str(k), 0.02, 3) for k in range(100, 110))]
    texts = [
        random.Random(f"{seed} {index}").choices(drawn, weights=[p for _, p, _ in drawn])[0] for index in range(64)
    ]

    def call(start: int, n: int) -> list[Attempt]:
        made = [
            choice(place, text, [p, *[1.0] * (size - 1)])
            for place, (text, p, size) in enumerate(texts[start : start + n])
        ]
        told = read(made, sum(size for _, _, size in texts[start : start + n])).attempts
        return [replace(a, index=start + a.index, answer=a.text or None) for a in told]

    def vote(at_once: int) -> Any:
        flow = probability_vote(Problem("p", "s", (Message("user", "q"),), Sampling(1.0, logprobs=True)), n=64)
        ask: Any = next(flow)
        try:
            while True:
                starts = range(ask.start, ask.start + ask.n, at_once)
                calls = [call(start, min(at_once, ask.start + ask.n - start)) for start in starts]
                ask = flow.send(tuple(attempt for one in calls for attempt in one))
        except StopIteration as end:
            return end.value

    assert vote(64) == vote(1)


# what a token was drawn with


@pytest.mark.parametrize("temperature", [0.1, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("told", [0, 1, 5])
def test_a_token_is_never_told_to_be_likelier_than_it_was_drawn(temperature: float, told: int) -> None:
    """Whether the likeliest are told without it, or it in place of the last of them, as some servers do."""
    dice = random.Random(told)
    for _ in range(300):
        size = dice.choice([2, 3, 40])
        logits = sorted((dice.gauss(0, dice.choice([0.5, 2, 5])) for _ in range(size)), reverse=True)
        whole = sum(map(exp, logits))
        before = [logit - log(whole) for logit in logits]
        own = dice.choice(before)
        drawn = own / temperature - log(sum(exp(one / temperature) for one in before))
        in_place = [own, *(one for one in before if one != own)]
        for likeliest in (before[:told], in_place[:told]):
            found = drawn_logprob(own, likeliest, temperature)
            assert found is not None and found < drawn + 1e-9
            if told >= size:
                assert found == pytest.approx(drawn)


def test_five_of_fifty_thousand_tokens_tell_nearly_all() -> None:
    """Chances as of Zipf's law with a leader of a half: at 0.8 the leader is told .15 below in logarithms."""
    tail = [1 / rank for rank in range(1, 50_001)]
    before = [log(0.5), *(log(0.5 * one / sum(tail)) for one in tail)]
    exact = before[0] / 0.8 - log(sum(exp(one / 0.8) for one in before))
    five, none = drawn_logprob(before[0], before[:5], 0.8), drawn_logprob(before[0], [], 0.8)
    assert five is not None and none is not None
    assert exact - 0.16 < five < exact and none == pytest.approx(log(0.5))


def test_at_temperature_1_nothing_changes_at_0_the_token_is_certain_and_above_1_nobody_knows() -> None:
    assert drawn_logprob(-0.7, [], 1.0) == -0.7
    assert drawn_logprob(-0.7, [-0.9], 0.0) == 0.0
    assert drawn_logprob(-0.7, [-0.7, -0.7], 1.2) is None
    assert drawn_logprob(-1e39, [0.0, -1e39], 0.5) == pytest.approx(-2e39)


def test_of_tokens_that_look_alike_the_likelier_is_kept_and_the_likeliest_comes_first() -> None:
    told = by_likelihood([("b", -2.0), ("?", -9.0), ("a", -0.1), ("?", -1.0), ("?", -3.0)])
    assert list(told.items()) == [("a", -0.1), ("?", -1.0), ("b", -2.0)]


def test_the_embedded_engine_keeps_the_likelier_of_tokens_that_look_alike() -> None:
    pytest.importorskip("xllamacpp")
    top = [{"token": text, "logprob": told} for text, told in (("?", -0.1), ("a", -3.0), ("?", -7.0))]

    def answer(request: httpx.Request) -> httpx.Response:
        told = {
            "/apply-template": {"prompt": "q"},
            "/completion": {"completion_probabilities": [{"top_logprobs": top}]},
        }
        return httpx.Response(200, json=told[request.url.path])

    async def foretell() -> Any:
        model = LlamaCpp(SMOLLM2, threads=1)
        model._http = httpx.AsyncClient(base_url="http://engine", transport=httpx.MockTransport(answer))
        try:
            return await model.next_token((Message("user", "q"),), 3)
        finally:
            await model.close()

    assert asyncio.run(foretell()) == {"?": -0.1, "a": -3.0}
