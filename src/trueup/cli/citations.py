"""Papers behind methods, read from the methods' own files."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trueup.core.errors import UnknownName

REFERENCE = re.compile(
    r"(?P<authors>[A-Z][\w ,&-]*?(?: et al\.)?) (?P<year>(?:19|20)\d\d),\s+arXiv:(?P<arxiv>\d{4}\.\d{4,5})"
)


@dataclass(frozen=True, slots=True)
class Citation:
    """A method and the paper that its file names."""

    method: str
    authors: str
    year: int
    arxiv: str

    @property
    def reference(self) -> str:
        """Authors, year and arXiv number on one line."""
        return f"{self.authors} {self.year}, arXiv:{self.arxiv}"

    def bibtex(self) -> str:
        """An entry that resolves by its arXiv number."""
        key = f"{self.authors.split()[0].lower()}{self.year}{self.method}"
        return (
            f"@misc{{{key},\n  author = {{{self.authors}}},\n  year = {{{self.year}}},\n"
            f"  eprint = {{{self.arxiv}}},\n  archivePrefix = {{arXiv}},\n  note = {{trueup method {self.method}}}\n}}"
        )


def citations(used: Iterable[str], methods: Mapping[str, Callable[..., Any]]) -> list[Citation]:
    """The papers of these methods, in order, each method once.

    Raises UnknownName for a method that there is not.
    """
    found = []
    for name in dict.fromkeys(used):
        if name not in methods:
            raise UnknownName("method", name, methods)
        text = sys.modules[methods[name].__module__].__doc__ or ""
        found += [Citation(name, m["authors"], int(m["year"]), m["arxiv"]) for m in REFERENCE.finditer(text)]
    return found
