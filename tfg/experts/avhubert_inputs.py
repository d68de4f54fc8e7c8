"""What AV-HuBERT takes, and what to do about arrays that are something else."""

from __future__ import annotations

import torch
from torch import Tensor

from tfg.errors import FeatureError

#: Side of the normalised mouth crop, in pixels (`tfg.crops.mouth_video`).
MOUTH_SIZE = 88
#: Values per frame of the stacked filterbank (`tfg.audio.stacked_filterbank`): 4 x 26.
AUDIO_SIZE = 104


def check_inputs(
    audio: Tensor | None, video: Tensor | None, padding_mask: Tensor | None, layer: int | None, layers: int
) -> None:
    """Raise `FeatureError` unless the arguments fit `AVHubert.features`."""
    given = {name: x for name, x in (("audio", audio), ("video", video)) if x is not None}
    if not given:
        raise FeatureError("give audio, video or both; got neither")
    for name, x in given.items():
        if not x.is_floating_point():
            advice = "tfg.crops.mouth_video makes it: (x/255 - 0.421) / 0.165" if name == "video" else "use float32"
            raise FeatureError(f"{name} has type {x.dtype}, expected a float type; {advice}")
    if audio is not None and (audio.ndim != 3 or audio.shape[2] != AUDIO_SIZE):
        raise FeatureError(
            f"audio has shape {tuple(audio.shape)}, expected (B, T, {AUDIO_SIZE}); {_audio_advice(audio)}"
        )
    if video is not None and (video.ndim != 4 or video.shape[2:] != (MOUTH_SIZE, MOUTH_SIZE)):
        size = f"(B, T, {MOUTH_SIZE}, {MOUTH_SIZE})"
        raise FeatureError(f"video has shape {tuple(video.shape)}, expected {size}; {_video_advice(video)}")
    shapes = {name: tuple(x.shape[:2]) for name, x in given.items()}
    if len(set(shapes.values())) > 1:
        raise FeatureError(
            f"audio and video have different (B, T): {shapes}; cut or pad the audio to the video's frames "
            "(tfg.audio.stacked_filterbank gives one row per 640 samples, one video frame)"
        )
    batch_time = next(iter(shapes.values()))
    if 0 in batch_time:
        raise FeatureError(f"there is nothing to encode: (B, T) is {batch_time}")
    if padding_mask is not None:
        if tuple(padding_mask.shape) != batch_time or padding_mask.dtype != torch.bool:
            raise FeatureError(
                f"padding_mask is {padding_mask.dtype} of shape {tuple(padding_mask.shape)}, expected torch.bool of "
                f"shape {batch_time}, True where there is no frame"
            )
        if bool(padding_mask.all(dim=1).any()):
            raise FeatureError(
                "padding_mask marks every frame of a clip as padding; it is True where there is NO frame"
            )
    if layer is not None and not 1 <= layer <= layers:
        raise FeatureError(f"layer is {layer}, expected 1..{layers}, or None for the last layer and its final norm")


def _audio_advice(audio: Tensor) -> str:
    if audio.ndim == 2 and audio.shape[-1] == AUDIO_SIZE:
        return "add the batch axis: audio[None]"
    if audio.ndim == 3 and audio.shape[1] == AUDIO_SIZE:
        return "time comes before the 104 values here: audio.transpose(1, 2)"
    if audio.shape[-1] == AUDIO_SIZE // 4:
        return "four consecutive rows of 26 log filter energies make one frame: tfg.audio.stacked_filterbank"
    return "tfg.audio.stacked_filterbank makes it from a waveform"


def _video_advice(video: Tensor) -> str:
    if video.ndim == 3:
        return "add the batch axis: video[None]"
    if video.ndim == 5 and video.shape[1] == 1:
        return "there is no channel axis here: video[:, 0]"
    return "tfg.crops.mouth_video cuts the centre 88 x 88 of the mouth crops and normalises it"
