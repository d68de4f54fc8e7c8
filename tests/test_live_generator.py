"""The fit that a page shows: its frames are spread over openings, and it learns."""

from __future__ import annotations

import numpy as np
import torch
from test_generator_taps import TINY, inputs

from tfg.generator import Generator
from tfg.training.live_generator import overfit, spread_frames


def test_frames_run_from_closed_to_wide_open_without_the_ends() -> None:
    opening = np.random.default_rng(0).uniform(size=50)
    opening[[0, 49]] = -1, 2
    frames = spread_frames(opening, 5)
    assert (np.diff(frames) > 0).all()
    assert opening[frames].min() == opening[6:44].min()
    assert opening[frames].max() == opening[6:44].max()


def test_overfitting_lowers_the_loss_of_the_very_faces_it_returns() -> None:
    torch.set_num_threads(1)
    generator, given = Generator(TINY), inputs()
    run = list(overfit(generator, given, 25))
    assert [step for step, _, _ in run] == list(range(1, 26))
    losses = [loss for _, loss, _ in run]
    assert losses[-1] < 0.95 * losses[0]
    for _, loss, faces in run:
        np.testing.assert_allclose(np.abs(faces - given.pose_reference.numpy()).mean(), loss, rtol=1e-4)
