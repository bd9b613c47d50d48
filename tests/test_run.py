"""The clerk and the driver: what is asked is charged once, and priced as if it ran alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from toys import PRICES, Ending, item

from trueup import methods
from trueup.arms import make_arm
from trueup.bench.toy import Whole, toy_item
from trueup.catalog import METHODS
from trueup.core.asks import Sample, judge, rate, sample
from trueup.core.cost import Prices, TokenPrice, sample_cost
from trueup.core.errors import AskFailed, BadInput, TrueupError
from trueup.core.ledger import Ledger, read_charges, verify
from trueup.core.roles import ModelCard, Sampled, Waste
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Attempt, Grade, Message, Sampling, Usage
from trueup.models import Recorder, Replay, Sealed
from trueup.models.toy import TOKENS, Toy
from trueup.run import Clerk, Job, Tab, answer, collect, run_job
from trueup.run.batch import run_batch

ONCE = Arm("once", {}, methods.once)
VOTE = Arm("vote", {"n": 4}, lambda problem: methods.vote(problem, n=4))


class Oracle(Whole):
    """A verifier that cannot do without the reference."""

    needs_reference = True

    def check(self, answer, problem, reference):
        return Grade(float(answer == reference))


class Broken:
    """Fails every other call, and says what it cost."""

    def __init__(self):
        self.calls = 0
        self.card = ModelCard("broken", "broken:1", "unpriced-model")

    async def sample(self, prompt, n, start, sampling):
        self.calls += 1
        if self.calls % 2:
            return Sampled((), (Waste("retried", "429"), Waste("failed", "500 from upstream", 7, None)))
        return Sampled(tuple(Attempt(start + i, "right", "stop", Usage(5, 1)) for i in range(n)))

    async def close(self):
        pass


def run(tmp_path, model, work, *, name="l"):
    async def go():
        with Ledger(tmp_path / name) as ledger:
            clerk = Clerk(model, ledger, PRICES)
            return await work(clerk), clerk.fresh_calls

    return asyncio.run(go())


def test_a_second_run_answers_from_the_ledger_without_a_call(tmp_path):
    stratum = Stratum("toy", tuple(toy_item(i) for i in range(20)), Whole(), Whole())
    work = lambda clerk: collect([stratum], {"toy": [ONCE, VOTE]}, 8, clerk, lanes=4)  # noqa: E731
    first, calls = run(tmp_path, Toy(0.5), work)
    again, none = run(tmp_path, Toy(0.5), work)
    assert (calls, none) == (20, 0)
    assert [o.answer for o in first[0].outcomes] == [o.answer for o in again[0].outcomes]
    assert [o.cost.completion_tokens for o in first[0].outcomes] == [
        o.cost.completion_tokens for o in again[0].outcomes
    ]
    assert verify(tmp_path / "l").discrepancies == ()


def test_arms_share_samples_in_the_ledger_but_each_is_priced_alone(tmp_path):
    stratum = Stratum("toy", (toy_item(1),), Whole(), Whole())
    (measured,), _ = run(tmp_path, Toy(0.5), lambda c: collect([stratum], {"toy": [ONCE, VOTE]}, 8, c, lanes=1))
    sampled = [c for c in read_charges(tmp_path / "l") if c.kind == "sampled"]
    assert len(sampled) == 8
    assert sum(c.leads for c in sampled) == 1
    once, vote = measured.outcomes
    assert (once.cost.prompt_tokens, once.cost.completion_tokens) == (TOKENS, TOKENS)
    assert (vote.cost.prompt_tokens, vote.cost.completion_tokens) == (TOKENS, 4 * TOKENS)


def test_the_same_attempt_comes_from_one_call_of_eight_or_eight_of_one(tmp_path):
    job = Job(Stratum("toy", (), Whole()), toy_item(3), 8)
    whole, _ = run(tmp_path, Toy(0.5), lambda clerk: run_job(job, clerk), name="a")

    async def piecewise(clerk):
        arm = Arm("pieces", {}, lambda p: _pieces(p))
        return (await run_job(Job(job.stratum, job.item, arm), clerk)).answer.text

    pieces, _ = run(tmp_path, Toy(0.5), piecewise, name="b")
    assert pieces.split() == [a.text for a in whole.attempts]


def _pieces(problem):
    texts = []
    for start in range(8):
        (attempt,) = yield from sample(problem.prompt, start=start)
        texts.append(attempt.text)
    return Answer(" ".join(texts), "x")


def test_flows_that_ask_the_same_at_once_pay_once(tmp_path):
    twins = [Job(Stratum("toy", (), Whole()), toy_item(1), 8) for _ in range(5)]

    async def go(clerk):
        return await asyncio.gather(*(run_job(job, clerk) for job in twins))

    pools, calls = run(tmp_path, Toy(0.5), go)
    assert calls == 1
    assert len({tuple(a.text for a in pool.attempts) for pool in pools}) == 1


def test_a_failed_ask_is_a_failure_on_record_and_its_waste_a_charge(tmp_path):
    job = Job(Stratum("s", (), Oracle()), item(), ONCE)
    outcome, _ = run(tmp_path, Broken(), lambda clerk: run_job(job, clerk))
    assert outcome.answer is None
    assert "500 from upstream" in outcome.failure
    assert not outcome.grade.is_right
    kinds = {c.kind: (c.prompt_tokens, c.completion_tokens, c.usd) for c in read_charges(tmp_path / "l")}
    assert kinds == {"retried": (None, None, None), "failed": (7, None, None)}


def test_a_failure_is_tried_again_by_the_next_run(tmp_path):
    model = Broken()
    job = Job(Stratum("s", (), Oracle()), item(), ONCE)
    run(tmp_path, model, lambda clerk: run_job(job, clerk))
    outcome, _ = run(tmp_path, model, lambda clerk: run_job(job, clerk))
    assert outcome.failure is None
    assert outcome.grade.is_right


class Refusing(Broken):
    """Finds fault with every request, twice a call."""

    def __init__(self, why="400 too long"):
        super().__init__()
        self.waste = (Waste("refused", why, 0, 0),) * 2

    async def sample(self, prompt, n, start, sampling):
        return Sampled((), self.waste)


def collected(tmp_path, model):
    """The failures of two arms on two items, and the calls that were made for them."""
    stratum = Stratum("s", (item("a"), item("b")), Oracle())
    (measured,), calls = run(tmp_path, model, lambda clerk: collect([stratum], {"s": [ONCE, VOTE]}, 8, clerk, lanes=1))
    return {outcome.failure for outcome in measured.outcomes}, calls


def test_what_was_refused_is_not_asked_again_by_another_arm_but_by_the_next_run(tmp_path):
    told = [collected(tmp_path, Refusing()) for _ in range(3)]
    assert told == [({"400 too long"}, 2)] * 3
    assert [c.kind for c in read_charges(tmp_path / "l")] == ["refused"] * 12
    assert verify(tmp_path / "l").discrepancies == ()


def test_a_refusal_is_over_once_who_refused_is_mended_and_until_then_the_last_one_is_told(tmp_path):
    sealed = Sealed(Refusing().card, all_was_asked=True)
    for why in ("400 key not valid", "400 no chat template"):
        assert collected(tmp_path, Refusing(why)) == ({why}, 2)
        assert collected(tmp_path, sealed)[0] == {why}
    mended = Numbered()
    mended.card = Refusing().card
    assert collected(tmp_path, mended) == ({None}, 2)


def test_a_request_is_not_refused_for_what_an_earlier_one_was(tmp_path):
    class Once(Broken):
        async def sample(self, prompt, n, start, sampling):
            self.calls += 1
            refused = Sampled((), (Waste("refused", "400 too long"),))
            return refused if self.calls == 1 else Sampled((Attempt(start, "right", "stop", Usage(5, 1)),))

    async def serve(clerk):
        job = Job(Stratum("s", (), Oracle()), item(), ONCE)
        return [(await run_job(job, clerk.fork())).failure for _ in range(2)]

    assert run(tmp_path, Once(), serve)[0] == ["400 too long", None]


class Crashing(Whole):
    """A verifier with a bug."""

    def check(self, answer, problem, reference):
        raise ZeroDivisionError("by zero")


def test_a_verifier_that_breaks_is_a_failure_on_record_and_the_samples_are_kept(tmp_path):
    job = Job(Stratum("toy", (), Crashing()), toy_item(1), ONCE)
    outcome, _ = run(tmp_path, Toy(1.0), lambda clerk: run_job(job, clerk))
    assert outcome.failure == "verifier 'whole' could not check 'right': ZeroDivisionError: by zero"
    assert [c.kind for c in read_charges(tmp_path / "l")] == ["sampled", "failed"]


class Endless(Whole):
    """A verifier that never comes back."""

    def check(self, answer, problem, reference):
        while True:
            pass


def test_a_verifier_that_hangs_is_a_failure_on_record(tmp_path, monkeypatch):
    monkeypatch.setattr("trueup.run.clerk.VERIFIER_SECONDS", 0.05)
    job = Job(Stratum("toy", (), Endless()), toy_item(1), ONCE)
    outcome, _ = run(tmp_path, Toy(1.0), lambda clerk: run_job(job, clerk))
    assert outcome.failure == "verifier 'whole' could not check 'right': TimeoutError: took longer than 0.05 s"


class Partly(Whole):
    """A verifier that breaks on some texts."""

    def read(self, text):
        if text == "3":
            raise ZeroDivisionError("by zero")
        return text


def test_what_failed_costs_what_was_paid_until_then_at_once_and_when_it_is_run_again(tmp_path):
    job = Job(Stratum("s", (), Partly()), item(), Arm("two", {}, lambda p: _in_parts(p, (0, 2), (0, 4))))
    first, _ = run(tmp_path, Numbered(), lambda clerk: run_job(job, clerk))
    again, calls = run(tmp_path, Numbered(), lambda clerk: run_job(job, clerk))
    pool, _ = run(tmp_path, Numbered(), lambda clerk: run_job(replace(job, work=4), clerk))
    assert first.failure.endswith("could not read '3': ZeroDivisionError: by zero")
    assert (first.cost, calls) == (again.cost, 0)
    assert (first.cost.calls, first.cost.prompt_tokens, first.cost.completion_tokens) == (2, 20, 20)
    assert (pool.failure, pool.cost.prompt_tokens, pool.cost.completion_tokens) == (first.failure, 10, 20)


class Numbered:
    """Attempt i says i, but for those that it lacks, of which each call tells what was tried."""

    def __init__(self, *lacks, billing="paid", waste=()):
        self.lacks, self.waste, self.card = lacks, waste, ModelCard("numbered", f"numbered:{billing}", billing)

    async def sample(self, prompt, n, start, sampling):
        kept = [i for i in range(start, start + n) if i not in self.lacks]
        attempts = tuple(Attempt(i, f"{i}", "stop", Usage(10, 5, 4, leads=i == kept[0])) for i in kept)
        return Sampled(attempts, self.waste if len(kept) < n else ())

    async def close(self):
        pass


def _in_parts(problem, *parts, until=None):
    """So many attempts from there on, part by part."""
    for start, n in parts:
        attempts = yield from sample(problem.prompt, n, start=start, until=until)
    return Answer.of(attempts[0])


PRICED = replace(PRICES, models={"paid": TokenPrice(Decimal(1), Decimal(1), Decimal("0.5"))})


def priced(tmp_path, model, flow, *, times=1):
    """What a flow's job costs, each time."""

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            job = Job(Stratum("s", (), Whole()), item(), Arm("m", {}, flow))
            return [(await run_job(job, Clerk(model, ledger, PRICED))).cost for _ in range(times)]

    return asyncio.run(go())


