"""AVS_u, AVS_m, AVS_v: the paper's three synchronisation metrics, their chance level, and the delay they point to.

All of them are one formula, the cosine similarity ``CS`` of two feature sequences frame by frame, then the mean
over frames; they differ in what is compared:

==========  ===============================  ==============================  =====================
metric      one side                         other side                      needs a ground truth
==========  ===============================  ==============================  =====================
``avs_u``   audio                            generated lips                  no
``avs_m``   audio and generated lips         audio and ground-truth lips     yes
``avs_v``   generated lips                   ground-truth lips               yes
==========  ===============================  ==============================  =====================

Source: Yaman et al., CVPRW 2024 (arXiv 2405.04327), section 3.3. The paper leaves the order of averaging open; here
and in the outside implementation that cites it, the cosine is taken per frame and then averaged over frames, then
over clips. Features are layer-normalised and share a mean direction, so unrelated pairs do not score 0:
never read a value without its :func:`chance_level` beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tfg.errors import MetricError

FPS = 25.0
MIN_SHIFT = 25  # frames (1 s) that a pair is pulled apart by for the chance level
NEAREST, FARTHEST = 5, 15  # frames that the pairs of sync_auc are pulled apart by
_TINY = 1e-16  # squared norm under which a feature counts as zero

Features = NDArray[np.floating] | Tensor
ArrayOrTensor = TypeVar("ArrayOrTensor", NDArray[np.floating], Tensor)
Metric = Callable[..., float]


def _as_tensor(features: Features, name: str) -> Tensor:
    if isinstance(features, Tensor):
        tensor = features
    elif isinstance(features, np.ndarray):
        tensor = torch.from_numpy(np.ascontiguousarray(features))
    else:
        raise MetricError(f"{name} is a {type(features).__name__}; expected a NumPy array or a torch tensor")
    if tensor.ndim not in (2, 3):
        raise MetricError(f"{name} has shape {tuple(tensor.shape)}; expected (T, D) or (B, T, D)")
    if not tensor.is_floating_point():
        raise MetricError(f"{name} has dtype {tensor.dtype}; expected floating point features")
    if tensor.numel() == 0:
        raise MetricError(f"{name} has shape {tuple(tensor.shape)}: no frames to compare")
    if not bool(torch.isfinite(tensor.detach()).all()):
        raise MetricError(f"{name} contains NaN or infinite values; a similarity of them means nothing")
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _pair(a: Features, b: Features) -> tuple[Tensor, Tensor]:
    x, y = _as_tensor(a, "the first sequence"), _as_tensor(b, "the second sequence")
    if x.shape != y.shape:
        raise MetricError(
            f"the sequences have shapes {tuple(x.shape)} and {tuple(y.shape)}; expected the same: "
            "trim both to their common frames first (they must start at the same time)"
        )
    if x.device != y.device:
        raise MetricError(f"the sequences are on {x.device} and {y.device}; expected one device")
    return x, y


def cosine_similarity(a: ArrayOrTensor, b: ArrayOrTensor, window: int = 1) -> ArrayOrTensor:
    """``CS(a, b)``, the paper's symbol: cosine similarity per frame, or per window of ``window`` frames.

    :param a: features ``(T, D)`` or ``(B, T, D)``, NumPy or torch.
    :param b: features of the same shape.
    :param window: ``k`` consecutive frames whose features are laid end to end before the cosine (1: per frame).
    :returns: ``(T - k + 1,)`` or ``(B, T - k + 1)`` in [-1, 1], of the inputs' kind; a tensor keeps its gradient.
        An all-zero feature has similarity 0 to everything (and no gradient).
    :raises MetricError: other shapes, integer dtype, no frames, NaN, or fewer frames than ``window``.
    """
    x, y = _pair(a, b)
    frames = x.shape[-2]
    if not 1 <= window <= frames:
        raise MetricError(f"window is {window} frames for a clip of {frames}; expected 1 to {frames}")
    # sums over the window of products and squared norms equal those of the concatenated features
    products = torch.stack([(x * y).sum(-1), (x * x).sum(-1), (y * y).sum(-1)])
    if window > 1:
        products = products.unfold(-1, window, 1).sum(-1)
    dot, xx, yy = products
    similarity = (dot / (xx.clamp_min(_TINY).sqrt() * yy.clamp_min(_TINY).sqrt())).clamp(-1, 1)
    return similarity if isinstance(a, Tensor) else similarity.numpy()


def _mean_similarity(a: ArrayOrTensor, b: ArrayOrTensor, window: int) -> float | ArrayOrTensor:
    similarity = cosine_similarity(a, b, window)
    return float(similarity.mean()) if similarity.ndim == 1 else similarity.mean(-1)


def avs_u(audio_feats: ArrayOrTensor, video_feats: ArrayOrTensor, window: int = 1) -> float | ArrayOrTensor:
    """AVS_u, unsupervised: does the audio agree with the generated lips? ``mean_t CS(F(audio, -)_t, F(-, video)_t)``.

    :param audio_feats: audio-only features ``(T, D)``, or ``(B, T, D)``.
    :param video_feats: video-only features of the generated clip, same shape.
    :param window: see :func:`cosine_similarity`.
    :returns: a float in [-1, 1], higher is better; for a batch, one value per clip ``(B,)``.
    :raises MetricError: see :func:`cosine_similarity`.
    """
    return _mean_similarity(audio_feats, video_feats, window)


def avs_m(av_gen_feats: ArrayOrTensor, av_gt_feats: ArrayOrTensor, window: int = 1) -> float | ArrayOrTensor:
    """AVS_m, multimodal: ``mean_t CS(F(audio, generated)_t, F(audio, ground truth)_t)``.

    :param av_gen_feats: audio-visual features of the generated clip, ``(T, D)`` or ``(B, T, D)``.
    :param av_gt_feats: audio-visual features of the real clip with the same audio, same shape.
    :returns: as :func:`avs_u`; 1 means that the expert cannot tell the two apart.
    :raises MetricError: see :func:`cosine_similarity`.
    """
    return _mean_similarity(av_gen_feats, av_gt_feats, window)


def avs_v(gen_video_feats: ArrayOrTensor, gt_video_feats: ArrayOrTensor, window: int = 1) -> float | ArrayOrTensor:
    """AVS_v, visual: ``mean_t CS(F(-, generated)_t, F(-, ground truth)_t)``.

    :param gen_video_feats: video-only features of the generated clip, ``(T, D)`` or ``(B, T, D)``.
    :param gt_video_feats: video-only features of the real clip, same shape.
    :returns: as :func:`avs_u`; 1 means that the lips carry the same speech frame by frame.
    :raises MetricError: see :func:`cosine_similarity`.
    """
    return _mean_similarity(gen_video_feats, gt_video_feats, window)


def _trim(a: Features, b: Features) -> tuple[Features, Features]:
    frames = min(len(a), len(b))
    return a[:frames], b[:frames]


def chance_level(
    metric: Metric,
    a: Features | Sequence[Features],
    b: Features | Sequence[Features],
    seed: int = 0,
    n: int = 20,
    min_shift: int = MIN_SHIFT,
) -> float:
    """The value of ``metric`` when nothing is in sync: the mean of :func:`chance_values`, whose parameters it takes."""
    return float(chance_values(metric, a, b, seed, n, min_shift).mean())


def chance_values(
    metric: Metric,
    a: Features | Sequence[Features],
    b: Features | Sequence[Features],
    seed: int = 0,
    n: int = 20,
    min_shift: int = MIN_SHIFT,
) -> NDArray[np.float64]:
    """``metric`` of ``n`` mismatched pairs: what it gives when nothing is in sync.

    Two ways to mismatch, chosen by what is given:

    - **one clip** (arrays ``(T, D)``): ``b`` is rotated in time by at least ``min_shift`` frames either way, so the
      pair keeps talker, light and speaking rate, and loses only the timing. Uses every such shift when there are
      no more than ``n``.
    - **several clips** (two lists of arrays): ``a`` of one clip against ``b`` of another, trimmed to the shorter.

    The two answer different questions. Rotation sets silence against speech, so it is the lower one where clips begin
    and end in silence; other clips keep what all clips of a corpus have in common. On GRID, whose sentences are spoken
    to one rhythm, an AV-HuBERT mini that gives true pairs 0.64 gave rotated ones -0.01 and other clips 0.22.

    :param metric: a function of two sequences, such as :func:`avs_u`.
    :param a: features, or a list of one array per clip.
    :param b: the same, in the same order.
    :param seed: of the random choice of shifts or clips.
    :param n: pairs to draw.
    :param min_shift: frames; 25 (one second) is far beyond the few frames over which speech still resembles itself.
    :returns: one value per mismatched pair, at most ``n``.
    :raises MetricError: a clip shorter than ``2 * min_shift``, or fewer than two clips in a list.
    """
    if n < 1:
        raise MetricError(f"n is {n}; expected at least one mismatched pair")
    draw = np.random.default_rng(seed)
    if isinstance(a, np.ndarray | Tensor) and isinstance(b, np.ndarray | Tensor):
        x, y = _pair(a, b)
        if x.ndim != 2:
            raise MetricError(f"the sequences have shape {tuple(x.shape)}; expected one clip (T, D), or two lists")
        if min_shift < 1:
            raise MetricError(f"min_shift is {min_shift}; a shift of 0 frames would be the true pair")
        shifts = np.arange(min_shift, len(x) - min_shift + 1)
        if len(shifts) == 0:
            raise MetricError(
                f"the clip has {len(x)} frames; a shift of at least {min_shift} frames either way needs "
                f"{2 * min_shift}: pass a smaller min_shift, or lists of features of several clips"
            )
        chosen = shifts if len(shifts) <= n else draw.choice(shifts, n, replace=False)
        return np.array([metric(x, torch.roll(y, int(shift), 0)) for shift in chosen])
    clips_a, clips_b = list(a), list(b)
    if len(clips_a) != len(clips_b) or len(clips_a) < 2:
        raise MetricError(
            f"there are {len(clips_a)} and {len(clips_b)} clips; expected two lists of the same length, at least 2"
        )
    pairs = [draw.choice(len(clips_a), 2, replace=False) for _ in range(n)]
    return np.array([metric(*_trim(clips_a[i], clips_b[j])) for i, j in pairs])


class OffsetSearch(NamedTuple):
    """Where two feature sequences agree best in time (see :func:`offset_search`)."""

    offset: int  #: frames; positive: the audio is early
    peak: float  #: mean cosine similarity at that offset
    offsets: NDArray[np.int64]  #: the offsets tried, ascending
    similarity: NDArray[np.float64]  #: mean cosine similarity at each of them


def offset_search(audio_feats: Features, video_feats: Features, max_offset: int = 15) -> OffsetSearch:
    """The delay at which AVS_u peaks: ``argmax_o mean_t CS(video_t, audio_{t-o})`` over the frames that overlap.

    AVS_u itself has no such search, which is why it sees a delay that LSE-D and LSE-C forgive.

    :param audio_feats: audio-only features ``(T, D)``.
    :param video_feats: video-only features ``(T, D)``.
    :param max_offset: frames to try either way; at most ``T // 2``, so that half the clip is always compared.
    :returns: :class:`OffsetSearch`; ties go to the smaller delay.
    :raises MetricError: see :func:`cosine_similarity`; ``max_offset < 0``.
    """
    audio, video = _pair(audio_feats, video_feats)
    if audio.ndim != 2:
        raise MetricError(f"the sequences have shape {tuple(audio.shape)}; expected one clip (T, D)")
    if max_offset < 0:
        raise MetricError(f"max_offset is {max_offset}; expected 0 or more frames")
    frames = len(audio)
    reach = min(max_offset, frames // 2)
    offsets = np.arange(-reach, reach + 1)
    similarity = np.empty(len(offsets))
    for index, offset in enumerate(offsets.tolist()):
        similarity[index] = float(_at_offset(audio, video, offset).mean())
    order = np.lexsort((np.abs(offsets), -similarity))
    best = int(order[0])
    return OffsetSearch(int(offsets[best]), float(similarity[best]), offsets, similarity)


def _at_offset(audio: Tensor, video: Tensor, offset: int) -> NDArray[np.floating]:
    """Cosine of each frame of the lips with the sound ``offset`` frames before it, where there is one."""
    frames = len(audio)
    ahead, behind = max(offset, 0), max(-offset, 0)
    return cosine_similarity(audio[behind : frames - ahead].detach(), video[ahead : frames - behind].detach()).numpy()


def sync_auc(audio_feats: Features, video_feats: Features, offset: int = 0, window: int = 5) -> float:
    """How surely the expert tells, within one clip, the sound of ``offset`` from sound 5 to 15 frames away from it.

    The probability that a window at ``offset`` has a larger cosine than one pulled 5 to 15 frames (0.2 to 0.6 s) apart,
    earlier or later: the area under the ROC curve. It is ``auc_5`` of an expert's card for one clip. Unlike the
    distance of AVS_u from :func:`chance_level`, it has a scale (0.5 is chance, 1 is certainty, about 0.64 half a
    standard deviation) that is the same for every expert and length. Pulled only this far, speech mostly meets
    speech and silence silence, so that an expert cannot reach it by telling the one from the other.

    :param audio_feats: audio-only features ``(T, D)``.
    :param video_feats: video-only features ``(T, D)``.
    :param offset: frames as :func:`offset_search` gives them; 0 judges the clip as it is.
    :param window: frames over which the per-frame cosine is averaged.
    :returns: in [0, 1]; clearly below 0.5 when one of the other delays fits better.
    :raises MetricError: see :func:`cosine_similarity`; or too short for one window that is 5 frames apart.
    """
    audio, video = _pair(audio_feats, video_feats)
    if audio.ndim != 2:
        raise MetricError(f"the sequences have shape {tuple(audio.shape)}; expected one clip (T, D)")
    frames, smooth = len(audio), np.full(window, 1 / window)
    reach = frames - window  # the largest offset that leaves a window
    apart = [offset + sign * far for far in range(NEAREST, FARTHEST + 1) for sign in (-1, 1)]
    apart = [other for other in apart if abs(other) <= reach]
    if abs(offset) > reach or not apart:
        raise MetricError(
            f"the clip has {frames} frames; expected at least {abs(offset) + NEAREST + window} for windows of {window} "
            f"frames at offset {offset} and {NEAREST} frames from it"
        )
    own = np.convolve(_at_offset(audio, video, offset), smooth, "valid")
    others = np.sort(np.concatenate([np.convolve(_at_offset(audio, video, o), smooth, "valid") for o in apart]))
    below = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")  # a tie counts half
    return float(below.mean() / (2 * len(others)))


def offset_words(offset: int) -> str:
    """An offset in words: ``3 -> "audio 120 ms early"``, ``-2 -> "audio 80 ms late"``, ``0 -> "in sync"``."""
    milliseconds = round(abs(offset) * 1000 / FPS)
    if offset == 0:
        return "in sync"
    return f"audio {milliseconds} ms {'early' if offset > 0 else 'late'}"
