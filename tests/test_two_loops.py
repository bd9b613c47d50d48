"""TRL's loop and the laboratory's on one batch: the same loss has the same gradient, on every weight.

One tiny Llama of the laboratory's alphabet is loaded by both. The laboratory samples and learns; what it sampled is
given to the other loop as its rollouts. The reference is a model that the policy has moved away from.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from tiny_loops import gradients, named, one_turn, save_llama, trls, two_turns  # noqa: E402
from tiny_trl import RECIPE, job  # noqa: E402

from trueup.core.stratum import Stratum  # noqa: E402
from trueup.run.grading import is_right  # noqa: E402
from trueup.train.control_tokens import find_modes  # noqa: E402
from trueup.train.laboratory.examples import Pairs, examples  # noqa: E402
from trueup.train.laboratory.items import items_of  # noqa: E402
from trueup.train.laboratory.loop import Recipe  # noqa: E402
from trueup.train.laboratory.policy import attempts_at, policy_logits, policy_logp, reinforce  # noqa: E402
from trueup.train.laboratory.preferences import Preferences, train_dpo  # noqa: E402
from trueup.train.laboratory.pretrained import pretrained  # noqa: E402
from trueup.train.laboratory.supervised import train  # noqa: E402
from trueup.train.laboratory.tasks import Addition  # noqa: E402
from trueup.train.laboratory.tasks.two_turns import TwoTurns  # noqa: E402
from trueup.train.laboratory.turn_policy import reinforce_turns, score_stages  # noqa: E402
from trueup.train.laboratory.vocabulary import CHARACTERS, PAD, encode_rows  # noqa: E402
from trueup.train.losses.degrpo import degrpo_loss, degrpo_token_loss  # noqa: E402
from trueup.train.losses.policy import dapo_loss, dr_grpo_loss, grpo_loss, kl_k3, token_kl, token_mean  # noqa: E402
from trueup.train.losses.score import stage_one_loss, stage_one_reward, stage_two_reward  # noqa: E402
from trueup.train.network import load  # noqa: E402
from trueup.train.offline.dpo import Pair, Taste, preferred, text_logp  # noqa: E402
from trueup.train.offline.loop import Course, fit  # noqa: E402
from trueup.train.offline.supervised import Reference, logits_of, supervised  # noqa: E402
from trueup.train.real.modes import by_mode  # noqa: E402
from trueup.train.real.objective import right_or_wrong  # noqa: E402
from trueup.train.real.objectives import each_turn, in_stages  # noqa: E402
from trueup.train.texts import Tokens  # noqa: E402
from trueup.verifiers.exact import exact  # noqa: E402

GROUP, ROWS, BETA, BETA2, ALPHA = 4, 8, 0.3, 0.7, 0.2
TASK = Addition(most=2)
LIMIT = TASK.longest(2)
TWO_TURNS = TwoTurns(TASK, 2)
STILL = Recipe(steps=1, rows=ROWS, lr=0.0, clip=float("inf"))
TRL = replace(RECIPE, lora_rank=0, temperature=1.0, random_reward=False, beta=0.0)
ITEMS = tuple(replace(item, reference=[*"01234567l"]) for item in items_of(TASK, ROWS // GROUP, 2))
SUMS = Stratum("sums", ITEMS, exact(pattern="([0-9a-z])"))
"""A text is right whose last letter or digit is one of the reference's: untaught models are so half of the time."""
PROMPTS = encode_rows([item.problem.prompt[0].content for item in ITEMS])
FIRST, SECOND = score_stages(alpha=10.0, beta1=BETA, beta2=BETA2)
CREDITED = {FIRST: stage_one_reward, SECOND: stage_two_reward}
TEXTS = examples(Pairs(PROMPTS.repeat(4, 0), encode_rows(["#046$", "#$", "a$", "#1;#2$", "b:$", "$", "ee$", "#0$"])))
OTHERS = examples(Pairs(PROMPTS.repeat(4, 0), encode_rows(["#1$", "#047$", "$", "e$", "#99$", "a;b$", "$", "##$"])))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("moved") / "model", 0.05)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def same(found, wanted):
    assert found.keys() == wanted.keys()
    size = max(float(one.abs().max()) for one in wanted.values())
    assert size > 1e-3, "nothing to compare"
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=1e-5 * size, rtol=1e-4, msg=partial("{}: {}".format, name))


