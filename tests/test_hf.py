"""The transformers engine: attempts that do not depend on the batch, tokens that add up, texts that match."""

from __future__ import annotations

import asyncio
import json
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from trueup.core.asks import Sample
from trueup.core.errors import BadInput, Unavailable
from trueup.core.ledger import Ledger
from trueup.core.roles import Sampled
from trueup.core.stratum import Stratum
from trueup.core.types import Message, Sampling
from trueup.models import SMOLLM2
from trueup.run import Clerk, Job, run_jobs
from trueup.run.tab import Tab
from trueup.verifiers import exact

pytest.importorskip("torch", reason="the hf engine: pip install 'trueup[hf]'")
pytest.importorskip("transformers", reason="the hf engine: pip install 'trueup[hf]'")

import torch
from tiny import byte_tokenizer, save_tiny
from toys import PRICES, item

from trueup.models.huggingface import HuggingFace
from trueup.models.huggingface.choose import choose, log_probability, nucleus
from trueup.models.huggingface.decode import are_numbers

HELLO = (Message("user", "hello"),)
SHORT = Sampling(max_tokens=12, logprobs=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "a", 1)


def run(model: Any, *asks: tuple[Any, ...]) -> list[Any]:
    """The replies of one engine to these asks, in order."""

    async def go() -> list[Any]:
        try:
            return [await model.sample(*one) for one in asks]
        finally:
            await model.close()

    return asyncio.run(go())


def core(attempt: Any) -> tuple[Any, ...]:
    return attempt.index, attempt.text, attempt.logprob, attempt.finish


def test_an_attempt_is_the_same_alone_in_a_batch_and_after_a_restart(folder: Path) -> None:
    """To the last bit of its log-probability."""
    (batch,) = run(HuggingFace(folder), (HELLO, 20, 0, SHORT))
    whole = [core(a) for a in batch.attempts]
    other = (Message("user", "hello, and more"),)
    _, tail, alone = run(HuggingFace(folder), (other, 3, 0, SHORT), (HELLO, 5, 6, SHORT), (HELLO, 1, 17, SHORT))
    assert [core(a) for a in tail.attempts] == whole[6:11]
    assert [core(a) for a in alone.attempts] == [whole[17]]
    assert len({a.text for a in batch.attempts}) > 10


def test_problems_and_seeds_do_not_share_their_random_numbers(folder: Path) -> None:
    one, two = run(HuggingFace(folder), (HELLO, 8, 0, Sampling(seed=0)), (HELLO, 8, 0, Sampling(seed=1)))
    assert {a.text for a in one.attempts}.isdisjoint({a.text for a in two.attempts})


def test_a_batch_behind_one_reading_says_what_single_rows_say(folder: Path) -> None:
    (batch,) = run(HuggingFace(folder), (HELLO, 6, 0, SHORT))
    (single,) = run(HuggingFace(folder, rows=1), (HELLO, 6, 0, SHORT))
    assert [a.text for a in batch.attempts] == [a.text for a in single.attempts]
    assert [a.logprob for a in batch.attempts] == pytest.approx([a.logprob for a in single.attempts], abs=1e-5)


