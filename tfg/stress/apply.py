"""Perturb a clip, or crops that were taken from one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tfg.clip import Clip
from tfg.errors import StressError
from tfg.faces import FaceTrack, track_face
from tfg.stress.frames import NEEDS_FACE, Face, perturb_pictures
from tfg.stress.sound import perturb_sound
from tfg.stress.table import find

# Where the face is in the two crops, medians over GRID and studio clips (they agree within 3%)
_MOUTH_CROP_FACE = 116.0  # pixels of AV-HuBERT's mouth crop, whose scale is fixed by the mean face
_FACE_CROP_FACE = 0.5  # of the side of SyncNet's face crop
_FACE_CROP_MOUTH = (0.5, 0.555)  # of its side, x and y


def perturb(clip: Clip, name: str, value: float, track: FaceTrack | None = None, seed: int = 0) -> Clip:
    """A clip with one perturbation of :data:`tfg.stress.PERTURBATIONS`.

    :param value: in the unit of the table; the neutral value gives the clip back as it is.
    :param track: the face, for perturbations measured in faces; by default it is looked for
        (:func:`tfg.track_face`), which takes longer than the perturbation.
    :param seed: of noise, echoes and dropped frames.
    :returns: a clip of the same shape. Geometry is rigid: one transform for all frames, about the face's median
        place, so the head's own movement stays. What enters at the borders repeats them; nothing is said when the
        face leaves the frame (:func:`tfg.stress.sweep` reports it).
    :raises StressError: no such name, or ``value`` out of its range.
    :raises NoFaceError: a face is needed, and there is none.

    ``offset`` moves the sound as :meth:`tfg.Clip.delay_audio` does: with silence where none is left.
    """
    row = find(name)
    row.check(value)
    if value == row.neutral:
        return clip
    if row.acts_on == "timing":
        return clip.delay_audio(value)
    notes = (*clip.notes, row.label(value))
    if row.acts_on == "audio":
        return replace(clip, audio=perturb_sound(clip.audio, name, value, seed), notes=notes)
    face = Face.of(track or track_face(clip), clip.n_frames) if name in NEEDS_FACE else None
    return replace(clip, frames=perturb_pictures(clip.frames, name, value, face, seed), notes=notes)


def perturb_crops(
    crops: NDArray[np.uint8], name: str, value: float, seed: int = 0, face_width: float | None = None
) -> NDArray[np.uint8]:
    """The perturbations of frames, applied after tracking: to the crops that an expert is shown.

    :param crops: ``uint8 (T, S, S)``, mouth crops (:func:`tfg.mouth_crops`), or ``uint8 (T, S, S, 3)``, face crops
        (:func:`tfg.crops.face_crops_syncnet`).
    :param value: in the unit of the table; shifts are percent of the face's width here too.
    :param face_width: in pixels of the crop; by default 116 in mouth crops and half the side in face crops, as the
        two are cut.
    :returns: crops of the same shape; they turn and grow about their own middle.
    :raises StressError: no such name, one that acts on sound, ``value`` out of its range, or another shape or type.
    """
    row = find(name)
    row.check(value)
    if row.acts_on != "frames":
        raise StressError(f"{name} acts on {row.acts_on}, crops have no sound: use tfg.stress.perturb on the clip")
    crops = np.asarray(crops)
    grey = crops.ndim == 3
    if crops.dtype != np.uint8 or not (grey or (crops.ndim == 4 and crops.shape[3] == 3)) or crops.size == 0:
        raise StressError(f"crops are {crops.dtype} {crops.shape}; expected uint8 (T, S, S) or (T, S, S, 3)")
    if value == row.neutral:
        return crops
    height, width = crops.shape[1:3]
    at = (0.5, 0.5) if grey else _FACE_CROP_MOUTH
    face = Face(
        width=face_width or (_MOUTH_CROP_FACE if grey else _FACE_CROP_FACE * width),
        centre=np.array([(width - 1) / 2, (height - 1) / 2]),
        mouth=np.broadcast_to(np.array(at) * (width, height), (len(crops), 2)),
    )
    return perturb_pictures(crops, name, value, face, seed)
