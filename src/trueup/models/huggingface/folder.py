"""A model's folder: its shape and its digest, read without torch.

Weights are read from safetensors alone: a pickle can run code when it is loaded.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import Any

from trueup.core.cache import cache_folder, sha256
from trueup.core.errors import BadInput, Unavailable, one_line
from trueup.core.training import CARD, MADE
from trueup.models.weights import stamp

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
ADAPTER_CONFIG = "adapter_config.json"
SHOWN = 8
"""Hex digits of a digest in a message."""
LOADED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
"""The files that what a model says depends on, its weights first."""
WHOLE, INDEX, ADAPTER = "model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"
"""One file of all weights, the table of the files that they lie in, and an adapter's."""
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads")
HIDDEN = ("hidden_size", "n_embd", "n_embed", "d_model")
"""What configurations call the parts of a shape; most say the first, GPT-2 the second."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the FLOP formula takes; None is unknown. `width` is heads x head size of the attention."""

    parameters: int | None
    layers: int | None
    width: int | None


def find_folder(name: str) -> Path:
    """The folder that a user names: one on disk, what a training left in one, or a snapshot of a model on the hub.

    Raises BadInput where there is no such folder, it holds no model or an adapter whose base is no longer the one that
    it was trained on; Unavailable where the hub does not bring it.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if not HUB_NAME.fullmatch(name):
            raise BadInput(f"there is no folder {name!r}; name a model's folder, or OWNER/NAME on the hub")
        folder = _snapshot(name)
    if not has_weights(folder):
        folder = next((made for part in MADE if has_weights(made := folder / part)), folder)
    base = base_of(folder)
    if base is not None:
        _require_own(folder, base)
        return folder
    if not (folder / "config.json").is_file():
        raise BadInput(f"{str(folder)!r} holds no config.json; name the folder that a model was saved to")
    if not any(folder.glob("*.safetensors")):
        raise BadInput(f"{str(folder)!r} holds no *.safetensors; save the weights with safe_serialization=True")
    return folder


def has_weights(folder: Path) -> bool:
    """Whether a folder holds a model or an adapter."""
    return any((folder / name).is_file() for name in ("config.json", ADAPTER_CONFIG))


def base_of(folder: Path) -> Path | None:
    """The folder that an adapter was trained on; None for a model with weights of its own.

    Raises BadInput where the adapter does not say, or the base is no longer there.
    """
    path = folder / ADAPTER_CONFIG
    if not path.is_file():
        return None
    try:
        name = json.loads(path.read_bytes())["base_model_name_or_path"]
        base = Path(name)
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{path} names no base model ({error}); train the adapter again") from None
    if not (base / "config.json").is_file():
        raise BadInput(f"the base of {str(folder)!r} is not at {name!r}; put it back, or mend {path}")
    return base


def read_shape(folder: Path) -> Shape:
    """The model's shape by its configuration and the headers of its weights; an adapter's is its base's.

    Raises BadInput where one of them is malformed.
    """
    folder = base_of(folder) or folder
    config = read_config(folder)
    layers, heads, hidden = (_count(config, *names) for names in (LAYERS, HEADS, HIDDEN))
    size = _count(config, "head_dim") or (hidden // heads if hidden and heads else None)
    width = heads * size if heads and size else None
    parameters = None if "quantization_config" in config else sum(map(_parameters, _weights(folder)))
    return Shape(parameters, layers, width)


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of the language model in a folder, which may be one part of several.

    Raises BadInput where it is malformed.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
        whole: dict[str, Any] = config | config.get("text_config", {})
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"{folder / 'config.json'} is no configuration ({error}); save the model again") from None
    return whole


def read_ends(folder: Path) -> frozenset[int | str]:
    """The tokens that end a text, as far as a folder's files tell; the tokenizer's by its name where it has no number.

    Raises BadInput where one of them is malformed.
    """
    model = base_of(folder) or folder
    told = (_table(model / "generation_config.json") or read_config(model)).get("eos_token_id")
    name = _table(folder / "tokenizer_config.json").get("eos_token")
    name = name.get("content") if isinstance(name, dict) else name
    numbers = {token["content"]: token["id"] for token in _table(folder / "tokenizer.json").get("added_tokens", ())}
    ends = (*(told if isinstance(told, list) else [told]), numbers.get(name, name))
    return frozenset(end for end in ends if end is not None)


def digest(folder: Path) -> str:
    """The hex digest of everything in a folder that is loaded, and of an adapter's base.

    Each large file is hashed once, and remembered.
    """
    base = base_of(folder)
    files = sorted({path for pattern in LOADED for path in folder.glob(pattern)})
    whole = blake2b(digest_size=8)
    for path in files:
        whole.update(f"{path.name}\0{_file_digest(path)}\0".encode())
    if base is not None:
        whole.update(digest(base).encode())
    return whole.hexdigest()


def _require_own(adapter: Path, base: Path) -> None:
    """Raise BadInput where the card of an adapter's training tells of other weights than its base has."""
    try:
        told = json.loads((adapter.parent / CARD).read_bytes())["model"]["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if told != (found := digest(base)):
        here = f"{str(base)!r} ({str(told)[:SHOWN]}, not {found[:SHOWN]})"
        raise BadInput(f"the adapter {str(adapter)!r} was trained on other weights than {here}; put them back")


def _weights(folder: Path) -> list[Path]:
    """The files of weights that are loaded, and no second copy beside them.

    Raises BadInput where one that the table names is not there.
    """
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    parts = [folder / name for name in _parts(folder)]
    if lost := [path.name for path in parts if not path.is_file()]:
        raise BadInput(f"{folder / INDEX} names {lost[0]!r}, which is not there; save the model again")
    return parts or sorted(folder.glob("*.safetensors"))


def _parts(folder: Path) -> list[str]:
    """The files that the table of a folder's weights names; none without one.

    Raises BadInput where it is malformed.
    """
    try:
        return sorted({*_table(folder / INDEX).get("weight_map", {}).values()})
    except (AttributeError, TypeError) as error:
        raise BadInput(f"{folder / INDEX} is no table of weights ({error}); save the model again") from None


def _snapshot(name: str) -> Path:
    """What is loaded of a model on the hub: its weights once, whatever copies lie beside them."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise Unavailable("transformers is not installed; pip install 'trueup[hf]'") from None
    try:
        folder = Path(snapshot_download(name, allow_patterns=[*LOADED[1:], WHOLE, ADAPTER]))
        parts = [] if (folder / WHOLE).is_file() else _parts(folder)
        return Path(snapshot_download(name, revision=folder.name, allow_patterns=parts)) if parts else folder
    except Exception as error:
        reason = one_line(error)
        raise Unavailable(f"there is no folder {name!r}, and the hub does not bring it: {reason}") from error


def _file_digest(path: Path) -> str:
    if path.suffix != ".safetensors":
        return sha256(path)
    known = blake2b(f"{path.resolve()}\0{stamp(path)}".encode(), digest_size=16).hexdigest()
    memory = cache_folder() / "digests" / known
    if memory.exists():
        return memory.read_text()
    found = sha256(path)
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(found)
    return found


def _parameters(path: Path) -> int:
    """The numbers in a safetensors file, by its header alone: 8 bytes of length, then JSON."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    except (ValueError, KeyError, TypeError, MemoryError, OverflowError):
        raise BadInput(f"{path} is no safetensors file; save the model again") from None


def _table(path: Path) -> dict[str, Any]:
    """A JSON file's table, empty where there is no such file."""
    try:
        table: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError as error:
        raise BadInput(f"{path} is no JSON ({error}); save the model again") from None
    return table


def _count(config: dict[str, Any], *names: str) -> int | None:
    """The number under the first of these names that has one."""
    values = (config.get(name) for name in names)
    return next((value for value in values if type(value) is int and value > 0), None)
