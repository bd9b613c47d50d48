"""What methods ask, answer and are charged, on record.

tests/golden/METHOD.json holds takes by their titles. A person writes what is `given` of a take: the arm in a user's
words, the problems, and what the toys (`scripted`) say. The rest is recorded: every ask in its order with its reply,
the texts that prompts are made of (each once, by a name), the outcome of each problem, and the rows of the ledger.

    python tests/golden.py               records every file anew, out of what is given in it
    python tests/golden.py vote route    records these two

Record anew only where a method is meant to ask, answer or cost otherwise than before, and read the difference line by
line: it is what users will be charged. A test that fails for any other reason has found a defect. For a new method or
take write {"takes": {TITLE: {"given": ...}}} and record it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from scripted import models_of, solution, stratum_of
from toys import PRICES

from trueup.arms import make_arm
from trueup.core.asks import All, Ask, Check, Rate, Read, Sample, Solve, resumed
from trueup.core.charge import Charge
from trueup.core.errors import AskFailed
from trueup.core.ledger import Ledger, read_charges
from trueup.core.outcome import Outcome
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Attempt, Grade, Json, Message, Problem, Sampling, Solution, Usage
from trueup.run import Clerk, Job, run_job
from trueup.run.batch import run_batch

FOLDER = Path(__file__).parent / "golden"
HEAD = ["kind", "source", "prompt_tokens", "completion_tokens", "calls"]
REPLIES = ("reply", "failed", "prompt_tokens")
"""What of a turn is the answer to its ask."""
WIDTH = 116


def whole(text: str | Sequence[str]) -> str:
    """A text that may be told line by line."""
    return text if isinstance(text, str) else "\n".join(text)


@dataclass(slots=True)
class Texts:
    """Names of the texts that prompts are made of.

    One that has none gets one; where these `are_all`, it is told whole.
    """

    named: dict[str, str] = field(default_factory=dict)
    are_all: bool = False

    @classmethod
    def of(cls, told: Mapping[str, Json]) -> Texts:
        """The texts of a file, and no others."""
        return cls({name: whole(text) for name, text in told.items()}, are_all=True)

    def told(self) -> dict[str, Json]:
        """The texts for a file, line by line."""
        return {name: text.split("\n") if "\n" in text else text for name, text in self.named.items()}

    def name(self, kind: str, text: str) -> str:
        """The name of a text of a kind: a role, schema or grammar."""
        alike = {other: name for name, other in self.named.items() if name.startswith(f"{kind} ")}
        if self.are_all:
            return alike.get(text, f"{kind}: {text}")
        name = alike.get(text, f"{kind} {len(alike) + 1}")
        self.named[name] = text
        return name


class Take:
    """An arm, with what it asks and is told as JSON."""

    def __init__(self, given: Mapping[str, Json], texts: Texts, folder: Path) -> None:
        """Write the files into what the arm's words call FOLDER."""
        for name, table in given.get("files", {}).items():
            (folder / name).write_text(json.dumps(table))
        self.given, self.texts = given, texts
        self.arm: Arm = make_arm(given["arm"].replace("FOLDER", str(folder)))
        self.problems = [_problem(f"p{place}", row) for place, row in enumerate(given["problems"])]

    def start(self) -> Generator[Any, Any, Any]:
        """The flow of the arm on its problem, or on all of them."""
        return self.arm.start(self.problems if self.arm.is_batch else self.problems[0])

    def shown(self, ask: Any) -> dict[str, Json]:
        """An ask, or a batch's asks at once."""
        if isinstance(ask, tuple):
            return {"at once": [{"of": self.problems[place].id, **self.shown(one)} for place, one in ask]}
        if isinstance(ask, All):
            return {"at once": [self.shown(one) for one in ask.asks]}
        if isinstance(ask, Check):
            return {"ask": "check", "answers": [attempt.answer for attempt in ask.attempts]}
        if isinstance(ask, Rate | Read):
            return {"ask": type(ask).__name__.lower(), "texts": list(ask.texts)}
        if isinstance(ask, Solve):
            return {"ask": "solve", "prompt": self._prompt(ask.problem.prompt)}
        return {"ask": ask.kind, "prompt": self._prompt(ask.prompt), "n": ask.n, **self._manner(ask)}

    def turn(self, ask: Any, reply: Any) -> dict[str, Json]:
        """An ask with its reply."""
        shown = self.shown(ask)
        if isinstance(ask, tuple | All):
            ones = [one for _, one in ask] if isinstance(ask, tuple) else ask.asks
            both = zip(shown["at once"], ones, reply, strict=True)
            return {"at once": [{**row, **_told(one, its)} for row, one, its in both]}
        return {**shown, **_told(ask, reply)}

    def reply(self, ask: Any, turn: Mapping[str, Json]) -> Any:
        """The reply that was recorded for an ask."""
        if isinstance(ask, tuple):
            replies = [self.reply(one, row) for (_, one), row in zip(ask, turn["at once"], strict=True)]
            return tuple(() if isinstance(its, AskFailed) else its for its in replies)
        if isinstance(ask, All):
            return tuple(self.reply(one, row) for one, row in zip(ask.asks, turn["at once"], strict=True))
        return AskFailed(turn["failed"]) if "failed" in turn else _heard(ask, turn)

    def _prompt(self, prompt: Sequence[Message]) -> list[str]:
        return [self.texts.name(message.role, message.content) for message in prompt]

    def _manner(self, ask: Sample) -> dict[str, Json]:
        """What is unusual about an ask, beside its prompt and n."""
        usual = {"start": 0, "model": "", "reads_turn": True}
        told = {name: getattr(ask, name) for name, value in usual.items() if getattr(ask, name) != value}
        if ask.sampling is not None:
            differing = _unusual(ask.sampling, self.problems[0].sampling)
            forms = {name: differing[name] for name in ("schema", "grammar") if differing.get(name)}
            told["sampling"] = differing | {name: self.texts.name(name, form) for name, form in forms.items()}
        return told | ({"until": True} if ask.until else {})


