"""Models: engines that sample, and wrappers around them."""

from trueup.models.llamacpp import LlamaCpp
from trueup.models.openai import OpenAI
from trueup.models.replay import Recorder, Replay
from trueup.models.sealed import Sealed
from trueup.models.toy import Toy
from trueup.models.weights import SMOLLM2, Weights

__all__ = ["SMOLLM2", "LlamaCpp", "OpenAI", "Recorder", "Replay", "Sealed", "Toy", "Weights"]
