"""What an ask costs: tokens, seconds, FLOPs, dollars; unknown stays unknown.

FLOP formula `dense-v1` (decision science of dense transformers; 2 FLOPs a multiply-add):
prefill 2 N P + 2 l d P^2, decode of L tokens behind P: 2 N L + 4 l d (P L + L^2 / 2),
with N parameters, l layers, d = heads x head size. The prompt counts once a call, whatever a cache held.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from trueup.core.errors import BadInput, UnknownName
from trueup.core.roles import ModelCard
from trueup.core.types import Usage

FLOP_FORMULA = "dense-v1"
NANO = 1_000_000_000
HOUR_NANOSECONDS = 3600 * NANO
MILLION = 1_000_000
DEAREST = Decimal(1_000_000)
"""The most dollars that an hour or a million tokens may cost: a ledger could not hold the sums of much more."""
KEYS = ("date", "note", "core_hour", "gpu_hour", "models")
RATES = ("prompt_per_million", "completion_per_million", "cached_per_million")
"""What a price file, and its table of a model, may say."""
CPU, GPU = "cpu", "gpu"
"""The billings of what runs on this machine: by core-seconds, and by the seconds that it holds a GPU for."""
HERE = (CPU, GPU)

N = TypeVar("N", int, Decimal)


@dataclass(frozen=True, slots=True)
class Cost:
    """A sum of charges; None where any part of it is unknown.

    `seconds` are core-seconds for what runs here, waiting time for what is bought.
    """

    calls: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    flops: int | None = 0
    seconds: float = 0.0
    usd: Decimal | None = Decimal(0)

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.calls + other.calls,
            _plus(self.prompt_tokens, other.prompt_tokens),
            _plus(self.completion_tokens, other.completion_tokens),
            _plus(self.flops, other.flops),
            self.seconds + other.seconds,
            _plus(self.usd, other.usd),
        )


def _plus(a: N | None, b: N | None) -> N | None:
    return None if a is None or b is None else a + b


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Dollars per million tokens."""

    prompt: Decimal
    completion: Decimal
    cached: Decimal


@dataclass(frozen=True, slots=True)
class Prices:
    """A dated price list: dollars a core-hour and a GPU-hour for what runs here, dollars a token for what is bought.

    `gpu_hour` None is unknown; it pays for all that the GPU is held for, the cores beside it included.
    """

    date: str
    core_hour: Decimal
    models: Mapping[str, TokenPrice] = field(default_factory=dict)
    note: str = ""
    gpu_hour: Decimal | None = None

    def compute(self, seconds: float) -> Decimal:
        """Dollars for so many core-seconds of this machine."""
        return self.core_hour * round(seconds * NANO) / HOUR_NANOSECONDS

    def held(self, gpu_seconds: float) -> Decimal | None:
        """Dollars for so many seconds of one GPU, None where no GPU-hour has a price."""
        return None if self.gpu_hour is None else self.gpu_hour * round(gpu_seconds * NANO) / HOUR_NANOSECONDS

    def worked(self, seconds: float, billing: str) -> Decimal | None:
        """Dollars for so many seconds of this machine: of its GPU where that is the billing, else of its cores."""
        return self.held(seconds) if billing == GPU else self.compute(seconds)

    def tokens(self, billing: str, prompt: int | None, completion: int | None, cached: int | None) -> Decimal | None:
        """Dollars for bought tokens; None where the model has no price or a count is unknown."""
        price = self.models.get(billing)
        if price is None or prompt is None or completion is None:
            return None
        hit = min(cached or 0, prompt)
        return (price.prompt * (prompt - hit) + price.cached * hit + price.completion * completion) / MILLION

    def usage(self, card: ModelCard, usage: Usage, *, with_prompt: bool) -> Decimal | None:
        """Dollars for one sample, with or without the prefill of its prompt."""
        seconds = usage.decode_seconds + (usage.prefill_seconds if with_prompt else 0.0)
        if card.billing in HERE:
            return self.worked(seconds, card.billing)
        prompt = usage.prompt_tokens if with_prompt else 0
        return self.tokens(card.billing, prompt, usage.completion_tokens, usage.cached_tokens)