def _problem(name: str, row: Mapping[str, Json]) -> Problem:
    prompt = tuple(Message(role, whole(text)) for role, text in row["prompt"])
    sampling = Sampling(**{**row.get("sampling", {}), "stop": tuple(row.get("sampling", {}).get("stop", ()))})
    rest = {key: value for key, value in row.items() if key not in ("prompt", "sampling")}
    return Problem(name, "golden", prompt, sampling, **rest)


def asked(turn: Mapping[str, Json]) -> dict[str, Json]:
    """A recorded ask without its reply."""
    if "at once" in turn:
        return {"at once": [asked(row) for row in turn["at once"]]}
    return {name: value for name, value in turn.items() if name not in REPLIES}


def answered(answer: Answer) -> dict[str, Json]:
    """What a method returned."""
    return {one.name: getattr(answer, one.name) for one in fields(Answer)}


def _told(ask: Ask, reply: Any) -> dict[str, Json]:
    if isinstance(reply, AskFailed) or reply == ():
        return {"failed": str(reply or "")}
    if isinstance(ask, Sample):
        rows = [_row(attempt, ask.start + place) for place, attempt in enumerate(reply)]
        return {"prompt_tokens": reply[0].usage.prompt_tokens, "reply": rows}
    if isinstance(ask, Check):
        return {"reply": [grade.value if grade.parsed else None for grade in reply]}
    return {"reply": _unusual(reply, Solution("")) if isinstance(ask, Solve) else list(reply)}


def _row(attempt: Attempt, index: int) -> dict[str, Json]:
    own = {"text": attempt.text, "answer": attempt.answer, "tokens": attempt.usage.completion_tokens}
    usual = replace(attempt, index=index, finish="eos", logprob=None, drawn_logprob=None)
    return {**own, **_unusual(attempt, usual)}


def _unusual(one: Any, usual: Any) -> dict[str, Json]:
    """What differs between two of a kind."""
    pairs = {f.name: (getattr(one, f.name), getattr(usual, f.name)) for f in fields(one)}
    changed = {name: value for name, (value, other) in pairs.items() if value != other}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in changed.items()}


def _heard(ask: Ask, turn: Mapping[str, Json]) -> Any:
    told = turn["reply"]
    if isinstance(ask, Sample):
        return tuple(_spoken(ask, place, row, turn["prompt_tokens"]) for place, row in enumerate(told))
    if isinstance(ask, Check):
        return tuple(Grade(0.0, parsed=False, note="unparsable") if one is None else Grade(one) for one in told)
    return solution(told) if isinstance(ask, Solve) else tuple(told)