def test_a_call_that_failed_is_on_the_tab_of_the_job_each_time_and_one_that_was_repeated_on_the_ledger_alone(tmp_path):
    model = Numbered(3, waste=(Waste("retried", "429", 100, 50), Waste("failed", "500", 30, 7)))
    first, second = priced(tmp_path, model, lambda problem: methods.vote(problem, n=4), times=2)
    assert first == second
    assert (first.calls, first.prompt_tokens, first.completion_tokens) == (2, 10 + 30, 3 * 5 + 7)
    kinds = [c.kind for c in read_charges(tmp_path / "l")]
    assert (kinds.count("failed"), kinds.count("retried")) == (2, 2)


def test_a_failed_call_of_unknown_use_does_not_make_the_price_of_the_others_unknown(tmp_path):
    model = Numbered(3, waste=(Waste("failed", "timed out", seconds=2.0),))
    (cost,) = priced(tmp_path, model, lambda problem: methods.vote(problem, n=4))
    assert (cost.prompt_tokens, cost.completion_tokens, cost.seconds) == (10, 15, 2.0)
    assert cost.usd == Decimal(6 + 2 + 15) / 1_000_000


def test_a_job_pays_for_an_attempt_once_and_for_the_prompt_of_every_call_that_it_would_make(tmp_path):
    for place, (parts, paid) in enumerate(
        {
            ((0, 4), (0, 4)): (10, 20, 1),
            ((0, 4), (0, 8)): (20, 40, 2),
            ((2, 2), (0, 6)): (30, 30, 3),
            ((0, 8), (2, 3)): (10, 40, 1),
        }.items()
    ):
        folder = tmp_path / str(place)
        folder.mkdir()
        alone, again = priced(folder, Numbered(), lambda problem, parts=parts: _in_parts(problem, *parts), times=2)
        assert alone == again
        assert (alone.prompt_tokens, alone.completion_tokens, alone.calls) == paid
        sampled = [c for c in read_charges(folder / "l") if c.kind == "sampled"]
        assert sum(c.prompt_tokens for c in sampled if c.leads) == alone.prompt_tokens
        assert sum(c.usd for c in sampled) == alone.usd


