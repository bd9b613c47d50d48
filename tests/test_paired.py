"""Two policies on the same items: published examples, closed forms, limits."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from trueup.core.errors import BadInput
from trueup.plan.paired import mcnemar, paired, tango


def test_mid_p_is_the_exact_one_less_half_the_chance_of_what_was_seen():
    assert mcnemar(10, 2) == pytest.approx((2 * 13 + 66) / 4096)
    assert mcnemar(2, 10) == mcnemar(10, 2)


def test_nothing_changed_or_as_many_either_way_says_nothing():
    assert mcnemar(0, 0) == mcnemar(5, 5) == 1.0


def test_the_score_interval_is_that_of_the_published_example():
    """Airways before and after a transplant (Bentur et al. 2009, in Fagerland, Lydersen and Laake 2014)."""
    low, high = tango(21, 1, 7)
    assert (round(low, 3), round(high, 3)) == (-0.517, -0.026)
    assert mcnemar(1, 7) == pytest.approx(0.0391, abs=1e-4)


def test_without_a_flip_the_score_interval_has_a_closed_form():
    z2 = 1.959963984540054**2
    assert tango(30, 0, 0) == pytest.approx((-z2 / (30 + z2), z2 / (30 + z2)))


def test_the_score_interval_turns_with_its_arms_and_stays_inside():
    low, high = tango(100, 10, 3)
    assert tango(100, 3, 10) == pytest.approx((-high, -low))
    assert tango(10, 10, 0)[1] == 1.0


def test_paired_counts_flips_and_their_difference():
    first, second = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    found = paired(first, second)
    assert (found.n, found.won, found.lost, found.difference) == (5, 2, 1, pytest.approx(0.2))
    assert found.ci95[0] < 0.2 < found.ci95[1]


def test_the_score_interval_covers_as_often_as_it_says():
    """By enumeration of every outcome on 20 items, at shares .2 and .1 of items that change either way."""
    n, covered = 20, 0.0
    for won in range(n + 1):
        for lost in range(n + 1 - won):
            low, high = tango(n, won, lost)
            same = n - won - lost
            if low <= 0.1 <= high:
                covered += comb(n, won) * comb(n - won, lost) * 0.2**won * 0.1**lost * 0.7**same
    assert 0.93 <= covered <= 0.98


def test_other_items_are_refused():
    with pytest.raises(BadInput, match="2 items against 3: a paired test needs the same ones"):
        paired(np.ones(2, bool), np.ones(3, bool))
