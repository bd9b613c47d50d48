"""Weights and the state of a run on file, written whole or not at all."""

from __future__ import annotations

import os
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from trueup.core.errors import BadInput
from trueup.train.laboratory.llama import LlamaShape
from trueup.train.laboratory.transformer import Shape, Transformer

S = TypeVar("S")


def save_model(model: Transformer, path: Path) -> None:
    """Write a model's shape and weights."""
    _write(path, {"shape": asdict(model.shape), "weights": model.state_dict()})


def load_model(path: Path) -> Transformer:
    """The model in a file that `save_model` wrote.

    Raises BadInput where there is none.
    """
    table = _read(path)
    try:
        kind = LlamaShape if "key_heads" in table["shape"] else Shape
        model = Transformer(kind(**table["shape"]))
        model.load_state_dict(table["weights"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise BadInput(f"{path} holds no model of the laboratory ({error}); train it anew") from None
    return model.eval()


def save_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, recipe: Any, spent: Any) -> None:
    """Write all that a run needs to go on."""
    state = {
        "recipe": asdict(recipe),
        "spent": asdict(spent),
        "weights": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    _write(path, state)


def load_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, recipe: Any, kind: type[S]) -> S:
    """Put a run back to where its checkpoint left it, and say what it had spent; nothing where there is none.

    Raises BadInput where the checkpoint is of another recipe.
    """
    if not path.exists():
        return kind()
    table = _read(path)
    if table.get("recipe") != asdict(recipe):
        raise BadInput(f"{path} is a checkpoint of another recipe; name another file or delete it")
    model.load_state_dict(table["weights"])
    optimizer.load_state_dict(table["optimizer"])
    return kind(**table["spent"])


def _write(path: Path, table: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    with draft.open("wb") as file:
        torch.save(table, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        table = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise BadInput(f"no file {str(path)!r}; train the model first") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise BadInput(f"{path} cannot be read ({str(error)[:80]}); delete it and train anew") from None
    if not isinstance(table, dict):
        raise BadInput(f"{path} holds no table; delete it and train anew")
    return table
