"""DPO on explicit negatives: what a teacher and the student got wrong.

Rafailov et al. 2023, arXiv:2305.18290; negatives mined from a stronger model's errors after Manduzio et al. 2024,
arXiv:2410.18890 (function calls). A pair is a right answer (the reference where its wording is graded right, else a
right attempt) and a distinct wrong one; the verifier's note is its kind of error. The reference policy is what training
starts from, `kl` keeps to the base. Cost: n samples and checks an item of each source, one reference pass over the
pairs, then steps x batch pairs, forward and backward, and with `kl` a reference pass over each.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import starmap
from pathlib import Path
from zipfile import is_zipfile

import torch
from torch import Tensor

from trueup.core.errors import BadInput
from trueup.models.huggingface.folder import find_folder
from trueup.train.ask import demand_asked
from trueup.train.everywhere import everywhere, in_turns
from trueup.train.job import Job, Passes, Trained
from trueup.train.losses.dpo import dpo_loss, dpo_nll_loss, sequence_logp
from trueup.train.losses.policy import token_kl
from trueup.train.network import Trainee, demand_shape
from trueup.train.offline.company import Lesson, open_trainee, taught
from trueup.train.offline.loop import Course, Objective, Part
from trueup.train.offline.mining import BOTH, OWN, TEACHER, Preference, mined
from trueup.train.offline.own import demand, with_replay
from trueup.train.offline.sharded import is_sharded
from trueup.train.offline.supervised import (
    FIGURES,
    ROUNDS,
    Plan,
    Reference,
    in_tokens,
    keep_examples,
    leave,
    logits_of,
    nothing_fits,
    publish,
    read_examples,
    run_rounds,
)
from trueup.train.profiles import is_main
from trueup.train.texts import Example, Tokens, batch_of

BEFORE = -1
"""The step of what is done before the first one, whose own passes are booked apart."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A preference in tokens, with the reference policy's log-probability of both."""

    chosen: Tokens
    rejected: Tokens
    chosen_logp: float = 0.0
    rejected_logp: float = 0.0


@dataclass(frozen=True, slots=True)
class Read:
    """Of each text's target: its log-probability, its tokens, its distance to the base in nats a token."""

    logp_B: Tensor
    length_B: Tensor
    kl_B: Tensor


@dataclass(frozen=True, slots=True)
class Taste:
    """DPO's own settings: `beta`, and `nll` times the chosen texts' likelihood (Pang et al. 2024, arXiv:2404.19733)."""

    beta: float
    nll: float


def dpo(
    job: Job, *, n: int = 8, negatives: str = BOTH, beta: float = 0.1, nll: float = 0.0, after_sft: int = 0,
    steps: int = 100, batch: int = 8, lr: float = 2e-5, lora_rank: int = 16, kl: float = 0.0, replay: float = 0.0,
    save_every: int = 10,
) -> Trained:  # fmt: skip
    """Prefer right answers to mined wrong ones: `own`, the `teacher`'s (`--with teacher=MODEL`), or both.

    With `after_sft` the right answers are imitated for so many steps first; with steps=0 nothing else is done, the
    control that learns from the chosen side of the same pairs alone. `kl` and `replay` hold in both stages.
    """
    demand(n=n)
    if negatives not in (OWN, TEACHER, BOTH):
        raise BadInput(f"negatives is {negatives!r}; it takes {OWN}, {TEACHER} or {BOTH}")
    demand_asked(job.ask, () if negatives == OWN else (TEACHER,))
    if not (beta > 0 and nll >= 0 and after_sft >= 0):
        raise BadInput(f"beta {beta}, nll {nll}, after_sft {after_sft}; give beta above 0, the others 0 or more")
    course = Course(steps or after_sft, batch, lr, lora_rank, kl, replay, save_every)
    demand_shape(job.model)
    found = mined(job, n, negatives)
    folder, figures = _warmed(job, found, replace(course, steps=after_sft)) if after_sft else (job.model, {})
    if steps:
        target = job.out / ROUNDS / "dpo"
        if not (target / FIGURES).exists():
            _train(job, folder, found, course, Taste(beta, nll), target, after_sft)
        folder = find_folder(str(target))
        figures |= json.loads((target / FIGURES).read_text())
    return publish(job, folder, after_sft + steps, _pair_figures(job, found) | figures)


