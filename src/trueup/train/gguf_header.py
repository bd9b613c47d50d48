"""A folder's configuration and tokenizer as the metadata of a GGUF.

For models of llama's architecture whose tokens are byte-level pairs, cut as GPT-2 or SmolLM cuts them: what is written
is what llama.cpp's own converter writes. Anything else is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueup.core.errors import BadInput
from trueup.models.huggingface.folder import base_of, read_config
from trueup.models.huggingface.network import ends_of

if TYPE_CHECKING:
    from gguf import GGUFWriter

ARCHITECTURE = "llama"
BLOCK = 32
"""So many numbers of a row share a scale in Q8_0."""
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
DIGITS = {"type": "Digits", "individual_digits": True}
CUTS = {"gpt-2": [BYTES], "smollm": [DIGITS, BYTES]}
"""llama.cpp's names for how a text is cut before pairs are merged."""
NO_MERGE = "Ġ Ġ"
"""llama.cpp wants a merge where there is none; what this one makes is no token, and falls apart again."""


def require_writable(folder: Path, kind: str) -> None:
    """Raise BadInput where no GGUF of this kind can be made of a folder's model."""
    config = read_config(base_of(folder) or folder)
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    known = {"model_type": ARCHITECTURE, "hidden_act": "silu", "rope": "default"}
    found = {**config, "rope": rope.get("rope_type", rope.get("type", "default"))}
    for name, wanted in known.items():
        if found.get(name, wanted if name != "model_type" else None) != wanted:
            raise _unknown(folder, f"its {name} is {found.get(name)!r}, not {wanted!r}")
    try:
        table = json.loads((folder / "tokenizer.json").read_bytes())
        cut_of(table)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unknown(folder, f"its tokenizer is none of {' or '.join(CUTS)}") from error
    if kind == "q8_0" and (config.get("hidden_size", 0) % BLOCK or config.get("intermediate_size", 0) % BLOCK):
        raise BadInput(f"the matrices of {str(folder)!r} are no multiples of {BLOCK} wide, as q8_0 wants; take f16")


def cut_of(tokenizer: Mapping[str, Any]) -> str:
    """The name of how a tokenizer, as its JSON, cuts a text.

    Raises ValueError where it does so in no way that is known here.
    """
    outer = tokenizer["pre_tokenizer"]
    steps = outer["pretokenizers"] if outer["type"] == "Sequence" else [outer]
    if tokenizer["model"]["type"] == "BPE" and not tokenizer.get("normalizer"):
        for name, known in CUTS.items():
            if len(steps) == len(known) and all(_is_like(a, b) for a, b in zip(steps, known, strict=True)):
                return name
    raise ValueError(outer)


def add_header(writer: GGUFWriter, network: Any, tokenizer: Any, name: str) -> None:
    """Write the shape of a network, and its tokens."""
    config = network.config
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _add_tokens(writer, tokenizer, config.vocab_size)
    _add_marks(writer, tokenizer, sorted(ends_of(network, tokenizer)), config.vocab_size)


def _add_tokens(writer: GGUFWriter, tokenizer: Any, size: int) -> None:
    """The pieces of the matrix's rows, those that only fill it included, and how they are merged."""
    from gguf import TokenType

    table = json.loads(tokenizer.backend_tokenizer.to_str())
    pieces = tokenizer.convert_ids_to_tokens(range(min(size, len(tokenizer))))
    kinds = [TokenType.NORMAL] * len(pieces) + [TokenType.UNUSED] * (size - len(pieces))
    for added in (one for one in table["added_tokens"] if one["id"] < size):
        kinds[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in table["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut_of(table))
    writer.add_token_list([*pieces, *(f"[PAD{place}]" for place in range(len(pieces), size))])
    writer.add_token_types(kinds)
    writer.add_token_merges(merges or [NO_MERGE])


def _add_marks(writer: GGUFWriter, tokenizer: Any, ends: list[int], size: int) -> None:
    """The tokens that begin and end a text, and the template; a text begins with what the template writes alone.

    A token without a row in the matrix is none of the model's.
    """
    marks = {
        writer.add_bos_token_id: tokenizer.bos_token_id,
        writer.add_eos_token_id: tokenizer.eos_token_id,
        writer.add_unk_token_id: tokenizer.unk_token_id,
        writer.add_pad_token_id: tokenizer.pad_token_id,
        writer.add_eot_token_id: next((end for end in ends if end != tokenizer.eos_token_id), None),
    }
    for add, token in marks.items():
        if token is not None and token < size:
            add(token)
    writer.add_add_bos_token(False)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.get_chat_template())


def _is_like(step: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    usual = {"use_regex": True, "add_prefix_space": True}
    return all(step.get(name, usual.get(name)) == value for name, value in known.items())


def _unknown(folder: Path, why: str) -> BadInput:
    return BadInput(
        f"--gguf cannot write {str(folder)!r}: {why}; leave --gguf out, and use llama.cpp's convert_hf_to_gguf.py"
    )
