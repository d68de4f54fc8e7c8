"""Which layer of AV-HuBERT tells lips in sync from lips that are not, and how each bears a misplaced crop.

The paper takes the last layer. For other tasks inner layers of such networks are often better, so this is measured:
chosen on validation clips, confirmed on clips that had no part in the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tfg.crops import mouth_video
from tfg.errors import MetricError
from tfg.experts.expert import AVHubertExpert
from tfg.metrics.sync import cosine_similarity
from tfg.stability.cosines import off_cosines, window_means
from tfg.stability.statistics import separation
from tfg.stress import perturb_crops

FRONT, LAST = "front ends", "last + norm"
SHIFTS = (0.0, 8.0, 16.0)  # percent of the face's width

Float = NDArray[np.float32]
Inputs = tuple[Float, NDArray[np.uint8]]


def layer_names(hubert: AVHubertExpert) -> list[str]:
    """From the inputs to the output: ``front ends``, ``1``, ``2``, ..., ``last + norm``."""
    return [FRONT, *(str(number) for number in range(1, hubert.model.config.layers + 1)), LAST]


@torch.inference_mode()
def layer_features(hubert: AVHubertExpert, audio: Float, mouth: NDArray[np.uint8]) -> dict[str, tuple[Float, Float]]:
    """``(F_A, F_V)`` of one clip at every layer, each ``float32 (T, D)``.

    ``front ends`` are what the two modalities bring to the fusion. They were never asked to agree with each other, so
    their cosine shows what chance looks like.

    :param audio: ``(T, 104)`` and ``mouth`` ``uint8 (T, 96, 96)``, as :meth:`AVHubertExpert.inputs` gives them.
    """
    model = hubert.model
    sound = model.audio_front(torch.from_numpy(audio)[None].to(hubert.device))
    lips = model.video_front(torch.from_numpy(mouth_video(mouth))[None].to(hubert.device))
    found = {FRONT: (sound, lips)}
    for number, name in enumerate(layer_names(hubert)[1:], 1):
        layer = None if name == LAST else number
        found[name] = (
            model.fuse_and_encode(sound, None, layer=layer),
            model.fuse_and_encode(None, lips, layer=layer),
        )
    return {name: (a[0].float().cpu().numpy(), v[0].float().cpu().numpy()) for name, (a, v) in found.items()}


def compare_layers(
    hubert: AVHubertExpert, clips: Sequence[Inputs], shifts: Sequence[float] = SHIFTS
) -> dict[str, dict[str, Any]]:
    """Per layer: how far windows of five frames in sync lie from windows 5 to 15 frames off, over all clips.

    :param clips: ``(audio, mouth)`` of clips in sync.
    :param shifts: by which the mouth crop is moved, in percent of the face's width; the first is 0.
    :returns: layer -> ``auc``, ``d_prime``, ``matching``, ``off`` (:func:`tfg.stability.separation`), and
        ``auc_shifted``: one AUC per shift.
    :raises MetricError: no clips, or the first shift is not 0.
    """
    if not clips or not len(shifts) or shifts[0] != 0:
        raise MetricError(f"{len(clips)} clips and shifts {list(shifts)}; expected clips, and 0 as the first shift")
    names = layer_names(hubert)
    matching: dict[tuple[str, float], list[Float]] = {(name, shift): [] for name in names for shift in shifts}
    off: dict[tuple[str, float], list[Float]] = {key: [] for key in matching}
    for audio, mouth in clips:
        for shift in shifts:
            features = layer_features(hubert, audio, perturb_crops(mouth, "shift_x", shift))
            for name, (heard, seen) in features.items():
                matching[name, shift].append(window_means(cosine_similarity(heard, seen), 1, 5))
                off[name, shift].append(off_cosines(heard, seen, 1))
    result: dict[str, dict[str, Any]] = {}
    for name in names:
        by_shift = [separation(np.concatenate(matching[name, s]), np.concatenate(off[name, s])) for s in shifts]
        result[name] = {**by_shift[0]._asdict(), "auc_shifted": [found.auc for found in by_shift]}
    return result


def best_layer(validation: Sequence[Mapping[str, Mapping[str, Any]]]) -> str:
    """The layer with the largest d', averaged over validation sets.

    d' and not AUC, because on a talker that the expert knows several layers reach an AUC of nearly 1.

    :param validation: one result of :func:`compare_layers` per set.
    :raises MetricError: no sets.
    """
    if not validation:
        raise MetricError("no validation sets; expected at least one result of compare_layers")
    means = {name: float(np.mean([found[name]["d_prime"] for found in validation])) for name in validation[0]}
    return max(means, key=lambda name: means[name])
