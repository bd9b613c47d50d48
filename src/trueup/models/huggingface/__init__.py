"""Causal language models through transformers, and what can be done where logits are at hand."""

from trueup.models.huggingface.convert import converted
from trueup.models.huggingface.engine import HuggingFace

__all__ = ["HuggingFace", "converted"]