def test_a_race_makes_no_call_for_attempts_that_its_job_has_paid_for(tmp_path):
    for place, (bought, calls, tokens) in enumerate([(1, 1 + 3, 4 * 5), (2, 1, 2 * 5), (3, 1, 3 * 5)]):
        folder = tmp_path / str(place)
        folder.mkdir()

        def flow(problem, bought=bought):
            yield from sample(problem.prompt, bought)
            attempts = yield from sample(problem.prompt, 4, until=has_two)
            return Answer.of(attempts[0])

        (cost,) = priced(folder, Numbered(), flow)
        assert (cost.calls, cost.prompt_tokens, cost.completion_tokens) == (calls, 10 * calls, tokens)


class Longest:
    """A reward model that likes length, and counts how often it is asked."""

    fingerprint = "longest:1"
    calls = 0

    async def rate(self, problem, texts):
        self.calls += 1
        return [min(1.0, len(text) / 10) for text in texts]

    async def close(self):
        pass


def _rated(problem):
    attempts = yield from sample(problem.prompt, 2)
    said = yield from judge(problem.prompt, start=5)
    ratings = yield from rate(problem, [a.text for a in attempts])
    return Answer(f"{ratings} {said[0].answer}", "right")


def test_ratings_and_judges_texts_are_charged_by_kind_and_found_again(tmp_path):
    rater = Longest()
    job = Job(Stratum("toy", (), Whole(), rater=rater), toy_item(1), Arm("rated", {}, _rated))
    first, _ = run(tmp_path, Toy(1.0), lambda clerk: run_job(job, clerk))
    again, calls = run(tmp_path, Toy(1.0), lambda clerk: run_job(job, clerk))
    assert (first.answer.text, calls, rater.calls) == ("(0.5, 0.5) None", 0, 1)
    assert again.answer == first.answer
    assert [c.kind for c in read_charges(tmp_path / "l")] == ["sampled", "sampled", "judge", "rated", "evaluation"]
    assert first.cost.completion_tokens == 3 * TOKENS


