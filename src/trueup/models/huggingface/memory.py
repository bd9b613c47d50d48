"""Conversations that stay in the KV cache, so that one that begins alike is not read again.

A text that goes on from an earlier beginning is cropped back to it: what was rejected is deleted, not read over.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from trueup.core.errors import BadInput
from trueup.models.huggingface.draft import Draft
from trueup.models.huggingface.network import Network, Text, keeps_all


class Memory:
    """The last few conversations of a network, each in one row."""

    def __init__(self, network: Network, conversations: int) -> None:
        """Raises BadInput for a network whose cache cannot be cropped."""
        self._network = network
        self._kept: deque[tuple[tuple[int, ...], Any]] = deque(maxlen=conversations)
        if not keeps_all(network.fresh_cache()):
            raise BadInput(
                f"{network.name} is of type {network.kind!r}, whose layers do not all keep the whole text; "
                "leave keep_cache out"
            )

    def begin(self, ids: Sequence[int]) -> Text:
        """A text, of which only what no kept conversation begins with is read."""
        shared, place = max(
            ((_shared(known, ids), place) for place, (known, _) in enumerate(self._kept)), default=(0, 0)
        )
        if not shared:
            return self._network.begin([ids])
        known, cache = self._kept[place]
        del self._kept[place]
        cache.crop(shared - len(known))
        return Text(self._network, [ids], cache, shared)

    def keep(self, text: Text, drafts: Sequence[Draft]) -> None:
        """Keep the rows that drafts were written in, each to its own end; the last token was never read."""
        for draft in drafts:
            ids = (*text.texts[draft.row], *draft.tokens[:-1])
            row = _row(text.cache, draft.row)
            row.crop(len(ids) - row.get_seq_length())
            self._kept.append((ids, row))


def _shared(known: Sequence[int], ids: Sequence[int]) -> int:
    """How many tokens both begin with; at most all but the last, behind which the logits are wanted."""
    both = zip(known, ids[:-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], both))


def _row(cache: Any, row: int) -> Any:
    import torch

    one = copy.copy(cache)
    one.layers = [copy.copy(layer) for layer in cache.layers]
    one.batch_select_indices(torch.tensor([row]))
    return one