def test_the_mean_log_probability_is_that_of_a_plain_forward_pass(folder: Path) -> None:
    """The whole text read at once, without a cache, gives the sampled tokens the same log-probabilities."""
    from transformers import AutoModelForCausalLM

    (reply,) = run(HuggingFace(folder), (HELLO, 1, 0, Sampling(max_tokens=1, logprobs=True)))
    tokenizer = byte_tokenizer()
    ids = tokenizer("<s>user: hello<s>assistant: ", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(folder)(torch.tensor([ids])).logits[0, -1].double()
    assert reply.attempts[0].usage.prompt_tokens == len(ids)
    nearest = (logits.log_softmax(-1) - reply.attempts[0].logprob).abs().min()
    assert float(nearest) < 1e-5


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 1.7])
def test_a_token_is_told_with_the_chance_it_was_drawn_with(folder: Path, temperature: float) -> None:
    """One of 26 letters, drawn 400 times; at temperature 0 the likeliest is certain."""
    sampling = Sampling(temperature, max_tokens=1, logprobs=True, grammar="start: /[a-z]/")
    (reply,) = run(HuggingFace(folder), (HELLO, 400, 0, sampling))
    told = {a.text: math.exp(a.drawn_logprob) for a in reply.attempts if a.drawn_logprob is not None}
    drawn = Counter(a.text for a in reply.attempts)
    assert set(told) == set(drawn) and 0.9 < sum(told.values()) < 1 + 1e-9
    assert all(abs(drawn[text] / 400 - chance) < 0.1 for text, chance in told.items())


def test_log_probabilities_come_only_where_asked_for(folder: Path) -> None:
    (reply,) = run(HuggingFace(folder), (HELLO, 1, 0, Sampling(max_tokens=3)))
    assert (reply.attempts[0].logprob, reply.attempts[0].drawn_logprob) == (None, None)


def test_the_prompt_leads_once_and_every_attempt_has_its_own_tokens(folder: Path) -> None:
    (reply,) = run(HuggingFace(folder), (HELLO, 10, 0, SHORT))
    usages = [a.usage for a in reply.attempts]
    assert [u.leads for u in usages] == [True] + [False] * 9
    assert {(u.prompt_tokens, u.cached_tokens) for u in usages} == {(24, 0)}
    assert all((a.finish == "length") == (a.usage.completion_tokens == 12) for a in reply.attempts)
    assert len({round(u.decode_seconds / u.completion_tokens, 9) for u in usages}) == 1


def test_a_text_ends_before_its_stop_string_and_its_tokens_are_charged(folder: Path) -> None:
    grammar = 'start: "one two three"'
    sampling = Sampling(stop=("thr", "two"), grammar=grammar)
    (reply,) = run(HuggingFace(folder), (HELLO, 2, 0, sampling))
    assert {(a.text, a.finish) for a in reply.attempts} == {("one ", "stop:two")}
    assert {a.usage.completion_tokens for a in reply.attempts} == {len("one two")}


def test_the_end_token_ends_a_text_and_counts(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path, 1, eos_token_id=list(range(256)))
    (reply,) = run(HuggingFace(folder), (HELLO, 4, 0, SHORT))
    assert {(a.text, a.finish, a.usage.completion_tokens) for a in reply.attempts} == {("", "eos", 1)}


def test_logits_that_are_no_numbers_are_a_failure_on_record(tmp_path: Path) -> None:
    (reply,) = run(HuggingFace(save_tiny(tmp_path, 1, sharpness=float("nan"))), (HELLO, 2, 0, SHORT))
    assert reply.attempts == () and [waste.kind for waste in reply.waste] == ["failed"]
    assert "no numbers; set dtype=float32" in reply.waste[0].reason


@pytest.mark.parametrize(
    ("logits", "can_go_on"),
    [
        ([[0.0, -1.0], [-math.inf, 2.0]], [True, True]),
        ([[0.0, -1.0], [math.nan, 2.0]], [True, False]),
        ([[0.0, math.inf], [0.0, 1.0]], [False, True]),
        ([[0.0, 1.0], [-math.inf, -math.inf]], [True, False]),
    ],
)
def test_logits_need_a_likeliest_token_in_their_row(logits: list[list[float]], can_go_on: list[bool]) -> None:
    assert are_numbers(torch.tensor(logits)) == can_go_on


