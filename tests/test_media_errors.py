"""Media files that cannot be used: each is named, with what was found and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_media import constant_rate, make_media

from tfg.clip import Clip
from tfg.errors import MediaError, MissingFileError, NoAudioError, NoVideoError, TfgError, TruncatedMediaError
from tfg.media import open_clip, read_clip


def test_no_sound_is_an_error_unless_optional(tmp_path: Path) -> None:
    path = make_media(tmp_path / "quiet.mp4", constant_rate(25, 0.4), rate=None)
    with pytest.raises(NoAudioError, match=r"quiet\.mp4.*audio='optional'"):
        read_clip(path)
    clip = read_clip(path, audio="optional")
    assert clip.n_frames == 10
    assert not clip.audio.any()
    assert len(clip.audio) == 6400
    assert "silence" in clip.notes[0]
    with pytest.raises(MediaError, match="'require' or 'optional'"):
        read_clip(path, audio="maybe")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["sound.m4a", "sound.wav", "sound.mp3"])
def test_only_sound_is_no_video(tmp_path: Path, name: str) -> None:
    codec = {"m4a": "aac", "wav": "pcm_s16le", "mp3": "libmp3lame"}[name.split(".")[1]]
    path = make_media(tmp_path / name, None, codecs=("", codec))
    with pytest.raises(NoVideoError, match=r"sound\..*only sound"):
        read_clip(path)


def test_a_missing_path_a_folder_and_other_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nowhere\.mp4: no such file"):
        read_clip(tmp_path / "nowhere.mp4")
    with pytest.raises(MissingFileError, match="is a folder"):
        open_clip(tmp_path)
    (tmp_path / "notes.mp4").write_text("these are notes, and no video at all\n" * 50)
    with pytest.raises(MediaError, match=r"notes\.mp4: is not a media file"):
        read_clip(tmp_path / "notes.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(MediaError, match="0 bytes"):
        read_clip(tmp_path / "empty.mp4")


def test_a_file_cut_off_is_named_and_its_rest_can_be_read(tmp_path: Path) -> None:
    pictures = list(np.random.default_rng(0).integers(0, 255, (50, 48, 160, 3), dtype=np.uint8))
    complete = make_media(tmp_path / "a.mp4", constant_rate(25), pictures=pictures, options={"movflags": "faststart"})
    data = complete.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(TruncatedMediaError, match=r"cut\.mp4: is cut off: .* duration=") as caught:
        open_clip(tmp_path / "cut.mp4")
    usable = float(str(caught.value).rsplit("=", 1)[1])
    assert 0.2 < usable < 1.9
    part = read_clip(tmp_path / "cut.mp4", duration=usable)
    assert part.duration == pytest.approx(usable)
    np.testing.assert_array_equal(part.frames[:-3], read_clip(complete).frames[: part.n_frames - 3])

    indexed_last = make_media(tmp_path / "b.mp4", constant_rate(25))
    (tmp_path / "headless.mp4").write_bytes(indexed_last.read_bytes()[:2000])
    with pytest.raises(TruncatedMediaError, match=r"headless\.mp4: .*index"):
        read_clip(tmp_path / "headless.mp4")


@pytest.mark.parametrize(
    ("name", "codecs"),
    [("a.mkv", ("libx264", "flac")), ("a.avi", ("mpeg4", "pcm_s16le")), ("a.flv", ("flv", "libmp3lame"))],
)
def test_a_cut_is_noticed_in_every_container_that_declares_its_length(
    tmp_path: Path, name: str, codecs: tuple[str, str]
) -> None:
    path = make_media(tmp_path / name, constant_rate(25), codecs=codecs, rate=44_100)
    assert read_clip(path).n_frames in (50, 51)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(TruncatedMediaError, match=r"duration="):
        read_clip(path)


def test_damaged_bytes_end_in_a_clip_or_a_named_error(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    outcomes: set[Any] = set()
    for name in ("a.mp4", "a.mkv", "a.avi", "a.ts"):
        codecs = ("mpeg4", "pcm_s16le") if name == "a.avi" else ("libx264", "aac")
        data = make_media(tmp_path / name, constant_rate(25, 1.0), sound=(0, 1), codecs=codecs).read_bytes()
        for _ in range(12):
            damaged = np.frombuffer(data, np.uint8).copy()
            count = int(10 ** random.uniform(0, 3))
            damaged[random.integers(0, len(damaged), count)] = random.integers(0, 256, count, dtype=np.uint8)
            (tmp_path / name).write_bytes(damaged.tobytes())
            try:
                outcomes.add(type(read_clip(tmp_path / name)))
            except TfgError as error:
                outcomes.add(type(error) if name in str(error) else "an error that names no file")
    assert Clip in outcomes
    assert len(outcomes) > 2
    assert "an error that names no file" not in outcomes


def test_a_title_in_another_encoding_is_no_obstacle(tmp_path: Path) -> None:
    path = make_media(tmp_path / "a.mkv", constant_rate(25, 0.4), sound=(0, 0.4), title="Titel-Band-1")
    data = path.read_bytes()
    assert data.count(b"Titel-Band-1") == 1
    path.write_bytes(data.replace(b"Titel-Band-1", "Títel-Bänd-1".encode("latin-1")))
    assert read_clip(path).n_frames == 10


def test_timestamps_gone_wild_are_an_error_and_no_exhausted_memory(tmp_path: Path) -> None:
    path = make_media(tmp_path / "a.mkv", np.array([0, 0.04, 1e5]), rate=None)
    with pytest.raises(MediaError, match="span 28 hours"):
        open_clip(path, audio="optional")


def test_a_video_stream_without_frames_is_no_video(tmp_path: Path) -> None:
    path = make_media(tmp_path / "a.ts", constant_rate(25), rate=48_000)
    packets = path.read_bytes()
    video = 0x100  # the first stream's packet identifier
    packets = b"".join(p for p in (packets[i : i + 188] for i in range(0, len(packets), 188)) if pid(p) != video)
    (tmp_path / "b.ts").write_bytes(packets)
    with pytest.raises(NoVideoError, match=r"b\.ts"):
        read_clip(tmp_path / "b.ts")


def pid(transport_packet: bytes) -> int:
    return (transport_packet[1] & 0x1F) << 8 | transport_packet[2]
