"""A tiny model that is right about half the time, first turn and second, and a task for it."""

from __future__ import annotations

import json
from pathlib import Path

from tiny import save_tiny

from trueup.core.types import Message
from trueup.methods.revise import ask_again
from trueup.train.job import Job, save
from trueup.train.network import load
from trueup.train.offline.loop import Course, fit
from trueup.train.offline.supervised import supervised
from trueup.train.profiles import PROFILES
from trueup.train.texts import Example, tokens_of

WORDS = ("right", "wrong")
ITEMS = 8


def save_half(folder: Path, **settings: int) -> Path:
    """The folder of a model that says `right` or `wrong` to any problem, whatever it has said before."""
    base = save_tiny(folder / "raw", 0, **settings)
    trainee = load(base, device="cpu", dtype="float32", lora_rank=0, template="", seed=0)
    asked = [(Message("user", f"problem {place}"),) for place in range(ITEMS)]
    asked += [ask_again(prompt, word) for prompt in asked[:4] for word in WORDS]
    texts = [tokens_of(Example(prompt, word), trainee.vocabulary, 256) for prompt in asked for word in WORDS]
    course = Course(60, 16, 0.01, 0, 0.0, 0.0, 1000)
    job = Job(base, None, folder, PROFILES["cpu"], 0, lambda passes: None, lambda progress: None)
    fit(job, trainee, texts, supervised(trainee, course, base), course, state=folder / "state.pt")
    save(trainee.network, trainee.vocabulary.tokenizer, folder)
    return folder / "model"


def write_words(path: Path, strata: int = 1) -> Path:
    """A task of so many strata, each of eight items to be answered with `right`; half is held out of three."""
    tables = ['[task]\nname = "words"\n']
    for number in range(strata):
        name = f"words{number or ''}"
        rows = [
            {"id": f"{name}-m{i}", "prompt": f"problem {i + ITEMS * number}", "reference": "right"}
            for i in range(ITEMS)
        ]
        (path.parent / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        tables.append(f'[[stratum]]\nname = "{name}"\nsource = "jsonl:{name}.jsonl"\nmax_tokens = 8\n')
    path.write_text("\n".join(tables))
    return path
