"""Reading by timestamps: what must hold for every later number to mean anything."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_media import FILM, NTSC, TICKS, constant_rate, expected_wave, lag, make_media, number_of, numbered

from tfg.clip import Clip
from tfg.errors import MediaError
from tfg.media import open_clip, read_clip, write_clip

# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [25.0, 50.0, 100.0])
def test_rates_that_25_divides_lose_pictures_evenly_and_keep_the_first(tmp_path: Path, fps: float) -> None:
    clip = read_clip(make_media(tmp_path / "a.mp4", constant_rate(fps)))
    assert [number_of(f) for f in clip.frames] == [round(i * fps / 25) for i in range(50)]
    assert len(clip.audio) == 640 * 50
    assert clip.notes == ()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fps=st.floats(12, 60), seconds=st.floats(0.5, 1.5))
def test_any_frame_rate_gives_the_picture_of_that_time(tmp_path: Path, fps: float, seconds: float) -> None:
    times = constant_rate(fps, seconds)
    clip = read_clip(make_media(tmp_path / "a.mp4", times, rate=None), audio="optional")
    stamps = np.round(times * TICKS) / TICKS
    assert stamps[-1] < clip.duration <= stamps[-1] + 1 / fps + 0.03
    for i, frame in enumerate(clip.frames):
        distance = np.abs(stamps - i / 25)
        chosen = number_of(frame)
        if fps >= 25 or i / 25 > stamps[-1]:
            assert distance[chosen] <= distance.min() + 1e-5
        else:  # on display at that time, or about to be
            assert stamps[chosen] <= i / 25 + 0.02 + 1e-5
            assert chosen == len(stamps) - 1 or stamps[chosen + 1] > i / 25 or distance[chosen] <= distance.min() + 1e-5


def test_variable_frame_rate_follows_the_timestamps(tmp_path: Path) -> None:
    times = np.array([0, 0.04, 0.08, 0.2, 0.21, 0.22, 0.24, 1.0, 1.04])
    clip = read_clip(make_media(tmp_path / "a.mp4", times, sound=(0, 1.1)))
    numbers = [number_of(f) for f in clip.frames]
    assert numbers[:7] == [0, 1, 2, 2, 2, 3, 6]
    assert numbers[7:25] == [6] * 18  # a held picture is not replaced before its successor's time
    assert numbers[25:27] == [7, 8]


@pytest.mark.parametrize(
    ("name", "codecs", "rate"),
    [
        ("a.mp4", ("libx264", "aac"), 44_100),
        ("a.mov", ("libx264", "pcm_s16le"), 48_000),
        ("a.mkv", ("libx264", "flac"), 22_050),
        ("a.webm", ("libvpx", "libopus"), 48_000),
        ("a.avi", ("mpeg4", "pcm_s16le"), 16_000),
        ("a.avi", ("libx264", "libmp3lame"), 44_100),
        ("a.ts", ("libx264", "aac"), 48_000),
    ],
)
def test_every_container_keeps_picture_and_sound_at_their_times(
    tmp_path: Path, name: str, codecs: tuple[str, str], rate: int
) -> None:
    path = make_media(tmp_path / name, constant_rate(25), codecs=codecs, rate=rate, channels="stereo")
    clip = read_clip(path)
    numbers = [number_of(f) for f in clip.frames]
    offset = numbers[0]  # a container may lose a leading picture, never the step with the sound
    assert offset <= 1
    assert numbers == list(range(offset, offset + len(numbers)))
    assert clip.n_frames >= 48
    assert len(clip.audio) == 640 * clip.n_frames
    # 2 ms: MPEG-TS and WebM round, MP3 in AVI has no delay field
    allowed = 0.03 if codecs[1] == "libmp3lame" else 0.002
    assert abs(lag(clip.audio, expected_wave(clip, 1.0 - offset / 25))) <= allowed * 16_000


@pytest.mark.parametrize(
    ("fps", "rate"), [(25, 16_000), (NTSC, 44_100), (50, 48_000), (FILM, 22_050), (60, 32_000), (15, 8_000)]
)
def test_flash_and_beep_stay_together_through_read_write_read(tmp_path: Path, fps: float, rate: int) -> None:
    times = constant_rate(fps, 2.0)
    flash = int(np.searchsorted(times, 1.0))
    pictures = [np.full((48, 64, 3), 235 if i >= flash else 20, np.uint8) for i in range(len(times))]
    path = make_media(tmp_path / "a.mp4", times, pictures=pictures, rate=rate, chirp=times[flash])
    clip = read_clip(path)
    write_clip(clip, tmp_path / "b.mp4")
    again = read_clip(tmp_path / "b.mp4")
    assert again.n_frames == clip.n_frames
    for each in (clip, again):
        bright = int(np.argmax(each.frames.mean(axis=(1, 2, 3)) > 125))
        assert abs(bright / 25 - times[flash]) <= 0.04
        assert abs(lag(each.audio, expected_wave(each, times[flash]))) <= 16  # 1 ms
    assert lag(again.audio, clip.audio) == 0


# --- common start and end -------------------------------------------------------------------------------------------


def test_pictures_before_the_sound_are_cut_to_a_picture(tmp_path: Path) -> None:
    clip = read_clip(
        make_media(tmp_path / "a.mkv", constant_rate(25), sound=(0.5, 2), chirp=1.2, codecs=("libx264", "flac"))
    )
    first = number_of(clip.frames[0])
    assert first == 13  # the first picture at or after 0.5 s is due at 0.52 s
    assert abs(lag(clip.audio, expected_wave(clip, 1.2 - 0.52))) <= 1
    assert "before the sound starts" in clip.notes[0]


def test_sound_before_the_pictures_is_cut(tmp_path: Path) -> None:
    clip = read_clip(make_media(tmp_path / "a.mp4", constant_rate(25, 1.5, start=0.5), sound=(0, 2.0), chirp=1.2))
    assert number_of(clip.frames[0]) == 0
    assert clip.n_frames in (37, 38)  # 37.5 pictures
    assert abs(lag(clip.audio, expected_wave(clip, 0.7))) <= 1
    assert "before the pictures start" in clip.notes[0]


def test_pictures_after_the_sound_are_cut(tmp_path: Path) -> None:
    clip = read_clip(make_media(tmp_path / "a.mkv", constant_rate(25, 3.0), sound=(0, 2.0), codecs=("libx264", "flac")))
    assert clip.n_frames == 50
    assert "after the sound ends" in clip.notes[0]


def test_a_short_piece_of_missing_sound_is_silence_and_no_lost_picture(tmp_path: Path) -> None:
    path = make_media(tmp_path / "a.mkv", constant_rate(25, 2.0), sound=(0.06, 1.94), codecs=("libx264", "flac"))
    clip = read_clip(path)
    assert [number_of(clip.frames[i]) for i in (0, 49)] == [0, 49]
    assert not clip.audio[-900:].any()
    assert abs(lag(clip.audio, expected_wave(clip, 1.0))) <= 1


def test_a_gap_in_the_sound_is_silence_of_its_length(tmp_path: Path) -> None:
    path = make_media(
        tmp_path / "a.mkv", constant_rate(25, 4.0), sound=(0, 4), chirp=3.0, gap=(0.5, 2.5), codecs=("libx264", "flac")
    )
    clip = read_clip(path)
    assert clip.n_frames == 100
    assert abs(lag(clip.audio, expected_wave(clip, 3.0))) <= 1


def test_start_and_duration_give_the_same_frames_and_sound_as_the_whole(tmp_path: Path) -> None:
    options = {"movflags": "faststart"}
    path = make_media(tmp_path / "a.mp4", constant_rate(NTSC, 12.0), rate=44_100, sound=(0, 12.0), options=options)
    whole = read_clip(path)
    for start, duration in [(0.0, 1.0), (0.52, 0.4), (5.0, 2.0), (11.2, None)]:
        part = read_clip(path, start=start, duration=duration)
        first = round(start * 25)
        same = whole.trim(first, first + part.n_frames)
        assert part.n_frames == (round(duration * 25) if duration else whole.n_frames - first)
        np.testing.assert_array_equal(part.frames, same.frames)
        np.testing.assert_allclose(part.audio, same.audio, atol=1e-6)
    assert read_clip(path, start=11.0, duration=60).n_frames == whole.n_frames - 275
    with pytest.raises(MediaError, match=r"beyond its end at 12\.0"):
        read_clip(path, start=30)
    with pytest.raises(MediaError, match="start >= 0"):
        read_clip(path, start=-1)
    with pytest.raises(MediaError, match="duration > 0"):
        read_clip(path, duration=0)


# --- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotated_recordings_come_out_upright(tmp_path: Path, rotation: int, name: str) -> None:
    upright = np.full((64, 96, 3), 60, np.uint8)
    upright[:16, :24] = (230, 40, 40)  # red, top left
    stored = np.rot90(upright, -rotation // 90)  # display_rotation turns counterclockwise
    path = make_media(
        tmp_path / name,
        constant_rate(25, 0.4),
        pictures=[np.ascontiguousarray(stored)] * 10,
        rotation=rotation,
        sound=(0, 0.4),
    )
    stream = open_clip(path)
    assert (stream.height, stream.width) == (64, 96)
    frame = stream.read().frames[5].astype(int)
    assert np.abs(frame - upright).mean() < 6
    assert frame[6, 8, 0] > 180 > 100 > frame[-6, -8, 0]


def test_colours_come_back_as_rgb(tmp_path: Path) -> None:
    frames = np.zeros((5, 32, 96, 3), np.uint8)
    frames[:, :, :32, 0] = frames[:, :, 32:64, 1] = frames[:, :, 64:, 2] = 200
    write_clip(Clip(frames, np.zeros(3200, np.float32)), tmp_path / "a.mp4")
    back = read_clip(tmp_path / "a.mp4").frames.astype(int)
    for channel, column in enumerate((16, 48, 80)):
        assert np.abs(back[2, 16, column] - np.eye(3)[channel] * 200).max() <= 8


def test_pictures_of_another_size_are_scaled_to_the_first(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 160, "yuvj420p"
        container.start_encoding()
        for number in range(10):
            height, width = (48, 160) if number < 5 else (96, 320)
            encoder: Any = av.CodecContext.create("mjpeg", "w")
            encoder.height, encoder.width, encoder.pix_fmt, encoder.framerate = height, width, "yuvj420p", 25
            encoder.time_base = Fraction(1, 25)
            picture = av.VideoFrame.from_ndarray(numbered(number, height, width), format="rgb24")
            for packet in (*encoder.encode(picture.reformat(format="yuvj420p")), *encoder.encode(None)):
                packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
                container.mux(packet)
    clip = read_clip(tmp_path / "a.mkv", audio="optional")
    assert [number_of(f) for f in clip.frames] == list(range(10))


def test_pixels_that_are_not_square_are_mentioned(tmp_path: Path) -> None:
    path = make_media(tmp_path / "a.mkv", constant_rate(25, 0.4), sound=(0, 0.4), aspect=Fraction(16, 15))
    assert "not square (16:15)" in read_clip(path).notes[0]


# --- real clips ------------------------------------------------------------------------------------------------------


def test_grid_as_distributed_and_re_encoded_keep_all_75_frames_in_step(grid_dir: Path) -> None:
    originals = sorted((grid_dir / "s1_original").glob("*.mpg"))
    for original in originals:
        before, after = read_clip(original), read_clip(grid_dir / "s1" / f"{original.stem}.mp4")
        assert before.frames.shape == after.frames.shape == (75, 288, 360, 3)
        assert np.abs(before.frames.astype(int) - after.frames).mean() < 4
        assert abs(lag(after.audio, before.audio)) <= 16


def test_generated_clips_read_and_stream_alike(adthqa_dir: Path) -> None:
    path = adthqa_dir / "wav2lip" / "May_May.mp4"
    stream = open_clip(path, start=4, duration=2)
    assert stream.n_frames == 50
    np.testing.assert_array_equal(np.concatenate(list(stream.blocks(16))), read_clip(path, duration=6).frames[100:])
