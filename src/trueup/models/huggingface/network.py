"""A causal language model in this process, and texts in its KV cache.

B is rows, T tokens, V the vocabulary.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueup.core.errors import BadInput
from trueup.core.types import Prompt
from trueup.models.huggingface.draft import Head
from trueup.models.huggingface.load import find_device, load, unfit
from trueup.models.huggingface.trouble import is_full
from trueup.models.huggingface.vocabulary import Refused, Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

CONTEXTS = ("max_position_embeddings", "max_seq_len")
"""What configurations call the longest text: most say the first, MPT the second."""
UNBOUNDED = 1 << 30
"""The context of a model whose configuration tells of no end."""
ALIKE = 0.05
"""Total variation between the next tokens of a text alone and behind padding: far above rounding in bfloat16."""
TRIED, STEPS = 24, (1, 0)
"""Tokens of the longer text of a trial, and those that both texts go on by."""
STRETCHED = ("dynamic", "longrope")
"""Kinds of rotary embeddings that follow the longest text of a pass."""
PASTS = ("past_key_values", "cache_params")
"""What forward passes call a cache: the second is Mamba's."""


class Network:
    """Weights with their vocabulary; texts are read into KV caches of their own."""

    def __init__(self, folder: Path, name: str, *, device: str, dtype: str, template: str) -> None:
        """Load a folder, under a name for messages.

        Raises BadInput for a device that is not here, a folder that cannot be loaded or lacks a chat template, and a
        model that does not read into a cache.
        """
        self.device = find_device(device)
        self.name = name
        self._model, tokenizer = load(folder, self.device, dtype)
        self.kind = self._model.config.model_type
        self._taken = frozenset(inspect.signature(self._model.forward).parameters)
        self._past = self._past_name()
        config = self._model.config.get_text_config()
        self.context_tokens = context_of(config)
        width = self._model.get_output_embeddings().weight.shape[0]
        self.tokens_embedded = self._model.get_input_embeddings().weight.shape[0]
        self.vocabulary = Vocabulary(tokenizer, ends_of(self._model, tokenizer), width, template=template, name=name)
        self._warm_up()

    @property
    def stretches(self) -> bool:
        """Whether places are told apart by how long the longest text is, of which all of a pass have one."""
        told = [getattr(module, "rope_type", "") for module in self._model.modules()]
        return any(kind in str(one) for one in told for kind in STRETCHED)

    def begin(self, texts: Sequence[Sequence[int]]) -> Text:
        """Texts that fit, read in a row each; several only where `require_padding` has nothing against it."""
        return Text(self, texts, self.fresh_cache())

    def fitting(self, prompt: Prompt) -> list[int]:
        """The prompt's tokens.

        Raises Refused where they leave no room in the context, or the embedding has no row for one of them.
        """
        ids = self.vocabulary.ids(prompt)
        if not 0 < len(ids) < self.context_tokens:
            told = f"a prompt of {len(ids):,} tokens does not fit {self.name}'s context of {self.context_tokens:,}"
            raise Refused(told if ids else f"the prompt is empty to {self.name}")
        if (highest := max(ids)) >= self.tokens_embedded:
            token = self.vocabulary.tokenizer.convert_ids_to_tokens(highest)
            place = f"{self.name}'s embedding of {self.tokens_embedded}"
            told = f"the prompt's token {token!r} ({highest}) has no row in {place}"
            raise Refused(f"{told}; call resize_token_embeddings and save the model again, or leave the token out")
        return ids

    def fresh_cache(self) -> Any:
        """A cache with nothing in it: keys and values, or the states of layers that do not attend."""
        from transformers import DynamicCache

        return DynamicCache(config=self._model.config)

    def read(self, ids_BT: Sequence[Sequence[int]], cache: Any, padding_B: Sequence[int] = ()) -> Tensor:
        """The logits behind the last token of every row, in float32 on the CPU; the tokens go into the cache.

        Their V is the vocabulary's width. Of each row's whole text the first `padding_B` tokens are none of it.
        """
        import torch

        with torch.inference_mode():
            tokens_BT = torch.tensor(ids_BT, device=self.device)
            places = self._places(tokens_BT, cache, padding_B) if any(padding_B) else {}
            reply = self._model(input_ids=tokens_BT, **{self._past: cache}, **places, use_cache=True, logits_to_keep=1)
            logits_BV: Tensor = reply.logits[:, -1, : self.vocabulary.width].float().cpu()
        return logits_BV

    def _places(self, tokens_BT: Tensor, cache: Any, padding_B: Sequence[int]) -> dict[str, Tensor]:
        """Which tokens of every row are its text, those in the cache too, and where in it the new ones stand."""
        import torch

        new = tokens_BT.shape[1]
        reach_T = torch.arange(cache.get_seq_length() + new, device=self.device)
        place_BT = reach_T[None] - torch.tensor(padding_B, device=self.device)[:, None]
        told = {"attention_mask": (place_BT >= 0).long(), "position_ids": place_BT.clamp(min=0)[:, -new:]}
        return {name: told[name] for name in told if name in self._taken}

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
        found = next((past for past in PASTS if past in self._taken), None)
        if found is None:
            raise self._uncached()
        return found

    def _uncached(self) -> BadInput:
        told = f"{self.name} is of type {self.kind!r}, which does not read into the cache that most models share"
        return BadInput(f"{told}; take a model of another type")


