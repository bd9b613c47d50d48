"""A method that withholds a doubtful answer says nothing: a study counts it so, and a client is sent nothing."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from toys import PRICES, item

from trueup.arms import make_arm
from trueup.bench.toy import Whole
from trueup.core.ledger import Ledger
from trueup.core.outcome import Measured
from trueup.core.stratum import Stratum
from trueup.core.types import Grade, Message
from trueup.models.toy import Toy
from trueup.plan.measure import measure
from trueup.plan.policy import Policy, PolicyStratum
from trueup.run import Clerk, Job, run_job

pytest.importorskip("starlette")
from trueup.serve import Desk, create_app

DOUBTFUL = ["lookahead_vote n=8 abstain_below=0.99", "probability_vote n=8 abstain_below=0.99"]


class Never:
    """A check that nothing passes."""

    name, needs_reference = "never", False

    def read(self, text):
        return text

    def check(self, answer, problem, reference):
        return Grade(0.0)


@pytest.fixture
def clerk(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as book:
        yield Clerk(Toy(0.5), book, PRICES)


def served(words, clerk):
    """The choice that a client is sent, whole and in pieces, and the note beside it."""

    async def ask():
        arm = make_arm(words)
        desk = Desk(Stratum("s", (), Whole(), Never()), arm, lambda question: (Message("user", question),))
        policy = Policy("p", "toy:0.5", "toy:0.5", 0.9, "2026-01-01", {}, (PolicyStratum("s", arm.method, {}, {}),))
        body = {"model": "p", "messages": [{"role": "user", "content": "q"}], "seed": 0}
        app = httpx.ASGITransport(app=create_app(policy, {"s": desk}, clerk, first_seed=0))
        async with httpx.AsyncClient(transport=app, base_url="http://x") as client:
            reply = await client.post("/v1/chat/completions", json=body)
            streamed = await client.post("/v1/chat/completions", json=body | {"stream": True})
        (choice,) = reply.json()["choices"]
        return choice, streamed.text, reply.headers["x-trueup-note"]

    return asyncio.run(ask())


@pytest.mark.parametrize("words", DOUBTFUL)
def test_a_study_counts_a_withheld_answer_as_an_abstention(words, clerk):
    items, arm = tuple(item(f"q{i}") for i in range(6)), make_arm(words)
    stratum = Stratum("s", items, Whole())
    outcomes = tuple(asyncio.run(run_job(Job(stratum, one, arm), clerk)) for one in items)
    (point,) = measure(Measured(stratum, (arm,), (), outcomes))
    assert (point.abstained, point.unparsable, point.decided.count, point.failures) == (6, 0, 0, 0)


@pytest.mark.parametrize("words", DOUBTFUL)
def test_a_client_is_sent_what_any_abstention_sends(words, clerk):
    choice, streamed, note = served(words, clerk)
    other, other_streamed, _ = served("reset_and_discard n=4", clerk)
    assert choice == other and choice["message"]["content"] == "" and choice["finish_reason"] == "stop"
    assert "right" not in streamed.split(": trueup")[0] and streamed.count("data: ") == other_streamed.count("data: ")
    assert "right with" in note and note.endswith("% only")
