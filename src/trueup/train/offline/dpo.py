"""DPO on explicit negatives: what a teacher and the student got wrong.

Rafailov et al. 2023, arXiv:2305.18290; negatives mined from a stronger model's errors after Manduzio et al. 2024,
arXiv:2410.18890 (function calls). A pair is a right answer (the reference where its wording is graded right, else a
right attempt) and a distinct wrong one; the verifier's note is its kind of error. The reference policy is what training
starts from. Cost: n samples and checks an item of each source, one reference pass over the pairs, then steps x batch
pairs, forward and backward.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from trueup.core.errors import BadInput
from trueup.models.huggingface.folder import find_folder
from trueup.train.job import Job, Passes, Trained
from trueup.train.losses.dpo import dpo_loss, dpo_nll_loss, sequence_logp
from trueup.train.network import Trainee
from trueup.train.offline.loop import Course, Objective, Part, fit
from trueup.train.offline.mining import BOTH, OWN, TEACHER, Preference, mined
from trueup.train.offline.own import demand
from trueup.train.offline.supervised import (
    ROUNDS,
    Plan,
    leave,
    logits_of,
    open_trainee,
    publish,
    room_of,
    run_rounds,
)
from trueup.train.texts import Example, Tokens, batch_of, tokens_of


@dataclass(frozen=True, slots=True)
class Pair:
    """A preference in tokens, with the reference policy's log-probability of both."""

    chosen: Tokens
    rejected: Tokens
    chosen_logp: float = 0.0
    rejected_logp: float = 0.0


@dataclass(frozen=True, slots=True)
class Taste:
    """DPO's own settings: `beta`, and `nll` times the chosen texts' likelihood (Pang et al. 2024, arXiv:2404.19733)."""

    beta: float
    nll: float


def dpo(
    job: Job, *, n: int = 8, negatives: str = BOTH, beta: float = 0.1, nll: float = 0.0, after_sft: int = 0,
    steps: int = 100, batch: int = 8, lr: float = 2e-5, lora_rank: int = 16, save_every: int = 10,
) -> Trained:  # fmt: skip
    """Prefer right answers to mined wrong ones: `own`, the `teacher`'s (`--with teacher=MODEL`), or both.

    With `after_sft` the right answers are imitated for so many steps first.
    """
    course = Course(steps, batch, lr, lora_rank, 0.0, 0.0, save_every)
    demand(n=n)
    if negatives not in (OWN, TEACHER, BOTH):
        raise BadInput(f"negatives is {negatives!r}; it takes {OWN}, {TEACHER} or {BOTH}")
    if not (beta > 0 and nll >= 0 and after_sft >= 0):
        raise BadInput(f"beta {beta}, nll {nll}, after_sft {after_sft}; give beta above 0, the others 0 or more")
    found = mined(job, n, negatives)
    start, figures = _warmed(job, found, replace(course, steps=after_sft)) if after_sft else (job.model, {})
    target = job.out / ROUNDS / "dpo"
    if not (target / "figures.json").exists():
        _train(job, start, found, course, Taste(beta, nll), target, after_sft)
    figures |= json.loads((target / "figures.json").read_text())
    return publish(job, find_folder(str(target)), after_sft + steps, figures)


def preferred(trainee: Trainee, taste: Taste) -> Objective[Pair]:
    """The loss of pairs, every one weighing the same."""

    def part(pairs: Sequence[Pair]) -> Part:
        chosen_B = text_logp(trainee, [pair.chosen for pair in pairs])
        rejected_B = text_logp(trainee, [pair.rejected for pair in pairs])
        reference = (chosen_B.new_tensor([p.chosen_logp for p in pairs]),
                     chosen_B.new_tensor([p.rejected_logp for p in pairs]))  # fmt: skip
        if taste.nll:
            length_B = chosen_B.new_tensor([len(p.chosen.ids) - p.chosen.start for p in pairs])
            loss = dpo_nll_loss(chosen_B, rejected_B, *reference, length_B, beta=taste.beta, alpha=taste.nll)
        else:
            loss = dpo_loss(chosen_B, rejected_B, *reference, beta=taste.beta)
        margin_B = taste.beta * ((chosen_B - reference[0]) - (rejected_B - reference[1])).detach()
        figures = {
            "margin": float(margin_B.mean()),
            "preferred": float((margin_B > 0).float().mean()),
            "chosen_logp": float(chosen_B.detach().mean()),
        }
        return Part(loss, len(pairs), figures)

    return Objective(part, lambda pair: 1, lambda pair: [pair.chosen, pair.rejected])


def text_logp(trainee: Trainee, texts: Sequence[Tokens]) -> Tensor:
    """The log-probability of each text's target, axis B."""
    batch = batch_of(texts, trainee.vocabulary.tokenizer.eos_token_id, trainee.device)
    logits_BTV = logits_of(trainee, trainee.network, batch.ids_BT, batch.attended_BT)
    return sequence_logp(logits_BTV, batch.target_BT, batch.mask_BT)


def _warmed(job: Job, found: Sequence[Preference], course: Course) -> tuple[Path, dict[str, float]]:
    examples = [Example(p.prompt, p.chosen) for p in found]
    folder, figures = run_rounds(job, lambda start, number: list(dict.fromkeys(examples)), Plan(course))
    return folder, {f"sft_{name}": value for name, value in figures.items()}


def _train(
    job: Job, start: Path, found: Sequence[Preference], course: Course, taste: Taste, target: Path, first: int
) -> None:
    trainee = open_trainee(job, start, course)
    room = room_of(trainee)
    pairs = [
        Pair(
            tokens_of(Example(p.prompt, p.chosen), trainee.vocabulary, room),
            tokens_of(Example(p.prompt, p.rejected), trainee.vocabulary, room),
        )
        for p in found
    ]
    pairs = _referred(job, trainee, pairs, job.out / ROUNDS / "reference.pt", first)
    figures = fit(
        job, trainee, pairs, preferred(trainee, taste), course,
        state=job.checkpoints / "dpo.pt", first=first, last=first + course.steps,
    )  # fmt: skip
    errors = {f"pairs: {kind}": float(count) for kind, count in Counter(p.error for p in found).most_common()}
    unpaired = len(job.stratum.items) - len({p.prompt for p in found})
    leave(job, trainee, target, {"pairs": float(len(pairs)), "unpaired_items": float(unpaired), **errors, **figures})


def _referred(job: Job, trainee: Trainee, pairs: Sequence[Pair], path: Path, step: int) -> list[Pair]:
    """The pairs with what the weights say of them before training; read once, kept for a resumed run."""
    if not path.exists():
        started = trainee.clock()
        rows = job.profile.rows
        with torch.no_grad():
            parts = [
                torch.stack([text_logp(trainee, [getattr(p, side) for p in some]) for side in ("chosen", "rejected")])
                for some in (pairs[at : at + rows] for at in range(0, len(pairs), rows))
            ]
        texts = [text for pair in pairs for text in (pair.chosen, pair.rejected)]
        job.charge(
            Passes(
                "reference", step, sum(t.start for t in texts), sum(len(t.ids) - t.start for t in texts),
                trainee.forward_flops([len(t.ids) for t in texts]), trainee.clock() - started,
            )
        )  # fmt: skip
        draft = path.with_suffix(".draft")
        torch.save(torch.cat(parts, dim=1).cpu(), draft)
        draft.replace(path)
    logp_2B: Tensor = torch.load(path, weights_only=True)
    chosen, rejected = logp_2B.tolist()
    return [replace(pair, chosen_logp=a, rejected_logp=b) for pair, a, b in zip(pairs, chosen, rejected, strict=True)]
