"""Proxy-tuning: its three identities, its three costs, and models that do not fit together."""

from __future__ import annotations

import asyncio
import math
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from trueup.core.cost import sample_flops
from trueup.core.errors import AskFailed, BadInput
from trueup.core.roles import Sampled
from trueup.core.types import Message, Sampling, Usage

pytest.importorskip("torch", reason="the hf engine: pip install 'trueup[hf]'")
pytest.importorskip("transformers", reason="the hf engine: pip install 'trueup[hf]'")

import torch
from tiny import CHAT, byte_tokenizer, save_tiny
from transformers import LlamaForCausalLM

from trueup.models.huggingface import HuggingFace
from trueup.models.proxy import ProxyTuned, proxy, steered

HELLO = (Message("user", "hello"),)
SAMPLING = Sampling(max_tokens=16, logprobs=True)
LONGER = CHAT.replace("<s>{{", "<s>a word before {{", 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four models of one vocabulary: `big` is wider and longer, `chatty` has a longer template."""
    home = tmp_path_factory.mktemp("family")
    save_tiny(home / "big", 1, hidden_size=32, num_hidden_layers=3)
    save_tiny(home / "expert", 2)
    save_tiny(home / "plain", 3)
    save_tiny(home / "chatty", 2, template=LONGER)
    return home


def mixed(home: Path, base: str, expert: str, antiexpert: str, alpha: float) -> ProxyTuned:
    return ProxyTuned(*(HuggingFace(home / name) for name in (base, expert, antiexpert)), alpha=alpha)


def ask(model: Any, sampling: Sampling = SAMPLING) -> tuple[Any, Any]:
    """Eight attempts, and the likeliest next tokens."""

    async def go() -> tuple[Any, Any]:
        return await model.sample(HELLO, 8, 0, sampling), await model.next_token(HELLO, 300)

    return asyncio.run(go())


def told(reply: Any) -> list[tuple[Any, ...]]:
    return [(a.index, a.text, a.finish, a.logprob) for a in reply.attempts]


def test_alpha_zero_is_the_base_to_the_last_bit(home: Path) -> None:
    (steered_reply, steered_next), (reply, following) = (
        ask(mixed(home, "big", "expert", "plain", 0)),
        ask(HuggingFace(home / "big")),
    )
    assert told(steered_reply) == told(reply) and steered_next == following


def test_an_expert_that_is_its_antiexpert_leaves_the_base_to_the_last_bit(home: Path) -> None:
    (steered_reply, steered_next), (reply, following) = (
        ask(mixed(home, "big", "expert", "expert", 2.5)),
        ask(HuggingFace(home / "big")),
    )
    assert told(steered_reply) == told(reply) and steered_next == following


def test_a_base_that_is_the_antiexpert_gives_the_expert(home: Path) -> None:
    """Up to the rounding of b + (e - b): the same tokens, log-probabilities to a hundred-thousandth."""
    (steered_reply, steered_next), (reply, following) = (
        ask(mixed(home, "plain", "expert", "plain", 1)),
        ask(HuggingFace(home / "expert")),
    )
    assert [a.text for a in steered_reply.attempts] == [a.text for a in reply.attempts]
    assert steered_next == pytest.approx(following, abs=1e-5)


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bases that end a text as their tokenizer does, and a chat model that ends its turns with a token more."""
    home, more = tmp_path_factory.mktemp("turns"), ("<|im_end|>",)
    tokenizer = byte_tokenizer(extra=more)
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(*more)]
    for name, seed, own in (("base", 3, ends[:1]), ("big", 1, ends[:1]), ("chat", 2, ends)):
        save_tiny(home / name, seed, extra=more, eos_token_id=own)
    return home


def ending(model: Any) -> list[tuple[str, int, str]]:
    """How eight attempts that any token may end have ended."""
    reply = asyncio.run(model.sample(HELLO, 8, 0, Sampling(max_tokens=120, temperature=3.0)))
    return [(a.finish, a.usage.completion_tokens, a.text) for a in reply.attempts]


