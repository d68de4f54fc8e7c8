"""Dubbing as a whole: what a user gets from a face and a sound."""

from __future__ import annotations

import tracemalloc
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import tfg
from tfg import cli_dub
from tfg.cli import app
from tfg.clip import Clip
from tfg.crops import generator_boxes
from tfg.datasets import studio
from tfg.dubbing import DubReport, detect_mark, dub
from tfg.dubbing.faces import FacePlan
from tfg.errors import FaceError, MediaError, MissingFileError, NoAudioError, NoFaceError, WeightsError
from tfg.experts import save_weights
from tfg.experts.registry import list_weights
from tfg.generator import Generator
from tfg.media import read_clip, write_clip
from tfg.media_native import open_native
from tfg.media_write import open_film
from tfg.wav2lip import Wav2LipGenerator


class Copyist:
    """Draws the face that is there, with a colour cast; remembers what it was given."""

    image_size, audio_start, mouth_row = 96, -2, None
    boxes = staticmethod(generator_boxes)

    def __init__(self, cast: tuple[float, ...] = (0.0, 0.0, 0.0)) -> None:
        self.cast = torch.tensor(cast)[:, None, None] / 255
        self.heard: list[Tensor] = []
        self.references: list[Tensor] = []

    def __call__(self, audio: Tensor, identity_reference: Tensor, pose_reference: Tensor) -> Tensor:
        self.heard.append(audio[:, 0])
        self.references.append(identity_reference)
        return pose_reference + self.cast


def native_frames(path: Path) -> tuple[np.ndarray, np.ndarray]:
    video = open_native(path, 1000.0)
    frames = np.concatenate(list(video.blocks()))
    return frames, video.times


def sound_file(
    path: Path, seconds: float, click: float | None = None, rate: int = 16_000, layout: str = "mono"
) -> Path:
    """A wave file: silence, with a burst of noise of 40 ms around ``click`` seconds."""
    time = np.arange(round(seconds * rate)) / rate
    wave = np.zeros(len(time), np.int16)
    if click is not None:
        burst = np.abs(time - click) < 0.02
        wave[burst] = np.random.default_rng(0).normal(0, 6000, int(burst.sum())).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=rate, layout=layout)
        channels = 2 if layout == "stereo" else 1
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, channels)[None], format="s16", layout=layout)
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def talk() -> Clip:
    return studio.read("kofi-lamb").trim(0, 30)


@pytest.fixture(scope="module")
def talk_file(talk: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("talk") / "talk.mp4"
    write_clip(talk, path, crf=10)
    return path


@pytest.fixture(scope="module")
def copied(talk_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[DubReport, Copyist]:
    generator = Copyist()
    out = tmp_path_factory.mktemp("copied") / "copied.mp4"
    return dub(talk_file, talk_file, out, generator, mark="none", crf=10), generator


def test_a_face_that_is_drawn_as_it_is_leaves_the_film_as_it_was(
    copied: tuple[DubReport, Copyist], talk_file: Path
) -> None:
    report, _ = copied
    assert report.passed_through == []
    assert (report.width, report.height, report.fps) == (256, 256, 25.0)
    before, after = native_frames(talk_file)[0].astype(int), native_frames(report.out)[0].astype(int)
    off = np.abs(after[:30] - before)
    assert off.mean() < 1.5
    assert np.percentile(off, 99.9) < 20  # the face is 1.5 times as large as what a generator draws


def test_a_colour_cast_of_the_generator_is_not_seen(
    copied: tuple[DubReport, Copyist], talk_file: Path, tmp_path: Path
) -> None:
    cast = dub(talk_file, talk_file, tmp_path / "a.mp4", Copyist((14.0, 6.0, -9.0)), mark="none", crf=10)
    plain, tinted = (native_frames(report.out)[0].astype(int) for report in (copied[0], cast))
    assert np.abs(tinted - plain).mean(axis=(0, 3)).max() < 5
    assert np.abs(tinted - plain).mean() < 0.6


def test_the_reference_is_another_moment_of_the_same_face(
    copied: tuple[DubReport, Copyist], talk: Clip, talk_file: Path
) -> None:
    clip = read_clip(talk_file)
    plan = FacePlan.of([tfg.track_face(clip)], 30, 25.0, copied[1])
    references = (torch.cat(copied[1].references).permute(0, 2, 3, 1) * 255).round().int().numpy()
    for number in range(30):
        assert abs(plan.reference[number] - number) > 10
        other = plan.reference[number]
        moved = plan.moved(plan.kept(clip.frames[other], other), number)
        assert np.abs(moved - references[number]).mean() < 1


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(50)])
def test_native_rate_and_size_are_kept_and_each_picture_hears_its_own_time(
    talk: Clip, tmp_path: Path, rate: Fraction
) -> None:
    with open_film(tmp_path / "in.mp4", 236, 200, rate=rate) as film:
        for i, frame in enumerate(talk.frames):
            film.picture(frame[20:220, 10:246], i)
        film.sound(np.zeros((1, 16_000), np.float32))
    click = 17.5 / float(rate)  # the middle of picture 17
    sound = sound_file(tmp_path / "a.wav", 30 / float(rate), click, 44_100, "stereo")
    generator = Copyist()
    report = dub(tmp_path / "in.mp4", sound, tmp_path / "out.mp4", generator, crf=10)
    (before, times), (after, new_times) = native_frames(tmp_path / "in.mp4"), native_frames(report.out)
    assert after.shape == before.shape == (30, 200, 236, 3)
    np.testing.assert_allclose(new_times, times, atol=1e-4)
    assert np.abs(after.astype(int) - before)[:, :120].mean() < 3  # the same pictures in the same order
    with av.open(str(report.out)) as container:
        assert container.streams.audio[0].rate == 44_100
        assert container.streams.audio[0].layout.nb_channels == 2
    loud = torch.cat(generator.heard).exp().sum(dim=1)  # (30, 16)
    centre = (loud - loud.min()) @ torch.arange(16.0) / (loud - loud.min()).sum(dim=1)
    assert abs(float(centre[17]) - 8.5) < 0.6  # a window begins with the column at or before its time


