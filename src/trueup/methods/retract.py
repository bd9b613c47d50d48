r"""Write step by step, and take back what the critic rejects.

What an autoregressive model has written stays before its eyes and speaks for more of the same. Here a step that the
reward model rejects is deleted and drawn again, and after `patience` rejections behind one beginning its last step is
deleted too; a turn that ends without an answer is rejected like a step. ROCODE does so for programs (Jiang et al. 2024,
arXiv:2411.07112), and makes what it deleted less likely, which we do not. With delete=False nothing is ever deleted:
the rejected step stays, a remark says that it was wrong and repeats what stands, so that a reader finds the answer
whole; all else is alike, so the two are one ablation of deletion.
The critic never sees what was taken back. A turn that passes the check ends it at once; `grammar` (GBNF) describes
one step. What a step and an end are: `steps.py`. Write \n for a line break. An engine that keeps its cache from ask to
ask reads only what is new of each prompt. A step that fails behind one that stands is one of the n.
Cost: up to n samples of one step, and a rating of each; with a check, a grade of each new answer on the way.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from trueup.core.asks import Flow, rate
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Problem
from trueup.methods.spare import spared
from trueup.methods.steps import Path, begin

REMARK = "That was wrong. Once more:"


@dataclass(slots=True)
class Trail:
    """The beginnings that stand, each a step longer, and how often what came behind one was rejected."""

    stands: list[Path]
    patience: int
    rejections: Counter[str] = field(default_factory=Counter)

    @property
    def here(self) -> Path:
        """All that stands."""
        return self.stands[-1]

    def is_spent(self, text: str) -> bool:
        """Whether nothing good came behind this beginning too often."""
        return self.rejections[text] >= self.patience

    def reject(self) -> None:
        """Count a step against the beginning it was behind, and take back those that are spent by it."""
        self.rejections[self.here.text] += 1
        while len(self.stands) > 1 and self.is_spent(self.here.text):
            self.stands.pop()
            self.rejections[self.here.text] += 1


def retract(
    problem: Problem, *, n: int = 64, threshold: float = 0.5, patience: int = 3, delete: bool = True,
    separator: str = "\n", tokens: int = 0, grammar: str = "",
) -> Flow[Answer]:  # fmt: skip
    """The first turn that ends with no step rejected, within n steps; else what stands then.

    Raises BadInput for a stratum without a reward model, or settings out of their range.
    """
    if n < 1 or patience < 1:
        raise BadInput(f"retract has n={n}, patience={patience}; give at least 1 of each")
    if not 0 <= threshold <= 1:
        raise BadInput(f"retract threshold is {threshold}; it takes 0 (keep every step) to 1, as ratings do")
    if not problem.ratable:
        raise BadInput(f"stratum {problem.stratum!r} has no rater for retract to reject steps by; name one in the task")
    steps = begin("retract", problem, separator, tokens, grammar=grammar)
    trail = Trail([steps.root], patience)
    shown, rejected = steps.root, 0
    for _ in range(n):
        extended = yield from spared(steps.extend(shown, 1), trail.stands[1:])
        if extended is None:
            continue
        (longer,) = extended
        if longer.is_passed:
            return Answer.of(longer.turn, f"passed the check, {rejected} steps rejected")
        lead, stands = steps.lead(shown), steps.lead(trail.here)
        more = len(longer.text) - len(lead)
        text = stands + longer.text[len(lead) :] if more >= 0 else stands[:more]
        draft = replace(longer, turn=replace(longer.turn, text=text))
        (rating,) = yield from rate(problem, [draft.text])
        if rating >= threshold and not trail.is_spent(draft.text) and not _is_lost(problem, draft):
            trail.stands.append(draft)
            shown = longer
            if longer.is_over:
                return Answer.of(longer.turn, f"{rejected} steps rejected")
            continue
        rejected += 1
        trail.reject()
        shown = trail.here if delete else _remarked(longer, trail.here, steps.separator)
    return Answer.of(shown.turn, f"not over after {n} steps, {rejected} rejected")


def _is_lost(problem: Problem, draft: Path) -> bool:
    """Whether the turn is over with no answer in it, or one that the check does not pass."""
    return draft.is_over and (draft.turn.answer is None or (problem.checkable and not draft.is_passed))


def _remarked(path: Path, stands: Path, separator: str) -> Path:
    """The whole turn with the rejected step in it, the remark, and what stands said again."""
    parts = [path.text.rstrip(separator), REMARK, *([stands.text] if stands.text else [])]
    text = (separator or "\n").join(parts)
    is_parted = stands.is_parted or not stands.text
    return replace(stands, turn=replace(path.turn, text=text, answer=stands.turn.answer), is_parted=is_parted)
