"""Further processes at one claim: each makes parts that the others have not begun."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from trueup.claims import CLAIMS, Pieces
from trueup.claims.pieces import Watch
from trueup.claims.start import SCRATCH, Start, laboratory, ready
from trueup.cli.screen import aside
from trueup.core.errors import TrueupError


def pieces_of(
    claim: str, scale: str, seed: int, out: Path, watch: Watch = lambda *_: None, *, turn: int = 0, jobs: int = 1
) -> Pieces:
    """The parts of a claim at a size, as process `turn` of so many takes them up.

    Raises BadInput where they were made at another size, or from pretrained weights on another device.
    """
    about = [claim, scale, seed, size_by(claim, scale), *_place(claim, scale)]
    return Pieces(out / claim / f"{scale}-{seed}", about, watch, turn=turn, jobs=jobs)


def size_by(claim: str, scale: str) -> str:
    """How large a claim is at a scale, in words."""
    return repr(module_of(claim).SIZES.get(scale))


def _place(claim: str, scale: str) -> list[str]:
    """Where models that begin as pretrained weights compute, and how exactly; from scratch it is always the CPU."""
    size = module_of(claim).SIZES.get(scale)
    start: Start = getattr(getattr(size, "lab", size), "start", SCRATCH)
    return [ready(claim, scale, start).place] if start.weights else []


def module_of(claim: str) -> ModuleType:
    """Where a claim is written, its CRITERION and its SIZES beside it."""
    return sys.modules[CLAIMS[claim].__module__]


@contextmanager
def helped(claim: str, scale: str, seed: int, out: Path, jobs: int) -> Iterator[None]:
    """Have so many processes in all at a claim's parts, this one among them, which alone says what comes of them.

    What a helper leaves undone this one does. Helpers end with it. Torch's threads wait by spinning: with more of them
    than cores, all processes together are several times slower than one alone, so they share the cores.
    Raises Unavailable without torch.
    """
    laboratory()
    import torch

    context = multiprocessing.get_context("spawn")
    threads = torch.get_num_threads()
    each = threads_each(threads, jobs)
    helpers = [
        context.Process(target=_help, args=(claim, scale, seed, out, turn, jobs, each), daemon=True)
        for turn in range(1, jobs)
    ]
    for helper in helpers:
        helper.start()
    torch.set_num_threads(each)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        for helper in helpers:
            helper.terminate()
            helper.join()


def threads_each(threads: int, jobs: int) -> int:
    """Threads of each of so many processes: all that OMP_NUM_THREADS says, or its share of one's, at least one."""
    return threads if os.environ.get("OMP_NUM_THREADS") else max(1, threads // jobs)


def _help(claim: str, scale: str, seed: int, out: Path, turn: int, jobs: int, threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    try:
        CLAIMS[claim](scale, seed, pieces_of(claim, scale, seed, out, turn=turn, jobs=jobs))
    except TrueupError as error:
        aside().print(f"  process {turn + 1} of {jobs}: {error}")
    except KeyboardInterrupt:
        os._exit(130)
