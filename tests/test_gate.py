"""The gate: engines that foretell the same are pooled, others are told apart by how much."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from terminal import trueup

from trueup.core.errors import BadInput
from trueup.core.roles import ModelCard
from trueup.core.types import Message, Prompt
from trueup.models import SMOLLM2, LlamaCpp
from trueup.models.gate import Agreement, agreement, difference, fixed_prompts, may_pool, require_poolable

PROMPTS = tuple((Message("user", word),) for word in ("one", "two", "three"))


class Fixed:
    """Foretells from a table: its token probabilities per prompt's word."""

    def __init__(self, name: str, **told: Mapping[str, float]) -> None:
        self.card = ModelCard(name, name, "cpu")
        self._told = told

    async def next_token(self, prompt: Prompt, k: int = 20) -> Mapping[str, float]:
        return {token: math.log(p) for token, p in self._told.get(prompt[-1].content, {"a": 0.5}).items()}


def compare(first: Any, second: Any, *args: Any, **settings: Any) -> Agreement:
    return asyncio.run(agreement(first, second, *args, **settings))


def test_the_worst_prompt_and_its_token_are_named() -> None:
    ours = Fixed("ours", two={"a": 0.6, "b": 0.4})
    theirs = Fixed("theirs", two={"a": 0.45, "b": 0.55})
    found = compare(ours, theirs, PROMPTS)
    assert found.worst == pytest.approx(math.log(0.55 / 0.4)) and (found.prompt, found.token) == (1, "b")
    assert not found.agrees and found.prompts == 3
    assert "ours and theirs disagree: 0.318 apart at most (prompt 2 of 3, token 'b')" in str(found)
    mean = (math.log(0.6 / 0.45) + math.log(0.55 / 0.4)) / 4
    assert found.mean == pytest.approx(mean) and (found.tokens, found.unnamed) == (4, 0)
    assert f"{mean:.3f} on average of 4 likeliest tokens" in str(found)
    assert compare(ours, theirs, PROMPTS, tolerance=0.32).agrees


def test_a_likeliest_token_that_the_other_does_not_name_is_infinitely_far() -> None:
    found = compare(Fixed("ours", one={"a": 0.9}), Fixed("theirs", one={"b": 0.9}), PROMPTS)
    assert found.worst == math.inf and not found.agrees
    assert (found.mean, found.tokens, found.unnamed) == (0.0, 4, 2)
    assert str(found).endswith("0.000 on average of 4 likeliest tokens, 2 of which one engine did not name")
    with pytest.raises(BadInput, match="is likeliest to one on prompt 1, and unlikely to the other; keep them apart"):
        require_poolable(Fixed("ours").card, Fixed("theirs").card, found)
    assert difference({"a": 0.0}, {"b": 0.0}, "a") == math.inf


def test_only_what_agrees_is_pooled_and_the_refusal_names_the_difference() -> None:
    ours, theirs, other = Fixed("ours"), Fixed("theirs"), Fixed("other", one={"a": 0.25})
    same, apart = compare(ours, theirs, PROMPTS), compare(ours, other, PROMPTS)
    assert may_pool(ours.card, ours.card) and may_pool(ours.card, theirs.card, same)
    assert may_pool(theirs.card, ours.card, same)
    require_poolable(ours.card, theirs.card, same)
    for measured, told in ((None, "never compared"), (same, "never compared"), (apart, "0.693 apart, more than 0.1")):
        assert not may_pool(ours.card, other.card, measured)
        with pytest.raises(BadInput, match=f"'ours' and 'other' cannot be pooled: .*{told}"):
            require_poolable(ours.card, other.card, measured)


def test_no_prompts_and_a_negative_tolerance_are_bad_input() -> None:
    for prompts, tolerance in (((), 0.1), (PROMPTS, -1.0), (PROMPTS, math.nan)):
        with pytest.raises(BadInput, match="give a prompt, and at least 0"):
            compare(Fixed("a"), Fixed("b"), prompts, tolerance=tolerance)


