"""Lists under rules that a program can read: tasks a small model half can do.

`letters` fails a line at a time: a word with the banned letter in it, or the end before the list is whole. In `digits`
an early line dooms a later one: once 9 is written nothing can rise above it, and no rule is broken yet. The check and
the critic know a list's rules and no answer; whether a word is of the kind that was asked for, neither of them knows.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from trueup import __version__
from trueup.core.errors import UnknownName
from trueup.core.stratum import Stratum
from trueup.core.types import Grade, Item, Json, Message, Problem, Sampling

KINDS = (
    "animals", "first names", "fruits", "countries", "colors", "tools", "foods", "sports", "vegetables", "flowers",
)  # fmt: skip
LETTERS = "aeor"
ROLES = ("user", "assistant")
SEED = 2026


@dataclass(frozen=True, slots=True)
class Rules:
    """So many lines of this pattern without a banned character; each above the one before, or else none twice."""

    count: int
    line: str
    banned: str
    rises: bool

    def are_kept(self, lines: Sequence[str]) -> bool:
        """Whether these lines can be the first of such a list, by what they break and not by what can follow."""
        each = all(re.fullmatch(self.line, line) and not set(line) & set(self.banned) for line in lines)
        ordered = sorted(set(lines)) == list(lines) if self.rises else len(set(lines)) == len(lines)
        return each and ordered


@dataclass(frozen=True, slots=True)
class Listing:
    """A request for a list, as it is put to the model, with its rules."""

    request: str
    rules: Rules


@dataclass(frozen=True, slots=True)
class Family:
    """Listings, after a few that are shown with an answer each; `sampling` fits their length."""

    listings: tuple[Listing, ...]
    shown: tuple[tuple[str, str], ...]
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class ListCheck:
    """Implements Verifier: right if the first lines, as many as were asked for, keep the rules; needs no reference."""

    rules: Mapping[str, Rules]
    name: str = "list_check"
    needs_reference: bool = False

    def read(self, text: str) -> str | None:
        """The lines in small letters; None where all of them are blank."""
        return "\n".join(lines_of(text)) if text.strip() else None

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 for a list that is whole and keeps its rules, else 0."""
        rules = self.rules[problem.id]
        lines = answer.split("\n")[: rules.count]
        return Grade(float(len(lines) == rules.count and rules.are_kept(lines)))


@dataclass(frozen=True, slots=True)
class ListCritic:
    """Implements Rater: 0 for a beginning that has broken a rule, else from .5 up to 1 by how much of it is there."""

    rules: Mapping[str, Rules]
    fingerprint: str = f"list_critic {__version__}"

    async def rate(self, problem: Problem, texts: Sequence[str]) -> Sequence[float]:
        """A rating per beginning."""
        return [self._rate(self.rules[problem.id], lines_of(text)) for text in texts]

    async def close(self) -> None:
        """Nothing is open."""

    def _rate(self, rules: Rules, lines: Sequence[str]) -> float:
        kept = lines[: rules.count]
        return 0.5 + 0.5 * len(kept) / rules.count if rules.are_kept(kept) else 0.0


def lines_of(text: str) -> list[str]:
    """The lines of a text in small letters; a blank one is a line too, also the last."""
    return [line.strip().casefold() for line in text.split("\n")]


def letters() -> Family:
    """Four words of a kind without a letter."""
    listings = [_words(kind, letter) for kind in KINDS for letter in LETTERS]
    shown = (
        (_words("birds", "e").request, "duck\nowl\nhawk\nparrot"),
        (_words("jobs", "i").request, "baker\nteacher\nlawyer\ndoctor"),
        (_words("trees", "a").request, "pine\nelder\nfir\nbirch"),
    )
    return Family(tuple(listings), shown, Sampling(temperature=0.7, max_tokens=24))


def digits() -> Family:
    """Five digits that rise, without one or two of them."""
    shown = (
        (_digits("27").request, "1\n3\n4\n6\n9"),
        (_digits("6").request, "2\n3\n4\n7\n8"),
        (_digits("48").request, "2\n3\n5\n6\n9"),
    )
    banned = ["".join(pair) for size in (1, 2) for pair in combinations("123456789", size)]
    listings = [_digits(some) for some in banned if _digits(some).request not in dict(shown)]
    return Family(tuple(listings), shown, Sampling(temperature=0.7, max_tokens=16))


FAMILIES: dict[str, Callable[[], Family]] = {"letters": letters, "digits": digits}


def list_stratum(name: str, items: int) -> Stratum:
    """So many lists of a family, drawn by a fixed seed, with their check and their critic.

    Raises UnknownName for a family that there is not.
    """
    if name not in FAMILIES:
        raise UnknownName("family of lists", name, FAMILIES)
    family = FAMILIES[name]()
    drawn = random.Random(SEED).sample(family.listings, min(items, len(family.listings)))
    rules = {listing.request: listing.rules for listing in drawn}
    shown = [Message(role, text) for pair in family.shown for role, text in zip(ROLES, pair, strict=True)]
    problems = [
        Problem(request, name, (*shown, Message("user", request)), family.sampling, checkable=True, ratable=True)
        for request in rules
    ]
    check = ListCheck(rules)
    entries = tuple(Item(problem, None, problem.id) for problem in problems)
    return Stratum(name, entries, check, check, rater=ListCritic(rules))


def _words(kind: str, letter: str) -> Listing:
    rules = Rules(4, "[a-z]+( [a-z]+)?", letter, rises=False)
    return Listing(f"Write 4 {kind} without the letter {letter}.", rules)


def _digits(banned: str) -> Listing:
    rules = Rules(5, "[1-9]", banned, rises=True)
    return Listing(f"Write 5 digits in rising order, without {' and '.join(banned)}.", rules)
