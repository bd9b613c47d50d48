"""The clerk answers asks and charges them: the one place where cost comes into being.

Looks an ask up in the ledger first, so nothing committed is paid for twice; commits before it replies.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from trueup import __version__
from trueup.core.asks import All, Ask, Check, Rate, Read, Sample, Solve
from trueup.core.charge import Charge
from trueup.core.cost import CPU, Cost, Prices, compute_cost
from trueup.core.errors import AskFailed, BadForm, BadInput, UnknownName
from trueup.core.ledger import Ledger
from trueup.core.roles import Model, Rater, Solver, Verifier
from trueup.core.together import tried
from trueup.core.types import Attempt, Grade, Item, Problem, Solution, begun_turn
from trueup.run.act import turn_to_act
from trueup.run.apart import Apart, packed
from trueup.run.blame import SHOWN, blamed, broken, share
from trueup.run.keys import GRADERS, Turn, digest, prompt_text
from trueup.run.limit import time_limit, within
from trueup.run.purchase import Reader
from trueup.run.sampler import Sampler
from trueup.run.tab import Tab
from trueup.run.watch import Watch, billing_of

S = TypeVar("S", str, str | None)
T = TypeVar("T")
VERIFIER_SECONDS = 20.0
SCHEMA_SECONDS = 5.0
"""For a check of answers against a stranger's schema, in a process of its own."""
RATER_SECONDS = 600.0
"""For all texts of an ask; the first one waits for a reward model to be loaded."""
SOLVER_SECONDS = 1800.0
"""From an ask to the solution, for a solver that does not see to its own limit; what else it is asked counts."""


