"""What a server takes beyond OpenAI's fields.

vLLM and SGLang sample by the model's own generation settings where a request is silent (top-k 20 and a repetition
penalty for many), llama.cpp by top-k 40 and min-p 0.05: without these fields, attempts at the same temperature are not
of the same distribution. A grammar is EBNF in the form of GBNF for all three, or Lark for vLLM. llama.cpp's server
answers a turn that is to be continued with the whole of it. vLLM and SGLang say of each choice which stop string it was
cut at; where the model ended vLLM says null, SGLang the token that it ended with; llama.cpp's server does not tell one
from the other. Log-probabilities are of before temperature, but for SGLang's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueup.core.errors import BadInput, UnknownName
from trueup.core.types import Json, Sampling
from trueup.models.llamacpp_grammar import SHOWN, is_native


@dataclass(frozen=True, slots=True)
class Server:
    """The fields that turn its own samplers off, where a grammar goes, whether a continued turn comes back whole.

    `nulls` is the field of a choice that is null where the model ended, and else says what it was cut at. With
    `reads_lark` a grammar may be in Lark too, with `tempers` log-probabilities are told after temperature.
    """

    samplers_off: Mapping[str, Json]
    grammar: tuple[str, ...]
    nulls: str = ""
    echoes: bool = False
    reads_lark: bool = False
    tempers: bool = False


STOP_REASON, MATCHED_STOP = "stop_reason", "matched_stop"
MARKS = (STOP_REASON, MATCHED_STOP)
TELLING_LETTERS = 8
"""So long a turn no honest continuation begins with; a shorter one, such as a number, it may."""
FAILURES = ("error", "abort")
"""How a server says that it did not get to the end of a choice; what it holds is no text that the model ended."""
SERVERS = {
    "vllm": Server(
        {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
        ("structured_outputs", "grammar"),
        nulls=STOP_REASON,
        reads_lark=True,
    ),
    "sglang": Server({"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}, ("ebnf",), tempers=True),
    "llamacpp": Server({"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}, ("grammar",), echoes=True),
}


def find_server(name: str) -> Server | None:
    """The server of a name, None for the empty name: nothing is known beyond OpenAI's fields.

    Raises UnknownName for another.
    """
    if name and name not in SERVERS:
        raise UnknownName("server", name, SERVERS, hint="(leave it out for any other)")
    return SERVERS.get(name)


def require_read(server: Server | None, base: str, grammar: str) -> None:
    """Raise BadInput for a grammar that goes to no field of this server, or is in another notation than it reads."""
    if server is None:
        raise BadInput(f"{base} takes no grammar unless server={'|'.join(SERVERS)} is set; set it")
    if not server.reads_lark and not is_native(grammar):
        raise BadInput(
            f"{base} takes grammars in GBNF, and {grammar[:SHOWN]!r} has no rule NAME ::= ...; write it so, or ask "
            f"smollm2, gguf: or hf:, which read Lark too"
        )


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


def temperature_behind(server: Server | None, temperature: float) -> float:
    """The temperature that what a server tells of tokens is still to be brought to; 1 where it has been already."""
    return 1.0 if server is not None and server.tempers else temperature


def says_again(server: Server | None, turn: str, choice: Mapping[str, Any], *, is_llamacpp: bool) -> bool:
    """Whether a choice that begins with the whole of a begun turn says it again, rather than goes on so by chance.

    A server that was not named tells on itself: vLLM and SGLang by their marks, llama.cpp by timings beside the
    choices. Any other is taken to say again a turn that is too long to be met by chance.
    """
    if server is not None:
        return server.echoes
    return is_llamacpp or (len(turn) >= TELLING_LETTERS and not any(mark in choice for mark in MARKS))


def failure(choice: Mapping[str, Any]) -> str | None:
    """What a server says of a choice that it failed at, None where it did not fail."""
    reason = str(choice.get("finish_reason"))
    return f"the server failed at this choice: finish_reason is {reason!r}" if reason in FAILURES else None


def ending(choice: Mapping[str, Any], stops: Sequence[str], server: Server | None) -> str:
    """How a choice ended, in the words of `Attempt.finish`.

    Whoever names one of the stop strings it was given, or the token that the model ended with, is believed; a null only
    of a server that is known to mean it, for a gateway leaves null what it does not fill in.
    """
    reason = str(choice.get("finish_reason") or "stop")
    if reason != "stop":
        return reason
    told = [choice[mark] for mark in MARKS if mark in choice]
    met = next((one for one in told if isinstance(one, str) and one in stops), None)
    if met is not None:
        return f"stop:{met}"
    is_null = server is not None and server.nulls in choice and choice[server.nulls] is None
    return "eos" if is_null or any(type(one) is int for one in told) else reason
