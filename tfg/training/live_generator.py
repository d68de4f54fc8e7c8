"""Fit a generator to a few frames in seconds, for a page that is executed.

This is memorising, not learning to speak: it shows that a mouth can come out of the network, and from what.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from tfg.generator import Generator
from tfg.generator_inputs import Float, GeneratorInputs
from tfg.losses.reconstruction import reconstruction_loss
from tfg.training import loop

LEARNING_RATE = 1.2e-3  # the trunk has no norm: at 4e-3 it diverges


def spread_frames(opening: NDArray[np.floating], count: int, edge: int = 6) -> NDArray[np.int64]:
    """Frames whose mouths are open by every degree, from the most closed to the widest, in the order of time.

    :param opening: ``(T,)``, ``track.mouth_opening``.
    :param edge: frames at both ends of the clip that are left out.
    """
    order = np.argsort(opening[edge : len(opening) - edge]) + edge
    return np.sort(order[np.linspace(0, len(order) - 1, count).round().astype(int)])


def overfit(
    generator: Generator, inputs: GeneratorInputs, steps: int, learning_rate: float = LEARNING_RATE
) -> Iterator[tuple[int, float, Float]]:
    """Train in place on one batch with the reconstruction loss, the faces of ``pose_reference`` being the truth.

    :returns: after each step its number from 1, the loss before it, and the faces that it was of,
        ``float32 (N, 3, S, S)``.
    """
    truth = inputs.pose_reference
    optimizer = torch.optim.Adam(generator.parameters(), lr=learning_rate, betas=(0.9, 0.98))
    for step in range(steps):
        loop.set_learning_rate(optimizer, loop.one_cycle(step, steps, learning_rate))
        faces = generator(*inputs)
        loss = reconstruction_loss(faces, truth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        yield step + 1, float(loss.detach()), faces.detach().numpy()
