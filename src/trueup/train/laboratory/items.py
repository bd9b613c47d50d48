"""Problems of the laboratory as items, for methods and ledger."""

from __future__ import annotations

import numpy as np

from trueup.core.types import Item, Message, Problem, Sampling
from trueup.train.laboratory.tasks.reading import word_of
from trueup.train.laboratory.tasks.role import Task
from trueup.train.laboratory.vocabulary import decode

ANSWER_PATTERN = r"#(\w+)$"
"""What `exact` reads an answer by."""


def items_of(
    task: Task,
    n: int,
    dial: int,
    *,
    stratum: str = "lab",
    seed: int = 0,
    temperature: float = 1.0,
    ratable: bool = False,
) -> tuple[Item, ...]:
    """n items at a dial; the reference is the answer in characters."""
    prompts_BP = task.prompts(np.random.default_rng((seed, dial)), n, dial)
    sampling = Sampling(temperature=temperature, max_tokens=task.longest(dial), seed=seed)
    items = []
    for place, (row, code) in enumerate(zip(prompts_BP, task.answers(prompts_BP), strict=True)):
        name = f"{stratum}-{dial}-{place}"
        problem = Problem(name, stratum, (Message("user", decode(row)),), sampling, ratable=ratable)
        items.append(Item(problem, word_of(int(code)), name))
    return tuple(items)
