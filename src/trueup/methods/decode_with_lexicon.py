"""A cryptogram or a drop quote by a lexicon's likeliest decodings, and what a model finds likeliest among them.

A beam search over words proposes (Nuhn, Schamper and Ney 2013, ACL, search over letters with a model of letters), a
language model rescores what is left at its end (Kambhatla et al. 2018, EMNLP, score within the beam). Worth is added
up in nats: the lexicon's of the words, and `weight` times the model's log-probability of the whole text, for which it
is held to say that text and nothing else.
It abstains where the lexicon has no decoding. Cost: 1 solve; with a weight a judge's text per decoding, of which up to
`k` are asked for, where the solver gives more than one (its setting `decodings`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from trueup.core.asks import Flow, judge
from trueup.core.asks import solve as ask_solver
from trueup.core.errors import AskFailed, BadInput
from trueup.core.puzzles.decoding import Decoding, plain_words, read_decodings
from trueup.core.types import Answer, Message, Problem, Sampling, last_asked

ASK = "Say a well-known quotation, as a text in JSON."
MARGIN_TOKENS = 8


def decode_with_lexicon(problem: Problem, *, k: int = 10, weight: float = 1.0, model: str = "") -> Flow[Answer]:
    """The decoding of the greatest worth; none, with the solver's status as the note, where there is none.

    Raises BadInput for settings below their least.
    """
    if k < 1 or weight < 0:
        raise BadInput(f"decode_with_lexicon k={k} weight={weight}; give k at least 1, weight at least 0")
    solution = yield from ask_solver(problem)
    if solution.status != "solved":
        return Answer("", None, solution.status)
    found = read_decodings(solution.text)[:k]
    if not found:
        return Answer(solution.text, solution.answer, "the solver gives one answer alone")
    if weight == 0 or len(found) == 1:
        return _answer(found[0], f"the likeliest of {len(found)} by the lexicon")
    try:
        logps = yield from _log_probabilities(problem, found, model)
    except AskFailed:
        return _answer(found[0], f"the likeliest of {len(found)} by the lexicon; the model's ask failed")
    if logps is None:
        return _answer(found[0], f"the likeliest of {len(found)} by the lexicon; the engine tells no probabilities")
    best = max(range(len(found)), key=lambda i: found[i].worth + weight * logps[i])
    return _answer(found[best], f"number {best + 1} of {len(found)} by the lexicon, with the model the likeliest")


def _answer(decoding: Decoding, note: str) -> Answer:
    return Answer(decoding.text, json.dumps(decoding.answer, sort_keys=True), note)


def _log_probabilities(problem: Problem, found: Sequence[Decoding], model: str) -> Flow[list[float] | None]:
    """The model's log-probability of each decoding's words; None where it does not tell one of them."""
    logps = []
    for decoding in found:
        words = plain_words(last_asked(problem.prompt), decoding.answer)
        if words is None:
            return None
        held = _held_to(words, problem.sampling)
        (said, *_) = yield from judge((Message("user", ASK),), sampling=held, model=model)
        tokens = said.usage.completion_tokens
        if said.logprob is None or tokens is None or said.finish == "length":
            return None
        logps.append(said.logprob * tokens)
    return logps


def _held_to(words: str, sampling: Sampling) -> Sampling:
    """Settings under which this text is all that can be said; a token is a byte of it at least."""
    schema = json.dumps({"const": words})
    most = len(json.dumps(words).encode()) + MARGIN_TOKENS
    return replace(sampling, temperature=0.0, max_tokens=most, stop=(), schema=schema, grammar=None, logprobs=True)
