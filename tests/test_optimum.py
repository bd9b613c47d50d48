from functools import cache
from itertools import product
from math import exp

import numpy as np
import pytest
from scipy.special import betaln, gammaln

from trueup.bench.optimum import Optimum, Tree
from trueup.bench.population import POPULATIONS, PROMPT_TOKENS, Population, draw_answers, record_population
from trueup.core.errors import BadInput

HARD = POPULATIONS[-1]
TINY = Population("tiny", 0.7, 1.3, 2, 0.4, 100.0)


def answers(population, items, attempts):
    rng = np.random.default_rng(5)
    return np.array([draw_answers(population, attempts, rng) for _ in range(items)])


def leaders(drawn):
    """Whether the leader of all is right, ties by lot, and by how many votes it leads."""
    votes = np.stack([(drawn == label).sum(1) for label in range(HARD.rivals + 1)], 1)
    second, first = np.sort(votes, 1)[:, -2:].T
    leads = votes == first[:, None]
    return leads[:, 0] / leads.sum(1), first - second


def test_partitions_are_as_many_as_there_are():
    assert [len(level) for level in Tree.of(10, 41).levels] == [1, 1, 2, 3, 5, 7, 11, 15, 22, 30, 42]
    assert [len(level) for level in Tree.of(6, 3).levels] == [1, 1, 2, 3, 4, 5, 7]
    assert all((np.diff(level.astype(int), axis=1) <= 0).all() for level in Tree.of(8, 5).levels)


@pytest.mark.parametrize("population", [*POPULATIONS, TINY])
def test_the_chances_of_what_an_attempt_brings_sum_to_one(population):
    known = Optimum(population, 14)
    for step, chance in zip(known.tree.steps, known.follows, strict=True):
        assert np.bincount(step.before, chance) == pytest.approx(1.0)


@pytest.mark.parametrize("population", [*POPULATIONS, TINY])
def test_votes_are_right_as_often_as_those_of_problems_that_were_drawn(population):
    items = 20_000
    drawn, known = answers(population, items, 12), Optimum(population, 12)
    assert known.votes[:2] == pytest.approx([0.0, population.a / (population.a + population.b)])
    for n in (3, 7, 12):
        seen = leaders(drawn[:, :n])[0]
        assert known.votes[n] == pytest.approx(seen.mean(), abs=4 * seen.std() / items**0.5)


def test_the_vote_is_not_what_is_likeliest_where_wrong_answers_agree_most():
    known = Optimum(Population("misled", 1.0, 9.0, 2, 0.3, 100.0), 12)
    assert known.votes[12] < 0.05 < 0.4 < known.worth(0.0)


@pytest.mark.parametrize("price", [0.001, 0.02, 0.08])
def test_the_best_rule_is_that_of_a_search_through_all_orders_of_answers(price):
    """Labelled answers one by one, any the right one beforehand, one of those seen to be given: no partitions."""
    labels, depth = range(TINY.rivals + 1), 5

    @cache
    def weights(order):
        counts, k = [order.count(label) for label in labels], len(order)

        def of(right):
            rivals = [count for label, count in enumerate(counts) if label != right]
            alike = sum(gammaln(TINY.concentration + count) - gammaln(TINY.concentration) for count in rivals)
            whole = TINY.rivals * TINY.concentration
            wrong = gammaln(whole) - gammaln(whole + k - counts[right]) + alike
            return exp(betaln(TINY.a + counts[right], TINY.b + k - counts[right]) - betaln(TINY.a, TINY.b) + wrong)

        return [of(right) / len(labels) for right in labels]

    def worth(order):
        """Times the chance of this order."""
        stop = max((weights(order)[label] for label in order), default=0.0)
        if len(order) == depth:
            return stop
        prompt = 0 if order else price * PROMPT_TOKENS / TINY.mean_tokens
        return max(stop, sum(worth((*order, label)) for label in labels) - price * sum(weights(order)) - prompt)

    assert sum(sum(weights(order)) for order in product(labels, repeat=depth)) == pytest.approx(1.0)
    assert Optimum(TINY, depth).worth(price / TINY.mean_tokens) == pytest.approx(worth(()))


