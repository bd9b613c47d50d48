"""Mathematical equivalence, by math-verify: (x+1)^2 = x^2+2x+1, sqrt(2)/2 = 1/sqrt(2).

Answers that are equal after expansion share one key, so they vote together; grading asks math-verify for more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trueup.core.errors import BadInput
from trueup.core.types import Grade, Json, Problem
from trueup.verifiers.marks import boxed, hashed, spoken
from trueup.verifiers.number import grouped, number

TEXT_CHARS_AT_MOST = 4_000
DISPLAYED = r"\$\$[^$]+\$\$|\\\[(?s:.+?)\\\]"
SAID = re.compile(rf"\banswer(?:\s+is|\s*\**[:=])[\s:*]*({DISPLAYED}|[^\n]+)", re.IGNORECASE)
INLINE = re.compile(r"\$+([^$]+)\$+|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
SPAN = r"(?:\$+[^$]+\$+|\\\(.+?\\\)|\\\[.+?\\\])"
BEGINNING = re.compile(rf"[\s*_`]*({SPAN}(?:\s*=\s*{SPAN})*)")
WORD = re.compile(r"(?<![\\A-Za-z])(?!sqrt)[A-Za-z]{3,}")
SHORT_WORD = re.compile(r"(?<!\S)(?!d[a-z])[A-Za-z]{2}(?!\S)")
EMPHASIS = re.compile(r"^[\s*_`]+|[\s*_`.]+$")
SPACE = re.compile("(?<=[0-9])(?:\\\\[, ;:]|[~\u00a0\u2009\u202f])(?=[0-9])")
MIXED = re.compile(r"(?<![\w.^/])(?<![A-Za-z] )([0-9]+) +([0-9]+)/([0-9]+)(?![\w/])")
POWERED = re.compile(r"(?<![\w.^\\])([0-9]*\.[0-9]+[eE][-+]?[0-9]+|[0-9]+[eE](?:[0-9]+|[-+][0-9]{2,}))(?![\w.])")
"""Powers of ten; 2e-1 is a formula, e being a number."""
SIDE_BY_SIDE = re.compile(r"(?<![\w.])(?<![A-Za-z] )[0-9.]+ +[0-9]")
NO_WORDS = re.compile(r"\\(?:text|begin|end)\s*\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Math:
    """Implements Verifier by equivalence of formulas; made by `math`."""

    name: str = "math"
    needs_reference: bool = True

    def read(self, text: str) -> str | None:
        """The final formula in expanded form, as LaTeX."""
        said = spoken(text[-TEXT_CHARS_AT_MOST:])
        formula = _tidy(_final_formula(said or "") or "")
        if not formula or SIDE_BY_SIDE.search(formula):
            return None
        from trueup.verifiers.formula import latex, parsed

        value = parsed(formula)
        return None if value is None else latex(value)

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 where math-verify finds the answer equal to the reference."""
        right = self.read(str(reference))
        if right is None:
            raise BadInput(f"item {problem.id!r}: the reference {reference!r} is no formula; mend it or take `exact`")
        if answer == right:
            return Grade(1.0)
        from trueup.verifiers.equality import equal
        from trueup.verifiers.formula import parsed

        return Grade(float(equal(parsed(right, has_units=False), parsed(answer, has_units=False))))


def math() -> Math:
    """Compare formulas by value."""
    return Math()


def _final_formula(text: str) -> str | None:
    """What is boxed, else after #### or the later "answer is", else in the last math span, else a bare formula."""
    if (box := boxed(text)) is not None:
        return None if _has_words(box) else box
    line = hashed(text)
    said = SAID.findall(text if line is None else text[line.start() :])
    parts = [*said[-1:], *([] if line is None else [line[1]])]
    if parts:
        return next(filter(None, map(_told, parts)), None) or number().read(text)
    return _last_span(text) or _bare(text) or number().read(text)


def _told(part: str) -> str | None:
    """The formula of a line behind a mark: the span or the number that it begins with, or a formula without words."""
    span = BEGINNING.match(part)
    return _bare(span[1] if span else part) or number().read_stated(part)


def _last_span(text: str) -> str | None:
    spans = INLINE.findall(text)
    return next(filter(None, spans[-1])) if spans else None


def _bare(text: str) -> str | None:
    """A formula with no words around it, in or out of a math span; None where there are words."""
    formula = _last_span(text) or EMPHASIS.sub("", text)
    return None if not formula or _has_words(formula) or SHORT_WORD.search(NO_WORDS.sub("", formula)) else formula


def _tidy(formula: str) -> str:
    """The formula on one line, its numbers in LaTeX, which knows no 1 000, 3 1/2 or 1e5."""
    text = MIXED.sub(r"(\1+\\frac{\2}{\3})", grouped(SPACE.sub(" ", " ".join(formula.splitlines()).strip())))
    return POWERED.sub(lambda match: r"({}\cdot10^{{{}}})".format(*match[0].lower().split("e")), text)


def _has_words(formula: str) -> bool:
    return WORD.search(NO_WORDS.sub("", formula)) is not None
