"""What a server takes beyond OpenAI's fields.

vLLM and SGLang sample by the model's own generation settings where a request is silent (top-k 20 and a repetition
penalty for many), llama.cpp by top-k 40 and min-p 0.05: without these fields, attempts at the same temperature are not
of the same distribution. A grammar is EBNF in the form of GBNF for all three. llama.cpp's server answers a turn that is
to be continued with the whole of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trueup.core.errors import UnknownName
from trueup.core.types import Json, Prompt, Sampling


@dataclass(frozen=True, slots=True)
class Server:
    """The fields that turn its own samplers off, where a grammar goes, whether a continued turn comes back whole."""

    samplers_off: Mapping[str, Json]
    grammar: tuple[str, ...]
    echoes: bool = False


SERVERS = {
    "vllm": Server({"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}, ("structured_outputs", "grammar")),
    "sglang": Server({"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}, ("ebnf",)),
    "llamacpp": Server({"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}, ("grammar",), echoes=True),
}


def find_server(name: str) -> Server | None:
    """The server of a name, None for the empty name: nothing is known beyond OpenAI's fields.

    Raises UnknownName for another.
    """
    if name and name not in SERVERS:
        raise UnknownName("server", name, SERVERS, hint="(leave it out for any other)")
    return SERVERS.get(name)


def own_fields(server: Server | None, sampling: Sampling) -> dict[str, Any]:
    """The fields of a request that only this server knows."""
    if server is None:
        return {}
    fields = dict(server.samplers_off)
    if sampling.grammar is not None:
        *outer, last = server.grammar
        field: dict[str, Any] = {last: sampling.grammar}
        for name in reversed(outer):
            field = {name: field}
        fields |= field
    return fields


def echo(server: Server | None, prompt: Prompt) -> str:
    """What this server says again before it goes on with a prompt."""
    is_echoed = server is not None and server.echoes and bool(prompt) and prompt[-1].role == "assistant"
    return prompt[-1].content if is_echoed else ""
