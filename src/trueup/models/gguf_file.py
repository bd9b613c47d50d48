"""A GGUF file of the user's, for the embedded engine: what it is, read from its own metadata."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from trueup.core.cache import sha256
from trueup.core.errors import BadInput, Unavailable


@dataclass(frozen=True, slots=True)
class GgufFile:
    """What the engine must know of weights on disk; None is unknown. `width` is heads x head size of the attention."""

    path: Path
    name: str
    gguf_sha256: str
    parameters: int | None
    layers: int | None
    width: int | None

    @classmethod
    def read(cls, path: Path) -> GgufFile:
        """The file at a path.

        Raises BadInput where it is missing or malformed, Unavailable without the package that reads it.
        """
        try:
            from gguf import GGUFReader
        except ImportError:
            raise Unavailable("a GGUF of your own needs the package gguf; pip install 'trueup[hf]'") from None
        try:
            reader = GGUFReader(path)
        except FileNotFoundError:
            raise BadInput(f"no file {str(path)!r}; write gguf:FILE") from None
        except (ValueError, OSError, IndexError) as error:
            raise BadInput(f"{path} is no GGUF file ({error}); convert the model again") from None
        name = path.stem if path.stem != "model" else path.absolute().parent.name
        parameters = sum(prod(int(size) for size in tensor.shape) for tensor in reader.tensors)
        layers, heads, hidden = (
            _number(reader, key) for key in ("block_count", "attention.head_count", "embedding_length")
        )
        size = _number(reader, "attention.key_length") or (hidden // heads if hidden and heads else None)
        width = heads * size if heads and size else None
        return cls(path, name, sha256(path), parameters, layers, width)

    def fetch(self) -> Path:
        """Where it is."""
        return self.path


def _number(reader: Any, key: str) -> int | None:
    kind = reader.fields["general.architecture"].contents()
    field = reader.fields.get(f"{kind}.{key}")
    value = None if field is None else field.contents()
    return value if isinstance(value, int) else None
