"""Perturbations of pictures: 8-bit arrays in, arrays of the same shape out.

The same functions serve whole frames and crops: what they must know of the face is a :class:`Face`. No pixel is
visited by Python; what a picture is moved away from repeats its border (black would be an edge that no camera shows).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from tfg.crops import MOUTH
from tfg.errors import StressError
from tfg.faces import FaceTrack
from tfg.warps import Float64

Pictures = NDArray[np.uint8]  # (T, H, W, 3) RGB or (T, H, W) grey

GEOMETRY = ("shift_x", "shift_y", "rotation", "scale")
#: Those that are measured in faces, or happen at the face's place.
NEEDS_FACE = (*GEOMETRY, "blur", "occlusion")
_GREY = 127


@dataclass(frozen=True, eq=False)
class Face:
    """Where the face is in some pictures, in their pixels.

    :ivar width: of the face, one number for all pictures.
    :ivar centre: ``float64 (2,)``, x and y, one point for all pictures: the picture is moved, not the head.
    :ivar mouth: ``float64 (T, 2)``, the middle of the lips.
    """

    width: float
    centre: Float64
    mouth: Float64

    @classmethod
    def of(cls, track: FaceTrack, n_frames: int) -> Face:
        """From a track; before its first and after its last frame the mouth is held."""
        x0, y0, x1, y1 = np.median(track.boxes, axis=0).astype(np.float64)
        inside = (np.arange(n_frames) - track.start).clip(0, len(track) - 1)
        mouth = track.landmarks[:, MOUTH].astype(np.float64).mean(axis=1)[inside]
        return cls(x1 - x0, np.array([(x0 + x1) / 2, (y0 + y1) / 2]), mouth)


def move(name: str, value: float, face: Face) -> Float64:
    """The transform of a perturbation of :data:`GEOMETRY`: ``(2, 3)``, pixels of the picture -> of the moved one."""
    step = value / 100 * face.width
    if name == "shift_x":
        return np.array([[1.0, 0, step], [0, 1, 0]])
    if name == "shift_y":
        return np.array([[1.0, 0, 0], [0, 1, step]])
    turn = np.exp(1j * np.deg2rad(value)) if name == "rotation" else complex(value)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, face.centre - linear @ face.centre])


def perturb_pictures(pictures: Pictures, name: str, value: float, face: Face | None, seed: int) -> Pictures:
    """Apply one perturbation that acts on frames; ``value`` has been checked and is not neutral.

    :param pictures: ``uint8 (T, H, W, 3)`` or ``(T, H, W)``.
    :param face: needed by :data:`NEEDS_FACE`.
    """
    if name in NEEDS_FACE:
        assert face is not None
        if name == "blur":
            return _blur(pictures, value / 100 * face.width)
        if name == "occlusion":
            return _cover(pictures, value / 100 * face.width, face.mouth)
        return warp_pictures(pictures, move(name, value, face))
    if name == "brightness":
        return _levels(pictures, 1, value)
    if name == "contrast":
        return _levels(pictures, value, 127.5 * (1 - value))
    if name == "noise":
        return _noise(pictures, value, seed)
    if name == "recompression":
        return _recompress(pictures, value)
    if name == "frame_drop":
        return pictures[dropped(len(pictures), value, seed)]
    raise StressError(f"{name} does not act on frames")


def dropped(count: int, percent: float, seed: int) -> NDArray[np.intp]:
    """Which of ``count`` frames is shown at each moment when ``percent`` of them are replaced by the one before."""
    shown = np.arange(count)
    lost = np.random.default_rng(seed).permutation(np.arange(1, count))[: round(percent / 100 * count)]
    shown[lost] = 0
    return np.maximum.accumulate(shown)


def warp_pictures(pictures: Pictures, transform: Float64) -> Pictures:
    """Pictures moved by a ``(2, 3)`` transform, pixels -> pixels; borders are repeated."""
    size = pictures.shape[2], pictures.shape[1]
    out = np.empty_like(pictures)
    for picture, moved in zip(pictures, out, strict=True):
        cv2.warpAffine(picture, transform, size, moved, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
    return out


def _levels(pictures: Pictures, gain: float, plus: float) -> Pictures:
    table = np.round(gain * np.arange(256) + plus).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(pictures.reshape(len(pictures), -1), table), np.uint8).reshape(pictures.shape)


def _blur(pictures: Pictures, sigma: float) -> Pictures:
    out = np.empty_like(pictures)
    for picture, blurred in zip(pictures, out, strict=True):
        cv2.GaussianBlur(picture, (0, 0), sigma, blurred, borderType=cv2.BORDER_REPLICATE)
    return out


def _noise(pictures: Pictures, std: float, seed: int) -> Pictures:
    random = np.random.default_rng(seed)
    out = np.empty_like(pictures)
    for picture, noisy in zip(pictures, out, strict=True):
        noise = random.standard_normal(picture.shape, np.float32)
        noise *= std
        cv2.add(picture, noise, noisy, dtype=cv2.CV_8U)  # rounds and saturates
    return out


def _cover(pictures: Pictures, side: float, mouth: Float64) -> Pictures:
    corners = np.round(np.stack([mouth - side / 2, mouth + side / 2], axis=1)).astype(int).clip(0)
    out = pictures.copy()
    for picture, ((left, top), (right, bottom)) in zip(out, corners, strict=True):
        picture[top:bottom, left:right] = _GREY
    return out


def _recompress(pictures: Pictures, crf: float) -> Pictures:
    """Through x264 and back, in memory, as :func:`tfg.write_clip` encodes."""
    height, width = pictures.shape[1:3]
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = width + width % 2, height + height % 2
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", Fraction(25), Fraction(1, 25)
    encoder.options = {"crf": str(crf), "threads": "1"}
    decoder: Any = av.CodecContext.create("h264", "r")
    out = np.empty_like(pictures)
    done = 0

    def take(packets: list[Any]) -> None:
        nonlocal done
        for packet in packets:
            for frame in decoder.decode(packet):
                rgb = frame.reformat(format="rgb24", src_colorspace="ITU601", src_color_range="MPEG").to_ndarray()
                rgb = rgb[:height, :width]
                out[done] = rgb if out.ndim == 4 else cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
                done += 1

    for index, picture in enumerate(pictures):
        rgb = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
        rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")
        frame.pts = index
        take(encoder.encode(frame))
    take([*encoder.encode(None), None])  # None: the decoder gives up the pictures that it still holds
    assert done == len(pictures)
    return out
