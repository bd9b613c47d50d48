"""Make the app, and run it; what it needs is loaded only here."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from math import ceil
from types import FrameType
from typing import TYPE_CHECKING

from trueup.core.errors import BadInput, Unavailable
from trueup.plan.policy import Policy
from trueup.run import Clerk
from trueup.serve.desk import Desk, check_desks

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

    from trueup.serve.service import Service
    from trueup.serve.traffic import Traffic

BACKLOG = 2048
LANES = 16
"""Requests to be worked on at a time."""
GRACE_SECONDS = 5.0
"""For what is under way when the server is told to end; then it is cancelled."""
STALLED_SECONDS = 5
"""For clients that still send or read after that."""
POLL_SECONDS = 0.1
TERMINATED = 128 + signal.SIGTERM
"""The exit status of what SIGTERM has ended."""
MISSING = "serving needs starlette, uvicorn and pydantic; pip install 'trueup[serve]'"


def create_app(
    policy: Policy,
    desks: Mapping[str, Desk],
    clerk: Clerk,
    *,
    key: str | None = None,
    lanes: int = LANES,
    max_queue: int = 64,
    heartbeat_seconds: float = 10.0,
    first_seed: int | None = None,
    traffic: Traffic | None = None,
) -> Starlette:
    """The app that answers requests by the policy, `lanes` at a time with `max_queue` more waiting.

    With a key every route but /health asks for it. A request without a seed gets the next one counted from
    `first_seed` (default: the clock, so that a restart repeats none); with a seed its answer is reproducible
    and comes from the ledger the second time. Answers go to `traffic` as well. The model is closed when the app shuts
    down.
    Raises BadInput where a method would check against a reference or there is no lane, Unavailable where a package is
    missing.
    """
    check_desks(policy, desks)
    if lanes < 1:
        raise BadInput(f"lanes is {lanes}; give at least 1")
    if key is not None and not key:
        raise BadInput("the API key is empty; give one with --api-key, or leave it out")
    try:
        from trueup.serve.routes import build_app
        from trueup.serve.service import Service
    except ImportError as error:
        raise Unavailable(MISSING) from error
    service = Service(policy, desks, clerk, lanes=lanes, max_queue=max_queue, first_seed=first_seed, traffic=traffic)
    return build_app(service, key, heartbeat_seconds)


def run_server(
    app: Starlette,
    host: str = "127.0.0.1",
    port: int = 8321,
    *,
    announce: Callable[[str], None] | None = None,
    grace_seconds: float = GRACE_SECONDS,
) -> int:
    """Serve until interrupted or terminated; the exit status that this asks for: 0, or 143 after SIGTERM.

    `announce` is told the URL once requests are taken (default: it is printed). Told to end, the server takes no more
    requests, and cancels and answers with 503 what is not done in `grace_seconds`; a second Ctrl-C does so at once.
    Raises BadInput where the app has no key and the host is not this machine alone, Unavailable where the
    address is taken.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise Unavailable(MISSING) from error
    check_exposure(host, app.state.key)
    listener = listen(host, port)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=ceil(grace_seconds) + STALLED_SECONDS,
    )
    server = uvicorn.Server(config)
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    with _noting(server) as noted:
        announce(url) if announce else print(url, flush=True)
        asyncio.run(_serve(server, listener, app.state.service, grace_seconds))
    return TERMINATED if signal.SIGTERM in noted else 0


@contextlib.contextmanager
def _noting(server: uvicorn.Server) -> Iterator[list[int]]:
    """Have signals end the server and nothing else: it raises them again when it ends, before its work has.

    Only the main thread hears them.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        server.handle_exit(number, frame)

    is_main = threading.current_thread() is threading.main_thread()
    before = {one: signal.signal(one, note) for one in (signal.SIGINT, signal.SIGTERM) if is_main}
    try:
        yield noted
    finally:
        for one, heard in before.items():
            signal.signal(one, heard)


async def _serve(server: uvicorn.Server, listener: socket.socket, service: Service, grace_seconds: float) -> None:
    """Serve to the end: every call booked, the model closed, and every client that waited answered."""
    grace = asyncio.create_task(_stop_late(server, service, grace_seconds))
    try:
        await server.serve(sockets=[listener])
    finally:
        grace.cancel()
        await service.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(POLL_SECONDS):
            await asyncio.gather(*server.server_state.tasks, return_exceptions=True)


async def _stop_late(server: uvicorn.Server, service: Service, grace_seconds: float) -> None:
    while not server.should_exit:
        await asyncio.sleep(POLL_SECONDS)
    await asyncio.sleep(grace_seconds)
    await service.stop()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections send at once: asyncio does not see to that for a socket it is given.

    Raises Unavailable where the address is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise Unavailable(f"cannot listen on {host}:{port}: {error}; choose another --port or --host") from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def check_exposure(host: str, key: str | None) -> None:
    """Raise BadInput where strangers could reach a server that asks for no key."""
    if key is None and not is_loopback(host):
        raise BadInput(f"host {host!r} can be reached from outside; give an --api-key, or bind 127.0.0.1")


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own; a name other than localhost is not."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_key(given: str | None, key: str) -> bool:
    """Whether an Authorization header carries the key; takes the same time however much of it is right."""
    return hmac.compare_digest((given or "").encode(), f"Bearer {key}".encode())
