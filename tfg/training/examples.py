"""What a generator is trained on: clips with everything computed that training does not change.

A clip costs a tenth of a second and more to prepare (decoding, crops, the expert's view of the real video) and is
seen again in every pass. :class:`Examples` prepares clips when a step asks for them, the next step's in the background,
and keeps as many as fit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tfg.datasets.face_clips import FaceClip
from tfg.errors import TrainingError
from tfg.generator_inputs import (
    IDENTITY_GAP,
    ClipInputs,
    FaceGenerator,
    GeneratorInputs,
    draw_identity_frames,
)
from tfg.losses.sync import SyncLoss
from tfg.training.variation import Variation, varied


@dataclass(frozen=True, eq=False)
class Example:
    """One clip. ``target`` is what the sync loss made of it; None when there is no such loss."""

    inputs: ClipInputs
    target: Any

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True, eq=False)
class Batch:
    """N clips with W windows of k frames in each.

    ``inputs``: of the generator, for ``N * W * k`` faces. ``truth``: ``(N, W, k, 3, S, S)`` in [0, 1].
    ``starts``: ``(N, W)``, where the windows begin. ``targets``: N, of the sync loss.
    """

    inputs: GeneratorInputs
    truth: Tensor
    starts: NDArray[np.int64]
    targets: list[Any]


class Examples:
    """Clips by number, prepared when needed.

    :param clips: face clips; each must be long enough (:func:`long_enough`).
    :param generator: and ``sync``: see :func:`prepare_example`.
    :param keep: how many prepared clips stay in memory, the most recently used ones.
    :param workers: threads that prepare.
    :param variation: see :func:`prepare_example`; a clip that is listed twice is varied twice.
    :param read: how to get a clip by its number; by default it is prepared from its video.
    """

    def __init__(
        self,
        clips: Sequence[FaceClip],
        generator: FaceGenerator,
        sync: SyncLoss[Any] | None,
        variation: Variation,
        keep: int,
        workers: int,
        read: Callable[[int], Example] | None = None,
    ) -> None:
        self.clips, self.keep = clips, keep
        self._read = read or (lambda number: prepare_example(clips[number], generator, sync, variation, number))
        self._pool = ThreadPoolExecutor(workers)
        self._kept: OrderedDict[int, Future[Example]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.clips)

    def ask(self, numbers: Sequence[int]) -> None:
        """Begin to prepare these clips, without waiting."""
        for number in numbers:
            if number not in self._kept:
                self._kept[number] = self._pool.submit(self._read, number)
            self._kept.move_to_end(number)

    def take(self, numbers: Sequence[int]) -> list[Example]:
        """These clips, prepared.

        :raises TfgError: what is wrong with one of them, with its file.
        """
        self.ask(numbers)
        taken = [self._kept[number].result() for number in numbers]
        while len(self._kept) > self.keep:
            self._kept.popitem(last=False)
        return taken


def prepare_example(
    face_clip: FaceClip, generator: FaceGenerator, sync: SyncLoss[Any] | None, variation: Variation, number: int
) -> Example:
    """One clip from its video.

    :param generator: gives size and place of the squares.
    :param sync: the loss that prepares the target, on its device; or None.
    :param variation: how much the clip may be changed; ``number`` draws by how much it is.
    """
    clip, track, boxes = varied(*face_clip.read(), generator, variation, np.random.default_rng(number))
    inputs = ClipInputs.of(clip, track, generator, boxes)
    return Example(inputs, None if sync is None else sync.prepare(clip, track, boxes))


def long_enough(frames: int, windows: int, window_frames: int) -> bool:
    """Whether windows, and an identity reference beside each of them, find room in a clip of this many frames."""
    return frames > max(windows * window_frames, window_frames + 2 * IDENTITY_GAP)


def draw_starts(frames: int, windows: int, window_frames: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Where windows that do not overlap begin, ``(windows,)`` ascending. The clip's last frame is left out: SyncNet
    has no complete sound for it.

    :raises TrainingError: the clip is too short.
    """
    if not long_enough(frames, windows, window_frames):
        raise TrainingError(
            f"a clip has {frames} frames; expected more than {max(windows * window_frames, window_frames + 20)}: lower "
            "windows or window_frames in the recipe, or leave the clip out"
        )
    free = frames - 1 - windows * window_frames
    return np.sort(random.integers(free + 1, size=windows)) + window_frames * np.arange(windows)


def draw_batch(
    examples: Sequence[Example],
    windows: int,
    window_frames: int,
    audio_start: int,
    randoms: Sequence[np.random.Generator],
    device: torch.device | str,
) -> Batch:
    """Windows at random places, each with an identity reference from another moment of its clip.

    :param randoms: one per clip, so that what is drawn for a clip depends neither on the others nor on the process
        that draws.
    """
    starts, parts, truths = [], [], []
    for example, random in zip(examples, randoms, strict=True):
        begin = draw_starts(len(example), windows, window_frames, random)
        identity = draw_identity_frames(begin, window_frames, len(example), random)
        frames = (begin[:, None] + np.arange(window_frames)).ravel()
        inputs = example.inputs.inputs(frames, identity.repeat(window_frames), audio_start, device)
        starts.append(begin)
        parts.append(inputs)
        truths.append(inputs.pose_reference)  # unmasked: the generator hides the lower half itself
    shape = (len(examples), windows, window_frames)
    return Batch(
        GeneratorInputs(*(torch.cat(same) for same in zip(*parts, strict=True))),
        torch.cat(truths).unflatten(0, shape),
        np.stack(starts),
        [example.target for example in examples],
    )
