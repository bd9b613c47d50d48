"""Tiny causal language models of random weights on disk, with a tokenizer of bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHAT = (
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


def byte_tokenizer(template: str | None = CHAT, extra: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
    """One token per byte, then `<s>`, `</s>` and what is extra."""
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    whole = Tokenizer(models.BPE({piece: place for place, piece in enumerate(pieces)}, []))
    whole.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    whole.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=whole, bos_token="<s>", eos_token="</s>")
    tokenizer.add_tokens(list(extra))
    tokenizer.chat_template = template
    return tokenizer


def save_tiny(
    folder: Path,
    seed: int,
    *,
    template: str | None = CHAT,
    extra: tuple[str, ...] = (),
    padding: int = 0,
    sharpness: float = 1.0,
    **settings: Any,
) -> Path:
    """A Llama of some ten thousand random weights; `sharpness` stretches its logits."""
    tokenizer = byte_tokenizer(template, extra)
    shape = {
        "vocab_size": len(tokenizer) + padding,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 256,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "tie_word_embeddings": False,
    }
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**(shape | settings)))
    with torch.no_grad():
        model.lm_head.weight.mul_(50 * sharpness)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_scaled(folder: Path, kind: str, config: str, shape: dict[str, Any], scale: float) -> Path:
    """A tiny model of another type; its random weights are stretched, for what it says to hang on what it reads."""
    torch.manual_seed(0)
    model = getattr(transformers, kind)(getattr(transformers, config)(**shape))
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(scale)
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder
