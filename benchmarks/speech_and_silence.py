"""Where the mini experts lose: sync AUC of windows in speech and of windows in silence, GRID s1 validation clips.

    TFG_DATA=... python benchmarks/speech_and_silence.py PREPARED

PREPARED is a folder made by ``tfg prepare grid``. A window of five frames is silence when the word alignment calls all
of them ``sil``. Each group's windows in sync are compared with the same windows 5 to 15 frames off.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

import tfg
from tfg.datasets import grid, prepared
from tfg.training import avhubert, syncnet
from tfg.training.evaluate import MAX_SHIFT, WINDOW, cosine_by_shift


def silent_windows(clip: grid.GridClip, count: int) -> np.ndarray:
    """``bool (count,)``: windows of five frames in which nobody speaks."""
    silent = np.zeros(count + WINDOW, bool)
    for word in grid.words(clip):
        if word.text in ("sil", "sp"):
            silent[round(word.start) : round(word.stop)] = True
    return np.lib.stride_tricks.sliding_window_view(silent, WINDOW).all(axis=1)[:count]


def auc(tables: np.ndarray) -> float:
    shifts = np.abs(np.arange(-MAX_SHIFT, MAX_SHIFT + 1))
    fits, off = tables[:, MAX_SHIFT], tables[:, shifts >= 5].ravel()
    off = off[~np.isnan(off)]
    truth = np.concatenate([np.ones(len(fits)), np.zeros(len(off))])
    return float(roc_auc_score(truth, np.concatenate([fits, off])))


def main(folder: Path) -> None:
    clips = grid.split(grid.clips("s1"), "val")
    for name in ("avhubert-mini", "syncnet-mini"):
        model = tfg.load_expert(name).model
        tables, silent = [], []
        for clip in clips:
            data = prepared.load(folder / "grid-s1-val", [clip.name])[0]
            if name.startswith("avhubert"):
                pair = [avhubert.clip_features(model, data, which) for which in "av"]
                table = cosine_by_shift(*pair)
            else:
                count = data.n_frames - syncnet.WINDOW
                table = cosine_by_shift(model.embed_audio(data.mfcc)[:count], model.embed_face(data.face[:-1]), 1)
            tables.append(table)
            silent.append(silent_windows(clip, len(table)))
        table, quiet = np.concatenate(tables), np.concatenate(silent)
        print(
            f"{name}: all {auc(table):.4f}, speech {auc(table[~quiet]):.4f} ({(~quiet).sum()} windows), "
            f"silence {auc(table[quiet]):.4f} ({quiet.sum()} windows)"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