def test_a_text_ends_where_the_model_that_it_equals_ends_it(turns: Path) -> None:
    base, chat = (ending(HuggingFace(turns / name)) for name in ("base", "chat"))
    assert chat == ending(mixed(turns, "base", "chat", "base", 1)) and "eos" in {finish for finish, _, _ in chat}
    assert base == ending(mixed(turns, "base", "chat", "base", 0)) == ending(mixed(turns, "base", "chat", "chat", 2))
    assert ending(HuggingFace(turns / "big")) == ending(mixed(turns, "big", "chat", "chat", 1))


def test_a_text_that_is_neither_models_ends_at_eithers_ends(turns: Path) -> None:
    def ends(*names: str, alpha: float) -> list[int]:
        model = mixed(turns, *names, alpha)
        return sorted(model._load().vocabulary.ends)

    assert ends("big", "chat", "base", alpha=1) == ends("chat", "base", "big", alpha=1) == [257, 258]
    assert ends("base", "chat", "base", alpha=0.5) == [257, 258]
    assert ends("chat", "base", "chat", alpha=1) == [257]


def test_a_fingerprint_tells_of_ends_only_where_they_are_not_the_bases(turns: Path) -> None:
    marked = {
        (*names, alpha)
        for names in product(("base", "big", "chat"), repeat=3)
        for alpha in (0, 1)
        if mixed(turns, *names, alpha).card.fingerprint.endswith(":ends")
    }
    steered_by_chat = {(base, "chat", other, 1) for base in ("base", "big") for other in ("base", "big")}
    assert marked == steered_by_chat | {("chat", "base", "chat", 1), ("chat", "big", "chat", 1)}


def test_steering_steers(home: Path) -> None:
    steered_reply, reply = ask(mixed(home, "big", "expert", "plain", 1))[0], ask(HuggingFace(home / "big"))[0]
    assert {a.text for a in steered_reply.attempts}.isdisjoint({a.text for a in reply.attempts})


def test_each_model_reads_the_prompt_in_its_own_template(home: Path) -> None:
    """The identity with the expert holds although its prompt is longer than the base's."""
    steered_reply, following = ask(mixed(home, "chatty", "chatty", "plain", 0))
    assert (
        steered_reply.attempts[0].usage.prompt_tokens
        > ask(HuggingFace(home / "plain"))[0].attempts[0].usage.prompt_tokens
    )
    both = ask(mixed(home, "plain", "chatty", "plain", 1))[1]
    assert both == pytest.approx(following, abs=1e-5)


def test_logits_are_combined_in_the_width_that_all_have() -> None:
    base, wide, narrow = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 5.0, 100.0]]), torch.tensor([[1.0]])
    assert steered(base, wide, wide * 2, alpha=1).tolist() == [[-2.0, -3.0]]
    assert steered(wide, base, narrow, alpha=0.5).tolist() == [[3.0]]


def test_padding_of_the_vocabulary_may_differ_and_is_never_drawn(home: Path, tmp_path: Path) -> None:
    save_tiny(tmp_path / "wide", 2, padding=6)
    wide = HuggingFace(tmp_path / "wide")
    model = ProxyTuned(HuggingFace(home / "big"), wide, wide, alpha=1)
    assert told(ask(model)[0]) == told(ask(HuggingFace(home / "big"))[0])
    expert = HuggingFace(home / "expert")
    reply, following = ask(ProxyTuned(wide, expert, expert, alpha=1))
    assert len(reply.attempts) == 8 and len(following) <= 258


def test_a_padded_base_is_steered_to_itself_to_the_last_bit(home: Path, tmp_path: Path) -> None:
    """Also where its padding is as likely as its tokens: alone it is drawn as little as in the mixture."""
    save_tiny(tmp_path / "wide", 4, padding=200, sharpness=0.02)
    wide, expert = (HuggingFace(folder) for folder in (tmp_path / "wide", home / "expert"))
    (mixture, steered_next), (alone, following) = ask(ProxyTuned(wide, expert, expert, alpha=1)), ask(wide)
    assert told(mixture) == told(alone) and steered_next == following


