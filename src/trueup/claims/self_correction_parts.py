"""Bases and arms of self-correction, from their files or trained; a killed run goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trueup.claims.pieces import Pieces
from trueup.claims.self_correction_arms import Regime, train_arm
from trueup.claims.self_correction_base import Size, habitual, skilled
from trueup.claims.self_correction_seen import Seen, Taught, pass_at, see
from trueup.claims.start import weights_of
from trueup.core.types import Json

if TYPE_CHECKING:
    from trueup.train.laboratory import Spent, Transformer


@dataclass(frozen=True, slots=True)
class Base:
    """What the verdict must know of the base: greedy, and sampled with n = 8."""

    seen: Seen
    pass1: float
    pass8: float


@dataclass(frozen=True, slots=True)
class Parts:
    """What was trained with one seed, or is when it is asked for."""

    size: Size
    seed: int
    pieces: Pieces

    def base(self, copies: float) -> Base:
        """The base with this habit, measured."""

        def make() -> Json:
            model, tokens, flops = self._habitual(copies)
            pass1, pass8 = pass_at(self.size, model, 8, seed=self.seed)
            seen = see(self.size, model, model, Taught(0, tokens, flops))
            return {"seen": seen.to_json(), "pass1": pass1, "pass8": pass8}

        table = self.pieces.get(f"seed{self.seed}-base-{copies:.0%}", make)
        return Base(Seen.of_json(table["seen"]), table["pass1"], table["pass8"])

    def begun(self, regime: Regime) -> Seen:
        """An arm after its first stretch."""
        return self._stretch(regime, 0)

    def settled(self, regime: Regime) -> Seen:
        """An arm that learned on until it was flat, or at the cap."""
        seen, number = self._stretch(regime, 0), 0
        while number < self.size.stretches and not seen.taught.is_flat:
            number += 1
            seen = self._stretch(regime, number)
        self._clear(regime)
        return seen

    def _stretch(self, regime: Regime, number: int) -> Seen:
        return Seen.of_json(self.pieces.get(self._name(regime, number), lambda: self._train(regime, number).to_json()))

    def _train(self, regime: Regime, number: int) -> Seen:
        """Train a stretch from where the last one ended, and keep the weights."""
        from trueup.train.laboratory import save_model

        base, _, _ = self._habitual(regime.copies)
        model = self._weights(regime, number - 1) if number else deepcopy(base)
        before = self._stretch(regime, number - 1).taught if number else None
        seen = train_arm(self.size, model, base, regime, seed=self.seed, number=number, before=before)
        save_model(model, self._file(regime, number))
        return seen

    def _weights(self, regime: Regime, number: int) -> Transformer:
        """A stretch's weights; trained again where its figures alone are there."""
        path = self._file(regime, number)
        if not path.exists():
            self._train(regime, number)
        return weights_of(path, self.size.start.device)

    def _clear(self, regime: Regime) -> None:
        """Remove weights that no stretch will go on from: on a GPU they have gigabytes."""
        for number in range(self.size.stretches + 1):
            self._file(regime, number).unlink(missing_ok=True)

    def _name(self, regime: Regime, number: int) -> str:
        return f"seed{self.seed}-{regime.part}-{self.size.updates + number * self.size.mark}"

    def _file(self, regime: Regime, number: int) -> Path:
        return self.pieces.file(f"{self._name(regime, number)}.pt")

    def _habitual(self, copies: float) -> tuple[Transformer, int, int]:
        """The base, and the tokens and FLOPs of its training."""
        from trueup.train.laboratory import Spent

        def skill() -> tuple[Transformer, int, int]:
            return self._kept(f"seed{self.seed}-skilled", lambda: skilled(self.size, self.seed))

        def habit() -> tuple[Transformer, Spent]:
            model, tokens, flops = skill()
            base, spent = habitual(self.size, model, copies, self.seed)
            return base, spent + Spent(tokens=tokens, flops=flops)

        return self._kept(f"seed{self.seed}-habit-{copies:.0%}", habit)

    def _kept(self, part: str, make: Callable[[], tuple[Transformer, Spent]]) -> tuple[Transformer, int, int]:
        """A model that was trained before, or is now; its file is there once its part is."""
        from trueup.train.laboratory import save_model

        path = self.pieces.file(f"{part}.pt")

        def train() -> Json:
            model, spent = make()
            save_model(model, path)
            return {"tokens": spent.tokens, "flops": spent.flops}

        spent = self.pieces.get(part, train)
        return weights_of(path, self.size.start.device), spent["tokens"], spent["flops"]
