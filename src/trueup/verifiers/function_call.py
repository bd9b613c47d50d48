"""Function calls against the values that are accepted for each argument.

Read from JSON or Python notation; graded by BFCL's own checker of syntax trees. A figure from it is BFCL-derived,
not a place on that leaderboard.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from trueup.core.errors import BadInput
from trueup.core.types import Grade, Json, Problem
from trueup.verifiers.ast_checker import Judge, load_judge
from trueup.verifiers.call_text import read_calls


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """Implements Verifier with BFCL's checker; made by `function_call`."""

    judge: Callable[[], Judge]
    name: str = "function_call"
    needs_reference: bool = True

    def read(self, text: str) -> str | None:
        """The call as canonical JSON in the shape of Problem.schema; a list where there are several."""
        return read_calls(text)

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 for a call that the reference accepts; the note is the checker's kind of error."""
        if not isinstance(reference, dict) or not {"function", "ground_truth"} <= reference.keys():
            raise BadInput(
                f"item {problem.id!r}: the reference must be an object with `function` and `ground_truth`, "
                f"lists as in BFCL; it is {str(reference)[:60]!r}"
            )
        read = json.loads(answer)
        calls = [{one["name"]: one["arguments"]} for one in (read if isinstance(read, list) else [read])]
        is_right, error = self.judge()(reference["function"], calls, reference["ground_truth"])
        return Grade(float(is_right), note="" if is_right else error)


def function_call() -> FunctionCall:
    """Grade calls; the checker is fetched at the first one."""
    return FunctionCall(cache(load_judge))
