"""Bradley-Terry: equals a logistic regression and closed forms, its intervals hold, what cannot be fitted is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from tfg.errors import MetricError
from tfg.study import bradley_terry as bt
from tfg.study.votes import win_share

WINS = np.array([[0, 8, 4, 9], [7, 0, 2, 13], [11, 13, 0, 15], [6, 2, 1, 0]])


def _tables(methods: int = 4, most: int = 12) -> st.SearchStrategy[np.ndarray]:
    """Counts in which every method won and lost against every other."""
    cell = st.integers(1, most)
    return st.lists(cell, min_size=methods**2, max_size=methods**2).map(
        lambda values: np.array(values).reshape(methods, methods) * (1 - np.eye(methods, dtype=int))
    )


def _tied(wins: np.ndarray, seed: int = 0) -> np.ndarray:
    half = np.triu(np.random.default_rng(seed).integers(0, 6, wins.shape), 1)
    return half + half.T


def test_without_ties_it_is_the_logistic_regression_of_scikit_learn() -> None:
    rows, answers, weights = [], [], []
    for i, j in zip(*np.nonzero(WINS), strict=True):
        row = np.zeros(4)
        row[i], row[j] = 1, -1
        rows += [row, -row]  # both classes must occur
        answers += [1, 0]
        weights += [WINS[i, j]] * 2
    model = LogisticRegression(fit_intercept=False, C=np.inf, tol=1e-12, max_iter=1000)
    model.fit(np.array(rows), answers, weights)
    expected = model.coef_[0] - model.coef_[0].mean()
    np.testing.assert_allclose(bt.fit(WINS).scores, expected, atol=1e-5)


def test_two_methods_have_closed_forms() -> None:
    found = bt.fit(np.array([[0, 9], [4, 0]]))
    assert found.scores[0] - found.scores[1] == pytest.approx(np.log(9 / 4))
    assert found.difference(0, 1)[1] == pytest.approx(np.sqrt(1 / 9 + 1 / 4)), "of log odds"
    assert found.probability(0, 1) == pytest.approx(9 / 13)
    assert (found.deviance, found.freedom) == (pytest.approx(0, abs=1e-9), 0)
    tied = bt.fit(np.array([[0, 9], [4, 0]]), np.array([[0, 5], [5, 0]]))
    assert tied.scores[0] - tied.scores[1] == pytest.approx(np.log(9 / 4))
    assert tied.nu == pytest.approx(5 / np.sqrt(9 * 4))


def test_with_ties_expected_points_are_those_observed() -> None:
    """Davidson's likelihood equations: each method's wins plus half its ties, and the number of ties."""
    ties = _tied(WINS)
    found = bt.fit(WINS, ties)
    strength = np.exp(found.scores)
    share = strength[:, None] + strength + found.nu * np.sqrt(np.outer(strength, strength))
    judged = (WINS + WINS.T + ties) * (1 - np.eye(4))
    tied = judged * found.nu * np.sqrt(np.outer(strength, strength)) / share
    won = judged * strength[:, None] / share
    np.testing.assert_allclose((won + tied / 2).sum(axis=1), (WINS + ties / 2).sum(axis=1), rtol=1e-6)
    assert tied.sum() == pytest.approx(ties.sum())


@settings(max_examples=25, deadline=None)
@given(_tables(), st.permutations(range(4)))
def test_scores_move_with_the_order_of_methods(wins: np.ndarray, order: list[int]) -> None:
    ties = _tied(wins)
    scores = bt.fit(wins, ties).scores
    np.testing.assert_allclose(bt.fit(wins[order][:, order], ties[order][:, order]).scores, scores[order], atol=1e-6)
    assert scores.sum() == pytest.approx(0, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(_tables(), st.integers(2, 5))
def test_more_votes_of_the_same_kind_only_shrink_the_errors(wins: np.ndarray, times: int) -> None:
    once, often = bt.fit(wins), bt.fit(wins * times)
    np.testing.assert_allclose(often.scores, once.scores, atol=1e-6)
    np.testing.assert_allclose(often.errors, once.errors / np.sqrt(times), rtol=1e-5)
    np.testing.assert_allclose(bt.fit(np.stack([wins] * times)).scores, once.scores, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(_tables())
def test_in_a_complete_design_scores_order_as_shares_of_wins(wins: np.ndarray) -> None:
    upper = np.triu(np.minimum(wins, 11), 1)
    balanced = upper + np.tril(12 - upper.T, -1)
    found, share = bt.fit(balanced).scores, win_share(balanced, np.zeros_like(balanced))
    for i in range(4):
        for j in range(4):
            assert (share[i] > share[j]) <= (found[i] > found[j] - 1e-9)


def test_intervals_of_the_likelihood_hold_the_truth_as_often_as_they_say() -> None:
    truth = np.array([0.8, 0.1, -0.3, -0.6])
    random = np.random.default_rng(0)
    preferred = 1 / (1 + np.exp(truth - truth[:, None]))
    inside = []
    for _ in range(300):
        upper = np.triu(random.binomial(40, preferred), 1)
        wins = upper + np.tril(40 - upper.T, -1)
        found = bt.fit(wins)
        inside.append(np.abs(found.scores - truth) < 1.96 * found.errors)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.025)


def test_deviance_of_a_true_model_is_chi_squared_and_a_circle_shows() -> None:
    random = np.random.default_rng(1)
    ps = []
    for _ in range(200):
        upper = np.triu(random.binomial(60, 0.5, (5, 4, 4)), 1)
        ps.append(bt.fit(upper + np.tril(60 - upper.transpose(0, 2, 1), -1)).fit_p)
    assert np.mean(np.array(ps) < 0.1) == pytest.approx(0.1, abs=0.06)
    circle = np.array([[0, 14, 1], [1, 0, 14], [14, 1, 0]])
    assert bt.fit(circle).fit_p < 1e-6
    np.testing.assert_allclose(bt.fit(circle).scores, 0, atol=1e-9)


def test_disconnected_comparisons_are_reported_with_their_groups() -> None:
    wins = np.zeros((4, 4), int)
    wins[0, 1] = wins[1, 0] = wins[2, 3] = wins[3, 2] = 3
    with pytest.raises(MetricError, match=r"2 groups without a vote between them: p, q \| r, s"):
        bt.fit(wins, methods=list("pqrs"))


def test_a_method_that_always_loses_has_no_finite_score() -> None:
    wins = WINS.copy()
    wins[3] = 0
    with pytest.raises(MetricError, match=r"every vote went the same way: .*w"):
        bt.fit(wins, methods=list("tuvw"))
    ties = np.zeros_like(wins)
    ties[0, 3] = ties[3, 0] = 1
    assert np.isfinite(bt.fit(wins, ties).scores).all(), "a tie links them"


def test_malformed_tables_are_refused() -> None:
    for wins, message in (
        (np.zeros((2, 3)), "expected .M, M."),
        (np.eye(3), "against itself"),
        (-WINS, "0 or more"),
    ):
        with pytest.raises(MetricError, match=message):
            bt.fit(wins)
    with pytest.raises(MetricError, match="symmetric"):
        bt.fit(WINS, WINS)


def test_resampled_subjects_spread_wider_than_votes_where_subjects_differ() -> None:
    flipped = np.stack([WINS, WINS, WINS.T, WINS, WINS.T, WINS]) * 3
    draws = bt.bootstrap(flipped, draws=60, seed=0)
    assert draws.shape == (60, 4)
    np.testing.assert_allclose(draws.sum(axis=1), 0, atol=1e-8)
    assert (np.nanstd(draws, axis=0)[2:] > 1.5 * bt.fit(flipped).errors[2:]).all()
    np.testing.assert_array_equal(draws, bt.bootstrap(flipped, draws=60, seed=0))
    with pytest.raises(MetricError, match="at least 2"):
        bt.bootstrap(WINS)


def test_a_draw_without_a_finite_score_is_marked() -> None:
    lost = WINS.copy()
    lost[3] = 0
    draws = bt.bootstrap(np.stack([WINS, lost]), draws=40, seed=0)
    share = np.isnan(draws).any(axis=1).mean()
    assert 0.05 < share < 0.6, "a quarter of the draws has the second table twice"
