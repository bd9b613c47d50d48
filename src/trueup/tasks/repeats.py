"""Requests that come more than once, as traffic's do: one draw of an answer serves them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trueup.core.types import Item, Prompt


def joined(items: Sequence[Item]) -> tuple[Item, ...]:
    """The items, those with the same prompt in one cluster, with all that was in the clusters of any of them.

    It goes by the first of their names, one that a row gives before an id, a short one before a long one, in whatever
    order the rows come: later rows have later ids, and it keeps its half.
    """
    leader: dict[str, str] = {}

    def root(cluster: str) -> str:
        while (above := leader.setdefault(cluster, cluster)) != cluster:
            leader[cluster] = leader[above]
            cluster = leader[above]
        return cluster

    first: dict[Prompt, str] = {}
    for item in sorted(items, key=_rank):
        leader[root(item.cluster)] = root(first.setdefault(item.problem.prompt, item.cluster))
    return tuple(replace(item, cluster=root(item.cluster)) for item in items)


def _rank(item: Item) -> tuple[bool, int, str]:
    return item.cluster == item.problem.id, len(item.cluster), item.cluster
