"""Figures of steadiness draw the numbers that they are given; claims are judged by their factor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from tfg import plots
from tfg.plots.stability import EXPERT_COLOURS
from tfg.stability import claims
from tfg.stability.claims import Verdict
from tfg.studies import fig1

EXPERTS = ("SyncNet", "AV-HuBERT")


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def summaries(random: np.random.Generator) -> dict[str, Any]:
    return {
        e: fig1.summary([random.uniform(low, 1, 60) for _ in range(5)], [random.uniform(0, 0.5, 300)])
        for e, low in zip(EXPERTS, (0.0, 0.4), strict=True)
    }


def swept(random: np.random.Generator) -> dict[str, Any]:
    def curve() -> dict[str, Any]:
        keys = ("cosine", "cosine_low", "cosine_high", "chance", "loss", "kept")
        return {key: random.uniform(0, 1, 5).tolist() for key in keys} | {"clips": 3, "left_out": 0}

    return {name: {"values": [-16, -8, 0, 8, 16], **{e: curve() for e in EXPERTS}} for name in ("shift_x", "rotation")}


def titles(fig: Figure) -> list[str]:
    return [ax.get_title(loc="left") for ax in fig.axes]


def test_panels_of_figure_1_carry_the_papers_letters(summaries: dict[str, Any], random: np.random.Generator) -> None:
    courses = {e: {f"clip {i}": random.uniform(0.2, 1, 50) for i in range(8)} for e in EXPERTS}
    fig = plots.matching_pairs(courses, summaries, fig1.BINS, fig1.LOSS_BINS)
    shown = titles(fig)
    assert [shown[i] for i in (0, 2, 4, 6)] == ["(a) SyncNet", "(c) AV-HuBERT", "(b) SyncNet", "(d) AV-HuBERT"]
    assert len(fig.axes[0].lines) == 4
    np.testing.assert_allclose(fig.axes[0].lines[1].get_ydata(), courses["SyncNet"]["clip 2"])
    np.testing.assert_allclose(fig.axes[4].lines[0].get_ydata(), -np.log(courses["SyncNet"]["clip 0"]), rtol=1e-5)
    assert "max" in shown[5]


def test_histograms_are_shares_of_each_kind(summaries: dict[str, Any]) -> None:
    fig = plots.in_sync_and_off({"here": summaries}, fig1.BINS)
    for ax in fig.axes[:2]:
        for patch in ax.patches:
            assert patch.get_data().values.sum() == pytest.approx(1)
        assert "AUC" in ax.texts[0].get_text()


def test_worst_tenth_is_marked_where_it_is() -> None:
    losses = np.array([10.0] + [1.0] * 9)
    fig = plots.loss_tails({"SyncNet": losses})
    marked = next(line for line in fig.axes[1].lines if line.get_marker() == "o")
    assert marked.get_ydata()[0] == pytest.approx(10 / 19)


def test_curves_of_both_experts_and_their_chance(random: np.random.Generator) -> None:
    found = swept(random)
    fig = plots.robustness(found, "title")
    assert len(fig.axes) == 6
    top = fig.axes[0]
    by_colour = {(line.get_color(), line.get_linestyle()): line.get_ydata() for line in top.lines}
    for expert, colour in EXPERT_COLOURS.items():
        np.testing.assert_allclose(by_colour[colour, "-"], found["shift_x"][expert]["cosine"])
        np.testing.assert_allclose(by_colour[colour, "--"], found["shift_x"][expert]["chance"])
    both = plots.frozen_or_estimated(found, found)
    assert len(both.axes[0].lines) == 5  # and the line at 100%


def test_each_look_has_its_own_map(random: np.random.Generator) -> None:
    pushes = {e: [random.normal(size=(22, 22)) for _ in range(3)] for e in EXPERTS}
    fig = plots.gradient_maps(random.integers(0, 255, (88, 88)), pushes, ["a", "b", "c"])
    assert titles(fig) == ["a", "b", "c", "", "", ""]
    image = fig.axes[4].images[1]
    np.testing.assert_allclose(image.get_array(), pushes["AV-HuBERT"][1])
    assert image.get_extent() == fig.axes[4].images[0].get_extent()


def test_bars_and_context_show_what_was_measured(random: np.random.Generator) -> None:
    keys = ("camera_noise", "nudged", "neighbours", "clips")
    one = {key: 0.1 * i for i, key in enumerate(keys, 1)} | {f"{key}_spread": [0, 0.1, 0.2] for key in keys[:3]}
    fig = plots.gradient_noise({"here": {e: one for e in EXPERTS}})
    heights = [bar.get_height() for bar in fig.axes[0].patches]
    np.testing.assert_allclose(heights, [0.1, 0.2, 0.3, 0.4] * 2)
    rows = [{"frames": k, "cv": 0.3, "d_prime": 2.0, "auc": 0.9} for k in (5, 25, None)]
    fig = plots.context_lengths({"SyncNet, averaged": rows})
    np.testing.assert_array_equal(fig.axes[1].lines[0].get_xdata(), [1, 2, 3])


def test_variants_are_coloured_by_kind_and_pale_without_jitter(random: np.random.Generator) -> None:
    base = swept(random)
    one = {
        "set": {"separation": {"d_prime": 2.0}, "loss": {"std": 0.5}},
        **{name: {"kept": [0.5, 1, 0.7]} for name in base},
        "gradients": {"neighbours": 0.6},
    }
    found = dict.fromkeys(("syncnet-nojitter", "syncnet-jitter", "avhubert-contrastive", "avhubert-jitter"), one)
    fig = plots.expert_variants(found, "set")
    bars = fig.axes[2].patches
    assert [bar.get_width() for bar in bars] == pytest.approx([0.6] * 4)
    colours = [bar.get_facecolor() for bar in bars]
    assert colours[0][:3] == colours[1][:3] == to_rgba(EXPERT_COLOURS["SyncNet"])[:3]
    assert colours[0][3] < colours[1][3]
    assert colours[2][:3] != colours[3][:3]
    assert len(claims.steps(found, "set")) == 3, "steps whose variants are missing are left out"


@pytest.mark.parametrize(
    ("factor", "word"), [(2.0, "holds"), (1.05, "even"), (0.5, "reversed"), (float("nan"), "not measured")]
)
def test_claim_is_judged_by_its_factor(factor: float, word: str) -> None:
    verdict = Verdict("1a", "spread", "here", 1.0, 0.5, factor)
    assert verdict.word == word
    assert word in verdict.sentence


def test_verdicts_are_drawn_right_of_one_where_the_claim_holds(summaries: dict[str, Any], random: Any) -> None:
    rows = claims.figure_1(summaries["SyncNet"], summaries["AV-HuBERT"], "here")
    rows += claims.figure_5(swept(random), *EXPERTS, "here")
    assert {row.panel for row in rows} == {"1a, c", "1b, d", "5a", "5b"}
    by_ruler = {row.ruler: row for row in rows}
    assert by_ruler["spread of the cosine"].word == by_ruler["d' to pairs that are off"].word == "holds"
    fig = plots.claims([row._asdict() for row in rows])
    drawn = [line.get_xdata()[0] for line in fig.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(drawn[: len(rows)], [np.clip(row.factor, 1 / 16, 16) for row in rows])
