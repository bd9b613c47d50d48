"""The claims about training from pretrained weights: what `--scale gpu` runs, on the CPU with a tiny Llama."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from test_claim_function_calling import MINI as CALLING  # noqa: E402
from test_claim_self_correction import MINI as CORRECTING  # noqa: E402
from test_claim_think_or_answer import MINI as THINKING  # noqa: E402
from tiny import save_tiny  # noqa: E402

from trueup.claims import CLAIMS, Pieces  # noqa: E402
from trueup.claims.function_calling import SIZES as CALLING_SIZES  # noqa: E402
from trueup.claims.function_calling import put_to_test as run_function_calling  # noqa: E402
from trueup.claims.self_correction import SIZES as CORRECTING_SIZES  # noqa: E402
from trueup.claims.self_correction import TUNING  # noqa: E402
from trueup.claims.self_correction import put_to_test as run_self_correction  # noqa: E402
from trueup.claims.start import DEVICE_VARIABLE, Start  # noqa: E402
from trueup.claims.think_or_answer import SIZES as THINKING_SIZES  # noqa: E402
from trueup.claims.think_or_answer import put_to_test as run_think_or_answer  # noqa: E402
from trueup.core.errors import BadInput  # noqa: E402
from trueup.train.laboratory import load_model  # noqa: E402
from trueup.train.laboratory.llama import LlamaShape  # noqa: E402
from trueup.train.laboratory.modes import SHORT, THINK, mode_chances  # noqa: E402
from trueup.train.laboratory.pretrained import pretrained  # noqa: E402
from trueup.train.laboratory.vocabulary import encode_rows  # noqa: E402

CLAIM_NAMES = ("self-correction", "think-or-answer", "function-calling")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    shape = {"hidden_size": 32, "intermediate_size": 64}
    return save_tiny(tmp_path_factory.mktemp("tiny") / "a", 1, tie_word_embeddings=True, sharpness=0.2, **shape)


@pytest.mark.parametrize("name", CLAIM_NAMES)
def test_without_a_gpu_it_says_so_in_a_line(name, tmp_path, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.delenv(DEVICE_VARIABLE, raising=False)
    with pytest.raises(BadInput, match=f"claim '{name}' at scale 'gpu' wants a CUDA device, and torch finds none"):
        CLAIMS[name]("gpu", 0, Pieces(tmp_path, "x"))
    assert not list(tmp_path.glob("seed*"))


@pytest.mark.parametrize("name", CLAIM_NAMES)
def test_a_claim_from_pretrained_weights_gives_its_figures_again_from_its_parts(name, folder, tmp_path):
    start = Start(str(folder))
    run, size = {
        "self-correction": (run_self_correction, replace(CORRECTING, start=start, first_steps=2, round_steps=1)),
        "think-or-answer": (run_think_or_answer, replace(THINKING, start=start)),
        "function-calling": (run_function_calling, replace(CALLING, start=start)),
    }[name]
    parts = []
    first = run("gpu", size, (0,), Pieces(tmp_path, "x"))
    again = run("gpu", size, (0,), Pieces(tmp_path, "x", lambda part, seconds: parts.append(seconds)))
    assert first.text() == again.text() and parts and not any(parts)
    assert any(str(folder) in note and "device: cpu" in note for note in first.notes)
    shapes = [load_model(path).shape for path in tmp_path.glob("*.pt")]
    kept = {"self-correction": 2, "think-or-answer": 1, "function-calling": 3}[name]
    assert len(shapes) == kept and all(isinstance(shape, LlamaShape) for shape in shapes)
    assert TUNING not in first.notes


def test_the_chance_of_each_mode_is_the_models_own(folder):
    model, prompts = pretrained(str(folder)), encode_rows(["12+34=", "56+78="])
    with torch.no_grad():
        logits = model(torch.from_numpy(prompts))[:, -1, 1:]
    expected = logits.softmax(-1)[:, [SHORT - 1, THINK - 1]].T.numpy()
    assert np.allclose(mode_chances(model, prompts), expected, atol=1e-6)


def test_at_gpu_every_claim_is_as_strict_as_at_cpu():
    for sizes in (CORRECTING_SIZES, THINKING_SIZES, CALLING_SIZES):
        assert sizes["gpu"].start == Start("smollm2", "cuda") and sizes["gpu"].items >= 2000
    thinking, correcting = THINKING_SIZES["gpu"], CORRECTING_SIZES["gpu"]
    assert thinking.arms is THINKING_SIZES["cpu"].arms and thinking.most == THINKING_SIZES["cpu"].most
    assert correcting.two_turns == CORRECTING_SIZES["cpu"].two_turns
    assert thinking.rows % thinking.group == 0 and correcting.updates % 3 == 0