def test_a_cancelled_sample_stops_and_says_what_it_used(folder: Path) -> None:
    """Also one that waited for its turn, and used nothing; the engine goes on."""
    endless = Sampling(max_tokens=10_000, grammar="start: /a{9999,}/")

    async def go() -> tuple[asyncio.CancelledError, asyncio.CancelledError, Any]:
        model = HuggingFace(save_long(folder.parent), rows=2)
        await model.next_token(HELLO)
        under_way = asyncio.create_task(model.sample(HELLO, 2, 0, endless))
        waiting = asyncio.create_task(model.sample(HELLO, 2, 2, endless))
        await asyncio.sleep(0.5)
        waiting.cancel()
        under_way.cancel()
        return await gone(under_way), await gone(waiting), await model.sample(HELLO, 1, 0, SHORT)

    began, waited, after = asyncio.run(go())
    told = began.args[0]
    assert told.attempts == () and [waste.kind for waste in told.waste] == ["cancelled", "cancelled"]
    assert [waste.prompt_tokens for waste in told.waste] == [24, 0]
    assert told.waste[0].completion_tokens == told.waste[1].completion_tokens > 1
    assert type(waited) is asyncio.CancelledError and waited.args == (Sampled(()),)
    assert len(after.attempts) == 1


def test_calls_of_a_race_whose_turn_had_not_come_are_on_no_ledger(folder: Path, tmp_path: Path) -> None:
    """Of sixteen, one at a time, two suffice; whatever was not under way by then was never begun, and not paid for."""

    async def go() -> dict[str, Any]:
        model = HuggingFace(folder, rows=1, billing="gpu")
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            one = item("hello")
            ask = Sample(one.problem.prompt, 16, 0, SHORT, until=lambda attempts: len(attempts) >= 2)
            await Clerk(model, ledger, PRICES).answer(ask, Tab(Stratum("s", (), exact()), one))
            await model.close()
            return {total.kind: total for total in ledger.totals()}

    totals = asyncio.run(go())
    assert 2 <= sum(total.charges for total in totals.values()) < 16
    assert all(total.unknown_tokens == 0 for total in totals.values())


async def gone(task: asyncio.Task[Any]) -> asyncio.CancelledError:
    """The cancellation that a task ended with."""
    try:
        await task
    except asyncio.CancelledError as left:
        return left
    raise AssertionError("the task was not cancelled")


def save_long(home: Path) -> Path:
    """The tiny model with a context that takes a while to fill."""
    return save_tiny(home / "long", 1, max_position_embeddings=20_000)


def test_an_assistants_turn_is_continued_where_it_stopped(folder: Path) -> None:
    """The prompt with the beginning in it is the beginning's tokens longer, and greedy goes on as it would have."""
    greedy = Sampling(temperature=0, max_tokens=8, grammar="start: /[a-z ]+/")
    (whole,) = run(HuggingFace(folder), (HELLO, 1, 0, greedy))
    text = whole.attempts[0].text
    part = (*HELLO, Message("assistant", text[:3]))
    empty = (*HELLO, Message("assistant", ""))
    rest, again = run(HuggingFace(folder), (part, 1, 0, greedy), (empty, 1, 0, greedy))
    assert rest.attempts[0].text[:5] == text[3:]
    assert rest.attempts[0].usage.prompt_tokens == whole.attempts[0].usage.prompt_tokens + 3
    assert again.attempts[0].text == text


def test_a_prompt_that_does_not_fit_is_refused_and_the_engine_goes_on(folder: Path) -> None:
    long, short = run(HuggingFace(folder), ((Message("user", "x" * 300),), 1, 0, SHORT), (HELLO, 1, 0, SHORT))
    assert long.attempts == () and long.waste[0].kind == "refused"
    assert "does not fit a's context of 256" in long.waste[0].reason
    assert len(short.attempts) == 1


def test_a_text_ends_with_the_context(folder: Path) -> None:
    prompt = (Message("user", "x" * 230),)
    (reply,) = run(HuggingFace(folder), (prompt, 1, 0, Sampling(max_tokens=50, grammar="start: /a{99,}/")))
    used = reply.attempts[0].usage
    assert reply.attempts[0].finish == "length" and used.prompt_tokens + used.completion_tokens == 256


