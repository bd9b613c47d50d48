"""Sampling that takes back: what is undone leaves the context.

Yang et al. 2025, Self-Backtracking, arXiv:2502.04404: the decoder deletes, not the model. A text is made of steps of
two tokens. A step that ends in the undo mark says that nothing can follow; with the step behind it, which is written
in its sight, it replaces the step before: both are deleted, keys and values too. Every row has a length of its own
then, so rows of one length are read together. Steered by a critic a step is deleted as soon as it is rejected, and its
second token drawn again without the one that was. Greedy throughout.
Cost: the tokens written, and the two of a step that moved up, which are read again.
Axes: B row, P prompt token, T token, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trueup.train.laboratory.costs import at_work, reading_flops, sampled
from trueup.train.laboratory.decoder import device_of
from trueup.train.laboratory.transformer import Cache, Transformer
from trueup.train.laboratory.vocabulary import END, PAD, Tokens, decode
from trueup.train.meter import Work

STEP = 2
Allows = Callable[[int, str], bool]
"""Whether what stands in a row may stay."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at the end, padded on the right, and the tokens that each row has written, deleted ones included."""

    tokens_BT: Tokens
    written_B: Tokens
    reread_B: Tokens


@dataclass(slots=True)
class _Rows:
    """Every row's text, its length, and how much of it the cache has read."""

    text_BT: Tensor
    cache: Cache
    start: int
    length_B: Tensor
    read_B: Tensor
    written_B: Tensor
    reread_B: Tensor
    open_B: Tensor


@torch.inference_mode()
def generate_deleting(model: Transformer, prompts_BP: Tokens, *, most: int, room: int, undo: int) -> Standing:
    """The likeliest text of each row within `most` written tokens, of which no more than `room` stand at once."""
    with at_work("sampled", device_of(model)) as told:
        standing = _deleting(model, prompts_BP, most, room, undo)
        told(lambda: _work(model, prompts_BP, standing))
    return standing


@torch.inference_mode()
def generate_steered(model: Transformer, prompts_BP: Tokens, allows: Allows, *, most: int, steps: int) -> Standing:
    """Each row's likeliest steps of those that the critic allows, within `most` written tokens; else the row ends."""
    with at_work("sampled", device_of(model)) as told:
        standing = _steered(model, prompts_BP, allows, most, steps)
        told(lambda: _work(model, prompts_BP, standing))
    return standing


def _work(model: Transformer, prompts_BP: Tokens, standing: Standing) -> Work:
    """What was written, and read again, behind each prompt."""
    again = reading_flops(model, int(standing.reread_B.sum()))
    return sampled(model, prompts_BP, standing.written_B) + Work(flops=again)


def _deleting(model: Transformer, prompts_BP: Tokens, most: int, room: int, undo: int) -> Standing:
    rows = _begun(model, prompts_BP, room)
    while bool(rows.open_B.any()):
        places = torch.stack([rows.read_B, rows.length_B], 1)[rows.open_B]
        for read, length in sorted({(read, length) for read, length in places.tolist()}):
            here_B = rows.open_B & (rows.read_B == read) & (rows.length_B == length)
            _write(rows, here_B.nonzero()[:, 0], _read(model, rows, here_B, read, length), length)
        _delete(rows, undo)
        rows.open_B &= (rows.written_B < most) & (rows.length_B < rows.text_BT.shape[1])
    return _standing(rows)


def _steered(model: Transformer, prompts_BP: Tokens, allows: Allows, most: int, steps: int) -> Standing:
    rows = _begun(model, prompts_BP, STEP * steps)
    B = len(prompts_BP)
    every_B, start = torch.ones(B, dtype=torch.bool), rows.start
    for place in range(start, start + STEP * steps, STEP):
        first_BV = _read(model, rows, every_B, int(rows.read_B[0]), place)
        rows.text_BT[:, place] = _likeliest(first_BV)[:, 0]
        ranked_BV = _likeliest(_read(model, rows, every_B, place, place + 1))
        for row in rows.open_B.nonzero()[:, 0].tolist():
            _try(rows, row, place, ranked_BV[row].tolist(), most, allows)
        rows.length_B += STEP * rows.open_B
        rows.text_BT[~rows.open_B, place:] = PAD
    return _standing(rows)


