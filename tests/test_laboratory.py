"""The laboratory: losses by hand, the same seed the same bytes, costs by formula, bridges to the house."""

from __future__ import annotations

import asyncio
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from toys import PRICES

torch = pytest.importorskip("torch")

from trueup import methods  # noqa: E402
from trueup.core.cost import sample_flops  # noqa: E402
from trueup.core.errors import BadInput, UnknownName  # noqa: E402
from trueup.core.ledger import Ledger, verify  # noqa: E402
from trueup.core.stratum import Arm, Stratum  # noqa: E402
from trueup.core.types import Message, Sampling, Usage  # noqa: E402
from trueup.run import Clerk, collect  # noqa: E402
from trueup.train.laboratory import (  # noqa: E402
    ANSWER_PATTERN,
    Examples,
    Loss,
    Recipe,
    Shape,
    Spent,
    Steered,
    TinyModel,
    TinyRater,
    Transformer,
    Verifier,
    adapted,
    beam_search,
    best,
    examples,
    fit,
    generate,
    greedy,
    items_of,
    join,
    load_model,
    majority,
    merged,
    mixture,
    outcome_rows,
    process_rows,
    rate,
    rating_flops,
    resampled,
    sampling_flops,
    save_model,
    stack,
    train,
    train_verifier,
    weighted,
)  # fmt: skip
from trueup.train.laboratory.costs import card_of  # noqa: E402
from trueup.train.laboratory.presets import PRESETS, Part, Preset, Stage, build, preset  # noqa: E402
from trueup.train.laboratory.tasks import (  # noqa: E402
    UNREADABLE,
    Addition,
    Chain,
    Facts,
    is_right,
    read_answers,
    source_of,
    word_of,
)  # fmt: skip
from trueup.train.laboratory.vocabulary import ANSWER, END, PAD, decode, encode, encode_rows  # noqa: E402
from trueup.train.losses import binary_loss, kl_loss, sft_loss, token_logp  # noqa: E402
from trueup.verifiers.exact import exact  # noqa: E402

TINY = Shape(width=8, layers=2, heads=2, context=48)
CHAIN = Chain(modulus=7, worked=True, most=3)
QUICK = Recipe(steps=12, rows=8, warmup_steps=2)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tiny(seed: int = 0) -> Transformer:
    return Transformer(TINY, seed=seed).eval()


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


# losses


def test_sft_loss_is_the_mean_nats_of_the_kept_tokens():
    logits = torch.tensor([[[0.0, 0.0], [math.log(3), 0.0], [5.0, -9.0]]])
    loss = sft_loss(logits, torch.tensor([[0, 1, 1]]), torch.tensor([[True, True, False]]))
    assert float(loss) == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_a_loss_that_keeps_nothing_is_zero_with_zero_gradient():
    logits = torch.ones(1, 1, 2, requires_grad=True)
    sft_loss(logits, torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 1, dtype=torch.bool)).backward()
    assert logits.grad is not None and not logits.grad.any()


def test_kl_loss_by_hand_and_zero_against_itself():
    p, q = torch.tensor([[[0.75, 0.25]]]).log(), torch.tensor([[[0.5, 0.5]]]).log()
    kept = torch.ones(1, 1, dtype=torch.bool)
    assert float(kl_loss(p, q, kept)) == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert float(kl_loss(q, p, kept)) == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2))
    assert float(kl_loss(p, p + 7, kept)) == pytest.approx(0, abs=1e-6)


def test_binary_loss_by_hand_with_a_soft_label():
    loss = binary_loss(torch.tensor([[math.log(3), 9.0]]), torch.tensor([[0.5, 0.0]]), torch.tensor([[True, False]]))
    assert float(loss) == pytest.approx(-(0.5 * math.log(0.75) + 0.5 * math.log(0.25)))


# tasks


def test_a_chain_is_worked_from_left_to_right():
    prompts = encode_rows(["3+4*2-5=", "6*6....=", "1-2*3..="])
    assert [decode(row) for row in CHAIN.targets(prompts)] == ["0;0;2;#2", "1;#1", "6;4;#4"]
    assert [decode(row) for row in replace(CHAIN, worked=False).targets(prompts)] == ["#2", "#1", "#4"]
    assert [word_of(int(code)) for code in CHAIN.answers(prompts)] == ["2", "1", "4"]
    assert CHAIN.dials(prompts).tolist() == [3, 1, 2]


