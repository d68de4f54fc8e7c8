"""The expert as judge: all scores under a shift, delays, layers, generated videos, and when a score is not believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfg.audio import stacked_filterbank
from tfg.crops import mouth_crops
from tfg.datasets import adthqa, studio
from tfg.errors import DataError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert, track_audio
from tfg.faces import track_face
from tfg.media import read_clip
from tfg.metrics.lse import lse_unbiased
from tfg.metrics.report import TELLS
from tfg.metrics.sync import avs_m, avs_u, avs_v, offset_search, sync_auc
from tfg.stability.layers import SHIFTS, best_layer, compare_layers
from tfg.stability.offsets import DELAYS, delay_curves, offset_accuracy
from tfg.stability.prepared import prepared_features
from tfg.stress import out_of_frame, perturb
from tfg.studies.setup import AVHUBERT, KNOWN, SYNCNET, UNSEEN, Setup, Talk

SCORES = ("avs_u", "avs_m", "avs_v", "lse_c", "lse_d")
SHIFT = (-16, -12, -8, -4, 0, 4, 8, 12, 16)  # percent of the face's width
SHIFT_GENERATED = (-16, -8, 0, 8, 16)
SECONDS = 5.0  # of each generated video
CLIPS = 8
LATE = (0, 2, 5, 8)  # frames

Float = NDArray[np.float64]
Figures = tuple[dict[str, Any], dict[str, int]]


def _minis(setup: Setup) -> tuple[AVHubertExpert, SyncNetExpert]:
    experts = setup.experts()
    hubert, syncnet = experts[AVHUBERT], experts[SYNCNET]
    assert isinstance(hubert, AVHubertExpert)
    assert isinstance(syncnet, SyncNetExpert)
    return hubert, syncnet


# ---- figure 5 (c, d) -----------------------------------------------------------------------------------------------


def scores_under(
    talk: Talk, name: str, values: Sequence[float], hubert: AVHubertExpert, syncnet: SyncNetExpert,
    truth: Talk | None = None, seed: int = 0,
) -> dict[str, Float]:  # fmt: skip
    """All five scores of one clip at each value of a perturbation of its frames; the crops stay where the face was.

    :param name: of :data:`tfg.stress.PERTURBATIONS`, one that acts on frames.
    :param truth: the real video, for AVS_m and AVS_v; by default the clip itself, unperturbed.
    :returns: for each of ``avs_u, avs_m, avs_v, lse_c, lse_d`` (padding left out): ``(values,)``, NaN where the
        perturbation pushes the face out of the frame.
    :raises StressError: see :func:`tfg.stress.perturb`.
    """
    truth = truth or talk
    first, last = max(talk.track.start, truth.track.start), min(talk.track.stop, truth.track.stop)
    own = slice(first - talk.track.start, last - talk.track.start)
    real = mouth_crops(truth.clip, truth.track)[first - truth.track.start : last - truth.track.start]
    sound = stacked_filterbank(track_audio(talk.clip, talk.track), len(talk.track))[own]
    heard, seen_real, both_real = hubert.encode(sound), hubert.encode(mouth=real), hubert.encode(sound, real)
    found = {key: np.full(len(values), np.nan) for key in SCORES}
    for i, value in enumerate(values):
        if out_of_frame(talk.track, talk.clip, name, value):
            continue
        changed = perturb(talk.clip, name, value, talk.track, seed)
        lips = mouth_crops(changed, talk.track)[own]
        seen = hubert.encode(mouth=lips)
        lse = lse_unbiased(*syncnet.clip_embeddings(changed, talk.track))
        row = (avs_u(heard, seen), avs_m(hubert.encode(sound, lips), both_real), avs_v(seen, seen_real))
        for key, score in zip(SCORES, (*row, lse.lse_c, lse.lse_d), strict=True):
            found[key][i] = score
    return found


def wrong_words(talks: Sequence[Talk], hubert: AVHubertExpert, syncnet: SyncNetExpert) -> dict[str, float]:
    """The five scores when the lips are those of another clip: the chance level of all of them, mean over clips.

    :raises DataError: fewer than two clips.
    """
    if len(talks) < 2:
        raise DataError(f"{len(talks)} clips; expected at least two, to give one the lips of another")
    inputs = [hubert.inputs(talk.clip, talk.track) for talk in talks]
    pairs = [syncnet.clip_embeddings(talk.clip, talk.track) for talk in talks]
    rows = []
    for i, (sound, mouth) in enumerate(inputs):
        other = inputs[i - 1][1]
        frames, windows = min(len(mouth), len(other)), min(len(pairs[i][1]), len(pairs[i - 1][0]))
        a, real, wrong = sound[:frames], mouth[:frames], other[:frames]
        seen = hubert.encode(mouth=wrong)
        lse = lse_unbiased(pairs[i - 1][0][:windows], pairs[i][1][:windows])
        row = (
            avs_u(hubert.encode(a), seen), avs_m(hubert.encode(a, wrong), hubert.encode(a, real)),
            avs_v(seen, hubert.encode(mouth=real)), lse.lse_c, lse.lse_d,
        )  # fmt: skip
        rows.append([float(value) for value in row])
    return {key: float(value) for key, value in zip(SCORES, np.mean(rows, axis=0), strict=True)}


def stack(rows: Sequence[Mapping[str, Float]]) -> dict[str, Float]:
    """Results of several clips put together: ``(clips, values)`` for each score."""
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def kept(scores: Float, chance: float, neutral: int) -> Float:
    """Mean over clips: which share of a score's distance from chance is left at each value."""
    above = np.nanmean(scores, axis=0) - chance
    return np.asarray(above / above[neutral])