def earned(episodes, reward):
    """The rewards of each attempt, axes BK."""
    rights = [[is_right(SUMS.verifier, ITEMS[one.item], turn.text) for turn in one.turns] for one in episodes]
    return np.array([reward(*pair) for pair in zip(episodes, rights, strict=True)], np.float32)


def attempted(base, moved, loss, objective, *, kl=0.0):
    """A step of the laboratory's loop on attempts of its own: its loss, its gradients, and the attempts."""
    policy, episodes = pretrained(str(moved)), []

    def reward(prompts_BP, completions_BT):
        episodes.extend(one_turn(prompts_BP, completions_BT, GROUP))
        assert len({len(one.turns[0].ids) for one in episodes}) > 2, "lengths must differ for the average to matter"
        return earned(episodes, objective.reward)[:, 0]

    roll = attempts_at(policy, lambda rng, n: PROMPTS[:n], reward, group=GROUP, most=LIMIT)
    spent = reinforce(policy, roll, STILL, loss=loss, reference=pretrained(str(base)), kl=kl)
    return spent.loss, named(gradients(policy)), episodes


def corrected(base, moved, stage):
    """The same with episodes of two turns, at a stage of SCoRe; and the episodes as rows."""
    policy, kept = pretrained(str(moved)), []

    def grade(found, rng):
        kept.append(found)
        return earned(two_turns(found, TWO_TURNS, GROUP), right_or_wrong)

    given = {"reference": pretrained(str(base)), "grade": grade, "group": GROUP}
    reinforce_turns(policy, TWO_TURNS, lambda rng, n: PROMPTS[:n], [replace(stage, share=1.0)], STILL, **given)
    return named(gradients(policy)), kept[0]


def excess(base, moved, rows_BT, mean):
    """Gradients of what TRL's estimate of the KL has more than the exact one, summed up by `mean`."""
    policy, tokens_BT = pretrained(str(moved)), torch.from_numpy(rows_BT)
    logits_BTV, reference_BTV = policy_logits(policy, tokens_BT), policy_logits(pretrained(str(base)), tokens_BT)
    reference_BTV = reference_BTV.detach()
    logp_BT, reference_BT = (policy_logp(one_BTV, tokens_BT) for one_BTV in (logits_BTV, reference_BTV))
    mean(unbiased(logp_BT, reference_BT) - token_kl(logits_BTV, reference_BTV)).backward()
    return named(gradients(policy))


def trls_value(base, moved, made, credited, *, leave_one_out, beta1=0.0, beta2=0.0):
    """SCoRe's loss of these episodes as TRL tells it: with the policies' ratio, which is 1, where the paper has log p.

    `credited` makes of rewards what each turn is credited with; axes BK.
    """
    tokens_BT = torch.from_numpy(made.rows(TWO_TURNS))
    logp_BT, reference_BT = (
        policy_logp(policy_logits(pretrained(str(one)), tokens_BT), tokens_BT).detach() for one in (moved, base)
    )
    reward_BK = torch.from_numpy(earned(two_turns(made, TWO_TURNS, GROUP), right_or_wrong))
    credit_PGK = credited(reward_BK).view(-1, GROUP, 2)
    advantage_PGK = credit_PGK - credit_PGK.mean(1, keepdim=True)
    advantage_BK = advantage_PGK.view(-1, 2) * (GROUP / (GROUP - 1) if leave_one_out else 1)
    turn_BT = torch.from_numpy(made.turns(TWO_TURNS)[:, 1:])
    told = (torch.ones(turn_BT.shape), advantage_BK, kl_k3(logp_BT, reference_BT), turn_BT)
    return float(stage_one_loss(*told, beta1=beta1, beta2=beta2)) / LIMIT


