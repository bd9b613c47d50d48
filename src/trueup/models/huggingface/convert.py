"""The embedded model's weights as a folder for transformers, converted once.

The numbers are those of the 4-bit GGUF in float32: what a study with `hf` samples is what the embedded engine has, and
what is trained from them starts there, a little below the original weights.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from trueup.core.errors import Unavailable, one_line
from trueup.models.huggingface.load import quiet
from trueup.models.weights import Weights


def converted(weights: Weights) -> Path:
    """The folder with these weights as safetensors, made on first use.

    Raises Unavailable where the weights or a package that reads them cannot be had.
    """
    target = weights.path().with_suffix(".safetensors")
    if target.is_dir():
        return target
    source = weights.fetch()
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / "made"
        try:
            _convert(source, made)
        except (ImportError, ValueError) as error:
            told = one_line(error)
            raise Unavailable(f"cannot convert {source.name}: {told}; pip install 'trueup[hf]'") from error
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():
                raise
            shutil.rmtree(made)
    return target


def _convert(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    whole = GgufConfig(dequantize=True)
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32, quantization_config=whole
        )
        model.save_pretrained(target)
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(target)
