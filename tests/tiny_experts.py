"""Tiny random experts, a synthetic talking clip and its face track: the whole way from video to scores in a second."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from tfg.audio import stacked_filterbank
from tfg.clip import Clip
from tfg.experts.avhubert import AVHubert, AVHubertConfig
from tfg.experts.checkpoints import save_weights
from tfg.experts.expert import AVHubertExpert
from tfg.experts.syncnet import SyncNet, SyncNetConfig
from tfg.faces import FaceTrack

SIZE = 128
HUBERT = AVHubertConfig(
    width=4, video_pool=4, embed_dim=16, layers=2, heads=2, ffn_dim=32,
    pos_kernel=8, pos_groups=2, final_dim=8, n_classes=6, dropout=0.0, layerdrop=0.0,
)  # fmt: skip
SYNCNET = SyncNetConfig(
    image_size=112, lip_widths=(4, 4, 4, 4, 4, 8), audio_widths=(4, 4, 4, 4, 4, 8), embed_dim=12,
    last_lip_pool=False, pixel_scale=1 / 255, rectified=True,
)  # fmt: skip


def hubert() -> AVHubert:
    torch.manual_seed(0)
    return AVHubert(HUBERT).eval()


def syncnet(**changes: object) -> SyncNet:
    torch.manual_seed(0)
    return SyncNet(dataclasses.replace(SYNCNET, **changes)).eval()  # type: ignore[arg-type]


def save(folder: Path) -> tuple[Path, Path]:
    """Both tiny experts as files with cards: ``avhubert-tiny.safetensors``, ``syncnet-tiny.safetensors``."""
    cards = [
        {"kind": "avhubert", "config": dataclasses.asdict(HUBERT)},
        {"kind": "syncnet", "config": dataclasses.asdict(SYNCNET)},
    ]
    first = save_weights(hubert().state_dict(), folder / "avhubert-tiny.safetensors", cards[0])
    return first, save_weights(syncnet().state_dict(), folder / "syncnet-tiny.safetensors", cards[1])


def clip(frames: int = 60, seed: int = 0) -> Clip:
    """Noise that changes from frame to frame, in picture and sound."""
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 256, (frames, SIZE, SIZE, 3), dtype=np.uint8)
    loud = np.repeat(random.uniform(0.05, 0.5, frames), 640)
    sound = (loud * random.uniform(-1, 1, 640 * frames)).astype(np.float32)
    return Clip(pictures, sound, source="noise")


def track(
    start: int, stop: int, at: float = 64, observed: np.ndarray | None = None, prominence: float = 1.0
) -> FaceTrack:
    """A still face centred at ``x = at``: stable points of a plausible face, the mouth below."""
    random = np.random.default_rng(0)
    points = random.uniform(-20, 20, (68, 2)) + np.array((at, 64))
    points[[33, 36, 39, 42, 45]] = np.array([(0, 8), (-18, -10), (-7, -10), (7, -10), (18, -10)]) + np.array((at, 64))
    points[48:] = random.uniform(-6, 6, (20, 2)) + np.array((at, 82))
    n = stop - start
    return FaceTrack(
        start=start,
        stop=stop,
        landmarks=np.repeat(points[None], n, 0).astype(np.float32),
        observed=np.ones(n, bool) if observed is None else observed,
        prominence=prominence,
    )


class Oracle(AVHubertExpert):
    """Hears what there is, and sees what *should* be heard: the filterbank of the undelayed sound."""

    def __init__(self, truth: Clip) -> None:
        super().__init__(hubert(), "oracle")
        self.truth = stacked_filterbank(truth.audio)

    def encode(self, audio: np.ndarray | None = None, mouth: np.ndarray | None = None) -> np.ndarray:
        return audio if mouth is None else self.truth[: len(mouth)]  # type: ignore[return-value]
