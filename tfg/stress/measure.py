"""What an expert makes of one clip: features of its sound and of its lips, and the figures of the two together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfg.audio import stacked_filterbank
from tfg.clip import Clip
from tfg.crops import MOUTH_CROP, face_crops_syncnet, face_transforms_syncnet, mouth_crops, mouth_transforms
from tfg.experts.expert import AVHubertExpert, SyncNetExpert, track_audio
from tfg.experts.syncnet import WINDOW
from tfg.faces import FaceTrack
from tfg.metrics.lse import lse_unbiased
from tfg.metrics.sync import MIN_SHIFT, avs_u, chance_level, cosine_similarity, offset_search
from tfg.warps import Float64

Expert = AVHubertExpert | SyncNetExpert
Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Measured:
    """What one expert says of the clip at one value of the perturbation.

    :ivar cosines: ``float32 (W,)``, the cosine of lips and sound in each window of five frames: SyncNet's of its
        embeddings (W = T - 5), AV-HuBERT's per frame, averaged over the window (W = T - 4). Row i begins at frame
        ``track.start + i`` of the clip. NaN in windows that are not counted.
    :ivar figures: ``cosine`` (mean of the above), ``chance`` (the same when lips and sound are rotated against each
        other: :func:`tfg.metrics.chance_level`), ``offset`` (frames, positive: audio early; best of 15 either way),
        and AV-HuBERT's ``avs_u`` or SyncNet's ``lse_d`` and ``lse_c`` (comparisons with padding left out).
    """

    cosines: Float
    figures: dict[str, float]


def heard_frames(track: FaceTrack, clip: Clip, delay: float) -> slice:
    """The frames of a track whose sound is not the silence that a delay of the clip's sound (frames) leaves."""
    first, last = max(0, int(np.ceil(delay))), clip.n_frames + min(0, int(np.floor(delay)))
    return slice(max(first - track.start, 0), min(last - track.start, len(track)))


def encode_sound(expert: Expert, clip: Clip, track: FaceTrack) -> Float:
    """Features of the track's sound: ``float32 (T, D)`` of AV-HuBERT, ``(T - 5, E)`` of SyncNet."""
    audio = track_audio(clip, track)
    if isinstance(expert, SyncNetExpert):
        return expert.encode_sound(audio)
    return expert.encode(audio=stacked_filterbank(audio, len(track)))


def encode_lips(expert: Expert, clip: Clip, track: FaceTrack, moved: Float64 | None = None) -> Float:
    """Features of the track's lips, of as many rows; ``moved`` as for :func:`tfg.mouth_crops`."""
    if isinstance(expert, SyncNetExpert):
        return expert.encode_lips(face_crops_syncnet(clip, track, expert.model.config.image_size, moved))
    return expert.encode(mouth=mouth_crops(clip, track, moved))


def crop_transforms(expert: Expert, track: FaceTrack) -> tuple[Float64, int]:
    """The transforms of an expert's crops, and their side in pixels."""
    if isinstance(expert, SyncNetExpert):
        size = expert.model.config.image_size
        return face_transforms_syncnet(track, size), size
    return mouth_transforms(track), MOUTH_CROP


def measure(expert: Expert, audio: Float, lips: Float, heard: slice, seed: int = 0) -> Measured:
    """Cosine per window, NaN where it hears a frame outside ``heard``, and the figures of the rest."""
    per_row = cosine_similarity(audio, lips)
    if isinstance(expert, SyncNetExpert):
        rows = windows = slice(heard.start, min(heard.stop - WINDOW + 1, len(per_row)))
        cosines = per_row.astype(np.float32)
    else:
        rows, windows = heard, slice(heard.start, heard.stop - WINDOW + 1)
        cosines = np.lib.stride_tricks.sliding_window_view(per_row, WINDOW).mean(axis=1).astype(np.float32)
    counted = np.full_like(cosines, np.nan)
    counted[windows] = cosines[windows]
    audio, lips = audio[rows], lips[rows]
    shift = MIN_SHIFT if len(audio) >= 2 * MIN_SHIFT else len(audio) // 3
    figures = {"cosine": float(np.nanmean(counted))}
    figures["chance"] = chance_level(avs_u, audio, lips, seed, min_shift=shift) if shift else np.nan
    if isinstance(expert, SyncNetExpert):
        result = lse_unbiased(lips, audio)
        figures |= {"lse_d": result.lse_d, "lse_c": result.lse_c, "offset": float(result.offset)}
    else:
        figures |= {"avs_u": float(per_row[rows].mean()), "offset": float(offset_search(audio, lips).offset)}
    return Measured(counted, figures)
