"""Writes the sums of this example, by rule and seed: python make.py [--seed S] [--items N] > arithmetic.jsonl

The rule: two numbers drawn evenly from 10 to 99, no sum twice and none that the examples in the prompt show.
"""

from __future__ import annotations

import argparse
import json
import random

SHOWN = {(23, 45), (61, 17), (38, 54), (76, 89)}


def rows(seed: int, items: int) -> str:
    """So many JSONL rows."""
    rng = random.Random(f"mixed:{seed}")
    sums: dict[tuple[int, int], None] = {}
    while len(sums) < items:
        pair = (rng.randint(10, 99), rng.randint(10, 99))
        if pair not in SHOWN:
            sums[pair] = None
    return "".join(
        json.dumps({"id": f"{a}+{b}", "prompt": f"{a} + {b} =", "reference": a + b}) + "\n" for a, b in sums
    )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--items", type=int, default=24)
    given = arguments.parse_args()
    print(rows(given.seed, given.items), end="")
