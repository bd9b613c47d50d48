"""What systems say they have used, against an endpoint that knows.

A figure that a system gives is wrong by its distance from the truth (`token_error`, `call_error`); one that it does not
give, or marks as unknown, is no error: what it stands for is under `tokens_not_told` and `calls_not_told`.
A figure that is marked as estimated has its distance under `estimate_error`. Every request is compared by itself, of
ours its rows of the ledger, apart for calls answered, refused and broken off, so that no excess makes up for a lack.
A call that is broken off costs its prompt and what was written until the endpoint noticed; in `cancel` at once, in
`cancel-late` a token later, as an engine does that notices between two steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from trueup.bench.peers import (
    ITS_HUB,
    OPTILLM,
    HubRequest,
    Scenario,
    Served,
    Told,
    Truth,
    ask_its_hub,
    ask_optillm,
    install,
    optillm_serving,
)
from trueup.core.asks import Flow, judge, sample
from trueup.core.charge import Charge
from trueup.core.cost import Prices
from trueup.core.errors import Unavailable
from trueup.core.ledger import Ledger, read_charges
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Item, Json, Message, Problem, Sampling
from trueup.methods import adaptive_vote, vote
from trueup.methods.adaptive_vote import lead_probability
from trueup.methods.tally import elect
from trueup.models import OpenAI
from trueup.run import Clerk, Job, run_jobs
from trueup.verifiers import number

PROBLEMS = 6
SCENARIOS = {
    "clean": Scenario(),
    "cut": Scenario(cut_share=0.5),
    "judge": Scenario(),
    "cancel": Scenario(prefill_seconds=0.01, token_seconds=0.004),
    "cancel-late": Scenario(prefill_seconds=0.01, token_seconds=0.004, late_tokens=1),
    "busy": Scenario(refuses_every=10),
    "no-usage": Scenario(tells_usage=False),
    "n-rejected": Scenario(n="rejects"),
    "n-ignored": Scenario(n="ignores"),
}
RATE = "Rate the answer above on a scale from 0 to 10. Respond with only a number."
ENDS = {"sampled": "answered", "judge": "answered", "cancelled": "broken off"}


def judged_best(problem: Problem) -> Flow[Answer]:
    """The best of four in a judge's eyes."""
    attempts = yield from sample(problem.prompt, 4)
    ratings = []
    for attempt in attempts:
        told = yield from judge((*problem.prompt, Message("assistant", attempt.text), Message("user", RATE)))
        ratings.append(int(told[0].text))
    return Answer.of(attempts[ratings.index(max(ratings))])


def race(problem: Problem) -> Flow[Answer]:
    """Sixteen attempts side by side, the rest cancelled once the vote is safe."""
    attempts = yield from sample(problem.prompt, 16, until=lambda kept: lead_probability(kept) >= 0.95)
    return elect(problem, attempts)


def vote_of_8(problem: Problem) -> Flow[Answer]:
    """The vote of eight."""
    return vote(problem, n=8)


@dataclass(frozen=True, slots=True)
class Ours:
    """One of our methods under a scenario, and how the model is set."""

    scenario: str
    method: str
    start: Callable[[Problem], Flow[Answer]]
    settings: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figure:
    """What a system tells, None where it does not, and the truth; `is_least` where it says that there may be more."""

    told: int | None
    true: int
    is_estimated: bool = False
    is_least: bool = False

    @property
    def error(self) -> int:
        """How far what was told is from the truth."""
        over = (self.told or 0) - self.true
        return 0 if self.told is None or (self.is_least and over < 0) else abs(over)

    @property
    def not_told(self) -> int:
        """What is left out, and said or seen to be."""
        return self.true if self.told is None else max(0, self.true - self.told) if self.is_least else 0


