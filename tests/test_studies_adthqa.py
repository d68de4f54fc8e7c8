"""The study of ADTH-QA: its file becomes arrays in one order, and the page and its figures show what is in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tiny_experts as tiny

from tfg import results
from tfg.clip import Clip
from tfg.metrics.image import psnr
from tfg.plots import study as figures
from tfg.studies import adthqa as measured
from tfg.study import bradley_terry, comparison, correlation
from tfg.study.votes import win_share

BOOK = Path(__file__).resolve().parent.parent / "book"
FIGURES = {
    "clips": {
        "b": {"real": {"avs_u": 0.5}, "x": {"avs_u": 0.1, "lse_d_lrs": 2.0}, "y": {"avs_u": 0.3, "lse_d_lrs": 1.0}},
        "a": {"real": {"avs_u": 0.6}, "x": {"avs_u": 0.2, "lse_d_lrs": None}, "y": {"avs_u": 0.4, "lse_d_lrs": 3.0}},
    },
    "votes": [["lip", "a", "x", "y", 10, 5], ["lip", "b", "y", "x", 2, 13], ["head", "a", "x", "y", 1, 14]],
}


@pytest.fixture(scope="module")
def study() -> measured.Studied:
    return measured.load(results.read(BOOK / "results" / "adthqa_metrics.json")["figures"])


def test_scores_and_votes_have_one_order() -> None:
    found = measured.load(FIGURES)
    assert (found.subjects, found.methods) == (["b", "a"], ["x", "y"])
    np.testing.assert_array_equal(found.scores["avs_u"], [[0.1, 0.3], [0.2, 0.4]])
    np.testing.assert_array_equal(found.real["avs_u"], [0.5, 0.6])
    wins, _ = found.tables("lip")
    np.testing.assert_array_equal(wins[:, 0, 1], [13, 10], err_msg="x over y on b, then on a")


def test_more_is_better_after_turning_and_missing_stays_missing() -> None:
    found = measured.load(FIGURES)
    np.testing.assert_array_equal(found.better("lse_d_lrs"), [[-2, -1], [np.nan, -3]])
    np.testing.assert_array_equal(found.better("avs_u"), found.scores["avs_u"])


def test_a_video_is_compared_with_the_real_one_on_common_frames() -> None:
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (60, 192, 192, 3), dtype=np.uint8)
    noisy = np.clip(frames.astype(int) + random.integers(-9, 10, frames.shape), 0, 255).astype(np.uint8)
    sound = np.zeros(640 * 60, np.float32)
    real, made = Clip(frames, sound), Clip(noisy, sound).trim(0, 50)
    found = measured.against_real(made, tiny.track(3, 50), real, tiny.track(0, 60))
    assert found["lmd"] == pytest.approx(0, abs=1e-6)
    assert found["psnr"] == pytest.approx(psnr(noisy[:50], frames[:50]).mean())
    assert found["identity"] > 0.9
    assert 0.9 < found["ssim"] < 1


def test_every_metric_of_the_file_is_complete(study: measured.Studied) -> None:
    assert set(study.scores) == set(measured.METRICS)
    assert all(np.isfinite(scores).all() for scores in study.scores.values())
    for question in ("lip", "head", "rendering"):
        wins, ties = study.tables(question)
        assert (wins + wins.swapaxes(1, 2) == 15 * (1 - np.eye(4))).all()
        assert not ties.any()
    assert (study.scores["offset_avs"] >= 0).all()


def test_page_shows_this_file() -> None:
    cells = json.loads((BOOK / "metrics_and_people.ipynb").read_text())["cells"]
    text = "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", []))
    line = results.source(BOOK / "results" / "adthqa_metrics.json")
    assert line in text, "the page was executed with another adthqa_metrics.json: execute it again"


# ---- figures ------------------------------------------------------------------------------------------------------


def test_ranking_has_every_score_between_its_intervals(study: measured.Studied) -> None:
    wins, _ = study.tables("lip")
    fit, drawn = bradley_terry.fit(wins), bradley_terry.bootstrap(wins, draws=50)
    ax = figures.rankings(study.methods, {"lip sync": (fit, drawn)}).axes[0]
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots, fit.scores)
    assert [label.get_text() for label in ax.get_yticklabels()] == study.methods


def test_agreement_draws_each_metric_and_the_name_alone(study: measured.Studied) -> None:
    wins, ties = study.tables("lip")
    reports = {name: comparison.report(wins, ties, study.better(name), draws=50) for name in ("avs_u", "lmd")}
    alone = comparison.report(wins, ties, comparison.elsewhere(win_share(wins, ties)), draws=50)
    left, right = figures.agreement(reports, alone, ["lmd"]).axes
    dots = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "o"]
    assert dots == pytest.approx([reports["avs_u"].pearson, reports["lmd"].pearson])
    dashed = [line.get_xdata()[0] for line in left.lines if line.get_linestyle() == "--"]
    assert dashed == [alone.agreement.majority]


def test_differences_are_signed_and_starred(study: measured.Studied) -> None:
    people = win_share(*study.tables("lip"))
    found = comparison.pairwise(people, {name: study.better(name) for name in ("avs_m", "offset_tracks", "lmd")})
    texts = [text.get_text() for text in figures.differences(found, ["m", "o", "l"]).axes[0].texts]
    test = found.tests["avs_m", "offset_tracks"]
    assert sum(text.startswith(f"{test.difference:+.2f}*") for text in texts) == 1
    assert sum(text.startswith(f"{-test.difference:+.2f}*") for text in texts) == 1
    assert len(texts) == 6


def test_scatter_says_the_signed_correlation(study: measured.Studied) -> None:
    people = win_share(*study.tables("lip"))
    shown = {"LSE-D": (study.scores["lse_d_tracks"], -1), "AVS_v": (study.scores["avs_v"], 1)}
    axes = figures.against_votes(people, shown, study.methods).axes
    for ax, name in zip(axes, ("lse_d_tracks", "avs_v"), strict=False):
        r = float(re.findall(r"r = ([+-]\d\.\d\d)", ax.get_title(loc="left"))[0])
        assert r == pytest.approx(correlation.within_correlation(people, study.better(name)), abs=0.006)
        assert sum(len(points.get_offsets()) for points in ax.collections) == people.size


def test_power_and_left_out_show_their_numbers(study: measured.Studied) -> None:
    left, right = figures.power((6, 10), {"a": [0.2, 0.5]}, {"b": [0.1, 0.9]}).axes
    assert left.lines[-1].get_ydata().tolist() == [0.2, 0.5]
    assert right.lines[-1].get_ydata().tolist() == [0.1, 0.9]
    people = win_share(*study.tables("lip"))
    without = comparison.left_out(people, study.better("lmd"))
    _, methods = figures.without_each({"LMD": (0.5, *without)}, study.methods).axes
    drawn = [line.get_xdata()[0] for line in methods.lines[1:5]]
    assert drawn == pytest.approx(list(without[1]))
    texts = figures.shares(people, study.subjects, study.methods).axes[0].texts
    assert [text.get_text() for text in texts] == [f"{share:.0%}" for share in people.ravel()]