def _spoken(ask: Sample, place: int, row: Mapping[str, Json], read: int) -> Attempt:
    usage = Usage(read, row["tokens"], 0, leads=place == 0 or ask.until is not None)
    rest = {name: value for name, value in row.items() if name != "tokens"}
    return Attempt(**{"index": ask.start + place, "finish": "eos", **rest, "usage": usage})


# a run through the Clerk


def record(given: Mapping[str, Json], texts: Texts, folder: Path) -> dict[str, Json]:
    """The take that is given, played before its toys, with its ledger in a folder."""
    take, turns = Take(given, texts, folder), list[tuple[Any, Any]]()
    arm = replace(take.arm, start=lambda _: _tapped(take.start(), turns))
    own, others = models_of(given)
    with Ledger(folder / "ledger") as ledger:
        outcomes = asyncio.run(_run(arm, stratum_of(given, take.problems), Clerk(own, ledger, PRICES, others)))
    return {
        "given": given,
        "conversation": [take.turn(ask, reply) for ask, reply in turns],
        "outcomes": [_outcome(one) for one in outcomes],
        "ledger": [HEAD, *map(_charged, read_charges(folder / "ledger"))],
    }


def _charged(row: Charge) -> list[Json]:
    return [row.kind, row.source, row.prompt_tokens, row.completion_tokens, int(row.leads)]


def _tapped(flow: Generator[Any, Any, Any], turns: list[tuple[Any, Any]]) -> Generator[Any, Any, Any]:
    """The flow, with each ask and its reply or failure in `turns`."""
    reply = None
    while True:
        try:
            ask = resumed(flow, reply)
        except StopIteration as end:
            return end.value
        try:
            reply = yield ask
        except AskFailed as failure:
            reply = failure
        turns.append((ask, reply))


async def _run(arm: Arm, stratum: Stratum, clerk: Clerk) -> list[Outcome]:
    if arm.is_batch:
        return await run_batch(arm, stratum, clerk)
    outcome = await run_job(Job(stratum, stratum.items[0], arm), clerk)
    assert isinstance(outcome, Outcome)
    return [outcome]


def _outcome(outcome: Outcome) -> dict[str, Json]:
    cost = {name: getattr(outcome.cost, name) for name in ("calls", "prompt_tokens", "completion_tokens")}
    told = {"failure": outcome.failure} if outcome.answer is None else {"answer": answered(outcome.answer)}
    oracle = {"is_oracle": True} if outcome.is_oracle else {}
    return {**told, "grade": outcome.grade.value, **oracle, "cost": cost}


# files


def read(method: str) -> dict[str, Json]:
    """The texts and the takes of a method."""
    told: dict[str, Json] = json.loads((FOLDER / f"{method}.json").read_text(encoding="utf-8"))
    return told


def record_anew(method: str) -> None:
    """Write a method's file out of what is given in it."""
    takes, texts = {}, Texts()
    for title, take in read(method)["takes"].items():
        with tempfile.TemporaryDirectory() as folder:
            takes[title] = record(take["given"], texts, Path(folder))
    told = laid_out({"texts": texts.told(), "takes": takes})
    (FOLDER / f"{method}.json").write_text(f"{told}\n", encoding="utf-8")


def laid_out(value: Json, margin: int = 0, before: int = 0) -> str:
    """JSON, a line for whatever fits on one.

    So too for neighbours in an object that fit on one together.
    """
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or margin + before + len(flat) <= WIDTH:
        return flat
    is_object, lines = isinstance(value, dict), list[str]()
    for name, one in value.items() if is_object else zip([""] * len(value), value, strict=True):
        word = f"{json.dumps(name, ensure_ascii=False)}: " if is_object else ""
        part = word + laid_out(one, margin + 2, len(word))
        both = f"{lines[-1]}, {part}" if is_object and lines else "\n"
        if "\n" not in both and margin + 2 + len(both) <= WIDTH:
            lines[-1] = both
        else:
            lines.append(part)
    inner = ",\n".join(f"{' ' * (margin + 2)}{line}" for line in lines)
    left, right = "{}" if is_object else "[]"
    return f"{left}\n{inner}\n{' ' * margin}{right}"


if __name__ == "__main__":
    for method in sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.json")):
        record_anew(method)
        print(f"{method}: recorded")
