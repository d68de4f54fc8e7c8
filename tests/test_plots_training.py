"""The figures of a training show the numbers that they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("IPython")
from tfg.experts.syncnet import SyncNet
from tfg.plots import pairs, training
from tfg.training import live
from tfg.training.live import Moment


def moments() -> list[Moment]:
    """Three looks at two clips, the last of them perfect, and steps between."""
    random = np.random.default_rng(0)
    made = []
    for step in range(5):
        truth = random.normal(size=(2, 30, 16)).astype(np.float32)
        noise = random.normal(size=(2, 30, 16)).astype(np.float32)
        looks = {name: (truth[i], truth[i] if step == 4 else noise[i]) for i, name in enumerate(("a", "b"))}
        made.append(Moment(step, 3.0 - step / 2, 0.5, looks if step % 2 == 0 else {}))
    return made


def looks() -> list[Moment]:
    return [m for m in moments() if m.embeddings]


def drawn(ax: Any, label: str) -> np.ndarray:
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return np.asarray(found.get_ydata(), float)


def test_pairs_are_coloured_by_what_training_does_with_them() -> None:
    starts, near = [3, 20, 21, 9], 2
    ax, table = pairs.window_pairs(np.sin(np.arange(32000.0)).astype(np.float32), starts, near).axes
    kinds = np.asarray(table.images[0].get_array())
    ordered = np.sort(starts)
    apart = np.abs(ordered[:, None] - ordered)
    np.testing.assert_array_equal(kinds == 0, apart == 0)
    np.testing.assert_array_equal(kinds == 1, (apart > 0) & (apart < near))
    assert [patch.get_x() * 25 for patch in ax.patches[-4:]] == pytest.approx(ordered.tolist())


def test_streams_are_drawn_with_the_shapes_of_the_network() -> None:
    torch.manual_seed(0)
    ax = pairs.two_streams(SyncNet(live.tiny_config())).axes[0]
    texts = [text.get_text() for text in ax.texts]
    for shape in ("15×99×99", "16×6×6", "1×13×20", "32×5×4"):
        assert shape in texts
    assert texts.count("64×1×1") == 2


def test_losses_are_those_of_the_equations() -> None:
    fits, differs, matching = pairs.pair_losses(margin=1.0, others=6).axes
    cosine = np.asarray(fits.lines[0].get_xdata())
    np.testing.assert_allclose(drawn(fits, "cross-entropy (BCE)"), -np.log(cosine))
    assert not drawn(differs, "contrastive, margin 1")[cosine < 0.5].any(), "beyond the margin there is no loss"
    even = np.abs(cosine - 0.5).argmin()
    assert drawn(matching, "the others: 0.5")[even] == pytest.approx(np.log(7))


def test_a_run_is_drawn_up_to_now() -> None:
    run = moments()
    loss, auc, matrix, *_ = training.training_now(run, {"both": ["a", "b"]}, "a").axes
    np.testing.assert_allclose(drawn(loss, "each batch"), [m.loss for m in run[1:]])
    np.testing.assert_allclose(drawn(auc, "both"), [m.figures(["a", "b"])["auc_5"] for m in looks()])
    np.testing.assert_allclose(np.asarray(matrix.images[0].get_array()), looks()[-1].cosines("a"))
    assert training.training_now(run[:1], {"a": ["a"]}, "a").axes, "nothing has been trained yet"


def test_matrices_histograms_and_curves_belong_to_their_moments() -> None:
    seen = looks()[1:]
    grid = training.diagonal_emerging(seen, {"first": "a", "second": "b"}).axes
    for ax, (name, look) in zip(grid, [(n, m) for n in "ab" for m in seen], strict=False):
        np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), look.cosines(name))
    titles = [ax.get_title("left") for ax in training.cosines_apart(seen, ["a", "b"]).axes]
    assert titles[-1] == "step 4\nAUC 1.00"
    curve = training.offset_curves(seen, {"all": ["a", "b"]}).axes[0]
    assert drawn(curve, "step 4").argmax() == 15
    assert drawn(curve, "step 4").max() == pytest.approx(1)


def test_running_mean_keeps_a_constant_and_its_ends() -> None:
    np.testing.assert_allclose(training.running_mean(np.full(7, 2.0), 5), 2.0)
    assert training.running_mean(np.arange(5.0), 3).tolist() == [0.5, 1, 2, 3, 3.5]
    assert training.running_mean(np.arange(3.0), 9).tolist() == [1, 1, 1], "a window longer than the run"
    assert len(training.running_mean(np.zeros(0), 9)) == 0


def test_a_pause_is_drawn_flat_and_speech_is_not() -> None:
    cosines = np.eye(70, dtype=np.float32)
    cosines[:21, :21] = 0.6  # the windows that lie in the pause
    curve = training.pause(cosines, 25).axes[1]
    np.testing.assert_allclose(drawn(curve, "in the pause"), 0.6, rtol=1e-6)
    assert drawn(curve, "in speech").argmax() == 10


def test_shortcut_bars_are_the_aucs() -> None:
    square = np.zeros((6, 6), np.float32)
    aucs = {"careful": (0.9, 0.8), "careless": (0.6, 0.95)}
    *_, bars = [ax for ax in training.shortcut({"x": square, "y": square}, [0, 3, 6], aucs).axes if ax.patches]
    assert [bar.get_height() for bar in bars.patches] == [0.9, 0.8, 0.6, 0.95]


def test_learning_curves_mark_the_phases_and_show_further_folders() -> None:
    common = {"loss": 1.0, "auc_5": 0.7, "auc_2": 0.6, "cosine": 0.5, "cosine_chance": 0.2, "new/auc_5": 0.55}
    curve = [{**common, "steps": 10.0 * i, "phase": float(i > 2)} for i in range(1, 5)]
    del curve[0]["new/auc_5"]  # a folder that was not measured from the beginning
    loss, auc, _ = training.learning_curves({"run": curve}).axes
    np.testing.assert_equal(drawn(auc, "new"), [np.nan, 0.55, 0.55, 0.55])
    dashed = [line.get_xdata()[0] for line in loss.lines if line.get_linestyle() == "--"]
    assert dashed == [20.0]


def test_comparison_shows_mean_and_range() -> None:
    names = ("p", "q", "r", "s", "t")
    ax = training.loss_comparison([0, 20], {name: [[0.5, 0.6], [0.5, 0.8]] for name in names}).axes[0]
    np.testing.assert_allclose(drawn(ax, "r"), [0.5, 0.7])
    curve = training.auc_by_distance({"x": np.array([0.6, 0.7])}, 2).axes[0]
    assert drawn(curve, "x").tolist() == [0.6, 0.7]