def test_every_answer_of_a_chain_is_about_equally_likely():
    prompts = Chain(modulus=5, most=4).prompts(rng(), 20_000, 4)
    counts = np.unique(Chain(modulus=5, most=4).answers(prompts), return_counts=True)[1]
    assert len(counts) == 5 and counts.min() > 0.95 * 4000


def test_addition_shows_columns_and_carries():
    prompts = encode_rows(["957+068=", "000+001="])
    worked, direct = Addition(worked=True, most=3), Addition(most=3)
    assert [decode(row) for row in worked.targets(prompts)] == ["51;21;01;#1025", "10;00;00;#0001"]
    assert [decode(row) for row in direct.targets(prompts)] == ["#1025", "#0001"]


def test_addition_agrees_with_arithmetic():
    task = Addition(most=5)
    prompts = task.prompts(rng(), 300, 4)
    for row, code in zip(prompts, task.answers(prompts), strict=True):
        a, b = decode(row).rstrip("=").split("+")
        assert len(str(int(a))) <= 4 and word_of(int(code)) == f"{int(a) + int(b):06d}"


def test_facts_are_fixed_by_their_seed_and_keys_are_distinct():
    facts = Facts(count=500, seed=3)
    every = facts.every()
    assert len(np.unique(every, axis=0)) == 500
    assert np.array_equal(Facts(count=500, seed=3).targets(every), facts.targets(every))
    assert not np.array_equal(Facts(count=500, seed=4).every(), every)
    batch = facts.sample_batch(rng(), 50)
    assert facts.check(batch.prompts_BP, batch.targets_BT).all()


@pytest.mark.parametrize("task", [CHAIN, replace(CHAIN, worked=False), Addition(True), Addition(), Facts(30)])
def test_a_target_is_right_and_any_other_answer_wrong(task):
    pairs = task.sample_batch(rng(), 40, 2)
    assert task.check(pairs.prompts_BP, pairs.targets_BT).all()
    assert pairs.targets_BT.shape[1] <= task.longest(2)
    spoilt = pairs.targets_BT.copy()
    at = (spoilt == END).argmax(1) - 1
    spoilt[np.arange(40), at] = np.where(spoilt[np.arange(40), at] == 3, 4, 3)
    assert not task.check(pairs.prompts_BP, spoilt).any()
    assert {decode(p) for p in pairs.prompts_BP} == {decode(p) for p in task.sample_batch(rng(), 40, 2).prompts_BP}


def test_a_cut_turn_gives_no_answer_and_equal_answers_equal_codes():
    rows = encode_rows(["1;#25$", "#25$", "#25", "#$", "25$", "#5$", "#1#2$"])
    codes = read_answers(rows)
    assert codes[0] == codes[1] != codes[5]
    assert (codes[[2, 3, 4]] == UNREADABLE).all()
    assert word_of(int(codes[0])) == "25" and word_of(int(codes[6])) == "1#2"


def test_a_dial_or_size_that_the_task_has_not_is_refused():
    for bad in (lambda: CHAIN.prompts(rng(), 1, 4), lambda: Addition(most=3).prompts(rng(), 1, 4)):
        with pytest.raises(BadInput, match="this one has 1 to 3"):
            bad()
    for bad in (
        lambda: Chain(modulus=8),
        lambda: Chain(operators="+/"),
        lambda: Chain(37, operators="+"),
        lambda: Addition(most=9),
        lambda: Facts(count=10**6),
    ):
        with pytest.raises(BadInput):
            bad()


def test_a_mixture_keeps_its_shares_and_what_is_learned():
    source = mixture([source_of(CHAIN, [1, 2, 3]), source_of(Facts(20), [1])], [3, 1])
    drawn = source(rng(), 4000)
    facts = drawn.tokens_BT[:, 0] == encode("?")[0]
    assert len(facts) == 4000 and abs(facts.mean() - 0.25) < 0.03
    assert not drawn.learned_BT[:, 0].any() and drawn.learned_BT[drawn.tokens_BT == ANSWER].all()
    assert not drawn.learned_BT[drawn.tokens_BT == PAD].any()


# the transformer


