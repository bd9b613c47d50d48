"""A causal language model with its tokenizer, loaded to be trained."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from trueup.core.cost import sample_flops
from trueup.core.errors import BadInput, Unavailable, one_line
from trueup.core.roles import ModelCard
from trueup.core.types import Usage
from trueup.models.huggingface.folder import Shape, base_of, read_shape
from trueup.models.huggingface.load import quiet, unreadable, without_peft_news
from trueup.models.huggingface.network import ends_of
from trueup.models.huggingface.vocabulary import PLAIN, Vocabulary, read_template

ALPHA = 2
"""LoRA's alpha is this many ranks, so that a rank can be changed without the learning rate."""
TURNED = "fan_in_fan_out is set to False"
"""How peft warns that GPT-2 keeps its matrices turned, and sees to it."""


@dataclass(frozen=True, slots=True)
class Trainee:
    """A network that drops nothing out, so that what it says of a text hangs on its weights alone.

    `card` feeds the FLOP formula, `is_adapter` says whether only LoRA weights learn.
    """

    network: Any
    vocabulary: Vocabulary
    card: ModelCard
    device: torch.device
    dtype: torch.dtype
    is_adapter: bool

    @property
    def weights(self) -> list[torch.nn.Parameter]:
        """What is trained."""
        return [weight for weight in self.network.parameters() if weight.requires_grad]

    def clock(self) -> float:
        """Core-seconds of this process so far on a CPU, which a busy machine does not stretch; seconds elsewhere."""
        if self.device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def forward_flops(self, lengths: Sequence[int]) -> int:
        """One forward pass over texts of so many tokens, by `dense-v1`."""
        flops = [sample_flops(self.card, Usage(length, 0), with_prompt=True) for length in lengths]
        known = [one for one in flops if one is not None]
        assert len(known) == len(flops), "a trainee's shape is known"
        return sum(known)

    def trained_flops(self, lengths: Sequence[int]) -> int:
        """Forward and backward: F, 2 N T + 4 l d T^2 through the activations, and 2 T for each weight that learns.

        So 3 F in all where every weight learns, about 2 F for an adapter.
        """
        forward, tokens = self.forward_flops(lengths), sum(lengths)
        parameters = self.card.parameters or 0
        learning = sum(weight.numel() for weight in self.weights) if self.is_adapter else parameters
        attention = forward - 2 * parameters * tokens
        return forward + 2 * parameters * tokens + 2 * attention + 2 * learning * tokens


def load(folder: Path, *, device: str, dtype: str, lora_rank: int, template: str, seed: int) -> Trainee:
    """A model's folder, or an adapter's, ready to be trained; with `lora_rank` 0 all weights learn.

    An adapter goes on where it stands, and is added to the weights first if all of them shall learn. Weights that learn
    are in float32, what is frozen in `dtype`. Raises BadInput for a rank below 0 or a model whose FLOPs cannot be
    counted, Unavailable without peft.
    """
    if lora_rank < 0:
        raise BadInput(f"lora_rank is {lora_rank}; give a rank of 1 or more, or 0 to train all weights")
    base, shape, kind = base_of(folder), demand_shape(folder), getattr(torch, dtype)
    network, tokenizer = read(folder, torch.float32 if lora_rank == 0 else kind)
    if base is not None:
        network = _adapted(network, folder)
        network = network if lora_rank else network.merge_and_unload()
    elif lora_rank:
        network = _fresh_adapter(network, lora_rank, seed)
    if not lora_rank:
        network.requires_grad_(True)
    place = torch.device(device)
    vocabulary = vocabulary_of(network, tokenizer, template, folder)
    card = ModelCard(folder.name, "", "cpu", shape.parameters, shape.layers, shape.width)
    return Trainee(network.to(place).eval(), vocabulary, card, place, kind, lora_rank > 0)


def demand_shape(folder: Path) -> Shape:
    """A model's shape, all of it known.

    Raises BadInput where it is not, so that no FLOPs of a training could be counted.
    """
    shape, config = read_shape(folder), (base_of(folder) or folder) / "config.json"
    if shape.layers is None or shape.width is None:
        raise BadInput(f"{config} does not say its layers and heads; no FLOPs can be counted")
    if not shape.parameters:
        raise BadInput(f"{config} tells of quantized weights; no FLOPs can be counted, take the model as it was before")
    return shape


def without_dropout(network: Any) -> Any:
    """The same network, which drops nothing out in training mode either: neither modules nor what functions are told.

    TRL's `disable_dropout` is for modules alone, and leaves attention and the whole of OPT to functions.
    """
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name, value in list(vars(module).items()):
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
    return network


def merged(folder: Path) -> tuple[Any, Any]:
    """A folder's network with an adapter added to its weights, in float32, and its tokenizer."""
    network, tokenizer = read(folder, torch.float32)
    return (network if base_of(folder) is None else _adapted(network, folder).merge_and_unload()), tokenizer


def vocabulary_of(network: Any, tokenizer: Any, template: str, folder: Path) -> Vocabulary:
    """A model's tokens, with the ends that its generation settings and its tokenizer name.

    `template` may be a file; then the tokenizer takes it for its own, to be saved with what is trained behind it.
    """
    width = network.get_output_embeddings().weight.shape[0]
    text = read_template(template)
    if text not in ("", PLAIN):
        tokenizer.chat_template = text
    return Vocabulary(tokenizer, ends_of(network, tokenizer), width, template=text, name=str(folder))


def read(folder: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """The network in a folder, of an adapter its base's, and the folder's tokenizer.

    Raises BadInput where they cannot be loaded, or the tokenizer has no end of text.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = base_of(folder) or folder
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            network = AutoModelForCausalLM.from_pretrained(
                base.absolute(), dtype=dtype, use_safetensors=True, local_files_only=True
            )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise unreadable(folder, error) from error
    if tokenizer.eos_token_id is None:
        raise BadInput(f"the tokenizer of {str(folder)!r} has no end of text; set its eos_token")
    return network, tokenizer


def _fresh_adapter(network: Any, rank: int, seed: int) -> Any:
    """LoRA on every linear layer but the output's (Hu et al. 2021, arXiv:2106.09685); at first it changes nothing."""
    torch.manual_seed(seed)
    with without_peft_news():
        warnings.filterwarnings("ignore", TURNED, UserWarning)
        return _peft().get_peft_model(network, lora_config(rank))


def lora_config(rank: int) -> Any:
    """peft's words for it; alpha is twice the rank."""
    return _peft().LoraConfig(
        r=rank, lora_alpha=ALPHA * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def _adapted(network: Any, folder: Path) -> Any:
    """The network with the adapter in a folder.

    Raises BadInput where the adapter was trained on another, or cannot be read.
    """
    try:
        with without_peft_news():
            return _peft().PeftModel.from_pretrained(network, folder, is_trainable=True)
    except SafetensorError as error:
        raise unreadable(folder, error) from error
    except (RuntimeError, ValueError, KeyError) as error:
        told = one_line(error)[:160]
        raise BadInput(
            f"the adapter {str(folder)!r} does not fit its base {str(base_of(folder))!r} ({told}); put back the one "
            "that it was trained on"
        ) from error


def _peft() -> Any:
    try:
        import peft
    except ImportError:
        raise Unavailable("an adapter needs peft; pip install 'trueup[train]'") from None
    return peft
