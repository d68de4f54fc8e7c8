"""A clip whose lower face was generated from its sound: in memory, frame for frame as long as the real one.

This is the video that the sync loss looks at: squares put back with a hard edge, the face tracked once in the real
clip. Losses and figures on held-out clips need exactly that; for a film to watch, see :mod:`tfg.dubbing`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from tfg.clip import Clip, Frames, Wave
from tfg.faces import FaceTrack
from tfg.generator_inputs import ClipInputs, FaceGenerator, steady_identity_frames, tensor_to_faces
from tfg.losses import paste_faces

_DRAWN = 32  # faces at a time


@torch.inference_mode()
def draw_faces(
    generator: FaceGenerator, inputs: ClipInputs, identity: NDArray[np.int64], device: torch.device | str = "cpu"
) -> Frames:
    """Every frame's face, ``uint8 (T, S, S, 3)`` RGB.

    :param identity: ``(T,)``, the frame that each takes as its reference: :func:`steady_identity_frames`.
    :param device: where the generator is.
    """
    frames = np.arange(len(inputs))
    parts = []
    for begin in range(0, len(frames), _DRAWN):
        here = frames[begin : begin + _DRAWN]
        parts.append(tensor_to_faces(generator(*inputs.inputs(here, identity[here], generator.audio_start, device))))
    return np.concatenate(parts)


def generated_clip(
    generator: FaceGenerator,
    clip: Clip,
    track: FaceTrack,
    sound: Wave | None = None,
    device: torch.device | str = "cpu",
) -> Clip:
    """The clip with its face speaking ``sound`` (by default its own), cut to the frames of the track.

    :param sound: ``float32 (640 * clip.n_frames,)``.
    :raises CropError: the track is not from this clip.
    :raises MediaError: sound of another length.
    :raises FeatureError: a track too short to hold an identity reference.
    """
    clip = clip if sound is None else replace(clip, audio=sound)
    inputs = ClipInputs.of(clip, track, generator)
    identity = steady_identity_frames(track.mouth_opening)
    return put_back(clip, track, generator.boxes(track), draw_faces(generator, inputs, identity, device))


def put_back(clip: Clip, track: FaceTrack, boxes: NDArray[np.float64], faces: Frames) -> Clip:
    """The track's frames with faces ``uint8 (T, S, S, 3)`` stretched to the boxes ``(T, 4)``."""
    clip = clip.trim(track.start, track.stop)
    where = torch.from_numpy(boxes)
    frames = np.empty_like(clip.frames)
    for begin in range(0, len(frames), _DRAWN):
        here = slice(begin, begin + _DRAWN)
        real, made = (torch.from_numpy(x[here]).permute(0, 3, 1, 2).float() for x in (clip.frames, faces))
        frames[here] = paste_faces(real, made, where[here]).round().byte().permute(0, 2, 3, 1).numpy()
    return replace(clip, frames=frames, notes=(*clip.notes, "the lower face is generated"))
