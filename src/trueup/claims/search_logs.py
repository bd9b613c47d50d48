"""Every way to spend a budget on each problem, logged: votes, best-of-N weighted, beams.

A model answers chains in worked steps, up to longer ones than it was taught; a process verifier, trained on its
own samples, rates. Pilot and truth come of samples of their own, so that neither leaks into what they sort.
Costs are FLOPs per item, a token read once by each model; a beam's are the mean over problems of its length.
Axes: B row, P prompt token, T token, M item, N attempt, K method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.chains import HELD_OUT, laboratory, task_of, train_stages, trial_items
from trueup.claims.chains import Size as LabSize
from trueup.claims.curves import doublings
from trueup.claims.pieces import Pieces
from trueup.claims.slip_temperature import slip_temperature
from trueup.core.types import Json
from trueup.plan.compute_optimal import Pilot
from trueup.plan.estimate import Column
from trueup.plan.logged import Grid, Logged

if TYPE_CHECKING:
    from trueup.train.laboratory import Transformer, Verifier
    from trueup.train.laboratory.tasks import Chain
    from trueup.train.laboratory.verifier import Labelled

Tokens = NDArray[np.int64]
STEP_TOKENS = 2
PILOT_SEED, TRUTH_SEED = 101, 102
BLOCK_ITEMS = 64
UNIT = "FLOPs"
COLUMNS = ("right", "cost", "tokens")


@dataclass(frozen=True, slots=True)
class Size:
    """The laboratory, the beams to try, and how many samples of an item are its pilot and its truth.

    The temperature is that of all sampling: an able model slips at a high one, and a verifier can tell a slip. With an
    `ease` it is the one at which a pilot comes out right so often.
    """

    lab: LabSize
    beams: Sequence[int]
    width: int
    rollouts: int
    pilot: int
    truth: int
    temperature: float = 1.0
    ease: float | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of samples of votes and of best-of-N."""
        return doublings(self.lab.attempts)

    @property
    def baseline(self) -> list[str]:
        """Best-of-N weighted; a single sample needs no verifier."""
        return [name_of("vote", 1), *(name_of("weighted", n) for n in self.sizes[1:])]


@dataclass(frozen=True, slots=True)
class Logs:
    """The methods on the items, and what is known of each item's ease; `one_off_flops` by what they bought.

    `tokens_KM` are those that each method generates on each item.
    """

    table: Logged
    tokens_KM: Grid
    pilot: Pilot
    truth: Column
    one_off_flops: Mapping[str, float]
    temperature: float = 1.0

    def to_json(self) -> Json:
        """This, as JSON."""
        return {
            "names": list(self.table.names),
            "right": self.table.right.astype(int).tolist(),
            "cost": self.table.cost.tolist(),
            "tokens": self.tokens_KM.tolist(),
            "ease": self.pilot.ease.tolist(),
            "pilot_cost": self.pilot.cost.tolist(),
            "truth": self.truth.tolist(),
            "one_off_flops": dict(self.one_off_flops),
            "temperature": self.temperature,
        }

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Logs:
        """What `to_json` wrote."""
        right, cost, tokens, ease, pilot_cost, truth = (
            np.array(table[name], float) for name in ("right", "cost", "tokens", "ease", "pilot_cost", "truth")
        )
        logged = Logged(tuple(table["names"]), right, cost, _clusters(len(truth)), UNIT)
        return cls(logged, tokens, Pilot(ease, pilot_cost), truth, table["one_off_flops"], table["temperature"])


def pooled(logs: Sequence[Logs]) -> Logs:
    """The seeds' logs side by side; an item is one cluster, whatever seed's model answered it."""
    first = logs[0]
    right, cost = (np.concatenate([getattr(one.table, name) for one in logs], 1) for name in ("right", "cost"))
    table = Logged(first.table.names, right, cost, first.table.clusters * len(logs), UNIT)
    ease, pilot_cost = (np.concatenate([getattr(one.pilot, name) for one in logs]) for name in ("ease", "cost"))
    return Logs(
        table,
        np.concatenate([one.tokens_KM for one in logs], 1),
        Pilot(ease, pilot_cost),
        np.concatenate([one.truth for one in logs]),
        {name: float(np.mean([one.one_off_flops[name] for one in logs])) for name in first.one_off_flops},
        float(np.mean([one.temperature for one in logs])),
    )


def _clusters(items: int) -> tuple[str, ...]:
    return tuple(str(item) for item in range(items))


def name_of(family: str, n: int) -> str:
    """A method's name."""
    return f"{family} {n}"


