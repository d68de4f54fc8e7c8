"""Generated faces inserted into a clip's frames, as in Figure 3 of the paper.

Two ways to the same crop of the composed frame:

* :func:`paste_faces` composes whole frames, which can then be cropped like any others. This is the definition;
* :class:`Insertion` goes straight to the crop. A bilinear crop reads four frame pixels per crop pixel, each of which
  is either the clip's own or, inside the face's box, a bilinear reading of the generated face. Both parts are linear:
  the clip's part is computed once, the face's part at each call. No frame is kept, whatever the video's resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tfg.clip import VideoSource
from tfg.crops import RGB_TO_GREY, track_frames
from tfg.errors import LossError
from tfg.faces import FaceTrack
from tfg.warps import inverse_2x2, warp_frames_torch

_BLOCK = 16  # frames in floating point at once while a clip is prepared


def to_grey(images: Tensor) -> Tensor:
    """RGB ``(M, 3, H, W)`` -> grey ``(M, 1, H, W)``, with the weights that AV-HuBERT's crop uses."""
    weights = torch.tensor(RGB_TO_GREY, dtype=images.dtype, device=images.device)
    return (images * weights[:, None, None]).sum(dim=1, keepdim=True)


def paste_faces(frames: Tensor, faces: Tensor, boxes: Tensor) -> Tensor:
    """Replace the face's box in each frame by a face stretched to it, with a hard edge; differentiable.

    :param frames: ``(M, 3, H, W)`` RGB in [0, 1].
    :param faces: ``(M, 3, S, S)`` RGB in [0, 1].
    :param boxes: ``(M, 4)``: x0, y0, x1, y1 of each box in pixel areas (:func:`tfg.crops.wav2lip_boxes`); it may leave
        the frame.
    :returns: ``(M, 3, H, W)``. A pixel belongs to the box when its centre does; its value is read bilinearly from the
        face, whose outer half pixel is held constant, as `cv2.resize` reads.
    :raises LossError: shapes that do not fit.
    """
    if (
        frames.ndim != 4
        or faces.ndim != 4
        or len({len(frames), len(faces), len(boxes)}) != 1
        or boxes.shape[1:] != (4,)
    ):
        raise LossError(
            f"frames are {tuple(frames.shape)}, faces {tuple(faces.shape)}, boxes {tuple(boxes.shape)}; expected "
            "(M, 3, H, W), (M, 3, S, S) and (M, 4)"
        )
    height, width = frames.shape[2:]
    boxes = boxes.to(frames.device, torch.float64)
    first, extent = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
    columns = torch.arange(width, dtype=torch.float64, device=frames.device) + 0.5
    rows = torch.arange(height, dtype=torch.float64, device=frames.device) + 0.5
    x = (columns - first[..., 0]) / extent[..., 0]  # (M, W): 0 and 1 at the box's edges
    y = (rows - first[..., 1]) / extent[..., 1]
    inside = ((y >= 0) & (y < 1))[:, None, :, None] & ((x >= 0) & (x < 1))[:, None, None, :]
    grid = torch.stack([x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], dim=-1)
    return torch.where(inside, _read(faces, grid), frames)


def _read(faces: Tensor, places: Tensor) -> Tensor:
    """Bilinear values of ``faces (M, C, S, S)`` at ``places (M, h, w, 2)``: x, y from 0 to 1 across the square."""
    grid = (2 * places - 1).to(faces.dtype)
    return F.grid_sample(faces, grid, mode="bilinear", padding_mode="border", align_corners=False)