def test_the_card_knows_the_shape_and_the_fingerprint_follows_weights_and_settings(
    folder: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    card = HuggingFace(folder).card
    assert card.parameters == sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(folder).parameters())
    assert (card.layers, card.width, card.billing) == (2, 16, "cpu")
    assert HuggingFace(folder).card == card
    other = save_tiny(tmp_path / "a", 2)
    variants = [HuggingFace(other), HuggingFace(folder, rows=4), HuggingFace(folder, template="plain")]
    assert len({card.fingerprint, *(model.card.fingerprint for model in variants)}) == 4


def test_what_cannot_be_loaded_is_one_line_with_the_mend(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no folder '/nowhere/at/all'"):
        HuggingFace("/nowhere/at/all")
    with pytest.raises(BadInput, match=r"holds no config\.json"):
        HuggingFace(tmp_path)
    with pytest.raises(BadInput, match="dtype is 'int8'; it takes float32"):
        HuggingFace(folder, dtype="int8")
    with pytest.raises(BadInput, match="rows is 0; give at least 1"):
        HuggingFace(folder, rows=0)
    with pytest.raises(BadInput, match="there is no device 'gpu'; write cpu, cuda"):
        run(HuggingFace(folder, device="gpu"), (HELLO, 1, 0, SHORT))
    bare = save_tiny(tmp_path / "bare", 1, template=None)
    with pytest.raises(BadInput, match="has no chat template; set template=plain"):
        run(HuggingFace(bare), (HELLO, 1, 0, SHORT))


def test_without_transformers_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(Unavailable, match=r"transformers is not installed; pip install 'trueup\[hf\]'"):
        HuggingFace(folder)


def test_the_models_are_imported_without_torch() -> None:
    code = "import sys, trueup.models; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_a_gpu_that_is_not_there_is_said_to_be_missing(folder: Path) -> None:
    with pytest.raises(BadInput, match="not on this machine, which has 0; set device=cpu"):
        run(HuggingFace(folder, device="cuda"), (HELLO, 1, 0, SHORT))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_says_what_the_cpu_says(folder: Path) -> None:
    on_cpu, on_gpu = (asyncio.run(HuggingFace(folder, device=device).next_token(HELLO)) for device in ("cpu", "cuda"))
    assert on_gpu == pytest.approx(on_cpu, abs=1e-3)


def test_plain_contents_need_no_template(tmp_path: Path) -> None:
    bare = save_tiny(tmp_path, 1, template=None)
    prompt = (Message("system", "ab"), Message("user", "cd"))
    (reply,) = run(HuggingFace(bare, template="plain"), (prompt, 1, 0, SHORT))
    assert reply.attempts[0].usage.prompt_tokens == len("ab\n\ncd")


def test_every_text_of_a_schema_is_of_it(folder: Path) -> None:
    form = {"type": "object", "properties": {"sum": {"type": "integer"}, "ok": {"type": "boolean"}}}
    schema = json.dumps(form | {"required": ["sum", "ok"], "additionalProperties": False})
    (reply,) = run(HuggingFace(folder), (HELLO, 16, 0, Sampling(temperature=1, max_tokens=60, schema=schema)))
    whole = [json.loads(a.text) for a in reply.attempts if a.finish == "eos"]
    assert len(whole) > 8
    assert all(set(one) == {"sum", "ok"} and type(one["sum"]) is int and type(one["ok"]) is bool for one in whole)


@pytest.mark.parametrize(
    ("grammar", "pattern"),
    [
        ("start: /[ab]{3,5}/", "[ab]{3,5}"),
        ('start: "x" digits\ndigits: /[0-9]{2}/ | /[0-9]{4}/', "x([0-9]{2}|[0-9]{4})"),
        ('start: "a ::= " /[0-9]/', "a ::= [0-9]"),
        ('root ::= ("yes" | "no") " " [0-9]\n', "(yes|no) [0-9]"),
    ],
)
def test_every_text_of_a_grammar_is_of_it_in_lark_and_in_gbnf(folder: Path, grammar: str, pattern: str) -> None:
    (reply,) = run(HuggingFace(folder), (HELLO, 8, 0, Sampling(temperature=1.5, max_tokens=20, grammar=grammar)))
    assert all(re.fullmatch(pattern, a.text) and a.finish == "eos" for a in reply.attempts)
    assert len({a.text for a in reply.attempts}) > 1


def test_a_constrained_token_keeps_its_unconstrained_log_probability(folder: Path) -> None:
    """With one token allowed the constrained one is certain; what is told is what the model thought of it."""
    sampling = Sampling(temperature=0, grammar='start: "q"', logprobs=True)
    (reply,) = run(HuggingFace(folder), (HELLO, 1, 0, sampling))
    assert reply.attempts[0].text == "q"
    assert reply.attempts[0].logprob < -0.5


@pytest.mark.parametrize("broken", [{"grammar": 'start: "x'}, {"grammar": "root ::= foo"}, {"schema": '{"type": "x"}'}])
def test_a_grammar_that_does_not_compile_is_bad_input_in_one_line(folder: Path, broken: dict[str, str]) -> None:
    with pytest.raises(BadInput, match=r"does not compile: .*; mend it") as caught:
        run(HuggingFace(folder), (HELLO, 1, 0, Sampling(**broken)))
    assert "\n" not in str(caught.value)


def test_a_cropped_cache_foretells_what_a_fresh_reading_does(folder: Path) -> None:
    """A step is written, rejected and deleted: the next word is as likely as if it had never been there."""
    model, fresh = HuggingFace(folder, keep_cache=True), HuggingFace(folder)
    steps = Sampling(max_tokens=6, grammar="start: /[a-z]+/", logprobs=True)
    kept = (*HELLO, Message("assistant", "ab"))

    async def go() -> tuple[Any, ...]:
        first = await model.sample(HELLO, 1, 0, steps)
        again = await model.sample(kept, 1, 0, steps)
        other = await fresh.sample(kept, 1, 0, steps)
        onward = (*HELLO, Message("assistant", "ab" + again.attempts[0].text))
        after = await model.sample(onward, 1, 0, steps)
        return first, again, other, after

    first, again, other, after = asyncio.run(go())
    assert first.attempts[0].usage.cached_tokens == 0 and first.attempts[0].usage.prompt_tokens == 24
    assert (again.attempts[0].usage.prompt_tokens, again.attempts[0].usage.cached_tokens) == (26, 24)
    assert again.attempts[0].text == other.attempts[0].text
    assert again.attempts[0].logprob == pytest.approx(other.attempts[0].logprob, abs=1e-5)
    assert (after.attempts[0].usage.prompt_tokens, after.attempts[0].usage.cached_tokens) == (32, 31)


def test_every_row_is_kept_to_its_own_end_and_goes_on_from_there(folder: Path) -> None:
    """Rows run along behind a stop string while others still write; none of that is in what is kept."""
    step = Sampling(temperature=4, max_tokens=12, grammar="start: /[a-z]{12}/", stop=("e", "j"))
    onward = Sampling(max_tokens=6, grammar="start: /[a-z]{6}/", logprobs=True)

    async def go() -> tuple[list[str], list[Any], list[Any]]:
        model, fresh = (HuggingFace(folder, rows=3, keep_cache=kept) for kept in (True, False))
        texts = [attempt.text for attempt in (await model.sample(HELLO, 3, 0, step)).attempts]
        prompts = [(*HELLO, Message("assistant", text)) for text in texts]
        kept, own = [[(await m.sample(p, 1, 0, onward)).attempts[0] for p in prompts] for m in (model, fresh)]
        return texts, kept, own

    texts, kept, own = asyncio.run(go())
    assert len({len(text) for text in texts}) == 3
    assert [attempt.usage.cached_tokens for attempt in kept] == [23 + len(text) for text in texts]
    assert [attempt.text for attempt in kept] == [attempt.text for attempt in own]
    assert [a.logprob for a in kept] == pytest.approx([a.logprob for a in own], abs=1e-5)


def test_the_ledger_has_the_cached_tokens_of_prompts_that_begin_alike(folder: Path, tmp_path: Path) -> None:
    async def go() -> Any:
        model = HuggingFace(folder, keep_cache=True)
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            jobs = (Job(Stratum("s", (), exact()), item(name), 2) for name in ("alpha beta", "alpha gamma"))
            assert len([pool async for pool in run_jobs(jobs, Clerk(model, ledger, PRICES))]) == 2
            await model.close()
            return {total.kind: total for total in ledger.totals()}["sampled"]

    total = asyncio.run(go())
    assert total.cached_tokens == 1 + len("user: alpha ") and total.charges == 4
    assert total.prompt_tokens == 2 * (2 + len("user: assistant: ")) + len("alpha betaalpha gamma")


def test_the_same_prompt_again_is_read_but_for_its_last_token(folder: Path) -> None:
    _, again = run(HuggingFace(folder, keep_cache=True), (HELLO, 3, 0, SHORT), (HELLO, 3, 3, SHORT))
    assert {a.usage.cached_tokens for a in again.attempts} == {23}


def test_choose_follows_the_distribution_function() -> None:
    logits_V = torch.tensor([0.5, 0.25, 0.25]).log()
    draws = [choose(logits_V, temperature=1, top_p=1, drawn=drawn) for drawn in (0, 0.49, 0.51, 0.74, 0.76, 1 - 1e-16)]
    assert draws == [0, 0, 1, 1, 2, 2]
    assert choose(logits_V, temperature=0, top_p=1, drawn=0.9) == 0
    forbidden_V = torch.tensor([1.0, float("-inf")])
    assert choose(forbidden_V, temperature=1, top_p=1, drawn=1 - 1e-16) == 0


def test_the_nucleus_is_the_fewest_tokens_that_reach_top_p() -> None:
    p_V = torch.tensor([0.125, 0.5, 0.25, 0.125], dtype=torch.float64)
    assert nucleus(p_V, 0.5).tolist() == [0, 0.5, 0, 0]
    assert nucleus(p_V, 0.6).tolist() == [0, 0.5, 0.25, 0]
    assert nucleus(p_V, 0.8).tolist() == [0.125, 0.5, 0.25, 0]


def test_log_probabilities_are_of_temperature_one_unless_another_is_given() -> None:
    logits_V = torch.tensor([0.25, 0.75]).log() + 3
    assert log_probability(logits_V, 0) == pytest.approx(-1.3862943611)
    assert log_probability(logits_V, 0, 0.5) == pytest.approx(math.log(0.0625 / (0.0625 + 0.5625)))
    assert log_probability(logits_V, 1, 0.0) == 0.0


@pytest.mark.network
@pytest.mark.skipif(not SMOLLM2.path().exists(), reason="the embedded model's weights are not in the cache")
def test_the_embedded_models_weights_are_converted_once_and_sum_up() -> None:
    """Real weights, rows of four: an attempt alone is bit for bit the one in the batch."""
    prompt = (Message("user", "Q: 21 + 34\nA: 55\nQ: 23 + 45\nA:"),)
    model = HuggingFace(SMOLLM2, rows=4)
    assert (model.card.parameters, model.card.layers, model.card.width) == (
        SMOLLM2.parameters,
        SMOLLM2.layers,
        SMOLLM2.width,
    )
    batch, alone = run(model, (prompt, 4, 0, SHORT), (prompt, 1, 2, SHORT))
    assert core(alone.attempts[0]) == core(batch.attempts[2])