def fig5_judge(setup: Setup) -> Figures:
    """Figure 5 (c, d): every score under a horizontal shift, real clips of a known and of unseen talkers."""
    hubert, syncnet = _minis(setup)
    figures: dict[str, Any] = {"values": list(SHIFT)}
    used = {}
    for part in (KNOWN, UNSEEN):
        talks = setup.videos(part, CLIPS)
        used[part] = len(talks)
        rows = []
        for talk in talks:
            setup.progress(f"shift: {talk.name}")
            rows.append(scores_under(talk, "shift_x", SHIFT, hubert, syncnet, seed=setup.seed))
        figures[part] = {"scores": stack(rows), "chance": wrong_words(talks, hubert, syncnet)}
    return figures, used


# ---- delays, layers ------------------------------------------------------------------------------------------------


def offsets(setup: Setup) -> Figures:
    """Every score against the delay of the sound, and how often each expert finds the delay."""
    hubert, syncnet = _minis(setup)
    figures: dict[str, Any] = {"delays": list(DELAYS)}
    used = {}
    for part in (KNOWN, UNSEEN):
        talks = setup.videos(part, CLIPS)
        used[part] = len(talks)
        setup.progress(f"delays: {part}")
        curves = delay_curves([(talk.clip, talk.track) for talk in talks], hubert, syncnet, DELAYS, setup.seed)
        figures[part] = {
            "scores": {key: curves[key] for key in ("avs_u", "lse_c", "lse_d")},
            "chance": wrong_words(talks, hubert, syncnet),
            "rotated": float(np.nanmean(curves["avs_u_chance"])),
            "accuracy": {
                expert: offset_accuracy(DELAYS, curves[key])._asdict()
                for expert, key in ((AVHUBERT, "offset_avs"), (SYNCNET, "offset_lse"))
            },
        }
    return figures, used


VALIDATION, CONFIRMATION = (KNOWN, "studio-val"), (UNSEEN, "studio-test")


def layers(setup: Setup) -> Figures:
    """Which layer of AV-HuBERT serves best: chosen on validation clips, confirmed on the others."""
    hubert, _ = _minis(setup)
    figures: dict[str, Any] = {"shifts": list(SHIFTS)}
    used = {}
    for part in (*VALIDATION, *CONFIRMATION):
        clips = setup.prepared_clips(part, 24)
        used[part] = len(clips)
        setup.progress(f"layers: {part}")
        figures[part] = compare_layers(hubert, [(clip.fbank, clip.mouth) for clip in clips])
    figures["chosen"] = best_layer([figures[part] for part in VALIDATION])
    return figures, used


