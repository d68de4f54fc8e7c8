"""Metrics against people and each other: tables are those of the single functions, many tests are paid for."""

from __future__ import annotations

import numpy as np
import pytest

from tfg.study import comparison as cp
from tfg.study import correlation as co
from tfg.study import power as po
from tfg.study.votes import win_share


@pytest.fixture(scope="module")
def study() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    wins, metrics = po.simulate(6, 4, 15, po.Spread(0.3, 1.0), (0.95, 0.2, 0.2), studies=1, seed=4)
    named = {name: metric[0] for name, metric in zip(("good", "poor", "bad"), metrics, strict=True)}
    return wins[0], win_share(wins[0], np.zeros_like(wins[0])), named


def test_report_holds_what_the_single_functions_say(study: tuple) -> None:
    wins, people, metrics = study
    found = cp.report(wins, np.zeros_like(wins), metrics["good"], draws=300)
    assert found.agreement == co.pair_agreement(wins, metrics["good"])
    assert found.pearson == pytest.approx(co.within_correlation(people, metrics["good"]))
    assert found.spearman == pytest.approx(co.within_correlation(people, metrics["good"], "spearman"))
    assert found.kendall == pytest.approx(co.within_correlation(people, metrics["good"], "kendall"))
    chosen = co.resample(6, 300)
    drawn = [co.pair_agreement(wins[i], metrics["good"][i]) for i in chosen]
    assert found.majority == pytest.approx(co.interval(np.array([d.majority for d in drawn])))
    assert found.votes == pytest.approx(co.interval(np.array([d.votes for d in drawn])))
    drawn_r = [co.within_correlation(people[i], metrics["good"][i]) for i in chosen]
    assert found.pearson_interval == pytest.approx(co.interval(np.array(drawn_r)))
    for value, (low, high) in ((found.pearson, found.pearson_interval), (found.kendall, found.kendall_interval)):
        assert low <= value <= high


def test_the_best_metric_is_best_in_most_draws_and_equals_divide(study: tuple) -> None:
    _, people, metrics = study
    share = cp.share_best(people, metrics, draws=500)
    assert share["good"] > 0.95
    assert sum(share.values()) == pytest.approx(1)
    twins = np.random.default_rng(0).normal(size=(2, 6, 4))
    divided = cp.share_best(
        np.random.default_rng(1).normal(size=(6, 4)), dict(zip("ab", twins, strict=True)), draws=500
    )
    assert max(divided.values()) < 1


def test_leaving_one_out_gives_one_value_each(study: tuple) -> None:
    _, people, metrics = study
    subjects, methods = cp.left_out(people, metrics["good"])
    assert subjects.shape == (6,)
    assert methods.shape == (4,)
    assert subjects[2] == pytest.approx(
        co.within_correlation(people[[0, 1, 3, 4, 5]], metrics["good"][[0, 1, 3, 4, 5]])
    )
    assert methods[0] == pytest.approx(co.within_correlation(people[:, 1:], metrics["good"][:, 1:]))


def test_what_is_known_from_other_subjects_does_not_contain_the_own(study: tuple) -> None:
    _, people, _ = study
    changed = people.copy()
    changed[2] = 9
    np.testing.assert_allclose(cp.elsewhere(people)[2], cp.elsewhere(changed)[2])
    np.testing.assert_allclose(cp.elsewhere(people)[0], people[1:].mean(axis=0))


def test_holm_by_hand_and_all_false_alarms_together() -> None:
    assert cp.holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert cp.holm([0.6, 0.7]) == [1, 1]
    random = np.random.default_rng(0)
    any_alarm = [min(cp.holm(random.uniform(size=10))) < 0.05 for _ in range(2000)]
    assert np.mean(any_alarm) == pytest.approx(0.05, abs=0.015)


def test_every_two_metrics_are_compared_once(study: tuple) -> None:
    _, people, metrics = study
    found = cp.pairwise(people, metrics)
    assert set(found.tests) == {("good", "poor"), ("good", "bad"), ("poor", "bad")}
    assert found.tests["good", "bad"] == co.compare(people, metrics["good"], metrics["bad"])
    assert all(found.adjusted[pair] >= test.p for pair, test in found.tests.items())
    assert found.adjusted["good", "poor"] < 0.05 < found.adjusted["poor", "bad"]
