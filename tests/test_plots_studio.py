"""Figures of the studio chapter show what they are given, with every axis named."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from test_plots import assert_complete, line

from tfg.clip import Clip
from tfg.datasets import studio
from tfg.datasets.studio_mesh import template
from tfg.datasets.studio_speech import articulate, dominance
from tfg.datasets.studio_truth import StudioClip

figures = pytest.importorskip("tfg.plots.studio")


@pytest.fixture(scope="module")
def clip() -> StudioClip:
    truth = studio.truth("ada-boat")
    frames = np.zeros((truth.n_frames, 64, 64, 3), np.uint8)
    return StudioClip(Clip(frames, np.zeros(640 * truth.n_frames, np.float32)), truth)


def test_blending_draws_the_blend_and_a_hill_for_each_segment(clip: StudioClip) -> None:
    fine = np.arange(0, 2, 0.01)
    shared = dominance(clip.truth.phones, fine, "jaw")
    fig = figures.blending(clip.clip.audio, clip.truth.phones, fine, shared, "Jaw")
    assert_complete(fig)
    assert len(fig.axes[1].lines) == len(shared.labels)
    np.testing.assert_array_equal(line(fig.axes[2], "what the articulator does")[1], shared.blend)


def test_articulation_draws_all_nine(clip: StudioClip) -> None:
    fine = np.arange(0, 2, 0.01)
    fig = figures.articulation(clip.truth.phones, fine, articulate(clip.truth.phones, fine))
    assert_complete(fig)
    assert sum(len(ax.lines) for ax in fig.axes) == 9


def test_wireframes_colour_by_the_distance_from_the_first_shape() -> None:
    face = template()
    fig = figures.wireframes({"rest": face.vertices, "moved": face.vertices + np.array([0, 0, 1.5])}, face.triangles)
    assert_complete(fig)
    meshes = [c for ax in fig.axes[:4] for c in ax.collections if isinstance(c, PolyCollection)]
    assert len(meshes) == 4
    values = [float(np.asarray(mesh.get_array()).max()) for mesh in meshes]
    assert sorted(values) == pytest.approx([0, 0, 1.5, 1.5])


def test_strip_truth_and_openings_are_complete(clip: StudioClip) -> None:
    strip = figures.film_strip(clip, 4, 10, box=(0, 0, 64, 32))
    titles = [ax.get_title(loc="center") for ax in strip.axes]
    assert titles == [f"/{phone}/" for phone in clip.truth.phoneme[4:14]]
    whole = figures.truth_by_frame(clip)
    assert_complete(whole)
    np.testing.assert_array_equal(whole.axes[1].lines[0].get_ydata(), clip.truth.opening)
    compared = figures.openings(clip.truth.phones, {"right": clip.truth.opening, "flat": 0 * clip.truth.opening})
    assert_complete(compared)
    np.testing.assert_array_equal(line(compared.axes[0], "right")[1], clip.truth.opening)


def test_cast_and_layers_name_their_pictures() -> None:
    pictures = {name: np.zeros((8, 8, 3), np.uint8) for name in "abcdefgh"}
    assert [ax.get_title(loc="center") for ax in figures.cast(pictures).axes[:8]] == list("abcdefgh")
    assert [ax.get_title(loc="left") for ax in figures.layers(pictures).axes][:2] == ["1. a", "2. b"]


def test_tracker_figure_shows_every_frame_of_every_clip() -> None:
    from tfg.datasets.studio_check import check_tracker

    checks = [check_tracker(name) for name in ("hana-zoo", "portrait-space")]
    fig = figures.tracker_against_truth(checks, "hana-zoo", 5)
    assert_complete(fig)
    dots = fig.axes[1].lines[:2]
    assert [len(np.asarray(each.get_xdata())) for each in dots] == [len(check.track) for check in checks]


def test_mouths_draw_a_dot_for_each_clip() -> None:
    clips = [{"widest": 0.1 * i, "speed": 2.0, "loudness": 0.5, "head": 0.2} for i in (1, 2, 3)]
    fig = figures.mouths({"a": clips, "b": clips[:2]}, {"a": "studio", "b": "real"})
    assert_complete(fig)
    np.testing.assert_allclose(fig.axes[0].lines[0].get_ydata(), [0.1, 0.2, 0.3])
    assert len(np.asarray(fig.axes[0].lines[1].get_ydata())) == 2
