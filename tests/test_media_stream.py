"""Reading block by block: the same frames as at once, in little memory."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_media import NTSC, constant_rate, make_media, numbered

import tfg.media
from tfg.errors import MediaError
from tfg.media import open_clip, read_clip


def test_a_stream_gives_exactly_the_frames_of_read_clip_each_time(tmp_path: Path) -> None:
    path = make_media(tmp_path / "a.mp4", constant_rate(NTSC, 2.0), rate=44_100)
    clip, stream = read_clip(path), open_clip(path)
    assert (stream.n_frames, stream.height, stream.width) == (clip.n_frames, clip.height, clip.width)
    assert (stream.source, stream.notes, stream.duration) == (clip.source, clip.notes, clip.duration)
    np.testing.assert_array_equal(stream.audio, clip.audio)
    for size in (7, 64, 1000):
        blocks = list(stream.blocks(size))
        assert [len(b) for b in blocks[:-1]] == [size] * (len(blocks) - 1)
        np.testing.assert_array_equal(np.concatenate(blocks), clip.frames)
        np.testing.assert_array_equal(np.concatenate(list(clip.blocks(size))), clip.frames)
    with pytest.raises(MediaError, match="block size is 0"):
        stream.blocks(0)


def test_a_long_stream_holds_one_block_at_a_time(tmp_path: Path) -> None:
    pictures = [numbered(i % 1000, 240, 320) for i in range(20)] * 40
    path = make_media(tmp_path / "a.mp4", constant_rate(25, 32.0), pictures=pictures, sound=(0, 32))
    stream = open_clip(path)
    block = 16 * 240 * 320 * 3
    tracemalloc.start()
    count = sum(len(b) for b in stream.blocks(16))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 800
    assert peak < 3 * block < 800 * 240 * 320 * 3 / 10


def test_leaving_a_stream_early_closes_the_file(tmp_path: Path) -> None:
    path = make_media(tmp_path / "a.mp4", constant_rate(25, 2.0))
    stream = open_clip(path)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for _ in range(5):
        blocks = stream.blocks(4)
        next(blocks)
        blocks.close()  # type: ignore[attr-defined]
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before


def test_frames_beyond_the_memory_are_refused_with_the_way_out(tmp_path: Path, monkeypatch: Any) -> None:
    path = make_media(tmp_path / "a.mp4", constant_rate(25, 0.4), sound=(0, 0.4))
    monkeypatch.setattr(tfg.media, "_physical_memory", lambda: 1000)
    with pytest.raises(MediaError, match=r"use tfg\.open_clip"):
        read_clip(path)
