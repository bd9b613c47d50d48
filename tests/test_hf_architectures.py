"""The transformers engine across model types: layers that do not attend, padded vocabularies, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trueup.core.errors import BadInput
from trueup.core.types import Attempt, Message, Sampling

pytest.importorskip("torch", reason="the hf engine: pip install 'trueup[hf]'")
pytest.importorskip("transformers", reason="the hf engine: pip install 'trueup[hf]'")

import torch
import transformers
from tiny import byte_tokenizer, save_scaled, save_tiny

from trueup.models.huggingface import HuggingFace
from trueup.models.huggingface.network import Text

PROMPT = (Message("user", "the quick brown fox"),)
GREEDY = Sampling(temperature=0, max_tokens=12, logprobs=True)
TOKENS = 258
ATTENDING = {
    "vocab_size": TOKENS, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "eos_token_id": 257, "bos_token_id": 256,
}  # fmt: skip
LINEAR = {
    "head_dim": 8, "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8, "num_experts": 0, "mlp_only_layers": [0, 1],
}  # fmt: skip
STATE = {"vocab_size": TOKENS, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "eos_token_id": 257}
SHAPES: dict[str, dict[str, Any]] = {
    "Mamba": STATE,
    "Mamba2": STATE | {"num_heads": 4, "head_dim": 16, "n_groups": 1},
    "Lfm2": ATTENDING | {"layer_types": ["conv", "full_attention"]},
    "FalconH1": ATTENDING | {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8},
    "Qwen3Next": ATTENDING | LINEAR | {"layer_types": ["linear_attention", "full_attention"]},
    "Gemma2": ATTENDING | {"head_dim": 8, "sliding_window": 8},
    "RecurrentGemma": ATTENDING | {"num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 16},
    "Rwkv": {"vocab_size": TOKENS, "hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32},
}
XLNET = {"vocab_size": TOKENS, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a tiny model of random weights of an architecture."""
    home = tmp_path_factory.mktemp("types")

    def make(name: str) -> Path:
        folder = home / name
        if not folder.exists():
            shape = XLNET if name == "XLNet" else SHAPES[name]
            head = "LMHeadModel" if name == "XLNet" else "ForCausalLM"
            save_scaled(folder, name + head, f"{name}Config", shape, 2)
        return folder

    return make


def read_whole(folder: Path, attempt: Attempt) -> tuple[list[int], float]:
    """The likeliest tokens one by one, each by a pass over the whole text; with their mean log-probability."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = byte_tokenizer().encode("<s>user: the quick brown fox<s>assistant: ", add_special_tokens=False)
    begun, logprob = len(ids), 0.0
    with torch.no_grad():
        for _ in range(attempt.usage.completion_tokens or 0):
            logp_V = model(torch.tensor([ids]), use_cache=False).logits[0, -1].double().log_softmax(-1)
            ids.append(int(logp_V.argmax()))
            logprob += float(logp_V.max())
    return ids[begun:], logprob / len(ids[begun:])


@pytest.mark.parametrize("name", ["Mamba", "Mamba2", "Lfm2", "FalconH1", "Qwen3Next", "Gemma2"])
def test_what_is_written_is_that_of_a_plain_forward_pass(made: Callable[[str], Path], name: str) -> None:
    """Four attempts in rows of three, behind one reading of the prompt, whatever its layers keep of it."""
    folder = made(name)
    reply = asyncio.run(HuggingFace(folder, rows=3).sample(PROMPT, 4, 0, GREEDY))
    tokens, logprob = read_whole(folder, reply.attempts[0])
    text = byte_tokenizer().decode(tokens, skip_special_tokens=True)
    assert len({attempt.text for attempt in reply.attempts}) == 1
    assert text.rstrip("\ufffd") == reply.attempts[0].text.rstrip("\ufffd") and len(set(tokens)) > 1
    assert [attempt.logprob for attempt in reply.attempts] == pytest.approx([logprob] * 4, abs=1e-4)
    assert [attempt.usage.leads for attempt in reply.attempts] == [True, False, False, False]


@pytest.mark.parametrize("name", ["Mamba", "FalconH1", "Qwen3Next"])
def test_rows_that_do_not_attend_do_not_mix(made: Callable[[str], Path], name: str) -> None:
    """Each of a batch says what it says by itself."""
    sampling = Sampling(temperature=1.0, max_tokens=12, logprobs=True)
    batch, single = (
        asyncio.run(HuggingFace(made(name), rows=rows).sample(PROMPT, 4, 0, sampling)).attempts for rows in (4, 1)
    )
    assert [attempt.text for attempt in batch] == [attempt.text for attempt in single]
    assert [attempt.logprob for attempt in batch] == pytest.approx([attempt.logprob for attempt in single], abs=1e-4)
    assert len({attempt.text for attempt in batch}) == 4


@pytest.mark.parametrize(
    ("name", "kind"), [("Rwkv", "rwkv"), ("XLNet", "xlnet"), ("RecurrentGemma", "recurrent_gemma")]
)
def test_a_model_that_does_not_read_into_a_cache_is_refused_by_its_type(
    made: Callable[[str], Path], name: str, kind: str
) -> None:
    """What it wrote would not hang on the prompt, or on another text's."""
    with pytest.raises(BadInput, match=rf"{name} is of type '{kind}', .*; take a model of another type") as caught:
        asyncio.run(HuggingFace(made(name)).sample(PROMPT, 1, 0, GREEDY))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "kind"), [("Mamba", "mamba"), ("Lfm2", "lfm2"), ("Gemma2", "gemma2")])
