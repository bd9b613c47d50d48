"""Chat completions on the wire: the request, and its reply."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import inf
from typing import Any

from trueup.core.roles import Waste
from trueup.core.types import Attempt, Prompt, Sampling, Usage, begun_turn, chat_of
from trueup.models.manner import LOGPROBS, TOP_LOGPROBS, Manner
from trueup.models.response_format import response_format
from trueup.models.servers import Server, ending, failure, own_fields, says_again, temperature_behind
from trueup.models.tokens import by_likelihood, count_tokens, log_probability, tally, told_tokens

SEED_SPAN = 1 << 30
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
        "messages": chat_of(prompt),
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
    body |= manner.telling(sampling)
    if sampling.schema is not None:
        body["response_format"] = response_format(sampling.schema)
    return json.dumps(manner.said(body)).encode()


def first_seed(prompt: Prompt, seed: int) -> int:
    """The seed of a prompt's attempt 0; attempt i adds i, as engines that take n do.

    Drawn per prompt and seed, so that neither problems nor repetitions share their random numbers.
    """
    text = json.dumps([seed, *([message.role, message.content] for message in prompt)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") % SEED_SPAN


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply must be read by: the turn that it goes on with, and how its server tells an end.

    `temperature` is the one that its log-probabilities are to be brought to.
    """

    turn: str = ""
    stops: tuple[str, ...] = ()
    server: Server | None = None
    temperature: float = 1.0

    @classmethod
    def of(cls, prompt: Prompt, sampling: Sampling, server: Server | None) -> Reading:
        """For a reply to this ask."""
        return cls(begun_turn(prompt), sampling.stop, server, temperature_behind(server, sampling.temperature))

    def text(self, choice: Mapping[str, Any], *, is_llamacpp: bool) -> str:
        """What a choice adds to the turn."""
        is_whole = says_again(self.server, self.turn, choice, is_llamacpp=is_llamacpp)
        return _text(choice).removeprefix(self.turn if is_whole else "")


AS_IT_IS = Reading()


def read_completion(reply: object, n: int, start: int, seconds: float, by: Reading = AS_IT_IS) -> Completion:
    """The attempts in a reply to a call for n of them.

    `usage.completion_tokens` is the sum over the choices, which `tally` parts among them. Without usage every count is
    None. The seconds of the call are split evenly, and the prompt is the first attempt's. A choice that the server
    failed at is waste.
    Raises ValueError, saying what is wrong, where this is no completion.
    """
    choices = _choices(reply)
    told = reply if isinstance(reply, Mapping) else {}
    prompt, completion, cached = count_tokens(told.get("usage"))
    engine = name_engine(told.get("system_fingerprint"))
    timings = told.get("timings")
    is_total = len(choices) == 1 or _covers_all(timings, choices, completion)
    texts = [by.text(choice, is_llamacpp=isinstance(timings, Mapping)) for choice in choices]
    counts = tally(choices, texts, completion if is_total else None, f"{start} {texts}", by.temperature)
    faults = [failure(choice) for choice in choices[:n]]
    leader = faults.index(None) if None in faults else 0
    attempts = [
        Attempt(
            index=start + place,
            text=text,
            finish=ending(choice, by.stops, by.server),
            usage=Usage(prompt, count.tokens, cached, 0.0, seconds / len(choices), place == leader),
            logprob=count.logprob,
            engine=engine,
            drawn_logprob=count.drawn_logprob,
        )
        for place, (choice, text, count) in enumerate(zip(choices, texts, counts, strict=True))
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
    return json.dumps(body | {LOGPROBS: True, TOP_LOGPROBS: k}).encode()


def read_next_token(reply: object) -> dict[str, float]:
    """The likeliest next tokens in a reply, with their log-probabilities.

    Raises ValueError, saying what is wrong, where it tells none.
    """
    told = told_tokens(_choices(reply)[0])
    top = told[0].get("top_logprobs") if told else None
    if not isinstance(top, list) or not top:
        raise ValueError("a reply without log-probabilities")
    likely = [(token["token"], log_probability(token["logprob"])) for token in top if token["logprob"] != -inf]
    known = [(token, logprob) for token, logprob in likely if logprob is not None]
    if not known or len(known) < len(likely):
        raise ValueError("a log-probability that is none")
    return by_likelihood(known)


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


def name_engine(told: object) -> str | None:
    """What a reply's `system_fingerprint` calls the engine that it came from, on one line; None where it is no name."""
    return " ".join(_whole(told).split()) or None if isinstance(told, str) else None


def _covers_all(timings: object, choices: Sequence[Mapping[str, Any]], completion: int | None) -> bool:
    """False where the count is plainly of one choice only, as llama.cpp's server gives it.

    It tells on itself: the tokens that its timings saw predicted for one choice are the whole of the usage.
    """
    counted_one = isinstance(timings, Mapping) and timings.get("predicted_n") == completion
    told = sum(max(len(told_tokens(choice)), bool(_text(choice))) for choice in choices)
    return not counted_one and (completion is None or completion >= told)


def _text(choice: Mapping[str, Any]) -> str:
    """The text of a choice, with no half characters in it."""
    return _whole(content_text(choice["message"].get("content")))


def content_text(content: object) -> str:
    """The text of a message's content, of all its parts where it comes in parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _whole(text: str) -> str:
    """The text with no half characters in it."""
    return text.encode("utf-8", "replace").decode()
