"""A Llama of three million random weights in a folder.

It begins an answer with one of two control tokens more often than not, as if it had been taught to; what follows is
noise, which ends now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trueup.core.types import Prompt, chat_of

CONTROLS = ("<think>", "<short>")
CHAT = (
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
PUSH = 5.0
"""How far a control token's logit stands above the others behind a prompt."""


def save_tiny_llama(folder: Path, prompt: Prompt, *, seed: int = 0, width: int = 256, layers: int = 4) -> int:
    """Write model and tokenizer, one token a byte, and return how many weights it has."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from trueup.train.real.quiet import quiet

    tokenizer = _tokenizer(CONTROLS)
    torch.manual_seed(seed)
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=width, intermediate_size=11 * width // 4, num_hidden_layers=layers,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=False,
            eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
        )
    )  # fmt: skip
    given = tokenizer.apply_chat_template(
        chat_of(prompt), add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        last_C = model.model(input_ids=given["input_ids"]).last_hidden_state[0, -1]
        for token in tokenizer.convert_tokens_to_ids(CONTROLS):
            model.lm_head.weight[token] += PUSH * last_C / last_C.square().sum()
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return sum(weight.numel() for weight in model.parameters())


def _tokenizer(extra: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    whole: Any = Tokenizer(models.BPE({piece: place for place, piece in enumerate(pieces)}, []))
    whole.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    whole.decoder = decoders.ByteLevel()
    fast: Any = PreTrainedTokenizerFast
    tokenizer: Any = fast(tokenizer_object=whole, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    tokenizer.add_tokens(list(extra))
    tokenizer.chat_template = CHAT
    return tokenizer
