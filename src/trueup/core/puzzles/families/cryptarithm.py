"""A sum whose digits are letters."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trueup.core.puzzles.families.puzzle import Values

HEAD = "Each letter stands for a digit of its own, and no number begins with 0."
SUM = re.compile(r"^([A-Z]+(?: \+ [A-Z]+)+) = ([A-Z]+)$", re.MULTILINE)
PAIR = re.compile(r"(?<![A-Z] [-+*/])(?<![A-Z] [-+*/] )\b([A-Z])[^\w!<>]{0,3}(?:[=:|\u2192]|->)\W{0,3}([0-9])\b")
"""A letter with its digit; not the last letter of a sum or a product, nor a digit that a letter only is not."""


@dataclass(frozen=True, slots=True)
class Cryptarithm:
    """The words of `addends` come to the word `total`."""

    addends: tuple[str, ...]
    total: str

    @property
    def letters(self) -> tuple[str, ...]:
        """Every letter once, in the order of the alphabet."""
        return tuple(sorted(set("".join(self.addends) + self.total)))

    def statement(self) -> str:
        """The sum."""
        return (
            f"{HEAD} Find the digits.\n\n{' + '.join(self.addends)} = {self.total}\n\n"
            f"Answer with one line that gives every letter its digit, as `A=1 B=2`."
        )

    def constraints(self) -> str:
        """A digit per letter."""
        names = ", ".join(self.letters)
        first = sorted({word[0] for word in (*self.addends, self.total)})
        lines = [f"int {names} in 0..9", f"con alldifferent({names}) #a digit of its own for each letter"]
        lines += [f"con {letter} != 0 #no number begins with 0: {letter}" for letter in first]
        return "\n".join([*lines, f"con {' + '.join(map(_number, self.addends))} == {_number(self.total)} #the sum"])

    def answer(self, values: Values) -> str:
        """Every letter with its digit."""
        return " ".join(f"{letter}={values[letter]}" for letter in self.letters)

    def values(self, answer: str) -> Values | None:
        """The digit of each letter."""
        digits = {pair[0]: int(pair[2:]) for pair in answer.split()}
        found = {letter: digits[letter] for letter in self.letters if letter in digits}
        return found if len(found) == len(self.letters) else None

    def optimum(self) -> int | None:
        """There is nothing to optimise."""
        return None


def stated_cryptarithm(text: str) -> Cryptarithm | None:
    """The last sum of letters that a text states."""
    place = text.rfind(HEAD)
    match = SUM.search(text, place) if place >= 0 else None
    return None if match is None else Cryptarithm(tuple(match[1].split(" + ")), match[2])


def said_digits(text: str) -> str | None:
    """Every letter with the last digit that a text gives it, in the order of the alphabet."""
    digits = dict(PAIR.findall(text))
    return " ".join(f"{letter}={digits[letter]}" for letter in sorted(digits)) or None


def _number(word: str) -> str:
    return " + ".join(f"{10**place}*{letter}" if place else letter for place, letter in enumerate(reversed(word)))
