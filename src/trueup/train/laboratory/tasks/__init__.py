"""Tasks of the laboratory: endless problems with a dial, and their exact checkers."""

from trueup.train.laboratory.tasks.addition import Addition
from trueup.train.laboratory.tasks.chain import Chain
from trueup.train.laboratory.tasks.facts import Facts
from trueup.train.laboratory.tasks.reading import UNREADABLE, Codes, is_right, read_answers, word_of
from trueup.train.laboratory.tasks.role import Task, source_of

__all__ = [
    "Addition", "Chain", "Codes", "Facts", "Task", "UNREADABLE", "is_right", "read_answers", "source_of", "word_of",
]  # fmt: skip
