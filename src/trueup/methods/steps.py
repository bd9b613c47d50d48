r"""A turn written step by step, for searches to choose in.

A step ends at a separator, which the engine cuts off and the next step begins with, or at a limit of tokens. A turn is
over when the model ends it, or meets a stop string of the problem's own. Where an engine does not tell that from a step
that ended (`finish` is `stop`), or a grammar ends every step, a turn is over when two steps in a row are blank: the
model has nothing more to say, and one blank line does not end it. A turn is over too when it is as long as the problem
allows, and, where the stratum has a check, when it passes. A schema or grammar describes a whole answer and cannot be
entered midway: steps are written freely. A stop string that begins in one step and ends in another is met as well: the
turn is cut there, and its answer is read out of what is left.

A beginning is worth what the reward model says of it, after `lookahead` more steps written greedily. Where there is
only a check it is worth the grade of the turn that it comes to when it is written greedily to its end. A check grades
the answers that can be read on the way, and none again that it has graded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from trueup.core.asks import Flow, check, rate, read, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Grade, Problem, Prompt, Sampling, Usage, begun_turn
from trueup.methods.revise import continued
from trueup.methods.spare import each
from trueup.methods.weighted_best_of_n import elect_by_weight

Beginning = tuple[str, bool, bool]
"""A text, whether its turn is over, and whether a separator stands behind it."""


@dataclass(frozen=True, slots=True)
class Path:
    """A beginning: its last step as an attempt that holds the whole turn so far, and the tokens that are left to it.

    `grade` is the check's of what can be read in it, None where it was not asked. `is_parted` says that a separator
    stands behind it, `is_blank` that its last step said nothing and may have been the end.
    """

    turn: Attempt
    left: int
    is_over: bool = False
    is_parted: bool = False
    is_blank: bool = False
    grade: float | None = None

    @property
    def text(self) -> str:
        """What the model has written."""
        return self.turn.text

    @property
    def beginning(self) -> Beginning:
        """What makes it the same beginning as another: a turn that is over is not one that goes on from its text."""
        return self.text, self.is_over, self.is_parted

    @property
    def is_passed(self) -> bool:
        """Whether the check gave it full marks."""
        return self.grade is not None and self.grade >= 0.99


@dataclass(frozen=True, slots=True)
class Valued:
    """A beginning, its worth, and the turn that its worth was read from."""

    path: Path
    value: float
    seen: Path


@dataclass(slots=True)
class Steps:
    """How one problem's turn is written step by step; counts what was drawn, so that no draw is made twice."""

    problem: Problem
    separator: str
    tokens: int
    lookahead: int = 0
    grammar: str = ""
    _drawn: Counter[str] = field(default_factory=Counter)
    _known: dict[str, float] = field(default_factory=dict)
    _grades: dict[str | None, Grade] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The turn before its first step."""
        return Path(Attempt(0, "", "length", Usage(0, 0)), self.problem.sampling.max_tokens)

    def extend(self, path: Path, n: int) -> Flow[list[Path]]:
        """n next steps, numbered on from those that this beginning was given before."""
        start = self._drawn[path.text]
        self._drawn[path.text] += n
        sampling = self._sampling(path)
        attempts = yield from sample(self._prompt(path), n, start=start, sampling=sampling)
        paths = [self._longer(path, attempt, sampling.max_tokens) for attempt in attempts]
        return (yield from self._settled(path, paths))

    def value(self, paths: Sequence[Path]) -> Flow[list[Valued]]:
        """What each beginning is worth; texts that were rated before are not rated again.

        A beginning that could not be gone on with, to see its worth, is left out. Raises AskFailed where none could.
        """
        rolled = yield from each(self._rolled(path) for path in paths)
        pairs = [(path, seen) for path, seen in zip(paths, rolled, strict=True) if seen]
        if self.problem.ratable:
            yield from self._rate([seen.text for _, seen in pairs])
        return [Valued(path, self._worth(seen), seen) for path, seen in pairs]

    def write_out(self, path: Path) -> Flow[Path]:
        """The beginning written greedily to the end of its turn."""
        if path.is_over:
            return path
        own = replace(self.problem.sampling, schema=None, grammar=None, max_tokens=path.left, temperature=0.0)
        (rest, *_) = yield from sample(self._prompt(path), sampling=own)
        turn = replace(rest, text=self.lead(path) + rest.text)
        (whole,) = yield from self._settled(path, [Path(turn, 0, is_over=True)])
        return whole

    def lead(self, path: Path) -> str:
        """What stands before the next step."""
        return path.text + (self.separator if path.is_parted else "")

    def _worth(self, seen: Path) -> float:
        return self._known[seen.text] if self.problem.ratable else seen.grade or 0.0

    def _rate(self, texts: Sequence[str]) -> Flow[None]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            ratings = yield from rate(self.problem, new)
            self._known.update(zip(new, ratings, strict=True))

    def _rolled(self, path: Path) -> Flow[Path]:
        """The beginning with the greedy steps behind it that its worth is read from."""
        if not self.problem.ratable:
            return (yield from self.write_out(path))
        for _ in range(self.lookahead):
            if path.is_over:
                break
            sampling = replace(self._sampling(path), temperature=0.0)
            attempts = yield from sample(self._prompt(path), sampling=sampling)
            (path,) = yield from self._settled(path, [self._longer(path, attempts[0], sampling.max_tokens)])
        return path

    def _sampling(self, path: Path) -> Sampling:
        own = self.problem.sampling
        stop = (*own.stop, self.separator) if self.separator else own.stop
        most = min(self.tokens or path.left, path.left)
        return replace(own, schema=None, grammar=self.grammar or None, max_tokens=most, stop=stop)

    def _prompt(self, path: Path) -> Prompt:
        lead = self.lead(path)
        return continued(self.problem.prompt, lead) if lead else self.problem.prompt

    def _longer(self, path: Path, step: Attempt, most: int) -> Path:
        """The beginning with a step behind it; tokens that nobody counted are all that the step could have."""
        used = step.usage.completion_tokens
        left = path.left - (most if used is None else max(1, used))
        finish = self._finish(step)
        is_empty = not step.text.strip()
        is_blank = finish == "stop" and is_empty
        is_parted = finish in ("stop", f"stop:{self.separator}")
        is_said = (is_blank and path.is_blank) or not (is_parted or finish == "length")
        text = self.lead(path) + step.text
        turn = replace(step, text=text.rstrip() if is_said and is_empty and self.separator else text)
        return Path(turn, left, is_said or left < 1, is_parted, is_blank)

    def _finish(self, step: Attempt) -> str:
        """How a step ended, as far as that tells of its turn; without separators whatever stops a step ends both."""
        if not self.separator:
            return step.finish if step.finish == "length" else "eos"
        return "stop" if self.grammar and step.finish == "eos" else step.finish

    def _settled(self, before: Path, paths: Sequence[Path]) -> Flow[list[Path]]:
        """What came behind a beginning, cut and read anew where a stop string says so, and graded."""
        kept = [self._cut(before, path) for path in paths]
        places = [i for i, path in enumerate(paths) if kept[i] is not path]
        if places:
            begun = begun_turn(self.problem.prompt)
            answers = yield from read([begun + kept[i].text for i in places])
            for i, answer in zip(places, answers, strict=True):
                kept[i] = replace(kept[i], turn=replace(kept[i].turn, answer=answer))
        return (yield from self._graded(kept))

    def _cut(self, before: Path, path: Path) -> Path:
        """The same, ended at the first stop string of the problem's own that was completed behind `before`.

        A separator that an engine told is seen too; one that was only taken to be there counts when more follows it.
        """
        told = self.separator if path.turn.finish == f"stop:{self.separator}" else ""
        whole = path.text + told
        if len(whole) <= len(self.lead(before)):
            return path
        places = [
            (place + len(stop), place, stop)
            for stop in filter(None, self.problem.sampling.stop)
            if (place := whole.find(stop, max(0, len(before.text) + 1 - len(stop)))) >= 0
        ]
        if not places:
            return path
        _, place, stop = min(places)
        turn = replace(path.turn, text=path.text[:place], finish=f"stop:{stop}")
        return replace(path, turn=turn, is_over=True, is_parted=False, is_blank=False)

    def _graded(self, paths: list[Path]) -> Flow[list[Path]]:
        """The same with the check's grades where there is a check, and over where they pass."""
        if not self.problem.checkable:
            return paths
        turns = {path.turn.answer: path.turn for path in paths}
        new = [answer for answer in turns if answer is not None and answer not in self._grades]
        if new:
            grades = yield from check(self.problem, [turns[answer] for answer in new])
            self._grades.update(zip(new, grades, strict=True))
        return [self._marked(path) for path in paths]

    def _marked(self, path: Path) -> Path:
        grade = self._grades.get(path.turn.answer)
        return path if grade is None else replace(path, grade=grade.value, is_over=path.is_over or grade.is_right)


