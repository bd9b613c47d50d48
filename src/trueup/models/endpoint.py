"""An HTTP endpoint that takes JSON: its address, its key, its refusals."""

from __future__ import annotations

import asyncio
import os
import time
from ipaddress import ip_address

import httpx

from trueup.core.errors import BadInput, Unavailable
from trueup.models.retry import Refusal, may_retry, retry_after
from trueup.models.stream import Reception

CONNECT_SECONDS = 10.0
EXCERPT_CHARACTERS = 300


class Endpoint:
    """One address with one pooled client, opened at the first call, and so many calls at a time.

    The key comes from the environment and goes into the header, nowhere else. Redirects are not followed,
    and no proxy stands between us and a loopback address.
    """

    def __init__(self, base: str, path: str, *, key_env: str, timeout: float, lanes: int) -> None:
        """Prepare to post to `path` below the base URL.

        Raises BadInput for a URL that is none, or a key that cannot be sent.
        """
        self.base = _base_url(base, path)
        self.key_env = key_env
        self._path, self._timeout, self._lanes = path, timeout, lanes
        self._key = os.environ.get(key_env, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise BadInput(f"${key_env} holds characters that no key has; set it anew")
        self._http: httpx.AsyncClient | None = None
        self.free = asyncio.Semaphore(lanes)

    async def post(self, body: bytes, reception: Reception | None = None) -> httpx.Response | Refusal:
        """The endpoint's answer of status 200, or why there is none; a reception learns whether the call was made."""
        http = self._http or self._open()
        watch = {"trace": reception.watch} if reception is not None else {}
        try:
            response = await http.post(f"{self.base}{self._path}", content=body, extensions=watch)
        except httpx.RequestError as error:
            return self._no_answer(error)
        return response if response.status_code == httpx.codes.OK else self._refused(response)

    async def receive(self, body: bytes, reception: Reception) -> httpx.Response | Refusal:
        """The answer of status 200 once it has been read as it came, or why there is none.

        Whoever is cancelled here hangs up politely, so that the reception knows what had been said by then.
        """
        reading = asyncio.create_task(self._read(body, reception))
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            await reception.hang_up(reading)
            raise

    async def _read(self, body: bytes, reception: Reception) -> httpx.Response | Refusal:
        http = self._http or self._open()
        try:
            watch = {"trace": reception.watch}
            async with http.stream("POST", f"{self.base}{self._path}", content=body, extensions=watch) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    return self._refused(response)
                await reception.read(response)
                return response
        except httpx.RequestError as error:
            return self._no_answer(error)
        except (ValueError, RecursionError) as error:
            return Refusal(self.base, httpx.codes.OK, self._excerpt(str(error)), may_retry=True)

    def malformed(self, response: httpx.Response, why: object) -> Refusal:
        """The refusal that an answer amounts to where it cannot be read; another try may bring a better one."""
        try:
            told = self._excerpt(f"{why}: {response.text}")
        except httpx.ResponseNotRead:
            told = self._excerpt(str(why))
        return Refusal(self.base, response.status_code, told, may_retry=True)

    def require_usable(self, refusal: Refusal, model: str) -> None:
        """Raise Unavailable, with the mend, for a refusal that every call for this model would meet."""
        if refusal.is_unreachable:
            raise Unavailable(f"{refusal}; start it, or check the URL")
        if refusal.status in (401, 403):
            raise Unavailable(f"{refusal}; put a key that may use {model!r} into ${self.key_env}")
        if refusal.status is not None and (refusal.status == 404 or 300 <= refusal.status < 400):
            raise Unavailable(f"{refusal}; check the URL and the model's name {model!r}")

    async def close(self) -> None:
        """Close the connections; the next call opens new ones, on whatever loop it runs."""
        http, self._http = self._http, None
        self.free = asyncio.Semaphore(self._lanes)
        if http is not None:
            await http.aclose()

    def _open(self) -> httpx.AsyncClient:
        headers = {"content-type": "application/json", "user-agent": "trueup"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(self._timeout, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=self._lanes, max_keepalive_connections=self._lanes),
            follow_redirects=False,
            trust_env=not _is_loopback(httpx.URL(self.base).host),
        )
        return self._http

    def _no_answer(self, error: httpx.RequestError) -> Refusal:
        lost = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
        said = self._excerpt(str(error)) or type(error).__name__
        told = "cannot be reached" if lost else "broke off without an answer"
        return Refusal(self.base, None, f"{told}: {said}", may_retry=True, is_unreachable=lost)

    def _refused(self, response: httpx.Response) -> Refusal:
        told, param = _error(response)
        return Refusal(
            self.base,
            response.status_code,
            self._excerpt(told) or response.headers.get("location", "no reason given"),
            may_retry=may_retry(response.status_code, response.headers),
            param=param,
            retry_after=retry_after(response.headers, time.time()),
        )

    def _excerpt(self, text: str) -> str:
        """The beginning of a text on one line, without our key where an endpoint repeats it."""
        safe = text.replace(self._key, "***") if self._key else text
        return " ".join(safe.split())[:EXCERPT_CHARACTERS]


def _base_url(base: str, path: str) -> str:
    try:
        url = httpx.URL(base.strip())
        is_known = url.scheme in ("http", "https") and bool(url.host)
    except (httpx.InvalidURL, ValueError):
        is_known = False
    if not is_known or url.query or url.fragment or url.userinfo:
        shown = base.split("?")[0].rpartition("@")[2]
        raise BadInput(f"{shown!r} is no base URL; write it like http://localhost:8000/v1, without a key in it")
    return str(url.copy_with(path=url.path.rstrip("/").removesuffix(path) or "/v1"))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _error(response: httpx.Response) -> tuple[str, str | None]:
    """What an error says, and the parameter that it blames; the bare text where it is not in the usual shape."""
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return response.text, None
    if not isinstance(error, dict):
        return str(error), None
    param = error.get("param")
    return str(error.get("message", error)), param if isinstance(param, str) else None
