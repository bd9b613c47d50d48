"""Reward models of Hugging Face's form, as they are loaded.

Only safetensors are loaded, and no code that comes with a model is run.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from trueup.core.cache import sha256
from trueup.core.cost import CPU, billing_on
from trueup.core.errors import BadInput, Unavailable, one_line
from trueup.core.types import Message, Problem, chat_of

T = TypeVar("T")
LOADED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")

_TEMPLATE = re.compile(rb'"chat_template"\s*:(?!\s*(?:null|""))')


@dataclass(slots=True)
class Pretrained:
    """A tokenizer and a network, loaded at the first use; `kind` is the transformers class that loads it.

    `seconds` is what work in its threads took: core-seconds, on a GPU the time that it was held.
    """

    rater: str
    name: str
    kind: str
    device: str
    seconds: float = 0.0
    _parts: tuple[Any, Any] | None = None
    _digest: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def billing(self) -> str:
        """What its seconds are paid as."""
        return billing_on(self.device)

    async def beside(self, work: Callable[[], T]) -> T:
        """What the work returns, done in a thread beside the event loop and counted, also where it fails."""
        return await asyncio.to_thread(self._counted, work)

    def _counted(self, work: Callable[[], T]) -> T:
        began = _clocks()
        try:
            return work()
        finally:
            wall, own, whole = (now - then for now, then in zip(_clocks(), began, strict=True))
            took = min(whole, own * _torch_threads()) if self.billing == CPU else wall
            with self._lock:
                self.seconds += took

    def digest(self) -> str:
        """The hex digest of every file that a rating depends on, taken once."""
        if not self._digest:
            folder, whole = self._folder(), blake2b(digest_size=8)
            if not _has_template(folder):
                whole.update(b"with special tokens\0")
            for path in sorted({path for pattern in LOADED for path in folder.glob(pattern)}):
                whole.update(f"{path.name}\0{sha256(path)}\0".encode())
            self._digest = whole.hexdigest()
        return self._digest

    def parts(self) -> tuple[Any, Any]:
        """The tokenizer and the network."""
        with self._lock:
            self._parts = self._parts or self._load()
        return self._parts

    def drop(self) -> None:
        """Free the network's memory."""
        self._parts = None

    def _load(self) -> tuple[Any, Any]:
        folder = self._folder()
        transformers = _transformers()
        load: Callable[..., Any] = getattr(transformers, self.kind).from_pretrained
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            network = load(folder, use_safetensors=True, dtype="auto").to(self.device).eval()
        except (OSError, ValueError, KeyError) as error:
            reason = one_line(error)
            raise BadInput(f"rater {self.rater} cannot load {self.name!r} as {self.kind}: {reason}") from error
        return tokenizer, network

    def _folder(self) -> Path:
        if not self.name:
            raise BadInput(f"rater {self.rater} has no model; add name=FOLDER, or name=OWNER/NAME on the hub")
        folder = Path(self.name).expanduser()
        if not folder.is_dir():
            folder = self._snapshot()
        if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
            raise BadInput(f"rater {self.rater}: {str(folder)!r} holds no config.json with *.safetensors; save it so")
        return folder

    def _snapshot(self) -> Path:
        _transformers()
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(self.name, allow_patterns=list(LOADED)))
        except Exception as error:
            reason = one_line(error)
            raise Unavailable(f"rater {self.rater}: no folder {self.name!r}, and the hub says: {reason}") from error


class Timed:
    """What a rater by such a model tells of its time."""

    __slots__ = ()
    model: Pretrained

    @property
    def seconds(self) -> float:
        """What its ratings took so far."""
        return self.model.seconds

    @property
    def billing(self) -> str:
        """What its seconds are paid as."""
        return self.model.billing


def as_read(tokenizer: Any, problem: Problem, text: str) -> str:
    """The chat with a text of the model's behind it, in the tokenizer's template; line by line where it has none."""
    *before, last = problem.prompt
    begun = last.content if last.role == "assistant" else ""
    chat = [*before, *([] if begun else [last]), Message("assistant", begun + text)]
    if not tokenizer.chat_template:
        return "\n".join(message.content for message in chat)
    rendered: str = tokenizer.apply_chat_template(chat_of(chat), tokenize=False)
    return rendered


def tokenize(tokenizer: Any, read: str, **settings: Any) -> Any:
    """The tokens of what is read: a template brings the special ones; where there is none, the tokenizer adds them."""
    return tokenizer(read, add_special_tokens=not tokenizer.chat_template, **settings)


def _clocks() -> tuple[float, float, float]:
    """Seconds by the clock, of this thread, and of all threads of this process.

    The last one has what others do meanwhile in it, the one before lacks the threads that torch works with: those are
    busy no longer than this one, so that the least of the two bounds is told.
    """
    return time.perf_counter(), time.thread_time(), time.process_time()


def _torch_threads() -> int:
    """How many threads torch works with; one where it is not there."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else 1


def _has_template(folder: Path) -> bool:
    """Whether a chat template is among a tokenizer's files."""
    settings = folder / "tokenizer_config.json"
    told = settings.read_bytes() if settings.is_file() else b""
    return (folder / "chat_template.jinja").is_file() or _TEMPLATE.search(told) is not None


def _transformers() -> Any:
    try:
        import torch
        import transformers
    except ImportError:
        raise Unavailable("a pretrained rater needs torch and transformers; pip install 'trueup[hf]'") from None
    assert torch
    return transformers
