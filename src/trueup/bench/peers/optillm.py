"""optillm as shipped: its proxy in front of an endpoint, asked over HTTP."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server
from tempfile import TemporaryDirectory

import httpx

from trueup.bench.peers.told import Told
from trueup.core.errors import Unavailable

START_SECONDS = 240.0
REQUEST_SECONDS = 120.0


@contextmanager
def optillm_serving(programs: Path, endpoint: str) -> Iterator[str]:
    """Its proxy in front of the endpoint at a root URL, with its defaults; the proxy's root URL.

    Raises Unavailable where it does not come up.
    """
    port = _free_port()
    command = [str(programs / "optillm"), "--base-url", f"{endpoint}/v1", "--host", "127.0.0.1", "--port", str(port)]
    with TemporaryDirectory() as home:
        settings = {"PATH": "/usr/bin:/bin", "HOME": home, "OPENAI_API_KEY": "none"}
        with (Path(home) / "log").open("w+") as log:
            proxy = subprocess.Popen([*command, "--log", "error"], cwd=home, env=settings, stdout=log, stderr=log)
            try:
                _wait_for(proxy, f"http://127.0.0.1:{port}/health", Path(log.name))
                yield f"http://127.0.0.1:{port}"
            finally:
                proxy.terminate()
                proxy.wait(10)


def ask_optillm(root: str, approach: str, model: str, question: str) -> Told:
    """One request by an approach, the model's name behind it; what its reply tells under `usage`."""
    body = {"model": f"{approach}-{model}", "messages": [{"role": "user", "content": question}]}
    headers = {"authorization": "Bearer none"}
    with httpx.Client(timeout=REQUEST_SECONDS, trust_env=False, headers=headers) as http:
        response = http.post(f"{root}/v1/chat/completions", json=body)
    if response.status_code != httpx.codes.OK:
        return Told(failure=f"status {response.status_code}: {' '.join(response.text.split())[:200]}")
    told = response.json()
    usage = told.get("usage") or {}
    text = str(told["choices"][0]["message"]["content"])
    return Told(usage.get("prompt_tokens"), usage.get("completion_tokens"), None, text)


def _free_port() -> int:
    with create_server(("127.0.0.1", 0)) as socket:
        port: int = socket.getsockname()[1]
    return port


def _wait_for(proxy: subprocess.Popen[bytes], url: str, log: Path) -> None:
    began = time.perf_counter()
    while time.perf_counter() < began + START_SECONDS and proxy.poll() is None:
        try:
            if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.RequestError:
            time.sleep(0.2)
    raise Unavailable(f"optillm does not start: {' '.join(log.read_text().split())[-300:] or 'it says nothing'}")
