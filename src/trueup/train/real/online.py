"""TRL's GRPO trainer with an objective of ours: rollouts, credit, anchor, books.

It stands on four methods of TRL 1.16 that are nobody's contract (`_generate_single_turn`, `_calculate_rewards`,
`_generate_and_score_completions`, `_get_per_token_logps_and_entropies`) and on `_compute_loss` taking advantages of
axes BT; tests hold each of them to explicit formulas.
Axes: P problem, G attempt of one problem, K turn, B row, T token. A turn of 0 is nobody's: request and padding.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trueup.models.huggingface.vocabulary import Vocabulary
from trueup.train.card import FLAT_GROUPS, GROUPS
from trueup.train.everywhere import everywhere
from trueup.train.failures import require_finite
from trueup.train.job import Job, Progress
from trueup.train.losses.policy import constant_mean, kl_k3, sequence_mean, token_mean
from trueup.train.losses.score import of_turn
from trueup.train.real.checkpoints import goes_on
from trueup.train.real.draw import Draw, drawn_by
from trueup.train.real.episodes import Episode, Record, Turn, ended, request_after, second_context
from trueup.train.real.figures import FIGURES, figures_of
from trueup.train.real.grading import Grader
from trueup.train.real.objective import Objective, Recipe
from trueup.train.real.passes import Size, Ways, passes
from trueup.train.real.replay import Place, Replay
from trueup.train.real.rollouts import reward_of, rollout

if TYPE_CHECKING:
    GRPOTrainer = Any
else:
    from trl import GRPOTrainer


class OnlineTrainer(GRPOTrainer):  # type: ignore[misc]
    """A policy that samples episodes, is graded by a stratum's verifier, and learns by an objective."""

    def __init__(
        self,
        *,
        job: Job,
        recipe: Recipe,
        objective: Objective,
        vocabulary: Vocabulary,
        size: tuple[int, int],
        **given: Any,
    ) -> None:
        """Prepare; `size` is the model's layers and width, what is `given` goes to TRL."""
        self._job, self._recipe, self._objective, self._vocabulary = job, recipe, objective, vocabulary
        self._grader = Grader(job.stratum.verifier, job.stratum.items, recipe.random_reward)
        rewards = [reward_of(turn) for turn in range(objective.turns)]
        super().__init__(reward_funcs=rewards, rollout_func=rollout, **given)
        counts = [(weight.numel(), weight.requires_grad) for weight in self.model.parameters()]
        trained = sum(count for count, is_trained in counts if is_trained)
        self._size = Size(sum(count for count, _ in counts), trained, *size)
        self._draw = Draw(recipe.temperature, self._note_read)
        self._stops = job.stratum.items[0].problem.sampling.stop
        self._records: list[Record] = []
        self._episodes: list[Episode] = []
        self._is_fresh, self._sampled_at, self._read_at = False, 0, 0.0
        self._seconds: dict[str, float] = defaultdict(float)
        self._clock = self._now()
        self.told: dict[str, float] = {}
        self.replay: Replay | None = None
        self._replay_loss = 0.0
        self._reward_BK = self._logp_BT = self._credit_PGK = torch.empty(0)
        if not self.use_vllm:
            stop = {"tokenizer": vocabulary.tokenizer} if self._stops else {}
            self.model.generate = drawn_by(self._draw, self.model, **stop)

    def rollout(self, items: Sequence[int]) -> list[Episode]:
        """An episode for each row of this process, the n attempts of a prompt next to each other."""
        prompts = [self._job.stratum.items[item].problem.prompt for item in items]
        contexts = [tuple(self._vocabulary.ids(prompt)) for prompt in prompts]
        turns: list[tuple[Turn, ...]] = [(turn,) for turn in self._sample(contexts, 1)]
        if self._objective.turns == 2:
            requests = [request_after(prompt, self._vocabulary) for prompt in prompts]
            pairs = zip(turns, requests, strict=True)
            contexts = [second_context(one[0], request, self._vocabulary.ends) for one, request in pairs]
            turns = [(*one, two) for one, two in zip(turns, self._sample(contexts, 2), strict=True)]
        return [Episode(item, said) for item, said in zip(items, turns, strict=True)]

    def grade(self, episodes: Sequence[Episode]) -> list[Record]:
        """What each episode earned, and its numbers."""
        began = self._now()
        records = []
        for place, episode in enumerate(episodes):
            rights = [
                self._grader.is_right(episode.item, turn.text, self._row_name(place, number))
                for number, turn in enumerate(episode.turns, 1)
            ]
            records.append(Record.of(episode, rights, self._objective.reward(episode, rights)))
        self._seconds["check"] += self._now() - began
        return records

    def keep(self, episodes: list[Episode], records: list[Record]) -> None:
        """Take notice of the episodes here, and of the numbers of those in all processes."""
        self._episodes, self._records = episodes, everywhere(records)
        self._is_fresh, self._sampled_at = True, self.state.global_step

    def _sample(self, contexts: Sequence[tuple[int, ...]], number: int) -> list[Turn]:
        """The policy's turn behind each context; the second turns of a group have contexts of their own."""
        self._draw.begin([self._row_name(place, number) for place in range(len(contexts))])
        group = self.num_generations if number == 1 else 1
        began = self._read_at = self._now()
        ids, logprobs = self._generate_single_turn([list(context) for context in contexts], None, {}, group)
        self._seconds["prefill"] += self._read_at - began
        self._seconds["sampled"] += self._now() - self._read_at
        rows = zip(contexts, ids, logprobs or [()] * len(ids), strict=True)
        return [ended(context, one, self._stops, self._vocabulary, logp) for context, one, logp in rows]

    def _note_read(self) -> None:
        """The prompts are read; what vLLM reads elsewhere is told with its sampling."""
        if self.accelerator.device.type == "cuda":
            torch.cuda.synchronize(self.accelerator.device)
        self._read_at = self._now()

    def _row_name(self, place: int, turn: int) -> str:
        """What a turn of a row is called, however the rows are spread over processes."""
        row = self.accelerator.process_index * self.args.per_device_train_batch_size * self.args.steps_per_generation
        return f"{self._job.seed} {self.state.global_step} {row + place} {turn}"

    def _calculate_rewards(self, *given: Any) -> Tensor:
        self._reward_BK = super()._calculate_rewards(*given)
        return self._reward_BK

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        T = output["completion_ids"].shape[1]
        turn_BT = torch.tensor(
            [[turn for _, turn in episode.tokens] + [0] * (T - len(episode.tokens)) for episode in self._episodes],
            device=output["completion_ids"].device,
        )
        output["turn_BT"] = turn_BT
        output["advantages"] = self._advantages(turn_BT)
        return output

    def _advantages(self, turn_BT: Tensor) -> Tensor:
        """The advantage of every token of the rows here, axes BT."""
        K = self._objective.turns
        reward_PGK = self._reward_BK.view(-1, self.num_generations, K)
        self._credit_PGK = self._objective.credit(reward_PGK, self._sampled_at)
        credit_BK = self._credit_PGK.reshape(-1, K)
        begun = self.accelerator.process_index * len(turn_BT)
        advantage_BT = of_turn(credit_BK[begun : begun + len(turn_BT)], turn_BT)
        if self._objective.weigh is not None:
            advantage_BT = advantage_BT * self._objective.weigh(turn_BT > 0, self._records)
        return advantage_BT

    def _get_per_token_logps_and_entropies(self, *given: Any, **named: Any) -> Any:
        began = self._now()
        found = super()._get_per_token_logps_and_entropies(*given, **named)
        if torch.is_grad_enabled():
            self._logp_BT = found[0]
        else:
            kind = "old_policy" if self._ways.old_policy and not self._seconds["old_policy"] else "reference"
            self._seconds[kind] += self._now() - began
        return found

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        loss: Tensor = super()._compute_loss(model, inputs)
        weight = self._objective.anchor(self._sampled_at)
        if weight:
            loss = loss + weight * self._mean(self._first_turn_kl(inputs), inputs)
        self._logp_BT = torch.empty(0)
        if self.replay is not None:
            again = self.replay.loss(model, self.state.global_step, self._place)
            self._replay_loss += float(again.detach())
            loss = (1 - self.replay.share) * loss + self.replay.share * again
        return loss

    @property
    def _place(self) -> Place:
        """Which micro-batch of a step this is."""
        parts = int(self.args.gradient_accumulation_steps)
        here, processes = self.accelerator.process_index, self.accelerator.num_processes
        return Place(self._step % parts, parts, here, processes)

    def _first_turn_kl(self, inputs: dict[str, Any]) -> Tensor:
        """The first turn's KL to the base, by TRL's own estimate, 0 on other tokens; axes BT."""
        kl_BT = kl_k3(self._logp_BT, inputs["ref_per_token_logps"])
        if self._recipe.unbiased_kl:
            old_BT = inputs.get("old_per_token_logps", self._logp_BT.detach())
            kl_BT = kl_BT * (self._logp_BT - old_BT).exp()
        return torch.where(inputs["turn_BT"] == 1, kl_BT, 0.0)

    def _mean(self, value_BT: Tensor, inputs: dict[str, Any]) -> Tensor:
        """The mean over a step that TRL takes of its own loss, for the share of one micro-batch."""
        mask_BT: Tensor = inputs["turn_BT"] > 0
        parts = float(self.current_gradient_accumulation_steps)
        if self.loss_type == "grpo":
            return sequence_mean(value_BT, mask_BT) / parts
        if self.loss_type == "dr_grpo":
            return constant_mean(value_BT, mask_BT, int(self.max_completion_length)) / parts
        share = float(self.accelerator.num_processes * self.args.steps_per_generation) / parts
        tokens = float(inputs["num_items_in_batch"].clamp(min=1))
        return token_mean(value_BT, mask_BT) * (mask_BT.sum() * share / tokens)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Book and tell the step that has ended."""
        is_summary = "train_runtime" in logs
        super().log(logs, start_time)
        if is_summary:
            return
        seconds = self._take_seconds()
        self.told = figures_of(self._records, logs, self._credit_PGK, by_coin=self._recipe.random_reward)
        self.told |= self._objective.figures(self._records)
        self.told |= self._tally(self.told["flat"]) | self._tell_replay()
        self.state.log_history[-1][FIGURES] = [*self.told.items()]
        if self.accelerator.is_main_process:
            step = self.state.global_step
            replayed = self.replay.of_step(step - 1) if self.replay else []
            for one in passes(step, self._records, self._size, self._ways, seconds, replayed):
                self._job.charge(one)
            self._job.watch(Progress(self.state.global_step, self._recipe.steps, self.told))
        require_finite(self.state.global_step, self.told, partial(goes_on, self._job))
        self._is_fresh = False

    def _tally(self, flat: float) -> dict[str, float]:
        """All groups so far and the flat ones among them; in the history that checkpoints keep, so over all runs."""
        *earlier, now = self.state.log_history
        before = next((row for row in reversed(earlier) if GROUPS in row), {GROUPS: 0.0, FLAT_GROUPS: 0.0})
        groups = len(self._records) // self.num_generations if self._is_fresh else 0
        told = {GROUPS: before[GROUPS] + groups, FLAT_GROUPS: before[FLAT_GROUPS] + round(flat * groups)}
        now |= told
        return told

    def _tell_replay(self) -> dict[str, float]:
        """How unlikely a token of what was replayed was in the step, in nats; nothing where nothing is."""
        if self.replay is None:
            return {}
        told, self._replay_loss = fmean(everywhere([self._replay_loss])), 0.0
        return {"replay_loss": told}

    def _now(self) -> float:
        """Core-seconds of this process so far on a CPU, which a busy machine does not stretch; seconds elsewhere."""
        return time.process_time() if self.accelerator.device.type == "cpu" else time.perf_counter()

    def _take_seconds(self) -> dict[str, float]:
        """The core-seconds of the step by kind, over all processes; training has what nothing else took."""
        now = self._now()
        spent = dict(self._seconds)
        spent["trained"] = max(0.0, now - self._clock - sum(spent.values()))
        self._clock, self._seconds = now, defaultdict(float)
        rows = everywhere([spent])
        return {kind: sum(one.get(kind, 0.0) for one in rows) for kind in {kind for one in rows for kind in one}}

    @property
    def _ways(self) -> Ways:
        has_old = self.num_iterations > 1 or (self.use_vllm and self.vllm_importance_sampling_correction)
        shared = self.num_generations if self.use_vllm else 1
        return Ways(self._is_fresh, self.beta != 0, has_old, bool(self.args.gradient_checkpointing), shared)

    def _send_telemetry(self) -> None:
        """Say nothing to anybody."""

    def create_model_card(self, *given: Any, **named: Any) -> None:
        """Write none: a trained model's card is the house's own."""
