"""Generated clips: drawn from the sound given, put back where the real face was, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny_experts as tiny
import tiny_training
import torch

from tfg.errors import FeatureError, MediaError
from tfg.generated import draw_faces, generated_clip, put_back
from tfg.generator import Generator
from tfg.generator_inputs import GeneratorInputs, steady_identity_frames


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


class Echo:
    """A generator that shows what it is given: the brightness of the identity reference, the loudness of the sound."""

    image_size, audio_start, mouth_row = 32, -2, None
    boxes = staticmethod(Generator.boxes)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        audio, identity, pose = GeneratorInputs(*inputs)
        faces = torch.zeros_like(pose)
        faces[:, 0] = identity.mean(dim=(1, 2, 3))[:, None, None]
        faces[:, 1] = (audio.mean(dim=(1, 2, 3))[:, None, None] + 4) / 8
        return faces


def test_each_frame_gets_its_own_sound_and_its_reference() -> None:
    frames = 40  # more than are drawn at a time
    mel = np.repeat(np.linspace(-4, 4, 128, dtype=np.float32)[None], 80, 0)
    identity = steady_identity_frames(np.abs(np.arange(frames) - 5.0))
    drawn = draw_faces(Echo(), tiny_training.numbered_faces(frames, mel), identity)
    assert drawn.shape == (frames, 32, 32, 3)
    assert drawn[:, 0, 0, 0].tolist() == identity.tolist()
    assert (np.diff(drawn[3:-3, 0, 0, 1].astype(int)) >= 1).all(), "the sound grows louder from frame to frame"


def test_only_the_square_changes_and_only_in_the_frames_of_the_track() -> None:
    clip, track = tiny.clip(36), tiny.track(4, 34)
    generator = Generator(tiny_training.GENERATOR)
    made = generated_clip(generator, clip, track)
    real = clip.trim(4, 34)
    assert made.n_frames == 30
    np.testing.assert_array_equal(made.audio, real.audio)
    x0, y0, x1, y1 = generator.boxes(track)[0]
    changed = np.flatnonzero((made.frames != real.frames).any(axis=(0, 2, 3)))
    assert (changed.min(), changed.max()) == (round(y0), round(y1) - 1)
    outside = np.ones((tiny.SIZE, tiny.SIZE), bool)
    outside[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = False
    assert (made.frames[:, outside] == real.frames[:, outside]).all()
    assert made.notes[-1] == "the lower face is generated"


def test_another_sound_gives_other_lips_under_that_sound() -> None:
    clip, track = tiny.clip(30), tiny.track(0, 30)
    generator, sound = Generator(tiny_training.GENERATOR), tiny.clip(30, seed=5).audio
    own, other = generated_clip(generator, clip, track), generated_clip(generator, clip, track, sound)
    np.testing.assert_array_equal(other.audio, sound)
    assert (own.frames != other.frames).any()


def test_lips_that_were_there_do_not_come_through() -> None:
    """The lower half of each frame is hidden, and its reference is another moment."""
    clip, track = tiny.clip(30), tiny.track(0, 30)
    generator = Generator(tiny_training.GENERATOR)
    changed = clip.frames.copy()
    _, y0, _, y1 = generator.boxes(track)[0]
    changed[12, int((y0 + y1) / 2) + 2 :] = 0  # frame 12 is nobody's reference (that is 0, and 21 for those around it)
    flat = replace(track, landmarks=track.landmarks.copy())
    assert 12 not in steady_identity_frames(flat.mouth_opening)
    before = generated_clip(generator, clip, track).frames
    after = generated_clip(generator, replace(clip, frames=changed), track).frames
    square = slice(int(y0) + 1, int(y1) - 1)
    x0, _, x1, _ = (int(v) for v in generator.boxes(track)[0])
    np.testing.assert_array_equal(before[:, square, x0 + 1 : x1 - 1], after[:, square, x0 + 1 : x1 - 1])


def test_faces_put_back_unchanged_leave_the_clip() -> None:
    clip, track = tiny.clip(6), tiny.track(0, 6)
    boxes = np.repeat(np.array([[40.0, 40, 72, 72]]), 6, 0)
    same = put_back(clip, track, boxes, np.ascontiguousarray(clip.frames[:, 40:72, 40:72]))
    np.testing.assert_array_equal(same.frames, clip.frames)


def test_what_does_not_fit_is_refused() -> None:
    generator = Generator(tiny_training.GENERATOR)
    with pytest.raises(MediaError):
        generated_clip(generator, tiny.clip(30), tiny.track(0, 30), np.zeros(640 * 29, np.float32))
    with pytest.raises(FeatureError, match="12 frames leave no room"):
        generated_clip(generator, tiny.clip(12), tiny.track(0, 12))