class Text:
    """Implements Stream: texts in a network's cache, one in each row, shorter ones padded on their left."""

    def __init__(self, network: Network, texts: Sequence[Sequence[int]], cache: Any, cached_tokens: int = 0) -> None:
        """Read the tokens behind the first `cached_tokens`, which are in the cache; of several texts all."""
        self._network, self._cached_tokens = network, cached_tokens
        self.texts, self.cache = list(texts), cache
        longest = max(map(len, texts))
        self._padding_B = [longest - len(ids) for ids in texts]
        ids_BT = [[*[0] * padding, *ids[cached_tokens:]] for padding, ids in zip(self._padding_B, texts, strict=True)]
        self.logits_BV = network.read(ids_BT, cache, self._padding_B)

    @property
    def heads(self) -> list[Head]:
        """What stands in each row."""
        context = self._network.context_tokens
        return [Head(len(ids), self._cached_tokens, ids[-1], context - len(ids)) for ids in self.texts]

    def spread(self, places: Sequence[int]) -> Text:
        """A row for each of these places, a copy of the text there; layers of every kind can be put in an order."""
        import torch

        twin = copy.copy(self)
        twin.cache = copy.deepcopy(self.cache)
        twin.cache.reorder_cache(torch.tensor(places, device=self._network.device))
        twin.texts = [self.texts[place] for place in places]
        twin._padding_B = [self._padding_B[place] for place in places]
        twin.logits_BV = self.logits_BV[list(places)]
        return twin

    def step(self, tokens: Sequence[int]) -> None:
        """Read one more token in each row."""
        self.logits_BV = self._network.read([[token] for token in tokens], self.cache, self._padding_B)


def require_padding(network: Network) -> None:
    """Raise BadInput unless a text behind padding is read as it is alone, by a trial on a few tokens."""
    told = f"{network.name} is of type {network.kind!r}, which does not read a text behind padding as it does alone"
    refusal = BadInput(f"{told}; set prompts=1")
    try:
        if keeps_all(network.fresh_cache()) and not network.stretches and _shift(network) < ALIKE:
            return
    except (RuntimeError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise (unfit(network.name, network.device, error) if is_full(error) else refusal) from error
    raise refusal


def _shift(network: Network) -> float:
    """The largest total variation between what follows a text alone and behind padding, read and written on."""
    longest = min(TRIED, network.context_tokens - len(STEPS))
    long = [token % network.tokens_embedded for token in range(longest)]
    alone, beside = network.begin([long[:3]]), network.begin([long[:3], long])
    shifts = [_apart(alone, beside)]
    for token in STEPS:
        alone.step([token])
        beside.step([token, token])
        shifts.append(_apart(alone, beside))
    return max(shifts)


def _apart(one: Text, other: Text) -> float:
    p_V, q_V = (text.logits_BV[0].softmax(-1) for text in (one, other))
    return float((p_V - q_V).abs().sum() / 2)


def keeps_all(cache: Any) -> bool:
    """Whether every layer of a cache keeps all that was read, token by token."""
    return all(type(layer).__name__ == "DynamicLayer" for layer in cache.layers)


def context_of(config: Any) -> int:
    """The tokens of the longest text that a model of this configuration reads."""
    told = (getattr(config, name, None) for name in CONTEXTS)
    longest: int = next(filter(None, told), UNBOUNDED)
    return longest


def _has_read(cache: Any, tokens: int) -> bool:
    """Whether a cache holds so many tokens in a layer that attends, if it has any, and a state in each that does not.

    A decoder may leave layers that attend unused, those of the encoder that it was trained with.
    """
    attending = [layer.get_seq_length() for layer in cache.layers if hasattr(layer, "get_seq_length")]
    others = [layer for layer in cache.layers if hasattr(layer, "has_previous_state")]
    states = [any(layer.has_previous_state.values()) for layer in others if not hasattr(layer, "get_seq_length")]
    return (tokens in attending or not attending) and all(states) and bool(attending or states)


def ends_of(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a text, by the model's generation settings and by its tokenizer."""
    told = model.generation_config.eos_token_id
    ends = told if isinstance(told, list) else [told]
    return frozenset(token for token in (*ends, tokenizer.eos_token_id) if token is not None)
