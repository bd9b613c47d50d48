"""What the papers report, to stand beside our figures.

Theirs are of other models and other tasks: what compares is the direction and the order of the arms, not the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from trueup.core.types import Json

CAVEAT = "another model and another task than ours"


@dataclass(frozen=True, slots=True)
class Row:
    """An arm of theirs, a figure or none for each column; `ours` is a pattern, the last of our arms to fit counts."""

    arm: str
    figures: Sequence[float | None]
    ours: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """A table of a paper's; `columns` names its figures, and for each the figure of our arms that it stands beside."""

    source: str
    model: str
    task: str
    columns: Mapping[str, str]
    rows: Sequence[Row]
    note: str = ""

    def beside(self, arms: Sequence[Mapping[str, Json]]) -> Json:
        """This as JSON, each row with the figures of ours."""
        return {
            "source": self.source, "model": self.model, "task": self.task, "caveat": CAVEAT, "note": self.note,
            "columns": list(self.columns), "rows": [self._row(row, arms) for row in self.rows],
        }  # fmt: skip

    def _row(self, row: Row, arms: Sequence[Mapping[str, Json]]) -> Json:
        told = [
            (name, key, x) for (name, key), x in zip(self.columns.items(), row.figures, strict=True) if x is not None
        ]
        fitting = [arm for arm in arms if fnmatchcase(str(arm["name"]), row.ours)]
        theirs = {"arm": row.arm, "figures": {name: x for name, _, x in told}}
        if not fitting:
            return theirs
        figures = {name: fitting[-1][key] for name, key, _ in told if key in fitting[-1]}
        return {**theirs, "our_arm": fitting[-1]["name"], "our_figures": figures}


def beside(claim: str, arms: Sequence[Mapping[str, Json]]) -> list[Json]:
    """The papers' tables for a claim, our arms' figures beside them."""
    return [table.beside(arms) for table in PUBLISHED.get(claim, ())]


LIU = "Liu et al. 2025, arXiv:2502.06703"
KUMAR = "Kumar et al. 2024, arXiv:2409.12917"
PROXY = "Liu et al. 2024, arXiv:2401.08565"
FANG = "Fang, Ma and Wang 2025, arXiv:2505.13379"
SNELL = "Snell et al. 2024, arXiv:2408.03314, charts as others have read them, about"

