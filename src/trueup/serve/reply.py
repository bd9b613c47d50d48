"""What a served order looks like on the wire, whole or in pieces."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from uuid import uuid4

from trueup.core.cost import Cost
from trueup.serve.order import Order
from trueup.serve.service import Served
from trueup.serve.wire import Choice, Chunk, ChunkChoice, Completion, CompletionDetails, Delta, Said, Usage

PIECE_CHARACTERS = 64
FINISHES = {"length": "length", "content_filter": "content_filter"}
DONE = "data: [DONE]\n\n"
PING = ": ping\n\n"


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What every part of one reply has in common."""

    id: str
    created: int
    model: str
    system_fingerprint: str

    @classmethod
    def of(cls, order: Order, fingerprint: str) -> Letterhead:
        """A new one for an order."""
        digest = blake2b(fingerprint.encode(), digest_size=6).hexdigest()
        return cls(f"chatcmpl-{uuid4().hex}", int(time.time()), order.model, f"fp_{digest}")


def headers(order: Order, served: Served | None = None) -> dict[str, str]:
    """By which method an order was served and, once it is, at what cost."""
    told = {"x-trueup-method": order.desk.arm.method, "x-trueup-stratum": order.desk.stratum.name}
    note = "; ".join(filter(None, (order.note, served.answer.note if served else "")))
    told |= {"x-trueup-note": note} if note else {}
    told = {name: _plain(value) for name, value in told.items()}
    if served is not None:
        told |= {"x-trueup-usd": _usd(served.cost), "x-trueup-samples": str(served.samples)}
        told["x-trueup-from-ledger"] = str(not served.is_fresh).lower()
    return told


def completion(head: Letterhead, served: Served) -> str:
    """The whole reply."""
    choice = Choice(message=Said(content=served.answer.text), finish_reason=_finish(served))
    return Completion(
        id=head.id,
        created=head.created,
        model=head.model,
        choices=[choice],
        usage=usage(served),
        system_fingerprint=head.system_fingerprint,
    ).model_dump_json()


def opening(head: Letterhead, *, wants_usage: bool) -> str:
    """The chunk that says who speaks."""
    return _event(head, Delta(role="assistant", content=""), None, wants_usage=wants_usage)


def pieces(head: Letterhead, served: Served, *, wants_usage: bool) -> Iterator[str]:
    """The chunks that follow: the text, how it ended, what it used."""
    text = served.answer.text
    for start in range(0, len(text), PIECE_CHARACTERS):
        yield _event(head, Delta(content=text[start : start + PIECE_CHARACTERS]), None, wants_usage=wants_usage)
    yield _event(head, Delta(), _finish(served), wants_usage=wants_usage)
    if wants_usage:
        yield _line(_chunk(head, [], usage=usage(served)))
    yield f": trueup usd={_usd(served.cost)} samples={served.samples}\n\n"
    yield DONE


def usage(served: Served) -> Usage | None:
    """All tokens spent, and how many of them the client cannot see; None where any count is unknown."""
    prompt, spent, visible = served.cost.prompt_tokens, served.cost.completion_tokens, served.visible_tokens
    if prompt is None or spent is None or visible is None:
        return None
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=spent,
        total_tokens=prompt + spent,
        completion_tokens_details=CompletionDetails(reasoning_tokens=spent - visible),
    )


def _event(head: Letterhead, delta: Delta, finish: str | None, *, wants_usage: bool) -> str:
    choice = ChunkChoice(index=0, delta=delta, logprobs=None, finish_reason=finish)
    return _line(_chunk(head, [choice], usage=None) if wants_usage else _chunk(head, [choice]))


def _chunk(head: Letterhead, choices: list[ChunkChoice], **usage: Usage | None) -> Chunk:
    return Chunk(
        id=head.id,
        object="chat.completion.chunk",
        created=head.created,
        model=head.model,
        system_fingerprint=head.system_fingerprint,
        choices=choices,
        **usage,
    )


def _line(chunk: Chunk) -> str:
    return f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"


def _finish(served: Served) -> str:
    return FINISHES.get(served.answer.finish, "stop")


def _usd(cost: Cost) -> str:
    return "unknown" if cost.usd is None else f"{cost.usd:.12f}"


def _plain(text: str) -> str:
    """A text that may stand in a header, which does not end in a blank."""
    return "".join(c if c.isprintable() else " " for c in text.encode("ascii", "replace").decode())[:200].strip()
