"""A trained model in other forms: weights added up in one folder, a GGUF for the embedded engine.

The GGUF takes its metadata and tokenizer from the GGUF that training started from, and the new weights: matrices in F16
or Q8_0, the rest in float32. What was rounded to 4 bits in the base is not rounded again.
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

if TYPE_CHECKING:
    from gguf import GGUFReader, GGUFWriter

KINDS = {"f16": "F16", "q8_0": "Q8_0"}
TRAINABLE = ("smollm2", "hf:smollm2")
OURS = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture", "general.file_type")
"""What a writer states for itself."""
TURNED = ("attn_q", "attn_k")
"""Matrices whose rows llama.cpp keeps in another order for its rotary embedding."""


def check_kind(kind: str, model: str) -> None:
    """Raise BadInput where no GGUF of this kind can be made from what is trained."""
    if kind not in KINDS:
        raise BadInput(f"--gguf is {kind!r}; it takes {' or '.join(KINDS)}")
    if model not in TRAINABLE:
        raise BadInput(f"--gguf needs the GGUF that training starts from, and {model!r} has none; train smollm2")


def write_base(folder: Path, target: Path) -> Path:
    """An adapter's model in full weights, made once."""
    from trueup.models.huggingface.network import quiet
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


def write_gguf(folder: Path, base: Path, target: Path, kind: str) -> Path:
    """A trained folder's weights as a GGUF like the base's.

    Raises BadInput where the base is of another architecture than llama, or lacks one of the weights.
    """
    gguf = _package()
    from trueup.train.network import merged

    reader = gguf.GGUFReader(base)
    architecture = reader.fields["general.architecture"].contents()
    if architecture != "llama":
        raise BadInput(f"{base.name} is of the architecture {architecture!r}; only llama is written")
    weights = {name: value.numpy() for name, value in merged(folder)[0].state_dict().items()}
    draft = target.with_suffix(".draft")
    writer = gguf.GGUFWriter(draft, architecture)
    _copy_metadata(reader, writer, kind)
    _add_weights(reader, writer, weights, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    draft.replace(target)
    return target


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter, kind: str) -> None:
    gguf = _package()
    writer.add_file_type(getattr(gguf.LlamaFileType, f"MOSTLY_{KINDS[kind]}"))
    for key, field in reader.fields.items():
        if key not in OURS:
            inner = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), field.types[0], sub_type=inner)


def _add_weights(reader: GGUFReader, writer: GGUFWriter, weights: Mapping[str, NDArray[Any]], kind: str) -> None:
    gguf = _package()
    layers = int(reader.fields["llama.block_count"].contents())
    heads = {
        "attn_q": int(reader.fields["llama.attention.head_count"].contents()),
        "attn_k": int(reader.fields["llama.attention.head_count_kv"].contents()),
    }
    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)
    named = {known.get_name(name, try_suffixes=(".weight", ".bias")): value for name, value in weights.items()}
    for tensor in reader.tensors:
        if tensor.name not in named:
            raise BadInput(f"the trained model has no {tensor.name}; it is not of the shape of the base's GGUF")
        value = named[tensor.name].astype(np.float32)
        part = tensor.name.split(".")[-2]
        value = turned(value, heads[part]) if part in TURNED else value
        _add(writer, tensor.name, value, kind)


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