def _try(rows: _Rows, row: int, place: int, ranked: list[int], most: int, allows: Allows) -> None:
    """Write the first token of a row's ranking that the critic lets stand; close the row where there is none."""
    for token in ranked:
        if token == END:  # an end is no second token of a step
            continue
        if rows.written_B[row] + STEP > most:
            break
        rows.written_B[row] += STEP
        rows.text_BT[row, place + 1] = token
        if allows(row, decode(rows.text_BT[row, rows.start : place + STEP].numpy())):
            return
    rows.open_B[row] = False


def _begun(model: Transformer, prompts_BP: Tokens, room: int) -> _Rows:
    """The prompts, all but the last token of them read."""
    B, P = prompts_BP.shape
    text_BT = torch.full((B, P + room), PAD)
    text_BT[:, :P] = torch.from_numpy(np.ascontiguousarray(prompts_BP))
    cache = model.begin(B, P + room)
    model(text_BT[:, : P - 1], cache)
    length_B, read_B, written_B, reread_B = (torch.full((B,), count) for count in (P, P - 1, 0, 0))
    return _Rows(text_BT, cache, P, length_B, read_B, written_B, reread_B, torch.ones(B, dtype=torch.bool))


def _read(model: Transformer, rows: _Rows, here_B: Tensor, read: int, length: int) -> Tensor:
    """Logits behind the rows that have this length, of which so much was read."""
    whole, at = rows.cache, here_B.nonzero()[:, 0]
    part = Cache(whole.keys_LBHTD[:, at, :, :length], whole.values_LBHTD[:, at, :, :length], whole.seen_BT[at], False)
    part.length = read
    logits_BV: Tensor = model(rows.text_BT[at, read:length], part)[:, -1]
    whole.keys_LBHTD[:, at, :, read:length] = part.keys_LBHTD[:, :, :, read:]
    whole.values_LBHTD[:, at, :, read:length] = part.values_LBHTD[:, :, :, read:]
    rows.read_B[at] = length
    return logits_BV


def _write(rows: _Rows, at: Tensor, logits_BV: Tensor, length: int) -> None:
    token_B = _likeliest(logits_BV)[:, 0]
    rows.text_BT[at, length] = token_B
    rows.length_B[at] += 1
    rows.written_B[at] += 1
    rows.open_B[at] = token_B != END


def _delete(rows: _Rows, undo: int) -> None:
    """Let a step that stands behind an undo take the place of the two steps before it; with none to undo a row ends."""
    said_B = rows.length_B - rows.start
    whole_B = rows.open_B & (said_B % STEP == 0) & (said_B > STEP)
    for row in whole_B.nonzero()[:, 0].tolist():
        end = int(rows.length_B[row])
        if int(rows.text_BT[row, end - STEP - 1]) != undo:
            continue
        if int(said_B[row]) < 3 * STEP:
            rows.open_B[row] = False
            continue
        begin = end - 3 * STEP
        rows.text_BT[row, begin : begin + STEP] = rows.text_BT[row, end - STEP : end].clone()
        rows.text_BT[row, begin + STEP : end] = PAD
        rows.length_B[row] = begin + STEP
        rows.read_B[row] = begin
        rows.reread_B[row] += 1  # its second token was never read where it stood


def _likeliest(logits_BV: Tensor) -> Tensor:
    """Tokens from the likeliest on; padding is none."""
    logits_BV = logits_BV.clone()
    logits_BV[:, PAD] = -torch.inf
    return torch.sort(logits_BV, dim=-1, descending=True, stable=True).indices[:, :-1]


def _standing(rows: _Rows) -> Standing:
    said_BT = rows.text_BT[:, rows.start :].numpy()
    return Standing(said_BT, rows.written_B.numpy(), rows.reread_B.numpy())
