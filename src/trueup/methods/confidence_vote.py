"""n attempts, each votes with its own confidence (CISC).

Taubenfeld et al. 2025, arXiv:2502.06233 (Confidence-Informed Self-Consistency): weights are the softmax over the
attempts of confidence / temperature. The confidence is the geometric mean of the token probabilities where the engine
tells them for every attempt, else what the model says of its own attempt, 0 to 100, when asked. An attempt of
which it says nothing that can be read counts as much as the mean of the others, and where nothing can be read it is a
plain vote, and says so. A great temperature makes it `vote`, a small one the most confident attempt.
With `keep` only that share of the attempts votes, the most confident ones: the filter of Fu et al. 2025,
arXiv:2508.15260 (DeepConf, which keeps .1 or .9), by the mean over the whole attempt. Their least confidence of a
group of tokens, and their stop on the way, take every token's alternatives, and an attempt carries one mean.
Cost: n samples; without token probabilities n judge's texts besides.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from math import ceil, exp
from statistics import fmean

from trueup.core.asks import Flow, judge, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.revise import ask_again
from trueup.methods.spare import each
from trueup.methods.tally import elect, favourite, voice_of

ASK = "How sure are you that this answer is right? Reply with one number from 0 (surely wrong) to 100 (surely right)."
SCALE = re.compile(r"(?<![\d.])0\s*(?:\([^()]*\)\s*)?(?:to|and|[-\u2013])\s*100\b")
OUT_OF = r"(?:/|\bout of)\s*100\b"
OF_ALL = rf"\s*(?:%|percent\b|{OUT_OF})"
NUMBER = r"(\d+(?:\.\d+)?)"
SURE = (
    rf"(?i:confidence[ \t:=]{{0,3}}(?:(?:is|of)[ \t]+)?{NUMBER}|{NUMBER}(?:{OF_ALL})?[ \t]*(?:sure|certain|confiden))"
)
FORMS = [
    re.compile(form, re.MULTILINE)
    for form in (
        rf"^[^\w\n]*{NUMBER}(?:{OF_ALL})?[^\w\n]*$", SURE, rf"{NUMBER}\s*{OUT_OF}", rf"{NUMBER}(?:{OF_ALL})?\W*\Z",
        rf"{NUMBER}{OF_ALL}", NUMBER,
    )
]  # fmt: skip
"""How a confidence is told, the plainest first."""
DENIED = re.compile(
    rf"(?:\b(?:not|cannot|never)|n't)\s+(?:\w+\s+){{0,2}}{NUMBER}(?:{OF_ALL})?\s*(?:sure|certain|confiden)",
    re.IGNORECASE,
)


def confidence_vote(problem: Problem, *, n: int = 8, temperature: float = 0.5, keep: float = 1.0) -> Flow[Answer]:
    """The answer of the greatest sum of weights; what could not be read has none.

    Raises BadInput for a temperature that is not positive, or a share to keep outside (0, 1].
    """
    if temperature <= 0:
        raise BadInput(f"confidence_vote temperature is {temperature}; give a number above 0")
    if not 0 < keep <= 1:
        raise BadInput(f"confidence_vote keep is {keep}; give a share above 0, at most 1")
    told = None if problem.sampling.logprobs else replace(problem.sampling, logprobs=True)
    attempts = yield from sample(problem.prompt, n, sampling=told)
    readable = [attempt for attempt in attempts if attempt.answer is not None]
    if not readable:
        return Answer.of(attempts[0], "no attempt could be read")
    logprobs = [attempt.logprob for attempt in readable if attempt.logprob is not None]
    if len(logprobs) == len(readable):
        confidences = [exp(logprob) for logprob in logprobs]
    else:
        confidences = yield from _said(problem, readable)
    if not confidences:
        plain = elect(problem, attempts)
        return replace(plain, note=f"{plain.note}; no confidence could be read, so each counts alike")
    kept = most_confident(confidences, keep)
    voters, sure = [readable[place] for place in kept], [confidences[place] for place in kept]
    weights: dict[str, float] = defaultdict(float)
    for attempt, weight in zip(voters, softmax(sure, temperature), strict=True):
        weights[attempt.answer or ""] += weight
    winner = favourite(problem, weights)
    pool = f"the {len(kept)} most confident of {len(attempts)}" if len(kept) < len(readable) else f"{len(attempts)}"
    return Answer.of(voice_of(winner, voters), f"{weights[winner]:.0%} of the weight of {pool} attempts")


def most_confident(confidences: Sequence[float], keep: float) -> list[int]:
    """The places of this share of them, rounded up, in their order; of equals the first stay."""
    ranked = sorted(range(len(confidences)), key=lambda place: -confidences[place])
    return sorted(ranked[: ceil(keep * len(confidences) - 1e-9)])


def softmax(confidences: Sequence[float], temperature: float) -> list[float]:
    """Weights that sum to 1, as exp(confidence / temperature)."""
    top = max(confidences)
    raw = [exp((confidence - top) / temperature) for confidence in confidences]
    return [weight / sum(raw) for weight in raw]


def read_confidence(text: str) -> float | None:
    """The last number from 0 to 100 behind any thinking, as a share; None where there is none.

    One that has a line to itself goes before others, then one said to be a confidence, one out of 100, one that ends
    the text, a percentage; the scale, where the text says it again, is none, nor is what is denied: not 100 % sure.
    """
    spoken = DENIED.sub("", SCALE.sub("", text.rpartition("</think>")[2].partition("<think>")[0]))
    said = (reversed([*form.finditer(spoken)]) for form in FORMS)
    shares = (float(found[found.lastindex or 0]) / 100 for form in said for found in form)
    return next((share for share in shares if share <= 1), None)


def _said(problem: Problem, attempts: Sequence[Attempt]) -> Flow[list[float]]:
    """What the model says of each, the mean of the others where it says nothing; none where it says nothing at all.

    An ask that failed says nothing. Raises AskFailed where all did.
    """
    free = replace(problem.sampling, stop=(), schema=None, grammar=None)
    replies = yield from each(
        judge(ask_again(problem.prompt, attempt.text, ASK), start=attempt.index, sampling=free) for attempt in attempts
    )
    said = [read_confidence(reply[0].text) if reply else None for reply in replies]
    known = [confidence for confidence in said if confidence is not None]
    return [fmean(known) if confidence is None else confidence for confidence in said] if known else []