@dataclass(slots=True)
class Clerk:
    """Answers the asks of any number of flows, charging one ledger; `models` are those that an ask may name."""

    model: Model
    ledger: Ledger
    prices: Prices
    models: Mapping[str, Model] = field(default_factory=dict)
    _busy: dict[bytes, asyncio.Event] = field(default_factory=dict)
    _rating: asyncio.Lock = field(default_factory=asyncio.Lock)
    _apart: Apart = field(default_factory=Apart)
    _sampler: Sampler = field(init=False)

    def __post_init__(self) -> None:
        self._sampler = Sampler(self.ledger, self.prices, self._busy)

    @property
    def fresh_calls(self) -> int:
        """The calls of a model that were really made."""
        return self._sampler.fresh_calls

    def engines(self, stratum: str) -> Mapping[str, Mapping[str, int]]:
        """How many attempts of a stratum came from each engine that an endpoint named, by the model's fingerprint."""
        return self._sampler.engines(stratum)

    def fork(self) -> Clerk:
        """A clerk at the same ledger with a count of its own."""
        return replace(self)

    async def close(self) -> None:
        """Close its models, and end what checks for it."""
        self._apart.close()
        for model in (self.model, *self.models.values()):
            await model.close()

    async def answer(self, ask: Ask, tab: Tab) -> object:
        """The reply to an ask; its cost is added to the tab.

        Raises AskFailed where no part of it could be answered, or the stratum's verifier, rater or solver broke on it:
        raised, hung, or said what is no grade, rating or solution.
        """
        if isinstance(ask, Sample):
            return await self._sample(ask, tab)
        if isinstance(ask, Check):
            return await self.grade(ask.attempts, tab)
        if isinstance(ask, Rate):
            return await self._rate(ask, tab)
        if isinstance(ask, Read):
            return tuple(_read_all(tab.stratum.verifier, ask.texts))
        return await (self._all(ask, tab) if isinstance(ask, All) else self._solve(ask, tab))

    async def grade(self, attempts: Sequence[Attempt], tab: Tab) -> tuple[Grade, ...]:
        """Grades by the stratum's own check; by its verifier, as an oracle, where it has none."""
        if tab.stratum.check is not None:
            return await self._check(tab.stratum.check, None, "check", attempts, tab)
        tab.asked_oracle = True
        return await self.evaluate(attempts, tab, kind="check")

    async def evaluate(self, attempts: Sequence[Attempt], tab: Tab, *, kind: str = "evaluation") -> tuple[Grade, ...]:
        """Grades against the reference."""
        return await self._check(tab.stratum.verifier, tab.item.reference, kind, attempts, tab)

    async def _all(self, ask: All, tab: Tab) -> tuple[object, ...]:
        """Side by side, but in turn where they may act or use this machine's cores; paid in the order of the asks."""
        parts = [replace(tab, cost=Cost()) for _ in ask.asks]
        work = (self.answer(one, part) for one, part in zip(ask.asks, parts, strict=True))
        in_turn = tab.item.problem.side_effects or self.model.card.billing == CPU
        replies = await tried(work, in_turn=in_turn)
        for part in parts:
            tab.pay((), part.cost)
            tab.asked_oracle |= part.asked_oracle
        return tuple(replies)

    async def _sample(self, ask: Sample, tab: Tab) -> tuple[Attempt, ...]:
        problem = tab.item.problem
        tab.act.begin(ask, problem)
        sampling = ask.sampling or problem.sampling
        async with turn_to_act(self._busy, ask, problem):
            attempts = await self._sampler.buy(ask, self._model(ask.model), sampling, tab, _reader(ask, tab))
        tab.act.end(ask, attempts)
        return attempts

    def _model(self, name: str) -> Model:
        if not name:
            return self.model
        if name not in self.models:
            raise UnknownName("model", name, self.models, hint=f"(a method asks for it; give --with {name}=MODEL)")
        return self.models[name]

    async def _check(
        self, verifier: Verifier, reference: object, kind: str, attempts: Sequence[Attempt], tab: Tab
    ) -> tuple[Grade, ...]:
        problem = tab.item.problem
        answers = [attempt.answer for attempt in attempts]
        asked = json.dumps([prompt_text(problem.prompt), problem.schema, reference, answers])
        key = digest(kind, __version__, GRADERS, verifier.name, problem.stratum, asked)
        async with Turn(self._busy, key):
            charge = self.ledger.find([key]).get(key)
            if charge is None:
                started = time.perf_counter()
                try:
                    grades, seconds = await self._grades(verifier, answers, tab.item, reference)
                except AskFailed as error:
                    seconds = time.perf_counter() - started if error.seconds is None else error.seconds
                    await self._failed(error, verifier.name, tab, seconds, is_paid=kind == "check")
                    raise
                reply = json.dumps([[g.value, g.parsed, g.note] for g in grades])
                charge = self._computed(key, kind, verifier.name, tab, seconds, reply)
                await self.ledger.commit([charge])
        if kind == "check":
            self._pay(charge, tab)
        return tuple(Grade(*row) for row in json.loads(charge.reply))

    async def _grades(
        self, verifier: Verifier, answers: Sequence[str | None], item: Item, reference: object
    ) -> tuple[list[Grade], float]:
        """Grades, and the seconds they took; by a stranger's schema, whose item has no reference, worked out apart."""
        is_strangers = item.problem.schema is not None and item.reference is None
        work = packed(_grade_all, verifier, answers, item.problem, reference) if is_strangers else None
        if work is None:
            started = time.perf_counter()
            return _grade_all(verifier, answers, item.problem, reference), time.perf_counter() - started
        try:
            return await self._apart.call(SCHEMA_SECONDS, work)
        except TimeoutError:
            why = BadForm(f"its schema keeps a check busy for over {SCHEMA_SECONDS:g} s; give a simpler one")
            raise broken(f"verifier {verifier.name!r}", "check", (*answers, "")[0] or "", why, SCHEMA_SECONDS) from why

    async def _rate(self, ask: Rate, tab: Tab) -> tuple[float, ...]:
        rater = tab.stratum.rater
        if rater is None:
            raise BadInput(f"stratum {tab.stratum.name!r} has no rater; leave the method out or name one in the task")
        key = digest("rated", rater.fingerprint, json.dumps([prompt_text(ask.problem.prompt), ask.texts]))
        async with Turn(self._busy, key):
            charge = self.ledger.find([key]).get(key)
            if charge is None:
                async with self._rating:
                    watch = Watch(rater)
                    try:
                        reply = json.dumps(await _ratings(rater, ask, watch))
                    except AskFailed as error:
                        await self._failed(error, rater.fingerprint, tab, watch.seconds, billing=billing_of(rater))
                        raise
                    seconds = watch.seconds
                charge = self._computed(key, "rated", rater.fingerprint, tab, seconds, reply, billing_of(rater))
                await self.ledger.commit([charge])
        self._pay(charge, tab, billing_of(rater))
        return tuple(json.loads(charge.reply))

    async def _solve(self, ask: Solve, tab: Tab) -> Solution:
        solver = tab.stratum.solver
        if solver is None:
            raise BadInput(f"stratum {tab.stratum.name!r} has no solver; leave `solve` out or name one in the task")
        text = prompt_text(ask.problem.prompt)
        key = digest("solve", __version__, solver.fingerprint, text)
        async with Turn(self._busy, key):
            charge = self.ledger.find([key]).get(key)
            if charge is None:
                started = time.perf_counter()
                try:
                    solution = await _solution(solver, ask.problem)
                except AskFailed as error:
                    await self._failed(error, solver.fingerprint, tab, time.perf_counter() - started)
                    raise
                reply = json.dumps([solution.status, solution.text, solution.conflict, solution.reason])
                booked = key if solution.status != "crashed" else digest("crashed", key.hex(), str(time.time_ns()))
                charge = self._computed(booked, "solve", solver.fingerprint, tab, solution.seconds, reply)
                await self.ledger.commit([charge])
        self._pay(charge, tab)
        status, text, conflict, reason = json.loads(charge.reply)
        (answer,) = _read_all(tab.stratum.verifier, [text]) if status == "solved" else (None,)
        return Solution(status, text, answer, charge.decode_seconds, tuple(conflict), reason)

    async def _failed(
        self, error: AskFailed, source: str, tab: Tab, seconds: float, *, is_paid: bool = True, billing: str = CPU
    ) -> None:
        """What was spent on an ask before it broke is charged all the same, as often as it is tried."""
        key = digest("failed", source, str(error), str(time.time_ns()))
        charge = self._computed(key, "failed", source, tab, seconds, str(error), billing)
        await self.ledger.commit([charge])
        if is_paid:
            self._pay(charge, tab, billing)

    def _pay(self, charge: Charge, tab: Tab, billing: str = CPU) -> None:
        if charge.key not in tab.paid:
            tab.pay([charge.key], compute_cost(self.prices, charge.decode_seconds, billing))

    def _computed(
        self, key: bytes, kind: str, source: str, tab: Tab, seconds: float, reply: str, billing: str = CPU
    ) -> Charge:
        usd = self.prices.worked(seconds, billing)
        return Charge(key, kind, source, tab.stratum.name, decode_seconds=seconds, usd=usd, reply=reply)


