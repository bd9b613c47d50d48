"""Errors in OpenAI's shape, and what ours become in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import ceil

from starlette.responses import Response

from trueup.core.errors import AskFailed, BadForm, BadInput, Unavailable
from trueup.models.retry import read_refusal
from trueup.serve.desk import REQUEST
from trueup.serve.traffic import LOG
from trueup.serve.wire import ErrorBody, ErrorReply

CLIENT_ERRORS = {400, 413, 422}
DEFAULT_WAIT_SECONDS = 5.0

_NAMED = re.compile(rf"item '{REQUEST}\w+':? ")
_ADDRESS = re.compile(r"https?://\S+")


class Failure(Exception):
    """A request that is answered with an error: status, message, and the parameter to blame."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say what is wrong."""
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.kind = status, message, param, code, kind
        self.headers = dict(headers or {})

    def body(self) -> str:
        """The error as JSON."""
        told = ErrorBody(message=self.message, type=self.kind, param=self.param, code=self.code)
        return ErrorReply(error=told).model_dump_json()

    def response(self) -> Response:
        """The error as an answer."""
        return Response(self.body(), self.status, self.headers, media_type="application/json")


def overloaded(message: str, wait_seconds: float) -> Failure:
    """Too much at once: try again after so many seconds."""
    headers = {"retry-after": str(max(1, ceil(wait_seconds))), "retry-after-ms": str(ceil(wait_seconds * 1000))}
    return Failure(429, message, code="rate_limit_exceeded", kind="rate_limit_error", headers=headers)


def to_failure(error: Exception, *, has_own_form: bool = False) -> Failure:
    """What an error becomes for a client; what is ours to mend goes to the log, and little of it to the client.

    `has_own_form` says that the request brought the schema that it was to be answered under. A complaint of a check or
    a rater is about the request where it names it, and about settings of ours otherwise.
    """
    if isinstance(error, Failure):
        return error
    if isinstance(error, AskFailed) and isinstance(error.__cause__, BadInput):
        return to_failure(error.__cause__, has_own_form=has_own_form)
    if isinstance(error, AskFailed):
        return _of_model(error)
    if isinstance(error, Unavailable):
        return _ours(503, _ADDRESS.sub("the endpoint", str(error)), "model_unavailable")
    if isinstance(error, BadForm) and has_own_form:
        return Failure(400, _NAMED.sub("", str(error)), param="response_format", code="schema_invalid")
    if isinstance(error, BadInput) and _NAMED.search(str(error)):
        return Failure(400, _NAMED.sub("", str(error)), param="messages", code="invalid_prompt")
    if isinstance(error, BadInput):
        return _ours(500, str(error), "server_misconfigured")
    LOG.error("a request failed", exc_info=error)
    return _ours(500, "the server failed; its log says why", "server_error")


def _of_model(error: AskFailed) -> Failure:
    """The model's overload and its complaints about the request are passed on."""
    message = _ADDRESS.sub("the endpoint", str(error))
    status, wait = read_refusal(str(error))
    if status == 429:
        return overloaded(message, DEFAULT_WAIT_SECONDS if wait is None else wait)
    if status in CLIENT_ERRORS:
        return Failure(400, message)
    return _ours(502, message, "model_failed")


def _ours(status: int, message: str, code: str) -> Failure:
    """A failure that is not to be tried again at once: what tries can do has been done, and paid."""
    return Failure(status, message, code=code, kind="server_error", headers={"x-should-retry": "false"})
