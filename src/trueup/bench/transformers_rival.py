"""`transformers.generate` as its manual has it: many sequences for one prompt, in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trueup.core.errors import Unavailable
from trueup.core.types import Problem
from trueup.models import SMOLLM2


def start_transformers(threads: int) -> Callable[[Sequence[Problem], int], int]:
    """A function that samples so many sequences for each problem and returns the tokens generated.

    Raises Unavailable where torch or transformers is missing.
    """
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

    def run(problems: Sequence[Problem], samples: int) -> int:
        tokens = 0
        for problem in problems:
            chat = [{"role": message.role, "content": message.content} for message in problem.prompt]
            given = tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            made = model.generate(
                **given,
                do_sample=True,
                temperature=problem.sampling.temperature,
                top_k=0,
                top_p=1.0,
                max_new_tokens=problem.sampling.max_tokens,
                num_return_sequences=samples,
                pad_token_id=tokenizer.eos_token_id,
            )
            written = made[:, given["input_ids"].shape[1] :]
            ended = (written == tokenizer.eos_token_id).int().cumsum(1) > 0
            tokens += int((~ended).sum()) + int(ended.any(1).sum())
        return tokens

    return run
