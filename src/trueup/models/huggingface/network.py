"""A causal language model in this process, and texts in its KV cache.

B is rows, T tokens, V the vocabulary.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueup.core.errors import BadInput, Unavailable, one_line
from trueup.core.types import Prompt
from trueup.models.huggingface.folder import base_of
from trueup.models.huggingface.trouble import SMALLER, is_full
from trueup.models.huggingface.vocabulary import Refused, Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

UNBOUNDED = 1 << 30
"""The context of a model whose configuration tells of no end."""
PASTS = ("past_key_values", "cache_params")
"""What forward passes call a cache: the second is Mamba's."""


class Network:
    """Weights with their vocabulary; texts are read into KV caches of their own."""

    def __init__(self, folder: Path, name: str, *, device: str, dtype: str, template: str) -> None:
        """Load a folder, under a name for messages.

        Raises BadInput for a device that is not here, a folder that cannot be loaded or lacks a chat template, and a
        model that does not read into a cache.
        """
        self.device = _device(device)
        self.name = name
        self._model, tokenizer = _load(folder, self.device, dtype)
        self.kind = self._model.config.model_type
        self._past = self._past_name()
        config = self._model.config.get_text_config()
        self.context_tokens = context_of(config)
        width = self._model.get_output_embeddings().weight.shape[0]
        self._embedded = self._model.get_input_embeddings().weight.shape[0]
        self.vocabulary = Vocabulary(tokenizer, ends_of(self._model, tokenizer), width, template=template, name=name)
        self._warm_up()

    def begin(self, prompt: Prompt) -> Text:
        """The prompt, read in one row.

        Raises Refused where it does not fit.
        """
        return Text(self, self.fitting(prompt), self.fresh_cache(), 0)

    def fitting(self, prompt: Prompt) -> list[int]:
        """The prompt's tokens.

        Raises Refused where they leave no room in the context, or the embedding has no row for one of them.
        """
        ids = self.vocabulary.ids(prompt)
        if not 0 < len(ids) < self.context_tokens:
            told = f"a prompt of {len(ids):,} tokens does not fit {self.name}'s context of {self.context_tokens:,}"
            raise Refused(told if ids else f"the prompt is empty to {self.name}")
        if (highest := max(ids)) >= self._embedded:
            token = self.vocabulary.tokenizer.convert_ids_to_tokens(highest)
            told = f"the prompt's token {token!r} ({highest}) has no row in {self.name}'s embedding of {self._embedded}"
            raise Refused(f"{told}; call resize_token_embeddings and save the model again, or leave the token out")
        return ids

    def fresh_cache(self) -> Any:
        """A cache with nothing in it: keys and values, or the states of layers that do not attend."""
        from transformers import DynamicCache

        return DynamicCache(config=self._model.config)

    def read(self, ids_BT: Sequence[Sequence[int]], cache: Any) -> Tensor:
        """The logits behind the last token of every row, in float32 on the CPU; the tokens go into the cache.

        Their V is the vocabulary's width.
        """
        import torch

        with torch.inference_mode():
            tokens_BT = torch.tensor(ids_BT, device=self.device)
            reply = self._model(input_ids=tokens_BT, **{self._past: cache}, use_cache=True, logits_to_keep=1)
            logits_BV: Tensor = reply.logits[:, -1, : self.vocabulary.width].float().cpu()
        return logits_BV

    def _warm_up(self) -> None:
        """Read and step, so that what happens only once does not count as the first prompt's seconds.

        Raises BadInput where torch gives up on it, or the cache has not all of it then: what is written would not hang
        on the prompt.
        """
        try:
            cache = self.fresh_cache()
            self.read([[0, 0]], cache)
            self.read([[0]], cache)
        except RuntimeError as error:
            raise unfit(self.name, self.device, error) from error
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise self._uncached() from error
        if not _has_read(cache, 3):
            raise self._uncached()

    def _past_name(self) -> str:
        """What the model calls its cache; raises BadInput where it takes none."""
        taken = inspect.signature(self._model.forward).parameters
        found = next((past for past in PASTS if past in taken), None)
        if found is None:
            raise self._uncached()
        return found

    def _uncached(self) -> BadInput:
        told = f"{self.name} is of type {self.kind!r}, which does not read into the cache that most models share"
        return BadInput(f"{told}; take a model of another type")


class Text:
    """Implements Stream: a text in a network's cache, in one row or in several alike."""

    def __init__(self, network: Network, ids: Sequence[int], cache: Any, cached_tokens: int) -> None:
        """Read the tokens behind the first `cached_tokens`, which are in the cache."""
        self._network = network
        self.ids, self.cache, self.cached_tokens = tuple(ids), cache, cached_tokens
        self.prompt_tokens, self.last = len(ids), ids[-1]
        self.room = network.context_tokens - len(ids)
        self.logits_BV = network.read([ids[cached_tokens:]], cache)

    def spread(self, rows: int) -> Text:
        """The same text in so many rows, each a copy of the first; layers of every kind can be put in an order."""
        import torch

        twin = copy.copy(self)
        twin.cache = copy.deepcopy(self.cache)
        twin.cache.reorder_cache(torch.zeros(rows, dtype=torch.long, device=self._network.device))
        twin.logits_BV = self.logits_BV.expand(rows, -1)
        return twin

    def step(self, tokens: Sequence[int]) -> None:
        """Read one more token in each row."""
        self.logits_BV = self._network.read([[token] for token in tokens], self.cache)


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


def context_of(config: Any) -> int:
    """The tokens of the longest text that a model of this configuration reads."""
    longest: int = getattr(config, "max_position_embeddings", None) or UNBOUNDED
    return longest


def _device(name: str) -> Any:
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


def _has_read(cache: Any, tokens: int) -> bool:
    """Whether a cache holds so many tokens in a layer that attends, if it has any, and a state in each that does not.

    A decoder may leave layers that attend unused, those of the encoder that it was trained with.
    """
    attending = [layer.get_seq_length() for layer in cache.layers if hasattr(layer, "get_seq_length")]
    others = [layer for layer in cache.layers if hasattr(layer, "has_previous_state")]
    states = [any(layer.has_previous_state.values()) for layer in others if not hasattr(layer, "get_seq_length")]
    return (tokens in attending or not attending) and all(states) and bool(attending or states)


def _load(folder: Path, device: Any, dtype: str) -> tuple[Any, Any]:
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


@contextmanager
def without_peft_news() -> Iterator[None]:
    """Without the warning that peft asks transformers for an attribute by its old name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def ends_of(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a text, by the model's generation settings and by its tokenizer."""
    told = model.generation_config.eos_token_id
    ends = told if isinstance(told, list) else [told]
    return frozenset(token for token in (*ends, tokenizer.eos_token_id) if token is not None)