def test_the_cache_changes_no_logit():
    model, tokens = tiny(), torch.from_numpy(CHAIN.sample_batch(rng(), 5, 3).prompts_BP)
    cache = model.begin(5, 8)
    with torch.no_grad():
        parts = [model(tokens[:, :5], cache), model(tokens[:, 5:6], cache), model(tokens[:, 6:8], cache)]
        assert torch.allclose(torch.cat(parts, 1), model(tokens), atol=1e-5)


def test_padding_on_the_left_changes_no_logit():
    model, tokens = tiny(), torch.from_numpy(encode_rows(["3+4=", "5-6="]))
    padded = torch.cat([torch.zeros(2, 3, dtype=torch.long), tokens], 1)
    padded[1, :3] = torch.tensor(encode("1+2"))
    with torch.no_grad():
        logits = model(padded, model.begin(2, 7, padded != PAD))[0, -1]
        assert torch.allclose(logits, model(tokens[:1])[0, -1], atol=1e-5)


def test_a_row_longer_than_the_context_is_refused():
    with pytest.raises(BadInput, match="does not fit a context of 48"):
        tiny()(torch.zeros(1, 49, dtype=torch.long))
    with pytest.raises(BadInput, match="heads"):
        Shape(width=10, heads=4)


# sampling


def test_the_same_seed_gives_the_same_tokens_and_another_gives_others():
    model, prompts = tiny(), CHAIN.prompts(rng(), 6, 2)
    a, b, c = (generate(model, prompts, most=6, n=4, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(a.tokens_BT, b.tokens_BT) and np.array_equal(a.logp_BT, b.logp_BT)
    assert not np.array_equal(a.tokens_BT, c.tokens_BT)


def test_sampled_log_probabilities_are_those_of_the_model():
    model, prompts = tiny(), CHAIN.prompts(rng(), 3, 2)
    out = generate(model, prompts, most=5, n=2, temperature=0.7)
    rows = torch.from_numpy(np.concatenate([prompts.repeat(2, 0), out.tokens_BT], 1))
    with torch.no_grad():
        logits = model(rows)[:, prompts.shape[1] - 1 : -1]
    logits[..., PAD] = -torch.inf
    kept = out.tokens_BT != PAD
    assert np.allclose(token_logp(logits, rows[:, prompts.shape[1] :]).numpy()[kept], out.logp_BT[kept], atol=1e-4)
    assert not out.logp_BT[~kept].any() and (out.lengths == kept.sum(1)).all()


def test_samples_follow_the_model_at_the_asked_temperature():
    model, prompt = tiny(), encode_rows(["3+4="])
    with torch.no_grad():
        logits = model(torch.from_numpy(prompt))[0, -1]
    logits[PAD] = -torch.inf
    share = (logits / 0.5).softmax(-1).numpy()
    drawn = generate(model, prompt, most=1, n=20_000, temperature=0.5).tokens_BT[:, 0]
    assert np.abs(np.bincount(drawn, minlength=len(share)) / 20_000 - share).max() < 0.02
    assert greedy(model, prompt, most=1).tokens_BT[0, 0] == share.argmax()


def test_nothing_follows_the_end():
    out = generate(tiny(), CHAIN.prompts(rng(), 50, 2), most=30, n=4, temperature=2.0)
    ended = (out.tokens_BT == END).cumsum(1) - (out.tokens_BT == END) > 0
    assert ended.any() and not out.tokens_BT[ended].any() and (out.tokens_BT[~ended] != PAD).all()


# training


def test_the_same_seed_gives_the_same_weights():
    runs = []
    for seed in (0, 0, 1):
        model = tiny()
        train(model, source_of(CHAIN, [1, 2]), replace(QUICK, seed=seed))
        runs.append(model)
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])


