"""The gate: engines that foretell the same are pooled, others are told apart by how much."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

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
    assert compare(ours, theirs, PROMPTS, tolerance=0.32).agrees


def test_a_likeliest_token_that_the_other_does_not_name_is_infinitely_far() -> None:
    found = compare(Fixed("ours", one={"a": 0.9}), Fixed("theirs", one={"b": 0.9}), PROMPTS)
    assert found.worst == math.inf and not found.agrees
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
