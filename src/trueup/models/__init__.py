"""Models: engines that sample, and wrappers around them."""

from trueup.models.gate import Agreement, agreement, foretelling, may_pool, require_poolable
from trueup.models.gguf_file import GgufFile
from trueup.models.huggingface import HuggingFace
from trueup.models.llamacpp import LlamaCpp
from trueup.models.openai import OpenAI
from trueup.models.proxy import ProxyTuned, proxy
from trueup.models.replay import Recorder, Replay
from trueup.models.sealed import Sealed
from trueup.models.toy import Toy
from trueup.models.weights import SMOLLM2, Weights

__all__ = [
    "SMOLLM2", "Agreement", "GgufFile", "HuggingFace", "LlamaCpp", "OpenAI", "ProxyTuned", "Recorder", "Replay",
    "Sealed", "Toy", "Weights", "agreement", "foretelling", "may_pool", "proxy",
    "require_poolable",
]  # fmt: skip
