"""What is under way when the server is told to end, and clients that leave in the middle of a question."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

pytest.importorskip("starlette")
from test_serve import HTTP, Toy, assert_error_shape, body, desk, post, serving

from trueup.core.ledger import verify

SERVER = """if True:
    import sys
    from pathlib import Path
    from test_serve import PRICES, Clerk, Ledger, Toy, create_app, desk, policy, run_server
    with Ledger(Path(sys.argv[1])) as ledger:
        sums, clerk = desk("sums"), Clerk(Toy(pause_seconds=60), ledger, PRICES)
        app = create_app(policy(sums), {"sums": sums}, clerk, heartbeat_seconds=0.05)
        status = run_server(app, port=0, grace_seconds=float(sys.argv[2]))
    sys.exit(status)"""


@contextlib.contextmanager
def at_work(
    ledger: Path, grace_seconds: float, *wishes: dict[str, bool]
) -> Iterator[tuple[subprocess.Popen[str], str, list[Future[httpx.Response]]]]:
    """A server in a process of its own, whose model is busy with these requests."""
    command = [sys.executable, "-c", SERVER, str(ledger), str(grace_seconds)]
    here, pipe = Path(__file__).parent, subprocess.PIPE
    with (
        subprocess.Popen(command, cwd=here, stdout=pipe, stderr=pipe, text=True) as server,
        ThreadPoolExecutor() as pool,
    ):
        assert server.stdout
        url = server.stdout.readline().strip()
        replies = [pool.submit(post, url, body(**wish)) for wish in wishes]
        while f"trueup_active_requests {len(wishes)}" not in HTTP.get(f"{url}/metrics").text:
            assert not any(reply.done() for reply in replies)
        yield server, url, replies


def begin_question(url: str) -> socket.socket:
    """A client that has sent the beginning of its question."""
    client = socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0))
    client.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\n"
        b"content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
    )
    time.sleep(0.1)  # for the server to wait for the rest
    return client


def cancelled(ledger: Path) -> int:
    """How many charges there are, all of calls that were cancelled."""
    verdict = verify(ledger)
    assert verdict.discrepancies == () and {total.kind for total in verdict.totals} == {"cancelled"}
    return verdict.charges


def assert_told(response: httpx.Response) -> None:
    told = assert_error_shape(response)
    assert (response.status_code, told["code"]) == (503, "shutting_down")
    assert told["message"] == "the server is shutting down; ask again when it is back"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_what_a_signal_breaks_off_is_booked_and_told(tmp_path: Path, number: int, status: int) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with at_work(ledger, 0.3, {}, {"stream": True}) as (server, _, (plain, stream)):
        time.sleep(0.1)  # for the stream to begin
        server.send_signal(number)
        _, complaints = server.communicate(timeout=20)
        assert (server.returncode, complaints) == (status, "")
        assert_told(plain.result())
        *_, error, done, rest = stream.result().text.split("\n\n")
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "shutting_down"
    assert (stream.result().status_code, done, rest) == (200, "data: [DONE]", "")
    assert cancelled(ledger) == 2


def test_a_second_ctrl_c_ends_the_grace(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with at_work(ledger, 60, {}) as (server, url, (plain,)), begin_question(url) as stalled:
        server.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert server.poll() is None and not plain.done()
        server.send_signal(signal.SIGINT)
        _, complaints = server.communicate(timeout=20)
        assert (server.returncode, complaints) == (0, "")
        assert_told(plain.result())
        assert stalled.recv(1 << 16).startswith(b"HTTP/1.1 503 ")
    assert cancelled(ledger) == 1


def test_a_client_that_leaves_in_its_question_is_no_fault_of_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path, Toy(), desk("sums")) as url:
        begin_question(url).close()
        deadline = time.monotonic() + 10
        while "trueup_requests_total{" not in (counted := HTTP.get(f"{url}/metrics").text):
            assert time.monotonic() < deadline
    assert 'trueup_requests_total{stratum="",code="499"} 1' in counted
    assert caplog.records == []