def begin(owner: str, problem: Problem, separator: str, tokens: int, lookahead: int = 0, grammar: str = "") -> Steps:
    """The steps of a problem's turn.

    Raises BadInput where beginnings cannot be valued, or steps not told apart.
    """
    separator = separator.replace(r"\n", "\n")
    if not (problem.ratable or problem.checkable):
        raise BadInput(f"stratum {problem.stratum!r} has no rater and no check for {owner} to search by; name one")
    if separator and separator in problem.sampling.stop:
        raise BadInput(f"{owner} separator {separator!r} ends the answers of stratum {problem.stratum!r}; take another")
    if tokens < 0 or not (separator or tokens):
        raise BadInput(f"{owner} has separator={separator!r} and tokens={tokens}; give a separator, or tokens a step")
    if lookahead < 0:
        raise BadInput(f"{owner} lookahead is {lookahead}; give 0 or more")
    if lookahead and not problem.ratable:
        raise BadInput(
            f"{owner} lookahead is {lookahead}, but a check grades whole turns; leave it out, or name a rater"
        )
    return Steps(problem, separator, tokens, lookahead, grammar)


def passed(found: Sequence[Valued]) -> Answer | None:
    """The answer of the first turn that passed the check."""
    turns = [path.turn for valued in found for path in (valued.path, valued.seen) if path.is_passed]
    return Answer.of(turns[0], "passed the check") if turns else None


def readable(found: Iterable[Valued]) -> list[Valued]:
    """Those out of which an answer can be read: what a search has in hand where an ask fails."""
    return [v for v in found if any(path.turn.answer is not None for path in (v.path, v.seen))]


def conclude(problem: Problem, found: Sequence[Valued], weights: Sequence[float] | None = None) -> Answer:
    """The vote by worth of the turns that are over; of the beginnings where none is, as far as they can be read.

    A beginning that was only valued by the turn it comes to answers with that turn.
    """
    weights = [valued.value for valued in found] if weights is None else weights
    pairs = [(v.seen if v.seen.is_over else v.path, weight) for v, weight in zip(found, weights, strict=True)]
    over = [(path, weight) for path, weight in pairs if path.is_over]
    voters = over or pairs
    answer = elect_by_weight(problem, [path.turn for path, _ in voters], [weight for _, weight in voters])
    return replace(answer, note=f"{answer.note}; {len(over)} of {len(pairs)} turns over")
