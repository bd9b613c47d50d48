"""Prompts are paid once for each call of the engine, on the tab as on the ledger; what cannot race does not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from math import ceil

import pytest
from mock_endpoint import MockEndpoint, loopback
from studies import measured
from toys import PRICES, item

from trueup.bench.toy import Whole
from trueup.core.asks import sample
from trueup.core.cost import GPU, TokenPrice
from trueup.core.errors import AskFailed, BadInput
from trueup.core.ledger import Ledger, read_charges
from trueup.core.roles import ModelCard, Sampled, Waste
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Usage
from trueup.methods import vote
from trueup.models import OpenAI
from trueup.models.replay import Recorder, Replay
from trueup.plan.logged import pilot_cost
from trueup.run import Clerk
from trueup.run.driver import answer
from trueup.run.keys import runs
from trueup.run.tab import Tab

SIZES = (1, 16, 17, 40, 128, 130)
PROMPT, TOKENS = 10, 5
PRICED = replace(PRICES, models={"m": TokenPrice(Decimal(1), Decimal(2), Decimal(1))})


class Slots:
    """An engine of so many slots, or of any number: a call takes no more attempts, and reads the prompt anew."""

    def __init__(self, slots, *, billing="cpu"):
        self.slots, self.calls = slots, 0
        self.card = ModelCard("slots", f"slots:{slots}", billing, 1000, 1, 8, per_call=slots)

    async def sample(self, prompt, n, start, sampling):
        most = self.slots or n
        self.calls += ceil(n / most)
        usages = [Usage(PROMPT, TOKENS, 0, 2.0, 1.0, leads=i % most == 0) for i in range(n)]
        return Sampled(tuple(Attempt(start + i, f"{start + i}", "eos", u) for i, u in enumerate(usages)))

    async def close(self):
        pass


def spent(path, model, flow, prices=PRICED):
    """A flow's tab, and the sampled rows' total on a fresh ledger."""

    async def go():
        with Ledger(path) as ledger:
            tab = Tab(Stratum("s", (), Whole()), item())
            await answer(flow(item().problem), tab, Clerk(model, ledger, prices))
            await model.close()
            return tab.cost, next(total for total in ledger.totals() if total.kind == "sampled")

    return asyncio.run(go())


def assert_alike(cost, total):
    assert (cost.prompt_tokens, cost.completion_tokens) == (total.prompt_tokens, total.completion_tokens)
    assert cost.seconds == pytest.approx(total.micros / 1e6, abs=1e-3)
    assert float(cost.usd) == pytest.approx(total.picodollars / 1e12, rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("slots", [16, 128, None])
@pytest.mark.parametrize("n", SIZES)
def test_a_vote_pays_a_prompt_for_every_call_that_its_engine_makes(tmp_path, n, slots):
    model = Slots(slots)
    cost, total = spent(tmp_path / "l", model, lambda problem: vote(problem, n=n))
    assert (cost.calls, cost.prompt_tokens) == (model.calls, PROMPT * model.calls)
    assert model.calls == ceil(n / (slots or n))
    assert_alike(cost, total)


def test_what_a_job_has_paid_for_is_in_no_call_of_its_next_ask(tmp_path):
    def flow(problem):
        yield from sample(problem.prompt, 10)
        yield from sample(problem.prompt, 40)

    cost, total = spent(tmp_path / "l", Slots(16), flow)
    assert (cost.calls, cost.prompt_tokens) == (1 + 2, PROMPT * 3)
    assert_alike(cost, total)


@pytest.mark.parametrize("n", [17, 40])
def test_a_replay_costs_what_was_recorded(tmp_path, n):
    def flow(problem):
        return vote(problem, n=n)

    first = spent(tmp_path / "a", Recorder(Slots(16), tmp_path / "calls.jsonl"), flow)
    again = spent(tmp_path / "b", Replay(tmp_path / "calls.jsonl"), flow)
    assert first == again
    assert_alike(*again)


def test_a_recording_that_does_not_say_how_many_one_call_takes_can_be_gone_on_with(tmp_path):
    path = tmp_path / "calls.jsonl"
    Recorder(Slots(16), path)
    older = path.read_text().replace(', "per_call": 16', "")
    assert "per_call" not in older
    path.write_text(older)
    spent(tmp_path / "l", Recorder(Slots(16), path), lambda problem: vote(problem, n=2))
    with pytest.raises(BadInput, match="choose another file"):
        Recorder(Slots(128), path)


@pytest.mark.parametrize("takes_n", ["yes", "rejects"])
@pytest.mark.parametrize("n", [40, 128, 130])
def test_the_tab_at_an_endpoint_is_what_it_was_asked(tmp_path, n, takes_n):
    endpoint = MockEndpoint(takes_n=takes_n)
    with loopback(endpoint.app) as root:
        cost, total = spent(tmp_path / "l", OpenAI(f"{root}/v1", "m"), lambda problem: vote(problem, n=n))
    assert len(endpoint.served) == (ceil(n / 128) if takes_n == "yes" else n) == cost.calls
    assert (cost.prompt_tokens, cost.completion_tokens) == endpoint.truth()
    assert_alike(cost, total)


def test_the_embedded_engines_tab_is_its_ledgers(tmp_path):
    pytest.importorskip("xllamacpp")
    pytest.importorskip("gguf")
    pytest.importorskip("torch")
    from tiny import save_tiny
    from tiny_gguf import save_gguf

    from trueup.models.gguf_file import GgufFile
    from trueup.models.llamacpp import LlamaCpp

    model = LlamaCpp(GgufFile.read(save_gguf(save_tiny(tmp_path / "m", 0), tmp_path / "m.gguf")), threads=1, slots=4)
    cost, total = spent(tmp_path / "l", model, lambda problem: vote(problem, n=10))
    assert cost.calls == 3
    assert_alike(cost, total)


@pytest.mark.parametrize(("takes_n", "prompts"), [(True, 3), (False, 5)])
def test_a_pilot_pays_a_prompt_for_every_call_that_it_takes(takes_n, prompts):
    study = measured(["r" * 5], {"once": "r"})
    usage = Usage(PROMPT, TOKENS, takes_n=takes_n)
    attempts = tuple(replace(attempt, usage=usage) for attempt in study.pools[0].attempts)
    pools = (replace(study.pools[0], attempts=attempts),)
    told = pilot_cost(replace(study, pools=pools), 5, Slots(2).card, PRICES, "tokens")
    assert told.tolist() == [PROMPT * prompts + TOKENS * 5]


@pytest.mark.parametrize(("billing", "calls"), [("cpu", 2), (GPU, 2), ("m", 8)])
def test_only_what_is_bought_races(tmp_path, billing, calls):
    """On this machine one worker serves all calls: those that wait have begun nothing, and cost nothing."""

    def flow(problem):
        return (yield from sample(problem.prompt, 8, until=lambda attempts: len(attempts) >= 2))

    cost, total = spent(tmp_path / "l", Slots(None, billing=billing), flow, replace(PRICED, gpu_hour=Decimal(1)))
    assert (cost.calls, cost.prompt_tokens) == (calls, calls * PROMPT)
    if billing != "m":
        assert_alike(cost, total)


class Halting(Slots):
    """An engine whose calls lack so many of their last choices, which may be all of them."""

    def __init__(self, lost):
        super().__init__(None, billing="m")
        self.lost = lost

    async def sample(self, prompt, n, start, sampling):
        came = (await super().sample(prompt, n, start, sampling)).attempts
        kept = came[: n - self.lost]
        lead = [] if kept else [Waste("failed", "cut off", PROMPT, TOKENS)]
        rest = [Waste("failed", "cut off", 0, TOKENS)] * (self.lost - len(lead))
        return Sampled(kept, (*lead, *rest))


@pytest.mark.parametrize("lost", [1, 3, 4])
def test_choices_that_fail_within_one_call_are_no_calls_of_their_own(tmp_path, lost):
    async def go():
        with Ledger(tmp_path / "l") as ledger:
            tab, model = Tab(Stratum("s", (), Whole()), item()), Halting(lost)
            with suppress(AskFailed):
                await answer(sample(item().problem.prompt, 4), tab, Clerk(model, ledger, PRICED))
            return tab.cost, model.calls

    cost, calls = asyncio.run(go())
    rows = list(read_charges(tmp_path / "l"))
    assert (cost.calls, sum(row.leads for row in rows)) == (calls, calls) == (1, 1)
    assert (cost.prompt_tokens, cost.completion_tokens) == (PROMPT, 4 * TOKENS)
    assert cost.usd == sum(row.usd for row in rows) == Decimal(PROMPT + 2 * 4 * TOKENS) / 10**6


def test_a_failed_call_that_tells_no_use_is_a_call(tmp_path):
    class Down(Slots):
        async def sample(self, prompt, n, start, sampling):
            return Sampled((), (Waste("failed", "500"),))

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            tab = Tab(Stratum("s", (), Whole()), item())
            with pytest.raises(AskFailed):
                await answer(sample(item().problem.prompt, 4), tab, Clerk(Down(None), ledger, PRICED))
            return tab.cost.calls

    assert asyncio.run(go()) == 1
    assert [row.leads for row in read_charges(tmp_path / "l")] == [True]


def test_runs_are_no_longer_than_they_may_be():
    assert runs([0, 1, 2, 4, 5, 6, 7, 8], 2) == [(0, 2), (2, 1), (4, 2), (6, 2), (8, 1)]
    assert runs([0, 1, 2, 4], 1) == [(0, 1), (1, 1), (2, 1), (4, 1)]
    assert runs([0, 1, 2, 4]) == [(0, 3), (4, 1)]
