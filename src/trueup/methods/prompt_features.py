"""What a prompt shows before anything is asked.

Term frequencies of words and pairs of words, hashed after Weinberger et al. 2009, arXiv:0902.2206, and counts of what
makes a problem long. A digit is read as 0, so that numbers of the same length are the same word. Where a prompt states
a puzzle or a constraint program, counts of that too: how it is built, and how far propagation gets with it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from math import log, log1p, sqrt
from zlib import crc32

from trueup.core.puzzles.structure import structure_stated
from trueup.core.types import Prompt

BUCKETS = 1 << 12
LENGTH = "length"
WORD = re.compile(r"\w+|[^\w\s]")
NUMBER = re.compile(r"\d+")


def features(prompt: Prompt) -> dict[str, float]:
    """Numbers by name, of the last user's message; the hashed ones have a vector of length 1."""
    text = _question(prompt)
    numbers = NUMBER.findall(text)
    counts = {
        LENGTH: len(text),
        "words": len(text.split()),
        "lines": text.count("\n"),
        "numbers": len(numbers),
        "digits": sum(map(len, numbers)),
        "longest number": max(map(len, numbers), default=0),
        "messages": len(prompt),
    }
    return {name: log1p(value) for name, value in (counts | _built(text)).items()} | _hashed(text)


def _question(prompt: Prompt) -> str:
    asked = [message.content for message in prompt if message.role == "user"]
    return asked[-1] if asked else "\n".join(message.content for message in prompt)


def _built(text: str) -> dict[str, float]:
    """Counts of the program that a text states; none where it states none."""
    found = structure_stated(text)
    return {} if found is None else {f"program {name}": value or 0 for name, value in asdict(found).items()}


def _hashed(text: str) -> dict[str, float]:
    terms = {bucket: 1.0 + log(times) for bucket, times in Counter(_buckets(text)).items()}
    norm = sqrt(sum(value * value for value in terms.values()))
    return {f"#{bucket}": value / norm for bucket, value in sorted(terms.items())}


def _buckets(text: str) -> Iterator[int]:
    words = WORD.findall(re.sub(r"\d", "0", text.lower()))
    for gram in (*words, *(f"{first} {second}" for first, second in pairwise(words))):
        yield crc32(gram.encode()) % BUCKETS
