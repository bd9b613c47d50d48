"""Live progress of a study: a bar a stratum on a terminal, a line a stratum elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from trueup.cli.screen import verbatim
from trueup.core.outcome import Outcome, Pool


class Meter:
    """Counts what is done; a context around `collect`, whose `watch` it is."""

    def __init__(self, steps: Mapping[str, int], *, quiet: bool = False) -> None:
        """So many steps for each stratum."""
        self._console = verbatim(stderr=True, quiet=quiet)
        self._steps = dict(steps)
        self._done = dict.fromkeys(steps, 0)
        self._samples = dict.fromkeys(steps, (0, 0))
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description:>14}", markup=False), BarColumn(bar_width=28), MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False), TimeRemainingColumn(), console=self._console,
            disable=not self._console.is_terminal,
        )  # fmt: skip

    def __enter__(self) -> Meter:
        self._progress.start()
        self._bars = {n: self._progress.add_task(n, total=steps, note="") for n, steps in self._steps.items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def watch(self, result: Outcome | Pool) -> None:
        """Count one finished piece of work."""
        name = result.item.problem.stratum
        self._done[name] += 1
        if isinstance(result, Pool):
            right, n = self._samples[name]
            self._samples[name] = (right + sum(g.is_right for g in result.grades), n + len(result.grades))
        right, n = self._samples[name]
        note = f"{right / n:4.0%} of {n} samples right" if n else ""
        self._progress.update(self._bars[name], advance=1, note=note)
        if not self._console.is_terminal and self._done[name] == self._steps[name]:
            self._console.print(f"{name}: {self._done[name]} of {self._steps[name]} done, {note.strip()}")
