"""Simulated studies: they have the spread that was asked for, and the tests' power and errors are those of theory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from tfg.study import correlation as co
from tfg.study import power as po
from tfg.study.votes import win_share

SPREAD = po.Spread(0.6, 0.9)


def test_simulated_votes_are_complete_and_as_spread_as_asked() -> None:
    wins, metrics = po.simulate(40, 4, 30, SPREAD, (0.8, 0.2), studies=20, seed=1)
    assert wins.shape == (20, 40, 4, 4)
    assert metrics.shape == (2, 20, 40, 4)
    pairs = wins + wins.swapaxes(-1, -2)
    assert (pairs == 30 * (1 - np.eye(4))).all()
    found = np.array([po.spread(study) for study in wins])
    assert np.sqrt((found[:, 0] ** 2).mean()) == pytest.approx(0.6, abs=0.15)
    assert np.median(found[:, 1]) == pytest.approx(0.9, abs=0.08)


def test_votes_by_coin_have_no_spread() -> None:
    wins, _ = po.simulate(200, 4, 15, po.Spread(0, 0), studies=1)
    assert max(po.spread(wins[0])) < 0.1


def test_many_correlations_at_once_are_those_of_scipy() -> None:
    wins, metrics = po.simulate(6, 4, 15, SPREAD, (0.5,), studies=3)
    people = win_share(wins, np.zeros_like(wins))
    one_by_one = [
        stats.pearsonr(co.within(a).ravel(), co.within(b).ravel())[0] for a, b in zip(people, metrics[0], strict=True)
    ]
    np.testing.assert_allclose(co.within_pearson(people, metrics[0]), one_by_one)


def test_metrics_follow_the_quality_as_closely_as_asked() -> None:
    wins, metrics = po.simulate(2000, 4, 2000, po.Spread(0, 0.3), (0.9, 0.4), shared=0.5, studies=1)
    people = win_share(wins, np.zeros_like(wins))
    assert co.within_pearson(people, metrics[0])[0] == pytest.approx(0.9, abs=0.02)
    assert co.within_pearson(people, metrics[1])[0] == pytest.approx(0.4, abs=0.02)
    errors = np.sqrt((1 - 0.81) * (1 - 0.16)) * 0.5
    assert co.within_pearson(metrics[0], metrics[1])[0] == pytest.approx(0.36 + errors, abs=0.02)


def test_power_grows_with_subjects_and_equal_metrics_stay_undecided() -> None:
    powers = [po.metric_power(n, 0.7, 0.2, SPREAD, studies=200) for n in (6, 15, 40)]
    assert powers[0] < powers[1] < powers[2]
    assert powers[2] > 0.9
    assert po.metric_power(10, 0.5, 0.5, SPREAD, studies=800) == pytest.approx(0.025, abs=0.015)


def test_number_of_subjects_to_decide_gives_the_power_it_promises() -> None:
    """Against simulated normal scores, which do not come from this package's own simulation."""
    r12, r13, r23 = 0.6, 0.2, 0.3
    needed = po.subjects_to_decide(r12, r13, r23)
    assert needed is not None
    random = np.random.default_rng(0)
    root = np.linalg.cholesky([[1, r12, r13], [r12, 1, r23], [r13, r23, 1]])
    found = []
    for _ in range(400):
        people, first, second = np.einsum("ij,jsm->ism", root, random.normal(size=(3, needed, 4)))
        found.append(co.compare(people, first, second).p < 0.05)
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)
    assert po.subjects_to_decide(0.4, 0.4, 0.2) is None
    assert po.subjects_to_decide(0.5, 0.4, 0.2) > needed


def test_ranking_errors_are_nominal_only_where_their_assumption_holds() -> None:
    alike = po.ranking_power(10, 0.0, 0.0)
    assert alike.by_votes == pytest.approx(0.05, abs=0.02)
    differ = po.ranking_power(10, 0.0, 0.9)
    assert differ.by_votes > 0.2, "votes of one subject hang together"
    assert differ.by_subjects == pytest.approx(0.05, abs=0.015)


def test_ranking_power_of_independent_votes_is_the_textbooks() -> None:
    n, gap = 6 * 15, 0.6
    expected = stats.norm.sf(1.96 - (expit(gap) - 0.5) / np.sqrt(0.25 / n))
    assert po.ranking_power(6, gap, 0.0).by_votes == pytest.approx(expected, abs=0.07)


def test_bootstrap_over_few_subjects_is_too_narrow_and_over_many_is_not() -> None:
    few, many = (po.coverage(n, 0.5, 0.9, studies=300, draws=300) for n in (5, 60))
    assert few < 0.9
    assert many == pytest.approx(0.95, abs=0.04)
