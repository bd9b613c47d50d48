"""Where requests of one stratum are answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from trueup.arms import has_side_effects, refuse_acts
from trueup.core.errors import BadInput
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Item, Problem, Prompt, Sampling
from trueup.plan.policy import Policy

NEEDS_CHECK = frozenset({"best_of_n"})
NEEDS_SOLVER = frozenset({"solve", "formalise_and_solve", "decode_with_lexicon", "run_stored"})


@dataclass(frozen=True, slots=True)
class Desk:
    """A stratum without items, the arm that the policy chose for it, and its recipe at work.

    `build` wraps a question as the recipe says (system message, shots, template); its last message is the
    question. `sampling`, `schema` and `grammar` are the recipe's too.
    """

    stratum: Stratum
    arm: Arm
    build: Callable[[str], Prompt]
    sampling: Sampling = field(default_factory=Sampling)
    schema: str | None = None
    grammar: str | None = None

    def item(self, prompt: Prompt, sampling: Sampling, schema: str | None = None) -> Item:
        """A request as an item without a reference; the same request is the same item."""
        told = json.dumps([[message.role, message.content] for message in prompt]) + repr(sampling)
        name = f"request-{blake2b(told.encode(), digest_size=12).hexdigest()}"
        problem = Problem(
            id=name,
            stratum=self.stratum.name,
            prompt=prompt,
            sampling=sampling,
            schema=schema or self.schema,
            grammar=self.grammar,
            checkable=self.stratum.check is not None,
            ratable=self.stratum.rater is not None,
            side_effects=has_side_effects(self.stratum),
        )
        return Item(problem, None, name)


def check_desks(policy: Policy, desks: Mapping[str, Desk]) -> None:
    """Raise BadInput where a stratum of the policy has no desk, or its method asks for what is not there."""
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
        if desk.arm.method in NEEDS_CHECK and desk.stratum.check is None:
            raise BadInput(no_check(desk))
        if desk.arm.method in NEEDS_SOLVER and desk.stratum.solver is None:
            raise BadInput(f"stratum {stratum.name!r} is served by {desk.arm.method!r} but has no solver; plan again")


def no_check(desk: Desk) -> str:
    """Why a method may not be served: its check would need the reference answer, which no request has."""
    return (
        f"method {desk.arm.method!r} of stratum {desk.stratum.name!r} checks attempts, and there is no check "
        f"without the reference; add `check` to the stratum, or plan with another method"
    )