def test_a_killed_and_resumed_run_ends_as_an_uninterrupted_one(tmp_path):
    whole, killed, path = tiny(), tiny(), tmp_path / "run.pt"
    spent = train(whole, source_of(CHAIN, [1, 2]), QUICK)
    drawn = iter(range(9))

    def dying(generator: np.random.Generator, n: int) -> Examples:
        if next(drawn) == 8:
            raise KeyboardInterrupt
        return source_of(CHAIN, [1, 2])(generator, n)

    with pytest.raises(KeyboardInterrupt):
        train(killed, dying, QUICK, checkpoint=path, every_steps=5)
    resumed = tiny(seed=9)
    again = train(resumed, source_of(CHAIN, [1, 2]), QUICK, checkpoint=path, every_steps=5)
    assert same(whole, resumed) and not list(tmp_path.glob("*.draft"))
    assert replace(again, seconds=0.0) == replace(spent, seconds=0.0)
    assert train(resumed, source_of(CHAIN, [1]), QUICK, checkpoint=path) == again


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_training_and_leaves_the_last_checkpoint(tmp_path, factor):
    model, path, count = tiny(), tmp_path / "a.pt", itertools.count(1)

    def loss_of(rng):
        value = model(torch.ones(2, 3, dtype=torch.long)).square().mean()
        return Loss(value * (factor if next(count) == 5 else 1.0), 6)

    with pytest.raises(BadInput, match=r"loss of step 5 is (nan|inf); set a lower lr .*the last checkpoint stays"):
        fit(model, loss_of, replace(QUICK, steps=8), checkpoint=path, every_steps=2)
    kept = torch.load(path, weights_only=True)
    assert kept["spent"]["steps"] == 4 and all(weight.isfinite().all() for weight in kept["weights"].values())
    assert all(weight.isfinite().all() for weight in model.parameters())


def test_a_checkpoint_of_another_recipe_or_a_broken_one_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    train(tiny(), source_of(CHAIN, [1]), QUICK, checkpoint=path)
    with pytest.raises(BadInput, match="another recipe"):
        train(tiny(), source_of(CHAIN, [1]), replace(QUICK, lr=1e-4), checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInput, match="cannot be read"):
        train(tiny(), source_of(CHAIN, [1]), QUICK, checkpoint=path)


def test_a_model_on_file_is_the_same_model(tmp_path):
    save_model(tiny(3), tmp_path / "m.pt")
    assert same(load_model(tmp_path / "m.pt"), tiny(3))
    with pytest.raises(BadInput, match="train the model first"):
        load_model(tmp_path / "none.pt")


def test_no_text_to_learn_from_is_told_before_training():
    none = examples(Facts(4, letters=1).sample_batch(rng(), 3))
    with pytest.raises(BadInput, match="no text to learn from: no problem has a right one"):
        resampled(Examples(none.tokens_BT[:0], none.learned_BT[:0]))


def test_training_learns_what_it_is_shown():
    rows = resampled(examples(Facts(4, letters=1).sample_batch(rng(), 30)))
    model = Transformer(replace(TINY, width=16), seed=0)
    spent = train(model, rows, Recipe(steps=150, rows=16, lr=1e-2))
    facts = Facts(4, letters=1)
    assert facts.check(facts.every(), greedy(model, facts.every(), most=3).tokens_BT).all()
    assert spent.loss < 0.3


def test_flops_of_training_are_six_a_weight_and_token():
    model, tokens = tiny(), 0

    def counted(generator: np.random.Generator, n: int) -> Examples:
        nonlocal tokens
        drawn = source_of(CHAIN, [1, 3])(generator, n)
        tokens += int((drawn.tokens_BT != PAD).sum())
        return drawn

    spent = train(model, counted, QUICK)
    assert spent.steps == 12 and spent.tokens == tokens and spent.flops == 6 * model.parameter_count * tokens


def test_a_reference_pass_is_charged_and_keeps_the_model_near():
    old, far, near = tiny(), tiny(), tiny()
    source, recipe = source_of(CHAIN, [2]), replace(QUICK, steps=60)
    spent = train(far, source, recipe)
    anchored = train(near, source, recipe, reference=old, kl=10.0)
    tokens, labels = (torch.from_numpy(a) for a in (source(rng(), 50).tokens_BT, source(rng(), 50).learned_BT))
    with torch.no_grad():
        distances = [float(kl_loss(m(tokens), old(tokens), labels)) for m in (far, near)]
    assert distances[1] < 0.2 * distances[0]
    assert anchored.flops == spent.flops + 2 * old.parameter_count * spent.tokens