def sample_flops(card: ModelCard, usage: Usage, *, with_prompt: bool) -> int | None:
    """FLOPs of one sample by `dense-v1`; None where the model's shape or a count is unknown."""
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    if None in (card.parameters, card.layers, card.width, prompt, completion):
        return None
    assert card.parameters and card.layers and card.width and prompt is not None and completion is not None
    reach = card.layers * card.width
    decode = 2 * card.parameters * completion + 4 * reach * prompt * completion + 2 * reach * completion**2
    prefill = 2 * card.parameters * prompt + 2 * reach * prompt**2
    return decode + (prefill if with_prompt else 0)


def sample_cost(card: ModelCard, prices: Prices, usage: Usage, *, with_prompt: bool) -> Cost:
    """The cost of one sample; `with_prompt` on the first of a call."""
    return Cost(
        calls=int(with_prompt),
        prompt_tokens=usage.prompt_tokens if with_prompt else 0,
        completion_tokens=usage.completion_tokens,
        flops=sample_flops(card, usage, with_prompt=with_prompt),
        seconds=usage.decode_seconds + (usage.prefill_seconds if with_prompt else 0.0),
        usd=prices.usage(card, usage, with_prompt=with_prompt),
    )


def billing_on(device: str) -> str:
    """The billing of what runs on a device of this machine, named as torch does."""
    return CPU if device == CPU else GPU


def most_a_call(card: ModelCard, usages: Iterable[Usage]) -> int | None:
    """How many such samples one call takes at most, with one prompt to pay; None where it takes any number."""
    return card.per_call if all(usage.takes_n for usage in usages) else 1


def compute_cost(prices: Prices, seconds: float, billing: str = CPU) -> Cost:
    """The cost of a check, a rating or a solve: seconds on this machine, no tokens, FLOPs not counted."""
    return Cost(calls=1, seconds=seconds, usd=prices.worked(seconds, billing))


def read_prices(path: Path) -> Prices:
    """The price list in a TOML file.

    Raises BadInput where the file cannot be read, is undated, has a key that is none of a price list's, or a price is
    no number from 0 to `DEAREST`.
    """
    table = _table(path)
    _check_keys(f"key of {path}", table, KEYS)
    if "date" not in table:
        raise BadInput(f'{path}: prices need a date; add date = "YYYY-MM-DD"')
    rows = table.get("models", {})
    if not isinstance(rows, dict):
        raise BadInput(f"{path}: models is {rows!r}; write a table [models.NAME] for each model")
    models = {name: _token_price(path, name, row) for name, row in rows.items()}
    core_hour = _dollars(path, "core_hour", table.get("core_hour"))
    gpu_hour = _dollars(path, "gpu_hour", table["gpu_hour"]) if "gpu_hour" in table else None
    return Prices(str(table["date"]), core_hour, models, str(table.get("note", "")), gpu_hour)


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise BadInput(f"no price file {str(path)!r}; give one with --prices, or leave it out") from None
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error.strerror}; give a price file in TOML") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not valid TOML: {error}") from None


def _check_keys(what: str, table: Mapping[str, object], known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            raise UnknownName(what, key, known)


def _token_price(path: Path, name: str, row: object) -> TokenPrice:
    if not isinstance(row, dict):
        raise BadInput(f"{path}: models.{name} is {row!r}; write a table with prompt_per_million and the like")
    _check_keys(f"key of models.{name} in {path}", row, RATES)
    prompt = row.get("prompt_per_million")
    return TokenPrice(
        prompt=_dollars(path, f"{name}.prompt_per_million", prompt),
        completion=_dollars(path, f"{name}.completion_per_million", row.get("completion_per_million")),
        cached=_dollars(path, f"{name}.cached_per_million", row.get("cached_per_million", prompt)),
    )


def _dollars(path: Path, name: str, value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise BadInput(f"{path}: {name} is {value!r}; write dollars as a number of 0 or more")
    if amount > DEAREST:
        raise BadInput(f"{path}: {name} is {value!r}; write {DEAREST:,} dollars or less")
    return amount
