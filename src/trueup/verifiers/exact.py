"""The same words as the reference, after normalisation."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass

from trueup.core.errors import BadInput
from trueup.core.types import Grade, Json, Problem
from trueup.verifiers.marks import singled_out, spoken, untexted

QUOTES = "\"'`*\u201c\u201d\u2018\u2019"
WRAPS = re.compile(rf"^[\s{QUOTES}]+|[\s{QUOTES}.,;:!]+$")
LETTER = re.compile(r"^\((\w)\)$|^(\w)\)$")
SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True)
class Exact:
    """Implements Verifier by comparing normalised text; made by `exact`."""

    pattern: re.Pattern[str] | None
    case: bool
    name: str
    needs_reference: bool = True

    def read(self, text: str) -> str | None:
        """The last match of the pattern's group; without a pattern what is boxed, after ####, or the whole text."""
        said = spoken(text)
        if said is None:
            return None
        if self.pattern is None:
            marked = singled_out(said)
            return self._normal(said if marked is None else marked)
        matches = list(self.pattern.finditer(said))
        return self._normal(matches[-1].group(1) or "") if matches else None

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 for the reference's own words, or for any of them where the reference is a list; null has no words."""
        if reference is None:
            return Grade(0.0, note="nothing says what is right")
        return Grade(float(answer in self.accepted(problem, reference)))

    def accepted(self, problem: Problem, reference: Json) -> list[str]:
        """The answers that a reference accepts: a whole number in both its spellings, `91` and `91.0`.

        Raises BadInput, with the item, for a reference that is empty or has no words of its own.
        """
        told = reference if isinstance(reference, list) else [reference]
        for one in told:
            if isinstance(one, (bool, dict, list)):
                raise BadInput(
                    f"item {problem.id!r}: the reference {json.dumps(reference)[:SHOWN_CHARS]} is neither text nor "
                    f"number, and `exact` compares texts; put the right answer in quotes, or take another verifier"
                )
        words = [self._normal(spelling) for one in told for spelling in _spellings(one)]
        known = [word for word in words if word is not None]
        if len(known) < len(words) or not known:
            raise BadInput(f"item {problem.id!r}: the reference {reference!r} is empty; give the right answer")
        return known

    def _normal(self, text: str) -> str | None:
        words = " ".join(unicodedata.normalize("NFKC", untexted(text)).split())
        while (bare := WRAPS.sub("", words)) != words:
            words = bare
        letter = LETTER.match(words)
        words = (letter[1] or letter[2]) if letter else words
        return (words if self.case else words.casefold()) or None


def exact(*, pattern: str | None = None, case: bool = False) -> Exact:
    """Compare text: Unicode forms, white space, outer quotes and end punctuation do not count.

    `pattern` is a regular expression with one group, the answer; `case` makes upper and lower case differ.
    """
    settings = [f"pattern={pattern}"] * (pattern is not None) + ["case"] * case
    return Exact(_compiled(pattern), case, " ".join(["exact", *settings]))


def _spellings(one: Json) -> list[str]:
    if one is None:
        return [""]
    return [str(one), str(int(one))] if isinstance(one, float) and one.is_integer() else [str(one)]


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        compiled = re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise BadInput(f"exact pattern {pattern!r} is no regular expression: {error}") from None
    if compiled.groups != 1:
        raise BadInput(f"exact pattern {pattern!r} has {compiled.groups} groups; it needs one, around the answer")
    return compiled
