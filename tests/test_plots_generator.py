"""Figures of the generator show the data they are given."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_experts import clip, track

from tfg.generator_taps import Flow
from tfg.plots import generator as drawn
from tfg.plots.photo import photo


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def titles(figure: Any) -> list[str]:
    return [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]


def test_architecture_carries_every_shape_and_only_the_arrows_that_were_used(random: np.random.Generator) -> None:
    shapes = ((16, 32, 32), (24, 16, 16), (48, 8, 8))
    decoder = ((17, 32, 32), (25, 16, 16), (49, 8, 8))
    faces = {name: random.integers(0, 256, (32, 32, 3), dtype=np.uint8) for name in ("identity", "pose", "face")}
    faces["mel"] = np.zeros((80, 16), np.uint8)

    def arrows(joined: tuple[tuple[str, ...], ...], heard: tuple[int, ...]) -> tuple[int, set[str]]:
        flow = Flow(shapes, shapes, decoder, ((1, 80, 16), (7, 80, 16)), 99, joined, heard)
        texts = drawn.architecture(flow, faces).axes[0].texts
        return sum(text.arrow_patch is not None for text in texts if hasattr(text, "arrow_patch")), {
            text.get_text() for text in texts
        }

    few, shown = arrows((("pose", "below"), ("pose", "below"), ("pose", "identity")), (0, 2, 1))
    assert {"16×32×32", "25×16×16", "49×8×8", "× 2", "× 1", "sound embedding: 99 numbers"} <= shown
    assert "× 0" not in shown
    more, _ = arrows((("pose", "below", "identity"), ("pose", "below"), ("pose", "identity")), (1, 2, 1))
    assert more == few + 2, "one skip connection of the identity, one way in of the sound"


def test_inputs_show_a_picture_per_frame_and_mel_with_low_bands_below(random: np.random.Generator) -> None:
    face, mel = random.integers(0, 256, (8, 8, 3), dtype=np.uint8), random.uniform(-4, 4, (80, 16))
    figure = drawn.inputs({"truth": [face, face], "sound": [mel, mel]}, ["frame 3", "frame 9"])
    assert titles(figure) == ["frame 3", "frame 9"]
    image = figure.axes[3].images[0]
    np.testing.assert_array_equal(image.get_array(), mel)
    assert image.origin == "lower"


def test_squares_are_drawn_where_they_are(random: np.random.Generator) -> None:
    boxes = {name: np.tile([20.0 + i, 30.0, 90.0, 100.0], (10, 1)) for i, name in enumerate(drawn.SQUARES)}
    figure = drawn.squares(clip(10), track(0, 10), [2, 7], boxes, size=24)
    frame = figure.axes[0]
    assert [patch.get_xy() for patch in frame.patches] == [(20, 30), (21, 30)]
    assert frame.get_title(loc="left").startswith("frame 2")
    assert figure.axes[1].images[0].get_array().shape == (24, 24, 3)


def test_geometry_leak_draws_each_clip_and_each_frame(random: np.random.Generator) -> None:
    opening, seen = random.uniform(size=30), {name: random.normal(size=30) for name in drawn.SQUARES}
    figure = drawn.geometry_leak(opening, seen, {"a": dict.fromkeys(seen, 0.5), "b": dict.fromkeys(seen, -0.2)})
    left, right = figure.axes
    np.testing.assert_array_equal(left.lines[1].get_xdata(), opening)
    np.testing.assert_array_equal(left.lines[1].get_ydata(), seen["Wav2Lip"])
    assert right.lines[0].get_ydata().tolist() == [0.5, -0.2]
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["a", "b"]


def test_learning_has_the_whole_curve_and_a_row_per_moment(random: np.random.Generator) -> None:
    faces = [random.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(3)]
    figure = drawn.learning([0.3, 0.2, 0.1], {"step 1": faces, "truth": faces})
    curve = next(ax for ax in figure.axes if ax.lines)
    assert curve.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert sum(bool(ax.images) for ax in figure.axes) == 6


def test_sound_and_checkerboard_show_their_values() -> None:
    figure = drawn.sound_at_every_scale({"before": [0.1, 0.2, 0.3], "after": [0.3, 0.2, 0.1]}, [3, 6])
    (ax,) = figure.axes
    assert [bar.get_height() for bar in ax.patches] == [0.1, 0.2, 0.3, 0.3, 0.2, 0.1]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["3 × 3", "6 × 6", "face"]
    board = np.indices((4, 4)).sum(axis=0) % 2 + 1.0
    np.testing.assert_array_equal(drawn.checkerboard({"a way": board}).axes[0].images[0].get_array(), board)


def test_patches_frame_the_pixels_that_one_answer_sees(random: np.random.Generator) -> None:
    seen = np.zeros((32, 32))
    seen[4:20, 8:30] = random.uniform(0.1, 1, (16, 22))
    face = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    figure = drawn.patches(face, random.normal(size=(4, 4)), seen, (1, 2))
    assert "one answer sees 16 × 22 pixels" in titles(figure)
    frame = figure.axes[2].patches[0]
    assert (*frame.get_xy(), frame.get_width(), frame.get_height()) == (7.5, 3.5, 22, 16)


def test_photo_is_a_smaller_picture_of_the_same_size(random: np.random.Generator) -> None:
    pytest.importorskip("IPython")
    faces = [random.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(4)]
    figure = drawn.inputs({"noise": faces}, ["a", "b", "c", "d"])
    image, png = photo(figure), io.BytesIO()
    figure.savefig(png, format="png", bbox_inches="tight")
    with Image.open(io.BytesIO(image.data)) as picture:
        assert picture.format == "JPEG"
        with Image.open(png) as same:
            assert max(abs(a - b) for a, b in zip(picture.size, same.size, strict=True)) <= 1
    assert len(image.data) < len(png.getvalue())
