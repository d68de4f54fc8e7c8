"""What each expert looks at, cut from the frames along a face track.

========================  =============================  ========================================================
crop                      for                            geometry
========================  =============================  ========================================================
``mouth_crops``           AV-HuBERT                      mouth, rotated and scaled to the mean face, 96 x 96 grey
``face_crops_syncnet``    SyncNet                        square of 2.8 half-sides, shifted down, not aligned
``face_crops_wav2lip``    Wav2Lip and its expert         the face's box, not aligned
``face_crops``            our generator                  upright square placed by eyes and nose (`generator_boxes`)
========================  =============================  ========================================================

The mouth crop's transforms are known before a frame is generated (they come from the target clip), so a sync loss can
crop generated frames with :func:`mouth_crops_torch`, which carries gradients back to their pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import medfilt
from torch import Tensor

from tfg.clip import VideoSource
from tfg.errors import CropError
from tfg.faces import FaceTrack
from tfg.warps import Float64, compose, similarity_transform, warp, warp_frames_torch

#: Landmarks that speech hardly moves: nose base, and the four corners of the eyes (numbers of the 68-point scheme).
STABLE_POINTS = (33, 36, 39, 42, 45)
#: Where AV-HuBERT's preparation puts them, in a 256 x 256 image (x, y).
MEAN_FACE = np.array([(128.87, 137.30), (92.52, 94.37), (112.77, 94.94), (145.53, 94.53), (166.68, 93.57)])
MOUTH = slice(48, 68)

#: The generator's square in the same image: its centre, and its side.
SQUARE_CENTRE, SQUARE_SIDE = np.array([129.5, 134.0]), 160.0

CANVAS, MOUTH_CROP, MOUTH_INPUT = 256, 96, 88
SMOOTHING = 12  # frames over which landmarks are averaged before the transform is estimated
GREY_MEAN, GREY_STD = 0.421, 0.165
OUTSIDE_SYNCNET = 110  # grey level beyond the frame's edge
RGB_TO_GREY = (0.299, 0.587, 0.114)

Frames = NDArray[np.uint8]


def mouth_transforms(track: FaceTrack) -> Float64:
    """The transform of each frame to its 96 x 96 mouth crop.

    :returns: ``float64 (T, 2, 3)`` for the track's frames: full-frame pixels -> crop pixels.

    Source: AV-HuBERT's preparation. The similarity transform of frame ``t`` comes from the stable points averaged over
    frames ``t .. t + 11`` (forward, not centred; the last frames share the last one); the crop's centre is the mean of
    the *unsmoothed* mouth landmarks, rounded, kept 48 pixels inside the 256 x 256 canvas.
    """
    stable = track.landmarks[:, STABLE_POINTS].astype(np.float64)
    window = min(len(stable), SMOOTHING)
    means = np.lib.stride_tricks.sliding_window_view(stable, window, axis=0).mean(axis=-1)
    aligned = similarity_transform(means, MEAN_FACE)
    aligned = np.concatenate([aligned, np.repeat(aligned[-1:], len(stable) - len(aligned), axis=0)])
    mouth = track.landmarks[:, MOUTH].astype(np.float64).mean(axis=1)
    centre = (aligned[:, :, :2] @ mouth[:, :, None]).squeeze(-1) + aligned[:, :, 2]
    half = MOUTH_CROP // 2
    aligned[:, :, 2] -= np.round(centre.clip(half, CANVAS - half)) - half
    return aligned


def mouth_crops(video: VideoSource, track: FaceTrack, moved: Float64 | None = None) -> NDArray[np.uint8]:
    """AV-HuBERT's mouth crop of every frame of a track.

    :param moved: ``(2, 3)``, pixels -> pixels: crops as if every frame had been warped by this first, at the price of
        one interpolation instead of two.
    :returns: ``uint8 (T, 96, 96)`` grey, row 0 is frame ``track.start``; black where the crop leaves the frame.
    :raises CropError: the track is not from this video.

    Source: AV-HuBERT's preparation warps the colour frame to 256 x 256, truncates to 8 bits and cuts; here the grey
    frame is warped straight into the crop: 0.15 grey levels from that on average, at most 3.
    """
    transforms = mouth_transforms(track)
    if moved is not None:
        transforms = compose(transforms, moved)
    crops = np.empty((len(track), MOUTH_CROP, MOUTH_CROP), np.uint8)
    for i, frame in track_frames(video, track):
        crops[i] = warp(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), transforms[i], MOUTH_CROP)  # truncates, as there
    return crops


def mouth_video(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the network reads: the centre 88 x 88 of each crop, ``(x / 255 - 0.421) / 0.165``.

    :param crops: ``uint8 (T, 96, 96)``.
    :returns: ``float32 (T, 88, 88)``.
    :raises CropError: another shape or type.
    """
    crops = np.asarray(crops)
    if crops.ndim != 3 or crops.shape[1:] != (MOUTH_CROP, MOUTH_CROP) or crops.dtype != np.uint8:
        raise CropError(f"crops are {crops.dtype} {crops.shape}; expected uint8 (T, 96, 96) from tfg.mouth_crops")
    edge = (MOUTH_CROP - MOUTH_INPUT) // 2
    centre = crops[:, edge : edge + MOUTH_INPUT, edge : edge + MOUTH_INPUT]
    return ((centre / np.float32(255) - GREY_MEAN) / GREY_STD).astype(np.float32)


