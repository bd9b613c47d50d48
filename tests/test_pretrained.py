"""Pretrained Llamas in the laboratory: transformers' own logits, every tool on them, claims that begin with them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from test_claim_compute_optimal import MINI as SEARCHED  # noqa: E402
from test_claim_proxy_tuning import MINI as STEERED  # noqa: E402
from tiny import save_tiny  # noqa: E402
from tiny_chain import MINI  # noqa: E402

from trueup.claims import CLAIMS, Pieces  # noqa: E402
from trueup.claims.compute_optimal import SIZES as SEARCH_SIZES  # noqa: E402
from trueup.claims.compute_optimal import put_to_test as run_compute_optimal  # noqa: E402
from trueup.claims.internal_external import SIZES as CHAIN_SIZES  # noqa: E402
from trueup.claims.internal_external import put_to_test as run_internal_external  # noqa: E402
from trueup.claims.nonreasoning_gap import put_to_test as run_nonreasoning_gap  # noqa: E402
from trueup.claims.proxy_tuning import put_to_test as run_proxy_tuning  # noqa: E402
from trueup.claims.slip_temperature import HIGHEST, LOWEST, slip_temperature  # noqa: E402
from trueup.claims.start import DEVICE_VARIABLE, SCRATCH, Start, Trained, kept, ready  # noqa: E402
from trueup.claims.steered_size import Pace  # noqa: E402
from trueup.core.errors import BadInput  # noqa: E402
from trueup.core.types import Message, Sampling  # noqa: E402
from trueup.train.laboratory import (  # noqa: E402
    Recipe,
    Shape,
    Steered,
    TinyModel,
    Transformer,
    Verifier,
    adapted,
    beam_search,
    generate,
    greedy,
    load_model,
    merged,
    outcome_rows,
    process_rows,
    rate,
    sampling_flops,
    save_model,
    train,
    train_verifier,
)  # fmt: skip
from trueup.train.laboratory.llama import LlamaShape, compiled  # noqa: E402
from trueup.train.laboratory.pretrained import alphabet, pretrained  # noqa: E402
from trueup.train.laboratory.tasks import Chain, source_of  # noqa: E402
from trueup.train.laboratory.vocabulary import CHARACTERS, END, PAD, SIZE, encode, encode_rows  # noqa: E402

CHAIN = Chain(modulus=5, worked=True, most=2)
QUICK = Recipe(steps=40, rows=16, lr=1e-2, warmup_steps=2)
TEXTS = ["3+4*2-5....=3;", "?abc=#q$0;1;2;"]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "a", 1, tie_word_embeddings=True, sharpness=0.2)


@pytest.fixture
def model(folder) -> Transformer:
    return pretrained(str(folder))


def prompts(n: int = 6) -> np.ndarray:
    return CHAIN.prompts(np.random.default_rng(0), n, 2)


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def changed(folder: Path, target: Path, **settings) -> str:
    """A copy of a folder with other settings in its configuration."""
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(config | settings))
    return str(target)


# the same function as transformers'


def test_its_logits_are_transformers_own_at_the_characters_of_the_laboratory(folder, model):
    from transformers import AutoModelForCausalLM

    from trueup.models.huggingface.load import quiet

    with quiet():
        whole = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens, ids = torch.from_numpy(encode_rows(TEXTS)), torch.tensor(alphabet(folder))
    with torch.no_grad():
        theirs = whole(ids[tokens]).logits[..., ids]
        assert theirs.std() > 0.5 and torch.allclose(model(tokens), theirs, atol=1e-4)
    missing = whole.config.vocab_size - SIZE
    assert model.parameter_count == whole.num_parameters() - missing * model.shape.width


def test_every_character_has_a_token_of_its_own_and_the_end_is_the_models(folder):
    ids = alphabet(folder)
    assert len(set(ids)) == SIZE and ids[END] == json.loads((folder / "config.json").read_text())["eos_token_id"]


def test_the_cache_changes_no_logit(model):
    tokens, cache = torch.from_numpy(encode_rows(TEXTS)), model.begin(2, 14)
    with torch.no_grad():
        parts = [model(tokens[:, :5], cache), model(tokens[:, 5:6], cache), model(tokens[:, 6:], cache)]
        assert torch.allclose(torch.cat(parts, 1), model(tokens), atol=1e-4)


def test_a_layer_that_is_compiled_for_a_gpu_computes_the_same_and_once_for_all_layers(model):
    """Traced in whole, and by another back end than a GPU's, which wants a compiler."""
    from torch._dynamo.utils import counters

    counters.clear()
    for length in (7, 11, 13):
        x_BTC = torch.randn(5, length, model.shape.width, requires_grad=True)
        turn_TD, plain_BTC, fused_BTC = model.turn_TD[:length], x_BTC, x_BTC
        for block in model.blocks:
            plain_BTC = block(plain_BTC, turn_TD, 0, None, None)
            fused_BTC = compiled("aot_eager")(block, fused_BTC, turn_TD)
        asked = [x_BTC, *model.blocks.parameters()]
        ours, theirs = (torch.autograd.grad(y.square().sum(), asked) for y in (fused_BTC, plain_BTC))
        assert torch.allclose(fused_BTC, plain_BTC, atol=1e-5)
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(ours, theirs, strict=True))
    assert not counters["graph_break"] and counters["stats"]["unique_graphs"] == 1


