"""Where would the sync loss push a mouth that is already right?

A generator is trained through the gradient of the sync loss with respect to the pixels it painted. On real videos in
sync there is nothing to repair, so what is left of that gradient is noise. Here it is taken for both experts in the
same coordinates: the mouth patch that AV-HuBERT reads, aligned to the mean face. SyncNet's own crop is another one (a
larger part of the face, not aligned); a small change of the patch is carried into it by the warp that connects the two.

The patch is changed by 22 x 22 smooth bumps of four pixels, not by its 88 x 88 pixels. SyncNet's crop has about half
the patch's resolution: of single pixels it would see every second one, and which ones, would depend on a fraction of a
pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tfg.audio import mfcc, stacked_filterbank
from tfg.clip import VideoSource
from tfg.crops import (
    GREY_MEAN,
    GREY_STD,
    MOUTH_CROP,
    MOUTH_INPUT,
    face_crops_syncnet,
    face_transforms_syncnet,
    mouth_crops,
    mouth_transforms,
)
from tfg.errors import FeatureError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert, track_audio
from tfg.experts.syncnet import WINDOW
from tfg.faces import FaceTrack
from tfg.stability.cosines import FLOOR, Expert, Float
from tfg.warps import Float64, warp_frames_torch

BUMPS = 22  # along each side of the patch
_EDGE = (MOUTH_CROP - MOUTH_INPUT) // 2
_APART = WINDOW + 4  # frames between windows that share no input of AV-HuBERT's front end, which sees two to each side


@dataclass(frozen=True, eq=False)
class MouthGradients:
    """The sync loss of some windows of five frames, and where it pushes.

    :ivar starts: ``(W,)`` first frames.
    :ivar cosines: ``float32 (W,)`` lips against sound.
    :ivar gradients: ``float32 (W, 5, 22, 22)``: of the loss ``-log CS`` with respect to the brightness (0 to 1) of each
        bump of the mouth patch in the window's frames. Zero where the cosine is below the loss's floor.
    """

    starts: NDArray[np.int64]
    cosines: Float
    gradients: Float

    @property
    def sizes(self) -> Float:
        """``(W,)`` length of each gradient."""
        return np.linalg.norm(self.gradients.reshape(len(self.gradients), -1), axis=1)


def mouth_gradients(
    expert: Expert,
    clip: VideoSource,
    track: FaceTrack,
    starts: Sequence[int] | NDArray[np.integer],
    seen: FaceTrack | None = None,
    late: int = 0,
) -> MouthGradients:
    """Gradient of the sync loss of windows with respect to the picture of the mouth.

    :param track: the face: it fixes the coordinates of the mouth patch.
    :param starts: first frames of the windows, within the track.
    :param seen: the track by which the expert crops, when it is to differ from ``track`` (:func:`nudged`).
    :param late: frames by which the windows are compared with an earlier sound, as if the sound came late.
    :raises FeatureError: a window leaves the track, or its sound does.

    A window's cosine is the mean of its frames' cosines for AV-HuBERT (which reads the whole clip), that of its two
    embeddings for SyncNet; see :func:`tfg.stability.matching_cosines`.
    """
    chosen = np.asarray(starts, np.int64)
    last = len(track) - WINDOW - 1
    if len(chosen) == 0 or chosen.min() - max(late, 0) < 0 or max(chosen.max(), chosen.max() - late) > last:
        raise FeatureError(f"windows begin at {chosen.tolist()}, their sound {late} earlier; expected 0 to {last}")
    of = _syncnet if isinstance(expert, SyncNetExpert) else _avhubert
    cosines, gradients = of(expert, clip, track, seen or track, chosen, late)  # type: ignore[arg-type]
    return MouthGradients(chosen, cosines, gradients)


def nudged(track: FaceTrack, right: float, down: float) -> FaceTrack:
    """The track as if every landmark had been found a little off: percent of the face's width."""
    x0, _, x1, _ = np.median(track.boxes, axis=0)
    step = np.array([right, down]) / 100 * (x1 - x0)
    return replace(track, landmarks=(track.landmarks + step).astype(np.float32))


def agreement(a: Float, b: Float) -> Float:
    """Cosine of the directions of gradients, ``(W, ...)`` each: 1 the same push, 0 unrelated, -1 opposite.

    Windows where either gradient is zero are left out.
    """
    x, y = a.reshape(len(a), -1).astype(np.float64), b.reshape(len(b), -1).astype(np.float64)
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    there = lengths > 0
    return ((x * y).sum(axis=1)[there] / lengths[there]).astype(np.float32)


def _loss(cosines: Tensor) -> Tensor:
    return -cosines.clamp_min(FLOOR).log()


def _inverse(transforms: Float64) -> Float64:
    linear = np.linalg.inv(transforms[:, :, :2])
    return np.concatenate([linear, -linear @ transforms[:, :, 2:]], axis=2)