def test_only_the_chosen_weights_move_and_are_charged():
    model = tiny()
    spent = train(model, source_of(CHAIN, [2]), QUICK, trained=lambda name: name.startswith("blocks.1."))
    for name, weight in model.named_parameters():
        assert torch.equal(weight, tiny().get_parameter(name)) != name.startswith("blocks.1."), name
    upper = sum(weight.numel() for weight in model.blocks[1].parameters())
    assert spent.flops == (4 * model.parameter_count + 2 * upper) * spent.tokens


def test_an_adapter_begins_as_nothing_and_merges_to_the_same_function():
    model, tokens = tiny(), torch.from_numpy(CHAIN.prompts(rng(), 4, 3))
    lora = adapted(model, rank=2)
    with torch.no_grad():
        assert torch.equal(lora(tokens), model(tokens))
    train(lora, source_of(CHAIN, [2]), QUICK)
    whole = merged(lora)
    with torch.no_grad():
        assert torch.allclose(whole(tokens), lora(tokens), atol=1e-5) and not torch.allclose(
            whole(tokens), model(tokens)
        )
    assert same(model, tiny()) and whole.parameter_count == model.parameter_count < lora.parameter_count
    assert torch.equal(whole.embedding.weight, model.embedding.weight)


def test_replay_brings_its_share_of_rows():
    seen = []

    def facts(generator: np.random.Generator, n: int) -> Examples:
        seen.append(n)
        return source_of(Facts(9), [1])(generator, n)

    train(tiny(), source_of(CHAIN, [1]), replace(QUICK, rows=40, steps=50), replay=facts, replay_share=0.25)
    assert abs(sum(seen) / (50 * 40) - 0.25) < 0.04


def test_the_learning_rate_warms_up_and_falls_to_a_tenth():
    recipe = Recipe(steps=1000, lr=1.0, warmup_steps=10)
    assert recipe.rate(0) == pytest.approx(0.1) and recipe.rate(10) == pytest.approx(1, abs=1e-3)
    assert recipe.rate(999) == pytest.approx(0.1, abs=1e-3)
    assert replace(recipe, schedule="constant").rate(999) == 1.0
    with pytest.raises(BadInput, match="cosine or constant"):
        Recipe(steps=1, schedule="linear")


def test_any_loss_can_be_fitted():
    model = torch.nn.Linear(1, 1)
    spent = fit(model, lambda _: Loss((model(torch.ones(1)) - 3).square().sum(), 1), Recipe(400, lr=0.05))
    assert float(model(torch.ones(1)).detach()) == pytest.approx(3, abs=0.05) and spent.tokens == 400
    assert (spent + spent).tokens == 800 and Spent().flops == 0


# proxy-tuning


def test_steering_by_nothing_is_the_base_and_by_the_base_itself_the_expert():
    a, b, c = tiny(0), tiny(1), tiny(2)
    tokens = torch.from_numpy(CHAIN.prompts(rng(), 3, 2))

    def logits(model):
        with torch.no_grad():
            return model(tokens, model.begin(3, 8))

    assert torch.equal(logits(Steered(a, b, c, alpha=0.0)), logits(a))
    assert torch.allclose(logits(Steered(a, b, b)), logits(a), atol=1e-6)
    assert torch.allclose(logits(Steered(a, b, a)), logits(b), atol=1e-5)
    prompts, one = CHAIN.prompts(rng(), 3, 2), Steered(a, b, b)
    assert np.array_equal(greedy(one, prompts, most=5).tokens_BT, greedy(a, prompts, most=5).tokens_BT)
    lengths = np.array([3, 5])
    assert sampling_flops(one, 8, lengths, prompts=2) == 3 * sampling_flops(a, 8, lengths, prompts=2)


# selection, verifier, beam


def test_votes_are_counted_weighted_and_never_given_to_the_unreadable():
    codes = np.array([[5, 7, 7], [UNREADABLE, UNREADABLE, 4], [UNREADABLE] * 3, [1, 2, 3]])
    ratings = np.array([[0.9, 0.3, 0.4], [0.9, 0.9, 0.1], [1.0, 1, 1], [0.1, 0.3, 0.2]])
    assert majority(codes).tolist() == [7, 4, UNREADABLE, 1]
    assert weighted(codes, ratings).tolist() == [5, 4, UNREADABLE, 2]
    assert best(codes, ratings).tolist() == [5, 4, UNREADABLE, 2]


