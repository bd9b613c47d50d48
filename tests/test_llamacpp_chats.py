"""Chats that a model's own template refuses, on the embedded engine and a tiny model."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("torch")
pytest.importorskip("gguf")

from studies import Exact
from test_serve import assert_error_shape, body, desk, post, serving
from tiny import CHAT, save_tiny
from tiny_gguf import save_gguf
from toys import PRICES

from trueup.core.errors import AskFailed
from trueup.core.ledger import Ledger
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Message, Problem, Sampling
from trueup.models import LlamaCpp
from trueup.models.gguf_file import GgufFile
from trueup.run.clerk import Clerk
from trueup.run.driver import Job, run_jobs

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
    return GgufFile.read(save_gguf(save_tiny(folder, 0, template=STRICT), folder / "model.gguf"))


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
