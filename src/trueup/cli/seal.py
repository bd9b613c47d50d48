"""Whether a folder's ledger is of the study that is asked for, and what stands in for its models where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from trueup.cli.request import Request
from trueup.core.ledger import Ledger
from trueup.core.roles import ModelCard
from trueup.core.stratum import Arm, Stratum
from trueup.models import Sealed
from trueup.run.keys import digest, prompt_text


def what_is_asked(
    request: Request, strata: Sequence[Stratum], arms: Mapping[str, Sequence[Arm]], cards: Mapping[str, ModelCard]
) -> dict[str, str | int]:
    """All that decides which samples a study asks for, by its parts; a part of any length as a digest of it.

    What others follow from comes first: how many samples there are decides the usual methods, and these what is asked.
    """
    return {
        "number of samples": request.samples,
        "methods": _digest(f"{s.name}: {arm.label}" for s in strata for arm in arms[s.name]),
        "model": _digest(f"{name}: {card.fingerprint}" for name, card in cards.items()),
        "task": _digest(line for stratum in strata for line in _task_lines(stratum)),
    }


def _task_lines(stratum: Stratum) -> Iterator[str]:
    """What a stratum's samples, and what follows from their grades, depend on."""
    graders = stratum.verifier.name, stratum.check and stratum.check.name
    workers = stratum.solver and stratum.solver.fingerprint, stratum.rater and stratum.rater.fingerprint
    yield repr((stratum.name, *graders, *workers))
    for item in stratum.items:
        problem = item.problem
        form = problem.schema, problem.grammar, item.reference
        yield repr((problem.id, prompt_text(problem.prompt), problem.sampling, *form))


def _digest(lines: Iterable[str]) -> str:
    return digest(*lines).hex()


def sealing(request: Request, folder: Path, asked: Mapping[str, str | int]) -> Callable[[ModelCard], Sealed]:
    """What stands in for a model: only while nothing has changed did that fail which the ledger lacks."""
    changed = [part for part in asked if part != "ledger" and request.asked.get(part, asked[part]) != asked[part]]
    if int(request.asked.get("ledger", 0)) > int(asked["ledger"]):
        changed.append("ledger")
    if not changed:
        return partial(Sealed, all_was_asked=request.is_gathered)
    lack = f"the {changed[0]} of this study changed since it was sampled, and the ledger lacks some samples"
    return partial(Sealed, lack=f"{lack}; {mend(request, folder)}")


def mend(request: Request, folder: Path) -> str:
    """What to run where the ledger lacks something."""
    return f"run `trueup study {request.task} ... --out {folder}` again"


def charges_of(ledger: Ledger) -> int:
    """How many charges a ledger has."""
    return sum(total.charges for total in ledger.totals())