def make_logs(size: Size, seed: int, first: int, pieces: Pieces) -> Logs:
    """Train a model and its verifier, and log every method on the items."""
    trained = train_stages(size.lab, size.lab.worked, worked=True, seed=seed, files=pieces.file(f"seed{seed}"))
    temperature, pilot_flops = size.temperature, 0.0
    if size.ease is not None:
        temperature, pilot_flops = slip_temperature(size.lab, trained.model, size.ease, seed=seed)
    size = replace(size, temperature=temperature)
    verifier, verifier_flops = process_verifier(size, trained.model, seed)
    bench = _Bench(size, trained.model, verifier, trial_items(size.lab, first), seed)

    def beams(n: int) -> Row:
        # On a GPU the verifier of a run that was killed does not come back, and its beams would stand beside another's.
        if size.lab.start.weights:
            return bench.beams(n)
        return Row.of_json(pieces.get(f"seed{seed}-beam{n}", lambda: bench.beams(n).to_json()))

    rows = [*bench.samples(), *(beams(n) for n in size.beams)]
    right, cost, tokens = (np.stack([getattr(row, name) for row in rows]) for name in COLUMNS)
    table = Logged(tuple(row.name for row in rows), right, cost, _clusters(size.lab.items), UNIT)
    one_off = {"model": trained.flops + pilot_flops, "verifier": verifier_flops}
    return Logs(table, tokens, bench.pilot(), bench.truth(), one_off, temperature)


def process_verifier(size: Size, model: Transformer, seed: int) -> tuple[Verifier, float]:
    """A verifier of steps that begins as the model itself, and the FLOPs that it took, all its rollouts included."""
    room, lab, task = laboratory(), size.lab, task_of(size.lab, worked=True)
    prompts_BP = trial_items(replace(lab, items=lab.verifier_items), HELD_OUT + seed)
    n, most = lab.verifier_samples, task.longest(lab.most)
    out = room.generate(model, prompts_BP, most=most, n=n, temperature=size.temperature, seed=HELD_OUT + seed)
    asked_BP = prompts_BP.repeat(n, 0)
    steps = room.process_rows(
        model,
        asked_BP,
        out.tokens_BT,
        task.answers(asked_BP),
        rollouts=size.rollouts,
        temperature=size.temperature,
        seed=seed,
    )
    right_B = task.check(asked_BP, out.tokens_BT)
    rows = labelled_throughout(steps, room.outcome_rows(asked_BP, out.tokens_BT, right_B))
    verifier = room.Verifier(model.shape, seed=seed, trunk=model)
    spent = room.train_verifier(verifier, rows, room.Recipe(lab.verifier_steps, lab.rows, lab.lr / 5, seed=seed))
    sampled = room.sampling_flops(model, prompts_BP.shape[1], out.lengths, prompts=len(prompts_BP))
    return verifier, float(spent.flops + sampled + rows.flops)


def labelled_throughout(steps: Labelled, outcomes: Labelled) -> Labelled:
    """Ends of steps labelled by their rollouts, every other token by the outcome, which is one rollout from there.

    A beam is rated wherever its round ends, be that behind a slip or within an answer; a verifier that never learned of
    such places rates them as it happens to, and the search finds those it happens to like.
    """
    label_BT = np.where(steps.known_BT, steps.label_BT, outcomes.label_BT)
    return replace(steps, label_BT=label_BT, known_BT=steps.known_BT | outcomes.known_BT)


@dataclass(frozen=True, slots=True)
class Row:
    """A method: whether it was right on each item, its FLOPs there and the tokens that it generated."""

    name: str
    right: Column
    cost: Column
    tokens: Column

    def to_json(self) -> Json:
        """This, as JSON."""
        return {"name": self.name, **{name: getattr(self, name).tolist() for name in COLUMNS}}

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Row:
        """What `to_json` wrote."""
        return cls(table["name"], *(np.array(table[name], float) for name in COLUMNS))