def unbiased(logp, reference_logp):
    return kl_k3(logp, reference_logp) * (logp - logp.detach()).exp()


@pytest.mark.parametrize(
    ("norm", "loss"),
    [
        ("sequence", grpo_loss),
        ("token", partial(dapo_loss, clip_high=0.2)),
        ("constant", partial(dr_grpo_loss, length=LIMIT)),
    ],
)
def test_grpo_is_the_same_in_both(base, moved, tmp_path, norm, loss):
    objective = each_turn(1, divide_by_std=False)
    value, wanted, episodes = attempted(base, moved, loss, objective)
    told, found = trls(base, moved, tmp_path, SUMS, replace(TRL, norm=norm), lambda _: objective, episodes)
    same(found, wanted)
    assert told == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize(("average", "loss"), [("paper", degrpo_loss), ("reference_code", degrpo_token_loss)])
def test_degrpo_is_the_same_in_both(base, moved, tmp_path, average, loss):
    find = partial(find_modes, prompt=ITEMS[0].problem.prompt, think=":", short="!")
    make = by_mode(find, think_reward=0.5, wrong_reward=-1.0, alpha=ALPHA, average=average, divide_by_std=False)
    trainee = load(base, device="cpu", dtype="float32", lora_rank=0, template="", seed=0)
    value, wanted, episodes = attempted(base, moved, partial(loss, alpha=ALPHA), make(trainee.vocabulary))
    assert len(set(earned(episodes, make(trainee.vocabulary).reward)[:, 0])) > 1
    told, found = trls(base, moved, tmp_path, SUMS, replace(TRL, norm="sequence"), make, episodes)
    same(found, wanted)
    assert told == pytest.approx(value, abs=1e-4)


def test_with_a_kl_grpo_differs_by_its_estimate_alone(base, moved, tmp_path):
    objective, loss = each_turn(1, divide_by_std=False), partial(dapo_loss, clip_high=0.2)
    _, exact, episodes = attempted(base, moved, loss, objective, kl=BETA)
    _, found = trls(base, moved, tmp_path, SUMS, replace(TRL, norm="token", beta=BETA), lambda _: objective, episodes)
    rows_BT = encode_rows(["".join(CHARACTERS[id] for id in [*one.prompt_ids, *one.turns[0].ids]) for one in episodes])
    sampled_BT = torch.from_numpy(rows_BT[:, 1:] != PAD)
    sampled_BT[:, : PROMPTS.shape[1] - 1] = False
    more = excess(base, moved, rows_BT, lambda kl_BT: BETA * token_mean(kl_BT, sampled_BT))
    same(found, {name: exact[name] + more[name] for name in exact})


@pytest.mark.parametrize("leave_one_out", [True, False])
@pytest.mark.parametrize("stage", [FIRST, SECOND], ids=["first", "second"])
def test_score_is_the_same_in_both_up_to_a_factor(base, moved, tmp_path, stage, leave_one_out):
    """The laboratory sums over tokens, TRL divides by the limit; a mean with the attempt in it is (G - 1) / G of one
    without."""
    wanted, made = corrected(base, moved, replace(stage, beta1=0.0, beta2=0.0))
    first_steps = int(stage is FIRST)
    objective = in_stages(first_steps, alpha=10.0, beta2=0.0, divide_by_std=False, leave_one_out=leave_one_out)
    recipe = replace(TRL, norm="constant")
    told, found = trls(base, moved, tmp_path, SUMS, recipe, lambda _: objective, two_turns(made, TWO_TURNS, GROUP))
    factor = (1 if leave_one_out else (GROUP - 1) / GROUP) / LIMIT
    same(found, {name: factor * value for name, value in wanted.items()})
    value = trls_value(base, moved, made, CREDITED[stage], leave_one_out=leave_one_out)
    assert told == pytest.approx(value, abs=1e-5) and abs(value) > 1e-3


