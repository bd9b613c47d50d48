"""Causal language models through transformers: any folder, logits at hand.

Slower than the embedded engine and faithful to the last bit of the weights: for training's models, proxy-tuning and
retraction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from trueup.core.cost import billing_on
from trueup.core.errors import AskFailed, BadInput
from trueup.core.roles import ModelCard, Sampled
from trueup.core.types import Prompt, Sampling
from trueup.models.huggingface.convert import converted
from trueup.models.huggingface.decode import NO_NUMBERS, Pace, Source, Stream, Tokens, are_numbers, sample_from
from trueup.models.huggingface.draft import Draft
from trueup.models.huggingface.folder import digest, find_folder, read_shape
from trueup.models.huggingface.load import require_packages
from trueup.models.huggingface.memory import Memory
from trueup.models.huggingface.network import Network, Text, require_padding
from trueup.models.huggingface.trouble import gave_up
from trueup.models.huggingface.vocabulary import PLAIN, Vocabulary, read_template
from trueup.models.huggingface.worker import Worker
from trueup.models.tokens import by_likelihood
from trueup.models.weights import Weights

DTYPES = ("float32", "bfloat16", "float16")


class HuggingFace:
    """Implements Model with a causal language model from a folder or the hub, loaded at the first sample."""

    def __init__(
        self,
        name: str | Path | Weights,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        rows: int = 8,
        prompts: int = 1,
        threads: int = 1,
        template: str = "",
        keep_cache: bool = False,
        billing: str | None = None,
    ) -> None:
        """Prepare for a model: the embedded one's weights, a folder, or a name on the hub.

        `rows` attempts are sampled at a time on so many `threads`; both are part of the fingerprint, since rounding
        follows them, and a second thread on a core that is busy makes it several times slower. Up to `prompts` prompts
        that wait are read together, padded on their left, and their attempts share the rows, of which there should be
        as many at least; an attempt may then depend, by rounding, on what it was read beside. `template` is `plain`,
        a Jinja file, or the model's own. With `keep_cache` a prompt that begins like one of the last conversations is
        read only from where it differs; an attempt may then depend, by rounding, on what was asked before. Raises
        BadInput for a folder or a setting that cannot be used, Unavailable where a package or the hub is missing.
        """
        require_packages()
        _check(dtype, rows, prompts, threads, keep_cache=keep_cache)
        self.folder = converted(name) if isinstance(name, Weights) else find_folder(str(name))
        self._device, self._dtype, self._keep_cache = device, dtype, keep_cache
        self._template = read_template(template)
        self.rows, self.prompts, self.threads = rows, prompts, threads
        self.cores = threads if device == "cpu" else 1
        self._source: Loaded | None = None
        self._worker = Worker(lambda asks: sample_from(self.load(), asks, Pace(rows, self.cores)), prompts)
        self.card = self._card(_name(name), billing)

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """n attempts, behind one reading of the prompt; one call at a time, or up to `prompts` of them.

        Those that are read together all reply when the last of them has ended. A cancellation stops after the token
        that is being sampled, and carries a Sampled: what had come by then, and what was wasted, which is nothing where
        its turn had not come. Raises BadForm for a schema or grammar that does not compile.
        """
        return await self._worker.sample(prompt, n, start, sampling)

    async def next_token(self, prompt: Prompt, k: int = 20) -> Mapping[str, float]:
        """The k likeliest tokens behind a prompt, as text, with their natural log-probabilities."""
        return await self._worker.run(lambda: likeliest(self.load(), prompt, k))

    async def close(self) -> None:
        """Free the memory; the next sample loads the model again."""
        self._worker.close()
        self._source = None

    def load(self) -> Loaded:
        """The network, loaded on first use."""
        import torch

        torch.set_num_threads(self.threads)
        if self._source is None:
            settings = {"device": self._device, "dtype": self._dtype, "template": self._template}
            network = Network(self.folder, self.card.name, **settings)
            if self.prompts > 1:
                require_padding(network)
            self._source = Loaded(network, Memory(network, self.rows) if self._keep_cache else None)
        return self._source

    def _card(self, name: str, billing: str | None) -> ModelCard:
        shape = read_shape(self.folder)
        engine = f"torch-{version('torch')}:transformers-{version('transformers')}"
        pace = f"{self._device}-{self._dtype}-r{self.rows}" + (f"t{self.threads}" if self._device == "cpu" else "")
        pace += f"p{self.prompts}" if self.prompts > 1 else ""
        kept = ":kept" if self._keep_cache else ""
        read = blake2b(self._template.encode(), digest_size=4).hexdigest()
        template = f":{PLAIN if self._template == PLAIN else read}" if self._template else ""
        return ModelCard(
            name=name,
            fingerprint=f"hf:{digest(self.folder)}:{engine}:{pace}{template}{kept}",
            billing=billing or billing_on(self._device),
            parameters=shape.parameters,
            layers=shape.layers,
            width=shape.width,
            prompts=self.prompts,
        )


class Loaded:
    """Implements Source: a network, and the conversations that it keeps if it does."""

    def __init__(self, network: Network, memory: Memory | None) -> None:
        self.network, self._memory = network, memory

    @property
    def vocabulary(self) -> Vocabulary:
        return self.network.vocabulary

    @property
    def contexts(self) -> Sequence[int]:
        return [self.network.context_tokens]

    def fitting(self, prompt: Prompt) -> Tokens:
        return [self.network.fitting(prompt)]

    def begin(self, prompts: Sequence[Tokens]) -> Text:
        texts = [ids for (ids,) in prompts]
        return self.network.begin(texts) if self._memory is None else self._memory.begin(*texts)

    def keep(self, stream: Stream, drafts: Sequence[Draft]) -> None:
        if self._memory is not None and isinstance(stream, Text):
            self._memory.keep(stream, drafts)


def likeliest(source: Source, prompt: Prompt, k: int) -> Mapping[str, float]:
    """The k likeliest next tokens with their log-probabilities; of tokens that look alike, the likelier.

    Raises AskFailed where torch gives up, or the model's logits are no numbers.
    """
    try:
        stream = source.begin([source.fitting(prompt)])
    except RuntimeError as error:
        raise AskFailed(gave_up(error)) from error
    if not all(are_numbers(stream.logits_BV)):
        raise AskFailed(NO_NUMBERS)
    top = stream.logits_BV[0].double().log_softmax(-1).topk(min(k, stream.logits_BV.shape[-1]))
    pieces = [source.vocabulary.piece(token, stream.heads[0].last) for token in top.indices.tolist()]
    return by_likelihood(zip(pieces, top.values.tolist(), strict=True))


def _name(name: str | Path | Weights) -> str:
    """The weights' name, the name of the folder on disk, or what the hub calls the model."""
    if isinstance(name, Weights):
        return name.name
    given = Path(name).expanduser()
    return given.resolve().name if given.is_dir() else str(name)


def _check(dtype: str, rows: int, prompts: int, threads: int, *, keep_cache: bool) -> None:
    if dtype not in DTYPES:
        raise BadInput(f"hf dtype is {dtype!r}; it takes {', '.join(DTYPES)}")
    for name, value in (("rows", rows), ("prompts", prompts), ("threads", threads)):
        if value < 1:
            raise BadInput(f"hf {name} is {value}; give at least 1")
    if keep_cache and prompts > 1:
        raise BadInput(f"hf prompts is {prompts}, but with keep_cache they are read one by one; leave one of them out")