def test_a_prompt_that_one_model_cannot_take_is_read_by_none(home: Path, tmp_path: Path) -> None:
    """What is refused is charged nothing, so nothing may have been done for it."""
    save_tiny(tmp_path / "short", 2, max_position_embeddings=64)
    model = mixed(home, "big", str(tmp_path / "short"), "plain", 1)
    read: list[int] = []
    network = model._load()._networks[0]
    as_before = network.read
    network.read = lambda ids_BT, *rest: (read.append(len(ids_BT[0])), as_before(ids_BT, *rest))[1]
    reply = asyncio.run(model.sample((Message("user", "x" * 100),), 1, 0, SAMPLING))
    assert reply.attempts == () and [(waste.kind, waste.prompt_tokens) for waste in reply.waste] == [("refused", 0)]
    assert "does not fit short's context of 64" in reply.waste[0].reason and read == []


def test_a_cancelled_sample_whose_turn_had_not_come_used_nothing(home: Path) -> None:
    async def go() -> None:
        model = mixed(home, "big", "expert", "plain", 1)
        await model.next_token(HELLO)
        under_way, waiting = (asyncio.create_task(model.sample(HELLO, 8, 0, SAMPLING)) for _ in range(2))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError) as gone:
            await waiting
        assert gone.value.args == (Sampled(()),)
        assert len((await under_way).attempts) == 8

    asyncio.run(go())


def test_vocabularies_that_differ_are_refused_with_both_sizes(home: Path, tmp_path: Path) -> None:
    save_tiny(tmp_path / "more", 2, extra=("<think>",))
    model = ProxyTuned(*(HuggingFace(folder) for folder in (tmp_path / "more", home / "expert", home / "plain")))
    with pytest.raises(BadInput, match=r"has 259 tokens, its expert 258, and 1 differ \('<think>' is one\)"):
        ask(model)


@pytest.mark.parametrize("role", ["expert", "antiexpert"])
def test_a_token_more_is_refused_in_either_role_with_both_sizes(home: Path, tmp_path: Path, role: str) -> None:
    save_tiny(tmp_path / "more", 2, extra=("<think>", "<short>"))
    folders = {"expert": home / "expert", "antiexpert": home / "plain"} | {role: tmp_path / "more"}
    model = mixed(tmp_path, str(home / "big"), str(folders["expert"]), str(folders["antiexpert"]), 1)
    with pytest.raises(BadInput, match=rf"base has 258 tokens, its {role} 260, and 2 differ \('<short>' is one\)"):
        ask(model)


def test_a_missing_template_is_told_with_the_setting_of_its_role(home: Path, tmp_path: Path) -> None:
    for name in ("base", "expert", "anti"):
        save_tiny(tmp_path / name, 2, template=None)
    whole = {"base": str(home / "big"), "expert": str(home / "expert"), "antiexpert": str(home / "plain")}
    keys = {"base": "template", "expert": "expert_template", "antiexpert": "antiexpert_template"}
    for role, key in keys.items():
        bare = str(tmp_path / ("anti" if role == "antiexpert" else role))
        with pytest.raises(BadInput, match=rf"has no chat template; set {key}=plain, or {key}=FILE"):
            ask(proxy(**(whole | {role: bare})))
        assert ask(proxy(**(whole | {role: bare}), **{key: "plain"}))[0].attempts


def test_the_antiexpert_takes_the_experts_template_unless_it_has_its_own(home: Path, tmp_path: Path) -> None:
    """Of three readings of a prompt the longest is charged."""
    (tmp_path / "longer.jinja").write_text(LONGER)
    three = [str(home / name) for name in ("big", "expert", "plain")]
    longer = str(tmp_path / "longer.jinja")
    usual, both, own, other = (
        ask(proxy(*three, **settings))
        for settings in (
            {}, {"expert_template": longer}, {"expert_template": longer, "antiexpert_template": longer},
            {"antiexpert_template": longer},
        )
    )  # fmt: skip
    assert told(both[0]) == told(own[0]) and both[1] == own[1]
    assert told(other[0]) != told(both[0])
    assert other[0].attempts[0].usage.prompt_tokens > usual[0].attempts[0].usage.prompt_tokens


