r"""One number, whatever its notation: 1,000 = 1000.0, 0.50 = 1/2.

Read from the last \boxed{}, else after #### or "answer is", whichever stands later, else the last number of the text. A
reference in which none of these marks it must hold one number alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from trueup.core.errors import BadInput
from trueup.core.types import Grade, Json, Problem
from trueup.verifiers.marks import boxed, hashed, spoken, untexted

DIGITS_AT_MOST = 300
POWER_DIGITS_AT_MOST = 3
PLAIN = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
NUMBER = re.compile(
    r"(?<!\w)(?<![0-9]\.)(?<![^\W\d]/)"
    r"(?P<sign>(?<![\w)\]}%])[-+])?(?P<currency>[$€£¥])?"
    rf"(?:(?P<whole>[0-9]+) (?=[0-9]+/[0-9]))?(?P<top>{PLAIN})"
    rf"(?:[eE](?P<power>[-+]?[0-9]+)(?!\w))?(?:\s?/\s?(?P<bottom>{PLAIN}))?"
    r"(?:\s?(?P<unit>%|°[CF]?|[^\W\d_]+(?:[/^][^\W_]+)*))?"
)
SAID = re.compile(
    r"\banswer(?:\s+is|\s*\**[:=])[\s:=*_$\\(]*(?:(?:approximately|about|exactly|equal to) )?(?:[a-z]\s*=\s*)?",
    re.IGNORECASE,
)
JOINED = re.compile(r"[^\w\n.,;]*")
PART = r"\s*(?:\{\s*([-+]? *[0-9.]+)\s*\}|([0-9]))"
FRACTION = re.compile(rf"(?P<after>(?<=[0-9]))?\\[dt]?frac{PART}{PART}")
BRACED_POWER = re.compile(r"(?<=\^)\{([0-9]+)\}")
GROUPED = re.compile(r"(?<![\w.,/])[0-9]{1,3}(?: [0-9]{3})+(?![\w/])")
"""Thousands apart, which a final answer alone may have: elsewhere they may be numbers side by side."""
THIN_SPACE = re.compile("(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3})")
BLANKS = r"[^\S\n]*"
RAISED = str.maketrans("\u207b\u207a\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079", "-+0123456789")
POWER_OF_TEN = re.compile(
    r"(?<![\w./^])(?<!/\s)"
    rf"(?:(?P<factor>{PLAIN}){BLANKS}(?:[*x\u00d7\u00b7\u22c5]|\\times|\\cdot){BLANKS})?10"
    rf"(?:(?:{BLANKS}\^{BLANKS}|\*\*(?:(?<!\*\*10\*\*)|(?=[0-9]+\*\*)))(?P<power>[-+]?[0-9]+(?!\w|\.[0-9]))"
    rf"|{BLANKS}\^{BLANKS}\{{\s*(?P<braced>[-+]?[0-9]+)\s*\}}(?!\.?[0-9])"
    rf"|(?P<raised>[\u207b\u207a]?[{''.join(map(chr, RAISED))[2:]}]+)(?![{''.join(map(chr, RAISED))}]|\.?[0-9]))"
)
"""Of `**` only a power: 10** and **10**2 are Markdown's bold."""
SIGN_APART = re.compile(
    r"((?:####|=|\bis|\banswer\s*\**:|box(?:ed)?\s*\{)[ \t*_:$({\[\\]*[-+])[ \t]+(?=[$\u20ac\u00a3\u00a5]?\.?[0-9])",
    re.IGNORECASE,
)
"""Blanks behind a sign that is neither a subtraction's nor the dash of a list."""
OPERATOR = re.compile(r"\\(times|cdot|div)(?![A-Za-z])")
OPERATORS = {"times": "\u00d7", "cdot": "\u00b7", "div": "\u00f7"}
TYPESET = {
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2212": "-",
    "{,}": ",", r"\,": "", r"\!": "", r"\$": "$", r"\%": "%", "~": " ",
    r"\left": "", r"\right": "", r"^\circ": "°",
}  # fmt: skip
PERCENT = {"percent", "pct", "percentage"}


