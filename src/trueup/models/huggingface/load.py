"""A folder's weights, loaded onto a device."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput, Unavailable, one_line
from trueup.models.huggingface.folder import base_of
from trueup.models.huggingface.trouble import SMALLER, is_full


def load(folder: Path, device: Any, dtype: str) -> tuple[Any, Any]:
    """A folder's model on a device, and its tokenizer; an adapter is added to its base.

    Raises BadInput where one of them cannot be loaded, or does not fit.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base, kind = base_of(folder), getattr(torch, dtype)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                base or folder, dtype=torch.float32 if base else kind, use_safetensors=True, local_files_only=True
            )
            model = model if base is None else _merged(model, folder).to(kind)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise (unfit(folder.name, "cpu", error) if is_full(error) else unreadable(folder, error)) from error
    try:
        return model.to(device).eval().requires_grad_(False), tokenizer
    except RuntimeError as error:
        raise unfit(folder.name, device, error) from error


def find_device(name: str) -> Any:
    """torch's device of this name; raises BadInput where there is none."""
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        raise BadInput(f"there is no device {name!r}; write cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput(f"device {name!r} is not on this machine, which has {torch.cuda.device_count()}; set device=cpu")
    if device.type == "meta":
        raise BadInput(f"device {name!r} keeps no numbers; set device=cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError):
        raise BadInput(f"device {name!r} is not on this machine; set device=cpu") from None
    return device


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of transformers' for a while."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def without_peft_news() -> Iterator[None]:
    """Without the warning that peft asks transformers for an attribute by its old name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def require_packages() -> None:
    """Raise Unavailable unless torch and transformers are installed."""
    from importlib.util import find_spec

    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise Unavailable(f"{package} is not installed; pip install 'trueup[hf]'")


def unreadable(folder: Path, error: Exception) -> BadInput:
    """What to say of a folder whose model or tokenizer cannot be loaded."""
    return BadInput(f"{str(folder)!r} cannot be loaded ({one_line(error)}); save model and tokenizer there again")


def unfit(name: str, device: Any, error: Exception) -> BadInput:
    """What to say of a model that does not go onto its device, or does not run there."""
    return BadInput(f"{name!r} does not run on {device} ({one_line(error)}); {SMALLER}")


def _merged(model: Any, adapter: Path) -> Any:
    """The base with an adapter added to its weights, in float32: half precision would round the difference away."""
    try:
        from peft import PeftModel
    except ImportError:
        raise Unavailable("an adapter needs peft; pip install 'trueup[train]'") from None
    try:
        with without_peft_news():
            return PeftModel.from_pretrained(model, adapter).merge_and_unload()
    except RuntimeError as error:
        told = one_line(error)
        raise BadInput(f"the adapter {str(adapter)!r} does not fit its base ({told}); put back its own") from error