def _continued(problem):
    (attempt,) = yield from sample((*problem.prompt, Message("assistant", "not ")))
    return Answer.of(attempt)


def test_the_answer_of_a_continued_turn_is_read_out_of_the_whole_turn(tmp_path):
    job = Job(Stratum("toy", (), Whole()), toy_item(1), Arm("continued", {}, _continued))
    outcome, _ = run(tmp_path, Toy(1.0), lambda clerk: run_job(job, clerk))
    assert (outcome.answer.text, outcome.answer.value) == ("right", "not right")


def test_a_check_without_a_reference_free_verifier_marks_the_outcome_an_oracle(tmp_path):
    best = Arm("best_of_n", {"n": 2}, lambda p: methods.best_of_n(p, n=2))
    with_check = Job(Stratum("toy", (), Oracle(), Whole()), toy_item(1), best)
    without = Job(Stratum("toy", (), Oracle()), toy_item(1), best)
    checked, _ = run(tmp_path, Toy(0.5), lambda clerk: run_job(with_check, clerk))
    oracle, _ = run(tmp_path, Toy(0.5), lambda clerk: run_job(without, clerk))
    assert (checked.is_oracle, oracle.is_oracle) == (False, True)


def test_an_arm_that_may_come_to_such_a_check_is_an_oracle_though_on_no_item_here_it_did(tmp_path):
    arms = {"toy": [make_arm("best_of_majority n=4 share=0.3"), VOTE]}

    def flags(check):
        work = lambda clerk: collect([Stratum("toy", (toy_item(1),), Oracle(), check)], arms, 4, clerk, lanes=1)  # noqa: E731
        (measured,), _ = run(tmp_path, Toy(1.0), work)
        return [outcome.is_oracle for outcome in measured.outcomes]

    assert (flags(None), flags(Whole())) == ([True, False], [False, False])


