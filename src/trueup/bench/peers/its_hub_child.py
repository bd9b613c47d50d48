"""Runs its_hub's algorithms; started by the Python that its_hub 1.2.0 is installed in.

Reads requests as JSON from standard input, writes per request what the result's GenerationUsage says.
Answers are compared by what is boxed, as its own server does when it is told so.
"""

import asyncio
import contextlib
import json
import logging
import re
import sys
from typing import Any

BOXED = re.compile(r"\\boxed\{([^}]+)\}")


def boxed(text: str) -> str | None:
    found = BOXED.findall(text)
    return found[-1] if found else None


def algorithm(name: str, lm: Any) -> Any:
    from its_hub.core.algorithms.adaptive_self_consistency import (  # type: ignore[import-not-found]
        AdaptiveSelfConsistency,
    )
    from its_hub.core.algorithms.beta_self_consistency import (  # type: ignore[import-not-found]
        BetaSelfConsistency,
    )
    from its_hub.core.algorithms.bon import BestOfN  # type: ignore[import-not-found]
    from its_hub.core.algorithms.self_consistency import SelfConsistency  # type: ignore[import-not-found]
    from its_hub.core.reward_models.llm_judge import LLMJudge  # type: ignore[import-not-found]

    if name == "BestOfN":
        return BestOfN(LLMJudge(lm))
    voters = {c.__name__: c for c in (SelfConsistency, AdaptiveSelfConsistency, BetaSelfConsistency)}
    return voters[name](consistency_space_projection_func=boxed)


async def run(request: dict[str, Any]) -> dict[str, Any]:
    from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel  # type: ignore[import-not-found]

    async with OpenAICompatibleLanguageModel(request["endpoint"] + "/v1", "none", request["model"]) as lm:
        method = algorithm(request["algorithm"], lm)
        try:
            result = await method.ainfer(lm, request["question"], request["budget"], return_response_only=False)
        except BaseExceptionGroup as failed:
            return {"failure": f"{failed.exceptions[0]!r}"[:200]}
        except Exception as failed:
            return {"failure": f"{failed!r}"[:200]}
    usage = result.usage
    told = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    return told | {"calls": usage.num_calls, "text": str(result.the_one["content"])}


async def main() -> None:
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(sys.stderr):
        told = [await run(request) for request in json.load(sys.stdin)]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
