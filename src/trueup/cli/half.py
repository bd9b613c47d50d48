"""What may be learned from in a study: the half of a stratum that a plan is chosen on, with its samples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trueup.cli.pipeline import Findings, gather
from trueup.cli.request import Request
from trueup.cli.screen import warn
from trueup.core.errors import BadInput, UnknownName
from trueup.core.outcome import Measured
from trueup.core.roles import ModelCard
from trueup.plan import halves
from trueup.plan.engines import tell

SPLIT_AGAIN = (
    "what is learned here is for studies that leave out what a model was trained on, as this one does; others certify "
    "on items of this half"
)


@dataclass(frozen=True, slots=True)
class Half:
    """The choosing half of a stratum; the other half is what a plan is certified on."""

    request: Request
    findings: Findings
    measured: Measured

    @property
    def seed(self) -> int:
        """The study's seed."""
        seed: int = self.findings.task["seed"]
        return seed


def open_half(folder: Path, name: str | None) -> Half:
    """The choosing half of a study's stratum of this name, or of its only one."""
    request = Request.load(folder)
    findings = gather(request, folder, sealed=True, quiet=True)
    known = {measured.stratum.name: measured for measured in findings.measured}
    measured = of_its_own(known[the_one(known, name, str(folder))], findings.card)
    return Half(request, findings, choosing([measured])[0])


def choosing(strata: Sequence[Measured]) -> list[Measured]:
    """The choosing half of each stratum; a warning where the attempts in one, or in all, are of several engines.

    And one where a study without its trained model would certify on some of what is learned from.
    """
    warn(tell({measured.stratum.name: measured.engines for measured in strata}))
    warn([f"{measured.stratum.name}: {SPLIT_AGAIN}" for measured in strata if measured.stratum.left_out])
    return [halves(measured)[0] for measured in strata]


def of_its_own(measured: Measured, card: ModelCard) -> Measured:
    """A stratum of which only the pools are read: what engines other models than the study's own had is no matter."""
    return replace(measured, engines={name: n for name, n in measured.engines.items() if name == card.fingerprint})


def the_one(known: Collection[str], name: str | None, whose: str) -> str:
    """The stratum of this name, or the only one.

    Raises BadInput where there are several and none is named, UnknownName for one that there is not.
    """
    if name is None and len(known) > 1:
        raise BadInput(f"{whose} has the strata {', '.join(known)}; choose one with --stratum")
    chosen = name or next(iter(known))
    if chosen not in known:
        raise UnknownName("stratum", chosen, known)
    return chosen
