"""Window by window, how much do lips and sound of one moment agree, and what loss is made of it?

Both experts are brought to one footing: a *window* of ``k`` video frames has one cosine. A row of AV-HuBERT's features
belongs to one frame, so ``k`` rows are averaged; a row of SyncNet's has seen five frames, so ``k - 4`` rows cover
``k`` frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tfg.clip import VideoSource
from tfg.errors import FeatureError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.experts.syncnet import WINDOW
from tfg.faces import FaceTrack
from tfg.metrics.sync import cosine_similarity

Float = NDArray[np.float32]
Expert = AVHubertExpert | SyncNetExpert

FLOOR = 1e-6  # cosines below it count as this in the loss: -log 0 is infinite
NEAREST, FARTHEST = 5, 15  # frames that lips and sound of an "off" pair are apart


def frames_seen(expert: Expert) -> int:
    """Frames that one row of the expert's features stands for: 5 for SyncNet, 1 for AV-HuBERT."""
    return WINDOW if isinstance(expert, SyncNetExpert) else 1


def window_means(values: NDArray[np.floating], frames_per_value: int, window: int | None) -> Float:
    """Means over windows of ``window`` frames, one window beginning with each value.

    :param values: ``(N,)``, one per row of an expert's features.
    :param frames_per_value: :func:`frames_seen`.
    :param window: frames; None for the whole clip.
    :returns: ``float32 (W,)``; one value for the whole clip.
    :raises FeatureError: a window shorter than what one value has seen, or longer than the clip.
    """
    covered = len(values) + frames_per_value - 1
    span = len(values) if window is None else window - frames_per_value + 1
    if not 1 <= span <= len(values):
        raise FeatureError(
            f"window is {window} frames; expected {frames_per_value} (what one value has seen) to {covered}, or None"
        )
    return np.lib.stride_tricks.sliding_window_view(values, span).mean(axis=-1).astype(np.float32)


def matching_cosines(
    expert: Expert, clip: VideoSource, track: FaceTrack | None = None, window: int | None = WINDOW
) -> Float:
    """Cosine similarity of lips and sound as they are, window by window.

    :param clip: a video whose sound is in sync.
    :param track: the face; by default the most prominent speaking one.
    :param window: frames; None for the whole clip. AV-HuBERT always *reads* the whole clip; its cosines are averaged.
    :returns: ``float32 (W,)`` in [-1, 1]; ([0, 1] for an expert with rectified heads).
    :raises NoFaceError: no face in the video.
    :raises FeatureError: see :func:`window_means`.
    """
    audio, video = expert.clip_features(clip, track)
    return window_means(cosine_similarity(audio, video), frames_seen(expert), window)


def off_cosines(audio: Float, video: Float, frames_per_value: int, window: int | None = WINDOW) -> Float:
    """The same cosines for pairs that do *not* belong together: the sound is from 5 to 15 frames away, either way.

    :param audio: F_A ``(N, D)`` of :meth:`clip_features`.
    :param video: F_V ``(N, D)``.
    :param frames_per_value: :func:`frames_seen` of the expert.
    :returns: ``float32 (M,)``, all windows at all such distances that the clip allows.
    :raises FeatureError: the clip is too short for any.
    """
    found = []
    for apart in range(NEAREST, FARTHEST + 1):
        if len(audio) - apart < 1:
            break
        for sound, lips in ((audio[apart:], video[:-apart]), (audio[:-apart], video[apart:])):
            cosines = cosine_similarity(sound, lips)
            if window is None or len(cosines) + frames_per_value - 1 >= window:
                found.append(window_means(cosines, frames_per_value, window))
    if not found:
        raise FeatureError(
            f"{len(audio)} rows of features give no window of {window} frames that is {NEAREST} frames off: "
            "use a longer clip or a shorter window"
        )
    return np.concatenate(found)


def sync_loss(cosines: NDArray[np.floating], floor: float = FLOOR) -> Float:
    """``-log CS`` of each window, the loss of a pair that should match.

    It is the paper's loss for AV-HuBERT, and also what is left of Wav2Lip's binary cross-entropy on SyncNet's cosine
    when the answer is "match": ``BCE(CS, 1) = -log CS``. So one function serves both experts.

    :param floor: in the place of smaller (and negative) cosines, whose logarithm does not exist.
    :returns: ``float32``, nats, at most ``-log(floor)``: 13.8.
    """
    return -np.log(np.maximum(cosines, floor)).astype(np.float32)
