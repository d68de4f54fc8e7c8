"""What is compared of two pictures, and the image metrics of one clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tfg.clip import FPS, Frames, VideoSource
from tfg.crops import box_transforms, generator_boxes
from tfg.errors import MetricError
from tfg.evaluation.wrong_time import frames_between
from tfg.faces import FaceTrack
from tfg.metrics.identity import identity_similarity
from tfg.metrics.image import psnr, ssim
from tfg.metrics.landmarks import landmark_distance
from tfg.warps import warp

Region = Literal["face", "frame"]

FACE_SIZE = 256  # pixels of the face region's side
FID_FRAMES = 50  # of each clip, evenly spaced: neighbouring frames are almost one picture
IDENTITY_EVERY = int(FPS)  # frames between those whose embeddings are compared
ELSEWHERE = 0.1  # eye distances (about 6 mm) by which a head is displaced when pixels at one place show another part

REGIONS = {
    "face": "the square that eyes and nose of the real video's face place (hairline to below the chin), in both "
    f"videos, resized to {FACE_SIZE} x {FACE_SIZE}",
    "frame": "whole frames at their own size",
}
PROTOCOLS = {
    "ssim": "mean over frames of SSIM (Gaussian window of 11, mean of RGB)",
    "psnr": "mean over frames of PSNR in dB",
    "fid": f"Inception v3 of 2015, {FID_FRAMES} frames of each clip, all clips of a row against all real ones",
    "lmd": "mean distance of the 20 mouth landmarks, mean points laid on each other, in distances between the outer "
    "eye corners",
    "identity": f"mean cosine of dlib's face embeddings, every {IDENTITY_EVERY} frames",
}

Cut = Callable[[int, Frames], Frames]


def compare_pictures(
    video: VideoSource, track: FaceTrack, reference: VideoSource, real_track: FaceTrack, region: Region
) -> dict[str, float]:
    """Image metrics of one clip against its real video, frame ``i`` against frame ``i``, up to the end of the shorter.

    :param track: of the face in ``video``; ``real_track``: in ``reference``.
    :returns: ``ssim``, ``psnr``, ``lmd_mouth``, ``lmd_face``, ``identity``: means over frames; ``place``: how far the
        head is from the real one, in eye distances.
    :raises MetricError: frames of different sizes, or no frame in common.
    """
    size, expected = (video.width, video.height), (reference.width, reference.height)
    if size != expected:
        raise MetricError(
            f"{video.source or 'the clip'} is {size[0]} x {size[1]}, {reference.source or 'its reference'} "
            f"{expected[0]} x {expected[1]}; expected one size: write the generated video at the size of the reference"
        )
    landmarks = landmark_distance(track, real_track)
    first, stop, cut = _region(reference, real_track, region)
    stop = min(stop, video.n_frames)
    if first >= stop:
        raise MetricError(f"{video.source or 'the clip'} ends at frame {stop}, before the face appears at {first}")
    quality: dict[str, list[NDArray[np.float64]]] = {"ssim": [], "psnr": []}
    alike: list[float] = []
    for begin, made, real in _pairs(video, reference, min(first, landmarks.start), max(stop, landmarks.stop)):
        numbers = range(begin, begin + len(made))
        wanted = [i for i, number in enumerate(numbers) if first <= number < stop]
        if wanted:
            faces = [np.stack([cut(numbers[i], frames[i]) for i in wanted]) for frames in (made, real)]
            quality["ssim"].append(ssim(faces[0], faces[1]))
            quality["psnr"].append(psnr(faces[0], faces[1]))
        for i, number in enumerate(numbers):
            if landmarks.start <= number < landmarks.stop and (number - landmarks.start) % IDENTITY_EVERY == 0:
                sides = (made[i : i + 1], _at(track, number), real[i : i + 1], _at(real_track, number))
                alike.append(float(identity_similarity(*sides)[0]))
    return {
        **{name: float(np.concatenate(values).mean()) for name, values in quality.items()},
        "lmd_mouth": float(landmarks.mouth.mean()),
        "lmd_face": float(landmarks.face.mean()),
        "place": float(landmarks.place.mean()),
        "identity": float(np.mean(alike)),
    }


def fid_pictures(video: VideoSource, reference: VideoSource, real_track: FaceTrack, region: Region) -> Frames:
    """The pictures of one clip that go into FID: at most 50 of its region, evenly spaced, ``uint8 (n, H, W, 3)``."""
    first, stop, cut = _region(reference, real_track, region)
    stop = min(stop, video.n_frames)
    chosen = np.unique(np.linspace(first, stop - 1, min(FID_FRAMES, stop - first)).round().astype(int))
    pictures, begin = [], 0
    for block in video.blocks():
        pictures += [cut(i, block[i - begin]) for i in chosen.tolist() if begin <= i < begin + len(block)]
        begin += len(block)
    return np.stack(pictures)


def _region(reference: VideoSource, track: FaceTrack, region: Region) -> tuple[int, int, Cut]:
    """The first frame compared, one after the last, and what is cut from frame number ``i``."""
    if region == "frame":
        return 0, reference.n_frames, lambda i, frame: frame
    transforms = box_transforms(generator_boxes(track), FACE_SIZE)

    def cut(i: int, frame: Frames) -> Frames:
        return np.round(warp(frame, transforms[i - track.start], FACE_SIZE)).astype(np.uint8)

    return track.start, track.stop, cut


def _pairs(a: VideoSource, b: VideoSource, first: int, stop: int) -> Iterator[tuple[int, Frames, Frames]]:
    """Blocks of the frames that both videos have between two numbers: number of the first, and both blocks."""
    stop = min(stop, a.n_frames, b.n_frames)
    sides = [(frame for block in frames_between(video, first, stop) for frame in block) for video in (a, b)]
    for begin in range(first, stop, 16):
        size = min(16, stop - begin)
        yield begin, *(np.stack([next(side) for _ in range(size)]) for side in sides)  # type: ignore[misc]


def _at(track: FaceTrack, number: int) -> NDArray[np.float32]:
    return track.landmarks[number - track.start][None]