OURS = (
    Ours("clean", "vote n=8", vote_of_8),
    Ours("clean", "adaptive_vote n=16", adaptive_vote),
    Ours("cut", "vote n=8", vote_of_8),
    Ours("judge", "best of 4 by a judge", judged_best),
    Ours("cancel", "race n=16", race),
    Ours("cancel", "race n=16, streamed", race, {"stream": True}),
    Ours("cancel-late", "race n=16, streamed", race, {"stream": True}),
    Ours("busy", "adaptive_vote n=16", adaptive_vote),
    Ours("no-usage", "vote n=8", vote_of_8),
    Ours("n-rejected", "vote n=8", vote_of_8),
    Ours("n-ignored", "vote n=8", vote_of_8),
)
HUB = (
    ("clean", "SelfConsistency", 8),
    ("clean", "AdaptiveSelfConsistency", 16),
    ("cut", "SelfConsistency", 8),
    ("judge", "BestOfN", 4),
    ("cancel", "BetaSelfConsistency", 16),
    ("cancel-late", "BetaSelfConsistency", 16),
    ("busy", "SelfConsistency", 8),
    ("no-usage", "SelfConsistency", 8),
    ("n-rejected", "SelfConsistency", 8),
    ("n-ignored", "SelfConsistency", 8),
)
APPROACHES = (
    ("clean", "self_consistency"),
    ("cut", "self_consistency"),
    ("judge", "bon"),
    ("busy", "self_consistency"),
    ("no-usage", "self_consistency"),
    ("n-rejected", "bon"),
    ("n-ignored", "bon"),
)


def ledger_truth(*, problems: int = PROBLEMS, peers: bool = True) -> list[dict[str, Json]]:
    """A row per system, method and scenario; a peer that cannot be had is a row that says why."""
    truth = Truth(SCENARIOS)
    with truth.serving() as root:
        theirs = [*_optillm(truth, root, problems), *_its_hub(truth, root, problems)] if peers else []
        return [*theirs, *(_ours(truth, root, subject, problems) for subject in OURS)]


def _questions(problems: int) -> list[str]:
    return [f"problem {number}: what is {number} times six, plus thirty?" for number in range(problems)]


def _ours(truth: Truth, root: str, subject: Ours, problems: int) -> dict[str, Json]:
    run = f"{subject.scenario}.{subject.method.replace(' ', '_').replace('.', '')}."
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        path = Path(folder) / "ledger.sqlite"
        failures = asyncio.run(_run(root, run, subject, path, problems))
        charges = [charge for charge in read_charges(path) if charge.kind != "evaluation"]
    unknown = [c for c in charges if c.leads and None in (c.prompt_tokens, c.completion_tokens)]
    about = {"requests": problems, "failed_requests": failures, "unknown_calls": len(unknown)}
    figures = _figures(*_compared(_questions(problems), charges, truth.of(run)))
    return {"system": "trueup", "scenario": subject.scenario, "method": subject.method} | figures | about


async def _run(root: str, run: str, subject: Ours, path: Path, problems: int) -> int:
    """Run the method on every problem, charging a ledger under the problem's question; the number of failures."""
    model = OpenAI(root, f"m@{run}", **subject.settings)  # type: ignore[arg-type]
    arm = Arm(subject.method, {}, subject.start)

    def job(place: int, question: str) -> Job:
        problem = Problem(f"{place}", "truth", (Message("user", question),), Sampling(max_tokens=64))
        return Job(Stratum(question, (), number()), Item(problem, "42", problem.id), arm)

    with Ledger(path) as book:
        jobs = (job(place, question) for place, question in enumerate(_questions(problems)))
        outcomes = [o async for o in run_jobs(jobs, Clerk(model, book, Prices("truth", Decimal(0))), lanes=2)]
        await model.close()
    return sum(outcome.failure is not None for outcome in outcomes)


def _compared(
    questions: Sequence[str], charges: Sequence[Charge], calls: Sequence[Served]
) -> tuple[list[Figure], list[Figure]]:
    """Tokens and calls, as our ledger has them and in truth, every request by itself."""
    tokens, asked = [], []
    for question in questions:
        rows = [charge for charge in charges if charge.stratum == question]
        true = [call for call in calls if call.body["messages"][0]["content"] == question]
        tokens += [figure for end in ("answered", "broken off", "refused") for figure in _parts(end, rows, true)]
        asked.append(Figure(sum(row.leads for row in rows), len(true)))
    return tokens, asked


