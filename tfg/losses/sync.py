"""What every sync loss has in common: how windows are given, and how a cosine becomes a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tfg.clip import VideoSource
from tfg.errors import LossError
from tfg.faces import FaceTrack

#: Cosines below this give no gradient: ``-log`` has the slope ``1 / CS`` there, over a hundred times the usual one.
FLOOR = 0.01
_SLACK = 0.01  # by which generated faces may leave [0, 1] before they are taken for another range


class Target(Protocol):
    """A prepared clip."""

    @property
    def source(self) -> str: ...
    @property
    def device(self) -> torch.device: ...
    def __len__(self) -> int: ...


AnyTarget = TypeVar("AnyTarget", bound=Target)


class SyncValue(NamedTuple):
    """A sync loss and what to log beside it."""

    loss: Tensor  #: scalar, with its gradient; nats, from 0 to ``-log(floor)``
    cosine: Tensor  #: ``(N, W)`` in [-1, 1], the cosine of each window, before the clamp, without gradient
    clamped: Tensor  #: scalar in [0, 1]: the share of windows whose cosine lay below the floor, which teach nothing


@dataclass(frozen=True, eq=False)
class Windows:
    """Checked arguments of a sync loss: N copies of clips, W generated windows of k frames in each.

    ``faces``: ``(N * W * k, 3, S, S)``. ``copies``, ``frames``: for each of these, the copy and the frame (of the
    track) that it replaces.
    """

    faces: Tensor
    copies: list[int]
    frames: list[int]
    shape: tuple[int, int, int]  # N, W, k


class SyncLoss(ABC, Generic[AnyTarget]):
    """``-log`` of how much generated lips agree, by an expert, with what they should agree with.

    A sync loss holds no parameters to train. It is no `torch.nn.Module`, so that the expert stays out of the
    generator's ``parameters()``, ``state_dict()`` and ``train()``; it runs on the expert's device.

    :ivar name: what is compared, for logs.
    :ivar prepares: what :meth:`prepare` depends on: targets are exchangeable where it is the same.
    :param floor: the cosine is clamped to at least this before the logarithm, which does not exist at 0 and below.
        A clamped window has the loss ``-log(floor)`` and **no gradient**: watch :attr:`SyncValue.clamped`.
    :raises LossError: a floor outside (0, 1).
    """

    name: str
    prepares: str

    def __init__(self, floor: float = FLOOR) -> None:
        if not 0 < floor < 1:
            raise LossError(f"floor is {floor}; expected a cosine between 0 and 1, such as {FLOOR}")
        self.floor = floor

    @abstractmethod
    def prepare(
        self, clip: VideoSource, track: FaceTrack | None = None, boxes: NDArray[np.floating] | None = None
    ) -> AnyTarget:
        """Compute all that generated faces do not change, once per clip.

        :param clip: the target clip, with the sound that its lips should follow.
        :param track: the face; by default the most prominent speaking one.
        :param boxes: ``(T, 4)``, where the generator's square lies in each frame of the track: x0, y0, x1, y1 in
            pixel areas. By default :func:`tfg.crops.generator_boxes`.
        :returns: the target, on the expert's device; ``.to("cpu")`` keeps many of them out of a GPU's memory. Frames
            of it are counted from ``track.start``.
        :raises NoFaceError: no face in the clip.
        :raises LossError: the track is too long or too short, or the boxes do not fit.
        """

    @abstractmethod
    def cosines(self, windows: Windows, targets: Sequence[AnyTarget]) -> Tensor:
        """One cosine per window, ``(N, W)``, with its gradient to the faces."""

    def __call__(
        self, generated: Tensor, target: AnyTarget | Sequence[AnyTarget], starts: Tensor | Sequence[object]
    ) -> SyncValue:
        """The mean loss of generated windows.

        :param generated: ``(N, k, 3, S, S)`` RGB faces in [0, 1], one window of k frames in each of N copies of a
            clip; or ``(N, W, k, 3, S, S)``, W windows inserted *together* into each copy, which costs little more
            than one (and is closer to a video that is generated from end to end).
        :param target: of :meth:`prepare`: one for all copies, or a sequence of N. Clips may differ in length and
            size.
        :param starts: ``(N,)`` or ``(N, W)``: the frame of the track at which each window begins. Windows of one
            copy must not overlap.
        :returns: :class:`SyncValue`.
        :raises LossError: shapes, ranges, devices or starts that do not fit.
        """
        count = len(generated)
        targets = list(target) if isinstance(target, Sequence) else [target] * count
        windows = check_windows(generated, starts, targets)
        cosine = self.cosines(windows, targets)
        loss = -cosine.clamp_min(self.floor).log().mean()
        return SyncValue(loss, cosine.detach(), (cosine.detach() < self.floor).to(cosine.dtype).mean())


def check_windows(generated: Tensor, starts: Tensor | Sequence[object], targets: Sequence[Target]) -> Windows:
    """The arguments of :meth:`SyncLoss.__call__` in one form.

    :raises LossError: see there.
    """
    faces = generated[:, None] if generated.ndim == 5 else generated
    if faces.ndim != 6 or faces.shape[3] != 3 or faces.shape[4] != faces.shape[5] or 0 in faces.shape:
        raise LossError(
            f"generated faces are {tuple(generated.shape)}; expected (N, k, 3, S, S), or (N, W, k, 3, S, S) for "
            "several windows in each clip"
        )
    if not faces.is_floating_point():
        raise LossError(f"generated faces are {faces.dtype}; expected floating point in [0, 1]")
    low, high = float(faces.detach().min()), float(faces.detach().max())
    if not (low >= -_SLACK and high <= 1 + _SLACK):  # NaN fails too
        raise LossError(
            f"generated faces hold values from {low:g} to {high:g}; expected RGB in [0, 1]: end the generator with a "
            "sigmoid, or map [-1, 1] by (x + 1) / 2"
        )
    n, w, k = faces.shape[:3]
    if len(targets) != n:
        raise LossError(f"there are {len(targets)} targets for {n} generated clips; expected one for all, or {n}")
    begin = torch.as_tensor(starts).cpu()
    if begin.is_floating_point() or tuple(begin.shape) not in {(n,) if w == 1 else (n, w), (n, w)}:
        raise LossError(f"starts are {begin.dtype} {tuple(begin.shape)}; expected integers ({n},) or ({n}, {w})")
    copies: list[int] = []
    frames: list[int] = []
    for copy, (row, target) in enumerate(zip(begin.reshape(n, w).tolist(), targets, strict=True)):
        if target.device != faces.device:
            raise LossError(
                f"the target of {target.source} is on {target.device}, the generated faces are on {faces.device}: "
                "use target.to(device)"
            )
        if min(row) < 0 or max(row) + k > len(target):
            raise LossError(
                f"windows of {k} frames begin at {row} in {target.source}, whose track has {len(target)} frames; "
                f"expected starts from 0 to {len(target) - k}"
            )
        ordered = sorted(row)
        if any(later - earlier < k for earlier, later in pairwise(ordered)):
            raise LossError(
                f"windows of {k} frames that begin at {row} in {target.source} overlap, so a frame would be generated "
                "twice: draw starts at least k apart, or give each window its own copy, (N, k, 3, S, S)"
            )
        for start in row:
            copies += [copy] * k
            frames += range(start, start + k)
    return Windows(faces.flatten(0, 2), copies, frames, (n, w, k))