def test_where_nothing_compiles_a_layer_computes_the_same(model):
    asked = []

    def broken(*graph):
        asked.append(graph)
        raise RuntimeError("no compiler")

    x_BTC, block = torch.randn(2, 6, model.shape.width), model.blocks[0]
    with torch.no_grad():
        theirs, ours = block(x_BTC, model.turn_TD[:6], 0, None, None), compiled(broken)(block, x_BTC, model.turn_TD[:6])
    assert asked and torch.equal(ours, theirs)


def test_padding_on_the_left_changes_no_logit(model):
    tokens = torch.from_numpy(encode_rows(["3+4=", "5-6="]))
    padded = torch.cat([torch.full((2, 3), PAD), tokens], 1)
    padded[1, :3] = torch.tensor(encode("1+2"))
    with torch.no_grad():
        cache = model.begin(2, 8, padded != PAD)
        first, then = model(padded, cache)[0, -1], model(padded[:, -1:], cache)[0, -1]
        alone = torch.cat([tokens[:1], tokens[:1, -1:]], 1)
        assert torch.allclose(first, model(tokens[:1])[0, -1], atol=1e-4)
        assert torch.allclose(then, model(alone)[0, -1], atol=1e-4)


def test_older_configurations_name_their_rotations_elsewhere(folder, tmp_path, model):
    name = changed(folder, tmp_path / "old", rope_parameters=None, rope_theta=500.0)
    shape = pretrained(name).shape
    assert isinstance(shape, LlamaShape) and shape.rotary_base == 500.0
    assert replace(shape, rotary_base=10_000.0) == model.shape


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tie_word_embeddings": False}, "tie_word_embeddings False; the laboratory takes Llamas with True"),
        ({"model_type": "qwen3"}, "model_type 'qwen3'"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1.0}}, "stretches its positions"),
        ({"head_dim": 32}, "heads of 32"),
        ({"num_hidden_layers": 9}, "holds no whole Llama"),
        ({"intermediate_size": 48}, "holds no whole Llama"),
    ],
)
def test_what_is_no_llama_of_that_kind_is_refused(folder, tmp_path, settings, said):
    with pytest.raises(BadInput, match=said):
        pretrained(changed(folder, tmp_path / "other", **settings))


def test_a_tokenizer_without_a_character_is_refused(folder, tmp_path):
    name = changed(folder, tmp_path / "other")
    text = (folder / "tokenizer.json").read_text()
    (tmp_path / "other" / "tokenizer.json").write_text(text.replace('"#":', '"##":'))
    with pytest.raises(BadInput, match="no token for '#' alone"):
        pretrained(name)