def preferred(trainee: Trainee, taste: Taste, base: Path, kl: float = 0.0) -> Objective[Pair | Tokens]:
    """The loss of pairs, and the likelihood a token of texts that are replayed; every one of either weighs the same.

    Less `kl` times the distance to the base where that is weighed, in nats a token, of a pair the mean of both sides.
    """
    reference = Reference.of(trainee, base) if kl else None

    def part(some: Sequence[Pair | Tokens]) -> Part:
        pairs = [one for one in some if isinstance(one, Pair)]
        replayed = [one for one in some if isinstance(one, Tokens)]
        chosen, rejected, again = _read_apart(
            trainee, ([pair.chosen for pair in pairs], [pair.rejected for pair in pairs], replayed), reference
        )
        loss = -(again.logp_B / again.length_B).sum()
        figures: dict[str, float] = {}
        if pairs:
            told, figures = _pair_loss(pairs, chosen, rejected, taste)
            loss = loss + len(pairs) * told
        counts = dict.fromkeys(figures, len(pairs))
        loss = loss / len(some)
        if reference is not None:
            distance = ((chosen.kl_B + rejected.kl_B).sum() / 2 + again.kl_B.sum()) / len(some)
            figures["kl"] = float(distance.detach())
            loss = loss + kl * distance
        return Part(loss, len(some), figures, counts)

    return Objective(part, lambda one: 1, _texts_of, asks_reference=reference is not None)


def _pair_loss(pairs: Sequence[Pair], chosen: Read, rejected: Read, taste: Taste) -> tuple[Tensor, dict[str, float]]:
    """The mean loss of pairs, and how far they are told apart."""
    reference = (chosen.logp_B.new_tensor([p.chosen_logp for p in pairs]),
                 chosen.logp_B.new_tensor([p.rejected_logp for p in pairs]))  # fmt: skip
    logps = (chosen.logp_B, rejected.logp_B, *reference)
    if taste.nll:
        loss = dpo_nll_loss(*logps, chosen.length_B, beta=taste.beta, alpha=taste.nll)
    else:
        loss = dpo_loss(*logps, beta=taste.beta)
    margin_B = taste.beta * ((chosen.logp_B - reference[0]) - (rejected.logp_B - reference[1])).detach()
    return loss, {
        "margin": float(margin_B.mean()),
        "preferred": float((margin_B > 0).float().mean()),
        "chosen_logp": float(chosen.logp_B.detach().mean()),
    }


def text_logp(trainee: Trainee, texts: Sequence[Tokens]) -> Tensor:
    """The log-probability of each text's target, axis B."""
    return _read(trainee, texts, None).logp_B


def _read_apart(trainee: Trainee, kinds: Sequence[Sequence[Tokens]], reference: Reference | None) -> Iterator[Read]:
    """What `_read` says of each of some kinds of texts, in one pass, whatever kinds there are none of."""
    read = _read(trainee, [text for texts in kinds for text in texts], reference)
    sizes = [len(texts) for texts in kinds]
    parts = (torch.split(column, sizes) for column in (read.logp_B, read.length_B, read.kl_B))
    return starmap(Read, zip(*parts, strict=True))


def _read(trainee: Trainee, texts: Sequence[Tokens], reference: Reference | None) -> Read:
    """What the network says of texts' targets, and how far that is from what the reference says."""
    batch = batch_of(texts, trainee.vocabulary.tokenizer.eos_token_id, trainee.device)
    logits_BTV = logits_of(trainee, trainee.network, batch.ids_BT, batch.attended_BT)
    logp_B, length_B = sequence_logp(logits_BTV, batch.target_BT, batch.mask_BT), batch.mask_BT.sum(-1)
    kl_B = torch.zeros_like(logp_B)
    if reference is not None:
        kl_BT = token_kl(logits_BTV, reference.logits(batch.ids_BT, batch.attended_BT))
        kl_B = (kl_BT * batch.mask_BT).sum(-1) / length_B
    return Read(logp_B, length_B, kl_B)


def _texts_of(one: Pair | Tokens) -> list[Tokens]:
    return [one.chosen, one.rejected] if isinstance(one, Pair) else [one]


