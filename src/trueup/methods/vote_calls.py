"""Vote over function calls: by name, by arguments, or both.

After Wang et al. 2022, arXiv:2203.11171 (self-consistency), with the parts of a call for votes: `name` and
`arguments` elect by that part alone, in the words of the first attempt that has it; `hierarchical` elects the name,
then every argument among the calls of that name, which may make a call that no attempt made.
Attempts are texts: no call is run while they are drawn. Where what follows runs calls as they are sampled, set
`side_effects`, and there is one attempt only; a stratum that says `side_effects = true` takes it no other way. An
answer that is no call votes as a whole.
Cost: n samples; 1 with side_effects.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from trueup.core.asks import Flow, sample
from trueup.core.errors import UnknownName
from trueup.core.types import Answer, Attempt, Json, Problem
from trueup.methods.tally import elect

CALLED = "\0"
"""Sets what calls say apart from answers that are none."""
WAYS = ("name", "arguments", "hierarchical")
ALONE = "; one attempt only, for calls have side effects"
LEFT_OUT = ""
"""What a call says for an argument that it does not give; no JSON text is empty."""


def vote_calls(problem: Problem, *, n: int = 8, by: str = "hierarchical", side_effects: bool = False) -> Flow[Answer]:
    """The elected call of n attempts; ties fall by the problem's seed.

    With `side_effects` n is 1 whatever was asked. Lists of calls are compared call by call, in order.
    Raises UnknownName for another way to vote.
    """
    if by not in WAYS:
        raise UnknownName("vote_calls by", by, WAYS)
    attempts = yield from sample(problem.prompt, 1 if side_effects else n)
    readable = [attempt for attempt in attempts if attempt.answer is not None]
    if not readable:
        return elect(problem, attempts)
    part = "arguments" if by == "arguments" else "name"
    group = _agreeing(problem, readable, part)
    note = f"{len(group)} of {len(attempts)} votes for the {part}{ALONE if side_effects else ''}"
    return _assembled(problem, group, note) if by == "hierarchical" else Answer.of(group[0], note)


def _agreeing(problem: Problem, attempts: Sequence[Attempt], part: str) -> list[Attempt]:
    """The attempts whose calls have the elected names, or arguments."""
    ballots = [_ballot(attempt, part) for attempt in attempts]
    winner = _most_voted(problem, ballots)
    return [attempt for attempt, ballot in zip(attempts, ballots, strict=True) if ballot == winner]


def _assembled(problem: Problem, group: Sequence[Attempt], note: str) -> Answer:
    """The call of each argument's most frequent value; where values tie, that of the most frequent whole call."""
    leader = elect(problem, group)
    model = _calls(leader.value)
    if model is None:
        return Answer(leader.text, leader.value, note, leader.finish)
    drafts = [_calls(attempt.answer) or [] for attempt in group]
    calls = [
        {"name": call["name"], "arguments": _merged(problem, [draft[place]["arguments"] for draft in drafts], call)}
        for place, call in enumerate(model)
    ]
    value = _canonical(calls[0] if len(calls) == 1 else calls)
    voice = next((attempt for attempt in group if attempt.answer == value), None)
    if voice is None:
        return Answer(value, value, f"{note}; put together from several, no attempt made this call")
    return Answer.of(voice, note)


def _merged(problem: Problem, versions: Sequence[Mapping[str, Json]], call: Mapping[str, Any]) -> dict[str, Json]:
    arguments = {}
    for word in dict.fromkeys(word for version in versions for word in version):
        values = [_value(version, word) for version in versions]
        arguments[word] = _most_voted(problem, values, prefer=_value(call["arguments"], word))
    return {word: json.loads(value) for word, value in arguments.items() if value != LEFT_OUT}


def _most_voted(problem: Problem, ballots: Sequence[str], prefer: str | None = None) -> str:
    votes = Counter(ballots)
    most = max(votes.values())
    tied = sorted(ballot for ballot, n in votes.items() if n == most)
    if prefer in tied:
        return prefer
    return random.Random(f"{problem.sampling.seed}:{problem.id}").choice(tied)


def _ballot(attempt: Attempt, part: str) -> str:
    """The names, or arguments, of an attempt's calls; the answer itself where it is no call."""
    calls = _calls(attempt.answer)
    return str(attempt.answer) if calls is None else CALLED + _canonical([call[part] for call in calls])


def _calls(answer: str | None) -> list[dict[str, Any]] | None:
    """The calls of a canonical answer; None where it is no call, or list of calls."""
    try:
        value = json.loads(answer or "")
        _canonical(value)
    except (ValueError, RecursionError):
        return None
    calls = value if isinstance(value, list) else [value]
    return calls if calls and all(map(_is_call, calls)) else None


def _is_call(value: Json) -> bool:
    if not isinstance(value, dict) or value.keys() != {"name", "arguments"}:
        return False
    return isinstance(value["name"], str) and isinstance(value["arguments"], dict)


def _value(arguments: Mapping[str, Json], word: str) -> str:
    return _canonical(arguments[word]) if word in arguments else LEFT_OUT


def _canonical(value: Json) -> str:
    """JSON as verifiers write it, so that equal calls are equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
