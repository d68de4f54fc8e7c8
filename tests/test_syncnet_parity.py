"""SyncNet against syncnet-python, the packaged original: same weights, same embeddings, same offset and confidence."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from scipy.io import wavfile
from synthetic_weights import hashed
from torch import nn

from tfg.audio import mfcc
from tfg.experts.syncnet import SyncNet
from tfg.media import read_clip
from tfg.metrics import lse

pytestmark = pytest.mark.parity
TOLERANCE = 1e-4
FRAMES = 46


def _peer(name: str) -> ModuleType:
    """A module of syncnet-python by its file: the package itself imports a whole pipeline that is not needed here."""
    package = importlib.util.find_spec("syncnet_python")
    if package is None or package.origin is None:
        pytest.skip("syncnet-python is not installed (pip install --no-deps syncnet-python==0.2.3)")
    pytest.importorskip("python_speech_features")
    spec = importlib.util.spec_from_file_location(name, Path(package.origin).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def peer() -> nn.Module:
    net = _peer("SyncNetModel").S().eval()
    net.load_state_dict(hashed(net))
    return net


@pytest.fixture(scope="module")
def ours(peer: nn.Module) -> SyncNet:
    net = SyncNet().eval()
    net.load_official(peer.state_dict())
    return net


def test_embeddings_of_random_windows_are_the_same(peer: nn.Module, ours: SyncNet) -> None:
    generator = torch.Generator().manual_seed(0)
    lips = torch.randint(0, 256, (3, 3, 5, 224, 224), generator=generator).float()
    sound = 10 * torch.randn(6, 1, 13, 20, generator=generator)
    with torch.no_grad():
        for net in (ours, ours.freeze()):
            torch.testing.assert_close(net.forward_lip(lips), peer.forward_lip(lips), rtol=TOLERANCE, atol=TOLERANCE)
            torch.testing.assert_close(
                net.forward_audio(sound), peer.forward_aud(sound), rtol=TOLERANCE, atol=TOLERANCE
            )


@pytest.mark.slow
def test_offset_confidence_and_distance_of_a_real_clip_are_the_same(
    peer: nn.Module, ours: SyncNet, grid_dir: Path, tmp_path: Path
) -> None:
    clip = read_clip(sorted((grid_dir / "s1").glob("*.mp4"))[0])
    top, left = (clip.height - 200) // 2, (clip.width - 200) // 2
    for i, frame in enumerate(clip.frames[:FRAMES, top : top + 200, left : left + 200]):
        cv2.imwrite(str(tmp_path / f"{i:06d}.jpg"), cv2.resize(frame[..., ::-1], (224, 224)))
    # the peer reads lossy files, so ours gets what they hold; its sound is 16-bit, so ours is that, scaled
    crops = np.stack([cv2.imread(str(path))[..., ::-1] for path in sorted(tmp_path.glob("*.jpg"))])
    pcm = np.round(clip.audio[: FRAMES * 640] * 32767).astype(np.int16)
    wavfile.write(tmp_path / "audio.wav", 16_000, pcm)

    options = SimpleNamespace(tmp_dir=str(tmp_path), batch_size=20, vshift=15)
    offset, confidence, distance = _peer("SyncNetInstance").SyncNetInstance(peer, device="cpu").evaluate(options)

    for net in (ours, ours.freeze()):
        result = lse(*net.embed(crops, pcm / np.float32(32768)), vshift=15)
        assert result.distances.shape == (FRAMES - 5, 31)
        assert result.offset == offset
        assert result.lse_d == pytest.approx(distance, abs=TOLERANCE)
        assert result.lse_c == pytest.approx(confidence, abs=TOLERANCE)


def test_cepstra_are_those_the_peer_computes(grid_dir: Path) -> None:
    features = pytest.importorskip("python_speech_features")
    clip = read_clip(sorted((grid_dir / "s1").glob("*.mp4"))[1])
    pcm = np.round(clip.audio * 32767).astype(np.int16)
    np.testing.assert_allclose(
        mfcc(pcm / np.float32(32768)), features.mfcc(pcm, 16_000), atol=TOLERANCE, rtol=TOLERANCE
    )
