"""What a claim's models begin as, and where they run.

From scratch on the CPU, or from pretrained weights on a GPU: these are cut to the laboratory's characters, so that
every task, loss and cost is the same for both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueup.core.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from trueup.train.laboratory import Transformer

DEVICE_VARIABLE = "TRUEUP_DEVICE"


def laboratory() -> Any:
    """The laboratory, where torch is installed."""
    try:
        from trueup.train import laboratory as room
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"this claim trains tiny models, and {error.name} is missing; pip install 'trueup[hf]'"
        ) from error
    return room


@dataclass(frozen=True, slots=True)
class Start:
    """Pretrained weights, by their folder or as `smollm2`, or none; and a device of torch's."""

    weights: str = ""
    device: str = "cpu"

    def model(self, *, width: int, context: int, seed: int) -> Transformer:
        """A model that nothing was taught here; from scratch it has this width, and weights by the seed."""
        room = laboratory()
        if not self.weights:
            scratch: Transformer = room.Transformer(room.Shape(width=width, context=context), seed=seed)
            return scratch.to(self.device)
        from trueup.train.laboratory.pretrained import pretrained

        return pretrained(self.weights, context=context, device=self.device, half=self.is_half)

    @property
    def is_half(self) -> bool:
        """Whether pretrained weights compute in bfloat16: on a GPU, and on a CPU that multiplies such numbers."""
        import torch

        has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return self.device != "cpu" or bool(has.get("avx512_bf16") or has.get("amx_bf16"))

    @property
    def place(self) -> str:
        """The device by its name and the precision there: pretrained weights trained elsewhere have other bits."""
        import torch

        name = torch.cuda.get_device_name(self.device) if self.device.startswith("cuda") else self.device
        return f"{name} in bfloat16" if self.is_half else name

    def notes(self) -> list[str]:
        """What a verdict must say of them."""
        if not self.weights:
            return []
        told = f"pretrained models begin as {self.weights}, cut to the laboratory's characters; device: {self.place}"
        return [f"{told}; they differ by seed in data and sampling alone"]


SCRATCH = Start()


@dataclass(frozen=True, slots=True)
class Trained:
    """A model and what training took; `learned_tokens` are those of answers and steps, prompts left out."""

    model: Transformer
    flops: float
    learned_tokens: float | None = None


def ready(claim: str, scale: str, start: Start) -> Start:
    """A claim's start on the device that it wants, or on the one that $TRUEUP_DEVICE names.

    Raises BadInput where there is no such device.
    """
    if start.device == "cpu":
        return start
    laboratory()
    import torch

    device = os.environ.get(DEVICE_VARIABLE, start.device)
    if device != "cpu" and not torch.cuda.is_available():
        raise BadInput(
            f"claim {claim!r} at scale {scale!r} wants a CUDA device, and torch finds none; take --scale cpu, or set "
            f"{DEVICE_VARIABLE}=cpu and wait for hours or days"
        )
    return replace(start, device=device)


def kept(start: Start, files: Path, make: Callable[[], Trained]) -> Trained:
    """A trained model, the same to the bit for a run that goes on where it was killed.

    From scratch its checkpoints see to that. On a GPU training again ends in other bits, and a checkpoint has
    gigabytes: there the weights alone are kept, at the end.
    """
    if not start.weights:
        return make()
    room = laboratory()
    path, told = files.with_name(f"{files.name}.pt"), files.with_name(f"{files.name}.trained.json")
    if not told.exists():
        trained = make()
        room.save_model(trained.model, path)
        partial = told.with_suffix(".part")
        partial.write_text(json.dumps([trained.flops, trained.learned_tokens]))
        partial.replace(told)
    flops, learned = json.loads(told.read_text())
    return Trained(weights_of(path, start.device), flops, learned)


def weights_of(path: Path, device: str) -> Transformer:
    """A model whose training is a part that is done.

    Raises BadInput where its weights are gone: trained again they could differ from those that other parts rest on.
    """
    if not path.exists():
        raise BadInput(
            f"the weights in {str(path)!r} are gone, and other parts rest on them; remove {str(path.parent)!r} and run "
            f"the claim again"
        )
    model: Transformer = laboratory().load_model(path)
    return model.to(device)
