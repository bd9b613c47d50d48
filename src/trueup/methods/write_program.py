"""Has a model write a program: at once, or clue by clue.

Clue by clue a constraint program is one turn that the model goes on with: its declarations, then each clue of the
statement as a remark, and behind it one line. A line that cannot be read there is drawn again, and left out after
`patience` draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from trueup.core.asks import Flow, sample
from trueup.core.csp import is_program
from trueup.core.csp.grammar import condition_grammar, grammar
from trueup.core.csp.read import FENCE
from trueup.core.types import Attempt, Problem, Prompt, Sampling
from trueup.methods.formal import APART, BY_CLUE, PLAINLY, REASON, task
from trueup.methods.program_text import (
    CUE,
    LONGEST,
    clue_of,
    clues_of,
    is_closed,
    names_in,
    numbered_clues,
    scope_of,
    stated,
    without_clue,
)  # fmt: skip
from trueup.methods.reread import last_question, put_behind
from trueup.methods.revise import continued
from trueup.methods.spare import each

REMARK = "\n#"
LINE_TOKENS = 96


@dataclass(frozen=True, slots=True)
class Written:
    """A program; `number` is its formalisation's, `is_cut` says that it ran into the limit of tokens or characters.

    `left_out` are clues that no readable line was written for.
    """

    number: int
    program: str
    is_cut: bool = False
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, attempt: Attempt) -> Written:
        """What an attempt states."""
        is_cut = attempt.finish == "length" and not is_closed(attempt.text)
        return cls.within(attempt.index, stated(attempt.text), is_cut=is_cut)

    @classmethod
    def within(cls, number: int, program: str, *, is_cut: bool) -> Written:
        """A program, cut where it is longer than what is read."""
        most = LONGEST.characters
        return cls(number, program[:most], is_cut or len(program) > most)


@dataclass(frozen=True, slots=True)
class Pen:
    """How programs are written: in so many tokens, held to the grammar or not, clue by clue or at once."""

    problem: Problem
    tokens: int
    constrain: bool
    by_clue: bool

    @property
    def asked(self) -> Prompt:
        """The chat up to its last question."""
        return self.problem.prompt[: last_question(self.problem.prompt) + 1]

    @property
    def clues(self) -> Mapping[str, str]:
        """The clues of the last question, by the number that a line names."""
        statement = self.asked[-1].content
        return clues_of(statement) if self.by_clue else numbered_clues(statement)

    def free(self, *stop: str) -> Sampling:
        """Settings for words that no grammar holds."""
        return replace(self.problem.sampling, max_tokens=self.tokens, stop=stop, schema=None, grammar=None)

    def held(self, rules: str, *stop: str) -> Sampling:
        """Settings for what these rules hold, where programs are held to any."""
        return replace(self.free(*stop), grammar=rules if self.constrain else None)


def write_at_once(pen: Pen, n: int, *, reason: bool) -> Flow[list[Written]]:
    """n programs, each behind its own reasoning if `reason`, which no grammar holds."""
    if not reason or not pen.constrain:
        wish = put_behind(pen.asked, task(REASON if reason else PLAINLY))
        attempts = yield from sample(wish, n, sampling=pen.held(grammar()))
        return [Written.of(attempt) for attempt in attempts]
    wish = put_behind(pen.asked, task(APART))
    thoughts = yield from sample(wish, n, sampling=pen.free(CUE, FENCE))
    written = yield from each(_write_behind(pen, wish, thought) for thought in thoughts)
    return [one for one in written if one is not None]


def _write_behind(pen: Pen, wish: Prompt, thought: Attempt) -> Flow[Written]:
    """The program that a thought comes to."""
    turn = continued(wish, f"{thought.text.rstrip()}\n\n{CUE}\n")
    (attempt, *_) = yield from sample(turn, start=thought.index, sampling=pen.held(grammar()))
    return Written.of(attempt)


def write_by_clue(pen: Pen, n: int, *, patience: int) -> Flow[list[Written]]:
    """n programs, each clue's line checked by the reader before the next is written."""
    wish = put_behind(pen.asked, task(BY_CLUE, by_clue=True))
    draws = [range(number * patience, (number + 1) * patience) for number in range(n)]
    written = yield from each(_write_lines(pen, wish, number, numbers) for number, numbers in enumerate(draws))
    return [one for one in written if one is not None]


def _write_lines(pen: Pen, wish: Prompt, number: int, numbers: range) -> Flow[Written]:
    """One program; every line of it is drawn under these numbers in turn, until one can be read."""
    begun, sampling = continued(wish, f"{FENCE}\n"), pen.held(grammar(), REMARK, FENCE)
    for draw in numbers:
        (attempt, *_) = yield from sample(begun, start=draw, sampling=sampling)
        program, is_cut = attempt.text.strip(), attempt.finish == "length"
        if is_program(program, LONGEST) and not is_cut:
            break
    else:
        return Written.within(number, program, is_cut=is_cut)
    left_out: list[str] = []
    scope = scope_of(program)
    rules = condition_grammar(names_in(scope), scope.enums, tuple(scope.lexicons))
    for clue, words in pen.clues.items():
        remark = f"{program}\n# {clue}. {words}"
        line = yield from _line(pen, wish, remark, clue, numbers, rules)
        program = f"{remark}\n{line}" if line else program
        left_out += [] if line else [clue]
    return Written(number, program, left_out=tuple(left_out))


def _line(pen: Pen, wish: Prompt, program: str, clue: str, numbers: range, rules: str) -> Flow[str]:
    """The line for a clue that the program ends in as a remark; empty where none could be read."""
    sampling = replace(pen.held(rules, "\n"), max_tokens=min(LINE_TOKENS, pen.tokens))
    for draw in numbers:
        # The turn ends in a word, for some chat templates strip white space off its end.
        prompt = continued(wish, f"{FENCE}\n{program}\ncon")
        (attempt, *_) = yield from sample(prompt, start=draw, sampling=sampling)
        line = f"con {next(iter(attempt.text.strip().splitlines()), '')}"
        if attempt.finish != "length" and is_program(f"{program}\n{line}", LONGEST) and clue_of(line) is not None:
            return f"{without_clue(line)} #{clue}"
    return ""