def test_what_failed_before_is_missing_where_no_model_is_asked_and_what_never_was_asked_is_an_error(tmp_path):
    model, job = Numbered(3, waste=(Waste("failed", "500"),)), Job(Stratum("s", (), Whole()), item(), 4)
    first, _ = run(tmp_path, model, lambda clerk: run_job(job, clerk))
    again, _ = run(tmp_path, Sealed(model.card, all_was_asked=True), lambda clerk: run_job(job, clerk))
    assert [attempt.index for attempt in first.attempts] == [0, 1, 2]
    assert (again.attempts, again.grades) == (first.attempts, first.grades)
    with pytest.raises(BadInput, match="lacks some samples of this study"):
        run(tmp_path, Sealed(model.card), lambda clerk: run_job(job, clerk))


class Lasting:
    """Attempts that say `a`, and no call beyond the first four attempts that succeeds."""

    def __init__(self):
        self.card = ModelCard("lasting", "lasting:1", "unpriced-model")

    async def sample(self, prompt, n, start, sampling):
        if start >= 4:
            return Sampled((), (Waste("failed", "500 from upstream", 10, 0),))
        return Sampled(tuple(Attempt(start + i, "a", "stop", Usage(10, 1)) for i in range(n)))

    async def close(self):
        pass


@pytest.mark.parametrize("label", ["early_stop_vote n=8 window=4", "greedy_allocate budget=8"])
def test_a_method_answers_from_the_attempts_that_came_before_a_call_failed(tmp_path, label):
    arm, one = make_arm(label), item()

    def work(clerk):
        stratum = Stratum("s", (one,), Ending())
        return run_batch(arm, stratum, clerk) if arm.is_batch else run_job(Job(stratum, one, arm), clerk)

    found, _ = run(tmp_path, Lasting(), work)
    outcome = found[0] if arm.is_batch else found
    assert (outcome.failure, outcome.answer.value) == (None, "a")


def test_solve_without_a_solver_says_so(tmp_path):
    job = Job(Stratum("s", (), Oracle()), item(), Arm("solve", {}, methods.solve))
    with pytest.raises(BadInput, match="has no solver"):
        run(tmp_path, Toy(0.5), lambda clerk: run_job(job, clerk))


def test_dense_flops_by_hand():
    """N = 10, l = 2, d = 3, P = 4, L = 5: prefill 80 + 192, decode 100 + 480 + 300."""
    card = ModelCard("m", "m", "cpu", parameters=10, layers=2, width=3)
    assert sample_cost(card, PRICES, Usage(4, 5), with_prompt=True).flops == 272 + 880
    assert sample_cost(card, PRICES, Usage(4, 5), with_prompt=False).flops == 880


def test_unknown_usage_stays_unknown_in_a_sum():
    card = ModelCard("m", "m", "m")
    known = sample_cost(card, PRICES, Usage(4, 5), with_prompt=True)
    unknown = sample_cost(card, PRICES, Usage(4, None), with_prompt=True)
    assert (known + unknown).completion_tokens is None
    assert (known + unknown).prompt_tokens == 8


def test_an_hour_on_one_core_costs_the_core_hour():
    assert Prices("d", Decimal("0.36")).compute(3600) == Decimal("0.36")
    assert Prices("d", Decimal("0.36")).compute(0.5) == Decimal("0.00005")


class Slow(Broken):
    """Never answers."""

    async def sample(self, prompt, n, start, sampling):
        await asyncio.sleep(60)


def test_a_cancelled_call_is_on_the_ledger_with_unknown_tokens(tmp_path):
    async def leave(clerk):
        task = asyncio.create_task(run_job(Job(Stratum("s", (), Oracle()), item(), ONCE), clerk))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(tmp_path, Slow(), leave)
    (charge,) = read_charges(tmp_path / "l")
    assert (charge.kind, charge.prompt_tokens, charge.completion_tokens, charge.usd) == ("cancelled", None, None, None)
    assert verify(tmp_path / "l").discrepancies == ()