def test_rows_and_restarts_of_hf_agree_and_other_weights_do_not(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the hf engine: pip install 'trueup[hf]'")
    from tiny import save_tiny

    from trueup.models.huggingface import HuggingFace

    one, other = save_tiny(tmp_path / "one", 1), save_tiny(tmp_path / "other", 2)
    assert compare(HuggingFace(one), HuggingFace(one, rows=1), PROMPTS).worst < 1e-4
    assert not compare(HuggingFace(one), HuggingFace(other), PROMPTS).agrees


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two tiny models of one tokenizer."""
    pytest.importorskip("torch", reason="the hf engine: pip install 'trueup[hf]'")
    from tiny import save_tiny

    home = tmp_path_factory.mktemp("two")
    return save_tiny(home / "one", 1), save_tiny(home / "other", 2)


Doctor = Callable[..., tuple[str, str]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """`trueup doctor` in this process: its standard output and error."""

    def go(*words: object, code: int = 0) -> tuple[str, str]:
        trueup(monkeypatch, "doctor", *words, code=code)
        return capsys.readouterr()

    return go


def test_doctor_says_that_a_model_agrees_with_itself_in_other_rows(doctor: Doctor, folders: tuple[Path, Path]) -> None:
    out, _ = doctor("--agree", f"hf:{folders[0]}", f"hf:{folders[0]}", "--set", "second.rows=1", "--json")
    found = json.loads(out)
    assert found["agrees"] and found["prompts"] == len(fixed_prompts()) and found["worst"] < 1e-4
    assert 0 <= found["mean"] <= found["worst"] and found["first"] != found["second"]


def test_doctor_refuses_other_weights_and_says_by_how_much(doctor: Doctor, folders: tuple[Path, Path]) -> None:
    out, err = doctor("--agree", f"hf:{folders[0]}", f"hf:{folders[1]}", "--json", code=2)
    found = json.loads(out)
    assert not found["agrees"] and found["tokens"] >= found["prompts"] == len(fixed_prompts())
    assert found["worst"] is None or found["worst"] > found["tolerance"] == 0.1
    assert "cannot be pooled" in err and err.count("\n") == 1
    assert "disagree: " in doctor("--agree", f"hf:{folders[0]}", f"hf:{folders[1]}", code=2)[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--agree", "toy:0.5", "toy:1"), "'toy:0.5' tells no log-probabilities of a next token"),
        (("--agree", "toy:0.5", "toy:1", "--set", "third.rows=1"), "unknown --set 'third'"),
        (("--tolerance", "0.2"), "name them with --agree MODEL MODEL"),
        (("--agree", "toy:0.5", "tory:1"), "unknown model 'tory:1'"),
    ],
)
def test_engines_that_cannot_be_compared_are_one_line(doctor: Doctor, words: tuple[str, ...], told: str) -> None:
    err = doctor(*words, code=2)[1]
    assert told in err and err.count("\n") == 1


@pytest.mark.network
@pytest.mark.skipif(not SMOLLM2.path().exists(), reason="the embedded model's weights are not in the cache")
def test_the_embedded_engine_and_hf_are_kin_but_not_pooled() -> None:
    """The same tokens and nearly the same weights: apart by llama.cpp's 8-bit activations, far nearer than another."""
    pytest.importorskip("torch", reason="the hf engine: pip install 'trueup[hf]'")
    from trueup.models.huggingface import HuggingFace

    async def go() -> tuple[Agreement, Agreement]:
        few = fixed_prompts()[:3]
        embedded, ours, plain = (
            LlamaCpp(SMOLLM2, threads=1, slots=1),
            HuggingFace(SMOLLM2),
            HuggingFace(SMOLLM2, template="plain"),
        )
        try:
            return await agreement(embedded, ours, few), await agreement(embedded, plain, few)
        finally:
            for model in (embedded, ours, plain):
                await model.close()

    kin, misread = asyncio.run(go())
    assert 0.01 < kin.worst < 0.6
    assert misread.worst > 2 * kin.worst
    assert not kin.agrees
