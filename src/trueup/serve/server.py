"""Make the app, and run it; what it needs is loaded only here."""

from __future__ import annotations

import contextlib
import hmac
import socket
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING

from trueup.core.errors import BadInput, Unavailable
from trueup.plan.policy import Policy
from trueup.run import Clerk
from trueup.serve.desk import Desk, check_desks

if TYPE_CHECKING:
    from starlette.applications import Starlette

BACKLOG = 2048
GRACE_SECONDS = 5
MISSING = "serving needs starlette, uvicorn and pydantic; pip install 'trueup[serve]'"


def create_app(
    policy: Policy,
    desks: Mapping[str, Desk],
    clerk: Clerk,
    *,
    key: str | None = None,
    lanes: int = 16,
    max_queue: int = 64,
    heartbeat_seconds: float = 10.0,
    first_seed: int | None = None,
) -> Starlette:
    """The app that answers requests by the policy, `lanes` at a time with `max_queue` more waiting.

    With a key every route but /health asks for it. A request without a seed gets the next one counted from
    `first_seed` (default: the clock, so that a restart repeats none); with a seed its answer is reproducible
    and comes from the ledger the second time. The model is closed when the app shuts down.
    Raises BadInput where a method would check against a reference, Unavailable where a package is missing.
    """
    check_desks(policy, desks)
    if key is not None and not key:
        raise BadInput("the API key is empty; give one with --api-key, or leave it out")
    try:
        from trueup.serve.routes import build_app
        from trueup.serve.service import Service
    except ImportError as error:
        raise Unavailable(MISSING) from error
    service = Service(policy, desks, clerk, lanes=lanes, max_queue=max_queue, first_seed=first_seed)
    return build_app(service, key, heartbeat_seconds)


def run_server(
    app: Starlette, host: str = "127.0.0.1", port: int = 8321, *, announce: Callable[[str], None] | None = None
) -> None:
    """Serve until interrupted; `announce` is told the URL once requests are taken (default: it is printed).

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
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    announce(url) if announce else print(url, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


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
