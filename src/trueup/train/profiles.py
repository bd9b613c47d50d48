"""Placement profiles: where a training runs, and in how many processes.

A profile changes the launcher, the number format, who samples, and how a step's batch is cut into micro-batches. It
never changes the step: `batch` and `n` are the method's, and rows a process times accumulation follow from them. `cpu`
and `torchrun-2` (gloo) are held to one another by tests, and so is, for offline trainers, sharding as in `fsdp2`;
`gpu-N` (a GPU for each process, all weights on each), `fsdp2` and `zero3+vllm` are tested as configurations.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import lcm
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from trueup.core.errors import BadInput, TrueupError, Unavailable, UnknownName

COMMAND = "trueup"
PACKAGES = ("torch", "trl", "peft", "datasets")
STEP_ENDS = 40
"""Seconds that an interrupted step may take to end; torchrun itself gives its processes 30."""
PR_SET_PDEATHSIG = 1
FAILURE = "TRUEUP_FAILURE"
"""The environment's name for the file in which a launched process leaves the line of its error."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Where and how a training runs.

    `rows` is the largest micro-batch of a process (of `dpo` in pairs); fewer are taken where their activations would
    need more than `room_bytes`, if that is not 0. `launcher` starts the `processes`: empty, `torchrun`, or `accelerate`
    with the configuration `sharding` that TRL ships; offline trainers, which torchrun starts, cut weights by themselves
    where there is one. With `vllm` a vLLM server samples, which the user has started (`trl vllm-serve --model MODEL`);
    its dice are its own, so a killed run ends alike but not the same. It is taken to hold one GPU, as it does unless it
    is told otherwise.
    """

    name: str
    processes: int = 1
    device: str = "cpu"
    dtype: str = "float32"
    rows: int = 4
    launcher: str = ""
    sharding: str = ""
    vllm: bool = False
    recompute: bool = False
    room_bytes: int = 0

    @property
    def gpus(self) -> int:
        """The GPUs that it holds while it runs, one a process and the server's."""
        return self.processes + self.vllm if self.device == "cuda" else 0

    def placement(self) -> dict[str, Any]:
        """What TRL must be told of the place, and nothing of the method."""
        is_cpu = self.device == "cpu"
        return {
            "use_cpu": is_cpu,
            "bf16": self.dtype == "bfloat16",
            "activation_checkpointing": self.recompute,
            "use_vllm": self.vllm,
            "vllm_mode": "server" if self.vllm else "colocate",
            "ddp_backend": "gloo" if is_cpu and self.processes > 1 else None,
            "ddp_find_unused_parameters": False,
            "dataloader_pin_memory": not is_cpu,
        }

    def command(self, arguments: Sequence[str], module: str = COMMAND) -> list[str]:
        """The words that start a module with these arguments in every process of the profile."""
        here = ["-m", module, *arguments]
        if self.launcher == "torchrun":
            count = ["--nproc-per-node", str(self.processes)]
            return [sys.executable, "-m", "torch.distributed.run", "--standalone", *count, *here]
        if self.launcher == "accelerate":
            count = ["--num_processes", str(self.processes)]
            file = ["--config_file", str(sharding_file(self.sharding))]
            return [sys.executable, "-m", "accelerate.commands.launch", *file, *count, *here]
        return [sys.executable, *here]


@dataclass(frozen=True, slots=True)
class Split:
    """How a step's batch is cut: rows of a micro-batch in each process, and how many of them a step adds up."""

    rows: int
    accumulation: int


CPU_ROOM = 900_000_000
"""With SmolLM2's weights and the rest of a step this stays below 3 GB."""

PROFILES = {
    profile.name: profile
    for profile in (
        Profile("cpu", room_bytes=CPU_ROOM),
        Profile("gpu", device="cuda", dtype="bfloat16", rows=16, recompute=True),
        Profile("torchrun-2", processes=2, launcher="torchrun", room_bytes=CPU_ROOM),
        Profile("fsdp2", 8, "cuda", "bfloat16", rows=8, launcher="accelerate", sharding="fsdp2", recompute=True),
        Profile("zero3+vllm", 8, "cuda", "bfloat16", 8, "accelerate", "zero3", vllm=True, recompute=True),
    )
}
COUNTED = re.compile(r"(torchrun|gpu|fsdp2|zero3\+vllm)-(\d+)")


def find_profile(name: str) -> Profile:
    """The profile of a name; `torchrun-4`, `gpu-8`, `fsdp2-2` or `zero3+vllm-16` says how many processes.

    Raises UnknownName where there is none.
    """
    if name in PROFILES:
        return PROFILES[name]
    counted = COUNTED.fullmatch(name)
    if counted is None or int(counted[2]) < 2:
        raise UnknownName(
            "profile", name, PROFILES, hint="(torchrun-N, gpu-N, fsdp2-N, zero3+vllm-N take N >= 2 processes)"
        )
    base = PROFILES.get(counted[1], PROFILES["torchrun-2"])
    return replace(base, name=name, processes=int(counted[2]), launcher=base.launcher or "torchrun")


