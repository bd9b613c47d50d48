"""The two tokens that begin an answer: with thinking, or without.

Fang, Ma and Wang 2025 (Thinkless), arXiv:2505.13379, take unused tokens of the vocabulary. Tokens that were never
trained may have one and the same embedding, and a model whose embeddings do not learn cannot tell such two apart.
N is tokens, C the width of an embedding.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trueup.core.errors import BadInput
from trueup.core.training import CARD, MADE
from trueup.core.types import Prompt
from trueup.models.huggingface.vocabulary import Vocabulary

ENDING = 4
"""So many tokens at a prompt's end may not hold a mode's: a line break or two may stand behind it."""
ROLES = ("bos", "eos", "unk", "pad", "sep", "cls", "mask")
KEYS = ("think_token", "short_token")
"""What the ids are called among a training's figures."""
ALIKE = 0.05
"""Embeddings nearer than this share of a usual one's length are one: SmolLM2's unused ones differ by 0.003."""


@dataclass(frozen=True, slots=True)
class Modes:
    """The tokens that begin an answer with thinking, and one without; with their names."""

    think: int
    short: int
    names: tuple[str, str]

    @property
    def figures(self) -> dict[str, float]:
        """The ids, for a card."""
        return dict(zip(KEYS, (float(self.think), float(self.short)), strict=True))


def find_modes(
    vocabulary: Vocabulary, prompt: Prompt, *, think: str, short: str, taught: Mapping[str, float] | None = None
) -> Modes:
    """The two control tokens of a model: those that it was taught, by their ids, or else the named.

    Raises BadInput where one of them is no single token, both are one, or the template writes one before the model can.
    """
    think, short = names_of(vocabulary, taught) if taught else (think, short)
    found = []
    for name in (think, short):
        ids = vocabulary.tokenizer(name, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise BadInput(
                f"{name!r} is {len(ids)} tokens of this model; name one of its tokens, or none: warm_up finds two that "
                "it never writes, and teaches both"
            )
        found.append(ids[0])
    if found[0] == found[1]:
        raise BadInput(f"think and short are both {think!r}; name two tokens")
    written = [
        name for name, token in zip((think, short), found, strict=True) if token in vocabulary.ids(prompt)[-ENDING:]
    ]
    if written:
        raise BadInput(
            f"the chat template writes {written[0]!r} itself; name one that leaves it out with template=FILE"
        )
    return Modes(found[0], found[1], (think, short))


def demand_both(think: str, short: str) -> None:
    """Raise BadInput where one of the tokens is named and the other is not."""
    if bool(think) != bool(short):
        raise BadInput(f"think is {think!r} and short {short!r}; name both tokens, or neither")


def taught_unless_named(folder: Path, think: str, short: str) -> dict[str, float]:
    """The ids on the card of the training that made a model; nothing where the tokens are named.

    Raises BadInput where one of them is, or neither and no card says them.
    """
    demand_both(think, short)
    taught = {} if think else taught_tokens(folder)
    if not (think or taught):
        raise BadInput(
            f"no card of {str(folder)!r} says what begins an answer with thinking, and one without; train it by "
            "warm_up first and name the folder that this leaves, or name the tokens with think= and short="
        )
    return taught


def unwritten(network: Any, vocabulary: Vocabulary, prompt: Prompt, *, think: str, short: str, learns: bool) -> Modes:
    """The tokens that are named, else two that the model has and never writes, those whose embeddings differ most.

    `learns` says that embeddings will learn. Raises BadInput for tokens that would stand in the text that is graded,
    and for two that cannot be told apart.
    """
    if not think:
        think, short = _spare_pair(network, vocabulary, prompt)
    modes = find_modes(vocabulary, prompt, think=think, short=short)
    for name, token in zip(modes.names, (modes.think, modes.short), strict=True):
        if vocabulary.text([token], vocabulary.ids(prompt)[-1]):
            raise BadInput(f"{name!r} would stand in the text that is graded; name a special token, or none")
    if not learns and float(apart(network, [modes.think, modes.short])[0, 1]) < ALIKE:
        raise BadInput(
            f"{think!r} and {short!r} have one embedding, which an adapter leaves as it is; name others, or none, "
            "or set lora_rank=0"
        )
    return modes


def apart(network: Any, tokens: Sequence[int]) -> Tensor:
    """How far tokens are from each other as the model reads and writes them, in lengths of a usual one; axes NN."""
    found = []
    for layer in (network.get_input_embeddings(), network.get_output_embeddings()):
        rows_VC = layer.weight.detach().float()
        rows_NC = rows_VC[list(tokens)]
        found.append(
            torch.cdist(rows_NC, rows_NC, compute_mode="donot_use_mm_for_euclid_dist") / rows_VC.norm(dim=1).mean()
        )
    return torch.minimum(*found)


def spare_tokens(config: Mapping[str, Any], vocabulary: Vocabulary, prompt: Prompt) -> list[int]:
    """The special tokens that nothing uses, by their ids.

    None has a role, ends a text, is written by the chat template or named by the model's configuration.
    """
    tokenizer = vocabulary.tokenizer
    used = {
        *vocabulary.ids(prompt),
        *vocabulary.ends,
        *(getattr(tokenizer, f"{role}_token_id", None) for role in ROLES),
    }
    used |= {value for key, value in config.items() if key.endswith("token_id") and isinstance(value, int)}
    written = str(tokenizer.chat_template)
    return [
        token
        for token, added in sorted(tokenizer.added_tokens_decoder.items())
        if added.special and token < vocabulary.width and token not in used and added.content not in written
    ]


def taught_tokens(folder: Path) -> dict[str, float]:
    """The ids on the card of the training that made a model; empty where no card says them."""
    path = (folder.parent if folder.name in MADE else folder) / CARD
    figures: Mapping[str, float] = json.loads(path.read_bytes()).get("figures", {}) if path.is_file() else {}
    return {key: figures[key] for key in KEYS} if all(key in figures for key in KEYS) else {}


def names_of(vocabulary: Vocabulary, taught: Mapping[str, float]) -> tuple[str, str]:
    """The names of tokens that a card has by their ids."""
    think, short = (vocabulary.tokenizer.decode([int(taught[key])]) for key in KEYS)
    return think, short


def _spare_pair(network: Any, vocabulary: Vocabulary, prompt: Prompt) -> tuple[str, str]:
    tokens = spare_tokens(network.config.to_dict(), vocabulary, prompt)
    if len(tokens) < 2:
        raise BadInput(
            f"this model has {len(tokens)} special tokens that nothing uses, and two are needed; add two to its "
            "tokenizer and its embeddings, and save it again"
        )
    apart_NN = apart(network, tokens).triu(1)
    first, second = divmod(int(apart_NN.argmax()), len(tokens))
    return names_of(vocabulary, dict(zip(KEYS, (tokens[first], tokens[second]), strict=True)))
