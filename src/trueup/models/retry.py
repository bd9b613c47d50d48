"""When a call is tried again, and after how long."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from trueup.core.roles import Waste

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
PATIENCE_SECONDS = 120.0
WORTH_ANOTHER_TRY = {408, 409, 429}
FAULTS_OF_THE_REQUEST = {400, 413, 422}
FAULTS_OF_A_FIELD = {400, 422}
MENDS = {
    "temperature": "set temperature to 1 in the task or the request, and leave greedy out, if it takes no other",
    "top_p": "set top_p to 1 in the task or the request, if it takes no other",
    "stop": "leave stop out of the task or the request, if it takes none",
}
"""What to do, by the field that is blamed: to sample otherwise than was asked is not ours to decide."""

_STATUS = re.compile(r" answered (\d{3}): ")
_RETRY_AFTER = re.compile(r" \(retry after ([0-9.]+) s\)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that brought nothing; `status` is None where no answer came, `param` what the endpoint blames.

    The tokens and the engine are as far as an answer had told them.
    """

    url: str
    status: int | None
    detail: str
    may_retry: bool
    is_unreachable: bool = False
    param: str | None = None
    retry_after: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    engine: str | None = None

    def waste(self, kind: str, seconds: float) -> Waste:
        """The call as it goes on record."""
        return Waste(kind, str(self), self.prompt_tokens, self.completion_tokens, seconds, self.engine)

    @property
    def is_for_good(self) -> bool:
        """Whether the request itself is at fault, so that the same one would be refused again."""
        return self.status in FAULTS_OF_THE_REQUEST and not self.may_retry

    def may_blame(self, field: str) -> bool:
        """Whether this field of the request may be at fault: it is named, or none is."""
        return self.status in FAULTS_OF_A_FIELD and self.param in (None, field)

    def blames_another(self, field: str) -> bool:
        """Whether a field is named, and it is not this one."""
        return self.status in FAULTS_OF_A_FIELD and self.param not in (None, field)

    def __str__(self) -> str:
        """One line that `read_refusal` can read back."""
        if self.status is None:
            return f"{self.url} {self.detail}"
        wait = "" if self.retry_after is None else f" (retry after {self.retry_after:.3f} s)"
        mend = MENDS.get(self.param or "") if self.is_for_good else None
        told = f"{self.detail.rstrip('.')}; {mend}" if mend else self.detail
        return f"{self.url} answered {self.status}: {told}{wait}"


def read_refusal(reason: str) -> tuple[int | None, float | None]:
    """The status and the Retry-After seconds of the first refusal told in a failure's reason."""
    status, wait = _STATUS.search(reason), _RETRY_AFTER.search(reason)
    return int(status[1]) if status else None, float(wait[1]) if wait else None


def may_retry(status: int, headers: Mapping[str, str]) -> bool:
    """Whether trying again can help: the endpoint's word if it gives one, else by status."""
    word = headers.get("x-should-retry")
    if word in ("true", "false"):
        return word == "true"
    return status in WORTH_ANOTHER_TRY or status >= 500


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that an endpoint asks to wait, from `retry-after-ms` or `Retry-After`; `now` is Unix time."""
    milliseconds, text = headers.get("retry-after-ms"), headers.get("retry-after")
    if milliseconds is not None and (wait := _number(milliseconds)) is not None:
        return wait / 1000
    if text is None:
        return None
    if (wait := _number(text)) is not None:
        return wait
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        return None


def pause_seconds(tries: int, asked: float | None, seed: int) -> float:
    """How long to wait before try number `tries` (1 is the first repetition).

    What the endpoint asked for and up to a tenth more; else doubling from half a second to eight, less up to
    a quarter. The part drawn from the seed keeps calls that failed together from returning together.
    """
    drawn = random.Random(f"{seed} {tries}").random()
    if asked is not None:
        return asked * (1 + drawn / 10)
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (tries - 1)) * (1 - drawn / 4)


def _number(text: str) -> float | None:
    try:
        wait = float(text)
    except ValueError:
        return None
    return wait if 0 <= wait < float("inf") else None