@dataclass(frozen=True, slots=True)
class _Bench:
    """A model and its verifier before the test items."""

    size: Size
    model: Transformer
    verifier: Verifier
    prompts_MP: Tokens
    seed: int

    def samples(self) -> list[Row]:
        """Votes and best-of-N weighted, each over the first n of the same samples."""
        codes_MN, lengths_MN, ratings_MN = self._drawn(self.size.lab.attempts, self.seed)
        sampled_MN, rated_MN = (self._flops(network, lengths_MN) for network in (self.model, self.verifier))
        tokens_MN, rows = lengths_MN.cumsum(1).astype(float), []
        for n in self.size.sizes:
            sampled_M, rated_M, tokens_M = sampled_MN[:, n - 1], rated_MN[:, n - 1], tokens_MN[:, n - 1]
            even_MN = np.ones_like(ratings_MN[:, :n])
            rows.append(Row(name_of("vote", n), self._right(codes_MN[:, :n], even_MN), sampled_M, tokens_M))
            if n > 1:
                chosen_M = self._right(codes_MN[:, :n], ratings_MN[:, :n])
                rows.append(Row(name_of("weighted", n), chosen_M, sampled_M + rated_M, tokens_M))
        return rows

    def beams(self, n: int) -> Row:
        """Beam search with n beams, length by length."""
        from trueup.train.laboratory.tasks import read_answers

        room, task = laboratory(), self._task
        dial_M = task.dials(self.prompts_MP)
        right_M, cost_M, tokens_M = np.zeros((3, len(dial_M)))
        for dial in np.unique(dial_M):
            here = dial_M == dial
            found = room.beam_search(
                self.model, self.verifier, self.prompts_MP[here], n=n, width=min(n, self.size.width),
                step_tokens=STEP_TOKENS, most=task.longest(self.size.lab.most), temperature=self.size.temperature,
                seed=self.seed + 1000 * int(dial),
            )  # fmt: skip
            M, N, T = found.completions_MNT.shape
            codes_MN = read_answers(found.completions_MNT.reshape(M * N, T)).reshape(M, N)
            right_M[here] = room.weighted(codes_MN, found.ratings_MN) == task.answers(self.prompts_MP[here])
            cost_M[here], tokens_M[here] = found.flops / M, found.sampled_tokens / M
        return Row(name_of("beam", n), right_M, cost_M, tokens_M)

    def pilot(self) -> Pilot:
        """The mean rating of a few samples, and their FLOPs."""
        _, lengths_MN, ratings_MN = self._drawn(self.size.pilot, HELD_OUT + PILOT_SEED + self.seed)
        cost_M = self._flops(self.model, lengths_MN)[:, -1] + self._flops(self.verifier, lengths_MN)[:, -1]
        return Pilot(ratings_MN.mean(1).astype(float), cost_M)

    def truth(self) -> Column:
        """How often the model is right on each item."""
        codes_MN, _, _ = self._drawn(self.size.truth, HELD_OUT + TRUTH_SEED + self.seed, is_rated=False)
        share_M: Column = (codes_MN == self._task.answers(self.prompts_MP)[:, None]).mean(1)
        return share_M

    @property
    def _task(self) -> Chain:
        return task_of(self.size.lab, worked=True)

    def _drawn(self, n: int, seed: int, *, is_rated: bool = True) -> tuple[Tokens, Tokens, NDArray[np.float32]]:
        """Answers, lengths and ratings of n samples."""
        from trueup.train.laboratory.tasks import read_answers

        room, M = laboratory(), len(self.prompts_MP)
        most = self._task.longest(self.size.lab.most)
        out = room.generate(self.model, self.prompts_MP, most=most, n=n, temperature=self.size.temperature, seed=seed)
        ratings_MN = np.ones((M, n), np.float32)
        if is_rated:
            ratings_MN = room.rate(self.verifier, self.prompts_MP.repeat(n, 0), out.tokens_BT).reshape(M, n)
        return read_answers(out.tokens_BT).reshape(M, n), out.lengths.reshape(M, n), ratings_MN

    def _right(self, codes_MN: Tokens, ratings_MN: NDArray[np.float32]) -> Column:
        choose, blocks = laboratory().weighted, range(0, len(codes_MN), BLOCK_ITEMS)
        chosen_M = np.concatenate(
            [choose(codes_MN[b : b + BLOCK_ITEMS], ratings_MN[b : b + BLOCK_ITEMS]) for b in blocks]
        )
        right_M: Column = (chosen_M == self._task.answers(self.prompts_MP)).astype(float)
        return right_M

    def _flops(self, network: Transformer | Verifier, lengths_MN: Tokens) -> Column:
        """FLOPs of the first n attempts, whose prompt is read once."""
        cost, P = laboratory().sampling_flops, self.prompts_MP.shape[1]
        once = cost(network, P, np.zeros(0, np.int64), prompts=1)
        of_length = [cost(network, P, np.array([length]), prompts=0) for length in range(int(lengths_MN.max()) + 1)]
        flops_MN: Column = once + np.array(of_length, float)[lengths_MN].cumsum(1)
        return flops_MN
