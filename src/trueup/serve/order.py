"""From the bytes of a request to what is to be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from trueup.arms import FORM, NEEDS
from trueup.core.types import Item, Message, Prompt, Sampling
from trueup.plan.policy import Policy
from trueup.serve.desk import Desk
from trueup.serve.failure import Failure
from trueup.serve.wire import HARMLESS, ChatRequest, Turn

SYSTEM = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Order:
    """A request that can be served: at which desk, as which item, and how the reply is wanted.

    `has_own_form` says that it brought the schema that it is answered under, `max_tokens` is the longest text that it
    allows, None where it does not say.
    """

    desk: Desk
    item: Item
    model: str
    max_tokens: int | None = None
    is_streamed: bool = False
    wants_usage: bool = False
    has_own_form: bool = False


def read_order(body: bytes, policy: Policy, desks: Mapping[str, Desk], seeds: Iterator[int]) -> Order:
    """The order in a request's body; one without a seed gets the next of `seeds`.

    Raises Failure, naming the parameter, for what cannot be served.
    """
    request = _parse(body)
    desk = _route(request, policy, desks)
    prompt = _wrap(desk, request.messages)
    schema = request.response_format.schema_text() if request.response_format else desk.schema
    if NEEDS.get(desk.arm.method) == FORM and schema is None and desk.grammar is None:
        told = f"stratum {desk.stratum.name!r} is answered under a schema; send one as response_format json_schema"
        raise Failure(400, told, param="response_format", code="schema_needed")
    return Order(
        desk=desk,
        item=desk.item(prompt, _sampling(desk.sampling, request, schema, seeds), schema),
        model=request.model,
        max_tokens=request.limit,
        is_streamed=bool(request.stream),
        wants_usage=bool(request.stream_options and request.stream_options.include_usage),
        has_own_form=request.response_format is not None,
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


def _sampling(recipe: Sampling, request: ChatRequest, schema: str | None, seeds: Iterator[int]) -> Sampling:
    """The recipe's settings, with what the client gave in their place; a schema also in that of the grammar."""
    return replace(
        recipe,
        temperature=recipe.temperature if request.temperature is None else request.temperature,
        top_p=recipe.top_p if request.top_p is None else request.top_p,
        max_tokens=request.limit or recipe.max_tokens,
        stop=recipe.stop if request.stop is None else tuple(request.stop),
        schema=schema,
        grammar=recipe.grammar if schema is None else None,
        seed=next(seeds) if request.seed is None else request.seed,
    )


def _wrap(desk: Desk, turns: Sequence[Turn]) -> Prompt:
    """The last question in its recipe, with the turns before it between the shots and the question.

    The client's own system messages are appended to the recipe's: many templates take only one.
    """
    *earlier, last = turns
    if last.role != "user":
        raise Failure(400, "the last message must be the user's", param=f"messages[{len(earlier)}].role")
    *shots, question = desk.build(last.content)
    told = [shots.pop(0).content] if shots and shots[0].role == "system" else []
    told += [turn.content for turn in earlier if turn.role in SYSTEM]
    system = [Message("system", "\n\n".join(told))] if told else []
    history = [Message(turn.role, turn.content) for turn in earlier if turn.role not in SYSTEM]
    return (*system, *shots, *history, question)