def _patch_to(transforms: Float64, track: FaceTrack) -> Tensor:
    """Mouth patch pixels -> pixels of the crop that ``transforms`` (frame -> crop) make, ``(T, 2, 3)``."""
    patch = mouth_transforms(track)
    patch[:, :, 2] -= _EDGE
    back = _inverse(patch)
    linear = transforms[:, :, :2] @ back
    linear[:, :, 2] += transforms[:, :, 2]
    return torch.from_numpy(linear)


def bumps(brightness: Tensor) -> Tensor:
    """The patch's change ``(T, 1, 88, 88)`` made by bumps of these heights ``(T, 22, 22)``; all of 1 make 1."""
    return F.interpolate(brightness[:, None], (MOUTH_INPUT, MOUTH_INPUT), mode="bilinear", align_corners=False)


def _avhubert(
    expert: AVHubertExpert, clip: VideoSource, track: FaceTrack, seen: FaceTrack, starts: NDArray[np.int64], late: int
) -> tuple[Float, Float]:
    sound = F.normalize(torch.from_numpy(_sound(expert, clip, track)), dim=-1)
    inner = mouth_transforms(seen)
    inner[:, :, 2] -= _EDGE
    crops = mouth_crops(clip, seen)[:, _EDGE : _EDGE + MOUTH_INPUT, _EDGE : _EDGE + MOUTH_INPUT]
    change = torch.zeros(len(track), BUMPS, BUMPS, requires_grad=True)
    moved = warp_frames_torch(bumps(change), _patch_to(inner, track), MOUTH_INPUT)[:, 0]
    video = (torch.from_numpy(crops / np.float32(255)) + moved - GREY_MEAN) / GREY_STD
    front = expert.model.video_front(video[None])
    leaf = front.detach().requires_grad_()
    lips = expert.model.fuse_and_encode(None, leaf, layer=expert.layer)
    per_frame = (F.normalize(lips[0], dim=-1)[max(late, 0) : len(lips[0]) + min(late, 0)]
                 * sound[max(-late, 0) : len(sound) - max(late, 0)]).sum(-1)  # fmt: skip
    cosines = torch.stack([per_frame[s - max(late, 0) :][:WINDOW].mean() for s in starts])
    gradients = np.zeros((len(starts), WINDOW, BUMPS, BUMPS), np.float32)
    encoder = [torch.autograd.grad(_loss(c), leaf, retain_graph=True)[0] for c in cosines]
    for group in _groups(starts):
        # windows far enough apart share no pixels through the front end: one pass back through it serves them all
        combined = torch.zeros_like(leaf)
        for i in group:
            rows = slice(max(0, starts[i] - 2), starts[i] + WINDOW + 2)
            combined[:, rows] = encoder[i][:, rows]
        (pixels,) = torch.autograd.grad(front, change, combined, retain_graph=True)
        for i in group:
            gradients[i] = pixels[starts[i] : starts[i] + WINDOW].numpy()
    return cosines.detach().numpy(), gradients


def _sound(expert: AVHubertExpert, clip: VideoSource, track: FaceTrack) -> Float:
    return expert.encode(audio=stacked_filterbank(track_audio(clip, track), len(track)))


def _groups(starts: NDArray[np.int64]) -> list[list[int]]:
    """Indices of windows, in as few groups as keep the windows of a group far apart."""
    groups: list[list[int]] = []
    for i in np.argsort(starts, kind="stable"):
        for group in groups:
            if starts[i] - starts[group[-1]] >= _APART:
                group.append(int(i))
                break
        else:
            groups.append([int(i)])
    return groups


def _syncnet(
    expert: SyncNetExpert, clip: VideoSource, track: FaceTrack, seen: FaceTrack, starts: NDArray[np.int64], late: int
) -> tuple[Float, Float]:
    size = expert.model.config.image_size
    faces = face_crops_syncnet(clip, seen, size)
    rows = (starts[:, None] + np.arange(WINDOW)).ravel()
    to_face = _patch_to(face_transforms_syncnet(seen, size), track)[rows]
    sound = expert.model.embed_audio(mfcc(track_audio(clip, track)))[starts - late]
    cosines, gradients = [], []
    for part in range(0, len(starts), 8):
        some = slice(part * WINDOW, (part + 8) * WINDOW)
        change = torch.zeros(len(rows[some]), BUMPS, BUMPS, requires_grad=True)
        # the network reads BGR from 0 to 255; a change of grey changes the three alike
        bgr = torch.from_numpy(faces[rows[some]][..., ::-1].astype(np.float32)).permute(0, 3, 1, 2)
        bgr = bgr + 255 * warp_frames_torch(bumps(change), to_face[some], size)
        lips = expert.model.forward_lip(bgr.unflatten(0, (-1, WINDOW)).transpose(1, 2))
        found = F.cosine_similarity(lips, torch.from_numpy(sound[part : part + 8]), dim=-1)
        (pixels,) = torch.autograd.grad(_loss(found).sum(), change)  # windows are independent of each other
        cosines.append(found.detach().numpy())
        gradients.append(pixels.unflatten(0, (-1, WINDOW)).numpy())
    return np.concatenate(cosines), np.concatenate(gradients)