def mouth_crops_torch(frames: Tensor, transforms: Tensor) -> Tensor:
    """:func:`mouth_crops` and :func:`mouth_video` in one differentiable step.

    :param frames: floating point ``(T, 3, H, W)``, RGB in [0, 1].
    :param transforms: ``(T, 2, 3)`` from :func:`mouth_transforms`, as a tensor.
    :returns: ``(T, 88, 88)``, normalised as the network reads it.
    :raises CropError: shapes that do not fit.

    Nothing is rounded, so the values are up to one grey level (0.024 in these units) above the 8-bit crop's.
    """
    if frames.ndim != 4 or frames.shape[1] != 3:
        raise CropError(f"frames are {tuple(frames.shape)}; expected (T, 3, H, W), RGB in [0, 1]")
    weights = torch.tensor(RGB_TO_GREY, dtype=frames.dtype, device=frames.device)
    grey = (frames * weights[:, None, None]).sum(dim=1, keepdim=True)
    edge = (MOUTH_CROP - MOUTH_INPUT) // 2
    inner = transforms.clone()
    inner[:, :, 2] -= edge
    return (warp_frames_torch(grey, inner, MOUTH_INPUT)[:, 0] - GREY_MEAN) / GREY_STD


def face_crops_syncnet(video: VideoSource, track: FaceTrack, size: int = 224, moved: Float64 | None = None) -> Frames:
    """SyncNet's face crop: the box's centre and half-side ``s`` smoothed by a median over 13 frames, then rows
    ``cy - s .. cy + 1.8 s`` and columns ``cx - 1.4 s .. cx + 1.4 s``; grey 110 outside the frame.

    :param size: side of the output in pixels (224 for the released SyncNet, 112 for the mini).
    :param moved: as for :func:`mouth_crops`.
    :returns: ``uint8 (T, size, size, 3)`` RGB.
    :raises CropError: the track is not from this video.

    Source: syncnet_python's run_pipeline, without its JPEG and XVID round trips; its detector is S3FD, ours the
    landmarks' box (:attr:`FaceTrack.boxes`).
    """
    transforms = face_transforms_syncnet(track, size)
    if moved is not None:
        transforms = compose(transforms, moved)
    return _square_crops(video, track, transforms, size, OUTSIDE_SYNCNET)


def face_transforms_syncnet(track: FaceTrack, size: int = 224) -> Float64:
    """The transform of each frame to :func:`face_crops_syncnet`: ``float64 (T, 2, 3)``, frame pixels -> crop pixels."""
    x0, y0, x1, y1 = track.boxes.astype(np.float64).T
    half = _median(np.maximum(x1 - x0, y1 - y0) / 2)
    left, top = _median((x0 + x1) / 2) - 1.4 * half, _median((y0 + y1) / 2) - half
    return box_transforms(np.stack([left, top, left + 2.8 * half, top + 2.8 * half], axis=1), size)


def face_crops_wav2lip(video: VideoSource, track: FaceTrack, size: int = 96) -> Frames:
    """Wav2Lip's face crop: the box with 10 pixels added below, averaged over five frames, stretched to a square.

    :returns: ``uint8 (T, size, size, 3)`` RGB; black outside the frame.
    :raises CropError: the track is not from this video.

    Source: Wav2Lip's inference (pads 0, 10, 0, 0). Its smoothing looks forward and truncates; ours is centred. The
    peer's 10 pixels are kept relative to a face 200 pixels high, so that they mean the same at any resolution.
    """
    return face_crops(video, track, wav2lip_boxes(track), size)