def test_a_verifier_learns_to_tell_right_from_wrong():
    facts = Facts(4, letters=1)
    pairs = facts.sample_batch(rng(), 200)
    wrong = pairs.targets_BT.copy()
    wrong[:, 1] = facts.targets(facts.every())[rng(1).integers(0, 4, 200), 1]
    prompts, texts = pairs.prompts_BP.repeat(2, 0), np.stack([pairs.targets_BT, wrong], 1).reshape(400, -1)
    right = facts.check(prompts, texts)
    verifier = Verifier(replace(TINY, width=16), seed=0)
    assert np.allclose(rate(verifier, prompts, texts), 0.5)
    train_verifier(verifier, outcome_rows(prompts, texts, right), Recipe(steps=200, rows=32, lr=1e-2))
    ratings = rate(verifier, prompts, texts)
    assert ((ratings > 0.5) == right).mean() > 0.9
    assert not facts.check(facts.every(), greedy(verifier.trunk, facts.every(), most=3).tokens_BT).all()


def test_language_modelling_beside_it_learns_from_the_right_rows_alone():
    facts = Facts(4, letters=1)
    every = facts.every()
    wrong = np.roll(facts.targets(every), 1, 0)
    prompts, texts = np.concatenate([every, every]), np.concatenate([facts.targets(every), wrong])
    verifier = Verifier(replace(TINY, width=16), seed=0)
    rows = outcome_rows(prompts, texts, facts.check(prompts, texts))
    train_verifier(verifier, rows, Recipe(steps=80, rows=32, lr=1e-2), lm=1.0)
    assert facts.check(every, greedy(verifier.trunk, every, most=3).tokens_BT).all()


def test_a_rating_ends_where_the_text_does():
    verifier = Verifier(TINY, seed=0)
    torch.nn.init.normal_(verifier.head.weight, generator=torch.Generator().manual_seed(0))
    prompts = encode_rows(["3+4=", "3+4="])
    a = rate(verifier, prompts, encode_rows(["1;", "1;#2$"]))
    assert np.allclose(a[0], rate(verifier, prompts[:1], encode_rows(["1;"]))[0], atol=1e-6)


def test_process_labels_are_the_shares_of_right_rollouts():
    model, task = tiny(), Chain(modulus=5, worked=True, most=1)
    train(model, source_of(task, [1]), replace(QUICK, steps=60, rows=32, lr=2e-2))
    prompts = task.prompts(rng(), 20, 1)
    texts = encode_rows(["1;#1$"] * 10 + ["4;2;"] * 10)
    codes = task.answers(prompts)
    rows = process_rows(model, prompts, texts, codes, rollouts=16, seed=5)
    P = prompts.shape[1]
    assert rows.known_BT[0].nonzero()[0].tolist() == [P + 1, P + 4]
    assert rows.known_BT[10].nonzero()[0].tolist() == [P + 1, P + 3]
    assert np.array_equal(rows.label_BT[:10, P + 4], is_right(texts, codes)[:10].astype(np.float32))
    begun = np.concatenate([prompts, texts[:, :2]], 1)
    rest = generate(model, begun, most=3, n=16, seed=5 + 2)
    whole = np.concatenate([texts[:, :2].repeat(16, 0), rest.tokens_BT], 1)
    shares = is_right(whole, codes.repeat(16)).reshape(20, 16).mean(1)
    assert np.allclose(rows.label_BT[:, P + 1], shares)
    assert rows.flops > sampling_flops(model, P + 2, rest.lengths, prompts=0)
    assert join([rows, rows]).flops == 2 * rows.flops and len(join([rows, rows]).tokens_BT) == 40


