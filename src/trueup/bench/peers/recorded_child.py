"""Replays recorded attempts to a peer's own code; started by the Python that the peer is installed in.

Reads a job as JSON from standard input: the peer, its runs, the pattern of an answer, and the items, each with the
texts, lengths, mean log-probabilities and rights of its attempts and the length of its prompt. Writes per run and item
the number of the attempt whose text was returned (-1: none), and what a provider would bill: calls begun, their
prompts, and the tokens generated; of a call that was cancelled those until then. The clock is virtual, a token a tick.
"""

import asyncio
import json
import logging
import random
import re
import selectors
import sys
import threading
from types import SimpleNamespace
from typing import Any

LETTERS_A_TOKEN = 4
NATIVE_NUMBER = {"eager": 2, "hybrid": 3, "vote": 3}


class Tape:
    """An item's attempts, handed out in order; counts what is billed."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item
        self.taken: list[int] = []
        self.calls = self.prompt = self.completion = 0

    def begin(self, n: int = 1, prompt: int | None = None) -> list[int]:
        """A call for n texts: their numbers."""
        self.calls += 1
        self.prompt += self.item["prompt_tokens"] if prompt is None else prompt
        numbers = list(range(len(self.taken), len(self.taken) + n))
        self.taken += numbers
        return numbers

    def text(self, number: int) -> str:
        return str(self.item["texts"][number])

    def finish(self, number: int) -> str:
        """The whole text, billed."""
        self.completion += self.item["tokens"][number]
        return self.text(number)

    def bill(self, chosen: int) -> list[int]:
        return [chosen, self.calls, self.prompt, self.completion]

    def number_of(self, text: str) -> int:
        """The first attempt taken that has this text."""
        return next((number for number in self.taken if self.text(number) == text), -1)


class Jumping(selectors.SelectSelector):
    """Waits for nothing: the clock jumps to the next thing to do."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = Jumping()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def its_hub(run: dict[str, Any], items: list[Any], pattern: str) -> list[list[int]]:
    """Its library; all calls at once, since its own limit loses a place with every call that it cancels."""
    from its_hub.api import AbstractLanguageModel, AbstractOutcomeRewardModel  # type: ignore[import-not-found]
    from its_hub.core.algorithms import adaptive_self_consistency as adaptive  # type: ignore[import-not-found]
    from its_hub.core.algorithms import beta_self_consistency as beta
    from its_hub.core.algorithms import bon
    from its_hub.core.algorithms import self_consistency as plain
    from its_hub.core.orchestrator import LMOrchestrator  # type: ignore[import-not-found]

    class Recording(AbstractLanguageModel):  # type: ignore[misc]
        def __init__(self, tape: Tape) -> None:
            self.tape = tape

        async def agenerate_single(self, messages: Any, stop: Any = None, **settings: Any) -> dict[str, str]:
            (number,) = self.tape.begin()
            if run["method"] != "BetaSelfConsistency":  # nothing is cancelled: no need of a clock
                return {"role": "assistant", "content": self.tape.finish(number)}
            loop, length = asyncio.get_running_loop(), self.tape.item["tokens"][number]
            begun = loop.time()
            try:
                await asyncio.sleep(length)
            finally:
                self.tape.completion += min(length, round(loop.time() - begun))
            return {"role": "assistant", "content": self.tape.text(number)}

        async def agenerate(self, messages: Any, stop: Any = None, **settings: Any) -> Any:
            raise NotImplementedError

    class Verified(AbstractOutcomeRewardModel):  # type: ignore[misc]
        def __init__(self, tape: Tape) -> None:
            self.tape = tape

        async def ascore(self, conversations: Any, orchestrator: Any = None, **settings: Any) -> list[float]:
            texts = [conversation[-1].content for conversation in conversations]
            return [float(self.tape.item["right"][self.tape.number_of(text)]) for text in texts]

        def score(self, conversations: Any, **settings: Any) -> Any:
            raise NotImplementedError

    def algorithm(tape: Tape) -> Any:
        settings = dict(run.get("settings", {}), orchestrator=LMOrchestrator(max_concurrency=-1))
        if run["method"] == "BestOfN":
            return bon.BestOfN(Verified(tape), **settings)
        kinds = (plain.SelfConsistency, adaptive.AdaptiveSelfConsistency, beta.BetaSelfConsistency)
        settings["consistency_space_projection_func"] = plain.create_regex_projection_function(pattern)
        return {kind.__name__: kind for kind in kinds}[run["method"]](**settings)

    async def all_items() -> list[list[int]]:
        rows = []
        for item in items:
            random.seed(item["id"])
            tape = Tape(item)
            chosen = await algorithm(tape).ainfer(Recording(tape), item["id"], run["n"])
            rows.append(tape.bill(tape.number_of(chosen["content"])))
        return rows

    return VirtualLoop().run_until_complete(all_items())