def test_no_rule_that_stops_at_a_lead_takes_less_than_the_bound():
    drawn, known, items = answers(HARD, 20_000, 16), Optimum(HARD, 16), 20_000
    met = [leaders(drawn[:, :n]) for n in range(1, 17)]
    for lead in (2, 3, 4, 5):
        ends = np.stack([row[1] >= lead for row in met[:-1]] + [np.ones(items, bool)])
        taken = ends.argmax(0) + 1
        right = np.stack([row[0] for row in met])[taken - 1, np.arange(items)]
        low = right.mean() - 3 * right.std() / items**0.5
        high = taken.mean() + 3 * taken.std() / items**0.5
        assert PROMPT_TOKENS + high * HARD.mean_tokens > known.least(low).tokens


@pytest.mark.parametrize("population", POPULATIONS)
def test_the_bound_is_what_the_best_rule_takes(population):
    """Followed from the start: how often it is right, and how many attempts it takes."""
    known, price = Optimum(population, 14), 0.004
    worth, goes = known.best[-1], []
    for step, chance, best in list(zip(known.tree.steps, known.follows, known.best[:-1], strict=True))[:0:-1]:
        asked = np.bincount(step.before, weights=chance * worth[step.behind]) - price
        goes.insert(0, asked > best)
        worth = np.maximum(best, asked)
    met, right, taken = np.ones(1), 0.0, 1.0
    for go, best, step, chance in zip(goes, known.best[1:-1], known.tree.steps[1:], known.follows[1:], strict=True):
        right += met[~go] @ best[~go]
        met = np.where(go, met, 0.0)
        taken += met.sum()
        met = np.bincount(step.behind, weights=met[step.before] * chance)
    right += met @ known.best[-1]
    assert 2 < taken < 13
    assert known.least(right).tokens == pytest.approx(PROMPT_TOKENS + taken * population.mean_tokens, rel=1e-4)


def test_a_rule_may_leave_problems_alone_and_then_pays_no_prompt():
    """A part of the accuracy is worth no more than that part of the tokens, right down to nothing."""
    known = Optimum(HARD, 12)
    once = PROMPT_TOKENS + HARD.mean_tokens
    assert known.least(0.0).tokens == pytest.approx(0.0, abs=1e-3)
    assert known.least(known.votes[1] / 2).tokens == pytest.approx(once / 2, rel=1e-3)
    assert known.least(known.votes[1]).tokens == pytest.approx(once, rel=1e-3)


def test_less_may_be_lost_for_more_tokens_and_more_attempts_help():
    known = Optimum(HARD, 12)
    takes = [known.least_of_vote(12, margin).tokens for margin in (0.05, 0.02, 0.005, 0.0)]
    assert takes == sorted(takes)
    assert known.least_of_vote(12).accuracy == pytest.approx(known.votes[12] - 0.005)
    assert Optimum(HARD, 14).least_of_vote(12).tokens < takes[2]


def test_attempts_are_as_long_as_those_that_are_drawn():
    for population in POPULATIONS:
        cases = record_population(population, 1000, 4).cases
        lengths = np.array([attempt.usage.completion_tokens for case in cases for attempt in case.attempts], float)
        assert lengths.mean() == pytest.approx(population.mean_tokens, abs=4 * lengths.std() / len(lengths) ** 0.5)


def test_what_cannot_be_is_refused():
    known = Optimum(HARD, 8)
    with pytest.raises(BadInput, match=r"out of reach: with all 8 attempts 0\.38"):
        known.least(0.5)
    for population, attempts in ((HARD, 0), (HARD, 128), (Population("alone", 1.0, 1.0, 0, 0.3, 100.0), 3)):
        with pytest.raises(BadInput, match="give 1 to 127, and 1 or more"):
            Optimum(population, attempts)
