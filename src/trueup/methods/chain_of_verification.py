"""Draft, question the draft, answer apart from it, conclude.

Dhuliawala et al. 2023, arXiv:2309.11495, section 3, factored: each question is answered in a chat of its own that
does not hold the draft, or the answer would repeat its mistakes. We leave the problem in that chat, for its
questions seldom stand alone, and where the check passes the draft we stop. Questions and their answers are
written freely even where the final answer is held to a schema or grammar, or ended by a stop string.
Cost: 2 samples, 1 judge's text and 1 per question; with a check 2 checks, or 1 sample and 1 check if the draft passes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from trueup.core.asks import Flow, check, judge, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.reread import put_behind
from trueup.methods.revise import ask_again, opened
from trueup.methods.spare import spared
from trueup.methods.tally import count

LINE = re.compile(r"^\s*(?:[-*•]+|\(?\d+[.):])?\s*(.+\?)", re.MULTILINE)
DOUBT = "Which facts and steps of this answer could be wrong? Write {n} short questions that test them, one per line."
APART = "Leave that open, and answer only this about it, briefly: {question}"
FINDINGS = "These questions were answered separately:\n\n{pairs}\n\n"
CONCLUDE = "Mend your answer where it disagrees with them. Then give the final answer in the same form as before."


def chain_of_verification(problem: Problem, *, questions: int = 3) -> Flow[Answer]:
    """The final answer after up to so many questions; the check picks among draft and final where there is one.

    Without a check the final answer counts, or the draft where the final cannot be read or nothing was asked, or an ask
    behind it failed.
    Raises BadInput for fewer than one question.
    """
    if questions < 1:
        raise BadInput(f"chain_of_verification questions is {questions}; give at least 1")
    (draft, *_) = yield from sample(problem.prompt)
    if problem.checkable:
        (grade,) = yield from check(problem, [draft])
        if grade.is_right:
            return Answer.of(draft, "the draft passed the check")
    last = yield from spared(_conclude(problem, draft, questions), count([draft]))
    if not last:
        return Answer.of(draft, f"{'an ask failed' if last is None else 'no question could be read'}; the draft stands")
    (final, *_) = last
    if problem.checkable:
        (last_grade,) = yield from check(problem, [final])
        return Answer.best([draft, final], [grade, last_grade])
    return Answer.of(draft, "the final could not be read") if final.answer is None else Answer.of(final)


def read_questions(text: str, most: int) -> Sequence[str]:
    """The first questions of a text, one per line, without bullets, numbers and repetitions."""
    said = text.rpartition("</think>")[2]
    return list(dict.fromkeys(question.strip() for question in LINE.findall(said)))[:most]


def _conclude(problem: Problem, draft: Attempt, most: int) -> Flow[Sequence[Attempt]]:
    """The final answer, by what was found; none where there was nothing to find."""
    pairs = yield from _verify(problem, draft, most)
    if not pairs:
        return ()
    request = FINDINGS.format(pairs="\n\n".join(pairs)) + CONCLUDE
    return (yield from sample(ask_again(problem.prompt, draft.text, request)))


def _verify(problem: Problem, draft: Attempt, most: int) -> Flow[list[str]]:
    """Each question about the draft with its answer, found without the draft."""
    free = replace(problem.sampling, stop=(), schema=None, grammar=None)
    (asked, *_) = yield from judge(ask_again(problem.prompt, draft.text, DOUBT.format(n=most)), sampling=free)
    chat, pairs = opened(problem.prompt), []
    for question in read_questions(asked.text, most):
        (found, *_) = yield from judge(put_behind(chat, APART.format(question=question)), sampling=free)
        pairs.append(f"{question}\n{found.text.strip()}")
    return pairs