class Paced:
    """Attempts of a paid endpoint that take as long as they are told; attempt i says i."""

    def __init__(self, *seconds, name="paced"):
        self.seconds, self.done = seconds, []
        self.card = ModelCard(name, f"{name}:1", name)

    async def sample(self, prompt, n, start, sampling):
        await asyncio.sleep(self.seconds[start])
        self.done.append(start)
        return Sampled(tuple(Attempt(start + i, f"{start + i}", "stop", Usage(7, 3 + start + i)) for i in range(n)))

    async def close(self):
        pass


def has_two(attempts):
    return len(attempts) >= 2


def race(n=4):
    return sample(item().problem.prompt, n, until=has_two)


def answer_race(clerk):
    return answer(race(), Tab(Stratum("s", (), Whole()), item()), clerk)


def test_a_race_cancels_what_is_on_its_way_and_charges_its_prompt_as_estimated(tmp_path):
    attempts, calls = run(tmp_path, Paced(0.01, 0.02, 9, 9), answer_race)
    assert [a.text for a in attempts] == ["0", "1"]
    assert calls == 4
    late = [c for c in read_charges(tmp_path / "l") if c.kind == "cancelled"]
    assert [(c.prompt_tokens, c.completion_tokens, c.is_estimated) for c in late] == [(7, None, True)] * 2


def test_the_reply_to_a_race_does_not_depend_on_who_comes_in_first(tmp_path):
    early, _ = run(tmp_path, Paced(0.01, 0.02, 9, 9), answer_race, name="a")
    late, _ = run(tmp_path, Paced(0.04, 0.03, 0.01, 0.02), answer_race, name="b")
    assert early == late


def test_a_race_is_priced_alike_when_it_is_run_again(tmp_path):
    def cost(clerk):
        tab = Tab(Stratum("s", (), Whole()), item())

        async def go():
            await answer(race(), tab, clerk)
            return tab.cost

        return go()

    first, _ = run(tmp_path, Paced(0.01, 0.02, 9, 9), cost)
    again, calls = run(tmp_path, Paced(), cost)
    assert first == again
    assert calls == 0
    assert (first.calls, first.prompt_tokens, first.completion_tokens) == (4, 28, 3 + 4 + 2 * 4)


def test_the_embedded_engine_stops_instead_of_racing(tmp_path):
    attempts, calls = run(tmp_path, Toy(1.0), answer_race)
    assert (len(attempts), calls) == (2, 2)
    assert [c.kind for c in read_charges(tmp_path / "l")] == ["sampled", "sampled"]


def test_a_race_goes_on_without_those_that_fail(tmp_path):
    class Half(Paced):
        async def sample(self, prompt, n, start, sampling):
            reply = await super().sample(prompt, n, start, sampling)
            return reply if start % 2 else Sampled((), (Waste("failed", "500"),))

    attempts, _ = run(tmp_path, Half(0, 0, 0, 0), answer_race)
    assert [a.text for a in attempts] == ["1", "3"]


def test_a_race_that_was_recorded_is_the_same_when_it_is_replayed(tmp_path):
    """Its cancelled calls are not on file; a race that one of them could decide cannot be replayed."""
    path = tmp_path / "calls.jsonl"

    async def costed(clerk, until=has_two):
        tab = Tab(Stratum("s", (), Whole()), item())
        return await answer(sample(item().problem.prompt, 4, until=until), tab, clerk), tab.cost

    live, _ = run(tmp_path, Recorder(Paced(0.01, 0.02, 9, 9), path), costed)
    assert run(tmp_path, Replay(path), costed, name="replayed")[0] == live
    assert {charge.kind for charge in read_charges(tmp_path / "replayed")} == {"sampled"}
    with pytest.raises(AskFailed, match="holds no attempt 2 of this prompt"):
        run(tmp_path, Replay(path), lambda clerk: costed(clerk, lambda attempts: len(attempts) > 2), name="further")


