"""A trained model in other forms: weights added up in one folder, a GGUF for the embedded engine.

The GGUF takes its metadata and tokenizer from the GGUF that the first training started from, or from the folder where
there was none, and the new weights: matrices in F16 or Q8_0, the rest in float32. What was rounded to 4 bits in the
base is not rounded again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueup.core.errors import BadInput, Unavailable
from trueup.models.huggingface.folder import find_folder
from trueup.models.huggingface.vocabulary import PLAIN
from trueup.models.weights import SMOLLM2
from trueup.plan.past import read_past
from trueup.train.gguf_header import ARCHITECTURE, add_header, require_writable

if TYPE_CHECKING:
    from gguf import GGUFReader, GGUFWriter

KINDS = {"f16": "F16", "q8_0": "Q8_0"}
EMBEDDED = ("smollm2", "hf:smollm2")
OURS = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture", "general.file_type")
"""What a writer states for itself."""
TEMPLATE = "tokenizer.chat_template"
BARE = r"{% for message in messages %}{{ message.content }}{% if not loop.last %}{{ '\n\n' }}{% endif %}{% endfor %}"
"""What `plain` makes of a chat, as a template."""
HEAD = "lm_head.weight"
"""Not written where it is the embedding once more."""
TURNED = ("attn_q", "attn_k")
"""Matrices whose rows llama.cpp keeps in another order for its rotary embedding."""


def check_kind(kind: str, model: str) -> None:
    """Raise BadInput where no GGUF of this kind can be made from what is trained."""
    if kind not in KINDS:
        raise BadInput(f"--gguf is {kind!r}; it takes {' or '.join(KINDS)}")
    folder = model.removeprefix("hf:")
    if not is_embedded(model) and ":" not in folder:
        require_writable(find_folder(folder), kind)


def is_embedded(model: str) -> bool:
    """Whether a model is the embedded one, or trained from it, by the cards of all trainings behind it."""
    past = read_past(model)
    return (past.trainings[0].get("model") if past else model) in EMBEDDED


def gguf_of(model: str) -> Path | None:
    """The GGUF that a model began as; None where it began as a folder."""
    return SMOLLM2.fetch() if is_embedded(model) else None


def write_base(folder: Path, target: Path) -> Path:
    """An adapter's model in full weights, made once."""
    from trueup.models.huggingface.load import quiet
    from trueup.train.network import merged

    if not target.exists():
        draft = target.with_name(f"{target.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        network, tokenizer = merged(folder)
        with quiet():
            network.save_pretrained(draft, safe_serialization=True)
        tokenizer.save_pretrained(draft)
        os.replace(draft, target)
    return target


def write_gguf(folder: Path, base: Path | None, target: Path, kind: str, template: str = "") -> Path:
    """A trained folder's weights as a GGUF like the base's, or with a header of the folder's own.

    With the template `plain`, which no tokenizer keeps, it writes chats so itself. Raises BadInput where either is of
    another architecture than llama, or the weights are not those of the base.
    """
    gguf = _package()
    from trueup.train.network import merged

    reader = None if base is None else _open(base)
    if reader is None:
        require_writable(folder, kind)
    network, tokenizer = merged(folder)
    if template == PLAIN:
        tokenizer.chat_template = tokenizer.decode(tokenizer("")["input_ids"]) + BARE
    draft = target.with_suffix(".draft")
    writer = gguf.GGUFWriter(draft, ARCHITECTURE)
    writer.add_file_type(getattr(gguf.LlamaFileType, f"MOSTLY_{KINDS[kind]}"))
    if reader is None:
        add_header(writer, network, tokenizer, folder.parent.name)
    else:
        _copy_metadata(reader, writer, tokenizer)
    weights = _named(network)
    for name in _names(weights, reader):
        part = name.split(".")[-2]
        value = turned(weights[name], _heads(network.config, part)) if part in TURNED else weights[name]
        _add(writer, name, value, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    draft.replace(target)
    return target


def _open(base: Path) -> GGUFReader:
    reader: GGUFReader = _package().GGUFReader(base)
    architecture = reader.fields["general.architecture"].contents()
    if architecture != ARCHITECTURE:
        raise BadInput(f"{base.name} is of the architecture {architecture!r}; only {ARCHITECTURE} is written")
    return reader


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter, tokenizer: Any) -> None:
    """All that the base says of itself, but for its chat template where the folder has one."""
    own = {*OURS, TEMPLATE} if tokenizer.chat_template else {*OURS}
    for key, field in reader.fields.items():
        if key not in own:
            inner = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), field.types[0], sub_type=inner)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.get_chat_template())


def _named(network: Any) -> dict[str, NDArray[Any]]:
    """The weights by llama.cpp's names."""
    gguf = _package()
    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, network.config.num_hidden_layers)
    return {
        known.get_name(name, try_suffixes=(".weight", ".bias")): value.numpy().astype(np.float32)
        for name, value in network.state_dict().items()
        if not (network.config.tie_word_embeddings and name == HEAD)
    }


def _names(weights: Mapping[str, NDArray[Any]], reader: GGUFReader | None) -> list[str]:
    """What is written, in the base's order where there is one."""
    if reader is None:
        return list(weights)
    wanted = [tensor.name for tensor in reader.tensors]
    if missing := [name for name in wanted if name not in weights]:
        raise BadInput(f"the trained model has no {missing[0]}; it is not of the shape of the base's GGUF")
    return wanted


def _heads(config: Any, part: str) -> int:
    return int(config.num_attention_heads if part == "attn_q" else config.num_key_value_heads)


def turned(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Rows in rotary halves (as in transformers) as rows in rotary pairs (as in llama.cpp), head by head."""
    size = rows.shape[0] // heads // 2
    return rows.reshape(heads, 2, size, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _add(writer: GGUFWriter, name: str, value: NDArray[Any], kind: str) -> None:
    gguf = _package()
    if value.ndim < 2:
        writer.add_tensor(name, value)
    elif kind == "f16":
        writer.add_tensor(name, value.astype(np.float16))
    else:
        form = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quantize(value, form), raw_dtype=form)


def _package() -> Any:
    try:
        import gguf
    except ImportError:
        raise Unavailable("a GGUF needs the package gguf; pip install 'trueup[hf]'") from None
    return gguf
