"""A causal language model with its tokenizer, loaded to be trained."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from trueup.core.cost import sample_flops
from trueup.core.errors import BadInput, Unavailable
from trueup.core.roles import ModelCard
from trueup.core.types import Usage
from trueup.models.huggingface.folder import base_of, read_shape
from trueup.models.huggingface.network import ends_of, quiet, unreadable, without_peft_news
from trueup.models.huggingface.vocabulary import Vocabulary, read_template

ALPHA = 2
"""LoRA's alpha is this many ranks, so that a rank can be changed without the learning rate."""


@dataclass(frozen=True, slots=True)
class Trainee:
    """A network in training mode; `card` feeds the FLOP formula, `is_adapter` says whether only LoRA weights learn."""

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
        return sum(sample_flops(self.card, Usage(length, 0), with_prompt=True) or 0 for length in lengths)

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
    are in float32, what is frozen in `dtype`. Raises BadInput for a rank below 0, Unavailable without peft.
    """
    if lora_rank < 0:
        raise BadInput(f"lora_rank is {lora_rank}; give a rank of 1 or more, or 0 to train all weights")
    base, kind = base_of(folder), getattr(torch, dtype)
    network, tokenizer = read(folder, torch.float32 if lora_rank == 0 else kind)
    if base is not None:
        network = _adapted(network, folder)
        network = network if lora_rank else network.merge_and_unload()
    elif lora_rank:
        network = _fresh_adapter(network, lora_rank, seed)
    if not lora_rank:
        network.requires_grad_(True)
    place = torch.device(device)
    vocabulary, shape = vocabulary_of(network, tokenizer, template, folder), read_shape(folder)
    card = ModelCard(folder.name, "", "cpu", shape.parameters, shape.layers, shape.width)
    return Trainee(network.to(place).train(), vocabulary, card, place, kind, lora_rank > 0)


def merged(folder: Path) -> tuple[Any, Any]:
    """A folder's network with an adapter added to its weights, in float32, and its tokenizer."""
    network, tokenizer = read(folder, torch.float32)
    return (network if base_of(folder) is None else _adapted(network, folder).merge_and_unload()), tokenizer


def vocabulary_of(network: Any, tokenizer: Any, template: str, folder: Path) -> Vocabulary:
    """A model's tokens, with the ends that its generation settings and its tokenizer name; `template` may be a file."""
    width = network.get_output_embeddings().weight.shape[0]
    return Vocabulary(tokenizer, ends_of(network, tokenizer), width, template=read_template(template), name=str(folder))


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
        told = " ".join(str(error).split())[:160]
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
