"""A tiny model behind the house's roles, so that methods and ledger run on it.

A prompt is the contents of its messages behind one another, each finished turn of the assistant's closed by the end
mark; a last turn of the assistant's is continued. Attempts are sampled in whole blocks, of which those asked for come
back: attempt i depends on the prompt, the settings and i alone, to the bit. Its seconds are its share of the block's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import nn

from trueup.core.errors import BadInput
from trueup.core.roles import ModelCard, Sampled, Waste
from trueup.core.types import Attempt, Problem, Prompt, Sampling, Usage
from trueup.models.tokens import Told
from trueup.train.laboratory.costs import card_of
from trueup.train.laboratory.sampling import Completions, generate
from trueup.train.laboratory.transformer import Transformer
from trueup.train.laboratory.verifier import Verifier, rate
from trueup.train.laboratory.vocabulary import END, decode, encode, encode_rows

BLOCK = 16


class TinyModel:
    """Implements Model by a transformer of the laboratory."""

    def __init__(self, model: Transformer, *, name: str = "tiny") -> None:
        """Take a trained model, which must not change any more."""
        self._model = model
        self._last: tuple[object, Completions, float] | None = None
        self.card: ModelCard = card_of(
            model, name=name, fingerprint=f"{name}:{fingerprint_of(model)}:torch-{torch.__version__}"
        )

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """n attempts; what the laboratory cannot spell or hold is refused."""
        try:
            tokens = encode(text_of(prompt))
            self._refuse(tokens, sampling)
        except BadInput as error:
            return Sampled((), (Waste("refused", str(error)),))
        attempts = [self._attempt(tokens, index, sampling, leads=index == start) for index in range(start, start + n)]
        return Sampled(tuple(attempts))

    async def close(self) -> None:
        """Nothing is open."""

    def _refuse(self, tokens: Sequence[int], sampling: Sampling) -> None:
        if len(tokens) + 1 > self._model.shape.context:
            raise BadInput(
                f"a prompt of {len(tokens)} tokens does not fit a context of {self._model.shape.context}; shorten it"
            )
        if sampling.schema is not None or sampling.grammar is not None or sampling.top_p != 1.0:
            raise BadInput("the laboratory samples without schema, grammar or top_p; leave them out")

    def _attempt(self, tokens: Sequence[int], index: int, sampling: Sampling, *, leads: bool) -> Attempt:
        block, seconds = self._block(tokens, index // BLOCK, sampling)
        row = block.tokens_BT[index % BLOCK]
        length = int(block.lengths[index % BLOCK])
        text, finish = decode(row), "eos" if END in row else "length"
        met = min((stop for stop in sampling.stop if stop in text), key=text.find, default="")
        if met:
            cut = text.find(met)
            text, finish, length = text[:cut], f"stop:{met}", cut + 1
        usage = Usage(len(tokens), length, 0, 0.0, seconds / BLOCK, leads)
        if not sampling.logprobs:
            return Attempt(index, text, finish, usage)
        logp_T = block.logp_BT[index % BLOCK, :length]
        told = Told.of([{"logprob": float(logp)} for logp in logp_T], sampling.temperature).over(length, length)
        return Attempt(index, text, finish, usage, None, float(logp_T.mean()), drawn_logprob=told.drawn_logprob)

    def _block(self, tokens: Sequence[int], number: int, sampling: Sampling) -> tuple[Completions, float]:
        """A block of attempts and the seconds it took; the last one is kept, for who asks one by one."""
        key = (tuple(tokens), number, sampling)
        if self._last is not None and self._last[0] == key:
            return self._last[1], self._last[2]
        most = min(sampling.max_tokens, self._model.shape.context - len(tokens))
        started = time.perf_counter()
        seed = int.from_bytes(blake2b(f"{sampling.seed} {number} {list(tokens)}".encode(), digest_size=7).digest())
        block = generate(
            self._model, np.array([tokens]), most=most, n=BLOCK, temperature=sampling.temperature, seed=seed
        )
        seconds = (time.perf_counter() - started) * torch.get_num_threads()
        self._last = (key, block, seconds)
        return block, seconds


class TinyRater:
    """Implements Rater by a trained verifier; `seconds` are those of torch's further threads."""

    def __init__(self, verifier: Verifier, *, name: str = "tiny-verifier") -> None:
        """Take a trained verifier, which must not change any more."""
        self._verifier, self.seconds = verifier, 0.0
        self.fingerprint = f"{name}:{fingerprint_of(verifier)}:torch-{torch.__version__}"

    async def rate(self, problem: Problem, texts: Sequence[str]) -> Sequence[float]:
        """A rating per text; a whole answer is rated with its end mark, a beginning without."""
        start = text_of(problem.prompt)
        whole = [f"{text}$" if "#" in text else text for text in texts]
        began = time.thread_time()
        ratings = [float(self._rating(start, text)) for text in whole]
        self.seconds += (time.thread_time() - began) * (torch.get_num_threads() - 1)
        return ratings

    async def close(self) -> None:
        """Nothing is open."""

    def _rating(self, start: str, text: str) -> Any:
        return rate(self._verifier, encode_rows([start]), encode_rows([text]))[0]


def text_of(prompt: Prompt) -> str:
    """The prompt as one text."""
    last = len(prompt) - 1
    return "".join(
        f"{message.content}$" if message.role == "assistant" and place < last else message.content
        for place, message in enumerate(prompt)
    )


def fingerprint_of(model: nn.Module) -> str:
    """A digest of its weights."""
    digest = blake2b(digest_size=8)
    for name, weight in model.state_dict().items():
        digest.update(name.encode())
        digest.update(weight.cpu().numpy().tobytes())
    return digest.hexdigest()