def test_a_longer_sound_goes_on_backwards_and_a_shorter_one_ends_the_film(
    talk: Clip, talk_file: Path, tmp_path: Path
) -> None:
    longer = dub(talk_file, sound_file(tmp_path / "a.wav", 1.8), tmp_path / "a.mp4", Copyist(), mark="none")
    frames = native_frames(longer.out)[0].astype(int)
    assert len(frames) == longer.n_frames == 45
    for number in (31, 40, 44):
        off = np.abs(frames[number] - talk.frames).mean(axis=(1, 2, 3))
        assert off.argmin() == 58 - number == longer.pictures[number]
    shorter = dub(talk_file, sound_file(tmp_path / "b.wav", 0.6), tmp_path / "b.mp4", Copyist(), mark="none")
    assert shorter.n_frames == len(native_frames(shorter.out)[0]) == 15


def test_pictures_without_a_face_pass_through_and_are_listed(talk: Clip, tmp_path: Path) -> None:
    frames = np.concatenate([talk.frames[:22], np.full((12, 256, 256, 3), 90, np.uint8), talk.frames[22:30]])
    clip = Clip(frames, np.zeros(640 * len(frames), np.float32))
    write_clip(clip, tmp_path / "in.mp4")
    report = dub(tmp_path / "in.mp4", tmp_path / "in.mp4", tmp_path / "out.mp4", Copyist((0, 0, 0)), mark="none")
    assert report.passed_through == [(22, 34)]
    assert report.passed_through_seconds == [(pytest.approx(0.88), pytest.approx(1.36))]
    assert np.abs(native_frames(report.out)[0][22:34].astype(int) - 90).max() <= 3


def test_a_picture_speaks_and_a_seeded_generator_of_either_kind_draws(tmp_path: Path) -> None:
    sound = sound_file(tmp_path / "a.wav", 0.2, 0.1)
    for generator in (Generator().eval(), Wav2LipGenerator().eval()):
        report = dub(studio.folder() / "portrait.jpg", sound, tmp_path / "a.mp4", generator)
        assert report.n_frames == 5
        assert report.passed_through == []


def test_the_film_says_that_it_is_synthetic_in_three_ways(tmp_path: Path) -> None:
    sound = sound_file(tmp_path / "a.wav", 0.4)
    portrait = studio.folder() / "portrait.jpg"
    found = {}
    for mark in ("both", "visible", "invisible", "none"):
        report = dub(portrait, sound, tmp_path / f"{mark}.mp4", Copyist(), mark=mark)  # type: ignore[arg-type]
        found[mark] = detect_mark(report.out).marked
        with av.open(str(report.out)) as container:
            said = container.metadata
        assert "AI-generated" in said["title"]
        assert "Copyist" in said["comment"]
        assert said["date"][:2] == "20"
    assert found == {"both": True, "visible": False, "invisible": True, "none": False}


def test_memory_does_not_grow_with_the_length(talk_file: Path, tmp_path: Path) -> None:
    def peak(seconds: float) -> int:
        sound = sound_file(tmp_path / "a.wav", seconds)
        tracemalloc.start()
        try:
            dub(talk_file, sound, tmp_path / "a.mp4", Copyist())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    short, long = peak(2), peak(6)
    assert long < short + 4 * 250_000  # 100 frames are 20 MB


