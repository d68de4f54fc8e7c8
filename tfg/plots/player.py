"""A video player in a page: the clip itself is in the page, so it plays without a file or a network."""

from __future__ import annotations

import base64
import html
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tfg.clip import Clip
from tfg.media_write import write_clip

if TYPE_CHECKING:
    from IPython.display import HTML

CRF = 28  # x264's quality: good for looking, a third of the size of the default


def show(clip: Clip, caption: str = "", *, width: int = 256, crf: float = CRF) -> HTML:
    """A player with sound for a notebook, as HTML that holds the clip as an MP4 (about 30 kB a second).

    :param clip: what to play; embed a few seconds, not minutes.
    :param caption: what there is to see and hear: shown under the player, and read out by screen readers.
    :param width: of the picture in pixels; larger clips are reduced to it before they are embedded.
    :param crf: see :func:`tfg.write_clip`; larger is smaller and worse.
    """
    from IPython.display import HTML

    small = _reduced(clip, width)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(small, path, crf=crf)
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    still = cv2.cvtColor(small.frames[small.n_frames // 2], cv2.COLOR_RGB2BGR)
    poster = base64.b64encode(cv2.imencode(".jpg", still, (cv2.IMWRITE_JPEG_QUALITY, 80))[1].tobytes()).decode("ascii")
    label = html.escape(caption or f"Video with sound, {clip.duration:.1f} seconds", quote=True)
    text = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return HTML(
        f'<figure style="margin:0"><video controls preload="metadata" width="{width}" aria-label="{label}" '
        f'poster="data:image/jpeg;base64,{poster}">'
        f'<source src="data:video/mp4;base64,{data}" type="video/mp4">'
        f"{label} (this browser does not play MP4)</video>{text}</figure>"
    )


def _reduced(clip: Clip, width: int) -> Clip:
    if clip.width <= width:
        return clip
    height = max(2, round(clip.height * width / clip.width / 2) * 2)  # H.264 wants even sizes
    small = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in clip.frames]
    return replace(clip, frames=np.stack(small).astype(np.uint8))
