"""The figures of the book: what they are given is what they show, and every axis says what it is."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import tfg
from tfg.clip import Clip
from tfg.crops import MEAN_FACE, STABLE_POINTS
from tfg.datasets import examples
from tfg.errors import DataError
from tfg.faces import FaceTrack
from tfg.metrics import lse

pytest.importorskip("IPython")
from tfg import plots
from tfg.plots import show


@pytest.fixture
def clip() -> Clip:
    frames = np.random.default_rng(0).integers(0, 256, (10, 48, 64, 3), dtype=np.uint8)
    audio = np.sin(np.arange(6400) * 0.1).astype(np.float32) * 0.5
    return Clip(frames, audio)


@pytest.fixture
def track() -> FaceTrack:
    """Frames 2 to 8 of the clip; a face that opens its mouth."""
    points = np.random.default_rng(1).uniform(10, 40, (68, 2))
    points[list(STABLE_POINTS)] = MEAN_FACE / 6
    landmarks = np.repeat(points[None], 7, axis=0).astype(np.float32)
    landmarks[:, 66, 1] = landmarks[:, 62, 1] + np.arange(7)
    return FaceTrack(2, 9, landmarks, np.ones(7, bool))


def assert_complete(fig: Figure) -> None:
    """Every axis is named, every panel of the grid has a title, and text is inside the picture."""
    for ax in fig.axes:
        if ax.get_label() == "<colorbar>":
            assert ax.get_ylabel()
            continue
        bare = not len(ax.get_xticks()) and not len(ax.get_yticks())  # a picture
        shared_x = len(ax.get_shared_x_axes().get_siblings(ax)) > 1
        assert bare or ax.get_xlabel() or shared_x, "an x axis without a name"
        assert bare or ax.get_ylabel() or len(ax.get_shared_y_axes().get_siblings(ax)) > 1, "a y axis without a name"
    assert any(ax.get_title(loc) for ax in fig.axes for loc in ("left", "center")), "no title"


def line(ax: Any, label: str) -> tuple[np.ndarray, np.ndarray]:
    """The data of the line whose legend begins with ``label``."""
    (found,) = [each for each in ax.lines if str(each.get_label()).startswith(label)]
    return np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)


def test_player_embeds_a_video_that_can_be_read_back_with_its_sound(clip: Clip, tmp_path: Path) -> None:
    page = show(clip, 'a "quoted" <caption>', width=32).data
    data = re.search(r"video/mp4;base64,([A-Za-z0-9+/=]+)", page)
    assert data is not None
    path = tmp_path / "embedded.mp4"
    path.write_bytes(base64.b64decode(data.group(1)))
    played = tfg.read_clip(path)
    assert (played.n_frames, played.width, played.height) == (10, 32, 24)
    assert np.corrcoef(played.audio[640:5000], clip.audio[640:5000])[0, 1] > 0.9


def test_player_names_its_content_for_those_who_do_not_see_it(clip: Clip) -> None:
    page = show(clip, 'a "quoted" <caption>').data
    assert 'aria-label="a &quot;quoted&quot; &lt;caption&gt;"' in page
    assert "<figcaption>a &quot;quoted&quot; &lt;caption&gt;</figcaption>" in page
    assert "controls" in page
    assert "autoplay" not in page
    assert 'aria-label="Video with sound, 0.4 seconds"' in show(clip).data


def test_figures_are_not_kept_by_pyplot(clip: Clip) -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    plots.frames_and_samples(clip, 0, 2)
    assert plt.get_fignums() == before  # else a notebook would show each figure twice


def test_drift_of_counted_film_is_a_frame_after_a_second() -> None:
    fig = plots.drift(np.arange(0, 10, 1 / 24))
    assert_complete(fig)
    clock, counted = line(fig.axes[0], "frames counted")
    assert counted[clock.searchsorted(0.96 - 1e-9)] == pytest.approx(40)  # the picture is 40 ms ahead
    assert np.abs(line(fig.axes[0], "timestamps")[1]).max() <= 1000 / 24 / 2 + 1e-6


def test_frames_stand_above_their_own_samples(clip: Clip) -> None:
    fig = plots.frames_and_samples(clip, first=3, count=4)
    assert_complete(fig)
    time, wave = fig.axes[0].lines[0].get_data()
    assert np.array_equal(wave, clip.audio[3 * 640 : 7 * 640])
    assert time[0] == 120
    assert [inset.get_title("left") for inset in fig.axes[0].child_axes] == [f"frame {i}" for i in range(3, 7)]


def test_landmarks_of_a_frame_are_looked_up_from_the_start_of_the_track(clip: Clip, track: FaceTrack) -> None:
    fig = plots.landmarks(clip, track, [2, 8])
    assert_complete(fig)
    for ax, row in zip(fig.axes, (0, 6), strict=True):
        assert np.allclose(ax.collections[0].get_offsets(), track.landmarks[row])
        assert f"{track.mouth_opening[row]:.2f}" in ax.get_title("left")


def test_lips_and_sound_share_the_clip_s_clock(clip: Clip, track: FaceTrack) -> None:
    truth = np.arange(10) / 10
    labels = [("", 0.0, 0.1), ("b", 0.1, 0.2), ("aa", 0.2, 0.3)]
    fig = plots.lips_and_sound(clip, track, labels, truth)
    assert_complete(fig)
    above, below = fig.axes
    assert np.allclose(line(above, "measured"), [np.arange(2, 9) / 25, track.mouth_opening])
    assert np.allclose(line(above, "true"), [np.arange(2, 9) / 25, truth[2:9]])
    assert [text.get_text() for text in below.texts] == ["b", "aa"]
    assert len(above.patches) == len(below.patches) == 1  # only /b/ is shaded


def test_correlation_shows_the_mean_over_clips() -> None:
    fig = plots.correlation_by_delay([-1, 0, 1], {"a": np.array([0, 1, 0.0]), "b": np.array([0, 0.5, 0.2])})
    assert_complete(fig)
    assert line(fig.axes[0], "mean of 2")[1] == pytest.approx([0, 0.75, 0.1])


def test_alignment_and_gradient_figures_are_complete(clip: Clip, track: FaceTrack) -> None:
    assert_complete(plots.alignment(clip, track, 5))
    assert_complete(plots.pixel_gradient(clip.frames[0], np.eye(48, 64)))


def test_image_grid_names_rows_and_columns(clip: Clip) -> None:
    rows = {"one": list(clip.frames[:2]), "two": [clip.frames[2], clip.frames[3, ..., 0]]}
    fig = plots.image_grid(rows, ["left", "right"], {"two": ["x", "y"]})
    assert [ax.get_title("left") for ax in fig.axes] == ["left", "right", "", ""]
    assert [ax.get_ylabel() for ax in fig.axes] == ["one", "", "two", ""]
    assert [ax.get_xlabel() for ax in fig.axes] == ["", "", "x", "y"]
    assert np.array_equal(fig.axes[2].images[0].get_array(), clip.frames[2])


def test_audio_features_end_with_the_sound() -> None:
    audio = np.random.default_rng(0).uniform(-1, 1, 6400).astype(np.float32)
    fig = plots.audio_features(audio, np.zeros((10, 104)), np.zeros((39, 13)), np.zeros((80, 33)))
    assert_complete(fig)
    ends = [ax.images[0].get_extent()[1] for ax in fig.axes if ax.images]
    assert ends == pytest.approx([0.4, 0.39, 0.4125])  # s: columns times their step


def test_syncnet_window_shows_the_columns_of_its_frames() -> None:
    crops = np.zeros((12, 8, 8, 3), np.uint8)
    cepstra = np.random.default_rng(0).standard_normal((47, 13))
    fig = plots.syncnet_window(crops, cepstra, 3)
    assert_complete(fig)
    (ax,) = [ax for ax in fig.axes if ax.get_ylabel() == "coefficient"]
    image = ax.images[0]
    assert image.get_extent()[:2] == [120, 320]  # ms
    columns = (cepstra[12:32] - cepstra.mean(axis=0)) / cepstra.std(axis=0)
    assert np.allclose(image.get_array(), columns.T)


def test_lse_curve_has_its_dip_where_the_result_says() -> None:
    random = np.random.default_rng(0)
    sound = random.standard_normal((60, 16)).astype(np.float32)
    lip = np.roll(sound, 4, axis=0)  # the sound is early: lips of frame 4 match the sound of frame 0
    result = lse(lip, sound)
    assert result.offset == 4
    fig = plots.lse_curve({"early": result})
    assert_complete(fig)
    offsets, means = fig.axes[0].lines[0].get_data()
    assert offsets[np.argmin(means)] == 4
    assert np.min(means) == pytest.approx(result.lse_d, rel=1e-5)
    assert len(plots.lse_curve({"a": result, "b": result}).axes[0].get_legend().get_texts()) == 2


def test_distance_matrix_marks_the_searched_band() -> None:
    distances = np.random.default_rng(0).uniform(0, 1, (40, 40))
    fig = plots.distance_matrix(distances, vshift=10)
    assert_complete(fig)
    assert np.array_equal(fig.axes[0].images[0].get_array(), distances)
    x, y = line(fig.axes[0], "searched")
    assert x - y == pytest.approx([10, 10])


def test_scores_by_delay_are_those_given() -> None:
    sound = np.random.default_rng(0).standard_normal((60, 16)).astype(np.float32)
    results = [lse(np.roll(sound, shift, axis=0), sound) for shift in (-3, 0, 3)]
    fig = plots.by_delay([3, 0, -3], results)
    assert_complete(fig)
    drawn = [np.asarray(ax.lines[0].get_ydata()) for ax in fig.axes]
    assert list(drawn[0]) == [-3, 0, 3]
    assert drawn[1] == pytest.approx([r.lse_d for r in results])
    assert drawn[2] == pytest.approx([r.lse_c for r in results])


def test_padding_bias_and_sync_loss_show_mean_and_spread() -> None:
    fig = plots.padding_bias([20, 40], {"x": [np.array([1.0, 3.0]), np.array([0.5])]})
    assert_complete(fig)
    assert line(fig.axes[0], "x")[1] == pytest.approx([2, 0.5])
    fig = plots.sync_loss({"x": np.array([0.5, 1.0])}, {"x": np.array([0.7, 0.0])})
    assert_complete(fig)
    assert fig.axes[1].get_title("left") == "mean 0.75, std 0.25"


def test_examples_are_studio_clips_when_there_is_no_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFG_DATA", raising=False)
    (example,) = examples.load("ada-boat")
    assert example.opening is not None
    assert len(example.opening) == example.clip.n_frames
    assert example.labels[0].text == ""  # silence before the first word
    assert example.labels[-1].stop <= example.clip.duration + 0.04
    with pytest.raises(DataError, match="no-such-clip"):
        examples.load("no-such-clip")


def test_examples_end_with_a_clip_of_grid_where_it_is_found(grid_dir: Path) -> None:
    *studio, real = examples.load("ada-boat")
    assert [e.name for e in studio] == ["ada-boat"]
    assert real.name.startswith("grid-s1-")
    assert real.text.split()[0] in ("bin", "lay", "place", "set")
    assert 0 < real.labels[1].start < real.labels[1].stop < real.clip.duration