# ---- when a score is not believed ----------------------------------------------------------------------------------


def doubt(setup: Setup) -> Figures:
    """How often a score comes with a warning: clips in sync, late, and with the lips of another clip."""
    hubert, _ = _minis(setup)
    figures: dict[str, Any] = {"threshold": TELLS}
    used = {}
    for part in (*VALIDATION, *CONFIRMATION):
        clips = setup.prepared_clips(part)
        used[part] = len(clips)
        setup.progress(f"warnings: {part}")
        figures[part] = warned([prepared_features(hubert, clip) for clip in clips])
    return figures, used


def warned(pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> dict[str, dict[str, float]]:
    """How often AVS_u is called hardly above chance.

    :param pairs: ``(F_A, F_V)`` per clip, in sync.
    :returns: ``in sync``, ``N frames late``, ``other lips`` -> ``share`` of clips with a warning, their ``median``
        :func:`tfg.metrics.sync_auc`, the ``lowest`` and the ``highest``.
    """
    cases = {f"{late} frames late" if late else "in sync": [(a[: len(a) - late], v[late:]) for a, v in pairs]
             for late in LATE}  # fmt: skip
    others = [(a, pairs[i - 1][1]) for i, (a, _) in enumerate(pairs)]
    cases["other lips"] = [(a[: min(len(a), len(v))], v[: min(len(a), len(v))]) for a, v in others]
    result = {}
    for name, clips in cases.items():
        found = np.array([sync_auc(a, v) for a, v in clips])
        result[name] = {
            "share": float((found < TELLS).mean()),
            "median": float(np.median(found)),
            "lowest": float(found.min()),
            "highest": float(found.max()),
        }
    return result


# ---- generated videos ----------------------------------------------------------------------------------------------


def adthqa_stress(setup: Setup) -> Figures:
    """Real and generated videos of ADTH-QA: the scores under a shift, the delay that each expert finds, the warning.

    Evaluation only: nothing is chosen by these videos.
    """
    subjects = adthqa.subjects()[: setup.most]
    hubert, syncnet = _minis(setup)
    real = {}
    for subject in subjects:
        clip = read_clip(adthqa.source(subject), duration=SECONDS)
        real[subject] = Talk(subject, clip, track_face(clip))
    figures: dict[str, Any] = {"values": list(SHIFT_GENERATED), "subjects": subjects, "methods": {}}
    for method in ("real", *adthqa.METHODS):
        rows, found = [], []
        for subject in subjects:
            setup.progress(f"{method}: {subject}")
            talk = real[subject]
            if method != "real":
                clip = read_clip(adthqa.generated(method, subject), duration=SECONDS)
                talk = Talk(subject, clip, track_face(clip))
            rows.append(scores_under(talk, "shift_x", SHIFT_GENERATED, hubert, syncnet, real[subject], setup.seed))
            heard, seen = hubert.clip_features(talk.clip, talk.track)
            lips, sound = syncnet.clip_embeddings(talk.clip, talk.track)
            by_avs, by_lse = offset_search(heard, seen).offset, lse_unbiased(lips, sound).offset
            found.append({"offset_avs": by_avs, "offset_lse": by_lse, "auc": sync_auc(heard, seen),
                          "auc_at_offset": sync_auc(heard, seen, by_avs)})  # fmt: skip
        figures["methods"][method] = {"scores": stack(rows), "clips": found}
    figures["chance"] = wrong_words(list(real.values()), hubert, syncnet)
    return figures, {"adthqa": len(subjects) * (1 + len(adthqa.METHODS))}


def studio_talks(*names: str) -> list[Talk]:
    """Studio clips with their face tracks, for measurements on a page."""
    clips = [studio.read(name) for name in names]
    return [Talk(name, clip, track_face(clip)) for name, clip in zip(names, clips, strict=True)]
