"""The clerk answers asks and charges them: the one place where cost comes into being.

Looks an ask up in the ledger first, so nothing committed is paid for twice; commits before it replies.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from trueup import __version__
from trueup.core.asks import Ask, Check, Rate, Sample, Solve
from trueup.core.charge import Charge
from trueup.core.cost import Cost, Prices, compute_cost, sample_cost, sample_flops
from trueup.core.errors import AskFailed, BadInput
from trueup.core.ledger import Ledger
from trueup.core.roles import Model, Sampled, Verifier, Waste
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Problem, Prompt, Sampling, Solution, Usage
from trueup.run.limit import time_limit

KEY_BYTES = 16
SHOWN = 80
VERIFIER_SECONDS = 20.0


@dataclass(slots=True)
class Tab:
    """What one flow has run up so far, priced as if it had run alone."""

    stratum: Stratum
    item: Item
    cost: Cost = field(default_factory=Cost)
    asked_oracle: bool = False


@dataclass(slots=True)
class Clerk:
    """Answers the asks of any number of flows from one model, charging one ledger."""

    model: Model
    ledger: Ledger
    prices: Prices
    fresh_calls: int = 0
    _busy: dict[bytes, asyncio.Event] = field(default_factory=dict)
    _tries: int = 0

    async def answer(self, ask: Ask, tab: Tab) -> object:
        """The reply to an ask; its cost is added to the tab.

        Raises AskFailed where no part of it could be answered, or the stratum's verifier broke on it.
        """
        if isinstance(ask, Sample):
            return await self._sample(ask, tab)
        if isinstance(ask, Check):
            return await self.grade(ask.attempts, tab)
        if isinstance(ask, Rate):
            return await self._rate(ask, tab)
        return await self._solve(ask, tab)

    async def grade(self, attempts: Sequence[Attempt], tab: Tab) -> tuple[Grade, ...]:
        """Grades by the stratum's own check; by its verifier, as an oracle, where it has none."""
        if tab.stratum.check is not None:
            return await self._check(tab.stratum.check, None, "check", attempts, tab)
        tab.asked_oracle = True
        return await self.evaluate(attempts, tab, kind="check")

    async def evaluate(self, attempts: Sequence[Attempt], tab: Tab, *, kind: str = "evaluation") -> tuple[Grade, ...]:
        """Grades against the reference."""
        return await self._check(tab.stratum.verifier, tab.item.reference, kind, attempts, tab)

    async def _sample(self, ask: Sample, tab: Tab) -> tuple[Attempt, ...]:
        if ask.n < 1:
            raise BadInput(f"n is {ask.n}; a method must ask for at least one attempt")
        sampling = ask.sampling or tab.item.problem.sampling
        base = _digest("sample", self.model.card.fingerprint, _prompt_text(ask.prompt), repr(sampling))
        async with _Turn(self._busy, base):
            attempts = await self._attempts(ask, sampling, base, tab.stratum.name)
        for place, attempt in enumerate(attempts):
            tab.cost += sample_cost(self.model.card, self.prices, attempt.usage, with_prompt=place == 0)
        if ask.kind == "judge":
            return tuple(attempts)
        reader, begun = tab.stratum.verifier, _begun(ask.prompt)
        with time_limit(VERIFIER_SECONDS):
            return tuple(Attempt(a.index, a.text, a.finish, a.usage, _read(reader, begun + a.text)) for a in attempts)

    async def _attempts(self, ask: Sample, sampling: Sampling, base: bytes, stratum: str) -> list[Attempt]:
        keys = {index: _attempt_key(base, index) for index in range(ask.start, ask.start + ask.n)}
        found = self.ledger.find(list(keys.values()))
        attempts = {i: _attempt(i, found[key]) for i, key in keys.items() if key in found}
        missing = [index for index in keys if index not in attempts]
        failures = [row.reply for row in self.ledger.find([_refusal_key(base)]).values()] if missing else []
        for start, n in _runs(missing) if not failures else ():
            self.fresh_calls += 1
            reply = await self._call(ask.prompt, n, start, sampling, base, stratum)
            charges = [self._sampled(keys[a.index], ask.kind, a, stratum) for a in reply.attempts]
            charges += self._wastes(base, reply, stratum, is_answerable=bool(attempts))
            await self.ledger.commit(charges)
            attempts.update({attempt.index: attempt for attempt in reply.attempts})
            failures += [waste.reason for waste in reply.waste if waste.kind in ("failed", "refused")]
        if not attempts:
            raise AskFailed("; ".join(dict.fromkeys(failures)) or "the model returned no sample")
        return [attempts[index] for index in sorted(attempts)]

    async def _call(self, prompt: Prompt, n: int, start: int, sampling: Sampling, base: bytes, stratum: str) -> Sampled:
        """One call of the model; one that is cancelled on the way is on the ledger all the same."""
        try:
            return await self.model.sample(prompt, n, start, sampling)
        except asyncio.CancelledError:
            waste = Waste("cancelled", "the caller left before the reply")
            self.ledger.post([self._wasted(base, waste, stratum)])
            raise

    async def _check(
        self, verifier: Verifier, reference: object, kind: str, attempts: Sequence[Attempt], tab: Tab
    ) -> tuple[Grade, ...]:
        problem = tab.item.problem
        answers = [attempt.answer for attempt in attempts]
        asked = json.dumps([_prompt_text(problem.prompt), problem.schema, reference, answers])
        key = _digest(kind, __version__, verifier.name, problem.stratum, asked)
        async with _Turn(self._busy, key):
            charge = self.ledger.find([key]).get(key)
            if charge is None:
                started = time.perf_counter()
                with time_limit(VERIFIER_SECONDS):
                    grades = [_grade(verifier, answer, problem, reference) for answer in answers]
                reply = json.dumps([[g.value, g.parsed, g.note] for g in grades])
                charge = self._computed(key, kind, verifier.name, tab, time.perf_counter() - started, reply)
                await self.ledger.commit([charge])
        if kind == "check":
            tab.cost += compute_cost(self.prices, charge.decode_seconds)
        return tuple(Grade(*row) for row in json.loads(charge.reply))

    async def _rate(self, ask: Rate, tab: Tab) -> tuple[float, ...]:
        rater = tab.stratum.rater
        if rater is None:
            raise BadInput(f"stratum {tab.stratum.name!r} has no rater; leave the method out or name one in the task")
        key = _digest("rated", rater.fingerprint, json.dumps([_prompt_text(ask.problem.prompt), ask.texts]))
        async with _Turn(self._busy, key):
            charge = self.ledger.find([key]).get(key)
            if charge is None:
                started = time.process_time()
                reply = json.dumps(list(await rater.rate(ask.problem, ask.texts)))
                seconds = time.process_time() - started
                charge = self._computed(key, "rated", rater.fingerprint, tab, seconds, reply)
                await self.ledger.commit([charge])
        tab.cost += compute_cost(self.prices, charge.decode_seconds)
        return tuple(json.loads(charge.reply))

    async def _solve(self, ask: Solve, tab: Tab) -> Solution:
        solver = tab.stratum.solver
        if solver is None:
            raise BadInput(f"stratum {tab.stratum.name!r} has no solver; leave `solve` out or name one in the task")
        text = _prompt_text(ask.problem.prompt)
        key = _digest("solve", __version__, solver.fingerprint, text)
        async with _Turn(self._busy, key):
            charge = self.ledger.find([key]).get(key)
            if charge is None:
                solution = await solver.solve(ask.problem)
                reply = json.dumps([solution.status, solution.text])
                charge = self._computed(key, "solve", solver.fingerprint, tab, solution.seconds, reply)
                await self.ledger.commit([charge])
        tab.cost += compute_cost(self.prices, charge.decode_seconds)
        status, text = json.loads(charge.reply)
        with time_limit(VERIFIER_SECONDS):
            answer = _read(tab.stratum.verifier, text) if status == "solved" else None
        return Solution(status, text, answer, charge.decode_seconds)

    def _sampled(self, key: bytes, kind: str, attempt: Attempt, stratum: str) -> Charge:
        card, usage = self.model.card, attempt.usage
        return Charge(
            key, kind, card.fingerprint, stratum, usage.leads, usage.prompt_tokens, usage.cached_tokens,
            usage.completion_tokens, usage.prefill_seconds, usage.decode_seconds,
            sample_flops(card, usage, with_prompt=usage.leads),
            self.prices.usage(card, usage, with_prompt=usage.leads), attempt.finish, attempt.text,
        )  # fmt: skip

    def _wastes(self, base: bytes, reply: Sampled, stratum: str, *, is_answerable: bool) -> list[Charge]:
        """A row for every wasted call; the first refusal of what was never answered stands for all later asks."""
        standing = not (is_answerable or reply.attempts)
        charges = []
        for waste in reply.waste:
            key = _refusal_key(base) if standing and waste.kind == "refused" else None
            standing = standing and key is None
            charges.append(self._wasted(base, waste, stratum, key))
        return charges

    def _wasted(self, base: bytes, waste: Waste, stratum: str, key: bytes | None = None) -> Charge:
        """A row of its own, however often the same ask is tried, unless it has a key."""
        self._tries += 1
        key = key or _digest(waste.kind, base.hex(), str(time.time_ns()), str(self._tries))
        card = self.model.card
        usage = Usage(waste.prompt_tokens, waste.completion_tokens, None, decode_seconds=waste.seconds)
        return Charge(
            key, waste.kind, card.fingerprint, stratum, True,
            waste.prompt_tokens, None, waste.completion_tokens, 0.0, waste.seconds,
            sample_flops(card, usage, with_prompt=True), self.prices.usage(card, usage, with_prompt=True),
            waste.kind, waste.reason,
        )  # fmt: skip

    def _computed(self, key: bytes, kind: str, source: str, tab: Tab, seconds: float, reply: str) -> Charge:
        usd = self.prices.compute(seconds)
        return Charge(key, kind, source, tab.stratum.name, decode_seconds=seconds, usd=usd, reply=reply)