def test_an_interrupted_run_leaves_the_old_film_and_nothing_else(talk_file: Path, tmp_path: Path) -> None:
    class Interrupted(Copyist):
        def __call__(self, *inputs: Tensor) -> Tensor:
            raise KeyboardInterrupt

    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        dub(studio.folder() / "portrait.jpg", talk_file, tmp_path / "a.mp4", Interrupted())
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"old"


def test_what_cannot_be_dubbed_is_named(talk: Clip, talk_file: Path, tmp_path: Path) -> None:
    portrait = studio.folder() / "portrait.jpg"
    blank = tmp_path / "blank.mp4"
    write_clip(replace(talk.trim(0, 5), frames=np.full((5, 64, 64, 3), 90, np.uint8)), blank)
    (tmp_path / "text.mp4").write_text("no video")
    out = tmp_path / "out.mp4"
    with pytest.raises(NoFaceError, match=r"blank\.mp4"):
        dub(blank, talk_file, out, Copyist())
    with pytest.raises(FaceError, match="face 2"):
        dub(portrait, talk_file, out, Copyist(), face_number=2)
    with pytest.raises(FaceError, match="face_number"):
        dub(portrait, talk_file, out, Copyist(), face_number=0)
    with pytest.raises(NoAudioError, match="portrait"):
        dub(portrait, portrait, out, Copyist())
    with pytest.raises(MediaError, match=r"text\.mp4"):
        dub(tmp_path / "text.mp4", talk_file, out, Copyist())
    with pytest.raises(MissingFileError, match="nowhere"):
        dub(portrait, tmp_path / "nowhere.wav", out, Copyist())
    with pytest.raises(MediaError, match=r"ends in '.avi'"):
        dub(portrait, talk_file, tmp_path / "out.avi", Copyist())
    with pytest.raises(MediaError, match="is an input as well"):
        dub(blank, talk_file, blank, Copyist())
    with pytest.raises(WeightsError, match="no-such-generator"):
        dub(portrait, talk_file, out, "no-such-generator")
    assert not out.exists()


def test_the_command_dubs_packaged_faces_and_tells_what_it_did(tmp_path: Path) -> None:
    generator = Generator()
    weights = tmp_path / "random.safetensors"
    save_weights(generator.state_dict(), weights, {"kind": "generator", "config": asdict(generator.config)})
    sound_file(tmp_path / "a.wav", 0.2)
    out = tmp_path / "out.mp4"
    told = CliRunner().invoke(
        app, ["dub", "studio:portrait", str(tmp_path / "a.wav"), "-o", str(out), "--generator", str(weights)]
    )
    assert told.exit_code == 0, told.output
    assert "5 frames of 256x256" in told.output.replace("\n", " ")
    assert "lips by random" in told.output.replace("\n", " ")
    assert CliRunner().invoke(app, ["detect-mark", str(out)]).exit_code == 0
    assert CliRunner().invoke(app, ["detect-mark", str(studio.path("ada-tea"))]).exit_code == 1


def test_frames_that_kept_their_picture_are_told_with_their_times() -> None:
    runs, seconds = [(0, 3), (50, 60)], [(0.0, 0.12), (2.0, 2.4)]
    report = DubReport(
        Path("a.mp4"), 75, 25.0, 64, 48, 3.0, runs, seconds, "mini", "none", ("a note",), {"draw": 6.0}, np.arange(75)
    )
    told = "\n".join(cli_dub.told(report))
    assert "picture kept: frames 0 to 2 (0.00 to 0.12 s), 50 to 59 (2.00 to 2.40 s)" in told
    assert "note: a note" in told
    assert "2.00 x the film's length" in told


def test_silence_closes_the_mouth_and_speech_opens_it(tmp_path: Path) -> None:
    if not any(entry.name == "generator-mini" and entry.present for entry in list_weights()):
        pytest.skip("generator-mini is not packaged")
    face = studio.path(studio.names("test")[0])
    quiet = dub(face, sound_file(tmp_path / "a.wav", 2.5), tmp_path / "a.mp4", mark="none")
    speaking = dub(face, studio.path("ada-boat"), tmp_path / "b.mp4", mark="none")
    silent, loud, before = (tfg.track_face(read_clip(path)).mouth_opening for path in (quiet.out, speaking.out, face))
    assert np.percentile(silent, 90) < 0.5 * np.percentile(before, 90)
    assert np.percentile(loud, 90) > 2 * np.percentile(silent, 90)