def _parts(end: str, charges: Sequence[Charge], calls: Sequence[Served]) -> Iterator[Figure]:
    """What our ledger says of a request's calls that ended so, and the truth: prompt, then completion; nothing of none.

    It counts as not told only where it is unknown of every one of these calls, as estimated where all rows say so; what
    is known of calls that were broken off is the least that they cost where some rows are unknown.
    """
    rows = [charge for charge in charges if ENDS.get(charge.kind, "refused") == end]
    texts = {charge.reply for charge in charges}
    true = [call for call in calls if _end(call, texts) == end]
    if not (rows or true):
        return
    is_estimated = bool(rows) and all(row.is_estimated for row in rows)
    prompt = _sum([row.prompt_tokens for row in rows if row.leads])
    yield Figure(prompt, sum(call.prompt_tokens for call in true), is_estimated)
    completions = [row.completion_tokens for row in rows]
    is_least = is_estimated and None in completions
    yield Figure(_sum(completions), sum(call.completion_tokens for call in true), is_estimated, is_least)


def _end(call: Served, texts: set[str]) -> str:
    if call.end == "refused":
        return call.end
    return "answered" if call.end == "whole" and texts.issuperset(call.texts) else "broken off"


def _sum(figures: Sequence[int | None]) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known or not figures else None


def _figures(tokens: Sequence[Figure], calls: Sequence[Figure]) -> dict[str, Json]:
    """Figures summed up."""
    true = sum(figure.true for figure in tokens)
    return {
        "token_error": _error([figure for figure in tokens if not figure.is_estimated]),
        "call_error": _error(calls),
        "estimate_error": _error([figure for figure in tokens if figure.is_estimated]) or 0,
        "token_error_share": (_error(tokens) or 0) / true if true else 0.0,
        "true_tokens": true,
        "told_tokens": _sum([figure.told for figure in tokens]),
        "tokens_not_told": sum(figure.not_told for figure in tokens),
        "true_calls": sum(figure.true for figure in calls),
        "told_calls": _sum([figure.told for figure in calls]),
        "calls_not_told": sum(figure.not_told for figure in calls),
    }


def _error(figures: Sequence[Figure]) -> int | None:
    """The distances of what was told from the truth, added up; None where nothing was told."""
    wrong = [figure.error for figure in figures if figure.told is not None]
    return sum(wrong) if wrong else None


def _its_hub(truth: Truth, root: str, problems: int) -> Iterator[dict[str, Json]]:
    system = f"{ITS_HUB.name} {ITS_HUB.version}"
    try:
        programs = install(ITS_HUB)
        for scenario, method, budget in HUB:
            run = f"{scenario}.{method}."
            asked = [
                HubRequest(method, budget, root, f"m@{run}{place}", question)
                for place, question in enumerate(_questions(problems))
            ]
            yield _row(truth, system, scenario, f"{method} {budget}", run, ask_its_hub(programs, asked))
    except Unavailable as error:
        yield {"system": system, "scenario": "all", "method": "", "skipped": str(error)}


def _optillm(truth: Truth, root: str, problems: int) -> Iterator[dict[str, Json]]:
    system = f"{OPTILLM.name} {OPTILLM.version}"
    try:
        with optillm_serving(install(OPTILLM), root) as proxy:
            for scenario, method in APPROACHES:
                run = f"{scenario}.{method}."
                told = [
                    ask_optillm(proxy, method, f"m@{run}{place}", question)
                    for place, question in enumerate(_questions(problems))
                ]
                yield _row(truth, system, scenario, method, run, told)
        yield {"system": system, "scenario": "cancel", "method": "", "skipped": "no method of its cancels calls"}
    except Unavailable as error:
        yield {"system": system, "scenario": "all", "method": "", "skipped": str(error)}


def _row(truth: Truth, system: str, scenario: str, method: str, run: str, told: Sequence[Told]) -> dict[str, Json]:
    """A peer's row: every request by itself, what it tells against what it caused."""
    tokens, calls = list[Figure](), list[Figure]()
    for place, said in enumerate(told):
        true = truth.of(f"{run}{place}")
        tokens.append(Figure(said.prompt_tokens, sum(call.prompt_tokens for call in true)))
        tokens.append(Figure(said.completion_tokens, sum(call.completion_tokens for call in true)))
        calls.append(Figure(said.calls, len(true)))
    failures = [said.failure for said in told if said.failure]
    about = {"requests": len(told), "failed_requests": len(failures), "unknown_calls": 0}
    why = {"failure": failures[0]} if failures else {}
    row = {"system": system, "scenario": scenario, "method": method}
    return row | _figures(tokens, calls) | about | why
