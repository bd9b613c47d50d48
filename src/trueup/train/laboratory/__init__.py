"""The laboratory: tiny models from scratch, minutes on two cores."""

from trueup.train.laboratory.beam import Beams, beam_search
from trueup.train.laboratory.checkpoint import load_model, save_model
from trueup.train.laboratory.costs import rating_flops, sampling_flops
from trueup.train.laboratory.examples import Examples, Pairs, Source, examples, mixture, resampled, stack
from trueup.train.laboratory.items import ANSWER_PATTERN, items_of
from trueup.train.laboratory.llama import LlamaShape
from trueup.train.laboratory.loop import Loss, Recipe, Spent, fit
from trueup.train.laboratory.lora import adapted, merged
from trueup.train.laboratory.model import TinyModel, TinyRater
from trueup.train.laboratory.pretrained import pretrained
from trueup.train.laboratory.sampling import Completions, generate, greedy
from trueup.train.laboratory.selection import best, majority, weighted
from trueup.train.laboratory.steered import Steered
from trueup.train.laboratory.supervised import train
from trueup.train.laboratory.transformer import Shape, Transformer
from trueup.train.laboratory.verifier import Verifier, join, outcome_rows, process_rows, rate, train_verifier

__all__ = [
    "ANSWER_PATTERN", "Beams", "Completions", "Examples", "LlamaShape", "Loss", "Pairs", "Recipe", "Shape", "Source",
    "Spent", "Steered", "TinyModel", "TinyRater", "Transformer", "Verifier", "adapted", "beam_search", "best",
    "examples", "fit", "generate", "greedy", "items_of", "join", "load_model", "majority", "merged", "mixture",
    "outcome_rows", "pretrained", "process_rows", "rate", "rating_flops", "resampled", "sampling_flops", "save_model",
    "stack", "train", "train_verifier", "weighted",
]  # fmt: skip
