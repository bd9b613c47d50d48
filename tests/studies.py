"""Made-up results of a stratum, written as strings, shared by the tests of the plan.

A pool is a string with a sign per attempt: `r` right, another letter that wrong answer, `?` unread, `-` cut at
the token limit and unread, a capital letter the same as the small one but cut at the token limit.
An arm's results are a string with a sign per item: `r`, another letter, `?`, `_` where it abstained, or `!` for a
failed ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from toys import PRICES

from trueup.core.cost import Cost
from trueup.core.outcome import Measured, Outcome, Pool
from trueup.core.roles import ModelCard
from trueup.core.settings import split_words
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Attempt, Grade, Item, Message, Problem, Usage
from trueup.plan import Wish, assess

CARD = ModelCard("toy", "toy:1", "cpu", parameters=1000, layers=1, width=8)


class Exact:
    """Implements Verifier, as far as the plan looks at one."""

    name = "exact"
    needs_reference = True

    def read(self, text):
        return text

    def check(self, answer, problem, reference):
        return Grade(float(answer == reference))


def measured(
    pools: Sequence[str],
    arms: Mapping[str, str],
    *,
    name: str = "s",
    usd: Mapping[str, str | None] | None = None,
    clusters: Sequence[str] | None = None,
    oracles: Sequence[str] = (),
    guess_options: int | None = None,
    models: Mapping[str, Mapping[str, str]] | None = None,
) -> Measured:
    """The results of a stratum with as many items as there are pools.

    An arm costs $1 and asks the study's own model unless told otherwise.
    """
    groups = clusters or [f"c{i}" for i in range(len(pools))]
    items = tuple(_item(f"i{i}", name, group) for i, group in enumerate(groups))
    known = tuple(_arm(label, (models or {}).get(label, {"": ""})) for label in arms)
    stratum = Stratum(name, items, Exact(), guess_options=guess_options)
    cost = {label: _cost((usd or {}).get(label, "1"), place) for place, label in enumerate(arms)}
    outcomes = tuple(
        _outcome(item, label, sign, cost[label], is_oracle=label in oracles)
        for label, signs in arms.items()
        for item, sign in zip(items, signs, strict=True)
    )
    return Measured(stratum, known, tuple(map(_pool, items, pools)), outcomes)


def study(*strata: Measured, wish: Wish | None = None, samples: int = 16) -> dict:
    """The study.json of these strata."""
    return assess(
        strata, CARD, PRICES, wish or Wish(), task={"name": "t", "seed": 0, "path": "t"}, samples=samples,
        ledger={"charges": 0, "totals": []},
    )  # fmt: skip


def _item(name: str, stratum: str, cluster: str) -> Item:
    return Item(Problem(name, stratum, (Message("user", f"what is {name}?"),)), "r", cluster)


def _arm(label: str, models: Mapping[str, str]) -> Arm:
    method, settings = split_words(label)
    return Arm(method, {key: _typed(value) for key, value in settings.items()}, lambda problem: iter(()), models=models)


def _typed(value: str) -> int | str:
    return int(value) if value.isdigit() else value


def _cost(usd: str | None, place: int) -> Cost:
    return Cost(1, 10 * (place + 1), place, 100, 0.5, None if usd is None else Decimal(usd))


def _pool(item: Item, signs: str) -> Pool:
    attempts = tuple(
        Attempt(i, sign, "length" if sign == "-" or sign.isupper() else "stop", Usage(5, 1, 0, 36.0), _value(sign))
        for i, sign in enumerate(signs)
    )
    return Pool(item, attempts, tuple(_grade(attempt.answer) for attempt in attempts), Cost())


def _outcome(item: Item, label: str, sign: str, cost: Cost, *, is_oracle: bool) -> Outcome:
    if sign == "!":
        return Outcome(item, label, None, Grade(0.0, parsed=False), cost, "500 from upstream", is_oracle)
    return Outcome(item, label, Answer(sign.strip("_"), _value(sign)), _grade(_value(sign)), cost, None, is_oracle)


def _value(sign: str) -> str | None:
    return None if sign in "?-_" else sign.lower()


def _grade(value: str | None) -> Grade:
    return Grade(float(value == "r"), parsed=value is not None)
