"""Chat completions on the wire: the request, and its reply."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import inf
from typing import Any

from trueup.core.roles import Waste
from trueup.core.types import Attempt, Prompt, Sampling, Usage
from trueup.models.manner import LOGPROBS, Manner
from trueup.models.servers import Server, echo, ending, failure, own_fields

SEED_SPAN = 1 << 30
TOKENS_AT_MOST = 1 << 32
"""A count beyond it is a mistake of who told it, and sums of such counts fit no ledger."""
LOGPROB_LEAST, LOGPROB_ROUNDING = -1e39, 1e-3
"""llama.cpp's server says the least float of 32 bits for probability 0; rounded, a certain token may lie above 0."""
NEXT_TOKEN = Sampling(1.0, max_tokens=1)


@dataclass(frozen=True, slots=True)
class Completion:
    """The attempts of one call; `is_total` says that its token count covers all of them.

    `waste` is the choices that the server failed at, whose indices are `failed`, and those that nobody asked for;
    they are paid all the same.
    """

    attempts: tuple[Attempt, ...]
    is_total: bool = True
    waste: tuple[Waste, ...] = ()
    failed: frozenset[int] = frozenset()


def request_body(name: str, prompt: Prompt, n: int, start: int, sampling: Sampling, manner: Manner) -> bytes:
    """The JSON of a request for attempts `start` to `start + n - 1`, in the manner that this endpoint takes.

    An assistant's turn that is to be continued is asked for in the words of vLLM and SGLang.
    """
    body: dict[str, Any] = {
        "model": name,
        "messages": [{"role": message.role, "content": message.content} for message in prompt],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        manner.limit: sampling.max_tokens,
        "seed": first_seed(prompt, sampling.seed) + start,
        **own_fields(manner.server, sampling),
    }
    if prompt and prompt[-1].role == "assistant":
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    if n > 1:
        body["n"] = n
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.logprobs:
        body[LOGPROBS] = True
    if sampling.schema is not None:
        form = {"name": "answer", "schema": json.loads(sampling.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return json.dumps(manner.said(body)).encode()


def first_seed(prompt: Prompt, seed: int) -> int:
    """The seed of a prompt's attempt 0; attempt i adds i, as engines that take n do.

    Drawn per prompt and seed, so that neither problems nor repetitions share their random numbers.
    """
    text = json.dumps([seed, *([message.role, message.content] for message in prompt)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") % SEED_SPAN


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply must be read by: what the server says again before it goes on, and how it tells an end."""

    echo: str = ""
    stops: tuple[str, ...] = ()
    server: Server | None = None

    @classmethod
    def of(cls, prompt: Prompt, sampling: Sampling, server: Server | None) -> Reading:
        """For a reply to this ask."""
        return cls(echo(server, prompt), sampling.stop, server)


AS_IT_IS = Reading()


def read_completion(reply: object, n: int, start: int, seconds: float, by: Reading = AS_IT_IS) -> Completion:
    """The attempts in a reply to a call for n of them.

    `usage.completion_tokens` is the sum over the choices: each attempt gets a share in proportion to the
    length of its text, and the shares add up to the sum. Without usage every count is None. The seconds
    of the call are split evenly, and the prompt is the first attempt's. A choice that the server failed at is waste.
    Raises ValueError, saying what is wrong, where this is no completion.
    """
    choices = _choices(reply)
    told = reply if isinstance(reply, Mapping) else {}
    prompt, completion, cached = count_tokens(told.get("usage"))
    engine = name_engine(told.get("system_fingerprint"))
    is_total = len(choices) == 1 or _covers_all(reply, choices, completion)
    texts = [_text(choice).removeprefix(by.echo) for choice in choices]
    lengths = [len(text) for text in texts]
    shares = share(completion, lengths) if is_total and completion is not None else [None] * len(choices)
    faults = [failure(choice) for choice in choices[:n]]
    leader = faults.index(None) if None in faults else 0
    attempts = [
        Attempt(
            index=start + place,
            text=text,
            finish=ending(choice, by.stops, by.server),
            usage=Usage(prompt, tokens, cached, 0.0, seconds / len(choices), place == leader),
            logprob=_mean_logprob(choice),
            engine=engine,
        )
        for place, (choice, text, tokens) in enumerate(zip(choices, texts, shares, strict=True))
    ]
    return _settled(attempts, faults, is_total)


def _settled(choices: Sequence[Attempt], faults: Sequence[str | None], is_total: bool) -> Completion:
    """The choices told apart: attempts, those with a fault, and those beyond what was asked for."""
    asked = list(zip(choices, faults, strict=False))
    extra = f"{len(choices)} choices came where {len(faults)} were asked for"
    waste = [_wasted("failed", fault, choice) for choice, fault in asked if fault is not None]
    waste += [_wasted("discarded", extra, choice) for choice in choices[len(faults) :]]
    failed = frozenset(choice.index for choice, fault in asked if fault is not None)
    return Completion(tuple(choice for choice, fault in asked if fault is None), is_total, tuple(waste), failed)


def _wasted(kind: str, reason: str, attempt: Attempt) -> Waste:
    """A choice that is no attempt, with its share of what the call used."""
    usage = attempt.usage
    prompt = usage.prompt_tokens if usage.leads else 0
    return Waste(kind, reason, prompt, usage.completion_tokens, usage.decode_seconds, attempt.engine)


def next_token_body(name: str, prompt: Prompt, k: int, manner: Manner) -> bytes:
    """The JSON of a request for the likeliest next tokens; temperature 1 changes nothing on any server."""
    body = json.loads(request_body(name, prompt, 1, 0, NEXT_TOKEN, manner))
    return json.dumps(body | {LOGPROBS: True, "top_logprobs": k}).encode()


def read_next_token(reply: object) -> dict[str, float]:
    """The likeliest next tokens in a reply, with their log-probabilities.

    Raises ValueError, saying what is wrong, where it tells none.
    """
    told = _logprobs(_choices(reply)[0])
    top = told[0].get("top_logprobs") if told else None
    if not isinstance(top, list) or not top:
        raise ValueError("a reply without log-probabilities")
    likely = {token["token"]: _log_probability(token["logprob"]) for token in top if token["logprob"] != -inf}
    known = {token: logprob for token, logprob in likely.items() if logprob is not None}
    if not known or len(known) < len(likely):
        raise ValueError("a log-probability that is none")
    return known


def share(total: int, weights: Sequence[int]) -> list[int]:
    """A total split in proportion to weights, by largest remainder; evenly where all weights are 0."""
    weights = weights if sum(weights) else [1] * len(weights)
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for place in by_remainder[: total - sum(parts)]:
        parts[place] += 1
    return parts


def _choices(reply: object) -> list[Mapping[str, Any]]:
    if not isinstance(reply, Mapping):
        raise ValueError("a reply that is no JSON object")
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices:
        error = reply.get("error")
        told = error.get("message") if isinstance(error, Mapping) else error
        raise ValueError(f"no choices: {told}" if told else "a reply without choices")
    if not all(isinstance(choice, Mapping) and isinstance(choice.get("message"), Mapping) for choice in choices):
        raise ValueError("a choice without a message")
    places = [choice.get("index") for choice in choices]
    if all(type(place) is int for place in places):
        choices.sort(key=lambda choice: choice["index"])
    return choices


def count_tokens(usage: object) -> tuple[int | None, int | None, int | None]:
    """Prompt, completion and cached tokens; reasoning that only the total counts is added to the completion."""
    if not isinstance(usage, Mapping):
        return None, None, None
    prompt, completion, total = (_count(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
    if prompt is not None and completion is not None and total is not None:
        completion = max(completion, total - prompt)
    details = usage.get("prompt_tokens_details")
    return prompt, completion, _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None


def name_engine(told: object) -> str | None:
    """What a reply's `system_fingerprint` calls the engine that it came from, on one line; None where it is no name."""
    return " ".join(_whole(told).split()) or None if isinstance(told, str) else None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= TOKENS_AT_MOST else None


def _covers_all(reply: object, choices: Sequence[Mapping[str, Any]], completion: int | None) -> bool:
    """False where the count is plainly of one choice only, as llama.cpp's server gives it.

    It tells on itself: the tokens that its timings saw predicted for one choice are the whole of the usage.
    """
    timings = reply.get("timings") if isinstance(reply, Mapping) else None
    counted_one = isinstance(timings, Mapping) and timings.get("predicted_n") == completion
    too_few = completion is not None and completion < sum(bool(_text(choice)) for choice in choices)
    return not counted_one and not too_few


def _mean_logprob(choice: Mapping[str, Any]) -> float | None:
    told = [_log_probability(token.get("logprob")) for token in _logprobs(choice)]
    known = [one for one in told if one is not None]
    return sum(known) / len(known) if known and len(known) == len(told) else None


def _log_probability(told: object) -> float | None:
    """The natural log-probability that is told, None where it can be none."""
    if type(told) not in (int, float):
        return None
    assert isinstance(told, int | float)
    return min(float(told), 0.0) if LOGPROB_LEAST <= told <= LOGPROB_ROUNDING else None


def _logprobs(choice: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What is told of each token of a choice; nothing where it is not told."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    tokens = content if isinstance(content, list) else []
    return [token for token in tokens if isinstance(token, Mapping)]


def _text(choice: Mapping[str, Any]) -> str:
    """The text of a choice, of all its parts where it comes in parts, with no half characters in it."""
    content = choice["message"].get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "".join(part for part in parts if isinstance(part, str))
    return _whole(content) if isinstance(content, str) else ""


def _whole(text: str) -> str:
    """The text with no half characters in it."""
    return text.encode("utf-8", "replace").decode()
