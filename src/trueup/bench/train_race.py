"""Rounds of online training: ours, and TRL's own GRPO trainer with nothing of ours but a reward.

A token processed is one that passes through the model: read as a prompt (again before a second turn), sampled, read by
the reference, trained on; padding is none. Ours are what is charged. TRL's are counted by the same formula out of the
lengths of its prompts and of what its reward function is handed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trueup.bench.tiny_llama import CONTROLS
from trueup.core.cost import Prices
from trueup.core.ledger import Ledger
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Message, Problem, Sampling
from trueup.train.books import Books
from trueup.train.job import Job, Passes
from trueup.train.profiles import PROFILES
from trueup.train.real import degrpo, grpo, multi_turn, score
from trueup.verifiers.exact import exact

N, BATCH, MAX_TOKENS, LORA_RANK = 8, 16, 32, 16
SHAPE = {"samples_per_prompt": N, "batch": BATCH, "tokens_at_most": MAX_TOKENS}
LETTERS = "[aeiou0-4]"
SETTINGS: dict[str, Any] = {"n": N, "batch": BATCH, "lora_rank": LORA_RANK, "beta": 0.01, "lr": 1e-5}
TRAINERS: dict[str, Callable[..., Any]] = {"grpo": grpo, "multi_turn": multi_turn, "score": score, "degrpo": degrpo}
OWN: dict[str, dict[str, Any]] = {"degrpo": {"think": CONTROLS[0], "short": CONTROLS[1]}}


@dataclass(frozen=True, slots=True)
class Lap:
    """What the steps behind the first took: tokens by kind, FLOPs, seconds of the clock and of the processor."""

    tokens: dict[str, int]
    flops: int
    seconds: float
    cpu_seconds: float

    @classmethod
    def of(cls, passes: Iterable[Passes], clock: Clock) -> Lap:
        """The sum over passes, the first step's left out."""
        tokens: dict[str, int] = {}
        flops = 0
        for one in passes:
            if one.step > 1:
                tokens[one.kind] = tokens.get(one.kind, 0) + one.prompt_tokens + one.completion_tokens
                flops += one.flops
        seconds, cpu_seconds = clock.behind_first()
        return cls({kind: count for kind, count in tokens.items() if count}, flops, seconds, cpu_seconds)

    @property
    def all_tokens(self) -> int:
        """Tokens processed."""
        return sum(self.tokens.values())


class Clock:
    """Notes when each step was over."""

    def __init__(self) -> None:
        self._times: list[tuple[float, float]] = []

    def note(self, *ignored: Any) -> None:
        """A step is over."""
        self._times.append((time.perf_counter(), time.process_time()))

    def behind_first(self) -> tuple[float, float]:
        """From the end of the first step to that of the last."""
        (wall, cpu), (last_wall, last_cpu) = self._times[0], self._times[-1]
        return last_wall - wall, last_cpu - cpu


def stratum() -> Stratum:
    """Sums of one length; a text is right whose last vowel or low digit is an `a`."""
    sampling = Sampling(max_tokens=MAX_TOKENS)
    problems = [
        Problem(str(number), "sums", (Message("user", f"What is {number} + {99 - number}?"),), sampling)
        for number in range(10, 42)
    ]
    return Stratum("sums", tuple(Item(one, "a", one.id) for one in problems), exact(pattern=f"({LETTERS})"))


def ours(name: str, model: Path, steps: int) -> Lap:
    """Train through the public trainer, ledger on disk included."""
    clock, booked = Clock(), list[Passes]()
    own = SETTINGS | OWN.get(name, {})
    with TemporaryDirectory(dir=Path.cwd()) as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        books = Books(ledger, Prices("bench", Decimal(0)), "tiny", name, own, "sums", 0)

        def charge(passes: Passes) -> None:
            booked.append(passes)
            books.charge(passes)

        job = Job(model, stratum(), Path(folder) / "out", PROFILES["cpu"], 0, charge, clock.note)
        TRAINERS[name](job, steps=steps, **own)
    return Lap.of(booked, clock)


def trl(model: Path, steps: int) -> Lap:
    """Train by `trl.GRPOTrainer`, told the same step."""
    from transformers import PrinterCallback, TrainerCallback

    from trueup.train.real.quiet import quiet

    clock, lengths = Clock(), dict[int, list[int]]()

    class Laps(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **ignored: Any) -> None:
            if "train_runtime" not in (logs or {}):
                clock.note()

    def has_a(
        completions: Any, completion_ids: Sequence[Sequence[int]], trainer_state: Any, **rest: Any
    ) -> list[float]:
        lengths[trainer_state.global_step + 1] = [len(ids) for ids in completion_ids]
        return [float(re.findall(LETTERS, one[0]["content"])[-1:] == ["a"]) for one in completions]

    with TemporaryDirectory(dir=Path.cwd()) as folder, quiet():
        trainer = _trl_trainer(model, Path(folder), steps, has_a)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Laps())
        trainer.train()
    return Lap.of(_trl_passes(trainer, model, lengths), clock)


def _trl_trainer(model: Path, folder: Path, steps: int, reward: Any) -> Any:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer  # type: ignore[attr-defined]

    torch.set_num_threads(1)
    rows = PROFILES["cpu"].rows
    config = GRPOConfig(
        output_dir=str(folder), max_steps=steps, num_generations=N, generation_batch_size=BATCH,
        per_device_train_batch_size=rows, gradient_accumulation_steps=BATCH // rows,
        max_completion_length=MAX_TOKENS, beta=SETTINGS["beta"], learning_rate=SETTINGS["lr"],
        use_cpu=True, bf16=False, gradient_checkpointing=False, dataloader_pin_memory=False,
        logging_steps=1, report_to="none", disable_tqdm=True, push_to_hub=False,
    )  # fmt: skip
    asked = [{"prompt": [{"role": "user", "content": item.problem.prompt[0].content}]} for item in stratum().items]
    return GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
        reward_funcs=reward,
        args=config,
        train_dataset=Dataset.from_list(asked),
        processing_class=AutoTokenizer.from_pretrained(model, padding_side="left"),
        peft_config=LoraConfig(
            r=LORA_RANK, lora_alpha=2 * LORA_RANK, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )


def _trl_passes(trainer: Any, model: Path, lengths: dict[int, list[int]]) -> list[Passes]:
    """What TRL's steps would be charged: each text read, sampled, read by the reference and trained on."""
    from trueup.models.huggingface.folder import read_shape
    from trueup.train.real.episodes import Record
    from trueup.train.real.passes import Size, Ways, passes

    chat = [{"role": "user", "content": stratum().items[0].problem.prompt[0].content}]
    template = trainer.processing_class.apply_chat_template
    prompt = len(template(chat, add_generation_prompt=True, tokenize=True, return_dict=False))
    counts = [(weight.numel(), weight.requires_grad) for weight in trainer.model.parameters()]
    shape, learning = read_shape(model), sum(count for count, is_trained in counts if is_trained)
    size = Size(sum(count for count, _ in counts), learning, shape.layers or 0, shape.width or 0)
    ways = Ways(samples=True, reference=True, old_policy=False, recompute=False)
    return [
        one
        for step, drawn in lengths.items()
        for one in passes(step, [_record(Record, prompt, length) for length in drawn], size, ways, {})
    ]


def _record(record: Any, prompt: int, length: int) -> Any:
    return record((prompt,), (length,), (0,), (False,), (False,), (0.0,), prompt + length, 0)
