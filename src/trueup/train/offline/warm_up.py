"""Warm-up for `degrpo`: both ways to answer, each behind a token of its own.

Fang, Ma and Wang 2025 (Thinkless), arXiv:2505.13379: every prompt with a long and a short answer. Theirs are two other
models'; here both may be the model's own, asked for in words that are not trained on, and only right ones are kept. An
item gives as many of one way as of the other, so that nothing but the policy will say which to take. Cost: 2 n samples
and checks an item for each source, then steps x batch texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch

from trueup.core.errors import BadInput, UnknownName
from trueup.models.huggingface.vocabulary import Vocabulary
from trueup.train.ask import demand_asked
from trueup.train.control_tokens import Modes, demand_both, unwritten
from trueup.train.job import Job, Trained
from trueup.train.network import read, vocabulary_of
from trueup.train.offline.loop import Course
from trueup.train.offline.own import asker_of, demand, with_replay
from trueup.train.offline.supervised import ROUNDS, Plan, read_examples, train_rounds
from trueup.train.offline.ways import Both, Way, read_shots, sampled
from trueup.train.texts import Example

ALL, OWN = "all", "own"


def warm_up(
    job: Job, *, think: str = "", short: str = "", think_request: str = "Think step by step, then say the answer.",
    short_request: str = "Answer at once, without working it out.", think_shots: str = "", think_from: str = ALL,
    short_from: str = ALL, n: int = 8, steps: int = 100, batch: int = 8, lr: float = 1e-4, lora_rank: int = 16,
    kl: float = 0.0, replay: float = 0.0, save_every: int = 10,
) -> Trained:  # fmt: skip
    """Imitate right answers with thinking behind the token `think`, as many at once behind `short`.

    Without names the tokens are two special ones that the model has and never writes. The two requests go behind the
    question when texts are sampled (an empty one does not), and the examples in the file `think_shots`, a JSON object
    with question and answer a line, before it instead of the stratum's. `think_from` and `short_from` say who is
    asked: `own`, a model by its name in `--with NAME=MODEL`, or all of them. What was cut at the limit is left out, so
    thinking needs the stratum's `max_tokens` to leave room.
    """
    course = Course(steps, batch, lr, lora_rank, kl, replay, save_every)
    demand(n=n)
    demand_both(think, short)
    if ALL not in (think_from, short_from):
        demand_asked(job.ask, (think_from, short_from), "what think_from and short_from name")
    thinking = Way(think_request, _sources(job, "think_from", think_from), read_shots(think_shots))
    at_once = Way(short_request, _sources(job, "short_from", short_from))
    modes, vocabulary = _modes(job, think, short, learns=not lora_rank)

    def gather(folder: Path, number: int) -> Sequence[Example]:
        return with_replay(job, _moded(job, sampled(job, folder, at_once, thinking, n), modes), replay)

    trained = train_rounds(job, gather, Plan(course))
    examples = read_examples(job.out / ROUNDS / "1" / "examples.jsonl")
    return replace(trained, figures={**trained.figures, **modes.figures, **_lengths(examples, modes, vocabulary)})


def _moded(job: Job, found: Sequence[Both], modes: Modes) -> list[Example]:
    """The pairs of all items, each text behind its token.

    Raises BadInput where there is none.
    """
    think, short = modes.names
    pairs = [pair for item in found for pair in item.pairs]
    if not pairs:
        at_once, thought = (sum(map(bool, way)) for way in ([b.short for b in found], [b.thought for b in found]))
        raise BadInput(
            f"no pair to train on: of {len(job.stratum.items)} items of {job.stratum.name!r} {at_once} have a right "
            f"answer at once and {thought} one with thought, none a longer one with thought beside one at once; raise "
            "n or max_tokens, word think_request otherwise, show think_shots, or give --with NAME=MODEL"
        )
    told = [(name, one) for pair in pairs for name, one in zip((short, think), pair, strict=True)]
    return [replace(one, target=name + one.target) for name, one in told]


def _sources(job: Job, setting: str, source: str) -> tuple[str, ...]:
    others = asker_of(job).others
    if source == ALL:
        return ("", *others)
    if source != OWN and source not in others:
        raise UnknownName(setting, source, [ALL, OWN, *others], hint=f"(give --with {source}=MODEL)")
    return ("" if source == OWN else source,)


def _modes(job: Job, think: str, short: str, *, learns: bool) -> tuple[Modes, Vocabulary]:
    network, tokenizer = read(job.model, torch.float32)
    vocabulary = vocabulary_of(network, tokenizer, job.template, job.model)
    prompt = job.stratum.items[0].problem.prompt
    return unwritten(network, vocabulary, prompt, think=think, short=short, learns=learns), vocabulary


def _lengths(examples: Sequence[Example], modes: Modes, vocabulary: Vocabulary) -> dict[str, float]:
    """How many tokens the texts of either mode have, their own left out."""
    told = {}
    for key, name in zip(("length_think", "length_short"), modes.names, strict=True):
        texts = [one.target.removeprefix(name) for one in examples if one.target.startswith(name)]
        told[key] = fmean(len(vocabulary.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
    return told