def test_an_ask_may_name_a_further_model_and_is_charged_to_it(tmp_path):
    async def go():
        with Ledger(tmp_path / "l") as ledger:
            clerk = Clerk(Toy(0.0), ledger, PRICES, models={"strong": Toy(1.0)})
            tab = Tab(Stratum("s", (), Whole()), item())
            (weak,) = await answer(sample(item().problem.prompt), tab, clerk)
            (strong,) = await answer(sample(item().problem.prompt, model="strong"), tab, clerk)
            with pytest.raises(BadInput, match=r"unknown model 'stronger'; did you mean 'strong'.*--with stronger="):
                await answer(sample(item().problem.prompt, model="stronger"), tab, clerk)
            return weak.text, strong.text

    weak, strong = asyncio.run(go())
    assert (weak != "right", strong) == (True, "right")
    assert [c.source for c in read_charges(tmp_path / "l")] == ["toy:0.0", "toy:1.0"]


def test_what_was_asked_with_log_probabilities_keeps_them_in_the_ledger(tmp_path):
    class Sure(Paced):
        async def sample(self, prompt, n, start, sampling):
            reply = await super().sample(prompt, n, start, sampling)
            return (
                Sampled(tuple(replace(a, logprob=-0.25, drawn_logprob=-0.2) for a in reply.attempts))
                if sampling.logprobs
                else reply
            )

    def both(clerk):
        tab = Tab(Stratum("s", (), Whole()), item())

        async def go():
            (plain,) = await answer(sample(item().problem.prompt), tab, clerk)
            told = Sampling(logprobs=True)
            (sure,) = await answer(sample(item().problem.prompt, sampling=told), tab, clerk)
            (kept,) = await answer(sample(item().problem.prompt, sampling=told), tab, clerk)
            await answer(sample(item().problem.prompt, start=1, sampling=told), tab, clerk)
            (untold,) = await answer(sample(item().problem.prompt, start=1), tab, clerk)
            return [(one.logprob, one.drawn_logprob) for one in (plain, sure, kept, untold)]

        return go()

    assert run(tmp_path, Sure(0, 0), both) == ([(None, None), (-0.25, -0.2), (-0.25, -0.2), (None, None)], 3)


def every_other(problems):
    """A batch method: two samples for one problem and none for the next, all in one round."""
    chosen = range(0, len(problems), 2)
    replies = yield tuple((place, Sample(problems[place].prompt, 2)) for place in chosen)
    found = dict(zip(chosen, replies, strict=True))
    return [Answer.of(found[p][0]) if found.get(p) else Answer("", None) for p in range(len(problems))]


EVERY_OTHER = Arm("every_other", {}, every_other, is_batch=True)


def run_all(tmp_path, model, items, arms):
    stratum = Stratum("s", items, Whole())
    (measured,), calls = run(tmp_path, model, lambda clerk: collect([stratum], {"s": arms}, 2, clerk, lanes=4))
    return measured, calls


def test_a_batch_method_spends_one_budget_on_all_items_and_each_item_pays_its_own(tmp_path):
    items = tuple(item(name) for name in "abc")
    measured, calls = run_all(tmp_path, Toy(1.0), items, [ONCE, EVERY_OTHER])
    batch = [o for o in measured.outcomes if o.arm == "every_other"]
    assert [o.grade.is_right for o in batch] == [True, False, True]
    assert [o.cost.completion_tokens for o in batch] == [2 * TOKENS, 0, 2 * TOKENS]
    assert calls == 3, "the pool has paid for what the batch asks"


def test_an_ask_that_fails_in_a_batch_fails_its_own_item_only(tmp_path):
    class Picky(Toy):
        async def sample(self, prompt, n, start, sampling):
            if prompt[-1].content == "a":
                return Sampled((), (Waste("failed", "500"),))
            return await super().sample(prompt, n, start, sampling)

    measured, _ = run_all(tmp_path, Picky(1.0), (item("a"), item("b"), item("c")), [EVERY_OTHER])
    assert [(o.grade.is_right, o.failure) for o in measured.outcomes] == [(False, "500"), (False, None), (True, None)]


def test_what_was_added_to_a_turn_can_be_read_alone(tmp_path):
    """Behind a thought that holds an answer of its own, the block behind the cue is what counts."""
    thought = Message("assistant", "right\n\nFinal answer:\n")

    class Says(Paced):
        async def sample(self, prompt, n, start, sampling):
            return Sampled((Attempt(0, "wrong", "stop", Usage(7, 3)),))

    def both(clerk):
        async def go():
            tab = Tab(Stratum("s", (), Whole()), item())
            prompt = (*item().problem.prompt, thought)
            (turn,) = await answer(sample(prompt), tab, clerk)
            (alone,) = await answer(sample(prompt, reads_turn=False), tab, clerk)
            return turn.answer, alone.answer

        return go()

    (turn, alone), _ = run(tmp_path, Says(), both)
    assert (turn, alone) == (f"{thought.content}wrong", "wrong")


