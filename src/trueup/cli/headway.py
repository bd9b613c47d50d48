"""Live progress of a training: a bar for what is sampled and one for the steps, or lines where there is no terminal."""

from __future__ import annotations

from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from trueup.cli.screen import verbatim
from trueup.train.job import Progress as Step

SHOWN = ("loss", "reward", "flat", "kl", "margin")
LINES = 10
"""Lines that a training writes where there is no terminal."""


class Headway:
    """What a run tells of itself; a context around it."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Nothing is under way."""
        self._console = verbatim(stderr=True, quiet=quiet)
        self._bars: dict[str, TaskID] = {}
        self._missed: set[str] = set()
        self._progress = Progress(
            TextColumn("{task.description:>20}", markup=False), BarColumn(bar_width=28), MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False), TimeRemainingColumn(), console=self._console,
            disable=not self._console.is_terminal,
        )  # fmt: skip

    def __enter__(self) -> Headway:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def seen(self, what: str, done: int, of: int) -> None:
        """So many items are done of one sampling."""
        self._show(what, done, of, "")
        if not self._console.is_terminal and done == of:
            self._console.print(f"{what}: {of} items")

    def missed(self, what: str, item: str, reason: str) -> None:
        """An item was left out; the first of its kind is shown, all are in the training's folder."""
        if what not in self._missed:
            self._missed.add(what)
            self.tell(f"{what}: item {item!r} is left out: {reason}")

    def tell(self, line: str) -> None:
        """A line for the person who waits."""
        self._console.print(line, soft_wrap=True, highlight=False)

    def step(self, step: Step) -> None:
        """One step of the training is done."""
        note = " ".join(f"{name} {step.figures[name]:.3g}" for name in SHOWN if name in step.figures)
        self._show("training", step.step, step.steps, note)
        if not self._console.is_terminal and step.step * LINES // step.steps > (step.step - 1) * LINES // step.steps:
            self._console.print(f"training: step {step.step} of {step.steps} {note}")

    def _show(self, what: str, done: int, of: int, note: str) -> None:
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=of, note="")
        self._progress.update(self._bars[what], completed=done, total=of, note=note)