@dataclass(frozen=True, eq=False)
class Insertion:
    """The crops of a clip (mouths, or a SyncNet's faces) into which faces can be inserted afterwards.

    ``around``: ``(T, C, P, P)`` the crops in [0, 1], with the face's box taken out of the frames (0 there).
    ``transforms``: ``float64 (T, 2, 3)``, frame pixels -> crop pixels.
    ``boxes``: ``float64 (T, 4)``, where the generator's square lies in each frame: x0, y0, x1, y1 in pixel areas.
    ``pixels``: ``float64 (T, 4)``, the first and the last frame pixel of that box, cut to the frame.
    """

    around: Tensor
    transforms: Tensor
    boxes: Tensor
    pixels: Tensor

    @classmethod
    def of(
        cls, video: VideoSource, track: FaceTrack, boxes: NDArray[np.floating], transforms: NDArray[np.floating],
        size: int, reference: Tensor, grey: bool = False, outside: float = 0.0,
    ) -> tuple[Insertion, Tensor]:  # fmt: skip
        """Prepare a clip, a few frames in memory at a time.

        :param boxes: ``(T, 4)``, one per frame of the track.
        :param transforms: ``(T, 2, 3)``, frame pixels -> crop pixels.
        :param size: side ``P`` of the crop.
        :param reference: gives device and type.
        :param grey: one channel instead of three.
        :param outside: value beyond the frame's edge, in [0, 1].
        :returns: the insertion, and the clip's own crops ``(T, C, P, P)``.
        :raises LossError: boxes of another shape, or empty ones.
        :raises CropError: the track is not from this video.
        """
        boxes = check_boxes(boxes, len(track))
        first = np.maximum(np.ceil(boxes[:, :2] - 0.5), 0)  # a pixel's centre, p + 0.5, is in [x0, x1)
        last = np.minimum(np.ceil(boxes[:, 2:] - 0.5), (video.width, video.height)) - 1
        pixels = np.concatenate([first, last], axis=1)
        moves = torch.from_numpy(np.asarray(transforms, np.float64)).to(reference.device)
        around: list[Tensor] = []
        whole: list[Tensor] = []
        frames = (frame for _, frame in track_frames(video, track))
        for begin in range(0, len(track), _BLOCK):
            block = np.stack(list(islice(frames, _BLOCK)))
            kept = np.ones((*block.shape[:3], 1), np.float64)
            for mask, (x0, y0, x1, y1) in zip(kept, pixels[begin:].astype(int), strict=False):
                mask[y0 : max(y1 + 1, 0), x0 : max(x1 + 1, 0)] = 0  # a box may lie beside the frame
            images = torch.from_numpy(block).to(reference).permute(0, 3, 1, 2) / 255
            images = to_grey(images) if grey else images
            mask = torch.from_numpy(kept).to(reference).permute(0, 3, 1, 2)
            here = moves[begin : begin + _BLOCK]
            for crops, source in ((around, images * mask), (whole, images)):
                crops.append(warp_frames_torch(source - outside, here, size) + outside)
        insertion = cls(
            torch.cat(around),
            moves,
            torch.from_numpy(boxes).to(moves.device),
            torch.from_numpy(pixels).to(moves.device),
        )
        return insertion, torch.cat(whole)

    def __len__(self) -> int:
        return len(self.around)

    def to(self, device: torch.device | str) -> Insertion:
        """The same on another device."""
        return replace(self, **{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def rows(self, frames: list[int]) -> Insertion:
        """Some of the frames, in any order and as often as asked for."""
        index = torch.tensor(frames, device=self.around.device)
        return replace(self, **{field.name: getattr(self, field.name)[index] for field in fields(self)})

    @classmethod
    def join(cls, parts: Sequence[Insertion]) -> Insertion:
        """Several, one after the other; they may come from clips of different sizes."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def insert(self, faces: Tensor) -> Tensor:
        """The crops of the composed frames, equal to pasting the faces and cropping; differentiable.

        :param faces: ``(T, C, S, S)`` in [0, 1], one per frame of this insertion (:meth:`rows` selects them).
        :returns: ``(T, C, P, P)``.
        """
        size, dtype = self.around.shape[-1], self.around.dtype
        axis = torch.arange(size, dtype=self.transforms.dtype, device=faces.device)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        points = torch.stack([x, y], dim=-1).reshape(1, -1, 2) - self.transforms[:, None, :, 2]
        points = points @ inverse_2x2(self.transforms[:, :, :2]).transpose(1, 2)  # (T, P * P, 2) in the frame
        # from here on relative to the box: numbers are small, so single precision is enough where the crops are single
        boxes = self.boxes[:, None]
        first = points.floor()
        part = (points - first).to(dtype)
        corner = (first + 0.5 - boxes[..., :2]).to(dtype)  # from the box's corner to the pixel's centre
        step = torch.tensor([(0, 0), (1, 0), (0, 1), (1, 1)], dtype=dtype, device=faces.device)
        taps = corner[:, :, None] + step  # (T, P * P, 4, 2): the four frame pixels around each point
        weights = torch.where(step == 1, part[:, :, None], 1 - part[:, :, None]).prod(dim=-1)
        shift = boxes[..., :2] - 0.5
        low, high = ((bound - shift).to(dtype)[:, None] for bound in self.pixels[:, None].split(2, dim=-1))
        near = 0.25  # pixels are whole numbers apart: no rounding turns one into its neighbour
        weights = weights * ((taps >= low - near) & (taps <= high + near)).all(dim=-1)
        extent = (boxes[..., 2:] - boxes[..., :2]).to(dtype)
        read = _read(faces, taps / extent[:, None])  # (T, C, P * P, 4)
        inserted = (read * weights[:, None].to(read.dtype)).sum(dim=-1)
        return self.around + inserted.reshape(self.around.shape)


def check_boxes(given: NDArray[np.floating], frames: int) -> NDArray[np.float64]:
    """``float64 (T, 4)``, or :class:`LossError` when the boxes are none."""
    boxes: NDArray[np.float64] = np.asarray(given, np.float64)
    if boxes.shape != (frames, 4):
        raise LossError(
            f"boxes are {boxes.shape} for a track of {frames} frames; expected ({frames}, 4): x0, y0, x1, y1"
        )
    empty = np.flatnonzero(~((boxes[:, 2:] > boxes[:, :2]).all(axis=1) & np.isfinite(boxes).all(axis=1)))
    if len(empty):
        found = boxes[empty[0]].tolist()
        raise LossError(f"the box of frame {empty[0]} is {found}; expected finite x0 < x1 and y0 < y1")
    return boxes