def test_a_price_does_not_depend_on_how_the_attempts_were_bought(tmp_path):
    """One by one before or in one call: a sample of four pays one prompt, unless the engine takes no n."""

    def cost(clerk, *sizes):
        async def go():
            for start, n in sizes:
                tab = Tab(Stratum("s", (), Whole()), item())
                await answer(sample(item().problem.prompt, n, start=start), tab, clerk)
            return tab.cost.calls, tab.cost.prompt_tokens

        return go()

    whole, _ = run(tmp_path, Paced(0), lambda clerk: cost(clerk, (0, 4)), name="a")
    pieces, _ = run(tmp_path, Paced(0, 0, 0, 0), lambda c: cost(c, (0, 1), (1, 1), (2, 1), (3, 1), (0, 4)), name="b")
    assert whole == pieces == (1, 7)


def test_a_refusal_of_one_attempt_does_not_silence_a_prompt_that_was_answered(tmp_path):
    class Strict(Paced):
        async def sample(self, prompt, n, start, sampling):
            if start == 2:
                return Sampled((), (Waste("refused", "400"),))
            return Sampled(tuple(Attempt(start + i, f"{start + i}", "stop", Usage(7, 3)) for i in range(n)))

    def asked(clerk):
        async def go():
            tab = Tab(Stratum("s", (), Whole()), item())
            await answer(sample(item().problem.prompt, 2), tab, clerk)
            with pytest.raises(AskFailed):
                await answer(sample(item().problem.prompt, start=2), tab, clerk)
            return await answer(sample(item().problem.prompt, 5), tab, clerk)

        return go()

    found, _ = run(tmp_path, Strict(), asked)
    assert [attempt.index for attempt in found] == [0, 1]
    again, _ = run(
        tmp_path,
        Paced(0, 0, 0, 0, 0),
        lambda c: answer(sample(item().problem.prompt, 5), Tab(Stratum("s", (), Whole()), item()), c),
    )
    assert [attempt.index for attempt in again] == [0, 1, 2, 3, 4]


class Varied:
    """Ends its turn or a step, says right, wrong or nothing, by the prompt and the number of an attempt."""

    card = ModelCard("varied", "varied:1", "varied")

    async def sample(self, prompt, n, start, sampling):
        return Sampled(tuple(self._attempt(prompt, start, i, sampling) for i in range(start, start + n)))

    def _attempt(self, prompt, start, index, sampling):
        dice = Random(f"{prompt}{index}{sampling}")
        is_over = sampling.temperature == 0 or dice.random() < 0.3 or not sampling.stop
        finish = "eos" if is_over else f"stop:{sampling.stop[-1]}"
        said = dice.choice(["one.", "two.", "right", ""])
        return Attempt(index, said, finish, Usage(10, 5, leads=index == start), logprob=-0.1 - dice.random())

    async def close(self):
        pass


class Half(Longest):
    """A rater that likes everything half."""

    async def rate(self, problem, texts):
        return [0.5] * len(texts)


@pytest.mark.parametrize("has", ["nothing", "check", "rater"])
@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_that_runs_alone_is_charged_what_is_on_the_ledger(tmp_path, name, has):
    one = item()
    offers = {"checkable": has == "check", "ratable": has == "rater", "schema": '{"type":"string"}'}
    one = replace(one, problem=replace(one.problem, **offers))
    check, rater = Ending() if has == "check" else None, Half() if has == "rater" else None
    stratum, arm = Stratum("s", (one,), Ending(), check, rater=rater), make_arm(name)

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            clerk = Clerk(Varied(), ledger, PRICES, {"strong": Varied()})
            return (await run_batch(arm, stratum, clerk))[0] if arm.is_batch else await run_job(Job(*here), clerk)

    here = (stratum, one, arm)
    try:
        cost = asyncio.run(go()).cost
    except TrueupError:
        return
    rows = [row for row in read_charges(tmp_path / "l") if row.kind != "evaluation"]
    assert cost.completion_tokens == sum(row.completion_tokens for row in rows)
    assert cost.prompt_tokens == sum(row.prompt_tokens for row in rows if row.leads)
    assert cost.calls == sum(row.leads for row in rows)
