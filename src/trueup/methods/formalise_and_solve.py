"""Have the model write a program, and the solver solve it.

Pan et al. 2023, arXiv:2305.12295 (Logic-LM): there a program is written again where it fails to run; here also where it
has no solution (the clues in conflict, and only they) or more than one (the clues that no line names), as Ye et al.
2023, arXiv:2305.09656 (SatLM) take these two for a reason to abstain. n programs vote by their solutions, after
Olausson et al. 2023, arXiv:2310.15164 (LINC). The writer reasons freely and only the program is held to a grammar
(CRANE, see `reason_then_constrain`). For small models `clues` has the program written clue by clue: `write_program.py`.
What is decided is right for the program, which may still say something else than the problem: the note tells how many
programs came to which end, so that what was decided can be told from what was right. It abstains where none was.
The answer is the program's variable `answer`; with `say` the model puts the solution of a program that has none, or in
which the stratum's verifier finds no answer, into the form that the problem asks for. Where that ask fails, an answer
that was found stands.
Cost: n samples, or 2 n with `reason` and `constrain`; with `clues` up to `patience` for the declarations and for each
clue; and for each program 1 solve, up to `repairs` samples and solves more, and 1 sample where `say` is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trueup.core.asks import Flow, sample
from trueup.core.asks import solve as ask_solver
from trueup.core.csp.grammar import grammar
from trueup.core.csp.read import FENCE
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Message, Problem, Solution
from trueup.methods.formal import PLAINLY, SAY, request, task
from trueup.methods.program_text import LONGEST, clue_of, labelled, mended, names_in, scope_of
from trueup.methods.reread import put_behind
from trueup.methods.revise import ask_again
from trueup.methods.spare import each, spared
from trueup.methods.tally import favourite
from trueup.methods.write_program import Pen, Written, write_at_once, write_by_clue

FINAL = "#### "
"""Behind this the solver's text says the value of `answer`, where a program has declared it."""
MENDABLE = frozenset({"unreadable", "unsatisfiable", "not_unique"})


@dataclass(frozen=True, slots=True)
class End:
    """What a program came to: its answer, and its status at first and after every repair."""

    text: str
    answer: str | None
    statuses: tuple[str, ...]
    left_out: tuple[str, ...]


def formalise_and_solve(
    problem: Problem, *, n: int = 1, repairs: int = 2, reason: bool = True, constrain: bool = False,
    clues: bool = False, say: bool = True, tokens: int = 512, patience: int = 3,
) -> Flow[Answer]:  # fmt: skip
    """The vote of n programs by their solutions; none where no program has exactly one.

    Raises BadInput for settings below their least.
    """
    for name, value, least in (("n", n, 1), ("repairs", repairs, 0), ("tokens", tokens, 1), ("patience", patience, 1)):
        if value < least:
            raise BadInput(f"formalise_and_solve {name} is {value}; give at least {least}")
    pen = Pen(problem, tokens, constrain, clues)
    write = write_by_clue(pen, n, patience=patience) if clues else write_at_once(pen, n, reason=reason)
    programs = yield from write
    ends = yield from each(_settle(pen, written, n, repairs, say=say) for written in programs)
    return _elected(problem, [end for end in ends if end is not None])


def _settle(pen: Pen, written: Written, n: int, repairs: int, *, say: bool) -> Flow[End]:
    """Solve, and mend up to so often."""
    statuses = []
    for turn in range(1, repairs + 2):
        written = replace(written, program=labelled(written.program))
        solution = yield from _solve(pen, written)
        statuses.append(solution.status)
        if solution.status not in MENDABLE or turn > repairs:
            break
        written = yield from _mend(pen, written, solution, written.number + turn * n)
    text, answer = solution.text, solution.answer
    if say and solution.status == "solved" and (answer is None or FINAL not in text):
        said = yield from spared(_said(pen, written, text), () if answer is None else (answer,))
        text, answer = said or (text, answer)
    named = {clue_of(line) for line in written.program.splitlines()}
    return End(text, answer, tuple(statuses), tuple(clue for clue in written.left_out if clue not in named))


def _solve(pen: Pen, written: Written) -> Flow[Solution]:
    """What the solver says of a program; one that was cut may lack a clue, and is not to be decided."""
    if written.is_cut:
        is_long = len(written.program) >= LONGEST.characters
        most = f"{LONGEST.characters:,} characters" if is_long else f"{pen.tokens} tokens"
        return Solution("unreadable", reason=f"it is cut at {most}; write a shorter one")
    solution = yield from ask_solver(replace(pen.problem, prompt=(Message("user", written.program),)))
    return solution


def _said(pen: Pen, written: Written, solution: str) -> Flow[tuple[str, str | None]]:
    """A solution in the form that the problem asks for, in the model's words, and the answer in that."""
    prompt = put_behind(pen.asked, SAY.format(solution=solution))
    own = pen.problem
    held = own.sampling.held_to(own.schema, own.grammar)
    (attempt, *_) = yield from sample(prompt, start=written.number, sampling=held)
    return attempt.text, attempt.answer


def _mend(pen: Pen, written: Written, solution: Solution, start: int) -> Flow[Written]:
    """The program with what the writer says now, knowing the task, the program and what is wrong with it."""
    shown, told = f"{FENCE}\n{written.program}\n{FENCE}", request(written.program, solution, pen.clues)
    prompt = ask_again(put_behind(pen.asked, task(PLAINLY)), shown, told)
    is_part = bool(solution.conflict) or solution.status == "not_unique"
    scope = scope_of(written.program)
    rules = grammar(names_in(scope), scope.enums, tuple(scope.lexicons)) if is_part else grammar()
    (attempt, *_) = yield from sample(prompt, start=start, sampling=pen.held(rules))
    said = Written.of(attempt)
    if not is_part:
        return replace(said, number=written.number)
    return replace(written, program=mended(written.program, said.program, solution.conflict), is_cut=said.is_cut)


def _elected(problem: Problem, ends: Sequence[End]) -> Answer:
    """The most frequent answer, and in the note what the programs came to."""
    votes = Counter(end.answer for end in ends if end.answer is not None)
    split = f"of {_programs(len(ends))} {_counted(end.statuses[-1] for end in ends)}"
    repairs = sum(len(end.statuses) - 1 for end in ends)
    if repairs:
        split += f"; at first {_counted(end.statuses[0] for end in ends)}"
    if left_out := sorted({clue for end in ends for clue in end.left_out}):
        split += f"; no line for clue {', '.join(left_out)}"
    if not votes:
        is_decided = any(end.statuses[-1] == "solved" for end in ends)
        return Answer("", None, f"{split}, and no answer could be read in that" if is_decided else split)
    winner = favourite(problem, votes)
    text = next(end.text for end in ends if end.answer == winner)
    return Answer(text, winner, f"{votes[winner]} of {votes.total()} votes; {split}")


def _programs(count: int) -> str:
    return "1 program" if count == 1 else f"{count} programs"


def _counted(statuses: Iterable[str]) -> str:
    """How many came to each end, the most frequent first."""
    return ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in Counter(statuses).most_common())
