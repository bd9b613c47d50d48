"""From the bytes of a request to what is to be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from trueup.core.types import Item, Message, Prompt, Sampling
from trueup.plan.policy import Policy
from trueup.serve.desk import Desk
from trueup.serve.failure import Failure
from trueup.serve.wire import HARMLESS, ChatRequest, Turn
from trueup.tasks.prompting import join_turns
from trueup.verifiers.json_schema import fault_of

SCHEMA_CHARS = 20_000
"""A longer schema is looked at where answers are checked against it: to look at it here would hold all others up."""
SHOWN = 160
KEPT = "drawn at temperature {:g}, as studied: without one all draws of a prompt are copies"


@dataclass(frozen=True, slots=True)
class Order:
    """A request that can be served: at which desk, as which item, and how the reply is wanted.

    `turns` are the client's own, the recipe not around them. `has_own_form` says that it brought the schema that it is
    answered under, `max_tokens` is the longest text that it allows, None where it does not say. `note` is what the
    client should know of how its settings were taken.
    """

    desk: Desk
    item: Item
    turns: Prompt
    model: str
    max_tokens: int | None = None
    is_streamed: bool = False
    wants_usage: bool = False
    has_own_form: bool = False
    note: str = ""


def read_order(body: bytes, policy: Policy, desks: Mapping[str, Desk], seeds: Iterator[int]) -> Order:
    """The order in a request's body; one without a seed gets the next of `seeds`.

    Raises Failure, naming the parameter, for what cannot be served.
    """
    request = _parse(body)
    desk = _route(request, policy, desks)
    turns = _turns(request.messages)
    prompt = join_turns(turns[:-1], desk.build(turns[-1].content))
    own = request.response_format.schema_text() if request.response_format else None
    schema = desk.schema if request.response_format is None else own
    _refuse_form(desk, own)
    sampling = _sampling(desk, request, schema, seeds)
    return Order(
        desk=desk,
        item=desk.item(prompt, sampling, schema),
        turns=turns,
        model=request.model,
        max_tokens=request.limit,
        is_streamed=bool(request.stream),
        wants_usage=bool(request.stream_options and request.stream_options.include_usage),
        has_own_form=own is not None,
        note=KEPT.format(sampling.temperature) if _wants_likeliest(request) and sampling.temperature > 0 else "",
    )


def model_names(policy: Policy) -> list[str]:
    """What `model` may be: the policy, and each of its strata."""
    return [policy.name, *(f"{policy.name}/{stratum.name}" for stratum in policy.strata)]


def unknown_model(name: str, policy: Policy) -> Failure:
    """The failure for a model that is none of ours."""
    message = f"unknown model {name!r}; known: {', '.join(model_names(policy))}"
    return Failure(404, message, param="model", code="model_not_found")


def _parse(body: bytes) -> ChatRequest:
    try:
        table = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Failure(400, f"the body is not valid JSON: {error}") from None
    if not isinstance(table, dict):
        raise Failure(400, "the body is not a JSON object")
    for name, harmless in HARMLESS.items():
        given = table.get(name)
        if not any(given is one if isinstance(given, bool) else given == one for one in harmless):
            raise Failure(400, f"{name!r} is not supported by a policy", param=name, code="unsupported_parameter")
    try:
        request = ChatRequest.model_validate(table)
    except ValidationError as error:
        raise _invalid(error) from None
    if request.stream_options is not None and not request.stream:
        raise Failure(400, "'stream_options' is only allowed with 'stream'", param="stream_options")
    return request


def _invalid(error: ValidationError) -> Failure:
    """The first thing that is wrong, with its place as a client writes it: messages[0].content."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]).lstrip(".")
    return Failure(400, f"{place}: {first['msg']}", param=place or None, code="invalid_value")


def _route(request: ChatRequest, policy: Policy, desks: Mapping[str, Desk]) -> Desk:
    names = [stratum.name for stratum in policy.strata]
    wished: Any = (request.metadata or {}).get("stratum")
    if wished is not None and wished not in names:
        raise Failure(400, f"unknown stratum {wished!r}; known: {', '.join(names)}", param="metadata.stratum")
    if request.model == policy.name:
        if wished is None and len(names) > 1:
            told = f"model {policy.name!r} has strata {', '.join(names)}; ask for one as '{policy.name}/{names[0]}'"
            raise Failure(400, f"{told} or in metadata.stratum", param="model", code="stratum_needed")
        return desks[wished or names[0]]
    named = request.model.removeprefix(f"{policy.name}/")
    if request.model == named or named not in names:
        raise unknown_model(request.model, policy)
    if wished not in (None, named):
        raise Failure(400, f"model says stratum {named!r}, metadata {wished!r}", param="metadata.stratum")
    return desks[named]


def _refuse_form(desk: Desk, own: str | None) -> None:
    """Raise Failure where a client's own schema has no effect, or one is missing, or is none."""
    if own is not None and not desk.takes_form:
        told = f"'response_format' is not supported here: {desk.arm.method!r} holds no answer to a schema; leave it out"
        raise _bad_form(told, "unsupported_parameter")
    if own is None and desk.schema is None and (desk.needs_form or desk.checks_form):
        told = f"stratum {desk.stratum.name!r} is answered under a schema; send one as response_format json_schema"
        raise _bad_form(told, "schema_needed")
    reason = fault_of(own) if own is not None and len(own) <= SCHEMA_CHARS and desk.checks_form else None
    if reason is not None:
        raise _bad_form(f"the schema is no JSON schema: {reason[:SHOWN]}; mend it", "schema_invalid")


def _bad_form(told: str, code: str) -> Failure:
    return Failure(400, told, param="response_format", code=code)


def _sampling(desk: Desk, request: ChatRequest, schema: str | None, seeds: Iterator[int]) -> Sampling:
    """The recipe's settings, with what the client gave in their place; a schema also in that of the grammar.

    The recipe's limit and stop strings stay whatever a client gives, so that no text is longer than what was studied.
    A `top_p` of 0 leaves the likeliest token alone, as temperature 0 does, which every engine takes. Where a prompt is
    drawn more than once, that would make copies of its attempts, and the recipe's settings stand.
    """
    recipe = desk.sampling
    temperature = recipe.temperature if request.temperature is None else request.temperature
    if _wants_likeliest(request):
        temperature = recipe.temperature if desk.draws_again else 0.0
    held = recipe.held_to(schema, recipe.grammar if schema is None else None)
    return replace(
        held,
        temperature=temperature,
        top_p=recipe.top_p if request.top_p is None else request.top_p or (recipe.top_p if desk.draws_again else 1.0),
        max_tokens=min(request.limit or recipe.max_tokens, recipe.max_tokens),
        stop=tuple(dict.fromkeys((*held.stop, *(request.stop or ())))),
        seed=next(seeds) if request.seed is None else request.seed,
    )


def _wants_likeliest(request: ChatRequest) -> bool:
    """Whether a request leaves the likeliest token alone to be drawn."""
    return 0 in (request.temperature, request.top_p)


def _turns(turns: Sequence[Turn]) -> Prompt:
    """The chat so far, of which the last turn is the question."""
    if turns[-1].role != "user":
        raise Failure(400, "the last message must be the user's", param=f"messages[{len(turns) - 1}].role")
    return tuple(_message(turn, place) for place, turn in enumerate(turns))


def _message(turn: Turn, place: int) -> Message:
    if turn.said is None:
        told = f"messages[{place}].content: the {turn.role}'s message has no content; give it a text"
        raise Failure(400, told, param=f"messages[{place}].content", code="invalid_value")
    return Message(turn.role, turn.said)
