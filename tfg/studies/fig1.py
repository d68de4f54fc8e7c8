"""Figure 1: cosine and sync loss of pairs that belong together, window by window, on whole sets of clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfg import stability
from tfg.datasets import grid
from tfg.metrics.sync import cosine_similarity
from tfg.stability.cosines import Float
from tfg.stability.prepared import prepared_features
from tfg.studies.setup import KNOWN, UNSEEN, Setup

SETS = (KNOWN, UNSEEN, "studio-val", "studio-test")
BINS = np.round(np.arange(-1, 1.01, 0.05), 2)  # of cosines
LOSS_BINS = np.round(np.arange(0, 14.01, 0.1), 2)
SHOWN = 4  # clips whose course is kept for the figure


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """Per set of clips and expert: :func:`summary` of all windows; for the known talker also of those within the
    sentence (``speech``) and of the rest (``silence``)."""
    experts = setup.titled()
    figures: dict[str, Any] = {}
    used = {}
    for name in SETS:
        clips = setup.prepared_clips(name)
        used[name] = len(clips)
        figures[name] = {}
        for key, expert in experts.items():
            seen = stability.frames_seen(expert)
            matching, off = [], []
            for clip in clips:
                setup.progress(f"{key} on {clip.name}")
                audio, video = prepared_features(expert, clip)
                matching.append(stability.window_means(cosine_similarity(audio, video), seen, 5))
                off.append(stability.off_cosines(audio, video, seen))
            figures[name][key] = summary(matching, off)
            if name == KNOWN:
                spoken = [speech(clip.name, len(m), setup.corpus) for clip, m in zip(clips, matching, strict=True)]
                inside = np.concatenate(spoken)
                pooled, apart = np.concatenate(matching), np.concatenate(off)
                figures[name][key]["speech"] = spread(pooled[inside], apart)
                figures[name][key]["silence"] = spread(pooled[~inside], apart)
    return figures, used


def spread(matching: Float, off: Float) -> dict[str, Any]:
    """Spread of the cosines and losses of some windows in sync, and how far they lie from windows that are off."""
    return {
        "cosine": stability.describe_cosines(matching),
        "loss": stability.describe_losses(stability.sync_loss(matching)),
        "separation": stability.separation(matching, off)._asdict(),
    }


def speech(name: str, windows: int, corpus: Path | None) -> NDArray[np.bool_]:
    """Which windows of a GRID clip lie within its sentence; the others touch the silence before or after it."""
    _, speaker, code = name.split("-")
    folder = corpus or grid.root()
    words = [word for word in grid.words(grid.GridClip(Path(code), speaker, code), folder) if word.text != "sil"]
    first = np.arange(windows)
    return (first >= words[0].start) & (first + 5 <= words[-1].stop)


def summary(matching: list[Float], off: list[Float]) -> dict[str, Any]:
    """All that is said of an expert on a set of clips.

    :param matching: per clip, cosines of windows in sync.
    :param off: per clip, cosines of windows 5 to 15 frames off.
    :returns: ``cosine``, ``loss`` (:func:`tfg.stability.describe_cosines`, ``describe_losses``), ``separation``;
        ``within_clip_std`` (mean over clips) and ``between_clips_std`` (of the clips' means); counts of histograms
        over :data:`BINS` and :data:`LOSS_BINS`; the course of a few clips.
    """
    pooled, apart = np.concatenate(matching), np.concatenate(off)
    losses = stability.sync_loss(pooled)
    return spread(pooled, apart) | {
        "within_clip_std": float(np.mean([values.std() for values in matching])),
        "between_clips_std": float(np.std([values.mean() for values in matching])),
        "histogram": np.histogram(pooled, BINS)[0],
        "histogram_off": np.histogram(apart, BINS)[0],
        "histogram_loss": np.histogram(losses, LOSS_BINS)[0],
        "courses": [np.round(values, 3) for values in matching[:: max(1, len(matching) // SHOWN)][:SHOWN]],
    }
