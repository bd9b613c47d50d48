"""Writes the sums of this example, by rule and seed: python make.py [--seed S] [--items N] > arithmetic.jsonl

The rule: a number from 11 to 99 plus a multiple of ten from 10 to 90, both drawn evenly; no sum twice, and none that
the examples in the prompt show.
"""

from __future__ import annotations

import argparse
import json
import random

SHOWN = {(23, 40), (61, 70), (38, 50), (76, 20)}


def rows(seed: int = 0, items: int = 24) -> str:
    """So many JSONL rows."""
    rng = random.Random(f"mixed:{seed}")
    sums: dict[tuple[int, int], None] = {}
    while len(sums) < items:
        pair = (rng.randint(11, 99), 10 * rng.randint(1, 9))
        if pair not in SHOWN:
            sums[pair] = None
    return "".join(json.dumps({"id": f"{a}+{b}", "prompt": f"{a} + {b} =", "reference": a + b}) + "\n" for a, b in sums)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--items", type=int, default=24)
    given = arguments.parse_args()
    print(rows(given.seed, given.items), end="")