def optillm(run: dict[str, Any], items: list[Any], pattern: str) -> list[list[int]]:
    """What its proxy calls for an approach, with a client that replays; several texts a call have one prompt."""
    from optillm.bon import best_of_n_sampling  # type: ignore[import-not-found]
    from optillm.plugins import majority_voting_plugin  # type: ignore[import-not-found]
    from optillm.self_consistency import advanced_self_consistency_approach  # type: ignore[import-not-found]

    def reply(texts: list[str], tokens: int) -> Any:
        choices = [SimpleNamespace(message=SimpleNamespace(content=t), finish_reason="stop") for t in texts]
        return SimpleNamespace(choices=choices, usage=SimpleNamespace(completion_tokens=tokens))

    def create(tape: Tape, messages: list[dict[str, str]], n: int = 1, **settings: Any) -> Any:
        if not messages[-1]["content"].startswith("Rate the above"):
            before = tape.completion
            return reply([tape.finish(number) for number in tape.begin(n)], tape.completion - before)
        number = tape.number_of(messages[-2]["content"])
        asked = sum(len(messages[place]["content"]) for place in (-1, -3)) // LETTERS_A_TOKEN
        tape.begin(0, tape.item["prompt_tokens"] + tape.item["tokens"][number] + asked)
        tape.completion += 1
        return reply(["10" if tape.item["right"][number] else "0"], 1)

    rows = []
    for item in items:
        tape = Tape(item)
        completions = SimpleNamespace(create=lambda tape=tape, **request: create(tape, **request))
        client, query = SimpleNamespace(chat=SimpleNamespace(completions=completions)), f"User: {item['id']}"
        if run["method"] == "majority_voting":
            text, _ = majority_voting_plugin.run("", query, client, "m", {"k": run["n"]})
        elif run["method"] == "bon":
            text, _ = best_of_n_sampling("", query, client, "m", run["n"])
        else:
            text, _ = advanced_self_consistency_approach("", query, client, "m")
        rows.append(tape.bill(tape.number_of(text)))
    return rows


def bestofn(run: dict[str, Any], items: list[Any], pattern: str) -> list[list[int]]:
    """Its selection on n texts of one call."""
    from bestofn import Sample, get_extractor, select  # type: ignore[import-not-found]

    extract = get_extractor("regex", pattern=pattern)
    rows = []
    for item in items:
        tape = Tape(item)
        texts = [tape.finish(number) for number in tape.begin(run["n"])]
        samples = [Sample(extract(text), text=text, logprob=item["logprobs"][i]) for i, text in enumerate(texts)]
        chosen = select(samples, run["method"])
        rows.append(tape.bill(next((i for i, s in enumerate(samples) if chosen and s.key == chosen), -1)))
    return rows


def zen_router(run: dict[str, Any], items: list[Any], pattern: str) -> list[list[int]]:
    """Its router; a model that cannot think gives its native call one more attempt. No text is longer than its tail."""
    from zen import ZenRouter, extract_final_answer, extract_int  # type: ignore[import-not-found]

    parser = extract_int if r"\d" in pattern else extract_final_answer
    rows = []
    for item in items:
        tape, cheap, lock = Tape(item), iter(range(len(item["texts"]))), threading.Lock()
        native, variant, settings = NATIVE_NUMBER[run["method"]], run["method"], run.get("settings", {})

        def client(
            *, reasoning: str, tape: Tape = tape, cheap: Any = cheap, lock: Any = lock, native: int = native, **_: Any
        ) -> Any:
            with lock:
                number = native if reasoning == "high" else next(cheap)
                tape.begin(0)
                tape.taken.append(number)
                text = tape.finish(number)
            p = tape.item["logprobs"][number]
            told = {"last_mean_logprob": p, "last_tail_logprob": p}
            return SimpleNamespace(get_text=lambda prompt: text, get_token=lambda: (0, 0), **told)

        router = ZenRouter(variant=variant, parser=parser, client_factory=client, **settings)
        answer = router.solve(item["id"]).answer
        taken = sorted(tape.taken)
        chosen = next((i for i in taken if answer is not None and parser(tape.text(i)) == answer), -1)
        rows.append(tape.bill(chosen))
    return rows


def crucible(run: dict[str, Any], items: list[Any], pattern: str) -> list[list[int]]:
    """Its best-of-N strategy by the majority; its policies make a call a text."""
    from crucible.config import RunConfig  # type: ignore[import-not-found]
    from crucible.domain.types import Problem, Step, Trace  # type: ignore[import-not-found]
    from crucible.search import BestOfNStrategy  # type: ignore[import-not-found]

    class Policy:
        def __init__(self, tape: Tape) -> None:
            self.tape = tape

        def sample_full(self, problem: Any, *, n: int, temperature: float, max_tokens: int) -> list[Any]:
            numbers = [self.tape.begin()[0] for _ in range(n)]
            return [Trace(steps=[Step(self.tape.finish(i), self.tape.item["tokens"][i])]) for i in numbers]

    config = RunConfig(method="best_of_n", n=run["n"], selection=run["method"])
    rows = []
    for item in items:
        tape = Tape(item)
        trace = BestOfNStrategy().search(Problem(item["id"], item["id"]), Policy(tape), None, None, config)
        rows.append(tape.bill(tape.number_of(trace.text)))
    return rows


PEERS = {"its_hub": its_hub, "optillm": optillm, "bestofn": bestofn, "zen-router": zen_router, "crucible-ttc": crucible}


def main() -> None:
    logging.disable(logging.CRITICAL)
    job = json.load(sys.stdin)
    told, sys.stdout = sys.stdout, sys.stderr
    re.compile(job["pattern"])
    replay = PEERS[job["peer"]]
    json.dump([replay(run, job["items"], job["pattern"]) for run in job["runs"]], told)


if __name__ == "__main__":
    main()
