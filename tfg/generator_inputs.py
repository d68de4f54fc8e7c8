"""What a generator is given for a frame: the sound around it, an identity reference, and a pose reference.

================================  ===================  ==============================================================
input                             shape                what it is
================================  ===================  ==============================================================
``audio``                         ``(N, 1, 80, 16)``   0.2 s of :func:`tfg.audio.log_mel` (:func:`mel_windows`)
``identity_reference``            ``(N, 3, S, S)``     the face at another moment: who speaks, and how teeth look;
                                                       moved to where the head is now (:mod:`tfg.identity`)
``pose_reference``                ``(N, 3, S, S)``     the face to be changed; its lower half is hidden
                                                       (:func:`mask_lower_half`): where the head is, and the light
================================  ===================  ==============================================================

Faces are RGB in [0, 1], cut by :func:`tfg.crops.face_crops` at the boxes that the generator asks for. The masking
happens inside the generators, so that no caller can forget it. Two things must not tell the generator which lips to
draw: the pose reference, hence the mask; and the identity reference, hence another moment than the target's
(:func:`draw_identity_frames` in training, :func:`steady_identity_frames` afterwards). Wav2Lip's inference gives the
target frame itself as reference: silence then copies the lips that were there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tfg.audio import log_mel
from tfg.clip import Frames, VideoSource
from tfg.crops import face_crops
from tfg.errors import FeatureError
from tfg.experts.lip_expert import BANDS, COLUMNS
from tfg.faces import FaceTrack
from tfg.identity import margin_of, moved, points_in_square, reference_moves, wide_boxes, wide_size
from tfg.warps import Float64

SILENCE = -4.0  # the floor of log_mel
IDENTITY_GAP = 10  # frames (0.4 s, about two syllables) to either side of a target that are never its reference

Float = NDArray[np.float32]
Integers = NDArray[np.int64]


class FaceGenerator(Protocol):
    """What dubbing and losses ask of a generator: met by :class:`tfg.generator.Generator` and by
    :class:`tfg.wav2lip.Wav2LipGenerator`.

    ``image_size``: side ``S`` of its faces. ``audio_start``: where its sound begins, in video frames relative to the
    frame it draws (:func:`mel_windows`). ``mouth_row``: at which share of its squares' height mouths lay in training,
    or None where that varied. ``boxes``: where its squares lie, ``(T, 4)`` in the frames of a track.
    """

    @property
    def image_size(self) -> int: ...
    @property
    def audio_start(self) -> int: ...
    @property
    def mouth_row(self) -> float | None: ...
    def boxes(self, track: FaceTrack) -> NDArray[np.float64]: ...
    def __call__(self, audio: Tensor, identity_reference: Tensor, pose_reference: Tensor) -> Tensor: ...


class GeneratorInputs(NamedTuple):
    """In the order in which a generator takes them: ``generator(*inputs)``."""

    audio: Tensor
    identity_reference: Tensor
    pose_reference: Tensor


# ---- faces --------------------------------------------------------------------------------------------------------


def mask_lower_half(faces: Tensor) -> Tensor:
    """Hide what the generator has to draw: rows ``S // 2`` and below become 0 (black), as in Wav2Lip.

    :param faces: ``(..., S, S)``.
    :returns: the same shape. The lower half is cut off, not multiplied by zero, so not even a NaN comes through, and
        no gradient goes back to it.
    """
    size = faces.shape[-2]
    return F.pad(faces[..., : size // 2, :], (0, 0, 0, size - size // 2))


def faces_to_tensor(crops: Frames, device: torch.device | str = "cpu") -> Tensor:
    """``uint8 (N, S, S, 3)`` RGB -> ``float32 (N, 3, S, S)`` in [0, 1] (stored channels-last, as it came).

    :param device: the bytes go there first, a quarter of what the numbers would be.

    :raises FeatureError: another type or shape.
    """
    if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3:
        raise FeatureError(f"face crops are {crops.dtype} {crops.shape}; expected uint8 (N, S, S, 3), RGB")
    return torch.from_numpy(np.ascontiguousarray(crops)).to(device).permute(0, 3, 1, 2) / 255


def tensor_to_faces(faces: Tensor) -> Frames:
    """``(N, 3, S, S)`` in [0, 1] -> ``uint8 (N, S, S, 3)`` RGB, rounded."""
    levels = (faces.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def check_generator_inputs(audio: Tensor, identity_reference: Tensor, pose_reference: Tensor, size: int) -> None:
    """Raise :class:`FeatureError` unless the three fit each other and a generator of ``size`` pixels."""
    face = (len(audio), 3, size, size)
    shapes = [tuple(part.shape) for part in (audio, identity_reference, pose_reference)]
    if shapes != [(len(audio), 1, BANDS, COLUMNS), face, face]:
        raise FeatureError(
            f"audio is {shapes[0]}, identity_reference {shapes[1]}, pose_reference {shapes[2]}; expected "
            f"(N, 1, {BANDS}, {COLUMNS}), (N, 3, {size}, {size}) and (N, 3, {size}, {size}): RGB in [0, 1], see "
            "tfg.generator_inputs"
        )


# ---- sound --------------------------------------------------------------------------------------------------------


def mel_windows(mel: Float, frames: Iterable[float], start: int) -> Tensor:
    """The sound around video frames: 16 columns of log-mel (0.2 s, the time of five frames) for each.

    :param mel: ``(80, M)``, :func:`tfg.audio.log_mel` of a whole clip.
    :param frames: numbers of the clip's frames, any order. Between two frames lie fractions: a picture whose middle is
        at ``m`` seconds, at whatever rate, is frame ``25 m - 0.5``.
    :param start: where the window begins, in frames relative to its own. -2 puts the middle of the window on the
        middle of the frame; 0 begins with the frame, as Wav2Lip's inference does (its training begins one earlier).
    :returns: ``float32 (N, 1, 80, 16)``: columns ``c .. c + 15`` with ``c = floor(80 (i + start) / 25)`` for frame
        ``i``. Before and after the clip there is silence (-4).
    :raises FeatureError: another shape.

    Wav2Lip ends a clip otherwise: its last five frames all hear the last 16 columns.
    """
    mel = np.asarray(mel, dtype=np.float32)
    if mel.ndim != 2 or len(mel) != BANDS or mel.shape[1] < 1:
        raise FeatureError(f"mel has shape {mel.shape}; expected ({BANDS}, M) from tfg.audio.log_mel")
    places = (np.fromiter(frames, np.float64) + start) * 16 / 5  # 80 columns over 25 frames
    first = np.floor(np.round(places, 6)).astype(np.int64)  # rounded: 4.999999999 is column 5
    columns = first[:, None] + np.arange(COLUMNS)
    heard = (columns >= 0) & (columns < mel.shape[1])
    windows = np.where(heard[:, None], mel[:, columns.clip(0, mel.shape[1] - 1)].transpose(1, 0, 2), SILENCE)
    return torch.from_numpy(windows.astype(np.float32))[:, None]


# ---- which frame serves as identity reference -----------------------------------------------------------------------


def draw_identity_frames(
    starts: Integers, length: int, n_frames: int, random: np.random.Generator, gap: int = IDENTITY_GAP
) -> Integers:
    """For training: one frame of the same clip for each target window, drawn evenly from those far enough from it.

    :param starts: ``(N,)``, first frame of each target window.
    :param length: frames of a window.
    :param n_frames: of the clip.
    :param random: seeded by the caller.
    :param gap: frames to either side of the window that are left out as well.
    :returns: ``int64 (N,)``, each more than ``gap`` frames from every frame of its window.
    :raises FeatureError: a window that leaves the clip, or a clip too short to have such a frame.
    """
    starts = np.asarray(starts, np.int64)
    if length < 1 or gap < 0 or (len(starts) and not 0 <= starts.min() <= starts.max() <= n_frames - length):
        raise FeatureError(
            f"windows of {length} frames begin at {starts.min()} to {starts.max()} with a gap of {gap}; expected them "
            f"inside the clip of {n_frames} frames, and a gap of 0 or more"
        )
    before = np.maximum(starts - gap, 0)
    resume = starts + length + gap
    allowed = before + np.maximum(n_frames - resume, 0)
    if (allowed == 0).any():
        raise _too_short(n_frames, f"{length} target frames and {gap} to either side")
    drawn = random.integers(allowed)
    return np.where(drawn < before, drawn, resume + drawn - before)


def steady_identity_frames(rank: NDArray[np.floating], gap: int = IDENTITY_GAP) -> Integers:
    """For use: one reference for the whole clip, and a second one near the first, which may not serve itself.

    A reference that changes from frame to frame would flicker; this one changes twice.

    :param rank: ``(T,)``, lower is better: ``track.mouth_opening`` takes a closed mouth.
    :returns: ``int64 (T,)``: for each frame its reference, more than ``gap`` frames away. The first is the best frame
        that leaves room for a second.
    :raises FeatureError: no two frames are far enough apart.
    """
    rank = np.asarray(rank, np.float64)
    frames = np.arange(len(rank))
    # the first must leave room for the second
    paired = (frames > 2 * gap) | (frames < len(rank) - 1 - 2 * gap)
    if not paired.any():
        raise _too_short(len(rank), f"two references that are {2 * gap + 1} frames apart")
    best = int(frames[paired][np.argmin(rank[paired])])
    far = np.abs(frames - best) > 2 * gap
    second = int(frames[far][np.argmin(rank[far])])
    return np.where(np.abs(frames - best) > gap, best, second)


def _too_short(n_frames: int, needed: str) -> FeatureError:
    return FeatureError(
        f"{n_frames} frames leave no room for {needed}: take a longer clip or a smaller gap; of a still picture, give "
        "the picture itself as both references"
    )


# ---- a clip -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ClipInputs:
    """A clip as a generator reads it. Frames are counted from the start of the face track.

    ``wide``: ``uint8 (T, W, W, 3)`` RGB, the squares with a margin (:func:`tfg.identity.wide_size`). ``points``:
    ``float64 (T, 68, 2)``, the landmarks in pixels of the square. ``mel``: ``float32 (80, M)`` of the whole clip's
    sound, so that windows at the track's ends hear what is beyond. ``first``: the clip's frame with which the track
    begins. ``size``: side ``S`` of the square.
    """

    wide: Frames
    points: Float64
    mel: Float
    first: int
    size: int

    @classmethod
    def of(
        cls, video: VideoSource, track: FaceTrack, generator: FaceGenerator, boxes: Float64 | None = None
    ) -> ClipInputs:
        """Crop the faces as this generator wants them and analyse the sound.

        :param boxes: ``(T, 4)``, by default the generator's own for this track.
        :raises CropError: the track is not from this video.
        :raises FeatureError: a clip of less than 25 ms.
        """
        size, boxes = generator.image_size, generator.boxes(track) if boxes is None else boxes
        wide = face_crops(video, track, wide_boxes(boxes, size), wide_size(size))
        return cls(wide, points_in_square(track, boxes, size), log_mel(video.audio), track.start, size)

    def __len__(self) -> int:
        return len(self.wide)

    @property
    def faces(self) -> Frames:
        """The squares, ``uint8 (T, S, S, 3)`` RGB."""
        inner = slice(margin_of(self.size), margin_of(self.size) + self.size)
        return self.wide[:, inner, inner]

    def identity(self, frames: Integers, identity_frames: Integers) -> Frames:
        """Identity references for ``frames``, ``uint8 (N, S, S, 3)``: the faces of ``identity_frames``, each with its
        head where it is in the frame to be drawn (:mod:`tfg.identity`)."""
        moves = reference_moves(self.points[identity_frames], self.points[frames], self.size)
        return np.stack([moved(self.wide[i], move, self.size) for i, move in zip(identity_frames, moves, strict=True)])

    def inputs(
        self, frames: Integers, identity_frames: Integers, audio_start: int, device: torch.device | str = "cpu"
    ) -> GeneratorInputs:
        """What ``generator(*inputs)`` takes to draw ``frames``.

        :param identity_frames: same length, from one of the functions above.
        :param audio_start: that of the generator.
        """
        return GeneratorInputs(
            mel_windows(self.mel, np.asarray(frames) + self.first, audio_start).to(device),
            faces_to_tensor(self.identity(frames, identity_frames), device),
            faces_to_tensor(self.faces[frames], device),
        )