def _warmed(job: Job, found: Sequence[Preference], course: Course) -> tuple[Path, dict[str, float]]:
    examples = list(dict.fromkeys(pair.right for pair in found))
    folder, figures = run_rounds(job, lambda start, number: with_replay(job, examples, course.replay), Plan(course))
    return folder, {f"sft_{name}": value for name, value in figures.items()}


def _train(
    job: Job, start: Path, found: Sequence[Preference], course: Course, taste: Taste, target: Path, first: int
) -> None:
    replayed = _replayed(job, found, course.replay, target / "examples.jsonl")
    trainee = open_trainee(job, start, course)
    chosen = in_tokens(job, trainee, [pair.right for pair in found])
    rejected = in_tokens(job, trainee, [pair.wrong for pair in found])
    pairs = [Pair(one, other) for one, other in zip(chosen, rejected, strict=True) if one and other]
    if not pairs:
        raise nothing_fits(job, trainee)
    texts: list[Pair | Tokens] = [*pairs, *filter(None, in_tokens(job, trainee, replayed))]
    lesson = Lesson(
        start, texts, partial(preferred, taste=taste, base=job.model, kl=course.kl), course,
        state=job.checkpoints / "dpo.pt", first=first, last=first + course.steps,
        prepare=partial(_referred, path=job.out / ROUNDS / "reference.pt"),
    )  # fmt: skip
    leave(job, trainee, target, taught(job, trainee, lesson), {})


def _replayed(job: Job, found: Sequence[Preference], share: float, path: Path) -> list[Example]:
    """The base's own answers to other strata, to be read beside the pairs; kept where a card looks for them."""
    if not path.exists():
        examples = [pair.right for pair in found]
        keep_examples(path, with_replay(job, examples, share)[len(examples) :])
    return read_examples(path)


def _pair_figures(job: Job, found: Sequence[Preference]) -> dict[str, float]:
    """How many pairs there are, of which errors, and how many items gave none."""
    errors = {f"pairs: {kind}": float(count) for kind, count in Counter(p.error for p in found).most_common()}
    unpaired = len(job.stratum.items) - len({p.item for p in found})
    return {"pairs": float(len(found)), "unpaired_items": float(unpaired), **errors}


def _referred(job: Job, trainee: Trainee, texts: Sequence[Pair | Tokens], path: Path) -> list[Pair | Tokens]:
    """The texts, pairs with what the weights say of them before training; read once, kept for a resumed run."""
    pairs = [text for text in texts if isinstance(text, Pair)]
    if not all(everywhere([is_zipfile(path)])):
        told = _likelihoods(job, trainee, pairs)
        if is_main():
            draft = path.with_suffix(".draft")
            torch.save(torch.tensor(told).T, draft)
            draft.replace(path)
        everywhere([path])
    logp_2B: Tensor = torch.load(path, weights_only=True)
    referred = (
        replace(pair, chosen_logp=chosen, rejected_logp=rejected)
        for pair, chosen, rejected in zip(pairs, *logp_2B.tolist(), strict=True)
    )
    return [*referred, *(text for text in texts if not isinstance(text, Pair))]


def _likelihoods(job: Job, trainee: Trainee, pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    """The log-probability of each pair's chosen and rejected text, in all processes."""
    started, found = trainee.clock(), list[tuple[int, float, float]]()
    with torch.no_grad():
        for own in in_turns([*enumerate(pairs)], job.profile.rows, alike=is_sharded(trainee.network)):
            read = [pair for _, pair in own] or pairs[:1]
            sides = [text_logp(trainee, [getattr(p, side) for p in read]).tolist() for side in ("chosen", "rejected")]
            found += [(place, *logps) for (place, _), *logps in zip(own, *sides, strict=bool(own))]
    texts = [text for pair in pairs for text in (pair.chosen, pair.rejected)]
    job.charge(
        Passes(
            "reference", BEFORE, sum(t.start for t in texts), sum(t.targets for t in texts),
            trainee.forward_flops([len(t.ids) for t in texts]), sum(everywhere([trainee.clock() - started])),
        )
    )  # fmt: skip
    return [(chosen, rejected) for _, chosen, rejected in sorted(everywhere(found))]
