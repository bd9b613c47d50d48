"""Constrained decoding: the tokens that a schema or a grammar allows next.

By llguidance (Moskal et al., guidance-ai). A grammar is its Lark dialect, of which `start: /REGEX/` is the regular
expression, or GBNF, known by its rules' `::=`, which is converted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trueup.core.errors import BadForm, BadInput, Unavailable, one_line
from trueup.core.types import Sampling

if TYPE_CHECKING:
    from torch import Tensor

GBNF_RULE = re.compile(r"^\s*[\w-]+\s*::=", re.MULTILINE)
BLANK = r"[ \n]?"
"""One blank at most where JSON allows any number: a small model would write blanks to the end."""


def make_tokenizer(tokenizer: Any, ends: frozenset[int], width: int) -> Any:
    """llguidance's own form of a tokenizer; takes about a second.

    Raises Unavailable where llguidance is not installed, BadInput where it cannot read the tokenizer.
    """
    try:
        from llguidance.hf import from_tokenizer
    except ImportError:
        raise Unavailable("constrained decoding needs llguidance; pip install 'trueup[hf]'") from None
    try:
        return from_tokenizer(tokenizer, n_vocab=width, eos_token=sorted(ends))
    except ValueError as error:
        raise BadInput(
            f"no constrained decoding with this tokenizer ({one_line(error)}); leave the grammar out"
        ) from None


def make_matcher(tokenizer: Any, sampling: Sampling) -> Any:
    """A matcher at the beginning of a text, None where nothing is constrained; each row takes a copy.

    Raises BadForm for a schema or grammar that does not compile, or that no text can begin by.
    """
    if sampling.schema is None and sampling.grammar is None:
        return None
    from llguidance import LLMatcher

    try:
        matcher = LLMatcher(tokenizer, _compiled(sampling), log_level=0)
    except ValueError as error:
        raise BadForm(_fault(sampling, error)) from None
    if matcher.is_error():
        raise BadForm(_fault(sampling, matcher.get_error()))
    if _is_dead(matcher):
        raise BadForm(_fault(sampling, "not even an empty text is of it", "can begin no text"))
    return matcher


def allowed(matcher: Any, logits_V: Tensor) -> Tensor:
    """The logits with those of forbidden tokens at minus infinity."""
    import torch

    width = logits_V.shape[-1]
    words = torch.frombuffer(bytearray(matcher.compute_bitmask()), dtype=torch.int32)
    bits = (words[:, None] >> torch.arange(32, dtype=torch.int32)) & 1
    mask_V = bits.flatten().bool()[:width]
    return logits_V.masked_fill(~mask_V, float("-inf"))


def _is_dead(matcher: Any) -> bool:
    """Whether no token is allowed; asked of a copy, for a matcher that has met a dead end goes no further."""
    trial = matcher.deep_copy()
    trial.compute_bitmask()
    return bool(trial.is_error())


def _compiled(sampling: Sampling) -> str:
    from llguidance import LLMatcher, grammar_from

    if sampling.schema is not None:
        form: str = LLMatcher.grammar_from_json_schema(sampling.schema, defaults={"whitespace_pattern": BLANK})
        return form
    assert sampling.grammar is not None
    rules: str = grammar_from("gbnf" if GBNF_RULE.search(sampling.grammar) else "lark", sampling.grammar)
    return rules


def _fault(sampling: Sampling, error: object, fails: str = "does not compile") -> str:
    what = "grammar" if sampling.schema is None else "schema"
    return f"the {what} {(sampling.schema or sampling.grammar or '')[:60]!r} {fails}: {one_line(error)}; mend it"
