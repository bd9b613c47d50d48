"""A recording, replayed, is the model again; broken recordings say where."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from trueup.core.errors import AskFailed, BadInput
from trueup.core.roles import Model, ModelCard, Sampled, Waste
from trueup.core.types import Attempt, Message, Prompt, Sampling, Usage
from trueup.models.replay import Recorder, Replay

PROMPTS = [(Message("system", "s"), Message("user", f"Frage {i} \u2028 \ud83d")) for i in range(3)]
SETTINGS = [Sampling(), Sampling(0.1, 0.9, 7, ("\n", "x"), '{"a":1}', None, 3)]


class Toy:
    """Attempt 2 always fails; the rest say what they were asked."""

    card = ModelCard("toy", "toy:1", "cpu", parameters=10)

    def __init__(self) -> None:
        self.is_closed = False

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        came = [i for i in range(start, start + n) if i != 2]
        usage = Usage(None, 3, 1, 0.1, 1 / 3)
        attempts = tuple(Attempt(i, f"{prompt[-1].content} {i}\n", "stop", usage, None) for i in came)
        return Sampled(attempts, (Waste("failed", "no 2", None, 4, 0.2),) if len(came) < n else ())

    async def close(self) -> None:
        self.is_closed = True


def ask_all(model: Model) -> str:
    """A digest of the card and of every reply to a fixed list of asks."""

    async def run() -> list[object]:
        asks = [(p, n, start, s) for p in PROMPTS for s in SETTINGS for n, start in ((4, 0), (2, 4))]
        return [model.card, *[await model.sample(*ask) for ask in asks]]

    return hashlib.sha256(ascii(asyncio.run(run())).encode()).hexdigest()


def recorded(path: Path) -> str:
    return ask_all(Recorder(Toy(), path))


def test_replay_equals_the_recording_and_the_model(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "replay.jsonl"
    assert recorded(path) == ask_all(Toy()) == ask_all(Replay(path))
    assert Replay(path).card == Toy.card


def test_recording_older_than_the_engines_of_wasted_calls_is_read(tmp_path: Path) -> None:
    path = tmp_path / "replay.jsonl"
    recorded(path)
    header, *calls = map(json.loads, path.read_text().splitlines())
    wastes = [waste for call in calls for waste in call["reply"]["waste"]]
    assert [waste.pop("engine") for waste in wastes] == [None] * 6
    path.write_text("".join(json.dumps(row) + "\n" for row in (header, *calls)))
    assert ask_all(Replay(path)) == ask_all(Toy())


def test_other_split_of_the_same_attempts_brings_the_same_attempts(tmp_path: Path) -> None:
    path = tmp_path / "replay.jsonl"
    recorded(path)
    reply = asyncio.run(Replay(path).sample(PROMPTS[0], 3, 3, SETTINGS[0]))
    assert [attempt.index for attempt in reply.attempts] == [3, 4, 5]
    assert reply.attempts[0].text == f"{PROMPTS[0][-1].content} 3\n" and reply.waste == ()


def test_ask_that_is_not_on_file_fails_with_file_and_mend(tmp_path: Path) -> None:
    path = tmp_path / "replay.jsonl"
    recorded(path)
    for prompt, n, sampling in ((PROMPTS[0], 7, SETTINGS[0]), (PROMPTS[0], 1, Sampling(seed=9)), ((), 1, Sampling())):
        with pytest.raises(AskFailed, match=r"replay.jsonl holds no attempt [06] .*; record it again"):
            asyncio.run(Replay(path).sample(prompt, n, 0, sampling))


def test_recording_cut_anywhere_replays_its_whole_calls(tmp_path: Path) -> None:
    path = tmp_path / "replay.jsonl"
    recorded(path)
    data = path.read_bytes()
    header, first = data.index(b"\n") + 1, data.index(b"\n", data.index(b"\n") + 1) + 1
    for end in range(header, first + 1):
        path.write_bytes(data[:end])
        replay = Replay(path)
        if end < first:
            with pytest.raises(AskFailed):
                asyncio.run(replay.sample(PROMPTS[0], 4, 0, SETTINGS[0]))
        else:
            assert len(asyncio.run(replay.sample(PROMPTS[0], 4, 0, SETTINGS[0])).attempts) == 3


def test_recorder_goes_on_behind_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "replay.jsonl"
    recorded(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert recorded(path) == ask_all(Replay(path))
    assert path.read_bytes() == whole[: whole[:-1].rindex(b"\n") + 1] + whole[whole.index(b"\n") + 1 :]


def test_recording_of_another_model_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "replay.jsonl"
    recorded(path)
    before = path.read_bytes()
    other = Toy()
    other.card = ModelCard("toy", "toy:2", "cpu")
    with pytest.raises(BadInput, match=r"is a recording of 'toy:1'; choose another file"):
        Recorder(other, path)
    assert path.read_bytes() == before


def spoil(line: str, **changes: object) -> str:
    return json.dumps(json.loads(line) | changes)


def test_malformed_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "replay.jsonl"
    recorded(path)
    lines = path.read_text().splitlines()
    for bad in ("{", "[]", "{}", spoil(lines[2], prompt=3), spoil(lines[2], sampling={"stop": []}), "\x00"):
        path.write_text("\n".join([*lines[:2], bad, *lines[3:]]) + "\n")
        with pytest.raises(BadInput, match=r"replay.jsonl:3: not a recorded call") as caught:
            Replay(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "x\n", '{"trueup_replay": 1}\n', '{"trueup_replay": 1, "card": {}}\n'])
def test_file_without_a_header_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "replay.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"replay.jsonl:1: no header"):
        Replay(path)


def test_missing_file_and_other_version_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="record one first"):
        Replay(tmp_path / "none.jsonl")
    path = tmp_path / "replay.jsonl"
    path.write_text('{"trueup_replay": 2, "card": {}}\n')
    with pytest.raises(BadInput, match="recording of version 2; this trueup reads 1"):
        Replay(path)


def test_closing_the_recorder_closes_the_model(tmp_path: Path) -> None:
    toy = Toy()
    asyncio.run(Recorder(toy, tmp_path / "replay.jsonl").close())
    assert toy.is_closed
