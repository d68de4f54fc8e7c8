"""Writing a clip: it plays everywhere, comes back, and never replaces a good file by half a one."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from synthetic_media import clip_of, lag, number_of

from tfg.clip import Clip
from tfg.errors import MediaError, MissingFileError
from tfg.media import open_clip, read_clip, write_clip


def test_written_files_play_in_browsers(tmp_path: Path) -> None:
    write_clip(clip_of(30), tmp_path / "a.mp4")
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")  # the index comes first
    with av.open(str(tmp_path / "a.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.pix_fmt, video.average_rate) == ("h264", "yuv420p", 25)
        assert (audio.codec_context.name, audio.rate, audio.layout.name) == ("aac", 16_000, "mono")
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_a_written_clip_comes_back(tmp_path: Path) -> None:
    clip = clip_of(40)
    write_clip(clip, tmp_path / "a.mp4")
    back = read_clip(tmp_path / "a.mp4")
    assert back.n_frames == 40
    assert [number_of(f) for f in back.frames] == list(range(40))
    assert lag(back.audio, clip.audio) == 0
    assert np.abs(back.audio - clip.audio).max() < 0.03
    stream = open_clip(tmp_path / "a.mp4")
    write_clip(stream, tmp_path / "a.mp4")  # over the file it streams from
    assert [number_of(f) for f in read_clip(tmp_path / "a.mp4").frames] == list(range(40))


def test_odd_sizes_grow_by_a_copy_of_the_last_line(tmp_path: Path) -> None:
    clip = clip_of(4, 47, 160)
    clip = dataclasses.replace(clip, frames=np.ascontiguousarray(clip.frames[:, :, :-1]))
    write_clip(clip, tmp_path / "a.mp4", crf=1)
    back = read_clip(tmp_path / "a.mp4")
    assert (back.height, back.width) == (48, 160)
    assert np.abs(back.frames[:, :47, :159].astype(int) - clip.frames).mean() < 5
    assert np.abs(back.frames[:, 47].astype(int) - back.frames[:, 46]).max() < 10


def test_one_frame_can_be_written(tmp_path: Path) -> None:
    write_clip(clip_of(1), tmp_path / "a.mp4")
    assert read_clip(tmp_path / "a.mp4").n_frames == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.mp4"
    write_clip(clip_of(5), path)
    before = path.read_bytes()

    class Interrupted(Clip):
        def blocks(self, size: int = 64) -> Any:
            yield self.frames[:3]
            raise error

    clip = clip_of(10)
    with pytest.raises(error):
        write_clip(Interrupted(clip.frames, clip.audio), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_names_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    clip = clip_of(2)
    with pytest.raises(MediaError, match=r"expected a name ending in \.mp4"):
        write_clip(clip, tmp_path / "a.gif")
    with pytest.raises(MissingFileError, match="create it"):
        write_clip(clip, tmp_path / "no" / "a.mp4")
    with pytest.raises(MediaError, match="crf"):
        write_clip(clip, tmp_path / "a.mp4", crf=99)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(MediaError, match="is a folder"):
        write_clip(clip, tmp_path / "folder.mp4")