def test_what_cannot_be_cropped_is_not_kept(made: Callable[[str], Path], name: str, kind: str) -> None:
    with pytest.raises(BadInput, match=rf"{name} is of type '{kind}', .*; leave keep_cache out"):
        asyncio.run(HuggingFace(made(name), keep_cache=True).sample(PROMPT, 1, 0, GREEDY))


def has_device(name: str) -> bool:
    try:
        return torch.empty(0, device=name).device.type == name
    except (RuntimeError, AssertionError):
        return False


@pytest.mark.parametrize("device", ["mps", "xpu"])
def test_a_device_that_is_not_there_is_one_line(tmp_path: Path, device: str) -> None:
    if has_device(device):
        pytest.skip("says what happens without it")
    with pytest.raises(BadInput, match=f"device '{device}' is not on this machine; set device=cpu"):
        asyncio.run(HuggingFace(save_tiny(tmp_path, 1), device=device).sample(PROMPT, 1, 0, GREEDY))


def test_a_device_without_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="device 'meta' keeps no numbers; set device=cpu"):
        asyncio.run(HuggingFace(save_tiny(tmp_path, 1), device="meta").sample(PROMPT, 1, 0, GREEDY))


@pytest.fixture(scope="module")
def padded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with 200 logits more than tokens, all about as likely."""
    return save_tiny(tmp_path_factory.mktemp("padded"), 1, padding=200, sharpness=0.02)


def test_no_row_of_padding_is_drawn(padded: Path) -> None:
    drawn = []

    class Watched(Text):
        def step(self, tokens: Any) -> None:
            drawn.extend(tokens)
            super().step(tokens)

    model = HuggingFace(padded)
    loaded = model.load()
    stream = Watched(loaded.network, [loaded.network.fitting(PROMPT)], loaded.network.fresh_cache())
    loaded.begin = lambda prompt: stream  # type: ignore[method-assign]
    reply = asyncio.run(model.sample(PROMPT, 4, 0, Sampling(temperature=1, max_tokens=60)))
    assert len(reply.attempts) == 4 and len(drawn) > 200 and max(drawn) < TOKENS


def test_log_probabilities_are_shared_out_among_what_can_be_drawn(padded: Path) -> None:
    """By a plain forward pass, of whose logits only those of tokens count."""
    model = transformers.AutoModelForCausalLM.from_pretrained(padded).eval()
    ids = byte_tokenizer().encode("<s>user: the quick brown fox<s>assistant: ", add_special_tokens=False)
    with torch.no_grad():
        logits_V = model(torch.tensor([ids])).logits[0, -1].double()
    (attempt,) = asyncio.run(
        HuggingFace(padded).sample(PROMPT, 1, 0, Sampling(0, max_tokens=1, logprobs=True))
    ).attempts
    assert logits_V.shape == (TOKENS + 200,)
    assert attempt.logprob == pytest.approx(float(logits_V[:TOKENS].log_softmax(-1).max()), abs=1e-6)
    following = asyncio.run(HuggingFace(padded).next_token(PROMPT, 1000))
    assert len(following) <= TOKENS


def test_a_grammar_holds_with_a_padded_vocabulary(padded: Path) -> None:
    sampling = Sampling(temperature=1, grammar="start: /[ab]{4}/")
    reply = asyncio.run(HuggingFace(padded).sample(PROMPT, 4, 0, sampling))
    assert all(len(attempt.text) == 4 and set(attempt.text) <= {"a", "b"} for attempt in reply.attempts)
