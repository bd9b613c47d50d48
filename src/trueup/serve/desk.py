"""Where requests of one stratum are answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from trueup.arms import (
    ASK_NONE,
    FORM,
    NEEDS,
    SOLVER,
    goes_by_logprobs,
    has_side_effects,
    holds_answer,
    holds_texts,
    lacks,
    refuse_acts,
    with_chosen,
)
from trueup.core.asks import Ask, Check, Solve
from trueup.core.errors import BadInput
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Item, Problem, Prompt, Sampling
from trueup.plan.policy import Policy
from trueup.run.rehearsal import draws_again, rehearse

REQUEST = "request-"
"""What the name of a request's item begins with."""
SCHEMA_CHECK = "json_schema"
ANY_FORM = "{}"
"""The schema of a made-up request that has to bring one."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A stratum without items, the arm that the policy chose for it, and its recipe at work.

    `build` wraps a question as the recipe says (system message, shots, template); its last message is the
    question. `sampling`, `schema` and `grammar` are the recipe's too. `checks_form` says that attempts are, or may be,
    checked against the request's schema, `tells` that they tell log-probabilities, as in a study of this arm,
    `draws_again` that a prompt is, or may be, drawn more than once, for which it needs a temperature.
    """

    stratum: Stratum
    arm: Arm
    build: Callable[[str], Prompt]
    sampling: Sampling = field(default_factory=Sampling)
    schema: str | None = None
    grammar: str | None = None
    tells: bool = field(init=False)
    checks_form: bool = field(init=False)
    draws_again: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Find out once what attempts tell, how they are checked and drawn: a file and a rehearsal take their time."""
        object.__setattr__(self, "tells", goes_by_logprobs(self.arm))
        check = self.stratum.check
        is_schema = check is not None and check.name == SCHEMA_CHECK
        object.__setattr__(self, "checks_form", is_schema and any(Check in self.asks(arm) for arm in self.arms))
        with suppress(BadInput):  # `check_desks` says that of an arm that does not begin
            drawing = [arm for arm in self.arms if not arm.is_batch and arm.method not in ASK_NONE]
            object.__setattr__(self, "draws_again", any(draws_again(arm, self._made_up()) for arm in drawing))

    @property
    def arms(self) -> Sequence[Arm]:
        """The arm, and those that it chooses among by a file."""
        return with_chosen(self.arm)

    @property
    def takes_form(self) -> bool:
        """Whether a schema that comes with the request has its effect on what is answered."""
        return self.checks_form or self.needs_form or all(map(holds_answer, self.arms))

    @property
    def needs_form(self) -> bool:
        """Whether texts are held to a schema, and the recipe has no grammar instead, so that requests bring it."""
        if self.grammar is not None:
            return False
        is_held = self.stratum.recipe.get("constrain", False)
        return any((is_held and holds_texts(arm)) or NEEDS.get(arm.method) == FORM for arm in self.arms)

    def asks(self, arm: Arm) -> frozenset[type[Ask]]:
        """The kinds of asks that an arm comes to here; raises BadInput where it does not begin."""
        return rehearse(arm, self._made_up())

    def _made_up(self) -> Problem:
        """A request like any other."""
        form = ANY_FORM if self.needs_form and self.schema is None else None
        return self.item(self.build("?"), self.sampling, form).problem

    def item(self, prompt: Prompt, sampling: Sampling, schema: str | None = None) -> Item:
        """A request as an item without a reference; the same request is the same item.

        A schema of its own takes the place of the recipe's schema or grammar.
        """
        told = json.dumps([[message.role, message.content] for message in prompt]) + repr(sampling)
        name = f"{REQUEST}{blake2b(told.encode(), digest_size=12).hexdigest()}"
        problem = Problem(
            id=name,
            stratum=self.stratum.name,
            prompt=prompt,
            sampling=replace(sampling, logprobs=sampling.logprobs or self.tells),
            schema=schema or self.schema,
            grammar=None if schema else self.grammar,
            checkable=self.stratum.check is not None,
            ratable=self.stratum.rater is not None,
            side_effects=has_side_effects(self.stratum),
        )
        return Item(problem, None, name)


def check_desks(policy: Policy, desks: Mapping[str, Desk]) -> None:
    """Raise BadInput where a stratum of the policy has no desk, or its method lacks something or does not begin."""
    for stratum in policy.strata:
        desk = desks.get(stratum.name)
        if desk is None:
            raise BadInput(f"policy {policy.name!r} has a stratum {stratum.name!r} that nothing serves; plan again")
        if desk.arm.is_batch:
            raise BadInput(
                f"method {desk.arm.method!r} of stratum {stratum.name!r} spends one budget on many requests at once, "
                f"so it cannot be served; plan with another"
            )
        refuse_acts(desk.stratum, [desk.arm])
        for arm in desk.arms:
            _refuse_lacks(desk, arm)


def no_check(stratum: Stratum, arm: Arm) -> str:
    """Why a method may not be served: its check would need the reference answer, which no request has."""
    return (
        f"method {arm.method!r} of stratum {stratum.name!r} checks attempts, and there is no check "
        f"without the reference; add `check` to the stratum, or plan with another method"
    )


def _refuse_lacks(desk: Desk, arm: Arm) -> None:
    """Raise BadInput where an arm asks, or may ask, for what the stratum has none of, or does not begin."""
    stratum = desk.stratum
    need = lacks(arm.method, stratum)
    asked = desk.asks(arm) if need is None else frozenset()
    if need is None and Solve in asked and stratum.solver is None:
        need = SOLVER
    if need is not None:
        raise BadInput(f"stratum {stratum.name!r} is served by {arm.method!r} but has no {need}; plan again")
    if Check in asked and stratum.check is None:
        raise BadInput(no_check(stratum, arm))