# every tool of the laboratory on it


def test_training_moves_it_the_same_way_twice_and_costs_six_a_weight_and_token(folder, model):
    again, source = pretrained(str(folder)), source_of(CHAIN, [1, 2])
    first = train(pretrained(str(folder)), source, replace(QUICK, steps=1))
    spent, _ = train(model, source, QUICK), train(again, source, QUICK)
    assert same(model, again) and not same(model, pretrained(str(folder)))
    assert spent.loss < 0.85 * first.loss and spent.flops == 6 * model.parameter_count * spent.tokens


def test_samples_are_the_same_for_the_same_seed(model):
    one, two, other = (generate(model, prompts(), most=6, n=4, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.tokens_BT, two.tokens_BT) and np.array_equal(one.logp_BT, two.logp_BT)
    assert not np.array_equal(one.tokens_BT, other.tokens_BT)


def test_an_adapter_on_every_linear_layer_merges_to_the_same_function(folder, model):
    lora, tokens = adapted(model, rank=2), torch.from_numpy(prompts())
    layers = 2 * 7
    assert sum(weight.requires_grad for weight in lora.parameters()) == 2 * layers
    train(lora, source_of(CHAIN, [2]), QUICK)
    whole = merged(lora)
    with torch.no_grad():
        assert torch.allclose(whole(tokens), lora(tokens), atol=1e-4)
        assert not torch.allclose(whole(tokens), model(tokens), atol=1e-2)
    assert same(model, pretrained(str(folder))) and whole.parameter_count == model.parameter_count


def test_on_file_it_is_the_same_model(model, tmp_path):
    save_model(model, tmp_path / "m.pt")
    again = load_model(tmp_path / "m.pt")
    assert same(again, model) and again.shape == model.shape and isinstance(again.shape, LlamaShape)


def test_a_verifier_begins_as_it_and_beams_are_kept_by_it(folder, model):
    asked = prompts(8)
    out = generate(model, asked, most=7, n=2, seed=0)
    twice = asked.repeat(2, 0)
    verifier = Verifier(model.shape, seed=0, trunk=model)
    assert same(verifier.trunk, model) and np.allclose(rate(verifier, twice, out.tokens_BT), 0.5)
    rows = outcome_rows(twice, out.tokens_BT, np.arange(16) % 2 == 0)
    train_verifier(verifier, rows, QUICK)
    assert same(model, pretrained(str(folder))) and not np.allclose(rate(verifier, twice, out.tokens_BT), 0.5)
    steps = process_rows(model, twice, CHAIN.targets(twice), CHAIN.answers(twice), rollouts=2)
    assert steps.known_BT.any(1).all() and steps.flops > 0
    beams = beam_search(model, verifier, asked, n=4, width=2, most=7)
    assert beams.completions_MNT.shape[:2] == (8, 4) and beams.flops > 0


def test_a_verifier_of_a_frozen_model_is_trained_whole(model):
    verifier = Verifier(model.shape, trunk=model.requires_grad_(False))
    assert all(weight.requires_grad for weight in verifier.parameters())
    assert not any(weight.requires_grad for weight in model.parameters())


def test_tiny_models_from_scratch_steer_it(model):
    small, expert = (Transformer(Shape(width=8, context=64), seed=seed) for seed in (0, 1))
    asked, lengths = prompts(), np.array([2, 3])
    assert np.array_equal(
        greedy(Steered(model, small, small), asked, most=5).tokens_BT, greedy(model, asked, most=5).tokens_BT
    )
    steered = Steered(model, expert, small)
    costs = [sampling_flops(one, 6, lengths, prompts=1) for one in (steered, model, small, expert)]
    assert costs[0] == sum(costs[1:]) and steered.device == model.device


def test_the_house_samples_it_as_any_tiny_model(model):
    sampled = asyncio.run(
        TinyModel(model, name="llama").sample((Message("user", "3+4="),), 3, 0, Sampling(temperature=1.0, max_tokens=6))
    )
    assert len(sampled.attempts) == 3 and set("".join(a.text for a in sampled.attempts)) <= set(CHARACTERS)


def halved(model: Transformer) -> Transformer:
    half = Transformer(replace(model.shape, half=True))
    half.load_state_dict(model.state_dict())
    return half


def test_in_half_precision_sampling_rounds_a_weight_once_and_changes_no_logit(model):
    half, asked = halved(model), prompts(4)
    tokens = torch.from_numpy(asked)
    with torch.no_grad():
        alone = half(tokens)
        with half.precision():
            assert torch.equal(half(tokens), alone) and alone.dtype == torch.float32
    rounded = []
    for most in (2, 6):
        with torch.profiler.profile(record_shapes=True) as seen:
            generate(half, asked, most=most, seed=3)
        widest = [list(half.blocks[0].up.weight.shape)]
        rounded.append(sum(one.name == "aten::_to_copy" and one.input_shapes[:1] == widest for one in seen.events()))
    gates_and_ups = 2 * len(half.blocks)
    assert rounded == [gates_and_ups, gates_and_ups]


def test_in_half_precision_it_says_nearly_the_same_and_can_be_trained(model):
    half = halved(model)
    tokens = torch.from_numpy(prompts())
    with torch.no_grad():
        logits, cache = half(tokens), half.begin(*tokens.shape)
        assert cache.keys_LBHTD.dtype == torch.bfloat16 and logits.dtype == torch.float32
        assert torch.allclose(logits, model(tokens), atol=0.2)
        assert torch.allclose(half(tokens, cache), logits, atol=0.2)
    first = train(half, source_of(CHAIN, [1]), replace(QUICK, steps=1)).loss
    assert train(half, source_of(CHAIN, [1]), QUICK).loss < first
    assert {weight.dtype for weight in half.parameters()} == {torch.float32}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_it_says_nearly_the_same_and_every_tool_works_there(folder, model):
    there, tokens, asked = pretrained(str(folder), device="cuda"), torch.from_numpy(prompts()), prompts(8)
    with torch.no_grad():
        assert torch.allclose(there(tokens.cuda()).cpu(), model(tokens), atol=0.2)
    one, two = (generate(there, asked, most=7, n=2, seed=0) for _ in range(2))
    assert np.array_equal(one.tokens_BT, two.tokens_BT)
    padded = np.concatenate([np.full((8, 2), PAD), asked], 1)
    assert np.allclose(*(greedy(there, rows, most=3).logp_BT[:, 0] for rows in (asked, padded)), atol=0.2)
    lora, small = adapted(there), Transformer(Shape(width=8, context=64)).to("cuda")
    assert train(lora, source_of(CHAIN, [1]), QUICK, reference=there, kl=0.1).loss > 0
    assert greedy(Steered(merged(lora), small, small), asked, most=5).tokens_BT.shape == (8, 5)
    verifier, twice = Verifier(there.shape, trunk=there), asked.repeat(2, 0)
    train_verifier(verifier, outcome_rows(twice, one.tokens_BT, np.arange(16) % 2 == 0), QUICK, lm=0.1)
    assert rate(verifier, twice, one.tokens_BT).shape == (16,)
    assert beam_search(there, verifier, asked, n=4, width=2, most=7).flops > 0


# claims


def test_without_a_gpu_every_claim_says_so_in_a_line(tmp_path, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.delenv(DEVICE_VARIABLE, raising=False)
    for name in ("internal-external", "nonreasoning-gap", "proxy-tuning", "compute-optimal"):
        with pytest.raises(BadInput, match=f"claim '{name}' at scale 'gpu' wants a CUDA device, and torch finds none"):
            CLAIMS[name]("gpu", 0, Pieces(tmp_path / name, "x"))
    monkeypatch.setenv(DEVICE_VARIABLE, "cpu")
    assert ready("x", "gpu", Start("smollm2", "cuda")) == Start("smollm2", "cpu")
    assert ready("x", "cpu", SCRATCH) is SCRATCH


@pytest.mark.parametrize("instructions", ["avx512_bf16", "amx_bf16", ""])
def test_on_a_cpu_pretrained_weights_are_rounded_where_it_multiplies_such_numbers(instructions, folder, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {instructions: True}, raising=False)
    start = Start(str(folder))
    model = start.model(width=0, context=32, seed=0)
    with torch.no_grad():
        assert model(torch.from_numpy(prompts())).dtype == torch.float32
    assert model.begin(2, 4).keys_LBHTD.dtype == (torch.bfloat16 if instructions else torch.float32)
    assert start.notes()[0].count("device: cpu in bfloat16;") == bool(instructions)


def test_a_trained_model_is_taken_up_from_its_file(folder, model, tmp_path):
    made = []

    def make() -> Trained:
        made.append(1)
        return Trained(model, 5.0, 7.0)

    once, again = (kept(Start(str(folder)), tmp_path / "m", make) for _ in range(2))
    assert len(made) == 1 and same(once.model, again.model) and (again.flops, again.learned_tokens) == (5.0, 7.0)
    assert kept(SCRATCH, tmp_path / "n", make).model is model and not (tmp_path / "n.pt").exists()
    (tmp_path / "m.pt").unlink()
    with pytest.raises(BadInput, match=r"m\.pt' are gone, and other parts rest on them; remove"):
        kept(Start(str(folder)), tmp_path / "m", make)


def test_the_temperature_is_the_highest_at_which_it_is_right_so_often(model):
    """Nobody is always right here, everybody is right never or more often, and costs are those of eight pilots."""
    size = replace(MINI, start=SCRATCH)
    (cold, flops), (hot, same_flops) = (slip_temperature(size, model, ease, seed=0) for ease in (1.01, 0.0))
    assert cold == LOWEST and hot == pytest.approx(HIGHEST, rel=0.02)
    assert flops > 8 * 300 * 2 * model.parameter_count * 6 and same_flops == pytest.approx(flops, rel=0.2)


@pytest.mark.parametrize("claim", ["internal-external", "nonreasoning-gap", "compute-optimal", "proxy-tuning"])
def test_a_claim_from_pretrained_weights_gives_its_figures_again_from_its_parts(claim, folder, tmp_path):
    start = Start(str(folder))
    run, size = {
        "internal-external": (run_internal_external, replace(MINI, start=start, direct_goal=0.5, round_steps=3)),
        "nonreasoning-gap": (run_nonreasoning_gap, replace(MINI, start=start)),
        "compute-optimal": (run_compute_optimal, replace(SEARCHED, lab=replace(SEARCHED.lab, start=start), ease=0.1)),
        "proxy-tuning": (run_proxy_tuning, replace(STEERED, start=start, large_pace=Pace(3, 2, 1e-3, 1e-3))),
    }[claim]
    seen = []
    first = run("gpu", size, (0, 1), Pieces(tmp_path, "x"))
    again = run("gpu", size, (0, 1), Pieces(tmp_path, "x", lambda name, seconds: seen.append(seconds)))
    assert first.text() == again.text() and seen and not any(seen)
    assert any(str(folder) in note and "device: cpu" in note for note in first.notes)
    assert len(list(tmp_path.glob("*.trained.json"))) == {"internal-external": 4, "nonreasoning-gap": 6}.get(claim, 2)


def test_at_gpu_every_claim_has_items_enough_and_beams_that_part():
    sizes = [CHAIN_SIZES["gpu"], SEARCH_SIZES["gpu"].lab]
    assert all(size.items >= 2000 and size.start == Start("smollm2", "cuda") for size in sizes)
    assert all(n % min(n, SEARCH_SIZES["gpu"].width) == 0 for n in SEARCH_SIZES["gpu"].beams)
