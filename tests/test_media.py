"""Reading by timestamps, streaming, writing: what must hold for every later number to mean anything."""

from __future__ import annotations

import dataclasses
import os
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfg.media
from tfg.clip import Clip
from tfg.errors import MediaError, MissingFileError, NoAudioError, NoVideoError, TfgError, TruncatedMediaError
from tfg.media import open_clip, read_clip, write_clip

TICKS = 90_000
NTSC = 30000 / 1001
FILM = 24000 / 1001


# --- synthetic media: pictures that carry their number, sound that carries its time ---------------------------------


def numbered(number: int, height: int = 48, width: int = 160) -> np.ndarray:
    """A picture whose ten vertical bars are the bits of its number."""
    bits = (number >> np.arange(10)) & 1
    row = np.repeat(40 + 170 * bits, width // 10).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def number_of(picture: np.ndarray) -> int:
    """Reads :func:`numbered` back, whatever the codec did to the edges."""
    centres = (np.arange(10) * 2 + 1) * picture.shape[1] // 20
    middle = picture.shape[0] // 2
    bits = picture[middle - 4 : middle + 4, :, :].mean(axis=(0, 2))[centres] > 125
    return int((bits << np.arange(10)).sum())


def wave(seconds: np.ndarray, at: float) -> np.ndarray:
    """A short chirp centred on ``at`` s: 300 to 1500 Hz, so that every rate carries it."""
    t = seconds - at
    return 0.6 * np.exp(-((t / 0.05) ** 2)) * np.sin(2 * np.pi * (900 * t + 3000 * t**2))


def make_media(
    path: Path,
    times: np.ndarray | None,
    *,
    pictures: list[np.ndarray] | None = None,
    rate: int | None = 16_000,
    sound: tuple[float, float] = (0.0, 2.0),
    chirp: float = 1.0,
    channels: str = "mono",
    codecs: tuple[str, str] = ("libx264", "aac"),
    rotation: int = 0,
    gap: tuple[float, float] | None = None,
    options: dict[str, str] | None = None,
    title: str = "",
    aspect: Fraction = Fraction(1),
) -> Path:
    """A media file with pictures at ``times`` (s) and sound from ``sound[0]`` to ``sound[1]`` s."""
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata["title"] = title
        video: Any = None
        audio: Any = None
        if times is not None:
            pictures = pictures or [numbered(i) for i in range(len(times))]
            constant = codecs[0] == "mpeg4" or path.suffix == ".avi"
            base = Fraction(1, round(1 / float(np.diff(times).mean()))) if constant else Fraction(1, TICKS)
            video = container.add_stream(codecs[0], rate=1 / base if constant else 30)
            video.height, video.width = pictures[0].shape[:2]
            video.pix_fmt = "yuv420p"
            video.codec_context.time_base = base
            video.bit_rate = 2_000_000
            video.codec_context.sample_aspect_ratio = aspect
            if rotation:
                video.set_display_rotation(rotation)
        if rate is not None:
            audio = container.add_stream(codecs[1], rate=rate, layout=channels)
        if video is not None:
            for time, rgb in zip(times, pictures, strict=True):
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = round(time / base), base
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if audio is not None:
            samples = np.arange(round(sound[0] * rate), round(sound[1] * rate))
            signal = wave(samples / rate, chirp)
            for i in range(0, len(samples), 960):
                if gap and gap[0] <= samples[i] / rate < gap[1]:
                    continue
                part = np.repeat(signal[None, i : i + 960], 1 if channels == "mono" else 2, axis=0)
                frame = av.AudioFrame.from_ndarray(part.astype(np.float32), format="fltp", layout=channels)
                frame.sample_rate, frame.pts, frame.time_base = rate, int(samples[i]), Fraction(1, rate)
                fitted = av.AudioResampler(format=audio.format.name, layout=channels, rate=rate).resample(frame)
                for ready in fitted:
                    container.mux(audio.encode(ready))
            container.mux(audio.encode(None))
    return path


def constant_rate(fps: float, seconds: float = 2.0, start: float = 0.0) -> np.ndarray:
    return start + np.arange(round(seconds * fps)) / fps


def lag(found: np.ndarray, expected: np.ndarray) -> int:
    """Samples by which ``found`` is late, from the peak of the cross-correlation."""
    n = 2 * len(expected)
    peak = int(np.fft.irfft(np.fft.rfft(found, n) * np.conj(np.fft.rfft(expected, n))).argmax())
    return peak if peak < n // 2 else peak - n


def expected_wave(clip: Any, at: float) -> np.ndarray:
    return wave(np.arange(len(clip.audio)) / 16_000, at)


def clip_of(n_frames: int = 12, height: int = 48, width: int = 160, **more: Any) -> Clip:
    frames = np.stack([numbered(i, height, width) for i in range(n_frames)])
    audio = wave(np.arange(640 * n_frames) / 16_000, n_frames / 50).astype(np.float32)
    return Clip(frames=frames, audio=audio, **more)


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


# --- streaming ------------------------------------------------------------------------------------------------------


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


# --- files that cannot be used ---------------------------------------------------------------------------------------


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


# --- writing --------------------------------------------------------------------------------------------------------


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


# --- the clip --------------------------------------------------------------------------------------------------------


def test_a_clip_shows_itself_in_one_line() -> None:
    assert repr(clip_of(50, source="a.mp4")) == "Clip('a.mp4', 50 frames of 160x48, 2.00 s)"


def test_a_clip_checks_itself_when_made_and_when_replaced() -> None:
    clip = clip_of(3)
    assert dataclasses.replace(clip, source="x").source == "x"
    bad: list[tuple[dict[str, Any], str]] = [
        ({"frames": clip.frames.astype(np.float32)}, r"float32 \(3, 48, 160, 3\); expected a uint8"),
        ({"frames": clip.frames[..., 0]}, r"expected a uint8 array \(T, H, W, 3\)"),
        ({"frames": clip.frames[:0], "audio": clip.audio[:0]}, "at least one frame"),
        ({"audio": clip.audio.astype(np.float64)}, "float64"),
        ({"audio": clip.audio[:-1]}, "1919 samples for 3 frames; expected 1920"),
        ({"audio": clip.audio * 32768}, r"expected finite samples in \[-1, 1\]"),
        ({"audio": np.full_like(clip.audio, np.nan)}, "peaks at nan"),
        ({"audio": list(clip.audio)}, "list"),
        ({"fps": 30.0}, "expected 25"),
        ({"sample_rate": 44_100}, "16000"),
    ]
    for change, message in bad:
        with pytest.raises(MediaError, match=message):
            dataclasses.replace(clip, **change)


def test_trim_takes_frames_with_their_sound() -> None:
    clip = clip_of(10)
    part = clip.trim(2, 7)
    np.testing.assert_array_equal(part.frames, clip.frames[2:7])
    np.testing.assert_array_equal(part.audio, clip.audio[1280:4480])
    for start, stop in [(3, 3), (-2, 5), (0, 11)]:
        with pytest.raises(MediaError, match=r"expected 0 <= start < stop <= 10"):
            clip.trim(start, stop)


def test_delay_audio_positive_makes_the_sound_late() -> None:
    clip = clip_of(50)
    late, early = clip.delay_audio(3), clip.delay_audio(-3)
    assert lag(late.audio, clip.audio) == 3 * 640
    assert lag(early.audio, clip.audio) == -3 * 640
    assert not late.audio[:1920].any()
    assert not early.audio[-1920:].any()
    assert len(late.audio) == len(clip.audio)
    assert late.frames is clip.frames
    assert not clip.delay_audio(60).audio.any()
    assert not clip.delay_audio(-60).audio.any()
    np.testing.assert_array_equal(clip.delay_audio(0).audio, clip.audio)
    np.testing.assert_array_equal(clip.delay_audio(0.5).audio[320:], clip.audio[:-320])
    with pytest.raises(MediaError, match="expected a number"):
        clip.delay_audio(float("nan"))


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