@pytest.mark.parametrize("stage", [FIRST, SECOND], ids=["first", "second"])
def test_with_a_kl_score_differs_by_its_estimate_alone(base, moved, tmp_path, stage):
    exact, made = corrected(base, moved, stage)
    objective = in_stages(int(stage is FIRST), alpha=10.0, beta2=BETA2, divide_by_std=False, leave_one_out=True)
    recipe = replace(TRL, norm="constant", beta=BETA)
    told, found = trls(base, moved, tmp_path, SUMS, recipe, lambda _: objective, two_turns(made, TWO_TURNS, GROUP))
    turn_BT = torch.from_numpy(made.turns(TWO_TURNS)[:, 1:])
    alone = partial(stage_one_loss, torch.zeros(turn_BT.shape), torch.zeros(ROWS, 2), turn_BT=turn_BT)
    held = {"beta1": stage.beta1, "beta2": stage.beta2}
    more = excess(base, moved, made.rows(TWO_TURNS), lambda kl_BT: alone(kl_BT=kl_BT, **held))
    same(found, {name: (exact[name] + more[name]) / LIMIT for name in exact})
    value = trls_value(base, moved, made, CREDITED[stage], leave_one_out=True, **held)
    assert told == pytest.approx(value, abs=1e-5) and abs(value) > 1e-2


def test_the_estimates_gradient_has_the_exact_ones_as_its_mean(base, moved):
    """At every place, over all tokens that the policy may say next."""
    tokens_BT = torch.from_numpy(TEXTS.tokens_BT)
    with torch.no_grad():
        logits_BTV, reference_BTV = (policy_logits(pretrained(str(one)), tokens_BT) for one in (moved, base))
    logits_BTV.requires_grad_()
    logp_BTV, reference_logp_BTV = logits_BTV.log_softmax(-1), reference_BTV.log_softmax(-1)
    mean = (logp_BTV.detach().exp() * unbiased(logp_BTV, reference_logp_BTV)).sum()
    (found,) = torch.autograd.grad(mean, logits_BTV, retain_graph=True)
    (wanted,) = torch.autograd.grad(token_kl(logits_BTV, reference_BTV).sum(), logits_BTV)
    same({"logits": found}, {"logits": wanted})


def open_at(folder):
    return load(folder, device="cpu", dtype="float32", lora_rank=0, template="", seed=0)


def texts_of(rows):
    """Rows of the laboratory as the offline trainers take them."""
    start = PROMPTS.shape[1]
    return [Tokens(tuple(row[row != PAD].tolist()), start) for row in rows.tokens_BT]


def offline(base, out, trainee, texts, objective, course):
    """Loss and gradients of a step of the offline trainers' loop, before they were clipped; three rows at a time."""
    figures = fit(job(base, out, rows=3), trainee, texts, objective, course, state=out / "state.pt")
    share = max(1.0, figures["grad_norm"] + 1e-6)
    found = gradients(trainee.network)
    return figures["loss"], {name: share * value for name, value in found.items()}


@pytest.mark.parametrize("kl", [0.0, BETA])
def test_sft_is_the_same_in_both(base, moved, tmp_path, kl):
    policy = pretrained(str(moved))
    spent = train(policy, lambda rng, n: TEXTS, STILL, reference=pretrained(str(base)), kl=kl)
    course, trainee = Course(1, ROWS, 1e-3, 0, kl, 0.0, 99), open_at(moved)
    loss, found = offline(base, tmp_path, trainee, texts_of(TEXTS), supervised(trainee, course, base), course)
    same(found, named(gradients(policy)))
    assert loss == pytest.approx(spent.loss, rel=1e-5)


