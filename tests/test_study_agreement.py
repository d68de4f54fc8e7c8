"""Agreement of raters and of metrics with people: published examples, scipy, known null distributions, exact cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tfg.errors import DataError, MetricError
from tfg.study import agreement as ag
from tfg.study import correlation as co
from tfg.study.votes import Vote, win_share

# ---- raters -------------------------------------------------------------------------------------------------------


def test_krippendorffs_own_example() -> None:
    """Four observers, twelve units, five values (Krippendorff 2004, p. 230): nominal 0.743, interval 0.849."""
    nan = np.nan
    given_by = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    counts = np.array([[np.sum(np.array(given_by)[:, unit] == value) for value in range(1, 6)] for unit in range(12)])
    assert ag.krippendorff_alpha(counts) == pytest.approx(0.743, abs=5e-4)
    assert ag.krippendorff_alpha(counts, range(1, 6)) == pytest.approx(0.849, abs=5e-4)


def test_alpha_needs_something_to_disagree_on() -> None:
    with pytest.raises(MetricError, match="all answers are the same"):
        ag.krippendorff_alpha([[3, 0], [2, 0]])
    with pytest.raises(MetricError, match="at least 2"):
        ag.krippendorff_alpha([[3, 1], [1, 0]])
    with pytest.raises(MetricError, match="0 or more"):
        ag.krippendorff_alpha([[3, -1], [1, 0]])


def test_kendalls_u_is_one_zero_and_what_pairs_of_raters_say() -> None:
    alike = np.array([[0, 5, 5], [0, 0, 5], [0, 0, 0]])
    assert ag.kendall_u(alike).u == 1
    raters = np.random.default_rng(0).integers(0, 2, (7, 3))  # 7 raters, pairs 01 02 12
    wins = np.zeros((3, 3), int)
    for pair, (i, j) in enumerate(((0, 1), (0, 2), (1, 2))):
        wins[i, j], wins[j, i] = raters[:, pair].sum(), (1 - raters[:, pair]).sum()
    same = np.mean([raters[first] == raters[second] for first in range(7) for second in range(first)])
    assert ag.kendall_u(wins).u == pytest.approx(2 * same - 1)
    with pytest.raises(MetricError, match="two votes"):
        ag.kendall_u(np.array([[0, 1], [0, 0]]))


def test_coins_rarely_agree_by_the_chi_squared_of_u() -> None:
    random = np.random.default_rng(0)
    ps, us = [], []
    for _ in range(300):
        upper = np.triu(random.binomial(15, 0.5, (6, 4, 4)), 1)
        found = ag.kendall_u(upper + np.tril(np.triu(15 - upper, 1).transpose(0, 2, 1), -1))
        ps.append(found.p)
        us.append(found.u)
    assert np.mean(us) == pytest.approx(0, abs=0.01)
    assert np.mean(np.array(ps) < 0.1) == pytest.approx(0.1, abs=0.05)


def test_alpha_of_votes_does_not_depend_on_which_method_is_called_the_first() -> None:
    votes = [Vote("lip", s, "x", "y", a, 15 - a) for s, a in (("s", 15), ("t", 14), ("u", 15))]
    swapped = [v._replace(method_a="y", method_b="x", wins_a=v.wins_b, wins_b=v.wins_a) for v in votes]
    mixed = [votes[0], swapped[1], votes[2]]
    alphas = [ag.krippendorff_alpha(ag.answers(some)) for some in (votes, swapped, mixed)]
    assert alphas == pytest.approx([alphas[0]] * 3)
    assert alphas[0] > 0.8, "all say x; one-sided names would call that chance"


def test_reliability_is_that_of_a_second_panel() -> None:
    random = np.random.default_rng(2)
    preferred = random.uniform(0.2, 0.8, (40, 6))
    row, column = np.triu_indices(4, 1)
    panels = np.zeros((2, 40, 4, 4), int)
    for wins in panels:
        wins[:, row, column] = random.binomial(16, preferred)
        wins[:, column, row] = 16 - wins[:, row, column]
    first, second = win_share(panels, np.zeros_like(panels))
    assert ag.reliability(panels[0]) == pytest.approx(co.within_correlation(first, second), abs=0.12)
    assert ag.reliability(np.stack([np.triu(np.full((4, 4), 8), 1)] * 3)) == pytest.approx(1)
    with pytest.raises(MetricError, match="two votes"):
        ag.reliability(np.zeros((1, 3, 3), int))


def test_a_rater_is_compared_with_the_others_only() -> None:
    def vote(rater: str, choice: str) -> Vote:
        return Vote("lip", "s", "x", "y", int(choice == "x"), int(choice == "y"), int(choice == "tie"), rater)

    found = ag.rater_agreement([vote("a", "x"), vote("b", "x"), vote("c", "y"), vote("d", "tie")])
    assert found["c"] == 0
    assert np.isnan(found["a"]), "the others are one to one"
    assert np.isnan(found["d"])
    with pytest.raises(DataError, match="who voted"):
        ag.rater_agreement([Vote("lip", "s", "x", "y", 3, 4)])


# ---- metrics on pairs ---------------------------------------------------------------------------------------------

WINS = np.array([[[0, 9, 2], [1, 0, 5], [8, 5, 0]], [[0, 3, 10], [7, 0, 6], [0, 4, 0]]])


def test_pair_agreement_counted_by_hand() -> None:
    found = co.pair_agreement(WINS, np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]))
    # majorities: x>y, z>x, none | y>x, x>z, y>z; the metric says x>y, x>z, y>z twice
    assert found.majority == pytest.approx(3 / 5)
    assert found.pairs == 5
    assert found.votes == pytest.approx((9 + 2 + 5 + 3 + 10 + 6) / 60)
    assert found.ceiling == pytest.approx((9 + 8 + 5 + 7 + 10 + 6) / 60)


def test_a_metric_without_an_answer_gets_half_a_point() -> None:
    flat = co.pair_agreement(WINS, np.zeros((2, 3)))
    missing = co.pair_agreement(WINS, np.full((2, 3), np.nan))
    assert flat.majority == flat.votes == missing.majority == missing.votes == 0.5
    with pytest.raises(MetricError, match="expected"):
        co.pair_agreement(WINS, np.zeros((3, 2)))
    with pytest.raises(MetricError, match="majority"):
        co.pair_agreement(np.array([[[0, 2], [2, 0]]]), np.array([[1.0, 2.0]]))


def test_parts_of_subjects_add_up_to_the_agreement() -> None:
    metric = np.array([[3.0, 2.0, 1.0], [1.0, np.nan, 1.0]])
    found, parts = co.pair_agreement(WINS, metric), co.pair_parts(WINS, metric)
    alone = [co.pair_parts(WINS[i : i + 1], metric[i : i + 1]) for i in range(2)]
    np.testing.assert_array_equal(np.array(parts), np.array(alone)[..., 0].T)
    assert found.majority == pytest.approx(parts.right.sum() / parts.decided.sum())


@given(st.integers(0, 10**6), st.permutations(range(4)), st.integers(1, 4))
def test_agreement_knows_no_order_of_methods_no_scale_and_turns_with_the_sign(
    seed: int, order: list[int], times: int
) -> None:
    random = np.random.default_rng(seed)
    upper = np.triu(random.integers(0, 16, (3, 4, 4)), 1)
    wins = upper + np.tril(np.triu(15 - upper, 1).transpose(0, 2, 1), -1)
    metric = random.normal(size=(3, 4))
    found = co.pair_agreement(wins, metric)
    moved = co.pair_agreement(wins[:, order][:, :, order] * times, np.exp(metric[:, order]))
    assert moved == pytest.approx(found)
    turned = co.pair_agreement(wins, -metric)
    assert turned.majority == pytest.approx(1 - found.majority)
    assert turned.votes == pytest.approx(1 - found.votes)
    assert found.votes <= found.ceiling + 1e-12


# ---- metrics on scores --------------------------------------------------------------------------------------------


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    people = random.normal(size=(6, 4))
    offsets = 5 * random.normal(size=(6, 1))
    return people, people + random.normal(size=(6, 4)) + offsets, random.normal(size=(6, 4)) + offsets


def test_correlations_are_scipys(scores: tuple) -> None:
    people, metric, _ = scores
    centred = (metric - metric.mean(axis=1, keepdims=True)).ravel()
    own = (people - people.mean(axis=1, keepdims=True)).ravel()
    assert co.within_correlation(people, metric) == pytest.approx(stats.pearsonr(own, centred)[0])
    assert co.correlation(people, metric, "kendall") == pytest.approx(
        stats.kendalltau(people.ravel(), metric.ravel())[0]
    )
    by_subject = [stats.spearmanr(a, b)[0] for a, b in zip(people, metric, strict=True)]
    np.testing.assert_allclose(co.subject_correlations(people, metric), by_subject)
    assert co.within_correlation(people, metric, "spearman") == pytest.approx(np.mean(by_subject))


def test_what_a_metric_makes_of_a_face_does_not_count(scores: tuple) -> None:
    people, metric, _ = scores
    shifted = metric + np.arange(6)[:, None] * 100
    for kind in ("pearson", "spearman", "kendall"):
        assert co.within_correlation(people, shifted, kind) == pytest.approx(  # type: ignore[arg-type]
            co.within_correlation(people, metric, kind)  # type: ignore[arg-type]
        )
    assert co.correlation(people, shifted) < co.within_correlation(people, shifted) / 2


def test_missing_scores_are_refused_and_constant_ones_have_no_correlation(scores: tuple) -> None:
    people, metric, _ = scores
    metric[0, 0] = np.nan
    with pytest.raises(MetricError, match="missing"):
        co.within_correlation(people, metric)
    with pytest.raises(MetricError, match="one shape"):
        co.correlation(people, metric[:5])
    assert np.isnan(co.within_correlation(people, np.ones((6, 4))))
    assert co.within_correlation(people, np.ones((6, 4)), "kendall") == 0


def test_resampling_draws_whole_subjects_and_repeats() -> None:
    chosen = co.resample(6, 400, seed=1)
    assert chosen.shape == (400, 6)
    assert set(chosen.ravel()) == set(range(6))
    np.testing.assert_array_equal(chosen, co.resample(6, 400, seed=1))
    values = chosen.mean(axis=1)
    low, high = co.interval(values)
    assert low < 2.5 < high
    assert np.mean((values >= low) & (values <= high)) == pytest.approx(0.95, abs=0.02)


# ---- one metric against another -----------------------------------------------------------------------------------


def test_williams_test_gives_the_published_example() -> None:
    """Silver, Hittner, May, Applied Psychological Measurement 30 (2006): r = .3, .4, .5, n = 100."""
    found = co.williams_test(0.3, 0.4, 0.5, 100)
    assert round(found.t, 4) == -1.0767
    assert round(found.p, 4) == 0.2843
    assert found.freedom == 97


def test_williams_test_errs_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covariance = np.array([[1, 0.5, 0.5], [0.5, 1, 0.3], [0.5, 0.3, 1]])
    ps = []
    for _ in range(2000):
        r = np.corrcoef(random.multivariate_normal(np.zeros(3), covariance, 19).T)
        ps.append(co.williams_test(r[0, 1], r[0, 2], r[1, 2], 19).p)
    assert np.mean(np.array(ps) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_comparison_within_subjects_errs_as_often_as_it_says() -> None:
    """Centring takes a degree of freedom from each subject, which the test must know."""
    random = np.random.default_rng(1)
    ps = []
    for _ in range(800):
        people = random.normal(size=(6, 4))
        first, second = 0.6 * people + random.normal(size=(2, 6, 4)) + 3 * random.normal(size=(2, 6, 1))
        ps.append(co.compare(people, first, second).p)
    assert np.mean(np.array(ps) < 0.05) == pytest.approx(0.05, abs=0.022)


def test_williams_test_is_odd_and_refuses_what_cannot_be() -> None:
    one, other = co.williams_test(0.7, 0.2, 0.1, 30), co.williams_test(0.2, 0.7, 0.1, 30)
    assert (one.t, one.p) == (pytest.approx(-other.t), pytest.approx(other.p))
    assert co.williams_test(0.4, 0.4, 1.0, 30).p == 1
    for r12, r13, r23, n in ((0.9, -0.9, 0.9, 30), (0.1, 0.1, 0.1, 3), (1.2, 0, 0, 30)):
        with pytest.raises(MetricError, match="can occur"):
            co.williams_test(r12, r13, r23, n)


def test_comparing_a_metric_that_does_not_vary_is_refused(scores: tuple) -> None:
    with pytest.raises(MetricError, match="do not vary"):
        co.compare(scores[0], scores[1], np.ones((6, 4)))


def test_sign_flips_counted_by_hand() -> None:
    assert co.sign_flip_test(np.ones(6)) == pytest.approx(2 / 64)
    assert co.sign_flip_test(np.array([1.0, 1, 1, 1, 1, -1])) == pytest.approx(14 / 64)
    assert co.sign_flip_test(np.array([1.0, -1.0])) == 1
    random = np.random.default_rng(0)
    many = random.normal(0.5, 1, 20)
    assert co.sign_flip_test(many) == pytest.approx(stats.ttest_1samp(many, 0).pvalue, abs=0.02)