def test_beams_keep_what_the_verifier_rates_highest():
    model, task = tiny(), Chain(modulus=5, worked=True, most=2)
    train(model, source_of(task, [2]), replace(QUICK, steps=80, rows=32, lr=2e-2))
    verifier, prompts = Verifier(TINY, seed=1, trunk=model), task.prompts(rng(), 12, 2)
    torch.nn.init.normal_(verifier.head.weight, generator=torch.Generator().manual_seed(0))
    found = beam_search(model, verifier, prompts, n=8, width=4, most=4, seed=1)
    assert found.completions_MNT.shape == (12, 8, 4) and found.ratings_MN.shape == (12, 8)
    first = generate(model, prompts.repeat(8, 0), most=2, seed=1).tokens_BT
    ratings = rate(verifier, prompts.repeat(8, 0), first).reshape(12, 8)
    for row, begun, rating in zip(found.completions_MNT, first.reshape(12, 8, 2), ratings, strict=True):
        kept = np.argsort(-rating, kind="stable")[:2]
        assert np.array_equal(row[:, :2], begun[kept].repeat(4, 0))
    assert found.rated_tokens == found.sampled_tokens + 12 * prompts.shape[1]
    assert found.flops > 2 * (model.parameter_count + verifier.parameter_count) * found.rated_tokens * 0.99
    with pytest.raises(BadInput, match="does not divide"):
        beam_search(model, verifier, prompts, n=6, width=4)


# costs and bridges


def test_bulk_flops_are_the_ledgers():
    model, lengths = tiny(), np.array([3, 3, 5])
    card = card_of(model)
    one = sum(
        sample_flops(card, Usage(8, int(length)), with_prompt=place == 0) or 0 for place, length in enumerate(lengths)
    )
    assert sampling_flops(model, 8, lengths, prompts=1) == one
    verifier = Verifier(TINY)
    read = sample_flops(card_of(verifier), Usage(9, 0), with_prompt=True)
    assert rating_flops(verifier, np.array([9, 9])) == 2 * (read or 0)


def ask(model: TinyModel, *contents: str, n: int = 1, start: int = 0, sampling: Sampling | None = None):
    roles = ("user", "assistant")
    prompt = tuple(Message(roles[place % 2], content) for place, content in enumerate(contents))
    return asyncio.run(model.sample(prompt, n, start, sampling or Sampling(temperature=1.0, max_tokens=8)))


def test_an_attempt_depends_on_prompt_settings_and_number_alone():
    whole = ask(TinyModel(tiny()), "3+4=", n=20).attempts
    assert [a.index for a in whole] == list(range(20)) and len({a.text for a in whole}) > 10
    later = ask(TinyModel(tiny()), "3+4=", n=3, start=15).attempts
    assert [a.text for a in later] == [a.text for a in whole[15:18]]
    other = ask(TinyModel(tiny()), "3+4=", n=20, sampling=Sampling(temperature=1.0, max_tokens=8, seed=1)).attempts
    assert [a.text for a in other] != [a.text for a in whole]
    assert [a.usage.leads for a in later] == [True, False, False]


def test_a_begun_turn_is_continued_and_a_finished_one_closed():
    model = TinyModel(tiny())
    assert ask(model, "3+4=", "1;", n=4).attempts[0].text == ask(model, "3+4=1;", n=4).attempts[0].text
    assert ask(model, "3+4=", "#0", "?", n=4).attempts[0].usage.prompt_tokens == len("3+4=#0$?")


def test_a_stop_text_ends_the_attempt_and_cut_ones_say_so():
    model = TinyModel(tiny())
    free = ask(model, "3+4=", n=16).attempts
    mark = free[0].text[2]
    stopped = ask(model, "3+4=", n=16, sampling=Sampling(temperature=1.0, max_tokens=8, stop=(mark,), logprobs=True))
    assert all(mark not in a.text for a in stopped.attempts)
    first = stopped.attempts[0]
    assert first.finish == f"stop:{mark}" and first.usage.completion_tokens == len(first.text) + 1
    assert first.logprob is not None and first.logprob < 0 and free[0].logprob is None
    assert first.drawn_logprob == pytest.approx(first.logprob, abs=1e-6)
    assert (
        {a.finish for a in free} <= {"eos", "length"}
        and any(a.finish == "length" for a in free)
        and all(len(a.text) == 8 for a in free if a.finish == "length")
    )


def test_what_the_laboratory_cannot_spell_or_hold_is_refused():
    model = TinyModel(tiny())
    for said in (ask(model, "Hello"), ask(model, "1" * 48), ask(model, "1=", sampling=Sampling(top_p=0.5))):
        assert not said.attempts and [waste.kind for waste in said.waste] == ["refused"]
    assert "'H'" in ask(model, "Hello").waste[0].reason


def test_another_models_fingerprint_is_another():
    assert TinyModel(tiny(0)).card.fingerprint != TinyModel(tiny(1)).card.fingerprint
    assert TinyModel(tiny(0)).card.fingerprint == TinyModel(tiny(0)).card.fingerprint