def _begun(prompt: Prompt) -> str:
    """The part of the assistant's turn that a prompt to be continued holds."""
    return prompt[-1].content if prompt and prompt[-1].role == "assistant" else ""


class _Turn:
    """One flow at a time for what is keyed alike, so that twins pay once."""

    __slots__ = ("_busy", "_key")

    def __init__(self, busy: dict[bytes, asyncio.Event], key: bytes) -> None:
        self._busy, self._key = busy, key

    async def __aenter__(self) -> None:
        while (other := self._busy.get(self._key)) is not None:
            await other.wait()
        self._busy[self._key] = asyncio.Event()

    async def __aexit__(self, *_: object) -> None:
        self._busy.pop(self._key).set()


def _read(verifier: Verifier, text: str) -> str | None:
    try:
        return verifier.read(text)
    except Exception as error:
        raise _broken(verifier, "read", text, error) from error


def _grade(verifier: Verifier, answer: str | None, problem: Problem, reference: object) -> Grade:
    if answer is None:
        return Grade(0.0, parsed=False, note="unparsable")
    try:
        return verifier.check(answer, problem, reference)
    except Exception as error:
        raise _broken(verifier, "check", answer, error) from error


def _broken(verifier: Verifier, verb: str, text: str, error: Exception) -> AskFailed:
    """A grade made up in its place would falsify the study."""
    why = f"{type(error).__name__}: {error}"
    return AskFailed(f"verifier {verifier.name!r} could not {verb} {text[:SHOWN]!r}: {why}")


def _attempt(index: int, charge: Charge) -> Attempt:
    usage = Usage(
        charge.prompt_tokens, charge.completion_tokens, charge.cached_tokens,
        charge.prefill_seconds, charge.decode_seconds, charge.leads,
    )  # fmt: skip
    return Attempt(index, charge.reply, charge.finish, usage)


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(), digest_size=KEY_BYTES).digest()


def _attempt_key(base: bytes, index: int) -> bytes:
    return blake2b(index.to_bytes(8, "little"), key=base, digest_size=KEY_BYTES).digest()


def _refusal_key(base: bytes) -> bytes:
    return _digest("refused", base.hex())


def _prompt_text(prompt: Prompt) -> str:
    return json.dumps([[message.role, message.content] for message in prompt])


def _runs(indices: Sequence[int]) -> list[tuple[int, int]]:
    """Contiguous runs as (start, length)."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and sum(runs[-1]) == index:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((index, 1))
    return runs
