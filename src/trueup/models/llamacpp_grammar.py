"""Constraints as llama.cpp takes them, each tried once.

GBNF it parses itself, and refuses what it cannot parse. Lark and JSON schemas it hands to llguidance (Moskal et al.,
guidance-ai), and where that cannot compile one it lets any text through and says nothing. So these are tried behind a
mark that no model writes unless it is held to it. Cost: one token read and a few written a constraint, not charged.
"""

from __future__ import annotations

import re

import httpx

from trueup.core.errors import AskFailed, BadForm
from trueup.core.types import Sampling
from trueup.models.huggingface.constrain import GBNF_RULE

LLGUIDANCE = "%llguidance"
HEADER = f"{LLGUIDANCE} {{}}\n"
MARK = "zqzq"
SHOWN, REASON = 60, 200
EXCERPT = re.compile(r"^\s*\d+ \|", re.MULTILINE)
"""Where llguidance goes on with the lines around a fault, ours among them."""


def is_native(grammar: str) -> bool:
    """Whether a grammar is in words that llama.cpp knows as they stand: GBNF, or Lark that says so by its header."""
    return bool(GBNF_RULE.search(grammar)) or grammar.startswith(LLGUIDANCE)


def rules(grammar: str) -> str:
    """A grammar in GBNF as it stands, one in Lark with the header that llama.cpp knows it by."""
    return grammar if is_native(grammar) else HEADER + grammar


async def require_compiles(http: httpx.AsyncClient, sampling: Sampling) -> None:
    """Raise BadForm for a schema or grammar that this llama.cpp does not compile, AskFailed where it does not say."""
    trial = _trial(sampling)
    body = {"prompt": "x", "n_predict": len(MARK), "temperature": 0.0, "cache_prompt": False, "grammar": trial}
    response = await http.post("/completion", json=body)
    if response.status_code == httpx.codes.OK:
        text: str = response.json()["content"]
        if not trial.startswith(LLGUIDANCE) or text.startswith(MARK):
            return
    elif response.status_code != httpx.codes.BAD_REQUEST:
        raise AskFailed(f"llama.cpp answered {response.status_code} where a schema or grammar was tried; run it again")
    raise BadForm(_fault(sampling, trial))


def _trial(sampling: Sampling) -> str:
    """GBNF as it stands; anything else behind the mark."""
    if sampling.schema is not None:
        return f'{HEADER}start: "{MARK}" %json {sampling.schema}'
    text = rules(sampling.grammar or "")
    if not text.startswith(LLGUIDANCE):
        return text
    _, _, own = text.partition("\n")
    return f'{HEADER}start: "{MARK}" %lark {{\n{own}\n}}'


def _fault(sampling: Sampling, trial: str) -> str:
    what, text = ("grammar", sampling.grammar or "") if sampling.schema is None else ("schema", sampling.schema)
    is_lark = sampling.schema is None and trial.startswith(LLGUIDANCE)
    dialect = " as Lark (GBNF has rules NAME ::= ...)" if is_lark else " as GBNF" if what == "grammar" else ""
    why = _why(sampling) if trial.startswith(LLGUIDANCE) else "a rule is malformed or missing, or `root` is"
    return f"the {what} {text[:SHOWN]!r} does not compile{dialect}: {why}; mend it"


def _why(sampling: Sampling) -> str:
    """What llguidance's own package says, where it is installed."""
    try:
        from llguidance import LLMatcher
    except ImportError:
        return "llguidance refuses it (pip install llguidance, and it is said why)"
    lark = (sampling.grammar or "") if sampling.schema is None else f"start: %json {sampling.schema}"
    told: str = LLMatcher.validate_grammar(lark)
    return " ".join(EXCERPT.split(told)[0].split())[:REASON] or "llama.cpp refuses it"
