"""The embedded engine on a tiny model: chats that its own template refuses, and callers that leave."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("gguf")

from studies import Exact
from test_serve import assert_error_shape, body, desk, post, serving
from tiny import CHAT, save_tiny
from tiny_gguf import save_gguf
from toys import PRICES

from trueup.core.asks import Sample
from trueup.core.errors import AskFailed
from trueup.core.ledger import Ledger, read_charges
from trueup.core.roles import Sampled
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Message, Problem, Sampling
from trueup.models import LlamaCpp
from trueup.models.gguf_file import GgufFile
from trueup.run.clerk import Clerk
from trueup.run.driver import Job, run_jobs
from trueup.run.tab import Tab

STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate,\nuser first!') }}{% endif %}{% endfor %}" + CHAT
)
HI = Message("user", "hi")
SHORT = Sampling(max_tokens=4)
REASON = (
    "llama.cpp answered 400: the model's chat template does not take this prompt: Roles must alternate, user first!"
)


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strict")
    saved = save_tiny(folder, 0, template=STRICT, max_position_embeddings=2048)
    return GgufFile.read(save_gguf(saved, folder / "model.gguf"))


def test_a_refused_chat_is_told_in_the_templates_words_and_the_engine_goes_on(strict):
    async def go():
        model = LlamaCpp(strict, threads=1, slots=2)
        try:
            refused, taken = [await model.sample(prompt, 2, 0, SHORT) for prompt in ((HI, HI), (HI,))]
            with pytest.raises(AskFailed) as failed:
                await model.next_token((HI, HI))
        finally:
            await model.close()
        return refused, taken, str(failed.value)

    refused, taken, told = asyncio.run(go())
    assert refused.attempts == () and [(w.kind, w.reason) for w in refused.waste] == [("refused", REASON)]
    assert len(taken.attempts) == 2 and told == REASON


def test_a_refused_chat_is_one_item_on_record_and_the_others_are_sampled(strict, tmp_path):
    problems = [Problem(f"i{i}", "s", (HI, HI) if i == 2 else (HI,), Sampling(max_tokens=4, seed=i)) for i in range(4)]
    jobs = [Job(Stratum("s", (), Exact()), Item(problem, "r", problem.id), 2) for problem in problems]

    async def go(ledger):
        clerk = Clerk(LlamaCpp(strict, threads=1, slots=2), ledger, PRICES)
        try:
            return {pool.item.problem.id: len(pool.attempts) async for pool in run_jobs(iter(jobs), clerk)}
        finally:
            await clerk.close()

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert asyncio.run(go(ledger)) == {"i0": 2, "i1": 2, "i2": 0, "i3": 2}
        assert {total.kind: total.charges for total in ledger.totals()}["refused"] == 1


def test_a_client_whose_chat_the_template_refuses_gets_a_400(strict, tmp_path):
    messages = [{"role": "user", "content": "hi"}] * 2
    with serving(tmp_path, LlamaCpp(strict, threads=1, slots=2), desk("sums")) as url:
        response = post(url, body(messages=messages, max_tokens=4))
    assert response.status_code == 400 and assert_error_shape(response)["message"] == REASON


def test_who_leaves_keeps_the_attempts_that_had_come_and_pays_the_call_under_way(strict, tmp_path):
    """Two slots, n=6: one leaves in its second call, the other has waited for its turn all the while."""
    stratum = Stratum("s", (), Exact())
    long = Sampling(max_tokens=1600, grammar='root ::= "a"{1500}')
    items = [Item(Problem(name, "s", (HI,), replace(long, seed=i)), "r", name) for i, name in enumerate(("in", "out"))]

    async def leave(ledger):
        model = LlamaCpp(strict, threads=1, slots=2)
        clerk = Clerk(model, ledger, PRICES)
        asks = [clerk.answer(Sample((HI,), 6, sampling=one.problem.sampling), Tab(stratum, one)) for one in items]
        try:
            await model.sample((HI,), 1, 0, SHORT)
            calls = count_calls(model)
            works = [asyncio.create_task(ask) for ask in asks]
            while calls.count("/completion") < 3:  # a trial of the grammar, and two calls
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.005)
            for work in reversed(works):
                work.cancel()
            left = await asyncio.gather(*works, return_exceptions=True)
        finally:
            await clerk.close()
        assert [type(one) for one in left] == [asyncio.CancelledError] * 2

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        asyncio.run(leave(ledger))
    charges = sorted(read_charges(tmp_path / "ledger.sqlite"), key=lambda charge: charge.kind)
    assert [(c.kind, c.leads) for c in charges] == [("cancelled", True), ("sampled", True), ("sampled", False)]
    lost, *kept = charges
    assert [charge.reply for charge in kept] == ["a" * 1500] * 2
    assert (lost.prompt_tokens, lost.completion_tokens, lost.is_estimated) == (kept[0].prompt_tokens, None, True)
    assert lost.decode_seconds > 0 and lost.usd


def test_who_leaves_before_anything_is_asked_of_the_engine_has_nothing_to_pay(strict):
    async def leave():
        model = LlamaCpp(strict, threads=1, slots=2)
        async with model._turn:
            work = asyncio.create_task(model.sample((HI,), 2, 0, SHORT))
            await asyncio.sleep(0.01)
            work.cancel()
            with pytest.raises(asyncio.CancelledError) as gone:
                await work
        return gone.value.args

    assert asyncio.run(leave()) == (Sampled(()),)


def count_calls(model):
    """The paths that an engine which has been started is asked from now on, as they come."""
    paths = []

    async def note(request):
        paths.append(request.url.path)

    model._http.event_hooks = {"request": [note]}
    return paths
