"""HDTF: television addresses in high definition, distributed as lists of addresses, times and boxes.

Zhang, Li, Ding, Fan, *Flow-Guided One-Shot Talking Face Generation with a High-Resolution Audio-Visual Dataset*,
CVPR 2021; https://github.com/MRzzm/HDTF. Readers download the videos themselves. Layout::

    <root>/HDTF_dataset/RD_video_url.txt        Radio11 https://www.youtube.com/watch?v=XtySvTwIOfw
    <root>/HDTF_dataset/RD_annotion_time.txt    Radio11.mp4 00:30-01:00 01:30-02:30      (the file is spelt like this)
    <root>/HDTF_dataset/RD_crop_wh.txt          Radio11_0.mp4 412 599 0 599              left, width, top, height
    <root>/HDTF_dataset/RD_resolution.txt       Radio11.mp4 720                          height that the box is for
    <root>/videos/RD_Radio11.mp4                what was downloaded (any container)

and the same for ``WDA`` and ``WRA``. A clip is cut by its times, cropped by its box and scaled to 512 x 512, as the
authors say. The box is scaled when the download is higher or lower than the video that it was drawn on. The lists are
not complete (clips without a box, a height of 0, a box larger than its video): such clips stay listed, and reading
them says what is wrong. There is no official split into training and test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np

from tfg.clip import FPS, Clip
from tfg.errors import DataError
from tfg.media import open_clip

Part = Literal["RD", "WDA", "WRA"]
PARTS: tuple[Part, ...] = get_args(Part)
SIZE = 512
PIECE = 20.0  # s: a clip lasts up to ten minutes, and whoever prepares it holds a piece in memory (0.4 GB)
SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".flv", ".wmv", ".mpg", ".mpeg")
_BLOCK = 16  # frames of the full picture in memory at a time
_SHORTEST = 1.0  # s: a piece of its own


@dataclass(frozen=True)
class HdtfClip:
    """One annotated clip, or a piece of it.

    :ivar code: as in the lists, without suffix: ``"Radio11_0"``; a video without times: ``"Radio24"``.
    :ivar path: the downloaded video, or where it is expected.
    :ivar url: where it is from; "" if the lists do not say.
    :ivar start: seconds from the video's begin; likewise ``stop``.
    :ivar box: left, width, top, height in pixels of a video that is ``height`` pixels high.
    :ivar problem: what is wrong in the lists; "" if nothing is.
    :ivar piece: number of the piece, None for a whole clip.
    """

    code: str
    part: Part
    path: Path
    url: str = ""
    start: float = 0.0
    stop: float = 0.0
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    height: int = 0
    problem: str = ""
    piece: int | None = None

    @property
    def name(self) -> str:
        number = "" if self.piece is None else f"-{self.piece:03d}"
        return f"hdtf-{self.part}-{self.code}{number}"


def clips(part: Part, folder: Path) -> list[HdtfClip]:
    """All clips of one list, in its order; those that the lists leave in doubt carry a ``problem``.

    :param folder: holds ``HDTF_dataset`` and ``videos``.
    :raises DataError: a list is missing.
    """
    times, boxes, heights = (_table(folder, part, kind) for kind in ("annotion_time", "crop_wh", "resolution"))
    urls = {video: fields[0] for video, fields in _table(folder, part, "video_url").items() if fields}
    result = []
    for video, spans in times.items():
        path = _video(folder, part, video)
        for index, span in enumerate(spans):
            clip = HdtfClip(f"{video}_{index}", part, path, urls.get(video, ""))
            result.append(_annotated(clip, span, boxes.get(clip.code, []), heights.get(video, [])))
    untimed = [video for video in urls if video not in times]
    return result + [
        HdtfClip(
            video, part, _video(folder, part, video), urls[video], problem=f"{part}_annotion_time.txt has no times"
        )
        for video in untimed
    ]


def pieces(clip: HdtfClip, seconds: float = PIECE) -> list[HdtfClip]:
    """A clip in pieces of ``seconds``, each one readable; less than a second at its end joins the piece before."""
    if clip.problem:
        return [clip]
    count = max(1, ceil((clip.stop - clip.start - _SHORTEST) / seconds))
    edges = [clip.start + i * seconds for i in range(count)] + [clip.stop]
    return [replace(clip, start=a, stop=b, piece=i) for i, (a, b) in enumerate(pairwise(edges))]


def read(clip: HdtfClip) -> Clip:
    """The clip: 512 x 512, cut and cropped; only that much of the video is ever in memory.

    :raises DataError: the lists are in doubt, the video was not downloaded or ends before the clip, or the box does
        not fit it.
    :raises MediaError: the video is damaged.
    """
    if clip.problem:
        raise DataError(f"{clip.code}: {clip.problem}")
    if not clip.path.is_file():
        raise DataError(f"{clip.path} does not exist: download {clip.url or 'the video'} to that name")
    video = open_clip(clip.path, start=clip.start, duration=clip.stop - clip.start)
    if video.n_frames < round((clip.stop - clip.start) * FPS) - 1:
        raise DataError(
            f"{clip.path} ends at {clip.start + video.duration:.2f} s; {clip.code} goes on until {clip.stop:g} s: "
            "download the video again, or it was replaced by another one"
        )
    left, width, top, height = _scaled(clip, video.width, video.height)
    frames = np.empty((video.n_frames, SIZE, SIZE, 3), np.uint8)
    way = cv2.INTER_AREA if min(width, height) > SIZE else cv2.INTER_CUBIC
    done = 0
    for block in video.blocks(_BLOCK):
        for frame in block[:, top : top + height, left : left + width]:
            frames[done] = cv2.resize(frame, (SIZE, SIZE), interpolation=way)
            done += 1
    return Clip(frames, video.audio, source=f"{clip.path} ({clip.code})", notes=video.notes)


def _annotated(clip: HdtfClip, span: str, box: list[str], height: list[str]) -> HdtfClip:
    """The clip with what the lists say of it, or with the first thing that they do not say."""
    start, stop = (_seconds(text) for text in (span.split("-") if span.count("-") == 1 else ("", "")))
    if start is None or stop is None or not start < stop:
        return replace(clip, problem=f"{clip.part}_annotion_time.txt says {span!r}, expected '00:30-01:00'")
    if len(box) != 4 or not all(field.isdigit() for field in box):
        found = f"says {' '.join(box)!r}, expected 4 numbers" if box else "has no box for it"
        return replace(clip, problem=f"{clip.part}_crop_wh.txt {found}")
    if len(height) != 1 or not height[0].isdigit() or int(height[0]) == 0:
        found = f"says {' '.join(height)!r}" if height else "does not name its video"
        return replace(clip, problem=f"{clip.part}_resolution.txt {found}: the box's scale is unknown")
    left, width, top, high = map(int, box)
    return replace(clip, start=start, stop=stop, box=(left, width, top, high), height=int(height[0]))


def _scaled(clip: HdtfClip, width: int, height: int) -> tuple[int, int, int, int]:
    """The box in pixels of a video of this size.

    :raises DataError: it leaves the picture by more than what rounding explains.
    """
    scale = height / clip.height
    left, wide, top, high = (round(scale * value) for value in clip.box)
    slack = 2 + round(0.01 * height)  # a height of 714 stands for one of 720 in places
    fits = left < width and top < height and left + wide <= width + slack and top + high <= height + slack
    if not fits or min(wide, high) < 1:
        raise DataError(
            f"{clip.code}: the box (left {left}, width {wide}, top {top}, height {high}) leaves the {width} x {height} "
            f"picture of {clip.path}; {clip.part}_crop_wh.txt or {clip.part}_resolution.txt is wrong, or the video is "
            "another one"
        )
    return left, min(wide, width - left), top, min(high, height - top)


def _table(folder: Path, part: str, kind: str) -> dict[str, list[str]]:
    """Lines of a list: first field without ``.mp4`` -> the other fields."""
    path = folder / "HDTF_dataset" / f"{part}_{kind}.txt"
    if not path.is_file():
        raise DataError(f"{path} does not exist; expected the folder HDTF_dataset of https://github.com/MRzzm/HDTF")
    rows = (line.split() for line in path.read_text(encoding="utf-8-sig").splitlines())
    return {row[0].removesuffix(".mp4"): row[1:] for row in rows if row}


def _video(folder: Path, part: str, video: str) -> Path:
    names = [folder / "videos" / f"{part}_{video}{suffix}" for suffix in SUFFIXES]
    return next((name for name in names if name.is_file()), names[0])


def _seconds(text: str) -> float | None:
    """``"01:30"`` or ``"1:02:03"`` in seconds."""
    fields = text.split(":")
    if len(fields) not in (2, 3) or not all(field.isdigit() for field in fields):
        return None
    return float(sum(int(field) * 60**i for i, field in enumerate(reversed(fields))))
