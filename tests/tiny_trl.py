"""Online trainings of tiny random models, shared by their tests; as a module, one process of a launched training.

`python -m tiny_trl MODEL OUT PROFILE [STEP]` trains SCoRe; with STEP the process kills itself there, as kill -9 would.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import ascii_letters, digits
from typing import Any

import torch
from torch import Tensor
from toys import PRICES
from transformers import AutoModelForCausalLM, TrainerCallback

from trueup.core.ledger import Ledger
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Message, Problem, Sampling
from trueup.train.ask import Asker, Engine
from trueup.train.job import Job, Passes, Progress
from trueup.train.profiles import find_profile, is_main
from trueup.train.real import score
from trueup.train.real.objective import Recipe
from trueup.train.real.quiet import quiet
from trueup.train.real.run import build
from trueup.verifiers.exact import exact

STOPS = tuple(ascii_letters + digits)
RECIPE = Recipe(
    steps=1, n=4, batch=8, lr=1e-3, beta=0.3, lora_rank=2, temperature=1.3, norm="sequence", updates=1, clip=0.2,
    unbiased_kl=True, random_reward=True, save_every=99,
)  # fmt: skip
LAUNCHED: dict[str, Any] = {
    "steps": 4, "n": 4, "batch": 8, "lora_rank": 2, "lr": 1e-2, "replay": 0.1, "save_every": 2,
}  # fmt: skip
"""One text is replayed a step, which one of two processes reads."""


def stratum(*, max_tokens: int = 6, stop: tuple[str, ...] = STOPS) -> Stratum:
    """Five questions of different lengths; a text is right whose last letter is the reference's."""
    sampling = Sampling(max_tokens=max_tokens, stop=stop)
    problems = [Problem(f"p{i}", "s", (Message("user", f"{'q' * i}?"),), sampling) for i in range(1, 6)]
    return Stratum("s", tuple(Item(one, "e", one.id) for one in problems), exact(pattern="([b-y])"))


def other() -> Stratum:
    """Three questions of another kind."""
    problems = [Problem(f"o{i}", "o", (Message("user", f"{'o' * i}!"),), Sampling(max_tokens=4)) for i in range(1, 4)]
    return Stratum("o", tuple(Item(one, "e", one.id) for one in problems), exact(pattern="([b-y])"))


def job(model: Path, out: Path, *, profile: str = "cpu", rows: int = 4, seed: int = 0, **given: Any) -> Job:
    """A training of the tiny model that books and tells nobody, unless it is said whom."""
    place = replace(find_profile(profile), rows=rows)
    asked = {"stratum": stratum(), "others": (other(),), "charge": lambda passes: None, "watch": lambda progress: None}
    asked |= given
    return Job(model=model, out=out, profile=place, seed=seed, **asked)


@dataclass
class Step:
    """A step before its optimiser moves: what it was made of, and what its loss and gradients are and should be."""

    episodes: list[Any]
    records: list[Any]
    logp_BT: Tensor
    reference_logp_BT: Tensor
    turn_BT: Tensor
    found: list[Tensor] = field(default_factory=list)
    wanted: list[Tensor] = field(default_factory=list)
    loss: float = 0.0

    @property
    def mask(self) -> Tensor:
        return self.turn_BT > 0

    @property
    def old(self) -> Tensor:
        return self.logp_BT.detach()

    def rewards(self, turn: int) -> Tensor:
        """What each attempt's turn earned."""
        return torch.tensor([record.rewards[turn] for record in self.records]).view(-1, RECIPE.n)


Formula = Callable[[Step], Tensor]


class Look(TrainerCallback):
    """Keeps a trainer's steps beside their formulas; moves the policy away from the reference before they begin.

    The formulas' reference is the base, loaded apart from the trainer.
    """

    def __init__(self, trainer: Any, base: Path, formulas: Sequence[Formula]) -> None:
        self.trainer, self.formulas, self.steps = trainer, formulas, list[Step]()
        self.base = AutoModelForCausalLM.from_pretrained(base)

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        args.max_grad_norm = 0.0
        noise = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for weight in _learning(self.trainer.model):
                size = 0.2 * float(weight.std()) or 0.05
                weight.add_(size * torch.randn(weight.shape, generator=noise))

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        trainer = self.trainer
        logp_BT, turn_BT = _read(trainer.model, trainer._episodes)
        with torch.no_grad():
            reference_BT, _ = _read(self.base, trainer._episodes)
        step = Step(trainer._episodes, trainer._records, logp_BT, reference_BT, turn_BT)
        weights = _learning(trainer.model)
        step.found = [weight.grad.clone() for weight in weights]
        loss = self.formulas[state.global_step](step)
        step.wanted, step.loss = list(torch.autograd.grad(loss, weights)), loss.item()
        self.steps.append(step)


def steps_of(
    job: Job, recipe: Recipe, make: Any, *formulas: Formula, policy: Callable[[Any], None] = lambda model: None
) -> tuple[list[Step], Any]:
    """Train as many steps as there are formulas, and look at each; `policy` is shown the model beforehand."""
    with quiet():
        trainer = build(job, replace(recipe, steps=len(formulas)), make)
        policy(trainer.model)
        look = Look(trainer, job.model, formulas)
        trainer.add_callback(look)
        trainer.train()
    return look.steps, trainer


@contextmanager
def asking(path: Path) -> Iterator[Asker]:
    """What samples at a ledger of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Ledger(path) as ledger:
        yield Asker(ledger, PRICES, Engine(), lambda words: None)


def _learning(model: Any) -> list[Tensor]:
    return [weight for weight in model.parameters() if weight.requires_grad]


def _read(model: Any, episodes: list[Any]) -> tuple[Tensor, Tensor]:
    """Each token's log-probability at the recipe's temperature, one sequence at a time and unpadded; whose it is."""
    T = max(len(episode.tokens) for episode in episodes)
    logp_BT, turn_BT = [], torch.zeros(len(episodes), T, dtype=torch.long)
    for row, episode in enumerate(episodes):
        said, whose = zip(*episode.tokens, strict=True)
        ids_1T = torch.tensor([[*episode.prompt_ids, *said]])
        logits_TV = model(input_ids=ids_1T).logits[0, len(episode.prompt_ids) - 1 : -1] / RECIPE.temperature
        logp_T = logits_TV.log_softmax(-1).gather(1, torch.tensor(said)[:, None])[:, 0]
        logp_BT.append(torch.nn.functional.pad(logp_T, (0, T - len(said))))
        turn_BT[row, : len(whose)] = torch.tensor(whose)
    return torch.stack(logp_BT), turn_BT


def main(model: str, out: str, profile: str, last: str = "0") -> None:
    """Train, and write down what was booked; or die at a step. One process alone samples what is replayed."""
    torch.set_num_threads(1)
    folder = Path(out)

    def watch(progress: Progress) -> None:
        if progress.step == int(last):
            os.kill(os.getpid(), signal.SIGKILL)

    def charge(passes: Passes) -> None:
        told = (passes.kind, passes.step, passes.prompt_tokens, passes.completion_tokens, passes.flops)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "charges.txt").open("a") as file:
            file.write(f"{told}\n")

    asked = job(Path(model), folder, profile=profile, charge=charge, watch=watch)
    with asking(folder / f"{os.environ.get('RANK', '0')}.sqlite") as ask:
        score(replace(asked, ask=ask if is_main() else None), random_reward=True, **LAUNCHED)


if __name__ == "__main__":
    main(*sys.argv[1:])
