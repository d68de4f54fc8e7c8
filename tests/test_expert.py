"""Loading an expert by name, path or folder; features of whole clips, in memory, streamed and in chunks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_experts as tiny
import torch

import tfg
from tfg.crops import face_crops_syncnet, mouth_crops, mouth_video
from tfg.errors import CheckpointError, FeatureError, WeightsError
from tfg.experts import expert as module
from tfg.experts.checkpoints import save_weights
from tfg.experts.expert import AVHubertExpert, SyncNetExpert, chunks, load_expert
from tfg.experts.registry import find_weights


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tiny.save(tmp_path_factory.mktemp("weights"))


def test_a_path_gives_the_expert_that_the_weights_are_of(files: tuple[Path, Path]) -> None:
    hubert, sync = load_expert(files[0]), load_expert(str(files[1]))
    assert isinstance(hubert, AVHubertExpert)
    assert isinstance(sync, SyncNetExpert)
    assert (hubert.name, sync.name) == ("avhubert-tiny", "syncnet-tiny")
    assert hubert.model.config == tiny.HUBERT
    assert sync.model.config == tiny.SYNCNET
    assert len(hubert.protocol["sha256"]) == 64
    assert not any(p.requires_grad for p in hubert.model.parameters())


def test_a_plain_checkpoint_of_a_known_size_needs_no_card(tmp_path: Path) -> None:
    from tfg.experts.syncnet import SyncNet, SyncNetConfig

    torch.save(SyncNet(SyncNetConfig.mini()).state_dict(), tmp_path / "own.pth")
    assert load_expert(tmp_path / "own.pth").model.config == SyncNetConfig.mini()


def test_a_folder_with_one_checkpoint_will_do_and_with_two_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    for suffix in (".safetensors", ".json"):
        (tmp_path / f"one{suffix}").write_bytes(files[0].with_suffix(suffix).read_bytes())
    assert load_expert(tmp_path).name == "one"
    with pytest.raises(
        WeightsError, match=r"avhubert-tiny.safetensors, syncnet-tiny.safetensors; expected exactly one"
    ):
        load_expert(files[0].parent)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"nonsense.*avhubert-mini"):
        load_expert("nonsense")


@pytest.mark.parametrize("name", ["avhubert-mini", "syncnet-mini"])
def test_a_packaged_name_loads_or_says_that_its_file_is_missing(name: str) -> None:
    if find_weights(name).present:
        assert load_expert(name).name == name
    else:
        with pytest.raises(WeightsError, match=f"{name}.safetensors is missing"):
            load_expert(name)


def test_weights_of_no_expert_are_refused(tmp_path: Path) -> None:
    save_weights({"a": torch.zeros(3)}, tmp_path / "x.safetensors", {"kind": "wav2lip"})
    with pytest.raises(CheckpointError, match="wav2lip"):
        load_expert(tmp_path / "x.safetensors")


def test_a_layer_or_device_that_does_not_exist_is_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(FeatureError, match="layers 1 to 2"):
        load_expert(files[0], layer=3)
    with pytest.raises(FeatureError, match="SyncNet"):
        load_expert(files[1], layer=1)
    with pytest.raises(FeatureError, match="'nothing'"):
        load_expert(files[0], device="nothing")


def test_avhubert_features_are_those_of_the_network_on_crop_and_filterbank() -> None:
    clip, track = tiny.clip(30), tiny.track(0, 30)
    expert = AVHubertExpert(tiny.hubert(), "tiny")
    heard, seen = expert.clip_features(clip, track)
    video = torch.from_numpy(mouth_video(mouth_crops(clip, track)))[None]
    audio = torch.from_numpy(tfg.audio.stacked_filterbank(clip.audio))[None]
    with torch.no_grad():
        np.testing.assert_allclose(heard, tiny.hubert().features(audio=audio)[0], atol=1e-5)
        np.testing.assert_allclose(seen, tiny.hubert().features(video=video)[0], atol=1e-5)
        both = tiny.hubert().features(audio=audio, video=video)[0]
    np.testing.assert_allclose(expert.audio_visual_features(clip, track), both, atol=1e-5)
    assert heard.dtype == np.float32


def test_gradients_pass_through_an_expert_that_has_scored_before() -> None:
    expert = AVHubertExpert(tiny.hubert(), "tiny")
    expert.clip_features(tiny.clip(10), tiny.track(0, 10))
    video = torch.rand(1, 10, 88, 88, requires_grad=True)
    expert.model.features(video=video).square().sum().backward()
    assert video.grad.abs().sum() > 0


def test_a_track_of_a_part_gives_the_features_of_that_part() -> None:
    clip, expert = tiny.clip(40), AVHubertExpert(tiny.hubert(), "tiny")
    inside = expert.clip_features(clip, tiny.track(10, 35))
    alone = expert.clip_features(clip.trim(10, 35), tiny.track(0, 25))
    for a, b in zip(inside, alone, strict=True):
        assert len(a) == 25
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(("frames", "whole", "context"), [(10, 10, 2), (11, 10, 2), (100, 10, 3), (37, 16, 4)])
def test_chunks_keep_every_frame_once_with_context_around(frames: int, whole: int, context: int) -> None:
    kept: list[int] = []
    for read, keep in chunks(frames, whole, context):
        span = list(range(frames))[read]
        assert len(span) <= whole
        kept += span[keep]
        assert keep.start == context or span[0] == 0
        assert len(span) - keep.stop == context or span[-1] == frames - 1 or frames - 1 - span[keep][-1] < context
    assert kept == list(range(frames))


def test_a_long_clip_is_read_in_chunks_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    expert = AVHubertExpert(tiny.hubert(), "tiny")
    audio = tfg.audio.stacked_filterbank(tiny.clip(60).audio)
    whole = expert.encode(audio=audio)
    monkeypatch.setattr(module, "WHOLE", 40)
    monkeypatch.setattr(module, "chunks", lambda frames: chunks(frames, 40, 15))
    with pytest.warns(UserWarning, match="60 frames: tiny reads more than 40 in chunks"):
        cut = expert.encode(audio=audio)
    assert cut.shape == whole.shape
    assert np.corrcoef(cut.ravel(), whole.ravel())[0, 1] > 0.9


def test_encode_refuses_nothing_and_unequal_lengths() -> None:
    expert = AVHubertExpert(tiny.hubert(), "tiny")
    with pytest.raises(FeatureError, match="None"):
        expert.encode()
    with pytest.raises(FeatureError, match="5 frames and mouth 6"):
        expert.encode(np.zeros((5, 104), np.float32), np.zeros((6, 96, 96), np.uint8))


def test_syncnet_embeddings_are_those_of_the_network_on_the_face_crop() -> None:
    clip, track = tiny.clip(30), tiny.track(4, 28)
    expert = SyncNetExpert(tiny.syncnet(rectified=False), "tiny")
    lip, audio = expert.clip_embeddings(clip, track)
    crops = face_crops_syncnet(clip, track, size=112)
    expected = tiny.syncnet(rectified=False).embed(crops, clip.audio[4 * 640 : 28 * 640])
    np.testing.assert_allclose(lip, expected[0], atol=1e-5)
    np.testing.assert_allclose(audio, expected[1], atol=1e-5)
    assert len(lip) == len(audio) == 24 - 5
    heard, seen = expert.clip_features(clip, track)
    assert (heard == audio).all()
    assert (seen == lip).all()


def test_whole_frames_are_squashed_and_no_window_is_lost_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = tiny.clip(100)
    expert = SyncNetExpert(tiny.syncnet(rectified=False), "tiny")
    squashed = np.stack([cv2.resize(frame, (112, 112)) for frame in clip.frames])
    expected = tiny.syncnet(rectified=False).embed(squashed, clip.audio)
    monkeypatch.setattr(tfg.Clip, "blocks", lambda self, size=64: iter(np.array_split(self.frames, [1, 3, 50, 98])))
    for found, want in zip(expert.frame_embeddings(clip), expected, strict=True):
        np.testing.assert_allclose(found, want, atol=1e-5)


def test_embeddings_trained_on_a_cosine_are_put_on_the_unit_sphere() -> None:
    lip, audio = SyncNetExpert(tiny.syncnet(), "tiny").clip_embeddings(tiny.clip(20), tiny.track(0, 20))
    for rows in (lip, audio):
        norms = np.linalg.norm(rows, axis=1)
        assert np.all((np.abs(norms - 1) < 1e-4) | (norms == 0))


def test_too_few_frames_for_syncnet_are_refused() -> None:
    with pytest.raises(FeatureError, match="5 frames; SyncNet pairs need at least 6"):
        SyncNetExpert(tiny.syncnet(), "tiny").clip_embeddings(tiny.clip(20), tiny.track(2, 7))


def test_a_stream_gives_the_features_of_the_clip_it_decodes_to(tmp_path: Path) -> None:
    tfg.write_clip(tiny.clip(20), tmp_path / "noise.mp4")
    stream = tfg.open_clip(tmp_path / "noise.mp4")
    clip = stream.read()
    track = tiny.track(0, clip.n_frames)
    for expert in (AVHubertExpert(tiny.hubert(), "tiny"), SyncNetExpert(tiny.syncnet(), "tiny")):
        for a, b in zip(expert.clip_features(stream, track), expert.clip_features(clip, track), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_face_is_found_when_no_track_is_given(grid_dir: Path) -> None:
    clip = tfg.read_clip(sorted((grid_dir / "s1").glob("*.mp4"))[0])
    heard, seen = AVHubertExpert(tiny.hubert(), "tiny").clip_features(clip)
    assert heard.shape == seen.shape
    assert len(heard) > 70
