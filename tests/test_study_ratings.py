"""Opinion scores: means and intervals by hand, screening finds raters who answer at random, malformed rows refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tfg.errors import DataError, MetricError
from tfg.study import ratings as ra

HEADER = "dimension,subject,rater,method,score\n"


def _panel(seed: int = 0, raters: int = 20, videos: int = 40) -> np.ndarray:
    random = np.random.default_rng(seed)
    quality = random.uniform(1.5, 4.5, videos)
    return np.clip(np.round(quality + random.normal(0, 0.4, (raters, videos))), 1, 5)


def test_table_of_ratings_has_gaps_where_nobody_rated(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + "lip,s,r1,x,4\nlip,s,r1,y,2\nlip,s,r2,y,3\nhead,s,r1,x,1\n")
    raters, videos, scores = ra.table(ra.read_ratings(path, ["x", "y"]), "lip")
    assert (raters, videos) == (["r1", "r2"], [("s", "x"), ("s", "y")])
    np.testing.assert_array_equal(scores, [[4, 2], [np.nan, 3]])
    with pytest.raises(DataError, match="no rating of 'rendering'"):
        ra.table(ra.read_ratings(path), "rendering")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("lip,s,r1,q,4", "unknown method 'q'"),
        ("lip,s,r1,x,6", "score '6'; expected a number from 1 to 5"),
        ("lip,s,r1,x,nan", "score 'nan'"),
        ("lip,s,r1,x,good", "score 'good'"),
        ("lip,s,r1,x,", "empty field"),
        ("lip,s,r1,x,4,5", "one too many"),
        ("lip,s,r1,y,4", "rated this video already"),
    ],
)
def test_malformed_rating_is_refused_with_its_row(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(f"{HEADER}lip,s,r1,y,4\n{row}\n")
    with pytest.raises(DataError, match=f"row 3.*{message}"):
        ra.read_ratings(path, ["x", "y"])


def test_files_without_ratings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    for text, message in ((HEADER, "no rating"), ("a,b\n1,2\n", "expected dimension")):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            ra.read_ratings(path)
    with pytest.raises(DataError, match="no such file"):
        ra.read_ratings(tmp_path / "none.csv")


def test_mean_opinion_scores_and_their_intervals() -> None:
    scores = np.array([[5, 1], [4, 2], [3, np.nan]])
    found = ra.mos(scores)
    np.testing.assert_allclose(found.mean, [4, 1.5])
    np.testing.assert_allclose(found.sos, [1, np.sqrt(0.5)])
    np.testing.assert_array_equal(found.raters, [3, 2])
    low, high = stats.t.interval(0.95, 2, 4, 1 / np.sqrt(3))
    assert found.half[0] == pytest.approx((high - low) / 2)
    with pytest.raises(MetricError, match="fewer than two"):
        ra.mos(np.array([[1.0, np.nan], [2.0, 3.0]]))


def test_sos_parameter_is_recovered_and_bounded_by_its_meaning() -> None:
    mean = np.linspace(1.5, 4.5, 9)
    assert ra.sos_parameter(mean, np.sqrt(0.25 * (mean - 1) * (5 - mean))) == pytest.approx(0.25)
    both_ends = np.repeat([[1.0], [5.0]], [3, 3], axis=0)
    assert ra.sos_parameter(both_ends.mean(0), both_ends.std(0)) == pytest.approx(1)


def test_p913_leaves_out_the_rater_who_answers_at_random_and_only_that_one() -> None:
    scores = _panel()
    assert not ra.outliers_p913(scores).any()
    scores[7] = np.random.default_rng(5).integers(1, 6, scores.shape[1])
    scores[11] = 3  # the same answer to everything
    scores[2, ::3] = np.nan
    assert np.flatnonzero(ra.outliers_p913(scores)).tolist() == [7, 11]


def test_bt500_leaves_out_who_is_far_on_both_sides_but_not_who_is_strict() -> None:
    scores = _panel(1)
    strict = scores.copy()
    strict[3] = np.maximum(strict[3] - 2, 1)
    assert not ra.outliers_bt500(strict)[3], "far below only: a bias, no noise"
    wild = scores.copy()
    quality = scores.mean(axis=0)
    wild[3] = np.where(np.arange(40) % 2, np.minimum(quality + 2.5, 5), np.maximum(quality - 2.5, 1))
    assert np.flatnonzero(ra.outliers_bt500(wild)).tolist() == [3]


def test_bt500_threshold_follows_the_kurtosis() -> None:
    """Nineteen equal ratings and one apart have kurtosis far above 4: two deviations are not enough, 4.47 neither."""
    scores = np.full((20, 10), 3.0)
    scores[0, ::2], scores[0, 1::2] = 5, 1
    apart = (5 - scores[:, 0].mean()) / scores[:, 0].std(ddof=1)
    assert 2 < apart < np.sqrt(20)
    assert not ra.outliers_bt500(scores)[0]
