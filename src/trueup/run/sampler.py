"""Attempts from a model or from the ledger, every call of the model charged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from trueup.core.asks import Sample, Until
from trueup.core.charge import Charge
from trueup.core.cost import Cost, Prices, most_a_call, sample_cost, sample_flops
from trueup.core.errors import AskFailed, BadInput
from trueup.core.ledger import Ledger
from trueup.core.roles import Model, ModelCard, Sampled, Waste
from trueup.core.types import Attempt, Sampling, Usage
from trueup.run.keys import Turn, attempt_key, digest, runs
from trueup.run.purchase import Purchase, Reader
from trueup.run.tab import Tab

FAILURES = ("failed", "refused")
"""What kinds of waste an ask lacks attempts by."""


@dataclass(slots=True)
class Sampler:
    """Answers samples; `busy` keeps twins apart, `fresh_calls` counts the calls of a model."""

    ledger: Ledger
    prices: Prices
    busy: dict[bytes, asyncio.Event]
    fresh_calls: int = 0
    _tries: int = 0
    _lengths: dict[bytes, int | None] = field(default_factory=dict)
    _refused: dict[bytes, Waste] = field(default_factory=dict)
    _answered: set[bytes] = field(default_factory=set)
    _engines: dict[tuple[str, str], dict[str, set[bytes]]] = field(default_factory=dict)

    async def buy(self, ask: Sample, model: Model, sampling: Sampling, tab: Tab, read: Reader) -> tuple[Attempt, ...]:
        """The attempts that an ask wants, paid for once, each with the answer that `read` finds in its text.

        The tab is charged what they would have cost had nothing been in the ledger but what it has paid for, and calls
        that failed, as far as is told what they used. Tries that were repeated are on the ledger alone: an attempt that
        is found there does not tell how many there were. So are failed calls of an earlier run, where this one makes
        them again: a run that was killed goes on at the price of one that was not. A model that makes no call, and says
        so by a reply without attempts or waste, leaves an ask what its last try cost, and why it failed. Raises
        AskFailed where there is none at all or one cannot be read, BadInput for an ask of fewer than one.
        """
        if ask.n < 1:
            raise BadInput(f"n is {ask.n}; a method must ask for at least one attempt")
        purchase = Purchase.of(ask, model, sampling, tab.stratum.name, read, self.ledger)
        lost: list[Waste] = []
        try:
            attempts = await self._in_turn(purchase, lost)
        except AskFailed:
            self._charge(purchase, [_attempt(i, charge) for i, charge in self._found(purchase).items()], lost, tab)
            raise
        self._charge(purchase, attempts, lost, tab)
        self._tell_apart(purchase, attempts)
        if not attempts:
            told = "; ".join(dict.fromkeys(waste.reason for waste in lost))
            raise AskFailed(told or "the model returned no sample")
        return tuple(attempts)

    def engines(self, stratum: str) -> dict[str, dict[str, int]]:
        """How many attempts of a stratum came from each engine that an endpoint named, by the model's fingerprint."""
        return {
            model: {engine: len(keys) for engine, keys in sorted(told.items())}
            for (name, model), told in sorted(self._engines.items())
            if name == stratum
        }

    def _tell_apart(self, purchase: Purchase, attempts: Sequence[Attempt]) -> None:
        """Note the engines of attempts, found ones too: each attempt counts once, however many methods want it."""
        for attempt in attempts:
            if attempt.engine is not None:
                told = self._engines.setdefault((purchase.stratum, purchase.model.card.fingerprint), {})
                told.setdefault(attempt.engine, set()).add(purchase.twins[attempt.index])

    async def _in_turn(self, purchase: Purchase, lost: list[Waste]) -> list[Attempt]:
        """What is asked for, behind asks for the same attempts, and behind all of its sample until one was answered.

        Till then a refusal may come that stands for all of them.
        """
        async with AsyncExitStack() as turns:
            for key in purchase.keys.values():
                await turns.enter_async_context(Turn(self.busy, key))
            async with Turn(self.busy, purchase.base):
                if purchase.base not in self._answered:
                    return await self._bought(purchase, lost)
            return await self._bought(purchase, lost)

    async def _bought(self, purchase: Purchase, lost: list[Waste]) -> list[Attempt]:
        until = purchase.ask.until
        return await (self._all(purchase, lost) if until is None else self._enough(purchase, until, lost))

    async def _all(self, purchase: Purchase, lost: list[Waste]) -> list[Attempt]:
        """Every attempt of the purchase, those that are missing in as few calls as can be."""
        attempts = self._known(purchase)
        missing = [index for index in purchase.keys if index not in attempts]
        lost += self._refusals(purchase) if missing else []
        for start, n in runs(missing) if not lost else ():
            lost += await self._call(purchase, start, n, attempts)
        return [attempts[index] for index in sorted(attempts)]

    async def _enough(self, purchase: Purchase, until: Until, lost: list[Waste]) -> list[Attempt]:
        """The first beginning that suffices; calls that are on their way then are cancelled.

        Raises the AskFailed of a call that would have to be known for that.
        """
        attempts = self._known(purchase)
        failed: dict[int, AskFailed | None] = {}
        lost += self._refusals(purchase)
        missing = [index for index in purchase.keys if index not in attempts] if not lost else []
        calls: dict[asyncio.Task[list[Waste]], int] = {}
        try:
            while (kept := purchase.beginning(attempts, failed, until)) is None and (missing or calls):
                width = len(missing) if purchase.is_race else 1 - len(calls)
                for index in missing[:width]:
                    calls[asyncio.create_task(self._call(purchase, index, 1, attempts))] = index
                missing = missing[width:]
                done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                for call in done:
                    index = calls.pop(call)
                    try:
                        lost += call.result()
                        failed |= dict.fromkeys({index} - attempts.keys())
                    except AskFailed as error:
                        failed[index] = error
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        return kept if kept is not None else [attempts[index] for index in sorted(attempts)]

    async def _call(self, purchase: Purchase, start: int, n: int, attempts: dict[int, Attempt]) -> list[Waste]:
        """One call of the model, committed; adds its attempts to those there are and returns what failed.

        One that is cancelled on the way is on the ledger all the same, its prompt estimated by its siblings'. Where the
        model makes none, what failed is what did before.
        """
        self.fresh_calls += 1
        try:
            reply = await purchase.model.sample(purchase.ask.prompt, n, start, purchase.sampling)
        except asyncio.CancelledError as gone:
            self.ledger.post(self._left(purchase, gone))
            raise
        if not (reply.attempts or reply.waste):
            self.fresh_calls -= 1
            return purchase.tries.before()
        charges = [self._sampled(purchase, attempt) for attempt in reply.attempts]
        charges += self._wastes(purchase, reply, is_answerable=bool(attempts) or purchase.base in self._answered)
        await self.ledger.commit(charges)
        if reply.attempts:
            self._answered.add(purchase.base)
        answers = purchase.read([attempt.text for attempt in reply.attempts])
        attempts.update({a.index: replace(a, answer=read) for a, read in zip(reply.attempts, answers, strict=True)})
        if purchase.ask.until is not None and reply.attempts:
            self._lengths[purchase.base] = reply.attempts[0].usage.prompt_tokens
        return [waste for waste in reply.waste if waste.kind in FAILURES]

    def _left(self, purchase: Purchase, gone: asyncio.CancelledError) -> list[Charge]:
        """What a cancelled call owes: as its model tells, who may know that none was made; else one of unknown use.

        A prompt that nobody told is estimated by its siblings'.
        """
        unknown = Sampled((), (Waste("cancelled", "the caller left before the reply"),))
        reply = next((told for told in gone.args if isinstance(told, Sampled)), unknown)
        charges = [self._sampled(purchase, attempt) for attempt in reply.attempts]
        for waste in reply.waste:
            is_cut = waste.kind == "cancelled"
            if is_cut and waste.prompt_tokens is None:
                waste = replace(waste, prompt_tokens=self._lengths.get(purchase.base))
            charges.append(self._wasted(purchase, waste, is_estimated=is_cut))
        return charges

    def _known(self, purchase: Purchase) -> dict[int, Attempt]:
        charges = self._found(purchase)
        answers = purchase.read([charge.reply for charge in charges.values()]) if charges else []
        return {i: _attempt(i, charge, read) for (i, charge), read in zip(charges.items(), answers, strict=True)}

    def _found(self, purchase: Purchase) -> dict[int, Charge]:
        """The attempts that are on the ledger, without log-probabilities where these were not asked for."""
        firsts = {attempt_key(base, 0) for base in (purchase.base, purchase.telling)}
        found = self.ledger.find([*{*purchase.keys.values(), *purchase.twins.values(), *firsts}])
        if found:
            self._answered.add(purchase.base)
        told = {
            index: replace(found[twin], logprob=None, drawn_logprob=None)
            for index, twin in purchase.twins.items()
            if twin in found
        }
        own = {index: found[key] for index, key in purchase.keys.items() if key in found}
        return dict(sorted((told | own).items()))

    def _refusals(self, purchase: Purchase) -> list[Waste]:
        return [self._refused[purchase.base]] if purchase.base in self._refused else []

    def _charge(self, purchase: Purchase, attempts: Sequence[Attempt], lost: Sequence[Waste], tab: Tab) -> None:
        """Put an ask by itself on the tab: the calls that each run of new attempts takes; with `until` each is a call.

        Calls that a race would have cancelled, or that failed in one, are estimated: their prompt, and as many tokens
        as the longest attempt that was waited for.
        """
        card = purchase.model.card
        most = most_a_call(card, [attempt.usage for attempt in attempts]) if purchase.ask.until is None else 1
        unpaid = [index for index, key in purchase.keys.items() if tab.paid.isdisjoint((key, purchase.twins[index]))]
        new = {attempt.index: attempt.usage for attempt in attempts if attempt.index in unpaid}
        cost = Cost()
        for start, n in runs(unpaid, most):
            for place, usage in enumerate(new[index] for index in range(start, start + n) if index in new):
                cost += sample_cost(card, self.prices, usage, with_prompt=place == 0)
        if purchase.is_race and new:
            late = _longest(list(new.values()))
            for _ in range(len(unpaid) - len(new)):
                cost += sample_cost(card, self.prices, late, with_prompt=True)
        else:
            cost = sum((self._told_cost(card, waste) for waste in lost if waste.kind == "failed"), cost)
        tab.pay([purchase.keys[index] for index in new], cost)

    def _told_cost(self, card: ModelCard, waste: Waste) -> Cost:
        """What a call that brought nothing cost at least: what nobody told is unknown on its row, not in every sum."""
        usage = Usage(waste.prompt_tokens or 0, waste.completion_tokens or 0, None, decode_seconds=waste.seconds)
        return sample_cost(card, self.prices, usage, with_prompt=_leads(waste))

    def _sampled(self, purchase: Purchase, attempt: Attempt) -> Charge:
        card, usage = purchase.model.card, attempt.usage
        return Charge(
            purchase.keys[attempt.index], purchase.ask.kind, card.fingerprint, purchase.stratum, usage.leads,
            usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens, usage.prefill_seconds,
            usage.decode_seconds, sample_flops(card, usage, with_prompt=usage.leads),
            self.prices.usage(card, usage, with_prompt=usage.leads), attempt.finish, attempt.text, attempt.logprob,
            usage.takes_n, engine=attempt.engine, drawn_logprob=attempt.drawn_logprob,
        )  # fmt: skip

    def _wastes(self, purchase: Purchase, reply: Sampled, *, is_answerable: bool) -> list[Charge]:
        """A row for every wasted call; the first refusal of what was never answered stands for all later asks.

        It does so in this run alone: by the next one whoever refused may have been mended.
        """
        charges = []
        for waste in reply.waste:
            stands = waste.kind == "refused" and not (is_answerable or reply.attempts or purchase.base in self._refused)
            if stands:
                self._refused[purchase.base] = waste
            number = purchase.tries.refusal if stands else purchase.tries.failure
            charges.append(self._wasted(purchase, waste, number() if waste.kind in FAILURES else None))
        return charges

    def _wasted(
        self, purchase: Purchase, waste: Waste, key: bytes | None = None, *, is_estimated: bool = False
    ) -> Charge:
        """A row of its own, however often the same ask is tried, unless it has a key."""
        self._tries += 1
        key = key or digest(waste.kind, purchase.base.hex(), str(time.time_ns()), str(self._tries))
        card: ModelCard = purchase.model.card
        leads = _leads(waste)
        usage = Usage(waste.prompt_tokens, waste.completion_tokens, None, decode_seconds=waste.seconds)
        return Charge(
            key, waste.kind, card.fingerprint, purchase.stratum, leads,
            waste.prompt_tokens, None, waste.completion_tokens, 0.0, waste.seconds,
            sample_flops(card, usage, with_prompt=leads), self.prices.usage(card, usage, with_prompt=leads),
            waste.kind, waste.reason, is_estimated=is_estimated, engine=waste.engine,
        )  # fmt: skip


def _leads(waste: Waste) -> bool:
    """Whether it stands for a call; what is told no prompt is a further choice of one that another row pays for."""
    return waste.prompt_tokens != 0


def _longest(usages: Sequence[Usage]) -> Usage:
    lengths = [usage.completion_tokens for usage in usages]
    known = [length for length in lengths if length is not None]
    return Usage(usages[0].prompt_tokens, max(known) if len(known) == len(lengths) else None)


def _attempt(index: int, charge: Charge, answer: str | None = None) -> Attempt:
    usage = Usage(
        charge.prompt_tokens, charge.completion_tokens, charge.cached_tokens,
        charge.prefill_seconds, charge.decode_seconds, charge.leads, charge.takes_n,
    )  # fmt: skip
    return Attempt(
        index, charge.reply, charge.finish, usage, answer, charge.logprob,
        engine=charge.engine, drawn_logprob=charge.drawn_logprob,
    )  # fmt: skip
