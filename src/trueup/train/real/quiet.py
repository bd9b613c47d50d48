"""Silence of the packages underneath, for a while: their words are no use to who trains with ours."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers.utils import logging as untyped

from trueup.train.network import TURNED

LOUD = ("transformers", "trl", "accelerate", "peft", "datasets", "torch.distributed")
FORESEEN = (
    (UserWarning, r".*'rollout_func', which is an experimental feature"),
    (UserWarning, TURNED),
    (FutureWarning, r"`\w*gradient_checkpointing\w*` is deprecated and will be removed in v6"),
)
"""What is done on purpose; any other warning is shown."""


@contextmanager
def quiet() -> Iterator[None]:
    """Errors only from the packages that train, no bars of theirs, nothing sent to a hub."""
    shown: Any = untyped
    had_bar = shown.is_progress_bar_enabled()
    levels = {name: logging.getLogger(name).level for name in LOUD}
    shown.disable_progress_bar()
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for kind, told in FORESEEN:
                warnings.filterwarnings("ignore", told, kind)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if had_bar:
            shown.enable_progress_bar()