@dataclass(frozen=True, slots=True)
class Number:
    """Implements Verifier by comparing exact fractions; made by `number`."""

    units: bool
    tolerance: Fraction
    name: str
    needs_reference: bool = True

    def read(self, text: str) -> str | None:
        """The final number as a fraction in lowest terms, with `%` where it is a percentage."""
        said = spoken(text)
        if said is None:
            return None
        plain = _plain(said)
        marked = _marked(plain)
        return self._only(_alone(plain) or list(NUMBER.finditer(plain))[-1:] if marked is None else marked)

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 for the reference's value, give or take the tolerance."""
        right = self.read_reference(reference)
        if right is None:
            raise BadInput(
                f"item {problem.id!r}: the reference {reference!r} is not one number; mend it or take `exact`"
            )
        (value, unit), (wanted, its_unit) = _split(answer), _split(right)
        return Grade(float(unit == its_unit and abs(value - wanted) <= self.tolerance))

    def read_reference(self, reference: Json) -> str | None:
        """What `read` finds where a mark says which number is meant, else the only one; None where there are more."""
        plain = _plain(spoken(str(reference)) or "")
        line = hashed(plain)
        plain = (line[1].strip() if line else "") or plain
        marked = _marked(plain)
        return self._only(list(NUMBER.finditer(grouped(plain))) if marked is None else marked)

    def read_stated(self, line: str) -> str | None:
        """The number that a line behind a mark begins with, as `read` finds it there."""
        return self._only(_stated(f"answer is {_plain(line)}"))

    def _only(self, found: list[re.Match[str]]) -> str | None:
        return self._key(found[0]) if len(found) == 1 else None

    def _key(self, match: re.Match[str]) -> str | None:
        top, bottom = match["top"].replace(",", ""), (match["bottom"] or "1").replace(",", "")
        power, whole = match["power"] or "0", match["whole"] or "0"
        is_long = max(len(top) + len(bottom), len(whole)) > DIGITS_AT_MOST
        if is_long or len(power.lstrip("+-0")) > POWER_DIGITS_AT_MOST or not Fraction(bottom):
            return None
        value = Fraction(top) / Fraction(bottom) * Fraction(10) ** int(power) + int(whole)
        unit = match["unit"] or match["currency"] or ""
        if unit.casefold() in PERCENT:
            unit = "%"
        shown = unit if unit == "%" else f" {unit}" if self.units and unit else ""
        return f"{-value if match['sign'] == '-' else value}{shown}"


def number(*, units: bool = False, tolerance: float = 0.0) -> Number:
    """Compare numbers exactly; 50% differs from 50 and from 0.5.

    `units` makes the word or currency beside the number part of the answer, otherwise it is left out;
    `tolerance` is the largest absolute difference that still counts as right.
    """
    if not 0 <= tolerance < float("inf"):
        raise BadInput(f"number tolerance is {tolerance}; it takes 0 or more")
    settings = ["units"] * units + [f"tolerance={tolerance}"] * (tolerance > 0)
    return Number(units, Fraction(str(tolerance)), " ".join(["number", *settings]))


def grouped(text: str) -> str:
    """The text with thousands that stand apart joined: 1 000 as 1000."""
    return GROUPED.sub(lambda match: match[0].replace(" ", ""), text)


def _marked(plain: str) -> list[re.Match[str]] | None:
    """The numbers that a mark of the text says are final; None where it has no mark with a number."""
    if (box := boxed(plain)) is not None:
        return list(NUMBER.finditer(grouped(box.rpartition("=")[2])))
    line = hashed(plain)
    stated = _stated(plain if line is None else plain[line.start() :])
    if stated or line is None:
        return stated or None
    told = grouped(line[1])
    return _result(told) or list(NUMBER.finditer(told))[:1]


def _alone(plain: str) -> list[re.Match[str]]:
    """The number that is all of the text, alone in a list."""
    whole = NUMBER.fullmatch(grouped(plain.strip()))
    return [whole] if whole else []


def _stated(text: str) -> list[re.Match[str]]:
    """The number right after the last "answer is", alone in a list; of a sum written out there, its result."""
    results = (_result(grouped(text[m.end() :].partition("\n")[0])) for m in reversed(list(SAID.finditer(text))))
    return next(filter(None, results), [])


def _result(line: str) -> list[re.Match[str]]:
    """The number that a line begins with, alone in a list; of an equation the last side that is one number."""
    sides: list[list[re.Match[str]]] = [[]]
    end = 0
    for match in NUMBER.finditer(line):
        between = line[end : match.start()]
        if not JOINED.fullmatch(between):
            break
        if "=" in between:
            sides.append([])
        sides[-1].append(match)
        end = match.end()
    return ([side for side in sides if len(side) == 1] or sides)[-1][:1]


def _plain(text: str) -> str:
    """The text without typesetting, so that one pattern finds its numbers."""
    for mark, plain in TYPESET.items():
        text = text.replace(mark, plain)
    text = POWER_OF_TEN.sub(_with_exponent, THIN_SPACE.sub("", FRACTION.sub(_slashed, text)))
    text = OPERATOR.sub(lambda match: OPERATORS[match[1]], SIGN_APART.sub(r"\1", text))
    return BRACED_POWER.sub(r"\1", untexted(text))


def _with_exponent(match: re.Match[str]) -> str:
    power = match["power"] or match["braced"] or match["raised"].translate(RAISED)
    is_beside_a_word = re.match(r"\w", match.string[match.end() : match.end() + 1])
    return f"{match['factor'] or '1'}e{power}{' ' if is_beside_a_word else ''}"


def _slashed(match: re.Match[str]) -> str:
    """The fraction with its sign in front; as it stands where another sign stands there."""
    parts = [match[2] or match[3], match[4] or match[5]]
    sign = "-" if "".join(parts).count("-") == 1 else ""
    is_signed = any(part[0] in "-+" for part in parts)
    if is_signed and match.string[: match.start()].rstrip().endswith(("-", "+")):
        return match[0]
    top, bottom = (part.lstrip("-+ ") for part in parts)
    return f"{' ' if is_signed or match['after'] is not None else ''}{sign}{top}/{bottom}"


def _split(key: str) -> tuple[Fraction, str]:
    value, space, unit = key.rstrip("%").partition(" ")
    return Fraction(value), "%" if key.endswith("%") else unit if space else ""