def split_batch(profile: Profile, *, batch: int, n: int, row_bytes: int = 0) -> Split:
    """The same step cut for this profile; `row_bytes` is what the longest row's activations may take.

    Raises BadInput where the batch does not hold whole groups of `n`, or does not divide over the processes.
    """
    if n < 2:
        raise BadInput(f"n is {n}; a group needs at least 2 attempts to be compared")
    if batch < n or batch % n:
        raise BadInput(f"batch {batch} is no multiple of n = {n}; set batch={max(1, round(batch / n)) * n}")
    if batch % profile.processes:
        raise BadInput(
            f"batch {batch} does not divide over the {profile.processes} processes of profile {profile.name!r}; "
            f"set batch to a multiple of {lcm(n, profile.processes)}"
        )
    share = batch // profile.processes
    room = profile.room_bytes // row_bytes if profile.room_bytes and row_bytes else profile.rows
    rows = max(rows for rows in range(1, max(1, min(share, profile.rows, room)) + 1) if share % rows == 0)
    return Split(rows, share // rows)


def is_launched() -> bool:
    """Whether a launcher has started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def launched_processes() -> int:
    """How many processes the launcher has started, 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def require_processes(profile: Profile, found: int) -> None:
    """Raise BadInput unless as many processes run as the profile says: a launcher may start fewer, and say nothing."""
    if found != profile.processes:
        told = f"profile {profile.name!r} has {profile.processes} processes, but {found} run"
        raise BadInput(f"{told}; start it by `trueup train --profile {profile.name}`, or name a profile of {found}")


def is_main() -> bool:
    """Whether this process is the one that books, logs and saves."""
    return int(os.environ.get("RANK", "0")) == 0


def leave() -> NoReturn:
    """End a process that a launcher has started, whose files are closed, without tearing anything down.

    As an interpreter ends, threads that process groups of torch leave behind abort it now and then, and the launcher
    then ends the others too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def launch(profile: Profile, arguments: Sequence[str]) -> int:
    """Run `trueup` with these arguments in the profile's processes, and say how it ended.

    Raises BadInput with the line of the first process that failed with an error of ours; nothing else is shown of it.
    """
    with TemporaryDirectory() as folder:
        failure = Path(folder) / "error.txt"
        given = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), FAILURE: str(failure)}
        given |= {"FORCE_COLOR": "1"} if sys.stderr.isatty() else {}
        with Popen(
            profile.command(arguments), env=os.environ | given, stderr=PIPE, start_new_session=True,
            preexec_fn=_die_with_parent,
        ) as process:  # fmt: skip
            _forward(process, failure)
        if failure.exists():
            raise BadInput(failure.read_text(encoding="utf-8"))
        return process.returncode


def _forward(process: Popen[bytes], failure: Path) -> None:
    """Show what processes say, until one of them has left an error's line.

    They are in a session of their own, so that Ctrl-C comes to them once, from here, and a step may end before they do.
    """
    assert process.stderr is not None
    try:
        while told := os.read(process.stderr.fileno(), 1 << 16):
            if not failure.exists():
                sys.stderr.buffer.write(told)
                sys.stderr.flush()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        _wait_or_end(process)
        raise
    except BaseException:
        process.terminate()
        raise


def _wait_or_end(process: Popen[bytes]) -> None:
    """Wait for processes that were interrupted, whatever they say; end them where they take too long."""
    try:
        process.communicate(timeout=STEP_ENDS)
    except (TimeoutExpired, KeyboardInterrupt):
        process.terminate()


def _die_with_parent() -> None:
    """Have Linux end a launcher whose `trueup` was killed; it ends its processes then."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def telling_launcher() -> Iterator[None]:
    """In a process of `launch`, leave it the line of an error of ours; the first one counts."""
    try:
        yield
    except TrueupError as error:
        with suppress(KeyError, FileExistsError), open(os.environ[FAILURE], "x", encoding="utf-8") as file:
            file.write(str(error))
        raise


def require_packages(who: str) -> None:
    """Raise Unavailable unless all that trains real models is installed."""
    if any(find_spec(package) is None for package in PACKAGES):
        raise Unavailable(f"{who} needs {', '.join(PACKAGES[:-1])} and {PACKAGES[-1]}; pip install 'trueup[train]'")


def require(profile: Profile) -> None:
    """Raise Unavailable unless the packages and the device of a profile are here."""
    require_packages("training")
    for package in ["deepspeed"] * (profile.sharding == "zero3") + ["vllm"] * profile.vllm:
        if find_spec(package) is None:
            raise Unavailable(
                f"profile {profile.name!r} needs {package}; pip install {package}, or choose --profile cpu"
            )
    if profile.device == "cuda":
        _require_gpus(profile)


def sharding_file(name: str) -> Path:
    """The configuration of accelerate that TRL ships under this name.

    Raises Unavailable where TRL is not installed.
    """
    found = find_spec("trl")
    if found is None or found.origin is None:
        raise Unavailable("trl is not installed; pip install 'trueup[train]'")
    return Path(found.origin).parent / "accelerate_configs" / f"{name}.yaml"


def _require_gpus(profile: Profile) -> None:
    import torch

    here = torch.cuda.device_count()
    if here < profile.processes:
        raise Unavailable(
            f"profile {profile.name!r} needs {profile.processes} GPU{'s' * (profile.processes > 1)}, this machine has "
            f"{here}; choose --profile cpu"
        )