@pytest.mark.parametrize("nll", [0.0, 0.5])
def test_dpo_is_the_same_in_both(base, moved, tmp_path, nll):
    """The laboratory draws its pairs by the seed of the step."""
    policy, pairs = pretrained(str(moved)), Preferences(TEXTS, OTHERS)
    spent = train_dpo(policy, pretrained(str(base)), pairs, STILL, beta=BETA, nll=nll)
    drawn = pairs.take(np.random.default_rng((STILL.seed, 0)).integers(0, len(pairs), ROWS))
    chosen, rejected = texts_of(drawn.chosen), texts_of(drawn.rejected)
    with torch.no_grad():
        logps = [text_logp(open_at(base), texts).tolist() for texts in (chosen, rejected)]
    given = [Pair(*one) for one in zip(chosen, rejected, *logps, strict=True)]
    course, trainee = Course(1, ROWS, 1e-3, 0, 0.0, 0.0, 99), open_at(moved)
    loss, found = offline(base, tmp_path, trainee, given, preferred(trainee, Taste(BETA, nll), base), course)
    same(found, named(gradients(policy)))
    assert loss == pytest.approx(spent.loss, rel=1e-5)


def test_dpo_with_replay_and_a_kl_is_its_formula(base, moved, tmp_path):
    """Pairs and replayed texts weigh the same, however they fall into parts; a pair's KL is the mean of its sides'."""
    beta, nll, kl = BETA, 0.5, 0.7
    chosen, rejected = texts_of(TEXTS)[:5], texts_of(OTHERS)[:5]
    replayed = texts_of(OTHERS)[5:]
    given = [
        Pair(*sides, chosen_logp=-3.0 - place, rejected_logp=-4.0)
        for place, sides in enumerate(zip(chosen, rejected, strict=True))
    ]
    trainee, course = open_at(moved), Course(1, ROWS, 1e-3, 0, kl, 0.5, 99)
    loss, found = offline(
        base, tmp_path, trainee, [*given, *replayed], preferred(trainee, Taste(beta, nll), base, kl), course
    )

    policy, reference, total = open_at(moved).network, open_at(base).network, 0.0
    for pair in given:
        (a, n, kl_a), (b, _, kl_b) = (read(policy, reference, text) for text in (pair.chosen, pair.rejected))
        margin = beta * ((a - pair.chosen_logp) - (b - pair.rejected_logp))
        total = total + (1 + (-margin).exp()).log() - nll * a / n + kl * (kl_a + kl_b) / 2
    for text in replayed:
        logp, n, distance = read(policy, reference, text)
        total = total - logp / n + kl * distance
    (total / ROWS).backward()
    same(found, gradients(policy))
    assert loss == pytest.approx(float(total.detach()) / ROWS, rel=1e-5)


def read(policy, reference, text):
    """A text's target: its log-probability, its tokens, and the policy's KL to the reference in nats a token."""
    ids_1T, start = torch.tensor([text.ids]), text.start
    logp_TV = policy(input_ids=ids_1T).logits[0, start - 1 : -1].log_softmax(-1)
    with torch.no_grad():
        reference_TV = reference(input_ids=ids_1T).logits[0, start - 1 : -1].log_softmax(-1)
    logp_T = logp_TV.gather(1, ids_1T[0, start:, None])
    return logp_T.sum(), len(logp_T), (logp_TV.exp() * (logp_TV - reference_TV)).sum(-1).mean()


def test_without_its_adapter_a_network_is_the_base(base):
    trainee = load(base, device="cpu", dtype="float32", lora_rank=2, template="", seed=0)
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in trainee.weights:
            weight.add_(0.1 * torch.randn(weight.shape, generator=noise))
        tokens_BT = torch.from_numpy(TEXTS.tokens_BT)
        attended_BT = torch.ones_like(tokens_BT)
        apart_BTV = open_at(base).network(input_ids=tokens_BT).logits
        off_BTV = Reference.of(trainee, base).logits(tokens_BT, attended_BT)
        on_BTV = logits_of(trainee, trainee.network, tokens_BT, attended_BT)
    torch.testing.assert_close(off_BTV, apart_BTV, atol=1e-5, rtol=1e-5)
    assert float((on_BTV - apart_BTV).abs().max()) > 0.1
