"""Numbers and strangers' text, put into words for people.

Text from a model may hold markup, terminal codes, control characters and marks that turn the reading
order round: `safe` escapes the first and makes the others visible. Whatever a study holds passes through it.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from trueup.plan import words as plain

UNKNOWN = "unknown"
DASH, TIMES = "\u2013", "\u00d7"
PERCENT = "\u202f%"
"""A percent sign that stays beside its number."""
floored = partial(plain.floored, sign=PERCENT)
as_given = partial(plain.as_given, sign=PERCENT)
THOUSAND = 1000
SECONDS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
LARGE = ((1e24, "Y"), (1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
CONTROLS = (
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI",
    "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
)  # fmt: skip
NAMED = {code: f"⟨{name}⟩" for code, name in enumerate(CONTROLS) if name not in ("TAB", "LF")} | {0x7F: "⟨DEL⟩"}
HIDDEN = re.compile(
    "[\x80-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\ufffe\uffff]"
    "|[\U000e0000-\U000e007f]"
)


def visible(text: object) -> str:
    """The text with every character that hides or acts shown by its name or code point."""
    return HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", str(text).translate(NAMED))


def safe(text: object) -> str:
    """The text ready for HTML, inside an element or a quoted attribute."""
    return html.escape(visible(text))


def breakable(name: object) -> str:
    """A name ready for HTML, which may break after its underscores, slashes and dots, and within a long part."""
    return re.sub(r"([_/.]|[^\W_]{20})(?=\w)", r"\1<wbr/>", safe(name))


def prose(text: object) -> str:
    """A sentence ready for HTML: percent signs stay beside their numbers, what stands in backticks is code."""
    sentence = safe(re.sub(r"(?<=\d) %", PERCENT, str(text)))
    return re.sub(r"`([^`]{1,80})`", r"<code>\1</code>", sentence)


def exact(value: object) -> str:
    """The value as study.json writes it, for a data attribute."""
    return value if isinstance(value, str) else json.dumps(value)


def known(value: float | None) -> bool:
    """Whether there is a number at all."""
    return value is not None and math.isfinite(value)


def percent(share: float | None) -> str:
    """A share as a whole percentage; with a decimal where it would round to nothing or all."""
    if share is None or not known(share):
        return UNKNOWN
    points = 100 * share
    if 0 < abs(points) < 0.05:
        return f"<\u202f0.1{PERCENT}" if points > 0 else f"0{PERCENT}"
    return f"{points:.1f}{PERCENT}" if 0 < abs(points) < 1 or 99 < abs(points) < 100 else f"{points:.0f}{PERCENT}"


def interval(pair: list[float | None] | None) -> str:
    """An interval of shares: `31-69 %`."""
    if not pair or not (known(pair[0]) and known(pair[1])):
        return "no interval"
    ends = [percent(end) for end in pair]
    low = ends[0].removesuffix(PERCENT)
    return f"{low}\u2009{DASH}\u2009{ends[1]}" if "-" not in low else f"{low} to {ends[1]}"


def dollars(usd: float | None) -> str:
    """Dollars with the digits a person wants: two significant ones below a dollar."""
    if usd is None or not known(usd):
        return UNKNOWN
    size = abs(usd)
    if size == 0:
        return "$0"
    if size < 1e-7:
        digits, power = f"{usd:.1e}".split("e")
        return f"${digits} {TIMES} 10{str(int(power)).translate(SUPERSCRIPT)}"
    if size < 1:
        return f"${usd:.{max(2, 1 - math.floor(math.log10(size)))}f}"
    return f"${usd:,.2f}" if size < 100 else f"${usd:,.0f}"


def per_thousand(usd: float | None) -> str:
    """Dollars a request, as dollars for a thousand of them."""
    return dollars(None if usd is None else usd * THOUSAND)


def count(value: float | None) -> str:
    """A number of things, with thousands separated; a mean keeps one decimal while it is small."""
    if value is None or not known(value):
        return UNKNOWN
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}"


def tick_dollars(usd: float) -> str:
    """Dollars at a tick, a round number: $0.01, $100, $10k."""
    return f"${short(usd)}" if usd >= 1 else f"${usd:.12f}".rstrip("0")


def short(value: float) -> str:
    """A large number for an axis: 500, 20k, 1M."""
    for size, letter in LARGE:
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that keeps the number small."""
    if seconds is None or not known(seconds):
        return UNKNOWN
    size, unit = next(((s, u) for s, u in SECONDS if abs(seconds) >= s), (1.0, "s"))
    return f"{seconds / size:.3g}\u202f{unit}"


def operations(flops: float | None) -> str:
    """FLOPs with a prefix: `33 GFLOP`."""
    if flops is None or not known(flops):
        return UNKNOWN
    size, letter = next(((s, letter) for s, letter in LARGE if abs(flops) >= s), (1.0, ""))
    return f"{flops / size:.3g}\u202f{letter}FLOP"


def is_barred(point: Mapping[str, Any]) -> bool:
    """Whether an arm cannot be served: it saw the reference, needs many requests at once, or failed on every item."""
    return bool(point["oracle"] or point.get("batch") or point.get("failures", 0) == point.get("n"))


def plural(number: int, noun: str, nouns: str = "") -> str:
    """A number with its noun: `1 item`, `2 items`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def certificate(row: Mapping[str, Any] | None) -> str:
    """The certificate of a stratum in plain words."""
    if row is None:
        return "uncertified: no certificate was asked for"
    if row["status"] == "certified":
        return f"certified: at least {floored(row['bound'])} right with {floored(1 - row['delta'])} confidence"
    if row["needs"] is not None:
        return f"uncertified: needs {plural(row['needs'], 'item')}, looked at once"
    if not row["n"]:
        return "uncertified: no item was held out"
    return f"uncertified: {row['right']:,} of {plural(row['n'], 'held-out item')} right"
