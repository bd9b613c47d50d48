"""`transformers.generate` as its manual has it: many sequences for one prompt, or many prompts padded, in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trueup.core.errors import Unavailable
from trueup.core.types import Problem, chat_of
from trueup.models import SMOLLM2

PADDED = "transformers.generate, prompts padded"


def start_transformers(threads: int) -> Callable[[Sequence[Problem], int], int]:
    """A function that samples so many sequences for each problem and returns the tokens generated.

    Raises Unavailable where torch or transformers is missing.
    """
    tokenizer, model = _load(threads)

    def run(problems: Sequence[Problem], samples: int) -> int:
        return sum(_generate(tokenizer, model, [problem], samples) for problem in problems)

    return run


def start_padded(threads: int) -> Callable[[Sequence[Problem]], int]:
    """A function that samples each problem once, all in one call, and returns the tokens generated.

    Raises Unavailable where torch or transformers is missing.
    """
    tokenizer, model = _load(threads)
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return lambda problems: _generate(tokenizer, model, problems, 1)


def _load(threads: int) -> tuple[Any, Any]:
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from trueup.models.huggingface import converted
        from trueup.models.huggingface.load import quiet
    except ImportError as error:
        raise Unavailable(f"transformers cannot be raced: {error}; pip install 'trueup[hf]'") from error
    folder = converted(SMOLLM2)
    torch.set_num_threads(threads)
    with quiet():
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return tokenizer, model


def _generate(tokenizer: Any, model: Any, problems: Sequence[Problem], samples: int) -> int:
    """Sample all problems in one call; the tokens up to each text's end."""
    given = tokenizer.apply_chat_template(
        [chat_of(problem.prompt) for problem in problems],
        add_generation_prompt=True,
        padding=len(problems) > 1,
        return_tensors="pt",
        return_dict=True,
    )
    sampling = problems[0].sampling
    made = model.generate(
        **given,
        do_sample=True,
        temperature=sampling.temperature,
        top_k=0,
        top_p=1.0,
        max_new_tokens=sampling.max_tokens,
        num_return_sequences=samples,
        pad_token_id=tokenizer.eos_token_id,
    )
    written = made[:, given["input_ids"].shape[1] :]
    ended = (written == tokenizer.eos_token_id).int().cumsum(1) > 0
    return int((~ended).sum()) + int(ended.any(1).sum())
