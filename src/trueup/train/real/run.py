"""One online training from a job to saved weights.

The step is the method's: `batch` rollouts, `n` a prompt; how it is cut and where it runs is the profile's. The order of
prompts is written down beforehand, and every token is drawn by dice of its row's own, so a killed run goes on from its
last checkpoint as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from random import Random
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl import GRPOConfig  # type: ignore[attr-defined]

from trueup.core.errors import BadInput
from trueup.models.huggingface.folder import base_of
from trueup.models.huggingface.network import context_of
from trueup.models.huggingface.vocabulary import Refused, Vocabulary
from trueup.train.ask import demand_asked
from trueup.train.failures import in_one_line
from trueup.train.job import ADAPTER, MODEL, Job, Trained, save
from trueup.train.network import demand_shape, lora_config, read, vocabulary_of, without_dropout
from trueup.train.offline.own import demand_share, others_of
from trueup.train.profiles import is_main, launched_processes, require, require_processes, split_batch
from trueup.train.real.checkpoints import Marker, begin, goes_on
from trueup.train.real.episodes import request_after
from trueup.train.real.figures import last_figures
from trueup.train.real.objective import Objective, Recipe
from trueup.train.real.online import OnlineTrainer
from trueup.train.real.quiet import quiet
from trueup.train.real.replay import gather, longest_replayed, read_replay

LOSSES = {"sequence": "grpo", "token": "dapo", "constant": "dr_grpo"}
"""How tokens are averaged, and TRL's name for it."""
ACTIVATION_BYTES = 136
"""What a token leaves for the backward pass in a layer, by its width: 34 numbers in float32, measured with SmolLM2."""


def run(
    job: Job,
    name: str,
    recipe: Recipe,
    make: Callable[[Vocabulary], Objective],
    settings: dict[str, Any],
    *,
    has_modes: bool = False,
) -> Trained:
    """Train, save, and say what came of it; `settings` are all that were set, for the checkpoints.

    `has_modes` says that answers begin with a token of their mode. A rehearsal only looks at the settings.

    Raises BadInput for settings, a stratum or a model that cannot be trained so, Unavailable for a profile without its
    packages or devices, or where memory or the disk runs out.
    """
    require(job.profile)
    _check(job, recipe)
    if job.is_rehearsal:
        return Trained(0, {}, adapter=False)
    require_processes(job.profile, launched_processes())
    demand_asked(job.ask, ())
    with quiet(), in_one_line(job.out, partial(goes_on, job)):
        trainer = build(job, recipe, make, has_modes=has_modes)
        folder = begin(job, name, settings, is_main=is_main())
        trainer.train(resume_from_checkpoint=None if folder is None else str(folder))
        is_adapter = _save(trainer, job)
    return Trained(recipe.steps, trainer.told or last_figures(trainer.state.log_history), is_adapter)


def build(
    job: Job, recipe: Recipe, make: Callable[[Vocabulary], Objective], *, has_modes: bool = False
) -> OnlineTrainer:
    """The trainer, with model and data; nothing is written but what will be replayed.

    Raises BadInput where the launcher has started another number of processes than the profile says, or the model's
    FLOPs cannot be counted.
    """
    shape = demand_shape(job.model)
    assert shape.layers and shape.width
    if job.profile.device == "cpu":
        torch.set_num_threads(job.threads_each)
    model, tokenizer = read(job.model, torch.float32)
    tokenizer.padding_side = "left"
    if (tokenizer.pad_token_id or 0) >= model.get_input_embeddings().weight.shape[0]:
        tokenizer.pad_token = tokenizer.eos_token
    vocabulary = vocabulary_of(model, tokenizer, job.template, job.model)
    objective = make(vocabulary)
    longest = _longest(job, vocabulary, model.config, objective.turns)
    if recipe.replay:
        longest = max(longest, longest_replayed(job, recipe.replay, vocabulary, context_of(model.config)))
        if is_main():
            gather(job, recipe, has_modes=has_modes)
    row_bytes = round(longest * shape.layers * shape.width * ACTIVATION_BYTES / (1 - recipe.replay))
    trainer = OnlineTrainer(
        job=job,
        recipe=recipe,
        objective=objective,
        vocabulary=vocabulary,
        size=(shape.layers, shape.width),
        model=without_dropout(model),
        args=arguments(job, recipe, row_bytes),
        train_dataset=Dataset.from_dict({"prompt": _order(job, recipe)}),
        processing_class=tokenizer,
        peft_config=lora_config(recipe.lora_rank) if recipe.lora_rank else None,
        callbacks=[Marker()],
    )
    trainer.remove_callback(PrinterCallback)
    require_processes(job.profile, trainer.accelerator.num_processes)
    if recipe.replay:
        trainer.accelerator.wait_for_everyone()
        room, device = context_of(model.config), trainer.accelerator.device
        trainer.replay = read_replay(job, recipe, vocabulary, room, device)
    return trainer


