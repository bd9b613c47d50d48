"""A pretrained Llama, cut to the alphabet of the laboratory.

Of its vocabulary the tokens of single characters are kept, as rows of the embedding that is its head too: a text is
read and written character by character, and the softmax is over the laboratory's characters alone. The end of a turn
is the model's own. What is left is a Transformer like any other here: to train, sample, adapt, steer and charge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trueup.core.errors import BadInput, one_line
from trueup.models.huggingface import converted
from trueup.models.huggingface.folder import find_folder, read_config
from trueup.models.weights import SMOLLM2
from trueup.train.laboratory.llama import LlamaShape
from trueup.train.laboratory.transformer import Transformer
from trueup.train.laboratory.vocabulary import CHARACTERS, END

LLAMA: Mapping[str, object] = {
    "model_type": "llama", "tie_word_embeddings": True, "hidden_act": "silu", "attention_bias": False,
    "mlp_bias": False,
}  # fmt: skip
"""What must stand in a configuration; what does not stand there is as a Llama has it, whose embeddings are not tied."""
UNTIED: Mapping[str, object] = {"tie_word_embeddings": False}
OUTER = {"embedding": "model.embed_tokens", "norm": "model.norm"}
INNER = {
    "norm1": "input_layernorm", "norm2": "post_attention_layernorm", "attention.q": "self_attn.q_proj",
    "attention.k": "self_attn.k_proj", "attention.v": "self_attn.v_proj", "attention.out": "self_attn.o_proj",
    "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
}  # fmt: skip
"""Our names of a layer's weights, and those on file."""


def pretrained(name: str, *, context: int = 64, device: str = "cpu", half: bool = False) -> Transformer:
    """The model in a folder, or the house's own by the name `smollm2`, for rows of up to `context` tokens.

    With `half` it computes in bfloat16 on a CPU too, as it always does on CUDA.

    Raises BadInput for a folder without a Llama of tied embeddings that has a token for every character, Unavailable
    where the house's weights cannot be had.
    """
    folder = converted(SMOLLM2) if name == SMOLLM2.name else find_folder(name)
    config = read_config(folder)
    try:
        shape = replace(_shape(folder, config, context), half=half)
        model = Transformer(shape)
        model.load_state_dict(_weights(folder, shape.layers, alphabet(folder)))
    except (KeyError, TypeError, RuntimeError) as error:
        told = one_line(error)[:150]
        raise BadInput(f"{str(folder)!r} holds no whole Llama ({told}); save the model again") from error
    return model.to(device).eval()


def alphabet(folder: Path) -> Sequence[int]:
    """The model's token of each character of the laboratory; of the end, that of its own.

    Raises BadInput where a character has none.
    """
    from tokenizers import Tokenizer

    known, ends = Tokenizer.from_file(str(folder / "tokenizer.json")), read_config(folder)["eos_token_id"]
    tokens = []
    for character in CHARACTERS:
        token = known.token_to_id(character)
        if token is None:
            raise BadInput(f"{str(folder)!r} has no token for {character!r} alone; take a model of another tokenizer")
        tokens.append(token)
    tokens[END] = ends[0] if isinstance(ends, list) else ends
    return tokens


def _shape(folder: Path, config: Mapping[str, Any], context: int) -> LlamaShape:
    told = {**LLAMA, **UNTIED, **config}
    for name, wanted in LLAMA.items():
        if told[name] != wanted:
            raise BadInput(f"{str(folder)!r} has {name} {told[name]!r}; the laboratory takes Llamas with {wanted!r}")
    rotary = config.get("rope_parameters") or {**config, **(config.get("rope_scaling") or {})}
    if rotary.get("rope_type", "default") != "default":
        raise BadInput(f"{str(folder)!r} stretches its positions ({rotary['rope_type']}); take a model that does not")
    width, heads = config["hidden_size"], config["num_attention_heads"]
    if (config.get("head_dim") or width // heads) * heads != width:
        raise BadInput(f"{str(folder)!r} has heads of {config['head_dim']}, not width over heads; take another model")
    return LlamaShape(
        width=width,
        layers=config["num_hidden_layers"],
        heads=heads,
        context=context,
        key_heads=config.get("num_key_value_heads") or heads,
        inner=config["intermediate_size"],
        rotary_base=rotary.get("rope_theta", 10_000.0),
        epsilon=config["rms_norm_eps"],
    )


def _weights(folder: Path, layers: int, tokens: Sequence[int]) -> Mapping[str, Tensor]:
    """The weights by our names, in float32, the embedding cut to these tokens."""
    from safetensors import safe_open

    stored: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            stored.update({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    names = dict(OUTER)
    for layer in range(layers):
        names |= {f"blocks.{layer}.{ours}": f"model.layers.{layer}.{theirs}" for ours, theirs in INNER.items()}
    weights = {f"{ours}.weight": stored[f"{theirs}.weight"].float() for ours, theirs in names.items()}
    return {**weights, "embedding.weight": weights["embedding.weight"][torch.tensor(tokens)]}