def wav2lip_boxes(track: FaceTrack) -> Float64:
    """The rectangle of :func:`face_crops_wav2lip` in each frame: ``float64 (T, 4)``, x0, y0, x1, y1 in pixel areas
    (the first pixel of a frame covers 0 to 1)."""
    boxes = uniform_filter1d(track.boxes.astype(np.float64), 5, axis=0, mode="nearest")
    boxes[:, 3] += 0.05 * (boxes[:, 3] - boxes[:, 1])
    return boxes


def generator_boxes(track: FaceTrack) -> Float64:
    """Where our generator's square lies in each frame: upright, placed and sized by eyes and nose base alone.

    In the mean face (:data:`MEAN_FACE`) it is centred just above the nose base and reaches from the hairline to below
    the chin of a mouth that is wide open, so the hidden lower half begins above the upper lip.

    :returns: ``float64 (T, 4)``, x0, y0, x1, y1 in pixel areas; squares, which may leave the frame.

    Why not the face's box, as Wav2Lip does: its lower edge is the chin, so the crop, the mask and the pose reference
    stretch with the jaw. The answer to "how open is the mouth?" is then in the geometry of what the generator is
    shown, and at inference it is the answer of the old video.
    """
    stable = track.landmarks[:, STABLE_POINTS].astype(np.float64)
    aligned = similarity_transform(stable, MEAN_FACE)
    inverse = np.linalg.inv(aligned[:, :, :2])
    centres = (inverse @ (SQUARE_CENTRE - aligned[:, :, 2])[..., None]).squeeze(-1)
    half = SQUARE_SIDE / 2 / np.sqrt(np.abs(np.linalg.det(aligned[:, :, :2])))
    centres = uniform_filter1d(centres, 5, axis=0, mode="nearest")
    half = uniform_filter1d(half, 25, mode="nearest")[:, None]  # a head comes nearer slowly
    return np.concatenate([centres - half, centres + half], axis=1)


def face_crops(video: VideoSource, track: FaceTrack, boxes: Float64, size: int = 96) -> Frames:
    """The given box of every frame of a track, stretched to a square.

    :param boxes: ``(T, 4)``: :func:`generator_boxes`, or :func:`wav2lip_boxes`.
    :returns: ``uint8 (T, size, size, 3)`` RGB; black outside the frame.
    :raises CropError: the track is not from this video.
    """
    return _square_crops(video, track, box_transforms(boxes, size), size, outside=0)


def box_transforms(boxes: Float64, size: int) -> Float64:
    """The transforms ``(T, 2, 3)`` that stretch boxes ``(T, 4)`` to ``size x size`` as cv2.resize does: pixel *areas*
    meet, so pixel centres sit half a pixel inside."""
    transforms = np.zeros((len(boxes), 2, 3))
    scale = size / (boxes[:, 2:] - boxes[:, :2])
    transforms[:, 0, 0], transforms[:, 1, 1] = scale.T
    transforms[:, :, 2] = (0.5 - boxes[:, :2]) * scale - 0.5
    return transforms


def _median(values: Float64) -> Float64:
    """A running median over 13 frames; the ends repeat, so that short tracks are not pulled to zero."""
    return np.asarray(medfilt(np.pad(values, 6, mode="edge"), 13)[6:-6])


def _square_crops(video: VideoSource, track: FaceTrack, transforms: Float64, size: int, outside: float) -> Frames:
    """Each frame of the track warped to ``size x size`` and rounded."""
    crops = np.empty((len(track), size, size, 3), np.uint8)
    for i, frame in track_frames(video, track):
        crops[i] = np.round(warp(frame, transforms[i], size, outside))
    return crops


def track_frames(video: VideoSource, track: FaceTrack) -> Iterator[tuple[int, Frames]]:
    """``(i, frame)`` for the frames of a track, one block of the video in memory at a time.

    :raises CropError: the track is not from this video.
    """
    if track.stop > video.n_frames:
        raise CropError(
            f"{video.source or 'the clip'} has {video.n_frames} frames, the track covers {track.start} to "
            f"{track.stop}: it belongs to another clip; call tfg.track_face on this one"
        )
    first = 0
    for block in video.blocks():
        for number, frame in enumerate(block, first):
            if track.start <= number < track.stop:
                yield number - track.start, frame
        first += len(block)
        if first >= track.stop:
            return