@pytest.mark.parametrize("alpha", [float("nan"), float("inf")])
def test_alpha_must_be_finite(home: Path, alpha: float) -> None:
    with pytest.raises(BadInput, match="give a finite number"):
        mixed(home, "big", "expert", "plain", alpha)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_logits_beyond_all_numbers_are_a_failure_and_no_answer(home: Path, temperature: float) -> None:
    model = mixed(home, "big", "expert", "plain", 1e38)
    reply = asyncio.run(model.sample(HELLO, 2, 0, Sampling(temperature, max_tokens=4)))
    assert reply.attempts == () and [waste.kind for waste in reply.waste] == ["failed"]
    assert "no numbers" in reply.waste[0].reason and "a smaller alpha" in reply.waste[0].reason
    with pytest.raises(AskFailed, match="no numbers"):
        asyncio.run(model.next_token(HELLO))


def test_a_pass_of_each_model_is_charged(home: Path) -> None:
    """The FLOPs of the three at one length add up to those of the card."""
    cards = [HuggingFace(home / name).card for name in ("big", "expert", "plain")]
    whole = mixed(home, "big", "expert", "plain", 1).card
    usage = Usage(24, 16)
    for with_prompt in (True, False):
        parts = [sample_flops(card, usage, with_prompt=with_prompt) for card in cards]
        assert sample_flops(whole, usage, with_prompt=with_prompt) == sum(parts)
    assert whole.parameters == sum(card.parameters for card in cards)


def test_a_grammar_holds_after_the_arithmetic(home: Path) -> None:
    reply, _ = ask(mixed(home, "big", "expert", "plain", 3), Sampling(temperature=1, grammar="start: /[ab]{4}/"))
    assert all(len(a.text) == 4 and set(a.text) <= {"a", "b"} for a in reply.attempts)


def save_fixed(folder: Path, **logits: float) -> HuggingFace:
    """A model of these logits behind any text, all other tokens out of reach."""
    save_tiny(folder, 1)
    model = LlamaForCausalLM.from_pretrained(folder)
    tokens = byte_tokenizer().convert_tokens_to_ids(list(logits))
    with torch.no_grad():
        for weight in model.model.layers.parameters():
            weight.zero_()
        model.model.embed_tokens.weight.fill_(1)
        model.lm_head.weight.fill_(-30 / model.config.hidden_size)
        model.lm_head.weight[tokens] = torch.tensor(list(logits.values()))[:, None] / model.config.hidden_size
    model.save_pretrained(folder)
    return HuggingFace(folder)


def test_top_p_is_taken_of_what_the_arithmetic_gives(tmp_path: Path) -> None:
    """The base's 70 % are a alone, those of expert over antiexpert b and c, and those of the mixture b and a."""
    base, wanted = {"a": 0.9, "b": 0.07, "c": 0.03}, {"a": 0.3, "b": 0.5, "c": 0.2}
    three = (
        save_fixed(tmp_path / "base", **{token: math.log(p) for token, p in base.items()}),
        save_fixed(tmp_path / "expert", **{token: math.log(wanted[token] / p) for token, p in base.items()}),
        save_fixed(tmp_path / "plain", a=0, b=0, c=0),
    )

    def drawn(model: Any, top_p: float) -> set[str]:
        reply = asyncio.run(model.sample(HELLO, 8, 0, Sampling(max_tokens=16, top_p=top_p)))
        return set("".join(attempt.text for attempt in reply.attempts))

    assert drawn(three[0], 0.7) == {"a"} and drawn(three[1], 0.7) == {"b", "c"}
    mixture = ProxyTuned(*three, alpha=1)
    assert [drawn(mixture, top_p) for top_p in (1, 0.7, 0.4)] == [{"a", "b", "c"}, {"a", "b"}, {"b"}]


def test_proxy_makes_the_three_from_their_names(home: Path) -> None:
    model = proxy(str(home / "big"), str(home / "expert"), str(home / "plain"), alpha=0.5, rows=4)
    assert model.card.name == "big+0.5(expert-plain)"
    other = proxy(str(home / "big"), str(home / "expert"), str(home / "plain"), alpha=0.25, rows=4)
    assert model.card.fingerprint != other.card.fingerprint