ADDS_UP = Published(
    f"{LIU}, table 6", "Qwen2.5-7B-Instruct, and 7B models trained to reason", "MATH-500 and AIME24",
    {"MATH-500": "accuracy", "AIME24": ""},
    (
        Row("one answer", (0.768, 0.133), "base@1"),
        Row("searched, 7B verifier", (0.880, 0.333), "base@* with a verifier"),
        Row("searched, 72B verifier", (0.910, 0.367), "base@* with a verifier"),
        Row("DeepSeek-R1-Distill-Qwen-7B, one answer", (0.924, 0.633), "trained@1"),
        Row("SimpleRL-Zero, one answer", (0.772, 0.333), "trained@1"),
    ),
    "no arm here both is trained to reason and searches; neither training nor the verifier is charged",
)  # fmt: skip
CATCHES_UP = Published(
    f"{LIU}, tables 5 and 6", "Qwen2.5-7B-Instruct against DeepSeek-R1-Distill-Qwen-7B", "MATH-500",
    {"majority": "majority_accuracy", "with a verifier": "verifier_accuracy"},
    (
        Row("no reasoning, one answer", (0.768, None), "direct, matched on flops, N = 1"),
        Row("no reasoning, searched", (0.836, 0.910), "direct, matched on flops, N = *"),
        Row("reasoning, one answer", (0.924, None), "steps, N = 1"),
    ),
    "Wang et al. 2025, arXiv:2504.14047, find that no budget closes the gap without a verifier; their tables were not "
    "at hand",
)  # fmt: skip
STEERED = Published(
    "Venhoff et al. 2025, arXiv:2510.07364", "base models, steered on about 12 % of tokens, and thinking ones",
    "mathematics", {"accuracy": ""},
    (
        Row("Llama-3.1-8B, base", (0.378,)), Row("the same, steered", (0.634,)), Row("the same, thinking", (0.834,)),
        Row("Qwen2.5-14B, base", (0.908,)), Row("the same, steered", (0.930,)), Row("the same, thinking", (0.942,)),
        Row("Qwen2.5-32B, base", (0.926,)), Row("the same, steered", (0.944,)), Row("the same, thinking", (0.948,)),
    ),
    "no arm of ours steers by activations",
)  # fmt: skip
TASK_EXPERTS = Published(
    f"{PROXY}, task experts", "13B and 70B, a tuned 7B as expert", "GSM8K, TriviaQA",
    {"GSM": "skill_accuracy", "TriviaQA": ""},
    (
        Row("13B base", (0.066, 0.368), "L"), Row("13B proxy", (0.439, 0.559), "proxy, alpha 1"),
        Row("13B tuned", (0.510, 0.595), "L+ full"),
        Row("70B base", (0.096, 0.452), "L"), Row("70B proxy", (0.539, 0.627), "proxy, alpha 1"),
        Row("70B tuned", (0.679, 0.631), "L+ full"),
    ),
    "of what direct tuning gains the proxy has 84.0 % and 86.9 % on GSM",
)  # fmt: skip
CHAT_EXPERT = Published(
    f"{PROXY}, chat expert", "13B and 70B, a 7B chat model as expert", "GSM8K, TruthfulQA open-ended",
    {"GSM": "skill_accuracy", "truthful": "facts_accuracy"},
    (
        Row("7B expert", (0.230, None), "S+"),
        Row("13B base", (0.066, None), "L"), Row("13B proxy", (0.264, 0.905), "proxy, alpha 1"),
        Row("13B tuned", (0.324, 0.873), "L+ full"),
        Row("70B base", (0.096, None), "L"), Row("70B proxy", (0.320, 0.923), "proxy, alpha 1"),
        Row("70B tuned", (0.518, 0.858), "L+ full"),
    ),
    "gap closed, mean of five evaluations: 91.1 % at 13B, 88.1 % at 70B; on TruthfulQA's multiple choice tuning is "
    "ahead, 61.6 to 57.4 % and 68.3 to 59.2 %",
)  # fmt: skip
BY_BINS = Published(
    SNELL, "a model and a process verifier of its own", "mathematics, fifths by difficulty, 256 samples",
    {"accuracy": "accuracy"},
    tuple(
        row
        for place, bin_, beam, best in (
            ("easiest fifth", 5, 0.77, 0.88), ("third fifth", 3, 0.34, 0.23), ("fourth fifth", 2, 0.17, 0.10),
        )
        for row in (
            Row(f"beam, {place}", (beam,), f"beam *, predicted bin {bin_} *"),
            Row(f"best-of-N weighted, {place}", (best,), f"weighted *, predicted bin {bin_} *"),
        )
    ),
    "hardest fifth: 1 to 3 % for everything; chosen by difficulty, 16 samples are as good as 64 of best-of-N weighted; "
    "the 2,048 samples a question that tell its difficulty are not counted",
)  # fmt: skip
BY_POLICY = Published(
    f"{LIU}, table 5", "Llama-3.2-1B-Instruct with process verifiers", "MATH-500", {"accuracy": "accuracy"},
    (
        Row("one answer", (0.260,), "vote 1"), Row("majority", (0.390,), "vote [0-9][0-9]"),
        Row("compute-optimal", (0.662,), "predicted bins, budget of N = *"),
    ),
)  # fmt: skip
SCORE = Published(
    f"{KUMAR}, tables 1, 2 and 4", "Gemini 1.5 Flash", "MATH, 500 problems, greedy",
    {
        "Acc@t1": "accuracy_t1", "Acc@t2": "accuracy_t2", "delta": "delta", "i->c": "wrong_to_right",
        "c->i": "right_to_wrong",
    },
    (
        Row("base", (0.526, 0.414, -0.112, 0.046, 0.158), "base"),
        Row("Self-Refine", (0.528, 0.518, -0.010, 0.032, 0.042)),
        Row("STaR, D", (0.554, 0.412, -0.142, 0.054, 0.196), "STaR"),
        Row("STaR, D+", (0.536, 0.540, 0.004, 0.026, 0.022), "STaR+"),
        Row("Pair-SFT, D", (0.524, 0.542, 0.018, 0.054, 0.036), "Pair-SFT"),
        Row("Pair-SFT, D+", (0.550, 0.550, 0.0, 0.0, 0.0), "Pair-SFT+"),
        Row("SCoRe", (0.600, 0.644, 0.044, 0.058, 0.014), "SCoRe"),
        Row("single-turn RL", (0.618, 0.594, -0.024, None, None), "single-turn RL"),
        Row("without Stage I", (0.592, 0.614, 0.022, None, None), "SCoRe - Stage I"),
        Row("without shaping", (0.600, 0.626, 0.026, None, None), "SCoRe - shaping"),
        Row("STaR in Stage II", (0.562, 0.584, 0.022, None, None)),
    ),
    "no iterated on-policy SFT among their arms; on 500 problems Pair-SFT's gain is no more than noise (27 against 18 "
    "flips)",
)  # fmt: skip
SCORE_SMALL = Published(
    f"{KUMAR}, appendix A.1", "Gemma 2 2B", "MATH", {"Acc@t1": "accuracy_t1", "Acc@t2": "accuracy_t2"},
    (
        Row("base", (0.168, 0.168), "base"), Row("Stage I", (0.176, 0.200)),
        Row("SCoRe", (0.230, 0.240), "SCoRe"),
    ),
)  # fmt: skip
THINKLESS = Published(
    f"{FANG}, and their repository", "DeepSeek-R1-Distill-Qwen-1.5B, warmed up on pairs", "mathematics",
    {"pass@1": "accuracy", "thinks": "think_rate", "tokens": "generated_tokens_per_request"},
    (
        Row("always thinking, AIME24", (0.280, None, 18063), "warm-up, always think"),
        Row("DeGRPO, AIME24", (0.2733, 1.0, None), "DeGRPO"),
        Row("always thinking, Minerva Algebra", (0.9577, None, 3029), "warm-up, always think"),
        Row("DeGRPO, Minerva Algebra", (0.9459, 0.2588, 1144), "DeGRPO"),
        Row("always thinking, MATH-500", (0.8608, None, 5675), "warm-up, always think"),
        Row("DeGRPO, MATH-500", (0.8184, 0.51, None), "DeGRPO"),
        Row("always thinking, GSM8K", (0.8347, None, 1919), "warm-up, always think"),
        Row("DeGRPO, GSM8K", (0.8418, 0.1331, 624), "DeGRPO"),
        Row("router of 7B, GSM8K", (0.8587, 0.024, None), "DeGRPO's answers, routed: logistic on characters"),
        Row("Qwen2.5-Math-1.5B, short alone, GSM8K", (0.8572, None, None), "DeGRPO's answers, routed: always short"),
    ),
    "plain GRPO leaves fewer than 10 long samples of a batch within about 120 updates; the authors' own later run took "
    "480 updates at two rewards",
)  # fmt: skip
CALLS = Published(
    "Manduzio et al. 2024, arXiv:2410.18890", "a small model by a large one's right and wrong calls",
    "first-order logic and GSM8K, by calls of functions", {}, (),
    "its tables were not at hand, so no figure stands here; it says that the tuned model is right more often than it "
    "was, with at most 10 calls, with 20 and together; no imitation baseline of theirs is known",
)  # fmt: skip

PUBLISHED: Mapping[str, Sequence[Published]] = {
    "internal-external": (ADDS_UP,),
    "nonreasoning-gap": (CATCHES_UP, STEERED),
    "proxy-tuning": (TASK_EXPERTS, CHAT_EXPERT),
    "compute-optimal": (BY_BINS, BY_POLICY),
    "self-correction": (SCORE, SCORE_SMALL),
    "think-or-answer": (THINKLESS,),
    "function-calling": (CALLS,),
}