def test_items_carry_the_answer_that_exact_reads():
    verifier = exact(pattern=ANSWER_PATTERN)
    for item in items_of(CHAIN, 10, 3):
        text = decode(CHAIN.targets(encode_rows([item.problem.prompt[0].content]))[0])
        answer = verifier.read(text)
        assert answer is not None and verifier.check(answer, item.problem, item.reference).is_right
    assert verifier.read("1;2;") is None


def test_a_rater_rates_as_its_verifier_does():
    verifier = Verifier(TINY, seed=0)
    torch.nn.init.normal_(verifier.head.weight, generator=torch.Generator().manual_seed(0))
    item = items_of(CHAIN, 1, 2, ratable=True)[0]
    ratings = asyncio.run(TinyRater(verifier).rate(item.problem, ["1;", "1;2;#2"]))
    prompt = encode_rows([item.problem.prompt[0].content] * 2)
    assert item.problem.ratable and np.allclose(
        ratings, rate(verifier, prompt, encode_rows(["1;", "1;2;#2$"])), atol=1e-6
    )


def test_methods_and_the_ledger_run_on_a_tiny_model(tmp_path):
    stratum = Stratum("lab", items_of(CHAIN, 3, 2), exact(pattern=ANSWER_PATTERN))
    arms = [Arm("once", {}, methods.once), Arm("vote", {"n": 4}, lambda problem: methods.vote(problem, n=4))]

    async def study():
        with Ledger(tmp_path / "l") as ledger:
            clerk = Clerk(TinyModel(tiny()), ledger, PRICES)
            return await collect([stratum], {"lab": arms}, 4, clerk, lanes=1), clerk.fresh_calls

    (measured,), calls = asyncio.run(study())
    again, none = asyncio.run(study())
    assert calls > none == 0 and verify(tmp_path / "l").discrepancies == ()
    assert [o.answer for o in again[0].outcomes] == [o.answer for o in measured.outcomes]
    for pool, outcome in zip(measured.pools, measured.outcomes[3:], strict=True):
        lengths = np.array([attempt.usage.completion_tokens for attempt in pool.attempts])
        assert outcome.cost.flops == sampling_flops(tiny(), 8, lengths, prompts=1)


# presets


def test_presets_build_and_an_unknown_one_offers_the_nearest():
    for name, chosen in PRESETS.items():
        built = build(name, share=0.001)
        for part in (part for stage in chosen.stages for part in stage.parts):
            hardest = max(part.dials)
            longest = part.task.prompts(rng(), 1, hardest).shape[1] + part.task.longest(hardest)
            assert longest <= chosen.shape.context == built.model.shape.context
        assert len(chosen.stages) <= built.spent.steps <= 20
    with pytest.raises(UnknownName, match="did you mean"):
        preset(next(iter(PRESETS))[:-1])


def test_a_preset_is_taken_up_where_its_checkpoint_left_it(tmp_path):
    small = Preset(
        TINY, (Stage(QUICK, (Part(CHAIN, (1,)),)), Stage(QUICK, (Part(CHAIN, (1, 2)), Part(Facts(9), (1,)))))
    )
    whole = build(small, checkpoint=tmp_path / "small.pt")
    (tmp_path / "small.pt.1").unlink()
    again = build(small, checkpoint=tmp_path / "small.pt")
    assert same(again.model, whole.model) and again.spent.tokens == whole.spent.tokens and whole.spent.steps == 24


def test_a_preset_goes_on_from_a_model_that_it_begins_as():
    stages, begin = (Stage(QUICK, (Part(CHAIN, (1,)),)),), tiny(3)
    trained = Transformer(TINY, seed=3)
    train(trained, stages[0].source, QUICK)
    assert build(Preset(TINY, stages), begin=begin).model is begin and same(begin, trained)


def test_stacked_examples_are_padded_on_the_right():
    a, b = Examples(np.array([[2, 3]]), np.array([[False, True]])), Examples(np.array([[4]]), np.array([[True]]))
    assert stack([a, b]).tokens_BT.tolist() == [[2, 3], [4, PAD]]
    assert stack([a, b]).learned_BT.tolist() == [[False, True], [True, False]]