def arguments(job: Job, recipe: Recipe, row_bytes: int) -> GRPOConfig:
    """What TRL is told: the recipe's step in the profile's cut, where a row's activations may take `row_bytes`."""
    profile = job.profile
    split = split_batch(profile, batch=recipe.batch, n=recipe.n, row_bytes=row_bytes)
    sampling = job.stratum.items[0].problem.sampling
    return GRPOConfig(
        output_dir=str(job.checkpoints / "online"),
        max_steps=recipe.steps,
        num_iterations=recipe.updates,
        num_generations=recipe.n,
        generation_batch_size=recipe.batch,
        per_device_train_batch_size=split.rows,
        gradient_accumulation_steps=split.accumulation,
        max_completion_length=sampling.max_tokens,
        generation_kwargs=_stopping(sampling.stop, is_vllm=profile.vllm),
        shuffle_dataset=False,
        learning_rate=recipe.lr,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        temperature=recipe.temperature,
        top_p=1.0,
        top_k=0,
        beta=recipe.beta,
        epsilon=recipe.clip,
        loss_type=LOSSES[recipe.norm],
        scale_rewards="none",
        importance_sampling_level="token",
        use_bias_correction_kl=recipe.unbiased_kl,
        disable_dropout=True,
        seed=job.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=recipe.save_every,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        push_to_hub=False,
        **profile.placement(),
    )


def _check(job: Job, recipe: Recipe) -> None:
    if recipe.norm not in LOSSES:
        raise BadInput(f"norm is {recipe.norm!r}; it takes {', '.join(LOSSES)}")
    for name in ("steps", "updates", "save_every", "lr", "temperature", "clip"):
        if not 0 < getattr(recipe, name) < inf:
            raise BadInput(f"{name} is {getattr(recipe, name)}; it must be above 0")
    if recipe.lr >= 1:
        raise BadInput(f"lr is {recipe.lr}; give a learning rate above 0 and below 1")
    demand_share(recipe.replay)
    if recipe.replay:
        others_of(job, recipe.replay)
    if not 0 <= recipe.beta < inf or recipe.lora_rank < 0:
        raise BadInput(f"beta {recipe.beta} and lora_rank {recipe.lora_rank} must not be below 0")
    for name in ("steps", "save_every"):
        if getattr(recipe, name) % recipe.updates:
            raise BadInput(f"{name} {getattr(recipe, name)} is no multiple of updates = {recipe.updates}; make it one")
    if base_of(job.model) is not None:
        raise BadInput(f"{str(job.model)!r} is an adapter; add it to its base first, as `trueup train --model` does")
    split_batch(job.profile, batch=recipe.batch, n=recipe.n)
    asked = {item.problem.sampling for item in job.stratum.items}
    if not asked:
        raise BadInput(f"stratum {job.stratum.name!r} has no items to train on; raise its limit")
    if len({(one.max_tokens, one.stop) for one in asked}) > 1:
        raise BadInput(f"items of stratum {job.stratum.name!r} differ in max_tokens or stop; train them as two strata")
    if any(one.schema or one.grammar for one in asked):
        raise BadInput(f"stratum {job.stratum.name!r} is sampled under a grammar; an online trainer samples freely")


def _longest(job: Job, vocabulary: Vocabulary, config: Any, turns: int) -> int:
    """How many tokens the longest prompt may take with all its turns.

    Raises BadInput where that may not fit the model's context, or the template does not take a prompt.
    """
    room, longest = getattr(config.get_text_config(), "max_position_embeddings", None), 0
    for problem in (item.problem for item in job.stratum.items):
        try:
            requests = len(request_after(problem.prompt, vocabulary)) if turns > 1 else 0
            wanted = len(vocabulary.ids(problem.prompt)) + turns * problem.sampling.max_tokens + requests
        except Refused as error:
            raise BadInput(f"item {problem.id!r}: {error}; leave it out, or set model.template=FILE") from error
        if room is not None and wanted > room:
            told = f"{turns} turn{'s' * (turns > 1)} at item {problem.id!r} may take {wanted:,} tokens"
            raise BadInput(f"{told}, the model's context has {room:,}; lower max_tokens or leave the item out")
        longest = max(longest, wanted)
    return longest


def _order(job: Job, recipe: Recipe) -> list[str]:
    """The items of all steps, by number: every one once before any comes again."""
    dice, order = Random(f"order {job.seed}"), list[int]()
    wanted, count = recipe.steps // recipe.updates * (recipe.batch // recipe.n), len(job.stratum.items)
    while len(order) < wanted:
        order += dice.sample(range(count), count)
    return [str(item) for item in order[:wanted]]


def _stopping(stops: tuple[str, ...], *, is_vllm: bool) -> dict[str, Any] | None:
    if not stops:
        return None
    return {"stop": list(stops), "include_stop_str_in_output": True} if is_vllm else {"stop_strings": list(stops)}


def _save(trainer: OnlineTrainer, job: Job) -> bool:
    """Write the weights; where they are sharded every process takes part. Returns whether they are an adapter."""
    network = trainer.accelerator.unwrap_model(trainer.model)
    is_adapter = hasattr(network, "peft_config")
    if job.profile.sharding:
        trainer.save_model(str(job.out / (ADAPTER if is_adapter else MODEL)))
    elif trainer.accelerator.is_main_process:
        save(network, trainer.processing_class, job.out)
    trainer.accelerator.wait_for_everyone()
    return is_adapter
