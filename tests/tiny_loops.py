"""A Llama that TRL's loop and the laboratory's both load, and one step of TRL's on given episodes.

Axes: B row, P prompt token, T token.
"""

from __future__ import annotations

import torch
from tiny_trl import job
from tokenizers import Tokenizer, decoders, models
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    TrainerCallback,
)

from trueup.train.laboratory.pretrained import INNER, OUTER
from trueup.train.laboratory.vocabulary import CHARACTERS, END, PAD, SIZE, decode, encode
from trueup.train.real.episodes import Episode, Turn
from trueup.train.real.quiet import quiet
from trueup.train.real.run import build

LAYERS = 2
FAVOURED = encode("$e:!")


def save_llama(folder, moved=0.0):
    """A Llama whose tokens are the laboratory's characters, `moved` away from the same weights.

    Its first channel is a constant, and so a bias of the logits: padding, which the laboratory leaves out, never comes,
    and some tokens often do.
    """
    known = Tokenizer(models.BPE({character: place for place, character in enumerate(CHARACTERS)}, []))
    known.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=known, eos_token="$", pad_token="_")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    torch.manual_seed(0)
    network = LlamaForCausalLM(LlamaConfig(
        vocab_size=SIZE, hidden_size=16, intermediate_size=32, num_hidden_layers=LAYERS, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=512, eos_token_id=END, bos_token_id=END,
        tie_word_embeddings=True, initializer_range=0.3,
    ))  # fmt: skip
    noise, words = torch.Generator().manual_seed(1), network.model.embed_tokens.weight
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(moved * torch.randn(weight.shape, generator=noise))
        words[:, 0], words[FAVOURED, 0], words[PAD, 0], network.model.norm.weight[0] = 1.0, 1.15, -1.0, 40.0
        for layer in network.model.layers:
            layer.self_attn.o_proj.weight[0] = layer.mlp.down_proj.weight[0] = 0.0
    with quiet():
        network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Look(TrainerCallback):
    """Puts the policy where it has moved to, and keeps the gradients of the step."""

    def __init__(self, network, moved):
        self.network, self.moved, self.found = network, moved, {}

    def on_train_begin(self, args, state, control, **given):
        args.max_grad_norm = 0.0
        self.network.load_state_dict(AutoModelForCausalLM.from_pretrained(self.moved).state_dict())

    def on_pre_optimizer_step(self, args, state, control, **given):
        self.found = gradients(self.network)


def trls(base, moved, out, stratum, recipe, make, episodes):
    """Loss and gradients of a step of TRL's loop on these episodes, whose verifier is the stratum's."""
    with quiet():
        trainer = build(job(base, out, stratum=stratum), recipe, make)
        trainer.rollout = lambda items: episodes
        look = Look(trainer.model, moved)
        trainer.add_callback(look)
        trainer.train()
    return trainer.told["loss"], look.found


def gradients(network):
    return {name: weight.grad.clone() for name, weight in network.named_parameters()}


def named(gradients):
    """The laboratory's gradients by the names that the weights have on file."""
    names = dict(OUTER)
    for layer in range(LAYERS):
        names |= {f"blocks.{layer}.{ours}": f"model.layers.{layer}.{theirs}" for ours, theirs in INNER.items()}
    return {f"{names[name.removesuffix('.weight')]}.weight": value for name, value in gradients.items()}


def turn(context, row):
    """What was said behind a context; the row is padded."""
    ids = tuple(row[row != PAD].tolist())
    return Turn(tuple(context.tolist()), ids, decode(row), 0, END not in ids)


def one_turn(prompts_BP, completions_BT, group):
    """The laboratory's attempts as episodes, `group` of them at each item."""
    pairs = zip(prompts_BP, completions_BT, strict=True)
    return [Episode(place // group, (turn(*pair),)) for place, pair in enumerate(pairs)]


def two_turns(found, task, group):
    """The laboratory's episodes as TRL's loop takes them, each second turn behind the very same tokens."""
    again_BP = task.again(found.prompts_BP, found.first_BT)
    rows = zip(found.prompts_BP, found.first_BT, again_BP, found.second_BT, strict=True)
    return [Episode(at // group, (turn(a, b), turn(c, d))) for at, (a, b, c, d) in enumerate(rows)]