def _reader(ask: Sample, tab: Tab) -> Reader:
    """What reads answers out of attempts' texts, with the part of the turn that the prompt has begun before them."""
    if ask.kind == "judge":
        return lambda texts: [None] * len(texts)
    begun = begun_turn(ask.prompt) if ask.reads_turn else ""
    return lambda texts: _read_all(tab.stratum.verifier, [begun + text for text in texts])


def _read_all(verifier: Verifier, texts: Sequence[str]) -> list[str | None]:
    def read(text: str) -> str | None:
        answer: object = verifier.read(text)
        if not (answer is None or isinstance(answer, str)):
            raise TypeError(f"it gave {answer!r}, which is no text")
        return answer

    return _in_time(verifier, "read", read, texts)


def _grade_all(verifier: Verifier, answers: Sequence[str | None], problem: Problem, reference: object) -> list[Grade]:
    def grade(answer: str | None) -> Grade:
        if answer is None:
            return Grade(0.0, parsed=False, note="unparsable")
        found: object = verifier.check(answer, problem, reference)
        if not isinstance(found, Grade):
            raise TypeError(f"it gave {found!r}, which is no grade")
        return Grade(share(found.value), bool(found.parsed), found.note)

    return _in_time(verifier, "check", grade, answers)


def _in_time(verifier: Verifier, verb: str, work: Callable[[S], T], subjects: Sequence[S]) -> list[T]:
    """What a verifier makes of each; the limit of time is for many, and breaks only on one that had all of it."""
    done: list[T] = []
    while (begun := len(done)) < len(subjects):
        try:
            with time_limit(VERIFIER_SECONDS):
                done.extend(map(work, subjects[begun:]))
        except Exception as error:
            if isinstance(error, TimeoutError) and len(done) > begun:
                continue
            raise broken(f"verifier {verifier.name!r}", verb, subjects[len(done)] or "", error) from error
    return done


async def _solution(solver: Solver, problem: Problem) -> Solution:
    with blamed(f"solver {solver.fingerprint[:SHOWN]!r}", "solve", problem.id):
        work = solver.solve(problem)
        if not getattr(solver, "has_limit", False):
            work = within(SOLVER_SECONDS, work)
        solution = await work
        if not isinstance(solution, Solution):
            raise TypeError(f"it gave {solution!r}, not a Solution")
        return solution


async def _ratings(rater: Rater, ask: Rate, watch: Watch) -> list[float]:
    with blamed(f"rater {rater.fingerprint[:SHOWN]!r}", "rate", (*ask.texts, "")[0]):
        told = await within(RATER_SECONDS, rater.rate(ask.problem, ask.texts), watch)
        ratings = [share(rating) for rating in told]
        if len(ratings) != len(ask.texts):
            raise ValueError(f"it gave {len(ratings)} ratings for {len(ask.texts)} texts")
        return ratings
