"""From a video file to named numbers, each with the protocol that gave it.

:func:`score` reads the video once (or streams it when it is large), tracks its faces once, and gives the crops of the
most prominent speaking face to both experts.

SyncNet's two numbers depend on what the network is shown, and the literature knows two ways, which must not be
compared with each other:

* :func:`lse_lrs`: every whole frame squashed to a square; meant for LRS2's frames, which are face crops already;
* :func:`lse_tracks`: every face track of more than 100 frames by itself, as the scripts for "real videos" do; they
  print one pair of numbers per track and nothing at all for a shorter clip. Here the mean over tracks is given too;
* :func:`lse_face` is ours: the chosen face at any length, comparisons with the zero padding left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfg.clip import FPS, SAMPLES_PER_FRAME, VideoSource
from tfg.errors import FeatureError, MetricError
from tfg.experts.expert import WHOLE, AVHubertExpert, SyncNetExpert, load_expert
from tfg.faces import FaceTrack
from tfg.metrics.lse import VSHIFT, LSEResult, lse, lse_unbiased
from tfg.metrics.seen import Float, Seen, Source, Stopwatch
from tfg.metrics.sync import MIN_SHIFT, avs_m, avs_u, avs_v, chance_level, offset_search, offset_words, sync_auc

MIN_TRACK = 100  # frames; the peers' tracks protocol keeps only longer tracks
TELLS = 0.64  # sync_auc from which an expert is believed: windows lie half a standard deviation above those off sync
SILENCE = -50.0  # dBFS, RMS of one frame's sound

Scores = dict[str, Any]

PROTOCOLS = {
    "avs_u": "mean over frames of the cosine of audio-only and video-only features; no search over delays",
    "avs_m": "mean over frames of the cosine of audio-visual features, this video and the reference, same audio",
    "avs_v": "mean over frames of the cosine of video-only features, this video and the reference",
    "chance": "the same number with the second sequence rotated in time by at least {shift} frames, up to 20 shifts",
    "reference": "the same number of the reference video itself: the ceiling to hope for",
    "avs_u_auc": "how often a window of 5 frames has a larger cosine than one 5 to 15 frames off; chance is 0.5",
    "offset_avs": "the delay within 15 frames at which the mean cosine peaks; positive: the audio is early",
    "lrs": "whole frame squashed to the SyncNet square, delays of up to 15 frames searched, padding counted",
    "tracks": "face tracks of over 100 frames, mean over them, delays of up to 15 frames searched, padding counted",
    "unbiased": "the chosen face, delays of up to 15 frames searched, comparisons with padding left out",
}


# ---- SyncNet's protocols ------------------------------------------------------------------------------------------


def lse_lrs(video: VideoSource, expert: SyncNetExpert, vshift: int = VSHIFT) -> LSEResult:
    """The "LRS" protocol: whole frames, squashed; zero padding counted.

    :raises FeatureError: fewer than 6 frames.
    """
    return lse(*expert.frame_embeddings(video), vshift)


def lse_tracks(
    video: VideoSource,
    expert: SyncNetExpert,
    tracks: Sequence[FaceTrack],
    vshift: int = VSHIFT,
    min_track: int = MIN_TRACK,
) -> list[tuple[FaceTrack, LSEResult]]:
    """The "real videos" protocol: each track of more than ``min_track`` frames by itself; zero padding counted.

    The peers crop with their own detector's boxes; here the crop is :func:`tfg.crops.face_crops_syncnet`.
    """
    long = [track for track in tracks if track.stop - track.start > min_track]
    return [(track, lse(*expert.clip_embeddings(video, track), vshift)) for track in long]


def lse_face(video: VideoSource, expert: SyncNetExpert, track: FaceTrack, vshift: int = VSHIFT) -> LSEResult:
    """One face at any length, without the comparisons with zero padding.

    :raises FeatureError: fewer than 6 frames.
    """
    return lse_unbiased(*expert.clip_embeddings(video, track), vshift)


# ---- the whole way ------------------------------------------------------------------------------------------------


def score(
    video: Source | Seen,
    reference: Source | Seen | None = None,
    expert: str | Path | AVHubertExpert = "avhubert-mini",
    syncnet: str | Path | SyncNetExpert | None = "syncnet-mini",
    device: str = "cpu",
    seed: int = 0,
) -> Scores:
    """Score one talking-face video; a dict that ``json.dumps`` accepts.

    :param video: a path, a :class:`tfg.Clip`, a stream from :func:`tfg.open_clip`, or a
        :class:`tfg.metrics.seen.Seen` with the same expert, when one video is scored against several.
    :param reference: the real video of the same speech, if there is one: adds AVS_m, AVS_v and the ceiling of AVS_u.
        The longer of the two is trimmed.
    :param expert: AV-HuBERT by name, by path, or loaded already (:func:`tfg.load_expert`): load it once for a corpus.
    :param syncnet: SyncNet, likewise; None leaves its numbers out.
    :param device: where experts given by name run.
    :param seed: of the shifts of the chance levels.
    :returns: see below; a number that could not be computed is None and ``not_computed`` says why.
    :raises MediaError: a file cannot be read, or has no sound.
    :raises NoFaceError: no face to score.
    :raises WeightsError, CheckpointError: an expert cannot be loaded.
    :raises MetricError: the two videos have no frame in common, or the expert is of the wrong kind.

    ====================================  ==============================================================
    ``avs_u``, ``avs_m``, ``avs_v``       [-1, 1], higher is better; each with ``_chance``
    ``avs_u_reference``                   AVS_u of the reference (and ``avs_u_reference_chance``)
    ``avs_u_auc``                         :func:`tfg.metrics.sync_auc` as it is; ``avs_u_auc_at_offset``: delay undone
    ``offset_avs``                        frames, positive: audio early (also ``_ms``, ``_words``), by AV-HuBERT
    ``lse_d_*``, ``lse_c_*``              ``*`` = ``lrs``, ``tracks``, ``unbiased``; lower, higher is better
    ``offset_*``                          by SyncNet, likewise
    ``tracks``                            start, stop and numbers of every track of more than 100 frames
    ``n_frames``, ``seconds``             of the video
    ``scored_frames``                     ``[start, stop)`` of the chosen face
    ``face_coverage``                     share of frames in which that face was really seen
    ``warnings``                          sentences to read before the numbers
    ``stages``, ``real_time_factor``      seconds per stage; processing time / video time, below 1 is faster than live
    ``expert``, ``syncnet``, ``protocol``  what the numbers mean
    ====================================  ==============================================================
    """
    return score_with_features(video, reference, expert, syncnet, device, seed)[0]


def score_with_features(
    video: Source | Seen,
    reference: Source | Seen | None = None,
    expert: str | Path | AVHubertExpert = "avhubert-mini",
    syncnet: str | Path | SyncNetExpert | None = "syncnet-mini",
    device: str = "cpu",
    seed: int = 0,
) -> tuple[Scores, tuple[Float, Float]]:
    """:func:`score`, and the features ``(F_A, F_V)`` that AVS_u was computed from."""
    watch = Stopwatch()
    with watch("load experts"):
        hubert, sync = _experts(expert, syncnet, device)
    out: Scores = {"video": None, "reference": None, "warnings": [], "not_computed": {}}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* in chunks of ")  # said in the report instead
        seen = video if isinstance(video, Seen) else Seen(video, hubert, watch)
        out["video"] = seen.video.source
        _describe(out, seen)
        _score_alone(out, seen, seed)
        if reference is not None:
            with watch("reference"):
                other = reference if isinstance(reference, Seen) else Seen(reference, hubert)
            out["reference"] = other.video.source
            with watch("reference"):
                _score_against(out, seen, other, hubert, seed)
        if sync is not None:
            _score_syncnet(out, seen, sync, watch)
    out["stages"] = {name: round(seconds, 3) for name, seconds in watch.stages.items()}
    working = sum(seconds for name, seconds in watch.stages.items() if name != "load experts")
    out["real_time_factor"] = round(working / out["seconds"], 3)
    shift = min(MIN_SHIFT, chance_shift(len(seen.audio_feats)))
    out["protocol"] = {name: text.format(shift=shift) for name, text in PROTOCOLS.items()}
    out["expert"] = hubert.protocol
    out["syncnet"] = None if sync is None else sync.protocol
    out["tfg"] = _version()
    return out, (seen.audio_feats, seen.video_feats)


def _experts(
    expert: str | Path | AVHubertExpert | SyncNetExpert,
    syncnet: str | Path | AVHubertExpert | SyncNetExpert | None,
    device: str,
) -> tuple[AVHubertExpert, SyncNetExpert | None]:
    hubert = load_expert(expert, device) if isinstance(expert, str | Path) else expert
    if not isinstance(hubert, AVHubertExpert):
        raise MetricError(f"expert {hubert.name} is a {type(hubert).__name__}; the AVS metrics need an AV-HuBERT")
    sync = load_expert(syncnet, device) if isinstance(syncnet, str | Path) else syncnet
    if isinstance(sync, AVHubertExpert):
        raise MetricError(f"syncnet {sync.name} is an AV-HuBERT; the LSE metrics need a SyncNet")
    return hubert, sync


def _describe(out: Scores, seen: Seen) -> None:
    """Facts about the clip, and what a reader must know before the numbers."""
    video, track = seen.video, seen.track
    observed = float(np.sum(track.observed)) / video.n_frames
    level = video.audio.reshape(-1, SAMPLES_PER_FRAME).astype(np.float64)
    decibel = 10 * np.log10(np.maximum((level**2).mean(axis=1), 1e-12))
    silent = float((decibel < SILENCE).mean())
    out |= {
        "n_frames": video.n_frames,
        "seconds": video.n_frames / FPS,
        "scored_frames": [track.start, track.stop],
        "face_coverage": round(observed, 4),
        "n_faces": len(seen.tracks),
        "silent_share": round(silent, 4),
    }
    say = out["warnings"].append
    length = track.stop - track.start
    if length < FPS:
        say(f"only {length} frames scored ({length / FPS:.2f} s): below one second the numbers are mostly noise")
    if length > WHOLE:
        say(f"{length} frames: AV-HuBERT read them in overlapping chunks of {WHOLE}, not as a whole")
    if observed < 0.995:
        outside = 1 - length / video.n_frames
        say(
            f"face not seen in {1 - observed:.1%} of frames "
            f"({outside:.1%} outside its track, not scored; the rest interpolated)"
        )
    together = sum(other.start < track.stop and track.start < other.stop for other in seen.tracks[1:])
    if together:
        say(f"{together + 1} faces at once: scored the one most likely to speak, at {_place(track, video)}")
    if len(seen.tracks) > together + 1:
        say(f"{len(seen.tracks)} face tracks: AVS is of frames {track.start} to {track.stop - 1} only")
    if silent >= 0.5:
        say(f"silence: the sound is below {SILENCE:.0f} dBFS in {silent:.0%} of frames, where no lips can match it")
    for note in video.notes:
        say(note)


def _place(track: FaceTrack, video: VideoSource) -> str:
    x, y = (float(np.mean(track.boxes[:, [i, i + 2]])) for i in (0, 1))
    return f"x = {x / video.width:.0%}, y = {y / video.height:.0%} of the picture"


def chance_shift(frames: int) -> int:
    """One second, or a third of a clip that is too short for it."""
    return MIN_SHIFT if frames >= 2 * MIN_SHIFT else frames // 3


def _with_chance(out: Scores, name: str, metric: Callable[..., Any], a: Float, b: Float, seed: int) -> None:
    """Enter a metric and its chance level."""
    out[name] = float(metric(a, b))
    shift = chance_shift(len(a))
    if shift < 1:
        out[f"{name}_chance"] = None
        out["not_computed"][f"{name}_chance"] = f"{len(a)} frames are too few to mismatch"
        return
    if shift < MIN_SHIFT:
        text = f"chance levels come from shifts of only {shift} frames (the clip has {len(a)}), so they may be too high"
        if text not in out["warnings"]:
            out["warnings"].append(text)
    out[f"{name}_chance"] = chance_level(metric, a, b, seed=seed, min_shift=shift)


def _score_alone(out: Scores, seen: Seen, seed: int) -> None:
    _with_chance(out, "avs_u", avs_u, seen.audio_feats, seen.video_feats, seed)
    found = offset_search(seen.audio_feats, seen.video_feats)
    out["avs_u_at_offset"] = found.peak
    _offset(out, "avs", found.offset, int(found.offsets[-1]))
    out["avs_u_auc"] = out["avs_u_auc_at_offset"] = None
    try:
        out["avs_u_auc"] = sync_auc(seen.audio_feats, seen.video_feats)
        out["avs_u_auc_at_offset"] = sync_auc(seen.audio_feats, seen.video_feats, found.offset)
    except MetricError as error:
        out["not_computed"]["avs_u_auc"] = str(error)
    else:
        _doubt(out)


def _doubt(out: Scores) -> None:
    """Say so when AVS_u is hardly above what the sound of other moments of the same clip gets."""
    here, best = out["avs_u_auc"], max(out["avs_u_auc"], out["avs_u_auc_at_offset"])
    if best < TELLS:
        out["warnings"].append(
            f"AV-HuBERT finds no sync in this clip: a window beats one 5 to 15 frames off in {best:.0%} of cases at "
            "best (chance: 50%), so AVS_u and its delay say little: this face or voice is unreadable to the expert, or "
            "the lips say something else"
        )
    elif here < TELLS:
        out["warnings"].append(
            f"AVS_u is hardly above chance: a window beats one 5 to 15 frames off in {here:.0%} of cases (chance 50%), "
            f"in {best:.0%} once the delay is undone: {offset_words(out['offset_avs'])}"
        )


def _offset(out: Scores, name: str, frames: int | None, reach: int = VSHIFT) -> None:
    """An offset in frames, ms and words; at the border of the search there is no peak, so the words claim none."""
    out[f"offset_{name}"] = frames
    out[f"offset_{name}_ms"] = None if frames is None else frames * 1000 / FPS
    out[f"offset_{name}_words"] = None if frames is None else offset_words(frames)
    if frames is not None and abs(frames) == reach > 0:
        out[f"offset_{name}_words"] = f"none found within {reach * 1000 / FPS:.0f} ms"


def _score_against(out: Scores, seen: Seen, other: Seen, hubert: AVHubertExpert, seed: int) -> None:
    _with_chance(out, "avs_u_reference", avs_u, other.audio_feats, other.video_feats, seed)
    first = max(seen.track.start, other.track.start)
    last = min(seen.track.stop, other.track.stop)
    if first >= last:
        raise MetricError(
            f"the face is tracked in frames {seen.track.start} to {seen.track.stop - 1} of {seen.video.source} and "
            f"{other.track.start} to {other.track.stop - 1} of {other.video.source}: no frame in common"
        )
    if seen.video.n_frames != other.video.n_frames:
        out["warnings"].append(
            f"the video has {seen.video.n_frames} frames, the reference {other.video.n_frames}: "
            f"AVS_m and AVS_v compare frames {first} to {last - 1}"
        )
    # features of the common frames anew: both sides then see the same stretch of time, and equal lips give exactly 1
    lips = seen.mouth[first - seen.track.start : last - seen.track.start]
    real_lips = other.mouth[first - other.track.start : last - other.track.start]
    audio = seen.fbank[first - seen.track.start : last - seen.track.start]
    lip_features = hubert.encode(mouth=lips), hubert.encode(mouth=real_lips)
    _with_chance(out, "avs_v", avs_v, *lip_features, seed)
    both = hubert.encode(audio=audio, mouth=lips), hubert.encode(audio=audio, mouth=real_lips)
    _with_chance(out, "avs_m", avs_m, *both, seed)


def _score_syncnet(out: Scores, seen: Seen, sync: SyncNetExpert, watch: Stopwatch) -> None:
    def record(name: str, found: LSEResult | None, why_not: str = "") -> None:
        out[f"lse_d_{name}"] = None if found is None else found.lse_d
        out[f"lse_c_{name}"] = None if found is None else found.lse_c
        _offset(out, name, None if found is None else found.offset)
        if found is None:
            out["not_computed"][f"lse_{name}"] = why_not

    try:
        with watch("SyncNet, whole frames"):
            record("lrs", lse_lrs(seen.video, sync))
    except FeatureError as error:
        record("lrs", None, str(error))
    chosen = seen.track.stop - seen.track.start
    with watch("SyncNet, face"):
        try:
            embeddings = sync.clip_embeddings(seen.video, seen.track)
            record("unbiased", lse_unbiased(*embeddings))
        except FeatureError as error:
            record("unbiased", None, str(error))
        if chosen - 5 < 20:
            out["warnings"].append(f"SyncNet has only {max(0, chosen - 5)} windows: its confidence is inflated")
        by_track = [(seen.track, lse(*embeddings))] if chosen > MIN_TRACK else []
        by_track += lse_tracks(seen.video, sync, seen.tracks[1:])
    out["tracks"] = [
        {"start": t.start, "stop": t.stop, "lse_d": f.lse_d, "lse_c": f.lse_c, "offset": f.offset} for t, f in by_track
    ]
    if by_track:
        mean_d, mean_c = (float(np.mean([getattr(f, key) for _, f in by_track])) for key in ("lse_d", "lse_c"))
        record("tracks", by_track[0][1]._replace(lse_d=mean_d, lse_c=mean_c))
    else:
        longest = max(track.stop - track.start for track in seen.tracks)
        record("tracks", None, f"no face track of more than {MIN_TRACK} frames (the longest has {longest})")


def _version() -> str:
    import tfg

    return str(tfg.__version__)
