"""Every metric on the videos of ADTH-QA, beside what people said of them: for the question whether the two agree.

Evaluation only: nothing is trained on these videos, and no layer, threshold or protocol is chosen by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfg.clip import FPS, Clip
from tfg.datasets import adthqa
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.faces import FaceTrack
from tfg.media import read_clip
from tfg.metrics.identity import identity_similarity
from tfg.metrics.image import common_frames, ms_ssim, psnr, ssim
from tfg.metrics.landmarks import landmark_distance
from tfg.metrics.report import score
from tfg.metrics.seen import Seen
from tfg.studies.setup import AVHUBERT, SYNCNET, Setup
from tfg.study.votes import Counts, Vote, of, tables

REAL = "real"


class Measure(NamedTuple):
    """A metric as it is compared with people."""

    title: str
    sign: int  #: +1: higher is better; -1: lower
    about: str


#: Which way is better follows from each definition, never from the votes.
METRICS: Mapping[str, Measure] = {
    "avs_u": Measure("AVS_u", 1, "sync"),
    "avs_m": Measure("AVS_m", 1, "sync, needs the real video"),
    "avs_v": Measure("AVS_v", 1, "sync, needs the real video"),
    "avs_u_at_offset": Measure("AVS_u, delay undone", 1, "sync"),
    "avs_u_auc": Measure("AUC in the clip", 1, "sync"),
    "lse_c_lrs": Measure("LSE-C, whole frame", 1, "sync"),
    "lse_d_lrs": Measure("LSE-D, whole frame", -1, "sync"),
    "lse_c_tracks": Measure("LSE-C, face", 1, "sync"),
    "lse_d_tracks": Measure("LSE-D, face", -1, "sync"),
    "offset_avs": Measure("|offset| by AV-HuBERT", -1, "sync"),
    "offset_tracks": Measure("|offset| by SyncNet", -1, "sync"),
    "lmd": Measure("LMD, mouth", -1, "shape, needs the real video"),
    "psnr": Measure("PSNR", 1, "picture, needs the real video"),
    "ssim": Measure("SSIM", 1, "picture, needs the real video"),
    "ms_ssim": Measure("MS-SSIM", 1, "picture, needs the real video"),
    "identity": Measure("Face identity", 1, "picture, needs the real video"),
}
SYNC = tuple(name for name, measure in METRICS.items() if measure.about.startswith("sync"))


class Studied(NamedTuple):
    """The contents of the result file, as arrays."""

    subjects: list[str]
    methods: list[str]
    scores: dict[str, NDArray[np.float64]]  #: metric -> ``(S, M)``, as it is
    real: dict[str, NDArray[np.float64]]  #: metric -> ``(S,)`` of the real videos; NaN where it needs them itself
    votes: list[Vote]

    def tables(self, dimension: str) -> tuple[Counts, Counts]:
        """Wins and ties ``(S, M, M)`` of one question, in the order of ``subjects`` and ``methods``."""
        names, wins, ties = tables(of(self.votes, dimension), self.methods)
        order = [names.index(subject) for subject in self.subjects]
        return wins[order], ties[order]

    def better(self, metric: str) -> NDArray[np.float64]:
        """A metric's scores ``(S, M)`` turned so that more is better."""
        return METRICS[metric].sign * self.scores[metric]


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """:func:`scores_of` the videos with the mini experts, and the votes, which are published facts."""
    folder = adthqa.root()
    subjects = adthqa.subjects(folder)[: setup.most]
    hubert, syncnet = (setup.experts()[name] for name in (AVHUBERT, SYNCNET))
    assert isinstance(hubert, AVHubertExpert)
    assert isinstance(syncnet, SyncNetExpert)
    clips = {}
    for subject in subjects:
        setup.progress(subject)
        clips[subject] = scores_of(subject, hubert, syncnet, setup.seed, folder)
    votes = [list(vote[:6]) for vote in adthqa.votes(folder) if vote.subject in subjects]
    return {"clips": clips, "votes": votes}, {"adthqa": len(subjects) * (1 + len(adthqa.METHODS))}


def scores_of(
    subject: str, hubert: AVHubertExpert, syncnet: SyncNetExpert, seed: int = 0, folder: Path | None = None
) -> dict[str, dict[str, float | None]]:
    """All videos of one subject by :data:`METRICS`, delays as absolute values: ``real`` and the four methods.

    :param hubert: any AV-HuBERT that :func:`tfg.load_expert` gives; ``syncnet``: any SyncNet.
    :param folder: of ADTH-QA; None: ``$TFG_DATA/adthqa``.
    :raises DataError: a video is not there.
    """
    real = read_clip(adthqa.source(subject, folder))
    truth = Seen(real, hubert)
    found = {REAL: _numbers(score(truth, None, hubert, syncnet, seed=seed))}
    for method in adthqa.METHODS:
        made = read_clip(adthqa.generated(method, subject, folder))
        seen = Seen(made, hubert)
        numbers = _numbers(score(seen, truth, hubert, syncnet, seed=seed))
        found[method] = numbers | against_real(made, seen.track, real, truth.track)
    return found


def _numbers(scores: Mapping[str, Any]) -> dict[str, float | None]:
    """What :data:`METRICS` names, of :func:`tfg.score`'s numbers."""
    found = {name: scores[name] for name in METRICS if name in scores}
    return {name: abs(x) if name.startswith("offset") and x is not None else x for name, x in found.items()}


def against_real(made: Clip, track: FaceTrack, real: Clip, real_track: FaceTrack) -> dict[str, float | None]:
    """Means over the common frames: landmark distance of the mouth (in eye distances), PSNR (dB), SSIM, MS-SSIM, and
    the cosine of face embeddings (one frame a second)."""
    first, second, _ = common_frames(made, real)
    seconds = np.arange(max(track.start, real_track.start), min(track.stop, real_track.stop), int(FPS))
    same_face = identity_similarity(
        made.frames[seconds], track.landmarks[seconds - track.start],
        real.frames[seconds], real_track.landmarks[seconds - real_track.start],
    )  # fmt: skip
    pictures = {"psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim}
    return {
        "lmd": float(landmark_distance(track, real_track).mouth.mean()),
        "identity": float(same_face.mean()),
        **{name: float(metric(first.frames, second.frames).mean()) for name, metric in pictures.items()},
    }


def load(figures: Mapping[str, Any]) -> Studied:
    """The figures of :func:`measure`, read back from their file, as arrays."""
    clips = figures["clips"]
    subjects = list(clips)
    methods = [name for name in clips[subjects[0]] if name != REAL]

    def column(metric: str, method: str) -> list[float]:
        found = [clips[subject][method].get(metric) for subject in subjects]
        return [np.nan if value is None else value for value in found]

    scores = {metric: np.array([column(metric, method) for method in methods]).T for metric in METRICS}
    real = {metric: np.array(column(metric, REAL)) for metric in METRICS}
    return Studied(subjects, methods, scores, real, [Vote(*row) for row in figures["votes"]])
